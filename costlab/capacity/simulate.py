"""The queue played out clip by clip: pools, priorities, interruptions, cold starts, overflow.

One compiled loop tells this story::

    a clip arrives ─▶ the first of its pools that can take it now, else the queue for all of them
                      (queue too long ─▶ the overflow pool, such as an API with a concurrency cap)
    it waits       ─▶ most urgent first, then first come first served, for a server of any of its
                      pools; people may lose patience
    it renders     ─▶ on its servers, until it is done, or a spot server is taken away (restart, or
                      carry on from the last step), or a more urgent clip takes over at a step's end
    servers        ─▶ boot when clips wait, after a cold start; go when idle for long enough

A *server* is what is rented, booted and interrupted as one: a GPU, a node, or one of the requests
that a provider renders at once. A clip holds one or more servers of a single pool. Nothing
overtakes the clip that is next on a pool, so one that needs many servers holds back the smaller
ones behind. A clip that was stopped may go on in another of its pools, at that pool's speed. The
first pool in a clip's order makes room or boots for it; the next ones boot for what those before
them have no room for.

Demand is drawn first and replayed, so two fleets can be compared on the same requests; the same
seed gives the same result. Hours are counted from the start of the demand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from costlab.capacity import queueing
from costlab.compiled import compiled
from costlab.core import BadData, InvalidArgument, Range, UnknownName


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Alike servers: rented GPUs, or an API with ``servers`` as its concurrency cap.

    ``min_servers`` are always up (all of them by default); above that, servers boot when clips wait
    and go after ``idle_timeout_s`` without work. A boot takes one of ``cold_start_s``, picked at
    random: give measured cold starts. Each rented server is interrupted ``interruptions_per_h``
    times an hour and then boots anew; the clip on it starts over, or with ``checkpoint`` carries on
    from its last whole step. A clip that was stopped needs ``resume_s`` to be picked up again. With
    ``preemptive``, a less urgent clip makes room at the end of its step.
    """

    name: str
    servers: int
    min_servers: int | None = None
    cold_start_s: tuple[float, ...] = (0.0,)
    cold_start_billed: bool = True
    idle_timeout_s: float = math.inf
    interruptions_per_h: float = 0.0
    checkpoint: bool = False
    resume_s: float = 0.0
    preemptive: bool = False

    @property
    def always_up(self) -> int:
        """Servers that never go."""
        return self.servers if self.min_servers is None else self.min_servers

    def _problems(self) -> list[str]:
        return [
            f"{self.name}: {problem}"
            for wrong, problem in (
                (self.servers < 1, f"servers must be at least 1, got {self.servers}"),
                (
                    not 0 <= self.always_up <= self.servers,
                    f"min_servers must be within 0 and {self.servers}, got {self.min_servers}",
                ),
                (
                    not self.cold_start_s
                    or not all(math.isfinite(s) and s >= 0 for s in self.cold_start_s),
                    f"cold_start_s must list seconds of 0 or more, got {self.cold_start_s}",
                ),
                (
                    not self.idle_timeout_s >= 0,
                    f"idle_timeout_s must be 0 or more, got {self.idle_timeout_s}",
                ),
                (
                    not (math.isfinite(self.interruptions_per_h) and self.interruptions_per_h >= 0),
                    f"interruptions_per_h must be 0 or more, got {self.interruptions_per_h}",
                ),
                (
                    not (math.isfinite(self.resume_s) and self.resume_s >= 0),
                    f"resume_s must be 0 or more, got {self.resume_s}",
                ),
            )
            if wrong
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One kind of request, and where it may run.

    ``service_s`` says how long a clip renders on each pool that can make it, best pool first, and
    ``scv`` how that spreads from clip to clip (0 not at all, 1 exponential, else gamma). The lowest
    ``priority`` is served first. ``steps`` divide a clip where it can be stopped. People leave
    after an exponential patience of mean ``patience_s`` if their clip has not begun. A clip that
    would queue behind ``overflow_queue`` others or more goes to the pool ``overflow_to`` instead.
    """

    name: str
    service_s: Mapping[str, float]
    servers_per_clip: Mapping[str, int] = field(default_factory=dict)
    scv: float = 0.0
    priority: int = 0
    steps: int = 1
    patience_s: float = math.inf
    overflow_to: str | None = None
    overflow_queue: int = 0

    @property
    def home(self) -> tuple[str, ...]:
        """Pools by preference, the overflow pool left out."""
        return tuple(pool for pool in self.service_s if pool != self.overflow_to)

    def _problems(self, pools: Mapping[str, Pool]) -> list[str]:
        found = [
            (not self.home, "service_s must name a pool besides overflow_to"),
            (self.steps < 1, f"steps must be at least 1, got {self.steps}"),
            (not self.patience_s > 0, f"patience_s must be greater than 0, got {self.patience_s}"),
            (
                not (math.isfinite(self.scv) and self.scv >= 0),
                f"scv must be 0 or more, got {self.scv}",
            ),
            (
                self.overflow_to is not None and self.overflow_to not in self.service_s,
                f"service_s must say how long a clip takes on {self.overflow_to!r}",
            ),
            (
                self.overflow_queue < 0,
                f"overflow_queue must be 0 or more, got {self.overflow_queue}",
            ),
        ]
        found += [
            (True, f"servers_per_clip names {pool!r}, service_s does not")
            for pool in sorted(self.servers_per_clip.keys() - self.service_s.keys())
        ]
        for pool, service_s in self.service_s.items():
            held = self.servers_per_clip.get(pool, 1)
            found += [
                (
                    not (math.isfinite(service_s) and service_s > 0),
                    f"service_s on {pool!r} must be greater than 0, got {service_s}",
                ),
                (
                    pool in pools and not 1 <= held <= pools[pool].servers,
                    f"a clip holds {held} servers of {pool!r}, which has "
                    f"{pools[pool].servers if pool in pools else 0}",
                ),
            ]
        return [f"{self.name}: {problem}" for wrong, problem in found if wrong]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Requests in the order they arrive.

    ``arrival_s`` in seconds from the start; ``kind`` the place of each request's workload in
    ``workloads``; ``work`` its render time as a multiple of its workload's.
    """

    workloads: tuple[Workload, ...]
    arrival_s: NDArray[np.float64]
    kind: NDArray[np.uint16]
    work: NDArray[np.float64]

    @classmethod
    def drawn(
        cls, per_hour: Sequence[tuple[Workload, float | Sequence[float]]], hours: float, seed: int
    ) -> Demand:
        """Draw ``hours`` of random arrivals at a rate per workload.

        A rate is a number, or one number for each hour of a cycle (24 for a day, 168 for a week)
        that repeats; within an hour it is constant. Arrivals are Poisson.
        """
        if not (math.isfinite(hours) and hours > 0):
            raise InvalidArgument(f"hours must be greater than 0, got {hours}")
        if seed < 0:
            raise InvalidArgument(f"seed must be 0 or more, got {seed}")
        whole = math.ceil(hours)
        rates = np.array([np.resize(np.asarray(rate, np.float64), whole) for _, rate in per_hour])
        if not len(rates) or not np.isfinite(rates).all() or (rates < 0).any():
            raise InvalidArgument("every workload needs rates per hour of 0 or more")
        rng = np.random.default_rng(seed)
        edges = np.minimum(np.arange(whole + 1.0), hours)
        expected = np.append(0.0, np.cumsum(rates.sum(axis=0) * np.diff(edges)))
        count = rng.poisson(expected[-1])
        if whole == 1 or np.ptp(rates, axis=1).max() == 0:
            arrival_s = rng.exponential(size=count + 1)
            np.cumsum(arrival_s, out=arrival_s)
            arrival_s *= hours * 3600 / arrival_s[-1]
            arrival_s = arrival_s[:-1]
        else:
            reached = np.sort(rng.uniform(0, expected[-1], count))
            arrival_s = np.interp(reached, expected, edges) * 3600
        workloads = tuple(workload for workload, _ in per_hour)
        kind = np.zeros(count, np.uint16)
        if len(workloads) > 1:
            share = np.cumsum(rates, axis=0) / np.maximum(rates.sum(axis=0), 1e-300)
            hour = np.minimum((arrival_s / 3600).astype(np.int64), whole - 1)
            pick = rng.random(count)
            for upper in share[:-1]:
                kind += pick >= upper[hour]
        return cls._with_work(workloads, arrival_s, kind, seed)

    @classmethod
    def of(
        cls,
        workloads: Sequence[Workload],
        arrival_s: NDArray[np.float64],
        kind: NDArray[Any],
        *,
        seed: int,
    ) -> Demand:
        """Return logged arrivals as demand, with render times drawn by each workload's ``scv``."""
        if arrival_s.shape != kind.shape or arrival_s.ndim != 1:
            raise InvalidArgument("arrival_s and kind must be two lists of the same length")
        if not np.isfinite(arrival_s).all() or (np.diff(arrival_s, prepend=0.0) < 0).any():
            raise InvalidArgument("arrival_s must start at 0 or later and never go back")
        if len(kind) and not 0 <= kind.min() <= kind.max() < len(workloads):
            raise InvalidArgument(f"kind must be a place in the {len(workloads)} workloads")
        return cls._with_work(
            tuple(workloads),
            np.ascontiguousarray(arrival_s, np.float64),
            np.ascontiguousarray(kind, np.uint16),
            seed,
        )

    @classmethod
    def _with_work(
        cls,
        workloads: tuple[Workload, ...],
        arrival_s: NDArray[np.float64],
        kind: NDArray[np.uint16],
        seed: int,
    ) -> Demand:
        rng = np.random.default_rng([seed, 1])
        work = np.ones(len(arrival_s))
        for i, workload in enumerate(workloads):
            if workload.scv > 0:
                chosen = kind == i
                size = int(np.count_nonzero(chosen))
                work[chosen] = (
                    rng.exponential(size=size)
                    if workload.scv == 1
                    else rng.gamma(1 / workload.scv, workload.scv, size)
                )
        return cls(workloads=workloads, arrival_s=arrival_s, kind=kind, work=work)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What happened to every request of a demand, and to every pool.

    ``begun_s`` and ``ended_s`` are when a clip first began and when it was done (not a number and
    the moment of leaving, for people who lost patience); ``pool`` is the place in ``pools`` of the
    pool that took it, −1 for those who left. Server-seconds by pool (rows) and hour (columns, the
    last one also holds what came later): ``busy_s`` holding a clip, ``paid_s`` rented. ``lost_s``
    by pool is busy time that interruptions undid.
    """

    demand: Demand
    pools: tuple[Pool, ...]
    begun_s: NDArray[np.float64]
    ended_s: NDArray[np.float64]
    pool: NDArray[np.int16]
    busy_s: NDArray[np.float64]
    paid_s: NDArray[np.float64]
    lost_s: NDArray[np.float64]
    interruptions: NDArray[np.int64]
    preemptions: NDArray[np.int64]
    boots: NDArray[np.int64]

    def of(self, workload: str) -> NDArray[np.bool_]:
        """Return which requests are of the named workload."""
        names = [item.name for item in self.demand.workloads]
        if workload not in names:
            raise UnknownName.among("workload", workload, names)
        return np.asarray(self.demand.kind == names.index(workload))

    @property
    def wait_s(self) -> NDArray[np.float64]:
        """Seconds from arrival until the clip first began; not a number for those who left."""
        return self.begun_s - self.demand.arrival_s

    @property
    def start_to_finish_s(self) -> NDArray[np.float64]:
        """Seconds from arrival until the clip was done; not a number for those who left."""
        return np.where(self.pool >= 0, self.ended_s - self.demand.arrival_s, np.nan)


def simulate_pools(pools: Sequence[Pool], demand: Demand, seed: int = 1) -> Outcome:
    """Play ``demand`` through ``pools`` until the last request is done.

    ``seed`` draws interruptions, cold starts and patience.
    """
    by_name = {pool.name: pool for pool in pools}
    workloads = demand.workloads
    problems = [problem for pool in pools for problem in pool._problems()]
    if len(by_name) < len(pools):
        problems.append("two pools share a name")
    for workload in workloads:
        problems += workload._problems(by_name)
        problems += [
            f"{workload.name}: no pool {name!r}"
            for name in workload.service_s.keys() - by_name.keys()
        ]
    if not pools or not workloads:
        problems.append("at least one pool and one workload are needed")
    if sum(pool.servers for pool in pools) > _MOST_SERVERS:
        problems.append(f"at most {_MOST_SERVERS} servers can be simulated")
    if seed < 0:
        problems.append(f"seed must be 0 or more, got {seed}")
    if problems:
        raise BadData("simulation", problems)

    places = {pool.name: i for i, pool in enumerate(pools)}
    seconds = np.ones((len(workloads), len(pools)))
    width = np.ones((len(workloads), len(pools)), np.int64)
    for k, workload in enumerate(workloads):
        for name, service_s in workload.service_s.items():
            seconds[k, places[name]] = service_s
            width[k, places[name]] = workload.servers_per_clip.get(name, 1)
    ranks = {level: i for i, level in enumerate(sorted({item.priority for item in workloads}))}
    urgency = np.array([ranks[item.priority] for item in workloads], np.uint32)
    count = len(demand.arrival_s)
    begun, ended = np.empty(count), np.empty(count)
    hours = int(demand.arrival_s[-1] // 3600) + 1 if count else 1

    def each(values: Sequence[Any], kind: Any = np.float64) -> NDArray[Any]:
        return np.array(values, kind)

    if _is_steady(pools, workloads, len(ranks)):
        pool_of = np.zeros(count, np.int16)
        (pool,) = pools
        busy_s, paid_s = _play_steady(
            demand.arrival_s,
            demand.kind,
            demand.work,
            seconds[:, 0].copy(),
            urgency,
            pool.servers,
            hours,
            begun,
            ended,
        )
        lost_s = np.zeros(1)
        interruptions = preemptions = boots = np.zeros(1, np.int64)
    else:
        begun[:] = np.nan
        pool_of = np.empty(count, np.int16)
        busy_s, paid_s, lost_s, interruptions, preemptions, boots = _play(
            demand.arrival_s,
            demand.kind,
            demand.work,
            seconds,
            width,
            urgency,
            *_queues(workloads, places, width),
            each([item.steps for item in workloads], np.int64),
            each([item.patience_s for item in workloads]),
            each([places.get(item.overflow_to or "", _NONE) for item in workloads], np.uint32),
            each([item.overflow_queue for item in workloads], np.int64),
            each([pool.servers for pool in pools], np.int64),
            each([pool.always_up for pool in pools], np.int64),
            each([pool.idle_timeout_s for pool in pools]),
            np.concatenate([each(pool.cold_start_s) for pool in pools]),
            np.cumsum([0] + [len(pool.cold_start_s) for pool in pools]),
            each([pool.cold_start_billed for pool in pools], np.int64),
            each([pool.interruptions_per_h / 3600 for pool in pools]),
            each([pool.checkpoint for pool in pools], np.bool_),
            each([pool.resume_s for pool in pools]),
            each([pool.preemptive for pool in pools], np.bool_),
            hours,
            seed,
            begun,
            ended,
            pool_of,
        )
    return Outcome(
        demand=demand,
        pools=tuple(pools),
        begun_s=begun,
        ended_s=ended,
        pool=pool_of,
        busy_s=busy_s,
        paid_s=paid_s,
        lost_s=lost_s,
        interruptions=interruptions,
        preemptions=preemptions,
        boots=boots,
    )


def _queues(
    workloads: Sequence[Workload], places: Mapping[str, int], width: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return each workload's queue, and its queue at the overflow pool; each queue's pools.

    Clips that may run on the same pools, as wide there and in the same order of preference, share a
    queue. Of a queue also how many servers of each pool a clip takes; of a pool the queues that it
    takes clips from; and the pools that share a queue with each, itself first. What is left of a
    row is `_NONE`.
    """
    found: dict[tuple[tuple[int, int], ...], int] = {}
    own = np.full(len(workloads), _NONE, np.uint32)
    over = np.full(len(workloads), _NONE, np.uint32)
    for k, workload in enumerate(workloads):
        homes = tuple((places[name], int(width[k, places[name]])) for name in workload.home)
        own[k] = found.setdefault(homes, len(found))
        if workload.overflow_to is not None:
            place = places[workload.overflow_to]
            over[k] = found.setdefault(((place, int(width[k, place])),), len(found))
    wide = np.ones((len(found), len(places)), np.int64)
    takes: list[list[int]] = [[] for _ in places]
    beside: list[list[int]] = [[place] for place in range(len(places))]
    for homes, queue in found.items():
        for place, held in homes:
            wide[queue, place] = held
            takes[place].append(queue)
            beside[place] += [other for other, _ in homes if other not in beside[place]]

    def table(rows: Sequence[Sequence[int]]) -> NDArray[np.uint32]:
        filled = np.full((len(rows), 1 + max(map(len, rows))), _NONE, np.uint32)
        for i, row in enumerate(rows):
            filled[i, : len(row)] = row
        return filled

    return (
        own,
        over,
        table([[p for p, _ in homes] for homes in found]),
        wide,
        table(takes),
        table(beside),
    )


def _is_steady(pools: Sequence[Pool], workloads: Sequence[Workload], levels: int) -> bool:
    """Whether one pool is always up and every clip keeps one of its servers until it is done."""
    pool = pools[0]
    return (
        len(pools) == 1
        and pool.always_up == pool.servers
        and not pool.interruptions_per_h
        and not (pool.preemptive and levels > 1)
        and all(
            item.patience_s == math.inf and set(item.servers_per_clip.values()) <= {1}
            for item in workloads
        )
    )


_BOOTED, _IDLE_CHECK, _INTERRUPTION, _PATIENCE = 1, 2, 3, 4
_LEFT = -1
_MOST_SERVERS = 1 << 20
_NONE = 0xFFFFFFFF


@compiled
def _uniform(state: Any) -> Any:
    """Return the next number of SplitMix64 in [0, 1) (Steele, Lea and Flood, 2014)."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@compiled
def _exponential(state: Any, mean: Any) -> Any:
    return -mean * math.log(1.0 - _uniform(state))


@compiled
def _field(slots: Any) -> Any:
    """Return the empty knockout tree of ``slots``: the soonest of them at 1, two below each."""
    leaves = 1
    while leaves < slots:
        leaves *= 2
    soonest = np.zeros(2 * leaves, np.uint32)
    soonest[leaves:] = np.arange(leaves)
    for i in range(leaves - 1, 0, -1):
        soonest[i] = soonest[2 * i]
    return soonest


@compiled
def _set(soonest: Any, times: Any, slot: Any, time: Any) -> None:
    """Give ``slot`` its next ``time`` and play its matches again, up to the final."""
    times[slot] = time
    at = np.uint32(len(soonest) >> 1) + np.uint32(slot)
    winner = np.uint32(slot)
    while at > np.uint32(1):
        rival = soonest[at ^ np.uint32(1)]
        rival_time = times[rival]
        sooner = rival_time < time
        winner = rival if sooner else winner
        time = rival_time if sooner else time
        at >>= np.uint32(1)
        soonest[at] = winner


@compiled
def _ahead(length: Any, queues: Any, level: Any) -> Any:
    """Return how many clips of a level or a more urgent one wait in these queues."""
    clips = 0
    for g in queues:
        if g == _NONE:
            break
        for v in range(level + np.uint32(1)):
            clips += length[g, v]
    return clips


@compiled
def _count(waiting: Any, pools: Any, clips: Any) -> None:
    """Add clips to those that wait for any of these pools."""
    for p in pools:
        if p == _NONE:
            break
        waiting[p] += clips


@compiled
def _link(newest: Any, older: Any, newer: Any, start_s: Any, slot: Any) -> Any:
    """Put ``slot`` in its place in a chain by start, given its newest; return the newest then."""
    above, below = -1, newest
    while below >= 0 and start_s[below] > start_s[slot]:
        above, below = below, older[below]
    older[slot], newer[slot] = below, above
    if below >= 0:
        newer[below] = slot
    if above < 0:
        return np.int64(slot)
    older[above] = slot
    return newest


@compiled
def _unlink(newest: Any, older: Any, newer: Any, slot: Any) -> Any:
    """Take ``slot`` out of a chain, given its newest; return the newest then."""
    above, below = newer[slot], older[slot]
    if below >= 0:
        newer[below] = above
    if above < 0:
        return below
    older[above] = below
    return newest


@compiled
def _push(times: Any, codes: Any, count: Any, time: Any, code: Any) -> None:
    """Put an event at the end of a heap of ``count`` and let it rise to its place."""
    at = count
    while at > 0:
        above = (at - 1) >> 1
        if times[above] <= time:
            break
        times[at] = times[above]
        codes[at] = codes[above]
        at = above
    times[at] = time
    codes[at] = code


@compiled
def _pop(times: Any, codes: Any, count: Any) -> None:
    """Take the first event from a heap of ``count``."""
    time, code = times[count - 1], codes[count - 1]
    times[count - 1] = np.inf
    at = 0
    while 2 * at + 2 < count:
        below = 2 * at + 1
        if times[below + 1] < times[below]:
            below += 1
        if times[below] >= time:
            break
        times[at] = times[below]
        codes[at] = codes[below]
        at = below
    if count > 1:
        times[at] = time
        codes[at] = code


@compiled
def _spread(by_hour: Any, start: Any, end: Any, servers: Any) -> None:
    """Add ``servers`` × seconds from ``start`` to ``end`` to the hours they fall in."""
    last = len(by_hour) - 1
    hour = min(int(start * (1.0 / 3600.0)), last)
    while hour < last and end > (hour + 1) * 3600.0:
        edge = (hour + 1) * 3600.0
        by_hour[hour] += (edge - start) * servers
        start = edge
        hour += 1
    by_hour[hour] += (end - start) * servers


@compiled
def _play_steady(
    arrival: Any, kind: Any, work: Any, seconds: Any, urgency: Any, servers: Any, hours: Any,
    begun: Any, ended: Any,
) -> Any:  # fmt: skip
    """Play requests through one pool that is always up, each on one server until it is done.

    Start by start, each on the server that is free first (Kiefer and Wolfowitz, 1955, "On the
    theory of queues with many servers"), so no event is needed when a clip ends. Fills ``begun``
    and ``ended``; returns busy and paid server-seconds by hour.
    """
    requests = len(arrival)
    levels = np.uint32(urgency.max()) + np.uint32(1)
    busy_s = np.zeros((1, hours))
    paid_s = np.zeros((1, hours))
    soonest = _field(servers)
    free_at = np.full(len(soonest) >> 1, np.inf)
    free_at[:servers] = 0.0
    upcoming = np.zeros(levels, np.int64)
    length = np.zeros(levels, np.int64)
    waiting = 0
    coming = np.uint32(0)
    hour, hour_end = np.uint32(0), 3600.0
    busy = 0.0
    for _ in range(requests):
        server = soonest[1]
        start = free_at[server]
        if levels > 1:
            while coming < requests and arrival[coming] <= start:
                u = urgency[kind[coming]]
                if length[u] == 0:
                    upcoming[u] = coming
                length[u] += 1
                waiting += 1
                coming += np.uint32(1)
        if waiting == 0:
            r = coming
            coming += np.uint32(1)
            start = max(start, arrival[r])
        else:
            u = np.uint32(0)
            while length[u] == 0:
                u += np.uint32(1)
            r = np.uint32(upcoming[u])
            length[u] -= 1
            waiting -= 1
            if length[u] > 0:
                after = r + np.uint32(1)
                while urgency[kind[after]] != u:
                    after += np.uint32(1)
                upcoming[u] = after
        end = start + seconds[kind[r]] * work[r]
        begun[r] = start
        ended[r] = end
        _set(soonest, free_at, server, end)
        if end > hour_end:
            while start >= hour_end and hour < hours - 1:
                busy_s[0, hour] += busy
                busy = 0.0
                hour += np.uint32(1)
                hour_end += 3600.0
            if end > hour_end:
                _spread(busy_s[0], start, end, 1.0)
                continue
        busy += end - start
    busy_s[0, hour] += busy
    if requests > 0:
        _spread(paid_s[0], 0.0, free_at[:servers].max(), servers)
    return busy_s, paid_s


@compiled
def _play(
    arrival: Any, kind: Any, work: Any,
    seconds: Any, width: Any, urgency: Any,
    queue_of: Any, overflow_queue: Any, homes: Any, wide: Any, takes: Any, beside: Any,
    steps: Any, patience: Any,
    overflow_to: Any, overflow_at: Any,
    servers: Any, least: Any, idle: Any, boots: Any, boot_from: Any, billed: Any,
    interrupted_per_s: Any, keeps: Any, reload: Any, preempts: Any,
    hours: Any, seed: Any,
    begun: Any, ended: Any, pool_of: Any,
) -> Any:  # fmt: skip
    """Play every request through the pools; fills ``begun``, ``ended`` and ``pool_of``.

    A *slot* is a place of a pool where a clip renders; it has at most one event to come: its clip
    is done, or stops at the end of a step. While a stopped clip waits, ``ended`` keeps the seconds
    that are left. Returns busy and paid server-seconds by pool and hour, lost server-seconds, and
    the counts of interruptions, preemptions and boots by pool.
    """
    requests = len(arrival)
    pools = len(servers)
    levels = np.uint32(urgency.max()) + np.uint32(1)
    random = np.empty(1, np.uint64)
    random[0] = np.uint64(seed)

    busy_s = np.zeros((pools, hours))
    paid_s = np.zeros((pools, hours))
    lost_s = np.zeros(pools)
    interruptions = np.zeros(pools, np.int64)
    preemptions = np.zeros(pools, np.int64)
    booted = np.zeros(pools, np.int64)

    first_slot = np.zeros(pools + 1, np.uint32)
    for i in range(pools):
        first_slot[i + 1] = first_slot[i] + servers[i]
    slots = np.int64(first_slot[pools])
    soonest = _field(slots)
    slot_next = np.full(len(soonest) >> 1, np.inf)
    slot_request = np.full(slots, -1, np.int64)
    slot_pool = np.empty(slots, np.uint32)
    slot_start = np.zeros(slots)
    slot_end = np.zeros(slots)
    slot_reload = np.zeros(slots)
    slot_stops = np.zeros(slots, np.int8)
    for i in range(pools):
        slot_pool[first_slot[i] : first_slot[i + 1]] = i
    spare = np.arange(slots).astype(np.uint32)
    spares = servers.copy()
    # Slots by pool and level in the order in which they began, for the choice of whom to stop.
    newest = np.full((pools, levels), -1, np.int64)
    older = np.empty(slots, np.int64)
    newer = np.empty(slots, np.int64)

    up = least.copy()
    booting = np.zeros(pools, np.int64)
    free = least.copy()
    stopping = np.zeros(pools, np.int64)
    paid_since = np.zeros(pools)
    elastic = least < servers
    autoscaled = elastic.any()
    since = np.zeros((pools, servers.max() + 1))
    oldest = np.zeros(pools, np.int64)
    checking = np.zeros(pools, np.bool_)

    queues = len(homes)
    head = np.full((queues, levels), -1, np.int64)
    tail = np.full((queues, levels), -1, np.int64)
    length = np.zeros((queues, levels), np.int64)
    waiting = np.zeros(pools, np.int64)
    after = np.empty(requests, np.int32)

    room = 2 * pools + slots + 2 + (requests if patience.min() < np.inf else 0)
    times = np.full(room, np.inf)
    codes = np.empty(room, np.int64)
    events = 0
    for i in range(pools):
        if interrupted_per_s[i] > 0:
            t = _exponential(random, 1 / (interrupted_per_s[i] * servers[i]))
            _push(times, codes, events, t, 8 * i + _INTERRUPTION)
            events += 1

    now = 0.0
    hour, hour_start, hour_end = 0, 0.0, 3600.0
    coming = 0
    open_requests = requests
    while open_requests > 0:
        arriving = arrival[np.uint32(coming)] if coming < requests else np.inf
        s = soonest[1]
        slot_time = slot_next[s]
        ready = -1  # a request that need not queue
        back = -1  # a request that goes back to the head of its queue
        spent = np.int64(-1)  # a slot whose event is over
        freed = 0
        replace = 0

        if arriving <= min(slot_time, times[0]):
            r = np.uint32(coming)
            now = arriving
            coming += 1
            k = kind[r]
            u = urgency[k]
            g = queue_of[k]
            p = homes[g, 0]
            for q in homes[g]:
                if q == _NONE:
                    break
                if free[q] >= width[k, q] and (waiting[q] == 0 or _ahead(length, takes[q], u) == 0):
                    p = q
                    ready = coming - 1
                    break
            full = ready < 0 and overflow_to[k] != _NONE
            if full and _ahead(length, takes[p], u) >= overflow_at[k]:
                g = overflow_queue[k]
                p = overflow_to[k]
                if waiting[p] == 0 and free[p] >= width[k, p]:
                    ready = coming - 1
            pool_of[r] = p
            if ready < 0:
                after[r] = -1
                if tail[g, u] < 0:
                    head[g, u] = r
                else:
                    after[np.uint32(tail[g, u])] = r
                tail[g, u] = r
                length[g, u] += 1
                _count(waiting, homes[g], 1)
                if patience[k] < np.inf:
                    t = now + _exponential(random, patience[k])
                    _push(times, codes, events, t, 8 * coming - 8 + _PATIENCE)
                    events += 1
        elif slot_time <= times[0]:
            now = slot_time
            r = np.uint32(slot_request[s])
            p = slot_pool[s]
            k = kind[r]
            freed = width[k, p]
            if slot_stops[s] > 0:
                stopping[p] -= freed
                if slot_stops[s] == 1:
                    back = slot_request[s]
                slot_stops[s] = 0
            elif preempts[p]:
                u = urgency[k]
                newest[p, u] = _unlink(newest[p, u], older, newer, s)
            if back < 0:
                ended[r] = now
                open_requests -= 1
            else:
                u = urgency[k]
                if u == 0 or _ahead(length, takes[p], u - np.uint32(1)) == 0:
                    _set(soonest, slot_next, s, slot_end[s])
                    newest[p, u] = _link(newest[p, u], older, newer, slot_start, s)
                    continue
                ended[r] = slot_end[s] - now
                preemptions[p] += 1
            while now >= hour_end and hour < hours - 1:
                hour += 1
                hour_start, hour_end = hour_end, hour_end + 3600.0
            start = slot_start[s]
            if start >= hour_start:
                busy_s[p, np.uint32(hour)] += (now - start) * freed
            else:
                _spread(busy_s[p], start, now, freed)
            slot_request[s] = -1
            spare[first_slot[p] + np.uint32(spares[p])] = s
            spares[p] += 1
            spent = np.int64(s)
        else:
            now = times[0]
            code = codes[0]
            what = code & 7
            if what != _INTERRUPTION:
                _pop(times, codes, events)
                events -= 1
            p = np.uint32(code >> 3)
            if what == _PATIENCE:
                r = p
                if begun[r] >= 0:
                    continue
                k = kind[r]
                p = np.uint32(pool_of[r])
                g = overflow_queue[k] if p == overflow_to[k] else queue_of[k]
                pool_of[r] = _LEFT
                ended[r] = now
                open_requests -= 1
                length[g, urgency[k]] -= 1
                _count(waiting, homes[g], -1)
            elif what == _BOOTED:
                _spread(paid_s[p], paid_since[p], now, up[p] + booting[p] * billed[p])
                paid_since[p] = now
                booting[p] -= 1
                up[p] += 1
                freed = 1
            elif what == _IDLE_CHECK:
                checking[p] = False
                while free[p] > 0 and up[p] > least[p] and waiting[p] == 0:
                    if since[p, oldest[p]] + idle[p] > now:
                        break
                    _spread(paid_s[p], paid_since[p], now, up[p] + booting[p] * billed[p])
                    paid_since[p] = now
                    oldest[p] = (oldest[p] + 1) % servers[p]
                    free[p] -= 1
                    up[p] -= 1
            else:
                _pop(times, codes, events)
                t = now + _exponential(random, 1 / (interrupted_per_s[p] * servers[p]))
                _push(times, codes, events - 1, t, code)
                hit = int(_uniform(random) * servers[p])
                if hit >= up[p]:
                    continue
                _spread(paid_s[p], paid_since[p], now, up[p] + booting[p] * billed[p])
                paid_since[p] = now
                interruptions[p] += 1
                up[p] -= 1
                if hit < free[p]:
                    free[p] -= 1
                else:
                    hit -= free[p]
                    s = first_slot[p]
                    while True:
                        if slot_request[s] >= 0:
                            hit -= width[kind[slot_request[s]], p]
                            if hit < 0:
                                break
                        s += np.uint32(1)
                    back = slot_request[s]
                    r = np.uint32(back)
                    k = kind[r]
                    u = urgency[k]
                    w = width[k, p]
                    if slot_stops[s] > 0:
                        stopping[p] -= w
                        slot_stops[s] = 0
                    elif preempts[p]:
                        newest[p, u] = _unlink(newest[p, u], older, newer, s)
                    _spread(busy_s[p], slot_start[s], now, w)
                    full_s = seconds[k, p] * work[r]
                    done = max(0.0, now - slot_start[s] - slot_reload[s])
                    left = slot_end[s] - slot_start[s] - slot_reload[s]
                    if keeps[p]:
                        step_s = full_s / steps[k]
                        done = math.floor(done / step_s + 1e-9) * step_s
                        ended[r] = max(left - done, 0.0)
                        lost_s[p] += (now - slot_start[s] - done) * w
                    else:
                        ended[r] = full_s
                        lost_s[p] += (now - slot_start[s] + full_s - left) * w
                    slot_request[s] = -1
                    spare[first_slot[p] + np.uint32(spares[p])] = s
                    spares[p] += 1
                    spent = np.int64(s)
                    freed = w - 1
                if up[p] + booting[p] < least[p]:
                    replace = 1

        if back >= 0:
            k = kind[back]
            u = urgency[k]
            g = overflow_queue[k] if p == overflow_to[k] else queue_of[k]
            after[back] = head[g, u]
            head[g, u] = back
            if tail[g, u] < 0:
                tail[g, u] = back
            length[g, u] += 1
            _count(waiting, homes[g], 1)
        if elastic[p]:
            for _ in range(freed):
                since[p, (oldest[p] + free[p]) % servers[p]] = now
                free[p] += 1
        else:
            free[p] += freed

        for q in beside[p]:
            if q == _NONE:
                break
            while ready >= 0 or (waiting[q] > 0 and free[q] > 0):
                if ready >= 0:
                    r = np.uint32(ready)
                    ready = -1
                    k = kind[r]
                    u = urgency[k]
                    w = width[k, q]
                else:
                    first, u, g = np.int64(-1), np.uint32(0), np.uint32(0)
                    while first < 0:
                        for line in takes[q]:
                            if line == _NONE:
                                break
                            if length[line, u] > 0:
                                at = head[line, u]
                                while pool_of[np.uint32(at)] == _LEFT:
                                    at = np.int64(after[np.uint32(at)])
                                head[line, u] = at
                                if first < 0 or at < first:
                                    first, g = at, line
                        u += np.uint32(1)
                    u -= np.uint32(1)
                    r = np.uint32(first)
                    k = kind[r]
                    w = width[k, q]
                    if free[q] < w:
                        break
                    head[g, u] = after[r]
                    length[g, u] -= 1
                    if length[g, u] == 0:
                        head[g, u] = -1
                        tail[g, u] = -1
                    _count(waiting, homes[g], -1)
                free[q] -= w
                spares[q] -= 1
                s = spare[first_slot[q] + np.uint32(spares[q])]
                if begun[r] >= 0:
                    slot_reload[s] = reload[q]
                    left = ended[r] * (seconds[k, q] / seconds[k, np.uint32(pool_of[r])])
                    end = now + left + reload[q]
                else:
                    slot_reload[s] = 0.0
                    end = now + seconds[k, q] * work[r]
                    begun[r] = now
                pool_of[r] = q
                slot_request[s] = r
                slot_start[s] = now
                slot_end[s] = end
                _set(soonest, slot_next, s, end)
                if s == spent:
                    spent = np.int64(-1)
                if preempts[q]:
                    newest[q, u] = _link(newest[q, u], older, newer, slot_start, s)
        if spent >= 0:
            _set(soonest, slot_next, np.uint32(spent), np.inf)

        if waiting[p] > 0 and preempts[p]:
            wanted = 0
            for v in range(levels - 1):
                line_up = 0
                for g in takes[p]:
                    if g == _NONE:
                        break
                    if homes[g, 0] == p:
                        line_up += length[g, v] * wide[g, p]
                wanted += line_up
                while line_up > 0 and wanted > free[p] + stopping[p]:
                    u = levels - 1
                    while u > v and newest[p, u] < 0:
                        u -= 1
                    if u == v:
                        break
                    s = np.uint32(newest[p, u])
                    newest[p, u] = _unlink(newest[p, u], older, newer, s)
                    r = np.uint32(slot_request[s])
                    k = kind[r]
                    stopping[p] += width[k, p]
                    step_s = seconds[k, p] * work[r] / steps[k]
                    done = now - slot_start[s] - slot_reload[s]
                    ahead_s = max(1.0, math.ceil(done / step_s - 1e-9)) * step_s
                    t = slot_start[s] + slot_reload[s] + ahead_s
                    if t >= slot_end[s] - 1e-9 * step_s:
                        slot_stops[s] = 2
                        continue
                    slot_stops[s] = 1
                    _set(soonest, slot_next, s, t)

        for q in range(pools if autoscaled or replace > 0 else 0):
            more = replace if q == p else 0
            if elastic[q] and waiting[q] > 0:
                wanted = 0
                for g in takes[q]:
                    if g == _NONE:
                        break
                    clips = 0
                    for v in range(levels):
                        clips += length[g, v]
                    sooner = 0
                    for i in homes[g]:
                        if clips == 0 or i == q:
                            break
                        sooner += free[i] + (servers[i] - up[i] if elastic[i] else booting[i])
                    wanted += max(0, clips * wide[g, q] - sooner)
                more = max(
                    more, min(wanted - free[q] - booting[q], servers[q] - up[q] - booting[q])
                )
            if more > 0:
                _spread(paid_s[q], paid_since[q], now, up[q] + booting[q] * billed[q])
                paid_since[q] = now
                for _ in range(more):
                    choices = boot_from[q + 1] - boot_from[q]
                    t = now + boots[boot_from[q] + int(_uniform(random) * choices)]
                    _push(times, codes, events, t, 8 * np.int64(q) + _BOOTED)
                    events += 1
                booting[q] += more
                booted[q] += more
            if elastic[q] and waiting[q] == 0 and free[q] > 0 and up[q] > least[q]:
                t = max(now, since[q, oldest[q]] + idle[q])
                if t < np.inf and not checking[q]:
                    checking[q] = True
                    _push(times, codes, events, t, 8 * np.int64(q) + _IDLE_CHECK)
                    events += 1

    for i in range(pools):
        _spread(paid_s[i], paid_since[i], now, up[i] + booting[i] * billed[i])
    return busy_s, paid_s, lost_s, interruptions, preemptions, booted


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A mean over batches of a run, with the interval that their scatter gives."""

    value: float
    interval: Range


_BATCHES = 20
_STUDENT_19 = 1.729
"""The 95th percentile of Student's t with 19 degrees of freedom: a two-sided 90 % interval."""


def observe(batches: Sequence[float], value: float | None = None) -> Observed:
    """Return the mean of 20 batches (or ``value``, known better) and its 90 % interval."""
    if len(batches) != _BATCHES:
        raise InvalidArgument(f"{_BATCHES} batches are needed, got {len(batches)}")
    middle = float(np.mean(batches)) if value is None else value
    half = _STUDENT_19 * float(np.std(batches, ddof=1)) / math.sqrt(_BATCHES)
    return Observed(value=middle, interval=Range(low=max(0.0, middle - half), high=middle + half))


def wait_report(
    rate_per_h: float, service_s: float, servers: int, scv: float, seed: int
) -> dict[str, Any]:
    """Return the wait by formula and by simulation, side by side.

    ``simulation`` holds the same four numbers as ``formula``, their 90 % ``intervals`` from the
    batches of one long run, and how many ``requests`` it played. ``notes`` say where the formula is
    outside its limits.
    """
    formula = queueing.wait(rate_per_h / 3600, service_s, servers, scv)
    names = ("utilisation", "p_wait", "mean_wait_s", "p95_wait_s")
    report: dict[str, Any] = {"formula": {name: getattr(formula, name) for name in names}}
    if rate_per_h == 0:
        raise InvalidArgument("rate_per_h must be greater than 0 for a simulation")
    wanted = 2e4 * (1 + scv) / (1 - formula.utilisation) ** 2
    requests = int(min(max(wanted, 1e6), 5e6))
    clip = Workload(name="clip", service_s={"pool": service_s}, scv=scv)
    demand = Demand.drawn([(clip, rate_per_h)], requests / rate_per_h, seed)
    outcome = simulate_pools([Pool(name="pool", servers=servers)], demand, seed)
    settled = slice(len(demand.arrival_s) // 10, None)
    waits = np.array_split(outcome.wait_s[settled], _BATCHES)
    work = np.array_split(demand.work[settled] * service_s, _BATCHES)
    arrivals = np.array_split(demand.arrival_s[settled], _BATCHES)
    seen = {
        "utilisation": observe(
            [w.sum() / (servers * (a[-1] - a[0])) for w, a in zip(work, arrivals, strict=True)]
        ),
        "p_wait": observe([np.count_nonzero(batch > 0) / len(batch) for batch in waits]),
        "mean_wait_s": observe([batch.mean() for batch in waits]),
        "p95_wait_s": observe(
            [np.quantile(batch, 0.95) for batch in waits],
            float(np.quantile(outcome.wait_s[settled], 0.95)),
        ),
    }
    report["simulation"] = {name: seen[name].value for name in names} | {
        "intervals": {
            name: {"low": seen[name].interval.low, "high": seen[name].interval.high}
            for name in names
        },
        "interval_level": 0.9,
        "requests": len(demand.arrival_s),
        "seed": seed,
    }
    outside = queueing.limits(service_s, servers, scv, formula)
    report["notes"] = [f"{outside}; go by the simulation"] if outside else []
    return report
