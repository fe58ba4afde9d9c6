"""One training step of the conditional GAN: a critic of haplotypes against a generator that tilts a chain."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...numerics import nearest_distances
from ..haplotype.blocks import Blocks
from ..haplotype.code_model import CodeModel
from ..haplotype.drawing import rake
from .code_features import component_scores, leading_components
from .drawing import TiltSampler, ancestry_terms, draw_codes, gumbel_noise, straight_through
from .networks import Critic, Features, TiltGenerator
from .parallel import own_rows, wrapped
from .trainer import mixed_seed

# steps, or share of a shorter training, in which the generator's learning rate rises; with 100 steps the generator is
# thrown off where it leaves its start near zero (HLA: step 44, the loss of the critic falls from .67 to .04)
WARM_UP, WARM_UP_SHARE = 600, 0.15
DECAY = 0.3  # of the training: the last part, in which the learning rate falls to nothing
_LEAST_VALIDATION = 40  # rows, below which nothing is measured that could be trusted
_MEASURED_ROWS, _MEASURED_SITES = 1000, 2000


@dataclass(frozen=True)
class TiltSettings:
    """How the conditional GAN is trained; see the parameters of `PGcGAN`."""

    batch: int
    learning_rate: float
    penalty: float
    penalty_interval: int
    temperature: float
    average: float
    width: int
    critic_width: int


@dataclass(frozen=True)
class CodedRows:
    """Training rows as codes.

    Parameters
    ----------
    blocks : Blocks
    codes : array of int64, shape (rows, blocks)
        -1 is unknown.
    label : array of int, shape (rows,)
    model : CodeModel
        The chain that is tilted.
    validation : array of int
        Rows kept out of the batches, which the model is measured with.
    """

    blocks: Blocks
    codes: np.ndarray
    label: np.ndarray
    model: CodeModel
    validation: np.ndarray


class TiltTraining:
    """The networks, their optimisers, and a step."""

    def __init__(self, rows: CodedRows, settings: TiltSettings, *, seed: int, device: torch.device):
        self.rows, self.settings, self.seed, self.device = rows, settings, seed, device
        self.codes = torch.from_numpy(np.maximum(rows.codes, 0))
        self.known = None if (rows.codes >= 0).all() else torch.from_numpy(rows.codes >= 0)
        self.trained_on = torch.from_numpy(np.setdiff1d(np.arange(len(rows.codes)), rows.validation))
        sizes, n_labels = rows.model.sizes, rows.model.n_labels
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(mixed_seed(seed))
            self.generator = TiltGenerator(sizes, n_labels, settings.width).to(device)
            components = component_scores(rows.blocks, rows.codes, seed=seed)
            start = torch.from_numpy(leading_components(rows.blocks)), torch.from_numpy(components)
            critic = Critic(sizes, n_labels, *start, settings.critic_width, 3 * settings.critic_width)
            self.critic = critic.to(device)
        self.average = copy.deepcopy(self.generator)
        self.predictors = self.sampler().predictors
        self.called = {"generator": wrapped(self.generator), "critic": wrapped(self.critic)}
        self.optimisers = {
            name: torch.optim.Adam(module.parameters(), settings.learning_rate, betas=(0.0, 0.99), fused=True)
            for name, module in (("generator", self.generator), ("critic", self.critic))
        }

    # ---- one step ---------------------------------------------------------------------------------------------

    def step(self, step: int, progress: float, rate_factor: float) -> dict[str, Tensor]:
        """Update the critic and the generator once, on the same synthetic rows; return the terms of the loss."""
        settings, part = self.settings, own_rows(self.settings.batch)
        rate = rate_factor * settings.learning_rate
        self.optimisers["critic"].param_groups[0]["lr"] = rate * decay(progress)
        self.optimisers["generator"].param_groups[0]["lr"] = rate * decay(progress) * warm_up(step, progress)
        for optimiser in self.optimisers.values():
            optimiser.zero_grad()
        chosen = self.trained_on[torch.randint(len(self.trained_on), (settings.batch,))]
        noise = torch.randn(settings.batch, self.generator.noise)[part].to(self.device)
        gumbel = [of_group[:, part] for of_group in gumbel_noise(self.generator.layout, settings.batch)]
        row_label = self.rows.label[chosen.numpy()]
        ancestry = self.rows.model.ancestry
        if ancestry.axes:
            terms_of_rows = ancestry_terms(
                self.generator.layout, ancestry, row_label, torch.randn(settings.batch, ancestry.axes)
            )
            gumbel = [g + term[:, part] for g, term in zip(gumbel, terms_of_rows, strict=True)]
        real = self.codes[chosen][part].to(self.device)
        known = None if self.known is None else self.known[chosen][part].to(self.device)
        row_label = row_label[part]
        label = torch.from_numpy(row_label).to(self.device)
        tilts = self.called["generator"](noise, label)
        fake, logits = draw_codes(self.generator.layout, self.predictors(row_label), tilts, gumbel)
        both_known = None if known is None else torch.cat([known, known])
        scores, features = self.called["critic"](torch.cat([real, fake]), torch.cat([label, label]), both_known)
        penalise = settings.penalty > 0 and step % settings.penalty_interval == 0
        terms, slopes = self._critic_update(scores, features, torch.cat([label, label]), both_known, penalise)
        by_code = self.critic.code_slopes(slopes)
        if known is not None:
            by_code = [
                slope * known.T[group.blocks][:, :, None]
                for slope, group in zip(by_code, self.generator.layout.groups, strict=True)
            ]
        torch.autograd.backward(tilts, straight_through(logits, by_code, settings.temperature))
        for optimiser in self.optimisers.values():
            optimiser.step()
        self._update_average(step)
        return terms

    def _critic_update(
        self, scores: Tensor, features: Features, label: Tensor, known: Tensor | None, penalise: bool
    ) -> tuple[dict[str, Tensor], Features]:
        """Set the gradient of the critic; return the terms, and the slope of the generator's loss by the features.

        The critic scores rows one by one, so that the gradient of its own loss by the features of a synthetic row,
        times the ratio of the derivatives of both losses by the score, is that of the generator's loss.
        """
        settings, n = self.settings, len(scores) // 2
        on_real, on_fake = scores[:n], scores[n:]
        features.profile.retain_grad()
        # relativistic pairing (R3GAN, Huang et al. 2024): mean softplus(D(fake) - D(real)); a pair has one label
        terms = {"critic": functional.softplus(on_fake - on_real).mean()}
        # the derivative of the generator's loss, mean softplus(D(real) - D(fake)), by each D(fake) (R3GAN)
        wanted = -torch.sigmoid((on_real - on_fake).detach()) / n
        of_row: Features | None = None
        if penalise:
            of_row = Features(*torch.autograd.grad(scores.sum(), features, create_graph=True))
            squared = self._squared_norm(of_row)
            weight = settings.penalty * settings.penalty_interval
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

    def _squared_norm(self, slopes: Features) -> Tensor:
        """Return the squared norm of the gradient by the one-hot codes of each row."""
        return torch.stack([s.square().sum((0, 2)) for s in self.critic.code_slopes(slopes)]).sum(0)

    @torch.no_grad()
    def _update_average(self, step: int) -> None:
        """Move the average of the weights; its memory is short at first, so that it does not drag the start along."""
        memory = min(self.settings.average, (step + 1) / (step + 10))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.generator.parameters()), 1 - memory)

    # ---- measuring --------------------------------------------------------------------------------------------

    def measure(self) -> dict[str, float]:
        """Compare synthetic rows of the averaged generator with rows that were kept out of the batches.

        The score is how far the two sides of adversarial accuracy (Yale et al. 2020) are from 1/2.
        """
        rows = self.rows
        if len(rows.validation) < _LEAST_VALIDATION:
            return {}
        random = np.random.default_rng([self.seed, 12])
        held_out = rows.validation[:_MEASURED_ROWS]
        sampler = rake(self.sampler(), self.seed, most_rows=2048)
        codes = sampler.draw(rows.label[held_out], random)
        sites = np.unique(np.linspace(0, int(rows.blocks.edges[-1]) - 1, _MEASURED_SITES).astype(int))
        synthetic, real = (
            rows.blocks.decode(of_rows, random)[:, sites].astype(np.float32)
            for of_rows in (codes, np.maximum(rows.codes[held_out], 0))
        )
        truth = float((nearest_distances(real, synthetic) > nearest_distances(real)).mean())
        own = float((nearest_distances(synthetic, real) > nearest_distances(synthetic)).mean())
        rmse = float(np.sqrt(((synthetic.mean(axis=0) - real.mean(axis=0)) ** 2).mean()))
        return {"score": abs(truth - 0.5) + abs(own - 0.5), "aa_truth": truth, "aa_syn": own, "af_rmse": rmse}

    def sampler(self) -> TiltSampler:
        """Return what draws rows with the averaged generator, not calibrated."""
        return TiltSampler.untrained(self.rows.model, self.average)

    # ---- state ------------------------------------------------------------------------------------------------

    def weights(self) -> dict[str, Tensor]:
        """Return the averaged weights of the generator."""
        return self.average.state_dict()

    def state_dict(self) -> dict[str, Any]:
        """Return everything that a resumed run needs beside the data."""
        modules = {"generator": self.generator, "average": self.average, "critic": self.critic}
        return {
            **{name: module.state_dict() for name, module in modules.items()},
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the state of an interrupted run."""
        for name, module in (("generator", self.generator), ("average", self.average), ("critic", self.critic)):
            module.load_state_dict(state[name])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])


def warm_up(step: int, progress: float) -> float:
    """Return the factor on the generator's learning rate at the start of the training, from next to nothing to 1."""
    return min(1.0, max((step + 1) / WARM_UP, progress / WARM_UP_SHARE))


def decay(progress: float) -> float:
    """Return the factor on the learning rates: 1 at first, falling to 2 % over the last part of the training."""
    return min(1.0, max(0.02, (1 - progress) / DECAY))
