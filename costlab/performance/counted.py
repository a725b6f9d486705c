"""Which of our own runs count, for which question.

A run counts when it is a real one (no smoke run), ran to the end on a GPU type of the table, and
every switch it asked for took effect. It answers a question that matches it exactly: model, mode,
GPU type and count, size, frames, steps, guidance on or off, batch, and the recipe. Of the runs that
answer a question only those of the newest environment count (the one with the latest run): runs of
unlike environments are never pooled. Full clips win over composed ones, real weights do not win
over synthetic ones. The figure is the median of what is left, its range their extremes.
"""

from __future__ import annotations

import contextlib
import hashlib
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from costlab import runs, store
from costlab.core import CostlabError
from costlab.performance import resources
from costlab.performance.ask import Question, Recipe, recipe

SPREAD_FLOOR = 0.01
"""Half-width of a measured range where the runs say nothing wider: repeats of a clip agree within
0.8 % (144 clips of the ML.ENERGY leaderboard), another card of the type within about 1 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredClip:
    """One run as the prediction sees it; ``environment`` is the hash that alike runs share."""

    id: str
    started_at: str
    question_key: str
    model: str
    mode: str
    gpu: str
    num_gpus: int
    height: int
    width: int
    frames: int
    steps: int
    cfg: bool
    recipe: str
    switches: tuple[str, ...]
    batch_size: int
    shift: float
    boundary: float | None
    environment: str
    environment_title: str
    smoke: bool
    weights: str
    method: str
    fits: bool
    applied: bool
    seconds: float | None
    seconds_low: float | None
    seconds_high: float | None
    energy_j: float | None
    mean_power_w: float | None
    peak_gib: float | None
    shared_weights: bool
    stages: tuple[str, ...]
    stage_seconds: tuple[float, ...]
    flags: tuple[str, ...]


_ATTENTION = {
    "native": "", "_native_flash": "sdpa flash", "_native_cudnn": "cudnn", "flash": "flash_attn",
    "_flash_3": "flash_attn_3", "_native_math": "sdpa math", "_native_efficient": "sdpa efficient",
}  # fmt: skip
_QUANTIZED = {"int8_dynamic": "int8", "fp8_dynamic": "fp8", "int8_weight_only": "int8-weight-only"}
_USUAL = {
    "compile=none", "storage=bf16", "cache=none", "vae_dtype=float32", "vae_tiling=off",
    "text_encoder=free", "experts=resident", "experts=shared", "fuse_qkv=off", "lora=none",
}  # fmt: skip
"""Switches at their default; experts that share their weights take as long as two."""

_TECHNIQUE = {
    "compile=regional": "compiled by block", "compile=full": "compiled",
    "storage=fp8": "stored in fp8", "quantize=fp8_weight_only": "stored in fp8 by torchao",
    "vae_dtype=bfloat16": "bf16 vae", "vae_tiling=on": "tiled vae",
}  # fmt: skip
_ELSEWHERE = ("attention", "quantize", "offload", "context_parallel")
_OFFLOAD = {"group_block": "block", "group_leaf": "sequential"}


def _question(row: Mapping[str, Any], switches: Mapping[str, str]) -> Question:
    """Return the question that a run answers: every switch off its default becomes a word of it."""
    words = [_TECHNIQUE.get(f"{name}={value}", f"{name}={value}")
             for name, value in sorted(switches.items())
             if name not in _ELSEWHERE and f"{name}={value}" not in _USUAL]  # fmt: skip
    quantized = switches.get("quantize", "none")
    if f"quantize={quantized}" in _TECHNIQUE:
        words.append(_TECHNIQUE[f"quantize={quantized}"])
    attention, offload = switches.get("attention", "native"), switches.get("offload", "none")
    return Question(
        **{name: row[name] for name in (
            "model", "gpu", "num_gpus", "height", "width", "frames", "steps", "cfg", "batch_size",
        )},
        mode=row["mode"],
        precision=_QUANTIZED.get(quantized, "bf16"),
        attention=_ATTENTION.get(attention, attention) or None,
        offload=_OFFLOAD.get(offload, offload),
        technique="; ".join(words) or None,
    )  # fmt: skip


def keys(asked: Question) -> tuple[str, ...]:
    """Return what a run must equal to answer a question: the recipe, the size, the steps.

    Where the question leaves offloading open, a run with everything resident answers it first: that
    it ran says that it fits.
    """
    size = (asked.height, asked.width, asked.frames, asked.batch_size)
    settled = resources.settle(recipe(asked), *size)
    ways = ("none", settled.offload) if recipe(asked).offload == "as fits" else (settled.offload,)
    return tuple(_key(asked, settled._replace(offload=way)) for way in dict.fromkeys(ways))


def _key(asked: Question, settled: Recipe) -> str:
    words = sorted(piece.strip() for piece in (asked.technique or "").lower().split(";"))
    size = (asked.height, asked.width, asked.frames, asked.steps, asked.cfg, asked.batch_size)
    text = (settled, words, size)
    return hashlib.sha256(repr(text).encode()).hexdigest()[:16]


def _parse(path: Path) -> list[dict[str, Any]]:
    run = runs.read(path)
    s, env = run.setting, run.environment
    peak = run.peak_nvml_gib if run.peak_nvml_gib is not None else run.peak_torch_gib
    switched = dict(name.split("=", 1) for name in run.switches if "=" in name)
    row: dict[str, Any] = {
        "id": run.id,
        "started_at": run.started_at,
        "model": s.model,
        "mode": s.mode,
        "gpu": env.gpu,
        "num_gpus": s.num_gpus,
        "height": s.height,
        "width": s.width,
        "frames": s.frames,
        "steps": s.steps,
        "cfg": s.guidance > 1,
        "recipe": s.recipe,
        "switches": sorted(f"{name}={value}" for name, value in switched.items()),
        "batch_size": s.batch_size,
        "shift": s.shift,
        "boundary": s.boundary,
        "environment": env.key,
        "environment_title": f"{env.gpu_name}, driver {env.driver}, torch {env.torch}, "
        f"diffusers {env.diffusers}",
        "smoke": run.smoke,
        "weights": run.weights,
        "method": run.method,
        "fits": run.fits,
        "applied": all(state == "applied" for state in run.switches.values()),
        "seconds": run.seconds,
        "seconds_low": run.seconds_low,
        "seconds_high": run.seconds_high,
        "energy_j": run.energy_j,
        "mean_power_w": run.mean_power_w,
        "peak_gib": peak,
        "stages": [stage.name for stage in run.stages],
        "stage_seconds": [stage.seconds for stage in run.stages],
        "flags": list(run.flags),
    }
    row["shared_weights"] = switched.get("experts") == "shared"
    row["question_key"] = ""
    if not run.smoke:
        with contextlib.suppress(CostlabError):  # `why_not` says so
            row["question_key"] = keys(_question(row, switched))[0]
    return [row]


RUNS = store.Shelf(
    table="measured_clips", record=MeasuredClip, pattern="measurements/*.json",
    home_pattern="runs/*.json", parse=_parse,
)  # fmt: skip


def measured() -> tuple[MeasuredClip, ...]:
    """Return every run on file, once each, whether it counts or not."""
    return tuple({run.id: run for run in store.records(RUNS)}.values())


def why_not(run: MeasuredClip) -> str:
    """Return why a run never enters a figure; empty when it counts."""
    if run.smoke:
        return "a smoke run proves that the path works, not how fast it is"
    if not run.question_key:
        return "its GPU is not in the table of GPU types, or its size is no size of the model"
    if not run.fits:
        return "it ran out of memory"
    if run.seconds is None:
        return "it has no time"
    if not run.applied:
        return "a switch that it asked for did not take effect"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the counting runs say about one question; ``runs`` is never empty."""

    runs: tuple[MeasuredClip, ...]
    seconds: float
    seconds_low: float
    seconds_high: float
    energy_j: float | None
    peak_gib: float | None

    @property
    def question(self) -> Question:
        """The question that the runs answer."""
        return question_of(self.runs[0])


def question_of(run: MeasuredClip) -> Question:
    """Return the question that a run answers."""
    row = {name: getattr(run, name) for name in MeasuredClip.__slots__}
    return _question(row, dict(name.split("=", 1) for name in run.switches))


def question_for(setting: runs.Setting, switches: Iterable[str], gpu: str) -> Question:
    """Return the question that measuring ``setting`` with ``switches`` on ``gpu`` would answer."""
    row = {
        "gpu": gpu,
        "cfg": setting.guidance > 1,
        **{name: getattr(setting, name) for name in setting.__slots__},
    }
    return _question(row, dict(name.split("=", 1) for name in switches if "=" in name))


def counting(found: Sequence[MeasuredClip]) -> dict[str, Measured]:
    """Return what counts, by question key."""
    by_key: dict[str, list[MeasuredClip]] = {}
    for run in found:
        if not why_not(run):
            by_key.setdefault(run.question_key, []).append(run)
    return {name: _pool(alike) for name, alike in by_key.items()}


def _pool(found: Sequence[MeasuredClip]) -> Measured:
    newest = max(found, key=lambda run: run.started_at).environment
    pool = [run for run in found if run.environment == newest]
    pool = [run for run in pool if run.method == "full"] or pool
    times = [run.seconds for run in pool if run.seconds is not None]
    lows = [run.seconds_low or run.seconds for run in pool if run.seconds is not None]
    highs = [run.seconds_high or run.seconds for run in pool if run.seconds is not None]
    middle = statistics.median(times)
    energies = [run.energy_j for run in pool if run.energy_j is not None]
    peaks = [run.peak_gib for run in pool if run.peak_gib is not None and not run.shared_weights]
    return Measured(
        runs=tuple(sorted(pool, key=lambda run: run.started_at)),
        seconds=middle,
        seconds_low=min([*filter(None, lows), middle * (1 - SPREAD_FLOOR)]),
        seconds_high=max([*filter(None, highs), middle * (1 + SPREAD_FLOOR)]),
        energy_j=statistics.median(energies) if energies else None,
        peak_gib=max(peaks) if peaks else None,
    )
