"""What people enter about quality: a rating with its range, a capability; who, when and why.

An entry is a row of the user's store and is never edited: a later one of the same name stands in
its place, and taking it away is another row. Published rows stay visible beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

from costlab import catalog, store
from costlab.core import BadData, CostlabError, InvalidArgument

RATING = "rating"
CAPABILITY = "capability"
MODES = ("t2v", "i2v", "edit")

VOCABULARY: dict[str, tuple[str, ...]] = {
    "t2v": ("yes", "no"),
    "i2v": ("yes", "no"),
    "first_last_frame": ("yes", "no"),
    "audio": ("always", "optional", "no"),
    "max_resolution": (),
    "durations": (),
    "faces": ("good", "weak"),
    "text": ("good", "weak"),
    "lora": ("yes", "no"),
    "seed": ("yes", "no"),
    "watermark": (),
}
"""Every feature of the capability matrix and the words it may have; () leaves them open."""

WORDS = {
    "t2v": "text to video",
    "i2v": "image input",
    "first_last_frame": "first and last frame",
    "audio": "native sound",
    "max_resolution": "highest resolution",
    "durations": "clip lengths (s)",
    "faces": "human faces",
    "text": "lettering",
    "lora": "LoRA adapters",
    "seed": "seed",
    "watermark": "watermark",
}
"""What people call each feature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnteredRating:
    """A rating that a person enters on the arena's scale, with the range it may lie in.

    ``recipe`` is empty for the model as its authors run it, else names how it departs from that
    (`costlab.quality.recipe`). It holds from ``valid_from`` until a later entry or removal.
    """

    model: str
    mode: str = "t2v"
    recipe: str = ""
    value: float
    low: float
    high: float
    level: float = 0.9
    valid_from: date

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise InvalidArgument(f"a rating is of {', '.join(MODES)}, not of {self.mode!r}")
        if not self.low <= self.value <= self.high:
            raise InvalidArgument(
                f"the rating {self.value:g} must lie in its range {self.low:g} to {self.high:g}"
            )
        if not self.low < self.high:
            raise InvalidArgument("a rating needs a range: nobody knows one to the point")
        if not 0 < self.level < 1:
            raise InvalidArgument(f"level must be between 0 and 1, got {self.level}")

    @property
    def name(self) -> str:
        """The name by which it is replaced or removed."""
        parts = (self.model, self.mode, self.recipe, self.valid_from.isoformat())
        return " ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnteredFeature:
    """What a person knows that a model can do, in the words of `VOCABULARY`."""

    model: str
    feature: str
    value: str

    def __post_init__(self) -> None:
        if self.feature not in VOCABULARY:
            raise InvalidArgument(f"feature must be one of {', '.join(VOCABULARY)}")
        offered = VOCABULARY[self.feature]
        if offered and self.value not in offered:
            raise InvalidArgument(
                f"{self.feature} is one of {', '.join(offered)}, not {self.value!r}"
            )
        if not self.value:
            raise InvalidArgument(f"{self.feature} needs a value")

    @property
    def name(self) -> str:
        """The name by which it is replaced or removed."""
        return f"{self.model} {self.feature}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An entry that stands, with who made it, when and why."""

    name: str
    entered: EnteredRating | EnteredFeature
    who: str
    why: str
    entered_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One row of the audit: what was entered or removed, by whom, when and why."""

    number: int
    kind: str
    name: str
    action: Literal["entered", "changed", "removed"]
    who: str
    why: str
    entered_at: datetime
    entered: EnteredRating | EnteredFeature | None


def enter(entered: EnteredRating | EnteredFeature, *, who: str, why: str) -> str:
    """Add an entry and return its name; the model's aliases are resolved.

    Raises `InvalidArgument` without who or why, `UnknownName` for a model that is not in the book.
    """
    if not who.strip() or not why.strip():
        raise InvalidArgument("an entry needs who makes it and why")
    model = catalog.model(entered.model).id
    body = {name: _plain(getattr(entered, name)) for name in entered.__dataclass_fields__}
    kind = RATING if isinstance(entered, EnteredRating) else CAPABILITY
    settled = _read(kind, entered.name, body | {"model": model})
    store.add_entry(kind, settled.name, body | {"model": model}, who=who.strip(), why=why.strip())
    return settled.name


def remove(name: str, *, who: str, why: str) -> None:
    """End an entry by a further row; raises `InvalidArgument` where none of that name stands."""
    if not who.strip() or not why.strip():
        raise InvalidArgument("taking an entry away needs who does it and why")
    for kind in (RATING, CAPABILITY):
        if name in store.entries(kind):
            store.add_entry(kind, name, None, who=who.strip(), why=why.strip())
            return
    known = ", ".join(one.name for one in standing()) or "none"
    raise InvalidArgument(f"no entry {name!r} stands; standing: {known}")


def ratings() -> tuple[Standing, ...]:
    """Return the ratings that people entered and that stand, latest entry first."""
    return _standing(RATING, *_stamp())


def features() -> tuple[Standing, ...]:
    """Return the capabilities that people entered and that stand, latest entry first."""
    return _standing(CAPABILITY, *_stamp())


def standing() -> tuple[Standing, ...]:
    """Return everything that people entered and that stands, ratings before capabilities."""
    return (*ratings(), *features())


def audit() -> tuple[AuditRow, ...]:
    """Return every entry and removal ever made, oldest first."""
    rows: list[AuditRow] = []
    seen: set[tuple[str, str]] = set()
    log = [entry for kind in (RATING, CAPABILITY) for entry in store.entry_log(kind)]
    for entry in sorted(log, key=lambda entry: entry.number):
        key = (entry.kind, entry.name)
        rows.append(
            AuditRow(
                number=entry.number,
                kind=entry.kind,
                name=entry.name,
                action="removed" if entry.body is None else "changed" if key in seen else "entered",
                who=entry.who,
                why=entry.why,
                entered_at=entry.entered_at,
                entered=None if entry.body is None else _read(entry.kind, entry.name, entry.body),
            )
        )
        seen.add(key)
    return tuple(rows)


def _stamp() -> tuple[Path, int, int]:
    """Return what changes whenever the user's store does: routing asks thousands of times."""
    path = store.home() / "user.duckdb"
    stat = path.stat() if path.exists() else None
    return path, stat.st_mtime_ns if stat else 0, stat.st_size if stat else 0


@cache
def _standing(kind: str, path: Path, mtime_ns: int, size: int) -> tuple[Standing, ...]:  # noqa: ARG001
    newest = sorted(store.entries(kind).values(), key=lambda entry: -entry.number)
    return tuple(
        Standing(
            name=entry.name,
            entered=_read(kind, entry.name, entry.body),
            who=entry.who,
            why=entry.why,
            entered_at=entry.entered_at,
        )
        for entry in newest
    )


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _read(kind: str, name: str, body: Mapping[str, Any]) -> EnteredRating | EnteredFeature:
    try:
        if kind == CAPABILITY:
            return EnteredFeature(**body)
        return EnteredRating(**{**body, "valid_from": date.fromisoformat(body["valid_from"])})
    except (TypeError, ValueError, KeyError, CostlabError) as error:
        raise BadData(f"{kind} {name!r}", [str(error)]) from error
