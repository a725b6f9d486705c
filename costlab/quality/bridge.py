"""What another board suggests where the arena has no votes: an estimate for a person to enter.

    arena ≈ a + b · other board, fitted on the models that both rate

The other board (Artificial Analysis, clips with sound) has a scale of its own, pinned by one model
at 1000. `rating` never follows the line: there is no public score until a person enters one.
"""

from __future__ import annotations

from datetime import date

from costlab import catalog
from costlab.core import Basis, Figure, Range
from costlab.quality.ratings import Scored, published, scores

BOARDS = {"t2v": "aa-t2v-sound", "i2v": "aa-i2v-sound"}
FEWEST_SHARED = 8
"""Models that both boards must rate; with fewer the line missed left-out models by 60 to 200 points
(the silent boards, data of 2026-11-22) against 29 and 34 on these."""


def suggestion(model_id: str, mode: str = "t2v", *, as_of: date) -> Figure | None:
    """Return the arena points that another board's score of a model suggests, with 90 % of the
    spread for a model that was not fitted; None where that board does not rate it, or too few
    models stand on both. Raises `UnknownName`.
    """
    import numpy as np
    from scipy.special import stdtrit

    model = catalog.model(model_id).id
    other = _scores(mode, as_of)
    if model not in other:
        return None
    shared = {
        name: (row, rated)
        for name, row in other.items()
        if name != model and (rated := published(name, mode, as_of=as_of, audio=True))
    }
    if len(shared) < FEWEST_SHARED:
        return None
    x = np.array([row.score.value for row, _ in shared.values()])
    y = np.array([float(rated.value) for _, rated in shared.values()])
    slope, height = np.polyfit(x, y, 1)
    freedom = len(x) - 2
    error = float(np.sqrt(((y - height - slope * x) ** 2).sum() / freedom))
    asked = other[model].score.value
    away = (asked - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum()
    half = float(stdtrit(freedom, 0.95)) * error * float(np.sqrt(1 + 1 / len(x) + away))
    value = float(height + slope * asked)
    return Figure.derived(
        f"suggested rating of {model} ({mode})",
        value,
        "points",
        f"{height:.0f} + {slope:.3f} × its score on the other board, the line through {len(x)} "
        "models that both boards rate",
        (other[model].figure(), *(rated for _, rated in shared.values())),
        range=Range(low=value - half, high=value + half),
        basis=Basis.ESTIMATED,
    )


def _scores(mode: str, as_of: date) -> dict[str, Scored]:
    """Return each model's newest main score on the other board, its surest where several are."""
    found = {}
    for model in catalog.models():
        rows = [
            row
            for row in scores(model.id, as_of=as_of)
            if row.board.id == BOARDS.get(mode) and not row.name.variant and not row.hosted
        ]
        if rows:
            found[model.id] = max(rows, key=lambda r: (r.score.confidence != "low", r.score.opens))
    return found
