from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlab import traffic
from costlab.core import BadData, InvalidArgument


@pytest.mark.parametrize("mix", traffic.mixes().values(), ids=lambda mix: mix.id)
def test_shipped_mixes_sum_to_one_and_say_that_they_are_examples(mix: traffic.TrafficMix) -> None:
    assert sum(segment.share for segment in mix.segments) == pytest.approx(1)
    assert "entered" in mix.note


def test_a_mix_that_does_not_sum_to_one_is_refused_with_its_parts() -> None:
    body = {
        "id": "m",
        "title": "M",
        "clips_per_month": 10,
        "segments": [
            {"name": "a", "share": 0.5, "seconds": "5"},
            {"name": "b", "share": 0.3, "seconds": "5"},
        ],
        "hourly": [1, 2],
    }
    with pytest.raises(BadData) as caught:
        traffic.parse_mix(body)
    assert "shares must sum to 1, found 0.8 (a 0.5, b 0.3)" in str(caught.value)
    assert "hourly: expected 24 weights, found 2" in str(caught.value)


def test_a_segment_names_itself_when_its_clip_cannot_be() -> None:
    with pytest.raises(InvalidArgument, match="segment a: seconds must be greater than 0"):
        traffic.Segment(name="a", share=1, seconds=Decimal(-5))


@given(
    failure=st.floats(0, 0.9),
    acceptance=st.floats(0.05, 1),
    tries=st.integers(1, 12),
)
def test_attempts_agree_with_the_series_they_sum(
    failure: float, acceptance: float, tries: int
) -> None:
    p = (1 - failure) * acceptance
    expected = sum((1 - p) ** k for k in range(tries))
    found = traffic.attempts(
        failure=failure, acceptance=acceptance, max_tries=tries, failures_billed=False
    )
    assert found.per_wanted == pytest.approx(expected)
    assert found.accepted_share == pytest.approx(1 - (1 - p) ** tries)
    assert found.per_wanted == pytest.approx(found.per_accepted * found.accepted_share)


def test_attempts_agree_with_drawn_lots() -> None:
    rng = np.random.default_rng(7)
    lots = rng.random((200_000, 3)) < 0.9 * 0.4
    used = np.where(lots.any(axis=1), lots.argmax(axis=1) + 1, 3)
    found = traffic.attempts(failure=0.1, acceptance=0.4, max_tries=3, failures_billed=True)
    assert used.mean() == pytest.approx(found.per_wanted, rel=0.01)
    assert lots.any(axis=1).mean() == pytest.approx(found.accepted_share, rel=0.01)


def test_failed_attempts_are_paid_where_the_provider_bills_them() -> None:
    billed = traffic.attempts(failure=0.1, acceptance=1, max_tries=None, failures_billed=True)
    free = traffic.attempts(failure=0.1, acceptance=1, max_tries=None, failures_billed=False)
    assert billed.billed_share == 1
    assert free.billed_share == pytest.approx(0.9)


def test_a_mix_saved_by_a_user_is_found_beside_the_shipped_ones(own_store: object) -> None:
    body = {
        "id": "mine",
        "title": "Mine",
        "clips_per_month": 10,
        "segments": [{"name": "a", "share": 1, "seconds": "5"}],
    }
    traffic.save_mix(body, who="Ann")
    assert traffic.mix("mine").segments[0].name == "a"
    assert "social-app" in traffic.mixes()


RATES = {
    "id": "rates",
    "title": "Rates",
    "segments": [
        {"name": "a", "clips_per_month": 3000, "seconds": "5"},
        {"name": "b", "clips_per_month": 1000, "seconds": "8"},
    ],
}


def test_segments_may_say_clips_a_month_instead_of_shares(own_store: object) -> None:
    mix = traffic.save_mix(RATES)
    assert mix.clips_per_month == 4000
    assert [segment.share for segment in mix.segments] == [0.75, 0.25]
    assert traffic.mix("rates") == mix


@pytest.mark.parametrize(
    "change",
    [
        {"clips_per_month": 5000},
        {"segments": [*RATES["segments"], {"name": "c", "share": 0.1, "seconds": "5"}]},  # type: ignore[misc]
        {"segments": [{"name": "a", "clips_per_month": -1, "seconds": "5"}]},
        {"segments": [{"name": "a", "clips_per_month": 1, "share": 1, "seconds": "5"}]},
    ],
)
def test_rates_that_do_not_agree_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(BadData, match="clips_per_month"):
        traffic.parse_mix(RATES | change)


def test_seasons_and_growth_move_later_months() -> None:
    from datetime import date

    body = RATES | {"growth_per_month": 0.1, "seasonality": [1] * 11 + [2]}
    mix = traffic.parse_mix(body)
    assert mix.volume(4000, date(2026, 11, 22), date(2026, 12, 1)) == pytest.approx(8800)
    assert mix.volume(4000, date(2026, 12, 1), date(2027, 1, 1)) == pytest.approx(2200)
    assert sum(mix.hours_of_week) == pytest.approx(168)
