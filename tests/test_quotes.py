"""Quotes worked out by hand: what a seller's invoice would say on 2026-11-22, and on older days."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlab import catalog, store
from costlab.core import (
    Basis,
    CannotServe,
    ClipRequest,
    InvalidArgument,
    NotOnSale,
    UnknownName,
)

TODAY = date(2026, 11, 22)


def ask(seconds: str, resolution: str = "720p", *, audio: bool = False, **more: Any) -> ClipRequest:
    if "input_video_s" in more:
        more["input_video_s"] = Decimal(more["input_video_s"])
    return ClipRequest(seconds=Decimal(seconds), resolution=resolution, audio=audio, **more)


@dataclass(frozen=True)
class Worked:
    """A quote with its total worked by hand; ``rule`` is empty for a plain rate × seconds."""

    model: str
    request: ClipRequest
    usd: str
    working: str
    rule: str
    source: str
    options: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.model}: {self.working}"


def worked(
    model: str, request: ClipRequest, usd: str, working: str, rule: str, source: str, **options: Any
) -> Worked:
    return Worked(model, request, usd, working, rule, source, options)


MODELS = store.load(catalog.MODELS)
LITELLM = "BerriAI/litellm"
COMFY = "Comfy-Org/docs"
AUGUST = date(2026, 8, 1)

CASES = [
    # Google, by the second, 4 / 6 / 8 s, and 8 s only at 1080p and 4K
    worked("veo-3.1", ask("5", audio=True), "2.40", "6 × 0.40", "length", LITELLM),
    worked("veo-3.1", ask("4", audio=True), "1.60", "4 × 0.40", "", LITELLM),
    worked("veo-3.1", ask("5", "1080p", audio=True), "3.20", "8 × 0.40", "length", LITELLM),
    worked("veo-3.1", ask("8", "4k", audio=True), "4.80", "8 × 0.60", "", LITELLM),
    worked("veo-31-standard", ask("7", audio=True), "3.20", "8 × 0.40", "length", LITELLM),
    worked("veo-3.1-fast", ask("5", audio=True), "0.60", "6 × 0.10", "length", LITELLM),
    worked("veo-3.1-fast", ask("8", "1080p", audio=True), "0.96", "8 × 0.12", "", LITELLM),
    worked("veo-3.1-fast", ask("8", "4k", audio=True), "2.40", "8 × 0.30", "", LITELLM),
    worked("veo-3.1-lite", ask("5", audio=True), "0.30", "6 × 0.05", "length", LITELLM),
    worked("veo-3.1-lite", ask("8", "1080p", audio=True), "0.64", "8 × 0.08", "", LITELLM),
    worked("veo-3.1-lite", ask("5", audio=True, variants=3), "0.90", "3 × 6 × 0.05", "variants",
           LITELLM),
    worked("veo-3.1", ask("4", audio=True), "1.60", "4 × 0.40 at Vertex, a week before it ends",
           "day", LITELLM, provider="vertex", as_of=date(2026, 11, 10)),
    # Silent Veo is sold by resellers
    worked("veo-3.1", ask("5"), "1.20", "6 × 0.20", "sound", COMFY),
    worked("veo-3.1", ask("8", "4k"), "3.20", "8 × 0.40", "sound", COMFY),
    worked("veo-3.1-fast", ask("5"), "0.48", "6 × 0.08", "sound", COMFY),
    worked("veo-3.1-fast", ask("8", "1080p"), "0.80", "8 × 0.10", "sound", COMFY),
    worked("veo-3.1-fast", ask("8", "4k"), "2.00", "8 × 0.25", "sound", COMFY),
    worked("veo-3.1-lite", ask("4"), "0.12", "4 × 0.03", "sound", COMFY),
    worked("veo-3.1-lite", ask("4", "1080p"), "0.20", "4 × 0.05", "sound", COMFY),
    worked("veo-3.1", ask("8"), "1.60", "8 × 0.20", "sound", "skillspool.org", provider="runway"),
    worked("veo-3.1-fast", ask("8", audio=True), "1.20", "8 × 0.15, the rate of 2025", "day",
           COMFY, as_of=date(2025, 12, 1)),
    # OpenAI and Azure: 4 / 8 / 12 s, retired by one and not by the other
    worked("sora-2", ask("5"), "0.80", "8 × 0.10", "length", COMFY, as_of=AUGUST),
    worked("sora-2", ask("8"), "0.80", "8 × 0.10, before it closed", "day",
           "developers.openai.com", provider="openai", as_of=date(2026, 9, 23)),
    worked("sora-2-pro", ask("12"), "6.00", "12 × 0.50", "option", LITELLM, provider="openai",
           as_of=AUGUST, tier="high-res"),
    worked("sora-2-pro", ask("12"), "3.60", "12 × 0.30 at Azure", "", LITELLM),
    worked("sora-2-pro", ask("3"), "2.00", "4 × 0.50", "option", LITELLM, tier="high-res"),
    # Kling: prices worked out per clip, any whole second from 3 to 15
    worked("kling-3.0", ask("5"), "0.42", "5 × 0.42 / 5", "per clip", "atlascloud.ai"),
    worked("kling-3.0", ask("2"), "0.252", "3 × 0.42 / 5", "length", "atlascloud.ai"),
    worked("kling-3.0", ask("6.4", "1080p"), "0.784", "7 × 0.56 / 5", "length", "atlascloud.ai"),
    worked("kling-3.0", ask("10", "1080p", audio=True), "1.68", "10 × 1.68 / 10", "per clip",
           "atlascloud.ai"),
    worked("kling-3.0", ask("5", "4k"), "2.10", "5 × 4.20 / 10", "per clip", "atlascloud.ai"),
    worked("kling-3.0", ask("5", audio=True), "0.63", "5 × 0.126", "", "fal.ai"),
    worked("kling-3.0", ask("5", audio=True), "0.77", "5 × 0.154", "option", "fal.ai",
           tier="voice-control"),
    worked("kling-3.0", ask("5", "1080p", audio=True), "0.98", "5 × 0.196", "option", "fal.ai",
           tier="voice-control"),
    worked("kling-30-omni", ask("5", audio=True), "0.55995", "5 × 0.11199", "", COMFY),
    worked("kling-3.0-omni", ask("5", "720p", mode="edit", input_video_s="5"), "0.6301",
           "5 × 0.12602", "mode", COMFY),
    worked("kling-2.6-pro", ask("7", "1080p", audio=True), "1.40", "10 × 0.14", "length", COMFY),
    worked("kling-2.6-pro", ask("5", "1080p"), "0.35", "5 × 0.07", "", COMFY),
    worked("kling-3.0", ask("5", "4k"), "2.205", "5 × 0.441", "", "docs.krea.ai", provider="krea"),
    worked("kling-3.0", ask("5", audio=True), "0.75", "5 × 0.15", "", "piapi.ai",
           provider="piapi"),
    worked("kling-3.0", ask("5"), "0.336", "5 × 0.0672", "", "APIMart", provider="apimart"),
    worked("kling-2.5-turbo-std", ask("7"), "0.42", "one 10 s clip", "per clip", "inference.sh"),
    worked("kling-o1", ask("5", mode="edit", input_video_s="5"), "0.63", "5 × 0.126", "mode",
           "inference.sh", provider="inference_sh"),
    worked("kling-4.0", ask("5", audio=True), "0.9815", "5 × 0.1963", "", "docs.venice.ai"),
    # fal: Wan by frames / 16, whatever the output rate
    worked("fal-wan2.2-a14b", ask("5"), "0.405", "81 / 16 × 0.08", "frames", "fal.ai"),
    worked("fal-wan2.2-a14b", ask("5", "580p"), "0.30375", "81 / 16 × 0.06", "frames", "fal.ai"),
    worked("fal-wan2.2-a14b", ask("5", "480p"), "0.2025", "81 / 16 × 0.04", "frames", "fal.ai"),
    worked("fal-wan2.2-a14b", ask("5", fps=24), "0.605", "121 / 16 × 0.08", "frames", "fal.ai"),
    worked("fal-wan2.2-a14b", ask("10"), "0.805", "161 / 16 × 0.08", "frames", "fal.ai"),
    worked("fal-wan2.2-a14b", ask("1", "480p"), "0.0425", "17 / 16 × 0.04", "frames", "fal.ai"),
    worked("fal-wan2.2-a14b", ask("5"), "0.50625", "81 / 16 × 0.10", "option", "fal.ai",
           tier="lora"),
    worked("fal-wan2.2-a14b-turbo", ask("5", mode="i2v"), "0.10", "one clip", "per clip", "fal.ai"),
    worked("fal-wan2.2-a14b-turbo", ask("4", "480p", mode="i2v"), "0.05", "one clip", "per clip",
           "fal.ai"),
    worked("pixverse-6", ask("5", "1080p", audio=True), "0.575", "5 × 0.115", "", "fal.ai"),
    worked("minimax-h3", ask("5", "4k"), "0.80", "5 × 0.16", "", LITELLM),
    worked("seedance-2.0", ask("5"), "1.517", "5 × 0.3034", "", LITELLM, provider="fal"),
    # Hosted Wan elsewhere
    worked("runpod-wan2.2-t2v-720", ask("5"), "0.48", "one clip, the upper end of 0.30–0.48",
           "range", "docs.runpod.io"),
    worked("wavespeed-wan2.2-t2v-480p-ultra-fast", ask("6", "480p"), "0.08", "8 × 0.01", "length",
           "wavespeed.ai"),
    worked("wavespeed-wan2.2-animate", ask("3", "480p", mode="edit", input_video_s="3"), "0.20",
           "at least 5 s × 0.20 / 5", "minimum", "wavespeed.ai"),
    worked("venice-wan2.2-enhanced-i2v", ask("6", "480p", mode="i2v"), "0.32", "one 8 s clip",
           "per clip", "docs.venice.ai"),
    worked("muapi-wan2.2-5b-fast-t2v", ask("5"), "0.016", "one clip", "per clip", "muapi.ai"),
    # Hailuo: 6 or 10 s, 1080p only 6 s
    worked("hailuo-02", ask("6", "1080p"), "0.49", "one 6 s clip", "per clip", COMFY),
    worked("hailuo-02", ask("7"), "0.56", "one 10 s clip at 768p", "per clip", COMFY),
    worked("hailuo-2.3", ask("5"), "0.23", "one 6 s clip at 768p", "per clip", "wavespeed.ai",
           provider="wavespeed"),
    worked("hailuo-2.3", ask("8"), "0.56", "one 10 s clip at 768p", "per clip", "eachlabs.ai"),
    worked("hailuo-2.3-fast", ask("5", mode="i2v"), "0.1581", "6 × 0.02635", "length",
           "docs.qingbo.dev"),
    # MiniMax H3: a free first image, then by the image
    worked("minimax-h3", ask("5"), "0.40", "5 × 0.08", "", LITELLM),
    worked("minimax-h3", ask("5", mode="i2v"), "0.40", "5 × 0.08, one of 5 free images", "image",
           LITELLM),
    worked("minimax-h3-max", ask("5", "480p"), "0.25", "5 × 0.05", "", LITELLM),
    # xAI: the second plus each input image
    worked("grok-imagine-1.5", ask("5", mode="i2v"), "0.71", "5 × 0.14 + 0.01", "image", LITELLM),
    worked("grok-imagine-1.0", ask("4.2"), "0.35", "5 × 0.07", "length", LITELLM),
    worked("grok-imagine-1.0", ask("6", mode="i2v"), "0.422", "6 × 0.07 + 0.002", "image", COMFY,
           provider="comfy"),
    worked("grok-imagine-1.0", ask("5", mode="edit", input_video_s="4"), "0.54", "(4 + 5) × 0.06",
           "input seconds", COMFY),
    # Alibaba: two regions, input seconds billed on edits, CNY prices
    worked("wan-2.7", ask("5"), "0.50", "5 × 0.10", "", LITELLM),
    worked("wan-2.7", ask("5", "1080p"), "0.75", "5 × 0.15", "", LITELLM),
    worked("wan-2.7", ask("5"), "0.43006", "5 × 0.086012", "region", LITELLM, region="beijing"),
    worked("wan-3.0", ask("30", "480p"), "1.50", "30 × 0.05", "", LITELLM),
    worked("wan-3.0", ask("5", mode="edit", input_video_s="4"), "0.90", "(4 + 5) × 0.10",
           "input seconds", LITELLM),
    worked("wan-3.0", ask("5", mode="extend", input_video_s="5"), "0.82513",
           "(5 + 5) × 0.082513", "input seconds", LITELLM, region="beijing"),
    worked("wan-2.2-plus", ask("5", "480p"), "0.10035", "5 × 0.02007 (0.14 CNY at 6.9758)",
           "currency", "docs.crazyrouter.com", region="beijing"),
    worked("wan-2.2-plus", ask("5", "480p"), "0.10", "5 × 0.14 CNY / 7.0", "currency",
           "docs.crazyrouter.com", region="beijing", fx={"CNY": Decimal("7.0")}),
    worked("wan-2.2-flash", ask("5", mode="i2v"), "0.14335", "5 × 0.02867", "region",
           "docs.crazyrouter.com", region="beijing"),
    # Seedance: tokens of width × height × 24 / 1024
    worked("seedance-2.0", ask("5"), "0.709714", "5 × 21600 × 46 / 7 / 10⁶", "tokens", LITELLM),
    worked("seedance-2.0", ask("4", "480p"), "0.264014", "4 × 10044 × 46 / 7 / 10⁶", "tokens",
           LITELLM),
    worked("seedance-2.0", ask("5", aspect="4:3"), "0.714187",
           "5 × 1112 × 834 × 24 / 1024 × 46 / 7 / 10⁶", "tokens", LITELLM),
    worked("seedance-2.5", ask("4", "1080p"), "2.1384", "4 × 48600 × 11 / 10⁶", "tokens", LITELLM),
    worked("seedance-2.0", ask("5"), "1.08", "5 × 21600 × 46 / 4.6 / 10⁶", "currency", LITELLM,
           fx={"CNY": Decimal("4.6")}),
    worked("seedance-1.5-pro", ask("5"), "0.1296", "5 × 21600 × 1.2 / 10⁶", "tokens", COMFY),
    worked("seedance-1.5-pro", ask("5", audio=True), "0.2592", "5 × 21600 × 2.4 / 10⁶", "tokens",
           COMFY),
    worked("seedance-2.0", ask("5", mode="edit", input_video_s="3"), "1.06272",
           "(3 + 5) × 21600 × 0.00615 / 10³", "input seconds", COMFY),
    # Runway: credits of a cent, a minimum per task, input seconds at their own rate
    worked("runway-gen4.5", ask("5"), "0.60", "5 × 0.12", "", LITELLM),
    worked("runway-gen4-turbo", ask("7", mode="i2v"), "0.50", "10 × 0.05", "length", LITELLM),
    worked("runway-aleph2", ask("1", mode="edit", input_video_s="1"), "0.56",
           "56 credits at least, above 1 × 0.28", "minimum", LITELLM),
    worked("runway-aleph2", ask("5", mode="edit", input_video_s="5"), "1.40", "5 × 0.28", "",
           LITELLM),
    worked("seedance-2.5", ask("5", mode="edit", input_video_s="4"), "2.10",
           "5 × 0.30 + 4 × 0.15", "input seconds", LITELLM, provider="runway"),
    worked("runway-act-two", ask("3", mode="edit", input_video_s="3"), "0.15", "3 × 0.05", "",
           "skillspool.org"),
    # LTX: no 720p on offer; retakes by the second handed in
    worked("ltx-2-pro", ask("5"), "0.36", "6 × 0.06 at 1080p", "resolution, length",
           "docs.ltx.video"),
    worked("ltx-2-fast", ask("6", "4k"), "0.96", "6 × 0.16", "", "docs.ltx.video"),
    worked("ltx-2-pro", ask("5", "1080p", mode="edit", input_video_s="10"), "1.00", "10 × 0.10",
           "input seconds", "docs.ltx.video"),
    # Vidu: a base and a rate; Luma: 10 s is three times 5 s
    worked("vidu-q2", ask("5"), "0.175", "0.075 + 4 × 0.025", "base + rate", COMFY),
    worked("vidu-q2", ask("8", "1080p"), "0.45", "0.10 + 7 × 0.05", "base + rate", COMFY),
    worked("vidu-q2-pro", ask("4", "1080p", mode="i2v"), "0.50", "0.275 + 3 × 0.075",
           "base + rate", COMFY),
    worked("vidu-q2-pro-fast", ask("6", mode="i2v"), "0.09", "0.04 + 5 × 0.01", "base + rate",
           COMFY),
    worked("luma-ray-3.2", ask("5"), "0.30", "one 5 s clip", "per clip", COMFY),
    worked("luma-ray-3.2", ask("7"), "0.90", "one 10 s clip", "per clip", COMFY),
    worked("luma-ray-2", ask("6"), "1.83", "one 9 s clip", "per clip", COMFY),
    worked("luma-ray-2", ask("5"), "0.71", "one 5 s clip, the price before August", "day", COMFY,
           as_of=date(2026, 1, 15)),
    # PixVerse: its own pack rate, and half of that at a reseller
    worked("pixverse-6", ask("5", audio=True), "0.60", "one 5 s clip", "per clip",
           "atlascloud.ai"),
    worked("pixverse-6", ask("5", audio=True), "0.30", "one 5 s clip", "per clip",
           "atlascloud.ai", provider="atlascloud"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_quote_equals_the_bill_worked_by_hand(case: Worked) -> None:
    options = {"as_of": TODAY, **case.options}
    quote = catalog.quote(case.model, case.request, **options)
    assert quote.usd == Decimal(case.usd), case.working
    assert case.source in {source.publisher for line in quote.lines for source in line.sources}


def test_there_are_enough_worked_quotes_and_every_adapter_has_one() -> None:
    assert len(CASES) >= 60
    assert sum(bool(case.rule) for case in CASES) >= 30
    used = {
        catalog.quote(case.model, case.request, **{"as_of": TODAY, **case.options}).provider
        for case in CASES
    }
    assert used == set(catalog.providers())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_quote_adds_up_and_carries_its_proof(case: Worked) -> None:
    quote = catalog.quote(case.model, case.request, **{"as_of": TODAY, **case.options})
    assert quote.micro_usd == sum(line.micro_usd for line in quote.lines)
    for line in quote.lines:
        assert line.micro_usd == round(line.quantity * line.usd_per_unit * 1_000_000)
    figure = quote.figure()
    assert figure.value == quote.usd
    assert figure.unit == "USD"
    assert {leaf.ref for leaf in figure.leaves()} == {f"price:{quote.sku}"}
    assert all(leaf.source for leaf in figure.leaves())
    labels = [step.label for step in quote.steps]
    assert labels[0] == "wanted"
    assert "priced" in labels
    answer = json.loads(json.dumps(quote.to_dict()))
    assert Decimal(answer["usd"]) == quote.usd
    assert {"usd", "billed_seconds", "sku", "lines", "stale", "payload"} <= answer.keys()


def test_the_derivation_reads_as_on_paper() -> None:
    quote = catalog.quote("veo-3.1", ask("5", audio=True), as_of=TODAY)
    assert [step.text for step in quote.steps] == [
        "5 s, 720p, t2v, with sound",
        "6 s at 720p (clips of 4, 6, 8 s on offer)",
        "6 s × $0.40 = $2.40",
    ]
    assert quote.billed_seconds == 6
    assert quote.head.source.locator == "https://ai.google.dev/gemini-api/docs/pricing"


def test_a_frame_billed_quote_shows_its_frames() -> None:
    quote = catalog.quote("fal-wan2.2-a14b", ask("5"), as_of=TODAY)
    assert quote.billed_seconds == Decimal("5.0625")
    assert "81 frames / 16 = 5.0625 s" in [step.text for step in quote.steps]


def test_a_printed_range_travels_with_the_figure() -> None:
    figure = catalog.quote("runpod-wan2.2-a14b", ask("5"), as_of=TODAY).figure()
    assert figure.range is not None
    assert (figure.range.low, figure.range.high) == (0.30, 0.48)


def test_a_retired_model_is_refused_with_its_date_and_what_to_use() -> None:
    with pytest.raises(NotOnSale) as refused:
        catalog.quote("sora-2", ask("8"), as_of=TODAY)
    text = str(refused.value)
    assert "OpenAI on 2026-09-24" in text
    assert "Azure OpenAI on 2026-11-02" in text
    assert "on sale instead: sora-2-pro" in text


def test_a_successor_that_a_source_names_is_offered_first() -> None:
    with pytest.raises(NotOnSale, match=r"2026-10-14; on sale instead: wan-2\.7 \(\$0\.5"):
        catalog.quote("wan-2.6", ask("5"), as_of=TODAY)


def test_retirement_is_per_channel() -> None:
    both = ask("8", audio=True)
    before = catalog.quote("veo-3.1", both, as_of=date(2026, 11, 16), provider="vertex")
    after = catalog.quote("veo-3.1", both, as_of=date(2026, 11, 17), provider="vertex")
    assert "generate-001" in before.sku
    assert "generate-preview" in after.sku
    assert catalog.quote("veo-3.1", both, as_of=TODAY).provider == "gemini"


def test_a_price_first_seen_later_is_not_used_silently() -> None:
    with pytest.raises(NotOnSale, match="was seen by 2026-03-01"):
        catalog.quote("wan-3.0", ask("5"), as_of=date(2026, 3, 1))
    backdated = catalog.quote("wan-3.0", ask("5"), as_of=date(2026, 3, 1), backdate=True)
    assert backdated.usd == Decimal("0.50")
    assert backdated.stale
    assert "after the day asked about" in backdated.stale_why


def test_undated_and_old_prices_are_stale_and_fresh_ones_are_not() -> None:
    assert catalog.quote("fal-wan2.2-a14b", ask("5"), as_of=TODAY).stale
    assert catalog.quote("vidu-q2", ask("5"), as_of=TODAY).stale
    assert not catalog.quote("vidu-q2", ask("5"), as_of=TODAY, stale_after_days=100).stale
    assert not catalog.quote("wan-2.7", ask("5"), as_of=TODAY).stale


def test_the_named_rule_picks_vendor_before_cloud_before_reseller_and_lists_the_others() -> None:
    quote = catalog.quote("veo-3.1", ask("6", audio=True), as_of=TODAY)
    assert quote.provider == "gemini"
    sellers = [sku.split("/")[0] for sku, _ in quote.others]
    assert sellers.index("vertex") < sellers.index("comfy")
    assert catalog.quote("kling-3.0", ask("5"), as_of=TODAY).provider == "kling"


def test_a_contradicted_price_is_shown_but_never_used() -> None:
    rows = catalog.prices_of("runway-gen4.5")
    (conflict,) = [row for row in rows if row.status == "conflict"]
    assert conflict.usd == Decimal("0.25")
    assert conflict not in catalog.in_force(rows, TODAY)


@pytest.mark.parametrize(
    ("model", "request_", "options", "reason"),
    [
        ("veo-3.1-lite", ask("5", "4k"), {}, "stops at 1080p"),
        ("veo-3.1", ask("9", audio=True), {}, "clips of 4,6,8 s, not 9 s"),
        ("runway-gen4.5", ask("5", audio=True), {}, "makes no sound"),
        ("runway-gen4.5", ask("5", "1080p"), {}, "stops at 720p"),
        ("runway-gen4-turbo", ask("5"), {}, "does not take t2v"),
        ("fal-wan2.2-a14b", ask("5", audio=True), {}, "priced without sound"),
        ("fal-wan2.2-a14b", ask("11"), {}, "at most 161 frames"),
        ("fal-wan2.2-a14b", ask("5", fps=90), {}, "4–60 frames a second"),
        ("veo-3.1", ask("6", aspect="1:1"), {}, "no aspect 1:1"),
        ("veo-3.1", ask("6", fps=30), {}, "24 frames a second, not 30"),
        ("wan-2.2-plus", ask("5", "480p"), {}, "sold in beijing only"),
        ("gemini-omni-1.1-flash", ask("5"), {}, "no source says how many tokens"),
        ("ovi", ask("5"), {}, "a resolution that no source names"),
        ("hailuo-02", ask("8", "1080p"), {}, "not 8 s"),
        ("wan-3.0", ask("5", mode="edit"), {}, "bills the seconds handed in: say how many"),
        ("kling-3.0", ask("5"), {"tier": "lora"}, r"\(and \d+ more\) is the plain tier"),
        ("wan2.2-t2v-a14b", ask("5"), {}, "runs on your own GPUs"),
    ],
)
def test_what_cannot_be_served_says_why(
    model: str, request_: ClipRequest, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(CannotServe, match=reason):
        catalog.quote(model, request_, as_of=TODAY, **options)


def test_an_unknown_model_is_answered_with_near_ones() -> None:
    with pytest.raises(UnknownName, match=r"veo-3\.1"):
        catalog.quote("veo-3.l", ask("5"), as_of=TODAY)


def test_ranking_serves_cheapest_first_and_refuses_with_reasons() -> None:
    ranking = catalog.rank(ask("5", audio=True), TODAY)
    totals = [quote.micro_usd for quote in ranking.served]
    assert totals == sorted(totals)
    assert len(ranking.served) + len(ranking.refused) == sum(
        model.kind == "api" for model in catalog.models()
    )
    reasons = dict(ranking.refused)
    assert "2026-09-24" in reasons["sora-2"]
    assert "no sound" in reasons["runway-gen4.5"]


def test_sound_wanted_is_never_answered_by_a_silent_price() -> None:
    for quote in catalog.rank(ask("6", audio=True), TODAY).served:
        assert quote.head.audio is not False
        assert quote.plan.audio is True


@pytest.mark.parametrize("step", ["1", "0.037"], ids=["lengths come again", "lengths differ"])
def test_many_quotes_at_once_equal_the_exact_path(step: str) -> None:
    names = ["veo-3.1", "kling-3.0", "sora-2", "wan-2.7", "fal-wan2.2-a14b"] * 20
    requests = [
        ask(str(1 + Decimal(i % (12 if step == "1" else 100)) * Decimal(step)), audio=i % 3 == 0)
        for i in range(100)
    ]
    days = [date(2026, 8, 1 + i % 28) if i % 2 else TODAY for i in range(100)]
    together = catalog.quote_many(names, requests, days)
    for name, request, day, micro in zip(names, requests, days, together, strict=True):
        try:
            expected: int | None = catalog.quote(name, request, as_of=day).micro_usd
        except (CannotServe, NotOnSale):
            expected = None
        assert micro == expected


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([entry for entry in MODELS if entry.kind == "api"]),
    st.integers(1, 14),
    st.sampled_from(["480p", "720p", "1080p"]),
    st.sampled_from(["t2v", "i2v"]),
    st.booleans(),
)
def test_a_longer_clip_of_one_seller_is_never_cheaper_and_variants_multiply(
    entry: catalog.Model, seconds: int, resolution: str, mode: Any, audio: bool
) -> None:
    def asked(length: int, variants: int = 1) -> catalog.Quote:
        request = ask(str(length), resolution, audio=audio, mode=mode, variants=variants)
        return catalog.quote(entry.id, request, as_of=TODAY)

    try:
        short, longer, three = asked(seconds), asked(seconds + 1), asked(seconds, 3)
    except (CannotServe, NotOnSale):
        return
    if short.provider == longer.provider:
        assert short.micro_usd <= longer.micro_usd
    assert short.billed_seconds >= seconds
    assert abs(three.micro_usd - 3 * short.micro_usd) <= 2 * len(short.lines)


def test_the_basis_of_a_quote_is_that_of_its_source() -> None:
    assert catalog.quote("fal-wan2.2-a14b", ask("5"), as_of=TODAY).figure().basis is Basis.PUBLISHED
    assert catalog.quote("wan-2.7", ask("5"), as_of=TODAY).figure().basis is Basis.QUOTED


def test_a_price_in_another_currency_shows_its_rate_and_an_entered_rate_is_marked() -> None:
    plain = catalog.quote("seedance-2.0", ask("5"), as_of=TODAY)
    assert "46 CNY at 7 per USD" in [step.text for step in plain.steps]
    assert plain.figure().basis is Basis.QUOTED
    entered = catalog.quote("seedance-2.0", ask("5"), as_of=TODAY, fx={"CNY": Decimal("4.6")})
    assert "46 CNY at 4.6 per USD" in [step.text for step in entered.steps]
    assert entered.figure().basis is Basis.ENTERED


def test_an_unknown_seller_is_answered_with_near_ones() -> None:
    with pytest.raises(UnknownName, match="gemini"):
        catalog.quote("veo-3.1", ask("5"), as_of=TODAY, provider="gemni")


@pytest.mark.parametrize("aspect", ["wide", "16x9", "0:9", "16:0", "-16:9", "16:9:2", "", "²:1"])
def test_an_impossible_shape_is_refused_by_every_path(aspect: str) -> None:
    request = ask("6", aspect=aspect)
    with pytest.raises(InvalidArgument, match="width:height"):
        catalog.quote("ltx-2-pro", request, as_of=TODAY)
    with pytest.raises(InvalidArgument, match="width:height"):
        catalog.rank(request, TODAY)
    with pytest.raises(InvalidArgument, match="width:height"):
        catalog.quote_many(["ltx-2-pro"], [request], [TODAY])


def test_no_frame_rate_is_not_zero_frames_a_second() -> None:
    with pytest.raises(InvalidArgument, match="fps must be at least 1, got 0"):
        catalog.quote("fal-wan2.2-a14b", ask("5", fps=0), as_of=TODAY)


def test_a_reason_is_that_which_decides() -> None:
    with pytest.raises(CannotServe) as refused:
        catalog.quote("wan-2.7", ask("16"), as_of=TODAY)
    assert str(refused.value) == (
        "wan-2.7 cannot serve this: wan-2.7 at 1080p makes clips of 2-15 s, not 16 s; "
        "wan-2.7 at 720p makes clips of 2-15 s, not 16 s"
    )


def test_an_unknown_tier_or_region_is_not_ignored() -> None:
    with pytest.raises(UnknownName, match="unknown region 'paris'; known: beijing, singapore"):
        catalog.quote("wan-2.7", ask("5"), as_of=TODAY, region="paris")
    with pytest.raises(UnknownName, match="unknown region 'paris'"):
        catalog.rank(ask("5"), TODAY, region="paris")
    with pytest.raises(UnknownName, match="unknown tier 'gold'"):
        catalog.quote("kling-3.0", ask("5"), as_of=TODAY, tier="gold")


# ── Contract prices ───────────────────────────────────────────────────────────────────────────


def enter(name: str, first: date, **fields: Any) -> None:
    catalog.add_override(
        catalog.Override(name=name, valid_from=first, who="Ada", why="contract", **fields)
    )


def kling(day: date) -> Decimal:
    return catalog.quote("kling-3.0", ask("5"), as_of=day).usd


@pytest.mark.usefixtures("own_store")
def test_a_changed_contract_leaves_the_days_before_it_as_they_were() -> None:
    start, change = date(2026, 11, 1), date(2026, 11, 15)
    at_list = kling(TODAY)
    enter("deal", start, model="kling-3.0", discount=Decimal("0.2"))
    enter("deal", change, model="kling-3.0", discount=Decimal("0.3"))
    days = (start, date(2026, 11, 14), change, TODAY)
    assert [kling(day) / at_list for day in days] == [
        Decimal(x) for x in ("0.8", "0.8", "0.7", "0.7")
    ]
    assert catalog.quote_many(["kling-3.0"] * 4, [ask("5")] * 4, days) == [
        catalog.quote("kling-3.0", ask("5"), as_of=day).micro_usd for day in days
    ]
    enter("deal", change, model="kling-3.0", discount=Decimal("0.4"), valid_to=date(2026, 11, 20))
    assert [kling(day) / at_list for day in days] == [
        Decimal(x) for x in ("0.8", "0.8", "0.6", "1")
    ]
    catalog.remove_override("deal", who="Ada", why="never signed")
    assert [kling(day) / at_list for day in days] == [1, 1, 1, 1]


@pytest.mark.usefixtures("own_store")
def test_the_list_price_stands_beside_the_contract_price() -> None:
    enter("deal", TODAY, provider="alibaba", discount=Decimal("0.15"))
    steps = catalog.quote("wan-2.7", ask("5"), as_of=TODAY).steps
    assert [step.text for step in steps if step.label == "list price"] == [
        "$0.50 without contract prices"
    ]


@pytest.mark.usefixtures("own_store")
def test_a_contract_price_of_a_second_is_not_that_of_an_image() -> None:
    sku = "minimax/MiniMax-H3/768p/audio"
    wanted = ask("5", "768p", audio=True, mode="i2v")
    before = catalog.quote("minimax-h3", wanted, as_of=TODAY, provider="minimax")
    enter("deal", TODAY, sku=sku, usd=Decimal("0.01"))
    after = catalog.quote("minimax-h3", wanted, as_of=TODAY, provider="minimax")
    changed = [
        (line.unit, line.usd_per_unit)
        for line, old in zip(after.lines, before.lines, strict=True)
        if line != old
    ]
    assert changed == [("second", Decimal("0.01"))]
    with pytest.raises(InvalidArgument, match="bills first_second and further_second: say which"):
        enter("vidu", TODAY, sku="comfy/viduq2/720p", usd=Decimal("0.01"))
    with pytest.raises(UnknownName, match="unknown unit of comfy/viduq2/720p 'hour'"):
        enter("vidu", TODAY, sku="comfy/viduq2/720p", usd=Decimal("0.01"), unit="hour")


@pytest.mark.usefixtures("own_store")
def test_a_contract_is_for_something_the_book_has() -> None:
    share = Decimal("0.1")
    with pytest.raises(UnknownName, match="unknown SKU 'nosuch'"):
        enter("a", TODAY, sku="nosuch", discount=share)
    with pytest.raises(UnknownName, match=r"wan-2\.7"):
        enter("a", TODAY, model="wan-2.8", discount=share)
    with pytest.raises(UnknownName, match="alibaba"):
        enter("a", TODAY, provider="alibab", discount=share)
    with pytest.raises(InvalidArgument, match="needs a name"):
        enter(" ", TODAY, provider="alibaba", discount=share)
    assert catalog.audit() == ()


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity"])
@pytest.mark.parametrize("field", ["usd", "discount"])
def test_a_contract_price_is_a_number(field: str, value: str) -> None:
    fields: dict[str, Any] = {field: Decimal(value)}
    with pytest.raises(InvalidArgument, match=f"{field} must be a number"):
        catalog.Override(name="x", valid_from=TODAY, sku="a", **fields)
