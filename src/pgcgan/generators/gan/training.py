"""How a generator is trained: the configuration and the loop; what a step does is in `tasks`.

Every random decision of a step is drawn from (seed, step) alone, so a resumed run makes the same steps as an
uninterrupted one.
"""

from __future__ import annotations

import copy
import logging
import signal
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ...errors import ModelError, UsageError
from . import checkpoint
from .devices import leads, settle, tell, told, world
from .losses import LOSSES

STATE_FILE = "training.safetensors"
OnEvent = Callable[[dict[str, Any]], None]
PRECISIONS = ("float32", "bfloat16")
log = logging.getLogger(__name__)

RETREATS = 3  # times that a run goes back before it gives up
SMALLER = 0.25  # the steps of a run that went back, as a share of those before
# a loss, or the norm of a gradient, so many times the median of the last steps of its stage has exploded
EXPLODED = {"loss": 20.0, "gradient": 1e4}
_REMEMBERED, _ENOUGH = 100, 10  # steps of which the median is taken, at most and at least


@dataclass(frozen=True)
class TrainConfig:
    """How a generator is trained.

    Parameters
    ----------
    epochs : float
        Passes over the training people in the likelihood warm start of the network, as far as `max_tokens` allows; 0,
        the default, leaves the network out and draws from the prior alone. 16 are a good number.
    max_tokens : int
        Bound on the block codes seen in the warm start (rows x blocks x epochs): what keeps it at minutes.
    min_steps : int
        Steps of the warm start at least, for small cohorts.
    batch : int
        People in a step, in all processes together.
    accumulate : int
        Parts that a process works through its share of a batch in, one after the other: less memory, the same result
        but for the order of additions. Not for the paper preset, which normalises over the batch.
    precision : {"float32", "bfloat16"}
        Of the products of matrices while the network learns; weights and sums are of float32 in both.
    learning_rate, weight_decay : float
        AdamW in the warm start; warmed up, then a cosine to 2 %.
    token_dropout : float
        Share of codes hidden from the network in the warm start.
    crossover : float
        Share of rows that go over, at a random block, into another row of their label that has the same codes there:
        recombinants that the chain cannot tell from the rows they come from.
    crossover_match : int
        Codes in a row that must be equal where two rows cross over.
    validation : float
        Share of people kept out of the warm start; the step with their best likelihood is kept.
    patience : int
        The warm start ends after so many validations (20 in all) without a better one; 0 never ends it early.
    share : float
        Weight of the network in the mixture with the prior that people are drawn from; below 0 it is chosen by the
        likelihood of the validation people (a half where there are none).
    average : float
        Decay of the exponential moving average of the generator, which is what is kept.
    adversarial_steps : int
        Steps against the critic after the warm start. The critic finds nothing that it could teach, and the
        likelihood of unseen people suffers (docs/findings.md), so that there are none by default.
    loss : {"relativistic", "wgan", "wgan-gp"}
        Adversarial loss.
    penalty : float
        Weight of the gradient penalties.
    clip : float
        Bound of the critic's convolution kernels with plain "wgan".
    gradient_norm : float
        Bound of the norm of the generator's gradient; 0 leaves it alone.
    critic_steps : int
        Critic updates per generator update.
    critic_learning_rate, generator_learning_rate : float
        Of the adversarial steps.
    temperature : float
        Of the straight-through Gumbel-softmax.
    calibrate : bool
        Whether the frequencies of block codes are raked to those of each label at the end.
    sharpening : float
        Factor on the log-probabilities when people are drawn. A sequence drawn step by step leaves the haplotypes it
        knows a little too often; a factor just above 1 takes that back. 0 chooses it, between 1 and 1.3: where train
        people find drawn people as near as drawn people find train people.
    checkpoint_seconds : float
        Time between checkpoints.
    threads : int
        Threads of the numerical libraries while training on the CPU; 0 takes one for the prior, and as many as they are
        set to where a network is trained. With 1 the same seed gives the same bytes on any number of cores, with other
        numbers on as many.
    """

    epochs: float = 0.0
    max_tokens: int = 13_000_000
    min_steps: int = 400
    batch: int = 64
    accumulate: int = 1
    precision: str = "float32"
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    token_dropout: float = 0.2
    crossover: float = 0.5
    crossover_match: int = 2
    validation: float = 0.05
    patience: int = 6
    share: float = -1.0
    average: float = 0.99
    adversarial_steps: int = 0
    loss: str = "relativistic"
    penalty: float = 0.05
    clip: float = 0.01
    gradient_norm: float = 10.0
    critic_steps: int = 1
    critic_learning_rate: float = 2e-4
    generator_learning_rate: float = 5e-5
    temperature: float = 1.0
    calibrate: bool = True
    sharpening: float = 0.0
    checkpoint_seconds: float = 60.0
    threads: int = 0

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise UsageError(f"Unknown loss {self.loss!r}; accepted: {', '.join(LOSSES)}.")
        if self.precision not in PRECISIONS:
            raise UsageError(f"Unknown precision {self.precision!r}; accepted: {', '.join(PRECISIONS)}.")
        if self.accumulate < 1:
            raise UsageError(f"accumulate is {self.accumulate}; accepted: 1 or more.")
        if self.share > 1:
            raise UsageError(f"share is {self.share}; accepted: 0 to 1, or below 0 to choose it.")
        if self.crossover_match < 1:
            raise UsageError(f"crossover_match is {self.crossover_match}; accepted: 1 or more.")
        if self.threads < 0:
            raise UsageError(f"threads is {self.threads}; accepted: 1 or more, or 0 to choose.")


# the published schedule: 39 batches of 64 an epoch, five critic updates for one of the generator
PAPER_TRAINING = TrainConfig(
    loss="wgan",
    penalty=0.0,
    gradient_norm=0.0,
    critic_steps=5,
    critic_learning_rate=5e-5,
    generator_learning_rate=5e-5,
    adversarial_steps=39_000,
)
NETWORK_EPOCHS = 16.0  # where a time budget asks for the network
TRAINING = {"haplotype": TrainConfig(), "paper": PAPER_TRAINING}


class Task(Protocol):
    """What the loop asks of a family: its stages, one step, and its state."""

    stages: list[tuple[str, int]]
    step_size: float  # a factor on all learning rates
    gradient_norm: float  # of the generator, in the last step

    def start(self, stage: str) -> None:
        """Set up a stage."""

    def step(self, stage: str, step: int, progress: float) -> dict[str, Tensor]:
        """Make one step and return the terms of its loss; `progress` runs from 0 to 1 over the stage."""

    def validate(self, stage: str) -> dict[str, float]:
        """Return what is measured now and then, and keep what is best by it."""

    def plateau(self, stage: str) -> bool:
        """Tell whether more steps of a stage promise nothing."""

    def compared(self, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return rows of so many training people of each label, rows drawn for them, and the label of each row."""

    def finish(self, stage: str) -> None:
        """End a stage."""

    def mark(self) -> str:
        """Return a digest of what is trained on, and how."""

    def state_dict(self) -> dict[str, Any]:
        """Return everything that a resumed run needs beside the data."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the state of an interrupted run."""


def train(
    task: Task,
    config: TrainConfig,
    *,
    seed: int,
    directory: Path | None = None,
    resume: bool = False,
    minutes: float | None = None,
    on_event: OnEvent | None = None,
) -> None:
    """Run a task's stages: THE loop.

    Parameters
    ----------
    task : Task
    config : TrainConfig
    seed : int
    directory : path, optional
        Where checkpoints go, every `config.checkpoint_seconds` and on Ctrl-C.
    resume : bool
        Go on from the checkpoint in `directory`.
    minutes : float, optional
        Time budget, shared out over the stages; the schedule follows the clock, so the result depends on the machine.
    on_event : callable, optional
        Called with a dict (stage, step, steps, fraction, last, looked, seconds, loss, terms, metrics) after every step,
        `looked` being the number of one of the twenty looks at a stage, else 0; and when a run goes back (metrics:
        diverged_at, step_size; no terms).

    Raises
    ------
    ModelError
        If training diverges again after it went back three times, or there is no checkpoint to resume.
    UsageError
        If a checkpoint cannot be written.

    Notes
    -----
    A step diverges if a term of its loss, the norm of its gradient or a weight is no number, or if loss or norm are far
    above the median of the last steps (`EXPLODED`). The run then takes up its state of the last of the twenty looks of
    the stage, with steps a quarter as large. Nothing that is no number is written.

    Of several processes (`devices.joined`) the first decides, measures and writes; the others make the same steps, on
    their rows of each batch.
    """
    settle(mark=task.mark() if world() > 1 else "")
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        if not leads():
            _follow(task, seed)
            return
        try:
            _lead(task, config, seed, directory, resume, minutes, on_event)
        except (ModelError, UsageError, KeyboardInterrupt):
            tell("end", False)
            raise
        tell("end", True)


def _follow(task: Task, seed: int) -> None:
    """Make the steps that the first process tells."""
    while True:
        order, tensors = told()
        if order[0] == "start":
            torch.manual_seed(mixed_seed(seed, order[1], -1))
            task.start(task.stages[order[1]][0])
        elif order[0] == "step":
            torch.manual_seed(mixed_seed(seed, *order[1:3]))
            task.step(task.stages[order[1]][0], *order[2:])
        elif order[0] == "state":
            task.step_size = order[1]
            task.load_state_dict(checkpoint.put_together(tensors, order[2]))
        elif order[1]:
            return
        else:
            raise KeyboardInterrupt


def _lead(
    task: Task,
    config: TrainConfig,
    seed: int,
    directory: Path | None,
    resume: bool,
    minutes: float | None,
    on_event: OnEvent | None,
) -> None:
    """Run the stages, and tell the other processes their steps."""
    at_stage, at_step, spent = 0, 0, 0.0
    recent: dict[str, list[float]] = {"loss": [], "gradient": []}
    retreats = 0
    path = directory / STATE_FILE if directory is not None else None
    if resume:
        if path is None or not path.exists():
            raise ModelError(f"There is no checkpoint in {directory} to resume; run again without --resume.")
        state = checkpoint.read_state(path)
        at_stage, at_step, spent = state["stage"], state["step"], state["seconds"]
        recent, retreats = state.get("recent", recent), state.get("retreats", 0)
        task.step_size = state.get("step_size", 1.0)
        task.load_state_dict(state["task"])
    _tell_state(task)
    everything = max(1, sum(steps for _, steps in task.stages))
    began = saved = time.monotonic()

    def save() -> None:
        if path is not None:
            elapsed = spent + time.monotonic() - began
            progress = {"stage": at_stage, "step": at_step, "seconds": elapsed}
            caution = {"recent": recent, "retreats": retreats, "step_size": task.step_size}
            if _finite(state := task.state_dict()):  # else the next step will show it, and the last checkpoint serves
                checkpoint.write_state(path, {**progress, **caution, "task": state})

    def looked(before: float, after: float) -> int:
        return min(20, int(20 * after)) if after >= 1 or int(20 * after) > int(20 * before) else 0

    whole, interrupted = True, False

    def hold(*_: Any) -> None:
        # Ctrl-C waits for the end of the step, so that what is saved is whole; a second one does not
        nonlocal interrupted
        if world() == 1 and (interrupted or whole):
            raise KeyboardInterrupt
        interrupted = True  # torchrun passes on what the terminal has sent to all: one Ctrl-C comes twice

    handler = signal.signal(signal.SIGINT, hold) if threading.current_thread() is threading.main_thread() else None
    try:
        while at_stage < len(task.stages):
            stage, steps = task.stages[at_stage]
            if at_step == 0:
                tell("start", at_stage)
                torch.manual_seed(mixed_seed(seed, at_stage, -1))
                task.start(stage)
                recent = {"loss": [], "gradient": []}
            if steps:
                good = at_step, copy.deepcopy(task.state_dict()), copy.deepcopy(recent)
            before = sum(n for _, n in task.stages[:at_stage])
            budget = None if minutes is None else minutes * 60 * steps / everything
            deadline_from = time.monotonic() - (at_step / steps * budget if budget and steps else 0.0)
            while at_step < steps:
                progress = at_step / steps
                if budget is not None:
                    progress = max(progress, (time.monotonic() - deadline_from) / budget)
                    if progress >= 1:
                        break
                tell("step", at_stage, at_step, progress)
                torch.manual_seed(mixed_seed(seed, at_stage, at_step))
                whole = False
                terms = {name: float(t) for name, t in task.step(stage, at_step, progress).items()}
                now = {"loss": abs(sum(terms.values())), "gradient": task.gradient_norm}
                share = (at_step + 1) / steps
                if budget is not None:
                    share = max(share, (time.monotonic() - deadline_from) / budget)
                look, due = looked(progress, share), time.monotonic() - saved > config.checkpoint_seconds
                reason = _diverged(terms, now, recent)
                if reason is None and (look or due) and not _finite(task.state_dict()):
                    reason = "weights that are no numbers"
                if reason is None:
                    at_step += 1
                    for name, value in now.items():
                        recent[name] = [*recent[name], value][-_REMEMBERED:]
                    metrics = task.validate(stage) if look else {}
                    over = share >= 1 or task.plateau(stage)
                    if look and not over:
                        good = at_step, copy.deepcopy(task.state_dict()), copy.deepcopy(recent)
                else:
                    retreats += 1
                    if retreats > RETREATS:
                        raise ModelError(
                            f"Training diverged at {stage} step {at_step} ({reason}), also with steps "
                            f"{task.step_size:g} times as large; lower the learning rate."
                        )
                    metrics, over = {"diverged_at": at_step, "step_size": SMALLER * task.step_size}, False
                    log.warning(
                        "training diverged at %s step %d (%s): back to step %d, with steps %g times as large",
                        *(stage, at_step, reason, good[0], metrics["step_size"]),
                    )
                    at_step, state, recent = copy.deepcopy(good)
                    task.load_state_dict(state)
                    task.step_size *= SMALLER
                    _tell_state(task)
                    terms, look = {}, 0
                whole = True
                if interrupted:
                    raise KeyboardInterrupt
                if on_event is not None:
                    on_event(
                        {
                            "stage": stage,
                            "step": at_step,
                            "steps": steps,
                            "fraction": (before + max(progress, at_step / steps) * steps) / everything,
                            "last": over,
                            "looked": look,
                            "seconds": round(spent + time.monotonic() - began, 2),
                            "loss": sum(terms.values()),
                            "terms": terms,
                            "metrics": metrics,
                        }
                    )
                if due:
                    save()
                    saved = time.monotonic()
                if over:
                    break
            torch.manual_seed(mixed_seed(seed, at_stage, -2))
            whole = False
            task.finish(stage)
            _tell_state(task)
            at_stage, at_step, whole = at_stage + 1, 0, True
            save()
            if interrupted:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        if whole:
            save()
        raise
    finally:
        if handler is not None:
            signal.signal(signal.SIGINT, signal.SIG_IGN if interrupted and world() > 1 else handler)


def _tell_state(task: Task) -> None:
    """Give the other processes the state of the first."""
    if world() > 1:
        tensors, skeleton = checkpoint.taken_apart(task.state_dict())
        tell("state", task.step_size, skeleton, tensors=tensors)


def _diverged(
    terms: Mapping[str, float], now: Mapping[str, float], recent: Mapping[str, Sequence[float]]
) -> str | None:
    """Return how a step shows that training diverges; None where it does not."""
    for name, value in (*terms.items(), ("gradient", now["gradient"])):
        if not np.isfinite(value):
            return f"{name} {value:g}"
    for name, value in now.items():
        usual = statistics.median(recent[name]) if len(recent[name]) >= _ENOUGH else np.inf
        if value > EXPLODED[name] * max(usual, 1.0):
            return f"{name} {value:.4g}, {usual:.4g} before"
    return None


def _finite(state: Any) -> bool:
    """Tell whether all floating-point tensors of a nested state hold numbers only."""
    if isinstance(state, Tensor):
        return not state.is_floating_point() or bool(state.isfinite().all())
    if isinstance(state, dict):
        return all(map(_finite, state.values()))
    return all(map(_finite, state)) if isinstance(state, (list, tuple)) else True


def mixed_seed(*numbers: int) -> int:
    """Return one seed from several numbers."""
    return int(np.random.SeedSequence([n + 2 for n in numbers]).generate_state(1, np.uint64)[0] >> 1)
