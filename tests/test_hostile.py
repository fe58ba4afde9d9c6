"""Inputs made to harm (hostile.py): one sentence and status 2, within the memory and the time of valid files."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import shlex
import shutil
import subprocess
import sys
import urllib.error
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import PROGRAM
from corpus import Case
from damaging import relabelled
from harming import contigs, people, sites_of_one_contig
from hostile import CASES, MOST, PLENTY, Limits, copied, run
from web_server import WebServer

import pgcgan
from pgcgan import cli

# what the commands import is there before the first child is made: each would import it again
IMPORTED = ("x.vcf", "x.bcf", "y.bed", "x.pgen", "x.hap.gz", "x.npz", "x.zarr", "z.zarr")
USED = (
    "info x.vcf --panel x.panel.tsv",
    "card haplotype.model --evaluation e.json",
    "compare e.json e.json",
    "report e.json -o warm.html",
    "generate haplotype.model -n 2 -o warm.vcf.gz",
    "train x.vcf --panel x.panel.tsv --label gender --model independent -o warm.model",
)


@pytest.fixture(scope="module", autouse=True)
def imported(valid: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Import what the commands import."""
    warm = tmp_path_factory.mktemp("warm")
    shutil.copytree(valid, warm, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(warm)
        patch.setattr(sys, "argv", ["pgcgan"])
        for name in IMPORTED:
            pgcgan.read(warm / name)
        for line in USED:
            assert cli.main(shlex.split(line)) == 0, line


@pytest.fixture(scope="module")
def limits(valid: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Limits]:
    """Return a function that says what a command may take: twice and ten times what it takes with valid files.

    A command that cannot succeed with them either (an address, a device, a number of 400 digits) may take what
    `info x.vcf` may.
    """
    known: dict[str, Limits] = {}

    def limits_of(line: str) -> Limits:
        if line not in known:
            outcome = run(line, copied(valid, tmp_path_factory.mktemp("limits") / "here", line), PLENTY)
            known[line] = Limits.of(outcome) if outcome.status == 0 else limits_of("info x.vcf")
        return known[line]

    return limits_of


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_one_sentence_within_memory_and_time(
    case: Case, valid: Path, limits: Callable[[str], Limits], tmp_path: Path
) -> None:
    folder = copied(valid, tmp_path / "here", case.line)
    case.damage(folder)
    before = sorted(str(path) for path in folder.rglob("*"))
    outcome = run(case.line, folder, limits(case.line))
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


@pytest.mark.parametrize("count", [30_000, pytest.param(300_000, marks=pytest.mark.torture)])
def test_many_contigs_take_what_as_many_sites_of_one_contig_take(count: int, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    sites_of_one_contig(count)(tmp_path / "one")
    one = run("info x.vcf", tmp_path / "one", PLENTY)
    contigs(count)(tmp_path)
    many = run("info x.vcf", tmp_path, Limits.of(one))
    assert (one.status, many.status) == (0, 0), many
    assert f"sites: {count}\n" in many.out


# ---- what is printed, and where -------------------------------------------------------------------------------------

SHELL_ENVIRONMENT = {**os.environ, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def shell(line: str, folder: Path, **variables: str) -> tuple[int, str, str]:
    """Run a line of bash in which `pgcgan` is the program, and `each` does several of its commands in one process."""
    each = "import shlex, sys; from pgcgan.cli import main; sys.exit(max(main(shlex.split(a)) for a in sys.argv[1:]))"
    program = f'pgcgan() {{ {shlex.join(PROGRAM)} "$@"; }}\neach() {{ {shlex.join([PROGRAM[0], "-c", each])} "$@"; }}\n'
    environment = {**SHELL_ENVIRONMENT, **variables}
    done = subprocess.run(["bash", "-c", program + line], cwd=folder, env=environment, capture_output=True)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("pgcgan info x.vcf >&-", 2, "pgcgan: error: The output cannot be written: Bad file descriptor."),
        ("pgcgan convert x.vcf - <&- >&-", 2, "Bad file descriptor"),
        ("pgcgan info - <&-", 2, "Standard input cannot be read: Bad file descriptor."),
        ("pgcgan convert x.vcf new.npz <&- >&- 2>&-", 0, ""),
        ("pgcgan info y.vcf >&- 2>&-", 2, ""),
    ],
)
def test_a_closed_stream_is_one_sentence(line: str, status: int, said: str, valid: Path) -> None:
    code, out, err = shell(line, valid)
    (valid / "new.npz").unlink(missing_ok=True)
    assert (code, out) == (status, "")
    assert said in err
    assert err.count("\n") == (1 if said else 0)


def test_a_name_that_is_not_utf8_and_labels_beyond_ascii(valid: Path, tmp_path: Path) -> None:
    shutil.copy(valid / "x.vcf", os.fsencode(tmp_path) + b"/x\xff.vcf")
    shutil.copy(valid / "x.panel.tsv", tmp_path)
    relabelled("é", "😀")(tmp_path)
    train = r"$'train x\xff.vcf --panel x.panel.tsv --label group --model independent -o m'"
    lines = f"each {train} 'card m' 'info m --json' 'generate m -n é=2 -o new.vcf'"
    status, out, err = shell(lines, tmp_path, LC_ALL="C", PYTHONUTF8="1")
    assert status == 0, err
    assert (
        r"x\xff.vcf" in json.loads((tmp_path / "m" / "model.json").read_text(encoding="utf-8"))["provenance"]["command"]
    )
    assert "`é`" in out
    assert json.loads(out[out.index("\n{") :])["label_counts"] == {"é": 12, "😀": 12}
    assert [line.split("\t")[1] for line in (tmp_path / "new.panel.tsv").read_text(encoding="utf-8").splitlines()] == [
        "group",
        "é",
        "é",
    ]
    assert "`é`" in shell("pgcgan card m", tmp_path, LC_ALL="C")[1]
    status, out, err = shell(r"each $'convert x\xff.vcf y\xff.vcf.gz' $'info z\xff.vcf'", tmp_path)
    assert (status, err.splitlines()[-1]) == (2, r"pgcgan: error: There is no file z\xff.vcf.")
    assert os.path.exists(os.fsencode(tmp_path) + b"/y\xff.vcf.gz.tbi")


@pytest.mark.parametrize("line", ["info x.vcf", "train x.vcf --panel x.panel.tsv --label gender -o new.model"])
def test_memory_that_runs_out_is_one_sentence(line: str, valid: Path, tmp_path: Path) -> None:
    folder = copied(valid, tmp_path / "here", line)
    people(200_000)(folder)
    rows = "".join(f"s{i}\tfemale\n" for i in range(200_000))
    (folder / "x.panel.tsv").write_text(f"sample\tgender\n{rows}")
    outcome = run(line, folder, Limits(1 << 20, 20))
    assert outcome.status == 2, outcome
    assert outcome.err.count("\n") == 1
    assert " GB" in outcome.err
    assert not (folder / "new.model").exists()


def contents(folder: Path) -> bytes:
    """Return all bytes in a folder, also inflated, and the names of its files."""
    whole = b""
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            whole += os.fsencode(path.name) + content
            if content[:2] == b"\x1f\x8b":
                whole += gzip.decompress(content)
            if content[:2] == b"PK":
                with zipfile.ZipFile(path) as archive:
                    whole += b"".join(map(archive.read, archive.namelist()))
    return whole


def test_keys_of_addresses_reach_no_file_and_no_message(
    valid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    web = WebServer(valid)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["pgcgan"])
    monkeypatch.setattr("pgcgan.io.remote.WAITS", ())
    key = "?X-Amz-Signature=SECRET#SECRET"
    vcf, panel = f"'{web.address}/x.vcf.gz{key}'", f"'{web.address}/x.panel.tsv{key}'"
    lines = [
        *(f"convert {vcf} a.{suffix} --panel {panel}" for suffix in ("vcf", "vcf.gz", "bcf", "pgen", "npz", "vcz")),
        f"train {vcf} --panel {panel} --label gender --model independent -o m",
        "card m",
        "info m --json",
        "generate m -n 24 -o new.vcf.gz",
        f"evaluate --real {vcf} --panel {panel} --label gender --synthetic new.vcf.gz -o e.json --json -",
        "report e.json -o e.html",
    ]
    try:
        for line in lines:
            assert cli.main(shlex.split(line)) == 0, capsys.readouterr().err
        authority = web.address.removeprefix("http://")
        for line in (
            f"info {vcf.replace('x.vcf', 'y.vcf')}",
            f"info {vcf} --panel {panel.replace('x.panel', 'z.panel')}",
            f"info {vcf} --panel '{web.address}/y.bim{key}'",
            f"info http://me:SECRET@{authority}/x.vcf.gz",
            f"info http://me:SEC/RET@{authority}/x.vcf.gz?SECRET",
            f"info http://me:SECRET@[::1/x.vcf.gz{key}",
            f"info s3://me:SECRET@bucket/x.vcf{key}",
            f"info https:/host/x.vcf{key}",
            f"convert {vcf} 'a.xyz?{key}'",
            f"train {vcf} --panel {panel} --label gender --windows 100 -o w",
        ):
            assert cli.main(shlex.split(line)) == 2, line
    finally:
        web.stop()
    printed = capsys.readouterr()
    assert "SECRET" not in (printed.out + printed.err).replace("a.xyz??X-Amz-Signature=SECRET#SECRET", "")
    assert "RET@" not in printed.err
    assert b"SECRET" not in contents(tmp_path)


def test_what_a_server_says_is_one_line_without_escapes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(url: str, first: int, last: int) -> None:
        raise urllib.error.HTTPError(url, 418, "\x1b[31mno\r\n\x9b" + "tea" * 1000, http.client.HTTPMessage(), None)

    monkeypatch.setattr("pgcgan.io.remote._ask", refuse)
    assert cli.main(["info", "http://127.0.0.1/x.vcf?SECRET"]) == 2
    err = capsys.readouterr().err
    assert r"418 \x1b[31mno\r\n\x9btea" in err
    assert err.count("\n") == 1
    assert len(err) <= MOST
    assert not set("\x1b\x9b\r") & set(err)


@pytest.mark.parametrize("name", ["plan", "windows"])
def test_a_folder_of_a_model_that_is_a_link_is_not_filled(name: str, valid: Path, tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / name).symlink_to(tmp_path / "victim")
    options = "--label gender --windows 50 --set inverse_temperature=1.0 --set run_carriers=4 --force"
    line = f"train {valid}/x.vcf.gz --panel {valid}/x.panel.tsv {options} -o m"
    outcome = run(line, tmp_path, PLENTY)
    assert (outcome.status, list((tmp_path / "victim").iterdir())) == (2, [])
    assert "is a link to another folder" in outcome.err


def test_an_output_does_not_replace_a_device_or_a_pipe(valid: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.vcf")
    for line in (f"convert {valid}/x.vcf pipe.vcf --force", f"card {valid}/haplotype.model -o pipe.vcf --force"):
        outcome = run(line, tmp_path, PLENTY)
        assert outcome.status == 2
        assert "pipe.vcf is a device or a pipe" in outcome.err
    assert (tmp_path / "pipe.vcf").is_fifo()
