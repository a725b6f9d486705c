from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from costlab import performance, store
from costlab.performance import accuracy, answer, published
from costlab.performance.physics import FACTORS

FROZEN = Path(__file__).parent / "frozen" / "predictions.csv"
KEPT = store.records(performance.SHELVES[3])[0]


@pytest.fixture(scope="module")
def report() -> accuracy.Accuracy:
    return performance.accuracy_report()


def test_published_clips_and_those_left_out_are_all_accounted_for() -> None:
    clips = performance.clips()
    assert len(clips) == len({clip.id for clip in clips}) >= 180
    assert all(clip.publisher and clip.document for clip in clips)
    assert all(row.reason for row in performance.left_out())


def test_groups_held_out_are_predicted_within_the_aims(report: accuracy.Accuracy) -> None:
    found = report["group"]
    assert found.median <= 0.06
    assert found.p90 <= 0.15
    assert found.baseline_median > 2 * found.median
    assert found.baseline_p90 > 1.5 * found.p90
    assert 0.85 <= found.coverage <= 0.97
    assert 0.85 <= found.group_coverage <= 0.97


def test_gpus_held_out_are_predicted_within_the_aims(report: accuracy.Accuracy) -> None:
    assert report["GPU"].median <= 0.20
    assert report["GPU, one clip known"].median <= 0.08
    assert report["GPU"].baseline_median > 2 * report["GPU"].median


def test_energy_and_memory_held_out_are_predicted_within_the_aims(
    report: accuracy.Accuracy,
) -> None:
    assert report["energy, group"].median <= 0.10
    assert report["energy, GPU"].median <= 0.12
    assert report["memory, group"].median <= 0.05


def test_every_way_of_holding_out_names_its_worst_clip_and_is_covered(
    report: accuracy.Accuracy,
) -> None:
    for one in report.held_out:
        assert one.worst in one.points
        assert one.worst.name
        assert one.coverage >= 0.85
        assert one.groups > 1
        assert one.group_median <= one.group_p90


def test_a_report_is_plain_data(report: accuracy.Accuracy) -> None:
    found = report.to_dict()
    assert found["clips"] == report.clips
    assert {"name", "median", "p90", "coverage", "worst", "points"} <= found["held_out"][0].keys()


def test_the_fitted_constants_belong_to_the_clips_on_file() -> None:
    assert KEPT.clips == published.digest(), "run benchmarks/predict.py --fit"


def test_fitting_again_gives_the_constants_on_file() -> None:
    known = accuracy.examples()
    kept = np.array([KEPT.spreads[factor.name] for factor in FACTORS])
    again = accuracy.tune(known, kept, sweeps=1)
    # the search may go on in small steps; the answers must stay where they are
    ours = answer.learn(known, kept, KEPT.quantiles)
    theirs = answer.learn(known, again, KEPT.quantiles)
    questions = accuracy.shipped_questions()[::7]
    said = answer.estimate(ours, questions).terms.sum(axis=1)
    anew = answer.estimate(theirs, questions).terms.sum(axis=1)
    assert np.abs(np.log(said / anew)).max() < 0.03


def test_the_quantiles_on_file_are_those_of_the_held_out_clips() -> None:
    found = accuracy.quantiles(accuracy.current_folds())
    for name, value in KEPT.quantiles.items():
        assert found[name] == pytest.approx(value, rel=0.03)


def test_the_shipped_predictions_have_not_drifted() -> None:
    with FROZEN.open(encoding="utf-8") as file:
        frozen = list(csv.DictReader(file))
    moved = []
    for row, asked in zip(frozen, accuracy.shipped_questions(), strict=True):
        said = answer.replaced(asked)
        drift = {
            "seconds": said.seconds / float(row["seconds"]) - 1,
            "energy_j": said.energy_j / float(row["energy_j"]) - 1,
            "peak_vram_gib": said.peak_vram_gib / float(row["peak_vram_gib"]) - 1,
        }
        name, worst = max(drift.items(), key=lambda item: abs(item[1]))
        if abs(worst) > 0.002:
            moved.append((abs(worst), f"{asked.model} on {asked.num_gpus} × {asked.gpu}, "
                          f"{asked.height}×{asked.width}: {name} {worst:+.1%}"))  # fmt: skip
    moved.sort(reverse=True)
    told = "\n".join(text for _, text in moved[:20])
    assert not moved, (
        f"{len(moved)} of {len(frozen)} predictions moved; most:\n{told}\n"
        "if that is meant, run benchmarks/predict.py --freeze and say so in the changelog"
    )


def test_errors_are_symmetric_in_log_scale(report: accuracy.Accuracy) -> None:
    logs = [math.log(point.said / point.seen) for point in report["group"].points]
    assert abs(float(np.median(logs))) < 0.03


def test_the_documentation_prints_the_errors_as_they_are(report: accuracy.Accuracy) -> None:
    text = (Path(__file__).parents[1] / "docs" / "prediction.md").read_text(encoding="utf-8")
    printed = {
        cells[0]: cells
        for line in text.splitlines()
        if len(cells := [cell.strip() for cell in line.strip("| ").split(" | ")]) == 8
    }
    for one in report.held_out:
        median, p90 = (float(cell.rstrip("%")) / 100 for cell in printed[one.name][2:4])
        assert median == pytest.approx(one.median, abs=0.002)
        assert p90 == pytest.approx(one.p90, abs=0.004)
        assert printed[one.name][7].endswith(one.worst.name)
