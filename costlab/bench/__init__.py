"""Live measurement of Wan through diffusers, on the attached GPU or, as a smoke run, on the CPU.

It stands on `costlab.core`, `costlab.wan` and `costlab.runs` alone, so it also runs on a bare GPU
machine. Importing this package loads neither torch nor NVML; the functions load what they need.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costlab.bench.plan import (
    Item,
    Recipe,
    estimated_s,
    expand,
    from_json,
    ordered,
    plan_one,
    recipe,
    recipes,
    to_json,
)
from costlab.bench.processes import (
    MeasurementFailed,
    Outcome,
    Progress,
    environment,
    quiet,
    run_isolated,
    suite,
)
from costlab.bench.results import Comparison, compare, share_of_roofline, table

if TYPE_CHECKING:
    from costlab.bench.nvml import Devices
    from costlab.runs import Run

__all__ = [
    "Comparison",
    "Item",
    "MeasurementFailed",
    "Outcome",
    "Progress",
    "Recipe",
    "compare",
    "devices",
    "environment",
    "estimated_s",
    "expand",
    "from_json",
    "ordered",
    "plan_one",
    "progress_line",
    "quiet",
    "recipe",
    "recipes",
    "run",
    "run_isolated",
    "share_of_roofline",
    "suite",
    "table",
    "to_json",
]


def devices() -> Devices:
    """Return the attached GPUs by NVML, or why there are none; see `costlab.bench.nvml`."""
    from costlab.bench import nvml

    return nvml.devices()


def run(item: Item, out_dir: Path | None = None, progress: Progress = quiet, **more: Any) -> Run:
    """Measure one configuration in this process; see `costlab.bench.measure.run`."""
    from costlab.bench import measure

    return measure.run(item, out_dir, progress, **more)


def progress_line(state: Mapping[str, Any]) -> str:
    """Return a progress report as one line of text."""
    where = f"[{state['item'] + 1}/{state['items']}] " if "item" in state else ""
    left = f", about {state['left_s']:.0f} s left" if "left_s" in state else ""
    title = f"{state['title']}: " if "title" in state else ""
    return f"{where}{title}{state['stage']} {state['fraction']:.0%}{left}"
