"""What is not certain about a scenario: every input with its centre, its 90 % interval, its source.

An input is drawn as a standard normal z and read off its own law. The law has the input's centre
as its median and ``low`` and ``high`` as its 5 % and 95 % points, each side with its own spread, on
the scale that keeps it possible (``times`` on the logarithm, ``odds`` on the logit, ``plus`` as it
is). A price printed as a range is uniform over it, because nothing says where in it one pays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from costlab import store
from costlab.core import Basis, InvalidArgument, Source
from costlab.traffic import Segment

Scale = Literal["times", "odds", "plus", "printed"]
Kind = Literal[
    "volume", "growth", "peak", "batch_utilisation", "acceptance", "failure", "api_price",
    "gpu_price", "interruptions", "seconds",
]  # fmt: skip
PRINTED = 3
"""The code of a uniform law among the others: plain, logarithm, logit."""
Z90 = 1.6448536269514722
"""Standard deviations from the middle to either end of a 90 % interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultRange:
    """How far an input may be off where its own row says nothing nearer.

    ``times`` and ``odds`` are factors on the input and on its odds, ``plus`` is added to it;
    ``value`` replaces the ends, and holds for inputs inside it only. ``stage`` narrows it to
    segments of that stage.
    """

    input: Kind
    how: Literal["times", "odds", "plus", "value"]
    low: float
    high: float
    what: str
    stage: str = ""
    source: Source

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise InvalidArgument(f"{self.input}: low {self.low} is above high {self.high}")

    def holds(self, segment: Segment | None, centre: float) -> bool:
        """Whether it says something about an input of this centre."""
        if self.stage and (segment is None or segment.stage != self.stage):
            return False
        return self.how != "value" or self.low < centre < self.high

    def ends(self, centre: float) -> tuple[float, float]:
        """Return the ends of the interval around ``centre``."""
        if self.how == "value":
            return self.low, self.high
        if self.how == "plus":
            return centre + self.low, centre + self.high
        if self.how == "times":
            return centre * self.low, centre * self.high
        odds = centre / (1 - centre)
        low, high = odds * self.low, odds * self.high
        return low / (1 + low), high / (1 + high)


RANGES = store.Shelf(table="ranges", record=DefaultRange, pattern="ranges.yaml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One uncertain input: 90 % of cases lie between ``low`` and ``high``.

    ``place`` is where the model reads its value, which is in ``unit``; ``of`` names the segment,
    model, GPU or deployment that it belongs to. ``basis`` says how its range is known.
    """

    id: str
    kind: Kind
    label: str
    of: str
    unit: str
    scale: Scale
    centre: float
    low: float
    high: float
    place: int
    basis: Basis
    what: str
    source: Source | None = None

    def __post_init__(self) -> None:
        inside = self.low <= self.centre <= self.high
        possible = {
            "times": self.low > 0,
            "odds": self.low > 0 and self.high < 1,
            "plus": math.isfinite(self.low) and math.isfinite(self.high),
            "printed": self.low > 0,
        }[self.scale]
        if self.low < self.high and not (inside and possible):
            raise InvalidArgument(
                f"{self.id}: the range {self.low:g} to {self.high:g} must hold {self.centre:g} "
                "and be possible for it"
            )

    @property
    def certain(self) -> bool:
        """Whether nothing is left to draw."""
        return self.low >= self.high

    def law(self) -> tuple[int, float, float, float]:
        """Return (scale code, centre, spread below, spread above) on the law's own scale."""
        if self.scale == "printed":
            return PRINTED, self.centre, self.low, self.high
        code = {"plus": 0, "times": 1, "odds": 2}[self.scale]
        low, middle, high = (_onto(self.scale, x) for x in (self.low, self.centre, self.high))
        return code, middle, (middle - low) / Z90, (high - middle) / Z90

    def at(self, z: float) -> float:
        """Return its value where the standard normal is ``z``."""
        code, middle, below, above = self.law()
        if code == PRINTED:
            return below + 0.5 * math.erfc(-z / math.sqrt(2)) * (above - below)
        x = middle + z * (below if z < 0 else above)
        return (x, math.exp(min(x, 700.0)), 1 / (1 + math.exp(-x)))[code]

    def with_range(self, low: float, high: float) -> Input:
        """Return the input with a range that a person entered; raises `InvalidArgument`."""
        return replace(
            self, low=low, high=high, basis=Basis.ENTERED, what="entered for this question",
            source=None, scale="times" if self.scale == "printed" else self.scale,
        )  # fmt: skip


def _onto(scale: Scale, value: float) -> float:
    if scale == "odds":
        return math.log(value / (1 - value))
    return math.log(value) if scale == "times" else value


def default(kind: Kind, centre: float, segment: Segment | None = None) -> DefaultRange:
    """Return the range that holds for an input: the last that does of ``data/ranges.yaml``."""
    return [
        row for row in store.records(RANGES) if row.input == kind and row.holds(segment, centre)
    ][-1]
