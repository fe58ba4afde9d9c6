"""Drawing rows of codes from a tilted chain: quickly in training, evenly and calibrated afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..haplotype.code_model import CodeModel
from ..haplotype.drawing import draw_evenly, raking_bias
from .networks import BlockLayout, TiltGenerator

_MOST_TABLE = 200_000_000  # numbers of 4 bytes
_AT_A_TIME = 512  # rows


class Predictor(Protocol):
    """What predicts the codes of rows, block by block."""

    def log_probs(self) -> np.ndarray:
        """Return log P of the codes of the next block: float32, shape (rows, codes)."""

    def observe(self, codes: np.ndarray) -> None:
        """Take the codes of the next block, shape (rows,)."""


class ChainTables:
    """The log-probabilities of a chain, looked up: a tenth of the time of computing them.

    Parameters
    ----------
    model : CodeModel
        A chain without context tree and local ancestry.
    """

    def __init__(self, model: CodeModel):
        before, labels = [1, *model.sizes[:-1]], model.n_labels
        self._tables = [
            model.chain.log_probs(b, np.tile(np.arange(n), labels), np.repeat(np.arange(labels), n)).reshape(
                labels, n, -1
            )
            for b, n in enumerate(before)
        ]

    @staticmethod
    def fit_into_memory(model: CodeModel) -> bool:
        """Return whether the tables of a model are of a reasonable size."""
        before = [1, *model.sizes[:-1]]
        return model.n_labels * sum(a * b for a, b in zip(before, model.sizes, strict=True)) <= _MOST_TABLE

    def predictor(self, label: np.ndarray) -> Predictor:
        """Return what predicts the codes of rows of these labels."""
        return _TablePredictor(self._tables, label)


class _TablePredictor:
    def __init__(self, tables: list[np.ndarray], label: np.ndarray):
        self._tables, self._label, self._block = tables, label, 0
        self._before = np.zeros(len(label), dtype=np.int64)

    def log_probs(self) -> np.ndarray:
        looked_up: np.ndarray = self._tables[self._block][self._label, self._before]
        return looked_up

    def observe(self, codes: np.ndarray) -> None:
        self._before, self._block = codes, self._block + 1


def predictors_of(model: CodeModel) -> Callable[[np.ndarray], Predictor]:
    """Return a function from labels of rows to what predicts their codes, the faster of two."""
    own_label = np.array_equal(model.admixture.proportions, np.eye(model.n_labels))
    is_chain = not any(model.context_tree.runs) and own_label
    return ChainTables(model).predictor if is_chain and ChainTables.fit_into_memory(model) else model.predictor


def gumbel_noise(layout: BlockLayout, rows: int) -> list[Tensor]:
    """Return standard Gumbel noise on the CPU for each group of blocks: (blocks, rows, codes)."""
    uniform = [torch.rand(len(g.blocks), rows, g.places.shape[1]) for g in layout.groups]
    return [-torch.log(-torch.log(u.clamp_(1e-10, 1 - 1e-7))) for u in uniform]


@torch.no_grad()
def draw_codes(
    layout: BlockLayout, predictor: Predictor, tilts: Sequence[Tensor], noise: Sequence[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """Draw codes block by block: the largest of log P(code | label, code before) + tilt + Gumbel noise.

    Parameters
    ----------
    layout : BlockLayout
    predictor : Predictor
        Of the rows' labels.
    tilts, noise : sequences of tensors (blocks, rows, codes)
        For each group of blocks.

    Returns
    -------
    codes : tensor of long (rows, blocks)
    logits : list of tensors (blocks, rows, codes)
        What the codes are the largest of, for each group of blocks; -1e9 where there is padding.
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


@torch.no_grad()
def draw_rows(
    network: TiltGenerator,
    predictor: Predictor,
    label: np.ndarray,
    noise: np.ndarray,
    random: np.random.Generator,
    *,
    bias: Sequence[np.ndarray] | None = None,
    targets: Sequence[np.ndarray] | None = None,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Draw a row of codes for each label, evenly, with calibrated frequencies.

    Parameters
    ----------
    network : TiltGenerator
    predictor : Predictor
        Of the rows' labels.
    label : array of int, shape (rows,)
    noise : array of float32, shape (rows, noise)
    random : numpy Generator
        Of the codes.
    bias : sequence of arrays (labels, codes), optional
        What `targets` gave: added to the log-probabilities of each block.
    targets : sequence of arrays (labels, codes), optional
        Code frequencies of each label. Each block's bias is set before its codes are drawn, so that the expected
        frequencies among these rows meet them (iterative proportional fitting).

    Returns
    -------
    codes : array of int, shape (rows, blocks)
    bias : list of arrays (labels, codes)
        With `targets`; otherwise empty.
    """
    device = network.place.device
    index = torch.from_numpy(label)
    parts = [
        [tilt.cpu() for tilt in network(z.to(device), k.to(device))]
        for z, k in zip(torch.from_numpy(noise).split(_AT_A_TIME), index.split(_AT_A_TIME), strict=True)
    ]
    tilts = [torch.cat(of_group, 1).numpy() for of_group in zip(*parts, strict=True)]
    codes = np.empty((len(label), len(network.layout.sizes)), dtype=np.int64)
    biases: list[np.ndarray] = []
    for block, size in enumerate(network.layout.sizes):
        group, place = network.layout.where[block]
        logits = tilts[group][place][:, :size] + predictor.log_probs()
        if targets is not None:
            biases.append(raking_bias(logits, label, targets[block]))
            logits += biases[-1][label]
        elif bias is not None:
            logits += bias[block][label]
        codes[:, block] = draw_evenly(logits, label, random)
        predictor.observe(codes[:, block])
    return codes, biases
