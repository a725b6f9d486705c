"""Months cut where something changes: prices, retirements, launches and terms on their very day.

month ──days on which a price in use changes, a model goes or comes──▶ epochs
epoch ──the month's volume at the prices of its first day──▶ projection, of which it takes
        its days' share
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from costlab import catalog, routing, traffic
from costlab.core import Basis, Figure
from costlab.finance.terms import Launch, Terms, month_of
from costlab.projection import Projection, SegmentResult, project
from costlab.scenarios import Scenario, api_models

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A segment that a launched model takes: its month's attempts at a what-if price."""

    launch: Launch
    segment: traffic.Segment
    wanted: float
    attempts: float
    billed: float
    accepted: float
    usd_per_attempt: Decimal

    @property
    def figure(self) -> Figure:
        """The month's bill of it, which rests on an entered price."""
        price = Figure.entered(
            f"what-if price of {self.launch.route}",
            self.launch.usd_per_second or Decimal(0),
            "USD/second",
            ref="terms",
        )
        tried = Figure(
            name="billed attempts a month",
            value=self.billed,
            unit="attempts/month",
            basis=Basis.ENTERED,
            ref="mix",
            formula="clips wanted × share × expected attempts",
        )
        return Figure.derived(
            "bill of this segment",
            Decimal(f"{self.billed:.6f}") * self.usd_per_attempt,
            "USD/month",
            "billed attempts × seconds × USD per second",
            (tried, price),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """Days of one month in which no price in use changes.

    ``projection`` is of the whole month at ``priced_on``; the epoch has ``share`` of it. It is None
    where launched models take every segment (``moved``).
    """

    starts: date
    ends: date
    priced_on: date
    share: Fraction
    projection: Projection | None
    moved: tuple[Moved, ...] = ()

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.ends - self.starts).days

    @property
    def demands(self) -> tuple[SegmentResult | Moved, ...]:
        """Every segment of the month with its route, whoever takes it."""
        return (*(self.projection.segments if self.projection else ()), *self.moved)

    def wanted(self) -> float:
        """Return the clips wanted in these days."""
        return math.fsum(one.wanted for one in self.demands) * float(self.share)

    def served(self) -> float:
        """Return the clips wanted in these days that have a route."""
        refused = math.fsum(
            one.wanted
            for one in (self.projection.segments if self.projection else ())
            if one.reason
        )
        return self.wanted() - refused * float(self.share)

    def accepted(self) -> float:
        """Return the clips accepted in these days."""
        return math.fsum(one.accepted for one in self.demands) * float(self.share)

    def accepted_seconds(self) -> float:
        """Return the seconds of accepted video of these days."""
        seconds = [one.accepted * float(one.segment.seconds) for one in self.demands]
        return math.fsum(seconds) * float(self.share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happens on a day, in words; of a price, ``sku`` says whose."""

    day: date
    text: str
    sku: str = ""


def cut(
    scenario: Scenario,
    mix: traffic.TrafficMix,
    policy: routing.Policy,
    terms: Terms,
    months: int,
) -> tuple[tuple[Epoch, ...], tuple[Event, ...]]:
    """Return the epochs of ``months`` months from the scenario's, and what happens in them.

    Days of the first month before the scenario's own day are priced on that day.
    """
    begin, end = month_of(scenario.date), month_of(scenario.date, months)
    clips = mix.clips_per_month if scenario.clips_per_month is None else scenario.clips_per_month
    market = _Market.of(scenario, policy, terms)
    inside = _term_days(terms, end) | market.changes(scenario.date, end)
    inside |= {month_of(begin, number) for number in range(1, months)}
    edges = [begin, *sorted(day for day in inside if begin < day < end)]
    epochs, events = [], []
    told: set[str] = set()
    for starts, ends in zip(edges, [*edges[1:], end], strict=True):
        month = month_of(starts)
        volume = mix.volume(clips, scenario.date, month)
        priced_on = max(starts, scenario.date)
        open_scenario, open_policy, notes = _as_sold(scenario, policy, terms, priced_on)
        new = [text for text in notes if text not in told]
        told.update(new)
        events += [Event(day=starts, text=text) for text in new]
        asked = replace(open_scenario, date=priced_on, clips_per_month=volume)
        projected, moved = _with_launches(asked, mix, open_policy, terms, volume)
        for one in moved:
            text = f"{one.segment.name} goes to {one.launch.route}, launched {one.launch.day}"
            if text not in told:
                told.add(text)
                events.append(Event(day=starts, text=text))
        epochs.append(
            Epoch(
                starts=starts,
                ends=ends,
                priced_on=priced_on,
                share=Fraction((ends - starts).days, (month_of(month, 1) - month).days),
                projection=projected,
                moved=moved,
            )
        )
    events += market.told(scenario.date, end)
    return tuple(epochs), tuple(sorted(events, key=lambda event: (event.day, event.text)))


# ── What is on sale when ──────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class _Market:
    """The price rows that a scenario can meet, API models and GPU offers alike."""

    models: tuple[str, ...]
    offers: tuple[str, ...]

    @classmethod
    def of(cls, scenario: Scenario, policy: routing.Policy, terms: Terms) -> _Market:
        models = list(api_models(scenario, policy.named_routes))
        for name in models if terms.retired == "successor" else ():
            follower = catalog.model(name).successor
            if follower and follower not in models:
                models.append(follower)
        launched = [one.deployment for one in terms.launches if one.deployment]
        return cls(
            models=tuple(models),
            offers=tuple(
                one.offer
                for one in (*scenario.deployments, *launched)
                if one.usd_per_gpu_hour is None
            ),
        )

    def changes(self, after: date, end: date) -> set[date]:
        """Return the days from the day after ``after`` on which what is on sale changes."""
        days = self._candidates(after, end)
        found, state = set(), self._state(after)
        for day in days:
            now = self._state(day)
            if now != state:
                found.add(day)
            state = now
        return found

    def told(self, after: date, end: date) -> list[Event]:
        """Return the price changes in words."""
        found = []
        for day in self._candidates(after, end):
            for name in self.models:
                rows = catalog.prices_of(name)
                found += [
                    Event(day=day, text=change.sentence, sku=change.sku)
                    for change in catalog.diff(day - DAY, day, rows)
                ]
            before, now = self._rents(day - DAY), self._rents(day)
            found += [
                Event(day=day, text=f"{name}: {before[name]} → {now[name]} USD/GPU-hour", sku=name)
                for name in sorted(before.keys() & now.keys())
                if before[name] != now[name]
            ]
        return found

    def _candidates(self, after: date, end: date) -> list[date]:
        days: set[date | None] = set()
        for name in self.models:
            for row in catalog.prices_of(name):
                days |= {row.opens, row.seen_on, row.retired_on, _next(row.valid_to)}
        for name in self.offers:
            for offer in catalog.offer_history(name):
                days |= {offer.opens, _next(offer.valid_to)}
        for override in catalog.overrides():
            days |= {override.valid_from, _next(override.valid_to)}
        return sorted(day for day in days if day and after < day < end)

    def _state(self, day: date) -> object:
        standing = [
            override.name
            for override in catalog.overrides()
            if override.valid_from <= day <= (override.valid_to or date.max)
        ]
        sold = [
            (row.sku, row.unit, row.usd_per_unit)
            for name in self.models
            for row in catalog.in_force(catalog.prices_of(name), day)
        ]
        return sorted(standing), sorted(sold), self._rents(day)

    def _rents(self, day: date) -> dict[str, Decimal]:
        rents: dict[str, Decimal] = {}
        for name in self.offers:
            rows = catalog.offer_history(name)
            open_rows = [row for row in rows if not (row.opens and row.opens > day)]
            if open_rows:
                rents[name] = open_rows[-1].usd_per_gpu_hour
        return rents


def _next(day: date | None) -> date | None:
    return day and day + DAY


def _term_days(terms: Terms, end: date) -> set[date]:
    days = {launch.day for launch in terms.launches}
    for reserved in terms.reserved:
        days |= {reserved.starts, reserved.stops}
    for owned in terms.owned:
        days |= {owned.starts, owned.stops}
    for balance in terms.balances:
        days.add(balance.starts)
        lapse = balance.starts + balance.days * DAY
        while lapse < end:
            days.add(lapse)
            if not balance.renews:
                break
            lapse += balance.days * DAY
    for credit in terms.credits:
        days |= {credit.starts, credit.ends}
    return days


def _as_sold(
    scenario: Scenario, policy: routing.Policy, terms: Terms, day: date
) -> tuple[Scenario, routing.Policy, list[str]]:
    """Return the scenario and policy with what is launched by ``day`` and, where asked for,
    successors in the place of models that are no longer sold; and that in words."""
    moves: dict[str, str] = {}
    notes = []
    for name in api_models(scenario, policy.named_routes):
        if _sold(name, day):
            continue
        if not any(row.opens and row.opens <= day for row in catalog.prices_of(name)):
            notes.append(f"{name} has no price yet: clips sent to it are refused")
            continue
        follower = _successor(name, day) if terms.retired == "successor" else ""
        if follower:
            moves[name] = follower
            notes.append(f"{name} is not sold any more: its clips go to its successor {follower}")
        else:
            notes.append(f"{name} is not sold any more: clips sent to it are refused")
    deployments = list(scenario.deployments)
    for launch in terms.launches:
        if launch.deployment and launch.day <= day:
            deployments.append(launch.deployment)
            moves |= {catalog.model(old).id: launch.deployment.model_id for old in launch.replaces}
            notes.append(f"{launch.deployment.route} is deployed from {launch.day}")
    apis = dict.fromkeys(moves.get(catalog.model(name).id, name) for name in scenario.apis)
    changed = replace(scenario, apis=tuple(apis), deployments=tuple(deployments))
    return changed, renamed(policy, moves), notes


def renamed(policy: routing.Policy, moves: Mapping[str, str]) -> routing.Policy:
    """Return the policy with the models of ``moves`` (by id) replaced wherever it names one."""
    if not moves:
        return policy

    def name(route: str) -> str:
        return moves.get(catalog.model(route).id, route)

    rules = []
    for rule in policy.rules:
        split: dict[str, float] = {}
        for route, share in (rule.split or {}).items():
            split[name(route)] = split.get(name(route), 0.0) + share
        rules.append(
            replace(rule, route=rule.route and name(rule.route), split=split or rule.split)
        )
    return replace(
        policy,
        rules=tuple(rules),
        budget=policy.budget and replace(policy.budget, then=name(policy.budget.then)),
        overflow=policy.overflow and replace(policy.overflow, to=name(policy.overflow.to)),
    )


def _sold(model_id: str, day: date) -> bool:
    return bool(catalog.in_force(catalog.prices_of(model_id), day))


def _successor(model_id: str, day: date) -> str:
    seen = {model_id}
    name = catalog.model(model_id).successor
    while name and name not in seen:
        if _sold(name, day):
            return name
        seen.add(name)
        name = catalog.model(name).successor
    return ""


# ── Launches at a price ───────────────────────────────────────────────────────────────────────


def _with_launches(
    scenario: Scenario,
    mix: traffic.TrafficMix,
    policy: routing.Policy,
    terms: Terms,
    volume: float,
) -> tuple[Projection | None, tuple[Moved, ...]]:
    open_now = [
        one for one in terms.launches if one.usd_per_second is not None and one.day <= scenario.date
    ]
    if not open_now:
        return project(scenario, mix=mix, policy=policy), ()
    results: Iterable[SegmentResult] = ()
    if any(launch.replaces or not launch.segments for launch in open_now):
        results = project(scenario, mix=mix, policy=policy).segments
    today: dict[str, list[SegmentResult]] = {}
    for result in results:
        today.setdefault(result.of, []).append(result)
    moved = {}
    for launch in open_now:
        for segment in mix.segments:
            taken = _moved(scenario, segment, launch, volume)
            if _takes(launch, taken, today.get(segment.name, [])):
                moved[segment.name] = taken
    rest = [segment for segment in mix.segments if segment.name not in moved]
    share = sum(segment.share for segment in rest)
    if not share:
        return None, tuple(moved.values())
    smaller = replace(mix, segments=tuple(replace(one, share=one.share / share) for one in rest))
    asked = replace(scenario, clips_per_month=volume * share)
    return project(asked, mix=smaller, policy=policy), tuple(moved.values())


def _moved(scenario: Scenario, segment: traffic.Segment, launch: Launch, volume: float) -> Moved:
    tries = traffic.attempts(
        failure=scenario.api_lost_share,
        acceptance=segment.acceptance,
        max_tries=segment.max_tries,
        failures_billed=True,
    )
    wanted = volume * segment.share
    return Moved(
        launch=launch,
        segment=segment,
        wanted=wanted,
        attempts=wanted * tries.per_wanted,
        billed=wanted * tries.per_wanted * tries.billed_share,
        accepted=wanted * tries.accepted_share,
        usd_per_attempt=(launch.usd_per_second or Decimal(0)) * segment.seconds,
    )


def _takes(launch: Launch, moved: Moved, results: list[SegmentResult]) -> bool:
    if launch.segments:
        return moved.segment.name in launch.segments
    if launch.replaces:
        named = {*launch.replaces}
        return any(result.route in named or result.model in named for result in results)
    if not moved.accepted:
        return False
    cost = moved.billed * float(moved.usd_per_attempt) / moved.accepted
    return not any(
        result.usage_per_accepted and float(result.usage_per_accepted.value) <= cost
        for result in results
    )
