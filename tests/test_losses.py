"""Losses against closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from pgcgan.generators.gan.losses import (
    LOSSES,
    critic_loss,
    generator_loss,
    generator_slope,
    one_centred_penalty,
    zero_centred_penalty,
)

REAL = torch.tensor([0.3, -1.2, 2.0, 0.0], dtype=torch.float64)
FAKE = torch.tensor([1.1, -0.2, -3.0, 0.5], dtype=torch.float64)


def test_relativistic_pairing_is_the_softplus_of_paired_differences() -> None:
    differences = (FAKE - REAL).tolist()
    expected = sum(math.log1p(math.exp(d)) for d in differences) / 4
    assert float(critic_loss("relativistic", REAL, FAKE)) == pytest.approx(expected)
    expected = sum(math.log1p(math.exp(-d)) for d in differences) / 4
    assert float(generator_loss("relativistic", REAL, FAKE)) == pytest.approx(expected)


def test_equal_scores_are_ln_2() -> None:
    for loss in (critic_loss, generator_loss):
        assert float(loss("relativistic", REAL, REAL)) == pytest.approx(math.log(2))


@pytest.mark.parametrize("loss", ["wgan", "wgan-gp"])
def test_wasserstein_is_the_difference_of_means(loss: str) -> None:
    assert float(critic_loss(loss, REAL, FAKE)) == pytest.approx(-1.6 / 4 - 1.1 / 4)
    assert float(generator_loss(loss, REAL, FAKE)) == pytest.approx(1.6 / 4)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_slope_of_the_generator_is_its_gradient(loss: str) -> None:
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    generator_loss(loss, real, fake).backward()
    assert torch.allclose(generator_slope(loss, REAL, FAKE), fake.grad)
    assert (fake.grad < 0).all()  # toward higher scores of synthetic rows
    assert real.grad is None


@pytest.mark.parametrize("loss", LOSSES)
def test_the_critic_scores_real_rows_up_and_synthetic_ones_down(loss: str) -> None:
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    critic_loss(loss, real, fake).backward()
    assert (real.grad < 0).all() and (fake.grad > 0).all()


def test_penalties_of_squared_slopes() -> None:
    squared = torch.tensor([4.0, 9.0], dtype=torch.float64)
    assert float(zero_centred_penalty(squared, 0.5)) == pytest.approx(0.25 * 6.5)
    assert float(one_centred_penalty(squared, 10.0)) == pytest.approx(10 * (1 + 4) / 2)


def test_the_gradient_penalty_has_a_gradient_where_there_is_no_slope() -> None:
    squared = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    one_centred_penalty(squared, 1.0).backward()
    assert squared.grad is not None and torch.isfinite(squared.grad).all()
