"""What was really billed: invoices as a simple CSV, FOCUS files of any seller, replayed logs.

invoice.csv, focus.csv, focus.parquet ──▶ charges ──▶ variance against the forecast
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from costlab import catalog, store
from costlab.core import BadData, CostlabError, InvalidArgument, UnknownName, micro_usd
from costlab.finance.charges import CLIPS, GPU_HOURS, Charge, Item, nano
from costlab.finance.terms import month_of

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceLine:
    """One line of an invoice as a person copies it; ``route`` as the forecast names it.

    ``seconds`` are GPU-seconds at work, or seconds of video on an API's bill; ``gpu_hours`` those
    paid for. ``ends`` is the day after the last; left out, the line is of its month.
    """

    day: date
    usd: Decimal
    route: str = ""
    ends: date | None = None
    seller: str = ""
    description: str = ""
    model: str = ""
    sku: str = ""
    clips: Decimal = Decimal(0)
    seconds: Decimal = Decimal(0)
    gpu_hours: Decimal = Decimal(0)
    segment: str = ""
    tenant: str = ""
    invoice: str = ""
    category: Literal["Usage", "Purchase", "Credit", "Adjustment", "Tax"] = "Usage"
    correction: bool = False

    def __post_init__(self) -> None:
        if min(self.clips, self.seconds, self.gpu_hours) < 0:
            raise InvalidArgument("clips, seconds and gpu_hours must not be negative")
        if self.ends is not None and self.ends <= self.day:
            raise InvalidArgument(f"ends {self.ends}, not after it starts {self.day}")

    def charge(self) -> Charge:
        """Return the line as a charge; its list price is what it cost."""
        gpu = self.gpu_hours > 0
        quantity = self.gpu_hours if gpu else self.clips
        price = (
            (self.usd / quantity).quantize(Decimal("1e-9")) if quantity > 0 <= self.usd else None
        )
        item = Item(
            label=self.description or self.route or self.seller or "invoice line",
            kind="gpu" if gpu else "api" if self.clips else "other",
            seller=self.seller or "unknown",
            category=self.category,
            frequency="Usage-Based" if self.category == "Usage" else "One-Time",
            sku=self.sku or (self.route if quantity else ""),
            unit=(GPU_HOURS if gpu else CLIPS) if quantity else "",
            list_usd=price,
            usd=price,
            route=self.route,
            model=self.model or _model(self.route),
            segment=self.segment,
            tenant=self.tenant,
            basis="entered",
            invoice=self.invoice,
            corrects=self.correction,
        )
        micro = micro_usd(self.usd)
        return Charge(
            item=item,
            starts=self.day,
            ends=self.ends or month_of(self.day, 1),
            billed_micro=micro,
            effective_micro=micro,
            contracted_micro=micro,
            list_micro=micro,
            quantity_nano=nano(quantity) if quantity else None,
            clips_micro=round(self.clips * 1_000_000),
            busy_micro_s=round(self.seconds * 1_000_000),
        )


def _model(route: str) -> str:
    try:
        return catalog.model(route.split("@")[0]).id
    except CostlabError:
        return ""


def read_invoices(path: Path) -> tuple[Charge, ...]:
    """Return the lines of an invoice CSV (columns as `InvoiceLine`); raises `BadData`."""
    return tuple(line.charge() for line in store.read(path, InvoiceLine))


# ── FOCUS files ───────────────────────────────────────────────────────────────────────────────

_TEXTS = (
    "ChargeCategory", "ChargeClass", "ChargeDescription", "CommitmentDiscountId",
    "CommitmentDiscountStatus", "InvoiceId", "PricingUnit", "ProviderName",
    "ServiceProviderName", "ServiceName", "SkuId", "x_basis", "x_model", "x_route", "x_scenario",
    "x_segment", "x_term", "SubAccountId",
)  # fmt: skip
_NUMBERS = {
    "BilledCost": 6, "EffectiveCost": 6, "ContractedCost": 6, "ListCost": 6, "PricingQuantity": 9,
    "x_clips": 6, "x_busy_seconds": 6,
}  # fmt: skip
_PERIOD = ("ChargePeriodStart", "ChargePeriodEnd")
_NEEDED = (
    "BilledCost", "EffectiveCost", "ContractedCost", "ListCost", "BillingCurrency",
    "ChargeCategory", "ServiceName", *_PERIOD,
)  # fmt: skip


def read_focus(path: Path, *, routes: Mapping[str, str] | None = None) -> tuple[Charge, ...]:
    """Return the charges of a FOCUS file (``.csv`` or ``.parquet``, 1.0 to 1.4) in US dollars.

    Rows that agree in all but amounts are summed by month, so that a file of any size is read in
    little memory. A row's route is ``x_route``, else what ``routes`` says of its SkuId, ServiceName
    or provider, else its SkuId or ServiceName. Raises `BadData` naming every column that is
    missing, `InvalidArgument` for another currency, `UnknownName` for another file type.
    """
    sums: dict[tuple[Any, ...], list[Any]] = {}
    for batch in _focus_batches(path):
        _add_up(batch, sums, path)
    return tuple(_charge(key, amounts, routes or {}) for key, amounts in sums.items())


def _focus_batches(path: Path) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.csv as csv
    import pyarrow.parquet as pq

    wanted = (*_TEXTS, *_NUMBERS, *_PERIOD, "BillingCurrency")
    try:
        if path.suffix == ".parquet":
            source = pq.ParquetFile(path)
            names = source.schema_arrow.names
            _check(path, names)
            yield from source.iter_batches(columns=[name for name in wanted if name in names])
        elif path.suffix == ".csv":
            with path.open(encoding="utf-8-sig") as file:
                names = next(iter(_header(file.readline())), [])
            _check(path, names)
            kept = [name for name in wanted if name in names]
            yield from csv.open_csv(
                path,
                convert_options=csv.ConvertOptions(
                    column_types=dict.fromkeys(kept, pa.string()),
                    include_columns=kept,
                    strings_can_be_null=True,
                ),
            )
        else:
            raise UnknownName.among("FOCUS file type", path.suffix, (".parquet", ".csv"))
    except pa.ArrowInvalid as error:
        raise BadData(path.name, [f"cannot be read: {error}"]) from error


def _header(line: str) -> list[list[str]]:
    import csv

    return list(csv.reader([line]))


def _check(path: Path, names: list[str]) -> None:
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        raise BadData(path.name, [f"no column {name}: not a FOCUS file" for name in missing])


def _add_up(batch: pa.RecordBatch, sums: dict[tuple[Any, ...], list[Any]], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    columns: dict[str, Any] = {}
    rows = batch.num_rows
    for name in (*_TEXTS, "BillingCurrency"):
        there = name in batch.schema.names
        columns[name] = pc.fill_null(batch.column(name).cast(pa.string()), "") if there else None
    currencies = set(pc.unique(columns["BillingCurrency"]).to_pylist()) - {"USD"}
    if currencies:
        raise InvalidArgument(
            f"{path.name} is billed in {', '.join(sorted(currencies))}: only USD can be compared"
        )
    table: dict[str, Any] = {
        name: pa.array([""] * rows) if columns[name] is None else columns[name] for name in _TEXTS
    }
    for name, places in _NUMBERS.items():
        if name in batch.schema.names:
            exact = batch.column(name).cast(pa.decimal128(38, 15))
            exact = pc.fill_null(pc.round(exact, places), Decimal(0))
        else:
            exact = pa.array([Decimal(0)] * rows, pa.decimal128(38, 15))
        table[name] = exact
    for name in _PERIOD:
        column = batch.column(name)
        if pa.types.is_string(column.type):
            column = pc.replace_substring(column, "Z", "")
        table[name] = column.cast(pa.timestamp("s"))
    table["month"] = pc.floor_temporal(table["ChargePeriodStart"], unit="month")
    keys = ["month", *_TEXTS]
    grouped = pa.table(table).group_by(keys).aggregate(
        [(name, "sum") for name in _NUMBERS] + [(_PERIOD[0], "min"), (_PERIOD[1], "max")]
    )  # fmt: skip
    for row in grouped.to_pylist():
        key = tuple(row[name] for name in keys)
        amounts = [row[f"{name}_sum"] for name in _NUMBERS]
        edges = [row[f"{_PERIOD[0]}_min"], row[f"{_PERIOD[1]}_max"]]
        if key in sums:
            held = sums[key]
            amounts = [a + b for a, b in zip(held[:-2], amounts, strict=True)]
            edges = [min(held[-2], edges[0]), max(held[-1], edges[1])]
        sums[key] = [*amounts, *edges]


def _charge(key: tuple[Any, ...], amounts: list[Any], routes: Mapping[str, str]) -> Charge:
    said = dict(zip(_TEXTS, key[1:], strict=True))
    billed, effective, contracted, listed, quantity, clips, busy, starts, ends = amounts
    seller = said["ServiceProviderName"] or said["ProviderName"] or "unknown"
    route = said["x_route"] or _routed(said, seller, routes)
    gpu = said["PricingUnit"] == GPU_HOURS
    if not clips and said["PricingUnit"] == CLIPS and said["ChargeCategory"] == "Usage":
        clips = quantity
    item = Item(
        label=said["ChargeDescription"] or said["ServiceName"],
        kind="gpu" if gpu else "api" if clips else "other",
        seller=seller,
        category=said["ChargeCategory"],
        sku=said["SkuId"],
        unit=said["PricingUnit"],
        list_usd=_each(listed, quantity),
        usd=_each(contracted, quantity),
        route=route,
        model=said["x_model"] or _model(route),
        segment=said["x_segment"],
        tenant=said["SubAccountId"],
        scenario=said["x_scenario"],
        basis=said["x_basis"],
        term=said["CommitmentDiscountId"] or said["x_term"],
        status=said["CommitmentDiscountStatus"],
        invoice=said["InvoiceId"],
        corrects=said["ChargeClass"] == "Correction",
    )
    return Charge(
        item=item,
        starts=_day(starts),
        ends=_day(ends + timedelta(days=1) - timedelta(seconds=1)),
        billed_micro=int(billed.scaleb(6)),
        effective_micro=int(effective.scaleb(6)),
        contracted_micro=int(contracted.scaleb(6)),
        list_micro=int(listed.scaleb(6)),
        quantity_nano=int(quantity.scaleb(9)) if said["PricingUnit"] else None,
        clips_micro=int(clips.scaleb(6)),
        busy_micro_s=int(busy.scaleb(6)),
    )


def _routed(said: Mapping[str, str], seller: str, routes: Mapping[str, str]) -> str:
    if said["ChargeCategory"] not in ("Usage", "Purchase") or said["x_scenario"]:
        return ""
    names = (said["SkuId"], said["ServiceName"], seller)
    known = next((routes[name] for name in names if name in routes), "")
    return known or said["SkuId"] or said["ServiceName"]


def _each(cost: Decimal, quantity: Decimal) -> Decimal | None:
    return (cost / quantity).quantize(Decimal("1e-9")) if quantity > 0 and cost >= 0 else None


def _day(moment: datetime) -> date:
    return moment.date()


def read(path: Path, *, routes: Mapping[str, str] | None = None) -> tuple[Charge, ...]:
    """Return the charges of a FOCUS file, or of an invoice CSV where it has no FOCUS columns."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig") as file:
            names = next(iter(_header(file.readline())), [])
        if "BilledCost" not in names:
            return read_invoices(path)
    return read_focus(path, routes=routes)


def of_month(charges: tuple[Charge, ...], month: date) -> tuple[Charge, ...]:
    """Return the charges that start in the month of a day."""
    first = month_of(month)
    return tuple(one for one in charges if first <= one.starts < month_of(first, 1))
