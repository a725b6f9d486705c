"""MiniMax platform: H3 by the second, input images beyond the free ones."""

from __future__ import annotations

from typing import Any, ClassVar

from costlab.catalog.billing import IMAGE, PROMPT, Adapter, Plan, Terms
from costlab.core import Source


class MiniMax(Adapter):
    """MiniMax platform: H3 by the second, input images beyond the free ones."""

    provider = "minimax"
    name = "MiniMax"
    terms = Terms(
        failed_billed=False,
        moderated_billed=False,
        per_minute=(5, 5),
        concurrency={"international": "5 requests a minute"},
        source=Source(
            publisher="platform.minimax.io",
            document="rate limits",
            seen="2026",
            seen_precision="year",
        ),
    )
    answer_paths: ClassVar = {
        "id": ("task.id", "task_id"),
        "status": ("task.status",),
        "video_url": ("task.content.url",),
        "billed_seconds": ("task.content.duration", "task.duration"),
    }
    statuses: ClassVar = {
        "queued": "queued",
        "running": "running",
        "succeeded": "succeeded",
        "failed": "failed",
        "cancelled": "failed",
        "expired": "failed",
    }

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return the task of the second API version, whose inputs are a list of contents."""
        content: list[dict[str, Any]] = [{"type": "text", "text": PROMPT}]
        if plan.request.mode == "i2v":
            image = {"type": "image_url", "image_url": {"url": IMAGE}, "role": "first_frame"}
            content.append(image)
        return {
            "url": "https://api.minimax.io/v2/video_generation",
            "json": {
                "model": plan.sku.head.endpoint,
                "content": content,
                "duration": int(plan.seconds),
                "resolution": plan.resolution.upper(),
                "ratio": plan.request.aspect,
            },
        }


ADAPTER = MiniMax()
