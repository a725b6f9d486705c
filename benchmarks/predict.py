"""Fit the prediction's constants, freeze its predictions, print its errors.

python benchmarks/predict.py            errors by way of holding out, and speed
python benchmarks/predict.py --fit      write data/calibration.yaml anew (after new clips)
python benchmarks/predict.py --freeze   write tests/frozen/predictions.csv anew
"""

from __future__ import annotations

import argparse
import csv
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np

from costlab import performance, store
from costlab.performance import accuracy, answer, published
from costlab.performance.physics import FACTORS

FROZEN = Path(__file__).parents[1] / "tests" / "frozen" / "predictions.csv"


def fit(day: date) -> None:
    known = accuracy.examples()
    spreads = accuracy.tune(known)
    made = answer.Calibration(
        fitted_on=day,
        clips=published.digest(),
        spreads={f.name: round(float(s), 4) for f, s in zip(FACTORS, spreads, strict=True)},
        quantiles={
            f"{quantity} {evidence}": 1.645
            for quantity in ("seconds", "energy_j", "peak_vram_gib")
            for evidence in ("interpolated", "extrapolated")
        },
    )
    found = accuracy.quantiles(accuracy.cross_validate(known, made))
    made = replace(
        made, quantiles={name: round(found.get(name, q), 3) for name, q in made.quantiles.items()}
    )
    row = {
        "fitted_on": made.fitted_on,
        "clips": made.clips,
        "spreads": dict(made.spreads),
        "quantiles": dict(made.quantiles),
    }
    head = (
        "# Constants fitted from data/published/clips.csv (whose hash is `clips`) by\n"
        "# `python benchmarks/predict.py --fit`; docs/prediction.md says how.\n"
    )
    path = store.data_dir() / "calibration.yaml"
    path.write_text(head + store.dump_yaml([row]), encoding="utf-8")
    print(path.read_text(encoding="utf-8"))


def freeze() -> None:
    FROZEN.parent.mkdir(parents=True, exist_ok=True)
    with FROZEN.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["model", "gpu", "num_gpus", "height", "width", "steps", "seconds",
                         "seconds_low", "seconds_high", "energy_j", "peak_vram_gib"])  # fmt: skip
        for asked in accuracy.shipped_questions():
            said = answer.replaced(asked)
            around = said.ranges["seconds"]
            numbers = (said.seconds, around.low, around.high, said.energy_j, said.peak_vram_gib)
            writer.writerow(
                [asked.model, asked.gpu, asked.num_gpus, asked.height, asked.width, asked.steps]
                + [f"{number:.5g}" for number in numbers]
            )


def report() -> None:
    start = time.perf_counter()
    found = performance.accuracy_report()
    print(f"{found.clips} clips, {time.perf_counter() - start:.1f} s\n")
    print(accuracy.markdown(found))
    rows = [
        {"model": "wan2.2-t2v-a14b", "gpu": gpu, "height": "480", "width": "832", "frames": "81",
         "steps": str(4 + i % 47), "num_gpus": str(1 + i % 8), "cfg": "true"}
        for i in range(2000)
        for gpu in ("H100-SXM", "L40S", "B200", "RTX-4090", "MI300X")
    ]  # fmt: skip
    start = time.perf_counter()
    performance.predict_rows(rows)
    print(f"\n{len(rows)} rows: {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--freeze", action="store_true")
    parser.add_argument("--day", type=date.fromisoformat, default=date(2026, 11, 22))
    chosen = parser.parse_args()
    if chosen.fit:
        fit(chosen.day)
    if chosen.freeze:
        freeze()
    if not (chosen.fit or chosen.freeze):
        report()
