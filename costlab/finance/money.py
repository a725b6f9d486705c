"""Amounts that add up: exact splits, other currencies at dated rates, fiscal periods.

micro-dollars ──share out──▶ micro-dollars          parts sum to the whole
              ──rate of the day──▶ cents            lines sum to the total, no cent lost
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from costlab.core import InvalidArgument

MICRO_PER_USD = 1_000_000


def whole(values: Sequence[Fraction], total: int | None = None) -> list[int]:
    """Return ``values`` as integers that add up, by largest remainder; they may be negative.

    The sum is ``total``; left out, the exact sum rounded half to even.

    >>> whole([Fraction(1, 3), Fraction(1, 3), Fraction(1, 3)])
    [1, 0, 0]
    >>> whole([Fraction(5, 2), Fraction(-1, 2)])
    [3, -1]
    """
    parts = [math.floor(value) for value in values]
    missing = (round(sum(values, Fraction(0))) if total is None else total) - sum(parts)
    if not 0 <= missing <= len(parts):
        raise InvalidArgument(f"{total} is not the sum of the values")
    by_remainder = sorted(range(len(parts)), key=lambda i: parts[i] - values[i])
    for i in by_remainder[:missing]:
        parts[i] += 1
    return parts


def share_out(total: int, weights: Sequence[int | Fraction]) -> list[int]:
    """Return ``total`` split by ``weights``, exactly; equal parts where all weights are zero.

    >>> share_out(-100, [1, 1, 1]), share_out(5, [0, 0])
    ([-33, -33, -34], [3, 2])
    """
    if not weights:
        raise InvalidArgument("nothing to share out to")
    if min(weights) < 0:
        raise InvalidArgument("weights must not be negative")
    heavy = Fraction(sum(weights))
    if not heavy:
        weights, heavy = [1] * len(weights), Fraction(len(weights))
    return whole([Fraction(total) * weight / heavy for weight in weights], total)


def part_of(total: int, done: int, length: int) -> int:
    """Return how much of ``total`` has accrued after ``done`` of ``length`` equal steps.

    Differences of it telescope, so that the steps of any cut add up to the total.

    >>> [part_of(100, step, 3) for step in range(4)]
    [0, 33, 67, 100]
    """
    return round(Fraction(total * done, length))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What a dollar bought on a day and after it, as entered."""

    day: date
    per_usd: Decimal
    source: str = "entered"

    def __post_init__(self) -> None:
        if not self.per_usd > 0:
            raise InvalidArgument(f"per_usd must be greater than 0, got {self.per_usd}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Currency:
    """A currency with the dated rates that a person entered; ``places`` decimals are billed."""

    code: str
    rates: tuple[Rate, ...] = ()
    places: int = 2

    def __post_init__(self) -> None:
        if not (len(self.code) == 3 and self.code.isascii() and self.code.isupper()):
            raise InvalidArgument(f"a currency has a code such as EUR, got {self.code!r}")
        if not 0 <= self.places <= 6:
            raise InvalidArgument(f"places must be from 0 to 6, got {self.places}")
        if self.code != "USD" and not self.rates:
            raise InvalidArgument(f"{self.code} needs a dated rate: how much of it one dollar buys")

    def on(self, day: date) -> Rate:
        """Return the latest rate entered by ``day``; raises `InvalidArgument` where there is none.

        A dollar is a dollar on every day.
        """
        if self.code == "USD" and not self.rates:
            return Rate(day=date.min, per_usd=Decimal(1), source="")
        known = [rate for rate in self.rates if rate.day <= day]
        if not known:
            first = min(rate.day for rate in self.rates)
            raise InvalidArgument(
                f"no {self.code} rate by {day}: the first is of {first}; enter an earlier one"
            )
        return max(known, key=lambda rate: rate.day)

    def amounts(self, micro_usd: Sequence[int], day: date) -> list[Decimal]:
        """Return lines of one day in this currency, rounded so that they sum to their total.

        >>> Currency(code="USD").amounts([333_333, 333_333, 333_334], date(2026, 11, 1))
        [Decimal('0.33'), Decimal('0.33'), Decimal('0.34')]
        """
        unit = Fraction(self.on(day).per_usd) * 10**self.places / MICRO_PER_USD
        return [Decimal(part).scaleb(-self.places) for part in whole([m * unit for m in micro_usd])]


USD = Currency(code="USD")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fiscal:
    """A fiscal period: a year named after the calendar year it ends in, its quarter and month."""

    year: int
    quarter: int
    period: int

    @property
    def label(self) -> str:
        """How a report heads it."""
        return f"FY{self.year} Q{self.quarter}"


def fiscal(day: date, starts_month: int = 1) -> Fiscal:
    """Return the fiscal period of ``day`` where the year starts in ``starts_month``.

    >>> fiscal(date(2026, 11, 1), starts_month=10).label
    'FY2027 Q1'
    """
    if not 1 <= starts_month <= 12:
        raise InvalidArgument(f"the fiscal year starts in a month from 1 to 12, got {starts_month}")
    period = (day.month - starts_month) % 12
    year = day.year + (starts_month > 1 and day.month >= starts_month)
    return Fiscal(year=year, quarter=period // 3 + 1, period=period + 1)
