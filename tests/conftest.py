"""Fixtures that several test modules share, and the rule for tests that need an outside program."""

from __future__ import annotations

import os

# before numpy or torch is imported: one thread a process is enough for small arrays, and `make test` runs several
os.environ.setdefault("OMP_NUM_THREADS", "1")

import shlex
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Run
from hypothesis import settings
from web_server import WebServer

from pgcgan.genotypes import Genotypes

# a shell ignores Ctrl-C for what it starts in the background, and every child would: tests send it
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("pgcgan", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("pgcgan")

ORACLES = ("bcftools", "plink2", "plink1.9", "vcftools", "tabix", "zsh", "shellcheck", "snakemake")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests whose program is not installed; `pytest_report_header` says so."""
    kept, absent = [], []
    for item in items:
        needed = {name for mark in item.iter_markers("oracle") for name in (mark.args or ("bcftools",))}
        unknown = needed - set(ORACLES)
        if unknown:
            raise pytest.UsageError(f"{item.nodeid}: oracle names {sorted(unknown)}; known: {', '.join(ORACLES)}")
        (kept if all(shutil.which(name) for name in needed) else absent).append(item)
    if absent:
        config.hook.pytest_deselected(items=absent)
        items[:] = kept


def pytest_report_header(config: pytest.Config) -> str:
    """Say which outside programs there are, so that a green line cannot hide a comparison that never ran."""
    absent = [name for name in ORACLES if not shutil.which(name)]
    if absent:
        return f"oracle tests that need {', '.join(absent)} are deselected: not installed"
    return f"oracle programs: {', '.join(ORACLES)}"


# modules that call `evaluate` for other things than its intervals, which take most of its time where people are few
FEW_RESAMPLES = {
    "test_augmentation_benchmark", "test_bad_input", "test_benchmarks", "test_cli", "test_downstream_benchmark",
    "test_evaluation_benchmark", "test_fine_labels_benchmark", "test_frontier_benchmark", "test_odd_cohorts",
    "test_populations_benchmark", "test_privacy_of_models", "test_windows", "test_windows_benchmark",
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def few_resamples(request: pytest.FixtureRequest) -> Iterator[None]:
    """Bootstrap with fewer resamples where no test looks at intervals."""
    with pytest.MonkeyPatch.context() as patch:
        if request.module.__name__ in FEW_RESAMPLES:
            patch.setattr("pgcgan.metrics.resampling.BOOTSTRAPS", 20)
        yield


@pytest.fixture(scope="session")
def cohort() -> Genotypes:
    """Return 150 simulated people at a few hundred common sites, phased, labelled: enough for quick fits."""
    from pgcgan.simulation import simulate

    return simulate(150, length=200_000, seed=3).select(min_maf=0.05)


PREPARED = (
    "simulate --people 120 --length 60000 --seed 3 --split split.tsv -o cohort.vcf.gz",
    "train cohort.vcf.gz --panel cohort.panel.tsv --split split.tsv --min-maf 0.02 --model smote -o smote.model",
    "train cohort.vcf.gz --panel cohort.panel.tsv --label super_pop --label gender --model independent -o two.model",
    "generate smote.model --like cohort.panel.tsv --split split.tsv -o synthetic.vcf.gz",
)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a cohort, a split, two baselines and synthetic people; tests change copies of it."""
    from pgcgan import cli

    folder = tmp_path_factory.mktemp("prepared")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["pgcgan"])
        for line in PREPARED:
            assert cli.main(line.split()) == 0, line
    return folder


@pytest.fixture
def run(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command line in a copy of `prepared`, which is the working directory."""
    from pgcgan import cli

    monkeypatch.chdir(shutil.copytree(prepared, tmp_path / "prepared"))
    monkeypatch.setattr(sys, "argv", ["pgcgan"])

    def run_line(line: str) -> tuple[int, str, str]:
        status = cli.main(shlex.split(line))
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run_line


@pytest.fixture(scope="session")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a valid file of every kind, and models; tests only read it."""
    from fuzzing import write_valid

    folder = tmp_path_factory.mktemp("valid")
    write_valid(folder)
    return folder


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a cohort, a split, a model and its people; tests only read it."""
    folder = tmp_path_factory.mktemp("faults")
    from faulty_runs import write_inputs

    write_inputs(folder)
    return folder


@pytest.fixture
def work(inputs: Path, tmp_path: Path) -> Path:
    """Return a copy of it."""
    return Path(shutil.copytree(inputs, tmp_path / "work"))


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    """Serve the folder `web` of the test's own folder, without a proxy; failed transfers are repeated at once."""
    (tmp_path / "web").mkdir()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("pgcgan.io.remote.WAITS", (0.0, 0.0))
    server = WebServer(tmp_path / "web")
    yield server
    server.stop()
