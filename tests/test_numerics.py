"""Numeric routines against scipy, scikit-learn, scikit-allel and direct counts."""

from __future__ import annotations

import subprocess
import sys

import allel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from pgcgan.numerics import (
    allele_differences,
    fill_missing,
    nearest_distances,
    nearest_neighbours,
    principal_axes,
    roc_auc,
    site_means,
    squared_distances,
    standardise,
    unary_code,
)


def alleles(seed: int, rows: int, sites: int, most: int = 1, least: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(least, most + 1, (rows, sites), dtype=np.int8)


def test_missing_calls_take_the_mean_of_their_site_as_in_scikit_learn() -> None:
    rows = alleles(0, 12, 30, most=2, least=-1)
    rows[0] = 1  # every site has a call
    imputer = SimpleImputer(missing_values=-1).fit(rows.astype(float))
    assert site_means(rows) == pytest.approx(imputer.statistics_)
    filled = fill_missing(rows)
    assert filled.dtype == np.float32
    assert np.allclose(filled, imputer.transform(rows.astype(float)))
    assert np.array_equal(fill_missing(rows.T.copy().T), filled)
    means = np.linspace(0, 1, 30)
    assert np.allclose(fill_missing(rows, means), np.where(rows < 0, means, rows))


def test_a_site_without_any_call_has_the_mean_0() -> None:
    assert site_means(np.array([[-1, 1], [-1, 0]])).tolist() == [0, 0.5]


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2]), st.booleans())
def test_allele_differences_equal_a_count_site_by_site(seed: int, levels: int, missing: bool) -> None:
    a, b = (alleles(seed + k, n, 9, levels, -1 if missing else 0) for k, n in enumerate((4, 5)))
    counted = allele_differences(a, b, levels)
    for i in range(4):
        for j in range(5):
            both = (a[i] >= 0) & (b[j] >= 0)
            differing = np.abs(a[i, both].astype(int) - b[j, both]).sum()
            expected = differing * 9 / both.sum() if both.any() else 9 * levels
            assert counted[i, j] == pytest.approx(expected, rel=1e-5)


def test_distances_equal_scipy() -> None:
    a, b = alleles(1, 20, 40, most=2), alleles(2, 30, 40, most=2)
    assert np.array_equal(allele_differences(a, b, 2), cdist(a, b, "cityblock"))
    assert np.array_equal(allele_differences(a > 0, b > 0), np.rint(cdist(a > 0, b > 0, "hamming") * 40))
    filled = np.random.default_rng(3).random((6, 40)).astype(np.float32)
    assert np.allclose(squared_distances(filled, a.astype(np.float32)), cdist(filled, a, "sqeuclidean"), rtol=1e-4)


@pytest.mark.parametrize("rows", [30, 1500])  # fewer and more than are compared at a time
def test_nearest_rows_equal_scikit_learn(rows: int) -> None:
    own, other = (unary_code(alleles(k, n, 50, most=2), 2) for k, n in ((4, rows), (5, 70)))
    expected = NearestNeighbors(n_neighbors=1).fit(other).kneighbors(own)[0][:, 0] ** 2
    assert nearest_distances(own, other) == pytest.approx(expected)
    neighbours = NearestNeighbors(n_neighbors=3).fit(own).kneighbors()[0] ** 2  # not the row itself
    assert nearest_distances(own) == pytest.approx(neighbours[:, 0])
    indices = nearest_neighbours(own, 3)
    assert squared_distances(own, own)[np.arange(rows)[:, None], indices] == pytest.approx(neighbours)


def test_ties_between_neighbours_go_by_index() -> None:
    rows = np.array([[1, 0], [0, 0], [1, 1], [0, 0]], dtype=np.float32)
    assert nearest_neighbours(rows, 3).tolist() == [[1, 2, 3], [3, 0, 2], [0, 1, 3], [1, 0, 2]]


def test_products_of_standardised_columns_are_correlations_as_in_scikit_allel() -> None:
    dosages = alleles(6, 50, 30, most=2)
    dosages[:, 7] = 1
    z = standardise(dosages.astype(np.float32))
    expected = allel.rogers_huff_r(np.delete(dosages, 7, axis=1).T)
    others = np.delete(np.arange(30), 7)
    assert np.allclose((z.T @ z)[np.ix_(others, others)][np.triu_indices(29, 1)], expected, atol=1e-5)
    assert not z[:, 7].any()


def test_axes_equal_those_of_scikit_learn() -> None:
    rows = np.random.default_rng(7).normal(size=(200, 60)) * 0.7 ** np.arange(60)
    axes = principal_axes((rows - rows.mean(axis=0)).astype(np.float32), 3)
    expected = PCA(3, svd_solver="full").fit(rows).components_
    assert np.abs((axes * expected).sum(axis=1)) == pytest.approx(np.ones(3), abs=1e-3)
    assert principal_axes(np.ones((2, 5), np.float32), 9).shape == (2, 5)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.lists(st.integers(0, 5), min_size=1, max_size=20))
def test_auc_equals_scikit_learn(positives: list[int], negatives: list[int]) -> None:
    target = [1] * len(positives) + [0] * len(negatives)
    expected = roc_auc_score(target, positives + negatives)
    assert roc_auc(np.array(positives), np.array(negatives)) == pytest.approx(expected)


@pytest.mark.parametrize("module", ["numerics", "metrics", "release"])
def test_importing_does_not_load_slow_libraries(module: str) -> None:
    code = f"import sys, pgcgan.{module}; print(*sorted({{'scipy', 'sklearn', 'torch'}} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.returncode, run.stdout.strip(), run.stderr) == (0, "", "")
