from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from costlab import bench, store, wan
from costlab.bench.__main__ import seconds
from costlab.bench.plan import CHOICES, Item, Recipe, probe_shift, without_gpu
from costlab.core import BadData, CostlabError, UnknownName

RECIPES = bench.recipes(store.read_rows(store.data_dir() / "recipes.yaml"))
PLANS = sorted((store.data_dir() / "plans").glob("*.yaml"))


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_every_shipped_plan_expands_and_survives_json(path: Path) -> None:
    items = bench.expand(store.read_rows(path), RECIPES, path.name)
    assert bench.from_json(json.loads(json.dumps(bench.to_json(items)))) == items
    assert len({item.title + item.method for item in items}) == len(items)


def test_the_default_plan_starts_with_five_settings_that_fit_eight_minutes_of_an_h100() -> None:
    items = bench.expand(store.read_rows(store.data_dir() / "plans" / "default.yaml"), RECIPES)
    assert [item.setting.model.removeprefix("wan2.2-") for item in items[:5]] == [
        "ti2v-5b", "t2v-a14b", "t2v-a14b", "i2v-a14b", "i2v-a14b",
    ]  # fmt: skip
    assert sum(bench.estimated_s(item, 989) for item in items[:5]) < 480


@pytest.mark.parametrize("made", RECIPES.values(), ids=list(RECIPES))
def test_every_shipped_recipe_differs_from_the_default_or_is_it(made: Recipe) -> None:
    plain = Recipe(name=made.name, title=made.title, note=made.note)
    assert (made == plain) == (made.name == "default")
    assert made.title


def test_every_choice_is_a_field_and_the_default_is_allowed() -> None:
    plain = Recipe(name="x")
    assert all(getattr(plain, name) in values for name, values in CHOICES.items())


def test_all_problems_of_a_recipe_file_are_listed_at_once() -> None:
    rows = [
        {"name": "a", "compile": "maybe", "steps": 0, "colour": "red"},
        {"title": "nameless", "vae_tiling": "yes"},
        {"name": "a", "shift": -1.0},
        {"name": "b"},
        {"name": "b"},
    ]
    with pytest.raises(BadData) as caught:
        bench.recipes(rows, "recipes.yaml")
    text = str(caught.value)
    for part in ("[0].compile", "[0].steps", "[0].colour", "[1].name", "[1].vae_tiling",
                 "[2].shift", "[4].name"):  # fmt: skip
        assert part in text


def test_all_problems_of_a_plan_are_listed_at_once() -> None:
    rows = [
        {"model": "wan2.2-t2v-a14b", "height": 481, "steps": 0},
        {"model": "wan3"},
        {"recipe": "defualt", "size": 3},
        {"model": "wan2.2-t2v-a14b", "mode": "i2v"},
        {"model": "wan2.2-t2v-a14b", "weights": "real"},
        {"model": "wan2.2-ti2v-5b", "guidance_2": 3.0, "steps": "many"},
    ]
    with pytest.raises(BadData) as caught:
        bench.expand(rows, RECIPES, "plan.yaml")
    text = str(caught.value)
    for part in ("[0].size", "[0].steps", "wan3", "[2].size", "[2].model", "default", "[3].mode",
                 "[4].path", "[5].steps"):  # fmt: skip
        assert part in text


def test_a_broken_json_plan_says_where() -> None:
    row = bench.to_json([bench.plan_one("wan2.2-ti2v-5b")])[0]
    del row["setting"]["frames"]
    row["recipe"]["offload"] = "moon"
    with pytest.raises(BadData, match=r"setting\.frames") as caught:
        bench.from_json([row, {"recipe": {}}], "plan.json")
    assert "[0].recipe.offload" in str(caught.value)
    assert "[1].setting" in str(caught.value)
    with pytest.raises(BadData, match="expected a list"):
        bench.from_json({"a": 1})


def test_settings_come_from_the_argument_then_the_recipe_then_the_authors() -> None:
    mlperf = RECIPES["mlperf"]
    assert bench.plan_one("wan2.2-t2v-a14b").setting.steps == 40
    assert bench.plan_one("wan2.2-t2v-a14b", recipe=mlperf).setting.steps == 20
    assert bench.plan_one("wan2.2-t2v-a14b", recipe=mlperf, steps=7).setting.steps == 7
    assert bench.plan_one("wan2.2-t2v-a14b", height=720).setting.width == 1280
    assert bench.plan_one("wan2.2-ti2v-5b").setting.guidance_2 is None


def test_an_unknown_model_is_named_with_its_neighbours() -> None:
    with pytest.raises(UnknownName, match=r"wan2\.2-t2v-a14b"):
        bench.plan_one("wan2.2-t2v-14b")


def test_caches_are_timed_on_whole_clips() -> None:
    assert bench.plan_one("wan2.2-ti2v-5b", recipe=RECIPES["taylorseer"]).method == "full"


@pytest.mark.parametrize("steps", [2, 4, 6, 8])
@pytest.mark.parametrize("boundary", [0.875, 0.9])
def test_a_short_schedule_falls_evenly_on_both_experts(steps: int, boundary: float) -> None:
    high, low = wan.expert_steps(steps, probe_shift(steps, boundary), boundary)
    assert high == low == steps // 2


def test_parallel_recipes_must_divide_heads_and_tokens() -> None:
    with pytest.raises(BadData, match="heads"):
        bench.plan_one("wan2.2-t2v-a14b", recipe=Recipe(name="x", context_parallel=3))
    assert bench.plan_one("wan2.2-t2v-a14b", recipe=RECIPES["ulysses-8"]).setting.num_gpus == 8


def test_shared_experts_are_refused_for_real_weights() -> None:
    with pytest.raises(BadData, match="share"):
        bench.plan_one(
            "wan2.2-t2v-a14b", recipe=RECIPES["experts-shared"], weights="real", path="x"
        )


def test_an_item_knows_the_run_that_already_measured_it() -> None:
    from tests.made_runs import made_run

    item = bench.plan_one("wan2.2-t2v-a14b")
    run = replace(made_run(800.0), setting=item.setting, method="composed",
                  switches=dict.fromkeys(item.recipe.switches, "applied"))  # fmt: skip
    assert item.is_measured_by(run)
    assert not replace(item, method="full").is_measured_by(run)
    assert not replace(item, recipe=RECIPES["vae-tiled"]).is_measured_by(run)
    assert not item.is_measured_by(replace(run, weights="real"))


def test_what_narrows_most_per_second_comes_first() -> None:
    cheap, dear = bench.plan_one("wan2.2-ti2v-5b"), bench.plan_one("wan2.2-t2v-a14b", height=720)
    assert bench.ordered([dear, cheap], 989, lambda item: 1.0) == [cheap, dear]
    assert bench.ordered([dear, cheap], 989) == [dear, cheap]

    def mostly_dear(item: Item) -> float:
        return 1000.0 if item is dear else 1.0

    assert bench.ordered([cheap, dear], 989, mostly_dear) == [dear, cheap]


def test_without_a_gpu_the_clip_is_small_and_says_so() -> None:
    small = without_gpu(bench.plan_one("wan2.2-i2v-a14b"))
    assert (small.setting.height, small.setting.frames, small.tiny) == (16, 9, True)


@pytest.mark.parametrize("text", ["", "8 minutes", "-3s", "m"])
def test_an_odd_duration_is_refused(text: str) -> None:
    with pytest.raises(CostlabError, match="8m"):
        seconds(text)


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ("torch", "diffusers", "transformers", "pynvml", "numpy", "duckdb", "pydantic", "yaml")
    code = (
        "import sys, costlab.bench, costlab.bench.__main__, costlab.runs;"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_whole_batch_is_shared_out_over_its_clips() -> None:
    from tests.made_runs import made_run

    run = made_run(100.0)
    pair = replace(run, setting=replace(run.setting, batch_size=2))
    assert pair.seconds_per_clip == 50.0
    (row,) = bench.table([pair], usd_per_gpu_hour=3.6)
    assert row["usd"] == pytest.approx(0.05)
