"""One request on one route, itemised: the only place where a price and a second meet.

    API          quote(request)                         ─▶ USD per attempt
    self-hosted  predicted or measured seconds · GPUs
                 · USD per GPU-hour / 3600 · spot waste ─▶ USD per attempt (usage basis)

Usage cost is what the busy seconds cost. What the idle ones cost is the fleet's matter
(`costlab.projection`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Literal

from costlab import catalog, performance, quality, store, wan
from costlab.core import (
    Basis,
    CannotServe,
    ClipRequest,
    CostlabError,
    Figure,
    InvalidArgument,
    LineItem,
    Range,
    usd,
)

SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A Wan model on rented or owned GPUs, served by one recipe: a self-hosted route.

    ``gpus_per_clip`` GPUs work on one clip together (a slot). ``usd_per_gpu_hour`` replaces the
    offer's list price where a contract says so; ``interruptions_per_hour`` is per rented instance
    and needed for a spot offer whose source gives none. ``steps`` None means the authors' default.
    """

    model: str
    gpu: str
    offer: str
    gpus_per_clip: int = 1
    steps: int | None = None
    guidance: bool = True
    precision: str = "bf16"
    attention: str | None = None
    stack: str | None = None
    parallel: str | None = None
    offload: str | None = None
    technique: str | None = None
    usd_per_gpu_hour: Decimal | None = None
    interruptions_per_hour: float | None = None
    failure_share: float = 0.0

    def __post_init__(self) -> None:
        if self.gpus_per_clip < 1:
            raise InvalidArgument(f"gpus_per_clip must be at least 1, got {self.gpus_per_clip}")
        if self.usd_per_gpu_hour is not None and self.usd_per_gpu_hour <= 0:
            raise InvalidArgument(
                f"usd_per_gpu_hour must be greater than 0, got {self.usd_per_gpu_hour}"
            )
        if not 0 <= self.failure_share < 1:
            raise InvalidArgument(f"failure_share must be in [0, 1), got {self.failure_share}")

    @property
    def route(self) -> str:
        """The route's name: model, GPUs of a slot, steps where they are set, and spot."""
        count = f"{self.gpus_per_clip}x" if self.gpus_per_clip > 1 else ""
        steps = f", {self.steps} steps" if self.steps else ""
        spot = ", spot" if self.spot else ""
        return f"{self.model_id}@{count}{performance.gpu(self.gpu).id}{steps}{spot}"

    @property
    def spot(self) -> bool:
        """Whether its GPUs are bought on spot."""
        return "spot" in self.offer.split("/")

    @property
    def model_id(self) -> str:
        """The model's id, aliases resolved."""
        return catalog.model(self.model).id


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCost:
    """What one attempt costs on a route, with the bill's lines and the figure's proof.

    ``recipe`` is how it departs from what its authors released ("" where it does not): ratings of
    the model do not hold for that.

    ``slot_s`` is how long one slot of ``gpus`` GPUs is taken (None on an API). Failed attempts
    count as billed unless a source says that the seller does not bill them. ``replaced_s`` is what
    was predicted before a measured run took its place.
    """

    route: str
    model: str
    kind: Literal["api", "self_hosted"]
    usd: Figure
    lines: tuple[LineItem, ...]
    slot_s: Figure | None = None
    gpus: int = 0
    stale: bool = False
    failures_billed: bool = False
    replaced_s: Figure | None = None
    recipe: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A route that cannot make the clip, or is not on sale, and why."""

    route: str
    model: str
    reason: str


def clip_size(model_id: str, resolution: str) -> tuple[int, int]:
    """Return (height, width) in pixels that the model renders for a resolution label.

    The 704-pixel size of the 5B counts as 720p, as its authors name it. Raises `CannotServe`.
    """
    arch = wan.architecture(model_id)
    labels = {480: "480p", 704: "720p", 720: "720p"}
    for height, width in arch.sizes:
        if labels[height] == resolution:
            return height, width
    offered = ", ".join(sorted({labels[height] for height, _ in arch.sizes}))
    raise CannotServe(f"{model_id} renders {offered}, not {resolution}")


def clip_frames(model_id: str, seconds: Decimal) -> int:
    """Return the fewest frames (4k + 1) that last ``seconds`` at the model's own frame rate.

    Raises `CannotServe` beyond the length that the model was released for.

    >>> clip_frames("wan2.2-t2v-a14b", Decimal(5))
    81
    """
    arch = wan.architecture(model_id)
    needed = math.ceil(seconds * arch.fps)
    frames = 4 * -(-max(needed - 1, 0) // 4) + 1
    if frames > arch.frames:
        raise CannotServe(
            f"{model_id} makes clips of up to {arch.frames / arch.fps:.2f} s "
            f"({arch.frames} frames at {arch.fps} fps), not {seconds:f} s"
        )
    return frames


def question(deployment: Deployment, request: ClipRequest) -> performance.Question:
    """Return what to ask the performance model for this request; raises `CannotServe`."""
    model_id = deployment.model_id
    arch = wan.architecture(model_id)
    if request.audio:
        raise CannotServe(f"{model_id} makes silent clips; the request needs audio")
    if request.mode not in ("t2v", "i2v") or (arch.mode != "ti2v" and request.mode != arch.mode):
        takes = {"t2v": "text", "i2v": "an image", "ti2v": "text or an image"}[arch.mode]
        raise CannotServe(f"{model_id} takes {takes}; the request is {request.mode}")
    height, width = clip_size(model_id, request.resolution)
    return performance.Question(
        model=model_id,
        mode="i2v" if request.mode == "i2v" else "t2v",
        gpu=deployment.gpu,
        num_gpus=deployment.gpus_per_clip,
        height=height,
        width=width,
        frames=clip_frames(model_id, request.seconds),
        steps=deployment.steps or arch.steps,
        cfg=deployment.guidance,
        precision=deployment.precision,
        attention=deployment.attention,
        stack=deployment.stack,
        parallel=deployment.parallel,
        offload=deployment.offload,
        technique=deployment.technique,
    )


def spot_factor(busy_s: float, interruptions_per_hour: float) -> float:
    """Return expected over uninterrupted busy seconds of a clip that restarts from zero.

    (e^(θs) − 1)/(θs) for Poisson interruptions at rate θ; 1 when there are none.

    >>> spot_factor(600, 0.0)
    1.0
    >>> round(spot_factor(3600, 0.1), 4)
    1.0517
    """
    exposure = interruptions_per_hour * busy_s / SECONDS_PER_HOUR
    return math.expm1(exposure) / exposure if exposure else 1.0


def hourly_price(deployment: Deployment, as_of: date) -> Figure:
    """Return the deployment's USD per GPU-hour: the contract's where entered, else the offer's."""
    if deployment.usd_per_gpu_hour is not None:
        return Figure.entered(
            "price of a GPU-hour", deployment.usd_per_gpu_hour, "USD/GPU-hour", ref="entered"
        )
    return catalog.offer(deployment.offer, as_of=as_of).figure()


def on_api(model: str, request: ClipRequest, as_of: date) -> UnitCost:
    """Return one attempt on an API; raises `CannotServe`, `NotOnSale` or `UnknownName`."""
    quote = catalog.quote(model, request, as_of=as_of)
    return UnitCost(
        route=quote.model,
        model=quote.model,
        kind="api",
        usd=quote.figure(),
        lines=quote.lines,
        stale=quote.stale,
        failures_billed=catalog.adapter(quote.provider).terms.failed_billed is not False,
    )


def self_hosted(deployment: Deployment, request: ClipRequest, as_of: date) -> UnitCost:
    """Return one attempt on a deployment, on the usage basis; raises `CannotServe`.

    USD = slot seconds · GPUs · (USD per GPU-hour / 3600), the slot seconds lengthened by expected
    spot restarts.
    """
    asked = question(deployment, request)
    prediction = performance.predict(asked)
    if not prediction.fits:
        raise CannotServe(
            f"{asked.model} at {asked.height}×{asked.width} needs about "
            f"{prediction.peak_vram_gib:.0f} GiB; {asked.gpu} has less"
        )
    price = hourly_price(deployment, as_of)
    render = prediction.figure("seconds")
    slot = _slot(deployment, render, as_of)
    gpu_seconds = Decimal(f"{float(slot.value):.6f}") * deployment.gpus_per_clip
    per_second = Decimal(price.value) / SECONDS_PER_HOUR
    line = LineItem.of(
        f"{asked.model} on {asked.gpu}",
        gpu_seconds,
        "GPU-second",
        per_second,
        formula="slot seconds × GPUs × USD per GPU-hour / 3600",
        price_ref=price.ref,
    )
    amount = usd(line.micro_usd)
    figure = Figure.derived(
        "cost of one attempt, usage basis",
        amount,
        "USD/clip",
        f"slot seconds × {deployment.gpus_per_clip} GPUs × USD per GPU-hour / 3600",
        (slot, price),
        range=_scaled_range(slot, float(amount)),
    )
    return UnitCost(
        route=deployment.route,
        model=asked.model,
        recipe=quality.recipe(
            asked.model,
            steps=deployment.steps,
            guidance=deployment.guidance,
            technique=deployment.technique,
        ),
        kind="self_hosted",
        usd=figure,
        lines=(line,),
        slot_s=slot,
        gpus=deployment.gpus_per_clip,
        failures_billed=True,
        replaced_s=performance.replaced(asked).figure("seconds")
        if prediction.basis is Basis.MEASURED
        else None,
    )


def _slot(deployment: Deployment, render: Figure, as_of: date) -> Figure:
    offer = catalog.offer(deployment.offer, as_of=as_of)
    if offer.purchase != "spot":
        return render
    theta = _interruptions(deployment, offer)
    seconds = float(render.value)
    factor = spot_factor(seconds, float(theta.value))
    stretched = None
    if render.range:
        stretched = Range(
            low=render.range.low * spot_factor(render.range.low, float(theta.value)),
            high=render.range.high * spot_factor(render.range.high, float(theta.value)),
            level=render.range.level,
        )
    return Figure.derived(
        "busy seconds of a slot, restarts included",
        seconds * factor,
        "s/clip",
        "(e^(θs) − 1)/θ for θ interruptions a second, restarted from zero",
        (render, theta),
        range=stretched,
        basis=Basis.ESTIMATED,
    )


def _interruptions(deployment: Deployment, offer: catalog.Offer) -> Figure:
    """Return interruptions an hour of a spot instance: as entered, else the middle of its band.

    The band's ends travel as the interval.
    """
    if deployment.interruptions_per_hour is not None:
        return Figure.entered(
            "interruptions", deployment.interruptions_per_hour, "1/hour", "entered"
        )
    rates = offer.interruptions_per_hour
    if rates is None:
        raise InvalidArgument(
            f"offer {offer.id} is spot and no source bounds its interruption rate: "
            "enter interruptions_per_hour"
        )
    low, middle, high = rates
    return Figure(
        name="interruptions",
        value=middle,
        unit="1/hour",
        basis=Basis.ESTIMATED,
        formula="−ln(1 − q) a month, q in the middle of "
        f"{offer.interruption_low:.0%}–{offer.interruption_high:.0%}",
        range=Range(low=low, high=high),
        source=offer.interruption_source,
        ref=f"offer:{offer.id}",
    )


def _scaled_range(part: Figure, value: float) -> Range | None:
    return part.range.scaled(value / float(part.value)) if part.range and part.value else None


def every_route(
    request: ClipRequest, deployments: Sequence[Deployment], apis: Iterable[str], as_of: date
) -> tuple[tuple[UnitCost, ...], tuple[Refusal, ...]]:
    """Return every route's cost of one attempt, cheapest first, and who cannot serve it and why."""
    return _every_route(request, tuple(deployments), tuple(apis), as_of, store.version())


@lru_cache(maxsize=2048)
def _every_route(
    request: ClipRequest,
    deployments: tuple[Deployment, ...],
    apis: tuple[str, ...],
    as_of: date,
    version: str,  # noqa: ARG001 - what is remembered holds until the data change
) -> tuple[tuple[UnitCost, ...], tuple[Refusal, ...]]:
    served: list[UnitCost] = []
    refused: list[Refusal] = []
    for deployment in deployments:
        try:
            served.append(self_hosted(deployment, request, as_of))
        except CannotServe as error:
            refused.append(
                Refusal(route=deployment.route, model=deployment.model_id, reason=str(error))
            )
    for name in apis:
        model = catalog.model(name).id
        try:
            served.append(on_api(model, request, as_of))
        except CostlabError as error:
            refused.append(Refusal(route=model, model=model, reason=str(error)))
    served.sort(key=lambda cost: (cost.usd.value, cost.route))
    return tuple(served), tuple(refused)
