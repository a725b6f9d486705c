"""The workbook: lines as billed, and every sum a live formula over them.

Lines ─▶ Months ─▶ Summary        each formula has its value written beside it, and the checks
      └▶ Segments, Models, …      of the summary are formulas that come to 0
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from costlab import finance, lineage
from costlab.core import Figure, Range, plain, usd
from costlab.finance import Charge
from costlab.report import safe
from costlab.report.content import Part, Report, flat
from costlab.report.paper import NO_SEGMENT, answer

MONEY, COUNT, SHARE, DAY = "#,##0.00####", "#,##0.######", "0.0 %", "yyyy-mm-dd"
CASH, AMORTISED = "Cash USD", "Amortised USD"
VIEW_COLUMNS: dict[finance.View, str] = {"cash": CASH, "amortised": AMORTISED}
KEYS: dict[str, Callable[[Charge], str]] = {
    "Segment": lambda charge: charge.item.segment or NO_SEGMENT,
    "Route": lambda charge: charge.item.route or charge.item.label,
    "Model": lambda charge: charge.item.model or charge.item.label,
}
"""What lines are summed by; each is a column of theirs."""
_WIDEST = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """A formula and the value it comes to."""

    text: str
    value: float


Cell = str | int | float | Decimal | date | Formula | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column's heading and how its numbers look."""

    name: str
    look: str = ""


@dataclass(slots=True)
class Sheet:
    """A sheet being filled: headings in the first row, then rows; it knows where cells stand."""

    name: str
    columns: Sequence[Column]
    rows: list[list[Cell]] = field(default_factory=list)
    strong: set[int] = field(default_factory=set)

    def add(self, *cells: Cell, strong: bool = False) -> int:
        """Add a row; return its number as a spreadsheet counts."""
        self.rows.append(list(cells))
        number = len(self.rows) + 1
        if strong:
            self.strong.add(number)
        return number

    @property
    def next(self) -> int:
        """The number of the next row."""
        return len(self.rows) + 2

    def value(self, column: str, row: int) -> float:
        """Return the number that a cell holds or comes to."""
        cell = self.rows[row - 2][[one.name for one in self.columns].index(column)]
        assert isinstance(cell, Formula | int | float | Decimal)
        return cell.value if isinstance(cell, Formula) else float(cell)

    def letter(self, column: str) -> str:
        """Return a column's letter."""
        from xlsxwriter.utility import xl_col_to_name

        return str(xl_col_to_name([one.name for one in self.columns].index(column)))

    def here(self, column: str, row: int) -> str:
        """Return a cell's address for a formula of the same sheet."""
        return f"{self.letter(column)}{row}"

    def span(self, column: str, first: int, last: int) -> str:
        """Return rows of a column for a formula of any sheet."""
        at = self.letter(column)
        return f"'{self.name}'!${at}${first}:${at}${last}"


def workbook(report: Report) -> bytes:
    """Return a report as an Excel workbook; the same report gives the same bytes."""
    lines, places = _lines(report)
    months, totals = _months(report, lines, places)
    groups = [
        *(_group(report, lines, places, column) for column in KEYS),
        _tenants(report, lines, places),
    ]
    sheets = [
        _summary(report, months, totals, lines, places, groups),
        months,
        *(sheet for sheet, _ in groups),
        lines,
        *(_changes(report) if report.changes else ()),
        *(_statement(report) if report.parts[0].currency.code != "USD" else ()),
        _assumptions(report),
        _leaves(report, "Prices used", lambda part: part.prices),
        _leaves(report, "Measurements used", lambda part: part.measurements),
        _warnings(report),
    ]
    return _written(sheets, report.parts[0].scenario.date)


# ── Lines ─────────────────────────────────────────────────────────────────────────────────────

_LINE_COLUMNS = (
    Column(name="Scenario"), Column(name="Month"), Column(name="From", look=DAY),
    Column(name="To", look=DAY), Column(name="Category"), Column(name="Seller"),
    Column(name="Line"), Column(name="Route"), Column(name="Model"), Column(name="Segment"),
    Column(name="Tenant"), Column(name="Term"), Column(name="Used or not"),
    Column(name="Quantity", look=COUNT), Column(name="Unit"),
    Column(name="List price", look=COUNT), Column(name="Agreed price", look=COUNT),
    Column(name="List USD", look=MONEY), Column(name="Contracted USD", look=MONEY),
    Column(name=AMORTISED, look=MONEY), Column(name=CASH, look=MONEY),
    Column(name="Known"), Column(name="Price row"), Column(name="Hash"),
)  # fmt: skip

Places = dict[tuple[str, str], tuple[int, int]]
"""First and last row of the lines of a scenario's month; month "" is the whole run."""


def _lines(report: Report) -> tuple[Sheet, Places]:
    sheet = Sheet("Lines", _LINE_COLUMNS)
    places: Places = {}
    for part in report.parts:
        start = sheet.next
        tenants = _tenant_names(part)
        for month in part.run.months:
            first = sheet.next
            for charge in month.charges:
                owner = charge.item.tenant if charge.item.segment else None
                _line(sheet, part, month.name, tenants[owner], charge)
            places[part.name, month.name] = (first, sheet.next - 1)
        places[part.name, ""] = (start, sheet.next - 1)
    return sheet, places


def _tenant_names(part: Part) -> dict[str | None, str]:
    """Return what each tenant is called, nobody ("") and everybody (None) too, all different."""
    found: dict[str | None, str] = {}
    for tenant in part.run.showback("cash"):
        if tenant:
            found[tenant] = _unused(safe.cell(tenant), found)
    found[""] = _unused("no tenant", found)
    found[None] = _unused("shared by all", found)
    return found


def _unused(name: str, taken: Mapping[str | None, str]) -> str:
    while name in taken.values():
        name += "*"
    return name


def _line(sheet: Sheet, part: Part, month: str, tenant: str, charge: Charge) -> None:
    item, row = charge.item, sheet.next
    quantity = None if charge.quantity_nano is None else Decimal(charge.quantity_nano).scaleb(-9)
    amounts = {
        "List USD": (charge.list_micro, item.list_usd, "List price"),
        "Contracted USD": (charge.contracted_micro, item.usd, "Agreed price"),
    }
    priced: dict[str, Cell] = {}
    for name, (micro, price, column) in amounts.items():
        priced[name] = usd(micro)
        if quantity is not None and price is not None and _product(quantity, price) == micro:
            cells = sheet.here("Quantity", row), sheet.here(column, row)
            priced[name] = Formula(text=f"=ROUND({cells[0]}*{cells[1]},6)", value=float(usd(micro)))
    agreed = sheet.here("Contracted USD", row)
    billed: dict[str, Cell] = {
        name: Formula(text=f"={agreed}", value=float(usd(micro)))
        if micro == charge.contracted_micro
        else usd(micro)
        for name, micro in ((AMORTISED, charge.effective_micro), (CASH, charge.billed_micro))
    }
    rests_on = lineage.leaves(item.proof) if item.proof else ()
    refs = [leaf.ref for leaf in rests_on if leaf.unit.startswith("USD")]
    sheet.add(
        part.name, month, charge.starts, charge.ends, item.category, item.seller, item.label,
        *(KEYS[name](charge) for name in ("Route", "Model", "Segment")), tenant, item.term,
        item.status,
        quantity, item.unit, item.list_usd, item.usd,
        priced["List USD"], priced["Contracted USD"], billed[AMORTISED], billed[CASH],
        item.basis, ", ".join(dict.fromkeys(refs)),
        item.proof.content_hash[:16] if item.proof else "",
    )  # fmt: skip


def _product(quantity: Decimal, price: Decimal) -> int:
    """Return what a spreadsheet's ROUND(quantity × price, 6) comes to, in micro-dollars."""
    product = Decimal(repr(float(quantity) * float(price)))
    return int(product.scaleb(6).quantize(Decimal(1), rounding=ROUND_HALF_UP))


# ── Months ────────────────────────────────────────────────────────────────────────────────────

_MONTH_COLUMNS = (
    Column(name="Scenario"), Column(name="Month"), Column(name="Fiscal"),
    Column(name="Clips wanted", look=COUNT), Column(name="Clips served", look=COUNT),
    Column(name="Accepted clips", look=COUNT), Column(name="Accepted seconds", look=COUNT),
    Column(name=CASH, look=MONEY), Column(name=AMORTISED, look=MONEY),
    Column(name="Amortised, low", look=MONEY), Column(name="Amortised, high", look=MONEY),
    Column(name="USD per accepted clip", look=MONEY), Column(name="USD per second", look=MONEY),
    Column(name="Active users", look=COUNT), Column(name="USD per active user", look=MONEY),
    Column(name="Sold USD", look=MONEY), Column(name="Margin USD", look=MONEY),
    Column(name="What changes"),
)  # fmt: skip
_SUMMED = ("Clips wanted", "Clips served", "Accepted clips", "Accepted seconds", CASH, AMORTISED)


def _months(report: Report, lines: Sheet, places: Places) -> tuple[Sheet, dict[str, int]]:
    """Return the sheet of months and, by scenario, the row of its total."""
    sheet = Sheet("Months", _MONTH_COLUMNS)
    totals = {}
    for part in report.parts:
        first = sheet.next
        starts = part.run.terms.fiscal_year_starts
        for month in part.run.months:
            row = sheet.next
            bill = month.figures()["usd_amortised"].range
            sold = None if month.sold_micro is None else usd(month.sold_micro)
            span = places[part.name, month.name]
            sheet.add(
                part.name, month.name, finance.fiscal(month.starts, starts).label,
                _counted(month.wanted), _counted(month.served), _counted(month.accepted),
                _counted(month.accepted_seconds),
                *(_sum(lines.span(name, *span), month.micro(view), span)
                  for view, name in VIEW_COLUMNS.items()),
                *_ends(bill),
                *_ratios(sheet, row, month.micro("amortised"), month.accepted,
                         month.accepted_seconds),
                None if month.active_users is None else _counted(month.active_users),
                _over(sheet, row, month.micro("amortised"), "Active users", month.active_users),
                sold, _margin(sheet, row, month.sold_micro, month.micro("amortised")),
                "; ".join(f"{event.day} {event.text}" for event in month.events),
            )  # fmt: skip
        totals[part.name] = _month_total(sheet, part, first)
    return sheet, totals


def _month_total(sheet: Sheet, part: Part, first: int) -> int:
    months, row = part.run.months, sheet.next
    sums = {
        "Clips wanted": sum(_counted(month.wanted) for month in months),
        "Clips served": sum(_counted(month.served) for month in months),
        "Accepted clips": sum(_counted(month.accepted) for month in months),
        "Accepted seconds": sum(_counted(month.accepted_seconds) for month in months),
        CASH: float(usd(part.run.micro("cash"))),
        AMORTISED: float(usd(part.run.micro("amortised"))),
    }
    cells: list[Cell] = [
        Formula(text=f"=SUM({sheet.span(name, first, row - 1)})", value=float(sums[name]))
        for name in _SUMMED
    ]
    sold = None
    total_sold: Cell = None
    if part.run.terms.usd_per_accepted_clip is not None:
        sold = sum(month.sold_micro or 0 for month in months)
        total_sold = Formula(
            text=f"=SUM({sheet.span('Sold USD', first, row - 1)})", value=float(usd(sold))
        )
    whole = part.run.micro("amortised")
    return sheet.add(
        part.name, "Total", "", *cells, None, None,
        *_ratios(sheet, row, whole, sums["Accepted clips"], sums["Accepted seconds"]),
        None, None, total_sold, _margin(sheet, row, sold, whole), "",
        strong=True,
    )  # fmt: skip


def _sum(span: str, micro: int, rows: tuple[int, int]) -> Cell:
    """Return the sum of some lines; 0 where there is no line."""
    return Formula(text=f"=SUM({span})", value=float(usd(micro))) if rows[0] <= rows[1] else 0


def _ratios(sheet: Sheet, row: int, micro: int, clips: float, seconds: float) -> list[Cell]:
    return [
        _over(sheet, row, micro, "Accepted clips", clips),
        _over(sheet, row, micro, "Accepted seconds", seconds),
    ]


def _over(sheet: Sheet, row: int, micro: int, column: str, count: float | None) -> Cell:
    """Return the amortised bill of a row over one of its columns; nothing where that is 0."""
    if not count:
        return None
    return Formula(
        text=f"={sheet.here(AMORTISED, row)}/{sheet.here(column, row)}",
        value=float(usd(micro)) / _counted(count),
    )


def _margin(sheet: Sheet, row: int, sold: int | None, micro: int) -> Cell:
    if sold is None:
        return None
    return Formula(
        text=f"={sheet.here('Sold USD', row)}-{sheet.here(AMORTISED, row)}",
        value=float(usd(sold - micro)),
    )


def _ends(span: Range | None) -> tuple[Cell, Cell]:
    return (_counted(span.low), _counted(span.high)) if span else (None, None)


def _counted(value: float) -> float:
    return float(plain(float(value)))


# ── Groups ────────────────────────────────────────────────────────────────────────────────────

Group = tuple[Sheet, dict[str, int]]
"""A sheet of sums by name and, by scenario, the row of its total."""


def _group(report: Report, lines: Sheet, places: Places, column: str) -> Group:
    """Return the lines summed by one of their columns."""
    looks = [Column(name=name, look=MONEY) for name in VIEW_COLUMNS.values()]
    sheet = Sheet(
        f"{column}s",
        [Column(name="Scenario"), Column(name=column), *looks, Column(name="Share", look=SHARE)],
    )
    totals = {}
    for part in report.parts:
        found: dict[str, list[Charge]] = {}
        for charge in part.run.charges:
            found.setdefault(safe.cell(KEYS[column](charge)), []).append(charge)
        first = sheet.next
        last = first + len(found)
        for name, charges in sorted(found.items()):
            row = sheet.next
            sums = [
                _matching(sheet, lines, column, row, shown, places[part.name, ""],
                          finance.total(charges, view))
                for view, shown in VIEW_COLUMNS.items()
            ]  # fmt: skip
            sheet.add(part.name, name, *sums, _share(sheet, last, part, charges))
        totals[part.name] = _total(sheet, part, first)
    return sheet, totals


def _matching(
    sheet: Sheet,
    lines: Sheet,
    column: str,
    row: int,
    amount: str,
    span: tuple[int, int],
    micro: int,
) -> Formula:
    """Return the sum of the lines whose ``column`` is exactly what this row's says."""
    return Formula(
        text=f"=SUMPRODUCT(EXACT({lines.span(column, *span)},{sheet.here(column, row)})"
        f"*{lines.span(amount, *span)})",
        value=float(usd(micro)),
    )


def _share(sheet: Sheet, last: int, part: Part, charges: Sequence[Charge]) -> Cell:
    whole = part.run.micro("amortised")
    if not whole:
        return None
    at = sheet.letter(AMORTISED)
    return Formula(
        text=f"={at}{sheet.next}/{at}${last}",
        value=finance.total(charges, "amortised") / whole,
    )


def _total(sheet: Sheet, part: Part, first: int) -> int:
    row = sheet.next
    sums = [
        _sum(sheet.span(name, first, row - 1), part.run.micro(view), (first, row - 1))
        for view, name in VIEW_COLUMNS.items()
    ]
    return sheet.add(part.name, "Total", *sums, strong=True)


def _tenants(report: Report, lines: Sheet, places: Places) -> Group:
    """Return what each tenant owes: its own lines, and its part of what no segment caused."""
    columns = [Column(name="Scenario"), Column(name="Tenant")]
    for name in VIEW_COLUMNS.values():
        columns += [Column(name=f"{name}, own lines", look=MONEY)]
        columns += [Column(name=f"{name}, shared", look=MONEY), Column(name=name, look=MONEY)]
    sheet = Sheet("Tenants", columns)
    totals = {}
    for part in report.parts:
        names = _tenant_names(part)
        owed = {view: part.run.showback(view) for view in finance.VIEWS}
        first = sheet.next
        for tenant in owed["cash"]:
            row = sheet.next
            cells: list[Cell] = []
            for view, name in VIEW_COLUMNS.items():
                own = sum(
                    charge.micro(view)
                    for charge in part.run.charges
                    if charge.item.segment and charge.item.tenant == tenant
                )
                total = sum(owed[view][tenant])
                span = places[part.name, ""]
                cells.append(
                    _matching(sheet, lines, "Tenant", row, name, span, own)
                    if part.run.charges
                    else 0
                )
                cells.append(usd(total - own))
                ends = (sheet.here(f"{name}, {of}", row) for of in ("own lines", "shared"))
                cells.append(Formula(text=f"={'+'.join(ends)}", value=float(usd(total))))
            sheet.add(part.name, names[tenant], *cells)
        row = sheet.next
        sums: list[Cell] = []
        for view, name in VIEW_COLUMNS.items():
            whole = _sum(sheet.span(name, first, row - 1), part.run.micro(view), (first, row - 1))
            sums += [None, None, whole]
        totals[part.name] = sheet.add(part.name, "Total", *sums, strong=True)
    return sheet, totals


# ── Summary ───────────────────────────────────────────────────────────────────────────────────

_OF_MONTHS = {
    "usd_cash": CASH,
    "usd_amortised": AMORTISED,
    "accepted_clips": "Accepted clips",
    "usd_per_accepted_clip": "USD per accepted clip",
    "usd_per_second": "USD per second",
    "usd_sold": "Sold USD",
    "usd_margin": "Margin USD",
}


def _summary(
    report: Report,
    months: Sheet,
    totals: dict[str, int],
    lines: Sheet,
    places: Places,
    groups: Sequence[Group],
) -> Sheet:
    sheet = Sheet(
        "Summary",
        [
            Column(name="Scenario"), Column(name="Figure"), Column(name="Value", look=MONEY),
            Column(name="Unit"), Column(name="Low", look=MONEY), Column(name="High", look=MONEY),
            Column(name="Known"), Column(name="Known as well as"), Column(name="Formula"),
        ],
    )  # fmt: skip
    sheet.add("", answer(report), strong=True)
    for part in report.parts:
        for name, figure in part.summary.items():
            value: Cell = _number(figure)
            if name in _OF_MONTHS:
                column, row = _OF_MONTHS[name], totals[part.name]
                value = Formula(
                    text=f"='{months.name}'!{months.here(column, row)}",
                    value=months.value(column, row),
                )
            span = figure.range
            sheet.add(
                part.name, name.replace("_", " ").replace("usd", "USD"), value, figure.unit,
                *_ends(span), figure.basis.value,
                figure.weakest_input.name, figure.formula,
            )  # fmt: skip
    checks = []
    for part in report.parts:
        for view, name in VIEW_COLUMNS.items():
            first, last = places[part.name, ""]
            if first > last:
                continue
            whole = f"SUM({lines.span(name, first, last)})"
            for other, ends in ((months, totals), *groups):
                cell = f"'{other.name}'!{other.letter(name)}{ends[part.name]}"
                checks.append(
                    sheet.add(
                        part.name, f"Check: {other.name} less lines, {view}",
                        Formula(text=f"=ROUND({cell}-{whole},6)", value=0.0), "USD",
                    )
                )  # fmt: skip
    if checks:
        at = sheet.letter("Value")
        sheet.add(
            "", "All checks (0: everything reconciles)",
            Formula(text=f"=SUMSQ({at}{checks[0]}:{at}{checks[-1]})", value=0.0), "",
            strong=True,
        )  # fmt: skip
    return sheet


def _number(figure: Figure) -> Cell:
    value = figure.value
    return value if isinstance(value, Decimal | int) else _counted(value)


# ── What it rests on ──────────────────────────────────────────────────────────────────────────


def _changes(report: Report) -> list[Sheet]:
    sheet = Sheet(
        "Changes",
        [
            Column(name="From"), Column(name="To"), Column(name="Change"), Column(name="What"),
            Column(name="USD a month", look=MONEY),
        ],
    )  # fmt: skip
    names = {part.scenario.id: part.name for part in report.parts}
    for one in report.changes:
        ends = names[one.before.scenario.id], names[one.after.scenario.id]
        first = sheet.next
        for change in one.changes:
            sheet.add(*ends, change.name, "; ".join(change.words), usd(change.micro_usd))
        span = sheet.span("USD a month", first, sheet.next - 1)
        total = _sum(span, one.micro_usd, (first, sheet.next - 1))
        sheet.add(*ends, "Difference", "", total, strong=True)
    return [sheet]


def _statement(report: Report) -> list[Sheet]:
    """Return the bill by route and month in the report's currency, in the cents of an invoice."""
    code = report.parts[0].currency.code
    names = list(dict.fromkeys(m.name for part in report.parts for m in part.run.months))
    sheet = Sheet(
        f"In {code}",
        [
            Column(name="Scenario"), Column(name="View"), Column(name="Route"),
            *(Column(name=name, look=MONEY) for name in names), Column(name="Total", look=MONEY),
            Column(name="Rate from"),
        ],
    )  # fmt: skip
    for part in report.parts:
        months = {month.name: month for month in part.run.months}
        rates = [
            part.currency.on(months[name].starts) if name in months else None for name in names
        ]
        said = dict.fromkeys(f"{rate.day}: {rate.source}" for rate in rates if rate)
        sheet.add(
            part.name, "", f"{code} for one USD",
            *(rate.per_usd if rate else None for rate in rates), None, "; ".join(said),
        )  # fmt: skip
        for view in finance.VIEWS:
            first = sheet.next
            bill = part.run.statement(view, lambda c: c.item.route or c.item.label)
            for route, amounts in bill.items():
                row = sheet.next
                by_month = dict(zip(months, amounts, strict=True))
                ends = sheet.here(names[0], row), sheet.here(names[-1], row)
                total = Formula(text=f"=SUM({ends[0]}:{ends[1]})", value=float(sum(amounts)))
                sheet.add(part.name, view, route, *(by_month.get(name) for name in names), total)
            last = sheet.next - 1
            sums = [
                Formula(
                    text=f"=SUM({sheet.span(name, first, last)})",
                    value=float(
                        sum(part.currency.amounts([months[name].micro(view)], months[name].starts))
                    )
                    if name in months
                    else 0.0,
                )
                for name in names
            ]
            whole = Formula(
                text=f"=SUM({sheet.span('Total', first, last)})", value=float(part.billed(view))
            )
            if first <= last:
                sheet.add(part.name, view, "Total", *sums, whole, strong=True)
    return [sheet]


def _assumptions(report: Report) -> Sheet:
    sheet = Sheet(
        "Assumptions",
        [Column(name="Scenario"), Column(name="Of"), Column(name="Assumption"),
         Column(name="Value"), Column(name="Unit"), Column(name="Known")],
    )  # fmt: skip
    for part in report.parts:
        entered = {
            "scenario": part.scenario,
            "traffic": part.run.mix,
            "policy": part.answer.policy,
            "terms": part.run.terms,
        }
        for kind, record in entered.items():
            for name, value in flat(plain(record)).items():
                shown = str(value) if isinstance(value, bool) else value
                sheet.add(part.name, kind, name, shown, "", "entered")
        for leaf in part.assumptions:
            sheet.add(part.name, leaf.ref, leaf.name, _number(leaf), leaf.unit, leaf.basis.value)
    return sheet


def _leaves(report: Report, title: str, pick: Callable[[Part], Sequence[Figure]]) -> Sheet:
    """Return the rows that figures rest on, each with where it was read."""
    sheet = Sheet(
        title,
        [
            Column(name="Scenario"), Column(name="Row"), Column(name="What"),
            Column(name="Value", look=COUNT), Column(name="Unit"), Column(name="Low", look=COUNT),
            Column(name="High", look=COUNT), Column(name="Known"), Column(name="Publisher"),
            Column(name="Document"), Column(name="Where in it"), Column(name="Seen"),
            Column(name="Read on", look=DAY), Column(name="Valid from"), Column(name="Valid to"),
            Column(name="Note"),
        ],
    )  # fmt: skip
    for part in report.parts:
        for leaf in pick(part):
            source, span = leaf.source, leaf.range
            row = lineage.raw(leaf) or {}
            sheet.add(
                part.name, leaf.ref, leaf.name, _number(leaf), leaf.unit,
                *_ends(span), leaf.basis.value,
                *(
                    (source.publisher, source.document, source.locator or "",
                     source.seen or "undated", source.read_on)
                    if source
                    else ("", "", "", "", None)
                ),
                str(row.get("valid_from", "")), str(row.get("valid_to", "")),
                source.note if source else "",
            )  # fmt: skip
    return sheet


def _warnings(report: Report) -> Sheet:
    sheet = Sheet("Warnings", [Column(name="Scenario"), Column(name="What to know")])
    for part in report.parts:
        for text in part.warnings:
            sheet.add(part.name, text)
    return sheet


# ── Writing ───────────────────────────────────────────────────────────────────────────────────


def _written(sheets: Sequence[Sheet], day: date) -> bytes:
    import xlsxwriter

    held = io.BytesIO()
    book = xlsxwriter.Workbook(
        held,
        {
            "in_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        },
    )
    book.set_properties({"created": datetime(day.year, day.month, day.day)})  # noqa: DTZ001
    head = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
    looks: dict[tuple[str, bool], Any] = {}
    for sheet in sheets:
        page = book.add_worksheet(safe.sheet_name(sheet.name))
        page.freeze_panes(1, 0)
        for number, column in enumerate(sheet.columns):
            page.write_string(0, number, safe.cell(column.name), head)
            shown = [len(str(row[number])) for row in sheet.rows[:200] if _is_text(row, number)]
            page.set_column(number, number, min(max([len(column.name), 12, *shown]) + 1, _WIDEST))
        for row, cells in enumerate(sheet.rows, 1):
            strong = row + 1 in sheet.strong
            for number, cell in enumerate(cells):
                look = sheet.columns[number].look
                if (look, strong) not in looks:
                    looks[look, strong] = book.add_format(
                        ({"num_format": look} if look else {}) | ({"bold": True} if strong else {})
                    )
                _write(page, row, number, cell, looks[look, strong])
    book.close()
    return held.getvalue()


def _is_text(row: Sequence[Cell], number: int) -> bool:
    return number < len(row) and isinstance(row[number], str)


def _write(page: Any, row: int, column: int, cell: Cell, look: Any) -> None:
    match cell:
        case None:
            return
        case Formula():
            page.write_formula(row, column, cell.text, look, cell.value)
        case str():
            page.write_string(row, column, safe.cell(cell), look)
        case date():
            page.write_datetime(row, column, datetime(cell.year, cell.month, cell.day), look)  # noqa: DTZ001
        case _:
            page.write_number(row, column, float(cell), look)
