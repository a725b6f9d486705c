"""Adapters: one file a seller, payloads without the network, answers of recorded shape."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import costlab.providers
from costlab import catalog, store
from costlab.catalog.billing import Adapter, frame_size, plain_number
from costlab.core import CannotServe, ClipRequest, NotOnSale, UnknownName

TODAY = date(2026, 11, 22)
MODES = {"t2v", "i2v", "edit", "extend"}
LAST_DAY = {"openai": date(2026, 9, 23)}
"""The last day of a seller that has closed."""
RECORDED = sorted((Path(__file__).parent / "recorded").glob("*.json"))
ANSWERS = [
    pytest.param(path.stem, case, id=f"{path.stem}-{number}")
    for path in RECORDED
    for number, case in enumerate(json.loads(path.read_text(encoding="utf-8")))
]


def payload(model: str, seconds: str, **more: Any) -> dict[str, Any]:
    provider = more.pop("provider", None)
    request = ClipRequest(seconds=Decimal(seconds), **more)
    return catalog.quote(model, request, as_of=TODAY, provider=provider).payload


@pytest.mark.parametrize("provider", catalog.providers())
def test_every_adapter_is_named_like_its_file_and_says_who_it_is(provider: str) -> None:
    adapter = catalog.adapter(provider)
    assert isinstance(adapter, Adapter)
    assert adapter.provider == provider
    assert adapter.name
    for text in adapter.statuses.values():
        assert text in ("queued", "running", "succeeded", "failed")


def test_every_seller_has_recorded_answers() -> None:
    assert {path.stem for path in RECORDED} == set(catalog.providers())


@pytest.mark.parametrize(("provider", "case"), ANSWERS)
def test_a_recorded_answer_becomes_costlabs_words(provider: str, case: dict[str, Any]) -> None:
    answer = catalog.adapter(provider).answer(case["response"])
    expect = case["expect"]
    assert answer.id == expect.get("id")
    assert answer.status == expect["status"]
    assert answer.video_url == expect.get("video_url")
    for field in ("billed_seconds", "usd"):
        value = getattr(answer, field)
        assert (None if value is None else plain_number(value)) == expect.get(field)


def test_google_is_asked_for_the_quantised_length() -> None:
    sent = payload("veo-3.1", "5", audio=True)
    assert sent["url"].endswith("models/veo-3.1-generate-001:predictLongRunning")
    assert sent["json"]["parameters"] == {
        "aspectRatio": "16:9", "resolution": "720p", "durationSeconds": 6,
    }  # fmt: skip


def test_fal_is_told_to_switch_sound_off_and_how_many_frames_to_make() -> None:
    silent = payload("kling-3.0", "5", provider="fal")
    assert silent["json"]["generate_audio"] is False
    assert silent["url"].endswith("kling-video/v3/standard/text-to-video")
    wan = payload("fal-wan2.2-a14b", "5", mode="i2v", fps=24)
    assert wan["json"]["num_frames"] == 121
    assert wan["json"]["frames_per_second"] == 24
    assert "image_url" in wan["json"]
    unnamed = payload("kling-2.5-turbo-pro", "5", provider="fal")
    assert unnamed["url"] is None  # the page that prices it does not name its path


def test_kling_is_told_the_mode_that_stands_for_the_resolution() -> None:
    sent = payload("kling-3.0", "7", resolution="1080p", audio=True)
    assert sent["json"]["mode"] == "pro"
    assert sent["json"]["sound"] == "on"
    assert sent["json"]["duration"] == "7"


def test_alibaba_is_asked_at_the_host_of_the_region() -> None:
    request = ClipRequest(seconds=Decimal(5), mode="i2v")
    beijing = catalog.quote("wan-2.7", request, as_of=TODAY, region="beijing").payload
    assert beijing["url"].startswith("https://dashscope.aliyuncs.com")
    assert beijing["json"]["input"]["media"][0]["type"] == "first_frame"
    assert payload("wan-2.7", "5")["url"].startswith("https://dashscope-intl.aliyuncs.com")


def served(provider: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the mode and payload of one quote for each SKU and mode that the seller serves."""
    seen = set()
    rows = {
        (row.model, mode, row.resolution or "720p", bool(row.audio))
        for row in catalog.prices()
        for mode in MODES & set(row.modes or catalog.model(row.model).modes)
        if row.provider == provider
    }
    for name, mode, resolution, audio in sorted(rows):
        handed_in = Decimal(4) if mode in ("edit", "extend") else Decimal(0)
        request = ClipRequest(
            seconds=Decimal(5),
            mode=mode,
            resolution=resolution,
            audio=audio,
            input_video_s=handed_in,
        )
        try:
            quote = catalog.quote(name, request, as_of=LAST_DAY.get(provider, TODAY),
                                  provider=provider)  # fmt: skip
        except (CannotServe, NotOnSale):
            continue
        if (quote.sku, mode) not in seen:
            seen.add((quote.sku, mode))
            yield mode, quote.payload


@pytest.mark.parametrize("provider", catalog.providers())
def test_every_payload_carries_the_wish_and_what_is_handed_in(provider: str) -> None:
    count = 0
    for mode, sent in served(provider):
        text = json.dumps(sent)
        assert sent.keys() == {"url", "json"}
        assert "<prompt>" in text
        assert ("<address of the image>" in text) == (mode == "i2v"), sent
        assert ("<address of the video>" in text) == (mode in ("edit", "extend")), sent
        assert (sent["url"] or "https://").startswith("https://")
        assert sent["url"] or provider == "fal", "only fal's price page leaves out paths"
        count += 1
    assert count


def test_comfy_is_sent_each_makers_own_request() -> None:
    proxy = "https://api.comfy.org/proxy/"

    def sent(model: str, seconds: str = "5", **more: Any) -> tuple[str, dict[str, Any]]:
        found = payload(model, seconds, provider="comfy", **more)
        assert found["url"].startswith(proxy)
        return found["url"].removeprefix(proxy), found["json"]

    assert sent("kling-3.0", audio=True) == (
        "kling/v1/videos/text2video",
        {"model_name": "kling-v3", "prompt": "<prompt>", "mode": "std", "duration": "5",
         "sound": "on", "aspect_ratio": "16:9"},
    )  # fmt: skip
    path, body = sent("wan-2.7", mode="i2v", resolution="1080p")
    assert path == "wan/api/v1/services/aigc/video-generation/video-synthesis"
    assert body["model"] == "wan2.7-i2v"
    assert body["input"]["media"][0]["type"] == "first_frame"
    assert body["parameters"]["resolution"] == "1080P"
    _, body = sent("wan-2.5", resolution="480p", aspect="9:16")
    assert body["model"] == "wan2.5-t2v-preview"
    assert body["parameters"]["size"] == "480*854"
    path, body = sent("veo-3.1-fast", audio=True)
    assert path == "veo/veo-3.1-fast-generate-001/generate"
    assert body["parameters"]["durationSeconds"] == 6
    path, body = sent("luma-ray-3.2", "7")
    assert (path, body["video"]) == ("luma_2/generations", {"resolution": "720p",
                                                           "duration": "10s"})  # fmt: skip
    path, body = sent("seedance-2.0", mode="edit", input_video_s=Decimal(3))
    assert path == "byteplus/api/v3/contents/generations/tasks"
    assert body["model"] == "dreamina-seedance-2-0-260128"
    assert body["content"][1]["role"] == "reference_video"
    assert "generate_audio" not in sent("seedance-1.0-pro")[1]
    path, body = sent("ltx-2-pro")
    assert (path, body["resolution"]) == ("ltx/v1/text-to-video", "1920x1080")
    path, body = sent("ltx-2.5-fast", mode="i2v")
    assert (path, body["model"]) == ("ltx/v2/image-to-video", "ltx-2-5-fast")
    path, body = sent("grok-imagine-1.0", mode="edit", input_video_s=Decimal(4))
    assert (path, body["video"]) == ("xai/v1/videos/edits", {"url": "<address of the video>"})


def test_resellers_get_the_fields_that_they_document() -> None:
    assert payload("kling-3.0", "4.2", provider="krea", resolution="1080p", audio=True) == {
        "url": "https://api.krea.ai/generate/video/kling/kling-3.0",
        "json": {"prompt": "<prompt>", "mode": "pro", "duration": 5, "aspect_ratio": "16:9",
                 "generate_audio": True},
    }  # fmt: skip
    assert payload("kling-3.0", "5", provider="apimart", mode="i2v")["json"] == {
        "prompt": "<prompt>", "duration": 5, "model": "kling-v3", "aspect_ratio": "16:9",
        "mode": "std", "audio": False, "image_urls": ["<address of the image>"],
    }  # fmt: skip
    veo = payload("veo-3.1-fast", "4", provider="apimart", audio=True)["json"]
    assert (veo["duration"], veo["resolution"]) == (8, "720p")  # it takes 8 s only
    assert payload("hailuo-2.3", "5", provider="qingbo", resolution="1080p") == {
        "url": "https://api.qingbo.ai/v1/tasks",
        "json": {"model": "minimax-hailuo-2.3", "action": "generate", "prompt": "<prompt>",
                 "duration": 6, "resolution": "1080p"},
    }  # fmt: skip
    with pytest.raises(CannotServe, match="does not take t2v"):
        payload("hailuo-2.3-fast", "5", provider="qingbo")
    assert payload("hailuo-2.3", "7", provider="eachlabs")["json"]["input"]["duration"] == "10"
    muapi = payload("muapi-wan2.2-5b-fast-t2v", "5")
    assert muapi["url"] == "https://api.muapi.ai/api/v1/wan2.2-5b-fast-t2v"
    pixverse = payload("pixverse-6", "5", audio=True)
    assert pixverse["url"] == "https://app-api.pixverse.ai/openapi/v2/video/text/generate"
    assert pixverse["json"]["generate_audio_switch"] is True


def test_frames_are_as_rendered_where_a_source_says_and_nominal_elsewhere() -> None:
    seedance, wan = catalog.model("seedance-2.0"), catalog.model("wan-2.7")
    assert frame_size(seedance, "480p", "16:9") == (864, 496)
    assert frame_size(wan, "480p", "16:9") == (854, 480)
    assert frame_size(wan, "720p", "9:16") == (720, 1280)
    assert frame_size(wan, "1080p", "1:1") == (1080, 1080)


def test_terms_say_what_failures_cost_only_where_a_source_does() -> None:
    assert catalog.adapter("kling").terms.failed_billed is False
    assert catalog.adapter("xai").terms.moderated_billed is True
    assert catalog.adapter("fal").terms.moderated_billed is None
    assert catalog.adapter("krea").terms.failed_billed is False
    assert catalog.adapter("muapi").terms.failed_billed is None
    assert catalog.adapter("openai").terms.failed_billed is None
    assert catalog.adapter("runway").terms.at_once == (1, 20)
    assert catalog.adapter("fal").terms.at_once == (2, 40)
    for provider in catalog.providers():
        terms = catalog.adapter(provider).terms
        said = terms.failed_billed, terms.moderated_billed, terms.concurrency or None
        assert terms.source or said == (None, None, None)


def test_an_unknown_seller_is_answered_with_near_ones() -> None:
    with pytest.raises(UnknownName, match="fal"):
        catalog.adapter("fall")


MADE_UP_ADAPTER = '''"""Acme: a made-up seller that bills blocks of 4 s."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import Any

from costlab.catalog.billing import PROMPT, Adapter, Plan
from costlab.catalog.book import Price
from costlab.catalog.names import Model
from costlab.core import ClipRequest


class Acme(Adapter):
    """Acme: a made-up seller that bills blocks of 4 s."""

    provider = "acme"
    name = "Acme"

    def billed_seconds(
        self, row: Price, model: Model, request: ClipRequest, seconds: Decimal
    ) -> tuple[Decimal, str]:
        """Return the seconds of the blocks that hold the clip."""
        blocks = (seconds / 4).to_integral_value(rounding=ROUND_CEILING)
        return blocks * 4, f"{blocks} blocks of 4 s"

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return the request."""
        return {"url": "https://acme.example/videos", "json": {"prompt": PROMPT}}


ADAPTER = Acme()
'''

MADE_UP_PRICES = """
- sku: acme/wan/720p
  model: wan-2.7
  provider: acme
  channel: reseller
  endpoint: wan
  unit: second
  usd: "0.07"
  resolution: 720p
  source: {publisher: Acme, document: pricing page, seen: "2026-11-20", seen_precision: day}
"""


@pytest.fixture
def with_acme(tmp_path: Path, own_store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    data = tmp_path / "data"
    shutil.copytree(store.data_dir(), data, ignore=shutil.ignore_patterns("published"))
    (data / "prices" / "acme.yaml").write_text(MADE_UP_PRICES, encoding="utf-8")
    package = tmp_path / "providers"
    package.mkdir()
    (package / "acme.py").write_text(MADE_UP_ADAPTER, encoding="utf-8")
    monkeypatch.setattr(store, "data_dir", lambda: data)
    monkeypatch.setattr(costlab.providers, "__path__", [*costlab.providers.__path__, str(package)])
    importlib.invalidate_caches()
    catalog.providers.cache_clear()
    catalog.adapter.cache_clear()
    yield
    catalog.providers.cache_clear()
    catalog.adapter.cache_clear()
    sys.modules.pop("costlab.providers.acme", None)


def test_a_new_seller_is_one_adapter_and_one_price_file(with_acme: None) -> None:
    quote = catalog.quote("wan-2.7", ClipRequest(seconds=Decimal(5)), as_of=TODAY, provider="acme")
    assert quote.usd == Decimal("0.56")  # 2 blocks of 4 s × 0.07
    assert "2 blocks of 4 s" in [step.text for step in quote.steps]
    assert not [item for item in catalog.check() if item.level == "problem"]


def test_the_guide_shows_the_adapter_that_the_test_adds() -> None:
    guide = Path(__file__).parents[1] / "docs" / "adding-a-provider.md"
    text = guide.read_text(encoding="utf-8")
    assert MADE_UP_ADAPTER.strip() in text
    assert MADE_UP_PRICES.strip() in text
