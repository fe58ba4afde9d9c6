"""The haplotype model from genotypes to genotypes: what it learns, and what its parameters turn on and off."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from handmade import small

from pgcgan import Genotypes, HaplotypeModel
from pgcgan.errors import DataError, ModelError, UsageError
from pgcgan.generators.haplotype.blocks import find_blocks, principal_components
from pgcgan.generators.haplotype.person_ancestry import KnownAncestry
from pgcgan.generators.store import read_arrays

QUICK: dict[str, Any] = {"run_carriers": 4, "inverse_temperature": 1.0, "seed": 1}


@pytest.fixture(scope="module")
def train(cohort: Genotypes) -> Genotypes:
    return cohort.select(sites=slice(0, 60))


@pytest.fixture(scope="module")
def model(train: Genotypes) -> HaplotypeModel:
    return HaplotypeModel(**QUICK).fit(train)


# ---- what is learned ----------------------------------------------------------------------------------------------


def test_unlinked_sites_have_the_frequencies_of_their_label() -> None:
    random = np.random.default_rng(2)
    frequency = random.uniform(0.05, 0.95, size=(3, 24))
    label = np.repeat([0, 1, 2], [200, 150, 50])
    calls = (random.random((24, 400, 2)) < frequency[label].T[:, :, None]).astype(np.int8)
    train = small(calls, labels={"super_pop": np.array(["A", "B", "C"])[label].tolist()})
    people = HaplotypeModel(**QUICK).fit(train).sample({"A": 1500, "B": 1500, "C": 1500}, seed=0)
    for name in "ABC":
        own = train.select(samples=train.label("super_pop") == name).allele_frequency()
        synthetic = people.select(samples=people.label("super_pop") == name).allele_frequency()
        assert np.corrcoef(own, synthetic)[0, 1] > 0.98
        assert np.sqrt(np.mean((own - synthetic) ** 2)) < 0.05
        # and not those of the other labels
        others = train.select(samples=train.label("super_pop") != name).allele_frequency()
        assert np.corrcoef(others, synthetic)[0, 1] < 0.6


def test_linked_sites_have_the_linkage_of_their_neighbours(model: HaplotypeModel, train: Genotypes) -> None:
    real, synthetic = (np.corrcoef(people.haplotypes().T) for people in (train, model.sample(1000, seed=0)))
    near = np.arange(train.n_variants - 1)
    r2 = [r[near, near + 1] ** 2 for r in (real, synthetic)]
    assert np.corrcoef(*r2)[0, 1] > 0.95


def test_no_block_crosses_a_contig(train: Genotypes) -> None:
    contig = np.repeat(["1", "2"], 30).astype(object)
    variants = replace(train.variants, contig=contig, contig_lengths={})
    fitted = HaplotypeModel(**QUICK).fit(replace(train, variants=variants))
    assert 30 in fitted.blocks_.edges
    assert fitted.sample(3, seed=0).variants.equals(variants)


def test_labels_of_one_person_are_not_learned(train: Genotypes) -> None:
    labels = train.label("super_pop").copy()
    labels[[3, 7]] = ["MARS", "VENUS"]
    with pytest.raises(DataError, match=r"single person.*: MARS, VENUS;"):
        HaplotypeModel().fit(replace(train, labels={"super_pop": labels}))


def test_principal_components_are_those_of_the_exact_decomposition(
    train: Genotypes, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = train.haplotypes()
    blocks = find_blocks(rows, np.repeat(np.arange(150), 2))
    codes = blocks.encode(rows).astype(np.int64)
    expected = np.hstack([emission[codes[:, b], :, 1] for b, emission in enumerate(blocks.emission)])
    centre, axes, scores = principal_components(blocks, codes)
    assert np.allclose(centre, expected.mean(axis=0), atol=1e-5)
    assert np.allclose(scores, (expected - centre) @ axes.T, atol=1e-3)
    exact = np.linalg.svd(expected - expected.mean(axis=0), full_matrices=False)[2]
    assert np.allclose(np.abs((axes[:5] * exact[:5]).sum(axis=1)), 1, atol=1e-3)
    # of larger data, every second block or less
    monkeypatch.setattr("pgcgan.generators.haplotype.blocks._COMPONENT_BYTES", 4 * 300 * 40)
    _, axes, _ = principal_components(blocks, codes)
    used = [bool(axes[:, a:b].any()) for a, b in zip(blocks.edges, blocks.edges[1:], strict=False)]
    assert used == [b % 2 == 0 for b in range(len(blocks))]


# ---- parameters ---------------------------------------------------------------------------------------------------


def test_what_is_turned_off_is_not_there(train: Genotypes) -> None:
    plain = {"context_tree": False, "local_ancestry": False, "group_labels": False}
    plain |= {"calibrate": False, "inverse_temperature": 1.25}
    fitted = HaplotypeModel(seed=1, **plain).fit(train)
    assert not any(fitted.code_model_.context_tree.runs)
    assert np.array_equal(fitted.code_model_.admixture.proportions, np.eye(5))
    assert not any(bias.any() for bias in fitted.sampler_.label_bias)
    assert fitted.sampler_.inverse_temperature == 1.25
    assert fitted.facts()["chosen"]["carriers of a run"] == 0


def test_templates_and_blocks_have_the_sizes_given(train: Genotypes) -> None:
    fitted = HaplotypeModel(**QUICK, max_sites=7, max_codes=6, min_carriers=10, calibrate=False).fit(train)
    assert np.diff(fitted.blocks_.edges).max() <= 7
    assert max(fitted.blocks_.sizes) <= 6
    rows, person = train.haplotypes(), np.repeat(np.arange(150), 2)
    for left, right, templates in zip(
        fitted.blocks_.edges, fitted.blocks_.edges[1:], fitted.blocks_.templates, strict=False
    ):
        for template in templates:
            assert len(np.unique(person[(rows[:, left:right] == template).all(axis=1)])) >= 10


def test_rare_variants_leave_the_haplotype_of_their_carrier_and_keep_their_frequency() -> None:
    # two templates of 30 and 10 rows; site 3 differs in one row of the first, site 5 in 8 rows of the second
    rows = np.zeros((40, 6), dtype=np.int8)
    rows[30:, :3] = 1
    rows[0, 3] = 1
    rows[30:38, 5] = 1
    person = np.arange(40)
    own = find_blocks(rows, person, min_carriers=2, coverage=0.5, min_deviations=1)
    shared = find_blocks(rows, person, min_carriers=2, coverage=0.5, min_deviations=2)
    assert len(own) == len(shared) == 1
    assert [t.tolist() for t in own.templates] == [t.tolist() for t in shared.templates]
    carrier, other = own.encode(rows)[[0, 20], 0]
    np.testing.assert_array_equal(own.encode(rows), shared.encode(rows))
    assert carrier == other
    counts = np.bincount(own.encode(rows)[:, 0], minlength=len(own.templates[0]))
    # every haplotype that the variant's carrier does not have has it as often as the carrier's
    np.testing.assert_allclose(shared.emission[0][:, 3, 1], 1 / 40)
    np.testing.assert_allclose(own.emission[0][carrier, 3, 1], 1 / counts[carrier])
    for blocks in (own, shared):
        np.testing.assert_allclose(counts @ blocks.emission[0][:, :, 1], rows.sum(axis=0), rtol=1e-5)


def test_a_transition_of_few_haplotypes_is_forgotten(train: Genotypes) -> None:
    common = HaplotypeModel(seed=1, min_transitions=8, calibrate=False).fit(train).code_model_
    every = HaplotypeModel(seed=1, calibrate=False).fit(train).code_model_
    forgotten = 0
    for b, (kept, all_of_them) in enumerate(
        zip(common.chain.pooled_transition_counts, every.chain.pooled_transition_counts, strict=True)
    ):
        assert kept[kept > 0].tolist() == all_of_them[kept > 0].tolist(), b
        forgotten += int(((kept == 0) & (all_of_them > 0)).sum())
        assert (all_of_them[kept == 0] < 8).all()
    assert forgotten
    counts = [of.count for lengths in common.context_tree.runs for of in lengths.values()]
    assert all((count[count > 0] >= 8).all() for count in counts)


def test_calibration_meets_the_frequencies_of_the_labels(model: HaplotypeModel, train: Genotypes) -> None:
    assert any(bias.any() for bias in model.sampler_.label_bias)
    label = np.repeat(np.arange(5), 2000)
    codes = model.sampler_.draw(label, np.random.default_rng(1))
    errors = [
        np.bincount(codes[label == k, b], minlength=size) / 2000 - model.code_model_.label_frequency(b)[k]
        for b, size in enumerate(model.blocks_.sizes)
        for k in range(5)
    ]
    assert np.sqrt(np.mean(np.concatenate(errors) ** 2)) < 0.01


def test_the_temperature_is_chosen_from_training_people(train: Genotypes) -> None:
    fitted = HaplotypeModel(run_carriers=4, seed=1).fit(train)
    chosen = fitted.facts()["chosen"]
    assert 1 <= chosen["inverse temperature"] <= 1.3
    assert chosen["blocks"] == len(fitted.blocks_)
    assert chosen["codes"] == sum(fitted.blocks_.sizes)
    assert chosen["carriers of a run"] == 4
    assert chosen["axes of ancestry"] == fitted.code_model_.ancestry.axes


def test_the_model_does_not_depend_on_the_number_of_cores(train: Genotypes, monkeypatch: pytest.MonkeyPatch) -> None:
    few = train.select(sites=slice(0, 40))
    stored = []
    for cores in ({0}, {0, 1, 2, 3}):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, cores=cores: cores, raising=False)
        stored.append({name: a.tobytes() for name, a in HaplotypeModel(seed=1).fit(few)._arrays().items()})
    assert stored[0] == stored[1]


def test_progress_is_reported(train: Genotypes) -> None:
    events = list[dict[str, Any]]()
    HaplotypeModel(**QUICK).fit(train, on_event=events.append)
    fractions = [event["fraction"] for event in events]
    assert fractions == sorted(fractions)
    assert (len(set(fractions)), fractions[-1]) == (4, 1.0)
    assert all(event["stage"] for event in events)


# ---- drawing people with an ancestry, or behind other sites --------------------------------------------------------


def test_drawn_people_go_on_from_the_alleles_of_an_overlap(train: Genotypes) -> None:
    fitted = HaplotypeModel(**QUICK, calibrate=False).fit(train, overlap=30)
    assert 30 in fitted.blocks_.edges
    label = np.repeat(np.arange(5), 30)
    # the training people themselves, in the order of their labels
    people = train.select(samples=np.argsort(np.searchsorted(sorted(model_labels(train)), train.label("super_pop"))))
    calls = fitted.draw(label, np.random.default_rng(1), left=people.calls[:30])
    assert calls.shape == (60, 150, 2)
    count = int(np.searchsorted(fitted.blocks_.edges, 30))
    left = fitted.blocks_.first(count).encode(people.calls[:30].reshape(30, -1).T)
    codes = fitted._encode(people.calls[:30]).reshape(-1, count)
    assert np.array_equal(codes, left)
    # what they are drawn with is what they had: alleles agree but for those that a code does not settle
    assert (calls[:30] == people.calls[:30]).mean() > 0.97
    # and the first site behind the overlap is linked to the last one before it
    real, drawn = (np.corrcoef(x[[29, 30]].reshape(2, -1))[0, 1] for x in (people.calls, calls))
    assert drawn == pytest.approx(real, abs=0.15)
    with pytest.raises(ModelError, match="overlap of 29 sites"):
        fitted.draw(label, np.random.default_rng(1), left=people.calls[:29])


def model_labels(people: Genotypes) -> set[str]:
    return set(people.label("super_pop").tolist())


def test_people_of_a_known_ancestry_have_the_alleles_that_go_with_it() -> None:
    random = np.random.default_rng(3)
    z = random.standard_normal((500, 1))
    logits = np.linspace(-2, 2, 20) * z
    calls = (random.random((20, 500, 2)) < 1 / (1 + np.exp(-logits.T[:, :, None]))).astype(np.int8)
    train = small(calls, labels={"super_pop": ["A"] * 500})
    known = KnownAncestry(z, np.ones((1, 1, 1), np.float32))
    fitted = HaplotypeModel(**QUICK).fit(train, ancestry=known)
    assert fitted.code_model_.ancestry.axes == 1
    high, low = (
        fitted.draw(np.zeros(2000, int), np.random.default_rng(1), ancestry=np.full((2000, 1), value, np.float32))
        for value in (1.5, -1.5)
    )
    contrast = high.mean(axis=(1, 2)) - low.mean(axis=(1, 2))
    expected = np.tanh(1.5 * np.linspace(-2, 2, 20) / 2)  # of two logistic functions
    # less, because a site also goes with the site before
    assert np.corrcoef(contrast, expected)[0, 1] > 0.98
    assert 0.7 < np.polyfit(expected, contrast, 1)[0] < 1.05


# ---- a directory that asks for too much memory ---------------------------------------------------------------------


def test_a_chain_that_memory_cannot_hold_is_refused(
    model: HaplotypeModel, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = model.save(tmp_path / "m")
    sizes = model.blocks_.sizes
    needed = 2 * 4 * 5 * sum(a * b for a, b in zip([1, *sizes], sizes, strict=False))
    monkeypatch.setattr("pgcgan.generators.haplotype.model.available_bytes", lambda: needed - 1)
    with pytest.raises(ModelError, match="GB of memory"):
        HaplotypeModel.load(target)
    for available in (needed, None):
        monkeypatch.setattr("pgcgan.generators.haplotype.model.available_bytes", lambda available=available: available)
        assert HaplotypeModel.load(target).is_fitted
    assert sum(array.nbytes for array in read_arrays(target / "arrays.safetensors").values()) < 2_000_000


def test_parameters_are_checked_before_anything_is_learned(train: Genotypes) -> None:
    model = HaplotypeModel(max_codes=0)
    with pytest.raises(UsageError, match="max_codes is 0; accepted: 1 to 32767"):
        model.fit(train)
    assert not model.is_fitted
    with pytest.raises(UsageError, match="max_codes is 0"):
        model.estimate(train)
