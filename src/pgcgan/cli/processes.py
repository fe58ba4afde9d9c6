"""Training in several processes: what `torchrun` says of them in the environment."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Sequence

from ..errors import PgcganError


def number() -> int:
    """Return the number of this process among those that train together; 0 speaks and writes."""
    return _said("RANK", 0) if several() else 0


def several() -> bool:
    """Tell whether there are several."""
    return "MASTER_ADDR" in os.environ and _said("WORLD_SIZE", 1) > 1


def beside() -> int:
    """Return how many share this machine."""
    return max(1, _said("LOCAL_WORLD_SIZE", 1)) if several() else 1


def _said(name: str, otherwise: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdigit() else otherwise


@contextlib.contextmanager
def with_others(words: Sequence[str]) -> Iterator[None]:
    """Join the others for a command, if it is `train`."""
    if words[:1] != ["train"] or not several():
        yield
        return
    from ..generators.gan.devices import joined

    try:
        with joined():
            yield
    except PgcganError:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what went wrong is said before torchrun ends all
        raise
