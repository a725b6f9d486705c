from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import browser

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "diffusers", "transformers", "streamlit", "pandas", "numpy", "duckdb", "plotly")


@pytest.mark.parametrize(
    "what",
    ["import costlab", "from costlab.cli import main; main(['--help'], standalone_mode=False)"],
)
def test_starting_loads_nothing_heavy(what: str) -> None:
    code = f"{what}\nimport sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_public_verb_can_be_had() -> None:
    import costlab

    assert sorted(costlab._HOMES) == sorted(costlab.__all__)
    for name in costlab.__all__:
        assert getattr(costlab, name).__doc__, name
    with pytest.raises(AttributeError):
        costlab.nothing  # noqa: B018


@pytest.mark.slow
def test_a_wheel_works_outside_the_clone(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True, text=True)
    wheel = next(tmp_path.glob("costlab-*.whl"))
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet"]
    subprocess.run([*install, "--target", str(site), str(wheel)], check=True, capture_output=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    env = {**os.environ, "PYTHONPATH": str(site), "COSTLAB_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-m", "costlab.cli", "project", "social-app", "--json"],
        cwd=elsewhere, env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["scenario"]["id"] == "social-app"
    port = browser.free_port()
    dashboard = subprocess.Popen(
        [sys.executable, "-m", "costlab.cli", "dashboard", "--port", str(port)],
        cwd=elsewhere, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        assert browser.answers(f"http://127.0.0.1:{port}/_stcore/health")
    finally:
        dashboard.send_signal(signal.SIGINT)
        said, _ = dashboard.communicate(timeout=30)
    assert dashboard.returncode == 0
    assert "Stopping" in said
    assert "Traceback" not in said
