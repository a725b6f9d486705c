"""The plan: the chosen fleet with its bill, its runner-up, and what other promises would cost."""

from __future__ import annotations

import datetime
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import Any, Literal

from costlab import catalog, projection, routing, store, traffic
from costlab.core import (
    MICRO,
    Basis,
    CannotServe,
    Figure,
    LineItem,
    Range,
    plain,
    usd,
)
from costlab.fleet.check import HourSeen, Played, kept_first
from costlab.fleet.search import Candidate, Search, divisions
from costlab.fleet.work import HOURS_PER_WEEK, End, Stream, Wishes, Work, hardware_for, works_of
from costlab.scenarios import Scenario

PROMISES_S = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 3600.0)
_MOST_ERLANGS = 800.0
_DAYS_PER_MONTH = 365.25 / 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Rental:
    """GPUs of one offer in a pool: how many at most, when, and their line of the bill.

    ``gpus_by_hour`` has the 168 hours of a week from Monday; what is paid by use counts as many
    as are in use on average, rounded up. ``line`` is what the month costs, ``gpu_hours`` what is
    in it without cold starts.
    """

    offer: catalog.Offer
    gpus: int
    all_week: bool
    gpus_by_hour: tuple[int, ...]
    starts_per_week: int
    price: Figure
    line: LineItem
    gpu_hours: float

    @property
    def when(self) -> str:
        """All week, by the hour, or by use."""
        if self.offer.purchase == "serverless":
            return "by use"
        return "all week" if self.all_week else "by the hour"

    @property
    def words(self) -> str:
        """Such as "9 × H100-SXM all week (reserved, fal)"."""
        bought = self.offer.purchase.replace("_", " ")
        if self.offer.purchase != "owned":
            bought += f", {self.offer.provider}"
        return f"{self.gpus} × {self.offer.gpu} {self.when} ({bought})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Class:
    """One segment on its pool: clips, seconds of a slot, and how long people wait at the peak."""

    segment: str
    batch: bool
    attempts_per_month: float
    accepted_per_month: float
    slot_s: Figure
    p95_wait_s: Figure | None
    p95_finish_s: Figure | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A fleet that was not chosen: what it is, what it costs a month, and why it lost."""

    words: str
    usd_per_month: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPlan:
    """The GPUs that serve one deployment, or the batch work of one.

    ``busy_by_hour`` is in GPUs, by hour of the week from Monday. ``waits`` gives the share of clips
    that wait longer than so many seconds, for the busiest hour and for the week. ``kept`` says
    whether the simulation kept the promise.
    """

    route: str
    gpu: str
    gpus_per_clip: int
    batch: bool
    rentals: tuple[Rental, ...]
    classes: tuple[Class, ...]
    usd_per_month: Figure
    gpus: Figure
    utilisation: Figure
    p95_wait_s: Figure | None
    busy_by_hour: tuple[float, ...]
    waits: tuple[tuple[float, float, float], ...]
    day: tuple[HourSeen, ...]
    kept: bool
    runner_up: Alternative | None

    @property
    def gpus_by_hour(self) -> tuple[int, ...]:
        """GPUs rented in each hour of the week."""
        return tuple(map(sum, zip(*(r.gpus_by_hour for r in self.rentals), strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """At which volume own GPUs and an API cost the same per accepted clip.

    ``first`` and ``last`` are the crossings in clips wanted a month, None where there is none
    within ``searched``; ``below`` the first and ``above`` the last the named side is cheaper. Both
    are None, with a ``reason``, where the API cannot make the clips.
    """

    api: str
    usd_per_accepted_clip: float | None
    first: float | None
    last: float | None
    below: Literal["fleet", "api"] | None
    above: Literal["fleet", "api"] | None
    searched: tuple[float, float]
    reason: str = ""

    @property
    def words(self) -> str:
        """Say at which volumes own GPUs are cheaper."""
        if self.first is None or self.last is None:
            every = "at every volume tried" if self.above == "fleet" else "at no volume tried"
            return self.reason or every
        first, last = (f"{float(f'{clips:.3g}'):,.0f}" for clips in (self.first, self.last))
        once = self.first == self.last
        return {
            ("api", "fleet"): f"from {first} clips a month on"
            if once
            else f"at times from {first}, always from {last} clips a month on",
            ("fleet", "api"): f"up to {first} clips a month"
            if once
            else f"up to {first}, at times up to {last} clips a month",
            ("api", "api"): f"at times from {first} to {last} clips a month",
            ("fleet", "fleet"): f"up to {first} and from {last} clips a month on",
        }[str(self.below), str(self.above)]


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPlan:
    """The cheapest fleet found. ``bill`` sums to ``usd_per_month`` to the micro-dollar.

    ``curve`` gives USD a month by promised wait; ``cost_by_volume`` clips wanted a month with what
    an accepted clip costs on this kind of fleet; ``own_usd_per_month`` is the same work on the
    scenario's own deployments as projected. ``exhausted_on`` is the day on which growth outgrows
    the GPUs of the busiest hour.
    """

    scenario: Scenario
    wishes: Wishes
    pools: tuple[PoolPlan, ...]
    bill: tuple[LineItem, ...]
    summary: Mapping[str, Figure]
    curve: tuple[tuple[float, float], ...]
    cost_by_volume: tuple[tuple[float, float], ...]
    break_even: tuple[BreakEven, ...]
    exhausted_on: datetime.date | None
    warnings: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def words(self) -> str:
        """The fleet in one clause."""
        parts = [rental.words for pool in self.pools for rental in pool.rentals]
        return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)

    def figures(self) -> dict[str, Figure]:
        """Return every figure by its path: ``summary/…``, ``pool/<route>/…``."""
        found = {f"summary/{name}": figure for name, figure in self.summary.items()}
        for pool in self.pools:
            place = f"pool/{pool.route}{' batch' if pool.batch else ''}"
            for item in fields(PoolPlan):
                value = getattr(pool, item.name)
                if isinstance(value, Figure):
                    found[f"{place}/{item.name}"] = value
            for one in pool.classes:
                for name in ("slot_s", "p95_wait_s", "p95_finish_s"):
                    if figure := getattr(one, name):
                        found[f"{place}/{one.segment}/{name}"] = figure
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the stable JSON shape of ``costlab capacity plan --json`` (docs/json.md)."""
        body: dict[str, Any] = plain(
            {
                "scenario": self.scenario.id,
                "promise_s": self.scenario.p95_wait_s,
                "wishes": self.wishes,
                "fleet": self.words,
                "summary": {name: _brief(figure) for name, figure in self.summary.items()},
                "pools": [_pool_dict(pool) for pool in self.pools],
                "bill": [
                    plain(line) | {"usd": format(usd(line.micro_usd), "f")} for line in self.bill
                ],
                "curve": [{"promise_s": s, "usd_per_month": cost} for s, cost in self.curve],
                "cost_by_volume": [
                    {"clips_per_month": clips, "usd_per_accepted_clip": cost}
                    for clips, cost in self.cost_by_volume
                ],
                "break_even": self.break_even,
                "exhausted_on": self.exhausted_on,
                "warnings": self.warnings,
                "left_out": self.left_out,
            }
        )
        return body


def _brief(figure: Figure | None) -> dict[str, Any] | None:
    if figure is None:
        return None
    return {
        "value": figure.value,
        "unit": figure.unit,
        "basis": figure.basis.value,
        "low": figure.range.low if figure.range else None,
        "high": figure.range.high if figure.range else None,
        "weakest_input": figure.weakest_input.name,
    }


def _pool_dict(pool: PoolPlan) -> dict[str, Any]:
    return {
        "route": pool.route,
        "gpu": pool.gpu,
        "gpus_per_clip": pool.gpus_per_clip,
        "batch": pool.batch,
        "kept": pool.kept,
        **{
            item.name: _brief(getattr(pool, item.name))
            for item in fields(PoolPlan)
            if item.name in ("usd_per_month", "gpus", "utilisation", "p95_wait_s")
        },
        "rentals": [
            {
                "offer": rental.offer.id,
                "purchase": rental.offer.purchase,
                "gpus": rental.gpus,
                "all_week": rental.all_week,
                "gpus_by_hour": rental.gpus_by_hour,
                "starts_per_week": rental.starts_per_week,
                "usd_per_gpu_hour": rental.price.value,
                "usd": format(usd(rental.line.micro_usd), "f"),
            }
            for rental in pool.rentals
        ],
        "classes": [
            {
                "segment": one.segment,
                "batch": one.batch,
                "attempts_per_month": one.attempts_per_month,
                "accepted_per_month": one.accepted_per_month,
                "slot_s": _brief(one.slot_s),
                "p95_wait_s": _brief(one.p95_wait_s),
                "p95_finish_s": _brief(one.p95_finish_s),
            }
            for one in pool.classes
        ],
        "busy_by_hour": pool.busy_by_hour,
        "waits": [
            {"longer_than_s": s, "busiest_hour": peak, "week": week} for s, peak, week in pool.waits
        ],
        "day": pool.day,
        "runner_up": pool.runner_up,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """A verified candidate with what it was searched in, and the next best."""

    search: Search
    candidate: Candidate
    played: Played | None
    runner_up: Candidate | None

    def usd_at(self, factor: float, end: End | None = None) -> float:
        """Return USD a month on the same hardware, bought anew for ``factor`` times the clips."""
        one = self.candidate
        rate = one.interruptions_per_h
        alike = tuple(buy for buy in one.hardware.buys if buy.interruptions_per_h == rate)
        bought = self.search.candidates(
            one.kind, replace(one.hardware, buys=alike), one.work.times(factor), one.places, end
        )
        return min(candidate.usd_per_month for candidate in bought)

    def headroom(self) -> float:
        """Return how many times the clips the busiest hour's GPUs could serve."""
        one = self.candidate
        if one.rent.metered:
            return math.inf
        filled = one.work.batch_utilisation * one.paid_slot_hours / one.need.busy_hours
        if one.kind == "batch":
            return max(1.0, filled)
        peak, slots = one.need.peak, int(one.rent.slots.max())

        def kept(factor: float) -> bool:
            more = replace(peak, arrivals_per_s=peak.arrivals_per_s * factor)
            if more.erlangs >= slots:
                return False
            wait = more.wait(slots)
            return wait is None or wait.tail(one.wait_s) <= 0.05

        low, high = 1.0, max(1.0, slots / peak.erlangs)
        for _ in range(14):
            middle = (low + high) / 2
            low, high = (middle, high) if kept(middle) else (low, middle)
        return low if one.kind == "people" else min(low, max(1.0, filled))


_REMEMBERED: OrderedDict[str, FleetPlan] = OrderedDict()
_MOST_REMEMBERED = 64


def plan(
    scenario: Scenario,
    *,
    mix: traffic.TrafficMix | None = None,
    policy: routing.Policy | None = None,
    wishes: Wishes | None = None,
) -> FleetPlan:
    """Return the cheapest fleet for the clips that the scenario's policy sends to own GPUs.

    The promise is the scenario's: in the week's busiest hour 95 % of people wait at most
    ``p95_wait_s``. Batch clips have none; they are done within the month. Everything is kept by
    content: the same question over the same data is answered once. Raises `CannotServe` where no
    clip goes to own GPUs or no fleet can keep the promise, `BadData` as the projection does.
    """
    mix = mix or traffic.mix(scenario.mix)
    policy = policy or routing.policy(scenario.policy)
    wishes = wishes or Wishes()
    key = repr((scenario, mix, policy, wishes, store.version()))
    if key not in _REMEMBERED:
        _REMEMBERED[key] = _plan(scenario, mix, policy, wishes)
        while len(_REMEMBERED) > _MOST_REMEMBERED:
            _REMEMBERED.popitem(last=False)
    _REMEMBERED.move_to_end(key)
    return _REMEMBERED[key]


def _plan(
    scenario: Scenario, mix: traffic.TrafficMix, policy: routing.Policy, wishes: Wishes
) -> FleetPlan:
    answer = projection.project(scenario, mix=mix, policy=policy)
    works = works_of(answer)
    if not works:
        raise CannotServe(
            f"{scenario.title}: the policy '{policy.title}' sends no clips to own GPUs, so there "
            "is no fleet to plan; take a policy that does, such as all-self-hosted"
        )
    chosen: list[_Chosen] = []
    searches = []
    left_out: list[str] = []
    for work in works:
        hardware, remarks = hardware_for(work, wishes, scenario.date)
        search = Search(
            work=work, hardware=tuple(hardware), wishes=wishes, promise_s=scenario.p95_wait_s
        )
        searches.append(search)
        chosen += _chosen(search)
        slow = {h.gpu for h in hardware} - {
            h.gpu for h in hardware if search.allowed_wait_s(h) >= 0
        }
        if slow and any(not stream.segment.batch for stream in work.streams):
            remarks.append(f"too slow for {work.deployment.model_id}: {', '.join(sorted(slow))}")
        left_out += [remark for remark in remarks if remark not in left_out]
    pools = tuple(_pool_plan(one, answer) for one in chosen)
    bill = tuple(rental.line for pool in pools for rental in pool.rentals)
    wanted = mix.clips_per_month if scenario.clips_per_month is None else scenario.clips_per_month
    volumes = _volumes(chosen)
    cost = [math.fsum(one.usd_at(factor) for one in chosen) for factor in volumes]
    accepted = math.fsum(stream.accepted for work in works for stream in work.streams)
    by_volume = tuple(
        (wanted * factor, dollars / (accepted * factor))
        for factor, dollars in zip(volumes, cost, strict=True)
    )
    headroom = min(one.headroom() for one in chosen)
    exhausted = None
    if wishes.growth_per_month and headroom < math.inf:
        months = math.log(headroom) / math.log1p(wishes.growth_per_month)
        if months < 1200:
            exhausted = scenario.date + datetime.timedelta(days=int(months * _DAYS_PER_MONTH))
    return FleetPlan(
        scenario=scenario,
        wishes=wishes,
        pools=pools,
        bill=bill,
        summary=_summary(answer, chosen, pools, bill, accepted, wanted, headroom),
        curve=_curve(searches, chosen, scenario.p95_wait_s, bill),
        cost_by_volume=by_volume,
        break_even=_break_evens(answer, works, chosen, by_volume, wanted, accepted),
        exhausted_on=exhausted,
        warnings=_warnings(chosen, pools, scenario.date),
        left_out=(
            *left_out,
            "not searched: pools that mix GPU types or spot with steady GPUs, clips sent to an API "
            "when busy" + ("" if "community" in wishes.purchases else ", other people's machines"),
        ),
    )


def _chosen(search: Search) -> list[_Chosen]:
    """Return the cheapest way to divide the work, each part played and with its runner-up."""
    ways = []
    for kinds in divisions(search.work):
        ranked = [search.best(kind) for kind in kinds]
        if all(ranked):
            ways.append((math.fsum(one[0].usd_per_month for one in ranked), ranked))
    if not ways:
        raise CannotServe(
            f"no GPU on sale that day makes the clips of {search.work.deployment.model_id} within "
            "the time asked for: allow more seconds, or more GPUs per clip"
        )
    ways.sort(key=lambda way: way[0])
    found = []
    for part in ways[0][1]:
        candidate, played, rest = kept_first(search, part)
        runner_up = next(
            (one for one in rest if one.usd_per_month >= candidate.usd_per_month), None
        )
        if runner_up is not None and runner_up.kind != "batch":
            runner_up = kept_first(search, [runner_up])[0]
        found.append(
            _Chosen(search=search, candidate=candidate, played=played, runner_up=runner_up)
        )
    return found


def _rentals(candidate: Candidate) -> tuple[Rental, ...]:
    rent, hours = candidate.rent, candidate.work.hours
    weeks = Decimal(hours) / HOURS_PER_WEEK
    found = []
    if rent.base and rent.base_count:
        gpus = rent.base.gpus * rent.base_count
        price = rent.base.offer.figure()
        found.append(
            Rental(
                offer=rent.base.offer,
                gpus=gpus,
                all_week=True,
                gpus_by_hour=(gpus,) * HOURS_PER_WEEK,
                starts_per_week=0,
                price=price,
                gpu_hours=float(gpus * hours),
                line=LineItem.of(
                    f"{gpus} × {rent.base.offer.gpu} all month",
                    Decimal(gpus * hours),
                    "GPU-hour",
                    Decimal(price.value),
                    formula=f"{gpus} GPUs × {hours} h",
                    price_ref=price.ref,
                    sources=(price.source,) if price.source else (),
                ),
            )
        )
    if rent.metered:
        price = rent.metered.offer.figure()
        each = rent.metered.gpus
        by_hour = tuple(each * count for count in rent.peak_counts)
        attempts = math.fsum(load.per_month for load in candidate.need.loads)
        found.append(
            Rental(
                offer=rent.metered.offer,
                gpus=max(by_hour),
                all_week=False,
                gpus_by_hour=by_hour,
                starts_per_week=round(attempts / float(weeks)),
                price=price,
                gpu_hours=candidate.need.busy_hours * each,
                line=LineItem.of(
                    f"{rent.metered.offer.gpu} by use",
                    (Decimal(str(rent.metered_hours)) * each * weeks).quantize(MICRO),
                    "GPU-hour",
                    Decimal(price.value),
                    formula="render time and cold start of every attempt, as the seller bills them",
                    price_ref=price.ref,
                    sources=(price.source,) if price.source else (),
                ),
            )
        )
    if rent.peak and any(rent.peak_counts):
        each = rent.peak.gpus
        counts = rent.peak_counts
        starts = sum(max(0, counts[i] - counts[i - 1]) for i in range(len(counts)))
        price = rent.peak.offer.figure()
        instance_hours = Decimal(sum(counts)) + starts * Decimal(str(rent.peak.cold_hours))
        quantity = (instance_hours * each * weeks).quantize(MICRO)
        found.append(
            Rental(
                offer=rent.peak.offer,
                gpus=each * max(counts),
                all_week=False,
                gpus_by_hour=tuple(each * count for count in counts),
                starts_per_week=starts,
                price=price,
                gpu_hours=float(sum(counts) * each * weeks),
                line=LineItem.of(
                    f"up to {each * max(counts)} × {rent.peak.offer.gpu} by the hour",
                    quantity,
                    "GPU-hour",
                    Decimal(price.value),
                    formula=f"({sum(counts)} instance-hours + {starts} starts a week, each billed "
                    f"{rent.peak.cold_hours * 3600:.0f} s more) × {each} GPUs × {hours}/168 weeks",
                    price_ref=price.ref,
                    sources=(price.source,) if price.source else (),
                ),
            )
        )
    return tuple(found)


_GPUS_FORMULA = {
    "people": "slots that keep the promise in every hour of the week (waiting formula, load "
    "rounded up to a twelfth of the busiest hour's), as whole instances; checked by simulation",
    "batch": "slots that carry the work of the month, as whole instances",
    "both": "slots that keep the promise in the busiest hour and carry the work of the month, as "
    "whole instances; checked by simulation",
    "by use": "billed seconds of the busiest hour / 3600, rounded up",
}


def _pool_plan(one: _Chosen, answer: projection.Projection) -> PoolPlan:
    candidate, played = one.candidate, one.played
    work, hardware = candidate.work, candidate.hardware
    rentals = _rentals(candidate)
    price_parts = [rental.price for rental in rentals]
    slot_figures = [hardware.predictions[i].figure("seconds") for i in candidate.places]
    volumes = [
        Figure.entered(f"attempts of '{s.segment.name}' a month", s.attempts, "attempts/month",
                       ref=f"mix:{answer.mix.id}")
        for s in work.streams
    ]  # fmt: skip
    promise = Figure.entered("promised p95 wait", answer.scenario.p95_wait_s, "s", ref="scenario")
    most = max(map(sum, zip(*(r.gpus_by_hour for r in rentals), strict=True)))
    gpus = Figure.derived(
        "GPUs at most",
        most,
        "GPUs",
        _GPUS_FORMULA["by use" if candidate.rent.metered else candidate.kind],
        (*volumes, *slot_figures, promise),
        basis=Basis.ESTIMATED,
    )
    micro = sum(rental.line.micro_usd for rental in rentals)
    ends = [one.usd_at(1.0, "low"), one.usd_at(1.0, "high"), float(usd(micro))]
    month = Figure.derived(
        "rent of this pool a month",
        usd(micro),
        "USD/month",
        "sum of its rentals' lines; the interval buys anew for all clips quick, or slow",
        (gpus, *price_parts),
        range=Range(low=min(ends), high=max(ends)),
    )
    busy_hours = candidate.need.busy_hours
    paid = candidate.paid_slot_hours
    wait = None
    if played:
        wait = Figure.derived(
            "p95 wait in the busiest hour",
            played.p95_wait.value,
            "s",
            f"simulation of {played.clips:,} clips; interval from 20 parts of the run",
            (gpus,),
            range=played.p95_wait.interval,
            basis=Basis.ESTIMATED,
        )
    busy = tuple(
        value * hardware.per_clip for value in played.busy_by_hour
    ) if played else _level_busy(candidate)  # fmt: skip
    return PoolPlan(
        route=work.deployment.route,
        gpu=hardware.gpu,
        gpus_per_clip=hardware.per_clip,
        batch=candidate.kind == "batch",
        rentals=rentals,
        classes=tuple(
            Class(
                segment=stream.segment.name,
                batch=stream.segment.batch,
                attempts_per_month=stream.attempts,
                accepted_per_month=stream.accepted,
                slot_s=seconds,
                p95_wait_s=None if stream.segment.batch else wait,
                p95_finish_s=_finish(stream, seconds, played, wait),
            )
            for stream, seconds in zip(work.streams, slot_figures, strict=True)
        ),
        usd_per_month=month,
        gpus=gpus,
        utilisation=Figure.derived(
            "share of the rented hours that renders",
            busy_hours / paid,
            "",
            "busy slot-hours / rented slot-hours",
            (*volumes, *slot_figures, gpus),
        ),
        p95_wait_s=wait,
        busy_by_hour=busy,
        waits=played.waits if played else (),
        day=played.day if played else (),
        kept=played is None or played.keeps(candidate.wait_s),
        runner_up=_alternative(one) if one.runner_up else None,
    )


def _finish(
    stream: Stream, seconds: Figure, played: Played | None, wait: Figure | None
) -> Figure | None:
    if stream.segment.batch or played is None or wait is None:
        return None
    return Figure.derived(
        "p95 start to finish in the busiest hour",
        played.finish_s[stream.segment.name],
        "s",
        "simulation: from asking to the finished clip",
        (wait, seconds),
    )


def _level_busy(candidate: Candidate) -> tuple[float, ...]:
    """Return busy GPUs by hour of batch work, which fills its rented hours evenly."""
    share = candidate.need.busy_hours / candidate.paid_slot_hours
    return tuple(float(s) * share * candidate.hardware.per_clip for s in candidate.rent.slots)


def _alternative(one: _Chosen) -> Alternative:
    best, other = one.candidate, one.runner_up
    assert other is not None

    def usage(candidate: Candidate) -> float:
        attempts = math.fsum(stream.attempts for stream in candidate.work.streams)
        rate = candidate.usd_per_month / candidate.paid_slot_hours
        return candidate.need.busy_hours * rate / attempts

    def busy(candidate: Candidate) -> float:
        return candidate.need.busy_hours / candidate.paid_slot_hours

    here, there = usage(best), usage(other)
    more = other.usd_per_month - best.usd_per_month
    if there > here * 1.005:
        why = (
            f"${more:,.0f} a month dearer: a clip's GPU time costs ${there:.3f} there "
            f"against ${here:.3f}"
        )
    else:
        why = (
            f"${more:,.0f} a month dearer: its GPUs render for {busy(other):.0%} of the hours "
            f"paid, against {busy(best):.0%}"
        )
    return Alternative(
        words=" and ".join(rental.words for rental in _rentals(other)),
        usd_per_month=other.usd_per_month,
        why=why,
    )


def _summary(
    answer: projection.Projection,
    chosen: Sequence[_Chosen],
    pools: Sequence[PoolPlan],
    bill: Sequence[LineItem],
    accepted: float,
    wanted: float,
    headroom: float,
) -> dict[str, Figure]:
    months = [pool.usd_per_month for pool in pools]
    ranges = [figure.range for figure in months if figure.range]
    month = Figure.derived(
        "GPU rent a month",
        usd(sum(line.micro_usd for line in bill)),
        "USD/month",
        "sum of the pools (allocation basis)",
        months,
        range=Range(low=math.fsum(r.low for r in ranges), high=math.fsum(r.high for r in ranges)),
    )
    clips = Figure.derived(
        "accepted clips a month from own GPUs",
        accepted,
        "clips/month",
        "sum over the segments on own GPUs, as projected",
        [Figure.entered("clips wanted a month", wanted, "clips/month", ref=f"mix:{answer.mix.id}")],
    )
    busy_usd = math.fsum(
        one.candidate.need.busy_hours
        * one.candidate.hardware.per_clip
        / math.fsum(r.gpu_hours for r in pool.rentals)
        * math.fsum(float(r.price.value) * r.gpu_hours for r in pool.rentals)
        for one, pool in zip(chosen, pools, strict=True)
    )
    cold_usd = math.fsum(
        float(r.price.value) * max(0.0, float(r.line.quantity) - r.gpu_hours)
        for pool in pools
        for r in pool.rentals
    )
    usage = [pool.utilisation for pool in pools] + [r.price for p in pools for r in p.rentals]
    summary = {
        "usd_per_month": month,
        "usd_per_accepted_clip": Figure.derived(
            "cost of an accepted clip, allocation basis",
            float(month.value) / accepted,
            "USD/clip",
            "GPU rent a month / accepted clips of own GPUs",
            (month, clips),
            range=month.range and month.range.scaled(1 / accepted),
        ),
        "usage_usd_per_accepted_clip": Figure.derived(
            "cost of an accepted clip, usage basis",
            busy_usd / accepted,
            "USD/clip",
            "rent of the hours that render (spot restarts included) / accepted clips of own GPUs",
            (*usage, clips),
        ),
        "busy_usd_per_month": Figure.derived(
            "rent of the hours that render a month",
            busy_usd,
            "USD/month",
            "busy GPU-hours × USD per rented GPU-hour",
            usage,
        ),
        "idle_usd_per_month": Figure.derived(
            "rent of idle hours a month",
            max(0.0, float(month.value) - busy_usd - cold_usd),
            "USD/month",
            "GPU rent − rent of the hours that render − cold starts",
            (month, *usage),
        ),
        "cold_start_usd_per_month": Figure.derived(
            "cold starts a month",
            cold_usd,
            "USD/month",
            "starts × billed seconds of a cold start × USD per GPU-hour",
            [
                Figure.entered("cold start", chosen[0].search.wishes.cold_start_s, "s", "entered"),
                *(r.price for p in pools for r in p.rentals),
            ],
            basis=Basis.ESTIMATED,
        ),
    }
    by_hour = [sum(hour) for hour in zip(*(pool.gpus_by_hour for pool in pools), strict=True)]
    summary["gpus"] = Figure.derived(
        "GPUs at most at once", max(by_hour), "GPUs", "highest hour of the week over all pools",
        [pool.gpus for pool in pools],
    )  # fmt: skip
    summary["utilisation"] = Figure.derived(
        "share of the rented GPU-hours that renders",
        math.fsum(one.candidate.need.busy_hours * one.candidate.hardware.per_clip for one in chosen)
        / math.fsum(
            one.candidate.paid_slot_hours * one.candidate.hardware.per_clip for one in chosen
        ),
        "",
        "busy GPU-hours / rented GPU-hours",
        [pool.utilisation for pool in pools],
    )
    waits = [pool.p95_wait_s for pool in pools if pool.p95_wait_s]
    if waits:
        worst = max(waits, key=lambda figure: figure.value)
        summary["p95_wait_s"] = Figure.derived(
            "p95 wait in the busiest hour", worst.value, "s", "the worst pool's", waits,
            range=worst.range,
        )  # fmt: skip
    summary["own_usd_per_month"] = Figure.derived(
        "the scenario's own GPUs a month",
        sum((Decimal(pool.usd_per_month.value) for pool in answer.pools), Decimal(0)),
        "USD/month",
        "as projected: paid around the clock",
        [pool.usd_per_month for pool in answer.pools],
    )
    if headroom < math.inf:
        summary["headroom_clips_per_month"] = Figure.derived(
            "clips a month that the busiest hour's GPUs still serve",
            wanted * headroom,
            "clips/month",
            "largest volume at which no pool needs another slot in its busiest hour",
            [pool.gpus for pool in pools],
        )
    return summary


# ── What else could be: promises and volumes ──────────────────────────────────────────────────


def _curve(
    searches: Sequence[Search],
    chosen: Sequence[_Chosen],
    own_promise_s: float,
    bill: Sequence[LineItem],
) -> tuple[tuple[float, float], ...]:
    """Return USD a month by promise, searched anew by formula; at its own it is the bill."""
    total = float(usd(sum(line.micro_usd for line in bill)))
    if all(one.candidate.kind == "batch" for one in chosen):
        return ()
    points = {own_promise_s: total}
    for promise_s in PROMISES_S:
        if promise_s == own_promise_s:
            continue
        costs = [_cheapest_usd(replace(search, promise_s=promise_s)) for search in searches]
        if math.isfinite(sum(costs)):
            points[promise_s] = math.fsum(costs)
    return tuple(sorted(points.items()))


def _cheapest_usd(search: Search) -> float:
    ways = []
    for kinds in divisions(search.work):
        ranked = [search.best(kind, keep=1) for kind in kinds]
        ways.append(math.fsum(one[0].usd_per_month if one else math.inf for one in ranked))
    return min(ways)


def _volumes(chosen: Sequence[_Chosen]) -> list[float]:
    """Return factors of the volume to look at, up to what the formulas carry."""
    most = max(
        one.candidate.need.busy_hours / one.candidate.work.hours * one.candidate.work.peak_factor
        for one in chosen
    )
    return [2.0**n for n in range(-7, 4) if n <= 0 or most * 2.0**n <= _MOST_ERLANGS]


def _break_evens(
    answer: projection.Projection,
    works: Sequence[Work],
    chosen: Sequence[_Chosen],
    by_volume: Sequence[tuple[float, float]],
    wanted: float,
    accepted: float,
) -> tuple[BreakEven, ...]:
    searched = (by_volume[0][0], by_volume[-1][0])
    found = []
    for api in dict.fromkeys(
        option.route
        for work in works
        for stream in work.streams
        for option in stream.options
        if option.kind == "api"
    ):
        api_usd = _api_usd(api, works, answer.scenario)
        if api_usd is None:
            found.append(
                BreakEven(
                    api=api, usd_per_accepted_clip=None, first=None, last=None,
                    below=None, above=None, searched=searched,
                    reason="it cannot make all of these clips",
                )
            )  # fmt: skip
            continue
        found.append(_crossings(api, api_usd, chosen, by_volume, wanted, accepted))
    return tuple(sorted(found, key=lambda one: (one.usd_per_accepted_clip or math.inf, one.api)))


def _api_usd(api: str, works: Sequence[Work], scenario: Scenario) -> float | None:
    """Return USD per accepted clip if the API made all of it; None where it cannot."""
    dollars = accepted = 0.0
    for work in works:
        for stream in work.streams:
            unit = next((option for option in stream.options if option.route == api), None)
            if unit is None:
                return None
            tries = traffic.attempts(
                failure=scenario.api_failure_share,
                acceptance=stream.segment.acceptance,
                max_tries=stream.segment.max_tries,
                failures_billed=unit.failures_billed,
            )
            clips = stream.accepted
            dollars += clips * tries.per_accepted * tries.billed_share * float(unit.usd.value)
            accepted += clips
    return dollars / accepted


def _crossings(
    api: str,
    api_usd: float,
    chosen: Sequence[_Chosen],
    by_volume: Sequence[tuple[float, float]],
    wanted: float,
    accepted: float,
) -> BreakEven:
    """Search where the fleet's cost per accepted clip crosses the API's: first and last time."""

    def cheaper(clips: float) -> bool:
        factor = clips / wanted
        return math.fsum(one.usd_at(factor) for one in chosen) / (accepted * factor) < api_usd

    def between(low: float, high: float) -> float:
        side = cheaper(low)
        for _ in range(6):
            middle = math.sqrt(low * high)
            low, high = (middle, high) if cheaper(middle) is side else (low, middle)
        return high

    signs = [cost < api_usd for _, cost in by_volume]
    turns = [i for i in range(1, len(signs)) if signs[i] is not signs[i - 1]]
    first = last = None
    if turns:
        first = between(by_volume[turns[0] - 1][0], by_volume[turns[0]][0])
        last = first
        if turns[-1] != turns[0]:
            last = between(by_volume[turns[-1] - 1][0], by_volume[turns[-1]][0])
    return BreakEven(
        api=api,
        usd_per_accepted_clip=api_usd,
        first=first,
        last=last,
        below="fleet" if signs[0] else "api",
        above="fleet" if signs[-1] else "api",
        searched=(by_volume[0][0], by_volume[-1][0]),
    )


def _warnings(
    chosen: Sequence[_Chosen], pools: Sequence[PoolPlan], day: datetime.date
) -> tuple[str, ...]:
    found = []
    for one, pool in zip(chosen, pools, strict=True):
        if not pool.kept:
            found.append(f"{pool.route}: the simulated wait is longer than the promise")
        for rental in pool.rentals:
            offer = rental.offer
            if offer.purchase == "spot":
                found.append(
                    f"{offer.id}: {one.candidate.interruptions_per_h:.2g} interruptions an hour of "
                    "each instance are assumed"
                )
            note = f" ({offer.note})" if offer.note else ""
            if offer.stale(day):
                found.append(
                    f"the price {offer.id} is undated or over {catalog.STALE_AFTER_DAYS} days "
                    f"old{note}"
                )
            elif note and offer.purchase != "owned":
                found.append(f"the price {offer.id} comes with a note: {offer.note}")
        said = [one.candidate.hardware.predictions[i] for i in one.candidate.places]
        notes = {note for prediction in said for note in prediction.notes}
        found += [f"{pool.gpu}: {note}" for note in sorted(notes)]
    return tuple(dict.fromkeys(found))
