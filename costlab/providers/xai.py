"""xAI: Grok Imagine by the second plus each input image; moderated clips are billed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar

from costlab.catalog.billing import IMAGE, PROMPT, Adapter, Answer, Plan, Terms
from costlab.core import Basis, Source

TICKS_PER_USD = Decimal(10_000_000_000)
"""xAI states what a request has cost in ticks of a ten-billionth of a dollar."""


class XAI(Adapter):
    """xAI: Grok Imagine by the second plus each input image; moderated clips are billed."""

    provider = "xai"
    name = "xAI"
    terms = Terms(
        moderated_billed=True,
        note="moderation blocks are still charged",
        source=Source(
            publisher="docs.apiyi.com",
            document="Grok Imagine pages",
            seen="2026",
            seen_precision="year",
            basis=Basis.QUOTED,
        ),
    )
    answer_paths: ClassVar = {
        "id": ("request_id", "id"),
        "status": ("status",),
        "video_url": ("video.url",),
        "billed_seconds": ("video.duration",),
        "usd": ("usage.cost_in_usd_ticks",),
    }
    statuses: ClassVar = {
        "pending": "running",
        "done": "succeeded",
        "failed": "failed",
        "expired": "failed",
    }

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return the generation request."""
        body: dict[str, Any] = {
            "model": plan.sku.head.endpoint,
            "prompt": PROMPT,
            "duration": int(plan.seconds),
            "resolution": plan.resolution,
            "aspect_ratio": plan.request.aspect,
        }
        if plan.request.mode == "i2v":
            body["image"] = {"url": IMAGE}
        return {"url": "https://api.x.ai/v1/videos/generations", "json": body}

    def answer(self, response: Mapping[str, Any]) -> Answer:
        """Return the answer with its cost in dollars."""
        found = super().answer(response)
        return replace(found, usd=None if found.usd is None else found.usd / TICKS_PER_USD)


ADAPTER = XAI()
