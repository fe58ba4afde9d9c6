"""The networks against their descriptions: the published one number by number, the tilting one against its parts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from pgcgan.generators.gan.networks import (
    MAX_POSITIONS,
    BlockLayout,
    Convolution,
    Critic,
    Features,
    ModulatedLayer,
    TiltGenerator,
)
from pgcgan.generators.gan.paper import PaperDiscriminator, PaperGenerator

SIZES = [3, 1, 12, 2, 11]


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


# ---- the layout of blocks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [SIZES, [4], [2] * 300])
def test_every_code_has_one_place(sizes: list[int]) -> None:
    layout = BlockLayout(sizes)
    places: list[int] = []
    for g, group in enumerate(layout.groups):
        for i, block in enumerate(group.blocks.tolist()):
            assert layout.where[block] == (g, i)
            own = group.places[i][group.valid[i]].tolist()
            assert own == list(range(sum(sizes[:block]), sum(sizes[: block + 1])))
            assert int(group.positions[i]) == int(layout.position[block])
            places += own
    assert sorted(places) == list(range(sum(sizes)))


def test_blocks_of_like_sizes_are_computed_together() -> None:
    # 12 and 11 codes; 3 and 2 and 1 differ by more than three tenths
    assert [group.blocks.tolist() for group in BlockLayout(SIZES).groups] == [[2, 4], [0], [3], [1]]


def test_many_blocks_share_positions() -> None:
    layout = BlockLayout([2] * 300)
    assert layout.positions <= MAX_POSITIONS
    assert layout.position.tolist() == [b // 4 for b in range(300)]
    assert BlockLayout([2] * MAX_POSITIONS).positions == MAX_POSITIONS


# ---- convolutions as matrix products ------------------------------------------------------------------------------


@pytest.mark.parametrize(("kernel", "stride", "length"), [(3, 1, 7), (4, 2, 8), (4, 2, 9), (3, 1, 1), (4, 2, 1)])
def test_a_convolution_is_that_of_torch(kernel: int, stride: int, length: int) -> None:
    torch.manual_seed(1)
    convolution, x = Convolution(5, 6, kernel, stride), torch.randn(2, length, 5)
    weight = convolution.linear.weight.view(6, kernel, 5).transpose(1, 2)
    left = (kernel - stride) // 2
    right = kernel - stride - left + -length % stride
    padded = functional.pad(x.transpose(1, 2), (left, right))
    expected = functional.conv1d(padded, weight, convolution.linear.bias, stride=stride).transpose(1, 2)
    assert expected.shape[1] == -(-length // stride)
    assert torch.allclose(convolution(x), expected, atol=1e-6)


def test_a_modulated_layer_scales_and_shifts_by_the_condition() -> None:
    torch.manual_seed(1)
    layer = ModulatedLayer(4, 3, 2, upsample=2)
    x, condition = torch.randn(5, 6, 4), torch.randn(5, 2)
    found = layer(x, condition)
    assert found.shape == (5, 12, 3)
    convolved = layer.convolution(x).detach().numpy().reshape(5, 12, 3)
    film = (condition @ layer.film.weight.T + layer.film.bias).detach().numpy()
    gain, shift = film[:, None, :3], film[:, None, 3:]
    y = convolved * (1 + gain) + shift
    skipped = np.repeat(layer.skip(x).detach().numpy(), 2, axis=1)
    assert np.allclose(found.detach().numpy(), skipped + np.where(y > 0, y, 0.2 * y), atol=1e-5)


# ---- the generator and the critic ---------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [SIZES, [2] * 300, [5]])
def test_the_tilt_has_a_number_for_every_code_and_is_small_at_the_start(sizes: list[int]) -> None:
    torch.manual_seed(1)
    generator = TiltGenerator(sizes, 3, width=16, noise=8)
    tilts = generator(torch.randn(6, 8), torch.tensor([0, 1, 2, 0, 1, 2]))
    groups = generator.layout.groups
    assert [tuple(t.shape) for t in tilts] == [(len(g.blocks), 6, g.places.shape[1]) for g in groups]
    assert max(float(t.detach().abs().max()) for t in tilts) < 1


def test_label_and_noise_are_multiplied() -> None:
    torch.manual_seed(1)
    generator = TiltGenerator(SIZES, 2, width=16, noise=8)
    with torch.no_grad():
        generator.label.weight[1] = 2 * generator.label.weight[0]
    noise = torch.randn(1, 8)
    one, other = generator(2 * noise, torch.tensor([0])), generator(noise, torch.tensor([1]))
    assert all(torch.allclose(a, b) for a, b in zip(one, other, strict=True))


def small_critic(sizes: list[int]) -> Critic:
    torch.manual_seed(2)
    return Critic(sizes, 2, torch.randn(sum(sizes), 4), torch.randn(sum(sizes), 3), width=16)


def some_codes(sizes: list[int], rows: int) -> Tensor:
    return torch.stack([torch.randint(size, (rows,)) for size in sizes], dim=1)


def by_onehots(critic: Critic, onehots: list[Tensor], label: Tensor) -> Tensor:
    """Score rows of one-hot codes of each block, as a function that autograd can take the gradient of."""
    of_blocks = critic.codes.split(critic.layout.sizes)
    profile = torch.stack([o @ c for o, c in zip(onehots, of_blocks, strict=True)], dim=1)
    shared = torch.zeros(len(label), critic.layout.positions, profile.shape[2])
    profile = shared.index_add(1, critic.layout.position, profile)
    parts = critic.components.split(critic.layout.sizes)
    components = torch.stack([o @ c for o, c in zip(onehots, parts, strict=True)]).sum(0)
    return critic.scores(Features(profile, components), label)


@pytest.mark.parametrize("sizes", [SIZES, [2] * 200])
def test_the_slope_by_codes_is_that_of_one_hot_codes(sizes: list[int]) -> None:
    critic, codes, label = small_critic(sizes), some_codes(sizes, 5), torch.tensor([0, 1, 1, 0, 1])
    onehots = [functional.one_hot(codes[:, b], k).float().requires_grad_() for b, k in enumerate(sizes)]
    expected = torch.autograd.grad(by_onehots(critic, onehots, label).sum(), onehots)
    scores, features = critic(codes, label)
    assert torch.allclose(scores, by_onehots(critic, onehots, label), atol=1e-5)
    slopes = critic.code_slopes(Features(*torch.autograd.grad(scores.sum(), features)))
    for group, slope in zip(critic.layout.groups, slopes, strict=True):
        assert not slope.transpose(1, 2)[~group.valid].any()
        for i, block in enumerate(group.blocks.tolist()):
            assert torch.allclose(slope[i][:, group.valid[i]], expected[block], atol=1e-5)


def test_unknown_codes_add_nothing() -> None:
    critic, label = small_critic(SIZES), torch.tensor([0, 1, 1])
    codes, known = some_codes(SIZES, 3), torch.ones(3, len(SIZES), dtype=torch.bool)
    known[1, 2] = False
    other = codes.clone()
    other[1, 2] = (codes[1, 2] + 1) % SIZES[2]
    assert torch.equal(critic(codes, label, known)[0], critic(other, label, known)[0])
    assert not torch.equal(critic(codes, label)[0][1], critic(other, label)[0][1])


def test_the_score_is_projected_on_the_label() -> None:
    critic, codes = small_critic(SIZES), some_codes(SIZES, 2)
    with torch.no_grad():
        critic.label.weight[1] = -critic.label.weight[0]
    zeros, ones = (critic(codes, torch.full((2,), k))[0] for k in (0, 1))
    with torch.no_grad():
        critic.label.weight.zero_()
    assert torch.allclose((zeros + ones) / 2, critic(codes, torch.zeros(2, dtype=torch.long))[0], atol=1e-6)
    assert math.isfinite(float(zeros.sum().detach()))
