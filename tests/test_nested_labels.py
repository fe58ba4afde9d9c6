"""Labels of several columns: a difference beyond chance is kept, and one by chance is not."""

from __future__ import annotations

import numpy as np
import pytest
from handmade import small
from scipy.stats import chi2_contingency

from pgcgan import HaplotypeModel
from pgcgan.generators.haplotype.code_model import own_shares, parents_of
from pgcgan.genotypes import Genotypes

SITES, CAUSAL = 90, 50
FREQUENCY = {"A": 0.3, "B": 0.6}


def cases_and_controls(people: int, seed: int, *, difference: float = 0.3) -> Genotypes:
    """Return unlinked sites of two populations; cases differ from controls at one of them."""
    random = np.random.default_rng(seed)
    population = np.repeat(list(FREQUENCY), people // 2)
    status = random.choice(["case", "control"], people)
    frequency = np.tile([FREQUENCY[p] for p in population], (SITES, 1))
    frequency[CAUSAL] += difference * (status == "case")
    calls = random.random((SITES, people, 2)) < frequency[..., None]
    return small(calls.astype(int), labels={"population": population.tolist(), "status": status.tolist()})


def statistics(people: Genotypes) -> np.ndarray:
    """Return chi-squared of each site for cases against controls within populations, over its degrees of freedom."""
    total = np.zeros(people.n_variants)
    for population in FREQUENCY:
        own = people.select(samples=people.label("population") == population)
        case = own.label("status") == "case"
        for site, calls in enumerate(own.calls):
            counts = [[(calls[who] == allele).sum() for allele in (0, 1)] for who in (case, ~case)]
            total[site] += chi2_contingency(counts, correction=False).statistic
    return total / len(FREQUENCY)


def test_labels_that_agree_in_all_columns_but_the_last_have_one_parent() -> None:
    names = ["A/x/case", "A/x/control", "A/y/case", "B/x/control"]
    assert parents_of(names, 3).tolist() == [0, 0, 1, 2]
    assert len(set(parents_of(["A/x", "A/y"], 1).tolist())) == 2  # one column, whose values have a "/"


def test_shares_are_near_0_by_chance_and_near_1_beyond() -> None:
    random = np.random.default_rng(1)
    frequency = random.dirichlet(np.ones(4), 300)
    counts = [np.stack([random.multinomial(400, f) for _ in range(4)]) for f in frequency]
    counts[7] = np.stack([random.multinomial(400, f) for f in random.dirichlet(np.ones(4), 4)])
    shares = own_shares(counts, np.array([0, 0, 1, 1]))
    assert shares[7] > 0.99
    assert np.delete(shares, 7).mean() < 0.05
    # populations differ everywhere, and stay what they are
    apart = [np.stack([random.multinomial(400, random.dirichlet(30 * f)) for _ in range(4)]) for f in frequency]
    assert own_shares(apart, np.array([0, 0, 1, 1])).mean() > 0.9
    assert (own_shares(counts, np.arange(4)) == 1).all()


def test_synthetic_cases_differ_from_controls_where_real_ones_do_and_by_chance_elsewhere() -> None:
    train = cases_and_controls(800, seed=1)
    model = HaplotypeModel(label=("population", "status"), seed=1).fit(train)
    made = [model.sample(model.label_counts_, seed=draw) for draw in (1, 2)]
    found, real = np.stack([statistics(people) for people in made]), statistics(train)
    assert (found[:, CAUSAL] > 0.5 * real[CAUSAL]).all() and real[CAUSAL] > 20
    null = np.delete(found, CAUSAL, axis=1)
    # 1 by chance; the training people's own differences are not drawn once more (that would be 2)
    assert null.mean() == pytest.approx(1, abs=0.25)
    assert abs(np.corrcoef(null.mean(axis=0), np.delete(real, CAUSAL))[0, 1]) < 0.25


def test_a_loaded_model_draws_the_same_people(tmp_path) -> None:
    model = HaplotypeModel(label=("population", "status"), seed=1).fit(cases_and_controls(200, 3))
    model.save(tmp_path / "m")
    assert HaplotypeModel.load(tmp_path / "m").sample(50, seed=1).equals(model.sample(50, seed=1))
