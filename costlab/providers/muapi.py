"""MuAPI: hosted Wan 2.2 5B, flat per clip.

Request and answer: ``POST /api/v1/{model}`` and ``GET /api/v1/predictions/{id}/result``
(muapi.ai/docs/api-reference); the model's fields are those of its playground page and of the
seller's model list in SamurAIGPT's public clients, which knows no length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar

from costlab.catalog.billing import PROMPT, Adapter, Answer, Plan


class MuAPI(Adapter):
    """MuAPI: hosted Wan 2.2 5B, flat per clip."""

    provider = "muapi"
    name = "MuAPI"
    answer_paths: ClassVar = {
        "id": ("id", "request_id"),
        "status": ("status",),
        "video_url": ("outputs.0",),
        "usd": ("cost.amount_usd",),
    }
    statuses: ClassVar = {
        "queued": "queued",
        "pending": "queued",
        "processing": "running",
        "completed": "succeeded",
        "failed": "failed",
        "cancelled": "failed",
    }

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return the job of the model's endpoint."""
        return {
            "url": f"https://api.muapi.ai/api/v1/{plan.sku.head.endpoint}",
            "json": {
                "prompt": PROMPT,
                "aspect_ratio": plan.request.aspect,
                "resolution": plan.resolution,
            },
        }

    def answer(self, response: Mapping[str, Any]) -> Answer:
        """Return the answer; what was paid back has cost nothing."""
        cost = response.get("cost")
        refunded = isinstance(cost, Mapping) and bool(cost.get("refunded"))
        found = super().answer(response)
        return replace(found, usd=Decimal(0)) if refunded else found


ADAPTER = MuAPI()
