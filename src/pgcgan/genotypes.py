"""Genotypes of labelled people: one frozen container, checked once, at construction.

It holds arrays and selects from them. It never reads, writes, plots or learns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from .arrays import MISSING, calls_from, dataset, stretches
from .errors import DataError, UsageError, listed
from .families import families, first_part
from .regions import named_otherwise, parse_region
from .variants import Variants, common_rows, concat_variants, strings

_ONE_LABEL = (
    "; of an array of haplotypes two rows are one person, with one label; haploid people need calls of shape "
    "(variants, people, 1)"
)


@dataclass(frozen=True, eq=False)
class Genotypes:
    """Genotypes of people at biallelic sites, with labels.

    Parameters
    ----------
    calls : array of int8, shape (variants, samples, ploidy)
        0 = ref, 1 = alt, -1 = missing: the axis order of VCF Zarr, sgkit and scikit-allel.
    variants : Variants
        The sites.
    samples : sequence of str
        Unique sample names.
    labels : mapping of str to sequence of str, optional
        Columns by name, one value a sample (super-population, population, gender, …).
    phased : bool
        Whether the order of the alleles inside a call means something. Without phase the two alleles of a call are an
        unordered pair.

    Raises
    ------
    DataError
        If shapes disagree, a call is not -1, 0 or 1, or a sample name or contig order is not usable.
    """

    calls: np.ndarray
    variants: Variants
    samples: np.ndarray
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    phased: bool = True

    def __post_init__(self) -> None:
        given = np.asarray(self.calls)
        if given.ndim != 3:
            raise DataError(f"calls must have the shape (variants, samples, ploidy), got {given.shape}.")
        if given.size and (given.min() < MISSING or given.max() > 1):
            v, s, _ = np.argwhere((given < MISSING) | (given > 1))[0]
            call = f"Call {given[v, s].tolist()} of sample {self.samples[s]} at {self.variants.name(int(v))}"
            accepted = "0 (ref), 1 (alt) and -1 (missing); split multi-allelic records first"
            raise DataError(f"{call} is not made of {accepted}.")
        calls = given.astype(np.int8, copy=False).view()
        calls.flags.writeable = False
        object.__setattr__(self, "calls", calls)
        samples = strings(self.samples, "samples")
        if calls.shape[:2] != (len(self.variants), len(samples)):
            sizes = f"{len(self.variants)} variants and {len(samples)} samples"
            raise DataError(f"calls have the shape {calls.shape}, but there are {sizes}.")
        if calls.shape[2] not in (1, 2):
            raise DataError(f"Ploidy {calls.shape[2]} is not supported; accepted: 1 (haploid), 2 (diploid).")
        names, counts = np.unique(samples, return_counts=True) if len(samples) else (samples, np.zeros(0))
        if (counts > 1).any():
            raise DataError(f"Sample names occur more than once: {listed(names[counts > 1])}.")
        object.__setattr__(self, "samples", samples)
        labels = {}
        if not hasattr(self.labels, "keys"):
            name = type(self.labels).__name__
            raise DataError(f"labels is a {name}; accepted: a mapping of column names to values, {{'pop': values}}.")
        for column, values in dict(self.labels).items():
            labels[str(column)] = strings(values, f"label {column!r}")
            if len(values) != len(samples):
                advice = _ONE_LABEL if (calls.shape[2], len(values)) == (2, 2 * len(samples)) else ""
                raise DataError(f"Label {column!r} has {len(values)} values for {len(samples)} samples{advice}.")
        object.__setattr__(self, "labels", MappingProxyType(labels))

    def __reduce__(self) -> tuple[Any, ...]:  # a read-only mapping cannot be pickled
        return type(self), (self.calls, self.variants, self.samples, dict(self.labels), self.phased)

    @classmethod
    def from_numpy(
        cls,
        array: np.ndarray,
        *,
        phased: bool = True,
        samples: Sequence[str] | None = None,
        labels: Mapping[str, Sequence[str]] | None = None,
        contig: str | Sequence[str] = "1",
        position: Sequence[int] | None = None,
        ref: str | Sequence[str] = "A",
        alt: str | Sequence[str] = "C",
    ) -> Self:
        """Return genotypes of people from an array of alleles.

        Parameters
        ----------
        array : array of int
            Calls, shape (variants, samples, ploidy); or, as `haplotypes` returns them, haplotypes of 0 and 1, shape
            (2 * samples, variants), two rows a person; or, unphased, alt-allele counts, shape (samples, variants), as
            of `dosages`. -1 = missing.
        phased : bool
            Whether the order of the alleles of a call means something.
        samples : sequence of str, optional
            By default P000001, P000002, …
        labels : mapping of str to sequence of str, optional
            Label columns.
        contig, ref, alt : str or sequence of str
            One for all sites, or one a site. The defaults stand for alleles that are not known.
        position : sequence of int, optional
            By default 1, 2, …

        Raises
        ------
        DataError
            If the array has another shape or other values, or the columns do not fit to it.
        """
        calls = calls_from(array, phased)
        sites, people = calls.shape[:2]
        names = [f"P{number:06d}" for number in range(1, people + 1)] if samples is None else samples
        columns: list[Any] = [[text] * sites if isinstance(text, str) else text for text in (contig, ref, alt)]
        places: Any = range(1, sites + 1) if position is None else position
        variants = Variants(columns[0], places, np.full(sites, "."), *columns[1:])
        return cls(calls, variants, np.asarray(names), {} if labels is None else labels, phased)  # type: ignore[arg-type]

    # ---- what it is -------------------------------------------------------------------------------------------

    @property
    def n_variants(self) -> int:
        """Number of sites."""
        return self.calls.shape[0]

    @property
    def n_samples(self) -> int:
        """Number of people."""
        return self.calls.shape[1]

    @property
    def ploidy(self) -> int:
        """Alleles a person carries at a site."""
        return self.calls.shape[2]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Sites, people and ploidy, as of `calls`."""
        return self.calls.shape[0], self.calls.shape[1], self.calls.shape[2]

    def __len__(self) -> int:
        return self.n_variants

    def __repr__(self) -> str:
        kind = "phased" if self.phased else "unphased"
        columns = listed(self.labels, 12)[:400]
        return f"Genotypes({self.n_samples} samples x {self.n_variants} variants, {kind}, labels: {columns})"

    def haplotypes(self) -> np.ndarray:
        """Return haplotypes as rows: int8, shape (samples * ploidy, variants); rows 2i and 2i+1 belong to person i."""
        return np.ascontiguousarray(self.calls.reshape(self.n_variants, -1).T)

    def dosages(self) -> np.ndarray:
        """Return alt-allele counts: int8, shape (samples, variants); -1 where any allele of the call is missing."""
        total = np.where((self.calls < 0).any(axis=2), MISSING, self.calls.sum(axis=2, dtype=np.int8))
        return np.ascontiguousarray(total.T.astype(np.int8, copy=False))

    def allele_frequency(self) -> np.ndarray:
        """Return the alt-allele frequency per site among called alleles: float64, shape (variants,); NaN if none is."""
        called, alt = np.zeros((2, self.n_variants), dtype=np.int64)
        for part in stretches(self.calls):
            called[part] = (self.calls[part] >= 0).sum(axis=(1, 2))
            alt[part] = (self.calls[part] == 1).sum(axis=(1, 2))
        with np.errstate(invalid="ignore", divide="ignore"):
            return alt / called

    def common(self, min_maf: float) -> np.ndarray:
        """Return which sites have at least this minor allele frequency: bool, shape (variants,).

        Raises
        ------
        DataError
            If the frequency is not between 0 and 0.5.
        """
        if not 0 <= min_maf <= 0.5:
            raise DataError(f"min_maf is {min_maf}; accepted: 0 to 0.5.")
        with np.errstate(invalid="ignore"):
            frequency = self.allele_frequency()
            return np.minimum(frequency, 1 - frequency) >= min_maf

    def called(self) -> np.ndarray:
        """Return at which sites there is any call: bool, shape (variants,)."""
        called = np.zeros(self.n_variants, dtype=bool)
        for part in stretches(self.calls):
            called[part] = (self.calls[part] >= 0).any(axis=(1, 2))
        return called

    def label(self, column: str) -> np.ndarray:
        """Return one label column.

        Raises
        ------
        DataError
            If there is no such column; the message lists the columns there are.
        """
        if column not in self.labels:
            advice = "Labels come from the panel file (panel=…, --panel)."
            raise DataError(f"There is no label {column!r}; labels here: {listed(self.labels)}. {advice}")
        return self.labels[column]

    def equals(self, other: Genotypes) -> bool:
        """True if two sets hold the same people at the same sites with the same calls, labels and phase state.

        The alleles of an unphased call are compared without order.
        """
        same = (
            self.phased == other.phased
            and self.calls.shape == other.calls.shape
            and np.array_equal(self.samples, other.samples)
            and self.variants.equals(other.variants)
            and set(self.labels) == set(other.labels)
            and all(np.array_equal(self.labels[c], other.labels[c]) for c in self.labels)
        )
        if not same:
            return False
        if self.phased:
            return bool(np.array_equal(self.calls, other.calls))
        return bool(np.array_equal(np.sort(self.calls, axis=2), np.sort(other.calls, axis=2)))

    # ---- parts of it ------------------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> Genotypes:
        """Return the part at `[sites]` or `[sites, people]`: numbers, slices or masks, and for people also names."""
        sites, people = key if isinstance(key, tuple) else (key, slice(None))
        sites, people = ([part] if isinstance(part, int | np.integer | str) else part for part in (sites, people))
        part = self._at(variants=sites)
        return part._at(samples=people) if isinstance(people, slice) else part.select(samples=np.asarray(people))

    __iter__ = None  # an array of calls is meant where one is iterated over

    def align(self, other: Genotypes | Variants) -> Genotypes:
        """Return the same people at the sites that another set has too, in the order of that set.

        Sites are the same if contig, position, REF and ALT are, and the ID where several sites agree in all of these.

        Parameters
        ----------
        other : Genotypes or Variants

        Raises
        ------
        DataError
            If the two have no site in common.
        """
        variants = other.variants if isinstance(other, Genotypes) else other
        if self.variants.equals(variants):
            return self
        return self._at(variants=common_rows(self.variants, variants))

    def _at(self, variants: Any = slice(None), samples: Any = slice(None)) -> Genotypes:
        calls, labels = self.calls[variants][:, samples], {c: v[samples] for c, v in self.labels.items()}
        return Genotypes(calls, self.variants.select(variants), self.samples[samples], labels, self.phased)

    def select(
        self,
        *,
        samples: str | Sequence[str] | np.ndarray | None = None,
        sites: Any = None,
        region: str | None = None,
        min_maf: float | None = None,
    ) -> Genotypes:
        """Return a part of the people or of the sites; filters add up.

        Parameters
        ----------
        samples : str, sequence of str, or array of bool or int, optional
            Names in the order wanted, a mask, or indices.
        sites : slice, array of bool or int, optional
            Which variants, in file order.
        region : str, optional
            `contig`, `contig:start-end` (1-based, both ends included) or `contig:start-`.
        min_maf : float, optional
            Keep sites whose minor allele frequency among the selected people is at least this.

        Raises
        ------
        DataError
            If a sample or contig is unknown, or nothing is left.
        """
        chosen: Any = slice(None) if samples is None else np.atleast_1d(samples)
        if samples is not None and chosen.dtype.kind in "OU":
            index = {name: i for i, name in enumerate(self.samples)}
            unknown = [s for s in chosen if s not in index]
            if unknown:
                raise DataError(f"{len(unknown)} samples are not in the data: {listed(unknown)}.")
            chosen = np.array([index[s] for s in chosen], dtype=np.int64)
        part = self._at(samples=chosen)
        keep = np.zeros(self.n_variants, dtype=bool)
        keep[slice(None) if sites is None else sites] = True
        if region is not None:
            keep &= self._in_region(region)
        if min_maf is not None:
            keep &= part.common(min_maf)
        return part if keep.all() else part._at(variants=keep)

    def _in_region(self, region: str) -> np.ndarray:
        contig, start, end = parse_region(region)
        if contig not in set(self.variants.contig):
            there = listed(dict.fromkeys(self.variants.contig)) + named_otherwise(region, self.variants.contig)
            raise DataError(
                f"Region {region!r}: there is no variant on contig {contig!r}; contigs with variants: {there}."
            )
        inside = (self.variants.contig == contig) & (self.variants.position >= start)
        return inside if end is None else inside & (self.variants.position <= end)

    def split(
        self,
        fraction: float = 0.8,
        *,
        by: str | None = None,
        seed: int = 0,
        parents: Mapping[str, Sequence[str]] | None = None,
    ) -> tuple[Genotypes, Genotypes]:
        """Split the people at random into two sets that share nobody.

        Parameters
        ----------
        fraction : float
            Share of people in the first set, per stratum, rounded to whole people.
        by : str, optional
            Label column to stratify by.
        seed : int
            The same seed gives the same split.
        parents : mapping of str to sequence of str, optional
            The known parents of people, as of `read_parents`: families stay together.

        Returns
        -------
        first, second : Genotypes
            Both in the original order of samples.

        Raises
        ------
        DataError
            If the fraction is not between 0 and 1, or one of the sets would be empty.
        """
        if not 0 < fraction < 1:
            raise DataError(f"The fraction to split is {fraction}; accepted: between 0 and 1.")
        strata = self.label(by) if by is not None else np.full(self.n_samples, "", dtype=object)
        family = families({name: (parents or {}).get(name, ()) for name in self.samples})
        first = first_part(list(family.values()), strata.tolist(), fraction, np.random.default_rng(seed))
        if first.all() or not first.any():
            raise DataError(f"Splitting {self.n_samples} people by {fraction} leaves one side empty; give more people.")
        return self.select(samples=first), self.select(samples=~first)

    def with_labels(self, columns: Mapping[str, Sequence[str] | np.ndarray | Mapping[str, str]]) -> Genotypes:
        """Return the same people with label columns added or replaced.

        Parameters
        ----------
        columns : mapping
            Column name to values in the order of samples, or to a mapping from sample name to value.
        """
        labels: dict[str, Any] = dict(self.labels)
        for column, values in columns.items():
            if isinstance(values, Mapping):
                absent = [s for s in self.samples if s not in values]
                if absent:
                    raise DataError(f"Label {column!r} has no value for {len(absent)} samples: {listed(absent)}.")
                labels[column] = [values[s] for s in self.samples]
            else:
                labels[column] = values
        return Genotypes(self.calls, self.variants, self.samples, labels, self.phased)

    def without_phase(self) -> Genotypes:
        """Return the same calls as unordered pairs (alleles of each call sorted, missing first)."""
        return Genotypes(np.sort(self.calls, axis=2), self.variants, self.samples, self.labels, phased=False)

    def to_xarray(self) -> Any:
        """Return an xarray Dataset as sgkit has it: call_genotype, variant_position, variant_contig, sample_id, ….

        The names are those of VCF Zarr, too. Labels are `sample_NAME`. The extra `xarray` is needed (`MissingExtra`).
        """
        return dataset(self.calls, self.phased, self.variants, self.samples, self.labels)


def require_genotypes(people: Any) -> None:
    """Raise a UsageError for what is not genotypes, with what makes them."""
    if not isinstance(people, Genotypes):
        makers = "pgcgan.Genotypes.from_numpy(array, labels={…}) or pgcgan.read(path) makes them"
        raise UsageError(f"Genotypes are needed, not {type(people).__name__}; {makers}.")


def concat(parts: Sequence[Genotypes], axis: str = "samples") -> Genotypes:
    """Join sets of people at the same sites, or sets of sites of the same people.

    Parameters
    ----------
    parts : sequence of Genotypes
        At least one.
    axis : {"samples", "variants"}
        What is joined. Along samples the variants must be equal and only the label columns that all parts have are
        kept; along variants the samples must be equal and the labels are those of the first part.

    Raises
    ------
    DataError
        If the parts do not fit together.
    """
    if axis not in ("samples", "variants"):
        raise DataError(f"concat along {axis!r}; accepted: samples, variants.")
    if not parts:
        raise DataError("concat needs at least one part.")
    first = parts[0]
    for i, part in enumerate(parts):
        require_genotypes(part)
        if (part.phased, part.ploidy) != (first.phased, first.ploidy):
            raise DataError(f"Part {i} differs from the first in phase state or ploidy.")
        if axis == "samples" and not part.variants.equals(first.variants):
            raise DataError(f"Part {i} has other variants than the first; select the common sites before.")
        if axis == "variants" and not np.array_equal(part.samples, first.samples):
            raise DataError(f"Part {i} has other samples than the first, or another order.")
    if axis == "samples":
        shared = [c for c in first.labels if all(c in p.labels for p in parts)]
        labels = {c: np.concatenate([p.labels[c] for p in parts]) for c in shared}
        samples = np.concatenate([p.samples for p in parts])
        calls = np.concatenate([p.calls for p in parts], axis=1)
        return Genotypes(calls, first.variants, samples, labels, first.phased)
    variants = concat_variants([part.variants for part in parts])
    return Genotypes(np.concatenate([p.calls for p in parts]), variants, first.samples, first.labels, first.phased)
