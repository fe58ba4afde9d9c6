"""Parts of genome-wide models: linkage across breakpoints, known ancestry, executors."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pgcgan import simulate
from pgcgan.errors import MissingExtra, PgcganError
from pgcgan.generators.haplotype.person_ancestry import fit_loadings, known_ancestry
from pgcgan.genome.ancestry import LabelAncestry, split_populations
from pgcgan.genome.plan import even_breakpoints, linkage_across
from pgcgan.metrics.genome import linkage_error
from pgcgan.runtime.executors import Processes, executor


def test_linkage_across_a_cut_is_the_mean_of_r2_of_its_pairs() -> None:
    rows = np.random.default_rng(1).integers(0, 2, (80, 12)).astype(np.int8)
    rows[:, 5] = rows[:, 4]
    rows[:, 8] = 1
    linkage = linkage_across(rows, 3)
    with np.errstate(invalid="ignore"):
        squared = np.nan_to_num(np.corrcoef(rows.T)) ** 2
    for cut in range(3, 10):
        assert linkage[cut] == pytest.approx(squared[cut - 3 : cut, cut : cut + 3].mean(), abs=1e-6)
    assert np.isinf(linkage[[0, 1, 2, 10, 11, 12]]).all()
    assert even_breakpoints(1000, 250) == [250, 500, 750]
    assert even_breakpoints(100, 250) == []


def test_loadings_of_known_ancestry_are_those_of_a_logistic_regression() -> None:
    random = np.random.default_rng(3)
    z = random.standard_normal((4000, 2))
    offset = np.log(random.dirichlet(np.ones(3) * 5, 4000)).astype(np.float32)
    truth = np.array([[0.8, -0.5], [-0.6, 0.1], [-0.2, 0.4]])
    own = (offset + z @ truth.T + random.gumbel(size=(4000, 3))).argmax(axis=1)
    own[:50] = -1
    loadings = fit_loadings(offset, own, z)
    assert np.abs((loadings - loadings.mean(axis=0)) - (truth - truth.mean(axis=0))).max() < 0.12
    known = known_ancestry(z * 7 + 3, np.arange(4000) % 2, 2)
    assert np.allclose(known.z.std(axis=0), 1)
    assert np.allclose(known.spread[0] @ known.spread[0].T, np.cov(known.z[::2].T), atol=0.02)


def test_tasks_of_a_process_that_died_are_done_again(tmp_path: Path) -> None:
    with executor("processes:1") as runs:
        assert isinstance(runs, Processes)
        # a folder is made once: then the process dies, and the task that is done again finds the folder
        die_once = f"import os, signal\nif not os.path.isdir({str(tmp_path / 'died')!r}):\n"
        die_once += f"    os.mkdir({str(tmp_path / 'died')!r})\n    signal.raise_signal(signal.SIGKILL)"
        promises = [runs.submit(exec, die_once), runs.submit(len, "three")]
        assert [p.result() for p in promises] == [None, 5]
        assert (tmp_path / "died").is_dir()
        with pytest.raises(PgcganError, match="Worker processes were killed"):
            runs.submit(signal.raise_signal, signal.SIGKILL).result()


def test_the_error_of_linkage_at_a_cut_is_that_of_pairs_across_it() -> None:
    a, b = (simulate(60, length=40_000, seed=seed) for seed in (1, 2))
    sites = np.arange(12)
    a, b = a.select(sites=sites), replace(b.select(sites=sites), variants=a.select(sites=sites).variants)
    for phased in (True, False):
        sets = [replace(people, phased=phased) for people in (a, b)]
        rows = [p.calls.reshape(12, -1) if phased else p.calls.sum(axis=2) for p in sets]
        with np.errstate(invalid="ignore"):
            squared = [np.nan_to_num(np.corrcoef(r)) ** 2 for r in rows]
        pairs = [(i, j) for i in range(5) for j in range(5, 12) if j - i < 6]
        expected = sorted(squared[0][i, j] - squared[1][i, j] for i, j in pairs)
        assert np.allclose(sorted(linkage_error(sets[0], sets[1], 5)), expected, atol=1e-5)


def test_people_are_drawn_from_the_populations_of_their_label() -> None:
    without = LabelAncestry([3], [1.0], [[]])
    population, ancestry = without.draw(7, np.random.default_rng(1))
    assert (population == 3).all() and ancestry.shape == (7, 0)
    several = LabelAncestry([1, 4], [0.25, 0.75], [np.eye(2).tolist(), (3 * np.eye(2)).tolist()])
    population, ancestry = several.draw(4000, np.random.default_rng(2))
    assert (population == 1).sum() == 1000 and (population == 4).sum() == 3000
    assert ancestry[population == 1].std(axis=0) == pytest.approx([1, 1], abs=0.08)
    assert ancestry[population == 4].std(axis=0) == pytest.approx([3, 3], abs=0.15)


def test_labels_are_split_where_their_people_fall_into_groups() -> None:
    random = np.random.default_rng(3)
    label = np.repeat([0, 1, 2], 200)
    of = np.where(label == 0, random.integers(0, 2, 600), 0)  # the first has two groups
    of[200:210] = 1  # ten people are too few to be a population
    z = random.standard_normal((600, 2)) + 9 * of[:, None]
    population = split_populations(z, label)
    assert [len(np.unique(population[label == k])) for k in range(3)] == [2, 1, 1]
    assert len(np.unique(population)) == 4
    first = population[label == 0]
    assert len({(int(p), int(g)) for p, g in zip(first, of[label == 0], strict=True)}) == 2
    none = split_populations(np.zeros((600, 0)), label)
    assert (none == label).all()


def test_without_the_extra_the_error_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtra) as caught, executor("dask://localhost:8786"):
        pass
    assert str(caught.value) == (
        "The executor dask://localhost:8786 needs 'distributed', which is not installed: pip install 'pgcgan[dask]'"
    )


def test_the_core_does_not_import_dask() -> None:
    code = "import sys, pgcgan.genome, pgcgan.cli; print({'dask', 'distributed'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.stdout.strip(), run.stderr) == ("set()", "")
    package = Path(sys.modules["pgcgan"].__file__ or "").parent
    users = {
        p.name
        for p in package.rglob("*.py")
        if re.search(r"(?<!torch )import (dask|distributed)|from (dask|distributed)", p.read_text())
    }
    assert users == {"executors.py"}
