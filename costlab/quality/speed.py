"""How long an API takes from request to video, as published; self-hosted times are predicted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

from costlab import catalog, store
from costlab.core import Basis, Figure, Range, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """One published time from request to video: ``seconds``, or the ends that were printed.

    ``comparable`` rows are of the one table that timed many models alike. ``opens`` is the first
    day that the date as seen allows.
    """

    model: str
    mode: str = ""
    seconds: float | None = None
    low: float | None = None
    high: float | None = None
    clip: str = ""
    comparable: bool = False
    opens: date
    publisher: str
    document: str
    seen: str
    seen_precision: Literal["day", "month", "year"]
    confidence: Literal["high", "medium", "low"]
    note: str = ""

    @property
    def source(self) -> Source:
        """Where it was read."""
        return Source(
            publisher=self.publisher,
            document=self.document,
            seen=self.seen,
            seen_precision=self.seen_precision,
            basis=Basis.PUBLISHED if self.confidence == "high" else Basis.QUOTED,
            note=self.note,
        )

    def figure(self) -> Figure:
        """Return the time; where only its ends were printed, their middle, as an estimate."""
        name = f"seconds from request to video on {self.model}"
        if self.seconds is not None:
            return Figure(
                name=name,
                value=self.seconds,
                unit="s",
                basis=self.source.basis,
                source=self.source,
                ref=f"latency:{self.model}@{self.seen}",
            )
        low, high = self.low or 0.0, self.high or 0.0
        return Figure(
            name=name,
            value=(low * high) ** 0.5,
            unit="s",
            basis=Basis.ESTIMATED,
            formula="geometric middle of the printed ends",
            range=Range(low=low, high=high, level=1.0),
            source=self.source,
            ref=f"latency:{self.model}@{self.seen}",
        )


LATENCY = store.Shelf(table="quality_latency", record=Latency, pattern="quality/latency.csv")


def latencies(model_id: str, *, as_of: date, mode: str = "t2v") -> tuple[Latency, ...]:
    """Return the published times of a model known by that day, the one to use first.

    That is the mode's own before one of no stated mode before another mode's, the comparable table
    before single reports, one value before two ends, the newest first. Raises `UnknownName`.
    """
    model = catalog.model(model_id).id
    rows = [r for r in store.records(LATENCY) if r.model == model and r.opens <= as_of]
    return tuple(
        sorted(
            rows,
            key=lambda r: (
                (mode, "").index(r.mode) if r.mode in (mode, "") else 2,
                not r.comparable,
                r.seconds is None,
                -r.opens.toordinal(),
            ),
        )
    )


def latency(model_id: str, *, as_of: date, mode: str = "t2v") -> Figure | None:
    """Return the seconds from request to video on an API; None where no source gives any."""
    rows = latencies(model_id, as_of=as_of, mode=mode)
    return rows[0].figure() if rows else None
