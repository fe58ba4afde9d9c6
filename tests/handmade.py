"""Genotypes that are written down by hand."""

from __future__ import annotations

import numpy as np

from pgcgan.genotypes import Genotypes, Variants


def small(calls: object, contig: str = "6", phased: bool = True, labels: dict | None = None) -> Genotypes:
    """Return calls (variants, samples, ploidy) of the people s0, s1, … at A/C sites from position 10 on."""
    calls = np.array(calls, dtype=np.int8)
    v, n = calls.shape[:2]
    sites = Variants([contig] * v, range(10, 10 + v), ["."] * v, ["A"] * v, ["C"] * v)
    return Genotypes(calls, sites, [f"s{i}" for i in range(n)], labels or {}, phased)
