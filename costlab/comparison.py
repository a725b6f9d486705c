"""Why one scenario costs another sum than another: each change's part of the difference.

Scenarios differ in traffic, prices' day, GPUs and APIs, policy, or promises. What one change is
worth depends on which others are already made, so each gets its Shapley value: its effect averaged
over every order in which the changes could be made. The parts sum to the difference exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from costlab import projection, routing, store, traffic
from costlab.core import plain, usd
from costlab.scenarios import Scenario

GROUPS: dict[str, tuple[str, ...]] = {
    "traffic": ("mix", "clips_per_month"),
    "prices' day": ("date",),
    "GPUs and APIs": ("deployments", "apis"),
    "policy": ("policy",),
    "promises and failures": (
        "p95_wait_s",
        "batch_utilisation",
        "api_failure_share",
        "api_moderated_share",
    ),
}
"""The fields of a scenario that change together, by what people call them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change between two scenarios: what it is, in words, and its part of the difference."""

    name: str
    words: tuple[str, ...]
    micro_usd: int

    @property
    def usd(self) -> float:
        """The part in dollars a month."""
        return float(usd(self.micro_usd))


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two projections and the changes between them; the changes sum to the bills' difference."""

    before: projection.Projection
    after: projection.Projection
    changes: tuple[Change, ...]

    @property
    def micro_usd(self) -> int:
        """The difference of the months' bills."""
        return _bill(self.after) - _bill(self.before)


def _bill(answer: projection.Projection) -> int:
    return sum(line.micro_usd for line in answer.bill)


@store.still()
def compare(
    first: Scenario,
    second: Scenario,
    *,
    project: Callable[[Scenario], projection.Projection] = projection.project,
) -> Comparison:
    """Return the second scenario against the first; ``project`` may remember projections.

    The months are those of each scenario's own date, so that a longer month is part of the change
    of day. Raises what `projection.project` raises.
    """
    differing = {
        name: fields
        for name, fields in GROUPS.items()
        if any(getattr(first, field) != getattr(second, field) for field in fields)
    }
    names = list(differing)
    bills: dict[frozenset[str], int] = {}
    before, after = project(first), project(second)
    ends = {frozenset[str](): before, frozenset(names): after}
    for size in range(len(names) + 1):
        for made in map(frozenset, combinations(names, size)):
            changed = {f: getattr(second, f) for name in made for f in differing[name]}
            bills[made] = _bill(ends.get(made) or project(replace(first, **changed)))
    exact = {name: _shapley(name, names, bills) for name in names}
    rounded = _summing(exact, bills[frozenset(names)] - bills[frozenset()])
    return Comparison(
        before=before,
        after=after,
        changes=tuple(
            Change(name=name, words=_words(first, second, name), micro_usd=rounded[name])
            for name in names
        ),
    )


def _shapley(name: str, names: list[str], bills: dict[frozenset[str], int]) -> float:
    others = [other for other in names if other != name]
    total = math.factorial(len(names))
    value = 0.0
    for size in range(len(others) + 1):
        weight = math.factorial(size) * math.factorial(len(others) - size) / total
        for made in combinations(others, size):
            value += weight * (bills[frozenset((*made, name))] - bills[frozenset(made)])
    return value


def _summing(exact: dict[str, float], total: int) -> dict[str, int]:
    """Return whole micro-dollars that sum to the total, by largest remainder."""
    floors = {name: math.floor(value) for name, value in exact.items()}
    left = total - sum(floors.values())
    by_remainder = sorted(exact, key=lambda name: floors[name] - exact[name])
    return {name: floors[name] + (name in by_remainder[:left]) for name in exact}


def _words(first: Scenario, second: Scenario, name: str) -> tuple[str, ...]:
    if name == "traffic":
        return _traffic_words(first, second)
    if name == "policy":
        titles = [routing.policy(s.policy).title for s in (first, second)]
        return (f"{titles[0]} → {titles[1]}",)
    if name == "prices' day":
        return (f"{first.date} → {second.date}",)
    if name == "GPUs and APIs":
        before, after = ({d.route: plain(d) for d in s.deployments} for s in (first, second))
        said = [f"without {route}" for route in before if route not in after]
        said += [f"with {route}" for route in after if route not in before]
        for route in before:
            if route in after:
                said += _field_words(route, before[route], after[route])
        said += [f"without {api}" for api in first.apis if api not in second.apis]
        said += [f"with {api}" for api in second.apis if api not in first.apis]
        return tuple(said)
    return tuple(
        f"{field.replace('_', ' ')}: {getattr(first, field):g} → {getattr(second, field):g}"
        for field in GROUPS[name]
        if getattr(first, field) != getattr(second, field)
    )


def _traffic_words(first: Scenario, second: Scenario) -> tuple[str, ...]:
    mixes = [traffic.mix(s.mix) for s in (first, second)]
    clips = [
        mix.clips_per_month if s.clips_per_month is None else s.clips_per_month
        for s, mix in zip((first, second), mixes, strict=True)
    ]
    said = [] if clips[0] == clips[1] else [f"{clips[0]:,.0f} → {clips[1]:,.0f} clips a month"]
    if mixes[0].id != mixes[1].id:
        said.append(f"{mixes[0].title} → {mixes[1].title}")
    return tuple(said)


def _field_words(route: str, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [
        f"{route}, {field.replace('_', ' ')}: {before[field]} → {after[field]}"
        for field in before
        if before[field] != after[field]
    ]
