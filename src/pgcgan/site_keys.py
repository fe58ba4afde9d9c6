"""What tells one variant from another: contig, position, REF and ALT, and the ID where these are the same.

Alleles of HLA genes and amino acids are coded as markers of one position, all A/P, that only their IDs tell apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from .genotypes import Variants
from .regions import MAX_POSITION


def site_keys(variants: Variants) -> Iterator[tuple[str, int, str, str]]:
    """Yield contig, position, REF and ALT of each variant."""
    return zip(variants.contig, variants.position.tolist(), variants.ref, variants.alt, strict=True)


def is_another(identifier: str, identifiers: set[str]) -> bool:
    """True if a record is another variant than those of the same position and alleles, by its ID, which is added.

    A record without an ID repeats any of them.
    """
    if identifiers and (identifier == "." or "." in identifiers or identifier in identifiers):
        return False
    identifiers.add(identifier)
    return True


def differ_by_id(variants: Variants) -> np.ndarray:
    """Return one flag a variant: True if another has the same contig, position, REF and ALT."""
    _, place, counts = np.unique(variants.position, return_inverse=True, return_counts=True)
    flags = counts[place] > 1
    shared = np.flatnonzero(flags)
    if len(shared):
        keys = list(site_keys(variants.select(shared)))
        count = Counter(keys)
        flags[shared] = [count[key] > 1 for key in keys]
    return flags


def contig_spans(variants: Variants) -> list[tuple[str, int, int, int]]:
    """Return contig, least and greatest position and number of the variants of each contig, in file order."""
    contigs: dict[str, tuple[int, int, int]] = {}
    changes = np.flatnonzero(variants.contig[1:] != variants.contig[:-1]) + 1
    for begin, end in pairwise([0, *changes.tolist(), len(variants)]):
        if end > begin:
            name, part = str(variants.contig[begin]), variants.position[begin:end]
            low, high, count = contigs.get(name, (MAX_POSITION, 0, 0))
            contigs[name] = min(low, int(part.min())), max(high, int(part.max())), count + end - begin
    return [(name, *span) for name, span in contigs.items()]
