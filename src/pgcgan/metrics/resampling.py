"""Bootstrap intervals, and sums over blocks of sites from which RMSE and correlation are computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .rows import NotComputable

BOOTSTRAPS = 200


def interval(
    statistic: Callable[..., float], counts: int | Sequence[int], seed: int, distance: float | None = None
) -> tuple[float | None, float | None]:
    """Return the 95 % percentile bootstrap interval of a statistic.

    Parameters
    ----------
    statistic : callable
        Takes one array of indices of resampled units (people, or blocks of sites) per group.
    counts : int or sequence of int
        Number of units of each group; with fewer than two in one there is no interval.
    seed : int
        Random seed.
    distance : float, optional
        The value, if the statistic is a distance, 0 or more. Two resampled sets are farther apart than the sets that
        they are drawn from: the draws are moved by what their median exceeds the value by, and end at 0.
    """
    sizes = [counts] if isinstance(counts, int) else list(counts)
    if min(sizes) < 2:
        return None, None
    generator = np.random.default_rng([seed, 77])
    draws = np.array([statistic(*(generator.integers(0, n, n) for n in sizes)) for _ in range(BOOTSTRAPS)])
    draws = draws[np.isfinite(draws)]
    if len(draws) < BOOTSTRAPS // 2:
        return None, None
    if distance is not None:
        draws = np.maximum(draws - np.median(draws) + distance, 0)
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def block_starts(count: int, blocks: int = 100) -> np.ndarray:
    """Return the starts of up to `blocks` blocks of neighbouring sites, to be resampled together."""
    return np.unique(np.linspace(0, count, min(blocks, count) + 1)[:-1].astype(int))


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return Pearson's correlation; raise NotComputable below three numbers or where one side is constant."""
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        raise NotComputable("needs at least three different values on each side for a correlation")
    return float(np.corrcoef(a, b)[0, 1])


def moments(a: np.ndarray, b: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return n, Σa, Σb, Σa², Σb², Σab of each block of two columns of numbers (`block_starts`): shape (blocks, 6)."""
    columns = np.stack([np.ones(len(a)), a, b, a * a, b * b, a * b], axis=1)
    return np.add.reduceat(columns, starts, axis=0)


def rmse_of(moments: np.ndarray) -> float:
    """Return the root mean square difference from n, Σa, Σb, Σa², Σb², Σab."""
    n, _, _, aa, bb, ab = moments
    return float(np.sqrt(max(aa + bb - 2 * ab, 0.0) / n))


def correlation_of(moments: np.ndarray) -> float:
    """Return Pearson's correlation from n, Σa, Σb, Σa², Σb², Σab; NaN where one side is constant or nothing is."""
    n, a, b, aa, bb, ab = moments
    if n == 0:
        return float("nan")
    spread = (aa - a * a / n) * (bb - b * b / n)
    return float((ab - a * b / n) / np.sqrt(spread)) if spread > 0 else float("nan")
