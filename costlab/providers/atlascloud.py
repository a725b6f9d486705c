"""Atlas Cloud: a reseller of PixVerse by the clip."""

from __future__ import annotations

from typing import Any, ClassVar

from costlab.catalog.billing import PROMPT, Adapter, Plan, with_image


class AtlasCloud(Adapter):
    """Atlas Cloud: a reseller of PixVerse by the clip."""

    provider = "atlascloud"
    name = "Atlas Cloud"
    answer_paths: ClassVar = {
        "id": ("data.id",),
        "status": ("data.status",),
        "video_url": ("data.outputs.0",),
    }
    statuses: ClassVar = {
        "created": "queued",
        "processing": "running",
        "completed": "succeeded",
        "succeeded": "succeeded",
        "failed": "failed",
    }

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return the prediction to start."""
        return {
            "url": "https://api.atlascloud.ai/api/v1/model/generateVideo",
            "json": with_image(
                {
                    "model": plan.sku.head.endpoint,
                    "prompt": PROMPT,
                    "duration": int(plan.seconds),
                },
                plan,
                "image_url",
            ),
        }


ADAPTER = AtlasCloud()
