"""MiniMax platform: H3 by the second, input images beyond the free ones."""

from __future__ import annotations

from typing import Any, ClassVar

from costlab.catalog.billing import PROMPT, Adapter, Plan, Terms, with_image
from costlab.core import Source


class MiniMax(Adapter):
    """MiniMax platform: H3 by the second, input images beyond the free ones."""

    provider = "minimax"
    name = "MiniMax"
    terms = Terms(
        failed_billed=False,
        moderated_billed=False,
        concurrency={"international": "5 requests a minute"},
        source=Source(
            publisher="platform.minimax.io",
            document="rate limits",
            seen="2026",
            seen_precision="year",
        ),
    )
    answer_paths: ClassVar = {
        "id": ("task_id",),
        "status": ("status",),
        "video_url": ("file.download_url", "video_url"),
    }
    statuses: ClassVar = {
        "Preparing": "queued",
        "Queueing": "queued",
        "Processing": "running",
        "Success": "succeeded",
        "Fail": "failed",
    }

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return the generation task."""
        return {
            "url": "https://api.minimax.io/v1/video_generation",
            "json": with_image(
                {
                    "model": plan.sku.head.endpoint,
                    "prompt": PROMPT,
                    "duration": int(plan.seconds),
                    "resolution": plan.resolution.upper(),
                },
                plan,
                "first_frame_image",
            ),
        }


ADAPTER = MiniMax()
