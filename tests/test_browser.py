"""The dashboard in a real Chromium: every page, the main paths, the command line's numbers."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from costlab import present
from costlab.pages import drafts
from tests import browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NARROW = {"width": 390, "height": 844}
WIDE = {"width": 1280, "height": 900}

# What stands out of the window to the right, but for what lies in a box that scrolls by itself.
OVERHANGING = """
() => {
  const boxed = (one) => {
    for (let up = one.parentElement; up && up !== document.body; up = up.parentElement) {
      const style = getComputedStyle(up);
      if (["auto", "scroll", "hidden", "clip"].includes(style.overflowX)
          && !up.matches("[data-testid=stMain], [data-testid=stAppViewContainer], .stApp"))
        return true;
    }
    return false;
  };
  return [...document.querySelectorAll("[data-testid=stMain] *")]
    .filter((one) => one.getClientRects().length && !boxed(one)
      && !one.closest("details:not([open])")
      && one.getBoundingClientRect().right > window.innerWidth + 2)
    .map((one) => `${one.tagName} ${one.dataset.testid ?? ""} ${one.innerText ?? ""}`.slice(0, 80));
}
"""

# Controls that a screen reader would announce without a name.
NAMELESS = """
() => {
  const text = (ids) => (ids ?? "").split(" ").map((id) =>
    document.getElementById(id)?.innerText ?? "").join(" ").trim();
  return [...document.querySelectorAll(
      "[data-testid=stMain] :is(input, textarea, select, button, img, [role=slider])")]
    .filter((one) => one.checkVisibility({ checkVisibilityCSS: true })
      && one.type !== "hidden" && one.tabIndex >= 0)
    .filter((one) => !(one.ariaLabel || text(one.getAttribute("aria-labelledby"))
      || one.innerText?.trim() || one.title || one.alt
      || [...(one.labels ?? [])].some((label) => label.innerText.trim())
      || one.closest("label")?.innerText.trim()))
    .map((one) => one.outerHTML.slice(0, 160));
}
"""

# Charts that a screen reader would pass over without a word.
UNSAID = """
() => [...document.querySelectorAll("[data-testid=stPlotlyChart]")]
  .filter((one) => !one.ariaLabel?.trim())
  .map((one) => one.outerHTML.slice(0, 160))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("browser-store")


@pytest.fixture(scope="module")
def site(home: Path) -> Iterator[str]:
    with browser.dashboard(home) as address:
        yield address


@pytest.fixture(scope="module")
def chrome() -> Iterator[Any]:
    with browser.browser() as opened:
        yield opened


@contextmanager
def tab(chrome: Any) -> Iterator[Any]:
    """Open a tab of a visitor of its own; any complaint of the console fails the test."""
    context = chrome.new_context(viewport=WIDE, color_scheme="light", accept_downloads=True)
    page = context.new_page()
    complaints: list[str] = []

    def hear(message: Any) -> None:
        # Streamlit looks for its own health address under the page's path first.
        if message.type == "error" and "/_stcore/" not in message.location.get("url", ""):
            complaints.append(message.text)

    page.on("console", hear)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        yield page
    finally:
        context.close()
    assert not complaints


@pytest.fixture
def page(chrome: Any) -> Iterator[Any]:
    with tab(chrome) as opened:
        yield opened


def visit(page: Any, address: str) -> None:
    page.goto(address)
    browser.settle(page)
    assert_sound(page)


def assert_sound(page: Any) -> None:
    assert page.locator("[data-testid=stException]").count() == 0
    errors = page.locator("[data-testid=stAlertContentError]")
    assert errors.count() == 0, errors.all_inner_texts()
    assert page.evaluate(UNSAID) == []


def metrics(page: Any) -> dict[str, str]:
    """Return the headline figures of a page by their labels."""
    labels = page.locator("[data-testid=stMetricLabel]").all_inner_texts()
    values = page.locator("[data-testid=stMetricValue]").all_inner_texts()
    return dict(zip(map(str.strip, labels), map(str.strip, values), strict=True))


def until(page: Any, true: Callable[[], bool], patience_s: float = 30.0) -> None:
    for _ in range(int(patience_s * 5)):
        if true():
            return
        page.wait_for_timeout(200)
    raise AssertionError(f"nothing came within {patience_s:.0f} s")


def background(page: Any) -> int:
    """Return how bright the page's background is, 0 to 255."""
    colour = page.locator("[data-testid=stApp]").evaluate(
        "e => getComputedStyle(e).backgroundColor"
    )
    return sum(int(part) for part in re.findall(r"\d+", colour)[:3]) // 3


def costlab(home: Path, *arguments: str) -> Any:
    """Return what the command line answers as JSON, from the same store."""
    done = subprocess.run(
        [sys.executable, "-m", "costlab.cli", *arguments, "--json"],
        cwd=browser.ROOT, env={**os.environ, "COSTLAB_HOME": str(home)},
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return json.loads(done.stdout)


def figures(home: Path, scenario: str) -> dict[str, str]:
    """Return the command line's headline figures of a scenario, as a page shows them."""
    summary = costlab(home, "project", scenario)["summary"]
    return {
        label: present.money(Decimal(str(summary[name]["value"])))
        for label, name in (
            ("USD per accepted clip", "usd_per_accepted_clip"),
            ("USD a month", "usd_per_month"),
        )
    }


def set_volume(page: Any, clips: int) -> None:
    before = metrics(page)["USD a month"]
    volume = page.get_by_label("Clips wanted a month", exact=True)
    volume.fill(str(clips))
    volume.press("Enter")
    until(page, lambda: metrics(page).get("USD a month") not in (before, None))
    browser.settle(page)
    assert_sound(page)


@pytest.mark.parametrize("name", browser.PAGES)
def test_a_page_is_sound_in_light_and_dark_and_on_a_narrow_screen(
    site: str, page: Any, name: str
) -> None:
    visit(page, f"{site}/{browser.path(name)}")
    assert page.locator("h1, h2, h3").count() > 0
    assert page.evaluate(OVERHANGING) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1")
    assert page.evaluate(NAMELESS) == []
    assert background(page) > 200
    page.emulate_media(color_scheme="dark")
    until(page, lambda: background(page) < 60)
    page.set_viewport_size(NARROW)
    browser.settle(page)
    page.wait_for_function(f"() => ({OVERHANGING})().length === 0", timeout=10_000)
    assert_sound(page)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1")


@pytest.mark.parametrize("name", ["social-app", "brand-studio"])
def test_the_page_and_the_command_line_give_the_same_answer(
    site: str, page: Any, home: Path, name: str
) -> None:
    visit(page, f"{site}/?scenario={name}")
    told = figures(home, name)
    assert told.items() <= metrics(page).items()
    heading = page.locator("h2").first.inner_text()
    assert all(value in heading for value in told.values())


def test_a_changed_scenario_is_shared_by_its_link_and_kept_for_the_command_line(
    site: str, page: Any, home: Path, chrome: Any
) -> None:
    visit(page, f"{site}/scenario?edited=social-app")
    shipped = metrics(page)
    set_volume(page, 60_000)
    changed = metrics(page)
    assert changed["USD a month"] != shipped["USD a month"]
    assert f"{drafts.PARAMETER}=" in page.url
    with tab(chrome) as elsewhere:
        visit(elsewhere, page.url)
        assert metrics(elsewhere) == changed
        elsewhere.reload()
        browser.settle(elsewhere)
        assert metrics(elsewhere) == changed
    page.get_by_label("Save as", exact=True).fill("from-the-browser")
    page.get_by_role("button", name="Save scenario").click()
    page.get_by_text("Saved; the command line has it too").wait_for()
    assert figures(home, "from-the-browser").items() <= changed.items()


def test_the_keyboard_alone_changes_a_scenario_and_takes_it_back(site: str, page: Any) -> None:
    visit(page, f"{site}/scenario?edited=social-app")
    before = metrics(page)["USD a month"]
    wanted = ["Start from", "Routing policy", "Clips wanted a month", "95 % wait at most (s)"]
    reached: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.ariaLabel ?? ''")
        reached += [label for label in wanted if name.endswith(label) or name == label]
        if reached[-1:] == ["Clips wanted a month"]:
            break
    assert list(dict.fromkeys(reached)) == wanted[:3]
    page.keyboard.press("Control+a")
    page.keyboard.type("90000")
    page.keyboard.press("Enter")
    until(page, lambda: metrics(page).get("USD a month") not in (before, None))
    browser.settle(page)
    undo = page.get_by_role("button", name="Undo")
    undo.focus()
    page.keyboard.press("Enter")
    until(page, lambda: metrics(page).get("USD a month") == before)


def test_a_change_of_part_of_a_page_redraws_it(site: str, page: Any) -> None:
    visit(page, f"{site}/prices")
    heading = page.locator("h2").first
    before = heading.inner_text()
    seconds = page.get_by_label("Seconds", exact=True)
    seconds.fill("9")
    seconds.press("Enter")
    until(page, lambda: heading.inner_text() != before)
    assert_sound(page)


def test_a_figure_opens_to_what_it_rests_on(site: str, page: Any) -> None:
    visit(page, f"{site}/?scenario=social-app")
    page.get_by_text("Open a figure: where does it come from?").click()
    page.get_by_text("The rows it rests on").wait_for()
    assert_sound(page)


def opens(content: bytes, name: str) -> bool:
    """Return whether a file is what its name says."""
    ending = name.rpartition(".")[2]
    if ending in ("zip", "xlsx"):
        return zipfile.ZipFile(io.BytesIO(content)).testzip() is None
    if ending == "pdf":
        return content.startswith(b"%PDF-")
    if ending == "json":
        return bool(json.loads(content))
    text = content.decode()
    return "<html" in text.lower() if ending == "html" else bool(text.strip())


@pytest.mark.parametrize("name", ["capacity", "decision", "prices", "quality", "routing"])
def test_every_section_opens_and_a_link_leads_to_it(site: str, page: Any, name: str) -> None:
    visit(page, f"{site}/{name}")
    titles = page.get_by_role("tab").all_inner_texts()
    assert len(titles) > 2
    for title in titles:
        page.get_by_role("tab", name=title).click()
        browser.settle(page)
        assert_sound(page)
        assert page.get_by_role("tabpanel").first.inner_text().strip(), title
    visit(page, page.url)
    assert page.get_by_role("tab", selected=True).inner_text() == titles[-1]


@pytest.mark.parametrize(
    "name",
    ["routing?routing-section=Keep+it%2C+hand+it+over", "scenario", "prices", "reports"],
)
def test_what_a_page_hands_out_arrives_and_opens(site: str, page: Any, name: str) -> None:
    visit(page, f"{site}/{name}")
    buttons = page.locator("[data-testid=stDownloadButton] button:visible")
    until(page, lambda: buttons.count() > 0)
    for number in range(buttons.count()):
        with page.expect_download() as arriving:
            buttons.nth(number).click()
        file = arriving.value
        assert opens(Path(file.path()).read_bytes(), file.suggested_filename)
    assert_sound(page)


def test_a_downloaded_scenario_is_the_one_on_the_page(site: str, page: Any) -> None:
    visit(page, f"{site}/scenario?edited=dev-and-test")
    with page.expect_download() as arriving:
        page.get_by_role("button", name="Download the scenario").click()
    content = Path(arriving.value.path()).read_bytes()
    scenario, mix = drafts.from_file(content, arriving.value.suggested_filename)
    assert scenario.id == "dev-and-test"
    assert mix.segments


def test_a_smoke_benchmark_is_started_and_stopped(site: str, page: Any) -> None:
    visit(page, f"{site}/benchmark")
    page.get_by_role("button", name="Start run").click()
    stop = page.get_by_role("button", name="Cancel").first
    stop.wait_for(timeout=30_000)
    stop.click()
    page.get_by_text("cancelled").first.wait_for(timeout=60_000)
    assert_sound(page)
