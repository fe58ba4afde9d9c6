"""A genome-wide model: people drawn through its windows, in streams that any number of workers may share."""

from __future__ import annotations

import os
import socket
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np

from ..errors import ModelError, UsageError
from ..generators.gan import checkpoint
from ..generators.model import PGcGAN
from ..genotypes import Genotypes, Variants, concat
from ..io import writer_of
from ..io.outputs import folder_of
from ..io.scratch import Stored, StoredCalls
from ..labels import assemble, label_columns, plan_from, sample_names
from ..runtime.executors import Executor, Serial
from ..runtime.files import workspace
from .alone import alone
from .ancestry import Mixture
from .fitting import MANIFEST
from .plan import OnEvent, Window

STREAM = 512  # people drawn from one random stream


class GenomeModel:
    """What `finish` has made of windows: generates as `PGcGAN` does.

    Attributes
    ----------
    label : tuple of str
    label_counts : dict of str to int
        Training people by combination of labels.
    windows : list of Window
    """

    def __init__(self, directory: Path, sheet: Mapping[str, Any]):
        self.directory = directory
        self.label: tuple[str, ...] = tuple(sheet["label"])
        self.label_counts: dict[str, int] = dict(sheet["label_counts"])
        self.windows = [Window(**window) for window in sheet["windows"]]
        self.phased, self.ploidy = bool(sheet["phased"]), int(sheet["ploidy"])
        self._ancestry = [Mixture(**mixture) for mixture in sheet["ancestry"]]
        self._sheet = sheet

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> GenomeModel:
        """Read the manifest of a model directory.

        Raises
        ------
        ModelError
            If the model is not finished, damaged, or of another format.
        """
        directory = Path(path)
        if not (directory / MANIFEST).is_file() and (directory / "plan").is_dir():
            raise ModelError(
                f"The windows in {directory} are not finished; run the same command with --resume, or pgcgan windows "
                f"fit and pgcgan windows finish {directory}."
            )
        sheet = checkpoint.read_json(directory / MANIFEST)
        if sheet.get("format") != checkpoint.FORMAT:
            raise ModelError(
                f"{directory} has the model format {sheet.get('format')!r}; this version reads {checkpoint.FORMAT}. "
                "Update pgcgan, or train again."
            )
        try:
            model = cls(directory, sheet)
        except (KeyError, TypeError) as error:
            raise ModelError(f"{directory / MANIFEST} is damaged ({error}); train the model again.") from None
        for window in model.windows:
            if not (model._folder(window) / "model.json").is_file():
                raise ModelError(f"{directory} lacks its window {window.name}; train the model again.")
        return model

    def _folder(self, window: Window) -> Path:
        return self.directory / "windows" / window.name

    @cached_property
    def variants(self) -> Variants:
        """The sites of all windows, each once."""
        columns: dict[str, list[Any]] = {name: [] for name in ("contig", "position", "id", "ref", "alt")}
        lengths: dict[str, int | None] = {}
        assembly = None
        for window in self.windows:
            sites = checkpoint.read_json(self._folder(window) / "sites.json")
            for name, values in columns.items():
                values += sites[name][window.overlap :]
            for contig, length in sites["contig_lengths"].items():
                lengths[contig] = lengths.get(contig) or length
            assembly = sites["assembly"]
        return Variants(
            **{n: np.array(v, dtype=object) for n, v in columns.items()}, contig_lengths=lengths, assembly=assembly
        )

    @property
    def contigs(self) -> list[list[Window]]:
        """Windows by contig."""
        found: dict[str, list[Window]] = {}
        for window in self.windows:
            found.setdefault(window.contig, []).append(window)
        return list(found.values())

    def seams(self) -> tuple[list[int], list[int]]:
        """Return the first sites behind the seams, and the sites in the middle of the windows, counted from 0."""
        seams: list[int] = []
        middles: list[int] = []
        site = 0
        for windows in self.contigs:
            for window in windows:
                if window is not windows[0]:
                    seams.append(site)
                own = window.sites - window.overlap
                middles.append(site + own // 2)
                site += own
        return seams, middles

    def facts(self) -> dict[str, Any]:
        """Return what there is to know of the model."""
        return {
            "kind": "genome-wide model",
            "people trained on": sum(self.label_counts.values()),
            "label": list(self.label),
            "label_counts": dict(self.label_counts),
            "sites": sum(w.sites - w.overlap for w in self.windows),
            "windows": len(self.windows),
            "contigs": {of[0].contig: f"{of[0].first}-{of[-1].last} ({len(of)} windows)" for of in self.contigs},
            "phased": self.phased,
            "ploidy": self.ploidy,
            "seed": self._sheet["seed"],
            "axes of ancestry": self._sheet["axes of ancestry"],
            "provenance": self._sheet["provenance"],
        }

    # ---- people -----------------------------------------------------------------------------------------------

    def sample(self, n: int | Mapping[str, int], *, seed: int = 0, prefix: str = "SYN", start: int = 0) -> Genotypes:
        """Make new people, in memory; see `PGcGAN.sample`."""
        return concat(list(self.iter_samples(n, seed=seed, prefix=prefix, start=start)))

    def iter_samples(
        self,
        n: int | Mapping[str, int],
        *,
        seed: int = 0,
        prefix: str = "SYN",
        people_per_block: int = 1024,
        start: int = 0,
    ) -> Iterator[Genotypes]:
        """Yield the people of `sample` in blocks of `people_per_block`, the last one smaller."""
        plan, before = plan_from(n, self.label_counts, start)

        def parts() -> Iterator[np.ndarray]:
            for stream in self._streams(plan, before, seed):
                drawn = []
                for windows in self.contigs:
                    with alone():
                        drawn += [own.copy() for own in stream.through(str(self.directory), windows)]
                yield np.concatenate(drawn)

        return assemble(
            parts(),
            plan,
            self.label,
            self.variants,
            phased=self.phased,
            prefix=prefix,
            people_per_block=people_per_block,
            before=before,
        )

    def write(
        self,
        n: int | Mapping[str, int],
        path: str | os.PathLike[str],
        *,
        seed: int = 0,
        prefix: str = "SYN",
        start: int = 0,
        executor: Executor | None = None,
        force: bool = False,
        command: str | None = None,
        unphased: bool = False,
        on_event: OnEvent | None = None,
    ) -> list[Path]:
        """Write the people of `sample` to a file; memory does not grow with people or genome.

        Parameters
        ----------
        n, seed, prefix, start
            As in `PGcGAN.sample`; people do not depend on who draws them.
        path, force, command, unphased
            As in `pgcgan.write`. People wait in a folder beside the output, a bit an allele.
        executor : Executor, optional
            What draws people: in streams of 512 of a label, each contig by itself.
        on_event : callable, optional

        Returns
        -------
        list of Path
            All files written.
        """
        plan, before = plan_from(n, self.label_counts, start)
        names, labels = sample_names(plan, prefix, before), label_columns(plan, self.label)
        writer, runs = writer_of(os.fspath(path)), executor or Serial()
        folder = tempfile.gettempdir() if path == "-" else folder_of(os.fspath(path))
        with workspace(os.path.abspath(folder)) as where:
            first, calls, promises = 0, _Streams(self.ploidy, on_event), []
            directory = os.path.abspath(self.directory)
            for stream in self._streams(plan, before, seed):
                site = 0
                for number, windows in enumerate(self.contigs):
                    target = os.path.join(where, f"{stream.label}-{stream.start}-{number}")
                    promises.append(runs.submit(draw_stream, stream, directory, windows, target, unphased))
                    sites = sum(w.sites - w.overlap for w in windows)
                    calls.parts.append(_Part(target, site, sites, first, stream.count))
                    site += sites
                first += stream.count
            for done, promise in enumerate(promises, start=1):
                promise.result()
                if on_event is not None:
                    detail = f"{done} of {len(promises)} streams"
                    on_event({"stage": "generating", "fraction": done / len(promises), "detail": detail})
            calls.shape = (len(self.variants), first, self.ploidy)
            stored = Stored(cast(StoredCalls, calls), self.variants, names, labels, self.phased and not unphased)
            return writer(stored, path, force=force, command=command, seed=seed)

    def _streams(self, plan: Mapping[str, int], before: Mapping[str, int], seed: int) -> Iterator[Stream]:
        order = list(self.label_counts)
        for name, count in plan.items():
            label, first = order.index(name), before.get(name, 0)
            for start in range(first - first % STREAM, first + count, STREAM):
                skipped, end = max(first - start, 0), min(first + count - start, STREAM)
                yield Stream(label, name, start, skipped, end - skipped, seed, self._ancestry[label])


@dataclass(frozen=True)
class Stream:
    """People who are drawn together.

    Parameters
    ----------
    label, name : int, str
        Number and name of their label.
    start : int
        Number of the first of them, counted within the label.
    skipped, count : int
        How many of them are not wanted, and how many after those are; all `STREAM` are drawn.
    seed : int
    ancestry : Mixture
        Of the label.
    """

    label: int
    name: str
    start: int
    skipped: int
    count: int
    seed: int
    ancestry: Mixture

    def through(self, directory: str, windows: list[Window]) -> Iterator[np.ndarray]:
        """Draw them through the windows of a contig: int8 (own sites of the window, people, ploidy) each.

        Their ancestry is that of the stream; their haplotypes go on from what the window before has made.
        """
        entropy = [abs(self.seed), int(self.seed < 0), zlib.crc32(self.name.encode()), self.start]
        ancestry = self.ancestry.draw(STREAM, np.random.SeedSequence(entropy))
        before: np.ndarray | None = None
        for window in windows:
            model = PGcGAN.load(Path(directory, "windows", window.name), device="cpu")
            left = before[len(before) - window.overlap :] if before is not None and window.overlap else None
            calls = model.draw(
                np.full(STREAM, self.label),
                np.random.SeedSequence([*entropy, window.index]),
                ancestry=ancestry,
                left=left,
            )
            own = calls[window.overlap :]
            yield own[:, self.skipped : self.skipped + self.count]
            before = own if left is None else np.concatenate([left, own])


def draw_stream(stream: Stream, directory: str, windows: list[Window], target: str, unphased: bool) -> None:
    """Draw the people of a stream at the sites of a contig, and put them into a file, a bit an allele.

    Parameters
    ----------
    stream : Stream
    directory : path
        The model.
    windows : list of Window
        Those of the contig.
    target : path
        Rows of whole bytes, one a site: the alleles of all people at it (`numpy.packbits`).
    unphased : bool
        Sort the alleles of each call.
    """
    partial = f"{target}.{socket.gethostname()}.{os.getpid()}.tmp"
    with alone():
        try:
            with open(partial, "wb") as file:
                for drawn in stream.through(directory, windows):
                    calls = np.sort(drawn, axis=2) if unphased else drawn
                    file.write(np.packbits(calls.reshape(len(calls), -1).astype(bool), axis=1).tobytes())
        except OSError as error:
            raise UsageError(
                f"The genotypes cannot be put aside in {os.path.dirname(target)} while they are made: "
                f"{error.strerror or error}."
            ) from None
    os.replace(partial, target)


@dataclass(frozen=True)
class _Part:
    path: str
    site: int
    sites: int
    first: int
    count: int


class _Streams:
    """Calls in the files of `draw_stream`, read by sites: what writers ask of calls.

    Parameters
    ----------
    ploidy : int
    on_event : callable, optional
        Called with {"stage": "writing", "fraction"}.
    """

    def __init__(self, ploidy: int, on_event: OnEvent | None):
        self.parts: list[_Part] = []
        self.shape = (0, 0, ploidy)
        self._on_event = on_event

    def __getitem__(self, part: slice) -> np.ndarray:
        """Return the calls of all people at a range of sites: int8, shape (sites, samples, ploidy)."""
        start, stop, _ = part.indices(self.shape[0])
        _, people, ploidy = self.shape
        found = np.empty((max(0, stop - start), people, ploidy), dtype=np.int8)
        for p in self.parts:
            low, high = max(start, p.site), min(stop, p.site + p.sites)
            if low >= high:
                continue
            width = (p.count * ploidy + 7) // 8
            with open(p.path, "rb") as file:
                file.seek((low - p.site) * width)
                rows = np.frombuffer(file.read((high - low) * width), dtype=np.uint8).reshape(high - low, width)
            bits = np.unpackbits(rows, axis=1, count=p.count * ploidy)
            found[low - start : high - start, p.first : p.first + p.count] = bits.reshape(high - low, p.count, ploidy)
        if self._on_event is not None and self.shape[0]:
            self._on_event({"stage": "writing", "fraction": stop / self.shape[0]})
        return found
