"""Generate synthetic people for release: near-copies are rejected, earlier releases counted, shadow models fitted."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .errors import DataError, ModelError, UsageError
from .generators.store import RELEASES, read_json, write_json
from .genotypes import Genotypes, concat
from .labels import label_columns, label_groups, plan_counts, plan_from, sample_names
from .metrics import Shadow
from .metrics.comparison import Cohort
from .numerics import allele_differences
from .runtime.files import held
from .runtime.progress import OnEvent
from .variants import require_sites

if TYPE_CHECKING:
    from .generators.generator import Generator

_CHUNK_BYTES = 200_000_000  # of training rows compared at a time
_DRAWS = 50  # times the people requested, and at least 1,000, before giving up a label


def sample_apart(
    generator: Generator,
    n: int | Mapping[str, int],
    train: Genotypes,
    min_distance: float,
    *,
    seed: int = 0,
    prefix: str = "SYN",
    on_event: OnEvent | None = None,
) -> tuple[Genotypes, int]:
    """Generate people whose haplotypes keep a minimum distance from every training haplotype.

    A person with a haplotype that is too near is rejected and the next one generated is taken instead, so that counts
    are exact and the same seed gives the same people. The distance is the number of sites that differ (of alleles, if
    the data are unphased); missing alleles of training people are left out and the rest is scaled up.

    Parameters
    ----------
    generator : Generator
        Fitted.
    n : int, or mapping of str to int
        As in its `sample`.
    train : Genotypes
        The training people, at the sites of the generator or more.
    min_distance : float
        Below 1 a share of the sites, from 1 on a whole number of sites. 1 rejects exact copies only.
    seed, prefix
        As in `sample`.
    on_event : callable, optional
        Called with {"stage", "fraction"} after each label.

    Returns
    -------
    people : Genotypes
    rejected : int
        Number of people rejected before the last one accepted.

    Raises
    ------
    UsageError
        If the distance is neither, or so large that a label is given up: after 50 draws a person (at least 1,000).
    DataError
        If the training people lack sites of the generator, or are unphased and it generates haplotypes.
    """
    if not (0 < min_distance < 1 or (min_distance >= 1 and min_distance == int(min_distance))):
        raise UsageError(
            f"The minimum distance is {min_distance:g}; accepted: a whole number of sites (1 or more), or a share "
            "of the sites between 0 and 1."
        )
    if generator.phased_ and not train.phased:
        raise DataError(
            "The real people are unphased and the model generates haplotypes; specify the phased file it was "
            "trained on."
        )
    what = "of the model are not among those of the real people"
    way_out = "; specify the file that the model was trained on"
    sites = require_sites(train.variants, generator.variants_, what, way_out)
    rows = Cohort(np.ascontiguousarray(train.calls[sites]), None, generator.phased_).values.T  # (rows, sites)
    plan = plan_counts(n, generator.label_counts_)
    parts: list[Genotypes] = []
    rejected = 0
    for done, (label, count) in enumerate(plan.items()):
        accepted, looked_at = _first_apart(generator, label, count, rows, min_distance, seed)
        parts += accepted
        rejected += looked_at - count
        if on_event is not None:
            on_event({"stage": "generating", "fraction": (done + 1) / len(plan)})
    people = concat([part for part in parts if part.n_samples])
    names, labels = sample_names(plan, prefix), label_columns(plan, generator.label)
    return Genotypes(people.calls, people.variants, names, labels, people.phased), rejected


def _first_apart(
    generator: Generator, label: str, count: int, rows: np.ndarray, min_distance: float, seed: int
) -> tuple[list[Genotypes], int]:
    """Return the first people of a label who keep the distance, and the number of people looked at."""
    accepted: list[Genotypes] = []
    looked_at, draws, wanted = 0, count, count
    limit = max(1000, _DRAWS * count)
    while True:
        drawn = generator.sample({label: draws}, seed=seed, start=looked_at)
        passed = np.flatnonzero(_are_apart(drawn, rows, min_distance))[:wanted]
        accepted.append(drawn.select(samples=passed))
        wanted -= len(passed)
        if not wanted:
            return accepted, looked_at + int(passed[-1]) + 1
        looked_at += draws
        if looked_at >= limit:
            raise UsageError(
                f"Only {count - wanted} of {count} people of {label} keep a distance of {min_distance:g} from "
                f"every training haplotype, after {looked_at} draws; specify a smaller distance (--min-distance)."
            )
        draws = min(limit - looked_at, 16 + 2 * wanted * looked_at // max(count - wanted, 1))


def _are_apart(people: Genotypes, rows: np.ndarray, min_distance: float) -> np.ndarray:
    """Return one flag per person: True if all their rows keep the distance from all training rows, (rows, sites)."""
    cohort = Cohort(people.calls, None, people.phased)
    nearest = np.full(cohort.n_rows, np.inf)
    chunk = max(1, _CHUNK_BYTES // (4 * cohort.levels * cohort.n_sites))
    for start in range(0, len(rows), chunk):
        distances = allele_differences(rows[start : start + chunk], cohort.values.T, cohort.levels)
        np.minimum(nearest, distances.min(axis=0), out=nearest)
    limit = min_distance * cohort.n_sites if min_distance < 1 else min_distance
    return np.asarray((nearest >= limit - 1e-3).reshape(-1, cohort.rows_per_person).all(axis=1))


# ---- earlier releases ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Release:
    """People of a model that were released: enough to generate them again.

    Parameters
    ----------
    seed : int
        Of `Generator.sample`.
    people : dict of str to int
        How many of each label.
    before : dict of str to int
        How many of each label come before them.
    """

    seed: int
    people: dict[str, int]
    before: dict[str, int]

    @classmethod
    def of(cls, generator: Generator, n: int | Mapping[str, int], seed: int, start: int = 0) -> Release:
        """Return the release of `generator.sample(n, seed=seed, start=start)`."""
        people, before = plan_from(n, generator.label_counts_, start)
        return cls(seed, dict(people), {name: before.get(name, 0) for name in people})

    def numbers(self) -> dict[tuple[int, str], set[int]]:
        """Return the numbers of the people by seed and label; equal numbers are the same person."""
        return {
            (self.seed, name): set(range(self.before[name], self.before[name] + count))
            for name, count in self.people.items()
        }


def further_people(generator: Generator, others: Sequence[Release], release: Release) -> Genotypes | None:
    """Generate the people of other releases again, without those that a release has too; None if nobody is left.

    Of a release with a minimum distance, the people who were refused are taken for those in their place.
    """
    numbers = defaultdict[tuple[int, str], set[int]](set)
    for other in others:
        for key, people in other.numbers().items():
            numbers[key] |= people
    parts: list[Genotypes] = []
    for (seed, name), people in numbers.items():
        wanted = np.array(sorted(people - release.numbers().get((seed, name), set())), dtype=np.int64)
        if len(wanted):
            first, last = int(wanted[0]), int(wanted[-1])
            drawn = generator.sample({name: last - first + 1}, seed=seed, start=first, prefix=f"FURTHER{len(parts)}")
            parts.append(drawn.select(samples=wanted - first))
    return concat(parts) if parts else None


def read_releases(directory: str | os.PathLike[str]) -> list[Release]:
    """Return what was released of the model in a directory, from its file of releases.

    Raises
    ------
    ModelError
        If the file is damaged.
    """
    path = Path(directory, RELEASES)
    if not path.exists():
        return []
    content = read_json(path)
    try:
        releases = [Release(**release) for release in content["releases"]]
        for release in releases:
            counts = (release.seed, *release.people.values(), *release.before.values())
            if release.people.keys() != release.before.keys() or not all(type(n) is int and n >= 0 for n in counts):
                raise ValueError("a release is not one")
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ModelError(
            f"{path} is damaged, so it is not known how many people were released; put it right from the releases, or "
            "train the model again."
        ) from None
    return releases


@contextmanager
def recorded(directory: str | os.PathLike[str], release: Release) -> Iterator[list[Release]]:
    """Lock a model directory while people are released; yield the other releases, and record this one at the end.

    Nothing is recorded if an error ends the block. The same people released again are the same release.

    Raises
    ------
    UsageError
        If another process releases people of the model, or the directory cannot be written.
    ModelError
        If the file of releases is damaged.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(held(directory))
        except OSError as error:
            reason = f"{directory} cannot be written ({error.strerror})"
            raise UsageError(f"{reason}; a release is recorded there.") from None
        others = [other for other in read_releases(directory) if other != release]
        yield others
        write_json(Path(directory, RELEASES), {"releases": [asdict(other) for other in (*others, release)]})


# ---- shadow models ------------------------------------------------------------------------------------------------


def shadow_models(
    generator: Generator,
    train: Genotypes,
    holdout: Genotypes,
    models: int,
    *,
    seed: int = 0,
    on_event: OnEvent | None = None,
) -> list[Shadow]:
    """Fit a generator again to other random parts of all real people, for the attack that learns from such models.

    Each part has as many people of each label as the training people.

    Parameters
    ----------
    generator : Generator
        Its family and parameters are used, not what it learned.
    train, holdout : Genotypes
        The pool.
    models : int
        How many to fit.
    seed : int
        Random seed of the parts and of the models.
    on_event : callable, optional
        Called with {"stage", "fraction", "detail"} before each fit.
    """
    pool = concat([train, holdout])
    of_pool = label_groups(pool.labels, generator.label).astype(str)
    of_train = label_groups(train.labels, generator.label).astype(str)
    shadows = []
    for number in range(models):
        if on_event is not None:
            progress = {"fraction": number / models, "detail": f"{number + 1} of {models}"}
            on_event({"stage": "shadow models", **progress})
        random = np.random.default_rng([seed, 16, number])
        part = [
            random.permutation(np.flatnonzero(of_pool == name))[: np.count_nonzero(of_train == name)]
            for name in np.unique(of_train)
        ]
        people = pool.select(samples=np.sort(np.concatenate(part)))
        shadow = type(generator)(generator.label, seed=seed + number + 1, **generator.parameters()).fit(people)
        synthetic = shadow.sample(shadow.label_counts_, seed=seed + number + 1)
        shadows.append(Shadow(synthetic, frozenset(map(str, people.samples))))
    return shadows
