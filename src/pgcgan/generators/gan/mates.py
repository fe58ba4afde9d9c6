"""What the two haplotypes of a person have in common: noise that is correlated between them.

Haplotypes of one label are exchangeable, but those of one person agree in ancestry where a label is structured.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .code_features import component_scores
from .tilt_training import CodedRows

_GRID = np.array([0.0, 0.3, 0.6, 0.9], dtype=np.float32)
_COMPONENTS = 10
_PEOPLE = 500  # of a label, drawn for each correlation that is tried
_ERRORS = 3.0  # standard errors above 0 that the agreement of real mates must be


def mate_correlation(
    rows: CodedRows, draw: Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray], seed: int
) -> np.ndarray:
    """Return the correlation of noise at which synthetic mates agree as training mates do: float32, shape (labels,).

    Agreement is the covariance of the two haplotypes of a person within the label, added up over the leading principal
    components; labels in which it is not clearly above 0 get no correlation.

    Parameters
    ----------
    rows : CodedRows
        The two rows of a person follow each other.
    draw : callable
        From labels of people, correlation by label and a numpy Generator to codes (people, 2, blocks).
    seed : int
    """
    n_labels = rows.model.n_labels
    by_code = component_scores(rows.blocks, rows.codes, _COMPONENTS, seed)
    offset = np.cumsum([0, *rows.model.sizes[:-1]])
    label = rows.label[::2]

    width = by_code.shape[1]

    def agreement(codes: np.ndarray, of_people: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        flat = codes.reshape(-1, codes.shape[-1])
        scores = np.stack([by_code[offset + np.maximum(row, 0)].sum(axis=0) for row in flat]).reshape(-1, 2, width)
        mean, error = np.zeros(n_labels), np.full(n_labels, np.inf)
        for k in np.unique(of_people):
            own = scores[of_people == k]
            own = own - own.mean(axis=(0, 1))
            products = (own[:, 0] * own[:, 1]).sum(axis=1)
            mean[k] = products.mean()
            error[k] = products.std() / np.sqrt(len(own)) if len(own) > 1 else np.inf
        return mean, error

    real, error = agreement(rows.codes.reshape(len(label), 2, -1), label)
    structured = np.flatnonzero(real > _ERRORS * error)
    correlation = np.zeros(n_labels, dtype=np.float32)
    if not len(structured):
        return correlation
    of_people = np.repeat(structured, _PEOPLE)
    tried = []
    for value in _GRID:
        everywhere = np.full(n_labels, value, dtype=np.float32)
        codes = draw(of_people, everywhere, np.random.default_rng([seed, 14]))
        tried.append(agreement(codes, of_people)[0])
    for k in structured:
        of_label = np.maximum.accumulate([t[k] for t in tried])  # it grows but for the chance of the draws
        correlation[k] = np.interp(real[k], of_label, _GRID)
    return correlation
