"""Reading VCF (plain, gzip, bgzip) and BCF: header, records, regions.

Text rows are decoded by numpy: a row of `a|b` calls is one array of 4-byte words. Rows with further fields, haploid
or missing calls take a second vectorised path, the rest (alleles above 9, more than two alleles) a plain loop.
"""

from __future__ import annotations

import contextlib
import itertools
from io import BufferedReader

import numpy as np

from ..errors import DataError
from ..genotypes import MISSING, Genotypes
from ..regions import MAX_POSITION, parse_region
from ..text import whole_number
from . import bcf
from .bgzf import MAX_LINE, SAMPLE_BYTES, check_indexable, lines_of, opened
from .header import contig_table, numbered, sample_columns
from .index import index_of, region_start
from .records import ABSENT, Choose, Policies, Site, Table, log
from .remote import named

# `0|0` … `1|1` and `0/0` … `1/1` with the tab behind them, as little-endian words whose allele bits are masked out.
_ALLELE_BITS = 0xFFFEFFFE
_PHASED_WORD = 0x09307C30
_UNPHASED_WORD = 0x09302F30
_TAB, _COLON, _DOT, _ZERO, _PIPE, _SLASH = b"\t:.0|/"
_SEPARATOR = b"\t"
_MOST_HEADER = 1 << 26  # bytes of a header, the space that lines take in memory counted in
_LINE = 64  # bytes that a line takes in memory besides its characters

_Call = tuple[int, int, bool]  # both alleles, and whether it is phased


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
            people = sample_columns(lines, source)
            contigs, assembly = contig_table(lines, source)
            samples = list(choose(people))
            column = {sample: i for i, sample in enumerate(people)}
            chosen = None if samples == people else np.array([column[s] for s in samples], dtype=np.int64)
            table = Table(source, samples, policies, region)
            records: BufferedReader | None = stream
            if region is not None:
                table.index = index_of(path)
                if table.index is None:
                    log.info("%s has no index: read from the start to find %s.", source, region)
                else:
                    check_indexable(path)
                    names = numbered(lines, source, "contig") if binary else []
                    offset = region_start(path, table.index, *parse_region(region), names) if stream.peek(1) else None
                    records = None if offset is None else stack.enter_context(opened(path, offset))
            if records is not None and binary:
                bcf.fill(table, records, lines, len(people), chosen)
            elif records is not None:
                _fill(table, records, len(people), chosen)
        return table.finish(contigs, assembly)
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


def _fill(table: Table, stream: BufferedReader, n: int, chosen: np.ndarray | None) -> None:
    known: dict[bytes, _Call] = {}
    for line in lines_of(stream, table.source, MAX_LINE + SAMPLE_BYTES * n):
        head = line.rstrip(b"\r\n").split(b"\t", 9)
        if len(head) < 10:
            if not line.strip():
                continue
            shown = line[:40].decode("latin-1").rstrip()
            raise DataError(
                f"{table.source}: the line {shown!r}… has {line.count(_SEPARATOR) + 1} instead of {n + 9} "
                "tab-separated columns; the file is truncated or not tab-separated."
            )
        contig, position, identifier, ref, alt = (field.decode() for field in head[:5])
        number = whole_number(position, MAX_POSITION)
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
            _decode(table, site, head[9], keys.index(b"GT"), n, chosen, known)


def _decode(
    table: Table, site: Site, text: bytes, gt: int, n: int, chosen: np.ndarray | None, known: dict[bytes, _Call]
) -> None:
    words = None
    if len(text) == 4 * n - 1 and gt == 0:
        words = np.frombuffer(text + _SEPARATOR, dtype="<u4")
        if chosen is not None:
            words = words[chosen]
        if _add_complete(table, site, words):
            return
    if words is None or (words >> 24 != _TAB).any():
        # The padding lets three bytes be looked at behind the start of any call.
        padded = np.frombuffer(_SEPARATOR + text + b"\t\t\t\t", dtype=np.uint8)
        starts = np.flatnonzero(padded[: len(text) + 1] == _TAB) + 1
        if len(starts) != n:
            table.refuse(site, f"has {len(starts)} instead of {n} sample columns; the file is truncated or damaged.")
        if chosen is not None:
            starts = starts[chosen]
        words = np.stack([padded[starts + i] for i in range(4)], axis=1).view("<u4")[:, 0]
    if gt == 0 and _decode_single_digits(table, site, words):
        return
    columns = text.split(_SEPARATOR)
    calls = []
    for sample, i in zip(table.samples, range(n) if chosen is None else chosen.tolist(), strict=True):
        fields = columns[i].split(b":")
        token = fields[gt] if len(fields) > gt else b"."  # fields at the end may be left out
        if token not in known:
            known[token] = _parse_call(table, site, token, sample)
        calls.append(known[token])
    table.add(site, np.array([call[:2] for call in calls], dtype=np.int32), np.array([call[2] for call in calls]))


def _add_complete(table: Table, site: Site, words: np.ndarray) -> bool:
    """Add a record if all calls, words of four bytes, are `a|b` or all are `a/b`, of 0 and 1, with a tab behind."""
    masked = words & _ALLELE_BITS
    for word in (_PHASED_WORD, _UNPHASED_WORD):
        if masked[0] == word and (masked == word).all():
            np.bitwise_and(words.view(np.int8).reshape(-1, 4)[:, ::2], 1, out=table.row())
            table.add_complete(site, word == _PHASED_WORD)
            return True
    return False


def _decode_single_digits(table: Table, site: Site, words: np.ndarray) -> bool:
    """Add a record by the first four bytes of each call; False if one is not `a`, `a|b` or `a/b` of one digit."""
    first, separator, second, behind = words.view(np.uint8).reshape(-1, 4).T
    ended = (behind == _TAB) | (behind == _COLON)
    if ended.all() and _add_complete(table, site, words & 0x00FFFFFF | _TAB << 24):
        return True
    phased = separator == _PIPE
    joined = phased | (separator == _SLASH)
    haploid = (separator == _TAB) | (separator == _COLON)
    if not (_is_allele(first) & (haploid | (joined & ended & _is_allele(second)))).all():
        return False
    calls = np.stack([first, second], axis=1).view(np.int8)
    calls = np.where(calls == _DOT, np.int8(MISSING), calls - np.int8(_ZERO))
    calls[haploid, 1] = ABSENT
    table.add(site, calls, phased)
    return True


def _is_allele(byte: np.ndarray) -> np.ndarray:
    return (byte - np.uint8(_ZERO) <= 9) | (byte == _DOT)


def _parse_call(table: Table, site: Site, token: bytes, sample: str) -> _Call:
    phased = b"|" in token and b"/" not in token
    # VCF 4.4 allows a separator before the first allele.
    alleles = token.replace(b"|", b"/").removeprefix(b"/").split(b"/")
    if not token:
        table.refuse(site, f"has an empty call of sample {sample}; '.' stands for a missing one.")
    if len(alleles) > 2 or not all(a == b"." or (a.isdigit() and len(a) < 10) for a in alleles):
        table.refuse(
            site,
            f"has the call {token.decode(errors='replace')!r} of sample {sample}; accepted: one or two alleles (0|1, "
            "0/1, 1, ./.).",
        )
    numbers = [MISSING if a == b"." else int(a) for a in alleles]
    return numbers[0], numbers[1] if len(numbers) == 2 else ABSENT, phased
