"""Atlas Cloud: a reseller of PixVerse by the clip."""

from __future__ import annotations

from typing import Any

from costlab.catalog.billing import Adapter, Plan, neutral_payload


class AtlasCloud(Adapter):
    """Atlas Cloud: a reseller of PixVerse by the clip."""

    provider = "atlascloud"
    name = "Atlas Cloud"

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return what any such request must say; the seller's own field names were not read."""
        return neutral_payload(plan)


ADAPTER = AtlasCloud()
