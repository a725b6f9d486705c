"""PiAPI: a reseller of Kling 3.0."""

from __future__ import annotations

from typing import Any, ClassVar

from costlab.catalog.billing import PROMPT, Adapter, Plan, with_image


class PiAPI(Adapter):
    """PiAPI: a reseller of Kling 3.0."""

    provider = "piapi"
    name = "PiAPI"
    answer_paths: ClassVar = {
        "id": ("data.task_id", "task_id"),
        "status": ("data.status", "status"),
        "video_url": ("data.output.video_url", "data.output.video"),
    }
    statuses: ClassVar = {
        "pending": "queued",
        "processing": "running",
        "completed": "succeeded",
        "failed": "failed",
    }

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return the task; the mode stands for the resolution."""
        body = {
            "version": "3.0",
            "mode": {"720p": "std", "1080p": "pro"}.get(plan.resolution, plan.resolution),
            "duration": int(plan.seconds),
            "aspect_ratio": plan.request.aspect,
            "prompt": PROMPT,
            "enable_audio": bool(plan.audio),
        }
        return {
            "url": "https://api.piapi.ai/api/v1/task",
            "json": {
                "model": "kling-turbo" if plan.sku.head.endpoint.endswith("turbo") else "kling",
                "task_type": "video_generation",
                "input": with_image(body, plan, "image_url"),
            },
        }


ADAPTER = PiAPI()
