"""The published GAN: its schedule, what it hides, and that a saved model draws the same people."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import pgcgan
from pgcgan.errors import DataError, UsageError
from pgcgan.generators.gan import PaperGAN
from pgcgan.generators.gan.paper import PaperTraining
from pgcgan.genotypes import Genotypes

SITES = 10


def cohort(people: int = 20, missing: tuple[int, ...] = (), phased: bool = True) -> Genotypes:
    random = np.random.default_rng(7)
    calls = (random.random((SITES, people, 2)) < random.random((SITES, 1, 1))).astype(np.int8)
    for person in missing:
        calls[3, person, 0] = -1
    variants = pgcgan.Variants(
        ["1"] * SITES, np.arange(SITES) + 1, [f"s{i}" for i in range(SITES)], ["A"] * SITES, ["C"] * SITES
    )
    label = np.array(["x", "y"] * (people // 2), dtype=object)
    return Genotypes(calls, variants, [f"p{i}" for i in range(people)], {"super_pop": label}, phased=phased)


def training(people: Genotypes, batch: int = 8) -> PaperTraining:
    model = PaperGAN(threads=1, batch=batch)
    return PaperTraining(model._rows(people), batch, seed=1, device=torch.device("cpu"))


def test_the_published_schedule() -> None:
    model = PaperGAN()
    # batches of 64; 1,000 epochs of 39; five updates of the discriminator for one of the generator
    assert (model.batch, model.steps) == (64, 39_000)
    task = training(cohort())
    seen: list[Any] = []
    task.generator.register_forward_hook(lambda module, *_: seen.append("trains" if module.training else "infers"))
    for name, optimiser in task.optimisers.items():
        assert type(optimiser) is torch.optim.RMSprop
        group = optimiser.param_groups[0]
        assert (group["lr"], group["alpha"], group["eps"], group["momentum"]) == (5e-5, 0.9, 1e-7, 0)
        assert not group["centered"]
        optimiser.register_step_post_hook(lambda *_, name=name: seen.append(name))
    before = task.generator.dense.weight.detach().clone()
    for step in range(3):
        torch.manual_seed(step)
        terms = task.step(step, 0.0, 1.0)
        assert set(terms) == {"critic", "generator"}
        assert seen == ["infers", "critic"] * 4 + ["trains", "critic", "generator"]
        assert task.critic.training
        seen.clear()
        for kernel in (task.critic.conv1.weight, task.critic.conv2.weight):
            assert float(kernel.detach().abs().max()) <= 0.01
        # statistics of batch normalisation move with the generator's own update only
        assert int(task.generator.norm0.num_batches_tracked) == step + 1
        if step == 0:
            # the first update of RMSprop in closed form: the mean square is (1 - rho) g^2
            moved = task.generator.dense.weight.detach() - before
            slope = task.generator.dense.weight.grad
            assert slope is not None
            assert torch.allclose(moved, -5e-5 * slope / (math.sqrt(0.1) * slope.abs() + 1e-7), atol=1e-7)
            assert float(moved.abs().max()) > 1e-5
    for unclipped in (task.critic.dense.weight, task.critic.score.weight, task.critic.label.weight):
        assert float(unclipped.detach().abs().max()) > 0.01


def test_an_epoch_shows_everybody_once() -> None:
    people, seen = cohort(20), list[Tensor]()
    task = training(people, batch=5)
    task.critic.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    for step in range(4):
        task.step(step, 0.0, 1.0)
    shown = torch.cat([x for x in seen if set(x.unique().tolist()) <= {0.0, 1.0}]).argmax(2)
    # 0|0, 0|1, 1|0, 1|1, five times each
    expected = np.repeat(2 * people.calls[:, :, 0].T + people.calls[:, :, 1].T, 5, axis=0)
    assert sorted(shown.tolist()) == sorted(expected.tolist())


def test_a_call_with_a_missing_allele_is_hidden_from_the_discriminator() -> None:
    task, seen = training(cohort(20, missing=(2,)), batch=20), list[Tensor]()
    task.critic.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    task.step(0, 0.0, 1.0)
    for onehot in seen:
        assert (onehot.sum(dim=2) == 0).sum() == 1  # in real and in synthetic people alike


def test_the_seed_decides_and_a_saved_model_draws_the_same_people(tmp_path: Path) -> None:
    people = cohort()
    one, same, other = (PaperGAN(seed=s, steps=2, batch=8, threads=1).fit(people) for s in (1, 1, 2))
    drawn = one.sample(12, seed=3)
    assert drawn.phased and drawn.n_variants == SITES
    assert np.array_equal(drawn.calls, same.sample(12, seed=3).calls)
    assert not np.array_equal(drawn.calls, other.sample(12, seed=3).calls)
    one.save(tmp_path / "model")
    assert np.array_equal(PaperGAN.load(tmp_path / "model").sample(12, seed=3).calls, drawn.calls)
    same.save(tmp_path / "same")
    arrays = [(tmp_path / name / "arrays.safetensors").read_bytes() for name in ("model", "same")]
    assert arrays[0] == arrays[1]


def test_people_that_it_cannot_make() -> None:
    with pytest.raises(DataError, match="unphased"):
        PaperGAN(steps=1).fit(cohort(phased=False))


@pytest.mark.parametrize(("name", "value"), [("steps", -1), ("minutes", 0.0), ("batch", 0), ("device", "tpu")])
def test_parameters_that_are_off(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=name) as caught:
        PaperGAN(**{name: value}).check_parameters()
    assert str(value) in str(caught.value)
