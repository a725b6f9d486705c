"""Months, terms and variance. One month, one commitment and one variance are worked out by hand."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from costlab import catalog, finance, projection, routing, scenarios, traffic
from costlab.cli.finance import actuals_command, months_command
from costlab.cli.shared import Refusing
from costlab.core import BadData, Basis, InvalidArgument
from costlab.finance import focus
from costlab.finance.causes import shapley
from costlab.finance.charges import GPU_HOURS, NANO

GPU = "wan2.2-t2v-a14b@H100-SXM"
SHIPPED = scenarios.known()

MIX = traffic.parse_mix(
    {
        "id": "two-kinds",
        "title": "Two kinds",
        "clips_per_month": 10_000,
        "segments": [
            {"name": "short", "share": 0.6, "seconds": "5", "resolution": "480p", "tenant": "a"},
            {"name": "sound", "share": 0.4, "seconds": "8", "audio": True, "tenant": "b"},
        ],
    }
)
SCENARIO = scenarios.parse_scenario(
    {
        "id": "two-routes",
        "title": "Two routes",
        "date": "2026-11-22",
        "mix": "two-kinds",
        "policy": "article",
        "deployments": [
            {
                "model": "wan2.2-t2v-a14b",
                "gpu": "H100-SXM",
                "offer": "runpod-secure/H100-SXM/1x/on_demand",
                "usd_per_gpu_hour": "2.00",
            }
        ],
        "apis": ["veo-3.1", "kling-3.0-omni"],
    }
)


def run(
    months: int = 3, *, mix: traffic.TrafficMix = MIX, on: str = "", **terms: object
) -> finance.Months:
    asked = replace(SCENARIO, date=date.fromisoformat(on)) if on else SCENARIO
    return finance.months(asked, months=months, mix=mix, terms=finance.Terms(**terms))  # type: ignore[arg-type]


def gpus(months: finance.Months) -> int:
    whole = months.months[0].epochs[0].projection
    assert whole is not None
    return int(whole.pools[0].gpus.value)


def dollars(micro: int) -> Decimal:
    return Decimal(micro).scaleb(-6)


# ── Months ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", SHIPPED)
def test_a_month_without_terms_is_the_projection_to_the_micro_dollar(name: str) -> None:
    months = finance.months(SHIPPED[name], months=2)
    bill = sum(line.micro_usd for line in projection.project(SHIPPED[name]).bill)
    for view in finance.VIEWS:
        assert months.months[0].micro(view) == bill
        for month in months.months:
            assert sum(month.showback(view).values()) == month.micro(view)
    assert [month.name for month in months.months] == ["2026-11", "2026-12"]


@pytest.mark.parametrize("policy", routing.policies())
def test_months_are_the_projection_whatever_the_policy(policy: str) -> None:
    asked = replace(SHIPPED["social-app-few-step"], policy=policy)
    bill = sum(line.micro_usd for line in projection.project(asked).bill)
    (month,) = finance.months(asked, months=1).months
    assert month.micro("cash") == bill
    names = {segment.name for segment in traffic.mix(asked.mix).segments}
    assert {charge.item.segment for charge in month.charges} <= names


def test_months_have_their_real_hours() -> None:
    months = run(4, mix=replace(MIX, clips_per_month=9_000))
    hours = [
        sum(c.quantity_nano or 0 for c in month.charges if c.item.unit == GPU_HOURS) // NANO
        for month in months.months
    ]
    size = [hours[0] // 720, hours[3] // 672]
    assert hours == [720 * size[0], 744 * size[0], 744 * size[0], 672 * size[1]]


def test_volume_grows_and_has_its_seasons() -> None:
    seasons = (1.0,) * 11 + (2.0,)
    months = run(3, mix=replace(MIX, growth_per_month=0.1, seasonality=seasons))
    assert [month.wanted for month in months.months] == pytest.approx([10_000, 22_000, 12_100])


@pytest.mark.usefixtures("own_store")
def test_a_price_takes_effect_on_its_very_day() -> None:
    """December has 31 days; from the 11th Veo costs half: 10 days in full, 21 at half price.

    4,000 clips of 8 s at $0.40 are $12,800 a month, so 12,800 · (10 + 21/2)/31 = $8,464.516129.
    """
    catalog.add_override(
        catalog.Override(
            name="half",
            model="veo-3.1",
            discount=Decimal("0.5"),
            valid_from=date(2026, 12, 11),
            who="Ann",
            why="contract",
        )
    )
    december = run(2).months[1]
    veo = [charge for charge in december.charges if charge.item.route == "veo-3.1"]
    assert [(c.starts.day, c.ends.day) for c in veo] == [(1, 11), (11, 1)]
    assert dollars(sum(c.billed_micro for c in veo)) == Decimal("8464.516129")
    assert dollars(sum(c.list_micro for c in veo)) == Decimal("12800.000000")
    assert sum(Fraction(c.clips_micro) for c in veo) / 10**6 == pytest.approx(4_000)


RETIRING = replace(SCENARIO, date=date(2026, 10, 1), policy="all-api", apis=("wan-2.6",))


def test_clips_of_a_retired_model_are_refused_from_its_day() -> None:
    mix = replace(MIX, segments=(replace(MIX.segments[1], share=1.0),))
    months = finance.months(RETIRING, months=2, mix=mix)
    october, november = months.months
    assert [(epoch.starts.day, epoch.served() > 0) for epoch in october.epochs][-1] == (14, False)
    assert october.served == pytest.approx(10_000 * 13 / 31)
    assert november.served == 0
    assert november.micro("cash") == 0
    told = [event for event in october.events if "not sold any more" in event.text]
    assert told[0].day == date(2026, 10, 14)
    assert "refused" in told[0].text


def test_clips_of_a_retired_model_go_to_the_named_successor_on_request() -> None:
    mix = replace(MIX, segments=(replace(MIX.segments[1], share=1.0),))
    months = finance.months(RETIRING, months=2, mix=mix, terms=finance.Terms(retired="successor"))
    routes = {c.item.route: c.starts for c in reversed(months.charges)}
    assert routes == {"wan-2.6": date(2026, 10, 1), "wan-2.7": date(2026, 10, 14)}
    assert months.months[1].served == pytest.approx(10_000)
    assert any("successor wan-2.7" in event.text for event in months.months[0].events)


def test_a_model_that_has_no_price_yet_is_told_and_joins_on_its_day() -> None:
    early = replace(
        SCENARIO,
        date=date(2026, 8, 1),
        policy="all-api",
        apis=("kling-3.0", "wan-3.0"),
        deployments=(),
    )
    events = [event for month in finance.months(early, months=3, mix=MIX).months
              for event in month.events]  # fmt: skip
    assert any("wan-3.0 has no price yet" in event.text for event in events)
    assert not any("not sold any more" in event.text for event in events)


def test_a_launched_model_takes_its_segments_from_its_day() -> None:
    launch = finance.Launch(
        day=date(2026, 12, 21),
        route="next-model",
        usd_per_second=Decimal("0.10"),
        replaces=("veo-3.1",),
    )
    december = run(2, launches=(launch,)).months[1]
    taken = [charge for charge in december.charges if charge.item.route == "next-model"]
    assert [(c.starts, c.item.segment) for c in taken] == [(date(2026, 12, 21), "sound")]
    assert dollars(taken[0].billed_micro) == Decimal("1135.483871")  # 4,000 · 8 · 0.1 · 11/31
    assert december.wanted == pytest.approx(10_000)
    assert december.accepted == pytest.approx(10_000)


def test_a_launch_at_a_better_price_takes_what_is_cheaper_on_it() -> None:
    def routes(usd: str) -> set[str]:
        launch = finance.Launch(day=date(2026, 11, 1), route="new", usd_per_second=Decimal(usd))
        return {charge.item.route for charge in run(1, launches=(launch,)).charges}

    assert "new" not in routes("10")
    assert "new" not in {"", *run(1).showback("cash")}
    assert routes("0.39") == {"new", GPU}
    assert routes("0.0001") == {"new"}


def test_a_launched_deployment_takes_the_rule_s_clips() -> None:
    few = replace(SCENARIO.deployments[0], steps=4, guidance=False, technique="4-step distilled")
    alone = replace(SCENARIO, deployments=(replace(few, gpu="A100-80GB",
        offer="runpod-secure/A100-80GB/1x/on_demand"),), policy="all-self-hosted")  # fmt: skip
    launch = finance.Launch(day=date(2026, 12, 1), deployment=few)
    months = finance.months(alone, months=2, mix=MIX, terms=finance.Terms(launches=(launch,)))
    assert few.route not in {charge.item.route for charge in months.months[0].charges}
    assert any(few.route in event.text for event in months.months[1].events)


def test_what_is_asked_for_must_exist() -> None:
    with pytest.raises(InvalidArgument, match="from 1 to 36"):
        run(37)
    with pytest.raises(InvalidArgument, match=r"does not deploy; it deploys wan2\.2-t2v-a14b@H100"):
        run(1, reserved=(reserved(route="elsewhere"),))
    with pytest.raises(InvalidArgument, match="before the first month"):
        run(1, balances=(replace(PACK, starts=date(2026, 10, 1)),))
    with pytest.raises(BadData, match="used twice"):
        finance.Terms(reserved=(reserved(), reserved()))


# ── Commitments, owned hardware, balances, credits ────────────────────────────────────────────


def reserved(**changed: object) -> finance.Reserved:
    return replace(
        finance.Reserved(
            name="six GPUs",
            route=GPU,
            gpus=6,
            starts=date(2026, 11, 1),
            months=12,
            usd_per_gpu_hour=Decimal("1.50"),
            upfront=Decimal("0.5"),
        ),
        **changed,  # type: ignore[arg-type]
    )


def amounts(months: finance.Months, term: str, category: str, status: str | None = None) -> int:
    return sum(
        charge.billed_micro if category == "Purchase" else charge.effective_micro
        for charge in months.charges
        if charge.item.term == term
        and charge.item.category == category
        and status in (None, charge.item.status)
    )


def test_a_commitment_worked_out_by_hand() -> None:
    """Six GPUs at $1.50 for a year, half paid at the start; the pool needs fewer.

    whole   365 · 24 h · 6 · $1.50 = $78,840.00; at the start $39,420.00
    November 720 h · 6 · $1.50     =  $6,480.00 amortised, and half of that falls due
    unused  (6 − pool) / 6 of it
    """
    before, after = run(1), run(1, reserved=(reserved(),))
    need = gpus(before)
    assert 0 < need < 6
    veo = dollars(sum(c.billed_micro for c in before.charges if c.item.route == "veo-3.1"))
    assert veo == Decimal("12800")
    month = after.months[0]
    assert dollars(month.micro("cash")) == veo + Decimal("39420") + Decimal("3240")
    assert dollars(month.micro("amortised")) == veo + Decimal("6480")
    unused = dollars(amounts(after, "six GPUs", "Usage", "Unused"))
    assert unused == Decimal(6480) * (6 - need) / 6
    rows = [charge for charge in month.charges if charge.item.status == "Unused"]
    assert [charge.billed_micro for charge in rows] == [0]
    assert (rows[0].quantity_nano or 0) == (6 - need) * 720 * NANO


@pytest.mark.parametrize("upfront", ["0", "0.35", "1"])
@pytest.mark.parametrize("breaks_on", [None, date(2027, 1, 13)])
@pytest.mark.parametrize("count", [1, 7])
def test_what_is_paid_for_a_commitment_is_what_its_term_is_charged(
    upfront: str, breaks_on: date | None, count: int
) -> None:
    term = reserved(
        gpus=count,
        starts=date(2026, 11, 17),
        months=3,
        upfront=Decimal(upfront),
        usd_per_gpu_hour=Decimal("1.234567"),
        breaks_on=breaks_on,
        break_fee_usd=Decimal(250) if breaks_on else Decimal(0),
    )
    months = run(5, reserved=(term,))
    assert amounts(months, term.name, "Purchase") == amounts(months, term.name, "Usage") > 0
    fees = [c for c in months.charges if "fee for breaking" in c.item.label]
    assert [c.billed_micro for c in fees] == ([250_000_000] if breaks_on else [])
    if breaks_on:
        assert [c.starts for c in fees] == [breaks_on]
    assert months.micro("cash") == months.micro("amortised")


def test_a_discount_is_off_the_price_of_the_first_day() -> None:
    whole = run(1, reserved=(reserved(usd_per_gpu_hour=None, discount=Decimal("0.25")),))
    same = run(1, reserved=(reserved(),))
    assert whole.micro("amortised") == same.micro("amortised")


def test_a_commitment_never_costs_less_when_less_is_used() -> None:
    small = run(2, mix=replace(MIX, clips_per_month=100), reserved=(reserved(),))
    assert amounts(small, "six GPUs", "Usage") == 6 * 24 * (30 + 31) * 1_500_000


OWNED = finance.Owned(
    name="own node",
    route=GPU,
    gpus=8,
    usd_per_gpu=Decimal("31234.57"),
    starts=date(2026, 12, 10),
    years=3,
    rate=0.08,
    residual_share=0.1,
    watts_per_gpu=Decimal(1000),
    pue=Decimal("1.5"),
    usd_per_kwh=Decimal("0.10"),
    hosting_usd_per_gpu_hour=Decimal("0.05"),
)


def test_months_of_owned_hardware_sum_to_years() -> None:
    months = [finance.month_of(OWNED.starts, k) for k in range(-1, 37)]
    spread = [OWNED.month_micro(month) for month in months]
    assert spread[0] == spread[-1] == 0
    assert [sum(spread[1 + 12 * y : 13 + 12 * y]) for y in range(3)] == [OWNED.year_micro] * 3
    assert max(spread[1:-1]) - min(spread[1:-1]) <= 1


def test_owned_hardware_is_cash_once_and_amortised_monthly() -> None:
    months = run(3, owned=(OWNED,))
    december = months.months[1]
    bought = [c for c in december.charges if c.item.category == "Purchase"]
    assert [(c.starts, c.billed_micro, c.effective_micro) for c in bought] == [
        (date(2026, 12, 10), 8 * 31_234_570_000, 0)
    ]
    for month in months.months[1:]:
        spread = sum(c.effective_micro for c in month.charges if c.item.term == "own node")
        assert spread == OWNED.month_micro(month.starts)
    running = [c for c in december.charges if "power" in c.item.label]
    assert dollars(sum(c.billed_micro for c in running)) == 22 * 24 * 8 * Decimal("0.20")
    assert not any(c.item.kind == "gpu" for c in months.months[2].charges)


PACK = finance.Balance(
    name="veo pack",
    seller="gemini",
    usd=Decimal(9_000),
    face_usd=Decimal(10_000),
    starts=date(2026, 11, 1),
    days=45,
)


def test_a_prepaid_balance_is_drawn_and_what_is_left_lapses() -> None:
    months = run(3, balances=(replace(PACK, usd=Decimal(27_000), face_usd=Decimal(30_000)),))
    bought, used = amounts(months, "veo pack", "Purchase"), amounts(months, "veo pack", "Usage")
    assert bought == used == 27_000_000_000
    lapsed = [c for c in months.charges if c.item.status == "Unused"]
    assert [c.starts for c in lapsed] == [date(2026, 12, 16)]
    drawn = Decimal(12_800) + Decimal(12_800) * 15 / 31
    left = Decimal("0.9") * (30_000 - drawn)
    assert float(dollars(lapsed[0].effective_micro)) == pytest.approx(float(left), abs=1e-5)


def test_a_balance_that_runs_out_leaves_the_rest_on_the_bill() -> None:
    november = run(1, balances=(PACK,)).months[0]
    veo = [c for c in november.charges if c.item.route == "veo-3.1"]
    assert dollars(sum(c.billed_micro for c in veo)) == Decimal(2_800)
    assert dollars(sum(c.effective_micro for c in veo)) == Decimal(2_800 + 9_000)
    assert sum(c.clips_micro for c in veo) == 4_000_000_000


def test_a_renewing_balance_is_bought_in_whole_packs() -> None:
    months = run(3, balances=(replace(PACK, renews=True, days=30),))
    bought = [c for c in months.charges if c.item.category == "Purchase"]
    assert all((c.quantity_nano or 0) % NANO == 0 for c in bought)
    assert sum(c.billed_micro for c in months.charges if c.item.route == "veo-3.1") == 0


def test_a_credit_never_takes_more_than_it_holds_or_than_is_billed() -> None:
    credit = finance.Credit(
        name="start-up credit",
        usd=Decimal(30_000),
        starts=date(2026, 11, 1),
        ends=date(2027, 2, 1),
        seller="gemini",
    )
    months = run(3, credits=(credit,))
    taken = [c.billed_micro for c in months.charges if c.item.category == "Credit"]
    assert taken == [-12_800_000_000, -12_800_000_000, -4_400_000_000]


def test_contingency_then_tax_on_all_of_it() -> None:
    plain = run(1).micro("cash")
    months = run(1, contingency=Decimal("0.10"), tax=Decimal("0.20"))
    by = months.months[0].by(lambda charge: charge.item.category, "cash")
    assert by["Adjustment"] == finance.share_out(plain, [1, 9])[0]
    assert by["Tax"] == pytest.approx(plain * 0.22, abs=1)
    assert months.micro("cash") == plain + by["Adjustment"] + by["Tax"]


def test_a_correction_is_a_row_of_its_own() -> None:
    fix = finance.Correction(name="refund", day=date(2026, 12, 4), usd=Decimal("-12.5"))
    december = run(2, corrections=(fix,)).months[1]
    assert [c.billed_micro for c in december.charges if c.item.corrects] == [-12_500_000]


# ── What it means ─────────────────────────────────────────────────────────────────────────────

EVERYTHING = {
    "reserved": (reserved(breaks_on=date(2027, 1, 10), break_fee_usd=Decimal(100)),),
    "owned": (OWNED,),
    "balances": (replace(PACK, usd=Decimal(27_000), face_usd=Decimal(30_000)),),
    "contingency": Decimal("0.05"),
    "tax": Decimal("0.19"),
    "active_users": 1_000.0,
    "usd_per_accepted_clip": Decimal("4"),
}


@pytest.fixture(scope="module")
def everything() -> finance.Months:
    return run(4, **EVERYTHING)


def test_showback_sums_to_the_bill_and_shares_what_nobody_used(everything: finance.Months) -> None:
    for view in finance.VIEWS:
        owed = everything.showback(view)
        assert set(owed) == {"a", "b"}
        for number, month in enumerate(everything.months):
            assert sum(parts[number] for parts in owed.values()) == month.micro(view)


def test_a_month_is_told_per_clip_second_user_and_as_margin(everything: finance.Months) -> None:
    month = everything.months[0]
    figures = month.figures()
    cost = float(dollars(month.micro("amortised")))
    assert figures["usd_per_accepted_clip"].value == pytest.approx(cost / 10_000)
    assert figures["usd_per_second"].value == pytest.approx(cost / (6_000 * 5 + 4_000 * 8))
    assert figures["usd_per_active_user"].value == pytest.approx(cost / 1_000)
    assert float(figures["usd_margin"].value) == pytest.approx(40_000 - cost)


def test_every_figure_opens_to_what_it_rests_on(everything: finance.Months) -> None:
    figures = everything.figures()
    assert {"summary/usd_cash", "month/2026-11/usd_amortised"} <= set(figures)
    for path, figure in figures.items():
        for leaf in figure.leaves():
            assert leaf.source or leaf.ref or leaf.formula, f"{path}: {leaf.name}"
    assert figures["summary/usd_amortised"].basis is Basis.ESTIMATED
    total = dollars(everything.micro("cash"))
    assert figures["summary/usd_cash"].value == total
    parts = [f.value for p, f in figures.items() if p.startswith("month/") and "usd_cash" in p]
    assert sum(parts) == total


def test_the_same_months_give_the_same_json(everything: finance.Months) -> None:
    again = run(4, **EVERYTHING)
    assert json.dumps(everything.to_dict()) == json.dumps(again.to_dict())
    shape = everything.to_dict()
    assert shape["months"][0]["total"]["cash"] == format(
        sum(everything.terms.currency.amounts([everything.months[0].micro("cash")], date.max)), "f"
    )


def test_another_currency_loses_no_cent(everything: finance.Months) -> None:
    rates = (
        finance.Rate(day=date(2026, 11, 1), per_usd=Decimal("0.9137")),
        finance.Rate(day=date(2027, 1, 1), per_usd=Decimal("0.9")),
    )
    euro = finance.Currency(code="EUR", rates=rates)
    lines = everything.statement("cash", lambda charge: charge.item.label, euro)
    for number, month in enumerate(everything.months):
        rate = "0.9137" if number < 2 else "0.9"
        exact = dollars(month.micro("cash")) * Decimal(rate)
        assert sum(parts[number] for parts in lines.values()) == round(exact, 2)
    late = finance.Currency(code="EUR", rates=rates[1:])
    with pytest.raises(InvalidArgument, match="no EUR rate by 2026-11-01"):
        everything.statement("cash", lambda charge: charge.item.label, late)


def test_a_fiscal_year_is_named_after_the_year_it_ends_in() -> None:
    assert finance.fiscal(date(2026, 9, 30), 10).label == "FY2026 Q4"
    assert finance.fiscal(date(2026, 10, 1), 10).label == "FY2027 Q1"
    assert finance.fiscal(date(2026, 1, 1)).label == "FY2026 Q1"
    by = run(3, fiscal_year_starts=12).fiscal("cash")
    assert [period.label for period in by] == ["FY2026 Q4", "FY2027 Q1", "FY2027 Q1"]


@given(st.lists(st.fractions(-1000, 1000), max_size=9))
def test_parts_are_whole_and_within_one_of_what_they_were(values: list[Fraction]) -> None:
    parts = finance.whole(values)
    assert sum(parts) == round(sum(values, Fraction(0)))
    assert all(abs(part - value) <= 1 for part, value in zip(parts, values, strict=True))


@given(st.integers(-(10**15), 10**15), st.lists(st.integers(0, 10**12), min_size=1, max_size=9))
def test_shares_add_up_to_what_is_shared(total: int, weights: list[int]) -> None:
    parts = finance.share_out(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        if any(weights):
            assert abs(part - Fraction(total * weight, sum(weights))) < 1


# ── Actuals against forecast ──────────────────────────────────────────────────────────────────


def charge(route: str, usd: str, clips: int, **more: object) -> finance.Charge:
    line = finance.InvoiceLine(
        day=date(2026, 11, 1),
        usd=Decimal(usd),
        route=route,
        clips=Decimal(clips),
        **more,  # type: ignore[arg-type]
    )
    return line.charge()


def test_a_variance_worked_out_by_hand() -> None:
    """One API: 100 clips of 5 s at $0.10 a second; then 120 clips of 6 s at $0.20.

    $50 becomes $144, +$94. Over the six orders of volume, price and seconds per clip:
    volume  20 · mean of 5·0.1, 5·0.2, 6·0.1, 6·0.2 weighted 1/3, 1/6, 1/6, 1/3   = 16.666667
    seconds  1 · mean of 100·0.1, 100·0.2, 120·0.1, 120·0.2 so weighted           = 16.666667
    price  0.1 · mean of 100·5, 120·5, 100·6, 120·6 so weighted                   = 60.666667
    Sum 94.000001, one micro-dollar over: the largest remainders get it.
    """
    found = finance.variance(
        [charge("veo-3.1", "50", 100, seconds=Decimal(500))],
        [charge("veo-3.1", "144", 120, seconds=Decimal(720))],
    )
    assert found.actual_micro - found.forecast_micro == 94_000_000
    parts = found.parts
    assert sum(parts.values()) == 94_000_000
    assert parts["mix"] == parts["utilisation"] == 0
    expected = {"volume": 16_666_667, "efficiency": 16_666_667, "price": 60_666_667}
    assert all(abs(parts[name] - micro) <= 1 for name, micro in expected.items())  # type: ignore[index]


def test_busier_gpus_are_utilisation_and_slower_ones_efficiency() -> None:
    forecast = charge(GPU, "100", 100, gpu_hours=Decimal(50), seconds=Decimal(90_000))
    busier = charge(GPU, "80", 100, gpu_hours=Decimal(40), seconds=Decimal(90_000))
    parts = finance.variance([forecast], [busier]).parts
    assert parts == dict.fromkeys(finance.FACTORS, 0) | {"utilisation": -20_000_000}
    slower = charge(GPU, "200", 100, gpu_hours=Decimal(100), seconds=Decimal(180_000))
    parts = finance.variance([forecast], [slower]).parts
    assert parts == dict.fromkeys(finance.FACTORS, 0) | {"efficiency": 100_000_000}


def brute_force(before: dict[str, Fraction], after: dict[str, Fraction]) -> dict[str, Fraction]:
    names = list(before)
    found = dict.fromkeys(names, Fraction(0))
    orders = list(itertools.permutations(names))
    for order in orders:
        now = dict(before)
        for name in order:
            held = Fraction(1)
            for value in now.values():
                held *= value
            now[name] = after[name]
            changed = Fraction(1)
            for value in now.values():
                changed *= value
            found[name] += (changed - held) / len(orders)
    return found


def test_the_shapley_value_is_the_mean_over_every_order() -> None:
    rng = random.Random(7)
    for _ in range(12):
        before, after = (
            {name: Fraction(rng.randint(0, 50), rng.randint(1, 9)) for name in finance.FACTORS}
            for _ in range(2)
        )
        assert shapley(before, after) == brute_force(before, after)


def test_parts_sum_to_the_difference_on_any_pair_of_bills() -> None:
    rng = random.Random(11)

    def bill() -> list[finance.Charge]:
        lines = []
        for route in ("veo-3.1", "kling-3.0", GPU, "unknown-api", "fees"):
            if rng.random() < 0.25:
                continue
            clips = 0 if route == "fees" or rng.random() < 0.15 else rng.randint(1, 9_999)
            seconds = Decimal(rng.randint(0, 3) and rng.randint(1, 99_999))
            hours = Decimal(rng.randint(1, 900)) if route == GPU else Decimal(0)
            usd = f"{rng.random() * 1e4:.6f}"
            lines.append(charge(route, usd, clips, seconds=seconds, gpu_hours=hours))
        return lines

    for _ in range(300):
        forecast, actual = bill(), bill()
        found = finance.variance(forecast, actual)
        difference = finance.total(actual, "cash") - finance.total(forecast, "cash")
        assert sum(found.parts.values()) == difference == found.actual_micro - found.forecast_micro
        for line in found.lines:
            assert sum(line.parts.values()) == line.actual_micro - line.forecast_micro


def test_a_route_on_one_side_only_takes_the_list_price_of_the_other_side_s_day() -> None:
    def doubled(item: finance.Item, own: date, other: date) -> Fraction | None:
        return Fraction(2) if item.route == "a" else None

    forecast = [charge("a", "10", 100, seconds=Decimal(500)), charge("b", "30", 100)]
    found = finance.variance(forecast, [charge("b", "30", 100)], ratio=doubled)
    gone = found.lines[0]
    assert sum(gone.parts.values()) == -10_000_000
    assert gone.parts["price"] > 0
    assert gone.parts["volume"] < 0
    assert gone.parts["mix"] < 0
    unpriced = finance.variance(forecast, [charge("b", "30", 100)], ratio=lambda *_: None).lines[0]
    assert unpriced.parts == dict.fromkeys(finance.FACTORS, 0) | {"mix": -10_000_000}


def test_the_book_knows_how_a_list_price_moved() -> None:
    item = run(1).charges[0].item
    assert finance.causes.book_ratio(item, date(2026, 11, 22), date(2026, 12, 22)) == 1
    assert finance.causes.book_ratio(replace(item, sku="none"), date.min, date.max) is None


def test_the_forecast_read_back_from_its_own_file_has_no_variance(
    everything: finance.Months, tmp_path: Path
) -> None:
    for version in ("1.2", "1.4"):
        for suffix in (".csv", ".parquet"):
            path = tmp_path / f"bill-{version}{suffix}"
            focus.write(focus.rows(everything.charges, version=version), path)  # type: ignore[arg-type]
            actual = finance.read(path)
            for view in finance.VIEWS:
                found = finance.variance(everything.charges, actual, view=view)
                assert found.actual_micro == everything.micro(view)
                assert set(found.parts.values()) == {0}


def test_an_invoice_s_mistakes_are_all_named(tmp_path: Path) -> None:
    path = tmp_path / "invoice.csv"
    path.write_text("day,route,usd,clips\n2026-11-01,veo-3.1,12.5,4\n2026-13-01,veo-3.1,x,-4\n")
    with pytest.raises(BadData) as caught:
        finance.read(path)
    assert "[2].day" in str(caught.value)
    assert "[2].usd" in str(caught.value)
    path.write_text("day,route,usd,clips,seconds\n2026-11-01,veo-3.1,12.5,4,20\n")
    (line,) = finance.read(path)
    assert (line.billed_micro, line.clips_micro, line.ends) == (
        12_500_000, 4_000_000, date(2026, 12, 1),
    )  # fmt: skip


def test_a_file_that_is_no_focus_file_names_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "bill.csv"
    path.write_text("BilledCost,BillingCurrency\n1,USD\n")
    with pytest.raises(BadData, match="no column EffectiveCost"):
        finance.read(path)


FOREIGN = (
    "BilledCost,EffectiveCost,ContractedCost,ListCost,BillingCurrency,ChargeCategory,ServiceName,"
    "ChargePeriodStart,ChargePeriodEnd,PricingUnit,PricingQuantity,SkuId,ProviderName\n"
)


def test_another_seller_s_focus_file_is_summed_by_month_and_mapped(tmp_path: Path) -> None:
    path = tmp_path / "google.csv"
    rows = [
        f"1.5E-3,0.0015,0.0015,2,USD,Usage,Vertex,2026-11-{day:02}T00:00:00Z,"
        f"2026-11-{day + 1:02}T00:00:00Z,Requests,3,veo-sku,Google\n"
        for day in range(1, 11)
    ]
    path.write_text(FOREIGN + "".join(rows))
    (found,) = finance.read(path, routes={"veo-sku": "veo-3.1"})
    assert (found.item.route, found.item.model) == ("veo-3.1", "veo-3.1")
    assert (found.billed_micro, found.clips_micro) == (15_000, 30_000_000)
    assert (found.starts, found.ends) == (date(2026, 11, 1), date(2026, 11, 11))
    path.write_text(FOREIGN + rows[0].replace("USD", "EUR"))
    with pytest.raises(InvalidArgument, match="billed in EUR"):
        finance.read(path)
    path.write_text(FOREIGN + rows[0].replace("1.5E-3", "free"))
    with pytest.raises(BadData, match="BilledCost: The string 'free'"):
        finance.read(path)


def test_the_actuals_of_a_month_are_picked_by_their_day(everything: finance.Months) -> None:
    picked = finance.of_month(everything.charges, date(2026, 12, 24))
    assert finance.total(picked, "cash") == everything.months[1].micro("cash")


def test_a_replayed_log_stands_as_actuals_month_by_month(tmp_path: Path) -> None:
    row = {"month": date(2026, 11, 1), "tenant": "a", "segment": "sound", "model": "veo-3.1",
           "route": "veo-3.1", "kind": "api", "requests": 3, "micro_usd": 10_000_000,
           "paid_micro_usd": 11_000_000}  # fmt: skip
    charges = finance.of_replay([row])
    assert finance.total(charges, "cash") == 10_000_000
    assert finance.total(finance.of_replay([row], paid=True), "cash") == 11_000_000
    focus.write(focus.rows(charges, version="1.4"), tmp_path / "log.csv")
    assert finance.total(finance.read(tmp_path / "log.csv"), "cash") == 10_000_000
    assert finance.variance(charges, finance.of_replay([row], paid=True)).parts == dict.fromkeys(
        finance.FACTORS, 0
    ) | {"price": 1_000_000}


def test_where_no_seconds_at_work_are_told_gpu_hours_still_are() -> None:
    forecast = charge(GPU, "100", 100, gpu_hours=Decimal(50), seconds=Decimal(90_000))
    actual = charge(GPU, "80", 100, gpu_hours=Decimal(40))
    (line,) = finance.variance([forecast], [actual]).lines
    assert line.parts == dict.fromkeys(finance.FACTORS, 0) | {"efficiency": -20_000_000}
    assert "holds utilisation" in line.note


# ── On the command line ───────────────────────────────────────────────────────────────────────


def told(*arguments: str) -> tuple[int, str]:
    @click.group(cls=Refusing)
    def group() -> None: ...

    group.add_command(months_command)
    group.add_command(actuals_command)
    answer = CliRunner().invoke(group, list(arguments))
    return answer.exit_code, answer.output


def test_the_example_of_terms_in_the_docs_is_read_and_works(tmp_path: Path) -> None:
    text = (Path(__file__).parents[1] / "docs" / "finance.md").read_text(encoding="utf-8")
    path = tmp_path / "terms.yaml"
    path.write_text(text.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    assert finance.read_terms(path).fiscal_year_starts == 10
    code, output = told("months", "social-app", "--months", "2", "--terms", str(path))
    assert code == 0, output
    assert "2026-12" in output
    assert "FY2027 Q1" in output
    code, output = told("months", "social-app", "--months", "2", "--terms", str(path), "--json")
    shape = json.loads(output)
    assert shape["currency"] == "EUR"
    lines = sum(Decimal(charge["billed_usd"]) for charge in shape["months"][1]["charges"])
    assert lines == Decimal(shape["months"][1]["figures"]["usd_cash"]["value"])


def test_mistakes_in_terms_are_all_named(tmp_path: Path) -> None:
    path = tmp_path / "terms.yaml"
    path.write_text("tax: high\ncredits: [{name: a, usd: 1, starts: 2026-11-01}]\nvat: 1\n")
    code, output = told("months", "dev-and-test", "--terms", str(path))
    assert code == 2
    assert "terms.yaml: 3 problems" in output
    for part in (".tax", ".credits.0.ends", ".vat: unknown field"):
        assert part in output


def test_an_invoice_is_compared_with_its_month(tmp_path: Path) -> None:
    path = tmp_path / "invoice.csv"
    path.write_text("day,route,usd,clips\n2026-12-03,veo-3.1,900,2000\n")
    code, output = told("actuals", "dev-and-test", str(path), "--json")
    assert code == 0, output
    shape = json.loads(output)
    assert shape["month"] == "2026-12"
    parts = sum(Decimal(part) for part in shape["parts"].values())
    assert parts == Decimal(shape["difference_usd"])
    assert told("actuals", "dev-and-test", str(path), "--month", "2026-10-01")[0] == 2
    assert told("actuals", "dev-and-test", str(path), "--route", "veo")[0] == 2
    assert "veo-3.1" in told("actuals", "dev-and-test", str(path))[1]
