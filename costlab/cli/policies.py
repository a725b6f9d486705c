"""Routing policies: list them, check one against a scenario, hand one over to engineering."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from costlab.cli.shared import emit, json_option
from costlab.core import BadData, InvalidArgument


@click.group("policy")
def policy_group() -> None:
    """Routing policies: which route takes which request."""


@policy_group.command("list")
@json_option
def list_policies(as_json: bool) -> None:
    """List the policies there are, the shipped ones and your own."""
    from costlab import present, routing

    known = routing.policies()
    emit(
        as_json,
        {name: {"title": one.title, "kind": one.kind} for name, one in known.items()},
        lambda: present.table(
            ["policy", "kind", "title"],
            [[name, one.kind, one.title] for name, one in known.items()],
        ),
    )


@policy_group.command("show")
@click.argument("policy_name", metavar="POLICY")
@json_option
def show(policy_name: str, as_json: bool) -> None:
    """Show POLICY (an id or a file) in words."""
    from costlab import present, routing

    policy = routing.policy(policy_name)
    emit(as_json, policy, lambda: present.policy(policy))


@policy_group.command("check")
@click.argument("policy_name", metavar="POLICY")
@click.argument("scenario_name", metavar="SCENARIO")
@json_option
def check(policy_name: str, scenario_name: str, as_json: bool) -> None:
    """Check POLICY against the requests of SCENARIO: who is not served, or not as asked.

    Exits with 1 where some requests are not.
    """
    from costlab import present, projection, routing, scenarios

    policy = routing.policy(policy_name)
    answer = projection.project(scenarios.scenario(scenario_name), policy=policy)
    found = answer.check()
    emit(as_json, found, lambda: present.policy_check(answer))
    click.get_current_context().exit(1 if found["violating_share"] else 0)


@policy_group.command("export")
@click.argument("policy_name", metavar="POLICY")
@click.option("--scenario", help="Decide for this scenario first; needed by a cheapest policy.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A folder, made new.")
@json_option
def export(policy_name: str, scenario: str | None, out: Path, as_json: bool) -> None:
    """Write POLICY as JSON with its schema, TypeScript, Python and test vectors.

    With --scenario, what the policy decided for each kind of request there is written as rules.
    """
    from costlab import handover, projection, routing, scenarios

    policy = routing.policy(policy_name)
    if scenario is not None:
        asked = scenarios.scenario(scenario)
        policy = handover.as_rules(projection.project(asked, policy=policy))
    texts = handover.files(policy)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InvalidArgument(f"{out} is there already: name a new or an empty folder")
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8")
    found: dict[str, Any] = {"policy": policy.id, "files": [str(out / name) for name in texts]}
    emit(as_json, found, lambda: "\n".join(found["files"]))


@policy_group.command("save")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--who", default="", help="Your name, for the record.")
@click.option("--why", default="", help="The reason, for the record.")
@json_option
def save(file: Path, who: str, why: str, as_json: bool) -> None:
    """Keep the policy of a YAML or JSON FILE, to be used by its id."""
    from costlab import routing, store
    from costlab.core import plain

    if not file.is_file():
        raise BadData(str(file), ["no such file"])
    (policy,) = store.parse(store.read_mapping(file), routing.Policy, file.name)
    saved = routing.save_policy(plain(policy), who=who, why=why)
    emit(as_json, {"id": saved.id}, lambda: f"saved {saved.id}")
