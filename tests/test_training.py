"""The loop and its two tasks: the published schedule, resuming, seeds, budgets, and who is in a batch."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pgcgan import PGcGAN, simulate
from pgcgan.errors import ModelError, UsageError
from pgcgan.generators.gan import checkpoint, tasks
from pgcgan.generators.gan.losses import LOSSES
from pgcgan.generators.gan.networks import NetworkConfig
from pgcgan.generators.gan.tasks import HaplotypeTask, PaperTask, TrainingRows
from pgcgan.generators.gan.training import PAPER_TRAINING, STATE_FILE, TrainConfig, train
from pgcgan.generators.haplotype.calibration import balanced_sharpening

NETWORK = NetworkConfig(embedding=8, hidden=16, critic_features=4, run_carriers=4)
CONFIG = TrainConfig(adversarial_steps=3, batch=16, checkpoint_seconds=1e9, share=0.5)
CPU = torch.device("cpu")


def cohort_rows(people: int = 60, sites: int = 40, labels: int = 2, missing: float = 0.0) -> TrainingRows:
    """Return people whose haplotypes are mosaics of a few founders of their label."""
    random = np.random.default_rng(7)
    label = np.arange(people) % labels
    founders = (random.random((labels, 5, sites)) < random.random(sites)).astype(np.int8)
    switch = random.random((2 * people, sites)) < 0.05
    source = random.integers(5, size=(2 * people, sites))
    last = np.maximum.accumulate(np.where(switch, np.arange(sites), 0), axis=1)
    states = founders[np.repeat(label, 2)[:, None], np.take_along_axis(source, last, axis=1), np.arange(sites)]
    states[random.random(states.shape) < missing] = -1
    return TrainingRows(states, label, np.arange(labels)[:, None], 2, 2)


def haplotype_task(config: TrainConfig = CONFIG, *, seed: int = 1, steps: int = 4, **rows: Any) -> HaplotypeTask:
    return HaplotypeTask(cohort_rows(**rows), NETWORK, config, seed=seed, device=CPU, steps=steps)


def paper_task(config: TrainConfig = PAPER_TRAINING, *, seed: int = 1, steps: int = 3) -> PaperTask:
    small = dataclasses.replace(config, batch=8)
    return PaperTask(cohort_rows(people=20, sites=10), small, seed=seed, device=CPU, steps=steps)


def weights(task: HaplotypeTask | PaperTask) -> dict[str, Tensor]:
    modules = {name: getattr(task, name) for name in ("generator", "average", "critic") if hasattr(task, name)}
    return {f"{m}.{n}": t.clone() for m, module in modules.items() for n, t in module.state_dict().items()}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


# ---- the published schedule ---------------------------------------------------------------------------------------


def test_the_published_schedule() -> None:
    # batches of 64; 1,000 epochs of 39; five updates of the discriminator for one of the generator
    assert (PAPER_TRAINING.batch, PAPER_TRAINING.adversarial_steps, PAPER_TRAINING.critic_steps) == (64, 39_000, 5)
    assert (PAPER_TRAINING.loss, PAPER_TRAINING.clip, PAPER_TRAINING.penalty) == ("wgan", 0.01, 0)
    task = paper_task()
    seen: list[Any] = []
    task.generator.register_forward_hook(lambda module, *_: seen.append("trains" if module.training else "infers"))
    for name, optimiser in task.optimisers.items():
        assert type(optimiser) is torch.optim.RMSprop
        group = optimiser.param_groups[0]
        assert (group["lr"], group["alpha"], group["eps"], group["momentum"]) == (5e-5, 0.9, 1e-7, 0)
        assert not group["centered"]
        optimiser.register_step_post_hook(lambda *_, name=name: seen.append(name))
    before = weights(task)
    for step in range(3):
        torch.manual_seed(step)
        terms = task.step("adversarial", step, 0.0)
        assert set(terms) == {"critic", "generator"}
        assert seen == ["infers", "critic"] * 4 + ["trains", "critic", "generator"]
        assert task.critic.training
        seen.clear()
        for kernel in (task.critic.conv1.weight, task.critic.conv2.weight):
            assert float(kernel.detach().abs().max()) <= 0.01
        # statistics of batch normalisation move with the generator's own update only
        assert int(task.generator.norm0.num_batches_tracked) == step + 1
        if step == 0:
            after = weights(task)
            # the first update of RMSprop in closed form: the mean square is (1 - rho) g^2
            moved = after["generator.dense.weight"] - before["generator.dense.weight"]
            slope = task.generator.dense.weight.grad
            assert slope is not None
            assert torch.allclose(moved, -5e-5 * slope / (math.sqrt(0.1) * slope.abs() + 1e-7), atol=1e-7)
            assert float(moved.abs().max()) > 1e-5
    for unclipped in (task.critic.dense.weight, task.critic.score.weight, task.critic.label.weight):
        assert float(unclipped.detach().abs().max()) > 0.01


def test_a_call_with_a_missing_allele_is_hidden_from_the_published_discriminator() -> None:
    rows = cohort_rows(people=20, sites=10)
    rows.states[4, 3] = -1
    task = PaperTask(rows, dataclasses.replace(PAPER_TRAINING, batch=20), seed=1, device=CPU, steps=1)
    # 0|0, 0|1, 1|0, 1|1
    pairs = rows.states.reshape(20, 2, 10)
    expected = 2 * pairs[:, 0] + pairs[:, 1]
    expected[2, 3] = -1
    assert np.array_equal(task.states, expected)
    seen: list[Tensor] = []
    task.critic.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    task.step("adversarial", 0, 0.0)
    for onehot in seen:
        assert (onehot.sum(dim=2) == 0).sum() == 1  # in real and in made people alike


def test_the_seed_of_the_paper_task_decides() -> None:
    first, again, other = paper_task(), paper_task(), paper_task(seed=2)
    for task, seed in ((first, 1), (again, 1), (other, 2)):
        train(task, task.config, seed=seed)
    assert equal(weights(first), weights(again))
    assert not torch.equal(first.generator.dense.weight, other.generator.dense.weight)


# ---- resuming -----------------------------------------------------------------------------------------------------

MAKERS: dict[str, Callable[[], HaplotypeTask | PaperTask]] = {
    "haplotype": lambda: haplotype_task(people=220),  # enough for validation people
    "paper": paper_task,
}
POINTS = [
    ("haplotype", "likelihood", 1),
    ("haplotype", "likelihood", 4),
    ("haplotype", "adversarial", 1),
    ("haplotype", "adversarial", 3),
    ("paper", "adversarial", 2),
]


@pytest.fixture(scope="module")
def uninterrupted() -> dict[str, dict[str, Tensor]]:
    found = {}
    for family, make in MAKERS.items():
        task = make()
        train(task, CONFIG, seed=1)
        found[family] = weights(task)
    return found


@pytest.mark.parametrize(("family", "stage", "step"), POINTS)
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(
    family: str, stage: str, step: int, uninterrupted: dict[str, dict[str, Tensor]], tmp_path: Path
) -> None:
    def interrupt(event: dict[str, Any]) -> None:
        if (event["stage"], event["step"]) == (stage, step):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(MAKERS[family](), CONFIG, seed=1, directory=tmp_path, on_event=interrupt)
    assert [p.name for p in tmp_path.iterdir()] == [STATE_FILE]
    task, events = MAKERS[family](), list[dict[str, Any]]()
    torch.manual_seed(99)  # what the caller draws does not matter
    train(task, CONFIG, seed=1, directory=tmp_path, resume=True, on_event=events.append)
    every = [(name, i) for name, steps in task.stages for i in range(1, steps + 1)]
    assert [(e["stage"], e["step"]) for e in events] == every[every.index((stage, step)) + 1 :]
    assert equal(weights(task), uninterrupted[family])


@pytest.mark.parametrize("stage", ["likelihood", "adversarial"])
def test_ctrl_c_in_the_middle_of_a_step(
    stage: str, uninterrupted: dict[str, dict[str, Tensor]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = MAKERS["haplotype"]()
    plain = task.start

    def start(name: str) -> None:
        plain(name)
        if name == stage:
            count = [0]

            def interrupt(*_: Any) -> None:
                count[0] += 1
                if count[0] == 2:  # weights have changed, the average has not, the step is not counted
                    os.kill(os.getpid(), signal.SIGINT)

            task.optimisers["generator"].register_step_post_hook(interrupt)

    monkeypatch.setattr(task, "start", start)
    with pytest.raises(KeyboardInterrupt):
        train(task, CONFIG, seed=1, directory=tmp_path)
    again = MAKERS["haplotype"]()
    train(again, CONFIG, seed=1, directory=tmp_path, resume=(tmp_path / STATE_FILE).exists())
    assert equal(weights(again), uninterrupted["haplotype"])


CHILD = """
import json, os, signal, sys
import torch
settings, points, threads = json.loads(sys.argv[1])
torch.set_num_threads(threads)
from pgcgan import PGcGAN, simulate
people = simulate(60, length=20_000, seed=5)
for directory, stage, step in points:
    child = os.fork()
    if not child:
        def on_event(event):
            if (event["stage"], event["step"]) == (stage, step):
                os.kill(os.getpid(), signal.SIGKILL)
        PGcGAN(**settings).fit(people, directory=directory, on_event=on_event)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
"""


def test_a_killed_run_is_resumed_to_the_same_weights(tmp_path: Path) -> None:
    settings = {"steps": 3, "hidden": 16, "embedding": 8, "critic_features": 4, "adversarial_steps": 3, "batch": 16}
    settings |= {"checkpoint_seconds": 0, "run_carriers": 4, "sharpening": 1.0}
    points = [(str(tmp_path / stage), stage, 2) for stage in ("likelihood", "adversarial")]
    given = json.dumps([settings, points, torch.get_num_threads()])
    run = subprocess.run([sys.executable, "-c", CHILD, given], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    people, whole = simulate(60, length=20_000, seed=5), tmp_path / "whole"
    PGcGAN(**settings).fit(people).save(whole)
    for where, stage, step in points:
        killed = Path(where)
        assert {p.name for p in killed.iterdir()} == {"run.json", "log.jsonl", STATE_FILE, ".lock"}
        events = list[dict[str, Any]]()
        PGcGAN(**settings).fit(people, directory=killed, resume=True, on_event=events.append).save(killed)
        # the checkpoint of the step before was the last
        assert (events[0]["stage"], events[0]["step"]) == (stage, step)
        for name in ("weights.safetensors", "warmstart.safetensors", "sites.json"):
            assert (killed / name).read_bytes() == (whole / name).read_bytes()


def test_what_cannot_be_resumed(tmp_path: Path) -> None:
    task = haplotype_task()
    with pytest.raises(ModelError) as caught:
        train(task, CONFIG, seed=1, directory=tmp_path, resume=True)
    assert str(caught.value) == f"There is no checkpoint in {tmp_path} to resume; run again without --resume."
    (tmp_path / STATE_FILE).write_bytes(b"nothing")
    with pytest.raises(ModelError, match="is damaged"):
        train(task, CONFIG, seed=1, directory=tmp_path, resume=True)


# ---- seeds, budgets, divergence -----------------------------------------------------------------------------------


def test_the_seed_and_nothing_else_decides() -> None:
    tasks = [haplotype_task(), haplotype_task(), haplotype_task(seed=2)]
    for noise, (task, seed) in enumerate(zip(tasks, (1, 1, 2), strict=True)):
        torch.manual_seed(noise)
        np.random.seed(noise)
        before = torch.get_rng_state()
        train(task, CONFIG, seed=seed)
        assert torch.equal(torch.get_rng_state(), before)
    first, again, other = map(weights, tasks)
    assert equal(first, again)
    assert not torch.equal(first["average.weight"], other["average.weight"])
    assert not torch.equal(first["critic.score.weight"], other["critic.score.weight"])


def test_fit_leaves_the_random_state_of_the_caller_alone() -> None:
    people = simulate(20, length=6_000, seed=2)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    PGcGAN(steps=1, hidden=4, embedding=4, critic_features=2, adversarial_steps=1).fit(people).sample(5)
    assert torch.equal(torch.get_rng_state(), before)


def test_looked_up_or_computed_log_probabilities_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up = haplotype_task(missing=0.03)
    train(looked_up, CONFIG, seed=1)
    monkeypatch.setattr(tasks, "MAX_LOG_PROBS", 0)
    computed = haplotype_task(missing=0.03)
    assert computed.chain_log_probs is None
    train(computed, CONFIG, seed=1)
    assert equal(weights(looked_up), weights(computed))


def test_a_loss_that_stays_no_number_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = dataclasses.replace(CONFIG, checkpoint_seconds=0)
    task = haplotype_task(config, steps=40)
    plain = task._rows_likelihood
    calls = [0]

    def breaks(*args: Any) -> Tensor:
        calls[0] += 1
        return plain(*args) * (float("nan") if calls[0] >= 4 else 1.0)

    monkeypatch.setattr(task, "_rows_likelihood", breaks)
    with pytest.raises(ModelError) as caught:
        train(task, config, seed=1, directory=tmp_path)
    assert str(caught.value) == (
        "Training diverged at likelihood step 2 (likelihood nan), also with steps 0.015625 times as large; lower the "
        "learning rate."
    )
    assert float(task.generator.weight.isnan().sum()) > 0
    state = checkpoint.read_state(tmp_path / STATE_FILE)
    assert (state["step"], state["step_size"], state["retreats"]) == (2, 0.25**3, 3)
    assert all(t.isfinite().all() for t in state["task"]["generator"].values())


def test_weights_that_are_no_numbers_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # the loss is finite and its gradient is not: the step that breaks the weights looks like any other
    config = dataclasses.replace(CONFIG, checkpoint_seconds=0)
    task = haplotype_task(config, steps=2)
    plain = task._likelihood_step

    def breaks(people: np.ndarray, noise: np.random.Generator, step: int, progress: float) -> dict[str, Tensor]:
        terms = plain(people, noise, step, progress)
        if step == 1:
            with torch.no_grad():
                task.generator.weight.fill_(float("nan"))
        return terms

    monkeypatch.setattr(task, "_likelihood_step", breaks)
    with pytest.raises(ModelError, match="Training diverged"):
        train(task, config, seed=1, directory=tmp_path)
    state = checkpoint.read_state(tmp_path / STATE_FILE)
    assert all(t.isfinite().all() for t in state["task"]["generator"].values())


@pytest.mark.parametrize("family", ["haplotype", "paper"])
def test_a_run_that_diverges_once_goes_back_with_smaller_steps(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config = dataclasses.replace(CONFIG, checkpoint_seconds=0, adversarial_steps=0)
    task = haplotype_task(config, steps=20) if family == "haplotype" else paper_task(steps=20)
    stage = task.stages[0][0]
    plain, taken, events = task.step, list[tuple[int, float]](), list[dict[str, Any]]()

    def breaks(stage: str, step: int, progress: float) -> dict[str, Tensor]:
        terms = plain(stage, step, progress)
        taken.append((step, task.optimisers["generator"].param_groups[0]["lr"]))
        if len(taken) == 13:  # the 13th step finds a weight that is no number
            with torch.no_grad():
                next(task.generator.parameters()).fill_(float("nan"))
            return dict.fromkeys(terms, torch.tensor(float("nan")))
        return terms

    monkeypatch.setattr(task, "step", breaks)
    train(task, config, seed=1, directory=tmp_path, on_event=events.append)
    # back to the look before, which is that after 12 of the 20 steps, and through the rest with a quarter of the rate
    assert [step for step, _ in taken] == [*range(13), *range(12, 20)]
    assert taken[13][1] == pytest.approx(taken[12][1] / 4)
    assert [e["metrics"] for e in events if "diverged_at" in e["metrics"]] == [{"diverged_at": 12, "step_size": 0.25}]
    assert "training diverged at " + stage + " step 12" in caplog.text
    assert "back to step 12, with steps 0.25 times as large" in caplog.text
    assert all(t.isfinite().all() for t in weights(task).values() if t.is_floating_point())
    assert checkpoint.read_state(tmp_path / STATE_FILE)["step_size"] == 0.25


def test_a_huge_learning_rate_is_noticed_and_taken_back(caplog: pytest.LogCaptureFixture) -> None:
    config = dataclasses.replace(CONFIG, learning_rate=3000.0, adversarial_steps=0)
    task = haplotype_task(config, steps=60)
    with pytest.raises(ModelError, match="Training diverged at likelihood step .* also with steps 0.015625 times as"):
        train(task, config, seed=1)
    assert caplog.text.count("training diverged at likelihood") == 3


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_what_explodes_counts_as_diverged(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = dataclasses.replace(CONFIG, adversarial_steps=0)
    task, events = haplotype_task(config, steps=40), list[dict[str, Any]]()
    plain, calls = task.step, [0]

    def explodes(stage: str, step: int, progress: float) -> dict[str, Tensor]:
        terms = plain(stage, step, progress)
        calls[0] += 1
        if calls[0] == 25:
            if what == "loss":
                return {name: 50 * t for name, t in terms.items()}
            task.gradient_norm *= 1e6
        return terms

    monkeypatch.setattr(task, "step", explodes)
    train(task, config, seed=1, on_event=events.append)
    assert [e["metrics"]["diverged_at"] for e in events if "diverged_at" in e["metrics"]] == [24]


def test_a_caution_survives_an_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(directory: Path | None, stop: bool, resume: bool) -> HaplotypeTask:
        config = dataclasses.replace(CONFIG, adversarial_steps=0)
        task = haplotype_task(config, steps=20)
        plain = task.step

        def breaks(stage: str, step: int, progress: float) -> dict[str, Tensor]:
            terms = plain(stage, step, progress)
            return terms if step != 9 or task.step_size < 1 else dict.fromkeys(terms, torch.tensor(float("inf")))

        def interrupt(event: dict[str, Any]) -> None:
            if stop and event["step"] == 15:
                raise KeyboardInterrupt

        monkeypatch.setattr(task, "step", breaks)
        train(task, config, seed=1, directory=directory, resume=resume, on_event=interrupt)
        return task

    whole = weights(run(None, False, False))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, True, False)
    assert equal(weights(run(tmp_path, False, True)), whole)


def test_minutes_are_a_budget() -> None:
    # a million steps, no early end: without the budget it would not come back
    config = dataclasses.replace(CONFIG, patience=0)
    task, events = haplotype_task(config, steps=1_000_000, people=220), list[dict[str, Any]]()
    began = time.monotonic()
    train(task, config, seed=1, minutes=1 / 60, on_event=events.append)
    assert time.monotonic() - began > 0.9
    assert events[-1]["fraction"] > 0.9
    fractions = [e["fraction"] for e in events]
    assert fractions == sorted(fractions)
    assert len([e for e in events if e["stage"] == "likelihood"]) > 3


def test_a_run_that_the_clock_ends_is_validated_too() -> None:
    task, events = haplotype_task(steps=1_000_000, people=220), list[dict[str, Any]]()
    train(task, CONFIG, seed=1, minutes=1 / 60, on_event=events.append)
    assert any(e["stage"] == "likelihood" and e["metrics"] for e in events)
    assert task.best["weights"]


def test_events() -> None:
    task, events = haplotype_task(people=220), list[dict[str, Any]]()
    train(task, CONFIG, seed=1, on_event=events.append)
    assert [(e["stage"], e["step"], e["steps"]) for e in events] == [
        *(("likelihood", i, 4) for i in range(1, 5)),
        *(("adversarial", i, 3) for i in range(1, 4)),
    ]
    assert [e["fraction"] for e in events] == pytest.approx([i / 7 for i in range(1, 8)])
    assert all(e["loss"] == pytest.approx(sum(e["terms"].values())) for e in events)
    assert set(events[0]["terms"]) == {"likelihood"}
    assert set(events[-1]["terms"]) == {"critic", "generator", "r1", "r2"}
    metrics = {"validation_nats", "network_nats", "prior_nats", "network_share"}
    assert all(set(e["metrics"]) == metrics for e in events)


# ---- what is learnt from ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "terms"),
    [
        ("relativistic", {"critic", "generator", "r1", "r2"}),
        ("wgan", {"critic", "generator"}),
        ("wgan-gp", {"critic", "generator", "gradient_penalty"}),
    ],
)
def test_every_loss_runs(loss: str, terms: set[str]) -> None:
    config = dataclasses.replace(CONFIG, loss=loss, critic_steps=2, penalty=1.0)
    task, events = haplotype_task(config, steps=1), list[dict[str, Any]]()
    before = weights(task)
    train(task, config, seed=1, on_event=events.append)
    assert set(events[-1]["terms"]) == terms
    after = weights(task)
    assert not torch.equal(before["critic.score.weight"], after["critic.score.weight"])
    kernels = [m.weight for m in task.critic.modules() if isinstance(m, torch.nn.Conv1d)]
    assert (max(float(k.detach().abs().max()) for k in kernels) <= 0.01) is (loss == "wgan")


def test_an_unknown_loss() -> None:
    assert LOSSES == ("relativistic", "wgan", "wgan-gp")
    with pytest.raises(UsageError) as caught:
        TrainConfig(loss="hinge")
    assert str(caught.value) == "Unknown loss 'hinge'; accepted: relativistic, wgan, wgan-gp."


def test_validation_people_are_in_no_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    config = dataclasses.replace(CONFIG, validation=0.1, crossover=1.0, patience=0)
    task = haplotype_task(config, people=200, steps=30)
    assert len(task.validation_people) == 20
    assert set(task.validation_people) | set(task.train_people) == set(range(200))
    plain, seen = task._sources, list[np.ndarray]()

    def spy(people: np.ndarray, noise: np.random.Generator) -> np.ndarray:
        found = plain(people, noise)
        seen.append(found)
        # everybody keeps the first blocks, and crosses over into the own label
        assert np.array_equal(found[:, :, 0], people[:, None] * 2 + [0, 1])
        assert (task.row_label[found] == task.data.label[people][:, None, None]).all()
        return found

    monkeypatch.setattr(task, "_sources", spy)
    train(task, config, seed=1)
    assert len(seen) == 33
    used = set(np.concatenate([s.ravel() // 2 for s in seen]))
    assert not used & set(task.validation_people)
    # eleven batches of 16 are a round through the 180
    first = np.concatenate([s[:, 0, 0] // 2 for s in seen[:11]])
    assert len(set(first)) == 176


def test_small_cohorts_spare_nobody_for_validation() -> None:
    task = haplotype_task(people=60)
    assert len(task.validation_people) == 0
    assert task.train_people.tolist() == list(range(60))
    assert task.validate("likelihood") == {}


def test_crossovers_keep_the_codes_before() -> None:
    task = haplotype_task(dataclasses.replace(CONFIG, crossover=1.0, crossover_match=2), people=200)
    sources = task._sources(np.arange(100), np.random.default_rng(0)).reshape(200, -1)
    changed = [(i, int(at)) for i, at in zip(*np.nonzero(np.diff(sources, axis=1)), strict=True)]
    assert len(changed) > 100
    assert len({i for i, _ in changed}) == len(changed)  # at most one a row
    for i, before in changed:
        own, other = task.codes[sources[i, before]], task.codes[sources[i, before + 1]]
        assert np.array_equal(own[before - 1 : before + 1], other[before - 1 : before + 1])
    none = haplotype_task(dataclasses.replace(CONFIG, crossover=0.0))
    sources = none._sources(np.arange(10), np.random.default_rng(0))
    assert (sources == (np.arange(20).reshape(10, 2)[:, :, None])).all()


def test_the_best_step_of_the_warm_start_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    config = dataclasses.replace(CONFIG, adversarial_steps=0, share=-1.0)
    task = haplotype_task(config, people=220, steps=4)
    scores, kept = iter([3.0, 1.0, 2.0, 1.5]), list[Tensor]()

    def nats(*_: Any) -> dict[float, float]:
        kept.append(task.average.weight.detach().clone())
        score = next(scores)
        return {0.0: 9.0, 0.35: score, 1.0: score + 1}

    monkeypatch.setattr(task, "_validation_nats", nats)
    train(task, config, seed=1)
    # and the share of the network that was best with it
    assert float(task.average.share) == pytest.approx(0.35)
    assert torch.equal(task.average.weight, kept[1])
    assert torch.equal(task.generator.weight, kept[1])
    assert torch.equal(task.warm_weights["weight"], kept[1])
    assert not torch.equal(kept[1], kept[3])


def test_the_warm_start_learns() -> None:
    # the mate says which of two hidden groups a person is from, which the chain cannot know
    random = np.random.default_rng(1)
    group = np.arange(400) % 2
    states = np.repeat(group, 2)[:, None] ^ (random.random((800, 30)) < 0.1)
    rows = TrainingRows(states.astype(np.int8), np.zeros(400, dtype=np.int64), np.zeros((1, 1), dtype=np.int64), 2, 2)
    config = dataclasses.replace(CONFIG, adversarial_steps=0, batch=64, learning_rate=2e-2, token_dropout=0.0)
    network = dataclasses.replace(NETWORK, hidden=32, dropout=0.0, max_sites=2)
    task = HaplotypeTask(rows, network, config, seed=1, device=CPU, steps=70)
    before = task._validation_nats(task.average)[1.0]
    train(task, config, seed=1)
    after = task._validation_nats(task.average)[1.0]
    # independent sites given the group: 30 times the entropy of .1; and ln 2 for the group, of the first alone
    floor = 30 * -(0.1 * math.log(0.1) + 0.9 * math.log(0.9)) + math.log(2) / 2
    assert floor - 0.5 < after < before - (before - floor) / 3


def test_the_likelihood_of_a_mixture_is_the_mean_of_the_probabilities() -> None:
    task = haplotype_task(people=220)
    train(task, CONFIG, seed=1)
    rows = task.validation_rows
    codes, label = task.codes[rows], task.row_label[rows]
    expected = 0.0
    for b, (chain, prior) in enumerate(task.prior.own_log_probs(codes, label)):
        known = np.flatnonzero(codes[:, b] >= 0)
        expected -= prior[known, codes[known, b]].sum() / len(rows)
        assert np.array_equal(task.validation_prior[b][0].numpy(), chain)
    nats = task._validation_nats(task.average)
    assert nats[0.0] == pytest.approx(expected, rel=1e-5)
    # a mean of probabilities: never worse than the mean of the log-probabilities
    for share, found in nats.items():
        assert found <= share * nats[1.0] + (1 - share) * nats[0.0] + 1e-3


def test_steps_of_the_warm_start() -> None:
    def steps(**settings: Any) -> int:
        config = dataclasses.replace(CONFIG, **{"epochs": 32.0, **settings})
        task = HaplotypeTask(cohort_rows(), NETWORK, config, seed=1, device=CPU)
        blocks = len(task.blocks)
        assert task.stages[1] == ("adversarial", 3)
        return task.stages[0][1] if "max_tokens" not in settings else task.stages[0][1] * 32 * blocks

    assert steps(epochs=40, min_steps=0) == 40 * 60 / 16
    assert steps(epochs=40, min_steps=400) == 400
    assert 40_000 <= steps(max_tokens=50_000, min_steps=400) <= 60_000
    # by default there is no network
    assert HaplotypeTask(cohort_rows(), NETWORK, TrainConfig(), seed=1, device=CPU).stages == [
        ("likelihood", 0),
        ("adversarial", 0),
    ]


def test_no_steps_leave_the_prior() -> None:
    task = haplotype_task(steps=0)
    train(task, CONFIG, seed=1)
    assert task.stages == [("likelihood", 0), ("adversarial", 0)]
    assert not task.average.weight.any()
    assert not task.average.bias.any()
    assert float(task.average.share) == 0.0
    # calibrated like a trained model
    assert task.average.label_bias.any()


def test_calibration_meets_the_label_frequencies() -> None:
    task = haplotype_task(dataclasses.replace(CONFIG, adversarial_steps=1, learning_rate=0.03), steps=30, people=220)
    train(task, task.config, seed=1)

    def furthest() -> float:
        label = torch.arange(2).repeat_interleave(4000)
        with torch.no_grad():
            task.average.eval()
            codes, _ = task.average.people(label, torch.Generator().manual_seed(8))
        worst = 0.0
        for b, size in enumerate(task.blocks.sizes):
            for own in range(2):
                drawn = codes[label == own, :, b].flatten()
                share = torch.bincount(drawn, minlength=size) / len(drawn)
                target = torch.as_tensor(task.prior.chain.label_frequency(b)[own])
                worst = max(worst, float((share - target).abs().max()))
        return worst

    calibrated = furthest()
    task.average.label_bias.zero_()
    assert calibrated < 0.06
    assert calibrated < furthest()


def sharpening_of(task: HaplotypeTask, states: np.ndarray, calibrate: bool = False) -> float:
    axes = task.critic.centre.numpy(), task.critic.components[:10].numpy()
    return balanced_sharpening(task.average, task.blocks, states, task.row_label, axes, seed=1, calibrate=calibrate)


def test_sharpening_is_chosen_where_drawn_people_are_too_diverse() -> None:
    task = haplotype_task(steps=0, people=400)
    train(task, dataclasses.replace(CONFIG, sharpening=1.0, calibrate=False), seed=1)
    with torch.no_grad():
        codes, _ = task.average.people(torch.as_tensor(task.data.label), torch.Generator().manual_seed(3))
    like_drawn = task.blocks.decode(codes.flatten(0, 1).numpy(), np.random.default_rng(1))
    assert sharpening_of(task, like_drawn) == 1.0
    # every row is there twice, so that drawn rows are never as near; and drawn rows spread less than those rows
    twice = np.repeat(like_drawn[::2], 2, axis=0)
    wider = np.where(np.random.default_rng(2).random(len(twice)) < 0.05, 1 - twice[0, 0], twice[:, 0])
    assert 1.0 < sharpening_of(task, np.column_stack([wider, twice[:, 1:]]).astype(np.int8)) < 1.3
    # real rows without any variance: whatever is drawn has more
    assert sharpening_of(task, np.repeat(task.data.states[:1], len(twice), axis=0)) == 1.0


def test_sharpening_and_share_can_be_given() -> None:
    config = dataclasses.replace(CONFIG, sharpening=1.07, share=0.25)
    task = haplotype_task(config, people=220)
    train(task, config, seed=1)
    assert float(task.average.sharpening) == pytest.approx(1.07)
    assert float(task.average.share) == pytest.approx(0.25)
    with pytest.raises(UsageError) as caught:
        TrainConfig(share=1.5)
    assert str(caught.value) == "share is 1.5; accepted: 0 to 1, or below 0 to choose it."


def test_a_network_without_a_share_has_no_adversarial_steps() -> None:
    config = dataclasses.replace(CONFIG, share=0.0)
    task, events = haplotype_task(config, people=220), list[dict[str, Any]]()
    train(task, config, seed=1, on_event=events.append)
    assert [e["stage"] for e in events].count("adversarial") == 1


def test_the_warm_start_ends_when_validation_people_gain_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter(range(10, 100))  # worse and worse
    shares = (0.0, 0.5, 1.0)
    monkeypatch.setattr(HaplotypeTask, "_validation_nats", lambda *_: dict.fromkeys(shares, float(next(scores))))
    config = dataclasses.replace(CONFIG, patience=3, validation=0.25, share=-1.0)
    task = HaplotypeTask(cohort_rows(), NETWORK, config, seed=1, device=CPU, steps=40)
    events: list[dict[str, Any]] = []
    weights: list[Tensor] = []

    def on_event(event: dict[str, Any]) -> None:
        events.append(event)
        if event["stage"] == "likelihood" and event["step"] == 2:
            weights.append(task.average.weight.detach().clone())

    train(task, config, seed=1, on_event=on_event)
    steps = [e["step"] for e in events if e["stage"] == "likelihood"]
    # 20 validations in 40 steps: the first, after step 2, is the best, and three more are waited for
    assert steps == list(range(1, 9)) and [e["last"] for e in events][:8] == [False] * 7 + [True]
    assert torch.equal(task.warm_weights["weight"], weights[0])
    # the prior was not beaten either: nothing for the critic to do
    assert [e["stage"] for e in events[8:]] == ["adversarial"]
