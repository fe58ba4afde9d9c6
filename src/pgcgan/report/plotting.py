"""The figures of an evaluation one by one, for a notebook or a paper: `evaluation.plot.pca()`."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UsageError, listed
from ..metrics import Evaluation
from .figures import figures
from .panels import Figure


@dataclass(frozen=True)
class Plotting:
    """The figures of the report as methods; each returns a Figure, which a notebook shows and `save` writes as SVG."""

    evaluation: Evaluation

    def overview(self) -> Figure:
        """All rows at a glance: errors as multiples of those of real people, two-sample tests and attacks."""
        return self._figure("at-a-glance")

    def pca(self) -> Figure:
        """People on the first two principal components of the training people."""
        return self._figure("pca")

    def allele_frequency(self) -> Figure:
        """Allele frequencies of synthetic against held-out people, of all people and by label."""
        return self._figure("allele-frequency")

    def ld(self) -> Figure:
        """Linkage disequilibrium: r² of pairs of sites, real people above synthetic people."""
        return self._figure("ld")

    def ld_decay(self) -> Figure:
        """Mean r² by distance."""
        return self._figure("ld-decay")

    def sfs(self) -> Figure:
        """Folded site-frequency spectra."""
        return self._figure("sfs")

    def nearest(self) -> Figure:
        """Distances to the nearest training haplotype."""
        return self._figure("nearest")

    def membership(self) -> Figure:
        """ROC curves of the membership attacks."""
        return self._figure("membership")

    def frontier(self) -> Figure:
        """Fidelity against privacy, with the evaluations of `Evaluation.beside`."""
        return self._figure("frontier")

    def augmentation(self) -> Figure:
        """What a classifier gains from synthetic people (`evaluate(augment=…)`)."""
        return self._figure("augmentation")

    def training(self) -> Figure:
        """Training curves (`Evaluation.with_training`)."""
        return self._figure("training")

    def _figure(self, key: str) -> Figure:
        drawn = {each.key: each for each in figures(self.evaluation)}
        if key not in drawn:
            raise UsageError(f"This evaluation has no data for the figure {key!r}; it has: {listed(drawn, 40)}.")
        return drawn[key]

    def __repr__(self) -> str:
        return f"Plotting({', '.join(each.key for each in figures(self.evaluation))})"
