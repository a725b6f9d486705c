"""Preview, then final: a cheap model shows the concept, a good one renders what was approved.

    concept ──n previews──▶ approved (r) ──▶ finals until one is kept ──▶ accepted final
                        └──▶ abandoned (1 − r): its previews are paid all the same

    USD per accepted final = n/(r·A) · USD per delivered preview + USD per accepted final clip

A is the share of approved concepts that end with a final: 1 unless finals are given up after so
many tries. Straight to the final, every look is a final: an attempt is kept where the concept would
have been approved (r/n) and the rendering is good (a), unless another share is entered.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date

from costlab import catalog, traffic
from costlab.core import (
    CannotServe,
    ClipRequest,
    Figure,
    InvalidArgument,
    NotOnSale,
    UnknownName,
)
from costlab.patterns.accepted import (
    Answer,
    Losses,
    Route,
    check_amounts,
    check_shares,
    clips_wanted,
    crossings,
    leaf,
    pick,
    routes,
    said_share,
    said_usd,
    spread,
    worked_out,
)
from costlab.scenarios import Scenario
from costlab.unitcost import Deployment

NAME = "preview"
MOST_PAIRS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewThenFinal:
    """What previews and finals are, who looks at how many, and which routes there are.

    ``previews_per_concept`` previews reach a person for one concept, ``approval_rate`` of concepts
    are approved, ``final_kept`` of the finals rendered after that are kept. ``straight_kept`` is
    the share kept without a preview before (None: `straight_share`). An empty route means the
    cheapest that can make the clip. ``final_min_quality`` is the lowest arena rating that will do
    for a final; a route without a public rating does not meet it.
    """

    as_of: date
    preview: ClipRequest
    final: ClipRequest
    deployments: tuple[Deployment, ...] = ()
    apis: tuple[str, ...] = ()
    previews_per_concept: float
    approval_rate: float
    final_kept: float
    final_max_tries: int | None = None
    straight_kept: float | None = None
    preview_route: str = ""
    final_route: str = ""
    final_min_quality: float | None = None
    concepts_per_month: float
    losses: Losses

    def __post_init__(self) -> None:
        check_shares(self, ("approval_rate", "final_kept", "straight_kept"))
        check_amounts(self, "concepts_per_month")
        if not self.previews_per_concept >= 1:
            raise InvalidArgument(
                f"previews_per_concept must be at least 1, got {self.previews_per_concept}"
            )
        if self.final_max_tries is not None and self.final_max_tries < 1:
            raise InvalidArgument(f"final_max_tries must be at least 1, got {self.final_max_tries}")

    @classmethod
    def of(cls, scenario: Scenario, final_segment: str = "") -> PreviewThenFinal:
        """Return the scenario's previews before one of its finals.

        The final is the segment named, else the first with sound or of premium quality, else the
        first; where the mix has no previews, they are 480p clips without sound, approved as often
        as finals are kept. Raises `UnknownName` for a segment that is no final of the mix.
        """
        mix = traffic.mix(scenario.mix)
        finals = {one.name: one for one in mix.segments if one.stage == "final"}
        if final_segment and final_segment not in finals:
            raise UnknownName.among("final segment", final_segment, finals)
        demanding = [one for one in finals.values() if one.audio or one.quality == "premium"]
        final = (
            finals[final_segment]
            if final_segment
            else next(iter([*demanding, *finals.values(), *mix.segments]))
        )
        preview = next(
            (one for one in mix.segments if one.stage == "preview"),
            replace(final, resolution="480p", audio=False, stage="preview"),
        )
        looks = traffic.attempts(
            failure=0, acceptance=preview.acceptance, max_tries=preview.max_tries,
            failures_billed=True,
        )  # fmt: skip
        return cls(
            as_of=scenario.date,
            preview=preview.request(),
            final=final.request(),
            deployments=scenario.deployments,
            apis=scenario.apis,
            previews_per_concept=looks.per_wanted,
            approval_rate=looks.accepted_share,
            final_kept=final.acceptance,
            final_max_tries=final.max_tries,
            final_route=_first_able(scenario, final.request()),
            final_min_quality=final.min_quality,
            concepts_per_month=preview.share * clips_wanted(scenario, mix),
            losses=Losses.of(scenario),
        )


def _first_able(scenario: Scenario, final: ClipRequest) -> str:
    """Return the first API of the scenario that can make the final, "" where none can."""
    for name in scenario.apis:
        with suppress(CannotServe, NotOnSale):
            return catalog.quote(name, final, as_of=scenario.date).model
    return ""


def straight_share(previews_per_concept: float, approval_rate: float, final_kept: float) -> float:
    """Return the share of finals that are kept when nobody saw a preview: r/n · a.

    >>> straight_share(2.0, 0.5, 0.8)
    0.2
    """
    return approval_rate / previews_per_concept * final_kept


def usd_per_accepted_final(
    previews_per_concept: float,
    approval_rate: float,
    usd_per_preview: float,
    usd_per_final: float,
    ending_share: float = 1.0,
) -> float:
    """Return n/(r·A) · USD per delivered preview + USD per accepted final clip.

    >>> usd_per_accepted_final(3, 0.5, 0.10, 4.0)
    4.6
    """
    return previews_per_concept / (approval_rate * ending_share) * usd_per_preview + usd_per_final


def preview_then_final(inputs: PreviewThenFinal) -> Answer:
    """Return what an accepted final costs with previews before it, and without.

    Summary: ``usd_per_accepted_final``, ``straight_usd_per_accepted_final``, ``saved_share``,
    ``saved_usd_per_month``, ``previews_per_accepted_final``, ``preview_usd`` (per delivered
    preview), ``final_usd`` (per accepted final clip), and where there is one
    ``break_even_approval_rate`` and ``break_even_preview_usd``. The table ``pairs`` has the pairs
    of routes, cheapest first. Curves are USD per accepted final over the approval rate. Raises
    `CannotServe` where no route can make the preview or the final, `UnknownName` for a route that
    is not there.
    """
    one = Figure.entered("every delivered preview counts", 1.0, "", "entered")
    kept = Figure.entered("share of finals kept after a preview", inputs.final_kept, "", "entered")
    previews, no_previews = routes(
        inputs.preview, inputs.deployments, inputs.apis, inputs.as_of,
        losses=inputs.losses, kept=one,
    )  # fmt: skip
    finals, no_finals = routes(
        inputs.final, inputs.deployments, inputs.apis, inputs.as_of,
        losses=inputs.losses, kept=kept,
    )  # fmt: skip
    preview = pick(previews, inputs.preview_route, no_previews)
    good = [one for one in finals if _good_enough(one, inputs.final_min_quality)]
    if finals and not good:
        raise CannotServe(
            f"no route that can make the final is rated {inputs.final_min_quality:g} or more"
        )
    final = pick(good, inputs.final_route, no_finals)
    chosen = _Pair.of(inputs, preview, final)
    pairs = sorted(
        (_Pair.of(inputs, p, f) for p in previews for f in good),
        key=lambda pair: (float(pair.usd.value), pair.preview.name, pair.final.name),
    )
    rate = _break_even_rate(chosen)
    price = _break_even_price(chosen)
    saved = worked_out(
        "share saved by previews",
        "",
        "1 − with previews / straight to the final",
        lambda *parts: 1 - chosen.ways(*parts)[0] / chosen.ways(*parts)[1],
        chosen.parts,
        shown=(chosen.usd, chosen.straight),
    )
    concepts = Figure.entered(
        "concepts a month", inputs.concepts_per_month, "concepts/month", "entered"
    )
    summary = {
        "usd_per_accepted_final": chosen.usd,
        "straight_usd_per_accepted_final": chosen.straight,
        "saved_share": saved,
        "saved_usd_per_month": worked_out(
            "saved a month",
            "USD/month",
            "concepts × approved × ended with a final × (straight − with previews)",
            lambda *parts: inputs.concepts_per_month * inputs.approval_rate * chosen.ending_share
            * (chosen.ways(*parts)[1] - chosen.ways(*parts)[0]),
            chosen.parts,
            shown=(concepts, chosen.approval, chosen.straight, chosen.usd),
        ),
        "previews_per_accepted_final": chosen.previews,
        "preview_usd": preview.delivered,
        "final_usd": final.usd,
    }  # fmt: skip
    if rate is not None:
        summary["break_even_approval_rate"] = Figure.derived(
            "approval rate at which previews make no difference", rate, "",
            "found by search: with previews = straight to the final",
            (chosen.usd, chosen.straight),
        )  # fmt: skip
    if price is not None:
        summary["break_even_preview_usd"] = Figure.derived(
            "price of a delivered preview at which previews make no difference", price, "USD/clip",
            "found by search: with previews = straight to the final",
            (chosen.usd, chosen.straight),
        )  # fmt: skip
    grid = [x for x in spread(0.02, 1.0) if x <= inputs.previews_per_concept]
    return Answer(
        pattern=NAME,
        inputs=inputs,
        words=_words(chosen, pairs[0], rate),
        summary=summary,
        tables={
            "pairs": tuple(
                {
                    "pair": f"{pair.preview.name} → {pair.final.name}",
                    "preview": pair.preview.name,
                    "final": pair.final.name,
                    "preview_usd": pair.preview.delivered,
                    "final_usd": pair.final.usd,
                    "final_rating": pair.final.rating,
                    "usd_per_accepted_final": pair.usd,
                    "straight_usd_per_accepted_final": pair.straight,
                }
                for pair in _shown(pairs, chosen)
            )
        },
        curves={
            "with previews": tuple((r, chosen.at(approval_rate=r)[0]) for r in grid),
            "straight to the final": tuple((r, chosen.at(approval_rate=r)[1]) for r in grid),
        },
        warnings=_warnings(chosen, pairs),
    )


def _good_enough(route: Route, floor: float | None) -> bool:
    return floor is None or (route.rating is not None and float(route.rating.value) >= floor)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """A preview route before a final route."""

    inputs: PreviewThenFinal
    preview: Route
    final: Route
    approval: Figure
    previews: Figure
    usd: Figure
    straight: Figure
    ending_share: float

    @classmethod
    def of(cls, inputs: PreviewThenFinal, preview: Route, final: Route) -> _Pair:
        looks = leaf(
            NAME, "previews_per_concept", inputs.previews_per_concept,
            "previews looked at for a concept", "clips",
        )  # fmt: skip
        approval = Figure.entered("share of concepts approved", inputs.approval_rate, "", "entered")
        tries = inputs.final_max_tries
        ending = 1.0 if tries is None else 1 - (1 - final.accepted_share) ** tries
        limit = "" if tries is None else f", {said_share(ending)} of them kept within {tries} tries"
        previews = worked_out(
            "previews per accepted final", "clips",
            f"previews per concept / approved share{limit}: abandoned concepts are counted",
            lambda n, r: n / (r * ending), (looks, approval),
        )  # fmt: skip
        return cls(
            inputs=inputs,
            preview=preview,
            final=final,
            approval=approval,
            previews=previews,
            usd=worked_out(
                "cost of an accepted final, previews included", "USD/clip",
                "previews per accepted final × USD per delivered preview + USD per accepted final "
                "clip",
                lambda count, each, last: count * each + last,
                (previews, preview.delivered, final.usd),
            ),
            straight=_straight(inputs, final, looks, approval),
            ending_share=ending,
        )  # fmt: skip

    @property
    def parts(self) -> tuple[Figure, Figure]:
        """What the two ways have in common: a delivered preview, a delivered final."""
        return self.preview.delivered, self.final.delivered

    def ways(
        self, usd_per_preview: float, usd_per_final: float, approval_rate: float | None = None
    ) -> tuple[float, float]:
        """Return USD per accepted final with previews and straight, of delivered clips' prices."""
        asked = self.inputs
        rate = asked.approval_rate if approval_rate is None else approval_rate
        kept = asked.straight_kept or straight_share(
            asked.previews_per_concept, rate, asked.final_kept
        )
        with_previews = usd_per_accepted_final(
            asked.previews_per_concept,
            rate,
            usd_per_preview,
            usd_per_final / asked.final_kept,
            self.ending_share,
        )
        return with_previews, usd_per_final / kept

    def at(
        self, *, approval_rate: float | None = None, preview_usd: float | None = None
    ) -> tuple[float, float]:
        """Return both ways with one number replaced."""
        each, final = (float(part.value) for part in self.parts)
        return self.ways(each if preview_usd is None else preview_usd, final, approval_rate)


def _straight(inputs: PreviewThenFinal, final: Route, looks: Figure, approval: Figure) -> Figure:
    if inputs.straight_kept is not None:
        kept = leaf(
            NAME, "straight_kept", inputs.straight_kept, "share of finals kept without a preview"
        )
    else:
        kept = worked_out(
            "share of finals kept without a preview", "",
            "approved share / previews per concept × share of finals kept",
            lambda n, r, a: straight_share(n, r, a),
            (looks, approval, Figure.entered(
                "share of finals kept after a preview", inputs.final_kept, "", "entered")),
        )  # fmt: skip
    return worked_out(
        "cost of an accepted final without previews", "USD/clip",
        "USD per delivered final / share kept without a preview",
        lambda usd, share: usd / share, (final.delivered, kept),
    )  # fmt: skip


def _break_even_rate(pair: _Pair) -> float | None:
    def difference(rate: float) -> float:
        with_previews, straight = pair.at(approval_rate=rate)
        return with_previews - straight

    found = crossings(difference, 1e-3, 1.0)
    return found[0] if found else None


def _break_even_price(pair: _Pair) -> float | None:
    def difference(usd: float) -> float:
        with_previews, straight = pair.at(preview_usd=usd)
        return with_previews - straight

    found = crossings(difference, 1e-6, 1e4)
    return found[0] if found else None


def _shown(pairs: list[_Pair], chosen: _Pair) -> Iterable[_Pair]:
    head = pairs[:MOST_PAIRS]
    named = [(pair.preview.name, pair.final.name) for pair in head]
    return head if (chosen.preview.name, chosen.final.name) in named else [*head, chosen]


def _words(chosen: _Pair, cheapest: _Pair, rate: float | None) -> str:
    usd, straight = float(chosen.usd.value), float(chosen.straight.value)
    gap = said_share(abs(1 - usd / straight))
    text = (
        f"Previews on {chosen.preview.name} and finals on {chosen.final.name} cost "
        f"{said_usd(usd)} per accepted final, {gap} "
        f"{'below' if usd < straight else 'above'} going straight to the final "
        f"({said_usd(straight)})"
    )
    if rate is not None:
        below = chosen.at(approval_rate=rate * 0.99)
        side = "fewer" if below[0] < below[1] else "more"
        text += f"; previews pay while {side} than {said_share(rate)} of concepts are approved"
    elif usd < straight:
        text += "; previews pay however many concepts are approved"
    if (cheapest.preview.name, cheapest.final.name) != (chosen.preview.name, chosen.final.name):
        text += (
            f". The cheapest pair is {cheapest.preview.name} → {cheapest.final.name} at "
            f"{said_usd(float(cheapest.usd.value))}"
        )
    return f"{text}."


def _warnings(chosen: _Pair, pairs: list[_Pair]) -> tuple[str, ...]:
    found = []
    if chosen.inputs.final_min_quality is None:
        found.append("The cheapest pair does not weigh the picture: say how good a final must be.")
    if chosen.ending_share < 0.995:
        found.append(
            f"{said_share(1 - chosen.ending_share)} of approved concepts end without a final after "
            f"{chosen.inputs.final_max_tries} tries; their previews are counted."
        )
    stale = sorted({r.name for p in pairs[:MOST_PAIRS] for r in (p.preview, p.final) if r.stale})
    if stale:
        found.append(f"Undated or old prices: {', '.join(stale)}.")
    return tuple(found)
