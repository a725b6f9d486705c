"""A paper as PDF, laid out by Typst: offline, with its own fonts, the same bytes every time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from costlab.core import CostlabError
from costlab.report import safe
from costlab.report.paper import Block, Chart, Heading, Paper, Points, Table, Words

TEMPLATE = Path(__file__).with_name("paper.typ")
FONT, INK = "Libertinus Serif", "#1f2329"
LONGEST_CELL = 160
NARROW, WIDEST_SHARE = 18, 70


def pdf(paper: Paper) -> bytes:
    """Return a paper as a PDF; raises `CostlabError` where Typst refuses."""
    made = _compiled(paper, "pdf")
    assert isinstance(made, bytes)
    return made


def pages(paper: Paper, *, ppi: float = 72) -> list[bytes]:
    """Return the pages of the PDF as PNG pictures."""
    made = _compiled(paper, "png", ppi=ppi)
    return [made] if isinstance(made, bytes) else list(made)


def _compiled(paper: Paper, kind: Literal["pdf", "png"], **settings: Any) -> Any:
    import typst

    body = {
        "title": _short(paper.title, 120),
        "subtitle": safe.text(paper.subtitle),
        "answer": safe.text(paper.answer),
        "footer": _short(paper.title, 80),
        "figures": [_figure(*row) for row in paper.figures],
        "blocks": [_plain(block) for block in paper.blocks],
    }
    compiler = typst.Compiler(
        TEMPLATE.read_bytes(),
        ignore_system_fonts=True,
        sys_inputs={"paper": json.dumps(body)},
    )
    try:
        return compiler.compile(format=kind, **settings)
    except typst.TypstError as error:
        raise CostlabError(f"the PDF cannot be laid out: {error}") from error


def _figure(label: str, value: str, known: str) -> list[str]:
    head, _, interval = safe.text(value).partition(" (")
    return [label, head, " · ".join([interval.rstrip(")"), known] if interval else [known])]


def _plain(block: Block) -> dict[str, Any]:
    match block:
        case Heading():
            return {"kind": "heading", "text": safe.text(block.text)}
        case Words():
            return {"kind": "words", "text": safe.text(block.text)}
        case Points():
            return {"kind": "points", "items": [safe.text(item) for item in block.items]}
        case Chart():
            drawn = block.draw(INK, FONT)
            return {"kind": "chart", "said": block.said, "svg": drawn}
        case Table():
            return {
                "kind": "table",
                "header": [safe.text(name) for name in block.header],
                "rows": [[_short(cell, LONGEST_CELL) for cell in row] for row in block.rows],
                "texts": block.texts,
                "totalled": block.totalled,
                "columns": _columns(block),
            }


def _columns(block: Table) -> list[int]:
    """Return each column's share of the room that is left; 0 for one as wide as what it holds."""
    longest = [
        max(len(row[number]) for row in (block.header, *block.rows))
        for number in range(len(block.header))
    ]
    shares = [min(length, WIDEST_SHARE) if length > NARROW else 0 for length in longest]
    return shares if any(shares) else [1, *shares[1:]]


def _short(value: str, most: int) -> str:
    """Return text cut to length."""
    cleaned = safe.text(value)
    return cleaned if len(cleaned) <= most else f"{cleaned[: most - 1]}…"
