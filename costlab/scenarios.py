"""Scenarios: what to project, checked against every table they name, on file and in the store."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from costlab import catalog, performance, quality, routing, store, traffic
from costlab.core import BadData, CostlabError, Figure, InvalidArgument, UnknownName, plain
from costlab.unitcost import Deployment, UnitCost


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What to project: a mix under a policy on a day, with the deployments and APIs at hand.

    ``apis`` are the API models that a ``cheapest`` policy may choose from; rules may name others.
    ``clips_per_month`` replaces the mix's. ``p95_wait_s`` is the promise: 95 % of interactive
    requests of the week's busiest hour wait no longer for a free slot. ``batch_utilisation`` is how
    full the fleet may run, over the month, with batch work filled in. ``api_failure_share`` of API
    attempts fail, and moderation rejects ``api_moderated_share`` of the rest.
    """

    id: str
    title: str
    date: datetime.date
    mix: str
    policy: str
    deployments: tuple[Deployment, ...] = ()
    apis: tuple[str, ...] = ()
    clips_per_month: float | None = None
    p95_wait_s: float = 60.0
    batch_utilisation: float = 0.95
    api_failure_share: float = 0.0
    api_moderated_share: float = 0.0
    note: str = ""

    def __post_init__(self) -> None:
        problems = traffic.id_problems(self.id)
        if self.clips_per_month is not None:
            problems += traffic.volume_problems(self.clips_per_month)
        if not 0 < self.p95_wait_s < math.inf:
            problems.append(f"p95_wait_s must be a positive number, found {self.p95_wait_s}")
        if not 0 < self.batch_utilisation <= 1:
            problems.append(f"batch_utilisation must be in (0, 1], found {self.batch_utilisation}")
        for name in ("api_failure_share", "api_moderated_share"):
            if not 0 <= getattr(self, name) < 1:
                problems.append(f"{name} must be in [0, 1), found {getattr(self, name)}")
        if not self.deployments and not self.apis:
            problems.append("deployments, apis: a scenario needs at least one route")
        if problems:
            raise BadData(f"scenario {self.id}", problems)

    @property
    def api_lost_share(self) -> float:
        """The share of API attempts that bring no clip: they fail, or moderation rejects them.

        1 − (1 − failed)·(1 − rejected). Both are billed where the seller bills failures.
        """
        return 1 - (1 - self.api_failure_share) * (1 - self.api_moderated_share)


def check(scenario: Scenario, policy: routing.Policy) -> None:
    """Raise `BadData` naming every model, GPU, offer or rule the scenario gets wrong."""
    problems: list[str] = []

    def attempt(place: str, look_up: Any, *arguments: Any, **named: Any) -> None:
        try:
            look_up(*arguments, **named)
        except CostlabError as error:
            problems.append(f"{place}: {error}")

    for number, deployment in enumerate(scenario.deployments, 1):
        place = f"deployments[{number}]"
        attempt(f"{place}.model", _self_hosted_model, deployment.model)
        attempt(f"{place}.gpu", performance.gpu, deployment.gpu)
        attempt(f"{place}.offer", _offer_for, deployment, scenario.date)
    for number, api in enumerate(scenario.apis, 1):
        attempt(f"apis[{number}]", _api_model, api)
    if not problems:
        names = [deployment.route for deployment in scenario.deployments]
        problems += [
            f"deployments: {name} appears twice" for name in {*names} if names.count(name) > 1
        ]
        attempt("policy", _policy_routes, scenario, policy)
    if problems:
        raise BadData(f"scenario {scenario.id}", problems)


def _self_hosted_model(name: str) -> None:
    if catalog.model(name).kind != "self_hosted":
        raise InvalidArgument(f"{name} is an API model; a deployment needs a Wan model")


def _api_model(name: str) -> None:
    if catalog.model(name).kind != "api":
        raise InvalidArgument(f"{name} is self-hosted; name it under deployments instead")


def _offer_for(deployment: Deployment, as_of: datetime.date) -> None:
    offer = catalog.offer(deployment.offer, as_of=as_of)
    if offer.gpu != performance.gpu(deployment.gpu).id:
        raise InvalidArgument(f"{offer.id} rents {offer.gpu}, the deployment says {deployment.gpu}")
    if offer.purchase == "serverless":
        raise InvalidArgument(
            f"{offer.id} is serverless, billed by use; a deployment rents its GPUs all month"
        )


def _policy_routes(scenario: Scenario, policy: routing.Policy) -> None:
    for name in policy.named_routes:
        route_target(scenario, name)
    if policy.overflow and ("@" in policy.overflow.to or not _sold(policy.overflow.to)):
        raise InvalidArgument(
            f"overflow.to must be an API that takes what own GPUs hand over; "
            f"found {policy.overflow.to}"
        )


def _sold(name: str) -> bool:
    return catalog.model(name).kind == "api"


SCENARIOS = store.Shelf(
    table="scenarios", record=Scenario, pattern="scenarios/*.yaml", parse=store.read_mapping
)


def known() -> dict[str, Scenario]:
    """Return every scenario by id: the shipped ones, and on top of them the user's own."""
    shipped = {scenario.id: scenario for scenario in store.records(SCENARIOS)}
    return shipped | store.parsed_entries("scenario", Scenario)[0]


def shipped_ids() -> frozenset[str]:
    """Return the ids of the scenarios that ship, which nobody may save over."""
    return frozenset(scenario.id for scenario in store.records(SCENARIOS))


def unusable() -> tuple[str, ...]:
    """Return what is wrong with saved scenarios that can no longer be used, one text each."""
    return tuple(str(error) for error in store.parsed_entries("scenario", Scenario)[1].values())


def scenario(name: str) -> Scenario:
    """Return one scenario by id, or from a YAML file where ``name`` is a path to one."""
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.is_file():
            raise UnknownName(f"no scenario file {name}")
        return store.parse(store.read_mapping(path), Scenario, path.name)[0]
    found = known()
    if name not in found:
        broken = store.parsed_entries("scenario", Scenario)[1]
        if name in broken:
            raise broken[name]
        raise UnknownName.among("scenario", name, found)
    return found[name]


def parse_scenario(body: dict[str, Any], where: str = "scenario") -> Scenario:
    """Return a scenario from plain data; raises `BadData` listing every problem."""
    return store.parse([body], Scenario, where)[0]


def save(
    scenario: Scenario, mix: traffic.TrafficMix | None = None, *, who: str = "", why: str = ""
) -> None:
    """Check a scenario and keep it in the user's store, as the newest of its id.

    With ``mix`` its traffic is kept too, and becomes the scenario's. Raises `BadData`, and
    `InvalidArgument` for the id of a scenario that ships; then nothing is kept.
    """
    if scenario.id in shipped_ids():
        raise InvalidArgument(f"{scenario.id} ships with costlab: save under another name")
    if mix:
        scenario = replace(scenario, mix=mix.id)
    else:
        traffic.mix(scenario.mix)
    scenario = parse_scenario(plain(scenario))
    check(scenario, routing.policy(scenario.policy))
    if mix:
        traffic.save_mix(plain(mix), who=who, why=why)
    store.add_entry("scenario", scenario.id, plain(scenario), who=who, why=why)


def rating(scenario: Scenario, segment: traffic.Segment, unit: UnitCost) -> Figure | None:
    """Return what people give the picture of a route on the scenario's day; None: nobody knows."""
    return quality.rating(
        unit.model, segment.mode, as_of=scenario.date, audio=segment.audio, recipe=unit.recipe
    )


def weighed(scenario: Scenario, segment: traffic.Segment, unit: UnitCost) -> routing.Option:
    """Return what a policy weighs of a route.

    Its latency is an API's published time, or on own GPUs the render time and the promised wait.
    """
    rated = rating(scenario, segment, unit)
    renders, waits = unit.slot_s, scenario.p95_wait_s
    if unit.kind == "api":
        renders, waits = quality.latency(unit.model, as_of=scenario.date, mode=segment.mode), 0.0
    return routing.Option(
        route=unit.route,
        model=unit.model,
        kind=unit.kind,
        usd=float(unit.usd.value),
        rating=float(rated.value) if rated else None,
        latency_s=float(renders.value) + waits if renders else None,
        spot=any(d.spot for d in scenario.deployments if d.route == unit.route),
    )


def route_target(scenario: Scenario, name: str) -> str:
    """Return what a policy's route means: a deployment's route as it stands, else a model's id.

    Raises `UnknownName` for neither.
    """
    routes = [deployment.route for deployment in scenario.deployments]
    if name in routes:
        return name
    if "@" in name:
        raise UnknownName.among("deployment", name, routes)
    return catalog.model(name).id


def api_models(scenario: Scenario, routes: Iterable[str]) -> tuple[str, ...]:
    """Return the ids of the scenario's APIs and of those among ``routes``, each once."""
    named = [catalog.model(name) for name in (*scenario.apis, *routes) if "@" not in name]
    return tuple(dict.fromkeys(model.id for model in named if model.kind == "api"))
