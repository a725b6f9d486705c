"""A policy as JSON data, and the schema of that data."""

from __future__ import annotations

from typing import Any

from costlab import routing
from costlab.core import RESOLUTIONS, plain
from costlab.handover.decision import rules_only
from costlab.handover.kinds import KINDS, RESOLUTION, Kind


def document(policy: routing.Policy) -> dict[str, Any]:
    """Return the policy as plain JSON data that `schema` describes and `routing` reads back."""
    rules_only(policy)
    body: dict[str, Any] = plain(policy)
    body["rules"] = [
        {key: value for key, value in rule.items() if value is not None} for rule in body["rules"]
    ]
    return {key: value for key, value in body.items() if value not in (None, "", [])}


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a policy's document."""
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
                "properties": {name: _condition(kind) for name, kind in KINDS.items()},
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


def _condition(kind: Kind) -> dict[str, Any]:
    one: dict[str, Any] = {"type": kind.json}
    if kind is RESOLUTION:
        one = {"enum": list(RESOLUTIONS)}
    elif kind.json == "number":
        one = {"type": ["number", "string"]}
    allowed = [one, {"type": "array", "minItems": 1, "items": one}]
    if kind is RESOLUTION or kind.json == "number":
        bounds = {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": False,
            "properties": dict.fromkeys(routing.BOUNDS, one),
        }
        allowed.append(bounds)
    return {"anyOf": allowed}
