"""Labelled people as rows: what every family of generators learns from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import DataError, listed
from ..genotypes import Genotypes, Variants, require_genotypes
from ..labels import label_groups


@dataclass(frozen=True)
class Rows:
    """Haplotypes where the genotypes are phased, and people where they are not."""

    # int8, (people * rows_per_person, sites): alleles 0 and 1 of haplotypes, or dosages 0 to ploidy of unphased people;
    # -1 is missing. It may be a view of genotypes that are larger than memory, with the sites of a row far apart.
    states: np.ndarray
    label: np.ndarray  # int, (people,): index of each person's label in `label_names`
    label_names: tuple[str, ...]  # in alphabetical order; values of several label columns are joined by "/"
    rows_per_person: int  # 2 for phased diploid people, otherwise 1
    n_states: int  # of a row at a site: 2, or 3 for unphased diploid people
    variants: Variants

    @cached_property
    def row_label(self) -> np.ndarray:
        """Label index of each row."""
        return np.repeat(self.label, self.rows_per_person)

    @cached_property
    def row_person(self) -> np.ndarray:
        """Index of the person that each row belongs to."""
        return np.repeat(np.arange(len(self.label)), self.rows_per_person)

    @property
    def breaks(self) -> tuple[int, ...]:
        """First sites of all contigs but the first."""
        contig = self.variants.contig
        return tuple(int(i) + 1 for i in np.flatnonzero(contig[1:] != contig[:-1]))

    def at(self, rows: np.ndarray) -> np.ndarray:
        """Return the states of some rows: int8, shape (some rows, sites)."""
        return self.states.T[:, rows].T  # in the order in which the genotypes lie in memory or on disk

    def of_people(self, people: np.ndarray) -> np.ndarray:
        """Return the indices of the rows of some people, in their order."""
        return (people[:, None] * self.rows_per_person + np.arange(self.rows_per_person)).ravel()

    def of_label(self, label: int) -> np.ndarray:
        """Return the indices of the rows of one label."""
        return np.flatnonzero(self.row_label == label)


def rows_of(genotypes: Genotypes, columns: tuple[str, ...], least_people: int = 1) -> Rows:
    """Return the rows of labelled people.

    Parameters
    ----------
    genotypes : Genotypes
    columns : tuple of str
        The label columns.
    least_people : int
        People that each label must have.
    """
    require_genotypes(genotypes)
    if not genotypes.n_samples or not genotypes.n_variants:
        raise DataError(f"There is nothing to train on: {genotypes!r}.")
    uncalled = np.flatnonzero(~genotypes.called())
    if len(uncalled):
        raise DataError(
            f"{len(uncalled)} sites have no call in any person, the first is "
            f"{genotypes.variants.name(int(uncalled[0]))}; leave them out (min_maf, --min-maf, does)."
        )
    names, label, counts = np.unique(
        label_groups(genotypes.labels, columns).astype(str), return_inverse=True, return_counts=True
    )
    few = [str(name) for name, count in zip(names, counts, strict=True) if count < least_people]
    if few:
        raise DataError(
            f"Labels with a single person cannot be learned without giving that person away: {listed(few)}; leave them "
            "out, or use a coarser label."
        )
    haplotypes = genotypes.phased or genotypes.ploidy == 1
    return Rows(
        states=genotypes.calls.reshape(genotypes.n_variants, -1).T if haplotypes else genotypes.dosages(),
        label=label,
        label_names=tuple(map(str, names)),
        rows_per_person=genotypes.ploidy if haplotypes else 1,
        n_states=2 if haplotypes else genotypes.ploidy + 1,
        variants=genotypes.variants,
    )


def calls_of(rows: np.ndarray, phased: bool, ploidy: int) -> np.ndarray:
    """Return the calls of people from their rows: int8, shape (sites, people, ploidy).

    Parameters
    ----------
    rows : array of int8, shape (people * rows per person, sites)
        As in `Rows`. Dosages become calls with sorted alleles: 0/0, 0/1, 1/1.
    phased : bool
    ploidy : int
    """
    if phased or ploidy == 1:
        return rows.T.reshape(rows.shape[1], -1, ploidy)
    return np.stack([ploidy - i <= rows.T for i in range(ploidy)], axis=2).astype(np.int8)


def in_blocks(
    parts: Iterable[np.ndarray],
    variants: Variants,
    names: np.ndarray,
    labels: Mapping[str, np.ndarray],
    phased: bool,
    size: int,
) -> Iterator[Genotypes]:
    """Yield people, whose calls (sites, people, ploidy) come cut anyhow, in blocks of a size; the last has the rest."""
    done, waiting, held = 0, list[np.ndarray](), 0
    for calls in parts:
        waiting.append(calls)
        held += calls.shape[1]
        last = done + held == len(names)
        while held >= size or (last and held):
            together = np.concatenate(waiting, axis=1)
            take = min(size, held)
            waiting, held = [together[:, take:]], held - take
            part = slice(done, done + take)
            done += take
            own = {column: values[part] for column, values in labels.items()}
            yield Genotypes(np.ascontiguousarray(together[:, :take]), variants, names[part], own, phased)
