"""Measuring tiny pipelines on the CPU, through the code that measures full ones on a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from costlab import bench, runs, wan  # noqa: E402
from costlab.bench import measure, pipelines  # noqa: E402
from costlab.bench.meter import ClockTimeline, Counted, Recorder, Span  # noqa: E402
from costlab.bench.nvml import Sample  # noqa: E402
from costlab.bench.plan import Item, Recipe, without_gpu  # noqa: E402
from costlab.bench.switches import Switches  # noqa: E402
from costlab.core import BadData  # noqa: E402

CPU = torch.device("cpu")
VARIANTS = [
    ("wan2.2-t2v-a14b", "t2v"),
    ("wan2.2-i2v-a14b", "i2v"),
    ("wan2.2-ti2v-5b", "t2v"),
    ("wan2.2-ti2v-5b", "i2v"),
    ("wan2.1-t2v-1.3b", "t2v"),
]


def tiny(model: str = "wan2.2-t2v-a14b", recipe: Recipe | None = None, **more: Any) -> Item:
    return bench.plan_one(model, recipe=recipe, **more)


@pytest.mark.parametrize(("model", "mode"), VARIANTS)
def test_every_variant_is_measured_end_to_end(model: str, mode: Any, tmp_path: Path) -> None:
    seen: list[float] = []
    run = bench.run(tiny(model, mode=mode), tmp_path, lambda state: seen.append(state["fraction"]))
    assert list(runs.read_all(tmp_path)) == [run]
    assert run.smoke
    assert run.environment.gpu == ""
    assert run.energy_j is None
    assert run.energy_note
    assert seen == sorted(seen)
    stages = {stage.name: stage for stage in run.stages}
    arch = wan.architecture(model)
    high, low = wan.expert_steps(run.setting.steps, run.setting.shift, arch.boundary)
    assert stages["low_noise"].count == low
    assert (stages["high_noise"].count if high else 0) == high
    assert ("vae_encode" in stages) == (mode == "i2v")
    assert {"text_encode", "vae_decode", "other"} <= stages.keys()
    assert run.seconds == pytest.approx(sum(stage.seconds for stage in run.stages))
    assert run.seconds_low is not None
    assert run.seconds_high is not None
    assert run.seconds_low <= run.seconds <= run.seconds_high
    assert set(run.switches.values()) == {"applied"}


def test_a_composed_run_probes_each_expert_on_both_branches() -> None:
    run = bench.run(tiny(probe_steps=2))
    forwards = [(s["name"], s["step"], s["branch"]) for s in run.spans if s["kind"] == "forward"]
    assert forwards == [
        (expert, step, branch)
        for expert, steps in (("high_noise", (0, 1)), ("low_noise", (2, 3)))
        for step in steps
        for branch in ("cond", "uncond")
    ]


def test_a_full_run_takes_every_step_of_every_clip() -> None:
    run = bench.run(tiny(method="full", repeats=2, steps=3))
    steps = [s for s in run.spans if s["kind"] == "step"]
    assert len(steps) == 6
    counted = {s.name: s.count for s in run.stages if s.name.endswith("noise")}
    assert sum(counted.values()) == 3
    assert all(len(s.each_s) == 2 * s.count for s in run.stages if s.name in counted)


def test_without_guidance_there_is_one_forward_a_step() -> None:
    run = bench.run(tiny(recipe=Recipe(name="fast", guidance=1.0, guidance_2=1.0, steps=4)))
    branches = {s["branch"] for s in run.spans if s["kind"] == "forward"}
    assert branches == {"cond"}


def test_a_batch_is_one_call() -> None:
    run = bench.run(tiny("wan2.2-ti2v-5b", batch_size=2, probe_steps=1))
    assert run.setting.batch_size == 2
    assert run.seconds is not None


class Steady:
    """A scripted sensor of constant power that keeps its own counter."""

    def __init__(self) -> None:
        self.missing: dict[str, str] = {}

    def read(self, t_s: float) -> Sample:
        return Sample(t_s=t_s, power_w=200.0, energy_j=200.0 * t_s, memory_gib=7.0, throttle=0x4)


def test_energy_follows_the_stages() -> None:
    run = bench.run(tiny(probe_steps=1), sensor=Steady())
    assert run.seconds is not None
    assert run.energy_j == pytest.approx(200 * run.seconds, rel=1e-6)
    assert run.mean_power_w == pytest.approx(200)
    assert run.peak_nvml_gib == 7.0
    assert any("power cap" in flag for flag in run.flags)
    assert len(run.samples["t_s"]) == len(run.samples["power_w"]) >= 2


def span(name: str, start: float, end: float, kind: Any = "stage", clip: int = 0) -> Span:
    return Span(kind=kind, name=name, start_s=start, end_s=end, clip=clip)


def replayed(firsts: Sequence[float] = (1.0, 1.0)) -> list[Span]:
    """A clip as a meter would have recorded it: two steps on each expert, 0.5 s of the rest."""
    at = 10.0
    spans = [span("text_encode", 0.0, 0.2), span("text_encode", 1.0, 1.3)]
    for name, first in zip(("high_noise", "low_noise"), firsts, strict=True):
        for seconds in (first, 1.0):
            spans.append(span(name, at, at + seconds, "step"))
            at += seconds
    return [*spans, span("vae_decode", at, at + 2.0)]


def test_a_clip_is_composed_from_what_a_replay_meter_recorded() -> None:
    item = bench.plan_one("wan2.2-t2v-a14b")
    stages = measure.compose(item, replayed(), (9.5, 16.0), (26, 14), lambda a, b: 100 * (b - a))
    by_name = {stage.name: stage for stage in stages}
    assert by_name["text_encode"].seconds == pytest.approx(0.25)
    assert by_name["high_noise"].seconds == pytest.approx(26)
    assert by_name["low_noise"].seconds == pytest.approx(14)
    assert by_name["other"].seconds == pytest.approx(0.5)
    assert sum(s.seconds for s in stages) == pytest.approx(0.25 + 40 + 2 + 0.5)
    assert sum(s.energy_j or 0 for s in stages) == pytest.approx(100 * 42.75)
    low, high = measure.interval(stages)
    assert (low, high) == pytest.approx((42.7, 42.8))


def test_many_readings_give_the_interval_of_their_mean() -> None:
    few = runs.Stage(name="low_noise", seconds=40.0, count=40, each_s=(0.9, 1.1))
    many = replace(few, each_s=(0.9, 1.1) * 20)
    assert measure.interval([few]) == pytest.approx((36.0, 44.0))
    assert measure.interval([many]) == pytest.approx((40 - 1.05, 40 + 1.05), abs=0.02)


def test_moving_an_expert_to_the_card_is_counted_once() -> None:
    item = bench.plan_one("wan2.2-t2v-a14b", recipe=Recipe(name="swap", experts="swap"))
    spans = replayed(firsts=(4.0, 3.0))
    stages = measure.compose(item, spans, (9.5, 21.0), (26, 14), lambda a, b: b - a)
    by_name = {stage.name: stage for stage in stages}
    assert by_name["high_noise"].seconds == pytest.approx(4 + 25)
    assert by_name["low_noise"].seconds == pytest.approx(3 + 13)
    assert by_name["high_noise"].energy_j == pytest.approx(29)


def test_an_expert_that_was_never_seen_is_an_error_not_a_zero() -> None:
    item = bench.plan_one("wan2.2-t2v-a14b")
    only_high = [s for s in replayed() if s.name != "low_noise"]
    with pytest.raises(RuntimeError, match="low_noise"):
        measure.compose(item, only_high, (9.5, 16.0), (26, 14), lambda a, b: None)


def test_the_recorder_gives_gaps_to_their_step() -> None:
    ticks = iter(range(100))
    recorder = Recorder(ClockTimeline(lambda: float(next(ticks))))
    for step in range(2):
        for _ in range(2):
            recorder.begin_forward("low_noise")
            recorder.end_forward(step)
        recorder.end_step(step)
    steps = [s for s in recorder.spans() if s.kind == "step"]
    assert [(s.start_s, s.end_s) for s in steps] == [(0.0, 4.0), (4.0, 9.0)]


@pytest.mark.parametrize(
    ("recipe", "switch", "reason"),
    [
        (Recipe(name="a", attention="_native_cudnn"), "attention", "RuntimeError"),
        (Recipe(name="b", attention="sage"), "attention", "sage"),
        (Recipe(name="c", vae_tiling=True), "vae_tiling", "one tile"),
        (Recipe(name="d", cache="first_block"), "cache", "random weights"),
        (Recipe(name="e", offload="model"), "offload", "accelerator"),
        (Recipe(name="f", experts="swap"), "experts", "accelerator"),
        (Recipe(name="g", quantize="fp8_dynamic"), "quantize", "8.9"),
    ],
)
def test_a_switch_that_did_nothing_is_reported_and_not_timed(
    recipe: Recipe, switch: str, reason: str
) -> None:
    run = bench.run(tiny(recipe=recipe, probe_steps=1))
    (why,) = {v for k, v in run.switches.items() if k.startswith(switch) and v != "applied"}
    assert why.startswith("not applied: ")
    assert reason in why
    assert run.seconds is None
    assert run.fits
    assert set(run.switches) == set(recipe.switches)


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(name="fp8", storage="fp8", vae_dtype="bfloat16"),
        Recipe(name="fused", fuse_qkv=True, text_encoder="keep", attention="_native_flash"),
        Recipe(name="shared", experts="shared"),
    ],
    ids=lambda recipe: recipe.name,
)
def test_switches_that_a_cpu_can_do_are_applied_and_read_back(recipe: Recipe) -> None:
    run = bench.run(tiny(recipe=recipe, probe_steps=1))
    assert set(run.switches.values()) == {"applied"}
    assert run.seconds is not None


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(
            name="taylorseer",
            cache="taylorseer_lite",
            cache_options={"cache_interval": 3, "disable_cache_before_step": 1},
        ),
        Recipe(name="pab", cache="pab", cache_options={"spatial_attention_block_skip_range": 2}),
    ],
    ids=lambda recipe: recipe.name,
)
def test_a_fixed_schedule_cache_is_proven_by_counting(recipe: Recipe) -> None:
    run = bench.run(tiny("wan2.2-ti2v-5b", recipe=recipe))
    assert run.method == "full"
    assert set(run.switches.values()) == {"applied"}
    assert any("parts of a block were computed" in flag for flag in run.flags)


def test_a_cache_that_matches_nothing_is_found_out() -> None:
    item = without_gpu(tiny("wan2.2-ti2v-5b", recipe=Recipe(name="x", cache="pab")))
    pipe, _ = pipelines.build(item, CPU)
    switches = Switches(item, pipe, CPU)
    switches.report = {"cache=pab": "applied"}
    switches.watch()
    pipe(prompt="a", height=32, width=32, num_frames=9, num_inference_steps=1)
    assert "6 of 6" in switches.verify()[0]
    assert "every part" in switches.report["cache=pab"]


@pytest.mark.parametrize(
    "recipe",
    [Recipe(name="swap", experts="swap"), Recipe(name="text", text_encoder="offload")],
    ids=lambda recipe: recipe.name,
)
def test_moving_parts_works_where_there_is_somewhere_to_move_them(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Switches.__init__

    def pretend(self: Switches, *arguments: Any) -> None:
        plain(self, *arguments)
        self.accelerated = True

    monkeypatch.setattr(Switches, "__init__", pretend)
    run = bench.run(tiny(recipe=recipe, probe_steps=2))
    assert set(run.switches.values()) == {"applied"}
    assert run.seconds is not None


def test_real_weights_are_read_with_the_calls_a_server_uses(tmp_path: Path) -> None:
    folder = tmp_path / "wan"
    pipe, _ = pipelines.build(without_gpu(tiny()), CPU)
    pipe.save_pretrained(folder)
    run = bench.run(tiny(weights="real", path=str(folder), probe_steps=1))
    assert (run.weights, run.smoke) == ("real", True)
    assert run.load_s is not None
    loaded, stand_in = pipelines.build(tiny(weights="real", path=str(folder)), CPU)
    assert stand_in
    dtypes = {name: p.dtype for name, p in loaded.transformer.named_parameters()}
    assert dtypes == {name: p.dtype for name, p in pipe.transformer.named_parameters()}
    assert {torch.bfloat16, torch.float32} == set(dtypes.values())
    assert loaded.vae.dtype == torch.float32
    assert loaded.text_encoder.dtype == torch.bfloat16
    for name, ours in pipe.transformer.named_buffers():
        assert torch.equal(ours, dict(loaded.transformer.named_buffers())[name])


def test_a_folder_without_a_wan_pipeline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="no diffusers pipeline"):
        bench.run(tiny(weights="real", path=str(tmp_path)))
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with pytest.raises(BadData, match="FluxPipeline"):
        bench.run(tiny(weights="real", path=str(tmp_path)))


def test_random_weights_are_the_same_every_time_and_experts_differ() -> None:
    item = without_gpu(tiny())
    one, _ = pipelines.build(item, CPU)
    two, _ = pipelines.build(item, CPU)

    def first(expert: Any) -> Any:
        return expert.blocks[0].attn1.to_q.weight

    assert torch.equal(first(one.transformer), first(two.transformer))
    assert not torch.equal(first(one.transformer), first(one.transformer_2))


@pytest.mark.parametrize("model", sorted(wan.ARCHITECTURES))
def test_the_full_architecture_has_the_parameters_that_wan_counts(model: str) -> None:
    from diffusers import AutoencoderKLWan, WanTransformer3DModel

    arch = wan.architecture(model)
    with torch.device("meta"):
        expert = WanTransformer3DModel(**pipelines.transformer_config(arch, tiny=False))
        vae = AutoencoderKLWan(**pipelines.vae_config(arch, tiny=False))
    assert sum(p.numel() for p in expert.parameters()) == arch.expert_parameters
    assert sum(p.numel() for p in vae.parameters()) == arch.vae_parameters


def test_out_of_memory_is_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_large(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 17.55 GiB.")

    monkeypatch.setattr(measure, "_clip", too_large)
    run = bench.run(tiny(probe_steps=1))
    assert run.fits is False
    assert run.seconds is None
    assert any("does not fit" in flag for flag in run.flags)


class FullCard:
    """The memory of an 80 GB card as torch tells it: 60 GiB live, 2 cached, 1 outside torch."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, live: float = 60.0) -> None:
        gib = 2**30
        held = live + 2.0
        told = {
            "is_available": lambda: True,
            "mem_get_info": lambda *_: (int((79.0 - held - 1.0) * gib), int(79.0 * gib)),
            "memory_reserved": lambda *_: int(held * gib),
            "memory_allocated": lambda *_: int(live * gib),
            "max_memory_allocated": lambda *_: int(live * gib),
        }
        for name, reading in told.items():
            monkeypatch.setattr(torch.cuda, name, reading)


def test_what_did_not_fit_says_how_much_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    FullCard(monkeypatch)
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 18432.00 MiB. GPU 0 has")
    assert measure._out_of_memory(error, torch.device("cuda", 0)) == (
        "does not fit: needs at least 79.0 GiB (1.0 GiB of it outside torch), the card has 79.0 GiB"
    )


@pytest.mark.parametrize(("live", "memory"), [(60.0, False), (75.0, True)])
def test_cudnn_without_an_engine_is_out_of_memory_on_a_full_card_only(
    live: float, memory: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    FullCard(monkeypatch, live)
    error = RuntimeError("GET was unable to find an engine to execute this computation")
    assert measure._is_memory(error) is memory


def test_the_context_is_open_before_the_card_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    look = measure._before

    def looked(device: Any) -> list[str]:
        order.append("look")
        return look(device)

    monkeypatch.setattr(measure, "_open", lambda _device: order.append("open"))
    monkeypatch.setattr(measure, "_before", looked)
    bench.run(tiny(recipe=Recipe(name="refused", attention="sage")))
    assert order == ["open", "look"]


def test_every_part_follows_to_the_card_where_only_the_experts_move() -> None:
    item = without_gpu(tiny("wan2.1-i2v-14b"))
    pipe, _ = pipelines.build(item, CPU)
    switches = Switches(item, pipe, torch.device("meta"))
    switches._bring_the_rest()
    for part in (pipe.vae, pipe.text_encoder, pipe.image_encoder):
        assert {p.device.type for p in part.parameters()} == {"meta"}
    assert {p.device.type for p in pipe.transformer.parameters()} == {"cpu"}


@pytest.mark.parametrize("kind", ["loaded", "fused", "swapped"])
def test_adapters_are_taken_and_read_back(kind: str) -> None:
    pytest.importorskip("peft")
    run = bench.run(tiny(recipe=Recipe(name=f"lora-{kind}", lora=kind), probe_steps=1))
    assert set(run.switches.values()) == {"applied"}
    assert run.seconds is not None


def test_any_other_error_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a kernel fell over")

    monkeypatch.setattr(measure, "_clip", broken)
    with pytest.raises(RuntimeError, match="fell over"):
        bench.run(tiny(probe_steps=1))


def test_counters_come_off_again() -> None:
    pipe, _ = pipelines.build(without_gpu(tiny("wan2.2-ti2v-5b")), CPU)
    counted = Counted(pipe.transformer)
    counted.close()
    assert not pipe.transformer._forward_hooks


def test_spread_and_disagreement_are_flagged() -> None:
    stage = runs.Stage(name="high_noise", seconds=4.2, count=2, each_s=(2.0, 2.2))
    flags = measure.stability([stage], [], "differs by +5.0%, more than 3 %")
    assert [flag.split()[0] for flag in flags] == ["high_noise", "energy"]
    single = replace(stage, each_s=(2.1,))
    assert measure.stability([single], [], "")[0].startswith("one reading of high_noise")


def test_a_clock_that_moves_is_flagged() -> None:
    def at(*clocks: float) -> list[str]:
        samples = [Sample(t_s=float(i), sm_clock_mhz=mhz) for i, mhz in enumerate(clocks)]
        return measure.stability([], samples, "")

    assert at(1900.0, 1880.0, 1910.0) == []
    assert at(1980.0, 1980.0, 1400.0) == ["the SM clock moved between 1400 and 1980 MHz"]


def test_own_processes_are_not_others(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    def card(*pids: int) -> Any:
        return SimpleNamespace(processes=[{"pid": pid} for pid in pids])

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    assert measure._other_processes(card()) == 0
    assert measure._other_processes(card(os.getpid())) == 0
    assert measure._other_processes(card(1)) == 0
    assert measure._other_processes(card(os.getpid(), 1)) == 1


@pytest.mark.gpu
def test_a_card_measures_time_and_energy() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    run = bench.run(replace(tiny("wan2.2-ti2v-5b"), tiny=True))
    assert run.smoke
    assert run.seconds is not None
    assert run.environment.gpu
    assert run.environment.matmul_tflops is not None


def test_a_cuda_timeline_ties_events_to_the_samplers_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from costlab.bench.meter import CudaTimeline

    ticks = iter([0.0, 1.0, 2.5])

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            self.at = next(ticks)

        def elapsed_time(self, later: Event) -> float:
            return 1000 * (later.at - self.at)

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    timeline = CudaTimeline(clock=lambda: 100.0)
    first, second = timeline.mark(), timeline.mark()
    assert timeline.settle() == 100.0
    assert (timeline.seconds(first), timeline.seconds(second)) == (101.0, 102.5)
