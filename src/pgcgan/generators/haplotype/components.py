"""Principal components of rows of block codes."""

from __future__ import annotations

import numpy as np

from ...numerics import principal_axes
from .blocks import Blocks

_COMPONENTS = 64  # looked at for ancestry
_COMPONENT_BYTES = 4_000_000_000  # of the states that they are computed from


def principal_components(blocks: Blocks, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean state (sites,), leading axes (components, sites) and scores (rows, components) of rows of codes.

    Of very large data a part of the blocks, evenly spread, is used; the axes are 0 at the sites of the others.
    """
    sites = int(blocks.edges[-1])
    most = max(1, _COMPONENT_BYTES // (4 * len(codes)))
    used = np.arange(len(blocks))[:: -(-sites // most)]
    mask = np.repeat(np.isin(np.arange(len(blocks)), used), np.diff(blocks.edges))
    states = np.empty((len(codes), int(mask.sum())), dtype=np.float32)
    centre, start = np.zeros(sites, dtype=np.float32), 0
    for b in range(len(blocks)):
        mean = blocks.means(b)
        known = codes[:, b] >= 0
        part = mean[np.maximum(codes[:, b], 0)]
        part[~known] = part[known].mean(axis=0) if known.any() else 0
        centre[blocks.edges[b] : blocks.edges[b + 1]] = part.mean(axis=0)
        if mask[blocks.edges[b]]:
            states[:, start : start + part.shape[1]] = part
            start += part.shape[1]
    states -= centre[mask]
    axes = principal_axes(states, max(1, min(_COMPONENTS, min(states.shape) - 1)), iterations=2)
    scores = states @ axes.T
    everywhere = np.zeros((len(axes), sites), dtype=np.float32)
    everywhere[:, mask] = axes
    return centre, everywhere, scores
