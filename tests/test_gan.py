"""The conditional GAN: its step against autograd, what it learns, seeds, resuming, and all kinds of people."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from pgcgan.errors import ModelError, UsageError
from pgcgan.generators.gan import PGcGAN
from pgcgan.generators.gan.drawing import (
    TiltSampler,
    ancestry_terms,
    choose_tilt_factor,
    draw_codes,
    gumbel_noise,
    predictors_of,
    straight_through,
)
from pgcgan.generators.gan.networks import TiltGenerator
from pgcgan.generators.gan.tilt_training import TiltTraining, decay
from pgcgan.generators.haplotype.code_model import CodeModel
from pgcgan.generators.haplotype.code_rows import CodeRows
from pgcgan.generators.haplotype.drawing import CodeSampler
from pgcgan.generators.haplotype.fitting import fit_code_model
from pgcgan.generators.haplotype.person_ancestry import PersonAncestry
from pgcgan.genotypes import Genotypes, Variants

SMALL: dict[str, Any] = {
    "min_carriers": 3, "min_transitions": 2, "batch": 8, "width": 8, "critic_width": 16, "threads": 1,
}  # fmt: skip
SIZES = [3, 2, 5, 1]


def cohort(people: int = 60, sites: int = 40, labels: int = 2, missing: float = 0.0, ploidy: int = 2) -> Genotypes:
    """Return people whose haplotypes are mosaics of a few founders of their label."""
    random = np.random.default_rng(7)
    label = np.arange(people) % labels
    founders = (random.random((labels, 5, sites)) < random.random(sites)).astype(np.int8)
    switch = random.random((ploidy * people, sites)) < 0.05
    source = random.integers(5, size=(ploidy * people, sites))
    last = np.maximum.accumulate(np.where(switch, np.arange(sites), 0), axis=1)
    states = founders[np.repeat(label, ploidy)[:, None], np.take_along_axis(source, last, axis=1), np.arange(sites)]
    states[random.random(states.shape) < missing] = -1
    variants = Variants(
        ["1"] * sites, 100 * np.arange(sites) + 1, [f"s{i}" for i in range(sites)], ["A"] * sites, ["C"] * sites
    )
    names = np.array(["x", "y", "z"], dtype=object)[label]
    calls = states.reshape(people, ploidy, sites).transpose(2, 0, 1)
    return Genotypes(calls, variants, [f"p{i}" for i in range(people)], {"super_pop": names}, phased=True)


def unphased(people: Genotypes) -> Genotypes:
    calls = np.sort(people.calls, axis=2)
    return Genotypes(calls, people.variants, people.samples, people.labels, phased=False)


def chain(rows: int = 400) -> tuple[CodeModel, np.ndarray, np.ndarray]:
    """Return a chain over two labels, and the codes and labels that it was counted from."""
    random = np.random.default_rng(1)
    label = np.arange(rows) % 2
    codes, before = np.empty((rows, len(SIZES)), dtype=np.int64), label
    for b, size in enumerate(SIZES):
        codes[:, b] = np.where(random.random(rows) < 0.6, (before + label) % size, random.integers(size, size=rows))
        before = codes[:, b]
    model = fit_code_model(
        CodeRows(codes, label, np.arange(rows) // 2, SIZES, 2), 3, longest_run=1, local_ancestry=False
    )
    return model, codes, label


def task_of(people: Genotypes, **settings: Any) -> TiltTraining:
    model = PGcGAN(**{**SMALL, **settings})
    task = model._task(model._rows(people), torch.device("cpu"))
    assert isinstance(task, TiltTraining)
    return task


# ---- drawing ------------------------------------------------------------------------------------------------------


def test_looked_up_or_computed_probabilities_are_the_same() -> None:
    model, codes, label = chain()
    looked_up, computed = predictors_of(model)(label), model.predictor(label)
    assert type(looked_up) is not type(computed)
    for b in range(len(SIZES)):
        assert np.allclose(looked_up.log_probs(), computed.log_probs(), atol=1e-5)
        looked_up.observe(codes[:, b])
        computed.observe(codes[:, b])


def test_without_a_tilt_codes_are_drawn_from_the_chain() -> None:
    model, _, _ = chain()
    layout = TiltGenerator(SIZES, 2, 8, 4).layout
    label = np.arange(20_000) % 2
    torch.manual_seed(1)
    noise = gumbel_noise(layout, len(label))
    codes, logits = draw_codes(layout, model.predictor(label), [torch.zeros_like(n) for n in noise], noise)
    for b, size in enumerate(SIZES):
        group, place = layout.where[b]
        assert torch.equal(logits[group][place].argmax(1), codes[:, b])
        for k in range(2):
            for previous in range(SIZES[b - 1] if b else 1):
                own = (label == k) & ((codes[:, b - 1].numpy() == previous) if b else True)
                expected = np.exp(model.chain.log_probs(b, np.array([previous]), np.array([k]))[0])
                shares = np.bincount(codes[own, b].numpy(), minlength=size) / own.sum()
                assert np.abs(shares - expected).max() < 5 / np.sqrt(own.sum())


def test_the_straight_through_gradient_is_that_of_softmax() -> None:
    torch.manual_seed(1)
    logits, slope = torch.randn(2, 3, 4, requires_grad=True), torch.randn(2, 3, 4)
    (functional.softmax(logits / 0.7, 2) * slope).sum().backward()
    (found,) = straight_through([logits.detach()], [slope], 0.7)
    assert torch.allclose(found, logits.grad, atol=1e-6)


def strong_network() -> TiltGenerator:
    """Return a network whose tilt pulls the frequencies away."""
    torch.manual_seed(1)
    network = TiltGenerator(SIZES, 2, 8, 4)
    with torch.no_grad():
        for readout in network.readout:
            readout.mul_(50)
    return network


def test_calibrated_frequencies_are_those_of_the_labels() -> None:
    model, _, _ = chain()
    network = strong_network()
    label, random = np.arange(6000) % 2, np.random.default_rng(1)
    targets = [model.label_frequency(b) for b in range(len(SIZES))]
    sampler = TiltSampler.untrained(model, network)
    far = sampler.draw(label, random)
    sampler.draw(label, random, targets=targets)
    near = sampler.draw(label, random)
    distance = [
        max(
            np.abs(np.bincount(codes[label == k, b], minlength=SIZES[b]) / 3000 - targets[b][k]).max()
            for b in range(len(SIZES))
            for k in range(2)
        )
        for codes in (far, near)
    ]
    assert distance[1] < 0.03 < 0.1 < distance[0]


def test_the_factor_scales_the_tilt_and_0_leaves_the_counts() -> None:
    model, _, _ = chain()
    network = strong_network()
    label = np.arange(400) % 2
    whole = TiltSampler.untrained(model, network)
    half, none = replace(whole, tilt_factor=0.5), replace(whole, tilt_factor=0.0)
    of_half, of_whole = (s._tilts(label, np.random.default_rng(2)) for s in (half, whole))
    for a, b in zip(of_half, of_whole, strict=True):
        assert np.allclose(2 * a, b, atol=1e-5)
    after_tilt = np.random.default_rng(1)
    none._tilts(label, after_tilt)
    assert np.array_equal(none.draw(label, np.random.default_rng(1)), CodeSampler.of(model).draw(label, after_tilt))


def test_the_factor_is_the_one_at_which_rows_lie_among_training_rows_as_these_do() -> None:
    class Known:
        """AA_truth and AA_syn as on 805 SNPs: the whole tilt draws synthetic rows together."""

        is_small = False

        def measure(self, sampler: TiltSampler) -> tuple[float, float, float]:
            return 1.0, *{1.0: (0.23, 0.74), 0.75: (0.29, 0.66), 0.5: (0.34, 0.58), 0.25: (0.46, 0.44)}[
                sampler.tilt_factor
            ]

    model, _, _ = chain()
    sampler = TiltSampler.untrained(model, TiltGenerator(SIZES, 2, 8, 4))
    assert choose_tilt_factor(sampler, Known()) == 0.25  # type: ignore[arg-type]
    known = Known()
    known.is_small = True
    assert choose_tilt_factor(sampler, known) == 1.0  # type: ignore[arg-type]


# ---- one step -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("penalise", [True, False])
def test_the_gradients_of_a_step_are_those_of_autograd(penalise: bool) -> None:
    """The shortcut through the critic's own gradient gives what two backward passes give."""
    task = task_of(cohort(), penalty=0.5 if penalise else 0.0, penalty_interval=1)
    torch.manual_seed(1)
    rows = torch.randint(len(task.codes), (12,))
    known = torch.rand(12, task.codes.shape[1]) > 0.3
    label = torch.arange(6) % 2
    both = torch.cat([label, label])
    scores, features = task.critic(task.codes[rows], both, known)
    on_real, on_fake = scores[:6], scores[6:]
    generator_loss, critic_loss = (torch.log1p(torch.exp(d)).mean() for d in (on_real - on_fake, on_fake - on_real))
    expected = torch.autograd.grad(generator_loss, features, retain_graph=True)
    of_critic = torch.autograd.grad(critic_loss, task.critic.score.weight)
    scores, features = task.critic(task.codes[rows], both, known)
    task.critic.zero_grad()
    terms, slopes = task._critic_update(scores, features, penalise)
    for found, wanted in zip(slopes, expected, strict=True):
        assert torch.allclose(found, wanted[6:], atol=1e-6)
    assert set(terms) == ({"critic", "r1", "r2"} if penalise else {"critic"})
    assert torch.allclose(terms["critic"], critic_loss, atol=1e-6)
    if not penalise:
        assert torch.allclose(task.critic.score.weight.grad, of_critic[0], atol=1e-6)


def test_r1_is_the_squared_slope_by_one_hot_codes() -> None:
    task = task_of(cohort())
    label = torch.arange(4) % 2
    sizes = task.model.code_model_.sizes
    codes = task.codes[:4]
    scores, features = task.critic(torch.cat([codes, codes]), torch.cat([label, label]))
    terms, _ = task._critic_update(scores, features, True)
    total = 0.0
    for b, size in enumerate(sizes):  # finite differences: the score is piecewise smooth in the features
        for j in range(size):
            delta = functional.one_hot(torch.tensor(int(task.critic.layout.offset[b]) + j), sum(sizes)).float()
            profile = torch.zeros(1, task.critic.layout.positions, task.critic.codes.shape[1])
            profile[0, task.critic.layout.position[b]] = delta @ task.critic.codes.detach()
            moved = type(features)(profile, (delta @ task.critic.components)[None])
            eps = 1e-3
            up, down = (
                task.critic.scores(
                    type(features)(*(f[:4].detach() + s * m for f, m in zip(features, moved, strict=True))), label
                )
                for s in (eps, -eps)
            )
            total += float(((up - down) / (2 * eps)).square().sum().detach())
    weight = task.model.penalty * task.model.penalty_interval
    assert float(terms["r1"]) == pytest.approx(weight / 2 * total / 4, rel=0.05)
    assert float(terms["r1"]) == pytest.approx(float(terms["r2"]), rel=1e-5)


def test_the_learning_rates_fall_at_the_end_and_that_of_the_generator_rises_first() -> None:
    assert [decay(p) for p in (0.0, 0.3, 0.7, 0.85, 1.0)] == pytest.approx([1, 1, 1, 0.5, 0.02])
    task = task_of(cohort(), learning_rate=0.1)
    for step, progress, of_generator, of_critic in (
        (0, 0.0, 0.1 / 600, 0.1),
        (299, 0.0, 0.05, 0.1),
        (49, 0.075, 0.05, 0.1),  # of a short training
        (200, 0.85, 0.05, 0.05),
    ):
        task.step(step, progress, 1.0)
        rates = [task.optimisers[name].param_groups[0]["lr"] for name in ("generator", "critic")]
        assert rates == pytest.approx([of_generator, of_critic])


def test_every_parameter_learns() -> None:
    task = task_of(cohort(missing=0.02))
    before = {
        n: p.detach().clone()
        for m in (task.generator, task.critic)
        for n, p in m.named_parameters(prefix=type(m).__name__)
    }
    for step in range(3):
        torch.manual_seed(step)
        task.step(step, 0.0, 1.0)
    for module in (task.generator, task.critic):
        for name, parameter in module.named_parameters(prefix=type(module).__name__):
            if name == "Critic.score.bias":  # cancels: real and synthetic rows are compared in pairs
                continue
            assert not torch.equal(parameter, before[name]), name


# ---- persons ------------------------------------------------------------------------------------------------------


def with_ancestry(model: CodeModel) -> CodeModel:
    """Return a code model whose people share one number, of another spread in each label."""
    loadings = [np.linspace(-2, 2, size, dtype=np.float32)[:, None] for size in SIZES]
    return replace(model, ancestry=PersonAncestry(loadings, np.float32([0.5, 1.5]).reshape(2, 1, 1)))


def test_ancestry_adds_its_loadings_to_the_logits() -> None:
    model = with_ancestry(chain()[0])
    layout, label = TiltGenerator(SIZES, 2, 8, 4).layout, np.array([0, 1, 1])
    normal = torch.tensor([[1.0], [1.0], [-2.0]])
    terms = ancestry_terms(layout, model.ancestry, label, normal)
    for b, size in enumerate(SIZES):
        group, place = layout.where[b]
        expected = np.outer([0.5, 1.5, -3.0], np.linspace(-2, 2, size))
        assert np.allclose(terms[group][place][:, :size], expected)


def test_the_two_haplotypes_of_a_person_agree_as_in_the_haplotype_model() -> None:
    model = with_ancestry(chain()[0])
    samplers = TiltSampler.untrained(model, TiltGenerator(SIZES, 2, 8, 40)), CodeSampler.of(model)
    label = np.repeat([0, 1], 10_000)
    tilted, plain = (s.draw_people(label, 2, np.random.default_rng(k)) for k, s in enumerate(samplers))
    for k in range(2):
        for b in (0, 2):  # the first and last code of a block are at the ends of the axis
            for code in (0, SIZES[b] - 1):
                ours, theirs = (
                    ((codes[:, 0, b] == code) & (codes[:, 1, b] == code))[label == k].mean()
                    for codes in (tilted, plain)
                )
                assert ours == pytest.approx(theirs, abs=5 * np.sqrt(2 * 0.25 / 10_000))
    both = (tilted[:, :, 2] == SIZES[2] - 1)[label == 1]
    assert both.all(axis=1).mean() > 1.3 * both.mean() ** 2  # people are alike in both haplotypes


# ---- the model ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("people", "more"),
    [
        (cohort(), {}),
        (cohort(missing=0.03), {}),
        (unphased(cohort(missing=0.03)), {}),
        (cohort(ploidy=1), {}),
        (cohort(labels=1), {}),
        (cohort(people=12, sites=3), {}),
        (cohort(), {"longest_run": 32, "min_carriers": 2}),
        (cohort(sites=1), {}),
    ],
    ids=["phased", "missing", "unphased", "haploid", "one label", "tiny", "runs", "one site"],
)
def test_all_kinds_of_people(people: Genotypes, more: dict[str, Any], tmp_path: Path) -> None:
    model = PGcGAN(**{"steps": 3, **SMALL, **more}).fit(people)
    drawn = model.sample(model.label_counts_, seed=1)
    assert (drawn.phased, drawn.ploidy, drawn.n_variants) == (people.phased, people.ploidy, people.n_variants)
    assert drawn.calls.min() >= 0
    assert np.abs(drawn.allele_frequency() - people.allele_frequency()).mean() < 0.1
    again = PGcGAN.load(model.save(tmp_path / "model"))
    assert np.array_equal(again.sample(model.label_counts_, seed=1).calls, drawn.calls)
    assert again.facts() == model.facts()


def test_the_directory_holds_what_drawing_needs_and_nothing_else(tmp_path: Path) -> None:
    model = PGcGAN(steps=2, **SMALL).fit(cohort())
    model.save(tmp_path / "model")
    assert {p.name for p in (tmp_path / "model").iterdir()} == {
        "model.json", "sites.json", "arrays.safetensors", "MODEL_CARD.md",
    }  # fmt: skip
    arrays = model._arrays()
    assert set(arrays) == set(PGcGAN.schema)
    assert not [name for name in arrays if "critic" in name]
    assert len(arrays["network.weights"]) == sum(p.numel() for p in model.sampler_.network.parameters())


def test_the_seed_and_nothing_else_decides(tmp_path: Path) -> None:
    people, arrays = cohort(), []
    for i, seed in enumerate((1, 1, 2)):
        torch.manual_seed(i)
        np.random.seed(i)
        PGcGAN(seed=seed, steps=4, **SMALL).fit(people).save(tmp_path / str(i))
        arrays.append((tmp_path / str(i) / "arrays.safetensors").read_bytes())
    assert arrays[0] == arrays[1] != arrays[2]


def test_an_interrupted_training_gives_the_bytes_of_an_uninterrupted_one(tmp_path: Path) -> None:
    people, settings = cohort(people=120), {"seed": 1, "steps": 8, "validation": 0.2, **SMALL}
    PGcGAN(**settings).fit(people).save(tmp_path / "whole")

    def interrupt(event: dict[str, Any]) -> None:
        if event["step"] == 3:
            os.kill(os.getpid(), signal.SIGINT)

    where, events = tmp_path / "halves", list[dict[str, Any]]()
    with pytest.raises(KeyboardInterrupt):
        PGcGAN(**settings).fit(people, directory=where, on_event=interrupt)
    assert {p.name for p in where.iterdir()} == {"run.json", "training.safetensors"}
    with pytest.raises(ModelError, match="--resume"):
        PGcGAN.load(where)
    PGcGAN(**settings).fit(people, directory=where, resume=True, on_event=events.append).save(where)
    assert [e["step"] for e in events] == [5, 6, 7, 8]
    assert not (where / "training.safetensors").exists()
    for name in ("arrays.safetensors", "sites.json"):
        assert (where / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_what_cannot_be_resumed(tmp_path: Path) -> None:
    people, where = cohort(), tmp_path / "training"
    with pytest.raises(ModelError, match="training"):
        PGcGAN(steps=2, **SMALL).fit(people, directory=where, resume=True)
    with pytest.raises(UsageError, match="directory"):
        PGcGAN(steps=2, **SMALL).fit(people, resume=True)
    PGcGAN(steps=2, **SMALL).fit(people, directory=where)
    for model, other in ((PGcGAN(steps=3, **SMALL), people), (PGcGAN(steps=2, **SMALL), cohort(people=50))):
        with pytest.raises(ModelError, match="parameters|people"):
            model.fit(other, directory=where, resume=True)


def test_a_finished_model_stays_until_the_new_one_is_saved(tmp_path: Path) -> None:
    where = tmp_path / "model"
    PGcGAN(steps=1, **SMALL).fit(cohort(), directory=where).save(where)
    before = (where / "arrays.safetensors").read_bytes()
    with pytest.raises(UsageError, match="model"):
        PGcGAN(steps=2, **SMALL).fit(cohort(), directory=where)
    model = PGcGAN(steps=2, **SMALL).fit(cohort(), directory=where, force=True)
    assert (where / "arrays.safetensors").read_bytes() == before
    model.save(where, force=True)
    assert (where / "arrays.safetensors").read_bytes() != before
    assert {p.name for p in where.iterdir()} == {"model.json", "sites.json", "arrays.safetensors", "MODEL_CARD.md"}


def test_the_gan_learns_what_the_chain_forgets() -> None:
    """Two kinds of haplotypes that differ everywhere: a chain of the first order forgets which kind it is on."""
    random = np.random.default_rng(3)
    kinds = random.integers(2, size=(600, 1))
    states = np.where(random.random((600, 24)) < 0.25, random.integers(2, size=(600, 24)), kinds).astype(np.int8)
    variants = Variants(["1"] * 24, 100 * np.arange(24) + 1, [f"s{i}" for i in range(24)], ["A"] * 24, ["C"] * 24)
    label = np.array(["x"] * 300, dtype=object)
    calls = states.reshape(300, 2, 24).transpose(2, 0, 1)
    people = Genotypes(calls, variants, [f"p{i}" for i in range(300)], {"super_pop": label}, phased=True)
    settings = {"max_sites": 1, "longest_run": 1, "batch": 32, "width": 16, "critic_width": 16, "threads": 1}

    def ends_agree(steps: int) -> float:
        rows = (
            PGcGAN(steps=steps, average=0.9, learning_rate=5e-3, **settings)
            .fit(people)
            .sample(1000, seed=1)
            .haplotypes()
        )
        return float(np.corrcoef(rows[:, :4].sum(axis=1), rows[:, -4:].sum(axis=1))[0, 1])

    real = float(np.corrcoef(states[:, :4].sum(axis=1), states[:, -4:].sum(axis=1))[0, 1])
    untrained, trained = ends_agree(0), ends_agree(200)
    assert untrained < 0.3 < real - 0.3
    assert trained > untrained + 0.15


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", -1), ("minutes", -1.0), ("batch", 0), ("learning_rate", 0.0), ("penalty", -0.1),
        ("penalty_interval", 0), ("temperature", 0.0), ("average", 1.5), ("min_carriers", 0),
        ("coverage", 1.5), ("validation", 0.9), ("patience", -1), ("threads", -1), ("device", "tpu"),
    ],
)  # fmt: skip
def test_parameters_that_are_off(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=name) as caught:
        PGcGAN(**{name: value}).check_parameters()
    assert str(value) in str(caught.value)


def test_more_processes_than_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(UsageError, match=r"fewer GPUs \(1\) than processes") as caught:
        PGcGAN().check_parameters()
    assert "--nproc-per-node" in str(caught.value) and "--device cpu" in str(caught.value)
    PGcGAN(device="cpu").check_parameters()
