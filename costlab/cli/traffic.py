"""``costlab traffic``: the mixes there are, and a mix fitted from a request log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from costlab.cli.shared import emit, json_option
from costlab.core import InvalidArgument, plain

if TYPE_CHECKING:
    from costlab.logs import FittedMix, Log, Unmapped
    from costlab.traffic import TrafficMix


def log_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how a log reads."""
    command = click.option(
        "--column", "columns", multiple=True, metavar="OURS=THEIRS",
        help="Which column of the log is ours, such as seconds=len; OURS= leaves ours out.",
    )(command)  # fmt: skip
    return click.option(
        "--mapping", type=click.Path(dir_okay=False, path_type=Path),
        help="YAML with columns, values and defaults of the log (docs/replay.md).",
    )(command)  # fmt: skip


def mapped_log(path: str, mapping: Path | None, columns: Sequence[str]) -> Log:
    """Return the log at ``path``, read as the options say."""
    from dataclasses import replace

    from costlab import logs

    mapped = logs.read_mapping(mapping) if mapping else logs.Mapped()
    said = {}
    for text in columns:
        ours, given, theirs = text.partition("=")
        if not given:
            raise InvalidArgument(f"--column {text}: write OURS=THEIRS")
        said[ours] = theirs
    return logs.open_log(path, replace(mapped, columns={**mapped.columns, **said}))


def unmapped_words(unmapped: Sequence[Unmapped]) -> list[str]:
    """Return in lines what of a log could not be mapped, none where all could."""
    from costlab import present

    if not unmapped:
        return []
    rows = [
        [
            Path(item.file).name,
            item.column,
            item.value or "(empty)",
            f"{item.count:,}",
            "–" if item.first_row is None else str(item.first_row),
            item.reason,
        ]
        for item in unmapped[:20]
    ]
    table = present.table(["file", "column", "value", "rows", "first row", "because"], rows)
    more = [f"… and {len(unmapped) - 20} more: --json has them all"] if len(unmapped) > 20 else []
    return ["", "Not mapped", table, *more]


@click.group("traffic")
def traffic_group() -> None:
    """Who wants which clips, and when: the mixes, by hand or from a request log."""


@traffic_group.command("list")
@json_option
def traffic_list(as_json: bool) -> None:
    """Every traffic mix: shipped ones and your own."""
    from costlab import present, traffic

    mixes = traffic.mixes()
    shape = [
        {
            "id": mix.id,
            "title": mix.title,
            "clips_per_month": mix.clips_per_month,
            "segments": len(mix.segments),
            "growth_per_month": mix.growth_per_month,
        }
        for mix in mixes.values()
    ]
    rows = [
        [mix.id, mix.title, f"{mix.clips_per_month:,.0f}", str(len(mix.segments))]
        for mix in mixes.values()
    ]
    emit(as_json, shape, lambda: present.table(["id", "title", "clips a month", "segments"], rows))


@traffic_group.command("show")
@click.argument("mix_id", metavar="MIX")
@json_option
def traffic_show(mix_id: str, as_json: bool) -> None:
    """One mix: its segments, shares and shape over time."""
    from costlab import traffic

    mix = traffic.mix(mix_id)
    emit(as_json, plain(mix), lambda: _mix(mix))


def _mix(mix: TrafficMix) -> str:
    from costlab import present

    rows = [
        [
            segment.name,
            present.percent(segment.share),
            f"{segment.seconds.normalize():f} s",
            segment.resolution,
            segment.mode,
            "sound" if segment.audio else "silent",
            segment.stage,
            segment.tier,
            "batch" if segment.batch else "",
            present.percent(segment.acceptance),
        ]
        for segment in sorted(mix.segments, key=lambda segment: -segment.share)
    ]
    header = ["segment", "share", "length", "size", "mode", "sound", "stage", "tier", "", "kept"]
    return "\n".join(
        [
            f"{mix.title} ({mix.id})",
            f"  {mix.clips_per_month:,.0f} wanted clips a month, {mix.growth_per_month:+.1%} a "
            f"month; the busiest hour of the week wants {mix.peak_factor:.2f} × the mean",
            "",
            present.table(header, rows),
            *([mix.note] if mix.note else []),
        ]
    )


@traffic_group.command("fit")
@click.argument("path", metavar="LOG")
@log_options
@click.option("--id", "mix_id", default="from-log", show_default=True, help="Id of the mix.")
@click.option("--title", default="", help="Title of the mix.")
@click.option("--by-tenant", is_flag=True, help="Keep tenants apart.")
@click.option(
    "--min-share", type=click.FloatRange(0, 1), default=0.002, show_default=True,
    help="Smaller kinds of request count with the nearest.",
)  # fmt: skip
@click.option(
    "--segments", type=click.IntRange(1), default=100, show_default=True, help="At most so many."
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the mix to this YAML."
)
@click.option("--save", is_flag=True, help="Keep the mix in the store, for scenarios to name.")
@json_option
def traffic_fit(
    path: str,
    mapping: Path | None,
    columns: tuple[str, ...],
    mix_id: str,
    title: str,
    by_tenant: bool,
    min_share: float,
    segments: int,
    out: Path | None,
    save: bool,
    as_json: bool,
) -> None:
    """The traffic mix of LOG: a CSV or Parquet file, a folder, or a pattern."""
    from costlab import logs, store, traffic

    fitted = logs.fit(
        mapped_log(path, mapping, columns),
        id=mix_id,
        title=title,
        by_tenant=by_tenant,
        min_share=min_share,
        most_segments=segments,
    )
    body = logs.mix_body(fitted.mix)
    if out:
        out.write_text(store.dump_yaml(body), encoding="utf-8")
    if save:
        traffic.save_mix(body, why=f"fitted from {path}")
    emit(as_json, fitted.to_dict(), lambda: _fitted(fitted))


def _fitted(fitted: FittedMix) -> str:
    from costlab import present

    months = (
        "" if fitted.months_error is None else f", a month's requests {fitted.months_error:.1%}"
    )
    return "\n".join(
        [
            _mix(fitted.mix),
            "",
            f"  {fitted.used:,} of {fitted.rows:,} requests, {fitted.first:%Y-%m-%d} to "
            f"{fitted.last:%Y-%m-%d}; {present.percent(fitted.folded_share)} of them in kinds too "
            "small for a segment, counted with the nearest",
            f"  off by: shares {fitted.shares_error:.1%}, hours of the week "
            f"{fitted.hours_error:.1%}, mean length {fitted.seconds_error:.1%}{months}",
            *(f"  assumed: {name} {value}" for name, value in fitted.assumed.items()),
            *(f"  column {name!r} left out: {why}" for name, why in fitted.left_out.items()),
            *unmapped_words(fitted.unmapped),
            *(f"! {text}" for text in fitted.notes),
        ]
    )
