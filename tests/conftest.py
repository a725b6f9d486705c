from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One store for the whole session, so that the book is built once; nothing in the clone."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COSTLAB_HOME", str(folder))
        yield folder


@pytest.fixture
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of the test's own, for tests that add to it."""
    monkeypatch.setenv("COSTLAB_HOME", str(tmp_path / "store"))
    return tmp_path / "store"
