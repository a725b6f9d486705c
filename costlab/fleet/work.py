"""What must be made and where it could be: the clips for own GPUs, GPU types, offers of the day."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal

from costlab import catalog, performance, projection, traffic, unitcost
from costlab.core import InvalidArgument, UnknownName

HOURS_PER_WEEK = 168
GPUS_PER_CLIP = (1, 2, 4, 8)
Purchase = Literal["owned", "reserved", "on_demand", "community", "spot", "serverless"]
PURCHASES: tuple[Purchase, ...] = (
    "owned", "reserved", "on_demand", "community", "spot", "serverless",
)  # fmt: skip
End = Literal["low", "high"]
MOST_HANDED_OVER = 0.95
"""The largest share of an hour's clips that may be handed over: a fleet makes some itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a plan may do, beside the scenario's own promise.

    ``finish_s`` bounds start to finish for 95 % of the busiest hour's clips; None bounds it by what
    the scenario's own GPUs need: the promised wait and their render time; infinity does not bound
    it. ``purchases`` are the ways to buy; the scenario's own offer is always one. ``by_the_hour``
    lets GPUs go in quiet hours. Spot instances are interrupted ``interruptions_per_hour`` times an
    hour where that is entered, else as the deployment or the source says. ``cold_start_s`` is what
    a rented GPU needs from order to first clip. ``gpus`` narrows the search to those types (empty:
    all on sale), ``gpus_per_clip`` to those slots. ``growth_per_month`` is a share (None:
    the mix's). With ``mix``
    the hourly part of a fleet may be other GPUs than its base. ``hand_over`` is the largest share
    of any hour's clips that may go to the cheapest API that can make them, where they would wait
    longer than promised: 0 for none, None for as the policy says.
    """

    finish_s: float | None = None
    purchases: tuple[Purchase, ...] = (
        "owned", "reserved", "on_demand", "spot", "serverless",
    )  # fmt: skip
    by_the_hour: bool = True
    interruptions_per_hour: float | None = None
    cold_start_s: float = 300.0
    gpus: tuple[str, ...] = ()
    gpus_per_clip: tuple[int, ...] = GPUS_PER_CLIP
    growth_per_month: float | None = None
    mix: bool = True
    hand_over: float | None = None

    def __post_init__(self) -> None:
        if self.finish_s is not None and not self.finish_s > 0:
            raise InvalidArgument(f"finish_s must be greater than 0, got {self.finish_s}")
        if not 0 <= self.cold_start_s <= 3600:
            raise InvalidArgument(
                f"cold_start_s must be within 0 and 3600, got {self.cold_start_s}"
            )
        rate = self.interruptions_per_hour
        if rate is not None and not 0 <= rate < math.inf:
            raise InvalidArgument(f"interruptions_per_hour must be 0 or more, got {rate}")
        for purchase in self.purchases:
            if purchase not in PURCHASES:
                raise UnknownName.among("purchase", purchase, PURCHASES)
        if not self.gpus_per_clip or min(self.gpus_per_clip) < 1:
            raise InvalidArgument(f"gpus_per_clip must be 1 or more, got {self.gpus_per_clip}")
        if self.growth_per_month is not None and not 0 <= self.growth_per_month < math.inf:
            raise InvalidArgument(
                f"growth_per_month must be 0 or more, got {self.growth_per_month}"
            )
        if self.hand_over is not None and not 0 <= self.hand_over <= MOST_HANDED_OVER:
            raise InvalidArgument(
                f"hand_over must be within 0 and {MOST_HANDED_OVER}, got {self.hand_over}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Clips of one segment on the way to a pool.

    ``options`` are the routes that can make them, ``short`` says what each of those does not give
    of what the segment asks.
    """

    segment: traffic.Segment
    attempts: float
    accepted: float
    options: tuple[unitcost.UnitCost, ...] = field(repr=False)
    short: Mapping[str, tuple[str, ...]] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """All streams of one deployment, and the month and week that they come in."""

    deployment: unitcost.Deployment
    streams: tuple[Stream, ...]
    own_seconds: tuple[float, ...]
    hours: int
    peak_factor: float
    shares: tuple[float, ...]
    batch_utilisation: float

    def times(self, factor: float) -> Work:
        """Return ``factor`` times as many clips."""
        return replace(
            self,
            streams=tuple(
                replace(s, attempts=s.attempts * factor, accepted=s.accepted * factor)
                for s in self.streams
            ),
        )

    def at(self, places: Sequence[int]) -> Work:
        """Return the work of some of the streams."""
        return replace(
            self,
            streams=tuple(self.streams[i] for i in places),
            own_seconds=tuple(self.own_seconds[i] for i in places),
        )


def works_of(answer: projection.Projection) -> list[Work]:
    """Return what each deployment that gets clips has to make."""
    mix = answer.mix
    week = [day * hour for day in mix.weekly for hour in mix.hourly]
    found = []
    for deployment in answer.scenario.deployments:
        streams = tuple(
            Stream(
                segment=result.segment,
                attempts=result.attempts,
                accepted=result.accepted,
                options=result.options,
                short=result.short,
            )
            for result in answer.segments
            if result.route == deployment.route and result.unit and result.attempts
        )
        if streams:
            questions = [unitcost.question(deployment, s.segment.request()) for s in streams]
            said = performance.predict_all(questions)
            found.append(
                Work(
                    deployment=deployment,
                    streams=streams,
                    own_seconds=tuple(one.seconds for one in said),
                    hours=answer.hours,
                    peak_factor=mix.peak_factor,
                    shares=tuple(weight / max(week) for weight in week),
                    batch_utilisation=answer.scenario.batch_utilisation,
                )
            )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Buy:
    """One offer as slots: ``slots`` of an instance, USD of an instance-hour, cold-start hours.

    ``interruptions_per_h`` is of an instance; ``own`` marks the scenario's own offer, which is
    rented slot by slot as the projection does.
    """

    offer: catalog.Offer
    gpus: int
    slots: int
    usd_per_hour: float
    cold_hours: float
    interruptions_per_h: float
    own: bool = False

    @property
    def all_week(self) -> bool:
        """Whether it cannot be given back for an hour."""
        return self.offer.purchase in ("owned", "reserved")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """A GPU type with the GPUs of a slot, the seconds of every stream, and its offers.

    ``serverless`` is the cheapest offer that is paid by use, if any.
    """

    deployment: unitcost.Deployment
    predictions: tuple[performance.Prediction, ...] = field(repr=False)
    buys: tuple[Buy, ...]
    serverless: Buy | None

    @property
    def gpu(self) -> str:
        """The GPU type's id."""
        return performance.gpu(self.deployment.gpu).id

    @property
    def name(self) -> str:
        """GPU type and GPUs of a slot, which tell the hardware of one work apart."""
        return f"{self.per_clip} × {self.gpu}"

    @property
    def per_clip(self) -> int:
        """GPUs that make one clip together."""
        return self.deployment.gpus_per_clip

    def seconds(self, i: int, end: End | None = None) -> float:
        """Return the seconds of stream ``i``, at one end of their interval if asked."""
        said = self.predictions[i]
        if end is None:
            return said.seconds
        return said.ranges["seconds"].low if end == "low" else said.ranges["seconds"].high


def hardware_for(
    work: Work, wishes: Wishes, day: datetime.date
) -> tuple[list[Hardware], list[str]]:
    """Return every GPU type and slot that can make the work's clips and is on sale, and remarks."""
    own = work.deployment
    own_gpu = performance.gpu(own.gpu).id
    sold = [*catalog.offers(day), catalog.owned_offer()]
    known = {gpu.id for gpu in performance.gpus()}
    types = {offer.gpu for offer in sold} & known | {own_gpu}
    if wishes.gpus:
        types &= {performance.gpu(name).id for name in wishes.gpus}
    shapes = [
        replace(own, gpu=gpu, gpus_per_clip=count)
        for gpu in sorted(types)
        for count in sorted(
            {*wishes.gpus_per_clip} | ({own.gpus_per_clip} if gpu == own_gpu else set())
        )
    ]
    questions = [
        unitcost.question(shape, stream.segment.request())
        for shape in shapes
        for stream in work.streams
    ]
    answers = performance.predict_all(questions)
    width = len(work.streams)
    found, unbounded = [], set()
    for n, shape in enumerate(shapes):
        said = tuple(answers[n * width : (n + 1) * width])
        if not all(one.fits for one in said):
            continue
        buys, metered = [], []
        for offer in sold:
            if offer.gpu != shape.gpu or offer.purchase not in wishes.purchases:
                continue
            if offer.gpus_per_instance % shape.gpus_per_clip:
                continue
            if offer.purchase == "serverless":
                if offer.gpus_per_instance == shape.gpus_per_clip:
                    metered.append(_buy(offer, shape.gpus_per_clip, wishes, 0.0))
                continue
            rate = _interruptions(own, offer, wishes)
            if rate is None:
                unbounded.add(offer.id)
                continue
            buys.append(_buy(offer, shape.gpus_per_clip, wishes, rate))
        if shape == replace(own, gpu=own_gpu):
            offer = catalog.offer(own.offer, as_of=day)
            if own.usd_per_gpu_hour is not None:
                offer = catalog.with_rate(offer, own.usd_per_gpu_hour)
            rate = _interruptions(own, offer, wishes)
            if rate is not None:
                buys.append(_buy(offer, shape.gpus_per_clip, wishes, rate, own=True))
        if buys or metered:
            found.append(
                Hardware(
                    deployment=shape,
                    predictions=said,
                    buys=_best(buys),
                    serverless=min(metered, key=lambda buy: buy.usd_per_hour, default=None),
                )
            )
    remarks = []
    if unbounded:
        remarks.append(
            f"{len(unbounded)} spot offers: no source bounds how often they are interrupted; "
            "enter a rate to use them"
        )
    return found, remarks


def _interruptions(own: unitcost.Deployment, offer: catalog.Offer, wishes: Wishes) -> float | None:
    """Return interruptions an hour of an instance; None where it is spot and nobody knows."""
    if offer.purchase != "spot":
        return 0.0
    if wishes.interruptions_per_hour is not None:
        return wishes.interruptions_per_hour
    if own.interruptions_per_hour is not None:
        return own.interruptions_per_hour
    known = offer.interruptions_per_hour
    return known[1] if known else None


def _buy(
    offer: catalog.Offer, per_clip: int, wishes: Wishes, rate: float, *, own: bool = False
) -> Buy:
    gpus = per_clip if own else offer.gpus_per_instance
    cold_s = Decimal(str(wishes.cold_start_s))
    billed_s = offer.billed_s(Decimal(3600), cold_s) - 3600
    return Buy(
        offer=offer,
        gpus=gpus,
        slots=gpus // per_clip,
        usd_per_hour=float(offer.usd_per_gpu_hour) * gpus,
        cold_hours=min(1.0, float(billed_s) / 3600),
        interruptions_per_h=rate,
        own=own,
    )


def _best(buys: Iterable[Buy]) -> tuple[Buy, ...]:
    """Return the cheapest offer of each purchase and instance size; the scenario's own stays."""
    kept: dict[tuple[Any, ...], Buy] = {}
    for buy in buys:
        name = (buy.offer.purchase, buy.slots, buy.own)
        if name not in kept or buy.usd_per_hour < kept[name].usd_per_hour:
            kept[name] = buy
    return tuple(kept.values())
