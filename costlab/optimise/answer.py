"""The answer: the solved split priced exactly, beside what else could be done and what limits cost.

The programme buys fractions of GPUs at a utilisation that is right at its own loads; the bill buys
whole instances, as many as the wait formula asks for in each hour, and rounds each line once. Both
amounts are shown. Of the splits that are priced, the one with the lowest bill is the answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from costlab import projection, routing, store, traffic
from costlab.core import (
    Basis,
    CannotServe,
    CostlabError,
    Figure,
    LineItem,
    plain,
    usd,
)
from costlab.optimise.ask import Buy, Case, Limits, case
from costlab.optimise.model import HOURS_PER_WEEK, Problem, Solution
from costlab.scenarios import Scenario

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_ROUNDS = 4
"""How often the utilisation is taken anew at the loads that the programme found."""
_QUALITY_STEP = 10.0
_USED = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one route makes of a segment in a month. ``usd`` is what it is billed on an API."""

    segment: str
    route: str
    model: str
    kind: Literal["api", "self_hosted"]
    share: float
    clips: float
    attempts: float
    accepted: float
    rating: float | None
    usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Rental:
    """GPUs of one offer in a pool: at most so many at a time, and their line of the bill."""

    offer: str
    purchase: str
    gpus: int
    gpus_by_hour: tuple[int, ...]
    all_week: bool
    gpu_hours: Decimal
    usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolUse:
    """The GPUs of one route over the 168 hours of a week from Monday, and how busy they are.

    ``slots_by_hour`` are needed for the promise and the batch work; ``rentals`` may hold more.
    ``programme_slots`` are the slot-hours a week that the programme bought, ``slots`` those rented.
    """

    route: str
    rentals: tuple[Rental, ...]
    slots_by_hour: tuple[int, ...]
    interactive_by_hour: tuple[float, ...]
    batch_by_hour: tuple[float, ...]
    utilisation: float
    programme_slots: float
    slots: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Another way to do it: its bill, and for what share of wanted clips. None where it cannot."""

    name: str
    words: str
    usd_per_month: Decimal | None
    served_share: float
    usd_per_accepted_clip: float | None
    mean_rating: float | None
    keeps_limits: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowPrice:
    """What a limit costs at its margin: USD a month for one ``step`` of it, and that in words."""

    limit: str
    step: str
    usd_per_month: float
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParetoPoint:
    """The cheapest split of a mean rating, by the programme; ``split`` by route, of wanted clips.

    ``usd_per_month`` is the programme's: whole GPUs come on top.
    """

    mean_rating: float
    usd_per_month: float
    usd_per_accepted_clip: float
    split: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimised:
    """The cheapest split found. ``bill`` sums to ``usd_per_month`` to the micro-dollar.

    ``programme_usd`` is the solver's objective behind it, ``bound_usd`` what no split can undercut:
    the optimum where slots may be full and GPUs are bought in fractions.
    ``columns``, ``rows`` and ``seconds`` are those of the last programme.
    """

    scenario: Scenario
    limits: Limits
    integer: bool
    usd_per_month: Decimal
    programme_usd: float
    bound_usd: float
    accepted: float
    usd_per_accepted_clip: Figure
    mean_rating: float | None
    parts: tuple[Part, ...]
    pools: tuple[PoolUse, ...]
    bill: tuple[LineItem, ...]
    baselines: tuple[Baseline, ...]
    shadow_prices: tuple[ShadowPrice, ...]
    notes: tuple[str, ...]
    columns: int
    rows: int
    seconds: Mapping[str, float]
    _routes: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)

    @property
    def rounding_usd(self) -> float:
        """What whole GPUs and rounded lines add to the programme's objective."""
        return float(self.usd_per_month) - self.programme_usd

    @property
    def split(self) -> dict[str, float]:
        """Each route's share of wanted clips; sums to one."""
        whole = math.fsum(part.clips for part in self.parts)
        shares: dict[str, float] = {}
        for part in self.parts:
            shares[part.route] = shares.get(part.route, 0.0) + part.clips / whole
        return shares

    @property
    def words(self) -> str:
        """The answer in one sentence."""
        best = sorted(self.split.items(), key=lambda item: -item[1])
        routes = ", ".join(f"{share:.0%} to {route}" for route, share in best[:4])
        if len(best) > 4:
            routes += f" and {math.fsum(share for _, share in best[4:]):.0%} elsewhere"
        return f"Send {routes}"

    def weights(self) -> dict[str, dict[str, float]]:
        """Return each segment's routes and their shares, which sum to one."""
        found: dict[str, dict[str, float]] = {}
        for part in self.parts:
            shares = found.setdefault(part.segment, {})
            route = self._routes.get(part.route, part.route)
            shares[route] = shares.get(route, 0.0) + part.share
        for shares in found.values():
            whole = math.fsum(shares.values())
            for route in shares:
                shares[route] /= whole
        return found

    def policy(self, policy_id: str = "optimised") -> routing.Policy:
        """Return the split as a policy: one rule a segment, on the scenario's own deployments."""
        rules = []
        for segment, shares in self.weights().items():
            one = len(shares) == 1
            rules.append(
                routing.Rule(
                    when={"segment": segment},
                    route=next(iter(shares)) if one else None,
                    split=None if one else shares,
                )
            )
        return routing.Policy(
            id=policy_id,
            title="Optimised split",
            rules=tuple(rules),
            note=f"The cheapest split for {self.scenario.id} on {self.scenario.date}.",
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the stable JSON shape of ``costlab optimise --json`` (docs/json.md)."""
        shape: dict[str, Any] = plain(
            {
                "scenario": self.scenario.id,
                "date": self.scenario.date,
                "limits": self.limits,
                "integer": self.integer,
                "usd_per_month": self.usd_per_month,
                "programme_usd_per_month": self.programme_usd,
                "rounding_usd_per_month": self.rounding_usd,
                "bound_usd_per_month": self.bound_usd,
                "accepted_clips_per_month": self.accepted,
                "usd_per_accepted_clip": float(self.usd_per_accepted_clip.value),
                "basis": self.usd_per_accepted_clip.basis.value,
                "mean_rating": self.mean_rating,
                "split": self.split,
                "segments": self.parts,
                "pools": self.pools,
                "bill": [
                    plain(line) | {"usd": format(usd(line.micro_usd), "f")} for line in self.bill
                ],
                "baselines": self.baselines,
                "shadow_prices": self.shadow_prices,
                "notes": self.notes,
                "programme": {"columns": self.columns, "rows": self.rows, "seconds": self.seconds},
            }
        )
        return shape


def problem(
    scenario: Scenario, mix: traffic.TrafficMix | None = None, *, limits: Limits | None = None
) -> Problem:
    """Return the scenario as plain arrays, each slot as full as the largest load allows.

    Raises `CannotServe` naming segments that nobody can make.
    """
    return case(scenario, mix, limits or Limits()).problem


@store.still()
def optimise(
    scenario: Scenario,
    mix: traffic.TrafficMix | None = None,
    *,
    policy: routing.Policy | None = None,
    limits: Limits | None = None,
    integer: bool = False,
) -> Optimised:
    """Return the split and fleet with the lowest bill found, beside baselines and shadow prices.

    ``policy`` is the baseline in place of the scenario's. With ``integer`` the programme counts
    owned and reserved instances in whole numbers; the bill always does. Raises `CannotServe`
    naming the limits in the way and the nearest values that would do.
    """
    import numpy as np

    from costlab.optimise.programme import solve

    asked = case(scenario, mix, limits or Limits())
    policy = policy or routing.policy(scenario.policy)
    best = _lowest_bill(asked, integer)
    full = np.ones_like(asked.problem.utilisation)
    bound = solve(replace(asked.problem, utilisation=full), integer=integer).bound
    tried: list[tuple[str, _Priced | None, Any]] = []
    for name, keep in _restricted(asked, policy):
        restricted = _attempt(asked, keep, integer)
        tried.append((name, restricted, keep))
        if restricted and restricted.keeps and restricted.micro < best.micro:
            best = restricted
    return _answer(asked, best, bound, integer, policy, tried)


@store.still()
def pareto(
    scenario: Scenario,
    mix: traffic.TrafficMix | None = None,
    *,
    limits: Limits | None = None,
    points: int = 10,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[ParetoPoint, ...]:
    """Return the cheapest splits at evenly spaced mean ratings, lowest first.

    Routes without a public rating are left out. ``progress`` is told (points done, points). Raises
    `CannotServe` where a segment has no rated route.
    """
    from costlab.optimise.programme import frontier

    limits = limits or Limits()
    lowest = -math.inf if limits.min_quality is None else limits.min_quality
    asked = case(scenario, mix, replace(limits, min_quality=lowest))
    asked = replace(asked, problem=replace(asked.problem, min_rating=limits.min_quality))
    found = frontier(asked.problem, points, progress)
    return tuple(
        ParetoPoint(
            mean_rating=one.mean_rating,
            usd_per_month=one.usd_per_month,
            usd_per_accepted_clip=one.usd_per_month / _accepted(asked, one.clips),
            split=_by_route(asked, one.clips),
        )
        for one in found
    )


def _accepted(asked: Case, clips: Floats) -> float:
    return float(asked.problem.accepted @ clips.sum(axis=1)) * asked.problem.weeks


def _by_route(asked: Case, clips: Floats) -> dict[str, float]:
    sums = clips.sum(axis=1)
    shares: dict[str, float] = {}
    for arc, amount in enumerate(sums.tolist()):
        if amount > _USED * sums.sum():
            route = asked.units[arc].route
            shares[route] = shares.get(route, 0.0) + amount / float(sums.sum())
    return shares


# ── Searching ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Priced:
    """A split with its bill; ``arcs`` are the numbers of its clips' rows among the case's arcs."""

    clips: Floats
    solution: Solution
    case: Case
    pools: tuple[PoolUse, ...]
    bill: tuple[LineItem, ...]
    keeps: bool

    @property
    def micro(self) -> int:
        return sum(line.micro_usd for line in self.bill)


def _lowest_bill(asked: Case, integer: bool) -> _Priced:
    """Return the lowest bill found.

    Each round takes the utilisation at the loads found before; then pools are closed one by one
    as long as that lowers the bill, since a slot or two for few clips can cost more than an API.
    """
    import numpy as np

    best = _rounds(asked, integer)
    closed: set[int] = set()
    while True:
        used = np.unique(asked.problem.pool[best.clips.sum(axis=1) > _USED])
        tried = []
        for pool in set(used[used >= 0].tolist()) - closed:
            keep = ~np.isin(asked.problem.pool, [*closed, pool])
            if attempt := _attempt(asked, keep, integer):
                tried.append((attempt.micro, pool, attempt))
        if not tried or min(tried)[0] >= best.micro:
            return best
        _, pool, best = min(tried, key=lambda one: one[:2])
        closed.add(pool)


def _attempt(asked: Case, keep: Any, integer: bool) -> _Priced | None:
    """Return the lowest bill with some of the arcs; None where they cannot do it."""
    import numpy as np

    have = np.isin(np.arange(len(asked.segments)), asked.problem.arc_segment[keep])
    if not have.all():
        return None
    less = replace(
        asked,
        problem=asked.problem.only(keep),
        units=tuple(unit for unit, kept in zip(asked.units, keep, strict=True) if kept),
        tries=tuple(one for one, kept in zip(asked.tries, keep, strict=True) if kept),
    ).at_most()
    try:
        found = _rounds(less, integer)
    except CannotServe:
        return None
    clips = np.zeros((len(keep), HOURS_PER_WEEK))
    clips[keep] = found.clips
    return replace(found, clips=clips, case=asked)


def _rounds(asked: Case, integer: bool) -> _Priced:
    """Return the lowest bill of a few programmes, each at the loads that the last one found."""
    from costlab.optimise.programme import solve

    now, best = asked, None
    for _ in range(_ROUNDS):
        try:
            solution = solve(now.problem, integer=integer)
        except CannotServe:
            if best is None:
                raise
            break
        priced = _price(now, solution)
        if best is None or (priced.keeps, -priced.micro) > (best.keeps, -best.micro):
            best = priced
        settled = now.with_utilisation(solution.clips)
        if abs(settled.problem.utilisation - now.problem.utilisation).max(initial=0.0) < 1e-3:
            break
        now = settled
    if best is None:
        raise CostlabError("the solver found nothing")
    return best


def _price(asked: Case, solution: Solution) -> _Priced:
    """Return the split with its bill: whole instances, each line rounded once."""
    clips, asked_problem = solution.clips, asked.problem
    lines: list[LineItem] = []
    for arc, unit in enumerate(asked.units):
        amount = float(clips[arc].sum()) * asked_problem.weeks
        if unit.kind == "self_hosted" or amount <= _USED:
            continue
        tries = asked.tries[arc]
        lines.append(
            LineItem.of(
                f"{unit.route}: {asked_problem.segments[asked_problem.arc_segment[arc]]}",
                Decimal(f"{amount * tries.per_wanted * tries.billed_share:.6f}"),
                "attempt",
                Decimal(unit.usd.value),
                formula="billed attempts × USD per attempt",
                price_ref=unit.lines[0].price_ref if unit.lines else "",
                sources=unit.lines[0].sources if unit.lines else (),
            )
        )
    pools: list[PoolUse] = []
    room = {kind: asked_problem.most_gpus[n] for n, kind in enumerate(asked_problem.kinds)}
    keeps = True
    for number in range(len(asked.pools)):
        found = _buy(asked, solution, number, room)
        if found is None:
            keeps = False
        elif found[1]:
            pools.append(found[0])
            lines += found[1]
    spent = float(usd(sum(line.micro_usd for line in lines)))
    return _Priced(
        clips=clips,
        solution=solution,
        case=asked,
        pools=tuple(pools),
        bill=tuple(lines),
        keeps=keeps and spent <= asked_problem.budget_usd * (1 + 1e-9),
    )


def _buy(
    asked: Case, solution: Solution, number: int, room: dict[str, float]
) -> tuple[PoolUse, list[LineItem]] | None:
    """Return a pool's whole instances and their lines; None where too few GPUs are allowed.

    A base all week, of any offer and size, and the rest by the hour, whichever pair is cheapest.
    """
    import numpy as np

    pool, problem, clips = asked.pools[number], asked.problem, solution.clips
    erlangs, _, _ = asked.loads(clips, number)
    slots = asked.slots(clips, number)
    on = (problem.pool == number) & ~problem.interactive
    batch = float(problem.slot_hours[on] @ clips[on].sum(axis=1))
    slots, filled = _with_batch(slots, erlangs, batch, problem.batch_utilisation)
    most = int(slots.max(initial=0))
    if not most:
        return PoolUse(route=pool.deployment.route, rentals=(), slots_by_hour=(),
                       interactive_by_hour=(), batch_by_hour=(), utilisation=0.0,
                       programme_slots=0.0, slots=0.0), []  # fmt: skip
    best: tuple[float, list[tuple[Buy, Any]]] | None = None
    for base in (None, *pool.buys):
        for top in (None, *(buy for buy in pool.buys if not buy.all_week)):
            sizes = range(
                0 if base is None else 1, 1 if base is None else -(-most // base.slots) + 1
            )
            for count in sizes if top else [-(-most // base.slots)] if base else []:
                held = count * base.slots if base else 0
                rented = [(base, np.full(HOURS_PER_WEEK, count))] if base else []
                if top:
                    rented.append((top, np.ceil(np.maximum(slots - held, 0) / top.slots)))
                use: dict[str, float] = {}
                for buy, counts in rented:
                    kind = buy.offer.purchase
                    use[kind] = use.get(kind, 0.0) + float(counts.max()) * buy.gpus
                if any(gpus > room[kind] for kind, gpus in use.items()):
                    continue
                cost = math.fsum(
                    float(buy.offer.usd_per_gpu_hour) * buy.gpus * float(counts.sum())
                    for buy, counts in rented
                )
                if best is None or cost < best[0] - _USED:
                    best = cost, rented
    if best is None:
        return None
    lines, rentals = [], []
    for buy, counts in best[1]:
        if not counts.any():
            continue
        gpus = tuple((counts * buy.gpus).astype(int).tolist())
        room[buy.offer.purchase] -= max(gpus)
        hours = Decimal(sum(gpus)) * asked.hours / HOURS_PER_WEEK
        line = LineItem.of(
            f"{pool.deployment.route}: {max(gpus)} GPUs "
            f"{'all month' if buy.all_week or len(set(gpus)) == 1 else 'at most, by the hour'}, "
            f"{buy.offer.purchase.replace('_', ' ')}, {buy.offer.provider}",
            hours.quantize(Decimal("0.000001")),
            "GPU-hour",
            buy.offer.usd_per_gpu_hour,
            formula=f"{sum(gpus)} GPU-hours a week × {asked.hours} h / {HOURS_PER_WEEK} h",
            price_ref=f"offer:{buy.offer.id}",
            sources=(buy.offer.source,),
        )
        lines.append(line)
        rentals.append(
            Rental(
                offer=buy.offer.id,
                purchase=buy.offer.purchase,
                gpus=max(gpus),
                gpus_by_hour=gpus,
                all_week=buy.all_week,
                gpu_hours=line.quantity,
                usd=usd(line.micro_usd),
            )
        )
    paid = sum(sum(rental.gpus_by_hour) for rental in rentals) / pool.deployment.gpus_per_clip
    mine = problem.buy_pool == number
    return PoolUse(
        route=pool.deployment.route,
        rentals=tuple(rentals),
        slots_by_hour=tuple(slots.astype(int).tolist()),
        interactive_by_hour=tuple(erlangs.tolist()),
        batch_by_hour=tuple(filled.tolist()),
        utilisation=float(erlangs.sum() + batch) / paid,
        programme_slots=float(problem.buy_slots[mine] @ solution.bought[mine].sum(axis=1)),
        slots=paid,
    ), lines


def _with_batch(slots: Any, erlangs: Any, batch: float, full: float) -> tuple[Any, Any]:
    """Return slots and batch load by hour: idle slots first, then the lowest hours level up."""
    import numpy as np

    def free(at: Any) -> Any:
        return np.maximum(full * at - erlangs, 0.0)

    if batch <= 0:
        return slots, np.zeros_like(slots)
    level = 0
    while free(np.maximum(slots, level)).sum() < batch:
        level = max(level + 1, math.ceil(level * 1.02))
    while level and free(np.maximum(slots, level - 1)).sum() >= batch:
        level -= 1
    lower = np.maximum(slots, level - 1) if level else slots
    if level:
        raised = np.flatnonzero(slots < level)
        gains = np.cumsum((free(np.maximum(slots, level)) - free(lower))[raised])
        missing = batch - free(lower).sum()
        lower[raised[: int(np.searchsorted(gains, missing)) + 1]] = level
    room = free(lower)
    return lower, room * (batch / room.sum())


# ── Beside it ─────────────────────────────────────────────────────────────────────────────────


def _restricted(asked: Case, policy: routing.Policy) -> Iterable[tuple[str, Any]]:
    """Yield what single models and the given policy would use, as a choice of arcs."""
    import numpy as np

    models = np.array([unit.model for unit in asked.units])
    for model in dict.fromkeys(models.tolist()):
        yield model, models == model
    try:
        answer = projection.project(asked.scenario, mix=asked.mix, policy=policy)
    except CostlabError:
        return
    taken = {(_name_of(result), result.route) for result in answer.segments if not result.reason}
    base = {pool.deployment.route: pool.base.route for pool in asked.pools}
    problem = asked.problem
    yield (
        "policy",
        np.array(
            [
                (problem.segments[segment], base.get(unit.route, unit.route)) in taken
                for segment, unit in zip(problem.arc_segment, asked.units, strict=True)
            ]
        ),
    )


def _name_of(result: projection.SegmentResult) -> str:
    return result.segment.name.split(" → ")[0]


def _answer(
    asked: Case, best: _Priced, bound: float, integer: bool, policy: routing.Policy, tried: Any
) -> Optimised:
    problem, clips = asked.problem, best.clips
    weeks, sums = problem.weeks, clips.sum(axis=1)
    wanted = problem.clips.sum(axis=1)
    api = {line.label: usd(line.micro_usd) for line in best.bill if line.unit == "attempt"}
    parts = []
    for arc, unit in enumerate(asked.units):
        segment = int(problem.arc_segment[arc])
        if sums[arc] <= _USED * wanted[segment]:
            continue
        name = problem.segments[segment]
        amount = float(sums[arc]) * weeks
        rating = float(problem.rating[arc])
        parts.append(
            Part(
                segment=name,
                route=unit.route,
                model=unit.model,
                kind=unit.kind,
                share=float(sums[arc] / wanted[segment]),
                clips=amount,
                attempts=amount * asked.tries[arc].per_wanted,
                accepted=amount * asked.tries[arc].accepted_share,
                rating=None if math.isnan(rating) else rating,
                usd=api.get(f"{unit.route}: {name}", Decimal(0)),
            )
        )
    accepted = math.fsum(part.accepted for part in parts)
    total = usd(best.micro)
    used = {part.route for part in parts}
    return Optimised(
        scenario=asked.scenario,
        limits=asked.limits,
        integer=integer,
        usd_per_month=total,
        programme_usd=best.solution.usd_per_month,
        bound_usd=bound,
        accepted=accepted,
        usd_per_accepted_clip=Figure.derived(
            "cost of an accepted clip, allocation basis",
            float(total) / accepted if accepted else 0.0,
            "USD/clip",
            "bill of the optimised split / accepted clips",
            [unit.usd for unit in asked.units if unit.route in used],
            basis=Basis.ESTIMATED,
        ),
        mean_rating=_mean(parts),
        parts=tuple(parts),
        pools=best.pools,
        bill=best.bill,
        baselines=tuple(_baselines(asked, policy, tried)),
        shadow_prices=tuple(_shadow_prices(asked, best)),
        notes=asked.notes,
        columns=best.solution.columns,
        rows=best.solution.rows,
        seconds=best.solution.seconds,
        _routes={pool.deployment.route: pool.base.route for pool in asked.pools},
    )


def _mean(parts: Iterable[Part]) -> float | None:
    rated = [(part.rating, part.accepted) for part in parts if part.accepted]
    total = 0.0
    for rating, count in rated:
        if rating is None:
            return None
        total += rating * count
    return total / math.fsum(count for _, count in rated) if rated else None


def _baselines(asked: Case, policy: routing.Policy, tried: Any) -> Iterable[Baseline]:
    import numpy as np

    problem = asked.problem
    wanted = problem.clips.sum(axis=1)
    singles = []
    for name, priced, keep in tried:
        have = np.isin(np.arange(len(wanted)), problem.arc_segment[keep])
        share = float(wanted[have].sum() / wanted.sum())
        if name == "policy":
            own = priced, share
            continue
        singles.append((share, name, priced))
    full = [(p.micro, name, p) for share, name, p in singles if p is not None and p.keeps]
    if full:
        _, name, priced = min(full, key=lambda one: one[:2])
        yield _baseline("best single model", f"Everything on {name}", asked, priced)
    elif singles:
        share, name, _ = max(singles, key=lambda one: one[0])
        yield Baseline(
            name="best single model", words=f"No single model can; {name} makes the most",
            usd_per_month=None, served_share=share, usd_per_accepted_clip=None, mean_rating=None,
            keeps_limits=False,
        )  # fmt: skip
    for name, chosen in (("given policy", policy), ("article", routing.policy("article"))):
        if name == "article" and chosen.id == policy.id:
            continue
        yield _projected(name, chosen, asked)
    if any(name == "policy" for name, _, _ in tried) and own[0] is not None:
        yield _baseline(
            "given policy, GPUs as here", f"{policy.title}, its GPUs bought as here", asked, own[0]
        )
    cheapest = np.full(len(problem.segments), np.inf)
    rent = np.array(
        [
            min(float(buy.offer.usd_per_gpu_hour) * buy.gpus / buy.slots for buy in pool.buys)
            for pool in asked.pools
        ]
        + [0.0]
    )
    cost = problem.usd + problem.slot_hours * rent[problem.pool]
    np.minimum.at(cheapest, problem.arc_segment, cost)
    total = float(cheapest @ wanted) * problem.weeks
    order = np.lexsort((cost, problem.arc_segment))
    first = order[np.diff(problem.arc_segment[order], prepend=-1) > 0]
    accepted = float(problem.accepted[first] @ wanted[problem.arc_segment[first]]) * problem.weeks
    yield Baseline(
        name="oracle",
        words="Each clip on its cheapest route, every GPU full, nobody limited: out of reach",
        usd_per_month=Decimal(f"{total:.6f}"),
        served_share=1.0,
        usd_per_accepted_clip=total / accepted if accepted else None,
        mean_rating=None,
        keeps_limits=False,
    )


def _baseline(name: str, words: str, asked: Case, priced: _Priced) -> Baseline:
    problem = asked.problem
    weight = priced.clips.sum(axis=1) * problem.accepted
    used = weight > 0
    mean = float(problem.rating[used] @ weight[used] / weight.sum())
    accepted = _accepted(asked, priced.clips)
    return Baseline(
        name=name,
        words=words,
        usd_per_month=usd(priced.micro),
        served_share=1.0,
        usd_per_accepted_clip=float(usd(priced.micro)) / accepted,
        mean_rating=None if math.isnan(mean) else mean,
        keeps_limits=priced.keeps,
    )


def _projected(name: str, policy: routing.Policy, asked: Case) -> Baseline:
    """Return a policy as projected, on the scenario's own GPUs around the clock."""
    try:
        answer = projection.project(asked.scenario, mix=asked.mix, policy=policy)
    except CostlabError as error:
        return Baseline(
            name=name, words=f"{policy.title}: {error}", usd_per_month=None, served_share=0.0,
            usd_per_accepted_clip=None, mean_rating=None, keeps_limits=False,
        )  # fmt: skip
    per_clip = answer.summary.get("usd_per_accepted_clip")
    rating = answer.summary.get("mean_rating")
    served = float(answer.summary["served_share"].value)
    floor = asked.limits.min_quality
    return Baseline(
        name=name,
        words=f"{policy.title}, its GPUs around the clock",
        usd_per_month=usd(sum(line.micro_usd for line in answer.bill)),
        served_share=served,
        usd_per_accepted_clip=float(per_clip.value) if per_clip else None,
        mean_rating=float(rating.value) if rating else None,
        keeps_limits=served > 1 - 1e-9
        and (floor is None or (rating is not None and float(rating.value) >= floor)),
    )


def _shadow_prices(asked: Case, best: _Priced) -> Iterable[ShadowPrice]:
    """Yield what the limits cost at the split that was chosen, by the programme."""
    from costlab.optimise.programme import solve

    problem, solution = asked.problem, best.solution
    if any(pool.interactive_by_hour and max(pool.interactive_by_hour) for pool in best.pools):
        step = max(1.0, 0.1 * asked.scenario.p95_wait_s)
        patient = replace(
            asked, scenario=replace(asked.scenario, p95_wait_s=asked.scenario.p95_wait_s + step)
        )
        now = solve(asked.with_utilisation(best.clips).problem).usd_per_month
        later = solve(patient.with_utilisation(best.clips).problem).usd_per_month
        saved = max(0.0, (now - later) / step)
        yield ShadowPrice(
            limit="wait",
            step="1 s",
            usd_per_month=saved,
            words=f"One more second of allowed wait saves ${saved:,.2f} a month "
            f"(over the next {step:g} s).",
        )
    if problem.min_rating is not None and solution.mean_rating > problem.min_rating + 1e-6:
        yield ShadowPrice(
            limit="mean rating",
            step="1 point",
            usd_per_month=0.0,
            words=f"The mean rating of {problem.min_rating:g} asks for nothing more: the cheapest "
            f"split has {solution.mean_rating:.0f}.",
        )
    elif problem.min_rating is not None:
        words = f"One more point of the mean rating costs ${solution.rating_usd:,.2f} a month"
        try:
            more = solve(replace(problem, min_rating=problem.min_rating + _QUALITY_STEP))
            now = solve(problem).usd_per_month
            words += f"; {_QUALITY_STEP:g} points ${more.usd_per_month - now:,.2f}."
        except CannotServe:
            words += f"; {_QUALITY_STEP:g} points are out of reach."
        yield ShadowPrice(
            limit="mean rating", step="1 point", usd_per_month=solution.rating_usd, words=words
        )
    for kind, saves, names, unit in (
        ("clips at once", solution.at_once_saves, problem.providers, "concurrent clip at"),
        ("attempts an hour", solution.per_hour_saves, problem.providers, "attempt an hour at"),
        ("spend", solution.spend_saves, problem.providers, "dollar a month at"),
        ("GPUs", solution.gpus_save, problem.kinds, "GPU"),
    ):
        for name, amount in zip(names, saves.tolist(), strict=True):
            if amount > _USED:
                whose = f"{name.replace('_', ' ')} GPU" if kind == "GPUs" else f"{unit} {name}"
                yield ShadowPrice(
                    limit=f"{kind}: {name}",
                    step="1",
                    usd_per_month=amount,
                    words=f"One more {whose} saves ${amount:,.2f} a month.",
                )
