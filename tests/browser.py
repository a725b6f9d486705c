"""A real dashboard in a real browser, for the page tests and the screenshots."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PAGES = tuple(re.findall(r'url_path="(\w+)"', (ROOT / "app.py").read_text()))
"""Every page that the navigation offers, by its address; the first is the site's own."""


def path(name: str) -> str:
    """Return where a page lies below the site's address: the default page has no name there."""
    return "" if name == PAGES[0] else name


class NoChromium(Exception):
    """No Chromium on this machine."""


def chromium(playwright: Any) -> str:
    """Return the path of the system's Chromium, else of Playwright's own.

    Raises `NoChromium` that says which command installs one.
    """
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    own = Path(playwright.chromium.executable_path)
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None and not own.exists():
        raise NoChromium(
            "no Chromium found: `apt-get install chromium` or "
            f"`{sys.executable} -m playwright install --with-deps chromium` brings one"
        )
    return found or str(own)


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(address: str, patience_s: float = 60.0) -> bool:
    """Wait until an address answers; return whether it did."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(address, timeout=1).read()
            return True
        except OSError:
            time.sleep(0.25)
    return False


@contextmanager
def dashboard(home: Path) -> Iterator[str]:
    """Run ``costlab dashboard`` on a free port with its own store; yield its address."""
    port = free_port()
    env = {**os.environ, "COSTLAB_HOME": str(home), "BROWSER": "true"}
    env.pop("DISPLAY", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "costlab.cli", "dashboard", "--port", str(port)],
        cwd=ROOT,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        answers(f"{address}/_stcore/health")
        yield address
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def browser() -> Iterator[Any]:
    """Yield a headless Chromium driven by Playwright."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=chromium(play), args=FLAGS)
        try:
            yield opened
        finally:
            opened.close()


def settle(page: Any) -> None:
    """Wait until Streamlit has finished a run of the page."""
    page.wait_for_selector("[data-testid=stApp]", timeout=60_000)
    page.wait_for_timeout(400)
    page.wait_for_function(
        "() => document.querySelector('[data-testid=stApp]')"
        "?.getAttribute('data-test-script-state') === 'notRunning'"
        " && !document.querySelector('[data-testid=stSkeleton]')",
        timeout=120_000,
    )
    page.wait_for_timeout(300)
