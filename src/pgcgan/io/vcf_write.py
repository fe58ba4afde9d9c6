"""Writing VCF (plain, bgzip with a tabix index), BCF (with a .csi index) and the panel file beside them.

Calls are encoded by numpy: a diploid call is a word of four bytes. No date is written, so that the same genotypes
give the same bytes.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pysam

from ..errors import DataError
from ..genotypes import Variants
from ..provenance import VERSION
from ..text import visible, without_secrets
from . import bcf
from .bgzf import write_bgzip
from .outputs import check_writable, outputs
from .records import COLUMNS
from .scratch import People, site_blocks

VCF_SUFFIXES = (".vcf", ".vcf.gz", ".vcf.bgz", ".bcf")
_ENCODED = 1 << 18  # alleles encoded at a time: they stay in the cache of the processor
_LEVEL = 4  # of zlib: a third of the time of the usual 6, files a fifth larger
_TBI_END, _END = 1 << 29, (1 << 31) - 1  # the last positions that a .tbi and a .csi index hold


def write_vcf(genotypes: People, target: str, *, force: bool, command: str | None, seed: int | None) -> list[Path]:
    """Write a VCF or BCF file, its index and its panel file; see `pgcgan.write`."""
    check_writable(genotypes)
    variants, head = genotypes.variants, "\n".join([*header_lines(genotypes, command, seed), ""]).encode()
    text = itertools.chain([head], _text_lines(genotypes))
    if target == "-":
        sys.stdout.buffer.writelines(text)
        sys.stdout.buffer.flush()
        return []
    name = os.path.basename(target)
    suffix = next(s for s in sorted(VCF_SUFFIXES, key=len, reverse=True) if name.endswith(s))
    if suffix == ".vcf":
        with (
            outputs(genotypes, target, suffix, force=force) as (folder, written),
            open(f"{folder}/{name}", "wb") as plain,
        ):
            plain.writelines(text)
        return written
    binary = suffix == ".bcf"
    if binary and not variants.position.all():
        where = variants.name(int((variants.position == 0).argmax()))
        raise DataError(f"Variant {where} cannot be written: the index of a BCF has no position 0; write a .vcf.")
    last = _last_position(variants)
    csi = binary or last > _TBI_END
    # An index of an earlier file under this name would be taken for ours, so that it counts as an output too.
    index, *stale = (f"{name}.{s}" for s in (("csi", "tbi") if csi else ("tbi", "csi")))
    with outputs(genotypes, target, suffix, [index], force=force, stale=stale) as (workspace, written):
        partial = os.path.join(workspace, name)
        if binary:
            start = b"BCF\2\2" + (len(head) + 1).to_bytes(4, "little") + head + b"\0"
            text = itertools.chain([start], bcf.records(genotypes))
        write_bgzip(partial, text, _LEVEL)
        preset: Any = "bcf" if binary else "vcf"
        pysam.tabix_index(partial, preset=preset, csi=csi, min_shift=_shift(variants, last) if binary else -1)
    return written


def _last_position(variants: Variants) -> int:
    """Return where the furthest REF ends; raise a DataError if an index cannot hold that."""
    ends = variants.position + np.array([len(ref) for ref in variants.ref]) - 1
    if ends.max() > _END:
        name = variants.name(int(ends.argmax()))
        raise DataError(f"Variant {name} cannot be written: positions of an indexed file end at {_END}; write a .vcf.")
    for contig, length in variants.contig_lengths.items():
        if (length or 0) > _END:  # an index of a BCF has levels for it, each eight times as large as the one before
            raise DataError(
                f"Contig {contig} has the length {length}: positions of an indexed file end at {_END}; write a .vcf."
            )
    return int(ends.max())


def _shift(variants: Variants, last: int) -> int:
    """Return the bits of the smallest interval of the index of a BCF: 14, or more if the header's lengths are short.

    htslib makes as many levels, of three bits each, as the longest contig of the header needs; a site may lie beyond.
    """
    longest = max((length for length in variants.contig_lengths.values() if length), default=_END)
    for shift in range(14, 31):
        levels = max(0, -(-((longest + 255).bit_length() - shift) // 3))
        if last < 1 << shift + 3 * levels:
            return shift
    return 31


def header_lines(genotypes: People, command: str | None, seed: int | None) -> list[str]:
    """Return the header without line ends: version, contigs with length and assembly, source, samples."""
    return [
        "##fileformat=VCFv4.2",
        '##FILTER=<ID=PASS,Description="All filters passed">',
        *origin_lines(genotypes, command, seed),
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
        "\t".join([*COLUMNS, "FORMAT", *genotypes.samples]),
    ]


def origin_lines(genotypes: People, command: str | None, seed: int | None) -> list[str]:
    """Return the header lines that say how the file was made, and its contigs; also in a .pvar."""
    variants = genotypes.variants
    lines = [f"##source=pgcgan {VERSION}"]
    if command is not None:
        lines.append(f"##pgcganCommand={visible(without_secrets(' '.join(command.split())))}")
    if seed is not None:
        lines.append(f"##pgcganSeed={seed}")
    for contig, length in variants.contig_lengths.items():
        fields = [f"ID={contig}"]
        if length is not None:
            fields.append(f"length={length}")
        if variants.assembly is not None:
            plain = re.fullmatch(r"[\w./:+-]+", variants.assembly)
            quoted = variants.assembly.replace("\\", "\\\\").replace('"', '\\"')
            fields.append(f"assembly={variants.assembly}" if plain else f'assembly="{quoted}"')
        lines.append(f"##contig=<{','.join(fields)}>")
    return lines


def _text_lines(genotypes: People) -> Iterator[bytes | memoryview]:
    """Yield each record in two parts, of which the second is overwritten by what comes later."""
    variants, ploidy = genotypes.variants, genotypes.ploidy
    separator = "|" if genotypes.phased else "/"
    # a call is a word: the characters of its alleles, and those that stand between and behind them
    between = int.from_bytes((f"\0{separator}\0\t" if ploidy == 2 else "\0\t").encode(), "little")
    for start, block in site_blocks(genotypes):
        step = max(1, _ENCODED // max(1, block[:1].size))
        for first in range(start, start + len(block), step):
            calls = np.ascontiguousarray(block[first - start : first - start + step])
            characters = calls + (calls >> 7) + np.int8(ord("0"))  # "." comes two before "0"
            words = characters.reshape(len(calls), -1).view(f"<u{ploidy}").astype(f"<u{2 * ploidy}")
            if ploidy == 2:
                words |= words << 8
                words &= 0x00FF00FF
            words |= between
            text = words.view(np.uint8)
            text[:, -1] = ord("\n")
            for i, row in enumerate(text, start=first):
                site = (variants.contig[i], str(variants.position[i]), variants.id[i], variants.ref[i], variants.alt[i])
                yield "\t".join((*site, ".", ".", ".", "GT", "")).encode()
                yield memoryview(row)
