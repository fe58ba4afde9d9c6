"""One network on several devices, or on one in several parts: who does which rows of a batch, and the sums over all.

Every process makes the same random decisions for the whole batch and keeps those of its own rows, so that the sum of
the gradients is that of one process, but for the order of additions. Plain `torch.distributed`: what would have to be
told to a launcher of models (which rows a random number belongs to) is all that there is here.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import json
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, distributed, nn
from torch.distributed.rendezvous import rendezvous
from torch.nn import functional

from ...errors import ModelError, PgcganError

ENDED = (
    "Another process of this training has ended, or all were told to; the same command with --resume goes on from the "
    "last checkpoint."
)


# ---- processes ----------------------------------------------------------------------------------------------------


def world() -> int:
    """Return how many processes train together."""
    return distributed.get_world_size() if _JOINED else 1


def leads() -> bool:
    """Tell whether this is the process that decides, writes and speaks; there is one in every run."""
    return world() == 1 or distributed.get_rank() == 0


def local_device() -> torch.device:
    """Return the GPU of this process, one for each on a machine."""
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


_LENGTH = 8  # bytes that say how long the words of a message are
_RUNS = itertools.count()  # that this process has joined, as often as the others
_JOINED: list[_Run] = []  # the run that this process is a part of, if it is


@dataclass
class _Run:
    """What a process knows of the run that it is a part of."""

    ready: bool = False  # whether all have come as far as training


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Train together with the other processes that `torchrun` has started.

    Within the block `PGcGAN.fit` shares each batch out over the processes, and `PGcGAN.save` writes in the first one
    alone. The others print nothing but the traceback of a defect, leave Ctrl-C to the first, and end after it if the
    run fails.

    Raises
    ------
    ModelError
        In the first process, if another one fails or ends.
    """
    nvidia = torch.cuda.is_available() and distributed.is_nccl_available()
    # a group of an earlier run must not find its addresses in the place of those of this one: names of its own
    store, rank, size = next(rendezvous("env://"))
    number = next(_RUNS)
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if nvidia else "gloo",
        store=distributed.PrefixStore(f"pgcgan/{number}", store),
        rank=rank,
        world_size=size,
        timeout=datetime.timedelta(days=7),  # who dies is noticed by the connection, not by the clock
    )
    run = _Run()
    _JOINED.append(run)
    first = leads()
    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        with contextlib.ExitStack() as quiet:
            if first:
                signal.signal(signal.SIGTERM, _told_to_end)
            else:
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                nowhere = quiet.enter_context(open(os.devnull, "w", encoding="utf-8"))
                quiet.enter_context(contextlib.redirect_stdout(nowhere))
                quiet.enter_context(contextlib.redirect_stderr(nowhere))
            try:
                yield
            except (PgcganError, KeyboardInterrupt) as error:
                if first:
                    raise
                with contextlib.suppress(ModelError):
                    if not run.ready and isinstance(error, PgcganError):
                        settle(str(error))
                    with _together():
                        distributed.barrier()  # where the first does not come: an end before its own might silence it
                raise SystemExit(getattr(error, "exit_code", 128 + signal.SIGINT)) from None
    finally:
        distributed.destroy_process_group()
        _JOINED.remove(run)
        for number, handler in before.items():
            signal.signal(number, handler)


def _told_to_end(*_: Any) -> None:
    raise ModelError(ENDED)


def settle(problem: str = "", mark: str = "") -> None:
    """Meet the other processes before training, and hear whether all could prepare themselves.

    Parameters
    ----------
    problem : str
        Why this process cannot train.
    mark : str
        Digest of what all must have in common.

    Raises
    ------
    ModelError
        If one cannot, or has prepared something else.
    """
    if world() == 1:
        return
    said: list[Any] = [None] * world()
    with _together():
        distributed.all_gather_object(said, (problem, mark))
    _JOINED[-1].ready = True
    for number, (text, other) in enumerate(said):
        if text:
            raise ModelError(f"Process {number} of {len(said)} cannot train: {text}")
        if other != said[0][1]:
            raise ModelError(
                f"Process {number} of {len(said)} has other data, settings or a prior of its own; start all with the "
                "same command, the same files, the same versions and on the same kind of processor."
            )


@contextlib.contextmanager
def _together() -> Iterator[None]:
    """Turn the end of another process into one sentence."""
    try:
        yield
    except (RuntimeError, distributed.DistError):
        raise ModelError(ENDED) from None


def tell(*order: str | float, tensors: dict[str, Tensor] | None = None) -> None:
    """Tell the other processes what is next (`told` returns it there): names, numbers, and tensors on the CPU."""
    if world() == 1:
        return
    words = json.dumps(order).encode()
    message = len(words).to_bytes(_LENGTH, "little") + words + save(tensors or {})
    content = torch.frombuffer(bytearray(message), dtype=torch.uint8)
    with _together():
        distributed.broadcast(torch.tensor(len(content)), 0)
        distributed.broadcast(content, 0)


def told() -> tuple[list[Any], dict[str, Tensor]]:
    """Return what the first process tells."""
    with _together():
        distributed.broadcast(size := torch.tensor(0), 0)
        distributed.broadcast(content := torch.empty(int(size), dtype=torch.uint8), 0)
    message = content.numpy().tobytes()
    end = _LENGTH + int.from_bytes(message[:_LENGTH], "little")
    return json.loads(message[_LENGTH:end]), load(message[end:])


def sum_up(tensors: Iterable[Tensor | None]) -> None:
    """Replace each tensor by its sum over all processes."""
    found = [t for t in tensors if t is not None]
    if world() == 1 or not found:
        return
    together = torch.cat([t.detach().reshape(-1).float() for t in found])
    with _together():
        distributed.all_reduce(together)
    with torch.no_grad():
        for tensor, total in zip(found, together.split([t.numel() for t in found]), strict=True):
            tensor.copy_(total.view_as(tensor))


# ---- parts of a batch ---------------------------------------------------------------------------------------------


@dataclass
class Part:
    """Rows `first` to `last` of the `whole` rows of a batch; within `with part:` random numbers are theirs alone."""

    first: int
    last: int
    whole: int

    @property
    def rows(self) -> slice:
        """Return them as a slice."""
        return slice(self.first, self.last)

    @property
    def share(self) -> float:
        """Return the weight of their mean in the mean of the batch."""
        return (self.last - self.first) / self.whole

    def __enter__(self) -> Part:
        """Begin the part."""
        self._before = _PART.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        """End the part."""
        _PART.reset(self._before)


_PART: ContextVar[Part | None] = ContextVar("part", default=None)  # the one that is worked on


def parts(whole: int, count: int, device: torch.device, noise: torch.Generator | None = None) -> Iterator[Part]:
    """Yield this process's parts of a batch, one after the other, each with the random numbers of the whole batch.

    Parameters
    ----------
    whole : int
        Rows of the batch; as many as there are parts in all processes at least.
    count : int
        Parts in each process; their sizes differ by one row at most.
    device : torch.device
    noise : torch.Generator, optional
        A source of random numbers beside torch's own.
    """
    number = (0 if leads() else distributed.get_rank()) * count
    edges = [whole * i // (world() * count) for i in range(world() * count + 1)]
    sources: list[Any] = [torch.random.default_generator, *([noise] if noise is not None else [])]
    if device.type == "cuda":
        sources.append(torch.cuda.default_generators[device.index or 0])
    states = [source.get_state() for source in sources] if count > 1 else []
    for i in range(number, number + count):
        for source, state in zip(sources, states, strict=False):
            source.set_state(state)
        yield Part(edges[i], edges[i + 1], whole)


def drawn(draw: Callable[[Sequence[int]], Tensor], shape: Sequence[int], rows: int = 0) -> Tensor:
    """Return random numbers for the rows of the part that is worked on, drawn for the whole batch.

    Parameters
    ----------
    draw : callable
        Draws a tensor of a shape.
    shape : sequence of int
        What is wanted here.
    rows : int
        Which axis the rows are on: those of the part, or as many again for the second haplotypes.
    """
    part = _PART.get()
    if part is None:
        return draw(shape)
    times = shape[rows] // (part.last - part.first)
    wider = [*shape[:rows], times * part.whole, *shape[rows + 1 :]]
    of_all = draw(wider).unflatten(rows, (times, part.whole))
    return of_all.narrow(rows + 1, part.first, part.last - part.first).flatten(rows, rows + 1)


def dropout(x: Tensor, share: float, training: bool, rows: int = 0) -> Tensor:
    """Return what is left of x: `torch.nn.functional.dropout`, with the same random numbers for each row in any part.

    Parameters
    ----------
    x : tensor
    share : float
        Of its numbers that are dropped; the others grow by 1 / (1 - share).
    training : bool
        False leaves x alone.
    rows : int
        As in `drawn`.
    """
    if not training or not 0 < share < 1:
        return functional.dropout(x, share, training)
    # in the order in which x lies in memory, as torch draws
    axes = list(range(x.dim()))
    if not x.is_contiguous():
        axes.sort(key=lambda axis: (axis != rows, -x.stride()[axis]))
    kept = drawn(
        lambda shape: torch.empty_permuted(list(shape), axes, dtype=x.dtype, device=x.device).bernoulli_(1 - share),
        x.shape,
        rows,
    )
    return x * kept.div_(1 - share)


def normalised(norm: nn.BatchNorm1d, x: Tensor) -> Tensor:
    """Return what a layer of batch normalisation makes of x, with mean and variance of the whole batch.

    Parameters
    ----------
    norm : BatchNorm1d
    x : tensor (people, features, positions)
        Of the people of this process's part.
    """
    if world() == 1 or not norm.training:
        result: Tensor = norm(x)
        return result
    part = _PART.get()
    assert part is not None
    count = part.whole * x.shape[2]
    x = x.float()
    mean = _Sum.apply(x.sum(dim=(0, 2))) / count
    centred = x - mean[:, None]
    variance = _Sum.apply(centred.square().sum(dim=(0, 2))) / count
    assert norm.running_mean is not None and norm.running_var is not None and norm.num_batches_tracked is not None
    assert norm.momentum is not None
    with torch.no_grad():
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance * (count / (count - 1)), norm.momentum)
        norm.num_batches_tracked += 1
    scale = norm.weight * torch.rsqrt(variance + norm.eps)
    return centred * scale[:, None] + norm.bias[:, None]


class _Sum(torch.autograd.Function):
    """The sum over all processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        total = x.clone()
        sum_up([total])
        return total

    @staticmethod
    def backward(_: Any, slope: Tensor) -> Tensor:
        total = slope.clone()
        sum_up([total])
        return total
