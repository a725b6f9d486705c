"""Budgets, overflow, spot for batch, splits and floors, on whole projections."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlab import capacity, projection, routing, scenarios, traffic
from costlab.core import BadData

FEW_STEP = scenarios.scenario("social-app-few-step")


def projected(**policy: Any) -> projection.Projection:
    body = {"id": "p", "title": "P", **policy}
    return projection.project(FEW_STEP, policy=routing.parse_policy(body))


def money(answer: projection.Projection) -> float:
    return float(answer.summary["usd_per_month"].value)


def check_laws(answer: projection.Projection) -> None:
    """Splits sum to one, the bill to the total, wanted clips to the mix, by segment."""
    assert math.fsum(answer.split.values()) == pytest.approx(1)
    assert sum(line.micro_usd for line in answer.bill) == round(money(answer) * 1e6)
    parts: dict[str, float] = {}
    for result in answer.segments:
        parts[result.of] = parts.get(result.of, 0.0) + result.segment.share
    for segment in answer.mix.segments:
        assert parts[segment.name] == pytest.approx(segment.share)
    spent = math.fsum(float(r.usd_per_month.value) for r in answer.segments if r.usd_per_month)
    assert spent == pytest.approx(money(answer), abs=1e-3)


@pytest.mark.parametrize("policy_id", sorted(routing.policies()))
@pytest.mark.parametrize("scenario_id", ["social-app-few-step", "brand-studio"])
def test_every_shipped_policy_keeps_the_laws(policy_id: str, scenario_id: str) -> None:
    policy = routing.policy(policy_id)
    scenario = scenarios.scenario(scenario_id)
    check_laws(projection.project(scenario, policy=policy))


def test_a_split_bills_each_route_its_share() -> None:
    whole = projected(rules=[{"route": "veo-3.1-fast"}])
    half = projected(rules=[{"split": {"veo-3.1-fast": 0.5, "veo-3.1-lite": 0.5}}])
    lite = projected(rules=[{"route": "veo-3.1-lite"}])
    assert money(half) == pytest.approx((money(whole) + money(lite)) / 2, abs=1e-4)
    assert half.split == pytest.approx({"veo-3.1-fast": 0.5, "veo-3.1-lite": 0.5})
    check_laws(half)


def test_two_names_of_one_model_in_a_split_are_one_route() -> None:
    answer = projected(rules=[{"split": {"veo-31-fast": 0.5, "veo-3.1-fast": 0.5}}])
    assert answer.split == {"veo-3.1-fast": 1.0}
    assert [result.segment.name for result in answer.segments] == [
        segment.name for segment in answer.mix.segments
    ]


@settings(max_examples=15, deadline=None)
@given(cap=st.integers(0, 200_000))
def test_a_budget_is_never_overspent_and_the_rest_goes_where_it_says(cap: int) -> None:
    rules = [{"when": {"mode": "i2v"}, "route": "wan-22-i2v"}, {"route": "veo-3.1-fast"}]
    answer = projected(rules=rules, budget={"usd_per_month": str(cap), "then": "wan-22-t2v"})
    check_laws(answer)
    api = sum(line.micro_usd for line in answer.bill if line.unit == "attempt")
    free = projected(rules=rules)
    wanted = sum(line.micro_usd for line in free.bill if line.unit == "attempt")
    assert api == pytest.approx(min(cap * 1_000_000, wanted), abs=5)
    unserved = [r for r in answer.segments if r.reason]
    assert all(r.segment.audio for r in unserved)


def test_a_pool_that_overflows_hands_over_what_erlang_s_loss_formula_says() -> None:
    one = traffic.Segment(name="a", share=1.0, seconds=Decimal(5), resolution="480p")
    mix = traffic.TrafficMix(
        id="m", title="M", clips_per_month=60_000, segments=(one,),
        hourly=(0.5,) * 12 + (1.5,) * 12,
    )  # fmt: skip
    policy = routing.parse_policy(
        {"id": "p", "title": "P", "rules": [{"route": "wan-22-t2v"}],
         "overflow": {"to": "fal-wan2.2-a14b"}}
    )  # fmt: skip
    deployment = replace(FEW_STEP.deployments[0], failure_share=0.0)
    scenario = replace(FEW_STEP, deployments=(deployment,), api_failure_share=0.0)
    answer = projection.project(scenario, mix=mix, policy=policy)
    own, over = answer.segments
    slots = int(answer.pools[0].slots.value)
    assert own.unit is not None
    assert own.unit.slot_s is not None
    seconds = float(own.unit.slot_s.value)
    hours = answer.hours
    blocked = []
    for factor in (0.5, 1.5):
        erlangs = 60_000 / hours * factor * seconds / 3600
        states = [erlangs**k / math.factorial(k) for k in range(slots + 1)]
        blocked.append(states[-1] / sum(states))
    expected = (0.5 * blocked[0] + 1.5 * blocked[1]) / 2
    assert over.segment.share == pytest.approx(expected, rel=1e-9)
    assert over.route == "fal-wan2.2-a14b"

    def bill_at(count: int) -> float:
        share = capacity.handed_over_by_servers(
            [60_000 / hours * f for f in mix.hours_of_week], seconds, count
        )[count]
        rent = count * hours * float(answer.pools[0].price.value)
        assert over.unit is not None
        return rent + float(share) * 60_000 * float(over.unit.usd.value)

    assert bill_at(slots) <= min(bill_at(slots - 1), bill_at(slots + 1))
    assert money(answer) == pytest.approx(bill_at(slots), abs=1e-3)
    check_laws(answer)


def test_overflow_never_costs_more_than_keeping_the_promise_with_own_gpus_alone() -> None:
    rules = [
        {"when": {"audio": True}, "route": "veo-3.1-fast"},
        {"when": {"mode": "i2v"}, "route": "wan-22-i2v"},
        {"route": "wan-22-t2v"},
    ]
    alone = projected(rules=rules)
    helped = projected(rules=rules, overflow={"to": "fal-wan2.2-a14b"})
    waiting = projected(rules=rules, overflow={"to": "fal-wan2.2-a14b", "after_wait_s": 60})
    assert money(waiting) <= money(helped) <= money(alone)
    for answer in (helped, waiting):
        check_laws(answer)
        for pool in answer.pools:
            assert pool.peak_utilisation is not None
            assert 0 < float(pool.peak_utilisation.value) < 1


def test_batch_work_goes_to_spot_gpus_and_people_to_the_others() -> None:
    steady = scenarios.scenario("overnight-batch").deployments[0]
    on_demand = replace(steady, offer=FEW_STEP.deployments[0].offer, interruptions_per_hour=None)
    scenario = replace(FEW_STEP, deployments=(steady, on_demand), apis=())
    mix = traffic.TrafficMix(
        id="m", title="M", clips_per_month=5000,
        segments=(
            traffic.Segment(name="night", share=0.5, seconds=Decimal(5), batch=True),
            traffic.Segment(name="people", share=0.5, seconds=Decimal(5)),
        ),
    )  # fmt: skip
    policy = routing.parse_policy(
        {"id": "p", "title": "P", "batch_on_spot": True, "rules": [{"route": "wan-22-t2v"}]}
    )
    answer = projection.project(scenario, mix=mix, policy=policy)
    assert {r.of: r.route for r in answer.segments} == {
        "night": steady.route,
        "people": on_demand.route,
    }
    only_spot = projection.project(replace(scenario, deployments=(steady,)), mix=mix, policy=policy)
    assert [r.of for r in only_spot.segments if r.reason] == ["people"]
    assert any("spot GPUs are for batch" in text for text in only_spot.warnings)


def test_a_route_below_the_floor_is_named_with_the_cost_of_doing_better() -> None:
    article = routing.policy("article-repaired")
    free = projection.project(FEW_STEP, policy=article)
    asked = projection.project(FEW_STEP, policy=replace(article, min_quality=1250.0))
    assert money(asked) == money(free)
    short = [r for r in asked.segments if r.violations]
    assert {r.route for r in short} >= {FEW_STEP.deployments[0].route}
    for result in short:
        assert result.fix is not None
        assert result.fix_usd_per_month is not None
        assert result.usage_per_accepted is not None
        served = float(result.usage_per_accepted.value) * result.accepted
        billed = result.fix_usd_per_month.inputs[0]
        again = float(billed.value) * float(result.fix.usd.value) - served
        assert float(result.fix_usd_per_month.value) == pytest.approx(again)
    assert not [r for r in free.segments if r.violations]


def test_a_higher_floor_or_a_tighter_limit_is_never_cheaper_to_serve() -> None:
    last = 0.0
    for floor in (None, 1100, 1200, 1300, 1350):
        answer = projected(kind="cheapest", min_quality=floor)
        assert float(answer.summary["served_share"].value) == pytest.approx(1)
        assert money(answer) >= last
        last = money(answer)
    slow = projected(kind="cheapest")
    fast = projected(kind="cheapest", max_latency_s=60)
    assert money(fast) >= money(slow)


def test_a_rule_may_name_a_deployment_and_an_unknown_one_is_refused() -> None:
    route = FEW_STEP.deployments[0].route
    answer = projected(rules=[{"when": {"stage": "preview"}, "route": route}, {"route": "wan-3.0"}])
    assert route in answer.split
    with pytest.raises(BadData, match="deployment"):
        projected(rules=[{"route": "wan2.2-t2v-a14b@A100, 4 steps"}])


def test_the_mean_rating_weighs_accepted_clips_and_is_absent_where_one_route_has_none() -> None:
    answer = projected(rules=[{"split": {"veo-3.1-fast": 0.3, "veo-3.1": 0.7}}])
    mean = answer.summary["mean_rating"]
    total = math.fsum(r.accepted for r in answer.segments)
    by_hand = math.fsum(float(r.rating.value) * r.accepted for r in answer.segments if r.rating)
    assert float(mean.value) == pytest.approx(by_hand / total)
    assert mean.range is not None
    assert mean.range.low < float(mean.value) < mean.range.high
    few_steps = projected(rules=[{"route": "wan-22-t2v"}])
    assert "mean_rating" not in few_steps.summary


def test_full_gpus_hand_over_to_an_api_and_nothing_else() -> None:
    with pytest.raises(BadData, match="must be an API"):
        projected(rules=[{"route": "wan-22-t2v"}], overflow={"to": "wan-22-t2v"})


def test_what_moderation_rejects_is_tried_again_and_billed_as_failures_are() -> None:
    rejecting = replace(FEW_STEP, api_failure_share=0.0, api_moderated_share=0.2)
    failing = replace(FEW_STEP, api_failure_share=0.2, api_moderated_share=0.0)
    both = replace(FEW_STEP, api_failure_share=0.2, api_moderated_share=0.1)
    policy = routing.parse_policy({"id": "p", "title": "P", "rules": [{"route": "veo-3.1-fast"}]})
    rejected, failed, lost = (
        projection.project(one, policy=policy) for one in (rejecting, failing, both)
    )
    assert money(rejected) == money(failed)
    for result in lost.segments:
        p = 0.8 * 0.9 * result.segment.acceptance
        tries = result.segment.max_tries or 0
        assert result.attempts == pytest.approx(result.wanted * (1 - (1 - p) ** tries) / p)
