"""The Patterns page: what it says, and what an input changes."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from costlab import patterns, scenarios
from costlab.pages.patterns import TITLES


def opened(name: str, scenario: str = "") -> AppTest:
    app = AppTest.from_string(
        "from costlab.pages import patterns\npatterns.page()", default_timeout=120
    )
    app.query_params["pattern"] = name
    app.query_params[f"{name}-on"] = scenario or patterns.EXAMPLES[name]
    app.run()
    assert not app.exception
    assert not app.error
    return app


@pytest.mark.parametrize("name", patterns.PATTERNS)
def test_each_pattern_leads_with_the_library_s_own_sentence(name: str) -> None:
    take, answer_of = patterns.PATTERNS[name]
    words = answer_of(take(scenarios.scenario(patterns.EXAMPLES[name]))).words
    app = opened(name)
    assert words.startswith(app.header[0].value)
    assert len(app.metric) == 4


def test_every_pattern_has_its_title() -> None:
    assert set(TITLES) == set(patterns.PATTERNS)


@pytest.mark.parametrize(
    ("name", "widget", "value"),
    [
        ("preview", "preview-social-app-approval_rate", 30.0),
        ("spot", "spot-overnight-batch-interruptions_per_hour", 2.0),
        ("lora", "lora-brand-studio-price_usd", 1.0),
        ("develop", "develop-dev-and-test-developers", 80.0),
        ("next", "next-social-app-cut", 60.0),
    ],
)
def test_an_input_moves_its_figures(name: str, widget: str, value: float) -> None:
    app = opened(name)
    before = [metric.value for metric in app.metric]
    app.number_input(key=widget).set_value(value).run()
    assert not app.exception
    assert not app.error
    assert [metric.value for metric in app.metric] != before


@pytest.mark.parametrize("kind", ["api", "self_hosted"])
def test_what_arrives_can_be_another_thing(kind: str) -> None:
    app = opened("next")
    app.radio(key="next-social-app-kind").set_value(kind).run()
    assert not app.exception
    assert not app.error


def test_what_cannot_be_is_said_and_not_raised() -> None:
    app = opened("next", "overnight-batch")
    app.number_input(key="next-overnight-batch-min_quality").set_value(1999.0).run()
    assert not app.exception
    assert len(app.error) == 1
