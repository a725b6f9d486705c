"""Every model by one name: what it can make, and every other name it goes by.

A model is an idea (``veo-3.1``); who sells it, under which endpoint and price, is a matter of the
price book (`costlab.catalog.book`). Absent capabilities are absent: nothing is assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from functools import cache
from typing import Literal

from costlab import store
from costlab.core import RESOLUTIONS, BadData, Source, UnknownName

Audio = Literal["always", "optional", "no", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model with its aliases and the capabilities that a source states.

    ``durations`` lists the clip lengths it can make: ``"4,6,8"`` (only these), ``"3-15"`` (whole
    seconds), ``""`` (no source says). ``durations_at`` narrows that for single resolutions.
    ``frames`` gives the rendered width × height by ``"<resolution> <aspect>"``, where pixels are
    billed.
    """

    id: str
    name: str
    kind: Literal["api", "self_hosted"]
    provider: str
    family: str
    aliases: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    audio: Audio = "unknown"
    max_resolution: str = ""
    durations: str = ""
    durations_at: Mapping[str, str] = field(default_factory=dict, hash=False)
    fps: tuple[int, ...] = ()
    aspects: tuple[str, ...] = ()
    frames: Mapping[str, str] = field(default_factory=dict, hash=False)
    lora: bool | None = None
    successor: str = ""
    note: str = ""
    source: Source | None = None

    @property
    def has_audio(self) -> bool:
        """Whether a source says that it makes sound."""
        return self.audio in ("always", "optional")

    def reaches(self, resolution: str) -> bool:
        """Whether a source says that it can make ``resolution``."""
        known = RESOLUTIONS.get(self.max_resolution, 0)
        return RESOLUTIONS[resolution] <= known

    def durations_for(self, resolution: str | None) -> str:
        """Return the clip lengths on offer at ``resolution``."""
        return self.durations_at.get(resolution or "", self.durations)


MODELS = store.Shelf(table="models", record=Model, pattern="models.yaml")


def models() -> tuple[Model, ...]:
    """Return every model of the book."""
    return store.records(MODELS)


def model(name: str) -> Model:
    """Return the model that ``name`` stands for; raises `UnknownName` with near matches."""
    names = _names(MODELS.fingerprint())
    found = names.get(name) or names.get(_folded(name))
    if found is None:
        raise UnknownName.among("model", name, names)
    return found


@cache
def _names(fingerprint: str) -> dict[str, Model]:  # noqa: ARG001 - the cache key
    names: dict[str, Model] = {}
    clashes: list[str] = []
    for entry in models():
        keys = {form for name in (entry.id, *entry.aliases) for form in (name, _folded(name))}
        clashes += [
            f"{key!r} names both {names[key].id} and {entry.id}"
            for key in sorted(keys & set(names))
        ]
        names |= dict.fromkeys(keys, entry)
    if clashes:
        raise BadData("models.yaml", clashes)
    return names


def _folded(name: str) -> str:
    return name.strip().lower().replace(" ", "-").replace("_", "-")


def round_up(wanted_s: Decimal, durations: str) -> Decimal | None:
    """Return the shortest clip length on offer that holds ``wanted_s``; None where none does.

    >>> round_up(Decimal(5), "4,6,8"), round_up(Decimal("4.2"), "3-15"), round_up(Decimal(9), "4,8")
    (Decimal('6'), Decimal('5'), None)
    >>> round_up(Decimal("4.25"), "")
    Decimal('4.25')
    """
    if not durations:
        return wanted_s
    if "-" in durations:
        low, high = (Decimal(end) for end in durations.split("-"))
        length = max(wanted_s.quantize(Decimal(1), rounding=ROUND_CEILING), low)
        return length if length <= high else None
    return min((s for s in map(Decimal, durations.split(",")) if s >= wanted_s), default=None)
