"""What a training is expected to cost, known before it starts: memory, time, and what it will give away."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from ..errors import DataError
from ..text import counted

TARGET = 0.6  # AUC of the expected attack that a keeper of a cohort may aim at


@dataclass(frozen=True)
class ExpectedLeak:
    """How well the best-informed attacker is expected to detect training people, from the number of counts kept.

    Let p̂_j be M free frequencies (sites, or haplotypes of blocks) estimated from n haplotypes, and p_j the true ones,
    which the attacker knows. The linear term of the log-likelihood ratio that a haplotype x contributed to p̂ is
    Λ = Σ_j (x_j - p_j)(p̂_j - p_j) / (p_j (1 - p_j)). If x did not contribute, Λ has mean 0 and variance
    Σ_j (p̂_j - p_j)² / (p_j (1 - p_j)) ≈ M / n, because var(p̂_j) = p_j (1 - p_j) / n. If it did, p̂_j contains
    x_j / n, which adds Σ_j (x_j - p_j)² / (n p_j (1 - p_j)) ≈ M / n to the mean. The scores of the two haplotypes of a
    person add up: the means differ by 2 M / n, the standard deviation is √(2 M / n), so d' = √(2 M / n). Two normal
    distributions of equal variance at this distance give AUC = Φ(d' / √2) = Φ(√(M / n)) (for single sites: Homer et
    al. 2008; Sankararaman et al. 2009). A person of one row (haploid, or unphased) has half of both, which gives the
    same AUC if n is twice the number of people there, too.

    Parameters
    ----------
    free_frequencies : int
        M: block haplotypes less blocks, because the frequencies of a block add up to 1.
    haplotypes : int
        n: twice the number of training people.
    sites : str
        Which sites M was extrapolated from; empty if it is exact.
    """

    free_frequencies: int
    haplotypes: int
    sites: str = ""

    @property
    def auc(self) -> float:
        """Φ(√(M / n))."""
        return NormalDist().cdf(math.sqrt(self.free_frequencies / self.haplotypes))

    def people_for(self, auc: float = TARGET) -> int:
        """Return how many training people bring the expected AUC down to this, with as many free frequencies."""
        return math.ceil(self.free_frequencies / NormalDist().inv_cdf(auc) ** 2 / 2)

    def facts(self) -> dict[str, Any]:
        """Return the figures for `model.json`, the card and `pgcgan info`."""
        return {
            "AUC": round(self.auc, 4),
            "free frequencies": self.free_frequencies,
            "haplotypes": self.haplotypes,
            f"people for AUC {TARGET:g}": self.people_for(),
        }

    def __repr__(self) -> str:
        counts = f"{self.free_frequencies:,} free frequencies, {self.haplotypes:,} haplotypes"
        return f"ExpectedLeak(AUC {self.auc:.3f}; {counts}{f'; {self.sites}' if self.sites else ''})"

    def __str__(self) -> str:
        people, needed = self.haplotypes // 2, self.people_for()
        enough = f"below {TARGET:g} with more than {needed:,} people" if needed >= people else f"below {TARGET:g}"
        source = f" (estimated from {self.sites})" if self.sites else ""
        return (
            f"expected leak{source}: the best-informed attacker who has the model directory, and not only a synthetic "
            f"set, recognises training people with an AUC of about {self.auc:.2f} ({self.free_frequencies:,} free "
            f"frequencies, {self.haplotypes:,} haplotypes; chance is 0.5); {enough}"
        )


@dataclass(frozen=True)
class Estimate:
    """Expected cost of a training.

    Parameters
    ----------
    sites, people, haplotypes : int
        What is trained on; `haplotypes` counts rows of alleles, 0 for unphased people.
    peak_bytes : int
        Largest resident memory of the process, what it holds now included. Within a factor of 2 of what was measured
        for 400 to 32,000 sites and 200 to 20,000 people (docs/benchmarks.md).
    seconds : float
        On one idle core; an order of magnitude.
    """

    sites: int
    people: int
    haplotypes: int
    peak_bytes: int
    seconds: float

    def __str__(self) -> str:
        rows = f", {self.haplotypes:,} haplotypes" if self.haplotypes else ", unphased"
        return (
            f"{counted(self.sites, 'site')}, {counted(self.people, 'person', 'people')}{rows}: about "
            f"{_memory(self.peak_bytes)} of memory at the peak and {_duration(self.seconds)} expected"
        )

    def check(self, available: int | None) -> None:
        """Raise if the training does not fit into memory.

        Parameters
        ----------
        available : int or None
            Bytes that the process may have in all; None if that is not known.

        Raises
        ------
        DataError
            If more is expected than is available.
        """
        if available is not None and self.peak_bytes > available:
            raise DataError(
                f"{self}, and {_memory(available)} are available: train on fewer sites (--min-maf 0.05, or --region) "
                "or on fewer people (--split), or on a machine with more memory."
            )


def _memory(size: float) -> str:
    return f"{size / 1e9:.2g} GB" if size < 1e10 else f"{size / 1e9:,.0f} GB"


def _duration(seconds: float) -> str:
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            return counted(round(seconds / size), unit)
    return counted(max(1, round(seconds)), "second")
