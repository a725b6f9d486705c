"""costlab: what one AI-generated video clip really costs, and where it should run.

The public verbs and rooms, loaded when first used (docs/python.md shows each of them)::

    costlab.quote("veo-3.1", costlab.ClipRequest(seconds=Decimal(8)), as_of=day)   an API's bill
    costlab.predict(costlab.question({...}))                                       seconds, joules
    answer = costlab.project(costlab.scenario("social-app"))                       the month
    costlab.explain(answer, "summary/usd_per_month")                               and why
    costlab.finance.Terms(...)                                                     a room's names
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "BadData": "core",
    "ClipRequest": "core",
    "CostlabError": "core",
    "Figure": "core",
    "quote": "catalog",
    "rank": "catalog",
    "offers": "catalog",
    "predict": "performance",
    "predict_rows": "performance",
    "question": "performance",
    "wait": "capacity",
    "servers_needed": "capacity",
    "rating": "quality",
    "mix": "traffic",
    "policy": "routing",
    "scenario": "scenarios",
    "project": "projection",
    "plan": "fleet",
    "compare": "comparison",
    "months": "finance",
    "variance": "finance",
    "document": "lineage",
    "explain": "lineage",
    "verify": "lineage",
}
_ROOMS = (
    "capacity", "catalog", "claims", "finance", "fleet", "handover", "lineage", "logs", "optimise",
    "patterns", "performance", "present", "quality", "replay", "report", "routing", "runs",
    "scenarios", "traffic", "uncertainty", "wan",
)  # fmt: skip
__all__ = [
    "BadData",
    "ClipRequest",
    "CostlabError",
    "Figure",
    "compare",
    "document",
    "explain",
    "mix",
    "months",
    "offers",
    "plan",
    "policy",
    "predict",
    "predict_rows",
    "project",
    "question",
    "quote",
    "rank",
    "rating",
    "scenario",
    "servers_needed",
    "variance",
    "verify",
    "wait",
]

if TYPE_CHECKING:
    from costlab.capacity import servers_needed, wait
    from costlab.catalog import offers, quote, rank
    from costlab.comparison import compare
    from costlab.core import BadData, ClipRequest, CostlabError, Figure
    from costlab.finance import months, variance
    from costlab.fleet import plan
    from costlab.lineage import document, explain, verify
    from costlab.performance import predict, predict_rows, question
    from costlab.projection import project
    from costlab.quality import rating
    from costlab.routing import policy
    from costlab.scenarios import scenario
    from costlab.traffic import mix


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"costlab.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'costlab' has no attribute {name!r}")
    return getattr(import_module(f"costlab.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_ROOMS})
