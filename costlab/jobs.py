"""Long measurements in the background, as small files under ``$COSTLAB_HOME/jobs``.

A job outlives the page that started it: a supervisor process of its own runs the command, holds a
lock for as long as it lives and writes down how it ended::

    jobs/<id>/job.json        what was asked, when, process ids
    jobs/<id>/progress.json   the last report, replaced whole
    jobs/<id>/output.txt      what the command printed
    jobs/<id>/exit.json       how it ended; absent while it runs
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from costlab.core import InvalidArgument, UnknownName

FOLDER_VARIABLE = "COSTLAB_JOB"
GRACE_S = 5.0
START_PATIENCE_S = 20.0

State = Literal["running", "done", "failed", "cancelled", "lost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One background command as it stands now.

    ``lost`` means that its processes went away without a word (a power cut, a killed container).
    """

    id: str
    arguments: tuple[str, ...]
    started_at: str
    state: State
    exit_code: int | None = None
    progress: Mapping[str, Any] = field(default_factory=dict)
    folder: Path

    @property
    def fraction(self) -> float:
        """Share of the work done, 0 to 1, over all configurations of a suite."""
        if self.state == "done":
            return 1.0
        items = int(self.progress.get("items", 1))
        item = int(self.progress.get("item", 0))
        return (item + float(self.progress.get("fraction", 0.0))) / items

    def output(self, last: int = 4000) -> str:
        """Return the end of what the command printed."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / "output.txt").read_bytes()[-last:].decode(errors="replace")
        return ""


def jobs_dir(home: Path) -> Path:
    """Return the folder of the jobs under a user's store."""
    return home / "jobs"


def start(arguments: Sequence[str], home: Path) -> Job:
    """Run ``costlab bench …`` (``arguments`` from ``bench`` on) in the background.

    Raises `InvalidArgument` for any other command: only measuring is long enough to need this.
    """
    if not arguments or arguments[0] != "bench":
        raise InvalidArgument(f"only costlab bench runs in the background, got {arguments}")
    return _start([sys.executable, "-c", _CLI, *arguments], tuple(arguments), home)


_CLI = "import sys; from costlab.cli import main; sys.exit(main())"


def _start(command: Sequence[str], arguments: tuple[str, ...], home: Path) -> Job:
    stamp = datetime.now(UTC)
    name = f"{stamp:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    folder = jobs_dir(home) / name
    folder.mkdir(parents=True)
    asked = {
        "arguments": list(arguments),
        "command": list(command),
        "started_at": stamp.isoformat(timespec="seconds"),
    }
    _replace(folder / "job.json", asked)
    source = str(Path(__file__).parents[1])
    path = os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH", "")]))
    supervisor = subprocess.Popen(
        [sys.executable, "-m", "costlab.jobs", str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "COSTLAB_HOME": str(home), "PYTHONPATH": path},
        start_new_session=True,
    )
    threading.Thread(target=supervisor.wait, daemon=True).start()
    return show(name, home)


def show(name: str, home: Path) -> Job:
    """Return one job; raises `UnknownName`."""
    folder = jobs_dir(home) / name
    if not name or not (folder / "job.json").is_file():
        raise UnknownName.among("job", name, [job.id for job in every(home)])
    asked = _load(folder / "job.json")
    ended = _load(folder / "exit.json")
    if not ended and not _alive(folder) and _age_s(folder) > START_PATIENCE_S:
        ended = _load(folder / "exit.json") or {"state": "lost"}
    return Job(
        id=name,
        arguments=tuple(asked["arguments"]),
        started_at=asked["started_at"],
        state=ended.get("state", "running"),
        exit_code=ended.get("exit_code"),
        progress=_load(folder / "progress.json"),
        folder=folder,
    )


def every(home: Path) -> list[Job]:
    """Return all jobs, the newest first."""
    folders = sorted(jobs_dir(home).glob("*/job.json"), reverse=True)
    return [show(path.parent.name, home) for path in folders]


def cancel(name: str, home: Path) -> Job:
    """End a running job with everything it started; others are left as they are.

    The supervisor is asked first; where it does not answer, its processes are killed.
    """
    job = show(name, home)
    if job.state != "running":
        return job
    (job.folder / "cancel").touch()
    deadline = time.monotonic() + 3 * GRACE_S
    while show(name, home).state == "running" and time.monotonic() < deadline:
        time.sleep(0.05)
    return show(name, home)


def reporter() -> Callable[[Mapping[str, Any]], None] | None:
    """Return how a command that runs as a job reports its progress; None outside a job."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return None
    path = Path(folder) / "progress.json"
    return lambda state: _replace(path, dict(state))


def _replace(path: Path, content: Mapping[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(content), encoding="utf-8")
    os.replace(temporary, path)


def _load(path: Path) -> dict[str, Any]:
    with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
        loaded = json.loads(path.read_text(encoding="utf-8"))
        return loaded if isinstance(loaded, dict) else {}
    return {}


def _age_s(folder: Path) -> float:
    """Return seconds since the job was asked for; a fresh one has not taken its lock yet."""
    if (folder / "lock").exists():
        return float("inf")
    return time.time() - (folder / "job.json").stat().st_mtime


def _alive(folder: Path) -> bool:
    """Whether the supervisor holds its lock, which ends with the process in whatever way."""
    try:
        with open(folder / "lock", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def supervise(folder: Path) -> int:
    """Run a job's command to its end, its cancellation or its crash, and write down which."""
    with open(folder / ".lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.replace(folder / ".lock", folder / "lock")
        with open(folder / "output.txt", "wb") as output:
            process = subprocess.Popen(
                _load(folder / "job.json")["command"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, FOLDER_VARIABLE: str(folder)},
                start_new_session=True,
            )
            cancelled = False
            while process.poll() is None:
                if not cancelled and (folder / "cancel").exists():
                    cancelled = True
                    _end(process)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.1)
        code = process.returncode
        state: State = "cancelled" if cancelled else "done" if code == 0 else "failed"
        _replace(folder / "exit.json", {"state": state, "exit_code": code})
    return 0


def _end(process: subprocess.Popen[bytes]) -> None:
    """Interrupt the command, which then ends what it started; kill it if it does not listen."""
    for what in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, what)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
            return


if __name__ == "__main__":
    raise SystemExit(supervise(Path(sys.argv[1])))
