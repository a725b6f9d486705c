"""Where the answer flips: found by search in every draw, because a fleet grows in steps.

For one quantity at a time every draw is worked out over a grid of factors; where the sign of what
own GPUs save changes between two of them, bisection finds the place. Cost against volume is a
saw-tooth and may cross an API's line more than once, so the first and the last crossing stand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from costlab.core import InvalidArgument
from costlab.uncertainty.draws import (
    ACCEPTED,
    API_ACCEPTED,
    API_COST,
    API_PRICES,
    BUSY_HOURS,
    COST,
    RENTS,
    SECONDS,
    SLOT_HOURS,
    UNCHANGED,
    UTILISATION,
    VOLUMES,
    at_centre,
    evaluate,
    normals,
    saved,
)
from costlab.uncertainty.model import Floats, Model

Driver = Literal["volume", "utilisation", "gpu_price", "seconds", "api_price"]
DRIVERS: dict[Driver, tuple[int, str]] = {
    "volume": (VOLUMES, "clips wanted"),
    "utilisation": (UTILISATION, "share of paid GPU hours that render"),
    "gpu_price": (RENTS, "price of a GPU-hour"),
    "seconds": (SECONDS, "seconds of a clip"),
    "api_price": (API_PRICES, "price of every API"),
}
FACTORS = np.geomspace(0.1, 10, 41)
SHARES = np.geomspace(0.01, 1.0, 41)
_BISECTIONS = 10


@dataclass(frozen=True, eq=False, kw_only=True)
class BreakEven:
    """Where one quantity flips the answer, over the draws.

    ``at`` are factors on today's value (shares of hours for utilisation), ``today`` where on that
    scale the centre stands. ``own`` and ``api`` are USD per accepted clip at them, shape (3, grid):
    P10, P50 and P90 of the draws. ``first`` and ``last`` are each draw's crossings, not-a-number
    where nothing flips; ``always_own`` and ``always_api`` are the shares of such draws.
    """

    driver: Driver
    title: str
    today: float
    at: Floats
    own: Floats
    api: Floats
    first: Floats
    last: Floats
    always_own: float
    always_api: float

    @property
    def flips(self) -> float:
        """The share of draws in which the answer flips within the searched range."""
        return 1 - self.always_own - self.always_api

    @property
    def several(self) -> float:
        """The share of draws that cross more than once."""
        crossed = ~np.isnan(self.first)
        return float((self.last[crossed] > self.first[crossed] * 1.001).sum() / len(self.first))

    def quantiles(self, which: Literal["first", "last"]) -> tuple[float, float, float] | None:
        """Return P10, P50, P90 of the first or last crossing among draws that have one."""
        found = getattr(self, which)
        found = found[~np.isnan(found)]
        if not len(found):
            return None
        low, middle, high = np.quantile(found, [0.1, 0.5, 0.9])
        return float(low), float(middle), float(high)


def break_even(model: Model, driver: Driver, *, draws: int = 200, seed: int = 1) -> BreakEven:
    """Return where ``driver`` flips the answer between a tenth and ten times its value.

    Raises `InvalidArgument` where there are no own GPUs or no API to compare with.
    """
    comparable(model)
    place, title = DRIVERS[driver]
    grid = SHARES if driver == "utilisation" else FACTORS
    z = normals(draws, len(model.uncertain), seed + 7_919)

    def ahead(rows: Floats) -> NDArray[np.bool_]:
        return np.asarray(saved(rows) > 0)

    def play(factors: Floats, who: NDArray[np.int64]) -> Floats:
        times = np.tile(UNCHANGED, (len(factors), 1))
        times[:, place] = factors
        return evaluate(model, z[who], times, far=driver == "seconds")[0]

    everyone = np.arange(draws)
    rows = play(np.tile(grid, draws), np.repeat(everyone, len(grid)))
    wins = ahead(rows).reshape(draws, len(grid))
    flips = wins[:, 1:] != wins[:, :-1]
    crossed = flips.any(axis=1)
    who = everyone[crossed]

    def search(cell: NDArray[np.int64]) -> Floats:
        low, high = np.log(grid[cell]), np.log(grid[cell + 1])
        before = wins[who, cell]
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            same = ahead(play(np.exp(middle), who)) == before
            low, high = np.where(same, middle, low), np.where(same, high, middle)
        return np.asarray(np.exp((low + high) / 2))

    first, last = np.full(draws, np.nan), np.full(draws, np.nan)
    if len(who):
        first[who] = search(flips[who].argmax(axis=1))
        last[who] = search(flips.shape[1] - 1 - flips[who, ::-1].argmax(axis=1))
    own = (rows[:, COST] / rows[:, ACCEPTED]).reshape(draws, len(grid))
    api = (rows[:, API_COST] / rows[:, API_ACCEPTED]).reshape(draws, len(grid))
    centre = at_centre(model)
    return BreakEven(
        driver=driver,
        title=title,
        today=float(centre[BUSY_HOURS] / centre[SLOT_HOURS]) if driver == "utilisation" else 1.0,
        at=grid,
        own=np.quantile(own, [0.1, 0.5, 0.9], axis=0),
        api=np.quantile(api, [0.1, 0.5, 0.9], axis=0),
        first=first,
        last=last,
        always_own=float((~crossed & wins[:, 0]).mean()),
        always_api=float((~crossed & ~wins[:, 0]).mean()),
    )


def comparable(model: Model) -> None:
    """Raise `InvalidArgument` in words where own GPUs and APIs cannot be compared."""
    if not model.has_pools:
        raise InvalidArgument(
            f"{model.policy.title} uses no own GPUs and {model.scenario.title} has none that could "
            "make its clips: there is nothing to decide between"
        )
    if model.no_api:
        raise InvalidArgument(
            f"no API of the scenario gives what {' and '.join(map(repr, model.no_api))} asks: add "
            "one that can make such clips, or there is nothing to compare own GPUs with"
        )
