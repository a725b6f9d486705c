"""How fragile a decision is: a scenario drawn many times, what drives it, where it flips.

::

    scenario ─▶ compile ─▶ draw ─▶ P10, P50, P90; how often own GPUs win
                      ├▶ tornado, indices ─▶ which inputs matter
                      ├▶ break_even       ─▶ where the answer flips
                      └▶ information      ─▶ what to find out first, in dollars

The compiled loop loads only when one of its names is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from costlab.uncertainty.inputs import RANGES, DefaultRange, Input

if TYPE_CHECKING:
    from costlab.uncertainty.answer import Decision, decide, drawn, quantiles
    from costlab.uncertainty.breakeven import DRIVERS, BreakEven, break_even, comparable
    from costlab.uncertainty.draws import Draws, at_centre, draw, evaluate, normals, saved
    from costlab.uncertainty.learning import (
        Information,
        Levels,
        Sample,
        Worth,
        information,
        levels,
        perfect,
        samples,
        worth,
    )
    from costlab.uncertainty.model import Model, compile
    from costlab.uncertainty.sensitivity import Index, Swing, indices, sobol, tornado

SHELVES = (RANGES,)
_PLACES = {
    "answer": ("Decision", "decide", "drawn", "quantiles"),
    "breakeven": ("DRIVERS", "BreakEven", "break_even", "comparable"),
    "draws": ("Draws", "at_centre", "draw", "evaluate", "normals", "saved"),
    "learning": (
        "Information", "Levels", "Sample", "Worth", "information", "levels", "perfect", "samples",
        "worth",
    ),
    "model": ("Model", "compile"),
    "sensitivity": ("Index", "Swing", "indices", "sobol", "tornado"),
}  # fmt: skip

__all__ = [
    "DRIVERS", "RANGES", "SHELVES", "BreakEven", "Decision", "DefaultRange", "Draws", "Index",
    "Information", "Input", "Levels", "Model", "Sample", "Swing", "Worth", "at_centre",
    "break_even", "comparable", "compile", "decide", "draw", "drawn", "evaluate", "indices",
    "information", "levels", "normals", "perfect", "quantiles", "samples", "saved", "sobol",
    "tornado", "worth",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    for place, names in _PLACES.items():
        if name in names:
            return getattr(import_module(f"costlab.uncertainty.{place}"), name)
    raise AttributeError(f"module 'costlab.uncertainty' has no attribute {name!r}")
