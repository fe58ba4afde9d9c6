"""The cohorts that are compared (training, synthetic, held-out), their distances and subsamples of equal size.

A *row* is a haplotype (0/1) when all cohorts are phased, else the dosages of a person (0/1/2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from ..numerics import allele_differences, fill_missing
from .rows import NO_HOLDOUT, NotComputable, RowBuilder

T = TypeVar("T")

SUBSAMPLES = 10
MIN_PEOPLE = 5
MAX_PEOPLE = 3000
MAX_BYTES = 320_000_000  # of one cohort as float32; people beyond it are left out at random
NAMES = ("train", "synthetic", "holdout")


class Cohort:
    """One set of people, with the counts that several metrics need, computed once.

    Parameters
    ----------
    calls : array of int8, shape (sites, people, ploidy)
        -1 = missing.
    labels : array of str, shape (people,), or None
    phased : bool
        Whether the rows are haplotypes (0/1) or dosages (0/1/2).
    """

    def __init__(self, calls: np.ndarray, labels: np.ndarray | None, phased: bool):
        self.calls = calls
        self.n_sites, self.n_people, self.ploidy = calls.shape
        self.labels = labels
        self.phased = phased
        self.rows_per_person = self.ploidy if phased else 1  # one for each haplotype, or a single row of dosages
        self.levels = 1 if phased else self.ploidy  # the largest value of a row
        self._whole: tuple[Cohort, np.ndarray] | None = None

    @cached_property
    def calls(self) -> np.ndarray:
        """The calls: int8, shape (sites, people, ploidy); a part of another cohort copies them when needed."""
        assert self._whole is not None
        whole, people = self._whole
        return np.ascontiguousarray(whole.calls[:, people])

    def forget(self) -> None:
        """Drop the calls of a part of another cohort; they are copied again when they are needed."""
        if self._whole is not None:
            self.__dict__.pop("calls", None)
            self.__dict__.pop("values", None)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.n_people * self.rows_per_person

    @cached_property
    def values(self) -> np.ndarray:
        """Rows as columns: int8, shape (sites, rows), -1 = missing."""
        return self.calls.reshape(self.n_sites, -1) if self.phased else self.dosages

    @property
    def dosages(self) -> np.ndarray:
        """Alt-allele counts: int8, shape (sites, people), -1 where any allele is missing. Not cached."""
        total = self.calls[:, :, 0].copy()
        for k in range(1, self.ploidy):  # several times as fast as a sum over the last axis
            total += self.calls[:, :, k]
        if self.missing:
            total[(self.calls < 0).any(axis=2)] = -1
        return total

    @cached_property
    def missing(self) -> bool:
        """True if any call is missing."""
        return bool(self.calls.size) and bool(self.calls.min() < 0)

    @cached_property
    def called(self) -> np.ndarray:
        """Number of called alleles per site: int64, shape (sites,)."""
        if not self.missing:
            return np.full(self.n_sites, self.n_people * self.ploidy)
        return (self.calls >= 0).sum(axis=(1, 2))

    @cached_property
    def alts(self) -> np.ndarray:
        """Number of alt alleles per site: int64, shape (sites,)."""
        return np.count_nonzero(self.calls == 1, axis=(1, 2))

    @cached_property
    def frequency(self) -> np.ndarray:
        """Alt-allele frequency among called alleles: float64, shape (sites,)."""
        return self.alts / np.maximum(self.called, 1)

    def filled(self, sites: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Return values as float32, shape (sites, rows), with the mean of the site instead of missing calls.

        Not cached: it would be most of the memory that an evaluation of many sites takes.
        """
        return fill_missing(self.values[sites].T).T

    def take(self, people: np.ndarray) -> Cohort:
        """Return the people at the given indices or mask."""
        part = Cohort(self.calls[:, :0], None if self.labels is None else self.labels[people], self.phased)
        part._whole, part.n_people = (self, people), len(np.arange(self.n_people)[people])
        part.forget()
        return part

    def with_label(self, value: Any) -> np.ndarray:
        """Return the indices of the people with a label value; of all people if there is no label or no value."""
        if value is None or self.labels is None:
            return np.arange(self.n_people)
        return np.flatnonzero(self.labels == value)

    def rows_of(self, people: np.ndarray) -> np.ndarray:
        """Return the row indices of people given by index."""
        width = self.rows_per_person
        return (np.asarray(people)[:, None] * width + np.arange(width)).ravel()


@dataclass(eq=False, repr=False)
class Comparison:
    """Training, synthetic and held-out people to be compared, overall or of one label."""

    train: Cohort
    synthetic: Cohort  # as many of each label as in train
    holdout: Cohort | None  # unseen real people
    _: KW_ONLY
    position: np.ndarray  # of the sites: int64, shape (sites,)
    contig: np.ndarray  # str, shape (sites,)
    seed: int = 0
    label: str = "all"
    parent: Comparison | None = None  # that of all labels, if this is of one
    index: dict[str, np.ndarray] = field(default_factory=dict)  # where its people are in the cohorts of the parent
    released: Cohort | None = None  # all synthetic people given, and further ones of their generator
    # people of generators fitted to other parts of the real people, and who of train and holdout were in that part
    shadows: Sequence[tuple[Cohort, np.ndarray]] = ()
    figures: dict[str, Any] = field(default_factory=dict)
    _cache: dict[Any, Any] = field(default_factory=dict, init=False)

    @property
    def root(self) -> Comparison:
        """The comparison of all labels together."""
        return self.parent or self

    @property
    def reference(self) -> Cohort:
        """The people that the synthetic ones are compared with: held-out, or train where there are none."""
        return self.holdout or self.train

    @property
    def reference_name(self) -> str:
        """`holdout` or `train`."""
        return "holdout" if self.holdout else "train"

    @property
    def cohorts(self) -> dict[str, Cohort]:
        """The cohorts by name; without `holdout` if there are no held-out people."""
        return {name: cohort for name in NAMES if (cohort := getattr(self, name)) is not None}

    def cohort(self, name: str) -> Cohort:
        """Return one cohort by name; raise NotComputable if there is none."""
        if name not in self.cohorts:
            raise NotComputable(NO_HOLDOUT)
        return self.cohorts[name]

    def cached(self, key: Any, compute: Callable[[], T]) -> T:
        """Return what `compute` returns; it is called once for each key."""
        if key not in self._cache:
            self._cache[key] = compute()
        return self._cache[key]

    def builder(self, topic: str, people: int = MIN_PEOPLE) -> RowBuilder:
        """Return a builder of rows; raise NotComputable if any cohort has fewer people than given."""
        self.require(people)
        return RowBuilder(self.label, topic)

    def require(self, people: int = MIN_PEOPLE) -> None:
        """Raise NotComputable if any cohort has fewer people than given."""
        for name, cohort in self.cohorts.items():
            if cohort.n_people < people:
                raise NotComputable(f"needs at least {people} people, the {name} set has {cohort.n_people}")

    def generator(self, purpose: int = 0) -> np.random.Generator:
        """Return a random generator that depends on the seed and the purpose only."""
        return np.random.default_rng([self.seed, purpose])

    def halves(self, cohort: Cohort, purpose: int) -> tuple[np.ndarray, np.ndarray]:
        """Return two random halves of the people of a cohort, each label in two: indices, in random order."""
        order = self.generator(purpose).permutation(cohort.n_people)
        if cohort.labels is not None:
            order = order[np.argsort(cohort.labels[order].astype(str), kind="stable")]
        return order[0::2], order[1::2]

    def compare(self, metric: Callable[[str, str], float]) -> tuple[float, float | None]:
        """Return f(synthetic, reference) and its floor f(train, holdout), of a function of two names of cohorts."""
        value = float(metric("synthetic", self.reference_name))
        return value, float(metric("train", "holdout")) if self.holdout else None

    @cached_property
    def by_label(self) -> dict[str, Comparison]:
        """The comparison of each label, in the order of the label values."""
        if self.train.labels is None:
            return {}
        parts = {}
        for value in map(str, np.unique(self.train.labels.astype(str))):
            index = {name: cohort.with_label(value) for name, cohort in self.cohorts.items()}
            cohorts: dict[str, Any] = {name: cohort.take(index[name]) for name, cohort in self.cohorts.items()}
            parts[value] = replace(self, **cohorts, label=value, parent=self, index=index)
        return parts

    def rows_in_root(self, name: str) -> np.ndarray:
        """Return where the rows of one cohort lie among those of all labels."""
        return self.root.cohort(name).rows_of(self.index[name])

    def distances(self, a: str, b: str) -> np.ndarray:
        """Return the allele differences between the rows of two cohorts: float32, shape (rows of a, rows of b)."""
        first, second = self.cohort(a), self.cohort(b)
        if self.parent is not None:
            return self.parent.distances(a, b)[np.ix_(self.rows_in_root(a), self.rows_in_root(b))]
        if a != b and ("distances", b, a) in self._cache:
            return self._cache["distances", b, a].T
        rows = first.values.T
        others = rows if a == b else second.values.T
        return self.cached(("distances", a, b), lambda: allele_differences(rows, others, first.levels))

    @cached_property
    def subsamples(self) -> list[dict[str, np.ndarray]]:
        """Ten random subsamples of equal numbers of people of each label: indices of people by cohort name."""
        labels = self.train.labels
        strata = [None] if labels is None else list(np.unique(labels.astype(str)))
        subsamples = []
        for repeat in range(SUBSAMPLES):
            generator = self.generator(1000 + repeat)
            chosen: dict[str, list[np.ndarray]] = {name: [] for name in self.cohorts}
            for value in strata:
                members = {name: cohort.with_label(value) for name, cohort in self.cohorts.items()}
                count = min(map(len, members.values()))
                for name, people in members.items():
                    chosen[name].append(np.sort(generator.permutation(people)[:count]))
            subsamples.append({name: np.concatenate(parts) for name, parts in chosen.items()})
        if (count := len(subsamples[0]["train"])) < MIN_PEOPLE:
            raise NotComputable(f"needs {MIN_PEOPLE} people or more of the same labels in each set, there are {count}")
        return subsamples
