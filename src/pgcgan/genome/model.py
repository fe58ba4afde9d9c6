"""A genome-wide model: haplotype models of windows that share the ancestry of a person."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import numpy as np

from ..errors import ModelError, UsageError, listed
from ..generators import store
from ..generators.estimate import ExpectedLeak
from ..generators.generator import Generator
from ..generators.haplotype import HaplotypeModel
from ..genotypes import Genotypes, Variants, require_genotypes
from ..io import write, writer_of
from ..io.outputs import folder_of
from ..io.scratch import Stored, StoredCalls
from ..labels import label_columns, sample_names, streams_of
from ..runtime.executors import Executor, Serial
from ..runtime.files import check_regular, whole_directory, workspace
from ..runtime.progress import OnEvent, reported
from ..runtime.threads import single_thread
from ..variants import concat_variants
from .ancestry import LabelAncestry
from .fitting import NAME, train
from .plan import WINDOWS, Window
from .scan import Source

if TYPE_CHECKING:
    from ..metrics import Evaluation

_STREAM = 512  # people drawn from one random stream


class GenomeModel(Generator):
    """Haplotype models of windows of sites, with one person inside.

    Parameters
    ----------
    label, seed
        As in the other generators.
    size : int
        Sites of a window, about.
    overlap : int, optional
        Sites of the window before that a window also covers; by default 1,000, or a quarter of the window if that is
        less.
    of_windows : dict, optional
        Parameters of the `HaplotypeModel` of each window.

    Attributes
    ----------
    directory_ : Path
        Where the windows are; they are read as they are needed.
    windows_ : list of Window
    """

    name = NAME
    people_per_stream = _STREAM
    least_people = 2
    schema: ClassVar = {}

    directory_: Path
    windows_: list[Window]

    def __init__(
        self,
        label: str | Sequence[str] = "super_pop",
        *,
        seed: int = 0,
        size: int = 5000,
        overlap: int | None = None,
        of_windows: dict[str, Any] | None = None,
    ):
        super().__init__(label, seed=seed)
        self.size, self.overlap, self.of_windows = size, overlap, of_windows

    def fit(
        self,
        people: Genotypes | Source,
        *,
        on_event: OnEvent | None = None,
        progress: bool = False,
        directory: str | os.PathLike[str] | None = None,
        executor: Executor | None = None,
        resume: bool = False,
        force: bool = False,
    ) -> Self:
        """Learn from people with labels, as `Generator.fit`; what is listed comes in addition.

        Parameters
        ----------
        people : Genotypes or Source
            A `Source` is a file that is read window by window.
        directory : path, optional
            Where the windows are fitted; by default in a temporary directory that lives as long as the model.
        executor : Executor, optional
            Fits the windows; by default this process, one after the other.
        resume, force : bool
            Go on with the plan and the windows in `directory`, or replace what is there.

        Raises
        ------
        ModelError
            If what is to be resumed belongs to other people or parameters.
        UsageError
            If the directory is taken or cannot be written.
        """
        self.check_parameters()
        if directory is None or isinstance(people, Genotypes):
            self._temporary = tempfile.TemporaryDirectory(prefix="pgcgan-")
        if isinstance(people, Genotypes):
            file = Path(self._temporary.name, "people.npz")
            write(people, file)
            people = Source(str(file))
        elif not isinstance(people, Source):
            require_genotypes(people)
        place = Path(directory or Path(self._temporary.name, "model"))
        with reported(on_event, progress) as events:
            what = {"label": list(self.label), "seed": self.seed, "overlap": self.overlap, **(self.of_windows or {})}
            how: dict[str, Any] = {"executor": executor, "resume": resume, "force": force, "on_event": events}
            train(people, place, size=self.size, **how, **what)
        self._open(place, store.read_metadata(place))
        return self

    def _open(self, directory: Path, metadata: Mapping[str, Any]) -> None:
        details = metadata["details"]
        self.directory_, self._details_of_file = directory, details
        self.label_counts_, self._provenance = metadata["label_counts"], metadata["provenance"]
        self.phased_, self.ploidy_ = metadata["phased"], metadata["ploidy"]
        self.windows_ = [Window(**window) for window in details["windows"]]
        self.__dict__.pop("variants_", None)  # those of an earlier fit
        if not self.windows_ or [window.index for window in self.windows_] != list(range(1, 1 + len(self.windows_))):
            raise ValueError("its windows are not numbered from 1 on")
        self._ancestry = [LabelAncestry(**of_label) for of_label in details["ancestry"]]
        self._leak = metadata["expected_leak"]
        if len(self._ancestry) != len(self.label_counts_):
            raise ValueError(f"there is no ancestry for each of {len(self.label_counts_)} labels")
        for window in self.windows_:
            if not (directory / WINDOWS / window.name / store.MODEL).is_file():
                raise ModelError(f"{directory} lacks its window {window.name}; train the model again.")

    @cached_property
    def variants_(self) -> Variants:  # type: ignore[override]
        """The sites of all windows, each once."""
        return self._sites_of(self.windows_)

    def _sites_of(self, windows: Sequence[Window]) -> Variants:
        """Return the own sites of some windows."""
        parts = []
        for window in windows:
            place = self.directory_ / WINDOWS / window.name
            with store.naming_damage(place):
                sites = store.read_variants(place)
                if len(sites) != window.sites:
                    raise ValueError(f"it has {len(sites)} sites instead of {window.sites}")
            parts.append(sites.select(slice(window.overlap, None)))
        return concat_variants(parts)

    @property
    def contigs(self) -> list[list[Window]]:
        """Windows by contig."""
        return [list(windows) for _, windows in groupby(self.windows_, lambda window: window.contig)]

    def seams(self) -> tuple[list[int], list[int]]:
        """Return the first sites behind the seams, and the sites in the middle of the windows, counted from 0."""
        own = np.array([window.sites - window.overlap for window in self.windows_])
        start = np.cumsum(own) - own
        seams = [int(start[right.index - 1]) for left, right in pairwise(self.windows_) if left.contig == right.contig]
        return seams, (start + own // 2).tolist()

    @property
    def expected_leak_(self) -> ExpectedLeak | None:
        """What the counts of all windows are expected to give away; None for a model that has not counted them."""
        people = sum(self.label_counts_.values())
        return None if self._leak is None else ExpectedLeak(self._leak["free frequencies"], 2 * people)

    def _site_facts(self) -> dict[str, Any]:
        spans = {of[0].contig: f"{of[0].first}-{of[-1].last} ({len(of)} windows)" for of in self.contigs}
        sites = sum(w.sites - w.overlap for w in self.windows_)
        return {"sites": sites, "windows": len(self.windows_), "contigs": spans}

    def _facts(self) -> dict[str, Any]:
        populations = [len(of.population) for of in self._ancestry]
        return {
            "populations": dict(zip(self.label_counts_, populations, strict=True)),
            "axes of ancestry": self._details_of_file["axes"],
        }

    # ---- people -----------------------------------------------------------------------------------------------

    def write(
        self,
        n: int | Mapping[str, int],
        path: str | os.PathLike[str],
        *,
        seed: int | None = None,
        prefix: str = "SYN",
        start: int = 0,
        contigs: str | Sequence[str] | None = None,
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
            As in `sample`; people do not depend on who draws them.
        path, force, command, unphased
            As in `pgcgan.write`. The alleles are stored in a folder beside the output, a bit each, until it is written.
        contigs : str or sequence of str, optional
            Only the sites on these contigs, in the order of the genome; by default all. The people are the same, so
            that a file for each contig can be written by a process of its own.
        executor : Executor, optional
            Draws the people: in streams of 512 of a label, each contig by itself.
        on_event : callable, optional

        Returns
        -------
        list of Path
            All files written.

        Raises
        ------
        UsageError
            If the model does not have one of the contigs, or the file cannot be written.
        """
        self._check_fitted()
        chosen = self._chosen(contigs)
        seed = self._recorded(seed)
        plan, before = self._planned(n, start)
        names, labels = sample_names(plan, prefix, before), label_columns(plan, self.label)
        path = os.fspath(path)
        writer, runs = writer_of(path), executor or Serial()
        folder = tempfile.gettempdir() if path == "-" else folder_of(path)
        with workspace(os.path.abspath(folder)) as where:
            first, calls, promises = 0, _StreamedCalls(self.ploidy_, on_event), []
            directory = os.path.abspath(self.directory_)
            for name, number, part in streams_of(plan, before, _STREAM):
                ancestry = self._ancestry[list(self.label_counts_).index(name)]
                of_stream = [seed, 2, zlib.crc32(name.encode()), number]
                last, site = first + part.stop - part.start, 0
                for windows in chosen:
                    target = os.path.join(where, str(len(calls.files)))
                    task = (directory, windows, ancestry, of_stream, part, target, unphased)
                    promises.append(runs.submit(_draw_stream, *task))
                    end = site + sum(w.sites - w.overlap for w in windows)
                    calls.files.append((target, slice(site, end), slice(first, last)))
                    site = end
                first = last
            for done, promise in enumerate(promises, start=1):
                promise.result()
                if on_event is not None:
                    detail = f"{done} of {len(promises)} streams"
                    on_event({"stage": "generating", "fraction": done / len(promises), "detail": detail})
            variants = self.variants_ if contigs is None else self._sites_of([w for of in chosen for w in of])
            calls.shape = (len(variants), first, self.ploidy_)
            stored = Stored(cast(StoredCalls, calls), variants, names, labels, self.phased_ and not unphased)
            return writer(stored, path, force=force, command=command, seed=seed)

    def _chosen(self, contigs: str | Sequence[str] | None) -> list[list[Window]]:
        """Return the windows of some contigs, by contig."""
        if contigs is None:
            return self.contigs
        of_contig = {of[0].contig: of for of in self.contigs}
        wanted = [contigs] if isinstance(contigs, str) else list(contigs)
        if not wanted:
            raise UsageError(f"contigs is empty; accepted: None for all, or some of {listed(of_contig)}.")
        for name in wanted:
            if name not in of_contig:
                raise UsageError(f"The model has no contig {name!r}; its contigs: {listed(of_contig)}.")
        return [of for name, of in of_contig.items() if name in wanted]

    def _draw(self, label: int, people: int, random: np.random.Generator) -> np.ndarray:
        parts = _draw_windows(self.directory_, self.windows_, self._ancestry[label], people, random)
        calls = np.concatenate(list(parts))
        return calls.reshape(len(calls), -1).T if self.n_states == 2 else calls.sum(axis=2, dtype=np.int8).T

    # ---- files ------------------------------------------------------------------------------------------------

    def save(
        self,
        path: str | os.PathLike[str],
        force: bool = False,
        *,
        measured: Evaluation | Sequence[tuple[str, float | None, float | None]] = (),
        provenance: Mapping[str, Any] | None = None,
    ) -> Path:
        """Copy the model directory to another place; it has no model card.

        Raises
        ------
        UsageError
            If something is there and `force` is not set, or it cannot be written.
        """
        self._check_fitted()
        if Path(path).absolute() == self.directory_.absolute():
            return Path(path)
        with whole_directory(path, store.MODEL, others=(WINDOWS, store.PLAN), force=force) as folder:
            shutil.copytree(self.directory_ / WINDOWS, folder / WINDOWS, copy_function=_copy_regular)
            shutil.copyfile(self.directory_ / store.MODEL, folder / store.MODEL)
        return Path(path)


def _copy_regular(source: str, target: str) -> None:
    """Copy a file of a model; a device has no end."""
    check_regular(source)
    shutil.copyfile(source, target)


# ---- streams of people: drawn together through the windows, on any number of workers ------------------------------


def _draw_windows(
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


def _draw_stream(
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
            for drawn in _draw_windows(directory, windows, label, _STREAM, random):
                calls = np.sort(drawn[:, part], axis=2) if unphased else drawn[:, part]
                file.write(np.packbits(calls.reshape(len(calls), -1).astype(bool), axis=1).tobytes())
    except OSError as error:
        raise UsageError(
            f"The genotypes cannot be stored in {os.path.dirname(target)} while they are generated: "
            f"{error.strerror or error}."
        ) from None
    os.replace(partial, target)


class _StreamedCalls:
    """Calls in the files of `_draw_stream`, read by sites: what writers need of calls.

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
