"""A scan of a genome, a chunk of sites at a time: positions, checksums, and the ancestry of its people."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from ..generators.haplotype import KnownAncestry, known_ancestry, shared_components
from ..genotypes import Genotypes
from ..labels import label_groups
from ..numerics import principal_axes, site_means

_SITES_OF_ANCESTRY, _ALLELES_OF_ANCESTRY = 20_000, 1_000_000_000
_ROWS_OF_ANCESTRY = 20_000  # that its axes are found with
_COMMON = 0.05
_COMPONENTS = 40


@dataclass
class ContigSites:
    """The sites of a contig: positions and checksums."""

    positions: np.ndarray
    checksums: list[int]


class GenomeScan:
    """A genome that is read a chunk of sites at a time.

    Parameters
    ----------
    expected : int
        Sites that there are in all.
    """

    def __init__(self, expected: int):
        self.expected, self.n_sites = max(1, expected), 0
        self.contigs: dict[str, ContigSites] = {}
        self.label_group = np.zeros(0, dtype=str)
        self._common: list[np.ndarray] = []
        self._first: Genotypes | None = None

    @property
    def phased(self) -> bool:
        """Whether the genotypes are."""
        return self._first is not None and self._first.phased

    @property
    def samples(self) -> list[str]:
        """Names of the people."""
        return [] if self._first is None else [str(name) for name in self._first.samples]

    @property
    def ploidy(self) -> int:
        """Alleles of a person at a site."""
        return 2 if self._first is None else self._first.ploidy

    def add(self, contig: str, genotypes: Genotypes, last: int, label: Sequence[str]) -> None:
        """Take the next chunk, whose last site has this number."""
        if self._first is None:
            self._first = genotypes.select(sites=slice(0, 0))
            self.label_group = label_groups(genotypes.labels, label).astype(str)
        if (genotypes.phased, genotypes.ploidy) != (self.phased, self.ploidy):
            raise DataError(
                f"Contig {contig} differs from the contigs before in phase or ploidy; all windows must have the same."
            )
        if not genotypes.n_variants:
            return
        sites = self.contigs.setdefault(contig, ContigSites(np.zeros(0, dtype=np.int64), []))
        sites.positions = np.concatenate([sites.positions, genotypes.variants.position])
        sites.checksums += site_checksums(genotypes)
        self.n_sites += genotypes.n_variants
        # the most common site of each of a few thousand chunks of equal length
        alleles = genotypes.n_samples * genotypes.ploidy
        wanted = min(_SITES_OF_ANCESTRY, max(100, _ALLELES_OF_ANCESTRY // alleles))
        frequency = genotypes.allele_frequency()
        minor = np.nan_to_num(np.minimum(frequency, 1 - frequency))
        place = (last - genotypes.n_variants + 1 + np.arange(genotypes.n_variants)) * wanted // self.expected
        order = np.lexsort((-minor, place))
        best = order[np.unique(place[order], return_index=True)[1]]
        self._common.append(genotypes.calls[np.sort(best[minor[best] >= _COMMON])])

    def ancestry(self) -> KnownAncestry:
        """Return people's ancestry: the leading principal components within labels that both haplotypes share.

        Sites are scaled by sqrt(p (1 - p)) (Patterson, Price and Reich 2006).
        """
        names, label = np.unique(self.label_group, return_inverse=True)
        sites = np.concatenate(self._common) if self._common else np.zeros((0, len(label), 2), np.int8)
        if not self.phased or self.ploidy != 2 or len(sites) < 2:
            return known_ancestry(np.zeros((len(label), 0)), label, len(names))
        rows = sites.reshape(len(sites), -1).T
        row_label = np.repeat(label, 2)
        centred = np.empty(rows.shape, dtype=np.float32)
        for k in range(len(names)):
            own = rows[row_label == k]
            centred[row_label == k] = np.where(own >= 0, own - site_means(own), 0)
        frequency = np.where(rows > 0, 1, 0).mean(axis=0)
        centred /= np.sqrt(np.maximum(frequency * (1 - frequency), 0.01)).astype(np.float32)
        count = min(_COMPONENTS, min(centred.shape) - 1)
        axes = principal_axes(centred[:: -(-len(centred) // _ROWS_OF_ANCESTRY)], count)
        scores = (centred @ axes.T).reshape(len(label), 2, count)
        return known_ancestry(scores[:, :, shared_components(scores, label)].mean(axis=1), label, len(names))


def digest(genotypes: Genotypes) -> str:
    """Return a text that is the same for the same calls of the same people at the same sites."""
    return joined_checksums(site_checksums(genotypes))


def site_checksums(genotypes: Genotypes) -> list[int]:
    """Return a number for each site that is the same for the same calls of the same people."""
    v, people = genotypes.variants, zlib.crc32("\n".join(genotypes.samples).encode())
    return [
        zlib.crc32(f"{v.contig[i]}\t{v.position[i]}\t{v.ref[i]}\t{v.alt[i]}".encode(), zlib.crc32(calls, people))
        for i, calls in enumerate(np.ascontiguousarray(genotypes.calls))
    ]


def joined_checksums(numbers: Sequence[int]) -> str:
    """Return one text for the numbers of several sites."""
    return hashlib.sha256(np.array(numbers, dtype=np.int64).tobytes()).hexdigest()
