"""The cross-checks of the shipped book: what would make a finance person stop reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby, pairwise
from typing import Literal

from costlab.catalog.billing import pixel_tokens, providers
from costlab.catalog.book import UNITS, Price, first_day, prices
from costlab.catalog.names import model, models
from costlab.core import RESOLUTIONS, ClipRequest, UnknownName

RESELLER_FACTORS = (Decimal("0.5"), Decimal(2))
"""A reseller outside this band of the vendor's rate is pointed out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing about the book: a ``problem`` must be mended, a ``notice`` is worth knowing."""

    level: Literal["problem", "notice"]
    sku: str
    text: str


def check(rows: Sequence[Price] | None = None) -> tuple[Finding, ...]:
    """Return everything the checks find in ``rows`` (the shipped book), problems first."""
    book = prices() if rows is None else tuple(rows)
    rules: tuple[Callable[[Sequence[Price]], Iterator[Finding]], ...] = (
        _names_known, _sourced, _one_price_a_day, _resolution_never_cheaper, _examples_agree,
        _conversions, _models_priced, _resellers,
    )  # fmt: skip
    found = [finding for rule in rules for finding in rule(book)]
    return tuple(sorted(found, key=lambda item: (item.level != "problem", item.sku)))


def _problem(row: Price, text: str) -> Finding:
    return Finding(level="problem", sku=row.sku, text=text)


def _names_known(book: Sequence[Price]) -> Iterator[Finding]:
    for row in book:
        try:
            if model(row.model).id != row.model:
                yield _problem(row, f"names {row.model!r}, an alias: use {model(row.model).id}")
        except UnknownName as error:
            yield _problem(row, str(error))
        if row.provider not in providers():
            yield _problem(row, f"no adapter for {row.provider}")
        if row.unit not in UNITS:
            yield _problem(row, f"unknown unit {row.unit}")
        if row.resolution is not None and row.resolution not in RESOLUTIONS:
            yield _problem(row, f"unknown resolution {row.resolution}")


def _sourced(book: Sequence[Price]) -> Iterator[Finding]:
    for row in book:
        source = row.source
        if not source.publisher or not source.document:
            yield _problem(row, "says neither who published it nor where")
        dated = first_day(source.seen) is not None
        if dated == (source.seen_precision == "undated"):
            yield _problem(row, f"seen {source.seen!r} is not of {source.seen_precision} precision")
        if row.valid_from and row.valid_to and row.valid_to < row.valid_from:
            yield _problem(row, f"ends {row.valid_to}, before it starts {row.valid_from}")


def _one_price_a_day(book: Sequence[Price]) -> Iterator[Finding]:
    seen: dict[tuple[object, ...], Price] = {}
    for row in book:
        if row.status != "list":
            continue
        other = seen.setdefault((row.sku, row.unit, row.opens, row.source.publisher), row)
        if other is not row:
            yield _problem(row, f"two rows open on {row.opens}: {other.usd} and {row.usd}")


def usd_per_second(row: Price) -> Decimal:
    """Return the row's rate for a second at 16:9; tokens are counted, clips divided."""
    if row.unit == "pixel_token":
        one = ClipRequest(seconds=Decimal(1))
        return row.usd_per_unit * pixel_tokens(
            model(row.model), one, row.resolution or "720p", Decimal(1)
        )
    if row.unit == "clip" and row.clip_s:
        return row.usd_per_unit / row.clip_s
    return row.usd_per_unit


def _resolution_never_cheaper(book: Sequence[Price]) -> Iterator[Finding]:
    def family(row: Price) -> tuple[str, ...]:
        parts = (row.provider, row.model, row.endpoint, row.audio, row.modes, row.tier, row.region,
                 row.unit, row.clip_s, row.source.seen, row.source.publisher)  # fmt: skip
        return tuple(map(str, parts))

    sized = sorted((row for row in book if row.status == "list" and row.resolution), key=family)
    for _, group in groupby(sized, key=family):
        rows = sorted(group, key=lambda row: RESOLUTIONS[row.resolution or ""])
        for small, large in pairwise(rows):
            if usd_per_second(large) < usd_per_second(small):
                yield _problem(
                    large,
                    f"{large.resolution} at {usd_per_second(large)} is cheaper than "
                    f"{small.resolution} at {usd_per_second(small)}",
                )


def _examples_agree(book: Sequence[Price]) -> Iterator[Finding]:
    listed = {(row.sku, row.unit): row for row in book if row.status == "list"}
    for row in book:
        match = listed.get((row.sku, row.unit))
        if row.status != "example":
            continue
        if match is None:
            yield _problem(row, "is an example of a price that is not listed")
        elif match.usd_per_unit != row.usd_per_unit:
            yield _problem(row, f"example {row.usd_per_unit}, listed {match.usd_per_unit}")


def _conversions(book: Sequence[Price]) -> Iterator[Finding]:
    for row in book:
        if row.local_amount is None or row.local_per_usd is None:
            continue
        converted = row.local_amount / row.local_per_usd
        if abs(converted - row.usd) > Decimal("0.00001"):
            yield _problem(
                row,
                f"{row.local_amount} {row.local_currency} at {row.local_per_usd} is "
                f"{converted:.6f}, not {row.usd}",
            )


def _models_priced(book: Sequence[Price]) -> Iterator[Finding]:
    priced = {row.model for row in book}
    for entry in models():
        if entry.kind == "api" and entry.id not in priced:
            yield Finding(level="problem", sku=entry.id, text="an API model without a price row")


def _resellers(book: Sequence[Price]) -> Iterator[Finding]:
    vendor: dict[tuple[object, ...], Decimal] = {}
    for row in book:
        if row.channel == "vendor" and row.status == "list" and row.unit in ("second", "clip"):
            vendor[row.model, row.resolution, row.audio, row.tier] = usd_per_second(row)
    low, high = RESELLER_FACTORS
    for row in book:
        key = (row.model, row.resolution, row.audio, row.tier)
        if row.channel == "vendor" or key not in vendor or row.unit not in ("second", "clip"):
            continue
        factor = usd_per_second(row) / vendor[key]
        if not low <= factor <= high:
            yield Finding(level="notice", sku=row.sku, text=f"{factor:.2f} × the vendor's rate")
