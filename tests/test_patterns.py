"""Each pattern worked out by hand on a made-up run of 300 s on one H100, and the laws they keep."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from costlab import catalog, patterns, projection, runs, scenarios, traffic
from costlab.cli.patterns import pattern
from costlab.cli.shared import Refusing
from costlab.core import BadData, Basis, CannotServe, ClipRequest, InvalidArgument, UnknownName
from costlab.patterns import accepted, arrival, develop, lora, preview, spot
from costlab.unitcost import Deployment
from tests.made_runs import made_run

DAY = date(2026, 11, 22)
H100 = Deployment(
    model="wan2.2-t2v-a14b",
    gpu="H100-SXM",
    offer="verda/H100-SXM/1x/on_demand",
    usd_per_gpu_hour=Decimal("2.00"),
)
SHORT = ClipRequest(seconds=Decimal(5), resolution="480p")
NO_LOSS = patterns.Losses(api_failure_share=0.0, moderated_share=0.0, utilisation=1.0)
HALF_IDLE = replace(NO_LOSS, utilisation=0.5)


@pytest.fixture(scope="module")
def store_with_a_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("patterns")
    runs.write(made_run(300.0), folder / "runs")
    return folder


@pytest.fixture
def measured(store_with_a_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSTLAB_HOME", str(store_with_a_run))


def value(answer: patterns.Answer, name: str) -> float:
    return float(answer.summary[name].value)


# ── The accepted clip ─────────────────────────────────────────────────────────────────────────


def test_failed_blocked_and_rejected_attempts_are_all_in_the_accepted_clip() -> None:
    """$1 an attempt, 10 % fail, 20 % of the rest are blocked, half of the delivered ones kept.

    delivered 0.9 · 0.8 = 0.72; kept 0.36. All billed: 1/0.36 = 2.7778. Failed ones free: 0.9/0.36
    = 2.5. Failed and blocked ones free: 0.72/0.36 = 2.
    """
    cost = patterns.usd_per_accepted
    assert cost(1, 0.1, 0.2, 0.5) == pytest.approx(1 / 0.36)
    assert cost(1, 0.1, 0.2, 0.5, failed_billed=False) == pytest.approx(2.5)
    free = cost(1, 0.1, 0.2, 0.5, failed_billed=False, moderated_billed=False)
    assert free == pytest.approx(2.0)


@given(
    st.floats(0, 0.9), st.floats(0, 0.9), st.floats(0.05, 1), st.floats(0, 0.09),
    st.booleans(), st.booleans(),
)  # fmt: skip
def test_more_loss_never_makes_an_accepted_clip_cheaper(
    failed: float, blocked: float, kept: float, more: float, b: bool, m: bool
) -> None:
    def cost(f: float, blocks: float, a: float) -> float:
        return patterns.usd_per_accepted(1, f, blocks, a, failed_billed=b, moderated_billed=m)

    base = cost(failed, blocked, kept) * (1 - 1e-12)
    assert cost(failed + more, blocked, kept) >= base
    assert cost(failed, blocked + more, kept) >= base
    assert cost(failed, blocked, kept / (1 + more)) >= base


@pytest.mark.parametrize("name", patterns.PATTERNS)
@pytest.mark.parametrize("scenario", scenarios.shipped_ids())
def test_every_pattern_answers_on_every_shipped_scenario_or_says_why_not(
    name: str, scenario: str
) -> None:
    take, answer_of = patterns.PATTERNS[name]
    try:
        inputs = take(scenarios.scenario(scenario))
    except (CannotServe, InvalidArgument):
        return
    answer = answer_of(inputs)
    assert answer.words.endswith(".")
    assert patterns.change(inputs, {}) == inputs
    assert json.loads(json.dumps(answer.to_dict()))["pattern"] == name
    for path, figure in answer.figures().items():
        assert math.isfinite(float(figure.value)), path
        if figure.range:
            slack = 1e-9 * max(abs(float(figure.value)), 1)
            assert figure.range.low <= float(figure.value) + slack, path
            assert figure.range.high >= float(figure.value) - slack, path
        for leaf in figure.leaves():
            assert leaf.source or leaf.ref or leaf.formula, f"{path}: {leaf.name}"


def test_every_reading_says_where_it_was_read_and_an_input_has_one_default() -> None:
    rows = [row for name in ("shared", *patterns.PATTERNS) for row in patterns.readings(name)]
    assert len(rows) > 30
    for row in rows:
        assert row.source.publisher
        assert row.source.document
        assert row.low is None or row.low <= row.value <= (row.high or row.value)
    defaults = [(row.pattern, row.input) for row in rows if row.default]
    assert len({*defaults}) == len(defaults)


def test_a_default_keeps_its_source_and_what_a_person_changes_is_entered() -> None:
    kept = accepted.leaf("lora", "swap_s", 6.0, "a swap")
    changed = accepted.leaf("lora", "swap_s", 7.0, "a swap")
    assert kept.source is not None
    assert kept.basis is Basis.QUOTED
    assert (changed.source, changed.basis) == (None, Basis.ENTERED)


# ── Preview, then final ───────────────────────────────────────────────────────────────────────


def by_hand_preview(**changes: Any) -> preview.PreviewThenFinal:
    made = preview.PreviewThenFinal(
        as_of=DAY,
        preview=SHORT,
        final=ClipRequest(seconds=Decimal(8), resolution="720p", audio=True),
        deployments=(H100,),
        apis=("veo-3.1", "kling-3.0"),
        previews_per_concept=3,
        approval_rate=0.5,
        final_kept=0.8,
        preview_route="wan2.2-t2v-a14b",
        final_route="veo-3.1",
        concepts_per_month=1000,
        losses=HALF_IDLE,
    )
    return replace(made, **changes)


@pytest.mark.usefixtures("measured")
def test_a_previewed_final_is_the_one_worked_out_by_hand() -> None:
    """A preview: 300 s at $2.00 an hour = $0.166667, half idle: $0.333334.

    3 previews a concept, half approved: 6 for an accepted final, $2.000004. The final: 8 s of Veo
    3.1 with sound, $3.20, four of five kept: $4.00. Together $6.000004.
    Straight: kept 0.5/3 · 0.8 = 0.133333, so 3.20 / 0.133333 = $24.00; 75 % more than with.
    A preview may cost (24 − 4)/6 = $3.3333. A month: 1000 · 0.5 · (24 − 6.000004) = $8,999.998.
    """
    answer = preview.preview_then_final(by_hand_preview())
    assert value(answer, "preview_usd") == pytest.approx(0.333334)
    assert value(answer, "previews_per_accepted_final") == pytest.approx(6)
    assert value(answer, "final_usd") == pytest.approx(4)
    assert value(answer, "usd_per_accepted_final") == pytest.approx(6.000004)
    assert value(answer, "straight_usd_per_accepted_final") == pytest.approx(24)
    assert value(answer, "saved_share") == pytest.approx(1 - 6.000004 / 24)
    assert value(answer, "saved_usd_per_month") == pytest.approx(8999.998)
    assert value(answer, "break_even_preview_usd") == pytest.approx(20 / 6)
    assert "break_even_approval_rate" not in answer.summary


@pytest.mark.usefixtures("measured")
def test_finals_given_up_waste_the_previews_before_them() -> None:
    """At most two tries: 1 − 0.2² = 0.96 of approvals end with a final, so 6.25 previews each."""
    answer = preview.preview_then_final(by_hand_preview(final_max_tries=2))
    assert value(answer, "previews_per_accepted_final") == pytest.approx(6.25)
    assert value(answer, "usd_per_accepted_final") == pytest.approx(4 + 6.25 * 0.333334)


@pytest.mark.usefixtures("measured")
def test_the_break_even_approval_rate_is_where_both_ways_cost_the_same() -> None:
    """Half of unpreviewed finals kept: $6.40. 3/r · 0.333334 + 4 = 6.40 at r = 0.416668."""
    inputs = by_hand_preview(straight_kept=0.5)
    rate = value(preview.preview_then_final(inputs), "break_even_approval_rate")
    assert rate == pytest.approx(3 * 0.333334 / 2.4)
    there = preview.preview_then_final(replace(inputs, approval_rate=rate))
    assert value(there, "saved_share") == pytest.approx(0, abs=1e-9)
    lower = preview.preview_then_final(replace(inputs, approval_rate=rate * 0.9))
    assert value(lower, "saved_share") < 0


@pytest.mark.usefixtures("measured")
def test_the_cheapest_pair_is_first_and_no_other_pair_beats_it() -> None:
    answer = preview.preview_then_final(by_hand_preview(preview_route="", final_route=""))
    costs = [float(row["usd_per_accepted_final"].value) for row in answer.tables["pairs"]]  # type: ignore[union-attr]
    assert costs == sorted(costs)
    assert value(answer, "usd_per_accepted_final") == pytest.approx(costs[0])


def test_a_final_must_be_as_good_as_is_asked() -> None:
    inputs = replace(by_hand_preview(), preview_route="", final_route="", final_min_quality=1300)
    answer = preview.preview_then_final(replace(inputs, apis=("veo-3.1", "veo-3.1-lite")))
    assert {row["final"] for row in answer.tables["pairs"]} == {"veo-3.1"}
    with pytest.raises(CannotServe, match="rated 3000"):
        preview.preview_then_final(replace(inputs, final_min_quality=3000))


@given(
    st.floats(1, 30), st.floats(0.01, 1), st.floats(0.001, 10), st.floats(0.01, 100),
    st.floats(1, 3),
)  # fmt: skip
def test_more_previews_for_an_approval_are_never_cheaper(
    looks: float, rate: float, usd: float, final: float, more: float
) -> None:
    base = preview.usd_per_accepted_final(looks, rate, usd, final)
    assert preview.usd_per_accepted_final(looks * more, rate, usd, final) >= base
    assert preview.usd_per_accepted_final(looks, rate / more, usd, final) >= base
    assert base > final


# ── Batch on spot ─────────────────────────────────────────────────────────────────────────────


def by_hand_spot(**changes: Any) -> spot.SpotBatch:
    made = spot.SpotBatch(
        as_of=DAY,
        deployment=replace(H100, offer="verda/H100-SXM/1x/spot", usd_per_gpu_hour=Decimal("1.00")),
        on_demand_offer="verda/H100-SXM/1x/on_demand",
        request=SHORT,
        clips_per_month=1000,
        kept=0.5,
        interruptions_per_hour=12,
        provision_s=100,
        load_s=60,
        resume_s=0,
        api_discount=0.5,
        apis=("fal-wan2.2-a14b",),
        losses=NO_LOSS,
    )
    return replace(made, **changes)


@pytest.mark.usefixtures("measured")
def test_a_clip_on_spot_is_the_one_worked_out_by_hand() -> None:
    """300 s, one interruption in 300 s: x = 1. Spot $1.00 an hour, on demand $3.25, half kept.

    From zero: (e − 1) · 300 = 515.48 s, e − 1 restarts of 60 s each: 618.58 s, $0.343656 a clip.
    Checkpoint: 300 + 7.5/2 + 60 = 363.75 s, $0.202083. On demand 300 s: $0.541667.
    Lost: 2000 attempts · 318.58 s = 176.99 GPU-hours. fal: 81/16 s · $0.04 = $0.2025, half kept
    and half off.
    """
    answer = spot.spot_batch(by_hand_spot())
    paid = (math.e - 1) * 360
    assert value(answer, "from_zero_usd") == pytest.approx(paid / 3600 / 0.5)
    assert value(answer, "checkpoint_usd") == pytest.approx(363.75 / 3600 / 0.5)
    assert value(answer, "on_demand_usd") == pytest.approx(300 * 3.25 / 3600 / 0.5)
    assert value(answer, "saved_share") == pytest.approx(1 - paid / 975)
    assert value(answer, "discount") == pytest.approx(1 - 1 / 3.25)
    assert value(answer, "waste_gpu_hours_per_month") == pytest.approx(2000 * (paid - 300) / 3600)
    assert value(answer, "waste_usd_per_month") == pytest.approx(2000 * (paid - 300) / 3600)
    assert value(answer, "api_usd") == pytest.approx(0.2025)
    rate = value(answer, "break_even_interruptions_per_hour")
    x = rate * 300 / 3600
    assert math.expm1(x) * (300 / x + 60) == pytest.approx(975)


@pytest.mark.usefixtures("measured")
def test_provisioning_costs_where_it_is_billed_and_a_wider_clip_sees_more_interruptions() -> None:
    base = value(spot.spot_batch(by_hand_spot()), "from_zero_usd")
    billed = value(spot.spot_batch(by_hand_spot(provision_billed=True)), "from_zero_usd")
    assert billed - base == pytest.approx((math.e - 1) * 100 / 3600 / 0.5)
    two = by_hand_spot(instances=2, interruptions_per_hour=6)
    assert value(spot.spot_batch(two), "from_zero_usd") == pytest.approx(base)


@given(st.floats(1, 20_000))
def test_without_interruptions_spot_is_the_plain_clip(render_s: float) -> None:
    for step in (None, render_s / 40):
        done = spot.work(render_s, 0.0, reload_s=500, checkpoint_step_s=step, resume_s=9)
        assert (done.busy_s, done.interruptions, done.paid_s) == (render_s, 0, render_s)


@given(st.floats(1, 5_000), st.floats(1e-4, 20), st.integers(1, 60), st.floats(0, 600))
def test_a_checkpoint_is_never_dearer_than_starting_over(
    render_s: float, rate: float, steps: int, reload_s: float
) -> None:
    from_zero = spot.work(render_s, rate, reload_s=reload_s)
    kept = spot.work(render_s, rate, reload_s=reload_s, checkpoint_step_s=render_s / steps)
    assert kept.paid_s <= from_zero.paid_s * (1 + 1e-12)


@given(st.floats(1, 5_000), st.floats(0, 10), st.floats(1, 2))
def test_more_interruptions_never_cost_less(render_s: float, rate: float, more: float) -> None:
    assert spot.work(render_s, rate * more).paid_s >= spot.work(render_s, rate).paid_s * (1 - 1e-12)


@pytest.mark.parametrize("rate", [2.0, 9.0])
def test_the_formulas_are_what_playing_interruptions_gives(rate: float) -> None:
    """Clips of 600 s in 20 steps, run until an exponential clock rings; 60 s lost each time."""
    rng = np.random.default_rng(7)
    render, step, reload_s, clips = 600.0, 30.0, 60.0, 40_000
    zero = np.zeros(clips)
    open_ = np.arange(clips)
    while open_.size:
        until = rng.exponential(3600 / rate, open_.size)
        done = until >= render
        zero[open_] += np.where(done, render, until + reload_s)
        open_ = open_[~done]
    expected = spot.work(render, rate, reload_s=reload_s).paid_s
    assert zero.mean() == pytest.approx(expected, rel=0.02)
    kept = np.full(clips, render)
    left = np.full(clips, render)
    open_ = np.arange(clips)
    while open_.size:
        until = rng.exponential(3600 / rate, open_.size)
        cut = until < left[open_]
        hit, at = open_[cut], until[cut]
        lost = at % step
        kept[hit] += lost + reload_s
        left[hit] -= at - lost
        open_ = hit
    expected = spot.work(render, rate, reload_s=reload_s, checkpoint_step_s=step).paid_s
    assert kept.mean() == pytest.approx(expected, rel=0.02)


@pytest.mark.usefixtures("measured")
def test_a_clip_that_never_finishes_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="use a checkpoint"):
        spot.work(3600, 60)
    kept = spot.spot_batch(by_hand_spot(interruptions_per_hour=700, checkpoint=True))
    assert "from_zero_usd" not in kept.summary
    assert value(kept, "usd_per_accepted_clip") == value(kept, "checkpoint_usd")


def test_a_monthly_band_becomes_a_rate_and_an_open_one_does_not() -> None:
    offer = catalog.owned_offer()
    banded = replace(offer, interruption_low=0.05, interruption_high=0.10).interruptions_per_hour
    assert banded == pytest.approx([-math.log(1 - share) / 730 for share in (0.05, 0.075, 0.10)])
    unbounded = replace(offer, interruption_low=0.2, interruption_high=1.0)
    assert unbounded.interruptions_per_hour is None
    assert offer.interruptions_per_hour is None


# ── A fine-tuned tier ─────────────────────────────────────────────────────────────────────────


def by_hand_lora(**changes: Any) -> lora.LoraTier:
    made = lora.LoraTier(
        as_of=DAY,
        deployment=H100,
        request=SHORT,
        kept=0.25,
        experts=2,
        training_offer="runpod-secure/A100-80GB/1x/on_demand",
        training_hours=5,
        hosted_steps=1000,
        hosted_usd_per_step=0.0045,
        trainings=2,
        setup_usd=100,
        clients=3,
        clips_per_client_month=50,
        adapter_months=10,
        adapter_mb=306.8,
        swap_s=6,
        swap_share=0.5,
        overhead_share=0,
        price_usd=5,
        losses=HALF_IDLE,
    )
    return replace(made, **changes)


@pytest.mark.usefixtures("measured")
def test_a_branded_clip_is_the_one_worked_out_by_hand() -> None:
    """Serving: 300 + 0.5 · 2 · 6 = 306 s at $2.00 an hour, half idle, a quarter kept: $1.36.

    Storage: 0.6136 GB · $0.023 / 50 clips = $0.000282. Margin $5 − 1.36 − 0.000282 = $3.639718.
    Training: 2 runs · 2 experts · 5 h · $1.79 = $35.80, and $100 of people's time:
    paid after 135.80 / 3.639718 = 37.31 clips. Over 500 clips: $1.36 + 0.000282 + 0.2716 = $1.6319.
    Three clients, 50 clips a month each: 150 · (5 − 1.6319) = $505.22.
    """
    answer = lora.lora_tier(by_hand_lora())
    assert value(answer, "serving_usd") == pytest.approx(1.36)
    assert value(answer, "training_usd") == pytest.approx(35.80)
    storage = 0.6136 * 0.023 / 50
    assert value(answer, "margin_usd") == pytest.approx(5 - 1.36 - storage)
    assert value(answer, "payback_clips") == pytest.approx(135.80 / (3.64 - storage))
    assert value(answer, "full_usd") == pytest.approx(1.36 + storage + 135.80 / 500)
    assert value(answer, "break_even_price_usd") == value(answer, "full_usd")
    full = value(answer, "full_usd")
    assert value(answer, "profit_usd_per_month") == pytest.approx(150 * (5 - full))
    assert value(answer, "adapter_gb") == pytest.approx(0.6136)
    assert value(answer, "swap_s") == 12


@pytest.mark.usefixtures("measured")
def test_training_can_be_hosted_or_entered_and_one_expert_needs_one_adapter() -> None:
    hosted = lora.lora_tier(by_hand_lora(training="hosted"))
    assert value(hosted, "training_usd") == pytest.approx(9.0)
    entered = lora.lora_tier(by_hand_lora(training="entered", training_usd=40))
    assert value(entered, "training_usd") == 80
    with pytest.raises(InvalidArgument, match="enter what one training run costs"):
        by_hand_lora(training="entered")
    one = lora.lora_tier(by_hand_lora(experts=1))
    assert value(one, "training_usd") == pytest.approx(17.90)
    assert value(one, "swap_s") == 6


@pytest.mark.usefixtures("measured")
def test_without_a_margin_nothing_pays_back() -> None:
    answer = lora.lora_tier(by_hand_lora(price_usd=1.0))
    assert value(answer, "margin_usd") < 0
    assert "payback_clips" not in answer.summary
    assert "earns nothing" in answer.words


@pytest.mark.usefixtures("measured")
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.floats(0, 50), st.floats(0, 1), st.floats(0, 1))
def test_the_margin_is_the_price_less_the_cost(price: float, swaps: float, more: float) -> None:
    answer = lora.lora_tier(by_hand_lora(price_usd=price, swap_share=swaps, overhead_share=more))
    storage = 0.6136 * 0.023 / 50
    left = price - value(answer, "serving_usd") - storage
    assert value(answer, "margin_usd") == pytest.approx(left, abs=1e-9)
    assert value(answer, "full_usd") > value(answer, "serving_usd")


# ── Development and test ──────────────────────────────────────────────────────────────────────


def by_hand_develop(**changes: Any) -> develop.DevelopmentTraffic:
    made = develop.DevelopmentTraffic(
        as_of=DAY,
        request=SHORT,
        developers=8,
        clips_per_developer_day=20,
        automatic_clips_per_day=40,
        workdays_per_month=21,
        hours_per_day=10,
        fill=0.5,
        machines=(develop.Machine(name="an H100", deployment=H100),),
        apis=("fal-wan2.2-a14b",),
        losses=NO_LOSS,
    )
    return replace(made, **changes)


@pytest.mark.usefixtures("measured")
def test_a_month_of_tests_is_the_one_worked_out_by_hand() -> None:
    """200 clips of 300 s in 10 half-full hours: 60,000 / 18,000 = 3.33, so 4 GPUs.

    4 · 210 h · $2.00 = $1,680. By fal: 4,200 clips · $0.2025 = $850.50. A GPU carries 60 clips a
    day for $420 a month, for which fal makes them for $255.15: the API always wins.
    """
    answer = develop.development_traffic(by_hand_develop())
    assert value(answer, "gpus") == 4
    assert value(answer, "machine_usd_per_month") == pytest.approx(1680)
    assert value(answer, "api_usd_per_month") == pytest.approx(850.5)
    assert value(answer, "saved_usd_per_month") == pytest.approx(-829.5)
    assert value(answer, "machine_usd_per_accepted_clip") == pytest.approx(0.4)
    assert "first_break_even" not in answer.summary


@pytest.mark.usefixtures("measured")
def test_whole_gpus_make_several_break_evens() -> None:
    """At $1.15 an hour a GPU costs $241.50 for its 60 clips; fal asks $4.2525 for one every day.

    First 241.5 / 4.2525 = 56.8 clips. At 60 a second GPU is needed and fal is cheaper again. From
    the 18th GPU on, 18 · 241.5 / 4.2525 = 1022.2 clips, the machines stay cheaper.
    """
    cheap = replace(H100, usd_per_gpu_hour=Decimal("1.15"))
    answer = develop.development_traffic(
        by_hand_develop(machines=(develop.Machine(name="an H100", deployment=cheap),))
    )
    assert value(answer, "first_break_even") == pytest.approx(241.5 / 4.2525)
    assert value(answer, "last_break_even") == pytest.approx(18 * 241.5 / 4.2525)


@pytest.mark.usefixtures("measured")
def test_owned_hardware_is_paid_around_the_clock_and_failures_need_more_of_it() -> None:
    inputs = {"capex_usd_per_gpu": 3500.0, "watts_per_gpu": 600.0, "hosting_usd_per_gpu_hour": 0.0}
    own = develop.Machine(name="own", deployment=H100, owned=inputs)
    answer = develop.development_traffic(by_hand_develop(machines=(own,)))
    rate = catalog.owned_offer("H100-SXM", inputs=inputs).usd_per_gpu_hour
    assert value(answer, "machine_usd_per_month") == pytest.approx(4 * 730 * float(rate))
    failing = develop.Machine(name="own", deployment=replace(H100, failure_share=0.5))
    more = develop.development_traffic(by_hand_develop(machines=(failing,)))
    assert value(more, "gpus") == 7


@given(st.floats(0, 5000), st.floats(1, 900), st.floats(0, 500))
def test_more_clips_never_need_fewer_gpus(clips: float, seconds: float, more: float) -> None:
    need = develop.gpus_needed
    assert need(clips + more, seconds, 1, 10, 0.5) >= need(clips, seconds, 1, 10, 0.5)


@given(st.floats(1, 500), st.floats(1, 5000), st.floats(0.1, 50))
def test_between_break_evens_the_cheaper_side_stays_the_same(
    carries: float, slot_usd: float, clip_usd: float
) -> None:
    ratio = slot_usd / (carries * clip_usd)
    assume(all(abs(ratio * n - round(ratio * n)) > 1e-6 for n in range(1, 12)))
    turns = develop.break_evens(carries, slot_usd, clip_usd, most=10 * carries)
    edges = [0.0, *turns, 10 * carries]
    sides = []
    for low, high in pairwise(edges):
        if high - low < 1e-6 * carries:
            return
        points = [low + (high - low) * share for share in (0.05, 0.5, 0.95)]
        found = {math.ceil(v / carries) * slot_usd < v * clip_usd for v in points}
        assert len(found) == 1
        sides.append(found.pop())
    assert all(a != b for a, b in pairwise(sides))


# ── The next model ────────────────────────────────────────────────────────────────────────────


def by_hand_next(**changes: Any) -> arrival.NextModel:
    segment = traffic.Segment(name="clips", share=1, seconds=Decimal(5), acceptance=0.5)
    made = arrival.NextModel(
        as_of=DAY,
        mix=traffic.TrafficMix(id="m", title="", clips_per_month=30_000, segments=(segment,)),
        clips_per_month=30_000,
        apis=("kling-3.0",),
        newcomer=arrival.Newcomer(kind="api", name="newcomer", usd_per_second=0.05),
        arrives_on=date(2026, 11, 16),
        months=1,
        losses=NO_LOSS,
    )
    return replace(made, **changes)


def test_the_month_of_arrival_is_split_by_days() -> None:
    """Kling 3.0: 5 s · $0.084 = $0.42, half kept: $0.84, 30,000 clips: $25,200 a month.

    The newcomer: 5 s · $0.05, half kept: $0.50, from the 16th of 30 days on: half the month.
    $12,600 + $7,500 = $20,100; saved $5,100. Its price may rise 0.84 / 0.50 = 1.68 times.
    """
    answer = arrival.next_model(by_hand_next())
    assert value(answer, "usd_without") == pytest.approx(25_200)
    assert value(answer, "usd_with") == pytest.approx(20_100)
    assert value(answer, "saved_usd") == pytest.approx(5_100)
    assert value(answer, "taken_share") == 1
    assert value(answer, "flip_factor") == pytest.approx(1.68)
    month = answer.tables["months"][0]
    assert (month["days_before"], month["days_after"]) == (15, 15)
    assert answer.tables["split"][0]["needs"] == pytest.approx(1.68)


def test_a_price_cut_that_is_too_small_changes_nothing_and_says_what_would() -> None:
    """Veo 3.1 silent, 6 s · $0.20 = $1.20; Kling 3.0 $0.42: at 35 % of its price Veo would win."""
    cut = arrival.Newcomer(kind="price_cut", name="veo-3.1", cut=0.3)
    answer = arrival.next_model(by_hand_next(apis=("kling-3.0", "veo-3.1"), newcomer=cut))
    assert value(answer, "saved_usd") == 0
    assert value(answer, "flip_factor") == pytest.approx(0.42 / (1.20 * 0.7))
    assert "nothing changes" in answer.words
    own = arrival.Newcomer(kind="price_cut", name="kling-3.0", cut=0.3)
    cheaper = arrival.next_model(by_hand_next(apis=("kling-3.0", "veo-3.1"), newcomer=own))
    assert value(cheaper, "saved_usd") == pytest.approx(0.3 * 25_200 / 2)
    assert value(cheaper, "taken_share") == 0


def test_a_new_architecture_is_priced_from_its_seconds() -> None:
    """6 s for a second of video: 30 s at $4.80 an hour, $0.04; half idle $0.08, half kept $0.16."""
    new = arrival.Newcomer(
        kind="self_hosted", name="next", usd_per_gpu_hour=4.8, render_s_per_second={"720p": 6}
    )
    answer = arrival.next_model(by_hand_next(newcomer=new, losses=HALF_IDLE))
    assert value(answer, "after_usd_per_accepted_clip") == pytest.approx(0.16)
    with pytest.raises(InvalidArgument, match="no render seconds are given for 720p"):
        arrival.next_model(by_hand_next(newcomer=replace(new, render_s_per_second={"480p": 6})))


@pytest.mark.parametrize("when", [date(2026, 11, 1), date(2027, 1, 10), date(2027, 12, 1)])
def test_a_later_day_never_saves_more_and_a_longer_look_never_less(when: date) -> None:
    saved = [
        value(arrival.next_model(by_hand_next(arrives_on=day, months=6)), "saved_usd")
        for day in (when, when.replace(day=min(when.day + 7, 28)))
    ]
    assert saved[1] <= saved[0]
    longer = arrival.next_model(by_hand_next(arrives_on=when, months=9))
    assert value(longer, "saved_usd") >= saved[0] - 1e-9
    total = math.fsum(float(row["saved_usd"]) for row in longer.tables["months"])  # type: ignore[arg-type]
    assert total == pytest.approx(value(longer, "saved_usd"), abs=1e-6)


def test_growth_and_seasons_move_the_months() -> None:
    inputs = by_hand_next(months=3)
    grown = replace(inputs, mix=replace(inputs.mix, growth_per_month=0.1))
    rows = arrival.next_model(grown).tables["months"]
    assert [row["clips_wanted"] for row in rows] == pytest.approx([30_000, 33_000, 36_300])


def test_where_all_goes_to_apis_the_month_is_the_projection_s_own() -> None:
    scenario = replace(scenarios.scenario("dev-and-test"), deployments=(), policy="all-api")
    bill = projection.project(scenario).summary["usd_per_month"].value
    inputs = arrival.NextModel.of(scenario)
    inputs = replace(inputs, months=1, losses=replace(inputs.losses, moderated_share=0.0))
    assert value(arrival.next_model(inputs), "usd_without") == pytest.approx(float(bill), abs=1e-5)


def test_a_newcomer_on_the_book_is_left_out_before_its_day() -> None:
    new = arrival.Newcomer(kind="api", name="wan-3.0")
    answer = arrival.next_model(by_hand_next(apis=("wan-3.0", "veo-3.1"), newcomer=new))
    row = answer.tables["split"][0]
    assert (row["before"], row["after"]) == ("veo-3.1", "wan-3.0")


# ── Inputs by name, and the command ───────────────────────────────────────────────────────────


def test_inputs_are_changed_by_name_and_checked() -> None:
    inputs = preview.PreviewThenFinal.of(scenarios.scenario("social-app"))
    changed = patterns.change(inputs, {"approval_rate": 0.4, "final.seconds": 6})
    assert (changed.approval_rate, changed.final.seconds) == (0.4, Decimal(6))
    with pytest.raises(UnknownName, match="approval_rate"):
        patterns.change(inputs, {"approval": 0.4})
    with pytest.raises(BadData, match="approval_rate must be in"):
        patterns.change(inputs, {"approval_rate": 1.4})
    assert "losses.utilisation" in patterns.input_names(inputs)


def run(*arguments: str) -> Result:
    group = Refusing(name="costlab", commands=[pattern])
    return CliRunner().invoke(group, ["pattern", *arguments], catch_exceptions=False)


@pytest.mark.parametrize("name", patterns.PATTERNS)
def test_the_command_prints_the_library_s_answer(name: str) -> None:
    done = run(name, "--json")
    assert done.exit_code == 0, done.stderr
    take, answer_of = patterns.PATTERNS[name]
    expected = answer_of(take(scenarios.scenario(patterns.EXAMPLES[name])))
    assert json.loads(done.stdout) == json.loads(json.dumps(expected.to_dict()))
    assert expected.words in run(name).stdout
    listed = run(name, "--inputs")
    assert "losses.utilisation" in listed.stdout
    proof = run(name, "--proof", f"summary/{next(iter(expected.summary))}")
    assert proof.exit_code == 0


def test_the_command_takes_inputs_and_refuses_what_is_not_one() -> None:
    cheaper = json.loads(run("spot", "--set", "interruptions_per_hour=0", "--json").stdout)
    assert cheaper["summary"]["waste_gpu_hours_per_month"]["value"] == 0
    for words, said in (
        (("spot", "--set", "interruption=1"), "did you mean"),
        (("spot", "--set", "kept"), "INPUT=VALUE"),
        (("spot", "--set", "kept=2"), "kept must be in"),
        (("spot", "--proof", "summary/nothing"), "unknown figure"),
        (("spot", "nowhere"), "unknown scenario"),
    ):
        done = run(*words)
        assert done.exit_code == 2
        assert said in done.stderr


def test_command_names_are_the_patterns() -> None:
    choice = pattern.params[0].type
    assert isinstance(choice, click.Choice)
    assert set(choice.choices) == set(patterns.PATTERNS)
