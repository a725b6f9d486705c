"""WaveSpeedAI: hosted Wan 2.2 with at least 5 s billed, and others per clip."""

from __future__ import annotations

from typing import Any, ClassVar

from costlab.catalog.billing import PROMPT, Adapter, Plan, frame_size, with_image


class WaveSpeed(Adapter):
    """WaveSpeedAI: hosted Wan 2.2 with at least 5 s billed, and others per clip."""

    provider = "wavespeed"
    name = "WaveSpeedAI"
    answer_paths: ClassVar = {
        "id": ("data.id",),
        "status": ("data.status",),
        "video_url": ("data.outputs.0",),
    }
    statuses: ClassVar = {
        "created": "queued",
        "processing": "running",
        "completed": "succeeded",
        "failed": "failed",
    }

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return the request of the model's endpoint."""
        width, height = frame_size(plan.model, plan.resolution, plan.request.aspect)
        return {
            "url": f"https://api.wavespeed.ai/api/v3/{plan.sku.head.endpoint}",
            "json": with_image(
                {"prompt": PROMPT, "size": f"{width}*{height}", "duration": int(plan.seconds)},
                plan,
                "image",
                "video",
            ),
        }


ADAPTER = WaveSpeed()
