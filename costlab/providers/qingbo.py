"""qingbo: a discount reseller of Hailuo."""

from __future__ import annotations

from typing import Any

from costlab.catalog.billing import Adapter, Plan, neutral_payload


class Qingbo(Adapter):
    """qingbo: a discount reseller of Hailuo."""

    provider = "qingbo"
    name = "qingbo"

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return what any such request must say; the seller's own field names were not read."""
        return neutral_payload(plan)


ADAPTER = Qingbo()
