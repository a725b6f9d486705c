"""Routing policies as data: which routes take a request, and in which shares.

A policy is either ordered rules (the first whose conditions all hold decides) or ``cheapest``,
which takes the routes that can make the clips at the lowest bill. Whichever it is, it may also
keep a floor of quality, a limit of latency, a budget for APIs, a way out when the GPUs are full,
and batch work on spot GPUs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from costlab import quality, store
from costlab.core import RESOLUTIONS, BadData, InvalidArgument, UnknownName
from costlab.traffic import FEATURES, Segment, id_problems

MOST_USD_PER_MONTH = 10**12
BOUNDS = ("above", "at_least", "below", "at_most")
_KINDS = {item.name: str(item.type) for item in fields(Segment)}
_YES_NO = frozenset(name for name, kind in _KINDS.items() if kind == "bool")
_NUMBERS = frozenset(name for name, kind in _KINDS.items() if kind in ("Decimal", "float | None"))
_ORDERED = _NUMBERS | {"resolution"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Where requests go whose features meet every condition of ``when``; without one, the rest.

    A condition is a value (equal to it), a list (any of it) or bounds such as ``{at_most: 5}``
    with ``above``, ``at_least``, ``below``, ``at_most``, for numbers and resolutions. ``route``
    takes every request; ``split`` gives each route its share, and the shares sum to one.
    """

    route: str | None = None
    split: dict[str, float] | None = None
    when: dict[str, Any] | None = None

    def matches(self, features: Mapping[str, Any]) -> bool:
        """Whether every condition holds. A feature that a request leaves open meets no bound."""
        return all(
            _holds(name, condition, features[name]) for name, condition in (self.when or {}).items()
        )

    @property
    def parts(self) -> tuple[Part, ...]:
        """The routes and their shares."""
        split = self.split or {str(self.route): 1.0}
        return tuple(Part(route=route, share=share) for route, share in split.items() if share)

    @property
    def words(self) -> str:
        """The rule as a person would say it."""
        goes = " + ".join(
            part.route if part.share == 1 else f"{part.share:.3g} {part.route}"
            for part in self.parts
        )
        if not self.when:
            return f"otherwise → {goes}"
        return " and ".join(_said(name, asked) for name, asked in self.when.items()) + f" → {goes}"

    def problems(self) -> list[str]:
        """Return what is wrong with the rule, each naming its field."""
        found = []
        if (self.route is None) == (self.split is None):
            found.append("name either a route or a split")
        if self.split is not None:
            total = math.fsum(self.split.values())
            fair = all(0 <= share <= 1 for share in self.split.values())
            if not self.split or not fair or not abs(total - 1) <= 1e-9:
                found.append(f"split: shares must not be negative and sum to 1, found {self.split}")
        for name, condition in (self.when or {}).items():
            found += [f"when.{name}: {text}" for text in _condition_problems(name, condition)]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A route and the share of the requests that it takes."""

    route: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """At most ``usd_per_month`` for APIs; once it is spent, requests go to ``then``."""

    usd_per_month: Decimal
    then: str

    def __post_init__(self) -> None:
        if not 0 <= self.usd_per_month <= MOST_USD_PER_MONTH:
            raise InvalidArgument(
                f"budget must be from 0 to {MOST_USD_PER_MONTH:,} dollars, got {self.usd_per_month}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Overflow:
    """Interactive requests that own GPUs would keep waiting over ``after_wait_s`` go ``to``."""

    to: str
    after_wait_s: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.after_wait_s < math.inf:
            raise InvalidArgument(f"after_wait_s must be 0 or more, got {self.after_wait_s}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Ordered ``rules``, or the ``cheapest`` capable route ``among`` APIs, deployments or all.

    Routes are model names; aliases are resolved by the projection. ``min_quality`` is the lowest
    arena rating and ``max_latency_s`` the longest time from request to video that any request
    accepts, on top of what its segment asks: a cheapest policy takes only routes that meet them,
    and of a rule's route it is said where it does not. ``batch_on_spot`` puts batch work on spot
    deployments and everything else on the others.
    """

    id: str
    title: str
    kind: Literal["rules", "cheapest"] = "rules"
    among: Literal["api", "self_hosted", "all"] = "all"
    rules: tuple[Rule, ...] = ()
    min_quality: float | None = None
    max_latency_s: float | None = None
    budget: Budget | None = None
    overflow: Overflow | None = None
    batch_on_spot: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        problems = id_problems(self.id)
        if self.kind == "rules" and not self.rules:
            problems.append("rules: a policy of kind rules needs at least one")
        if self.kind == "rules" and self.among != "all":
            problems.append("among: only a policy of kind cheapest chooses among routes")
        if self.kind == "cheapest" and self.rules:
            problems.append("rules: a policy of kind cheapest has none")
        if self.min_quality is not None and not math.isfinite(self.min_quality):
            problems.append(f"min_quality must be a number, found {self.min_quality}")
        if self.max_latency_s is not None and not 0 < self.max_latency_s < math.inf:
            problems.append(f"max_latency_s must be greater than 0, found {self.max_latency_s}")
        if not self.title.isprintable():
            problems.append(f"title must be one line of text, found {self.title!r}")
        for number, rule in enumerate(self.rules, 1):
            problems += [f"rules[{number}].{text}" for text in rule.problems()]
        if problems:
            raise BadData(f"policy {self.id}", problems)

    @property
    def named_routes(self) -> tuple[str, ...]:
        """Every route that the policy names, each once, in its own order."""
        named = [part.route for rule in self.rules for part in rule.parts]
        named += [self.budget.then] if self.budget else []
        named += [self.overflow.to] if self.overflow else []
        return tuple(dict.fromkeys(named))

    @property
    def words(self) -> tuple[str, ...]:
        """What the policy does, a line each."""
        lines = [rule.words for rule in self.rules]
        if self.kind == "cheapest":
            among = {"all": "route", "api": "API", "self_hosted": "deployment"}[self.among]
            lines.append(f"the {among} that makes the month's bill lowest")
        if self.min_quality is not None:
            lines.append(f"rated at least {self.min_quality:g}")
        if self.max_latency_s is not None:
            lines.append(f"within {self.max_latency_s:g} s of the request")
        if self.budget:
            lines.append(
                f"at most ${self.budget.usd_per_month:,} a month for APIs, then {self.budget.then}"
                + (" (what overflow costs comes on top)" if self.overflow else "")
            )
        if self.overflow:
            wait = self.overflow.after_wait_s
            soon = f"within {wait:g} s" if wait else "at once"
            lines.append(f"to {self.overflow.to} what own GPUs could not begin {soon}")
        if self.batch_on_spot:
            lines.append("batch work on spot GPUs, everything else on the others")
        return tuple(lines)

    def floor(self, segment: Segment) -> float | None:
        """Return the lowest arena rating that a request of the segment accepts."""
        return max(
            (q for q in (self.min_quality, segment.min_quality) if q is not None), default=None
        )

    def limit_s(self, segment: Segment) -> float | None:
        """Return the longest time from request to video that a request of the segment accepts."""
        asked = (self.max_latency_s, segment.max_latency_s)
        return min((s for s in asked if s is not None), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A route that can make a clip, with what a policy weighs; None where nobody knows.

    ``usd`` is for one attempt, ``rating`` an arena rating, ``latency_s`` from request to video.
    """

    route: str
    model: str
    kind: Literal["api", "self_hosted"]
    usd: float
    rating: float | None = None
    latency_s: float | None = None
    spot: bool = False


# ── Deciding ──────────────────────────────────────────────────────────────────────────────────


def decide(policy: Policy, segment: Segment, options: Sequence[Option]) -> tuple[Part, ...]:
    """Return the routes of a segment's requests and their shares; none where nothing fits.

    Rules name models, whether or not they can make the clip. ``cheapest`` looks at ``options``,
    those that can, and takes the cheapest attempt; what idle GPUs do to that is the projection's
    matter. Ties go to the name that sorts first, so that no order of a table decides.
    """
    if policy.kind == "cheapest":
        fit = [option for option in options if not unfit(policy, segment, option)]
        best = min(fit, key=lambda option: (option.usd, option.route), default=None)
        return (Part(route=best.route, share=1.0),) if best else ()
    features = segment.features()
    rule = next((rule for rule in policy.rules if rule.matches(features)), None)
    return rule.parts if rule else ()


def unfit(policy: Policy, segment: Segment, option: Option) -> str:
    """Return why a policy would not have an option take a segment, "" where it would.

    An unknown rating or latency does not meet a limit: absent is not good enough, nor zero.
    """
    if policy.among not in ("all", option.kind):
        return f"the policy takes {_AMONG[policy.among]} only"
    if batch_elsewhere(policy, segment, option):
        return "batch work goes to spot GPUs" if segment.batch else "spot GPUs are for batch work"
    return short_of_quality(policy, segment, option) or too_slow(policy, segment, option)


_AMONG = {"api": "APIs", "self_hosted": "own GPUs"}


def batch_elsewhere(policy: Policy, segment: Segment, option: Option) -> bool:
    """Whether a policy that keeps batch work on spot GPUs keeps a segment off this deployment."""
    return policy.batch_on_spot and option.kind == "self_hosted" and option.spot != segment.batch


def short_of_quality(policy: Policy, segment: Segment, option: Option) -> str:
    """Return in words how an option misses the quality that a segment asks, "" if it does not."""
    floor = policy.floor(segment)
    if floor is None:
        return ""
    if option.rating is None:
        return f"{option.model} has no public rating; {floor:g} is asked"
    return f"rated {option.rating:.0f}, below {floor:g}" if option.rating < floor else ""


def too_slow(policy: Policy, segment: Segment, option: Option) -> str:
    """Return in words how an option misses the latency that a segment asks, "" if it does not."""
    limit = policy.limit_s(segment)
    if limit is None or segment.batch:
        return ""
    if option.latency_s is None:
        return f"no source says how long {option.model} takes; {limit:g} s is asked"
    return f"takes {option.latency_s:.0f} s, over {limit:g} s" if option.latency_s > limit else ""


def shortfalls(policy: Policy, segment: Segment, option: Option) -> tuple[str, ...]:
    """Return in words what a segment asks and an option is known not to give."""
    found = [short_of_quality(policy, segment, option), too_slow(policy, segment, option)]
    capability = quality.capability(option.model)
    if capability:
        found += capability.lacks(faces=segment.faces, text=segment.text, lora=segment.lora)
    return tuple(text for text in found if text)


def unsure(segment: Segment, model: str) -> tuple[str, ...]:
    """Return in words which wishes of a segment no source speaks about for a model."""
    capability = quality.capability(model)
    return capability.unsure(faces=segment.faces, text=segment.text) if capability else ()


def fraction(request_id: str) -> float:
    """Return a request's place in [0, 1), by which a split sends it: FNV-1a of its id over 2^32.

    The 32-bit hash of the id's UTF-8 bytes (Fowler, Noll and Vo; draft-eastlake-fnv), mixed by
    MurmurHash3's finaliser so that ids that differ in their last letter spread evenly. The same id
    always goes the same way, on every machine and in every language.

    >>> fraction("a1") == fraction("a1"), 0 <= fraction("") < 1
    (True, True)
    """
    value = 0x811C9DC5
    for byte in _utf8(request_id):
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    value = (value ^ value >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    value = (value ^ value >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return (value ^ value >> 16) / 2**32


def _utf8(text: str) -> bytes:
    """Return UTF-8, a lone surrogate as U+FFFD: what JavaScript's TextEncoder does."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def pick(parts: Sequence[Part], place: float) -> str | None:
    """Return the route of the request at ``place`` in [0, 1): the parts laid end to end.

    >>> pick([Part(route="a", share=0.25), Part(route="b", share=0.75)], 0.25)
    'b'
    """
    reached = 0.0
    for part in parts:
        reached += part.share
        if place < reached:
            return part.route
    return parts[-1].route if parts else None


def unreached(policy: Policy, segments: Iterable[Segment]) -> tuple[Rule, ...]:
    """Return the rules that no segment reaches, because earlier rules take all they would match."""
    left = {
        next((n for n, rule in enumerate(policy.rules) if rule.matches(segment.features())), None)
        for segment in segments
    }
    return tuple(rule for n, rule in enumerate(policy.rules) if n not in left)


# ── Conditions ────────────────────────────────────────────────────────────────────────────────


def _rank(name: str, value: Any) -> float:
    return float(RESOLUTIONS[value]) if name == "resolution" else float(value)


def _holds(name: str, condition: Any, found: Any) -> bool:
    if isinstance(condition, Mapping):
        if found is None:
            return False
        value = _rank(name, found)
        return all(_within(bound, value, _rank(name, end)) for bound, end in condition.items())
    if isinstance(condition, (list, tuple)):
        return any(_holds(name, one, found) for one in condition)
    if name in _ORDERED and found is not None:
        return _rank(name, found) == _rank(name, condition)
    return bool(found == condition)


def _within(bound: str, value: float, end: float) -> bool:
    if bound == "above":
        return value > end
    if bound == "below":
        return value < end
    return value >= end if bound == "at_least" else value <= end


_SIGNS = {"above": ">", "at_least": "≥", "below": "<", "at_most": "≤"}


def _said(name: str, condition: Any) -> str:
    words = name.replace("_", " ")
    if isinstance(condition, Mapping):
        return " and ".join(f"{words} {_SIGNS[bound]} {end}" for bound, end in condition.items())
    if isinstance(condition, (list, tuple)):
        return f"{words} is " + " or ".join(str(one) for one in condition)
    if isinstance(condition, bool):
        yes, no = ("", "not ") if name == "batch" else ("with ", "without ")
        return f"{yes if condition else no}{words}"
    return f"{words} is {condition}"


def _condition_problems(name: str, condition: Any) -> list[str]:
    if name not in FEATURES:
        return [f"unknown condition; known: {', '.join(sorted(FEATURES))}"]
    if isinstance(condition, Mapping):
        if name not in _ORDERED:
            return [f"has no order, so no bounds; found {dict(condition)}"]
        unknown = sorted(set(condition) - set(BOUNDS))
        if unknown or not condition:
            return [f"bounds are {', '.join(BOUNDS)}; found {', '.join(unknown) or 'none'}"]
        return [text for end in condition.values() for text in _value_problems(name, end)]
    if isinstance(condition, (list, tuple)):
        if not condition:
            return ["an empty list matches nothing; take the condition out or list values"]
        return [text for one in condition for text in _value_problems(name, one)]
    return _value_problems(name, condition)


def _value_problems(name: str, value: Any) -> list[str]:
    if name in _YES_NO:
        return [] if isinstance(value, bool) else [f"must be true or false, found {value!r}"]
    if name in _NUMBERS:
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        return [] if math.isfinite(number) else [f"must be a number, found {value!r}"]
    if name == "resolution" and not (isinstance(value, str) and value in RESOLUTIONS):
        return [f"must be one of {', '.join(RESOLUTIONS)}, found {value!r}"]
    return [] if isinstance(value, str) else [f"must be a text, found {value!r}"]


# ── On file and in the store ──────────────────────────────────────────────────────────────────


POLICIES = store.Shelf(
    table="policies", record=Policy, pattern="policies/*.yaml", parse=store.read_mapping
)


def policies() -> dict[str, Policy]:
    """Return every policy by id: the shipped ones, and on top of them the user's own."""
    shipped = {policy.id: policy for policy in store.records(POLICIES)}
    return shipped | store.parsed_entries("policy", Policy)[0]


def shipped_ids() -> frozenset[str]:
    """Return the ids of the policies that ship, which nobody may save over."""
    return frozenset(policy.id for policy in store.records(POLICIES))


def policy(name: str) -> Policy:
    """Return one policy by id, or from a YAML or JSON file where ``name`` is a path to one."""
    if name.endswith((".yaml", ".yml", ".json")):
        path = Path(name)
        if not path.is_file():
            raise UnknownName(f"no policy file {name}")
        return store.parse(store.read_mapping(path), Policy, path.name)[0]
    known = policies()
    if name not in known:
        raise UnknownName.among("policy", name, known)
    return known[name]


def parse_policy(body: dict[str, Any], where: str = "policy") -> Policy:
    """Return a policy from plain data; raises `BadData` listing every problem."""
    return store.parse([body], Policy, where)[0]


def save_policy(body: dict[str, Any], *, who: str = "", why: str = "") -> Policy:
    """Check a policy and keep it in the user's store; raises for the id of one that ships."""
    checked = parse_policy(body)
    if checked.id in shipped_ids():
        raise InvalidArgument(f"{checked.id} ships with costlab: save under another name")
    store.add_entry("policy", checked.id, body, who=who, why=why)
    return checked
