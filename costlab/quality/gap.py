"""How far open weights trail the best model, how fast that gap closed, and where it may go.

    gap after n generations = gap today × (1 − s₁) × … × (1 − sₙ)

A step s is the share of the gap that one generation closes; a negative one widens it. The steps
that were observed differ so much that no constant stands for them: they are drawn again, with
replacement, and the spread of the paths is the answer. A person may enter a share instead.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from costlab import store
from costlab.core import Basis, Figure, InvalidArgument, Range
from costlab.quality.compare import difference
from costlab.quality.ratings import Scored, snapshot

ARTICLE_SHARE = 0.30
"""What the article says that each generation closes."""

WAN_LINE = ("Wan 2.2 A14B (open weights)", "Wan 2.5 T2V", "Wan 2.6 T2V", "Wan 2.7 T2V", "Wan 3.0")
"""The Wan models in order of release, by their names on the board; open weights end with 2.2."""

DRAWS = 20_000
MOST_GENERATIONS = 20
ENOUGH_STEPS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class GapDay:
    """The gap on one day: the best model and the best with open weights on the arena's board."""

    day: date
    best: str
    open: str = ""
    points: float
    source: str
    note: str = ""


GAP = store.Shelf(table="quality_gap", record=GapDay, pattern="quality/gap.csv")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One observed step: ``share`` of the gap that was closed between two models or two days."""

    line: str
    before: str
    after: str
    gap_before: float
    gap_after: float

    @property
    def share(self) -> float:
        """The share of the gap that was closed; negative where it widened."""
        return 1 - self.gap_after / self.gap_before


@dataclass(frozen=True, slots=True, kw_only=True)
class GapProjection:
    """The gap generation by generation, from today's (first) on, with what it rests on."""

    as_of: date
    gaps: tuple[Figure, ...]
    steps: tuple[Step, ...]
    share: Figure | None = None

    @property
    def words(self) -> str:
        """What the observed steps say about a constant share."""
        shares = [step.share for step in self.steps]
        if len(shares) < ENOUGH_STEPS:
            return f"Too few steps were observed by {self.as_of} to say how the gap closes."
        low, middle, high = (
            f"{100 * share:.0f} %".replace("-", "−")
            for share in (min(shares), statistics.median(shares), max(shares))
        )
        return (
            f"The {len(shares)} steps observed by {self.as_of} closed between {low} and {high} of "
            f"the gap, the middle one {middle}. A constant {100 * ARTICLE_SHARE:.0f} % in each "
            "generation, as the article has it, is not what the data show."
        )


def history(*, as_of: date) -> tuple[GapDay, ...]:
    """Return the gap on every day collected until ``as_of``, oldest first."""
    return tuple(sorted((r for r in store.records(GAP) if r.day <= as_of), key=lambda r: r.day))


def steps(*, as_of: date) -> tuple[Step, ...]:
    """Return every observed step: between the days of the gap's history, and along the Wan line.

    The Wan line is measured inside one snapshot, against the best model on it.
    """
    days = history(as_of=as_of)
    over_time = [
        Step(
            line="best open weights",
            before=a.day.isoformat(),
            after=b.day.isoformat(),
            gap_before=a.points,
            gap_after=b.points,
        )
        for a, b in pairwise(days)
    ]
    board = snapshot("t2v", as_of=as_of)
    rated = {row.name.name: row.score.value for row in board}
    line = [name for name in WAN_LINE if name in rated]
    along = [
        Step(
            line="Wan",
            before=a,
            after=b,
            gap_before=board[0].score.value - rated[a],
            gap_after=board[0].score.value - rated[b],
        )
        for a, b in pairwise(line)
        if rated[a] < board[0].score.value
    ]
    return (*over_time, *along)


def current(*, as_of: date) -> Figure:
    """Return the gap in the arena's latest whole text-to-video snapshot.

    Raises `InvalidArgument` where no snapshot of that day holds an open model.
    """
    board = snapshot("t2v", as_of=as_of)
    best_open: Scored | None = next((row for row in board if row.name.open_weights), None)
    if best_open is None:
        raise InvalidArgument(f"no snapshot of the arena by {as_of} rates a model of open weights")
    name = "gap of open weights to the best model"
    return difference(name, board[0].figure(), best_open.figure())


def project(
    generations: int = 4,
    *,
    as_of: date,
    share: float | None = None,
    share_range: tuple[float, float] | None = None,
    seed: int = 1,
) -> GapProjection:
    """Project the gap over ``generations``, from the observed steps or from a ``share`` entered.

    Observed: each figure is the middle of `DRAWS` resampled paths, its range holds 90 % of them
    (`estimated`). Entered: gap × (1 − share)ⁿ, its range that of the share. The same seed gives the
    same figures. Raises `InvalidArgument` for a share above 1 or outside its range, or where fewer
    than two steps were observed by that day.
    """
    if not 1 <= generations <= MOST_GENERATIONS:
        raise InvalidArgument(f"generations must be 1 to {MOST_GENERATIONS}, got {generations}")
    start, observed = current(as_of=as_of), steps(as_of=as_of)
    if share is None:
        if share_range is not None:
            raise InvalidArgument("a range of the share needs the share")
        later = _resampled(start, observed, generations, seed)
        return GapProjection(as_of=as_of, gaps=(start, *later), steps=observed)
    low, high = share_range or (share, share)
    if not low <= share <= high <= 1:
        raise InvalidArgument(
            f"the share closed must be at most 1 and lie in its range, got {share:g} in "
            f"{low:g} to {high:g}"
        )
    own = Figure(
        name="share of the gap that a generation closes",
        value=share,
        unit="",
        basis=Basis.ENTERED,
        range=Range(low=low, high=high) if share_range else None,
    )
    gap = float(start.value)
    later = tuple(
        Figure.derived(
            f"gap after {n} generation{'s' if n > 1 else ''}",
            gap * (1 - share) ** n,
            "points",
            f"gap × (1 − share)^{n}",
            (start, own),
            range=Range(low=gap * (1 - high) ** n, high=gap * (1 - low) ** n)
            if share_range
            else None,
        )
        for n in range(1, generations + 1)
    )
    return GapProjection(as_of=as_of, gaps=(start, *later), steps=observed, share=own)


def _resampled(
    start: Figure, observed: tuple[Step, ...], generations: int, seed: int
) -> tuple[Figure, ...]:
    import numpy as np

    if len(observed) < ENOUGH_STEPS:
        raise InvalidArgument("fewer than two steps were observed by that day: enter a share")
    left = np.array([1 - step.share for step in observed])
    drawn = np.random.default_rng(seed).choice(left, size=(DRAWS, generations))
    paths = float(start.value) * np.cumprod(drawn, axis=1)
    middle, low, high = np.quantile(paths, (0.5, 0.05, 0.95), axis=0)
    evidence = tuple(
        Figure(
            name=f"share closed, {step.line}: {step.before} to {step.after}",
            value=step.share,
            unit="",
            basis=Basis.PUBLISHED,
            ref=f"gap:{step.line}@{step.before}",
        )
        for step in observed
    )
    return tuple(
        Figure.derived(
            f"gap after {n + 1} generation{'s' if n else ''}",
            float(middle[n]),
            "points",
            f"middle of {DRAWS:,} paths: gap × product of (1 − step), {n + 1} of the "
            f"{len(observed)} observed steps drawn with replacement (seed {seed})",
            (start, *evidence),
            range=Range(low=float(low[n]), high=float(high[n])),
            basis=Basis.ESTIMATED,
        )
        for n in range(generations)
    )
