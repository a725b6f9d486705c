from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from costlab import optimise, projection, routing, scenarios, traffic
from costlab.cli.optimise import optimise_command
from costlab.core import CannotServe, InvalidArgument, UnknownName, micro_usd
from costlab.optimise import Limits, Problem, programme, solve

SCENARIOS = scenarios.known()
HOURS = 168
INF = math.inf


def made(
    seed: int,
    *,
    segments: int = 3,
    apis: int = 2,
    pools: int = 2,
    batch: bool = True,
    all_week: bool = True,
    same_hours: bool = False,
) -> Problem:
    """A small random problem in which every route can make every segment."""
    rng = np.random.default_rng(seed)
    routes = apis + pools
    segment, route = (grid.ravel() for grid in np.indices((segments, routes)))
    own = route >= apis
    hourly = rng.uniform(0, 10, (segments, 1 if same_hours else HOURS)) * np.ones((segments, HOURS))
    tries = rng.uniform(1, 3, segments)[segment]
    kinds = 2 if all_week else 1
    buys = np.repeat(np.arange(pools), kinds)
    steady = np.tile([True, False][-kinds:], pools)
    price = np.repeat(rng.uniform(1, 4, pools), kinds)
    return Problem(
        segments=tuple(f"s{i}" for i in range(segments)),
        batch=(np.arange(segments) == segments - 1) & batch,
        clips=hourly,
        weeks=30 * 24 / HOURS,
        routes=tuple(f"r{i}" for i in range(routes)),
        arc_segment=segment,
        arc_route=route,
        usd=np.where(own, 0, tries * rng.uniform(0.1, 1, len(route))),
        attempts=tries,
        accepted=rng.uniform(0.7, 1, segments)[segment],
        rating=rng.uniform(1000, 1400, len(route)),
        slot_hours=np.where(own, tries * rng.uniform(0.02, 0.2, len(route)), 0),
        api_hours=np.where(own, 0, tries * 0.03),
        pool=np.where(own, route - apis, -1),
        provider=np.where(own, -1, route),
        pools=tuple(f"p{i}" for i in range(pools)),
        utilisation=rng.uniform(0.5, 1, (pools, 1)) * np.ones((pools, HOURS)),
        batch_utilisation=0.95,
        providers=tuple(f"c{i}" for i in range(apis)),
        at_once=np.full(apis, INF),
        per_hour=np.full(apis, INF),
        spend_usd=np.full(apis, INF),
        buy_pool=buys,
        buy_kind=np.where(steady, 0, 1),
        buy_usd=price * np.where(steady, 0.6, 1.0),
        buy_slots=np.ones(len(buys)),
        buy_gpus=np.ones(len(buys)),
        buy_all_week=steady,
        kinds=("owned", "on_demand"),
        most_gpus=np.full(2, INF),
    )


def bill(problem: Problem, clips: np.ndarray, bought: np.ndarray) -> float:
    """What a split and a fleet cost, from the definitions."""
    api = float(problem.usd @ clips.sum(axis=1))
    return (api + float(problem.buy_usd @ bought.sum(axis=1))) * problem.weeks


def check_laws(problem: Problem, found: optimise.Solution) -> None:
    for number in range(len(problem.segments)):
        made_ = found.clips[problem.arc_segment == number].sum(axis=0)
        wanted = problem.clips[number]
        if problem.batch[number]:
            assert made_.sum() == pytest.approx(wanted.sum(), abs=1e-6)
        else:
            assert made_ == pytest.approx(wanted, abs=1e-6)
    sums = np.bincount(problem.arc_segment, found.split, len(problem.segments))
    assert sums == pytest.approx(1.0)
    assert bill(problem, found.clips, found.bought) == pytest.approx(found.usd_per_month, rel=1e-6)
    for pool in range(len(problem.pools)):
        buys = problem.buy_pool == pool
        slots = problem.buy_slots[buys] @ found.bought[buys]
        on = problem.pool == pool
        now = on & problem.interactive
        people = problem.slot_hours[now] @ found.clips[now]
        every = problem.slot_hours[on] @ found.clips[on]
        room = np.maximum(problem.utilisation[pool], problem.batch_utilisation)
        assert (people <= problem.utilisation[pool] * slots + 1e-6).all()
        assert (every <= room * slots + 1e-6).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.booleans(), st.booleans())
def test_splits_sum_to_one_and_demand_is_conserved(seed: int, batch: bool, alike: bool) -> None:
    problem = made(seed, batch=batch, same_hours=alike)
    check_laws(problem, solve(problem))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_tighter_limits_never_cost_less_and_are_kept(seed: int) -> None:
    problem = made(seed, same_hours=True)
    free = solve(problem)
    best = programme.Programme(problem).highest_rating()
    floor = (free.mean_rating + best) / 2
    last = free.usd_per_month
    for tighter in (
        replace(problem, min_rating=free.mean_rating - 1),
        replace(problem, min_rating=floor),
        replace(problem, min_rating=floor, most_gpus=np.array([1.0, 2.0])),
    ):
        try:
            found = solve(tighter)
        except CannotServe:
            assert tighter.most_gpus[0] == 1, "only GPUs may be too few for the rating"
            return
        check_laws(tighter, found)
        assert found.mean_rating >= tighter.min_rating - 1e-5
        assert found.usd_per_month >= last * (1 - 1e-6)
        assert found.usd_per_month >= found.bound * (1 - 1e-9)
        last = found.usd_per_month
    used = np.zeros(2)
    np.add.at(used, problem.buy_kind, (found.bought * problem.buy_gpus[:, None]).max(axis=1))
    assert used[0] <= 1 + 1e-6


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_no_split_on_a_grid_is_cheaper(seed: int) -> None:
    """Every split in quarters of two segments over three routes, its GPUs bought at best."""
    problem = made(seed, segments=2, apis=2, pools=1, batch=False, all_week=False, same_hours=True)
    cap = 0.3 * float(problem.clips[:, 0].sum()) * 0.06
    problem = replace(problem, at_once=np.array([cap, INF]), min_rating=1150.0)
    try:
        found = solve(problem)
    except CannotServe:
        found = None
    quarters = [s for s in itertools.product(range(5), repeat=3) if sum(s) == 4]
    lowest = INF
    for first, second in itertools.product(quarters, repeat=2):
        share = np.array([*first, *second]) / 4
        clips = share[:, None] * problem.clips[problem.arc_segment]
        weight = clips.sum(axis=1) * problem.accepted
        at_once = problem.api_hours[problem.provider == 0] @ clips[problem.provider == 0]
        if at_once.max() > cap or weight @ problem.rating < 1150 * weight.sum():
            continue
        slots = problem.slot_hours @ clips / problem.utilisation[0]
        lowest = min(lowest, bill(problem, clips, slots[None, :]))
    if found is None:
        assert lowest == INF
    else:
        assert found.usd_per_month <= lowest * (1 + 1e-6)


def test_the_cheapest_of_two_routes_by_hand() -> None:
    problem = made(1, segments=1, apis=1, pools=1, batch=False, all_week=False, same_hours=True)
    found = solve(problem)
    hours = problem.clips.sum() * problem.weeks
    own = problem.slot_hours[1] / problem.utilisation[0, 0] * problem.buy_usd[0]
    assert found.usd_per_month == pytest.approx(hours * min(problem.usd[0], own))


@pytest.mark.parametrize("seed", range(4))
def test_duals_are_what_one_more_of_a_limit_changes(seed: int) -> None:
    problem = made(seed, segments=2, apis=2, pools=1, all_week=False)
    need = float((problem.api_hours[:, None] * problem.clips[problem.arc_segment]).max())
    problem = replace(problem, at_once=np.array([0.3 * need, INF]))
    found = solve(problem)
    step = 1e-3 * need
    more = solve(replace(problem, at_once=np.array([0.3 * need + step, INF])))
    saved = (found.usd_per_month - more.usd_per_month) / step
    less = solve(replace(problem, at_once=np.array([0.3 * need - step, INF])))
    lost = (less.usd_per_month - found.usd_per_month) / step
    assert saved * (1 - 1e-6) - 1e-6 <= found.at_once_saves[0] <= lost * (1 + 1e-6) + 1e-6

    floor = (solve(problem).mean_rating + programme.Programme(problem).highest_rating()) / 2
    at = [solve(replace(problem, min_rating=floor + d)).usd_per_month for d in (-0.5, 0.5)]
    dual = solve(replace(problem, min_rating=floor)).rating_usd
    assert dual == pytest.approx(at[1] - at[0], rel=0.05)


def test_columns_that_were_not_handed_over_would_not_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(3):
        problem = made(seed, segments=8, apis=3, pools=4)
        problem = replace(problem, at_once=np.array([2.0, INF, INF]))
        rated = replace(problem, min_rating=1200.0)
        monkeypatch.setattr(programme, "_SMALL", 10**9)
        every, floor = solve(problem), solve(rated)
        assert every.handed == every.columns
        monkeypatch.setattr(programme, "_SMALL", 0)
        monkeypatch.setattr(programme, "_STARTING", 1)
        some = solve(problem)
        assert some.handed < some.columns
        assert some.usd_per_month == pytest.approx(every.usd_per_month, rel=1e-6)
        assert solve(rated).usd_per_month == pytest.approx(floor.usd_per_month, rel=1e-5)


def test_hours_alike_share_columns_without_changing_the_optimum() -> None:
    problem = made(5, same_hours=True)
    alike = solve(problem)
    nudge = 1 + 1e-9 * np.arange(HOURS)
    apart = solve(replace(problem, clips=problem.clips * nudge))
    assert apart.columns > 50 * alike.columns / 2
    assert apart.usd_per_month == pytest.approx(alike.usd_per_month, rel=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_whole_instances_are_whole_and_near_the_bound(seed: int) -> None:
    problem = made(seed)
    loose, whole = solve(problem), solve(problem, integer=True)
    steady = whole.bought[problem.buy_all_week][:, 0]
    assert steady == pytest.approx(np.round(steady), abs=1e-6)
    assert loose.usd_per_month * (1 - 1e-9) <= whole.bound * (1 + 1e-9)
    assert whole.bound <= whole.usd_per_month * (1 + 1e-9)
    counts = itertools.product(range(4), repeat=2)
    by_hand = min(_with_steady(problem, c) for c in counts)
    assert whole.usd_per_month <= by_hand * (1 + 1.1e-3)


def _with_steady(problem: Problem, counts: tuple[int, ...]) -> float:
    model = programme.Programme(problem)
    columns = model._handed_of("a")
    fixed = np.array(counts, float)
    model.highs.changeColsBounds(len(columns), columns, fixed, fixed)
    found = model.cheapest(None)
    return found.usd if found else INF


def test_a_frontier_never_gets_cheaper_as_it_gets_better() -> None:
    told = []
    points = optimise.frontier(made(3), 6, lambda done, of: told.append((done, of)))
    ratings = [point.mean_rating for point in points]
    costs = [point.usd_per_month for point in points]
    assert ratings == sorted(ratings)
    assert all(b >= a * (1 - 1e-6) for a, b in itertools.pairwise(costs))
    steps = np.diff(costs) / np.diff(ratings)
    assert (np.diff(steps) >= -1e-3 * steps[1:]).all(), "each point costs more than the last"
    assert told == [(n, 6) for n in range(1, 7)]


def test_limits_in_the_way_are_named_with_the_value_that_would_do() -> None:
    problem = made(2, segments=2, apis=1, pools=0, batch=False)
    need = float((problem.api_hours[:, None] * problem.clips[problem.arc_segment]).reshape(
        2, HOURS).sum(axis=0).max())  # fmt: skip
    with pytest.raises(optimise.Infeasible, match="at once at c0 are too few") as caught:
        solve(replace(problem, at_once=np.array([need / 2])))
    (excess,) = caught.value.excess
    assert excess.needed == pytest.approx(need)
    assert set(excess.segments) == {"s0", "s1"}
    solve(replace(problem, at_once=np.array([excess.needed * (1 + 1e-9)])))
    with pytest.raises(optimise.Infeasible, match="out of reach") as caught:
        solve(replace(problem, min_rating=2000.0))
    solve(replace(problem, min_rating=caught.value.excess[0].needed - 1e-6))
    cost = solve(problem).usd_per_month
    with pytest.raises(optimise.Infeasible, match="budget") as caught:
        solve(replace(problem, budget_usd=cost / 2))
    assert caught.value.excess[0].needed == pytest.approx(cost)


def test_arrays_of_the_wrong_shape_or_sign_are_refused() -> None:
    problem = made(0)
    with pytest.raises(InvalidArgument, match="clips must have the shape"):
        replace(problem, clips=problem.clips[:, :24])
    with pytest.raises(InvalidArgument, match="usd must be"):
        replace(problem, usd=problem.usd - 10)
    with pytest.raises(InvalidArgument, match="needs a rating"):
        replace(problem, rating=problem.rating * np.nan, min_rating=1000.0)


# ── Scenarios ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def answers() -> dict[str, optimise.Optimised]:
    return {name: optimise.optimise(item) for name, item in SCENARIOS.items()}


@pytest.mark.parametrize("name", SCENARIOS)
def test_lines_add_up_and_the_optimum_is_never_dearer_than_what_it_stands_beside(
    name: str, answers: dict[str, optimise.Optimised]
) -> None:
    answer = answers[name]
    assert micro_usd(answer.usd_per_month) == sum(line.micro_usd for line in answer.bill)
    by_api = sum((part.usd for part in answer.parts), Decimal(0))
    rented = sum((r.usd for pool in answer.pools for r in pool.rentals), Decimal(0))
    assert by_api + rented == answer.usd_per_month
    assert sum(answer.split.values()) == pytest.approx(1)
    wanted = {s.name for s in traffic.mix(answer.scenario.mix).segments}
    shares = answer.weights()
    assert set(shares) == wanted
    assert all(sum(s.values()) == pytest.approx(1) for s in shares.values())
    assert answer.bound_usd <= float(answer.usd_per_month) * (1 + 1e-6) + 1e-5
    for baseline in answer.baselines:
        if baseline.keeps_limits and baseline.usd_per_month is not None:
            assert answer.usd_per_month <= baseline.usd_per_month, baseline.name
    oracle = next(base for base in answer.baselines if base.name == "oracle")
    assert float(oracle.usd_per_month or 0) <= answer.bound_usd * (1 + 1e-6) + 1e-5
    json.dumps(answer.to_dict())


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_rented_slots_keep_the_promise_in_every_hour(
    name: str, answers: dict[str, optimise.Optimised]
) -> None:
    for pool in answers[name].pools:
        gpus = np.sum([rental.gpus_by_hour for rental in pool.rentals], axis=0)
        slots = np.array(pool.slots_by_hour)
        assert (gpus >= slots).all()
        load = np.array(pool.interactive_by_hour) + np.array(pool.batch_by_hour)
        assert (load <= slots + 1e-6).all()


def test_the_split_as_a_policy_is_projected_onto_the_same_routes(
    answers: dict[str, optimise.Optimised],
) -> None:
    answer = answers["brand-studio"]
    policy = routing.parse_policy(json.loads(json.dumps(_plain(answer.policy()))))
    projected = projection.project(answer.scenario, policy=policy)
    assert projected.split == pytest.approx(answer.split)


def _plain(policy: routing.Policy) -> dict[str, object]:
    rules = [
        {"when": rule.when} | ({"route": rule.route} if rule.route else {"split": rule.split})
        for rule in policy.rules
    ]
    return {"id": policy.id, "title": policy.title, "rules": rules}


def test_own_gpus_take_over_where_they_are_cheaper() -> None:
    few_step = replace(SCENARIOS["social-app-few-step"], clips_per_month=300_000.0)
    answer = optimise.optimise(few_step, integer=True)
    assert any("@" in route for route in answer.split)
    assert any(price.limit == "wait" for price in answer.shadow_prices)
    patient = optimise.optimise(few_step, limits=Limits(max_wait_s=600))
    assert patient.bound_usd <= answer.bound_usd * (1 + 1e-6)


def test_a_floor_of_quality_leaves_out_what_nobody_rated_and_is_kept() -> None:
    answer = optimise.optimise(SCENARIOS["social-app"], limits=Limits(min_quality=1300))
    assert answer.mean_rating is not None
    assert answer.mean_rating >= 1300 - 1e-6
    assert all(part.rating is not None for part in answer.parts)
    assert any("no public rating" in note for note in answer.notes)
    assert any(price.limit == "mean rating" for price in answer.shadow_prices)
    with pytest.raises(CannotServe, match="is the highest"):
        optimise.optimise(SCENARIOS["social-app"], limits=Limits(min_quality=1700))


def test_a_segment_that_nobody_makes_is_named_with_the_reasons() -> None:
    mix = traffic.mix("social-app")
    strict = replace(
        mix, segments=(replace(mix.segments[0], min_quality=3000.0), *mix.segments[1:])
    )
    with pytest.raises(CannotServe, match=r"nobody can make draft previews.*below 3000"):
        optimise.problem(SCENARIOS["social-app"], strict)


def test_limits_are_checked() -> None:
    with pytest.raises(InvalidArgument, match="max_wait_s"):
        Limits(max_wait_s=0)
    with pytest.raises(UnknownName, match="purchase"):
        Limits(most_gpus={"stolen": 1})
    with pytest.raises(UnknownName, match="provider"):
        optimise.problem(SCENARIOS["social-app"], limits=Limits(at_once={"nobody": 1}))


def test_the_command_prints_words_json_and_the_frontier() -> None:
    runner = CliRunner()
    text = runner.invoke(optimise_command, ["brand-studio", "--min-quality", "1150"])
    assert text.exit_code == 0, text.output
    assert "per accepted clip" in text.output
    data = runner.invoke(optimise_command, ["dev-and-test", "--integer", "--json"])
    assert Decimal(json.loads(data.output)["usd_per_month"]) > 0
    curve = runner.invoke(optimise_command, ["social-app", "--pareto", "3", "--json"])
    assert len(json.loads(curve.output)["points"]) == 3
