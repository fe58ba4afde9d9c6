"""Losses against closed forms: a linear critic has the same gradient everywhere."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pgcgan.generators.gan.losses import LOSSES, critic_terms, generator_terms

WEIGHT = torch.tensor([[0.3, -1.2, 0.5], [0.0, 2.0, 1.0]], dtype=torch.float64)  # (rows, sites), |w|² = 6.78
SQUARE = float(WEIGHT.square().sum())


def linear(states: Tensor, label: Tensor) -> Tensor:
    return (states * WEIGHT).sum(dim=(1, 2)) + 10 * label


def constant(states: Tensor, label: Tensor) -> Tensor:
    return (states * 0).sum(dim=(1, 2)) + 3.0


def value(term: Tensor) -> float:
    return float(term.detach())


def draws() -> tuple[Tensor, Tensor, Tensor]:
    noise = torch.Generator().manual_seed(1)
    shape = (7, 2, 3)
    real, fake = (torch.rand(shape, generator=noise, dtype=torch.float64) for _ in range(2))
    return real, fake, torch.tensor([0, 1, 1, 0, 1, 0, 0])


def test_relativistic_terms() -> None:
    real, fake, label = draws()
    terms = critic_terms("relativistic", linear, real, fake, label, 0.4)
    assert set(terms) == {"critic", "r1", "r2"}
    # softplus of the difference of paired scores, in plain Python; the label cancels because pairs share it
    differences = ((fake - real) * WEIGHT).sum(dim=(1, 2)).tolist()
    assert value(terms["critic"]) == pytest.approx(sum(math.log1p(math.exp(d)) for d in differences) / 7)
    # R1 = R2 = gamma / 2 |w|^2
    assert value(terms["r1"]) == pytest.approx(0.2 * SQUARE)
    assert value(terms["r2"]) == pytest.approx(0.2 * SQUARE)
    ours = generator_terms("relativistic", linear, real, fake, label)
    assert value(ours["generator"]) == pytest.approx(sum(math.log1p(math.exp(-d)) for d in differences) / 7)


def test_equal_scores_are_ln_2() -> None:
    real, fake, label = draws()
    assert value(critic_terms("relativistic", constant, real, fake, label, 0)["critic"]) == pytest.approx(math.log(2))
    assert value(generator_terms("relativistic", constant, real, fake, label)["generator"]) == pytest.approx(
        math.log(2)
    )


def test_wasserstein_is_the_difference_of_means() -> None:
    real, fake, label = draws()
    terms = critic_terms("wgan", linear, real, fake, label, 0.0)
    assert set(terms) == {"critic"}
    expected = float(((fake.mean(dim=0) - real.mean(dim=0)) * WEIGHT).sum())
    assert value(terms["critic"]) == pytest.approx(expected)
    ours = generator_terms("wgan", linear, real, fake, label)
    assert value(ours["generator"]) == pytest.approx(-float((fake.mean(dim=0) * WEIGHT).sum()) - 10 * 3 / 7)


def test_gradient_penalty() -> None:
    real, fake, label = draws()
    terms = critic_terms("wgan-gp", linear, real, fake, label, 10.0)
    assert set(terms) == {"critic", "gradient_penalty"}
    assert value(terms["gradient_penalty"]) == pytest.approx(10 * (math.sqrt(SQUARE) - 1) ** 2)
    # no slope at all is one away from 1, but for the guard of the root
    flat = critic_terms("wgan-gp", constant, real, fake, label, 10.0)
    assert value(flat["gradient_penalty"]) == pytest.approx(10.0, abs=1e-4)


def test_gradient_penalty_is_taken_between_real_and_fake() -> None:
    seen: list[Tensor] = []

    def recording(states: Tensor, label: Tensor) -> Tensor:
        seen.append(states.detach())
        return linear(states, label)

    zeros, ones = torch.zeros(500, 2, 3, dtype=torch.float64), torch.ones(500, 2, 3, dtype=torch.float64)
    critic_terms("wgan-gp", recording, zeros, ones, torch.zeros(500), 1.0)
    between = seen[2]
    # one share a person, uniform on (0, 1)
    share = between[:, 0, 0]
    assert torch.equal(between, share[:, None, None].expand(500, 2, 3))
    assert 0 <= float(share.min()) < 0.05
    assert 0.95 < float(share.max()) <= 1


def test_the_penalties_of_a_curved_critic() -> None:
    # score |x|^2 / 2 has the gradient x: R1 = gamma / 2 E|real|^2, R2 = gamma / 2 E|fake|^2
    real, fake, label = draws()
    terms = critic_terms("relativistic", lambda x, _: x.square().sum(dim=(1, 2)) / 2, real, fake, label, 3.0)
    assert value(terms["r1"]) == pytest.approx(1.5 * float(real.square().sum()) / 7)
    assert value(terms["r2"]) == pytest.approx(1.5 * float(fake.square().sum()) / 7)


@pytest.mark.parametrize("loss", LOSSES)
def test_no_penalty_without_weight_and_gradients_go_where_they_should(loss: str) -> None:
    real, fake, label = draws()
    assert set(critic_terms(loss, linear, real, fake, label, 0.0)) == {"critic"}
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    fake = fake.clone().requires_grad_()
    terms = critic_terms(loss, lambda x, y: scale * linear(x, y), real, fake, label, 1.0)
    torch.stack(list(terms.values())).sum().backward()
    assert scale.grad is not None
    assert fake.grad is None  # the critic's loss does not reach the generator
    torch.stack(list(generator_terms(loss, linear, real, fake, label).values())).sum().backward()
    assert fake.grad is not None
    # toward a higher score of the fake people
    assert float((fake.grad * WEIGHT).sum()) < 0
