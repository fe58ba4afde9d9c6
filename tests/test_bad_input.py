"""Broken and odd inputs (corpus.py) through the command line: one sentence and status 2, or the documented result."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import cyvcf2
import pytest
from corpus import CASES, Case
from damaging import relabelled

import pgcgan
from pgcgan import cli

PROGRAM = [sys.executable, "-c", "import sys; from pgcgan.cli import main; sys.exit(main())"]


@pytest.fixture
def folder(valid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the valid files, as the working directory."""
    here = tmp_path / "here"
    shutil.copytree(valid, here)
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "argv", ["pgcgan"])
    return here


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_there_are_enough() -> None:
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_one_sentence_or_the_documented_result(case: Case, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case.damage(folder)
    before = everything(folder)
    status = cli.main(shlex.split(case.line))
    printed = capsys.readouterr()
    assert status == case.status, printed.err
    if case.status:
        assert case.said in printed.err
        assert printed.err.startswith("pgcgan: error: ")
        assert printed.err.count("\n") == 1
        assert len(printed.err) < 1000
        assert printed.out == ""
        assert everything(folder) == before
        assert not [p for p in folder.rglob(".*") if p.is_dir()]  # nothing temporary is left
    else:
        assert case.said in printed.out + printed.err
        assert before.items() <= everything(folder).items()


@pytest.mark.parametrize("name", ["bgzip cut in the middle", "blocks of terabytes", "a .pgen cut in the middle"])
def test_the_same_in_a_process_of_its_own(name: str, folder: Path) -> None:
    case = next(case for case in CASES if case.name == name)
    case.damage(folder)
    run = subprocess.run([*PROGRAM, *shlex.split(case.line)], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (2, "")
    assert case.said in run.stderr
    assert run.stderr.count("\n") == 1


def calls_of(path: Path) -> list[tuple]:
    return [(v.CHROM, v.POS, v.ID, v.REF, v.ALT, v.genotypes) for v in cyvcf2.VCF(str(path))]


@pytest.mark.parametrize("name", ["CRLF", "an INFO of four megabytes", "a symbolic allele", "mixed ploidy, accepted"])
def test_what_is_accepted_is_not_changed(name: str, folder: Path) -> None:
    case = next(case for case in CASES if case.name == name)
    valid = calls_of(folder / "x.vcf")
    case.damage(folder)
    assert cli.main(shlex.split(case.line)) == 0
    calls = calls_of(folder / "new.vcf")
    if name == "a symbolic allele":
        assert calls[5][4] == ["<DEL>"]
        calls[5] = (*calls[5][:4], valid[5][4], calls[5][5])
    if name == "mixed ploidy, accepted":  # the lone 1 is doubled, and pairs are without order, as was asked for
        assert calls[2][5][3] == [1, 1, False]
        valid[2][5][3] = [1, 1, True]
        valid = [(*v[:5], [[*sorted(call[:2]), False] for call in v[5]]) for v in valid]
    assert calls == valid


NASTY = (
    "a b", "it's", '"quoted"', "sl/ash", "back\\slash", "<script>alert(1)</script>", "😀", "null", "=1+1", "%s{0}",
    "..", "é", "..\\..",
)  # fmt: skip


@pytest.mark.parametrize("kind", ["", "--model independent"])
def test_labels_of_any_text_go_all_the_way(kind: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    people = pgcgan.simulate(13 * 8, length=40_000, seed=3).select(min_maf=0.1).select(sites=slice(0, 30))
    pgcgan.write(people, "x.vcf", force=True)
    relabelled(*NASTY)(folder)
    for line in (
        f"train x.vcf --panel x.panel.tsv --label group -o new.model {kind}",
        'generate new.model -n "<script>alert(1)</script>=3" -n 😀=2 -n "=1+1=1" -n sl/ash=2 -o few.vcf.gz',
        "generate new.model -n 104 -o new.vcf.gz",
        "evaluate --real x.vcf --panel x.panel.tsv --label group --synthetic new.vcf.gz --per-label -o new.html",
    ):
        assert cli.main(shlex.split(line)) == 0, capsys.readouterr().err
    people = pgcgan.read("few.vcf.gz", "few.panel.tsv")
    assert sorted(people.label("group").tolist()) == sorted(
        ["=1+1", "<script>alert(1)</script>", *["<script>alert(1)</script>"] * 2, "sl/ash", "sl/ash", "😀", "😀"]
    )
    assert all(
        set(name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") for name in people.samples
    )
    assert sorted(p.name for p in folder.glob("new*")) == [
        "new.html", "new.model", "new.panel.tsv", "new.vcf.gz", "new.vcf.gz.tbi",
    ]  # fmt: skip
    page = (folder / "new.html").read_text()
    assert "<script>alert(1)" not in page
    assert "alert(1)" in page
