"""One configuration, measured: build, warm up, open the window, render, close it, write it down.

Composed (default) or full::

    idle ─▶ build ─▶ [text encode ×3] ─▶ warm-up forward ─▶ [a few steps of each expert, VAE] ─▶ Run
                                                            [every step of every clip, VAE]

A composed clip is Σ (seconds of a stage) × (times it runs in a clip). Without a GPU the same code
renders a tiny model on the CPU and the run says ``smoke``.
"""

from __future__ import annotations

import gc
import importlib.metadata
import os
import platform
import re
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pynvml
import torch

from costlab.bench import nvml
from costlab.bench.meter import (
    ClockTimeline,
    CudaTimeline,
    Recorder,
    Span,
    Timeline,
    attached,
)
from costlab.bench.pipelines import build
from costlab.bench.plan import Item, estimated_s, probe_shift, without_gpu
from costlab.bench.switches import APPLIED, Switches
from costlab.runs import Environment, Run, Stage, write
from costlab.wan import GIB, TEXT_TOKENS

IDLE_S = 2.0
TEXT_READINGS = 3
ENERGY_TOLERANCE = 0.03
SPREAD_TOLERANCE = 0.02
CLOCK_TOLERANCE = 0.1
MANY_READINGS = 5
MATMUL_SIDE = 8192
PROMPT = "A lighthouse on a cliff at dusk, waves breaking below, slow camera move to the left"
NEGATIVE = "blurry, overexposed, static, low quality"

Progress = Callable[[Mapping[str, Any]], None]
"""Called with ``stage`` (words), ``fraction`` (0 to 1) and whatever else the caller added."""


def quiet(_: Mapping[str, Any]) -> None:
    """Show no progress."""


def device_here() -> torch.device:
    """Return the card of this process, or the CPU."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else CPU


CPU = torch.device("cpu")


def environment(device: torch.device) -> Environment:
    """Return where this process measures; the matrix rate is left out (`matmul_tflops`)."""
    found = nvml.devices()
    uuid = _uuid(device)
    card = next((d for d in found.found if d.uuid == uuid), None)
    gpu_name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    memory = torch.cuda.get_device_properties(device).total_memory if gpu_name else 0
    return Environment(
        gpu=nvml.gpu_id(gpu_name) if gpu_name else "",
        gpu_name=gpu_name,
        gpu_memory_gib=round(memory / GIB, 3),
        driver=card.driver if card else "",
        cuda=torch.version.cuda or "",
        torch=torch.__version__,
        diffusers=importlib.metadata.version("diffusers"),
        transformers=importlib.metadata.version("transformers"),
        python=platform.python_version(),
        platform=platform.platform(),
        costlab=_costlab_version(),
        power_limit_w=card.power_limit_w if card else None,
        max_sm_clock_mhz=card.max_sm_clock_mhz if card else None,
    )


def _costlab_version() -> str:
    import costlab

    return str(getattr(costlab, "__version__", "source"))


def _uuid(device: torch.device) -> str:
    if device.type != "cuda":
        return ""
    uuid = str(torch.cuda.get_device_properties(device).uuid)
    return uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"


def matmul_tflops(device: torch.device) -> float | None:
    """Return the rate of bf16 8192³ matrix products on random data; None without a GPU."""
    if device.type != "cuda":
        return None
    shape = (MATMUL_SIDE, MATMUL_SIDE)
    a = torch.randn(shape, dtype=torch.bfloat16, device=device)
    b = torch.randn(shape, dtype=torch.bfloat16, device=device)
    for _ in range(10):
        a @ b
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    rounds = 100
    for _ in range(rounds):
        a @ b
    end.record()
    torch.cuda.synchronize()
    return rounds * 2 * MATMUL_SIDE**3 / (start.elapsed_time(end) / 1000) / 1e12


@dataclass(slots=True)
class Readings:
    """What a measurement gathers on its way; complete only at the end, useful also in part."""

    started_at: str
    environment: Environment
    switches: dict[str, str]
    flags: list[str]
    idle_power_w: float | None = None
    load_s: float | None = None
    warm_up_s: float | None = None
    warm_forwards: int = 0
    window: tuple[float, float] | None = None
    spans: Sequence[Span] = ()
    split: tuple[int, int] = (0, 0)
    peak_torch_gib: float | None = None


def run(
    item: Item,
    out_dir: Path | None = None,
    progress: Progress = quiet,
    *,
    device: torch.device | None = None,
    sensor: nvml.Sensor | None = None,
    command: str | None = None,
) -> Run:
    """Measure ``item`` in this process and return the run, written to ``out_dir`` if given.

    Without a GPU, or with ``item.tiny``, the clip is shrunk and the run is a smoke run. Out of
    memory gives a run with ``fits`` False; a switch that did nothing gives one without seconds.
    ``sensor`` stands in for NVML.
    """
    where = device or device_here()
    _open(where)
    smoke = where.type == "cpu" or item.tiny
    asked = without_gpu(item) if smoke else item
    here = environment(where)
    readings = Readings(
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        environment=here,
        switches={},
        flags=_before(where),
    )
    if sensor is None:
        sensor, why = _sensor(where)
    else:
        why = ""
    peak_rate = 989.0
    interval_s = min(max(estimated_s(asked, peak_rate) / 1500, 0.1), 1.0) if not smoke else 0.02
    sampler = nvml.Sampler(sensor, interval_s) if sensor else None
    fits, stand_in = True, smoke
    try:
        stand_in = _measure(asked, where, sampler, readings, progress, smoke)
    except (RuntimeError, MemoryError) as error:
        if not _is_memory(error):
            raise
        fits = False
        readings.flags.append(_out_of_memory(error, where))
    finally:
        gc.collect()
        if where.type == "cuda":
            torch.cuda.empty_cache()
    samples = sampler.samples if sampler else []
    done = _run(asked, readings, samples, sensor, why, fits=fits, smoke=smoke or stand_in)
    done = replace(done, command=command if command is not None else shlex.join(sys.argv))
    if out_dir is not None and _rank() == 0:
        write(done, out_dir)
    return done


def _rank() -> int:
    return torch.distributed.get_rank() if torch.distributed.is_initialized() else 0


def _open(device: torch.device) -> None:
    """Open the CUDA context: NVML lists this process only then, and idle power is drawn with it."""
    if device.type == "cuda":
        torch.zeros(1, device=device)
        torch.cuda.synchronize()


def _before(device: torch.device) -> list[str]:
    """Return what speaks against this machine before anything runs on it."""
    if device.type != "cuda":
        return ["no GPU: a tiny stand-in on the CPU"]
    card = next((d for d in nvml.devices().found if d.uuid == _uuid(device)), None)
    if card is None:
        return ["NVML does not show this card: no energy, no clocks"]
    flags = []
    if card.mig:
        flags.append("MIG is on: power and energy are those of the whole board")
    if others := _other_processes(card):
        flags.append(f"{others} other process(es) on the card")
    return flags


def _other_processes(card: nvml.Device) -> int:
    """Return how many processes use the card besides this one.

    Inside a container NVML may number processes differently; then one of them is taken for this.
    """
    others = sum(process["pid"] != os.getpid() for process in card.processes)
    hidden = others == len(card.processes) > 0 and torch.cuda.is_initialized()
    return others - hidden


def _sensor(device: torch.device) -> tuple[nvml.Sensor | None, str]:
    if device.type != "cuda":
        return None, "no GPU, so no energy was read"
    count = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
    cards = [device] if count == 1 else [torch.device("cuda", i) for i in range(count)]
    try:
        return nvml.NvmlSensor([_uuid(card) for card in cards]), ""
    except pynvml.NVMLError as error:
        return None, nvml.explain(error)


def _is_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out; libraries beside torch have their own words.

    cuDNN finds no engine where none has the memory that it would need to work in, so on a full card
    this means the same.
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    if any(words in str(error) for words in ("out of memory", "ALLOC_FAILED")):
        return True
    return "unable to find an engine" in str(error) and _nearly_full()


def _nearly_full() -> bool:
    if not torch.cuda.is_available():
        return False
    free, total = torch.cuda.mem_get_info()
    return free + torch.cuda.memory_reserved() - torch.cuda.memory_allocated() < total / 10


def _out_of_memory(error: BaseException, device: torch.device) -> str:
    if device.type != "cuda":
        return "does not fit in this machine's memory"
    asked = re.search(r"Tried to allocate ([\d.]+) (KiB|MiB|GiB)", str(error))
    extra = 0.0
    if asked:
        extra = float(asked[1]) / {"KiB": 2**20, "MiB": 2**10, "GiB": 1}[asked[2]]
    free, total = torch.cuda.mem_get_info(device)
    beside = (total - free - torch.cuda.memory_reserved(device)) / GIB
    needed = torch.cuda.max_memory_allocated(device) / GIB + extra + beside
    return (
        f"does not fit: needs at least {needed:.1f} GiB ({beside:.1f} GiB of it outside torch), "
        f"the card has {total / GIB:.1f} GiB"
    )


def _measure(
    item: Item,
    device: torch.device,
    sampler: nvml.Sampler | None,
    readings: Readings,
    progress: Progress,
    smoke: bool,
) -> bool:
    """Fill ``readings``; return whether what ran is a stand-in for the model."""
    cuda = device.type == "cuda"
    if sampler and not smoke:
        progress({"stage": "idle power", "fraction": 0.0})
        with sampler:
            time.sleep(IDLE_S)
        draws = [s.power_w for s in sampler.samples if s.power_w is not None]
        readings.idle_power_w = sum(draws) / len(draws) if draws else None
        sampler.samples.clear()
    progress({"stage": "matrix rate", "fraction": 0.02})
    rate = matmul_tflops(device)
    readings.environment = replace(readings.environment, matmul_tflops=rate)
    progress({"stage": "weights", "fraction": 0.05})
    began = time.perf_counter()
    pipe, stand_in = build(item, device)
    if stand_in and not smoke:
        readings.flags.append(f"the weights are not those of {item.setting.model}: a smoke run")
    if cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats(device)
    if item.weights == "real":
        readings.load_s = time.perf_counter() - began
    switches = Switches(item, pipe, device)
    switches.apply()
    readings.switches = switches.report
    if switches.refused:
        return stand_in
    timeline: Timeline = CudaTimeline() if cuda else ClockTimeline()
    recorder = Recorder(timeline)
    sampling: AbstractContextManager[Any] = sampler if sampler else nullcontext()
    with torch.no_grad(), sampling:
        progress({"stage": "text encoder", "fraction": 0.2})
        embeds, text_spans = _encode(item, pipe, switches, timeline)
        progress({"stage": "warm-up", "fraction": 0.25})
        began = timeline.settle()
        try:
            readings.warm_forwards = _warm_up(item, pipe, embeds)
        except Exception as error:
            if _is_memory(error) or not switches.blame(error):
                raise
            return stand_in
        readings.warm_up_s = timeline.settle() - began
        _decode_one_frame(item, pipe, embeds)
        switches.after_clip()
        switches.verify_compiled()
        if switches.refused:
            return stand_in
        readings.split = _split(item, pipe, device)
        with attached(recorder, pipe) as on_step_end:
            switches.watch()
            opened = timeline.settle()
            for clip in range(item.repeats):
                _clip(item, pipe, embeds, switches, recorder, on_step_end, progress, clip)
            readings.window = (opened, timeline.settle())
        readings.spans = [*text_spans, *recorder.spans()]
    readings.flags += switches.verify()
    if cuda:
        readings.peak_torch_gib = torch.cuda.max_memory_allocated(device) / GIB
    return stand_in


def _encode(
    item: Item, pipe: Any, switches: Switches, timeline: Timeline
) -> tuple[dict[str, Any], list[Span]]:
    """Return the prompt embeddings and the timed encodings, after one that is not timed."""
    recorder = Recorder(timeline)
    for reading in range(TEXT_READINGS + 1):
        if reading == 1:
            timeline.settle()
            recorder = Recorder(timeline)
        with recorder.stage("text_encode"):
            switches.before_encode()
            positive, negative = pipe.encode_prompt(
                prompt=[PROMPT] * item.setting.batch_size,
                negative_prompt=[NEGATIVE] * item.setting.batch_size,
                do_classifier_free_guidance=item.setting.guidance > 1,
                max_sequence_length=TEXT_TOKENS,
            )
            if item.recipe.text_encoder == "offload":
                switches.encoded()
        recorder.clip += 1
        if item.recipe.offload == "model":
            pipe.maybe_free_model_hooks()
    embeds = {"prompt_embeds": positive, "negative_prompt_embeds": negative}
    spans = recorder.spans()
    switches.encoded()
    return embeds, spans


def _arguments(item: Item, embeds: Mapping[str, Any]) -> dict[str, Any]:
    s = item.setting
    arguments: dict[str, Any] = {
        **embeds,
        "height": s.height,
        "width": s.width,
        "num_frames": s.frames,
        "guidance_scale": s.guidance,
        "output_type": "np",
        "generator": torch.Generator("cpu").manual_seed(0),
    }
    if s.guidance_2 is not None:
        arguments["guidance_scale_2"] = s.guidance_2
    if s.mode == "i2v":
        arguments["image"] = _picture(s.height, s.width)
    return arguments


def _picture(height: int, width: int) -> Any:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def _warm_up(item: Item, pipe: Any, embeds: Mapping[str, Any]) -> int:
    """Run one forward, or one on each expert where a switch prepares them one by one.

    Stops at the latents; returns the number of forwards.
    """
    plain = all(
        getattr(item.recipe, name) == usual
        for name, usual in (("compile", "none"), ("quantize", "none"), ("offload", "none"),
                            ("storage", "bf16"), ("lora", "none"))
    )  # fmt: skip
    steps = 1 if plain or getattr(pipe, "transformer_2", None) is None else 2
    _schedule(pipe, probe_shift(steps, item.setting.boundary))
    arguments = _arguments(item, embeds) | {"guidance_scale": 1.0, "output_type": "latent"}
    if "guidance_scale_2" in arguments:
        arguments["guidance_scale_2"] = 1.0
    pipe(num_inference_steps=steps, **arguments)
    _reset_caches(pipe)
    return steps


def _decode_one_frame(item: Item, pipe: Any, embeds: Mapping[str, Any]) -> None:
    """Decode one latent frame, so that the libraries behind the VAE are loaded before the window.

    An offloaded VAE is left alone: its way to the card belongs to the clip.
    """
    if item.recipe.offload in ("model", "sequential"):
        return
    s, vae = item.setting, pipe.vae
    cell = vae.config.scale_factor_spatial
    shape = (1, vae.config.z_dim, 1, s.height // cell, s.width // cell)
    device = embeds["prompt_embeds"].device
    vae.decode(torch.zeros(shape, dtype=vae.dtype, device=device))


def _reset_caches(pipe: Any) -> None:
    for expert in (pipe.transformer, getattr(pipe, "transformer_2", None)):
        if expert is not None and expert.is_cache_enabled:
            expert._reset_stateful_cache()


def _schedule(pipe: Any, shift: float) -> None:
    pipe.scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config, flow_shift=shift)


def _split(item: Item, pipe: Any, device: torch.device) -> tuple[int, int]:
    """Return (high, low) steps of the clip, by the very scheduler that is installed."""
    s = item.setting
    _schedule(pipe, s.shift)
    pipe.scheduler.set_timesteps(s.steps, device=device)
    if getattr(pipe, "transformer_2", None) is None or s.boundary is None:
        return 0, s.steps
    edge = s.boundary * pipe.scheduler.config.num_train_timesteps
    high = int((pipe.scheduler.timesteps >= edge).sum())
    return high, s.steps - high


def _clip(
    item: Item,
    pipe: Any,
    embeds: Mapping[str, Any],
    switches: Switches,
    recorder: Recorder,
    on_step_end: Callable[..., dict[str, Any]],
    progress: Progress,
    clip: int,
) -> None:
    s = item.setting
    steps = s.steps
    shift = s.shift
    if item.method == "composed":
        steps = item.probe_steps * 2
        shift = probe_shift(steps, s.boundary)
    _schedule(pipe, shift)
    _reset_caches(pipe)

    def step_done(*args: Any) -> dict[str, Any]:
        done = (clip + (args[1] + 1) / steps) / item.repeats
        progress({"stage": "steps", "fraction": 0.3 + 0.65 * done})
        return on_step_end(*args)

    switches.swap_adapter(clip)
    pipe(
        num_inference_steps=steps,
        callback_on_step_end=step_done,
        callback_on_step_end_tensor_inputs=[],
        **_arguments(item, embeds),
    )
    switches.after_clip()
    recorder.end_clip()


def _run(
    item: Item,
    readings: Readings,
    samples: Sequence[nvml.Sample],
    sensor: nvml.Sensor | None,
    why_no_sensor: str,
    *,
    fits: bool,
    smoke: bool,
) -> Run:
    """Return the record of what was read."""
    stages: tuple[Stage, ...] = ()
    seconds = low = high = energy = power = first = None
    note = why_no_sensor
    refused = any(why != APPLIED for why in readings.switches.values())
    flags = list(readings.flags)
    if fits and not refused and readings.window is not None:
        joules, note = energy_reader(samples, readings.window, sensor, why_no_sensor)
        stages = compose(item, readings.spans, readings.window, readings.split, joules)
        seconds = sum(stage.seconds for stage in stages)
        low, high = interval(stages)
        if all(stage.energy_j is not None for stage in stages):
            energy = sum(stage.energy_j or 0.0 for stage in stages)
            power = energy / seconds if seconds else None
        if readings.warm_up_s is not None:
            first = seconds + _slower_start(readings)
        flags += stability(stages, samples, note)
    if refused:
        flags.append("not timed: a switch was not applied")
    memory = [s.memory_gib for s in samples if s.memory_gib is not None]
    origin = readings.window[0] if readings.window else (samples[0].t_s if samples else 0.0)
    return Run(
        started_at=readings.started_at,
        command="",
        smoke=smoke,
        weights=item.weights,
        method=item.method,
        setting=item.setting,
        environment=readings.environment,
        fits=fits,
        seconds=seconds,
        seconds_low=low,
        seconds_high=high,
        stages=stages,
        energy_j=energy,
        energy_note=note,
        mean_power_w=power,
        idle_power_w=readings.idle_power_w,
        peak_torch_gib=readings.peak_torch_gib,
        peak_nvml_gib=max(memory) if memory else None,
        load_s=readings.load_s,
        first_clip_s=first,
        switches=readings.switches,
        flags=tuple(flags),
        spans=tuple(_plain_span(span, origin) for span in readings.spans),
        samples=_columns(samples, origin, sensor),
    )


def _slower_start(readings: Readings) -> float:
    """Return how much longer the first forward took than warm ones, at least 0 s."""
    warm = [span.seconds for span in readings.spans if span.kind == "forward"]
    encodes = [span.seconds for span in readings.spans if span.name == "vae_encode"]
    if not warm or readings.warm_up_s is None:
        return 0.0
    usual = readings.warm_forwards * _mean(warm) + (_mean(encodes) if encodes else 0.0)
    return max(0.0, readings.warm_up_s - usual)


Joules = Callable[[float, float], float | None]
"""The energy of an interval on the sampler's clock, in joules."""


def energy_reader(
    samples: Sequence[nvml.Sample],
    window: tuple[float, float],
    sensor: nvml.Sensor | None,
    why_no_sensor: str = "",
) -> tuple[Joules, str]:
    """Return how to read an interval's energy, and a note on how far to trust it.

    The card's energy counter comes first; it is checked against integrated power over the whole
    window and the note says so where they differ by more than 3 %. Without a counter the
    integrated power is used.
    """
    if sensor is None:
        return (lambda _start, _end: None), why_no_sensor
    counted = nvml.counter_j(samples, *window)
    integrated = nvml.integrated_j(samples, *window)
    if counted is not None:
        note = "energy counter"
        if integrated is None:
            note += "; no power samples to check it against"
        elif counted <= 0:
            note = "the energy counter stood still; power integrated over samples"
            return (lambda a, b: nvml.integrated_j(samples, a, b)), note
        else:
            off = integrated / counted - 1
            note += f"; integrated power differs by {off:+.1%}"
            if abs(off) > ENERGY_TOLERANCE:
                note += ", more than 3 %: treat the energy with care"
        return (lambda a, b: nvml.counter_j(samples, a, b)), note
    why = sensor.missing.get("energy_j", "the counter was not read")
    if integrated is not None:
        return (
            (lambda a, b: nvml.integrated_j(samples, a, b)),
            f"power integrated over samples; no energy counter: {why}",
        )
    reason = sensor.missing.get("power_w", "no power samples")
    return (lambda _start, _end: None), f"no energy: {why}; {reason}"


def compose(
    item: Item,
    spans: Sequence[Span],
    window: tuple[float, float],
    split: tuple[int, int],
    joules: Joules,
) -> tuple[Stage, ...]:
    """Return the stages of one whole clip from the spans of a window of ``item.repeats`` clips.

    An expert's steps are scaled to ``split``; everything else happens once a clip. With experts
    that move between CPU and card, the first step of each holds the move, which happens once. What
    no span covers (noise, post-processing, copying out) is ``other``.
    """
    moves = item.recipe.offload == "model" or item.recipe.experts == "swap"
    stages: list[Stage] = []
    covered_s = 0.0
    covered_j: float | None = 0.0

    def energies(chosen: Sequence[Span]) -> list[float] | None:
        each = [joules(span.start_s, span.end_s) for span in chosen]
        return None if any(j is None for j in each) else [j or 0.0 for j in each]

    def cover(chosen: Sequence[Span]) -> None:
        nonlocal covered_s, covered_j
        covered_s += sum(span.seconds for span in chosen)
        found = energies(chosen)
        covered_j = None if covered_j is None or found is None else covered_j + sum(found)

    def add(name: str, chosen: Sequence[Span], count: int) -> None:
        if not chosen:
            if count:
                raise RuntimeError(f"no reading of {name}, which runs {count} times in a clip")
            return
        each = [span.seconds for span in chosen]
        found = energies(chosen)
        if moves and name.endswith("noise"):
            firsts, rest = _firsts(chosen)
            steady = rest or firsts
            seconds = _mean([s.seconds for s in firsts]) + (count - 1) * _mean(
                [s.seconds for s in steady]
            )
            first_j, rest_j = energies(firsts), energies(steady)
            energy = (
                None
                if first_j is None or rest_j is None
                else _mean(first_j) + (count - 1) * _mean(rest_j)
            )
        else:
            seconds = count * _mean(each)
            energy = None if found is None else count * _mean(found)
        stages.append(
            Stage(name=name, seconds=seconds, count=count, each_s=tuple(each), energy_j=energy)
        )

    by_stage = {name: [s for s in spans if s.kind == "stage" and s.name == name]
                for name in ("text_encode", "vae_encode", "vae_decode")}  # fmt: skip
    by_expert = {name: [s for s in spans if s.kind == "step" and s.name == name]
                 for name in ("high_noise", "low_noise")}  # fmt: skip
    add("text_encode", by_stage["text_encode"], 1)
    add("vae_encode", by_stage["vae_encode"], 1 if by_stage["vae_encode"] else 0)
    add("high_noise", by_expert["high_noise"], split[0])
    add("low_noise", by_expert["low_noise"], split[1])
    add("vae_decode", by_stage["vae_decode"], 1)
    for chosen in (*by_expert.values(), by_stage["vae_encode"], by_stage["vae_decode"]):
        cover(chosen)
    rest_s = max(0.0, window[1] - window[0] - covered_s) / item.repeats
    whole_j = joules(*window)
    rest_j = None
    if whole_j is not None and covered_j is not None:
        rest_j = max(0.0, whole_j - covered_j) / item.repeats
    stages.append(Stage(name="other", seconds=rest_s, count=1, each_s=(rest_s,), energy_j=rest_j))
    return tuple(stages)


def _firsts(spans: Sequence[Span]) -> tuple[list[Span], list[Span]]:
    """Return the first step of an expert in each clip, and the others."""
    firsts: dict[int, Span] = {}
    for span in spans:
        firsts.setdefault(span.clip, span)
    chosen = list(firsts.values())
    return chosen, [span for span in spans if span not in chosen]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def interval(stages: Sequence[Stage]) -> tuple[float, float]:
    """Return the clip's seconds at the fast and at the slow end of every stage.

    With five readings or more the ends are those of the 90 % interval of their mean (normal), with
    fewer the fastest and the slowest reading. A stage that is not its count times the mean reading
    (moving experts) is held fixed.
    """
    low = high = 0.0
    for stage in stages:
        scale = stage.seconds / (stage.count * _mean(stage.each_s)) if stage.seconds else 0.0
        if abs(scale - 1) > 1e-6:
            low, high = low + stage.seconds, high + stage.seconds
        else:
            fast, slow = _ends(stage.each_s)
            low, high = low + stage.count * fast, high + stage.count * slow
    return low, high


def _ends(each_s: Sequence[float]) -> tuple[float, float]:
    if len(each_s) < MANY_READINGS:
        return min(each_s), max(each_s)
    half = 1.645 * statistics.stdev(each_s) / len(each_s) ** 0.5
    return _mean(each_s) - half, _mean(each_s) + half


def stability(
    stages: Sequence[Stage], samples: Sequence[nvml.Sample], energy_note: str
) -> list[str]:
    """Return the reasons to doubt a measurement, in words."""
    flags = []
    for stage in stages:
        if stage.name.endswith("noise") and len(stage.each_s) == 1 < stage.count:
            flags.append(f"one reading of {stage.name}: the range leaves out its spread")
        elif stage.name.endswith("noise"):
            spread = (max(stage.each_s) - min(stage.each_s)) / _mean(stage.each_s)
            if spread > SPREAD_TOLERANCE:
                flags.append(f"{stage.name} steps spread by {spread:.1%}")
    clocks = sorted(s.sm_clock_mhz for s in samples if s.sm_clock_mhz is not None)
    if clocks:
        slow, fast = clocks[len(clocks) // 20], clocks[-1 - len(clocks) // 20]
        if fast > slow * (1 + CLOCK_TOLERANCE):
            flags.append(f"the SM clock moved between {slow:.0f} and {fast:.0f} MHz")
    for reason, share in nvml.throttled(samples).items():
        flags.append(f"{reason} in {share:.0%} of samples")
    if "more than 3 %" in energy_note:
        flags.append("energy counter and integrated power disagree")
    return flags


def _plain_span(span: Span, origin_s: float) -> dict[str, Any]:
    row = {key: value for key, value in asdict(span).items() if value is not None}
    row["start_s"] = round(span.start_s - origin_s, 6)
    row["end_s"] = round(span.end_s - origin_s, 6)
    return row


def _columns(
    samples: Sequence[nvml.Sample], origin_s: float, sensor: nvml.Sensor | None
) -> dict[str, Any]:
    """Return the time series by column; readings that were never there are named in ``missing``."""
    if not samples:
        return {}
    columns: dict[str, Any] = {"t_s": [round(s.t_s - origin_s, 3) for s in samples]}
    for name in ("power_w", "energy_j", "sm_clock_mhz", "memory_gib", "temperature_c",
                 "utilisation", "throttle"):  # fmt: skip
        values = [getattr(s, name) for s in samples]
        if any(value is not None for value in values):
            columns[name] = [None if v is None else round(v, 3) for v in values]
    if sensor is not None and sensor.missing:
        columns["missing"] = dict(sensor.missing)
    return columns
