"""Runway API: credits of one cent, minimums per task, five tiers of concurrency."""

from __future__ import annotations

from typing import Any, ClassVar

from costlab.catalog.billing import PROMPT, Adapter, Plan, Terms, frame_size, with_image
from costlab.core import Source


class Runway(Adapter):
    """Runway API: credits of one cent, minimums per task, five tiers of concurrency."""

    provider = "runway"
    name = "Runway"
    terms = Terms(
        at_once=(1, 20),
        concurrency={
            "tier 1": "1 at once per model, 50 a day, $100 a month",
            "tier 2": "3 at once, 500 a day, $500 a month (after $50 bought)",
            "tier 3": "5 at once, 1,000 a day, $2,000 a month (after $100 bought)",
            "tier 4": "10 at once, 5,000 a day, $20,000 a month (after $1,000 bought)",
            "tier 5": "20 at once, 25,000 a day, $100,000 a month (after $5,000 bought)",
        },
        note="tasks above the cap wait as THROTTLED",
        source=Source(
            publisher="docs.dev.runwayml.com",
            document="usage/tiers",
            locator="docs.dev.runwayml.com/usage/tiers",
            seen="2026 (stored page)",
            seen_precision="year",
        ),
    )
    answer_paths: ClassVar = {"id": ("id",), "status": ("status",), "video_url": ("output.0",)}
    statuses: ClassVar = {
        "PENDING": "queued",
        "THROTTLED": "queued",
        "RUNNING": "running",
        "SUCCEEDED": "succeeded",
        "FAILED": "failed",
        "CANCELLED": "failed",
    }

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return the task for the path that fits the mode."""
        path = {"t2v": "text_to_video", "i2v": "image_to_video"}.get(
            plan.request.mode, "video_to_video"
        )
        width, height = frame_size(plan.model, plan.resolution, plan.request.aspect)
        return {
            "url": f"https://api.dev.runwayml.com/v1/{path}",
            "json": with_image(
                {
                    "model": plan.sku.head.endpoint,
                    "promptText": PROMPT,
                    "ratio": f"{width}:{height}",
                    "duration": int(plan.seconds),
                },
                plan,
                "promptImage",
                "videoUri",
            ),
        }


ADAPTER = Runway()
