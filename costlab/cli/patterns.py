"""``costlab pattern``: what the article's product patterns cost per accepted clip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from costlab.cli.shared import emit, json_option

if TYPE_CHECKING:
    from costlab.patterns import Answer


@click.command("pattern")
@click.argument("name", type=click.Choice(["preview", "spot", "lora", "develop", "next"]))
@click.argument("scenario_name", metavar="[SCENARIO]", required=False)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="INPUT=VALUE",
    help="Replace an input, repeatable, such as approval_rate=0.4 or losses.utilisation=0.7.",
)
@click.option("--inputs", "list_inputs", is_flag=True, help="List the inputs and their values.")
@click.option("--proof", metavar="FIGURE", help="Open one figure, such as summary/saved_share.")
@json_option
def pattern(
    name: str,
    scenario_name: str | None,
    changes: tuple[str, ...],
    list_inputs: bool,
    proof: str | None,
    as_json: bool,
) -> None:
    """A product pattern on SCENARIO (an id or a YAML file; left out: the shipped example).

    preview: a cheap preview before an expensive final. spot: batch work on spot GPUs.
    lora: a fine-tuned tier. develop: development and test traffic. next: a model or a price cut
    that arrives on a day.
    """
    from costlab import patterns, present, scenarios
    from costlab.core import UnknownName, plain

    take, answer_of = patterns.PATTERNS[name]
    inputs = take(scenarios.scenario(scenario_name or patterns.EXAMPLES[name]))
    inputs = patterns.change(inputs, dict(map(_read, changes)), f"inputs of {name}")
    if list_inputs:
        emit(as_json, plain(inputs), lambda: _listed(name, inputs))
        return
    answer = answer_of(inputs)
    if proof:
        figures = answer.figures()
        if proof not in figures:
            raise UnknownName.among("figure", proof, figures)
        emit(as_json, figures[proof].to_dict(), lambda: present.tree(figures[proof]))
        return
    emit(as_json, answer.to_dict(), lambda: _words(answer))


def _read(change: str) -> tuple[str, Any]:
    from costlab import store
    from costlab.core import InvalidArgument

    name, equals, value = change.partition("=")
    if not equals or not name.strip():
        raise InvalidArgument(f"--set takes INPUT=VALUE, such as approval_rate=0.4; got {change!r}")
    return name.strip(), store.load_yaml(value, f"--set {name}")


def _listed(name: str, inputs: Any) -> str:
    from costlab import patterns, present
    from costlab.core import canonical_json, plain

    sources = {row.input: row for row in patterns.readings(name) if row.default}
    sources |= {row.input: row for row in patterns.readings("shared") if row.default}
    rows = []
    for path in patterns.input_names(inputs):
        value = plain(inputs)
        for part in path.split("."):
            value = value[part]
        known = sources.get(path.split(".")[-1])
        how = known.source.basis.value if known and known.value == value else "entered"
        said = known.what if known and known.value == value else ""
        text = canonical_json(value)
        rows.append([path, text if len(text) <= 60 else f"{text[:57]}…", how, said])
    return present.table(["input", "value", "known as", ""], rows)


def _words(answer: Answer) -> str:
    from costlab import present

    lines = [answer.words, ""]
    lines += [
        f"  {name.replace('_', ' '):<34} {present.figure(figure)} [{figure.basis}]"
        for name, figure in answer.summary.items()
    ]
    for rows in answer.tables.values():
        if rows:
            header = [name.replace("_", " ").replace("usd", "USD") for name in rows[0]]
            cells = [[_cell(cell) for cell in row.values()] for row in rows]
            lines += ["", present.table(header, cells)]
    lines += ["", *(f"! {warning}" for warning in answer.warnings)]
    return "\n".join(lines).rstrip()


def _cell(cell: Any) -> str:
    from costlab import present
    from costlab.core import Figure

    if cell is None:
        return "–"
    if isinstance(cell, Figure):
        return present.number(cell.value, cell.unit)
    return present.significant(cell) if isinstance(cell, float) else str(cell)
