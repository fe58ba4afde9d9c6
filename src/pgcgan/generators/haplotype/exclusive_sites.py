"""Mutually exclusive sites: the alleles of an HLA gene, or the ALT alleles of one position, as separate sites.

The states of the sites of a block are drawn independently given its code. For mutually exclusive sites that would now
and then give a haplotype two alleles of a gene, or none. So they are resampled until they form a pattern that a
training haplotype has; that identifies a person no more than the existence of the allele does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..rows import Rows
from ..store import Array
from .blocks import Blocks, unique_rows

_HLA = re.compile(r"HLA_([A-Z]+[0-9]*)[_*][0-9]")  # HLA_A_0201, HLA_DRB1*15:01
_LEAST = 1e-6  # probability of a state that no row of a code has

SCHEMA = {
    "exclusive_sites.sizes": Array("int64", ("groups", 2), 1),
    "exclusive_sites.sites": Array("int64", ("exclusive sites",), 0),
    "exclusive_sites.patterns": Array("int8", ("pattern states",), 0, 1),
}


@dataclass(frozen=True)
class ExclusiveSites:
    """Groups of mutually exclusive sites and the patterns that a haplotype can have there."""

    sites: list[np.ndarray]  # of each group: int (sites of the group,)
    patterns: list[np.ndarray]  # of each group: int8 (patterns, sites of the group), 0/1, each once

    @classmethod
    def of(cls, rows: Rows) -> ExclusiveSites:
        """Find the groups of a cohort and their patterns; there are none where the rows are not haplotypes.

        Alleles of an HLA gene are recognised by the IDs of their sites. A haplotype with a missing call in a group
        shows no pattern of it.
        """
        if rows.n_states != 2:
            return cls([], [])
        contig, position = rows.variants.contig, rows.variants.position
        gene: dict[str, list[int]] = {}
        for i, name in enumerate(rows.variants.id):
            if match := _HLA.match(str(name)):
                gene.setdefault(match[1], []).append(i)
        groups = [np.array(sites) for sites in gene.values() if len(sites) > 1]
        in_gene = np.isin(np.arange(len(position)), [site for sites in groups for site in sites])
        new = np.flatnonzero((position[1:] != position[:-1]) | (contig[1:] != contig[:-1])) + 1
        for sites in np.split(np.arange(len(position)), new):
            if len(sites) > 1 and not in_gene[sites].any():
                groups.append(sites)
        exclusive = cls([], [])
        for sites in groups:
            part = np.ascontiguousarray(rows.states[:, sites])
            patterns = unique_rows(part[(part >= 0).all(axis=1)])[0]
            if len(patterns):
                exclusive.sites.append(sites)
                exclusive.patterns.append(patterns)
        return exclusive

    def resample(
        self, rows: np.ndarray, codes: np.ndarray, blocks: Blocks, generator: np.random.Generator
    ) -> np.ndarray:
        """Return rows whose groups all have a pattern; those that have one already stay as they are.

        The others get a pattern with the probability that independent sites give it. A row is then distributed as
        independent sites given that they make a pattern: what is refused is drawn from the same distribution. `rows`,
        int8 (haplotypes, sites), come from `Blocks.decode` of the codes (haplotypes, blocks), and are changed in place.
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
        """Return the groups as arrays for a file; `SCHEMA` says what they are."""
        return {
            "exclusive_sites.sizes": np.array([p.shape for p in self.patterns], dtype=np.int64).reshape(-1, 2),
            "exclusive_sites.sites": np.concatenate([np.empty(0, np.int64), *self.sites]).astype(np.int64),
            "exclusive_sites.patterns": np.concatenate([np.empty(0, np.int8), *(p.ravel() for p in self.patterns)]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], n_sites: int) -> ExclusiveSites:
        """Return the groups of what `arrays` returned; raise ValueError if it does not fit together."""
        sizes, sites, patterns = (arrays[f"exclusive_sites.{name}"] for name in ("sizes", "sites", "patterns"))
        if sizes.max(initial=0) > max(len(patterns), 1):
            raise ValueError("exclusive_sites.sizes are not those of patterns and sites")
        if len(sites) != sizes[:, 1].sum() or len(patterns) != sizes.prod(axis=1).sum():
            raise ValueError("exclusive_sites.sites and exclusive_sites.patterns do not fit exclusive_sites.sizes")
        if sites.max(initial=0) >= n_sites:
            raise ValueError(f"exclusive_sites.sites point beyond the {n_sites} sites")
        shapes = zip(np.split(patterns, np.cumsum(sizes.prod(axis=1)))[:-1], sizes, strict=True)
        of_groups = np.split(sites, np.cumsum(sizes[:, 1]))[:-1]
        return cls(of_groups, [of_group.reshape(shape) for of_group, shape in shapes])


def _whole(rows: np.ndarray) -> np.ndarray:
    """Return each row of a narrow int8 matrix as one value."""
    return np.ascontiguousarray(rows).view(np.dtype((np.void, rows.shape[1]))).ravel()
