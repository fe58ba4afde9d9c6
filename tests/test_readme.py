"""The README and its neighbours: every block runs, every link and name is true."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import pgcgan

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# makes the blocks quick: options that the README leaves at their defaults
BUDGET = {"pgcgan simulate ": "--people 100 --length 25000 "}


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def quick(text: str) -> str:
    """Return a block with a small cohort."""
    for call, options in BUDGET.items():
        text = text.replace(call, call + options)
    return text


def test_the_blocks_run(tmp_path: Path) -> None:
    shell, python = blocks("sh"), blocks("python")
    assert len(shell) == len(python) == 1
    lines = shell[0].strip().splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["pgcgan", c] for c in ("simulate", "train", "generate", "evaluate", "info")
    ]
    main = f"{shlex.quote(sys.executable)} -c 'import sys; from pgcgan.cli import main; sys.exit(main())'"
    script = f'set -eu\npgcgan() {{ {main} "$@"; }}\n' + quick(shell[0])
    run = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert {"cohort.vcf.gz", "my.model", "synthetic.vcf.gz", "synthetic.panel.tsv", "report.html"} <= {
        p.name for p in tmp_path.iterdir()
    }
    assert pgcgan.read(tmp_path / "synthetic.vcf.gz").n_samples == 80
    # the Python block goes on with the cohort of the shell block
    run = subprocess.run([sys.executable, "-c", quick(python[0])], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "AF RMSE" in run.stdout
    people = pgcgan.read(tmp_path / "people.vcf.gz", tmp_path / "people.panel.tsv")
    assert people.label("super_pop").tolist().count("AMR") == 500


def test_it_fits_on_one_screen() -> None:
    assert len(README.splitlines()) <= 75


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_inside_the_repository_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = [t for t in re.findall(r"\]\(([^)]+)\)", text) if not t.startswith(("http", "#"))]
    assert [t for t in targets if not (ROOT / t.split("#")[0]).exists()] == []


def test_make_targets_that_the_readme_names_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in {*re.findall(r"^make (\w+)", README, re.MULTILINE), "demo", "test", "lint", "bench", "clean"}:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_every_dependency_is_in_the_constraints_and_in_use() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pinned = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")
    )
    assert pinned["torch"] == "2.13.0"
    assert not [name for name, version in pinned.items() if "+" in version or "/" in version]
    core = project["project"]["dependencies"]
    extras = [d for group in project["project"]["optional-dependencies"].values() for d in group]
    for requirement in [*core, *extras, *project["dependency-groups"]["dev"]]:
        assert re.split(r"[^A-Za-z0-9_.-]", requirement)[0].lower() in pinned, requirement
    sources = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "src").rglob("*.py"))
    imported_as = {"bed-reader": "bed_reader", "scikit-learn": "sklearn"}
    for requirement in core:
        name = re.split(r"[^A-Za-z0-9_-]", requirement)[0]
        module = imported_as.get(name, name)
        assert re.search(rf"^\s*(import|from) {module}\b", sources, re.MULTILINE), f"{name} is not imported"
