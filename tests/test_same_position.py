"""Variants of one position with the same alleles, told apart by their IDs, as in reference panels of HLA alleles."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

import pgcgan
from pgcgan import cli
from pgcgan.errors import DataError
from pgcgan.genotypes import Genotypes, Variants
from pgcgan.io import read, write
from pgcgan.variants import site_rows

IDS = ["rs1", "HLA_A_01", "HLA_A_02", "HLA_A_03", "AA_A_9_F", "AA_A_9_S", "rs2"]
SUFFIXES = [".vcf", ".vcf.gz", ".bcf", ".bed", ".pgen", ".npz", ".vcz", ".hap.gz"]


def hla(n: int = 60, seed: int = 0, order: list[int] | None = None) -> Genotypes:
    """Return people with one of three alleles a haplotype, and amino acids that follow from it, all at one position."""
    random = np.random.default_rng(seed)
    allele = random.integers(0, 3, (n, 2))
    calls = np.stack(
        [
            random.random((n, 2)) < 0.3,
            *(allele == k for k in range(3)),
            allele < 1,
            allele > 0,
            random.random((n, 2)) < 0.5,
        ]
    ).astype(np.int8)
    position = [100, *[200] * 5, 300]
    sites = Variants(["6"] * 7, position, IDS, ["C", *"AAAAA", "G"], ["T", *"PPPPP", "A"])
    people = Genotypes(calls, sites, [f"p{i}" for i in range(n)], {"super_pop": ["EUR", "AFR"] * (n // 2)})
    if order is None:
        return people
    return Genotypes(calls[order], sites.select(order), people.samples, people.labels)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_keeps_them_apart(tmp_path, suffix):
    people = hla(8)
    people = people if suffix != ".bed" else people.without_phase()
    write(people, tmp_path / f"x{suffix}")
    got = read(tmp_path / f"x{suffix}", tmp_path / "x.panel.tsv")
    assert got.variants.id.tolist() == IDS
    assert got.equals(people)
    part = read(tmp_path / f"x{suffix}", tmp_path / "x.panel.tsv", region="6:200", duplicates="drop")
    assert part.variants.id.tolist() == IDS[1:6] and np.array_equal(np.sort(part.calls), np.sort(people.calls[1:6]))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("second", ["HLA_A_01", "."])
def test_the_same_id_or_none_is_a_duplicate(tmp_path, suffix, second):
    people = hla(8)
    ids = [*IDS[:3], second, *IDS[4:]]
    v = people.variants
    people = Genotypes(people.calls, Variants(v.contig, v.position, ids, v.ref, v.alt), people.samples)
    write(people, tmp_path / f"x{suffix}", unphased=suffix == ".bed")
    with pytest.raises(DataError, match="6:200 A>P"):
        read(tmp_path / f"x{suffix}")
    kept = read(tmp_path / f"x{suffix}", duplicates="drop")
    assert kept.variants.id.tolist() == [*IDS[:3], *IDS[4:]]


@pytest.mark.oracle("plink2", "bcftools")
def test_other_tools_see_the_same_variants(tmp_path):
    people = hla(8)
    write(people, tmp_path / "x.vcf.gz")
    write(people, tmp_path / "x.pgen")
    write(people.without_phase(), tmp_path / "y.bed")
    query = ["bcftools", "query", "-f", "%ID[ %GT]\n", str(tmp_path / "x.vcf.gz")]
    rows = [
        line.split() for line in subprocess.run(query, check=True, capture_output=True, text=True).stdout.splitlines()
    ]
    assert [row[0] for row in rows] == IDS
    calls = [[list(map(int, call.split("|"))) for call in row[1:]] for row in rows]
    assert np.array_equal(calls, people.calls)
    for option, name in (("--pfile", "x"), ("--bfile", "y")):
        out = tmp_path / f"{name}.plink2"
        export = ["plink2", option, str(tmp_path / name), "--export", "A-transpose", "--out", str(out)]
        subprocess.run(export, check=True, capture_output=True)
        _, *lines = [line.split("\t") for line in out.with_suffix(".plink2.traw").read_text().splitlines()]
        assert [line[1] for line in lines] == IDS
        counted = np.array([[int(c) for c in line[6:]] for line in lines])
        dosages = people.dosages().T  # plink counts COUNTED, column 4
        alt = np.array([line[4] == people.variants.alt[i] for i, line in enumerate(lines)])
        assert np.array_equal(np.where(alt[:, None], counted, 2 - counted), dosages)


@pytest.mark.parametrize(
    "model",
    [
        pgcgan.IndependentSites(),
        pgcgan.LiStephens(),
        pgcgan.SMOTE(),
        pgcgan.PCAGaussian(components=3),
        pgcgan.HaplotypeModel(),
    ],
    ids=lambda m: m.name,
)
def test_they_are_trained_on_and_generated(tmp_path, model):
    people = hla(200)
    model.fit(people).save(tmp_path / "m")
    drawn = pgcgan.load(tmp_path / "m").sample(400, seed=1)
    assert drawn.variants.equals(people.variants)
    assert np.abs(drawn.allele_frequency() - people.allele_frequency()).max() < 0.1
    write(drawn, tmp_path / "s.bcf")
    assert read(tmp_path / "s.bcf", tmp_path / "s.panel.tsv").equals(drawn)
    if model.name == "haplotype":  # a haplotype has one allele of the gene, and its amino acids
        assert (drawn.calls[1:4].sum(axis=0) == 1).all()
        assert (drawn.calls[4] + drawn.calls[5] == 1).all()


def test_sites_are_matched_by_id_where_nothing_else_tells_them_apart():
    people, swapped = hla(), hla(order=[0, 3, 1, 5, 2, 4, 6])
    assert site_rows(people.variants, swapped.variants).tolist() == [0, 3, 1, 5, 2, 4, 6]
    other = people.variants.select([0, 2])
    other = Variants(other.contig, other.position, ["x", "HLA_A_02"], other.ref, other.alt)
    assert site_rows(people.variants, other).tolist() == [0, 2]  # an ID that differs does not matter elsewhere
    other = Variants(other.contig, other.position, ["x", "HLA_A_77"], other.ref, other.alt)
    assert site_rows(people.variants, other).tolist() == [0, -1]


def test_evaluate_compares_the_same_alleles(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    real, synthetic = hla(80), hla(80, seed=1, order=[0, 3, 1, 5, 2, 4, 6])
    expected = np.sqrt(np.mean((hla(80).allele_frequency() - hla(80, seed=1).allele_frequency()) ** 2))
    assert pgcgan.evaluate(real, synthetic).get("AF RMSE").value == pytest.approx(expected, abs=1e-9)
    write(real, "real.vcf.gz")
    write(Genotypes(synthetic.calls, synthetic.variants, [f"s{i}" for i in range(80)], synthetic.labels), "made.vcf.gz")
    command = "evaluate --real real.vcf.gz --panel real.panel.tsv --synthetic made.vcf.gz --json -"
    assert cli.main(command.split()) == 0
    rows = pgcgan.Evaluation.from_json(capsys.readouterr().out).rows
    rmse = next(r.value for r in rows if r.metric == "AF RMSE" and r.label == "all")
    assert rmse == pytest.approx(expected, abs=1e-9)
