"""How figures look to people, the same in the terminal and on the page.

Money has three significant digits, seconds and bytes their unit, shares a percent sign; the full
value is one step away (``--json``, hover).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from costlab.core import Figure, usd

if TYPE_CHECKING:
    from costlab.catalog import Quote, Ranking
    from costlab.lineage import Verdict
    from costlab.performance import Prediction, Question
    from costlab.projection import Projection
    from costlab.routing import Policy

Number = float | int | Decimal


def significant(value: Number, digits: int = 3) -> str:
    """Return ``value`` to ``digits`` significant digits, without an exponent, with thin thousands.

    >>> significant(0.07123), significant(12412), significant(0)
    ('0.0712', '12,400', '0')
    """
    number = float(value)
    if number == 0 or not math.isfinite(number):
        return "0" if number == 0 else "–"
    places = digits - 1 - math.floor(math.log10(abs(number)))
    rounded = round(number, places)
    return f"{rounded:,.{max(places, 0)}f}"


def money(value: Number) -> str:
    """Return dollars: cents and below to three digits, from ten thousand up in thousands.

    >>> money(0.07123), money(36.5), money(12412), money(2_300_000)
    ('$0.0712', '$36.50', '$12.4k', '$2.30M')
    """
    number = float(value)
    sign = "−" if number < 0 else ""
    size = abs(number)
    if size >= 999_500:
        return f"{sign}${significant(size / 1e6)}M"
    if size >= 9_995:
        return f"{sign}${significant(size / 1e3)}k"
    if size >= 1:
        return f"{sign}${size:,.2f}"
    return f"{sign}${significant(size)}"


def percent(share: Number) -> str:
    """Return a share as a percentage; only nothing is 0 % and only everything 100 %.

    >>> percent(0.3312), percent(1)
    ('33 %', '100 %')
    """
    exact = round(100 * float(share), 9)
    if 0 < exact < 0.5:
        return "< 1 %"
    if 99.5 <= exact < 100:
        return "> 99 %"
    return f"{exact:.0f} %"


def number(value: Number, unit: str) -> str:
    """Return a value as its unit asks for it.

    >>> number(0.5, "USD/clip"), number(785.7, "s"), number(0.5, ""), number(232_000, "J")
    ('$0.500 per clip', '786 s', '50 %', '232 kJ')
    """
    if unit.startswith("USD"):
        per = unit.partition("/")[2]
        return money(value) + (f" per {per}" if per else "")
    if unit == "":
        return percent(value)
    if unit in ("s", "s/clip"):
        return f"{significant(value)} s"
    if unit == "points":
        return f"{float(value):.0f} points"
    if unit == "J" and abs(float(value)) >= 1000:
        return f"{significant(float(value) / 1000)} kJ"
    if float(value) == int(value):
        return f"{int(value):,} {unit.partition('/')[0]}"
    return f"{significant(value)} {unit.replace('/', ' per ')}"


def figure(item: Figure) -> str:
    """Return a figure with its 90 % interval where it has one."""
    text = number(item.value, item.unit)
    if item.range and item.range.high > item.range.low:
        low, high = (
            number(end, item.unit).split(" ")[0] for end in (item.range.low, item.range.high)
        )
        text += f" ({low} to {high})"
    return text


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return left-aligned columns of plain text.

    >>> print(table(["a", "b"], [["1", "22"]]))
    a  b
    1  22
    """
    widths = [max(len(str(row[i])) for row in (header, *rows)) for i in range(len(header))]
    return "\n".join(
        "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    )


def tree(item: Figure) -> str:
    """Return a figure's proof as indented lines, down to price rows, runs and entries.

    A figure that was opened further up is named again but not opened again.
    """
    return "\n".join(_branches(item, 0, set()))


def _branches(item: Figure, depth: int, opened: set[int]) -> Iterator[str]:
    source = item.source
    origin = f" · {source.publisher}, {source.document}" if source else ""
    if source and source.seen:
        origin += f", {source.seen}"
    formula = f" = {item.formula}" if item.formula else ""
    reference = f" [{item.ref}]" if item.ref else ""
    again = bool(item.inputs) and id(item) in opened
    tail = " (opened above)" if again else f"{formula}{reference}{origin}"
    yield f"{'  ' * depth}{item.name}: {figure(item)} · {item.basis}{tail}"
    if not again:
        opened.add(id(item))
        for part in item.inputs:
            yield from _branches(part, depth + 1, opened)


def quote(answer: Quote) -> str:
    """Return a quote's derivation as a person would write it on paper."""
    from costlab.catalog.billing import dollars

    lines = [f"{answer.model} from {answer.provider}, {answer.as_of.isoformat()}", ""]
    width = max((len(step.label) for step in answer.steps), default=0)
    for step in answer.steps:
        origin = ""
        if step.source:
            seen = step.source.seen or "undated"
            origin = f"  [{step.source.publisher}, {step.source.document}; {seen}]"
        lines.append(f"  {step.label.ljust(width)}  {step.text}{origin}")
    lines += ["", f"  total  ${answer.usd:f}"]
    if answer.stale:
        lines.append(f"  note   {answer.stale_why}")
    if answer.others:
        others = ", ".join(f"{sku} {dollars(usd(micro))}" for sku, micro in answer.others)
        lines.append(f"  other rates for this clip: {others}")
    return "\n".join(lines)


def ranking(answer: Ranking) -> str:
    """Return who can make a clip, cheapest first, and who cannot and why."""
    rows = [
        [
            q.model,
            f"${q.usd:f}",
            f"{q.billed_seconds:f} s",
            q.provider,
            "old price" if q.stale else "",
        ]
        for q in answer.served
    ]
    text = table(["model", "usd", "billed", "seller", ""], rows)
    refused = "\n".join(f"  {name}: {reason}" for name, reason in answer.refused)
    return f"{text}\n\nCannot make it:\n{refused}" if refused else text


def prediction(question: Question, answer: Prediction) -> str:
    """Return a prediction with its stages, limits and evidence."""
    count = f"{question.num_gpus} × " if question.num_gpus > 1 else ""
    lines = [
        f"{question.model} on {count}{question.gpu}: {question.width}×{question.height}, "
        f"{question.frames} frames, {question.steps} steps",
        "",
        f"  seconds     {figure(answer.figure('seconds'))}",
        *(f"    {name.replace('_', ' '):<13} {significant(seconds)} s, "
          f"{number(answer.stage_energy_j[name], 'J')}" for name, seconds in answer.stages.items()),
        f"  energy      {figure(answer.figure('energy_j'))}",
        f"  memory      {figure(answer.figure('peak_vram_gib'))}"
        + ("" if answer.fits else " – does not fit"),
        f"  limit       {significant(answer.floor_s)} s at the card's peak rate "
        f"({percent(answer.share_of_floor)} of it reached)",
        f"  known       {answer.basis.value}, {answer.evidence}; nearest: {answer.nearest}",
        *(f"  note        {note}" for note in answer.notes),
    ]  # fmt: skip
    return "\n".join(lines)


def sweep(along: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a question varied along one setting as a table."""
    cells = [
        [
            row[along],
            significant(row["seconds"]),
            f"{significant(row['seconds_low'])}–{significant(row['seconds_high'])}",
            significant(row["gpu_seconds"]),
            number(row["energy_j"], "J"),
            significant(row["peak_vram_gib"]) + ("" if row["fits"] else " does not fit"),
            row["basis"],
        ]
        for row in rows
    ]
    header = [
        along.replace("_", " "),
        "seconds",
        "90 % interval",
        "GPU-s",
        "energy",
        "GiB",
        "known",
    ]
    return table(header, cells)


def accuracy(report: Mapping[str, Any]) -> str:
    """Return the errors on held-out clips as a table."""
    rows = [
        [
            one["name"],
            str(one["clips"]),
            f"{one['median']:.1%}",
            f"{one['p90']:.1%}",
            f"{one['coverage']:.0%}",
            f"{one['baseline_median']:.1%}",
            f"{one['baseline_p90']:.1%}",
            f"{one['worst']['name']} ({one['worst']['error']:+.0%})",
        ]
        for one in report["held_out"]
    ]
    header = ["held out", "clips", "median", "p90", "inside", "nearest: median", "p90", "worst"]
    return table(header, rows)


def predictions(answers: Sequence[Mapping[str, Any]]) -> str:
    """Return answered rows as a table; a row that cannot be answered says why."""
    rows = []
    for number_, row in enumerate(answers, 1):
        if row["seconds"] is None:
            rows.append([str(number_), "–", "", "", row["error"]])
            continue
        rows.append(
            [
                str(number_),
                significant(row["seconds"]),
                f"{significant(row['seconds_low'])}–{significant(row['seconds_high'])}",
                significant(row["peak_vram_gib"]),
                row["basis"],
            ]
        )
    return table(["row", "seconds", "90 % interval", "GiB", "known"], rows)


def projection(answer: Projection) -> str:
    """Return a projection: the answer, the segments, the GPUs, the warnings."""
    lines = [f"{answer.scenario.title} · {answer.policy.title} · {answer.scenario.date}", ""]
    for name, item in answer.summary.items():
        lines.append(f"  {name.replace('_', ' '):<29} {figure(item)} [{item.basis}]")
    rows = [
        [
            r.segment.name,
            percent(r.segment.share),
            r.route or "none",
            money(r.unit.usd.value) if r.unit else "not served",
            money(r.per_accepted.value) if r.per_accepted else "–",
            money(r.usd_per_month.value) if r.usd_per_month else "–",
        ]
        for r in answer.segments
    ]
    header = ["segment", "share", "route", "attempt", "accepted clip", "month"]
    lines += ["", table(header, rows)]
    if answer.pools:
        pools = [
            [
                p.route,
                f"{p.gpus.value}",
                f"{money(p.price.value)}/h",
                percent(p.utilisation.value),
                percent(p.peak_utilisation.value) if p.peak_utilisation else "–",
                significant(p.p95_wait_s.value) if p.p95_wait_s else "–",
                significant(p.sold_clips_per_gpu_hour.value),
            ]
            for p in answer.pools
        ]
        header = ["deployment", "GPUs", "price", "busy", "peak", "p95 wait s", "clips/GPU-hour"]
        lines += ["", table(header, pools)]
    lines += ["", *(f"! {warning}" for warning in answer.warnings)]
    return "\n".join(lines).rstrip()


def policy(shown: Policy) -> str:
    """Return a policy in words."""
    return "\n".join([shown.title, "", *(f"  {line}" for line in shown.words), "", shown.note])


def policy_check(answer: Projection) -> str:
    """Return which requests a policy fails, and what mending costs."""
    found = answer.check()
    if not found["violations"]:
        said = f"{answer.policy.title} serves every request of {answer.scenario.title} as asked."
    else:
        rows = [
            [
                one["segment"],
                percent(one["share"]),
                one["route"] or "none",
                "; ".join(one["reasons"]),
                one["fix"] or "nothing can",
                "–" if one["fix"] is None else money(one["added_usd_per_month"]),
            ]
            for one in found["violations"]
        ]
        header = ["segment", "share", "route", "why not as asked", "who could", "adds a month"]
        said = (
            f"{percent(found['violating_share'])} of requests are not served as asked; mending "
            f"adds {money(found['added_usd_per_month'])} a month.\n\n{table(header, rows)}"
        )
    unreached = [f"! never reached: {words}" for words in found["unreached_rules"]]
    return "\n".join([said, *([""] if unreached else []), *unreached])


def raw_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return raw rows as they stand in the book, one block each."""
    blocks = []
    for one in rows:
        fields = [f"  {name}: {value}" for name, value in one["row"].items()]
        blocks.append("\n".join([f"{one['ref']} ({one['name']})", *fields]))
    return "\n\n".join(blocks)


def verdict(found: Verdict) -> str:
    """Return whether a report still holds, and what moved where it does not."""
    if found.holds:
        return "The report holds: every figure comes out the same."
    lines = [] if found.intact else ["The file is not as it was written: its hash differs."]
    if found.figures:
        lines.append(f"{len(found.figures)} figures come out differently.")
    lines += [
        f"  {one.leaf}{f' [{one.ref}]' if one.ref else ''}: "
        f"{one.was or 'not there'} → {one.now or 'gone'}; under {len(one.figures)} figures"
        for one in found.moved
    ]
    if found.formulas:
        lines.append("  no row moved, but the arithmetic or the routing did, under:")
        lines += [f"    {path}" for path in found.formulas]
    return "\n".join(lines)


def wait_report(report: Mapping[str, Mapping[str, Any]]) -> str:
    """Return waiting by formula beside waiting by simulation."""
    rows = [
        [name.replace("_", " "), *(significant(report[side][name], 4) for side in report)]
        for name in ("utilisation", "p_wait", "mean_wait_s", "p95_wait_s")
    ]
    return table(["", *report], rows)
