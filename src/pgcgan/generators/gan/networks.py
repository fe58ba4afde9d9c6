"""The networks of the conditional GAN: a generator that tilts a Markov chain over block codes, and its critic.

A haplotype is a row of codes, one for each haplotype block (see `generators.haplotype.blocks`). Both networks work on
*positions*: a position is one block, or several consecutive blocks where there are more than `MAX_POSITIONS`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

MAX_POSITIONS = 96
LEAKY = 0.2  # slope of the leaky rectifiers below 0
_ALIKE = 0.7  # blocks with at least this share of the codes of the largest are computed together


class BlockGroup(NamedTuple):
    """Blocks of like numbers of codes, padded to the largest, so that one matrix product serves them all."""

    blocks: Tensor  # long (blocks,)
    positions: Tensor  # long (blocks,)
    places: Tensor  # long (blocks, codes): place of each code among the codes of all blocks; 0 where there is padding
    valid: Tensor  # bool (blocks, codes): False where there is padding


class BlockLayout(nn.Module):
    """Where blocks, of these numbers of codes, and their codes lie in the tensors of both networks."""

    offset: Tensor
    position: Tensor

    def __init__(self, sizes: Sequence[int]):
        super().__init__()
        self.sizes = list(sizes)
        self.blocks_per_position = -(-len(self.sizes) // MAX_POSITIONS)
        self.positions = -(-len(self.sizes) // self.blocks_per_position)
        position = torch.arange(len(self.sizes)) // self.blocks_per_position
        self.register_buffer("position", position, persistent=False)
        self.register_buffer("offset", torch.tensor([0, *self.sizes]).cumsum(0)[:-1], persistent=False)
        members: list[list[int]] = []
        for block in sorted(range(len(self.sizes)), key=lambda b: -self.sizes[b]):
            if members and self.sizes[block] >= _ALIKE * self.sizes[members[-1][0]]:
                members[-1].append(block)
            else:
                members.append([block])
        self.where = {block: (g, i) for g, blocks in enumerate(members) for i, block in enumerate(blocks)}
        self.n_groups = len(members)
        for g, of_group in enumerate(members):
            blocks, most = torch.tensor(of_group), self.sizes[of_group[0]]
            valid = torch.arange(most) < torch.tensor([self.sizes[b] for b in of_group])[:, None]
            places = torch.where(valid, self.offset[blocks][:, None] + torch.arange(most), 0)
            for name, tensor in zip(BlockGroup._fields, (blocks, position[blocks], places, valid), strict=True):
                self.register_buffer(f"{name}{g}", tensor, persistent=False)

    @property
    def groups(self) -> list[BlockGroup]:
        """The groups of blocks, those with the most codes first."""
        return [BlockGroup(*(getattr(self, f"{n}{g}") for n in BlockGroup._fields)) for g in range(self.n_groups)]


class Convolution(nn.Module):
    """A convolution along the positions of (rows, positions, channels), as one matrix product."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int = 1):
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.linear = nn.Linear(kernel * channels, out)

    def forward(self, x: Tensor) -> Tensor:
        """Return (rows, positions / stride rounded up, out)."""
        left = (self.kernel - self.stride) // 2
        right = self.kernel - self.stride - left + -x.shape[1] % self.stride
        padded = functional.pad(x, (0, 0, left, right))
        last = padded.shape[1] - self.kernel + 1
        # `unfold` copies element by element, and its gradient takes a tenth of a training step
        windows = torch.cat([padded[:, k : last + k : self.stride] for k in range(self.kernel)], 2)
        return self.linear(windows)


class ModulatedLayer(nn.Module):
    """A residual convolution whose channels are scaled and shifted by a vector of label and noise (FiLM).

    `condition` is the length of the vector; each position becomes `upsample` new ones.
    """

    def __init__(self, channels: int, out: int, condition: int, upsample: int = 1):
        super().__init__()
        self.out, self.upsample = out, upsample
        self.convolution = Convolution(channels, upsample * out, 3)
        self.film = nn.Linear(condition, 2 * out)
        self.skip = nn.Linear(channels, out) if channels != out else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(rows, positions, channels), (rows, condition) -> (rows, upsample * positions, out)."""
        gain, shift = self.film(condition)[:, None].chunk(2, 2)
        y = self.convolution(x).reshape(len(x), -1, self.out)
        skipped = self.skip(x).repeat_interleave(self.upsample, 1)
        return skipped + functional.leaky_relu(torch.addcmul(shift, y, 1 + gain), LEAKY)


class TiltGenerator(nn.Module):
    """From noise and label to what is added to the log-probabilities of a Markov chain over block codes.

    Code b of a row is drawn from softmax(log P(code | label, code before) + tilt_b(noise, label)). The tilt is next to
    nothing at the start: untrained, the generator is the chain. As in PG-cGAN (Chen, Mowlaei, Shi 2020), the noise is
    multiplied by an embedding of the label. `width` is that of the channels at the finest scale.
    """

    def __init__(self, sizes: Sequence[int], n_labels: int, width: int = 96, noise: int = 128):
        super().__init__()
        self.layout, self.noise, self.width = BlockLayout(sizes), noise, width
        positions = self.layout.positions
        self.coarse = -(-positions // 8)
        self.label = nn.Embedding(n_labels, noise)
        nn.init.normal_(self.label.weight, 1, 0.3)
        self.condition = nn.Sequential(nn.Linear(noise, noise), nn.LeakyReLU(LEAKY))
        self.dense = nn.Linear(noise, 2 * width * self.coarse)
        channels = (2 * width, 2 * width, width + width // 4, width, width)
        self.layers = nn.ModuleList(
            ModulatedLayer(channels[i], channels[i + 1], noise, upsample=2 if i else 1) for i in range(4)
        )
        # channels that every position has for itself, for what convolutions cannot know
        self.local = nn.Linear(noise, positions * (width // 4))
        self.mix = nn.Linear(width // 4, width)
        self.place = nn.Parameter(torch.zeros(positions, width))
        self.readout = nn.ParameterList(
            torch.randn(len(group.blocks), width, group.places.shape[1]) * 0.02 / math.sqrt(width)
            for group in self.layout.groups
        )

    def forward(self, noise: Tensor, label: Tensor) -> list[Tensor]:
        """(rows, noise), (rows,) -> one tensor (blocks, rows, codes) for each group of blocks."""
        condition = self.condition(noise * self.label(label))
        x = self.dense(condition).view(len(noise), self.coarse, -1)
        for layer in self.layers:
            x = layer(x, condition)
        positions = self.layout.positions
        local = self.mix(self.local(condition).view(len(noise), positions, -1)) + self.place
        x = (x[:, :positions] + functional.leaky_relu(local, LEAKY)).transpose(0, 1)
        return [
            torch.bmm(x[group.positions], readout)
            for group, readout in zip(self.layout.groups, self.readout, strict=True)
        ]


class Features(NamedTuple):
    """What the critic sees of rows of codes; linear in the one-hot codes."""

    profile: Tensor  # (rows, positions, width)
    components: Tensor  # (rows, components): scores on the principal components of the training rows


class Critic(nn.Module):
    """Scores rows of block codes; a projection discriminator (Miyato, Koyama 2018) of the label.

    Three views of a row: convolutions along the positions, a dense map of what distinguishes the codes of each block
    most, and the principal components of the whole row. `profile` (codes of all blocks, leading numbers) is where the
    embedding of the codes starts: principal components of the templates of each block. `components` (codes of all
    blocks, components) is what each code adds to the principal components of a row.
    """

    components: Tensor

    def __init__(self, sizes: Sequence[int], n_labels: int, profile: Tensor, components: Tensor, width: int = 64):
        super().__init__()
        self.layout, self.leading = BlockLayout(sizes), profile.shape[1]
        positions = self.layout.positions
        codes = torch.randn(len(profile), width) * 0.3
        codes[:, : self.leading] = profile
        self.codes = nn.Parameter(codes)
        self.register_buffer("components", components)
        self.place = nn.Parameter(torch.zeros(positions, width))
        medium, coarse, hidden = 3 * width // 2, 5 * width // 2, 3 * width
        self.fine = Convolution(width, width, 3)
        self.strided = nn.ModuleList([Convolution(width, medium, 4, 2), Convolution(medium, coarse, 4, 2)])
        self.from_positions = nn.Linear(coarse * -(-positions // 4), hidden)
        self.from_leading = nn.Linear(self.leading * positions, hidden)
        self.from_components = nn.Sequential(
            nn.Linear(components.shape[1], hidden), nn.LeakyReLU(LEAKY), nn.Linear(hidden, hidden)
        )
        self.hidden, self.score = nn.Linear(3 * hidden, hidden), nn.Linear(hidden, 1)
        self.label = nn.Embedding(n_labels, hidden)

    def forward(self, codes: Tensor, label: Tensor, known: Tensor | None = None) -> tuple[Tensor, Features]:
        """(rows, blocks), (rows,) -> scores (rows,) and features; codes that are not `known` add nothing."""
        flat = codes + self.layout.offset
        weight = None if known is None else known.to(self.codes.dtype)
        profile = functional.embedding(flat, self.codes)
        if weight is not None:
            profile = profile * weight[:, :, None]
        if self.layout.blocks_per_position > 1:
            summed = profile.new_zeros(len(codes), self.layout.positions, profile.shape[2])
            profile = summed.index_add(1, self.layout.position, profile)
        components = functional.embedding_bag(flat, self.components, mode="sum", per_sample_weights=weight)
        features = Features(profile, components.requires_grad_())
        return self.scores(features, label), features

    def scores(self, features: Features, label: Tensor) -> Tensor:
        """Return one score a row: (rows,)."""
        y = functional.leaky_relu(features.profile + self.place, LEAKY)
        y = y + functional.leaky_relu(self.fine(y), LEAKY)
        for convolution in self.strided:
            y = functional.leaky_relu(convolution(y), LEAKY)
        leading = self.from_leading(features.profile[:, :, : self.leading].flatten(1))
        views = torch.cat([self.from_positions(y.flatten(1)), leading, self.from_components(features.components)], 1)
        hidden = functional.leaky_relu(self.hidden(functional.leaky_relu(views, LEAKY)), LEAKY)
        projected = (hidden * self.label(label)).sum(1) / math.sqrt(hidden.shape[1])
        return self.score(hidden)[:, 0] + projected

    def code_slopes(self, slopes: Features) -> list[Tensor]:
        """Return the gradient by the one-hot codes, given that by the features: (blocks, rows, codes) by group."""
        by_component = slopes.components @ self.components.T
        by_position = slopes.profile.transpose(0, 1)
        return [
            torch.baddbmm(
                by_component[:, group.places].transpose(0, 1),
                by_position[group.positions],
                self.codes[group.places].transpose(1, 2),
            )
            * group.valid[:, None]
            for group in self.layout.groups
        ]
