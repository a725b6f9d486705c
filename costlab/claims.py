"""The claims of the article that started the project, beside what costlab finds on a day.

Nothing here is typed in but the claim itself: every finding is a `Figure` computed when asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from costlab import catalog, performance, wan
from costlab.core import ClipRequest, Figure, NotOnSale, Range
from costlab.unitcost import Deployment, self_hosted

ARTICLE_GPU = "A100-80GB"
ARTICLE_OFFER = "runpod-secure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A claim, the interval it states, and what is found; ``found`` is None where nothing can be.

    ``verdict`` compares the two in words.
    """

    claim: str
    said: Range
    unit: str
    found: Figure | None
    verdict: str


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
    """Return the article's figures, each with what is found on the day asked about."""
    machine = article_deployment(as_of)
    findings: list[Finding] = []

    def add(claim: str, low: float, high: float, found: Figure) -> None:
        said = Range(low=low, high=high)
        findings.append(
            Finding(
                claim=claim, said=said, unit=found.unit, found=found, verdict=verdict(said, found)
            )
        )

    for resolution in ("480p", "720p"):
        cost = self_hosted(machine, _clip(5, resolution), as_of)
        assert cost.slot_s is not None
        add(f"Wan 2.2 makes a 5 s clip in 60–120 s on an A100 ({resolution})", 60, 120, cost.slot_s)
        add(f"A self-hosted 5 s clip costs $0.03–0.06 ({resolution})", 0.03, 0.06, cost.usd)
    add("An A100 80 GB rents for $1.64 an hour", 1.64, 1.64,
        catalog.offer(machine.offer, as_of=as_of).figure())  # fmt: skip
    veo = catalog.quote("veo-3.1", _clip(8, "720p", audio=True), as_of=as_of)
    add("Veo 3.1 costs about $0.40 a second", 0.395, 0.405, _per_second("Veo 3.1, 720p", veo))
    for resolution, audio, low, high in (("720p", False, 0.08, 0.15), ("1080p", True, 0.08, 0.15)):
        kling = catalog.quote("kling-3.0", _clip(5, resolution, audio=audio), as_of=as_of)
        sound = "with sound" if audio else "silent"
        add(f"Kling 3.0 costs $0.08–0.15 a second ({resolution}, {sound})", low, high,
            _per_second(f"Kling 3.0, {resolution}", kling))  # fmt: skip
    findings.append(_sora(as_of))
    small = performance.predict(
        performance.question(
            {
                "model": "wan2.2-ti2v-5b",
                "gpu": "RTX-4090",
                "height": 704,
                "width": 1280,
                "frames": 121,
                "steps": 50,
                "offload": "model",
            }
        )
    )
    add("TI2V-5B runs in 8.19 GB", 8.19e9 / wan.GIB, 8.19e9 / wan.GIB,
        small.figure("peak_vram_gib"))  # fmt: skip
    return tuple(findings)


def _sora(as_of: date) -> Finding:
    claim, said = "Sora 2 costs about $0.10 a second", Range(low=0.095, high=0.105)
    try:
        quoted = catalog.quote("sora-2", _clip(8, "720p", audio=True), as_of=as_of)
    except NotOnSale as error:
        closed = str(error).partition(";")[0]
        return Finding(claim=claim, said=said, unit="USD/s", found=None, verdict=closed)
    found = _per_second("Sora 2, 720p", quoted)
    return Finding(claim=claim, said=said, unit="USD/s", found=found, verdict=verdict(said, found))
