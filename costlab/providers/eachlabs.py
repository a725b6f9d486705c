"""eachlabs: a reseller of Hailuo by the clip."""

from __future__ import annotations

from typing import Any

from costlab.catalog.billing import Adapter, Plan, neutral_payload


class EachLabs(Adapter):
    """eachlabs: a reseller of Hailuo by the clip."""

    provider = "eachlabs"
    name = "eachlabs"

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return what any such request must say; the seller's own field names were not read."""
        return neutral_payload(plan)


ADAPTER = EachLabs()
