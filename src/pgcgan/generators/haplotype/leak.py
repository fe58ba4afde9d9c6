"""The expected leak before a training, from the haplotype blocks of a part of the sites."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...genotypes import Genotypes
from ..estimate import ExpectedLeak
from ..rows import rows_of
from .blocks import find_blocks

_OF_BLOCKS = ("min_carriers", "coverage", "max_sites", "max_codes")
_WINDOWS, _WINDOW = 8, 250  # windows of sites that are cut into blocks


def estimate_leak(people: Genotypes, label: tuple[str, ...], parameters: dict[str, Any]) -> ExpectedLeak | None:
    """Estimate what a model of haplotype blocks will give away of these people; None for a family without blocks.

    Where there are more than 2,000 sites, the blocks of eight windows of 250 sites are counted, and their free
    frequencies (templates less blocks) extrapolated to all sites.

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
    whole = sites <= _WINDOWS * _WINDOW
    starts = [0] if whole else np.linspace(0, sites - _WINDOW, _WINDOWS).astype(int).tolist()
    length = sites if whole else _WINDOW
    free = covered = 0
    for start in starts:
        blocks = find_blocks(
            rows.states[:, start : start + length],
            rows.row_person,
            breaks=[b - start for b in rows.breaks if start < b < start + length],
            states=rows.n_states,
            label=rows.row_label,
            **{name: parameters[name] for name in _OF_BLOCKS},
        )
        complete = len(blocks) if whole else max(1, len(blocks) - 1)  # the end of a window cuts its last block
        free += sum(blocks.sizes[:complete]) - complete
        covered += int(blocks.edges[complete])
    looked_at = "" if whole else f"{_WINDOWS * _WINDOW:,} of {sites:,} sites"
    return ExpectedLeak(round(free * sites / covered), 2 * len(rows.label), looked_at)
