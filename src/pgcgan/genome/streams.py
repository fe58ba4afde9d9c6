"""Streams of synthetic people: drawn together through the windows of a genome, on any number of workers."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ..errors import ModelError, UsageError
from ..generators.haplotype import HaplotypeModel
from ..runtime.progress import OnEvent
from ..runtime.threads import single_thread
from .ancestry import LabelAncestry
from .plan import WINDOWS, Window

STREAM = 512  # people drawn from one random stream


def draw_windows(
    directory: str | os.PathLike[str],
    windows: Sequence[Window],
    label: LabelAncestry,
    people: int,
    random: np.random.Generator,
) -> Iterator[np.ndarray]:
    """Draw people of a label through windows: int8, (own sites, people, ploidy), of one after the other.

    Within a contig haplotypes continue from window to window. Each window has a random stream of its own, so that it is
    the same to draw one contig or all.
    """
    randoms = random.spawn(windows[-1].index + 1)
    population, ancestry = label.draw(people, randoms[0])
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


def draw_stream(
    directory: str,
    windows: Sequence[Window],
    label: LabelAncestry,
    seed: Sequence[int],
    part: slice,
    target: str,
    unphased: bool,
) -> None:
    """Draw the people of a stream at the sites of a contig and write some of them to a file, one bit an allele.

    A row of whole bytes is a site: the alleles of all people at it (`numpy.packbits`), sorted within each call if
    they are to be unphased.
    """
    random = np.random.default_rng(seed)
    partial = f"{target}.{socket.gethostname()}.{os.getpid()}.tmp"
    try:
        with open(partial, "wb") as file:
            for drawn in draw_windows(directory, windows, label, STREAM, random):
                calls = np.sort(drawn[:, part], axis=2) if unphased else drawn[:, part]
                file.write(np.packbits(calls.reshape(len(calls), -1).astype(bool), axis=1).tobytes())
    except OSError as error:
        raise UsageError(
            f"The genotypes cannot be stored in {os.path.dirname(target)} while they are generated: "
            f"{error.strerror or error}."
        ) from None
    os.replace(partial, target)


class StreamedCalls:
    """Calls in the files of `draw_stream`, read by sites: what writers need of calls.

    The files are added to `files` with where their sites and their people lie in the whole, and then the `shape` is
    set. `on_event`, if there is one, is called with {"stage": "writing", "fraction"}.
    """

    def __init__(self, ploidy: int, on_event: OnEvent | None):
        self.files: list[tuple[str, slice, slice]] = []
        self.shape = (0, 0, ploidy)
        self._on_event = on_event

    def __getitem__(self, part: slice) -> np.ndarray:
        """Return the calls of all people at a range of sites: int8, shape (sites, samples, ploidy)."""
        start, stop, _ = part.indices(self.shape[0])
        _, people, ploidy = self.shape
        calls = np.empty((max(0, stop - start), people, ploidy), dtype=np.int8)
        for path, sites, some in self.files:
            low, high = max(start, sites.start), min(stop, sites.stop)
            if low >= high:
                continue
            alleles = (some.stop - some.start) * ploidy
            width = (alleles + 7) // 8
            packed = np.fromfile(path, np.uint8, (high - low) * width, offset=(low - sites.start) * width)
            bits = np.unpackbits(packed.reshape(-1, width), axis=1, count=alleles)
            calls[low - start : high - start, some] = bits.reshape(high - low, -1, ploidy)
        if self._on_event is not None and self.shape[0]:
            self._on_event({"stage": "writing", "fraction": stop / self.shape[0]})
        return calls
