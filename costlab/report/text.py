"""A paper as Markdown and as one HTML file that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Iterator

from costlab.report import safe
from costlab.report.paper import Block, Chart, Heading, Paper, Points, Table, Words

# ── Markdown ──────────────────────────────────────────────────────────────────────────────────


def markdown(paper: Paper) -> str:
    """Return a paper as Markdown; a chart is left to its tables."""
    parts = [f"# {safe.markdown(paper.title)}", safe.markdown(paper.subtitle)]
    parts.append(f"**{safe.markdown(paper.answer)}**")
    if paper.figures:
        figures = Table(header=("Figure", "Value", "Known"), rows=paper.figures, texts=3)
        parts.append(_markdown(figures))
    return "\n\n".join([*parts, body(paper)])


def body(paper: Paper, level: int = 2) -> str:
    """Return what stands under the head of a paper, as Markdown with headings of ``level``."""
    shown = [_markdown(block, level) for block in paper.blocks if not isinstance(block, Chart)]
    return "\n\n".join(shown) + "\n"


def _markdown(block: Block, level: int = 2) -> str:
    match block:
        case Heading():
            return f"{'#' * level} {safe.markdown(block.text)}"
        case Words():
            return safe.markdown(block.text)
        case Points():
            return "\n".join(f"- {safe.markdown(item)}" for item in block.items)
        case Chart():
            return f"*{safe.markdown(block.said)}*"
        case Table():
            last = len(block.rows) - 1
            rules = ["---" if n < block.texts else "---:" for n in range(len(block.header))]
            lines = [_row(block.header), "|" + "|".join(rules) + "|"]
            lines += [
                _row(row, bold=block.totalled and number == last)
                for number, row in enumerate(block.rows)
            ]
            return "\n".join(lines)


def _row(cells: tuple[str, ...], *, bold: bool = False) -> str:
    shown = [safe.markdown(cell) for cell in cells]
    if bold:
        shown = [f"**{cell}**" if cell else "" for cell in shown]
    return "| " + " | ".join(shown) + " |"


# ── HTML ──────────────────────────────────────────────────────────────────────────────────────

_STYLE = """
:root { color-scheme: light dark; --ink: #1f2329; --soft: #5b6470; --line: #d5dae1; --page: #fff }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaed; --soft: #a3acb8; --line: #3a414b; --page: #14171c }
}
* { box-sizing: border-box }
body { margin: 0 auto; padding: 2rem 1rem 4rem; max-width: 60rem; color: var(--ink);
  background: var(--page); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem }
.sub, figcaption, dd.known { color: var(--soft); font-size: .9rem }
.answer { font-size: 1.25rem; line-height: 1.4; font-weight: 600; margin: 1.2rem 0 }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: 1rem;
  margin: 1.5rem 0 }
dt { color: var(--soft); font-size: .9rem } dd { margin: 0; font-weight: 600 }
dd.known { font-weight: 400 }
figure { margin: 0 } svg { width: 100%; height: auto }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100%; font-size: .9rem }
th, td { padding: .3rem .6rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line) }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
tr.total td { font-weight: 600; border-top: 2px solid var(--line) }
@media print {
  :root { --ink: #000; --soft: #444; --line: #bbb; --page: #fff }
  body { max-width: none; padding: 0; font-size: 11px } h2 { break-after: avoid }
  tr, figure { break-inside: avoid } .wide { overflow: visible }
}
""".strip()


def html(paper: Paper) -> str:
    """Return a paper as one HTML file: no script, no address outside it, light and dark."""
    figures = "".join(
        f"<div><dt>{safe.markup(label)}</dt><dd>{safe.markup(value)}</dd>"
        f'<dd class="known">{safe.markup(known)}</dd></div>'
        for label, value, known in paper.figures
    )
    body = "\n".join(piece for block in paper.blocks for piece in _html(block))
    title = safe.markup(paper.title)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{title}</title>\n<style>\n{_STYLE}\n</style>\n</head>\n<body>\n"
        f'<h1>{title}</h1>\n<p class="sub">{safe.markup(paper.subtitle)}</p>\n'
        f'<p class="answer">{safe.markup(paper.answer)}</p>\n'
        + (f"<dl>{figures}</dl>\n" if figures else "")
        + f"{body}\n</body>\n</html>\n"
    )


def _html(block: Block) -> Iterator[str]:
    match block:
        case Heading():
            yield f"<h2>{safe.markup(block.text)}</h2>"
        case Words():
            yield f"<p>{safe.markup(block.text)}</p>"
        case Points():
            yield "<ul>" + "".join(f"<li>{safe.markup(i)}</li>" for i in block.items) + "</ul>"
        case Chart():
            said = safe.markup(block.said)
            drawn = block.draw("currentColor", "system-ui, sans-serif")
            yield f"<figure>{drawn}<figcaption>{said}</figcaption></figure>"
        case Table():
            yield '<div class="wide"><table>'
            yield "<thead>" + _cells(block, block.header, "th") + "</thead><tbody>"
            for number, row in enumerate(block.rows):
                total = block.totalled and number == len(block.rows) - 1
                yield _cells(block, row, "td", ' class="total"' if total else "")
            yield "</tbody></table></div>"


def _cells(block: Table, cells: tuple[str, ...], tag: str, kind: str = "") -> str:
    shown = "".join(
        f"<{tag}{' class=n' if number >= block.texts else ''}>{safe.markup(cell)}</{tag}>"
        for number, cell in enumerate(cells)
    )
    return f"<tr{kind}>{shown}</tr>"
