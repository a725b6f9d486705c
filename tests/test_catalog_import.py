"""Importers: LiteLLM's map, SkyPilot's and gpuhunt's tables; shown first, applied as one entry."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from costlab import catalog
from costlab.core import BadData, ClipRequest, InvalidArgument, UnknownName

TODAY = date(2026, 11, 22)
FIVE = ClipRequest(seconds=Decimal(5))

LITELLM: dict[str, Any] = {
    "_about": {"extracted": "2026-11-22"},
    "entries": {
        "gemini/veo-3.1-generate-001": {
            "mode": "video_generation", "output_cost_per_second": 0.4,
            "output_cost_per_second_4k": 0.6, "supported_modalities": ["text", "image"],
        },
        "dashscope/wan2.7-t2v": {
            "mode": "video_generation", "output_cost_per_second_720p": 0.09,
            "supported_modalities": ["text"],
        },
        "volcengine/doubao-seedance-2-0-260128": {
            "mode": "video_generation", "output_cost_per_second_720p": 0.141942857,
        },
        "xai/grok-imagine-video-1.5-preview": {
            "mode": "video_generation", "output_cost_per_second_480p": 0.08,
            "input_cost_per_image": 0.01, "supported_modalities": ["text", "image"],
        },
        "runwayml/gen4_turbo": {
            "mode": "video_generation", "output_cost_per_video_per_second": 0.05,
            "output_cost_per_second": 9.9, "supported_modalities": ["image"],
        },
        "openai/sora-2": {
            "mode": "video_generation", "output_cost_per_video_per_second": 0.1,
            "deprecation_date": "2026-09-24",
        },
        "qwen_ai_platform/wan2.7-t2v": {
            "mode": "video_generation", "output_cost_per_second_720p": 0.09,
        },
        "vertex_ai/gemini-3.8-live": {
            "mode": "realtime", "output_cost_per_video_token": 1e-6,
            "supported_output_modalities": ["text", "audio"],
        },
        "newco/shiny-1": {"mode": "video_generation", "output_cost_per_second": 0.01},
        "gemini/veo-9": {"mode": "video_generation", "output_cost_per_second": 0.01},
        "gpt-words": {"mode": "chat", "input_cost_per_token": 1e-6},
    },
}  # fmt: skip


@pytest.fixture
def litellm(tmp_path: Path) -> Path:
    path = tmp_path / "prices.json"
    path.write_text(json.dumps(LITELLM), encoding="utf-8")
    return path


def actions(plan: catalog.ImportPlan) -> dict[str, str]:
    return {row.key: row.action for row in plan.rows}


def test_a_litellm_map_is_shown_row_by_row_before_anything_happens(litellm: Path) -> None:
    plan = catalog.plan_import("litellm", litellm, as_of=TODAY)
    found = actions(plan)
    assert found["litellm/gemini/veo-3.1-generate-001"] == "same"
    assert found["litellm/gemini/veo-3.1-generate-001/4k"] == "same"
    assert found["litellm/dashscope/wan2.7-t2v/720p"] == "conflicting"
    assert found["litellm/volcengine/doubao-seedance-2-0-260128/720p"] == "same"
    assert found["litellm/xai/grok-imagine-video-1.5-preview/480p"] == "added"
    assert found["litellm/runwayml/gen4_turbo"] == "same"
    assert found["litellm/openai/sora-2"] == "same"
    assert found["qwen_ai_platform/wan2.7-t2v"] == "unmapped"
    assert found["vertex_ai/gemini-3.8-live"] == "unmapped"
    assert found["newco/shiny-1"] == "unmapped"
    assert found["gemini/veo-9"] == "unmapped"
    assert "gpt-words" not in found
    assert all(row.why for row in plan.of("unmapped") + plan.of("conflicting"))


def test_the_whole_map_of_november_becomes_prices_or_explained_refusals() -> None:
    path = Path(__file__).parent / "imports" / "litellm_video_prices.json"
    entries = json.loads(path.read_text(encoding="utf-8"))["entries"]
    plan = catalog.plan_import("litellm", path, as_of=TODAY)
    keys = {row.key.removeprefix("litellm/").removesuffix(" (image)") for row in plan.rows}
    missing = [
        name
        for name in entries
        if not any(key == name or key.startswith(f"{name}/") for key in keys)
    ]
    assert not missing
    assert not plan.of("conflicting")
    assert all(row.why for row in plan.rows)
    assert len(plan.of("same")) > 150
    added = {row.key.split("/")[2] for row in plan.of("added")}
    assert added == {
        "hailuo3", "grok-imagine-video-1.5-2026-05-30", "grok-imagine-video-1.5-preview",
    }  # fmt: skip


def test_the_per_video_rate_wins_over_the_tiers_and_the_base(litellm: Path) -> None:
    plan = catalog.plan_import("litellm", litellm, as_of=TODAY)
    (turbo,) = [row for row in plan.rows if "gen4_turbo" in row.key]
    assert turbo.rate == Decimal("0.05")


def test_a_disagreement_shows_both_rates_and_their_difference(litellm: Path) -> None:
    plan = catalog.plan_import("litellm", litellm, as_of=TODAY)
    (conflict,) = plan.of("conflicting")
    assert conflict.book_rate == Decimal("0.086012")
    assert "the file says 0.09, the book 0.086012" in conflict.why
    assert "+0.003988" in conflict.why


def test_applying_is_one_entry_with_who_why_and_the_files_hash(
    litellm: Path, own_store: Path
) -> None:
    plan = catalog.plan_import("litellm", litellm, as_of=TODAY)
    before = catalog.quote("grok-imagine-1.5", FIVE, as_of=TODAY).others
    name = catalog.apply_import(plan, who="Ada", why="monthly refresh")
    assert name == f"litellm:{plan.sha256[:12]}"
    after = catalog.quote("grok-imagine-1.5", FIVE, as_of=TODAY).others
    assert after == before  # the import has 480p only
    small = ClipRequest(seconds=Decimal(5), resolution="480p", mode="i2v")
    others = dict(catalog.quote("grok-imagine-1.5", small, as_of=TODAY).others)
    assert others["litellm/xai/grok-imagine-video-1.5-preview/480p"] == 410_000
    again = actions(catalog.plan_import("litellm", litellm, as_of=TODAY))
    assert again["litellm/xai/grok-imagine-video-1.5-preview/480p"] == "same"
    catalog.remove_import(name, who="Ada", why="wrong month")
    assert "litellm" not in str(catalog.quote("grok-imagine-1.5", small, as_of=TODAY).others)


def test_an_import_that_adds_nothing_is_refused(tmp_path: Path, own_store: Path) -> None:
    path = tmp_path / "prices.json"
    entry = LITELLM["entries"]["gemini/veo-3.1-generate-001"]
    path.write_text(json.dumps({"gemini/veo-3.1-generate-001": entry}), encoding="utf-8")
    plan = catalog.plan_import("litellm", path, as_of=TODAY)
    with pytest.raises(InvalidArgument, match="adds nothing"):
        catalog.apply_import(plan, who="Ada", why="again")
    with pytest.raises(UnknownName, match="applied import"):
        catalog.remove_import("litellm:0", who="Ada", why="none")


V8 = """InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,Price,Region,GpuInfo,SpotPrice
p5.48xlarge,H100,8,192,2048,55.04,us-east-1,,20.0
p9.huge,X999,8,192,2048,55.04,us-east-1,,
m5.large,,,2,8,0.1,us-east-1,,
g5.half,A10G,0.5,2,8,0.5,us-east-1,,
"""
V9 = """SpotPrice,Region,AvailabilityZone,Price,InstanceType,AcceleratorCount,AcceleratorName
19.0,us-east-1,us-east-1a,50.04,p5.48xlarge,8,H100
"""
GPUHUNT = """instance_name,location,price,cpu,memory,gpu_count,gpu_name,gpu_memory,spot,disk_size
p5,us-east-1,55.04,192,2048,8,H100,80,False,
a100,eu-1,2.5,16,128,1,A100,80,True,
cpu,eu-1,0.1,2,8,0,,,False,
"""


def offers_plan(tmp_path: Path, kind: Any, text: str, **more: Any) -> catalog.ImportPlan:
    path = tmp_path / "vms.csv"
    path.write_text(text, encoding="utf-8")
    return catalog.plan_import(kind, path, as_of=TODAY, provider="aws", **more)


def test_a_skypilot_table_becomes_offers_on_demand_and_spot(tmp_path: Path) -> None:
    plan = offers_plan(tmp_path, "skypilot", V8)
    found = actions(plan)
    assert found["aws/H100-SXM/8x/on_demand/us-east-1"] == "same"
    assert found["aws/H100-SXM/8x/spot/us-east-1"] == "added"
    reasons = [row.why for row in plan.of("unmapped")]
    assert any("'X999' is not known" in why for why in reasons)
    assert any("no accelerator" in why for why in reasons)
    assert any("a fraction of a GPU" in why for why in reasons)


def test_the_column_order_of_a_skypilot_table_does_not_matter(tmp_path: Path) -> None:
    undated = offers_plan(tmp_path, "skypilot", V9)
    assert actions(undated)["aws/H100-SXM/8x/on_demand/us-east-1"] == "conflicting"
    dated = offers_plan(tmp_path, "skypilot", V9, seen="2026-11-20")
    found = actions(dated)
    assert found["aws/H100-SXM/8x/on_demand/us-east-1"] == "changed"
    assert found["aws/H100-SXM/8x/spot/us-east-1a"] == "added"
    (changed,) = dated.of("changed")
    assert (changed.rate, changed.book_rate) == (Decimal("6.255"), Decimal("6.88"))


def test_a_gpuhunt_table_becomes_offers(tmp_path: Path) -> None:
    found = actions(offers_plan(tmp_path, "gpuhunt", GPUHUNT))
    assert found["aws/H100-SXM/8x/on_demand/us-east-1"] == "same"
    assert found["aws/A100-80GB/1x/spot/eu-1"] == "added"
    assert list(found.values()).count("unmapped") == 1


def test_imported_offers_stand_beside_the_shipped_ones(tmp_path: Path, own_store: Path) -> None:
    plan = offers_plan(tmp_path, "skypilot", V9, seen="2026-11-20")
    catalog.apply_import(plan, who="Ada", why="new catalogue")
    held = catalog.offer("aws/H100-SXM/8x/on_demand/us-east-1", TODAY)
    assert held.usd_per_gpu_hour == Decimal("6.255")
    assert held.source.publisher == "skypilot-org/skypilot-catalog"
    earlier = catalog.offer("aws/H100-SXM/8x/on_demand/us-east-1", date(2026, 11, 19))
    assert earlier.usd_per_gpu_hour == Decimal("6.88")


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("litellm", "not json", "is not JSON"),
        ("litellm", "[1]", "expected an object"),
        ("skypilot", "a,b\n1,2\n", "column 'InstanceType' is missing"),
        ("gpuhunt", "a,b\n1,2\n", "column 'instance_name' is missing"),
    ],
)
def test_a_file_of_another_kind_is_refused_by_name(
    tmp_path: Path, kind: Any, text: str, message: str
) -> None:
    with pytest.raises(BadData, match=message):
        offers_plan(tmp_path, kind, text)


def test_a_table_without_its_seller_or_of_no_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vms.csv"
    path.write_text(V8, encoding="utf-8")
    with pytest.raises(InvalidArgument, match="give provider"):
        catalog.plan_import("skypilot", path, as_of=TODAY)
    with pytest.raises(UnknownName, match="kind of import"):
        catalog.plan_import("excel", path, as_of=TODAY)  # type: ignore[arg-type]
    with pytest.raises(BadData, match="cannot be read"):
        catalog.plan_import("litellm", tmp_path / "none.json", as_of=TODAY)


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), "free", -1, None, [1]])
def test_a_rate_that_is_none_is_a_line_and_not_a_crash(tmp_path: Path, rate: object) -> None:
    entry = {**LITELLM["entries"]["gemini/veo-3.1-generate-001"], "output_cost_per_second": rate}
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({"gemini/veo-3.1-generate-001": entry}), encoding="utf-8")
    plan = catalog.plan_import("litellm", path, as_of=TODAY)
    assert not plan.of("added")
    for price in ("nan", "inf", "free", "-1", "0"):
        table = V8.replace("55.04", price)
        reasons = [row.why for row in offers_plan(tmp_path, "skypilot", table).of("unmapped")]
        assert any(price in why for why in reasons)


def test_a_file_without_anything_to_import_says_so(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    path.write_text('{"gpt-5": {"mode": "chat"}}', encoding="utf-8")
    with pytest.raises(BadData, match="no video entry to import"):
        catalog.plan_import("litellm", path, as_of=TODAY)
    with pytest.raises(BadData, match="no row to import"):
        offers_plan(tmp_path, "skypilot", V8.splitlines()[0])


@pytest.mark.parametrize("seen", ["tomorrow", "2026-13", "2026-1-5", "22.11.2026", ""])
def test_the_day_of_a_file_is_a_day(tmp_path: Path, seen: str) -> None:
    with pytest.raises(InvalidArgument, match="seen is a day"):
        offers_plan(tmp_path, "skypilot", V9, seen=seen)


def test_the_zones_of_a_region_repeat_its_price_on_demand(tmp_path: Path) -> None:
    second = "18.0,us-east-1,us-east-1b,50.04,p5.48xlarge,8,H100\n"
    plan = offers_plan(tmp_path, "skypilot", V9 + second)
    assert [row.why for row in plan.of("same")] == ["repeats a row above"]
    dearer = offers_plan(tmp_path, "skypilot", V9 + second.replace("50.04", "60.00"))
    assert any("a second price" in row.why for row in dearer.of("unmapped"))


def test_every_video_key_of_litellm_names_a_model() -> None:
    keys = [alias for entry in catalog.models() for alias in entry.aliases if "/" in alias]
    assert len(keys) > 60
    assert {catalog.model(key).id for key in keys} <= {entry.id for entry in catalog.models()}
