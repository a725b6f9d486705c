"""The nouns and errors that every other module shares.

A `Figure` is a number that carries its proof: what it is made of, in words, down to the dated price
row or the measurement run. A figure is never stronger than its weakest input::

    measured > published > quoted > entered > estimated
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Literal

MICRO = Decimal("0.000001")


class CostlabError(Exception):
    """Anything that costlab refuses to do; its text is shown to people as it stands."""


class InvalidArgument(CostlabError, ValueError):
    """An argument is outside what the function is defined for."""


class UnknownName(CostlabError, LookupError):
    """A name that no table holds; the message offers the nearest ones."""

    @classmethod
    def among(cls, kind: str, name: str, known: Iterable[str]) -> UnknownName:
        """Return the error for ``name``, with close matches or the first names there are."""
        import difflib

        names = sorted(set(known))
        close = difflib.get_close_matches(name, names, n=4, cutoff=0.5)
        shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
        offer = f"did you mean {', '.join(close)}?" if close else f"known: {shown}"
        return cls(f"unknown {kind} {name!r}; {offer}")


class BadData(CostlabError):
    """A file, mix or scenario that breaks its rules; lists every problem at once."""

    def __init__(self, where: str, problems: Iterable[str]) -> None:
        self.where = where
        self.problems = tuple(problems)
        count = len(self.problems)
        head = f"{where}: {count} problem{'' if count == 1 else 's'}"
        super().__init__("\n".join([head, *(f"  {problem}" for problem in self.problems)]))


class NotOnSale(CostlabError):
    """The model or price is not sold on the day asked about."""


class CannotServe(CostlabError):
    """The route cannot make such a clip; the message says which wish it fails."""


class Basis(StrEnum):
    """How a figure is known, strongest first."""

    MEASURED = "measured"
    PUBLISHED = "published"
    QUOTED = "quoted"
    ENTERED = "entered"
    ESTIMATED = "estimated"

    @property
    def rank(self) -> int:
        """0 for the strongest."""
        return list(Basis).index(self)


def weakest(bases: Iterable[Basis]) -> Basis:
    """Return the weakest of ``bases``; `Basis.ENTERED` when there are none (a bare constant).

    >>> weakest([Basis.MEASURED, Basis.QUOTED]).value
    'quoted'
    """
    return max(bases, key=lambda basis: basis.rank, default=Basis.ENTERED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a fact was read, exactly as observed: nothing here is ever completed by guessing."""

    publisher: str
    document: str
    locator: str | None = None
    seen: str | None = None
    seen_precision: Literal["day", "month", "year", "undated"] = "undated"
    read_on: date | None = None
    basis: Basis = Basis.PUBLISHED
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """An interval that holds the true value with probability ``level``."""

    low: float
    high: float
    level: float = 0.9

    def scaled(self, factor: float) -> Range:
        """Return the interval in other units; a negative factor swaps the ends."""
        low, high = sorted((self.low * factor, self.high * factor))
        return Range(low=low, high=high, level=self.level)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A value with its unit and its proof.

    ``formula`` says in words how ``inputs`` make ``value``. A leaf has no inputs; it has a
    ``source``, or a ``ref`` such as ``price:<sku>@<day>`` or ``run:<id>`` that names the raw row.
    """

    name: str
    value: float | int | Decimal
    unit: str
    basis: Basis
    formula: str = ""
    inputs: tuple[Figure, ...] = ()
    range: Range | None = None
    source: Source | None = None
    ref: str = ""

    @classmethod
    def derived(
        cls,
        name: str,
        value: float | int | Decimal,
        unit: str,
        formula: str,
        inputs: Iterable[Figure],
        *,
        range: Range | None = None,
        basis: Basis | None = None,
    ) -> Figure:
        """Return a figure as weak as its weakest input, or as ``basis`` where that is weaker."""
        parts = tuple(inputs)
        bases = [part.basis for part in parts] + ([basis] if basis else [])
        return cls(
            name=name,
            value=value,
            unit=unit,
            basis=weakest(bases),
            formula=formula,
            inputs=parts,
            range=range,
        )

    @classmethod
    def entered(cls, name: str, value: float | int | Decimal, unit: str, ref: str = "") -> Figure:
        """Return a leaf that a person entered."""
        return cls(name=name, value=value, unit=unit, basis=Basis.ENTERED, ref=ref)

    @property
    def weakest_input(self) -> Figure:
        """The leaf that gives this figure its basis (the figure itself when it is a leaf)."""
        for part in self.inputs:
            if part.basis is self.basis:
                return part.weakest_input
        return self

    def leaves(self) -> Iterator[Figure]:
        """Yield the raw rows under this figure, left to right, repeats included."""
        if not self.inputs:
            yield self
        for part in self.inputs:
            yield from part.leaves()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data, empty parts left out; money stays a decimal string."""
        return {key: value for key, value in plain(self).items() if value not in (None, "", [])}

    @property
    def content_hash(self) -> str:
        """SHA-256 of the canonical JSON of the whole tree."""
        return content_hash(plain(self))


def brief(figure: Figure | None) -> dict[str, Any] | None:
    """Return what a table or a JSON answer shows of a figure, as plain data; None for none.

    Keys: value, unit, basis, low, high, weakest_input. The tree stays with the figure.
    """
    if figure is None:
        return None
    shape: dict[str, Any] = plain(
        {
            "value": figure.value,
            "unit": figure.unit,
            "basis": figure.basis.value,
            "low": figure.range.low if figure.range else None,
            "high": figure.range.high if figure.range else None,
            "weakest_input": figure.weakest_input.name,
        }
    )
    return shape


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipRequest:
    """One clip as a user wants it, before any provider's rules.

    ``resolution`` is a short-side label (``480p`` … ``1080p``, ``4k``); ``input_video_s`` is the
    length of a clip handed in to be edited or extended.
    """

    seconds: Decimal
    resolution: str = "720p"
    mode: Literal["t2v", "i2v", "extend", "edit"] = "t2v"
    audio: bool = False
    aspect: str = "16:9"
    fps: int | None = None
    quality: str = "standard"
    variants: int = 1
    input_video_s: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        if not isinstance(self.seconds, Decimal):
            raise InvalidArgument(f"seconds must be a Decimal, got {self.seconds!r}")
        if not self.seconds.is_finite() or self.seconds <= 0:
            raise InvalidArgument(f"seconds must be greater than 0, got {self.seconds}")
        if self.resolution not in RESOLUTIONS:
            raise UnknownName.among("resolution", self.resolution, RESOLUTIONS)
        if self.mode not in ("t2v", "i2v", "extend", "edit"):
            raise UnknownName.among("mode", self.mode, ("t2v", "i2v", "extend", "edit"))
        if self.variants < 1:
            raise InvalidArgument(f"variants must be at least 1, got {self.variants}")
        if not self.input_video_s.is_finite() or self.input_video_s < 0:
            raise InvalidArgument(f"input_video_s must be 0 or more, got {self.input_video_s}")


HOURS_PER_MONTH = 730
"""Hours of a mean month: 8,760 over 12."""

RESOLUTIONS: dict[str, int] = {
    "360p": 360, "480p": 480, "512p": 512, "540p": 540, "580p": 580, "720p": 720,
    "768p": 768, "1080p": 1080, "1440p": 1440, "2k": 1440, "4k": 2160,
}  # fmt: skip
"""Short side in pixels behind each resolution label."""


def micro_usd(usd: Decimal) -> int:
    """Return a billed line in millionths of a dollar, rounded once, half to even.

    Raises `InvalidArgument` for an amount that no bill can hold.

    >>> micro_usd(Decimal("0.0000025")), micro_usd(Decimal("0.0000035"))
    (2, 4)
    """
    try:
        return int(usd.quantize(MICRO, rounding=ROUND_HALF_EVEN).scaleb(6))
    except InvalidOperation as error:
        raise InvalidArgument(f"{usd:.3e} dollars are more than a bill can hold") from error


def usd(micro: int) -> Decimal:
    """Return millionths of a dollar as dollars.

    >>> usd(1_500_000)
    Decimal('1.500000')
    """
    return Decimal(micro).scaleb(-6)


def apportion(total: int, weights: Iterable[float]) -> list[int]:
    """Split ``total`` units by ``weights`` so that the parts add up, by largest remainder.

    >>> apportion(100, [1, 1, 1])
    [34, 33, 33]
    """
    shares = list(weights)
    whole = math.fsum(shares)
    if not shares or min(shares) < 0 or not whole > 0:
        raise InvalidArgument("weights must not be negative and must not all be zero")
    exact = [total * share / whole for share in shares]
    parts = [math.floor(value) for value in exact]
    by_remainder = sorted(range(len(parts)), key=lambda i: parts[i] - exact[i])
    for i in by_remainder[: total - sum(parts)]:
        parts[i] += 1
    return parts


def plain(value: Any) -> Any:
    """Return ``value`` as JSON data: decimals and dates as text, floats to 9 significant digits."""
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date):
        return value.isoformat()
    if hasattr(value, "item"):
        return plain(value.item())
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return float(f"{value:.9g}")
    if isinstance(value, Iterable):
        return [plain(item) for item in value]
    raise InvalidArgument(f"{type(value).__name__} has no JSON form here")


def canonical_json(value: Any) -> str:
    """Return the one JSON text of ``value``: sorted keys, no spaces, as `plain` writes numbers."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def content_hash(value: Any) -> str:
    """Return the SHA-256 of `canonical_json`, in hexadecimal."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class LineItem:
    """One line of a bill: ``quantity`` × ``usd_per_unit``, quantised once to a micro-dollar."""

    label: str
    quantity: Decimal
    unit: str
    usd_per_unit: Decimal
    micro_usd: int
    formula: str = ""
    price_ref: str = ""
    sources: tuple[Source, ...] = field(default=())

    @classmethod
    def of(
        cls,
        label: str,
        quantity: Decimal,
        unit: str,
        usd_per_unit: Decimal,
        *,
        formula: str = "",
        price_ref: str = "",
        sources: tuple[Source, ...] = (),
    ) -> LineItem:
        """Return the line with its amount worked out."""
        return cls(
            label=label,
            quantity=quantity,
            unit=unit,
            usd_per_unit=usd_per_unit,
            micro_usd=micro_usd(quantity * usd_per_unit),
            formula=formula,
            price_ref=price_ref,
            sources=sources,
        )
