"""Sites that are one thing written several times: the alleles of an HLA gene, the ALTs of one position.

The states of a block's sites are drawn apart, given its code. For such sites that would now and then give a haplotype
two alleles of a gene, or none, so they are drawn given that they make a pattern that a training haplotype has: what
one haplotype can carry at one gene, which says no more of a person than that the allele exists.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .blocks import Blocks, unique_rows

_HLA = re.compile(r"HLA_([A-Z]+[0-9]*)[_*][0-9]")  # HLA_A_0201, HLA_DRB1*15:01
_LEAST = 1e-6  # probability of a state that no row of a code has


@dataclass(frozen=True)
class ExclusiveSites:
    """Groups of sites, and what a haplotype can have there.

    Parameters
    ----------
    sites : list of arrays of int, shape (sites of the group,)
    patterns : list of int8 arrays, shape (patterns, sites of the group)
        0/1, each once.
    """

    sites: list[np.ndarray]
    patterns: list[np.ndarray]

    @classmethod
    def of(cls, rows: np.ndarray, contig: np.ndarray, position: np.ndarray, names: np.ndarray) -> ExclusiveSites:
        """Find the groups of a cohort, and their patterns.

        Parameters
        ----------
        rows : array of int8, shape (haplotypes, sites)
            -1 = missing; a haplotype with a missing state in a group shows no pattern of it.
        contig, position, names : arrays, shape (sites,)
            `names` are the IDs of the sites: alleles of an HLA gene are known by theirs.
        """
        gene: dict[str, list[int]] = {}
        for i, name in enumerate(names):
            if found := _HLA.match(str(name)):
                gene.setdefault(found[1], []).append(i)
        groups = [np.array(sites) for sites in gene.values() if len(sites) > 1]
        taken = np.zeros(len(position), dtype=bool)
        for sites in groups:
            taken[sites] = True
        new = np.flatnonzero(np.concatenate([[True], (position[1:] != position[:-1]) | (contig[1:] != contig[:-1])]))
        for sites in np.split(np.arange(len(position)), new[1:]):
            if len(sites) > 1 and not taken[sites].any():
                groups.append(sites)
        patterns = []
        for sites in groups:
            part = np.ascontiguousarray(rows[:, sites])
            patterns.append(unique_rows(part[(part >= 0).all(axis=1)])[0])
        kept = [i for i, found in enumerate(patterns) if len(found)]
        return cls([groups[i] for i in kept], [patterns[i] for i in kept])

    def resample(
        self, rows: np.ndarray, codes: np.ndarray, blocks: Blocks, generator: np.random.Generator
    ) -> np.ndarray:
        """Return rows whose groups all have a pattern; those that have one already stay as they are.

        The others get a pattern with the probability that independent sites give it. A row is then distributed as
        independent sites given that they make a pattern: what is refused is drawn from the same distribution.

        Parameters
        ----------
        rows : array of int8, shape (haplotypes, sites)
            From `Blocks.decode`; changed in place.
        codes : array of int, shape (haplotypes, blocks)
            Of these rows.
        blocks : Blocks
        generator : numpy Generator
        """
        for sites, patterns in zip(self.sites, self.patterns, strict=True):
            part = np.ascontiguousarray(rows[:, sites])
            bad = np.flatnonzero(~np.isin(_whole(part), _whole(patterns)))
            if not len(bad):
                continue
            block = np.searchsorted(blocks.edges, sites, side="right") - 1
            present = np.empty((len(bad), len(sites)))
            for b in np.unique(block):
                here = block == b
                present[:, here] = blocks.emission[b][codes[bad, b]][:, sites[here] - blocks.edges[b], 1]
            present = present.clip(_LEAST, 1 - _LEAST)
            score = np.log(present / (1 - present)) @ patterns.T.astype(float)
            rows[bad[:, None], sites] = patterns[(score + generator.gumbel(size=score.shape)).argmax(axis=1)]
        return rows

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what a file holds: nothing where there is no group."""
        if not self.sites:
            return {}
        return {
            "sizes": np.array([p.shape for p in self.patterns], dtype=np.int64),
            "sites": np.concatenate(self.sites).astype(np.int64),
            "patterns": np.concatenate([p.ravel() for p in self.patterns]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], n_sites: int) -> ExclusiveSites:
        """Make groups of what `arrays` returned.

        Raises
        ------
        KeyError, ValueError
            If something is absent or does not fit.
        """
        if not arrays:
            return cls([], [])
        sizes, sites, patterns = arrays["sizes"], arrays["sites"], arrays["patterns"]
        if (sizes.dtype, sites.dtype, patterns.dtype) != (np.int64, np.int64, np.int8) or sizes.ndim != 2:
            raise ValueError("markers have arrays of another type")
        if not sizes.size or sizes.shape[1] != 2 or not 1 <= sizes.min() <= sizes.max() <= max(len(patterns), 1):
            raise ValueError("markers.sizes are not those of patterns and sites")
        if len(sites) != sizes[:, 1].sum() or len(patterns) != sizes.prod(axis=1).sum():
            raise ValueError("the arrays of markers do not fit together")
        if not 0 <= sites.min() <= sites.max() < n_sites or not np.isin(patterns, (0, 1)).all():
            raise ValueError("markers point at sites or hold states that there are not")
        cuts = np.cumsum(sizes.prod(axis=1))[:-1]
        return cls(
            np.split(sites, np.cumsum(sizes[:, 1])[:-1]),
            [p.reshape(shape) for p, shape in zip(np.split(patterns, cuts), sizes, strict=True)],
        )


def _whole(rows: np.ndarray) -> np.ndarray:
    """Return each row of a narrow int8 matrix as one value."""
    return np.ascontiguousarray(rows).view(np.dtype((np.void, rows.shape[1]))).ravel()
