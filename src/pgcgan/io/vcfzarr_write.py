"""Writing VCF Zarr (zarr format 2) that bio2zarr, vcztools and sgkit read: a folder, or a zip archive of one.

Every chunk is written, those of zeros too, so that a chunk that is lost later is missed. No date is written: the same
genotypes give the same bytes.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
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


class _Group:
    """A zarr group, to which arrays are added in the layout of VCF Zarr."""

    def __init__(self, folder: str, attributes: Mapping[str, Any]):
        import numcodecs

        self._codecs = numcodecs
        self._root = zarr_library("Writing VCF Zarr files").open_group(folder, mode="w", zarr_format=2)
        self._root.attrs.update(attributes)

    def create(self, name: str, dtype: Any, axes: Mapping[str, tuple[int, int]]) -> Any:
        """Add an array; the axes are name -> (length, chunk)."""
        text = np.dtype(dtype).kind == "T"
        calls = name.startswith("call_")
        blosc = self._codecs.Blosc
        return self._root.create_array(
            name,
            shape=tuple(length for length, _ in axes.values()),
            chunks=tuple(chunk for _, chunk in axes.values()),
            dtype=dtype,
            filters=[self._codecs.VLenUTF8()] if text else None,
            compressors=[blosc(cname="zstd", clevel=_LEVEL, shuffle=blosc.BITSHUFFLE if calls else blosc.SHUFFLE)],
            fill_value=None,
            attributes={"_ARRAY_DIMENSIONS": list(axes)},
            config={"write_empty_chunks": True},
        )

    def add(self, name: str, values: np.ndarray, *axes: str, chunk: int | None = None) -> None:
        """Add an array with its values; the first axis has chunks of the given length."""
        sizes = {axis: (n, max(1, n)) for axis, n in zip(axes, values.shape, strict=True)}
        sizes[axes[0]] = (len(values), chunk or max(1, len(values)))
        array = self.create(name, values.dtype, sizes)
        array[...] = values


def _texts(values: Sequence[Any]) -> np.ndarray:
    return np.array(values, dtype=np.dtypes.StringDType())


def _write_folder(genotypes: People, folder: str, command: str | None, seed: int | None) -> None:
    n, people, ploidy = genotypes.n_variants, genotypes.n_samples, genotypes.ploidy
    step = max(1, min(n, _VARIANTS, _ROW_BYTES // (people * ploidy)))
    width = min(people, _SAMPLES)
    group = _Group(folder, _attributes(genotypes.variants, command, seed))
    _write_sites(group, genotypes.variants, step)
    group.add("sample_id", _texts(genotypes.samples.tolist()), "samples", chunk=width)
    for label, values in genotypes.labels.items():
        if re.fullmatch(r"\w[\w-]*", label) and label != "id":
            group.add(f"sample_{label}", _texts(values.tolist()), "samples", chunk=width)
    axes = {"variants": (n, step), "samples": (people, width)}
    calls = group.create("call_genotype", np.int8, {**axes, "ploidy": (ploidy, ploidy)})
    mask = group.create("call_genotype_mask", np.bool_, {**axes, "ploidy": (ploidy, ploidy)})
    phased = group.create("call_genotype_phased", np.bool_, axes)
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


def _attributes(variants: Variants, command: str | None, seed: int | None) -> dict[str, Any]:
    lines = []
    if command is not None:
        lines.append(["pgcganCommand", visible(without_secrets(" ".join(command.split())))])
    if seed is not None:
        lines.append(["pgcganSeed", str(seed)])
    if variants.assembly is not None:
        lines.append(["reference", variants.assembly])
    return {"vcf_zarr_version": "0.4", "source": f"pgcgan {VERSION}", "vcf_meta_information": lines}


def _write_sites(group: _Group, variants: Variants, step: int) -> None:
    contigs = list(variants.contig_lengths)
    number = {contig: i for i, contig in enumerate(contigs)}
    position = variants.position.astype(np.int32 if variants.position.max() < 1 << 31 else np.int64)
    contig = np.array([number[c] for c in variants.contig], dtype=_smallest([len(contigs)]))
    length = np.array([len(ref) for ref in variants.ref])
    group.add("contig_id", _texts(contigs), "contigs")
    if any(n is not None for n in variants.contig_lengths.values()):
        lengths = [-1 if n is None else n for n in variants.contig_lengths.values()]
        group.add("contig_length", np.array(lengths, dtype=np.int64), "contigs")
    group.add("filter_id", _texts(["PASS"]), "filters")
    group.add("filter_description", _texts(["All filters passed"]), "filters")
    group.add("variant_contig", contig, "variants", chunk=step)
    group.add("variant_position", position, "variants", chunk=step)
    group.add("variant_length", length.astype(_smallest(length)), "variants", chunk=step)
    group.add("variant_id", _texts(variants.id.tolist()), "variants", chunk=step)
    group.add("variant_id_mask", np.asarray(variants.id == "."), "variants", chunk=step)
    alleles = [[ref, "" if alt == "." else alt] for ref, alt in zip(variants.ref, variants.alt, strict=True)]
    group.add("variant_allele", _texts(alleles), "variants", "alleles", chunk=step)
    quality = np.full(len(variants), _MISSING_QUALITY, dtype="<u4").view("<f4")
    group.add("variant_quality", quality, "variants", chunk=step)
    group.add("variant_filter", np.zeros((len(variants), 1), dtype=bool), "variants", "filters", chunk=step)
    rows = _index(contig, position, position + length - 1, step)
    group.add("region_index", rows, "region_index_values", "region_index_fields")


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
