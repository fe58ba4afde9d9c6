"""The networks against their descriptions: the published one number by number, the generator against the chain."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from pgcgan.generators.gan.networks import (
    PRESETS,
    HaplotypeGenerator,
    LabelEmbedding,
    NetworkConfig,
    PaperDiscriminator,
    PaperGenerator,
    PersonCritic,
    evenly_drawn,
    raked,
)
from pgcgan.generators.haplotype import Chain, Prior, fit_chain, fit_prior

SMALL = NetworkConfig(embedding=8, hidden=16, critic_features=4)
SIZES = [3, 1, 4, 2]
TABLE = np.array([[0, 0], [0, 1], [1, 2]])  # three combinations of two columns


def trainable(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


# ---- the published network ----------------------------------------------------------------------------------------


def test_parameters_of_the_published_network() -> None:
    # 7,160 sites, five labels: the summary printed by the authors' notebook
    with torch.device("meta"):
        generator, discriminator = PaperGenerator(7160, 5), PaperDiscriminator(7160, 5)
    assert trainable(generator) == 46_450_936
    statistics = [b for name, b in generator.named_buffers() if "num_batches_tracked" not in name]
    assert sum(b.numel() for b in statistics) == 1_280
    assert trainable(generator) + 1_280 == 46_452_216
    assert trainable(discriminator) == 117_512_481
    assert not list(discriminator.buffers())


def test_layers_of_the_published_network() -> None:
    with torch.device("meta"):
        generator, discriminator = PaperGenerator(7160, 5), PaperDiscriminator(7160, 5)
    shapes = {name: tuple(p.shape) for name, p in generator.named_parameters()}
    assert shapes == {
        "label.weight": (5, 100),
        "dense.weight": (1790 * 256, 100),
        "norm0.weight": (256,),
        "norm0.bias": (256,),
        "conv1.weight": (256, 256, 7),
        "norm1.weight": (256,),
        "norm1.bias": (256,),
        "conv2.weight": (128, 256, 5),
        "norm2.weight": (128,),
        "norm2.bias": (128,),
        "conv3.weight": (4, 128, 5),
        "conv3.bias": (4,),
    }
    shapes = {name: tuple(p.shape) for name, p in discriminator.named_parameters()}
    assert shapes == {
        "label.weight": (5, 28_640),
        "conv1.weight": (64, 4, 5),
        "conv1.bias": (64,),
        "conv2.weight": (128, 64, 7),
        "conv2.bias": (128,),
        "dense.weight": (512, 1790 * 128),
        "dense.bias": (512,),
        "score.weight": (1, 512),
        "score.bias": (1,),
    }
    assert (discriminator.conv1.stride, discriminator.conv2.stride) == ((2,), (2,))
    assert (generator.conv1.stride, generator.conv2.stride, generator.conv3.stride) == ((1,), (1,), (1,))
    for norm in (generator.norm0, generator.norm1, generator.norm2):
        # Keras' momentum .9 is the share that stays, torch's the share that is new
        assert (norm.momentum, norm.eps) == (pytest.approx(1 - 0.9), 2e-5)


def keras_convolution(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, stride: int) -> np.ndarray:
    """Return a "same" convolution after TensorFlow's rule: x (length, in), weight as in torch (out, in, kernel)."""
    kernel, length = weight.shape[2], -(-len(x) // stride)
    padding = max((length - 1) * stride + kernel - len(x), 0)
    x = np.pad(x, ((padding // 2, padding - padding // 2), (0, 0)))
    out = np.stack([np.einsum("ki,oik->o", x[i * stride : i * stride + kernel], weight) for i in range(length)])
    return out if bias is None else out + bias


def leaky(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, 0.3 * x)


def parameters(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: t.detach().double().numpy() for name, t in module.state_dict().items()}


def test_the_published_generator_computes_what_the_description_says() -> None:
    torch.manual_seed(1)
    generator = PaperGenerator(10, 2).eval()
    for norm in (generator.norm0, generator.norm1, generator.norm2):
        norm.running_mean.normal_(), norm.running_var.uniform_(0.5, 2), nn.init.normal_(norm.weight)
    noise, label = torch.randn(3, 100), torch.tensor([0, 1, 1])
    with torch.no_grad():
        generator.label.weight.mul_(20)
        found = generator(noise, label).numpy()
    w = parameters(generator)

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        scaled = (x - w[f"{name}.running_mean"]) / np.sqrt(w[f"{name}.running_var"] + 2e-5)
        return leaky(scaled * w[f"{name}.weight"] + w[f"{name}.bias"])

    assert found.shape == (3, 10, 4)  # 10 sites are 12 inside
    for i in range(3):
        x = (w["dense.weight"] @ (noise[i].numpy() * w["label.weight"][label[i]])).reshape(3, 256)
        x = np.repeat(keras_convolution(norm(x, "norm0"), w["conv1.weight"], None, 1), 2, axis=0)
        x = np.repeat(keras_convolution(norm(x, "norm1"), w["conv2.weight"], None, 1), 2, axis=0)
        x = keras_convolution(norm(x, "norm2"), w["conv3.weight"], w["conv3.bias"], 1)
        x = np.exp(x - x.max(axis=1, keepdims=True))
        x /= x.sum(axis=1, keepdims=True)
        assert x.shape == (12, 4)
        assert np.allclose(found[i], x[:10], atol=1e-5)


@pytest.mark.parametrize("sites", [8, 10])
def test_the_published_discriminator_computes_what_the_description_says(sites: int) -> None:
    torch.manual_seed(2)
    discriminator = PaperDiscriminator(sites, 2).eval()
    label = torch.tensor([1, 0])
    with torch.no_grad():
        discriminator.label.weight.mul_(20)
        for bias in (discriminator.conv1.bias, discriminator.conv2.bias, discriminator.dense.bias):
            bias.normal_()
        onehot = nn.functional.one_hot(torch.randint(4, (2, sites)), 4).float()
        found = discriminator(onehot, label).numpy()
    w = parameters(discriminator)
    padded = -(-sites // 4) * 4
    assert found.shape == (2,)
    for i in range(2):
        x = np.zeros((padded, 4))
        x[:sites] = onehot[i].numpy()
        x = leaky((x.ravel() * w["label.weight"][label[i]]).reshape(padded, 4))
        x = leaky(keras_convolution(x, w["conv1.weight"], w["conv1.bias"], 2))
        assert len(x) == padded // 2
        x = leaky(keras_convolution(x, w["conv2.weight"], w["conv2.bias"], 2))
        assert len(x) == padded // 4
        x = leaky(w["dense.weight"] @ x.ravel() + w["dense.bias"])
        assert np.allclose(found[i], w["score.weight"] @ x + w["score.bias"], atol=1e-4)


def test_the_published_output_is_probabilities_and_the_discriminator_drops_out() -> None:
    torch.manual_seed(3)
    generator, discriminator = PaperGenerator(13, 3), PaperDiscriminator(13, 3)
    label = torch.tensor([0, 1, 2, 2])
    made = generator(torch.randn(4, 100), label)
    assert made.shape == (4, 13, 4)
    assert torch.allclose(made.sum(dim=2), torch.ones(4, 13))
    assert not torch.equal(discriminator(made, label), discriminator(made, label))
    discriminator.eval()
    assert torch.equal(discriminator(made, label), discriminator(made, label))


# ---- the haplotype generator --------------------------------------------------------------------------------------


def fitted() -> tuple[Chain, np.ndarray, np.ndarray]:
    """Return a chain over three labels, its codes (some unknown) and labels."""
    random = np.random.default_rng(1)
    label = random.integers(3, size=500)
    codes, before = np.empty((500, len(SIZES)), dtype=np.int64), label
    for b, size in enumerate(SIZES):
        codes[:, b] = np.where(random.random(500) < 0.6, (before + label) % size, random.integers(size, size=500))
        before = codes[:, b]
    codes[random.random(codes.shape) < 0.1] = -1
    return fit_chain(codes, label, SIZES, 3), codes, label


def prior() -> Prior:
    """Return the prior over the same codes; two blocks are enough for a run."""
    _, codes, label = fitted()
    return fit_prior(codes, label, np.arange(500) // 2, SIZES, 3, 2)


def generator(rows_per_person: int = 2, config: NetworkConfig = SMALL, untrained: bool = True) -> HaplotypeGenerator:
    torch.manual_seed(5)
    made = HaplotypeGenerator(config, prior(), TABLE, rows_per_person).eval()
    if not untrained:
        nn.init.normal_(made.weight)
        nn.init.normal_(made.bias)
    return made


def chain_of(chain: Chain, codes: np.ndarray, label: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(chain.log_probs(b, codes[:, b - 1], label)) for b in range(len(SIZES))]


def test_an_untrained_generator_has_the_likelihood_of_the_chain() -> None:
    chain, codes, label = fitted()
    expected = np.zeros(len(codes))
    for b in range(len(SIZES)):
        log_probs = chain.log_probs(b, codes[:, b - 1], label)
        expected += np.where(codes[:, b] >= 0, log_probs[np.arange(len(codes)), np.maximum(codes[:, b], 0)], 0)
    made, rows = generator(), torch.as_tensor(label)
    with torch.no_grad():
        found = made.negative_log_likelihood(
            torch.as_tensor(codes), made.condition(rows, torch.as_tensor(codes)), chain_of(chain, codes, label)
        )
    assert np.allclose(-found.numpy(), expected, atol=1e-4)


def test_an_untrained_generator_draws_from_the_chain() -> None:
    made, people = generator(), 10_000
    made.prior = made.prior.chain_alone()
    chain = made.prior.chain
    label = torch.arange(3).repeat_interleave(people)
    with torch.no_grad():
        codes, onehots = made.people(label, torch.Generator().manual_seed(2))
    assert codes.shape == (3 * people, 2, 4)
    assert onehots == [[], []]
    for own in range(3):
        marginal = np.exp(chain.log_probs(0, np.zeros(1, int), np.array([own]))[0])
        for b, size in enumerate(SIZES):
            if b:
                before = np.arange(SIZES[b - 1])
                marginal = marginal @ np.exp(chain.log_probs(b, before, np.full(len(before), own)))
            for haplotype in (0, 1):
                drawn = codes[label == own, haplotype, b].numpy()
                assert drawn.max() < size
                share = np.bincount(drawn, minlength=size) / people
                assert np.allclose(share, marginal, atol=5 * 0.5 / np.sqrt(people))
        # and transitions, not only margins
        first, second = codes[label == own, :, 2].ravel(), codes[label == own, :, 3].ravel()
        share = np.bincount(second[first == 1], minlength=2) / int((first == 1).sum())
        expected = np.exp(chain.log_probs(3, np.ones(1, int), np.array([own]))[0])
        assert np.allclose(share, expected, atol=5 * 0.5 / np.sqrt(int((first == 1).sum())))


def test_what_is_drawn_is_what_the_likelihood_says() -> None:
    # a trained generator: shares of whole rows against exp(-negative log-likelihood)
    made, people = generator(untrained=False), 20_000
    chain, _, _ = fitted()
    with torch.no_grad():
        label = torch.full((people,), 1)
        drawn, _ = made.rows(label, made.condition(label, None), torch.Generator().manual_seed(3))
        every = torch.cartesian_prod(*(torch.arange(k) for k in SIZES))
        own = torch.full((len(every),), 1)
        nats = made.negative_log_likelihood(
            every, made.condition(own, None), chain_of(chain, every.numpy(), own.numpy())
        )
    probability = np.exp(-nats.numpy())
    assert probability.sum() == pytest.approx(1, abs=1e-4)
    index = np.ravel_multi_index(drawn.numpy().T, SIZES)
    share = np.bincount(index, minlength=len(every)) / people
    assert np.allclose(share, probability, atol=5 * 0.5 / np.sqrt(people))


def test_a_mixture_is_drawn_from_both() -> None:
    made, people = generator(untrained=False), 40_000
    label = torch.full((people,), 1)
    shares = {}
    for share in (0.0, 0.3, 1.0):
        made.share.fill_(share)
        with torch.no_grad():
            drawn, _ = made.rows(label, made.condition(label, None), torch.Generator().manual_seed(3))
        shares[share] = np.bincount(drawn[:, 0].numpy(), minlength=SIZES[0]) / people
    # in the first block, where nothing has been drawn yet, the shares mix
    expected = 0.7 * shares[0.0] + 0.3 * shares[1.0]
    assert np.allclose(shares[0.3], expected, atol=8 * 0.5 / np.sqrt(people))
    assert not np.allclose(shares[1.0], shares[0.0], atol=0.05)
    # without the network it is the prior, contexts and all
    walk = made.prior.walk(np.full(people, 1))
    made.share.fill_(0.0)
    with torch.no_grad():
        drawn, _ = made.rows(label, made.condition(label, None), torch.Generator().manual_seed(5))
    for b, size in enumerate(SIZES):
        expected = np.exp(walk.log_probs()).mean(axis=0)
        assert np.allclose(np.bincount(drawn[:, b].numpy(), minlength=size) / people, expected, atol=0.015)
        walk.step(drawn[:, b].numpy())


def test_a_copy_shares_the_prior_and_not_the_weights() -> None:
    made = generator(untrained=False)
    copied = copy.deepcopy(made)
    assert copied.prior is made.prior
    with torch.no_grad():
        made.weight.zero_()
    assert float(copied.weight.abs().sum()) > 0


def test_sharpened_draws_are_powers_of_the_probabilities() -> None:
    made, people = generator(), 20_000  # untrained: the chain
    chain, _, _ = fitted()
    made.sharpening.fill_(2.0)
    label = torch.full((people,), 1)
    with torch.no_grad():
        drawn, _ = made.rows(label, made.condition(label, None), torch.Generator().manual_seed(4))
    # block 1 has one code, so that block 2 depends on the label alone
    for block, factor in ((0, 1), (2, 2)):  # three codes may be a single site, four are a haplotype
        power = np.exp(factor * chain.log_probs(block, np.zeros(1, dtype=int), np.array([1]))[0])
        share = np.bincount(drawn[:, block].numpy(), minlength=SIZES[block]) / people
        assert np.allclose(share, power / power.sum(), atol=5 * 0.5 / np.sqrt(people))


def test_unknown_codes_add_nothing_to_the_likelihood() -> None:
    made = generator(untrained=False)
    chain, _, _ = fitted()
    full, label = torch.tensor([[2, 0, 3, 1]]), torch.tensor([0])

    def nats(codes: list[int]) -> float:
        tensor = torch.tensor([codes])
        with torch.no_grad():
            found = made.negative_log_likelihood(
                tensor, made.condition(label, None), chain_of(chain, tensor.numpy(), label.numpy())
            )
        return float(found)

    assert nats([-1, -1, -1, -1]) == 0
    # the last one is a factor of its own: the others do not see it
    log_probs = chain.log_probs(3, np.array([3]), np.array([0]))
    with torch.no_grad():
        index = torch.cat([torch.tensor([[made.codes.num_embeddings - 1]]), made._index(full)[:, :-1]], dim=1)
        hidden = made.recurrent(made.codes(index.T) + made.condition(label, None))[0][3]
        last = made.readouts()[3](hidden, torch.from_numpy(log_probs))[0, 1]
    assert nats([2, 0, 3, 1]) - nats([2, 0, 3, -1]) == pytest.approx(-float(last), abs=1e-5)


def test_hidden_codes_are_not_seen() -> None:
    made, (chain, codes, label) = generator(untrained=False), fitted()
    rows, tensor = torch.as_tensor(label), torch.as_tensor(codes)

    def seen(token_dropout: float) -> torch.Tensor:
        made.zero_grad()
        nats = made.negative_log_likelihood(
            tensor, made.condition(rows, None), chain_of(chain, codes, label), token_dropout
        )
        nats.sum().backward()
        assert made.codes.weight.grad is not None
        return made.codes.weight.grad.abs().sum(dim=1) > 0

    total = sum(SIZES)
    # the last block's codes are predicted, never given
    assert seen(0.0)[: total - SIZES[-1]].all()
    hidden = seen(1.0)
    assert not hidden[:total].any()
    assert hidden[total:-2].all()
    assert hidden[-1]


def test_embeddings_of_label_columns_add() -> None:
    embedding = LabelEmbedding(TABLE, 6)
    assert [tuple(c.weight.shape) for c in embedding.columns] == [(2, 6), (3, 6)]
    first, second = (c.weight.detach() for c in embedding.columns)
    found = embedding(torch.tensor([0, 1, 2]))
    assert torch.allclose(found, torch.stack([first[0] + second[0], first[0] + second[1], first[1] + second[2]]))


def test_the_second_haplotype_knows_the_first_as_far_as_ancestry_goes() -> None:
    made = generator(untrained=False)
    label = torch.zeros(2, dtype=torch.long)
    mates = torch.tensor([[0, 0, 0, 0], [2, 0, 3, 1]])
    with torch.no_grad():
        one, other = made.condition(label, mates)
        assert not torch.allclose(one, other)
        assert torch.equal(*made.condition(label, None))
        # noise on the ancestry in training only
        assert torch.equal(made.condition(label, mates), made.condition(label, mates))
        made.train()
        assert not torch.equal(made.condition(label, mates), made.condition(label, mates))
    alone = generator(config=dataclasses.replace(SMALL, ancestry=0))
    with torch.no_grad():
        assert torch.equal(alone.condition(label, mates), alone.condition(label, None))


def test_gradients_go_straight_through_to_every_parameter() -> None:
    made = generator(untrained=False)
    label = torch.tensor([0, 1, 2, 0, 1, 2])
    codes, onehots = made.people(label, torch.Generator().manual_seed(1), relaxed=0.7)
    for haplotype, rows in enumerate(onehots):
        for b, (size, onehot) in enumerate(zip(SIZES, rows, strict=True)):
            # forward they are the codes drawn, whatever the temperature
            expected = nn.functional.one_hot(codes[:, haplotype, b], size).float()
            assert torch.allclose(onehot.detach(), expected, atol=1e-6)
    noise = torch.Generator().manual_seed(2)
    score = sum((o * torch.randn(o.shape[1], generator=noise)).sum() for rows in onehots for o in rows)
    assert isinstance(score, torch.Tensor)
    score.backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 0, name
    assert made.people(label, torch.Generator().manual_seed(1))[1] == [[], []]


def test_raking_meets_the_targets() -> None:
    made = generator(untrained=False)
    nn.init.normal_(made.weight, std=0.2)
    nn.init.normal_(made.bias, std=0.3)
    random = np.random.default_rng(3)
    chain, _, _ = fitted()
    target = []
    for b in range(len(SIZES)):
        frequency = chain.label_frequency(b) * random.uniform(0.8, 1.2, size=(3, SIZES[b]))
        target.append(torch.as_tensor(frequency / frequency.sum(axis=1, keepdims=True), dtype=torch.float32))
    label = torch.arange(3).repeat_interleave(4000)

    def furthest() -> float:
        with torch.no_grad():
            drawn, _ = made.rows(label, made.condition(label, None), torch.Generator().manual_seed(9))
        shares = [
            torch.stack([torch.bincount(drawn[label == k, b], minlength=n) / 4000 for k in range(3)])
            for b, n in enumerate(SIZES)
        ]
        return max(float((s - t).abs().max()) for s, t in zip(shares, target, strict=True))

    before = furthest()
    with torch.no_grad():
        made.rows(label, made.condition(label, None), torch.Generator().manual_seed(4), rake=target)
    assert furthest() < 4 * 0.5 / np.sqrt(4000) < before


def test_raked_means_are_the_targets() -> None:
    torch.manual_seed(3)
    label, logits = torch.arange(3).repeat_interleave(2000), torch.randn(6000, 4)
    target = torch.softmax(torch.randn(3, 4), dim=1)
    bias = raked(logits, label, target)
    means = torch.stack([(logits[label == k] + bias[k]).softmax(dim=1).mean(dim=0) for k in range(3)])
    assert torch.allclose(means, target, atol=2e-3)
    # a label without rows is left alone
    assert not raked(logits[:4000], label[:4000], target)[2].any()


def test_even_draws_have_the_expected_counts() -> None:
    torch.manual_seed(2)
    label = torch.arange(2).repeat_interleave(3000)
    # a few kinds of rows in each label, in any order, and one kind that knows what it will be
    kinds = torch.randn(7, 5)
    kinds[0, 2] = 30.0
    logits = kinds[torch.randint(7, (6000,))]
    logits[label == 1] = kinds[torch.randint(3, (3000,))]
    probability = logits.softmax(dim=1)
    drawn = evenly_drawn(logits, label, torch.Generator().manual_seed(1))
    assert (drawn[probability[:, 2] > 0.999] == 2).all()
    for own in (0, 1):
        counts = torch.bincount(drawn[label == own], minlength=5)
        expected = probability[label == own].sum(dim=0)
        # independent draws would be off by about sqrt(3000 p (1 - p)), 20 here
        assert float((counts - expected).abs().max()) < 8
    # the two haplotypes of a person, drawn one after the other, are no pair, nor are neighbours
    alike, same = kinds[:1].expand(6000, 5), torch.zeros(6000, dtype=torch.long)
    noise = torch.Generator().manual_seed(2)
    one, two = evenly_drawn(alike, same, noise), evenly_drawn(alike, same, noise)
    expected = float((alike[0].softmax(dim=0) ** 2).sum())
    for a, b in ((one, two), (one[:-1], one[1:])):
        assert float((a == b).double().mean()) == pytest.approx(expected, abs=0.03)
    # the first of those that are alike are spread as evenly as all
    for first in (320, 1024):
        counts = torch.bincount(one[:first], minlength=5)
        assert float((counts - first * alike[0].softmax(dim=0)).abs().max()) < 4  # independent ones: about 8 and 15
    # rows alike are not all told the same
    assert len(set(drawn[(logits == kinds[1]).all(dim=1)].tolist())) == 5


def test_the_haplotypes_of_a_person_agree_as_often_as_their_ancestry_makes_them() -> None:
    """Given their ancestry they are independent: dealt in one go they would get opposite numbers."""
    torch.manual_seed(5)
    made, label = generator(), torch.zeros(6000, dtype=torch.long)
    made.loadings = 0.7 * torch.randn(sum(made.sizes), 1)
    made.spread = torch.ones(len(TABLE), 1, 1)
    codes, _ = made.people(label, torch.Generator().manual_seed(3))
    ancestry = torch.randn(20_000, 1)
    log_probs = torch.from_numpy(made.prior.walk(np.zeros(1, dtype=np.int64)).log_probs())
    chance = (log_probs + ancestry @ made.loadings[: made.sizes[0]].T + made.label_bias[0, : made.sizes[0]]).softmax(1)
    agreed = (codes[:, 0, 0] == codes[:, 1, 0]).double().mean()
    assert float(agreed) == pytest.approx(float((chance**2).sum(dim=1).mean()), abs=0.02)
    # more than people who have nothing to do with each other
    assert float(agreed) > float((chance.mean(dim=0) ** 2).sum()) + 0.02


# ---- the critic of persons ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("blocks", [1, 2, 5, 9])
def test_the_critic_does_not_know_which_haplotype_is_first(blocks: int) -> None:
    random = np.random.default_rng(blocks)
    edges = np.concatenate([[0], np.cumsum(random.integers(1, 6, size=blocks))])
    sites = int(edges[-1])
    torch.manual_seed(1)
    critic = PersonCritic(SMALL, edges, random.random(sites), random.normal(size=(3, sites)), TABLE)
    states, label = torch.rand(6, 2, sites), torch.tensor([0, 1, 2, 0, 1, 2])
    with torch.no_grad():
        score = critic(states, label)
        assert score.shape == (6,)
        assert torch.allclose(score, critic(states.flip(1), label), atol=1e-6)
        assert not torch.allclose(score, critic(states, label.flip(0)), atol=1e-6)
        # two haplotypes are seen together: it is not a sum over haplotypes
        halves = (critic(states[:, :1], label) + critic(states[:, 1:], label)) / 2
        assert not torch.allclose(score, halves, atol=1e-6)
        assert critic(states[:, :1], label).shape == (6,)


def test_presets() -> None:
    assert {name: config.family for name, config in PRESETS.items()} == {"haplotype": "haplotype", "paper": "paper"}
