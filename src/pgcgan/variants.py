"""Sites of genotypes: contig, position, ID, REF and ALT of biallelic variants, and what tells one from another.

Alleles of HLA genes and amino acids are coded as markers of one position, all A/P, that only their IDs tell apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import DataError, MissingExtra, listed
from .regions import MAX_POSITION, plain_contig

if TYPE_CHECKING:
    import pandas


COLUMNS = ("contig", "position", "id", "ref", "alt")


def strings(values: Any, what: str) -> np.ndarray:
    """Return names or labels as an array of text that cannot be written to."""
    array = np.array([str(v) for v in values], dtype=object)
    if array.ndim != 1:
        raise DataError(f"{what} must be one-dimensional, got shape {array.shape}.")
    if "\0" in "".join(array):
        name = next(value for value in array if "\0" in value)
        raise DataError(f"{what} has {name!r} with a NUL character, which numpy drops at the end of a name.")
    array.flags.writeable = False
    return array


@dataclass(frozen=True, eq=False)
class Variants:
    """The sites, in file order: one row a biallelic record.

    Parameters
    ----------
    contig, id, ref, alt : sequence of str, length V
        As in a VCF; an absent id is ".".
    position : sequence of int, length V
        1-based position on the contig.
    contig_lengths : mapping of str to int or None, optional
        Every contig of the file in header order, with its length where it is known. Contigs that occur in `contig`
        but not here are added at the end.
    assembly : str, optional
        The reference the positions refer to, if the file says so.
    """

    contig: np.ndarray
    position: np.ndarray
    id: np.ndarray
    ref: np.ndarray
    alt: np.ndarray
    contig_lengths: Mapping[str, int | None] = field(default_factory=dict)
    assembly: str | None = None

    def __post_init__(self) -> None:
        given = np.asarray(self.position)
        if given.ndim != 1:
            raise DataError(f"variants.position must be one-dimensional, got shape {given.shape}.")
        off = np.flatnonzero((given < 0) | (given > MAX_POSITION))
        if len(off):
            end = "start at 1" if given[off[0]] < 0 else f"end at {MAX_POSITION}"
            raise DataError(f"Variant {off[0]} has the position {given[off[0]]}; positions {end}.")
        position = np.array(given, dtype=np.int64)
        position.flags.writeable = False
        object.__setattr__(self, "position", position)
        for name in ("contig", "id", "ref", "alt"):
            values = strings(getattr(self, name), f"variants.{name}")
            if len(values) != len(position):
                raise DataError(f"variants.{name} has {len(values)} entries, variants.position has {len(position)}.")
            object.__setattr__(self, name, values)
        lengths = {**self.contig_lengths, **{c: None for c in self.contig if c not in self.contig_lengths}}
        object.__setattr__(self, "contig_lengths", MappingProxyType(lengths))

    def __reduce__(self) -> tuple[Any, ...]:  # a read-only mapping cannot be pickled
        columns = (getattr(self, name) for name in COLUMNS)
        return type(self), (*columns, dict(self.contig_lengths), self.assembly)

    def __len__(self) -> int:
        return len(self.position)

    def __repr__(self) -> str:
        ends = f": {self.name(0)[:60]} to {self.name(len(self) - 1)[:60]}" if len(self) else ""
        return f"Variants({len(self):,} sites, contigs: {listed(dict.fromkeys(self.contig))}{ends})"

    def to_frame(self) -> pandas.DataFrame:
        """Return the sites as a pandas DataFrame: contig, position, id, ref and alt.

        Raises
        ------
        MissingExtra
            If pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise MissingExtra("pandas", "frame", "Variants.to_frame()") from None
        return pandas.DataFrame({name: getattr(self, name) for name in COLUMNS})

    def name(self, index: int) -> str:
        """Return `contig:position ref>alt` of one variant, for messages."""
        return f"{self.contig[index]}:{self.position[index]} {self.ref[index]}>{self.alt[index]}"

    def select(self, index: Any) -> Variants:
        """Return the variants at `index` (slice, mask or integers); the contig table is kept whole."""
        columns = {name: np.array(getattr(self, name)[index]) for name in COLUMNS}
        if columns["position"].ndim != 1:
            return Variants(**columns, contig_lengths=self.contig_lengths, assembly=self.assembly)
        chosen = object.__new__(Variants)  # what was checked is not checked again: a million sites take 0.6 s
        for name, column in columns.items():
            column.flags.writeable = False
            object.__setattr__(chosen, name, column)
        object.__setattr__(chosen, "contig_lengths", self.contig_lengths)
        object.__setattr__(chosen, "assembly", self.assembly)
        return chosen

    def equals(self, other: Variants) -> bool:
        """True if contig, position, id, ref and alt are the same, in the same order."""
        return len(self) == len(other) and all(
            bool(np.array_equal(getattr(self, name), getattr(other, name))) for name in COLUMNS
        )


def concat_variants(parts: Sequence[Variants]) -> Variants:
    """Join sites, in the order of the parts; the assembly is that of the first."""
    lengths: dict[str, int | None] = {}
    for part in parts:
        for contig, length in part.contig_lengths.items():
            lengths[contig] = lengths.get(contig) or length
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS}
    return Variants(**columns, contig_lengths=lengths, assembly=parts[0].assembly)


# ---- the same variants in several sets ------------------------------------------------------------------------------


def site_keys(variants: Variants) -> Iterator[tuple[str, int, str, str]]:
    """Yield contig, position, REF and ALT of each variant."""
    return zip(variants.contig, variants.position.tolist(), variants.ref, variants.alt, strict=True)


def is_another(identifier: str, identifiers: set[str]) -> bool:
    """True if a record is another variant than those of the same position and alleles, by its ID, which is added.

    A record without an ID repeats any of them.
    """
    if identifiers and (identifier == "." or "." in identifiers or identifier in identifiers):
        return False
    identifiers.add(identifier)
    return True


def differ_by_id(variants: Variants) -> np.ndarray:
    """Return one flag a variant: True if another has the same contig, position, REF and ALT."""
    _, place, counts = np.unique(variants.position, return_inverse=True, return_counts=True)
    flags = counts[place] > 1
    shared = np.flatnonzero(flags)
    if len(shared):
        keys = list(site_keys(variants.select(shared)))
        count = Counter(keys)
        flags[shared] = [count[key] > 1 for key in keys]
    return flags


def site_rows(variants: Variants, wanted: Variants) -> np.ndarray:
    """Return, for each wanted site, its number in a table of sites, or -1 where it is absent.

    Sites are the same if contig, position, REF and ALT are, and, where a table has several such sites, the ID too.
    """
    number = {key: i for i, key in enumerate(site_keys(variants))}
    rows = np.array([number.get(key, -1) for key in site_keys(wanted)], dtype=np.int64)
    several = np.zeros(len(variants) + 1, dtype=bool)  # the last is that of an absent site
    several[:-1] = differ_by_id(variants)
    unsure = np.flatnonzero(several[rows] | differ_by_id(wanted))
    if len(unsure):
        named = {(*key, name): i for i, (key, name) in enumerate(zip(site_keys(variants), variants.id, strict=True))}
        asked = wanted.select(unsure)
        rows[unsure] = [named.get((*key, name), -1) for key, name in zip(site_keys(asked), asked.id, strict=True)]
    return rows


def require_sites(variants: Variants, wanted: Variants, what: str, advice: str = "") -> np.ndarray:
    """Return `site_rows`; raise a DataError, which says `what` some sites are, unless all wanted sites are there."""
    rows = site_rows(variants, wanted)
    absent = [wanted.name(int(i)) for i in np.flatnonzero(rows < 0)]
    if absent:
        raise DataError(f"{len(absent)} of the {len(rows)} sites {what}: {listed(absent, 3)}{advice}.")
    return rows


def common_rows(variants: Variants, wanted: Variants) -> np.ndarray:
    """Return the numbers of the wanted sites that a table has, in their order."""
    rows = site_rows(variants, wanted)
    if (rows >= 0).any():
        return rows[rows >= 0]
    own, others = (list(dict.fromkeys(sites.contig)) for sites in (variants, wanted))
    where = " and ".join(map(_ranges, (variants, wanted)))
    advice = "give people of the same region and build, with the same REF and ALT"
    if not set(own) & set(others) and set(map(plain_contig, own)) & set(map(plain_contig, others)):
        where = f"contigs {listed(own)} and {listed(others)}"
        advice = "the contigs are named in two ways: rename those of one file with `bcftools annotate --rename-chrs`"
    raise DataError(f"The sets have no site in common: {where}; {advice}.")


def _ranges(variants: Variants) -> str:
    return listed((f"{contig}:{first}-{last}" for contig, first, last, _ in contig_spans(variants)), 3)


def contig_spans(variants: Variants) -> list[tuple[str, int, int, int]]:
    """Return contig, least and greatest position and number of the variants of each contig, in file order."""
    contigs: dict[str, tuple[int, int, int]] = {}
    changes = np.flatnonzero(variants.contig[1:] != variants.contig[:-1]) + 1
    for begin, end in pairwise([0, *changes.tolist(), len(variants)]):
        if end > begin:
            name, part = str(variants.contig[begin]), variants.position[begin:end]
            low, high, count = contigs.get(name, (MAX_POSITION, 0, 0))
            contigs[name] = min(low, int(part.min())), max(high, int(part.max())), count + end - begin
    return [(name, *span) for name, span in contigs.items()]
