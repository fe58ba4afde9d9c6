"""Relatives: who is one, families in a split, and the warnings of train and evaluate."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pgcgan import cli, read_parents, read_split
from pgcgan.families import families, related
from pgcgan.genotypes import Genotypes, Variants
from pgcgan.io import write

# two trios with a second child, a grandchild, siblings whose parents are not in the table, and people by themselves
PARENTS = {
    "f1": [], "m1": [], "c1": ["f1", "m1"], "d1": ["f1", "m1"], "g1": ["c1"],
    "f2": [], "m2": [], "c2": ["f2", "m2"],
    "s1": ["x", "y"], "s2": ["x"], "s3": ["y"],
} | {f"u{i}": [] for i in range(29)}  # fmt: skip


def cohort(folder: Path) -> Genotypes:
    """Write the people, and a pedigree file of them, into a folder."""
    names = list(PARENTS)
    calls = np.random.default_rng(0).integers(0, 2, (40, len(names), 2), dtype=np.int8)
    sites = Variants(["6"] * 40, range(10, 50), ["."] * 40, ["A"] * 40, ["C"] * 40)
    people = Genotypes(calls, sites, names, {"super_pop": ["EUR"] * len(names)})
    write(people, folder / "x.vcf.gz")
    lines = ["Family ID\tIndividual ID\tPaternal ID\tMaternal ID\tGender\tPopulation"]
    for name, parents in PARENTS.items():
        lines.append("\t".join([name, name, *[*parents, "0", "0"][:2], "1", "GBR"]))
    (folder / "x.ped").write_text("\n".join(lines) + "\n")
    return people


def test_families_are_those_whom_parents_connect():
    family = families(PARENTS)
    sizes = Counter(Counter(family.values()).values())
    assert sizes == {5: 1, 3: 2, 1: 29}
    assert len({family[name] for name in ("s1", "s2", "s3")}) == 1
    assert len({family[name] for name in ("f1", "m1", "c1", "d1", "g1")}) == 1
    assert family["c1"] != family["c2"]


def test_relatives_share_an_ancestor_or_descend_from_each_other():
    assert related(PARENTS, ["c1"], ["d1"]) == ["c1"]
    assert related(PARENTS, ["g1", "c2"], ["f1"]) == ["g1"]
    assert related(PARENTS, ["f1"], ["g1", "u0"]) == ["f1"]
    assert related(PARENTS, ["m1"], ["f1"]) == []  # parents of one child are not relatives
    assert related(PARENTS, ["s2"], ["s3"]) == [] and related(PARENTS, ["s2", "s3"], ["s1"]) == ["s2", "s3"]
    assert related({"a": ["b"], "b": ["a"]}, ["a"], ["b"]) == ["a"]  # a circle ends


@pytest.mark.parametrize("seed", range(5))
def test_a_split_keeps_families_together(tmp_path, monkeypatch, capsys, seed):
    monkeypatch.chdir(tmp_path)
    people = cohort(tmp_path)
    assert cli.main(f"split x.ped -o s.tsv --share 0.75 --seed {seed}".split()) == 0
    assert "3 families (11 people)" in capsys.readouterr().err
    part = read_split("s.tsv")
    assert list(part) == list(PARENTS)
    assert not related(PARENTS, [n for n in part if part[n] == "test"], [n for n in part if part[n] == "train"])
    assert list(part.values()).count("train") == 30
    first, second = people.split(0.75, seed=seed, parents=read_parents("x.ped"))
    assert not related(PARENTS, first.samples, second.samples) and first.n_samples == 30


def test_a_table_of_parents_alone_is_split(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.tsv").write_text("sample\tfather\n" + "".join(f"a{i}\tf{i // 2}\n" for i in range(20)))
    assert cli.main("split p.tsv -o s.tsv".split()) == 0
    part = read_split("s.tsv")
    assert all(part[f"a{i}"] == part[f"a{i + 1}"] for i in range(0, 20, 2)) and list(part.values()).count("train") == 16


def test_split_auto_is_the_same_for_train_and_evaluate(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    cohort(tmp_path)
    assert cli.main("train x.vcf.gz --panel x.ped --split auto --model independent -o m --seed 3".split()) == 0
    assert "relatives" not in capsys.readouterr().err
    trained = json.loads(Path("m/model.json").read_text())["label_counts"]
    assert trained == {"EUR": 32}
    assert cli.main("split x.ped -o s.tsv".split()) == 0
    assert list(read_split("s.tsv").values()).count("train") == 32
    assert cli.main("generate m --like x.ped --split auto -o y.vcf.gz".split()) == 0
    command = "evaluate --real x.vcf.gz --panel x.ped --synthetic y.vcf.gz --json -"
    for split in ("auto", "s.tsv"):
        capsys.readouterr()
        assert cli.main([*command.split(), "--split", split]) == 0
        provenance = json.loads(capsys.readouterr().out)["provenance"]
        assert provenance["people"]["holdout"]["given"] == 8 and provenance["people"]["train"]["given"] == 32


def test_relatives_on_both_sides_are_counted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    cohort(tmp_path)
    held_out = ["c1", "m2", "s3", "u0", "u1", "u2"]
    rows = "".join(f"{name}\t{'test' if name in held_out else 'train'}\n" for name in PARENTS)
    (tmp_path / "s.tsv").write_text("sample\tsplit\n" + rows)
    assert (
        cli.main("train x.vcf.gz --panel x.ped --label Population --split s.tsv --model independent -o m".split()) == 0
    )
    assert "3 of the 6 held-out people have relatives" in capsys.readouterr().err
    assert cli.main("generate m -n 30 -o y.vcf.gz".split()) == 0
    command = "evaluate --real x.vcf.gz --panel x.ped --label Population --split s.tsv --synthetic y.vcf.gz"
    assert cli.main(command.split()) == 0
    shown = capsys.readouterr()
    assert "3 of the 6 held-out people have relatives" in shown.err
    assert "3 of the 6 held-out people have relatives" in shown.out
    # without parents in the panel nobody is known to be a relative
    assert cli.main("train x.vcf.gz --panel x.panel.tsv --split s.tsv --model independent -o n".split()) == 0
    assert "relatives" not in capsys.readouterr().err
