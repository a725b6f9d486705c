"""The Decision page: it says what the library says, and asks what if."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from costlab import scenarios, uncertainty
from costlab.pages import decision

FLIPS, FIND_OUT = "Where the answer flips", "What to find out first"


def opened(scenario: str = "overnight-batch", section: str = "") -> AppTest:
    app = AppTest.from_string(
        "from costlab.pages import decision\ndecision.page()", default_timeout=120
    )
    app.query_params["decision"] = scenario
    if section:
        app.session_state["decision-section"] = section
    app.run()
    assert not app.exception
    return app


def test_the_page_leads_with_the_library_s_answer() -> None:
    want = uncertainty.drawn(
        uncertainty.compile(scenarios.scenario("overnight-batch")), draws=decision.DRAWS
    )
    app = opened()
    assert not app.error
    assert app.header[0].value == want.headline
    assert len(app.metric) == 5
    for section, words in {
        FIND_OUT: "a firm quote for fal-wan2.2-a14b",
        FLIPS: "flips at",
    }.items():
        text = " ".join(one.value for one in opened(section=section).markdown)
        assert words in text


def test_without_a_gpu_the_measurement_cannot_be_started_and_says_why() -> None:
    app = opened(section=FIND_OUT)
    button = next(b for b in app.button if b.label == "Start this measurement")
    if button.disabled:
        assert any("Not now: " in one.value for one in app.caption)


def test_with_the_gpu_there_the_button_starts_that_measurement(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[list[str]] = []
    here = {"found": [{"gpu": "H100-SXM"}], "reason": ""}
    monkeypatch.setattr(decision, "_devices", lambda: here)
    monkeypatch.setattr(decision.jobs, "start", lambda what, home: started.append(what))
    app = opened(section=FIND_OUT)
    next(b for b in app.button if b.label == "Start this measurement").click().run()
    assert not app.exception
    assert started == [
        ["bench", "--model", "wan2.2-t2v-a14b", "--recipe", "default",
         "--height", "720", "--width", "1280"]
    ]  # fmt: skip


def test_what_flips_it_can_be_chosen() -> None:
    app = opened(section=FLIPS)
    before = [one.value for one in app.markdown]
    app.session_state["decision-driver"] = "api_price"
    app.run()
    assert not app.exception
    assert [one.value for one in app.markdown] != before


@pytest.mark.parametrize("policy", ["overflow-to-fal", "api-budget"])
def test_a_policy_that_is_not_drawn_is_refused_in_words(policy: str) -> None:
    app = opened("social-app")
    app.selectbox(key="decision-policy-social-app").set_value(policy).run()
    assert not app.exception
    assert any("is not drawn" in box.value for box in app.error)
