"""Editing a scenario: undo, redo, the address, the file; scenarios side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from costlab import comparison, present, scenarios, traffic
from costlab.core import BadData, plain
from costlab.pages import drafts

SOCIAL = scenarios.scenario("social-app")
MIX = traffic.mix("social-app")


def opened(page: str, **query: str) -> AppTest:
    app = AppTest.from_string(
        f"from costlab.pages import {page}\n{page}.page()", default_timeout=120
    )
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def button(app: AppTest, label: str) -> Any:
    return next(one for one in app.button if one.label == label)


def month(app: AppTest) -> str:
    return str(next(one.value for one in app.metric if one.label == "USD a month"))


def test_nothing_can_be_undone_before_anything_is_done() -> None:
    app = opened("scenario", edited="social-app")
    assert all(button(app, label).disabled for label in ("Undo", "Redo", "Start over"))
    assert drafts.PARAMETER not in app.query_params


def test_undo_and_redo_walk_through_the_edits() -> None:
    app = opened("scenario", edited="social-app")
    first = month(app)
    app.selectbox(key="social-app-policy").set_value("all-api").run()
    second = month(app)
    app.number_input(key="social-app-volume").set_value(30_000.0).run()
    third = month(app)
    assert len({first, second, third}) == 3
    seen = []
    for label in ("Undo", "Undo", "Redo", "Redo"):
        button(app, label).click().run()
        assert not app.exception
        seen.append(month(app))
    assert seen == [second, first, second, third]
    button(app, "Start over").click().run()
    assert month(app) == first
    button(app, "Undo").click().run()
    assert month(app) == third


def test_an_edit_after_undo_forgets_what_was_undone() -> None:
    app = opened("scenario", edited="social-app")
    app.selectbox(key="social-app-policy").set_value("all-api").run()
    button(app, "Undo").click().run()
    app.number_input(key="social-app-1-volume").set_value(60_000.0).run()
    assert button(app, "Redo").disabled


def test_the_address_of_an_edited_scenario_opens_the_same_view_elsewhere() -> None:
    app = opened("scenario", edited="social-app")
    app.selectbox(key="social-app-policy").set_value("all-api").run()
    app.number_input(key="social-app-volume").set_value(30_000.0).run()
    packed = str(app.query_params[drafts.PARAMETER])
    elsewhere = opened("scenario", edited="social-app", draft=packed)
    assert month(elsewhere) == month(app)
    assert not button(elsewhere, "Undo").disabled


@pytest.mark.parametrize("draft", ["nonsense", "eJwrSi0GAAJ+ASM=", "e30="])
def test_a_damaged_address_is_refused_in_words(draft: str) -> None:
    app = opened("scenario", edited="social-app", draft=draft)
    assert "draft" in app.error[0].value


def test_a_draft_packs_and_unpacks_to_itself() -> None:
    body = {"scenario": plain(SOCIAL), "mix": plain(MIX)}
    assert drafts.unpack(drafts.pack(body)) == body
    assert len(drafts.pack(body)) < drafts.LONGEST


def test_a_downloaded_file_is_the_scenario_with_its_traffic() -> None:
    scenario, mix = drafts.from_file(drafts.as_file(SOCIAL, MIX).encode(), "mine.yaml")
    assert plain(scenario) == plain(SOCIAL)
    assert plain(mix) == plain(MIX)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe", "UTF-8"),
        (b"[1, 2]", "scenario and mix"),
        (b"scenario: {id: x}\nmix: {}", "Field required|title"),
        (b"scenario: {", "cannot be read"),
    ],
)
def test_a_file_that_is_no_scenario_names_what_is_wrong(content: bytes, words: str) -> None:
    with pytest.raises(BadData, match=words):
        drafts.from_file(content, "theirs.yaml")


def test_columns_that_the_table_does_not_show_survive_an_edit(own_store: Path) -> None:
    body = plain(MIX) | {"id": "wide"}
    body["segments"][0] |= {"tenant": "acme", "faces": True, "aspect": "9:16"}
    traffic.save_mix(body)
    scenarios.save(scenarios.parse_scenario(plain(SOCIAL) | {"id": "wide", "mix": "wide"}))
    app = opened("scenario", edited="wide")
    app.selectbox(key="wide-policy").set_value("all-api").run()
    next(t for t in app.text_input if t.label == "Save as").set_value("wider")
    button(app, "Save scenario").click().run()
    assert not app.exception
    kept = traffic.mix(scenarios.scenario("wider").mix).segments[0]
    assert (kept.tenant, kept.faces, kept.aspect) == ("acme", True, "9:16")


def test_the_compare_page_says_what_each_change_is_worth() -> None:
    app = opened("compare", compare="social-app,social-app-few-step")
    found = comparison.compare(SOCIAL, scenarios.scenario("social-app-few-step"))
    said = " ".join(block.value for block in app.markdown)
    for change in found.changes:
        assert present.money(abs(change.usd)).replace("$", r"\$") in said
    assert app.multiselect[0].value == ["social-app", "social-app-few-step"]


def test_four_scenarios_at_most_and_two_at_least() -> None:
    app = opened("compare", compare="social-app")
    assert app.info
    app = opened("compare", compare="social-app,dev-and-test,brand-studio,overnight-batch")
    assert not app.error
    assert len(app.dataframe[0].value.columns) == 5
