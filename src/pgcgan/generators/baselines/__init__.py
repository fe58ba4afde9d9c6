"""The generators that a user would pick instead: independent sites, Li-Stephens mosaic, PCA-Gaussian, SMOTE.

All have the `fit`, `sample`, `iter_samples`, `save` and `load` of the model, in numpy. What they work on are *rows*:
haplotypes of 0/1 where the data are phased, and people with alt-allele counts of 0/1/2 where they are not, so that
unphased input gives unphased people and no phase is made up. A missing allele is filled, once, in `fit`, by a draw from
the allele frequency of its site in its label (of all people where the label has no call there); nothing is missing in
what is sampled.
"""

from __future__ import annotations

from .baseline import Baseline, facts, read_sheet
from .independent import IndependentSites
from .li_stephens import LiStephens
from .pca_gaussian import PCAGaussian
from .smote import SMOTE

__all__ = [
    "BASELINES",
    "SMOTE",
    "Baseline",
    "IndependentSites",
    "LiStephens",
    "PCAGaussian",
    "facts",
    "read_sheet",
]

BASELINES: dict[str, type[Baseline]] = {kind.name: kind for kind in (IndependentSites, LiStephens, PCAGaussian, SMOTE)}
