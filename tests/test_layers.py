"""The layers, read from the source: imports point down only, torch is in one place, files and functions are short."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import pgcgan

ROOT = Path(pgcgan.__file__).parent
# as in CONTRIBUTING.md, from the bottom; __init__ is the front door, above everything, and imports on first use only
LAYERS = (
    ("text",),
    ("errors", "numerics"),
    ("arrays", "families", "mixtures", "provenance", "regions", "runtime"),
    ("variants",),
    ("genotypes",),
    ("labels", "io"),
    (
        *("generators/card", "generators/estimate", "generators/genetic_map", "generators/parameters"),
        *("generators/rows", "generators/store"),
        *("metrics", "simulation", "thousand_genomes"),
    ),
    ("generators/generator", "report"),
    ("generators/haplotype", "generators/baselines", "release"),
    ("generators/gan", "genome"),
    ("registry",),
    ("cli",),
    ("__main__",),
)
LAYER = {room: height for height, rooms in enumerate(LAYERS) for room in rooms}
MOST_LINES = 450  # of a file
MOST_LINES_OF_A_FUNCTION = 60  # without its docstring
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def room(module: str) -> str:
    """Return the room of a module: the package within `generators`, or else the top-level package or module."""
    parts = module.split(".")
    return "/".join(parts[:2]) if parts[0] == "generators" and len(parts) > 1 else parts[0]


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path) for path in FILES}


@cache
def imports(path: Path, *, with_types: bool = True) -> set[tuple[str, str]]:
    """Return all that a file imports anywhere, also late: ("ours", module) or ("others", package)."""
    package = ["pgcgan", *path.relative_to(ROOT).parent.parts]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    names = set[tuple[str, str]]()
    for node in ast.walk(tree):
        if node in for_types and not with_types:
            continue
        if isinstance(node, ast.Import):
            targets = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            stem = start + (node.module.split(".") if node.module else [])
            targets = [[*stem, alias.name] for alias in node.names]
        else:
            continue
        for target in targets:
            if target[0] != "pgcgan":
                names.add(("others", target[0]))
                continue
            inside = ".".join(target[1:])
            # a name of a module, or a module of a package
            names.add(("ours", inside if inside in MODULES else ".".join(target[1:-1])))
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_arrows_point_down(path: Path) -> None:
    own = room(module_of(path))
    if own == "generators":
        assert imports(path) == set()  # the package itself: a docstring
        return
    assert own in LAYER, f"{own} has no layer: enter it here and in CONTRIBUTING.md"
    for kind, module in imports(path):
        if kind == "others" or room(module) == own:
            continue
        assert room(module) in LAYER, f"{path.name} imports {module or 'pgcgan itself'}: import from the module"
        assert LAYER[room(module)] < LAYER[own], f"{own} (layer {LAYER[own]}) imports {module}"


def test_no_import_cycle() -> None:
    graph = {
        module_of(path): {module for kind, module in imports(path, with_types=False) if kind == "ours"}
        for path in FILES
    }
    graph = {module: targets - {module} for module, targets in graph.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(error.args[1])}")


def test_torch_is_imported_by_the_networks_alone() -> None:
    importers = {room(module_of(path)) for path in FILES if {("others", "torch")} & imports(path)}
    assert importers == {"generators/gan"}


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        (
            "import pgcgan.io, pgcgan.generators.baselines; pgcgan.read",
            {"torch", "sklearn", "plotly", "msprime", "tskit", "bed_reader", "zarr"},
        ),
        ("import pgcgan.metrics; pgcgan.simulate(5, length=20_000); pgcgan.evaluate", {"torch", "plotly"}),
        ("import pgcgan; pgcgan.HaplotypeModel, pgcgan.GenomeModel, pgcgan.load", {"torch", "sklearn", "plotly"}),
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
    with pytest.raises(AttributeError, match="'train'"):
        pgcgan.train  # noqa: B018


def test_contributing_draws_the_same_layers() -> None:
    text = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    lines = re.findall(r"^(\d+) +(.*)$", text, re.MULTILINE)
    assert {name.removesuffix("/*"): int(height) for height, names in lines for name in names.split()} == LAYER


def test_files_and_functions_are_short() -> None:
    long = []
    for path in [*FILES, ROOT / "__init__.py"]:
        text = path.read_text(encoding="utf-8")
        if len(text.splitlines()) > MOST_LINES:
            long.append(f"{path.relative_to(ROOT)}: {len(text.splitlines())} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if ast.get_docstring(node):
                    lines -= (node.body[0].end_lineno or 0) - node.body[0].lineno + 1
                if lines > MOST_LINES_OF_A_FUNCTION:
                    long.append(f"{path.relative_to(ROOT)}: {node.name} has {lines} lines")
    assert long == []


def test_there_is_no_drawer_for_odds_and_ends() -> None:
    names = {path.stem for path in ROOT.rglob("*.py")}
    assert not names & {"utils", "util", "base", "core", "common", "helpers", "misc"}
