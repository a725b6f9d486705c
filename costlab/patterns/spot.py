"""Batch on spot: cheap GPUs that can be taken away in the middle of a clip.

    θ interruptions an hour of each instance, k instances on a clip, x = kθs for a clip of s seconds

    from zero      busy (e^x − 1)/x · s      e^x − 1 restarts
    checkpoint     busy s + x · (half a step + resuming)      x interruptions

Every interruption costs a new instance its provisioning and the model's load. Loading counts as
safe: at the rates that anybody prints it is minutes against hours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from costlab import catalog, traffic, wan
from costlab.core import (
    Basis,
    CannotServe,
    ClipRequest,
    Figure,
    InvalidArgument,
)
from costlab.patterns.accepted import (
    Answer,
    Cell,
    Losses,
    Route,
    check_amounts,
    check_shares,
    clips_wanted,
    crossings,
    default,
    leaf,
    readings,
    routes,
    said_share,
    said_usd,
    spread,
    usd_per_accepted,
    worked_out,
)
from costlab.scenarios import Scenario
from costlab.unitcost import (
    SECONDS_PER_HOUR,
    Deployment,
    hourly_price,
    self_hosted,
)

NAME = "spot"
MOST_EXPOSURE = 50.0
"""e^50 restarts is for ever: nothing finishes."""
LOWEST_RATE, HIGHEST_RATE = 1e-4, 100.0
FLEX_TIERS = ("batch", "flex", "off-peak")
"""Names under which a price row would be sold to those who can wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotBatch:
    """Clips that nobody waits for, on a deployment whose offer is spot, and what it competes with.

    ``interruptions_per_hour`` is of one rented instance; a multi-GPU node fails whole, and a clip
    that spans ``instances`` of them sees the sum. ``provision_s`` and ``load_s`` pass before a new
    instance renders, ``resume_s`` more where a checkpoint is read back. ``api_discount`` is what
    an API takes off for clips that may wait.
    """

    as_of: date
    deployment: Deployment
    on_demand_offer: str
    request: ClipRequest
    clips_per_month: float
    kept: float
    interruptions_per_hour: float
    instances: int = 1
    checkpoint: bool = False
    provision_s: float
    provision_billed: bool = False
    load_s: float
    resume_s: float
    apis: tuple[str, ...] = ()
    api_discount: float
    losses: Losses

    def __post_init__(self) -> None:
        check_shares(self, ("kept",), ("api_discount",))
        check_amounts(
            self, "clips_per_month", "interruptions_per_hour", "provision_s", "load_s", "resume_s"
        )
        if self.instances < 1:
            raise InvalidArgument(f"instances must be at least 1, got {self.instances}")

    @classmethod
    def of(cls, scenario: Scenario) -> SpotBatch:
        """Return the scenario's first deployment on spot, with the batch clip it makes most.

        A deployment that is not on spot takes the cheapest spot offer of its GPU. Raises
        `CannotServe` where the scenario has no deployment, or no spot or on-demand offer is known.
        """
        if not scenario.deployments:
            raise CannotServe(f"{scenario.id} deploys no GPUs: spot needs a deployment")
        day = scenario.date
        known = [catalog.offer(one.offer, as_of=day) for one in scenario.deployments]
        deployment, offer = next(
            (
                (one, sold)
                for one, sold in zip(scenario.deployments, known, strict=True)
                if sold.purchase == "spot"
            ),
            (scenario.deployments[0], known[0]),
        )
        if offer.purchase != "spot":
            offer = _first_offer(offer.gpu, "spot", day)
            deployment = replace(deployment, offer=offer.id, usd_per_gpu_hour=None)
        steady = _first_offer(offer.gpu, "on_demand", day, offer.provider)
        mix = traffic.mix(scenario.mix)
        segments = sorted(mix.segments, key=lambda one: (not one.batch, -one.share))
        mode = wan.architecture(deployment.model_id).mode
        fitting = [one for one in segments if mode in ("ti2v", one.mode)] or segments
        segment = fitting[0]
        rate = deployment.interruptions_per_hour
        if rate is None:
            band = offer.interruptions_per_hour
            rate = band[1] if band else default(NAME, "interruptions_per_hour")
        return cls(
            as_of=day,
            deployment=replace(deployment, interruptions_per_hour=None),
            on_demand_offer=steady.id,
            request=segment.request(),
            clips_per_month=clips_wanted(scenario, mix) * segment.share,
            kept=segment.acceptance,
            interruptions_per_hour=rate,
            instances=math.ceil(deployment.gpus_per_clip / offer.gpus_per_instance),
            provision_s=default(NAME, "provision_s"),
            load_s=default(NAME, "load_s"),
            resume_s=default(NAME, "resume_s"),
            apis=scenario.apis,
            api_discount=default(NAME, "api_discount"),
            losses=Losses.of(scenario, batch=True),
        )


def _first_offer(gpu: str, purchase: str, as_of: date, provider: str = "") -> catalog.Offer:
    """Return the provider's cheapest offer of a kind, else anybody's; raises `CannotServe`."""
    found = catalog.offers(as_of, gpu=gpu, purchase=purchase)
    own = [offer for offer in found if offer.provider == provider]
    if not found:
        raise CannotServe(f"no {purchase.replace('_', '-')} offer of {gpu} is known on {as_of}")
    return (own or list(found))[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one attempt takes: seconds of rendering, interruptions, and seconds on the bill."""

    busy_s: float
    interruptions: float
    paid_s: float


def work(
    render_s: float,
    interruptions_per_hour: float,
    *,
    reload_s: float = 0.0,
    checkpoint_step_s: float | None = None,
    resume_s: float = 0.0,
) -> Work:
    """Return the expected work of one attempt under Poisson interruptions.

    ``interruptions_per_hour`` is of all instances of the clip together, ``reload_s`` what each
    costs beside the lost rendering. With ``checkpoint_step_s`` half such a step is lost and
    ``resume_s`` read back; without it everything since the start. Raises `InvalidArgument` where
    a clip would never finish.

    >>> round(work(3600, 0.1).busy_s, 1), work(3600, 0.1, checkpoint_step_s=90).busy_s
    (3786.2, 3604.5)
    """
    exposure = interruptions_per_hour * render_s / SECONDS_PER_HOUR
    if checkpoint_step_s is not None:
        busy = render_s + exposure * (checkpoint_step_s / 2 + resume_s)
        return Work(busy_s=busy, interruptions=exposure, paid_s=busy + exposure * reload_s)
    if exposure > MOST_EXPOSURE:
        raise InvalidArgument(
            f"{interruptions_per_hour:g} interruptions an hour let no clip of {render_s:.0f} s "
            "finish from zero: use a checkpoint"
        )
    restarts = math.expm1(exposure)
    busy = render_s * (restarts / exposure if exposure else 1.0)
    return Work(busy_s=busy, interruptions=restarts, paid_s=busy + restarts * reload_s)


def spot_batch(inputs: SpotBatch) -> Answer:
    """Return what a batch clip costs on spot, net of interruptions, and what else it could cost.

    Summary: ``usd_per_accepted_clip`` (on spot, the way chosen), ``from_zero_usd`` (absent
    where no clip would finish), ``checkpoint_usd``, ``on_demand_usd``, ``saved_share`` (net,
    against on demand), ``discount`` (of the GPU-hour alone), ``waste_gpu_hours_per_month``,
    ``waste_usd_per_month``, ``saved_usd_per_month``, ``interruptions_per_hour``, and where there
    is one ``api_usd`` and ``break_even_interruptions_per_hour``. The table ``ways`` has the ways
    to make the clip, cheapest first. Curves are USD per accepted clip over interruptions an hour.
    Raises `CannotServe` where the deployment cannot make the clip.
    """
    case = _Case.of(inputs)
    ways = {
        "from_zero_usd": None
        if inputs.checkpoint and case.endless
        else case.cost(checkpoint=False),
        "checkpoint_usd": case.cost(checkpoint=True),
    }
    chosen = ways["checkpoint_usd" if inputs.checkpoint else "from_zero_usd"]
    assert chosen is not None
    steady = case.on_demand
    api = _cheapest_api(inputs)
    rate = case.break_even()
    waste_hours = case.waste_hours()
    clips = Figure.entered(
        "accepted clips a month", inputs.clips_per_month, "clips/month", "entered"
    )
    summary = {
        "usd_per_accepted_clip": chosen,
        "on_demand_usd": steady,
        "saved_share": case.together(
            "share saved, net of interruptions", "", "1 − on spot / on demand",
            lambda spot, full: 1 - spot / full, (chosen, steady),
        ),
        "saved_usd_per_month": case.together(
            "saved a month", "USD/month", "clips × (on demand − on spot)",
            lambda spot, full: inputs.clips_per_month * (full - spot), (clips, chosen, steady),
        ),
        "discount": worked_out(
            "what the GPU-hour alone is cheaper by", "", "1 − spot rate / on-demand rate",
            lambda spot, full: 1 - spot / full, (case.price, case.steady_price),
        ),
        **{name: usd for name, usd in ways.items() if usd},
        "waste_gpu_hours_per_month": waste_hours,
        "waste_usd_per_month": worked_out(
            "paid for work that was lost", "USD/month", "lost GPU-hours × spot rate",
            lambda hours, usd: hours * usd, (waste_hours, case.price),
        ),
        "interruptions_per_hour": case.theta,
    }  # fmt: skip
    if rate is not None:
        summary["break_even_interruptions_per_hour"] = Figure.derived(
            "interruptions at which spot costs as much as on demand", rate, "1/hour",
            "found by search: on spot = on demand", (chosen, steady),
        )  # fmt: skip
    if api:
        summary["api_usd"] = api[1]
    return Answer(
        pattern=NAME,
        inputs=inputs,
        words=_words(summary, api),
        summary=summary,
        tables={"ways": _rows(case, summary, api)},
        curves=case.curves(api[1] if api else None),
        warnings=_warnings(inputs),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    inputs: SpotBatch
    render: Figure
    price: Figure
    steady_price: Figure
    theta: Figure
    step_s: float
    on_demand: Figure

    @classmethod
    def of(cls, inputs: SpotBatch) -> _Case:
        steady = replace(
            inputs.deployment, offer=inputs.on_demand_offer, usd_per_gpu_hour=None,
            interruptions_per_hour=None,
        )  # fmt: skip
        if catalog.offer(steady.offer, as_of=inputs.as_of).purchase == "spot":
            raise InvalidArgument(f"on_demand_offer: {steady.offer} is spot itself")
        render = self_hosted(steady, inputs.request, inputs.as_of).slot_s
        assert render is not None
        steps = steady.steps or wan.architecture(steady.model_id).steps
        made = cls(
            inputs=inputs,
            render=render,
            price=hourly_price(inputs.deployment, inputs.as_of),
            steady_price=hourly_price(steady, inputs.as_of),
            theta=leaf(
                NAME, "interruptions_per_hour", inputs.interruptions_per_hour,
                "interruptions of one instance", "1/hour",
            ),
            step_s=float(render.value) / steps,
            on_demand=render,
        )  # fmt: skip
        return replace(made, on_demand=made._on_demand())

    @property
    def endless(self) -> bool:
        """Whether no clip would finish from zero at this rate."""
        longest = self.render.range.high if self.render.range else float(self.render.value)
        rate = self.inputs.interruptions_per_hour * self.inputs.instances
        return rate * longest / SECONDS_PER_HOUR > MOST_EXPOSURE

    def per_clip(self, paid_s: float, usd_per_hour: float) -> float:
        """Return USD per accepted clip of attempts that are paid for so many seconds."""
        inputs = self.inputs
        attempt = paid_s * inputs.deployment.gpus_per_clip * usd_per_hour / SECONDS_PER_HOUR
        return usd_per_accepted(
            attempt / inputs.losses.utilisation,
            inputs.deployment.failure_share,
            inputs.losses.moderated_share,
            inputs.kept,
        )

    def worked(
        self, *, checkpoint: bool, render_s: float, rate: float, provision_s: float, load_s: float
    ) -> Work:
        inputs = self.inputs
        reload_s = load_s + provision_s * inputs.provision_billed
        return work(
            render_s,
            rate * inputs.instances,
            reload_s=reload_s,
            checkpoint_step_s=self.step_s if checkpoint else None,
            resume_s=inputs.resume_s,
        )

    def _shared(self) -> tuple[Figure, ...]:
        inputs = self.inputs
        return (
            Figure.entered(
                "share of attempts that fail", inputs.deployment.failure_share, "", "entered"
            ),
            inputs.losses.moderated,
            Figure.entered("share of delivered clips kept", inputs.kept, "", "entered"),
            inputs.losses.busy,
        )

    def _on_demand(self) -> Figure:
        return worked_out(
            "cost of an accepted clip, on demand", "USD/clip",
            "render seconds × GPUs × USD per GPU-hour / 3600 / busy share / "
            "((1 − failed)(1 − blocked) × kept)",
            lambda seconds, usd, *_: self.per_clip(seconds, usd),
            (self.render, self.steady_price, *self._shared()),
        )  # fmt: skip

    def _lost(self) -> tuple[Figure, Figure]:
        return (
            leaf(NAME, "provision_s", self.inputs.provision_s, "a new instance", "s"),
            leaf(NAME, "load_s", self.inputs.load_s, "the model's load", "s"),
        )

    def cost(self, *, checkpoint: bool) -> Figure:
        """Return USD per accepted clip on spot."""
        way = "s + kθs·(half a step + resuming)" if checkpoint else "(e^(kθs) − 1)/(kθ)"
        count = "kθs" if checkpoint else "e^(kθs) − 1"
        billed = "provisioning and " if self.inputs.provision_billed else ""
        return worked_out(
            f"cost of an accepted clip, on spot, {_way(checkpoint)}", "USD/clip",
            f"({way} + ({count}) × ({billed}load)) × GPUs × USD per GPU-hour / 3600 / busy share / "
            "((1 − failed)(1 − blocked) × kept)",
            lambda seconds, usd, rate, provision, load, *_: self.per_clip(
                self.worked(
                    checkpoint=checkpoint, render_s=seconds, rate=rate,
                    provision_s=provision, load_s=load,
                ).paid_s,
                usd,
            ),
            (self.render, self.price, self.theta, *self._lost(), *self._shared()),
            basis=Basis.ESTIMATED,
        )  # fmt: skip

    def together(
        self,
        name: str,
        unit: str,
        formula: str,
        calculate: Callable[[float, float], float],
        shown: Sequence[Figure],
    ) -> Figure:
        """Return a figure of both costs, each clip as slow on spot as it is on demand."""
        chosen = self.inputs.checkpoint

        def both(
            render_s: float, usd: float, full: float, rate: float, provision: float, load: float
        ) -> float:
            done = self.worked(
                checkpoint=chosen, render_s=render_s, rate=rate, provision_s=provision, load_s=load
            )
            return calculate(self.per_clip(done.paid_s, usd), self.per_clip(render_s, full))

        parts = (self.render, self.price, self.steady_price, self.theta, *self._lost())
        return worked_out(name, unit, formula, both, parts, shown=shown)

    def usd_at(self, rate: float, *, checkpoint: bool) -> float:
        """Return USD per accepted clip at another rate of interruptions."""
        done = self.worked(
            checkpoint=checkpoint, render_s=float(self.render.value), rate=rate,
            provision_s=self.inputs.provision_s, load_s=self.inputs.load_s,
        )  # fmt: skip
        return self.per_clip(done.paid_s, float(self.price.value))

    def waste_hours(self) -> Figure:
        """Return GPU-hours a month that are paid and make no clip."""
        inputs = self.inputs
        delivered = (1 - inputs.deployment.failure_share) * (1 - inputs.losses.moderated_share)
        count = inputs.clips_per_month / (delivered * inputs.kept)
        gpus = inputs.deployment.gpus_per_clip
        return worked_out(
            "GPU-hours a month lost to interruptions", "GPU-hours/month",
            "attempts × (paid − render seconds) × GPUs / 3600",
            lambda seconds, rate, provision, load: count * gpus / SECONDS_PER_HOUR * (
                self.worked(
                    checkpoint=inputs.checkpoint, render_s=seconds, rate=rate,
                    provision_s=provision, load_s=load,
                ).paid_s
                - seconds
            ),
            (self.render, self.theta, *self._lost()),
            basis=Basis.ESTIMATED,
        )  # fmt: skip

    def most_rate(self) -> float:
        """Return the highest rate at which a clip still finishes from zero."""
        hours = float(self.render.value) * self.inputs.instances / SECONDS_PER_HOUR
        return min(HIGHEST_RATE, MOST_EXPOSURE / hours * (1 - 1e-9))

    def break_even(self) -> float | None:
        """Return the interruptions an hour at which spot saves nothing; None without any."""
        goal = float(self.on_demand.value)
        chosen = self.inputs.checkpoint
        found = crossings(
            lambda rate: self.usd_at(rate, checkpoint=chosen) - goal, LOWEST_RATE, self.most_rate()
        )
        return found[0] if found else None

    def curves(self, api: Figure | None) -> dict[str, tuple[tuple[float, float], ...]]:
        """Return USD per accepted clip over interruptions an hour."""
        grid = spread(LOWEST_RATE, min(10.0, self.most_rate()))
        top = 3 * float(self.on_demand.value)
        lines = {
            f"on spot, {_way(checkpoint)}": tuple(
                (rate, usd)
                for rate in grid
                if (usd := self.usd_at(rate, checkpoint=checkpoint)) <= top
            )
            for checkpoint in (False, True)
        }
        lines["on demand"] = tuple((rate, float(self.on_demand.value)) for rate in grid)
        if api:
            lines["cheapest API"] = tuple((rate, float(api.value)) for rate in grid)
        return lines


def _way(checkpoint: bool) -> str:
    return "with a checkpoint each step" if checkpoint else "from zero"


def _cheapest_api(inputs: SpotBatch) -> tuple[Route, Figure, str] | None:
    """Return the cheapest API, its accepted clip, and in words on which price."""
    kept = Figure.entered("share of delivered clips kept", inputs.kept, "", "entered")
    found, _ = routes(
        inputs.request, (), inputs.apis, inputs.as_of, losses=inputs.losses, kept=kept
    )
    if not found:
        return None
    route = found[0]
    off = leaf(NAME, "api_discount", inputs.api_discount, "taken off for clips that may wait")
    usd = worked_out(
        f"cost of an accepted clip by {route.name}, for those who can wait", "USD/clip",
        "USD per accepted clip × (1 − discount)", lambda usd, share: usd * (1 - share),
        (route.usd, off),
    )  # fmt: skip
    return (
        route,
        usd,
        "at list price" if not inputs.api_discount else "with the discount for waiting",
    )


def _rows(
    case: _Case, summary: dict[str, Figure], api: tuple[Route, Figure, str] | None
) -> tuple[dict[str, Cell], ...]:
    spot, steady = case.inputs.deployment.offer, case.inputs.on_demand_offer
    ways: list[tuple[str, str, Figure]] = [
        ("spot, with a checkpoint each step", spot, summary["checkpoint_usd"]),
        ("on demand", steady, summary["on_demand_usd"]),
    ]
    if "from_zero_usd" in summary:
        ways.append(("spot, from zero", spot, summary["from_zero_usd"]))
    if api:
        ways.append((f"{api[0].name}, {api[2]}", api[0].name, api[1]))
    ways.sort(key=lambda way: float(way[2].value))
    return tuple(
        {"way": name, "bought_at": where, "usd_per_accepted_clip": usd} for name, where, usd in ways
    )


def _words(summary: dict[str, Figure], api: tuple[Route, Figure, str] | None) -> str:
    usd, saved = float(summary["usd_per_accepted_clip"].value), float(summary["saved_share"].value)
    text = (
        f"On spot an accepted clip costs {said_usd(usd)}, {said_share(abs(saved))} "
        f"{'less' if saved >= 0 else 'more'} than on demand "
        f"({said_usd(float(summary['on_demand_usd'].value))}) with interruptions paid for"
    )
    rate = summary.get("break_even_interruptions_per_hour")
    if rate:
        text += f"; it stays cheaper up to {float(rate.value):.2g} interruptions an hour"
    if api:
        other = float(api[1].value)
        text += (
            f". {api[0].name} {api[2]} makes it for {said_usd(other)}, "
            f"{'less' if other < usd else 'more'} than spot"
        )
    return f"{text}."


def _warnings(inputs: SpotBatch) -> tuple[str, ...]:
    offer = catalog.offer(inputs.deployment.offer, as_of=inputs.as_of)
    found = []
    if offer.interruption_low is None:
        found.append(
            f"No source says how often {offer.provider} takes a spot {offer.gpu} away; "
            "the rate is entered."
        )
    tiers = {row.tier for row in catalog.prices()} & set(FLEX_TIERS)
    if not tiers:
        found.append("The book holds no batch or flex price of an API: enter what yours takes off.")
    steady = catalog.offer(inputs.on_demand_offer, as_of=inputs.as_of)
    listed = [steady] if inputs.deployment.usd_per_gpu_hour else [offer, steady]
    found += [
        f"The price of {row.id} is undated or old: read it again."
        for row in listed
        if row.stale(inputs.as_of)
    ]
    return tuple(found)


def published_rates() -> tuple[tuple[float, str], ...]:
    """Return the interruptions an hour that sources print or traces give, with what each is of."""
    return tuple(
        (1 / row.value, f"{row.what}; {row.source.publisher}") for row in readings(NAME, "uptime_h")
    )
