"""How many slots a pool needs in its month: the busiest hour's promise, and the batch work."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

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
    """The busiest hour of the week: arrivals, and the mixture of slot seconds they bring."""

    arrivals_per_s: float
    mean_s: float
    scv: float

    @classmethod
    def of(cls, loads: Sequence[Load], hours: float, peak_factor: float) -> PeakHour:
        """Return the interactive loads' busiest hour in a month of ``hours``."""
        if not hours > 0 or not peak_factor > 0:
            raise InvalidArgument(
                f"hours and peak_factor must be greater than 0, got {hours}, {peak_factor}"
            )
        waiting = [load for load in loads if not load.batch and load.per_month > 0]
        month = math.fsum(load.per_month for load in waiting)
        if not month:
            return cls(arrivals_per_s=0.0, mean_s=0.0, scv=0.0)
        mean = math.fsum(load.per_month * load.slot_s for load in waiting) / month
        square = math.fsum(load.per_month * load.slot_s**2 for load in waiting) / month
        return cls(
            arrivals_per_s=month / (hours * SECONDS_PER_HOUR) * peak_factor,
            mean_s=mean,
            scv=max(square / mean**2 - 1, 0.0),
        )

    @property
    def erlangs(self) -> float:
        """Slots' worth of work that arrives."""
        return self.arrivals_per_s * self.mean_s


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
    interactive = (
        queueing.servers_needed(peak.arrivals_per_s, peak.mean_s, peak.scv, p95_wait_s)
        if peak.arrivals_per_s
        else 0
    )
    return max(interactive, math.ceil(busy / hours / batch_utilisation))
