"""Google Vertex AI: Veo as a cloud service, retired endpoint by endpoint."""

from __future__ import annotations

from typing import Any, ClassVar

from costlab.catalog.billing import IMAGE, PROMPT, Adapter, Plan, Terms
from costlab.core import Source


class Vertex(Adapter):
    """Google Vertex AI: Veo as a cloud service, retired endpoint by endpoint."""

    provider = "vertex"
    name = "Google Vertex AI"
    terms = Terms(
        per_minute=(10, 10),
        concurrency={"preview": "10 requests a minute per project, 4 videos a request"},
        source=Source(
            publisher="Google",
            document="cloud.google.com/vertex-ai/generative-ai/docs/models/veo/3-1-generate "
            "(stored copy)",
            locator="cloud.google.com/vertex-ai/generative-ai/docs/models/veo/3-1-generate",
            seen="2025-11-07",
            seen_precision="day",
        ),
    )
    answer_paths: ClassVar = {
        "id": ("name",),
        "status": ("done",),
        "video_url": ("response.videos.0.gcsUri",),
    }
    statuses: ClassVar = {"True": "succeeded", "False": "running", "": "running"}

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return the long-running prediction that starts a clip."""
        instance: dict[str, Any] = {"prompt": PROMPT}
        if plan.request.mode == "i2v":
            instance["image"] = {"gcsUri": IMAGE, "mimeType": "image/png"}
        return {
            "url": "https://LOCATION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/"
            f"LOCATION/publishers/google/models/{plan.sku.head.endpoint}:predictLongRunning",
            "json": {
                "instances": [instance],
                "parameters": {
                    "aspectRatio": plan.request.aspect,
                    "resolution": plan.resolution,
                    "durationSeconds": int(plan.seconds),
                    "sampleCount": plan.request.variants,
                    "generateAudio": bool(plan.audio),
                },
            },
        }


ADAPTER = Vertex()
