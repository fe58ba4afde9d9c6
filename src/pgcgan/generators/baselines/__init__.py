"""The generators that people use instead: independent sites, Li-Stephens mosaic, PCA-Gaussian and SMOTE.

They work on haplotypes where the data are phased, and on allele counts of people where they are not, so that unphased
input gives unphased people. A missing allele is drawn, once, in `fit`, from the allele frequency of its site in its
label (of all people where the label has no call there).
"""

from .independent import IndependentSites
from .li_stephens import LiStephens
from .pca_gaussian import PCAGaussian
from .smote import SMOTE

__all__ = ["SMOTE", "IndependentSites", "LiStephens", "PCAGaussian"]
