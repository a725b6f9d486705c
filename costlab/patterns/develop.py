"""Development and test traffic: GPUs of one's own, or API credits burnt by every test run.

    attempts a workday = (people · clips + automatic clips) / p
    GPUs = ⌈attempts · seconds / (hours on · 3600 · how full)⌉     a month: GPUs · hours paid · rate

Rented GPUs are paid while they are on, owned ones around the clock. GPUs come in whole pieces, so
the cost of one's own climbs in steps and may cross an API's line more than once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, TypeVar

from costlab import catalog, traffic, unitcost, wan
from costlab.core import (
    HOURS_PER_MONTH,
    CannotServe,
    ClipRequest,
    Figure,
    InvalidArgument,
    UnknownName,
)
from costlab.patterns.accepted import (
    Answer,
    Cell,
    Losses,
    Route,
    check_amounts,
    check_shares,
    default,
    leaf,
    routes,
    said_usd,
    worked_out,
)
from costlab.scenarios import Scenario
from costlab.unitcost import SECONDS_PER_HOUR, Deployment, hourly_price

NAME = "develop"
CHEAP_GPU = "RTX-4090"
FEW_STEPS = 4
MOST_CLIPS = 100_000.0
"""A workday's clips beyond which no break-even is looked for."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A GPU to develop on: a deployment, or the same deployment on hardware of one's own.

    ``owned`` replaces defaults of owned hardware (`catalog.owned_inputs`); None means rented.
    """

    name: str
    deployment: Deployment
    owned: dict[str, float] | None = field(default=None, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DevelopmentTraffic:
    """Who makes how many test clips, on which machines, or by which APIs.

    A rented GPU is on for ``hours_per_day`` of ``workdays_per_month``; ``fill`` is how full it may
    be while it is on. ``kept`` is the share of delivered clips that will do. An empty ``machine``
    or ``api`` means the cheapest.
    """

    as_of: date
    request: ClipRequest
    developers: float
    clips_per_developer_day: float
    automatic_clips_per_day: float
    workdays_per_month: float
    hours_per_day: float
    fill: float
    kept: float = 1.0
    machines: tuple[Machine, ...]
    apis: tuple[str, ...] = ()
    machine: str = ""
    api: str = ""
    losses: Losses

    def __post_init__(self) -> None:
        check_shares(self, ("fill", "kept"))
        check_amounts(
            self, "developers", "clips_per_developer_day", "automatic_clips_per_day",
            above_zero=("workdays_per_month", "hours_per_day"),
        )  # fmt: skip
        if self.workdays_per_month > 31 or self.hours_per_day > 24:
            raise InvalidArgument("a month has at most 31 workdays, a day at most 24 hours")
        names = [one.name for one in self.machines]
        if len({*names}) < len(names):
            raise InvalidArgument("machines: two have the same name")

    @property
    def clips_per_workday(self) -> float:
        """Clips that must turn out well on a workday."""
        return self.developers * self.clips_per_developer_day + self.automatic_clips_per_day

    @classmethod
    def of(cls, scenario: Scenario) -> DevelopmentTraffic:
        """Return the scenario's most wanted clip, on its GPUs as they are and with few steps, on a
        cheap rented card and on one that is bought."""
        segment = max(traffic.mix(scenario.mix).segments, key=lambda one: one.share)
        return cls(
            as_of=scenario.date,
            request=segment.request(),
            developers=default(NAME, "developers"),
            clips_per_developer_day=default(NAME, "clips_per_developer_day"),
            automatic_clips_per_day=default(NAME, "automatic_clips_per_day"),
            workdays_per_month=default(NAME, "workdays_per_month"),
            hours_per_day=default(NAME, "hours_per_day"),
            fill=default(NAME, "fill"),
            kept=segment.acceptance,
            machines=_machines(scenario, segment.mode),
            apis=scenario.apis,
            losses=replace(Losses.of(scenario), moderated_share=0.0),
        )


def _machines(scenario: Scenario, mode: str) -> tuple[Machine, ...]:
    few: dict[str, Any] = {
        "steps": FEW_STEPS,
        "guidance": False,
        "technique": f"{FEW_STEPS}-step distilled",
    }
    found = []
    fitting = [
        deployment
        for deployment in scenario.deployments
        if wan.architecture(deployment.model_id).mode in ("ti2v", mode)
    ]
    for deployment in fitting[:1]:
        found += [
            Machine(name=f"rented {deployment.gpu}, as in production", deployment=deployment),
            Machine(
                name=f"rented {deployment.gpu}, {FEW_STEPS} steps",
                deployment=replace(deployment, **few),
            ),
        ]
    cheap = [
        offer
        for purchase in ("community", "on_demand")
        for offer in catalog.offers(scenario.date, gpu=CHEAP_GPU, purchase=purchase)
        if not offer.stale(scenario.date)
    ]
    if cheap:
        offer = min(cheap, key=lambda one: one.usd_per_gpu_hour)
        card = Deployment(
            model=f"wan2.2-{mode}-a14b", gpu=CHEAP_GPU, offer=offer.id, offload="model",
            precision="fp8", steps=FEW_STEPS, guidance=False,
            technique=f"{FEW_STEPS}-step distilled",
        )  # fmt: skip
        own = {
            "capex_usd_per_gpu": default(NAME, "owned_capex_usd"),
            "watts_per_gpu": default(NAME, "owned_watts"),
            "hosting_usd_per_gpu_hour": 0.0,
            "pue": 1.0,
        }
        found += [
            Machine(name=f"rented {CHEAP_GPU}, {FEW_STEPS} steps, fp8", deployment=card),
            Machine(name=f"own {CHEAP_GPU}, {FEW_STEPS} steps, fp8", deployment=card, owned=own),
        ]
    return tuple(found)


def gpus_needed(
    attempts_per_day: float, slot_s: float, gpus_per_clip: int, hours_per_day: float, fill: float
) -> int:
    """Return the whole GPUs that make a workday's attempts within its hours.

    >>> gpus_needed(100, 360.0, 1, 10.0, 0.5), gpus_needed(0, 360.0, 1, 10.0, 0.5)
    (2, 0)
    """
    slots = attempts_per_day * slot_s / (hours_per_day * SECONDS_PER_HOUR * fill)
    return math.ceil(slots - 1e-9) * gpus_per_clip


def development_traffic(inputs: DevelopmentTraffic) -> Answer:
    """Return what test clips cost a month on own GPUs and through an API.

    Summary: ``machine_usd_per_month``, ``api_usd_per_month``, ``saved_usd_per_month`` (API less
    machine), ``machine_usd_per_accepted_clip``, ``api_usd_per_accepted_clip``, ``gpus``,
    ``seconds`` (of one clip on the machine), and where there are any ``first_break_even`` and
    ``last_break_even`` (clips a workday). The table ``ways`` has machines and APIs, cheapest
    first. Curves are
    USD a month over clips a workday. Raises `CannotServe` where no machine or no API can make the
    clip.
    """
    kept = Figure.entered("share of delivered clips that will do", inputs.kept, "", "entered")
    machines, refused = _able(inputs, kept)
    found, refusals = routes(
        inputs.request, (), inputs.apis, inputs.as_of, losses=inputs.losses, kept=kept
    )
    if not machines:
        raise CannotServe(f"no machine can make it: {'; '.join(refused) or 'none is named'}")
    if not found:
        reasons = "; ".join(refusal.reason for refusal in refusals) or "none is named"
        raise CannotServe(f"no API can make it: {reasons}")
    machine = _named(inputs.machine, machines, [one.machine.name for one in machines])
    api = _named(
        catalog.model(inputs.api).id if inputs.api else "", found, [one.name for one in found]
    )
    clips = _clips(inputs)
    by_api = _api_month(api, clips)
    per_clip = _per_clip(machine.usd, clips)
    turns = break_evens(
        inputs.hours_per_day * SECONDS_PER_HOUR * inputs.fill * machine.p
        / float(machine.seconds.value),
        machine.machine.deployment.gpus_per_clip * machine.hours * float(machine.rate.value),
        inputs.workdays_per_month * float(api.usd.value),
    )  # fmt: skip
    summary = {
        "machine_usd_per_month": machine.usd,
        "api_usd_per_month": by_api,
        "saved_usd_per_month": worked_out(
            "saved a month by the machine", "USD/month", "by API − on the machine",
            lambda other, own: other - own, (by_api, machine.usd),
        ),
        "machine_usd_per_accepted_clip": per_clip,
        "api_usd_per_accepted_clip": api.usd,
        "gpus": machine.gpus,
        "seconds": machine.seconds,
    }  # fmt: skip
    for name, place in (("first_break_even", 0), ("last_break_even", -1)):
        if turns:
            summary[name] = Figure.derived(
                "clips a workday at which both cost the same", turns[place], "clips",
                "found by search: GPUs come in whole pieces, so there may be several",
                (machine.usd, by_api),
            )  # fmt: skip
    return Answer(
        pattern=NAME,
        inputs=inputs,
        words=_words(inputs, machine, api, by_api, turns),
        summary=summary,
        tables={"ways": _rows(machines, found, clips)},
        curves=_curves(inputs, machine, api),
        warnings=_warnings(machine, api, refused),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Able:
    """A machine that can make the clip, with what it costs a month."""

    machine: Machine
    seconds: Figure
    rate: Figure
    gpus: Figure
    usd: Figure
    p: float
    hours: float

    def usd_at(self, inputs: DevelopmentTraffic, clips_per_workday: float) -> float:
        """Return the month at another volume."""
        count = gpus_needed(
            clips_per_workday / self.p, float(self.seconds.value),
            self.machine.deployment.gpus_per_clip, inputs.hours_per_day, inputs.fill,
        )  # fmt: skip
        return count * self.hours * float(self.rate.value)


def _able(inputs: DevelopmentTraffic, kept: Figure) -> tuple[list[_Able], list[str]]:
    found, refused = [], []
    for machine in inputs.machines:
        try:
            found.append(_machine_month(inputs, machine, kept))
        except CannotServe as error:
            refused.append(f"{machine.name}: {error}")
    return sorted(found, key=lambda one: (float(one.usd.value), one.machine.name)), refused


def _machine_month(inputs: DevelopmentTraffic, machine: Machine, kept: Figure) -> _Able:
    deployment = machine.deployment
    cost = unitcost.self_hosted(deployment, inputs.request, inputs.as_of)
    assert cost.slot_s is not None
    rate = (
        hourly_price(deployment, inputs.as_of)
        if machine.owned is None
        else catalog.owned_figure(deployment.gpu, inputs=machine.owned)
    )
    hours = (
        HOURS_PER_MONTH
        if machine.owned is not None
        else inputs.hours_per_day * inputs.workdays_per_month
    )
    delivered = (1 - deployment.failure_share) * (1 - inputs.losses.moderated_share)
    p = delivered * float(kept.value)
    failed = Figure.entered("share of attempts that fail", deployment.failure_share, "", "entered")
    day = Figure.entered("clips a workday", inputs.clips_per_workday, "clips/day", "entered")
    fill = leaf(NAME, "fill", inputs.fill, "how full a GPU may be while it is on")
    on = leaf(NAME, "hours_per_day", inputs.hours_per_day, "hours that GPUs are on", "h/day")
    gpus = worked_out(
        "GPUs", "GPUs",
        f"clips a workday / p × seconds / (hours × 3600 × how full), whole slots of "
        f"{deployment.gpus_per_clip}",
        lambda clips, seconds, full, hours_on, lost, blocked, good: gpus_needed(
            clips / ((1 - lost) * (1 - blocked) * good), seconds, deployment.gpus_per_clip,
            hours_on, full,
        ),
        (day, cost.slot_s, fill, on, failed, inputs.losses.moderated, kept),
    )  # fmt: skip
    paid = Figure.entered(
        "hours paid a month",
        hours,
        "h/month",
        "around the clock" if machine.owned is not None else "hours on × workdays",
    )
    return _Able(
        machine=machine,
        seconds=cost.slot_s,
        rate=rate,
        gpus=gpus,
        usd=worked_out(
            f"a month of {machine.name}", "USD/month", "GPUs × hours paid × USD per GPU-hour",
            lambda count, paid_h, usd: count * paid_h * usd, (gpus, paid, rate),
        ),
        p=p,
        hours=hours,
    )  # fmt: skip


def _named(name: str, things: Sequence[T], names: Sequence[str]) -> T:
    """Return the thing of that name, the first where the name is empty."""
    if name and name not in names:
        raise UnknownName.among("choice", name, names)
    return things[names.index(name) if name else 0]


def _clips(inputs: DevelopmentTraffic) -> Figure:
    parts = (
        leaf(NAME, "developers", inputs.developers, "people", "people"),
        leaf(
            NAME, "clips_per_developer_day", inputs.clips_per_developer_day, "clips of a person",
            "clips/day",
        ),
        leaf(
            NAME, "automatic_clips_per_day", inputs.automatic_clips_per_day, "automatic clips",
            "clips/day",
        ),
        leaf(NAME, "workdays_per_month", inputs.workdays_per_month, "workdays", "days/month"),
    )  # fmt: skip
    return worked_out(
        "clips a month", "clips/month", "(people × clips + automatic clips) × workdays",
        lambda people, each, automatic, days: (people * each + automatic) * days, parts,
    )  # fmt: skip


def _api_month(api: Route, clips: Figure) -> Figure:
    return worked_out(
        f"a month of {api.name}", "USD/month", "clips a month × USD per accepted clip",
        lambda count, usd: count * usd, (clips, api.usd),
    )  # fmt: skip


def _per_clip(month: Figure, clips: Figure) -> Figure:
    return worked_out(
        "cost of an accepted clip, idle hours included", "USD/clip", "USD a month / clips a month",
        lambda usd, count: usd / count if count else 0.0, (month, clips),
    )  # fmt: skip


def break_evens(
    clips_per_slot: float, usd_per_slot: float, usd_per_clip: float, most: float = MOST_CLIPS
) -> tuple[float, ...]:
    """Return the volumes at which slots that are paid whole and clips that are paid singly cross.

    Slot by slot: within one the API's line may rise past it, and where the next one is needed it
    may be below again. Volumes up to ``most`` are searched.

    >>> break_evens(100.0, 60.0, 1.0, most=200)
    (60.0, 100.0, 120.0)
    """
    found = []
    for slots in range(1, math.ceil(most / clips_per_slot) + 1):
        full = (slots - 1) * clips_per_slot
        by_api = full * usd_per_clip
        if (slots - 1) * usd_per_slot < by_api < slots * usd_per_slot:
            found.append(full)
        meet = slots * usd_per_slot / usd_per_clip
        if full < meet < full + clips_per_slot:
            found.append(meet)
    return tuple(found)


def _curves(
    inputs: DevelopmentTraffic, machine: _Able, api: Route
) -> dict[str, tuple[tuple[float, float], ...]]:
    top = max(4 * inputs.clips_per_workday, 50.0)
    grid = [top * i / 200 for i in range(1, 201)]
    month = inputs.workdays_per_month * float(api.usd.value)
    return {
        machine.machine.name: tuple((n, machine.usd_at(inputs, n)) for n in grid),
        api.name: tuple((n, n * month) for n in grid),
    }


def _rows(
    machines: Sequence[_Able], apis: Sequence[Route], clips: Figure
) -> tuple[dict[str, Cell], ...]:
    rows: list[dict[str, Cell]] = [
        {
            "way": one.machine.name,
            "gpus": one.gpus,
            "seconds": one.seconds,
            "usd_per_month": one.usd,
            "usd_per_accepted_clip": _per_clip(one.usd, clips),
        }
        for one in machines
    ]
    rows += [
        {
            "way": one.name,
            "gpus": None,
            "seconds": None,
            "usd_per_month": _api_month(one, clips),
            "usd_per_accepted_clip": one.usd,
        }
        for one in apis
    ]
    return tuple(sorted(rows, key=lambda row: float(row["usd_per_month"].value)))  # type: ignore[union-attr]


def _words(
    inputs: DevelopmentTraffic,
    machine: _Able,
    api: Route,
    by_api: Figure,
    turns: Sequence[float],
) -> str:
    own, other = float(machine.usd.value), float(by_api.value)
    count = int(machine.gpus.value)
    text = (
        f"{inputs.clips_per_workday:,.0f} test clips a workday cost {said_usd(own)} a month on "
        f"{count} × {machine.machine.name} and {said_usd(other)} through {api.name}"
    )
    if not turns:
        return f"{text}; the {'machine' if own < other else 'API'} is cheaper at any volume."
    text += f": the {'machine' if own < other else 'API'} saves {said_usd(abs(other - own))}"
    if len(turns) == 1:
        return f"{text}; both cost the same at {turns[0]:,.0f} clips a workday."
    return (
        f"{text}; the API is cheaper below {turns[0]:,.0f} clips a workday, the machine from "
        f"{turns[-1]:,.0f} on."
    )


def _warnings(machine: _Able, api: Route, refused: Sequence[str]) -> tuple[str, ...]:
    found = list(refused)
    if machine.machine.deployment.technique:
        found.append(
            "A distilled recipe tests the pipeline, not the picture that production would show."
        )
    if api.stale:
        found.append(f"The price of {api.name} is undated or old: read it again.")
    return tuple(found)
