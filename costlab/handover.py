"""A policy as engineers take it: JSON with its schema, and the same decision in other languages.

`select` is the decision; `typescript` and `python` print it as code that needs no library, and
`vectors` prints requests with the answers of `select`, for the receiving side's own tests. What a
policy looks at beyond the request travels as `State`: what the month has spent on APIs, and how
long own GPUs would keep a request waiting.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from itertools import product
from typing import Any

from costlab import catalog, routing, traffic
from costlab.core import RESOLUTIONS, InvalidArgument, plain
from costlab.projection import Projection

_PLAIN = traffic.Segment(name="", share=0, seconds=Decimal(5)).features()
_KINDS = {item.name: str(item.type) for item in fields(traffic.Segment)}


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

    ``request`` has an ``id``, which a split needs, and every feature that the policy looks at by
    name. Raises `InvalidArgument` for a request without one, for a resolution unknown here, and
    for a policy without rules (`as_rules` makes them).
    """
    _rules_only(policy)
    for name in _used(policy):
        found = request.get(name)
        if name not in request or (found is None and name not in _NULLABLE):
            raise InvalidArgument(f"request.{name} is missing")
        if name == "resolution" and found not in RESOLUTIONS:
            raise InvalidArgument(f"request.resolution {found!r} is unknown")
    features = _PLAIN | dict(request)
    rule = next((rule for rule in policy.rules if rule.matches(features)), None)
    if rule is None:
        return None
    route = routing.pick(rule.parts, routing.fraction(str(features.get("id", ""))))
    over, budget = policy.overflow, policy.budget
    spent = budget is not None and state.api_spent_usd >= float(budget.usd_per_month)
    if budget and spent and not _own(route):
        route = budget.then
    if over and _own(route) and not features["batch"] and state.own_wait_s > over.after_wait_s:
        route = over.to
    return route


def _own(route: str | None) -> bool:
    return route is not None and catalog.model(route.split("@")[0]).kind == "self_hosted"


def _rules_only(policy: routing.Policy) -> None:
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
    taken: dict[str, dict[str, float]] = {}
    conditions: dict[str, dict[str, Any]] = {}
    for segment, features in zip(segments, seen, strict=True):
        when = {n: plain(features[n]) for n in telling if features[n] is not None}
        key = json.dumps(when, sort_keys=True, default=str)
        conditions[key] = when
        split = taken.setdefault(key, {})
        for result in projection.segments:
            if result.of == segment.name and not result.reason and result.route:
                split[result.route] = split.get(result.route, 0.0) + result.segment.share
    rules = []
    for key, split in taken.items():
        total = sum(split.values())
        if not total:
            continue
        conditions_or_none = conditions[key] or None
        if len(split) == 1:
            rules.append(routing.Rule(route=next(iter(split)), when=conditions_or_none))
        else:
            shares = {route: share / total for route, share in split.items()}
            rules.append(routing.Rule(split=shares, when=conditions_or_none))
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


# ── JSON ──────────────────────────────────────────────────────────────────────────────────────


def document(policy: routing.Policy) -> dict[str, Any]:
    """Return the policy as plain JSON data that `schema` describes and `routing` reads back."""
    _rules_only(policy)
    body: dict[str, Any] = plain(policy)
    body["rules"] = [
        {key: value for key, value in rule.items() if value is not None} for rule in body["rules"]
    ]
    return {key: value for key, value in body.items() if value not in (None, "", [])}


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a policy's document."""
    conditions = {}
    for name in sorted(traffic.FEATURES):
        conditions[name] = _condition_schema(name)
    rule = {
        "type": "object",
        "additionalProperties": False,
        "oneOf": [{"required": ["route"]}, {"required": ["split"]}],
        "properties": {
            "route": {"type": "string", "description": "takes every request of the rule"},
            "split": {
                "type": "object",
                "description": "share of each route, by the request id's place in [0, 1)",
                "minProperties": 1,
                "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1},
            },
            "when": {
                "type": "object",
                "description": "all must hold; without conditions the rule takes the rest",
                "additionalProperties": False,
                "properties": conditions,
            },
        },
    }
    number = {"type": "number"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "costlab routing policy",
        "type": "object",
        "required": ["id", "title", "kind", "rules"],
        "additionalProperties": False,
        "properties": {
            "id": {"type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,63}$"},
            "title": {"type": "string"},
            "kind": {"const": "rules"},
            "among": {"enum": ["api", "self_hosted", "all"]},
            "rules": {"type": "array", "minItems": 1, "items": rule},
            "min_quality": number,
            "max_latency_s": {"type": "number", "exclusiveMinimum": 0},
            "budget": {
                "type": "object",
                "required": ["usd_per_month", "then"],
                "additionalProperties": False,
                "properties": {
                    "usd_per_month": {"type": "string", "description": "decimal"},
                    "then": {"type": "string"},
                },
            },
            "overflow": {
                "type": "object",
                "required": ["to"],
                "additionalProperties": False,
                "properties": {
                    "to": {"type": "string"},
                    "after_wait_s": {"type": "number", "minimum": 0},
                },
            },
            "batch_on_spot": {"type": "boolean"},
            "note": {"type": "string"},
        },
    }


def _condition_schema(name: str) -> dict[str, Any]:
    kind = _json_type(name)
    one: dict[str, Any] = {"type": ["number", "string"] if kind == "number" else kind}
    if name == "resolution":
        one = {"enum": list(RESOLUTIONS)}
    allowed = [one, {"type": "array", "minItems": 1, "items": one}]
    if kind == "number" or name == "resolution":
        bounds = {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": False,
            "properties": dict.fromkeys(routing.BOUNDS, one),
        }
        allowed.append(bounds)
    return {"anyOf": allowed}


def _json_type(name: str) -> str:
    kind = _KINDS.get(name, "str")
    if kind == "bool":
        return "boolean"
    return "number" if kind in ("Decimal", "float | None") else "string"


# ── Code ──────────────────────────────────────────────────────────────────────────────────────


def _used(policy: routing.Policy) -> list[str]:
    used = {name for rule in policy.rules for name in rule.when or {}}
    return sorted(used | ({"batch"} if policy.overflow else set()))


def _split(policy: routing.Policy) -> bool:
    return any(len(rule.parts) > 1 for rule in policy.rules)


_TS_FRACTION = """
/** A request's place in [0, 1): FNV-1a of its id, mixed by MurmurHash3's finaliser, over 2^32. */
function fraction(id: string): number {
  let value = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(String(id))) {
    value = Math.imul(value ^ byte, 0x01000193) >>> 0;
  }
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b) >>> 0;
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35) >>> 0;
  return ((value ^ (value >>> 16)) >>> 0) / 4294967296;
}

/** The route at a place, the shares laid end to end. */
function pick(parts: [string, number][], place: number): string {
  let reached = 0;
  for (const [route, share] of parts) {
    reached += share;
    if (place < reached) return route;
  }
  return parts[parts.length - 1][0];
}
"""

_PY_FRACTION = '''

def _fraction(request_id: str) -> float:
    """A request's place in [0, 1): FNV-1a of its id, finished as MurmurHash3 does, over 2^32."""
    value = 0x811C9DC5
    text = str(request_id).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    for byte in text.encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    value = (value ^ value >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    value = (value ^ value >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return (value ^ value >> 16) / 2**32


def _pick(parts: list[tuple[str, float]], place: float) -> str:
    """The route at a place, the shares laid end to end."""
    reached = 0.0
    for route, share in parts:
        reached += share
        if place < reached:
            return route
    return parts[-1][0]
'''


def typescript(policy: routing.Policy) -> str:
    """Return the policy as a TypeScript module that exports ``selectModel(request, state)``."""
    _rules_only(policy)
    lines = [f"// {_origin(policy)}", ""]
    lines += ["export interface Request {", "  id: string;"]
    for name in _used(policy):
        nullable = " | null" if name in _NULLABLE else ""
        lines.append(f"  {name}: {_json_type(name)}{nullable};")
    lines += ["}", ""]
    lines += [
        "/** API dollars spent this month; seconds that own GPUs would let the request wait. */",
        "export interface State {",
        "  apiSpentUsd: number;",
        "  ownWaitS: number;",
        "}",
    ]
    if _ranked(policy):
        table = ", ".join(f"{json.dumps(k)}: {v}" for k, v in RESOLUTIONS.items())
        lines += ["", f"const SHORT_SIDE = new Map<string, number>(Object.entries({{ {table} }}));"]
    own = [route for route in policy.named_routes if _own(route)]
    stateful = policy.overflow is not None or policy.budget is not None
    if stateful:
        lines += ["", f"const OWN_GPUS = new Set<string>({json.dumps(own)});"]
    if _split(policy):
        lines += _TS_FRACTION.rstrip("\n").split("\n")
    lines += ["", "function byRules(request: Request): string | null {", *_ts_checks(policy)]
    for rule in policy.rules:
        goes = json.dumps(rule.parts[0].route)
        if len(rule.parts) > 1:
            parts = ", ".join(f"[{json.dumps(p.route)}, {p.share!r}]" for p in rule.parts)
            goes = f"pick([{parts}], fraction(request.id))"
        tests = [_ts_test(name, asked) for name, asked in (rule.when or {}).items()]
        condition = f"if ({' && '.join(tests)}) " if tests else ""
        lines.append(f"  {condition}return {goes};")
    if all(rule.when for rule in policy.rules):
        lines.append("  return null;")
    lines += ["}", ""]
    lines += ["export function selectModel(request: Request, state: State): string | null {"]
    if not stateful:
        return "\n".join([*lines, "  return byRules(request);", "}", ""])
    lines += ["  let route = byRules(request);", "  if (route === null) return null;"]
    if policy.budget:
        then = json.dumps(policy.budget.then)
        spent = f"state.apiSpentUsd >= {float(policy.budget.usd_per_month)!r}"
        lines.append(f"  if (!OWN_GPUS.has(route) && {spent}) route = {then};")
    if policy.overflow:
        wait = f"state.ownWaitS > {policy.overflow.after_wait_s!r}"
        lines.append(
            f"  if (OWN_GPUS.has(route) && !request.batch && {wait}) "
            f"route = {json.dumps(policy.overflow.to)};"
        )
    lines += ["  return route;", "}", ""]
    return "\n".join(lines)


def python(policy: routing.Policy) -> str:
    """Return the policy as a Python module with ``select_model(request, state)``."""
    _rules_only(policy)
    own = sorted(route for route in policy.named_routes if _own(route))
    lines = [
        json.dumps(_origin(policy), ensure_ascii=False),
        "",
        f"OWN_GPUS = frozenset({json.dumps(own)})",
    ]
    if _ranked(policy):
        lines.append(f"SHORT_SIDE = {json.dumps(RESOLUTIONS)}")
    if _split(policy):
        lines += _PY_FRACTION.rstrip("\n").split("\n")
    lines += ["", "", "def _by_rules(request: dict) -> str | None:", *_py_checks(policy)]
    for rule in policy.rules:
        goes = repr(rule.parts[0].route)
        if len(rule.parts) > 1:
            parts = ", ".join(f"({p.route!r}, {p.share!r})" for p in rule.parts)
            goes = f'_pick([{parts}], _fraction(request["id"]))'
        tests = [_py_test(name, asked) for name, asked in (rule.when or {}).items()]
        if tests:
            lines += [f"    if {' and '.join(tests)}:", f"        return {goes}"]
        else:
            lines.append(f"    return {goes}")
    if all(rule.when for rule in policy.rules):
        lines.append("    return None")
    lines += [
        "",
        "",
        "def select_model(request: dict, state: dict) -> str | None:",
        '    """Return the route of a request; state: api_spent_usd this month, own_wait_s now."""',
        "    route = _by_rules(request)",
        "    if route is None:",
        "        return None",
    ]
    if policy.budget:
        then = repr(policy.budget.then)
        spent = f'state["api_spent_usd"] >= {float(policy.budget.usd_per_month)!r}'
        lines += [
            f"    if route not in OWN_GPUS and {spent}:",
            f"        route = {then}",
        ]
    if policy.overflow:
        wait = f'state["own_wait_s"] > {policy.overflow.after_wait_s!r}'
        lines += [
            f'    if route in OWN_GPUS and not request["batch"] and {wait}:',
            f"        route = {policy.overflow.to!r}",
        ]
    lines += ["    return route", ""]
    return "\n".join(lines)


def _origin(policy: routing.Policy) -> str:
    spot = " Batch work goes to the spot GPUs of its route." if policy.batch_on_spot else ""
    return f"{policy.title}. Generated by costlab from the policy {policy.id}.{spot}"


_NULLABLE = ("min_quality", "max_latency_s")


def _ts_checks(policy: routing.Policy) -> list[str]:
    """Return lines that refuse a request which lacks a field or has a resolution unknown here."""
    lines = []
    for name in _used(policy):
        lacks = f"request.{name} === undefined"
        if name not in _NULLABLE:
            lacks = f"request.{name} === undefined || request.{name} === null"
        if name == "resolution":
            lacks = "!SHORT_SIDE.has(request.resolution)"
        lines.append(f'  if ({lacks}) throw new Error("request.{name} is missing or unknown");')
    return lines


def _py_checks(policy: routing.Policy) -> list[str]:
    """Return the same lines in Python."""
    lines = []
    for name in _used(policy):
        lacks = f'request.get("{name}") is None'
        if name in _NULLABLE:
            lacks = f'"{name}" not in request'
        if name == "resolution":
            lacks = 'request.get("resolution") not in SHORT_SIDE'
        lines.append(f"    if {lacks}:")
        lines.append(f'        raise ValueError("request.{name} is missing or unknown")')
    return lines


def _ranked(policy: routing.Policy) -> bool:
    return any("resolution" in (rule.when or {}) for rule in policy.rules)


_SIGNS = {"above": ">", "at_least": ">=", "below": "<", "at_most": "<="}


def _ts_test(name: str, asked: Any) -> str:
    field = f"request.{name}"
    if isinstance(asked, (list, tuple)):
        return "(" + " || ".join(_ts_test(name, one) for one in asked) + ")"
    if isinstance(asked, Mapping):
        value = f"SHORT_SIDE.get({field})!" if name == "resolution" else f"Number({field})"
        bounds = [f"{value} {_SIGNS[b]} {_number(name, end)}" for b, end in asked.items()]
        known = [f"{field} !== null"] if name in _NULLABLE else []
        return "(" + " && ".join(known + bounds) + ")"
    if name == "resolution":
        return f"SHORT_SIDE.get({field}) === {RESOLUTIONS[asked]}"
    if _json_type(name) == "number":
        unless_null = f"{field} !== null && " if name in _NULLABLE else ""
        return f"({unless_null}Number({field}) === {_number(name, asked)})"
    return f"{field} === {json.dumps(asked)}"


def _py_test(name: str, asked: Any) -> str:
    field = f'request["{name}"]'
    if isinstance(asked, (list, tuple)):
        return "(" + " or ".join(_py_test(name, one) for one in asked) + ")"
    if isinstance(asked, Mapping):
        value = f"SHORT_SIDE[{field}]" if name == "resolution" else f"float({field})"
        bounds = [f"{value} {_SIGNS[b]} {_number(name, end)}" for b, end in asked.items()]
        known = [f"{field} is not None"] if name in _NULLABLE else []
        return "(" + " and ".join(known + bounds) + ")"
    if name == "resolution":
        return f"SHORT_SIDE[{field}] == {RESOLUTIONS[asked]}"
    if _json_type(name) == "number":
        unless_none = f"{field} is not None and " if name in _NULLABLE else ""
        return f"({unless_none}float({field}) == {_number(name, asked)})"
    return f"{field} is {asked}" if isinstance(asked, bool) else f"{field} == {asked!r}"


def _number(name: str, value: Any) -> str:
    return repr(RESOLUTIONS[value]) if name == "resolution" else repr(float(value))


# ── Test vectors ──────────────────────────────────────────────────────────────────────────────


def vectors(
    policy: routing.Policy, *, random_ones: int = 200, seed: int = 0
) -> list[dict[str, Any]]:
    """Return requests with states and the route that `select` gives each.

    First every combination of the values at which a rule's answer can change (at most 2,000 of
    them), then ``random_ones`` drawn with ``seed``. Keys: ``request``, ``state``, ``route``.
    """
    used = _used(policy)
    values = {name: _telling(policy, name) for name in used}
    states = _states(policy)
    draw = random.Random(seed)
    combinations = list(product(*values.values()))
    if len(combinations) > 2000:
        combinations = draw.sample(combinations, 2000)
    cases = [
        ({"id": f"vector-{n}"} | dict(zip(used, combination, strict=True)), states[n % len(states)])
        for n, combination in enumerate(combinations)
    ]
    for n in range(random_ones):
        request = {name: draw.choice(values[name]) for name in used}
        cases.append(({"id": f"random-{seed}-{n}"} | request, draw.choice(states)))
    return [
        {
            "request": request,
            "state": {"api_spent_usd": state.api_spent_usd, "own_wait_s": state.own_wait_s},
            "route": select(policy, request, state),
        }
        for request, state in cases
    ]


def _telling(policy: routing.Policy, name: str) -> list[Any]:
    """Return values of a feature on every side of every condition that looks at it."""
    if _json_type(name) == "boolean":
        return [False, True]
    asked = [rule.when[name] for rule in policy.rules if rule.when and name in rule.when]
    flat: list[Any] = []
    for condition in asked:
        if isinstance(condition, Mapping):
            flat += condition.values()
        elif isinstance(condition, (list, tuple)):
            flat += condition
        else:
            flat.append(condition)
    if name == "resolution":
        return list(RESOLUTIONS)
    if _json_type(name) == "number":
        ends = sorted({float(value) for value in flat})
        around = sorted({end + step for end in ends for step in (-0.5, 0.0, 0.5)})
        unknown = [None] if name in _NULLABLE else []
        return [*unknown, *around]
    return [*sorted({str(value) for value in flat}), "something else"]


def _states(policy: routing.Policy) -> list[State]:
    states = [State()]
    if policy.budget:
        cap = float(policy.budget.usd_per_month)
        states += [State(api_spent_usd=cap), State(api_spent_usd=cap + 1)]
    if policy.overflow:
        wait = policy.overflow.after_wait_s
        states += [replace(s, own_wait_s=w) for s in states for w in (wait, wait + 1)]
    return states


def files(policy: routing.Policy) -> dict[str, str]:
    """Return everything that engineers take, as text by file name."""
    code: Sequence[tuple[str, Any]] = (
        ("policy.json", document(policy)),
        ("policy.schema.json", schema()),
        ("vectors.json", vectors(policy)),
    )
    texts = {name: json.dumps(body, indent=2, ensure_ascii=False) + "\n" for name, body in code}
    return texts | {"select_model.ts": typescript(policy), "select_model.py": python(policy)}
