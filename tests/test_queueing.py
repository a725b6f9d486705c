"""The waiting formulas against reference values, exact laws and each other."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlab.capacity import queueing
from costlab.capacity.phases import TwoKinds, phase_wait, two_kinds
from costlab.capacity.queueing import (
    Wait,
    day,
    erlang_c,
    impatient,
    mdc,
    mgc,
    mmc,
    servers_needed,
    servers_needed_for_mix,
    wait,
)
from costlab.core import InvalidArgument

loads = st.floats(0.02, 0.97)
fleets = st.integers(1, 80)
scvs = st.sampled_from([0.0, 0.3, 1.0, 2.5])
law = settings(max_examples=40, deadline=None)


def mean_of_tail(answer: Wait) -> float:
    """The mean wait as the area under the tail, by Simpson's rule."""
    end = answer.quantile_s(1 - 1e-10 * answer.p_wait)
    x = np.linspace(0, end, 20_001)
    y = np.array([answer.tail(float(point)) for point in x])
    return float((y[0] + y[-1] + 4 * y[1:-1:2].sum() + 2 * y[2:-1:2].sum()) * x[1] / 3)


def test_mmc_equals_the_reference_to_nine_digits() -> None:
    answer = mmc(2.7, 1.0, 3)
    assert answer.p_wait == pytest.approx(0.8170610211706104, rel=1e-12)
    assert answer.mean_wait_s == pytest.approx(2.72353673723537, rel=1e-12)
    assert answer.utilisation == pytest.approx(0.9)
    assert answer.tail(answer.p95_wait_s) == pytest.approx(0.05, rel=1e-9)


def test_mdc_equals_the_reference() -> None:
    assert mdc(7.2, 1.0, 8).mean_wait_s == pytest.approx(0.44997, abs=5e-6)
    assert mmc(7.2, 1.0, 8).mean_wait_s == pytest.approx(0.877, abs=5e-4)


@pytest.mark.parametrize("load", [0.01, 0.3, 0.9, 0.999])
def test_one_server_with_constant_service_waits_as_pollaczek_and_khinchine_say(
    load: float,
) -> None:
    assert mdc(load, 1.0, 1).mean_wait_s == pytest.approx(load / (2 * (1 - load)), rel=1e-11)
    assert mdc(load, 1.0, 1).p_wait == pytest.approx(load, rel=1e-11)


def test_mdc_agrees_with_the_embedded_chain_solved_by_iteration() -> None:
    servers, erlangs, places = 5, 4.0, 400
    arrivals = np.array(
        [math.exp(k * math.log(erlangs) - erlangs - math.lgamma(k + 1)) for k in range(places)]
    )
    queue = np.zeros(places)
    queue[0] = 1.0
    for _ in range(3000):
        present = np.convolve(queue, arrivals)[:places]
        queue = np.append(present[: servers + 1].sum(), present[servers + 1 :])
        queue = np.append(queue, np.zeros(places - len(queue)))
    answer = mdc(erlangs, 1.0, servers)
    assert answer.mean_wait_s == pytest.approx(np.arange(places) @ queue / erlangs, rel=1e-9)
    assert answer.p_wait == pytest.approx(1 - present[:servers].sum(), rel=1e-9)


@pytest.mark.parametrize(
    ("servers", "load"), [(1, 0.5), (8, 0.9), (64, 0.95), (200, 0.99), (1000, 0.999)]
)
def test_the_law_of_the_mdc_wait_has_the_mean_that_little_gives(servers: int, load: float) -> None:
    answer = mdc(load * servers, 1.0, servers)
    assert mean_of_tail(answer) == pytest.approx(answer.mean_wait_s, rel=2e-4)


@pytest.mark.parametrize("servers", [1, 10, 100, 1000])
def test_formulas_hold_from_an_empty_to_a_full_system(servers: int) -> None:
    for formula in (mmc, mdc):
        before = -1.0
        for load in (1e-6, 1e-3, 0.1, 0.5, 0.9, 0.99, 0.999, 0.99999):
            answer = formula(load * servers, 1.0, servers)
            assert 0 <= answer.p_wait <= 1
            assert answer.mean_wait_s >= before - 1e-15
            assert answer.tail(answer.p95_wait_s) <= 0.05 * (1 + 1e-9)
            before = answer.mean_wait_s
    nearly_full = mdc(0.99999 * servers, 1.0, servers).mean_wait_s
    assert nearly_full == pytest.approx(0.5e5 / servers, rel=2e-3)


@law
@given(load=loads, servers=fleets, x=st.floats(0, 5), y=st.floats(0, 5))
def test_longer_waits_are_never_more_likely(load: float, servers: int, x: float, y: float) -> None:
    for scv in (0.0, 0.5, 1.0):
        answer = wait(load * servers, 1.0, servers, scv)
        low, high = sorted((x, y))
        assert answer.tail(high) <= answer.tail(low) + 1e-12


@law
@given(load=loads, servers=fleets, scv=scvs, factor=st.floats(0.1, 1000))
def test_time_has_no_unit(load: float, servers: int, scv: float, factor: float) -> None:
    one = wait(load * servers, 1.0, servers, scv)
    other = wait(load * servers / factor, factor, servers, scv)
    assert other.mean_wait_s == pytest.approx(one.mean_wait_s * factor, rel=1e-6, abs=1e-12)
    assert other.p95_wait_s == pytest.approx(one.p95_wait_s * factor, rel=1e-6, abs=1e-9)


@law
@given(load=st.floats(0.05, 0.9), servers=fleets, scv=scvs, slower=st.floats(1.0, 1.1))
def test_slower_service_never_gives_a_shorter_wait(
    load: float, servers: int, scv: float, slower: float
) -> None:
    fast = wait(load * servers, 1.0, servers, scv)
    slow = wait(load * servers, slower, servers, scv)
    assert slow.mean_wait_s >= fast.mean_wait_s * (1 - 1e-9) - 1e-15
    assert slow.p95_wait_s >= fast.p95_wait_s - 1e-9


@law
@given(
    rate=st.floats(0, 100),
    more=st.floats(1.0, 1.3),
    scv=scvs,
    promise=st.sampled_from([0.0, 0.05, 0.5, 3.0]),
)
def test_more_demand_never_needs_fewer_servers(
    rate: float, more: float, scv: float, promise: float
) -> None:
    few = servers_needed(rate, 1.0, scv, promise)
    assert servers_needed(rate * more, 1.0, scv, promise) >= few
    if few:
        assert wait(rate, 1.0, few, scv).p95_wait_s <= promise + 1e-6
        if few > queueing.servers_at_least(rate):
            assert wait(rate, 1.0, few - 1, scv).tail(promise) > 0.05


def test_more_demand_never_needs_fewer_servers_for_a_mix() -> None:
    needed = [
        servers_needed_for_mix(rate, [30.0, 110.0, 400.0], [0.6, 0.3, 0.1], 60.0)
        for rate in np.linspace(0, 0.6, 60)
    ]
    assert needed[0] == 0
    assert needed == sorted(needed)


def test_a_longer_promise_never_needs_more_servers() -> None:
    needed = [servers_needed(1.0, 20.0, 0.0, promise) for promise in (0, 1, 5, 20, 100, 1000)]
    assert needed == sorted(needed, reverse=True)
    assert needed[-1] >= 21


def test_servers_for_a_promise_are_found_within_ten_milliseconds() -> None:
    servers_needed(190.0, 1.0, 0.0, 0.1)
    best = math.inf
    for _ in range(5):
        start = time.process_time()
        servers_needed(190.0, 1.0, 0.0, 0.1)
        best = min(best, time.process_time() - start)
    assert best < 0.010


@law
@given(load=loads, servers=fleets)
def test_a_mixture_of_one_length_is_a_constant(load: float, servers: int) -> None:
    mixed = mgc(load * servers / 2, [2.0, 2.0], [0.25, 0.75], servers)
    alone = mdc(load * servers / 2, 2.0, servers)
    assert mixed.mean_wait_s == alone.mean_wait_s
    assert mixed.p95_wait_s == alone.p95_wait_s


@pytest.mark.parametrize("load", [0.3, 0.7, 0.95])
def test_one_server_with_a_mixture_waits_as_pollaczek_and_khinchine_say(load: float) -> None:
    lengths, shares = np.array([0.5, 1.0, 4.0]), np.array([0.5, 0.4, 0.1])
    mean, square = lengths @ shares, lengths**2 @ shares
    rate = load / mean
    answer = mgc(rate, list(lengths), list(shares), 1)
    assert answer.mean_wait_s == pytest.approx(rate * square / (2 * (1 - load)), rel=1e-8)
    assert answer.p_wait == pytest.approx(load, rel=1e-9)


@pytest.mark.parametrize("servers", [1, 2, 8, 64])
@pytest.mark.parametrize("load", [0.5, 0.9, 0.98])
def test_the_gamma_between_meets_its_neighbours(servers: int, load: float) -> None:
    for scv, neighbour in ((1e-4, mdc), (0.9999, mmc), (1.0001, mmc)):
        near = wait(load * servers, 1.0, servers, scv)
        exact = neighbour(load * servers, 1.0, servers)
        assert near.mean_wait_s == pytest.approx(exact.mean_wait_s, rel=0.02, abs=1e-4)
        assert near.p95_wait_s == pytest.approx(exact.p95_wait_s, rel=0.02, abs=0.01)


# Simulated on 2026-11-22, 10 to 200 million requests: lengths, shares, servers, load, then mean
# and p95 wait in mean service times (standard error of the mean up to 1.2 %, the uneven mixtures
# below with one fast server's exact wait as control).
SIMULATED = [
    ([1, 2], [0.5, 0.5], 2, 0.5, 0.19538, 1.0536),
    ([1, 2], [0.5, 0.5], 8, 0.9, 0.49915, 1.8241),
    ([1, 2], [0.5, 0.5], 64, 0.95, 0.10528, 0.4315),
    ([60, 300, 700], [0.6, 0.3, 0.1], 4, 0.7, 0.36409, 1.8376),
    ([60, 300, 700], [0.6, 0.3, 0.1], 16, 0.9, 0.37827, 1.5706),
    ([60, 300, 700], [0.6, 0.3, 0.1], 64, 0.98, 0.65593, 2.2365),
    ([30, 120], [0.8, 0.2], 8, 0.8, 0.22591, 1.0966),
    ([30, 120], [0.8, 0.2], 32, 0.95, 0.34272, 1.2854),
    ([40, 110, 240, 560], [0.45, 0.25, 0.2, 0.1], 4, 0.5, 0.08989, 0.6387),
    ([40, 110, 240, 560], [0.45, 0.25, 0.2, 0.1], 16, 0.95, 1.01412, 3.5698),
    ([1, 10], [0.9, 0.1], 8, 0.9, 1.27683, 4.9262),
    ([1, 10], [0.9, 0.1], 32, 0.95, 0.63571, 2.4605),
    ([28, 380, 1470], [0.6, 0.3, 0.1], 2, 0.7, 1.61551, 6.7899),
    ([28, 380, 1470], [0.6, 0.3, 0.1], 8, 0.7, 0.18786, 1.1827),
    ([28, 380, 1470], [0.6, 0.3, 0.1], 8, 0.9, 1.47529, 5.5473),
    ([28, 380, 1470], [0.6, 0.3, 0.1], 32, 0.9, 0.23986, 1.1758),
    ([28, 380, 1470], [0.6, 0.3, 0.1], 64, 0.95, 0.30848, 1.2945),
    ([28, 380, 1470], [0.75, 0.2, 0.05], 4, 0.8, 1.72523, 7.3275),
    ([28, 380, 1470], [0.75, 0.2, 0.05], 8, 0.9, 2.04100, 7.7976),
    ([28, 380, 1470], [0.75, 0.2, 0.05], 32, 0.9, 0.32457, 1.6117),
    ([28, 380, 1470], [0.75, 0.2, 0.05], 64, 0.98, 1.50187, 5.1725),
    ([28, 380, 1470], [0.85, 0.12, 0.03], 4, 0.7, 1.06268, 5.7854),
    ([28, 380, 1470], [0.85, 0.12, 0.03], 16, 0.9, 1.12611, 4.9163),
    ([28, 380, 1470], [0.85, 0.12, 0.03], 32, 0.8, 0.06445, 0.4337),
    ([1, 20], [0.95, 0.05], 4, 0.8, 1.89669, 8.5251),
    ([1, 20], [0.95, 0.05], 8, 0.7, 0.24552, 1.6167),
    ([1, 20], [0.95, 0.05], 32, 0.9, 0.33838, 1.8146),
    ([1, 20], [0.95, 0.05], 64, 0.95, 0.45862, 2.0536),
    ([1, 40], [0.9, 0.1], 2, 0.7, 3.21473, 13.2804),
    ([1, 40], [0.9, 0.1], 8, 0.9, 2.92097, 10.9771),
    ([1, 40], [0.9, 0.1], 32, 0.9, 0.47158, 2.3522),
]


@pytest.mark.parametrize(("lengths", "shares", "servers", "load", "mean", "p95"), SIMULATED)
def test_a_mixture_waits_as_long_simulations_say(
    lengths: list[float], shares: list[float], servers: int, load: float, mean: float, p95: float
) -> None:
    service = float(np.dot(lengths, shares))
    answer = mgc(load * servers / service, lengths, shares, servers)
    assert answer.mean_wait_s / service == pytest.approx(mean, abs=max(0.03 * mean, 0.005))
    assert answer.p95_wait_s / service == pytest.approx(p95, abs=max(0.05 * p95, 0.02))


@law
@given(load=st.floats(0.02, 0.97), servers=st.integers(1, 24))
def test_two_kinds_that_are_alike_wait_as_erlang_c_says(load: float, servers: int) -> None:
    alike = phase_wait(load, TwoKinds(means=(1.0, 1.0), shares=(0.3, 0.7)), servers)
    exact = mmc(load * servers, 1.0, servers)
    assert alike.p_wait == pytest.approx(exact.p_wait, rel=1e-8)
    assert alike.mean_wait == pytest.approx(exact.mean_wait_s, rel=1e-8)


@pytest.mark.parametrize("load", [0.3, 0.9, 0.99])
def test_two_kinds_on_one_server_wait_as_pollaczek_and_khinchine_say(load: float) -> None:
    kinds = TwoKinds(means=(0.5, 5.5), shares=(0.9, 0.1))
    square = 2 * (0.9 * 0.5**2 + 0.1 * 5.5**2)
    answer = phase_wait(load, kinds, 1)
    assert answer.p_wait == pytest.approx(load, rel=1e-9)
    assert answer.mean_wait == pytest.approx(load * square / 2 / (1 - load), rel=1e-9)
    waits, depth = answer.law(400)
    assert np.trapezoid(np.exp(-depth), waits) == pytest.approx(
        answer.mean_wait / answer.p_wait, rel=1e-3
    )


def test_the_two_kinds_of_two_exponentials_are_themselves() -> None:
    kinds = two_kinds(np.array([1.0, 20.0]), np.array([0.95, 0.05]))
    assert kinds.means == pytest.approx((1 / 1.95, 20 / 1.95), rel=1e-6)
    assert kinds.shares == pytest.approx((0.95, 0.05), rel=1e-5)


@law
@given(
    load=st.floats(0.05, 0.95),
    servers=st.integers(1, 70),
    more=st.floats(1.0, 1.04),
    mixture=st.sampled_from([([28, 380, 1470], [0.6, 0.3, 0.1]), ([1, 40], [0.9, 0.1])]),
)
def test_a_mixture_waits_longer_at_more_load_and_shorter_with_a_server_more(
    load: float, servers: int, more: float, mixture: tuple[list[float], list[float]]
) -> None:
    lengths, shares = mixture
    service = float(np.dot(lengths, shares))
    rate = load * servers / service
    usual = mgc(rate, lengths, shares, servers)
    busier = mgc(rate * more, lengths, shares, servers)
    helped = mgc(rate, lengths, shares, servers + 1)
    for x in (0.0, 0.1 * service, service):
        assert busier.tail(x) >= usual.tail(x) * (1 - 1e-7) - 1e-12
        assert helped.tail(x) <= usual.tail(x) * (1 + 1e-7) + 1e-12
    assert helped.mean_wait_s <= usual.mean_wait_s <= busier.mean_wait_s * (1 + 1e-7) + 1e-12


def test_the_law_of_a_mixture_has_its_mean() -> None:
    for servers, load in ((1, 0.8), (4, 0.9), (16, 0.7), (64, 0.95)):
        answer = mgc(load * servers / 277.8, [28, 380, 1470], [0.6, 0.3, 0.1], servers)
        assert mean_of_tail(answer) == pytest.approx(answer.mean_wait_s, rel=5e-3)


def test_people_who_leave_shorten_the_queue() -> None:
    endless = mmc(9.0, 1.0, 10)
    patient = impatient(9.0, 1.0, 10, 1e7)
    assert patient.mean_wait_s == pytest.approx(endless.mean_wait_s, rel=1e-4)
    assert patient.p95_wait_s == pytest.approx(endless.p95_wait_s, rel=1e-4)
    hasty = impatient(9.0, 1.0, 10, 2.0)
    assert hasty.mean_wait_s < endless.mean_wait_s
    assert hasty.utilisation < endless.utilisation


@pytest.mark.parametrize(("rate", "servers", "patience"), [(2, 1, 0.3), (11, 10, 2), (5, 10, 50)])
def test_leaving_agrees_with_the_chain_solved_state_by_state(
    rate: float, servers: int, patience: float
) -> None:
    weight = [1.0]
    for present in range(1, 2000):
        leave = min(present, servers) + max(present - servers, 0) / patience
        weight.append(weight[-1] * rate / leave)
    chance = np.array(weight) / math.fsum(weight)
    queue = np.maximum(np.arange(2000) - servers, 0)
    answer = impatient(rate, 1.0, servers, patience)
    assert answer.p_wait == pytest.approx(chance[servers:].sum(), rel=1e-9)
    assert answer.mean_wait_s == pytest.approx(queue @ chance / rate, rel=1e-8)
    assert answer.p_leave == pytest.approx(queue @ chance / patience / rate, rel=1e-8)
    assert mean_of_tail(answer) == pytest.approx(answer.mean_wait_s, rel=1e-3)


def test_any_load_is_steady_where_people_leave() -> None:
    answer = impatient(2000.0, 1.0, 1000, 100.0)
    assert answer.p_leave == pytest.approx(0.5, rel=1e-6)
    assert answer.utilisation == pytest.approx(1.0, rel=1e-6)
    assert impatient(0.0, 1.0, 3, 10.0).mean_wait_s == 0


def test_a_day_that_never_changes_waits_like_the_steady_formula() -> None:
    steady = wait(0.06, 100.0, 8, 0.0)
    for hour in day([216.0] * 24, 100.0, 8, 0.0):
        assert hour.utilisation == pytest.approx(0.75, rel=1e-6)
        assert hour.mean_wait_s == pytest.approx(steady.mean_wait_s, rel=0.03)
        assert hour.p95_wait_s == pytest.approx(steady.p95_wait_s, rel=0.03)


def test_an_overloaded_hour_leaves_its_backlog_to_the_next() -> None:
    hours = day([100] * 10 + [400] * 2 + [100] * 12, 100.0, 8, 0.0)
    busiest = max(hours, key=lambda hour: hour.mean_wait_s)
    assert busiest.hour in (11, 12)
    left = hours[11].queue
    assert left == pytest.approx(1.5 * (400 - 8 * 36), rel=0.15)
    assert hours[9].mean_wait_s < 10 < hours[12].mean_wait_s
    done = sum(hour.utilisation * hour.servers * 36 for hour in hours)
    assert done == pytest.approx(sum(hour.arrivals for hour in hours), rel=0.01)


def test_a_fleet_that_follows_the_load_keeps_waits_level() -> None:
    shape = [60] * 8 + [180] * 8 + [120] * 8
    followed = day(shape, 100.0, [4] * 8 + [8] * 8 + [6] * 8, 0.0)
    assert max(hour.utilisation for hour in followed) < 0.75
    assert max(hour.mean_wait_s for hour in followed) < 30


def test_nothing_arrives_and_nobody_waits() -> None:
    for formula in (mmc, mdc):
        assert formula(0.0, 10.0, 2).mean_wait_s == 0
        assert formula(0.0, 10.0, 2).p95_wait_s == 0
    assert servers_needed(0.0, 10.0, 0.0, 5.0) == 0


@pytest.mark.parametrize("scv", [0.0, 0.5, 1.0])
def test_an_unstable_system_is_refused_with_the_servers_that_would_do(scv: float) -> None:
    with pytest.raises(InvalidArgument, match="11 would keep up"):
        wait(1.0, 10.0, 10, scv)
    assert wait(1.0, 10.0, 11, scv).utilisation < 1


def test_what_makes_no_sense_is_refused() -> None:
    for call in (
        lambda: mmc(-1.0, 1.0, 1),
        lambda: mdc(1.0, 0.0, 2),
        lambda: mdc(0.0, 1.0, 0),
        lambda: mmc(math.nan, 1.0, 1),
        lambda: wait(1.0, 1.0, 2, -0.1),
        lambda: erlang_c(2, 2.0),
        lambda: mgc(1.0, [1.0, 2.0], [0.5], 4),
        lambda: mgc(1.0, [1.0, 2.0], [0.5, 0.6], 4),
        lambda: mgc(1.0, [1.0, -2.0], [0.5, 0.5], 4),
        lambda: mmc(0.5, 1.0, 1).quantile_s(1.0),
        lambda: servers_needed(1.0, 1.0, 0.0, -1.0),
        lambda: impatient(1.0, 1.0, 1, 0.0),
        lambda: impatient(1.0, 1.0, 0, 1.0),
        lambda: day([400.0] * 24, 100.0, 8, 0.0),
        lambda: day([100.0] * 24, 100.0, [8] * 23, 0.0),
        lambda: day([], 100.0, 8, 0.0),
    ):
        with pytest.raises(InvalidArgument):
            call()
