"""How fast the dashboard answers a person, in a real headless Chromium.

Run ``python benchmarks/dashboard.py [page …]``. Without pages every one is measured and the table
is written to ``benchmarks/dashboard.md``.

A change is timed inside the browser: from the pointer or key event that makes it until the last
thing on the page has moved, so transport, the page's script and drawing are all in it. What is
inside a canvas is never painted (the tables' text for screen readers, which follows 200 ms later)
and not counted. The floor is the same for a page of one widget and one line of text, on the same
machine a moment earlier.
"""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests import browser

CHANGES = 20
WARM_UPS = 5
QUIET_MS = 350
GOAL_FIRST_S = 2.0
GOAL_CHANGE_MS = 300
OUT = Path(__file__).with_suffix(".md")
FLOOR = """
import streamlit as st

number = st.number_input("Number", value=0, step=1)
st.write(f"{number} it is")
"""

# Keeps the time of the event that started a change and of the last thing that moved after it.
WATCH = """
() => {
  const still =
    "canvas, [data-testid=stStatusWidget], [data-testid=stToolbar], [data-testid=stHeader]";
  const seen = (window.__seen = {from: 0, last: 0, ran: false});
  for (const kind of ["pointerdown", "keydown"])
    document.addEventListener(kind, () => {
      seen.from = seen.last = performance.now();
      seen.ran = false;
    }, true);
  new MutationObserver((moves) => {
    for (const move of moves) {
      const at = move.target.nodeType === 1 ? move.target : move.target.parentElement;
      if (move.attributeName === "data-test-script-state") seen.ran = true;
      if (!at || at.closest(still)) continue;
      seen.last = performance.now();
    }
  }).observe(document.body, {
    subtree: true, childList: true, characterData: true, attributes: true,
  });
}
"""
AT_REST = """
quiet => {
  const state = document.querySelector("[data-testid=stApp]")?.dataset.testScriptState;
  const seen = window.__seen;
  const now = performance.now();
  const started = seen.ran || now - seen.from > 1000;
  return started && state === "notRunning" && now - seen.last > quiet;
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Widget:
    """One control of a page and how a person moves it."""

    label: str
    move: Callable[[Any, str, int], None]
    opens: str = ""
    """The expander or section that it stands in."""


def _step(page: Any, label: str, _turn: int) -> None:
    """Type the next number and press Enter: a value not seen before, each time."""
    field = page.get_by_label(label, exact=True).first
    now = float(field.input_value().replace(",", "") or 0)
    field.fill(f"{now + max(1.0, round(abs(now) / 100)):g}")
    field.press("Enter")


def _choose(page: Any, label: str, turn: int) -> None:
    """Pick another of the offered options with the arrow keys."""
    field = page.get_by_role("combobox", name=label).first
    field.scroll_into_view_if_needed()  # a list closes where the page scrolls
    page.wait_for_timeout(200)
    field.click()
    options = page.get_by_role("option")
    options.first.wait_for()
    options.nth(turn % min(4, options.count())).click()


def _toggle(page: Any, label: str, _turn: int) -> None:
    page.locator("label", has_text=label).first.click()


def _press(page: Any, label: str, turn: int) -> None:
    """Press the next of a row of choices."""
    row = page.get_by_role("radiogroup", name=label).get_by_role("radio")
    row.nth(turn % row.count()).click()


def _slide(page: Any, label: str, turn: int) -> None:
    """Move a slider by one, back and forth."""
    page.get_by_role("slider", name=label).first.press("ArrowRight" if turn % 2 else "ArrowLeft")


def _take_away_or_add(page: Any, label: str, turn: int) -> None:
    """Take the last choice out, or put one in."""
    field = page.get_by_role("combobox", name=label).first
    if turn % 2:
        field.press("Backspace")
    else:
        field.click()
        page.get_by_role("option").nth(turn % 3).click()


WIDGETS: dict[str, tuple[Widget, ...]] = {
    "overview": (
        Widget(label="Scenario", move=_choose),
        Widget(label="Seconds", move=_slide),
        Widget(label="Size", move=_press),
        Widget(label="With sound", move=_toggle),
    ),
    "scenario": (
        Widget(label="Clips wanted a month", move=_step),
        Widget(label="95 % wait at most (s)", move=_step),
        Widget(label="Routing policy", move=_choose),
    ),
    "routing": (
        Widget(label="Policy", move=_choose),
        Widget(label="At most seconds to a video", move=_step, opens="Change the policy"),
    ),
    "traffic": (
        Widget(label="Traffic", move=_choose),
        Widget(label="Clips wanted a month", move=_step, opens="Change the traffic"),
        Widget(label="Growth a month (%)", move=_step, opens="Change the traffic"),
    ),
    "compare": (
        Widget(
            label="Scenarios, the first is what the others are compared with",
            move=_take_away_or_add,
        ),
    ),
    "prices": (
        Widget(label="Seconds", move=_step),
        Widget(label="Size", move=_choose),
        Widget(label="With sound", move=_toggle),
    ),
    "capacity": (
        Widget(label="Growth a month (%)", move=_step),
        Widget(label="Two kinds of GPU may share the work", move=_toggle),
        Widget(label="Hour", move=_slide),
    ),
    "prediction": (
        Widget(label="Steps", move=_slide),
        Widget(label="GPU", move=_choose),
        Widget(label="Guidance", move=_toggle),
    ),
    "decision": (
        Widget(label="Months ahead", move=_slide),
        Widget(label="What changes", move=_press, opens="Where the answer flips"),
        Widget(label="Routing policy", move=_choose),
    ),
    "reports": (
        Widget(label="Months", move=_slide),
        Widget(label="Tax, %", move=_step, opens="Policy, currency"),
    ),
    "patterns": (
        Widget(label="Previews on", move=_choose),
        Widget(label="Pattern", move=_press),
    ),
    "quality": (
        Widget(label="Compare Wan 2.2 with", move=_choose),
        Widget(label="With sound", move=_toggle),
    ),
    "accuracy": (Widget(label="Draw with held out", move=_press),),
    "benchmark": (Widget(label="Model", move=_choose),),
    "claims": (),
    "replay": (),
}


@contextmanager
def floor_site(folder: Path) -> Iterator[str]:
    """Serve a page of one widget and one line."""
    script = folder / "floor.py"
    script.write_text(FLOOR)
    port = browser.free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(script), "--server.headless", "true",
         "--server.port", str(port), "--server.fileWatcherType", "none"],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        browser.answers(f"http://127.0.0.1:{port}/_stcore/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def first_page_s(page: Any, address: str) -> float:
    """Return the seconds from asking for an address until nothing on its page moves any more."""
    started = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_selector("[data-testid=stApp]", timeout=60_000)
    last, same_since = "", time.perf_counter()
    while True:
        now = page.evaluate(
            "() => document.querySelector('[data-testid=stApp]').dataset.testScriptState + '|' +"
            " document.querySelectorAll('[data-testid=stSkeleton]').length + '|' +"
            " (document.querySelector('[data-testid=stMain]')?.getElementsByTagName('*').length)"
        )
        if now != last:
            last, same_since = now, time.perf_counter()
        elif time.perf_counter() - same_since > 0.4 and now.startswith("notRunning|0|"):
            return same_since - started
        page.wait_for_timeout(15)


def change_ms(page: Any, widget: Widget, turn: int) -> float:
    """Return the milliseconds from a change to the last thing that moved because of it."""
    widget.move(page, widget.label, turn)
    page.wait_for_function(AT_REST, arg=QUIET_MS, timeout=20_000, polling=50)
    return float(page.evaluate("window.__seen.last - window.__seen.from"))


def changes_ms(page: Any, widget: Widget, changes: int) -> tuple[float, list[float]]:
    """Return the longest of the first few changes, and the times of many after them."""
    section = page.get_by_role("tab", name=widget.opens)
    if widget.opens and section.count():
        section.first.click()
        page.wait_for_timeout(1000)
    elif widget.opens:
        summary = page.locator("summary", has_text=widget.opens).first
        if summary.evaluate("e => !e.parentElement.open"):
            summary.click()
            page.wait_for_timeout(1000)
    times = [change_ms(page, widget, turn) for turn in range(WARM_UPS + changes)]
    return max(times[:WARM_UPS]), times[WARM_UPS:]


def quantile(values: list[float], share: float) -> float:
    """Return the value that ``share`` of all do not exceed."""
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1]


def opened(page: Any, address: str) -> float:
    """Return the seconds to a complete page, already visited once, and watch it from then on."""
    first_page_s(page, address)
    took = first_page_s(page, address)
    page.evaluate(WATCH)
    return took


def machine() -> str:
    """Return the processor and how busy it is with other work."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return f"{os.cpu_count()} cores of {model}, load {os.getloadavg()[0]:.1f}"


def main(pages: list[str]) -> None:
    changes = int(os.environ.get("CHANGES", CHANGES))
    start = machine()
    lines = []

    def say(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    with (
        tempfile.TemporaryDirectory() as folder,
        browser.browser() as chrome,
        floor_site(Path(folder)) as plain,
        browser.dashboard(Path(folder) / "store") as address,
    ):
        context = chrome.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        floor_s = opened(page, plain)
        cold, floor = changes_ms(page, Widget(label="Number", move=_step), changes)
        floor_50, floor_95 = quantile(floor, 0.5), quantile(floor, 0.95)
        say("| page | change | first page (s) | cold (ms) | p50 (ms) | p95 (ms) | over floor's |")
        say("|---|---|---:|---:|---:|---:|---:|")
        say(
            f"| *floor* | one number | {floor_s:.2f} | {cold:.0f} | {floor_50:.0f} | "
            f"{floor_95:.0f} | 1.0 |"
        )
        for name in pages or WIDGETS:
            took = opened(page, f"{address}/{browser.path(name)}")
            if not WIDGETS[name]:
                say(f"| {name} | | {took:.2f} | | | | |")
            for widget in WIDGETS[name]:
                try:
                    cold, times = changes_ms(page, widget, changes)
                except Exception as error:
                    print(name, widget.label, str(error).splitlines()[0], flush=True)
                    continue
                p50, p95 = quantile(times, 0.5), quantile(times, 0.95)
                say(
                    f"| {name} | {widget.label} | {took:.2f} | {cold:.0f} | {p50:.0f} | "
                    f"{p95:.0f} | {p95 / floor_95:.1f} |"
                )
    if not pages:
        day = datetime.now(UTC).date()
        OUT.write_text(
            "# The dashboard in a browser\n\n"
            f"Written by `python benchmarks/dashboard.py` on {day}: {start} before the run and "
            f"{machine().rpartition(', ')[2]} after it. Goals: first page within "
            f"{GOAL_FIRST_S:.0f} s, a change repainted within {GOAL_CHANGE_MS} ms at p95, both "
            f"warm. {changes} changes each, after {WARM_UPS} that are not counted, of which *cold* "
            "is the longest: a choice made for the first time is worked out then. Numbers and "
            "sliders get values not seen before.\n\n" + "\n".join(lines) + "\n"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
