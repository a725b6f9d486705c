"""Comparing ratings: the points between two, the votes they mean, and which routes are worth it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from costlab.core import Figure, InvalidArgument, Range
from costlab.quality.ratings import snapshot

POINTS_PER_TENFOLD_ODDS = 400
"""Scale of the arena's Bradley-Terry ratings: so many points make the odds of a vote ten to one."""

SOUND_PAIR = ("Veo 3 with audio", "Veo 3 silent")
"""One model on the board twice, with and without its sound."""


def share_preferred(gap: float) -> float:
    """Return the expected share of blind votes for a model rated ``gap`` points above another.

    Nobody ahead means half the votes; far ahead tends to all of them.

    >>> share_preferred(0), round(share_preferred(400), 4), round(share_preferred(-400), 4)
    (0.5, 0.9091, 0.0909)
    """
    return 1 / (1 + 10 ** (-gap / POINTS_PER_TENFOLD_ODDS))


def difference(name: str, upper: Figure, lower: Figure) -> Figure:
    """Return the points between two ratings of one snapshot, their intervals added as independent.

    Raises `InvalidArgument` for published ratings of different snapshots.
    """
    _one_snapshot((upper, lower))
    high, low = float(upper.value), float(lower.value)
    interval = None
    if upper.range and lower.range:
        interval = Range(
            low=high - low - math.hypot(high - upper.range.low, lower.range.high - low),
            high=high - low + math.hypot(upper.range.high - high, low - lower.range.low),
            level=min(upper.range.level, lower.range.level),
        )
    return Figure.derived(
        name, high - low, "points", "rating − rating", (upper, lower), range=interval
    )


def preference(name: str, upper: Figure, lower: Figure) -> Figure:
    """Return the share of votes that one rated model would get against another.

    Raises `InvalidArgument` for published ratings of different snapshots.
    """
    gap = difference("points between them", upper, lower)
    interval = gap.range and Range(
        low=share_preferred(gap.range.low),
        high=share_preferred(gap.range.high),
        level=gap.range.level,
    )
    share = share_preferred(float(gap.value))
    formula = f"1 / (1 + 10^(−points / {POINTS_PER_TENFOLD_ODDS}))"
    return Figure.derived(name, share, "", formula, (gap,), range=interval)


def sound_worth(mode: str, *, as_of: date) -> Figure | None:
    """Return what sound alone is worth in the arena's snapshot of that day: one model with its
    sound less the same model without; None where the snapshot has not both."""
    rows = {row.name.name: row.figure() for row in snapshot(mode, as_of=as_of)}
    if not all(name in rows for name in SOUND_PAIR):
        return None
    loud, silent = (rows[name] for name in SOUND_PAIR)
    return difference(f"what sound is worth ({mode})", loud, silent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A route with what a clip costs on it and how its model is rated; None: no public score."""

    route: str
    usd: float
    rating: Figure | None


def frontier(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return the routes that no other beats in both cost and rating, cheapest first.

    Raises `InvalidArgument` where a route has no score, naming it (no score is not a score of
    zero), or where published ratings are of different snapshots.
    """
    if nameless := sorted({point.route for point in points if point.rating is None}):
        raise InvalidArgument(
            f"no public score for {', '.join(nameless)}: enter a rating with its range, or leave "
            "these routes out"
        )
    ratings = {point.route: point.rating for point in points if point.rating is not None}
    _one_snapshot(tuple(ratings.values()))
    kept: list[Point] = []
    for point in sorted(points, key=lambda one: (one.usd, -_value(one))):
        ahead = not kept or _value(point) > _value(kept[-1])
        level = bool(kept) and (point.usd, _value(point)) == (kept[-1].usd, _value(kept[-1]))
        if ahead or level:
            kept.append(point)
    return tuple(kept)


def _value(point: Point) -> float:
    return float(point.rating.value) if point.rating is not None else math.nan


def _one_snapshot(ratings: Sequence[Figure]) -> None:
    shots = {one.ref.split(":")[1] for one in ratings if one.ref.startswith("score:")}
    if len(shots) > 1:
        raise InvalidArgument(
            f"ratings of different snapshots ({', '.join(sorted(shots))}) are not compared: the "
            "scale is re-centred between them"
        )
