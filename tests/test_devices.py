"""One network in several processes (`torchrun`, on the CPU) and in several parts: the result is that of one process."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from test_training import CONFIG, CPU, NETWORK, cohort_rows, weights
from torch import Tensor
from torch.nn import functional

import pgcgan
from pgcgan import PGcGAN
from pgcgan.cli import main
from pgcgan.cli.training import train as train_command
from pgcgan.errors import UsageError
from pgcgan.generators.gan import checkpoint
from pgcgan.generators.gan.devices import Part, drawn, dropout, joined, leads, parts, world
from pgcgan.generators.gan.tasks import HaplotypeTask, PaperTask
from pgcgan.generators.gan.training import PAPER_TRAINING, STATE_FILE, train

TOLERANCE = 1e-4  # of the largest number of a tensor of the model, as docs/clusters.md says
# Adam makes steps of full size of what is nothing but rounding, as the slope of a bias that real and fake people share
TOLERANCE_OF_CRITIC = 5e-3
TOGETHER = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"]
HERE = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]), "OMP_NUM_THREADS": "1"}
SMALL = {"hidden": 8, "embedding": 8, "critic_features": 4, "batch": 15, "calibrate": False, "sharpening": 1.0}
SMALL |= {"run_carriers": 4, "contexts": False, "checkpoint_seconds": 0, "adversarial_steps": 2, "share": 0.5}
PEOPLE = pgcgan.simulate(40, length=12_000, seed=5)
# the second process dies in this step
FAULT = """
import os, signal, sys
from pgcgan.generators.gan import tasks
from pgcgan.cli import main
plain = tasks.HaplotypeTask.step
def step(self, stage, step, progress):
    if (os.environ["RANK"], stage, step) == ("1", "likelihood", 2):
        os.kill(os.getpid(), signal.SIGKILL)
    return plain(self, stage, step, progress)
tasks.HaplotypeTask.step = step
sys.exit(main())
"""
WORDS = ["train", "cohort.vcf.gz", "--panel", "cohort.panel.tsv", "--steps", "6", "-o", "new"]
WORDS += [word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")]


def task_of(name: str, **changes: Any) -> HaplotypeTask | PaperTask:
    """Return a task in which much is random; 15 people in a batch do not divide by two."""
    if name == "paper":
        config = dataclasses.replace(PAPER_TRAINING, batch=15, loss="relativistic", penalty=0.1, **changes)
        # one step, five updates of the critic; in the next ones a unit may be so near to 0 that rounding tips it over
        return PaperTask(cohort_rows(people=40, sites=18, missing=0.05), config, seed=1, device=CPU, steps=1)
    # enough sites that nobody made has two equal haplotypes: there the critic, |first - second|, has no gradient
    rows = cohort_rows(people=110, sites=90, missing=0.03)
    network = dataclasses.replace(NETWORK, run_carriers=4)
    settings: dict[str, Any] = {"batch": 15, "adversarial_steps": 3, "validation": 0.1, "sharpening": 1.0}
    settings |= {"calibrate": False, **changes}
    if name == "wgan-gp":
        settings |= {"loss": "wgan-gp", "penalty": 1.0, "critic_steps": 2}
    return HaplotypeTask(rows, network, dataclasses.replace(CONFIG, **settings), seed=1, device=CPU, steps=6)


TASKS = ("haplotypes", "wgan-gp", "paper")
IN_PAIRS = [("haplotypes", 1), ("haplotypes", 2), ("wgan-gp", 1), ("paper", 1)]  # with parts in each process


def trained(name: str, **changes: Any) -> tuple[dict[str, Tensor], list[float]]:
    """Return all tensors after training, and the losses on the way."""
    task, losses = task_of(name, **changes), list[float]()
    train(task, task.config, seed=1, on_event=lambda event: losses.append(event["loss"]))
    return weights(task), losses


def together() -> None:
    """Train everything in this and the other process, into the folder they are in; then resume, by the command."""
    with joined():
        assert world() == 2
        for name, parts_of_each in IN_PAIRS:
            found, losses = trained(name, accumulate=parts_of_each)
            place = f"{name}-{parts_of_each}-{'first' if leads() else 'other'}"
            save_file({n: t.contiguous() for n, t in found.items()}, f"{place}.safetensors")
            Path(f"{place}.json").write_text(json.dumps(losses))
        task = task_of("haplotypes")
        plain = task.step

        def step(stage: str, step: int, progress: float) -> dict[str, Tensor]:
            if step == 2:
                for _ in range(2):  # the terminal sends it to all, and torchrun sends it once more
                    signal.raise_signal(signal.SIGINT)
            return plain(stage, step, progress)

        task.step = step  # type: ignore[method-assign]
        try:
            train(task, task.config, seed=1, directory=Path() if leads() else None)
        except KeyboardInterrupt:
            Path(f"interrupted-{'first' if leads() else 'other'}").touch()
    sys.exit(main([*WORDS, "--resume"]))


def started(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TOGETHER, sys.executable, "-c", code, *WORDS], cwd=folder, env=HERE, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def alone() -> dict[str, tuple[dict[str, Tensor], list[float]]]:
    return {name: trained(name) for name in TASKS}


def said(run: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what our processes said, without what torchrun adds to it."""
    assert run.stdout == ""
    return [line for line in run.stderr.splitlines() if line.startswith(("pgcgan: ", "trained on "))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("pair")
    pgcgan.write(PEOPLE, made / "cohort.vcf.gz")
    return made


@pytest.fixture(scope="module")
def killed(folder: Path) -> tuple[subprocess.CompletedProcess[str], set[str], int]:
    """Return a run whose second process died, the files it left, and the steps of its checkpoint."""
    run = started(folder, FAULT)
    files = {p.name for p in (folder / "new").iterdir()}
    return run, files, checkpoint.read_state(folder / "new" / STATE_FILE)["step"]


@pytest.fixture(scope="module")
def pair(folder: Path, killed: object) -> Path:
    run = started(folder, "import test_devices; test_devices.together()")
    assert (run.returncode, run.stdout) == (0, ""), run.stderr
    assert said(run) == [f"trained on 40 people at {PEOPLE.n_variants} sites: new"]
    return folder


def distance(one: dict[str, Tensor], other: dict[str, Tensor], *modules: str) -> float:
    """Return the largest difference of tensors, each in units of the largest number of its tensor."""
    assert one.keys() == other.keys()
    names = [n for n in one if n.partition(".")[0] in modules]
    assert names and all(one[n].shape == other[n].shape for n in names)
    return max(
        float((one[n].double() - other[n].double()).abs().max() / one[n].double().abs().max().clamp(min=1e-6))
        for n in names
    )


def assert_near(expected: tuple[dict[str, Tensor], list[float]], found: dict[str, Tensor], losses: list[float]) -> None:
    model = {n.partition(".")[0] for n in found} - {"critic"}
    assert distance(expected[0], found, *model) < TOLERANCE
    assert distance(expected[0], found, "critic") < TOLERANCE_OF_CRITIC
    assert losses == pytest.approx(expected[1], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(("name", "parts_of_each"), IN_PAIRS)
def test_two_processes_equal_one(
    name: str, parts_of_each: int, alone: dict[str, tuple[dict[str, Tensor], list[float]]], pair: Path
) -> None:
    first, other = (load_file(pair / f"{name}-{parts_of_each}-{who}.safetensors") for who in ("first", "other"))
    assert_near(alone[name], first, json.loads((pair / f"{name}-{parts_of_each}-first.json").read_text()))
    assert all(torch.equal(first[n], other[n]) for n in first)
    assert json.loads((pair / f"{name}-{parts_of_each}-other.json").read_text()) == []
    # small beside what training does
    assert distance(alone[name][0], weights(task_of(name)), "generator") > 20 * TOLERANCE
    assert distance(alone[name][0], weights(task_of(name)), "critic") > 2 * TOLERANCE_OF_CRITIC


def test_ctrl_c_ends_all_after_the_step(pair: Path, alone: dict[str, tuple[dict[str, Tensor], list[float]]]) -> None:
    assert (pair / "interrupted-first").exists() and (pair / "interrupted-other").exists()
    assert checkpoint.read_state(pair / STATE_FILE)["step"] == 3
    # and one process alone goes on from there
    task = task_of("haplotypes")
    train(task, task.config, seed=1, directory=pair, resume=True)
    assert_near(alone["haplotypes"], weights(task), alone["haplotypes"][1])


@pytest.mark.parametrize(("name", "count"), [("haplotypes", 7), ("wgan-gp", 3)])
def test_a_batch_in_parts_equals_the_whole(
    name: str, count: int, alone: dict[str, tuple[dict[str, Tensor], list[float]]]
) -> None:
    assert_near(alone[name], *trained(name, accumulate=count))


# ---- random numbers -----------------------------------------------------------------------------------------------


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 2), st.integers(0, 1))
def test_the_parts_of_a_batch_share_its_random_numbers(whole: int, count: int, times: int, rows: int) -> None:
    count = min(count, whole)
    shape = [5, 3]
    shape[rows] = times * whole
    torch.manual_seed(whole)
    expected, after = torch.rand(shape), torch.rand(1)
    torch.manual_seed(whole)
    pieces = list[Tensor]()
    for part in parts(whole, count, CPU):
        with part:
            shape[rows] = times * (part.last - part.first)
            pieces.append(drawn(torch.rand, shape, rows))
    assert torch.equal(torch.rand(1), after)  # what comes next does not depend on the parts either
    # second haplotypes stand after all first ones, in the whole batch as in a part
    halves = [torch.cat([p.chunk(times, dim=rows)[k] for p in pieces], dim=rows) for k in range(times)]
    assert torch.equal(torch.cat(halves, dim=rows), expected)
    sizes = [p.shape[rows] // times for p in pieces]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1)])
def test_dropout_is_that_of_torch(share: float, order: tuple[int, ...]) -> None:
    x = torch.randn(6, 5, 4).permute(order)
    torch.manual_seed(3)
    expected = functional.dropout(x, share)
    torch.manual_seed(3)
    assert torch.equal(dropout(x, share, True), expected)
    torch.manual_seed(3)
    with Part(2, 5, 6):
        assert torch.equal(dropout(x[2:5], share, True), expected[2:5])
    assert dropout(x, share, False) is x


# ---- precision ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["haplotypes", "paper"])
def test_half_the_bits_come_near(name: str, alone: dict[str, tuple[dict[str, Tensor], list[float]]]) -> None:
    kinds = set[torch.dtype]()
    task, losses = task_of(name, precision="bfloat16"), list[float]()
    convolution = task.critic.convolutions[1] if isinstance(task, HaplotypeTask) else task.critic.conv1
    convolution.register_forward_hook(lambda *args: kinds.add(args[2].dtype))
    train(task, task.config, seed=1, on_event=lambda event: losses.append(event["loss"]))
    assert kinds == {torch.bfloat16}
    assert {t.dtype for t in weights(task).values()} <= {torch.float32, torch.int64}
    _, expected = alone[name]
    assert losses != expected
    assert losses == pytest.approx(expected, rel=0.05, abs=0.05)
    assert all(bool(t.isfinite().all()) for t in weights(task).values())


# ---- the command --------------------------------------------------------------------------------------------------


def test_a_process_that_dies_ends_all(killed: tuple[subprocess.CompletedProcess[str], set[str], int]) -> None:
    run, files, step = killed
    assert run.returncode == 1
    assert said(run) == [
        "pgcgan: error: Another process of this training has ended, or all were told to; the same command with "
        "--resume goes on from the last checkpoint."
    ]
    assert (files, step) == ({"run.json", "log.jsonl", STATE_FILE}, 2)


def test_a_killed_run_is_resumed_to_the_model_of_one_process(pair: Path, tmp_path: Path) -> None:
    alone = PGcGAN(steps=6, **SMALL).fit(PEOPLE)
    alone.save(tmp_path / "alone")
    files = {p.name for p in (tmp_path / "alone").iterdir()}
    assert {p.name for p in (pair / "new").iterdir()} == files | {"log.jsonl"}
    for name in ("weights.safetensors", "warmstart.safetensors"):
        one, other = load_file(tmp_path / "alone" / name), load_file(pair / "new" / name)
        assert one.keys() == other.keys()
        for tensor in one:
            a, b = one[tensor].double(), other[tensor].double()
            assert torch.allclose(a, b, rtol=0, atol=TOLERANCE * max(map(abs, a.flatten().tolist()), default=0)), tensor
    sheet = json.loads((pair / "new" / "model.json").read_text())
    assert sheet["provenance"]["processes"] == 2
    steps = [(event["stage"], event["step"]) for event in sheet["history"]]
    assert steps == [(event["stage"], event["step"]) for event in alone.history]
    assert PGcGAN.load(pair / "new").sample(3).n_samples == 3


# ---- what cannot be -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"precision": "float16"}, "Unknown precision 'float16'; accepted: float32, bfloat16."),
        ({"accumulate": 0}, "accumulate is 0; accepted: 1 or more."),
        (
            {"preset": "paper", "accumulate": 2},
            "accumulate is 2; accepted with the paper preset, whose generator normalises over the whole batch: 1.",
        ),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        PGcGAN(**settings)
    assert str(caught.value) == message


def test_more_parts_than_people(cohort: pgcgan.Genotypes, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        PGcGAN(steps=1, batch=4, accumulate=5).fit(cohort, directory=tmp_path / "new")
    assert str(caught.value) == (
        "A batch of 4 people cannot be shared out over 1 processes with accumulate=5 parts in each; accepted: batch=5 "
        "or more, of as many people, or fewer parts."
    )
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("more", [{"windows": 100}, {"baseline": "smote"}])
def test_one_network_alone_is_trained_by_several(more: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"MASTER_ADDR": "localhost", "WORLD_SIZE": "2", "RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError) as caught:
        train_command("cohort.vcf.gz", panel="cohort.panel.tsv", output="new", **more)
    assert str(caught.value) == (
        "torchrun trains one network in several processes; --windows has --executor for that, and a baseline is fitted "
        "by one process."
    )
