"""Drawing rows of codes from a tilted chain: quickly in training, evenly and calibrated afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...runtime.threads import in_threads
from ..haplotype.code_model import CodeModel
from ..haplotype.drawing import SINGLE_SITE, CodeSampler, Predictor, TrainingComparison
from ..haplotype.person_ancestry import PersonAncestry
from .networks import BlockLayout, TiltGenerator

_MOST_TABLE = 200_000_000  # numbers of 4 bytes
_AT_A_TIME = 512  # rows
_FACTORS = (1.0, 0.75, 0.5, 0.25)  # on the tilt


class _TablePredictor:
    """Looks up the log-probabilities of each block, in tables of shape (groups, codes before, codes)."""

    def __init__(self, tables: list[np.ndarray], group: np.ndarray, label: np.ndarray):
        self._tables, self._group, self._block = tables, group[label], 0
        self._before = np.zeros(len(label), dtype=np.int64)

    def log_probs(self) -> np.ndarray:
        return self._tables[self._block][self._group, self._before]

    def observe(self, codes: np.ndarray) -> None:
        self._before, self._block = codes, self._block + 1


def predictors_of(model: CodeModel) -> Callable[[np.ndarray], Predictor]:
    """Return a function from labels of rows to what predicts their codes.

    The log-probabilities of a chain are looked up, if their tables are of a reasonable size: a tenth of the time of
    computing them.
    """
    before, group = [1, *model.sizes[:-1]], model.admixture.group
    is_chain = not any(model.context_tree.runs) and not model.admixture.switch_rate.any()
    if not is_chain or model.n_labels * sum(a * b for a, b in zip(before, model.sizes, strict=True)) > _MOST_TABLE:
        return model.predictor
    groups = int(group.max()) + 1
    tables = [
        model.chain.log_probs(b, np.tile(np.arange(n), groups), np.repeat(np.arange(groups), n)).reshape(groups, n, -1)
        for b, n in enumerate(before)
    ]
    return partial(_TablePredictor, tables, group)


def gumbel_noise(layout: BlockLayout, rows: int) -> list[Tensor]:
    """Return standard Gumbel noise on the CPU for each group of blocks: (blocks, rows, codes)."""
    uniform = [torch.rand(len(g.blocks), rows, g.places.shape[1]) for g in layout.groups]
    return [-torch.log(-torch.log(u.clamp_(1e-10, 1 - 1e-7))) for u in uniform]


def ancestry_terms(layout: BlockLayout, ancestry: PersonAncestry, label: np.ndarray, normal: Tensor) -> list[Tensor]:
    """Return what the ancestry of rows adds to the logits of their codes, on the CPU: (blocks, rows, codes) by group.

    `normal` are standard normal numbers (rows, axes).
    """
    z = (torch.from_numpy(ancestry.spread[label]) @ normal[:, :, None])[:, :, 0]
    by_code = z @ torch.from_numpy(np.concatenate(ancestry.loadings)).T
    return [by_code[:, group.places.cpu()].permute(1, 0, 2) for group in layout.groups]


@torch.no_grad()
def draw_codes(
    layout: BlockLayout, predictor: Predictor, tilts: Sequence[Tensor], noise: Sequence[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """Draw codes block by block: the largest of log P(code | label, code before) + tilt + Gumbel noise.

    Tilts, noise (with what the ancestry of rows adds) and logits are tensors (blocks, rows, codes) for each group of
    blocks. Returned are the codes, long (rows, blocks), and the logits that they are the largest of; -1e9 where there
    is padding.
    """
    device = tilts[0].device
    logits = [tilt.detach().cpu() + gumbel for tilt, gumbel in zip(tilts, noise, strict=True)]
    codes = np.empty((tilts[0].shape[1], len(layout.sizes)), dtype=np.int64)
    for block, size in enumerate(layout.sizes):
        group, place = layout.where[block]
        of_block = logits[group][place].numpy()
        of_block[:, :size] += predictor.log_probs()
        of_block[:, size:] = -1e9
        codes[:, block] = of_block.argmax(axis=1)
        predictor.observe(codes[:, block])
    return torch.from_numpy(codes).to(device), [x.to(device) for x in logits]


def straight_through(logits: Sequence[Tensor], slopes: Sequence[Tensor], temperature: float) -> list[Tensor]:
    """Return the gradient by the tilts, given that by the one-hot codes, for codes = softmax(logits / temperature).

    The straight-through Gumbel-softmax (Jang, Gu, Poole 2017). Codes of earlier blocks count as constants in the chain.
    """
    gradients = []
    for of_group, slope in zip(logits, slopes, strict=True):
        soft = functional.softmax(of_group / temperature, 2)
        gradients.append(soft * (slope - (soft * slope).sum(2, keepdim=True)) / temperature)
    return gradients


@dataclass
class TiltSampler(CodeSampler):
    """Draws rows of block codes from a tilted chain, calibrated as the haplotype model is."""

    network: TiltGenerator
    predictors: Callable[[np.ndarray], Predictor]  # of `predictors_of`: without the tilt
    tilt_factor: float = 1.0  # of `choose_tilt_factor`

    @classmethod
    def untrained(cls, model: CodeModel, network: TiltGenerator) -> TiltSampler:
        """Return the sampler of a network, not calibrated."""
        return cls(model, 1.0, CodeSampler.of(model).label_bias, network, predictors_of(model))

    def draw(
        self, label: np.ndarray, random: np.random.Generator, *, ancestry: np.ndarray | None = None, **options: Any
    ) -> np.ndarray:
        """Draw one row for each label, as `CodeSampler`; rows of the same ancestry have each a tilt of their own."""
        tilts = self._tilts(label, random)
        z = self.draw_ancestry(label, random) if ancestry is None else ancestry
        return super().draw(label, random, ancestry=(tilts, z), **options)

    def predictor(self, label: np.ndarray) -> Predictor:
        """Return what predicts the codes of rows of these labels without the tilt."""
        return self.predictors(label)

    def logits(self, block: int, predictor: Predictor, ancestry: tuple[list[np.ndarray], np.ndarray]) -> np.ndarray:
        """Return the logits of the codes of a block, tilted and not calibrated: float32, shape (rows, codes)."""
        tilts, z = ancestry
        group, place = self.network.layout.where[block]
        size = self.model.sizes[block]
        factor = np.float32(self.inverse_temperature if size > SINGLE_SITE else 1)
        logits = factor * (tilts[group][place][:, :size] + predictor.log_probs())
        return logits + z @ self.model.ancestry.loadings[block].T

    @torch.no_grad()
    def _tilts(self, label: np.ndarray, random: np.random.Generator) -> list[np.ndarray]:
        """Draw the tilts of rows, for each group of blocks: float32, shape (blocks, rows, codes)."""
        device = self.network.place.device
        noise = torch.from_numpy(random.standard_normal((len(label), self.network.noise), dtype=np.float32))
        parts = [
            [tilt.cpu() for tilt in self.network(z.to(device), k.to(device))]
            for z, k in zip(noise.split(_AT_A_TIME), torch.from_numpy(label).split(_AT_A_TIME), strict=True)
        ]
        return [(self.tilt_factor * torch.cat(of_group, 1)).numpy() for of_group in zip(*parts, strict=True)]


def choose_tilt_factor(sampler: TiltSampler, comparison: TrainingComparison) -> float:
    """Return the factor on the tilt at which synthetic rows lie among training rows most nearly as these do.

    The critic sees few rows at a time. It drives the generator further than the training rows go: synthetic rows are
    nearer to each other than real ones are, or too far from them. A part of the tilt corrects the counts and keeps
    what they have right. Of four factors, that is chosen at which the two sides of adversarial accuracy (Yale et al.
    2020) are nearest to one half. The sampler is not raked.
    """
    if comparison.is_small:
        return _FACTORS[0]

    def distance(factor: float) -> float:
        _, aa_truth, aa_syn = comparison.measure(replace(sampler, tilt_factor=factor))
        return abs(aa_truth - 0.5) + abs(aa_syn - 0.5)

    distances = in_threads(distance, _FACTORS)
    return _FACTORS[distances.index(min(distances))]
