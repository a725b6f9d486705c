"""How fragile a decision is: a scenario drawn many times, what drives it, where it flips.

::

    scenario ─▶ compile ─▶ draw ─▶ P10, P50, P90; how often own GPUs win
                      ├▶ tornado, indices ─▶ which inputs matter
                      ├▶ break_even       ─▶ where the answer flips
                      └▶ information      ─▶ what to find out first, in dollars
"""

from costlab.uncertainty.answer import Decision, decide, drawn, quantiles
from costlab.uncertainty.breakeven import DRIVERS, BreakEven, break_even, comparable
from costlab.uncertainty.draws import Draws, at_centre, draw, evaluate, normals, saved
from costlab.uncertainty.information import (
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
from costlab.uncertainty.inputs import RANGES, DefaultRange, Input
from costlab.uncertainty.model import Model, compile
from costlab.uncertainty.sensitivity import Index, Swing, indices, sobol, tornado

SHELVES = (RANGES,)

__all__ = [
    "DRIVERS", "RANGES", "SHELVES", "BreakEven", "Decision", "DefaultRange", "Draws", "Index",
    "Information", "Input", "Levels", "Model", "Sample", "Swing", "Worth", "at_centre",
    "break_even", "comparable", "compile", "decide", "draw", "drawn", "evaluate", "indices",
    "information", "levels", "normals", "perfect", "quantiles", "samples", "saved", "sobol",
    "tornado", "worth",
]  # fmt: skip
