"""Krea: a reseller of Kling 3.0 at about twice the list price."""

from __future__ import annotations

from typing import Any

from costlab.catalog.billing import Adapter, Plan, neutral_payload


class Krea(Adapter):
    """Krea: a reseller of Kling 3.0 at about twice the list price."""

    provider = "krea"
    name = "Krea"

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return what any such request must say; the seller's own field names were not read."""
        return neutral_payload(plan)


ADAPTER = Krea()
