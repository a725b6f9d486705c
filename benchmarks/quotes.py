"""100,000 quotes through the path for many, against the exact path.

Run ``python benchmarks/quotes.py``. The questions are random: model, length, resolution, mode,
sound and day, as a month of traffic would ask them.
"""

from __future__ import annotations

import random
import time
from datetime import date, timedelta
from decimal import Decimal

from costlab import catalog
from costlab.core import CannotServe, ClipRequest, NotOnSale

QUESTIONS = 100_000
SAMPLE = 500


def questions(count: int) -> tuple[list[str], list[ClipRequest], list[date]]:
    dice = random.Random(2026)
    models = [model.id for model in catalog.models() if model.kind == "api"]
    names, requests, days = [], [], []
    for _ in range(count):
        names.append(dice.choice(models))
        requests.append(
            ClipRequest(
                seconds=Decimal(dice.randint(1, 15)),
                resolution=dice.choice(("480p", "720p", "1080p")),
                mode=dice.choice(("t2v", "i2v")),
                audio=dice.random() < 0.4,
            )
        )
        days.append(date(2026, 11, 1) + timedelta(days=dice.randrange(30)))
    return names, requests, days


def main() -> None:
    names, requests, days = questions(QUESTIONS)
    catalog.quote_many(names[:1], requests[:1], days[:1])
    started = time.perf_counter()
    answers = catalog.quote_many(names, requests, days)
    many_s = time.perf_counter() - started
    started = time.perf_counter()
    for name, request, day, micro in list(zip(names, requests, days, answers, strict=True))[
        :SAMPLE
    ]:
        try:
            exact: int | None = catalog.quote(name, request, as_of=day).micro_usd
        except (CannotServe, NotOnSale):
            exact = None
        if exact != micro:
            raise SystemExit(f"{name} on {day}: {micro} for many, {exact} exactly")
    exact_s = (time.perf_counter() - started) / SAMPLE
    served = sum(micro is not None for micro in answers)
    print(f"{QUESTIONS:,} quotes in {many_s:.2f} s, {served:,} served; equal on {SAMPLE} checked")
    print(f"one exact quote takes {exact_s * 1000:.2f} ms")


if __name__ == "__main__":
    main()
