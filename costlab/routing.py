"""Routing policies as data: which route takes a request, and whether that route can make it.

A policy is either ordered rules (the first whose conditions all hold decides) or ``cheapest``,
which takes the routes that can make the clips at the lowest bill.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from costlab import store
from costlab.core import BadData, UnknownName
from costlab.traffic import FEATURES, Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """``route`` for requests whose features all equal ``when``; no ``when`` takes the rest."""

    route: str
    when: dict[str, str | bool] | None = None

    def matches(self, features: Mapping[str, Any]) -> bool:
        """Whether every condition holds."""
        return all(features[name] == value for name, value in (self.when or {}).items())

    @property
    def words(self) -> str:
        """The rule as a person would say it."""
        if not self.when:
            return f"otherwise → {self.route}"
        conditions = " and ".join(f"{name} is {value}" for name, value in self.when.items())
        return f"{conditions} → {self.route}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Ordered ``rules``, or the ``cheapest`` capable route ``among`` APIs, deployments or all.

    Routes are model names; aliases are resolved by the projection.
    """

    id: str
    title: str
    kind: Literal["rules", "cheapest"] = "rules"
    among: Literal["api", "self_hosted", "all"] = "all"
    rules: tuple[Rule, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        problems = []
        if self.kind == "rules" and not self.rules:
            problems.append("rules: a policy of kind rules needs at least one")
        if self.kind == "cheapest" and self.rules:
            problems.append("rules: a policy of kind cheapest has none")
        for number, rule in enumerate(self.rules, 1):
            for name in sorted(set(rule.when or {}) - FEATURES):
                known = ", ".join(sorted(FEATURES))
                problems.append(f"rules[{number}].when.{name}: unknown condition; known: {known}")
        if problems:
            raise BadData(f"policy {self.id}", problems)


def decide(policy: Policy, segment: Segment, usd_by_route: Mapping[str, float]) -> str | None:
    """Return the route of a segment's requests; None when no rule matches or no route can serve.

    For ``cheapest`` this is the route of the cheapest attempt; what idle GPUs do to that is the
    projection's matter.

    ``usd_by_route`` holds the routes that can make the clip; only ``cheapest`` looks at it. Ties go
    to the name that sorts first, so that the answer never depends on the order of a table.
    """
    if policy.kind == "cheapest":
        return min(usd_by_route, key=lambda route: (usd_by_route[route], route), default=None)
    features = segment.features()
    return next((rule.route for rule in policy.rules if rule.matches(features)), None)


def unreached(policy: Policy, segments: Iterable[Segment]) -> tuple[Rule, ...]:
    """Return the rules that no segment reaches, because earlier rules take all they would match."""
    left = {
        next((n for n, rule in enumerate(policy.rules) if rule.matches(segment.features())), None)
        for segment in segments
    }
    return tuple(rule for n, rule in enumerate(policy.rules) if n not in left)


POLICIES = store.Shelf(
    table="policies", record=Policy, pattern="policies/*.yaml", parse=store.read_mapping
)


def policies() -> dict[str, Policy]:
    """Return every policy by id: the shipped ones, and on top of them the user's own."""
    shipped = {policy.id: policy for policy in store.records(POLICIES)}
    return shipped | store.parsed_entries("policy", Policy)[0]


def policy(policy_id: str) -> Policy:
    """Return one policy; raises `UnknownName`."""
    known = policies()
    if policy_id not in known:
        raise UnknownName.among("policy", policy_id, known)
    return known[policy_id]


def parse_policy(body: dict[str, Any], where: str = "policy") -> Policy:
    """Return a policy from plain data; raises `BadData` listing every problem."""
    return store.parse([body], Policy, where)[0]
