"""The Replay page, and the search for the cheapest split on the Routing page."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from costlab import logs, optimise, present, replay, routing, scenarios, traffic
from costlab.core import InvalidArgument
from costlab.logs.example import draw

MIX = traffic.mix("social-app")


def opened(page: str) -> AppTest:
    app = AppTest.from_string(
        f"from costlab.pages import {page}\n{page}.page()", default_timeout=120
    )
    app.run()
    assert not app.exception
    return app


def until(app: AppTest, words: str) -> None:
    for _ in range(120):
        if any(words in block.value for block in (*app.header, *app.caption)):
            return
        time.sleep(0.5)
        app.run()
        assert not app.exception
    raise AssertionError(f"{words!r} never came: {[e.value for e in app.error]}")


def test_an_example_log_is_drawn_from_the_mix_and_always_the_same(tmp_path: Path) -> None:
    first, second = (
        draw(MIX, tmp_path / name, requests=5000, start=date(2026, 9, 1), days=28, seed=3)
        for name in ("a.csv", "b.csv")
    )
    assert first.read_bytes() == second.read_bytes()
    fitted = logs.fit(logs.open_log(first))
    shares = {segment.name: segment.share for segment in MIX.segments}
    found = {(s.stage, s.mode, s.audio): s.share for s in fitted.mix.segments}
    for segment in MIX.segments:
        key = (segment.stage, segment.mode, segment.audio)
        assert found[key] == pytest.approx(shares[segment.name], abs=0.02)
    assert fitted.mix.peak_factor == pytest.approx(MIX.peak_factor, rel=0.2)
    with pytest.raises(InvalidArgument, match="at least 1"):
        draw(MIX, tmp_path / "c.csv", requests=0, start=date(2026, 9, 1), days=1, seed=1)


def test_without_a_log_the_page_says_what_a_log_is() -> None:
    app = opened("replay")
    assert app.header[0].value == "Bring a log and see what it would have cost"


def test_the_page_states_the_replay_s_own_total(own_store: Path, tmp_path: Path) -> None:
    path = draw(
        MIX, tmp_path / "log.csv", requests=2000, start=date(2026, 11, 1), days=20, seed=5
    )  # fmt: skip
    asked = scenarios.scenario("social-app")
    answer = replay.replay(logs.open_log(path), asked, routing.policy("cheapest-capable"))
    app = opened("replay")
    app.text_input(key="replay-path").set_value(str(path)).run()
    until(app, f"{answer.rows:,} requests would have cost {present.money(answer.usd)}")
    assert answer.checked.mismatches == ()


def test_a_path_that_is_no_log_is_refused_in_words(own_store: Path) -> None:
    app = opened("replay")
    app.text_input(key="replay-path").set_value("/nowhere/log.csv").run()
    assert not app.exception
    assert "/nowhere/log.csv" in app.error[0].value


def test_the_routing_page_says_what_the_optimum_is_and_draws_cost_by_quality() -> None:
    found = optimise.optimise(scenarios.scenario("social-app"))
    app = opened("routing")
    app.session_state["routing-section"] = "The cheapest split there is"
    app.run()
    said = " ".join(block.value for block in app.markdown).replace(r"\$", "$")
    assert found.words in said
    next(one for one in app.button if "Draw cost" in one.label).click().run()
    until(app, "Only routes with a public rating")
