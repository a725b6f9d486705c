"""The columns of FOCUS 1.2 and 1.4 and when each must be filled or empty, as data.

Read from the FOCUS specification (FinOps-Open-Cost-and-Usage-Spec/FOCUS_Spec): for 1.2 the
requirements model 1.2.0.1 that the public focus-validator 2.2.1 ships, for 1.4 the Cost and Usage
dataset and its columns, of which `Column.document` names the page. 1.4 took ProviderName and
PublisherName out; Allocated…, ContractApplied, HostProviderName and ServiceProviderName came with
1.3, CommitmentProgramEligibilityDetails and InvoiceDetailId with 1.4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from costlab.core import UnknownName

Version = Literal["1.2", "1.4"]
VERSIONS: tuple[Version, ...] = ("1.2", "1.4")
Level = Literal["mandatory", "conditional", "recommended", ""]
Row = Mapping[str, Any]

USED = ("Usage", "Purchase")


def _bought(row: Row) -> bool:
    return row["ChargeCategory"] in USED and row["ChargeClass"] != "Correction"


def _with(name: str) -> Callable[[Row], bool]:
    return lambda row: row[name] is not None


def _without(name: str) -> Callable[[Row], bool]:
    return lambda row: row[name] is None


CONDITIONS: dict[str, Callable[[Row], bool]] = {
    "always": lambda _: True,
    "never": lambda _: False,
    "tax": lambda row: row["ChargeCategory"] == "Tax",
    "tax or no price": lambda row: row["ChargeCategory"] == "Tax" or row["SkuPriceId"] is None,
    "usage or purchase": _bought,
    "use of what was not left unused": lambda row: (
        row["ChargeCategory"] == "Usage"
        and row["CommitmentDiscountStatus"] != "Unused"
        and row["ChargeClass"] != "Correction"
    ),
    "not usage, or unused": lambda row: (
        row["ChargeCategory"] != "Usage" or row["CommitmentDiscountStatus"] == "Unused"
    ),
    "committed usage": lambda row: (
        row["CommitmentDiscountId"] is not None and row["ChargeCategory"] == "Usage"
    ),
    "committed usage or purchase": lambda row: (
        row["CommitmentDiscountId"] is not None and _bought(row)
    ),
    "not committed usage or purchase": lambda row: (
        row["CommitmentDiscountId"] is None or row["ChargeCategory"] not in USED
    ),
    "a commitment": _with("CommitmentDiscountId"),
    "no commitment": _without("CommitmentDiscountId"),
    "a committed quantity": _with("CommitmentDiscountQuantity"),
    "no committed quantity": _without("CommitmentDiscountQuantity"),
    "a consumed quantity": _with("ConsumedQuantity"),
    "no consumed quantity": _without("ConsumedQuantity"),
    "a pricing quantity": _with("PricingQuantity"),
    "no pricing quantity": _without("PricingQuantity"),
    "a resource": _with("ResourceId"),
    "no resource": _without("ResourceId"),
    "a region": _with("RegionId"),
    "no region": _without("RegionId"),
    "a sub account": _with("SubAccountId"),
    "no sub account": _without("SubAccountId"),
    "a sku": _with("SkuId"),
    "no sku": _without("SkuId"),
    "no sku price": _without("SkuPriceId"),
    "an invoice": _with("InvoiceId"),
    "no invoice": _without("InvoiceId"),
    "no reservation of capacity": _without("CapacityReservationId"),
    "no split cost allocation": _without("AllocatedMethodId"),
}
"""What a rule asks of a row, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: its type, its level in each version ("" where it has none), its null rules.

    It must be filled in rows that meet ``filled`` and empty in rows that meet ``empty``, both
    names of `CONDITIONS`. Where the versions differ, ``empty_14`` replaces ``empty``.
    """

    name: str
    type: Literal["string", "decimal", "datetime", "json"]
    in_12: Level
    in_14: Level
    filled: str = "never"
    empty: str = "never"
    empty_14: str = ""

    @property
    def document(self) -> str:
        """The page of the specification that the rules were read from."""
        return f"specification/datasets/cost_and_usage/columns/{self.name.lower()}.md"

    def level(self, version: Version) -> Level:
        """Return its level in a version."""
        return self.in_12 if version == "1.2" else self.in_14

    def broken(self, row: Row, version: Version) -> str:
        """Return how a row breaks the column's null rules, "" where it does not."""
        empty = self.empty_14 if version == "1.4" and self.empty_14 else self.empty
        if row[self.name] is None:
            if CONDITIONS[self.filled](row):
                return f"{self.name} is empty where it must be filled: {self.filled}"
        elif CONDITIONS[empty](row):
            return f"{self.name} is filled where it must be empty: {empty}"
        return ""


def _column(
    name: str,
    kind: str,
    in_12: str,
    in_14: str,
    filled: str = "never",
    empty: str = "never",
    empty_14: str = "",
) -> Column:
    return Column(
        name=name,
        type=kind,  # type: ignore[arg-type]
        in_12=_LEVELS[in_12],
        in_14=_LEVELS[in_14],
        filled=filled,
        empty=empty,
        empty_14=empty_14,
    )


_LEVELS: dict[str, Level] = {"M": "mandatory", "C": "conditional", "R": "recommended", "-": ""}
_TABLE: tuple[tuple[str, ...], ...] = (
    ("AllocatedMethodDetails", "json", "-", "R", "never", "no split cost allocation"),
    ("AllocatedMethodId", "string", "-", "C"),
    ("AllocatedResourceId", "string", "-", "C", "never", "no split cost allocation"),
    ("AllocatedResourceName", "string", "-", "C", "never", "no split cost allocation"),
    ("AllocatedTags", "json", "-", "C", "never", "no split cost allocation"),
    ("AvailabilityZone", "string", "R", "R"),
    ("BilledCost", "decimal", "M", "M", "always"),
    ("BillingAccountId", "string", "M", "M", "always"),
    ("BillingAccountName", "string", "M", "M", "always"),
    ("BillingAccountType", "string", "C", "C", "always"),
    ("BillingCurrency", "string", "M", "M", "always"),
    ("BillingPeriodEnd", "datetime", "M", "M", "always"),
    ("BillingPeriodStart", "datetime", "M", "M", "always"),
    ("CapacityReservationId", "string", "C", "C"),
    ("CapacityReservationStatus", "string", "C", "C", "never", "no reservation of capacity"),
    ("ChargeCategory", "string", "M", "M", "always"),
    ("ChargeClass", "string", "M", "M"),
    ("ChargeDescription", "string", "M", "M", "always"),
    ("ChargeFrequency", "string", "R", "R", "always"),
    ("ChargePeriodEnd", "datetime", "M", "M", "always"),
    ("ChargePeriodStart", "datetime", "M", "M", "always"),
    ("CommitmentDiscountCategory", "string", "C", "C", "a commitment", "no commitment"),
    ("CommitmentDiscountId", "string", "C", "C"),
    ("CommitmentDiscountName", "string", "C", "C", "a commitment", "no commitment"),
    ("CommitmentDiscountQuantity", "decimal", "C", "C", "committed usage or purchase",
     "not committed usage or purchase"),
    ("CommitmentDiscountStatus", "string", "C", "C", "committed usage", "no commitment"),
    ("CommitmentDiscountType", "string", "C", "C", "a commitment", "no commitment"),
    ("CommitmentDiscountUnit", "string", "C", "C", "a committed quantity",
     "no committed quantity"),
    ("CommitmentProgramEligibilityDetails", "json", "-", "C"),
    ("ConsumedQuantity", "decimal", "C", "C", "use of what was not left unused",
     "not usage, or unused"),
    ("ConsumedUnit", "string", "C", "C", "a consumed quantity", "no consumed quantity"),
    ("ContractApplied", "json", "-", "C", "a commitment"),
    ("ContractedCost", "decimal", "M", "M", "always"),
    ("ContractedUnitPrice", "decimal", "C", "C", "usage or purchase", "tax", "tax or no price"),
    ("EffectiveCost", "decimal", "M", "M", "always"),
    ("HostProviderName", "string", "-", "M", "always"),
    ("InvoiceDetailId", "string", "-", "C", "an invoice", "no invoice"),
    ("InvoiceId", "string", "R", "C"),
    ("InvoiceIssuerName", "string", "M", "M", "always"),
    ("ListCost", "decimal", "M", "M", "always"),
    ("ListUnitPrice", "decimal", "C", "C", "usage or purchase", "tax", "tax or no price"),
    ("PricingCategory", "string", "C", "C", "usage or purchase", "tax"),
    ("PricingCurrency", "string", "C", "C", "always"),
    ("PricingCurrencyContractedUnitPrice", "decimal", "C", "C", "usage or purchase", "tax",
     "tax or no price"),
    ("PricingCurrencyEffectiveCost", "decimal", "C", "C", "always"),
    ("PricingCurrencyListUnitPrice", "decimal", "C", "C", "usage or purchase", "tax",
     "tax or no price"),
    ("PricingQuantity", "decimal", "M", "M", "usage or purchase", "tax", "tax or no price"),
    ("PricingUnit", "string", "M", "M", "a pricing quantity", "no pricing quantity"),
    ("ProviderName", "string", "M", "-", "always"),
    ("PublisherName", "string", "M", "-", "always"),
    ("RegionId", "string", "C", "C"),
    ("RegionName", "string", "C", "C", "a region", "no region"),
    ("ResourceId", "string", "C", "C"),
    ("ResourceName", "string", "C", "C", "never", "no resource"),
    ("ResourceType", "string", "C", "C", "a resource", "no resource"),
    ("ServiceCategory", "string", "M", "M", "always"),
    ("ServiceName", "string", "M", "M", "always"),
    ("ServiceProviderName", "string", "-", "M", "always"),
    ("ServiceSubcategory", "string", "R", "R", "always"),
    ("SkuId", "string", "C", "C", "usage or purchase", "tax"),
    ("SkuMeter", "string", "C", "C", "a sku", "no sku"),
    ("SkuPriceDetails", "json", "C", "C", "never", "no sku price"),
    ("SkuPriceId", "string", "C", "C", "usage or purchase", "tax"),
    ("SubAccountId", "string", "C", "C"),
    ("SubAccountName", "string", "C", "C", "a sub account", "no sub account"),
    ("SubAccountType", "string", "C", "C", "a sub account", "no sub account"),
    ("Tags", "json", "C", "C"),
)  # fmt: skip

COLUMNS: tuple[Column, ...] = tuple(_column(*row) for row in _TABLE)
"""Every column of the two versions, in alphabetical order."""

OWN: dict[str, str] = {
    "x_basis": "how the amount is known: measured, published, quoted, entered, estimated",
    "x_scenario": "the scenario or log that the charge is of",
    "x_segment": "the kind of clip; empty where no segment caused the charge",
    "x_model": "the model that made the clips",
    "x_route": "the route: an API model, or a model on GPUs",
    "x_term": "the commitment, balance or hardware that covers the charge or is bought with it",
    "x_hash": "first 16 hexadecimal digits of the content hash of the figure behind the amount",
    "x_clips": "attempts that the charge pays for",
    "x_busy_seconds": "GPU-seconds at work; on an API, seconds of video billed",
}
"""costlab's own columns and their meaning."""


def columns(version: Version) -> tuple[Column, ...]:
    """Return the columns of a version; raises `UnknownName`."""
    if version not in VERSIONS:
        raise UnknownName.among("FOCUS version", version, VERSIONS)
    return tuple(column for column in COLUMNS if column.level(version))
