"""A scenario becomes a bill: per-clip cost by route, the split, the fleet and the month.

    mix × policy ─▶ each segment's route ─▶ attempts a month ─▶ API lines
                                         └▶ slots for the busiest hour ─▶ fleet lines
                                                                           └▶ month, blended cost

Two bases stand side by side. *Usage* is what busy seconds cost; *allocation* is everything that
the fleet costs in the month, idle hours included, and is what the total is made of.
"""

from __future__ import annotations

import calendar
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from costlab import capacity, catalog, routing, traffic
from costlab.core import (
    Basis,
    Figure,
    LineItem,
    Range,
    apportion,
    micro_usd,
    plain,
    usd,
)
from costlab.scenarios import Scenario, api_models, check
from costlab.unitcost import Deployment, Refusal, UnitCost, every_route, hourly_price

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentResult:
    """Where one segment goes and what it takes.

    ``reason`` says why it is not served; ``fix`` is then the cheapest route that could.
    ``attempts`` and ``accepted`` are per month. Costs are figures in USD; ``per_accepted`` is on
    the allocation basis, ``usage_per_accepted`` on the usage basis.
    """

    segment: traffic.Segment
    wanted: float
    route: str | None
    model: str | None
    reason: str
    unit: UnitCost | None
    attempts: float
    accepted: float
    usd_per_month: Figure | None
    per_accepted: Figure | None
    usage_per_accepted: Figure | None
    fix: UnitCost | None
    options: tuple[UnitCost, ...]
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolResult:
    """The GPUs of one deployment: slots for the promise, how busy they are, what they cost."""

    deployment: Deployment
    route: str
    slots: Figure
    gpus: Figure
    price: Figure
    usd_per_month: Figure
    utilisation: Figure
    peak_utilisation: Figure | None
    p95_wait_s: Figure | None
    clips_per_gpu_hour: Figure
    sold_clips_per_gpu_hour: Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """The answer to a scenario. ``bill`` sums to ``usd_per_month`` to the micro-dollar."""

    scenario: Scenario
    mix: traffic.TrafficMix
    policy: routing.Policy
    hours: int
    segments: tuple[SegmentResult, ...]
    pools: tuple[PoolResult, ...]
    bill: tuple[LineItem, ...]
    summary: Mapping[str, Figure]
    split: Mapping[str, float]
    warnings: tuple[str, ...]

    def figures(self) -> dict[str, Figure]:
        """Return every figure by its path: ``summary/…``, ``segment/<name>/…``, ``pool/…``."""
        found = {f"summary/{name}": figure for name, figure in self.summary.items()}
        for result in self.segments:
            for item in fields(SegmentResult):
                value = getattr(result, item.name)
                if isinstance(value, Figure):
                    found[f"segment/{result.segment.name}/{item.name}"] = value
            for option in result.options:
                found[f"segment/{result.segment.name}/option/{option.route}"] = option.usd
        for pool in self.pools:
            for item in fields(PoolResult):
                value = getattr(pool, item.name)
                if isinstance(value, Figure):
                    found[f"pool/{pool.route}/{item.name}"] = value
        return found

    def frame(self) -> pd.DataFrame:
        """Return one tidy row per figure.

        Columns: scenario, section, item, quantity, value, unit, basis, low, high, weakest_input,
        formula, hash.
        """
        import pandas as pd

        rows = []
        for path, figure in self.figures().items():
            section, *middle, quantity = path.split("/")
            rows.append(
                {
                    "scenario": self.scenario.id,
                    "section": section,
                    "item": "/".join(middle),
                    "quantity": quantity,
                    "value": float(figure.value),
                    "unit": figure.unit,
                    "basis": figure.basis.value,
                    "low": figure.range.low if figure.range else None,
                    "high": figure.range.high if figure.range else None,
                    "weakest_input": figure.weakest_input.name,
                    "formula": figure.formula,
                    "hash": figure.content_hash[:16],
                }
            )
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """Return the stable JSON shape that ``costlab project --json`` prints (docs/json.md)."""
        return {
            "scenario": plain(self.scenario),
            "mix": {"id": self.mix.id, "title": self.mix.title},
            "policy": {"id": self.policy.id, "title": self.policy.title},
            "hours": self.hours,
            "summary": {name: _brief(figure) for name, figure in self.summary.items()},
            "split": plain(self.split),
            "segments": [_segment_dict(result) for result in self.segments],
            "pools": [
                {"route": pool.route}
                | {
                    item.name: _brief(getattr(pool, item.name))
                    for item in fields(PoolResult)
                    if isinstance(getattr(pool, item.name), Figure)
                }
                for pool in self.pools
            ],
            "bill": [plain(line) | {"usd": format(usd(line.micro_usd), "f")} for line in self.bill],
            "warnings": list(self.warnings),
        }


def _brief(figure: Figure | None) -> dict[str, Any] | None:
    if figure is None:
        return None
    shape: dict[str, Any] = plain(
        {
            "value": figure.value,
            "unit": figure.unit,
            "basis": figure.basis.value,
            "low": figure.range.low if figure.range else None,
            "high": figure.range.high if figure.range else None,
            "weakest_input": figure.weakest_input.name,
        }
    )
    return shape


def _segment_dict(result: SegmentResult) -> dict[str, Any]:
    return {
        "segment": result.segment.name,
        "share": result.segment.share,
        "wanted_per_month": plain(result.wanted),
        "route": result.route,
        "served": not result.reason,
        "reason": result.reason,
        "attempts_per_month": plain(result.attempts),
        "accepted_per_month": plain(result.accepted),
        "usd_per_attempt": _brief(result.unit.usd) if result.unit else None,
        "usd_per_month": _brief(result.usd_per_month),
        "usd_per_accepted_clip": _brief(result.per_accepted),
        "usage_usd_per_accepted_clip": _brief(result.usage_per_accepted),
        "options": [
            {"route": option.route, "kind": option.kind, "usd_per_attempt": _brief(option.usd)}
            for option in result.options
        ],
        "refusals": [
            {"route": refusal.route, "reason": refusal.reason} for refusal in result.refusals
        ],
        "fix": {"route": result.fix.route, "usd_per_attempt": _brief(result.fix.usd)}
        if result.fix
        else None,
    }


# ── The arithmetic ────────────────────────────────────────────────────────────────────────────


def project(
    scenario: Scenario,
    *,
    mix: traffic.TrafficMix | None = None,
    policy: routing.Policy | None = None,
) -> Projection:
    """Return the projection of a scenario, with another mix or policy in place of its own if given.

    Raises `BadData` where the scenario names something that is not there.
    """
    mix = mix or traffic.mix(scenario.mix)
    policy = policy or routing.policy(scenario.policy)
    check(scenario, policy)
    hours = 24 * calendar.monthrange(scenario.date.year, scenario.date.month)[1]
    wanted = Figure.entered(
        "clips wanted a month",
        mix.clips_per_month if scenario.clips_per_month is None else scenario.clips_per_month,
        "clips/month",
        ref=f"mix:{mix.id}" if scenario.clips_per_month is None else f"scenario:{scenario.id}",
    )
    month = _Month(scenario=scenario, wanted=wanted, hours=hours, peak_factor=mix.peak_factor)
    demands = [_demand(month, policy, segment) for segment in mix.segments]
    if policy.kind == "cheapest":
        demands = _cheapest_month(month, policy, demands)
    pools = [
        _pool(month, deployment, loads)
        for deployment in scenario.deployments
        if (loads := _loads(deployment, demands))
    ]
    results = tuple(_segment_result(demand, pools) for demand in demands)
    bill = tuple(d.api_line for d in demands if d.api_line) + tuple(pool.line for pool in pools)
    return Projection(
        scenario=scenario,
        mix=mix,
        policy=policy,
        hours=hours,
        segments=results,
        pools=tuple(pool.result for pool in pools),
        bill=bill,
        summary=_summary(results, demands, pools, bill, month),
        split=_split(results),
        warnings=_warnings(policy, mix, results, pools, scenario.date),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Month:
    """What the whole projection shares; ``peak_factor`` is the busiest hour over the mean one."""

    scenario: Scenario
    wanted: Figure
    hours: int
    peak_factor: float

    def slots(self, loads: Sequence[capacity.Load]) -> int:
        return capacity.slots_needed(
            loads,
            hours=self.hours,
            peak_factor=self.peak_factor,
            p95_wait_s=self.scenario.p95_wait_s,
            batch_utilisation=self.scenario.batch_utilisation,
        )

    def rent_micro(self, deployment: Deployment, slots: int) -> int:
        rate = Decimal(hourly_price(deployment, self.scenario.date).value)
        return micro_usd(slots * deployment.gpus_per_clip * self.hours * rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Demand:
    """A segment on its way: its route, and the attempts that the route will see in a month."""

    segment: traffic.Segment
    wanted: float
    route: str | None
    model: str | None
    reason: str
    unit: UnitCost | None
    attempts: Figure | None
    accepted: Figure | None
    billed: Figure | None
    api_line: LineItem | None
    options: tuple[UnitCost, ...]
    refusals: tuple[Refusal, ...]


def _demand(month: _Month, policy: routing.Policy, segment: traffic.Segment) -> _Demand:
    scenario = month.scenario
    apis = api_models(scenario, [rule.route for rule in policy.rules])
    options, refusals = every_route(segment.request(), scenario.deployments, apis, scenario.date)
    allowed = {o.route: float(o.usd.value) for o in options if policy.among in ("all", o.kind)}
    target = routing.decide(policy, segment, allowed)
    model_id = None
    unit = None
    if policy.kind == "cheapest":
        unit = next((option for option in options if option.route == target), None)
    elif target is not None:
        model_id = catalog.model(target).id
        unit = next((option for option in options if option.model == model_id), None)
    unrouted = _Demand(
        segment=segment,
        wanted=float(month.wanted.value) * segment.share,
        route=model_id,
        model=model_id,
        reason="" if unit else _why_not_served(policy, target, model_id, refusals),
        unit=None,
        attempts=None,
        accepted=None,
        billed=None,
        api_line=None,
        options=options,
        refusals=refusals,
    )
    return _routed(month, unrouted, unit) if unit else unrouted


def _why_not_served(
    policy: routing.Policy, target: str | None, model_id: str | None, refusals: Sequence[Refusal]
) -> str:
    if target is not None:
        own = [refusal.reason for refusal in refusals if refusal.model == model_id]
        return own[0] if own else f"{target} is not among the scenario's routes"
    if policy.kind == "rules":
        return "no rule of the policy matches it"
    asked = {"api": "API", "self_hosted": "deployment"}.get(policy.among, "route")
    return f"no {asked} of this scenario can make it" + (
        f" ({refusals[0].reason})" if len(refusals) == 1 else ""
    )


def _routed(month: _Month, demand: _Demand, unit: UnitCost) -> _Demand:
    """Return the demand sent to one of its options."""
    volumes = _volumes(month.scenario, demand.segment, unit, month.wanted)
    return replace(demand, route=unit.route, model=unit.model, reason="", unit=unit, **volumes)


def _cheapest_month(
    month: _Month, policy: routing.Policy, demands: Sequence[_Demand]
) -> list[_Demand]:
    """Return the routing with the lowest bill that moving segments about can reach.

    It starts where every attempt is cheapest by use, which leaves idle GPU hours out. Then one
    segment at a time, and all segments of a pool together, move to another route as long as that
    lowers the month's bill.
    """

    rents: dict[tuple[str, tuple[capacity.Load, ...]], int] = {}

    def rent(deployment: Deployment, loads: tuple[capacity.Load, ...]) -> int:
        key = (deployment.route, loads)
        if key not in rents:
            rents[key] = month.rent_micro(deployment, month.slots(loads))
        return rents[key]

    def total(tried: Sequence[_Demand]) -> int:
        cost = sum(demand.api_line.micro_usd for demand in tried if demand.api_line)
        for deployment in month.scenario.deployments:
            if loads := tuple(load.at() for load in _loads(deployment, tried)):
                cost += rent(deployment, loads)
        return cost

    def choices(demand: _Demand) -> dict[str, _Demand]:
        allowed = [o for o in demand.options if policy.among in ("all", o.kind)]
        apis = [option for option in allowed if option.kind == "api"][:1]
        units = [o for o in allowed if o.kind == "self_hosted"] + apis if demand.unit else []
        return {unit.kind + unit.route: _routed(month, demand, unit) for unit in units}

    open_to = [choices(demand) for demand in demands]

    def emptied(deployment: Deployment, routing_now: Sequence[_Demand]) -> list[_Demand]:
        return [
            next((other for key, other in routes.items() if key.startswith("api")), demand)
            if demand.route == deployment.route
            else demand
            for demand, routes in zip(routing_now, open_to, strict=True)
        ]

    best = list(demands)
    lowest = total(best)
    while True:
        moves = [
            [*best[:i], other, *best[i + 1 :]]
            for i, routes in enumerate(open_to)
            for other in routes.values()
            if other.route != best[i].route
        ]
        moves += [emptied(deployment, best) for deployment in month.scenario.deployments]
        totals = [total(move) for move in moves]
        if not totals or min(totals) >= lowest:
            return best
        lowest = min(totals)
        best = moves[totals.index(lowest)]


def _loads(deployment: Deployment, demands: Sequence[_Demand]) -> list[_Load]:
    return [
        _Load.of(demand, demand.unit, demand.attempts, demand.accepted)
        for demand in demands
        if demand.route == deployment.route
        and demand.unit
        and demand.accepted
        and demand.attempts
        and demand.attempts.value
    ]


def _volumes(
    scenario: Scenario, segment: traffic.Segment, unit: UnitCost, volume: Figure
) -> dict[str, Any]:
    failure = scenario.api_failure_share
    if unit.kind == "self_hosted":
        failure = next(d.failure_share for d in scenario.deployments if d.route == unit.route)
    tries = traffic.attempts(
        failure=failure,
        acceptance=segment.acceptance,
        max_tries=segment.max_tries,
        failures_billed=unit.failures_billed,
    )
    share = Figure.entered(f"share of '{segment.name}'", segment.share, "", ref="mix")
    kept = Figure.entered("share of delivered clips kept", segment.acceptance, "", ref="mix")
    failed = Figure.entered("share of attempts that fail", failure, "", ref="scenario")
    limit = "until accepted" if segment.max_tries is None else f"at most {segment.max_tries} tries"
    wanted = float(volume.value) * segment.share
    attempts = Figure.derived(
        "attempts a month",
        wanted * tries.per_wanted,
        "attempts/month",
        f"clips wanted × share × expected attempts ({limit}, p = (1 − failed) × kept)",
        (volume, share, kept, failed),
    )
    accepted = Figure.derived(
        "accepted clips a month",
        wanted * tries.accepted_share,
        "clips/month",
        f"clips wanted × share × share ever accepted ({limit})",
        (volume, share, kept, failed),
    )
    billed = Figure.derived(
        "billed attempts a month",
        float(attempts.value) * tries.billed_share,
        "attempts/month",
        "attempts × ((1 − failed) + failed × 1)"
        if unit.failures_billed
        else "attempts × (1 − failed): failed attempts are not billed",
        (attempts, failed),
    )
    line = None
    if unit.kind == "api":
        line = LineItem.of(
            f"{unit.route}: {segment.name}",
            Decimal(f"{float(billed.value):.6f}"),
            "attempt",
            Decimal(unit.usd.value),
            formula="billed attempts × USD per attempt",
            price_ref=unit.lines[0].price_ref if unit.lines else "",
            sources=unit.lines[0].sources if unit.lines else (),
        )
    return {"attempts": attempts, "accepted": accepted, "billed": billed, "api_line": line}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Load:
    """What a segment asks of a pool, with its proof."""

    name: str
    attempts: Figure
    accepted: float
    slot: Figure
    usage: Figure
    batch: bool

    @classmethod
    def of(cls, demand: _Demand, unit: UnitCost, attempts: Figure, accepted: Figure) -> _Load:
        per_month = float(attempts.value)
        return cls(
            name=demand.segment.name,
            attempts=attempts,
            accepted=float(accepted.value),
            slot=unit.slot_s or attempts,
            usage=Figure.derived(
                "busy seconds of this segment",
                usd(micro_usd(Decimal(f"{per_month:.6f}") * Decimal(unit.usd.value))),
                "USD/month",
                "attempts × usage cost of one attempt",
                (attempts, unit.usd),
                range=unit.usd.range and unit.usd.range.scaled(per_month),
            ),
            batch=demand.segment.batch,
        )

    def at(self, end: Literal["low", "high"] | None = None) -> capacity.Load:
        """Return the load in numbers, its slot seconds at one end of their interval if asked."""
        seconds = float(self.slot.value)
        if end and self.slot.range:
            seconds = self.slot.range.low if end == "low" else self.slot.range.high
        return capacity.Load(per_month=float(self.attempts.value), slot_s=seconds, batch=self.batch)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pool:
    """A sized pool: its result for people, its bill line, and each segment's part of that line."""

    result: PoolResult
    line: LineItem
    usd_range: Range
    busy_slot_hours: float
    segment_usd: Mapping[str, Figure]
    segment_usage: Mapping[str, Figure]


def _pool(month: _Month, deployment: Deployment, loads: Sequence[_Load]) -> _Pool:
    scenario, hours = month.scenario, month.hours
    numbers = [load.at() for load in loads]
    count = month.slots(numbers)
    low = month.slots([load.at("low") for load in loads])
    high = month.slots([load.at("high") for load in loads])
    busy = math.fsum(load.busy_hours for load in numbers)
    peak = capacity.PeakHour.of(numbers, hours, month.peak_factor)
    size = deployment.gpus_per_clip
    price = hourly_price(deployment, scenario.date)
    line = LineItem.of(
        f"{deployment.route}: {count * size} GPUs all month",
        Decimal(count * size * hours),
        "GPU-hour",
        Decimal(price.value),
        formula=f"{count} slots × {size} GPUs × {hours} h",
        price_ref=price.ref,
        sources=(price.source,) if price.source else (),
    )
    usd_range = Range(low=low, high=high).scaled(size * hours * float(price.value))
    work = [part for load in loads for part in (load.attempts, load.slot)]
    promise = Figure.entered("promised p95 wait", scenario.p95_wait_s, "s", ref="scenario")
    slots = Figure.derived(
        "slots",
        count,
        "slots",
        "fewest slots whose p95 wait in the week's busiest hour keeps the promise (M/G/c; exact "
        "M/D/c where all clips are alike) and that carry the batch work of the month",
        (*work, promise),
        range=Range(low=low, high=high),
        basis=Basis.ESTIMATED,
    )
    gpus = Figure.derived(
        "GPUs",
        count * size,
        "GPUs",
        f"slots × {size}",
        (slots,),
        range=Range(low=low * size, high=high * size),
    )
    rent = Figure.derived(
        "GPU rent a month",
        usd(line.micro_usd),
        "USD/month",
        f"GPUs × {hours} h × USD per GPU-hour, paid around the clock",
        (gpus, price),
        range=usd_range,
    )
    parts = _split_micro(line.micro_usd, [load.busy_hours for load in numbers])
    return _Pool(
        result=PoolResult(
            deployment=deployment,
            route=deployment.route,
            slots=slots,
            gpus=gpus,
            price=price,
            usd_per_month=rent,
            utilisation=Figure.derived(
                "utilisation over the month",
                busy / (count * hours),
                "",
                "busy slot-hours / paid slot-hours",
                (*work, slots),
            ),
            peak_utilisation=Figure.derived(
                "utilisation in the busiest hour",
                peak.erlangs / count,
                "",
                "offered load of the busiest hour / slots",
                (*work, slots),
            )
            if peak.arrivals_per_s
            else None,
            p95_wait_s=_p95_wait(peak, count, slots),
            clips_per_gpu_hour=Figure.derived(
                "clips per GPU-hour at full load",
                math.fsum(load.per_month for load in numbers) / (busy * size),
                "clips/GPU-hour",
                "attempts / busy GPU-hours",
                work,
            ),
            sold_clips_per_gpu_hour=Figure.derived(
                "accepted clips per paid GPU-hour",
                math.fsum(load.accepted for load in loads) / (count * size * hours),
                "clips/GPU-hour",
                "accepted clips / paid GPU-hours",
                (*work, gpus),
            ),
        ),
        line=line,
        usd_range=usd_range,
        busy_slot_hours=busy,
        segment_usd={
            load.name: Figure.derived(
                "rent of this segment's part",
                usd(part),
                "USD/month",
                "GPU rent a month × this segment's share of busy seconds",
                (rent, load.attempts, load.slot),
                range=usd_range.scaled(part / line.micro_usd),
            )
            for load, part in zip(loads, parts, strict=True)
        },
        segment_usage={load.name: load.usage for load in loads},
    )


def _p95_wait(peak: capacity.PeakHour, count: int, slots: Figure) -> Figure | None:
    wait = peak.wait(count)
    if wait is None:
        return None
    return Figure.derived(
        "p95 wait in the busiest hour",
        wait.p95_wait_s,
        "s",
        "M/G/c queue of the busiest hour at these slots",
        (slots,),
    )


def _split_micro(total: int, weights: Sequence[float]) -> list[int]:
    return apportion(total, weights) if any(weights) else [0] * len(weights)


def _segment_result(demand: _Demand, pools: Sequence[_Pool]) -> SegmentResult:
    month = usage = None
    if demand.api_line and demand.billed and demand.unit:
        month = usage = Figure.derived(
            "bill of this segment",
            usd(demand.api_line.micro_usd),
            "USD/month",
            "billed attempts × USD per attempt",
            (demand.billed, demand.unit.usd),
        )
    elif demand.unit:
        pool = next((pool for pool in pools if pool.result.route == demand.route), None)
        if pool:
            month = pool.segment_usd[demand.segment.name]
            usage = pool.segment_usage[demand.segment.name]
    return SegmentResult(
        segment=demand.segment,
        wanted=demand.wanted,
        route=demand.route,
        model=demand.model,
        reason=demand.reason,
        unit=demand.unit,
        attempts=float(demand.attempts.value) if demand.attempts else 0.0,
        accepted=float(demand.accepted.value) if demand.accepted else 0.0,
        usd_per_month=month,
        per_accepted=_per_clip(month, demand.accepted, "allocation basis"),
        usage_per_accepted=_per_clip(usage, demand.accepted, "usage basis"),
        fix=demand.options[0] if demand.reason and demand.options else None,
        options=demand.options,
        refusals=demand.refusals,
    )


def _per_clip(month: Figure | None, accepted: Figure | None, basis: str) -> Figure | None:
    if month is None or accepted is None or not accepted.value:
        return None
    return Figure.derived(
        f"cost of an accepted clip, {basis}",
        float(month.value) / float(accepted.value),
        "USD/clip",
        "USD a month / accepted clips a month",
        (month, accepted),
        range=month.range and month.range.scaled(1 / float(accepted.value)),
    )


def _summary(
    results: Sequence[SegmentResult],
    demands: Sequence[_Demand],
    pools: Sequence[_Pool],
    bill: Sequence[LineItem],
    shared: _Month,
) -> dict[str, Figure]:
    wanted, hours = shared.wanted, shared.hours
    served = [result for result in results if result.usd_per_month]
    months = [result.usd_per_month for result in served if result.usd_per_month]
    total = usd(sum(line.micro_usd for line in bill))
    fixed = float(total) - math.fsum(float(pool.result.usd_per_month.value) for pool in pools)
    interval = Range(
        low=fixed + math.fsum(pool.usd_range.low for pool in pools),
        high=fixed + math.fsum(pool.usd_range.high for pool in pools),
    ) if pools else None  # fmt: skip
    month = Figure.derived(
        "bill a month",
        total,
        "USD/month",
        "sum of the API lines and the GPU rent (allocation basis); the interval takes every "
        "deployment's seconds low, or high, together",
        months,
        range=interval,
    )
    accepted_total = math.fsum(result.accepted for result in results)
    accepted = Figure.derived(
        "accepted clips a month",
        accepted_total,
        "clips/month",
        "sum over served segments",
        [demand.accepted for demand in demands if demand.accepted] or [wanted],
    )
    summary = {"usd_per_month": month, "accepted_clips_per_month": accepted}
    blended = _per_clip(month, accepted, "allocation basis")
    if blended:
        summary["usd_per_accepted_clip"] = blended
        summary["usage_usd_per_accepted_clip"] = _usage_per_clip(served, accepted_total)
    shares = {
        "served_share": ("share of wanted clips with a route that can make them", True),
        "unserved_share": ("share of wanted clips whose route cannot make them", False),
    }
    for name, (words, good) in shares.items():
        summary[name] = Figure.derived(
            words,
            math.fsum(r.segment.share for r in results if (not r.reason) is good),
            "",
            "sum of the segments' shares",
            (wanted,),
        )
    if pools:
        summary["gpus"] = Figure.derived(
            "GPUs",
            sum(int(pool.result.gpus.value) for pool in pools),
            "GPUs",
            "sum over pools",
            [pool.result.gpus for pool in pools],
            range=Range(
                low=math.fsum(p.result.gpus.range.low for p in pools if p.result.gpus.range),
                high=math.fsum(p.result.gpus.range.high for p in pools if p.result.gpus.range),
            ),
        )
        paid = math.fsum(float(pool.result.gpus.value) for pool in pools) * hours
        busy = math.fsum(p.busy_slot_hours * p.result.deployment.gpus_per_clip for p in pools)
        summary["utilisation"] = Figure.derived(
            "utilisation",
            busy / paid,
            "",
            "busy GPU-hours / paid GPU-hours",
            [pool.result.utilisation for pool in pools],
        )
        clips = math.fsum(r.accepted for r in served if r.unit and r.unit.kind == "self_hosted")
        summary["clips_per_gpu_hour"] = Figure.derived(
            "accepted clips per paid GPU-hour",
            clips / paid,
            "clips/GPU-hour",
            "accepted self-hosted clips / paid GPU-hours",
            [pool.result.sold_clips_per_gpu_hour for pool in pools],
        )
    return summary


def _usage_per_clip(served: Sequence[SegmentResult], accepted: float) -> Figure:
    parts = [(r.usage_per_accepted, r.accepted) for r in served if r.usage_per_accepted]

    def mean(pick: Callable[[Figure], float]) -> float:
        return math.fsum(pick(figure) * clips for figure, clips in parts) / accepted

    value = mean(lambda figure: float(figure.value))
    return Figure.derived(
        "cost of an accepted clip, usage basis",
        value,
        "USD/clip",
        "API bills and busy GPU seconds / accepted clips",
        [figure for figure, _ in parts],
        range=Range(
            low=mean(lambda f: f.range.low if f.range else float(f.value)),
            high=mean(lambda f: f.range.high if f.range else float(f.value)),
        )
        if any(figure.range for figure, _ in parts)
        else None,
    )


def _split(results: Sequence[SegmentResult]) -> dict[str, float]:
    """Return each route's share of wanted clips; ``not served`` holds the rest. Sums to one."""
    split: dict[str, float] = {}
    for result in results:
        route = "not served" if result.reason else str(result.route)
        split[route] = split.get(route, 0.0) + result.segment.share
    return split


def _instead(result: SegmentResult) -> str:
    if result.fix is None:
        return ""
    return f"; {result.fix.route} could, at ${float(result.fix.usd.value):.3g} an attempt"


def _warnings(
    policy: routing.Policy,
    mix: traffic.TrafficMix,
    results: Sequence[SegmentResult],
    pools: Sequence[_Pool],
    as_of: date,
) -> tuple[str, ...]:
    found = [
        f"{result.segment.name} ({result.segment.share:.0%} of clips) is not served by "
        f"{result.route or 'any route'}: {result.reason}{_instead(result)}"
        for result in results
        if result.reason
    ]
    found += [
        f"rule '{rule.words}' is never reached by this mix"
        for rule in routing.unreached(policy, mix.segments)
    ]
    stale = sorted({r.route for r in results if r.unit and r.unit.stale and r.route})
    stale += sorted(
        {
            pool.result.deployment.offer
            for pool in pools
            if pool.result.deployment.usd_per_gpu_hour is None
            and catalog.offer(pool.result.deployment.offer, as_of=as_of).stale(as_of)
        }
    )
    found += [
        f"the price of {route} is undated or over {catalog.STALE_AFTER_DAYS} days old: "
        "read it again before relying on it"
        for route in stale
    ]
    return tuple(found)
