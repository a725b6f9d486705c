"""Everything that engineers take: the files, test vectors among them."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import asdict, replace
from itertools import product
from typing import Any

from costlab import routing
from costlab.core import RESOLUTIONS
from costlab.handover.code import python, typescript
from costlab.handover.decision import State, select
from costlab.handover.kinds import RESOLUTION, YES_NO, Kind, features
from costlab.handover.policy_json import document, schema


def vectors(
    policy: routing.Policy, *, random_ones: int = 200, seed: int = 0
) -> list[dict[str, Any]]:
    """Return requests with states and the route that `select` gives each.

    First every combination of the values at which a rule's answer can change (at most 2,000 of
    them), then ``random_ones`` drawn with ``seed``. Keys: ``request``, ``state``, ``route``.
    """
    values = {name: _telling(policy, name, kind) for name, kind in features(policy).items()}
    states = _states(policy)
    draw = random.Random(seed)
    combinations = list(product(*values.values()))
    if len(combinations) > 2000:
        combinations = draw.sample(combinations, 2000)
    cases = [
        (
            {"id": f"vector-{n}"} | dict(zip(values, combination, strict=True)),
            states[n % len(states)],
        )
        for n, combination in enumerate(combinations)
    ]
    for n in range(random_ones):
        request = {name: draw.choice(some) for name, some in values.items()}
        cases.append(({"id": f"random-{seed}-{n}"} | request, draw.choice(states)))
    return [
        {
            "request": request,
            "state": asdict(state),
            "route": select(policy, request, state),
        }
        for request, state in cases
    ]


def _telling(policy: routing.Policy, name: str, kind: Kind) -> list[Any]:
    """Return values of a feature on every side of every condition that looks at it."""
    if kind is YES_NO:
        return [False, True]
    if kind is RESOLUTION:
        return list(RESOLUTIONS)
    asked = [rule.when[name] for rule in policy.rules if rule.when and name in rule.when]
    flat: list[Any] = []
    for condition in asked:
        if isinstance(condition, Mapping):
            flat += condition.values()
        elif isinstance(condition, (list, tuple)):
            flat += condition
        else:
            flat.append(condition)
    if kind.json == "number":
        ends = sorted({float(value) for value in flat})
        around = sorted({end + step for end in ends for step in (-0.5, 0.0, 0.5)})
        unknown = [None] if kind.nullable else []
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
