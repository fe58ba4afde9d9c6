"""Losses against closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from pgcgan.generators.gan.losses import (
    critic_loss,
    generator_loss,
    generator_slope,
    zero_centred_penalty,
)

REAL = torch.tensor([0.3, -1.2, 2.0, 0.0], dtype=torch.float64)
FAKE = torch.tensor([1.1, -0.2, -3.0, 0.5], dtype=torch.float64)


def test_relativistic_pairing_is_the_softplus_of_paired_differences() -> None:
    differences = (FAKE - REAL).tolist()
    expected = sum(math.log1p(math.exp(d)) for d in differences) / 4
    assert float(critic_loss(REAL, FAKE)) == pytest.approx(expected)
    expected = sum(math.log1p(math.exp(-d)) for d in differences) / 4
    assert float(generator_loss(REAL, FAKE)) == pytest.approx(expected)


def test_equal_scores_are_ln_2() -> None:
    for loss in (critic_loss, generator_loss):
        assert float(loss(REAL, REAL)) == pytest.approx(math.log(2))


def test_the_slope_of_the_generator_is_its_gradient() -> None:
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    generator_loss(real, fake).backward()
    assert torch.allclose(generator_slope(REAL, FAKE), fake.grad)
    assert (fake.grad < 0).all()  # toward higher scores of synthetic rows
    assert real.grad is None


def test_the_critic_scores_real_rows_up_and_synthetic_ones_down() -> None:
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    critic_loss(real, fake).backward()
    assert (real.grad < 0).all() and (fake.grad > 0).all()


def test_penalties_of_squared_slopes() -> None:
    squared = torch.tensor([4.0, 9.0], dtype=torch.float64)
    assert float(zero_centred_penalty(squared, 0.5)) == pytest.approx(0.25 * 6.5)
