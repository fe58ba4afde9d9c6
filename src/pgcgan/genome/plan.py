"""The plan of a genome-wide model: its windows, cut at low linkage disequilibrium, and the ancestry of its people."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..errors import DataError, ModelError, UsageError
from ..generators import store
from ..generators.haplotype import HaplotypeModel
from ..generators.haplotype.person_ancestry import KnownAncestry
from ..generators.parameters import check_names
from ..numerics import fill_missing, standardise
from ..provenance import provenance
from ..runtime.executors import Executor, Serial
from ..runtime.files import make_folder
from ..runtime.progress import OnEvent
from ..runtime.threads import single_thread
from ..text import LARGEST, is_unicode, without_secrets
from .ancestry import LabelAncestry, find_ancestry, label_ancestry
from .scan import GenomeScan, Source, digest, scan_genome

WINDOWS = "windows"  # the folder of the windows
LEAST_SITES = 50  # of a window
OVERLAP = 1000  # sites, and at most
OVERLAP_SHARE = 0.25  # of a window
_SEARCHED = 0.1  # of a window, on either side of the breakpoint of windows of equal size
_BESIDE = 50  # sites on either side of a breakpoint between which linkage is measured
_ROWS = 2000  # that it is measured with
METADATA, _ANCESTRY = "plan.json", "ancestry.safetensors"


@dataclass(frozen=True)
class Window:
    """A window of consecutive sites; its overlap are the last sites of the window before, which it also covers."""

    index: int  # from 1 on, in the order of the genome
    contig: str
    first: int  # position of the first site (1-based), the overlap included
    last: int
    sites: int  # how many there are, the overlap included
    overlap: int  # how many of them are in the window before; 0 at the beginning of a contig

    def __post_init__(self) -> None:
        """Raise ValueError where a file says what no window is."""
        numbers = (self.index, self.first, self.last, self.sites, self.overlap)
        if not isinstance(self.contig, str) or not all(type(n) is int and 0 <= n <= LARGEST for n in numbers):
            raise ValueError(f"a window of {numbers} on {self.contig!r}")

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.index:05d}"


@dataclass(frozen=True)
class Plan:
    """Windows to fit, and everything needed for it."""

    source: Source
    label: Sequence[str]
    seed: int
    parameters: Mapping[str, Any]  # of `HaplotypeModel`
    size: int  # sites that a window was to have
    overlap: int | None  # sites of the window before that it was to have besides
    windows: list[Window]
    digests: list[str]  # of the data of each window; see `scan.digest`
    label_counts: dict[str, int]
    phased: bool
    ploidy: int
    axes: int  # of ancestry
    ancestry: list[LabelAncestry]  # of each label
    made: Mapping[str, Any]  # provenance
    identity: str  # the same for the same data, parameters and ancestry

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> Self:
        """Read the plan of a directory."""
        folder = Path(directory, store.PLAN)
        if not (folder / METADATA).is_file():
            raise ModelError(f"There is no plan in {directory}; pgcgan windows plan … -o {directory} makes one.")
        metadata = store.read_json(folder / METADATA)
        if metadata.pop("format", None) != store.FORMAT:
            raise ModelError(f"The plan in {directory} is of another version of pgcgan; make it again with --force.")
        try:
            metadata["source"] = Source(**metadata["source"])
            metadata["windows"] = [Window(**window) for window in metadata["windows"]]
            metadata["ancestry"] = [LabelAncestry(**of_label) for of_label in metadata["ancestry"]]
            return cls(**metadata)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelError(
                f"{folder / METADATA} is not a whole plan ({error}); make it again with --force."
            ) from None

    @staticmethod
    def people(directory: str | os.PathLike[str]) -> tuple[np.ndarray, KnownAncestry]:
        """Read the population of each person, numbered from 0, and the ancestry of the people."""
        arrays = store.read_arrays(Path(directory, store.PLAN, _ANCESTRY))
        return arrays["population"], KnownAncestry(arrays["z"], arrays["spread"])


def make_plan(
    source: Source,
    directory: str | os.PathLike[str],
    *,
    size: int,
    label: Sequence[str] = ("super_pop",),
    seed: int = 0,
    overlap: int | None = None,
    force: bool = False,
    executor: Executor | None = None,
    on_event: OnEvent | None = None,
    **parameters: Any,
) -> Plan:
    """Cut the genome into windows, find the ancestry of its people, and write the plan into a directory.

    The genotypes are read twice, a chunk of sites at a time. The sites of the whole genome are kept in memory, and the
    calls of all people at a few thousand common ones.

    Parameters
    ----------
    source : Source
        A .vcf.gz or .bcf needs its index.
    directory : path
    size : int
        Sites of a window, about: breakpoints lie where linkage disequilibrium across them is least, within 10 %.
    label : sequence of str
        Label columns that people are generated by.
    seed : int
    overlap : int, optional
        Sites of the window before that a window also covers: its haplotypes continue from them. By default 1,000,
        or a quarter of the window if that is less; 0 leaves the boundary state out.
    force : bool
        Replace a plan, or a model, that is there.
    executor : Executor, optional
        Reads chunks of sites; by default this process, one after the other. The plan is the same.
    on_event : callable, optional
        Called with {"stage", "fraction", "detail"}.
    **parameters
        Parameters of `HaplotypeModel`.

    Raises
    ------
    UsageError
        If there is a plan or a model, the size is too small, a parameter is off, or there is no index.
    DataError
        If no site is left, or the people cannot be trained on.
    """
    if size < LEAST_SITES:
        raise UsageError(f"Windows of {size} sites (--windows) are too small; accepted: {LEAST_SITES} or more.")
    _check_parameters(label, seed, parameters)
    for path in map(str, filter(None, (source.path, source.panel))):
        if without_secrets(path) != path:
            raise UsageError(f"{path} holds a key, which a plan would keep on disk; download the file, and name that.")
        if not is_unicode(path):
            raise UsageError(f"The name {path} is not UTF-8 and cannot be kept in a plan; rename the file.")
    source.check_index()
    folder = Path(directory)
    _make_room(folder, force)
    say = on_event or (lambda event: None)
    runs = executor or Serial()
    scan = scan_genome(source, label, runs, say)
    names, of_label, counts = np.unique(scan.label, return_inverse=True, return_counts=True)
    with single_thread():
        population, ancestry = find_ancestry(scan.common, of_label)
    most_overlap = min(OVERLAP, int(OVERLAP_SHARE * size)) if overlap is None else overlap
    windows, digests = _windows(scan, size, most_overlap, runs, say)
    described = repr((digests, windows, list(label), seed, sorted(parameters.items()), scan.source.samples)).encode()
    arrays = {"population": population, "z": ancestry.z, "spread": ancestry.spread}
    plan = Plan(
        source=scan.source,
        label=list(label),
        seed=seed,
        parameters=parameters,
        size=size,
        overlap=overlap,
        windows=windows,
        digests=digests,
        label_counts={str(n): int(c) for n, c in zip(names, counts, strict=True)},
        phased=scan.phased,
        ploidy=scan.ploidy,
        axes=ancestry.z.shape[1],
        ancestry=label_ancestry(of_label, population, ancestry.spread),
        made=provenance(seed, label=list(label), source=os.path.basename(source.path)),
        identity=hashlib.sha256(described + b"".join(of.tobytes() for of in arrays.values())).hexdigest(),
    )
    make_folder(folder / store.PLAN)
    store.write_arrays(folder / store.PLAN / _ANCESTRY, arrays)
    # last: without it there is no plan
    store.write_json(folder / store.PLAN / METADATA, {"format": store.FORMAT, **dataclasses.asdict(plan)})
    return plan


def _check_parameters(label: Sequence[str], seed: int, parameters: Mapping[str, Any]) -> None:
    """Raise UsageError if the windows cannot be fitted with these parameters."""
    fitted_with = "Windows (--windows) are fitted with the haplotype model, which"
    check_names(parameters, HaplotypeModel.parameter_names(), fitted_with)
    HaplotypeModel(label, seed=seed, **parameters).check_parameters()
    if parameters.get("private"):
        raise UsageError(
            f"private is {parameters['private']}; windows (--windows) accept 0 alone: what they give away adds up."
        )


def _make_room(folder: Path, force: bool) -> None:
    existing = [name for name in (store.MODEL, store.PLAN, WINDOWS) if (folder / name).exists()]
    if existing and not force:
        raise UsageError(
            f"{folder} holds a model, finished or begun ({', '.join(existing)}); choose another directory, --force to "
            "replace it, or --resume to go on with it."
        )
    # without the first two it is no model, and no plan
    for name in (store.MODEL, f"{store.PLAN}/{METADATA}", store.RELEASES):
        (folder / name).unlink(missing_ok=True)
    for name in (store.PLAN, WINDOWS):
        shutil.rmtree(folder / name, ignore_errors=True)


def _windows(
    scan: GenomeScan, size: int, most_overlap: int, runs: Executor, say: OnEvent
) -> tuple[list[Window], list[str]]:
    """Cut all contigs; return the windows and the digests of their data."""
    windows: list[Window] = []
    digests: list[str] = []
    promises = [runs.submit(_breakpoints, scan.source, contig, at, size) for contig, (at, _) in scan.contigs.items()]
    for done, (promise, (contig, (at, checksums))) in enumerate(zip(promises, scan.contigs.items(), strict=True), 1):
        for left, right in pairwise([0, *promise.result(), len(at)]):
            # the first site that has the position of the site where the overlap would begin
            begin = int(np.searchsorted(at, at[max(left - most_overlap, 0)])) if left and most_overlap else left
            windows.append(
                Window(len(windows) + 1, contig, int(at[begin]), int(at[right - 1]), right - begin, left - begin)
            )
            digests.append(digest(checksums[begin:right]))
        say({"stage": "planning", "fraction": 0.8 + 0.2 * done / len(scan.contigs), "detail": contig})
    return windows, digests


def _breakpoints(source: Source, contig: str, positions: np.ndarray, size: int) -> list[int]:
    """Return the first sites of all windows of a contig but its first, where linkage across them is least."""
    breakpoints = []
    reach, beside = max(1, int(_SEARCHED * size)), max(1, min(_BESIDE, size // 5))
    # a position is read as a whole
    within = np.append(np.diff(positions, prepend=-1) == 0, False)
    for even in even_breakpoints(len(positions), size):
        low, high = max(even - reach - beside, 0), min(even + reach + beside, len(positions))
        low = int(np.searchsorted(positions, positions[low]))
        high = int(np.searchsorted(positions, positions[high - 1], side="right"))
        part = source.read(contig, int(positions[low]), int(positions[high - 1]))
        if part.n_variants != high - low:
            raise DataError(f"{source.path} has changed while it was read.")
        if part.phased or part.ploidy == 1:
            rows = part.calls.reshape(len(part.calls), -1).T
        else:
            rows = np.where((part.calls < 0).any(axis=2), -1, part.calls.sum(axis=2, dtype=np.int8)).T
        linkage = linkage_across(rows[:: -(-len(rows) // _ROWS)], beside)
        linkage[(np.abs(np.arange(low, high + 1) - even) > reach) | within[low : high + 1]] = np.inf
        if np.isfinite(linkage).any():
            breakpoints.append(low + int(linkage.argmin()))
    return breakpoints


def even_breakpoints(sites: int, wanted: int) -> list[int]:
    """Return the first sites of all windows of a contig but its first, for windows of equal size near `wanted`."""
    count = max(1, round(sites / wanted))
    return [sites * i // count for i in range(1, count)]


def linkage_across(rows: np.ndarray, beside: int) -> np.ndarray:
    """Return the mean r² between the `beside` sites before and after each possible breakpoint: float, (sites + 1,).

    Entry c is for a breakpoint before site c; inf where there are not enough sites on both sides. r² is the square of
    Pearson's r of alleles or dosages (rows, sites), missing states at their site's mean; 0 where a site does not vary.
    """
    states, sites = standardise(fill_missing(rows)), rows.shape[1]
    linkage = np.full(sites + 1, np.inf)
    squared = (states.T @ states).astype(np.float64) ** 2
    # sums over rectangles by those from the corner
    corner = np.zeros((sites + 1, sites + 1))
    corner[1:, 1:] = squared.cumsum(axis=0).cumsum(axis=1)
    at = np.arange(beside, sites - beside + 1)
    total = corner[at, at + beside] - corner[at - beside, at + beside] - corner[at, at] + corner[at - beside, at]
    linkage[at] = total / beside**2
    return linkage
