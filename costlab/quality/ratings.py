"""Published scores of video models, board by board and day by day, and the rating of a model.

    a board's snapshot ──names.yaml──▶ model ──latest whole snapshot by the day──▶ rating

Only the arena (blind votes, Bradley-Terry) may steer routing. Its scale is re-centred over time, so
ratings are compared inside one snapshot only, and its one pool mixes silent clips and clips with
sound: `compare.sound_worth` says how many
points sound alone is worth. Other scores are kept and shown.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from typing import Any, Literal

from costlab import catalog, store, wan
from costlab.core import Basis, Figure, InvalidArgument, Range, Source
from costlab.quality import entries

Sound = Literal["yes", "no", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One score as its source names it; ``why_not`` says why it does not steer routing."""

    id: str
    title: str
    scale: str
    unit: str
    mode: str = ""
    audio: Sound = "unknown"
    routing: bool = False
    why_not: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Something that scores were read in."""

    id: str
    publisher: str
    document: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """Which models a name on a board stands for, reviewed; without models, ``why`` it has none.

    ``hosted`` serve the same open weights at settings that they do not state. ``variant`` tells a
    row that is not the model's main one (another tier, size or wording of the prompts).
    """

    name: str
    models: tuple[str, ...] = ()
    hosted: tuple[str, ...] = ()
    mode: str = ""
    audio: Sound = "unknown"
    variant: str = ""
    open_weights: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One score as observed; ``plus_minus`` is half the printed interval of probability ``level``.

    ``opens`` is the first day that the date as seen allows; ``extent`` tells a whole board from an
    extract of one.
    """

    board: str
    opens: date
    name: str
    value: float
    plus_minus: float | None = None
    level: float | None = None
    votes: int | None = None
    extent: Literal["board", "extract", ""] = ""
    source: str
    seen: str
    seen_precision: Literal["day", "month", "year"]
    confidence: Literal["high", "medium", "low"]
    key: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Collected rows that are not in costlab, with the reason."""

    table: Literal["scores", "latency", "features"]
    rows: int
    items: tuple[str, ...]
    why: str


BOARDS = store.Shelf(table="quality_boards", record=Board, pattern="quality/boards.yaml")
DOCUMENTS = store.Shelf(table="quality_sources", record=Document, pattern="quality/sources.yaml")
NAMES = store.Shelf(table="quality_names", record=Name, pattern="quality/names.yaml")
SCORES = store.Shelf(table="quality_scores", record=Score, pattern="quality/scores.csv")
LEFT_OUT = store.Shelf(table="quality_left_out", record=LeftOut, pattern="quality/left_out.yaml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One score of one model, with the board and the name it stands under.

    ``hosted`` says that the model serves the weights that were scored, at settings it keeps to
    itself.
    """

    model: str
    board: Board
    name: Name
    score: Score
    source: Source
    hosted: bool = False

    @property
    def sound(self) -> Sound:
        """Whether the clips that were judged had sound."""
        return self.name.audio if self.name.audio != "unknown" else self.board.audio

    @property
    def ref(self) -> str:
        """The row's name: board, day as seen, name."""
        return f"score:{self.board.id}@{self.score.opens}:{self.name.name}"

    @property
    def range(self) -> Range | None:
        """The printed interval."""
        score = self.score
        if score.plus_minus is None or score.level is None:
            return None
        low, high = score.value - score.plus_minus, score.value + score.plus_minus
        return Range(low=low, high=high, level=score.level)

    def figure(self) -> Figure:
        """Return the score as it was printed."""
        return Figure(
            name=f"{self.name.name} on {self.board.title}",
            value=self.score.value,
            unit=self.board.unit,
            basis=self.source.basis,
            range=self.range,
            source=self.source,
            ref=self.ref,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the score as plain data for tables and JSON."""
        return {
            "board": self.board.title,
            "mode": self.board.mode or "unknown",
            "name": self.name.name,
            "variant": self.name.variant,
            "sound": self.sound,
            "value": self.score.value,
            "unit": self.board.unit,
            "plus_minus": self.score.plus_minus,
            "level": self.score.level,
            "votes": self.score.votes,
            "seen": self.score.seen,
            "routing": self.board.routing,
            "why_not": self.board.why_not,
            "hosted": self.hosted,
            "publisher": self.source.publisher,
            "document": self.source.document,
            "basis": self.source.basis,
            "note": self.source.note,
        }


Stamp = tuple[tuple[str, int, int], ...]


def _stamp() -> Stamp:
    """Return what changes whenever a shipped file does; routing asks thousands of times."""
    with os.scandir(store.data_dir() / "quality") as files:
        return tuple(sorted((f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files))


@cache
def _book(stamp: Stamp) -> dict[str, tuple[Scored, ...]]:  # noqa: ARG001 - the cache key
    boards = {board.id: board for board in store.records(BOARDS)}
    documents = {document.id: document for document in store.records(DOCUMENTS)}
    found: dict[str, list[Scored]] = {"": []}
    for score in store.records(SCORES):
        board, document = boards[score.board], documents[score.source]
        name = next(
            one
            for one in store.records(NAMES)
            if one.name == score.name and one.mode in ("", board.mode)
        )
        source = Source(
            publisher=document.publisher,
            document=document.document,
            seen=score.seen,
            seen_precision=score.seen_precision,
            basis=Basis.PUBLISHED if score.confidence == "high" else Basis.QUOTED,
            note=score.note,
        )
        one = Scored(model="", board=board, name=name, score=score, source=source)
        found[""].append(one)
        for model in (*name.models, *name.hosted):
            row = replace(one, model=model, hosted=model in name.hosted)
            found.setdefault(model, []).append(row)
    return {model: tuple(rows) for model, rows in found.items()}


def boards() -> tuple[Board, ...]:
    """Return every board."""
    return store.records(BOARDS)


def names() -> tuple[Name, ...]:
    """Return what every name on a board stands for; those without models say why."""
    return store.records(NAMES)


def left_out() -> tuple[LeftOut, ...]:
    """Return the collected rows that costlab leaves out, and why."""
    return store.records(LEFT_OUT)


def scores(model_id: str, *, as_of: date) -> tuple[Scored, ...]:
    """Return every score of a model known by that day, those fit for routing first, newest first.

    Raises `UnknownName` for a model that is not in the book.
    """
    rows = _book(_stamp()).get(catalog.model(model_id).id, ())
    known = [row for row in rows if row.score.opens <= as_of]
    return tuple(sorted(known, key=lambda r: (not r.board.routing, -r.score.opens.toordinal())))


def snapshot(mode: str, *, as_of: date) -> tuple[Scored, ...]:
    """Return the rows of the arena's latest whole snapshot that is not after ``as_of``, best first.

    Where no whole one is that old, the latest extract. Empty where there is none; the rows'
    ``model`` is empty.
    """
    return _snapshot(mode, as_of, _stamp())


@cache
def _snapshot(mode: str, as_of: date, stamp: Stamp) -> tuple[Scored, ...]:
    rows = [
        row
        for row in _book(stamp)[""]
        if row.board.routing
        and row.board.mode == mode
        and row.score.seen_precision == "day"
        and row.score.opens <= as_of
    ]
    newest = max(((r.score.extent == "board", r.score.opens) for r in rows), default=None)
    kept = [row for row in rows if (row.score.extent == "board", row.score.opens) == newest]
    return tuple(sorted(kept, key=lambda row: -row.score.value))


def recipe(
    model_id: str, *, steps: int | None = None, guidance: bool = True, technique: str | None = None
) -> str:
    """Return how a self-hosted recipe departs from the one its authors publish; "" where it does
    not. What departs has no public score: it shows another picture.

    >>> recipe("wan2.2-t2v-a14b", steps=4, guidance=False, technique="4-step distilled")
    '4 steps, no guidance, 4-step distilled'
    """
    model = catalog.model(model_id)
    usual = wan.architecture(model.id).steps if model.kind == "self_hosted" else None
    parts = (
        f"{steps} steps" if steps is not None and usual is not None and steps < usual else "",
        "" if guidance else "no guidance",
        technique or "",
    )
    return ", ".join(part for part in parts if part)


def rating(
    model_id: str, mode: str = "t2v", *, as_of: date, audio: bool = False, recipe: str = ""
) -> Figure | None:
    """Return how a model's clips fare in blind votes, in arena points; None: no public score.

    What a person entered for that day comes first (`entered`), else the arena's latest snapshot:
    of several rows of a model, the one whose sound is as asked. ``recipe`` names a way of serving
    that is not the authors' (`recipe`); only a person can rate that. Raises `UnknownName`.
    """
    model = catalog.model(model_id).id
    own = _entered(model, mode, as_of, recipe)
    if own is not None:
        return own
    return None if recipe else _published(model, mode, as_of, audio)


def published(
    model_id: str, mode: str = "t2v", *, as_of: date, audio: bool = False
) -> Figure | None:
    """Return the arena's rating whatever a person entered beside it; None: no public score."""
    return _published(catalog.model(model_id).id, mode, as_of, audio)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """A model with its rating; ``published`` is the arena's where a person entered another."""

    model: str
    recipe: str = ""
    rating: Figure | None
    published: Figure | None = None


def ranking(mode: str = "t2v", *, as_of: date, audio: bool = False) -> tuple[Rated, ...]:
    """Return every model that takes this mode, best first, those without a public score last.

    Recipes that a person rated are rows of their own. Raises `InvalidArgument` for an unknown mode.
    """
    if mode not in entries.MODES:
        raise InvalidArgument(f"mode must be one of {', '.join(entries.MODES)}, got {mode!r}")
    own = {
        (one.entered.model, one.entered.recipe)
        for one in entries.ratings()
        if isinstance(one.entered, entries.EnteredRating)
        and one.entered.mode == mode
        and one.entered.valid_from <= as_of
    }
    asked = {(model.id, "") for model in catalog.models() if mode in model.modes} | own
    rows = [
        Rated(
            model=model,
            recipe=recipe,
            rating=rating(model, mode, as_of=as_of, audio=audio, recipe=recipe),
            published=_published(model, mode, as_of, audio)
            if (model, recipe) in own and not recipe
            else None,
        )
        for model, recipe in sorted(asked)
    ]
    return tuple(sorted(rows, key=lambda row: -float(row.rating.value) if row.rating else math.inf))


def entered(model_id: str, mode: str = "t2v", *, as_of: date, recipe: str = "") -> Figure | None:
    """Return the rating that a person entered for that day, None where nobody did."""
    return _entered(catalog.model(model_id).id, mode, as_of, recipe)


def _entered(model: str, mode: str, as_of: date, recipe: str) -> Figure | None:
    standing = [
        (one.entered, one)
        for one in entries.ratings()
        if isinstance(one.entered, entries.EnteredRating)
        and (one.entered.model, one.entered.mode, one.entered.recipe) == (model, mode, recipe)
        and one.entered.valid_from <= as_of
    ]
    if not standing:
        return None
    value, one = max(standing, key=lambda pair: pair[0].valid_from)
    return Figure(
        name=f"rating of {model} ({mode}{', ' + recipe if recipe else ''})",
        value=value.value,
        unit="points",
        basis=Basis.ENTERED,
        range=Range(low=value.low, high=value.high, level=value.level),
        source=Source(
            publisher=one.who,
            document=one.why,
            seen=one.entered_at.date().isoformat(),
            seen_precision="day",
            basis=Basis.ENTERED,
        ),
        ref=f"rating:{one.name}",
    )


def _published(model: str, mode: str, as_of: date, audio: bool) -> Figure | None:
    return _rated(model, mode, as_of, audio, _stamp())


@cache
def _rated(model: str, mode: str, as_of: date, audio: bool, stamp: Stamp) -> Figure | None:
    current = _snapshot(mode, as_of, stamp)
    if not current:
        return None
    day = current[0].score.opens
    on_board = {row.score for row in current}
    rows = [
        row for row in _book(stamp).get(model, ()) if row.score in on_board and not row.name.variant
    ]
    if not rows:
        return None
    wanted = "yes" if audio else "no"
    best = min(rows, key=lambda row: (row.sound != wanted, row.sound != "unknown"))
    notes = [best.source.note, _sound_note(best.sound, audio)]
    formula = f"as read in the snapshot of {day}"
    interval = best.range
    if interval is None and (earlier := _last_interval(best, stamp)) is not None:
        interval = Range(
            low=best.score.value - (earlier.score.plus_minus or 0),
            high=best.score.value + (earlier.score.plus_minus or 0),
            level=earlier.score.level or 0.95,
        )
        notes.append(
            f"this copy prints no interval: ±{earlier.score.plus_minus:g} is that of "
            f"{earlier.score.opens}, the last one printed"
        )
    if best.hosted:
        notes.append(
            "the same open weights as were rated; the seller's steps are not stated, so its clips "
            "may differ"
        )
    return Figure(
        name=f"rating of {model} ({mode})",
        value=best.score.value,
        unit="points",
        basis=Basis.ESTIMATED if best.hosted else best.source.basis,
        formula=formula,
        range=interval,
        source=replace(best.source, note="; ".join(note for note in notes if note)),
        ref=best.ref,
    )


def _sound_note(sound: Sound, audio: bool) -> str:
    if sound == "unknown":
        return "the pool mixes silent clips and clips with sound; which these were is not stated"
    if (sound == "yes") == audio:
        return ""
    had = "had sound" if sound == "yes" else "were silent"
    return f"the clips that were judged {had}, unlike the one asked for"


def _last_interval(row: Scored, stamp: Stamp) -> Scored | None:
    earlier = [
        other
        for other in _book(stamp)[""]
        if other.board == row.board
        and other.name == row.name
        and other.range is not None
        and other.score.extent == "board"
        and other.score.opens <= row.score.opens
    ]
    return max(earlier, key=lambda other: other.score.opens, default=None)
