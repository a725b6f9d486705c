"""What is optimised, as plain arrays, and what comes out: problem, solution, and limits in the way.

An *arc* is one segment on one route. Hours are the 168 of a week from Monday.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from costlab.core import CannotServe, InvalidArgument

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]

HOURS_PER_WEEK = 168
_OF_ARCS = (
    "arc_segment", "arc_route", "usd", "attempts", "accepted", "rating", "slot_hours", "api_hours",
    "pool", "provider",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """Segments, arcs, pools, ways to buy and limits, as arrays.

    S segments, n arcs, P pools, C providers, K ways to buy. ``clips`` (S × 168) are wanted per hour
    of the week; of a ``batch`` segment only the sum counts. The month is ``weeks`` long.

    Of each arc, per wanted clip: ``usd`` (API bill; 0 on own GPUs), ``attempts``, ``accepted``
    clips, ``slot_hours`` and ``api_hours`` (hours that a slot, or one of the provider's places, is
    held; 0 where not known). ``pool`` and ``provider`` are −1 where there is none, ``rating`` is
    NaN where nobody scored.

    ``utilisation`` (P × 168) is the interactive load that a slot may carry, ``batch_utilisation``
    the load with batch work filled in. A way to buy comes in instances of ``buy_slots`` slots and
    ``buy_gpus`` GPUs at ``buy_usd`` an hour, for all week where ``buy_all_week``.

    Limits are infinite where there is none: of each provider ``spend_usd`` a month, ``at_once``
    clips and ``per_hour`` attempts; ``most_gpus`` by ``buy_kind``; ``budget_usd`` a month in all.
    ``min_rating`` bounds the mean rating of accepted clips; every arc then needs a rating.
    """

    segments: tuple[str, ...]
    batch: Flags
    clips: Floats
    weeks: float
    routes: tuple[str, ...]
    arc_segment: Ints
    arc_route: Ints
    usd: Floats
    attempts: Floats
    accepted: Floats
    rating: Floats
    slot_hours: Floats
    api_hours: Floats
    pool: Ints
    provider: Ints
    pools: tuple[str, ...]
    utilisation: Floats
    batch_utilisation: float
    providers: tuple[str, ...]
    at_once: Floats
    per_hour: Floats
    spend_usd: Floats
    buy_pool: Ints
    buy_kind: Ints
    buy_usd: Floats
    buy_slots: Floats
    buy_gpus: Floats
    buy_all_week: Flags
    kinds: tuple[str, ...]
    most_gpus: Floats
    min_rating: float | None = None
    budget_usd: float = float("inf")

    def __post_init__(self) -> None:
        import numpy as np

        arcs, sellers, buys = len(self.arc_segment), len(self.providers), len(self.buy_pool)
        shapes: dict[str, tuple[int, ...]] = {
            "clips": (len(self.segments), HOURS_PER_WEEK),
            "batch": (len(self.segments),),
            "utilisation": (len(self.pools), HOURS_PER_WEEK),
            "most_gpus": (len(self.kinds),),
        }
        shapes |= dict.fromkeys(_OF_ARCS, (arcs,))
        shapes |= dict.fromkeys(("at_once", "per_hour", "spend_usd"), (sellers,))
        shapes |= dict.fromkeys(
            ("buy_kind", "buy_usd", "buy_slots", "buy_gpus", "buy_all_week"), (buys,)
        )
        for name, wanted in shapes.items():
            if (found := getattr(self, name).shape) != wanted:
                raise InvalidArgument(f"{name} must have the shape {wanted}, found {found}")
        for name in ("clips", "usd", "attempts", "slot_hours", "api_hours", "buy_usd"):
            values = getattr(self, name)
            if not (np.isfinite(values) & (values >= 0)).all():
                raise InvalidArgument(f"{name} must be finite and not negative")
        if not ((self.utilisation > 0) & (self.utilisation <= 1)).all():
            raise InvalidArgument("utilisation must be in (0, 1]")
        if not 0 < self.batch_utilisation <= 1:
            raise InvalidArgument("batch_utilisation must be in (0, 1]")
        if self.min_rating is not None and np.isnan(self.rating).any():
            raise InvalidArgument("a mean rating needs a rating of every arc")

    @property
    def interactive(self) -> Flags:
        """Of each arc, whether its clips are made in the hour they are wanted."""
        flags: Flags = ~self.batch[self.arc_segment]
        return flags

    def only(self, keep: Flags) -> Problem:
        """Return the problem with some of its arcs."""
        return replace(self, **{name: getattr(self, name)[keep] for name in _OF_ARCS})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solution:
    """The optimum of a problem. ``usd_per_month`` is the solver's own objective.

    ``clips`` (n × 168) are wanted clips by arc and hour, ``bought`` (K × 168) instances by way to
    buy and hour; both may be fractions. ``bound`` is what no split can undercut in this programme.

    Duals are USD a month: ``rating_usd`` is what one more point of the mean rating costs,
    ``at_once_saves``, ``per_hour_saves``, ``spend_saves`` (per provider) and ``gpus_save`` (per
    kind) what one more of the limit saves. Of the programme's ``columns`` the solver was
    ``handed`` so many: the others were priced and would not pay. ``seconds`` has ``build``,
    ``solver`` (HiGHS's own) and ``total``.
    """

    problem: Problem
    usd_per_month: float
    bound: float
    clips: Floats
    bought: Floats
    rating_usd: float
    at_once_saves: Floats
    per_hour_saves: Floats
    spend_saves: Floats
    gpus_save: Floats
    columns: int
    handed: int
    rows: int
    nonzeros: int
    seconds: dict[str, float]

    @property
    def split(self) -> Floats:
        """The share of each arc in its segment's clips."""
        import numpy as np

        sums = self.clips.sum(axis=1)
        whole = np.bincount(self.problem.arc_segment, sums, len(self.problem.segments))
        wanted = whole[self.problem.arc_segment]
        shares: Floats = np.divide(sums, wanted, out=np.zeros_like(sums), where=wanted > 0)
        return shares

    @property
    def mean_rating(self) -> float:
        """The mean rating of accepted clips; NaN where an arc in use has none."""
        import numpy as np

        weight = self.clips.sum(axis=1) * self.problem.accepted
        used = weight > 0
        if not used.any():
            return float("nan")
        return float(np.average(self.problem.rating[used], weights=weight[used]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Excess:
    """A limit that would have to give way: its kind, whose it is, and the value that would do.

    ``segments`` are those that press on it.
    """

    kind: Literal["rating", "budget", "spend", "at once", "per hour", "GPUs"]
    of: str
    limit: float
    needed: float
    segments: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """Which limit is too tight, for whom, and the nearest value that would do."""
        limit, needed = (f"{value:,.6g}" for value in (self.limit, self.needed))
        text = {
            "rating": f"a mean rating of {limit} is out of reach, {needed} is the highest",
            "budget": f"a budget of ${limit} a month is too small, ${needed} would do",
            "spend": f"${limit} a month at {self.of} is too little, ${needed} would do",
            "at once": f"{limit} clips at once at {self.of} are too few, {needed} would do",
            "per hour": f"{limit} attempts an hour at {self.of} are too few, {needed} would do",
            "GPUs": f"{limit} {self.of.replace('_', ' ')} GPUs are too few, {needed} would do",
        }[self.kind]
        if not self.segments:
            return text
        more = f" and {len(self.segments) - 4} more" if len(self.segments) > 4 else ""
        return f"{text} (for {', '.join(self.segments[:4])}{more})"


class Infeasible(CannotServe):
    """No split keeps all limits; ``excess`` says which would have to give way, and how far."""

    def __init__(self, excess: tuple[Excess, ...]) -> None:
        self.excess = excess
        words = "; ".join(one.words for one in excess) or "what is wanted cannot be made at all"
        super().__init__(f"no split keeps all limits: {words}")


def places(chosen: Any, count: int) -> Any:
    """Return for each of ``count`` things its place among the ``chosen``; 0 for the others."""
    import numpy as np

    place = np.zeros(count, np.int64)
    place[chosen] = np.arange(len(chosen))
    return place
