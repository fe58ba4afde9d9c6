"""Genotypes that are larger than memory: people who come in blocks wait on disk until files want sites in blocks.

A generator makes some people at all sites, a file holds some sites of all people. In between the calls lie in a
temporary file without a name, a bit an allele, which the system removes with the process.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ..arrays import pack, unpack
from ..errors import DataError, PgcganError, UsageError, listed
from ..genotypes import Genotypes, Variants
from ..runtime.memory import available_bytes
from ..runtime.progress import OnEvent

MEMORY_SHARE = 0.4  # of what the process may have: larger genotypes are kept on disk

log = logging.getLogger("pgcgan.io")


def empty_calls(shape: tuple[int, int, int]) -> np.ndarray:
    """Return an array of int8 to be filled: in memory, or on disk if it would take too much of that.

    On disk it is a map of a temporary file without a name, which the system removes with the process; parts that are
    looked at are in memory as long as there is room.
    """
    size = math.prod(shape)
    if not too_large(size):
        with contextlib.suppress(MemoryError):
            return np.empty(shape, dtype=np.int8)
    folder = tempfile.gettempdir()
    log.info("%.1f GB of genotypes are kept in a temporary file in %s.", size / 1e9, folder)
    try:
        free = os.statvfs(folder)
        if free.f_bavail * free.f_frsize < size:
            raise OSError(28, os.strerror(28))
        with tempfile.TemporaryFile(dir=folder) as file:
            return np.memmap(file, dtype=np.int8, mode="w+", shape=shape)
    except OSError as error:
        raise UsageError(
            f"The genotypes take {size / 1e9:.1f} GB, more than memory has room for, and cannot be kept in {folder}: "
            f"{error.strerror or error}; read fewer (--region, --samples, --split), or set TMPDIR to a larger disk."
        ) from None


def too_large(size: int) -> bool:
    """True if so many bytes of genotypes are better kept on disk."""
    available = available_bytes()
    return available is not None and size > MEMORY_SHARE * available


def copied(calls: np.ndarray, sites: np.ndarray) -> np.ndarray:
    """Return the calls at some sites (indices in order), on disk if they are large."""
    copy = empty_calls((len(sites), *calls.shape[1:]))
    step = max(1, (1 << 26) // max(1, calls[:1].size))
    for start in range(0, len(sites), step):
        copy[start : start + step] = calls[sites[start : start + step]]
    return copy


class StoredCalls:
    """Calls on disk, added by people and read by sites.

    `folder` is that of the file (of the system's temporary files by default); `on_read` is called with the share of the
    sites that has been read. `shape` is (variants, samples, ploidy) of what has been added, `bytes` the size of the
    file.
    """

    def __init__(self, folder: str | None = None, on_read: Callable[[float], None] | None = None):
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - lives as long as the calls
        self._blocks: list[tuple[int, int, bool]] = []  # offset, people, True if calls are missing
        self._on_read = on_read
        self.shape = (0, 0, 0)
        self.bytes = 0

    def append(self, calls: np.ndarray) -> None:
        """Add people: int8, shape (variants, some people, ploidy)."""
        n_variants, people, ploidy = calls.shape
        missing = bool(calls.min(initial=0) < 0)
        self._blocks.append((self.bytes, people, missing))
        self.shape = (n_variants, self.shape[1] + people, ploidy)
        flat = calls.reshape(n_variants, -1)
        for plane in pack(flat, 2 if missing else 1):
            self.bytes += self._file.write(plane.tobytes())
        self._file.flush()

    def __getitem__(self, part: slice) -> np.ndarray:
        """Return the calls of all people at a range of sites: int8, shape (sites, samples, ploidy)."""
        start, stop, _ = part.indices(self.shape[0])
        _, n_samples, ploidy = self.shape
        calls = np.empty((max(0, stop - start), n_samples, ploidy), dtype=np.int8)
        first = 0
        for offset, people, missing in self._blocks:
            width = (people * ploidy + 7) // 8
            planes = [
                os.pread(self._file.fileno(), len(calls) * width, offset + (plane * self.shape[0] + start) * width)
                for plane in range(2 if missing else 1)
            ]
            rows = [np.frombuffer(plane, dtype=np.uint8).reshape(-1, width) for plane in planes]
            calls[:, first : first + people] = unpack(rows, people * ploidy).reshape(-1, people, ploidy)
            first += people
        if self._on_read is not None and self.shape[0]:
            self._on_read(stop / self.shape[0])
        return calls


@dataclass(frozen=True)
class Stored:
    """People whose calls are on disk: what writers ask of `Genotypes`, and no more."""

    calls: StoredCalls
    variants: Variants
    samples: np.ndarray
    labels: Mapping[str, np.ndarray]
    phased: bool

    @property
    def n_variants(self) -> int:
        """Number of sites."""
        return self.calls.shape[0]

    @property
    def n_samples(self) -> int:
        """Number of people."""
        return self.calls.shape[1]

    @property
    def ploidy(self) -> int:
        """Alleles a person carries at a site."""
        return self.calls.shape[2]


People = Genotypes | Stored


def stored(
    parts: Iterable[Genotypes], target: str, folder: str | None = None, on_event: OnEvent | None = None
) -> Stored:
    """Put people who come in blocks on disk, in `folder` (that of the system's temporary files by default).

    The parts have the same sites, phase state, ploidy and label columns, and other people each; else they are a
    DataError. `target` is the output that they are for, in messages; `on_event` is called when sites are read back.
    """
    first: Genotypes | None = None
    samples: list[np.ndarray] = []
    labels: dict[str, list[np.ndarray]] = {}
    try:
        calls = StoredCalls(
            folder, on_event and (lambda fraction: on_event({"stage": "writing", "fraction": fraction}))
        )
        for i, part in enumerate(parts):
            if first is None:
                first, labels = part, {column: [] for column in part.labels}
            _check(part, first, i)
            calls.append(part.calls)
            samples.append(part.samples)
            for column, values in labels.items():
                values.append(part.labels[column])
    except PgcganError:
        raise
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror or error}.") from None
    if first is None:
        raise DataError("There is nothing to write: no people.")
    people = np.concatenate(samples)
    names, counts = np.unique(people, return_counts=True)
    if len(names) < len(people):
        raise DataError(f"Sample names occur more than once: {listed(names[counts > 1])}.")
    columns = {column: np.concatenate(values) for column, values in labels.items()}
    return Stored(calls, first.variants, people, columns, first.phased)


def _check(part: Genotypes, first: Genotypes, number: int) -> None:
    if part.variants is not first.variants and not part.variants.equals(first.variants):
        raise DataError(f"Part {number} has other variants than the first; select the common sites before.")
    if (part.phased, part.ploidy) != (first.phased, first.ploidy):
        raise DataError(f"Part {number} differs from the first in phase state or ploidy.")
    if set(part.labels) != set(first.labels):
        raise DataError(
            f"Part {number} has the labels {listed(part.labels)}, the first has {listed(first.labels)}; give all "
            "parts the same."
        )


def site_blocks(people: People, size: int = 1 << 24) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the calls of all people at consecutive sites, about `size` bytes at a time, and the first site's number."""
    step = max(1, size // max(1, people.n_samples * people.ploidy))
    for start in range(0, people.n_variants, step):
        yield start, people.calls[start : start + step]
