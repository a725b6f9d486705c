"""Decisions under uncertainty: the centre is the projection, and the laws that draws must keep."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from costlab import core, finance, projection, routing, scenarios, uncertainty
from costlab.cli.uncertainty import decide as command
from costlab.core import Basis, InvalidArgument, UnknownName
from costlab.uncertainty import check
from costlab.uncertainty.draws import ACCEPTED, COST, UNCHANGED
from costlab.uncertainty.inputs import Input
from costlab.uncertainty.learning import Levels

SHIPPED = ("brand-studio", "dev-and-test", "overnight-batch", "social-app", "social-app-few-step")


@cache
def model(name: str = "overnight-batch", months: int = 12) -> uncertainty.Model:
    return uncertainty.compile(scenarios.scenario(name), months=months)


# ── The centre ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", SHIPPED)
def test_with_every_range_closed_a_draw_is_the_projection(name: str) -> None:
    asked = scenarios.scenario(name)
    made = model(name, 1)
    drawn = uncertainty.draw(made.certain(), 3)
    answer = projection.project(asked, policy=made.policy)
    assert drawn.usd == pytest.approx(float(answer.summary["usd_per_month"].value), abs=1e-4)
    accepted = float(answer.summary["accepted_clips_per_month"].value)
    assert drawn.rows[:, ACCEPTED] == pytest.approx(accepted, rel=1e-12)
    fleet = uncertainty.evaluate(made, np.full((1, len(made.uncertain)), np.nan))[1][0]
    assert fleet.tolist() == [pool.slots.value for pool in answer.pools]


def test_the_centre_of_a_year_is_what_finance_bills() -> None:
    for name in ("overnight-batch", "social-app-few-step"):
        billed = finance.months(scenarios.scenario(name), months=12).micro("amortised") / 1e6
        centre = uncertainty.at_centre(model(name))[COST]
        assert centre == pytest.approx(billed, abs=1e-3)
        assert model(name).usd_at_centre == pytest.approx(billed, abs=1e-6)


def test_growth_and_seasons_of_the_mix_are_in_the_centre() -> None:
    from dataclasses import replace

    from costlab import traffic

    asked = scenarios.scenario("overnight-batch")
    growing = replace(traffic.mix(asked.mix), growth_per_month=0.1)
    made = uncertainty.compile(asked, months=6, mix=growing)
    billed = finance.months(asked, months=6, mix=growing).micro("amortised") / 1e6
    assert uncertainty.at_centre(made)[COST] == pytest.approx(billed, abs=1e-3)
    assert uncertainty.draw(made.certain(), 1).usd[0] == pytest.approx(billed, abs=1e-3)


@pytest.mark.parametrize("name", ["dev-and-test", "overnight-batch", "social-app-few-step"])
def test_tabled_fleets_are_the_exact_ones_or_off_by_one_slot(name: str) -> None:
    found = check.sizing(model(name, 3), draws=8)
    assert found.equal >= 0.9
    assert found.most_slots <= 1


def test_the_best_apis_are_worked_out_by_hand() -> None:
    made = model("overnight-batch", 1)
    answer = made.epochs[0].projection
    assert answer is not None
    total = 0.0
    for result in answer.segments:
        cheapest = min(float(o.usd.value) for o in result.options if o.kind == "api")
        tries = 3
        kept = result.segment.acceptance
        total += result.wanted * (1 - (1 - kept) ** tries) / kept * cheapest
    row = uncertainty.at_centre(made)
    assert row[2] == pytest.approx(total, rel=1e-12)


# ── Draws ─────────────────────────────────────────────────────────────────────────────────────


def test_the_same_seed_gives_the_same_digits_and_another_seed_others() -> None:
    first, again = (uncertainty.draw(model(), 9000, seed=5) for _ in range(2))
    assert np.array_equal(first.rows, again.rows)
    assert first.month_usd(0.5) == again.month_usd(0.5)
    assert not np.array_equal(first.rows, uncertainty.draw(model(), 9000, seed=6).rows)


def test_the_first_draws_of_many_are_the_draws_of_few() -> None:
    few, many = (uncertainty.draw(model(), count, seed=2) for count in (100, 9000))
    assert np.array_equal(few.rows, many.rows[:100])


def test_the_number_of_threads_changes_no_digit() -> None:
    code = (
        "import hashlib; from costlab import scenarios, uncertainty as u;"
        "m = u.compile(scenarios.scenario('overnight-batch'), months=2);"
        "d = u.draw(m, 20000, seed=3);"
        "print(hashlib.sha256(d.rows.tobytes() + d.month_counts.tobytes()).hexdigest())"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "NUMBA_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(hashes) == 1


def test_drawn_inputs_have_the_median_and_the_90_percent_that_they_claim() -> None:
    made = model("social-app-few-step", 1)
    z = uncertainty.normals(40_000, len(made.uncertain), 11)
    assert np.abs(z.mean(axis=0)).max() < 0.02
    assert np.abs(np.corrcoef(z, rowvar=False) - np.eye(z.shape[1])).max() < 0.025
    for place, item in enumerate(made.uncertain):
        low, middle, high = (item.at(float(q)) for q in np.quantile(z[:, place], [0.05, 0.5, 0.95]))
        span = item.high - item.low
        assert abs(low - item.low) < 0.03 * span
        assert abs(middle - item.centre) < 0.03 * span
        assert abs(high - item.high) < 0.03 * span


def test_monthly_quantiles_agree_with_those_of_a_single_month() -> None:
    drawn = uncertainty.draw(model("overnight-batch", 1), 20_000)
    for share in (0.1, 0.5, 0.9):
        assert drawn.month_usd(share)[0] == pytest.approx(np.quantile(drawn.usd, share), rel=0.004)


@settings(max_examples=12, deadline=None)
@given(wider=st.floats(1.0, 3.0), place=st.sampled_from(["gpu_price", "seconds", "volume"]))
def test_a_wider_range_never_narrows_the_answer(wider: float, place: str) -> None:
    base = model("overnight-batch", 1).certain()
    item = next(one for one in base.inputs if one.kind == place)

    def spread(factor: float) -> float:
        ranged = base.with_ranges({item.id: (1 / factor, factor)})
        low, _, high = uncertainty.quantiles(uncertainty.draw(ranged, 2000).usd)
        return high - low

    assert spread(1.2 * wider) >= spread(1.2) - 1e-6


def test_a_dearer_gpu_never_saves_more() -> None:
    made = model("overnight-batch", 1)
    z = np.full((5, len(made.uncertain)), np.nan)
    times = np.tile(UNCHANGED, (5, 1))
    times[:, 1] = [0.5, 0.8, 1.0, 1.3, 2.0]
    rows, _ = uncertainty.evaluate(made, z, times)
    assert (np.diff(uncertainty.saved(rows)) < 0).all()


# ── Inputs ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", SHIPPED)
def test_every_range_says_where_it_comes_from(name: str) -> None:
    for item in model(name, 1).inputs:
        assert item.what
        assert item.low <= item.centre <= item.high
        assert item.source or item.basis in (Basis.ENTERED, Basis.ESTIMATED, Basis.QUOTED,
                                             Basis.PUBLISHED, Basis.MEASURED)  # fmt: skip


def test_an_offer_whose_rate_moved_has_the_range_of_its_own_list() -> None:
    item = model("social-app-few-step", 1).input("gpu_price/runpod-secure/H100-SXM/1x/on_demand")
    assert item.high == pytest.approx(3.99 / 3.29)
    assert "3.29" in item.what
    assert item.basis is Basis.QUOTED


def test_acceptance_counted_in_a_production_is_taken_over_an_assumption() -> None:
    made = model("brand-studio", 1)
    assert made.input("acceptance/hero shots with sound").basis is Basis.QUOTED
    assert made.input("acceptance/storyboard previews").basis is Basis.ENTERED


def test_seconds_have_the_interval_of_the_prediction() -> None:
    made = model("overnight-batch", 1)
    answer = made.epochs[0].projection
    assert answer is not None
    part = next(r for r in answer.segments if r.route and "i2v" in r.route)
    assert part.unit is not None
    assert part.unit.slot_s is not None
    render = part.unit.slot_s.inputs[0]
    assert render.range is not None
    item = made.input("seconds/H100-SXM")
    assert item.low == pytest.approx(render.range.low / float(render.value))


def test_a_printed_range_of_a_price_is_uniform_below_the_printed_end() -> None:
    item = Input(
        id="api_price/x", kind="api_price", label="x", of="x", unit="× list", scale="printed",
        centre=1.0, low=0.6, high=1.0, place=1, basis=Basis.PUBLISHED, what="printed",
    )  # fmt: skip
    assert item.at(0.0) == pytest.approx(0.8)
    assert 0.6 <= item.at(-9) < item.at(9) <= 1.0


def test_what_cannot_be_drawn_is_refused_in_words() -> None:
    asked = scenarios.scenario("social-app")
    for policy in ("api-budget", "overflow-to-fal"):
        with pytest.raises(InvalidArgument, match="not drawn"):
            uncertainty.compile(asked, policy=routing.policy(policy))
    with pytest.raises(InvalidArgument, match="1 to 36"):
        uncertainty.compile(asked, months=37)
    with pytest.raises(UnknownName):
        model().with_ranges({"no-such-input": (0.5, 2)})
    with pytest.raises(InvalidArgument, match="must hold 1"):
        model().with_ranges({"volume": (1.5, 2)})
    with pytest.raises(InvalidArgument, match="draws"):
        uncertainty.draw(model(), 0)


# ── What drives it ────────────────────────────────────────────────────────────────────────────


def test_the_tornado_s_ends_are_the_projection_with_that_input() -> None:
    made = model("overnight-batch", 1)
    found = {one.input.id: one for one in uncertainty.tornado(made)}
    rent = found["gpu_price/verda/H100-SXM/1x/spot"]
    centre = uncertainty.at_centre(made)
    assert rent.usd_per_clip[0] == pytest.approx(
        centre[COST] * rent.values[0] / centre[ACCEPTED], rel=1e-12
    )
    widths = [one.width_usd for one in uncertainty.tornado(made)]
    assert widths == sorted(widths, reverse=True)


def test_indices_of_a_sum_are_its_shares_of_variance_and_add_up() -> None:
    weights = np.array([3.0, 2.0, 1.0])
    found = uncertainty.sobol(lambda u: u @ weights, ("a", "b", "c"), base=2048)
    shares = weights**2 / (weights**2).sum()
    for one, share in zip(found, shares, strict=True):
        assert one.first[0] == pytest.approx(share, abs=0.01)
        assert one.total[0] == pytest.approx(share, abs=0.01)
        assert one.first[1] <= one.first[0] <= one.first[2]
    assert sum(one.first[0] for one in found) == pytest.approx(1, abs=0.01)


def test_indices_of_a_product_have_totals_above_their_first_order() -> None:
    found = uncertainty.sobol(lambda u: (u[:, 0] - 0.5) * (u[:, 1] - 0.5), ("a", "b"), base=1024)
    for one in found:
        assert abs(one.first[0]) < 0.05
        assert one.total[0] == pytest.approx(1, abs=0.1)


def ishigami(uniforms: Any) -> Any:
    x = np.pi * (2 * uniforms - 1)
    return np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])


def test_indices_of_ishigami_are_known_and_agree_with_salib() -> None:
    found = uncertainty.sobol(ishigami, ("a", "b", "c"), base=4096)
    for one, first, total in zip(found, (0.3139, 0.4424, 0.0), (0.5576, 0.4424, 0.2437),
                                 strict=True):  # fmt: skip
        assert one.first[0] == pytest.approx(first, abs=0.02)
        assert one.total[0] == pytest.approx(total, abs=0.02)
    sample = pytest.importorskip("SALib.sample.sobol")
    analyze = pytest.importorskip("SALib.analyze.sobol")
    problem = {"num_vars": 3, "names": ["a", "b", "c"], "bounds": [[0, 1]] * 3}
    asked = sample.sample(problem, 4096, calc_second_order=False, seed=1)
    theirs = analyze.analyze(problem, ishigami(asked), calc_second_order=False, seed=1)
    for place, one in enumerate(found):
        assert abs(one.first[0] - theirs["S1"][place]) < 2 * theirs["S1_conf"][place] + 0.01
        assert abs(one.total[0] - theirs["ST"][place]) < 2 * theirs["ST_conf"][place] + 0.01


def test_an_index_with_a_wide_interval_is_not_resolved() -> None:
    found = uncertainty.sobol(ishigami, ("a", "b", "c"), base=64)
    assert not all(one.resolved for one in found)
    assert all(one.resolved for one in uncertainty.sobol(lambda u: 0 * u[:, 0], ("a",)))


# ── Where it flips ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("driver", uncertainty.DRIVERS)
def test_at_a_crossing_own_gpus_and_apis_cost_the_same_on_either_side(driver: Any) -> None:
    made = model("social-app-few-step", 1)
    found = uncertainty.break_even(made, driver, draws=24)
    assert found.flips + found.always_own + found.always_api == pytest.approx(1)
    who = np.flatnonzero(~np.isnan(found.first))
    z = uncertainty.normals(24, len(made.uncertain), 1 + 7_919)[who]
    place = ("volume", "gpu_price", "seconds", "api_price", "utilisation").index(driver)
    sides = []
    for nudge in (0.995, 1.005):
        times = np.tile(UNCHANGED, (len(who), 1))
        times[:, place] = found.first[who] * nudge
        sides.append(
            uncertainty.saved(uncertainty.evaluate(made, z, times, far=driver == "seconds")[0]) > 0
        )
    assert (sides[0] != sides[1]).mean() > 0.9
    assert (found.first[who] <= found.last[who] * (1 + 1e-9)).all()


def test_a_higher_gpu_price_flips_the_certain_answer_where_hand_arithmetic_says() -> None:
    made = model("overnight-batch", 1).certain()
    row = uncertainty.at_centre(made)
    at = row[2] / row[3] * row[ACCEPTED] / row[COST]
    found = uncertainty.break_even(made, "gpu_price", draws=2)
    assert found.quantiles("first") == pytest.approx((at, at, at), rel=1e-3)


# ── What knowing more is worth ────────────────────────────────────────────────────────────────


def levels(gain: Any, x: Any = None) -> Levels:
    values = np.asarray(gain, dtype=float)
    places = np.linspace(-2, 2, len(values)) if x is None else np.asarray(x, dtype=float)
    return Levels(input=model().inputs[0], x=places, gain=values)


@settings(max_examples=40, deadline=None)
@given(
    slope=st.floats(-5, 5),
    shift=st.floats(-5, 5),
    noise=st.floats(0.05, 5),
    more=st.floats(1.5, 10),
)
def test_a_sample_is_worth_at_most_knowing_it_never_less_than_nothing_and_more_with_more(
    slope: float, shift: float, noise: float, more: float
) -> None:
    rng = np.random.default_rng(1)
    found = levels(slope * np.linspace(-2, 2, 24)[:, None] + shift + rng.normal(size=(24, 32)))
    some, better, all_of_it = (float(found.worth(one)[0]) for one in (noise, noise / more, 0.0))
    everything = float(np.maximum(found.gain, 0).mean() - max(found.gain.mean(), 0))
    size = 1e-3 * max(1.0, all_of_it)
    assert -1e-9 <= some <= better + size
    assert better <= all_of_it + 1e-9
    assert all_of_it <= everything + 1e-9


def test_a_sample_of_a_normal_is_worth_what_the_closed_form_says() -> None:
    """E[max(D, 0)] − max(E[D], 0) with D ~ N(m, s²) seen with noise: the unit normal loss."""
    from scipy.special import ndtri
    from scipy.stats import norm

    mean, noise = -0.4, 0.7
    x = ndtri((np.arange(400) + 0.5) / 400)
    got = float(levels((x + mean)[:, None], x).worth(noise)[0])
    spread = 1 / np.sqrt(1 + noise**2)
    want = spread * norm.pdf(mean / spread) + mean * norm.cdf(mean / spread)
    assert got == pytest.approx(want, rel=0.01)


def test_a_firm_quote_is_worth_knowing_the_price_and_costs_nothing_to_ask() -> None:
    drawn = uncertainty.draw(model(), 4000)
    asked = [one for one in uncertainty.samples(model()) if one.way in ("quote", "measure")]
    found = uncertainty.information(drawn, asked=asked)
    quote = found.worth[0]
    assert quote.sample == "a firm quote for fal-wan2.2-a14b"
    assert quote.usd == quote.perfect > 0
    assert quote.low <= quote.usd <= quote.high
    assert quote.usd <= found.high
    measuring = next(one for one in found.worth if one.way == "measure")
    assert measuring.sample == "2 minutes on H100-SXM at 720p"
    assert measuring.command[:3] == ("bench", "--model", "wan2.2-t2v-a14b")
    assert measuring.costs_usd == pytest.approx(1.62 / 30)


def test_more_reviewed_clips_are_never_worth_less() -> None:
    made = model("overnight-batch", 1).with_ranges(
        {"acceptance/scene backgrounds": (0.2, 0.95), "api_price/fal-wan2.2-a14b": (0.8, 2.2)}
    )
    item = made.input("acceptance/scene backgrounds")
    values = [
        uncertainty.worth(
            made, next(s for s in uncertainty.samples(made, reviewed=n) if s.input == item)
        )
        for n in (5, 50, 5000)
    ]
    assert all(a.usd <= b.usd + 1e-6 + 1e-3 * b.usd for a, b in pairwise(values))
    assert values[-1].usd <= values[-1].perfect


# ── The whole answer ──────────────────────────────────────────────────────────────────────────


def test_where_no_api_can_make_a_clip_there_is_no_winner_but_still_a_cost() -> None:
    from dataclasses import replace

    asked = replace(scenarios.scenario("overnight-batch"), apis=("veo-3.1-lite",))
    mute = uncertainty.compile(asked, months=1, policy=routing.policy("all-self-hosted"))
    broken = replace(mute, no_api=("scene backgrounds",))
    answer = uncertainty.drawn(broken, draws=500)
    assert answer.p_own_wins is None
    assert "scene backgrounds" in answer.words
    with pytest.raises(InvalidArgument, match="no API of the scenario"):
        uncertainty.break_even(broken, "volume")


def test_a_policy_without_own_gpus_is_compared_with_own_gpus_where_they_can() -> None:
    made = model("dev-and-test", 1)
    assert made.stand_in
    assert made.has_pools


def test_the_command_prints_the_library_s_answer() -> None:
    ran = CliRunner().invoke(
        command,
        ["overnight-batch", "--draws", "2000", "--months", "2", "--seed", "4",
         "--range", "volume=0.9:1.1", "--json"],
    )  # fmt: skip
    assert ran.exit_code == 0, ran.output
    said: Mapping[str, Any] = json.loads(ran.output)
    want = uncertainty.decide(
        scenarios.scenario("overnight-batch"), draws=2000, months=2, seed=4,
        ranges={"volume": (0.9, 1.1)},
    )  # fmt: skip
    assert said == core.plain(want.to_dict())
    assert said["p_own_wins"] == pytest.approx(want.p_own_wins)
    assert set(said["usd"]) == {"p10", "p50", "p90"}
    shown = CliRunner().invoke(command, ["overnight-batch", "--draws", "500", "--months", "1"])
    assert shown.exit_code == 0, shown.output
    for words in ("own GPUs win in", "P10", "flips", "Knowing everything", "Where each range"):
        assert words in shown.output
