"""Reading and writing VCF Zarr, as bio2zarr, vcztools and sgkit have it: a folder, or a zip archive of one.

Only the chunks of the region and of the people that are wanted are decompressed. Every chunk is written, those of zeros
too, so that a chunk that is lost later is missed. No date is written: the same genotypes give the same bytes.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, listed
from ..genotypes import MISSING, Genotypes, Variants
from ..provenance import VERSION
from ..regions import parse_region
from ..text import repeated, visible, without_secrets
from .outputs import check_writable, outputs
from .records import ABSENT, Choose, Policies, Site, Table
from .scratch import People
from .zarr_store import FLAG, TEXT, WHOLE, Store, decoded, zarr_library

VCFZARR_SUFFIXES = (".zarr", ".vcz", ".zarr.zip", ".vcz.zip")
# the chunks of bio2zarr; with more people a chunk has fewer variants, so that a row of chunks stays below _ROW_BYTES
_VARIANTS, _SAMPLES = 1000, 10_000
_ROW_BYTES = 1 << 25
_LEVEL = 5  # of zstd: twice as fast as bio2zarr's 7, a tenth larger
_MISSING_QUALITY = 0x7F800001  # the NaN that stands for "." in a VCF


def read_vcfzarr(path: str, *, choose: Choose, region: str | None, policies: Policies) -> Genotypes:
    """Read a VCF Zarr of zarr format 2 or 3, as `read_vcf` reads the VCF that bio2zarr made the Zarr of.

    The fill value -2 stands for the allele that a haploid call does not have. The labels are the arrays `sample_NAME`
    of text that have a value for everybody.
    """
    source = path.rstrip("/")
    with closing(Store(source)) as store:
        names = store.texts("sample_id")
        present = [name for name in names if name]  # who was taken out has no name
        if not present:
            raise DataError(f"{source} has no samples: it lists sites only; genotypes of people are needed.")
        if repeated(present):
            raise DataError(f"{source} names samples more than once in sample_id: {listed(repeated(present))}.")
        samples = list(choose(present))
        column = {name: i for i, name in enumerate(names)}
        columns = None if samples == names else np.array([column[s] for s in samples], dtype=np.int64)
        contigs = store.texts("contig_id")
        rows, sites = _sites(store, contigs, region)
        split = policies.multiallelic == "split"
        records = sum(max(1, len(s.alts)) for s in sites) if split else len(sites)
        table = Table(source, samples, policies, region, expected=records)
        _fill(table, store, rows, sites, columns, len(names))
        chosen = slice(None) if columns is None else columns
        labels = {name: values[chosen] for name, values in _labels(store, len(names)).items()}
        return table.finish(_lengths(store, contigs), store.assembly(), labels)


def _sites(store: Store, contigs: list[str], region: str | None) -> tuple[np.ndarray, list[Site]]:
    """Return the numbers of the records inside the region, and the records."""
    all_positions = store.array("variant_position", WHOLE, (None,))
    n = all_positions.shape[0]
    all_numbers = store.array("variant_contig", WHOLE, (n,))
    all_alleles = store.array("variant_allele", TEXT, (n, None))
    all_ids = store.array("variant_id", TEXT, (n,)) if "variant_id" in store else None
    positions = store.read(all_positions)
    numbers = store.read(all_numbers).astype(np.int64)
    off = (numbers < 0) | (numbers >= len(contigs))
    if off.any():
        i = int(off.argmax())
        raise DataError(
            f"{store.source}: record {i} (from 0) is on the contig number {numbers[i]}; contig_id lists {len(contigs)}."
        )
    _check_contigs(store, all_numbers, contigs)
    inside = np.ones(n, dtype=bool)
    if region is not None:
        contig, start, end = parse_region(region)
        inside = (numbers == (contigs.index(contig) if contig in contigs else -1)) & (positions >= start)
        if end is not None:
            inside &= positions <= end
    rows = np.flatnonzero(inside)
    if not len(rows):
        return rows, []
    first, last = int(rows[0]), int(rows[-1]) + 1
    alleles = store.read(all_alleles, slice(first, last))
    width = alleles.shape[1]
    words = decoded(alleles.reshape(-1))
    ids = None if all_ids is None else decoded(store.read(all_ids, slice(first, last)))
    sites = []
    for row, contig_number, position in zip(
        (rows - first).tolist(), numbers[rows].tolist(), positions[rows].tolist(), strict=True
    ):
        ref, *alts = words[row * width : (row + 1) * width]
        named = tuple(filter(None, alts))  # "" fills the row, and "." is a VCF's word for none
        name = "." if ids is None else ids[row] or "."
        site = Site(contigs[contig_number], position, name, ref, () if named == (".",) else named)
        if not ref or tuple(alts[: len(named)]) != named:
            raise DataError(f"{store.source}: record {first + row} (from 0), {site}, has an allele without a name.")
        sites.append(site)
    return rows, sites


def _check_contigs(store: Store, array: Any, contigs: list[str]) -> None:
    """Check that the chunks of contig numbers that were left out, as zeros, are of the first contig by the index."""
    absent = store.left_out(array) if len(contigs) > 1 and "region_index" in store else []
    if not absent:
        return
    index = store.read(store.array("region_index", WHOLE, (None, 6)))
    lost = index[np.isin(index[:, 0], absent) & (index[:, 1] != 0)]
    if len(lost):
        raise DataError(
            f"{store.source}: the chunk {lost[0, 0]} of the array variant_contig is not there; fetch the file again."
        )


def _fill(table: Table, store: Store, rows: np.ndarray, sites: list[Site], columns: np.ndarray | None, n: int) -> None:
    """Add the calls of the records, one row of chunks at a time."""
    records = store.array("variant_position", WHOLE, (None,)).shape[0]
    calls = store.array("call_genotype", WHOLE, (records, n, None))
    if calls.shape[2] not in (1, 2):
        raise DataError(f"{store.source}: call_genotype is of ploidy {calls.shape[2]}; accepted: 1 and 2.")
    separators = None
    if "call_genotype_phased" in store and not table.policies.unphased:
        separators = store.array("call_genotype_phased", FLAG, (records, n))
    if not len(rows):
        return
    remaining = iter(sites)
    for of_chunk in np.split(rows, np.flatnonzero(np.diff(rows // calls.chunks[0])) + 1):
        first, last = int(of_chunk[0]), int(of_chunk[-1]) + 1
        some = list(islice(remaining, len(of_chunk)))
        # decoded to where it stays, if nothing is to be changed
        in_place = calls.dtype == np.int8 and calls.shape[2] == 2 and last - first == len(of_chunk)
        block = _block(store, calls, slice(first, last), columns, table.rows(last - first) if in_place else None)
        phased = None if separators is None else _block(store, separators, slice(first, last), columns)
        if len(of_chunk) < len(block):  # records of other places lie in between
            block, phased = block[of_chunk - first], None if phased is None else phased[of_chunk - first]
        together = _together(some, block, phased)
        if together is not None:
            table.add_rows(some, block, together)
            continue
        block = block.copy()  # the rows of the table, where it may be, are written one by one
        for i, site in enumerate(some):
            if table.place(site) == "take":  # or it is dropped; none is outside the region
                _add(table, site, block[i], np.zeros(block.shape[1], dtype=bool) if phased is None else phased[i])


def _together(sites: list[Site], calls: np.ndarray, phased: np.ndarray | None) -> bool | None:
    """True if all records are phased, False if unphased; None if they are not alike, diploid and biallelic."""
    if calls.shape[2] != 2 or any(len(site.alts) != 1 for site in sites):
        return None
    missing = None
    if calls.dtype != np.int8 or np.asarray(calls.view(np.uint8)).max(initial=0) > 1:
        missing = calls[..., 0] < 0
        if calls.min() < MISSING or calls.max() > 1 or not np.array_equal(missing, calls[..., 1] < 0):
            return None
    if phased is None or not phased.any():
        return False
    # bio2zarr takes the missing calls ./. among phased ones as they are
    return True if (phased if missing is None else phased | missing).all() else None


def _block(
    store: Store, array: Any, variants: slice, columns: np.ndarray | None, out: np.ndarray | None = None
) -> np.ndarray:
    """Return some variants of the people wanted, from the chunks that hold them; in `out`, if it is given."""
    n, width = array.shape[1], array.chunks[1]
    if columns is None:
        return store.read(array, variants, slice(0, n), out=out)
    if out is None:
        out = np.empty((variants.stop - variants.start, len(columns), *array.shape[2:]), dtype=array.dtype)
    for chunk in np.unique(columns // width).tolist():
        places = np.flatnonzero(columns // width == chunk)
        people = slice(chunk * width, min(n, (chunk + 1) * width))
        out[:, places] = store.read(array, variants, people)[:, columns[places] - people.start]
    return out


def _add(table: Table, site: Site, alleles: np.ndarray, phased: np.ndarray) -> None:
    """Add a record that is not made of diploid calls of 0 and 1 with one kind of separator."""
    calls = np.full((len(alleles), 2), ABSENT, dtype=np.int32)
    calls[:, : alleles.shape[1]] = alleles
    if calls.min() < ABSENT:
        person = int(calls.min(axis=1).argmin())
        fault = f"has the allele number {calls[person].min()} of sample {table.samples[person]}"
        table.refuse(site, f"{fault}; accepted: -1 (missing), -2 (no second allele), 0 (REF) and up.")
    table.add(site, calls, phased)


def _lengths(store: Store, contigs: list[str]) -> dict[str, int | None]:
    lengths: list[int] = [-1] * len(contigs)
    if "contig_length" in store:
        lengths = store.read(store.array("contig_length", WHOLE, (len(contigs),))).tolist()
    return {contig: length if length > 0 else None for contig, length in zip(contigs, lengths, strict=True)}


def _labels(store: Store, n: int) -> dict[str, np.ndarray]:
    labels = {}
    for name in store.named("sample_"):
        array = store.opened(name)
        if name != "sample_id" and array.dtype.kind in TEXT and array.shape == (n,):
            values = decoded(store.read(array))
            if all(values):
                labels[name.removeprefix("sample_")] = np.array(values, dtype=object)
    return labels


# ---- writing ------------------------------------------------------------------------------------------------------


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
    metadata = () if zipped else (".zgroup", "zarr.json")
    with outputs(genotypes, target, suffix, force=force, folder_with=metadata) as (workspace, written):
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
    words = [label for label in genotypes.labels if re.fullmatch(r"\w[\w-]*", label) and label != "id"]
    labels = {f"sample_{label}": (genotypes.labels[label], "samples") for label in words}
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
    shown = None if command is None else visible(without_secrets(" ".join(command.split())))
    facts = {"pgcganCommand": shown, "pgcganSeed": seed, "reference": variants.assembly}
    lines = [[key, str(value)] for key, value in facts.items() if value is not None]
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
