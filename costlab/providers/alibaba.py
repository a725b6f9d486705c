"""Alibaba Model Studio: lists for Beijing and Singapore; edits bill input seconds too."""

from __future__ import annotations

from typing import Any, ClassVar

from costlab.catalog.billing import IMAGE, PROMPT, VIDEO, Adapter, Plan, Terms
from costlab.core import Source


class Alibaba(Adapter):
    """Alibaba Model Studio: lists for Beijing and Singapore; edits bill input seconds too."""

    provider = "alibaba"
    name = "Alibaba Model Studio"
    home_region = "singapore"
    terms = Terms(
        per_minute=(300, 300),
        concurrency={"Wan 2.5 to 2.7": "300 requests a minute", "Wan 2.2 S2V": "1 at once"},
        source=Source(
            publisher="Alibaba Cloud",
            document="Model Studio text-to-video reference",
            seen="2026-10-12",
            seen_precision="day",
        ),
    )
    answer_paths: ClassVar = {
        "id": ("output.task_id",),
        "status": ("output.task_status",),
        "video_url": ("output.video_url",),
        "billed_seconds": ("usage.duration", "usage.video_duration"),
    }
    statuses: ClassVar = {
        "PENDING": "queued",
        "RUNNING": "running",
        "SUCCEEDED": "succeeded",
        "FAILED": "failed",
        "CANCELED": "failed",
    }

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return the task for the host of the row's region."""
        kinds = {"i2v": ("first_frame", IMAGE), "edit": ("video", VIDEO)}
        kind, url = kinds.get(plan.request.mode, ("first_clip", VIDEO))
        media = [] if plan.request.mode == "t2v" else [{"type": kind, "url": url}]
        host = "dashscope" if plan.sku.head.region == "beijing" else "dashscope-intl"
        return {
            "url": f"https://{host}.aliyuncs.com/api/v1/services/aigc/video-generation/"
            "video-synthesis",
            "json": {
                "model": plan.sku.head.endpoint,
                "input": {"prompt": PROMPT, **({"media": media} if media else {})},
                "parameters": {
                    "resolution": plan.resolution.upper(),
                    "duration": int(plan.seconds),
                    "ratio": plan.request.aspect,
                },
            },
        }


ADAPTER = Alibaba()
