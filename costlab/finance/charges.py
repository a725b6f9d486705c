"""The billed line that months, actuals and FOCUS rows are made of.

An `Item` says what is billed, a `Charge` how much of it in a period. Four amounts stand apart::

    list        quantity × list price
    contracted  quantity × the price agreed, before any commitment
    effective   what the period costs, prepayments spread over what they cover (amortised view)
    billed      what is to be paid in the period (cash view)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from costlab.core import Figure, InvalidArgument, micro_usd, usd

View = Literal["cash", "amortised"]
VIEWS: tuple[View, ...] = ("cash", "amortised")
Category = Literal["Usage", "Purchase", "Credit", "Adjustment", "Tax"]
Kind = Literal["api", "gpu", "owned", "other"]
Commitment = Literal["", "Usage", "Spend"]

CLIPS = "Clips"
GPU_HOURS = "GPU-Hours"
RUNNING_HOURS = "Running GPU-Hours"
DOLLARS = "Dollars"
NANO = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What is billed: all that is the same for every charge of a kind.

    ``seller`` bills it (``provider`` is its id), ``sku`` names it in the seller's list, ``unit`` is
    one of `CLIPS`, `GPU_HOURS`, `DOLLARS` or a seller's own. Where a commitment or a prepaid
    balance covers it, ``term`` is its name and ``status`` tells the used part from the unused one.
    A charge that no segment caused has an empty ``segment``. ``corrects`` marks a correction of an
    earlier invoice. ``proof`` is the figure that the amounts come from.
    """

    label: str
    kind: Kind
    seller: str
    provider: str = ""
    category: Category = "Usage"
    frequency: Literal["Usage-Based", "Recurring", "One-Time"] = "Usage-Based"
    sku: str = ""
    unit: str = ""
    list_usd: Decimal | None = None
    usd: Decimal | None = None
    route: str = ""
    model: str = ""
    segment: str = ""
    tenant: str = ""
    scenario: str = ""
    basis: str = ""
    region: str = ""
    spot: bool = False
    programs: tuple[str, ...] = ()
    term: str = ""
    term_kind: Commitment = ""
    term_type: str = ""
    status: Literal["", "Used", "Unused"] = ""
    invoice: str = ""
    corrects: bool = False
    proof: Figure | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name, price in (("list_usd", self.list_usd), ("usd", self.usd)):
            if price is not None and not price >= 0:
                raise InvalidArgument(f"{self.label}: {name} must not be negative, got {price}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """How much of an item is billed from ``starts`` up to, but not including, ``ends``.

    Amounts are millionths of a dollar. ``quantity_nano`` are billionths of the item's unit,
    ``committed_nano`` what it takes of its commitment; ``clips_micro`` are millionths of attempts,
    ``busy_micro_s`` of seconds: of GPUs at work, or of video on an API's bill.
    """

    item: Item
    starts: date
    ends: date
    billed_micro: int
    effective_micro: int
    contracted_micro: int
    list_micro: int
    quantity_nano: int | None = None
    committed_nano: int | None = None
    clips_micro: int = 0
    busy_micro_s: int = 0

    def micro(self, view: View) -> int:
        """Return the amount in a view."""
        return self.billed_micro if view == "cash" else self.effective_micro

    def figure(self, view: View) -> Figure:
        """Return the amount with its proof; an entered one where nothing lies under it."""
        amount = usd(self.micro(view))
        period = f"{self.starts} to {self.ends}"
        if self.item.proof is None:
            return Figure.entered(f"{self.item.label}, {period}", amount, "USD", ref="terms")
        return Figure.derived(
            f"{self.item.label}, {period}",
            amount,
            "USD",
            "this period's part, " + ("as billed" if view == "cash" else "as used"),
            (self.item.proof,),
        )


def priced(
    item: Item,
    starts: date,
    ends: date,
    quantity_nano: int,
    *,
    billed_micro: int | None = None,
    effective_micro: int | None = None,
    committed_nano: int | None = None,
    clips_micro: int = 0,
    busy_micro_s: int = 0,
) -> Charge:
    """Return a charge of so much of an item; what is not given is quantity × price agreed."""
    quantity = Decimal(quantity_nano).scaleb(-9)
    agreed = micro_usd(quantity * (item.usd or 0))
    billed = agreed if billed_micro is None else billed_micro
    return Charge(
        item=item,
        starts=starts,
        ends=ends,
        quantity_nano=quantity_nano,
        list_micro=micro_usd(quantity * (item.list_usd or 0)),
        contracted_micro=agreed,
        billed_micro=billed,
        effective_micro=billed if effective_micro is None else effective_micro,
        committed_nano=committed_nano,
        clips_micro=clips_micro,
        busy_micro_s=busy_micro_s,
    )


def flat(item: Item, starts: date, ends: date, micro: int) -> Charge:
    """Return a charge without quantity: credits, taxes, fees, corrections."""
    return Charge(
        item=item,
        starts=starts,
        ends=ends,
        billed_micro=micro,
        effective_micro=micro,
        contracted_micro=micro,
        list_micro=micro,
    )


def total(charges: Iterable[Charge], view: View) -> int:
    """Return the sum in millionths of a dollar."""
    return sum(charge.micro(view) for charge in charges)


def nano(value: Fraction | Decimal | float) -> int:
    """Return a quantity in billionths, rounded half to even."""
    return round(Fraction(value) * NANO)
