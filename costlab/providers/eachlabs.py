"""eachlabs: a reseller of Hailuo by the clip.

Request: ``POST /v1/prediction`` (eachlabs/mintlify-docs on GitHub, commit 03ec8c42,
api/predictions/create-prediction.mdx); the model's slug, its version and its fields are those of
eachlabs/skills, skills/eachlabs-video-generation/references/MODELS.md, which knows the length as
text and no resolution. Answer: ``GET /v1/prediction/{id}`` (commit 3a07a178,
api/predictions/get-prediction.mdx).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from costlab.catalog.billing import PROMPT, Adapter, Answer, Plan


class EachLabs(Adapter):
    """eachlabs: a reseller of Hailuo by the clip."""

    provider = "eachlabs"
    name = "eachlabs"
    answer_paths: ClassVar = {
        "id": ("id", "predictionID"),
        "status": ("status",),
        "video_url": ("output",),
        "usd": ("metrics.cost",),
    }
    statuses: ClassVar = {
        "created": "queued",
        "starting": "queued",
        "processing": "running",
        "success": "succeeded",
        "error": "failed",
        "cancelled": "failed",
    }

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return the prediction to start."""
        return {
            "url": "https://api.eachlabs.ai/v1/prediction",
            "json": {
                "model": "minimax-hailuo-v2-3-standard-text-to-video",
                "version": "0.0.1",
                "input": {"prompt": PROMPT, "duration": str(int(plan.seconds))},
            },
        }

    def answer(self, response: Mapping[str, Any]) -> Answer:
        """Return the answer; the success of a new prediction is that it was taken.

        Where a prediction failed, the output is the error instead of an address.
        """
        found = super().answer(response)
        if "predictionID" in response:
            return replace(found, status="queued")
        return found if isinstance(found.video_url, str) else replace(found, video_url=None)


ADAPTER = EachLabs()
