"""Person ancestry: a few numbers that the two haplotypes of a person share beyond their label.

Within a label, people differ by where their ancestors came from, and that moves the codes of all blocks and of both
haplotypes together; no chain along the genome can see it where sites are unlinked. Each code's log-probability gets a
term that is linear in a person's ancestry z, and z is normal within each label: a logistic factor model, fitted by EM
with the leave-one-out probabilities of the code model as offset. A principal component counts as an axis of ancestry
if the two haplotypes of people correlate on it within labels. In one region of linked sites none does, and there are
no axes. The model keeps the spread of z in each label, and the z of no person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from ...runtime.threads import in_threads
from .code_rows import ROWS_AT_A_TIME, CodeRows

MOST_AXES = 6
_OFFSET_BYTES = 4_000_000_000  # of the predictions that ancestry is fitted to
_SIGNIFICANCE = 4.27  # normal quantile of .001 / 100 components looked at
_ROUNDS = 25
_PART = 250_000  # numbers (rows x codes) at a time
_GROUPS = 8  # of codes, whose sums are added up, on however many cores
_NEWTON_STEPS_OF_PEOPLE = 2
_LARGEST_LOGIT = np.float32(80)  # exp of more is no number of single precision
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
    """Turn scores of people on axes of ancestry, (people, axes), and their labels, (people,), into a `KnownAncestry`.

    The spread of a label is the covariance of its people, shrunk toward the pooled one as if that came from
    `_SHRINKAGE` of them.
    """
    z = centred_within_labels(scores, label)
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

    Scores are (people, 2, components), labels (people,).
    """
    freedom = len(scores) - len(np.unique(label)) - 3
    if freedom < 10:
        return np.zeros(0, dtype=np.int64)
    within = centred_within_labels(scores, label)
    first, second = within[:, 0], within[:, 1]
    size = np.sqrt((first**2).sum(axis=0) * (second**2).sum(axis=0))
    correlation = (first * second).sum(axis=0) / np.maximum(size, 1e-12)
    significant = np.flatnonzero(np.arctanh(np.clip(correlation, -0.999, 0.999)) * np.sqrt(freedom) > _SIGNIFICANCE)
    return significant[np.argsort(-correlation[significant], kind="stable")][:MOST_AXES]


def fit_loadings(offset: np.ndarray, own: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Fit the weights of the codes of one block, (codes, axes), to rows whose ancestry z is known.

    Maximises sum over rows of log softmax(offset + z weights^T)[own] - ridge / 2 |weights|², by damped Newton steps;
    returns 0 where there is no finite solution. The offset is the code model's log-probabilities, (rows, codes), of
    each row left out; of the rows' own codes, -1 is unknown and counts nothing.
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


def infer_ancestry(
    left_out_log_probs: Callable[[CodeRows], Iterator[tuple[slice, int, np.ndarray]]],
    rows: CodeRows,
    scores: np.ndarray,
    seed: int = 0,
) -> PersonAncestry:
    """Fit the ancestry of people to the training rows of a code model; without axes where there is no structure.

    `left_out_log_probs` is the method of the code model. `scores` are principal components of the rows, (rows,
    components). Those on which the haplotypes of people correlate count as ancestry.
    """
    without = no_ancestry(rows.sizes, rows.n_labels)
    if rows.rows_per_person != 2:
        return without
    of_people = scores.reshape(-1, 2, scores.shape[1])
    shared = shared_components(of_people, rows.label[::2])
    if not len(shared):
        return without
    start = of_people[:, :, shared].mean(axis=1)
    most = max(1000, _OFFSET_BYTES // (8 * sum(rows.sizes)))
    if len(start) > most:
        people = np.sort(np.random.default_rng(seed).permutation(len(start))[:most])
        rows, start = rows.at((2 * people[:, None] + [0, 1]).ravel()), start[people]
    offset = np.empty((sum(rows.sizes), len(rows)), dtype=np.float32)
    ends = np.cumsum([0, *rows.sizes])
    for part, b, log_probs in left_out_log_probs(rows):
        offset[ends[b] : ends[b + 1], part] = log_probs.T
    try:
        return fit_ancestry(rows, offset, start, seed)
    except np.linalg.LinAlgError:  # too few people for the axes
        return without


def with_loadings(predictor: Callable[[np.ndarray], Any], rows: CodeRows, known: KnownAncestry) -> PersonAncestry:
    """Fit loadings to the training rows of a code model, whose people have an ancestry that is known.

    `predictor` is the method of the code model.
    """
    z = np.repeat(known.z, rows.rows_per_person, axis=0)
    if not z.shape[1]:
        return no_ancestry(rows.sizes, rows.n_labels)
    parts = [rows.at(slice(first, first + ROWS_AT_A_TIME)) for first in range(0, len(rows), ROWS_AT_A_TIME)]
    predictors = [predictor(part.label) for part in parts]
    loadings = []
    for b in range(len(rows.sizes)):  # block by block: the offsets of all blocks are larger than the data
        offset = [p.log_probs(part.codes[:, b]) for p, part in zip(predictors, parts, strict=True)]
        loadings.append(fit_loadings(np.concatenate(offset), rows.codes[:, b], z))
        for of_part, part in zip(predictors, parts, strict=True):
            of_part.observe(part.codes[:, b])
    return PersonAncestry(loadings, known.spread)


def fit_ancestry(rows: CodeRows, offset: np.ndarray, scores: np.ndarray, seed: int = 0) -> PersonAncestry:
    """Fit loadings and spread by EM (Laplace approximation of each person's z); no axes if there is no finite solution.

    People have two rows each. The offset is the code model's log-probabilities of each row left out: float32, shape
    (codes of all blocks, rows). Scores, (people, axes), are where z starts.
    """
    em = _AncestryEM(rows, offset, scores)
    random = np.random.default_rng(seed)
    for i in range(_ROUNDS):
        for _ in range(3 if i == 0 else 1):
            em.update_loadings(random)
        covariance = em.update_people()
        if not (np.isfinite(em.z).all() and np.isfinite(em.loadings).all()):
            return no_ancestry(rows.sizes, rows.n_labels)
        em.update_spread(covariance)
    root = np.linalg.cholesky(_SPREAD * em.spread + 1e-9 * np.eye(em.z.shape[1])).astype(np.float32)
    return PersonAncestry([w.astype(np.float32) for w in np.split(em.loadings, em.start[1:-1])], root)


class _AncestryEM:
    """The state of the EM algorithm of `fit_ancestry`; parameters as there."""

    def __init__(self, rows: CodeRows, offset: np.ndarray, scores: np.ndarray):
        codes, self.label, self.offset = rows.codes, rows.label[::2], offset
        self.start = np.concatenate([[0], np.cumsum(rows.sizes)])
        self.known = None if (codes >= 0).all() else (codes >= 0).T.astype(np.float32)
        row, block = np.nonzero(codes >= 0)
        own = self.start[block] + codes[row, block]
        self.own = csr_array((np.ones(len(own), np.float32), (row, own)), shape=offset.shape[::-1])
        # blocks are taken in parts that stay in the cache
        ends = np.flatnonzero(np.diff(self.start[1:] * len(codes) // _PART, append=-1)) + 1
        parts = list(zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True))
        size = -(-len(parts) // _GROUPS)
        self.groups = [parts[first : first + size] for first in range(0, len(parts), size)]
        self.block_of_code = csr_array((np.ones(len(offset), np.float32), np.arange(len(offset)), self.start))
        self.z = centred_within_labels(scores, self.label)
        self.z /= np.maximum(self.z.std(axis=0), 1e-9)
        axes = self.z.shape[1]
        # a noisy start does not matter: the first E step corrects it
        self.deviation: np.ndarray = np.tile(0.5 * np.eye(axes), (len(self.z), 1, 1))
        self.loadings = np.zeros((len(offset), axes))
        self.spread = np.tile(np.eye(axes), (rows.n_labels, 1, 1))

    def probabilities(self, z: np.ndarray) -> list[Iterator[tuple[slice, np.ndarray]]]:
        """Return, for each group of codes, an iterator over some of its codes at a time and their probabilities.

        These are given the z of people: float32, shape (codes, rows); they may be changed.
        """
        z_rows = np.repeat(z, 2, axis=0).T.astype(np.float32)

        def of_group(group: list[tuple[int, int]]) -> Iterator[tuple[slice, np.ndarray]]:
            for first, last in group:
                part = slice(int(self.start[first]), int(self.start[last]))
                p = self.loadings[part].astype(np.float32) @ z_rows
                p += self.offset[part]
                np.clip(p, -_LARGEST_LOGIT, _LARGEST_LOGIT, out=p)
                np.exp(p, out=p)
                factor = 1 / (self.block_of_code[first:last, part] @ p)
                if self.known is not None:
                    factor *= self.known[first:last]
                p *= np.repeat(factor, np.diff(self.start[first : last + 1]), axis=0)
                yield part, p

        return [of_group(group) for group in self.groups]

    def update_loadings(self, random: np.random.Generator) -> None:
        """M step: the loadings, with z drawn from the posterior of each person; half a Newton step."""
        axes = self.z.shape[1]
        drawn = self.z + np.einsum("pij,pj->pi", self.deviation, random.standard_normal(self.z.shape))
        z_rows = np.repeat(drawn, 2, axis=0).astype(np.float32)
        products = (z_rows[:, :, None] * z_rows[:, None, :]).reshape(len(z_rows), -1)
        observed = self.own.T @ z_rows - _RIDGE * self.loadings

        def newton_steps(parts: Iterator[tuple[slice, np.ndarray]]) -> np.ndarray:
            steps = []
            for part, p in parts:
                gradient = observed[part] - p @ z_rows
                p *= 1 - p
                curvature = _RIDGE * np.eye(axes) + (p @ products).reshape(-1, axes, axes)
                steps.append(np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0])
            return np.concatenate(steps)

        # half a step: the codes of a block move against each other
        self.loadings += 0.5 * np.concatenate(in_threads(newton_steps, self.probabilities(drawn)))

    def update_people(self) -> np.ndarray:
        """E step: the mode of each person's z by Newton steps; return the covariances (people, axes, axes)."""
        people, axes = self.z.shape
        precision = np.linalg.inv(self.spread + 1e-4 * np.eye(axes))[self.label]
        loadings = self.loadings.astype(np.float32)
        products = (loadings[:, :, None] * loadings[:, None, :]).reshape(len(loadings), -1)
        both, observed = np.concatenate([loadings, products], axis=1), self.own @ loadings

        def expectation(parts: Iterator[tuple[slice, np.ndarray]]) -> np.ndarray:
            total = np.zeros((len(observed), both.shape[1]), dtype=np.float32)
            for part, p in parts:
                total += p.T @ both[part]
            return total

        for _ in range(_NEWTON_STEPS_OF_PEOPLE):
            expected = np.sum(in_threads(expectation, self.probabilities(self.z)), axis=0)
            of_people = (observed - expected[:, :axes]).reshape(people, 2, axes).sum(axis=1)
            gradient = of_people - np.einsum("pij,pj->pi", precision, self.z)
            hessian = precision + expected[:, axes:].reshape(people, 2, axes, axes).sum(axis=1)
            step = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
            self.z += step * np.minimum(1, 3 / np.maximum(np.linalg.norm(step, axis=1, keepdims=True), 1e-9))
        return np.linalg.inv(hessian)

    def update_spread(self, covariance: np.ndarray) -> None:
        """Scale z to unit size, and update the spread of each label, shrunk toward the pooled one."""
        axes = self.z.shape[1]
        deviation = np.linalg.cholesky((covariance + covariance.transpose(0, 2, 1)) / 2 + 1e-9 * np.eye(axes))
        self.z = centred_within_labels(self.z, self.label)
        moments = self.z[:, :, None] * self.z[:, None, :] + covariance
        scale = np.sqrt(np.einsum("pii->i", moments) / len(self.z))
        self.z /= scale
        self.loadings *= scale
        self.deviation = deviation / scale[None, :, None]
        moments /= np.outer(scale, scale)
        pooled = moments.mean(axis=0)
        for k in range(len(self.spread)):
            own = moments[self.label == k]
            self.spread[k] = (own.sum(axis=0) + _SHRINKAGE * pooled) / (len(own) + _SHRINKAGE)


def centred_within_labels(scores: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Return scores (people, …, axes) less the mean of each label: float64."""
    centred = scores.astype(np.float64)
    for own in np.unique(label):
        centred[label == own] -= centred[label == own].mean(axis=tuple(range(centred.ndim - 1)))
    return centred
