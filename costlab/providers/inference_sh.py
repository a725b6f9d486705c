"""inference.sh: a reseller of older Kling models."""

from __future__ import annotations

from typing import Any

from costlab.catalog.billing import Adapter, Plan, neutral_payload


class InferenceSh(Adapter):
    """inference.sh: a reseller of older Kling models."""

    provider = "inference_sh"
    name = "inference.sh"

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return what any such request must say; the seller's own field names were not read."""
        return neutral_payload(plan)


ADAPTER = InferenceSh()
