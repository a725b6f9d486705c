"""Everything that engineers take: the files, test vectors among them."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

from costlab import routing
from costlab.core import RESOLUTIONS
from costlab.handover.code import python, typescript
from costlab.handover.decision import NULLABLE, State, json_type, select, used_names
from costlab.handover.policy_json import document, schema


def vectors(
    policy: routing.Policy, *, random_ones: int = 200, seed: int = 0
) -> list[dict[str, Any]]:
    """Return requests with states and the route that `select` gives each.

    First every combination of the values at which a rule's answer can change (at most 2,000 of
    them), then ``random_ones`` drawn with ``seed``. Keys: ``request``, ``state``, ``route``.
    """
    used = used_names(policy)
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
    if json_type(name) == "boolean":
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
    if json_type(name) == "number":
        ends = sorted({float(value) for value in flat})
        around = sorted({end + step for end in ends for step in (-0.5, 0.0, 0.5)})
        unknown = [None] if name in NULLABLE else []
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
    data: Mapping[str, Any] = {
        "policy.json": document(policy),
        "policy.schema.json": schema(),
        "vectors.json": vectors(policy),
    }
    texts = {
        name: json.dumps(body, indent=2, ensure_ascii=False) + "\n" for name, body in data.items()
    }
    return texts | {"select_model.ts": typescript(policy), "select_model.py": python(policy)}
