"""The library with a keyboard: each command parses, calls one public verb, and prints.

Exit codes: 0 done, 1 a comparison found what it was asked to look for, 2 the input was refused.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click

from costlab import __version__
from costlab.core import CostlabError, plain


class _Refusing(click.Group):
    """A group whose commands print a refusal as one message and exit with 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CostlabError as error:
            click.echo(f"costlab: {error}", err=True)
            sys.exit(2)


class _Amount(click.ParamType[Decimal]):
    name = "number"

    def convert(self, value: Any, param: Any, ctx: Any) -> Decimal:
        try:
            return Decimal(str(value))
        except InvalidOperation:
            self.fail(f"{value!r} is not a number", param, ctx)


class _Day(click.ParamType[date]):
    name = "yyyy-mm-dd"

    def convert(self, value: Any, param: Any, ctx: Any) -> date:
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a day; write it as 2026-11-22", param, ctx)


def _today() -> date:
    return date.today()  # noqa: DTZ011  the day where the person sits


as_of_option = click.option(
    "--as-of", type=_Day(), default=_today, show_default="today", help="The day asked about."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/json.md).")


def _emit(as_json: bool, data: Any, text: Callable[[], str]) -> None:
    if as_json:
        click.echo(json.dumps(plain(data), indent=2, ensure_ascii=False))
    else:
        click.echo(text())


@click.group(cls=_Refusing, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="costlab")
def main() -> None:
    """What one AI-generated video clip really costs, and where it should run."""


# ── The page ──────────────────────────────────────────────────────────────────────────────────


@main.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8501, show_default=True)
def dashboard(port: int) -> None:
    """Open the dashboard; Ctrl-C ends it."""
    import subprocess

    from costlab import projection, store

    inside = Path(__file__).parent / "_app.py"
    app = inside if inside.is_file() else Path(__file__).parents[1] / "app.py"
    store.records(projection.SCENARIOS)
    settings = {
        "--server.port": str(port),
        "--server.fileWatcherType": "none",
        "--server.showEmailPrompt": "false",
        "--browser.gatherUsageStats": "false",
        "--client.toolbarMode": "minimal",
    }
    command = [sys.executable, "-m", "streamlit", "run", str(app)]
    command += [f"{name}={value}" for name, value in settings.items()]
    process = subprocess.Popen(command)
    try:
        sys.exit(process.wait())
    except KeyboardInterrupt:
        process.wait()
        click.echo("costlab dashboard ended.")
