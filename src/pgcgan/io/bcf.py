"""BCF records: the binary form of VCF (specification section 6), read by cyvcf2 and written by numpy."""

from __future__ import annotations

import contextlib
import itertools
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import DataError
from ..genotypes import parse_region
from .index import region_start
from .records import ABSENT, Site, Table
from .scratch import People, site_blocks

_END = (1 << 31) - 1  # the last position


def opened(path: str, source: str) -> Any:
    """Open a BCF file by cyvcf2.

    Raises
    ------
    DataError
        If it is not a BCF file that can be read.
    """
    from cyvcf2 import VCF
    from cyvcf2.cyvcf2 import set_htslib_log_level

    set_htslib_log_level(0)  # it would write to standard error
    message = f"{source} is a BCF of version 1, or damaged; rewrite it with `bcftools view -Ob`, or fetch it again."
    try:
        with _refused(message):
            return VCF(path)
    except OSError:
        raise DataError(message) from None


def fill(table: Table, file: Any, index: str | None, n: int, chosen: np.ndarray | None) -> None:
    """Put the records of a BCF file into a table, up to the end of the file or of the table's region.

    Parameters
    ----------
    table : Table
        Where they go.
    file : cyvcf2.VCF
        The file.
    index : str, optional
        Its index, by which the region of the table is found.
    n : int
        Samples in the file.
    chosen : array of int or None
        Columns of the samples that are kept.
    """
    for number in itertools.count(1):
        with _refused(f"{table.source} is truncated or damaged: record {number} cannot be read; fetch it again."):
            if number == 1:
                records = iter(file) if index is None else _inside(table, file, index)
            record = next(records, None)
            if record is None:
                return
            site = Site(record.CHROM, record.POS, record.ID or ".", record.REF, tuple(record.ALT))
        where = table.place(site)
        if where == "end":
            return
        if where == "take":
            with _refused(f"{table.source}: record {site} has no GT; genotype calls are needed."):
                calls = record.genotype.array()
            if len(calls) != n:
                table.refuse(site, f"has {len(calls)} instead of {n} samples; the file is damaged.")
            _add(table, site, calls if chosen is None else calls[chosen])


@contextlib.contextmanager
def _refused(message: str) -> Iterator[None]:
    """Raise a DataError where cyvcf2 raises an Exception: it has no class of its own for damaged data."""
    try:
        yield
    except Exception as error:
        if type(error) is not Exception:
            raise
        raise DataError(message) from None


def _inside(table: Table, file: Any, index: str) -> Iterator[Any]:
    """Return the records that reach into the region of a table."""
    contig, start, end = parse_region(table.region or "")
    if region_start(index, contig, start, end, file.seqnames) is None:  # this checks the index too
        return iter(())
    file.set_index(index)
    return iter(file(f"{contig}:{start}-{_END if end is None else min(end, _END)}"))


def _add(table: Table, site: Site, calls: np.ndarray) -> None:
    width = calls.shape[1] - 1
    phased = calls[:, -1]
    if width == 2 and calls.view(np.uint16).max(initial=0) <= 1 and (phased == phased[0]).all():
        row = table.row()
        row[:, 0], row[:, 1] = calls[:, 0], calls[:, 1]
        table.add_complete(site, bool(phased[0]))
        return
    alleles = calls[:, :width].astype(np.int32)
    if width == 1:
        alleles = np.column_stack([alleles, np.full(len(alleles), ABSENT)])
    if width > 2 and (alleles[:, 2:] != ABSENT).any():
        sample = int((alleles[:, 2:] != ABSENT).any(axis=1).argmax())
        ploidy = int((alleles[sample] != ABSENT).sum())
        table.refuse(
            site, f"has {ploidy} alleles in the call of sample {table.samples[sample]}; accepted: one or two alleles."
        )
    table.add(site, alleles[:, :2].copy(), phased.astype(bool))


def records(genotypes: People) -> Iterator[tuple[bytes, memoryview]]:
    """Yield each variant as a BCF record (no QUAL, FILTER or INFO; GT only), in two parts: site and calls."""
    variants, n, ploidy = genotypes.variants, genotypes.n_samples, genotypes.ploidy
    numbers = {name: i for i, name in enumerate(variants.contig_lengths)}
    phase = np.array([0, 1 if genotypes.phased else 0][:ploidy], dtype=np.int8)
    gt = b"\x11\x01" + bytes([ploidy << 4 | 1])  # GT is the string number 1, behind PASS
    for start, block in site_blocks(genotypes):
        for i, calls in enumerate((block + np.int8(1)) << 1 | phase, start=start):
            alleles = [variants.ref[i]] if variants.alt[i] == "." else [variants.ref[i], variants.alt[i]]
            shared = struct.pack(
                "<iiiIII",
                numbers[variants.contig[i]],
                variants.position[i] - 1,
                len(variants.ref[i]),
                0x7F800001,  # the bit pattern of a missing float
                len(alleles) << 16,
                1 << 24 | n,
            )
            texts = ["" if variants.id[i] == "." else variants.id[i], *alleles]
            shared += b"".join(_characters(text.encode()) for text in texts) + b"\0"
            sizes = struct.pack("<II", len(shared), len(gt) + calls.nbytes)
            yield sizes + shared + gt, np.ascontiguousarray(calls).data.cast("B")


def _characters(text: bytes) -> bytes:
    if len(text) < 15:
        return bytes([len(text) << 4 | 7]) + text
    width, kind = (1, 1) if len(text) < 1 << 7 else (2, 2) if len(text) < 1 << 15 else (4, 3)
    return bytes([0xF7, 1 << 4 | kind]) + len(text).to_bytes(width, "little") + text
