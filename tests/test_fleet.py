from __future__ import annotations

import json
import math
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from costlab import (
    capacity,
    catalog,
    fleet,
    present,
    projection,
    routing,
    scenarios,
    traffic,
    unitcost,
)
from costlab.cli import main
from costlab.core import CannotServe, InvalidArgument, UnknownName, usd
from costlab.fleet import answer, check, search, work

H100 = fleet.Wishes(gpus=("H100-SXM",), gpus_per_clip=(1,))


@pytest.fixture(scope="module")
def studio() -> scenarios.Scenario:
    return scenarios.scenario("brand-studio")


def found(asked: scenarios.Scenario, wishes: fleet.Wishes = H100, **changes: object) -> float:
    plan = fleet.plan(replace(asked, **changes), wishes=wishes)  # type: ignore[arg-type]
    return float(plan.summary["usd_per_month"].value)


def most(asked: scenarios.Scenario, **changes: object) -> int:
    plan = fleet.plan(replace(asked, **changes), wishes=H100)  # type: ignore[arg-type]
    return int(plan.summary["gpus"].value)


def test_the_plan_keeps_the_promise_when_played(studio: scenarios.Scenario) -> None:
    for name in ("brand-studio", "social-app-few-step"):
        for pool in fleet.plan(scenarios.scenario(name)).pools:
            assert pool.kept
            assert pool.p95_wait_s is not None
            assert pool.p95_wait_s.range is not None
            promise = scenarios.scenario(name).p95_wait_s
            assert pool.p95_wait_s.range.low <= promise
            finish = [one.p95_finish_s for one in pool.classes]
            assert all(one is not None and one.value > pool.p95_wait_s.value for one in finish)


def test_line_items_add_up_to_the_bill_and_the_bill_to_its_parts(
    studio: scenarios.Scenario,
) -> None:
    plan = fleet.plan(studio)
    total = plan.summary["usd_per_month"].value
    assert total == usd(sum(line.micro_usd for line in plan.bill))
    assert total == sum(Decimal(pool.usd_per_month.value) for pool in plan.pools)
    accepted = math.fsum(one.accepted_per_month for pool in plan.pools for one in pool.classes)
    busy = float(plan.summary["busy_usd_per_month"].value)
    usage = float(plan.summary["usage_usd_per_accepted_clip"].value)
    assert usage == pytest.approx(busy / accepted)
    idle = float(plan.summary["idle_usd_per_month"].value)
    cold = float(plan.summary["cold_start_usd_per_month"].value)
    assert busy + idle + cold == pytest.approx(float(total))
    assert min(busy, idle, cold) >= 0
    assert usage < float(total) / accepted


def test_the_plan_is_never_dearer_than_the_scenarios_own_fleet() -> None:
    for name in ("brand-studio", "social-app-few-step", "overnight-batch"):
        asked = scenarios.scenario(name)
        own = projection.project(asked)
        rent = sum(Decimal(pool.usd_per_month.value) for pool in own.pools)
        for wishes in (fleet.Wishes(), fleet.Wishes(purchases=(), by_the_hour=False)):
            plan = fleet.plan(asked, wishes=wishes)
            assert plan.summary["own_usd_per_month"].value == rent
            assert plan.summary["usd_per_month"].value <= rent


def test_without_other_offers_or_hours_the_plan_is_the_projections_fleet(
    studio: scenarios.Scenario,
) -> None:
    wishes = replace(H100, purchases=(), by_the_hour=False)
    plan = fleet.plan(studio, wishes=wishes)
    own = projection.project(studio)
    assert plan.summary["usd_per_month"].value == own.pools[0].usd_per_month.value
    assert plan.summary["gpus"].value == own.pools[0].gpus.value


@settings(max_examples=4, deadline=None)
@given(clips=st.floats(300, 60_000), more=st.floats(1.01, 3))
def test_more_demand_never_needs_fewer_gpus_or_a_cheaper_fleet(clips: float, more: float) -> None:
    asked = scenarios.scenario("brand-studio")
    assert found(asked, clips_per_month=clips) <= found(asked, clips_per_month=clips * more)
    assert most(asked, clips_per_month=clips) <= most(asked, clips_per_month=clips * more)


@settings(max_examples=4, deadline=None)
@given(promise=st.floats(5, 2000), looser=st.floats(1.05, 5))
def test_a_stricter_promise_is_never_cheaper(promise: float, looser: float) -> None:
    asked = scenarios.scenario("brand-studio")
    assert found(asked, p95_wait_s=promise) >= found(asked, p95_wait_s=promise * looser)


def test_the_curve_falls_as_the_promise_loosens_and_meets_the_bill(
    studio: scenarios.Scenario,
) -> None:
    plan = fleet.plan(studio)
    costs = [cost for _, cost in plan.curve]
    assert costs == sorted(costs, reverse=True)
    assert dict(plan.curve)[studio.p95_wait_s] == float(plan.summary["usd_per_month"].value)


@settings(max_examples=60, deadline=None)
@given(
    hours=st.lists(st.integers(0, 12), min_size=168, max_size=168),
    at=st.integers(0, 167),
    cold=st.floats(0, 1),
)
def test_a_slot_more_in_any_hour_never_rents_for_less(
    hours: list[int], at: int, cold: float
) -> None:
    import numpy as np

    offers = catalog.offers(scenarios.scenario("social-app").date, gpu="H100-SXM")
    reserved = next(one for one in offers if one.purchase == "reserved")
    by_hour = next(one for one in offers if one.purchase == "on_demand")
    buys = [
        work.Buy(offer=reserved, gpus=8, slots=8, usd_per_hour=15.0, cold_hours=cold,
                 interruptions_per_h=0),
        work.Buy(offer=by_hour, gpus=2, slots=2, usd_per_hour=5.0, cold_hours=cold,
                 interruptions_per_h=0),
    ]  # fmt: skip
    needed = np.array(hours, np.int64)
    needed[0] = max(needed[0], 1)
    rent = search.cheapest_rent(needed, buys, by_the_hour=True)
    assert (rent.slots >= needed).all()
    more = needed.copy()
    more[at] += 1
    dearer = search.cheapest_rent(more, buys, by_the_hour=True)
    assert dearer.usd_per_week >= rent.usd_per_week - 1e-6
    level = search.cheapest_rent(needed, buys, by_the_hour=False)
    assert level.usd_per_week >= rent.usd_per_week - 1e-6


@settings(max_examples=60, deadline=None)
@given(
    base=st.lists(st.integers(0, 9), min_size=168, max_size=168),
    factor=st.sampled_from([1, 2, 3]),
    cold=st.floats(0, 1),
)
def test_the_cheapest_mix_is_that_of_trying_every_base(
    base: list[int], factor: int, cold: float
) -> None:
    import numpy as np

    offers = catalog.offers(scenarios.scenario("social-app").date, gpu="H100-SXM")
    reserved = next(one for one in offers if one.purchase == "reserved")
    by_hour = next(one for one in offers if one.purchase == "on_demand")
    all_week = work.Buy(offer=reserved, gpus=2, slots=2, usd_per_hour=3.0, cold_hours=0.0,
                        interruptions_per_h=0)  # fmt: skip
    hourly = work.Buy(offer=by_hour, gpus=1, slots=1, usd_per_hour=2.0, cold_hours=cold,
                      interruptions_per_h=0)  # fmt: skip
    base[0] = max(base[0], 1)
    slots = np.array(base, np.int64)
    found = search.cheapest_rent(
        slots, [all_week], by_the_hour=True, remainder=(slots * factor, [hourly])
    )
    tried = []
    for count in range(math.ceil(max(base) / 2)):
        left = [
            math.ceil(Fraction(max(0, need - 2 * count), max(need, 1)) * need * factor)
            for need in base
        ]
        starts = sum(max(0, now - before) for before, now in pairwise([left[-1], *left]))
        tried.append(168 * 3.0 * count + 2.0 * (sum(left) + cold * starts))
    assert found.usd_per_week == pytest.approx(min(tried))


def test_slots_by_hour_agree_with_the_projections_busiest_hour(
    studio: scenarios.Scenario,
) -> None:
    own = projection.project(studio)
    plan = fleet.plan(studio, wishes=replace(H100, purchases=()))
    (pool,) = plan.pools
    assert max(pool.gpus_by_hour) == own.pools[0].gpus.value
    assert min(pool.gpus_by_hour) < max(pool.gpus_by_hour)
    busy = sum(pool.busy_by_hour) / sum(pool.gpus_by_hour)
    assert busy == pytest.approx(float(pool.utilisation.value), rel=0.1)
    assert all(
        used <= rented + 1e-6
        for used, rented in zip(pool.busy_by_hour, pool.gpus_by_hour, strict=True)
        if rented == max(pool.gpus_by_hour)
    )


def test_switched_off_slots_are_held_by_level() -> None:
    import numpy as np

    begins, hours = check._off_times(np.array([2, 1, 1, 2, 0, 2]), 2)
    assert sorted(zip(begins.tolist(), hours.tolist(), strict=True)) == [
        (3600.0, 2.0), (4 * 3600.0, 1.0), (4 * 3600.0, 1.0),
    ]  # fmt: skip


def test_faster_start_to_finish_takes_more_gpus_per_clip(studio: scenarios.Scenario) -> None:
    wishes = replace(H100, gpus_per_clip=(1, 2, 4, 8), purchases=("on_demand",))
    slow = fleet.plan(studio, wishes=replace(wishes, finish_s=math.inf)).pools[0]
    quick = fleet.plan(studio, wishes=replace(wishes, finish_s=200.0)).pools[0]
    assert slow.gpus_per_clip < quick.gpus_per_clip
    assert all(rental.gpus % quick.gpus_per_clip == 0 for rental in quick.rentals)
    finish = quick.classes[0].p95_finish_s
    assert finish is not None
    assert finish.value <= 200 * 1.05
    assert quick.usd_per_month.value > slow.usd_per_month.value


def test_nothing_that_cannot_finish_in_time_is_offered(studio: scenarios.Scenario) -> None:
    with pytest.raises(CannotServe, match="within the time asked for"):
        fleet.plan(studio, wishes=replace(H100, finish_s=1.0))


def test_spot_waits_for_a_known_interruption_rate(studio: scenarios.Scenario) -> None:
    spot = replace(H100, purchases=("spot",))
    without = fleet.plan(studio, wishes=spot)
    assert any("interrupted" in text for text in without.left_out)
    assert all(r.offer.purchase != "spot" for pool in without.pools for r in pool.rentals)
    costs = []
    for rate in (0.01, 0.5):
        plan = fleet.plan(studio, wishes=replace(spot, interruptions_per_hour=rate))
        assert {r.offer.purchase for pool in plan.pools for r in pool.rentals} == {"spot"}
        assert all(pool.kept for pool in plan.pools)
        costs.append(plan.summary["usd_per_month"].value)
    assert costs[0] <= costs[1]


def test_serverless_serves_a_few_clips_if_people_may_wait_for_its_start(
    studio: scenarios.Scenario,
) -> None:
    few = replace(studio, clips_per_month=300)
    plan = fleet.plan(few)
    (pool,) = plan.pools
    (rental,) = pool.rentals
    assert rental.offer.purchase == "serverless"
    assert rental.when == "by use"
    (one,) = pool.classes
    run_s, cold_s = Decimal(str(round(float(one.slot_s.value), 6))), Decimal(300)
    billed_h = float(rental.offer.billed_s(run_s, cold_s)) / 3600 * one.attempts_per_month
    assert float(rental.line.quantity) == pytest.approx(billed_h, rel=1e-6)
    assert pool.kept
    assert pool.p95_wait_s is not None
    assert float(pool.p95_wait_s.value) <= 300.0
    assert plan.exhausted_on is None
    assert "headroom_clips_per_month" not in plan.summary
    assert plan.summary["idle_usd_per_month"].value == pytest.approx(0, abs=1e-5)
    hurried = fleet.plan(replace(few, p95_wait_s=200))
    assert all(r.offer.purchase != "serverless" for p in hurried.pools for r in p.rentals)


@settings(max_examples=4, deadline=None)
@given(clips=st.floats(300, 40_000), more=st.floats(1.01, 2), most=st.sampled_from([0.05, 0.5]))
def test_handing_over_and_mixing_never_cost_more_and_more_demand_never_costs_less(
    clips: float, more: float, most: float
) -> None:
    asked = scenarios.scenario("brand-studio")
    some = fleet.Wishes(gpus=("H100-SXM", "GH200", "RTX-PRO-6000"), gpus_per_clip=(1,))
    handing = replace(some, hand_over=most)
    cost = found(asked, handing, clips_per_month=clips)
    assert cost <= found(asked, some, clips_per_month=clips) + 0.01
    assert found(asked, some, clips_per_month=clips) <= (
        found(asked, replace(some, mix=False), clips_per_month=clips) + 0.01
    )
    assert cost <= found(asked, handing, clips_per_month=clips * more) + 0.01


def test_what_is_handed_over_has_its_own_lines_and_agrees_with_the_simulation(
    studio: scenarios.Scenario,
) -> None:
    plan = fleet.plan(studio, wishes=fleet.Wishes(hand_over=0.2))
    (pool,) = plan.pools
    assert pool.way == "handed over"
    assert pool.kept
    total = plan.summary["usd_per_month"].value
    assert total == usd(sum(line.micro_usd for line in plan.bill))
    handed = float(plan.summary["handed_over_usd_per_month"].value)
    parts = ("busy", "idle", "cold_start", "handed_over")
    spent = [float(plan.summary[f"{name}_usd_per_month"].value) for name in parts]
    assert sum(spent) == pytest.approx(float(total))
    assert handed == pytest.approx(sum(one.line.micro_usd for one in pool.handed_over) / 1e6)
    (part,), (one,) = pool.handed_over, pool.classes
    assert pool.handed_over_share is not None
    share = float(pool.handed_over_share.value)
    assert part.attempts_per_month == pytest.approx(one.attempts_per_month * share)
    assert pool.handed_over_share.range is not None
    assert pool.handed_over_share.range.high - pool.handed_over_share.range.low < 0.02
    alone = unitcost.on_api(part.api, _request(studio), studio.date)
    billed = (1 - studio.api_failure_share) if not alone.failures_billed else 1.0
    own = studio.deployments[0].failure_share
    attempts = float(part.line.quantity) / billed * (1 - studio.api_failure_share) / (1 - own)
    assert attempts == pytest.approx(part.attempts_per_month, rel=1e-6)


def test_only_an_api_that_gives_what_the_clips_ask_takes_them(
    studio: scenarios.Scenario,
) -> None:
    (one,) = work.works_of(projection.project(studio))
    (stream,) = one.streams
    able, remarks = answer.hand_over_for(one, studio, 0.2)
    assert able is not None
    assert not remarks
    (cheapest,) = able.routes
    assert cheapest is not None
    blurred = replace(stream, short={**stream.short, cheapest.route: ("does not draw faces",)})
    other, _ = answer.hand_over_for(replace(one, streams=(blurred,)), studio, 0.2)
    assert other is not None
    assert other.routes[0] is not None
    assert other.routes[0].route != cheapest.route
    assert other.usd[0] >= able.usd[0]
    lacking = replace(stream, short=dict.fromkeys(stream.short, ("does not draw faces",)))
    none, said = answer.hand_over_for(replace(one, streams=(lacking,)), studio, 0.2)
    assert none is None
    assert f"{cheapest.route}: does not draw faces" in said[0]
    assert "so nothing is handed over" in said[0]


def _request(asked: scenarios.Scenario) -> Any:
    return traffic.mix(asked.mix).segments[0].request()


def a_need(erlangs: float, slot_s: float = 300.0, hours: int = 720) -> search.Need:
    """A steady load, the same in every hour."""
    plain = work.Work(
        deployment=scenarios.scenario("brand-studio").deployments[0],
        streams=(), own_seconds=(), hours=hours, peak_factor=1.0,
        shares=(1.0,) * 168, batch_utilisation=0.95,
    )  # fmt: skip
    per_month = erlangs / slot_s * 3600 * hours
    return search.Need(loads=(capacity.Load(per_month=per_month, slot_s=slot_s),), work=plain)


def test_at_once_is_erlangs_loss_and_waiting_hands_over_less() -> None:
    at_once = search.handed_over(a_need(2.7), 5, 0.0)
    assert at_once[0, 0] == 1
    assert at_once[7, 3] == pytest.approx(capacity.handed_over(0.009, 300.0, 3), rel=1e-12)
    later = search.handed_over(a_need(2.7), 5, 120.0)
    assert (later[:, 1:] < at_once[:, 1:]).all()
    assert (search.handed_over(a_need(2.8), 5, 120.0)[:, 1:] > later[:, 1:]).all()


@pytest.mark.parametrize(("slots", "erlangs", "wait_s"), [(8, 7.6, 150.0), (30, 33.0, 60.0)])
def test_the_formula_for_what_is_handed_over_agrees_with_long_simulation(
    slots: int, erlangs: float, wait_s: float
) -> None:
    ahead = int(wait_s * slots / 300.0)
    clip = capacity.Workload(
        name="clip", service_s={"own": 300.0, "api": 1.0}, overflow_to="api", overflow_queue=ahead
    )
    per_hour = erlangs / 300.0 * 3600
    demand = capacity.Demand.drawn([(clip, per_hour)], 200_000 / per_hour, 3)
    pools = [capacity.Pool(name="own", servers=slots), capacity.Pool(name="api", servers=2000)]
    seen = float((capacity.simulate_pools(pools, demand).pool == 1).mean())
    said = float(search.handed_over(a_need(erlangs), slots, wait_s)[0, slots])
    assert said == pytest.approx(seen, rel=0.15)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_hours_on_are_the_best_there_are(data: st.DataObject) -> None:
    import itertools

    import numpy as np

    hours = 7
    saved = np.array(
        [data.draw(st.lists(st.floats(0, 4), min_size=hours, max_size=hours)) for _ in range(2)]
    )
    offer = catalog.offers(scenarios.scenario("social-app").date, gpu="H100-SXM")[0]
    buy = work.Buy(
        offer=offer, gpus=1, slots=1, usd_per_hour=2.0, cold_hours=data.draw(st.floats(0, 1)),
        interruptions_per_h=0,
    )  # fmt: skip
    gains, on = search._hours_on(saved, buy)
    for n, gain in enumerate(gains):
        best = max(
            sum(saved[n][h] - 2.0 for h in range(hours) if way[h])
            - 2.0 * buy.cold_hours * sum(way[h] and not way[h - 1] for h in range(hours))
            for way in itertools.product((False, True), repeat=hours)
        )
        assert gain == pytest.approx(best, abs=1e-9)
        assert len(on[n]) == hours


def test_two_kinds_of_gpu_serve_one_model_where_that_is_cheaper() -> None:
    asked = replace(scenarios.scenario("social-app"), clips_per_month=60_000)
    wishes = fleet.Wishes(gpus=("H100-SXM", "GH200"), gpus_per_clip=(1,),
                          purchases=("owned", "on_demand"))  # fmt: skip
    pools = fleet.plan(asked, wishes=wishes).pools
    mixed = [pool for pool in pools if pool.way == "mixed"]
    assert mixed
    for pool in mixed:
        assert pool.kept
        base, hourly = pool.rentals
        assert base.offer.gpu != hourly.offer.gpu
        assert base.all_week
        assert not hourly.all_week
        assert 0 < base.busy_gpu_hours <= base.gpu_hours
        assert 0 < hourly.busy_gpu_hours <= hourly.gpu_hours
        assert sum(pool.busy_by_hour) > 0
    alone = fleet.plan(asked, wishes=replace(wishes, mix=False))
    assert all(pool.way == "one kind" for pool in alone.pools)


def test_spot_may_stand_beside_a_steady_base(studio: scenarios.Scenario) -> None:
    wishes = replace(H100, purchases=("reserved", "spot"), interruptions_per_hour=0.05)
    plan = fleet.plan(replace(studio, clips_per_month=60_000), wishes=wishes)
    (pool,) = plan.pools
    tried = {pool.way, *(one.way for one in pool.others)}
    tried |= {pool.runner_up.way} if pool.runner_up else set()
    assert "spot beside" in tried
    assert pool.kept


def test_warm_workers_are_kept_where_a_start_takes_longer_than_people_wait(
    studio: scenarios.Scenario,
) -> None:
    asked = replace(studio, clips_per_month=30_000, p95_wait_s=60.0)
    wishes = fleet.Wishes(gpus=("H100-SXM",), gpus_per_clip=(1,), purchases=("serverless",))
    search_ = next(iter(_searches(asked, wishes)))
    (hardware,) = [one for one in search_.hardware if one.serverless]
    out = search_.worker(hardware, (0,))
    assert out.most == 0.05
    made = search_.beside(hardware, 0.0, out, search_.work, (0,))
    assert made is not None
    assert made.rent.base_count > 0
    assert max(made.rent.handed_over) <= 0.05
    played = check.play(made, 60.0, wishes.cold_start_s)
    assert played.keeps(made.wait_s)
    assert played.rush_handed_over.interval.low <= 0.05
    patient = search_.beside(hardware, 0.0, replace(out, most=1.0), search_.work, (0,))
    assert patient is not None
    assert patient.usd_per_month <= made.usd_per_month


def _searches(asked: scenarios.Scenario, wishes: fleet.Wishes) -> list[search.Search]:
    found = []
    for one in work.works_of(projection.project(asked)):
        hardware, _ = work.hardware_for(one, wishes, asked.date)
        found.append(
            search.Search(
                work=one, hardware=tuple(hardware), wishes=wishes, promise_s=asked.p95_wait_s
            )
        )
    return found


def test_a_policy_that_hands_over_is_planned_so(studio: scenarios.Scenario) -> None:
    rule = routing.Overflow(to="fal-wan2.2-a14b", after_wait_s=60.0)
    policy = replace(routing.policy(studio.policy), overflow=rule)
    plan = fleet.plan(studio, policy=policy, wishes=H100)
    (pool,) = plan.pools
    assert {one.api for one in pool.handed_over} == {"fal-wan2.2-a14b"}
    none = fleet.plan(studio, policy=policy, wishes=replace(H100, hand_over=0.0))
    assert not none.pools[0].handed_over
    assert none.summary["usd_per_month"].value >= plan.summary["usd_per_month"].value


def test_batch_work_is_level_and_has_no_wait() -> None:
    plan = fleet.plan(scenarios.scenario("overnight-batch"))
    assert plan.curve == ()
    for pool in plan.pools:
        assert pool.batch
        assert pool.p95_wait_s is None
        assert max(pool.gpus_by_hour) - min(pool.gpus_by_hour) <= 1
        assert 0.9 < float(pool.utilisation.value) <= 0.96


def test_batch_beside_people_costs_at_most_its_own_gpus(studio: scenarios.Scenario) -> None:
    mix = traffic.mix(studio.mix)
    first, *rest = mix.segments
    half = replace(first, share=first.share / 2)
    mixed = replace(mix, segments=(half, replace(half, name="night work", batch=True), *rest))
    plan = fleet.plan(studio, mix=mixed, wishes=H100)
    assert (
        plan.summary["usd_per_month"].value
        <= projection.project(studio, mix=mixed).pools[0].usd_per_month.value
    )
    assert all(pool.kept for pool in plan.pools)


def test_break_even_lies_where_the_two_cost_the_same(studio: scenarios.Scenario) -> None:
    plan = fleet.plan(studio, wishes=H100)
    crossed = [one for one in plan.break_even if one.first]
    assert crossed
    for one in crossed:
        assert one.first is not None
        assert one.last is not None
        assert one.first <= one.last
        assert one.searched[0] <= one.first <= one.searched[1]
        assert one.usd_per_accepted_clip is not None
        below = [cost for clips, cost in plan.cost_by_volume if clips < one.first / 2]
        above = [cost for clips, cost in plan.cost_by_volume if clips > one.last]
        assert all(cost >= one.usd_per_accepted_clip for cost in below[:1])
        assert all(cost <= one.usd_per_accepted_clip for cost in above)


@pytest.mark.parametrize(
    ("first", "last", "below", "above", "said"),
    [
        (None, None, "api", "api", "at no volume tried"),
        (None, None, "fleet", "fleet", "at every volume tried"),
        (1234.0, 1234.0, "api", "fleet", "from 1,230 clips a month on"),
        (1234.0, 5678.0, "api", "fleet", "at times from 1,230, always from 5,680 clips a month on"),
        (1234.0, 1234.0, "fleet", "api", "up to 1,230 clips a month"),
        (1234.0, 5678.0, "api", "api", "at times from 1,230 to 5,680 clips a month"),
        (1234.0, 5678.0, "fleet", "fleet", "up to 1,230 and from 5,680 clips a month on"),
    ],
)
def test_a_break_even_is_put_in_words(
    first: float | None, last: float | None, below: Any, above: Any, said: str
) -> None:
    found = fleet.BreakEven(
        api="an-api", usd_per_accepted_clip=1.0, first=first, last=last, below=below, above=above,
        searched=(1.0, 1e6),
    )  # fmt: skip
    assert found.words == said


def test_headroom_and_growth_say_when_the_gpus_run_out(studio: scenarios.Scenario) -> None:
    slow = fleet.plan(studio, wishes=replace(H100, growth_per_month=0.05))
    fast = fleet.plan(studio, wishes=replace(H100, growth_per_month=0.5))
    assert slow.exhausted_on is not None
    assert fast.exhausted_on is not None
    assert studio.date <= fast.exhausted_on <= slow.exhausted_on
    room = float(slow.summary["headroom_clips_per_month"].value)
    assert room >= traffic.mix(studio.mix).clips_per_month
    assert most(studio, clips_per_month=room * 0.999) == most(studio)
    assert fleet.plan(studio, wishes=H100).exhausted_on is None


def test_the_growth_and_seasons_of_the_mix_count_where_none_is_entered(
    studio: scenarios.Scenario,
) -> None:
    mix = replace(traffic.mix(studio.mix), growth_per_month=0.05)
    told = fleet.plan(studio, mix=mix, wishes=H100)
    entered = fleet.plan(studio, wishes=replace(H100, growth_per_month=0.05))
    assert told.exhausted_on == entered.exhausted_on
    peak = replace(mix, growth_per_month=0.0, seasonality=(1.0,) * 11 + (3.0,))
    assert str(fleet.plan(studio, mix=peak, wishes=H100).exhausted_on) == "2026-12-01"


def test_the_runner_up_is_dearer_and_says_why() -> None:
    plan = fleet.plan(scenarios.scenario("social-app-few-step"))
    for pool in plan.pools:
        assert pool.runner_up is not None
        assert pool.runner_up.usd_per_month >= float(pool.usd_per_month.value) - 0.01
        assert "dearer" in pool.runner_up.why


def test_the_same_question_is_answered_once(studio: scenarios.Scenario) -> None:
    assert fleet.plan(studio) is fleet.plan(studio)
    assert fleet.plan(studio) is not fleet.plan(studio, wishes=H100)
    assert fleet.plan(studio) is not fleet.plan(studio, wishes=fleet.Wishes(finish_s=math.inf))


def test_no_clips_for_own_gpus_is_said_so() -> None:
    with pytest.raises(CannotServe, match="no clips to own GPUs"):
        fleet.plan(scenarios.scenario("dev-and-test"))


def test_every_figure_is_estimated_and_opens(studio: scenarios.Scenario) -> None:
    for path, figure in fleet.plan(studio).figures().items():
        assert figure.basis == "estimated", path
        assert figure.inputs, path


@pytest.mark.parametrize(
    "wrong",
    [
        {"finish_s": 0.0},
        {"cold_start_s": 3601.0},
        {"interruptions_per_hour": -1.0},
        {"gpus_per_clip": ()},
        {"growth_per_month": -0.1},
        {"hand_over": 1.0},
    ],
)
def test_wishes_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument):
        fleet.Wishes(**wrong)  # type: ignore[arg-type]


def test_unknown_purchases_and_gpus_are_refused(studio: scenarios.Scenario) -> None:
    with pytest.raises(UnknownName):
        fleet.Wishes(purchases=("barter",))  # type: ignore[arg-type]
    with pytest.raises(UnknownName):
        fleet.plan(studio, wishes=fleet.Wishes(gpus=("H1000",)))


def test_a_contract_price_is_what_the_own_gpus_cost(studio: scenarios.Scenario) -> None:
    (own,) = studio.deployments
    cheap = replace(studio, deployments=(replace(own, usd_per_gpu_hour=Decimal("0.5")),))
    (pool,) = fleet.plan(cheap, wishes=H100).pools
    assert {rental.price.value for rental in pool.rentals} == {Decimal("0.5")}
    assert unitcost.hourly_price(cheap.deployments[0], cheap.date).value == Decimal("0.5")


def test_the_command_prints_the_plan() -> None:
    text = CliRunner().invoke(main, ["capacity", "plan", "brand-studio"], catch_exceptions=False)
    assert text.exit_code == 0
    assert "Next best" in text.output
    answer = CliRunner().invoke(
        main, ["capacity", "plan", "brand-studio", "--gpu", "H100-SXM", "--json"]
    )
    body = json.loads(answer.output)
    assert body["scenario"] == "brand-studio"
    assert sum(line["micro_usd"] for line in body["bill"]) == round(
        float(body["summary"]["usd_per_month"]["value"]) * 1e6
    )
    assert len(body["pools"][0]["busy_by_hour"]) == 168
    assert CliRunner().invoke(main, ["capacity", "plan", "dev-and-test"]).exit_code == 2


def shown(**chosen: str) -> AppTest:
    app = AppTest.from_string(
        "from costlab.pages import capacity\ncapacity.page()", default_timeout=120
    )
    app.run()
    for key, value in chosen.items():
        app.selectbox(key=key.replace("_", "-")).set_value(value).run()
    assert not app.exception
    return app


@pytest.mark.parametrize("name", ["brand-studio", "overnight-batch"])
def test_the_page_states_the_plan_s_own_figures(name: str) -> None:
    app = shown(fleet=name)
    asked = scenarios.scenario(name)
    month = fleet.plan(asked).summary["usd_per_month"]
    assert present.money(month.value) in app.header[0].value
    assert app.metric[0].value == present.money(month.value)
    assert not app.error


def test_a_looser_promise_on_the_page_is_no_dearer() -> None:
    app = shown(fleet="brand-studio")
    before = fleet.plan(scenarios.scenario("brand-studio")).summary["usd_per_month"].value
    app.select_slider(key="fleet-promise-brand-studio").set_value(3600.0).run()
    assert not app.exception
    assert "1 h" in app.header[0].value or "60 min" in app.header[0].value
    asked = replace(scenarios.scenario("brand-studio"), p95_wait_s=3600.0)
    after = fleet.plan(asked).summary["usd_per_month"].value
    assert after <= before
    assert app.metric[0].value == present.money(after)


def test_the_page_steps_through_a_day() -> None:
    app = shown(fleet="brand-studio")
    app.select_slider(key="fleet-hour").set_value(3).run()
    assert any(block.value.startswith("**3:00 to 4:00**") for block in app.markdown)


def test_without_clips_for_own_gpus_the_page_says_what_to_do() -> None:
    app = shown(fleet="dev-and-test")
    assert "no clips to own GPUs" in app.info[0].value
    app.selectbox(key="fleet-policy-dev-and-test").set_value("all-self-hosted").run()
    assert not app.exception
    assert not app.info
    assert "keep 95 % of waits" in app.header[0].value


def test_a_known_interruption_rate_on_the_page_opens_spot() -> None:
    app = shown(fleet="brand-studio")
    assert "spot" not in app.header[0].value
    app.select_slider(key="fleet-spot-brand-studio").set_value(0.01).run()
    assert not app.exception
    assert "on spot" in app.header[0].value


def test_an_api_may_help_out_on_the_page_and_other_rules_are_compared() -> None:
    app = shown(fleet="brand-studio")
    app.select_slider(key="fleet-hand-brand-studio").set_value(0.2).run()
    assert not app.exception
    assert any("When all GPUs are busy" in block.value for block in app.markdown)
    app.session_state["capacity-section"] = "Other rules"
    app.run()
    app.toggle(key="fleet-what-if-brand-studio").set_value(True).run()
    assert not app.exception
    rows = next(table.value for table in app.dataframe if "If" in table.value.columns)
    assert rows["Change"][0] == 0
    assert {"GPUs stay on all week", "one kind of GPU"} < set(rows["If"])


def test_no_way_to_buy_leaves_the_scenarios_own_offer() -> None:
    app = shown(fleet="brand-studio")
    app.pills(key="fleet-buy-brand-studio").set_value([]).run()
    assert not app.exception
    assert "H100-SXMs rented" in app.header[0].value
