"""How many slots the promise needs hour by hour, and how they are bought for the least money."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from costlab import capacity, unitcost
from costlab.core import CannotServe
from costlab.fleet.work import HOURS_PER_WEEK, Buy, End, Hardware, Wishes, Work

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Slots = NDArray[np.int64]

Kind = Literal["people", "batch", "both"]
_LEVELS = 12
"""Steps into which the load of an hour is rounded up, as a share of the busiest hour's."""


@lru_cache(maxsize=65536)
def fewest_slots(peak: capacity.PeakHour, wait_s: float) -> int:
    """Return the fewest slots with which 95 % wait at most ``wait_s``, as `capacity.slots_needed`.

    It starts from the limit of many slots, so that few evaluations of the formula are needed.
    """
    erlangs = peak.erlangs
    least = math.floor(erlangs) + 1

    def kept(slots: int) -> bool:
        wait = peak.wait(slots)
        return wait is None or wait.tail(wait_s) <= 0.05

    guess = max(least, math.ceil(erlangs + _spare(peak, wait_s) * math.sqrt(erlangs)))
    step = 1
    if kept(guess):
        low, high = guess - 1, guess
        while low >= least and kept(low):
            low, high, step = low - 2 * step, low, 2 * step
        low = max(low, least - 1)
    else:
        low, high = guess, guess + 1
        while not kept(high):
            low, high, step = high, high + 2 * step, 2 * step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if kept(middle) else (middle, high)
    return high


def _spare(peak: capacity.PeakHour, wait_s: float) -> float:
    """Return the spare slots, in roots of the load, with which about 5 % wait over ``wait_s``.

    Halfin and Whitt (1981, "Heavy-traffic limits for queues with many exponential servers",
    Operations Research 29): with β√a slots beyond the load a, 1/(1 + βΦ(β)/φ(β)) of the clips wait,
    here for exponential times scaled to the clips' spread.
    """
    mean_s = math.fsum(s * w for s, w in zip(peak.lengths_s, peak.shares, strict=True))
    square = math.fsum(s * s * w for s, w in zip(peak.lengths_s, peak.shares, strict=True))
    rate = math.sqrt(peak.erlangs) * wait_s / mean_s / (square / mean_s**2 / 2)
    low, high = 1e-3, 8.0
    for _ in range(24):
        beta = (low + high) / 2
        below = math.erfc(-beta / math.sqrt(2)) / 2
        density = math.exp(-beta * beta / 2) / math.sqrt(2 * math.pi)
        late = math.exp(-beta * rate) / (1 + beta * below / density)
        low, high = (beta, high) if late > 0.05 else (low, beta)
    return high


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a work asks of a hardware: lengths and loads of its interactive and batch streams."""

    loads: tuple[capacity.Load, ...]
    work: Work

    @property
    def peak(self) -> capacity.PeakHour:
        """The busiest hour of the week."""
        return capacity.PeakHour.of(self.loads, self.work.hours, self.work.peak_factor)

    @property
    def busy_hours(self) -> float:
        """Slot-hours of work in the month."""
        return math.fsum(load.busy_hours for load in self.loads)


def need_of(
    work: Work,
    hardware: Hardware,
    places: Sequence[int],
    interruptions_per_h: float = 0.0,
    end: End | None = None,
) -> Need:
    """Return the need of the streams at ``places`` of the hardware's, restarts on spot included."""
    loads = []
    for stream, i in zip(work.streams, places, strict=True):
        seconds = hardware.seconds(i, end)
        loads.append(
            capacity.Load(
                per_month=stream.attempts,
                slot_s=seconds * unitcost.spot_factor(seconds, interruptions_per_h),
                batch=stream.segment.batch,
            )
        )
    return Need(loads=tuple(loads), work=work)


def hourly_slots(need: Need, size: Callable[[capacity.PeakHour], int]) -> Slots:
    """Return slots for each hour of the week, as many as ``size`` says for the load of the hour.

    The load of an hour is the highest of its own and of the hours before it in which its clips may
    have begun, rounded up to a twelfth of the busiest hour's.
    """
    import numpy as np

    peak = need.peak
    shares = np.array(need.work.shares)
    back = math.ceil(max(peak.lengths_s) / 3600)
    highest = np.max([np.roll(shares, shift) for shift in range(back + 1)], axis=0)
    level = np.maximum(np.ceil(highest * _LEVELS - 1e-9), 1).astype(int)
    slots = {
        int(k): size(replace(peak, arrivals_per_s=peak.arrivals_per_s * int(k) / _LEVELS))
        for k in np.unique(level)
    }
    return np.array([slots[int(k)] for k in level], np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rent:
    """Instances of a base that stays all week and of a second offer hour by hour.

    With ``metered``, a serverless offer is paid for ``metered_hours`` slot-hours a week instead,
    and ``peak_counts`` are the slots in use at once on average, rounded up.
    """

    usd_per_week: float
    base: Buy | None
    base_count: int
    peak: Buy | None
    peak_counts: tuple[int, ...]
    metered: Buy | None = None
    metered_hours: float = 0.0

    @property
    def slots(self) -> Slots:
        """Slots rented in each hour of the week."""
        import numpy as np

        if self.metered:
            return np.array(self.peak_counts, np.int64)
        base = self.base.slots * self.base_count if self.base else 0
        more = self.peak.slots if self.peak else 0
        return np.array(self.peak_counts, np.int64) * more + base


def cheapest_rent(slots: Slots, buys: Sequence[Buy], *, by_the_hour: bool) -> Rent:
    """Return the cheapest base and hourly remainder over every pair of offers and size of base.

    More slots in any hour never cost less: an hour more costs an hour and saves at most one cold
    start, which is never longer than an hour.
    """
    import numpy as np

    most = int(slots.max())
    best: Rent | None = None
    hourly = [buy for buy in buys if by_the_hour and not buy.all_week]
    nothing = (0,) * len(slots)
    for base in (*buys, None):
        if base is not None:
            count = math.ceil(most / base.slots)
            cost = count * base.usd_per_hour * HOURS_PER_WEEK
            if best is None or cost < best.usd_per_week:
                best = Rent(usd_per_week=cost, base=base, base_count=count, peak=None,
                             peak_counts=nothing)  # fmt: skip
        for peak in hourly:
            if base is not None and base.usd_per_hour / base.slots > peak.usd_per_hour / peak.slots:
                continue
            counts = np.arange(math.ceil(most / base.slots) if base else 1)
            covered = counts * (base.slots if base else 0)
            rest = np.maximum(slots[None, :] - covered[:, None], 0)
            rented = -(-rest // peak.slots)
            starts = np.maximum(rented - np.roll(rented, 1, axis=1), 0).sum(axis=1)
            dollars = (rented.sum(axis=1) + starts * peak.cold_hours) * peak.usd_per_hour
            if base:
                dollars = dollars + counts * base.usd_per_hour * HOURS_PER_WEEK
            i = len(dollars) - 1 - int(np.argmin(dollars[::-1].round(6)))
            if best is None or dollars[i] < best.usd_per_week:
                best = Rent(
                    usd_per_week=float(dollars[i]),
                    base=base if counts[i] else None,
                    base_count=int(counts[i]),
                    peak=peak,
                    peak_counts=tuple(rented[i].tolist()),
                )
    if best is None:
        raise CannotServe("none of the offers can be rented")
    return best


def metered_rent(need: Need, buy: Buy, cold_start_s: float) -> Rent:
    """Return serverless use: each clip starts a worker of its own and pays for its cold start.

    That is dear where a warm worker would be found, and right where few clips come.
    """
    import numpy as np

    cold_s = Decimal(str(cold_start_s))
    hours = 0.0
    for load in need.loads:
        billed_s = buy.offer.billed_s(Decimal(str(round(load.slot_s, 6))), cold_s)
        hours += load.per_month * float(billed_s) / 3600
    weekly = hours * HOURS_PER_WEEK / need.work.hours
    shares = np.array(need.work.shares)
    at_once = np.ceil(weekly * shares / shares.sum()).astype(int)
    return Rent(
        usd_per_week=weekly * buy.usd_per_hour,
        base=None,
        base_count=0,
        peak=None,
        peak_counts=tuple(at_once.tolist()),
        metered=buy,
        metered_hours=weekly,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A fleet for one work: hardware, slots by hour, rent. ``kind`` says what fills it."""

    kind: Kind
    hardware: Hardware
    places: tuple[int, ...]
    work: Work
    need: Need
    rent: Rent
    wait_s: float

    @property
    def usd_per_month(self) -> float:
        """Rent of the month, by formula."""
        return self.rent.usd_per_week * self.work.hours / HOURS_PER_WEEK

    @property
    def interruptions_per_h(self) -> float:
        """Interruptions an hour of each rented instance."""
        buy = self.rent.peak or self.rent.base
        return buy.interruptions_per_h if buy else 0.0

    @property
    def paid_slot_hours(self) -> float:
        """Slot-hours rented in the month; cold starts are in those that are paid by use."""
        week = self.rent.metered_hours if self.rent.metered else float(self.rent.slots.sum())
        return week * self.work.hours / HOURS_PER_WEEK


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The candidates for one work at one promise."""

    work: Work
    hardware: tuple[Hardware, ...]
    wishes: Wishes
    promise_s: float

    def allowed_wait_s(self, hardware: Hardware) -> float:
        """Return the wait that keeps the promised wait and start to finish; may be negative."""
        allowed = self.promise_s
        for i, stream in enumerate(self.work.streams):
            if not stream.segment.batch:
                finish_s = self.wishes.finish_s
                if finish_s is None:
                    finish_s = self.promise_s + self.work.own_seconds[i]
                allowed = min(allowed, finish_s - hardware.seconds(i))
        return allowed

    def best(self, kind: Kind, keep: int = 2) -> list[Candidate]:
        """Return the cheapest candidates, best first, each of another hardware or purchase."""
        places = tuple(
            i
            for i, stream in enumerate(self.work.streams)
            if kind == "both" or stream.segment.batch is (kind == "batch")
        )
        work = self.work.at(places)
        ranked = sorted(
            (
                (self.bound(kind, hardware, work, places), hardware)
                for hardware in self.hardware
                if kind == "batch" or self.allowed_wait_s(hardware) >= 0
            ),
            key=lambda pair: pair[0],
        )
        found: list[Candidate] = []
        for bound, hardware in ranked:
            found.sort(key=lambda candidate: candidate.usd_per_month)
            if len(found) >= keep and bound >= found[keep - 1].usd_per_month:
                break
            found += self.candidates(kind, hardware, work, places)
        return sorted(found, key=lambda candidate: candidate.usd_per_month)

    def bound(
        self,
        kind: Kind,
        hardware: Hardware,
        work: Work,
        places: tuple[int, ...],
    ) -> float:
        """Return USD a month that no fleet of this hardware undercuts: slots that just keep up."""
        need = need_of(work, hardware, places)
        dollars = min((buy.usd_per_hour / buy.slots for buy in hardware.buys), default=math.inf)
        if kind != "people":
            return need.busy_hours * dollars
        by_use = math.inf
        if hardware.serverless:
            by_use = need.busy_hours * hardware.serverless.usd_per_hour
        if not hardware.buys:
            return by_use
        least = hourly_slots(need, lambda peak: math.floor(peak.erlangs) + 1)
        rent = cheapest_rent(least, hardware.buys, by_the_hour=self.wishes.by_the_hour)
        return min(by_use, rent.usd_per_week * work.hours / HOURS_PER_WEEK)

    def candidates(
        self,
        kind: Kind,
        hardware: Hardware,
        work: Work,
        places: tuple[int, ...],
        end: End | None = None,
    ) -> Iterator[Candidate]:
        """Yield the steady, the spot and the serverless fleet of one hardware, if they can be."""
        wait_s = math.inf if kind == "batch" else self.allowed_wait_s(hardware)
        if wait_s < 0:
            return
        groups: dict[float, list[Buy]] = {}
        for buy in hardware.buys:
            groups.setdefault(buy.interruptions_per_h, []).append(buy)
        rents = []
        for rate, buys in groups.items():
            need = need_of(work, hardware, places, rate, end)
            rents.append((need, self.rent(kind, need, buys, wait_s)))
        cold_start_s = self.wishes.cold_start_s
        if kind == "people" and hardware.serverless and cold_start_s <= wait_s:
            need = need_of(work, hardware, places, end=end)
            rents.append((need, metered_rent(need, hardware.serverless, cold_start_s)))
        for need, rent in rents:
            yield Candidate(
                kind=kind,
                hardware=hardware,
                places=places,
                work=work,
                need=need,
                rent=rent,
                wait_s=wait_s,
            )

    def rent(
        self, kind: Kind, need: Need, buys: Sequence[Buy],
        wait_s: float,
    ) -> Rent:  # fmt: skip
        """Return the cheapest rent for a need: by the hour for people, level for batch work."""
        import numpy as np

        if kind == "people":
            slots = hourly_slots(need, lambda peak: fewest_slots(peak, wait_s))
            return cheapest_rent(slots, buys, by_the_hour=self.wishes.by_the_hour)
        load = need.busy_hours / need.work.hours / need.work.batch_utilisation
        if kind == "both":
            peak = need.peak
            count = fewest_slots(peak, wait_s)
            level = np.full(HOURS_PER_WEEK, max(count, math.ceil(load)), np.int64)
            return cheapest_rent(level, buys, by_the_hour=False)
        part = math.ceil((load - math.floor(load)) * HOURS_PER_WEEK)
        level = math.floor(load) + (np.arange(HOURS_PER_WEEK) < part).astype(np.int64)
        return cheapest_rent(level, buys, by_the_hour=self.wishes.by_the_hour)


def divisions(work: Work) -> list[tuple[Kind, ...]]:
    """Return the ways to divide a work: each kind on GPUs of its own, or both on the same."""
    batch = [stream.segment.batch for stream in work.streams]
    if all(batch):
        return [("batch",)]
    if any(batch):
        return [("people", "batch"), ("both",)]
    return [("people",)]
