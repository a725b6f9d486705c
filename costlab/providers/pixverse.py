"""PixVerse: its own API, at the rate of its credit pack."""

from __future__ import annotations

from typing import Any

from costlab.catalog.billing import Adapter, Plan, neutral_payload


class PixVerse(Adapter):
    """PixVerse: its own API, at the rate of its credit pack."""

    provider = "pixverse"
    name = "PixVerse"

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return what any such request must say; the seller's own field names were not read."""
        return neutral_payload(plan)


ADAPTER = PixVerse()
