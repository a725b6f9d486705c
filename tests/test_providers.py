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
from costlab.core import ClipRequest, UnknownName

TODAY = date(2026, 11, 22)
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


def test_every_seller_that_can_serve_has_a_payload() -> None:
    for mode in ("t2v", "i2v"):
        request = ClipRequest(seconds=Decimal(5), mode=mode)
        for quote in catalog.rank(request, TODAY).served:
            sent = quote.payload
            assert sent.keys() == {"url", "json"}
            assert "<prompt>" in json.dumps(sent)
            image = "<address of the image>" in json.dumps(sent)
            assert image == (mode == "i2v"), quote.model


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
