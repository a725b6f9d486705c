"""What was really billed: invoices as a simple CSV, FOCUS files of any seller, replayed logs.

invoice.csv, focus.csv, focus.parquet ──▶ charges ──▶ variance against the forecast
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from costlab import catalog, store
from costlab.core import BadData, CostlabError, InvalidArgument, UnknownName, micro_usd
from costlab.finance.charges import CLIPS, GPU_HOURS, NANO, Charge, Item, nano, priced
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
_CLIP_UNITS = ("clips", "requests", "videos", "generations")
_SECOND_UNITS = ("seconds", "video seconds")
_PERIOD = ("ChargePeriodStart", "ChargePeriodEnd")
_NEEDED = (
    "BilledCost", "EffectiveCost", "ContractedCost", "ListCost", "BillingCurrency",
    "ChargeCategory", "ServiceName", *_PERIOD,
)  # fmt: skip


def read_focus(path: Path, *, routes: Mapping[str, str] | None = None) -> tuple[Charge, ...]:
    """Return the charges of a FOCUS file (``.csv`` or ``.parquet``, 1.0 to 1.4) in US dollars.

    Rows that agree in all but amounts are summed by month, so that a file of any size is read in
    little memory. A row's route is ``x_route``, else what ``routes`` says of its SkuId, ServiceName
    or provider, else its SkuId or ServiceName. Its attempts are ``x_clips``, else the quantity
    where the unit counts clips, requests, videos or generations; rows priced by the second tell
    their seconds of video. Raises `BadData` naming every column that is missing,
    `InvalidArgument` for another currency, `UnknownName` for another file type.
    """
    sums: dict[tuple[Any, ...], list[Any]] = {}
    for batch in _focus_batches(path):
        _add_up(_typed(batch, path), sums)
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


def _typed(batch: pa.RecordBatch, path: Path) -> dict[str, Any]:
    """Return the columns that are read, with their types; what a file lacks is empty or zero."""
    import pyarrow as pa
    import pyarrow.compute as pc

    there, rows = set(batch.schema.names), batch.num_rows
    table: dict[str, Any] = {}
    name = ""
    try:
        for name in (*_TEXTS, "BillingCurrency"):
            text = batch.column(name).cast(pa.string()) if name in there else pa.nulls(rows)
            table[name] = pc.fill_null(text.cast(pa.string()), "")
        for name, places in _NUMBERS.items():
            column = batch.column(name) if name in there else pa.nulls(rows)
            exact = pc.round(column.cast(pa.decimal128(38, 15)), places)
            table[name] = pc.fill_null(exact, Decimal(0))
        for name in _PERIOD:
            column = batch.column(name)
            if pa.types.is_string(column.type):
                column = pc.replace_substring(column, "Z", "")
            table[name] = column.cast(pa.timestamp("s"), safe=False)
    except pa.ArrowInvalid as error:
        raise BadData(path.name, [f"{name}: {error}"]) from error
    currencies = set(pc.unique(table.pop("BillingCurrency")).to_pylist()) - {"USD"}
    if currencies:
        raise InvalidArgument(
            f"{path.name} is billed in {', '.join(sorted(currencies))}: only USD can be compared"
        )
    return table


def _add_up(table: dict[str, Any], sums: dict[tuple[Any, ...], list[Any]]) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

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
    unit = said["PricingUnit"].lower()
    if said["ChargeCategory"] == "Usage" and not said["x_scenario"]:
        clips = clips or (quantity if unit in _CLIP_UNITS else clips)
        busy = busy or (quantity if unit in _SECOND_UNITS else busy)
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


def of_replay(
    rows: Iterable[Mapping[str, Any]], *, scenario: str = "", paid: bool = False
) -> tuple[Charge, ...]:
    """Return a replayed log's totals as charges, one a row.

    A row has month, tenant, segment, model, route, kind, requests and micro_usd, as
    `costlab.replay.Replay.by` gives them. ``paid`` takes what the log says was paid
    (``paid_micro_usd``) in the place of what the replay worked out. Own GPUs cost their busy
    seconds there, so that they have no idle hours.
    """
    found = []
    for row in rows:
        micro = row["paid_micro_usd" if paid else "micro_usd"]
        requests = row["requests"]
        route = row["route"] or "not served"
        price = (
            (Decimal(micro).scaleb(-6) / requests).quantize(Decimal("1e-9")) if requests else None
        )
        day = row["month"]
        first = month_of(day.date() if isinstance(day, datetime) else day)
        own = row["kind"] == "self_hosted"
        item = Item(
            label=f"{route}: {row['segment'] or 'requests'}",
            kind="gpu" if own else "api",
            seller="own GPUs" if own else route,
            sku=route,
            unit=CLIPS,
            list_usd=price,
            usd=price,
            route=route,
            model=row["model"] or "",
            segment=row["segment"] or "",
            tenant=row["tenant"] or "",
            scenario=scenario,
            basis="entered" if paid else "estimated" if own else "",
        )
        found.append(
            priced(
                item,
                first,
                month_of(first, 1),
                requests * NANO,
                billed_micro=micro,
                clips_micro=requests * 1_000_000,
            )
        )
    return tuple(found)


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
