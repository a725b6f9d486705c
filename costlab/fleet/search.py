"""How many slots the promise needs hour by hour, and how they are bought for the least money.

A fleet is made of a base that stays all week, a remainder by the hour, which may be other GPUs, and
a way out for the clips that would wait too long: an API, or a serverless worker that starts for
them::

    arrivals ──▶ base, then remainder ──▶ queue ──▶ (too long?) ──▶ API or a new worker
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from costlab import capacity, unitcost
from costlab.core import CannotServe
from costlab.fleet.rent import Rent, cheapest_rent
from costlab.fleet.work import HOURS_PER_WEEK, Buy, End, Hardware, Wishes, Work

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Slots = NDArray[np.int64]

T = TypeVar("T")
Kind = Literal["people", "batch", "both"]
Way = Literal["one kind", "mixed", "spot beside", "serverless", "handed over"]
_LEVELS = 12
"""Steps into which the load of an hour is rounded up, as a share of the busiest hour's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a work asks of a hardware: lengths and loads of its streams, spot restarts included."""

    loads: tuple[capacity.Load, ...]
    work: Work
    interruptions_per_h: float = 0.0

    @property
    def peak(self) -> capacity.PeakHour:
        """The busiest hour of the week."""
        return capacity.PeakHour.of(self.loads, self.work.hours, self.work.peak_factor)

    @property
    def busy_hours(self) -> float:
        """Slot-hours of work in the month."""
        return math.fsum(load.busy_hours for load in self.loads)

    @property
    def attempts(self) -> float:
        """Attempts in the month."""
        return math.fsum(load.per_month for load in self.loads)


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
    return Need(loads=tuple(loads), work=work, interruptions_per_h=interruptions_per_h)


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


# ── Handing over what would wait ──────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class WayOut:
    """Where clips go that would wait longer than ``after_wait_s`` for a slot.

    With ``worker`` a serverless worker starts for each of them; otherwise ``routes`` are the APIs
    that take them, one a stream. ``usd`` is what one attempt of each stream costs there, ``most``
    the largest share of an hour's clips that may go.
    """

    usd: tuple[float, ...]
    after_wait_s: float
    most: float
    routes: tuple[unitcost.UnitCost, ...] = ()
    worker: Buy | None = None


def handed_over(need: Need, most: int, after_wait_s: float) -> NDArray[np.float64]:
    """Return the share handed over, by hour of the week (rows) and slots 0 … ``most`` (columns).

    At once, Erlang's loss formula: exact for any law of render times (Sevastyanov, 1957). With
    places to wait, M/M/c with as many places, b·ρ^k / (1 + b(ρ + … + ρ^k)), where clips of less
    spread than the exponential's use their n places like k = n(1 + (1 − scv)·x/(x + 0.85)) of
    them, x = n/√slots: an estimate, fitted on 2026-11-22 to simulations of constant times, 3 to
    100 slots, loads 0.8 to 1.1.
    """
    import numpy as np

    shares, back = np.unique(np.array(need.work.shares), return_inverse=True)
    peak = need.peak
    erlangs = np.maximum(shares * peak.erlangs, 1e-12)
    lost = np.ones((most + 1, len(shares)))
    for count in range(1, most + 1):
        lost[count] = erlangs * lost[count - 1] / (count + erlangs * lost[count - 1])
    if after_wait_s > 0 and most:
        slots = np.arange(1, most + 1)[:, None]
        mean_s = peak.erlangs / peak.arrivals_per_s
        square = math.fsum(s * s * w for s, w in zip(peak.lengths_s, peak.shares, strict=True))
        spread = square / mean_s**2 - 1
        places = after_wait_s * slots / mean_s
        x = places / np.sqrt(slots)
        k = places * (1 + max(0.0, 1 - spread) * x / (x + 0.85))
        load = erlangs[None, :] / slots
        load = np.where(np.abs(load - 1) < 1e-9, 1 + 1e-9, load)
        grown = np.exp(np.minimum(k * np.log(load), 600))
        waiting = load * (grown - 1) / (load - 1)
        lost[1:] = lost[1:] * grown / (1 + lost[1:] * waiting)
    return lost.T[back]


def busiest_share(need: Need, slots: int, way_out: WayOut, factor: float = 1.0) -> float:
    """Return the share handed over in the busiest hour at ``slots``, with ``factor`` × clips."""
    more = replace(
        need,
        loads=tuple(replace(load, per_month=load.per_month * factor) for load in need.loads),
        work=replace(need.work, shares=(1.0,)),
    )
    return float(handed_over(more, slots, way_out.after_wait_s)[0, slots])


def cheapest_beside(
    need: Need,
    buys: Sequence[Buy],
    way_out: WayOut,
    *,
    by_the_hour: bool,
    under_usd: float = math.inf,
) -> Rent | None:
    """Return the cheapest rent where clips that would wait too long are handed over.

    Each slot more, hour by hour, saves what it keeps from being handed over. A slot of the base
    must save its rent over the week; an hourly one is on where that pays for the hours and starts
    (a path through 168 hours, slot by slot). Nothing else couples the slots, so that is the least
    there is, as far as each slot saves less than the one before. None where too large a share
    would be handed over, or where it would cost ``under_usd`` a week or more.
    """
    import numpy as np

    erlangs = need.peak.erlangs
    most = math.ceil(erlangs + 4 * math.sqrt(erlangs)) + 6
    share = handed_over(need, most, way_out.after_wait_s)
    clips = np.array(need.work.shares)
    clips = clips / clips.sum() * need.attempts * HOURS_PER_WEEK / need.work.hours
    weights = np.array([load.per_month for load in need.loads])
    usd_each = float(np.array(way_out.usd) @ weights / weights.sum())
    bought = share * (clips * usd_each)[:, None]
    least = np.argmax(share <= way_out.most + 1e-12, axis=1)
    must = np.arange(most)[:, None] < least[None, :]
    saved = must * _MUST_USD - np.diff(bought, axis=1).T
    nothing_usd = float(bought[:, 0].sum()) + int(must.sum()) * _MUST_USD
    gained = np.append(0.0, np.cumsum(saved.sum(axis=1)))

    hourly = [buy for buy in buys if by_the_hour and not buy.all_week]
    best: tuple[float, Buy | None, int, Buy | None, Slots] | None = None
    for bound, peak in sorted(
        ((_relaxed_usd(saved, gained, buys, one), one) for one in (*hourly, None)),
        key=lambda pair: pair[0],
    ):
        limit = min(under_usd, best[0] if best else math.inf)
        if nothing_usd + bound >= limit - 1e-6:
            break
        paths: dict[int, tuple[NDArray[np.float64], NDArray[np.bool_]]] = {}
        for base in (*buys, None):
            step = base.slots if base else 1
            counts = np.arange(most // step + 1) if base else np.zeros(1, np.int64)
            totals = nothing_usd - gained[counts * step]
            totals += counts * (base.usd_per_hour * HOURS_PER_WEEK if base else 0.0)
            if peak:
                for count in counts.tolist():
                    first, offset = divmod(count * step, peak.slots)
                    if offset not in paths:
                        paths[offset] = _hours_on(saved[offset:], peak)
                    totals[count] -= paths[offset][0][first:].sum()
            count = int(np.argmin(totals.round(6)))
            if best is None or totals[count] < best[0] - 1e-6:
                on = np.zeros(HOURS_PER_WEEK, np.int64)
                if peak:
                    first, offset = divmod(count * step, peak.slots)
                    on = paths[offset][1][first:].sum(axis=0)
                best = float(totals[count]), base, count, peak, on
    if best is None:
        return None
    _, base, count, peak, on = best
    slots = on * (peak.slots if peak else 0) + count * (base.slots if base else 0)
    slots = np.minimum(slots, most)
    rows = np.arange(HOURS_PER_WEEK)
    if (share[rows, slots] > way_out.most + 1e-9).any():
        return None
    away = bought[rows, slots]
    cost = float(away.sum()) + count * (base.usd_per_hour * HOURS_PER_WEEK if base else 0.0)
    if peak:
        starts = int(np.maximum(on - np.roll(on, 1), 0).sum())
        cost += (float(on.sum()) + starts * peak.cold_hours) * peak.usd_per_hour
    return Rent(
        usd_per_week=cost,
        base=base if count else None,
        base_count=count,
        peak=peak if on.any() else None,
        peak_counts=tuple(on.tolist()),
        handed_over=tuple(share[rows, slots].tolist()),
        handed_over_usd=float(away.sum()),
    )


def _relaxed_usd(
    saved: NDArray[np.float64],
    gained: NDArray[np.float64],
    buys: Sequence[Buy],
    peak: Buy | None,
) -> float:
    """Return what no base with this remainder undercuts: starts cost nothing, parts of instances
    can be rented."""
    import numpy as np

    above = np.zeros(len(gained))
    if peak:
        hourly = np.maximum(saved - peak.usd_per_hour / peak.slots, 0).sum(axis=1)
        above[:-1] = np.cumsum(hourly[::-1])[::-1]
    week = min(buy.usd_per_hour / buy.slots for buy in buys) * HOURS_PER_WEEK
    return float((np.arange(len(gained)) * week - gained - above).min())


_MUST_USD = 1e5
"""What a slot saves in an hour that must have it: more than any hour of it costs."""


def _hours_on(
    saved: NDArray[np.float64], peak: Buy
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the gain of each hourly instance over the week, and the hours that it is on.

    ``saved`` has a row a slot. The best cyclic path of on and off, where each start costs a cold
    start (Viterbi, from either state of the first hour).
    """
    import numpy as np

    groups = -(-len(saved) // peak.slots)
    hours = saved.shape[1]
    padded = np.zeros((groups * peak.slots, hours))
    padded[: len(saved)] = saved
    gain = padded.reshape(groups, peak.slots, hours).sum(axis=1) - peak.usd_per_hour
    gain = gain[: int(np.argmin(np.append((gain > 0).any(axis=1), False)))]
    groups = len(gain)
    start = peak.cold_hours * peak.usd_per_hour
    by_hour = np.ascontiguousarray(gain.T)
    on, off = np.full((2, groups), -np.inf), np.full((2, groups), -np.inf)
    off[0], on[1] = 0.0, by_hour[0]
    from_on = np.empty((hours, 2, 2, groups), np.bool_)
    for hour in range(1, hours):
        begun = off - start
        np.greater(on, off, out=from_on[hour, 0])
        np.greater_equal(on, begun, out=from_on[hour, 1])
        off = np.maximum(on, off)
        on = np.maximum(on, begun)
        on += by_hour[hour]
    ends = np.stack([off, on])
    ends[0, 1] -= start
    flat = ends.reshape(4, groups)
    best = np.argmax(flat, axis=0)
    columns = np.arange(groups)
    state, began = best // 2, best % 2
    path = np.empty((hours, groups), np.bool_)
    for hour in range(hours - 1, -1, -1):
        path[hour] = state
        if hour:
            state = from_on[hour, state, began, columns].astype(np.int64)
    return flat[best, columns], path.T


# ── Candidates ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A fleet for one work: hardware, slots by hour, rent. ``kind`` says what fills it.

    ``remainder`` is the other hardware, with its need, where the hourly part is another kind.
    """

    kind: Kind
    hardware: Hardware
    places: tuple[int, ...]
    work: Work
    need: Need
    rent: Rent
    wait_s: float
    remainder: tuple[Hardware, Need] | None = None
    way_out: WayOut | None = None

    @property
    def way(self) -> Way:
        """What kind of fleet it is."""
        if self.way_out:
            return "serverless" if self.way_out.worker else "handed over"
        if self.remainder is None:
            return "one kind"
        return "mixed" if self.remainder[0] is not self.hardware else "spot beside"

    @property
    def usd_per_month(self) -> float:
        """Rent and what is handed over in the month, by formula."""
        return self.rent.usd_per_week * self.work.hours / HOURS_PER_WEEK

    @property
    def handed_over_usd(self) -> float:
        """What is handed over in the month, in dollars."""
        return self.rent.handed_over_usd * self.work.hours / HOURS_PER_WEEK

    @property
    def handed_over_share(self) -> float:
        """The share of the month's clips that is handed over."""
        if not self.rent.handed_over:
            return 0.0
        pairs = zip(self.rent.handed_over, self.work.shares, strict=True)
        return math.fsum(part * share for part, share in pairs) / math.fsum(self.work.shares)

    @property
    def by_use_hours(self) -> float:
        """Slot-hours of serverless workers that start for a clip, as billed in the month."""
        if self.way_out is None or self.way_out.worker is None:
            return 0.0
        return self.handed_over_usd / self.way_out.worker.usd_per_hour

    @property
    def paid_slot_hours(self) -> float:
        """Slot-hours rented in the month; cold starts are in those that are paid by use."""
        week = float(self.rent.slots.sum())
        return week * self.work.hours / HOURS_PER_WEEK + self.by_use_hours


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The candidates for one work at one promise."""

    work: Work
    hardware: tuple[Hardware, ...]
    wishes: Wishes
    promise_s: float
    hand_over: HandOver | None = None
    bounds: dict[Any, float] = field(default_factory=dict, repr=False, compare=False)

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
        """Return the cheapest candidates, best first.

        Of fleets of one kind of GPU ``keep`` and of those that mix kinds or hand clips over the
        best, as far as they could be among the ``keep`` cheapest of all.
        """
        places = tuple(
            i
            for i, stream in enumerate(self.work.streams)
            if kind == "both" or stream.segment.batch is (kind == "batch")
        )
        work = self.work.at(places)
        hardware = [
            one for one in self.hardware if kind == "batch" or self.allowed_wait_s(one) >= 0
        ]
        found = _cheapest(
            [(self._bound(kind, one, work, places), one) for one in hardware],
            lambda one, _: self.candidates(kind, one, work, places),
            keep,
        )
        if kind == "people":
            for options in (self._serverless, self._handed_over, self._mixed):
                found += options(hardware, work, places, found, keep)
        return sorted(found, key=lambda candidate: candidate.usd_per_month)

    def _once(self, key: tuple[Any, ...], bound: Callable[[], float]) -> float:
        """Return a bound that no promise changes, found once for all of them."""
        if key not in self.bounds:
            self.bounds[key] = bound()
        return self.bounds[key]

    def _bound(self, kind: Kind, hardware: Hardware, work: Work, places: tuple[int, ...]) -> float:
        """Return USD a month that no fleet of this hardware undercuts: slots that just keep up."""

        def dollars() -> float:
            need = need_of(work, hardware, places)
            if not hardware.buys:
                return math.inf
            if kind != "people":
                return need.busy_hours * min(buy.usd_per_hour / buy.slots for buy in hardware.buys)
            rent = cheapest_rent(
                _just_enough(need), hardware.buys, by_the_hour=self.wishes.by_the_hour
            )
            return rent.usd_per_week * work.hours / HOURS_PER_WEEK

        return self._once((kind, hardware.name, places), dollars)

    def candidates(
        self,
        kind: Kind,
        hardware: Hardware,
        work: Work,
        places: tuple[int, ...],
        end: End | None = None,
    ) -> Iterator[Candidate]:
        """Yield the steady and the spot fleet of one hardware, if they can be."""
        wait_s = math.inf if kind == "batch" else self.allowed_wait_s(hardware)
        if wait_s < 0:
            return
        for rate, buys in by_rate(hardware).items():
            need = need_of(work, hardware, places, rate, end)
            yield Candidate(
                kind=kind,
                hardware=hardware,
                places=places,
                work=work,
                need=need,
                rent=self.rent(kind, need, buys, wait_s),
                wait_s=wait_s,
            )

    def rent(self, kind: Kind, need: Need, buys: Sequence[Buy], wait_s: float) -> Rent:
        """Return the cheapest rent for a need: by the hour for people, level for batch work."""
        import numpy as np

        if kind == "people":
            slots = hourly_slots(need, lambda peak: peak.fewest_slots(wait_s))
            return cheapest_rent(slots, buys, by_the_hour=self.wishes.by_the_hour)
        load = need.busy_hours / need.work.hours / need.work.batch_utilisation
        if kind == "both":
            peak = need.peak
            count = peak.fewest_slots(wait_s)
            level = np.full(HOURS_PER_WEEK, max(count, math.ceil(load)), np.int64)
            return cheapest_rent(level, buys, by_the_hour=False)
        part = math.ceil((load - math.floor(load)) * HOURS_PER_WEEK)
        level = math.floor(load) + (np.arange(HOURS_PER_WEEK) < part).astype(np.int64)
        return cheapest_rent(level, buys, by_the_hour=self.wishes.by_the_hour)

    def mixed(
        self,
        base: Hardware,
        other: Hardware,
        rate: float,
        work: Work,
        places: tuple[int, ...],
        end: End | None = None,
    ) -> Candidate | None:
        """Return a steady base of one hardware with the other's offers of a rate by the hour."""
        wait_s = min(self.allowed_wait_s(base), self.allowed_wait_s(other))
        need, more = need_of(work, base, places, 0.0, end), need_of(work, other, places, rate, end)
        try:
            rent = cheapest_rent(
                hourly_slots(need, lambda peak: peak.fewest_slots(wait_s)),
                _bases(base),
                by_the_hour=self.wishes.by_the_hour,
                remainder=(
                    hourly_slots(more, lambda peak: peak.fewest_slots(wait_s)),
                    by_rate(other)[rate],
                ),
            )
        except CannotServe:
            return None
        return Candidate(
            kind="people",
            hardware=base,
            places=places,
            work=work,
            need=need,
            rent=rent,
            wait_s=wait_s,
            remainder=(other, more),
        )

    def _mixed(
        self,
        hardware: Sequence[Hardware],
        work: Work,
        places: tuple[int, ...],
        found: Sequence[Candidate],
        keep: int,
    ) -> list[Candidate]:
        """Return the cheapest fleet whose hourly part is another kind of GPU, or on spot."""
        if not (self.wishes.mix and self.wishes.by_the_hour):
            return []
        enough: dict[str, Slots] = {}

        def slots(one: Hardware) -> Slots:
            if one.name not in enough:
                enough[one.name] = _just_enough(need_of(work, one, places))
            return enough[one.name]

        def bound(base: Hardware, other: Hardware, rate: float) -> float:
            try:
                rent = cheapest_rent(
                    slots(base), _bases(base), by_the_hour=True,
                    remainder=(slots(other), by_rate(other)[rate]),
                )  # fmt: skip
            except CannotServe:
                return math.inf
            return rent.usd_per_week * work.hours / HOURS_PER_WEEK

        pairs = [
            (base, other, rate)
            for base in hardware
            if _bases(base)
            for other in hardware
            for rate in by_rate(other)
            if rate or other is not base
        ]
        bounded = [
            (
                self._once(
                    ("mixed", base.name, other.name, rate, places),
                    partial(bound, base, other, rate),
                ),
                (base, other, rate),
            )
            for base, other, rate in pairs
        ]

        def of(pair: tuple[Hardware, Hardware, float], _limit: float) -> Iterator[Candidate]:
            one = self.mixed(*pair, work, places)
            if one and one.rent.base_count and any(one.rent.peak_counts):
                yield one

        return _cheapest(bounded, of, 1, found, keep)

    def beside(
        self,
        hardware: Hardware,
        rate: float,
        way_out: WayOut,
        work: Work,
        places: tuple[int, ...],
        end: End | None = None,
        under_usd: float = math.inf,
    ) -> Candidate | None:
        """Return the cheapest fleet of a hardware that hands over what would wait too long."""
        need = need_of(work, hardware, places, rate, end)
        if way_out.worker:
            buys: Sequence[Buy] = (way_out.worker,)
        else:
            buys = by_rate(hardware).get(rate, ())
        rent = cheapest_beside(
            need,
            buys,
            way_out,
            by_the_hour=self.wishes.by_the_hour and not way_out.worker,
            under_usd=under_usd * HOURS_PER_WEEK / work.hours,
        )
        if rent is None:
            return None
        return Candidate(
            kind="people",
            hardware=hardware,
            places=places,
            work=work,
            need=need,
            rent=rent,
            wait_s=self.allowed_wait_s(hardware),
            way_out=way_out,
        )

    def _handed_over(
        self,
        hardware: Sequence[Hardware],
        work: Work,
        places: tuple[int, ...],
        found: Sequence[Candidate],
        keep: int,
    ) -> list[Candidate]:
        """Return the cheapest fleet that hands clips to APIs."""
        if self.hand_over is None:
            return []
        outs = {
            one.name: self.hand_over.way_out(self.allowed_wait_s(one), places) for one in hardware
        }
        options = [
            (
                self._once(
                    ("fluid", one.name, self.hand_over.most, places),
                    partial(self._fluid, one, outs[one.name], work, places),
                ),
                (one, rate),
            )
            for one in hardware
            for rate in by_rate(one)
        ]

        def of(option: tuple[Hardware, float], limit: float) -> Iterator[Candidate]:
            one, rate = option
            made = self.beside(one, rate, outs[one.name], work, places, under_usd=limit)
            if made:
                yield made

        return _cheapest(options, of, 1, found, keep)

    def best_handed_over(self, places: tuple[int, ...]) -> Candidate | None:
        """Return the cheapest fleet that hands clips to APIs, if any can."""
        hardware = [one for one in self.hardware if self.allowed_wait_s(one) >= 0]
        found = self._handed_over(hardware, self.work.at(places), places, (), 1)
        return found[0] if found else None

    def _fluid(
        self, hardware: Hardware, way_out: WayOut, work: Work, places: tuple[int, ...]
    ) -> float:
        """Return USD a month that no fleet which hands over undercuts: as if clips came evenly."""
        import numpy as np

        need = need_of(work, hardware, places)
        loads = np.array(work.shares) * need.peak.erlangs
        level = np.arange(math.ceil(loads.max()))[:, None]
        kept = np.clip(loads[None, :] - level, 0.0, 1.0)
        weights = [load.per_month for load in need.loads]
        each = math.fsum(u * w for u, w in zip(way_out.usd, weights, strict=True))
        per_hour = each / need.busy_hours
        week = min((buy.usd_per_hour / buy.slots for buy in hardware.buys), default=math.inf)
        hour = [buy.usd_per_hour / buy.slots for buy in hardware.buys if not buy.all_week]
        saved = kept * per_hour
        gain = saved.sum(axis=1) - week * HOURS_PER_WEEK
        if hour and self.wishes.by_the_hour:
            gain = np.maximum(gain, np.maximum(saved - min(hour), 0.0).sum(axis=1))
        free = float(saved.sum() - np.maximum(gain, 0.0).sum())
        most = way_out.most
        capped = float(loads.sum()) * ((1 - most) * week + most * min(week, per_hour))
        return max(free, capped) * work.hours / HOURS_PER_WEEK

    def _serverless(
        self,
        hardware: Sequence[Hardware],
        work: Work,
        places: tuple[int, ...],
        found: Sequence[Candidate],
        keep: int,
    ) -> list[Candidate]:
        """Return the cheapest serverless fleet: warm workers, and one that starts for the rest."""
        options = []
        for one in hardware:
            if one.serverless:
                need = need_of(work, one, places)
                options.append((need.busy_hours * one.serverless.usd_per_hour, one))

        def of(one: Hardware, limit: float) -> Iterator[Candidate]:
            worker = self.worker(one, places)
            made = self.beside(one, 0.0, worker, work, places, under_usd=limit)
            if made:
                yield made

        return _cheapest(options, of, 1, found, keep)

    def worker(self, hardware: Hardware, places: Sequence[int], end: End | None = None) -> WayOut:
        """Return the serverless workers that start for clips which find no warm one.

        If a start takes longer than people wait, at most 5 % of an hour's clips may need one.
        """
        buy = hardware.serverless
        assert buy is not None
        cold_s = Decimal(str(self.wishes.cold_start_s))
        billed = [
            float(buy.offer.billed_s(Decimal(str(round(hardware.seconds(i, end), 6))), cold_s))
            for i in places
        ]
        patient = self.wishes.cold_start_s <= self.allowed_wait_s(hardware)
        return WayOut(
            usd=tuple(s / 3600 * buy.usd_per_hour for s in billed),
            after_wait_s=0.0,
            most=1.0 if patient else 0.05,
            worker=replace(buy, cold_hours=0.0),
        )

    def stricter(self, candidate: Candidate, rounds: int) -> Candidate | None:
        """Return the candidate with more slots, or one that hands clips over sooner."""
        out = candidate.way_out
        if out is None or out.worker:
            return replace(candidate, rent=candidate.rent.grown())
        sooner = replace(out, after_wait_s=out.after_wait_s / 2 if rounds < 2 else 0.0)
        rate = candidate.need.interruptions_per_h
        return (
            self.beside(candidate.hardware, rate, sooner, candidate.work, candidate.places)
            if out.after_wait_s
            else None
        )

    def again(self, candidate: Candidate, factor: float, end: End | None = None) -> float:
        """Return USD a month on the same hardware, bought anew for ``factor`` times the clips."""
        one, work = candidate, candidate.work.times(factor)
        rate = one.need.interruptions_per_h
        if one.remainder:
            other, more = one.remainder
            made = self.mixed(one.hardware, other, more.interruptions_per_h, work, one.places, end)
        elif one.way_out:
            out = one.way_out
            if out.worker:
                out = self.worker(one.hardware, one.places, end)
            made = self.beside(one.hardware, rate, out, work, one.places, end)
        else:
            alike = replace(one.hardware, buys=tuple(by_rate(one.hardware)[rate]))
            made = next(self.candidates(one.kind, alike, work, one.places, end), None)
        return made.usd_per_month if made else math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """The APIs that take clips when the GPUs are busy, one a stream of the work.

    ``usd`` is for one attempt in place of an own one. Clips go where they would wait longer than
    ``after_wait_s`` (None: than is allowed); at most the share ``most`` of an hour's.
    """

    routes: tuple[unitcost.UnitCost | None, ...]
    usd: tuple[float, ...]
    after_wait_s: float | None
    most: float

    def way_out(self, allowed_wait_s: float, places: Sequence[int]) -> WayOut:
        """Return the way out for the streams at ``places``."""
        after = allowed_wait_s
        if self.after_wait_s is not None:
            after = min(after, self.after_wait_s)
        return WayOut(
            usd=tuple(self.usd[i] for i in places),
            after_wait_s=after,
            most=self.most,
            routes=tuple(route for i in places if (route := self.routes[i]) is not None),
        )


def by_rate(hardware: Hardware) -> dict[float, list[Buy]]:
    """Return the offers by how often their instances are interrupted."""
    groups: dict[float, list[Buy]] = {}
    for buy in hardware.buys:
        groups.setdefault(buy.interruptions_per_h, []).append(buy)
    return groups


def _bases(hardware: Hardware) -> list[Buy]:
    """Return the offers that are only rented all week, for which others are worth a mix."""
    return [buy for buy in hardware.buys if buy.all_week]


def _just_enough(need: Need) -> Slots:
    return hourly_slots(need, lambda peak: math.floor(peak.erlangs) + 1)


def _cheapest(
    bounded: Sequence[tuple[float, T]],
    candidates_of: Callable[[T, float], Iterable[Candidate]],
    wanted: int,
    beside: Sequence[Candidate] = (),
    keep: int = 1,
) -> list[Candidate]:
    """Return the ``wanted`` cheapest candidates: lowest bounds first, until none can be better.

    Those are left out that could not be among the ``keep`` cheapest with ``beside``.
    ``candidates_of`` may leave out what costs the given limit or more.
    """
    rivals = sorted(candidate.usd_per_month for candidate in beside)
    limit = rivals[keep - 1] if len(rivals) >= keep else math.inf
    found: list[Candidate] = []
    for bound, option in sorted(bounded, key=lambda pair: pair[0]):
        if len(found) >= wanted:
            limit = min(limit, found[wanted - 1].usd_per_month)
        if bound >= limit:
            break
        found += candidates_of(option, limit)
        found.sort(key=lambda candidate: candidate.usd_per_month)
    return found


def divisions(work: Work) -> list[tuple[Kind, ...]]:
    """Return the ways to divide a work: each kind on GPUs of its own, or both on the same."""
    batch = [stream.segment.batch for stream in work.streams]
    if all(batch):
        return [("batch",)]
    if any(batch):
        return [("people", "batch"), ("both",)]
    return [("people",)]
