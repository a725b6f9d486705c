"""``python -m costlab.bench plan.json``: run an expanded plan on a bare machine.

Needs costlab's source, torch, diffusers, transformers, accelerate and nvidia-ml-py; neither the
store nor the rest of costlab. See docs/measuring.md.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from costlab import bench
from costlab.core import CostlabError


def main(argv: list[str] | None = None) -> int:
    """Run the plan; 0 when nothing failed, 1 when a configuration did, 2 for a bad plan."""
    parser = argparse.ArgumentParser(prog="python -m costlab.bench", description=__doc__)
    parser.add_argument("plan", type=Path, help="written by `costlab bench plan --json`")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="where the records go")
    parser.add_argument("--budget", default="", help="for example 480, 480s or 8m")
    parser.add_argument("--price", type=float, help="USD per GPU-hour for the table")
    parser.add_argument("--tiny", action="store_true", help="the small stand-in, also on a GPU")
    options = parser.parse_args(argv)
    try:
        try:
            rows = json.loads(options.plan.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            print(f"{options.plan}: cannot be read: {error}", file=sys.stderr)
            return 2
        if options.tiny and isinstance(rows, list):
            rows = [{**row, "tiny": True} if isinstance(row, dict) else row for row in rows]
        items = bench.from_json(rows, options.plan.name)
        budget_s = seconds(options.budget) if options.budget else None
        outcomes = bench.suite(items, options.out, budget_s, _show)
    except CostlabError as error:
        print(error, file=sys.stderr)
        return 2
    for outcome in outcomes:
        print(f"{outcome.status:16} {outcome.item.title}  {outcome.note}")
    finished = [outcome.run for outcome in outcomes if outcome.run is not None]
    for row in bench.table(finished, options.price):
        print(json.dumps(row, ensure_ascii=False))
    return 1 if any(outcome.status == "failed" for outcome in outcomes) else 0


def seconds(text: str) -> float:
    """Return a duration such as ``480``, ``480s``, ``8m`` or ``1h`` in seconds.

    >>> seconds("8m")
    480.0
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|h)?", text.strip())
    if not found:
        raise CostlabError(f"a duration is written 480s, 8m or 1h, got {text!r}")
    return float(found[1]) * {"s": 1.0, "m": 60.0, "h": 3600.0}[found[2] or "s"]


def _show(state: Mapping[str, Any]) -> None:
    print(bench.progress_line(state), file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
