"""Commands about prices: quotes, and the price book."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from costlab.cli.shared import (
    Amount,
    Day,
    as_of_option,
    emit,
    json_option,
    refuse_other_options,
)

if TYPE_CHECKING:
    from costlab.catalog import Override


@click.command()
@click.option("--model", required=False, help="A model id or alias, such as veo-3.1.")
@click.option("--seconds", type=Amount(), required=True, help="Seconds of video wanted.")
@click.option("--resolution", default="720p", show_default=True)
@click.option("--audio", is_flag=True, help="With sound.")
@click.option(
    "--mode", type=click.Choice(["t2v", "i2v", "extend", "edit"]), default="t2v", show_default=True
)
@click.option("--aspect", default="16:9", show_default=True)
@click.option("--variants", type=int, default=1, show_default=True)
@click.option("--input-video-s", type=Amount(), default="0", help="Length of a clip handed in.")
@click.option("--fps", type=int, help="Frames a second, where the seller lets you choose.")
@click.option("--provider", help="Only this seller.")
@click.option("--region", default="", help="Only this region, such as singapore.")
@click.option("--tier", default="", help="A paid option, such as voice-control or lora.")
@click.option("--backdate", is_flag=True, help="Use prices first seen after the day asked about.")
@click.option("--all", "every", is_flag=True, help="Rank every model that can make the clip.")
@as_of_option
@json_option
def quote(
    model: str | None,
    seconds: Decimal,
    resolution: str,
    audio: bool,
    mode: Any,
    aspect: str,
    variants: int,
    input_video_s: Decimal,
    fps: int | None,
    provider: str | None,
    region: str,
    tier: str,
    backdate: bool,
    every: bool,
    as_of: date,
    as_json: bool,
) -> None:
    """Price one clip on an API, step by step as on paper."""
    from costlab import catalog, present
    from costlab.core import ClipRequest

    request = ClipRequest(
        seconds=seconds,
        resolution=resolution,
        audio=audio,
        mode=mode,
        aspect=aspect,
        variants=variants,
        input_video_s=input_video_s,
        fps=fps,
    )
    if every:
        refuse_other_options(
            "--all",
            ("every", "seconds", "resolution", "audio", "mode", "aspect", "variants",
             "input_video_s", "fps", "region", "as_of", "as_json"),
        )  # fmt: skip
        ranking = catalog.rank(request, as_of, region=region)
        shape = {
            "served": [answer.to_dict() for answer in ranking.served],
            "refused": [{"model": name, "reason": why} for name, why in ranking.refused],
        }
        emit(as_json, shape, lambda: present.ranking(ranking))
        return
    if model is None:
        raise click.UsageError("name a model with --model, or rank all with --all")
    answer = catalog.quote(
        model, request, as_of=as_of, provider=provider, region=region, tier=tier, backdate=backdate
    )
    emit(as_json, answer.to_dict(), lambda: present.quote(answer))


@click.group("prices")
def prices_group() -> None:
    """The price book: what it holds, what changed, what was entered."""


@prices_group.command("list")
@click.option("--model", help="Only this model.")
@as_of_option
@json_option
def prices_list(model: str | None, as_of: date, as_json: bool) -> None:
    """List the rates on sale on a day, each with its source and age."""
    from costlab import catalog, present

    rows = catalog.in_force(
        catalog.prices() if model is None else catalog.prices_of(catalog.model(model).id), as_of
    )
    cells = [
        [
            row.sku,
            f"${row.usd_per_unit.normalize():f}",
            row.unit.replace("_", " "),
            row.source.seen or "undated",
            "old or undated" if row.stale(as_of) else "",
            f"{row.source.publisher}, {row.source.document}",
        ]
        for row in rows
    ]
    header = ["row", "usd", "per", "seen", "", "source"]
    emit(as_json, rows, lambda: present.table(header, cells))


@prices_group.command("diff")
@click.argument("earlier", type=Day())
@click.argument("later", type=Day())
@json_option
def prices_diff(earlier: date, later: date, as_json: bool) -> None:
    """Show what changed in the book between two days."""
    from costlab import catalog

    changes = catalog.diff(earlier, later)
    emit(
        as_json,
        changes,
        lambda: "\n".join(change.sentence for change in changes) or "nothing changed",
    )


@prices_group.command("check")
@json_option
def prices_check(as_json: bool) -> None:
    """Cross-check the shipped book; exit 1 where something must be mended."""
    from costlab import catalog

    found = catalog.check()
    problems = [item for item in found if item.level == "problem"]
    emit(
        as_json,
        found,
        lambda: "\n".join(
            [*(f"{item.level}: {item.sku}: {item.text}" for item in found),
             f"{len(problems)} problems, {len(found) - len(problems)} notices"]
        ),
    )  # fmt: skip
    if problems:
        raise SystemExit(1)


@prices_group.command("import")
@click.argument("kind", type=click.Choice(["litellm", "skypilot", "gpuhunt"]))
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--provider", default="", help="The seller of a SkyPilot or gpuhunt table.")
@click.option("--seen", help="The day the file was made, where you know it.")
@click.option("--apply", "applied", is_flag=True, help="Write it; without this nothing is written.")
@click.option("--who", default="", help="Who applies it.")
@click.option("--why", default="", help="Why.")
@as_of_option
@json_option
def prices_import(
    kind: Any,
    file: Path,
    provider: str,
    seen: str | None,
    applied: bool,
    who: str,
    why: str,
    as_of: date,
    as_json: bool,
) -> None:
    """Show what a price file would add, change or contradict; --apply writes it at once."""
    from costlab import catalog

    plan = catalog.plan_import(kind, file, as_of=as_of, provider=provider, seen=seen)
    name = catalog.apply_import(plan, who=who, why=why) if applied else None
    shape = {
        "file": plan.file,
        "summary": plan.summary,
        "applied": name,
        "rows": [
            {"action": row.action, "key": row.key, "rate": row.rate, "book_rate": row.book_rate,
             "why": row.why}
            for row in plan.rows
        ],
    }  # fmt: skip
    counts = ", ".join(f"{count} {action}" for action, count in plan.summary.items())
    lines = [f"{row.action}: {row.key}: {row.why}" for row in plan.rows if row.action != "same"]
    end = f"applied as {name}" if name else "nothing is written; --apply --who … --why … does it"
    emit(as_json, shape, lambda: "\n".join([*lines, counts, end]))


@prices_group.command("override")
@click.argument("name")
@click.option("--sku", default="", help="The rate it holds for.")
@click.option("--model", default="", help="Or every rate of a model.")
@click.option("--provider", default="", help="Or of a seller.")
@click.option("--usd", type=Amount(), help="The contract's price of one unit.")
@click.option("--unit", default="", help="The unit it is the price of, such as further_second.")
@click.option("--discount", type=Amount(), help="Or a share off the list price, such as 0.15.")
@click.option("--from", "valid_from", type=Day(), help="First day.")
@click.option("--to", "valid_to", type=Day(), help="Last day.")
@click.option("--remove", is_flag=True, help="Take the override NAME away again.")
@click.option("--who", required=True, help="Who enters it.")
@click.option("--why", required=True, help="Why.")
def prices_override(
    name: str, valid_from: date | None, remove: bool, who: str, why: str, **named: Any
) -> None:
    """Enter a contract price or a discount as a dated row; the list price stays visible."""
    from costlab import catalog
    from costlab.core import InvalidArgument

    if remove:
        catalog.remove_override(name, who=who, why=why)
    elif valid_from is None:
        raise InvalidArgument("say from which day it holds: --from 2026-12-01")
    else:
        catalog.add_override(
            catalog.Override(name=name, valid_from=valid_from, who=who, why=why, **named)
        )
    click.echo(f"{'removed' if remove else 'entered'}: {name}")


@prices_group.command("audit")
@json_option
def prices_audit(as_json: bool) -> None:
    """List every contract price and discount ever entered or removed, by whom and why."""
    from costlab import catalog, present

    rows = catalog.audit()
    cells = [
        [
            str(row.number),
            f"{row.entered_at:%Y-%m-%d %H:%M}",
            row.name,
            row.action,
            *_terms(row.override),
            row.who,
            row.why,
        ]
        for row in rows
    ]
    header = ["no", "entered", "name", "what", "terms", "for", "holds", "who", "why"]
    emit(as_json, rows, lambda: present.table(header, cells) if cells else "nothing entered yet")


def _terms(override: Override | None) -> tuple[str, str, str]:
    """Return what an entry grants, for what, and when; nothing for a removal."""
    if override is None:
        return "", "", ""
    from costlab.catalog.billing import dollars

    if override.usd is not None:
        grants = f"{dollars(override.usd)} per {(override.unit or 'unit').replace('_', ' ')}"
    else:
        grants = f"{override.discount:%} off"
    target = " ".join(filter(None, (override.sku, override.model, override.provider)))
    ends = f" to {override.valid_to}" if override.valid_to else ""
    return grants, target, f"from {override.valid_from}{ends}"
