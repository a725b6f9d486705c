"""Closing a period: a month's report frozen with its hash, and what has moved since.

scenario + terms ─▶ the month, figures down to their rows ─▶ frozen, version 1 (who, when, why)
closed again after a change ─────────────────────────────▶ version 2, with what moved and why

Versions are entries of the user's store, which are only ever added.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from costlab import finance, lineage, projection, routing, scenarios, store, traffic
from costlab.core import InvalidArgument, UnknownName, content_hash, plain
from costlab.report.content import flat

FORMAT = "costlab-closed/1"
KIND = "closed-report"
_SETTINGS = ("scenario", "mix", "policy", "terms")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """Something that is not what it was; None where it was not there, or no longer is."""

    name: str
    was: str | None
    now: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What lies between two versions of a closed month.

    ``settings`` are entries of the scenario, its traffic, policy and terms; ``figures`` are by
    path; ``moved`` are the leaves that changed, each with the figures that rest on it.
    """

    settings: tuple[Shift, ...]
    figures: tuple[Shift, ...]
    moved: tuple[lineage.Moved, ...]

    @property
    def none(self) -> bool:
        """Whether nothing moved."""
        return not (self.settings or self.figures or self.moved)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """One version of a closed month: who closed it when and why, and the frozen report."""

    scenario: str
    period: str
    version: int
    who: str
    why: str
    closed_at: str
    body: Mapping[str, Any]

    @property
    def hash(self) -> str:
        """The hash of the frozen report, as it was written."""
        return str(self.body["hash"])

    @property
    def intact(self) -> bool:
        """Whether the frozen report is as it was written."""
        return _hash(self.body) == self.hash

    def usd(self, view: finance.View) -> str:
        """Return the bill of the month as frozen, in the report's currency."""
        return str(self.body["month"]["total"][view])

    @property
    def currency(self) -> str:
        """The currency it was closed in."""
        return str(self.body["terms"]["currency"]["code"])


def freeze(
    scenario: scenarios.Scenario,
    period: str,
    *,
    terms: finance.Terms | None = None,
    mix: traffic.TrafficMix | None = None,
    policy: routing.Policy | None = None,
) -> dict[str, Any]:
    """Return the report of one month of a scenario, with all that it takes to recompute it.

    Keys: ``format``, ``period``, ``scenario``, ``mix``, ``policy``, ``terms``, ``month`` (as
    ``costlab months --json``), ``figures`` (path → node hash) and ``nodes`` as in
    `lineage.document`, ``hash``. Raises `InvalidArgument` for a period that is not one of the
    36 months from the scenario's.
    """
    number = _number(scenario, period)
    run = finance.months(scenario, months=number + 1, terms=terms, mix=mix, policy=policy)
    month = run.months[number]
    first = next((epoch.projection for epoch in month.epochs if epoch.projection), None)
    answer = first or projection.project(scenario, mix=run.mix, policy=run.policy)
    figures = {**answer.summary, **month.figures()}
    opened = lineage.document(replace(answer, summary=figures))
    body = {
        "format": FORMAT,
        "period": period,
        "scenario": plain(scenario),
        "mix": plain(run.mix),
        "policy": plain(run.policy),
        "terms": plain(run.terms),
        "month": run.to_dict()["months"][number],
        "figures": opened["figures"],
        "nodes": opened["nodes"],
    }
    return body | {"hash": _hash(body)}


def close(
    scenario: scenarios.Scenario,
    period: str,
    *,
    who: str,
    why: str,
    terms: finance.Terms | None = None,
) -> Closed:
    """Freeze a month and keep it as the next version of its period; nothing is overwritten.

    Raises `InvalidArgument` without a name and a reason, or where the newest version is the same.
    """
    if not (who.strip() and why.strip()):
        raise InvalidArgument("closing a period takes a name and a reason: --who and --why")
    body = freeze(scenario, period, terms=terms)
    before = versions(scenario.id, period)
    if before and before[-1].hash == body["hash"]:
        raise InvalidArgument(
            f"{period} of {scenario.id} is closed as version {before[-1].version}, "
            "and nothing has moved since"
        )
    store.add_entry(KIND, f"{scenario.id}/{period}", body, who=who.strip(), why=why.strip())
    return next(one for one in reversed(versions(scenario.id, period)) if one.hash == body["hash"])


def versions(scenario: str = "", period: str = "") -> tuple[Closed, ...]:
    """Return every closed month, or those of a scenario or period, oldest first."""
    found: list[Closed] = []
    counted: dict[str, int] = {}
    for entry in store.entry_log(KIND):
        if entry.body is None:
            continue
        counted[entry.name] = counted.get(entry.name, 0) + 1
        found.append(
            Closed(
                scenario=str(entry.body["scenario"]["id"]),
                period=str(entry.body["period"]),
                version=counted[entry.name],
                who=entry.who,
                why=entry.why,
                closed_at=f"{entry.entered_at:%Y-%m-%d %H:%M} UTC",
                body=entry.body,
            )
        )
    return tuple(
        one
        for one in found
        if (not scenario or one.scenario == scenario) and (not period or one.period == period)
    )


def version(scenario: str, period: str, number: int) -> Closed:
    """Return one version; raises `UnknownName` where there is none."""
    for one in versions(scenario, period):
        if one.version == number:
            return one
    raise UnknownName(f"{period} of {scenario} has no version {number}")


def before(closed: Closed) -> Closed | None:
    """Return the version that this one took the place of; None for the first."""
    if closed.version == 1:
        return None
    return version(closed.scenario, closed.period, closed.version - 1)


def since(closed: Closed) -> Difference:
    """Return what would come out differently today: the frozen settings on today's rows.

    Raises `BadData` where the frozen scenario can no longer be worked out.
    """
    body, where = closed.body, f"{closed.period} of {closed.scenario}, version {closed.version}"
    again = freeze(
        scenarios.parse_scenario(dict(body["scenario"]), f"{where}, scenario"),
        closed.period,
        mix=traffic.parse_mix(dict(body["mix"]), f"{where}, mix"),
        policy=routing.parse_policy(dict(body["policy"]), f"{where}, policy"),
        terms=store.parse([dict(body["terms"])], finance.Terms, f"{where}, terms")[0],
    )
    return difference(body, again)


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> Difference:
    """Return what lies between two frozen months: settings, figures, and the leaves under them."""
    entered = [flat({name: body[name] for name in _SETTINGS}) for body in (old, new)]
    values = [
        {path: _said(body["nodes"][key]) for path, key in body["figures"].items()}
        for body in (old, new)
    ]
    return Difference(
        settings=_shifts(*entered), figures=_shifts(*values), moved=lineage.moved(old, new)
    )


def _number(scenario: scenarios.Scenario, period: str) -> int:
    """Return which month from the scenario's own a period such as 2026-11 is."""
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", period):
        raise InvalidArgument(f"a period is a month such as 2026-11, got {period!r}")
    year, month = (int(part) for part in period.split("-"))
    day: date = scenario.date
    number = (year - day.year) * 12 + month - day.month
    if not 0 <= number < finance.MOST_MONTHS:
        raise InvalidArgument(
            f"{period} is not among the {finance.MOST_MONTHS} months from {day:%Y-%m}, "
            f"the month of {scenario.id}"
        )
    return number


def _hash(body: Mapping[str, Any]) -> str:
    return content_hash({key: value for key, value in body.items() if key != "hash"})


def _shifts(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Shift, ...]:
    return tuple(
        Shift(
            name=name,
            was=None if name not in old else str(old[name]),
            now=None if name not in new else str(new[name]),
        )
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    )


def _said(node: Mapping[str, Any]) -> str:
    return f"{node['value']} {node.get('unit', '')}".strip()
