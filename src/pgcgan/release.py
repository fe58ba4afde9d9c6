"""What is done before artificial people leave the house: near-copies of training people are refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import DataError, UsageError
from .genotypes import Genotypes, Variants, concat
from .labels import label_columns, plan_counts, sample_names
from .metrics.matched import People, hamming

if TYPE_CHECKING:
    from .generators.generator import Generator

_CHUNK_BYTES = 200_000_000  # of training rows compared at a time
_DRAWS = 50  # times the people asked for, and at least 1,000, before a label is given up


def sample_apart(
    generator: Generator,
    n: int | Mapping[str, int],
    train: Genotypes,
    min_distance: float,
    *,
    seed: int = 0,
    prefix: str = "SYN",
    on_event: Callable[[dict[str, Any]], None] | None = None,
) -> tuple[Genotypes, int]:
    """Make people of whom no haplotype is nearer than a given distance to a haplotype of a training person.

    People are looked at in the order in which the generator makes them; one who is too near, in either haplotype, is
    refused and the next takes the place, so that counts are exact and the same seed gives the same people. The distance
    is the number of sites that differ (of alleles, where the data are unphased); missing alleles of training people
    are left out and the rest scaled up.

    Parameters
    ----------
    generator : Generator
        Fitted.
    n : int, or mapping of str to int
        As in its `sample`.
    train : Genotypes
        The training people, at the sites of the generator or more.
    min_distance : float
        Below 1 a share of the sites, from 1 on a whole number of sites. 1 refuses exact copies only.
    seed, prefix
        As in `sample`.
    on_event : callable, optional
        Called with {"stage", "fraction"} after each label.

    Returns
    -------
    people : Genotypes
    refused : int
        How many were refused before the last one that was kept.

    Raises
    ------
    UsageError
        If the distance is neither, or so large that too few people pass: after 50 draws for each person asked for (at
        least 1,000) the label is given up.
    DataError
        If the training people lack sites of the generator, or are unphased where it makes haplotypes.
    """
    if not (0 < min_distance < 1 or (min_distance >= 1 and min_distance == int(min_distance))):
        raise UsageError(
            f"The minimum distance is {min_distance:g}; accepted: a whole number of sites (1 or more), or a share of "
            "the sites between 0 and 1."
        )
    plan = plan_counts(n, generator.label_counts_)
    parts: list[Genotypes] = []
    refused = 0
    near: _Distances | None = None
    for done, (label, count) in enumerate(plan.items()):
        kept: list[Genotypes] = []
        held = looked = 0
        total = count
        while held < count:
            drawn = generator.sample({label: total}, seed=seed, prefix=prefix)
            if near is None:
                near = _Distances(train, drawn, min_distance)
            fresh = drawn.select(samples=np.arange(looked, drawn.n_samples))
            passed = np.flatnonzero(near.far_enough(fresh))
            taken = passed[: count - held]
            kept.append(fresh.select(samples=taken))
            held += len(taken)
            if held == count:
                last = int(taken[-1]) + 1 if len(taken) else 0
                refused += looked + last - count
                break
            looked = total
            limit = max(1000, _DRAWS * count)
            if looked >= limit:
                raise UsageError(
                    f"Only {held} of {count} people of {label} keep a distance of {min_distance:g} from every training "
                    f"haplotype, after {looked} draws; give a smaller one (--min-distance)."
                )
            total = min(limit, looked + 16 + 2 * (count - held) * looked // max(held, 1))
        parts += kept
        if on_event is not None:
            on_event({"stage": "generating", "fraction": (done + 1) / len(plan)})
    people = concat([part for part in parts if part.n_samples])
    named = Genotypes(
        people.calls, people.variants, sample_names(plan, prefix), label_columns(plan, generator.label), people.phased
    )
    return named, refused


class _Distances:
    """Distances to the training haplotypes, which are kept as they are compared."""

    def __init__(self, train: Genotypes, made: Genotypes, min_distance: float):
        if made.phased and not train.phased:
            raise DataError(
                "The real people are unphased and the model makes haplotypes; give the phased file it was trained on."
            )
        self.phased = made.phased
        self.rows = People(calls_at(train, made.variants), None, made.phased).values
        self.top = 1 if made.phased else train.ploidy
        self.limit = min_distance * made.n_variants if min_distance < 1 else min_distance
        self.chunk = max(1, _CHUNK_BYTES // (4 * self.top * len(self.rows)))

    def far_enough(self, made: Genotypes) -> np.ndarray:
        """Return for each person whether all their rows keep the distance: bool, shape (people,)."""
        if not made.n_samples:
            return np.zeros(0, dtype=bool)
        people = People(made.calls, None, self.phased)
        nearest = np.full(people.size, np.inf)
        for start in range(0, self.rows.shape[1], self.chunk):
            block = np.ascontiguousarray(self.rows[:, start : start + self.chunk])
            np.minimum(nearest, hamming(block, people.values, self.top).min(axis=0), out=nearest)
        return np.asarray((nearest >= self.limit - 1e-3).reshape(-1, people.per_person).all(axis=1))


def calls_at(real: Genotypes, variants: Variants) -> np.ndarray:
    """Return the calls of real people at exactly the given sites: int8, shape (variants, people, ploidy).

    Raises
    ------
    DataError
        If some are absent; the first is named.
    """

    def keys(sites: Variants) -> Sequence[tuple[Any, ...]]:
        return list(zip(sites.contig, sites.position.tolist(), sites.ref, sites.alt, strict=True))

    at = {key: k for k, key in enumerate(keys(real.variants))}
    wanted = keys(variants)
    absent = [k for k, key in enumerate(wanted) if key not in at]
    if absent:
        raise DataError(
            f"{len(absent)} of the {len(wanted)} sites of the model are not among those of the real people, the first "
            f"is {variants.name(absent[0])}; give the file that the model was trained on."
        )
    return np.ascontiguousarray(real.calls[[at[key] for key in wanted]])
