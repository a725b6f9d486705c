"""The dashboard in a real Chromium: every page, a changed scenario, the command line's numbers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from costlab import present, projection, scenarios
from tests import browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if browser.chromium() is None:
        message = "no Chromium found; `apt-get install chromium` brings one"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with browser.dashboard(tmp_path_factory.mktemp("browser-store")) as address:
        yield address


@pytest.fixture(scope="module")
def chrome(site: str) -> Iterator[Any]:
    with browser.browser() as opened:
        yield opened


@pytest.fixture
def page(chrome: Any) -> Iterator[Any]:
    context = chrome.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    complaints: list[str] = []

    def hear(message: Any) -> None:
        # Streamlit looks for its own health address under the page's path first.
        if message.type == "error" and "/_stcore/" not in message.location.get("url", ""):
            complaints.append(message.text)

    tab.on("console", hear)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    yield tab
    context.close()
    assert not complaints


@pytest.mark.parametrize("name", browser.PAGES)
def test_a_page_shows_no_exception_and_no_sideways_scroll(site: str, page: Any, name: str) -> None:
    page.goto(f"{site}/{'' if name == 'overview' else name}")
    browser.settle(page)
    assert page.locator("[data-testid=stException]").count() == 0
    assert page.locator("[data-testid=stAlertContentError]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1")
    assert page.locator("h1, h2, h3").count() > 0


def test_the_page_and_the_command_line_give_the_same_answer(site: str, page: Any) -> None:
    page.goto(f"{site}/?scenario=brand-studio")
    browser.settle(page)
    answer = projection.project(scenarios.scenario("brand-studio"))
    heading = page.locator("h2").first.inner_text()
    cost = Decimal(str(answer.summary["usd_per_accepted_clip"].value))
    assert present.money(cost) in heading
    assert present.money(answer.summary["usd_per_month"].value) in heading


def test_changing_the_volume_changes_the_bill(site: str, page: Any) -> None:
    page.goto(f"{site}/scenario?edited=social-app")
    browser.settle(page)
    bill = page.locator("[data-testid=stMetricValue]").nth(1)
    before = bill.inner_text()
    volume = page.get_by_label(re.compile("Clips wanted a month"))
    volume.fill("60000")
    volume.press("Enter")
    browser.settle(page)
    page.wait_for_function(
        "old => document.querySelectorAll('[data-testid=stMetricValue]')[1]?.innerText !== old",
        arg=before,
        timeout=60_000,
    )
    assert page.locator("[data-testid=stException]").count() == 0


def test_a_shared_link_opens_the_same_scenario(site: str, page: Any, tmp_path: Path) -> None:
    page.goto(f"{site}/?scenario=overnight-batch")
    browser.settle(page)
    first = page.locator("h2").first.inner_text()
    page.reload()
    browser.settle(page)
    assert page.locator("h2").first.inner_text() == first
    page.screenshot(path=tmp_path / "overview.png")
