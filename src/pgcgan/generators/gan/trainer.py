"""THE training loop, for both networks: budgets, checkpoints, the best step, plateaus, divergence, Ctrl-C.

Every random decision of a step is drawn from (seed, step) alone, so that a resumed run makes the same steps as an
uninterrupted one.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import math
import signal
import statistics
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...errors import ModelError
from ...runtime.progress import OnEvent
from . import checkpoint
from .parallel import agreed, is_first

log = logging.getLogger(__name__)

RETREATS = 3  # times that a training goes back before it gives up
SMALLER = 0.25  # learning rates after going back, as a share of those before
# a loss of so many times the median of the last steps has exploded; excursions of thirty times come back by themselves
EXPLODED = 1000.0
_REMEMBERED, _ENOUGH = 100, 10  # steps of which the median is taken, at most and at least
_TIE = 1e-9  # of a score: the same rows measured in another order of summation are no better


class Task(ABC):
    """Networks in training, and a step of theirs."""

    device: torch.device
    learned: nn.Module  # the one of the networks that the model keeps
    networks: dict[str, nn.Module]
    optimisers: dict[str, torch.optim.Optimizer]
    history: list[dict[str, Any]]  # of a training that has ended: step, loss and metrics of all measurements

    @abstractmethod
    def step(self, step: int, progress: float, rate_factor: float) -> dict[str, Tensor]:
        """Make one step with learning rates times `rate_factor`, and return the terms of the loss."""

    def measure(self) -> dict[str, float]:
        """Return metrics of the model; the step with the smallest "score" is kept, without one the last step."""
        return {}

    def weights(self) -> dict[str, Tensor]:
        """Return a copy of the weights that make the model."""
        return {name: t.detach().clone() for name, t in self.learned.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        """Return everything that a resumed run needs beside the data."""
        optimisers = {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()}
        return {**{name: network.state_dict() for name, network in self.networks.items()}, "optimisers": optimisers}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the state of an interrupted run."""
        for name, network in self.networks.items():
            network.load_state_dict(state[name])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])


@dataclass(frozen=True)
class Budget:
    """When a training ends, and what happens on the way."""

    steps: int
    minutes: float | None = None  # the training ends after so many even if there are steps left
    measurements: int = 20  # of the model, in all
    settled: float = 0.5  # part of the training before which no measurement counts: what looks best there is luck
    patience: int = 0  # the training ends after so many measurements that count without a better score; 0: never
    checkpoint_seconds: float = 60.0  # between checkpoints


@dataclass
class Progress:
    """How far a training has come; with the state of the task, its checkpoint."""

    step: int = 0
    seconds: float = 0.0
    rate_factor: float = 1.0
    retreats: int = 0
    best_score: float | None = None
    measured_since: int = 0  # measurements since the best one
    losses: list[float] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)  # at the last measurement
    history: list[dict[str, Any]] = field(default_factory=list)  # step, loss and metrics of all measurements
    best: dict[str, Tensor] = field(default_factory=dict)  # weights at the best measurement

    def share(self, budget: Budget) -> float:
        """Return how much of a budget is spent: 0 to 1."""
        by_steps = self.step / budget.steps if budget.steps else 1.0
        by_time = 0.0 if budget.minutes is None else self.seconds / max(60 * budget.minutes, 1e-9)
        return min(1.0, max(by_steps, by_time))


def train(
    task: Task,
    budget: Budget,
    *,
    seed: int,
    path: Path | None = None,
    resume: bool = False,
    on_event: OnEvent | None = None,
) -> dict[str, Tensor]:
    """Train until the budget is spent, nothing improves any more, or Ctrl-C; return the best weights.

    Checkpoints go to `path`. `on_event` is called after every step with a dict: stage, step, steps, fraction, seconds,
    loss, terms, the metrics of the last measurement, and the history of all measurements.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, at the end of the step; the checkpoint is written first.
    ModelError
        If there is no checkpoint to resume, or the training diverges again and again.
    """
    now = Progress()
    if resume and path is not None:
        state = checkpoint.read_state(path)
        task.load_state_dict(state["task"])
        now = Progress(**state["progress"], best=state["best"])
    began, saved = time.monotonic() - now.seconds, time.monotonic()
    good = copy.deepcopy((now, task.state_dict()))
    (done,) = agreed([now.share(budget)], task.device)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())), _held_interrupt() as interrupt:
        while done < 1:
            torch.manual_seed(mixed_seed(seed, now.step))
            terms = {name: float(t) for name, t in task.step(now.step, done, now.rate_factor).items()}
            now.step, now.seconds, loss = now.step + 1, time.monotonic() - began, sum(terms.values())
            before, problem = done, _problem(terms, now.losses)
            done, diverged, interrupted = agreed(
                [now.share(budget), problem is not None, interrupt.is_set()], task.device
            )
            now.losses = [*now.losses, abs(loss)][-_REMEMBERED:]
            due = int(budget.measurements * done) > int(budget.measurements * before)
            if diverged or (due and not _is_finite(task.state_dict())):
                now = _retreat(task, good, now, problem or "weights that are no numbers")
                (done,) = agreed([now.share(budget)], task.device)
            elif due:
                _measure(task, now, counts=done >= budget.settled)
                good = copy.deepcopy((now, task.state_dict()))
            if on_event is not None and is_first():
                place = {"step": now.step, "steps": budget.steps, "fraction": done, "seconds": round(now.seconds, 2)}
                measured = {"metrics": now.metrics, "history": now.history, "rate_factor": now.rate_factor}
                on_event({"stage": "training", **place, "loss": loss, "terms": terms, **measured})
            saves = interrupted or time.monotonic() - saved > budget.checkpoint_seconds
            if saves and path is not None and is_first():
                progress = {name: value for name, value in vars(now).items() if name != "best"}
                checkpoint.write_state(path, {"progress": progress, "best": now.best, "task": task.state_dict()})
                saved = time.monotonic()
            if interrupted:
                raise KeyboardInterrupt
            (plateau,) = agreed([budget.patience > 0 and now.measured_since >= budget.patience], task.device)
            if plateau:
                break
    task.history = now.history
    return now.best or task.weights()


def _measure(task: Task, now: Progress, counts: bool) -> None:
    """Measure the model in the first process, and keep the weights in all if they are the best so far."""
    now.metrics = task.measure() if is_first() else {}
    now.history = [*now.history, {"step": now.step, "loss": statistics.median(now.losses), "metrics": now.metrics}]
    score = now.metrics.get("score") if counts else None
    better = score is not None and (now.best_score is None or score < now.best_score - _TIE)
    (flag,) = agreed([better], task.device)
    if score is not None:
        now.best_score, now.measured_since = (score, 0) if better else (now.best_score, now.measured_since + 1)
    if flag:
        now.best = task.weights()


def _retreat(task: Task, good: tuple[Progress, dict[str, Any]], now: Progress, problem: str) -> Progress:
    """Go back to the last good step, with smaller learning rates."""
    if now.retreats >= RETREATS:
        raise ModelError(
            f"Training diverged at step {now.step} ({problem}), also with learning rates {now.rate_factor:g} times as "
            "large; lower the learning rate."
        )
    earlier, state = copy.deepcopy(good)
    earlier.retreats, earlier.rate_factor, earlier.seconds = now.retreats + 1, now.rate_factor * SMALLER, now.seconds
    log.warning(
        "training diverged at step %d (%s): back to step %d, with learning rates %g times as large",
        *(now.step, problem, earlier.step, earlier.rate_factor),
    )
    task.load_state_dict(state)
    return earlier


def _problem(terms: Mapping[str, float], losses: list[float]) -> str | None:
    """Return how a step shows that training diverges; None where it does not."""
    for name, value in terms.items():
        if not math.isfinite(value):
            return f"{name} {value:g}"
    loss = abs(sum(terms.values()))
    usual = statistics.median(losses) if len(losses) >= _ENOUGH else math.inf
    return f"loss {loss:.4g}, {usual:.4g} before" if loss > EXPLODED * max(usual, 1.0) else None


def _is_finite(state: Any) -> bool:
    """Return whether all floating-point tensors of a nested state hold numbers only."""
    if isinstance(state, Tensor):
        return not state.is_floating_point() or bool(state.isfinite().all())
    if isinstance(state, Mapping):
        return all(map(_is_finite, state.values()))
    return all(map(_is_finite, state)) if isinstance(state, (list, tuple)) else True


@contextlib.contextmanager
def _held_interrupt() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C sets: an interrupt waits for the end of the step, so that what is saved is whole."""
    pending = threading.Event()
    if threading.current_thread() is not threading.main_thread() or not is_first():
        yield pending
        return
    handler = signal.signal(signal.SIGINT, lambda *_: pending.set())
    try:
        yield pending
    finally:
        signal.signal(signal.SIGINT, handler)


def mixed_seed(*numbers: int) -> int:
    """Return one seed from several numbers."""
    return int(np.random.SeedSequence([n + 2 for n in numbers]).generate_state(1, np.uint64)[0] >> 1)
