from __future__ import annotations

import ast
import doctest
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import costlab

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PYTHON_PAGE = ROOT / "docs" / "python.md"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_from_start_to_end(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": path.parent}}).execute()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_committed_without_outputs(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        assert not cell.get("outputs")
        assert not cell.get("execution_count")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_says_whom_it_is_for_and_calls_public_names_only(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    assert re.match(r"# .+\n\n\*\*For [a-z ]+\.\*\*", cells[0].source)
    for cell in cells:
        if cell.cell_type == "code":
            for node in ast.walk(ast.parse(cell.source)):
                names = [name.name for name in getattr(node, "names", [])]
                names += [node.attr] if isinstance(node, ast.Attribute) else []
                assert not [name for name in names if name.startswith("_")]


def test_the_python_page_runs_as_it_is_printed() -> None:
    found = doctest.testfile(
        str(PYTHON_PAGE), module_relative=False, optionflags=doctest.IGNORE_EXCEPTION_DETAIL
    )
    assert found.attempted > 20
    assert found.failed == 0


def test_every_public_verb_is_on_the_python_page() -> None:
    said = PYTHON_PAGE.read_text(encoding="utf-8")
    verbs = [name for name in costlab.__all__ if name[0].islower()]
    assert [name for name in verbs if f"`{name}(" not in said] == []
    rooms = re.findall(r"`costlab\.(\w+)`", said)
    assert [name for name in rooms if not getattr(costlab, name).__doc__] == []
