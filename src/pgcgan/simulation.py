"""A simulated cohort of five super-populations: the demo, and the fixture of the tests.

Nobody in it is real. The history is a compact out-of-Africa model whose differentiation, linkage and allele-frequency
spectrum are near those of the 1000 Genomes people, so that what is learnt from it looks like what is learnt from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .errors import DataError, UsageError
from .genotypes import Genotypes
from .labels import plan_counts
from .variants import COLUMNS, Variants

# people of each super-population in 1000 Genomes phase 3: the default proportions, unequal as cohorts are
SHARES: dict[str, int] = {"AFR": 661, "AMR": 347, "EAS": 504, "EUR": 503, "SAS": 489}
MUTATION_RATE = 1.29e-8  # per bp and generation
RECOMBINATION_RATE = 1e-8  # mean, per bp and generation


def simulate(
    people: int = 1000,
    *,
    length: int = 1_000_000,
    seed: int = 1,
    populations: Sequence[str] | Mapping[str, int] | None = None,
    unphased: bool = False,
) -> Genotypes:
    """Simulate a cohort of five super-populations along one contig.

    Parameters
    ----------
    people : int
        Number of diploid people.
    length : int
        Length of the contig ("1") in base pairs.
    seed : int
        The same seed gives the same cohort.
    populations : sequence of str, or mapping of str to int, optional
        Super-populations to take people from, with their relative sizes if it is a mapping; by default AFR, AMR, EAS,
        EUR and SAS in the proportions of 1000 Genomes. The history is the same whoever is sampled.
    unphased : bool
        Drop the phase.

    Returns
    -------
    Genotypes
        Biallelic sites, none of them monomorphic; REF is the ancestral allele. Labels: ``super_pop``, ``pop`` (two in
        each super-population, named AFR1, AFR2, …, of equal size) and ``gender``.

    Raises
    ------
    UsageError
        If a population is unknown, or people, length or seed is not a whole number of the accepted size.
    DataError
        If no site is polymorphic: the contig is too short or the people too few.
    """
    import msprime

    plan = _people_by_population(people, length, seed, populations)
    for_ancestry, for_mutation, for_map, for_gender = np.random.SeedSequence(seed).spawn(4)
    halves = {name: (f"{name}1", f"{name}2") for name in plan}
    sizes = {pop: (plan[name] + 1 - i) // 2 for name in plan for i, pop in enumerate(halves[name])}
    ancestry = msprime.sim_ancestry(
        [msprime.SampleSet(count, population=pop) for pop, count in sizes.items() if count],
        demography=msprime.Demography.from_demes(history()),
        recombination_rate=_recombination_map(length, np.random.default_rng(for_map)),
        random_seed=int(for_ancestry.generate_state(1)[0] >> 1) or 1,
    )
    tree_sequence = msprime.sim_mutations(
        ancestry, rate=MUTATION_RATE, random_seed=int(for_mutation.generate_state(1)[0] >> 1) or 1
    )

    calls, variants = _polymorphic_sites(tree_sequence, people, length)
    names = [f"{name}-{i:0{max(4, len(str(count)))}d}" for name, count in plan.items() for i in range(1, count + 1)]
    labels = {
        "pop": np.repeat(list(sizes), list(sizes.values())),
        "super_pop": np.repeat(list(plan), list(plan.values())),
        "gender": np.random.default_rng(for_gender).choice(["female", "male"], size=people),
    }
    genotypes = Genotypes(calls, variants, np.array(names), labels)
    return genotypes.without_phase() if unphased else genotypes


def _people_by_population(
    people: int, length: int, seed: int, populations: Sequence[str] | Mapping[str, int] | None
) -> dict[str, int]:
    """Return the number of people of each super-population; raise UsageError if an argument is off."""
    for value, what, least in ((people, "number of people", 1), (length, "number of base pairs", 1), (seed, "seed", 0)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise UsageError(f"simulate: the {what} is {value!r}; accepted: a whole number, {least} or more.")
    names = SHARES if populations is None else populations
    shares = names if isinstance(names, Mapping) else {name: SHARES.get(name, 1) for name in names}
    unknown = [name for name in shares if name not in SHARES]
    if unknown or not shares:
        name = unknown[0] if unknown else ""
        raise UsageError(f"simulate: unknown population {name!r}; accepted: {', '.join(SHARES)}.")
    return plan_counts(people, {name: shares[name] for name in sorted(shares)})


def _polymorphic_sites(tree_sequence: Any, people: int, length: int) -> tuple[np.ndarray, Variants]:
    """Return calls (sites, people, 2) and sites of a tree sequence with exactly two alleles."""
    calls = np.empty((tree_sequence.num_sites, 2 * people), dtype=np.int8)
    sites: list[tuple[str, int, str, str, str]] = []
    for variant in tree_sequence.variants():
        alleles, copies = variant.alleles, np.bincount(variant.genotypes)
        if len(alleles) != 2 or len(copies) != 2 or copies[0] == 0:
            continue  # a second mutation at the site made a third allele, or took the variation away
        calls[len(sites)] = variant.genotypes
        sites.append(("1", int(variant.site.position) + 1, ".", *alleles))
    if not sites:
        raise DataError(
            f"simulate: no site is polymorphic among {people} people over {length} base pairs; give more of either."
        )
    columns: Any = dict(zip(COLUMNS, zip(*sites, strict=True), strict=True))
    return calls[: len(sites)].reshape(-1, people, 2), Variants(**columns, contig_lengths={"1": length})


def history() -> Any:
    """Return the demographic model, a `demes.Graph` (times in generations, sizes in diploid people).

    An out-of-Africa history after Gutenkunst et al. (2009), with a South Asian branch that leaves the European one soon
    after the Eurasian split, a native American branch that leaves the East Asian one, two populations within each
    super-population, and American ones admixed sixteen generations ago. Sizes were set for Hudson's Fst near that of
    1000 Genomes exome SNPs (EUR-EAS .10, AFR-EUR .12).
    """
    import demes

    model = demes.Builder(description="five super-populations", time_units="generations")
    model.add_deme("ancestral", epochs=[{"start_size": 15000, "end_time": 8800}])
    model.add_deme("AFR", ancestors=["ancestral"], epochs=[{"start_size": 26000, "end_time": 250}])
    model.add_deme("OOA", ancestors=["AFR"], start_time=3000, epochs=[{"start_size": 5500, "end_time": 1450}])
    model.add_deme("west", ancestors=["OOA"], epochs=[{"start_size": 3600, "end_time": 1000}])
    model.add_deme("EAS", ancestors=["OOA"], epochs=[{"start_size": 1350, "end_size": 30000, "end_time": 150}])
    model.add_deme("EUR", ancestors=["west"], epochs=[{"start_size": 2500, "end_size": 25000, "end_time": 150}])
    model.add_deme("SAS", ancestors=["west"], epochs=[{"start_size": 5000, "end_size": 30000, "end_time": 150}])
    model.add_deme("native", ancestors=["EAS"], start_time=700, epochs=[{"start_size": 2500, "end_time": 16}])
    for name in ("AFR", "EAS", "EUR", "SAS"):
        for pop in (f"{name}1", f"{name}2"):
            model.add_deme(pop, ancestors=[name], epochs=[{"start_size": 20000}])
    founders = ["EUR1", "native", "AFR1"]
    for pop, shares in (("AMR1", [0.65, 0.20, 0.15]), ("AMR2", [0.35, 0.60, 0.05])):
        epochs = [{"start_size": 15000}]
        model.add_deme(pop, ancestors=founders, proportions=shares, start_time=16, epochs=epochs)
    rates = {("AFR", "EUR"): 4.5e-5, ("EUR", "SAS"): 6e-5, ("SAS", "EAS"): 1.3e-4, ("EUR", "EAS"): 1e-5}
    for pair, rate in rates.items():
        model.add_migration(demes=list(pair), rate=rate)
    return model.resolve()


def _recombination_map(length: int, random: np.random.Generator) -> Any:
    # hotspots as in human: gamma-distributed rates over 5 kb steps put about 80 % of recombination in 20 % of the bases
    import msprime

    edges = np.append(np.arange(0, length, 5000), length)
    rates = random.gamma(0.3, RECOMBINATION_RATE / 0.3, size=len(edges) - 1)
    rates *= RECOMBINATION_RATE / (np.average(rates, weights=np.diff(edges)) or 1)
    return msprime.RateMap(position=edges, rate=rates)
