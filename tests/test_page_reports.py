"""The Reports page: the answer, the file on demand, a month closed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from costlab import present, report, scenarios
from costlab.pages import background, reports
from costlab.report import close


def opened(**query: str) -> AppTest:
    app = AppTest.from_string(
        "from costlab.pages import reports\nreports.page()", default_timeout=120
    )
    for name, value in ({"report": "overnight-batch"} | query).items():
        app.query_params[name] = value
    app.run()
    return settled(app)


def settled(app: AppTest) -> AppTest:
    """Run the page again once what it started behind it is done."""
    deadline = time.monotonic() + 90
    for name, task in list(background._TASKS.items()):
        if name.startswith("report-"):
            assert task.finished.wait(deadline - time.monotonic())
    app.run()
    assert not app.exception
    return app


def button(app: AppTest, label: str) -> Any:
    return next(one for one in app.button if one.label == label)


def test_the_answer_comes_first_and_is_the_report_s_own() -> None:
    app = opened()
    made = report.gather([scenarios.scenario("overnight-batch")])
    cost = made.parts[0].summary["usd_per_accepted_clip"]
    assert present.money(cost.value) in app.header[0].value.replace("\\", "")
    assert len(app.metric) <= 5
    assert any("Month by month" in block.value for block in app.markdown)


def test_two_scenarios_are_compared() -> None:
    app = opened(report="overnight-batch,dev-and-test")
    assert "cheapest" in app.header[0].value
    assert any("Why they differ" in block.value for block in app.markdown)


def test_a_tax_moves_the_answer() -> None:
    app = opened()
    before = app.header[0].value
    app.number_input(key="report-tax").set_value(19.0).run()
    assert settled(app).header[0].value != before


def test_a_currency_needs_a_rate_and_a_name() -> None:
    app = opened()
    app.text_input(key="report-currency").set_value("EUR").run()
    assert "0.86" in app.error[0].value
    app.text_input(key="report-rate").set_value("0.86").run()
    assert "who" in app.error[0].value
    app.text_input(key="report-by").set_value("Ann").run()
    assert "EUR" in settled(app).header[0].value


def test_a_file_is_made_when_asked_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    made = report.gather([scenarios.scenario("overnight-batch")], months=1)
    first = reports.made("a key of its own", "csv", made)
    monkeypatch.setattr(report, "contents", lambda *_: pytest.fail("made twice"))
    assert reports.made("a key of its own", "csv", made) == first


def test_a_month_is_closed_on_the_page(own_store: Path) -> None:
    app = opened()
    assert any("No month is closed" in one.value for one in app.info)
    app.selectbox(key="report-close-scenario").set_value("overnight-batch")
    app.text_input(key="report-close-month").set_value("2026-11")
    app.text_input(key="report-close-who").set_value("Ann")
    app.text_input(key="report-close-why").set_value("month end")
    button(app, "Close the month").click().run()
    assert not app.exception
    assert any("closed as version 1" in one.value for one in app.success)
    assert close.versions()[0].who == "Ann"
    button(app, "What would come out differently today?").click().run()
    assert any("comes out the same" in one.value for one in app.success)
    button(app, "Close the month").click().run()
    assert any("nothing has moved" in one.value for one in app.error)


def test_nothing_chosen_says_what_to_do() -> None:
    app = opened()
    app.multiselect(key="reported").set_value([]).run()
    assert not app.exception
    assert any("Choose one to four" in one.value for one in app.info)
