"""Writing VCF Zarr (zarr format 2) that bio2zarr, vcztools and sgkit read: a folder, or a zip archive of one.

Every chunk is written, those of zeros too, so that a chunk that is lost later is missed. No date is written: the same
genotypes give the same bytes.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..genotypes import Variants
from ..provenance import VERSION
from ..text import visible, without_secrets
from .outputs import check_writable, outputs
from .scratch import People
from .vcfzarr import VCFZARR_SUFFIXES
from .zarr_store import zarr_library

# the chunks of bio2zarr; with more people a chunk has fewer variants, so that a row of chunks stays below _ROW_BYTES
_VARIANTS, _SAMPLES = 1000, 10_000
_ROW_BYTES = 1 << 25
_LEVEL = 5  # of zstd: twice as fast as bio2zarr's 7, a tenth larger
_MISSING_QUALITY = 0x7F800001  # the NaN that stands for "." in a VCF


def write_vcfzarr(genotypes: People, path: str, *, force: bool, command: str | None, seed: int | None) -> list[Path]:
    """Write a VCF Zarr and, if there are labels, NAME.panel.tsv; see `pgcgan.write`.

    Labels whose names are words go into the arrays `sample_NAME` too. The attribute `vcf_meta_information` holds the
    command and the seed, as the header of a VCF does, and the assembly as `reference`. The calls are taken in blocks of
    variants, one row of chunks at a time.
    """
    target = path.rstrip("/")
    check_writable(genotypes)
    zarr_library("Writing VCF Zarr files")
    suffix = next(s for s in sorted(VCFZARR_SUFFIXES, key=len, reverse=True) if target.endswith(s))
    zipped = suffix.endswith(".zip")
    with outputs(genotypes, target, suffix, force=force, folder_with=() if zipped else (".zgroup", "zarr.json")) as (
        workspace,
        written,
    ):
        partial = os.path.join(workspace, os.path.basename(target))
        folder = os.path.join(workspace, "unzipped") if zipped else partial
        _write_folder(genotypes, folder, command, seed)
        if zipped:
            _pack(folder, partial)
    return written


def _write_folder(genotypes: People, folder: str, command: str | None, seed: int | None) -> None:
    n, people, ploidy = genotypes.n_variants, genotypes.n_samples, genotypes.ploidy
    step, width = max(1, min(n, _VARIANTS, _ROW_BYTES // (people * ploidy))), min(people, _SAMPLES)
    root = zarr_library("Writing VCF Zarr files").open_group(folder, mode="w", zarr_format=2)
    root.attrs.update(_attributes(genotypes.variants, command, seed))
    chunks = {"variants": step, "samples": width}
    labels = {f"sample_{label}": (values, "samples") for label, values in genotypes.labels.items() if _is_word(label)}
    arrays = {**_site_arrays(genotypes.variants, step), **labels, "sample_id": (genotypes.samples, "samples")}
    for name, (values, *axes) in arrays.items():
        if values.dtype == object:
            values = values.astype(np.dtypes.StringDType())
        _create(root, name, values.dtype, dict(zip(axes, values.shape, strict=True)), chunks)[...] = values
    lengths = {"variants": n, "samples": people}
    calls = _create(root, "call_genotype", np.dtype(np.int8), {**lengths, "ploidy": ploidy}, chunks)
    mask = _create(root, "call_genotype_mask", np.dtype(bool), {**lengths, "ploidy": ploidy}, chunks)
    phased = _create(root, "call_genotype_phased", np.dtype(bool), lengths, chunks)
    for start in range(0, n, step):
        block = slice(start, min(n, start + step))
        given = genotypes.calls[block]
        for first in range(0, people, width):  # zarr copies what it compresses
            place = block, slice(first, min(people, first + width))
            part = given[:, place[1]]
            calls[place] = part
            mask[place] = part < 0
            phased[place] = genotypes.phased
        del given  # before the next is made


def _is_word(label: str) -> bool:
    return bool(re.fullmatch(r"\w[\w-]*", label)) and label != "id"  # the array sample_id is that of the names


def _create(root: Any, name: str, dtype: np.dtype, axes: Mapping[str, int], chunks: Mapping[str, int]) -> Any:
    """Add an array to a group; axes are given with their lengths, and some with the length of their chunks."""
    from numcodecs import Blosc, VLenUTF8

    shuffle = Blosc.BITSHUFFLE if name.startswith("call_") else Blosc.SHUFFLE
    return root.create_array(
        name,
        shape=tuple(axes.values()),
        chunks=tuple(chunks.get(axis, max(1, length)) for axis, length in axes.items()),
        dtype=dtype,
        filters=[VLenUTF8()] if dtype.kind == "T" else None,
        compressors=[Blosc(cname="zstd", clevel=_LEVEL, shuffle=shuffle)],
        fill_value=None,
        attributes={"_ARRAY_DIMENSIONS": list(axes)},
        config={"write_empty_chunks": True},
    )


def _attributes(variants: Variants, command: str | None, seed: int | None) -> dict[str, Any]:
    lines = []
    if command is not None:
        lines.append(["pgcganCommand", visible(without_secrets(" ".join(command.split())))])
    if seed is not None:
        lines.append(["pgcganSeed", str(seed)])
    if variants.assembly is not None:
        lines.append(["reference", variants.assembly])
    return {"vcf_zarr_version": "0.4", "source": f"pgcgan {VERSION}", "vcf_meta_information": lines}


def _site_arrays(variants: Variants, step: int) -> dict[str, tuple[Any, ...]]:
    """Return the arrays of contigs, filters and sites by their names, each with the names of its axes."""
    number = {contig: i for i, contig in enumerate(variants.contig_lengths)}
    position = variants.position.astype(np.int32 if variants.position.max() < 1 << 31 else np.int64)
    contig = np.array([number[c] for c in variants.contig], dtype=_smallest([len(number)]))
    length = np.array([len(ref) for ref in variants.ref])
    alleles = np.stack([variants.ref, np.where(variants.alt == ".", "", variants.alt)], axis=1)
    lengths = [-1 if n is None else n for n in variants.contig_lengths.values()]
    quality = np.full(len(variants), _MISSING_QUALITY, dtype="<u4").view("<f4")
    index = _index(contig, position, position + length - 1, step)
    known = {"contig_length": (np.array(lengths, dtype=np.int64), "contigs")} if max(lengths) >= 0 else {}
    return known | {
        "contig_id": (np.array(list(number), dtype=object), "contigs"),
        "filter_id": (np.array(["PASS"], dtype=object), "filters"),
        "filter_description": (np.array(["All filters passed"], dtype=object), "filters"),
        "variant_contig": (contig, "variants"),
        "variant_position": (position, "variants"),
        "variant_length": (length.astype(_smallest(length)), "variants"),
        "variant_id": (variants.id, "variants"),
        "variant_id_mask": (np.asarray(variants.id == "."), "variants"),
        "variant_allele": (alleles, "variants", "alleles"),
        "variant_quality": (quality, "variants"),
        "variant_filter": (np.zeros((len(variants), 1), dtype=bool), "variants", "filters"),
        "region_index": (index, "region_index_values", "region_index_fields"),
    }


def _index(contig: np.ndarray, position: np.ndarray, end: np.ndarray, step: int) -> np.ndarray:
    """Return a row for each contig in each chunk: chunk, contig, first and last position, furthest end, records."""
    rows = []
    for start in range(0, len(contig), step):
        stop = min(len(contig), start + step)
        changes = np.flatnonzero(np.diff(contig[start:stop])) + start + 1
        for a, b in zip([start, *changes], [*changes, stop], strict=True):
            rows.append((start // step, contig[a], position[a], position[b - 1], end[a:b].max(), b - a))
    return np.array(rows, dtype=np.int64 if max(map(max, rows)) >= 1 << 31 else np.int32)


def _smallest(values: Iterable[int]) -> Any:
    """Return the smallest signed type that holds numbers from 0 on."""
    largest = int(max(values))
    return next(t for t in (np.int8, np.int16, np.int32, np.int64) if largest <= np.iinfo(t).max)


def _pack(folder: str, target: str) -> None:
    """Write a zip archive of the files in a folder, without their dates."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(p for p in Path(folder).rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix())
            entry.external_attr = 0o644 << 16
            with open(path, "rb") as source, archive.open(entry, "w", force_zip64=True) as sink:
                while data := source.read(1 << 22):
                    sink.write(data)
