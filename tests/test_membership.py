"""How many people must carry a run: the attack against copies and fresh rows, and the choice that follows from it."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest

import pgcgan
from pgcgan.generators.haplotype import HaplotypeModel, carriers
from pgcgan.generators.haplotype.blocks import Blocks, find_blocks
from pgcgan.generators.haplotype.carriers import choose_run_carriers, least_carriers, nearest_auc
from pgcgan.generators.haplotype.code_model import CodeModel
from pgcgan.generators.haplotype.code_rows import CodeRows
from pgcgan.generators.haplotype.fitting import fit_code_model
from pgcgan.generators.rows import Rows
from pgcgan.genotypes import Genotypes, Variants

pytestmark = pytest.mark.filterwarnings("error")
LEAST = 3


def rows_of_people(states: np.ndarray) -> Rows:
    """Return haplotypes (two a person, one label) as rows."""
    people, sites = len(states) // 2, states.shape[1]
    variants = Variants(["1"] * sites, range(1, sites + 1), ["."] * sites, ["A"] * sites, ["G"] * sites)
    return Rows(states, np.zeros(people, dtype=np.int64), ("A",), 2, 2, variants)


def related(people: int, copies: int, seed: int, sites: int = 600) -> Rows:
    """Return rows of people in families whose rows are alike but for a few sites."""
    random = np.random.default_rng(seed)
    founders = random.random((-(-2 * people // copies), sites)) < random.beta(0.6, 0.6, sites)
    states = np.repeat(founders, copies, axis=0)[random.permutation(2 * people)].astype(np.int8)
    states ^= (random.random(states.shape) < 0.004).astype(np.int8)
    return rows_of_people(states)


def fitted(rows: Rows) -> tuple[CodeModel, Blocks, Rows, CodeRows]:
    """Return what the attack takes: code model, blocks, rows and codes."""
    blocks = find_blocks(rows.states, rows.row_person, min_carriers=LEAST, label=rows.row_label, max_sites=16)
    coded = CodeRows.of(rows, blocks)
    return fit_code_model(coded, LEAST), blocks, rows, coded


def test_runs_that_few_carry_give_more_away() -> None:
    attacked = fitted(related(100, 5, 1, sites=300))
    few, many = (nearest_auc(*attacked, enough, seed=1) for enough in (2, 30))
    # with 30 carriers no run is left: each family has five rows
    assert few > many + 0.02


def test_the_attack_fails_where_everybody_has_one_of_a_few_haplotypes() -> None:
    """All of them are drawn in every turn: every distance is 0, and the attack says 0.5."""
    random = np.random.default_rng(3)
    haplotypes = (random.random((5, 80)) < 0.5).astype(np.int8)
    attacked = fitted(rows_of_people(haplotypes[random.integers(5, size=400)]))
    assert nearest_auc(*attacked, LEAST, seed=1) == pytest.approx(0.5, abs=0.01)
    assert choose_run_carriers(*attacked, LEAST, seed=1) == LEAST


@pytest.mark.parametrize(
    ("aucs", "chosen"),
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
def test_the_least_number_at_which_the_attack_fails(aucs: list[float], chosen: int) -> None:
    attacked = fitted(related(20, 4, 1, sites=60))
    with patch.object(carriers, "nearest_auc", side_effect=aucs) as attack:
        assert choose_run_carriers(*attacked, least_carriers(LEAST)) == chosen
    assert [call.args[-2] for call in attack.call_args_list] == [4, 6, 8, 13][: len(aucs)]


def test_each_person_is_left_out_as_often_as_any_other() -> None:
    attacked = fitted(related(30, 5, 2, sites=200))
    counted: list[np.ndarray] = []
    scored: list[tuple[np.ndarray, np.ndarray]] = []
    count_code_model, roc_auc = carriers.count_code_model, carriers.roc_auc
    codes = attacked[3].codes

    def count(some: CodeRows, *rest: object, **more: object) -> object:
        counted.append(some.codes)
        return count_code_model(some, *rest, **more)  # type: ignore[arg-type]

    def score(members: np.ndarray, others: np.ndarray) -> float:
        scored.append((members, others))
        return roc_auc(members, others)

    with patch.object(carriers, "count_code_model", count), patch.object(carriers, "roc_auc", score):
        nearest_auc(*attacked, LEAST, seed=1)
    rounds = len(counted) // 4
    assert rounds >= 1
    assert len(counted) == 4 * rounds
    # three quarters of the rows are counted in each turn, and each code in three turns of four
    assert sum(map(len, counted)) == 3 * rounds * len(codes)
    for b in range(codes.shape[1]):
        together = np.bincount(np.concatenate(counted)[:, b], minlength=codes[:, b].max() + 1)
        assert np.array_equal(together, 3 * rounds * np.bincount(codes[:, b]))
    ((members, others),) = scored
    assert (len(members), len(others)) == (3 * rounds * len(codes), rounds * len(codes))


def test_of_large_cohorts_and_many_blocks_a_part_is_attacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carriers, "_PEOPLE", 40)
    monkeypatch.setattr(carriers, "_BLOCKS", 5)
    monkeypatch.setattr(carriers, "_SITES", 20)
    attacked = fitted(related(100, 5, 4, sites=200))
    assert len(attacked[1]) > 5
    assert 0.3 < nearest_auc(*attacked, LEAST, seed=1) < 0.8
    assert nearest_auc(*attacked, LEAST, seed=1) == nearest_auc(*attacked, LEAST, seed=1)


@pytest.fixture(scope="module")
def small() -> Genotypes:
    return pgcgan.simulate(200, length=120_000, seed=5).select(min_maf=0.02)


def test_a_model_reports_how_many_carriers_it_takes(small: Genotypes) -> None:
    plain = {"seed": 1, "calibrate": False, "inverse_temperature": 1.0}
    chosen = HaplotypeModel(**plain).fit(small).facts()["chosen"]
    assert chosen["carriers of a run"] in (4, 6, 8, 13)
    given = HaplotypeModel(**plain, run_carriers=7).fit(small).facts()["chosen"]
    assert given["carriers of a run"] == 7


def test_people_without_phase_and_with_missing_calls_are_attacked_too(small: Genotypes) -> None:
    small = small.select(sites=slice(0, 60))
    calls = small.calls.copy()
    calls[np.random.default_rng(1).random(calls.shape[:2]) < 0.05] = -1
    holes = Genotypes(calls, small.variants, small.samples, small.labels, phased=False)
    with patch.object(carriers, "nearest_auc", wraps=nearest_auc) as attack:
        model = HaplotypeModel(seed=1, calibrate=False, inverse_temperature=1.0).fit(holes)
    assert attack.called == (model.facts()["chosen"]["carriers of a run"] > 0)  # 0: no runs worth following
    assert model.sample(20, seed=1).n_samples == 20
