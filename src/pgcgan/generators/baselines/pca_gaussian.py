"""A Gaussian in the space of principal components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np

from ...errors import UsageError
from .arrays import expect
from .baseline import Baseline


class PCAGaussian(Baseline):
    """A Gaussian for each label in the space of the principal components of all rows, cut back to alleles.

    A point drawn from the Gaussian of its label's scores is carried back to the sites. There its value is normal with a
    known mean and variance, and the cuts between 0, 1 (and 2) are the quantiles that give the values their frequency in
    the label. Frequencies are kept, linkage is that of the leading components.

    Parameters
    ----------
    label, seed
        As in the other baselines.
    components : int
        Leading principal components; at most as many as rows or sites.
    """

    name = "pca-gaussian"
    holds_training_rows = False
    options = ("components",)

    def __init__(self, label: str | Sequence[str] = "super_pop", *, seed: int = 0, components: int = 256):
        super().__init__(label, seed=seed)
        self.components = components

    def _check(self) -> None:
        if self.components < 1:
            raise UsageError(f"components is {self.components}; accepted: 1 or more.")

    def _fit(self, rows: np.ndarray, groups: dict[str, np.ndarray], levels: int, random: np.random.Generator) -> None:
        self._levels = levels
        centred = rows - rows.mean(axis=0, dtype=np.float64).astype(np.float32)
        self._axes = _principal_axes(centred, self.components, random)  # (components, sites)
        scores = centred @ self._axes.T
        self._spread, self._cuts = {}, {}
        for label, index in groups.items():
            own = scores[index] - scores[index].mean(axis=0)
            values, vectors = np.linalg.eigh(own.T @ own / max(len(index) - 1, 1))
            spread = (vectors * np.sqrt(np.maximum(values, 0))).T.astype(np.float32)  # z @ spread has the covariance
            sd = np.sqrt(np.square(spread @ self._axes).sum(axis=0))
            # share of rows with a value of at least 1, …, levels -> cut, in the units of the centred value's own label
            share = np.array([(rows[index] >= k).mean(axis=0) for k in range(1, levels + 1)])
            self._spread[label] = spread
            always = np.where(share == 0, np.inf, -np.inf)  # all rows of the label, or none of them, reach the value
            self._cuts[label] = np.where((share > 0) & (share < 1), _upper_quantile(share) * sd, always)

    def _draw(self, label: str, rows: int, random: np.random.Generator) -> np.ndarray:
        spread = self._spread[label]
        value = random.standard_normal((rows, len(spread)), dtype=np.float32) @ spread @ self._axes
        drawn = np.zeros(value.shape, dtype=np.int8)
        for cut in self._cuts[label]:
            drawn += value > cut
        return drawn

    def _arrays(self) -> dict[str, np.ndarray]:
        return {
            "levels": np.array(self._levels),
            "axes": self._axes,
            "spread": np.array([self._spread[k] for k in self.label_counts]),
            "cuts": np.array([self._cuts[k] for k in self.label_counts]),
        }

    def _restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._levels = int(expect(arrays, "levels", "iu", least=1, most=2))
        labels, sites, largest = len(self.label_counts), len(self._variants), float(np.finfo(np.float32).max)
        k = len(arrays["axes"])
        self._axes = expect(arrays, "axes", "f", k, sites, least=-largest, most=largest)
        spread = expect(arrays, "spread", "f", labels, k, k, least=-largest, most=largest)
        cuts = expect(arrays, "cuts", "f", labels, self._levels, sites)
        self._spread = dict(zip(self.label_counts, spread, strict=True))
        self._cuts = dict(zip(self.label_counts, cuts, strict=True))


def _upper_quantile(share: np.ndarray) -> np.ndarray:
    """Return the standard normal value that is exceeded with probability `share`; 0 where share is 0 or 1."""
    values, inverse = np.unique(share, return_inverse=True)
    normal = NormalDist()
    quantiles = np.array([-normal.inv_cdf(float(v)) if 0 < v < 1 else 0.0 for v in values])
    return quantiles[inverse].reshape(share.shape)


def _principal_axes(centred: np.ndarray, components: int, random: np.random.Generator) -> np.ndarray:
    """Return the leading right singular vectors: float32, shape (components, sites).

    By randomised subspace iteration (Halko, Martinsson and Tropp 2011) where an exact decomposition would take long.
    """
    k = min(components, *centred.shape)
    width = k + 20
    if min(centred.shape) <= 4 * width:
        return np.linalg.svd(centred, full_matrices=False)[2][:k]
    basis = centred @ random.standard_normal((centred.shape[1], width), dtype=np.float32)
    for _ in range(4):
        basis = centred @ (centred.T @ np.linalg.qr(basis)[0])
    return np.linalg.svd(np.linalg.qr(basis)[0].T @ centred, full_matrices=False)[2][:k]
