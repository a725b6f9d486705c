"""The next model: an API, a self-hosted architecture or a price cut that arrives on a day.

    month ──days before──▶ clips · USD per clip as it is
          └─days from the day on─▶ clips · USD per clip with the newcomer

Every segment goes to the cheapest route that can make it, at the prices of the scenario's day;
everything else stays as it is. Own GPUs are paid at `Losses.utilisation`, so that a month is a sum
over clips and the day can be exact. What a fleet in whole GPUs costs is `costlab.projection`'s
matter; where every clip goes to an API both give the same bill.
"""

from __future__ import annotations

import calendar
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal

from costlab import catalog, quality, traffic
from costlab.core import (
    RESOLUTIONS,
    CostlabError,
    Figure,
    InvalidArgument,
    UnknownName,
)
from costlab.patterns.accepted import (
    Answer,
    Cell,
    Losses,
    Route,
    check_amounts,
    check_shares,
    clips_wanted,
    crossings,
    route_of,
    routes,
    said_share,
    said_usd,
    worked_out,
)
from costlab.scenarios import Scenario
from costlab.unitcost import SECONDS_PER_HOUR, Deployment, UnitCost

NAME = "next"
MOST_MONTHS = 60
NOBODY = "not served"


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """What arrives.

    ``api``: the book's model of that ``name``, or where ``usd_per_second`` is given any API at that
    price. ``self_hosted``: a model on ``gpus_per_clip`` GPUs at ``usd_per_gpu_hour`` that takes so
    many ``render_s_per_second`` of video, by resolution. ``price_cut``: the route of that ``name``
    (an API, or a deployment of the scenario) at ``cut`` less. ``audio``, ``modes``,
    ``max_resolution``, ``max_seconds`` and ``rating`` say what it can do where no book does.
    """

    kind: Literal["api", "self_hosted", "price_cut"]
    name: str
    usd_per_second: float | None = None
    usd_per_gpu_hour: float | None = None
    gpus_per_clip: int = 1
    failure_share: float = 0.0
    render_s_per_second: Mapping[str, float] = field(default_factory=dict, hash=False)
    cut: float = 0.3
    audio: bool = False
    modes: tuple[str, ...] = ("t2v", "i2v")
    max_resolution: str = "1080p"
    max_seconds: float = 10.0
    rating: float | None = None

    def __post_init__(self) -> None:
        check_shares(self, below_one=("cut", "failure_share"))
        check_amounts(self, above_zero=("usd_per_second", "usd_per_gpu_hour", "max_seconds"))
        if self.max_resolution not in RESOLUTIONS:
            raise UnknownName.among("resolution", self.max_resolution, RESOLUTIONS)
        for resolution, seconds in self.render_s_per_second.items():
            if resolution not in RESOLUTIONS:
                raise UnknownName.among("resolution", resolution, RESOLUTIONS)
            if not 0 < seconds < math.inf:
                raise InvalidArgument(
                    f"render_s_per_second.{resolution} must be greater than 0, got {seconds}"
                )
        if self.gpus_per_clip < 1:
            raise InvalidArgument(f"gpus_per_clip must be at least 1, got {self.gpus_per_clip}")
        if self.kind == "self_hosted" and not (self.render_s_per_second and self.usd_per_gpu_hour):
            raise InvalidArgument(
                "a self-hosted newcomer needs render_s_per_second, such as {480p: 6}, and "
                "usd_per_gpu_hour"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class NextModel:
    """A scenario's traffic and routes, what arrives when, and how far to look.

    ``clips_per_month`` is wanted in the month of ``as_of``; later months follow the mix's growth
    and seasons. ``min_quality`` is the lowest arena rating that will do for a final, beside what a
    segment asks itself; a route without a public rating does not meet it.
    """

    as_of: date
    mix: traffic.TrafficMix
    clips_per_month: float
    deployments: tuple[Deployment, ...] = ()
    apis: tuple[str, ...] = ()
    newcomer: Newcomer
    arrives_on: date
    months: int = 12
    min_quality: float | None = None
    losses: Losses

    def __post_init__(self) -> None:
        if not 1 <= self.months <= MOST_MONTHS:
            raise InvalidArgument(f"months must be from 1 to {MOST_MONTHS}, got {self.months}")
        if self.arrives_on < self.as_of.replace(day=1):
            raise InvalidArgument(
                f"arrives_on must not be before the first month, {self.as_of:%Y-%m}; "
                f"got {self.arrives_on}"
            )

    @classmethod
    def of(
        cls, scenario: Scenario, newcomer: Newcomer | None = None, arrives_on: date | None = None
    ) -> NextModel:
        """Return the scenario with its newest price, Wan 3.0's, 30 % lower two months on.

        Where the scenario does not name Wan 3.0 the first of its APIs becomes cheaper.
        """
        mix = traffic.mix(scenario.mix)
        return cls(
            as_of=scenario.date,
            mix=mix,
            clips_per_month=clips_wanted(scenario, mix),
            deployments=scenario.deployments,
            apis=scenario.apis,
            newcomer=newcomer or Newcomer(kind="price_cut", name=_cheaper(scenario)),
            arrives_on=arrives_on or months_after(scenario.date, 2).replace(day=15),
            losses=Losses.of(scenario),
        )


def _cheaper(scenario: Scenario) -> str:
    names = [catalog.model(name).id for name in scenario.apis]
    if not names:
        raise InvalidArgument(f"{scenario.id} names no API whose price could fall")
    return "wan-3.0" if "wan-3.0" in names else names[0]


def months_after(day: date, count: int) -> date:
    """Return the first day of the month ``count`` months after that of ``day``.

    >>> months_after(date(2026, 11, 22), 2)
    datetime.date(2027, 1, 1)
    """
    year, month = divmod(day.year * 12 + day.month - 1 + count, 12)
    return date(year, month + 1, 1)


def share_after(month: date, arrives_on: date) -> float:
    """Return the share of a month's days from the arrival on, the day itself included.

    >>> share_after(date(2026, 11, 1), date(2026, 11, 16))
    0.5
    """
    days = calendar.monthrange(month.year, month.month)[1]
    first = month.replace(day=1)
    return min(max((days - (arrives_on - first).days) / days, 0.0), 1.0)


def next_model(inputs: NextModel) -> Answer:
    """Return what the newcomer changes: the split, each month's bill, and what it saves in all.

    Summary: ``saved_usd`` (to the end of the horizon), ``usd_without`` and ``usd_with`` (of the
    whole horizon), ``before_usd_per_accepted_clip``, ``after_usd_per_accepted_clip``,
    ``taken_share`` (of wanted clips that change their route) and where there is one ``flip_factor``
    (what its price must be multiplied by for the split to change). The tables are ``months`` and
    ``split`` (where each segment goes, and what must be true for it to move). Curves are the bill
    of each month, by its number, without and with the newcomer. Raises `UnknownName` or
    `InvalidArgument` where the newcomer cannot be priced.
    """
    case = _Case.of(inputs)
    before, after = case.split(None), case.split(1.0)
    months = _months(inputs, before, after)
    parts = [figure for month in months for figure in (month.without, month.with_it)]
    without, with_it = parts[0::2], parts[1::2]
    total_without = _total("bill of all months without it", without)
    total_with = _total("bill of all months with it", with_it)
    flip = case.flip_factor()
    taken = math.fsum(
        old.segment.share
        for old, new in zip(before, after, strict=True)
        if _name(old.route) != _name(new.route)
    )
    summary = {
        "saved_usd": _saved(inputs, before, after, (total_without, total_with)),
        "usd_without": total_without,
        "usd_with": total_with,
        "before_usd_per_accepted_clip": _blended(before, "before"),
        "after_usd_per_accepted_clip": _blended(after, "after"),
        "taken_share": Figure.derived(
            "share of wanted clips that change their route", taken, "",
            "sum of the shares of segments whose cheapest route changes",
            [one.usd for one in (*before, *after) if one.usd],
        ),
    }  # fmt: skip
    if flip is not None:
        summary["flip_factor"] = Figure.derived(
            "its price, times this, changes the split", flip, "×",
            "found by search over the newcomer's price", [one.usd for one in after if one.usd],
        )  # fmt: skip
    return Answer(
        pattern=NAME,
        inputs=inputs,
        words=_words(inputs, summary),
        summary=summary,
        tables={"split": _split_rows(case), "months": tuple(month.row for month in months)},
        curves={
            "without it": tuple((n, float(m.without.value)) for n, m in enumerate(months)),
            "with it": tuple((n, float(m.with_it.value)) for n, m in enumerate(months)),
        },
        warnings=_warnings(inputs, before, after),
    )


def _split_rows(case: _Case) -> tuple[dict[str, Cell], ...]:
    """Return where each segment goes before and after, and what must be true for it to move.

    ``needs`` is the factor on the newcomer's price at which it takes the segment: above 1 it holds
    it with room to spare, below 1 its price must still fall to that share. None where it cannot
    make the clip, with the reason in ``why``.
    """
    rows: list[dict[str, Cell]] = []
    for old, new in zip(case.split(None), case.split(1.0), strict=True):
        offer, why = case.offer(old.segment)
        needs = None
        if offer and old.usd:
            needs = float(old.usd.value) / float(offer.usd.value)
        rows.append(
            {
                "segment": old.segment.name,
                "share": old.segment.share,
                "before": _name(old.route),
                "before_usd": old.usd,
                "after": _name(new.route),
                "after_usd": new.usd,
                "newcomer_usd": offer.usd if offer else None,
                "needs": needs,
                "why": why,
            }
        )
    return tuple(rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """Where a segment goes: its cheapest route, and the clips of a wanted one that are accepted."""

    segment: traffic.Segment
    route: Route | None
    accepted: float

    @property
    def usd(self) -> Figure | None:
        return self.route.usd if self.route else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """Every segment's routes without the newcomer, and the newcomer's own offer for each."""

    inputs: NextModel
    there: tuple[tuple[Route, ...], ...]
    offers: tuple[tuple[Route | None, str], ...]

    @classmethod
    def of(cls, inputs: NextModel) -> _Case:
        there, offers = [], []
        newcomer = inputs.newcomer
        own_id = _target(inputs)
        apis = [name for name in inputs.apis if catalog.model(name).id != own_id or
                newcomer.kind == "price_cut"]  # fmt: skip
        for segment in inputs.mix.segments:
            found, _ = routes(
                segment.request(), inputs.deployments, apis, inputs.as_of,
                losses=inputs.losses, kept=_kept(segment),
            )  # fmt: skip
            found = tuple(one for one in found if not _short(inputs, segment, one))
            there.append(found)
            offers.append(_offer(inputs, segment, found, own_id))
        if not any(route for route, _ in offers):
            reasons = "; ".join(dict.fromkeys(why for _, why in offers))
            raise InvalidArgument(f"{newcomer.name} can make none of these clips: {reasons}")
        return cls(inputs=inputs, there=tuple(there), offers=tuple(offers))

    def offer(self, segment: traffic.Segment) -> tuple[Route | None, str]:
        """Return the newcomer's route for a segment, or why it has none."""
        return self.offers[self.inputs.mix.segments.index(segment)]

    def split(self, factor: float | None) -> tuple[_Way, ...]:
        """Return where each segment goes with the newcomer's price times ``factor``; None: as is.

        On a tie the route that was there keeps the segment.
        """
        ways = []
        for segment, found, (offer, _) in zip(
            self.inputs.mix.segments, self.there, self.offers, strict=True
        ):
            best = found[0] if found else None
            if (
                factor is not None
                and offer
                and (best is None or factor * float(offer.usd.value) < float(best.usd.value))
            ):
                best = offer
            ways.append(_Way(segment=segment, route=best, accepted=_accepted(segment, best)))
        return tuple(ways)

    def flip_factor(self) -> float | None:
        """Return the factor on the newcomer's price nearest to 1 at which the split changes."""
        now = [_name(way.route) for way in self.split(1.0)]

        def differs(factor: float) -> float:
            return 1.0 if [_name(way.route) for way in self.split(factor)] != now else -1.0

        above = crossings(differs, 1.0, 100.0)
        below = crossings(lambda inverse: differs(1 / inverse), 1.0, 100.0)
        found = [*above[:1], *(1 / inverse for inverse in below[:1])]
        return min(found, key=lambda factor: abs(math.log(factor)), default=None)


def _target(inputs: NextModel) -> str:
    """Return the route whose price is cut, or the id of an API that the book knows."""
    newcomer = inputs.newcomer
    own = [deployment.route for deployment in inputs.deployments]
    if newcomer.kind == "price_cut" and newcomer.name in own:
        return newcomer.name
    if newcomer.kind == "self_hosted" or newcomer.usd_per_second is not None:
        return newcomer.name
    model = catalog.model(newcomer.name)
    if model.kind != "api":
        raise InvalidArgument(
            f"{model.id} is self-hosted: name a deployment's route ({', '.join(own) or 'none'}), "
            "or give seconds and kind self_hosted"
        )
    return model.id


def _kept(segment: traffic.Segment) -> Figure:
    return Figure.entered(
        f"share of delivered '{segment.name}' kept", segment.acceptance, "", ref="mix"
    )


def _accepted(segment: traffic.Segment, route: Route | None) -> float:
    if route is None:
        return 0.0
    tries = segment.max_tries
    return 1.0 if tries is None else 1 - (1 - route.accepted_share) ** tries


def _short(inputs: NextModel, segment: traffic.Segment, route: Route) -> str:
    """Return what the segment asks of a route that it does not give, "" where it does."""
    floors = [segment.min_quality, inputs.min_quality if segment.stage == "final" else None]
    floor = max((one for one in floors if one is not None), default=None)
    if floor is not None:
        if route.rating is None:
            return f"{route.name} has no public rating; {floor:g} is asked"
        if float(route.rating.value) < floor:
            return f"{route.name} is rated below {floor:g}"
    try:
        capability = quality.capability(route.model)
    except UnknownName:
        capability = None
    if capability is None:
        return ""
    return "; ".join(capability.lacks(faces=segment.faces, text=segment.text, lora=segment.lora))


def _offer(
    inputs: NextModel, segment: traffic.Segment, there: Sequence[Route], own_id: str
) -> tuple[Route | None, str]:
    newcomer = inputs.newcomer
    if newcomer.kind == "price_cut":
        route = next((one for one in there if own_id in (one.name, one.model)), None)
        return (_cut(route, newcomer), "") if route else (None, f"{own_id} cannot make it")
    request = segment.request()
    try:
        if newcomer.kind == "api" and newcomer.usd_per_second is None:
            day = max(inputs.arrives_on, inputs.as_of)
            found, refusals = routes(
                request, (), (own_id,), day, losses=inputs.losses, kept=_kept(segment)
            )
            if not found:
                return None, refusals[0].reason
            route = found[0]
        else:
            if refused := _cannot(newcomer, segment):
                return None, refused
            route = _entered_route(inputs, segment)
    except CostlabError as error:
        return None, str(error)
    short = _short(inputs, segment, route)
    return (None, short) if short else (route, "")


def _cannot(newcomer: Newcomer, segment: traffic.Segment) -> str:
    if segment.audio and not newcomer.audio:
        return f"{newcomer.name} makes silent clips"
    if segment.mode not in newcomer.modes:
        return f"{newcomer.name} takes {', '.join(newcomer.modes)}, not {segment.mode}"
    if RESOLUTIONS[segment.resolution] > RESOLUTIONS[newcomer.max_resolution]:
        return f"{newcomer.name} ends at {newcomer.max_resolution}"
    if float(segment.seconds) > newcomer.max_seconds:
        return f"{newcomer.name} makes clips of up to {newcomer.max_seconds:g} s"
    if newcomer.kind == "self_hosted" and segment.resolution not in newcomer.render_s_per_second:
        return f"no render seconds are given for {segment.resolution}"
    return ""


def _entered_route(inputs: NextModel, segment: traffic.Segment) -> Route:
    newcomer, length = inputs.newcomer, float(segment.seconds)
    video = Figure.entered("seconds of video", length, "s", ref="mix")
    if newcomer.kind == "self_hosted":
        render = Figure.entered(
            "render seconds a second of video",
            newcomer.render_s_per_second[segment.resolution],
            "s",
            "entered",
        )
        slot = worked_out(
            "render seconds", "s", "seconds of video × render seconds a second",
            lambda seconds, each: seconds * each, (video, render),
        )  # fmt: skip
        rate = Figure.entered("price of a GPU-hour", newcomer.usd_per_gpu_hour or 0.0,
                              "USD/GPU-hour", "entered")  # fmt: skip
        usd = worked_out(
            "cost of one attempt, usage basis", "USD/clip",
            f"render seconds × {newcomer.gpus_per_clip} GPUs × USD per GPU-hour / 3600",
            lambda seconds, price: seconds * newcomer.gpus_per_clip * price / SECONDS_PER_HOUR,
            (slot, rate),
        )  # fmt: skip
    else:
        slot = None
        rate = Figure.entered(
            "price of a second of video", newcomer.usd_per_second or 0.0, "USD/s", "entered"
        )
        usd = worked_out(
            "cost of one attempt", "USD/clip", "seconds of video × USD per second",
            lambda seconds, price: seconds * price, (video, rate),
        )  # fmt: skip
    own = newcomer.kind == "self_hosted"
    rating = None
    if newcomer.rating is not None:
        rating = Figure.entered("arena points", newcomer.rating, "points", "entered")
    return route_of(
        UnitCost(
            route=newcomer.name, model=newcomer.name, kind="self_hosted" if own else "api",
            usd=usd, lines=(), slot_s=slot, gpus=newcomer.gpus_per_clip if own else 0,
            failures_billed=True,
        ),
        failed=newcomer.failure_share if own else inputs.losses.api_failure_share,
        moderated_billed=True,
        losses=inputs.losses,
        kept=_kept(segment),
        rating=rating,
    )  # fmt: skip


def _cut(route: Route, newcomer: Newcomer) -> Route:
    """Return the route at its lower price."""
    cut = Figure.entered("price cut", newcomer.cut, "", "entered")

    def less(figure: Figure) -> Figure:
        return worked_out(
            f"{figure.name}, after the cut", figure.unit, "before × (1 − cut)",
            lambda usd, share: usd * (1 - share), (figure, cut),
        )  # fmt: skip

    return replace(
        route,
        attempt=less(route.attempt),
        delivered=less(route.delivered),
        usd=less(route.usd),
    )


def _name(route: Route | None) -> str:
    return route.name if route else NOBODY


@dataclass(frozen=True, slots=True, kw_only=True)
class _Month:
    without: Figure
    with_it: Figure
    row: dict[str, Cell]


def _months(inputs: NextModel, before: Sequence[_Way], after: Sequence[_Way]) -> tuple[_Month, ...]:
    old, new = _per_wanted(before, "before"), _per_wanted(after, "after")
    found = []
    for number in range(inputs.months):
        month = months_after(inputs.as_of, number)
        share = share_after(month, inputs.arrives_on)
        wanted = Figure.entered(
            f"clips wanted in {month:%Y-%m}",
            inputs.mix.volume(inputs.clips_per_month, inputs.as_of, month),
            "clips/month",
            ref=f"mix:{inputs.mix.id}",
        )
        days = Figure.entered(
            f"days of {month:%Y-%m} from {inputs.arrives_on} on", share, "", "calendar"
        )
        without = worked_out(
            f"bill of {month:%Y-%m} without it", "USD", "clips wanted × USD per wanted clip before",
            lambda clips, usd: clips * usd, (wanted, old),
        )  # fmt: skip
        with_it = worked_out(
            f"bill of {month:%Y-%m} with it", "USD",
            "clips wanted × (days before × USD before + days after × USD after)",
            lambda clips, was, now, part: clips * ((1 - part) * was + part * now),
            (wanted, old, new, days),
        )  # fmt: skip
        length = calendar.monthrange(month.year, month.month)[1]
        found.append(
            _Month(
                without=without,
                with_it=with_it,
                row={
                    "month": f"{month:%Y-%m}",
                    "clips_wanted": float(wanted.value),
                    "days_before": length - round(share * length),
                    "days_after": round(share * length),
                    "usd_without": without,
                    "usd_with": with_it,
                    "saved_usd": float(without.value) - float(with_it.value),
                },
            )
        )
    return tuple(found)


def _per_wanted(ways: Sequence[_Way], when: str) -> Figure:
    """Return USD per wanted clip: segments by share, the clips that end accepted only."""
    served = [way for way in ways if way.route]
    parts = [way.route.usd for way in served if way.route]
    weights = [way.segment.share * way.accepted for way in served]
    return worked_out(
        f"USD per wanted clip, {when}", "USD/clip",
        "sum of share × share ever accepted × USD per accepted clip",
        lambda *usd: math.fsum(w * each for w, each in zip(weights, usd, strict=True)), parts,
    )  # fmt: skip


def _saved(
    inputs: NextModel, before: Sequence[_Way], after: Sequence[_Way], shown: Sequence[Figure]
) -> Figure:
    """Return what all months save; a segment that stays where it is adds nothing, not a doubt."""
    clips = math.fsum(
        inputs.mix.volume(inputs.clips_per_month, inputs.as_of, month)
        * share_after(month, inputs.arrives_on)
        for month in (months_after(inputs.as_of, number) for number in range(inputs.months))
    )
    moved = [
        (sign * clips * way.segment.share * way.accepted, way.route.usd)
        for old, new in zip(before, after, strict=True)
        if old.route is not new.route
        for sign, way in ((1, old), (-1, new))
        if way.route
    ]
    return worked_out(
        "saved by the end", "USD", "without it − with it, over the segments that change",
        lambda *usd: math.fsum(w * each for (w, _), each in zip(moved, usd, strict=True)),
        [figure for _, figure in moved], shown=shown,
    )  # fmt: skip


def _blended(ways: Sequence[_Way], when: str) -> Figure:
    accepted = math.fsum(way.segment.share * way.accepted for way in ways)
    return worked_out(
        f"cost of an accepted clip, {when}", "USD/clip",
        "USD per wanted clip / share of wanted clips that end accepted",
        lambda usd: usd / accepted if accepted else 0.0, (_per_wanted(ways, when),),
    )  # fmt: skip


def _total(name: str, months: Sequence[Figure]) -> Figure:
    return worked_out(name, "USD", "sum of the months", lambda *usd: math.fsum(usd), months)


def _words(
    inputs: NextModel,
    summary: Mapping[str, Figure],
) -> str:
    newcomer = inputs.newcomer
    what = {
        "api": f"{newcomer.name} at its API",
        "self_hosted": f"{newcomer.name} on own GPUs",
        "price_cut": f"{newcomer.name} at {said_share(newcomer.cut)} less",
    }[newcomer.kind]
    last = months_after(inputs.as_of, inputs.months - 1)
    saved = float(summary["saved_usd"].value)
    taken = float(summary["taken_share"].value)
    flip = summary.get("flip_factor")
    falls = said_share(float(flip.value)) if flip and float(flip.value) < 1 else ""
    if not taken and saved > 0:
        more = f"; it takes more once its price falls to {falls} of that" if falls else ""
        return (
            f"With {what} from {inputs.arrives_on} on no clip moves, but those that it makes "
            f"already cost {said_usd(saved)} less by the end of {last:%Y-%m}{more}."
        )
    if not taken:
        price = f" unless its price falls to {falls} of that" if falls else ""
        return (
            f"With {what} from {inputs.arrives_on} nothing changes: every clip has a cheaper route"
            f"{price}."
        )
    text = (
        f"With {what} from {inputs.arrives_on} on, {said_share(taken)} of clips move to it and "
        f"{said_usd(saved)} are saved by the end of {last:%Y-%m}"
    )
    if saved < 0:
        text = (
            f"With {what} from {inputs.arrives_on} on, {said_share(taken)} of clips that nobody "
            f"could make are served, for {said_usd(-saved)} by the end of {last:%Y-%m}"
        )
    if flip:
        factor = float(flip.value)
        text += (
            f"; the split stays like that until its price is {factor:.3g} times what it is"
            if factor > 1
            else f"; it takes more once its price falls to {falls} of that"
        )
    return f"{text}."


def _warnings(inputs: NextModel, before: Sequence[_Way], after: Sequence[_Way]) -> tuple[str, ...]:
    found = [
        f"{new.segment.name} ({said_share(new.segment.share)} of clips) has no route"
        for new in after
        if new.route is None
    ]
    stale = sorted({way.route.name for way in (*before, *after) if way.route and way.route.stale})
    if stale:
        found.append(f"Undated or old prices: {', '.join(stale)}.")
    found.append("Picture quality moves no clip here, beyond a rating that a segment asks for.")
    if inputs.arrives_on > months_after(inputs.as_of, inputs.months - 1).replace(day=28):
        found.append("It arrives after the months that are looked at.")
    return tuple(found)
