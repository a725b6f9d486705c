"""Reports of a scenario, or of up to four compared: formats only, every figure comes from below.

gather(scenarios) ─▶ Report ─▶ contents(report, "xlsx") ─▶ bytes
                            └▶ write(report, "focus-1.4", path)
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal, cast

from costlab import lineage
from costlab.core import UnknownName, canonical_json, content_hash, plain, usd
from costlab.report import safe
from costlab.report.content import MOST_SCENARIOS, Part, Report, gather

__all__ = [
    "FORMATS",
    "MOST_SCENARIOS",
    "Format",
    "Part",
    "Report",
    "contents",
    "file_name",
    "gather",
    "write",
]

COMPARISON = "costlab-comparison/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A way to write a report: its title, its file suffixes (the first is usual), its MIME type."""

    title: str
    suffixes: tuple[str, ...]
    mime: str


_FOCUS = (".csv", ".parquet")
FORMATS = {
    "xlsx": Format(
        title="Excel workbook",
        suffixes=(".xlsx",),
        mime="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    "pdf": Format(title="PDF", suffixes=(".pdf",), mime="application/pdf"),
    "html": Format(title="Web page", suffixes=(".html", ".htm"), mime="text/html"),
    "md": Format(title="Markdown", suffixes=(".md",), mime="text/markdown"),
    "csv": Format(title="CSV, a row for each figure", suffixes=(".csv",), mime="text/csv"),
    "parquet": Format(
        title="Parquet, a row for each figure",
        suffixes=(".parquet",),
        mime="application/vnd.apache.parquet",
    ),
    "json": Format(title="JSON that can be verified", suffixes=(".json",), mime="application/json"),
    "focus-1.2": Format(title="FOCUS 1.2 rows", suffixes=_FOCUS, mime="text/csv"),
    "focus-1.4": Format(title="FOCUS 1.4 rows", suffixes=_FOCUS, mime="text/csv"),
}


def write(report: Report, form: str, out: Path) -> Path:
    """Write a report to a file, which appears whole or not at all; return its path.

    Raises `UnknownName` for an unknown format or a suffix that is not the format's,
    `InvalidArgument` for FOCUS rows of a bill without lines.
    """
    known = _known(form)
    if out.suffix.lower() not in known.suffixes:
        raise UnknownName.among(f"file type of {form}", out.suffix, known.suffixes)
    if form.startswith("focus"):
        _focus(report, form, out)
        return out
    fresh = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        fresh.write_bytes(contents(report, form))
        os.replace(fresh, out)
    finally:
        fresh.unlink(missing_ok=True)
    return out


def contents(report: Report, form: str) -> bytes:
    """Return a report as the bytes of a file; the same report gives the same bytes.

    Raises what `write` raises.
    """
    known = _known(form)
    if form in _MAKERS:
        return _MAKERS[form](report)
    with tempfile.TemporaryDirectory(prefix="costlab-") as folder:
        out = Path(folder) / f"rows{known.suffixes[0]}"
        _focus(report, form, out)
        return out.read_bytes()


def file_name(report: Report, form: str) -> str:
    """Return what the file of a report is usually called."""
    version = f"-{form}" if form.startswith("focus") else ""
    return safe.file_name(f"{report.id}{version}", _known(form).suffixes[0])


def _known(form: str) -> Format:
    if form not in FORMATS:
        raise UnknownName.among("report format", form, FORMATS)
    return FORMATS[form]


def _xlsx(report: Report) -> bytes:
    from costlab.report.workbook import workbook

    return workbook(report)


def _pdf(report: Report) -> bytes:
    from costlab.report.paper import written
    from costlab.report.pdf import pdf

    return pdf(written(report))


def _html(report: Report) -> bytes:
    from costlab.report.paper import written
    from costlab.report.text import html

    return html(written(report)).encode()


def _markdown(report: Report) -> bytes:
    from costlab.report.paper import written
    from costlab.report.text import markdown

    return markdown(written(report)).encode()


def _csv(report: Report) -> bytes:
    from costlab.report.tables import csv_text

    return csv_text(report).encode()


def _parquet(report: Report) -> bytes:
    from costlab.report.tables import parquet

    return parquet(report)


def _json(report: Report) -> bytes:
    """Return the report that `lineage.verify` recomputes; several of them with their changes."""
    documents = [lineage.document(part.answer) for part in report.parts]
    if len(documents) == 1:
        return lineage.text(documents[0]).encode()
    body: dict[str, Any] = {
        "format": COMPARISON,
        "reports": documents,
        "changes": [
            {
                "before": one.before.scenario.id,
                "after": one.after.scenario.id,
                "usd": format(usd(one.micro_usd), "f"),
                "changes": [
                    plain(change) | {"usd": format(usd(change.micro_usd), "f")}
                    for change in one.changes
                ],
            }
            for one in report.changes
        ],
    }
    return (canonical_json(body | {"hash": content_hash(body)}) + "\n").encode()


_MAKERS: dict[str, Callable[[Report], bytes]] = {
    "xlsx": _xlsx,
    "pdf": _pdf,
    "html": _html,
    "md": _markdown,
    "csv": _csv,
    "parquet": _parquet,
    "json": _json,
}


def _focus(report: Report, form: str, out: Path) -> None:
    """Write the charges of every part as FOCUS rows, each scenario as its own billing account."""
    from costlab.finance import focus

    version = cast(Literal["1.2", "1.4"], form.removeprefix("focus-"))
    batches = chain.from_iterable(
        focus.rows(
            part.run.charges,
            version=version,
            account=focus.Account(id=part.scenario.id, name=part.name),
        )
        for part in report.parts
    )
    focus.write(batches, out)
