"""Whole genomes: windows of sites with one person inside.

Contigs are cut into windows along linkage disequilibrium, and each is fitted by itself, as a `PGcGAN` of its own, by
whatever runs tasks. Two things make one person of what they draw: the ancestry of a person, a few numbers that are
found once in the whole genome and that all windows share; and the boundary state, the alleles that the left neighbour
has made at the first sites of a window, from which its haplotypes go on. A genome-wide model is a directory with
`manifest.json` and `windows/00001`, `windows/00002`, …, each an ordinary model directory; while it is fitted it also
has a `plan`, which names the training people and is removed when it is finished.
"""

from .evaluation import evaluate
from .fitting import finish, fit_window, fit_windows, train
from .model import GenomeModel
from .plan import Plan, Source, make_plan

__all__ = ["GenomeModel", "Plan", "Source", "evaluate", "finish", "fit_window", "fit_windows", "make_plan", "train"]
