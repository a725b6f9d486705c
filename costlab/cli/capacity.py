"""``costlab capacity``: how long people wait, and which fleet keeps a promise about that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from costlab.cli.shared import emit, json_option

if TYPE_CHECKING:
    from costlab.fleet import FleetPlan


@click.group("capacity")
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

    def words() -> str:
        sides = {side: report[side] for side in ("formula", "simulation")}
        return "\n".join([present.wait_report(sides), *(f"! {note}" for note in report["notes"])])

    emit(as_json, report, words)


@capacity_group.command("plan")
@click.argument("scenario_name", metavar="SCENARIO")
@click.option("--policy", help="Use this policy instead of the scenario's.")
@click.option("--clips-per-month", type=float, help="Use this volume instead of the mix's.")
@click.option("--p95-wait-s", type=float, help="Promise this wait instead of the scenario's.")
@click.option(
    "--finish-s",
    type=float,
    help="Promise this start to finish; left out: what the scenario's own GPUs need.",
)
@click.option(
    "--buy",
    "purchases",
    multiple=True,
    type=click.Choice(["owned", "reserved", "on_demand", "community", "spot", "serverless"]),
    help="Ways to buy, repeatable; left out: all but community.",
)
@click.option("--gpu", "gpus", multiple=True, help="GPU types to search, repeatable.")
@click.option(
    "--interruptions-per-hour", type=float, help="Of a spot instance, where no source says."
)
@click.option(
    "--cold-start-s",
    type=float,
    default=300.0,
    show_default=True,
    help="From ordering a GPU to its first clip.",
)
@click.option("--around-the-clock", is_flag=True, help="Rent every GPU for all hours.")
@click.option("--one-kind", is_flag=True, help="Take one kind of GPU for base and hourly part.")
@click.option(
    "--hand-over",
    type=float,
    help="Largest share of an hour's clips that the cheapest able API may take where they would "
    "wait longer than promised, such as 0.2; left out: as the policy says.",
)
@click.option("--growth", type=float, help="Growth a month, such as 0.1; left out: the mix's.")
@json_option
def capacity_plan(
    scenario_name: str,
    policy: str | None,
    clips_per_month: float | None,
    p95_wait_s: float | None,
    finish_s: float | None,
    purchases: tuple[str, ...],
    gpus: tuple[str, ...],
    interruptions_per_hour: float | None,
    cold_start_s: float,
    around_the_clock: bool,
    one_kind: bool,
    hand_over: float | None,
    growth: float | None,
    as_json: bool,
) -> None:
    """The cheapest fleet that keeps the promise of SCENARIO (an id or a YAML file)."""
    from dataclasses import replace
    from typing import Any

    from costlab import fleet, scenarios

    asked = scenarios.scenario(scenario_name)
    changes: dict[str, Any] = {
        "policy": policy,
        "clips_per_month": clips_per_month,
        "p95_wait_s": p95_wait_s,
    }
    chosen = tuple(name for name in fleet.PURCHASES if name in purchases)
    answer = fleet.plan(
        replace(asked, **{key: value for key, value in changes.items() if value is not None}),
        wishes=fleet.Wishes(
            finish_s=finish_s,
            purchases=chosen or fleet.Wishes().purchases,
            gpus=gpus,
            interruptions_per_hour=interruptions_per_hour,
            cold_start_s=cold_start_s,
            by_the_hour=not around_the_clock,
            growth_per_month=growth,
            mix=not one_kind,
            hand_over=hand_over,
        ),
    )
    emit(as_json, answer.to_dict(), lambda: _words(answer))


def _words(answer: FleetPlan) -> str:
    from costlab import present
    from costlab.core import usd

    summary = answer.summary
    lines = [f"{answer.scenario.title} · {answer.scenario.date}", "", f"  {answer.words}", ""]
    lines += [
        f"  {name.replace('_', ' '):<29} {present.figure(item)} [{item.basis}]"
        for name, item in summary.items()
    ]
    if answer.exhausted_on:
        lines.append(f"  {'GPUs outgrown on':<29} {answer.exhausted_on}")
    rows = [
        [
            pool.route,
            rental.words,
            present.money(rental.price.value),
            present.money(usd(rental.line.micro_usd)),
        ]
        for pool in answer.pools
        for rental in pool.rentals
    ]
    rows += [
        [
            pool.route,
            f"{part.attempts_per_month:,.0f} clips of '{part.segment}' handed to {part.api}",
            "–",
            present.money(usd(part.line.micro_usd)),
        ]
        for pool in answer.pools
        for part in pool.handed_over
    ]
    lines += ["", present.table(["for", "what", "GPU-hour", "month"], rows)]
    for pool in answer.pools:
        if pool.runner_up:
            lines += [
                "",
                f"Next best for {pool.route}: {pool.runner_up.words}",
                f"  lost: {pool.runner_up.why}",
            ]
        for other in pool.others:
            lines += [f"Best of its kind ({other.way}): {other.words}", f"  {other.why}"]
    if answer.curve:
        points = [[f"{s:g} s", present.money(cost)] for s, cost in answer.curve]
        lines += ["", present.table(["95 % wait at most", "USD a month"], points)]
    if answer.break_even:
        volumes = [
            [
                one.api,
                "–" if one.usd_per_accepted_clip is None
                else present.money(one.usd_per_accepted_clip),
                one.words,
            ]
            for one in answer.break_even
        ]  # fmt: skip
        header = ["instead of own GPUs", "accepted clip", "own GPUs are cheaper"]
        lines += ["", present.table(header, volumes)]
    lines += ["", *(f"! {text}" for text in (*answer.warnings, *answer.left_out))]
    return "\n".join(lines).rstrip()
