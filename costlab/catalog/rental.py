"""What a GPU-hour costs: dated offers of every kind of purchase, and owned hardware as one of them.

instance price ÷ GPUs = USD per GPU-hour      what runs ──billed_s──▶ what is on the bill
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import ROUND_CEILING, Decimal
from functools import cache, lru_cache
from typing import Literal

from costlab import store
from costlab.catalog.book import STALE_AFTER_DAYS, first_day, imported, user_state
from costlab.core import (
    HOURS_PER_MONTH,
    Basis,
    CannotServe,
    Figure,
    InvalidArgument,
    Source,
    UnknownName,
)

Purchase = Literal["on_demand", "spot", "reserved", "community", "serverless", "owned"]
PURCHASES: tuple[Purchase, ...] = (
    "on_demand", "spot", "reserved", "community", "serverless", "owned",
)  # fmt: skip
HOURS_PER_YEAR = 8760
OWNED_ID = "owned/H100-SXM/8x"
"""The offer of owned hardware at its defaults, which describe such a node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One way to rent (or own) a GPU, as one source printed it.

    ``usd_per_hour`` is the instance's price, ``usd_per_gpu_hour`` the share of one GPU. ``usable``
    is False for rows that are history only. Rates follow the same as-of rule as API prices.
    ``interruption_low`` and ``interruption_high`` bound the share of instances lost in a month;
    ``notice_s`` is the warning before that.
    """

    id: str
    provider: str
    gpu: str
    gpu_as_listed: str
    gpus_per_instance: int
    vram_gib: int | None = None
    instance: str = ""
    usd_per_hour: Decimal
    usd_per_gpu_hour: Decimal
    purchase: Purchase
    region: str = ""
    increment_s: Decimal | None = None
    bills_cold_start: bool | None = None
    idle_tail_s: Decimal | None = None
    notice_s: int | None = None
    interruption_low: float | None = None
    interruption_high: float | None = None
    interruption_source: Source | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    usable: bool = True
    owned_inputs: Mapping[str, float] = field(default_factory=dict, hash=False)
    note: str = ""
    source: Source

    def __post_init__(self) -> None:
        if not (self.usd_per_gpu_hour.is_finite() and self.usd_per_gpu_hour > 0):
            raise InvalidArgument(
                f"{self.id}: usd_per_gpu_hour must be greater than 0, got {self.usd_per_gpu_hour}"
            )
        if self.gpus_per_instance < 1:
            raise InvalidArgument(f"{self.id}: gpus_per_instance must be at least 1")

    @property
    def seen_on(self) -> date | None:
        """The first day that the source's date allows; None where it is undated."""
        return first_day(self.source.seen)

    @property
    def opens(self) -> date | None:
        """The first day of the window; None where the row stands from always."""
        if self.valid_from or self.valid_to:
            return self.valid_from
        return self.seen_on

    def stale(self, as_of: date, after_days: int = STALE_AFTER_DAYS) -> bool:
        """Whether the row is undated, was seen after ``as_of``, or longer ago than allowed."""
        if self.purchase == "owned":
            return False
        return self.seen_on is None or not 0 <= (as_of - self.seen_on).days <= after_days

    @property
    def interruptions_per_hour(self) -> tuple[float, float, float] | None:
        """Interruptions an hour of an instance at the low end, middle and high end of its band.

        A share q of instances lost in a month is a rate of −ln(1 − q) a month. None without a band,
        or with one that is open above.
        """
        low, high = self.interruption_low, self.interruption_high
        if low is None or high is None or high >= 1:
            return None
        first, middle, last = (
            -math.log1p(-share) / HOURS_PER_MONTH for share in (low, (low + high) / 2, high)
        )
        return first, middle, last

    def figure(self) -> Figure:
        """Return the price of one GPU-hour; for owned hardware with its inputs underneath."""
        if self.purchase == "owned":
            return owned_figure(self.gpu, inputs=self.owned_inputs)
        return Figure(
            name=f"one {self.gpu} hour, {self.purchase.replace('_', ' ')}, {self.provider}",
            value=self.usd_per_gpu_hour,
            unit="USD/GPU-hour",
            basis=self.source.basis,
            formula=f"${self.usd_per_hour} per hour / {self.gpus_per_instance} GPUs"
            if self.gpus_per_instance > 1
            else "",
            source=self.source,
            ref=f"offer:{self.id}",
        )

    def billed_s(self, run_s: Decimal, cold_start_s: Decimal = Decimal(0)) -> Decimal:
        """Return the instance seconds on the bill for one stretch of work.

        A seller that bills the cold start adds it, one with an idle tail adds that, and the sum is
        rounded up to its increment. What no source states adds nothing and is not rounded.
        """
        if run_s < 0 or cold_start_s < 0:
            raise InvalidArgument("run_s and cold_start_s must not be negative")
        total = run_s + (cold_start_s if self.bills_cold_start is not False else 0)
        total += self.idle_tail_s or 0
        step = self.increment_s
        if not step:
            return total
        return (total / step).to_integral_value(rounding=ROUND_CEILING) * step

    def under(self, rule: ServerlessRule) -> Offer:
        """Return the same GPU as a serverless worker that is counted by ``rule``."""
        return replace(
            self,
            purchase="serverless",
            increment_s=rule.increment_s,
            bills_cold_start=rule.bills_cold_start,
            idle_tail_s=rule.idle_tail_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerlessRule:
    """How a serverless seller counts a worker's time; None where its source does not say."""

    provider: str
    bills_cold_start: bool | None = None
    idle_tail_s: Decimal | None = None
    increment_s: Decimal | None = None
    note: str = ""
    source: Source


SERVERLESS = store.Shelf(table="serverless_rules", record=ServerlessRule, pattern="serverless.yaml")


def serverless_rule(provider: str) -> ServerlessRule:
    """Return how ``provider`` counts a serverless worker; raises `UnknownName` without a source."""
    rules = {row.provider: row for row in store.records(SERVERLESS)}
    if provider not in rules:
        raise UnknownName.among("provider with a serverless rule", provider, rules)
    return rules[provider]


OFFERS = store.Shelf(table="offers", record=Offer, pattern="offers/*.yaml")


def _all_offers() -> tuple[Offer, ...]:
    return store.records(OFFERS) + imported("offers", Offer)


def offers(
    as_of: date,
    gpu: str | None = None,
    purchase: str | None = None,
    provider: str | None = None,
    *,
    include_history: bool = False,
) -> tuple[Offer, ...]:
    """Return the offers that hold on ``as_of``, cheapest GPU-hour first.

    Of rows with one id, the latest to open by that day holds; a row seen later is not used. Owned
    hardware at its defaults is listed where ``purchase`` asks for it: its price is an assumption.
    """
    if purchase is not None and purchase not in PURCHASES:
        raise UnknownName.among("purchase", purchase, PURCHASES)
    if purchase == "owned":
        default = owned_offer()
        mine = gpu in (None, default.gpu) and provider in (None, default.provider)
        return (default,) if mine else ()
    return tuple(
        row
        for row in _holding(as_of, include_history, _state()).values()
        if gpu in (None, row.gpu)
        and purchase in (None, row.purchase)
        and provider in (None, row.provider)
    )


def _state() -> str:
    return OFFERS.fingerprint() + user_state()


@lru_cache(maxsize=256)
def _holding(as_of: date, include_history: bool, state: str) -> dict[str, Offer]:  # noqa: ARG001 - the cache key
    """Return the row that holds of each id, cheapest GPU-hour first."""
    newest: dict[str, Offer] = {}
    for row in _all_offers():
        if not (row.usable or include_history) or (row.opens and row.opens > as_of):
            continue
        best = newest.get(row.id)
        if best is None or (row.opens or date.min) > (best.opens or date.min):
            newest[row.id] = row
    found = [row for row in newest.values() if not (row.valid_to and row.valid_to < as_of)]
    found.sort(key=lambda row: (row.usd_per_gpu_hour, row.id))
    return {row.id: row for row in found}


def offer(offer_id: str, as_of: date | None = None) -> Offer:
    """Return the offer of that id: as of a day, or its latest row.

    ``owned/H100-SXM/8x`` is owned hardware at its defaults. Raises `UnknownName`, or
    `CannotServe` where it had no price by that day.
    """
    if offer_id == OWNED_ID:
        return owned_offer()
    known = _by_id(_state())
    rows = known.get(offer_id)
    if not rows:
        raise UnknownName.among("offer", offer_id, {OWNED_ID, *known})
    if as_of is None:
        return rows[-1]
    holding = _holding(as_of, True, _state()).get(offer_id)
    if holding is None:
        raise CannotServe(f"{offer_id} has no price for {as_of}; first seen {rows[0].source.seen}")
    return holding


def offer_history(offer_id: str) -> tuple[Offer, ...]:
    """Return every row of one offer, oldest first."""
    return _by_id(_state()).get(offer_id, ())


def spot_saving(spot: Offer, as_of: date) -> float | None:
    """Return the share that ``spot`` saves on the same instance bought on demand that day.

    Below zero where spot is dearer; None where the book has no such on-demand price.
    """
    twin = next(
        (
            row
            for row in offers(as_of, gpu=spot.gpu, provider=spot.provider)
            if row.purchase in ("on_demand", "community")
            and (row.gpus_per_instance, row.region) == (spot.gpus_per_instance, spot.region)
        ),
        None,
    )
    return None if twin is None else float(1 - spot.usd_per_gpu_hour / twin.usd_per_gpu_hour)


@cache
def _by_id(state: str) -> dict[str, tuple[Offer, ...]]:  # noqa: ARG001 - the cache key
    found: dict[str, list[Offer]] = {}
    for row in _all_offers():
        found.setdefault(row.id, []).append(row)
    return {
        name: tuple(sorted(rows, key=lambda row: row.opens or date.min))
        for name, rows in found.items()
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotAdvice:
    """What AWS said of one instance type in one region: savings and monthly interruption band."""

    region: str
    instance_type: str
    savings_pct_vs_on_demand: int
    interruption_band_trailing_month: str
    data_date: date
    source: str

    @property
    def band(self) -> tuple[float, float]:
        """The shares of instances interrupted in a month, lower and upper end."""
        text = self.interruption_band_trailing_month.rstrip("%")
        if text.startswith("<"):
            return 0.0, float(text[1:]) / 100
        if text.startswith(">"):
            return float(text[1:]) / 100, 1.0
        low, high = text.split("-")
        return float(low) / 100, float(high) / 100


SPOT_ADVICE = store.Shelf(table="spot_advice", record=SpotAdvice, pattern="spot_advisor.csv")


def spot_advice(instance: str | None = None, region: str | None = None) -> tuple[SpotAdvice, ...]:
    """Return AWS's spot figures, narrowed to an instance type or a region."""
    return tuple(
        row
        for row in store.records(SPOT_ADVICE)
        if instance in (None, row.instance_type) and region in (None, row.region)
    )


# ── Owned hardware ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedInput:
    """One default of the cost of owned hardware, with the range that its source gives."""

    name: str
    value: Decimal
    unit: str
    low: Decimal | None = None
    high: Decimal | None = None
    note: str = ""
    source: Source


OWNED = store.Shelf(table="owned_inputs", record=OwnedInput, pattern="owned.yaml")


def owned_inputs() -> dict[str, OwnedInput]:
    """Return the sourced defaults of `owned_usd_per_gpu_hour` by argument name."""
    return {row.name: row for row in store.records(OWNED)}


def capital_recovery_factor(rate: float, years: float) -> float:
    """Return the share of capex due each year: i / (1 − (1 + i)^−n), and 1/n without interest.

    >>> round(capital_recovery_factor(0.10, 3), 6), capital_recovery_factor(0.0, 4)
    (0.402115, 0.25)
    """
    if not 0 < years < math.inf:
        raise InvalidArgument(f"years must be greater than 0, got {years}")
    if not 0 <= rate < math.inf:
        raise InvalidArgument(f"rate must not be negative, got {rate}")
    return 1 / years if rate == 0 else rate / (1 - (1 + rate) ** -years)


def owned_usd_per_gpu_hour(
    *,
    capex_usd_per_gpu: float,
    years: float,
    rate: float,
    availability: float,
    watts_per_gpu: float,
    pue: float,
    usd_per_kwh: float,
    hosting_usd_per_gpu_hour: float = 0.0,
    staff_usd_per_gpu_hour: float = 0.0,
    residual_share: float = 0.0,
    straight_line: bool = False,
) -> float:
    """Return the cost of one hour of an owned GPU.

    capex · CRF(i, n) / (8760 · availability) + W · PUE · (USD per kWh) / 1000 + hosting + staff.
    The residual value is discounted to today and taken off the capex; ``straight_line`` spreads
    capex less residual evenly over the years instead. ``watts_per_gpu`` is the mean draw of the
    node's share, idle included.

    >>> owned_usd_per_gpu_hour(capex_usd_per_gpu=8760, years=1, rate=0, availability=1,
    ...                        watts_per_gpu=1000, pue=1.5, usd_per_kwh=0.1)
    1.15
    """
    if not 0 < availability <= 1:
        raise InvalidArgument(f"availability must be in (0, 1], got {availability}")
    if not 0 <= residual_share < 1:
        raise InvalidArgument(f"residual_share must be in [0, 1), got {residual_share}")
    if not 1 <= pue < math.inf:
        raise InvalidArgument(f"pue must be at least 1, got {pue}")
    amounts = {
        "capex_usd_per_gpu": capex_usd_per_gpu, "watts_per_gpu": watts_per_gpu,
        "usd_per_kwh": usd_per_kwh, "hosting_usd_per_gpu_hour": hosting_usd_per_gpu_hour,
        "staff_usd_per_gpu_hour": staff_usd_per_gpu_hour,
    }  # fmt: skip
    for name, amount in amounts.items():
        if not 0 <= amount < math.inf:
            raise InvalidArgument(f"{name} must not be negative, got {amount}")
    recovery = capital_recovery_factor(0.0 if straight_line else rate, years)
    if straight_line:
        per_year = capex_usd_per_gpu * (1 - residual_share) * recovery
    else:
        kept = residual_share / (1 + rate) ** years
        per_year = capex_usd_per_gpu * (1 - kept) * recovery
    energy = watts_per_gpu * pue * usd_per_kwh / 1000
    return (
        per_year / (HOURS_PER_YEAR * availability)
        + energy
        + hosting_usd_per_gpu_hour
        + staff_usd_per_gpu_hour
    )


def owned_offer(
    gpu: str = "H100-SXM",
    *,
    gpus_per_instance: int = 8,
    inputs: Mapping[str, float] | None = None,
    straight_line: bool = False,
) -> Offer:
    """Return owned hardware as an offer: the sourced defaults, with any of them replaced.

    The defaults describe an 8-GPU H100 node. Raises `UnknownName` for an input that does not exist.
    """
    if gpus_per_instance < 1:
        raise InvalidArgument(f"gpus_per_instance must be at least 1, got {gpus_per_instance}")
    defaults = owned_inputs()
    chosen = {name: float(row.value) for name, row in defaults.items()}
    for name, value in (inputs or {}).items():
        if name not in chosen:
            raise UnknownName.among("input of owned hardware", name, chosen)
        chosen[name] = value
    rate = owned_usd_per_gpu_hour(**chosen, straight_line=straight_line)
    usd = Decimal(str(rate)).quantize(Decimal("0.000001"))
    return Offer(
        id=f"owned/{gpu}/{gpus_per_instance}x",
        provider="owned",
        gpu=gpu,
        gpu_as_listed=gpu,
        gpus_per_instance=gpus_per_instance,
        usd_per_hour=usd * gpus_per_instance,
        usd_per_gpu_hour=usd,
        purchase="owned",
        owned_inputs=dict(inputs or {}),
        note="; ".join(f"{name} = {value:g}" for name, value in chosen.items()),
        source=Source(
            publisher="costlab",
            document="cost of owned hardware from data/owned.yaml and what was entered",
            basis=Basis.ENTERED,
        ),
    )


def owned_figure(
    gpu: str = "H100-SXM",
    *,
    inputs: Mapping[str, float] | None = None,
    straight_line: bool = False,
) -> Figure:
    """Return the owned GPU-hour with each input, its source and its basis underneath."""
    made = owned_offer(gpu, inputs=inputs, straight_line=straight_line)
    parts = []
    for name, row in owned_inputs().items():
        entered = inputs is not None and name in inputs
        parts.append(
            Figure(
                name=name.replace("_", " "),
                value=Decimal(str(inputs[name])) if inputs is not None and entered else row.value,
                unit=row.unit,
                basis=Basis.ENTERED if entered else row.source.basis,
                source=None if entered else row.source,
                ref=f"owned:{name}",
            )
        )
    return Figure.derived(
        f"one owned {gpu} hour",
        made.usd_per_gpu_hour,
        "USD/GPU-hour",
        "capex · CRF / (8760 · availability) + W · PUE · USD/kWh / 1000 + hosting + staff",
        parts,
    )


# ── Other terms ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """What a provider takes off for committing: a share for a term, or the most it grants."""

    provider: str
    term: str
    discount: Decimal
    up_to: bool = False
    note: str = ""
    source: Source


COMMITMENTS = store.Shelf(table="commitments", record=Commitment, pattern="commitments.yaml")


def commitments(provider: str | None = None) -> tuple[Commitment, ...]:
    """Return the discounts for committing that a source names."""
    return tuple(row for row in store.records(COMMITMENTS) if provider in (None, row.provider))


def reserve(base: Offer, commitment: Commitment, discount: Decimal | None = None) -> Offer:
    """Return ``base`` reserved: the on-demand rate less the commitment's discount.

    ``discount`` replaces the printed one, as it must where that is only the most granted
    (`InvalidArgument` otherwise), or where a contract says more.
    """
    if base.purchase != "on_demand":
        raise InvalidArgument(f"{base.id} is {base.purchase}: only on-demand offers are reserved")
    if commitment.up_to and discount is None:
        raise InvalidArgument(
            f"{commitment.provider} grants up to {commitment.discount:.0%}: enter your discount"
        )
    share = commitment.discount if discount is None else discount
    if not (share.is_finite() and 0 <= share < 1):
        raise InvalidArgument(f"discount must be in [0, 1), got {share}")
    keep = 1 - share
    return replace(
        base,
        id=f"{base.id}/{commitment.term}".replace("/on_demand/", "/reserved/"),
        purchase="reserved",
        usd_per_hour=base.usd_per_hour * keep,
        usd_per_gpu_hour=base.usd_per_gpu_hour * keep,
        note=f"${base.usd_per_gpu_hour} on demand less {share:.0%} ({commitment.term})",
        source=commitment.source
        if discount is None
        else Source(publisher="entered", document=f"instead of {base.id}", basis=Basis.ENTERED),
    )


def with_rate(base: Offer, usd_per_gpu_hour: Decimal) -> Offer:
    """Return ``base`` at another rate: a reserved or negotiated price that a person entered."""
    return replace(
        base,
        usd_per_gpu_hour=usd_per_gpu_hour,
        usd_per_hour=usd_per_gpu_hour * base.gpus_per_instance,
        source=Source(publisher="entered", document=f"instead of {base.id}", basis=Basis.ENTERED),
    )
