"""A fleet played out clip by clip: does it keep the promise, and what does a day look like?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from costlab import capacity
from costlab.core import CannotServe
from costlab.fleet.search import Candidate, Search, cheapest_rent
from costlab.fleet.work import HOURS_PER_WEEK

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Slots = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class HourSeen:
    """An hour of a simulated day, counted at its middle; waits of those who asked in that hour."""

    hour: int
    asked: int
    slots: int
    rendering: int
    waiting: int
    p95_wait_s: float
    longest_wait_s: float


_OFF = "switched off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What a simulation of a week and of many busiest days showed."""

    p95_wait: capacity.Observed
    week_p95_s: float
    finish_s: Mapping[str, float]
    busy_by_hour: tuple[float, ...]
    waits: tuple[tuple[float, float, float], ...]
    day: tuple[HourSeen, ...]
    clips: int

    def keeps(self, wait_s: float) -> bool:
        """Whether the promise holds within the interval of the busiest hour, and over the week."""
        return self.p95_wait.interval.low <= wait_s and self.week_p95_s <= wait_s


def play(candidate: Candidate, promise_s: float, cold_start_s: float, seed: int = 1) -> Played:
    """Play a week, then the busiest day over and over, and watch that day's busiest hour.

    A slot that is not rented is held by a most urgent request of that length, so that a clip on it
    is finished first. A clip on spot that is interrupted starts over, and its slot is back after
    ``cold_start_s``. Serverless workers start when a clip waits and go when idle.
    """
    import numpy as np

    work, week = candidate.work, candidate.rent.slots
    shares = np.array(work.shares)
    top = int(np.argmax(shares))
    day = top - top % 24
    mean = float(shares.mean())
    per_peak_hour = candidate.need.peak.arrivals_per_s * 3600
    days = 20 * min(10, max(1, math.ceil(200 / max(per_peak_hour, 1e-9))))
    order = np.append(np.arange(HOURS_PER_WEEK), np.tile(np.arange(day, day + 24), days))
    slots = week[order]
    most = int(slots.max())
    by_use = candidate.rent.metered
    if by_use:
        most = math.ceil(3 * most + 20)
        slots = np.full(len(order), most)
    both = candidate.kind == "both"
    workloads, rates = [], []
    for stream, i in zip(work.streams, candidate.places, strict=True):
        batch = stream.segment.batch
        workloads.append(
            capacity.Workload(
                name=stream.segment.name,
                service_s={"pool": candidate.hardware.seconds(i)},
                priority=2 if batch else 1,
                steps=candidate.hardware.predictions[i].question.steps if batch else 1,
            )
        )
        hourly = np.ones(len(order)) if batch else shares[order] / mean
        rates.append(hourly * stream.attempts / work.hours)
    drawn = capacity.Demand.drawn(
        [(one, rate.tolist()) for one, rate in zip(workloads, rates, strict=True)],
        float(len(order)),
        seed,
    )
    off_s, off_hours = _off_times(slots, most)
    at = np.append(drawn.arrival_s, off_s)
    sequence = np.argsort(at, kind="stable")
    off = capacity.Workload(name=_OFF, service_s={"pool": 3600.0}, steps=1000)
    demand = capacity.Demand(
        workloads=(*drawn.workloads, off),
        arrival_s=at[sequence],
        kind=np.append(drawn.kind, np.full(len(off_s), len(workloads))).astype(np.uint16)[sequence],
        work=np.append(drawn.work, off_hours)[sequence],
    )
    pool = capacity.Pool(
        name="pool",
        servers=most,
        min_servers=0 if by_use else None,
        idle_timeout_s=float(by_use.offer.idle_tail_s or 0) if by_use else math.inf,
        cold_start_s=(cold_start_s,),
        interruptions_per_h=candidate.interruptions_per_h,
        checkpoint=not both,
        preemptive=both,
    )
    seen = capacity.simulate_pools([pool], demand, seed)
    clip = demand.kind < len(workloads)
    people = clip & np.isin(
        demand.kind, [k for k, one in enumerate(workloads) if one.priority == 1]
    )
    hour = (demand.arrival_s // 3600).astype(int)
    in_days = people & (hour >= HOURS_PER_WEEK)
    rush = in_days & ((hour - HOURS_PER_WEEK) % 24 == top - day)
    replica = (hour - HOURS_PER_WEEK) // 24 * 20 // days
    wait = seen.wait_s
    batches = [wait[rush & (replica == n)] for n in range(20)]
    in_week = people & (hour < HOURS_PER_WEEK)
    finish = seen.start_to_finish_s
    return Played(
        p95_wait=capacity.observe([_p95(one) for one in batches], _p95(wait[rush])),
        week_p95_s=_p95(wait[in_week]),
        finish_s={
            one.name: _p95(finish[rush & (demand.kind == k)]) for k, one in enumerate(workloads)
        },
        busy_by_hour=_overlap(seen.begun_s[clip], seen.ended_s[clip]),
        waits=_exceeded(wait[rush], wait[in_week], promise_s),
        day=_day(demand.arrival_s[people], seen.begun_s[people], seen.ended_s[people], week, day),
        clips=int(clip.sum()),
    )


def _p95(values: NDArray[np.float64]) -> float:
    import numpy as np

    return float(np.quantile(values, 0.95)) if len(values) else 0.0


def _off_times(slots: Slots, most: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return when slots are switched off, in seconds, and for how many hours, by their level."""
    import numpy as np

    off = np.arange(1, most + 1)[:, None] > slots[None, :]
    edges = np.diff(np.pad(off.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    begins = np.nonzero(edges == 1)[1].astype(np.float64)
    ends = np.nonzero(edges == -1)[1].astype(np.float64)
    return begins * 3600, ends - begins


def _overlap(begun_s: NDArray[np.float64], ended_s: NDArray[np.float64]) -> tuple[float, ...]:
    """Return how many clips render on average in each hour of the first week."""
    import numpy as np

    edges = np.arange(HOURS_PER_WEEK + 1) * 3600.0

    def since(moments: NDArray[np.float64]) -> NDArray[np.float64]:
        ordered = np.sort(moments)
        total = np.append(0.0, np.cumsum(ordered))
        count = np.searchsorted(ordered, edges)
        past: NDArray[np.float64] = count * edges - total[count]
        return past

    busy = np.diff(since(begun_s) - since(ended_s)) / 3600
    return tuple(float(value) for value in np.maximum(busy, 0.0))


def _exceeded(
    rush: NDArray[np.float64], week: NDArray[np.float64], promise_s: float
) -> tuple[tuple[float, float, float], ...]:
    import numpy as np

    points = [promise_s * part for part in (0, 0.1, 0.25, 0.5, 1, 1.5, 2)]

    def share(waits: NDArray[np.float64], longer_s: float) -> float:
        return float(np.mean(waits > longer_s)) if len(waits) else 0.0

    return tuple((s, share(rush, s), share(week, s)) for s in points)


def _day(
    arrived_s: NDArray[np.float64],
    begun_s: NDArray[np.float64],
    ended_s: NDArray[np.float64],
    week: Slots,
    day: int,
) -> tuple[HourSeen, ...]:
    import numpy as np

    hours = []
    for i in range(24):
        start = (day + i) * 3600.0
        middle = start + 1800
        asked = (arrived_s >= start) & (arrived_s < start + 3600)
        waits = begun_s[asked] - arrived_s[asked]
        hours.append(
            HourSeen(
                hour=i,
                asked=int(asked.sum()),
                slots=int(week[day + i]),
                rendering=int(((begun_s <= middle) & (ended_s > middle)).sum()),
                waiting=int(((arrived_s <= middle) & (begun_s > middle)).sum()),
                p95_wait_s=_p95(waits),
                longest_wait_s=float(np.max(waits, initial=0.0)),
            )
        )
    return tuple(hours)


def kept_first(
    search: Search, ranked: Sequence[Candidate]
) -> tuple[Candidate, Played | None, list[Candidate]]:
    """Return the cheapest candidate that keeps the promise when played, and the rest.

    One that breaks it gets more slots in every hour and takes its new place in the ranking.
    """
    queue = list(ranked)
    played: Played | None = None
    for attempt in range(12):
        candidate = queue.pop(0)
        if candidate.kind == "batch":
            return candidate, None, queue
        played = play(candidate, search.promise_s, search.wishes.cold_start_s)
        if played.keeps(candidate.wait_s) or candidate.rent.metered or attempt == 11:
            return candidate, played, queue
        rate = candidate.interruptions_per_h
        more = cheapest_rent(
            candidate.rent.slots + 1,
            [buy for buy in candidate.hardware.buys if buy.interruptions_per_h == rate],
            by_the_hour=search.wishes.by_the_hour and candidate.kind == "people",
        )
        queue.append(replace(candidate, rent=more))
        queue.sort(key=lambda one: one.usd_per_month)
    raise CannotServe("no fleet keeps the promise")
