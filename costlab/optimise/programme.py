"""The cheapest split and fleet as one linear programme, solved by HiGHS.

::

    clips of a segment in an hour ──┬─▶ a pool's slots: load ≤ slots × utilisation ◀── bought
      (batch: any hour)             ├─▶ an API with a limit on clips at once
                                    └─▶ an API without: only the month's sum matters

Four things keep it small and leave its optimum as it is: arcs that no hourly limit touches have one
column for the week; batch work enters a pool as slot-hours, of whichever segment; hours in which
the same is wanted under the same utilisation share columns; and the solver starts with the hourly
arcs that seem to pay and gets others only if their reduced cost says that they do (column
generation; Dantzig and Wolfe, 1960, "Decomposition principle for linear programs", Operations
Research 8).
"""

from __future__ import annotations

import heapq
import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import highspy
import numpy as np
from scipy import sparse

from costlab.core import CostlabError, InvalidArgument
from costlab.optimise.model import (
    HOURS_PER_WEEK,
    Excess,
    Infeasible,
    Problem,
    Solution,
    places,
)

_TINY = 1e-9
_PAYS = 1e-7
"""Reduced cost, as a share of a column's cost or of a dollar, below which a column pays."""
_SMALL = 20_000
"""Columns up to which the solver gets all of them at once."""
_STARTING, _ADDED = 2, 2
"""Hourly arcs of a segment and hour that the solver starts with, and gets more at a time."""
_DUAL, _PRIMAL = 1, 4
"""HiGHS's own numbers of its simplex strategies."""
_WHOLE = 1e-5
"""Distance from a whole number within which a count is whole."""
_NEAR = 1e-6
"""Share of the cost to which a mean rating's cheapest split is found."""
_EXACT = 1e-7
"""Points of the mean rating that do not count as missing."""
_LEAST_WORTH, _MOST_WORTH = 1e-3, 1e9
_BY_HOUR = ("at once", "per hour", "GPUs")


def solve(
    problem: Problem, *, integer: bool = False, seconds: float = 60.0, gap: float = 1e-3
) -> Solution:
    """Return the cheapest split and fleet; raises `Infeasible`.

    With ``integer`` the instances of all-week ways to buy are whole numbers, to within ``gap`` of
    the optimum or as near as so many ``seconds`` come; the solution's ``bound`` says how near.
    """
    began = time.perf_counter()
    programme = Programme(problem)
    best = programme.cheapest(problem.min_rating)
    if best is None:
        raise programme.why_not()
    if integer:
        best = programme.whole(best, seconds, gap)
        if best is None:
            raise Infeasible(())
    found = programme.solution(best)
    found.seconds["total"] = time.perf_counter() - began
    return found


def frontier(
    problem: Problem, points: int = 10, progress: Callable[[int, int], None] | None = None
) -> tuple[Solution, ...]:
    """Return the cheapest splits at evenly spaced mean ratings, lowest first.

    From the mean rating of the cheapest split to the highest that the limits allow. Every arc needs
    a rating. ``progress`` is told (points done, points). Raises `Infeasible`.
    """
    if points < 2:
        raise InvalidArgument(f"a frontier needs at least 2 points, got {points}")
    if np.isnan(problem.rating).any():
        raise InvalidArgument("a frontier needs a rating of every arc")
    highest = Programme(problem).highest_rating()
    programme = Programme(problem)
    found: list[Solution] = []
    floor = problem.min_rating
    while len(found) < points:
        best = programme.cheapest(floor)
        if best is None:
            raise programme.why_not()
        found.append(programme.solution(best))
        first = found[0].mean_rating
        floor = first + (highest - first) * len(found) / (points - 1) * (1 - _TINY)
        if progress:
            progress(len(found), points)
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """A point of the programme: every column's value, every row's dual, and what they add up to.

    ``points`` are those above the rating asked for, each worth ``worth`` dollars.
    """

    value: Any
    duals: Any
    worth: float
    points: float
    usd: float
    bound: float


@dataclass(slots=True)
class _Rows:
    """A sparse matrix in the making: blocks of rows with bounds, and entries."""

    count: int = 0
    lower: list[Any] = field(default_factory=list)
    upper: list[Any] = field(default_factory=list)
    entries: list[tuple[Any, ...]] = field(default_factory=list)

    def block(self, count: int, *, low: Any = -np.inf, high: Any = np.inf) -> int:
        """Add ``count`` rows and return the number of the first."""
        for bounds, value in ((self.lower, low), (self.upper, high)):
            bounds.append(np.broadcast_to(np.asarray(value, float).ravel(), count))
        self.count += count
        return self.count - count

    def put(self, rows: Any, columns: Any, values: Any) -> None:
        """Add entries; the three are broadcast against each other."""
        if np.size(rows) and np.size(columns):
            spread = np.broadcast_arrays(rows, columns, np.asarray(values, float))
            self.entries.append(tuple(one.ravel() for one in spread))

    def matrix(self, columns: int) -> Any:
        """Return the matrix, column after column."""
        row, column, value = (np.concatenate(part) for part in zip(*self.entries, strict=True))
        return sparse.csc_array((value, (row, column)), shape=(self.count, columns))


class Programme:
    """A problem as columns and rows in HiGHS: solved, changed in one limit and solved again.

    Columns, in this order: ``x`` clips of an hourly arc, ``y`` clips a week of the others, ``o``
    an hour's clips that go to those, ``w`` slot-hours of batch work in a pool, ``n`` instances by
    the hour, ``a`` instances all week.

    A mean rating is no row, since one that touches every column makes each step of the solver slow:
    points above it are worth dollars, and the worth is searched at which the cheapest split has
    just enough of them (Everett, 1963, "Generalized Lagrange multiplier method", Operations
    Research 11). Two splits of that worth are mixed to meet it exactly.
    """

    def __init__(self, problem: Problem) -> None:
        began = time.perf_counter()
        self.problem = problem
        self._lay_out()
        rows = self._rows()
        self.matrix = rows.matrix(self.columns)
        self.handed = np.flatnonzero(self._promising())
        self.highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]
        self.highs.setOptionValue("output_flag", False)
        self.highs.setOptionValue("solver", "simplex")
        some = self.matrix[:, self.handed]
        model = highspy.HighsLp()
        model.num_row_, model.num_col_ = some.shape
        model.col_cost_ = self.cost[self.handed]
        model.col_lower_ = np.zeros(len(self.handed))
        model.col_upper_ = np.full(len(self.handed), np.inf)
        model.row_lower_, model.row_upper_ = np.concatenate(rows.lower), np.concatenate(rows.upper)
        model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        model.a_matrix_.start_ = some.indptr
        model.a_matrix_.index_ = some.indices
        model.a_matrix_.value_ = some.data
        if self.highs.passModel(model) == highspy.HighsStatus.kError:
            raise CostlabError("the solver refuses the programme")
        self.solver_s = self.worth = 0.0
        self.build_s = time.perf_counter() - began

    def _lay_out(self) -> None:
        problem = self.problem
        capped = problem.provider >= 0
        seller = problem.provider[capped]
        held = np.isfinite(problem.at_once[seller]) & (problem.api_hours[capped] > 0)
        capped[capped] = held | np.isfinite(problem.per_hour[seller])
        timed = (problem.interactive & (problem.pool >= 0)) | capped
        self.timed, self.free = np.flatnonzero(timed), np.flatnonzero(~timed)
        everyone = np.arange(len(problem.segments))
        hourly = np.isin(everyone, problem.arc_segment[self.timed]) & ~problem.batch
        self.hourly = np.flatnonzero(hourly)
        self.loose = np.flatnonzero(hourly & np.isin(everyone, problem.arc_segment[self.free]))
        self.weekly = np.flatnonzero(~hourly | np.isin(everyone, self.loose))
        self.filled = np.unique(problem.pool[(problem.pool >= 0) & ~problem.interactive])
        self.by_hour = np.flatnonzero(~problem.buy_all_week)
        self.all_week = np.flatnonzero(problem.buy_all_week)

        alike = np.vstack([problem.clips[self.hourly], problem.utilisation])
        if not len(alike):
            alike = np.zeros((1, HOURS_PER_WEEK))
        _, self.first, self.inverse, times = np.unique(
            alike, axis=1, return_index=True, return_inverse=True, return_counts=True
        )
        self.times = times.astype(float)
        self.groups = len(times)
        self.sizes = {
            "x": len(self.timed) * self.groups,
            "y": len(self.free),
            "o": len(self.loose) * self.groups,
            "w": len(self.filled) * self.groups,
            "n": len(self.by_hour) * self.groups,
            "a": len(self.all_week),
        }
        starts = np.cumsum([0, *self.sizes.values()]).tolist()
        self.columns = starts.pop()
        self.at = dict(zip(self.sizes, starts, strict=True))
        month = self.times * problem.weeks
        self.usd_of = np.zeros(self.columns)
        for name, cost in {
            "x": problem.usd[self.timed, None] * month,
            "y": problem.usd[self.free] * problem.weeks,
            "n": problem.buy_usd[self.by_hour, None] * month,
            "a": problem.buy_usd[self.all_week] * HOURS_PER_WEEK * problem.weeks,
        }.items():
            self.usd_of[self.at[name] :][: self.sizes[name]] = cost.ravel()
        self.cost = self.usd_of.copy()

    def _grid(self, name: str) -> Any:
        """Return the numbers of the columns of one kind: things × groups of hours."""
        numbers = self.at[name] + np.arange(self.sizes[name])
        return numbers.reshape(-1, self.groups) if name in "xown" else numbers

    def _rows(self) -> _Rows:
        problem, rows = self.problem, _Rows()
        self.limits: dict[str, tuple[int, Any]] = {}
        self._demand(rows)
        self._pools(rows)
        self._caps(rows)
        finite = np.flatnonzero(np.isfinite([problem.budget_usd]))
        base = rows.block(len(finite), high=problem.budget_usd)
        rows.put(base + finite[:, None], np.arange(self.columns), self.usd_of)
        self.limits["budget"] = base, finite
        return rows

    def _demand(self, rows: _Rows) -> None:
        """What is wanted is made: in its hour, or in the week."""
        problem, groups, count = self.problem, np.arange(self.groups), len(self.problem.segments)
        x, y, o = self._grid("x"), self._grid("y"), self._grid("o")
        wanted = problem.clips[self.hourly][:, self.first]
        base = rows.block(wanted.size, low=wanted, high=wanted)
        place = places(self.hourly, count)
        now = problem.interactive[self.timed]
        segment = problem.arc_segment[self.timed]
        rows.put(base + place[segment[now], None] * self.groups + groups, x[now], 1.0)
        rows.put(base + place[self.loose, None] * self.groups + groups, o, 1.0)

        wanted = problem.clips[self.weekly].sum(axis=1)
        wanted[np.isin(self.weekly, self.loose)] = 0.0
        base = rows.block(len(self.weekly), low=wanted, high=wanted)
        place = places(self.weekly, count)
        rows.put(base + place[problem.arc_segment[self.free]], y, 1.0)
        rows.put(base + place[self.loose, None], o, -self.times)
        rows.put(base + place[segment[~now], None], x[~now], self.times)

    def _pools(self, rows: _Rows) -> None:
        """Interactive load keeps to its utilisation, and to the batch one with batch work in it."""
        problem, groups, count = self.problem, np.arange(self.groups), len(self.problem.pools)
        x, y, w = self._grid("x"), self._grid("y"), self._grid("w")
        room = problem.utilisation[:, self.first]
        pool = problem.pool[self.timed]
        hours = problem.slot_hours[self.timed, None]
        on = pool >= 0
        base = rows.block(count * self.groups, high=0)
        rows.put(base + pool[on, None] * self.groups + groups, x[on], hours[on])
        self._slots(rows, base, np.arange(count), room)

        place = places(self.filled, count)
        base = rows.block(len(self.filled) * self.groups, high=0)
        on = np.isin(pool, self.filled)
        beside = np.minimum(1.0, problem.batch_utilisation / room)
        rows.put(
            base + place[pool[on], None] * self.groups + groups, x[on], hours[on] * beside[pool[on]]
        )
        rows.put(base + place[self.filled, None] * self.groups + groups, w, 1.0)
        self._slots(rows, base, self.filled, np.full_like(room, problem.batch_utilisation))

        base = rows.block(len(self.filled), low=0, high=0)
        on = problem.pool[self.free] >= 0
        arcs = self.free[on]
        rows.put(base + place[problem.pool[arcs]], y[on], problem.slot_hours[arcs])
        rows.put(base + place[self.filled, None], w, -self.times)

    def _slots(self, rows: _Rows, base: int, pools: Any, level: Any) -> None:
        """Take ``level`` of every bought slot off the load rows of ``pools``."""
        problem = self.problem
        place = places(pools, len(problem.pools))
        for name, buys in (("n", self.by_hour), ("a", self.all_week)):
            pool = problem.buy_pool[buys]
            on = np.isin(pool, pools)
            columns = self._grid(name)[on]
            if name == "a":
                columns = columns[:, None]
            row = base + place[pool[on], None] * self.groups + np.arange(self.groups)
            rows.put(row, columns, -problem.buy_slots[buys[on], None] * level[pool[on]])

    def _caps(self, rows: _Rows) -> None:
        """Providers take so many clips at once, so many an hour, so many dollars; GPUs are few."""
        problem, groups, count = self.problem, np.arange(self.groups), len(self.problem.providers)
        x, y, n, a = (self._grid(name) for name in "xyna")
        provider = problem.provider[self.timed]
        for kind, most, each in (
            ("at once", problem.at_once, problem.api_hours),
            ("per hour", problem.per_hour, problem.attempts),
        ):
            tight = np.flatnonzero(np.isfinite(most))
            base = rows.block(len(tight) * self.groups, high=np.repeat(most[tight], self.groups))
            place = places(tight, count)
            on = np.isin(provider, tight)
            row = base + place[provider[on], None] * self.groups + groups
            rows.put(row, x[on], each[self.timed[on], None])
            self.limits[kind] = base, tight

        tight = np.flatnonzero(np.isfinite(problem.spend_usd))
        base = rows.block(len(tight), high=problem.spend_usd[tight])
        place = places(tight, count)
        on = np.isin(provider, tight)
        rows.put(base + place[provider[on], None], x[on], self.usd_of[x[on]])
        on = np.isin(problem.provider[self.free], tight)
        rows.put(base + place[problem.provider[self.free[on]]], y[on], self.usd_of[y[on]])
        self.limits["spend"] = base, tight

        tight = np.flatnonzero(np.isfinite(problem.most_gpus))
        most = np.repeat(problem.most_gpus[tight], self.groups)
        base = rows.block(len(tight) * self.groups, high=most)
        place = places(tight, len(problem.kinds))
        for columns, buys in ((n, self.by_hour), (a[:, None], self.all_week)):
            on = np.isin(problem.buy_kind[buys], tight)
            row = base + place[problem.buy_kind[buys[on]], None] * self.groups + groups
            rows.put(row, columns[on], problem.buy_gpus[buys[on], None])
        self.limits["GPUs"] = base, tight

    def _promising(self) -> Any:
        """Return which columns to start with: all but hourly arcs that others seem to beat.

        Rent is guessed twice, at the dearest and at the cheapest way to buy; a mean rating costs
        per point what it would if every clip were made at that rent.
        """
        problem = self.problem
        keep = np.ones(self.columns, bool)
        if self.columns <= _SMALL:
            return keep
        chosen = np.zeros(len(self.timed), bool)
        for pick in (np.fmax, np.fmin):
            cost = problem.usd + problem.slot_hours * self._rent(pick)[problem.pool]
            guesses = [cost]
            if problem.min_rating is not None:
                worth = self._guessed_worth(problem.min_rating, cost)
                guesses.append(cost - worth * (problem.rating * problem.accepted))
            for guess in guesses:
                of_first_hour = np.arange(len(self.timed)) * self.groups
                chosen[self._cheapest(of_first_hour, guess[self.timed], _STARTING)] = True
        keep[: self.sizes["x"]] = np.repeat(chosen, self.groups)
        return keep

    def _guessed_worth(self, min_rating: float, cost: Any = None) -> float:
        """Return USD a point at which each segment's cheapest arc just reaches the rating."""
        problem = self.problem
        if cost is None:
            cost = problem.usd + problem.slot_hours * self._rent(np.fmin)[problem.pool]
        wanted = problem.clips.sum(axis=1)
        gain = (problem.rating - min_rating) * problem.accepted
        low, high = 0.0, 1000 * float(cost.max()) / max(float(np.abs(gain).max()), _TINY)
        for _ in range(40):
            worth = (low + high) / 2
            order = np.lexsort((cost - worth * gain, problem.arc_segment))
            first = order[np.diff(problem.arc_segment[order], prepend=-1) > 0]
            reached = float(gain[first] @ wanted[problem.arc_segment[first]])
            low, high = (low, worth) if reached >= 0 else (worth, high)
        return high

    def _rent(self, pick: Any) -> Any:
        """Return USD a slot-hour by pool at the dearest or cheapest way to buy; 0 for no pool."""
        problem = self.problem
        rent = np.full(len(problem.pools) + 1, np.nan)
        pick.at(rent, problem.buy_pool, problem.buy_usd / problem.buy_slots)
        rent[-1] = 0.0
        return rent

    def _cheapest(self, columns: Any, cost: Any, count: int) -> Any:
        """Return the places of the ``count`` cheapest ``x`` columns of each segment and hour."""
        arc, group = np.divmod(columns, self.groups)
        key = self.problem.arc_segment[self.timed[arc]] * self.groups + group
        order = np.lexsort((cost, key))
        ranked = key[order]
        return order[np.arange(len(order)) - np.searchsorted(ranked, ranked) < count]

    # ── Solving ───────────────────────────────────────────────────────────────────────────────

    def price(self, per_month: Any) -> None:
        """Minimise this cost of every column from now on."""
        self.cost = per_month
        count = len(self.handed)
        numbers = np.arange(count, dtype=np.int32)
        self.highs.changeColsCost(count, numbers, self.cost[self.handed])
        if self.solver_s:
            self.highs.setOptionValue("simplex_strategy", _PRIMAL)

    def points(self, above: float) -> Any:
        """Return what a clip of every column has of points above a rating."""
        problem, gain = self.problem, np.zeros(self.columns)
        score = (problem.rating - above) * problem.accepted
        gain[: self.sizes["x"]] = (score[self.timed, None] * self.times).ravel()
        gain[self.at["y"] :][: self.sizes["y"]] = score[self.free]
        return gain

    def cheapest(self, min_rating: float | None) -> Found | None:
        """Return the cheapest split of that mean rating; None where no split keeps all limits.

        To within a millionth of the optimum, and exactly where few splits are in question.
        """
        if min_rating is None:
            return self._priced(0.0, np.zeros(self.columns)) if self.optimum() else None
        gain = self.points(min_rating)
        poor = rich = None
        short = -_EXACT * float(self.problem.clips.sum())
        worth = self.worth or self._guessed_worth(min_rating) * self.problem.weeks
        while poor is None or rich is None:
            if worth > _MOST_WORTH:
                return None
            self.price(self.usd_of - worth * gain)
            if not self.optimum():
                return None
            found = self._priced(worth, gain)
            if found.points < short:
                poor, worth = found, max(worth * 1.5, _TINY)
            elif worth:
                rich, worth = found, worth / 1.5 if worth > _LEAST_WORTH else 0.0
            else:
                return found
        while True:
            worth = (rich.usd - poor.usd) / (rich.points - poor.points)
            share = max(0.0, rich.points / (rich.points - poor.points))
            mixed = Found(
                value=share * poor.value + (1 - share) * rich.value,
                duals=rich.duals,
                worth=worth,
                points=0.0,
                usd=share * poor.usd + (1 - share) * rich.usd,
                bound=0.0,
            )
            self.price(self.usd_of - worth * gain)
            self.optimum()
            found = self._priced(worth, gain)
            if mixed.usd - found.bound <= _NEAR * abs(mixed.usd):
                self.worth = worth
                return replace(mixed, bound=found.bound, duals=found.duals)
            poor, rich = (found, rich) if found.points < short else (poor, found)

    def _priced(self, worth: float, gain: Any) -> Found:
        """Return the last optimum, with what no split of no fewer than no points undercuts."""
        value = np.zeros(self.columns)
        found = self.highs.getSolution()
        value[self.handed] = np.maximum(np.asarray(found.col_value)[: len(self.handed)], 0.0)
        return Found(
            value=value,
            duals=np.asarray(found.row_dual),
            worth=worth,
            points=float(gain @ value),
            usd=float(self.usd_of @ value),
            bound=float(self.cost @ value),
        )

    def optimum(self) -> bool:
        """Run to the optimum over all columns; False where no split keeps all limits."""
        while True:
            status = self._run()
            if status == highspy.HighsModelStatus.kOptimal:
                reduced = self.cost - self.matrix.T @ np.asarray(self.highs.getSolution().row_dual)
                reduced[self.handed] = 0.0
                pays = np.flatnonzero(reduced < -_PAYS * np.maximum(np.abs(self.cost), 1.0))
                new = pays[self._cheapest(pays, reduced[pays], _ADDED)]
                if not len(new):
                    return True
            elif len(self.handed) < self.columns:
                new = np.setdiff1d(np.arange(self.columns), self.handed)
            elif status == highspy.HighsModelStatus.kInfeasible:
                return False
            else:
                words = self.highs.modelStatusToString(status)
                raise CostlabError(f"the solver stopped without an answer: {words}")
            some = self.matrix[:, new]
            self._add(self.cost[new], some.indptr[:-1], some.indices, some.data)
            self.handed = np.concatenate([self.handed, new])
            self.highs.setOptionValue("simplex_strategy", _PRIMAL)

    def _run(self) -> Any:
        before = self.highs.getRunTime()
        self.highs.run()
        self.solver_s += self.highs.getRunTime() - before
        return self.highs.getModelStatus()

    def _add(self, cost: Any, starts: Any, rows: Any, values: Any) -> None:
        count = len(cost)
        low, high = np.zeros(count), np.full(count, np.inf)
        starts, rows = starts.astype(np.int32), rows.astype(np.int32)
        self.highs.addCols(count, cost, low, high, len(values), starts, rows, values)

    def _handed_of(self, name: str) -> Any:
        """Return where the solver has the columns of one kind."""
        inside = (self.handed >= self.at[name]) & (self.handed < self.at[name] + self.sizes[name])
        return np.flatnonzero(inside).astype(np.int32)

    def whole(self, relaxed: Found, seconds: float, gap: float) -> Found | None:
        """Return the cheapest split with whole all-week instances, near one in fractions.

        Branch and bound, the most promising node first. Each node is an optimum over all columns,
        a step of the dual simplex from the last one; until a split is known, its counts are also
        tried rounded. Ends where ``gap`` to the bound is reached, or after so many ``seconds`` once
        there is a split.
        """
        columns = self._handed_of("a")
        until = time.perf_counter() + seconds
        best: Found | None = None
        shape = np.zeros(len(columns))
        order = itertools.count()
        nodes = [(relaxed.bound, next(order), relaxed, shape, shape + np.inf)]
        bound = relaxed.bound

        def at(low: Any, high: Any) -> Found | None:
            self.highs.changeColsBounds(len(columns), columns, low, high)
            self.highs.setOptionValue("simplex_strategy", _DUAL)
            return self.cheapest(self.problem.min_rating)

        while nodes:
            bound, _, node, low, high = heapq.heappop(nodes)
            if best and (best.usd - bound <= gap * best.usd or time.perf_counter() > until):
                break
            found = np.round(node.value[self.handed[columns]], 6)
            for rounded in (np.round, np.ceil, np.floor) if best is None else ():
                counts = self._rounded(found, rounded)
                tried = at(counts, counts)
                if tried and (best is None or tried.usd < best.usd):
                    best = tried
            away = np.abs(found - np.round(found))
            worst = int(np.argmax(away)) if len(away) else -1
            if worst < 0 or away[worst] <= _WHOLE:
                best = node if best is None or node.usd < best.usd else best
                continue
            for floor in (True, False):
                lower, upper = low.copy(), high.copy()
                if floor:
                    upper[worst] = np.floor(found[worst])
                else:
                    lower[worst] = np.ceil(found[worst])
                child = at(lower, upper)
                if child and (best is None or child.bound < best.usd):
                    heapq.heappush(nodes, (child.bound, next(order), child, lower, upper))
        else:
            bound = math.inf
        return best and replace(best, bound=min(bound, best.usd))

    def _rounded(self, fractions: Any, rounded: Any) -> Any:
        """Return whole counts; of GPUs that are few, as many as there are, by largest remainder."""
        problem = self.problem
        counts = rounded(fractions)
        kinds, gpus = problem.buy_kind[self.all_week], problem.buy_gpus[self.all_week]
        for kind in np.flatnonzero(np.isfinite(problem.most_gpus)):
            mine = kinds == kind
            counts[mine] = np.floor(fractions[mine])
            for i in np.argsort(counts - fractions, kind="stable"):
                left = problem.most_gpus[kind] - float(counts[mine] @ gpus[mine])
                if mine[i] and fractions[i] > counts[i] and gpus[i] <= left + _TINY:
                    counts[i] += 1
        return counts

    def highest_rating(self) -> float:
        """Return the highest mean rating that the other limits allow.

        A ratio of two sums: the surplus over the last mean is made as large as it can be until
        there is none (Dinkelbach, 1967, "On nonlinear fractional programming", Management Science
        13). Raises `Infeasible`.
        """
        mean = float(self.problem.rating.min())
        while True:
            gain = self.points(mean)
            self.price(-gain)
            if not self.optimum():
                raise Infeasible(self.excess())
            found = self._priced(0.0, gain)
            accepted = self.points(mean - 1) - gain
            better = mean + found.points / max(float(accepted @ found.value), _TINY)
            if not better > mean + _TINY * abs(mean):
                return mean
            mean = better

    # ── What came out ─────────────────────────────────────────────────────────────────────────

    def _clips(self, value: Any) -> Any:
        """Return clips by arc and hour of the week, each segment's adding up to what it wants."""
        problem = self.problem

        def by_hour(name: str) -> Any:
            return value[self._grid(name)][:, self.inverse]

        clips = np.zeros((len(problem.arc_segment), HOURS_PER_WEEK))
        clips[self.timed] = by_hour("x")
        when = problem.clips.copy()
        when[self.loose] = by_hour("o")
        shape = when[problem.arc_segment[self.free]]
        pool = problem.pool[self.free]
        place = places(self.filled, len(problem.pools))
        shape[pool >= 0] = by_hour("w")[place[pool[pool >= 0]]]
        sums = shape.sum(axis=1)
        amount = value[self._grid("y")]
        share = np.divide(amount, sums, out=np.zeros_like(sums), where=sums > 0)
        clips[self.free] = shape * share[:, None]
        return clips

    def solution(self, found: Found) -> Solution:
        """Return what was found, spread over the hours of the week."""
        problem, value = self.problem, found.value
        bought = np.zeros((len(problem.buy_pool), HOURS_PER_WEEK))
        bought[self.by_hour] = value[self._grid("n")][:, self.inverse]
        bought[self.all_week] = value[self._grid("a")][:, None]

        def saves(kind: str, count: int) -> Any:
            first, tight = self.limits[kind]
            each = self.groups if kind in _BY_HOUR else 1
            rows = found.duals[first : first + len(tight) * each].reshape(len(tight), each)
            saved = np.zeros(count)
            saved[tight] = np.maximum(-rows.sum(axis=1), 0.0)
            return saved

        clips = self._clips(value)
        sellers = len(problem.providers)
        return Solution(
            problem=problem,
            usd_per_month=found.usd,
            bound=found.bound,
            clips=clips,
            bought=bought,
            rating_usd=found.worth * float(problem.accepted @ clips.sum(axis=1)),
            at_once_saves=saves("at once", sellers),
            per_hour_saves=saves("per hour", sellers),
            spend_saves=saves("spend", sellers),
            gpus_save=saves("GPUs", len(problem.kinds)),
            columns=self.columns,
            handed=len(self.handed),
            rows=self.matrix.shape[0],
            nonzeros=self.matrix.nnz,
            seconds={"build": self.build_s, "solver": self.solver_s},
        )

    def why_not(self) -> Infeasible:
        """Return which limits are in the way; the programme is used up by it."""
        asked = self.problem.min_rating
        if asked is None:
            return Infeasible(self.excess())
        best = self.highest_rating()
        low = [
            name
            for i, name in enumerate(self.problem.segments)
            if not self.problem.rating[self.problem.arc_segment == i].max(initial=-np.inf) >= asked
        ]
        return Infeasible(
            (Excess(kind="rating", of="", limit=asked, needed=best, segments=tuple(low)),)
        )

    def excess(self) -> tuple[Excess, ...]:
        """Return the least by which limits other than the rating must give way.

        Least by the sum of each limit's excess over the limit itself. Empty where no limit is in
        the way. The programme is used up by it.
        """
        limits: list[tuple[Any, int, float]] = []
        rows: list[int] = []
        for kind, (first, tight) in self.limits.items():
            each = self.groups if kind in _BY_HOUR else 1
            for i, of in enumerate(tight.tolist()):
                rows += range(first + i * each, first + (i + 1) * each)
                limits += [(kind, of, max(self._limit(kind, of), 1.0))] * each
        count = len(self.handed)
        self.price(np.zeros(self.columns))
        units = np.array([-unit for _, _, unit in limits])
        self._add(np.ones(len(rows)), np.arange(len(rows)), np.array(rows, np.int32), units)
        self.highs.setOptionValue("simplex_strategy", _DUAL)
        if self._run() != highspy.HighsModelStatus.kOptimal:
            return ()
        more: dict[tuple[Any, int], float] = {}
        slack = np.asarray(self.highs.getSolution().col_value)[count:]
        for (kind, of, unit), amount in zip(limits, slack.tolist(), strict=True):
            if amount > _TINY:
                more[kind, of] = max(more.get((kind, of), 0.0), amount * unit)
        value = self._priced(0.0, np.zeros(self.columns)).value
        used = self._clips(value).sum(axis=1) > _TINY
        return tuple(
            Excess(
                kind=kind,
                of=self._name(kind, of),
                limit=self._limit(kind, of),
                needed=self._limit(kind, of) + amount,
                segments=self._pressing(kind, of, used),
            )
            for (kind, of), amount in more.items()
        )

    def _limit(self, kind: str, of: int) -> float:
        problem = self.problem
        if kind == "budget":
            return problem.budget_usd
        arrays = {"at once": problem.at_once, "per hour": problem.per_hour,
                  "spend": problem.spend_usd, "GPUs": problem.most_gpus}  # fmt: skip
        return float(arrays[kind][of])

    def _name(self, kind: str, of: int) -> str:
        if kind == "budget":
            return ""
        return self.problem.kinds[of] if kind == "GPUs" else self.problem.providers[of]

    def _pressing(self, kind: str, of: int, used: Any) -> tuple[str, ...]:
        """Return the segments that press on a limit: on it now, or below the rating."""
        problem = self.problem
        if kind == "GPUs":
            pressing = used & np.isin(problem.pool, problem.buy_pool[problem.buy_kind == of])
        elif kind == "budget":
            return ()
        else:
            pressing = used & (problem.provider == of)
        return tuple(problem.segments[i] for i in np.unique(problem.arc_segment[pressing]))
