"""Commands about quality: how models are rated, what they can make, what people entered."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import click

from costlab.cli.shared import Day, as_of_option, emit, json_option, refuse_other_options

if TYPE_CHECKING:
    from costlab import quality

NO_SCORE = "no public score"


@click.group("quality")
def quality_group() -> None:
    """How good each model's clips are, how fast, and what it can make."""


@quality_group.command("list")
@click.option("--mode", type=click.Choice(["t2v", "i2v", "edit"]), default="t2v", show_default=True)
@click.option("--audio", is_flag=True, help="Prefer what was rated with sound.")
@as_of_option
@json_option
def quality_list(mode: str, audio: bool, as_of: date, as_json: bool) -> None:
    """List how people rate each model on a day, best first; none where there is no score."""
    from costlab import present, quality

    rows = quality.ranking(mode, as_of=as_of, audio=audio)
    board = quality.snapshot(mode, as_of=as_of)
    day = board[0].score.opens if board else None
    worth = quality.sound_worth(mode, as_of=as_of)
    shape = {
        "as_of": as_of,
        "mode": mode,
        "snapshot": day,
        "whole_board": bool(board) and board[0].score.extent == "board",
        "sound_worth": worth and worth.to_dict(),
        "ratings": [
            {
                "model": row.model,
                "recipe": row.recipe,
                "rating": row.rating and row.rating.to_dict(),
                "published": row.published and row.published.to_dict(),
            }
            for row in rows
        ],
    }
    cells = [
        [
            f"{row.model} ({row.recipe})" if row.recipe else row.model,
            _points(row.rating),
            row.rating.basis.value if row.rating else "",
            "" if row.published is None else f"published: {_points(row.published)}",
        ]
        for row in rows
    ]
    lines = [
        f"Arena, {mode}, snapshot of {day}" if day else f"No snapshot of the arena by {as_of}",
        *([f"The pool mixes silent clips and clips with sound; sound alone is worth "
           f"{_points(worth)} points."] if worth else []),
        "",
        present.table(["model", "points", "known", ""], cells),
    ]  # fmt: skip
    emit(as_json, shape, lambda: "\n".join(lines))


@quality_group.command("show")
@click.argument("model")
@as_of_option
@json_option
def quality_show(model: str, as_of: date, as_json: bool) -> None:
    """Show what MODEL can make, how fast it is and every score of it, with their sources."""
    from costlab import catalog, present, quality

    known = catalog.model(model)
    can = quality.capability(known.id)
    facts = can.facts if can else {}
    rated = {mode: quality.rating(known.id, mode, as_of=as_of) for mode in quality.MODES}
    suggested = {
        mode: quality.suggestion(known.id, mode, as_of=as_of)
        for mode, one in rated.items()
        if one is None
    }
    latency = quality.latency(known.id, as_of=as_of)
    rows = [row.to_dict() for row in quality.scores(known.id, as_of=as_of)]
    shape = {
        "model": known.id,
        "as_of": as_of,
        "capabilities": {name: _fact(fact) for name, fact in facts.items()},
        "ratings": {mode: one and one.to_dict() for mode, one in rated.items()},
        "suggested": {mode: one and one.to_dict() for mode, one in suggested.items()},
        "latency": latency and latency.to_dict(),
        "scores": rows,
    }

    def words() -> str:
        abilities = [
            [quality.WORDS[name], fact.value, fact.basis or "", _origin(fact.source)]
            for name, fact in facts.items()
        ]
        ratings = [
            [mode, _points(one), one.basis if one else "", (one.source.note or "") if one and
             one.source else ""]
            for mode, one in rated.items()
        ]  # fmt: skip
        ratings += [
            [mode, _points(one), one.basis, "another board suggests it; enter it to use it"]
            for mode, one in suggested.items()
            if one
        ]
        published = [
            [
                row["board"],
                row["variant"] or row["name"],
                f"{row['value']:g}" + (f" ± {row['plus_minus']:g}" if row["plus_minus"] else ""),
                row["seen"],
                row["publisher"],
                "" if row["routing"] else row["why_not"],
            ]
            for row in rows
        ]
        wait = f"{present.figure(latency)} [{latency.basis}]" if latency else "no source says"
        return "\n".join(
            [
                f"{known.name}, {as_of}",
                "",
                present.table(["can make", "", "known", "read in"], abilities),
                "",
                present.table(["rating", "points", "known", ""], ratings),
                "",
                f"request to video  {wait}",
                "",
                present.table(["score", "of", "value", "seen", "read in", "not for routing"],
                              published)
                if published else "no public score of any kind",
            ]
        )  # fmt: skip

    emit(as_json, shape, words)


@quality_group.command("enter")
@click.argument("model")
@click.option("--mode", type=click.Choice(["t2v", "i2v", "edit"]), default="t2v", show_default=True)
@click.option("--rating", type=float, help="Arena points.")
@click.option("--low", type=float, help="Lower end of its range.")
@click.option("--high", type=float, help="Upper end of its range.")
@click.option(
    "--level", type=float, default=0.9, show_default=True, help="The range's probability."
)
@click.option("--recipe", default="", help='How clips are made, such as "4 steps, no guidance".')
@click.option("--from", "valid_from", type=Day(), help="First day it holds.")
@click.option("--feature", help="Or a capability, such as faces.")
@click.option("--value", help="… and what it is, such as good.")
@click.option("--who", required=True, help="Who enters it.")
@click.option("--why", required=True, help="Why.")
@json_option
def quality_enter(
    model: str,
    mode: str,
    rating: float | None,
    low: float | None,
    high: float | None,
    level: float,
    recipe: str,
    valid_from: date | None,
    feature: str | None,
    value: str | None,
    who: str,
    why: str,
    as_json: bool,
) -> None:
    """Enter a rating with its range, or a capability; what was published stays visible."""
    from costlab import quality
    from costlab.core import InvalidArgument

    entry: quality.EnteredRating | quality.EnteredFeature
    if feature is not None:
        refuse_other_options("--feature", ("model", "feature", "value", "who", "why", "as_json"))
        entry = quality.EnteredFeature(model=model, feature=feature, value=value or "")
    elif rating is None or low is None or high is None or valid_from is None:
        raise InvalidArgument(
            "give --rating with its range --low … --high … and --from DAY, or --feature and --value"
        )
    else:
        refuse_other_options(
            "--rating",
            ("model", "mode", "rating", "low", "high", "level", "recipe", "valid_from", "who",
             "why", "as_json"),
        )  # fmt: skip
        entry = quality.EnteredRating(
            model=model, mode=mode, recipe=recipe, value=rating, low=low, high=high, level=level,
            valid_from=valid_from,
        )  # fmt: skip
    name = quality.enter(entry, who=who, why=why)
    emit(as_json, {"entered": name}, lambda: f"entered: {name}")


@quality_group.command("remove")
@click.argument("name")
@click.option("--who", required=True, help="Who takes it away.")
@click.option("--why", required=True, help="Why.")
@json_option
def quality_remove(name: str, who: str, why: str, as_json: bool) -> None:
    """Take the entry NAME away, by a further row of the audit."""
    from costlab import quality

    quality.remove(name, who=who, why=why)
    emit(as_json, {"removed": name}, lambda: f"removed: {name}")


@quality_group.command("audit")
@json_option
def quality_audit(as_json: bool) -> None:
    """List every rating and capability ever entered or removed, by whom and why."""
    from costlab import present, quality

    rows = quality.audit()
    cells = [
        [str(r.number), f"{r.entered_at:%Y-%m-%d %H:%M}", r.kind, r.name, r.action, r.who, r.why]
        for r in rows
    ]
    header = ["no", "entered", "of", "name", "what", "who", "why"]
    emit(as_json, rows, lambda: present.table(header, cells) if cells else "nothing entered yet")


@quality_group.command("gap")
@click.option("--generations", type=int, default=4, show_default=True)
@click.option("--share", type=float, help="Enter the share that a generation closes, such as 0.3.")
@click.option("--low", type=float, help="Lower end of that share.")
@click.option("--high", type=float, help="Upper end of that share.")
@click.option("--seed", type=int, default=1, show_default=True)
@as_of_option
@json_option
def quality_gap(
    generations: int,
    share: float | None,
    low: float | None,
    high: float | None,
    seed: int,
    as_of: date,
    as_json: bool,
) -> None:
    """Project how far open weights trail the best model, from the steps seen or a share entered."""
    from costlab import present, quality
    from costlab.core import InvalidArgument

    if (low is None) != (high is None):
        raise InvalidArgument("a range has two ends: --low and --high")
    if share is not None:
        refuse_other_options("--share", ("generations", "share", "low", "high", "as_of", "as_json"))
    answer = quality.project_gap(
        generations,
        as_of=as_of,
        share=share,
        share_range=None if low is None or high is None else (low, high),
        seed=seed,
    )
    shape = {
        "as_of": as_of,
        "words": answer.words,
        "share": answer.share and answer.share.to_dict(),
        "gaps": [gap.to_dict() for gap in answer.gaps],
        "steps": [
            {"line": s.line, "before": s.before, "after": s.after, "gap_before": s.gap_before,
             "gap_after": s.gap_after, "share": s.share}
            for s in answer.steps
        ],
    }  # fmt: skip
    gaps = [
        [gap.name, _points(gap), f"{100 * quality.share_preferred(-float(gap.value)):.0f} %",
         gap.basis.value]
        for gap in answer.gaps
    ]  # fmt: skip
    seen = [
        [s.line, s.before, s.after, f"{s.gap_before:.0f}", f"{s.gap_after:.0f}",
         f"{100 * s.share:.0f} %"]
        for s in answer.steps
    ]  # fmt: skip
    lines = [
        answer.words,
        "",
        present.table(["", "points", "votes for open", "known"], gaps),
        "",
        present.table(["line", "from", "to", "gap", "after", "closed"], seen),
    ]
    emit(as_json, shape, lambda: "\n".join(lines))


def _points(figure: Any) -> str:
    if figure is None:
        return NO_SCORE
    if figure.range is None:
        return f"{figure.value:.0f}"
    return f"{figure.value:.0f} ({figure.range.low:.0f} to {figure.range.high:.0f})"


def _fact(fact: quality.Fact) -> dict[str, Any]:
    return {
        "value": fact.value,
        "basis": fact.basis,
        "source": fact.source,
        "published": fact.published and _fact(fact.published),
    }


def _origin(source: Any) -> str:
    if source is None:
        return ""
    seen = f", {source.seen}" if source.seen else ""
    return f"{source.publisher}, {source.document}{seen}"
