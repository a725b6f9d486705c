"""Runs beside one another: what moved and whether by more than noise; a suite as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from costlab.runs import Run
from costlab.wan import architecture, forward_flops

NOISE_FLOOR = 0.01
"""Share below which a change is noise whatever the readings say (clocks, temperature, bits)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One quantity in two runs; ``noise`` is the share that readings scatter by themselves."""

    quantity: str
    unit: str
    a: float
    b: float
    noise: float

    @property
    def change(self) -> float:
        """Share by which ``b`` is above ``a``."""
        return self.b / self.a - 1 if self.a else 0.0

    @property
    def verdict(self) -> Literal["better", "worse", "within noise"]:
        """Whether the change is more than noise; every quantity here is better when lower."""
        if abs(self.change) <= self.noise:
            return "within noise"
        return "worse" if self.change > 0 else "better"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two runs compared; ``unlike`` names what differs between them besides the result."""

    a: str
    b: str
    moves: tuple[Move, ...]
    unlike: tuple[str, ...]

    @property
    def regressed(self) -> bool:
        """Whether anything got worse by more than noise."""
        return any(move.verdict == "worse" for move in self.moves)


def compare(a: Run, b: Run) -> Comparison:
    """Return what moved from ``a`` to ``b``: the clip, each stage, energy, memory.

    A run without seconds (out of memory, a switch not applied) has nothing to compare and shows up
    in ``unlike``. The noise of a stage is half the spread of its readings in the noisier run, of
    the clip half its range, and never below `NOISE_FLOOR`.
    """
    moves: list[Move] = []

    def add(quantity: str, unit: str, x: float | None, y: float | None, noise: float) -> None:
        if x and y:
            moves.append(
                Move(quantity=quantity, unit=unit, a=x, b=y, noise=max(noise, NOISE_FLOOR))
            )

    clip_noise = max(_clip_noise(a), _clip_noise(b))
    add("clip seconds", "s", a.seconds, b.seconds, clip_noise)
    first = {stage.name: stage for stage in a.stages}
    for stage in b.stages:
        if stage.name in first and stage.name != "other":
            old = first[stage.name]
            noise = max(_spread(old.each_s), _spread(stage.each_s))
            add(f"{stage.name} seconds", "s", old.seconds, stage.seconds, noise)
    add("energy", "J", a.energy_j, b.energy_j, max(clip_noise, 0.03))
    add("peak torch memory", "GiB", a.peak_torch_gib, b.peak_torch_gib, NOISE_FLOOR)
    add("peak NVML memory", "GiB", a.peak_nvml_gib, b.peak_nvml_gib, NOISE_FLOOR)
    return Comparison(a=a.id, b=b.id, moves=tuple(moves), unlike=_unlike(a, b))


def _spread(each_s: tuple[float, ...]) -> float:
    if len(each_s) < 2:
        return 0.0
    return (max(each_s) - min(each_s)) / 2 / (sum(each_s) / len(each_s))


def _clip_noise(run: Run) -> float:
    if run.seconds is None or run.seconds_low is None or run.seconds_high is None:
        return 0.0
    return (run.seconds_high - run.seconds_low) / 2 / run.seconds


def _unlike(a: Run, b: Run) -> tuple[str, ...]:
    found: list[str] = []
    pairs: list[tuple[str, Any, Any]] = [
        ("weights", a.weights, b.weights),
        ("method", a.method, b.method),
        ("smoke", a.smoke, b.smoke),
        ("fits", a.fits, b.fits),
        ("timed", a.seconds is not None, b.seconds is not None),
    ]
    for part in ("setting", "environment"):
        x, y = asdict(getattr(a, part)), asdict(getattr(b, part))
        pairs += [(key, x[key], y[key]) for key in x if key != "matmul_tflops"]
    found += [f"{name}: {x} against {y}" for name, x, y in pairs if x != y]
    for switch in sorted(set(a.switches) ^ set(b.switches)):
        found.append(f"only in {'a' if switch in a.switches else 'b'}: {switch}")
    return tuple(found)


def denoise_flops(run: Run) -> int:
    """Return the FLOPs of all transformer forwards of the run's clip or batch."""
    s = run.setting
    arch = architecture(s.model)
    forwards = s.steps * (2 if s.guidance > 1 else 1) * s.batch_size
    return forwards * forward_flops(arch, s.height, s.width, s.frames).total


def share_of_roofline(run: Run) -> float | None:
    """Return the clip's transformer FLOPs over what the card's measured matrix rate could do.

    The time is that of the experts' steps alone. None for smoke runs and without a measured rate.
    """
    busy = sum(stage.seconds for stage in run.stages if stage.name.endswith("noise"))
    rate = run.environment.matmul_tflops
    if run.smoke or not busy or not rate:
        return None
    return denoise_flops(run) / (busy * rate * 1e12 * run.setting.num_gpus)


def table(
    measured: Iterable[Run],
    usd_per_gpu_hour: float | None = None,
    predicted_s: Callable[[Run], float | None] | None = None,
) -> list[dict[str, Any]]:
    """Return one row per run: seconds and joules of one clip, GiB, share of roofline, USD.

    A batch is shared out evenly over its clips. ``usd`` is the busy card alone, without idle time.
    """
    rows = []
    for run in measured:
        s = run.setting
        clip_s = run.seconds_per_clip
        usd = None
        if clip_s is not None and usd_per_gpu_hour is not None and not run.smoke:
            usd = clip_s * s.num_gpus * usd_per_gpu_hour / 3600
        rows.append(
            {
                "run": run.id,
                "model": s.model,
                "mode": s.mode,
                "size": f"{s.height}×{s.width}×{s.frames}",
                "steps": s.steps,
                "recipe": s.recipe,
                "gpu": run.environment.gpu or "CPU (smoke)",
                "seconds": clip_s,
                "energy_j": None if run.energy_j is None else run.energy_j / s.batch_size,
                "peak_gib": run.peak_nvml_gib or run.peak_torch_gib,
                "share_of_roofline": share_of_roofline(run),
                "usd": usd,
                "predicted_s": predicted_s(run) if predicted_s else None,
                "note": "; ".join(run.flags),
            }
        )
    return rows
