"""The price book: dated, sourced rows of what every seller asks, and which of them holds on a day.

    seen or valid_from ──────── the row's window ────────▶ valid_to, retired_on, or replaced by
    (undated: stands from                                  a later reading of the same page
     always, and is stale)

The as-of rule, in full:

1. A row's window opens on ``valid_from``; where no source states it, on the day the row was seen
   (the first day of a month or year that is all a source gives). An undated row stands from always.
   A row that was read after its own end, or only states its end, stands until then, but not before
   the first day on which any row of its model was read.
2. It closes after ``valid_to``, before ``retired_on``, when a later row of the same SKU and unit
   opens, and when a later reading of the same publisher lists the same model of the same seller.
3. A price that was first seen after the day asked about is not used for that day, unless the
   caller asks for it (``backdate``); then it is stale.
4. A row is stale when it is undated or older than `STALE_AFTER_DAYS`.

Where several SKUs could serve a request, `preference` names the one that is used: vendor before
cloud before reseller, then the more trusted source, then the newer one; a row that was read only
after the day asked about comes after all others. Rows marked ``conflict``
or ``example`` are shown and checked, never used.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any, Literal, TypeVar

from costlab import store
from costlab.core import InvalidArgument, Source

STALE_AFTER_DAYS = 90
"""A price not seen again for a quarter is flagged wherever it is used."""

UNITS: dict[str, str] = {
    "second": "second of output video",
    "input_second": "second of video handed in",
    "second_of_16_frames": "16 frames of output, whatever the frame rate",
    "clip": "clip, of ``clip_s`` seconds where given",
    "first_second": "first second of a clip",
    "further_second": "every second of a clip after the first",
    "pixel_token": "video token of width · height · 24 frames a second / 1024",
    "token": "video token, counted by the seller in a way that no source states",
    "image": "input image beyond the free ones",
    "credit": "prepaid credit",
}
"""The billing units, each with its meaning."""

Unit = Literal[
    "second", "input_second", "second_of_16_frames", "clip", "first_second", "further_second",
    "pixel_token", "token", "image", "credit",
]  # fmt: skip
Channel = Literal["vendor", "cloud", "reseller"]
CHANNELS: tuple[Channel, ...] = ("vendor", "cloud", "reseller")
"""In order of preference: the maker, a host that runs the model itself, one who passes it on."""
TRUST = ("high", "medium", "low")


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """One rate as one source printed it: ``usd`` buys ``per`` units.

    A dimension that is None or empty means any: ``resolution`` (label), ``audio``, ``modes``,
    ``region``. ``tier`` is a paid option (``voice-control``, ``lora``) that must be asked for.
    Rows that share a SKU and differ in unit are billed together. ``min_seconds`` and ``min_usd``
    are minimum charges; ``bills_input`` adds the seconds handed in to those billed; where a source
    prints a range, ``usd`` is its upper end and ``usd_low`` the lower one.
    """

    sku: str
    model: str
    provider: str
    channel: Channel
    endpoint: str
    unit: Unit
    usd: Decimal
    per: Decimal = Decimal(1)
    usd_low: Decimal | None = None
    resolution: str | None = None
    audio: bool | None = None
    modes: tuple[str, ...] = ()
    tier: str = ""
    region: str = ""
    clip_s: Decimal | None = None
    durations: str = ""
    min_seconds: Decimal | None = None
    min_usd: Decimal | None = None
    free_units: int = 0
    bills_input: bool = False
    local_amount: Decimal | None = None
    local_currency: str = ""
    local_per_usd: Decimal | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    retired_on: date | None = None
    trust: Literal["high", "medium", "low"] = "medium"
    status: Literal["list", "conflict", "example"] = "list"
    note: str = ""
    source: Source

    def __post_init__(self) -> None:
        if not self.usd > 0:
            raise InvalidArgument(f"{self.sku}: usd must be greater than 0, got {self.usd}")
        if not self.per > 0:
            raise InvalidArgument(f"{self.sku}: per must be greater than 0, got {self.per}")

    @property
    def usd_per_unit(self) -> Decimal:
        """The rate of one unit."""
        return self.usd / self.per

    @property
    def seen_on(self) -> date | None:
        """The first day that the source's date allows; None where it is undated."""
        return first_day(self.source.seen)

    @property
    def opens(self) -> date | None:
        """The first day of the window; None where the row stands from always."""
        if self.valid_from or self.valid_to:
            return self.valid_from
        last = last_day(self.source.seen)
        if self.retired_on and last and last >= self.retired_on:
            return None
        return self.seen_on

    @property
    def ref(self) -> str:
        """How a figure names this row."""
        return f"price:{self.sku}"

    def age_days(self, as_of: date) -> int | None:
        """Return days since the row was seen (negative when seen later); None where undated."""
        return (as_of - self.seen_on).days if self.seen_on else None

    def stale(self, as_of: date, after_days: int = STALE_AFTER_DAYS) -> bool:
        """Whether the row is undated, was seen after ``as_of``, or longer ago than allowed."""
        age = self.age_days(as_of)
        return age is None or not 0 <= age <= after_days


def first_day(seen: str | None) -> date | None:
    """Return the first day that a written date can mean.

    >>> first_day("2026-08 or later"), first_day("2026"), first_day("undated (stored page)")
    (datetime.date(2026, 8, 1), datetime.date(2026, 1, 1), None)
    """
    found = re.match(r"(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?", seen or "")
    if not found:
        return None
    year, month, day = found.groups()
    return date(int(year), int(month or 1), int(day or 1))


def last_day(seen: str | None) -> date | None:
    """Return the last day that a written date can mean.

    >>> last_day("2026-11 (litellm 1.109.1)"), last_day("2026-10-05"), last_day("undated")
    (datetime.date(2026, 11, 30), datetime.date(2026, 10, 5), None)
    """
    found = re.match(r"(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?", seen or "")
    if not found:
        return None
    year, month, day = (int(part) if part else None for part in found.groups())
    assert year is not None
    month = month or 12
    return date(year, month, day or monthrange(year, month)[1])


PRICES = store.Shelf(table="prices", record=Price, pattern="prices/*.yaml")


IMPORTS = "import"
"""The kind of entry under which applied imports stand in the user's store."""

IMPORTED_FROM = "imported from "
"""How the document of an imported row begins."""

R = TypeVar("R")


def prices() -> tuple[Price, ...]:
    """Return every row: of the shipped book, then of the imports that were applied."""
    return store.records(PRICES) + imported("prices", Price)


def imported(table: str, record: type[R]) -> tuple[R, ...]:
    """Return the rows of ``table`` that applied imports added."""
    kind: Any = record
    rows: tuple[R, ...] = _imported(table, kind, user_state())
    return rows


def user_state() -> str:
    """Return what changes whenever the user's store does: the key of every cache over it."""
    path = store.home() / "user.duckdb"
    found = path.stat() if path.exists() else None
    return f"{path}|{found.st_size}|{found.st_mtime_ns}" if found else ""


@cache
def _imported(table: str, record: Any, state: str) -> tuple[Any, ...]:
    if not state:
        return ()
    rows: list[Any] = []
    for name, entry in store.entries(IMPORTS).items():
        rows += store.parse(entry.body.get(table, []), record, f"import {name}")
    return tuple(rows)


def book_state() -> str:
    """Return what changes whenever a price of the book or of an import does."""
    return PRICES.fingerprint() + user_state()


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Something that was read and is not in the book, with the reason."""

    table: Literal["prices", "offers"]
    seller: str
    rows: int
    items: tuple[str, ...]
    why: str


LEFT_OUT = store.Shelf(table="left_out", record=LeftOut, pattern="left_out.yaml")


def left_out() -> tuple[LeftOut, ...]:
    """Return everything that was read and left out."""
    return store.records(LEFT_OUT)


@dataclass(frozen=True, slots=True)
class Sku:
    """What is billed together on a day: the rows of one SKU, one for each unit."""

    rows: tuple[Price, ...]

    @property
    def head(self) -> Price:
        """The row that carries the dimensions."""
        return self.rows[0]

    @property
    def id(self) -> str:
        """The SKU's name."""
        return self.head.sku


@cache
def _by_model(state: str) -> dict[str, tuple[Price, ...]]:  # noqa: ARG001 - the cache key
    found: dict[str, list[Price]] = {}
    for row in prices():
        found.setdefault(row.model, []).append(row)
    return {model: tuple(rows) for model, rows in found.items()}


def prices_of(model: str) -> tuple[Price, ...]:
    """Return every row of one model id, of all days."""
    return _by_model(book_state()).get(model, ())


def _page(row: Price) -> tuple[str, ...]:
    if row.source.document.startswith(IMPORTED_FROM):
        return (row.sku,)  # an import holds what differed from the book, not a whole page
    return row.provider, row.source.publisher, row.source.document.split(" (")[0].split("; key")[0]


def in_force(rows: Iterable[Price], as_of: date, *, backdate: bool = False) -> tuple[Price, ...]:
    """Return the rows on sale on ``as_of`` by the as-of rule of this module.

    With ``backdate``, a SKU that was first seen later is taken at its earliest row.
    """
    listed = [row for row in rows if row.status == "list"]
    first_read: dict[str, date] = {}
    for row in listed:
        if row.opens:
            first_read[row.model] = min(first_read.get(row.model, row.opens), row.opens)

    def open_since(row: Price) -> date:
        late = row.seen_on is not None and row.valid_to is None
        return row.opens or (first_read.get(row.model) if late else None) or date.min

    def read(row: Price) -> date:
        seen = row.opens or row.seen_on or date.min
        return seen if seen <= as_of else date.min

    open_rows = [row for row in listed if open_since(row) <= as_of]
    newest_page: dict[tuple[str, ...], date] = {}
    newest: dict[tuple[str, str], Price] = {}
    for row in open_rows:
        page = (row.model, row.tier, row.region, *_page(row))
        newest_page[page] = max(newest_page.get(page, date.min), read(row))
        best = newest.get((row.sku, row.unit))
        if best is None or (read(row), -TRUST.index(row.trust)) > (
            read(best), -TRUST.index(best.trust)
        ):  # fmt: skip
            newest[row.sku, row.unit] = row
    kept = [
        row
        for row in newest.values()
        if read(row) == newest_page[row.model, row.tier, row.region, *_page(row)]
    ]
    if backdate:
        seen_skus = {row.sku for row in kept}
        later = sorted((row for row in listed if row not in open_rows), key=lambda row: row.opens)  # type: ignore[arg-type, return-value]
        first: dict[tuple[str, str], Price] = {}
        for row in later:
            if row.sku not in seen_skus:
                first.setdefault((row.sku, row.unit), row)
        kept += first.values()
    return tuple(
        row
        for row in kept
        if not (row.valid_to and row.valid_to < as_of)
        and not (row.retired_on and row.retired_on <= as_of)
    )


def skus(rows: Iterable[Price]) -> tuple[Sku, ...]:
    """Group rows in force into what is billed together, main unit first."""
    groups: dict[str, list[Price]] = {}
    for row in rows:
        groups.setdefault(row.sku, []).append(row)
    order = list(UNITS)
    side = ("input_second", "image", "further_second")
    return tuple(
        Sku(tuple(sorted(group, key=lambda row: (row.unit in side, order.index(row.unit)))))
        for group in groups.values()
    )


def preference(row: Price) -> tuple[int, int, int]:
    """Return the sort key of the named rule: vendor, cloud, reseller; then trust; then newest."""
    seen = row.seen_on or date.min
    return CHANNELS.index(row.channel), TRUST.index(row.trust), -seen.toordinal()


def history(model: str) -> tuple[Price, ...]:
    """Return every row of a model, oldest first, undated ones ahead: what a chart draws."""
    return tuple(
        sorted(prices_of(model), key=lambda row: (row.opens or date.min, row.sku, row.unit))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of one SKU and unit between two days."""

    sku: str
    unit: str
    kind: Literal["added", "removed", "changed"]
    before: Price | None
    after: Price | None

    @property
    def sentence(self) -> str:
        """The change in words."""
        if self.before and self.after:
            rates = f"{self.before.usd_per_unit} → {self.after.usd_per_unit}"
            return f"{self.sku}: {rates} USD/{self.unit}"
        if self.after:
            return f"{self.sku}: new at {self.after.usd_per_unit} USD/{self.unit}"
        gone = self.before
        why = f", retired {gone.retired_on}" if gone and gone.retired_on else ""
        return f"{self.sku}: no longer on sale{why}"


def diff(earlier: date, later: date, rows: Sequence[Price] | None = None) -> tuple[Change, ...]:
    """Return what changed in the book between two days, by SKU; a dearer or cheaper rate, a new or
    a gone SKU."""
    if later < earlier:
        earlier, later = later, earlier
    everything = prices() if rows is None else rows
    before = {(row.sku, row.unit): row for row in in_force(everything, earlier)}
    after = {(row.sku, row.unit): row for row in in_force(everything, later)}
    changes = []
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if old and new and old.usd_per_unit == new.usd_per_unit:
            continue
        kind: Literal["added", "removed", "changed"] = (
            "changed" if old and new else "added" if new else "removed"
        )
        changes.append(Change(sku=key[0], unit=key[1], kind=kind, before=old, after=new))
    return tuple(changes)
