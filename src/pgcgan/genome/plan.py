"""What is to be fitted: the windows of a genome, and the ancestry of its people."""

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
import torch

from ..errors import DataError, ModelError, UsageError
from ..generators.gan import checkpoint
from ..generators.haplotype import KnownAncestry
from ..generators.model import PGcGAN
from ..genotypes import Genotypes, Variants
from ..io import read
from ..io.index import index_of
from ..io.vcf_write import VCF_SUFFIXES
from ..provenance import provenance
from .alone import alone
from .ancestry import Mixture, fit_mixtures
from .breakpoints import BESIDE, SEARCHED, even_cuts, linkage_across, thinned_rows
from .scan import Survey, joined

OnEvent = Callable[[dict[str, Any]], None]

LEAST_SITES = 50  # of a window
OVERLAP = 1000  # sites, and at most
OVERLAP_SHARE = 0.25  # of a window
_BLOCK_ALLELES = 1 << 26  # read at a time
_PLAN, _SHEET, _ANCESTRY = "plan", "plan.json", "ancestry.safetensors"


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
    """A stretch of sites.

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

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.index:05d}"


@dataclass(frozen=True)
class Plan:
    """Windows to fit, and everything that takes.

    Parameters
    ----------
    source : Source
    label : sequence of str
    seed : int
    settings : mapping
        Of `PGcGAN`.
    size : int
        Sites that a window was to have.
    overlap : int, optional
        Sites of the window before that it was to have besides.
    windows : list of Window
    digests : list of str
        What the data of each window must be; see `digest`.
    label_counts : dict of str to int
    phased : bool
    ploidy : int
    axes : int
        Of ancestry.
    mixtures : list of Mixture
        How ancestry is distributed in each label.
    made : mapping
        Provenance.
    identity : str
        The same for the same data, settings and ancestry.
    """

    source: Source
    label: Sequence[str]
    seed: int
    settings: Mapping[str, Any]
    size: int
    overlap: int | None
    windows: list[Window]
    digests: list[str]
    label_counts: dict[str, int]
    phased: bool
    ploidy: int
    axes: int
    mixtures: list[Mixture]
    made: Mapping[str, Any]
    identity: str

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> Self:
        """Read the plan of a directory.

        Raises
        ------
        ModelError
            If there is none.
        """
        folder = Path(directory, _PLAN)
        if not (folder / _SHEET).is_file():
            raise ModelError(f"There is no plan in {directory}; pgcgan windows plan … -o {directory} makes one.")
        sheet = checkpoint.read_json(folder / _SHEET)
        if sheet.pop("format", None) != checkpoint.FORMAT:
            raise ModelError(f"The plan in {directory} is of another version of pgcgan; make it again with --force.")
        try:
            sheet["source"] = Source(**sheet["source"])
            sheet["windows"] = [Window(**window) for window in sheet["windows"]]
            sheet["mixtures"] = [Mixture(**mixture) for mixture in sheet["mixtures"]]
            return cls(**sheet)
        except (KeyError, TypeError) as error:
            raise ModelError(f"{folder / _SHEET} is not a whole plan ({error}); make it again with --force.") from None

    @staticmethod
    def ancestry(directory: str | os.PathLike[str]) -> KnownAncestry:
        """Read the ancestry of the people."""
        tensors, _ = checkpoint.read_tensors(Path(directory, _PLAN, _ANCESTRY))
        return KnownAncestry(tensors["z"].numpy(), tensors["spread"].numpy())

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
    on_event: OnEvent | None = None,
    **settings: Any,
) -> Plan:
    """Cut the genome into windows, find the ancestry of its people, and write the plan into a directory.

    The genotypes are read twice, a stretch at a time; what is kept of the whole genome is the sites, and a few
    thousand common ones of them in all people.

    Parameters
    ----------
    source : Source
        A .vcf.gz or .bcf needs its index.
    directory : path
    size : int
        Sites of a window, about: cuts are made where linkage disequilibrium across them is least, within 10 %.
    label : sequence of str
        Label columns that people are generated by.
    seed : int
    overlap : int, optional
        Sites of the window before that a window is also fitted to: what its haplotypes go on from. By default 1,000,
        or a quarter of the window if that is less; 0 leaves the boundary state out.
    force : bool
        Replace a plan, or a model, that is there.
    on_event : callable, optional
        Called with {"stage", "fraction", "detail"}.
    **settings
        Of `PGcGAN`. A network, which learns ancestry by itself, is not for windows.

    Raises
    ------
    UsageError
        If there is a plan or a model, the size is too small, the settings ask for a network, or there is no index.
    DataError
        If no site is left, or the people cannot be trained on.
    """
    if size < LEAST_SITES:
        raise UsageError(f"Windows of {size} sites (--windows) are too small; accepted: {LEAST_SITES} or more.")
    _check_settings(label, seed, settings)
    check_index(source.path)
    folder = Path(directory)
    _make_room(folder, force)
    say = on_event or (lambda event: None)
    variants, people = source.sites()
    found = Survey(len(variants))
    for contig, first, last, done in stretches(variants, people):
        found.add(contig, source.read(contig, first, last), done - 1, label)
        say({"stage": "planning", "fraction": 0.8 * done / len(variants), "detail": f"{found.kept:,} sites"})
    if not found.kept:
        raise DataError(f"No site of {source.path} is left to train on.")
    source = dataclasses.replace(source, samples=found.samples)
    with alone():
        ancestry = found.ancestry()
        of_label = np.unique(found.combination, return_inverse=True)[1]
        mixtures = fit_mixtures(ancestry.z, of_label, ancestry.spread)
    windows: list[Window] = []
    digests: list[str] = []
    for number, (contig, stretch) in enumerate(found.contigs.items()):
        cuts = _cuts(source, contig, stretch.positions, size)
        for left, right in zip([0, *cuts], [*cuts, len(stretch.positions)], strict=True):
            most = min(OVERLAP, int(OVERLAP_SHARE * size)) if overlap is None else overlap
            begin = _new_position(stretch.positions, max(left - most, 0)) if left and most else left
            index, where = len(windows) + 1, stretch.positions
            windows.append(Window(index, contig, int(where[begin]), int(where[right - 1]), right - begin, left - begin))
            digests.append(joined(stretch.marks[begin:right]))
        say({"stage": "planning", "fraction": 0.8 + 0.2 * (number + 1) / len(found.contigs), "detail": contig})
    names, counts = np.unique(found.combination, return_counts=True)
    plan = Plan(
        source=source,
        label=list(label),
        seed=seed,
        settings=settings,
        size=size,
        overlap=overlap,
        windows=windows,
        digests=digests,
        label_counts={str(n): int(c) for n, c in zip(names, counts, strict=True)},
        phased=found.phased,
        ploidy=found.ploidy,
        axes=ancestry.z.shape[1],
        mixtures=mixtures,
        made=provenance(seed, label=list(label), source=os.path.basename(source.path)),
        identity="",
    )
    described = repr((digests, windows, plan.label, seed, sorted(settings.items()), found.samples)).encode()
    mark = hashlib.sha256(described + ancestry.z.tobytes() + ancestry.spread.tobytes())
    plan = dataclasses.replace(plan, identity=mark.hexdigest())
    (folder / _PLAN).mkdir(parents=True, exist_ok=True)
    checkpoint.write_tensors(
        folder / _PLAN / _ANCESTRY, {"z": torch.from_numpy(ancestry.z), "spread": torch.from_numpy(ancestry.spread)}
    )
    # last: without it there is no plan
    checkpoint.write_json(folder / _PLAN / _SHEET, {"format": checkpoint.FORMAT, **dataclasses.asdict(plan)})
    return plan


def _check_settings(label: Sequence[str], seed: int, settings: Mapping[str, Any]) -> None:
    model = PGcGAN(list(label), seed=seed, **settings)
    if model.preset != "haplotype" or model.training.epochs or model.steps or model.training.adversarial_steps:
        raise UsageError(
            "Windows (--windows) are fitted with the prior of the preset haplotype alone: leave the network's budget "
            "(--minutes, --steps, epochs, adversarial_steps) and other presets out."
        )


def check_index(path: str) -> None:
    """Stop where a file cannot be read by region."""
    if path.endswith(VCF_SUFFIXES) and "://" not in path and index_of(path) is None:
        raise UsageError(
            f"{path} has no index, by which windows are read; make one with `tabix -p vcf {path}` or "
            f"`bcftools index {path}` (of a bgzip-compressed file)."
        )


def _make_room(folder: Path, force: bool) -> None:
    taken = [name for name in ("manifest.json", _PLAN, "windows", "model.json") if (folder / name).exists()]
    if taken and not force:
        raise UsageError(
            f"{folder} holds a model, finished or begun ({', '.join(taken)}); choose another directory, --force to "
            "replace it, or --resume to go on with it."
        )
    for name in ("manifest.json", "model.json", f"{_PLAN}/{_SHEET}"):  # without these it is no model, and no plan
        (folder / name).unlink(missing_ok=True)
    for name in (_PLAN, "windows"):
        shutil.rmtree(folder / name, ignore_errors=True)


def stretches(variants: Variants, people: int) -> Iterator[tuple[str, int, int, int]]:
    """Yield contig, first and last position of stretches to read, and how many sites there are up to their end."""
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


def _cuts(source: Source, contig: str, positions: np.ndarray, size: int) -> list[int]:
    """Return the first sites of all windows of a contig but its first."""
    cuts = []
    for even in even_cuts(len(positions), size):
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
            cuts.append(low + int(linkage.argmin()))
    return cuts


def _new_position(positions: np.ndarray, site: int) -> int:
    """Return the first site that has the position of a site."""
    return int(np.searchsorted(positions, positions[site]))
