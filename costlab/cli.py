"""The library with a keyboard: each command parses, calls one public verb, and prints.

Exit codes: 0 done, 1 a comparison found what it was asked to look for, 2 the input was refused.
"""

from __future__ import annotations

import json
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

    from costlab import scenarios, store

    inside = Path(__file__).parent / "_app.py"
    app = inside if inside.is_file() else Path(__file__).parents[1] / "app.py"
    store.records(scenarios.SCENARIOS)
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


@main.group("store")
def store_group() -> None:
    """The DuckDB store behind everything."""


@store_group.command("build")
@json_option
def store_build(as_json: bool) -> None:
    """Rebuild the book from data/; what people added stays."""
    from costlab import catalog, performance, routing, scenarios, store, traffic

    shelves = (
        *catalog.SHELVES,
        *performance.SHELVES,
        traffic.MIXES,
        routing.POLICIES,
        scenarios.SCENARIOS,
    )
    counts = store.build(shelves)
    _emit(
        as_json,
        {"path": str(store.book_path()), "rows": counts},
        lambda: "\n".join(
            [f"{store.book_path()}", *(f"  {name}: {rows} rows" for name, rows in counts.items())]
        ),
    )


@store_group.command("query")
@click.argument("sql")
def store_query(sql: str) -> None:
    """Answer a read-only SQL question over the book, as JSON rows."""
    from costlab import store

    click.echo(json.dumps(plain(store.query(sql)), indent=2, ensure_ascii=False))


# ── Projection ────────────────────────────────────────────────────────────────────────────────


@main.command()
@click.argument("scenario_name", metavar="SCENARIO", required=False)
@click.option("--policy", help="Use this policy instead of the scenario's.")
@click.option("--clips-per-month", type=float, help="Use this volume instead of the mix's.")
@click.option("--as-of", type=_Day(), help="Use this day instead of the scenario's.")
@click.option("--proof", metavar="FIGURE", help="Print one figure down to its rows and runs.")
@json_option
def project(
    scenario_name: str | None,
    policy: str | None,
    clips_per_month: float | None,
    as_of: date | None,
    proof: str | None,
    as_json: bool,
) -> None:
    """Project SCENARIO (an id or a YAML file): per-clip cost, split, fleet and month.

    Without SCENARIO, list the scenarios there are.
    """
    from dataclasses import replace

    from costlab import present, projection, scenarios
    from costlab.core import UnknownName

    if scenario_name is None:
        known = scenarios.known()
        _emit(
            as_json,
            {name: {"title": item.title, "date": item.date} for name, item in known.items()},
            lambda: present.table(
                ["scenario", "title"], [[name, item.title] for name, item in known.items()]
            ),
        )
        return
    asked = scenarios.scenario(scenario_name)
    changes: dict[str, Any] = {"policy": policy, "clips_per_month": clips_per_month, "date": as_of}
    answer = projection.project(
        replace(asked, **{key: value for key, value in changes.items() if value is not None})
    )
    if proof is not None:
        figures = answer.figures()
        if proof not in figures:
            raise UnknownName.among("figure", proof, figures)
        _emit(as_json, figures[proof], lambda: present.tree(figures[proof]))
        return
    _emit(as_json, answer.to_dict(), lambda: present.projection(answer))


# ── Prices ────────────────────────────────────────────────────────────────────────────────────


@main.command()
@click.option("--model", required=False, help="A model id or alias, such as veo-3.1.")
@click.option("--seconds", type=_Amount(), required=True, help="Seconds of video wanted.")
@click.option("--resolution", default="720p", show_default=True)
@click.option("--audio", is_flag=True, help="With sound.")
@click.option(
    "--mode", type=click.Choice(["t2v", "i2v", "extend", "edit"]), default="t2v", show_default=True
)
@click.option("--aspect", default="16:9", show_default=True)
@click.option("--variants", type=int, default=1, show_default=True)
@click.option("--input-video-s", type=_Amount(), default="0", help="Length of a clip handed in.")
@click.option("--all", "every", is_flag=True, help="Rank every model that can make the clip.")
@as_of_option
@json_option
def quote(
    model: str | None,
    seconds: Decimal,
    resolution: str,
    audio: bool,
    mode: Any,
    aspect: str,
    variants: int,
    input_video_s: Decimal,
    every: bool,
    as_of: date,
    as_json: bool,
) -> None:
    """Price one clip on an API, step by step as on paper."""
    from costlab import catalog, present
    from costlab.core import ClipRequest

    request = ClipRequest(
        seconds=seconds,
        resolution=resolution,
        audio=audio,
        mode=mode,
        aspect=aspect,
        variants=variants,
        input_video_s=input_video_s,
    )
    if every:
        ranking = catalog.rank(request, as_of)
        _emit(as_json, ranking.to_dict(), lambda: present.ranking(ranking))
        return
    if model is None:
        raise click.UsageError("name a model with --model, or rank all with --all")
    answer = catalog.quote(model, request, as_of=as_of)
    _emit(as_json, answer.to_dict(), lambda: present.quote(answer))


# ── Prediction ────────────────────────────────────────────────────────────────────────────────


@main.command()
@click.option("--from", "csv_file", type=click.Path(path_type=Path), help="Answer every CSV row.")
@click.option("--model", help="Such as wan2.2-t2v-a14b.")
@click.option("--gpu", help="Such as H100-SXM.")
@click.option("--num-gpus", type=int, default=1, show_default=True)
@click.option("--height", type=int)
@click.option("--width", type=int)
@click.option("--frames", type=int)
@click.option("--steps", type=int)
@click.option("--cfg/--no-cfg", default=True, show_default=True, help="Two forwards a step.")
@click.option("--precision", default="bf16", show_default=True)
@click.option("--attention")
@click.option("--stack")
@click.option("--parallel")
@click.option("--offload")
@click.option("--technique")
@click.option("--batch-size", type=int, default=1, show_default=True)
@json_option
def predict(csv_file: Path | None, as_json: bool, **named: Any) -> None:
    """Predict seconds, energy and memory of a Wan clip on a GPU, with a 90 % interval."""
    from costlab import performance, present
    from costlab.core import BadData, InvalidArgument

    if csv_file is not None:
        from costlab import store

        if not csv_file.is_file():
            raise BadData(str(csv_file), ["no such file"])
        answers = performance.predict_rows(store.read_rows(csv_file), where=csv_file.name)
        _emit(as_json, answers, lambda: present.predictions(answers))
        return
    if not named["model"] or not named["gpu"]:
        raise InvalidArgument("name --model and --gpu, or a file of questions with --from")
    question = performance.question({k: v for k, v in named.items() if v is not None})
    prediction = performance.predict(question)
    _emit(as_json, prediction.to_dict(), lambda: present.prediction(question, prediction))


# ── Capacity ──────────────────────────────────────────────────────────────────────────────────


@main.group("capacity")
def capacity_group() -> None:
    """How long people wait, and how many GPUs that takes."""


@capacity_group.command("wait")
@click.option("--rate-per-h", type=float, required=True, help="Arrivals an hour.")
@click.option("--service-s", type=float, required=True, help="Seconds a clip holds a slot.")
@click.option("--servers", type=int, required=True, help="Slots.")
@click.option(
    "--scv",
    type=float,
    default=0.0,
    show_default=True,
    help="Squared coefficient of variation of service: 0 constant, 1 exponential.",
)
@click.option("--seed", type=int, default=1, show_default=True)
@json_option
def capacity_wait(
    rate_per_h: float, service_s: float, servers: int, scv: float, seed: int, as_json: bool
) -> None:
    """Waiting time by formula and by simulation, side by side."""
    from costlab import capacity, present

    report = capacity.wait_report(rate_per_h, service_s, servers, scv, seed)
    _emit(as_json, report, lambda: present.wait_report(report))


if __name__ == "__main__":
    main()
