"""The notebooks: the tutorial runs, and those committed are executed, small, and show nobody's genotypes."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

# makes the tutorial quick: a shorter region, and fewer steps
BUDGET = {"length=200_000": "length=120_000", "steps=400": "steps=20"}
FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def outputs(notebook: Any) -> list[Any]:
    """Return the outputs of all cells."""
    return [out for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs]


def test_the_tutorial_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", ":".join(p for p in sys.path if p))  # the kernel imports the same pgcgan
    notebook = nbformat.read(FOLDER / "tutorial.ipynb", as_version=4)
    written = "".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert all(written.count(usual) == 1 for usual in BUDGET)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
            for usual, quick in BUDGET.items():
                cell.source = cell.source.replace(usual, quick)
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    assert sum("image/png" in out.get("data", {}) for out in outputs(notebook)) == 5
    text = "".join(out.text for out in outputs(notebook) if out.output_type == "stream" and out.name == "stdout")
    assert re.search(r"^LD RMSE +0\.\d+   floor +0\.\d+", text, re.MULTILINE)
    assert "MODEL_CARD.md\n" in text
    assert list(tmp_path.iterdir()) == []  # it writes into a folder of its own


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_what_is_committed(path: Path) -> None:
    assert path.stat().st_size < 1_000_000
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in code:
        ast.parse(cell.source)
    # run from the first cell to the last, once, without an error
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    shown = outputs(notebook)
    assert {out.output_type for out in shown} <= {"stream", "display_data", "execute_result"}
    assert sum("image/png" in out.get("data", {}) for out in shown) >= 4
    text = "".join(str(out.get("text", "")) + str(out.get("data", {}).get("text/plain", "")) for out in shown)
    assert not re.search(r"(?<![\w.])/(home|root|tmp|work|usr|Users)/", text + "".join(c.source for c in code))
    # no sample of 1000 Genomes by name, and no row of genotypes
    assert not re.search(r"\b(HG|NA)\d{5}\b", text)
    assert not re.search(r"(?:[01][|/][01]\s+){8}|(?:[01][ ,]+){30}", text)
