"""A report as one tidy table: a row for each figure and each billed line.

Money stands twice: as a decimal (text in CSV) and, where it is a bill, as whole millionths of a
dollar, exact in every format.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from costlab import finance
from costlab.core import Figure, plain, usd
from costlab.report import safe
from costlab.report.content import Part, Report

COLUMNS = (
    "scenario", "month", "fiscal", "section", "item", "route", "model", "segment", "tenant",
    "category", "quantity", "value", "micro_usd", "unit", "basis", "low", "high", "weakest_input",
    "formula", "hash",
)  # fmt: skip
_NUMBERS = ("value", "low", "high")


def rows(report: Report) -> Iterator[dict[str, Any]]:
    """Yield the rows, keyed by `COLUMNS`: figures of the projection, of the months, then lines.

    ``month`` is empty for figures of the whole run; figures of the projection are of its own month.
    """
    for part in report.parts:
        yield from _figures(part)
        for month in part.run.months:
            for charge in month.charges:
                for view in finance.VIEWS:
                    yield _line(part, month, charge, view)


def csv_text(report: Report) -> str:
    """Return the rows as CSV: the same text on every machine, safe to open in a spreadsheet."""
    held = io.StringIO()
    writer = csv.writer(held, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows(report):
        writer.writerow([_cell(row.get(name)) for name in COLUMNS])
    return held.getvalue()


def parquet(report: Report) -> bytes:
    """Return the rows as a Parquet file; ``value`` is a double, ``micro_usd`` exact."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {name: pa.float64() for name in _NUMBERS} | {"micro_usd": pa.int64()}
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for row in rows(report):
        for name in COLUMNS:
            value = row.get(name)
            if name in _NUMBERS and value is not None:
                value = float(plain(value))
            columns[name].append(value)
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])
    held = io.BytesIO()
    pq.write_table(pa.table(columns, schema=schema), held, compression="zstd")
    return held.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return safe.cell(value)
    return "" if value is None else str(plain(value))


def _figures(part: Part) -> Iterator[dict[str, Any]]:
    month = part.scenario.date.strftime("%Y-%m")
    for path, figure in part.answer.figures().items():
        section, *middle, quantity = path.split("/")
        yield _figure(part, month, section, "/".join(middle), quantity, figure)
    for path, figure in part.run.figures().items():
        section, *middle, quantity = path.split("/")
        named = middle[0] if middle else ""
        yield _figure(part, named, "run" if section == "summary" else section, "", quantity, figure)


def _figure(
    part: Part, month: str, section: str, item: str, quantity: str, figure: Figure
) -> dict[str, Any]:
    exact = isinstance(figure.value, Decimal) and figure.unit in ("USD", "USD/month")
    return {
        "scenario": part.scenario.id,
        "month": month,
        "fiscal": _fiscal(part, month),
        "section": section,
        "item": item,
        "quantity": quantity,
        "value": figure.value,
        "micro_usd": int(Decimal(figure.value).scaleb(6)) if exact else None,
        "unit": figure.unit,
        "basis": figure.basis.value,
        "low": figure.range.low if figure.range else None,
        "high": figure.range.high if figure.range else None,
        "weakest_input": figure.weakest_input.name,
        "formula": figure.formula,
        "hash": figure.content_hash[:16],
    }


def _line(
    part: Part, month: finance.Month, charge: finance.Charge, view: finance.View
) -> dict[str, Any]:
    item, micro = charge.item, charge.micro(view)
    return {
        "scenario": part.scenario.id,
        "month": month.name,
        "fiscal": _fiscal(part, month.name),
        "section": "line",
        "item": item.label,
        "route": item.route,
        "model": item.model,
        "segment": item.segment,
        "tenant": item.tenant,
        "category": item.category,
        "quantity": f"usd_{view}",
        "value": usd(micro),
        "micro_usd": micro,
        "unit": "USD",
        "basis": item.basis or "entered",
        "hash": item.proof.content_hash[:16] if item.proof else "",
    }


def _fiscal(part: Part, month: str) -> str:
    starts = part.run.terms.fiscal_year_starts
    named = {one.name: one.starts for one in part.run.months}
    return finance.fiscal(named[month], starts).label if month in named else ""
