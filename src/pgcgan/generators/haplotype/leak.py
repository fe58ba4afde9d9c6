"""The expected leak before a training, from the haplotype blocks of a part of the sites."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...genotypes import Genotypes
from ..estimate import ExpectedLeak
from ..rows import rows_of
from .blocks import find_blocks

_OF_BLOCKS = ("min_carriers", "coverage", "max_sites", "max_codes")
_WINDOWS, _LEAST_SITES, _MOST_SITES = 8, 250, 1000  # windows that are cut into blocks, and the sites of one
_STATES = 100_000_000  # to be looked at: a few seconds


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
    if not parameters.keys() >= {*_OF_BLOCKS}:
        return None
    rows = rows_of(people, label)
    sites = rows.states.shape[1]
    length = min(max(_STATES // (_WINDOWS * len(rows.states)), _LEAST_SITES), _MOST_SITES)
    whole = sites <= _WINDOWS * length
    starts = [0] if whole else np.linspace(0, sites - length, _WINDOWS).astype(int).tolist()
    length = sites if whole else length
    free = covered = 0
    for start in starts:
        blocks = find_blocks(
            rows.states[:, start : start + length],
            rows.row_person,
            breaks=[b - start for b in rows.breaks if start < b < start + length],
            states=rows.n_states,
            label=rows.row_label,
            min_deviations=max(parameters["min_deviations"], parameters["min_carriers"]),
            **{name: parameters[name] for name in _OF_BLOCKS},
        )
        complete = len(blocks) if whole else max(1, len(blocks) - 1)  # the end of a window cuts its last block
        free += sum(blocks.sizes[:complete]) - complete
        covered += int(blocks.edges[complete])
    looked_at = "" if whole else f"{_WINDOWS * length:,} of {sites:,} sites"
    return ExpectedLeak(round(free * sites / covered), 2 * len(rows.label), looked_at)
