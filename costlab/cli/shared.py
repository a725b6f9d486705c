"""What every command shares: refusals, days, amounts, JSON or text."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

import click
from click.core import ParameterSource

from costlab.core import CostlabError, InvalidArgument, plain


class Refusing(click.Group):
    """A group whose commands print a refusal as one message and exit with 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except CostlabError as error:
            click.echo(f"costlab: {error}", err=True)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            click.echo(f"costlab: {where}{error.strerror or error}", err=True)
        sys.exit(2)


class Amount(click.ParamType[Decimal]):
    """A decimal number, kept exactly as written."""

    name = "number"

    def convert(self, value: Any, param: Any, ctx: Any) -> Decimal:
        """Return the number."""
        try:
            return Decimal(str(value))
        except InvalidOperation:
            self.fail(f"{value!r} is not a number", param, ctx)


class Day(click.ParamType[date]):
    """A day such as 2026-11-22."""

    name = "yyyy-mm-dd"

    def convert(self, value: Any, param: Any, ctx: Any) -> date:
        """Return the day."""
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a day; write it as 2026-11-22", param, ctx)


def today() -> date:
    """Return the day where the person sits."""
    return date.today()  # noqa: DTZ011


as_of_option = click.option(
    "--as-of", type=Day(), default=today, show_default="today", help="The day asked about."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/json.md).")


def emit(as_json: bool, data: Any, text: Callable[[], str]) -> None:
    """Print ``data`` as JSON, or what ``text`` makes of it."""
    if as_json:
        click.echo(json.dumps(plain(data), indent=2, ensure_ascii=False))
    else:
        click.echo(text())


def refuse_other_options(mode: str, taken: Iterable[str]) -> None:
    """Refuse options of the command line that ``mode`` would silently leave out.

    ``taken`` names the parameters that it does use. Raises `InvalidArgument`.
    """
    ctx = click.get_current_context()
    used = set(taken)
    left_out = [
        option.opts[0]
        for option in ctx.command.params
        if option.name
        and option.name not in used
        and ctx.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    ]
    if left_out:
        raise InvalidArgument(f"{mode} takes no {', '.join(left_out)}")
