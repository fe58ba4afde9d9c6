"""Streams of synthetic people: drawn together through the windows of a genome, on any number of workers."""

from __future__ import annotations

import os
import socket
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ModelError, UsageError
from ..generators.haplotype import HaplotypeModel
from ..runtime.progress import OnEvent
from ..runtime.threads import single_thread
from .ancestry import LabelAncestry
from .plan import WINDOWS, Window

STREAM = 512  # people drawn from one random stream


@dataclass(frozen=True)
class Stream:
    """People of one label who are drawn together.

    Parameters
    ----------
    name : str
        Of their label.
    start : int
        Number of the first of them, counted within the label.
    skipped, count : int
        How many of the first ones are left out, and how many after those are wanted; all `STREAM` are drawn.
    seed : int
    ancestry : LabelAncestry
    windows : int
        How many the model has.
    """

    name: str
    start: int
    skipped: int
    count: int
    seed: int
    ancestry: LabelAncestry
    windows: int

    def through(self, directory: str, windows: Sequence[Window]) -> Iterator[np.ndarray]:
        """Draw the people through the windows of a contig: int8 (own sites of the window, people, ploidy) each."""
        random = np.random.default_rng([self.seed, 2, zlib.crc32(self.name.encode()), self.start])
        randoms = random.spawn(self.windows + 1)
        population, ancestry = self.ancestry.draw(STREAM, randoms[0])
        for own in draw_contig(directory, windows, population, ancestry, randoms):
            yield own[:, self.skipped : self.skipped + self.count]


def draw_contig(
    directory: str | os.PathLike[str],
    windows: Sequence[Window],
    population: np.ndarray,
    ancestry: np.ndarray,
    randoms: Sequence[np.random.Generator],
) -> Iterator[np.ndarray]:
    """Yield the calls of people at the own sites of each window: int8, shape (sites, people, ploidy).

    Parameters
    ----------
    directory : path
        The model.
    windows : sequence of Window
        Those of a contig; haplotypes continue from one to the next.
    population : array of int, shape (people,)
    ancestry : array of float32, shape (people, axes)
    randoms : sequence of numpy Generator
        That of each window at its index.
    """
    before: np.ndarray | None = None
    for window in windows:
        with single_thread():
            model = HaplotypeModel.load(Path(directory, WINDOWS, window.name))
            if (len(model.variants_), len(model.label_counts_) > population.max()) != (window.sites, True):
                raise ModelError(f"The window {window.name} of {directory} is that of another model; train it again.")
            left = before[len(before) - window.overlap :] if before is not None and window.overlap else None
            own = model.draw(population, randoms[window.index], ancestry=ancestry, left=left)[window.overlap :]
        yield own
        before = own if left is None else np.concatenate([left, own])


def draw_stream(stream: Stream, directory: str, windows: Sequence[Window], target: str, unphased: bool) -> None:
    """Draw the people of a stream at the sites of a contig and write them to a file, one bit an allele.

    Parameters
    ----------
    stream : Stream
    directory : path
        The model.
    windows : sequence of Window
        Those of the contig.
    target : path
        Rows of whole bytes, one a site: the alleles of all people at it (`numpy.packbits`).
    unphased : bool
        Sort the alleles of each call.
    """
    partial = f"{target}.{socket.gethostname()}.{os.getpid()}.tmp"
    try:
        with open(partial, "wb") as file:
            for drawn in stream.through(directory, windows):
                calls = np.sort(drawn, axis=2) if unphased else drawn
                file.write(np.packbits(calls.reshape(len(calls), -1).astype(bool), axis=1).tobytes())
    except OSError as error:
        raise UsageError(
            f"The genotypes cannot be stored in {os.path.dirname(target)} while they are generated: "
            f"{error.strerror or error}."
        ) from None
    os.replace(partial, target)


@dataclass(frozen=True)
class StreamFile:
    """A file of `draw_stream`: where its sites and people lie in the whole."""

    path: str
    site: int
    sites: int
    first: int
    count: int


class StreamedCalls:
    """Calls in the files of `draw_stream`, read by sites: what writers need of calls.

    Parameters
    ----------
    ploidy : int
    on_event : callable, optional
        Called with {"stage": "writing", "fraction"}.
    """

    def __init__(self, ploidy: int, on_event: OnEvent | None):
        self.files: list[StreamFile] = []
        self.shape = (0, 0, ploidy)
        self._on_event = on_event

    def __getitem__(self, part: slice) -> np.ndarray:
        """Return the calls of all people at a range of sites: int8, shape (sites, samples, ploidy)."""
        start, stop, _ = part.indices(self.shape[0])
        _, people, ploidy = self.shape
        calls = np.empty((max(0, stop - start), people, ploidy), dtype=np.int8)
        for f in self.files:
            low, high = max(start, f.site), min(stop, f.site + f.sites)
            if low >= high:
                continue
            width = (f.count * ploidy + 7) // 8
            with open(f.path, "rb") as file:
                file.seek((low - f.site) * width)
                rows = np.frombuffer(file.read((high - low) * width), dtype=np.uint8).reshape(high - low, width)
            bits = np.unpackbits(rows, axis=1, count=f.count * ploidy)
            calls[low - start : high - start, f.first : f.first + f.count] = bits.reshape(high - low, f.count, ploidy)
        if self._on_event is not None and self.shape[0]:
            self._on_event({"stage": "writing", "fraction": stop / self.shape[0]})
        return calls
