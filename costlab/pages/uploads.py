"""Files that people bring to a page, kept in the store's folder by what is in them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from costlab import store


def folder() -> Path:
    """Return the folder of brought and drawn logs, made where it is missing."""
    found = store.home() / "logs"
    found.mkdir(parents=True, exist_ok=True)
    return found


def keep(name: str, content: bytes) -> Path:
    """Return the path of a brought file, written once; only the last part of its name is used."""
    kept = folder() / f"{hashlib.sha256(content).hexdigest()[:16]}-{Path(name).name}"
    if not kept.exists():
        kept.write_bytes(content)
    return kept
