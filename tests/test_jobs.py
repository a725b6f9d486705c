from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from costlab import jobs
from costlab.core import InvalidArgument, UnknownName

TELL = """
import sys, time
from costlab import jobs
tell = jobs.reporter()
tell({"stage": "steps", "fraction": 0.5, "item": 1, "items": 2})
print("said", flush=True)
"""


def start(code: str, home: Path) -> jobs.Job:
    return jobs._start([sys.executable, "-c", code], ("bench",), home)


def wait(home: Path, job: jobs.Job, until: Callable[[jobs.Job], bool]) -> jobs.Job:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        job = jobs.show(job.id, home)
        if until(job):
            return job
        time.sleep(0.02)
    raise AssertionError(f"still {job.state}: {job.output()}")


def ended(job: jobs.Job) -> bool:
    return job.state != "running"


def test_a_job_reports_progress_and_ends(tmp_path: Path) -> None:
    job = start(TELL, tmp_path)
    assert job.state == "running"
    done = wait(tmp_path, job, ended)
    assert (done.state, done.exit_code, done.fraction) == ("done", 0, 1.0)
    assert done.progress["stage"] == "steps"
    assert done.output() == "said\n"
    assert [other.id for other in jobs.every(tmp_path)] == [job.id]


def test_a_failing_job_keeps_its_code_and_words(tmp_path: Path) -> None:
    job = wait(tmp_path, start("raise SystemExit('no card')", tmp_path), ended)
    assert (job.state, job.exit_code) == ("failed", 1)
    assert "no card" in job.output()


def test_a_cancelled_job_ends_with_what_it_started(tmp_path: Path) -> None:
    code = TELL + "\nimport subprocess\nsubprocess.run(['sleep', '600'])"
    job = wait(tmp_path, start(code, tmp_path), lambda job: bool(job.output()))
    assert job.fraction == 0.75
    assert jobs.cancel(job.id, tmp_path).state == "cancelled"
    assert jobs.cancel(job.id, tmp_path).state == "cancelled"


def test_a_job_whose_supervisor_was_killed_is_lost(tmp_path: Path) -> None:
    job = start("import os; print(os.getppid(), flush=True); import time; time.sleep(60)", tmp_path)
    job = wait(tmp_path, job, lambda job: bool(job.output()))
    os.kill(int(job.output()), signal.SIGKILL)
    assert wait(tmp_path, job, ended).state == "lost"


def test_only_measuring_runs_in_the_background(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="costlab bench"):
        jobs.start(["prices"], tmp_path)
    with pytest.raises(UnknownName):
        jobs.show("20261122T000000-abc", tmp_path)


def test_outside_a_job_there_is_no_reporter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(jobs.FOLDER_VARIABLE, raising=False)
    assert jobs.reporter() is None


def test_a_half_written_report_is_never_seen(tmp_path: Path) -> None:
    folder = jobs.jobs_dir(tmp_path) / "x"
    folder.mkdir(parents=True)
    asked = {"arguments": ["bench"], "command": [], "started_at": "2026-11-22T00:00:00+00:00"}
    (folder / "job.json").write_text(json.dumps(asked))
    (folder / "progress.json").write_text("{")
    assert jobs.show("x", tmp_path).progress == {}
