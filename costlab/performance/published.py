"""Published clip times: the rows that the prediction is calibrated on, and those left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from costlab import store
from costlab.core import Source, content_hash
from costlab.performance.ask import Question
from costlab.wan import GIB


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedClip:
    """One published setting; ``seconds`` is wall time per clip, ``energy_j`` of all GPUs per clip.

    ``peak_gb`` is in 10⁹ bytes per GPU as printed. ``scope`` says whether the time is of the whole
    clip or of its denoising loop. ``assumed`` lists what the source does not print.
    """

    id: str
    model: str
    gpu: str
    num_gpus: int
    height: int
    width: int
    frames: int
    steps: int
    cfg: bool
    precision: str = "bf16"
    mode: str | None = None
    attention: str | None = None
    stack: str | None = None
    parallel: str | None = None
    offload: str | None = None
    batch_size: int = 1
    technique: str | None = None
    scope: Literal["clip", "denoise"] = "clip"
    seconds: float
    energy_j: float | None = None
    peak_gb: float | None = None
    assumed: str = ""
    publisher: str
    document: str
    note: str = ""

    @property
    def question(self) -> Question:
        """The setting as a question."""
        scope = "denoise only" if self.scope == "denoise" else ""
        return Question(
            model=self.model, gpu=self.gpu, num_gpus=self.num_gpus, height=self.height,
            width=self.width, frames=self.frames, steps=self.steps, cfg=self.cfg,
            precision=self.precision, mode=self.mode, attention=self.attention, stack=self.stack,
            parallel=self.parallel, offload=self.offload, batch_size=self.batch_size,
            technique="; ".join(part for part in (self.technique, scope) if part) or None,
        )  # fmt: skip

    @property
    def source(self) -> Source:
        """Where the row was read."""
        return Source(publisher=self.publisher, document=self.document, note=self.note)

    @property
    def peak_gib(self) -> float | None:
        """Peak memory per GPU in GiB."""
        return None if self.peak_gb is None else self.peak_gb * 1e9 / GIB

    @property
    def title(self) -> str:
        """A name that a person recognises."""
        layout = f" {self.parallel}" if self.parallel else ""
        extra = f", {self.technique}" if self.technique else ""
        batch = f", batch {self.batch_size}" if self.batch_size > 1 else ""
        return (
            f"{self.model} {self.height}×{self.width}×{self.frames}, {self.steps} steps on "
            f"{self.num_gpus} × {self.gpu}, {self.stack or 'diffusers'}{layout}, "
            f"{self.precision}{extra}{batch}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Collected rows that do not enter the calibration, and why."""

    file: str
    rows: str
    reason: str


CLIPS = store.Shelf(table="published_clips", record=PublishedClip, pattern="published/clips.csv")
LEFT_OUT = store.Shelf(table="published_left_out", record=LeftOut, pattern="published/left_out.csv")


def clips() -> tuple[PublishedClip, ...]:
    """Return every published clip that the prediction is calibrated on."""
    return store.records(CLIPS)


def left_out() -> tuple[LeftOut, ...]:
    """Return what was collected and left out of the calibration."""
    return store.records(LEFT_OUT)


def digest() -> str:
    """Return the hash of the clips, by which fitted constants know what they were fitted from."""
    return content_hash(clips())[:16]
