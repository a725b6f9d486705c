from __future__ import annotations

import json
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlab import bench, performance, runs, store, wan
from costlab.core import BadData, Basis, CostlabError, InvalidArgument, UnknownName
from costlab.performance import Question, ask, counted, physics
from costlab.performance.answer import Prediction
from tests.made_runs import H100, WAN_480P, made_run

H100_480P = Question(
    model="wan2.2-t2v-a14b", gpu="H100-SXM", height=480, width=832, frames=81, steps=40
)
CARDS = [card.id for card in performance.gpus()]


def asked(**changes: Any) -> Question:
    return replace(H100_480P, **changes)


# ── GPU types ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", [
    "A100-40GB", "A100-40GB-PCIe", "A100-80GB", "A100-80GB-PCIe", "H100-SXM", "H100-PCIe",
    "H100-NVL", "H800", "H200", "H200-NVL", "H20", "GH200", "B200", "B300", "GB200", "GB300", "L4",
    "L40", "L40S", "A10", "A10G", "RTX-4090", "RTX-5090", "RTX-6000-Ada", "RTX-A6000",
    "RTX-PRO-6000", "MI300X", "MI325X", "MI355X", "T4",
])  # fmt: skip
def test_every_gpu_that_people_rent_has_a_sourced_row(name: str) -> None:
    card = performance.gpu(name)
    assert card.id == name
    assert card.source.publisher
    assert card.source.document
    assert card.bf16_tflops > 0 < card.bandwidth_gb_s
    assert card.family in physics.POWER_RATE


@pytest.mark.parametrize(("written", "id"), [
    ("NVIDIA H100 80GB HBM3", "H100-SXM"), ("H100 SXM", "H100-SXM"), ("H100 (HGX)", "H100-SXM"),
    ("NVIDIA A100-SXM4-80GB", "A100-80GB"), ("A100/A800", "A100-80GB"), ("rtx 4090", "RTX-4090"),
    ("NVIDIA GeForce RTX 5090", "RTX-5090"), ("NVIDIA H200-SXM-141GB", "H200"),
    ("RTX PRO 6000 Blackwell 96GB", "RTX-PRO-6000"), ("AMD Instinct MI300X", "MI300X"),
])  # fmt: skip
def test_a_gpu_is_found_under_the_names_people_write(written: str, id: str) -> None:
    assert performance.gpu(written).id == id


def test_no_two_gpus_share_a_name() -> None:
    names = [name for card in performance.gpus() for name in (card.id, *card.aliases)]
    assert len({performance.gpu(name).id for name in names}) == len(performance.gpus())
    assert all(name in card.aliases or name == card.id
               for name in names for card in [performance.gpu(name)])  # fmt: skip


def test_an_unknown_gpu_is_refused_with_close_names() -> None:
    with pytest.raises(UnknownName, match="H100-SXM"):
        performance.gpu("H100-SMX")


# ── Questions ─────────────────────────────────────────────────────────────────────────────────


def test_a_question_takes_the_model_s_own_clip_where_nothing_else_is_said() -> None:
    found = performance.question(model="Wan2.2-TI2V-5B", gpu="RTX 4090")
    assert (found.height, found.width, found.frames, found.steps) == (704, 1280, 121, 50)


@pytest.mark.parametrize(("row", "words"), [
    ({"model": "wan9", "gpu": "H100-SXM"}, "unknown Wan model 'wan9'"),
    ({"model": "wan2.2-t2v-a14b"}, "gpu: required"),
    ({"model": "wan2.2-t2v-a14b", "gpu": "H100-SXM", "steps": "4.5"}, "steps: expected a whole"),
    ({"model": "wan2.2-t2v-a14b", "gpu": "H100-SXM", "steps": "0"}, "steps must be at least 1"),
    ({"model": "wan2.2-t2v-a14b", "gpu": "H100-SXM", "cfg": "perhaps"}, "cfg: expected true or"),
    ({"model": "wan2.2-t2v-a14b", "gpu": "H100-SXM", "frames": "80"}, "frames must be 4k"),
    ({"model": "wan2.2-t2v-a14b", "gpu": "H100-SXM", "shift": "x"}, "shift: expected a number"),
    ({"model": "wan2.2-t2v-a14b", "gpu": "H100-SXM", "boundary": "2"}, "boundary must be"),
    ({"model": "wan2.2-t2v-a14b", "gpu": "H100-SXM", "colour": "red"}, "unknown column 'colour'"),
])  # fmt: skip
def test_a_bad_question_says_what_was_found_and_expected(row: dict[str, str], words: str) -> None:
    with pytest.raises(CostlabError, match=words):
        performance.question(row)


@pytest.mark.parametrize(("changes", "expected"), [
    ({}, ("diffusers", "fa2", "one", "as fits", "fp32")),
    ({"stack": "Wan authors' code"}, ("authors", "fa3", "one", "model", "fp32")),
    ({"stack": "vLLM-Omni"}, ("vllm-omni", "fa3", "one", "as fits", "bf16")),
    ({"attention": "SageAttention2"}, ("diffusers", "sage", "one", "as fits", "fp32")),
    ({"num_gpus": 4, "parallel": "ring 4"}, ("diffusers", "fa2", "ring", "none", "fp32")),
    ({"num_gpus": 4, "parallel": "ulysses 2 ring 2"},
     ("diffusers", "fa2", "mixed", "none", "fp32")),
    ({"technique": "4-step distill; block offload"}, ("diffusers", "fa2", "one", "block", "fp32")),
    ({"technique": "SGLang tensor parallel 8; no P2P", "num_gpus": 8},
     ("sglang", "fa3", "tensor", "none", "bf16")),
])  # fmt: skip
def test_words_are_read_as_people_write_them(
    changes: dict[str, Any], expected: tuple[str, ...]
) -> None:
    found = ask.recipe(asked(**changes))
    assert (found.stack, found.kernel, found.layout, found.offload, found.vae_precision) == expected


@pytest.mark.parametrize(("text", "count", "expected"), [
    (None, 1, (1, 1, 1, "one")), (None, 8, (1, 8, 1, "ulysses")),
    ("ulysses", 4, (1, 4, 1, "ulysses")), ("ring", 4, (1, 4, 1, "ring")),
    ("tensor", 4, (1, 1, 4, "tensor")), ("TP8", 8, (1, 1, 8, "tensor")),
    ("ulysses 2 ring 2", 4, (1, 4, 1, "mixed")), ("ulysses 1 ring 4", 4, (1, 4, 1, "ring")),
    ("ulysses+ring", 4, (1, 4, 1, "mixed")), ("cfg 2 ulysses 4", 8, (2, 4, 1, "ulysses")),
    ("ulysses 4", 8, (2, 4, 1, "ulysses")), ("cfg parallel", 2, (2, 1, 1, "ulysses")),
    ("ulysses_degree=4, ring_degree=2", 8, (1, 8, 1, "mixed")),
    ("SGLang tensor parallel 4", 4, (1, 1, 4, "tensor")),
])  # fmt: skip
def test_a_layout_is_read_with_and_without_its_degrees(
    text: str | None, count: int, expected: tuple[int, int, int, str]
) -> None:
    found = ask.recipe(asked(num_gpus=count, parallel=text))
    assert (found.cfg_degree, found.sequence, found.tensor, found.layout) == expected


def test_distilled_is_not_tiled() -> None:
    assert not ask.recipe(asked(technique="4-step distill")).tiled_vae
    assert ask.recipe(asked(technique="tiled VAE")).tiled_vae


# ── Predictions ───────────────────────────────────────────────────────────────────────────────


def ratio(said: Prediction) -> float:
    return said.ranges["seconds"].high / said.ranges["seconds"].low


def test_a_14b_step_on_an_h100_is_the_published_one() -> None:
    said = performance.predict(asked(model="wan2.1-t2v-14b", steps=50))
    assert said.seconds / 50 == pytest.approx(9.3, rel=0.05)
    assert said.energy_j / 50 == pytest.approx(5800, rel=0.06)
    assert said.ranges["seconds"].low < 466.8 < said.ranges["seconds"].high
    assert "H100-SXM" in said.nearest


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("model", list(wan.ARCHITECTURES))
def test_every_prediction_adds_up_and_stays_above_the_floor(model: str, card: str) -> None:
    for count in (1, 4):
        said = performance.predict(performance.question(model=model, gpu=card, num_gpus=count))
        assert sum(said.stages.values()) == pytest.approx(said.seconds)
        assert all(seconds >= 0 for seconds in said.stages.values())
        assert 0 < said.share_of_floor < 1
        assert said.gpu_seconds == pytest.approx(said.seconds * count)
        assert said.energy_j == pytest.approx(said.mean_power_w * said.seconds)
        limit = performance.gpu(card).tdp_w or 1000
        assert 0.1 * limit * count < said.mean_power_w < 1.05 * limit * count
        for quantity, around in said.ranges.items():
            assert 0 < around.low < getattr(said, quantity) < around.high
        assert said.basis is Basis.ESTIMATED
        assert said.evidence in ("interpolated", "extrapolated")
        assert said.nearest


def test_the_interval_widens_away_from_the_evidence() -> None:
    seen = performance.predict(asked(model="wan2.1-t2v-14b", steps=50, stack="xdit"))
    unseen_card = performance.predict(asked(model="wan2.1-t2v-14b", steps=50, gpu="L40S"))
    unseen_both = performance.predict(
        asked(model="wan2.1-t2v-14b", steps=50, gpu="L40S", stack="some new engine")
    )
    assert ratio(seen) < ratio(unseen_card) < ratio(unseen_both)
    assert (seen.evidence, unseen_card.evidence) == ("interpolated", "extrapolated")


@pytest.mark.parametrize(
    "changes",
    [{"attention": "warp9"}, {"technique": "quantum tunnelling"}, {"precision": "fp3"}],
    ids=str,
)
def test_an_unknown_word_widens_the_interval_and_is_no_error(changes: dict[str, str]) -> None:
    assert ratio(performance.predict(asked(**changes))) > ratio(performance.predict(asked()))


@settings(max_examples=40, deadline=None)
@given(
    card=st.sampled_from(CARDS),
    model=st.sampled_from(list(wan.ARCHITECTURES)),
    steps=st.integers(1, 60),
    count=st.sampled_from([1, 2, 4, 8]),
)
def test_more_work_never_takes_less_time(card: str, model: str, steps: int, count: int) -> None:
    base = performance.question(model=model, gpu=card, steps=steps, num_gpus=count)
    said = performance.predict(base)
    for more in (
        replace(base, steps=steps + 1),
        replace(base, frames=base.frames + 4),
        replace(base, height=base.height + 32),
    ):
        assert performance.predict(more).seconds > said.seconds
    assert performance.predict(replace(base, cfg=False)).seconds < said.seconds


def test_guidance_costs_a_second_forward_and_nothing_else() -> None:
    with_guidance, without = performance.predict(asked()), performance.predict(asked(cfg=False))
    steps = sum(with_guidance.stages[name] for name in ("high_noise", "low_noise"))
    halved = sum(without.stages[name] for name in ("high_noise", "low_noise"))
    assert steps == pytest.approx(2 * halved, rel=0.01)
    assert without.stages["vae_decode"] == pytest.approx(with_guidance.stages["vae_decode"])


def test_shift_and_boundary_move_steps_between_the_experts_and_not_the_time() -> None:
    authors, plain = performance.predict(asked()), performance.predict(asked(shift=3.0))
    assert (authors.high_noise_steps, authors.low_noise_steps) == (26, 14)
    assert (plain.high_noise_steps, plain.low_noise_steps) == (13, 27)
    assert authors.seconds == plain.seconds
    assert performance.predict(asked(boundary=0.5)).high_noise_steps > 26


def test_more_gpus_are_faster_and_cost_more_gpu_seconds() -> None:
    one, four = performance.predict(asked()), performance.predict(asked(num_gpus=4))
    assert four.seconds < one.seconds < four.gpu_seconds
    assert one.energy_j < four.energy_j


def test_the_5b_away_from_its_one_setting_spans_the_rates_of_both_sizes() -> None:
    said = performance.predict(performance.question(model="wan2.2-ti2v-5b", gpu="H100-SXM"))
    forwards = 100 * wan.forward_flops(wan.architecture("wan2.2-ti2v-5b"), 704, 1280, 121).total
    rest = said.seconds - said.stages["low_noise"]
    for tflops in (297, 360):
        assert said.ranges["seconds"].low < forwards / tflops / 1e12 + rest
        assert said.ranges["seconds"].high > forwards / tflops / 1e12 + rest


def test_a_clip_that_is_too_large_for_a_card_does_not_fit() -> None:
    small = performance.predict(asked(gpu="T4", offload="none"))
    assert not small.fits
    assert small.peak_vram_gib > performance.gpu("T4").usable_gib
    assert performance.predict(asked(gpu="H200")).fits


def test_weights_that_do_not_fit_are_moved_and_the_note_says_so() -> None:
    said = performance.predict(asked(gpu="L40S"))
    assert said.fits
    assert any("one model at a time" in note for note in said.notes)


@pytest.mark.parametrize(
    "quantity", ["seconds", "gpu_seconds", "energy_j", "mean_power_w", "peak_vram_gib"]
)
def test_a_figure_carries_its_formula_its_inputs_and_its_range(quantity: Any) -> None:
    said = performance.predict(asked())
    figure = said.figure(quantity)
    assert figure.value == pytest.approx(getattr(said, quantity))
    assert figure.basis is Basis.ESTIMATED
    assert figure.formula
    assert figure.inputs
    refs = {leaf.ref for leaf in figure.leaves()}
    assert any(ref.startswith("published:") for ref in refs)
    assert "gpu:H100-SXM" in refs
    if quantity in said.ranges:
        assert figure.range == said.ranges[quantity]


def test_an_unknown_quantity_is_refused() -> None:
    with pytest.raises(UnknownName, match="seconds"):
        performance.predict(asked()).figure("hours")  # type: ignore[arg-type]


# ── Rows ──────────────────────────────────────────────────────────────────────────────────────


def test_rows_are_answered_in_order_and_a_bad_row_says_why() -> None:
    good = dict.fromkeys(("precision", "stack"), "") | {
        "model": "wan2.2-t2v-a14b", "gpu": "H100-SXM", "num_gpus": "1", "height": "480",
        "width": "832", "frames": "81", "steps": "40", "cfg": "true",
    }  # fmt: skip
    answers = performance.predict_rows([good, {**good, "gpu": "abacus"}, good], where="asked.csv")
    assert [row["seconds"] is None for row in answers] == [False, True, False]
    assert answers[1]["error"].startswith("asked.csv [2]: unknown GPU 'abacus'; known: A10")
    for key in ("seconds", "gpu_seconds", "seconds_low", "seconds_high", "peak_vram_gib",
                "energy_j", "basis"):  # fmt: skip
        assert key in answers[0]
        assert key in answers[1]
    assert answers[0] == answers[2]
    assert json.loads(json.dumps(answers)) == answers


def test_every_unknown_column_is_named_at_once() -> None:
    with pytest.raises(BadData, match=r"(?s)2 problems.*colour.*mood"):
        performance.predict_rows([{"model": "wan2.2-t2v-a14b", "colour": "red", "mood": "blue"}])


def test_ten_thousand_rows_need_no_more_than_a_few_hundred_microseconds_each() -> None:
    rows = [
        {"model": "wan2.2-t2v-a14b", "gpu": CARDS[i % len(CARDS)], "steps": str(4 + i % 50)}
        for i in range(2000)
    ]
    performance.predict_rows(rows[:10])
    start = time.process_time()
    performance.predict_rows(rows)
    assert (time.process_time() - start) / len(rows) < 1e-3


# ── Own runs ──────────────────────────────────────────────────────────────────────────────────


def keep(run: runs.Run) -> None:
    runs.write(run, store.home() / "runs")


@pytest.mark.usefixtures("own_store")
def test_a_measured_run_wins_and_what_it_replaced_stays_askable() -> None:
    before = performance.predict(asked())
    run = made_run(300.0)
    keep(run)
    said = performance.predict(asked())
    assert (said.seconds, said.basis, said.evidence) == (300.0, Basis.MEASURED, "measured")
    assert said.energy_j == 180_000
    assert said.peak_vram_gib == 62.0
    assert sum(said.stages.values()) == pytest.approx(300.0)
    assert said.ranges["seconds"].low <= 297.0 < 303.0 <= said.ranges["seconds"].high
    figure = said.figure()
    assert figure.basis is Basis.MEASURED
    assert {leaf.ref for leaf in figure.leaves()} == {f"run:{run.id}"}
    assert performance.replaced(asked()).seconds == pytest.approx(before.seconds)
    assert said.gpu_seconds == 300.0
    assert performance.predict(asked(num_gpus=2)).basis is Basis.ESTIMATED


@pytest.mark.usefixtures("own_store")
def test_a_run_moves_the_predictions_around_it() -> None:
    near = asked(steps=30)
    before = performance.predict(near)
    keep(made_run(performance.predict(asked()).seconds * 1.2))
    after = performance.predict(near)
    assert after.basis is Basis.ESTIMATED
    assert before.seconds * 1.05 < after.seconds < before.seconds * 1.25
    assert ratio(after) < ratio(before)
    assert after.nearest.startswith("own run")


@pytest.mark.usefixtures("own_store")
def test_runs_of_the_newest_environment_count_and_are_never_pooled_with_others() -> None:
    older = replace(H100, torch="2.12.0")
    keep(made_run(200.0, environment=older, started_at="2026-10-01T00:00:00Z"))
    keep(made_run(300.0, started_at="2026-11-01T00:00:00Z"))
    keep(made_run(310.0, started_at="2026-11-02T00:00:00Z"))
    said = performance.predict(asked())
    assert said.seconds == pytest.approx(305.0)
    assert said.ranges["seconds"].high == pytest.approx(310 * 1.01)


@pytest.mark.usefixtures("own_store")
def test_a_full_clip_wins_over_composed_ones_of_the_same_environment() -> None:
    keep(made_run(300.0))
    keep(replace(made_run(290.0), method="full"))
    assert performance.predict(asked()).seconds == 290.0


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (made_run(300.0, smoke=True), "smoke"),
        (replace(made_run(300.0), fits=False), "out of memory"),
        (replace(made_run(300.0), seconds=None), "no time"),
        (replace(made_run(300.0), switches={"attention=native": "not applied: why"}), "switch"),
        (made_run(300.0, environment=replace(H100, gpu="")), "table of GPU types"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.usefixtures("own_store")
def test_a_run_that_does_not_count_changes_nothing_and_says_why(run: runs.Run, reason: str) -> None:
    before = performance.predict(asked())
    keep(run)
    assert performance.predict(asked()) == before
    (listed,) = performance.measured()
    assert reason in performance.why_not(listed)


@pytest.mark.usefixtures("own_store")
def test_weights_shared_by_both_experts_count_for_time_and_not_for_memory() -> None:
    run = made_run(300.0)
    switches = {name: state for name, state in run.switches.items() if "experts" not in name}
    keep(replace(run, switches={**switches, "experts=shared": "applied"}))
    said = performance.predict(asked())
    assert said.seconds == 300.0
    assert said.peak_vram_gib != 62.0


@pytest.mark.usefixtures("own_store")
def test_every_shipped_recipe_answers_a_question_of_its_own() -> None:
    found = {}
    for recipe in bench.recipes(store.read_rows(store.data_dir() / "recipes.yaml")).values():
        setting = replace(WAN_480P, num_gpus=recipe.context_parallel)
        run = replace(
            made_run(300.0, setting=setting), switches=dict.fromkeys(recipe.switches, "applied")
        )
        folder = store.home() / recipe.name
        (row,) = counted._parse(runs.write(run, folder))
        found.setdefault(row["question_key"], []).append(recipe)
    assert counted.keys(asked())[0] in found
    alike = [group for group in found.values() if len(group) > 1]
    for group in alike:  # recipes that differ in sampler values or shared weights only
        kinds = {frozenset(r.switches) - {"experts=shared", "experts=resident"} for r in group}
        assert len(kinds) == 1, [r.name for r in group]


def test_the_book_holds_every_shelf(tmp_path: Path) -> None:
    names = {shelf.table for shelf in performance.SHELVES}
    assert names == {
        "gpus", "published_clips", "published_left_out", "calibration", "measured_clips",
    }  # fmt: skip
    for shelf in performance.SHELVES:
        assert store.records(shelf) == store.load(shelf)


def test_a_question_refuses_what_it_cannot_mean() -> None:
    for changes in ({"num_gpus": 0}, {"shift": 0.0}, {"boundary": 1.5}):
        with pytest.raises(InvalidArgument):
            asked(**changes)
    with pytest.raises(UnknownName):
        asked(mode="v2v")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"height": 2160, "width": 3840}, "680,400 tokens"),
        ({"num_gpus": 64}, "up to 32"),
        ({"height": 64, "width": 64, "frames": 5}, "measured clips support 500"),
    ],
    ids=str,
)
def test_a_question_beyond_all_measurements_is_refused(changes: dict[str, int], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        asked(**changes)


def test_the_floor_is_the_printed_peak() -> None:
    said = performance.predict(asked())
    flops = 80 * wan.forward_flops(wan.architecture(said.question.model), 480, 832, 81).total
    assert said.floor_s > flops / 989.4e12
    assert math.isclose(said.floor_s, flops / 989.4e12, rel_tol=0.02)


def test_stages_share_out_the_seconds_and_the_joules() -> None:
    said = performance.predict(asked())
    assert math.fsum(said.stages.values()) == pytest.approx(said.seconds)
    assert math.fsum(said.stage_energy_j.values()) == pytest.approx(said.energy_j)
    assert said.stage_energy_j["high_noise"] > said.stage_energy_j["vae_decode"] > 0
