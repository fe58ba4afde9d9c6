"""Training in several processes: torch's DistributedDataParallel under `torchrun`, gloo on CPUs and NCCL on GPUs.

Every process makes the same random decisions for the whole batch and works on its own rows of it; gradients are
averaged by torch. The first process decides, measures, writes and speaks.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel


@contextlib.contextmanager
def process_group() -> Iterator[None]:
    """Join the processes that `torchrun` has started; alone, do nothing.

    The processes but the first print nothing and leave Ctrl-C to the first.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) <= 1 or distributed.is_initialized():
        yield
        return
    with contextlib.ExitStack() as stack:
        # gloo for tensors on CPUs, NCCL for those on GPUs: a machine with GPUs may be told to train on its CPUs
        distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
        stack.callback(distributed.destroy_process_group)
        stack.callback(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT))
        if not is_first():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            stack.enter_context(contextlib.redirect_stdout(nowhere))
        yield


def world_size() -> int:
    """Return the number of processes that train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def is_first() -> bool:
    """Return whether this is the process that decides, measures and writes."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def own_rows(rows: int) -> slice:
    """Return the rows of a batch that this process works on; `rows` is a multiple of the number of processes."""
    each = rows // world_size()
    first = distributed.get_rank() * each if distributed.is_initialized() else 0
    return slice(first, first + each)


def wrapped(module: nn.Module) -> nn.Module:
    """Return the module as it is called in training: its gradients are averaged over the processes."""
    return DistributedDataParallel(module) if world_size() > 1 else module


def agreed(numbers: list[float], device: torch.device) -> list[float]:
    """Return the numbers of the first process in all processes."""
    if world_size() == 1:
        return numbers
    shared = torch.tensor(numbers, dtype=torch.float64, device=device)
    distributed.broadcast(shared, 0)
    return [float(number) for number in shared.cpu()]


def accelerators() -> list[str]:
    """Return the names of the accelerators that torch can use."""
    cuda = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
    return cuda + ["mps"] * torch.backends.mps.is_available()
