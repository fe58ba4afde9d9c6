"""The command line in tests: the program, and what tests read without pgcgan."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cyvcf2

PROGRAM = [sys.executable, "-c", "import sys; from pgcgan.cli import main; sys.exit(main())"]
Run = Callable[[str], tuple[int, str, str]]  # status, standard output, standard error of a command line


def people_of(path: Path) -> Counter[str]:
    """Count the samples of a VCF by the label in their names."""
    return Counter(name.split("-")[1] for name in cyvcf2.VCF(str(path)).samples)


def train_samples(folder: Path) -> list[str]:
    """Return the names of the training people in `split.tsv`."""
    rows = [line.split("\t") for line in (folder / "split.tsv").read_text().splitlines()[1:]]
    return [name for name, part in rows if part == "train"]


def train_counts(folder: Path, *columns: str) -> Counter[str]:
    """Count the training people by label."""
    train = set(train_samples(folder))
    header, *rows = [line.split("\t") for line in (folder / "cohort.panel.tsv").read_text().splitlines()]
    named = [header.index(column) for column in columns or ("super_pop",)]
    return Counter("/".join(row[k] for k in named) for row in rows if row[0] in train)
