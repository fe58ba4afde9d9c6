"""One training step of the conditional GAN: a critic of haplotypes against a generator that tilts a chain."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...numerics import nearest_distances
from ..haplotype.blocks import Blocks
from ..haplotype.drawing import rake
from .drawing import TiltSampler, ancestry_terms, draw_codes, gumbel_noise, straight_through
from .networks import MAX_POSITIONS, Critic, Features, TiltGenerator
from .parallel import own_rows, wrapped
from .trainer import Task, mixed_seed

if TYPE_CHECKING:
    from .model import PGcGAN

# steps, or share of a shorter training, in which the generator's learning rate rises; with 100 steps the generator is
# thrown off where it leaves its start near zero (HLA: step 44, the loss of the critic falls from .67 to .04)
WARM_UP, WARM_UP_SHARE = 600, 0.15
DECAY = 0.3  # of the training: the last part, in which the learning rate falls to nothing
_LEAST_VALIDATION = 40  # rows, below which nothing is measured that could be trusted
_MEASURED_ROWS, _MEASURED_SITES = 1000, 2000
_LEADING, _COMPONENTS = 16, 96  # numbers of a position, of a row, that the critic knows of codes from the start
_COMPONENT_ROWS = 2000  # training rows that principal components are of


class TiltTraining(Task):
    """The networks of a model that has its blocks and its code model, their optimisers, and a step.

    `codes` are those of all training rows, int64 (rows, blocks), -1 where unknown, with their labels (rows,). The rows
    of `validation` are kept out of the batches; the model is measured with them.
    """

    def __init__(
        self, model: PGcGAN, codes: np.ndarray, label: np.ndarray, validation: np.ndarray, device: torch.device
    ):
        self.model, self.coded, self.label, self.validation, self.device = model, codes, label, validation, device
        self.codes = torch.from_numpy(np.maximum(codes, 0))
        self.known = None if (codes >= 0).all() else torch.from_numpy(codes >= 0)
        self.trained_on = torch.from_numpy(np.setdiff1d(np.arange(len(codes)), validation))
        sizes, n_labels = model.code_model_.sizes, model.code_model_.n_labels
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(mixed_seed(model.seed))
            self.generator = TiltGenerator(sizes, n_labels, model.width).to(device)
            start = leading_components(model.blocks_), component_scores(model.blocks_, codes, model.seed)
            profile, components = map(torch.from_numpy, start)
            critic = Critic(sizes, n_labels, profile, components, model.critic_width)
            self.critic = critic.to(device)
        self.learned = self.average = copy.deepcopy(self.generator)
        self.networks = {"generator": self.generator, "average": self.average, "critic": self.critic}
        self.sampler = TiltSampler.untrained(model.code_model_, self.average)
        self.called = {name: wrapped(self.networks[name]) for name in ("generator", "critic")}
        self.optimisers = {
            name: torch.optim.Adam(self.networks[name].parameters(), model.learning_rate, betas=(0.0, 0.99), fused=True)
            for name in ("generator", "critic")
        }

    # ---- one step ---------------------------------------------------------------------------------------------

    def step(self, step: int, progress: float, rate_factor: float) -> dict[str, Tensor]:
        """Update the critic and the generator once, on the same synthetic rows; return the terms of the loss."""
        model, part, layout = self.model, own_rows(self.model.batch), self.generator.layout
        rate = rate_factor * model.learning_rate
        self.optimisers["critic"].param_groups[0]["lr"] = rate * decay(progress)
        self.optimisers["generator"].param_groups[0]["lr"] = rate * decay(progress) * warm_up(step, progress)
        for optimiser in self.optimisers.values():
            optimiser.zero_grad()
        chosen = self.trained_on[torch.randint(len(self.trained_on), (model.batch,))]
        noise = torch.randn(model.batch, self.generator.noise)[part].to(self.device)
        gumbel = [of_group[:, part] for of_group in gumbel_noise(layout, model.batch)]
        row_label, ancestry = self.label[chosen.numpy()], model.code_model_.ancestry
        if ancestry.axes:
            of_people = ancestry_terms(layout, ancestry, row_label, torch.randn(model.batch, ancestry.axes))
            gumbel = [g + term[:, part] for g, term in zip(gumbel, of_people, strict=True)]
        real = self.codes[chosen][part].to(self.device)
        known = None if self.known is None else self.known[chosen][part].to(self.device)
        row_label = row_label[part]
        label = torch.from_numpy(row_label).to(self.device)
        tilts = self.called["generator"](noise, label)
        fake, logits = draw_codes(layout, self.sampler.predictor(row_label), tilts, gumbel)
        both, both_known = torch.cat([label, label]), None if known is None else torch.cat([known, known])
        scores, features = self.called["critic"](torch.cat([real, fake]), both, both_known)
        penalise = model.penalty > 0 and step % model.penalty_interval == 0
        terms, slopes = self._critic_update(scores, features, penalise)
        by_code = self.critic.code_slopes(slopes)
        if known is not None:
            by_code = [
                slope * known.T[group.blocks][:, :, None] for slope, group in zip(by_code, layout.groups, strict=True)
            ]
        torch.autograd.backward(tilts, straight_through(logits, by_code, model.temperature))
        for optimiser in self.optimisers.values():
            optimiser.step()
        # the memory of the average is short at first, so that it does not drag the start along
        memory = min(model.average, (step + 1) / (step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.generator.parameters()), 1 - memory)
        return terms

    def _critic_update(self, scores: Tensor, features: Features, penalise: bool) -> tuple[dict[str, Tensor], Features]:
        """Set the gradient of the critic; return the terms, and the slope of the generator's loss by the features.

        The critic scores rows one by one, so that the gradient of its own loss by the features of a synthetic row,
        times the ratio of the derivatives of both losses by the score, is that of the generator's loss.
        """
        n = len(scores) // 2
        on_real, on_fake = scores[:n], scores[n:]
        features.profile.retain_grad()
        # relativistic pairing (R3GAN, Huang et al. 2024): mean softplus(D(fake) - D(real)); a pair has one label
        terms = {"critic": functional.softplus(on_fake - on_real).mean()}
        # the derivative of the generator's loss, mean softplus(D(real) - D(fake)), by each D(fake) (R3GAN)
        wanted = -torch.sigmoid((on_real - on_fake).detach()) / n
        of_row: Features | None = None
        if penalise:
            of_row = Features(*torch.autograd.grad(scores.sum(), features, create_graph=True))
            squared = torch.stack([s.square().sum((0, 2)) for s in self.critic.code_slopes(of_row)]).sum(0)
            weight = self.model.penalty * self.model.penalty_interval
            # zero-centred penalties (R3GAN): gamma / 2 E|∇D|² on real rows, R1, and on synthetic ones, R2
            terms["r1"], terms["r2"] = (weight / 2 * part.mean() for part in (squared[:n], squared[n:]))
        by_score = torch.autograd.grad(terms["critic"], on_fake, retain_graph=True)[0]
        torch.stack(list(terms.values())).sum().backward()
        if of_row is None:
            profile, components = features.profile.grad, features.components.grad
            assert profile is not None and components is not None
            of_row, wanted = Features(profile, components), wanted / by_score.clamp(min=1e-12)
        slopes = Features(*(f[n:].detach() * wanted.view(n, *[1] * (f.dim() - 1)) for f in of_row))
        return {name: term.detach() for name, term in terms.items()}, slopes

    # ---- measuring --------------------------------------------------------------------------------------------

    def measure(self) -> dict[str, float]:
        """Compare synthetic rows of the averaged generator with rows that were kept out of the batches.

        The score is how far the two sides of adversarial accuracy (Yale et al. 2020) are from 1/2.
        """
        if len(self.validation) < _LEAST_VALIDATION:
            return {}
        random, blocks = np.random.default_rng([self.model.seed, 12]), self.model.blocks_
        held_out = self.validation[:_MEASURED_ROWS]
        codes = rake(self.sampler, self.model.seed, most_rows=2048).draw(self.label[held_out], random)
        sites = np.unique(np.linspace(0, int(blocks.edges[-1]) - 1, _MEASURED_SITES).astype(int))
        synthetic, real = (
            blocks.decode(of_rows, random)[:, sites].astype(np.float32)
            for of_rows in (codes, self.codes[held_out].numpy())
        )
        truth = float((nearest_distances(real, synthetic) > nearest_distances(real)).mean())
        own = float((nearest_distances(synthetic, real) > nearest_distances(synthetic)).mean())
        rmse = float(np.sqrt(((synthetic.mean(axis=0) - real.mean(axis=0)) ** 2).mean()))
        return {"score": abs(truth - 0.5) + abs(own - 0.5), "aa_truth": truth, "aa_syn": own, "af_rmse": rmse}


def warm_up(step: int, progress: float) -> float:
    """Return the factor on the generator's learning rate at the start of the training, from next to nothing to 1."""
    return min(1.0, max((step + 1) / WARM_UP, progress / WARM_UP_SHARE))


def decay(progress: float) -> float:
    """Return the factor on the learning rates: 1 at first, falling to 2 % over the last part of the training."""
    return min(1.0, max(0.02, (1 - progress) / DECAY))


# ---- what the critic knows of codes from the start ----------------------------------------------------------------


def component_scores(blocks: Blocks, codes: np.ndarray, seed: int) -> np.ndarray:
    """Return what each code adds to the principal components of a row: float32 (codes of all blocks, components).

    The components have unit variance; an unknown code (-1) adds nothing. They come from the Gram matrix of some rows,
    added up block by block, so that memory does not grow with the sites.
    """
    codes = codes[np.sort(np.random.default_rng([seed, 11]).permutation(len(codes))[:_COMPONENT_ROWS])]
    centred = list[np.ndarray]()

    def of_rows(block: int) -> np.ndarray:
        known = codes[:, block, None] >= 0
        return np.where(known, centred[block][np.maximum(codes[:, block], 0)], 0)

    gram = np.zeros((len(codes), len(codes)))
    for b in range(len(blocks)):
        means, known = blocks.means(b), codes[:, b] >= 0
        centre = means[codes[known, b]].mean(axis=0) if known.any() else 0
        centred.append((means - centre).astype(np.float32))
        gram += of_rows(b) @ of_rows(b).T
    values, vectors = np.linalg.eigh(gram)
    leading = np.argsort(values)[::-1][: min(_COMPONENTS, max(1, len(codes) - 1))]
    scale = np.sqrt(np.maximum(values[leading], 1e-6 * max(values.max(), 1e-12)))
    weights = vectors[:, leading] / scale**2 * np.sqrt(len(codes))
    scores = [templates @ (of_rows(b).T @ weights) for b, templates in enumerate(centred)]
    return np.concatenate(scores).astype(np.float32)


def leading_components(blocks: Blocks) -> np.ndarray:
    """Return the principal components of each block's templates, of unit size: float32 (codes of all blocks, numbers).

    Blocks that share a position share its numbers: the first block has the first ones, and so on.
    """
    per_position = -(-len(blocks) // MAX_POSITIONS)
    each = max(1, _LEADING // per_position)
    parts = []
    for b in range(len(blocks)):
        means = blocks.means(b)
        u, s, _ = np.linalg.svd(means - means.mean(axis=0), full_matrices=False)
        count = min(each, len(s))
        scores = u[:, :count] * s[:count]
        numbers = np.zeros((len(means), _LEADING), dtype=np.float32)
        numbers[:, (b % per_position * each + np.arange(count)) % _LEADING] = scores / (scores.std() + 1e-6)
        parts.append(numbers)
    return np.concatenate(parts)
