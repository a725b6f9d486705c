"""How many slots a pool needs in its month: the busiest hour's promise, and the batch work."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from costlab.capacity import queueing
from costlab.core import InvalidArgument

SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Attempts a month that each hold one slot for ``slot_s``; ``batch`` work never queues."""

    per_month: float
    slot_s: float
    batch: bool = False

    @property
    def busy_hours(self) -> float:
        """Slot-hours of work in the month."""
        return self.per_month * self.slot_s / SECONDS_PER_HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakHour:
    """The busiest hour of the week: arrivals, and the mixture of slot seconds they bring.

    ``lengths_s`` are the different slot seconds, ``shares`` how many arrivals bring each, to twelve
    places, so that the same clips are the same mixture whatever their number.
    """

    arrivals_per_s: float
    lengths_s: tuple[float, ...]
    shares: tuple[float, ...]

    @classmethod
    def of(cls, loads: Sequence[Load], hours: float, peak_factor: float) -> PeakHour:
        """Return the interactive loads' busiest hour in a month of ``hours``."""
        if not hours > 0 or not peak_factor > 0:
            raise InvalidArgument(
                f"hours and peak_factor must be greater than 0, got {hours}, {peak_factor}"
            )
        by_length: dict[float, float] = {}
        for load in loads:
            if not load.batch and load.per_month > 0:
                by_length[load.slot_s] = by_length.get(load.slot_s, 0.0) + load.per_month
        month = math.fsum(by_length.values())
        return cls(
            arrivals_per_s=month / (hours * SECONDS_PER_HOUR) * peak_factor,
            lengths_s=tuple(by_length),
            shares=tuple(round(count / month, 12) for count in by_length.values()),
        )

    @property
    def erlangs(self) -> float:
        """Slots' worth of work that arrives."""
        mean_s = math.fsum(s * w for s, w in zip(self.lengths_s, self.shares, strict=True))
        return self.arrivals_per_s * mean_s

    def wait(self, slots: int) -> queueing.Wait | None:
        """Return the wait at ``slots``; None where nobody arrives."""
        if not self.arrivals_per_s:
            return None
        return queueing.mgc(self.arrivals_per_s, self.lengths_s, self.shares, slots)

    def fewest_slots(self, wait_s: float) -> int:
        """Return the fewest slots with which 95 % wait at most ``wait_s``; none for no arrivals.

        As `queueing.servers_needed_for_mix`, with fewer evaluations of the formula: more load never
        needs fewer slots and a longer wait never more, so what was found before for the same
        mixture bounds the answer and often is it; between the bounds the search starts from the
        limit of many slots.
        """
        if not wait_s >= 0:
            raise InvalidArgument(f"wait_s must be 0 or more, got {wait_s}")
        if not self.arrivals_per_s:
            return 0
        erlangs = self.erlangs
        mixture = self.lengths_s, self.shares
        known = _ANSWERED.get(mixture, np.empty((3, 0)))
        loads, waits, found = known
        low = int(found[(loads <= erlangs) & (waits >= wait_s)].max(initial=1)) - 1
        high = float(found[(loads >= erlangs) & (waits <= wait_s)].min(initial=math.inf))
        if high - low <= 1:
            return int(high)
        low = max(low, math.floor(erlangs))
        guess = math.ceil(erlangs + self._spare(wait_s) * math.sqrt(erlangs))
        step = 1
        while high - low > 1:
            if not low < guess < high:
                guess = low + 1 if high == math.inf else int(low + high) // 2
            wait = self.wait(guess)
            if wait is None or wait.tail(wait_s) <= 0.05:
                high, guess = guess, guess - step
            else:
                low, guess = guess, guess + step
            step *= 2
        if len(_ANSWERED) >= _MOST_ANSWERED or known.shape[1] >= _MOST_ANSWERED:
            _ANSWERED.clear()
        _ANSWERED[mixture] = np.column_stack([known, [erlangs, wait_s, high]])
        return int(high)

    def _spare(self, wait_s: float) -> float:
        """Return the spare slots, in roots of the load, with which about 5 % wait over ``wait_s``.

        Halfin and Whitt (1981, "Heavy-traffic limits for queues with many exponential servers",
        Operations Research 29): with β√a slots beyond the load a, 1/(1 + βΦ(β)/φ(β)) of the clips
        wait, here for exponential times scaled to the clips' spread.
        """
        mean_s = self.erlangs / self.arrivals_per_s
        square = math.fsum(s * s * w for s, w in zip(self.lengths_s, self.shares, strict=True))
        rate = math.sqrt(self.erlangs) * wait_s / mean_s / (square / mean_s**2 / 2)
        low, high = 1e-3, 8.0
        for _ in range(16):
            beta = (low + high) / 2
            below = math.erfc(-beta / math.sqrt(2)) / 2
            density = math.exp(-beta * beta / 2) / math.sqrt(2 * math.pi)
            late = math.exp(-beta * rate) / (1 + beta * below / density)
            low, high = (beta, high) if late > 0.05 else (low, beta)
        return high


_ANSWERED: dict[tuple[tuple[float, ...], tuple[float, ...]], NDArray[np.float64]] = {}
"""By lengths and shares: a column of load, wait and fewest slots for each answer."""
_MOST_ANSWERED = 4096
"""Mixtures remembered, and answers for each, before all are forgotten."""


def slots_needed(
    loads: Sequence[Load],
    *,
    hours: float,
    peak_factor: float,
    p95_wait_s: float,
    batch_utilisation: float,
) -> int:
    """Return the fewest slots that keep the promise and carry the batch work.

    The promise: in the busiest hour 95 % of interactive attempts wait at most ``p95_wait_s``
    (M/G/c, exact M/D/c where all slots are held alike). Batch work fills quiet hours until the
    month is ``batch_utilisation`` full. More load never needs fewer slots; no load needs none.
    """
    busy = math.fsum(load.busy_hours for load in loads)
    peak = PeakHour.of(loads, hours, peak_factor)
    if not busy:
        return 0
    return max(peak.fewest_slots(p95_wait_s), math.ceil(busy / hours / batch_utilisation))
