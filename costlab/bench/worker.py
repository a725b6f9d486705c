"""One configuration in a process of its own: ``python -m costlab.bench.worker``.

Reads the configuration from a JSON file and answers with JSON lines on standard output, each with
the key ``costlab``: progress while it runs, then the path of the run or the error. A
crash of a driver or library takes only this process along. Under torchrun every rank measures and
the first one answers.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import threading
import traceback
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from costlab.bench.plan import from_json
from costlab.runs import write


def main(argv: list[str] | None = None) -> int:
    """Measure what the request says; 0 when a run was written."""
    parser = argparse.ArgumentParser(prog="python -m costlab.bench.worker")
    parser.add_argument("--request", type=Path, help="a JSON file: item, command")
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--environment", action="store_true")
    parser.add_argument("--tethered", action="store_true", help="end when standard input does")
    options = parser.parse_args(argv)
    if options.tethered:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        from costlab.bench import measure

        device = _join_ranks()
        if options.environment:
            _say(answers, {"environment": asdict(measure.environment(device))})
            return 0
        request = json.loads(options.request.read_text(encoding="utf-8"))
        item = from_json([request["item"]], "request")[0]
        try:
            run = measure.run(
                item,
                device=device,
                command=request.get("command", ""),
                progress=lambda state: _say(answers, {"progress": dict(state)}),
            )
        except Exception as error:  # the parent process records it and goes on
            traceback.print_exc()
            _say(answers, {"error": f"{type(error).__name__}: {error}"})
            return 1
        if _first_rank():
            _say(answers, {"run": str(write(run, options.out))})
    return 0


def _end_with_parent() -> None:
    """Leave at once when the process at the other end of standard input is gone."""
    os.read(0, 1)
    os._exit(1)


def _join_ranks() -> Any:
    """Return this process's device, after joining the other ranks where torchrun started it."""
    import torch

    from costlab.bench.measure import device_here

    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        backend = "nccl" if torch.cuda.is_available() else "gloo"
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        torch.distributed.init_process_group(backend)
    return device_here()


def _first_rank() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _say(stream: Any, message: Mapping[str, Any]) -> None:
    if _first_rank():
        stream.write(json.dumps({"costlab": message}) + "\n")
        stream.flush()


if __name__ == "__main__":
    raise SystemExit(main())
