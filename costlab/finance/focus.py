"""FOCUS rows of any charges, streamed: projected months and replayed or imported actuals alike.

    charges ──65,536 at a time──▶ Arrow batch ──▶ Parquet or CSV, written beside and renamed

What is the same for every charge of an item is worked out once an item; a batch only looks it up.
BilledCost and EffectiveCost are the micro-dollars of the bill. ListCost and ContractedCost are
quantity × unit price in full, to twelve decimals, because FOCUS compares them with that product.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costlab.core import InvalidArgument, UnknownName
from costlab.finance.charges import CLIPS, GPU_HOURS, Charge, Item
from costlab.finance.focus_columns import OWN, Version, columns

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

BATCH_ROWS = 65_536
NOT_APPLICABLE = "Not Applicable"

_SERVICES = {
    "api": ("Video generation API", "AI and Machine Learning", "Generative AI"),
    "gpu": ("GPU rental", "Compute", "Virtual Machines"),
    "owned": ("Owned GPUs", "Compute", "Other (Compute)"),
    "other": ("Other charges", "Other", "Other (Other)"),
}
_METERS = {CLIPS: "Clips made", GPU_HOURS: "GPU time"}
_AMOUNTS = ("billed_micro", "effective_micro", "contracted_micro", "list_micro")
_COUNTS = ("quantity_nano", "committed_nano", "clips_micro", "busy_micro_s")
_COMPUTED = frozenset(
    {
        "BilledCost", "EffectiveCost", "ContractedCost", "ListCost", "PricingCurrencyEffectiveCost",
        "PricingQuantity", "ConsumedQuantity", "CommitmentDiscountQuantity", "ContractApplied",
        "BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd",
        "x_clips", "x_busy_seconds",
    }
)  # fmt: skip
_PRICES = frozenset(
    {
        "ListUnitPrice", "ContractedUnitPrice",
        "PricingCurrencyListUnitPrice", "PricingCurrencyContractedUnitPrice",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Whose bill it is: the billing account that every row names."""

    id: str = "costlab"
    name: str = "costlab"
    type: str = "Account"


def rows(
    charges: Iterable[Charge],
    *,
    version: Version = "1.4",
    account: Account | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield FOCUS rows of ``charges`` in their order, as Arrow batches of one schema.

    Charges may come from a generator: no more than a batch is held. They are quickest where many
    share one `Item`. Raises `UnknownName` for a version other than
    1.2 and 1.4.
    """
    import pyarrow as pa

    maker = _Maker(version, account or Account())
    stream = iter(charges)
    while chunk := list(islice(stream, BATCH_ROWS)):
        table: dict[str, Any] = {
            name: pa.array([getattr(charge, name) for charge in chunk], pa.int64())
            for name in (*_AMOUNTS, *_COUNTS)
        }
        for name in ("starts", "ends"):
            days = pa.array([getattr(charge, name) for charge in chunk], pa.date32())
            table[name] = days.cast(pa.timestamp("s"))
        yield maker.batch([charge.item for charge in chunk], table)


def rows_of(
    items: Sequence[Item],
    batches: Iterable[pa.RecordBatch],
    *,
    version: Version = "1.4",
    account: Account | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield FOCUS rows of charges that are columns already, such as a replayed log's.

    A batch has ``item`` (place in ``items``), ``starts``, ``ends`` (timestamps or days, UTC) and
    `Charge`'s own numbers: ``billed_micro``, ``effective_micro``, ``contracted_micro``,
    ``list_micro``, ``quantity_nano``, ``committed_nano``, ``clips_micro``, ``busy_micro_s``. An
    amount left out is the billed one, a count left out is absent. Raises `InvalidArgument` for a
    batch without ``item``, ``starts``, ``ends`` or ``billed_micro``.
    """
    import pyarrow as pa

    maker = _Maker(version, account or Account())
    places = maker.places(items)
    for batch in batches:
        missing = {"item", "starts", "ends", "billed_micro"} - set(batch.schema.names)
        if missing:
            raise InvalidArgument(f"the batch has no column {', '.join(sorted(missing))}")
        table: dict[str, Any] = {}
        for name in _AMOUNTS:
            kept = name if name in batch.schema.names else "billed_micro"
            table[name] = batch.column(kept).cast(pa.int64())
        for name in _COUNTS:
            table[name] = (
                batch.column(name).cast(pa.int64())
                if name in batch.schema.names
                else pa.nulls(batch.num_rows, pa.int64())
            )
        for name in ("starts", "ends"):
            table[name] = batch.column(name).cast(pa.timestamp("s"))
        yield maker.columns(places[batch.column("item").to_numpy(zero_copy_only=False)], table)


# ── What an item says ─────────────────────────────────────────────────────────────────────────


def _said(item: Item, account: Account) -> dict[str, Any]:
    """Return what an item settles, by column; a column that it leaves out is empty."""
    tax = item.category == "Tax"
    bought = item.category in ("Usage", "Purchase")
    service, category, subcategory = _SERVICES[item.kind]
    committed = item.term_kind and bought
    sku = item.sku if bought and not tax else None
    price = f"{item.sku}/{item.unit}" if sku else None
    resource = item.route if item.kind in ("gpu", "owned") and item.status != "Unused" else ""
    if item.category == "Purchase" or item.status == "Unused":
        resource = item.term
    return {
        "BillingAccountId": account.id,
        "BillingAccountName": account.name,
        "BillingAccountType": account.type,
        "BillingCurrency": "USD",
        "ChargeCategory": item.category,
        "ChargeClass": "Correction" if item.corrects else None,
        "ChargeDescription": item.label,
        "ChargeFrequency": item.frequency,
        "CommitmentDiscountCategory": item.term_kind if committed else None,
        "CommitmentDiscountId": item.term if committed else None,
        "CommitmentDiscountName": item.term if committed else None,
        "CommitmentDiscountStatus": item.status if committed and item.status else None,
        "CommitmentDiscountType": item.term_type if committed else None,
        "CommitmentDiscountUnit": ("USD" if item.term_kind == "Spend" else GPU_HOURS)
        if committed
        else None,
        "CommitmentProgramEligibilityDetails": _programs(item),
        "ConsumedUnit": item.unit if item.category == "Usage" and item.status != "Unused" else None,
        "ContractedUnitPrice": item.usd if price else None,
        "HostProviderName": NOT_APPLICABLE if item.kind == "other" else item.seller,
        "InvoiceDetailId": f"{item.invoice}/{item.label}" if item.invoice else None,
        "InvoiceId": item.invoice or None,
        "InvoiceIssuerName": item.seller,
        "ListUnitPrice": item.list_usd if price else None,
        "PricingCategory": _pricing(item) if bought else None,
        "PricingCurrency": "USD",
        "PricingCurrencyContractedUnitPrice": item.usd if price else None,
        "PricingCurrencyListUnitPrice": item.list_usd if price else None,
        "PricingUnit": item.unit if price else None,
        "ProviderName": item.seller,
        "PublisherName": item.seller,
        "RegionId": item.region or None,
        "RegionName": item.region or None,
        "ResourceId": resource or None,
        "ResourceType": (item.term_type or "GPU" if resource == item.term else "GPU")
        if resource
        else None,
        "ServiceCategory": category,
        "ServiceName": service,
        "ServiceProviderName": item.seller,
        "ServiceSubcategory": subcategory,
        "SkuId": sku,
        "SkuMeter": _METERS.get(item.unit, item.unit) if sku else None,
        "SkuPriceId": price,
        "SubAccountId": item.tenant or None,
        "SubAccountName": item.tenant or None,
        "SubAccountType": "Tenant" if item.tenant else None,
        "Tags": json.dumps({"tenant": item.tenant}) if item.tenant else None,
        "x_basis": item.basis or None,
        "x_scenario": item.scenario or None,
        "x_segment": item.segment or None,
        "x_model": item.model or None,
        "x_route": item.route or None,
        "x_term": item.term or None,
        "x_hash": item.proof.content_hash[:16] if item.proof else None,
    }


def _pricing(item: Item) -> str:
    if item.term_kind and item.category == "Usage":
        return "Committed"
    return "Dynamic" if item.spot else "Standard"


def _programs(item: Item) -> str | None:
    if item.category != "Usage" or item.kind not in ("gpu", "api"):
        return None
    named = [*item.programs, *([item.term_type] if item.term_type else [])]
    if not named:
        return None
    return json.dumps({"CommitmentPrograms": [{"ProgramType": name} for name in named]})


# ── What a batch works out ────────────────────────────────────────────────────────────────────


class _Maker:
    """The items met so far, each column's distinct values, and the batches made of them."""

    def __init__(self, version: Version, account: Account) -> None:
        self.account = account
        self.names = [*(column.name for column in columns(version)), *OWN]
        self.static = [name for name in self.names if name not in _COMPUTED]
        self.place_of: dict[int, int] = {}
        self.kept: list[Item] = []
        self.codes: dict[str, list[int]] = {name: [] for name in self.static}
        self.values: dict[str, dict[Any, int]] = {name: {} for name in self.static}
        self.facts: list[tuple[bool, bool, bool, str, str]] = []

    def places(self, items: Sequence[Item]) -> np.ndarray[Any, Any]:
        """Return the place of each item, new ones added; one object is looked at once."""
        import numpy as np

        known = self.place_of
        for item in items:
            if id(item) not in known:
                known[id(item)] = len(self.kept)
                self._add(item)
        return np.fromiter((known[id(item)] for item in items), np.int64, len(items))

    def _add(self, item: Item) -> None:
        self.kept.append(item)  # kept alive, so that its id stays its own
        said = _said(item, self.account)
        for name in self.static:
            values = self.values[name]
            self.codes[name].append(values.setdefault(said.get(name), len(values)))
        bought = item.category in ("Usage", "Purchase") and bool(item.sku)
        used = item.category == "Usage" and item.status != "Unused"
        committed = bool(item.term_kind) and item.category in ("Usage", "Purchase")
        self.facts.append(
            (bought, used, committed, item.term, said["CommitmentDiscountUnit"] or "")
        )

    def batch(self, items: Sequence[Item], table: dict[str, Any]) -> pa.RecordBatch:
        """Return the rows of charges of ``items``."""
        return self.columns(self.places(items), table)

    def columns(self, places: np.ndarray[Any, Any], table: dict[str, Any]) -> pa.RecordBatch:
        """Return the rows of charges whose items stand at ``places``."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        made: dict[str, Any] = {}
        for name in self.static:
            kind = pa.decimal128(16, 9) if name in _PRICES else pa.string()
            values = [
                value.quantize(Decimal("1e-9")) if isinstance(value, Decimal) else value
                for value in self.values[name]
            ]
            codes = np.asarray(self.codes[name], np.int32)[places]
            mask = None
            if None in self.values[name]:
                mask = codes == self.values[name][None]
                values[self.values[name][None]] = Decimal(0) if name in _PRICES else ""
            made[name] = pa.DictionaryArray.from_arrays(
                pa.array(codes, mask=mask), pa.array(values, kind)
            )
        facts = [pa.array([fact[k] for fact in self.facts]) for k in range(3)]
        bought, used, committed = (fact.take(pa.array(places)) for fact in facts)
        quantity = _decimal(table["quantity_nano"], 9)
        made["PricingQuantity"] = pc.if_else(bought, quantity, None)
        made["ConsumedQuantity"] = pc.if_else(used, quantity, None)
        made["CommitmentDiscountQuantity"] = pc.if_else(
            committed, _decimal(table["committed_nano"], 9), None
        )
        for name, amount in (("BilledCost", "billed_micro"), ("EffectiveCost", "effective_micro")):
            made[name] = _decimal(table[amount], 6)
        made["PricingCurrencyEffectiveCost"] = made["EffectiveCost"]
        for name, amount, price in (
            ("ContractedCost", "contracted_micro", "ContractedUnitPrice"),
            ("ListCost", "list_micro", "ListUnitPrice"),
        ):
            unit = made[price].dictionary_decode()
            product = pc.round(pc.multiply(made["PricingQuantity"], unit), 12)
            flat = _decimal(table[amount], 6).cast(pa.decimal128(36, 18))
            made[name] = pc.coalesce(product, flat).cast(pa.decimal128(30, 12))
        for period, edge in (("Start", "starts"), ("End", "ends")):
            made[f"ChargePeriod{period}"] = table[edge].cast(pa.timestamp("s", "UTC"))
        month = pc.floor_temporal(table["starts"], unit="month")
        made["BillingPeriodStart"] = month.cast(pa.timestamp("s", "UTC"))
        after = pc.ceil_temporal(table["starts"], unit="month", ceil_is_strictly_greater=True)
        made["BillingPeriodEnd"] = after.cast(pa.timestamp("s", "UTC"))
        made["x_clips"] = _decimal(table["clips_micro"], 6)
        made["x_busy_seconds"] = _decimal(table["busy_micro_s"], 6)
        if "ContractApplied" in self.names:
            made["ContractApplied"] = self._applied(places, committed, made)
        return pa.RecordBatch.from_arrays([made[name] for name in self.names], self.names)

    def _applied(self, places: np.ndarray[Any, Any], committed: Any, made: dict[str, Any]) -> Any:
        """Return ContractApplied: what each charge takes of its contract, as JSON."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not pc.any(committed).as_py():
            return pa.nulls(len(places), pa.string())
        heads, tails = [], []
        for *_, term, unit in self.facts:
            name = json.dumps(term)
            heads.append(
                f'{{"Elements": [{{"ContractID": {name}, "ContractCommitmentID": {name}, '
                '"ContractCommitmentAppliedCost": '
            )
            tails.append(f', "ContractCommitmentAppliedUnit": {json.dumps(unit)}}}]}}')
        where = pa.array(places)
        text = pc.binary_join_element_wise(
            pa.array(heads).take(where),
            made["EffectiveCost"].cast(pa.string()),
            ', "ContractCommitmentAppliedQuantity": ',
            made["CommitmentDiscountQuantity"].cast(pa.string()),
            pa.array(tails).take(where),
            "",
        )
        return pc.if_else(committed, text, None)


def _decimal(values: Any, scale: int) -> Any:
    """Return integers as decimals with ``scale`` places, exactly and without touching Python."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    filled = pc.fill_null(values, 0).to_numpy(zero_copy_only=False)
    wide = np.empty((len(filled), 2), np.int64)
    wide[:, 0] = filled
    wide[:, 1] = filled >> 63
    kind = pa.decimal128(19, scale)
    made = pa.Array.from_buffers(kind, len(filled), [None, pa.py_buffer(wide)])
    return pc.if_else(pc.is_valid(values), made, None) if values.null_count else made


# ── Writing ───────────────────────────────────────────────────────────────────────────────────


def write(batches: Iterable[pa.RecordBatch], path: Path) -> int:
    """Write batches to a ``.parquet`` or ``.csv`` file, batch by batch; return the rows.

    The file appears whole or not at all. In CSV a text that a spreadsheet would run as a formula
    is preceded by an apostrophe. Raises `UnknownName` for another suffix, `InvalidArgument` where
    there are no rows.
    """
    import pyarrow.parquet as pq

    if path.suffix not in (".parquet", ".csv"):
        raise UnknownName.among("FOCUS file type", path.suffix, (".parquet", ".csv"))
    stream = iter(batches)
    first = next(stream, None)
    if first is None:
        raise InvalidArgument("there are no charges to write")
    fresh = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    count = 0
    try:
        if path.suffix == ".csv":
            with fresh.open("wb") as file:
                file.write((",".join(first.schema.names) + "\n").encode())
                for batch in _chain(first, stream):
                    for buffer in _csv(batch):
                        file.write(buffer)
                    count += batch.num_rows
        else:
            with pq.ParquetWriter(fresh, first.schema, compression="zstd") as writer:
                for batch in _chain(first, stream):
                    writer.write_batch(batch)
                    count += batch.num_rows
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    return count


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def _csv(batch: pa.RecordBatch) -> Iterator[Any]:
    """Yield the batch as CSV text; columns that are the same in every row become part of commas."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts: list[Any] = []
    fixed = ""
    for number, column in enumerate(batch.columns):
        comma = "," if number else ""
        text = _texts(column)
        if isinstance(text, str):
            fixed += comma + text
            continue
        if fixed or comma:
            parts.append(fixed + comma)
        parts.append(text)
        fixed = ""
    parts.append(fixed + "\n")
    lines = pc.binary_join_element_wise(*parts, "")
    if isinstance(lines, pa.Scalar):
        lines = pa.array([lines.as_py()] * batch.num_rows)
    offsets, data = lines.buffers()[1:]
    del offsets
    yield data


def _texts(column: Any) -> Any:
    """Return a column as CSV cells: one text where all rows agree, else an array of them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.null_count == len(column):
        return ""
    if pa.types.is_dictionary(column.type):
        cells = column.dictionary
        if pa.types.is_string(cells.type):
            cells = pa.array([_cell(text) for text in cells.to_pylist()])
        else:
            cells = cells.cast(pa.string())
        codes = pc.unique(column.indices)
        if len(codes) == 1 and codes[0].is_valid:
            return cells[codes[0].as_py()].as_py()
        return pc.fill_null(cells.take(column.indices), "")
    if pa.types.is_timestamp(column.type):
        coded = column.dictionary_encode()
        days = pa.array([f"{value:%Y-%m-%dT%H:%M:%SZ}" for value in coded.dictionary.to_pylist()])
        return days[0].as_py() if len(days) == 1 else days.take(coded.indices)
    if pa.types.is_string(column.type):
        quoted = pc.binary_join_element_wise('"', pc.replace_substring(column, '"', '""'), '"', "")
        return pc.fill_null(quoted, "")
    return pc.fill_null(column.cast(pa.string()), "")


def _cell(text: str) -> str:
    safe = "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
    return '"' + safe.replace('"', '""') + '"' if set(safe) & set('",\n\r') else safe
