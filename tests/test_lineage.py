from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from costlab import catalog, lineage, projection, scenarios
from costlab.cli import main
from costlab.core import BadData, Figure, UnknownName

ANSWER = projection.project(scenarios.scenario("social-app-few-step"))


def report() -> dict[str, Any]:
    body: dict[str, Any] = json.loads(lineage.text(lineage.document(ANSWER)))
    return body


def test_a_report_holds_on_the_rows_it_was_made_from() -> None:
    verdict = lineage.verify(report())
    assert verdict.holds
    assert not verdict.moved


def test_every_figure_s_tree_is_in_the_report_down_to_its_rows() -> None:
    body = report()
    assert body["figures"].keys() == ANSWER.figures().keys()

    def check(figure: Figure, key: str) -> None:
        node = body["nodes"][key]
        assert node["name"] == figure.name
        inputs = node.get("inputs", [])
        assert len(inputs) == len(figure.inputs)
        for part, below in zip(figure.inputs, inputs, strict=True):
            check(part, below)

    for path, figure in ANSWER.figures().items():
        check(figure, body["figures"][path])


def test_a_new_price_is_named_as_the_leaf_that_moved(own_store: Path) -> None:
    """A contract price entered later moves the bill, and the report says by which row."""
    body = report()
    result = next(r for r in ANSWER.segments if r.unit and r.unit.kind == "api")
    assert result.unit is not None
    sku = result.unit.lines[0].price_ref.removeprefix("price:")
    catalog.add_override(
        catalog.Override(
            name="ours", sku=sku, usd=Decimal("0.011"), valid_from=date(2026, 1, 1),
            who="Ann", why="contract",
        )
    )  # fmt: skip
    verdict = lineage.verify(body)
    assert verdict.intact
    assert not verdict.holds
    assert "summary/usd_per_month" in verdict.figures
    moved = [one for one in verdict.moved if sku in one.ref]
    assert moved
    assert any("summary/usd_per_month" in one.figures for one in moved)
    assert all("0.011" in str(one.now) for one in moved if one.now)


def test_an_edited_report_is_not_intact() -> None:
    body = report()
    top = body["figures"]["summary/usd_per_month"]
    body["nodes"][top]["value"] = "1.00"
    assert not lineage.verify(body).intact


def test_a_changed_scenario_inside_is_found_with_both_values() -> None:
    body = report()
    body["scenario"]["deployments"][0]["usd_per_gpu_hour"] = "2.50"
    verdict = lineage.verify(body)
    assert not verdict.intact
    assert any(one.now == "2.50 USD/GPU-hour" and one.was is None for one in verdict.moved)
    assert any(str(one.was).startswith("3.99 USD/GPU-hour") for one in verdict.moved)


@pytest.mark.parametrize("damage", [{"format": "other"}, {"scenario": None}])
def test_what_is_no_report_is_refused(damage: dict[str, Any]) -> None:
    body = report() | damage
    if body["scenario"] is None:
        del body["scenario"]
    with pytest.raises(BadData):
        lineage.verify(body)


def test_every_priced_leaf_opens_to_its_raw_row() -> None:
    opened = 0
    for figure in ANSWER.figures().values():
        for leaf in lineage.leaves(figure):
            kind = leaf.ref.partition(":")[0]
            if kind in ("price", "offer", "gpu", "published") and ":" in leaf.ref:
                row = lineage.raw(leaf)
                assert row is not None, leaf.ref
                opened += 1
                if kind == "price":
                    assert Decimal(row["usd"]) / Decimal(row["per"]) == leaf.value
    assert opened > 20


def test_a_leaf_without_a_row_opens_to_none() -> None:
    assert lineage.raw(Figure.entered("x", 1, "")) is None


def test_an_unknown_figure_offers_the_nearest() -> None:
    with pytest.raises(UnknownName, match="summary/usd_per_month"):
        lineage.explain(ANSWER, "summary/usd_per_mont")


def test_two_processes_with_different_seeds_write_the_same_bytes(tmp_path: Path) -> None:
    code = (
        "from costlab import lineage, projection, scenarios;"
        "print(lineage.text(lineage.document("
        "projection.project(scenarios.scenario('social-app-few-step')))), end='')"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C.UTF-8"},
            capture_output=True, check=True, cwd=tmp_path,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo"))
    }  # fmt: skip
    assert texts == {lineage.text(lineage.document(ANSWER)).encode()}


def test_explain_and_verify_speak_on_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(lineage.text(lineage.document(ANSWER)))
    held = CliRunner().invoke(main, ["verify", str(path)])
    assert held.exit_code == 0
    assert "every figure comes out the same" in held.output
    body = json.loads(path.read_text())
    body["scenario"]["p95_wait_s"] = 5
    path.write_text(json.dumps(body))
    moved = CliRunner().invoke(main, ["verify", str(path)])
    assert moved.exit_code == 1
    assert "promised p95 wait" in moved.output
    opened = CliRunner().invoke(
        main, ["explain", "social-app-few-step", "summary/usd_per_month", "--rows"]
    )
    assert opened.exit_code == 0
    assert "price:" in opened.output
    assert "  usd: " in opened.output


def test_the_projection_of_another_day_is_another_report() -> None:
    later = projection.project(replace(ANSWER.scenario, date=date(2026, 12, 1)))
    assert lineage.document(later)["hash"] != lineage.document(ANSWER)["hash"]
