"""Suites: one process per configuration, resumed, within a budget; and runs compared."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from costlab import bench, runs
from costlab.bench import processes
from costlab.bench.__main__ import main
from costlab.bench.plan import Item, Recipe
from costlab.runs import Run
from tests.made_runs import H100, made_run

ITEMS = [
    bench.plan_one("wan2.2-ti2v-5b"),
    bench.plan_one("wan2.2-t2v-a14b"),
    bench.plan_one("wan2.2-i2v-a14b"),
]


def answer(item: Item) -> Run:
    return replace(
        made_run(800.0),
        setting=item.setting,
        weights=item.weights,
        method=item.method,
        switches=dict.fromkeys(item.recipe.switches, "applied"),
    )


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Item], Run]], list[str]]:
    """Pretend that an H100 is here and that measuring an item gives what ``render`` says."""

    def pretend(render: Callable[[Item], Run]) -> list[str]:
        asked: list[str] = []

        def isolated(item: Item, out_dir: Path, progress: Any, **_: Any) -> Run:
            asked.append(item.setting.model)
            progress({"stage": "steps", "fraction": 0.5})
            run = render(item)
            runs.write(run, out_dir)
            return run

        monkeypatch.setattr(processes, "environment", lambda: H100)
        monkeypatch.setattr(processes, "run_isolated", isolated)
        return asked

    return pretend


def test_a_suite_skips_what_the_same_environment_has_measured(card: Any, tmp_path: Path) -> None:
    runs.write(answer(ITEMS[1]), tmp_path)
    asked = card(answer)
    outcomes = bench.suite(ITEMS, tmp_path)
    assert [outcome.status for outcome in outcomes] == ["measured", "already measured", "measured"]
    assert asked == ["wan2.2-ti2v-5b", "wan2.2-i2v-a14b"]
    assert {o.status for o in bench.suite(ITEMS, tmp_path)} == {"already measured"}
    assert len(asked) == 2
    assert {o.status for o in bench.suite(ITEMS, tmp_path, again=True)} == {"measured"}


def test_another_driver_is_another_environment(card: Any, tmp_path: Path) -> None:
    old = answer(ITEMS[0])
    runs.write(replace(old, environment=replace(H100, driver="570.00")), tmp_path)
    card(answer)
    assert bench.suite(ITEMS[:1], tmp_path)[0].status == "measured"


def test_a_failure_is_noted_and_passed_over(card: Any, tmp_path: Path) -> None:
    def render(item: Item) -> Run:
        if item.setting.mode == "i2v":
            raise bench.MeasurementFailed("a driver crashed")
        return answer(item)

    card(render)
    outcomes = bench.suite([ITEMS[2], ITEMS[0]], tmp_path)
    assert [(o.status, o.note) for o in outcomes] == [
        ("failed", "a driver crashed"),
        ("measured", ""),
    ]


def test_what_does_not_fit_the_budget_is_left_out(card: Any, tmp_path: Path) -> None:
    card(answer)
    outcomes = bench.suite(ITEMS, tmp_path, budget_s=57.0)
    assert [o.status for o in outcomes] == ["measured"] * 3  # the first showed how fast it goes
    outcomes = bench.suite(ITEMS, tmp_path / "other", budget_s=1.0)
    assert {o.status for o in outcomes} == {"left out"}
    assert "are left" in outcomes[0].note


def test_progress_says_which_configuration_and_how_long(card: Any, tmp_path: Path) -> None:
    card(answer)
    seen: list[Mapping[str, Any]] = []
    bench.suite(ITEMS, tmp_path, 1000.0, seen.append)
    assert [state["item"] for state in seen] == [0, 0, 1, 1, 2, 2]
    assert all(state["items"] == 3 and state["left_s"] >= 0 for state in seen)
    assert bench.progress_line(seen[0]).startswith("[1/3] wan2.2-ti2v-5b")


def test_a_plan_runs_in_processes_of_its_own_from_json_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = replace(ITEMS[0], weights="real", path=str(tmp_path / "nowhere"))
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(bench.to_json([broken, ITEMS[1]])))
    assert main([str(plan), "--out", str(tmp_path / "runs"), "--tiny"]) == 1
    said = capsys.readouterr()
    assert "failed" in said.out
    assert "no diffusers pipeline" in said.out
    (run,) = runs.read_all(tmp_path / "runs")
    assert run.smoke
    assert "bench" in run.command or "pytest" in run.command
    assert '"seconds": ' in said.out
    assert "[2/2] wan2.2-t2v-a14b" in said.err
    assert len(list((tmp_path / "runs" / "logs").iterdir())) == 1


def test_a_bad_plan_is_one_message_and_code_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "plan.json"
    assert main([str(plan)]) == 2
    plan.write_text('[{"recipe": {"name": "x"}}]')
    assert main([str(plan)]) == 2
    assert "[0].setting: field required" in capsys.readouterr().err
    plan.write_text("[]")
    assert main([str(plan), "--budget", "soon"]) == 2


def test_a_process_that_cannot_start_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    (tmp_path / "python").write_text("#!/bin/sh\necho no torch here >&2\nexit 1\n")
    (tmp_path / "python").chmod(0o755)
    with pytest.raises(bench.MeasurementFailed, match="no torch here"):
        bench.environment()


def test_a_process_over_its_time_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(bench.MeasurementFailed, match="stopped after"):
        bench.run_isolated(ITEMS[0], tmp_path, timeout_s=0.2)


def test_a_worker_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[1])
    worker = subprocess.Popen(
        [sys.executable, "-m", "costlab.bench.worker", "--tethered", "--environment"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert worker.stdin is not None
    worker.stdin.close()
    assert worker.wait(60) == 1


def test_a_comparison_says_what_moved_and_whether_more_than_noise() -> None:
    a = made_run(800.0)
    same = bench.compare(a, replace(a, started_at="2026-11-21T10:00:00Z"))
    assert {move.verdict for move in same.moves} == {"within noise"}
    assert not same.regressed
    assert same.unlike == ()
    slower = bench.compare(a, made_run(900.0))
    assert slower.regressed
    (clip,) = [move for move in slower.moves if move.quantity == "clip seconds"]
    assert (clip.verdict, clip.change) == ("worse", pytest.approx(0.125))
    assert bench.compare(made_run(900.0), a).moves[0].verdict == "better"


def test_a_comparison_names_what_else_is_unlike() -> None:
    a = made_run(800.0)
    b = replace(
        a,
        environment=replace(a.environment, driver="570.00"),
        switches={**a.switches, "vae_tiling=on": "applied"},
        fits=False,
        seconds=None,
    )
    unlike = " ".join(bench.compare(a, b).unlike)
    for part in ("driver: 580.00 against 570.00", "fits: True", "timed: True", "only in b"):
        assert part in unlike


def test_the_table_shares_the_roofline_and_the_price() -> None:
    run = made_run(800.0)
    rated = replace(run, environment=replace(run.environment, matmul_tflops=800.0))
    (row,) = bench.table([rated], 2.0, lambda _: 750.0)
    assert row["usd"] == pytest.approx(800 * 2 / 3600)
    assert row["predicted_s"] == 750.0
    busy = sum(s.seconds for s in run.stages if s.name.endswith("noise"))
    assert row["share_of_roofline"] == pytest.approx(134.27e15 / (busy * 800e12), rel=1e-3)
    (smoke,) = bench.table([replace(rated, smoke=True)], 2.0)
    assert smoke["usd"] is None
    assert smoke["share_of_roofline"] is None


TASK = Path(__file__).parents[1] / "docs" / "skypilot.yaml"


def test_the_rented_gpu_task_calls_what_exists(capsys: pytest.CaptureFixture[str]) -> None:
    task = yaml.safe_load(TASK.read_text())
    assert set(task) == {"name", "resources", "envs", "workdir", "setup", "run"}
    words = shlex.split(task["run"])
    assert words[1:3] == ["-m", "costlab.bench"]
    assert main([*words[3:-1], task["envs"]["BUDGET"]]) == 2
    assert "plan.json: cannot be read" in capsys.readouterr().err


def test_the_rented_gpu_task_is_understood_by_skypilot() -> None:
    sky = pytest.importorskip("sky")
    task = sky.Task.from_yaml(str(TASK))
    assert [str(resources.accelerators) for resources in task.resources] == ["{'H100': 1}"]


@pytest.mark.slow
def test_one_clip_is_shared_by_two_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ulysses over gloo; diffusers counts accelerators, so the CPU has to claim two."""
    claim = "import os\nif 'RANK' in os.environ:\n import torch\n torch.accelerator.device_count"
    (tmp_path / "sitecustomize.py").write_text(claim + " = lambda: 2\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    ulysses = Recipe(name="ulysses-2", context_parallel=2)
    item = bench.plan_one("wan2.2-t2v-a14b", recipe=ulysses, probe_steps=1)
    run = bench.run_isolated(item, tmp_path / "runs")
    assert set(run.switches.values()) == {"applied"}
    assert run.seconds is not None
    assert run.setting.width == 32


def test_what_got_no_time_says_why_in_its_line(
    card: Callable[[Callable[[Item], Run]], list[str]], tmp_path: Path
) -> None:
    def render(item: Item) -> Run:
        if item.setting.model == "wan2.2-ti2v-5b":
            switches = {**answer(item).switches, "attention=native": "not applied: no kernel"}
            return replace(answer(item), seconds=None, switches=switches)
        flags = ("one reading", "does not fit: needs at least 82.5 GiB")
        return replace(answer(item), seconds=None, fits=False, flags=flags)

    card(render)
    notes = [outcome.note for outcome in bench.suite(ITEMS[:2], tmp_path)]
    assert notes == [
        "attention=native not applied: no kernel",
        "does not fit: needs at least 82.5 GiB",
    ]
    again = [(o.status, o.note) for o in bench.suite(ITEMS[:2], tmp_path)]
    assert again == [("measured", notes[0]), ("already measured", notes[1])]
