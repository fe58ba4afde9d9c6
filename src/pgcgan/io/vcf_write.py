"""Writing VCF (plain, bgzip with a tabix index), BCF (with a .csi index) and the panel file beside them.

Calls are encoded by numpy: a diploid call is a lookup of four bytes. No date is written, so that the same genotypes
give the same bytes.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..genotypes import Genotypes
from ..provenance import VERSION
from . import bcf
from .labels import PANEL_COLUMNS
from .outputs import whole_files
from .records import COLUMNS

VCF_SUFFIXES = (".vcf", ".vcf.gz", ".vcf.bgz", ".bcf")
_ROW_BYTES = 1 << 24  # encoded at a time
_BGZF_MODE: Any = "wb4"  # four times as fast as level 6, files a fifth larger
_TBI_END = 1 << 29  # a .tbi index holds no position from here on


def write_vcf(
    genotypes: Genotypes,
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
    folder, name = os.path.split(target)
    folder = folder or "."
    suffix = next(s for s in sorted(VCF_SUFFIXES, key=len, reverse=True) if name.endswith(s))
    beyond = bool(len(genotypes.variants) and genotypes.variants.position.max() >= _TBI_END)
    index = None if suffix == ".vcf" else name + (".csi" if suffix == ".bcf" or beyond else ".tbi")
    panel = name.removesuffix(suffix) + ".panel.tsv" if genotypes.labels else None
    # An index of an earlier file under this name would be taken for ours, so that it counts as an output too.
    stale = [] if index is None else [f"{name}.{s}" for s in ("tbi", "csi") if f"{name}.{s}" != index]
    written = [n for n in (name, index, panel) if n]
    with whole_files(target, written, stale=stale, force=force) as workspace:
        partial = os.path.join(workspace, name)
        if index is None:
            with open(partial, "wb") as plain:
                plain.write(head.encode())
                plain.writelines(_text_blocks(genotypes))
        else:
            _write_bgzip(genotypes, head, partial, binary=suffix == ".bcf", csi=index.endswith(".csi"))
        if panel is not None:
            write_panel(genotypes, os.path.join(workspace, panel))
    return [Path(folder, new) for new in written]


def _write_bgzip(genotypes: Genotypes, head: str, partial: str, *, binary: bool, csi: bool) -> None:
    import pysam

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


def header_lines(genotypes: Genotypes, command: str | None, seed: int | None) -> list[str]:
    """Return the header without line ends: version, contigs with length and assembly, source, samples."""
    return [
        "##fileformat=VCFv4.2",
        '##FILTER=<ID=PASS,Description="All filters passed">',
        *origin_lines(genotypes, command, seed),
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
        "\t".join([*COLUMNS, "FORMAT", *genotypes.samples]),
    ]


def origin_lines(genotypes: Genotypes, command: str | None, seed: int | None) -> list[str]:
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


def _text_blocks(genotypes: Genotypes) -> Iterator[bytes]:
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


def write_panel(genotypes: Genotypes, path: str) -> None:
    """Write the labels as a table: sample, pop, super_pop, gender where there are such, then the others."""
    first = [c for c in PANEL_COLUMNS if c in genotypes.labels]
    columns = first + [c for c in genotypes.labels if c not in first]
    with open(path, "w", encoding="utf-8", newline="\n") as table:
        table.write("\t".join(["sample", *columns]) + "\n")
        for i, sample in enumerate(genotypes.samples):
            table.write("\t".join([sample, *(genotypes.labels[c][i] for c in columns)]) + "\n")


def check_writable(genotypes: Genotypes) -> None:
    """Check that there is something to write, in order, and that no name would break the lines of a table.

    Raises
    ------
    DataError
        Naming the first variant out of order, or the value that cannot be written.
    """
    variants = genotypes.variants
    if not genotypes.n_variants or not genotypes.n_samples:
        raise DataError(f"There is nothing to write: {genotypes.n_samples} samples x {genotypes.n_variants} variants.")
    changes = np.flatnonzero(variants.contig[1:] != variants.contig[:-1]) + 1
    runs = [variants.contig[i] for i in (0, *changes)]
    back = np.setdiff1d(np.flatnonzero(np.diff(variants.position) < 0) + 1, changes)
    if len(back):
        i = int(back[0])
        raise DataError(
            f"Variant {variants.name(i)} comes after {variants.name(i - 1)}: sort the variants before writing."
        )
    if len(set(runs)) < len(runs):
        contig = next(c for i, c in enumerate(runs) if c in runs[:i])
        raise DataError(f"The variants of contig {contig} are not together: sort the variants before writing.")
    named: dict[str, Iterable[str]] = {
        "contig": runs,
        "id": variants.id,
        "ref": variants.ref,
        "alt": variants.alt,
        "sample name": genotypes.samples,
        "label": genotypes.labels,
        **{f"label {column!r}": values for column, values in genotypes.labels.items()},
    }
    for what, values in named.items():
        # Blanks are allowed in sample names and labels; elsewhere some readers split the line at them.
        bad = r"[\t\r\n]" if what.startswith(("sample", "label")) else r"[\s,]" if what in ("ref", "alt") else r"\s"
        for value in values:
            if not value or re.search(bad, value):
                raise DataError(
                    f"The {what} {value!r} cannot be written: it is empty, or has blanks, line ends or commas in it."
                )
