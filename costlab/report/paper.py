"""What a report says to a reader, in blocks that every reading format lays out its own way.

The answer in one sentence, at most five figures, a chart, the tables, what was assumed and how it
is known, what could go wrong, and where the figures come from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from costlab import comparison, finance, present
from costlab.core import Figure
from costlab.present import significant
from costlab.report import charts
from costlab.report.content import Part, Report

MOST_ROWS = 18
MOST_WIDEST = 3
NO_SEGMENT = "not of one segment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A heading within the report."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """A list of sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under a header; the first ``texts`` columns are text, the rest are numbers.

    The last row is a total where ``totalled``.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: int = 1
    totalled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart: ``draw(ink, font)`` returns it as SVG; ``said`` tells it in words."""

    said: str
    draw: Callable[[str, str], str]


Block = Heading | Words | Points | Table | Chart


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A report as it is read: its head, the answer, the figures under it, and the rest."""

    title: str
    subtitle: str
    answer: str
    figures: tuple[tuple[str, str, str], ...]
    """Label, value with its interval, how it is known."""
    blocks: tuple[Block, ...]


def written(report: Report) -> Paper:
    """Return a report as it is read."""
    first = report.parts[0]
    alone = len(report.parts) == 1
    return Paper(
        title=report.title,
        subtitle=_subtitle(report),
        answer=answer(report),
        figures=_figures(first) if alone else (),
        blocks=tuple(_one(first) if alone else _several(report)),
    )


# ── The answer ────────────────────────────────────────────────────────────────────────────────


def answer(report: Report) -> str:
    """Return the answer in one sentence, with its numbers."""
    best = report.best
    cost = best.summary.get("usd_per_accepted_clip")
    if cost is None:
        return "No clip is served: no route can make what the traffic wants."
    span = _span(best)
    if len(report.parts) == 1:
        return (
            f"An accepted clip costs {best.figure(cost).replace(' per clip', '')}: "
            f"{_whole(best, best.billed('amortised'))} over {span}, for "
            f"{present.percent(best.summary['served_share'].value)} of the clips wanted."
        )
    others = [part for part in report.parts if part is not best]
    beside = []
    for part in others:
        there = part.summary.get("usd_per_accepted_clip")
        beside.append(
            f"{part.name} {best.money(there.value)}" if there else f"{part.name} serves none"
        )
    return (
        f"{best.name} is cheapest, at {best.figure(cost).replace(' per clip', '')} an accepted "
        f"clip over {span}; {'; '.join(beside)}."
    )


def _span(part: Part) -> str:
    months = part.run.months
    if len(months) == 1:
        return months[0].name
    return f"{len(months)} months ({months[0].name} to {months[-1].name})"


def _whole(part: Part, amount: Decimal) -> str:
    """Return an amount of the report's currency to three digits."""
    shown = present.money(amount)
    code = part.currency.code
    return shown if code == "USD" else shown.replace("$", f"{code} ")


def _subtitle(report: Report) -> str:
    first = report.parts[0]
    days = sorted({part.scenario.date.isoformat() for part in report.parts})
    policies = list(dict.fromkeys(part.answer.policy.title for part in report.parts))
    said = f"{_span(first)} · routed by {', '.join(policies)} · prices as of {', '.join(days)}"
    if first.currency.code != "USD":
        rates = "; ".join(
            f"1 USD = {rate.per_usd:f} {first.currency.code} from {rate.day} ({rate.source})"
            for rate in first.currency.rates
        )
        said += f" · {rates}"
    return said


def _figures(part: Part) -> tuple[tuple[str, str, str], ...]:
    found = part.summary
    rows = []
    for name, label in (
        ("usd_per_accepted_clip", "Per accepted clip"),
        ("usd_cash", "To be paid"),
        ("usd_margin", "Margin"),
        ("accepted_clips", "Accepted clips"),
        ("served_share", "Served"),
        ("gpus", f"GPUs in {part.run.months[0].name}"),
    ):
        if name in found:
            item = found[name]
            shown = part.figure(item).replace(" per clip", "").replace(" GPUs", "")
            rows.append((label, shown.replace(" clips", ""), item.basis.value))
    return tuple(rows[:5])


# ── One scenario ──────────────────────────────────────────────────────────────────────────────


def _one(part: Part) -> list[Block]:
    blocks: list[Block] = [Heading(text="Month by month"), _columns(part), _months(part)]
    events = [f"{e.day}: {e.text}" for month in part.run.months for e in month.events]
    if events:
        blocks += [Words(text="What changes on its day:"), _listed(events)]
    blocks.append(Heading(text="What it is spent on"))
    for label, key in (("Route", _route), ("Segment", _segment)):
        blocks.append(_bill(part, label, key))
    if any(part.run.showback("cash")):
        blocks.append(_tenants(part))
    blocks += [Heading(text="Where the clips go"), _segments(part)]
    return [*blocks, *_assumed([part]), *_risks([part]), *_sources([part])]


def _route(charge: finance.Charge) -> str:
    return charge.item.route or charge.item.label


def _segment(charge: finance.Charge) -> str:
    return charge.item.segment or NO_SEGMENT


def _columns(part: Part) -> Chart:
    values = []
    rates = {month.name: month.starts for month in part.run.months}
    for month in part.run.months:
        rate = float(part.currency.on(rates[month.name]).per_usd)
        figures = month.figures()
        bill = figures["usd_amortised"]
        cash = float(figures["usd_cash"].value) * rate
        amount = float(bill.value) * rate
        values.append(
            charts.Value(
                label=month.name,
                value=amount,
                low=bill.range.low * rate if bill.range else None,
                high=bill.range.high * rate if bill.range else None,
                mark=None if abs(cash - amount) < 0.005 else cash,
            )
        )

    def say(amount: float) -> str:
        return _whole(part, Decimal(str(amount)))

    return Chart(
        said="Bill of each month, amortised, with its 90 % interval; a dot is what is to be paid "
        "in the month where that differs.",
        draw=lambda ink, font: charts.columns(
            values, names=("amortised", "to be paid (cash)"), say=say, ink=ink, font=font
        ),
    )


def _months(part: Part) -> Table:
    code = part.currency.code
    rows = []
    starts = part.run.terms.fiscal_year_starts
    for month in part.run.months:
        cash, amortised = (
            part.currency.amounts([month.micro(view)], month.starts)[0] for view in finance.VIEWS
        )
        clip = month.figures().get("usd_per_accepted_clip")
        rate = part.currency.on(month.starts).per_usd
        rows.append(
            (
                month.name,
                finance.fiscal(month.starts, starts).label,
                f"{cash:,}",
                f"{amortised:,}",
                f"{month.accepted:,.0f}",
                significant(Decimal(str(clip.value)) * rate) if clip else "–",
            )
        )
    rows.append(
        (
            "Total",
            "",
            f"{part.billed('cash'):,}",
            f"{part.billed('amortised'):,}",
            f"{sum(month.accepted for month in part.run.months):,.0f}",
            "",
        )
    )
    header = ("Month", "Fiscal", f"Cash {code}", f"Amortised {code}", "Accepted", f"{code} a clip")
    return Table(header=header, rows=tuple(rows), texts=2, totalled=True)


def _bill(part: Part, label: str, key: Callable[[finance.Charge], str]) -> Table:
    cash, amortised = (part.statement(view, key) for view in finance.VIEWS)
    return _summed(part, label, cash, amortised)


def _tenants(part: Part) -> Table:
    cash, amortised = (
        {name or "no tenant": amount for name, amount in part.owed(view).items()}
        for view in finance.VIEWS
    )
    return _summed(part, "Tenant", cash, amortised)


def _summed(
    part: Part, label: str, cash: dict[str, Decimal], amortised: dict[str, Decimal]
) -> Table:
    """Return amounts by name, largest first, and their sum; the smallest join where many."""
    names = sorted(amortised, key=lambda name: (-amortised[name], name))
    rows: list[tuple[str, ...]] = [
        (name, f"{cash[name]:,}", f"{amortised[name]:,}") for name in names[:MOST_ROWS]
    ]
    rest = names[MOST_ROWS:]
    if rest:
        both = [sum((one[name] for name in rest), Decimal(0)) for one in (cash, amortised)]
        rows.append((f"{len(rest)} more", *(f"{amount:,}" for amount in both)))
    totals = [sum(one.values(), Decimal(0)) for one in (cash, amortised)]
    rows.append(("Total", *(f"{amount:,}" for amount in totals)))
    code = part.currency.code
    return Table(
        header=(label, f"Cash {code}", f"Amortised {code}"), rows=tuple(rows), totalled=True
    )


def _segments(part: Part) -> Table:
    rows = [
        (
            result.segment.name,
            result.route or "none",
            present.percent(result.segment.share),
            f"{result.accepted:,.0f}",
            part.money(result.per_accepted.value) if result.per_accepted else "–",
        )
        for result in part.answer.segments
    ]
    month = part.scenario.date.strftime("%Y-%m")
    return Table(
        header=("Segment", f"Route in {month}", "Wanted", "Accepted", "An accepted clip"),
        rows=_capped(rows),
        texts=2,
    )


# ── Several scenarios ─────────────────────────────────────────────────────────────────────────

_COMPARED = {
    "usd_per_accepted_clip": "An accepted clip",
    "usd_cash": "To be paid",
    "usd_amortised": "Amortised",
    "usd_margin": "Margin",
    "accepted_clips": "Accepted clips",
    "served_share": "Served",
    "gpus": "GPUs in the first month",
    "utilisation": "GPUs busy",
    "mean_rating": "Mean rating of the pictures",
}


def _several(report: Report) -> list[Block]:
    parts = report.parts
    names = tuple(part.name for part in parts)
    rows = [
        (
            label,
            *(
                part.figure(part.summary[name]).replace(" per clip", "")
                if name in part.summary
                else "–"
                for part in parts
            ),
        )
        for name, label in _COMPARED.items()
        if any(name in part.summary for part in parts)
    ]
    rows.append(("Routed by", *(part.answer.policy.title for part in parts)))
    blocks: list[Block] = [
        Heading(text="Side by side"),
        _bars(parts),
        Table(header=("", *names), rows=tuple(rows), texts=1 + len(parts)),
        Heading(text="Month by month, amortised"),
        _side_by_side(parts),
        Heading(text="Why they differ"),
        *(block for change in report.changes for block in _why(report, change)),
    ]
    return [*blocks, *_assumed(parts), *_risks(parts), *_sources(parts)]


def _bars(parts: Sequence[Part]) -> Chart:
    values = [
        charts.Value(
            label=part.name,
            value=float(item.value) * rate,
            low=item.range.low * rate if item.range else None,
            high=item.range.high * rate if item.range else None,
        )
        for part in parts
        if (item := part.summary.get("usd_per_accepted_clip"))
        for rate in (float(part.currency.on(part.starts).per_usd),)
    ]
    code = parts[0].currency.code
    return Chart(
        said="Cost of an accepted clip with its 90 % interval.",
        draw=lambda ink, font: charts.bars(
            values,
            name=f"{code} per accepted clip",
            say=lambda amount: _whole(parts[0], Decimal(str(amount))),
            ink=ink,
            font=font,
        ),
    )


def _side_by_side(parts: Sequence[Part]) -> Table:
    code = parts[0].currency.code
    named = {month.name: month.starts for part in parts for month in part.run.months}
    rows = []
    for name in sorted(named):
        cells = []
        for part in parts:
            month = next((one for one in part.run.months if one.name == name), None)
            cells.append(
                f"{part.currency.amounts([month.micro('amortised')], month.starts)[0]:,}"
                if month
                else "–"
            )
        rows.append((name, *cells))
    rows.append(("Total", *(f"{part.billed('amortised'):,}" for part in parts)))
    return Table(
        header=("Month", *(f"{part.name}, {code}" for part in parts)),
        rows=tuple(rows),
        totalled=True,
    )


def _why(report: Report, change: comparison.Comparison) -> list[Block]:
    names = {part.scenario.id: part.name for part in report.parts}
    first, second = names[change.before.scenario.id], names[change.after.scenario.id]
    if not change.changes:
        return [Words(text=f"{second} differs from {first} in nothing that moves money.")]
    money = report.parts[0].currency
    amounts = money.amounts([*(one.micro_usd for one in change.changes)], report.parts[0].starts)
    rows = [
        (one.name, "; ".join(one.words), f"{amount:+,}")
        for one, amount in zip(change.changes, amounts, strict=True)
    ]
    rows.append(("Difference", "", f"{sum(amounts, Decimal(0)):+,}"))
    return [
        Words(
            text=f"What each change from {first} to {second} adds to the bill of one month at the "
            "prices of the scenario's day (its Shapley value, so that the parts sum):"
        ),
        Table(
            header=("Change", "What", f"{money.code} a month"),
            rows=tuple(rows),
            texts=2,
            totalled=True,
        ),
    ]


# ── What it rests on ──────────────────────────────────────────────────────────────────────────


def _assumed(parts: Sequence[Part]) -> list[Block]:
    settings = []
    for part in parts:
        lead = f"{part.name}: " if len(parts) > 1 else ""
        settings += [f"{lead}{said}" for said in _settings(part)]
    rows = [
        (leaf.name, present.number(leaf.value, leaf.unit), leaf.basis.value, leaf.ref)
        for leaf in _each(parts, lambda part: part.assumptions)
    ]
    return [
        Heading(text="What is assumed, and how it is known"),
        _listed(settings),
        Table(header=("Assumption", "Value", "Known", "From"), rows=_capped(rows), texts=4),
    ]


def _settings(part: Part) -> list[str]:
    asked, mix, terms = part.scenario, part.run.mix, part.run.terms
    said = [
        f"Prices are those of {asked.date}; later months take the changes known by then.",
        f"Traffic: {mix.title}, growing {mix.growth_per_month * 100:g} % a month.",
        f"95 % of people wait at most {asked.p95_wait_s:g} s for a free GPU in the busiest hour.",
    ]
    for one in asked.deployments:
        price = f"{one.usd_per_gpu_hour:f} USD agreed" if one.usd_per_gpu_hour else one.offer
        said.append(
            f"{one.route}: {one.gpus_per_clip} GPU{'s'[: one.gpus_per_clip > 1]} a clip, {price}."
        )
    entered = {
        "reserved": [one.name for one in terms.reserved],
        "owned": [one.name for one in terms.owned],
        "prepaid": [one.name for one in terms.balances],
        "credit": [one.name for one in terms.credits],
        "correction": [one.name for one in terms.corrections],
    }
    said += [f"Entered: {kind} {name}." for kind, names in entered.items() for name in names]
    said += [
        f"Entered: {one.route or (one.deployment and one.deployment.route)} comes on {one.day}."
        for one in terms.launches
    ]
    if terms.contingency:
        said.append(
            f"Contingency of {(terms.contingency * 100).normalize():f} % on top of the charges."
        )
    if terms.tax:
        said.append(
            f"{terms.tax_name} of {(terms.tax * 100).normalize():f} % of charges and contingency."
        )
    if terms.usd_per_accepted_clip is not None:
        said.append(f"An accepted clip is sold for {terms.usd_per_accepted_clip:f} USD.")
    if terms.active_users is not None:
        said.append(f"{terms.active_users:,.0f} active users in the first month.")
    if terms.fiscal_year_starts != 1:
        said.append(f"The fiscal year starts in month {terms.fiscal_year_starts}.")
    return said


def _risks(parts: Sequence[Part]) -> list[Block]:
    said = []
    for part in parts:
        lead = f"{part.name}: " if len(parts) > 1 else ""
        unserved = float(part.summary["unserved_share"].value)
        if unserved:
            said.append(f"{lead}{present.percent(unserved)} of the clips wanted are not served.")
        said += [f"{lead}{text}" for text in part.warnings]
        said += [
            f"{lead}uncertain: {item.name} on {route}, {part.figure(item)}, {item.basis.value}."
            for route, item in part.widest[:MOST_WIDEST]
        ]
    return [
        Heading(text="What could be wrong"),
        _listed(list(dict.fromkeys(said))) if said else Words(text="Nothing known is in doubt."),
    ]


def _sources(parts: Sequence[Part]) -> list[Block]:
    prices = [
        (
            leaf.ref or leaf.name,
            f"{present.significant(leaf.value, 6)} {leaf.unit}",
            leaf.basis.value,
            _read_from(leaf),
        )
        for leaf in _each(parts, lambda part: part.prices)
    ]
    runs = [
        (leaf.name, present.figure(leaf), leaf.basis.value, _read_from(leaf) or leaf.ref)
        for leaf in _each(parts, lambda part: part.measurements)
    ]
    header = ("Row", "Value", "Known", "Read from")
    blocks: list[Block] = [Heading(text="Where the figures come from")]
    if prices:
        blocks += [Words(text="Prices:"), Table(header=header, rows=_capped(prices), texts=4)]
    if runs:
        blocks += [
            Words(text="Measurements and what they are fitted with:"),
            Table(header=header, rows=_capped(runs), texts=4),
        ]
    hashes = "; ".join(
        f"{part.scenario.id} {part.run.figures()['summary/usd_cash'].content_hash[:16]}"
        for part in parts
    )
    blocks.append(
        Words(
            text=f"Content hash of the bill: {hashes}. The workbook has every line; the JSON "
            "report opens each figure to its rows, and costlab verify recomputes it."
        )
    )
    return blocks


def _read_from(leaf: Figure) -> str:
    if leaf.source is None:
        return ""
    seen = leaf.source.seen or "undated"
    return f"{leaf.source.publisher}, {leaf.source.document}, {seen}"


def _each(parts: Sequence[Part], pick: Callable[[Part], Sequence[Figure]]) -> list[Figure]:
    """Return the leaves of all parts, each once."""
    found = {(leaf.ref, leaf.name, str(leaf.value)): leaf for part in parts for leaf in pick(part)}
    return list(found.values())


def _capped(rows: Sequence[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    """Return the first rows, and how many more the workbook has."""
    if len(rows) <= MOST_ROWS:
        return tuple(rows)
    width = len(rows[0])
    more = f"{len(rows) - MOST_ROWS + 1} more in the workbook"
    return (*rows[: MOST_ROWS - 1], (more, *[""] * (width - 1)))


def _listed(said: Sequence[str]) -> Points:
    if len(said) <= MOST_ROWS:
        return Points(items=tuple(said))
    return Points(items=(*said[: MOST_ROWS - 1], f"{len(said) - MOST_ROWS + 1} more"))
