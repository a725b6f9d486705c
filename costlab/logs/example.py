"""A request log drawn from a mix: for a first look and for tests, never for a figure."""

from __future__ import annotations

import csv
from datetime import date, datetime, time, timedelta
from pathlib import Path

from costlab.core import InvalidArgument
from costlab.traffic import TrafficMix

_COLUMNS = (
    "time", "id", "segment", "mode", "stage", "tier", "quality", "seconds", "resolution",
    "aspect", "audio", "batch", "faces", "text", "lora", "tenant", "accepted",
)  # fmt: skip


def draw(mix: TrafficMix, path: Path, *, requests: int, start: date, days: int, seed: int) -> Path:
    """Write a CSV of ``requests`` attempts drawn from a mix over ``days`` from ``start``.

    Segments by their shares over their acceptance (attempts, not wanted clips), hours by the mix's
    week, acceptance by lot. The same arguments write the same file. Returns ``path``.
    """
    if requests < 1 or days < 1:
        raise InvalidArgument(f"requests and days must be at least 1, got {requests}, {days}")
    import numpy as np

    lots = np.random.default_rng(seed)
    hours = [start + timedelta(days=d) for d in range(days)]
    week = mix.hours_of_week
    weights = np.array([week[24 * day.weekday() + h] for day in hours for h in range(24)])
    at = lots.choice(len(weights), requests, p=weights / weights.sum()) + lots.random(requests)
    at.sort()
    tried = np.array([segment.share / segment.acceptance for segment in mix.segments])
    kinds = lots.choice(len(tried), requests, p=tried / tried.sum())
    kept = lots.random(requests)
    midnight = datetime.combine(start, time())
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(_COLUMNS)
        for number, (hour, kind, lot) in enumerate(zip(at, kinds, kept, strict=True)):
            segment = mix.segments[kind]
            features = segment.features()
            when = midnight + timedelta(hours=float(hour))
            rows.writerow(
                [when.isoformat(sep=" ", timespec="seconds"), f"r{number}"]
                + [_cell(features[name]) for name in _COLUMNS[2:-1]]
                + [_cell(bool(lot < segment.acceptance))]
            )
    return path


def _cell(value: object) -> object:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
