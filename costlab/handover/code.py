"""A policy printed as code that needs no library."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from costlab import routing
from costlab.core import RESOLUTIONS
from costlab.handover.decision import NULLABLE, json_type, on_own_gpus, rules_only, used_names


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
    rules_only(policy)
    lines = [f"// {_origin(policy)}", ""]
    lines += ["export interface Request {", "  id: string;"]
    for name in used_names(policy):
        nullable = " | null" if name in NULLABLE else ""
        lines.append(f"  {name}: {json_type(name)}{nullable};")
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
    own = [route for route in policy.named_routes if on_own_gpus(route)]
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
    rules_only(policy)
    own = sorted(route for route in policy.named_routes if on_own_gpus(route))
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


def _ts_checks(policy: routing.Policy) -> list[str]:
    """Return lines that refuse a request which lacks a field or has a resolution unknown here."""
    lines = []
    for name in used_names(policy):
        lacks = f"request.{name} === undefined"
        if name not in NULLABLE:
            lacks = f"request.{name} === undefined || request.{name} === null"
        if name == "resolution":
            lacks = "!SHORT_SIDE.has(request.resolution)"
        lines.append(f'  if ({lacks}) throw new Error("request.{name} is missing or unknown");')
    return lines


def _py_checks(policy: routing.Policy) -> list[str]:
    """Return the same lines in Python."""
    lines = []
    for name in used_names(policy):
        lacks = f'request.get("{name}") is None'
        if name in NULLABLE:
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
        known = [f"{field} !== null"] if name in NULLABLE else []
        return "(" + " && ".join(known + bounds) + ")"
    if name == "resolution":
        return f"SHORT_SIDE.get({field}) === {RESOLUTIONS[asked]}"
    if json_type(name) == "number":
        unless_null = f"{field} !== null && " if name in NULLABLE else ""
        return f"({unless_null}Number({field}) === {_number(name, asked)})"
    return f"{field} === {json.dumps(asked)}"


def _py_test(name: str, asked: Any) -> str:
    field = f'request["{name}"]'
    if isinstance(asked, (list, tuple)):
        return "(" + " or ".join(_py_test(name, one) for one in asked) + ")"
    if isinstance(asked, Mapping):
        value = f"SHORT_SIDE[{field}]" if name == "resolution" else f"float({field})"
        bounds = [f"{value} {_SIGNS[b]} {_number(name, end)}" for b, end in asked.items()]
        known = [f"{field} is not None"] if name in NULLABLE else []
        return "(" + " and ".join(known + bounds) + ")"
    if name == "resolution":
        return f"SHORT_SIDE[{field}] == {RESOLUTIONS[asked]}"
    if json_type(name) == "number":
        unless_none = f"{field} is not None and " if name in NULLABLE else ""
        return f"({unless_none}float({field}) == {_number(name, asked)})"
    return f"{field} is {asked}" if isinstance(asked, bool) else f"{field} == {asked!r}"


def _number(name: str, value: Any) -> str:
    return repr(RESOLUTIONS[value]) if name == "resolution" else repr(float(value))
