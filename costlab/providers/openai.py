"""OpenAI video API: Sora 2, closed on 2026-09-24 and kept as history."""

from __future__ import annotations

from typing import Any, ClassVar

from costlab.catalog.billing import PROMPT, Adapter, Plan, with_image


class OpenAI(Adapter):
    """OpenAI video API: Sora 2, closed on 2026-09-24 and kept as history."""

    provider = "openai"
    name = "OpenAI"
    jobs_url: ClassVar[str] = "https://api.openai.com/v1/videos"
    answer_paths: ClassVar = {
        "id": ("id",),
        "status": ("status",),
        "billed_seconds": ("seconds",),
    }
    statuses: ClassVar = {
        "queued": "queued",
        "in_progress": "running",
        "completed": "succeeded",
        "failed": "failed",
    }

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return the job; the clip is fetched from ``/content`` of the answer's id."""
        width, height = self.size(plan)
        return {
            "url": self.jobs_url,
            "json": with_image(
                {
                    "model": plan.sku.head.endpoint,
                    "prompt": PROMPT,
                    "seconds": str(int(plan.seconds)),
                    "size": f"{width}x{height}",
                },
                plan,
                "input_reference",
            ),
        }

    def size(self, plan: Plan) -> tuple[int, int]:
        """Return width and height: 1280 × 720, or 1792 × 1024 in the high-res tier."""
        wide = plan.request.aspect != "9:16"
        long, short = (1792, 1024) if plan.sku.head.tier == "high-res" else (1280, 720)
        return (long, short) if wide else (short, long)


ADAPTER = OpenAI()
