"""Mutually exclusive sites: alleles of a gene, and the ALTs of one position, as a haplotype can have them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pgcgan import Genotypes, HaplotypeModel, simulate
from pgcgan.generators.haplotype.blocks import Blocks
from pgcgan.generators.haplotype.exclusive_sites import SCHEMA, ExclusiveSites
from pgcgan.generators.rows import Rows
from pgcgan.generators.store import check_arrays
from pgcgan.genotypes import Variants


def test_a_pattern_has_the_probability_of_independent_sites_given_that_they_make_one() -> None:
    p = np.array([[0.5, 0.3, 0.1], [0.05, 0.9, 0.6]])
    edges, emission = np.array([0, 2, 3]), np.stack([1 - p, p], axis=2).astype(np.float32)
    blocks = Blocks(edges, [np.zeros((2, 2), np.int8), np.zeros((2, 1), np.int8)], [emission[:, :2], emission[:, 2:]])
    patterns = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1]], dtype=np.int8)
    exclusive = ExclusiveSites([np.arange(3)], [patterns])
    generator = np.random.default_rng(1)
    codes = np.tile(np.repeat([0, 1], 40_000)[:, None], (1, 2))
    drawn = exclusive.resample(blocks.decode(codes, generator), codes, blocks, generator)
    for code in (0, 1):
        apart = np.prod(np.where(patterns == 1, p[code], 1 - p[code]), axis=1)
        of_code = drawn[codes[:, 0] == code]
        frequency = (of_code[:, None] == patterns).all(axis=2).mean(axis=0)
        assert frequency.sum() == pytest.approx(1)
        assert np.allclose(frequency, apart / apart.sum(), atol=0.012)  # 4 standard errors


def cohort() -> tuple[Genotypes, list[np.ndarray]]:
    """Return people with an HLA gene of five alleles at two resolutions, and a position with two ALTs."""
    people = simulate(150, length=60_000, seed=3).select(min_maf=0.02)
    at = people.n_variants // 2
    own = people.calls[at - 3 : at].reshape(3, -1).T @ np.array([1, 2, 4])  # alleles go with the haplotypes around
    allele = np.minimum(own, 4)
    four = (allele == np.arange(5)[:, None]).astype(np.int8)
    two = np.stack([four[0] | four[1], four[2], four[3] | four[4]])
    both = np.stack([own == 1, own == 2]).astype(np.int8)
    added = np.concatenate([four, two, both]).reshape(10, people.n_samples, 2)
    v, base = people.variants, int(people.variants.position[at - 1])
    names = [*(f"HLA_B_{k:04d}" for k in range(5)), *(f"HLA_B_{k:02d}" for k in range(3)), "rs1", "rs2"]
    position = [*range(base, base + 8), base + 8, base + 8]
    v = Variants(
        np.insert(v.contig, [at] * 10, v.contig[0]),
        np.insert(np.where(np.arange(len(v)) >= at, v.position + 20, v.position), [at] * 10, position),
        np.insert(v.id, [at] * 10, names),
        np.insert(v.ref, [at] * 10, ["A"] * 10),
        np.insert(v.alt, [at] * 10, ["T"] * 9 + ["G"]),
    )
    people = replace(people, variants=v, calls=np.insert(people.calls, [at] * 10, added, axis=0))
    return people, [np.arange(at, at + 8), np.arange(at + 8, at + 10)]


def test_generated_haplotypes_carry_one_allele_of_a_gene_and_one_alt_of_a_position(tmp_path: Path) -> None:
    people, groups = cohort()
    model = HaplotypeModel(seed=1, run_carriers=4, inverse_temperature=1.0).fit(people)
    synthetic = model.sample(1500, seed=2)
    real = [{row.tobytes() for row in people.calls[sites].reshape(len(sites), -1).T} for sites in groups]
    for sites, patterns in zip(groups, real, strict=True):
        rows = synthetic.calls[sites].reshape(len(sites), -1).T
        assert {row.tobytes() for row in rows} == patterns
    assert (synthetic.calls[groups[0][:5]].sum(axis=0) == 1).all()
    assert (synthetic.calls[groups[1]].sum(axis=0) <= 1).all()
    assert np.abs(synthetic.allele_frequency() - people.allele_frequency())[np.concatenate(groups)].max() < 0.05
    model.save(tmp_path / "m")
    assert HaplotypeModel.load(tmp_path / "m").sample(1500, seed=2).equals(synthetic)


def rows_at(states: np.ndarray, contig: np.ndarray, position: np.ndarray, names: np.ndarray) -> Rows:
    sites, people = len(position), len(states)
    variants = Variants(contig, position, names, ["A"] * sites, [f"<{k}>" for k in range(sites)])
    return Rows(states, np.zeros(people, dtype=np.int64), ("A",), 1, 2, variants)


def test_groups_are_genes_and_positions() -> None:
    contig = np.array(["6"] * 6 + ["7"] * 2, dtype=object)
    position = np.array([5, 5, 6, 7, 8, 9, 9, 9])
    names = np.array(["a", "b", "HLA_A*01:01", "HLA_A*02:01", "HLA_DRB1_15", "c", "d", "e"], dtype=object)
    states = np.array([[0, 1, 1, 0, 1, 0, 0, 0], [1, 0, -1, 1, 0, 1, 1, 0], [0, 1, 0, 1, 1, 0, 0, 1]], dtype=np.int8)
    exclusive = ExclusiveSites.of(rows_at(states, contig, position, names))
    assert [sites.tolist() for sites in exclusive.sites] == [[2, 3], [0, 1], [6, 7]]
    assert [sorted(p.tolist()) for p in exclusive.patterns] == [
        [[0, 1], [1, 0]],
        [[0, 1], [1, 0]],
        [[0, 0], [0, 1], [1, 0]],
    ]
    apart = [0, 2, 4]
    none = ExclusiveSites.of(rows_at(states[:, apart], contig[apart], position[apart], names[apart])).arrays()
    check_arrays(none, SCHEMA)
    assert not any(array.size for array in none.values())
    assert ExclusiveSites.from_arrays(none, 3).sites == []


def test_broken_arrays_are_refused() -> None:
    good = ExclusiveSites([np.array([1, 2])], [np.eye(2, dtype=np.int8)]).arrays()
    check_arrays(good, SCHEMA)
    assert ExclusiveSites.from_arrays(good, 3).sites[0].tolist() == [1, 2]
    broken = {
        "sizes": (np.array([[2, 3]]), np.array([[2**31, 2**31]]), np.zeros((0, 2), np.int64), np.array([[1, 2]])),
        "sites": (np.array([1, 3]), np.array([1]), np.zeros(0, np.int64)),
        "patterns": (np.zeros(3, np.int8), np.zeros(0, np.int8)),
    }
    for name, arrays in broken.items():
        for array in arrays:
            with pytest.raises(ValueError, match="exclusive_sites"):
                ExclusiveSites.from_arrays({**good, f"exclusive_sites.{name}": array}, 3)
