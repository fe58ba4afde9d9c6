"""Reading VCF (plain, gzip, bgzip) and BCF: header, records, regions.

Text rows are decoded by numpy: a row of `a|b` calls is one array of 4-byte words. Rows with further fields, haploid
or missing calls take a second vectorised path, the rest (alleles above 9, more than two alleles) a plain loop.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from io import BufferedReader

import numpy as np

from ..errors import DataError, listed
from ..genotypes import MISSING, Genotypes
from ..regions import parse_region
from ..text import repeated, whole_number
from . import bcf
from .bgzf import MAX_LINE, SAMPLE_BYTES, check_indexable, lines_of, opened
from .header import structured
from .index import index_of, region_start
from .records import ABSENT, COLUMNS, MAX_POSITION, Choose, Policies, Site, Table, log, position_of
from .remote import named

# `0|0` … `1|1` and `0/0` … `1/1` with the tab behind them, as little-endian words whose allele bits are masked out.
_ALLELE_BITS = 0xFFFEFFFE
_PHASED_WORD = 0x09307C30
_UNPHASED_WORD = 0x09302F30
_TAB, _COLON, _DOT, _ZERO, _PIPE, _SLASH = b"\t:.0|/"
_SEPARATOR = b"\t"
_MOST_HEADER = 1 << 26  # bytes of a header, the space that lines take in memory counted in
_LINE = 64  # bytes that a line takes in memory besides its characters


@dataclass(frozen=True)
class Header:
    """The samples and contigs that a VCF header names."""

    samples: list[str]
    contig_lengths: dict[str, int | None]
    assembly: str | None


def read_vcf(path: str, *, choose: Choose, region: str | None, policies: Policies) -> Genotypes:
    """Read a VCF or BCF file, or either from standard input.

    Returns
    -------
    Genotypes
        Calls int8 (variants, samples, ploidy), equal to what cyvcf2, pysam and scikit-allel read; `phased` if every
        heterozygous call is.
    """
    source = named(path)
    try:
        with opened(path) as stream, contextlib.ExitStack() as stack:
            start = stream.read(5)
            binary = start[:3] == b"BCF"
            lines = (bcf.read_header if binary else _text_header)(stream, start, source)
            header = parse_header(lines, source)
            n, samples = len(header.samples), list(choose(header.samples))
            column = {sample: i for i, sample in enumerate(header.samples)}
            chosen = None if samples == header.samples else np.array([column[s] for s in samples], dtype=np.int64)
            table = Table(source, samples, policies, region)
            index = None if region is None else index_of(path)
            records: BufferedReader | None = stream
            if region is not None and index is None:
                log.info("%s has no index: read from the start to find %s.", source, region)
            if region is not None and index is not None:
                check_indexable(path)
                contigs = bcf.numbered(lines, source, "contig") if binary else []
                offset = region_start(path, index, *parse_region(region), contigs) if stream.peek(1) else None
                records = None if offset is None else stack.enter_context(opened(path, offset))
                table.index = index
            if records is not None and binary:
                bcf.fill(table, records, lines, n, chosen)
            elif records is not None:
                _fill(table, records, n, chosen)
        return table.finish(header.contig_lengths, header.assembly)
    except UnicodeDecodeError as error:
        raise DataError(f"{source} is not UTF-8 text at byte {error.object[error.start]:#04x}.") from None


def _text_header(stream: BufferedReader, start: bytes, source: str) -> list[str]:
    line = start + next(lines_of(stream, source), b"")
    if not line.startswith(b"##fileformat=VCF"):
        shown = repr(line[:24].decode("latin-1")) if line else "nothing: it is empty"
        raise DataError(
            f"{source} is not a VCF or BCF file (a VCF begins with '##fileformat=VCF', this with {shown}); "
            "accepted: .vcf, .vcf.gz, .vcf.bgz, .bcf; by their names also .bed, .pgen, .hap, .hap.gz, .vcz, .zarr, "
            ".trees, .npz."
        )
    lines, size = [], 0
    for each in itertools.chain([line], lines_of(stream, source)):
        lines.append(each.decode().rstrip("\r\n"))
        if not each.startswith(b"##"):
            return lines
        size += len(each) + _LINE
        if size > _MOST_HEADER:
            raise DataError(f"{source} has more than {len(lines) - 1} header lines, of {size} bytes: it is damaged.")
    return [*lines, ""]


def parse_header(lines: Sequence[str], source: str) -> Header:
    """Return samples, contigs and assembly of header lines, the last of which is the `#CHROM` line."""
    columns = lines[-1].split("\t")
    if columns[:8] != list(COLUMNS):
        raise DataError(
            f"{source} has no header line '#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT samples…' (tab-separated) "
            f"after its '##' lines, but {lines[-1][:40]!r}."
        )
    samples = columns[9:]
    if not samples:
        raise DataError(f"{source} has no samples: it lists sites only; genotypes of people are needed.")
    if "" in samples:
        raise DataError(f"{source} has an empty name for sample {samples.index('') + 1} in its header.")
    twice = repeated(samples)
    if twice:
        raise DataError(f"{source} names samples more than once in its header: {listed(twice)}.")
    return Header(samples, *contig_table(lines, source))


def contig_table(lines: Sequence[str], source: str) -> tuple[dict[str, int | None], str | None]:
    """Return the contigs with their lengths, and the assembly, of the `##` lines of a VCF or .pvar.

    Raises
    ------
    DataError
        If a length is made of digits, but is not a whole number that a position can be.
    """
    lengths: dict[str, int | None] = {}
    assembly = reference = None
    for line in lines:
        if line.startswith("##contig=<"):
            fields = structured(line)
            if "ID" in fields:
                length = fields.get("length", "")
                lengths[fields["ID"]] = whole_number(length, MAX_POSITION)
                if lengths[fields["ID"]] is None and length.isdigit():
                    raise DataError(
                        f"{source}: the contig {fields['ID'][:40]} has the length {length[:40]!r}, which is not a "
                        f"whole number from 0 to {MAX_POSITION}."
                    )
                assembly = assembly or fields.get("assembly")
        elif line.startswith("##reference="):
            reference = line.partition("=")[2].strip('"') or None
    return lengths, assembly or reference


def _fill(table: Table, stream: BufferedReader, n: int, chosen: np.ndarray | None) -> None:
    tokens: dict[bytes, tuple[int, int, bool]] = {}
    for line in lines_of(stream, table.source, MAX_LINE + SAMPLE_BYTES * n):
        head = line.rstrip(b"\r\n").split(b"\t", 9)
        if len(head) < 10:
            if not line.strip():
                continue
            _refuse_short(table, line, n)
        contig, position, identifier, ref, alt = (field.decode() for field in head[:5])
        number = position_of(position)
        if number is None:
            raise DataError(
                f"{table.source}: the position {position[:40]!r} on contig {contig} is not a number from 0 to "
                f"{MAX_POSITION}."
            )
        site = Site(contig, number, identifier, ref, () if alt == "." else tuple(alt.split(",")))
        where = table.place(site)
        if where == "end":
            return
        if where == "take":
            keys = head[8].split(b":")
            if b"GT" not in keys:
                table.refuse(site, f"has no GT (its FORMAT is {head[8].decode()}); genotype calls are needed.")
            _decode(table, site, head[9], keys.index(b"GT"), n, chosen, tokens)


def _refuse_short(table: Table, line: bytes, n: int) -> None:
    shown = line[:40].decode("latin-1").rstrip()
    raise DataError(
        f"{table.source}: the line {shown!r}… has {line.count(_SEPARATOR) + 1} instead of {n + 9} tab-separated "
        "columns; the file is truncated or not tab-separated."
    )


def _decode(
    table: Table,
    site: Site,
    text: bytes,
    gt: int,
    n: int,
    chosen: np.ndarray | None,
    tokens: dict[bytes, tuple[int, int, bool]],
) -> None:
    looked_at = None
    if len(text) == 4 * n - 1 and gt == 0:
        words = np.frombuffer(text + _SEPARATOR, dtype="<u4")
        if chosen is not None:
            words = words[chosen]
        masked = words & _ALLELE_BITS
        for word in (_PHASED_WORD, _UNPHASED_WORD):
            if masked[0] == word and (masked == word).all():
                np.bitwise_and(words.view(np.int8).reshape(-1, 4)[:, ::2], 1, out=table.row())
                table.add_complete(site, word == _PHASED_WORD)
                return
        if (words >> 24 == _TAB).all():
            looked_at = words.view(np.uint8).reshape(-1, 4).T
    if looked_at is None:
        # The padding lets three bytes be looked at behind the start of any call.
        padded = np.frombuffer(_SEPARATOR + text + b"\t\t\t\t", dtype=np.uint8)
        starts = np.flatnonzero(padded[: len(text) + 1] == _TAB) + 1
        if len(starts) != n:
            table.refuse(site, f"has {len(starts)} instead of {n} sample columns; the file is truncated or damaged.")
        if chosen is not None:
            starts = starts[chosen]
        looked_at = np.stack([padded[starts + i] for i in range(4)])
    if gt == 0 and _decode_single_digits(table, site, *looked_at):
        return
    columns = text.split(_SEPARATOR)
    parsed = []
    for i in range(n) if chosen is None else chosen.tolist():
        token = _token(table, site, columns[i], gt, i, chosen)
        if token not in tokens:
            tokens[token] = _parse_call(table, site, token, i, chosen)
        parsed.append(tokens[token])
    table.add(site, np.array([p[:2] for p in parsed], dtype=np.int32), np.array([p[2] for p in parsed]))


def _token(table: Table, site: Site, column: bytes, gt: int, i: int, chosen: np.ndarray | None) -> bytes:
    """Return the GT of a sample column; fields at the end may be left out, but the column is not empty."""
    fields = column.split(b":")
    if len(fields) > gt and not fields[gt]:
        sample = table.samples[i if chosen is None else chosen.tolist().index(i)]
        table.refuse(site, f"has an empty call of sample {sample}; '.' stands for a missing one.")
    return fields[gt] if len(fields) > gt else b"."


def _decode_single_digits(
    table: Table, site: Site, first: np.ndarray, separator: np.ndarray, second: np.ndarray, behind: np.ndarray
) -> bool:
    """Decode calls by the first four bytes of each; False if a call is not `a`, `a|b` or `a/b` of single characters."""
    ended = (behind == _TAB) | (behind == _COLON)
    phased = separator == _PIPE
    joined = phased | (separator == _SLASH)
    called = ((first | 1) == _ZERO + 1) & ((second | 1) == _ZERO + 1)
    if (called & joined & ended).all() and (phased == phased[0]).all():
        row = table.row()
        np.bitwise_and(first, 1, out=row[:, 0], casting="unsafe")
        np.bitwise_and(second, 1, out=row[:, 1], casting="unsafe")
        table.add_complete(site, bool(phased[0]))
        return True
    haploid = (separator == _TAB) | (separator == _COLON)
    if not (_is_allele(first) & (haploid | (joined & ended & _is_allele(second)))).all():
        return False
    calls = np.empty((len(first), 2), dtype=np.int8)
    for column, byte in enumerate((first, second)):
        np.subtract(byte, _ZERO, out=calls[:, column], casting="unsafe")
        calls[byte == _DOT, column] = MISSING
    calls[haploid, 1] = ABSENT
    table.add(site, calls, phased)
    return True


def _is_allele(byte: np.ndarray) -> np.ndarray:
    return (byte - np.uint8(_ZERO) <= 9) | (byte == _DOT)


def _parse_call(
    table: Table, site: Site, token: bytes, column: int, chosen: np.ndarray | None
) -> tuple[int, int, bool]:
    phased = b"|" in token and b"/" not in token
    # VCF 4.4 allows a separator before the first allele.
    alleles = token.replace(b"|", b"/").removeprefix(b"/").split(b"/")
    if len(alleles) > 2 or not all(a == b"." or (a.isdigit() and len(a) < 10) for a in alleles):
        sample = table.samples[column if chosen is None else chosen.tolist().index(column)]
        table.refuse(
            site,
            f"has the call {token.decode(errors='replace')!r} of sample {sample}; accepted: one or two alleles (0|1, "
            "0/1, 1, ./.).",
        )
    numbers = [MISSING if a == b"." else int(a) for a in alleles]
    return numbers[0], numbers[1] if len(numbers) == 2 else ABSENT, phased
