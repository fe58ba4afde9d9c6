"""Writing VCF (plain, bgzip with a tabix index), BCF (with a .csi index) and the panel file beside them.

Calls are encoded by numpy: a diploid call is a lookup of four bytes. No date is written, so that the same genotypes
give the same bytes.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..provenance import VERSION
from . import bcf
from .outputs import check_writable, outputs
from .records import COLUMNS
from .scratch import People

VCF_SUFFIXES = (".vcf", ".vcf.gz", ".vcf.bgz", ".bcf")
_ROW_BYTES = 1 << 24  # encoded at a time
_BGZF_MODE: Any = "wb4"  # four times as fast as level 6, files a fifth larger
_TBI_END = 1 << 29  # a .tbi index holds no position from here on


def write_vcf(
    genotypes: People,
    path: str | os.PathLike[str],
    *,
    force: bool = False,
    command: str | None = None,
    seed: int | None = None,
) -> list[Path]:
    """Write a VCF or BCF file, its index and its panel file; see `pgcgan.write`."""
    target = os.fspath(path)
    check_writable(genotypes)
    head = "\n".join([*header_lines(genotypes, command, seed), ""])
    if target == "-":
        stdout = sys.stdout.buffer
        stdout.write(head.encode())
        for block in _text_blocks(genotypes):
            stdout.write(block)
        stdout.flush()
        return []
    name = os.path.basename(target)
    suffix = next(s for s in sorted(VCF_SUFFIXES, key=len, reverse=True) if name.endswith(s))
    beyond = bool(len(genotypes.variants) and genotypes.variants.position.max() >= _TBI_END)
    index = None if suffix == ".vcf" else name + (".csi" if suffix == ".bcf" or beyond else ".tbi")
    # An index of an earlier file under this name would be taken for ours, so that it counts as an output too.
    stale = [] if index is None else [f"{name}.{s}" for s in ("tbi", "csi") if f"{name}.{s}" != index]
    others = [] if index is None else [index]
    with outputs(genotypes, target, suffix, others, force=force, stale=stale) as (workspace, written):
        partial = os.path.join(workspace, name)
        if index is None:
            with open(partial, "wb") as plain:
                plain.write(head.encode())
                plain.writelines(_text_blocks(genotypes))
        else:
            _write_bgzip(genotypes, head, partial, binary=suffix == ".bcf", csi=index.endswith(".csi"))
    return written


def _write_bgzip(genotypes: People, head: str, partial: str, *, binary: bool, csi: bool) -> None:
    import pysam

    before = pysam.set_verbosity(0)  # what goes wrong is said once, by the error
    try:
        with pysam.BGZFile(partial, _BGZF_MODE, None) as stream:
            if binary:
                text = head.encode() + b"\0"
                stream.write(b"BCF\2\2" + len(text).to_bytes(4, "little") + text)
                contig_lengths = genotypes.variants.contig_lengths
                for record in bcf.records(genotypes, {name: i for i, name in enumerate(contig_lengths)}):
                    stream.write(record)
            else:
                stream.write(head.encode())
                for block in _text_blocks(genotypes):
                    stream.write(block)
        preset: Any = "bcf" if binary else "vcf"
        pysam.tabix_index(partial, preset=preset, csi=csi)
    finally:
        pysam.set_verbosity(before)


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
        lines.append(f"##pgcganCommand={' '.join(command.split())}")
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


def _text_blocks(genotypes: People) -> Iterator[bytes]:
    n, ploidy = genotypes.n_samples, genotypes.ploidy
    separator = "|" if genotypes.phased else "/"
    alleles = ".01"  # by allele + 1
    if ploidy == 2:
        words = np.frombuffer("".join(f"{a}{separator}{b}\t" for a in alleles for b in alleles).encode(), dtype="<u4")
    else:
        words = np.frombuffer("".join(f"{a}\t" for a in alleles).encode(), dtype="<u2")
    variants = genotypes.variants
    step = max(1, _ROW_BYTES // max(1, n * words.itemsize))
    for start in range(0, genotypes.n_variants, step):
        codes = genotypes.calls[start : start + step] + np.int8(1)
        # people chosen from a larger cohort are not contiguous in memory, and words keep the layout of their index
        index = np.ascontiguousarray(codes[..., 0] if ploidy == 1 else codes[..., 0] * 3 + codes[..., 1])
        text = words[index].view(np.uint8)
        text[:, -1:] = ord("\n")
        lines = []
        for i, row in enumerate(text, start=start):
            site = (variants.contig[i], str(variants.position[i]), variants.id[i], variants.ref[i], variants.alt[i])
            lines += ["\t".join((*site, ".", ".", ".", "GT", "")).encode(), row.tobytes()]
        yield b"".join(lines)
