"""What runs here (`pgcgan info` without a name), and completion in real shells."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import pgcgan
from pgcgan import cli

ROOT = Path(__file__).parents[1]


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs one command line and returns what it prints."""
    monkeypatch.setattr("sys.argv", ["pgcgan"])

    def one(*arguments: str) -> str:
        assert cli.main(arguments) == 0
        return capsys.readouterr().out

    return one


def test_the_environment_names_every_dependency(printed, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [re.match(r"[\w.-]+", d)[0] for d in project["dependencies"]]  # type: ignore[index]
    # as a wheel says it, with one extra that nobody has
    listed = [*project["dependencies"], 'pandas>=2.2; extra == "frame"', "no-such-thing>=1; extra == 'dream'"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: listed)
    facts = json.loads(printed("info", "--json"))
    assert facts["libraries"] == {name: importlib.metadata.version(name) for name in names}
    assert facts["extras"] == {
        "frame": f"installed (pandas {importlib.metadata.version('pandas')})",
        "dream": "not installed (no-such-thing absent)",
    }
    assert (facts["pgcgan"], facts["platform"]) == (pgcgan.__version__, platform.platform())
    assert facts["python"] == f"CPython {platform.python_version()}"
    assert facts["accelerators"]
    text = printed("info")
    assert [line.split(": ")[0] for line in text.splitlines()] == list(facts)
    assert str(Path.home()) not in text


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["ev"], {"evaluate"}),
        (["train", "--mo"], {"--model"}),
        (["generate", "--min"], {"--min-distance", "--min-maf"}),
        (["completion", ""], {"bash", "zsh", "fish"}),
        (["train", "cohort."], set()),  # nothing of ours: bash falls back on file names
    ],
)
def test_bash_completes(words: list[str], completed: set[str], printed, tmp_path: Path) -> None:
    (tmp_path / "script").write_text(printed("completion", "bash"))
    line = (
        'source ./script; COMP_WORDS=(pgcgan "$@"); COMP_CWORD=$#; _pgcgan; printf "%s\\n" "${COMPREPLY[@]}"; complete'
    )
    run = subprocess.run(["bash", "-c", line, "-", *words], cwd=tmp_path, capture_output=True, text=True)
    assert run.stderr == ""
    *replies, registered = run.stdout.splitlines()
    assert set(replies) - {""} == completed
    assert registered == "complete -o default -F _pgcgan pgcgan"


@pytest.mark.oracle("zsh")
def test_zsh_takes_the_script(printed, tmp_path: Path) -> None:
    (tmp_path / "script").write_text(printed("completion", "zsh"))
    line = "autoload -U compinit; compinit -D; source ./script; print $_comps[pgcgan]"
    run = subprocess.run(["zsh", "-f", "-c", line], cwd=tmp_path, capture_output=True, text=True)
    assert (run.stdout, run.stderr) == ("_cyclopts_pgcgan\n", "")


def test_many_contigs_are_summarised_and_json_has_all(printed, tmp_path: Path) -> None:
    names = [f"scaffold{i}" for i in range(200)]
    head = "".join(f"##contig=<ID={name},length=1000>\n" for name in names)
    records = "".join(f"{name}\t5\t.\tA\tC\t.\t.\t.\tGT\t0|1\n" for name in names)
    file = tmp_path / "x.vcf"
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ta\n"
    file.write_text("##fileformat=VCFv4.2\n" + head + columns + records, encoding="utf-8")
    assert list(json.loads(printed("info", str(file), "--json"))["contigs"]) == names
    text = printed("info", str(file))
    assert "\nphased: yes\n" in text
    assert "scaffold0:5-5 (" in text and "160 more" in text and "scaffold199" not in text


def test_facts_of_a_model_are_words_without_signs_of_python(printed, cohort: pgcgan.Genotypes, tmp_path: Path) -> None:
    model = pgcgan.IndependentSites().fit(cohort).save(tmp_path / "m")
    lines = printed("info", str(model)).splitlines()
    assert not [line for line in lines if re.search(r"[{}\[\]']|True|False|None", line)]
    assert {"phased: yes", "label: super_pop", "holds training rows: no"} <= {*lines}
    assert [line for line in lines if re.fullmatch(r"libraries: numpy [0-9.]+, .*", line)]
    assert [line for line in lines if re.fullmatch(r"contigs: 1:[0-9]+-[0-9]+", line)]
