"""PixVerse: its own API, at the rate of its credit pack.

Request: ``POST /openapi/v2/video/text/generate``
(docs.platform.pixverse.ai/text-to-video-generation-13016634e0); that page ends at version 3.5, so
``v6`` and its switch for sound are those of the same request in the OpenAPI description of
comfy-cli 1.23.0. Answer: ``GET /openapi/v2/video/result/{id}``
(docs.platform.pixverse.ai/get-video-generation-status-13016632e0), with its credits as comfy-cli
has them; 100 credits are a dollar (docs.platform.pixverse.ai/model-pricing-796039m0).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar

from costlab.catalog.billing import PROMPT, Adapter, Answer, Plan

CREDITS_PER_USD = Decimal(100)
"""What a dollar buys, in the pack as on the pricing page."""


class PixVerse(Adapter):
    """PixVerse: its own API, at the rate of its credit pack."""

    provider = "pixverse"
    name = "PixVerse"
    answer_paths: ClassVar = {
        "id": ("Resp.id", "Resp.video_id"),
        "status": ("Resp.status",),
        "video_url": ("Resp.url",),
        "usd": ("Resp.credits",),
    }
    statuses: ClassVar = {"1": "succeeded", "5": "running", "7": "failed", "8": "failed"}

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return the task."""
        return {
            "url": "https://app-api.pixverse.ai/openapi/v2/video/text/generate",
            "json": {
                "model": plan.sku.head.endpoint,
                "prompt": PROMPT,
                "aspect_ratio": plan.request.aspect,
                "duration": int(plan.seconds),
                "quality": plan.resolution,
                "generate_audio_switch": bool(plan.audio),
            },
        }

    def answer(self, response: Mapping[str, Any]) -> Answer:
        """Return the answer with its cost in dollars; an empty address is none."""
        found = super().answer(response)
        usd = None if found.usd is None else found.usd / CREDITS_PER_USD
        return replace(found, usd=usd, video_url=found.video_url or None)


ADAPTER = PixVerse()
