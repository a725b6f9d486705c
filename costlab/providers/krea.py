"""Krea: a reseller of Kling 3.0 at about twice the list price.

Request: Krea API, ``POST /generate/video/kling/kling-3.0``
(docs.krea.ai/api-reference/video/kling-30.md). Answer: ``GET /jobs/{id}``
(docs.krea.ai/api-reference/general/get-a-job-by-id); it states neither seconds nor cost.
"""

from __future__ import annotations

from typing import Any, ClassVar

from costlab.catalog.billing import PROMPT, Adapter, Plan, Terms, with_image
from costlab.core import Source


class Krea(Adapter):
    """Krea: a reseller of Kling 3.0 at about twice the list price."""

    provider = "krea"
    name = "Krea"
    terms = Terms(
        failed_billed=False,
        moderated_billed=False,
        note="only completed jobs are paid for; moderation counts among the failures",
        source=Source(
            publisher="docs.krea.ai",
            document="developers/job-lifecycle",
            locator="docs.krea.ai/developers/job-lifecycle",
        ),
    )
    answer_paths: ClassVar = {
        "id": ("job_id",),
        "status": ("status",),
        "video_url": ("result.urls.0",),
    }
    statuses: ClassVar = {
        "backlogged": "queued",
        "queued": "queued",
        "scheduled": "queued",
        "processing": "running",
        "sampling": "running",
        "intermediate-complete": "running",
        "completed": "succeeded",
        "failed": "failed",
        "cancelled": "failed",
    }

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return the job; the mode stands for the resolution."""
        return {
            "url": "https://api.krea.ai/generate/video/kling/kling-3.0",
            "json": with_image(
                {
                    "prompt": PROMPT,
                    "mode": {"720p": "std", "1080p": "pro"}.get(plan.resolution, plan.resolution),
                    "duration": int(plan.seconds),
                    "aspect_ratio": plan.request.aspect,
                    "generate_audio": bool(plan.audio),
                },
                plan,
                "start_image",
            ),
        }


ADAPTER = Krea()
