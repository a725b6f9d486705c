"""How figures look to people, the same in the terminal and on the page.

Money has three significant digits, seconds and bytes their unit, shares a percent sign; the full
value is one step away (``--json``, hover).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

from costlab.core import Figure

Number = float | int | Decimal


def significant(value: Number, digits: int = 3) -> str:
    """Return ``value`` to ``digits`` significant digits, without an exponent, with thin thousands.

    >>> significant(0.07123), significant(12412), significant(0)
    ('0.0712', '12,400', '0')
    """
    number = float(value)
    if number == 0 or not math.isfinite(number):
        return "0" if number == 0 else "–"
    places = digits - 1 - math.floor(math.log10(abs(number)))
    rounded = round(number, places)
    return f"{rounded:,.{max(places, 0)}f}"


def money(value: Number) -> str:
    """Return dollars: cents and below to three digits, from ten thousand up in thousands.

    >>> money(0.07123), money(36.5), money(12412), money(2_300_000)
    ('$0.0712', '$36.50', '$12.4k', '$2.30M')
    """
    number = float(value)
    sign = "−" if number < 0 else ""
    size = abs(number)
    if size >= 999_500:
        return f"{sign}${significant(size / 1e6)}M"
    if size >= 9_995:
        return f"{sign}${significant(size / 1e3)}k"
    if size >= 1:
        return f"{sign}${size:,.2f}"
    return f"{sign}${significant(size)}"


def percent(share: Number) -> str:
    """Return a share as a percentage.

    >>> percent(0.3312), percent(1)
    ('33 %', '100 %')
    """
    return f"{100 * float(share):.0f} %"


def number(value: Number, unit: str) -> str:
    """Return a value as its unit asks for it.

    >>> number(0.5, "USD/clip"), number(785.7, "s"), number(0.5, "")
    ('$0.500 per clip', '786 s', '50 %')
    """
    if unit.startswith("USD"):
        per = unit.partition("/")[2]
        return money(value) + (f" per {per}" if per else "")
    if unit == "":
        return percent(value)
    if unit in ("s", "s/clip"):
        return f"{significant(value)} s"
    if float(value) == int(value):
        return f"{int(value):,} {unit.partition('/')[0]}"
    return f"{significant(value)} {unit.replace('/', ' per ')}"


def figure(item: Figure) -> str:
    """Return a figure with its 90 % interval where it has one."""
    text = number(item.value, item.unit)
    if item.range and item.range.high > item.range.low:
        low, high = (
            number(end, item.unit).split(" ")[0] for end in (item.range.low, item.range.high)
        )
        text += f" ({low} to {high})"
    return text


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return left-aligned columns of plain text.

    >>> print(table(["a", "b"], [["1", "22"]]))
    a  b
    1  22
    """
    widths = [max(len(str(row[i])) for row in (header, *rows)) for i in range(len(header))]
    return "\n".join(
        "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    )


def tree(item: Figure, depth: int = 0) -> str:
    """Return a figure's proof as indented lines, down to price rows, runs and entries."""
    source = item.source
    origin = f" · {source.publisher}, {source.document}" if source else ""
    if source and source.seen:
        origin += f", {source.seen}"
    formula = f" = {item.formula}" if item.formula else ""
    reference = f" [{item.ref}]" if item.ref else ""
    line = f"{'  ' * depth}{item.name}: {figure(item)} · {item.basis}{formula}{reference}{origin}"
    return "\n".join([line, *(tree(part, depth + 1) for part in item.inputs)])
