"""qingbo (WaveAPI): a discount reseller of Hailuo.

Request and answer: QingBo-AI/WaveAPI-Doc on GitHub, cn/api-reference/video/hailuo.mdx (commit
174193df; ``POST /v1/tasks``, which refuses other fields) and cn/api-reference/task/status.mdx
(commit 8846645d; ``GET /v1/tasks/{id}``, whose cost is a quota, 500,000 to the dollar). The first
page bills each pair of resolution and length as one clip; the book's rates are those of an earlier
copy, by the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar

from costlab.catalog.billing import PROMPT, Adapter, Answer, Plan, Terms, with_image
from costlab.core import Source

QUOTA_PER_USD = Decimal(500_000)
"""An answer's cost is a whole number of these."""


class Qingbo(Adapter):
    """qingbo (WaveAPI): a discount reseller of Hailuo."""

    provider = "qingbo"
    name = "qingbo"
    terms = Terms(
        failed_billed=False,
        moderated_billed=False,
        note="a task without a usable clip is paid back in full",
        source=Source(
            publisher="QingBo-AI/WaveAPI-Doc",
            document="cn/api-reference/video/hailuo.mdx (commit 174193df)",
            locator="docs.qingbo.dev/cn/api-reference/video/hailuo",
        ),
    )
    answer_paths: ClassVar = {
        "id": ("task_id",),
        "status": ("status",),
        "video_url": ("result.videos.0.url.0",),
        "usd": ("cost",),
    }
    statuses: ClassVar = {
        "queued": "queued",
        "processing": "running",
        "completed": "succeeded",
        "failed": "failed",
        "cancelled": "failed",
    }

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return the task; the frame's shape is the model's or the image's own."""
        return {
            "url": "https://api.qingbo.ai/v1/tasks",
            "json": with_image(
                {
                    "model": plan.sku.head.endpoint,
                    "action": "generate",
                    "prompt": PROMPT,
                    "duration": int(plan.seconds),
                    "resolution": plan.resolution,
                },
                plan,
                "first_frame_image",
            ),
        }

    def answer(self, response: Mapping[str, Any]) -> Answer:
        """Return the answer with its cost in dollars."""
        found = super().answer(response)
        return replace(found, usd=None if found.usd is None else found.usd / QUOTA_PER_USD)


ADAPTER = Qingbo()
