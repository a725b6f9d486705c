"""Many configurations, one process each, until the plan or the time is used up. No torch here.

Every finished configuration is safe on disk as its own file before the next one starts, so a suite
can be cut off at any moment and started again: what the same environment has measured is skipped.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from costlab import runs
from costlab.bench.plan import Item, estimated_s, to_json, without_gpu
from costlab.core import CostlabError
from costlab.runs import Environment, Run

Progress = Callable[[Mapping[str, Any]], None]

PEAK_TFLOPS = 989.0
"""Peak bf16 rate that first estimates assume (H100); the pace of finished items corrects them."""

SMOKE_S = 15.0


class MeasurementFailed(CostlabError):
    """A configuration's process ended without a run; the text holds its last words."""


def quiet(_: Mapping[str, Any]) -> None:
    """Show no progress."""


def environment() -> Environment:
    """Return this machine's environment as a measuring process sees it (starts one).

    Raises `MeasurementFailed` with its last words where it cannot start.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        for message in _worker(["--environment"], log=log, timeout_s=300):
            if "environment" in message:
                return Environment(**message["environment"])
        words = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    raise MeasurementFailed(
        f"the measuring process could not start: {words[-1] if words else 'it said nothing'}"
    )


def run_isolated(
    item: Item,
    out_dir: Path,
    progress: Progress = quiet,
    *,
    timeout_s: float | None = None,
    command: str | None = None,
) -> Run:
    """Measure ``item`` in a process of its own and return its run, which lies in ``out_dir``.

    Raises `MeasurementFailed` where the process crashed, was killed or ran over ``timeout_s``; its
    output is kept in ``out_dir/logs``.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    logs = out_dir / "logs"
    logs.mkdir(exist_ok=True)
    name = f"{item.setting.model}-{item.setting.recipe}-{time.time_ns()}"
    log = logs / f"{name}.log"
    told = command if command is not None else shlex.join(sys.argv)
    error = "it ended without an answer"
    with tempfile.TemporaryDirectory() as folder:
        request = Path(folder) / "request.json"
        request.write_text(json.dumps({"item": to_json([item])[0], "command": told}))
        arguments = ["--request", str(request), "--out", str(out_dir)]
        ranks = item.recipe.context_parallel
        for message in _worker(arguments, log=log, timeout_s=timeout_s, ranks=ranks):
            if "progress" in message:
                progress(message["progress"])
            elif "run" in message:
                done = runs.read(Path(message["run"]))
                log.unlink(missing_ok=True)
                return done
            elif "error" in message:
                error = message["error"]
    raise MeasurementFailed(f"{item.title}: {error} (output: {log})")


def _worker(
    arguments: Sequence[str], log: Path, timeout_s: float | None, ranks: int = 1
) -> Iterator[dict[str, Any]]:
    """Yield what a worker says; ends when it does, killed with all its children if it must be."""
    start = [sys.executable, "-m"]
    if ranks > 1:
        start += ["torch.distributed.run", "--standalone", f"--nproc_per_node={ranks}", "-m"]
    here = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH", "")]))
    with contextlib.ExitStack() as stack:
        errors = stack.enter_context(open(log, "wb"))
        process = subprocess.Popen(
            [*start, "costlab.bench.worker", "--tethered", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
            text=True,
        )
        stack.callback(_kill, process)
        late = threading.Event()

        def on_time() -> None:
            late.set()
            _kill(process)

        if timeout_s is not None:
            timer = threading.Timer(timeout_s, on_time)
            timer.daemon = True
            timer.start()
            stack.callback(timer.cancel)
        assert process.stdout is not None
        for line in process.stdout:
            with contextlib.suppress(json.JSONDecodeError):
                said = json.loads(line)
                if isinstance(said, dict) and isinstance(said.get("costlab"), dict):
                    yield said["costlab"]
        code = process.wait()
        if late.is_set():
            yield {"error": f"stopped after {timeout_s:.0f} s"}
        elif code < 0:
            yield {"error": f"killed by {signal.Signals(-code).name}"}


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one configuration of a suite."""

    item: Item
    status: Literal["measured", "already measured", "failed", "left out"]
    run: Run | None = None
    note: str = ""
    wall_s: float = 0.0


def suite(
    items: Sequence[Item],
    out_dir: Path,
    budget_s: float | None = None,
    progress: Progress = quiet,
    *,
    known: Iterable[Run] = (),
    again: bool = False,
    command: str | None = None,
) -> list[Outcome]:
    """Measure the items in order within ``budget_s`` seconds and return what became of each.

    An item that the same environment has measured (in ``out_dir`` or ``known``) is skipped unless
    ``again``; one that would not be done in time is left out, one that fails is noted and passed
    over.
    ``progress`` also gets ``item``, ``items``, ``title`` and ``left_s``.
    """
    began = time.monotonic()
    here = environment()
    smoke = not here.gpu
    have = [] if again else [*runs.read_all(out_dir), *known]
    outcomes: list[Outcome] = []
    spent = expected = 0.0
    for number, item in enumerate(items):
        shown = without_gpu(item) if smoke or item.tiny else item
        earlier = _measured(shown, have, here, smoke or item.tiny)
        if earlier is not None:
            outcomes.append(
                Outcome(
                    item=item,
                    status="already measured",
                    run=earlier,
                    note=_without_time(earlier),
                )
            )
            continue
        guess = _guess_s(item, smoke)
        pace = spent / expected if expected else 1.0
        left = None if budget_s is None else budget_s - (time.monotonic() - began)
        if left is not None and guess * pace > left:
            note = f"needs about {guess * pace:.0f} s, {max(left, 0):.0f} s are left"
            outcomes.append(Outcome(item=item, status="left out", note=note))
            continue
        started = time.monotonic()
        rest = [_guess_s(other, smoke) for other in items[number + 1 :]]

        def show(
            state: Mapping[str, Any],
            number: int = number,
            item: Item = item,
            guess: float = guess * pace,
            after: float = sum(rest) * pace,
        ) -> None:
            left_s = guess * (1 - float(state.get("fraction", 0.0))) + after
            if budget_s is not None:
                left_s = min(left_s, max(0.0, budget_s - (time.monotonic() - began)))
            about = {"item": number, "items": len(items), "title": item.title, "left_s": left_s}
            progress({**state, **about})

        show({"stage": "start", "fraction": 0.0})
        try:
            run = run_isolated(item, out_dir, show, timeout_s=left, command=command)
        except MeasurementFailed as error:
            wall = time.monotonic() - started
            outcomes.append(Outcome(item=item, status="failed", note=str(error), wall_s=wall))
            continue
        wall = time.monotonic() - started
        if run.seconds is not None:
            spent, expected = spent + wall, expected + guess
        outcomes.append(
            Outcome(item=item, status="measured", run=run, note=_without_time(run), wall_s=wall)
        )
    return outcomes


def _without_time(run: Run) -> str:
    """Return why a run has no seconds; nothing where it has."""
    refused = [f"{name} {why}" for name, why in run.switches.items() if why != "applied"]
    unfit = [flag for flag in run.flags if flag.startswith("does not fit")]
    return "; ".join(refused or unfit) if run.seconds is None else ""


def _guess_s(item: Item, smoke: bool) -> float:
    return SMOKE_S if smoke or item.tiny else estimated_s(item, PEAK_TFLOPS)


def _measured(item: Item, have: Iterable[Run], here: Environment, smoke: bool) -> Run | None:
    """Return the run that already answers ``item`` in this environment.

    A switch that was not applied is tried again: the package that it needs may be there by now.
    """
    for run in have:
        same_place = run.environment.key == here.key and run.smoke == smoke
        answered = run.seconds is not None or not run.fits
        if same_place and answered and item.is_measured_by(run):
            return run
    return None
