"""Invariants over every row of the shipped price book and every GPU offer."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from costlab import catalog, store
from costlab.catalog.book import first_day
from costlab.core import RESOLUTIONS

TODAY = date(2026, 11, 22)
PRICES = store.load(catalog.PRICES)
OFFERS = store.load(catalog.OFFERS)
GPUS = {
    "A100-40GB", "A100-40GB-PCIe", "A100-80GB", "A100-80GB-PCIe", "H100-SXM", "H100-PCIe",
    "H100-NVL", "H200", "H200-NVL", "H20", "GH200", "B200", "B300", "GB200", "GB300", "L4", "L40",
    "L40S", "A10", "A10G", "RTX-4090", "RTX-5090", "RTX-6000-Ada", "RTX-A6000", "RTX-PRO-6000",
    "MI300X", "MI325X", "MI355X", "T4",
}  # fmt: skip


def name(row: catalog.Price | catalog.Offer) -> str:
    title = row.sku if isinstance(row, catalog.Price) else row.id
    return f"{title} {row.source.seen}"


@pytest.mark.parametrize("price", PRICES, ids=name)
def test_every_price_is_positive_dated_or_marked_undated_and_says_where_it_was_read(
    price: catalog.Price,
) -> None:
    assert price.usd > 0
    assert price.per > 0
    assert price.unit in catalog.UNITS
    assert price.source.publisher
    assert price.source.document
    assert (first_day(price.source.seen) is None) == (price.source.seen_precision == "undated")
    assert price.resolution is None or price.resolution in RESOLUTIONS
    assert price.usd_low is None or price.usd_low < price.usd
    assert price.provider in catalog.providers()
    assert catalog.model(price.model).id == price.model


def test_the_cross_checks_find_no_problem() -> None:
    problems = [item for item in catalog.check() if item.level == "problem"]
    assert not problems, "\n".join(f"{item.sku}: {item.text}" for item in problems)


def test_windows_of_one_sku_do_not_overlap() -> None:
    for day in (date(2025, 12, 1), date(2026, 6, 1), date(2026, 10, 1), TODAY):
        held = [(row.sku, row.unit) for row in catalog.in_force(PRICES, day)]
        assert len(held) == len(set(held))


def test_a_price_file_holds_one_seller_and_every_seller_has_a_file() -> None:
    files = {path.stem for path in catalog.PRICES.files()}
    assert files == set(catalog.providers())
    for path in catalog.PRICES.files():
        assert {row.provider for row in store.read(path, catalog.Price)} == {path.stem}


def test_every_source_date_that_is_only_a_month_stays_a_month() -> None:
    months = [row for row in PRICES if row.source.seen_precision == "month"]
    assert months
    assert all(len((row.source.seen or "").split(" ")[0]) == 7 for row in months)


def test_vertex_and_openai_retirements_are_as_observed() -> None:
    dates = {row.endpoint: row.retired_on for row in PRICES if row.provider == "vertex"}
    assert dates["veo-3.1-generate-001"] == date(2026, 11, 17)
    assert dates["veo-3.1-lite-generate-001"] is None
    assert {row.retired_on for row in PRICES if row.provider == "openai"} == {date(2026, 9, 24)}
    gemini = {row.endpoint: row.retired_on for row in PRICES if row.provider == "gemini"}
    assert gemini["veo-3.1-generate-preview"] == date(2026, 10, 22)
    assert gemini["veo-3.1-generate-001"] is None


@pytest.mark.parametrize("offer", OFFERS, ids=name)
def test_every_offer_names_a_known_gpu_and_divides_its_instance(offer: catalog.Offer) -> None:
    assert offer.gpu in GPUS
    assert offer.gpu_as_listed
    assert offer.source.publisher
    assert offer.source.document
    share = offer.usd_per_hour / offer.gpus_per_instance
    assert abs(share - offer.usd_per_gpu_hour) < Decimal("1e-8")
    assert (offer.notice_s is None) or offer.purchase == "spot"


def test_there_are_offers_of_enough_providers() -> None:
    on_demand = {row.provider for row in catalog.offers(TODAY, purchase="on_demand")}
    assert len(on_demand) >= 12
    spot = {row.provider for row in catalog.offers(TODAY, purchase="spot")}
    assert spot == {"aws", "azure", "coreweave", "gcp", "nebius", "runpod-community", "verda"}


def test_rows_that_are_history_only_are_not_offered() -> None:
    history = [row for row in OFFERS if not row.usable]
    assert {row.provider for row in history} == {"gcp", "azure"}
    offered = set(catalog.offers(TODAY))
    assert not offered & set(history)
    assert not any("$0.99" in row.note for row in offered)


def test_what_was_left_out_is_listed_with_a_reason() -> None:
    listed = catalog.left_out()
    assert sum(row.rows for row in listed if row.table == "prices") == 112
    assert all(row.why for row in listed)


def test_every_model_has_a_name_modes_and_a_price_or_weights() -> None:
    priced = {row.model for row in PRICES}
    for model in catalog.models():
        assert model.name
        assert model.modes
        assert (model.id in priced) == (model.kind == "api")


@pytest.mark.parametrize(
    ("alias", "model"),
    [
        ("wan-22-t2v", "wan2.2-t2v-a14b"), ("veo-31-standard", "veo-3.1"),
        ("kling-30-omni", "kling-3.0-omni"), ("Wan2.2-T2V-A14B", "wan2.2-t2v-a14b"),
        ("Wan2.2-TI2V-5B", "wan2.2-ti2v-5b"), ("Wan2.1-I2V-14B", "wan2.1-i2v-14b"),
        ("Wan 2.1 14B", "wan2.1-t2v-14b"), ("Wan 2.1 1.3B", "wan2.1-t2v-1.3b"),
        ("openai/sora-2", "sora-2"), ("fal_ai/minimax/h3/text-to-video", "minimax-h3"),
        ("VEO-3.1", "veo-3.1"),
    ],
)  # fmt: skip
def test_aliases_of_the_article_the_data_and_litellm_resolve(alias: str, model: str) -> None:
    assert catalog.model(alias).id == model


def test_the_page_on_prices_counts_the_rows_and_lists_what_was_left_out() -> None:
    text = (Path(__file__).parents[1] / "docs" / "prices.md").read_text(encoding="utf-8")
    assert f"{len(PRICES)} price rows and {len(OFFERS)} offers" in text
    for row in catalog.left_out():
        assert f"| {row.table} | {row.seller} | " in text
        assert row.why in text


def test_every_table_of_the_catalog_is_built_and_holds_rows(own_store: Path) -> None:
    tables = {value for value in vars(catalog).values() if isinstance(value, store.Shelf)}
    assert tables == set(catalog.SHELVES)
    assert all(store.build(catalog.SHELVES).values())


@pytest.mark.parametrize("model", catalog.models(), ids=lambda model: model.id)
def test_every_model_says_where_its_capabilities_were_read(model: catalog.Model) -> None:
    assert model.source is not None
    assert model.source.publisher
    assert model.source.document
