"""What a request costs under a policy: once per distinct combination of features and price epoch.

    segment ─what the policy and a bill can see─▶ key ┐
    days on which a price of the routes changes ─────▶ epoch ├─▶ outcome: route, micro-dollars
    where a weighted split cuts ─────────────────────▶ place ┘

`Pricer` goes through the paths for many (`catalog.quote_many`, one prediction per kind of clip);
`one` goes through the plain path for one request. They must agree to the micro-dollar.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from typing import Any, Literal

from costlab import catalog, quality, routing
from costlab.core import CannotServe, ClipRequest, CostlabError, NotOnSale, UnknownName, usd
from costlab.scenarios import Scenario, api_models, route_target
from costlab.traffic import Segment
from costlab.unitcost import Deployment, UnitCost, hourly_price, on_api, question, self_hosted

Step = Literal["base", "then", "over"]
"""Whether a request goes where the policy sends it, where it sends requests once the budget is
spent, or where it sends those that own GPUs would keep waiting."""

_REQUEST = frozenset({"seconds", "mode", "resolution", "audio", "aspect", "quality"})
_LIMITS = frozenset({"min_quality", "max_latency_s", "faces", "text", "lora"})
_NEUTRAL: dict[str, Any] = {item.name: item.default for item in fields(Segment)}
MOST_REASONS = 300
"""Refusals whose full reason is worked out; further ones get a shorter text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Where a request goes and what one attempt costs; ``reason`` where it cannot be priced.

    ``failed_micro_usd`` is what a failed attempt costs, ``slot_s`` how long ``gpus`` GPUs of the
    route work on one attempt (0 on an API).
    """

    route: str
    model: str
    kind: Literal["api", "self_hosted", ""]
    micro_usd: int = 0
    failed_micro_usd: int = 0
    slot_s: float = 0.0
    gpus: int = 0
    reason: str = ""


class Desk:
    """What prices a replay: the scenario's routes and a policy, None for the models of the log.

    It remembers what it looked up, so it is for one replay, in which no data changes.
    """

    def __init__(self, scenario: Scenario, policy: routing.Policy | None) -> None:
        self.scenario = scenario
        self.policy = policy
        self.routes = tuple((d.route, d.model_id, d.spot) for d in scenario.deployments)
        self.spot = frozenset(route for route, _, spot in self.routes if spot)
        self._sold: dict[str, bool] = {}
        self._ratings: dict[tuple[str, str, bool, str], float | None] = {}
        self._latencies: dict[tuple[str, str], float | None] = {}
        self._able: dict[tuple[str, bool, bool, bool], bool] = {}

    def sold(self, target: str) -> bool:
        """Whether a target is an API model, and not own GPUs."""
        if target not in self._sold:
            self._sold[target] = "@" not in target and catalog.model(target).kind == "api"
        return self._sold[target]

    def rating(self, model: str, segment: Segment, recipe: str) -> float | None:
        """Return the arena rating of a model on the scenario's day, None where it has none."""
        key = (model, segment.mode, segment.audio, recipe)
        if key not in self._ratings:
            score = quality.rating(
                model, segment.mode, as_of=self.scenario.date, audio=segment.audio, recipe=recipe
            )
            self._ratings[key] = float(score.value) if score else None
        return self._ratings[key]

    def latency_s(self, model: str, segment: Segment) -> float | None:
        """Return the seconds from request to video on an API, None where no source tells them."""
        key = (model, segment.mode)
        if key not in self._latencies:
            told = quality.latency(model, as_of=self.scenario.date, mode=segment.mode)
            self._latencies[key] = float(told.value) if told else None
        return self._latencies[key]

    def able(self, model: str, segment: Segment) -> bool:
        """Whether no source says that a model lacks the faces, lettering or adapters asked for."""
        asked = (segment.faces, segment.text, segment.lora)
        if (model, *asked) not in self._able:
            known = quality.capability(model)
            self._able[model, *asked] = not (
                known and known.lacks(faces=asked[0], text=asked[1], lora=asked[2])
            )
        return self._able[model, *asked]

    @property
    def apis(self) -> tuple[str, ...]:
        """The API models that the policy may use."""
        named = self.policy.named_routes if self.policy else ()
        if self.policy and self.policy.kind == "rules":
            meant = [route_target(self.scenario, name) for name in named]
            return tuple(dict.fromkeys(name for name in meant if self.sold(name)))
        return api_models(self.scenario, named)

    def seen(self) -> frozenset[str]:
        """Return the features that the policy looks at or a bill depends on."""
        policy = self.policy
        if policy is None:
            return _REQUEST | {"model"}
        found = set(_REQUEST)
        for rule in policy.rules:
            found |= set(rule.when or {})
        if policy.kind == "cheapest":
            found |= _LIMITS
        if policy.kind == "cheapest" or policy.batch_on_spot or policy.overflow:
            found.add("batch")
        return frozenset(found)

    def key(self, segment: Segment) -> Segment:
        """Return the segment with all that nothing looks at made neutral."""
        kept = self.seen()
        neutral = {
            name: value
            for name, value in _NEUTRAL.items()
            if name not in kept and name not in ("name", "share", "seconds")
        }
        name = segment.name if "segment" in kept else "-"
        return replace(segment, share=0.0, name=name, **neutral)

    def cuts(self) -> tuple[int, ...]:
        """Return the integers at which a split changes its route, of ids hashed to 32 bits."""
        found = set()
        for rule in self.policy.rules if self.policy else ():
            reached = 0.0
            for part in rule.parts[:-1]:
                reached += part.share
                found.add(math.ceil(reached * 2**32))
        return tuple(sorted(found))

    def change_days(self, models: Iterable[str]) -> frozenset[date]:
        """Return the days on which a price of ``models`` or of the scenario's GPUs can change."""
        days: set[date | None] = set()
        for name in models:
            for row in catalog.prices_of(name):
                days |= {row.opens, row.seen_on, row.retired_on, _after(row.valid_to)}
        for override in catalog.overrides():
            days |= {override.valid_from, _after(override.valid_to)}
        for deployment in self.scenario.deployments:
            for offer in catalog.offer_history(deployment.offer):
                days |= {offer.opens, offer.seen_on, _after(offer.valid_to)}
        return frozenset(day for day in days if day)


def _after(day: date | None) -> date | None:
    return day + timedelta(days=1) if day and day < date.max else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to price: a key segment on a day, at a place in [0, 1), at a step.

    ``logged`` is the model that the log names, for a replay without a policy.
    """

    segment: Segment
    day: date
    place: float = 0.0
    step: Step = "base"
    logged: str = ""


# ── One request, the plain way ────────────────────────────────────────────────────────────────


def one(desk: Desk, asked: Question) -> Outcome:
    """Return the outcome of one request through the plain paths: quote, predict, decide, pick."""
    request = asked.segment.request()
    free = _free_choice(desk, asked)
    target, reason = ("", "") if free else _target(desk, asked)
    if reason:
        return Outcome(route=target, model=target, kind="", reason=reason)
    deployed, refused = [], []
    for deployment, (route, model, _) in zip(desk.scenario.deployments, desk.routes, strict=True):
        if free or target in (route, model):
            unit = _own(deployment, request, asked.day)
            if isinstance(unit, str):
                refused.append(unit)
            elif free or not _kept_off(desk, asked.segment.batch, route):
                deployed.append(unit)
    if free:
        bought = [other for name in desk.apis if (other := _bought(name, request, asked.day))]
        route = _cheapest(
            desk, asked.segment, [_own_option(desk, asked.segment, u) for u in (*deployed, *bought)]
        )
        found = next((unit for unit in (*deployed, *bought) if unit.route == route), None)
        return _outcome(found) if found else _nobody(desk)
    if deployed:
        return _outcome(min(deployed, key=_by_price))
    if not desk.sold(target):
        return _refused(target, _own_reason(desk, target, asked, refused))
    try:
        return _outcome(on_api(target, request, asked.day))
    except CostlabError as error:
        return _refused(target, str(error))


def _by_price(unit: UnitCost) -> tuple[Any, str]:
    return unit.usd.value, unit.route


def _own(deployment: Deployment, request: ClipRequest, day: date) -> UnitCost | str:
    """Return an attempt on own GPUs, or why they cannot make it or have no price."""
    if reason := _no_rent(deployment, day):
        return reason
    try:
        return self_hosted(deployment, request, day)
    except CannotServe as error:
        return str(error)


def _no_rent(deployment: Deployment, day: date) -> str:
    try:
        hourly_price(deployment, day)
    except CannotServe:
        return f"{deployment.offer} has no price on that day"
    return ""


def _bought(model: str, request: ClipRequest, day: date) -> UnitCost | None:
    try:
        return on_api(model, request, day)
    except (CannotServe, NotOnSale):
        return None


def _outcome(unit: UnitCost) -> Outcome:
    micro = sum(line.micro_usd for line in unit.lines)
    return Outcome(
        route=unit.route,
        model=unit.model,
        kind=unit.kind,
        micro_usd=micro,
        failed_micro_usd=micro if unit.failures_billed else 0,
        slot_s=float(unit.slot_s.value) if unit.slot_s else 0.0,
        gpus=unit.gpus,
    )


def _refused(target: str, reason: str) -> Outcome:
    model = target.split("@")[0]
    return Outcome(route=target, model=model, kind="", reason=reason)


def _nobody(desk: Desk) -> Outcome:
    among = desk.policy.among if desk.policy else "all"
    asked = {"api": "API", "self_hosted": "deployment"}.get(among, "route")
    return _refused("", f"no {asked} of this scenario gives what it asks on that day")


def _free_choice(desk: Desk, asked: Question) -> bool:
    return bool(desk.policy and desk.policy.kind == "cheapest" and asked.step == "base")


def _target(desk: Desk, asked: Question) -> tuple[str, str]:
    """Return what takes a request, by name, or "" and why nothing does."""
    policy = desk.policy
    if policy is None:
        if not asked.logged:
            return "", "the log names no model"
        try:
            return catalog.model(asked.logged).id, ""
        except UnknownName as error:
            return asked.logged, str(error)
    if asked.step == "then" and policy.budget:
        return route_target(desk.scenario, policy.budget.then), ""
    if asked.step == "over" and policy.overflow:
        return route_target(desk.scenario, policy.overflow.to), ""
    route = routing.pick(routing.decide(policy, asked.segment, ()), asked.place)
    if route is None:
        return "", "no rule of the policy matches it"
    return route_target(desk.scenario, route), ""


def _cheapest(desk: Desk, segment: Segment, options: Sequence[routing.Option]) -> str:
    """Return the route that a cheapest policy takes of what can make the clip, "" for none."""
    if desk.policy is None:
        return ""
    able = [option for option in options if desk.able(option.model, segment)]
    parts = routing.decide(desk.policy, segment, able)
    return parts[0].route if parts else ""


def _weighed(
    desk: Desk,
    segment: Segment,
    route: str,
    model: str,
    kind: Literal["api", "self_hosted"],
    usd: float,
    slot_s: float,
    recipe: str,
) -> routing.Option:
    """Return what a policy weighs of an option; ratings and API times are the scenario's day's."""
    policy = desk.policy
    rated = policy is not None and policy.floor(segment) is not None
    timed = policy is not None and policy.limit_s(segment) is not None
    latency_s = None
    if timed:
        latency_s = (
            slot_s + desk.scenario.p95_wait_s
            if kind == "self_hosted"
            else desk.latency_s(model, segment)
        )
    return routing.Option(
        route=route,
        model=model,
        kind=kind,
        usd=usd,
        rating=desk.rating(model, segment, recipe) if rated else None,
        latency_s=latency_s,
        spot=route in desk.spot,
    )


def _own_option(desk: Desk, segment: Segment, unit: UnitCost) -> routing.Option:
    slot_s = float(unit.slot_s.value) if unit.slot_s else 0.0
    return _weighed(
        desk, segment, unit.route, unit.model, unit.kind, float(unit.usd.value), slot_s, unit.recipe
    )


def _kept_off(desk: Desk, batch: bool, route: str) -> bool:
    return bool(desk.policy and desk.policy.batch_on_spot and (route in desk.spot) != batch)


_SPOT_ONLY = {True: "batch work goes to spot GPUs", False: "spot GPUs are for batch work"}


def _own_reason(desk: Desk, target: str, asked: Question, refused: Sequence[str]) -> str:
    """Return why own GPUs do not take a request: ``refused`` by those that the target names."""
    if refused:
        return refused[0]
    if any(target in (route, model) for route, model, _ in desk.routes):
        return _SPOT_ONLY[asked.segment.batch]
    return f"the scenario deploys no {target}"


# ── Many requests ─────────────────────────────────────────────────────────────────────────────


class Pricer:
    """Answers many questions; each bill, prediction and decision is worked out once."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._requests: dict[Segment, ClipRequest] = {}
        self._targets: dict[tuple[Segment, float, Step, str], tuple[str, str]] = {}
        self._settled: dict[tuple[Any, ...], Outcome] = {}
        self._rents: dict[tuple[int, date], str] = {}
        self._clips: dict[tuple[int, ClipRequest], Any] = {}
        self._own: dict[tuple[int, Any, date], UnitCost | str] = {}
        self._api: dict[tuple[str, ClipRequest, date], int | None] = {}
        self._reasons: dict[tuple[str, ClipRequest, date], str] = {}

    def outcomes(self, asked: Sequence[Question], *, failures: bool) -> list[Outcome]:
        """Return an outcome per question; ``failures`` asks for what failed attempts cost."""
        self._quote(asked)
        return [self._settle(one, failures) for one in asked]

    def _request(self, segment: Segment) -> ClipRequest:
        if segment not in self._requests:
            self._requests[segment] = segment.request()
        return self._requests[segment]

    def _target(self, asked: Question) -> tuple[str, str]:
        key = (asked.segment, asked.place, asked.step, asked.logged)
        if key not in self._targets:
            self._targets[key] = _target(self.desk, asked)
        return self._targets[key]

    def _quote(self, asked: Sequence[Question]) -> None:
        wanted: dict[tuple[str, ClipRequest, date], None] = {}
        free = self.desk.apis
        for one in asked:
            request = self._request(one.segment)
            if _free_choice(self.desk, one):
                wanted.update(dict.fromkeys((name, request, one.day) for name in free))
                continue
            target, reason = self._target(one)
            if not reason and self.desk.sold(target):
                wanted[target, request, one.day] = None
        if wanted:
            names, requests, days = zip(*wanted, strict=True)
            self._api = dict(zip(wanted, catalog.quote_many(names, requests, days), strict=True))

    def _settle(self, asked: Question, failures: bool) -> Outcome:
        request = self._request(asked.segment)
        if _free_choice(self.desk, asked):
            return self._free(asked, request, failures)
        target, reason = self._target(asked)
        if reason:
            return Outcome(route=target, model=target, kind="", reason=reason)
        key = (target, request, asked.day, asked.segment.batch)
        if key not in self._settled:
            self._settled[key] = self._at(target, asked, request, failures)
        return self._settled[key]

    def _at(self, target: str, asked: Question, request: ClipRequest, failures: bool) -> Outcome:
        units, refused = [], []
        for number, (route, model, _) in enumerate(self.desk.routes):
            if target in (route, model):
                unit = self._hosted(number, request, asked.day)
                if isinstance(unit, str):
                    refused.append(unit)
                elif not _kept_off(self.desk, asked.segment.batch, route):
                    units.append(unit)
        if units:
            return _outcome(min(units, key=_by_price))
        if not self.desk.sold(target):
            return _refused(target, _own_reason(self.desk, target, asked, refused))
        return self._on_api(target, request, asked.day, failures)

    def _free(self, asked: Question, request: ClipRequest, failures: bool) -> Outcome:
        key = (asked.segment, asked.day)
        if key in self._settled:
            return self._settled[key]
        desk, segment = self.desk, asked.segment
        hosted = {}
        for number, (route, _, _) in enumerate(desk.routes):
            unit = self._hosted(number, request, asked.day)
            if isinstance(unit, UnitCost):
                hosted[route] = unit
        options = [_own_option(desk, segment, unit) for unit in hosted.values()]
        for name in desk.apis:
            micro = self._api[name, request, asked.day]
            if micro is not None:
                options.append(
                    _weighed(desk, segment, name, name, "api", float(usd(micro)), 0.0, "")
                )
        route = _cheapest(desk, segment, options)
        if not route:
            self._settled[key] = _nobody(desk)
        elif route in hosted:
            self._settled[key] = _outcome(hosted[route])
        else:
            self._settled[key] = self._on_api(route, request, asked.day, failures)
        return self._settled[key]

    def _hosted(self, number: int, request: ClipRequest, day: date) -> UnitCost | str:
        deployment = self.desk.scenario.deployments[number]
        if (number, day) not in self._rents:
            self._rents[number, day] = _no_rent(deployment, day)
        if self._rents[number, day]:
            return self._rents[number, day]
        if (number, request) not in self._clips:
            try:
                self._clips[number, request] = question(deployment, request)
            except CannotServe as error:
                self._clips[number, request] = str(error)
        clip = self._clips[number, request]
        if isinstance(clip, str):
            return clip
        if (number, clip, day) not in self._own:
            self._own[number, clip, day] = _own(deployment, request, day)
        return self._own[number, clip, day]

    def _on_api(self, model: str, request: ClipRequest, day: date, failures: bool) -> Outcome:
        micro = self._api[model, request, day]
        if micro is None:
            return _refused(model, self._reason(model, request, day))
        billed = not failures or on_api(model, request, day).failures_billed
        return Outcome(
            route=model,
            model=model,
            kind="api",
            micro_usd=micro,
            failed_micro_usd=micro if billed else 0,
        )

    def _reason(self, model: str, request: ClipRequest, day: date) -> str:
        key = (model, request, day)
        if key not in self._reasons:
            if not catalog.in_force(catalog.prices_of(model), day):
                self._reasons[key] = f"{model} is not on sale, or has no price yet, on that day"
            elif len(self._reasons) >= MOST_REASONS:
                self._reasons[key] = f"{model} does not sell such a clip on that day"
            else:
                self._reasons[key] = _why(model, request, day)
        return self._reasons[key]


def _why(model: str, request: ClipRequest, day: date) -> str:
    try:
        on_api(model, request, day)
    except CostlabError as error:
        return str(error)
    raise AssertionError(f"{model} on {day}: the path for many and the plain path disagree")
