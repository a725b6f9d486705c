"""Comfy partner nodes: a reseller whose credits are 211 to the dollar."""

from __future__ import annotations

from typing import Any

from costlab.catalog.billing import Adapter, Plan, neutral_payload


class Comfy(Adapter):
    """Comfy partner nodes: a reseller whose credits are 211 to the dollar."""

    provider = "comfy"
    name = "Comfy partner nodes"

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return what any such request must say; the seller's own field names were not read."""
        return neutral_payload(plan)


ADAPTER = Comfy()
