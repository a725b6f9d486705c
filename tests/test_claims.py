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


def test_every_claim_of_the_article_is_in_the_ledger() -> None:
    said = " ".join(finding.claim for finding in claims.article(TODAY))
    for word in (
        "60–120 s", "$0.03–0.06", "$1.64", "$0.40", "$0.08–0.15", "$0.10", "8.19 GB", "16 GB",
        "Spot", "27B", "30 %", "1080p", "80 GB card", "sound", "cheapest", "4K", "65.6 %",
        "12 months",
    ):  # fmt: skip
        assert word in said, word


def test_spot_savings_are_the_middle_of_the_rows_that_were_read() -> None:
    from statistics import median

    from costlab import catalog

    spot = next(f for f in claims.article(TODAY) if "Spot" in f.claim)
    shares = [row.savings_pct_vs_on_demand / 100 for row in catalog.spot_advice()]
    assert spot.found is not None
    assert float(spot.found.value) == pytest.approx(median(shares))


def test_wan_is_compared_with_the_cheapest_api_that_people_rate_no_lower() -> None:
    from costlab import quality

    finding = next(f for f in claims.article(TODAY) if "cheapest option (5 s, 720p" in f.claim)
    assert finding.found is not None
    model = finding.found.name.removeprefix("Wan 2.2 over ")
    api = quality.rating(model, as_of=TODAY)
    own = quality.rating("wan2.2-t2v-a14b", as_of=TODAY)
    assert api is not None
    assert own is not None
    assert float(api.value) >= float(own.value)
    assert float(finding.found.value) > 1


def test_a_claim_that_a_person_adds_is_checked_and_kept(own_store: object) -> None:
    claim = claims.Claim(
        id="deck", text="At most 50 cents a clip", low=0, high=0.5, scenario="social-app",
        figure="summary/usd_per_accepted_clip", source="Vendor deck",
    )  # fmt: skip
    found = claims.add(claim, who="Ann")
    assert "times as much" in found.verdict
    assert claims.added() == {"deck": claim}


def test_a_claim_about_nothing_is_refused_and_not_kept(own_store: object) -> None:
    from costlab.core import BadData, UnknownName

    body = {
        "id": "x", "text": "t", "low": 1.0, "high": 2.0, "scenario": "social-app",
        "figure": "summary/usd_per_mont", "source": "s",
    }  # fmt: skip
    with pytest.raises(UnknownName, match="usd_per_month"):
        claims.add(claims.Claim(**body))  # type: ignore[arg-type]
    with pytest.raises(BadData, match="low must not be above high"):
        claims.Claim(**(body | {"low": 3.0}))  # type: ignore[arg-type]
    assert claims.added() == {}
