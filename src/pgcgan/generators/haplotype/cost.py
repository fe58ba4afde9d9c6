"""What a training is expected to cost and to give away, from the haplotype blocks of a part of the sites."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...genotypes import Genotypes
from ...runtime.memory import resident_bytes
from ..estimate import Estimate, ExpectedLeak
from ..rows import Rows, rows_of
from .blocks import blocks_of

# windows of sites that are cut into blocks, and the sites of one
_COST_WINDOWS, _COST_SITES = 3, 200
_LEAK_WINDOWS, _LEAST_SITES, _MOST_SITES = 8, 250, 1000
_LEAK_STATES = 100_000_000  # to be looked at: a few seconds


def expected_cost(rows: Rows, parameters: Mapping[str, Any]) -> Estimate:
    """Estimate peak memory and time of a fit.

    The sizes of all arrays are known but for the number of blocks and of their codes, which depends on linkage. So a
    few windows of the data are cut into blocks, by the parameters of the model.
    """
    n_rows, sites = rows.states.shape
    people, n_labels = len(rows.label), len(rows.label_names)
    starts = np.unique(np.linspace(0, max(0, sites - _COST_SITES), _COST_WINDOWS).astype(int))
    sizes, covered = _windows(rows, starts, _COST_SITES, parameters)
    scale, most = sites / covered, max(2, int(sizes.max()))
    blocks, codes, transitions = (int(n) * scale for n in (len(sizes), sizes.sum(), (sizes**2).sum()))
    stored = (
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
    return Estimate(sites, people, haplotypes, int(resident_bytes() + 1.1 * (stored + heaviest)), seconds)


def estimate_leak(people: Genotypes, label: tuple[str, ...], parameters: dict[str, Any]) -> ExpectedLeak | None:
    """Estimate what a model of haplotype blocks will give away of these people; None for a family without blocks.

    Where there are more than 8,000 sites (fewer in very large cohorts), the blocks of eight windows are counted, and
    their free frequencies (templates less blocks) extrapolated to all sites.

    Parameters
    ----------
    people : Genotypes
        The training people.
    label : tuple of str
        Label columns of the model.
    parameters : dict
        Of the model (`Generator.parameters`).
    """
    if "min_carriers" not in parameters:
        return None
    rows = rows_of(people, label)
    n_rows, sites = rows.states.shape
    length = min(max(_LEAK_STATES // (_LEAK_WINDOWS * n_rows), _LEAST_SITES), _MOST_SITES)
    looked_at = f"{_LEAK_WINDOWS * length:,} of {sites:,} sites"
    starts = np.linspace(0, sites - length, _LEAK_WINDOWS).astype(int)
    if sites <= _LEAK_WINDOWS * length:
        starts, length, looked_at = np.zeros(1, dtype=int), sites, ""
    sizes, covered = _windows(rows, starts, length, parameters, cut=length < sites)
    return ExpectedLeak(round((int(sizes.sum()) - len(sizes)) * sites / covered), 2 * len(rows.label), looked_at)


def _windows(
    rows: Rows, starts: Iterable[int], length: int, parameters: Mapping[str, Any], *, cut: bool = True
) -> tuple[np.ndarray, int]:
    """Return the sizes of the blocks of windows of sites, and how many sites these blocks cover.

    A window that is cut from more sites may end within its last block, which then does not count.
    """
    sizes, covered = list[int](), 0
    for start in starts:
        part = slice(start, start + length)
        window = replace(rows, states=rows.states[:, part], variants=rows.variants.select(part))
        blocks = blocks_of(window, parameters)
        complete = max(1, len(blocks) - 1) if cut else len(blocks)
        sizes += blocks.sizes[:complete]
        covered += int(blocks.edges[complete])
    return np.array(sizes), covered
