"""Inputs made to harm (hostile.py): one sentence and status 2, within the memory and the time of valid files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from corpus import Case
from fuzzing import write_valid
from hostile import CASES, MOST, copied, run

MEMORY = 1 << 28  # address space beyond that of the process: a valid file takes half of it
CPU_SECONDS = 10  # a valid file takes one, with what is imported


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a valid file of every kind; tests only read it."""
    folder = tmp_path_factory.mktemp("valid")
    write_valid(folder)
    return folder


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_one_sentence_within_memory_and_time(case: Case, valid: Path, tmp_path: Path) -> None:
    folder = copied(valid, tmp_path / "here", case)
    before = sorted(str(path) for path in folder.rglob("*"))
    outcome = run(case, folder, MEMORY, CPU_SECONDS)
    assert outcome.status == case.status, outcome
    assert "Traceback" not in outcome.err
    assert case.said in outcome.out + outcome.err
    assert not set("\x1b\x9b\x07\u202e") & set(outcome.out + outcome.err)
    assert all(len(line) <= MOST for line in outcome.err.splitlines())
    if case.status:
        assert outcome.err.startswith("pgcgan: error: ")
        assert outcome.err.count("\n") == 1
        assert outcome.out == ""
        assert sorted(str(path) for path in folder.rglob("*")) == before  # nothing is left behind
    shutil.rmtree(folder)
