"""A genome is read a chunk of sites at a time: where it is, its positions, checksums, and calls at common sites."""

from __future__ import annotations

import dataclasses
import hashlib
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ..errors import DataError, UsageError
from ..genotypes import Genotypes, Variants
from ..io import read
from ..io.index import index_of
from ..io.vcf_write import VCF_SUFFIXES
from ..labels import label_groups
from ..runtime.executors import Executor
from ..runtime.progress import OnEvent

_BLOCK_ALLELES = 1 << 26  # read at a time
_SITES_OF_ANCESTRY, _ALLELES_OF_ANCESTRY = 20_000, 1_000_000_000
_COMMON = 0.05


@dataclass(frozen=True)
class Source:
    """Where the training people are: a file that can be read by region.

    Parameters
    ----------
    path, panel : str
        As in `pgcgan.read`.
    options : mapping
        Further options of `pgcgan.read`, `region` and `samples` aside.
    samples : sequence of str, or callable, optional
        The people, as in `pgcgan.read`; everybody by default.
    """

    path: str
    panel: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    samples: Sequence[str] | Callable[[list[str]], Sequence[str]] | None = None

    def read(self, contig: str, first: int, last: int) -> Genotypes:
        """Return the people at the sites between two positions (1-based, both included)."""
        return read(self.path, self.panel, region=f"{contig}:{first}-{last}", samples=self.samples, **self.options)

    def sites(self) -> tuple[Variants, int]:
        """Return all sites of the file, and the number of people in it."""
        people: list[str] = []

        def one(present: list[str]) -> list[str]:
            people[:] = present
            return present[:1]

        plain = {k: v for k, v in self.options.items() if k not in ("min_maf", "population_map", "intersect")}
        return read(self.path, samples=one, **plain).variants, len(people)

    def check_index(self) -> None:
        """Raise UsageError where the file cannot be read by region."""
        if self.path.endswith(VCF_SUFFIXES) and "://" not in self.path and index_of(self.path) is None:
            raise UsageError(
                f"{self.path} has no index, which reading by windows needs; make one with `tabix -p vcf {self.path}` "
                f"or `bcftools index {self.path}` (of a bgzip-compressed file)."
            )


class _Chunk(NamedTuple):
    """What is kept of some consecutive sites of a contig."""

    positions: np.ndarray
    checksums: np.ndarray
    common: np.ndarray  # int8, (sites, people, ploidy): the most common site of each of thousands of stretches
    phased: bool
    ploidy: int


@dataclass(frozen=True)
class GenomeScan:
    """A genome that was read a chunk of sites at a time."""

    source: Source  # with the names of the people
    label: np.ndarray  # of each person, array of str
    contigs: dict[str, tuple[np.ndarray, np.ndarray]]  # positions and `site_checksums`
    common: np.ndarray  # calls, int8, (sites, people, 2); none where people are not phased and diploid
    phased: bool
    ploidy: int


def scan_genome(source: Source, label: Sequence[str], runs: Executor, say: OnEvent) -> GenomeScan:
    """Read the genome once, a chunk of sites at a time.

    Raises
    ------
    DataError
        If no site is left, or chunks differ in phase or ploidy.
    """
    variants, people = source.sites()
    chunks = list(read_chunks(variants, people))
    nothing = DataError(f"No site of {source.path} is left to train on.")
    if not chunks:
        raise nothing
    contig, first, _, _ = chunks[0]
    some = source.read(contig, first, first)
    source = dataclasses.replace(source, samples=[str(name) for name in some.samples])
    promises = [runs.submit(_read_chunk, source, *chunk, len(variants)) for chunk in chunks]
    by_contig: dict[str, list[_Chunk]] = {}
    for promise, (contig, _, _, end) in zip(promises, chunks, strict=True):
        chunk = promise.result()
        say({"stage": "planning", "fraction": 0.8 * end / len(variants), "detail": f"{end:,} sites"})
        if len(chunk.positions):
            by_contig.setdefault(contig, []).append(chunk)
    groups = label_groups(some.labels, label).astype(str)
    if not by_contig:
        raise nothing
    scanned = [chunk for of in by_contig.values() for chunk in of]
    phased, ploidy = scanned[0].phased, scanned[0].ploidy
    for contig, of in by_contig.items():
        if any((chunk.phased, chunk.ploidy) != (phased, ploidy) for chunk in of):
            raise DataError(
                f"Contig {contig} differs from the contigs before in phase or ploidy; all windows must have the same."
            )
    contigs = {
        contig: (np.concatenate([c.positions for c in of]), np.concatenate([c.checksums for c in of]))
        for contig, of in by_contig.items()
    }
    common = np.concatenate([chunk.common for chunk in scanned] if phased and ploidy == 2 else [scanned[0].common[:0]])
    return GenomeScan(source, groups, contigs, common, phased, ploidy)


def read_chunks(variants: Variants, people: int) -> Iterator[tuple[str, int, int, int]]:
    """Yield contig, first and last position of each chunk of sites to read, and the number of sites up to its end."""
    most = max(1, _BLOCK_ALLELES // max(1, 2 * people))
    edges = [0, *(np.flatnonzero(variants.contig[1:] != variants.contig[:-1]) + 1).tolist(), len(variants)]
    for start, end in pairwise(edges):
        positions = variants.position[start:end]
        at = 0
        while at < len(positions):
            # sites of one position stay together
            stop = int(np.searchsorted(positions, positions[min(at + most, len(positions)) - 1], side="right"))
            yield str(variants.contig[start]), int(positions[at]), int(positions[stop - 1]), start + stop
            at = stop


def _read_chunk(source: Source, contig: str, first: int, last: int, end: int, expected: int) -> _Chunk:
    """Return what is kept of a chunk that ends before the site of this number, of so many sites in all."""
    genotypes = source.read(contig, first, last)
    alleles = genotypes.n_samples * genotypes.ploidy
    wanted = min(_SITES_OF_ANCESTRY, max(100, _ALLELES_OF_ANCESTRY // max(alleles, 1)))
    frequency = genotypes.allele_frequency()
    minor = np.nan_to_num(np.minimum(frequency, 1 - frequency))
    place = (end - genotypes.n_variants + np.arange(genotypes.n_variants)) * wanted // max(1, expected)
    order = np.lexsort((-minor, place))
    best = order[np.unique(place[order], return_index=True)[1]]
    common = genotypes.calls[np.sort(best[minor[best] >= _COMMON])]
    positions = genotypes.variants.position
    return _Chunk(positions, site_checksums(genotypes), common, genotypes.phased, genotypes.ploidy)


def site_checksums(genotypes: Genotypes) -> np.ndarray:
    """Return a number for each site that is the same for the same calls of the same people: int64, shape (sites,)."""
    v, people = genotypes.variants, zlib.crc32("\n".join(genotypes.samples).encode())
    numbers = (
        zlib.crc32(f"{v.contig[i]}\t{v.position[i]}\t{v.ref[i]}\t{v.alt[i]}".encode(), zlib.crc32(calls, people))
        for i, calls in enumerate(np.ascontiguousarray(genotypes.calls))
    )
    return np.fromiter(numbers, dtype=np.int64, count=len(v))


def digest(checksums: np.ndarray) -> str:
    """Return one text for the checksums of several sites."""
    return hashlib.sha256(checksums.tobytes()).hexdigest()
