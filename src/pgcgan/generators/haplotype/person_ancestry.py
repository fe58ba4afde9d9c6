"""Person ancestry: a few numbers that the two haplotypes of a person share beyond their label.

Within a label, people differ by where their ancestors came from, and that moves the codes of all blocks and of both
haplotypes together; no chain along the genome can see it where sites are unlinked. Each code's log-probability gets a
term that is linear in a person's ancestry z, and z is normal within each label: a logistic factor model, fitted by EM
with the leave-one-out probabilities of the code model as offset. A principal component counts as an axis of ancestry
if the two haplotypes of people correlate on it within labels. In one region of linked sites none does, and there are
no axes. The model keeps the spread of z in each label, and the z of no person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MOST_AXES = 6
_SIGNIFICANCE = 4.27  # normal quantile of .001 / 100 components looked at
_ROUNDS = 25
# numbers (rows x codes): what is more than the first is taken in parts of the second, which stay in the cache
_AT_ONCE, _PART = 16_000_000, 250_000
_RIDGE = 100.0  # on the weights of each code
# where people's z are known, from many more sites than those that the weights are fitted to
_KNOWN_RIDGE = 0.1
_NEWTON_STEPS, _SMALL_STEP = 12, 1e-3
_SHRINKAGE = 20.0  # people's worth of the pooled spread in the spread of each label
# people's z are inferred from the genotypes that the weights were fitted to: their spread comes out too wide
_SPREAD = 0.8


@dataclass(frozen=True)
class PersonAncestry:
    """Loadings of codes and spread of labels.

    Parameters
    ----------
    loadings : list of float32 arrays, shape (codes of the block, axes)
        A code's log-probability changes by loadings @ z.
    spread : array of float32, shape (labels, axes, axes)
        z of a person of label l is spread[l] @ standard normal numbers.
    """

    loadings: list[np.ndarray]
    spread: np.ndarray

    @property
    def axes(self) -> int:
        """Number of axes."""
        return self.spread.shape[1]


@dataclass(frozen=True)
class KnownAncestry:
    """The ancestry of training people, known from the whole genome and not from these sites alone.

    Parameters
    ----------
    z : array of float, shape (people, axes)
        Mean 0 within each label; about 1 in size.
    spread : array of float32, shape (labels, axes, axes)
        As in `PersonAncestry`.
    """

    z: np.ndarray
    spread: np.ndarray


def no_ancestry(sizes: Sequence[int], n_labels: int) -> PersonAncestry:
    """Return an ancestry without axes."""
    return PersonAncestry([np.zeros((k, 0), np.float32) for k in sizes], np.zeros((n_labels, 0, 0), np.float32))


def known_ancestry(scores: np.ndarray, label: np.ndarray, n_labels: int) -> KnownAncestry:
    """Turn scores of people on axes of ancestry into a `KnownAncestry`.

    The spread of a label is the covariance of its people, shrunk toward the pooled one as if that came from
    `_SHRINKAGE` of them.

    Parameters
    ----------
    scores : array of float, shape (people, axes)
    label : array of int, shape (people,)
    n_labels : int
    """
    z = scores.astype(np.float64)
    for own in np.unique(label):
        z[label == own] -= z[label == own].mean(axis=0)
    z /= np.maximum(z.std(axis=0), 1e-9)
    axes = z.shape[1]
    pooled = z.T @ z / max(1, len(z))
    spread = np.empty((n_labels, axes, axes), dtype=np.float32)
    for k in range(n_labels):
        own = z[label == k]
        covariance = (own.T @ own + _SHRINKAGE * pooled) / (len(own) + _SHRINKAGE)
        spread[k] = np.linalg.cholesky(covariance + 1e-9 * np.eye(axes))
    return KnownAncestry(z, spread)


def shared_components(scores: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Return the components on which the two haplotypes of people correlate within labels, at most `MOST_AXES`.

    Parameters
    ----------
    scores : array of float, shape (people, 2, components)
    label : array of int, shape (people,)
    """
    people = len(scores)
    freedom = people - len(np.unique(label)) - 3
    if freedom < 10:
        return np.zeros(0, dtype=np.int64)
    within = scores.astype(np.float64)
    for own in np.unique(label):
        within[label == own] -= within[label == own].mean(axis=(0, 1))
    first, second = within[:, 0], within[:, 1]
    size = np.sqrt((first**2).sum(axis=0) * (second**2).sum(axis=0))
    correlation = (first * second).sum(axis=0) / np.maximum(size, 1e-12)
    significant = np.flatnonzero(np.arctanh(np.clip(correlation, -0.999, 0.999)) * np.sqrt(freedom) > _SIGNIFICANCE)
    return significant[np.argsort(-correlation[significant], kind="stable")][:MOST_AXES]


def fit_loadings(offset: np.ndarray, own: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Fit the weights of the codes of one block to rows whose ancestry is known.

    Maximises sum over rows of log softmax(offset + z weights^T)[own] - ridge / 2 |weights|², by damped Newton steps.

    Parameters
    ----------
    offset : array of float32, shape (rows, codes)
        The code model's log-probabilities of each row, its own contribution left out.
    own : array of int, shape (rows,)
        The rows' codes; -1 is unknown and counts nothing.
    z : array of float, shape (rows, axes)

    Returns
    -------
    array of float32, shape (codes, axes)
        0 where there is no finite solution.
    """
    rows = np.flatnonzero(own >= 0)
    offset, own, z = offset[rows], own[rows], z[rows].astype(np.float32)
    axes, codes = z.shape[1], offset.shape[1]
    products = (z[:, :, None] * z[:, None, :]).reshape(len(z), -1)
    observed = np.zeros((codes, axes))
    np.add.at(observed, own, z)
    weights = np.zeros((codes, axes))
    for _ in range(_NEWTON_STEPS):
        p = offset + z @ weights.T.astype(np.float32)
        p -= p.max(axis=1, keepdims=True)
        np.exp(p, out=p)
        p /= p.sum(axis=1, keepdims=True)
        gradient = observed - p.T @ z - _KNOWN_RIDGE * weights
        curvature = ((p * (1 - p)).T @ products).reshape(codes, axes, axes) + _KNOWN_RIDGE * np.eye(axes)
        # half a step: the codes of a block move against each other
        step = 0.5 * np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0]
        if not np.isfinite(step).all():
            return np.zeros((codes, axes), np.float32)
        weights += step
        if np.abs(step).max(initial=0) < _SMALL_STEP:
            break
    return weights.astype(np.float32)


def fit_ancestry(
    codes: np.ndarray,
    label: np.ndarray,
    sizes: Sequence[int],
    offset: np.ndarray,
    scores: np.ndarray,
    n_labels: int,
    seed: int = 0,
) -> PersonAncestry:
    """Fit weights and spread by EM (Laplace approximation of each person's z).

    Parameters
    ----------
    codes : array of int, shape (people, 2, blocks)
        -1 is unknown and counts nothing.
    label : array of int, shape (people,)
    sizes : sequence of int
        Codes per block.
    offset : array of float32, shape (people * 2, codes of all blocks)
        The code model's log-probabilities of each row, its own contribution left out.
    scores : array of float, shape (people, axes)
        Where z starts.
    n_labels : int
    seed : int

    Returns
    -------
    PersonAncestry
        Without axes if there is no finite solution.
    """
    people, per, blocks = codes.shape
    start = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    block_of = np.repeat(np.arange(blocks), sizes)
    some = people if offset.size <= _AT_ONCE else max(1, _PART // (per * offset.shape[1]))
    parts = [slice(first, first + some) for first in range(0, people, some)]  # of the people
    random = np.random.default_rng(seed)

    z = scores.astype(np.float64)
    for k in np.unique(label):
        z[label == k] -= z[label == k].mean(axis=0)
    z /= np.maximum(z.std(axis=0), 1e-9)
    axes = z.shape[1]
    # how noisy the start is does not matter: the first E step puts it right
    deviation: np.ndarray = np.tile(0.5 * np.eye(axes), (people, 1, 1))
    weights = np.zeros((offset.shape[1], axes))
    spread = np.tile(np.eye(axes), (n_labels, 1, 1))

    def probability(part: slice, z_rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the probabilities of all codes in the rows of some people, and those less the rows' own codes."""
        flat = codes[part].reshape(-1, blocks)
        logits = (z_rows @ weights.T).astype(np.float32)
        logits += offset[per * part.start : per * part.start + len(flat)]
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        logits /= np.add.reduceat(logits, start, axis=1)[:, block_of]
        np.copyto(logits, 0, where=np.repeat(flat < 0, sizes, axis=1))
        rows, columns = np.nonzero(flat >= 0)
        more = logits.copy()
        more[rows, start[columns] + flat[rows, columns]] -= 1
        return logits, more

    def of_people(rows: np.ndarray) -> np.ndarray:
        return rows.reshape(-1, per, *rows.shape[1:]).sum(axis=1)

    for i in range(_ROUNDS):
        # M step: the weights, with z drawn from the posterior of each person
        for _ in range(3 if i == 0 else 1):
            drawn = z + np.einsum("pij,pj->pi", deviation, random.standard_normal(z.shape))
            gradient, curvature = np.zeros_like(weights), np.zeros((len(weights), axes * axes))
            for part in parts:
                z_rows = np.repeat(drawn[part], per, axis=0)
                p, more = probability(part, z_rows)
                gradient -= more.T @ z_rows
                products = (z_rows[:, :, None] * z_rows[:, None, :]).reshape(len(z_rows), -1)
                curvature += (p * (1 - p)).T @ products
            gradient -= _RIDGE * weights
            curvature = curvature.reshape(-1, axes, axes) + _RIDGE * np.eye(axes)
            # half a step: the codes of a block move against each other
            weights += 0.5 * np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0]
        # E step: each person's z
        precision = np.linalg.inv(spread + 1e-4 * np.eye(axes))[label]
        outer = (weights[:, :, None] * weights[:, None, :]).reshape(len(weights), -1)
        for _ in range(4):
            gradient = -np.einsum("pij,pj->pi", precision, z)
            hessian = precision.copy()
            for part in parts:
                p, more = probability(part, np.repeat(z[part], per, axis=0))
                gradient[part] -= of_people(more @ weights)
                hessian[part] += of_people(p @ outer).reshape(-1, axes, axes)
            step = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
            z += step * np.minimum(1, 3 / np.maximum(np.linalg.norm(step, axis=1, keepdims=True), 1e-9))
        covariance = np.linalg.inv(hessian)
        if not (np.isfinite(z).all() and np.isfinite(weights).all()):
            return no_ancestry(sizes, n_labels)
        deviation = np.linalg.cholesky((covariance + covariance.transpose(0, 2, 1)) / 2 + 1e-9 * np.eye(axes))
        for k in np.unique(label):
            z[label == k] -= z[label == k].mean(axis=0)
        moments = z[:, :, None] * z[:, None, :] + covariance
        scale = np.sqrt(np.einsum("pii->i", moments) / people)
        z /= scale
        weights *= scale
        deviation = deviation / scale[None, :, None]
        moments = moments / np.outer(scale, scale)
        pooled = moments.mean(axis=0)
        for k in range(n_labels):
            own = moments[label == k]
            spread[k] = (own.sum(axis=0) + _SHRINKAGE * pooled) / (len(own) + _SHRINKAGE)
    root = np.linalg.cholesky(_SPREAD * spread + 1e-9 * np.eye(axes)).astype(np.float32)
    return PersonAncestry([w.astype(np.float32) for w in np.split(weights, start[1:])], root)
