"""The loss of the conditional GAN: relativistic pairing with zero-centred penalties (R3GAN, Huang et al. 2024).

Pure functions of scores and slopes; the sum of the terms is what is minimised.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def critic_loss(on_real: Tensor, on_fake: Tensor) -> Tensor:
    """Return mean softplus(D(fake) - D(real)); real and synthetic rows of a pair have the same label."""
    return functional.softplus(on_fake - on_real).mean()


def generator_loss(on_real: Tensor, on_fake: Tensor) -> Tensor:
    """Return mean softplus(D(real) - D(fake)); `on_real` counts as a constant."""
    return functional.softplus(on_real.detach() - on_fake).mean()


def generator_slope(on_real: Tensor, on_fake: Tensor) -> Tensor:
    """Return the derivative of `generator_loss` by each score of a synthetic row, without a graph: (rows,)."""
    return -torch.sigmoid(on_real.detach() - on_fake.detach()) / len(on_fake)


def zero_centred_penalty(squared_slope: Tensor, gamma: float) -> Tensor:
    """Return R1 (on real rows) or R2 (on synthetic ones): gamma / 2 E|∇D|², given |∇D|² of each row."""
    return gamma / 2 * squared_slope.mean()
