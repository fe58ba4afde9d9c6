"""The expected cost of a training, known before it starts: peak memory and time."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import DataError


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
            f"{self.sites:,} sites, {self.people:,} people{rows}: about {_memory(self.peak_bytes)} of memory at the "
            f"peak and {_duration(self.seconds)} are expected"
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
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count = round(seconds / size)
        if seconds >= size or unit == "second":
            count = max(1, count)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    raise AssertionError
