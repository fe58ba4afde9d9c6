"""Training in several processes: the variables that `torchrun` sets."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Sequence

from ..errors import PgcganError
from ..text import whole_number


def number() -> int:
    """Return the rank of this process; rank 0 prints and writes."""
    return _variable("RANK", 0) if several() else 0


def several() -> bool:
    """True if several processes train together."""
    return "MASTER_ADDR" in os.environ and _variable("WORLD_SIZE", 1) > 1


def beside() -> int:
    """Return the number of processes that share this machine."""
    return max(1, _variable("LOCAL_WORLD_SIZE", 1)) if several() else 1


def _variable(name: str, otherwise: int) -> int:
    text = os.environ.get(name, "")
    number = whole_number(text)
    return otherwise if number is None else number


@contextlib.contextmanager
def with_others(words: Sequence[str]) -> Iterator[None]:
    """Join the others for a command, if it is `train`."""
    if words[:1] != ["train"] or not several():
        yield
        return
    from ..generators.gan.parallel import process_group

    try:
        with process_group():
            yield
    except PgcganError:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the error is printed before torchrun ends all
        raise
