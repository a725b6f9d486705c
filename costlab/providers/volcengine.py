"""Volcengine Ark (ByteDance): Seedance by the video token, listed in CNY."""

from __future__ import annotations

from typing import Any, ClassVar

from costlab.catalog.billing import IMAGE, PROMPT, VIDEO, Adapter, Plan, Terms
from costlab.core import Basis, Source


class Volcengine(Adapter):
    """Volcengine Ark (ByteDance): Seedance by the video token, listed in CNY."""

    provider = "volcengine"
    name = "Volcengine Ark"
    terms = Terms(
        failed_billed=False,
        note="stated for Seedance 1.5 Pro: only successes are charged",
        source=Source(
            publisher="Eva-Dengyh/ModelCap",
            document="page, taken from docs.volcengine.com",
            seen="2026-09-02",
            seen_precision="day",
            basis=Basis.QUOTED,
        ),
    )
    answer_paths: ClassVar = {
        "id": ("id",),
        "status": ("status",),
        "video_url": ("content.video_url",),
        "billed_seconds": ("duration",),
    }
    statuses: ClassVar = {
        "queued": "queued",
        "running": "running",
        "succeeded": "succeeded",
        "failed": "failed",
        "cancelled": "failed",
    }

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return the generation task, whose inputs are a list of contents."""
        content: list[dict[str, Any]] = [{"type": "text", "text": PROMPT}]
        if plan.request.mode == "i2v":
            content.append({"type": "image_url", "image_url": {"url": IMAGE}})
        elif plan.request.mode != "t2v":
            video = {"type": "video_url", "video_url": {"url": VIDEO}, "role": "reference_video"}
            content.append(video)
        return {
            "url": "https://ark.cn-beijing.volces.com/api/v3/contents/generations/tasks",
            "json": {
                "model": plan.sku.head.endpoint,
                "content": content,
                "resolution": plan.resolution,
                "ratio": plan.request.aspect,
                "duration": int(plan.seconds),
                "generate_audio": bool(plan.audio),
            },
        }


ADAPTER = Volcengine()
