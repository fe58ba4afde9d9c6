"""Sites of genotypes: contig, position, ID, REF and ALT of biallelic variants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import DataError, MissingExtra, listed
from .regions import MAX_POSITION

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
