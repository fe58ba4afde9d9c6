"""How many carriers a target for the membership attack needs: against generators whose leak is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pgcgan import Genotypes, HaplotypeModel, load
from pgcgan.errors import DataError, UsageError
from pgcgan.generators.haplotype.carriers import choose_carriers, informed_auc
from pgcgan.generators.rows import Rows, rows_of
from pgcgan.simulation import simulate


@pytest.fixture(scope="module")
def people() -> Genotypes:
    return simulate(400, length=60_000, seed=5).select(min_maf=0.02)


@pytest.fixture(scope="module")
def rows(people: Genotypes) -> Rows:
    return rows_of(people.select(samples=people.samples[::2]), ("super_pop",))


@pytest.fixture(scope="module")
def strangers(people: Genotypes) -> np.ndarray:
    """Return haplotypes of people that no generator here is fitted to."""
    return people.select(samples=people.samples[1::2]).haplotypes()


@pytest.mark.parametrize("threshold", [1, 3, 10, 40])
def test_the_fewest_carriers_that_meet_the_target_are_found(rows: Rows, strangers: np.ndarray, threshold: int) -> None:
    tried = []

    def synthesise(members: Rows, carriers: int) -> np.ndarray:
        tried.append(carriers)
        return members.states if carriers < threshold else strangers[: len(members.states)]

    chosen, auc = choose_carriers(rows, 1, 0.75, synthesise, seed=1)
    assert chosen >= threshold and auc <= 0.75
    assert not [carriers for carriers in tried if threshold <= carriers < chosen]


def test_the_attack_tells_copies_from_strangers(rows: Rows, people: Genotypes) -> None:
    others = rows_of(people.select(samples=people.samples[1::2]), ("super_pop",))
    assert informed_auc(rows, others, rows.states, seed=1) > 0.8


def test_a_target_that_cannot_be_met_is_refused(rows: Rows) -> None:
    with pytest.raises(DataError, match="0.55"):
        choose_carriers(rows, 3, 0.55, lambda members, carriers: members.states, seed=1)
    few = HaplotypeModel(private=0.6)
    with pytest.raises(DataError, match="12 people"):
        few.fit(simulate(12, length=60_000, seed=5).select(min_maf=0.1))
    with pytest.raises(UsageError, match=r"private is 1\.5"):
        HaplotypeModel(private=1.5).check_parameters()


def test_a_model_with_a_target_keeps_nothing_that_fewer_people_carry(
    people: Genotypes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgcgan.generators.haplotype.model.choose_carriers", lambda *_: (9, 0.5712))
    train = people.select(samples=people.samples[::2])
    model = HaplotypeModel(private=0.6, local_ancestry=False, run_carriers=9, seed=1).fit(train)
    assert (model.min_carriers, model.min_carriers_) == (3, 9)
    haplotypes, person = train.haplotypes(), np.repeat(np.arange(train.n_samples), 2)
    for left, right, templates in zip(
        model.blocks_.edges, model.blocks_.edges[1:], model.blocks_.templates, strict=False
    ):
        for template in templates:
            carriers = np.unique(person[(haplotypes[:, left:right] == template).all(axis=1)])
            assert len(carriers) >= 9 or len(templates) == 1
    codes = model.blocks_.encode(haplotypes)
    for b, counts in enumerate(model.code_model_.chain.pooled_transition_counts[1:], start=1):
        for before, after in np.argwhere(counts):
            assert ((codes[:, b - 1] == before) & (codes[:, b] == after)).sum() >= 9
    model.save(tmp_path / "model")
    facts = load(tmp_path / "model").facts()
    assert facts["chosen"]["carriers of a template"] == 9
    assert facts["attack on left-out training people"] == {"target": 0.6, "AUC": 0.5712, "carriers": 9}
    card = (tmp_path / "model" / "MODEL_CARD.md").read_text()
    assert "--private 0.6: counts rest on at least 9 people" in card and "reached an AUC of 0.57" in card
