"""How much of the tilt is used: chosen after the training, on training people."""

from __future__ import annotations

from dataclasses import replace

from ...runtime.threads import in_threads
from ..haplotype.drawing import TrainingComparison
from .drawing import TiltSampler

FACTORS = (1.0, 0.75, 0.5, 0.25)


def choose_tilt_factor(sampler: TiltSampler, comparison: TrainingComparison) -> float:
    """Return the factor on the tilt at which synthetic rows lie among training rows most nearly as these do.

    The critic sees few rows at a time. It drives the generator further than the training rows go: synthetic rows are
    nearer to each other than real ones are, or too far from them. A part of the tilt corrects the counts and keeps
    what they have right. Of four factors, that is chosen at which the two sides of adversarial accuracy (Yale et al.
    2020) are nearest to one half.

    Parameters
    ----------
    sampler : TiltSampler
        Not raked.
    comparison : TrainingComparison
    """
    if comparison.is_small:
        return FACTORS[0]

    def distance(factor: float) -> float:
        _, aa_truth, aa_syn = comparison.measure(replace(sampler, tilt_factor=factor))
        return abs(aa_truth - 0.5) + abs(aa_syn - 0.5)

    distances = in_threads(distance, FACTORS)
    return FACTORS[distances.index(min(distances))]
