"""One bill, worked out by hand, to the cent.

November 2026 has 720 hours. 10,000 clips are wanted.

Short silent clips, 60 %: 6,000 wanted, half of the delivered ones kept, retried until kept.
    attempts   6,000 / 0.5                               = 12,000
    a clip     300 s on one H100 (a run made up for this test), $2.00 an hour by contract
    usage      12,000 × 300 s × $2.00 / 3600             = $2,000.00
    load       12,000 × 300 s / (720 × 3600 s)           = 1.3889 slots busy
    slots      4: with 3 the p95 wait is over 60 s, with 4 it is under (checked below by playing it)
    rent       4 × 720 h × $2.00                         = $5,760.00

Clips with sound, 40 %: 4,000 wanted, at most 2 tries; 2 % of attempts fail, 80 % of the rest kept.
    p          0.98 × 0.8                                = 0.784
    attempts   4,000 × (1 + 0.216)                       = 4,864
    accepted   4,000 × (1 − 0.216²)                      = 3,813.376
    billed     all: no source says that failed ones are free
    a clip     Veo 3.1 with sound: 8 s × $0.40           = $3.20
    bill       4,864 × $3.20                             = $15,564.80

Month          $5,760.00 + $15,564.80                    = $21,324.80
Accepted       6,000 + 3,813.376                         = 9,813.376
Blended        $21,324.80 / 9,813.376                    = $2.173034
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from costlab import projection, runs, scenarios, traffic
from costlab.core import Basis, usd
from tests.made_runs import made_run

MIX = {
    "id": "by-hand",
    "title": "By hand",
    "clips_per_month": 10_000,
    "segments": [
        {"name": "short", "share": 0.6, "seconds": "5", "resolution": "480p", "acceptance": 0.5},
        {
            "name": "sound",
            "share": 0.4,
            "seconds": "8",
            "resolution": "720p",
            "audio": True,
            "acceptance": 0.8,
            "max_tries": 2,
        },
    ],
}
SCENARIO = {
    "id": "by-hand",
    "title": "By hand",
    "date": "2026-11-22",
    "mix": "by-hand",
    "policy": "article",
    "api_failure_share": 0.02,
    "p95_wait_s": 60,
    "deployments": [
        {
            "model": "wan2.2-t2v-a14b",
            "gpu": "H100-SXM",
            "offer": "runpod-secure/H100-SXM/1x/on_demand",
            "usd_per_gpu_hour": "2.00",
        }
    ],
    "apis": ["kling-3.0-omni"],
}


@pytest.fixture
def answer(own_store: Path) -> projection.Projection:
    runs.write(made_run(300.0), own_store / "runs")
    mix = traffic.parse_mix(MIX)
    return projection.project(scenarios.parse_scenario(SCENARIO), mix=mix)


def test_the_bill_is_the_one_worked_out_by_hand(answer: projection.Projection) -> None:
    short, sound = answer.segments
    assert short.attempts == pytest.approx(12_000)
    assert short.unit is not None
    assert short.unit.usd.value == Decimal("0.166667")
    assert short.usd_per_month is not None
    assert short.usd_per_month.value == Decimal("5760")
    assert answer.pools[0].slots.value == 4
    assert sound.attempts == pytest.approx(4_864)
    assert sound.accepted == pytest.approx(3_813.376)
    assert sound.usd_per_month is not None
    assert sound.usd_per_month.value == Decimal("15564.8")
    assert answer.summary["usd_per_month"].value == Decimal("21324.8")
    assert answer.summary["usd_per_accepted_clip"].value == pytest.approx(2.173034, abs=5e-7)
    assert sum(line.micro_usd for line in answer.bill) == 21_324_800_000
    assert usd(answer.bill[0].micro_usd) == Decimal("15564.8")


def test_the_slots_are_those_that_playing_the_hour_asks_for(answer: projection.Projection) -> None:
    rng = np.random.default_rng(5)
    arrivals = np.cumsum(rng.exponential(720 * 3600 / 12_000, 200_000))
    p95 = {}
    for slots in (3, 4):
        free = np.zeros(slots)
        waits = np.empty(arrivals.size)
        for i, arrived in enumerate(arrivals):
            first = int(free.argmin())
            waits[i] = max(free[first] - arrived, 0)
            free[first] = arrived + waits[i] + 300
        p95[slots] = float(np.quantile(waits, 0.95))
    assert p95[4] <= SCENARIO["p95_wait_s"] < p95[3]
    stated = answer.pools[0].p95_wait_s
    assert stated is not None
    assert float(stated.value) == pytest.approx(p95[4], rel=0.05, abs=2)


def test_every_figure_opens_to_the_run_and_the_price_row(answer: projection.Projection) -> None:
    blended = answer.summary["usd_per_accepted_clip"]
    refs = {leaf.ref.split(":")[0] for leaf in blended.leaves()}
    assert {"run", "price", "entered"} <= refs
    short = answer.segments[0]
    assert short.unit is not None
    assert short.unit.slot_s is not None
    assert short.unit.slot_s.basis is Basis.MEASURED
    assert blended.basis is Basis.ESTIMATED
    assert blended.weakest_input.basis is Basis.ESTIMATED


def test_a_new_run_changes_the_bill_at_once(own_store: Path, answer: projection.Projection) -> None:
    runs.write(made_run(150.0, started_at="2026-11-21T10:00:00Z"), own_store / "runs")
    again = projection.project(scenarios.parse_scenario(SCENARIO), mix=traffic.parse_mix(MIX))
    short = again.segments[0]
    assert short.unit is not None
    assert float(short.unit.usd.value) < float(answer.segments[0].unit.usd.value)  # type: ignore[union-attr]
