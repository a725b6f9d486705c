"""costlab: what one AI-generated video clip really costs, and where it should run.

The public verbs, loaded when first used::

    costlab.quote("veo-3.1", costlab.ClipRequest(seconds=Decimal(8)), as_of=day)   an API's bill
    costlab.predict(costlab.question({...}))                                       seconds, joules
    costlab.project(costlab.scenario("social-app"))                                the month
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
    "mix": "traffic",
    "policy": "routing",
    "scenario": "scenarios",
    "project": "projection",
}
__all__ = [
    "BadData",
    "ClipRequest",
    "CostlabError",
    "Figure",
    "mix",
    "offers",
    "policy",
    "predict",
    "predict_rows",
    "project",
    "question",
    "quote",
    "rank",
    "scenario",
    "servers_needed",
    "wait",
]

if TYPE_CHECKING:
    from costlab.capacity import servers_needed, wait
    from costlab.catalog import offers, quote, rank
    from costlab.core import BadData, ClipRequest, CostlabError, Figure
    from costlab.performance import predict, predict_rows, question
    from costlab.projection import project
    from costlab.routing import policy
    from costlab.scenarios import scenario
    from costlab.traffic import mix


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'costlab' has no attribute {name!r}")
    return getattr(import_module(f"costlab.{_HOMES[name]}"), name)
