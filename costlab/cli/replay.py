"""``costlab replay``: what the requests of a log would have cost under a policy."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from costlab.cli.shared import Day, emit, json_option
from costlab.cli.traffic import log_options, mapped_log, unmapped_words
from costlab.core import InvalidArgument

if TYPE_CHECKING:
    from costlab.replay import Replay


@click.command("replay")
@click.argument("path", metavar="LOG")
@click.option("--policy", help="Policy by id; left out: the scenario's.")
@click.option("--as-logged", is_flag=True, help="Price the models that the log names.")
@click.option(
    "--scenario",
    "scenario_name",
    default="social-app",
    show_default=True,
    help="Scenario (id or YAML file) whose deployments and APIs serve.",
)
@log_options
@click.option("--as-of", type=Day(), help="Prices of this day; left out: each request's own day.")
@click.option(
    "--by",
    default="month,model",
    show_default=True,
    help="Group by some of month, tenant, segment, model, route, kind.",
)
@click.option(
    "--slots", multiple=True, metavar="ROUTE=N", help="Slots of an own route, for overflow."
)
@click.option(
    "--sample", type=click.IntRange(0), default=100, show_default=True,
    help="Requests that are priced again one by one.",
)  # fmt: skip
@click.option("--engine", type=click.Choice(["duckdb", "ray"]), default="duckdb")
@click.option("--address", help="Ray's head, such as 10.0.0.1:6379; left out: this machine.")
@click.option("--memory-gib", type=click.FloatRange(0.1), default=1.0, show_default=True)
@click.option("--threads", type=click.IntRange(1), help="Left out: all cores.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path),
    help="Write every group to this CSV or Parquet file.",
)  # fmt: skip
@json_option
def replay_command(
    path: str,
    policy: str | None,
    as_logged: bool,
    scenario_name: str,
    mapping: Path | None,
    columns: tuple[str, ...],
    as_of: date | None,
    by: str,
    slots: tuple[str, ...],
    sample: int,
    engine: str,
    address: str | None,
    memory_gib: float,
    threads: int | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Price every request of LOG: a CSV or Parquet file, a folder, or a pattern."""
    from costlab import replay, routing, scenarios

    if as_logged and policy:
        raise InvalidArgument("--as-logged takes no --policy")
    if address and engine != "ray":
        raise InvalidArgument("--address is for --engine ray")
    names = tuple(name for name in by.split(",") if name)
    scenario = scenarios.scenario(scenario_name)
    answer = replay.replay(
        mapped_log(path, mapping, columns),
        scenario,
        None if as_logged else routing.policy(policy or scenario.policy),
        as_of=as_of,
        engine="ray" if engine == "ray" else "duckdb",
        address=address,
        slots=_slots(slots),
        sample=sample,
        memory_gib=memory_gib,
        threads=threads,
    )
    answer.by(*names)
    if out:
        answer.write(out)
    emit(as_json, answer.to_dict(names), lambda: _words(answer, names))


def _slots(given: tuple[str, ...]) -> dict[str, int] | None:
    found = {}
    for text in given:
        route, _, count = text.rpartition("=")
        if not route or not count.isdigit():
            raise InvalidArgument(f"--slots {text}: write ROUTE=N")
        found[route] = int(count)
    return found or None


def _words(answer: Replay, by: tuple[str, ...]) -> str:
    from costlab import present
    from costlab.core import usd

    under = f"policy {answer.policy.id}" if answer.policy else "the models that the log names"
    of = f"prices of {answer.as_of}" if answer.as_of else "prices of each request's day"
    lines = [
        f"{answer.rows:,} requests, {answer.first:%Y-%m-%d} to {answer.last:%Y-%m-%d}"
        if answer.first and answer.last
        else f"{answer.rows:,} requests",
        f"  under {under}, {of}: {present.money(answer.usd)} for {answer.priced:,} priced requests",
        "",
    ]
    rows = [
        [
            *(_cell(name, row[name]) for name in by),
            f"{row['requests']:,}",
            present.money(usd(row["micro_usd"])),
            present.money(usd(row["paid_micro_usd"])) if row["paid"] else "–",
        ]
        for row in answer.by(*by)
    ]
    lines.append(present.table([*by, "requests", "cost", "paid by the log"], rows[:40]))
    if len(rows) > 40:
        lines.append(f"… and {len(rows) - 40:,} more groups: --out FILE or --json has them all")
    if answer.refused:
        told = [
            [f"{item.requests:,}", present.percent(item.share), item.reason]
            for item in answer.refused[:15]
        ]
        lines += ["", present.table(["not priced", "share", "because"], told)]
        if len(answer.refused) > 15:
            lines.append(f"… and {len(answer.refused) - 15} more reasons: --json has them all")
    if answer.fleet:
        told = [
            [
                pool.route,
                str(pool.gpus),
                present.money(pool.usage_usd_per_month),
                present.money(pool.usd_per_month),
            ]
            for pool in answer.fleet
        ]
        header = ["own GPUs", "GPUs", "month by use", "month kept for the promise"]
        lines += ["", present.table(header, told)]
    lines += unmapped_words(answer.unmapped)
    checked = answer.checked
    lines += [
        "",
        f"  {checked.requests} requests priced again one by one: {len(checked.mismatches)} differ",
        f"  {answer.combinations:,} kinds of request, {answer.epochs} price epochs, "
        f"{answer.elapsed_s:.1f} s on {answer.engine}"
        + (f", {answer.shards} shards" if answer.shards > 1 else ""),
        *(f"! {text}" for text in (*checked.mismatches[:5], *answer.notes)),
    ]
    return "\n".join(lines)


def _cell(name: str, value: object) -> str:
    return f"{value:%Y-%m}" if name == "month" and isinstance(value, date) else str(value or "–")
