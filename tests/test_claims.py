from __future__ import annotations

from datetime import date

import pytest

from costlab import claims
from costlab.core import Basis, Figure, Range

TODAY = date(2026, 11, 22)


@pytest.mark.parametrize(
    ("value", "interval", "words"),
    [
        (100.0, None, "holds"),
        (240.0, None, "2.0 times as much"),
        (130.0, Range(low=110, high=150), "within the uncertainty"),
        (30.0, None, "50% of what is claimed"),
    ],
)
def test_a_verdict_compares_what_is_found_with_what_is_said(
    value: float, interval: Range | None, words: str
) -> None:
    found = Figure(name="x", value=value, unit="s", basis=Basis.MEASURED, range=interval)
    assert claims.verdict(Range(low=60, high=120), found) == words


def test_the_article_s_seconds_do_not_hold_for_the_default_settings() -> None:
    found = {finding.claim: finding for finding in claims.article(TODAY)}
    seconds = found["Wan 2.2 makes a 5 s clip in 60–120 s on an A100 (480p)"]
    assert seconds.found is not None
    assert seconds.found.range is not None
    # The authors' own table says 785.7 s.
    assert seconds.found.range.low < 785.7 < seconds.found.range.high
    assert "times as much" in seconds.verdict


def test_a_closed_service_has_no_figure_but_a_date() -> None:
    sora = next(finding for finding in claims.article(TODAY) if "Sora" in finding.claim)
    assert sora.found is None
    assert "2026-09-24" in sora.verdict


def test_a_claim_is_checked_on_the_day_asked_about() -> None:
    while_azure_sold_it = claims.article(date(2026, 11, 1))
    sora = next(finding for finding in while_azure_sold_it if "Sora" in finding.claim)
    assert sora.verdict == "holds"


def test_every_finding_opens_to_a_source_or_a_run() -> None:
    for finding in claims.article(TODAY):
        if finding.found:
            assert all(leaf.source or leaf.ref for leaf in finding.found.leaves()), finding.claim
