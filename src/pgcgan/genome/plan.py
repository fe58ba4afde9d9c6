"""The plan of a genome-wide model: its windows, and the ancestry of its people."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..errors import DataError, ModelError, UsageError
from ..generators import store
from ..generators.haplotype import HaplotypeModel
from ..generators.haplotype.person_ancestry import KnownAncestry
from ..genotypes import Genotypes, Variants
from ..io import read
from ..io.index import index_of
from ..io.vcf_write import VCF_SUFFIXES
from ..labels import label_groups
from ..provenance import provenance
from ..runtime.executors import Executor, Serial
from ..runtime.files import make_folder
from ..runtime.progress import OnEvent
from ..runtime.threads import single_thread
from ..text import LARGEST, is_unicode, without_secrets
from .ancestry import LabelAncestry, label_ancestry
from .breakpoints import BESIDE, SEARCHED, even_breakpoints, linkage_across, thinned_rows
from .scan import Chunk, GenomeScan, joined_checksums

WINDOWS = "windows"  # the folder of the windows
LEAST_SITES = 50  # of a window
OVERLAP = 1000  # sites, and at most
OVERLAP_SHARE = 0.25  # of a window
_BLOCK_ALLELES = 1 << 26  # read at a time
_PLAN, _METADATA, _ANCESTRY = store.PLAN, "plan.json", "ancestry.safetensors"


@dataclass(frozen=True)
class Source:
    """Where the training people are: a file that can be read by region.

    Parameters
    ----------
    path, panel : str
        As in `pgcgan.read`.
    options : mapping
        Further options of `pgcgan.read`, `region` and `samples` aside.
    samples : sequence of str, or callable, optional
        The people, as in `pgcgan.read`; everybody by default.
    """

    path: str
    panel: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    samples: Sequence[str] | Callable[[list[str]], Sequence[str]] | None = None

    def read(self, contig: str, first: int, last: int) -> Genotypes:
        """Return the people at the sites between two positions (1-based, both included)."""
        return read(self.path, self.panel, region=f"{contig}:{first}-{last}", samples=self.samples, **self.options)

    def sites(self) -> tuple[Variants, int]:
        """Return all sites of the file, and the number of people in it."""
        count = 0

        def one(present: list[str]) -> list[str]:
            nonlocal count
            count = len(present)
            return present[:1]

        plain = {k: v for k, v in self.options.items() if k not in ("min_maf", "population_map", "intersect")}
        return read(self.path, samples=one, **plain).variants, count


@dataclass(frozen=True)
class Window:
    """A window of consecutive sites.

    Parameters
    ----------
    index : int
        From 1 on, in the order of the genome.
    contig : str
    first, last : int
        Positions of the first and the last site (1-based), the overlap included.
    sites : int
        How many there are, the overlap included.
    overlap : int
        How many of them are the last ones of the window before; 0 at the beginning of a contig.
    """

    index: int
    contig: str
    first: int
    last: int
    sites: int
    overlap: int

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
    """Windows to fit, and everything needed for it.

    Parameters
    ----------
    source : Source
    label : sequence of str
    seed : int
    parameters : mapping
        Parameters of `HaplotypeModel`.
    size : int
        Sites that a window was to have.
    overlap : int, optional
        Sites of the window before that it was to have besides.
    windows : list of Window
    digests : list of str
        Digests of the data of each window; see `scan.digest`.
    label_counts : dict of str to int
    phased : bool
    ploidy : int
    axes : int
        Of ancestry.
    ancestry : list of LabelAncestry
        Of each label.
    made : mapping
        Provenance.
    identity : str
        The same for the same data, parameters and ancestry.
    """

    source: Source
    label: Sequence[str]
    seed: int
    parameters: Mapping[str, Any]
    size: int
    overlap: int | None
    windows: list[Window]
    digests: list[str]
    label_counts: dict[str, int]
    phased: bool
    ploidy: int
    axes: int
    ancestry: list[LabelAncestry]
    made: Mapping[str, Any]
    identity: str

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> Self:
        """Read the plan of a directory."""
        folder = Path(directory, _PLAN)
        if not (folder / _METADATA).is_file():
            raise ModelError(f"There is no plan in {directory}; pgcgan windows plan … -o {directory} makes one.")
        metadata = store.read_json(folder / _METADATA)
        if metadata.pop("format", None) != store.FORMAT:
            raise ModelError(f"The plan in {directory} is of another version of pgcgan; make it again with --force.")
        try:
            metadata["source"] = Source(**metadata["source"])
            metadata["windows"] = [Window(**window) for window in metadata["windows"]]
            metadata["ancestry"] = [LabelAncestry(**of_label) for of_label in metadata["ancestry"]]
            return cls(**metadata)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelError(
                f"{folder / _METADATA} is not a whole plan ({error}); make it again with --force."
            ) from None

    @staticmethod
    def people(directory: str | os.PathLike[str]) -> tuple[np.ndarray, KnownAncestry]:
        """Read the population of each person, numbered from 0, and the ancestry of the people."""
        arrays = store.read_arrays(Path(directory, _PLAN, _ANCESTRY))
        return arrays["population"], KnownAncestry(arrays["z"], arrays["spread"])

    @staticmethod
    def drop(directory: str | os.PathLike[str]) -> None:
        """Remove the plan, and with it everything that is known of the people."""
        shutil.rmtree(Path(directory, _PLAN), ignore_errors=True)


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
    check_index(source.path)
    folder = Path(directory)
    _make_room(folder, force)
    say = on_event or (lambda event: None)
    runs = executor or Serial()
    scan, source = _scan(source, label, runs, say)
    with single_thread():
        population, ancestry = scan.ancestry()
        of_label = np.unique(scan.label_group, return_inverse=True)[1]
    most_overlap = min(OVERLAP, int(OVERLAP_SHARE * size)) if overlap is None else overlap
    windows, digests = _windows(source, scan, size, most_overlap, runs, say)
    names, counts = np.unique(scan.label_group, return_counts=True)
    plan = Plan(
        source=source,
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
        identity="",
    )
    described = repr((digests, windows, plan.label, seed, sorted(parameters.items()), source.samples)).encode()
    arrays = {"population": population, "z": ancestry.z, "spread": ancestry.spread}
    mark = hashlib.sha256(described + b"".join(of.tobytes() for of in arrays.values()))
    plan = dataclasses.replace(plan, identity=mark.hexdigest())
    make_folder(folder / _PLAN)
    store.write_arrays(folder / _PLAN / _ANCESTRY, arrays)
    # last: without it there is no plan
    store.write_json(folder / _PLAN / _METADATA, {"format": store.FORMAT, **dataclasses.asdict(plan)})
    return plan


def _scan(source: Source, label: Sequence[str], runs: Executor, say: OnEvent) -> tuple[GenomeScan, Source]:
    """Read the genome once, a chunk of sites at a time; return the scan, and the source with the people's names."""
    variants, people = source.sites()
    chunks = list(read_chunks(variants, people))
    if not chunks:
        raise DataError(f"No site of {source.path} is left to train on.")
    contig, first, _, _ = chunks[0]
    some = source.read(contig, first, first)
    source = dataclasses.replace(source, samples=[str(name) for name in some.samples])
    promises = [runs.submit(_scan_chunk, source, *chunk, len(variants)) for chunk in chunks]
    scanned: list[Chunk] = []
    for promise, (_, _, _, end) in zip(promises, chunks, strict=True):
        scanned.append(promise.result())
        say({"stage": "planning", "fraction": 0.8 * end / len(variants), "detail": f"{end:,} sites"})
    scan = GenomeScan(scanned, label_groups(some.labels, label).astype(str))
    if not scan.n_sites:
        raise DataError(f"No site of {source.path} is left to train on.")
    return scan, source


def _scan_chunk(source: Source, contig: str, first: int, last: int, end: int, expected: int) -> Chunk:
    return Chunk.of(contig, source.read(contig, first, last), end, expected)


def _windows(
    source: Source, scan: GenomeScan, size: int, most_overlap: int, runs: Executor, say: OnEvent
) -> tuple[list[Window], list[str]]:
    """Cut all contigs; return the windows and the digests of their data."""
    windows: list[Window] = []
    digests: list[str] = []
    promises = [runs.submit(_breakpoints, source, contig, where, size) for contig, (where, _) in scan.contigs.items()]
    for number, (promise, (contig, (where, checksums))) in enumerate(zip(promises, scan.contigs.items(), strict=True)):
        breakpoints = promise.result()
        for left, right in zip([0, *breakpoints], [*breakpoints, len(where)], strict=True):
            # the first site that has the position of the site where the overlap would begin
            begin = int(np.searchsorted(where, where[max(left - most_overlap, 0)])) if left and most_overlap else left
            first, last = int(where[begin]), int(where[right - 1])
            windows.append(Window(len(windows) + 1, contig, first, last, right - begin, left - begin))
            digests.append(joined_checksums(checksums[begin:right]))
        say({"stage": "planning", "fraction": 0.8 + 0.2 * (number + 1) / len(scan.contigs), "detail": contig})
    return windows, digests


def _check_parameters(label: Sequence[str], seed: int, parameters: Mapping[str, Any]) -> None:
    """Raise UsageError if the windows cannot be fitted with these parameters."""
    unknown = [name for name in parameters if name not in HaplotypeModel.parameter_names()]
    if unknown:
        accepted = ", ".join(HaplotypeModel.parameter_names())
        raise UsageError(
            f"Windows (--windows) are fitted with the haplotype model, which has no parameter {unknown[0]!r}; "
            f"accepted: {accepted}."
        )
    HaplotypeModel(label, seed=seed, **parameters).check_parameters()
    if parameters.get("private"):
        raise UsageError(
            f"private is {parameters['private']}; windows (--windows) accept 0 alone: what they give away adds up."
        )


def check_index(path: str) -> None:
    """Stop where a file cannot be read by region."""
    if path.endswith(VCF_SUFFIXES) and "://" not in path and index_of(path) is None:
        raise UsageError(
            f"{path} has no index, which reading by windows needs; make one with `tabix -p vcf {path}` or "
            f"`bcftools index {path}` (of a bgzip-compressed file)."
        )


def _make_room(folder: Path, force: bool) -> None:
    existing = [name for name in (store.MODEL, _PLAN, WINDOWS) if (folder / name).exists()]
    if existing and not force:
        raise UsageError(
            f"{folder} holds a model, finished or begun ({', '.join(existing)}); choose another directory, --force to "
            "replace it, or --resume to go on with it."
        )
    # without the first two it is no model, and no plan
    for name in (store.MODEL, f"{_PLAN}/{_METADATA}", store.RELEASES):
        (folder / name).unlink(missing_ok=True)
    for name in (_PLAN, WINDOWS):
        shutil.rmtree(folder / name, ignore_errors=True)


def read_chunks(variants: Variants, people: int) -> Iterator[tuple[str, int, int, int]]:
    """Yield contig, first and last position of each chunk of sites to read, and the number of sites up to its end."""
    most = max(1, _BLOCK_ALLELES // max(1, 2 * people))
    edges = [0, *(np.flatnonzero(variants.contig[1:] != variants.contig[:-1]) + 1).tolist(), len(variants)]
    for start, end in pairwise(edges):
        positions = variants.position[start:end]
        at = 0
        while at < len(positions):
            # sites of one position stay together
            stop = int(np.searchsorted(positions, positions[min(at + most, len(positions)) - 1], side="right"))
            yield str(variants.contig[start]), int(positions[at]), int(positions[stop - 1]), start + stop
            at = stop


def _breakpoints(source: Source, contig: str, positions: np.ndarray, size: int) -> list[int]:
    """Return the first sites of all windows of a contig but its first."""
    breakpoints = []
    for even in even_breakpoints(len(positions), size):
        reach = max(1, int(SEARCHED * size))
        beside = max(1, min(BESIDE, size // 5))
        low, high = max(even - reach - beside, 0), min(even + reach + beside, len(positions))
        low = int(np.searchsorted(positions, positions[low]))
        high = int(np.searchsorted(positions, positions[high - 1], side="right"))
        part = source.read(contig, int(positions[low]), int(positions[high - 1]))
        if part.n_variants != high - low:
            raise DataError(f"{source.path} has changed while it was read.")
        linkage = linkage_across(thinned_rows(part.calls, part.phased), beside)
        place = np.arange(low, high + 1)
        linkage[np.abs(place - even) > reach] = np.inf
        inside = np.flatnonzero((place > 0) & (place < len(positions)))
        split = place[inside]
        linkage[inside[positions[split] == positions[split - 1]]] = np.inf  # a position is read as a whole
        if np.isfinite(linkage).any():
            breakpoints.append(low + int(linkage.argmin()))
    return breakpoints
