"""Commands that measure, and that read, merge and compare runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from costlab.cli.shared import emit, json_option, refuse_other_options
from costlab.core import CostlabError, plain


@click.group("bench", invoke_without_command=True)
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
        refuse_other_options(f"bench {ctx.invoked_subcommand}", ())
        return
    from costlab import bench, catalog

    row = {"model": catalog.model(model).id, "recipe": recipe} | {
        key: value for key, value in named.items() if value is not None
    }
    row["method"] = "full" if full else "composed"
    items = bench.expand([row], _recipes(), "the command")
    _measure(items, budget=None, usd_per_gpu_hour=None, as_json=as_json, again=True)


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
    items: Any,
    *,
    budget: float | None,
    usd_per_gpu_hour: float | None,
    as_json: bool,
    again: bool = False,
) -> None:
    from importlib.util import find_spec

    from costlab import bench
    from costlab.core import CannotServe

    if find_spec("torch") is None or find_spec("diffusers") is None:
        raise CannotServe(
            "costlab bench needs torch and diffusers: `make gpu` installs them "
            "(`pip install 'costlab[gpu]'` outside a clone)"
        )
    outcomes = bench.suite(
        items, _runs_dir(), budget, _show_progress, known=_known_runs(), again=again
    )
    if sys.stderr.isatty():
        click.echo(err=True)
    finished = [outcome.run for outcome in outcomes if outcome.run is not None]
    rows = bench.table(finished, usd_per_gpu_hour, _predicted)
    states = [{"configuration": o.item.title, "status": o.status, "note": o.note} for o in outcomes]
    emit(as_json, {"outcomes": states, "runs": rows}, lambda: _measured_text(states, rows))
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
    emit(as_json, found, lambda: _devices_text(found))


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
    emit(
        as_json,
        found,
        lambda: present.table(
            ["recipe", "what it is"], [[name, item.title] for name, item in found.items()]
        ),
    )


@bench_group.command("plan")
@click.argument("plan_file", type=click.Path(path_type=Path), required=False)
@click.option("--gpu", help="Order by what would narrow the predictions for this GPU most.")
@json_option
def bench_plan(plan_file: Path | None, gpu: str | None, as_json: bool) -> None:
    """Show a plan (the default one without PLAN_FILE); --json writes it for a bare machine.

    With --gpu the configurations whose predicted interval is widest, for the time that measuring
    them takes, come first.
    """
    from costlab import bench

    items = _plan(plan_file)
    if gpu is not None:
        items = _most_telling_first(items, gpu)
    emit(
        as_json,
        bench.to_json(items),
        lambda: "\n".join(f"{n}. {item.title}" for n, item in enumerate(items, 1)),
    )


def _most_telling_first(items: Any, gpu: str) -> Any:
    import math

    from costlab import bench, performance
    from costlab.performance.counted import question_for

    card = performance.gpu(gpu)

    def open_question(item: Any) -> float:
        try:
            asked = question_for(item.setting, item.recipe.switches, card.id)
            interval = performance.predict(asked).ranges["seconds"]
        except CostlabError:
            return 0.0
        return math.log(interval.high / interval.low)

    return bench.ordered(items, card.bf16_tflops, open_question)


def _plan(plan_file: Path | None) -> Any:
    from costlab import bench, store
    from costlab.core import BadData

    path = plan_file or store.data_dir() / "plans" / "default.yaml"
    if not path.is_file():
        raise BadData(str(path), ["no such plan file"])
    rows = store.read_rows(path)
    if path.suffix == ".json":
        return bench.from_json(rows, path.name)
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
    emit(as_json, rows, lambda: _measured_text([], rows).strip() or "no runs yet")


@bench_group.command("import")
@click.argument("sources", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@json_option
def bench_import(sources: tuple[Path, ...], as_json: bool) -> None:
    """Take run records (files, folders, zips) into the store; one it has is left alone."""
    from costlab import runs

    added, there = runs.merge(sources, _runs_dir())
    counts = {"added": added, "already_there": there}
    emit(as_json, counts, lambda: f"{added} added, {there} already there")


@bench_group.command("export")
@click.argument("target", type=click.Path(path_type=Path))
@json_option
def bench_export(target: Path, as_json: bool) -> None:
    """Write every real run into TARGET: a folder of files, or one bundle if it ends in .zip."""
    from costlab import runs

    real = [run for run in _known_runs() if not run.smoke]
    if target.suffix == ".zip":
        runs.export(real, target)
    else:
        for run in real:
            runs.write(run, target)
    emit(
        as_json,
        {"target": str(target), "runs": len(real)},
        lambda: f"{len(real)} real runs written to {target}",
    )


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
    emit(
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
