"""The documentation: its blocks run, its options exist, and its figures are those of the benchmarks."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import pgcgan
from pgcgan import cli

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
# pages about scripts with options of their own
OWN_OPTIONS = {"benchmarks.md", "findings.md", "uses.md"}
OF_PIP = {"--extra-index-url"}


def blocks(page: str, language: str) -> str:
    """Return the fenced blocks of one language on a page, one after the other."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


def test_the_first_five_minutes_run(tmp_path: Path) -> None:
    main = f"{shlex.quote(sys.executable)} -c 'import sys; from pgcgan.cli import main; sys.exit(main())'"
    quick = blocks("first-five-minutes.md", "sh").replace("--people 400 --length 200000", "--people 100 --length 20000")
    script = f'set -eu\npgcgan() {{ {main} "$@"; }}\n' + quick
    run = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "people: 100\n" in run.stdout
    assert (tmp_path / "report.html").is_file()
    code = blocks("first-five-minutes.md", "python")
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("Row(topic='linkage', metric='LD RMSE'")
    assert "| LD RMSE | " in (tmp_path / "python.model" / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_the_example_of_the_python_page_runs(tmp_path: Path) -> None:
    given = (
        "import pgcgan\n"
        "cohort = pgcgan.simulate(120, length=15_000, seed=1).select(min_maf=0.05)\n"
        "train, holdout = cohort.split(0.8, by='pop', seed=1)\n"
        "haplotypes, labels, positions = train.haplotypes(), train.label('pop'), train.variants.position\n"
    )
    code = given + blocks("api.md", "python").replace("sample(1000", "sample(80")
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert {"report.html", "pca.svg"} == {path.name for path in tmp_path.iterdir()}
    assert len(re.findall(r"^{'coverage': .*} 0\.[0-9]+$", run.stdout, re.MULTILINE)) == 4


def test_the_presence_absence_matrix_is_worked_through(tmp_path: Path) -> None:
    code = blocks("other-data.md", "python") + "\nnp.save('matrix.npy', matrix)\nnp.save('back.npy', back)\n"
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    values = dict(re.findall(r"^(.+): (\d\.\d+), floor", run.stdout, re.MULTILINE))
    assert float(values["TSTR accuracy"]) > 0.95
    assert run.stdout.endswith("needs diploid genotypes\n")
    import numpy as np

    matrix, back = np.load(tmp_path / "matrix.npy"), np.load(tmp_path / "back.npy")
    # the columns are again in the order of the file: how often each gene is there agrees, and how often two are
    # there together, which no wrong order would give
    assert np.corrcoef(matrix.mean(axis=0), back.mean(axis=0))[0, 1] > 0.95
    assert np.corrcoef(np.corrcoef(matrix.T).ravel(), np.corrcoef(back.T).ravel())[0, 1] > 0.9
    assert pgcgan.read(tmp_path / "synthetic.npz").ploidy == 1


def named_options() -> Iterator[tuple[str, str, str]]:
    """Yield page, command ("" where none is named) and option, as the documentation writes them."""
    for page in [*sorted(DOCS.glob("*.md")), ROOT / "README.md"]:
        if page.name in OWN_OPTIONS:
            continue
        text = page.read_text(encoding="utf-8")
        for line in text.replace("\\\n", " ").splitlines():
            for command, rest in re.findall(r"(?:^|`|\| |\()pgcgan ([a-z]+)([^`|)]*)", line):
                for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", rest):
                    yield page.name, command, option
        for inline in re.findall(r"`(--[a-z][a-z-]*)[^`]*`", text):
            if inline not in OF_PIP:
                yield page.name, "", inline


def test_options_that_the_documentation_names_exist(capsys: pytest.CaptureFixture[str]) -> None:
    known: dict[str, set[str]] = {}
    for name in cli.app:
        if not name.startswith("-"):
            known[name] = {"--help"}
            for command in ([name], *([name, part] for part in cli.app[name] if not part.startswith("-"))):
                assert cli.main([*command, "--help"]) == 0
                known[name] |= set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", capsys.readouterr().out))
    known[""] = set().union(*known.values())
    named = list(named_options())
    assert len(named) > 60
    assert [n for n in named if n[1] not in known] == []
    assert [n for n in named if n[2] not in known[n[1]]] == []


def test_every_extra_is_in_the_table() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    table = re.findall(r"^\| `(\w+)` \|", (DOCS / "install.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(project["optional-dependencies"]) <= set(table)


def test_every_page_is_in_the_navigation() -> None:
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r": ([\w-]+\.md)$", config, re.MULTILINE))
    assert {p.name for p in DOCS.glob("*.md")} <= listed
