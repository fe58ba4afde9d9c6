"""Adversarial losses and gradient penalties: pure functions of scores and slopes, every term by name.

The sum of the terms is what is minimised. Clipping the weights of the critic, which the plain Wasserstein loss needs,
is the step's business.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

LOSSES = ("relativistic", "wgan", "wgan-gp")


def critic_loss(loss: str, on_real: Tensor, on_fake: Tensor) -> Tensor:
    """Return the loss of the critic, given its scores of real and synthetic rows that share their labels in pairs.

    Relativistic pairing (R3GAN, Huang et al. 2024): mean softplus(D(fake) - D(real)). Wasserstein (Arjovsky et al.
    2017; with gradient penalty: Gulrajani et al. 2017): mean D(fake) - mean D(real).
    """
    return functional.softplus(on_fake - on_real).mean() if loss == "relativistic" else (on_fake - on_real).mean()


def generator_loss(loss: str, on_real: Tensor, on_fake: Tensor) -> Tensor:
    """Return the loss of the generator; parameters as in `critic_loss`, and `on_real` counts as a constant."""
    return functional.softplus(on_real.detach() - on_fake).mean() if loss == "relativistic" else -on_fake.mean()


def generator_slope(loss: str, on_real: Tensor, on_fake: Tensor) -> Tensor:
    """Return the derivative of `generator_loss` by each score of a synthetic row, without a graph: (rows,)."""
    if loss == "relativistic":
        return -torch.sigmoid(on_real.detach() - on_fake.detach()) / len(on_fake)
    return torch.full_like(on_fake.detach(), -1 / len(on_fake))


def zero_centred_penalty(squared_slope: Tensor, gamma: float) -> Tensor:
    """Return R1 (on real rows) or R2 (on synthetic ones): gamma / 2 E|∇D|², given |∇D|² of each row."""
    return gamma / 2 * squared_slope.mean()


def one_centred_penalty(squared_slope: Tensor, weight: float) -> Tensor:
    """Return the gradient penalty of WGAN-GP: weight E(|∇D| - 1)², given |∇D|² between real and synthetic rows."""
    return weight * ((squared_slope + 1e-12).sqrt() - 1).square().mean()
