"""People of a mixture of labels: the ancestry of each stretch of their haplotypes, and codes drawn along it.

Some generations ago the labels met. A haplotype of today is a row of stretches, each from one ancestor of one label.
The labels are drawn first, stretch by stretch, and are the true local ancestry; codes are then drawn within each
stretch as for people of its label.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...genotypes import Variants
from ...mixtures import Mixing
from ..genetic_map import morgans_of
from .drawing import CodeSampler, raking_bias

RATE = 1e-8  # Morgans per base pair: 1 cM per Mb
_ENOUGH = 64  # rows of a label whose frequencies are raked


@dataclass(frozen=True)
class AncestryPaths:
    """The labels along the haplotypes of people of a mixture."""

    label: np.ndarray  # int (people, 2, blocks)
    begins: np.ndarray  # bool (people, 2, blocks): where a new stretch begins, of whatever label


def stretch_probability(edges: np.ndarray, variants: Variants, mixing: Mixing) -> np.ndarray:
    """Return the probability that a new stretch begins with each block: shape (blocks,).

    It is 1 - exp(-generations * d), where d are the Morgans between the middles of a block and the one before, and 1 at
    the beginning of a contig. `edges` are the first sites of the blocks, and the number of sites.
    """
    first, last = edges[:-1], edges[1:] - 1
    morgans = morgans_of(mixing.genetic_map, variants, RATE)
    middle = (morgans[first] + morgans[last]) / 2
    probability = np.ones(len(first))
    probability[1:] = -np.expm1(-mixing.generations * np.diff(middle))
    contig, position = variants.contig, variants.position
    is_new = contig[first[1:]] != contig[last[:-1]]
    probability[1:][is_new] = 1
    # a breakpoint has a place only between two positions
    probability[1:][~is_new & (position[first[1:]] == position[last[:-1]])] = 0
    return probability


def draw_paths(
    shares: np.ndarray, people: int, begin: np.ndarray, spread: float, random: np.random.Generator
) -> AncestryPaths:
    """Draw the ancestry of people of a mixture.

    `shares` of the labels sum to 1, `begin` is the probability that a stretch begins with each block, and `spread` is
    explained in `Mixing`.
    """
    source = np.flatnonzero(shares)
    proportions = np.tile(shares[source], (people, 1))
    if spread:
        proportions = random.dirichlet(shares[source] * (1 / spread - 1), size=people)
    begins = random.random((people, 2, len(begin))) < begin
    uniform = random.random(begins.shape)
    upper = np.cumsum(proportions, axis=1)[:, :-1]
    label = source[(uniform[..., None] >= upper[:, None, None]).sum(axis=3)]
    first = np.maximum.accumulate(np.where(begins, np.arange(len(begin)), 0), axis=2)
    return AncestryPaths(np.take_along_axis(label, first, axis=2), begins)


def draw_codes(sampler: CodeSampler, paths: AncestryPaths, random: np.random.Generator, *, rake: bool) -> np.ndarray:
    """Draw the codes of people along their ancestry: int, shape (people, 2, blocks).

    A stretch is another ancestor's haplotype: its codes do not depend on those of the stretch before, and its first
    code has the frequencies of its label. If these are raked, the rows that have a label in a block have its code
    frequencies there, if they are 64 or more; the calibration of the sampler is for haplotypes that have their label
    from end to end.
    """
    spread = sampler.model.ancestry.spread
    normal = random.standard_normal((len(paths.label), spread.shape[1]), dtype=np.float32)
    codes = np.empty(paths.label.shape, dtype=np.int64)
    for haplotype in range(2):  # one after the other, as in `CodeSampler.draw_people`
        label, begins = paths.label[:, haplotype], paths.begins[:, haplotype]
        predictor = sampler.model.predictor(label[:, 0])
        for b in range(label.shape[1]):
            here = label[:, b]
            if b:
                predictor.observe(np.where(begins[:, b], -1, codes[:, haplotype, b - 1]))
                predictor.restart(begins[:, b], here)
            ancestry = np.einsum("pij,pj->pi", spread[here], normal)
            logits = sampler.logits(b, predictor, ancestry)
            new, of_new = np.flatnonzero(begins[:, b]), here[begins[:, b]]
            first = np.log(sampler.model.label_frequency(b)[of_new]) - sampler.label_bias[b][of_new]
            logits[new] = first + ancestry[new] @ sampler.model.ancestry.loadings[b].T
            if rake:
                target, bias = sampler.model.label_frequency(b), sampler.label_bias[b]
                further = raking_bias(logits + bias[here], here, target)
                further[np.bincount(here, minlength=len(target)) < _ENOUGH] = 0
                logits += further[here]
            codes[:, haplotype, b] = sampler.draw_block(b, logits, here, random)
    return codes
