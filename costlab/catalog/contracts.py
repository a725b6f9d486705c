"""Contract prices and discounts that a person enters; the list price always stays visible.

An override is a dated entry of the user's store with who and why. It is never edited: a new entry
of the same name replaces it from the new entry's first day on, so the days before keep what held on
them, and taking it away, for all its days, is another entry. To end a contract, enter it again with
its last day.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from costlab import store
from costlab.catalog.billing import adapter
from costlab.catalog.book import Price, prices
from costlab.catalog.names import model
from costlab.core import BadData, CostlabError, InvalidArgument, UnknownName

KIND = "override"


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """One contract price (``usd`` per unit of a SKU) or discount (a share off the list price).

    It holds for the SKU, model or provider named, from ``valid_from`` to ``valid_to``.
    """

    name: str
    valid_from: date
    valid_to: date | None = None
    sku: str = ""
    model: str = ""
    provider: str = ""
    unit: str = ""
    usd: Decimal | None = None
    discount: Decimal | None = None
    who: str = ""
    why: str = ""
    entered_at: datetime | None = None

    def __post_init__(self) -> None:
        if (self.usd is None) == (self.discount is None):
            raise InvalidArgument("give either a contract price (usd) or a discount, not both")
        for field, value in (("usd", self.usd), ("discount", self.discount)):
            if value is not None and not value.is_finite():
                raise InvalidArgument(f"{field} must be a number, got {value}")
        if self.usd is not None and not self.sku:
            raise InvalidArgument("a contract price needs the SKU it holds for")
        if self.usd is not None and not self.usd > 0:
            raise InvalidArgument(f"usd must be greater than 0, got {self.usd}")
        if self.discount is not None and not 0 < self.discount < 1:
            raise InvalidArgument(f"discount must be between 0 and 1, got {self.discount}")
        if not (self.sku or self.model or self.provider):
            raise InvalidArgument("say what it holds for: a sku, a model or a provider")
        if self.valid_to and self.valid_to < self.valid_from:
            raise InvalidArgument(f"ends {self.valid_to}, before it starts {self.valid_from}")

    def applies(self, row: Price, as_of: date) -> bool:
        """Whether it changes ``row`` on that day."""
        return (
            self.valid_from <= as_of
            and (self.valid_to is None or as_of <= self.valid_to)
            and self.sku in ("", row.sku)
            and self.model in ("", row.model)
            and self.provider in ("", row.provider)
            and self.unit in ("", row.unit)
        )

    def rate(self, row: Price) -> Decimal:
        """Return the USD per unit to pay instead of the list price."""
        if self.usd is not None:
            return self.usd
        return row.usd_per_unit * (1 - (self.discount or 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One entry of the audit list: what was entered or removed, by whom, when and why."""

    number: int
    name: str
    action: str
    who: str
    why: str
    entered_at: datetime
    override: Override | None


def add_override(override: Override) -> None:
    """Enter a contract price or discount; ``who`` and ``why`` must be given.

    A contract price without a unit holds for the SKU's seconds made, not for what else it bills.
    Raises `UnknownName` for a SKU, a model, a seller or a unit that the book does not have.
    """
    if not override.name.strip():
        raise InvalidArgument("an override needs a name")
    if not override.who or not override.why:
        raise InvalidArgument("an override needs who enters it and why")
    if override.sku:
        override = replace(override, unit=_unit_of(override))
    if override.provider:
        adapter(override.provider)
    if override.model:
        override = replace(override, model=model(override.model).id)
    body = {
        name: str(value)
        for name in (
            "valid_from",
            "valid_to",
            "sku",
            "model",
            "provider",
            "unit",
            "usd",
            "discount",
        )
        if (value := getattr(override, name)) not in (None, "")
    }
    store.add_entry(KIND, override.name, body, who=override.who, why=override.why)


def remove_override(name: str, *, who: str, why: str) -> None:
    """End an override by a further entry; raises `InvalidArgument` where none of it stands."""
    if name not in store.entries(KIND):
        raise InvalidArgument(f"no override {name!r} stands")
    if not who or not why:
        raise InvalidArgument("removing an override needs who removes it and why")
    store.add_entry(KIND, name, None, who=who, why=why)


def overrides() -> tuple[Override, ...]:
    """Return the overrides that stand, latest entry first.

    An entry that a later one of its name replaced stands for the days before the later one begins.
    """
    standing: dict[str, list[tuple[int, Override]]] = {}
    for entry in store.entry_log(KIND):
        if entry.body is None:
            standing.pop(entry.name, None)
            continue
        latest = _read(entry)
        earlier = [
            (
                number,
                item
                if item.valid_to and item.valid_to < latest.valid_from
                else replace(item, valid_to=latest.valid_from - timedelta(days=1)),
            )
            for number, item in standing.get(entry.name, [])
            if item.valid_from < latest.valid_from
        ]
        standing[entry.name] = [*earlier, (entry.number, latest)]
    windows = [window for windows in standing.values() for window in windows]
    return tuple(item for _, item in sorted(windows, key=lambda window: -window[0]))


def audit() -> tuple[AuditRow, ...]:
    """Return every entry ever made, oldest first."""
    rows = []
    seen: set[str] = set()
    for entry in store.entry_log(KIND):
        action = "removed" if entry.body is None else "changed" if entry.name in seen else "entered"
        seen.add(entry.name)
        rows.append(
            AuditRow(
                number=entry.number,
                name=entry.name,
                action=action,
                who=entry.who,
                why=entry.why,
                entered_at=entry.entered_at,
                override=None if entry.body is None else _read(entry),
            )
        )
    return tuple(rows)


def standing_for(row: Price, as_of: date, known: Iterable[Override]) -> Override | None:
    """Return the override that changes ``row``: a SKU's before a model's before a provider's,
    the latest entry first."""
    matching = [item for item in known if item.applies(row, as_of)]
    return min(matching, key=lambda item: (not item.sku, not item.model), default=None)


def _unit_of(override: Override) -> str:
    book = prices()
    if override.sku not in (known := {row.sku for row in book}):
        raise UnknownName.among("SKU", override.sku, known)
    units = {row.unit for row in book if row.sku == override.sku}
    if override.unit:
        if override.unit not in units:
            raise UnknownName.among(f"unit of {override.sku}", override.unit, units)
        return override.unit
    if override.usd is None or len(units) == 1:
        return ""
    if "second" not in units:
        raise InvalidArgument(
            f"{override.sku} bills {' and '.join(sorted(units))}: say which the price is for"
        )
    return "second"


def _read(entry: store.Entry) -> Override:
    body: dict[str, Any] = dict(entry.body)
    try:
        for name in ("valid_from", "valid_to"):
            if name in body:
                body[name] = date.fromisoformat(body[name])
        for name in ("usd", "discount"):
            if name in body:
                body[name] = Decimal(body[name])
        return Override(
            name=entry.name, who=entry.who, why=entry.why, entered_at=entry.entered_at, **body
        )
    except (TypeError, ValueError, InvalidOperation, CostlabError) as error:
        raise BadData(f"override {entry.name!r}", [str(error)]) from error
