"""How much work so many slots carry while they keep the promise: `capacity.slots_needed`, tabled.

Sizing one pool takes milliseconds, a million draws of twelve months need ten million. So the most
work a, in slots' worth of the busiest hour, that c slots carry with 95 % waiting at most W is found
once for a few c and a few lengths of the clips, and read between them along the square root of c::

    a(c) = c − β·√c        β moves slowly with c and with the clips' length over W
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from costlab.capacity import mgc

Floats = NDArray[np.float64]
MOST_TABLED = 4200
_NODES = (1, 2, 3, 4, 6, 9, 13, 20, 32, 52, 85, 140, 230, 380, 620, 1000, 1600, 2600, MOST_TABLED)


@lru_cache(maxsize=256)
def _carried(
    slots: int, lengths_s: tuple[float, ...], shares: tuple[float, ...], p95_wait_s: float
) -> float:
    """Return the most erlangs that ``slots`` slots carry with 95 % waiting at most the promise."""
    from scipy.optimize import brentq

    mean_s = sum(s * w for s, w in zip(lengths_s, shares, strict=True))

    def over(log_spare: float) -> float:
        erlangs = slots - math.exp(log_spare)
        tail = mgc(erlangs / mean_s, lengths_s, shares, slots).tail(p95_wait_s)
        return math.log(max(tail, 1e-12) / 0.05)

    low, high = math.log(slots * 1e-7), math.log(slots * (1 - 1e-9))
    guess = math.log(min(0.8 * math.sqrt(slots), 0.8 * slots))
    step = 0.3
    start = max(low, guess - step)
    end = min(high, guess + step)
    while over(start) < 0 and start > low:
        end, start, step = start, max(low, start - 2 * step), 2 * step
    while over(end) > 0 and end < high:
        start, end, step = end, min(high, end + 2 * step), 2 * step
    if over(start) <= 0 or over(end) >= 0:
        return slots - math.exp(start if over(start) <= 0 else end)
    return slots - math.exp(float(brentq(over, start, end, xtol=2e-4)))


@lru_cache(maxsize=32)
def table(
    lengths_s: tuple[float, ...],
    shares: tuple[float, ...],
    p95_wait_s: float,
    most: int,
    stretches: tuple[float, ...],
    exact: tuple[int, ...],
) -> Floats:
    """Return the most erlangs that c slots carry, shape (most + 1, stretches).

    ``stretches`` are logarithms of the factors on ``lengths_s``. The slots of ``exact`` are worked
    out at stretch 0 as they are; ``most`` is cut at `MOST_TABLED`.
    """
    from scipy.interpolate import PchipInterpolator

    most = min(most, MOST_TABLED)
    nodes = [c for c in _NODES if c < most] + [next(c for c in _NODES if c >= most)]
    slots = np.arange(most + 1)
    found = np.zeros((most + 1, len(stretches)))
    for column, stretch in enumerate(stretches):
        scaled = tuple(s * math.exp(stretch) for s in lengths_s)
        here = sorted({*nodes, *(c for c in exact if stretch == 0 and 0 < c <= most)})
        spare = [(c - _carried(c, scaled, shares, p95_wait_s)) / math.sqrt(c) for c in here]
        beta = np.full(most, spare[0])
        if len(here) > 1:
            beta = PchipInterpolator(np.log(here), spare)(np.log(slots[1:]))
        found[1:, column] = slots[1:] - beta * np.sqrt(slots[1:])
    return np.maximum.accumulate(found, axis=0)


def stretch_nodes(reach: float) -> tuple[float, ...]:
    """Return the logarithms of length at which to table, out to ``reach`` either way."""
    near: Sequence[float] = (-1.0, -0.5, 0.0, 0.5, 1.0) if reach > 1 else (-1.0, 0.0, 1.0)
    return tuple(reach * part for part in near)
