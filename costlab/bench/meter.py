"""Where the time of a clip goes: marks on a timeline, spans between them.

On a GPU a mark is a CUDA event, so measuring never waits for the device; on a CPU it is a clock
reading. Marks are turned into seconds once, when the window closes::

    window ├─ text_encode ─┤   ├ vae_encode ┤├── step 0 ──┤├── step 1 ──┤ …  ├ vae_decode ┤
    forwards                                  ├cond┤├uncond┤
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Seconds from ``start_s`` to ``end_s`` on the sampler's clock.

    ``kind`` tells whole stages from steps and from single transformer forwards inside a step;
    ``name`` is a stage of `costlab.runs.Stage`.
    """

    kind: Literal["stage", "step", "forward"]
    name: str
    start_s: float
    end_s: float
    step: int | None = None
    branch: Literal["cond", "uncond"] | None = None
    clip: int = 0

    @property
    def seconds(self) -> float:
        """Length of the span."""
        return self.end_s - self.start_s


class Timeline(Protocol):
    """Marks moments on the device and reads them back as seconds of one clock."""

    def mark(self) -> Any:
        """Return a mark of now, without waiting for the device."""
        ...

    def settle(self) -> float:
        """Wait until the device has done its work; return the time."""
        ...

    def seconds(self, mark: Any) -> float:
        """Return when ``mark`` was reached; call `settle` first."""
        ...


class ClockTimeline:
    """A timeline for a device that works in step with the program."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock

    def mark(self) -> float:
        """Return the time."""
        return self._clock()

    def settle(self) -> float:
        """Return the time."""
        return self._clock()

    def seconds(self, mark: float) -> float:
        """Return the mark itself."""
        return mark


class CudaTimeline:
    """A timeline of CUDA events, tied to the sampler's clock where it was made."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        import torch

        self._torch = torch
        self._clock = clock
        torch.cuda.synchronize()
        self._base = self.mark()
        torch.cuda.synchronize()
        self._base_s = clock()

    def mark(self) -> Any:
        """Record an event on the current stream."""
        event = self._torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def settle(self) -> float:
        """Synchronise with the device; return the time."""
        self._torch.cuda.synchronize()
        return self._clock()

    def seconds(self, mark: Any) -> float:
        """Return when the device reached the event."""
        return self._base_s + float(self._base.elapsed_time(mark)) / 1000


class Recorder:
    """Collects spans of a pipeline while it renders.

    Put it around a pipeline with `attached`. Steps start where the one before ended, so the
    scheduler and the gaps between forwards belong to their step.
    """

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.clip = 0
        self._marks: list[tuple[dict[str, Any], Any, Any]] = []
        self._step_start: Any = None
        self._forward_start: Any = None
        self._expert = ""
        self._forwards = 0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Record what happens inside as one stage."""
        start = self.timeline.mark()
        try:
            yield
        finally:
            self._add("stage", name, start)

    def begin_forward(self, expert: str) -> None:
        """Note that a transformer forward of ``expert`` starts."""
        self._forward_start = self.timeline.mark()
        self._expert = expert
        if self._step_start is None:
            self._step_start = self._forward_start

    def end_forward(self, step: int) -> None:
        """Note that the forward ended; the first of a step is the guided branch."""
        branch = "cond" if self._forwards == 0 else "uncond"
        self._forwards += 1
        self._add("forward", self._expert, self._forward_start, step=step, branch=branch)

    def end_step(self, step: int) -> None:
        """Note that the scheduler finished ``step``."""
        end = self._add("step", self._expert, self._step_start, step=step)
        self._step_start = end
        self._forwards = 0

    def end_clip(self) -> None:
        """Note that a clip is done, so that the next step starts with its first forward."""
        self._step_start = None
        self._forwards = 0
        self.clip += 1

    def _add(self, kind: str, name: str, start: Any, **labels: Any) -> Any:
        end = self.timeline.mark()
        self._marks.append(({"kind": kind, "name": name, "clip": self.clip, **labels}, start, end))
        return end

    def spans(self) -> list[Span]:
        """Return everything recorded, in seconds; waits for the device."""
        self.timeline.settle()
        at = self.timeline.seconds
        return [
            Span(**labels, start_s=at(start), end_s=at(end)) for labels, start, end in self._marks
        ]


@contextmanager
def attached(recorder: Recorder, pipe: Any) -> Iterator[Callable[..., dict[str, Any]]]:
    """Hook both experts and the VAE of ``pipe``; yields its ``callback_on_step_end``.

    A pipeline with one expert reports it as low_noise. Everything is taken off on exit.
    """
    two = getattr(pipe, "transformer_2", None) is not None
    experts = (
        {"high_noise": pipe.transformer, "low_noise": pipe.transformer_2}
        if two
        else {"low_noise": pipe.transformer}
    )
    step = 0
    removers: list[Callable[[], None]] = []

    def before(name: str) -> Callable[..., None]:
        return lambda *_: recorder.begin_forward(name)

    def after(*_: Any) -> None:
        recorder.end_forward(step)

    for name, expert in experts.items():
        removers.append(expert.register_forward_pre_hook(before(name)).remove)
        removers.append(expert.register_forward_hook(after).remove)
    removers += [_wrapped(pipe.vae, method, recorder) for method in ("encode", "decode")]

    def on_step_end(_pipe: Any, index: int, _t: Any, _kwargs: Any) -> dict[str, Any]:
        nonlocal step
        recorder.end_step(index)
        step = index + 1
        return {}

    try:
        yield on_step_end
    finally:
        for remove in removers:
            remove()


def _wrapped(vae: Any, method: str, recorder: Recorder) -> Callable[[], None]:
    """Time a plain method of the VAE (module hooks do not see it); return what undoes it."""
    inner = getattr(vae, method)

    def timed(*args: Any, **kwargs: Any) -> Any:
        with recorder.stage(f"vae_{method}"):
            return inner(*args, **kwargs)

    setattr(vae, method, timed)
    return lambda: delattr(vae, method)


class Counted:
    """Counts how often parts of one transformer block were really computed.

    Caches keep calling the block but skip what is inside, so the counters sit on the linear layers
    that do the work.
    """

    def __init__(self, expert: Any) -> None:
        block = expert.blocks[len(expert.blocks) // 2]
        self.forwards = 0
        self.computed: dict[str, int] = {}
        self._handles = [expert.register_forward_hook(self._forward)]
        for part, module in _workers(block).items():
            self.computed[part] = 0
            self._handles.append(module.register_forward_hook(self._counter(part)))

    def _forward(self, *_: Any) -> None:
        self.forwards += 1

    def _counter(self, part: str) -> Callable[..., None]:
        def count(*_: Any) -> None:
            self.computed[part] += 1

        return count

    def close(self) -> Mapping[str, int]:
        """Take the counters off and return how often each part was computed."""
        for handle in self._handles:
            handle.remove()
        return self.computed


def _workers(block: Any) -> dict[str, Any]:
    return {
        "self_attention": block.attn1.to_out[0],
        "cross_attention": block.attn2.to_out[0],
        "feed_forward": block.ffn.net[2],
    }
