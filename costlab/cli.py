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
        shape = {
            "served": [answer.to_dict() for answer in ranking.served],
            "refused": [{"model": name, "reason": why} for name, why in ranking.refused],
        }
        _emit(as_json, shape, lambda: present.ranking(ranking))
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
        answers = performance.predict_rows(store.read_rows(csv_file), where=csv_file.name)
        _emit(as_json, answers, lambda: present.predictions(answers))
        return
    if not named["model"] or not named["gpu"]:
        raise InvalidArgument("name --model and --gpu, or a file of questions with --from")
    given = {key: value for key, value in named.items() if value is not None}
    question = performance.question(_authors_setting(named["model"]) | given)
    if what_if is not None:
        from costlab.performance.sweep import sweep

        labels, questions = sweep(question, what_if)
        found = [
            {what_if: label} | answer.to_dict()
            for label, answer in zip(labels, performance.predict_all(questions), strict=True)
        ]
        _emit(as_json, found, lambda: present.sweep(what_if, found))
        return
    prediction = performance.predict(question)
    _emit(as_json, prediction.to_dict(), lambda: present.prediction(question, prediction))


def _authors_setting(model: str) -> dict[str, Any]:
    """Return the first size, the frames and the steps that a model's authors use."""
    from costlab import catalog, wan

    arch = wan.architecture(catalog.model(model).id)
    height, width = arch.sizes[0]
    return {"height": height, "width": width, "frames": arch.frames, "steps": arch.steps}


@main.command()
@json_option
def accuracy(as_json: bool) -> None:
    """Show how wrong the predictions are on published clips that the model had not seen."""
    from costlab import performance, present

    report = performance.accuracy_report().to_dict()
    _emit(as_json, report, lambda: present.accuracy(report))


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


# ── Measurement ───────────────────────────────────────────────────────────────────────────────


@main.group("bench", invoke_without_command=True)
@click.option("--model", default="wan2.2-ti2v-5b", show_default=True)
@click.option("--recipe", default="default", show_default=True, help="See costlab bench recipes.")
@click.option("--mode", type=click.Choice(["t2v", "i2v"]))
@click.option("--height", type=int)
@click.option("--width", type=int)
@click.option("--frames", type=int)
@click.option("--steps", type=int)
@click.option("--guidance", type=float)
@click.option("--guidance-2", type=float, help="Of the low-noise expert.")
@click.option("--shift", type=float)
@click.option("--batch-size", type=int, default=1, show_default=True)
@click.option("--repeats", type=int, default=1, show_default=True)
@click.option(
    "--weights", type=click.Choice(["synthetic", "real"]), default="synthetic", show_default=True,
    help="Random weights of the exact architecture, or a checkpoint in --path.",
)  # fmt: skip
@click.option("--path", type=click.Path(exists=True, file_okay=False), help="A diffusers folder.")
@click.option("--full", is_flag=True, help="Time the whole clip instead of composing it.")
@click.option("--tiny", is_flag=True, help="The small stand-in model; a smoke run, also on a GPU.")
@json_option
@click.pass_context
def bench_group(
    ctx: click.Context, /, model: str, recipe: str, full: bool, as_json: bool, **named: Any
) -> None:
    """Measure Wan 2.2 on the attached GPU and store the run.

    Without a GPU the same path runs a tiny model on the CPU: a smoke run that never enters a cost.
    """
    if ctx.invoked_subcommand is not None:
        return
    from costlab import bench, catalog

    row = {"model": catalog.model(model).id, "recipe": recipe} | {
        key: value for key, value in named.items() if value is not None
    }
    row["method"] = "full" if full else "composed"
    items = bench.expand([row], _recipes(), "the command")
    _measure(items, budget=None, usd_per_gpu_hour=None, as_json=as_json)


def _recipes() -> Any:
    from costlab import bench, store

    path = store.data_dir() / "recipes.yaml"
    return bench.recipes(store.read_rows(path), path.name)


def _runs_dir() -> Path:
    from costlab import store

    return store.home() / "runs"


def _known_runs() -> list[Any]:
    from costlab import runs, store

    return list(runs.read_all(store.data_dir() / "measurements", _runs_dir()))


def _measure(
    items: Any, *, budget: float | None, usd_per_gpu_hour: float | None, as_json: bool
) -> None:
    from importlib.util import find_spec

    from costlab import bench
    from costlab.core import CannotServe

    if find_spec("torch") is None or find_spec("diffusers") is None:
        raise CannotServe(
            "costlab bench needs torch and diffusers: `make gpu` installs them "
            "(`pip install 'costlab[gpu]'` outside a clone)"
        )
    outcomes = bench.suite(items, _runs_dir(), budget, _show_progress, known=_known_runs())
    if sys.stderr.isatty():
        click.echo(err=True)
    finished = [outcome.run for outcome in outcomes if outcome.run is not None]
    rows = bench.table(finished, usd_per_gpu_hour, _predicted)
    states = [{"configuration": o.item.title, "status": o.status, "note": o.note} for o in outcomes]
    _emit(as_json, {"outcomes": states, "runs": rows}, lambda: _measured_text(states, rows))
    if any(outcome.status == "failed" for outcome in outcomes):
        sys.exit(1)


def _show_progress(state: Any) -> None:
    from costlab import bench, jobs

    if report := jobs.reporter():
        report(state)
    line = bench.progress_line(state)
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{line}", nl=False, err=True)
    else:
        click.echo(line, err=True)


def _predicted(run: Any) -> float | None:
    """Return what published timings alone predict for a real run's setting."""
    from costlab import performance
    from costlab.performance.counted import question_of

    clip = next((clip for clip in performance.measured() if clip.id == run.id), None)
    if clip is None or performance.why_not(clip):
        return None
    return performance.replaced(question_of(clip)).seconds


def _measured_text(states: list[dict[str, str]], rows: list[dict[str, Any]]) -> str:
    from costlab import present

    lines = [f"{s['status']}: {s['configuration']} {s['note']}".rstrip() for s in states]
    if rows:
        cells = [
            [present.significant(v) if isinstance(v, float) else "–" if v is None else str(v)
             for v in row.values()]
            for row in rows
        ]  # fmt: skip
        lines += ["", present.table(list(rows[0]), cells)]
    return "\n".join(lines)


@bench_group.command("devices")
@json_option
def bench_devices(as_json: bool) -> None:
    """Show the attached GPUs: memory, power, utilisation, processes."""
    from costlab import bench

    found = bench.devices()
    _emit(as_json, found, lambda: _devices_text(found))


def _devices_text(found: Any) -> str:
    if not found.found:
        return f"no GPU: {found.reason}"
    return "\n".join(json.dumps(plain(device), ensure_ascii=False) for device in found.found)


@bench_group.command("recipes")
@json_option
def bench_recipes(as_json: bool) -> None:
    """List the serving recipes that can be measured."""
    from costlab import present

    found = _recipes()
    _emit(
        as_json,
        found,
        lambda: present.table(
            ["recipe", "what it is"], [[name, item.title] for name, item in found.items()]
        ),
    )


@bench_group.command("plan")
@click.argument("plan_file", type=click.Path(path_type=Path), required=False)
@json_option
def bench_plan(plan_file: Path | None, as_json: bool) -> None:
    """Show a plan (the default one without PLAN_FILE); --json writes it for a bare machine."""
    from costlab import bench

    items = _plan(plan_file)
    _emit(
        as_json,
        bench.to_json(items),
        lambda: "\n".join(f"{n}. {item.title}" for n, item in enumerate(items, 1)),
    )


def _plan(plan_file: Path | None) -> Any:
    from costlab import bench, store
    from costlab.core import BadData

    path = plan_file or store.data_dir() / "plans" / "default.yaml"
    if not path.is_file():
        raise BadData(str(path), ["no such plan file"])
    rows = store.read_rows(path)
    return bench.expand(rows, _recipes(), path.name)


@bench_group.command("suite")
@click.option(
    "--plan", "plan_file", type=click.Path(path_type=Path), help="Default: the shipped one."
)
@click.option("--budget", help="Stop starting configurations after this time: 480s, 8m, 1h.")
@click.option("--usd-per-gpu-hour", type=float, help="For the dollars in the table.")
@json_option
def bench_suite(
    plan_file: Path | None, budget: str | None, usd_per_gpu_hour: float | None, as_json: bool
) -> None:
    """Measure a plan, most valuable first; what is finished is safe and skipped next time."""
    from costlab.bench.__main__ import seconds

    _measure(
        _plan(plan_file),
        budget=seconds(budget) if budget else None,
        usd_per_gpu_hour=usd_per_gpu_hour,
        as_json=as_json,
    )


@bench_group.command("runs")
@json_option
def bench_runs(as_json: bool) -> None:
    """List the runs in the store and the shipped ones."""
    from costlab import bench

    rows = bench.table(_known_runs(), None, _predicted)
    _emit(as_json, rows, lambda: _measured_text([], rows).strip() or "no runs yet")


@bench_group.command("import")
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@json_option
def bench_import(folders: tuple[Path, ...], as_json: bool) -> None:
    """Take run records (files or folders) into the store; a record it has is left alone."""
    from costlab import runs

    paths = [
        p
        for folder in folders
        for p in (sorted(folder.glob("*.json")) if folder.is_dir() else [folder])
    ]
    found = [runs.read(path) for path in paths]
    known = {run.id for run in _known_runs()}
    fresh = {run.id: run for run in found if run.id not in known}
    for run in fresh.values():
        runs.write(run, _runs_dir())
    counts = {"read": len(found), "added": len(fresh), "already_there": len(found) - len(fresh)}
    _emit(
        as_json,
        counts,
        lambda: ", ".join(f"{n} {word.replace('_', ' ')}" for word, n in counts.items()),
    )


@bench_group.command("export")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@json_option
def bench_export(folder: Path, as_json: bool) -> None:
    """Write every real run of the store as one file each into FOLDER."""
    from costlab import runs

    written = [str(runs.write(run, folder)) for run in _known_runs() if not run.smoke]
    _emit(as_json, written, lambda: "\n".join(written) or "no real runs yet")


@bench_group.command("compare")
@click.argument("a")
@click.argument("b")
@json_option
def bench_compare(a: str, b: str, as_json: bool) -> None:
    """Show what moved from run A to run B (ids or files); exit 1 when B is worse beyond noise."""
    from costlab import bench, present

    answer = bench.compare(_run(a), _run(b))
    rows = [
        [
            m.quantity,
            present.significant(m.a),
            present.significant(m.b),
            f"{m.change:+.1%}",
            m.verdict,
        ]
        for m in answer.moves
    ]
    unlike = [f"differs: {item}" for item in answer.unlike]
    _emit(
        as_json,
        {"a": answer.a, "b": answer.b, "regressed": answer.regressed, "unlike": answer.unlike,
         "moves": [plain(m) | {"change": m.change, "verdict": m.verdict} for m in answer.moves]},
        lambda: "\n".join([present.table(["quantity", "A", "B", "change", ""], rows), *unlike]),
    )  # fmt: skip
    if answer.regressed:
        sys.exit(1)


def _run(name: str) -> Any:
    from costlab import runs
    from costlab.core import UnknownName

    if Path(name).is_file():
        return runs.read(Path(name))
    known = {run.id: run for run in _known_runs()}
    matches = [run for run_id, run in known.items() if run_id.startswith(name)]
    if len(matches) != 1:
        raise UnknownName.among("run", name, known)
    return matches[0]


if __name__ == "__main__":
    main()
