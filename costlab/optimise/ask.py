"""A scenario as a problem: who could make which clips, on GPUs bought how, within which limits."""

from __future__ import annotations

import calendar
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from costlab import capacity, catalog, performance, quality, routing, traffic, unitcost
from costlab.core import CannotServe, InvalidArgument, UnknownName
from costlab.optimise.model import HOURS_PER_WEEK, Problem
from costlab.scenarios import Scenario, api_models, weighed

if TYPE_CHECKING:
    from costlab.optimise.model import Floats

Purchase = Literal["owned", "reserved", "on_demand", "spot"]
PURCHASES: tuple[Purchase, ...] = ("owned", "reserved", "on_demand", "spot")
_MOST_ERLANGS = 800.0
"""Load up to which the formula is asked; beyond, slots grow in proportion, which is safe."""
_LEVELS = 12
"""Steps into which the load of an hour is rounded up, as a share of the busiest hour's."""
_NO_POLICY = routing.Policy(id="optimised", title="Optimised split", kind="cheapest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the split must keep, beside each segment's own floor of quality and latency.

    ``min_quality`` is the mean arena rating of accepted clips; ``max_wait_s`` replaces the
    scenario's promise. Dollars are a month: ``budget_usd`` in all, ``spend_usd`` by provider.
    ``at_once`` replaces the clips under way that a provider's highest tier takes. ``most_gpus``
    bounds GPUs by way to buy; ``interruptions_per_hour`` is of a spot instance.
    """

    min_quality: float | None = None
    max_wait_s: float | None = None
    budget_usd: float | None = None
    spend_usd: Mapping[str, float] = field(default_factory=dict, hash=False)
    at_once: Mapping[str, float] = field(default_factory=dict, hash=False)
    most_gpus: Mapping[str, float] = field(default_factory=dict, hash=False)
    purchases: tuple[Purchase, ...] = PURCHASES
    interruptions_per_hour: float | None = None

    def __post_init__(self) -> None:
        if self.max_wait_s is not None and not 0 < self.max_wait_s < math.inf:
            raise InvalidArgument(f"max_wait_s must be a positive number, got {self.max_wait_s}")
        amounts = {
            "budget_usd": self.budget_usd or 0.0,
            "interruptions_per_hour": self.interruptions_per_hour or 0.0,
            **self.spend_usd,
            **self.at_once,
            **self.most_gpus,
        }
        for name, amount in amounts.items():
            if not 0 <= amount < math.inf:
                raise InvalidArgument(f"{name}: a limit must be 0 or more, got {amount}")
        for purchase in (*self.purchases, *self.most_gpus):
            if purchase not in PURCHASES:
                raise UnknownName.among("purchase", purchase, PURCHASES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Buy:
    """One offer in a pool: an instance of ``gpus`` GPUs and ``slots`` slots."""

    offer: catalog.Offer
    gpus: int
    slots: int

    @property
    def all_week(self) -> bool:
        """Whether it cannot be given back for an hour."""
        return self.offer.purchase in ("owned", "reserved")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """GPUs of one kind for one deployment: ``deployment`` as bought here, ``base`` as named."""

    base: unitcost.Deployment
    deployment: unitcost.Deployment
    buys: tuple[Buy, ...]
    interactive: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """A scenario with its problem; ``units`` and ``tries`` are of each arc."""

    scenario: Scenario
    mix: traffic.TrafficMix
    limits: Limits
    hours: int
    segments: tuple[traffic.Segment, ...]
    units: tuple[unitcost.UnitCost, ...]
    tries: tuple[traffic.Attempts, ...]
    pools: tuple[Pool, ...]
    buys: tuple[Buy, ...]
    problem: Problem
    notes: tuple[str, ...]

    @property
    def volume(self) -> float:
        """Clips wanted a month."""
        return _volume(self.scenario, self.mix)

    def loads(
        self, clips: Floats, pool: int
    ) -> tuple[Floats, tuple[float, ...], tuple[float, ...]]:
        """Return interactive erlangs by hour, lengths in seconds and their shares of attempts."""
        import numpy as np

        problem = self.problem
        on = np.flatnonzero((problem.pool == pool) & problem.interactive)
        erlangs = problem.slot_hours[on] @ clips[on]
        attempts = problem.attempts[on] * clips[on].sum(axis=1)
        by_length: dict[float, float] = {}
        for arc, count in zip(on.tolist(), attempts.tolist(), strict=True):
            slot = self.units[arc].slot_s
            if slot is not None and count > 0:
                seconds = float(slot.value)
                by_length[seconds] = by_length.get(seconds, 0.0) + count
        whole = math.fsum(by_length.values())
        return erlangs, tuple(by_length), tuple(count / whole for count in by_length.values())

    def slots(self, clips: Floats, pool: int) -> Floats:
        """Return the fewest slots that keep the promise in each hour of the week.

        The load of an hour is rounded up to a twelfth of the busiest hour's; the lengths are those
        of the whole week.
        """
        import numpy as np

        erlangs, lengths, shares = self.loads(clips, pool)
        most = float(erlangs.max(initial=0.0))
        needed = np.zeros(HOURS_PER_WEEK)
        if most <= 0:
            return needed
        level = np.ceil(erlangs / most * _LEVELS - 1e-9).astype(int)
        for k in np.unique(level[level > 0]).tolist():
            needed[level == k] = slots_for(
                most * k / _LEVELS, lengths, shares, self.scenario.p95_wait_s
            )
        return needed

    def with_utilisation(self, clips: Floats) -> Case:
        """Return the case with each slot carrying what it may at the loads of these clips.

        Slots per load fall as the load grows, so this asks for enough at any higher load.
        """
        import numpy as np

        utilisation = self.problem.utilisation.copy()
        for pool in range(len(self.pools)):
            erlangs, _, _ = self.loads(clips, pool)
            slots = self.slots(clips, pool)
            busy = (erlangs > 0) & (slots > 0)
            utilisation[pool, busy] = np.minimum(1.0, erlangs[busy] / slots[busy])
        return replace(self, problem=replace(self.problem, utilisation=utilisation))

    def at_most(self) -> Case:
        """Return the case with each slot carrying what it may if a pool took all it can make."""
        import numpy as np

        problem = self.problem
        return self.with_utilisation(np.where(problem.pool[:, None] >= 0, 1.0, 0.0)
                                     * problem.clips[problem.arc_segment])  # fmt: skip


@lru_cache(maxsize=65536)
def slots_for(
    erlangs: float, lengths_s: tuple[float, ...], shares: tuple[float, ...], wait_s: float
) -> int:
    """Return the fewest slots with which 95 % wait at most ``wait_s`` (M/G/c, exact M/D/c)."""
    mean_s = math.fsum(s * w for s, w in zip(lengths_s, shares, strict=True))
    asked = min(erlangs, _MOST_ERLANGS)
    slots = capacity.servers_needed_for_mix(asked / mean_s, lengths_s, shares, wait_s)
    return slots if asked == erlangs else math.ceil(slots * erlangs / asked)


def case(scenario: Scenario, mix: traffic.TrafficMix | None, limits: Limits) -> Case:
    """Return the scenario's problem; raises `CannotServe` for segments that nobody can make."""
    import numpy as np

    if limits.max_wait_s is not None:
        scenario = replace(scenario, p95_wait_s=limits.max_wait_s)
    mix = mix or traffic.mix(scenario.mix)
    hours = 24 * calendar.monthrange(scenario.date.year, scenario.date.month)[1]
    segments = tuple(segment for segment in mix.segments if segment.share > 0)
    pools, notes = _pools(scenario, limits)
    places = [segment.name for segment in segments]
    shape = np.array(mix.hours_of_week) * _volume(scenario, mix) / hours
    arcs: list[_Arc] = []
    nobody: list[str] = []
    providers: dict[str, int] = {}
    unrated: dict[str, list[str]] = {}
    for number, segment in enumerate(segments):
        found, reasons = _arcs(scenario, segment, number, pools, providers)
        if limits.min_quality is not None:
            for arc in found:
                if arc.rating is None:
                    unrated.setdefault(arc.unit.route, []).append(segment.name)
            reasons += [
                f"{arc.unit.model} has no public rating" for arc in found if arc.rating is None
            ]
            found = [arc for arc in found if arc.rating is not None]
        if not found:
            nobody.append(f"{segment.name}: {'; '.join(dict.fromkeys(reasons)) or 'no route'}")
        arcs += found
    if nobody:
        raise CannotServe("nobody can make " + "\nnobody can make ".join(nobody))
    notes += [
        f"{route} is left out for {', '.join(names)}: no public rating"
        for route, names in sorted(unrated.items())
    ]
    sellers = list(providers)
    for name in {*limits.spend_usd, *limits.at_once} - {*sellers}:
        raise UnknownName.among("provider", name, sellers)
    terms = [catalog.adapter(name).terms for name in sellers]
    at_once = [
        float(limits.at_once.get(name, one.at_once[1] if one.at_once else math.inf))
        for name, one in zip(sellers, terms, strict=True)
    ]
    notes += sorted(
        {
            f"no source says how long {arc.unit.model} takes: it is not counted in the clips at "
            f"once at {sellers[arc.provider]}"
            for arc in arcs
            if arc.provider >= 0 and not arc.api_hours and math.isfinite(at_once[arc.provider])
        }
    )
    notes += [
        f"{name} takes {most:g} clips at once, as its highest tier does"
        for name, most in zip(sellers, at_once, strict=True)
        if math.isfinite(most) and name not in limits.at_once
    ]
    buys = [(p, buy) for p, pool in enumerate(pools) for buy in pool.buys]
    problem = Problem(
        segments=tuple(places),
        batch=np.array([segment.batch for segment in segments], bool),
        clips=np.array([segment.share for segment in segments])[:, None] * shape,
        weeks=hours / HOURS_PER_WEEK,
        routes=tuple(dict.fromkeys(arc.unit.route for arc in arcs)),
        arc_segment=np.array([arc.segment for arc in arcs], np.int64),
        arc_route=_numbers([arc.unit.route for arc in arcs]),
        usd=np.array([arc.usd for arc in arcs]),
        attempts=np.array([arc.tries.per_wanted for arc in arcs]),
        accepted=np.array([arc.tries.accepted_share for arc in arcs]),
        rating=np.array([math.nan if arc.rating is None else arc.rating for arc in arcs]),
        slot_hours=np.array([arc.slot_hours for arc in arcs]),
        api_hours=np.array([arc.api_hours for arc in arcs]),
        pool=np.array([arc.pool for arc in arcs], np.int64),
        provider=np.array([arc.provider for arc in arcs], np.int64),
        pools=tuple(pool.deployment.route for pool in pools),
        utilisation=np.full((len(pools), HOURS_PER_WEEK), scenario.batch_utilisation),
        batch_utilisation=scenario.batch_utilisation,
        providers=tuple(sellers),
        at_once=np.array(at_once),
        per_hour=np.array([60.0 * t.per_minute[1] if t.per_minute else math.inf for t in terms]),
        spend_usd=np.array([float(limits.spend_usd.get(name, math.inf)) for name in sellers]),
        buy_pool=np.array([p for p, _ in buys], np.int64),
        buy_kind=np.array([PURCHASES.index(buy.offer.purchase) for _, buy in buys], np.int64),
        buy_usd=np.array([float(buy.offer.usd_per_gpu_hour) * buy.gpus for _, buy in buys]),
        buy_slots=np.array([float(buy.slots) for _, buy in buys]),
        buy_gpus=np.array([float(buy.gpus) for _, buy in buys]),
        buy_all_week=np.array([buy.all_week for _, buy in buys], bool),
        kinds=PURCHASES,
        most_gpus=np.array([float(limits.most_gpus.get(kind, math.inf)) for kind in PURCHASES]),
        min_rating=limits.min_quality,
        budget_usd=math.inf if limits.budget_usd is None else limits.budget_usd,
    )
    return Case(
        scenario=scenario,
        mix=mix,
        limits=limits,
        hours=hours,
        segments=segments,
        units=tuple(arc.unit for arc in arcs),
        tries=tuple(arc.tries for arc in arcs),
        pools=tuple(pools),
        buys=tuple(buy for _, buy in buys),
        problem=problem,
        notes=tuple(notes),
    ).at_most()


def _volume(scenario: Scenario, mix: traffic.TrafficMix) -> float:
    volume = scenario.clips_per_month
    return mix.clips_per_month if volume is None else volume


def _numbers(names: Sequence[str]) -> Any:
    import numpy as np

    order = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([order[name] for name in names], np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arc:
    segment: int
    unit: unitcost.UnitCost
    tries: traffic.Attempts
    rating: float | None
    usd: float = 0.0
    slot_hours: float = 0.0
    api_hours: float = 0.0
    pool: int = -1
    provider: int = -1


def _arcs(
    scenario: Scenario, segment: traffic.Segment, number: int, pools: Sequence[Pool],
    providers: dict[str, int],
) -> tuple[list[_Arc], list[str]]:  # fmt: skip
    """Return the routes that can make a segment's clips as it asks, and why others cannot."""
    request, day = segment.request(), scenario.date
    deployments = [pool.deployment for pool in pools if pool.interactive or segment.batch]
    by_route = {pool.deployment.route: n for n, pool in enumerate(pools)}
    units, refusals = unitcost.every_route(request, deployments, api_models(scenario, ()), day)
    reasons = [f"{refusal.route}: {refusal.reason}" for refusal in refusals]
    found = []
    for unit in units:
        option = weighed(scenario, segment, unit)
        if short := routing.shortfalls(_NO_POLICY, segment, option):
            reasons.append(f"{unit.route}: {short[0]}")
            continue
        own = unit.kind == "self_hosted"
        takes = unit.slot_s if own else quality.latency(unit.model, as_of=day, mode=segment.mode)
        seconds = None if takes is None else float(takes.value)
        pool = by_route[unit.route] if own else -1
        failure = pools[pool].deployment.failure_share if own else scenario.api_lost_share
        tries = traffic.attempts(
            failure=failure,
            acceptance=segment.acceptance,
            max_tries=segment.max_tries,
            failures_billed=unit.failures_billed,
        )
        hours = tries.per_wanted * (seconds or 0.0) / 3600
        billed = tries.per_wanted * tries.billed_share
        seller = -1
        if not own:
            name = catalog.quote(unit.model, request, as_of=day).provider
            seller = providers.setdefault(name, len(providers))
        found.append(
            _Arc(
                segment=number,
                unit=unit,
                tries=tries,
                rating=option.rating,
                usd=0.0 if own else billed * float(unit.usd.value),
                slot_hours=hours if own else 0.0,
                api_hours=0.0 if own else hours,
                pool=pool,
                provider=seller,
            )
        )
    return found, reasons


def _pools(scenario: Scenario, limits: Limits) -> tuple[list[Pool], list[str]]:
    """Return the steady and the spot pool of each deployment, with the cheapest offers of each.

    Spot GPUs take batch work, and people's where the scenario itself deploys on spot.
    """
    day = scenario.date
    found: dict[str, Pool] = {}
    unbounded = 0
    for own in scenario.deployments:
        offered = catalog.offer(own.offer, as_of=day)
        if own.usd_per_gpu_hour is not None:
            offered = catalog.with_rate(offered, own.usd_per_gpu_hour)
        gpu = performance.gpu(own.gpu).id
        sold = [offer for offer in (*catalog.offers(day, gpu=gpu), catalog.owned_offer())
                if offer.gpu == gpu and offer.purchase in limits.purchases
                and offer.gpus_per_instance % own.gpus_per_clip == 0]  # fmt: skip
        best: dict[str, Buy] = {}
        for offer in sorted(sold, key=lambda o: (o.usd_per_gpu_hour, o.gpus_per_instance, o.id)):
            if offer.purchase == "spot" and _rate(own, offer, limits) is None:
                unbounded += 1
                continue
            gpus = offer.gpus_per_instance
            best.setdefault(
                offer.purchase, Buy(offer=offer, gpus=gpus, slots=gpus // own.gpus_per_clip)
            )
        mine = Buy(offer=offered, gpus=own.gpus_per_clip, slots=1)
        named = offered.purchase == "spot"
        for spot in (False, True):
            buys = [buy for buy in best.values() if (buy.offer.purchase == "spot") is spot]
            if named is spot and offered.purchase in limits.purchases:
                buys.append(mine)
            if not buys:
                continue
            first = buys[-1] if named is spot else buys[0]
            shape = replace(own, offer=first.offer.id, usd_per_gpu_hour=None)
            if spot:
                rate = _rate(own, first.offer, limits)
                buys = [buy for buy in buys if _rate(own, buy.offer, limits) == rate]
                shape = replace(shape, interruptions_per_hour=rate)
            if first is mine:
                shape = replace(shape, usd_per_gpu_hour=own.usd_per_gpu_hour)
            found.setdefault(
                shape.route,
                Pool(base=own, deployment=shape, buys=tuple(buys), interactive=not spot or named),
            )
    remarks = []
    if unbounded:
        remarks.append(
            f"{unbounded} spot offers: no source bounds how often they are interrupted; enter a "
            "rate to use them"
        )
    return list(found.values()), remarks


def _rate(own: unitcost.Deployment, offer: catalog.Offer, limits: Limits) -> float | None:
    """Return interruptions an hour of a spot instance; None where nobody knows."""
    if limits.interruptions_per_hour is not None:
        return limits.interruptions_per_hour
    if own.interruptions_per_hour is not None:
        return own.interruptions_per_hour
    known = offer.interruptions_per_hour
    return known[1] if known else None
