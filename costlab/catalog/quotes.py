"""What one clip costs through an API on a day, derived step by step.

    request ──▶ every SKU of the model on sale that day ──▶ plans ──▶ the preferred one ──▶ lines

Among the SKUs that can serve, those that waste nothing come first (no unwanted sound, the lowest
resolution that reaches the wanted one); then `book.preference` decides; then the shorter bill.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from functools import lru_cache
from itertools import groupby
from typing import Any

from costlab.catalog import contracts
from costlab.catalog.billing import Plan, Step, adapter, bill, dollars, plain_number, wastes_audio
from costlab.catalog.book import (
    STALE_AFTER_DAYS,
    Price,
    Sku,
    book_state,
    in_force,
    preference,
    prices,
    prices_of,
    skus,
)
from costlab.catalog.contracts import Override
from costlab.catalog.names import Model, model, models
from costlab.core import (
    RESOLUTIONS,
    Basis,
    CannotServe,
    ClipRequest,
    Figure,
    LineItem,
    NotOnSale,
    Range,
    UnknownName,
    plain,
    usd,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The bill for one request, with everything that made it.

    ``micro_usd`` is the sum of the lines, ``list_micro_usd`` what they come to without overrides,
    ``others`` the other SKUs that could serve, in order of preference, with their totals.
    """

    model: str
    request: ClipRequest
    as_of: date
    plan: Plan
    lines: tuple[LineItem, ...]
    list_micro_usd: int
    overrides: tuple[Override, ...]
    stale: bool
    stale_why: str
    steps: tuple[Step, ...]
    others: tuple[tuple[str, int], ...]

    @property
    def sku(self) -> str:
        """The SKU that is billed."""
        return self.plan.sku.id

    @property
    def head(self) -> Price:
        """The main price row."""
        return self.plan.sku.head

    @property
    def provider(self) -> str:
        """Who sells it."""
        return self.head.provider

    @property
    def billed_seconds(self) -> Decimal:
        """Seconds on the bill, of one variant."""
        return self.plan.billed_seconds

    @property
    def micro_usd(self) -> int:
        """The total in millionths of a dollar."""
        return sum(line.micro_usd for line in self.lines)

    @property
    def usd(self) -> Decimal:
        """The total in dollars."""
        return usd(self.micro_usd)

    @property
    def payload(self) -> dict[str, Any]:
        """The request that the seller's API would get."""
        return adapter(self.provider).payload(self.plan)

    def figure(self) -> Figure:
        """Return the total with its price rows as inputs; a printed range travels along."""
        listed: dict[str, Price] = {row.unit: row for row, _ in self.plan.quantities}
        inputs = []
        for line in self.lines:
            row, source = listed.get(line.unit), line.sources[0]
            changed = row is not None and line.usd_per_unit != row.usd_per_unit
            override = contracts.standing_for(row, self.as_of, self.overrides) if row else None
            inputs.append(
                Figure(
                    name=f"price of one {line.unit}",
                    value=line.usd_per_unit,
                    unit=f"USD/{line.unit}",
                    basis=Basis.ENTERED if changed else source.basis,
                    source=source,
                    ref=line.price_ref + (f"; override:{override.name}" if override else ""),
                )
            )
        low = self.head.usd_low
        return Figure.derived(
            f"price of one clip by {self.model}",
            self.usd,
            "USD",
            " + ".join(line.formula for line in self.lines),
            inputs,
            range=None
            if low is None
            else Range(low=float(low / self.head.usd * self.usd), high=float(self.usd), level=1.0),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data.

        Keys: ``model``, ``provider``, ``channel``, ``sku``, ``as_of``, ``usd`` (decimal string),
        ``micro_usd``, ``list_usd``, ``billed_seconds``, ``clip_seconds``, ``resolution``,
        ``audio``, ``stale``, ``stale_why``, ``lines`` (label, quantity, unit, usd_per_unit, usd,
        formula, price_ref), ``steps`` (label, text, source), ``payload``, ``others`` (sku, usd).
        """
        return {
            "model": self.model,
            "provider": self.provider,
            "channel": self.head.channel,
            "sku": self.sku,
            "as_of": self.as_of.isoformat(),
            "usd": format(self.usd, "f"),
            "micro_usd": self.micro_usd,
            "list_usd": format(usd(self.list_micro_usd), "f"),
            "billed_seconds": float(self.billed_seconds),
            "clip_seconds": float(self.plan.seconds),
            "resolution": self.plan.resolution,
            "audio": self.plan.audio,
            "stale": self.stale,
            "stale_why": self.stale_why,
            "lines": [
                {
                    "label": line.label,
                    "quantity": plain_number(line.quantity),
                    "unit": line.unit,
                    "usd_per_unit": plain_number(line.usd_per_unit),
                    "usd": format(usd(line.micro_usd), "f"),
                    "formula": line.formula,
                    "price_ref": line.price_ref,
                }
                for line in self.lines
            ],
            "steps": plain(self.steps),
            "payload": plain(self.payload),
            "others": [{"sku": sku, "usd": format(usd(micro), "f")} for sku, micro in self.others],
        }


def quote(
    name: str,
    request: ClipRequest,
    *,
    as_of: date,
    provider: str | None = None,
    region: str = "",
    tier: str = "",
    backdate: bool = False,
    fx: Mapping[str, Decimal] | None = None,
    stale_after_days: int = STALE_AFTER_DAYS,
    overrides: Sequence[Override] | None = None,
) -> Quote:
    """Return what ``request`` costs by model ``name`` on ``as_of``.

    ``provider`` and ``region`` narrow who sells it; ``tier`` asks for a paid option
    (``voice-control``, ``lora``); ``fx`` (local currency per USD) converts prices that are
    published in another currency anew; ``overrides`` replaces those in the user's store.
    Raises `UnknownName`, `InvalidArgument`, `NotOnSale` (with the retirement and what to use
    instead) or `CannotServe` (with the reason of every SKU).
    """
    _known_options(region, tier)
    asked = _Asked(
        as_of=as_of,
        known=contracts.overrides() if overrides is None else tuple(overrides),
        state=book_state(),
        provider=adapter(provider).provider if provider else None,
        region=region,
        tier=tier,
        backdate=backdate,
        fx=fx or {},
        stale_after_days=stale_after_days,
    )
    wanted = model(name)
    try:
        return _quote(wanted, request, asked)
    except NotOnSale as error:
        if instead := _instead(wanted, request, asked):
            raise NotOnSale(f"{error}; on sale instead: {instead}") from None
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What a question fixes beside model and request, with the state of the book it is put to."""

    as_of: date
    known: tuple[Override, ...]
    state: str
    provider: str | None = None
    region: str = ""
    tier: str = ""
    backdate: bool = False
    fx: Mapping[str, Decimal] = field(default_factory=dict)
    stale_after_days: int = STALE_AFTER_DAYS


def _known_options(region: str, tier: str) -> None:
    """Raise `UnknownName` for a region or a paid option that no price has."""
    if region:
        regions = {row.region for row in prices() if row.region}
        if region not in regions:
            raise UnknownName.among("region", region, regions)
    if tier:
        tiers = {row.tier for row in prices() if row.tier}
        if tier not in tiers:
            raise UnknownName.among("tier", tier, tiers)


def _quote(wanted: Model, request: ClipRequest, asked: _Asked) -> Quote:
    if wanted.kind == "self_hosted":
        raise CannotServe(f"{wanted.id} runs on your own GPUs: predict its seconds instead")
    candidates = [
        sku
        for sku in _on_sale(wanted.id, asked.as_of, asked.backdate, asked.state)
        if asked.provider in (None, sku.head.provider)
    ]
    if not candidates:
        raise NotOnSale(_why_not_on_sale(wanted, asked))
    plans, reasons = _plans(candidates, wanted, request, asked)
    if not plans:
        raise CannotServe(f"{wanted.id} cannot serve this: {_told(reasons)}")
    ordered = sorted(plans, key=lambda plan: _order_of(plan, asked.as_of))
    totals = [(plan, *_priced(plan, asked)) for plan in ordered]
    best, lines, used = totals[0]
    stale_why = _stale_why(best.sku, asked)
    return Quote(
        model=wanted.id,
        request=request,
        as_of=asked.as_of,
        plan=best,
        lines=lines,
        list_micro_usd=_sum(bill(best)),
        overrides=used,
        stale=bool(stale_why),
        stale_why=stale_why,
        steps=(*best.steps, *_price_steps(best, lines, used, asked)),
        others=tuple((plan.sku.id, _sum(other)) for plan, other, _ in totals[1:]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Every API model for one request: who serves it, cheapest first; who cannot, and why."""

    served: tuple[Quote, ...]
    refused: tuple[tuple[str, str], ...]


def rank(
    request: ClipRequest,
    as_of: date,
    *,
    region: str = "",
    stale_after_days: int = STALE_AFTER_DAYS,
) -> Ranking:
    """Return a quote from every API model that can serve ``request``, cheapest first.

    Raises `UnknownName` for a region that no price has, `InvalidArgument` for an impossible shape
    or frame rate.
    """
    _known_options(region, "")
    asked = _Asked(
        as_of=as_of,
        known=contracts.overrides(),
        state=book_state(),
        region=region,
        stale_after_days=stale_after_days,
    )
    served, refused = [], []
    for entry in models():
        if entry.kind != "api":
            continue
        try:
            served.append(_quote(entry, request, asked))
        except (CannotServe, NotOnSale) as error:
            refused.append((entry.id, str(error).removeprefix(f"{entry.id} cannot serve this: ")))
    return Ranking(
        served=tuple(sorted(served, key=lambda item: (item.micro_usd, item.model))),
        refused=tuple(refused),
    )


def quote_many(
    names: Sequence[str], requests: Sequence[ClipRequest], days: Sequence[date]
) -> list[int | None]:
    """Return micro-dollars for many questions at once, None where one cannot be served.

    The three sequences have one entry per question. Days become epochs in which no price changes,
    what a seller would accept is worked out once per kind of question, and a length is billed once
    per SKU; rules, order and rounding are those of `quote`, so both agree exactly.
    """
    pricer = _Many(contracts.overrides())
    epochs = _epochs(days, pricer.known)
    answers: dict[tuple[str, date, ClipRequest], int | None] = {}
    out: list[int | None] = []
    for name, request, day in zip(names, requests, days, strict=True):
        key = (name, epochs[day], request)
        try:
            out.append(answers[key])
        except KeyError:
            answers[key] = pricer.micro_usd(*key)
            out.append(answers[key])
    return out


_Shape = tuple[str, date, str, str, bool, str, int | None]


class _Many:
    """The memory of one `quote_many`: what was already worked out."""

    def __init__(self, known: tuple[Override, ...]) -> None:
        self.known = known
        self.state = book_state()
        self.models: dict[str, Model] = {}
        self.accepted: dict[_Shape, list[list[tuple[Sku, str]]]] = {}
        self.lengths: dict[tuple[Any, ...], tuple[Decimal, Decimal] | None] = {}
        self.bills: dict[tuple[Any, ...], int | None] = {}

    def micro_usd(self, name: str, epoch: date, request: ClipRequest) -> int | None:
        """Return the bill of the SKU that `quote` would choose."""
        if name not in self.models:
            self.models[name] = model(name)
        wanted = self.models[name]
        for equals in self.in_order(wanted, epoch, request):
            served = []
            for sku, resolution in equals:
                length = self.length(sku, wanted, request, resolution)
                if length is not None:
                    made_s, billed_s = length
                    served.append((billed_s, sku.head.usd_per_unit, sku.id, sku, made_s))
            for *_, sku, made_s in sorted(served, key=lambda item: item[:3]):
                micro = self.bill(sku, wanted, epoch, request, made_s)
                if micro is not None:
                    return micro
        return None

    def in_order(
        self, wanted: Model, epoch: date, request: ClipRequest
    ) -> list[list[tuple[Sku, str]]]:
        """Return the SKUs that would take such a request, equals together, preferred first."""
        shape = (wanted.id, epoch, request.mode, request.resolution, request.audio,
                 request.aspect, request.fps)  # fmt: skip
        if shape not in self.accepted:
            found = []
            for sku in _on_sale(wanted.id, epoch, False, self.state):
                row, seller = sku.head, adapter(sku.head.provider)
                if row.tier or (row.region and row.region != seller.home_region):
                    continue
                with suppress(CannotServe):
                    seller.check_mode(row, wanted, request)
                    audio = seller.made_audio(row, wanted, request)
                    resolution = seller.made_resolution(row, wanted, request)
                    order = _order(row, resolution, wastes_audio(audio, request), epoch)
                    found.append((order, sku, resolution))
            found.sort(key=lambda item: item[0])
            self.accepted[shape] = [
                [(sku, resolution) for _, sku, resolution in equals]
                for _, equals in groupby(found, key=lambda item: item[0])
            ]
        return self.accepted[shape]

    def length(
        self, sku: Sku, wanted: Model, request: ClipRequest, resolution: str
    ) -> tuple[Decimal, Decimal] | None:
        """Return the seconds made and billed; None where the SKU makes no such length."""
        key = (id(sku), request.seconds, resolution, request.mode, request.fps,
               request.input_video_s)  # fmt: skip
        if key not in self.lengths:
            seller, row = adapter(sku.head.provider), sku.head
            try:
                made = seller.made_seconds(row, wanted, request, resolution)
                self.lengths[key] = made, seller.billed_seconds(row, wanted, request, made)[0]
            except CannotServe:
                self.lengths[key] = None
        return self.lengths[key]

    def bill(
        self, sku: Sku, wanted: Model, epoch: date, request: ClipRequest, made_s: Decimal
    ) -> int | None:
        """Return the total of the plan's lines; None where its units cannot be counted.

        Requests that a seller makes clips of one length for have one bill.
        """
        key = (id(sku), made_s, request.resolution, request.mode, request.aspect,
               request.fps, request.input_video_s, request.variants,
               epoch if self.known else None)  # fmt: skip
        if key not in self.bills:
            try:
                plan = adapter(sku.head.provider).plan(sku, wanted, request)
                asked = _Asked(as_of=epoch, known=self.known, state=self.state)
                self.bills[key] = _sum(_priced(plan, asked)[0])
            except CannotServe:
                self.bills[key] = None
        return self.bills[key]


def _epochs(days: Sequence[date], known: Sequence[Override]) -> dict[date, date]:
    """Map each day to the last day until it on which a price, override or sighting changed."""
    changes: set[date | None] = set()
    for row in prices():
        changes |= {row.opens, row.seen_on, row.retired_on, _day_after(row.valid_to)}
    for override in known:
        changes |= {override.valid_from, _day_after(override.valid_to)}
    edges = [date.min, *sorted(day for day in changes if day)]
    return {day: edges[bisect_right(edges, day) - 1] for day in set(days)}


def _day_after(day: date | None) -> date | None:
    return day and date.fromordinal(day.toordinal() + 1)


@lru_cache(maxsize=4096)
def _on_sale(model_id: str, as_of: date, backdate: bool, state: str) -> tuple[Sku, ...]:  # noqa: ARG001 - the cache key
    return skus(in_force(prices_of(model_id), as_of, backdate=backdate))


def _plans(
    candidates: Sequence[Sku], wanted: Model, request: ClipRequest, asked: _Asked
) -> tuple[list[Plan], list[tuple[str, str]]]:
    """Return what could be made, and each SKU that could not serve with the reason.

    That a SKU is for another mode is a reason only where none is for the one wanted; that it is
    another tier's or region's, only where it could serve otherwise.
    """
    plans, reasons = [], []
    taking = [sku for sku in candidates if request.mode in (sku.head.modes or wanted.modes)]
    for sku in taking or candidates:
        row = sku.head
        seller = adapter(row.provider)
        try:
            plan = seller.plan(sku, wanted, request)
        except CannotServe as error:
            reasons.append((row.sku, str(error)))
            continue
        if row.tier != asked.tier:
            reasons.append((row.sku, f"{row.sku} is the {row.tier or 'plain'} tier"))
        elif row.region and row.region != (asked.region or seller.home_region):
            reasons.append((row.sku, f"{row.sku} is sold in {row.region} only"))
        else:
            plans.append(plan)
    return plans, reasons


def _told(reasons: Sequence[tuple[str, str]]) -> str:
    """Return reasons as one text, in which SKUs that fail alike stand together."""
    alike: dict[tuple[bool, str], list[str]] = {}
    for sku, reason in reasons:
        of_sku = reason.startswith(f"{sku} ")
        alike.setdefault((of_sku, reason.removeprefix(f"{sku} ")), []).append(sku)
    told = []
    for (of_sku, reason), failed in alike.items():
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        told.append(f"{failed[0]}{more} {reason}" if of_sku else reason)
    return "; ".join(told)


def _order(row: Price, resolution: str, wasteful: bool, as_of: date) -> tuple[Any, ...]:
    seen_later = (row.seen_on or date.min) > as_of
    return (wasteful, RESOLUTIONS[resolution], seen_later, *preference(row))


def _order_of(plan: Plan, as_of: date) -> tuple[Any, ...]:
    row = plan.sku.head
    wasteful = wastes_audio(plan.audio, plan.request)
    first = _order(row, plan.resolution, wasteful, as_of)
    return (*first, plan.billed_seconds, row.usd_per_unit, row.sku)


def _priced(plan: Plan, asked: _Asked) -> tuple[tuple[LineItem, ...], tuple[Override, ...]]:
    rates: dict[str, Decimal] = {}
    used = []
    for row, _ in plan.quantities:
        if row.local_currency in asked.fx and row.local_amount is not None:
            row = replace(row, usd=row.local_amount / asked.fx[row.local_currency])
            rates[row.unit] = row.usd_per_unit
        override = contracts.standing_for(row, asked.as_of, asked.known)
        if override:
            used.append(override)
            rates[row.unit] = override.rate(row)
    return bill(plan, rates or None), tuple(used)


def _sum(lines: Sequence[LineItem]) -> int:
    return sum(line.micro_usd for line in lines)


def _price_steps(
    plan: Plan, lines: Sequence[LineItem], used: Sequence[Override], asked: _Asked
) -> tuple[Step, ...]:
    steps = []
    for row, _ in plan.quantities:
        if row.local_amount is not None and row.local_per_usd is not None:
            per_usd = asked.fx.get(row.local_currency, row.local_per_usd)
            listed = f"{plain_number(row.local_amount)} {row.local_currency}"
            steps.append(
                Step(label="currency", text=f"{listed} at {plain_number(per_usd)} per USD")
            )
    steps += [
        Step(
            label="priced",
            text=f"{line.formula} = {dollars(usd(line.micro_usd))}",
            source=line.sources[0],
        )
        for line in lines
    ]
    steps += [
        Step(label="override", text=f"{item.name} by {item.who} from {item.valid_from}: {item.why}")
        for item in dict.fromkeys(used)
    ]
    if used:
        listed = dollars(usd(_sum(bill(plan))))
        steps.append(Step(label="list price", text=f"{listed} without contract prices"))
    return tuple(steps)


def _stale_why(sku: Sku, asked: _Asked) -> str:
    for row in sku.rows:
        age = row.age_days(asked.as_of)
        if age is None:
            return f"{row.sku}: no source says on which day it was read"
        if age < 0:
            return f"{row.sku}: first seen {row.source.seen}, after the day asked about"
        if age > asked.stale_after_days:
            return f"{row.sku}: last seen {row.source.seen}, {age} days before"
    return ""


def _why_not_on_sale(wanted: Model, asked: _Asked) -> str:
    as_of, provider = asked.as_of, asked.provider
    rows = [
        row
        for row in prices_of(wanted.id)
        if row.status == "list" and provider in (None, row.provider)
    ]
    seller = f" from {provider}" if provider else ""
    if not rows:
        return (
            f"{wanted.id} has no usable price{seller} in the book; see `left_out` for what was read"
        )
    retired: dict[str, date] = {}
    for row in sorted(rows, key=preference):
        if row.retired_on and row.retired_on <= as_of:
            retired[row.provider] = max(row.retired_on, retired.get(row.provider, date.min))
    if retired:
        gone = ", ".join(
            f"{adapter(seller_id).name} on {day}"
            for seller_id, day in sorted(retired.items(), key=lambda item: item[1])
        )
        return f"{wanted.id} is not on sale{seller} on {as_of}: retired by {gone}"
    opening = [row for row in rows if row.opens and row.opens > as_of]
    if opening:
        first = min(opening, key=lambda row: row.opens or as_of)
        return (
            f"{wanted.id} has no price{seller} that was seen by {as_of}: the first is of "
            f"{first.source.seen or first.opens} ({dollars(first.usd_per_unit)} per {first.unit}); "
            "ask for a later day or allow backdating"
        )
    return f"{wanted.id} is not on sale{seller} on {as_of}: its last price ended before that day"


def _instead(wanted: Model, request: ClipRequest, asked: _Asked) -> str:
    """Name the successor that a source gives; else the cheapest of the family that is on sale and,
    among sellers that are not resellers, the nearest in price to the last rate."""
    anyone = _Asked(as_of=asked.as_of, known=asked.known, state=asked.state)
    options: dict[str, Quote] = {}
    for entry in models():
        if entry.kind == "api" and entry.id != wanted.id:
            with suppress(CannotServe, NotOnSale):
                options[entry.id] = _quote(entry, request, anyone)
    chosen = [wanted.successor] if wanted.successor in options else []
    family = [name for name in options if model(name).family == wanted.family]
    rates = [row.usd_per_unit for row in prices_of(wanted.id) if row.unit == "second"]
    if not chosen and family:
        chosen.append(min(family, key=lambda name: options[name].micro_usd))
    direct = [name for name in options if options[name].head.channel != "reseller"]
    if wanted.successor not in options and direct and rates:
        goal = min(rates) * request.seconds * request.variants
        chosen.append(min(direct, key=lambda name: abs(options[name].usd - goal)))
    return ", ".join(
        f"{name} ({dollars(options[name].usd)} by {adapter(options[name].provider).name})"
        for name in dict.fromkeys(chosen)
    )
