"""Kling API: prepaid units in packs that expire, failed tasks never billed."""

from __future__ import annotations

from typing import Any, ClassVar

from costlab.catalog.billing import IMAGE, PROMPT, Adapter, Plan, Terms
from costlab.core import Source


class Kling(Adapter):
    """Kling API: prepaid units in packs that expire, failed tasks never billed."""

    provider = "kling"
    name = "Kling API"
    terms = Terms(
        failed_billed=False,
        moderated_billed=False,
        at_once=(5, 20),
        concurrency={"trial pack": "5 at once", "standard packs": "20 at once"},
        note="no credits are taken for failed tasks, moderation included; packs expire",
        source=Source(
            publisher="docs.klingai2.org",
            document="prepaid-resource-packs (copy of the Kling docs)",
            locator="docs.klingai2.org/prepaid-resource-packs",
        ),
    )
    answer_paths: ClassVar = {
        "id": ("data.task_id",),
        "status": ("data.task_status",),
        "video_url": ("data.task_result.videos.0.url",),
        "billed_seconds": ("data.task_result.videos.0.duration",),
    }
    statuses: ClassVar = {
        "submitted": "queued",
        "processing": "running",
        "succeed": "succeeded",
        "failed": "failed",
    }

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return the task; the mode stands for the resolution, an image brings its own shape."""
        body = {
            "model_name": plan.sku.head.endpoint,
            "prompt": PROMPT,
            "mode": {"720p": "std", "1080p": "pro"}.get(plan.resolution, plan.resolution),
            "duration": str(int(plan.seconds)),
            "sound": "on" if plan.audio else "off",
        }
        if plan.request.mode == "i2v":
            path, body["image"] = "image2video", IMAGE
        else:
            path, body["aspect_ratio"] = "text2video", plan.request.aspect
        return {"url": f"https://api.klingai.com/v1/videos/{path}", "json": body}


ADAPTER = Kling()
