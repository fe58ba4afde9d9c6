"""The three matched sets of people, their distances and their cuts to equal size.

A *value row* is a haplotype (0/1) when all sets are phased, else a person's dosage (0/1/2). Everything in this package
that says "row" means that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from .rows import NO_HOLDOUT, NotComputable

T = TypeVar("T")

CUTS = 10
MIN_PEOPLE = 5
MAX_PEOPLE = 3000
MAX_BYTES = 500_000_000  # of one set as float32; people beyond it are left out by seed


class People:
    """One set of people, with what several metrics need of it, computed once.

    Parameters
    ----------
    calls : array of int8, shape (sites, people, ploidy)
        -1 = missing.
    labels : array of str, shape (people,), or None
        One value a person.
    phased : bool
        Whether the rows are haplotypes (0/1) or dosages (0/1/2).
    """

    def __init__(self, calls: np.ndarray, labels: np.ndarray | None, phased: bool):
        self.calls = calls
        self.labels = labels
        self.phased = phased

    @property
    def people(self) -> int:
        """Number of people."""
        return self.calls.shape[1]

    @property
    def sites(self) -> int:
        """Number of sites."""
        return self.calls.shape[0]

    @property
    def per_person(self) -> int:
        """Rows a person has."""
        return self.calls.shape[2] if self.phased else 1

    @property
    def size(self) -> int:
        """Number of rows."""
        return self.people * self.per_person

    @property
    def top(self) -> int:
        """The largest value of a row (1 for haplotypes, the ploidy for dosages)."""
        return 1 if self.phased else self.calls.shape[2]

    @cached_property
    def values(self) -> np.ndarray:
        """Return rows as columns: int8, shape (sites, rows), -1 = missing."""
        return self.calls.reshape(self.sites, -1) if self.phased else self.dosages

    @cached_property
    def dosages(self) -> np.ndarray:
        """Return alt-allele counts: int8, shape (sites, people), -1 where any allele is missing."""
        total = self.calls.sum(axis=2, dtype=np.int8)
        if self.missing:
            total[(self.calls < 0).any(axis=2)] = -1
        return total

    @cached_property
    def missing(self) -> bool:
        """Tell whether any call is missing."""
        return bool(self.calls.size) and bool(self.calls.min() < 0)

    @cached_property
    def called(self) -> np.ndarray:
        """Return the number of called alleles per site: int64, shape (sites,)."""
        if not self.missing:
            return np.full(self.sites, self.people * self.calls.shape[2])
        return (self.calls >= 0).sum(axis=(1, 2))

    @cached_property
    def alts(self) -> np.ndarray:
        """Return the number of alt alleles per site: int64, shape (sites,)."""
        return np.count_nonzero(self.calls == 1, axis=(1, 2))

    @cached_property
    def frequency(self) -> np.ndarray:
        """Return the alt-allele frequency among called alleles: float64, shape (sites,)."""
        return self.alts / np.maximum(self.called, 1)

    def columns(self, sites: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Return values as float32, shape (sites, rows); a missing value takes the site's mean in this set.

        Made anew each time: kept, they would be most of the memory that an evaluation of many sites takes.
        """
        return filled(self.values[sites])

    def take(self, people: np.ndarray) -> People:
        """Return the people at the given indices or mask."""
        labels = None if self.labels is None else self.labels[people]
        return People(np.ascontiguousarray(self.calls[:, people]), labels, self.phased)

    def rows_of(self, people: np.ndarray) -> np.ndarray:
        """Return the row indices of people given by index."""
        p = self.per_person
        return (np.asarray(people)[:, None] * p + np.arange(p)).ravel()


def filled(values: np.ndarray, means: np.ndarray | None = None) -> np.ndarray:
    """Return values as float32 with missing ones replaced by the site's mean (of this set, or as given).

    Parameters
    ----------
    values : array of int8, shape (sites, rows)
        -1 = missing.
    means : array of float, shape (sites,), optional
        What to fill in.
    """
    out = values.astype(np.float32)
    if values.size and values.min() < 0:
        absent = values < 0
        if means is None:
            out[absent] = 0
            means = out.sum(axis=1) / np.maximum((~absent).sum(axis=1), 1)
        out[absent] = np.broadcast_to(np.asarray(means, dtype=np.float32)[:, None], out.shape)[absent]
    return out


def hamming(a: np.ndarray, b: np.ndarray, top: int = 1) -> np.ndarray:
    """Return the number of differing alleles between each two columns (rows of people) of two sets.

    For 0/1 columns it is the Hamming distance, for dosages the L1 distance. Sites missing in either row are left out
    and the rest scaled up to all sites. One float32 matrix product: |a| + |b| - 2 a.b.

    Parameters
    ----------
    a, b : arrays of int8, shape (sites, rows)
        -1 = missing.
    top : int
        Largest value; dosages are split into indicator columns (>= 1, >= 2).

    Returns
    -------
    array of float32, shape (rows of a, rows of b)
    """
    missing = bool(a.size and a.min() < 0) or bool(b.size and b.min() < 0)
    same = a is b
    x = _indicators(a, top)
    y = x if same else _indicators(b, top)
    distance = x.T @ y
    distance *= -2
    if not missing:
        distance += x.sum(axis=0)[:, None]
        distance += y.sum(axis=0)[None, :]
        return distance
    mask_x = _indicators((a >= 0).astype(np.int8) * top, top)
    mask_y = mask_x if same else _indicators((b >= 0).astype(np.int8) * top, top)
    distance += x.T @ mask_y
    distance += mask_x.T @ y
    shared = mask_x.T @ mask_y
    np.divide(distance * (len(a) * top), shared, out=distance, where=shared > 0)
    distance[shared == 0] = len(a) * top
    return distance


def _indicators(values: np.ndarray, top: int) -> np.ndarray:
    if top == 1:
        return (values > 0).astype(np.float32)
    return np.concatenate([(values >= k).astype(np.float32) for k in range(1, top + 1)])


class Sets:
    """Training, synthetic and held-out people, matched, overall or of one label; distances are computed once.

    Parameters
    ----------
    train, synthetic : People
        Matched in size and label composition.
    holdout : People or None
        Unseen real people.
    position : array of int64, contig : array of str, shape (sites,)
        Where the sites lie.
    seed : int
        Of every random choice.
    """

    def __init__(
        self,
        train: People,
        synthetic: People,
        holdout: People | None,
        *,
        position: np.ndarray,
        contig: np.ndarray,
        seed: int = 0,
        label: str = "all",
        parent: Sets | None = None,
        index: dict[str, np.ndarray] | None = None,
    ):
        self.train = train
        self.synthetic = synthetic
        self.holdout = holdout
        self.position = position
        self.contig = contig
        self.seed = seed
        self.label = label
        self.parent = parent
        self.index = index or {}
        self.figures: dict[str, Any] = {}
        self.projections: dict[str, dict[str, np.ndarray]] = {}
        self._distances: dict[tuple[str, str], np.ndarray] = {}
        self._kept: dict[str, Any] = {}

    @property
    def root(self) -> Sets:
        """The sets of all labels together."""
        return self.parent or self

    @property
    def reference(self) -> People:
        """The people that the synthetic ones are compared with: held-out, or train where there are none."""
        return self.holdout or self.train

    @property
    def reference_name(self) -> str:
        """`holdout` or `train`."""
        return "holdout" if self.holdout else "train"

    def cohort(self, name: str) -> People:
        """Return one set by name; raise NotComputable if there is none."""
        found = getattr(self, name)
        if found is None:
            raise NotComputable(NO_HOLDOUT)
        return found

    @property
    def names(self) -> list[str]:
        """The names of the sets there are."""
        return [name for name in ("train", "synthetic", "holdout") if getattr(self, name) is not None]

    def kept(self, name: str, make: Callable[[], T]) -> T:
        """Return what `make` returned the first time that it was asked for under this name."""
        if name not in self._kept:
            self._kept[name] = make()
        return self._kept[name]

    def require(self, people: int = MIN_PEOPLE) -> None:
        """Raise NotComputable if any set has fewer people than given."""
        for name in ("train", "synthetic", "holdout"):
            found = getattr(self, name)
            if found is not None and found.people < people:
                raise NotComputable(f"needs at least {people} people, the {name} set has {found.people}")

    def generator(self, purpose: int = 0) -> np.random.Generator:
        """Return a random generator that depends on the seed and the purpose only."""
        return np.random.default_rng([self.seed, purpose])

    def compare(self, metric: Callable[[People, People], float]) -> tuple[float, float | None]:
        """Return f(synthetic, reference) and its floor f(train, holdout)."""
        floor = float(metric(self.train, self.holdout)) if self.holdout else None
        return float(metric(self.synthetic, self.reference)), floor

    @cached_property
    def by_label(self) -> dict[str, Sets]:
        """Return the sets of each label, in the order of the label values."""
        if self.train.labels is None:
            return {}
        found = {}
        for value in np.unique(self.train.labels.astype(str)):
            parts: dict[str, People | None] = {}
            index = {}
            for name in ("train", "synthetic", "holdout"):
                cohort = getattr(self, name)
                if cohort is None:
                    parts[name] = None
                    continue
                index[name] = np.flatnonzero(cohort.labels == value)
                parts[name] = cohort.take(index[name])
            assert parts["train"] is not None and parts["synthetic"] is not None
            found[str(value)] = Sets(
                parts["train"],
                parts["synthetic"],
                parts["holdout"],
                position=self.position,
                contig=self.contig,
                seed=self.seed,
                label=str(value),
                parent=self,
                index=index,
            )
        return found

    def rows_in_root(self, name: str) -> np.ndarray:
        """Return where the rows of one set lie among those of all labels."""
        return self.root.cohort(name).rows_of(self.index[name])

    def distances(self, a: str, b: str) -> np.ndarray:
        """Return the allele differences between the rows of two sets: float32, shape (rows of a, rows of b)."""
        first, second = self.cohort(a), self.cohort(b)
        if self.parent is not None:
            return self.parent.distances(a, b)[np.ix_(self.rows_in_root(a), self.rows_in_root(b))]
        if (a, b) not in self._distances:
            if (b, a) in self._distances:
                return self._distances[b, a].T
            self._distances[a, b] = hamming(first.values, second.values, first.top)
        return self._distances[a, b]

    @cached_property
    def cuts(self) -> list[dict[str, np.ndarray]]:
        """Return ten random cuts of the sets to equal numbers of people of each label: people's indices by set name."""
        names = [n for n in ("train", "synthetic", "holdout") if getattr(self, n) is not None]
        cohorts = {n: self.cohort(n) for n in names}
        strata: Sequence[Any] = [None] if self.train.labels is None else list(np.unique(self.train.labels.astype(str)))
        made = []
        for repeat in range(CUTS):
            generator = np.random.default_rng([self.seed, 1000 + repeat])
            chosen: dict[str, list[np.ndarray]] = {n: [] for n in names}
            for value in strata:
                members = {
                    n: np.arange(c.people) if value is None else np.flatnonzero(c.labels == value)
                    for n, c in cohorts.items()
                }
                count = min(len(m) for m in members.values())
                for n in names:
                    chosen[n].append(np.sort(generator.permutation(members[n])[:count]))
            made.append({n: np.concatenate(parts) for n, parts in chosen.items()})
        if len(made[0]["train"]) < MIN_PEOPLE:
            count = len(made[0]["train"])
            raise NotComputable(f"needs {MIN_PEOPLE} people or more of the same labels in each set, there are {count}")
        return made
