"""Lightricks LTX API: by the second and resolution; retakes by the second handed in."""

from __future__ import annotations

from typing import Any, ClassVar

from costlab.catalog.billing import PROMPT, Adapter, Plan, Terms, frame_size, with_image
from costlab.core import Source


class LTX(Adapter):
    """Lightricks LTX API: by the second and resolution; retakes by the second handed in."""

    provider = "ltx"
    name = "Lightricks LTX"
    terms = Terms(
        note="429 with Retry-After; the numbers are not published",
        source=Source(
            publisher="docs.ltx.video", document="rate limits", seen="2026", seen_precision="year"
        ),
    )
    answer_paths: ClassVar = {"id": ("x-request-id",), "status": ("content-type",)}
    statuses: ClassVar = {"video/mp4": "succeeded", "application/json": "failed"}

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return the request, answered by the video itself: `answer` reads its headers."""
        path = {"t2v": "text-to-video", "i2v": "image-to-video"}.get(plan.request.mode, "retake")
        width, height = frame_size(plan.model, plan.resolution, plan.request.aspect)
        return {
            "url": f"https://api.ltx.video/v1/{path}",
            "json": with_image(
                {
                    "model": plan.sku.head.endpoint.split("/")[0],
                    "prompt": PROMPT,
                    "duration": int(plan.seconds),
                    "resolution": f"{width}x{height}",
                    "generate_audio": bool(plan.audio),
                },
                plan,
                "image_uri",
                "video_uri",
            ),
        }


ADAPTER = LTX()
