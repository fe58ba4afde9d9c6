"""The distribution of the ancestry of people in each label, from which synthetic people draw theirs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_MOST_GROUPS = 4
_LEAST_PEOPLE = 20  # of a group
_REGULARISED = 0.01  # added to the variances of a group, so that none is a handful of people


@dataclass(frozen=True)
class AncestryMixture:
    """A Gaussian mixture: the hidden populations of a label, or its clines.

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

    def __post_init__(self) -> None:
        """Raise ValueError where a file says what no mixture is."""
        share, mean, root = (np.asarray(part, dtype=np.float64) for part in (self.share, self.mean, self.root))
        groups, axes = len(share), mean.shape[-1] if mean.ndim == 2 else -1
        fits = share.ndim == 1 and groups > 0 and mean.shape == (groups, axes) and root.size == groups * axes * axes
        if not fits or not all(np.isfinite(part).all() for part in (share, mean, root)):
            raise ValueError(f"an ancestry of the shapes {share.shape}, {mean.shape} and {root.shape}")

    def draw(self, people: int, random: np.random.Generator) -> np.ndarray:
        """Draw the ancestry of people: float32, shape (people, axes)."""
        last = len(self.share) - 1
        group = np.minimum(np.searchsorted(np.cumsum(self.share), random.random(people)), last)
        mean, root = np.array(self.mean).reshape(last + 1, -1), np.array(self.root)
        axes = mean.shape[1]
        normal = random.standard_normal((people, axes))
        z = mean[group] + np.einsum("pij,pj->pi", root.reshape(last + 1, axes, axes)[group], normal)
        return z.astype(np.float32)


def fit_mixtures(z: np.ndarray, label: np.ndarray, spread: np.ndarray) -> list[AncestryMixture]:
    """Fit a mixture to each label; how many groups it has is chosen by the Bayesian information criterion.

    Parameters
    ----------
    z : array of float, shape (people, axes)
    label : array of int, shape (people,)
    spread : array of float, shape (labels, axes, axes)
        Of labels of one group: see `KnownAncestry`.
    """
    from sklearn.mixture import GaussianMixture

    axes, mixtures = z.shape[1], []
    for k, root in enumerate(spread):
        own = z[label == k]
        best = AncestryMixture([1.0], [[0.0] * axes], [root.astype(float).tolist()])
        least = np.inf
        for groups in range(1, _MOST_GROUPS + 1 if axes else 1):
            if len(own) < groups * _LEAST_PEOPLE:
                break
            trial = GaussianMixture(groups, reg_covar=_REGULARISED, n_init=3, random_state=0).fit(own)
            if trial.bic(own) >= least or (trial.weights_ * len(own)).min() < _LEAST_PEOPLE:
                continue
            least = trial.bic(own)
            if groups > 1:
                roots = np.linalg.cholesky(trial.covariances_)
                best = AncestryMixture(trial.weights_.tolist(), trial.means_.tolist(), roots.tolist())
        mixtures.append(best)
    return mixtures
