"""Google Gemini API: Veo by the second, sound always on, three lengths."""

from __future__ import annotations

from typing import Any, ClassVar

from costlab.catalog.billing import IMAGE, PROMPT, Adapter, Plan, Terms
from costlab.core import Source


class Gemini(Adapter):
    """Google Gemini API: Veo by the second, sound always on, three lengths."""

    provider = "gemini"
    name = "Google Gemini API"
    terms = Terms(
        moderated_billed=False,
        at_once=(10, 10),
        per_minute=(10, 50),
        concurrency={
            "production": "50 requests a minute, 10 at once per project",
            "preview": "10 requests a minute",
        },
        note="blocked clips are not charged; the limits rest on a reseller's guide",
        source=Source(
            publisher="Google",
            document="Gemini API Veo docs copies",
            seen="2025-04 to 2026",
            seen_precision="month",
        ),
    )
    answer_paths: ClassVar = {
        "id": ("name",),
        "status": ("done",),
        "video_url": ("response.generateVideoResponse.generatedSamples.0.video.uri",),
    }
    statuses: ClassVar = {"True": "succeeded", "False": "running", "": "running"}

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return the long-running prediction that starts a clip."""
        instance: dict[str, Any] = {"prompt": PROMPT}
        if plan.request.mode == "i2v":
            instance["image"] = {"uri": IMAGE}
        return {
            "url": "https://generativelanguage.googleapis.com/v1beta/models/"
            f"{plan.sku.head.endpoint}:predictLongRunning",
            "json": {
                "instances": [instance],
                "parameters": {
                    "aspectRatio": plan.request.aspect,
                    "resolution": plan.resolution,
                    "durationSeconds": int(plan.seconds),
                },
            },
        }


ADAPTER = Gemini()
