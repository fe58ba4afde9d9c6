"""Generators and discriminators, their configuration, and the presets.

Two families: `haplotype`, a recurrent network over block codes that starts at the haplotype-block chain, with a
convolutional critic of persons; and `paper`, the network of PG-cGAN (Chen, Mowlaei, Shi 2020) as published.
Labels are given as combinations (one index a person); `label_table` says which value of each label column a
combination has, and the embeddings of the columns add.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from .devices import drawn, dropout, normalised

PAPER_NOISE = 100
_TURN = 32  # rows
_LIKENESS = 20  # rows are alike whose likeliest code is the same, with a probability in the same 20th
SINGLE_SITE = 3  # codes of a block at most that may be a single site: alleles, or dosages


@dataclass(frozen=True)
class NetworkConfig:
    """Shape of the networks.

    Parameters
    ----------
    family : {"haplotype", "paper"}
        Which generator and discriminator.
    embedding, hidden : int
        Width of the code and label embeddings, and of the recurrent state.
    dropout : float
        Share of the recurrent output dropped in training.
    ancestry : int
        Numbers by which the second haplotype of a person knows the first: a projection of its codes. 0 makes the two
        haplotypes of a person independent given the label.
    ancestry_noise : float
        Standard deviation of the noise on them (each is scaled to unit size), so that they carry ancestry and not
        identity.
    min_carriers, coverage, max_sites, max_codes
        Block templates: see `prior.find_blocks`.
    run_carriers : int
        People who must carry a run of codes before the prior follows it; 0 asks an attack on training people how many
        it takes, a third more than `min_carriers` at least.
    contexts, sources : bool
        Whether the prior has long runs, and labels that draw from each other; see `prior`.
    critic_features, critic_components : int
        Channels of the critic's convolutions at the finest scale, and principal components it sees.
    """

    family: str = "haplotype"
    embedding: int = 128
    hidden: int = 256
    dropout: float = 0.6
    ancestry: int = 8
    ancestry_noise: float = 0.5
    min_carriers: int = 3
    coverage: float = 0.97
    max_sites: int = 128
    max_codes: int = 256
    run_carriers: int = 0
    contexts: bool = True
    sources: bool = True
    critic_features: int = 32
    critic_components: int = 64


PRESETS: dict[str, NetworkConfig] = {
    "haplotype": NetworkConfig(),
    "paper": NetworkConfig(family="paper"),
}


class LabelEmbedding(nn.Module):
    """Sum of one embedding per label column."""

    label_table: Tensor

    def __init__(self, label_table: np.ndarray, width: int):
        super().__init__()
        self.register_buffer("label_table", torch.as_tensor(label_table, dtype=torch.long))
        sizes = (np.asarray(label_table).max(axis=0) + 1).tolist()
        self.columns = nn.ModuleList(nn.Embedding(size, width) for size in sizes)

    def forward(self, label: Tensor) -> Tensor:
        """(rows,) -> (rows, width)."""
        values = self.label_table[label]
        total = self.columns[0](values[:, 0])
        for i, column in enumerate(self.columns[1:], start=1):
            total = total + column(values[:, i])
        return total


class Prior(Protocol):
    """What the generator asks of the closed-form prior that it starts from and is mixed with."""

    @property
    def ancestry(self) -> Any:
        """Loadings of codes (`weights`) and the labels' `spread`."""

    @property
    def sizes(self) -> list[int]:
        """Number of codes of each block."""

    def walk(self, label: np.ndarray) -> Any:
        """Start rows on their way through the blocks; the walk has `log_probs`, `chain_log_probs` and `step`."""


class HaplotypeGenerator(nn.Module):
    """Block by block, the codes of a row (a haplotype, or an unphased person) given label, earlier blocks and mate.

    The network's logits are the chain's log-probabilities plus a correction that is zero at the start: untrained, it
    is the chain. What is drawn from is a mixture of the network, with weight `share`, and the prior with its contexts;
    the two know different things, and neither knows anybody.

    Parameters
    ----------
    config : NetworkConfig
    prior : Prior
    label_table : array of int, shape (combinations, columns)
    rows_per_person : int
        2 if a person is two haplotypes; the second is conditioned on the first.
    """

    label_bias: Tensor
    share: Tensor
    sharpening: Tensor
    spread: Tensor
    loadings: Tensor

    def __init__(self, config: NetworkConfig, prior: Prior, label_table: np.ndarray, rows_per_person: int):
        super().__init__()
        self.prior, self.sizes, self.rows_per_person = prior, prior.sizes, rows_per_person
        self.ancestry_noise = config.ancestry_noise
        self.offsets = np.concatenate([[0], np.cumsum(self.sizes)]).tolist()
        total, blocks, n_labels = self.offsets[-1], len(self.sizes), len(label_table)
        # one row a code, then one "unknown" a block, then the start
        self.codes = nn.Embedding(total + blocks + 1, config.embedding)
        nn.init.normal_(self.codes.weight, std=0.5)
        self.label = LabelEmbedding(label_table, config.embedding)
        self.ancestry: nn.Embedding | None = None
        if rows_per_person == 2 and config.ancestry:
            self.ancestry = nn.Embedding(total + blocks, config.ancestry)
            nn.init.normal_(self.ancestry.weight, std=blocks**-0.5)
            self.from_ancestry = nn.Linear(config.ancestry, config.embedding)
        self.recurrent = nn.GRU(config.embedding, config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.weight = nn.Parameter(torch.zeros(total, config.hidden))
        self.bias = nn.Parameter(torch.zeros(total))
        # set after training: raked frequencies, the network's share, a factor on the log-probabilities of what is drawn
        self.register_buffer("label_bias", torch.zeros(n_labels, total))
        self.register_buffer("share", torch.tensor(1.0))
        self.register_buffer("sharpening", torch.tensor(1.0))
        # a copy of the prior's, on the device of the network
        self.register_buffer("spread", torch.from_numpy(prior.ancestry.spread), persistent=False)
        self.register_buffer("loadings", torch.from_numpy(np.concatenate(prior.ancestry.weights)), persistent=False)

    def __deepcopy__(self, memo: dict[int, Any]) -> HaplotypeGenerator:
        """Copy the network; the prior, which never changes, is shared."""
        memo[id(self.prior)] = self.prior
        copied = self.__class__.__new__(self.__class__)
        memo[id(self)] = copied
        copied.__dict__ = copy.deepcopy(self.__dict__, memo)
        return copied

    def _index(self, codes: Tensor) -> Tensor:
        """Return embedding rows of codes (rows, blocks); -1 becomes the block's "unknown"."""
        start = torch.as_tensor(self.offsets[:-1], device=codes.device)
        unknown = self.offsets[-1] + torch.arange(codes.shape[1], device=codes.device)
        return torch.where(codes >= 0, codes + start, unknown)

    def condition(self, label: Tensor, mate: Tensor | None) -> Tensor:
        """Return what a row knows from the start: label and, for a second haplotype, the first's ancestry.

        Parameters
        ----------
        label : tensor (rows,)
        mate : tensor (rows, blocks) or None
            Codes of the person's other haplotype; None for a first haplotype.
        """
        known = self.label(label)
        if mate is None or self.ancestry is None:
            return known
        ancestry = self.ancestry(self._index(mate)).sum(dim=1)
        ancestry = ancestry * torch.rsqrt(ancestry.pow(2).mean(dim=1, keepdim=True) + 1e-3)
        if self.training and self.ancestry_noise:
            ancestry = ancestry + self.ancestry_noise * drawn(
                lambda shape: torch.randn(shape, device=ancestry.device), ancestry.shape
            )
        return known + self.from_ancestry(ancestry)

    def readouts(self) -> list[Callable[[Tensor, Tensor], Tensor]]:
        """Return for each block what turns (state, the chain's log-probabilities) into the network's: (rows, codes).

        Split once: a slice of the weights for each block would have a gradient of the size of all of them.
        """

        def readout(weight: Tensor, bias: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
            return lambda state, chain: functional.log_softmax(functional.linear(state, weight, bias) + chain, dim=1)

        return [
            readout(weight, bias)
            for weight, bias in zip(self.weight.split(self.sizes), self.bias.split(self.sizes), strict=True)
        ]

    def mixed(self, network: Tensor, prior: Tensor, share: float) -> Tensor:
        """Return the log-probabilities of the mixture of network and prior."""
        if share in (0.0, 1.0):
            return network if share else prior
        return torch.logaddexp(network + math.log(share), prior + math.log1p(-share))

    def own_log_probs(
        self, codes: Tensor, condition: Tensor, chain: list[Tensor], token_dropout: float = 0.0
    ) -> Iterator[Tensor]:
        """Yield the network's log-probabilities of the codes of each block given the codes before: (rows, codes).

        Parameters
        ----------
        codes : tensor of long (rows, blocks)
        condition : tensor (rows, embedding)
        chain : list of tensors (rows, codes of the block)
            The chain's log-probabilities for these rows.
        token_dropout : float
            Share of codes hidden from the network (the chain still sees them).
        """
        index = self._index(codes)
        if token_dropout:
            hidden = drawn(lambda shape: torch.rand(shape, device=index.device), index.shape) < token_dropout
            index = torch.where(hidden, self.offsets[-1] + torch.arange(index.shape[1], device=index.device), index)
        start = torch.full_like(index[:, :1], self.codes.num_embeddings - 1)
        inputs = self.codes(torch.cat([start, index[:, :-1]], dim=1).T) + condition
        states = dropout(self.recurrent(inputs)[0], self.dropout.p, self.training, rows=1)  # (blocks, rows, hidden)
        for state, readout, known in zip(states.unbind(), self.readouts(), chain, strict=True):
            yield readout(state, known)

    def negative_log_likelihood(
        self, codes: Tensor, condition: Tensor, chain: list[Tensor], token_dropout: float = 0.0
    ) -> Tensor:
        """Return the network's -log P(codes | condition) of each row in nats: (rows,); unknown codes count nothing.

        Parameters as in `own_log_probs`.
        """
        log_probs = self.own_log_probs(codes, condition, chain, token_dropout)
        return -torch.stack([taken(found, codes[:, b]) for b, found in enumerate(log_probs)]).sum(dim=0)

    def rows(
        self,
        label: Tensor,
        condition: Tensor,
        noise: torch.Generator,
        *,
        ancestry: Tensor | None = None,
        begun: Tensor | None = None,
        relaxed: float = 0.0,
        rake: list[Tensor] | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Draw one row for each label.

        Parameters
        ----------
        label : tensor (rows,)
        condition : tensor (rows, embedding)
            From `condition`.
        noise : torch.Generator
            Source of the Gumbel noise, on the CPU, so that the draws do not depend on the device.
        ancestry : tensor (rows, axes), optional
            From `draw_ancestry`; drawn here if not given.
        begun : tensor of long (rows, first blocks), optional
            Codes that the rows have already; the blocks after them are drawn. Not with `relaxed`.
        relaxed : float
            With a temperature, also return for each block the one-hot codes with the gradient of the
            Gumbel-softmax at that temperature (straight-through; Jang et al. 2017).
        rake : list of tensors (labels, codes), optional
            Target code frequencies per label and block: each block's `label_bias` is set, before its codes are
            drawn, so that the expected frequencies among these rows meet the targets.

        Returns
        -------
        codes : tensor of long (rows, blocks)
        onehots : list of tensors (rows, codes), empty unless relaxed
        """
        codes: list[Tensor] = []
        onehots: list[Tensor] = []
        state = None
        share, sharpening = float(self.share), float(self.sharpening)
        if ancestry is None:
            ancestry = self.draw_ancestry(label, noise)
        given = self.codes.weight[-1] + condition
        walk = self.prior.walk(label.cpu().numpy())
        readouts = self.readouts()
        embeddings = self.codes.weight[: self.offsets[-1]].split(self.sizes)
        for b in range(len(self.sizes)):
            found = prior = torch.from_numpy(walk.log_probs()).to(label.device)
            if share:
                hidden, state = self.recurrent(given[None], state)
                chain = torch.from_numpy(walk.chain_log_probs()).to(label.device)
                kept = dropout(hidden[0], self.dropout.p, self.training)
                found = self.mixed(readouts[b](kept, chain), prior, share)
            part = slice(self.offsets[b], self.offsets[b + 1])
            # a site of its own has no haplotype to stay on
            factor = sharpening if self.sizes[b] > SINGLE_SITE else 1.0
            logits = factor * found + ancestry @ self.loadings[part].T
            if rake is not None:
                self.label_bias[:, part] = raked(logits, label, rake[b])
            logits = logits + self.label_bias[label, part]
            if begun is not None and b < begun.shape[1]:
                code = begun[:, b]
            elif relaxed:
                uniform = drawn(lambda shape: torch.rand(shape, generator=noise), logits.shape)
                uniform = uniform.clamp_(1e-10, 1 - 1e-7).to(logits.device)
                perturbed = logits - torch.log(-torch.log(uniform))
                code = perturbed.argmax(dim=1)
            else:
                code = evenly_drawn(logits, label, noise)
            codes.append(code)
            walk.step(code.cpu().numpy())
            if relaxed:
                soft = functional.softmax(perturbed / relaxed, dim=1)
                onehot = functional.one_hot(code, self.sizes[b]).to(soft.dtype) + soft - soft.detach()
                onehots.append(onehot)
                given = onehot @ embeddings[b] + condition
            elif share:
                given = embeddings[b][code] + condition
        return torch.stack(codes, dim=1), onehots

    def draw_ancestry(self, label: Tensor, noise: torch.Generator) -> Tensor:
        """Draw the ancestry of one person for each label: (people, axes)."""
        normal = drawn(lambda shape: torch.randn(shape, generator=noise), (len(label), self.spread.shape[1]))
        return torch.einsum("pij,pj->pi", self.spread[label], normal.to(self.spread.device))

    def people(
        self,
        label: Tensor,
        noise: torch.Generator,
        *,
        ancestry: Tensor | None = None,
        begun: Tensor | None = None,
        relaxed: float = 0.0,
        rake: list[Tensor] | None = None,
    ) -> tuple[Tensor, list[list[Tensor]]]:
        """Draw whole people: codes (people, rows per person, blocks), and the one-hots of each row if relaxed.

        `ancestry` (people, axes) is drawn if not given; `begun` (people, rows per person, first blocks) are codes that
        they have already.
        """
        if ancestry is None:
            ancestry = self.draw_ancestry(label, noise)
        first_begun, other_begun = (None, None) if begun is None else (begun[:, 0], begun[:, -1])
        codes, onehots = self.rows(
            label,
            self.condition(label, None),
            noise,
            ancestry=ancestry,
            begun=first_begun,
            relaxed=relaxed,
            rake=rake,
        )
        if self.rows_per_person == 1:
            return codes[:, None], [onehots]
        # apart from the first: told alike, as haplotypes of one ancestry are, they would be dealt opposite numbers
        second = self.condition(label, codes)
        # the bias raked on first haplotypes serves the second too: the two are exchangeable
        other, other_onehots = self.rows(label, second, noise, ancestry=ancestry, begun=other_begun, relaxed=relaxed)
        return torch.stack([codes, other], dim=1), [onehots, other_onehots]


def taken(log_probs: Tensor, codes: Tensor) -> Tensor:
    """Return the log-probability of each row's code, 0 where it is unknown: (rows, codes), (rows,) -> (rows,)."""
    found = log_probs.gather(1, codes[:, None].clamp(min=0))[:, 0]
    return torch.where(codes >= 0, found, torch.zeros_like(found))


def raked(logits: Tensor, label: Tensor, target: Tensor) -> Tensor:
    """Return the bias of each label at which the mean probabilities of its rows meet the targets: (labels, codes).

    Parameters
    ----------
    logits : tensor (rows, codes)
    label : tensor (rows,)
    target : tensor (labels, codes)
        Frequencies; labels without rows get no bias.
    """
    member = functional.one_hot(label, len(target)).T.to(logits.dtype)
    present = member.sum(dim=1, keepdim=True)
    member = member / present.clamp(min=1)
    bias = torch.zeros_like(target)
    for _ in range(6):
        expected = member @ functional.softmax(logits + bias[label], dim=1)
        bias = (bias + torch.log((target + 1e-5) / (expected + 1e-5)).clamp(-1, 1)).clamp(-4, 4)
    return bias * (present > 0)


def evenly_drawn(logits: Tensor, label: Tensor, noise: torch.Generator) -> Tensor:
    """Draw a code for each row so that the counts among rows of a label are as near as can be to what is expected.

    Each row's code has its own probabilities, but rows alike get uniform numbers that are spread evenly (multiples of
    the golden ratio; systematic sampling): what is raked must not follow the chance of a draw, which would add up from
    block to block, and people drawn together are as varied as they are expected to be.
    """
    probability = functional.softmax(logits, dim=1)
    top, most = probability.max(dim=1)
    key = (label * logits.shape[1] + most) * _LIKENESS + (0.999 * _LIKENESS * top).long()
    # rows that are alike by turns of a few, so that the first people are spread as evenly as all; in a random order
    # within a turn, so that neighbours in the cohort, and the haplotypes of a person, are no pair
    order = torch.argsort(key, stable=True)
    alike = key[order]
    place = torch.arange(len(key), device=key.device) - torch.searchsorted(alike, alike)
    chance = torch.rand(len(key), generator=noise, dtype=torch.float64).to(key.device)
    _, kind = torch.unique_consecutive(alike, return_inverse=True)
    order = order[torch.argsort(kind * len(key) + place // _TURN + chance)]
    golden = torch.arange(len(order), dtype=torch.float64) * ((5**0.5 - 1) / 2)
    uniform = torch.empty(len(order), dtype=torch.float64, device=logits.device)
    uniform[order] = ((golden + torch.rand(1, generator=noise, dtype=torch.float64)) % 1).to(logits.device)
    code = (probability.double().cumsum(dim=1) < uniform[:, None]).sum(dim=1)
    return code.clamp(max=logits.shape[1] - 1)


class PersonCritic(nn.Module):
    """Scores persons in SNP space and in principal components; the order of the two haplotypes does not matter.

    Parameters
    ----------
    config : NetworkConfig
    edges : array of int, shape (blocks + 1,)
        The first layer is one linear map a block; convolutions run across blocks.
    centre : array (sites,), components : array (components, sites)
        Mean state and principal axes of the training rows.
    label_table : array of int, shape (combinations, columns)
    """

    centre: Tensor
    components: Tensor

    def __init__(
        self,
        config: NetworkConfig,
        edges: np.ndarray,
        centre: np.ndarray,
        components: np.ndarray,
        label_table: np.ndarray,
    ):
        super().__init__()
        width = config.critic_features
        self.edges = [int(e) for e in edges]
        self.register_buffer("centre", torch.as_tensor(centre, dtype=torch.float32))
        self.register_buffer("components", torch.as_tensor(components, dtype=torch.float32))
        self.blocks = nn.Parameter(torch.empty(len(centre), width))
        lengths = np.repeat(np.diff(edges), np.diff(edges))
        self.blocks.data.normal_().mul_(torch.as_tensor(2 / np.sqrt(lengths), dtype=torch.float32)[:, None])
        self.position = nn.Parameter(torch.zeros(len(edges) - 1, width))
        self.convolutions = nn.Sequential(
            nn.LeakyReLU(0.2),
            nn.Conv1d(width, 2 * width, 5, stride=2, padding=2),
            nn.LeakyReLU(0.2),
            nn.Conv1d(2 * width, 4 * width, 5, stride=2, padding=2),
            nn.LeakyReLU(0.2),
        )
        coarse = (len(edges) + 2) // 4  # two strides of 2, rounded up
        feature = 8 * width
        self.from_blocks = nn.Linear(4 * width * coarse, feature)
        self.from_components = nn.Sequential(
            nn.Linear(len(components), feature), nn.LeakyReLU(0.2), nn.Linear(feature, feature)
        )
        self.person = nn.Sequential(nn.Linear(2 * feature, feature), nn.LeakyReLU(0.2))
        self.score = nn.Linear(feature, 1)
        self.label = LabelEmbedding(label_table, feature)

    def forward(self, states: Tensor, label: Tensor) -> Tensor:
        """(people, rows per person, sites) -> (people,)."""
        people, rows, _ = states.shape
        centred = states.reshape(people * rows, -1) - self.centre
        parts = [centred[:, a:b] @ self.blocks[a:b] for a, b in zip(self.edges, self.edges[1:], strict=False)]
        profile = (torch.stack(parts, dim=1) + self.position).transpose(1, 2)  # (rows, width, blocks)
        feature = self.from_blocks(self.convolutions(profile).flatten(1)) + self.from_components(
            centred @ self.components.T
        )
        feature = functional.leaky_relu(feature, 0.2).view(people, rows, -1)
        spread = (feature[:, 0] - feature[:, -1]).abs()
        person = self.person(torch.cat([feature.mean(dim=1), spread], dim=1))
        # projection discriminator (Miyato, Koyama 2018)
        return self.score(person)[:, 0] + (person * self.label(label)).sum(dim=1) * person.shape[1] ** -0.5


class PaperGenerator(nn.Module):
    """The published generator: noise times label embedding, up to softmax over 0|0, 0|1, 1|0, 1|1 at each site.

    `sites` is rounded up to a multiple of 4 inside; `forward` returns the sites asked for.
    """

    def __init__(self, sites: int, n_labels: int):
        super().__init__()
        self.sites, self.quarter = sites, -(-sites // 4)
        self.label = nn.Embedding(n_labels, PAPER_NOISE)
        self.dense = nn.Linear(PAPER_NOISE, self.quarter * 256, bias=False)
        # Keras counts momentum the other way round: .9 there is .1 here
        norm: dict[str, Any] = {"momentum": 0.1, "eps": 2e-5}
        self.norm0 = nn.BatchNorm1d(256, **norm)
        self.conv1 = nn.Conv1d(256, 256, 7, padding=3, bias=False)
        self.norm1 = nn.BatchNorm1d(256, **norm)
        self.conv2 = nn.Conv1d(256, 128, 5, padding=2, bias=False)
        self.norm2 = nn.BatchNorm1d(128, **norm)
        self.conv3 = nn.Conv1d(128, 4, 5, padding=2)
        nn.init.uniform_(self.label.weight, -0.05, 0.05)
        for layer in (self.dense, self.conv1, self.conv2, self.conv3):
            nn.init.xavier_uniform_(layer.weight)

    def forward(self, noise: Tensor, label: Tensor) -> Tensor:
        """(people, 100), (people,) -> (people, sites, 4)."""
        x = self.dense(noise * self.label(label)).view(len(noise), self.quarter, 256).transpose(1, 2)
        x = self.conv1(functional.leaky_relu(normalised(self.norm0, x), 0.3)).repeat_interleave(2, dim=2)
        x = self.conv2(functional.leaky_relu(normalised(self.norm1, x), 0.3)).repeat_interleave(2, dim=2)
        x = self.conv3(functional.leaky_relu(normalised(self.norm2, x), 0.3))
        return functional.softmax(x.transpose(1, 2), dim=2)[:, : self.sites]


class PaperDiscriminator(nn.Module):
    """The published discriminator: genotype times label embedding, two convolutions, a dense layer."""

    def __init__(self, sites: int, n_labels: int):
        super().__init__()
        self.sites, padded = sites, -(-sites // 4) * 4
        self.padding = padded - sites
        self.label = nn.Embedding(n_labels, padded * 4)
        self.conv1 = nn.Conv1d(4, 64, 5, stride=2)
        self.conv2 = nn.Conv1d(64, 128, 7, stride=2)
        self.dense = nn.Linear(128 * padded // 4, 512)
        self.score = nn.Linear(512, 1)
        nn.init.uniform_(self.label.weight, -0.05, 0.05)
        for layer in (self.conv1, self.conv2, self.dense, self.score):
            nn.init.xavier_uniform_(layer.weight)

    def forward(self, onehot: Tensor, label: Tensor) -> Tensor:
        """(people, sites, 4), (people,) -> (people,)."""

        def active(x: Tensor) -> Tensor:
            return dropout(functional.leaky_relu(x, 0.3), 0.3, self.training)

        x = functional.pad(onehot, (0, 0, 0, self.padding))
        x = (x.flatten(1) * self.label(label)).view(len(x), -1, 4).transpose(1, 2)
        # "same" padding of a strided convolution, as in Keras: the odd one out goes right
        x = active(self.conv1(functional.pad(active(x), (1, 2))))
        x = active(self.conv2(functional.pad(x, (2, 3))))
        # channels last before flattening, as published
        x = functional.leaky_relu(self.dense(x.transpose(1, 2).flatten(1)), 0.3)
        return self.score(x)[:, 0]
