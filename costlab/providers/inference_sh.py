"""inference.sh: a reseller of older Kling models, run as apps.

The apps are named by inference.sh/apps/klingai/video-v2-5.md and video-o1.md (of 2026-08-07); no
copy of these pages that was found shows the fields of an app's input, so they stay in plain words.
"""

from __future__ import annotations

from typing import Any, ClassVar

from costlab.catalog.billing import Adapter, Plan, neutral_payload


class InferenceSh(Adapter):
    """inference.sh: a reseller of older Kling models, run as apps."""

    provider = "inference_sh"
    name = "inference.sh"
    apps: ClassVar = {
        "kling-v2.5-turbo": "klingai/video-v2-5",
        "kling-video-o1": "klingai/video-o1",
    }
    answer_paths: ClassVar = {"id": ("id",), "status": ("status",)}
    statuses: ClassVar = {
        "2": "queued",
        "7": "running",
        "10": "succeeded",
        "11": "failed",
        "12": "failed",
    }

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return the run of an app; the model's mode goes with the input."""
        model, _, mode = plan.sku.head.endpoint.partition("/")
        body = {**neutral_payload(plan)["json"], "mode": mode}
        del body["model"]
        return {
            "url": "https://api.inference.sh/apps/run",
            "json": {"app": self.apps[model], "input": body},
        }


ADAPTER = InferenceSh()
