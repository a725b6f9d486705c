"""The accepted clip, which every pattern counts in, and the shape of every pattern's answer.

    attempt ──fails f──▶ lost      ──moderated m──▶ lost      ──not kept 1 − a──▶ made again
    p = (1 − f)(1 − m)·a      USD per accepted clip = USD per attempt · billed share / p

A pattern is a record of inputs and a function from it to an `Answer`. What a person leaves alone
comes from a scenario or from a reading in ``data/patterns``; what a person changes is *entered*.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from costlab import catalog, quality, store
from costlab.core import (
    Basis,
    CannotServe,
    ClipRequest,
    CostlabError,
    Figure,
    InvalidArgument,
    Range,
    Source,
    UnknownName,
    brief,
    plain,
)
from costlab.scenarios import Scenario
from costlab.traffic import TrafficMix
from costlab.unitcost import Deployment, Refusal, UnitCost, every_route

SHARED = "shared"
Cell = str | float | int | bool | None | Figure
I = TypeVar("I")  # noqa: E741


# ── Inputs ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One value that a source gives for an input of a pattern, or an assumption to be replaced.

    The ``default`` reading is what the pattern takes where nobody says otherwise; the others stand
    beside it. ``low`` and ``high`` are the ends that the source prints.
    """

    pattern: str
    input: str
    value: float
    low: float | None = None
    high: float | None = None
    unit: str
    what: str
    default: bool = False
    source: Source

    def figure(self, name: str) -> Figure:
        """Return the reading as a leaf."""
        ends = None
        if self.low is not None and self.high is not None:
            ends = Range(low=self.low, high=self.high, level=1.0)
        return Figure(
            name=name,
            value=self.value,
            unit="" if self.unit.startswith("share") else self.unit,
            basis=self.source.basis,
            formula=self.what,
            range=ends,
            source=self.source,
            ref=f"reading:{self.pattern}/{self.input}",
        )


READINGS = store.Shelf(table="pattern_readings", record=Reading, pattern="patterns/*.yaml")


def readings(pattern: str, name: str | None = None) -> tuple[Reading, ...]:
    """Return what sources say about the inputs of a pattern, or about one of them."""
    return tuple(
        row
        for row in store.records(READINGS)
        if row.pattern == pattern and name in (None, row.input)
    )


def default(pattern: str, name: str) -> float:
    """Return the value that an input has where nobody says otherwise; raises `UnknownName`."""
    known = {row.input: row.value for row in readings(pattern) if row.default}
    if name not in known:
        raise UnknownName.among(f"default of {pattern}", name, known)
    return known[name]


def clips_wanted(scenario: Scenario, mix: TrafficMix) -> float:
    """Return the clips wanted in the scenario's month."""
    return mix.clips_per_month if scenario.clips_per_month is None else scenario.clips_per_month


def leaf(pattern: str, name: str, value: float, words: str, unit: str = "") -> Figure:
    """Return an input as a figure: the reading that says just this, else what a person entered."""
    for row in sorted(readings(pattern, name), key=lambda row: not row.default):
        if row.value == value:
            return row.figure(words)
    return Figure.entered(words, value, unit, ref="entered")


def change(inputs: I, changes: Mapping[str, Any], where: str = "inputs") -> I:
    """Return a record of inputs with some replaced, named by dotted paths and checked as a file is.

    Raises `UnknownName` for an input that is not there and `BadData` for a value that it refuses.
    """
    body = plain(inputs)
    for path, value in changes.items():
        place = body
        *parents, last = path.split(".")
        for name in parents:
            if not isinstance(place, dict) or not isinstance(place.get(name), dict):
                raise UnknownName.among("input", path, input_names(inputs))
            place = place[name]
        if last not in place:
            raise UnknownName.among("input", path, input_names(inputs))
        place[last] = plain(value)
    return store.parse([body], type(inputs), where)[0]


def input_names(inputs: Any) -> tuple[str, ...]:
    """Return the dotted names of all inputs of a record, in its own order."""

    def walk(value: Any, prefix: str) -> Iterable[str]:
        for name, part in value.items():
            if isinstance(part, dict) and part:
                yield from walk(part, f"{prefix}{name}.")
            else:
                yield prefix + name

    return tuple(walk(plain(inputs), ""))


def check_shares(
    record: Any, open_at_zero: Sequence[str] = (), below_one: Sequence[str] = ()
) -> None:
    """Raise `InvalidArgument` for a share of ``record`` outside (0, 1] or outside [0, 1)."""
    for name in open_at_zero:
        value = getattr(record, name)
        if value is not None and not 0 < value <= 1:
            raise InvalidArgument(f"{name} must be in (0, 1], got {value}")
    for name in below_one:
        value = getattr(record, name)
        if not 0 <= value < 1:
            raise InvalidArgument(f"{name} must be in [0, 1), got {value}")


def check_amounts(record: Any, *names: str, above_zero: Sequence[str] = ()) -> None:
    """Raise `InvalidArgument` for an amount of ``record`` below zero, or not above it."""
    for name in (*names, *above_zero):
        value = getattr(record, name)
        if value is None:
            continue
        if not math.isfinite(value) or value < 0 or (name in above_zero and value == 0):
            least = "greater than 0" if name in above_zero else "0 or more"
            raise InvalidArgument(f"{name} must be {least}, got {value}")


# ── The accepted clip ─────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """What is paid and not delivered.

    ``api_failure_share`` of API attempts fail; a deployment has its own share. ``moderated_share``
    of finished clips are blocked by moderation, on every route. ``utilisation`` is the busy share
    of a paid GPU-hour; idle hours are spread over the clips.
    """

    api_failure_share: float
    moderated_share: float
    utilisation: float

    def __post_init__(self) -> None:
        check_shares(self, ("utilisation",), ("api_failure_share", "moderated_share"))

    @classmethod
    def of(cls, scenario: Scenario, *, batch: bool = False) -> Losses:
        """Return the scenario's shares, with the shared defaults for what it leaves open."""
        return cls(
            api_failure_share=scenario.api_failure_share,
            moderated_share=scenario.api_moderated_share or default(SHARED, "moderated_share"),
            utilisation=scenario.batch_utilisation if batch else default(SHARED, "utilisation"),
        )

    @property
    def moderated(self) -> Figure:
        """The share of finished clips that moderation blocks."""
        return leaf(SHARED, "moderated_share", self.moderated_share, "share blocked by moderation")

    @property
    def busy(self) -> Figure:
        """The busy share of a paid GPU-hour."""
        return leaf(SHARED, "utilisation", self.utilisation, "busy share of paid GPU-hours")


def usd_per_accepted(
    usd_per_attempt: float,
    failed: float,
    moderated: float,
    kept: float,
    *,
    failed_billed: bool = True,
    moderated_billed: bool = True,
) -> float:
    """Return what a clip that is kept costs, all attempts that came to nothing included.

    An attempt is delivered with (1 − f)(1 − m) and kept with a. Billed are delivered attempts,
    failed ones where the seller bills them, and blocked ones where it bills those.

    >>> usd_per_accepted(0.10, 0.0, 0.0, 0.25)
    0.4
    >>> round(usd_per_accepted(0.10, 0.2, 0.0, 1.0, failed_billed=False), 6)
    0.1
    """
    delivered = (1 - failed) * (1 - moderated)
    billed = delivered + failed * failed_billed + (1 - failed) * moderated * moderated_billed
    return usd_per_attempt * billed / (delivered * kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route that can make a clip: what an attempt costs, and what a clip costs that is kept.

    ``usd`` is per accepted clip, ``delivered`` per clip that reaches the user, kept or not;
    ``accepted_share`` is p of one attempt. ``rating`` is in arena points, None without a public
    score.
    """

    name: str
    model: str
    kind: str
    attempt: Figure
    delivered: Figure
    usd: Figure
    accepted_share: float
    seconds: Figure | None
    rating: Figure | None
    stale: bool


def route_of(
    cost: UnitCost,
    *,
    failed: float,
    moderated_billed: bool,
    losses: Losses,
    kept: Figure,
    rating: Figure | None = None,
) -> Route:
    """Return a route's accepted clip; own GPUs pay for their idle hours too."""
    attempt = cost.usd
    if cost.kind == "self_hosted":
        attempt = worked_out(
            "cost of one attempt, idle hours included",
            "USD/attempt",
            "busy seconds' cost / busy share of paid hours",
            lambda usd, busy: usd / busy,
            (cost.usd, losses.busy),
        )
    failures = Figure.entered("share of attempts that fail", failed, "", ref="scenario")
    words = [
        what if billed else f"{what} not"
        for what, billed in (
            ("failed", cost.failures_billed),
            ("blocked", moderated_billed),
        )
    ]

    def per_clip(usd: float, f: float, m: float, a: float = 1.0) -> float:
        return usd_per_accepted(
            usd,
            f,
            m,
            a,
            failed_billed=cost.failures_billed,
            moderated_billed=moderated_billed,
        )

    parts = (attempt, failures, losses.moderated)
    said = f"USD per attempt × billed share / delivered share (billed: {', '.join(words)})"
    return Route(
        name=cost.route,
        model=cost.model,
        kind=cost.kind,
        attempt=attempt,
        delivered=worked_out("cost of a delivered clip", "USD/clip", said, per_clip, parts),
        usd=worked_out(
            "cost of an accepted clip",
            "USD/clip",
            f"{said}, / share kept",
            per_clip,
            (*parts, kept),
        ),
        accepted_share=(1 - failed) * (1 - losses.moderated_share) * float(kept.value),
        seconds=cost.slot_s,
        rating=rating,
        stale=cost.stale,
    )


def routes(
    request: ClipRequest,
    deployments: Sequence[Deployment],
    apis: Iterable[str],
    as_of: date,
    *,
    losses: Losses,
    kept: Figure,
) -> tuple[tuple[Route, ...], tuple[Refusal, ...]]:
    """Return every route that can make the clip, cheapest accepted clip first, and the refusals."""
    costs, refusals = every_route(request, deployments, apis, as_of)
    own = {deployment.route: deployment.failure_share for deployment in deployments}
    found = []
    for cost in costs:
        billed = True
        if cost.kind == "api":
            seller = catalog.quote(cost.model, request, as_of=as_of).provider
            billed = catalog.adapter(seller).terms.moderated_billed is not False
        found.append(
            route_of(
                cost,
                failed=own.get(cost.route, losses.api_failure_share),
                moderated_billed=billed,
                losses=losses,
                kept=kept,
                rating=quality.rating(
                    cost.model,
                    "i2v" if request.mode == "i2v" else "t2v",
                    as_of=as_of,
                    audio=request.audio,
                    recipe=cost.recipe,
                ),
            )
        )
    return tuple(sorted(found, key=lambda one: (float(one.usd.value), one.name))), refusals


# ── Working out ───────────────────────────────────────────────────────────────────────────────


def worked_out(
    name: str,
    unit: str,
    formula: str,
    calculate: Callable[..., float],
    inputs: Sequence[Figure],
    *,
    basis: Basis | None = None,
    shown: Sequence[Figure] | None = None,
) -> Figure:
    """Return ``calculate`` of the inputs' values, with the interval that their corners span.

    ``calculate`` must rise or fall in each input. The interval is that of all inputs at their
    worst, or best, together, so it is wide. ``shown`` are the inputs that the proof names, where
    the interval comes from what stands under them.
    """
    value = calculate(*(float(part.value) for part in inputs))
    ranged = [part.range for part in inputs if part.range]
    interval = None
    if ranged:
        ends = [
            (part.range.low, part.range.high) if part.range else (float(part.value),)
            for part in inputs
        ]
        corners = [value, *(calculate(*corner) for corner in itertools.product(*ends))]
        interval = Range(
            low=min(corners), high=max(corners), level=min(part.level for part in ranged)
        )
    return Figure.derived(
        name, value, unit, formula, inputs if shown is None else shown, range=interval, basis=basis
    )


def crossings(
    difference: Callable[[float], float], low: float, high: float, *, points: int = 400
) -> tuple[float, ...]:
    """Return where ``difference`` changes its sign between ``low`` and ``high``, found by search.

    The span is walked in equal ratios and each change is halved down to 1 part in 10¹²; what turns
    twice between two neighbouring points is not seen.

    >>> [round(x, 6) for x in crossings(lambda x: x - 3, 0.01, 100)]
    [3.0]
    """
    ratio = (high / low) ** (1 / points)
    grid = [*(low * ratio**i for i in range(points)), high]
    signs = [difference(x) > 0 for x in grid]
    found = []
    for i in range(points):
        if signs[i] == signs[i + 1]:
            continue
        a, b = grid[i], grid[i + 1]
        while b - a > 1e-12 * b:
            middle = (a + b) / 2
            if middle in (a, b):
                break
            a, b = (middle, b) if (difference(middle) > 0) == signs[i] else (a, middle)
        found.append((a + b) / 2)
    return tuple(found)


def spread(low: float, high: float, points: int = 61) -> tuple[float, ...]:
    """Return points from ``low`` to ``high`` in equal ratios, for a curve."""
    return tuple(low * (high / low) ** (i / (points - 1)) for i in range(points))


# ── Answers ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a pattern comes to: one sentence, its figures, what it was compared with, and curves.

    The rows of a table are alike, the first cell of each its name. ``curves`` hold (x, y) points.
    """

    pattern: str
    inputs: Any
    words: str
    summary: Mapping[str, Figure]
    tables: Mapping[str, tuple[Mapping[str, Cell], ...]]
    curves: Mapping[str, tuple[tuple[float, float], ...]]
    warnings: tuple[str, ...] = ()

    def figures(self) -> dict[str, Figure]:
        """Return every figure by its path: ``summary/…`` and ``<table>/<row>/…``."""
        found = {f"summary/{name}": figure for name, figure in self.summary.items()}
        for table, rows in self.tables.items():
            for row in rows:
                first = next(iter(row.values()))
                for name, cell in row.items():
                    if isinstance(cell, Figure):
                        found[f"{table}/{first}/{name}"] = cell
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the stable JSON shape that ``costlab pattern … --json`` prints (docs/json.md)."""
        return {
            "pattern": self.pattern,
            "inputs": plain(self.inputs),
            "words": self.words,
            "summary": {name: brief(figure) for name, figure in self.summary.items()},
            "tables": {
                table: [
                    {
                        name: brief(cell) if isinstance(cell, Figure) else plain(cell)
                        for name, cell in row.items()
                    }
                    for row in rows
                ]
                for table, rows in self.tables.items()
            },
            "curves": {name: plain(points) for name, points in self.curves.items()},
            "warnings": list(self.warnings),
        }


def said_usd(value: float) -> str:
    """Return dollars as a sentence says them.

    >>> said_usd(0.37), said_usd(36.5), said_usd(12412.0), said_usd(-3.0)
    ('$0.370', '$36.50', '$12,412', '−$3.00')
    """
    size = abs(value)
    text = f"{size:,.0f}" if size >= 1000 else f"{size:.2f}" if size >= 1 else f"{size:#.3g}"
    return f"{'−' if value < 0 else ''}${text}"


def said_share(value: float) -> str:
    """Return a share as a sentence says it.

    >>> said_share(0.3312)
    '33 %'
    """
    return f"{100 * value:.0f} %"


def none_can(refusals: Iterable[Refusal]) -> str:
    """Return why no route can make a clip, in one line."""
    reasons = "; ".join(dict.fromkeys(refusal.reason for refusal in refusals))
    return f"no route can make it: {reasons}" if reasons else "no route is named: add one"


def pick(found: Sequence[Route], name: str, refusals: Sequence[Refusal]) -> Route:
    """Return the route of that name, the cheapest where the name is empty.

    Raises `CannotServe` with the reasons where it cannot make the clip, `UnknownName` where it is
    none of the routes.
    """
    if not found:
        raise CannotServe(none_can(refusals))
    if not name:
        return found[0]
    wanted = {name}
    with contextlib.suppress(CostlabError):
        wanted.add(catalog.model(name).id)
    for route in found:
        if route.name in wanted or route.model in wanted:
            return route
    for refusal in refusals:
        if refusal.route in wanted or refusal.model in wanted:
            raise CannotServe(refusal.reason)
    known = [one.name for one in found] + [one.route for one in refusals]
    raise UnknownName.among("route", name, known)
