"""Text that people entered, made safe to write where a program might run it.

A spreadsheet runs a cell that begins like a formula, a browser runs a tag, and a path can climb
out of its folder: each of the three has its one place here.
"""

from __future__ import annotations

import html
import re
import unicodedata

LONGEST_SHEET_NAME = 31
LONGEST_FILE_STEM = 80
_STARTERS = "=+-@＝＋－＠"
_BIDI = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def text(value: str) -> str:
    """Return text without what no file format holds: control characters, lone surrogates, and
    marks that turn the direction of reading.

    >>> text("a\\x00b\\nc")
    'a b c'
    """
    kept = (
        " " if unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") else sign
        for sign in value
        if sign not in _BIDI
    )
    return "".join(kept)


def cell(value: str) -> str:
    """Return text that no spreadsheet takes for a formula.

    >>> cell("=HYPERLINK(1)"), cell(" +1"), cell("plain - text")
    ("'=HYPERLINK(1)", "' +1", 'plain - text')
    """
    cleaned = text(value)
    risky = value[:1] in ("\t", "\r", "\n") or cleaned.lstrip()[:1] in tuple(_STARTERS)
    return f"'{cleaned}" if risky and cleaned.strip() else cleaned


def markup(value: str) -> str:
    """Return text for HTML, inside an element or an attribute."""
    return html.escape(text(value), quote=True)


def markdown(value: str) -> str:
    """Return text that Markdown shows as it stands, inside a table too.

    >>> markdown("a|b <c> *d*")
    'a\\\\|b &lt;c&gt; \\\\*d\\\\*'
    """
    escaped = re.sub(r"([\\`*_\[\]|~#])", r"\\\1", text(value))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def sheet_name(value: str) -> str:
    """Return a name that a workbook takes: 31 characters, without ``[]:*?/\\`` or outer quotes.

    >>> sheet_name("a/b: 'c'")
    "a b 'c"
    """
    cleaned = re.sub(r"[\[\]:*?/\\]+", " ", text(value))
    cleaned = re.sub(r"\s+", " ", cleaned)[:LONGEST_SHEET_NAME].strip(" '")
    return cleaned or "Sheet"


def file_name(stem: str, suffix: str) -> str:
    """Return a plain file name that stays in its folder.

    >>> file_name("../../x", ".csv"), file_name("", ".pdf")
    ('x.csv', 'report.pdf')
    """
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", text(stem)).strip("-._")
    return f"{cleaned[:LONGEST_FILE_STEM].strip('-._') or 'report'}{suffix}"
