"""Drawing rows of codes from a tilted chain: quickly in training, evenly and calibrated afterwards."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..haplotype.chain import Chain
from .networks import BlockLayout, TiltGenerator

_MOST_TABLE = 200_000_000  # numbers of 4 bytes
_AT_A_TIME = 512  # rows
_ALIKE = 20  # rows are alike whose likeliest code is the same, with a probability in the same 20th
_TURN = 32  # rows


class ChainTables:
    """The log-probabilities of a chain, looked up where they fit into memory and computed where they do not.

    Parameters
    ----------
    chain : Chain
    sizes : sequence of int
        Number of codes of each block.
    n_labels : int
    """

    def __init__(self, chain: Chain, sizes: Sequence[int], n_labels: int):
        self.chain, self.sizes, self.n_labels = chain, list(sizes), n_labels
        before = [1, *self.sizes[:-1]]
        self._tables: list[np.ndarray] | None = None
        if n_labels * sum(a * b for a, b in zip(before, self.sizes, strict=True)) <= _MOST_TABLE:
            self._tables = [
                chain.log_probs(block, np.tile(np.arange(n), n_labels), np.repeat(np.arange(n_labels), n)).reshape(
                    n_labels, n, -1
                )
                for block, n in enumerate(before)
            ]

    def log_probs(self, block: int, before: np.ndarray, label: np.ndarray) -> np.ndarray:
        """Return log P(code of this block | label, code before): float32, shape (rows, codes)."""
        if self._tables is None:
            return self.chain.log_probs(block, before, label)
        table: np.ndarray = self._tables[block]
        return table[label, before]


def gumbel_noise(layout: BlockLayout, rows: int) -> list[Tensor]:
    """Return standard Gumbel noise on the CPU for each group of blocks: (blocks, rows, codes)."""
    uniform = [torch.rand(len(g.blocks), rows, g.index.shape[1]) for g in layout.groups]
    return [-torch.log(-torch.log(u.clamp_(1e-10, 1 - 1e-7))) for u in uniform]


@torch.no_grad()
def draw_codes(
    layout: BlockLayout, tables: ChainTables, tilts: Sequence[Tensor], label: np.ndarray, noise: Sequence[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """Draw codes block by block: the largest of log P(code | label, code before) + tilt + Gumbel noise.

    Parameters
    ----------
    layout : BlockLayout
    tables : ChainTables
    tilts, noise : sequences of tensors (blocks, rows, codes)
        For each group of blocks.
    label : array of int, shape (rows,)

    Returns
    -------
    codes : tensor of long (rows, blocks)
    logits : list of tensors (blocks, rows, codes)
        What the codes are the largest of, for each group of blocks; -1e9 where there is padding.
    """
    device = tilts[0].device
    logits = [tilt.detach().cpu() + gumbel for tilt, gumbel in zip(tilts, noise, strict=True)]
    before = np.zeros(len(label), dtype=np.int64)
    codes = np.empty((len(label), len(layout.sizes)), dtype=np.int64)
    for block, size in enumerate(layout.sizes):
        group, place = layout.where[block]
        of_block = logits[group][place].numpy()
        of_block[:, :size] += tables.log_probs(block, before, label)
        of_block[:, size:] = -1e9
        codes[:, block] = before = of_block.argmax(axis=1)
    return torch.from_numpy(codes).to(device), [x.to(device) for x in logits]


def straight_through(logits: Sequence[Tensor], slopes: Sequence[Tensor], temperature: float) -> list[Tensor]:
    """Return the gradient by the tilts, given that by the one-hot codes, as if codes were softmax(logits / temperature).

    The straight-through Gumbel-softmax (Jang, Gu, Poole 2017). Codes of earlier blocks count as constants in the chain.
    """
    gradients = []
    for of_group, slope in zip(logits, slopes, strict=True):
        soft = functional.softmax(of_group / temperature, 2)
        gradients.append(soft * (slope - (soft * slope).sum(2, keepdim=True)) / temperature)
    return gradients


@torch.no_grad()
def draw_evenly(
    network: TiltGenerator,
    tables: ChainTables,
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
    tables : ChainTables
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
    before = np.zeros(len(label), dtype=np.int64)
    codes = np.empty((len(label), len(tables.sizes)), dtype=np.int64)
    biases: list[np.ndarray] = []
    for block, size in enumerate(tables.sizes):
        group, place = network.layout.where[block]
        logits = tilts[group][place][:, :size] + tables.log_probs(block, before, label)
        if targets is not None:
            biases.append(rake(logits, label, targets[block]))
            logits += biases[-1][label]
        elif bias is not None:
            logits += bias[block][label]
        codes[:, block] = before = systematic_sample(logits, label, random)
    return codes, biases


def rake(logits: np.ndarray, label: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the bias of each label at which the mean probabilities of its rows meet the targets: (labels, codes).

    Parameters
    ----------
    logits : array (rows, codes)
    label : array of int, shape (rows,)
    target : array (labels, codes)
        Frequencies; labels without rows get no bias.
    """
    bias = np.zeros_like(target, dtype=np.float32)
    for k in np.unique(label):
        own = logits[label == k]
        for _ in range(6):
            expected = _softmax(own + bias[k]).mean(axis=0)
            bias[k] = np.clip(bias[k] + np.clip(np.log((target[k] + 1e-5) / (expected + 1e-5)), -1, 1), -4, 4)
    return bias


def systematic_sample(logits: np.ndarray, label: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Draw a code for each row so that the counts among rows of a label are as near as can be to what is expected.

    Rows alike get uniform numbers that are spread evenly (multiples of the golden ratio): what is calibrated must not
    follow the chance of a draw, which would add up from block to block.
    """
    probability = _softmax(logits)
    likeliest = probability.argmax(axis=1)
    most = probability[np.arange(len(label)), likeliest]
    key = (label * logits.shape[1] + likeliest) * _ALIKE + (0.999 * _ALIKE * most).astype(np.int64)
    # rows alike by turns of a few, so that the first are spread as evenly as all; in a random order within a turn, so
    # that the two haplotypes of a person are no pair
    order = np.argsort(key, kind="stable")
    alike = key[order]
    place = np.arange(len(key)) - np.searchsorted(alike, alike)
    kind = np.cumsum(np.r_[0, alike[1:] != alike[:-1]])
    order = order[np.argsort(kind * len(key) + place // _TURN + random.random(len(key)))]
    uniform = np.empty(len(key))
    uniform[order] = (np.arange(len(key)) * ((5**0.5 - 1) / 2) + random.random()) % 1
    code: np.ndarray = (probability.cumsum(axis=1, dtype=np.float64) < uniform[:, None]).sum(axis=1)
    return np.minimum(code, logits.shape[1] - 1)


def _softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    normalised: np.ndarray = shifted / shifted.sum(axis=1, keepdims=True)
    return normalised
