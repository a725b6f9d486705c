"""Open a figure down to its rows; recompute a report and name what moved."""

from __future__ import annotations

from pathlib import Path

import click

from costlab.cli.shared import emit, json_option


@click.command()
@click.argument("scenario_name", metavar="SCENARIO")
@click.argument("figure", required=False)
@click.option("--policy", help="Use this policy (id or file) instead of the scenario's.")
@click.option("--rows", is_flag=True, help="Print the raw rows under the figure as well.")
@json_option
def explain(
    scenario_name: str, figure: str | None, policy: str | None, rows: bool, as_json: bool
) -> None:
    """Open FIGURE of SCENARIO: formula, inputs, price rows and runs. Without FIGURE, list them."""
    from costlab import lineage, present, projection, routing, scenarios

    answer = projection.project(
        scenarios.scenario(scenario_name), policy=routing.policy(policy) if policy else None
    )
    if figure is None:
        figures = answer.figures()
        emit(
            as_json,
            {path: {"value": one.value, "unit": one.unit} for path, one in figures.items()},
            lambda: present.table(
                ["figure", "value"], [[path, present.figure(one)] for path, one in figures.items()]
            ),
        )
        return
    found = lineage.explain(answer, figure)
    raw = [
        {"ref": leaf.ref, "name": leaf.name, "row": row}
        for leaf in lineage.leaves(found)
        if (row := lineage.raw(leaf)) is not None
    ]
    if as_json:
        emit(True, {"figure": found, "rows": raw} if rows else found, str)
        return
    click.echo(present.tree(found))
    if rows:
        click.echo("\n" + present.raw_rows(raw))


@click.command()
@click.argument("report", type=click.Path(path_type=Path))
@json_option
def verify(report: Path, as_json: bool) -> None:
    """Recompute REPORT (a JSON report) offline; exits with 1 and names the leaf where one moved."""
    from costlab import lineage, present

    verdict = lineage.verify(lineage.load(report), report.name)
    emit(as_json, verdict, lambda: present.verdict(verdict))
    click.get_current_context().exit(0 if verdict.holds else 1)
