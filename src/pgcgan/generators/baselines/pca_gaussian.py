"""A Gaussian in the space of principal components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any, ClassVar

import numpy as np

from ...numerics import principal_axes
from ..generator import Generator
from ..rows import Rows
from ..store import Array
from .training_rows import filled_states


class PCAGaussian(Generator):
    """A Gaussian for each label in the space of the principal components of all rows, thresholded to alleles.

    A point drawn from the Gaussian of its label's scores is carried back to the sites. There its value is normal with a
    known mean and variance, and the thresholds between 0, 1 (and 2) are the quantiles that give the values their
    frequency in the label. Frequencies are kept, linkage is that of the leading components.

    Parameters
    ----------
    label, seed
        As in the other generators.
    components : int
        Leading principal components; at most as many as rows or sites.
    """

    name = "pca-gaussian"
    bounds: ClassVar = {"components": (1, np.inf)}
    schema: ClassVar = {
        "axes": Array("float32", ("components", "sites")),
        "spread": Array("float32", ("labels", "components", "components")),
        "thresholds": Array("float64", ("labels", "levels", "sites"), -np.inf, np.inf),
    }

    def __init__(self, label: str | Sequence[str] = "super_pop", *, seed: int = 0, components: int = 256):
        super().__init__(label, seed=seed)
        self.components = components

    def _fit(self, rows: Rows) -> None:
        states, levels = filled_states(rows, np.random.default_rng([self.seed, 1])), rows.n_states - 1
        centred = states - states.mean(axis=0, dtype=np.float64).astype(np.float32)
        self.axes_ = principal_axes(centred, self.components, self.seed)  # (components, sites)
        scores = centred @ self.axes_.T
        spreads, thresholds = [], []
        for index in map(rows.of_label, range(len(rows.label_names))):
            own = scores[index] - scores[index].mean(axis=0)
            values, vectors = np.linalg.eigh(own.T @ own / max(len(index) - 1, 1))
            spread = (vectors * np.sqrt(np.maximum(values, 0))).T.astype(np.float32)  # z @ spread has the covariance
            sd = np.sqrt(np.square(spread @ self.axes_).sum(axis=0))
            # share of rows with a value of at least 1, …, levels -> threshold of the centred value
            share = np.array([(states[index] >= k).mean(axis=0) for k in range(1, levels + 1)])
            always = np.where(share == 0, np.inf, -np.inf)  # all rows of the label, or none of them, reach the value
            spreads.append(spread)
            thresholds.append(np.where((share > 0) & (share < 1), _upper_quantile(share) * sd, always))
        self.spread_, self.thresholds_ = np.array(spreads), np.array(thresholds)

    def _draw(self, label: int, people: int, random: np.random.Generator) -> np.ndarray:
        spread = self.spread_[label]
        normal = random.standard_normal((people * self.rows_per_person, len(spread)), dtype=np.float32)
        value = normal @ spread @ self.axes_
        states = np.zeros(value.shape, dtype=np.int8)
        for threshold in self.thresholds_[label]:
            states += value > threshold
        return states

    def _arrays(self) -> dict[str, np.ndarray]:
        return {"axes": self.axes_, "spread": self.spread_, "thresholds": self.thresholds_}

    def _restore(self, arrays: Mapping[str, np.ndarray], details: Mapping[str, Any]) -> None:
        self.axes_, self.spread_, self.thresholds_ = arrays["axes"], arrays["spread"], arrays["thresholds"]
        if self.thresholds_.shape[1] != self.n_states - 1:
            raise ValueError(f"thresholds has the shape {self.thresholds_.shape} for {self.n_states} states")


def _upper_quantile(share: np.ndarray) -> np.ndarray:
    """Return the standard normal value that is exceeded with probability `share`; 0 where share is 0 or 1."""
    values, inverse = np.unique(share, return_inverse=True)
    normal = NormalDist()
    quantiles = np.array([-normal.inv_cdf(float(v)) if 0 < v < 1 else 0.0 for v in values])
    return quantiles[inverse].reshape(share.shape)
