"""Runs that are killed, stopped or refused: how the tests of faults start them and look at what they leave."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from command_line import PROGRAM

import pgcgan
from pgcgan.cli import main
from pgcgan.runtime.files import LOCK

TINY: dict[str, Any] = {
    "steps": 3, "batch": 16, "width": 8, "critic_width": 16, "threads": 1, "calibrate": False, "longest_run": 1,
    "inverse_temperature": 1.0,
}  # fmt: skip
EVALUATED = "--real cohort.vcf.gz --panel cohort.panel.tsv --split split.tsv --synthetic synthetic.vcf.gz"


def train_words(*more: str, steps: int = 3) -> list[str]:
    """Return the words of a training of a small conditional GAN, with a checkpoint after every step."""
    settings = TINY | {"steps": steps, "checkpoint_seconds": 0.0}
    words = ["train", "cohort.vcf.gz", "--panel", "cohort.panel.tsv", "--model", "gan"]
    return [*words, *(w for name, value in settings.items() for w in ("--set", f"{name}={value}")), *more]


def forked(words: list[str], cwd: Path, errors: Path, before: Callable[[], object] = lambda: None) -> int:
    """Start a command in a child that need not import anything again, its standard error in a file; return its id."""
    child = os.fork()
    if not child:
        try:
            os.setsid()
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.chdir(cwd)
            before()
            with errors.open("w") as sys.stderr:
                status = main(words)
            os._exit(status)
        finally:
            os._exit(99)
    return child


def run_program(*words: str, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command line in a process of its own."""
    return subprocess.run([*PROGRAM, *words], cwd=cwd, capture_output=True, text=True, **options)


def error_of(run: subprocess.CompletedProcess[str]) -> str:
    """Return the one sentence with which a command failed that the user can put right."""
    assert run.returncode == 2, run.stderr
    assert "Traceback" not in run.stderr
    *notes, last = run.stderr.splitlines()
    assert last.startswith("pgcgan: error: ")
    assert not any(line.startswith("pgcgan: error: ") for line in notes)
    return last.removeprefix("pgcgan: error: ")


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def digest(model: Path) -> dict[str, str]:
    """Return the sha256 of each file of a model; times and command of its provenance left out."""
    files = {p.name: p.read_bytes() for p in model.iterdir() if p.is_file()}
    metadata = json.loads(files["model.json"])
    metadata["provenance"] = None
    files["model.json"] = json.dumps(metadata).encode()
    card = files["MODEL_CARD.md"].splitlines()
    files["MODEL_CARD.md"] = b"\n".join(line for line in card if not line.startswith(b"- command: "))
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def left_over(folder: Path) -> list[str]:
    """Return what a run left that it should have removed."""
    return [str(p) for p in folder.rglob("*") if p.name.startswith(".pgcgan-") or p.name == LOCK or p.suffix == ".tmp"]


def write_inputs(folder: Path) -> None:
    """Write a cohort, a split, a haplotype model and its people into a folder."""
    people = pgcgan.simulate(80, length=60_000, seed=5)
    pgcgan.write(people, folder / "cohort.vcf.gz")
    train = set(people.split(0.6, by="super_pop", seed=1)[0].samples)
    rows = "".join(f"{s}\t{'train' if s in train else 'test'}\n" for s in people.samples)
    (folder / "split.tsv").write_text("sample\tsplit\n" + rows)
    model = pgcgan.HaplotypeModel(seed=1, calibrate=False, inverse_temperature=1.0, run_carriers=4).fit(people)
    model.save(folder / "model")
    pgcgan.write(model.sample(40, seed=1), folder / "synthetic.vcf.gz")
