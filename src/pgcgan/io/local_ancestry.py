"""Local ancestry: the label of each stretch of people's haplotypes, and the breakpoint files (.bp) of haptools."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..genotypes import Variants
from ..runtime.files import check_free, whole_file
from .outputs import folder_of


@dataclass(frozen=True)
class LocalAncestry:
    """The label of each stretch of people's haplotypes.

    Parameters
    ----------
    samples : array of str, shape (people,)
    label_names : sequence of str
    label : array of int, shape (people, 2, blocks)
        Index of the label of each haplotype in each block of sites.
    edges : array of int, shape (blocks + 1,)
        First site of each block, and the number of sites; no block has sites of two contigs.
    variants : Variants
        The sites.
    morgans : array of float, shape (sites,)
        Their places on the genetic map.
    """

    samples: np.ndarray
    label_names: Sequence[str]
    label: np.ndarray
    edges: np.ndarray
    variants: Variants
    morgans: np.ndarray

    def __repr__(self) -> str:
        people, blocks = self.label.shape[0], self.label.shape[2]
        return f"LocalAncestry({people} people, {blocks} blocks of {len(self.variants)} sites)"

    def at_sites(self) -> np.ndarray:
        """Return the index of the label of each allele, in the shape of `Genotypes.calls`: (sites, people, 2)."""
        return np.repeat(self.label.transpose(2, 0, 1), np.diff(self.edges), axis=0)

    def write(self, path: str | os.PathLike[str], *, force: bool = False) -> Path:
        """Write a breakpoint file as haptools reads and plots it.

        Each haplotype has a line with its name, SAMPLE_1 or SAMPLE_2, and then a line for each stretch of one label in
        the order of the sites: label, contig, position of its last site and centimorgans there, separated by tabs.

        Parameters
        ----------
        path : path
            NAME.bp.
        force : bool
            Replace a file that exists.

        Raises
        ------
        UsageError
            If the file exists and `force` is not set, or it cannot be written.
        """
        folder_of(os.fspath(path))
        check_free(path, force)
        with whole_file(path) as partial, open(partial, "w", encoding="utf-8", newline="") as stream:
            stream.writelines(self._lines())
        return Path(path)

    def _lines(self) -> Iterator[str]:
        last = self.edges[1:] - 1
        contig, position = self.variants.contig[last], self.variants.position[last]
        where = [f"{c}\t{p}\t{100 * m:.6f}\n" for c, p, m in zip(contig, position, self.morgans[last], strict=True)]
        ends_contig = np.append(contig[1:] != contig[:-1], True)
        for sample, person in zip(self.samples, self.label, strict=True):
            for number, label in enumerate(person, start=1):
                yield f"{sample}_{number}\n"
                ends = ends_contig | np.append(label[1:] != label[:-1], True)
                for block in np.flatnonzero(ends).tolist():
                    yield f"{self.label_names[label[block]]}\t{where[block]}"
