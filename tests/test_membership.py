"""How many people must carry a run: the attack against copies and fresh rows, and the choice that follows from it."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from scipy.spatial.distance import cdist

import pgcgan
from pgcgan.generators.haplotype import disclosure, choose_min_carriers, find_blocks, fit_code_model, least_carriers
from pgcgan.genotypes import Genotypes

pytestmark = pytest.mark.filterwarnings("error")
LEAST = 3


def related(people: int, copies: int, seed: int, sites: int = 600) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows of people in families whose rows are alike but for a few sites, their labels and people."""
    random = np.random.default_rng(seed)
    founders = random.random((-(-2 * people // copies), sites)) < random.beta(0.6, 0.6, sites)
    rows = np.repeat(founders, copies, axis=0)[random.permutation(2 * people)].astype(np.int8)
    rows ^= (random.random(rows.shape) < 0.004).astype(np.int8)
    return rows, np.zeros(2 * people, dtype=np.int64), np.repeat(np.arange(people), 2)


def fitted(rows: np.ndarray, label: np.ndarray, person: np.ndarray, carriers: int = LEAST) -> tuple:  # type: ignore[type-arg]
    blocks = find_blocks(rows, person, min_carriers=LEAST, label=label, max_sites=16)
    codes = blocks.encode(rows).astype(np.int64)
    prior = fit_code_model(codes, label, person, blocks.sizes, int(label.max()) + 1, carriers)
    return prior, blocks, rows, codes, label, person


def test_runs_that_few_carry_give_more_away() -> None:
    made = fitted(*related(150, 5, 1))
    few, many = (disclosure.attack(*made, carriers, seed=1) for carriers in (2, 30))
    # with 30 carriers no run is left: each family has five rows
    assert few > many + 0.02


def test_nothing_is_found_where_everybody_has_one_of_a_few_haplotypes() -> None:
    """All of them are drawn in every turn: every distance is 0, and the attack says 0.5."""
    random = np.random.default_rng(3)
    haplotypes = (random.random((5, 80)) < 0.5).astype(np.int8)
    rows = haplotypes[random.integers(5, size=400)]
    made = fitted(rows, np.zeros(400, dtype=np.int64), np.repeat(np.arange(200), 2))
    assert disclosure.attack(*made, LEAST, seed=1) == pytest.approx(0.5, abs=0.01)
    assert choose_min_carriers(*made, LEAST, seed=1) == LEAST


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        ([0.5], 4),
        ([0.54], 4),
        ([0.58, 0.52], 6),
        ([0.6, 0.55, 0.5], 8),
        ([0.6, 0.59, 0.58, 0.57], 13),
        ([0.6, 0.598], 4),
        ([0.6, 0.59, 0.61], 6),
    ],
)
def test_the_least_number_at_which_the_attack_fails(found: list[float], chosen: int) -> None:
    made = fitted(*related(20, 4, 1, sites=60))
    with patch.object(disclosure, "attack", side_effect=found) as attack:
        assert choose_min_carriers(*made, least_carriers(LEAST)) == chosen
    assert [call.args[-2] for call in attack.call_args_list] == [4, 6, 8, 13][: len(found)]


def test_each_person_is_left_out_as_often_as_any_other() -> None:
    made = fitted(*related(30, 5, 2))
    counted: list[np.ndarray] = []
    scored: list[tuple[np.ndarray, np.ndarray]] = []
    count, area = disclosure._counted, disclosure.roc_auc_score

    def counts(prior: object, codes: np.ndarray, label: np.ndarray, person: np.ndarray, *rest: object) -> object:
        counted.append(np.unique(person))
        return count(prior, codes, label, person, *rest)  # type: ignore[arg-type]

    def scores(member: np.ndarray, score: np.ndarray) -> float:
        scored.append((member, score))
        return float(area(member, score))

    with patch.object(disclosure, "_counted", counts), patch.object(disclosure, "roc_auc_score", scores):
        disclosure.attack(*made, LEAST, seed=1)
    rounds = len(counted) // 4
    assert rounds >= 1 and len(counted) == 4 * rounds
    assert (np.bincount(np.concatenate(counted)) == 3 * rounds).all()
    (member, score), *_ = scored
    assert member.sum() == 3 * rounds * 60 and len(score) == 4 * rounds * 60


def test_distances_are_those_of_scipy() -> None:
    random = np.random.default_rng(1)
    real = random.integers(-1, 3, (2100, 30)).astype(np.int8)
    drawn = random.integers(0, 3, (50, 30)).astype(np.float32)
    filled = disclosure._filled(real)
    means = np.array([column[column >= 0].mean() for column in real.T])
    expected = np.where(real < 0, means, real)
    np.testing.assert_allclose(filled, expected, rtol=1e-6)
    nearest = cdist(expected, drawn, "sqeuclidean").min(axis=1)
    np.testing.assert_allclose(disclosure._nearest(filled, drawn), nearest, atol=1e-3)


def test_large_cohorts_and_many_blocks_are_looked_at_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disclosure, "_PEOPLE", 40)
    monkeypatch.setattr(disclosure, "_BLOCKS", 5)
    monkeypatch.setattr(disclosure, "_SITES", 20)
    made = fitted(*related(150, 5, 4))
    assert len(made[1]) > 5
    assert 0.3 < disclosure.attack(*made, LEAST, seed=1) < 0.8
    assert disclosure.attack(*made, LEAST, seed=1) == disclosure.attack(*made, LEAST, seed=1)


@pytest.fixture(scope="module")
def small() -> Genotypes:
    return pgcgan.simulate(300, length=200_000, seed=5).select(min_maf=0.02)


def test_a_model_says_how_many_it_takes(small: Genotypes) -> None:
    plain = {"seed": 1, "calibrate": False, "sharpening": 1.0}
    chosen = pgcgan.PGcGAN("super_pop", **plain).fit(small).facts()["chosen"]
    assert chosen["carriers of a run"] in (4, 6, 8, 13)
    given = pgcgan.PGcGAN("super_pop", **plain, run_carriers=7).fit(small).facts()["chosen"]
    assert given["carriers of a run"] == 7


def test_people_without_phase_and_with_missing_calls_are_attacked_too(small: Genotypes) -> None:
    calls = small.calls.copy()
    calls[np.random.default_rng(1).random(calls.shape[:2]) < 0.05] = -1
    holes = Genotypes(calls, small.variants, small.samples, small.labels, phased=False)
    with patch.object(disclosure, "attack", wraps=disclosure.attack) as attack:
        model = pgcgan.PGcGAN("super_pop", seed=1, calibrate=False, sharpening=1.0).fit(holes)
    assert attack.called == (model.facts()["chosen"]["carriers of a run"] > 0)  # 0: no runs worth following
    assert model.sample(20, seed=1).n_samples == 20
