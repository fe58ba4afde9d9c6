"""A scan of a genome, a chunk of sites at a time: positions, checksums, and the ancestry of its people."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from ..generators.haplotype.person_ancestry import KnownAncestry, known_ancestry, shared_components
from ..genotypes import Genotypes
from ..numerics import principal_axes, site_means
from .ancestry import split_populations

_SITES_OF_ANCESTRY, _ALLELES_OF_ANCESTRY = 20_000, 1_000_000_000
_ROWS_OF_ANCESTRY = 20_000  # that its axes are found with
_COMMON = 0.05
_COMPONENTS = 40
_SPLITS = 3  # of labels into populations, and of these again


@dataclass(frozen=True)
class Chunk:
    """What is kept of some consecutive sites of a contig.

    Parameters
    ----------
    contig : str
    positions, checksums : arrays of int64, shape (sites,)
        See `site_checksums`.
    common : array of int8, shape (sites, people, ploidy)
        Calls at common sites, the most common one of each of a few thousand stretches of the genome.
    phased : bool
    ploidy : int
    """

    contig: str
    positions: np.ndarray
    checksums: np.ndarray
    common: np.ndarray
    phased: bool
    ploidy: int

    @classmethod
    def of(cls, contig: str, genotypes: Genotypes, end: int, expected: int) -> Chunk:
        """Return what is kept of a chunk that ends before the site of this number, of so many sites in all."""
        alleles = genotypes.n_samples * genotypes.ploidy
        wanted = min(_SITES_OF_ANCESTRY, max(100, _ALLELES_OF_ANCESTRY // max(alleles, 1)))
        frequency = genotypes.allele_frequency()
        minor = np.nan_to_num(np.minimum(frequency, 1 - frequency))
        place = (end - genotypes.n_variants + np.arange(genotypes.n_variants)) * wanted // max(1, expected)
        order = np.lexsort((-minor, place))
        best = order[np.unique(place[order], return_index=True)[1]]
        common = genotypes.calls[np.sort(best[minor[best] >= _COMMON])]
        positions = genotypes.variants.position
        return cls(contig, positions, site_checksums(genotypes), common, genotypes.phased, genotypes.ploidy)


class GenomeScan:
    """A genome that was read a chunk of sites at a time.

    Parameters
    ----------
    chunks : sequence of Chunk
        In the order of the genome; those without sites say nothing.
    label_group : array of str, shape (people,)
        The label of each person.

    Raises
    ------
    DataError
        If chunks differ in phase or ploidy.
    """

    def __init__(self, chunks: Sequence[Chunk], label_group: np.ndarray):
        self.label_group = label_group
        chunks = [chunk for chunk in chunks if len(chunk.positions)]
        self.n_sites = sum(len(chunk.positions) for chunk in chunks)
        self.phased, self.ploidy = (chunks[0].phased, chunks[0].ploidy) if chunks else (False, 2)
        by_contig: dict[str, list[Chunk]] = {}
        for chunk in chunks:
            if (chunk.phased, chunk.ploidy) != (self.phased, self.ploidy):
                raise DataError(
                    f"Contig {chunk.contig} differs from the contigs before in phase or ploidy; all windows must have "
                    "the same."
                )
            by_contig.setdefault(chunk.contig, []).append(chunk)
        self.contigs = {
            contig: (np.concatenate([c.positions for c in of]), np.concatenate([c.checksums for c in of]))
            for contig, of in by_contig.items()
        }
        self._common = [chunk.common for chunk in chunks]

    def ancestry(self) -> tuple[np.ndarray, KnownAncestry]:
        """Return the population of each person, numbered from 0, and people's ancestry within their populations.

        A label is split into the hidden populations that its people fall into, and these again. What is left is
        ancestry: the leading principal components within populations that both haplotypes of people share.
        """
        population = np.unique(self.label_group, return_inverse=True)[1]
        if not self.phased or self.ploidy != 2 or not self._common or sum(map(len, self._common)) < 2:
            return population, known_ancestry(np.zeros((len(population), 0)), population, int(population.max()) + 1)
        sites = np.concatenate(self._common)
        rows = sites.reshape(len(sites), -1).T
        for _ in range(_SPLITS):
            split = split_populations(_standardised(_shared_scores(rows, population)), population)
            if len(np.unique(split)) == len(np.unique(population)):
                break
            population = split
        scores = _shared_scores(rows, population)
        return population, known_ancestry(scores, population, int(population.max()) + 1)


def _shared_scores(rows: np.ndarray, population: np.ndarray) -> np.ndarray:
    """Return people on the principal components within populations that both of their haplotypes share.

    Sites are scaled by sqrt(p (1 - p)) (Patterson, Price and Reich 2006).

    Parameters
    ----------
    rows : array of int8, shape (people * 2, sites)
    population : array of int, shape (people,)

    Returns
    -------
    array of float, shape (people, axes)
    """
    of_row = np.repeat(population, 2)
    centred = np.empty(rows.shape, dtype=np.float32)
    for k in np.unique(population):
        own = rows[of_row == k]
        centred[of_row == k] = np.where(own >= 0, own - site_means(own), 0)
    frequency = np.where(rows > 0, 1, 0).mean(axis=0)
    centred /= np.sqrt(np.maximum(frequency * (1 - frequency), 0.01)).astype(np.float32)
    count = min(_COMPONENTS, min(centred.shape) - 1)
    axes = principal_axes(centred[:: -(-len(centred) // _ROWS_OF_ANCESTRY)], count)
    scores = (centred @ axes.T).reshape(len(population), 2, count)
    return scores[:, :, shared_components(scores, population)].mean(axis=1)


def _standardised(scores: np.ndarray) -> np.ndarray:
    return scores / np.maximum(scores.std(axis=0), 1e-9)


def digest(genotypes: Genotypes) -> str:
    """Return a text that is the same for the same calls of the same people at the same sites."""
    return joined_checksums(site_checksums(genotypes))


def site_checksums(genotypes: Genotypes) -> np.ndarray:
    """Return a number for each site that is the same for the same calls of the same people: int64, shape (sites,)."""
    v, people = genotypes.variants, zlib.crc32("\n".join(genotypes.samples).encode())
    numbers = (
        zlib.crc32(f"{v.contig[i]}\t{v.position[i]}\t{v.ref[i]}\t{v.alt[i]}".encode(), zlib.crc32(calls, people))
        for i, calls in enumerate(np.ascontiguousarray(genotypes.calls))
    )
    return np.fromiter(numbers, dtype=np.int64, count=len(v))


def joined_checksums(numbers: np.ndarray) -> str:
    """Return one text for the numbers of several sites."""
    return hashlib.sha256(numbers.tobytes()).hexdigest()
