"""The compiled simulation against theory, its own laws, and the formulas."""

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import ciw
import numpy as np
import pytest
import simpy

from costlab.capacity import (
    Demand,
    Outcome,
    Pool,
    Workload,
    day,
    impatient,
    mdc,
    mgc,
    mmc,
    observe,
    simulate_pools,
    wait_report,
)
from costlab.core import BadData, InvalidArgument, UnknownName

CLIP = Workload(name="clip", service_s={"gpu": 1.0})


def played(
    workload: Workload, per_s: float, requests: float, pool: Pool, *more: Pool, seed: int = 7
) -> Outcome:
    """One workload at a steady rate on its pools."""
    demand = Demand.drawn([(workload, per_s * 3600)], requests / per_s / 3600, seed)
    return simulate_pools([pool, *more], demand, seed)


def settled_mean(outcome: Outcome) -> float:
    """The mean wait, the first tenth of the run left out."""
    waits = outcome.wait_s
    return float(np.nanmean(waits[len(waits) // 10 :]))


@pytest.mark.parametrize(
    ("scv", "servers", "load", "exact"),
    [
        (0.0, 8, 0.8, mdc(6.4, 1.0, 8)),
        (0.0, 1, 0.7, mdc(0.7, 1.0, 1)),
        (1.0, 3, 0.7, mmc(2.1, 1.0, 3)),
        (1.0, 20, 0.85, mmc(17.0, 1.0, 20)),
    ],
)
def test_first_come_first_served_waits_within_one_percent_of_exact_theory(
    scv: float, servers: int, load: float, exact: object
) -> None:
    workload = Workload(name="clip", service_s={"gpu": 1.0}, scv=scv)
    outcome = played(workload, load * servers, 6e6, Pool(name="gpu", servers=servers), seed=3)
    waits = outcome.wait_s[600_000:]
    assert waits.mean() == pytest.approx(exact.mean_wait_s, rel=0.01)  # type: ignore[attr-defined]
    assert (waits > 0).mean() == pytest.approx(exact.p_wait, rel=0.01)  # type: ignore[attr-defined]
    p95 = float(np.quantile(waits, 0.95))
    assert p95 == pytest.approx(exact.p95_wait_s, rel=0.01)  # type: ignore[attr-defined]


def test_a_mixture_of_clips_waits_as_its_formula_says() -> None:
    kinds = [("short", 60.0, 0.6), ("middle", 300.0, 0.3), ("long", 700.0, 0.1)]
    rate_per_h = 0.9 * 8 / 196 * 3600
    demand = Demand.drawn(
        [(Workload(name=n, service_s={"gpu": s}), rate_per_h * share) for n, s, share in kinds],
        2e6 / rate_per_h,
        5,
    )
    outcome = simulate_pools([Pool(name="gpu", servers=8)], demand)
    formula = mgc(rate_per_h / 3600, [60, 300, 700], [0.6, 0.3, 0.1], 8)
    assert settled_mean(outcome) == pytest.approx(formula.mean_wait_s, rel=0.04)
    assert [outcome.of(name).mean() for name, _, _ in kinds] == pytest.approx(
        [0.6, 0.3, 0.1], abs=2e-3
    )


def test_people_leave_as_often_as_erlang_a_says() -> None:
    hasty = Workload(name="clip", service_s={"gpu": 1.0}, scv=1.0, patience_s=2.0)
    outcome = played(hasty, 11.0, 2e6, Pool(name="gpu", servers=10))
    formula = impatient(11.0, 1.0, 10, 2.0)
    left = outcome.pool < 0
    spent = np.where(left, outcome.ended_s - outcome.demand.arrival_s, outcome.wait_s)
    assert left.mean() == pytest.approx(formula.p_leave, rel=0.01)
    assert spent.mean() == pytest.approx(formula.mean_wait_s, rel=0.01)
    assert np.isnan(outcome.wait_s[left]).all()
    assert np.isnan(outcome.start_to_finish_s[left]).all()


def test_waiting_by_the_hour_follows_the_day_formula() -> None:
    shape = [120.0] * 8 + [270.0] * 8 + [180.0] * 8
    workload = Workload(name="clip", service_s={"gpu": 100.0})
    outcome = simulate_pools(
        [Pool(name="gpu", servers=8)], Demand.drawn([(workload, shape)], 24 * 2000, 2)
    )
    hour = (outcome.demand.arrival_s // 3600).astype(int) % 24
    formula = day(shape, 100.0, 8, 0.0)
    for h in (5, 11, 15, 22):
        assert outcome.wait_s[hour == h].mean() == pytest.approx(
            formula[h].mean_wait_s, rel=0.1, abs=1.0
        )
    counts = np.bincount(hour, minlength=24) / 2000
    assert counts == pytest.approx(np.array(shape), rel=0.02)


def test_the_queue_is_as_long_as_littles_law_says() -> None:
    outcome = played(CLIP, 7.0, 3e5, Pool(name="gpu", servers=8))
    arrived, begun = outcome.demand.arrival_s, np.sort(outcome.begun_s)
    moments = np.concatenate([arrived, begun])
    change = np.concatenate([np.ones(len(arrived)), -np.ones(len(begun))])
    by_time = np.argsort(moments, kind="stable")
    queue = np.cumsum(change[by_time])[:-1]
    area = (queue * np.diff(moments[by_time])).sum()
    assert area == pytest.approx(outcome.wait_s.sum(), rel=1e-9)


def test_work_is_conserved_and_no_server_idles_while_clips_wait() -> None:
    outcome = played(CLIP, 7.5, 2e5, Pool(name="gpu", servers=8))
    assert outcome.busy_s.sum() == pytest.approx(outcome.demand.work.sum(), rel=1e-9)
    assert (outcome.wait_s >= 0).all()
    waited = outcome.wait_s > 1e-9
    done = np.sort(outcome.ended_s)
    nearest = done[np.searchsorted(done, outcome.begun_s[waited] - 1e-9)]
    assert nearest == pytest.approx(outcome.begun_s[waited], abs=1e-9)


def test_the_same_seed_gives_the_same_result_and_another_does_not() -> None:
    pool = Pool(name="gpu", servers=8, interruptions_per_h=50.0)
    first, again = played(CLIP, 6.0, 1e4, pool, seed=4), played(CLIP, 6.0, 1e4, pool, seed=4)
    other = played(CLIP, 6.0, 1e4, pool, seed=5)
    assert (first.ended_s == again.ended_s).all()
    assert len(other.ended_s) != len(first.ended_s) or (other.ended_s != first.ended_s).any()


def test_slower_servers_never_shorten_a_wait_and_more_demand_never_does_either() -> None:
    demand = Demand.drawn([(CLIP, 7.0 * 3600)], 5.0, 1)
    pool = Pool(name="gpu", servers=8)
    usual = simulate_pools([pool], demand)
    slow = Workload(name="clip", service_s={"gpu": 1.02})
    slower = simulate_pools([pool], Demand.of([slow], demand.arrival_s, demand.kind, seed=1))
    assert (slower.wait_s >= usual.wait_s - 1e-6).all()
    kept = np.arange(len(demand.arrival_s)) % 20 > 0
    fewer = simulate_pools(
        [pool], Demand.of([CLIP], demand.arrival_s[kept], demand.kind[kept], seed=1)
    )
    assert (usual.wait_s[kept] >= fewer.wait_s - 1e-6).all()


def test_more_servers_never_lengthen_a_wait_on_the_same_requests() -> None:
    demand = Demand.drawn([(CLIP, 7.0 * 3600)], 5.0, 1)
    few = simulate_pools([Pool(name="gpu", servers=8)], demand)
    many = simulate_pools([Pool(name="gpu", servers=9)], demand)
    assert (many.wait_s <= few.wait_s + 1e-6).all()


@pytest.mark.parametrize("scv", [0.0, 0.6])
@pytest.mark.parametrize("levels", [(0, 0, 0), (1, 0, 2)])
def test_a_steady_pool_is_played_as_it_is_among_others(
    scv: float, levels: tuple[int, int, int]
) -> None:
    workloads = [
        Workload(name=f"w{i}", service_s={"gpu": s}, priority=level, scv=scv)
        for i, (s, level) in enumerate(zip((40.0, 90.0, 900.0), levels, strict=True))
    ]
    demand = Demand.drawn([(one, [60, 20, 45]) for one in workloads], 100, 6)
    gpu, never = Pool(name="gpu", servers=12), Pool(name="never", servers=1)
    alone, among = simulate_pools([gpu], demand), simulate_pools([gpu, never], demand)
    assert (alone.pool == among.pool).all()
    assert alone.begun_s == pytest.approx(among.begun_s, abs=1e-6)
    assert alone.ended_s == pytest.approx(among.ended_s, abs=1e-6)
    assert alone.busy_s[0] == pytest.approx(among.busy_s[0])
    assert alone.paid_s[0] == pytest.approx(among.paid_s[0])


def waits_in_simpy(demand: Demand, servers: int) -> list[float]:
    env = simpy.Environment()
    fleet = simpy.PriorityResource(env, servers)
    waits = [0.0] * len(demand.arrival_s)

    def clip(i: int, service_s: float, priority: int) -> Iterator[Any]:
        yield env.timeout(float(demand.arrival_s[i]))
        with fleet.request(priority=priority) as gpu:
            yield gpu
            waits[i] = env.now - float(demand.arrival_s[i])
            yield env.timeout(service_s)

    for i, (kind, work) in enumerate(zip(demand.kind.tolist(), demand.work.tolist(), strict=True)):
        workload = demand.workloads[kind]
        env.process(clip(i, workload.service_s["gpu"] * work, workload.priority))
    env.run()
    return waits


@pytest.mark.parametrize("priority", [0, 1])
def test_waits_equal_those_of_simpy_clip_by_clip(priority: int) -> None:
    short = Workload(name="short", service_s={"gpu": 1.0}, scv=0.5)
    long = Workload(name="long", service_s={"gpu": 6.0}, scv=0.5, priority=priority)
    demand = Demand.drawn([(short, 3 * 3600), (long, 0.4 * 3600)], 1.2, 4)
    outcome = simulate_pools([Pool(name="gpu", servers=6)], demand)
    assert outcome.wait_s.max() > 5
    assert outcome.wait_s == pytest.approx(waits_in_simpy(demand, 6), abs=1e-6)


def test_preemption_delays_batch_clips_as_in_simpy() -> None:
    urgent = Workload(name="urgent", service_s={"gpu": 1.0}, scv=0.5, steps=10**6)
    batch = Workload(name="batch", service_s={"gpu": 4.0}, scv=0.5, priority=1, steps=10**6)
    demand = Demand.drawn([(urgent, 2 * 3600), (batch, 0.7 * 3600)], 3, 4)
    outcome = simulate_pools([Pool(name="gpu", servers=6, preemptive=True)], demand)
    env = simpy.Environment()
    fleet = simpy.PreemptiveResource(env, 6)
    ended = np.zeros(len(demand.work))

    def clip(i: int, left_s: float, priority: int) -> Iterator[Any]:
        yield env.timeout(float(demand.arrival_s[i]))
        while left_s > 0:
            with fleet.request(priority=priority) as gpu:
                yield gpu
                begun = env.now
                try:
                    yield env.timeout(left_s)
                    left_s = 0.0
                except simpy.Interrupt:
                    left_s -= env.now - begun
        ended[i] = env.now

    for i, kind in enumerate(demand.kind.tolist()):
        workload = demand.workloads[kind]
        env.process(clip(i, workload.service_s["gpu"] * demand.work[i], workload.priority))
    env.run()
    assert outcome.preemptions[0] > 100
    hurried = outcome.of("urgent")
    assert outcome.ended_s[hurried] == pytest.approx(ended[hurried], abs=0.01)
    # simpy puts a stopped clip at the back of its class, costlab at the front
    in_simpy = (ended - demand.arrival_s)[~hurried].mean()
    assert outcome.start_to_finish_s[~hurried].mean() == pytest.approx(in_simpy, rel=0.05)


def test_waits_equal_those_of_ciw_clip_by_clip() -> None:
    clip = Workload(name="clip", service_s={"gpu": 1.0}, scv=0.3)
    demand = Demand.drawn([(clip, 4.4 * 3600)], 0.5, 2)
    network = ciw.create_network(
        arrival_distributions=[
            ciw.dists.Sequential([*np.diff(demand.arrival_s, prepend=0.0).tolist(), math.inf])
        ],
        service_distributions=[ciw.dists.Sequential(demand.work.tolist())],
        number_of_servers=[5],
    )
    peer = ciw.Simulation(network)
    peer.simulate_until_max_customers(len(demand.work), method="Finish")
    records = sorted(peer.get_all_records(), key=lambda record: record.service_start_date)
    outcome = simulate_pools([Pool(name="gpu", servers=5)], demand)
    assert outcome.wait_s.max() > 1
    assert outcome.wait_s == pytest.approx([record.waiting_time for record in records], abs=1e-6)


def mixed(priority: int, *, preemptive: bool) -> Outcome:
    urgent = Workload(name="urgent", service_s={"gpu": 1.0}, steps=10)
    batch = Workload(name="batch", service_s={"gpu": 4.0}, priority=priority, steps=20)
    demand = Demand.drawn([(urgent, 3 * 3600), (batch, 0.6 * 3600)], 20, 3)
    return simulate_pools([Pool(name="gpu", servers=6, preemptive=preemptive)], demand)


def test_priority_never_hurts_the_urgent_class_and_costs_no_work() -> None:
    waits, finishes = [], []
    for outcome in (
        mixed(0, preemptive=False),
        mixed(1, preemptive=False),
        mixed(1, preemptive=True),
    ):
        work = np.where(outcome.of("urgent"), 1.0, 4.0).sum()
        assert outcome.busy_s.sum() == pytest.approx(work, rel=1e-9)
        waits.append(outcome.wait_s[outcome.of("urgent")].mean())
        finishes.append(outcome.start_to_finish_s[outcome.of("batch")].mean())
    assert waits[2] < waits[1] < waits[0]
    assert finishes[2] > finishes[1] > finishes[0]


def test_priorities_share_the_wait_as_cobham_says() -> None:
    urgent = Workload(name="urgent", service_s={"gpu": 1.0}, scv=1.0)
    batch = Workload(name="batch", service_s={"gpu": 1.0}, scv=1.0, priority=5)
    demand = Demand.drawn([(urgent, 1.5 * 3600), (batch, 0.9 * 3600)], 300, 8)
    outcome = simulate_pools([Pool(name="gpu", servers=3)], demand)
    free_s = mmc(2.4, 1.0, 3).p_wait / 3
    expected = {"urgent": free_s / 0.5, "batch": free_s / 0.5 / 0.2}
    for name, mean_s in expected.items():
        assert outcome.wait_s[outcome.of(name)].mean() == pytest.approx(mean_s, rel=0.02)


def test_a_preempted_clip_makes_room_at_the_end_of_its_step() -> None:
    urgent = Workload(name="urgent", service_s={"gpu": 5.0})
    batch = Workload(name="batch", service_s={"gpu": 100.0}, priority=1, steps=10)
    demand = Demand.of([urgent, batch], np.array([0.0, 33.0]), np.array([1, 0]), seed=1)
    pool = Pool(name="gpu", servers=1, preemptive=True, resume_s=2.0)
    outcome = simulate_pools([pool], demand)
    assert outcome.begun_s.tolist() == [0.0, 40.0]
    assert outcome.ended_s.tolist() == pytest.approx([107.0, 45.0])
    assert outcome.preemptions.tolist() == [1]


@pytest.mark.parametrize("checkpoint", [False, True])
def test_spot_interruptions_cost_the_busy_seconds_that_theory_expects(checkpoint: bool) -> None:
    service_s, per_s = 1800.0, 0.2 / 3600
    clip = Workload(name="clip", service_s={"spot": service_s}, steps=40)
    pool = Pool(name="spot", servers=60, interruptions_per_h=0.2, checkpoint=checkpoint)
    outcome = played(clip, 10 / 3600, 60_000, pool)
    busy_s = outcome.busy_s.sum() / len(outcome.demand.work)
    if checkpoint:
        expected = service_s * (1 + per_s * service_s / 40 / 2)
    else:
        expected = math.expm1(per_s * service_s) / per_s
    assert busy_s == pytest.approx(expected, rel=0.005)
    assert busy_s - service_s == pytest.approx(outcome.lost_s.sum() / 60_000, rel=0.02)


def test_a_clip_on_two_spot_servers_is_interrupted_twice_as_often() -> None:
    per_s, service_s = 0.2 / 3600, 1800.0
    clip = Workload(name="clip", service_s={"spot": service_s}, servers_per_clip={"spot": 2})
    pool = Pool(name="spot", servers=100, interruptions_per_h=0.2)
    outcome = played(clip, 10 / 3600, 40_000, pool)
    busy_s = outcome.busy_s.sum() / len(outcome.demand.work) / 2
    assert busy_s == pytest.approx(math.expm1(2 * per_s * service_s) / (2 * per_s), rel=0.01)


def test_one_clip_on_a_sleeping_pool_pays_for_boot_work_and_idle_time() -> None:
    clip = Workload(name="clip", service_s={"gpu": 50.0})
    demand = Demand.of([clip, clip], np.array([10.0, 300.0]), np.array([0, 0]), seed=1)
    pool = Pool(name="gpu", servers=4, min_servers=0, cold_start_s=(120.0,), idle_timeout_s=60.0)
    outcome = simulate_pools([pool], demand)
    assert outcome.wait_s.tolist() == [120.0, 120.0]
    assert outcome.boots.tolist() == [2]
    assert outcome.paid_s.sum() == pytest.approx(120 + 50 + 60 + 120 + 50)
    unbilled = simulate_pools([Pool(**_as_dict(pool) | {"cold_start_billed": False})], demand)
    assert unbilled.paid_s.sum() == pytest.approx(50 + 60 + 50)
    kept = simulate_pools([Pool(**_as_dict(pool) | {"idle_timeout_s": math.inf})], demand)
    assert kept.wait_s.tolist() == [120.0, 0.0]


def _as_dict(pool: Pool) -> dict[str, object]:
    return {name: getattr(pool, name) for name in Pool.__dataclass_fields__}


def test_an_elastic_pool_pays_less_and_waits_longer_than_a_full_one() -> None:
    clip = Workload(name="clip", service_s={"gpu": 100.0})
    demand = Demand.drawn([(clip, [20, 20, 200, 400, 100, 20])], 240, 1)
    full = simulate_pools([Pool(name="gpu", servers=30)], demand)
    elastic = simulate_pools(
        [Pool(name="gpu", servers=30, min_servers=2, cold_start_s=(90, 200), idle_timeout_s=300)],
        demand,
    )
    assert elastic.paid_s.sum() < 0.7 * full.paid_s.sum()
    assert elastic.wait_s.mean() > full.wait_s.mean()
    assert elastic.busy_s.sum() == pytest.approx(full.busy_s.sum(), rel=1e-9)
    assert (elastic.busy_s <= elastic.paid_s + 1e-6).all()
    assert full.paid_s.sum() == pytest.approx(30 * full.ended_s.max(), rel=1e-9)


def test_overflow_goes_to_the_api_which_takes_only_so_many_at_once() -> None:
    clip = Workload(
        name="clip", service_s={"gpu": 100.0, "api": 60.0}, overflow_to="api", overflow_queue=3
    )
    gpu, api = Pool(name="gpu", servers=5), Pool(name="api", servers=2)
    outcome = played(clip, 0.06, 50_000, gpu, api)
    sent = outcome.pool == 1
    assert 0.1 < sent.mean() < 0.3
    assert outcome.wait_s[~sent].max() <= 100.0
    starts, ends = np.sort(outcome.begun_s[sent]), np.sort(outcome.ended_s[sent])
    at_once = np.arange(1, len(starts) + 1) - np.searchsorted(ends, starts, side="right")
    assert at_once.max() == 2


def test_a_full_loss_system_blocks_as_often_as_erlang_b_says() -> None:
    clip = Workload(
        name="clip", service_s={"gpu": 1.0, "api": 1e-6}, overflow_to="api", overflow_queue=0
    )
    outcome = played(clip, 8.0, 1e6, Pool(name="gpu", servers=10), Pool(name="api", servers=50))
    blocked = 1.0
    for busy in range(1, 11):
        blocked = 8 * blocked / (busy + 8 * blocked)
    assert (outcome.pool == 1).mean() == pytest.approx(blocked, rel=0.01)


def test_the_best_free_pool_is_taken_first() -> None:
    clip = Workload(name="clip", service_s={"fast": 10.0, "slow": 30.0})
    demand = Demand.of([clip] * 3, np.array([0.0, 1.0, 2.0]), np.array([0, 1, 2]), seed=1)
    outcome = simulate_pools([Pool(name="slow", servers=1), Pool(name="fast", servers=1)], demand)
    assert outcome.pool.tolist() == [1, 0, 1]
    assert outcome.begun_s.tolist() == [0.0, 1.0, 10.0]


def shared(demand_of: tuple[Workload, ...], per_s: float, seed: int) -> Demand:
    return Demand.drawn([(one, per_s / len(demand_of) * 3600) for one in demand_of], 2.0, seed)


@pytest.mark.parametrize("levels", [(0, 0), (0, 1)])
def test_two_alike_pools_with_one_queue_are_one_pool_clip_by_clip(levels: tuple[int, int]) -> None:
    kinds = tuple(
        Workload(name=f"w{i}", service_s={"a": s, "b": s}, priority=level, scv=0.5)
        for i, (s, level) in enumerate(zip((1.0, 4.0), levels, strict=True))
    )
    demand = shared(kinds, 3.0, 5)
    alone = tuple(
        Workload(name=one.name, service_s={"a": one.service_s["a"]}, priority=one.priority)
        for one in kinds
    )
    together = simulate_pools([Pool(name="a", servers=3), Pool(name="b", servers=5)], demand)
    one_pool = simulate_pools(
        [Pool(name="a", servers=8)],
        Demand(workloads=alone, arrival_s=demand.arrival_s, kind=demand.kind, work=demand.work),
    )
    assert together.wait_s.max() > 1
    assert together.wait_s == pytest.approx(one_pool.wait_s, abs=1e-6)
    assert set(together.pool.tolist()) == {0, 1}


@pytest.mark.parametrize("seed", range(6))
def test_one_queue_for_two_pools_never_waits_longer_than_a_queue_each(seed: int) -> None:
    either = Workload(name="either", service_s={"a": 1.0, "b": 1.0})
    pools = [Pool(name="a", servers=3), Pool(name="b", servers=5)]
    demand = shared((either,), 7.4, seed)
    sides = (Workload(name="a", service_s={"a": 1.0}), Workload(name="b", service_s={"b": 1.0}))
    side = (np.random.default_rng(seed).random(len(demand.work)) < 5 / 8).astype(int)
    common = simulate_pools(pools, demand)
    apart = simulate_pools(pools, Demand.of(sides, demand.arrival_s, side, seed=1))
    assert (np.sort(common.begun_s) <= np.sort(apart.begun_s) + 1e-6).all()
    assert common.wait_s.mean() < apart.wait_s.mean()


def test_no_server_idles_while_a_clip_waits_that_it_may_make() -> None:
    kinds = (
        Workload(name="only a", service_s={"a": 2.0}, scv=0.5),
        Workload(name="a or b", service_s={"a": 2.0, "b": 3.0}, scv=0.5),
        Workload(name="b or c", service_s={"b": 1.0, "c": 5.0}, scv=0.5, priority=1),
    )
    servers = {"a": 2, "b": 2, "c": 3}
    demand = shared(kinds, 2.6, 3)
    outcome = simulate_pools([Pool(name=n, servers=c) for n, c in servers.items()], demand)
    assert outcome.wait_s.max() > 5
    names = list(servers)
    moments = np.sort(np.concatenate([demand.arrival_s, outcome.ended_s]))
    middles = ((moments[:-1] + moments[1:]) / 2)[np.diff(moments) > 1e-6][::20]
    for moment in middles.tolist():
        running = (outcome.begun_s <= moment) & (outcome.ended_s > moment)
        for kind, workload in enumerate(kinds):
            queue = (demand.arrival_s <= moment) & (outcome.begun_s > moment)
            if (queue & (demand.kind == kind)).any():
                for name in workload.home:
                    busy = (running & (outcome.pool == names.index(name))).sum()
                    assert busy == servers[name]


def test_a_clip_that_was_stopped_goes_on_where_a_server_is_free_at_that_pools_speed() -> None:
    urgent = Workload(name="urgent", service_s={"a": 30.0})
    batch = Workload(name="batch", service_s={"a": 100.0, "b": 50.0}, priority=1, steps=10)
    blocker = Workload(name="blocker", service_s={"b": 50.0}, priority=1)
    demand = Demand.of(
        [urgent, batch, blocker], np.array([0.0, 1.0, 31.0]), np.array([2, 1, 0]), seed=1
    )
    pools = [Pool(name="a", servers=1, preemptive=True), Pool(name="b", servers=1)]
    outcome = simulate_pools(pools, demand)
    # stopped at 31 with 70 of 100 s left, which are 35 s on b, free from 50 on
    assert outcome.begun_s.tolist() == [0.0, 1.0, 31.0]
    assert outcome.ended_s.tolist() == pytest.approx([50.0, 85.0, 61.0])
    assert outcome.pool.tolist() == [1, 1, 0]


def test_the_next_pool_boots_for_a_clip_only_where_the_first_is_full() -> None:
    clip = Workload(name="clip", service_s={"base": 100.0, "spot": 100.0})
    pools = [
        Pool(name="base", servers=1),
        Pool(name="spot", servers=5, min_servers=0, cold_start_s=(20.0,), idle_timeout_s=30.0),
    ]
    demand = Demand.of([clip], np.array([0.0, 1.0, 2.0]), np.zeros(3, int), seed=1)
    outcome = simulate_pools(pools, demand)
    assert outcome.begun_s.tolist() == [0.0, 21.0, 22.0]
    assert outcome.boots.tolist() == [0, 2]
    demand = Demand.of([clip], np.array([0.0, 90.0]), np.zeros(2, int), seed=1)
    outcome = simulate_pools(pools, demand)
    assert outcome.begun_s.tolist() == [0.0, 100.0]
    assert outcome.paid_s[1].sum() == pytest.approx(20.0 + 30.0)


def test_pools_that_share_queues_finish_every_request_with_everything_at_once() -> None:
    pools = [
        Pool(name="base", servers=4, preemptive=True, resume_s=5),
        Pool(
            name="spot", servers=8, min_servers=0, cold_start_s=(60.0, 90.0), idle_timeout_s=100,
            interruptions_per_h=3.0, checkpoint=True,
        ),
        Pool(name="api", servers=2),
    ]  # fmt: skip
    urgent = Workload(
        name="urgent", service_s={"base": 100.0, "spot": 140.0, "api": 60.0},
        servers_per_clip={"base": 2}, overflow_to="api", overflow_queue=3, patience_s=500, steps=10,
    )  # fmt: skip
    batch = Workload(
        name="batch", service_s={"spot": 300.0, "base": 200.0}, servers_per_clip={"spot": 3},
        priority=2, steps=30,
    )  # fmt: skip
    demand = Demand.drawn([(urgent, 50), (batch, 30)], 300, 1)
    outcome, again = simulate_pools(pools, demand), simulate_pools(pools, demand)
    stayed = outcome.pool >= 0
    assert (outcome.ended_s[stayed] > outcome.begun_s[stayed]).all()
    assert (outcome.busy_s <= outcome.paid_s + 1e-6).all()
    assert outcome.boots[1] > 100
    assert (outcome.ended_s == again.ended_s).all()
    assert {0, 1} <= set(outcome.pool[outcome.of("batch")].tolist())


def test_a_wide_clip_holds_all_its_servers_and_is_not_overtaken() -> None:
    wide = Workload(name="wide", service_s={"gpu": 10.0}, servers_per_clip={"gpu": 4})
    narrow = Workload(name="narrow", service_s={"gpu": 3.0})
    demand = Demand.of([wide, narrow], np.array([0.0, 1.0, 2.0]), np.array([1, 0, 1]), seed=1)
    outcome = simulate_pools([Pool(name="gpu", servers=4)], demand)
    assert outcome.begun_s.tolist() == [0.0, 3.0, 13.0]
    assert outcome.busy_s.sum() == pytest.approx(3 + 40 + 3)


def test_everything_at_once_still_finishes_every_request() -> None:
    pools = [
        Pool(
            name="gpu", servers=8, min_servers=2, cold_start_s=(60.0, 90.0), idle_timeout_s=100,
            interruptions_per_h=2.0, checkpoint=True, resume_s=10, preemptive=True,
        ),
        Pool(name="api", servers=2),
    ]  # fmt: skip
    urgent = Workload(
        name="urgent", service_s={"gpu": 100.0, "api": 60.0}, servers_per_clip={"gpu": 2},
        overflow_to="api", overflow_queue=3, patience_s=500, steps=10,
    )  # fmt: skip
    batch = Workload(name="batch", service_s={"gpu": 300.0}, priority=2, steps=30)
    outcome = simulate_pools(pools, Demand.drawn([(urgent, 50), (batch, 30)], 500, 1))
    stayed = outcome.pool >= 0
    assert (outcome.ended_s[stayed] > outcome.begun_s[stayed]).all()
    assert (outcome.busy_s <= outcome.paid_s + 1e-6).all()
    assert min(outcome.interruptions[0], outcome.preemptions[0], outcome.boots[0]) > 100
    served = (stayed & (outcome.pool == 0)) * np.where(outcome.of("urgent"), 200.0, 300.0)
    stops = outcome.interruptions[0] + outcome.preemptions[0]
    extra = outcome.busy_s[0].sum() - served.sum()
    assert outcome.lost_s[0] <= extra <= outcome.lost_s[0] + stops * 2 * 10.0 + 1e-6


def test_the_report_puts_formula_and_simulation_side_by_side() -> None:
    report = wait_report(252.0, 100.0, 8, 0.0, 1)
    names = ["utilisation", "p_wait", "mean_wait_s", "p95_wait_s"]
    assert list(report["formula"]) == names
    assert list(report["simulation"])[:4] == names
    for name in names:
        assert report["simulation"][name] == pytest.approx(report["formula"][name], rel=0.02)
        interval = report["simulation"]["intervals"][name]
        assert interval["low"] <= report["simulation"][name] <= interval["high"]
    assert json.loads(json.dumps(report)) == report
    assert wait_report(252.0, 100.0, 8, 0.0, 1) == report
    assert report["notes"] == []


def test_the_report_says_where_the_formula_is_outside_its_limits() -> None:
    assert "up to 4" in wait_report(200.0, 100.0, 8, 6.0, 1)["notes"][0]
    assert "64 servers" in wait_report(2000.0, 100.0, 65, 0.5, 1)["notes"][0]
    assert "few clips" in wait_report(180.0, 100.0, 8, 3.0, 1)["notes"][0]


def test_the_report_refuses_an_unstable_system_with_the_servers_that_would_do() -> None:
    with pytest.raises(InvalidArgument, match="9 would keep up"):
        wait_report(300.0, 100.0, 8, 0.0, 1)
    with pytest.raises(InvalidArgument, match="rate_per_h"):
        wait_report(0.0, 100.0, 8, 0.0, 1)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(400):
        interval = observe([float(x) for x in rng.normal(10, 1, 20)]).interval
        inside += interval.low <= 10 <= interval.high
    assert 0.86 < inside / 400 < 0.94


def test_every_problem_of_a_scenario_is_listed_at_once() -> None:
    bad = Workload(
        name="clip", service_s={"gpu": -1.0, "moon": 1.0}, steps=0, servers_per_clip={"gpu": 9}
    )
    demand = Demand(
        workloads=(bad,), arrival_s=np.zeros(1), kind=np.zeros(1, np.uint16), work=np.ones(1)
    )
    with pytest.raises(BadData) as error:
        simulate_pools([Pool(name="gpu", servers=4, min_servers=5)], demand)
    text = str(error.value)
    for part in ("min_servers", "service_s on 'gpu'", "steps", "holds 9 servers", "no pool 'moon'"):
        assert part in text


def test_a_log_that_goes_back_in_time_is_refused() -> None:
    for arrivals, kinds in (([1.0, 0.5], [0, 0]), ([-1.0], [0]), ([0.0], [1]), ([0.0], [0, 0])):
        with pytest.raises(InvalidArgument):
            Demand.of([CLIP], np.array(arrivals), np.array(kinds), seed=1)
    with pytest.raises(InvalidArgument):
        Demand.drawn([(CLIP, -1.0)], 1.0, 1)
    with pytest.raises(UnknownName):
        played(CLIP, 1.0, 10, Pool(name="gpu", servers=2)).of("clop")


def test_no_requests_at_all_is_a_quiet_run() -> None:
    demand = Demand.of([CLIP], np.empty(0), np.empty(0, int), seed=1)
    assert simulate_pools([Pool(name="gpu", servers=2)], demand).busy_s.sum() == 0


def test_formulas_do_not_load_the_compiler() -> None:
    code = "import sys, costlab.capacity; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_it_runs_where_no_cache_folder_can_be_written() -> None:
    code = (
        "import numba, numpy\n"
        "compile = numba.njit\n"
        "def unwritable(*args, cache=False, **options):\n"
        "    if cache: raise RuntimeError('cannot cache function: no locator available')\n"
        "    return compile(*args, **options)\n"
        "numba.njit = unwritable\n"
        "from costlab.capacity import simulate\n"
        "assert 0 <= simulate._uniform(numpy.ones(1, numpy.uint64)) < 1"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
