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
    """The busiest hour of the week: arrivals, and the mixture of slot seconds they bring.

    ``lengths_s`` are the different slot seconds, ``shares`` how many arrivals bring each.
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
            shares=tuple(count / month for count in by_length.values()),
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
        queueing.servers_needed_for_mix(
            peak.arrivals_per_s, peak.lengths_s, peak.shares, p95_wait_s
        )
        if peak.arrivals_per_s
        else 0
    )
    return max(interactive, math.ceil(busy / hours / batch_utilisation))
