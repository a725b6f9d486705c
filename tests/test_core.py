from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlab.core import (
    BadData,
    Basis,
    ClipRequest,
    Figure,
    InvalidArgument,
    LineItem,
    Range,
    Source,
    UnknownName,
    apportion,
    canonical_json,
    micro_usd,
    usd,
)

PRICE = Figure(
    name="price of a second",
    value=Decimal("0.40"),
    unit="USD/s",
    basis=Basis.PUBLISHED,
    source=Source(publisher="Acme", document="price page"),
    ref="price:acme",
)
SECONDS = Figure(name="seconds", value=5.0, unit="s", basis=Basis.ESTIMATED)


def test_a_figure_is_as_weak_as_its_weakest_input_and_names_it() -> None:
    cost = Figure.derived("cost", 2.0, "USD", "price × seconds", (PRICE, SECONDS))
    assert cost.basis is Basis.ESTIMATED
    assert cost.weakest_input is SECONDS
    assert list(cost.leaves()) == [PRICE, SECONDS]


def test_the_hash_of_a_figure_changes_with_any_leaf() -> None:
    other = Figure(name="seconds", value=5.1, unit="s", basis=Basis.ESTIMATED)
    one = Figure.derived("cost", 2.0, "USD", "price × seconds", (PRICE, SECONDS))
    two = Figure.derived("cost", 2.0, "USD", "price × seconds", (PRICE, other))
    assert one.content_hash != two.content_hash


def test_json_keeps_money_as_text_and_floats_to_nine_digits() -> None:
    text = canonical_json({"usd": Decimal("0.40"), "x": 1 / 3, "day": date(2026, 11, 22)})
    assert json.loads(text) == {"usd": "0.40", "x": 0.333333333, "day": "2026-11-22"}


@given(st.integers(0, 10**12), st.lists(st.floats(0.001, 1e6), min_size=1, max_size=9))
def test_parts_always_add_up_to_the_whole(total: int, weights: list[float]) -> None:
    parts = apportion(total, weights)
    assert sum(parts) == total
    assert all(
        abs(part - total * weight / sum(weights)) <= 1 + total * 1e-12
        for part, weight in zip(parts, weights, strict=True)
    )


def test_weights_that_say_nothing_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="weights"):
        apportion(10, [0, 0])


@given(st.decimals(0, 10**6, places=9))
def test_a_billed_line_is_within_half_a_micro_dollar(amount: Decimal) -> None:
    assert abs(usd(micro_usd(amount)) - amount) <= Decimal("0.0000005")


def test_a_line_rounds_once_half_to_even() -> None:
    line = LineItem.of("x", Decimal("0.5"), "s", Decimal("0.000005"))
    assert line.micro_usd == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seconds": Decimal(0)}, "seconds must be greater than 0, got 0"),
        ({"seconds": Decimal("NaN")}, "seconds must be greater than 0, got NaN"),
        ({"seconds": Decimal(5), "resolution": "719p"}, "did you mean .*720p"),
        ({"seconds": Decimal(5), "variants": 0}, "variants must be at least 1"),
        ({"seconds": Decimal(5), "input_video_s": Decimal(-1)}, "input_video_s must be 0 or more"),
        ({"seconds": Decimal(5), "input_video_s": Decimal("NaN")}, "input_video_s must be 0 or"),
        ({"seconds": Decimal(5), "input_video_s": Decimal("Infinity")}, "input_video_s must be 0"),
        ({"seconds": Decimal(5), "mode": "v2v"}, "unknown mode 'v2v'"),
    ],
)
def test_a_clip_that_cannot_be_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises((InvalidArgument, UnknownName), match=message):
        ClipRequest(**wrong)  # type: ignore[arg-type]


def test_bad_data_lists_every_problem() -> None:
    assert str(BadData("a.yaml", ["one", "two"])) == "a.yaml: 2 problems\n  one\n  two"


def test_an_interval_in_other_units_keeps_its_order() -> None:
    assert Range(low=1, high=2).scaled(-3) == Range(low=-6, high=-3)
