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
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from costlab import capacity, catalog, routing, store, traffic
from costlab.core import (
    Basis,
    Figure,
    LineItem,
    Range,
    apportion,
    brief,
    micro_usd,
    plain,
    usd,
)
from costlab.scenarios import Scenario, api_models, check, rating, route_target, weighed
from costlab.unitcost import Deployment, Refusal, UnitCost, every_route, hourly_price

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentResult:
    """Where one segment, or the part of it that takes one route, goes and what it takes.

    ``of`` names the segment of the mix; where that takes several routes, ``segment`` is the part,
    with its own share and name. ``reason`` says why it is not served, ``violations`` what it asks
    and does not get although it is served; ``fix`` is then the cheapest route that gives it all,
    and ``fix_usd_per_month`` what that would add to the bill. ``attempts`` and ``accepted`` are
    per month. Costs are figures in USD; ``per_accepted`` is on the allocation basis,
    ``usage_per_accepted`` on the usage basis. ``rating`` is what people give the route's picture,
    in arena points; None where there is no public score. ``short`` says of each of the ``options``
    what it does not give of what the segment asks, in words; ``fit`` are those that give it all.
    """

    of: str
    segment: traffic.Segment
    wanted: float
    route: str | None
    model: str | None
    reason: str
    violations: tuple[str, ...]
    unit: UnitCost | None
    attempts: float
    accepted: float
    usd_per_month: Figure | None
    per_accepted: Figure | None
    usage_per_accepted: Figure | None
    fix: UnitCost | None
    fix_usd_per_month: Figure | None
    rating: Figure | None
    options: tuple[UnitCost, ...]
    short: Mapping[str, tuple[str, ...]]
    refusals: tuple[Refusal, ...]

    @property
    def fit(self) -> tuple[UnitCost, ...]:
        """Options that give all that the segment asks: quality, latency, faces, text, LoRA."""
        return tuple(option for option in self.options if not self.short[option.route])


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

    def check(self) -> dict[str, Any]:
        """Return which requests the policy fails, how many they are, and what mending costs.

        Keys: ``violating_share`` of wanted clips, ``added_usd_per_month`` to serve them all as
        asked where some route can, ``violations`` (segment, share, route, served, reasons, fix,
        added_usd_per_month), ``unmatched_share`` of clips that no rule takes, ``unreached_rules``.
        """
        failed = [result for result in self.segments if result.reason or result.violations]
        added = [r.fix_usd_per_month for r in failed if r.fix_usd_per_month]
        unmatched = [r for r in failed if r.route is None and self.policy.kind == "rules"]
        return {
            "violating_share": math.fsum(r.segment.share for r in failed),
            "unmatched_share": math.fsum(r.segment.share for r in unmatched),
            "added_usd_per_month": plain(math.fsum(float(figure.value) for figure in added)),
            "violations": [
                {
                    "segment": result.segment.name,
                    "share": plain(result.segment.share),
                    "route": result.route,
                    "served": not result.reason,
                    "reasons": [result.reason] if result.reason else list(result.violations),
                    "fix": result.fix.route if result.fix else None,
                    "added_usd_per_month": plain(float(result.fix_usd_per_month.value))
                    if result.fix_usd_per_month
                    else None,
                }
                for result in failed
            ],
            "unreached_rules": [
                rule.words for rule in routing.unreached(self.policy, self.mix.segments)
            ],
        }

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
            "summary": {name: brief(figure) for name, figure in self.summary.items()},
            "split": plain(self.split),
            "segments": [_segment_dict(result) for result in self.segments],
            "pools": [
                {"route": pool.route}
                | {
                    item.name: brief(getattr(pool, item.name))
                    for item in fields(PoolResult)
                    if isinstance(getattr(pool, item.name), Figure)
                }
                for pool in self.pools
            ],
            "bill": [plain(line) | {"usd": format(usd(line.micro_usd), "f")} for line in self.bill],
            "warnings": list(self.warnings),
        }


def _segment_dict(result: SegmentResult) -> dict[str, Any]:
    return {
        "segment": result.segment.name,
        "of": result.of,
        "share": result.segment.share,
        "wanted_per_month": plain(result.wanted),
        "route": result.route,
        "served": not result.reason,
        "reason": result.reason,
        "violations": list(result.violations),
        "attempts_per_month": plain(result.attempts),
        "accepted_per_month": plain(result.accepted),
        "usd_per_attempt": brief(result.unit.usd) if result.unit else None,
        "usd_per_month": brief(result.usd_per_month),
        "usd_per_accepted_clip": brief(result.per_accepted),
        "usage_usd_per_accepted_clip": brief(result.usage_per_accepted),
        "options": [
            {"route": option.route, "kind": option.kind, "usd_per_attempt": brief(option.usd)}
            for option in result.options
        ],
        "refusals": [
            {"route": refusal.route, "reason": refusal.reason} for refusal in result.refusals
        ],
        "rating": brief(result.rating),
        "fix": {
            "route": result.fix.route,
            "usd_per_attempt": brief(result.fix.usd),
            "added_usd_per_month": brief(result.fix_usd_per_month),
        }
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
    with store.still():
        mix = mix or traffic.mix(scenario.mix)
        policy = policy or routing.policy(scenario.policy)
        check(scenario, policy)
        return _project(scenario, mix, policy)


def _project(scenario: Scenario, mix: traffic.TrafficMix, policy: routing.Policy) -> Projection:
    hours = 24 * calendar.monthrange(scenario.date.year, scenario.date.month)[1]
    wanted = Figure.entered(
        "clips wanted a month",
        mix.clips_per_month if scenario.clips_per_month is None else scenario.clips_per_month,
        "clips/month",
        ref=f"mix:{mix.id}" if scenario.clips_per_month is None else f"scenario:{scenario.id}",
    )
    month = _Month(
        scenario=scenario,
        policy=policy,
        wanted=wanted,
        hours=hours,
        hours_of_week=mix.hours_of_week,
        peak_factor=mix.peak_factor,
    )
    demands = [demand for segment in mix.segments for demand in _demands(month, segment)]
    if policy.kind == "cheapest":
        demands = _cheapest_month(month, demands)
    if policy.budget:
        demands = _within_budget(month, policy.budget, demands)
    full: dict[str, _Full] = {}
    if policy.overflow:
        demands, full = _overflowed(month, policy.overflow, demands)
    pools = [
        _pool(month, deployment, loads, full.get(deployment.route))
        for deployment in scenario.deployments
        if (loads := _loads(deployment, demands))
    ]
    results = tuple(_segment_result(month, demand, pools) for demand in demands)
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
        warnings=_warnings(month, mix, results, pools),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Month:
    """What the whole projection shares.

    ``hours_of_week`` are the 168 hours over the mean one, ``peak_factor`` the busiest of them.
    """

    scenario: Scenario
    policy: routing.Policy
    wanted: Figure
    hours: int
    hours_of_week: tuple[float, ...]
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
    """A segment, or a part of it, on its way: its route, and the month's attempts on it.

    ``spread`` is the interval of the part's size over its size, where that is not certain.
    ``fit`` are the options that give all that the policy and the segment ask, ``short`` what the
    other options do not give.
    """

    of: traffic.Segment
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
    fit: tuple[UnitCost, ...]
    short: Mapping[str, tuple[str, ...]]
    spread: Range | None = None


def _demands(month: _Month, segment: traffic.Segment) -> list[_Demand]:
    """Return the segment's parts, each on its way by the policy."""
    scenario, policy = month.scenario, month.policy
    apis = api_models(scenario, policy.named_routes)
    units, refusals = every_route(segment.request(), scenario.deployments, apis, scenario.date)
    options = {unit.route: weighed(scenario, segment, unit) for unit in units}
    short = {
        route: routing.shortfalls(policy, segment, option) for route, option in options.items()
    }
    demand = _Demand(
        of=segment,
        segment=segment,
        wanted=float(month.wanted.value) * segment.share,
        route=None,
        model=None,
        reason="",
        unit=None,
        attempts=None,
        accepted=None,
        billed=None,
        api_line=None,
        options=units,
        refusals=refusals,
        fit=tuple(
            unit
            for unit in units
            if not short[unit.route] and not routing.unfit(policy, segment, options[unit.route])
        ),
        short=short,
    )
    parts = routing.decide(
        policy, segment, [options[unit.route] for unit in units if unit in demand.fit]
    )
    if not parts:
        return [replace(demand, reason=_nobody(policy, demand))]
    if policy.kind == "cheapest":
        unit = next(unit for unit in units if unit.route == parts[0].route)
        return [_routed(month, demand, unit)]
    shares: dict[str, float] = {}
    for part in parts:
        target = route_target(scenario, part.route)
        shares[target] = shares.get(target, 0.0) + part.share
    return [
        _sent(month, _part_of(demand, target, share) if len(shares) > 1 else demand, target)
        for target, share in shares.items()
    ]


def _part_of(demand: _Demand, name: str, share: float) -> _Demand:
    """Return the part of a demand that takes a share of it."""
    segment = replace(
        demand.segment,
        name=f"{demand.of.name} → {name}",
        share=demand.segment.share * share,
    )
    return replace(demand, segment=segment, wanted=demand.wanted * share)


def _sent(month: _Month, demand: _Demand, target: str) -> _Demand:
    """Return the demand sent to a deployment's route, or to a model's cheapest route."""
    meant = [option for option in demand.options if target in (option.route, option.model)]
    unit = next((u for u in meant if not _kept_off(month, demand.of, u)), None)
    if unit:
        return _routed(month, demand, unit)
    reason = next((r.reason for r in demand.refusals if target in (r.route, r.model)), "")
    if meant:
        reason = "batch work goes to spot GPUs" if demand.of.batch else "spot GPUs are for batch"
        reason += f", and the scenario deploys no other {meant[0].model}"
    return replace(
        demand,
        route=target,
        model=meant[0].model if meant else target,
        reason=reason or _not_deployed(month.scenario, target),
        unit=None,
        attempts=None,
        accepted=None,
        billed=None,
        api_line=None,
    )


def _not_deployed(scenario: Scenario, target: str) -> str:
    deployed = sorted({deployment.model_id for deployment in scenario.deployments})
    return f"the scenario deploys no {target}; it deploys {', '.join(deployed) or 'nothing'}"


def _kept_off(month: _Month, segment: traffic.Segment, unit: UnitCost) -> bool:
    return routing.batch_elsewhere(month.policy, segment, weighed(month.scenario, segment, unit))


def _nobody(policy: routing.Policy, demand: _Demand) -> str:
    if policy.kind == "rules":
        return "no rule of the policy matches it"
    asked = {"api": "API", "self_hosted": "deployment"}.get(policy.among, "route")
    capable = [o for o in demand.options if policy.among in ("all", o.kind)]
    if capable:
        why = demand.short[capable[0].route] or ("spot GPUs are kept for batch work",)
        return f"no {asked} of this scenario gives what it asks ({capable[0].route}: {why[0]})"
    return f"no {asked} of this scenario can make it" + (
        f" ({demand.refusals[0].reason})" if len(demand.refusals) == 1 else ""
    )


def _routed(month: _Month, demand: _Demand, unit: UnitCost) -> _Demand:
    """Return the demand sent to one of its options."""
    volumes = _volumes(month.scenario, demand, unit, month.wanted)
    return replace(demand, route=unit.route, model=unit.model, reason="", unit=unit, **volumes)


def _within_budget(
    month: _Month, budget: routing.Budget, demands: Sequence[_Demand]
) -> list[_Demand]:
    """Return the demands with API spending capped; what the budget cannot pay goes elsewhere.

    Requests of all kinds come in the same proportions all month, so that the budget, spent first
    come first served, pays the same share of each.
    """
    then = route_target(month.scenario, budget.then)
    paid = [d for d in demands if d.api_line and d.route != then]
    spending = sum(d.api_line.micro_usd for d in paid if d.api_line)
    cap = micro_usd(budget.usd_per_month)
    if spending <= cap:
        return list(demands)
    kept = cap / spending
    found: list[_Demand] = []
    for demand in demands:
        if demand not in paid or demand.unit is None:
            found.append(demand)
            continue
        if kept:
            found.append(_routed(month, _part_of(demand, demand.unit.route, kept), demand.unit))
        found.append(_sent(month, _part_of(demand, f"{then}, budget spent", 1 - kept), then))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Full:
    """A pool that hands clips over when full: its slots, and the share it hands over.

    ``spread`` is that share's interval over its value, ``peak_utilisation`` is in the busiest hour.
    """

    slots: int
    share: float
    spread: Range | None
    peak_utilisation: float
    after_wait_s: float


def _overflowed(
    month: _Month, overflow: routing.Overflow, demands: Sequence[_Demand]
) -> tuple[list[_Demand], dict[str, _Full]]:
    """Return the demands with what full pools hand over split off, and those pools by route.

    Batch work waits instead. A pool whose clips the other route cannot make hands nothing over.
    """
    to = route_target(month.scenario, overflow.to)
    found, full = list(demands), {}
    for deployment in month.scenario.deployments:
        people = [d for d in found if d.route == deployment.route and d.unit and not d.of.batch]
        handed = {d.segment.name: _sent(month, d, to) for d in people}
        if not people or any(d.reason for d in handed.values()):
            continue
        size = _slots_beside(month, deployment, overflow, _loads(deployment, found), handed)
        full[deployment.route] = size
        parts: list[_Demand] = []
        for demand in found:
            if demand.segment.name not in handed or demand.unit is None:
                parts.append(demand)
                continue
            if size.share < 1:
                kept = _part_of(demand, demand.unit.route, 1 - size.share)
                parts.append(_routed(month, kept, demand.unit))
            if size.share > 0:
                over = replace(_part_of(demand, f"{to} when full", size.share), spread=size.spread)
                parts.append(_sent(month, over, to))
        found = parts
    return found, full


def _slots_beside(
    month: _Month,
    deployment: Deployment,
    overflow: routing.Overflow,
    loads: Sequence[_Load],
    handed: Mapping[str, _Demand],
) -> _Full:
    """Return the slots at which rent and handed-over clips cost least, and what is handed over."""
    everything = sum(d.api_line.micro_usd for d in handed.values() if d.api_line)
    people = [load for load in loads if load.name in handed]
    attempts = math.fsum(float(load.attempts.value) for load in people)
    rates = [attempts / month.hours * factor for factor in month.hours_of_week]

    def mean_s(end: Literal["low", "high"] | None = None) -> float:
        return math.fsum(load.at(end).busy_hours for load in people) * 3600 / attempts

    most = month.slots([load.at() for load in loads])
    shares = capacity.handed_over_by_servers(rates, mean_s(), most, overflow.after_wait_s)
    batch_hours = math.fsum(load.at().busy_hours for load in loads if load.name not in handed)
    people_hours = attempts * mean_s() / 3600
    totals = [
        month.rent_micro(deployment, slots) + share * everything
        if batch_hours + (1 - share) * people_hours
        <= slots * month.hours * month.scenario.batch_utilisation
        else math.inf
        for slots, share in enumerate(shares)
    ]
    slots = min(range(most + 1), key=lambda count: totals[count])
    share = float(shares[slots])

    def at(end: Literal["low", "high"]) -> float:
        return float(
            capacity.handed_over_by_servers(rates, mean_s(end), slots, overflow.after_wait_s)[slots]
        )

    busiest = max(rates)
    blocked = capacity.handed_over(busiest / 3600, mean_s(), slots, overflow.after_wait_s)
    return _Full(
        slots=slots,
        share=share,
        spread=Range(low=at("low") / share, high=at("high") / share) if share else None,
        peak_utilisation=busiest / 3600 * mean_s() * (1 - blocked) / slots if slots else 0.0,
        after_wait_s=overflow.after_wait_s,
    )


def _cheapest_month(month: _Month, demands: Sequence[_Demand]) -> list[_Demand]:
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
        apis = [option for option in demand.fit if option.kind == "api"][:1]
        units = [o for o in demand.fit if o.kind == "self_hosted"] + apis if demand.unit else []
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


def _volumes(scenario: Scenario, demand: _Demand, unit: UnitCost, volume: Figure) -> dict[str, Any]:
    segment = demand.segment
    failure = scenario.api_lost_share
    if unit.kind == "self_hosted":
        failure = next(d.failure_share for d in scenario.deployments if d.route == unit.route)
    tries = traffic.attempts(
        failure=failure,
        acceptance=segment.acceptance,
        max_tries=segment.max_tries,
        failures_billed=unit.failures_billed,
    )
    share = Figure.entered(f"share of '{segment.name}'", segment.share, "", ref="mix")
    if demand.spread:
        share = replace(
            share, basis=Basis.ESTIMATED, range=demand.spread.scaled(segment.share), ref=""
        )
    kept = Figure.entered("share of delivered clips kept", segment.acceptance, "", ref="mix")
    failed = Figure.entered(
        "share of attempts that fail or are rejected", failure, "", ref="scenario"
    )
    limit = "until accepted" if segment.max_tries is None else f"at most {segment.max_tries} tries"
    wanted = float(volume.value) * segment.share
    attempts = Figure.derived(
        "attempts a month",
        wanted * tries.per_wanted,
        "attempts/month",
        f"clips wanted × share × expected attempts ({limit}, p = (1 − failed) × kept)",
        (volume, share, kept, failed),
        range=demand.spread and demand.spread.scaled(wanted * tries.per_wanted),
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
        range=attempts.range and attempts.range.scaled(tries.billed_share),
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


def _pool(
    month: _Month, deployment: Deployment, loads: Sequence[_Load], full: _Full | None
) -> _Pool:
    scenario, hours = month.scenario, month.hours
    numbers = [load.at() for load in loads]
    count = full.slots if full else month.slots(numbers)
    low = full.slots if full else month.slots([load.at("low") for load in loads])
    high = full.slots if full else month.slots([load.at("high") for load in loads])
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
        "slots at which rent and the clips handed over when all are busy cost least (Erlang B, "
        "hour by hour of the week)"
        if full
        else "fewest slots whose p95 wait in the week's busiest hour keeps the promise (M/G/c; "
        "exact M/D/c where all clips are alike) and that carry the batch work of the month",
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
                full.peak_utilisation if full else peak.erlangs / count,
                "",
                "load of the busiest hour that is not handed over / slots"
                if full
                else "offered load of the busiest hour / slots",
                (*work, slots),
            )
            if peak.arrivals_per_s
            else None,
            p95_wait_s=_p95_wait(peak, count, slots, full),
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


def _p95_wait(
    peak: capacity.PeakHour, count: int, slots: Figure, full: _Full | None
) -> Figure | None:
    if full:
        return Figure.derived(
            "longest wait for a slot",
            full.after_wait_s,
            "s",
            "clips that would wait longer are handed over",
            (slots,),
        )
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


def _fix_usd(month: _Month, demand: _Demand, fix: UnitCost, usage: Figure | None) -> Figure:
    """Return what serving a demand by another route adds to its own cost by use."""
    billed: Figure = _volumes(month.scenario, demand, fix, month.wanted)["billed"]
    now = float(usage.value) if usage else 0.0
    return Figure.derived(
        "cost to fix",
        float(billed.value) * float(fix.usd.value) - now,
        "USD/month",
        f"billed attempts × USD per attempt of {fix.route}"
        + (" − what the segment costs by use today" if usage else ""),
        (billed, fix.usd, *([usage] if usage else [])),
    )


def _segment_result(shared: _Month, demand: _Demand, pools: Sequence[_Pool]) -> SegmentResult:
    month = usage = None
    if demand.api_line and demand.billed and demand.unit:
        month = usage = Figure.derived(
            "bill of this segment",
            usd(demand.api_line.micro_usd),
            "USD/month",
            "billed attempts × USD per attempt",
            (demand.billed, demand.unit.usd),
            range=demand.billed.range and demand.billed.range.scaled(float(demand.unit.usd.value)),
        )
    elif demand.unit:
        pool = next((pool for pool in pools if pool.result.route == demand.route), None)
        if pool:
            month = pool.segment_usd[demand.segment.name]
            usage = pool.segment_usage[demand.segment.name]
    violations = demand.short.get(demand.route or "", ()) if demand.unit else ()
    fix = demand.fit[0] if demand.fit and (demand.reason or violations) else None
    return SegmentResult(
        of=demand.of.name,
        segment=demand.segment,
        wanted=demand.wanted,
        route=demand.route,
        model=demand.model,
        reason=demand.reason,
        violations=violations,
        unit=demand.unit,
        attempts=float(demand.attempts.value) if demand.attempts else 0.0,
        accepted=float(demand.accepted.value) if demand.accepted else 0.0,
        usd_per_month=month,
        per_accepted=_per_clip(month, demand.accepted, "allocation basis"),
        usage_per_accepted=_per_clip(usage, demand.accepted, "usage basis"),
        fix=fix,
        fix_usd_per_month=_fix_usd(shared, demand, fix, usage) if fix else None,
        rating=rating(shared.scenario, demand.of, demand.unit) if demand.unit else None,
        options=demand.options,
        short=demand.short,
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
    ranges = [pool.usd_range for pool in pools]
    ranges += [
        figure.range
        for result in served
        if result.unit and result.unit.kind == "api"
        and (figure := result.usd_per_month) and figure.range
    ]  # fmt: skip
    uncertain = math.fsum(float(pool.result.usd_per_month.value) for pool in pools)
    uncertain += math.fsum(
        float(r.usd_per_month.value)
        for r in served
        if r.unit and r.unit.kind == "api" and r.usd_per_month and r.usd_per_month.range
    )
    fixed = float(total) - uncertain
    interval = Range(
        low=fixed + math.fsum(one.low for one in ranges),
        high=fixed + math.fsum(one.high for one in ranges),
    ) if ranges else None  # fmt: skip
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
    if rating := _mean_rating(served):
        summary["mean_rating"] = rating
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


def _mean_rating(served: Sequence[SegmentResult]) -> Figure | None:
    """Return the mean rating of accepted clips; None where a route has no public score."""
    rated = [(result.rating, result.accepted) for result in served if result.rating]
    total = math.fsum(clips for _, clips in rated)
    if len(rated) < len(served) or not total:
        return None

    def mean(pick: Callable[[Figure], float]) -> float:
        return math.fsum(pick(figure) * clips for figure, clips in rated) / total

    return Figure.derived(
        "mean rating of accepted clips",
        mean(lambda f: float(f.value)),
        "points",
        "ratings of the routes' pictures, weighted by accepted clips",
        [figure for figure, _ in rated],
        range=Range(
            low=mean(lambda f: f.range.low if f.range else float(f.value)),
            high=mean(lambda f: f.range.high if f.range else float(f.value)),
        ),
    )


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
    added = result.fix_usd_per_month
    month = f", {_signed(float(added.value))} a month" if added else ""
    return f"; {result.fix.route} could, at ${float(result.fix.usd.value):.3g} an attempt{month}"


def _signed(dollars: float) -> str:
    return f"{'+' if dollars >= 0 else '−'}${abs(dollars):,.0f}"


def _warnings(
    month: _Month,
    mix: traffic.TrafficMix,
    results: Sequence[SegmentResult],
    pools: Sequence[_Pool],
) -> tuple[str, ...]:
    policy, as_of = month.policy, month.scenario.date
    found = [
        f"{result.segment.name} ({result.segment.share:.0%} of clips) is not served by "
        f"{result.route or 'any route'}: {result.reason}{_instead(result)}"
        for result in results
        if result.reason
    ]
    found += [
        f"{result.segment.name} ({result.segment.share:.0%} of clips) goes to {result.route}, "
        f"which falls short: {'; '.join(result.violations)}{_instead(result)}"
        for result in results
        if result.violations
    ]
    found += [
        f"{result.segment.name}: {text} ({result.route})"
        for result in results
        if result.unit
        for text in routing.unsure(result.segment, result.unit.model)
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
