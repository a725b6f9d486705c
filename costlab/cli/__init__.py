"""The library with a keyboard: each command parses, calls one public verb, and prints.

Exit codes: 0 done, 1 a comparison found what it was asked to look for, 2 the input was refused.
"""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

import click

from costlab import __version__
from costlab.cli.bench import bench_group
from costlab.cli.capacity import capacity_group
from costlab.cli.finance import actuals_command, months_command
from costlab.cli.lineage import explain, verify
from costlab.cli.optimise import optimise_command
from costlab.cli.patterns import pattern
from costlab.cli.policies import policy_group
from costlab.cli.prices import prices_group, quote
from costlab.cli.quality import quality_group
from costlab.cli.replay import replay_command
from costlab.cli.report import report_command
from costlab.cli.shared import Day, Refusing, emit, json_option, refuse_other_options
from costlab.cli.traffic import traffic_group
from costlab.cli.uncertainty import decide
from costlab.core import plain


@click.group(cls=Refusing, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="costlab")
def main() -> None:
    """What one AI-generated video clip really costs, and where it should run."""


main.add_command(quote)
main.add_command(prices_group)
main.add_command(bench_group)
main.add_command(capacity_group)
main.add_command(policy_group)
main.add_command(report_command)
main.add_command(decide)
main.add_command(optimise_command)
main.add_command(traffic_group)
main.add_command(replay_command)
main.add_command(months_command)
main.add_command(actuals_command)
main.add_command(pattern)
main.add_command(quality_group)
main.add_command(explain)
main.add_command(verify)


# ── The page ──────────────────────────────────────────────────────────────────────────────────


@main.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8501, show_default=True)
@click.option(
    "--address", default="localhost", show_default=True, help="0.0.0.0 lets other machines in."
)
def dashboard(port: int, address: str) -> None:
    """Open the dashboard; Ctrl-C ends it."""
    import os

    from costlab import store

    inside = Path(__file__).parents[1]
    app, config = inside / "_app.py", inside / "_streamlit.toml"
    if not app.is_file():
        clone = Path(__file__).parents[2]
        app, config = clone / "app.py", clone / ".streamlit" / "config.toml"
    for shelf in _shelves():
        store.records(shelf)
    settings = {"server.port": port, "server.address": address, **_page_settings(config)}
    command = [sys.executable, "-m", "streamlit", "run", str(app)]
    command += [f"--{name}={value}" for name, value in settings.items()]
    os.execv(sys.executable, command)


def _page_settings(config: Path) -> dict[str, str]:
    """Return Streamlit's settings of the page, so that they hold wherever it is started."""
    import tomllib

    found: dict[str, str] = {}

    def take(table: dict[str, Any], prefix: str) -> None:
        for name, value in table.items():
            if isinstance(value, dict):
                take(value, f"{prefix}{name}.")
            else:
                found[prefix + name] = str(value).lower() if isinstance(value, bool) else str(value)

    take(tomllib.loads(config.read_text(encoding="utf-8")), "")
    return found


def _shelves() -> tuple[Any, ...]:
    """Return every table of the book."""
    from costlab import (
        catalog,
        patterns,
        performance,
        quality,
        routing,
        scenarios,
        traffic,
        uncertainty,
    )

    return (
        *catalog.SHELVES,
        *performance.SHELVES,
        *quality.SHELVES,
        *patterns.SHELVES,
        *uncertainty.SHELVES,
        traffic.MIXES,
        routing.POLICIES,
        scenarios.SCENARIOS,
    )


@main.group("store")
def store_group() -> None:
    """The DuckDB store behind everything."""


@store_group.command("build")
@json_option
def store_build(as_json: bool) -> None:
    """Rebuild the book from data/; what people added stays."""
    from costlab import store

    counts = store.build(_shelves())
    emit(
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
@click.option("--policy", help="Use this policy (id or file) instead of the scenario's.")
@click.option("--clips-per-month", type=float, help="Use this volume instead of the mix's.")
@click.option("--as-of", type=Day(), help="Use this day instead of the scenario's.")
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

    from costlab import present, projection, routing, scenarios
    from costlab.core import UnknownName

    if scenario_name is None:
        refuse_other_options("project without a scenario", ("as_json",))
        known = scenarios.known()
        emit(
            as_json,
            {name: {"title": item.title, "date": item.date} for name, item in known.items()},
            lambda: present.table(
                ["scenario", "title"], [[name, item.title] for name, item in known.items()]
            ),
        )
        return
    asked = scenarios.scenario(scenario_name)
    changes: dict[str, Any] = {"clips_per_month": clips_per_month, "date": as_of}
    answer = projection.project(
        replace(asked, **{key: value for key, value in changes.items() if value is not None}),
        policy=routing.policy(policy) if policy else None,
    )
    if proof is not None:
        figures = answer.figures()
        if proof not in figures:
            raise UnknownName.among("figure", proof, figures)
        emit(as_json, figures[proof], lambda: present.tree(figures[proof]))
        return
    emit(as_json, answer.to_dict(), lambda: present.projection(answer))


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
@click.option("--shift", type=float)
@click.option("--boundary", type=float)
@click.option(
    "--what-if",
    type=click.Choice(["steps", "boundary", "size", "frames", "gpu", "num_gpus"]),
    help="Vary one setting.",
)
@json_option
def predict(csv_file: Path | None, what_if: str | None, as_json: bool, **named: Any) -> None:
    """Predict seconds, energy and memory of a Wan clip on a GPU, with a 90 % interval.

    Size, frames and steps default to the model's own.
    """
    from costlab import performance, present
    from costlab.core import BadData, InvalidArgument

    if csv_file is not None:
        from costlab import store

        if not csv_file.is_file():
            raise BadData(str(csv_file), ["no such file"])
        refuse_other_options("--from", ("csv_file", "as_json"))
        answers = performance.predict_rows(store.read_rows(csv_file), where=csv_file.name)
        click.echo(json.dumps(answers) if as_json else present.predictions(answers))
        return
    if not named["model"] or not named["gpu"]:
        raise InvalidArgument("name --model and --gpu, or a file of questions with --from")
    question = performance.question({k: v for k, v in named.items() if v is not None})
    if what_if is not None:
        from costlab.performance.sweep import sweep

        labels, questions = sweep(question, what_if)
        found = [
            {what_if: label} | answer.to_dict()
            for label, answer in zip(labels, performance.predict_all(questions), strict=True)
        ]
        emit(as_json, found, lambda: present.sweep(what_if, found))
        return
    prediction = performance.predict(question)
    emit(as_json, prediction.to_dict(), lambda: present.prediction(question, prediction))


@main.command()
@json_option
def accuracy(as_json: bool) -> None:
    """Show how wrong the predictions are on published clips that the model had not seen."""
    from costlab import performance, present

    report = performance.accuracy_report().to_dict()
    emit(as_json, report, lambda: present.accuracy(report))
