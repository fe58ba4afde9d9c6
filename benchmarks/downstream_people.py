"""The people of the benchmarks of uses: real ones, and synthetic ones of generators fitted to some of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from cohorts import LABEL, label_counts
from measuring import short

from pgcgan import Genotypes, concat
from pgcgan.generators.generator import Generator
from pgcgan.metrics.informed_membership import ALL_PEOPLE, informed_attacks
from pgcgan.metrics.preparation import prepare
from pgcgan.registry import create, load

# column -> family of generators and its parameters
GENERATORS: dict[str, tuple[str, dict[str, Any]]] = {
    "haplotype": ("haplotype", {}),
    "haplotype, private": ("haplotype", {"private": 0.6}),
    "haplotype, rare variants kept": ("haplotype", {"min_deviations": 1}),
    "Li-Stephens": ("li-stephens", {}),
    "independent": ("independent", {}),
}
GAN = "gan"
POOL = "informed membership AUC, pool"
POOL_TPR = "informed membership TPR at 1 % FPR, pool"


@dataclass
class Cohort:
    """Training and held-out people, and the models that were fitted to training people so far.

    Parameters
    ----------
    train, holdout : Genotypes
    gan : Path, optional
        Directory of a conditional GAN trained on `train`; without it there is none.
    models : Path, optional
        Where models fitted to `train` are kept, and taken from; without it they are fitted in each process.
    """

    train: Genotypes
    holdout: Genotypes
    gan: Path | None = None
    models: Path | None = None
    _models: dict[tuple[str, int, Genotypes], Generator] = field(default_factory=dict)

    def generators(self) -> list[str]:
        """Return the names of the generators that there are."""
        return [*GENERATORS, *([GAN] if self.gan else [])]

    def model(self, generator: str, seed: int, people: Genotypes | None = None) -> Generator:
        """Return a generator fitted to people (the training people if none are given), fitted once."""
        people = self.train if people is None else people
        key = (generator, seed, people)
        if key not in self._models:
            self._models[key] = self._load(generator, seed) if people is self.train else self._fit(key)
        return self._models[key]

    def _fit(self, key: tuple[str, int, Genotypes]) -> Generator:
        generator, seed, people = key
        family, parameters = GENERATORS[generator]
        return create(family, LABEL, seed=seed, **parameters).fit(people)

    def _load(self, generator: str, seed: int) -> Generator:
        """Return a model of all training people: the GAN, or one that was kept, or one that is fitted and kept."""
        if generator == GAN:
            return load(self.gan or "")
        path = self.models and self.models / f"{generator.replace(', ', '-').replace(' ', '-')}-{seed}.model"
        if path is not None and path.exists():
            return load(path)
        model = self._fit((generator, seed, self.train))
        if path is not None:
            model.save(path)
        return model

    def synthetic(
        self,
        generator: str,
        seed: int,
        *,
        people: Genotypes | None = None,
        counts: Mapping[str, int] | None = None,
        times: int = 1,
    ) -> Genotypes:
        """Return synthetic people, as many of each label as there are training people unless `counts` says how many.

        Parameters
        ----------
        generator : str
        seed : int
        people : Genotypes, optional
            What the generator is fitted to.
        counts : mapping of str to int, optional
        times : int
            Factor on the counts.
        """
        wanted = label_counts(self.train) if counts is None else counts
        wanted = {label: count * times for label, count in wanted.items() if count}
        return self.model(generator, seed, people).sample(wanted, seed=seed, prefix="synthetic")

    def thinned(self, keep: Mapping[str, int], seed: int) -> Genotypes:
        """Return the training people, of some labels only so many as `keep` says: the first ones of a random order."""
        labels = self.train.label(LABEL).astype(str)
        chosen = np.ones(len(labels), dtype=bool)
        for label, count in keep.items():
            random = np.random.default_rng([seed, *map(ord, label)])
            chosen[random.permutation(np.flatnonzero(labels == label))[count:]] = False
        return self.train.select(samples=chosen)

    def leak(self, synthetic: Genotypes, seed: int) -> dict[str, float | None]:
        """Return what an informed attacker (pool) finds of the training people in synthetic people."""
        comparison, _ = prepare(self.train, synthetic, self.holdout, LABEL, seed)
        rows = {row.metric: row.value for row in informed_attacks(comparison) if row.label == "all"}
        # with more synthetic people than training people, the attacker has all of them
        return {name: short(rows.get(f"{name}, {ALL_PEOPLE}", rows.get(name))) for name in (POOL, POOL_TPR)}


def joined(*parts: Genotypes) -> Genotypes:
    """Return the people of several sets, with the label column alone."""
    return concat([Genotypes(p.calls, p.variants, p.samples, {LABEL: p.label(LABEL)}, p.phased) for p in parts])
