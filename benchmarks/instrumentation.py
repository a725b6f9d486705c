"""What measuring costs: time inside the hooks over the time of the loop, which must stay ≤ 1 %.

Renders the small stand-in with and without the recorder, interleaved, and prints the median of
both shares as JSON: ``python benchmarks/instrumentation.py``. On a GPU the same hooks record CUDA
events around forwards that take seconds, so their share is far smaller there.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from costlab.bench.measure import device_here
from costlab.bench.meter import ClockTimeline, CudaTimeline, Recorder, attached
from costlab.bench.pipelines import build
from costlab.bench.plan import plan_one, without_gpu

ROUNDS = 15
LIMIT = 0.01


def timed(recorder: Recorder, spent: list[float]) -> None:
    """Make the recorder add up the seconds spent inside it."""
    for name in ("begin_forward", "end_forward", "end_step", "stage"):
        setattr(recorder, name, _counting(getattr(recorder, name), spent))


def _counting(inner: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    def counted(*arguments: Any) -> Any:
        began = time.perf_counter()
        answer = inner(*arguments)
        spent[0] += time.perf_counter() - began
        return answer

    return counted


def main() -> int:
    device = device_here()
    item = without_gpu(plan_one("wan2.2-t2v-a14b", steps=8))
    pipe, _ = build(item, device)
    embeds = pipe.encode_prompt("a", "b", max_sequence_length=512)
    arguments = dict(zip(("prompt_embeds", "negative_prompt_embeds"), embeds, strict=True))

    def render(**more: Any) -> float:
        began = time.perf_counter()
        pipe(**arguments, height=64, width=64, num_frames=9, num_inference_steps=8, **more)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began

    render()
    inside, plain, hooked = [], [], []
    for _ in range(ROUNDS):
        plain.append(render())
        spent = [0.0]
        recorder = Recorder(CudaTimeline() if device.type == "cuda" else ClockTimeline())
        timed(recorder, spent)
        with attached(recorder, pipe) as on_step_end:
            seconds = render(callback_on_step_end=on_step_end)
        hooked.append(seconds)
        inside.append(spent[0] / seconds)
    share = statistics.median(inside)
    result = {
        "device": str(device),
        "rounds": ROUNDS,
        "share_inside_hooks": share,
        "median_plain_s": statistics.median(plain),
        "median_hooked_s": statistics.median(hooked),
        "limit": LIMIT,
    }
    print(json.dumps(result))
    return 0 if share <= LIMIT else 1


if __name__ == "__main__":
    raise SystemExit(main())
