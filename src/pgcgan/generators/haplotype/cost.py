"""The expected cost of fitting the haplotype model, from the size and the linkage of the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ...runtime.memory import resident_bytes
from ..estimate import Estimate
from ..rows import Rows
from .blocks import Blocks

_WINDOWS, _WINDOW = 3, 200  # windows of sites that are cut into blocks to estimate the number of blocks


def expected_cost(rows: Rows, find_blocks: Callable[[Rows, int], Blocks]) -> Estimate:
    """Estimate peak memory and time of a fit.

    The sizes of all arrays are known but for the number of blocks and of their codes, which depends on linkage. So a
    few windows of the data are cut into blocks, by a function of rows and an overlap.
    """
    n_rows, sites = rows.states.shape
    people, n_labels = len(rows.label), len(rows.label_names)
    blocks, codes, transitions, most = _expected_blocks(rows, find_blocks)
    kept = (
        (0 if rows.n_states == 2 else n_rows * sites)  # dosages; haplotypes are a view of the calls
        + 28 * n_rows * blocks  # codes, and the runs of the context tree
        + 4 * (n_labels + 1) * transitions
        + 16 * n_labels * codes
        + 100 * sites
    )
    predictions = min(8192, n_rows) * most  # for rows that are predicted together
    raked = min(16_384, max(20 * n_rows, 128 * n_labels))
    heaviest = max(
        12 * (n_labels + 1) * transitions
        + (8 * blocks + 1000) * n_rows
        + 48 * predictions
        + 8 * min(400_000, n_rows * blocks) * n_labels,
        2.5 * min(4 * n_rows * sites, 4e9) + 1000 * (n_rows + sites),  # principal components
        min(4 * n_rows * codes, 4e9) + 48 * predictions,  # person ancestry, if there is any
        60 * raked * most + (16 * blocks + 1000) * raked + 40 * 2000 * 2000,  # calibration
    )
    seconds = (
        3
        + 1.2e-7 * n_rows * sites
        + 2e-7 * min(n_rows * blocks, 100_000) * most
        + 5e-7 * n_rows * codes
        + 1.5e-7 * min(raked, 20 * n_rows) * codes
        + 4e-5 * min(4 * n_rows, 6000) * min(blocks, 128)  # the membership attack that chooses the carriers of a run
    )
    haplotypes = n_rows if rows.n_states == 2 else 0
    # a training may continue beside the lists and dicts of the above, and free memory is not always given back
    return Estimate(sites, people, haplotypes, int(resident_bytes() + 1.1 * (kept + heaviest)), seconds)


def _expected_blocks(rows: Rows, find_blocks: Callable[[Rows, int], Blocks]) -> tuple[float, float, float, int]:
    """Return the expected numbers of blocks, codes and pairs of codes of neighbours, and the most codes of a block."""
    sites = rows.states.shape[1]
    covered, blocks, codes, transitions, most = 0, 0, 0, 0, 2
    for start in np.unique(np.linspace(0, max(0, sites - _WINDOW), _WINDOWS).astype(int)):
        part = slice(start, start + _WINDOW)
        window = find_blocks(replace(rows, states=rows.states[:, part], variants=rows.variants.select(part)), 0)
        # the end of a window cuts its last block
        whole = max(1, len(window) - 1)
        sizes = np.array(window.sizes[:whole])
        covered += int(window.edges[whole])
        blocks += whole
        codes += int(sizes.sum())
        transitions += int((sizes**2).sum())
        most = max(most, int(sizes.max()))
    scale = sites / covered
    return blocks * scale, codes * scale, transitions * scale, most
