"""How the ancestry of people is distributed in a label: what is left of them in a model, and drawn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.mixture import GaussianMixture

_MOST_GROUPS = 4
_LEAST_PEOPLE = 20  # of a group
_REGULARISED = 0.01  # added to the variances of a group, so that none is a handful of people


@dataclass(frozen=True)
class Mixture:
    """Normal distributions of which each person has one: the hidden populations of a label, or its clines.

    Parameters
    ----------
    share : list of float
        Of the people, by group.
    mean : list of float, groups x axes
    root : list of float, groups x axes x axes
        Cholesky factors of the covariances.
    """

    share: list[float]
    mean: list[list[float]]
    root: list[list[list[float]]]

    def draw(self, people: int, stream: np.random.SeedSequence) -> np.ndarray:
        """Draw the ancestry of people: float32, shape (people, axes)."""
        random = np.random.default_rng(stream)
        last = len(self.share) - 1
        group = np.minimum(np.searchsorted(np.cumsum(self.share), random.random(people)), last)
        mean, root = np.array(self.mean).reshape(last + 1, -1), np.array(self.root)
        axes = mean.shape[1]
        normal = random.standard_normal((people, axes))
        found = mean[group] + np.einsum("pij,pj->pi", root.reshape(last + 1, axes, axes)[group], normal)
        return found.astype(np.float32)


def fit_mixtures(z: np.ndarray, label: np.ndarray, spread: np.ndarray) -> list[Mixture]:
    """Fit a mixture to each label; how many groups it has is chosen by the Bayesian information criterion.

    Parameters
    ----------
    z : array of float, shape (people, axes)
    label : array of int, shape (people,)
    spread : array of float, shape (labels, axes, axes)
        Of labels of one group: see `KnownAncestry`.
    """
    axes, found = z.shape[1], []
    for k, root in enumerate(spread):
        mine = z[label == k]
        best = Mixture([1.0], [[0.0] * axes], [root.astype(float).tolist()])
        least = np.inf
        for groups in range(1, _MOST_GROUPS + 1 if axes else 1):
            if len(mine) < groups * _LEAST_PEOPLE:
                break
            trial = GaussianMixture(groups, reg_covar=_REGULARISED, n_init=3, random_state=0).fit(mine)
            if trial.bic(mine) >= least or (trial.weights_ * len(mine)).min() < _LEAST_PEOPLE:
                continue
            least = trial.bic(mine)
            if groups > 1:
                roots = np.linalg.cholesky(trial.covariances_)
                best = Mixture(trial.weights_.tolist(), trial.means_.tolist(), roots.tolist())
        found.append(best)
    return found
