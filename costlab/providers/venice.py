"""Venice: a reseller with its own list."""

from __future__ import annotations

from typing import Any, ClassVar

from costlab.catalog.billing import PROMPT, Adapter, Plan, plain_number, with_image


class Venice(Adapter):
    """Venice: a reseller with its own list."""

    provider = "venice"
    name = "Venice"
    answer_paths: ClassVar = {
        "id": ("queue_id",),
        "status": ("status",),
        "video_url": ("download_url",),
    }
    statuses: ClassVar = {"PROCESSING": "running", "COMPLETED": "succeeded"}

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return the queue request."""
        return {
            "url": "https://api.venice.ai/api/v1/video/queue",
            "json": with_image(
                {
                    "model": plan.sku.head.endpoint,
                    "prompt": PROMPT,
                    "duration": f"{plain_number(plan.seconds)}s",
                    "resolution": plan.resolution,
                    "aspect_ratio": plan.request.aspect,
                    "audio": bool(plan.audio),
                },
                plan,
                "image_url",
            ),
        }


ADAPTER = Venice()
