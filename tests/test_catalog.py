"""The book as of a day, overrides, GPU offers, owned hardware, packs and fees."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlab import catalog, core
from costlab.catalog.rental import capital_recovery_factor
from costlab.core import Basis, CannotServe, ClipRequest, InvalidArgument, Source, UnknownName

TODAY = date(2026, 11, 22)


def row(usd: str, seen: str | None, **more: Any) -> catalog.Price:
    fields: dict[str, Any] = {
        "sku": "seller/thing", "model": "wan-2.7", "provider": "alibaba", "channel": "vendor",
        "endpoint": "thing", "unit": "second", "usd": Decimal(usd),
        "source": Source(publisher="Seller", document="price page", seen=seen),
    }  # fmt: skip
    return catalog.Price(**{**fields, **more})


def held(rows: list[catalog.Price], day: date, **more: Any) -> list[Decimal]:
    return [price.usd for price in catalog.in_force(rows, day, **more)]


def test_old_months_keep_their_old_price() -> None:
    rows = [row("0.15", "2026-01-10"), row("0.10", "2026-06-05")]
    assert held(rows, date(2026, 6, 4)) == [Decimal("0.15")]
    assert held(rows, date(2026, 6, 5)) == [Decimal("0.10")]


def test_a_row_seen_later_is_not_used_unless_asked_for() -> None:
    rows = [row("0.10", "2026-06-05")]
    assert held(rows, date(2026, 1, 1)) == []
    assert held(rows, date(2026, 1, 1), backdate=True) == [Decimal("0.10")]


def test_an_undated_row_stands_until_a_dated_one_opens() -> None:
    rows = [row("0.20", None), row("0.10", "2026-06")]
    assert held(rows, date(2026, 5, 31)) == [Decimal("0.20")]
    assert held(rows, date(2026, 6, 1)) == [Decimal("0.10")]


def test_a_stated_start_or_end_beats_the_day_it_was_seen() -> None:
    rows = [
        row("0.10", "2026-09-30", valid_to=date(2026, 9, 30)),
        row("0.12", "2026-09-30", valid_from=date(2026, 10, 1)),
    ]
    assert held(rows, date(2026, 9, 1)) == [Decimal("0.10")]
    assert held(rows, date(2026, 9, 30)) == [Decimal("0.10")]
    assert held(rows, date(2026, 10, 1)) == [Decimal("0.12")]


def test_a_price_read_after_its_end_stood_before_it() -> None:
    rows = [row("0.10", "2026-10-05", retired_on=date(2026, 9, 24))]
    assert held(rows, date(2026, 9, 23)) == [Decimal("0.10")]
    assert held(rows, date(2026, 9, 24)) == []


def test_a_later_reading_of_the_same_page_replaces_the_earlier_one() -> None:
    rows = [
        row("0.15", "2025-11-24", sku="seller/thing/any"),
        row("0.12", "2026-08-18", sku="seller/thing/720p", resolution="720p"),
    ]
    assert held(rows, TODAY) == [Decimal("0.12")]


@settings(deadline=None, max_examples=30)
@given(st.dates(min_value=date(2025, 1, 1), max_value=date(2027, 1, 1)))
def test_no_day_has_two_prices_for_one_sku(day: date) -> None:
    keys = [(price.sku, price.unit) for price in catalog.in_force(catalog.prices(), day)]
    assert len(keys) == len(set(keys))


def test_a_diff_of_two_days_says_what_changed() -> None:
    changes = catalog.diff(date(2025, 12, 1), date(2026, 9, 1))
    by_sku = {change.sku: change for change in changes}
    assert by_sku["comfy/veo-3.1-fast/720p/audio"].kind == "changed"
    assert "0.15 → 0.1 " in by_sku["comfy/veo-3.1-fast/720p/audio"].sentence
    gone = {c.sku for c in catalog.diff(date(2026, 9, 1), TODAY) if c.kind == "removed"}
    assert "comfy/sora-2/720p/audio" in gone
    assert catalog.diff(TODAY, TODAY) == ()


def test_history_runs_from_old_to_new() -> None:
    days = [price.opens for price in catalog.history("veo-3.1-fast") if price.opens]
    assert days == sorted(days)


# ── Overrides ─────────────────────────────────────────────────────────────────────────────────

FIVE = ClipRequest(seconds=Decimal(5))


def test_a_contract_discount_is_a_dated_entry_and_the_list_price_stays_visible(
    own_store: Path,
) -> None:
    catalog.add_override(
        catalog.Override(
            name="alibaba 2027", provider="alibaba", discount=Decimal("0.15"),
            valid_from=date(2026, 11, 1), who="Ada", why="framework contract",
        )
    )  # fmt: skip
    quote = catalog.quote("wan-2.7", FIVE, as_of=TODAY)
    assert quote.usd == Decimal("0.425")  # 5 × 0.10 × 0.85
    assert core.usd(quote.list_micro_usd) == Decimal("0.50")
    assert quote.figure().basis is Basis.ENTERED
    assert any("framework contract" in step.text for step in quote.steps)
    before = catalog.quote("wan-2.7", FIVE, as_of=TODAY, overrides=())
    assert before.usd == Decimal("0.50")


def test_a_contract_price_of_a_sku_goes_before_a_discount_of_its_seller(own_store: Path) -> None:
    sku = catalog.quote("wan-2.7", FIVE, as_of=TODAY).sku
    common: dict[str, Any] = {"valid_from": date(2026, 11, 1), "who": "Ada", "why": "contract"}
    catalog.add_override(
        catalog.Override(name="all", provider="alibaba", discount=Decimal("0.5"), **common)
    )
    catalog.add_override(catalog.Override(name="one", sku=sku, usd=Decimal("0.07"), **common))
    assert catalog.quote("wan-2.7", FIVE, as_of=TODAY).usd == Decimal("0.35")


def test_removing_an_override_is_another_row_of_the_audit_list(own_store: Path) -> None:
    catalog.add_override(
        catalog.Override(
            name="deal", model="wan-2.7", discount=Decimal("0.1"), valid_from=date(2026, 11, 1),
            who="Ada", why="trial",
        )
    )  # fmt: skip
    catalog.remove_override("deal", who="Bo", why="trial ended")
    assert catalog.quote("wan-2.7", FIVE, as_of=TODAY).usd == Decimal("0.50")
    assert [(entry.action, entry.who, entry.why) for entry in catalog.audit()] == [
        ("entered", "Ada", "trial"),
        ("removed", "Bo", "trial ended"),
    ]
    with pytest.raises(InvalidArgument, match="no override 'deal' stands"):
        catalog.remove_override("deal", who="Bo", why="again")


def test_an_override_only_holds_in_its_window(own_store: Path) -> None:
    catalog.add_override(
        catalog.Override(
            name="december", model="wan-2.7", discount=Decimal("0.2"),
            valid_from=date(2026, 12, 1), valid_to=date(2026, 12, 31), who="Ada", why="promotion",
        )
    )  # fmt: skip
    prices = {
        day: catalog.quote("wan-2.7", FIVE, as_of=day).usd
        for day in (date(2026, 11, 30), date(2026, 12, 1), date(2027, 1, 1))
    }
    assert list(prices.values()) == [Decimal("0.5"), Decimal("0.4"), Decimal("0.5")]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": "wan-2.7"}, "either a contract price"),
        ({"model": "wan-2.7", "usd": Decimal("0.1")}, "needs the SKU"),
        ({"model": "wan-2.7", "discount": Decimal("1.5")}, "between 0 and 1"),
        ({"discount": Decimal("0.5")}, "say what it holds for"),
        ({"sku": "a", "usd": Decimal(0)}, "greater than 0"),
    ],
)
def test_a_senseless_override_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        catalog.Override(name="x", valid_from=TODAY, **fields)


# ── GPU offers ────────────────────────────────────────────────────────────────────────────────


def test_the_price_of_a_gpu_hour_comes_from_its_instance() -> None:
    aws = catalog.offer("aws/H100-SXM/8x/on_demand/us-east-1")
    assert aws.usd_per_hour == Decimal("55.04")
    assert aws.usd_per_gpu_hour == Decimal("6.88")
    assert "/ 8 GPUs" in aws.figure().formula
    assert aws.figure().ref == "offer:aws/H100-SXM/8x/on_demand/us-east-1"


def test_a_rent_that_rises_changes_on_its_day() -> None:
    def nebius(day: date) -> Decimal:
        return catalog.offer("nebius/H100-SXM/1x/on_demand", day).usd_per_gpu_hour

    assert nebius(date(2026, 9, 30)) == Decimal("3.85")
    assert nebius(date(2026, 10, 1)) == Decimal("4.5")


def test_the_rent_of_an_a100_climbed_through_autumn() -> None:
    def runpod(day: date) -> Decimal:
        return catalog.offer("runpod-secure/A100-80GB-PCIe/1x/on_demand", day).usd_per_gpu_hour

    rates = [runpod(day) for day in (date(2026, 8, 20), date(2026, 9, 26), TODAY)]
    assert rates == [Decimal("1.39"), Decimal("1.59"), Decimal("1.79")]


def test_offers_are_cheapest_first_and_narrow_down() -> None:
    found = catalog.offers(TODAY, gpu="H100-SXM", purchase="on_demand")
    assert [row.usd_per_gpu_hour for row in found] == sorted(row.usd_per_gpu_hour for row in found)
    with pytest.raises(UnknownName, match="purchase"):
        catalog.offers(TODAY, purchase="lease")
    with pytest.raises(UnknownName, match="offer"):
        catalog.offer("aws/H100")
    with pytest.raises(CannotServe, match="first seen"):
        catalog.offer("aws/H100-SXM/8x/on_demand/us-east-1", date(2025, 1, 1))


def test_spot_offers_carry_notice_and_interruption_where_a_source_gives_them() -> None:
    spot = catalog.offer("aws/H200/8x/spot/us-east-1")
    assert spot.notice_s == 120
    assert spot.interruption_low is not None
    assert spot.interruption_source is not None
    verda = catalog.offer("verda/H100-SXM/1x/spot")
    assert verda.notice_s is None
    assert verda.interruption_low is None
    bands = {advice.band for advice in catalog.spot_advice("p5.48xlarge")}
    assert all(0 <= low < high <= 1 for low, high in bands)


def test_the_saving_of_spot_is_taken_from_the_same_instance_on_demand() -> None:
    spot = catalog.offer("coreweave/H100-SXM/8x/spot/north-america")
    saving = catalog.spot_saving(spot, TODAY)  # 1 − 19.71 / 49.24
    assert saving == pytest.approx(0.5997, abs=1e-4)
    flat = catalog.offer("runpod-community/H100-SXM/1x/spot")
    assert catalog.spot_saving(flat, TODAY) == 0
    assert catalog.spot_saving(catalog.offer("gcp/H100-SXM/1x/spot/us-central1"), TODAY) is None


def test_billing_steps_round_up_and_serverless_adds_its_tail() -> None:
    by_minute = catalog.offer("lambda/H100-SXM/1x/on_demand")
    assert by_minute.billed_s(Decimal("61")) == 120
    by_second = catalog.offer("runpod-secure/H100-SXM/1x/on_demand")
    assert by_second.billed_s(Decimal("61.2"), Decimal("30")) == 92

    worker = by_second.under(catalog.serverless_rule("runpod"))
    assert worker.billed_s(Decimal("10.5"), Decimal("20")) == 36  # 20 + 10.5 + 5, rounded up
    free_start = by_second.under(catalog.serverless_rule("fal"))
    assert free_start.billed_s(Decimal("10.5"), Decimal("20")) == Decimal("10.5")
    exact = by_second.under(catalog.serverless_rule("runware"))
    assert exact.billed_s(Decimal("10.50001")) == Decimal("10.501")
    with pytest.raises(UnknownName, match="serverless rule"):
        catalog.serverless_rule("aws")


def test_owned_hardware_is_an_offer_that_is_listed_when_asked_for() -> None:
    (mine,) = catalog.offers(TODAY, purchase="owned")
    assert mine == catalog.offer("owned/H100-SXM/8x", TODAY)
    assert mine not in catalog.offers(TODAY)
    assert mine.figure().value == mine.usd_per_gpu_hour
    dearer = catalog.owned_offer(inputs={"staff_usd_per_gpu_hour": 0.5})
    assert dearer.figure().value == mine.usd_per_gpu_hour + Decimal("0.5")


def test_a_reserved_offer_is_the_on_demand_rate_less_the_discount() -> None:
    aws = catalog.offer("aws/H100-SXM/8x/on_demand/us-east-1")
    (year,) = [row for row in catalog.commitments("aws") if row.term == "1y-no-upfront"]
    reserved = catalog.reserve(aws, year)
    assert reserved.usd_per_gpu_hour == Decimal("4.6784")  # 6.88 × 0.68
    assert reserved.purchase == "reserved"
    coreweave = catalog.offer("coreweave/H100-SXM/8x/on_demand/north-america")
    (most,) = catalog.commitments("coreweave")
    with pytest.raises(InvalidArgument, match="up to 60"):
        catalog.reserve(coreweave, most)
    entered = catalog.reserve(coreweave, most, Decimal("0.4"))
    assert entered.usd_per_gpu_hour == Decimal("3.693")
    assert entered.source.basis is Basis.ENTERED
    with pytest.raises(InvalidArgument, match="only on-demand"):
        catalog.reserve(reserved, year)


def test_owned_hardware_follows_its_formula() -> None:
    # 8760 h · 0.5 = 4380 h; 10 000 · CRF(10 %, 3) = 4021.148; / 4380 = 0.918070
    # 700 W · 1.5 · 0.10 / 1000 = 0.105; hosting 0.20; staff 0.05
    rate = catalog.owned_usd_per_gpu_hour(
        capex_usd_per_gpu=10_000, years=3, rate=0.10, availability=0.5, watts_per_gpu=700, pue=1.5,
        usd_per_kwh=0.10, hosting_usd_per_gpu_hour=0.20, staff_usd_per_gpu_hour=0.05,
    )  # fmt: skip
    assert rate == pytest.approx(0.918070 + 0.105 + 0.20 + 0.05, abs=1e-5)


@given(st.floats(0.01, 0.5), st.integers(1, 10))
def test_interest_only_ever_raises_the_yearly_share(rate: float, years: int) -> None:
    assert capital_recovery_factor(rate, years) > capital_recovery_factor(0, years) == 1 / years


def test_every_owned_input_can_be_replaced_and_shows_its_source() -> None:
    default = catalog.owned_offer()
    cheap_power = catalog.owned_offer(inputs={"usd_per_kwh": 0.0})
    assert cheap_power.usd_per_gpu_hour < default.usd_per_gpu_hour
    figure = catalog.owned_figure(inputs={"usd_per_kwh": 0.05})
    assert figure.basis is Basis.ENTERED
    sourced = {leaf.ref for leaf in figure.leaves() if leaf.source}
    assert "owned:capex_usd_per_gpu" in sourced
    assert "owned:usd_per_kwh" not in sourced
    with pytest.raises(UnknownName, match="input of owned hardware"):
        catalog.owned_offer(inputs={"electricity": 1.0})


@pytest.mark.parametrize(
    ("change", "message"),
    [({"availability": 0.0}, "availability"), ({"pue": 0.9}, "pue"), ({"years": 0}, "years"),
     ({"watts_per_gpu": -1}, "watts_per_gpu"), ({"residual_share": 1.0}, "residual_share"),
     ({"rate": -1.0, "residual_share": 0.1}, "rate")],
)  # fmt: skip
def test_impossible_hardware_is_refused(change: dict[str, float], message: str) -> None:
    inputs = {name: float(item.value) for name, item in catalog.owned_inputs().items()}
    with pytest.raises(InvalidArgument, match=message):
        catalog.owned_usd_per_gpu_hour(**{**inputs, **change})


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_hardware_that_is_no_number_is_refused(value: float) -> None:
    for name in catalog.owned_inputs():
        with pytest.raises(InvalidArgument, match=name):
            catalog.owned_offer(inputs={name: value})


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity")])
def test_an_amount_that_is_no_number_is_refused(value: Decimal) -> None:
    base = catalog.offers(as_of=TODAY, purchase="on_demand")[0]
    disk = next(fee for fee in catalog.fees() if fee.unit == "GB-month")
    calls: tuple[Callable[[], object], ...] = (
        lambda: catalog.with_rate(base, value),
        lambda: catalog.reserve(base, catalog.commitments()[0], value),
        lambda: catalog.storage_usd(disk, value, Decimal(1)),
        lambda: catalog.egress_usd("aws", value),
        lambda: catalog.pack_bill(catalog.packs()[0], value, 30),
    )
    for call in calls:
        with pytest.raises(InvalidArgument):
            call()


# ── Packs, storage, egress ────────────────────────────────────────────────────────────────────


def test_a_short_pack_is_cheaper_by_the_unit_but_lapses() -> None:
    packs = {pack.name: pack for pack in catalog.packs("kling")}
    trial, package = packs["Trial L"], packs["Package 1"]
    assert trial.usd_per_credit == Decimal("0.098")
    assert package.usd_per_credit == Decimal("0.14")
    assert (trial.expires_days, package.expires_days) == (30, 180)
    # 20 a day for 60 days: 600 of 1000 credits used in each of two months
    bill = catalog.pack_bill(trial, Decimal(20), 60)
    assert (bill.packs_bought, bill.usd) == (2, Decimal(196))
    assert bill.credits_lapsed == 800
    assert bill.usd_per_used_credit.quantize(Decimal("0.0001")) == Decimal("0.1633")


def test_egress_is_billed_tier_by_tier() -> None:
    # AWS: 100 GB free, 9 900 GB × 0.09, 10 000 GB × 0.085
    assert catalog.egress_usd("aws", Decimal(20_000)) == Decimal("1741")
    assert catalog.egress_usd("coreweave", Decimal(20_000)) == 0
    # GCP: 1 000 × 0.12 + 1 000 × 0.11
    assert catalog.egress_usd("gcp", Decimal(2_000)) == Decimal("230")
    with pytest.raises(UnknownName, match="egress"):
        catalog.egress_usd("verda", Decimal(1))


def test_a_stopped_disk_goes_on_billing() -> None:
    (disk,) = [fee for fee in catalog.fees("runpod") if fee.kind == "block_storage"]
    assert catalog.storage_usd(disk, Decimal(200), Decimal(730)) == Decimal("20")
    egress = catalog.fees("aws", "egress")[0]
    with pytest.raises(InvalidArgument, match="billed by the GB"):
        catalog.storage_usd(egress, Decimal(1), Decimal(1))
