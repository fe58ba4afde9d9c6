"""Panels, pedigree files, other tables, population maps and splits."""

from __future__ import annotations

import collections
import csv
import logging

import numpy as np
import pytest

from pgcgan import read, read_panel, read_split, write
from pgcgan.errors import DataError, UsageError
from pgcgan.genotypes import Genotypes, Variants
from pgcgan.io.panel import POPULATION_MAPS, THOUSAND_GENOMES

# As the 1000 Genomes Project publishes it: the header ends in two tabs, the rows do not.
PANEL = (
    "sample\tpop\tsuper_pop\tgender\t\t\nHG00096\tGBR\tEUR\tmale\nNA19625\tASW\tAFR\tfemale\nNA18525\tCHB\tEAS\tmale\n"
)
PED = (
    "Family ID\tIndividual ID\tPaternal ID\tMaternal ID\tGender\tPhenotype\tPopulation\tRelationship\tOther Comments\n"
    "HG00096\tHG00096\t0\t0\t1\t0\tGBR\tunrel\t0\n"
    '2357\tNA19625\t0\t0\t2\t0\tASW\tmother; "see notes"\t\n'
    "17967\tNA17967\t0\t0\t0\t0\tCHD\tunrel\n"
)
VCF = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tHG00096\tNA19625\tNA18525\n"
VCF += "6\t10\t.\tA\tC\t.\t.\t.\tGT\t0|1\t1|1\t0|0\n"


@pytest.fixture
def file(tmp_path):
    """Return a function that writes a text file and returns its path."""

    def make(text, name="panel.tsv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return make


@pytest.mark.parametrize("text", [PANEL, PANEL.replace("\t\t\n", "\n").replace("\t", "  ")], ids=["tabs", "blanks"])
def test_a_1000_genomes_panel(file, text):
    assert read_panel(file(text)) == {
        "pop": {"HG00096": "GBR", "NA19625": "ASW", "NA18525": "CHB"},
        "super_pop": {"HG00096": "EUR", "NA19625": "AFR", "NA18525": "EAS"},
        "gender": {"HG00096": "male", "NA19625": "female", "NA18525": "male"},
    }


def test_a_1000_genomes_pedigree_file(file):
    labels = read_panel(file(PED, "1000g.ped"))
    assert labels == {
        "gender": {"HG00096": "male", "NA19625": "female", "NA17967": "unknown"},
        "pop": {"HG00096": "GBR", "NA19625": "ASW", "NA17967": "CHD"},
        "super_pop": {"HG00096": "EUR", "NA19625": "AFR", "NA17967": "EAS"},
    }


@pytest.mark.parametrize("text", [PANEL, PED])
def test_the_map_of_the_paper(file, text):
    assert read_panel(file(text), "pg-cgan")["super_pop"]["NA19625"] == "AMR"
    assert read_panel(file(text), "1000g")["super_pop"]["NA19625"] == "AFR"


def test_the_maps_have_the_sizes_of_the_publications():
    sizes = collections.Counter(v for p, v in THOUSAND_GENOMES.items() if p != "CHD")
    assert sizes == {"AFR": 7, "AMR": 4, "EAS": 5, "EUR": 5, "SAS": 5}
    paper = POPULATION_MAPS["pg-cgan"]
    assert {p for p in paper if paper[p] != THOUSAND_GENOMES[p]} == {"ACB", "ASW"}


def test_a_map_from_a_file_or_a_mapping(file):
    panel = file(PANEL)
    own = {"GBR": "north", "ASW": "south", "CHB": "east"}
    table = file("population\tsuper\n" + "".join(f"{p}\t{s}\n" for p, s in own.items()), "map.tsv")
    expected = {"HG00096": "north", "NA19625": "south", "NA18525": "east"}
    assert read_panel(panel, table)["super_pop"] == read_panel(panel, own)["super_pop"] == expected
    assert list(read_panel(panel, own)) == ["pop", "super_pop", "gender"]


@pytest.mark.parametrize("column", ["sample", "sample_id", "IID", "#IID", "Individual ID"])
@pytest.mark.parametrize("separator", [",", "\t"])
def test_any_table_with_a_sample_column(tmp_path, column, separator):
    # A quoted separator is understood in tables separated by commas; tabs have no quoting.
    rows = [["case", column, "batch"], ["yes", "b", "1"], ["no, never", "a", "2"]]
    with open(tmp_path / "panel.csv", "w", newline="") as stream:
        csv.writer(stream, delimiter=separator).writerows(rows)
    assert read_panel(tmp_path / "panel.csv") == {
        "case": {"b": "yes", "a": "no, never"},
        "batch": {"b": "1", "a": "2"},
    }


def test_byte_order_mark_line_ends_comments_and_repeated_rows(tmp_path):
    path = tmp_path / "panel.csv"
    path.write_bytes("\ufeff## made by hand\r\nsample,pop\r\nc,x\r\n\r\na,y\r\nc,x\r\n".encode())
    assert read_panel(path) == {"pop": {"c": "x", "a": "y"}}
    assert list(read_panel(path)["pop"]) == ["c", "a"]


def test_a_split(file):
    split = read_split(file("sample\tsplit\nb\ttest\na\ttrain\n"))
    assert list(split.items()) == [("b", "test"), ("a", "train")]


# ---- panel and genotypes together -------------------------------------------------------------------------------


def test_labels_are_those_of_the_panel_by_name(file):
    path, panel = file(VCF, "a.vcf"), file(PANEL)
    got = read(path, panel, samples=["NA18525", "HG00096"])
    assert got.samples.tolist() == ["NA18525", "HG00096"]
    assert {c: v.tolist() for c, v in got.labels.items()} == {
        "pop": ["CHB", "GBR"],
        "super_pop": ["EAS", "EUR"],
        "gender": ["male", "male"],
    }
    assert read(path, panel, population_map="pg-cgan").labels["super_pop"].tolist() == ["EUR", "AMR", "EAS"]


def test_intersect_keeps_those_in_both_and_says_so(file, caplog):
    path, panel = file(VCF, "a.vcf"), file(PED, "x.ped")
    with pytest.raises(DataError) as caught:
        read(path, panel)
    told = f"samples only in {path}: 1 (NA18525); samples only in {panel}: 1 (NA17967)"
    assert str(caught.value) == f"There are {told}; intersect=True (--intersect) goes on with those in both."
    with caplog.at_level(logging.WARNING, logger="pgcgan.io"):
        got = read(path, panel, intersect=True)
    assert got.samples.tolist() == ["HG00096", "NA19625"]
    assert got.calls.tolist() == [[[0, 1], [1, 1]]]
    assert [r.message for r in caplog.records] == [f"{told}; going on with the 2 in both."]


# ---- errors, their text ----------------------------------------------------------------------------------------

TABLES = {
    "": "{} is empty; a header line and a line for each sample are needed.",
    "sample pop\n": "{} has a header but no samples.",
    "name pop\na b\n": (
        "{} has no sample column; accepted names: sample, sample_id, SampleID, Sample name, IID, #IID, Individual ID; "
        "its columns: name, pop."
    ),
    "sample\na\n": "{} has no label column beside 'sample'.",
    "sample pop pop\na b c\n": "{} has columns of the same name: pop.",
    "sample pop\na b c\n": "{}, line 2: it has 3 columns, the header has 2.",
    "sample\tpop\n\tb\n": "{}, line 2: it has no sample name in column 'sample'.",
    "sample,pop\na,\n": (
        "{}, line 2: label 'pop' is empty ('') for sample a; fill it in, or take the sample or the column out."
    ),
    "sample,pop\na,b\nc,NaN\n": (
        "{}, line 3: label 'pop' is empty ('NaN') for sample c; fill it in, or take the sample or the column out."
    ),
    "sample pop\na GBR\nb FIN\na FIN\n": (
        "{}, line 4: sample a occurs twice with different labels, pop 'GBR' and 'FIN'."
    ),
}


@pytest.mark.parametrize("text", TABLES)
def test_errors_of_a_panel(file, text):
    path = file(text)
    with pytest.raises(DataError) as caught:
        read_panel(path)
    assert str(caught.value) == TABLES[text].format(path)


def test_a_panel_that_is_no_text_file(tmp_path):
    path = tmp_path / "panel.tsv"
    with pytest.raises(DataError) as caught:
        read_panel(path)
    assert str(caught.value) == f"There is no file {path}."
    path.write_bytes(b"\x1f\x8b\x08\x00\xff")
    with pytest.raises(DataError) as caught:
        read_panel(path)
    assert str(caught.value) == f"{path}, line 1: the byte 0x8b is not UTF-8 text."
    with pytest.raises(DataError) as caught:
        read_panel(tmp_path)
    assert str(caught.value) == f"{tmp_path} cannot be opened: Is a directory."


def test_errors_of_a_population_map(file, tmp_path):
    panel = file(PANEL)
    with pytest.raises(UsageError) as usage:
        read_panel(panel, "hapmap")
    assert str(usage.value) == (
        "The population map 'hapmap' is not known; accepted: 1000g, pg-cgan, or the path of a table of two columns, "
        "population and super-population."
    )
    with pytest.raises(DataError) as caught:
        read_panel(panel, {"GBR": "EUR", "ASW": "AFR"})
    assert str(caught.value) == (
        f"{panel}: population 'CHB' of sample NA18525 is not in the population map; known: ASW, GBR."
    )
    table = file("GBR EUR\nASW\n", "map.txt")
    with pytest.raises(DataError) as caught:
        read_panel(panel, table)
    assert str(caught.value) == f"{table}, line 2: it has 1 columns; two are needed, population and super-population."
    table.write_text("GBR EUR\nGBR SAS\n")
    with pytest.raises(DataError) as caught:
        read_panel(panel, table)
    assert str(caught.value) == f"{table}, line 2: population GBR is mapped to EUR and to SAS."
    other = file("sample batch\na 1\n", "other.tsv")
    with pytest.raises(DataError) as caught:
        read_panel(other, "1000g")
    assert str(caught.value) == (
        f"{other} has no population column for the population map; accepted: pop, population, Population; its columns: "
        "batch."
    )


def test_an_unknown_population_of_a_pedigree_file_lists_the_known(file):
    path = file(PED.replace("CHD", "XYZ"), "x.ped")
    with pytest.raises(DataError) as caught:
        read_panel(path)
    assert str(caught.value) == (
        f"{path}: population 'XYZ' of sample NA17967 is not in the population map; known: "
        "ACB, ASW, BEB, CDX, CEU, CHB, CHD, CHS, CLM, ESN, FIN, GBR, GIH, GWD, IBS, ITU, JPT, KHV, LWK, MSL, MXL, PEL, "
        "PJL, PUR, STU, TSI, YRI."
    )


def test_errors_of_a_split(file):
    for text, message in {
        "sample\tset\na\ttrain\n": "{} has no column 'split'; its columns: sample, set.",
        "sample\tsplit\na\t\n": "{}, line 2: the split is empty for sample a.",
        "sample\tsplit\na\ttrain\na\ttest\n": "{}, line 3: sample a is in two splits, 'train' and 'test'.",
        "sample\tsplit\na\tfit\n": "{} puts nobody in the split 'train'; splits there: fit.",
    }.items():
        path = file(text)
        with pytest.raises(DataError) as caught:
            read_split(path)
        assert str(caught.value) == message.format(path)


def test_a_panel_and_a_file_of_other_people(file):
    path, panel = file(VCF, "a.vcf"), file("sample pop\nx GBR\ny FIN\n")
    with pytest.raises(DataError) as caught:
        read(path, panel, intersect=True)
    assert str(caught.value) == (
        f"{path} and {panel} have no sample in common: the file has HG00096, NA19625, NA18525, the panel has x, y."
    )
    with pytest.raises(UsageError) as usage:
        read(path, population_map="1000g")
    assert str(usage.value) == ("population_map (--population-map) needs a panel (--panel) whose populations it maps.")


# ---- what is written is read back ---------------------------------------------------------------------------------


def one(labels: dict, samples: tuple = ("s0", "s1")) -> Genotypes:
    """Two people at a site."""
    sites = Variants(["6"], [10], ["a"], ["A"], ["C"])
    return Genotypes(np.array([[[0, 1], [1, 1]]], dtype=np.int8), sites, samples, labels, phased=False)


ODD = ["A\u2028B", "A\x85B", "A\x0bB", "A\x0cB", "A\x1cB", "A\xa0B", "\u00e4/b", "##x", '"A', "0", "-9", "None"]
NOT_KNOWN = ["NA", ".", "nan", "NaN", ""]
BLANK_ENDS = [" A", "A ", "\xa0A", "A\u2028", "A\x1c"]


@pytest.mark.parametrize("suffix", [".vcf.gz", ".bcf", ".bed", ".pgen", ".npz", ".vcz"])
def test_labels_that_are_written_come_back(tmp_path, suffix):
    for i, value in enumerate(ODD):
        people = one({"pop": [value, "B"], f"x{value}y": ["C", value]})
        write(people, tmp_path / f"{i}{suffix}")
        assert read(tmp_path / f"{i}{suffix}", tmp_path / f"{i}.panel.tsv").equals(people), value
    for value in NOT_KNOWN + BLANK_ENDS:
        with pytest.raises(DataError, match="pop"):
            write(one({"pop": [value, "B"]}), tmp_path / f"new{suffix}")
    for name in BLANK_ENDS:
        with pytest.raises(DataError, match="label"):
            write(one({name: ["A", "B"]}), tmp_path / f"new{suffix}")
        with pytest.raises(DataError, match="sample name"):
            write(one({}, (name, "b")), tmp_path / f"new{suffix}")
    assert not list(tmp_path.glob("new*"))


@pytest.mark.parametrize("column", ["sample", "father", "Maternal ID"])
def test_a_label_that_a_panel_has_another_meaning_for(tmp_path, column):
    with pytest.raises(DataError, match=column):
        write(one({column: ["A", "B"]}), tmp_path / "x.vcf")


def test_a_nul_in_a_name_is_refused():
    for labels, samples in (({"pop": ["A\0", "A"]}, ("a", "b")), ({}, ("a\0", "a"))):
        with pytest.raises(DataError, match=r"\\x00"):
            one(labels, samples)


@pytest.mark.parametrize("separator", [" ", "\t", ","])
def test_cells_are_cut_at_separators_only(tmp_path, separator):
    lines = ["sample pop", *(f"s{i} {value}" for i, value in enumerate(ODD[:6]))]
    (tmp_path / "p.tsv").write_bytes("\n".join(line.replace(" ", separator) for line in lines).encode())
    assert list(read_panel(tmp_path / "p.tsv")["pop"].values()) == ODD[:6]
