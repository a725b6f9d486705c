"""The plan: the chosen fleet with its bill, its runner-up, and what other promises would cost."""

from __future__ import annotations

import datetime
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import Any, Literal

from costlab import capacity, catalog, projection, routing, store, traffic, unitcost
from costlab.core import (
    MICRO,
    Basis,
    CannotServe,
    Figure,
    LineItem,
    Range,
    brief,
    plain,
    usd,
)
from costlab.fleet.check import HourSeen, Played, kept_first
from costlab.fleet.search import (
    Candidate,
    HandOver,
    Search,
    Way,
    busiest_share,
    divisions,
)
from costlab.fleet.work import (
    HOURS_PER_WEEK,
    MOST_HANDED_OVER,
    Buy,
    End,
    Stream,
    Wishes,
    Work,
    hardware_for,
    works_of,
)
from costlab.scenarios import Scenario

PROMISES_S = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 3600.0)
_MOST_ERLANGS = 800.0
_DAYS_PER_MONTH = 365.25 / 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Rental:
    """GPUs of one offer in a pool: how many at most, when, and their line of the bill.

    ``gpus_by_hour`` has the 168 hours of a week from Monday; what is paid by use counts as many
    as are in use on average, rounded up. ``line`` is what the month costs, ``gpu_hours`` what is
    in it without cold starts, and ``busy_gpu_hours`` what renders.
    """

    offer: catalog.Offer
    gpus_per_clip: int
    gpus: int
    all_week: bool
    gpus_by_hour: tuple[int, ...]
    starts_per_week: int
    price: Figure
    line: LineItem
    gpu_hours: float
    busy_gpu_hours: float

    @property
    def when(self) -> str:
        """All week, by the hour, kept warm, or by use."""
        if self.offer.purchase == "serverless":
            return "kept warm" if self.all_week else "by use"
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
class HandedOver:
    """Clips of one segment that go to an API because they would wait too long: their bill line."""

    segment: str
    api: str
    attempts_per_month: float
    line: LineItem


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A fleet that was not chosen: what it is, what it costs a month, and why it lost.

    ``way`` is the kind of fleet: one kind of GPU, mixed kinds, spot beside steady GPUs, serverless,
    or clips handed over. None of a kind comes close where ``words`` is empty.
    """

    way: Way
    words: str
    usd_per_month: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPlan:
    """The GPUs that serve one deployment, or the batch work of one.

    ``gpu`` and ``gpus_per_clip`` are the base's; each rental names its own. ``busy_by_hour`` is in
    GPUs, by hour of the week from Monday. ``waits`` gives the share of clips that wait longer than
    so many seconds, for the busiest hour and for the week. ``handed_over_share`` is of the month's
    clips. ``kept`` says whether the simulation kept the promise. ``others`` are the best fleets of
    the other kinds that were tried.
    """

    route: str
    way: Way
    gpu: str
    gpus_per_clip: int
    batch: bool
    rentals: tuple[Rental, ...]
    handed_over: tuple[HandedOver, ...]
    handed_over_share: Figure | None
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
    others: tuple[Alternative, ...]

    @property
    def words(self) -> str:
        """Its GPUs and what it hands over."""
        return listed([rental.words for rental in self.rentals] + _handed_words(self.handed_over))

    @property
    def lines(self) -> tuple[LineItem, ...]:
        """Its lines of the bill."""
        rents = tuple(rental.line for rental in self.rentals)
        return rents + tuple(part.line for part in self.handed_over)

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
    growth_per_month: float
    exhausted_on: datetime.date | None
    warnings: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def words(self) -> str:
        """The fleet in one clause."""
        return listed(
            [rental.words for pool in self.pools for rental in pool.rentals]
            + _handed_words([one for pool in self.pools for one in pool.handed_over])
        )

    @property
    def utilisation_by_hour(self) -> tuple[float, ...]:
        """The share of the rented GPUs that renders, by hour of the week over all pools.

        0 where none is rented; for serverless, whose GPUs are a mean rounded up, at most 1.
        """
        busy = map(sum, zip(*(pool.busy_by_hour for pool in self.pools), strict=True))
        rented = map(sum, zip(*(pool.gpus_by_hour for pool in self.pools), strict=True))
        return tuple(
            min(1.0, used / gpus) if gpus else 0.0 for used, gpus in zip(busy, rented, strict=True)
        )

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
                "summary": {name: brief(figure) for name, figure in self.summary.items()},
                "pools": [_pool_dict(pool) for pool in self.pools],
                "bill": [
                    plain(line) | {"usd": format(usd(line.micro_usd), "f")} for line in self.bill
                ],
                "utilisation_by_hour": self.utilisation_by_hour,
                "curve": [{"promise_s": s, "usd_per_month": cost} for s, cost in self.curve],
                "cost_by_volume": [
                    {"clips_per_month": clips, "usd_per_accepted_clip": cost}
                    for clips, cost in self.cost_by_volume
                ],
                "break_even": self.break_even,
                "growth_per_month": self.growth_per_month,
                "exhausted_on": self.exhausted_on,
                "warnings": self.warnings,
                "left_out": self.left_out,
            }
        )
        return body


def listed(parts: Sequence[str]) -> str:
    """Return parts as one clause: "a, b and c"."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _handed_words(handed_over: Sequence[HandedOver]) -> list[str]:
    by_api: dict[str, float] = {}
    for one in handed_over:
        by_api[one.api] = by_api.get(one.api, 0.0) + one.attempts_per_month
    return [f"{count:,.0f} clips a month handed to {api}" for api, count in by_api.items()]


def _pool_dict(pool: PoolPlan) -> dict[str, Any]:
    return {
        "route": pool.route,
        "way": pool.way,
        "gpu": pool.gpu,
        "gpus_per_clip": pool.gpus_per_clip,
        "batch": pool.batch,
        "kept": pool.kept,
        **{
            item.name: brief(getattr(pool, item.name))
            for item in fields(PoolPlan)
            if item.name
            in ("usd_per_month", "gpus", "utilisation", "p95_wait_s", "handed_over_share")
        },
        "rentals": [
            {
                "offer": rental.offer.id,
                "purchase": rental.offer.purchase,
                "gpu": rental.offer.gpu,
                "gpus_per_clip": rental.gpus_per_clip,
                "when": rental.when,
                "gpus": rental.gpus,
                "all_week": rental.all_week,
                "gpus_by_hour": rental.gpus_by_hour,
                "starts_per_week": rental.starts_per_week,
                "usd_per_gpu_hour": rental.price.value,
                "usd": format(usd(rental.line.micro_usd), "f"),
            }
            for rental in pool.rentals
        ],
        "handed_over": [
            {
                "segment": one.segment,
                "api": one.api,
                "attempts_per_month": one.attempts_per_month,
                "usd": format(usd(one.line.micro_usd), "f"),
            }
            for one in pool.handed_over
        ],
        "classes": [
            {
                "segment": one.segment,
                "batch": one.batch,
                "attempts_per_month": one.attempts_per_month,
                "accepted_per_month": one.accepted_per_month,
                "slot_s": brief(one.slot_s),
                "p95_wait_s": brief(one.p95_wait_s),
                "p95_finish_s": brief(one.p95_finish_s),
            }
            for one in pool.classes
        ],
        "busy_by_hour": pool.busy_by_hour,
        "waits": [
            {"longer_than_s": s, "busiest_hour": peak, "week": week} for s, peak, week in pool.waits
        ],
        "day": pool.day,
        "runner_up": pool.runner_up,
        "others": pool.others,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """A verified candidate with what it was searched in, the next best, and the best of others."""

    search: Search
    candidate: Candidate
    played: Played | None
    runner_up: tuple[Candidate, Played | None] | None
    others: tuple[Candidate, ...]
    what_if: Candidate | None

    def usd_at(self, factor: float, end: End | None = None) -> float:
        """Return USD a month on the same hardware, bought anew for ``factor`` times the clips."""
        return self.search.again(self.candidate, factor, end)

    def headroom(self) -> float:
        """Return how many times the clips the busiest hour's GPUs could serve."""
        one = self.candidate
        if one.way_out and one.way_out.worker:
            return math.inf
        filled = one.work.batch_utilisation * one.paid_slot_hours / one.need.busy_hours
        if one.kind == "batch":
            return max(1.0, filled)
        slots = int(one.rent.slots.max())
        low, high = 1.0, max(1.0, slots / one.need.peak.erlangs)
        if one.remainder:
            high *= max(1.0, one.need.peak.erlangs / one.remainder[1].peak.erlangs)
        if one.way_out:
            high /= 1 - one.way_out.most
        for _ in range(14):
            middle = (low + high) / 2
            low, high = (middle, high) if self._kept(middle) else (low, middle)
        return low if one.kind == "people" else min(low, max(1.0, filled))

    def _kept(self, factor: float) -> bool:
        """Whether ``factor`` times the clips keep the promise in the busiest hour."""
        one = self.candidate
        slots = int(one.rent.slots.max())
        if one.way_out:
            return busiest_share(one.need, slots, one.way_out, factor) <= one.way_out.most
        peak = _more(one.need.peak, factor)
        if one.remainder:
            part = 1 - one.rent.base_slots / peak.fewest_slots(one.wait_s)
            needed = _more(one.remainder[1].peak, factor).fewest_slots(one.wait_s)
            return part * needed <= int(one.rent.peak_slots.max())
        if peak.erlangs >= slots:
            return False
        wait = peak.wait(slots)
        return wait is None or wait.tail(one.wait_s) <= 0.05


def _more(peak: capacity.PeakHour, factor: float) -> capacity.PeakHour:
    return replace(peak, arrivals_per_s=peak.arrivals_per_s * factor)


_REMEMBERED: OrderedDict[str, tuple[FleetPlan, float]] = OrderedDict()
_MOST_REMEMBERED = 64


@store.still()
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
    level = replace(wishes, growth_per_month=None)
    key = repr((scenario, mix, policy, level, store.version()))
    if key not in _REMEMBERED:
        _REMEMBERED[key] = _plan(scenario, mix, policy, level)
        while len(_REMEMBERED) > _MOST_REMEMBERED:
            _REMEMBERED.popitem(last=False)
    _REMEMBERED.move_to_end(key)
    found, headroom = _REMEMBERED[key]
    growth = wishes.growth_per_month
    if growth is None:
        return found
    return replace(
        found,
        wishes=wishes,
        growth_per_month=growth,
        exhausted_on=_exhausted_on(replace(mix, growth_per_month=growth), scenario.date, headroom),
    )


def _plan(
    scenario: Scenario, mix: traffic.TrafficMix, policy: routing.Policy, wishes: Wishes
) -> tuple[FleetPlan, float]:
    """Return the plan and how many times the clips its GPUs could serve."""
    answer = projection.project(scenario, mix=mix, policy=policy)
    rule = policy.overflow if wishes.hand_over is None else None
    kept = replace(policy, overflow=None)
    works = works_of(
        projection.project(scenario, mix=mix, policy=kept) if policy.overflow else answer
    )
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
        most = wishes.hand_over or (MOST_HANDED_OVER if rule else 0.0)
        hand_over, lacking = hand_over_for(
            work, scenario, most or _WHAT_IF,
            to=catalog.model(rule.to).id if rule else None,
            after_wait_s=rule.after_wait_s if rule else None,
        )  # fmt: skip
        search = Search(
            work=work,
            hardware=tuple(hardware),
            wishes=wishes,
            promise_s=scenario.p95_wait_s,
            hand_over=hand_over if most else None,
        )
        searches.append(search)
        chosen += _chosen(search, None if most else hand_over)
        slow = {h.gpu for h in hardware} - {
            h.gpu for h in hardware if search.allowed_wait_s(h) >= 0
        }
        if slow and any(not stream.segment.batch for stream in work.streams):
            remarks.append(f"too slow for {work.deployment.model_id}: {', '.join(sorted(slow))}")
        if most:
            remarks += lacking
        left_out += [remark for remark in remarks if remark not in left_out]
    pools = tuple(_pool_plan(one, answer) for one in chosen)
    bill = tuple(line for pool in pools for line in pool.lines)
    wanted = mix.clips_per_month if scenario.clips_per_month is None else scenario.clips_per_month
    volumes = _volumes(chosen)
    cost = [math.fsum(one.usd_at(factor) for one in chosen) for factor in volumes]
    accepted = math.fsum(stream.accepted for work in works for stream in work.streams)
    by_volume = tuple(
        (wanted * factor, dollars / (accepted * factor))
        for factor, dollars in zip(volumes, cost, strict=True)
    )
    headroom = min(one.headroom() for one in chosen)
    found = FleetPlan(
        scenario=scenario,
        wishes=wishes,
        pools=pools,
        bill=bill,
        summary=_summary(answer, wishes, pools, bill, accepted, wanted, headroom),
        curve=_curve(searches, chosen, scenario.p95_wait_s, bill),
        cost_by_volume=by_volume,
        break_even=_break_evens(answer, works, chosen, by_volume, wanted, accepted),
        growth_per_month=mix.growth_per_month,
        exhausted_on=_exhausted_on(mix, scenario.date, headroom),
        warnings=_warnings(chosen, pools, scenario.date),
        left_out=(*left_out, *_not_searched(wishes)),
    )
    return found, headroom


def _exhausted_on(
    mix: traffic.TrafficMix, day: datetime.date, headroom: float
) -> datetime.date | None:
    """Return the day on which growth outgrows the headroom, within a hundred years.

    Growth is taken day by day; with seasons the first day of the first month that wants more.
    """
    growth = mix.growth_per_month
    if len(set(mix.seasonality)) > 1:
        for ahead in range(1, 1200 if math.isfinite(headroom) else 0):
            years, month = divmod(day.month - 1 + ahead, 12)
            then = datetime.date(day.year + years, month + 1, 1)
            if mix.volume(1.0, day, then) > headroom:
                return then
        return None
    if growth <= 0 or not math.isfinite(headroom):
        return None
    months = math.log(headroom) / math.log1p(growth)
    if months >= 1200:
        return None
    return day + datetime.timedelta(days=int(months * _DAYS_PER_MONTH))


def _not_searched(wishes: Wishes) -> list[str]:
    found = ["pools of three kinds of GPU, and mixes that also hand clips over"]
    if not wishes.mix:
        found.append("an hourly part of other GPUs than the base")
    if "community" not in wishes.purchases:
        found.append("other people's machines")
    return [f"not searched: {text}" for text in found]


_WHAT_IF = 0.2
"""The share of an hour's clips handed over in the what-if where none is asked for."""


def _chosen(search: Search, what_if: HandOver | None) -> list[_Chosen]:
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
        dearer = [one for one in rest if one.usd_per_month >= candidate.usd_per_month]
        second: tuple[Candidate, Played | None] | None = None
        if dearer:
            second = dearer[0], None
            if dearer[0].kind != "batch":
                second = kept_first(search, dearer)[:2]
        said = {candidate.way} | ({second[0].way} if second else set())
        others = []
        for one in dearer:
            if one.way not in said:
                said.add(one.way)
                others.append(one)
        handing = None
        if what_if and candidate.kind == "people":
            handing = replace(search, hand_over=what_if).best_handed_over(candidate.places)
        found.append(
            _Chosen(
                search=search,
                candidate=candidate,
                played=played,
                runner_up=second,
                others=tuple(others),
                what_if=handing,
            )
        )
    return found


def hand_over_for(
    work: Work, scenario: Scenario, most: float, to: str | None = None,
    after_wait_s: float | None = None,
) -> tuple[HandOver | None, list[str]]:  # fmt: skip
    """Return the cheapest API that gives what each stream's clips ask, or ``to`` if it does.

    Where there is none, a remark says what is missing. An own attempt that is handed over takes as
    many attempts there as deliver as many clips.
    """
    routes: list[unitcost.UnitCost | None] = []
    dollars: list[float] = []
    for stream in work.streams:
        priced, missing = [], []
        for option in stream.options:
            if option.kind != "api" or to not in (None, option.model):
                continue
            if lacks := stream.short[option.route]:
                missing.append(f"{option.route}: {lacks[0]}")
                continue
            own, there = work.deployment.failure_share, scenario.api_lost_share
            billed = 1.0 if option.failures_billed else 1 - there
            each = float(option.usd.value) * (1 - own) / (1 - there) * billed
            priced.append((each, option.route, option))
        if not priced:
            if stream.segment.batch:
                routes.append(None)
                dollars.append(0.0)
                continue
            who = f"{to} does not give" if to else "no API of the scenario gives"
            why = f" ({'; '.join(missing)})" if missing else ""
            return None, [
                f"{who} what '{stream.segment.name}' asks{why}, so nothing is handed over"
            ]
        each, _, option = min(priced, key=lambda one: one[:2])
        routes.append(option)
        dollars.append(each)
    return HandOver(
        routes=tuple(routes), usd=tuple(dollars), after_wait_s=after_wait_s, most=most
    ), []


def _rentals(candidate: Candidate, played: Played | None) -> tuple[Rental, ...]:
    """Return the rentals of a fleet, the base first; busy hours fill alike ones evenly."""
    rent, hours, out = candidate.rent, candidate.work.hours, candidate.way_out
    weeks = Decimal(hours) / HOURS_PER_WEEK
    kept = 1 - candidate.handed_over_share
    busy = candidate.need.busy_hours * candidate.hardware.per_clip
    base_hours = float(rent.base_count * rent.base.gpus * hours) if rent.base else 0.0
    peak_hours = float(sum(rent.peak_counts) * rent.peak.gpus * weeks) if rent.peak else 0.0
    base_busy = peak_busy = 0.0
    if candidate.remainder:
        other, need = candidate.remainder
        part = played.remainder_share if played else 0.0
        base_busy, peak_busy = busy * (1 - part), need.busy_hours * other.per_clip * part
    elif base_hours + peak_hours:
        base_busy = busy * kept * base_hours / (base_hours + peak_hours)
        peak_busy = busy * kept * peak_hours / (base_hours + peak_hours)
    found = []
    if rent.base and rent.base_count:
        gpus = rent.base.gpus * rent.base_count
        found.append(
            _rental(
                rent.base, candidate.hardware.per_clip, (gpus,) * HOURS_PER_WEEK,
                all_week=True, starts=0, gpu_hours=base_hours, busy=base_busy,
                title=f"{gpus} × {rent.base.offer.gpu} all month",
                quantity=Decimal(gpus * hours),
                formula=f"{gpus} GPUs × {hours} h",
            )
        )  # fmt: skip
    if rent.peak and any(rent.peak_counts):
        each, counts = rent.peak.gpus, rent.peak_counts
        starts = sum(max(0, counts[i] - counts[i - 1]) for i in range(len(counts)))
        instance_hours = Decimal(sum(counts)) + starts * Decimal(str(rent.peak.cold_hours))
        hardware = candidate.remainder[0] if candidate.remainder else candidate.hardware
        found.append(
            _rental(
                rent.peak, hardware.per_clip, tuple(each * count for count in counts),
                all_week=False, starts=starts, gpu_hours=peak_hours, busy=peak_busy,
                title=f"up to {each * max(counts)} × {rent.peak.offer.gpu} by the hour",
                quantity=(instance_hours * each * weeks).quantize(MICRO),
                formula=f"({sum(counts)} instance-hours + {starts} starts a week, each billed "
                f"{rent.peak.cold_hours * 3600:.0f} s more) × {each} GPUs × {hours}/168 weeks",
            )
        )  # fmt: skip
    if out and out.worker:
        each = out.worker.gpus
        shares = candidate.work.shares
        lost = [part * share for part, share in zip(rent.handed_over, shares, strict=True)]
        per_hour = candidate.by_use_hours / float(weeks) / math.fsum(lost)
        found.append(
            _rental(
                out.worker, candidate.hardware.per_clip,
                tuple(each * math.ceil(part * per_hour) for part in lost),
                all_week=False,
                starts=round(candidate.need.attempts * (1 - kept) / float(weeks)),
                gpu_hours=busy * (1 - kept), busy=busy * (1 - kept),
                title=f"{out.worker.offer.gpu} by use",
                quantity=(Decimal(str(candidate.by_use_hours)) * each).quantize(MICRO),
                formula="render time and cold start of every attempt that finds no worker ready "
                "(Erlang's loss formula by the hour), as the seller bills them",
            )
        )  # fmt: skip
    return tuple(found)


def _rental(
    buy: Buy, per_clip: int, by_hour: tuple[int, ...], *, all_week: bool, starts: int,
    gpu_hours: float, busy: float, title: str, quantity: Decimal, formula: str,
) -> Rental:  # fmt: skip
    price = buy.offer.figure()
    return Rental(
        offer=buy.offer,
        gpus_per_clip=per_clip,
        gpus=max(by_hour),
        all_week=all_week,
        gpus_by_hour=by_hour,
        starts_per_week=starts,
        price=price,
        gpu_hours=gpu_hours,
        busy_gpu_hours=busy,
        line=LineItem.of(
            title,
            quantity,
            "GPU-hour",
            Decimal(price.value),
            formula=formula,
            price_ref=price.ref,
            sources=(price.source,) if price.source else (),
        ),
    )


def _handed(candidate: Candidate) -> tuple[HandedOver, ...]:
    """Return the bill lines of what is handed to APIs."""
    out, share = candidate.way_out, candidate.handed_over_share
    if out is None or not out.routes:
        return ()
    found = []
    for stream, unit, dollars in zip(candidate.work.streams, out.routes, out.usd, strict=True):
        billed = stream.attempts * share * dollars / float(unit.usd.value)
        found.append(
            HandedOver(
                segment=stream.segment.name,
                api=unit.route,
                attempts_per_month=stream.attempts * share,
                line=LineItem.of(
                    f"{unit.route}: {stream.segment.name}, when own GPUs are busy",
                    Decimal(f"{billed:.6f}"),
                    "attempt",
                    Decimal(unit.usd.value),
                    formula=f"attempts × {share:.2%} handed over, as billed attempts there × USD "
                    "per attempt",
                    price_ref=unit.lines[0].price_ref if unit.lines else "",
                    sources=unit.lines[0].sources if unit.lines else (),
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
    "mixed": "a base, and in each hour the part that it leaves of the slots which the other kind "
    "would need alone, as whole instances; checked by simulation",
    "handed over": "in each hour the slots whose rent is less than what they keep from being "
    "handed over, as whole instances; checked by simulation",
    "serverless": "workers kept warm where that is cheaper than starting one for each clip, and "
    "billed seconds of the busiest hour / 3600, rounded up; checked by simulation",
}


def _pool_plan(one: _Chosen, answer: projection.Projection) -> PoolPlan:
    candidate, played = one.candidate, one.played
    work, hardware = candidate.work, candidate.hardware
    rentals, handed = _rentals(candidate, played), _handed(candidate)
    price_parts = [rental.price for rental in rentals]
    slot_figures = [hardware.predictions[i].figure("seconds") for i in candidate.places]
    volumes = [
        Figure.entered(f"attempts of '{s.segment.name}' a month", s.attempts, "attempts/month",
                       ref=f"mix:{answer.mix.id}")
        for s in work.streams
    ]  # fmt: skip
    promise = Figure.entered("promised p95 wait", answer.scenario.p95_wait_s, "s", ref="scenario")
    way = {"spot beside": "mixed", "one kind": candidate.kind}.get(candidate.way, candidate.way)
    gpus = Figure.derived(
        "GPUs at most",
        max(map(sum, zip(*(r.gpus_by_hour for r in rentals), strict=True))),
        "GPUs",
        _GPUS_FORMULA[way],
        (*volumes, *slot_figures, promise),
        basis=Basis.ESTIMATED,
    )
    share = _share_figure(one, volumes, gpus) if handed else None
    micro = sum(rental.line.micro_usd for rental in rentals)
    micro += sum(part.line.micro_usd for part in handed)
    ends = [one.usd_at(1.0, "low"), one.usd_at(1.0, "high"), float(usd(micro))]
    units = candidate.way_out.routes if candidate.way_out else ()
    month = Figure.derived(
        "cost of this pool a month",
        usd(micro),
        "USD/month",
        "sum of its rentals' lines" + (" and of what is handed over" if handed else "")
        + "; the interval buys anew for all clips quick, or slow",
        (gpus, *price_parts, *([share] if share else []), *(unit.usd for unit in units)),
        range=Range(low=min(ends), high=max(ends)),
    )  # fmt: skip
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
    return PoolPlan(
        route=work.deployment.route,
        way=candidate.way,
        gpu=hardware.gpu,
        gpus_per_clip=hardware.per_clip,
        batch=candidate.kind == "batch",
        rentals=rentals,
        handed_over=handed,
        handed_over_share=share,
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
            math.fsum(r.busy_gpu_hours for r in rentals) / math.fsum(map(_paid_hours, rentals)),
            "",
            "busy GPU-hours / rented GPU-hours",
            (*volumes, *slot_figures, gpus),
        ),
        p95_wait_s=wait,
        busy_by_hour=_busy_by_hour(candidate, played),
        waits=played.waits if played else (),
        day=played.day if played else (),
        kept=played is None or played.keeps(candidate.wait_s),
        runner_up=_alternative(one, *one.runner_up) if one.runner_up else None,
        others=tuple(_alternative(one, other, None) for other in one.others)
        + ((_what_if(one, one.what_if),) if one.what_if else ()),
    )


def _paid_hours(rental: Rental) -> float:
    """Return the GPU-hours rented; cold starts are in those that are paid by use."""
    return float(rental.line.quantity) if rental.when == "by use" else rental.gpu_hours


def _share_figure(one: _Chosen, volumes: Sequence[Figure], gpus: Figure) -> Figure:
    candidate, played = one.candidate, one.played
    assert played is not None
    assert candidate.way_out is not None
    rush = played.rush_handed_over
    said = candidate.rent.handed_over[candidate.work.shares.index(max(candidate.work.shares))]
    at_once = not candidate.way_out.after_wait_s
    return Figure.derived(
        "share of clips handed over",
        candidate.handed_over_share,
        "",
        ("Erlang's loss formula by the hour" if at_once else
         "clips that would wait longer than promised, by the hour (M/M/c with places to wait, "
         "adjusted to the spread of render times)")
        + f"; simulated week: {played.handed_over:.2%}; busiest hour: {said:.2%} by formula, "
        f"{rush.value:.2%} ({rush.interval.low:.2%} to {rush.interval.high:.2%}) simulated",
        (*volumes, gpus),
        range=Range(
            low=min(candidate.handed_over_share, played.handed_over),
            high=max(candidate.handed_over_share, played.handed_over),
        ),
        basis=Basis.ESTIMATED,
    )  # fmt: skip


def _busy_by_hour(candidate: Candidate, played: Played | None) -> tuple[float, ...]:
    """Return busy GPUs by hour of the week: as played, or level for batch work."""
    each = candidate.hardware.per_clip
    if played is None:
        share = candidate.need.busy_hours / candidate.paid_slot_hours
        return tuple(float(slots) * share * each for slots in candidate.rent.slots)
    there = candidate.remainder[0].per_clip if candidate.remainder else each
    return tuple(
        base * each + hourly * there
        for base, hourly in zip(played.busy_by_hour, played.remainder_busy_by_hour, strict=True)
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


def _usage(candidate: Candidate, played: Played | None) -> tuple[float, float]:
    """Return USD a month of the hours that render, and the share of rented hours that they are."""
    rentals = _rentals(candidate, played)
    busy = math.fsum(rental.busy_gpu_hours for rental in rentals)
    dollars = math.fsum(rental.busy_gpu_hours * float(rental.price.value) for rental in rentals)
    return dollars, busy / math.fsum(map(_paid_hours, rentals))


def _alternative(one: _Chosen, other: Candidate, played: Played | None) -> Alternative:
    """Return why another fleet lost: the part of its bill that is most above the chosen one's.

    One that was not played is by formula, and says so.
    """
    best = one.candidate
    more = other.usd_per_month - best.usd_per_month
    (used, busy), (used_there, busy_there) = _usage(best, one.played), _usage(other, played)

    def apis(candidate: Candidate) -> float:
        return candidate.handed_over_usd if candidate.way == "handed over" else 0.0

    attempts = best.need.attempts
    idle = best.usd_per_month - used - apis(best)
    idle_there = other.usd_per_month - used_there - apis(other)
    parts = {
        f"the GPU time of a clip costs ${used_there / attempts:.3f} there against "
        f"${used / attempts:.3f}": used_there - used,
        f"its GPUs render for {busy_there:.0%} of the hours paid, against {busy:.0%}": idle_there
        - idle,
        f"clips handed over cost ${apis(other):,.0f} a month there against ${apis(best):,.0f}":
        apis(other) - apis(best),
    }  # fmt: skip
    reason = max(parts, key=lambda text: parts[text])
    by_formula = other.kind != "batch" and played is None
    if by_formula and other.remainder:
        reason = "what its hourly part would make is not known without a simulation"
    why = f"${more:,.0f} a month dearer{', by formula' if by_formula else ''}: {reason}"
    return Alternative(
        way=other.way,
        words=_words(other, played),
        usd_per_month=other.usd_per_month,
        why=why,
    )


def _words(candidate: Candidate, played: Played | None) -> str:
    return listed(
        [rental.words for rental in _rentals(candidate, played)] + _handed_words(_handed(candidate))
    )


def _what_if(one: _Chosen, other: Candidate) -> Alternative:
    less = one.candidate.usd_per_month - other.usd_per_month
    share = other.handed_over_share
    most = other.way_out.most if other.way_out else 0.0
    return Alternative(
        way=other.way,
        words=_words(other, None),
        usd_per_month=other.usd_per_month,
        why=f"${abs(less):,.0f} a month {'cheaper' if less > 0 else 'dearer'}, by formula, with "
        f"{share:.1%} of the clips handed over; not asked for (what if up to {most:.0%} of any "
        "hour's clips may go to an API)",
    )


def _summary(
    answer: projection.Projection,
    wishes: Wishes,
    pools: Sequence[PoolPlan],
    bill: Sequence[LineItem],
    accepted: float,
    wanted: float,
    headroom: float,
) -> dict[str, Figure]:
    months = [pool.usd_per_month for pool in pools]
    handed = [part for pool in pools for part in pool.handed_over]
    ranges = [figure.range for figure in months if figure.range]
    month = Figure.derived(
        "cost of the fleet a month",
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
    rentals = [rental for pool in pools for rental in pool.rentals]
    busy_usd = math.fsum(r.busy_gpu_hours * float(r.price.value) for r in rentals)
    handed_usd = float(usd(sum(part.line.micro_usd for part in handed)))
    cold_usd = math.fsum(
        float(r.price.value) * max(0.0, float(r.line.quantity) - r.gpu_hours) for r in rentals
    )
    usage = [pool.utilisation for pool in pools] + [rental.price for rental in rentals]
    summary = {
        "usd_per_month": month,
        "usd_per_accepted_clip": Figure.derived(
            "cost of an accepted clip, allocation basis",
            float(month.value) / accepted,
            "USD/clip",
            "cost of the fleet a month / accepted clips",
            (month, clips),
            range=month.range and month.range.scaled(1 / accepted),
        ),
        "usage_usd_per_accepted_clip": Figure.derived(
            "cost of an accepted clip, usage basis",
            (busy_usd + handed_usd) / accepted,
            "USD/clip",
            "(rent of the hours that render, spot restarts included, + what is handed over) / "
            "accepted clips",
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
            max(0.0, float(month.value) - busy_usd - cold_usd - handed_usd),
            "USD/month",
            "cost of the fleet − rent of the hours that render − cold starts − what is handed over",
            (month, *usage),
        ),
        "cold_start_usd_per_month": Figure.derived(
            "cold starts a month",
            cold_usd,
            "USD/month",
            "starts × billed seconds of a cold start × USD per GPU-hour",
            [
                Figure.entered("cold start", wishes.cold_start_s, "s", "entered"),
                *(r.price for r in rentals),
            ],
            basis=Basis.ESTIMATED,
        ),
    }
    if handed:
        summary["handed_over_usd_per_month"] = Figure.derived(
            "clips handed to APIs a month",
            handed_usd,
            "USD/month",
            "sum of the lines of what is handed over",
            [pool.handed_over_share for pool in pools if pool.handed_over_share],
        )
    by_hour = [sum(hour) for hour in zip(*(pool.gpus_by_hour for pool in pools), strict=True)]
    summary["gpus"] = Figure.derived(
        "GPUs at most at once", max(by_hour), "GPUs", "highest hour of the week over all pools",
        [pool.gpus for pool in pools],
    )  # fmt: skip
    summary["utilisation"] = Figure.derived(
        "share of the rented GPU-hours that renders",
        math.fsum(r.busy_gpu_hours for r in rentals) / math.fsum(map(_paid_hours, rentals)),
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
                failure=scenario.api_lost_share,
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

    def more(clips: float) -> float:
        factor = clips / wanted
        cost = math.fsum(one.usd_at(factor) for one in chosen) / (accepted * factor)
        return math.log(cost / api_usd)

    def between(place: int) -> float:
        (low, low_usd), (high, high_usd) = by_volume[place - 1], by_volume[place]
        below, above = math.log(low_usd / api_usd), math.log(high_usd / api_usd)
        nudge = 0.003
        for _ in range(8):
            if high <= low * 1.01:
                break
            part = min(0.95, max(0.05, below / (below - above))) if below != above else 0.5
            middle = low * (high / low) ** part * (1 + nudge)
            middle = min(max(middle, low * 1.002), high / 1.002)
            found = more(middle)
            if (found < 0) is (below < 0):
                low, below, nudge = middle, found, 0.003
            else:
                high, above, nudge = middle, found, -0.003
        return high

    signs = [cost < api_usd for _, cost in by_volume]
    turns = [i for i in range(1, len(signs)) if signs[i] is not signs[i - 1]]
    first = last = None
    if turns:
        first = last = between(turns[0])
        if turns[-1] != turns[0]:
            last = between(turns[-1])
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
                need = one.candidate.remainder[1] if one.candidate.remainder else one.candidate.need
                found.append(
                    f"{offer.id}: {need.interruptions_per_h:.2g} interruptions an hour of "
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
        kinds = [one.candidate.hardware]
        kinds += [one.candidate.remainder[0]] if one.candidate.remainder else []
        for hardware in kinds:
            said = [hardware.predictions[i] for i in one.candidate.places]
            notes = {note for prediction in said for note in prediction.notes}
            found += [f"{hardware.gpu}: {note}" for note in sorted(notes)]
        if pool.handed_over:
            found.append(
                f"{pool.route}: how long APIs take, and how many calls they take at once, is not "
                "in the waits"
            )
        if pool.way == "serverless" and any(r.when == "kept warm" for r in pool.rentals):
            found.append(f"{pool.route}: a worker kept warm is taken at the price of a busy one")
    return tuple(dict.fromkeys(found))
