from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from costlab import present, projection, runs, scenarios
from tests.browser import PAGES
from tests.made_runs import made_run


@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_without_a_complaint(page: str) -> None:
    app = AppTest.from_string(
        f"from costlab.pages import {page}\n{page}.page()", default_timeout=120
    )
    app.run()
    assert not app.exception
    assert not app.error


def button(app: AppTest, label: str) -> Any:
    return next(one for one in app.button if one.label == label)


def field(app: AppTest, label: str) -> Any:
    return next(one for one in app.text_input if one.label == label)


def overview(name: str) -> AppTest:
    app = AppTest.from_string(
        "from costlab.pages import overview\noverview.page()", default_timeout=120
    )
    app.run()
    app.selectbox(key="scenario").set_value(name).run()
    assert not app.exception
    return app


@pytest.mark.parametrize("name", scenarios.known())
def test_the_overview_states_the_projection_s_own_figures(name: str) -> None:
    answer = projection.project(scenarios.scenario(name))
    app = overview(name)
    blended = answer.summary["usd_per_accepted_clip"]
    assert present.money(blended.value) in app.header[0].value
    shown = {metric.label: metric.value for metric in app.metric}
    month = answer.summary["usd_per_month"]
    assert shown["USD a month"] == present.money(month.value)


def test_a_figure_opens_to_its_price_row() -> None:
    app = overview("social-app")
    app.session_state["overview-proof-open"] = True
    app.run()
    app.selectbox(key="overview-proof").set_value("summary/usd_per_month").run()
    assert any("price:" in block.value or "[offer:" in block.value for block in app.code)


def test_changing_the_policy_changes_the_answer_and_says_what_it_was() -> None:
    app = AppTest.from_string(
        "from costlab.pages import scenario\nscenario.page()", default_timeout=120
    )
    app.run()
    app.selectbox(key="edited").set_value("social-app").run()
    before = app.metric[0].value
    app.selectbox(key="social-app-policy").set_value("all-api").run()
    assert not app.exception
    assert app.metric[0].value != before
    assert any(caption.value.startswith("was ") for caption in app.caption)


def test_a_scenario_saved_on_the_page_is_found_by_the_library(own_store: Path) -> None:
    app = AppTest.from_string(
        "from costlab.pages import scenario\nscenario.page()", default_timeout=120
    )
    app.run()
    app.selectbox(key="edited").set_value("dev-and-test").run()
    app.selectbox(key="dev-and-test-policy").set_value("all-api").run()
    field(app, "Save as").set_value("from-the-page")
    button(app, "Save scenario").click().run()
    assert not app.exception
    saved = scenarios.scenario("from-the-page")
    assert saved.policy == "all-api"
    assert projection.project(saved).scenario.mix == "from-the-page-mix"


def test_nobody_saves_over_a_shipped_scenario_or_over_their_own_unasked(own_store: Path) -> None:
    mine = replace(scenarios.scenario("dev-and-test"), id="mine")
    scenarios.save(mine)
    for name in ("social-app", "mine", "a/b"):
        app = AppTest.from_string(
            "from costlab.pages import scenario\nscenario.page()", default_timeout=120
        )
        app.run()
        field(app, "Save as").set_value(name)
        button(app, "Save scenario").click().run()
        assert not app.exception
        assert app.error, name
    assert scenarios.scenario("mine") == mine


def test_copies_with_one_title_stay_apart(own_store: Path) -> None:
    original = scenarios.scenario("social-app")
    scenarios.save(replace(original, id="copy-1", policy="all-api"))
    scenarios.save(replace(original, id="copy-2", policy="all-self-hosted"))
    app = overview("copy-2")
    assert any("Everything self-hosted" in block.value for block in app.markdown)
    app.selectbox(key="scenario").set_value("copy-1").run()
    assert any("Everything on APIs" in block.value for block in app.markdown)


def test_a_contract_entered_on_the_page_changes_the_quote_and_is_audited(own_store: Path) -> None:
    from datetime import date
    from decimal import Decimal

    from costlab import catalog
    from costlab.core import ClipRequest

    app = AppTest.from_string(
        "from costlab.pages import prices\nprices.page()", default_timeout=120
    )
    app.session_state["prices-section"] = "Your contracts and discounts"
    app.run()
    fields = {field.label: field for field in app.text_input}
    fields["Name"].set_value("ten-off")
    fields["Who enters it"].set_value("Ann")
    fields["Why"].set_value("agreement")
    next(box for box in app.selectbox if box.label == "Model" and not box.key).set_value("veo-3.1")
    next(n for n in app.number_input if n.label == "Discount (%)").set_value(10.0)
    next(button for button in app.button if button.label == "Enter").click().run()
    assert not app.exception
    assert not app.error
    clip = ClipRequest(seconds=Decimal(8), audio=True)
    today = date.today()  # noqa: DTZ011  the page's day
    assert catalog.quote("veo-3.1", clip, as_of=today).usd == Decimal("2.88")
    assert [row.who for row in catalog.audit()] == ["Ann"]


def test_a_finished_run_changes_the_overview_and_says_what_it_replaced(own_store: Path) -> None:
    before = overview("social-app").metric[0].value
    runs.write(made_run(200.0), own_store / "runs")
    app = overview("social-app")
    assert app.metric[0].value != before
    told = [text.value for text in app.markdown if "before the run" in text.value]
    assert any("200 s" in text and "draft previews" in text for text in told)


def test_the_benchmark_page_shows_a_run_and_the_prediction_it_replaced(own_store: Path) -> None:
    runs.write(made_run(200.0), own_store / "runs")
    runs.write(made_run(210.0, started_at="2026-11-21T10:00:00Z"), own_store / "runs")
    app = AppTest.from_string(
        "from costlab.pages import benchmark\nbenchmark.page()", default_timeout=120
    )
    app.run()
    assert not app.exception
    assert not app.error
    table = app.dataframe[0].value
    assert list(table["Counts"]) == ["yes", "yes"]
    assert (table["Replaces a prediction of"] > 210).all()


def test_own_hardware_is_priced_as_its_inputs_move() -> None:
    app = AppTest.from_string(
        "from costlab.pages import prices\nprices.page()", default_timeout=120
    )
    app.session_state["prices-section"] = "Your own hardware"
    app.run()
    said = next(text.value for text in app.markdown if "An hour of an owned" in text.value)
    power = next(n for n in app.number_input if n.key == "owned-usd_per_kwh")
    power.set_value(float(power.value) * 10).run()
    assert not app.exception
    dearer = next(text.value for text in app.markdown if "An hour of an owned" in text.value)
    assert dearer != said


def test_the_welcome_stays_until_it_is_put_away(own_store: Path) -> None:
    app = overview("social-app")
    assert any("New here?" in block.value for block in app.markdown)
    app.button(key="welcome-away").click().run()
    assert not any("New here?" in block.value for block in app.markdown)
    again = overview("social-app")
    assert not any("New here?" in block.value for block in again.markdown)
