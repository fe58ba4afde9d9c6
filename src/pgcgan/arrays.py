"""Arrays of alleles: of other programs, as calls of people; and packed, one or two bits an allele."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .errors import DataError, MissingExtra

MISSING = -1


def calls_from(array: np.ndarray, phased: bool) -> np.ndarray:
    """Return calls, shape (variants, samples, ploidy), of calls, haplotypes or, unphased, alt-allele counts."""
    calls = np.asarray(array)
    if calls.ndim not in (2, 3):
        raise DataError(f"The array has the shape {calls.shape}; accepted: two axes or three.")
    if calls.dtype.kind not in "iub" and not (calls == np.rint(calls)).all():
        raise DataError("Alleles and their counts are whole numbers; round imputed dosages, and write -1 for missing.")
    if calls.ndim == 3:
        return calls
    least, most = calls.min(initial=0), calls.max(initial=0)
    if phased and (len(calls) % 2 or most > 1):
        raise DataError(
            f"An array of shape {calls.shape} with values up to {most} is not two haplotypes a person; give alt-allele "
            "counts with phased=False, or calls of shape (variants, samples, ploidy)."
        )
    if phased:
        return calls.reshape(len(calls) // 2, 2, -1).transpose(2, 0, 1)
    if least < MISSING or most > 2:
        raise DataError(f"Alt-allele counts are 0, 1, 2, or {MISSING} for missing; the array has {least} to {most}.")
    alleles = [np.where(calls < 0, MISSING, calls >= count).T for count in (2, 1)]
    return np.stack(alleles, axis=2).astype(np.int8)


def stretches(calls: np.ndarray) -> Iterator[slice]:
    """Yield ranges of sites of some megabytes: what is worked out of genotypes takes no memory of their size."""
    step = max(1, (1 << 24) // max(1, calls[:1].size))
    for start in range(0, len(calls), step):
        yield slice(start, start + step)


def pack(values: np.ndarray, planes: int = 2) -> list[np.ndarray]:
    """Return the lowest bits of numbers from -1 to 2 as planes of packed bits, the lowest first.

    Parameters
    ----------
    values : array of int8, shape (rows, columns)
    planes : {1, 2}
        One is enough for 0 and 1. With two, -1 is 3.

    Returns
    -------
    list of array of uint8, shape (rows, ceil(columns / 8))
    """
    return [np.packbits((values >> k) & 1, axis=1) for k in range(planes)]


def unpack(planes: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Return the numbers that `pack` packed: int8, shape (rows, columns)."""
    low, *more = (np.unpackbits(plane, axis=1, count=columns).view(np.int8) for plane in planes)
    for high in more:
        low += 2 * high
        low[low == 3] = -1
    return low


def dataset(calls: np.ndarray, phased: bool, sites: Any, samples: np.ndarray, labels: Mapping[str, np.ndarray]) -> Any:
    """Return people as an xarray Dataset with the names of sgkit and of VCF Zarr; see `Genotypes.to_xarray`.

    Parameters
    ----------
    calls : array of int8, shape (variants, samples, ploidy)
    phased : bool
    sites : Variants
    samples : array of str
    labels : mapping of str to array of str
        Each becomes `sample_NAME`, but for a column `id`, whose name that of the samples is.
    """
    try:
        import xarray
    except ImportError:
        raise MissingExtra("xarray", "xarray", "Genotypes.to_xarray()") from None
    contigs = list(sites.contig_lengths)
    number = {name: index for index, name in enumerate(contigs)}
    every = calls.shape[:2]
    variables = {
        "contig_id": ("contigs", np.array(contigs, dtype=np.str_)),
        "variant_contig": ("variants", np.array([number[name] for name in sites.contig], dtype=np.int32)),
        "variant_position": ("variants", sites.position),
        "variant_id": ("variants", sites.id.astype(np.str_)),
        "variant_allele": (("variants", "alleles"), np.stack([sites.ref, sites.alt], axis=1).astype(np.str_)),
        "sample_id": ("samples", samples.astype(np.str_)),
        "call_genotype": (("variants", "samples", "ploidy"), calls),
        "call_genotype_mask": (("variants", "samples", "ploidy"), calls < 0),
        "call_genotype_phased": (("variants", "samples"), np.broadcast_to(np.bool_(phased), every)),
    }
    columns = {f"sample_{name}": ("samples", v.astype(np.str_)) for name, v in labels.items() if name != "id"}
    return xarray.Dataset({**columns, **variables})
