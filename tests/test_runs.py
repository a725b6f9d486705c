from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from costlab import runs
from costlab.core import BadData
from tests.made_runs import made_run


def test_a_run_reads_back_as_it_was_written(tmp_path: Path) -> None:
    run = replace(made_run(800.0), samples={"t_s": [0.0, 0.1], "power_w": [650.0, None]})
    path = runs.write(run, tmp_path)
    assert runs.read(path) == run
    assert runs.write(run, tmp_path) == path
    assert [other.id for other in runs.read_all(tmp_path)] == [run.id]


def test_a_run_edited_by_hand_is_found_out(tmp_path: Path) -> None:
    path = runs.write(made_run(800.0), tmp_path)
    path.write_text(path.read_text().replace("800.0", "700.0"))
    with pytest.raises(BadData, match="edited by hand"):
        runs.read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"[]", "not a run record"),
        (b'{"schema": 1}', "a run has the fields"),
        (b'{"schema": 1, "setting": [], "environment": {}, "stages": [], "flags": [], "spans": []}',
         "a run has the fields"),
    ],
)  # fmt: skip
def test_what_is_no_run_says_so(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(BadData, match=message):
        runs.read(tmp_path / "x.json")


def test_no_temporary_file_stays_behind(tmp_path: Path) -> None:
    runs.write(made_run(800.0), tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


def test_an_unknown_card_makes_a_plain_file_name(tmp_path: Path) -> None:
    run = made_run(800.0)
    odd = replace(run, environment=replace(run.environment, gpu="Acme X/1 (dev)"))
    assert "/" not in runs.write(odd, tmp_path).name


def test_bundles_of_many_machines_merge_without_duplicates(tmp_path: Path) -> None:
    first, second, third = (made_run(s) for s in (800.0, 801.0, 802.0))
    bundle = tmp_path / "bundle.zip"
    assert runs.export([first, second, first], bundle) == 2
    home = tmp_path / "home"
    assert runs.merge([bundle], home) == (2, 0)
    loose = runs.write(third, tmp_path / "loose")
    assert runs.merge([bundle, tmp_path / "loose", loose], home) == (1, 2)
    assert {run.id for run in runs.read_all(home)} == {first.id, second.id, third.id}


def test_an_import_with_a_bad_record_adds_nothing_and_lists_every_problem(tmp_path: Path) -> None:
    runs.write(made_run(800.0), tmp_path / "good")
    (tmp_path / "good" / "bad.json").write_text("{}")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("x.json", "nonsense")
        archive.writestr("readme.txt", "ignored")
    with pytest.raises(BadData) as caught:
        runs.merge(
            [tmp_path / "good", tmp_path / "b.zip", tmp_path / "gone.json"], tmp_path / "home"
        )
    assert len(caught.value.problems) == 3
    assert not list(runs.read_all(tmp_path / "home"))


def test_the_file_is_plain_json_with_its_id(tmp_path: Path) -> None:
    run = made_run(800.0)
    loaded = json.loads(runs.write(run, tmp_path).read_text())
    assert loaded["id"] == run.id
    assert loaded["setting"]["model"] == "wan2.2-t2v-a14b"
