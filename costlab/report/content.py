"""What a report is about: scenarios projected, carried through months, and compared.

scenario ─▶ projection (the month at the scenario's own day) ┐
         └▶ months (what is billed, line by line)            ├▶ report ─▶ paper, workbook, tables
further scenarios ─▶ comparison with the first               ┘

All money of a report is that of its lines, in whole millionths of a dollar; every sum in every
format is a sum of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any

from costlab import comparison, finance, lineage, present, projection
from costlab.core import Figure, InvalidArgument
from costlab.scenarios import Scenario

MOST_SCENARIOS = 4
_ENTERED = ("mix", "scenario", "entered", "terms", "policy")


@dataclass(frozen=True, kw_only=True)
class Part:
    """One scenario of a report: its month as projected, its run of months, and its name there."""

    name: str
    answer: projection.Projection
    run: finance.Months

    @property
    def scenario(self) -> Scenario:
        """What was projected."""
        return self.answer.scenario

    @property
    def currency(self) -> finance.Currency:
        """The currency that the report is in."""
        return self.run.terms.currency

    @property
    def starts(self) -> date:
        """The first day of the first month, whose rate holds for figures of no month."""
        return self.run.months[0].starts

    def money(self, usd: present.Number) -> str:
        """Return dollars in the report's currency, to three significant digits."""
        amount = Decimal(str(usd)) * self.currency.on(self.starts).per_usd
        shown = present.money(amount)
        return (
            shown if self.currency.code == "USD" else shown.replace("$", f"{self.currency.code} ")
        )

    def figure(self, item: Figure) -> str:
        """Return a figure with its interval, money in the report's currency."""
        if not item.unit.startswith("USD"):
            return present.figure(item)
        per = item.unit.partition("/")[2]
        shown = self.money(item.value) + (f" per {per}" if per else "")
        if item.range and item.range.high > item.range.low:
            shown += f" ({self.money(item.range.low)} to {self.money(item.range.high)})"
        return shown

    def billed(self, view: finance.View) -> Decimal:
        """Return the bill of all months in the report's currency, as its lines sum to it."""
        return sum(
            (
                self.currency.amounts([month.micro(view)], month.starts)[0]
                for month in self.run.months
            ),
            Decimal(0),
        )

    def statement(
        self, view: finance.View, key: Callable[[finance.Charge], str]
    ) -> dict[str, Decimal]:
        """Return the bill of all months by ``key`` in the report's currency; sums to `billed`."""
        lines = self.run.statement(view, key)
        return {name: sum(amounts, Decimal(0)) for name, amounts in lines.items()}

    def owed(self, view: finance.View) -> dict[str, Decimal]:
        """Return what each tenant owes over all months in the report's currency."""
        shares = self.run.showback(view)
        found = dict.fromkeys(shares, Decimal(0))
        for number, month in enumerate(self.run.months):
            parts = [months[number] for months in shares.values()]
            for name, amount in zip(
                shares, self.currency.amounts(parts, month.starts), strict=True
            ):
                found[name] += amount
        return found

    @cached_property
    def summary(self) -> dict[str, Figure]:
        """The figures of the run, and of the projection what the run does not have."""
        run = self.run.summary()
        rest = {k: v for k, v in self.answer.summary.items() if k not in run}
        return {**run, **rest}

    @cached_property
    def leaves(self) -> tuple[Figure, ...]:
        """The rows, runs and entries that the figures rest on, each once; billed lines left out."""
        found: dict[tuple[str, str, str], Figure] = {}
        for top in self.summary.values():
            for leaf in lineage.leaves(top):
                if leaf.unit != "USD" and (leaf.name, leaf.ref) != ("accepted clips", "mix"):
                    found.setdefault((leaf.ref, leaf.name, str(leaf.value)), leaf)
        return tuple(found.values())

    @property
    def prices(self) -> tuple[Figure, ...]:
        """The leaves that are prices."""
        return tuple(leaf for leaf in self.leaves if leaf.unit.startswith("USD"))

    @property
    def assumptions(self) -> tuple[Figure, ...]:
        """The leaves that a person entered, prices left out."""
        return tuple(leaf for leaf in self.leaves if _kind(leaf) in _ENTERED and not _priced(leaf))

    @property
    def measurements(self) -> tuple[Figure, ...]:
        """The leaves that were measured, published, fitted or counted."""
        return tuple(
            leaf for leaf in self.leaves if _kind(leaf) not in _ENTERED and not _priced(leaf)
        )

    @cached_property
    def widest(self) -> tuple[tuple[str, Figure], ...]:
        """Where uncertainty enters the costs: a route and its figure, widest interval first."""
        found: dict[tuple[str, str], tuple[str, Figure]] = {}
        for result in self.answer.segments:
            for item in _origins(result.unit.usd, set()) if result.unit else ():
                found.setdefault((item.name, str(item.value)), (str(result.route), item))
        return tuple(sorted(found.values(), key=lambda pair: _width(pair[1]), reverse=True))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before relying on the report, each once."""
        return tuple(dict.fromkeys((*self.answer.warnings, *self.run.warnings)))


def _kind(leaf: Figure) -> str:
    return leaf.ref.partition(":")[0]


def _priced(leaf: Figure) -> bool:
    return leaf.unit.startswith("USD")


def _width(item: Figure) -> float:
    assert item.range
    return (item.range.high - item.range.low) / abs(float(item.value) or 1.0)


def _origins(item: Figure, seen: set[int]) -> Iterator[Figure]:
    if id(item) in seen:
        return
    seen.add(id(item))
    below = [part for part in item.inputs if part.range]
    if item.range and item.range.high > item.range.low and not below:
        yield item
    for part in item.inputs:
        yield from _origins(part, seen)


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Return plain data as its leaves by path, empty ones left out.

    >>> flat({"a": [1, {"b": "x"}], "c": None})
    {'a[0]': 1, 'a[1].b': 'x'}
    """
    if isinstance(value, dict):
        pairs = [(f"{path}.{key}" if path else str(key), item) for key, item in value.items()]
    elif isinstance(value, list):
        pairs = [(f"{path}[{number}]", item) for number, item in enumerate(value)]
    else:
        return {} if value is None or value == "" else {path: value}
    return {name: leaf for at, item in pairs for name, leaf in flat(item, at).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One to four scenarios, and what each further one changes against the first."""

    parts: tuple[Part, ...]
    changes: tuple[comparison.Comparison, ...] = ()

    @property
    def title(self) -> str:
        """What stands at its head."""
        return " and ".join(part.name for part in self.parts)

    @property
    def id(self) -> str:
        """What its files are called."""
        return "-and-".join(part.scenario.id for part in self.parts)

    @property
    def best(self) -> Part:
        """The part whose accepted clip costs least; the first where none serves a clip."""
        priced = [part for part in self.parts if "usd_per_accepted_clip" in part.summary]
        return min(
            priced or self.parts[:1],
            key=lambda part: float(part.summary["usd_per_accepted_clip"].value) if priced else 0.0,
        )


def gather(
    asked: Sequence[Scenario],
    *,
    months: int = 12,
    terms: finance.Terms | None = None,
    project: Callable[[Scenario], projection.Projection] = projection.project,
    run: Callable[..., finance.Months] = finance.months,
) -> Report:
    """Return the report of one to four scenarios over ``months`` under the same terms.

    ``project`` and ``run`` may remember what they have worked out. Raises `InvalidArgument` for no
    scenario, more than four or one twice, and what `finance.months` raises.
    """
    ids = [scenario.id for scenario in asked]
    if not 1 <= len(ids) <= MOST_SCENARIOS:
        raise InvalidArgument(f"a report takes 1 to {MOST_SCENARIOS} scenarios, got {len(ids)}")
    if len(set(ids)) < len(ids):
        raise InvalidArgument(f"a report takes each scenario once, got {', '.join(ids)}")
    titles = [scenario.title for scenario in asked]
    return Report(
        parts=tuple(
            Part(
                name=scenario.title
                if titles.count(scenario.title) == 1
                else f"{scenario.title} ({scenario.id})",
                answer=project(scenario),
                run=run(scenario, months=months, terms=terms or finance.Terms()),
            )
            for scenario in asked
        ),
        changes=tuple(comparison.compare(asked[0], other, project=project) for other in asked[1:]),
    )
