"""The ledger of claims: what articles and people say, beside what costlab finds on a day.

Nothing is typed in but the claim itself: every finding is a `Figure` computed when asked. The
article that started the project is one author; people add their own (`add`).
"""

from __future__ import annotations

import statistics
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from costlab import catalog, performance, projection, quality, scenarios, store, wan
from costlab.core import (
    BadData,
    Basis,
    ClipRequest,
    CostlabError,
    Figure,
    NotOnSale,
    Range,
    Source,
    UnknownName,
    plain,
)
from costlab.traffic import id_problems
from costlab.unitcost import Deployment, self_hosted

ARTICLE_GPU = "A100-80GB"
ARTICLE_OFFER = "runpod-secure"
ARTICLE = "the article of 2026-02-04"
COMPETITIVE = 0.45
"""Share of blind votes from which a model counts as competitive here: five points below half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A claim, the interval it states, and what is found; ``found`` is None where nothing can be.

    ``said`` is None for a claim without a number. ``verdict`` compares the two in words; ``page``
    is the dashboard's page on which the matter can be explored. ``who`` claims it.
    """

    claim: str
    said: Range | None
    unit: str
    found: Figure | None
    verdict: str
    page: str = "overview"
    who: str = ARTICLE


def verdict(said: Range, found: Figure) -> str:
    """Return how a found value, with its interval, stands to a stated range."""
    value = float(found.value)
    low = found.range.low if found.range else value
    high = found.range.high if found.range else value
    slack = 1e-9 * max(abs(said.high), 1)
    if said.low - slack <= value <= said.high + slack:
        return "holds"
    if low <= said.high and said.low <= high:
        return "within the uncertainty"
    if value > said.high:
        return f"{value / said.high:.1f} times as much"
    return f"{value / said.low:.0%} of what is claimed"


def _per_second(name: str, quoted: catalog.Quote) -> Figure:
    return Figure.derived(
        name,
        quoted.usd / quoted.billed_seconds,
        "USD/s",
        "USD of the clip / billed seconds",
        (quoted.figure(),),
    )


def _clip(seconds: int, resolution: str, *, audio: bool = False) -> ClipRequest:
    return ClipRequest(seconds=Decimal(seconds), resolution=resolution, audio=audio)


def article_deployment(as_of: date) -> Deployment:
    """Return the article's machine: T2V-A14B at the authors' 40 steps on RunPod's A100 80 GB."""
    offers = catalog.offers(as_of, gpu=ARTICLE_GPU, purchase="on_demand")
    named = [offer for offer in offers if offer.provider == ARTICLE_OFFER] or list(offers)
    return Deployment(model="wan2.2-t2v-a14b", gpu=ARTICLE_GPU, offer=named[0].id)


def article(as_of: date) -> tuple[Finding, ...]:
    """Return the article's claims, each with what is found on the day asked about."""
    return (
        *_seconds_and_cost(as_of),
        *_prices(as_of),
        *_cheapest(as_of),
        _spot(as_of),
        *_memory(),
        *_model(),
        *_picture(as_of),
        *_makes(as_of),
    )


def _against(claim: str, low: float, high: float, found: Figure, page: str) -> Finding:
    said = Range(low=low, high=high)
    return Finding(
        claim=claim,
        said=said,
        unit=found.unit,
        found=found,
        verdict=verdict(said, found),
        page=page,
    )


def _seconds_and_cost(as_of: date) -> list[Finding]:
    machine = article_deployment(as_of)
    findings = []
    for resolution in ("480p", "720p"):
        cost = self_hosted(machine, _clip(5, resolution), as_of)
        assert cost.slot_s is not None
        findings += [
            _against(
                f"Wan 2.2 makes a 5 s clip in 60–120 s on an A100 ({resolution})",
                60, 120, cost.slot_s, "prediction",
            ),
            _against(
                f"A self-hosted 5 s clip costs $0.03–0.06 ({resolution})",
                0.03, 0.06, cost.usd, "prediction",
            ),
        ]  # fmt: skip
    offer = catalog.offer(machine.offer, as_of=as_of).figure()
    return [
        *findings,
        _against("An A100 80 GB rents for $1.64 an hour", 1.64, 1.64, offer, "prices"),
    ]


def _prices(as_of: date) -> list[Finding]:
    veo = catalog.quote("veo-3.1", _clip(8, "720p", audio=True), as_of=as_of)
    found = _per_second("Veo 3.1, 720p", veo)
    findings = [_against("Veo 3.1 costs about $0.40 a second", 0.395, 0.405, found, "prices")]
    for resolution, audio in (("720p", False), ("1080p", True)):
        kling = catalog.quote("kling-3.0", _clip(5, resolution, audio=audio), as_of=as_of)
        sound = "with sound" if audio else "silent"
        claim = f"Kling 3.0 costs $0.08–0.15 a second ({resolution}, {sound})"
        found = _per_second(f"Kling 3.0, {resolution}", kling)
        findings.append(_against(claim, 0.08, 0.15, found, "prices"))
    return [*findings, _sora(as_of)]


def _cheapest(as_of: date) -> list[Finding]:
    """Compare Wan on the article's machine with the cheapest API that people rate no lower."""
    machine = article_deployment(as_of)
    wan_rating = quality.rating(machine.model, as_of=as_of)
    findings = []
    for resolution in ("480p", "720p"):
        claim = f"Self-hosted Wan is the cheapest option (5 s, {resolution}, silent)"
        request = _clip(5, resolution)
        own = self_hosted(machine, request, as_of).usd
        api = next(
            (
                quoted
                for quoted in catalog.rank(request, as_of=as_of).served
                if wan_rating
                and (rating := quality.rating(quoted.model, as_of=as_of))
                and float(rating.value) >= float(wan_rating.value)
            ),
            None,
        )
        if api is None:
            words = f"no API on sale on {as_of} has a rating to compare with"
            findings.append(
                Finding(
                    claim=claim,
                    said=Range(low=0, high=1),
                    unit="×",
                    found=None,
                    verdict=words,
                    page="routing",
                )
            )
            continue
        ratio = Figure.derived(
            f"Wan 2.2 over {api.model}",
            float(own.value) / float(api.usd),
            "×",
            "USD of a self-hosted attempt, always busy / USD of the cheapest API's clip that "
            "people rate no lower",
            (own, api.figure()),
            range=own.range and own.range.scaled(1 / float(api.usd)),
        )
        found = _against(claim, 0, 1, ratio, "routing")
        words = f"{float(ratio.value):.1f} times {api.model} on the authors' 40 steps"
        findings.append(found if found.verdict == "holds" else replace(found, verdict=words))
    return findings


def _spot(as_of: date) -> Finding:
    rows = [row for row in catalog.spot_advice() if row.data_date <= as_of]
    shares = sorted(row.savings_pct_vs_on_demand / 100 for row in rows)
    claim = "Spot GPUs save 50–70 %"
    if not shares:
        said = Range(low=0.5, high=0.7)
        return Finding(
            claim=claim, said=said, unit="", found=None, page="capacity",
            verdict=f"no spot savings were read by {as_of}",
        )  # fmt: skip
    found = Figure(
        name=f"saving of {len(shares)} instance types and regions of AWS on spot",
        value=statistics.median(shares),
        unit="",
        basis=Basis.QUOTED,
        formula="median over rows; the interval is the lowest and the highest row",
        range=Range(low=shares[0], high=shares[-1], level=1.0),
        source=Source(
            publisher="AWS Spot Advisor",
            document=rows[0].source,
            seen=rows[0].data_date.isoformat(),
            seen_precision="day",
            basis=Basis.QUOTED,
        ),
    )
    inside = sum(0.5 <= share <= 0.7 for share in shares) / len(shares)
    words = f"true of the middle row; {inside:.0%} of rows lie inside, others from "
    words += f"{shares[0]:.0%} to {shares[-1]:.0%}"
    return replace(_against(claim, 0.5, 0.7, found, "capacity"), verdict=words.replace("-", "−"))


def _peak(model: str, height: int, width: int, frames: int, steps: int, offload: str) -> Figure:
    asked = {
        "model": model, "gpu": "RTX-4090" if "5b" in model else "A100-80GB", "height": height,
        "width": width, "frames": frames, "steps": steps, "offload": offload,
    }  # fmt: skip
    return performance.predict(performance.question(asked)).figure("peak_vram_gib")


def _memory() -> list[Finding]:
    small = _peak("wan2.2-ti2v-5b", 704, 1280, 121, 50, "model")
    large = _peak("wan2.2-t2v-a14b", 480, 832, 81, 40, "model")
    eighty, page = 80e9 / wan.GIB, "prediction"
    return [
        _against("TI2V-5B runs in 8.19 GB", 8.19e9 / wan.GIB, 8.19e9 / wan.GIB, small, page),
        _against("TI2V-5B takes about 16 GB", 15e9 / wan.GIB, 17e9 / wan.GIB, small, page),
        _against(
            "The A14B needs an 80 GB card (480p, experts off the card when idle)",
            0.9 * eighty,
            eighty,
            large,
            page,
        ),
    ]


def _model() -> list[Finding]:
    arch = wan.architecture("wan2.2-t2v-a14b")
    active = Figure(
        name="parameters that work in one step",
        value=arch.expert_parameters / 1e9,
        unit="billion",
        basis=Basis.PUBLISHED,
        formula="one expert; the other waits, in memory or outside it",
        ref=f"model:{arch.id}",
    )
    tallest = Figure(
        name="largest listed size of Wan 2.2",
        value=max(height for height, _ in arch.sizes),
        unit="lines",
        basis=Basis.PUBLISHED,
        ref=f"model:{arch.id}",
    )
    both = arch.experts * arch.expert_parameters * 2 / wan.GIB
    compute = _against(
        "27B parameters at the compute of 14B a step", 13.5, 14.5, active, "prediction"
    )
    return [
        replace(
            compute,
            verdict=f"{compute.verdict} for compute; both experts' weights take {both:.0f} GiB",
        ),
        _against("Wan peaks at 1080p", 1080, 1080, tallest, "quality"),
        Finding(
            claim="Wan 2.2 saw 65.6 % more images and 83.2 % more videos than Wan 2.1",
            said=Range(low=0.656, high=0.832), unit="", found=None, page="quality",
            verdict="the authors' own statement; nothing public lets it be checked",
        ),
    ]  # fmt: skip


def _picture(as_of: date) -> list[Finding]:
    wan22 = quality.rating("wan2.2-t2v-a14b", as_of=as_of)
    veo = quality.rating("veo-3.1", as_of=as_of, audio=True)
    closing = quality.project_gap(1, as_of=as_of)
    claim = "Each generation closes about 30 % of the gap to commercial models"
    findings = [
        Finding(
            claim=claim,
            said=Range(low=0.25, high=0.35),
            unit="",
            page="quality",
            found=closing.share,
            verdict=closing.words,
        )
    ]
    for name, rated in (
        ("Wan 2.2", wan22),
        ("Wan 3.0, sold as an API", quality.rating("wan-3.0", as_of=as_of)),
    ):
        said = f"Good enough today is competitive in 12 months ({name} against Veo 3.1)"
        if rated is None or veo is None:
            findings.append(
                Finding(
                    claim=said,
                    said=Range(low=COMPETITIVE, high=1.0),
                    unit="",
                    found=None,
                    verdict=f"no public rating of both by {as_of}",
                    page="quality",
                )
            )
            continue
        votes = quality.preference(f"share of votes for {name} against Veo 3.1", rated, veo)
        findings.append(_against(said, COMPETITIVE, 1.0, votes, "quality"))
    return findings


def _makes(as_of: date) -> list[Finding]:
    on_sale, tall = [], []
    for model in catalog.models():
        if model.kind != "api":
            continue
        try:
            catalog.quote(model.id, _clip(8, "720p"), as_of=as_of)
        except CostlabError:
            continue
        on_sale.append(model.id)
        with suppress(CostlabError):
            tall.append(catalog.quote(model.id, _clip(8, "4k"), as_of=as_of))
    found = None
    words = f"none of {len(on_sale)} models on sale makes 8 s in 4K"
    if tall:
        cheapest = min(tall, key=lambda quoted: quoted.usd)
        found = _per_second(f"{cheapest.model}, 4K", cheapest)
        words = (
            f"{len(tall)} of {len(on_sale)} models on sale make 8 s in 4K, from {cheapest.model} on"
        )
    sound = {name: quality.capability(name) for name in ("veo-3.1", "sora-2", "kling-3.0")}
    said = ", ".join(f"{name} {fact['audio']}" for name, fact in sound.items() if fact)
    return [
        Finding(
            claim="Commercial models make 4K natively", said=None, unit="USD/s", found=found,
            verdict=words, page="prices",
        ),
        Finding(
            claim="Veo and Sora make sound (Kling is not named)", said=None, unit="", found=None,
            verdict=f"native sound: {said}; {_sora(as_of).verdict}", page="quality",
        ),
    ]  # fmt: skip


def _sora(as_of: date) -> Finding:
    claim, said = "Sora 2 costs about $0.10 a second", Range(low=0.095, high=0.105)
    try:
        quoted = catalog.quote("sora-2", _clip(8, "720p", audio=True), as_of=as_of)
    except NotOnSale as error:
        closed = str(error).partition(";")[0]
        return Finding(claim=claim, said=said, unit="USD/s", found=None, verdict=closed)
    found = _per_second("Sora 2, 720p", quoted)
    return Finding(claim=claim, said=said, unit="USD/s", found=found, verdict=verdict(said, found))


# ── Claims that people add ────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a person or an article claims of a figure of a scenario: a value, or a range of it.

    ``figure`` is a path such as ``summary/usd_per_accepted_clip``; ``source`` says who claims it.
    """

    id: str
    text: str
    low: float
    high: float
    scenario: str
    figure: str
    source: str

    def __post_init__(self) -> None:
        problems = id_problems(self.id)
        if not self.low <= self.high:
            problems.append(f"low must not be above high, found {self.low} and {self.high}")
        if not self.text.strip() or not self.source.strip():
            problems.append("text, source: say what is claimed, and by whom")
        if problems:
            raise BadData(f"claim {self.id}", problems)


def added() -> dict[str, Claim]:
    """Return the claims that people added, by id."""
    return store.parsed_entries("claim", Claim)[0]


def add(claim: Claim, *, who: str = "", why: str = "") -> Finding:
    """Check a claim against what it is about, keep it, and return what is found today."""
    found = check(claim)
    store.add_entry("claim", claim.id, plain(claim), who=who, why=why)
    return found


def check(claim: Claim) -> Finding:
    """Return a claim beside its figure; raises `UnknownName` for a scenario or figure unknown."""
    figures = projection.project(scenarios.scenario(claim.scenario)).figures()
    if claim.figure not in figures:
        raise UnknownName.among("figure", claim.figure, figures)
    found = figures[claim.figure]
    said = Range(low=claim.low, high=claim.high)
    return Finding(
        claim=claim.text,
        said=said,
        unit=found.unit,
        found=found,
        verdict=verdict(said, found),
        page="overview",
        who=claim.source,
    )
