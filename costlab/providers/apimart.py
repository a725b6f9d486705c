"""APIMart: a discount reseller below the vendors’ lists, resale terms unknown.

Request: ``POST /v1/videos/generations``, one body a model (docs.apimart.ai/en/api-reference/videos:
kling-v3/generation, veo3/generation, minimax-hailuo-2.3/generation). Answer: ``GET /v1/tasks/{id}``
(docs.apimart.ai/en/api-reference/tasks/status), whose example is an image; that a clip stands under
``result.videos`` and its price under ``cost`` is read by public client code and stated in the
seller's README files on GitHub.
"""

from __future__ import annotations

from typing import Any, ClassVar

from costlab.catalog.billing import IMAGE, PROMPT, Adapter, Plan, with_image


class APIMart(Adapter):
    """APIMart: a discount reseller below the vendors’ lists, resale terms unknown."""

    provider = "apimart"
    name = "APIMart"
    answer_paths: ClassVar = {
        "id": ("data.id", "data.0.task_id"),
        "status": ("data.status", "data.0.status"),
        "video_url": ("data.result.videos.0.url.0",),
        "usd": ("data.cost",),
    }
    statuses: ClassVar = {
        "submitted": "queued",
        "pending": "queued",
        "processing": "running",
        "completed": "succeeded",
        "failed": "failed",
        "cancelled": "failed",
    }

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return the task in the fields of its model."""
        model, request = plan.sku.head.endpoint, plan.request
        body: dict[str, Any] = {"prompt": PROMPT, "duration": int(plan.seconds)}
        if model.startswith("hailuo"):
            body = with_image(
                {**body, "model": "MiniMax-Hailuo-2.3", "resolution": plan.resolution},
                plan,
                "first_frame_image",
            )
        else:
            body |= {"model": model, "aspect_ratio": request.aspect}
            if model.startswith("kling"):
                body |= {
                    "mode": "std" if plan.resolution == "720p" else "pro",
                    "audio": bool(plan.audio),
                }
            else:
                body["resolution"] = plan.resolution.replace("4k", "4K")
            if request.mode == "i2v":
                body["image_urls"] = [IMAGE]
        return {"url": "https://api.apimart.ai/v1/videos/generations", "json": body}


ADAPTER = APIMart()
