"""The whole answer: how much, how sure, what drives it, where it flips, what to find out first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from costlab import routing, traffic
from costlab.core import InvalidArgument
from costlab.scenarios import Scenario
from costlab.uncertainty.breakeven import DRIVERS, BreakEven, break_even, comparable
from costlab.uncertainty.draws import ACCEPTED, COST, Draws, at_centre, draw, saved
from costlab.uncertainty.inputs import Input
from costlab.uncertainty.learning import Information, information
from costlab.uncertainty.model import Floats, Model, compile
from costlab.uncertainty.sensitivity import Index, Swing, indices, tornado

Three = tuple[float, float, float]


@dataclass(frozen=True, eq=False, kw_only=True)
class Decision:
    """A scenario drawn many times, and everything asked of the draws.

    ``compared`` is "" or says why own GPUs and APIs cannot be compared; then there are neither
    break-evens nor values of information. ``centre_usd_per_clip`` is the projection's.
    """

    draws: Draws
    centre_usd: float
    centre_usd_per_clip: float
    centre_saved_usd: float
    swings: tuple[Swing, ...]
    compared: str
    indices: tuple[Index, ...] = ()
    break_evens: tuple[BreakEven, ...] = ()
    information: Information | None = None

    @property
    def model(self) -> Model:
        """What was drawn from."""
        return self.draws.model

    @property
    def p_own_wins(self) -> float | None:
        """The share of draws in which the policy costs less a clip than the best APIs."""
        return None if self.compared else float((self.draws.saved_usd > 0).mean())

    @property
    def usd(self) -> Three:
        """P10, P50 and P90 of the bill of all months."""
        return quantiles(self.draws.usd)

    @property
    def usd_per_clip(self) -> Three:
        """P10, P50 and P90 of the cost of an accepted clip."""
        return quantiles(self.draws.per_clip)

    @property
    def api_usd_per_clip(self) -> Three | None:
        """P10, P50 and P90 of the same clips on the APIs cheapest for them."""
        return None if self.compared else quantiles(self.draws.api_per_clip)

    @property
    def saved_usd(self) -> Three | None:
        """P10, P50 and P90 of what own GPUs save over all months."""
        return None if self.compared else quantiles(self.draws.saved_usd)

    @property
    def headline(self) -> str:
        """The answer in a line."""
        share = self.p_own_wins
        if share is None:
            low, _, high = self.usd_per_clip
            return f"A kept clip costs ${low:.3g} to ${high:.3g}"
        side = "Own GPUs" if float(self.draws.saved_usd.mean()) > 0 else "APIs"
        if 0 < share < 0.005 or 0.995 < share < 1:
            chance = "< 1 %" if share < 0.5 else "> 99 %"
        else:
            chance = f"{100 * share:.0f} %"
        return f"{side} for these clips: own GPUs win in {chance} of draws"

    @property
    def words(self) -> str:
        """The answer in one sentence."""
        low, middle, high = self.usd_per_clip
        cost = f"${middle:.3g} per accepted clip (80 % of draws: ${low:.3g} to ${high:.3g})"
        if self.api_usd_per_clip is None:
            return f"{self.model.policy.title}: {cost}; {self.compared}."
        mean = float(self.draws.saved_usd.mean())
        return (
            f"{self.headline}, at {cost} against ${self.api_usd_per_clip[1]:.3g} on the best APIs; "
            f"over {self.model.months} months own GPUs {'save' if mean > 0 else 'cost'} "
            f"${float(f'{abs(mean):.3g}'):,.0f}{'' if mean > 0 else ' more'} on average."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the stable JSON shape that ``costlab decide --json`` prints (docs/json.md)."""
        model = self.model
        return {
            "scenario": model.scenario.id,
            "policy": model.policy.id,
            "months": model.months,
            "draws": len(self.draws.rows),
            "seed": self.draws.seed,
            "answer": self.words,
            "stand_in": model.stand_in,
            "not_compared": self.compared,
            "p_own_wins": self.p_own_wins,
            "usd_at_centre": _money(self.centre_usd),
            "usd_per_accepted_clip_at_centre": _money(self.centre_usd_per_clip),
            "usd": _three(self.usd),
            "usd_per_accepted_clip": _three(self.usd_per_clip),
            "api_usd_per_accepted_clip": _three(self.api_usd_per_clip),
            "saved_usd": _three(self.saved_usd),
            "quantiles": [
                {
                    "share": float(share),
                    "usd": _money(total),
                    "usd_per_accepted_clip": _money(clip),
                }
                for share, total, clip in zip(
                    SHARES,
                    np.quantile(self.draws.usd, SHARES),
                    np.quantile(self.draws.per_clip, SHARES),
                    strict=True,
                )
            ],
            "months_usd": [
                {
                    "month": f"{month:%Y-%m}",
                    **{
                        name: _money(value)
                        for name, value in zip(("p10", "p50", "p90"), three, strict=True)
                    },
                }
                for month, three in zip(
                    dict.fromkeys(epoch.starts.replace(day=1) for epoch in model.epochs),
                    zip(*(self.draws.month_usd(s) for s in (0.1, 0.5, 0.9)), strict=True),
                    strict=True,
                )
            ],
            "inputs": [_input(item) for item in model.inputs],
            "tornado": [
                {
                    "input": one.input.id,
                    "p10": one.values[0],
                    "p90": one.values[1],
                    "usd_per_accepted_clip": [_money(value) for value in one.usd_per_clip],
                    "saved_usd": None
                    if self.compared
                    else [_money(value) for value in one.saved_usd],
                    "flips": None if self.compared else one.flips,
                }
                for one in self.swings
            ],
            "sobol": [
                {
                    "input": one.name,
                    **{
                        f"{name}{part}": value
                        for name, three in (("first", one.first), ("total", one.total))
                        for part, value in zip(("", "_low", "_high"), three, strict=True)
                    },
                    "resolved": one.resolved,
                }
                for one in self.indices
            ],
            "break_even": [_break_even(one) for one in self.break_evens],
            "information": None
            if self.information is None
            else {
                "perfect_usd": _money(self.information.perfect),
                "perfect_low_usd": _money(self.information.low),
                "perfect_high_usd": _money(self.information.high),
                "samples": [
                    {
                        "input": one.input.id,
                        "way": one.way,
                        "sample": one.sample,
                        "usd": _money(one.usd),
                        "low_usd": _money(one.low),
                        "high_usd": _money(one.high),
                        "perfect_usd": _money(one.perfect),
                        "costs_usd": None if one.costs_usd is None else _money(one.costs_usd),
                        "resolved": one.resolved,
                    }
                    for one in self.information.worth
                ],
            },
            "warnings": list(model.warnings),
        }


SHARES = np.array([0.01, 0.05, *np.arange(1, 10) / 10, 0.95, 0.99])


def quantiles(values: Floats) -> Three:
    """Return P10, P50 and P90."""
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
    return float(low), float(middle), float(high)


def _money(value: float) -> str:
    return f"{value:.6f}"


def _three(values: Three | None) -> dict[str, str] | None:
    if values is None:
        return None
    return {name: _money(one) for name, one in zip(("p10", "p50", "p90"), values, strict=True)}


def _input(item: Input) -> dict[str, Any]:
    return {
        "id": item.id,
        "label": item.label,
        "unit": item.unit,
        "centre": item.centre,
        "low": item.low,
        "high": item.high,
        "basis": item.basis.value,
        "what": item.what,
        "source": None
        if item.source is None
        else {
            "publisher": item.source.publisher,
            "document": item.source.document,
            "seen": item.source.seen,
        },
    }


def _break_even(one: BreakEven) -> dict[str, Any]:
    return {
        "driver": one.driver,
        "title": one.title,
        "today": one.today,
        "first": one.quantiles("first"),
        "last": one.quantiles("last"),
        "flips": one.flips,
        "several": one.several,
        "always_own": one.always_own,
        "always_api": one.always_api,
    }


def decide(
    scenario: Scenario,
    *,
    draws: int = 10_000,
    seed: int = 1,
    months: int = 12,
    mix: traffic.TrafficMix | None = None,
    policy: routing.Policy | None = None,
    ranges: Mapping[str, tuple[float, float]] | None = None,
) -> Decision:
    """Return the decision between a scenario's own GPUs and APIs, and how fragile it is.

    ``ranges`` replaces the 90 % interval of inputs by id. Raises `BadData`, `UnknownName` and
    `InvalidArgument` as `compile` does.
    """
    model = compile(scenario, months=months, mix=mix, policy=policy, ranges=ranges)
    answer = drawn(model, draws=draws, seed=seed)
    if answer.compared:
        return answer
    return replace(
        answer,
        indices=indices(model, seed=seed),
        break_evens=tuple(break_even(model, name, seed=seed) for name in DRIVERS),
        information=information(answer.draws, seed=seed),
    )


def drawn(model: Model, *, draws: int = 10_000, seed: int = 1) -> Decision:
    """Return the quick part of a decision: the draws and the tornado."""
    centre = at_centre(model)
    compared = ""
    try:
        comparable(model)
    except InvalidArgument as error:
        compared = str(error)
    return Decision(
        draws=draw(model, draws, seed),
        centre_usd=float(centre[COST]),
        centre_usd_per_clip=float(centre[COST] / centre[ACCEPTED]),
        centre_saved_usd=float(saved(centre[None])[0]),
        swings=tornado(model),
        compared=compared,
    )
