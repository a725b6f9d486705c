from __future__ import annotations

import contextlib
import heapq
import importlib.util
import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlab import logs, replay, routing, scenarios
from costlab.core import InvalidArgument, micro_usd
from costlab.replay import places

START = datetime.fromisoformat("2026-09-20")
Row = dict[str, Any]


def made(count: int, days: float = 40, seed: int = 5) -> list[Row]:
    dice = random.Random(seed)
    return [
        {
            "id": f"r{n}-{dice.random():.6f}",
            "time": START + timedelta(days=days * n / count, microseconds=n),
            "seconds": dice.choice(["4", "5", "5", "8"]),
            "stage": dice.choice(["preview", "final"]),
            "tier": dice.choice(["basic", "creator"]),
            "quality": dice.choice(["standard", "premium"]),
            "mode": dice.choice(["t2v", "t2v", "i2v"]),
            "resolution": dice.choice(["480p", "720p"]),
            "audio": dice.choice(["false", "false", "true"]),
            "tenant": dice.choice(["acme", "bolt"]),
            "accepted": dice.choice(["true", "false"]),
        }
        for n in range(count)
    ]


def logged(folder: Path, rows: list[Row], name: str = "log.parquet") -> logs.Log:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {key: [row[key] for row in rows] for key in rows[0]}
    pq.write_table(pa.table(columns), folder / name)
    return logs.open_log(folder / name)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return made(160)


@pytest.fixture(scope="module")
def log(rows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> logs.Log:
    return logged(tmp_path_factory.mktemp("log"), rows)


@pytest.fixture(scope="module")
def scenario() -> scenarios.Scenario:
    found = scenarios.scenario("social-app")
    return replace(found, apis=("veo-3.1-fast", "kling-3.0", "fal-wan2.2-a14b"))


def asked(log: logs.Log, row: Row, step: replay.Step = "base") -> replay.Question:
    cells = {name: str(row[log.columns[name]]) for name in log.features}
    segment = logs.Segments(log).of(cells, 1)
    assert not isinstance(segment, str)
    return replay.Question(
        segment=segment,
        day=row["time"].date(),
        place=routing.fraction(row["id"]),
        step=step,
        logged=str(row.get("model", "")),
    )


class OneByOne:
    """Every request priced by the plain path, remembered by question."""

    def __init__(self, log: logs.Log, desk: replay.Desk) -> None:
        self.log, self.desk = log, desk
        self.told: dict[Any, replay.Outcome] = {}

    def __call__(self, row: Row, step: replay.Step = "base") -> replay.Outcome:
        question = asked(self.log, row, step)
        cut = sum(question.place * 2**32 >= at for at in self.desk.cuts())
        key = (self.desk.key(question.segment), question.day, cut, step, question.logged)
        if key not in self.told:
            self.told[key] = replay.one(self.desk, question)
        return self.told[key]


def total(outcomes: list[replay.Outcome]) -> tuple[int, int]:
    priced = [outcome for outcome in outcomes if not outcome.reason]
    return len(priced), sum(outcome.micro_usd for outcome in priced)


# ── Stateless policies ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["article", "trial-split", "cheapest-capable", "quality-floor"])
def test_the_replay_is_what_pricing_request_by_request_gives(
    name: str, log: logs.Log, rows: list[Row], scenario: scenarios.Scenario
) -> None:
    policy = routing.policy(name)
    answer = replay.replay(log, scenario, policy, sample=40)
    plain = OneByOne(log, replay.Desk(scenario, policy))
    assert (answer.priced, answer.micro_usd) == total([plain(row) for row in rows])
    assert answer.checked.requests == 40
    assert answer.checked.mismatches == ()


def test_groups_add_up_and_no_request_is_lost(
    log: logs.Log, rows: list[Row], scenario: scenarios.Scenario
) -> None:
    policy = routing.policy("article")
    answer = replay.replay(log, scenario, policy, sample=0)
    assert answer.rows == len(rows)
    assert answer.priced + sum(item.requests for item in answer.refused) == answer.rows
    for names in (("month",), ("tenant", "model"), ("segment",), replay.BY, ()):
        groups = answer.by(*names)
        assert sum(group["micro_usd"] for group in groups) == answer.micro_usd
        assert sum(group["requests"] for group in groups) == answer.priced
    plain = OneByOne(log, replay.Desk(scenario, policy))
    wanted: dict[tuple[date, str, str], int] = defaultdict(int)
    for row in rows:
        outcome = plain(row)
        if not outcome.reason:
            month = row["time"].date().replace(day=1)
            wanted[month, row["tenant"], outcome.model] += outcome.micro_usd
    found = {
        (group["month"], group["tenant"], group["model"]): group["micro_usd"]
        for group in answer.by("month", "tenant", "model")
    }
    assert found == wanted
    assert int(answer.frame()["micro_usd"].sum()) == answer.micro_usd
    with pytest.raises(InvalidArgument, match="group by"):
        answer.by("colour")


def test_the_json_shape_is_plain_and_money_is_exact(
    log: logs.Log, scenario: scenarios.Scenario
) -> None:
    answer = replay.replay(log, scenario, routing.policy("article"), sample=5)
    shape = json.loads(json.dumps(answer.to_dict()))
    assert sum(Decimal(group["usd"]) for group in shape["groups"]) == Decimal(shape["usd"])
    assert shape["check"] == {"requests": 5, "mismatches": 0, "found": []}
    assert shape["fleet"][0]["slots"] >= 1


def test_one_days_prices_can_be_asked_for_the_whole_log(
    log: logs.Log, rows: list[Row], scenario: scenarios.Scenario
) -> None:
    policy = routing.policy("all-api")
    day = date(2026, 11, 22)
    answer = replay.replay(log, scenario, policy, as_of=day, sample=10)
    desk = replay.Desk(scenario, policy)
    plain = [replay.one(desk, replace(asked(log, row), day=day)) for row in rows[:40]]
    part = replay.replay(
        logged(Path(log.files[0]).parent, rows[:40], "part.parquet"), scenario, policy, as_of=day,
        sample=0,
    )  # fmt: skip
    assert (part.priced, part.micro_usd) == total(plain)
    assert answer.epochs == 2
    assert answer.checked.mismatches == ()


def test_without_a_policy_the_models_of_the_log_are_priced(
    rows: list[Row], scenario: scenarios.Scenario, tmp_path: Path
) -> None:
    names = ["kling-3.0", "veo-3.1-fast", "wan2.2-t2v-a14b", "no-such-model", ""]
    told = [row | {"model": names[n % 5], "cost": 0.25} for n, row in enumerate(rows)]
    log = logged(tmp_path, told)
    answer = replay.replay(log, scenario, None, sample=30)
    plain = OneByOne(log, replay.Desk(scenario, None))
    assert (answer.priced, answer.micro_usd) == total([plain(row) for row in told])
    assert answer.checked.mismatches == ()
    reasons = " ".join(item.reason for item in answer.refused)
    assert "no-such-model" in reasons
    assert "the log names no model" in reasons
    paid = answer.by()[0]
    assert paid["paid_micro_usd"] == 250_000 * answer.priced


def test_a_failed_attempt_costs_what_its_seller_bills(
    rows: list[Row], scenario: scenarios.Scenario, tmp_path: Path
) -> None:
    told = [row | {"failed": "true" if n % 3 == 0 else "false"} for n, row in enumerate(rows)]
    log = logged(tmp_path, told)
    policy = routing.policy("article")
    answer = replay.replay(log, scenario, policy, sample=0)
    plain = OneByOne(log, replay.Desk(scenario, policy))
    bill = 0
    for row in told:
        outcome = plain(row)
        bill += outcome.failed_micro_usd if row["failed"] == "true" else outcome.micro_usd
    assert answer.micro_usd == bill
    assert answer.by()[0]["failed"] == sum(
        row["failed"] == "true" and not plain(row).reason for row in told
    )


def test_cells_that_cannot_be_mapped_are_refused_with_a_reason_and_a_place(
    scenario: scenarios.Scenario, tmp_path: Path
) -> None:
    told = made(50)
    told[7]["mode"] = "v2v"
    told[9]["seconds"] = "long"
    told[11]["time"] = None
    log = logged(tmp_path, told)
    answer = replay.replay(log, scenario, routing.policy("article"), sample=20)
    reasons = {item.reason: item.requests for item in answer.refused}
    assert reasons["cannot be mapped: mode 'v2v' is none of t2v, i2v"] == 1
    assert reasons["cannot be mapped: seconds 'long' is not a number"] == 1
    assert reasons["its time cannot be read"] == 1
    places = {(u.column, u.value): u.first_row for u in answer.unmapped}
    assert places == {("mode", "v2v"): 8, ("seconds", "long"): 10, ("time", ""): 12}
    assert answer.priced + sum(reasons.values()) == 50


def test_what_a_log_cannot_answer_is_refused(
    rows: list[Row], scenario: scenarios.Scenario, tmp_path: Path
) -> None:
    nameless = logged(tmp_path, [{k: v for k, v in row.items() if k != "id"} for row in rows[:9]])
    with pytest.raises(InvalidArgument, match="map a column to id"):
        replay.replay(nameless, scenario, routing.policy("trial-split"))
    with pytest.raises(InvalidArgument, match="map one to model"):
        replay.replay(nameless, scenario, None)
    by_segment = routing.parse_policy(
        {"id": "s", "title": "", "rules": [{"when": {"segment": "a"}, "route": "kling-30"}]}
    )
    with pytest.raises(InvalidArgument, match="looks at segment and the log names no segments"):
        replay.replay(nameless, scenario, by_segment)
    with pytest.raises(InvalidArgument, match="depends on all requests before"):
        replay.replay(nameless, scenario, routing.policy("api-budget"), engine="ray")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_places_are_the_routings_own(request_id: str) -> None:
    import pyarrow as pa

    ids = pa.array(["other", request_id, None])[1:]
    assert places.places(ids)[0].as_py() / 2**32 == routing.fraction(request_id)
    assert places.places(ids)[1].as_py() / 2**32 == routing.fraction("")


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(1, 8), min_size=2, max_size=4), st.integers(1, 60), st.integers(0, 999))
def test_splits_of_any_weights_sum_to_one(
    tmp_path_factory: pytest.TempPathFactory, weights: list[int], count: int, seed: int
) -> None:
    told = made(count, seed=seed)
    log = logged(tmp_path_factory.mktemp("log"), told)
    models = ["veo-3.1-fast", "kling-3.0", "fal-wan2.2-a14b", "veo-3.1"][: len(weights)]
    split = {name: weight / sum(weights) for name, weight in zip(models, weights, strict=True)}
    policy = routing.parse_policy({"id": "s", "title": "", "rules": [{"split": split}]})
    scenario = replace(scenarios.scenario("social-app"), apis=tuple(models))
    answer = replay.replay(log, scenario, policy, sample=count)
    assert answer.checked.mismatches == ()
    assert answer.priced + sum(item.requests for item in answer.refused) == count
    parts = routing.decide(policy, asked(log, told[0]).segment, ())
    sent = [routing.pick(parts, routing.fraction(row["id"])) for row in told]
    for group in answer.by("model"):
        assert group["requests"] <= sent.count(group["model"])


# ── What depends on the requests before ───────────────────────────────────────────────────────


def test_a_budget_is_spent_in_order_of_time(
    log: logs.Log, rows: list[Row], scenario: scenarios.Scenario
) -> None:
    policy = routing.policy("api-budget")
    assert policy.budget
    policy = replace(policy, budget=replace(policy.budget, usd_per_month=Decimal(20)))
    answer = replay.replay(log, scenario, policy, sample=20)
    plain = OneByOne(log, replay.Desk(scenario, policy))
    cap = micro_usd(Decimal(20))
    spent: dict[date, int] = defaultdict(int)
    closed: set[date] = set()
    outcomes = []
    for row in rows:
        outcome = plain(row)
        month = row["time"].date().replace(day=1)
        if outcome.kind == "api":
            if month in closed or spent[month] + outcome.micro_usd > cap:
                closed.add(month)
                outcome = plain(row, "then")
            else:
                spent[month] += outcome.micro_usd
        outcomes.append(outcome)
    assert closed
    assert (answer.priced, answer.micro_usd) == total(outcomes)
    assert answer.priced + sum(item.requests for item in answer.refused) == answer.rows
    for group in answer.by("month", "kind"):
        if group["kind"] == "api":
            assert group["micro_usd"] <= cap


@pytest.mark.parametrize("after_wait_s", [0.0, 400.0])
def test_a_full_pool_hands_over_first_come_first_served(
    after_wait_s: float, scenario: scenarios.Scenario, tmp_path: Path
) -> None:
    told = made(600, days=0.5)
    random.Random(1).shuffle(told)  # the order of a file does not matter
    log = logged(tmp_path, told)
    policy = routing.policy("overflow-to-fal")
    assert policy.overflow
    policy = replace(policy, overflow=replace(policy.overflow, after_wait_s=after_wait_s))
    desk = replay.Desk(scenario, policy)
    size = {route: 2 for route, _, _ in desk.routes}
    answer = replay.replay(log, scenario, policy, slots=size, sample=20)
    plain = OneByOne(log, desk)
    free = {route: [0.0] * slots for route, slots in size.items()}
    outcomes = []
    for row in sorted(told, key=lambda row: row["time"]):
        outcome = plain(row)
        if outcome.kind == "self_hosted":
            at = (row["time"] - START).total_seconds()
            slots = free[outcome.route]
            over = plain(row, "over")
            if max(slots[0] - at, 0) > after_wait_s and not over.reason:
                outcome = over
            else:
                heapq.heapreplace(slots, max(slots[0], at) + outcome.slot_s)
        outcomes.append(outcome)
    assert any(outcome.model == "fal-wan2.2-a14b" for outcome in outcomes)
    assert (answer.priced, answer.micro_usd) == total(outcomes)


def test_the_projection_sizes_the_pools_that_hand_over(
    log: logs.Log, scenario: scenarios.Scenario
) -> None:
    answer = replay.replay(log, scenario, routing.policy("overflow-to-fal"), sample=0)
    assert {pool.route for pool in answer.fleet} <= {
        route for route, _, _ in replay.Desk(scenario, None).routes
    }
    assert answer.priced + sum(item.requests for item in answer.refused) == answer.rows


# ── Ray ───────────────────────────────────────────────────────────────────────────────────────


HEAD = "127.0.0.2:6391"
DRIVER = """
import json, os, sys, time
import ray
from costlab import logs, replay, routing, scenarios
from costlab.replay import cluster

path, day_file, address = sys.argv[1:]
ray.init(address=address, log_to_driver=False, logging_level="error")
while len([node for node in ray.nodes() if node["Alive"]]) < 2:
    time.sleep(0.2)

def work(item):
    if item == 3 and not os.path.exists(day_file):
        open(day_file, "w").close()
        os._exit(1)  # a worker that is lost
    return item * item, ray.util.get_node_ip_address()

told = cluster.map(work, range(6), address=address)
answer = replay.replay(
    logs.open_log(path), scenarios.scenario("social-app"), routing.policy("trial-split"),
    sample=10, engine="ray", address=address, shard_rows=50,
)
print(json.dumps([told, answer.micro_usd, answer.priced, answer.shards,
                  answer.checked.mismatches, answer.to_dict(replay.BY)["groups"]]))
"""


@pytest.fixture
def two_nodes(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A Ray head and a second node on loopback; gives the environment that reaches them."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed (costlab[cluster])")
    environment = os.environ | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    script = str(Path(sys.executable).with_name("ray"))
    common = ["--num-cpus=1", "--object-store-memory=100000000", "--block"]
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # its sockets need a short path
    nodes = []

    def start(*where: str) -> None:
        nodes.append(
            subprocess.Popen(
                [script, "start", *where, *common],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        )

    try:
        start("--head", "--node-ip-address=127.0.0.2", "--port=6391", "--include-dashboard=false",
              f"--temp-dir={folder}")  # fmt: skip
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.2", 6391), 1):
                break
            time.sleep(0.2)
        start("--node-ip-address=127.0.0.3", f"--address={HEAD}")
        yield environment
    finally:
        for sign in (signal.SIGTERM, signal.SIGKILL):
            for node in reversed(nodes):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(node.pid, sign)
            time.sleep(1)
        for node in nodes:
            node.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_two_nodes_come_to_the_same_micro_dollar_and_a_lost_worker_costs_its_item(
    two_nodes: dict[str, str], log: logs.Log, tmp_path: Path
) -> None:
    here = replay.replay(
        log, scenarios.scenario("social-app"), routing.policy("trial-split"), sample=0
    )
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, log.files[0], str(tmp_path / "lost"), HEAD],
        env=two_nodes,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told, micro, priced, shards, mismatches, groups = json.loads(done.stdout.splitlines()[-1])
    assert [square for square, _ in told] == [n * n for n in range(6)]
    assert {node for _, node in told} == {"127.0.0.2", "127.0.0.3"}
    assert (tmp_path / "lost").exists()
    assert (micro, priced, mismatches) == (here.micro_usd, here.priced, [])
    assert shards == 4
    assert groups == json.loads(json.dumps(here.to_dict(replay.BY)["groups"]))


def test_without_ray_the_message_says_what_to_install(
    log: logs.Log, scenario: scenarios.Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InvalidArgument, match=r"costlab\[cluster\]"):
        replay.replay(log, scenario, routing.policy("article"), engine="ray")


# ── The command ───────────────────────────────────────────────────────────────────────────────


def test_the_command_prints_the_answer_and_its_json(log: logs.Log, tmp_path: Path) -> None:
    from click.testing import CliRunner

    from costlab.cli.replay import replay_command
    from costlab.cli.traffic import traffic_group

    run = CliRunner().invoke
    out = tmp_path / "groups.csv"
    said = run(replay_command, [log.files[0], "--by", "model", "--out", str(out), "--sample", "3"])
    assert said.exit_code == 0, said.output
    assert "160 requests" in said.output
    assert "3 requests priced again one by one: 0 differ" in said.output
    assert out.read_text().startswith('"month","tenant"')
    shape = json.loads(run(replay_command, [log.files[0], "--json", "--sample", "0"]).stdout)
    assert shape["rows"] == 160
    mix = tmp_path / "mix.yaml"
    fitted = run(traffic_group, ["fit", log.files[0], "--out", str(mix), "--id", "mine"])
    assert fitted.exit_code == 0, fitted.output
    assert "id: mine" in mix.read_text()
    assert run(traffic_group, ["show", "social-app"]).exit_code == 0
    assert "social-app" in run(traffic_group, ["list"]).output
