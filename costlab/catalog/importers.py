"""Price lists of other tools, from a local file: shown first, applied as one entry afterwards.

    file ──read──▶ plan: added, changed, conflicting, same, unmapped ──apply──▶ user's store

LiteLLM's map holds API prices; SkyPilot's and gpuhunt's tables hold GPU offers. Nothing is dropped
without a line that says why. An applied import stands beside the shipped book, with the file's
hash, and is taken away by a further entry.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Literal

from costlab import store
from costlab.catalog.billing import pixel_tokens
from costlab.catalog.book import IMPORTED_FROM, IMPORTS, Price, in_force, prices, prices_of
from costlab.catalog.names import Model, model
from costlab.catalog.rental import Offer, offers
from costlab.core import RESOLUTIONS, BadData, ClipRequest, InvalidArgument, UnknownName, plain

Action = Literal["added", "changed", "conflicting", "same", "unmapped"]
Kind = Literal["litellm", "skypilot", "gpuhunt"]

LITELLM_SELLERS: Mapping[str, tuple[str, str, str]] = {
    "azure": ("azure", "cloud", ""),
    "dashscope": ("alibaba", "vendor", "beijing"),
    "fal_ai": ("fal", "reseller", ""),
    "gemini": ("gemini", "vendor", ""),
    "minimax": ("minimax", "vendor", ""),
    "openai": ("openai", "vendor", ""),
    "qwencloud": ("alibaba", "vendor", "singapore"),
    "runwayml": ("runway", "vendor", ""),
    "vertex_ai": ("vertex", "cloud", ""),
    "volcengine": ("volcengine", "vendor", ""),
    "xai": ("xai", "vendor", ""),
}
"""LiteLLM's provider prefixes: seller, channel, region."""

LITELLM_REPEATS = {
    "qwen_ai_platform": "repeats the dashscope (Beijing) entry under another prefix",
    "vertex_ai-language-models": "repeats the vertex_ai entry under another prefix",
}

ACCELERATORS: Mapping[str, str] = {
    "A10": "A10", "A10G": "A10G", "A100": "A100-40GB", "A100-40GB": "A100-40GB",
    "A100-80GB": "A100-80GB", "A100-80GB-SXM": "A100-80GB", "A100-80GB-PCIe": "A100-80GB-PCIe",
    "B200": "B200", "B300": "B300", "GB200": "GB200", "GB300": "GB300", "GH200": "GH200",
    "H100": "H100-SXM", "H100-SXM": "H100-SXM", "H100-SXM5": "H100-SXM", "H100-MEGA": "H100-SXM",
    "H100-PCIe": "H100-PCIe", "H100-NVL": "H100-NVL", "H100NVL": "H100-NVL", "H20": "H20",
    "H200": "H200", "H200-SXM": "H200", "H200-NVL": "H200-NVL", "L4": "L4", "L40": "L40",
    "L40S": "L40S", "MI300X": "MI300X", "MI325X": "MI325X", "MI355X": "MI355X", "T4": "T4",
    "RTX4090": "RTX-4090", "RTX5090": "RTX-5090", "RTX6000Ada": "RTX-6000-Ada",
    "RTX6000-Ada": "RTX-6000-Ada", "RTXA6000": "RTX-A6000", "A6000": "RTX-A6000",
    "RTXPRO6000": "RTX-PRO-6000", "RTXPRO6000WK": "RTX-PRO-6000", "RTXPRO6000MQ": "RTX-PRO-6000",
}  # fmt: skip
"""Names of other catalogues: costlab's GPU ids. Names without a form factor are taken as SXM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRow:
    """What would become of one row of the file, and why."""

    action: Action
    key: str
    why: str
    price: Price | None = None
    offer: Offer | None = None
    book_rate: Decimal | None = None

    @property
    def rate(self) -> Decimal | None:
        """The rate that the file gives, in USD per unit or GPU-hour."""
        if self.price:
            return self.price.usd_per_unit
        return self.offer.usd_per_gpu_hour if self.offer else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportPlan:
    """Everything an import would do; nothing is done until `apply`."""

    kind: Kind
    file: str
    sha256: str
    rows: tuple[ImportRow, ...]

    def of(self, action: Action) -> tuple[ImportRow, ...]:
        """Return the rows of one action."""
        return tuple(row for row in self.rows if row.action == action)

    @property
    def summary(self) -> dict[str, int]:
        """The number of rows per action."""
        actions: tuple[Action, ...] = ("added", "changed", "conflicting", "same", "unmapped")
        return {action: len(self.of(action)) for action in actions}


def plan_import(
    kind: Kind,
    path: Path,
    *,
    as_of: date,
    provider: str = "",
    seen: str | None = None,
) -> ImportPlan:
    """Return what importing ``path`` would do, without doing it.

    ``provider`` names the seller of a SkyPilot or gpuhunt table; ``seen`` is the day the file was
    made, where its user knows it (the tables are undated; LiteLLM's extract may carry one).
    Raises `BadData` where the file is not of that kind, `InvalidArgument` where ``seen`` is no day.
    """
    if seen is not None and _precision(seen) == "undated":
        raise InvalidArgument(f"seen is a day such as 2026-11-22, a month or a year; got {seen!r}")
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(path.name, [f"cannot be read: {error}"]) from error
    if kind == "litellm":
        rows = tuple(_litellm(path.name, text, as_of, seen))
    elif kind in ("skypilot", "gpuhunt"):
        if not provider:
            raise InvalidArgument(f"a {kind} table names no seller: give provider")
        reader = _skypilot if kind == "skypilot" else _gpuhunt
        rows = tuple(_compared(reader(path.name, text, provider, seen), as_of))
    else:
        raise UnknownName.among("kind of import", kind, ("litellm", "skypilot", "gpuhunt"))
    if not rows:
        what = "video entry" if kind == "litellm" else "row"
        raise BadData(path.name, [f"has no {what} to import"])
    return ImportPlan(kind=kind, file=path.name, sha256=hashlib.sha256(raw).hexdigest(), rows=rows)


def apply(plan: ImportPlan, *, who: str, why: str) -> str:
    """Write the added, changed and conflicting rows as one entry and return its name.

    One entry is one transaction: all rows stand, or none. Raises `InvalidArgument` where nothing
    would be written.
    """
    chosen = [row for row in plan.rows if row.action in ("added", "changed", "conflicting")]
    if not chosen:
        raise InvalidArgument(f"{plan.file} adds nothing to the book")
    if not who or not why:
        raise InvalidArgument("an import needs who applies it and why")
    name = f"{plan.kind}:{plan.sha256[:12]}"
    body = {
        "kind": plan.kind,
        "file": plan.file,
        "sha256": plan.sha256,
        "prices": [_filled(row.price) for row in chosen if row.price],
        "offers": [_filled(row.offer) for row in chosen if row.offer],
    }
    store.add_entry(IMPORTS, name, body, who=who, why=why)
    return name


def remove_import(name: str, *, who: str, why: str) -> None:
    """Take an applied import away by a further entry."""
    if name not in store.entries(IMPORTS):
        raise UnknownName.among("applied import", name, store.entries(IMPORTS))
    store.add_entry(IMPORTS, name, None, who=who, why=why)


def _filled(record: Price | Offer) -> dict[str, Any]:
    row: dict[str, Any] = plain(record)
    row["source"] = {key: value for key, value in row["source"].items() if value is not None}
    return {key: value for key, value in row.items() if value is not None}


# ── LiteLLM ───────────────────────────────────────────────────────────────────────────────────


def _litellm(file: str, text: str, as_of: date, seen: str | None) -> Iterator[ImportRow]:
    try:
        loaded = json.loads(text, parse_float=Decimal)
    except json.JSONDecodeError as error:
        raise BadData(file, [f"is not JSON: {error}"]) from error
    if not isinstance(loaded, dict):
        raise BadData(file, ["expected an object of model entries"])
    entries = loaded.get("entries", loaded)
    about = loaded.get("_about", {})
    seen = seen or about.get("extracted")
    taken: set[tuple[Any, ...]] = set()
    for key, entry in entries.items():
        if not isinstance(entry, dict) or not _is_video(entry):
            continue
        for row in _litellm_entry(file, key, entry, seen):
            if row.price is None:
                yield row
                continue
            identity = (row.price.provider, row.price.endpoint, row.price.region, row.price.tier,
                        row.price.resolution, row.price.unit)  # fmt: skip
            if identity in taken:
                yield ImportRow(action="unmapped", key=row.key, why="repeats an entry above")
                continue
            taken.add(identity)
            yield _against_book(row, as_of)


def _is_video(entry: Mapping[str, Any]) -> bool:
    return (
        entry.get("mode") == "video_generation"
        or "output_cost_per_video_per_second" in entry
        or "output_cost_per_video_token" in entry
    )


def _litellm_entry(
    file: str, key: str, entry: Mapping[str, Any], seen: str | None
) -> Iterator[ImportRow]:
    prefix, _, endpoint = key.rpartition("/") if "/" not in key else key.partition("/")
    prefix = prefix or str(entry.get("litellm_provider", ""))
    if "video" not in (entry.get("supported_output_modalities") or ["video"]):
        yield ImportRow(action="unmapped", key=key, why="its listed outputs are not video")
        return
    if prefix in LITELLM_REPEATS:
        yield ImportRow(action="unmapped", key=key, why=LITELLM_REPEATS[prefix])
        return
    if prefix not in LITELLM_SELLERS:
        yield ImportRow(action="unmapped", key=key, why=f"no adapter for provider {prefix!r}")
        return
    try:
        known = model(key)
    except UnknownName as error:
        yield ImportRow(action="unmapped", key=key, why=str(error))
        return
    provider, channel, region = LITELLM_SELLERS[prefix]
    if provider == "runway" and known.provider != "runway":
        channel = "reseller"
    tier = "high-res" if endpoint.endswith("-high-res") else ""
    source = {
        "publisher": "BerriAI/litellm",
        "document": f"{IMPORTED_FROM}{file}",
        "locator": entry.get("source"),
        "seen": seen,
        "seen_precision": _precision(seen),
        "basis": "quoted",
        "note": "the locator is the page that the entry cites",
    }
    shared = {
        "model": known.id, "provider": provider, "channel": channel, "region": region,
        "endpoint": endpoint.removesuffix("-high-res"), "tier": tier, "trust": "medium",
        "modes": _litellm_modes(entry, known), "retired_on": entry.get("deprecation_date"),
        "source": {field: value for field, value in source.items() if value is not None},
    }  # fmt: skip
    try:
        rows = list(_litellm_rates(entry))
    except ValueError as error:
        yield ImportRow(action="unmapped", key=key, why=f"a rate is not a number: {error}")
        return
    if not rows:
        yield ImportRow(action="unmapped", key=key, why="no rate that a clip could be billed by")
    for unit, resolution, usd, per, free in rows:
        sku = "/".join(part for part in ("litellm", key, resolution) if part)
        made = {**shared, "sku": sku, "unit": unit, "usd": usd, "per": per,
                "resolution": resolution, "free_units": free}  # fmt: skip
        clean = {field: value for field, value in made.items() if value is not None}
        try:
            (price,) = store.parse([clean], Price, key)
        except BadData as error:
            yield ImportRow(action="unmapped", key=sku, why="; ".join(error.problems))
            continue
        shown = f"{sku} (image)" if unit == "image" else sku
        yield ImportRow(action="added", key=shown, why="", price=price)


def _litellm_rates(
    entry: Mapping[str, Any],
) -> Iterator[tuple[str, str | None, Decimal, Decimal, int]]:
    """Yield unit, resolution, USD, per, free units; the schema's order of precedence."""
    one = Decimal(1)
    if "output_cost_per_video_per_second" in entry:
        seconds: dict[str | None, Decimal] = {
            None: _number(entry["output_cost_per_video_per_second"])
        }
    else:
        seconds = {
            name.removeprefix("output_cost_per_second_"): _number(rate)
            for name, rate in entry.items()
            if name.startswith("output_cost_per_second_")
        }
        base = entry.get("output_cost_per_second")
        if base is not None and _number(base) not in seconds.values():
            seconds[None] = _number(base)
    for tier, rate in seconds.items():
        yield "second", tier, rate, one, 0
        if "input_cost_per_image" in entry:
            extra = entry.get("provider_specific_entry") or {}
            free = int(extra.get("minimax_free_input_images", 0))
            yield "image", tier, _number(entry["input_cost_per_image"]), one, free
    if "output_cost_per_video_token" in entry:
        million = Decimal(1_000_000)
        yield "token", None, _number(entry["output_cost_per_video_token"]) * million, million, 0


def _number(value: Any) -> Decimal:
    """Return a finite number; raises `ValueError` with the text that is none."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise ValueError(f"{value!r}")
    return number


def _litellm_modes(entry: Mapping[str, Any], known: Model) -> tuple[str, ...]:
    takes = entry.get("supported_modalities")
    if takes is None:
        return known.modes
    modes = [mode for mode, needs in (("t2v", "text"), ("i2v", "image")) if needs in takes]
    return tuple(mode for mode in modes if mode in known.modes) or known.modes


def _precision(seen: str | None) -> str:
    """Return how much of a day is written; undated for anything else."""
    written = seen or ""
    try:
        date.fromisoformat(written + "2000-01-01"[len(written) :])
    except ValueError:
        return "undated"
    return {10: "day", 7: "month", 4: "year"}.get(len(written), "undated")


def _against_book(row: ImportRow, as_of: date) -> ImportRow:
    """Say how an imported price stands to the shipped rows of the same seller and endpoint."""
    price = row.price
    assert price is not None
    shipped = [
        other
        for other in prices_of(price.model)
        if not other.sku.startswith("litellm/")
        and (other.provider, other.region, other.tier) == (price.provider, price.region, price.tier)
        and other.endpoint == price.endpoint
        and (other.unit == "image") == (price.unit == "image")
    ]
    held = in_force(shipped, as_of) or tuple(other for other in shipped if other.status == "list")
    same_size = [
        other
        for other in held
        if price.resolution is None
        or other.resolution is None
        or RESOLUTIONS.get(other.resolution) == RESOLUTIONS.get(price.resolution)
    ]
    earlier = [old for old in prices() if old.sku == price.sku and old.unit == price.unit]
    if not same_size:
        if earlier:
            return _changed(row, earlier[-1].usd_per_unit)
        return ImportRow(action="added", key=row.key, why="not in the book", price=price)
    rates = {_rate(other, price) for other in same_size}
    ours = min(rates, key=lambda rate: abs(rate - price.usd_per_unit))
    if abs(ours - price.usd_per_unit) <= Decimal("0.000001"):
        why = "the book has the same rate"
        return ImportRow(action="same", key=row.key, why=why, price=price, book_rate=ours)
    difference = price.usd_per_unit - ours
    return ImportRow(
        action="conflicting",
        key=row.key,
        why=f"the file says {price.usd_per_unit}, the book {ours} ({same_size[0].sku}): "
        f"{difference:+f} USD per {price.unit}",
        price=price,
        book_rate=ours,
    )


def _rate(other: Price, price: Price) -> Decimal:
    """Return the shipped rate in the imported row's unit: tokens become seconds at 16:9."""
    if other.unit == "pixel_token" and price.unit == "second":
        one_second = ClipRequest(seconds=Decimal(1))
        tokens = pixel_tokens(
            model(other.model), one_second, other.resolution or "720p", Decimal(1)
        )
        return tokens * other.usd_per_unit
    return other.usd_per_unit


def _changed(row: ImportRow, before: Decimal) -> ImportRow:
    action: Action = "same" if row.rate == before else "changed"
    why = f"imported before at {before}"
    return ImportRow(
        action=action, key=row.key, why=why, price=row.price, offer=row.offer, book_rate=before
    )


# ── SkyPilot and gpuhunt ──────────────────────────────────────────────────────────────────────


def _table(file: str, text: str, needed: Iterable[str]) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(text.splitlines())
    missing = [name for name in needed if name not in (reader.fieldnames or [])]
    if missing:
        raise BadData(file, [f"column {name!r} is missing" for name in missing])
    for number, row in enumerate(reader, 1):
        yield number, {str(key): (value or "").strip() for key, value in row.items() if key}


def _skypilot(file: str, text: str, provider: str, seen: str | None) -> Iterator[ImportRow]:
    needed = ("InstanceType", "AcceleratorName", "AcceleratorCount", "Price", "Region")
    for number, row in _table(file, text, needed):
        key = f"row {number}: {row['InstanceType']} in {row['Region']}"
        if not row["AcceleratorName"]:
            yield ImportRow(action="unmapped", key=key, why="has no accelerator")
            continue
        zone = row.get("AvailabilityZone", "")
        for column, purchase in (("Price", "on_demand"), ("SpotPrice", "spot")):
            if row.get(column):
                yield _offer_row(
                    key, provider, row["AcceleratorName"], row["AcceleratorCount"], row[column],
                    purchase, (zone if purchase == "spot" else "") or row["Region"],
                    row["InstanceType"], "skypilot-org/skypilot-catalog", file, seen,
                )  # fmt: skip


def _gpuhunt(file: str, text: str, provider: str, seen: str | None) -> Iterator[ImportRow]:
    needed = ("instance_name", "location", "price", "gpu_count", "gpu_name", "spot")
    for number, row in _table(file, text, needed):
        key = f"row {number}: {row['instance_name']} in {row['location']}"
        if not row["gpu_name"] or row["gpu_count"] in ("", "0"):
            yield ImportRow(action="unmapped", key=key, why="has no accelerator")
            continue
        label = row["gpu_name"]
        if label in ("A100",) and row.get("gpu_memory", "").split(".")[0] == "80":
            label = "A100-80GB"
        purchase = "spot" if row["spot"].lower() in ("true", "1") else "on_demand"
        yield _offer_row(
            key, provider, label, row["gpu_count"], row["price"], purchase, row["location"],
            row["instance_name"], "dstackai/gpuhunt", file, seen,
        )  # fmt: skip


def _offer_row(
    key: str,
    provider: str,
    label: str,
    count: str,
    price: str,
    purchase: str,
    region: str,
    instance: str,
    publisher: str,
    file: str,
    seen: str | None,
) -> ImportRow:
    gpu = ACCELERATORS.get(label)
    if gpu is None:
        return ImportRow(action="unmapped", key=key, why=f"accelerator {label!r} is not known")
    try:
        gpus, usd = _number(count), _number(price)
    except ValueError:
        why = f"count {count!r} or price {price!r} is not a number"
        return ImportRow(action="unmapped", key=key, why=why)
    if gpus != gpus.to_integral_value() or gpus < 1:
        return ImportRow(action="unmapped", key=key, why=f"{count} is a fraction of a GPU, or none")
    if not usd > 0:
        return ImportRow(action="unmapped", key=key, why=f"price {price} is not greater than 0")
    rate = (usd / gpus).quantize(Decimal("1e-9")).normalize()
    name = [provider, gpu, f"{int(gpus)}x", purchase, region.lower().replace(" ", "-")]
    source = {"publisher": publisher, "document": f"{IMPORTED_FROM}{file}", "basis": "quoted",
              "seen_precision": _precision(seen), **({"seen": seen} if seen else {})}  # fmt: skip
    made = {
        "id": "/".join(part for part in name if part), "provider": provider, "gpu": gpu,
        "gpu_as_listed": label, "gpus_per_instance": int(gpus), "instance": instance,
        "usd_per_hour": usd, "usd_per_gpu_hour": rate, "purchase": purchase, "region": region,
        "source": source,
    }  # fmt: skip
    try:
        (offer,) = store.parse([made], Offer, key)
    except BadData as error:
        return ImportRow(action="unmapped", key=key, why="; ".join(error.problems))
    return ImportRow(action="added", key=offer.id, why="not in the book", offer=offer)


def _compared(rows: Iterable[ImportRow], as_of: date) -> Iterator[ImportRow]:
    book = {row.id: row for row in offers(as_of, include_history=True)}
    taken: dict[str, Offer] = {}
    for row in rows:
        if row.offer is None:
            yield row
            continue
        first = taken.setdefault(row.offer.id, row.offer)
        if first is not row.offer and first.usd_per_gpu_hour == row.offer.usd_per_gpu_hour:
            yield ImportRow(action="same", key=row.key, why="repeats a row above")
            continue
        if first is not row.offer:
            why = f"a second price for {row.offer.id}: {first.usd_per_gpu_hour} stands"
            yield ImportRow(action="unmapped", key=row.key, why=why)
            continue
        held = book.get(row.offer.id)
        if held is None:
            yield row
        elif held.usd_per_gpu_hour == row.offer.usd_per_gpu_hour:
            yield ImportRow(
                action="same", key=row.key, why="the book has the same rate", offer=row.offer,
                book_rate=held.usd_per_gpu_hour,
            )  # fmt: skip
        else:
            newer = row.offer.opens and (not held.opens or row.offer.opens > held.opens)
            yield ImportRow(
                action="changed" if newer else "conflicting",
                key=row.key,
                why=f"the file says {row.offer.usd_per_gpu_hour}, the book "
                f"{held.usd_per_gpu_hour} (seen {held.source.seen or 'undated'})",
                offer=row.offer,
                book_rate=held.usd_per_gpu_hour,
            )
