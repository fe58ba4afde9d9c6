"""Adversarial losses and penalties: pure functions that return every term by name.

`critic` maps (states, label) to one score a person; the sum of the terms is what is minimised.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from .devices import drawn

Critic = Callable[[Tensor, Tensor], Tensor]

LOSSES = ("relativistic", "wgan", "wgan-gp")


def critic_terms(
    loss: str, critic: Critic, real: Tensor, fake: Tensor, label: Tensor, penalty: float
) -> dict[str, Tensor]:
    """Return the terms of the critic's loss.

    Parameters
    ----------
    loss : {"relativistic", "wgan", "wgan-gp"}
        Relativistic pairing with R1 and R2 (R3GAN, Huang et al. 2024); plain Wasserstein (Arjovsky et al. 2017), whose
        clipping is the caller's; Wasserstein with gradient penalty (Gulrajani et al. 2017).
    critic : callable
    real, fake : tensors (people, …)
        Person i of both has label i.
    label : tensor (people,)
    penalty : float
        Weight of the gradient penalties (gamma of R1 and R2, lambda of WGAN-GP); 0 leaves them out.
    """
    real = real.detach().requires_grad_(penalty > 0)
    fake = fake.detach().requires_grad_(penalty > 0)
    on_real, on_fake = critic(real, label), critic(fake, label)
    if loss == "relativistic":
        terms = {"critic": functional.softplus(on_fake - on_real).mean()}
        if penalty:
            terms["r1"] = penalty / 2 * _squared_slope(on_real, real).mean()
            terms["r2"] = penalty / 2 * _squared_slope(on_fake, fake).mean()
        return terms
    terms = {"critic": on_fake.mean() - on_real.mean()}
    if loss == "wgan-gp" and penalty:
        share = drawn(lambda shape: torch.rand(shape, device=real.device), [len(real)] + [1] * (real.dim() - 1))
        between = (share * real + (1 - share) * fake).detach().requires_grad_(True)
        slope = (_squared_slope(critic(between, label), between) + 1e-12).sqrt()
        terms["gradient_penalty"] = penalty * (slope - 1).square().mean()
    return terms


def generator_terms(loss: str, critic: Critic, real: Tensor, fake: Tensor, label: Tensor) -> dict[str, Tensor]:
    """Return the terms of the generator's loss; parameters as in `critic_terms`."""
    if loss == "relativistic":
        with torch.no_grad():
            on_real = critic(real, label)
        return {"generator": functional.softplus(on_real - critic(fake, label)).mean()}
    return {"generator": -critic(fake, label).mean()}


def _squared_slope(score: Tensor, at: Tensor) -> Tensor:
    """Return the squared norm of the gradient of each person's score: (people,)."""
    (gradient,) = torch.autograd.grad(score.sum(), at, create_graph=True)
    return gradient.flatten(1).square().sum(dim=1)
