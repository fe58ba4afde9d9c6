"""What is trained: the steps of the two families, called by the loop in `training`."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.utils.extmath import randomized_svd
from torch import Tensor, nn

from ...errors import UsageError
from ..haplotype import Blocks, KnownAncestry, Prior, enough_carriers, find_blocks, fit_prior, least_carriers
from ..haplotype.calibration import RAKED_ROWS, balanced_sharpening, rake
from .devices import drawn, parts, sum_up, world
from .losses import critic_terms, generator_terms
from .networks import (
    PAPER_NOISE,
    HaplotypeGenerator,
    NetworkConfig,
    PaperDiscriminator,
    PaperGenerator,
    PersonCritic,
    taken,
)
from .training import TrainConfig, mixed_seed

_COMPONENT_BYTES = 4_000_000_000  # of the states that principal components are of
MAX_LOG_PROBS = 100_000_000  # numbers of 4 bytes
SHARES = (0.0, 0.2, 0.35, 0.5, 0.65, 0.8, 1.0)  # of the network in the mixture that is drawn from


@dataclass(frozen=True)
class TrainingRows:
    """What a generator learns from, as arrays.

    Parameters
    ----------
    states : array of int8, shape (people * rows_per_person, sites)
        Alleles 0/1 of haplotypes or dosages 0/1/2 of people; -1 is missing.
    label : array of int, shape (people,)
        Index of each person's combination of labels.
    label_table : array of int, shape (combinations, columns)
        The value of each label column that a combination has.
    rows_per_person : int
    n_states : int
        2 or 3.
    breaks : tuple of int
        Sites where a block must begin: the first ones of contigs, and what comes after an overlap.
    ancestry : KnownAncestry, optional
        That of the people, where it is known; by default it is looked for in these sites.
    """

    states: np.ndarray
    label: np.ndarray
    label_table: np.ndarray
    rows_per_person: int
    n_states: int
    breaks: tuple[int, ...] = ()
    ancestry: KnownAncestry | None = None

    def at(self, rows: np.ndarray) -> np.ndarray:
        """Return some rows: int8, shape (some rows, sites)."""
        return self.states.T[:, rows].T  # in the order in which they lie on disk, if they do


def mixed_precision(config: TrainConfig, device: torch.device) -> torch.autocast:
    """Return the context in which a network runs forward."""
    return torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16")


def check_batch(batch: int, config: TrainConfig) -> None:
    """Check that every part of a batch, in all processes, has somebody in it."""
    if batch < (count := world() * config.accumulate):
        raise UsageError(
            f"A batch of {batch} people cannot be shared out over {world()} processes with accumulate="
            f"{config.accumulate} parts in each; accepted: batch={count} or more, of as many people, or fewer parts."
        )


def _adversarial_step(
    batch: Callable[[slice], tuple[Tensor, Tensor, Callable[[bool], Tensor]]],
    size: int,
    generator: nn.Module,
    critic: nn.Module,
    optimisers: dict[str, torch.optim.Optimizer],
    config: TrainConfig,
    step_size: float,
    device: torch.device,
    noise: torch.Generator | None = None,
) -> tuple[dict[str, Tensor], float]:
    """Update the critic `critic_steps` times and the generator once, on the fake people of the last critic update.

    `batch` returns some of the `size` people of the step: real ones, their labels, and what makes fake ones of these
    labels, with random numbers of torch and of `noise`. Returns the terms of the loss and the norm of the generator's
    gradient.
    """
    terms: dict[str, Tensor] = {}

    def score(states: Tensor, label: Tensor) -> Tensor:
        with mixed_precision(config, device):
            found: Tensor = critic(states, label).float()
        return found

    for name, rate in (("generator", config.generator_learning_rate), ("critic", config.critic_learning_rate)):
        for group in optimisers[name].param_groups:
            group["lr"] = step_size * rate
    for k in range(config.critic_steps):
        last = k == config.critic_steps - 1
        # as published: the generator is in inference mode for all critic updates but the last
        generator.train(last)
        for optimiser in optimisers.values():
            optimiser.zero_grad()
        found: dict[str, Tensor] = {}
        for part in parts(size, config.accumulate, device, noise):
            with part:
                real, label, generate = batch(part.rows)
                with torch.set_grad_enabled(last), mixed_precision(config, device):
                    fake = generate(last)
                ours = generator_terms(config.loss, score, real, fake, label) if last else {}
                if last:
                    loss = part.share * torch.stack(list(ours.values())).sum()
                    loss.backward(inputs=list(generator.parameters()))
                theirs = critic_terms(config.loss, score, real, fake, label, config.penalty)
                (part.share * torch.stack(list(theirs.values())).sum()).backward()
                _add(found, {**ours, **theirs}, part.share)
        sum_up([*found.values(), *(p.grad for p in critic.parameters())])
        optimisers["critic"].step()
        if config.loss == "wgan":
            clip_convolutions(critic, config.clip)
        terms.update(found)
    sum_up(p.grad for p in generator.parameters())
    norm = clipped(generator, config.gradient_norm)
    optimisers["generator"].step()
    return terms, norm


def _add(total: dict[str, Tensor], terms: dict[str, Tensor], share: float) -> None:
    """Add the terms of a part of a batch."""
    for name, term in terms.items():
        total[name] = total.get(name, 0) + share * term.detach()


def clipped(generator: nn.Module, bound: float) -> float:
    """Bound the norm of a generator's gradient, unless the bound is 0, and return what it was."""
    return float(nn.utils.clip_grad_norm_(generator.parameters(), bound or float("inf")))


def clip_convolutions(critic: nn.Module, bound: float) -> None:
    """Clip the convolution kernels of a critic to ±bound; biases and dense layers are left alone, as published."""
    with torch.no_grad():
        for module in critic.modules():
            if isinstance(module, nn.Conv1d):
                module.weight.clamp_(-bound, bound)


class HaplotypeTask:
    """The `haplotype` family: prior, likelihood warm start, adversarial steps, calibration.

    Parameters
    ----------
    data : TrainingRows
    network : NetworkConfig
    config : TrainConfig
    seed : int
    device : torch.device
    steps : int, optional
        Steps of the warm start, instead of what epochs and tokens give; 0 leaves the prior alone.
    """

    def __init__(
        self,
        data: TrainingRows,
        network: NetworkConfig,
        config: TrainConfig,
        *,
        seed: int,
        device: torch.device,
        steps: int | None = None,
    ):
        self.data, self.config, self.seed, self.device = data, config, seed, device
        self.step_size, self.gradient_norm = 1.0, 0.0
        people, per = len(data.label), data.rows_per_person
        self.row_label = np.repeat(data.label, per)
        row_person = np.repeat(np.arange(people), per)
        self.blocks: Blocks = find_blocks(
            data.states,
            row_person,
            breaks=data.breaks,
            states=data.n_states,
            min_carriers=network.min_carriers,
            coverage=network.coverage,
            max_sites=network.max_sites,
            max_codes=network.max_codes,
            label=self.row_label,
        )
        self.codes = self.blocks.encode(data.states).astype(np.int64)
        n_labels = len(data.label_table)
        self.prior = self._fit_prior(network, row_person)
        centre, components, scores = _components(self.blocks, self.codes, network.critic_components)
        if steps is None and not config.epochs:
            steps = 0
        if steps == 0:  # a network learns ancestry by itself from the codes so far, and would count it twice
            of_people, seed_of_ancestry = (people, per, -1), mixed_seed(seed, 6)
            codes_of_people = self.codes.reshape(of_people)
            self.prior = (
                self.prior.with_ancestry(codes_of_people, data.label, scores.reshape(of_people), seed_of_ancestry)
                if data.ancestry is None
                else self.prior.with_known_ancestry(codes_of_people, data.label, data.ancestry)
            )
        torch.manual_seed(mixed_seed(seed))
        self.generator = HaplotypeGenerator(network, self.prior, data.label_table, per).to(device)
        self.average = copy.deepcopy(self.generator)
        self.means = [
            torch.as_tensor(e @ np.arange(data.n_states, dtype=np.float32), device=device) for e in self.blocks.emission
        ]
        self.critic = PersonCritic(network, self.blocks.edges, centre, components, data.label_table).to(device)
        self.train_people, self.validation_people = self._divide(config.validation)
        self.batch = min(config.batch, len(self.train_people))
        check_batch(self.batch, config)
        train_rows = (self.train_people[:, None] * per + np.arange(per)).ravel()
        self.rows_of_label = [train_rows[self.row_label[train_rows] == k] for k in range(n_labels)]
        # looked up where they fit into memory, computed in every step where they do not
        self.chain_log_probs = (
            [self._chain_log_probs_of(b, self.codes, self.row_label) for b in range(len(self.blocks))]
            if steps != 0 and len(self.codes) * sum(self.blocks.sizes) <= MAX_LOG_PROBS
            else None
        )
        rows = (self.validation_people[:, None] * per + np.arange(per)).ravel()
        self.validation_rows = rows
        self.validation_prior = [
            (torch.from_numpy(chain).to(device), torch.from_numpy(refined).to(device))
            for chain, refined in (
                self.prior.own_log_probs(self.codes[rows], self.row_label[rows]) if steps != 0 and len(rows) else ()
            )
        ]
        warm = steps if steps is not None else self._warm_steps()
        self.stages = [("likelihood", warm), ("adversarial", config.adversarial_steps if warm else 0)]
        self.optimisers: dict[str, torch.optim.Optimizer] = {}
        share = config.share if config.share >= 0 else 0.5
        self.best: dict[str, Any] = {"score": float("inf"), "weights": {}, "since": 0, "share": share}
        self.warm_weights: dict[str, Tensor] = {}

    def _fit_prior(self, network: NetworkConfig, row_person: np.ndarray) -> Prior:
        """Fit the prior, with as many carriers of a run as it takes to give nobody away if that is not given."""

        def fit(run_carriers: int) -> Prior:
            return fit_prior(
                self.codes,
                self.row_label,
                row_person,
                self.blocks.sizes,
                len(self.data.label_table),
                run_carriers,
                contexts=network.contexts,
                sources=network.sources,
            )

        if network.run_carriers:
            return fit(network.run_carriers)
        least = least_carriers(network.min_carriers)
        prior = fit(least)
        if not any(prior.contexts.runs):
            return prior
        of_rows = self.data.states, self.codes, self.row_label, row_person
        enough = enough_carriers(prior, self.blocks, *of_rows, least, mixed_seed(self.seed, 7))
        return prior if enough == least else fit(enough)

    def _chain_log_probs_of(self, block: int, codes: np.ndarray, label: np.ndarray) -> Tensor:
        """Return the chain's log-probabilities of rows, each row's own contribution to the counts left out."""
        before = codes[:, block - 1] if block else label
        found = self.prior.chain.log_probs(block, before, label, codes[:, block])
        return torch.from_numpy(found).to(self.device)

    def _divide(self, share: float) -> tuple[np.ndarray, np.ndarray]:
        """Return people to train on and to validate on; cohorts too small to spare any validate on none."""
        people = np.random.default_rng([self.seed, 1]).permutation(len(self.data.label))
        kept = round(share * len(people))
        if kept < 10:
            return np.sort(people), np.sort(people[:0])
        return np.sort(people[kept:]), np.sort(people[:kept])

    def _warm_steps(self) -> int:
        rows = self.batch * self.data.rows_per_person
        by_epochs = self.config.epochs * len(self.train_people) / self.batch
        by_tokens = self.config.max_tokens / (rows * len(self.blocks))
        return max(1, round(min(max(by_epochs, self.config.min_steps), by_tokens)))

    # ---- stages -----------------------------------------------------------------------------------------------

    def start(self, stage: str) -> None:
        """Set up the optimisers of a stage."""
        config = self.config
        if not dict(self.stages)[stage]:  # the first optimiser takes torch seconds to load
            return
        if stage == "likelihood":
            self.optimisers = {
                "generator": torch.optim.AdamW(
                    self.generator.parameters(),
                    config.learning_rate,
                    betas=(0.9, 0.99),
                    weight_decay=config.weight_decay,
                )
            }
            return
        self.optimisers = {
            "generator": torch.optim.Adam(
                self.generator.parameters(), config.generator_learning_rate, betas=(0.0, 0.99)
            ),
            "critic": torch.optim.Adam(self.critic.parameters(), config.critic_learning_rate, betas=(0.0, 0.99)),
        }

    def step(self, stage: str, step: int, progress: float) -> dict[str, Tensor]:
        """Make one step and return the terms of its loss."""
        people = self._people(step)
        noise = np.random.default_rng([self.seed, 3, step])
        terms = (
            self._likelihood_step(people, noise, step, progress)
            if stage == "likelihood"
            else self._critic_step(people, noise, step)
        )
        # a short memory at first, so that the average does not drag the start along
        decay = min(self.config.average, (step + 1) / (step + 10))
        with torch.no_grad():
            for mean, now in zip(self.average.parameters(), self.generator.parameters(), strict=True):
                mean.lerp_(now, 1 - decay)
        return terms

    def finish(self, stage: str) -> None:
        """Keep the best weights of the warm start and the network's share, or calibrate the result."""
        if stage == "likelihood":
            if self.best["weights"]:
                self._load(self.average, self.best["weights"])
            self._load(self.generator, dict(self.average.named_parameters()))
            trained = self.stages[0][1] > 0
            for network in (self.generator, self.average):
                network.share.fill_(self.best["share"] if trained else 0.0)
            self.warm_weights = {n: p.detach().clone() for n, p in self.average.named_parameters()}
            return
        sharpening = self.config.sharpening or balanced_sharpening(
            self.average,
            self.blocks,
            self.data.states,
            self.row_label,
            (self.critic.centre.cpu().numpy(), self.critic.components[:10].cpu().numpy()),
            seed=self.seed,
            calibrate=self.config.calibrate,
        )
        self.average.sharpening.fill_(sharpening)
        if self.config.calibrate:
            rake(self.average, RAKED_ROWS, self.seed)

    def validate(self, stage: str) -> dict[str, float]:
        """Return the likelihood of the validation people (nats a row) and, in the warm start, keep the best weights.

        It is that of the mixture of network and prior, at the best share; that of the network alone stands beside it.
        """
        if not len(self.validation_people):
            return {}
        nats = self._validation_nats(self.average)
        self.best["since"] += 1
        share = self.config.share
        if stage == "likelihood" and share < 0:
            share = min(nats, key=nats.__getitem__)
        elif stage == "adversarial":
            share = float(self.average.share)
        score = nats[min(nats, key=lambda s: abs(s - share))]
        if stage == "likelihood" and score < self.best["score"]:
            weights = {n: p.detach().clone() for n, p in self.average.named_parameters()}
            self.best = {"score": score, "weights": weights, "since": 0, "share": share}
        return {"validation_nats": score, "network_nats": nats[1.0], "prior_nats": nats[0.0], "network_share": share}

    def plateau(self, stage: str) -> bool:
        """Tell whether validation people have waited too long for a better likelihood, or the network has no share."""
        patience = self.config.patience
        if stage == "adversarial":
            return float(self.average.share) == 0.0
        return stage == "likelihood" and patience > 0 and self.best["since"] >= patience

    def compared(self, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return codes of the rows of up to `most` people of each label, codes drawn for them, and their labels.

        Shapes (rows, blocks) twice and (rows,).
        """
        per = self.data.rows_per_person
        people = _some(self.data.label, most)
        training = self.average.training
        self.average.eval()
        with torch.no_grad():
            label = torch.as_tensor(self.data.label[people], device=self.device)
            drawn, _ = self.average.people(label, torch.Generator().manual_seed(0))
        self.average.train(training)
        rows = (people[:, None] * per + np.arange(per)).ravel()
        return self.codes[rows], drawn.flatten(0, 1).cpu().numpy(), self.row_label[rows]

    # ---- one step ---------------------------------------------------------------------------------------------

    def _people(self, step: int) -> np.ndarray:
        a_round = max(1, len(self.train_people) // self.batch)
        order = np.random.default_rng([self.seed, 2, step // a_round]).permutation(self.train_people)
        first = step % a_round * self.batch
        return order[first : first + self.batch]

    def _likelihood_step(
        self, people: np.ndarray, noise: np.random.Generator, step: int, progress: float
    ) -> dict[str, Tensor]:
        warm = min(1.0, (step + 1) / 50)
        rate = self.config.learning_rate * warm * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * progress)))
        rate = float(rate * self.step_size)
        for group in self.optimisers["generator"].param_groups:
            group["lr"] = rate
        self.generator.train()
        sources = self._in_random_order(self._sources(people, noise), noise)
        self.optimisers["generator"].zero_grad()
        terms: dict[str, Tensor] = {}
        for part in parts(len(people), self.config.accumulate, self.device):
            with part, mixed_precision(self.config, self.device):
                loss = self._rows_likelihood(self.generator, sources[part.rows], self.config.token_dropout).mean()
            (part.share * loss).backward()
            _add(terms, {"likelihood": loss}, part.share)
        sum_up([*terms.values(), *(p.grad for p in self.generator.parameters())])
        self.gradient_norm = clipped(self.generator, self.config.gradient_norm)
        self.optimisers["generator"].step()
        return terms

    def _critic_step(self, people: np.ndarray, noise: np.random.Generator, step: int) -> dict[str, Tensor]:
        sources = self._sources(people, noise)
        generator = torch.Generator().manual_seed(mixed_seed(self.seed, 4, step))

        def batch(some: slice) -> tuple[Tensor, Tensor, Callable[[bool], Tensor]]:
            label = torch.as_tensor(self.data.label[people[some]], device=self.device)
            codes = torch.as_tensor(self.codes[sources[some], np.arange(len(self.blocks))], device=self.device)
            known = codes >= 0
            known_codes = codes.clamp(min=0)
            real = self._states(
                [nn.functional.one_hot(known_codes[:, :, b], k).float() for b, k in enumerate(self.blocks.sizes)]
            )
            lengths = torch.as_tensor(np.diff(self.blocks.edges), device=self.device)
            seen = torch.repeat_interleave(known, lengths, dim=2)

            def generate(_: bool) -> Tensor:
                onehots = self.generator.people(label, generator, relaxed=self.config.temperature)[1]
                fake = self._states([torch.stack(rows, dim=1) for rows in zip(*onehots, strict=True)])
                # what is missing in real people is hidden in fake ones
                return torch.where(seen, fake, self.critic.centre)

            return torch.where(seen, real, self.critic.centre), label, generate

        modules = self.generator, self.critic, self.optimisers
        terms, self.gradient_norm = _adversarial_step(
            batch, len(people), *modules, self.config, self.step_size, self.device, generator
        )
        return terms

    def _states(self, onehots: list[Tensor]) -> Tensor:
        """Return expected states of one-hot codes (people, rows, codes) of each block: (people, rows, sites)."""
        return torch.cat([onehot @ mean for onehot, mean in zip(onehots, self.means, strict=True)], dim=2)

    def _sources(self, people: np.ndarray, noise: np.random.Generator) -> np.ndarray:
        """Return, for each haplotype of people and each block, the training row it is taken from.

        Some rows cross over, at a random block, into another row of their label that has the same codes there.
        Shape (people, rows per person, blocks).
        """
        per, match = self.data.rows_per_person, self.config.crossover_match
        rows = (people[:, None] * per + np.arange(per)).ravel()
        blocks = self.codes.shape[1]
        sources = np.repeat(rows[:, None], blocks, axis=1)
        if self.config.crossover and blocks > match:
            for i in np.flatnonzero(noise.random(len(rows)) < self.config.crossover):
                at = int(noise.integers(match, blocks))
                here = self.codes[rows[i], at - match : at]
                others = self.rows_of_label[self.row_label[rows[i]]]
                same = (self.codes[others, at - match : at] == here).all(axis=1)
                if (here >= 0).all() and same.any():
                    sources[i, at:] = others[noise.choice(np.flatnonzero(same))]
        return sources.reshape(len(people), per, blocks)

    def _chain_log_probs(self, sources: np.ndarray, codes: np.ndarray) -> list[Tensor]:
        """Return the chain's log-probabilities of rows, each row's own contribution to the counts left out."""
        if self.chain_log_probs is not None:
            index = torch.as_tensor(sources, device=self.device)
            return [table[index[:, b]] for b, table in enumerate(self.chain_log_probs)]
        label = self.row_label[sources[:, 0]]
        return [self._chain_log_probs_of(b, codes, label) for b in range(len(self.blocks))]

    @staticmethod
    def _in_random_order(sources: np.ndarray, noise: np.random.Generator) -> np.ndarray:
        """Return sources (people, rows, blocks) with the haplotypes of each person in random order."""
        people, per, _ = sources.shape
        if per == 1:
            return sources
        swap = np.asarray(noise.random(people) < 0.5)
        return np.where(swap.reshape(-1, 1, 1), sources[:, ::-1], sources)

    def _rows_likelihood(self, generator: HaplotypeGenerator, sources: np.ndarray, token_dropout: float) -> Tensor:
        """Return -log P of every row (nats), second haplotypes after the first: (people * rows,)."""
        people, per, blocks = sources.shape
        flat = np.ascontiguousarray(sources.transpose(1, 0, 2)).reshape(-1, blocks)  # first haplotypes, then second
        codes = self.codes[flat, np.arange(blocks)]
        chain = self._chain_log_probs(flat, codes)
        label = torch.as_tensor(self.row_label[flat[:people, 0]], device=self.device)
        tensor = torch.as_tensor(codes, device=self.device)
        condition = generator.condition(label, None)
        if per == 2:
            condition = torch.cat([condition, generator.condition(label, tensor[:people])])
        return generator.negative_log_likelihood(tensor, condition, chain, token_dropout)

    @torch.no_grad()
    def _validation_nats(self, generator: HaplotypeGenerator) -> dict[float, float]:
        """Return -log P of the validation people (nats a row) for every share of the network."""
        generator.eval()
        per = self.data.rows_per_person
        codes = torch.as_tensor(self.codes[self.validation_rows], device=self.device)
        label = torch.as_tensor(self.data.label[self.validation_people], device=self.device)
        people = codes.view(len(label), per, -1)
        condition = generator.condition(label, None)[:, None]
        if per == 2:
            # as they are drawn: the second haplotype given the first
            condition = torch.cat([condition, generator.condition(label, people[:, 0])[:, None]], dim=1)
        own = generator.own_log_probs(codes, condition.flatten(0, 1), [chain for chain, _ in self.validation_prior])
        total = dict.fromkeys(sorted({*SHARES, max(self.config.share, 0.0)}), 0.0)
        for b, (network, (_, prior)) in enumerate(zip(own, self.validation_prior, strict=True)):
            for share in total:
                total[share] -= float(taken(generator.mixed(network, prior, share), codes[:, b]).sum())
        return {share: nats / len(codes) for share, nats in total.items()}

    # ---- state ------------------------------------------------------------------------------------------------

    def mark(self) -> str:
        """Return a digest of what is trained on, and how."""
        settings = repr((self.config, self.seed, self.stages, self.blocks.sizes)).encode()
        return hashlib.sha256(settings + self.data.label.tobytes() + self.codes.tobytes()).hexdigest()

    @staticmethod
    def _load(module: nn.Module, weights: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                parameter.copy_(weights[name])

    def state_dict(self) -> dict[str, Any]:
        """Return everything that a resumed run needs beside the data."""
        return {
            "generator": self.generator.state_dict(),
            "average": self.average.state_dict(),
            "critic": self.critic.state_dict(),
            "optimisers": {name: o.state_dict() for name, o in self.optimisers.items()},
            "best": self.best,
            "warm_weights": self.warm_weights,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the state of an interrupted run."""
        self.generator.load_state_dict(state["generator"])
        self.average.load_state_dict(state["average"])
        self.critic.load_state_dict(state["critic"])
        self.best, self.warm_weights = state["best"], state["warm_weights"]
        if state["optimisers"]:
            self.start("adversarial" if "critic" in state["optimisers"] else "likelihood")
            for name, optimiser in self.optimisers.items():
                optimiser.load_state_dict(state["optimisers"][name])


def _some(label: np.ndarray, most: int) -> np.ndarray:
    """Return the first `most` people of each label."""
    return np.concatenate([np.flatnonzero(label == k)[:most] for k in range(int(label.max()) + 1)])


def _components(blocks: Blocks, codes: np.ndarray, wanted: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean state (sites,), leading axes (components, sites) and scores (rows, components) of rows of codes.

    Of very large data a part of the blocks, evenly spread, is looked at; axes are 0 at the sites of the others.
    """
    sites = int(blocks.edges[-1])
    most = max(1, _COMPONENT_BYTES // (4 * len(codes)))
    looked_at = np.arange(len(blocks))[:: -(-sites // most)]
    mask = np.repeat(np.isin(np.arange(len(blocks)), looked_at), np.diff(blocks.edges))
    states = np.empty((len(codes), int(mask.sum())), dtype=np.float32)
    centre, at = np.zeros(sites, dtype=np.float32), 0
    for b, emission in enumerate(blocks.emission):
        mean = emission @ np.arange(emission.shape[2], dtype=np.float32)
        known = codes[:, b] >= 0
        part = mean[np.maximum(codes[:, b], 0)]
        part[~known] = part[known].mean(axis=0) if known.any() else 0
        centre[blocks.edges[b] : blocks.edges[b + 1]] = part.mean(axis=0)
        if mask[blocks.edges[b]]:
            states[:, at : at + part.shape[1]] = part
            at += part.shape[1]
    count = max(1, min(wanted, min(states.shape) - 1))
    states -= centre[mask]
    scores, size, axes = randomized_svd(states, count, n_iter=2, random_state=0)
    everywhere = np.zeros((count, sites), dtype=np.float32)
    # unit variance for the leading one: scores of a size that a network can use
    everywhere[:, mask] = axes / max(float(size[0]) / np.sqrt(len(states)), 1e-6)
    return centre, everywhere, scores * size


class PaperTask:
    """The `paper` family: the published networks, loss and schedule.

    Parameters as in `HaplotypeTask`; `states` of the data must be phased haplotypes, two a person.
    """

    def __init__(
        self,
        data: TrainingRows,
        config: TrainConfig,
        *,
        seed: int,
        device: torch.device,
        steps: int | None = None,
    ):
        self.data, self.config, self.seed, self.device = data, config, seed, device
        self.step_size, self.gradient_norm = 1.0, 0.0
        pairs = data.states.reshape(len(data.label), 2, -1)
        # 0|0, 0|1, 1|0, 1|1 -> 0, 1, 2, 3; a call with a missing allele is no state at all
        self.states = np.where((pairs < 0).any(axis=1), -1, 2 * pairs[:, 0] + pairs[:, 1])
        self.batch = min(config.batch, len(data.label))
        check_batch(self.batch, config)
        torch.manual_seed(mixed_seed(seed))
        sites, n_labels = self.states.shape[1], len(data.label_table)
        self.generator = PaperGenerator(sites, n_labels).to(device)
        self.critic = PaperDiscriminator(sites, n_labels).to(device)
        self.stages = [("adversarial", config.adversarial_steps if steps is None else steps)]
        self.optimisers: dict[str, torch.optim.Optimizer] = {}
        self.start("adversarial")

    def start(self, stage: str) -> None:
        """Set up the optimisers."""
        config = self.config
        # Keras' RMSprop: rho .9, epsilon 1e-7
        self.optimisers = {
            "generator": torch.optim.RMSprop(
                self.generator.parameters(), config.generator_learning_rate, alpha=0.9, eps=1e-7
            ),
            "critic": torch.optim.RMSprop(self.critic.parameters(), config.critic_learning_rate, alpha=0.9, eps=1e-7),
        }

    def step(self, stage: str, step: int, progress: float) -> dict[str, Tensor]:
        """Make one step: five updates of the discriminator, one of the generator."""
        size = self.batch
        a_round = max(1, len(self.data.label) // size)
        order = np.random.default_rng([self.seed, 2, step // a_round]).permutation(len(self.data.label))
        people = order[step % a_round * size :][:size]
        self.critic.train()

        def batch(some: slice) -> tuple[Tensor, Tensor, Callable[[bool], Tensor]]:
            label = torch.as_tensor(self.data.label[people[some]], device=self.device)
            states = torch.as_tensor(self.states[people[some]].astype(np.int64), device=self.device)
            seen = (states >= 0)[:, :, None]

            def generate(_: bool) -> Tensor:
                noise = drawn(torch.randn, (len(label), PAPER_NOISE)).to(self.device)
                return self.generator(noise, label) * seen

            return nn.functional.one_hot(states.clamp(min=0), 4).float() * seen, label, generate

        modules = self.generator, self.critic, self.optimisers
        terms, self.gradient_norm = _adversarial_step(batch, size, *modules, self.config, self.step_size, self.device)
        return terms

    def validate(self, stage: str) -> dict[str, float]:
        """Return nothing: the published training has no validation."""
        return {}

    def plateau(self, stage: str) -> bool:
        """Tell that the published schedule runs to its end."""
        return False

    def compared(self, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return states of up to `most` people of each label, states drawn for them, and their labels.

        Shapes (people, sites) twice and (people,).
        """
        people = _some(self.data.label, most)
        label = torch.as_tensor(self.data.label[people], device=self.device)
        training = self.generator.training
        self.generator.eval()
        with torch.no_grad():
            noise = torch.randn(len(people), PAPER_NOISE, generator=torch.Generator().manual_seed(0))
            drawn = self.generator(noise.to(self.device), label).argmax(2)
        self.generator.train(training)
        return self.states[people], drawn.cpu().numpy(), self.data.label[people]

    def finish(self, stage: str) -> None:
        """Leave the generator as it is."""

    def mark(self) -> str:
        """Return a digest of what is trained on, and how."""
        settings = repr((self.config, self.seed, self.stages)).encode()
        return hashlib.sha256(settings + self.data.label.tobytes() + self.states.tobytes()).hexdigest()

    def state_dict(self) -> dict[str, Any]:
        """Return everything that a resumed run needs beside the data."""
        return {
            "generator": self.generator.state_dict(),
            "critic": self.critic.state_dict(),
            "optimisers": {name: o.state_dict() for name, o in self.optimisers.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the state of an interrupted run."""
        self.generator.load_state_dict(state["generator"])
        self.critic.load_state_dict(state["critic"])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
