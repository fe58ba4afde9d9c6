"""THE loop: resuming, Ctrl-C, seeds, budgets, the best step, plateaus and divergence, with a task of one number."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pgcgan.errors import ModelError
from pgcgan.generators.gan.trainer import EXPLODED, RETREATS, SMALLER, Budget, Task, train

BUDGET = Budget(steps=12, measurements=4, checkpoint_seconds=1e9)


class Walk(Task):
    """A task whose weight makes random steps; the loss and the score may be prescribed step by step."""

    device = torch.device("cpu")

    def __init__(
        self, losses: Mapping[int, float] | None = None, scores: list[float] | None = None, seconds: float = 0
    ):
        self.weight = torch.zeros(3)
        self.losses, self.scores, self.seconds = dict(losses or {}), scores, seconds
        self.factors: list[float] = []
        self.progress: list[float] = []

    def step(self, step: int, progress: float, rate_factor: float) -> dict[str, Tensor]:
        """Make a random step."""
        self.factors.append(rate_factor)
        self.progress.append(progress)
        self.weight = self.weight + rate_factor * torch.randn(3)
        time.sleep(self.seconds)
        return {"critic": torch.tensor(self.losses.pop(step, 0.5)), "generator": torch.tensor(0.25)}

    def measure(self) -> dict[str, float]:
        """Return the next score."""
        return {} if self.scores is None else {"score": self.scores.pop(0)}

    def weights(self) -> dict[str, Tensor]:
        """Return the weight."""
        return {"weight": self.weight}

    def state_dict(self) -> dict[str, Any]:
        """Return the weight."""
        return {"weight": self.weight}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the weight."""
        self.weight = state["weight"]


def at(*steps: int) -> Tensor:
    """Return the weight after these steps of seed 1, by the seeds that the loop promises."""
    from pgcgan.generators.gan.trainer import mixed_seed

    weight = torch.zeros(3)
    for step in steps:
        weight = weight + torch.randn(3, generator=torch.Generator().manual_seed(mixed_seed(1, step)))
    return weight


# ---- seeds and resuming -------------------------------------------------------------------------------------------


def test_each_step_draws_from_the_seed_and_its_number_alone() -> None:
    torch.manual_seed(99)
    before = torch.get_rng_state()
    weights = train(Walk(), BUDGET, seed=1)
    assert torch.equal(weights["weight"], at(*range(12)))
    assert torch.equal(torch.get_rng_state(), before)  # of the caller
    assert not torch.equal(train(Walk(), BUDGET, seed=2)["weight"], weights["weight"])


@pytest.mark.parametrize("step", [1, 6, 11, 12])
def test_an_interrupted_training_goes_on_as_if_it_had_not_been(step: int, tmp_path: Path) -> None:
    scores = [4.0, 1.0, 2.0, 3.0]
    uninterrupted = train(Walk(scores=list(scores)), BUDGET, seed=1)
    path, events = tmp_path / "training.safetensors", list[dict[str, Any]]()
    first = Walk(scores=list(scores))

    def interrupt(event: dict[str, Any]) -> None:
        if event["step"] == step - 1:
            os.kill(os.getpid(), signal.SIGINT)

    if step == 1:
        plain = first.step
        first.step = lambda *a: (os.kill(os.getpid(), signal.SIGINT), plain(*a))[1]  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        train(first, BUDGET, seed=1, path=path, on_event=interrupt)
    assert len(first.factors) == step  # the step was finished
    assert [p.name for p in tmp_path.iterdir()] == ["training.safetensors"]
    second = Walk(scores=scores[step // 3 :])
    again = train(second, BUDGET, seed=1, path=path, resume=True, on_event=events.append)
    assert [e["step"] for e in events] == list(range(step + 1, 13))
    assert torch.equal(again["weight"], uninterrupted["weight"])
    assert torch.equal(again["weight"], at(*range(6)))  # the second of four measurements was the best


def test_of_measurements_that_differ_by_rounding_the_first_is_the_best() -> None:
    scores = [0.5, 0.4166666666666667, 0.41666666666666663, 0.41666666666666669]  # the second is the first that counts
    assert torch.equal(train(Walk(scores=scores), BUDGET, seed=1)["weight"], at(*range(6)))


def test_checkpoints_are_written_in_time(tmp_path: Path) -> None:
    path, seen = tmp_path / "training.safetensors", list[bool]()
    never = Budget(steps=3, checkpoint_seconds=1e9)
    train(Walk(), never, seed=1, path=path, on_event=lambda _: seen.append(path.exists()))
    assert seen == [False] * 3
    train(Walk(), Budget(steps=3, checkpoint_seconds=0), seed=1, path=path)
    state = Walk()
    train(state, Budget(steps=5, checkpoint_seconds=1e9), seed=1, path=path, resume=True)
    assert len(state.factors) == 2


def test_a_training_saved_at_its_last_step_is_resumed_with_its_history(tmp_path: Path) -> None:
    path, whole, again = tmp_path / "training.safetensors", Walk(), Walk()
    train(whole, Budget(steps=12, measurements=4, checkpoint_seconds=0), seed=1, path=path)
    train(again, BUDGET, seed=1, path=path, resume=True)
    assert not again.factors  # no step was left to make
    assert torch.equal(again.weight, whole.weight)
    assert again.history == whole.history and [part["step"] for part in again.history] == [3, 6, 9, 12]


def test_what_cannot_be_resumed(tmp_path: Path) -> None:
    path = tmp_path / "training.safetensors"
    with pytest.raises(ModelError, match=r"training\.safetensors"):
        train(Walk(), BUDGET, seed=1, path=path, resume=True)
    path.write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"training\.safetensors"):
        train(Walk(), BUDGET, seed=1, path=path, resume=True)


def test_ctrl_c_is_the_callers_again_after_training() -> None:
    handler = signal.getsignal(signal.SIGINT)
    train(Walk(), BUDGET, seed=1)
    assert signal.getsignal(signal.SIGINT) is handler


# ---- budgets, the best step, plateaus -----------------------------------------------------------------------------


def test_minutes_are_a_budget() -> None:
    task, events = Walk(seconds=0.02), list[dict[str, Any]]()
    began = time.monotonic()
    train(task, Budget(steps=100_000, minutes=0.3 / 60), seed=1, on_event=events.append)
    assert 0.3 <= time.monotonic() - began < 3
    assert 1 < len(task.factors) <= 15
    assert events[-1]["fraction"] == 1
    assert task.progress == sorted(task.progress)


def test_no_steps_leave_the_task_as_it_is() -> None:
    task = Walk()
    assert torch.equal(train(task, Budget(steps=0), seed=1)["weight"], torch.zeros(3))
    assert not task.factors


def test_events() -> None:
    events = list[dict[str, Any]]()
    train(Walk(scores=[3.0, 2.0, 1.0, 0.5]), BUDGET, seed=1, on_event=events.append)
    assert [e["step"] for e in events] == list(range(1, 13))
    assert [e["fraction"] for e in events] == pytest.approx([i / 12 for i in range(1, 13)])
    assert all(e["stage"] == "training" and e["steps"] == 12 for e in events)
    assert all(e["loss"] == 0.75 and e["terms"] == {"critic": 0.5, "generator": 0.25} for e in events)
    # those of the last measurement, after steps 3, 6, 9 and 12
    assert [e["metrics"] for e in events[:2]] == [{}, {}]
    assert [e["metrics"]["score"] for e in events[2:]] == [3.0] * 3 + [2.0] * 3 + [1.0] * 3 + [0.5]
    seconds = [e["seconds"] for e in events]
    assert seconds == sorted(seconds)


def test_the_best_step_is_returned() -> None:
    assert torch.equal(train(Walk(scores=[3.0, 0.1, 2.0, 1.0]), BUDGET, seed=1)["weight"], at(*range(6)))
    assert torch.equal(train(Walk(), BUDGET, seed=1)["weight"], at(*range(12)))  # nothing is measured


def test_early_measurements_do_not_count() -> None:
    assert torch.equal(train(Walk(scores=[0.1, 3.0, 2.0, 4.0]), BUDGET, seed=1)["weight"], at(*range(9)))


def test_a_plateau_ends_training() -> None:
    task = Walk(scores=[0.1, 0.1, 0.1, 1.0, 2.0, 3.0, 0.5, 0.5])
    budget = Budget(steps=24, measurements=8, patience=2, checkpoint_seconds=1e9)
    assert torch.equal(train(task, budget, seed=1)["weight"], at(*range(12)))
    assert len(task.factors) == 18


# ---- divergence ---------------------------------------------------------------------------------------------------


def test_a_training_that_diverges_goes_back_with_smaller_steps() -> None:
    task, events = Walk({7: float("nan")}), list[dict[str, Any]]()
    train(task, BUDGET, seed=1, on_event=events.append)
    # back to the last measurement, after six steps
    assert [e["step"] for e in events] == [1, 2, 3, 4, 5, 6, 7, 6, 7, 8, 9, 10, 11, 12]
    assert task.factors == [1.0] * 8 + [SMALLER] * 6
    expected = at(*range(6))
    from pgcgan.generators.gan.trainer import mixed_seed

    for step in range(6, 12):
        expected = expected + SMALLER * torch.randn(3, generator=torch.Generator().manual_seed(mixed_seed(1, step)))
    assert torch.allclose(task.weight, expected)


def test_a_loss_that_explodes_has_diverged() -> None:
    calm, exploding = Walk({11: 0.9 * EXPLODED}), Walk({11: 1.1 * EXPLODED})
    train(calm, BUDGET, seed=1)
    train(exploding, BUDGET, seed=1)
    assert len(calm.factors) == 12 and len(exploding.factors) == 15


def test_a_training_that_diverges_again_and_again_is_given_up() -> None:
    class Diverging(Walk):
        def step(self, step: int, progress: float, rate_factor: float) -> dict[str, Tensor]:
            super().step(step, progress, rate_factor)
            return {"critic": torch.tensor(float("inf"))}

    task = Diverging()
    with pytest.raises(ModelError, match="step 1 ") as caught:
        train(task, BUDGET, seed=1)
    assert f"{SMALLER**RETREATS:g}" in str(caught.value) and "critic inf" in str(caught.value)
    assert task.factors == [SMALLER**i for i in range(RETREATS + 1)]


def test_weights_that_are_no_numbers_are_not_returned() -> None:
    class Broken(Walk):
        def step(self, step: int, progress: float, rate_factor: float) -> dict[str, Tensor]:
            terms = super().step(step, progress, rate_factor)
            if step == 7 and rate_factor == 1:
                self.weight = self.weight / 0
            return terms

    task = Broken()
    weights = train(task, BUDGET, seed=1)
    assert torch.isfinite(weights["weight"]).all()
    assert task.factors[-1] == SMALLER
