"""MuAPI: hosted Wan 2.2 5B, flat per clip."""

from __future__ import annotations

from typing import Any

from costlab.catalog.billing import Adapter, Plan, neutral_payload


class MuAPI(Adapter):
    """MuAPI: hosted Wan 2.2 5B, flat per clip."""

    provider = "muapi"
    name = "MuAPI"

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return what any such request must say; the seller's own field names were not read."""
        return neutral_payload(plan)


ADAPTER = MuAPI()
