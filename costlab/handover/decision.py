"""What a policy decides of one request, and what a projection decided as a policy of rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from costlab import catalog, routing
from costlab.core import InvalidArgument, plain
from costlab.handover.kinds import check, request_kinds, state_kinds
from costlab.projection import Projection


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a decision knows beyond the request.

    ``api_spent_usd`` are dollars spent on APIs this month, without what full own GPUs handed over;
    ``own_wait_s`` the seconds that own GPUs would keep this request waiting, 0 where one is free.
    """

    api_spent_usd: float = 0.0
    own_wait_s: float = 0.0


def select(policy: routing.Policy, request: Mapping[str, Any], state: State) -> str | None:
    """Return the route of one request; None where no rule takes it.

    ``request`` has every feature that the policy looks at by name, and an ``id`` if it splits;
    other fields do not matter. Raises `InvalidArgument` for a field that is missing or not of its
    kind (nothing is converted), the state's included where a budget or an overflow looks at it, and
    for a policy without rules (`as_rules` makes them).
    """
    rules_only(policy)
    try:
        check("request", request, request_kinds(policy))
        check("state", asdict(state), state_kinds(policy))
    except ValueError as error:
        raise InvalidArgument(str(error)) from error
    rule = next((rule for rule in policy.rules if rule.matches(request)), None)
    if rule is None:
        return None
    by_id = len(rule.parts) > 1
    route = routing.pick(rule.parts, routing.fraction(request["id"]) if by_id else 0.0)
    over, budget = policy.overflow, policy.budget
    spent = budget is not None and state.api_spent_usd >= float(budget.usd_per_month)
    if budget and spent and not on_own_gpus(route):
        route = budget.then
    if (
        over
        and on_own_gpus(route)
        and not request["batch"]
        and state.own_wait_s > over.after_wait_s
    ):
        route = over.to
    return route


def on_own_gpus(route: str | None) -> bool:
    """Whether a route's model runs on GPUs of one's own."""
    return route is not None and catalog.model(route.split("@")[0]).kind == "self_hosted"


def rules_only(policy: routing.Policy) -> None:
    """Raise `InvalidArgument` for a policy that has no rules to hand over."""
    if policy.kind != "rules":
        raise InvalidArgument(
            f"{policy.id} looks prices up and has no rules to hand over: name the scenario for "
            "which it decides (--scenario)"
        )


def as_rules(projection: Projection) -> routing.Policy:
    """Return what a projection decided as a policy of rules, one for each kind of request.

    A rule names the features in which the mix's segments differ; requests unlike any segment match
    none. Segments that differ in nothing share one rule, split as their clips are.
    """
    segments = projection.mix.segments
    seen = [segment.features() for segment in segments]
    telling = [
        name
        for name in seen[0]
        if name != "segment" and len({str(features[name]) for features in seen}) > 1
    ]
    splits: dict[tuple[tuple[str, Any], ...], dict[str, float]] = {}
    for segment, features in zip(segments, seen, strict=True):
        when = tuple((n, plain(features[n])) for n in telling if features[n] is not None)
        split = splits.setdefault(when, {})
        for result in projection.segments:
            if result.of == segment.name and not result.reason and result.route:
                split[result.route] = split.get(result.route, 0.0) + result.segment.share
    rules = []
    for when, split in splits.items():
        total = sum(split.values())
        if total and len(split) == 1:
            rules.append(routing.Rule(route=next(iter(split)), when=dict(when) or None))
        elif total:
            shares = {route: share / total for route, share in split.items()}
            rules.append(routing.Rule(split=shares, when=dict(when) or None))
    rules.sort(key=lambda rule: -len(rule.when or {}))
    if not rules:
        raise InvalidArgument(f"{projection.policy.id} serves nothing of {projection.mix.id}")
    return routing.Policy(
        id=f"{projection.policy.id}-{projection.scenario.id}"[:64],
        title=f"{projection.policy.title}, decided for {projection.scenario.title}",
        rules=tuple(rules),
        note=f"Decided on the prices and seconds of {projection.scenario.date}; requests unlike "
        "any segment of the mix match no rule.",
    )
