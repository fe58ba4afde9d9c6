"""Training in two processes under torchrun, on the CPU: the result is that of one process; Ctrl-C and bad batches."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_gan import SMALL, cohort

from pgcgan.errors import UsageError
from pgcgan.generators import store
from pgcgan.generators.gan import PaperGAN, PGcGAN
from pgcgan.generators.gan.parallel import own_rows, world_size

HERE = Path(__file__).parent
# Without validation the last step is compared. With it, the step with the best score would be, of which the last digit
# hangs on the order of sums: in one process, a start that differs by 1e-7 ended 6e-5 of the way apart with seed 1, but
# .62 and .32 with seeds 2 and 3, although the same codes were drawn throughout. At the last step, two processes and one
# were .0016 apart with seed 1, and drew the same codes.
SETTINGS: dict[str, Any] = {**SMALL, "seed": 1, "steps": 6, "validation": 0.0, "learning_rate": 0.02, "average": 0.5}
SETTINGS["device"] = "cpu"  # also where there is one GPU, which two processes cannot share
SETTINGS["longest_run"] = 4
TOLERANCE = 0.02  # of the way that the weights went: sums of float32 in another order, through six steps of Adam
CHILD = """
import json, os, signal, sys
from test_gan import cohort
from pgcgan.generators.gan import PGcGAN
settings, interrupted_at, resume = json.loads(sys.argv[1])
losses = []
def on_event(event):
    losses.append(event["loss"])
    if event["step"] == interrupted_at:
        os.kill(os.getpid(), signal.SIGINT)
rank = os.environ["RANK"]
try:
    model = PGcGAN(**settings).fit(cohort(people=120), directory="training", resume=resume, on_event=on_event)
    model.save(f"model-{rank}")
except KeyboardInterrupt:
    open(f"interrupted-{rank}", "w").close()
json.dump(losses, open(f"losses-{rank}.json", "w"))
print("done", rank)
"""


def together(folder: Path, interrupted_at: int = 0, resume: bool = False) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path]), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", CHILD, json.dumps([SETTINGS, interrupted_at, resume])]
    return subprocess.run([*command, *words], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pair")
    run = together(folder)
    assert run.returncode == 0, run.stderr
    return folder


@pytest.fixture(scope="module")
def alone() -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Return the weights of one process before and after training, and the losses."""
    losses: list[float] = []
    untrained = PGcGAN(**{**SETTINGS, "steps": 0}).fit(cohort(people=120))
    model = PGcGAN(**SETTINGS).fit(cohort(people=120), on_event=lambda event: losses.append(event["loss"]))
    return untrained._arrays()["network.weights"], model._arrays()["network.weights"], losses


def error(weights: np.ndarray, alone: tuple[np.ndarray, np.ndarray, list[float]]) -> float:
    """Return how far weights are from those of one process, as a share of the way that these went."""
    before, after, _ = alone
    way = np.linalg.norm(after - before)
    assert way > 0.1
    return float(np.linalg.norm(weights - after) / way)


def test_two_processes_equal_one(pair: Path, alone: tuple[np.ndarray, np.ndarray, list[float]]) -> None:
    arrays = [store.read_arrays(pair / f"model-{rank}" / "arrays.safetensors") for rank in (0, 1)]
    for of_rank in arrays:
        assert error(of_rank["network.weights"], alone) < TOLERANCE
    assert all(np.array_equal(arrays[0][name], arrays[1][name]) for name in arrays[0])
    losses = [json.loads((pair / f"losses-{rank}.json").read_text()) for rank in (0, 1)]
    assert len(losses[0]) == 6 and losses[1] == []  # the first process speaks


@pytest.mark.torture
def test_ctrl_c_ends_both_after_the_step_and_both_resume(
    alone: tuple[np.ndarray, np.ndarray, list[float]], tmp_path: Path
) -> None:
    run = together(tmp_path, interrupted_at=2)
    assert run.returncode == 0, run.stderr
    assert {p.name for p in tmp_path.glob("interrupted-*")} == {"interrupted-0", "interrupted-1"}
    run = together(tmp_path, resume=True)
    assert run.returncode == 0, run.stderr
    assert len(json.loads((tmp_path / "losses-0.json").read_text())) == 3
    for rank in (0, 1):
        arrays = store.read_arrays(tmp_path / f"model-{rank}" / "arrays.safetensors")
        assert error(arrays["network.weights"], alone) < TOLERANCE


def test_one_process_has_all_rows() -> None:
    assert world_size() == 1
    assert own_rows(10) == slice(0, 10)


def test_what_several_processes_cannot_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("model", "paper"):
        monkeypatch.setattr(f"pgcgan.generators.gan.{module}.world_size", lambda: 3)
    with pytest.raises(UsageError, match="64.*3"):
        PGcGAN(batch=64).check_parameters()
    with pytest.raises(UsageError, match="3"):
        PaperGAN().check_parameters()


def test_sigint_is_the_callers_again() -> None:
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
