"""What each model can do, fact by fact with its source; what no source says is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from costlab import catalog, store
from costlab.catalog import names
from costlab.core import RESOLUTIONS, Basis, Source, UnknownName
from costlab.quality import entries

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One published fact about a model that the price book's model list does not hold."""

    model: str
    feature: Literal["first_last_frame", "faces", "text", "lora", "seed", "watermark"]
    value: str
    publisher: str
    document: str
    seen: str
    seen_precision: Literal["day", "month", "year"]
    confidence: Literal["high", "medium", "low"]
    note: str = ""


FEATURES = store.Shelf(table="quality_features", record=Feature, pattern="quality/features.csv")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What is known of one feature: ``value`` "unknown" where no source says.

    ``published`` is what an entry of a person stands beside.
    """

    value: str
    source: Source | None = None
    published: Fact | None = None

    @property
    def basis(self) -> Basis | None:
        """How it is known; None where it is not."""
        return self.source.basis if self.source else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """One row of the capability matrix: a fact for each feature of `entries.VOCABULARY`.

    ``durations_at`` narrows the clip lengths at single resolutions.
    """

    model: str
    facts: Mapping[str, Fact]
    durations_at: Mapping[str, str]

    def __getitem__(self, feature: str) -> str:
        return self.facts[feature].value

    def lacks(
        self,
        *,
        faces: bool = False,
        text: bool = False,
        lora: bool = False,
        audio: bool = False,
        image: bool = False,
        resolution: str | None = None,
        seconds: Decimal | float | None = None,
    ) -> tuple[str, ...]:
        """Return in words what of these wishes the model does not meet.

        Sound, size, length, image input and adapters count only where a source states them, as in
        the price book. For faces and lettering, of which hardly any source speaks, silence is no
        refusal: `unsure` names it.
        """
        said = [
            _absent(self["audio"], "no", "makes no sound", "makes sound") if audio else "",
            _absent(self["i2v"], "no", "takes no image", "takes an image") if image else "",
            _absent(self["lora"], "no", "takes no LoRA adapter", "takes a LoRA adapter")
            if lora else "",
            self._weak("faces", "human faces") if faces else "",
            self._weak("text", "lettering") if text else "",
            self._too_small(resolution) if resolution else "",
            self._too_short(Decimal(str(seconds)), resolution) if seconds is not None else "",
        ]  # fmt: skip
        return tuple(one for one in said if one)

    def unsure(self, *, faces: bool = False, text: bool = False) -> tuple[str, ...]:
        """Return in words which of these wishes no source speaks about."""
        asked = {"faces": faces, "text": text}
        return tuple(
            f"no source says how well it shows {entries.WORDS[feature]}"
            for feature, wanted in asked.items()
            if wanted and self[feature] == UNKNOWN
        )

    def _weak(self, feature: str, words: str) -> str:
        fact = self.facts[feature]
        if fact.value != "weak" or fact.source is None:
            return ""
        return f"shows {words} less well, says {fact.source.publisher}"

    def _too_small(self, resolution: str) -> str:
        highest = self["max_resolution"]
        if highest == UNKNOWN:
            return f"no source says that it reaches {resolution}"
        if RESOLUTIONS[resolution] > RESOLUTIONS[highest]:
            return f"ends at {highest}, below {resolution}"
        return ""

    def _too_short(self, seconds: Decimal, resolution: str | None) -> str:
        durations = self.durations_at.get(resolution or "", self["durations"])
        if durations == UNKNOWN or names.round_up(seconds, durations) is not None:
            return ""
        at = f" at {resolution}" if resolution in self.durations_at else ""
        return f"makes clips of {durations} s{at}, none holds {seconds:f} s"


def _absent(value: str, no: str, said: str, wish: str) -> str:
    if value == no:
        return said
    return f"no source says that it {wish}" if value == UNKNOWN else ""


def capability(model_id: str) -> Capability | None:
    """Return what a model can do, a person's entries first; None for a model not in the book."""
    try:
        model = catalog.model(model_id)
    except UnknownName:
        return None
    facts = _published(model)
    for standing in reversed(entries.features()):
        own = standing.entered
        if isinstance(own, entries.EnteredFeature) and own.model == model.id:
            facts[own.feature] = Fact(
                value=own.value,
                source=Source(
                    publisher=standing.who,
                    document=standing.why,
                    seen=standing.entered_at.date().isoformat(),
                    seen_precision="day",
                    basis=Basis.ENTERED,
                ),
                published=facts[own.feature],
            )
    narrowed = {} if facts["durations"].published else model.durations_at
    return Capability(model=model.id, facts=facts, durations_at=narrowed)


def matrix() -> tuple[Capability, ...]:
    """Return the capability of every model of the book, self-hosted ones first."""
    known = sorted(catalog.models(), key=lambda model: (model.kind == "api", model.name.lower()))
    return tuple(found for model in known if (found := capability(model.id)))


def _published(model: catalog.Model) -> dict[str, Fact]:
    def of_model(value: str) -> Fact:
        return Fact(value=value, source=model.source) if value else Fact(value=UNKNOWN)

    def mode(name: str) -> str:
        return "" if not model.modes else "yes" if name in model.modes else "no"

    stated = {
        "t2v": mode("t2v"),
        "i2v": mode("i2v"),
        "audio": "" if model.audio == UNKNOWN else model.audio,
        "max_resolution": model.max_resolution,
        "durations": model.durations,
        "lora": "" if model.lora is None else "yes" if model.lora else "no",
    }
    facts = {feature: of_model(stated.get(feature, "")) for feature in entries.VOCABULARY}
    for row in store.records(FEATURES):
        if row.model == model.id and facts[row.feature].value == UNKNOWN:
            facts[row.feature] = Fact(
                value=row.value,
                source=Source(
                    publisher=row.publisher,
                    document=row.document,
                    seen=row.seen,
                    seen_precision=row.seen_precision,
                    basis=Basis.PUBLISHED if row.confidence == "high" else Basis.QUOTED,
                    note=row.note,
                ),
            )
    return facts
