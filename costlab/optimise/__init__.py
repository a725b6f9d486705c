"""The split of the traffic and the fleet that cost least together, and what each limit costs.

`ask` makes a scenario a problem, `model` holds problem and solution as arrays, `programme` solves
them with HiGHS, `answer` prices the split exactly and puts it beside other ways. The solver loads
only when it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from costlab.optimise.answer import (
    Baseline,
    Optimised,
    ParetoPoint,
    Part,
    PoolUse,
    Rental,
    ShadowPrice,
    optimise,
    pareto,
    problem,
)
from costlab.optimise.ask import PURCHASES, Limits, Purchase
from costlab.optimise.model import Excess, Infeasible, Problem, Solution

if TYPE_CHECKING:
    from costlab.optimise.programme import frontier, solve

__all__ = [
    "PURCHASES", "Baseline", "Excess", "Infeasible", "Limits", "Optimised", "ParetoPoint", "Part",
    "PoolUse", "Problem", "Purchase", "Rental", "ShadowPrice", "Solution", "frontier", "optimise",
    "pareto", "problem", "solve",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in ("frontier", "solve"):
        raise AttributeError(f"module 'costlab.optimise' has no attribute {name!r}")
    return getattr(import_module("costlab.optimise.programme"), name)
