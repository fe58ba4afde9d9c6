"""Whole genomes: windows of sites with one person inside.

Contigs are cut into windows where linkage disequilibrium is low, and a `HaplotypeModel` is fitted to each by itself, by
any executor. Two things make one person of the people that the windows draw: the ancestry of a person, a few numbers
that are inferred once from the whole genome and that all windows share; and the overlap, the alleles that the left
neighbour has drawn at the first sites of a window, from which its haplotypes continue. A genome-wide model is a
directory with `model.json` and `windows/00001`, `windows/00002`, …, each an ordinary model directory; while it is
fitted it also has a `plan`, which names the training people and is removed when it is finished.
"""

from .evaluation import evaluate
from .fitting import finish, fit_window, fit_windows, train
from .model import GenomeModel
from .plan import Plan, make_plan
from .scan import Source

__all__ = ["GenomeModel", "Plan", "Source", "evaluate", "finish", "fit_window", "fit_windows", "make_plan", "train"]
