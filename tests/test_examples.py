"""The examples: their syntax where a tool can tell, and every command line in them against the commands."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from pgcgan.cli import app

FOLDER = Path(__file__).parents[1] / "examples"
FILES = ["Snakefile", "main.nf", "train.slurm"]


def command_lines(name: str) -> list[list[str]]:
    """Return each call of pgcgan in a file, as words; what a workflow system fills in becomes the word 1."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    text = re.sub(r'"\n\s+"', "", text)  # neighbouring strings of Python are one
    text = re.sub(r"\\\n\s*", "", text)
    text = re.sub(r'"\$\{\w+\[@\]\}"', "", text)  # words that may be none
    text = re.sub(r'\$?\{[^{}]*\}|"\$\{[^"]*\}"|"?\$\w+(\.\w+)*"?', "1", text)
    lines = re.findall(r"(?:^\s*|[\d\w=\"]\s|\")(pgcgan (?:[a-z]+) [^\n\"']*-o [^\n\"']*)", text, re.MULTILINE)
    return [shlex.split(line)[1:] for line in lines]


@pytest.mark.parametrize("name", FILES)
def test_every_command_line_can_be_parsed(name: str) -> None:
    lines = command_lines(name)
    assert {line[0] for line in lines} >= {"train", "generate", "evaluate"}
    for line in lines:
        function, bound, _ = app.parse_args(line, exit_on_error=False, print_error=False)
        assert function.__name__ == line[0]
        assert bound.arguments["output"] == line[line.index("-o") + 1]


def test_a_line_with_a_wrong_option_would_be_found() -> None:
    line = next(line for line in command_lines("Snakefile") if line[0] == "train")
    line[line.index("--min-maf")] = "--min-mafs"
    with pytest.raises(Exception, match="--min-mafs"):
        app.parse_args(line, exit_on_error=False, print_error=False)


def test_the_slurm_script_continues_where_it_stopped(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "pgcgan"
    program.parent.mkdir()
    # a stand-in that writes down its arguments, and is killed in the first training
    program.write_text(
        "#!/usr/bin/env bash\n"
        'echo "$@" >> calls\n'
        'if [ "$1" = train ] && [ ! -d chr7.model ]; then mkdir chr7.model; touch chr7.model/run.json; exit 137; fi\n'
        'if [ "$1" = train ]; then rm chr7.model/run.json; touch chr7.model/model.json; fi\n'
    )
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "SLURM_ARRAY_TASK_ID": "7", "MODEL": "gan"}
    status = [
        subprocess.run(["bash", str(FOLDER / "train.slurm")], cwd=tmp_path, env=environment).returncode
        for _ in range(3)
    ]
    assert status == [137, 0, 0]
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [line.split()[0] for line in calls] == ["train", "train", *["generate", "evaluate"] * 2]
    assert ["--resume" in line for line in calls[:2]] == [False, True]
    assert calls[0].startswith("train cohort.chr7.vcf.gz --panel cohort.panel.tsv --split split.tsv ")


@pytest.mark.oracle("shellcheck")
def test_shellcheck_finds_nothing() -> None:
    root = FOLDER.parent
    scripts = [str(FOLDER / "train.slurm"), str(root / ".ci" / "run"), str(root / ".ci" / "release")]
    done = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.oracle("snakemake")
def test_snakemake_knows_the_way_to_the_reports(tmp_path: Path) -> None:
    line = ["snakemake", "--dry-run", "--cores", "1", "--snakefile", str(FOLDER / "Snakefile")]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    jobs = dict(re.findall(r"^(\w+) +(\d+)", output, re.MULTILINE))
    assert jobs == {"all": "1", "cohort": "1", "train": "2", "generate": "2", "evaluate": "2", "total": "8"}
