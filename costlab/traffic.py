"""Traffic mixes: who wants which clips, how many, and when in the day and the week."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from costlab import store
from costlab.core import BadData, ClipRequest, CostlabError, InvalidArgument, UnknownName

HOURS_PER_DAY = 24
DAYS_PER_WEEK = 7
MONTHS_PER_YEAR = 12
_UNSEEN = frozenset({"name", "share", "acceptance", "max_tries", "note"})
"""What of a segment no request carries: a policy sees its name as ``segment``."""
MOST_CLIPS_PER_MONTH = 2_000_000_000
"""Above the 1.2 billion clips told of Grok Imagine's first month (apidog.com blog, 2026-02)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One kind of wanted clip and its share of all wanted clips.

    ``acceptance`` is the share of delivered clips that the user keeps, ``max_tries`` how often one
    clip is attempted before it is given up (None: until it is accepted). ``batch`` clips may wait
    for a quiet hour. ``faces``, ``text`` and ``lora`` say that the clip shows faces, shows
    lettering, needs a fine-tuned adapter; ``min_quality`` is the lowest arena rating that will do,
    and ``max_latency_s`` the longest time from request to video.
    """

    name: str
    share: float
    seconds: Decimal
    stage: Literal["preview", "final"] = "final"
    tier: str = "standard"
    quality: Literal["standard", "premium"] = "standard"
    mode: Literal["t2v", "i2v"] = "t2v"
    resolution: str = "720p"
    audio: bool = False
    aspect: str = "16:9"
    batch: bool = False
    faces: bool = False
    text: bool = False
    lora: bool = False
    min_quality: float | None = None
    max_latency_s: float | None = None
    acceptance: float = 1.0
    max_tries: int | None = None
    tenant: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise InvalidArgument(f"segment {self.name}: share must be in [0, 1], got {self.share}")
        if not 0 < self.acceptance <= 1:
            raise InvalidArgument(
                f"segment {self.name}: acceptance must be in (0, 1], got {self.acceptance}"
            )
        if self.max_tries is not None and self.max_tries < 1:
            raise InvalidArgument(
                f"segment {self.name}: max_tries must be at least 1, got {self.max_tries}"
            )
        if self.max_latency_s is not None and not self.max_latency_s > 0:
            raise InvalidArgument(
                f"segment {self.name}: max_latency_s must be greater than 0, "
                f"got {self.max_latency_s}"
            )
        try:
            self.request()
        except CostlabError as error:
            raise InvalidArgument(f"segment {self.name}: {error}") from error

    def request(self) -> ClipRequest:
        """Return the clip that one attempt asks for."""
        return ClipRequest(
            seconds=self.seconds,
            resolution=self.resolution,
            mode=self.mode,
            audio=self.audio,
            aspect=self.aspect,
            quality=self.quality,
        )

    def features(self) -> dict[str, Any]:
        """Return what a policy may look at, by the names its rules use."""
        named = {item.name: getattr(self, item.name) for item in fields(self)}
        return {key: value for key, value in named.items() if key not in _UNSEEN} | {
            "segment": self.name
        }


FEATURES = frozenset({item.name for item in fields(Segment)} - _UNSEEN | {"segment"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficMix:
    """Segments whose shares sum to one, the clips wanted in a month, and their shape over time.

    ``hourly`` has 24, ``weekly`` (from Monday) 7 and ``seasonality`` (from January) 12 relative
    weights. ``clips_per_month`` is wanted in the month that is projected; `volume` tells how many
    later months want, each ``growth_per_month`` more than the one before it.
    """

    id: str
    title: str
    clips_per_month: float
    segments: tuple[Segment, ...]
    hourly: tuple[float, ...] = (1.0,) * HOURS_PER_DAY
    weekly: tuple[float, ...] = (1.0,) * DAYS_PER_WEEK
    seasonality: tuple[float, ...] = (1.0,) * MONTHS_PER_YEAR
    growth_per_month: float = 0.0
    note: str = ""

    def __post_init__(self) -> None:
        problems = []
        problems += id_problems(self.id)
        problems += volume_problems(self.clips_per_month)
        names = [segment.name for segment in self.segments]
        problems += [f"segment {name!r} appears twice" for name in _repeated(names)]
        total = math.fsum(segment.share for segment in self.segments)
        if abs(total - 1) > 1e-9:
            listed = ", ".join(f"{segment.name} {segment.share:g}" for segment in self.segments)
            problems.append(f"segments: shares must sum to 1, found {total:g} ({listed})")
        if not -1 < self.growth_per_month < math.inf:
            problems.append(f"growth_per_month must be above -1, found {self.growth_per_month}")
        if self.seasonality and not min(self.seasonality) > 0:
            problems.append("seasonality: every month needs a weight above 0")
        for name, length in (
            ("hourly", HOURS_PER_DAY),
            ("weekly", DAYS_PER_WEEK),
            ("seasonality", MONTHS_PER_YEAR),
        ):
            weights = getattr(self, name)
            if len(weights) != length:
                problems.append(f"{name}: expected {length} weights, found {len(weights)}")
            elif min(weights) < 0 or not math.fsum(weights) > 0:
                problems.append(f"{name}: weights must not be negative nor all zero")
        if problems:
            raise BadData(f"mix {self.id}", problems)

    @property
    def peak_factor(self) -> float:
        """Arrivals in the busiest hour of the week over the week's mean hour.

        >>> mix = TrafficMix(id="m", title="", clips_per_month=1, hourly=(2.0,) + (1.0,) * 23,
        ...     segments=(Segment(name="a", share=1, seconds=Decimal(5)),))
        >>> round(mix.peak_factor, 2)
        1.92
        """
        return max(self.hours_of_week)

    @property
    def hours_of_week(self) -> tuple[float, ...]:
        """The 168 hours of the week from Monday midnight, over the week's mean hour."""
        hours = math.fsum(self.hourly) / HOURS_PER_DAY
        days = math.fsum(self.weekly) / DAYS_PER_WEEK
        return tuple(day * hour / (days * hours) for day in self.weekly for hour in self.hourly)

    def volume(self, clips: float, start: date, month: date) -> float:
        """Return the clips wanted in ``month`` where the month of ``start`` wants ``clips``.

        clips · (1 + growth)^k · season of the month / season of the start, k months on.

        >>> mix = TrafficMix(id="m", title="", clips_per_month=1, growth_per_month=0.1,
        ...     segments=(Segment(name="a", share=1, seconds=Decimal(5)),))
        >>> round(mix.volume(1000, date(2026, 11, 22), date(2027, 1, 1)), 6)
        1210.0
        """
        months = (month.year - start.year) * MONTHS_PER_YEAR + month.month - start.month
        season = self.seasonality[month.month - 1] / self.seasonality[start.month - 1]
        return clips * (1 + self.growth_per_month) ** months * season


def id_problems(identity: str) -> list[str]:
    """Return what keeps a text from being the id of a mix, a policy or a scenario."""
    if re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", identity):
        return []
    return [
        "id: use up to 64 small letters, digits, '.', '_' and '-', such as my-app; "
        f"found {identity!r}"
    ]


def volume_problems(clips_per_month: float) -> list[str]:
    """Return what is wrong with a number of clips a month."""
    if 0 <= clips_per_month <= MOST_CLIPS_PER_MONTH:
        return []
    return [f"clips_per_month must be from 0 to {MOST_CLIPS_PER_MONTH:,}, found {clips_per_month}"]


def _repeated(names: Iterable[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """What it takes to serve one wanted clip: expected attempts, and the share ever accepted."""

    per_wanted: float
    accepted_share: float
    per_accepted: float
    billed_share: float


def attempts(
    *, failure: float, acceptance: float, max_tries: int | None, failures_billed: bool
) -> Attempts:
    """Return the attempts of one wanted clip, retried until accepted or ``max_tries`` is reached.

    p = (1 − failure) · acceptance; without a limit attempts are 1/p, with at most k tries
    (1 − (1 − p)^k)/p, of which 1 − (1 − p)^k end accepted. ``billed_share`` is the billed share of
    attempts: (1 − failure) + failure · b, b = 1 where failed attempts are billed.

    >>> attempts(failure=0.0, acceptance=0.5, max_tries=2, failures_billed=False)
    Attempts(per_wanted=1.5, accepted_share=0.75, per_accepted=2.0, billed_share=1.0)
    """
    if not 0 <= failure < 1:
        raise InvalidArgument(f"failure share must be in [0, 1), got {failure}")
    p = (1 - failure) * acceptance
    accepted = 1.0 if max_tries is None else 1 - (1 - p) ** max_tries
    return Attempts(
        per_wanted=accepted / p,
        accepted_share=accepted,
        per_accepted=1 / p,
        billed_share=(1 - failure) + failure * failures_billed,
    )


def as_shares(body: dict[str, Any], where: str = "mix") -> dict[str, Any]:
    """Return a mix's plain data with shares where its segments say clips a month instead.

    The month's volume is then their sum. Raises `BadData` where shares and rates are mixed, or the
    mix says another volume.

    >>> rates = {"segments": [{"clips_per_month": 30}, {"clips_per_month": 10}]}
    >>> as_shares(rates)["clips_per_month"], as_shares(rates)["segments"]
    (40, [{'share': 0.75}, {'share': 0.25}])
    """
    segments = body.get("segments")
    if not isinstance(segments, (list, tuple)):
        return body
    rates: list[Any] = [s.get("clips_per_month") for s in segments if isinstance(s, dict)]
    if not any(rate is not None for rate in rates):
        return body
    try:
        numbers = [float(rate) for rate in rates]
        total = sum(rates)
    except TypeError as error:
        raise BadData(
            where, ["segments: give each a share, or each its clips_per_month"]
        ) from error
    if any("share" in segment for segment in segments) or min(numbers) < 0 or not total > 0:
        raise BadData(
            where, ["segments: give each a share, or each its clips_per_month of 0 or more"]
        )
    if body.get("clips_per_month") not in (None, total):
        raise BadData(
            where,
            [f"clips_per_month: the segments sum to {total}, found {body['clips_per_month']}"],
        )
    parts = [
        {k: v for k, v in segment.items() if k != "clips_per_month"} | {"share": number / total}
        for segment, number in zip(segments, numbers, strict=True)
    ]
    return body | {"clips_per_month": total, "segments": parts}


def _read(path: Path) -> list[dict[str, Any]]:
    return [as_shares(body, path.name) for body in store.read_mapping(path)]


MIXES = store.Shelf(table="mixes", record=TrafficMix, pattern="traffic/*.yaml", parse=_read)


def mixes() -> dict[str, TrafficMix]:
    """Return every mix by id: the shipped ones, and on top of them the user's own."""
    shipped = {mix.id: mix for mix in store.records(MIXES)}
    return shipped | store.parsed_entries("mix", TrafficMix)[0]


def mix(name: str) -> TrafficMix:
    """Return one mix by id, or from a YAML or JSON file where ``name`` is a path to one."""
    if name.endswith((".yaml", ".yml", ".json")):
        path = Path(name)
        if not path.is_file():
            raise UnknownName(f"no traffic file {name}")
        return store.parse(_read(path), TrafficMix, path.name)[0]
    known = mixes()
    if name not in known:
        raise UnknownName.among("traffic mix", name, known)
    return known[name]


def parse_mix(body: dict[str, Any], where: str = "mix") -> TrafficMix:
    """Return a mix from plain data; raises `BadData` listing every problem."""
    return store.parse([as_shares(body, where)], TrafficMix, where)[0]


def save_mix(body: dict[str, Any], *, who: str = "", why: str = "") -> TrafficMix:
    """Check a mix and keep it in the user's store."""
    checked = parse_mix(body)
    store.add_entry("mix", checked.id, as_shares(body), who=who, why=why)
    return checked
