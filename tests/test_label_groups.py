"""Groups of labels: which labels are counted together, and that each keeps its own frequencies."""

import allel
import numpy as np
import pytest

from pgcgan import Genotypes, HaplotypeModel
from pgcgan.generators.haplotype.code_model import CodeModel
from pgcgan.generators.haplotype.code_rows import CodeRows
from pgcgan.generators.haplotype.fitting import FEW_PEOPLE, MOST_FST, find_groups, fit_code_model, fst_of_labels


def counts_of(frequency: np.ndarray, rows: int, blocks: int = 30) -> list[np.ndarray]:
    """Return counts (labels, 2 codes) of so many blocks, given the frequencies of code 1: (labels, blocks)."""
    return [np.stack([rows * (1 - f), rows * f], axis=1).round().astype(np.float32) for f in frequency.T[:blocks]]


def test_distances_are_hudson_fst_of_scikit_allel() -> None:
    random = np.random.default_rng(1)
    counts = counts_of(random.uniform(0.1, 0.9, (3, 30)), 120)
    fst = fst_of_labels(counts)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        numerator, denominator = allel.hudson_fst(*(np.stack([c[k] for c in counts]).astype(int) for k in (i, j)))
        assert fst[i, j] == pytest.approx(numerator.sum() / denominator.sum(), abs=1e-6)


def test_only_near_labels_with_few_people_are_grouped() -> None:
    base = np.random.default_rng(2).uniform(0.2, 0.8, 30)
    near = base + 0.02 * np.resize([1, -1], 30)
    far = np.where(base < 0.5, base + 0.4, base - 0.4)
    counts = counts_of(np.stack([base, near, far, base]), 400)
    assert fst_of_labels(counts)[0, 1] < MOST_FST < fst_of_labels(counts)[0, 2]
    people = np.array([50, 50, 50, FEW_PEOPLE])

    def fewer_is_better(group: np.ndarray) -> float:
        return float(group.max())

    assert find_groups(counts, people, fewer_is_better).tolist() == [0, 0, 1, 2]
    assert find_groups(counts, people, lambda group: -fewer_is_better(group)).tolist() == [0, 1, 2, 3]
    assert find_groups(counts, np.full(4, FEW_PEOPLE), fewer_is_better).tolist() == [0, 1, 2, 3]


def islands(people: int, seed: int, shift: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Return the codes of haplotypes copied from the same forty founders, in other shares in each of two labels."""
    random = np.random.default_rng(seed)
    founders = random.integers(6, size=(40, 12))
    label = np.repeat([0, 1], 2 * people)
    share = np.full(40, 1 / 40)
    shares = np.stack([share * (1 + shift * np.resize([1, -1], 40) * sign) for sign in (1, -1)])
    founder = np.array([random.choice(40, p=shares[k]) for k in label])
    moves = random.random((len(label), 12)) < 0.1
    codes = np.empty((len(label), 12), dtype=np.int64)
    for b in range(12):
        founder = np.where(moves[:, b], random.integers(40, size=len(label)), founder)
        codes[:, b] = founders[founder, b]
    return codes, label


def test_labels_that_copy_the_same_founders_share_their_runs() -> None:
    codes, label = islands(40, 3)
    person, sizes = np.arange(len(codes)) // 2, [6] * 12
    rows = CodeRows(codes, label, person, sizes, 2)
    model = fit_code_model(rows, 3)
    assert model.admixture.group.tolist() == [0, 0]
    for b in range(12):
        own = np.stack([np.bincount(codes[label == k, b], minlength=6) for k in (0, 1)]) / 80
        # nine tenths are the label's own
        assert np.abs(model.label_frequency(b) - own).max() <= 0.1 * np.abs(own[0] - own[1]).max() + 0.02
    again = CodeModel.from_arrays(model.arrays(), sizes, 2)
    assert all(np.array_equal(again.label_frequency(b), model.label_frequency(b)) for b in range(12))
    assert all(np.array_equal(a, b) for a, b in zip(again.chain.code_counts, model.chain.code_counts, strict=True))
    apart = fit_code_model(rows, 3, group_labels=False)
    assert apart.admixture.group.tolist() == [0, 1]


def test_synthetic_people_of_a_grouped_label_have_its_frequencies() -> None:
    random = np.random.default_rng(4)
    founders = random.integers(2, size=(40, 120)).astype(np.int8)
    haplotypes, labels = [], []
    for k in range(3):
        share = random.dirichlet(np.full(40, 5.0))
        for _ in range(60):
            at = np.sort(random.integers(120, size=2))
            for _ in range(2):
                a, b, c = random.choice(40, size=3, p=share)
                row = founders[a].copy()
                row[at[0] : at[1]] = founders[b, at[0] : at[1]]
                row[at[1] :] = founders[c, at[1] :]
                haplotypes.append(row)
            labels.append(f"L{k}")
    calls = np.stack(haplotypes).T.reshape(120, 180, 2)
    people = Genotypes.from_numpy(calls, labels={"pop": labels})
    model = HaplotypeModel("pop", seed=1).fit(people)
    assert model.facts()["chosen"]["groups of labels"] < 3
    synthetic = model.sample({"L0": 64, "L1": 64, "L2": 64}, seed=1)
    by_chance = np.sqrt(0.25 / 128)  # the standard deviation of a frequency among as many haplotypes
    for k in range(3):
        real = people.calls[:, people.labels["pop"] == f"L{k}"].mean(axis=(1, 2))
        made = synthetic.calls[:, synthetic.labels["pop"] == f"L{k}"].mean(axis=(1, 2))
        assert np.sqrt(((made - real) ** 2).mean()) < 0.7 * by_chance
