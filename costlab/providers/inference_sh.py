"""inference.sh: a reseller of older Kling models, run as apps."""

from __future__ import annotations

from typing import Any, ClassVar

from costlab.catalog.billing import Adapter, Plan, neutral_payload


class InferenceSh(Adapter):
    """inference.sh: a reseller of older Kling models, run as apps."""

    provider = "inference_sh"
    name = "inference.sh"
    answer_paths: ClassVar = {"id": ("id",), "status": ("status",)}
    statuses: ClassVar = {
        "2": "queued",
        "7": "running",
        "10": "succeeded",
        "11": "failed",
        "12": "failed",
    }

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return the run of an app, whose own input fields were not read."""
        body = neutral_payload(plan)["json"]
        app = body.pop("model")
        return {"url": "https://api.inference.sh/apps/run", "json": {"app": app, "input": body}}


ADAPTER = InferenceSh()
