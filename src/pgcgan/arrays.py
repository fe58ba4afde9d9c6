"""Arrays of alleles from other programs, as calls of people."""

from __future__ import annotations

import numpy as np

from .errors import DataError

MISSING = -1


def calls_from(array: np.ndarray, phased: bool) -> np.ndarray:
    """Return calls, shape (variants, samples, ploidy), of calls, haplotypes or, unphased, alt-allele counts.

    Raises
    ------
    DataError
        If the shape is another, or the values are not alleles or counts of them.
    """
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
