"""APIMart: a discount reseller below the vendors’ lists, resale terms unknown."""

from __future__ import annotations

from typing import Any

from costlab.catalog.billing import Adapter, Plan, neutral_payload


class APIMart(Adapter):
    """APIMart: a discount reseller below the vendors’ lists, resale terms unknown."""

    provider = "apimart"
    name = "APIMart"

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return what any such request must say; the seller's own field names were not read."""
        return neutral_payload(plan)


ADAPTER = APIMart()
