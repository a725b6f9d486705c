"""A fleet played out clip by clip: does it keep the promise, and what does a day look like?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from costlab import capacity
from costlab.core import CannotServe
from costlab.fleet.search import Candidate, Search
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
    handed_over: int
    p95_wait_s: float
    longest_wait_s: float


_OFF, _BASE, _HOURLY, _AWAY = "switched off", "base", "hourly", "away"
_API_CALLS = 20_000
"""Calls that an API takes at once: as many as come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What a simulation of a week and of many busiest days showed.

    ``remainder_share`` and ``handed_over`` are shares of the week's clips: made on the hourly part
    where that is another kind of GPU, and handed over; ``rush_handed_over`` is of the busiest hour.
    """

    p95_wait: capacity.Observed
    week_p95_s: float
    finish_s: Mapping[str, float]
    busy_by_hour: tuple[float, ...]
    remainder_busy_by_hour: tuple[float, ...]
    remainder_share: float
    handed_over: float
    rush_handed_over: capacity.Observed
    waits: tuple[tuple[float, float, float], ...]
    day: tuple[HourSeen, ...]
    clips: int

    def keeps(self, wait_s: float) -> bool:
        """Whether the promise holds within the interval of the busiest hour, and over the week."""
        return self.p95_wait.interval.low <= wait_s and self.week_p95_s <= wait_s


def play(candidate: Candidate, promise_s: float, cold_start_s: float, seed: int = 1) -> Played:
    """Play a week, then the busiest day over and over, and watch that day's busiest hour.

    A clip takes the base if it can start it now, else the remainder where that is another kind of
    GPU; else it waits for the first slot of either, or is handed over where too many are ahead. A
    slot that is not rented is held by a most urgent request of that length, so that a clip on it is
    finished first. A clip on spot that is interrupted starts over, and its slot is back after
    ``cold_start_s``. Serverless workers that start for a clip need that long, and go when idle.
    """
    import numpy as np

    work, rent, out = candidate.work, candidate.rent, candidate.way_out
    shares = np.array(work.shares)
    top = int(np.argmax(shares))
    day = top - top % 24
    per_peak_hour = candidate.need.peak.arrivals_per_s * 3600
    days = 20 * min(10, max(1, math.ceil(200 / max(per_peak_hour, 1e-9))))
    order = np.append(np.arange(HOURS_PER_WEEK), np.tile(np.arange(day, day + 24), days))
    pools = _pools(candidate, cold_start_s)
    elastic = rent.peak_slots if candidate.remainder else rent.slots
    most = int(elastic.max())
    names = [stream.segment.name for stream in work.streams]
    streams = _streams(candidate, order, [pool.name for pool in pools])
    drawn = capacity.Demand.drawn(streams, float(len(order)), seed)
    off_s, off_hours = _off_times(elastic[order], most)
    workloads = list(drawn.workloads)
    if len(off_s):
        name = _HOURLY if candidate.remainder else _BASE
        workloads.append(capacity.Workload(name=_OFF, service_s={name: 3600.0}, steps=1000))
    sequence = np.argsort(off_s, kind="stable")
    places = np.searchsorted(drawn.arrival_s, off_s[sequence], side="right")
    demand = capacity.Demand(
        workloads=tuple(workloads),
        arrival_s=np.insert(drawn.arrival_s, places, off_s[sequence]),
        kind=np.insert(drawn.kind, places, len(streams)),
        work=np.insert(drawn.work, places, off_hours[sequence]),
    )
    seen = capacity.simulate_pools(pools, demand, seed)

    pool_of = {pool.name: i for i, pool in enumerate(pools)}
    owner = np.array([names.index(one.name.split("|")[0]) for one in drawn.workloads] + [-1])
    stream = owner[demand.kind]
    human = np.array([not one.segment.batch for one in work.streams] + [False])
    people = human[stream]
    handed = seen.pool == pool_of.get(_AWAY, -2)
    by_api = handed if out and not out.worker else np.zeros_like(handed)
    hour = (demand.arrival_s // 3600).astype(int)
    rush = people & (hour >= HOURS_PER_WEEK) & ((hour - HOURS_PER_WEEK) % 24 == top - day)
    rush_at = np.nonzero(rush)[0]
    replica = (hour[rush_at] - HOURS_PER_WEEK) // 24 * 20 // days
    wait = seen.wait_s
    waits = [wait[rush_at[replica == n]] for n in range(20)]
    parts = [handed[rush_at[replica == n]] for n in range(20)]
    finish_s = seen.ended_s[rush_at] - demand.arrival_s[rush_at]
    own_finish_s, made = finish_s[~by_api[rush_at]], stream[rush_at][~by_api[rush_at]]

    first = slice(int(np.searchsorted(demand.arrival_s, HOURS_PER_WEEK * 3600.0)))
    of_week = people[first]
    hourly = seen.pool[first] == pool_of.get(_HOURLY, -2)
    own = (stream[first] >= 0) & ~by_api[first]
    begun_s, ended_s = seen.begun_s[first], seen.ended_s[first]
    return Played(
        p95_wait=capacity.observe([_p95(one) for one in waits], _p95(wait[rush_at])),
        week_p95_s=_p95(wait[first][of_week]),
        finish_s={name: _p95(own_finish_s[made == n]) for n, name in enumerate(names)},
        busy_by_hour=_overlap(begun_s[own & ~hourly], ended_s[own & ~hourly]),
        remainder_busy_by_hour=_overlap(begun_s[own & hourly], ended_s[own & hourly]),
        remainder_share=_share(hourly & own, own),
        handed_over=_share(handed[first], of_week),
        rush_handed_over=capacity.observe(
            [float(one.mean()) if len(one) else 0.0 for one in parts], _share(handed, rush)
        ),
        waits=_exceeded(wait[rush_at], wait[first][of_week], promise_s),
        day=_day(
            demand.arrival_s[first][of_week], begun_s[of_week], ended_s[of_week],
            by_api[first][of_week], rent.slots, day,
        ),
        clips=int((stream >= 0).sum()),
    )  # fmt: skip


def _pools(candidate: Candidate, cold_start_s: float) -> list[capacity.Pool]:
    rent, out = candidate.rent, candidate.way_out
    both = candidate.kind == "both"
    found = []
    first = rent.base_slots if candidate.remainder else int(rent.slots.max())
    if first:
        found.append(
            capacity.Pool(
                name=_BASE,
                servers=first,
                cold_start_s=(cold_start_s,),
                interruptions_per_h=candidate.need.interruptions_per_h,
                checkpoint=not both,
                preemptive=both,
            )
        )
    if candidate.remainder:
        found.append(
            capacity.Pool(
                name=_HOURLY,
                servers=int(rent.peak_slots.max()),
                cold_start_s=(cold_start_s,),
                interruptions_per_h=candidate.remainder[1].interruptions_per_h,
            )
        )
    if out and out.worker:
        erlangs = candidate.need.peak.erlangs
        found.append(
            capacity.Pool(
                name=_AWAY,
                servers=math.ceil(3 * erlangs + 20 + 3 * erlangs * cold_start_s / 60),
                min_servers=0,
                cold_start_s=(cold_start_s,),
                idle_timeout_s=float(out.worker.offer.idle_tail_s or 0),
            )
        )
    elif out:
        found.append(capacity.Pool(name=_AWAY, servers=_API_CALLS))
    return found


def _streams(
    candidate: Candidate, order: NDArray[np.int64], pools: Sequence[str]
) -> list[tuple[capacity.Workload, list[float]]]:
    """Return a workload with its hourly rates for each stream and length of queue.

    How many clips may be ahead depends on the slots of the hour; a number between two whole ones is
    the smaller one for some clips and the larger one for others.
    """
    import numpy as np

    work, out = candidate.work, candidate.way_out
    shares = np.array(work.shares)
    mean = float(shares.mean())
    peak = candidate.need.peak
    after_wait_s = out.after_wait_s if out else 0.0
    limits = candidate.rent.slots * (after_wait_s * peak.arrivals_per_s / peak.erlangs)
    whole = np.floor(limits).astype(int)
    found = []
    for stream, i in zip(work.streams, candidate.places, strict=True):
        batch = stream.segment.batch
        seconds = candidate.hardware.seconds(i)
        service_s = dict.fromkeys(pools, seconds)
        if candidate.remainder:
            service_s[_HOURLY] = candidate.remainder[0].seconds(i)
        one = capacity.Workload(
            name=stream.segment.name,
            service_s=service_s,
            priority=2 if batch else 1,
            steps=candidate.hardware.predictions[i].question.steps if batch else 1,
        )
        hourly = np.ones(len(order)) if batch else shares[order] / mean
        rate = hourly * stream.attempts / work.hours
        if not out or len(pools) == 1:
            found.append((one, rate.tolist()))
            continue
        part = limits - whole
        for ahead in range(whole.min(), whole.max() + 2):
            share = np.where(whole == ahead, 1 - part, 0) + np.where(whole + 1 == ahead, part, 0)
            if share.any():
                limited = replace(
                    one, name=f"{one.name}|{ahead}", overflow_to=_AWAY, overflow_queue=ahead
                )
                found.append((limited, (rate * share[order]).tolist()))
    return found


def _share(some: NDArray[np.bool_], of: NDArray[np.bool_]) -> float:
    total = int(of.sum())
    return int((some & of).sum()) / total if total else 0.0


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
    away: NDArray[np.bool_],
    week: Slots,
    day: int,
) -> tuple[HourSeen, ...]:
    import numpy as np

    near = slice(*np.searchsorted(arrived_s, ((day - 24) * 3600.0, (day + 24) * 3600.0)))
    arrived_s, begun_s, ended_s = arrived_s[near], begun_s[near], ended_s[near]
    away = away[near]
    hours = []
    for i in range(24):
        start = (day + i) * 3600.0
        middle = start + 1800
        asked = slice(*np.searchsorted(arrived_s, (start, start + 3600)))
        waits = begun_s[asked] - arrived_s[asked]
        begun = begun_s <= middle
        hours.append(
            HourSeen(
                hour=i,
                asked=len(waits),
                slots=int(week[day + i]),
                rendering=int((begun & (ended_s > middle) & ~away).sum()),
                waiting=int(((arrived_s <= middle) & ~begun).sum()),
                handed_over=int(away[asked].sum()),
                p95_wait_s=_p95(waits),
                longest_wait_s=float(np.max(waits, initial=0.0)),
            )
        )
    return tuple(hours)


def kept_first(
    search: Search, ranked: Sequence[Candidate]
) -> tuple[Candidate, Played | None, list[Candidate]]:
    """Return the cheapest candidate that keeps the promise when played, and the rest.

    One that breaks it gets more slots in every hour, or hands clips over sooner, and takes its new
    place in the ranking; of those that mix kinds or hand over only three such rounds are tried.
    """
    queue = [(candidate, 0) for candidate in ranked]
    while queue:
        candidate, rounds = queue.pop(0)
        rest = [one for one, _ in queue]
        if candidate.kind == "batch":
            return candidate, None, rest
        played = play(candidate, search.promise_s, search.wishes.cold_start_s)
        if played.keeps(candidate.wait_s):
            return candidate, played, rest
        plain = candidate.way == "one kind"
        if plain and rounds == 12:
            return candidate, played, rest
        more = search.stricter(candidate, rounds) if plain or rounds < 3 else None
        if more:
            queue.append((more, rounds + 1))
            queue.sort(key=lambda pair: pair[0].usd_per_month)
    raise CannotServe("no fleet keeps the promise")
