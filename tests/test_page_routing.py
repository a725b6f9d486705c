"""The Traffic and Routing pages: what they say, change, keep and hand over."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from costlab import present, projection, routing, scenarios, traffic
from costlab.pages.routing import _row, _rule


def opened(page: str) -> AppTest:
    app = AppTest.from_string(
        f"from costlab.pages import {page}\n{page}.page()", default_timeout=120
    )
    app.session_state[f"{page}-edit"] = True
    app.run()
    assert not app.exception
    return app


@pytest.mark.parametrize("policy", routing.policies().values(), ids=lambda policy: policy.id)
def test_the_editor_shows_every_shipped_rule_and_reads_it_back(policy: routing.Policy) -> None:
    again = [_rule(_row(rule), number) for number, rule in enumerate(policy.rules, 1)]
    body = {"id": "p", "title": "P", "kind": policy.kind, "rules": again}
    assert routing.parse_policy(body).rules == tuple(
        routing.Rule(route=r.route, split=r.split, when=dict(r.when) if r.when else None)
        for r in policy.rules
    )


def test_the_page_says_what_the_policy_fails_and_what_mending_costs() -> None:
    answer = projection.project(scenarios.scenario("social-app"))
    found = answer.check()
    app = opened("routing")
    assert present.percent(found["violating_share"]) in app.header[0].value
    assert present.money(found["added_usd_per_month"]) in app.header[0].value


def test_a_floor_set_on_the_page_changes_the_answer_at_once() -> None:
    app = opened("routing")
    app.selectbox(key="policy-social-app").set_value("cheapest-capable").run()
    before = app.metric[0].value
    app.number_input(key="rules-cheapest-capable-quality").set_value(1300.0).run()
    assert not app.exception
    assert not app.error
    assert app.metric[0].value != before


def test_a_policy_saved_on_the_page_is_found_by_the_library(own_store: Path) -> None:
    app = opened("routing")
    app.selectbox(key="policy-social-app").set_value("cheapest-capable").run()
    app.number_input(key="rules-cheapest-capable-latency").set_value(90.0)
    app.session_state["routing-section"] = "Keep it, hand it over"
    app.run()
    next(t for t in app.text_input if t.label == "Save as").set_value("quick")
    next(b for b in app.button if b.label == "Save policy").click().run()
    assert not app.exception
    assert routing.policy("quick").max_latency_s == 90.0


def test_a_policy_that_serves_less_than_asked_is_refused_in_words_not_in_a_traceback() -> None:
    app = opened("routing")
    app.text_input(key="rules-article-over").set_value("no-such-model").run()
    assert not app.exception
    assert any("no-such-model" in box.value for box in app.error)


def test_more_clips_on_the_traffic_page_move_the_headline() -> None:
    app = opened("traffic")
    app.number_input(key="mix-social-app-clips").set_value(600_000.0).run()
    assert not app.exception
    assert app.header[0].value.startswith("600,000 clips a month")


def test_traffic_saved_on_the_page_keeps_what_the_table_shows(own_store: Path) -> None:
    app = opened("traffic")
    app.number_input(key="mix-social-app-growth").set_value(5.0).run()
    next(t for t in app.text_input if t.label == "Save as").set_value("growing")
    next(b for b in app.button if b.label == "Save traffic").click().run()
    assert not app.exception
    kept, shipped = traffic.mix("growing"), traffic.mix("social-app")
    assert kept.growth_per_month == pytest.approx(0.05)
    assert [s.request() for s in kept.segments] == [s.request() for s in shipped.segments]
    assert kept.hours_of_week == pytest.approx(shipped.hours_of_week)
