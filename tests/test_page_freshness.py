"""What the pages remember: nothing that an edit, a run or a contract has made untrue."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from costlab import projection, scenarios, store
from costlab.catalog.names import MODELS


@pytest.fixture
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the reviewed data that a test may edit."""
    folder = tmp_path / "data"
    shutil.copytree(store.data_dir(), folder)
    monkeypatch.setattr(store, "data_dir", lambda: folder)
    return folder


def test_an_edited_file_of_the_book_is_seen_at_the_next_change(
    own_store: Path, own_data: Path
) -> None:
    app = AppTest.from_string(
        "from costlab.pages import overview\noverview.page()", default_timeout=120
    )
    app.run()
    before = app.metric[1].value
    mix = own_data / "traffic" / "social-app.yaml"
    text = mix.read_text()
    wanted = next(line for line in text.splitlines() if line.startswith("clips_per_month:"))
    mix.write_text(text.replace(wanted, "clips_per_month: 400000"))
    app.run()
    assert not app.exception
    assert app.metric[1].value != before


def test_the_version_moves_with_data_runs_and_entries(own_store: Path, own_data: Path) -> None:
    seen = [store.version()]
    (own_data / "models.yaml").write_text((own_data / "models.yaml").read_text() + "\n")
    seen.append(store.version())
    (own_store / "runs").mkdir(parents=True)
    (own_store / "runs" / "one.json").write_text("{}")
    seen.append(store.version())
    store.add_entry("note", "one", {"text": "hello"})
    seen.append(store.version())
    (own_store / "runs" / "one.json").unlink()
    seen.append(store.version())
    assert len(set(seen)) == len(seen)
    assert store.version() == seen[-1]


def test_while_it_stands_still_an_edit_is_not_seen_and_afterwards_it_is(own_data: Path) -> None:
    file = own_data / "models.yaml"
    before = MODELS.fingerprint()
    with store.still():
        assert MODELS.fingerprint() == before
        file.write_text(file.read_text() + "\n")
        with store.still():
            assert MODELS.fingerprint() == before
        assert MODELS.fingerprint() == before
    assert MODELS.fingerprint() != before


def test_standing_still_changes_no_answer() -> None:
    asked = scenarios.scenario("social-app")
    loose = projection.project(asked)
    with store.still():
        assert projection.project(asked).summary == loose.summary
