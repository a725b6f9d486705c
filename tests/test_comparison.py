from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from costlab import comparison, projection, scenarios
from costlab.comparison import compare

SOCIAL = scenarios.scenario("social-app")
FEW = scenarios.scenario("social-app-few-step")


def bill(scenario: scenarios.Scenario) -> int:
    return sum(line.micro_usd for line in projection.project(scenario).bill)


def test_the_parts_sum_to_the_difference_of_the_bills() -> None:
    other = replace(
        FEW, policy="cheapest-capable", clips_per_month=150_000.0, date=date(2026, 12, 5)
    )
    found = compare(SOCIAL, other)
    assert {c.name for c in found.changes} == {
        "traffic", "prices' day", "GPUs and APIs", "policy",
    }  # fmt: skip
    assert sum(change.micro_usd for change in found.changes) == found.micro_usd
    assert found.micro_usd == bill(other) - bill(SOCIAL)


def test_one_change_takes_the_whole_difference() -> None:
    other = replace(SOCIAL, policy="all-api")
    (change,) = compare(SOCIAL, other).changes
    assert change.micro_usd == bill(other) - bill(SOCIAL)
    assert change.words == ("The article's router → Everything on APIs",)


def test_two_changes_get_the_mean_of_both_orders() -> None:
    other = replace(SOCIAL, policy="article-repaired", clips_per_month=30_000.0)
    only_policy = replace(SOCIAL, policy=other.policy)
    only_clips = replace(SOCIAL, clips_per_month=other.clips_per_month)
    start, end = bill(SOCIAL), bill(other)
    by_hand = ((bill(only_policy) - start) + (end - bill(only_clips))) / 2
    parts = {change.name: change.micro_usd for change in compare(SOCIAL, other).changes}
    assert parts["policy"] == pytest.approx(by_hand, abs=1)


def test_swapped_scenarios_have_opposite_parts() -> None:
    other = replace(FEW, policy="cheapest-capable")
    there = {c.name: c.micro_usd for c in compare(SOCIAL, other).changes}
    back = {c.name: c.micro_usd for c in compare(other, SOCIAL).changes}
    assert {name: -value for name, value in back.items()} == pytest.approx(there, abs=1)


def test_a_scenario_against_itself_has_nothing_to_explain() -> None:
    found = compare(SOCIAL, replace(SOCIAL, id="same", title="Same"))
    assert (found.before.scenario.id, found.after.scenario.id) == ("social-app", "same")
    assert found.changes == ()
    assert found.micro_usd == 0


def test_words_name_the_deployment_that_changed_and_how() -> None:
    faster = replace(SOCIAL.deployments[0], precision="fp8")
    other = replace(SOCIAL, deployments=(faster, *SOCIAL.deployments[1:]))
    (change,) = compare(SOCIAL, other).changes
    assert change.words == (f"{faster.route}, precision: bf16 → fp8",)


def test_every_field_of_a_scenario_that_moves_money_belongs_to_a_group() -> None:
    grouped = {field for fields in comparison.GROUPS.values() for field in fields}
    free = set(scenarios.Scenario.__dataclass_fields__) - grouped
    assert free == {"id", "title", "note"}
