"""A policy printed as code that needs no library.

Both languages say the same in the same order: check the fields that the policy looks at, take the
first rule whose conditions hold, then mind the budget and the overflow.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any, cast

from costlab import routing
from costlab.core import RESOLUTIONS
from costlab.handover import kinds
from costlab.handover.decision import on_own_gpus, rules_only
from costlab.handover.kinds import KINDS, RESOLUTION, YES_NO, Kind

_TS_CHECK = """
function check(
  name: string, found: unknown, fits: (found: unknown) => boolean, expected: string,
): void {
  if (fits(found)) return;
  const literal = typeof found === "string" || typeof found === "object";
  const shown = literal ? JSON.stringify(found) : String(found);
  throw new Error(`${name} must be ${expected}, found ${shown}`);
}
"""

_TS_FRACTION = """
/** A request's place in [0, 1): FNV-1a of its id, mixed by MurmurHash3's finaliser, over 2^32. */
function fraction(id: string): number {
  let value = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(id)) {
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

_PY_CHECK_IMPORT = "from collections.abc import Callable, Mapping"
_PY_FRACTION = '''

def _fraction(request_id: str) -> float:
    """A request's place in [0, 1): FNV-1a of its id, finished as MurmurHash3 does, over 2^32."""
    value = 0x811C9DC5
    text = request_id.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
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
    request, state = kinds.request_kinds(policy), kinds.state_kinds(policy)
    lines = [f"// {_origin(policy)}", "", "export interface Request {"]
    for name, kind in request.items():
        lines.append(f"  {name}: {kind.json}{' | null' if kind.nullable else ''};")
    lines += [
        "}",
        "",
        "/** API dollars spent this month; seconds that own GPUs would let the request wait. */",
        "export interface State {",
        "  apiSpentUsd: number;",
        "  ownWaitS: number;",
        "}",
    ]
    if RESOLUTION in request.values():
        table = json.dumps(list(RESOLUTIONS.items()))
        lines += ["", f"const RESOLUTIONS = new Map<string, number>({table});"]
    if state:
        lines += ["", f"const OWN_GPUS = new Set<string>({json.dumps(_own(policy))});"]
    if request or state:
        lines += _TS_CHECK.rstrip("\n").split("\n")
    if kinds.splits(policy):
        lines += _TS_FRACTION.rstrip("\n").split("\n")
    lines += ["", "function byRules(request: Request): string | null {"]
    for rule in policy.rules:
        goes = json.dumps(rule.parts[0].route)
        if len(rule.parts) > 1:
            parts = ", ".join(f"[{json.dumps(p.route)}, {p.share!r}]" for p in rule.parts)
            goes = f"pick([{parts}], fraction(request.id))"
        asked = _conditions(rule, _TYPESCRIPT)
        lines.append(f"  if ({asked}) return {goes};" if asked else f"  return {goes};")
    if all(rule.when for rule in policy.rules):
        lines.append("  return null;")
    lines += ["}", ""]
    lines += ["export function selectModel(request: Request, state: State): string | null {"]
    lines += [_ts_check(f"request.{name}", kind) for name, kind in request.items()]
    lines += [_ts_check(f"state.{_TS_STATE[name]}", kind) for name, kind in state.items()]
    if not state:
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
    request, state = kinds.request_kinds(policy), kinds.state_kinds(policy)
    looked_at = [*request.values(), *state.values()]
    imports = {line for kind in looked_at for line in (*kind.imports, _PY_CHECK_IMPORT)}
    lines = [json.dumps(_origin(policy), ensure_ascii=False), ""]
    lines += sorted(
        imports | {"from typing import Any"}, key=lambda line: (line.startswith("from"), line)
    )
    if state:
        lines += ["", f"OWN_GPUS = frozenset({json.dumps(_own(policy))})"]
    if RESOLUTION in looked_at:
        lines += ["", f"RESOLUTIONS = {json.dumps(RESOLUTIONS)}"]
    if looked_at:
        tests = dict.fromkeys(test for kind in looked_at for test in kind.python)
        for function in (kinds.check_field, *tests):
            lines += ["", "", inspect.getsource(cast(FunctionType, function)).rstrip("\n")]
    if kinds.splits(policy):
        lines += _PY_FRACTION.rstrip("\n").split("\n")
    lines += ["", "", "def _by_rules(request: dict[str, Any]) -> str | None:"]
    for rule in policy.rules:
        goes = repr(rule.parts[0].route)
        if len(rule.parts) > 1:
            parts = ", ".join(f"({p.route!r}, {p.share!r})" for p in rule.parts)
            goes = f'_pick([{parts}], _fraction(request["id"]))'
        asked = _conditions(rule, _PYTHON)
        lines += [f"    if {asked}:", f"        return {goes}"] if asked else [f"    return {goes}"]
    if all(rule.when for rule in policy.rules):
        lines.append("    return None")
    lines += [
        "",
        "",
        "def select_model(request: dict[str, Any], state: dict[str, Any]) -> str | None:",
        '    """Return the route of a request; state: api_spent_usd this month, own_wait_s now."""',
    ]
    lines += [_py_check("request", name, kind) for name, kind in request.items()]
    lines += [_py_check("state", name, kind) for name, kind in state.items()]
    if not state:
        return "\n".join([*lines, "    return _by_rules(request)", ""])
    lines += ["    route = _by_rules(request)", "    if route is None:", "        return None"]
    if policy.budget:
        spent = f'state["api_spent_usd"] >= {float(policy.budget.usd_per_month)!r}'
        lines += [
            f"    if route not in OWN_GPUS and {spent}:",
            f"        route = {policy.budget.then!r}",
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


def _own(policy: routing.Policy) -> list[str]:
    return sorted(route for route in policy.named_routes if on_own_gpus(route))


_TS_STATE = {"api_spent_usd": "apiSpentUsd", "own_wait_s": "ownWaitS"}


def _ts_check(field: str, kind: Kind) -> str:
    return f'  check("{field}", {field}, (found) => {kind.typescript}, "{kind.expected}");'


def _py_check(where: str, name: str, kind: Kind) -> str:
    test = kind.python[-1].__name__
    return f'    check_field("{where}", {where}, "{name}", {test}, "{kind.expected}")'


# ── Conditions ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class _Syntax:
    """How a language writes a condition; ``{}`` stands for what is looked at."""

    field: str
    side: str
    number: str
    known: str
    negated: str
    equal: str
    both: str
    either: str
    literal: Callable[[str], str]


_TYPESCRIPT = _Syntax(
    field="request.{}",
    side="RESOLUTIONS.get({})!",
    number="{}",
    known="{} !== null",
    negated="!{}",
    equal="===",
    both=" && ",
    either=" || ",
    literal=json.dumps,
)
_PYTHON = _Syntax(
    field='request["{}"]',
    side="RESOLUTIONS[{}]",
    number="float({})",  # whole numbers and decimals round as JavaScript's and `select`'s do
    known="{} is not None",
    negated="not {}",
    equal="==",
    both=" and ",
    either=" or ",
    literal=repr,
)
_SIGNS = {"above": ">", "at_least": ">=", "below": "<", "at_most": "<="}


def _conditions(rule: routing.Rule, syntax: _Syntax) -> str:
    return syntax.both.join(_test(n, asked, syntax) for n, asked in (rule.when or {}).items())


def _test(name: str, asked: Any, syntax: _Syntax) -> str:
    kind = KINDS[name]
    field = syntax.field.format(name)
    if isinstance(asked, (list, tuple)):
        tests = [_test(name, one, syntax) for one in asked]
        return f"({syntax.either.join(tests)})" if len(tests) > 1 else tests[0]
    if kind is YES_NO:
        return field if asked else syntax.negated.format(field)
    if kind is RESOLUTION:
        value = syntax.side.format(field)
    elif kind.json == "number":
        value = syntax.number.format(field)
    else:
        return f"{field} {syntax.equal} {syntax.literal(asked)}"
    known = [syntax.known.format(field)] if kind.nullable else []
    if isinstance(asked, Mapping):
        bounds = [f"{value} {_SIGNS[b]} {_end(kind, end)}" for b, end in asked.items()]
    else:
        bounds = [f"{value} {syntax.equal} {_end(kind, asked)}"]
    return syntax.both.join(known + bounds)


def _end(kind: Kind, value: Any) -> str:
    return repr(RESOLUTIONS[value] if kind is RESOLUTION else float(value))
