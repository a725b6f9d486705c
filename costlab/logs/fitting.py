"""The traffic mix that a log shows: segments, shape of the day and week, growth, acceptance.

counts by features ──small kinds folded──▶ segments
counts by hour     ──per covered hour────▶ hourly, weekly ──▶ months ──▶ growth, season
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costlab import store
from costlab.core import HOURS_PER_MONTH, BadData, plain
from costlab.logs.reading import (
    FEATURES,
    Log,
    Segments,
    Span,
    Unmapped,
    count,
    label,
    locate,
    span,
    timeless,
    unread,
)
from costlab.traffic import DAYS_PER_WEEK, HOURS_PER_DAY, MONTHS_PER_YEAR, Segment, TrafficMix

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedMix:
    """Traffic as a log shows it, and how far to trust that.

    ``used`` of ``rows`` requests could be mapped. ``folded_share`` are requests in kinds too small
    for a segment of their own, counted with the nearest kept one. Errors compare the mix with the
    log: ``hours_error`` and ``shares_error`` are the part of requests that would have to change
    hour, or kind, to agree (0 none, 1 all); ``seconds_error`` is the mean length's relative error,
    ``months_error`` the mean relative error of a month's requests.
    """

    mix: TrafficMix
    rows: int
    used: int
    first: datetime
    last: datetime
    folded_share: float
    shares_error: float
    seconds_error: float
    hours_error: float
    months_error: float | None
    assumed: Mapping[str, str]
    left_out: Mapping[str, str]
    unmapped: tuple[Unmapped, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data; ``mix`` is what `traffic.parse_mix` takes."""
        shape: dict[str, Any] = plain(self)
        return shape | {
            "first": self.first.isoformat(sep=" "),
            "last": self.last.isoformat(sep=" "),
            "mix": mix_body(self.mix),
        }


def mix_body(mix: TrafficMix) -> dict[str, Any]:
    """Return a mix as the plain data of a YAML file, what is standard left out."""
    body = _told(mix)
    return body | {"segments": [_told(segment) for segment in mix.segments]}


def _told(record: Segment | TrafficMix) -> dict[str, Any]:
    return {
        item.name: plain(getattr(record, item.name))
        for item in fields(record)
        if item.default is MISSING or getattr(record, item.name) != item.default
    }


def fit(
    log: Log,
    *,
    id: str = "from-log",
    title: str = "",
    by_tenant: bool = False,
    min_share: float = 0.002,
    most_segments: int = 100,
) -> FittedMix:
    """Return the traffic mix of a log, with what could not be mapped and how well it fits.

    A segment is a distinct combination of features with at least ``min_share`` of the requests,
    the largest ``most_segments`` of them; smaller kinds count with the nearest. Requests are
    attempts: where the log says which were accepted (or failed), the mix holds the clips that were
    wanted, accepted ÷ delivered being the acceptance. Hours and weekdays are rates per hour covered
    by the log; growth needs two months, seasonality twelve. Raises `BadData` where nothing fits.
    """
    known = span(log)
    return fitted(
        log, known, count(log, ()), id=id, title=title, by_tenant=by_tenant, min_share=min_share,
        most_segments=most_segments,
    )  # fmt: skip


@dataclass(slots=True)
class _Kind:
    segment: Segment
    n: int = 0
    accepted: int = 0
    judged: int = 0
    failed: int = 0


def fitted(
    log: Log,
    known: Span,
    counted: pa.Table,
    *,
    id: str = "from-log",
    title: str = "",
    by_tenant: bool = False,
    min_share: float = 0.002,
    most_segments: int = 100,
) -> FittedMix:
    """Return the mix of a log that was counted before (`count`), by whatever periods."""
    if known.first is None or known.last is None:
        raise BadData(log.files[0], ["no row has a time that can be read"])
    kinds, used, segments = _kinds(log, counted, by_tenant)
    if not kinds:
        reasons = [f"{u.column} {u.value!r}: {u.reason}" for u in locate(log, segments.bad)]
        raise BadData(log.files[0], ["no request could be mapped", *reasons[:20]])
    kept, moved = _fold(kinds, min_share, most_segments)
    notes = _notes(log, known, used, kept, segments, by_tenant)
    segments_kept, wanted, more = _wanted(kept)
    notes += more
    shape = _over_time(log, known)
    mix = TrafficMix(
        id=id,
        title=title or f"Traffic of {Path(log.files[0]).name}",
        clips_per_month=float(f"{shape.per_month * wanted / shape.rows:.9g}"),
        segments=tuple(segments_kept),
        hourly=shape.hourly,
        weekly=shape.weekly,
        seasonality=shape.seasonality,
        growth_per_month=shape.growth,
        note=f"Fitted from {used:,} requests of {known.first:%Y-%m-%d} to {known.last:%Y-%m-%d}.",
    )
    total = sum(kind.n for kind in kinds)
    told = sum(float(kind.segment.seconds) * kind.n for kind in kinds) / total
    said = sum(float(to.segment.seconds) * kind.n for kind, to in moved) / total
    bad = dict(segments.bad) | unread(log, counted)
    if known.timeless:
        bad["time"] = timeless(log)
    return FittedMix(
        mix=mix,
        rows=known.rows,
        used=used,
        first=known.first,
        last=known.last,
        folded_share=sum(kind.n for kind, to in moved if kind is not to) / total,
        shares_error=_shares_error(mix, kinds),
        seconds_error=abs(said - told) / told,
        hours_error=shape.hours_error,
        months_error=shape.months_error,
        assumed=log.assumed,
        left_out=log.left_out,
        unmapped=(*known.unreadable, *locate(log, bad)),
        notes=tuple(notes + list(shape.notes)),
    )


def _kinds(log: Log, counted: pa.Table, by_tenant: bool) -> tuple[list[_Kind], int, Segments]:
    names = [name for name in log.features if by_tenant or name != "tenant"]
    with store.analysis() as connection:
        connection.register("counted", counted)
        rows = connection.execute(
            f"SELECT {', '.join(names)}, CAST(sum(n) AS BIGINT), CAST(sum(accepted) AS BIGINT), "
            "CAST(sum(accepted + not_accepted) AS BIGINT), CAST(sum(failed) AS BIGINT) "
            "FROM counted WHERE period IS NOT NULL GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    varied = [name for i, name in enumerate(names) if len({row[i] for row in rows}) > 1]
    segments = Segments(log, varied)
    kinds: dict[Segment, _Kind] = {}
    used = 0
    for row in rows:
        cells = dict(zip(names, row[: len(names)], strict=True))
        n, accepted, judged, failed = row[len(names) :]
        segment = segments.of(cells, n)
        if isinstance(segment, str):
            continue
        used += n
        kind = kinds.setdefault(segment, _Kind(segment=segment))
        kind.n += n
        kind.accepted += accepted
        kind.judged += judged
        kind.failed += failed
    return _named(list(kinds.values()), by_tenant), used, segments


def _named(kinds: list[_Kind], by_tenant: bool) -> list[_Kind]:
    """Make names differ where kinds do: a user's own name can cover several kinds."""
    seen: dict[str, int] = defaultdict(int)
    for kind in kinds:
        seen[kind.segment.name] += 1
    everything = set(FEATURES)
    taken: dict[str, int] = defaultdict(int)
    for kind in kinds:
        name = kind.segment.name
        if by_tenant and kind.segment.tenant:
            name = f"{name}, {kind.segment.tenant}"
        if seen[kind.segment.name] > 1 and not (by_tenant and kind.segment.tenant):
            name = f"{name}: {label(kind.segment, everything)}"
        taken[name] += 1
        name += f" ({taken[name]})" if taken[name] > 1 else ""
        kind.segment = replace(kind.segment, name=name)
    return kinds


def _fold(
    kinds: Sequence[_Kind], min_share: float, most: int
) -> tuple[list[_Kind], list[tuple[_Kind, _Kind]]]:
    """Return the segments to keep, small kinds added to the nearest, and where each kind went."""
    total = sum(kind.n for kind in kinds)
    ordered = sorted(kinds, key=lambda kind: (-kind.n, kind.segment.name))
    large = [kind for kind in ordered[:most] if kind.n >= min_share * total] or ordered[:1]
    kept = {
        id(kind): _Kind(kind.segment, kind.n, kind.accepted, kind.judged, kind.failed)
        for kind in large
    }
    moved = [(kind, kind) for kind in large]
    known = {id(kind) for kind in large}
    for kind in ordered:
        if id(kind) in known:
            continue
        near = min(large, key=lambda other: (_distance(kind.segment, other.segment), -other.n))
        moved.append((kind, near))
        to = kept[id(near)]
        to.n, to.accepted = to.n + kind.n, to.accepted + kind.accepted
        to.judged, to.failed = to.judged + kind.judged, to.failed + kind.failed
    return list(kept.values()), moved


_WEIGHTS = {"mode": 8.0, "audio": 8.0, "batch": 4.0, "quality": 4.0, "resolution": 3.0,
            "stage": 2.0, "tier": 2.0}  # fmt: skip
"""What a difference counts for when a small kind looks for its nearest: first what decides who
can make the clip, then what a policy looks at, then the rest at 1."""


def _distance(one: Segment, other: Segment) -> float:
    apart = abs(math.log(float(one.seconds) / float(other.seconds)))
    return apart + sum(
        _WEIGHTS.get(name, 1.0)
        for name in FEATURES
        if name not in ("seconds", "segment") and getattr(one, name) != getattr(other, name)
    )


def _wanted(kept: Sequence[_Kind]) -> tuple[list[Segment], float, list[str]]:
    """Return the segments with their shares of wanted clips, and how many were wanted."""
    notes = []
    judged, accepted = sum(k.judged for k in kept), sum(k.accepted for k in kept)
    if judged and not accepted:
        raise BadData("acceptance", ["the log accepts no clip: there is no demand to fit from it"])
    wanted, rates = [], []
    for kind in kept:
        delivered = kind.n - kind.failed
        rate = kind.accepted / kind.judged if kind.accepted else 1.0
        if judged and not kind.accepted:
            rate = accepted / judged
            notes.append(
                f"{kind.segment.name}: the log accepts none of its {kind.judged:,} judged clips; "
                f"the whole log's {rate:.0%} is taken"
            )
        rates.append(min(rate, 1.0))
        wanted.append(delivered * rates[-1])
    if not math.fsum(wanted):
        raise BadData("acceptance", ["every attempt of the log failed"])
    shares = [part / math.fsum(wanted) for part in wanted]
    segments = [
        replace(
            kind.segment,
            share=share,
            acceptance=float(f"{rate:.9g}"),
        )
        for kind, share, rate in zip(kept, shares, rates, strict=True)
    ]
    return segments, math.fsum(wanted), notes


def _shares_error(mix: TrafficMix, kinds: Sequence[_Kind]) -> float:
    """Return half the sum of |share in the log − share in the mix| of attempts, over all kinds."""
    attempts = {segment.name: segment.share / segment.acceptance for segment in mix.segments}
    whole = math.fsum(attempts.values())
    total = sum(kind.n - kind.failed for kind in kinds)
    return 0.5 * math.fsum(
        abs((kind.n - kind.failed) / total - attempts.get(kind.segment.name, 0.0) / whole)
        for kind in kinds
    )


def _notes(
    log: Log, known: Span, used: int, kept: Sequence[_Kind], segments: Segments, by_tenant: bool
) -> list[str]:
    notes = []
    if used < known.rows:
        notes.append(
            f"{known.rows - used:,} of {known.rows:,} rows could not be mapped and are left out"
        )
    notes += [
        f"{name} is empty in {rows:,} rows; they get the usual value"
        for name, rows in sorted(segments.empty.items())
        if name not in ("seconds", "segment", "tenant")
    ]
    if "tenant" in log.columns and not by_tenant:
        notes.append("tenants are taken together; fit by tenant to keep them apart")
    if "accepted" not in log.columns:
        notes.append("the log does not say which clips were accepted: every delivered one counts")
    elif sum(kind.judged for kind in kept) < sum(kind.n - kind.failed for kind in kept):
        notes.append("acceptance is that of the clips for which the log tells it")
    return notes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    rows: int
    per_month: float
    hourly: tuple[float, ...]
    weekly: tuple[float, ...]
    seasonality: tuple[float, ...]
    growth: float
    hours_error: float
    months_error: float | None
    notes: tuple[str, ...]


def _over_time(log: Log, known: Span) -> _Shape:
    counts: dict[tuple[int, int, int], int] = {}
    with store.analysis() as connection:
        rows = connection.execute(
            "SELECT year(t) * 12 + month(t) - 1, isodow(t) - 1, hour(t), count(*) FROM "
            f"(SELECT {log.time()} AS t FROM {log.scan()}) WHERE t IS NOT NULL GROUP BY ALL"
        ).fetchall()
    for month, day, hour, found in rows:
        counts[month, day, hour] = found
    covered: dict[tuple[int, int, int], int] = defaultdict(int)
    first, last = known.first, known.last
    if first is None or last is None:
        raise BadData(log.files[0], ["no row has a time that can be read"])
    hour_now = first.replace(minute=0, second=0, microsecond=0)
    while hour_now <= last:
        covered[hour_now.year * 12 + hour_now.month - 1, hour_now.weekday(), hour_now.hour] += 1
        hour_now += timedelta(hours=1)
    hourly, weekly, notes = _week(counts, covered)
    volume = _growth(counts, covered, hourly, weekly)
    return _Shape(
        rows=sum(counts.values()),
        per_month=volume.per_month,
        hourly=hourly,
        weekly=weekly,
        seasonality=volume.seasonality,
        growth=volume.growth,
        hours_error=_hours_error(counts, covered, hourly, weekly),
        months_error=volume.error,
        notes=(*notes, *volume.notes),
    )


_Hours = Mapping[tuple[int, int, int], int]


def _week(
    counts: _Hours, covered: _Hours
) -> tuple[tuple[float, ...], tuple[float, ...], list[str]]:
    """Return the weights of hours and weekdays: rates per covered hour, over their mean."""
    found: dict[tuple[int, int], int] = defaultdict(int)
    over: dict[tuple[int, int], int] = defaultdict(int)
    for (_, day, hour), n in counts.items():
        found[day, hour] += n
    for (_, day, hour), n in covered.items():
        over[day, hour] += n
    notes = []

    def weights(length: int, part: int) -> tuple[float, ...]:
        clips = [0] * length
        hours = [0] * length
        for key, n in over.items():
            hours[key[part]] += n
            clips[key[part]] += found[key]
        if not all(hours):
            return ()
        rates = [c / h for c, h in zip(clips, hours, strict=True)]
        mean = math.fsum(rates) / length
        return tuple(float(f"{rate / mean:.6g}") for rate in rates)

    weekly = weights(DAYS_PER_WEEK, 0)
    hourly = weights(HOURS_PER_DAY, 1)
    if not hourly:
        notes.append("the log covers less than a day: every hour counts the same")
    if not weekly:
        notes.append("the log covers less than a week: every weekday counts the same")
    return hourly or (1.0,) * HOURS_PER_DAY, weekly or (1.0,) * DAYS_PER_WEEK, notes


def _hours_error(
    counts: _Hours, covered: _Hours, hourly: Sequence[float], weekly: Sequence[float]
) -> float:
    said: dict[tuple[int, int], float] = defaultdict(float)
    told: dict[tuple[int, int], float] = defaultdict(float)
    for (_, day, hour), n in covered.items():
        said[day, hour] += n * weekly[day] * hourly[hour]
    for (_, day, hour), n in counts.items():
        told[day, hour] += n
    whole, total = math.fsum(said.values()), math.fsum(told.values())
    return 0.5 * math.fsum(abs(said[key] / whole - told[key] / total) for key in said)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Volume:
    per_month: float
    growth: float
    seasonality: tuple[float, ...]
    error: float | None
    notes: tuple[str, ...]


def _growth(
    counts: _Hours, covered: _Hours, hourly: Sequence[float], weekly: Sequence[float]
) -> _Volume:
    """Return the requests of the log's last month, and what months do over time.

    Each month counts by its requests per hour as the week's shape weighs the hours that the log
    covers of it. Growth is the slope of the logarithms (least squares), or from 24 months on the
    mean of the same months a year apart; the season is what is left of a month, on average.
    """
    months_seen = sorted({month for month, _, _ in covered})
    weight: dict[int, float] = defaultdict(float)
    hours: dict[int, int] = defaultdict(int)
    found: dict[int, int] = defaultdict(int)
    for (month, day, hour), n in covered.items():
        weight[month] += n * weekly[day] * hourly[hour]
        hours[month] += n
    for (month, _, _), n in counts.items():
        found[month] += n
    rates = {
        month: found[month] / weight[month] * HOURS_PER_MONTH
        for month in months_seen
        if weight[month] and hours[month] >= HOURS_PER_MONTH / 4 and found[month]
    }
    level = sum(found.values()) / math.fsum(weight.values()) * HOURS_PER_MONTH
    flat = (1.0,) * MONTHS_PER_YEAR
    if len(rates) < 2:
        return _Volume(
            per_month=level,
            growth=0.0,
            seasonality=flat,
            error=None,
            notes=("the log covers less than two months: no growth is fitted",),
        )
    last = months_seen[-1]
    logs = {month: math.log(rate) for month, rate in rates.items()}
    yearly = [logs[m + 12] - logs[m] for m in logs if m + 12 in logs]
    if len(yearly) >= MONTHS_PER_YEAR:
        slope = math.fsum(yearly) / len(yearly) / MONTHS_PER_YEAR
    else:
        middle = math.fsum(logs) / len(logs)
        slope = math.fsum((m - middle) * value for m, value in logs.items()) / math.fsum(
            (m - middle) ** 2 for m in logs
        )
    base = math.fsum(value - slope * (m - last) for m, value in logs.items()) / len(logs)
    notes: tuple[str, ...] = ()
    season = flat
    if len({month % 12 for month in logs}) == MONTHS_PER_YEAR:
        rest: dict[int, list[float]] = defaultdict(list)
        for month, value in logs.items():
            rest[month % 12].append(math.exp(value - slope * (month - last) - base))
        mean = [math.fsum(rest[m]) / len(rest[m]) for m in range(MONTHS_PER_YEAR)]
        whole = math.fsum(mean) / MONTHS_PER_YEAR
        season = tuple(float(f"{m / whole:.6g}") for m in mean)
        if len(yearly) < MONTHS_PER_YEAR:
            notes = ("under two years of log: growth and season cannot be told apart with care",)
    said = {month: math.exp(base + slope * (month - last)) * season[month % 12] for month in rates}
    return _Volume(
        per_month=math.exp(base) * season[last % 12],
        growth=float(f"{math.expm1(slope):.6g}"),
        seasonality=season,
        error=math.fsum(abs(said[m] / rates[m] - 1) for m in rates) / len(rates),
        notes=notes,
    )
