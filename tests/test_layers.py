"""The layers: arrows point down only, and the numpy half never imports torch."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pgcgan

ROOT = Path(pgcgan.__file__).parent
# as in CONTRIBUTING.md; __init__ is the front door, above everything, and imports on first use only
LAYERS = {
    "genotypes": 0,
    "devices": 0,
    "errors": 0,
    "memory": 0,
    "provenance": 0,
    "workspace": 0,
    "io": 1,
    "cohort": 1,
    "executors": 1,
    "prior": 1,
    "networks": 1,
    "losses": 1,
    "checkpoint": 1,
    "sheet": 1,
    "training": 2,
    "tasks": 2,
    "calibration": 2,
    "estimate": 2,
    "demo": 2,
    "thousand_genomes": 2,
    "metrics": 2,
    "card": 2,
    "model": 3,
    "baselines": 3,
    "release": 3,
    "report": 4,
    "windows": 4,
    "cli": 5,
    "__main__": 6,
}
WITHOUT_TORCH = (
    *("genotypes", "errors", "memory", "provenance", "workspace", "card", "cohort", "io", "demo", "thousand_genomes"),
    *("metrics", "baselines", "release"),
)
# a module of layer 0 may use the errors, which use nothing; the tasks are what the loop of training calls
ALLOWED_BESIDE = {
    ("genotypes", "errors"),
    ("devices", "errors"),
    ("provenance", "errors"),
    ("workspace", "errors"),
    ("tasks", "training"),
    ("tasks", "calibration"),
    ("calibration", "training"),
}


def room(path: Path) -> str:
    """Return the module of layer rank a file belongs to: the package for files of a package, else its own name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[0]


def imports(path: Path) -> list[tuple[str, str]]:
    """Return (kind, name) of everything a file imports anywhere, also late: ours by room, others by package."""
    package = ["pgcgan", *path.relative_to(ROOT).parent.parts]
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            targets = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            stem = start + (node.module.split(".") if node.module else [])
            targets = [[*stem, alias.name] for alias in node.names]
        else:
            continue
        for target in targets:
            if target[0] == "pgcgan":
                found.append(("ours", target[1] if len(target) > 1 else "__init__"))
            else:
                found.append(("others", target[0]))
    return found


FILES = sorted(p for p in ROOT.rglob("*.py") if p != ROOT / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_arrows_point_down(path: Path) -> None:
    own = room(path)
    assert own in LAYERS, f"{own} has no layer: enter it here and in CONTRIBUTING.md"
    for kind, name in imports(path):
        if kind != "ours" or name == own:
            continue
        # `from . import name` of something that is not a module of ours would hide an arrow
        assert name in LAYERS, f"{path.name} imports {name} from pgcgan itself: import it from its module"
        below = LAYERS[name] < LAYERS[own] or (own, name) in ALLOWED_BESIDE
        assert below, f"{own} (layer {LAYERS[own]}) imports {name} (layer {LAYERS[name]})"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_numpy_half_does_not_import_torch(path: Path) -> None:
    if room(path) in WITHOUT_TORCH:
        assert not {name for kind, name in imports(path) if kind == "others"} & {"torch", "lightning_fabric"}


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        (
            "import pgcgan.io, pgcgan.generators.baselines; pgcgan.read",
            {"torch", "sklearn", "scipy", "plotly", "msprime", "tskit", "bed_reader", "zarr"},
        ),
        ("import pgcgan.metrics; pgcgan.simulate(5, length=20_000); pgcgan.evaluate", {"torch", "plotly"}),
        (
            "import pgcgan.cli",
            {"torch", "sklearn", "scipy", "plotly", "msprime", "pysam", "cyvcf2", "bed_reader", "numpy"},
        ),
    ],
)
def test_what_is_not_needed_is_not_loaded(statement: str, absent: set[str]) -> None:
    code = f"import sys, pgcgan; {statement}; print(*sorted({absent!r} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.returncode, run.stdout.strip(), run.stderr) == (0, "", "")


def test_the_front_door_opens_every_name_it_lists() -> None:
    for name in pgcgan.__all__:
        assert getattr(pgcgan, name) is not None
    assert dir(pgcgan) == sorted(pgcgan.__all__)
    with pytest.raises(AttributeError) as caught:
        pgcgan.train  # noqa: B018
    assert str(caught.value) == "module 'pgcgan' has no attribute 'train'"


def test_contributing_draws_the_same_layers() -> None:
    text = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    lines = re.findall(r"^(\d) (.*)$", text, re.MULTILINE)
    assert {name.removesuffix("/*"): int(layer) for layer, names in lines for name in names.split()} == LAYERS


def test_there_is_no_drawer_for_odds_and_ends() -> None:
    names = {p.stem for p in ROOT.rglob("*.py")}
    assert not names & {"utils", "util", "base", "core", "common", "helpers", "misc"}
