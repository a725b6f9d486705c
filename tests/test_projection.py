from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from costlab import present, projection, scenarios, traffic
from costlab.core import BadData, Basis, Figure

SCENARIOS = scenarios.known()


@pytest.fixture(scope="module")
def answers() -> dict[str, projection.Projection]:
    return {name: projection.project(item) for name, item in SCENARIOS.items()}


def test_at_least_four_scenarios_ship() -> None:
    assert len(SCENARIOS) >= 4


@pytest.mark.parametrize("name", SCENARIOS)
def test_lines_add_up_to_the_bill_and_splits_to_one(
    name: str, answers: dict[str, projection.Projection]
) -> None:
    answer = answers[name]
    total = sum(line.micro_usd for line in answer.bill)
    month = answer.summary["usd_per_month"].value
    assert int(month.scaleb(6)) == total  # type: ignore[union-attr]
    parts = [r.usd_per_month.value for r in answer.segments if r.usd_per_month]
    assert sum(int(part.scaleb(6)) for part in parts) == total  # type: ignore[union-attr]
    assert sum(answer.split.values()) == pytest.approx(1)
    served, unserved = answer.summary["served_share"], answer.summary["unserved_share"]
    assert served.value + unserved.value == pytest.approx(1)  # type: ignore[operator]


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_leaf_says_where_it_comes_from(
    name: str, answers: dict[str, projection.Projection]
) -> None:
    for path, figure in answers[name].figures().items():
        for leaf in figure.leaves():
            assert leaf.source or leaf.ref or leaf.formula, f"{path}: {leaf.name}"


@pytest.mark.parametrize("name", SCENARIOS)
def test_intervals_hold_their_figures(name: str, answers: dict[str, projection.Projection]) -> None:
    for path, figure in answers[name].figures().items():
        if figure.range:
            assert figure.range.low <= float(figure.value) * (1 + 1e-9), path
            assert figure.range.high >= float(figure.value) * (1 - 1e-9), path


@pytest.mark.parametrize("name", SCENARIOS)
def test_idle_gpus_never_make_a_clip_cheaper(
    name: str, answers: dict[str, projection.Projection]
) -> None:
    for result in answers[name].segments:
        if result.per_accepted and result.usage_per_accepted:
            assert float(result.per_accepted.value) >= float(result.usage_per_accepted.value) * (
                1 - 1e-6
            )


def test_more_demand_never_needs_fewer_gpus() -> None:
    asked = SCENARIOS["social-app"]
    gpus = [
        float(projection.project(replace(asked, clips_per_month=volume)).summary["gpus"].value)
        for volume in (1_000, 10_000, 50_000, 100_000, 300_000)
    ]
    assert gpus == sorted(gpus)


def test_a_stricter_promise_never_costs_less() -> None:
    asked = SCENARIOS["social-app"]
    months = [
        float(projection.project(replace(asked, p95_wait_s=wait)).summary["usd_per_month"].value)
        for wait in (600.0, 60.0, 5.0)
    ]
    assert months == sorted(months)


def test_no_demand_costs_nothing() -> None:
    answer = projection.project(replace(SCENARIOS["social-app"], clips_per_month=0))
    assert answer.summary["usd_per_month"].value == 0
    assert "usd_per_accepted_clip" not in answer.summary


@pytest.mark.parametrize("name", SCENARIOS)
def test_cheapest_capable_is_the_cheapest_bill_of_all_policies_that_serve_as_much(
    name: str,
) -> None:
    asked = SCENARIOS[name]
    cheapest = projection.project(replace(asked, policy="cheapest-capable")).summary
    for policy in ("all-api", "all-self-hosted"):
        other = projection.project(replace(asked, policy=policy)).summary
        if other["served_share"].value == cheapest["served_share"].value:
            assert cheapest["usd_per_month"].value <= other["usd_per_month"].value


def test_a_further_deployment_never_makes_the_cheapest_bill_dearer() -> None:
    asked = replace(SCENARIOS["social-app-few-step"], policy="cheapest-capable")
    one = replace(asked, deployments=asked.deployments[:1])
    none = replace(asked, deployments=())
    bills = [projection.project(s).summary["usd_per_month"].value for s in (asked, one, none)]
    assert bills == sorted(bills)


def test_accepted_clips_rest_on_what_was_entered_alone(
    answers: dict[str, projection.Projection],
) -> None:
    assert answers["social-app"].summary["accepted_clips_per_month"].basis is Basis.ENTERED


def test_the_article_s_router_fails_photos_and_says_so(
    answers: dict[str, projection.Projection],
) -> None:
    photos = next(r for r in answers["social-app"].segments if r.segment.mode == "i2v")
    assert "takes text" in photos.reason
    assert photos.usd_per_month is None
    assert photos.fix is not None
    told = next(text for text in answers["social-app"].warnings if "photo animations" in text)
    assert f"{photos.fix.route} could" in told


def test_every_mistake_of_a_scenario_is_named_at_once() -> None:
    asked = SCENARIOS["social-app"]
    wrong = replace(
        asked,
        deployments=(replace(asked.deployments[0], gpu="H1000", offer="nowhere"),),
        apis=("veo-9",),
    )
    with pytest.raises(BadData) as caught:
        projection.project(wrong)
    text = str(caught.value)
    for part in ("deployments[1].gpu: unknown GPU 'H1000'", "deployments[1].offer:", "apis[1]:"):
        assert part in text


def test_a_rule_without_its_deployment_serves_nothing_and_says_so() -> None:
    answer = projection.project(replace(SCENARIOS["social-app"], deployments=()))
    unserved = {result.reason for result in answer.segments if result.model == "wan2.2-t2v-a14b"}
    assert unserved == {"the scenario deploys no wan2.2-t2v-a14b; it deploys nothing"}
    assert float(answer.summary["unserved_share"].value) == pytest.approx(0.9)


def test_the_frame_is_tidy(answers: dict[str, projection.Projection]) -> None:
    frame = answers["social-app"].frame()
    assert list(frame.columns) == [
        "scenario", "section", "item", "quantity", "value", "unit", "basis", "low", "high",
        "weakest_input", "formula", "hash",
    ]  # fmt: skip
    assert not frame.duplicated(["section", "item", "quantity"]).any()


def test_the_same_scenario_gives_the_same_hashes() -> None:
    first, second = (
        {path: figure.content_hash for path, figure in projection.project(item).figures().items()}
        for item in (SCENARIOS["social-app"], SCENARIOS["social-app"])
    )
    assert first == second


def test_a_saved_scenario_projects_like_its_original(own_store: object) -> None:
    asked = SCENARIOS["dev-and-test"]
    scenarios.save(replace(asked, id="mine"), who="Ann")
    mine: Figure = projection.project(scenarios.scenario("mine")).summary["usd_per_month"]
    assert mine.value == projection.project(asked).summary["usd_per_month"].value


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("social-app", "article"),
        ("social-app", "cheapest-capable"),
        ("social-app-few-step", "cheapest-capable"),
        ("brand-studio", "article"),
        ("brand-studio", "cheapest-capable"),
        ("overnight-batch", "all-self-hosted"),
        ("overnight-batch", "cheapest-capable"),
        ("dev-and-test", "cheapest-capable"),
    ],
)
def test_the_readme_states_what_is_projected(name: str, policy: str) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    summary = projection.project(replace(SCENARIOS[name], policy=policy)).summary
    clip = present.significant(summary["usd_per_accepted_clip"].value)
    month = present.money(summary["usd_per_month"].value).removeprefix("$")
    month = month if month.endswith("k") else f"{float(month.replace(',', '')) / 1000:.2f}k"
    assert any(clip in line and month in line for line in readme.splitlines()), (clip, month)


def test_an_old_gpu_price_is_pointed_out_unless_a_contract_replaces_it() -> None:
    asked = SCENARIOS["overnight-batch"]
    told = "the price of verda/H100-SXM/1x/spot is undated or over 90 days old"
    assert any(told in warning for warning in projection.project(asked).warnings)
    contract = replace(
        asked,
        deployments=tuple(
            replace(item, usd_per_gpu_hour=Decimal("1.62")) for item in asked.deployments
        ),
    )
    assert not any(told in warning for warning in projection.project(contract).warnings)


def test_fit_routes_give_all_that_a_segment_asks_and_the_others_say_what_they_lack() -> None:
    mix = traffic.mix(SCENARIOS["social-app"].mix)
    first, *rest = mix.segments
    for asked in (replace(first, faces=True), replace(first, max_latency_s=1e-3)):
        answer = projection.project(
            SCENARIOS["social-app"], mix=replace(mix, segments=(asked, *rest))
        )
        result = answer.segments[0]
        lacking = {route for route, lacks in result.short.items() if lacks}
        assert lacking
        assert {option.route for option in result.options} == result.short.keys()
        assert {option.route for option in result.fit} == result.short.keys() - lacking
