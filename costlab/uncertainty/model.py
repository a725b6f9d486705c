"""The projection of up to three years compiled to arrays: what a draw needs, and nothing else.

    months ─▶ epochs ─▶ parts (a segment on a route) ─▶ the dear-to-compute is done once per part
                    └▶ pools (a deployment's GPUs)   ─▶ the slots tabled (`slots`)

Routes are those that the policy takes at the centre, month by month, and are held in every draw.
The same clips on APIs alone are the other side: each segment on the API that is cheapest for it in
that draw, among those that give what it asks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from costlab import catalog, performance, quality, routing, store, traffic
from costlab.core import Basis, InvalidArgument, UnknownName, usd
from costlab.finance import MOST_MONTHS, Terms
from costlab.finance.epochs import Epoch, cut
from costlab.projection import SegmentResult
from costlab.scenarios import Scenario
from costlab.uncertainty import slots
from costlab.uncertainty.inputs import Input, default
from costlab.unitcost import Deployment, UnitCost, hourly_price

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
CERTAIN, VOLUME, GROWTH, PEAK, FULL, API_FAILURE = range(6)
"""Places of the values that every model has; `CERTAIN` always holds 1."""


class Arrays(NamedTuple):
    """What the compiled loop reads; see `compile` for how each comes about.

    Parts: own or not, places of acceptance, failure, price, seconds and interruptions in the value
    vector, tries (0: until accepted), whether failures are billed, USD an attempt, render seconds,
    exponents that turn the GPU's seconds factor into the part's, interruptions an hour, batch.
    Options: the APIs that could make a part. Epochs: month, share of it, hours of it, months on,
    with their uses (part, clips wanted, pool of the epoch) and their pools (GPUs a slot, USD an
    hour, place of the price, table, peak factor).
    """

    own: Ints
    kept_at: Ints
    failed_at: Ints
    price_at: Ints
    seconds_at: Ints
    theta_at: Ints
    tries: Ints
    billed: Floats
    usd: Floats
    render_s: Floats
    shorter: Floats
    longer: Floats
    theta: Floats
    batch: Ints
    option_from: Ints
    option_usd: Floats
    option_at: Ints
    option_billed: Floats
    month: Ints
    share: Floats
    hours: Floats
    on: Ints
    use_from: Ints
    use_part: Ints
    use_wanted: Floats
    use_pool: Ints
    pool_from: Ints
    pool_gpus: Floats
    pool_usd: Floats
    pool_at: Ints
    pool_table: Ints
    pool_mean_s: Floats


@dataclass(frozen=True, eq=False, kw_only=True)
class Model:
    """A scenario over months, ready to draw from.

    ``values`` is the centre, ``inputs`` what is uncertain about it. ``stand_in`` says where the
    policy uses no own GPUs and what is drawn in its place; ``no_api`` names the served segments
    that no API can make, without which there is nothing to compare with.
    """

    scenario: Scenario
    mix: traffic.TrafficMix
    policy: routing.Policy
    months: int
    epochs: tuple[Epoch, ...]
    inputs: tuple[Input, ...]
    values: Floats
    arrays: Arrays
    mixtures: tuple[tuple[tuple[float, ...], tuple[float, ...], int, tuple[int, ...]], ...]
    stand_in: str
    no_api: tuple[str, ...]
    warnings: tuple[str, ...]
    _tables: dict[float, tuple[Floats, Floats]] = field(default_factory=dict, repr=False)

    @property
    def peak_factor(self) -> float:
        """The busiest hour of the week over the mean one, at the centre."""
        return self.mix.peak_factor

    @property
    def has_pools(self) -> bool:
        """Whether it uses own GPUs at all."""
        return bool(len(self.arrays.pool_gpus))

    @cached_property
    def uncertain(self) -> tuple[Input, ...]:
        """The inputs that leave something to draw."""
        return tuple(item for item in self.inputs if not item.certain)

    def input(self, name: str) -> Input:
        """Return one input by its id; raises `UnknownName`."""
        known = {item.id: item for item in self.inputs}
        if name not in known:
            raise UnknownName.among("input", name, known)
        return known[name]

    def with_ranges(self, ranges: Mapping[str, tuple[float, float]]) -> Model:
        """Return the model with other ranges, entered; raises `UnknownName`, `InvalidArgument`."""
        for name in ranges:
            self.input(name)
        entered = tuple(
            item.with_range(*ranges[item.id]) if item.id in ranges else item for item in self.inputs
        )
        return replace(self, inputs=entered, _tables=self._tables)

    def certain(self) -> Model:
        """Return the model with every range closed on its centre."""
        return self.with_ranges({item.id: (item.centre, item.centre) for item in self.inputs})

    def tables(self, reach: float) -> tuple[Floats, Floats]:
        """Return (stretch nodes, erlangs that slots carry): shape (tables, slots + 1, nodes)."""
        if reach not in self._tables:
            nodes = slots.stretch_nodes(reach)
            made = [
                slots.table(lengths, shares, self.scenario.p95_wait_s, most, nodes, exact)
                for lengths, shares, most, exact in self.mixtures
            ]
            size = max((len(one) for one in made), default=1)
            stacked = np.full((len(made), size, len(nodes)), np.inf)
            for number, one in enumerate(made):
                stacked[number, : len(one)] = one
                tail = np.arange(len(one), size)[:, None]
                spare = (len(one) - 1 - one[-1]) / math.sqrt(max(len(one) - 1, 1))
                stacked[number, len(one) :] = tail - spare * np.sqrt(tail)
            self._tables[reach] = np.array(nodes), stacked
        return self._tables[reach]

    @property
    def usd_at_centre(self) -> float:
        """The whole bill as projected, in dollars, each epoch by its share of its month."""
        return math.fsum(
            float(usd(line.micro_usd)) * float(epoch.share)
            for epoch in self.epochs
            if epoch.projection
            for line in epoch.projection.bill
        )


@store.still()
def compile(
    scenario: Scenario,
    *,
    months: int = 12,
    mix: traffic.TrafficMix | None = None,
    policy: routing.Policy | None = None,
    ranges: Mapping[str, tuple[float, float]] | None = None,
) -> Model:
    """Return the model of a scenario over ``months`` months from its own.

    Prices change on their day as in `finance.months`. A policy without own GPUs is compared as if
    every deployment took what it can make. Raises `BadData` for a scenario that names what is not
    there, `InvalidArgument` for months outside 1 to 36, or for a policy with a budget or overflow:
    what they hand over depends on the draw, and is not drawn.
    """
    if not 1 <= months <= MOST_MONTHS:
        raise InvalidArgument(f"months must be from 1 to {MOST_MONTHS}, got {months}")
    mix = mix or traffic.mix(scenario.mix)
    policy = policy or routing.policy(scenario.policy)
    for wish, text in ((policy.budget, "caps what APIs cost"), (policy.overflow, "hands clips over "
                       "when its GPUs are full")):  # fmt: skip
        if wish:
            raise InvalidArgument(
                f"policy {policy.id} {text}; how much then goes elsewhere differs from draw to "
                "draw and is not drawn: choose a policy without it"
            )
    epochs, _ = cut(scenario, mix, policy, Terms(), months)
    stand_in = ""
    if not any(epoch.projection.pools for epoch in epochs if epoch.projection):
        own = _own_where_able(epochs, policy)
        if own:
            stand_in = (
                f"{policy.title}: every clip goes to an API, so own GPUs are drawn as if each "
                "deployment took what it can make"
            )
            policy = own
            epochs, _ = cut(scenario, mix, policy, Terms(), months)
    made = _Compiler(scenario=scenario, mix=mix, policy=policy, months=months, epochs=epochs)
    model = made.model(stand_in)
    return model.with_ranges(ranges) if ranges else model


def _own_where_able(epochs: Sequence[Epoch], policy: routing.Policy) -> routing.Policy | None:
    """Return the policy by segment: the cheapest deployment by use, else what it took before."""
    first = epochs[0].projection
    rules: dict[str, str] = {}
    for result in first.segments if first else ():
        if result.of in rules:
            continue
        able = [option.route for option in result.options if option.kind == "self_hosted"]
        route = able[0] if able else result.route
        if route:
            rules[result.of] = route
    if not any("@" in route for route in rules.values()):
        return None
    return routing.Policy(
        id="own-where-able",
        title=f"{policy.title}, on own GPUs where they can",
        rules=tuple(
            routing.Rule(route=route, when={"segment": name}) for name, route in rules.items()
        ),
        min_quality=policy.min_quality,
        max_latency_s=policy.max_latency_s,
    )


@dataclass(kw_only=True)
class _Compiler:
    """The work of `compile`: collects inputs and rows, then makes arrays of them."""

    scenario: Scenario
    mix: traffic.TrafficMix
    policy: routing.Policy
    months: int
    epochs: Sequence[Epoch]
    values: list[float] = field(default_factory=lambda: [1.0])
    inputs: dict[str, Input] = field(default_factory=dict)
    parts: list[tuple[float, ...]] = field(default_factory=list)
    options: list[list[tuple[float, int, float]]] = field(default_factory=list)
    known: dict[Any, int] = field(default_factory=dict)
    mixtures: dict[Any, int] = field(default_factory=dict)
    tabled: list[list[Any]] = field(default_factory=list)
    no_api: dict[str, None] = field(default_factory=dict)

    def model(self, stand_in: str) -> Model:
        mix, scenario = self.mix, self.scenario
        self._add("volume", "volume", "clips wanted", "", "× mix", "times", 1.0)
        self._add("growth", "growth", "growth a month", "", "a month", "plus", mix.growth_per_month)
        self._add("peak", "peak", "busiest hour above the mean", "", "× mix", "times", 1.0)
        self._add(
            "batch_utilisation", "batch_utilisation", "how full batch work makes the fleet", "",
            "of paid hours", "odds", scenario.batch_utilisation,
        )  # fmt: skip
        self._add(
            "failure/api", "failure", "attempts that fail or are rejected on APIs", "APIs",
            "of attempts", "odds", scenario.api_lost_share,
        )  # fmt: skip
        epochs: list[tuple[float, ...]] = []
        uses: list[list[tuple[int, float, int]]] = []
        pools: list[list[tuple[float, ...]]] = []
        starts = self.epochs[0].starts
        for epoch in self.epochs:
            on = (epoch.starts.year - starts.year) * 12 + epoch.starts.month - starts.month
            hours = epoch.projection.hours if epoch.projection else 0
            epochs.append((on, float(epoch.share), hours, on))
            own, found = self._epoch(epoch)
            uses.append(own)
            pools.append(found)
        self._drop_the_idle()
        flat = [use for own in uses for use in own]
        pooled = [pool for found in pools for pool in found]
        part = list(zip(*self.parts, strict=True)) or [()] * 14
        choice = [one for found in self.options for one in found]
        arrays = Arrays(
            own=_ints(part[0]),
            kept_at=_ints(part[1]),
            failed_at=_ints(part[2]),
            price_at=_ints(part[3]),
            seconds_at=_ints(part[4]),
            theta_at=_ints(part[5]),
            tries=_ints(part[6]),
            billed=_floats(part[7]),
            usd=_floats(part[8]),
            render_s=_floats(part[9]),
            shorter=_floats(part[10]),
            longer=_floats(part[11]),
            theta=_floats(part[12]),
            batch=_ints(part[13]),
            option_from=_from(self.options),
            option_usd=_floats([one[0] for one in choice]),
            option_at=_ints([one[1] for one in choice]),
            option_billed=_floats([one[2] for one in choice]),
            month=_ints([one[0] for one in epochs]),
            share=_floats([one[1] for one in epochs]),
            hours=_floats([one[2] for one in epochs]),
            on=_ints([one[3] for one in epochs]),
            use_from=_from(uses),
            use_part=_ints([one[0] for one in flat]),
            use_wanted=_floats([one[1] for one in flat]),
            use_pool=_ints([one[2] for one in flat]),
            pool_from=_from(pools),
            pool_gpus=_floats([one[0] for one in pooled]),
            pool_usd=_floats([one[1] for one in pooled]),
            pool_at=_ints([one[2] for one in pooled]),
            pool_table=_ints([one[3] for one in pooled]),
            pool_mean_s=_floats([one[4] for one in pooled]),
        )
        first = self.epochs[0].projection
        warnings = list(first.warnings if first else ())
        told = {result.of for result in (first.segments if first else ()) if result.reason}
        for epoch in self.epochs[1:]:
            for result in epoch.projection.segments if epoch.projection else ():
                if result.reason and result.of not in told:
                    told.add(result.of)
                    warnings.append(
                        f"from {epoch.starts}: {result.of} is not served: {result.reason}"
                    )
        return Model(
            scenario=scenario,
            mix=mix,
            policy=self.policy,
            months=self.months,
            epochs=tuple(self.epochs),
            inputs=tuple(self.inputs.values()),
            values=np.array(self.values),
            arrays=arrays,
            mixtures=tuple(
                (lengths, shares, int(8 * most + 24), tuple(sorted(exact)))
                for lengths, shares, most, exact in self.tabled
            ),
            stand_in=stand_in,
            no_api=tuple(self.no_api),
            warnings=tuple(warnings),
        )

    # ── Inputs ────────────────────────────────────────────────────────────────────────────────

    def _add(
        self,
        name: str,
        kind: Any,
        label: str,
        of: str,
        unit: str,
        scale: Any,
        centre: float,
        *,
        segment: traffic.Segment | None = None,
        ends: tuple[float, float, Basis, str] | None = None,
    ) -> int:
        """Return the place of an input's value, with its own range or the default one."""
        if name in self.inputs:
            return self.inputs[name].place
        place = len(self.values)
        self.values.append(centre)
        source = None
        if ends is None and scale == "odds" and not 0 < centre < 1:
            ends = centre, centre, Basis.ENTERED, "entered as certain"
        if ends is None:
            row = default(kind, centre, segment)
            low, high = row.ends(centre)
            basis, what, source = row.source.basis, row.what, row.source
        else:
            low, high, basis, what = ends
        self.inputs[name] = Input(
            id=name, kind=kind, label=label, of=of, unit=unit, scale=scale, centre=centre, low=low,
            high=high, place=place, basis=basis, what=what, source=source,
        )  # fmt: skip
        return place

    def _drop_the_idle(self) -> None:
        """Leave out inputs that nothing reads."""
        part = {int(place) for one in self.parts for place in one[1:6]}
        read = part | {one[1] for found in self.options for one in found}
        used = {"volume"}
        if self.months > 1:
            used.add("growth")
        if any(self.options):
            used.add("failure/api")
        if any(one[0] and one[13] for one in self.parts):
            used.add("batch_utilisation")
        if self.tabled:
            used.add("peak")
        self.inputs = {
            name: item
            for name, item in self.inputs.items()
            if name in used or item.place in read or item.kind == "gpu_price"
        }

    def _api_price(self, unit: UnitCost) -> int:
        name = f"api_price/{unit.model}"
        ends: tuple[float, float, Basis, str] | None = None
        scale = "times"
        printed = unit.usd.range
        if any("override:" in leaf.ref for leaf in unit.usd.leaves()):
            ends = 1.0, 1.0, Basis.ENTERED, "a rate agreed with the seller"
        elif printed and printed.high > printed.low:
            value, scale = float(unit.usd.value), "printed"
            words = f"printed as a range, {printed.low:g} to {printed.high:g} USD a clip"
            ends = printed.low / value, printed.high / value, unit.usd.basis, words
        label = f"API price of {unit.model}"
        return self._add(name, "api_price", label, unit.model, "× list", scale, 1.0, ends=ends)

    def _gpu_price(self, deployment: Deployment) -> int:
        ends: tuple[float, float, Basis, str] | None = None
        name = f"gpu_price/{deployment.offer}"
        if deployment.usd_per_gpu_hour is not None:
            ends = 1.0, 1.0, Basis.ENTERED, "a rate agreed with the seller"
        else:
            rows = [
                row
                for row in catalog.offer_history(deployment.offer)
                if not (row.opens and row.opens > self.scenario.date)
            ]
            rates = [float(row.usd_per_gpu_hour) for row in rows]
            if rates and max(rates) > min(rates):
                span = max(rates) / min(rates)
                low = min(rows, key=lambda row: row.usd_per_gpu_hour)
                high = max(rows, key=lambda row: row.usd_per_gpu_hour)
                what = (
                    f"as far either way as its own list moved: ${low.usd_per_gpu_hour} "
                    f"({low.source.seen or 'undated'}) to ${high.usd_per_gpu_hour} "
                    f"({high.source.seen or 'undated'}); {high.source.publisher}"
                )
                ends = 1 / span, span, high.source.basis, what
        offer = catalog.offer(deployment.offer, as_of=self.scenario.date)
        label = f"rent of {offer.gpu} at {offer.provider}" + (", spot" * deployment.spot)
        return self._add(
            name, "gpu_price", label, deployment.offer, "× list", "times", 1.0, ends=ends
        )

    def _seconds(self, deployment: Deployment, unit: UnitCost) -> tuple[int, float, float, float]:
        """Return (place, render seconds, exponents below and above) of a part's time on a slot."""
        slot = unit.slot_s
        if slot is None:
            raise InvalidArgument(f"{unit.route} has no seconds")
        render = slot.inputs[0] if self._spot(deployment) else slot
        seconds = float(render.value)
        low, high = (render.range.low, render.range.high) if render.range else (seconds, seconds)
        key = gpus_of(deployment)
        name = f"seconds/{key}"
        known = "runs" if render.basis is Basis.MEASURED else "prediction"
        place = self._add(
            name, "seconds", f"seconds of a clip on {key}", key, "× predicted", "times", 1.0,
            ends=(low / seconds, high / seconds, render.basis,
                  f"90 % interval of the {known} for {unit.model}: {low:.0f} to {high:.0f} s"),
        )  # fmt: skip
        item = self.inputs[name]
        below = math.log(seconds / low) / -math.log(item.low) if item.low < 1 else 0.0
        above = math.log(high / seconds) / math.log(item.high) if item.high > 1 else 0.0
        return place, seconds, below, above

    def _spot(self, deployment: Deployment) -> bool:
        return catalog.offer(deployment.offer, as_of=self.scenario.date).purchase == "spot"

    def _interruptions(self, deployment: Deployment, unit: UnitCost) -> tuple[int, float]:
        if not self._spot(deployment) or unit.slot_s is None:
            return CERTAIN, 0.0
        theta = unit.slot_s.inputs[1]
        rate = float(theta.value)
        ends = None
        if theta.range and theta.range.low > 0:
            ends = (theta.range.low / rate, theta.range.high / rate, theta.basis,
                    f"the seller's monthly band: {theta.formula}")  # fmt: skip
        name = f"interruptions/{deployment.offer}"
        label = f"spot interruptions at {deployment.offer.split('/')[0]}"
        if not rate:
            ends = 1.0, 1.0, Basis.ENTERED, "entered as none"
        return self._add(
            name, "interruptions", label, deployment.offer, "× entered", "times", 1.0, ends=ends
        ), rate

    # ── Rows ──────────────────────────────────────────────────────────────────────────────────

    def _epoch(self, epoch: Epoch) -> tuple[list[tuple[int, float, int]], list[tuple[float, ...]]]:
        answer = epoch.projection
        if answer is None or epoch.moved:
            raise InvalidArgument("launched models are not drawn")
        served = [r for r in answer.segments if r.unit and not r.reason and r.attempts]
        routes = [pool.route for pool in answer.pools]
        uses = [
            (self._part(result), result.wanted, routes.index(result.unit.route)
             if result.unit and result.unit.kind == "self_hosted" else -1)
            for result in served
        ]  # fmt: skip
        pools: list[tuple[float, ...]] = []
        for pool in answer.pools:
            loads = [
                (float(r.unit.slot_s.value), r.attempts)
                for r in served
                if r.unit and r.unit.slot_s and r.route == pool.route and not r.segment.batch
            ]
            table, mean_s = self._table(loads, int(pool.slots.value), answer.mix.peak_factor
                                        / (answer.hours * 3600))  # fmt: skip
            rate = hourly_price(pool.deployment, epoch.priced_on)
            pools.append(
                (pool.deployment.gpus_per_clip, float(rate.value),
                 self._gpu_price(pool.deployment), table, mean_s)
            )  # fmt: skip
        return uses, pools

    def _table(
        self, loads: Sequence[tuple[float, float]], count: int, peak_per_s: float
    ) -> tuple[int, float]:
        """Return the number of the table of a mixture of lengths, -1 where nobody waits."""
        month = math.fsum(attempts for _, attempts in loads)
        if not month:
            return -1, 1.0
        merged: dict[float, float] = {}
        for seconds, attempts in loads:
            merged[seconds] = merged.get(seconds, 0.0) + attempts / month
        lengths = tuple(sorted(merged))
        shares = tuple(round(merged[s], 9) for s in lengths)
        shares = (*shares[:-1], 1 - math.fsum(shares[:-1]))
        mean_s = math.fsum(s * merged[s] for s in lengths)
        key = lengths, shares
        if key not in self.mixtures:
            self.mixtures[key] = len(self.tabled)
            self.tabled.append([lengths, shares, 0.0, set()])
        row = self.tabled[self.mixtures[key]]
        row[2] = max(row[2], month * peak_per_s * mean_s)
        row[3] |= {count, max(count - 1, 1)}
        return self.mixtures[key], mean_s

    def _part(self, result: SegmentResult) -> int:
        unit, segment = result.unit, result.segment
        assert unit is not None
        own = unit.kind == "self_hosted"
        apis = tuple((o.route, o.usd.value) for o in result.options if o.kind == "api")
        slot_s = unit.slot_s.value if unit.slot_s else 0
        key = result.of, unit.route, unit.usd.value, slot_s, apis
        if key in self.known:
            return self.known[key]
        kept = self._add(
            f"acceptance/{result.of}", "acceptance", f"share kept of '{result.of}'", result.of,
            "of delivered clips", "odds", segment.acceptance, segment=segment,
        )  # fmt: skip
        failed, price, second, theta_at = API_FAILURE, CERTAIN, CERTAIN, CERTAIN
        render = below = above = theta = 0.0
        if own:
            deployment = next(d for d in self.scenario.deployments if d.route == unit.route)
            failed = self._add(
                f"failure/{unit.route}", "failure", f"attempts that fail on {unit.route}",
                unit.route, "of attempts", "odds", deployment.failure_share,
            )  # fmt: skip
            second, render, below, above = self._seconds(deployment, unit)
            theta_at, theta = self._interruptions(deployment, unit)
        else:
            price = self._api_price(unit)
        able = [(float(o.usd.value), self._api_price(o), float(o.failures_billed))
                for o in self._apis(result)]  # fmt: skip
        if not able:
            self.no_api[result.of] = None
        self.known[key] = len(self.parts)
        self.parts.append(
            (own, kept, failed, price, second, theta_at, segment.max_tries or 0,
             float(unit.failures_billed), float(unit.usd.value), render, below, above, theta,
             segment.batch)
        )  # fmt: skip
        self.options.append(able)
        return self.known[key]

    def _apis(self, result: SegmentResult) -> list[UnitCost]:
        """Return the APIs that give all that the segment and the policy ask."""
        segment, day = result.segment, self.scenario.date
        found = []
        for unit in result.options:
            if unit.kind != "api":
                continue
            rating = quality.rating(
                unit.model, segment.mode, as_of=day, audio=segment.audio, recipe=unit.recipe
            )
            takes = quality.latency(unit.model, as_of=day, mode=segment.mode)
            option = routing.Option(
                route=unit.route, model=unit.model, kind="api", usd=float(unit.usd.value),
                rating=float(rating.value) if rating else None,
                latency_s=float(takes.value) if takes else None,
            )  # fmt: skip
            known = quality.capability(unit.model)
            lacks = (
                known.lacks(faces=segment.faces, text=segment.text, lora=segment.lora)
                if known
                else ()
            )
            if not lacks and not routing.short_of_quality(self.policy, segment, option) and \
                    not routing.too_slow(self.policy, segment, option):  # fmt: skip
                found.append(unit)
        return found


def gpus_of(deployment: Deployment) -> str:
    """Return the GPUs of one slot, such as H100-SXM or 4x B200: what shares one speed factor."""
    count = f"{deployment.gpus_per_clip}x " if deployment.gpus_per_clip > 1 else ""
    return count + performance.gpu(deployment.gpu).id


def _ints(values: Sequence[Any]) -> Ints:
    return np.array([int(one) for one in values], dtype=np.int64)


def _floats(values: Sequence[Any]) -> Floats:
    return np.array([float(one) for one in values], dtype=np.float64)


def _from(groups: Sequence[Sequence[Any]]) -> Ints:
    return np.concatenate([[0], np.cumsum([len(one) for one in groups])]).astype(np.int64)


__all__ = ["Arrays", "Model", "compile", "gpus_of"]
