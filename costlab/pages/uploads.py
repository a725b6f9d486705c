"""Files that people bring to a page, kept in the store's folder by what is in them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from costlab import store
from costlab.core import BadData


def folder() -> Path:
    """Return the folder of brought and drawn logs, made where it is missing."""
    found = store.home() / "logs"
    found.mkdir(parents=True, exist_ok=True)
    return found


ENDINGS = (".csv", ".csv.gz", ".tsv", ".parquet")


def named(typed: str) -> Path:
    """Return a path that a person typed, a log's by its ending or a folder of logs."""
    if not typed.lower().endswith(ENDINGS) and not Path(typed).is_dir():
        raise BadData(typed, [f"name a log ({', '.join(ENDINGS)}) or a folder of logs"])
    return Path(typed)


def keep(name: str, content: bytes) -> Path:
    """Return the path of a brought file, written once; only the last part of its name is used."""
    kept = folder() / f"{hashlib.sha256(content).hexdigest()[:16]}-{Path(name).name}"
    if not kept.exists():
        kept.write_bytes(content)
    return kept
