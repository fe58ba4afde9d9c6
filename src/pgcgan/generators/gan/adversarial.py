"""What the two GANs share: the parameters of a training, its directory, checkpoints and resuming."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch

from ...errors import ModelError, UsageError
from ...genotypes import Genotypes
from ...runtime.files import check_free, held
from ...runtime.progress import OnEvent, reported
from ...runtime.threads import single_thread
from .. import store
from ..generator import Generator
from ..rows import Rows
from .parallel import agreed, is_first, process_group
from .trainer import Budget, Task, train

if TYPE_CHECKING:
    from ...metrics import Evaluation

DEVICES = ("auto", "cpu", "cuda")


class AdversarialModel(Generator):
    """A generator network that is trained against a critic; use one of its subclasses.

    Parameters
    ----------
    label, seed
        As in the other generators.
    steps : int
        Training steps at most.
    minutes : float, optional
        The training ends after so many minutes even if there are steps left; the learning rate falls in time. The same
        seed then gives other bytes on a slower machine.
    threads : int
        Threads of the numerical libraries in training; 0 takes all. With 1 the same seed gives the same bytes on any
        number of cores of a CPU.
    device : {"auto", "cpu", "cuda"}
        Where the networks are trained; "auto" takes a GPU if there is one.
    checkpoint_seconds : float
        Time between checkpoints, if the training has a directory.

    Attributes
    ----------
    history_ : list of dict
        Step, loss and metrics of each measurement of the training, for its curves.
    """

    least_people = 2
    bounds: ClassVar = {"steps": (0, np.inf), "threads": (0, np.inf), "checkpoint_seconds": (0, np.inf)}
    steps: int
    minutes: float | None
    threads: int
    device: str
    checkpoint_seconds: float
    patience: int = 0  # a parameter of PGcGAN alone
    history_: list[dict[str, Any]]

    def _check(self) -> None:
        if self.minutes is not None and not self.minutes > 0:
            raise UsageError(f"minutes is {self.minutes}; accepted: more than 0.")
        if self.device not in DEVICES:
            raise UsageError(f"device is {self.device!r}; accepted: {', '.join(DEVICES)}.")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise UsageError("device is 'cuda', but there is no GPU that torch can use; accepted here: auto, cpu.")
        if self.device != "cpu" and 0 < torch.cuda.device_count() <= _local_rank():
            raise UsageError(
                f"This machine has fewer GPUs ({torch.cuda.device_count()}) than processes that train on it; start one "
                "process a GPU (--nproc-per-node), or train on processors (--device cpu)."
            )

    # ---- what a model writes ----------------------------------------------------------------------------------

    @abstractmethod
    def _task(self, rows: Rows, device: torch.device) -> Task:
        """Prepare the training."""

    @abstractmethod
    def _finish(self, rows: Rows, task: Task) -> None:
        """Set what is learned; `task.learned` has the weights that the training returned."""

    def _details(self) -> dict[str, Any]:
        return {"history": self.history_}

    def _restore(self, arrays: Mapping[str, np.ndarray], details: Mapping[str, Any]) -> None:
        self.history_ = details["history"]
        if not isinstance(self.history_, list) or not all(map(_is_report, self.history_)):
            raise ValueError("history is not a list of steps with their loss and metrics")

    # ---- fit --------------------------------------------------------------------------------------------------

    def fit(
        self,
        people: Genotypes,
        *,
        on_event: OnEvent | None = None,
        progress: bool = False,
        directory: str | os.PathLike[str] | None = None,
        resume: bool = False,
        force: bool = False,
    ) -> Self:
        """Learn from people with labels, as `Generator.fit`; what is listed comes in addition.

        Under `torchrun`, several processes train together; only the first one writes.

        Parameters
        ----------
        on_event : callable, optional
            Called with a dict after every step: stage, step, steps, fraction, seconds, loss, terms, metrics.
        directory : path, optional
            Where checkpoints go while training; give it to `save` afterwards.
        resume : bool
            Go on from the checkpoint in `directory`; people and parameters must be those of the interrupted training. A
            training that was interrupted before its first checkpoint starts again.
        force : bool
            Train where a finished model is; it stays until `save` puts the new one in its place.

        Raises
        ------
        ModelError
            If there is nothing to resume, it belongs to other people or parameters, or the training diverged.
        UsageError
            If the directory holds something else or cannot be written.
        """
        rows = self._rows(people)
        if resume and directory is None:
            raise UsageError("Resuming needs the directory of the interrupted training (directory=…).")
        budget = Budget(self.steps, self.minutes, patience=self.patience, checkpoint_seconds=self.checkpoint_seconds)
        with process_group(), contextlib.ExitStack() as stack, reported(on_event, progress and is_first()) as events:
            path = None if directory is None else Path(directory, store.CHECKPOINT)
            if path is not None and is_first():
                stack.enter_context(self._training_directory(path.parent, rows, resume, force))
            on_gpu = self.device != "cpu" and torch.cuda.is_available()
            device = torch.device("cuda", _local_rank()) if on_gpu else torch.device("cpu")
            (is_there,) = agreed([resume and path is not None and path.exists()], device)
            with single_thread():
                task = self._task(rows, device)
            with _torch_settings(self.threads, device):
                weights = train(task, budget, seed=self.seed, path=path, resume=bool(is_there), on_event=events)
            self.history_ = task.history
            task.learned.load_state_dict(weights)
            task.learned.cpu().eval().requires_grad_(False)
            with single_thread():
                self._finish(rows, task)
        return self

    def save(
        self,
        path: str | os.PathLike[str],
        force: bool = False,
        *,
        measured: Evaluation | Sequence[tuple[str, float | None, float | None]] = (),
        provenance: Mapping[str, Any] | None = None,
    ) -> Path:
        """Write the model directory, as `Generator.save`; of several processes, the first one does it."""
        return super().save(path, force, measured=measured, provenance=provenance) if is_first() else Path(path)

    @contextlib.contextmanager
    def _training_directory(self, directory: Path, rows: Rows, resume: bool, force: bool) -> Iterator[None]:
        """Hold the directory of a training while it runs.

        What is trained on, and how, is written beside the checkpoint, and compared when a training is resumed.
        """
        digest = hashlib.sha256(np.ascontiguousarray(rows.states).tobytes() + rows.label.tobytes()).hexdigest()
        of_time = ("threads", "checkpoint_seconds", "minutes")
        run = {
            "model": self.name,
            "label": list(self.label),
            "labels": list(rows.label_names),
            "seed": self.seed,
            "parameters": {name: value for name, value in self.parameters().items() if name not in of_time},
            "people": digest,
        }
        run = json.loads(json.dumps(run))  # as it is read
        if resume:
            if not (directory / store.RUN).exists():
                raise ModelError(f"There is no training in {directory} to resume; run again without --resume.")
            earlier = store.read_json(directory / store.RUN)
            other = [n for n in run if not isinstance(earlier, dict) or run[n] != earlier.get(n)]
            if other:
                raise ModelError(
                    f"The training in {directory} has other {', '.join(other)} than this one; resume it with the same "
                    "people and parameters, or run again without --resume."
                )
        elif directory.exists() and not directory.is_dir():
            raise UsageError(f"{directory} is a file; choose another name for the directory.")
        else:
            check_free(directory / store.MODEL, force, directory)
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{directory} cannot be written: {error.strerror}.") from None
        with held(directory):
            if not resume:
                (directory / store.CHECKPOINT).unlink(missing_ok=True)
                store.write_json(directory / store.RUN, run)
            yield


def _local_rank() -> int:
    """Return which of the processes of this machine this is; `torchrun` sets it."""
    return int(os.environ.get("LOCAL_RANK", "0"))


@contextlib.contextmanager
def _torch_settings(threads: int, device: torch.device) -> Iterator[None]:
    """Let torch use so many threads, 0 leaves it alone, and a GPU multiply matrices in TF32.

    With TF32, a step of the published network on HLA takes half the time (H200).
    """
    with contextlib.ExitStack() as stack:
        if threads == 1:
            stack.enter_context(single_thread())
        elif threads:
            stack.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(threads)
        if device.type == "cuda":
            stack.callback(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision())
            torch.set_float32_matmul_precision("high")
        yield


def _is_report(report: Any) -> bool:
    """Return whether this is what a training reports of a step."""
    return (
        isinstance(report, dict)
        and report.keys() == {"step", "loss", "metrics"}
        and isinstance(report["metrics"], dict)
        and all(isinstance(v, (int, float)) for v in (report["step"], report["loss"], *report["metrics"].values()))
    )


def flat_weights(network: torch.nn.Module) -> np.ndarray:
    """Return the tensors of a network as one vector of float32, in their order."""
    return np.concatenate([t.cpu().numpy().ravel().astype(np.float32) for t in network.state_dict().values()])


def load_flat_weights(network: torch.nn.Module, flat: np.ndarray) -> None:
    """Set the tensors of a network to those that `flat_weights` joined; it draws from now on, and learns no more."""
    state = network.state_dict()
    lengths = [t.numel() for t in state.values()]
    if len(flat) != sum(lengths):
        raise ValueError(f"the network has {len(flat)} weights instead of {sum(lengths)}")
    parts = zip(state.items(), torch.from_numpy(flat.copy()).split(lengths), strict=True)
    network.load_state_dict({name: part.view(t.shape).to(t.dtype) for (name, t), part in parts})
    network.eval().requires_grad_(False)
