"""What else is on the bill: storage, egress, and prepaid credits that lapse.

disk, stopped or not ──GB · hours / 730──▶ USD      sent ──tier by tier──▶ USD
credits needed ──whole packs in each validity period──▶ USD, and what lapses
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Literal

from costlab import store
from costlab.core import InvalidArgument, Source, UnknownName


@dataclass(frozen=True, slots=True, kw_only=True)
class Fee:
    """A charge beside the GPU: storage by the GB-month, or egress by the GB in tiers.

    ``up_to_gb`` is the end of a monthly tier; None is the last one.
    """

    provider: str
    kind: Literal["block_storage", "object_storage", "file_storage", "egress"]
    item: str
    unit: Literal["GB-month", "GiB-month", "GB", "GiB"]
    usd: Decimal
    up_to_gb: Decimal | None = None
    note: str = ""
    source: Source


FEES = store.Shelf(table="fees", record=Fee, pattern="fees.yaml")


def fees(provider: str | None = None, kind: str | None = None) -> tuple[Fee, ...]:
    """Return storage and egress charges, narrowed to a provider or a kind."""
    return tuple(
        row
        for row in store.records(FEES)
        if provider in (None, row.provider) and kind in (None, row.kind)
    )


def storage_usd(fee: Fee, gb: Decimal, hours: Decimal) -> Decimal:
    """Return what ``gb`` stored for ``hours`` costs; a stopped instance's disk goes on billing.

    A month is 730 hours, as clouds prorate.
    """
    if fee.unit not in ("GB-month", "GiB-month"):
        raise InvalidArgument(f"{fee.provider} {fee.item} is billed by the {fee.unit}")
    if not all(amount.is_finite() and amount >= 0 for amount in (gb, hours)):
        raise InvalidArgument("gb and hours must not be negative")
    return fee.usd * gb * hours / 730


def egress_usd(provider: str, gb: Decimal) -> Decimal:
    """Return what sending ``gb`` in one month costs, tier by tier.

    Raises `UnknownName` where no source gives the provider's egress price.
    """
    if not gb.is_finite() or gb < 0:
        raise InvalidArgument("gb must not be negative")
    tiers = [row for row in fees(provider, "egress") if row.unit == "GB"]
    if not tiers:
        known = {row.provider for row in fees(kind="egress")}
        raise UnknownName.among("provider with an egress price", provider, known)
    total, start = Decimal(0), Decimal(0)
    for tier in sorted(tiers, key=lambda row: (row.up_to_gb is None, row.up_to_gb or 0)):
        end = gb if tier.up_to_gb is None else min(gb, tier.up_to_gb)
        total += max(end - start, Decimal(0)) * tier.usd
        start = end
    return total


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """Prepaid credits: bought whole, and lost when they expire."""

    provider: str
    name: str
    usd: Decimal
    credits: Decimal
    expires_days: int | None = None
    concurrency: int | None = None
    note: str = ""
    source: Source

    @property
    def usd_per_credit(self) -> Decimal:
        """The rate when every credit is used."""
        return self.usd / self.credits


PACKS = store.Shelf(table="packs", record=Pack, pattern="packs.yaml")


def packs(provider: str | None = None) -> tuple[Pack, ...]:
    """Return the credit packs on offer, of one provider or of all."""
    return tuple(row for row in store.records(PACKS) if provider in (None, row.provider))


@dataclass(frozen=True, slots=True, kw_only=True)
class PackBill:
    """What a need for credits costs with one pack: whole packs, with what lapses unused."""

    pack: Pack
    packs_bought: int
    usd: Decimal
    credits_used: Decimal
    credits_lapsed: Decimal

    @property
    def usd_per_used_credit(self) -> Decimal:
        """What a credit that was used has really cost."""
        return self.usd / self.credits_used


def pack_bill(pack: Pack, credits_per_day: Decimal, days: int) -> PackBill:
    """Return the packs that ``days`` of steady use need when unused credits lapse and nothing
    rolls over: every validity period buys whole packs anew.
    """
    if not credits_per_day.is_finite() or credits_per_day <= 0 or days < 1:
        raise InvalidArgument("credits_per_day must be greater than 0 and days at least 1")
    period = min(pack.expires_days or days, days)
    full, rest = divmod(days, period)
    bought = 0
    for length in [period] * full + ([rest] if rest else []):
        need = credits_per_day * length / pack.credits
        bought += int(need.to_integral_value(rounding=ROUND_CEILING))
    used = credits_per_day * days
    return PackBill(
        pack=pack,
        packs_bought=bought,
        usd=pack.usd * bought,
        credits_used=used,
        credits_lapsed=pack.credits * bought - used,
    )
