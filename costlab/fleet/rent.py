"""The cheapest instances for so many slots hour by hour: a base all week, the rest by the hour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from costlab.compiled import compiled
from costlab.core import CannotServe
from costlab.fleet.work import HOURS_PER_WEEK, Buy

Slots = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rent:
    """Instances of a base that stays all week and of a second offer hour by hour.

    ``handed_over`` is the share of each hour's clips that goes elsewhere, for
    ``handed_over_usd`` a week, which is part of ``usd_per_week``.
    """

    usd_per_week: float
    base: Buy | None
    base_count: int
    peak: Buy | None
    peak_counts: tuple[int, ...]
    handed_over: tuple[float, ...] = ()
    handed_over_usd: float = 0.0

    @property
    def base_slots(self) -> int:
        """Slots of the base."""
        return self.base.slots * self.base_count if self.base else 0

    @property
    def peak_slots(self) -> Slots:
        """Slots of the remainder in each hour of the week."""
        return np.array(self.peak_counts, np.int64) * (self.peak.slots if self.peak else 0)

    @property
    def slots(self) -> Slots:
        """Slots rented in each hour of the week."""
        return self.peak_slots + self.base_slots

    def grown(self) -> Rent:
        """Return the rent with about 2 % more slots in every hour, one instance at least."""
        if self.peak:
            more = max(1, int(self.slots.max()) // (50 * self.peak.slots))
            return replace(
                self,
                peak_counts=tuple(count + more for count in self.peak_counts),
                usd_per_week=self.usd_per_week + more * HOURS_PER_WEEK * self.peak.usd_per_hour,
            )
        if self.base is None:
            return self
        more = max(1, self.base_slots // (50 * self.base.slots))
        return replace(
            self,
            base_count=self.base_count + more,
            usd_per_week=self.usd_per_week + more * HOURS_PER_WEEK * self.base.usd_per_hour,
        )


_NOTHING = (0,) * HOURS_PER_WEEK


def cheapest_rent(
    slots: Slots,
    buys: Sequence[Buy],
    *,
    by_the_hour: bool,
    remainder: tuple[Slots, Sequence[Buy]] | None = None,
) -> Rent:
    """Return the cheapest base and hourly remainder over every pair of offers and size of base.

    ``remainder`` are the slots that another kind of GPU would need alone, with its offers. A base
    of part of its own slots then leaves the same part of the other's to rent; with equal needs that
    is the difference. More slots in any hour never cost less: an hour more costs an hour and saves
    at most one cold start, which is never longer than an hour.
    """
    most = int(slots.max())
    best: Rent | None = None
    other, offered = remainder or (slots, buys)
    hourly = [buy for buy in offered if by_the_hour and not buy.all_week]
    worth = float(other.max()) / most
    for base in (*buys, None) if remainder is None else buys:
        if base is not None and remainder is None:
            count = math.ceil(most / base.slots)
            cost = count * base.usd_per_hour * HOURS_PER_WEEK
            if best is None or cost < best.usd_per_week:
                best = Rent(usd_per_week=cost, base=base, base_count=count, peak=None,
                             peak_counts=_NOTHING)  # fmt: skip
        for peak in hourly:
            if base and base.usd_per_hour / base.slots > worth * peak.usd_per_hour / peak.slots:
                continue
            count, dollars = _cheapest_count(
                slots, other,
                base.slots if base else 0, base.usd_per_hour if base else 0.0,
                math.ceil(most / base.slots) if base else 1,
                peak.slots, peak.usd_per_hour, peak.cold_hours,
            )  # fmt: skip
            if best is None or dollars < best.usd_per_week:
                covered = count * base.slots if base else 0
                best = Rent(
                    usd_per_week=dollars,
                    base=base if count else None,
                    base_count=count,
                    peak=peak,
                    peak_counts=tuple(_rented(slots, other, covered, peak.slots).tolist()),
                )
    if best is None:
        raise CannotServe("none of the offers can be rented")
    return best


@compiled
def _rented(slots: Any, other: Any, covered: Any, each: Any) -> Any:
    """Return instances by the hour for what a base of ``covered`` slots leaves of the ``other``."""
    counts = np.empty(len(slots), np.int64)
    for h in range(len(slots)):
        part = max(1.0 - covered / max(slots[h], 1), 0.0)
        counts[h] = math.ceil(part * (other[h] / each) - 1e-9)
    return counts


@compiled
def _cheapest_count(
    slots: Any, other: Any, base_slots: Any, base_usd: Any, counts: Any,
    each: Any, usd: Any, cold_hours: Any,
) -> Any:  # fmt: skip
    """Return the instances of the base, of 0 … ``counts`` − 1, that cost least, and USD a week.

    Of equal cost, to a millionth of a dollar, the most of them.
    """
    best, least = 0, math.inf
    hours = len(slots)
    for count in range(counts):
        rented = _rented(slots, other, count * base_slots, each)
        starts = 0
        for h in range(hours):
            starts += max(0, rented[h] - rented[h - 1])
        dollars = (rented.sum() + starts * cold_hours) * usd + count * base_usd * hours
        if round(dollars, 6) <= round(least, 6):
            best, least = count, dollars
    return best, least
