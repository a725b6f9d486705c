"""What if: one question varied along one of its settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from costlab.core import UnknownName
from costlab.performance.ask import Question, architecture
from costlab.performance.gpus import gpus

Along = Literal["steps", "boundary", "size", "frames", "gpu", "num_gpus"]
STEPS = (4, 6, 8, 10, 15, 20, 25, 30, 35, 40, 45, 50)
COUNTS = (1, 2, 4, 8)
BOUNDARIES = (0.8, 0.825, 0.85, 0.875, 0.9, 0.925, 0.95)


def sweep(asked: Question, along: str) -> tuple[Sequence[str], Sequence[Question]]:
    """Return the questions along one setting, each with its label; raises `UnknownName`.

    Counts that the heads of the model do not divide by are left out, and so is the boundary of a
    model with one expert.
    """
    arch = architecture(asked.model)
    if along == "steps":
        return [str(n) for n in STEPS], [replace(asked, steps=n) for n in STEPS]
    if along == "boundary":
        values = BOUNDARIES if arch.experts > 1 else ()
        return [f"{b:g}" for b in values], [replace(asked, boundary=b) for b in values]
    if along == "size":
        return (
            [f"{width}×{height}" for height, width in arch.sizes],
            [replace(asked, height=height, width=width) for height, width in arch.sizes],
        )
    if along == "frames":
        counts = range(17, 2 * arch.frames, 16)
        return [str(n) for n in counts], [replace(asked, frames=n) for n in counts]
    if along == "num_gpus":
        able = [n for n in COUNTS if arch.heads % n == 0]
        return [str(n) for n in able], [replace(asked, num_gpus=n) for n in able]
    if along == "gpu":
        cards = gpus()
        return [card.id for card in cards], [replace(asked, gpu=card.id) for card in cards]
    raise UnknownName.among(
        "setting to vary", along, ("steps", "boundary", "size", "frames", "gpu", "num_gpus")
    )
