"""RunPod public endpoints: Wan 2.2 for a price per clip that the page gives as a range."""

from __future__ import annotations

from typing import Any, ClassVar

from costlab.catalog.billing import PROMPT, Adapter, Plan, frame_size


class RunPod(Adapter):
    """RunPod public endpoints: Wan 2.2 for a price per clip that the page gives as a range."""

    provider = "runpod"
    name = "RunPod public endpoints"
    answer_paths: ClassVar = {
        "id": ("id",),
        "status": ("status",),
        "video_url": ("output.result", "output.video_url"),
        "usd": ("output.cost",),
    }
    statuses: ClassVar = {
        "IN_QUEUE": "queued",
        "IN_PROGRESS": "running",
        "COMPLETED": "succeeded",
        "FAILED": "failed",
        "CANCELLED": "failed",
        "TIMED_OUT": "failed",
    }

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return the endpoint's input."""
        width, height = frame_size(plan.model, plan.resolution, plan.request.aspect)
        return {
            "url": f"https://api.runpod.ai/v2/{plan.sku.head.endpoint}/run",
            "json": {
                "input": {
                    "prompt": PROMPT,
                    "size": f"{width}*{height}",
                    "duration": int(plan.seconds),
                }
            },
        }


ADAPTER = RunPod()
