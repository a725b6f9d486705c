"""Take the screenshots of every page, light and dark: ``make screenshots``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests import browser

OUT = Path(__file__).parent / "screenshots"
WIDTH = 1280


def main() -> None:
    """Write ``docs/screenshots/<page>-<scheme>.png``, each page at its full height."""
    OUT.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as home,
        browser.dashboard(Path(home)) as address,
        browser.browser() as chrome,
    ):
        for scheme in ("light", "dark"):
            context = chrome.new_context(
                viewport={"width": WIDTH, "height": 900}, color_scheme=scheme
            )
            page = context.new_page()
            for name in browser.PAGES:
                page.goto(f"{address}/{browser.path(name)}")
                browser.settle(page)
                height = page.locator("[data-testid=stMain]").evaluate("e => e.scrollHeight")
                page.set_viewport_size({"width": WIDTH, "height": min(int(height), 5000)})
                browser.settle(page)
                page.wait_for_timeout(800)
                page.screenshot(path=OUT / f"{name}-{scheme}.png")
                page.set_viewport_size({"width": WIDTH, "height": 900})
            context.close()


if __name__ == "__main__":
    main()
