from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlab.capacity import mdc, servers_needed_for_mix
from costlab.capacity.sizing import Load, PeakHour, slots_needed
from costlab.core import InvalidArgument

MONTH = {"hours": 720, "peak_factor": 2.0, "p95_wait_s": 60.0, "batch_utilisation": 0.95}


def needed(*loads: Load, **changes: float) -> int:
    return slots_needed(loads, **{**MONTH, **changes})  # type: ignore[arg-type]


def test_alike_clips_are_sized_by_the_exact_constant_service_queue() -> None:
    load = Load(per_month=20_000, slot_s=300)
    slots = needed(load)
    rate = 20_000 / (720 * 3600) * 2
    assert mdc(rate, 300, slots).p95_wait_s <= 60
    assert mdc(rate, 300, slots - 1).p95_wait_s > 60


def test_two_segments_of_the_same_length_are_one_stream() -> None:
    half = Load(per_month=10_000, slot_s=300)
    assert needed(half, half) == needed(Load(per_month=20_000, slot_s=300))


def test_batch_work_fills_quiet_hours_and_needs_no_slack_for_waiting() -> None:
    work = {"per_month": 720 * 3600 / 300 * 9.5, "slot_s": 300}
    assert needed(Load(**work, batch=True)) == 10
    assert needed(Load(**work)) > 19


def test_batch_work_fits_beside_interactive_work_where_its_hours_are_idle() -> None:
    interactive = Load(per_month=20_000, slot_s=300)
    alone = needed(interactive)
    idle_hours = alone * 720 * 0.95 - interactive.busy_hours
    batch = Load(per_month=0.99 * idle_hours * 12, slot_s=300, batch=True)
    assert needed(interactive, batch) == alone


def test_no_load_needs_no_slots() -> None:
    assert needed() == 0
    assert needed(Load(per_month=0, slot_s=300)) == 0


loads = st.builds(
    Load,
    per_month=st.floats(1, 50_000),
    slot_s=st.sampled_from([120.0, 330.0, 1040.0]),
    batch=st.booleans(),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(loads, min_size=1, max_size=4), loads)
def test_more_work_never_needs_fewer_slots(some: list[Load], more: Load) -> None:
    assert needed(*some, more) >= needed(*some)


@settings(max_examples=25, deadline=None)
@given(st.lists(loads, min_size=1, max_size=3), st.floats(1, 300))
def test_a_looser_promise_never_needs_more_slots(some: list[Load], wait_s: float) -> None:
    assert needed(*some, p95_wait_s=wait_s * 2) <= needed(*some, p95_wait_s=wait_s)


def test_the_busiest_hour_is_the_mean_hour_times_its_peak() -> None:
    peak = PeakHour.of([Load(per_month=7_200, slot_s=360)], 720, 3.0)
    assert peak.arrivals_per_s == pytest.approx(30 / 3600)
    assert peak.erlangs == pytest.approx(3.0)


@settings(max_examples=40, deadline=None)
@given(
    questions=st.lists(
        st.tuples(st.floats(0.05, 150), st.sampled_from([0.0, 10.0, 120.0, 2000.0])),
        min_size=1,
        max_size=4,
    ),
    lengths_s=st.sampled_from([(300.0, 300.0), (200.0, 900.0), (60.0, 3000.0)]),
)
def test_what_was_asked_before_never_changes_the_fewest_slots(
    questions: list[tuple[float, float]], lengths_s: tuple[float, float]
) -> None:
    shares = (0.7, 0.3)
    for erlangs, wait_s in questions:
        rate = erlangs / (0.7 * lengths_s[0] + 0.3 * lengths_s[1])
        peak = PeakHour(arrivals_per_s=rate, lengths_s=lengths_s, shares=shares)
        assert peak.fewest_slots(wait_s) == servers_needed_for_mix(rate, lengths_s, shares, wait_s)


def test_nobody_needs_no_slot_and_no_promise_is_below_zero() -> None:
    nobody = PeakHour(arrivals_per_s=0.0, lengths_s=(), shares=())
    assert nobody.fewest_slots(60.0) == 0
    with pytest.raises(InvalidArgument):
        nobody.fewest_slots(-1.0)
