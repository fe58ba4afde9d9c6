"""Files as other tools write them, and the names by which other tools know things: each with the right outcome."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pgcgan import cli
from pgcgan.errors import DataError
from pgcgan.genotypes import Genotypes, Variants
from pgcgan.io import read, read_panel, read_parents, write
from pgcgan.labels import sample_names

Write = Callable[[str, str], Path]


def people(contig: str = "6", n: int = 20, sites: int = 30, labels: dict | None = None, seed: int = 0) -> Genotypes:
    """Return people without any structure, named a0 and so on."""
    calls = np.random.default_rng(seed).integers(0, 2, (sites, n, 2), dtype=np.int8)
    v = Variants([contig] * sites, range(1000, 1000 + 10 * sites, 10), ["."] * sites, ["A"] * sites, ["C"] * sites)
    return Genotypes(calls, v, [f"a{i}" for i in range(n)], labels or {"super_pop": ["EUR", "AFR"] * (n // 2)})


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Return a function that writes a text file into the folder of the test, which is the present one."""
    monkeypatch.chdir(tmp_path)

    def write_file(name: str, text: str) -> Path:
        (tmp_path / name).write_bytes(text.encode())
        return tmp_path / name

    return write_file


def error_of(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that fails, and return its one line."""
    capsys.readouterr()
    assert cli.main(command.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


# ---- sites --------------------------------------------------------------------------------------------------------


def test_position_zero_is_unknown_in_plink_files(file, capsys):
    write(people().without_phase(), "x.bed")
    rows = [line.split() for line in Path("x.bim").read_text().splitlines()]
    for row in rows[:3]:
        row[3] = "0"
    file("x.bim", "".join("\t".join(row) + "\n" for row in rows))
    line = error_of("info x.bed", capsys)
    assert "x.bim, line 1" in line and "position 0" in line and "--update-map" in line and "drop" not in line
    assert read("x.bed", region="6").n_variants == 27
    write(people(), "y.pgen")
    file("y.pvar", Path("y.pvar").read_text().replace("6\t1000\t", "6\t0\t"))
    line = error_of("info y.pgen", capsys)
    assert "y.pvar, line" in line and "position 0" in line and "drop" not in line
    unknown = people().variants
    unknown = Variants(unknown.contig, [0, *unknown.position[1:]], unknown.id, unknown.ref, unknown.alt)
    for name in ("z.bed", "z.pgen"):
        with pytest.raises(DataError, match="position 0"):
            write(Genotypes(people().calls, unknown, people().samples, {}, phased=False), name)


@pytest.mark.parametrize("suffix", [".vcf", ".vcf.gz", ".vcz", ".npz", ".hap"])
def test_several_records_at_position_zero(file, capsys, suffix):
    v = people(sites=3).variants
    several = Variants(v.contig, [0, 0, 5], ["rs1", "rs2", "rs3"], v.ref, v.alt)
    write(Genotypes(people(sites=3).calls, several, people().samples), f"x{suffix}")
    line = error_of(f"info x{suffix}", capsys)
    assert "position 0" in line and "unknown" in line and "drop" not in line
    one = Variants(v.contig, [0, 4, 5], ["rs1", "rs2", "rs3"], v.ref, v.alt)
    write(Genotypes(people(sites=3).calls, one, people().samples), f"y{suffix}")
    assert read(f"y{suffix}").variants.position.tolist() == [0, 4, 5]
    with pytest.raises(DataError, match="position 0"):
        write(Genotypes(people(sites=3).calls, one, people().samples), "y.bcf")


VCF = "##fileformat=VCFv4.2\n##contig=<ID=6>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ta\tb\n"


@pytest.mark.parametrize(
    ("record", "facts"),
    [
        ("6 10 . A  . . . GT 0|1 0|0", ["'6' 10 '.' 'A' ''"]),
        ("6 10 . A C, . . . GT 0|1 0|0", ["'A' 'C,'"]),
        ("6 10 .  C . . . GT 0|1 0|0", ["'.' '' 'C'"]),
        ("6 10 . \0 C . . . GT 0|1 0|0", ["'\\x00' 'C'"]),
        ("6 10 . A\0 C . . . GT 0|1 0|0", ["'A\\x00' 'C'"]),
        ("6 10 . A C\0 . . . GT 0|1 0|0", ["'C\\x00'"]),
        ("6 10  A C . . . GT 0|1 0|0", ["10 '' 'A'"]),
        (" 10 . A C . . . GT 0|1 0|0", ["'' 10"]),
        ("6 10 . A C . . . GT 0|1 ", ["6:10 A>C", "sample b"]),
        ("6 10 . A C . . . GT:DP :3 0|0:3", ["6:10 A>C", "sample a"]),
    ],
)
def test_empty_names_and_calls_name_the_place(file, capsys, record, facts):
    file("x.vcf", VCF + record.replace(" ", "\t") + "\n")
    line = error_of("info x.vcf --multiallelic split", capsys)
    assert "x.vcf" in line and all(fact in line for fact in facts)


@pytest.mark.parametrize(("asked", "there"), [("chr6", "6"), ("6", "chr6"), ("X", "23"), ("chrM", "MT")])
def test_a_region_with_the_name_of_another_convention(file, capsys, asked, there):
    labels = {"super_pop": ["EUR"] * 20}
    for name in ("x.vcf.gz", "x.npz", "x.vcz"):
        write(people(there, labels=labels), name, force=True)
        assert f"--region {there}:1000-1010" in error_of(f"info {name} --region {asked}:1000-1010", capsys)
        assert read(name, region=f"{there}:1000-1010").n_variants == 2


def test_evaluate_without_a_site_in_common_names_both_contigs(file, capsys):
    write(people("chr6"), "real.vcf.gz")
    write(people("6", seed=1), "made.vcf.gz")
    line = error_of("evaluate --real real.vcf.gz --panel real.panel.tsv --synthetic made.vcf.gz", capsys)
    assert "chr6 and 6" in line and "--rename-chrs" in line
    elsewhere = people(seed=1)
    v = elsewhere.variants
    moved = Variants(v.contig, v.position + 1, v.id, v.ref, v.alt)
    write(Genotypes(elsewhere.calls, moved, elsewhere.samples, elsewhere.labels), "moved.vcf.gz")
    line = error_of("evaluate --real made.vcf.gz --panel made.panel.tsv --synthetic moved.vcf.gz", capsys)
    assert "no site in common" in line and "--rename-chrs" not in line
    ranges = (f"6:{v.position.min()}-{v.position.max()}", f"6:{moved.position.min()}-{moved.position.max()}")
    assert all(of_one in line for of_one in ranges) and "build" in line


def test_evaluate_says_how_many_real_sites_it_compares(file, capsys):
    real = people(n=40)
    write(real, "real.vcf.gz")
    write(people(n=40, seed=1).select(sites=slice(0, 30, 4)), "few.vcf.gz")
    command = "evaluate --real real.vcf.gz --panel real.panel.tsv --synthetic few.vcf.gz"
    assert cli.main([*command.split(), "-o", "r.html"]) == 0
    assert "8 of the 30 real sites" in capsys.readouterr().out
    assert "8 of the 30 real sites" in Path("r.html").read_text()
    write(people(n=40, seed=1), "all.vcf.gz")
    assert cli.main([*command.replace("few", "all").split(), "--json", "-"]) == 0
    assert "real sites;" not in capsys.readouterr().out


def test_an_index_beside_a_file_that_is_not_bgzip(file, capsys):
    write(people(), "x.vcf.gz")
    text = gzip.decompress(Path("x.vcf.gz").read_bytes())
    Path("y.vcf.gz").write_bytes(gzip.compress(text))
    shutil.copy("x.vcf.gz.tbi", "y.vcf.gz.tbi")
    assert "bgzip" in error_of("info y.vcf.gz --region 7:1000-1100", capsys)
    line = error_of("info y.vcf.gz --region 6:1000-1100", capsys)
    command = line.split("`")[1]
    if shutil.which("bcftools") and shutil.which("tabix"):
        subprocess.run(command, shell=True, check=True, capture_output=True)
        new = command.split()[-1]
        assert read(new, region="6:1000-1090").equals(read("x.vcf.gz", region="6:1000-1090"))


# ---- people -------------------------------------------------------------------------------------------------------

ROWS = "F1 a0 0 0 1 ACB {0}\nF2 a1 0 0 2 GBR {1}\nF2 a2 0 a1 0 GBR {1}\n"


@pytest.mark.parametrize(
    ("header", "separator"),
    [
        ("FamilyID SampleID FatherID MotherID Sex Population Superpopulation", " "),
        ("Family ID,Individual ID,Paternal ID,Maternal ID,Gender,Population,Superpopulation", ","),
        ("FAMILY ID,Sample Name,father,mother,sex,Population code,Superpopulation code", ","),
    ],
)
def test_pedigree_files_with_super_populations(file, header, separator):
    path = file("x.ped", f"{header}\n" + ROWS.format("AFR", "EUR").replace(" ", separator))
    labels = read_panel(path)
    assert labels["pop"] == {"a0": "ACB", "a1": "GBR", "a2": "GBR"}
    assert labels["super_pop"] == {"a0": "AFR", "a1": "EUR", "a2": "EUR"}
    assert labels["gender"] == {"a0": "male", "a1": "female", "a2": "unknown"}
    assert set(labels) == {"pop", "super_pop", "gender"}
    assert read_panel(path, "pg-cgan")["super_pop"]["a0"] == "AMR"
    assert read_parents(path) == {"a0": [], "a1": [], "a2": ["a1"]}


def test_the_sample_table_of_igsr(file):
    header = (
        "Sample name\tSex\tBiosample ID\tPopulation code\tPopulation name\tSuperpopulation code\tSuperpopulation name"
    )
    path = file("igsr.tsv", f"{header}\nHG1\tmale\tSAME1\tFIN\tFinnish\tEUR\tEuropean Ancestry\n")
    assert read_panel(path) == {"gender": {"HG1": "male"}, "pop": {"HG1": "FIN"}, "super_pop": {"HG1": "EUR"}}
    assert read_parents(path) == {"HG1": []}


def test_other_columns_of_a_pedigree_stay_labels(file):
    path = file("x.tsv", "sample_id\tfather\tPopulation\tstatus\na\t0\tGBR\tcase\nb\ta\tFIN\tcontrol\n")
    labels = read_panel(path)
    assert labels["status"] == {"a": "case", "b": "control"} and labels["super_pop"] == {"a": "EUR", "b": "EUR"}
    path = file("y.tsv", "sample_id,sex,Population,status\na,1,X,case\n")
    assert read_panel(path) == {"sex": {"a": "1"}, "Population": {"a": "X"}, "status": {"a": "case"}}


def test_parents_in_any_table_are_no_labels(file):
    path = file("x.tsv", "sample\tfather\tMother\tgroup\na\t0\t\tx\nb\ta\tNA\ty\n")
    assert read_panel(path) == {"group": {"a": "x", "b": "y"}}
    assert read_parents(path) == {"a": [], "b": ["a"]}


def test_a_fam_without_header_is_read(file):
    path = file("x.fam", "GBR a0 0 0 1 -9\nGBR a1 0 0 2 -9\nYRI a2 a0 a1 0 1\nYRI a3 0 0 1 2\n")
    assert read_panel(path) == {
        "FID": {"a0": "GBR", "a1": "GBR", "a2": "YRI", "a3": "YRI"},
        "gender": {"a0": "male", "a1": "female", "a2": "unknown", "a3": "male"},
    }
    assert read_parents(path)["a2"] == ["a0", "a1"]
    assert set(read_panel(file("y.ped", "a0\ta0\t0\t0\t1\t0\na1\ta1\t0\t0\t2\t0\n"))) == {"gender"}


@pytest.mark.parametrize("text", ["a0 EUR\na1 EUR\na2 AFR\n", "a0 a0 0 0\na1 a1 0 0\n", "a0,GBR,EUR\na1,GBR,EUR\n"])
def test_a_first_line_that_is_a_person(file, text):
    with pytest.raises(DataError, match="a0.*person.*header"):
        read_panel(file("x.txt", text))


def test_the_population_map_applies_to_like(file, capsys):
    labels = {"pop": ["ACB", "GBR"] * 10}
    write(people(labels=labels), "x.vcf.gz")
    rows = "".join(f"a{i} a{i} 0 0 1 {labels['pop'][i]}\n".replace(" ", "\t") for i in range(20))
    file("p.ped", "Family ID\tIndividual ID\tPaternal ID\tMaternal ID\tGender\tPopulation\n" + rows)
    train = "train x.vcf.gz --panel p.ped --population-map pg-cgan --model independent -o m"
    assert cli.main(train.split()) == 0
    assert cli.main("generate m --like p.ped --population-map pg-cgan -o y.vcf".split()) == 0
    assert sorted(read_panel("y.panel.tsv")["super_pop"].values()) == ["AMR"] * 10 + ["EUR"] * 10
    assert "--like" in error_of("generate m -n 5 --population-map pg-cgan -o z.vcf", capsys)
    for line in (
        "generate m --like p.ped -o z.vcf",
        "evaluate --real x.vcf.gz --panel p.ped --synthetic y.vcf --model m",
    ):
        message = error_of(line, capsys)
        assert "--population-map pg-cgan" in message and "p.ped" in message
    assert cli.main("train x.vcf.gz --panel p.ped --model independent -o plain".split()) == 0
    assert "without --population-map" in error_of(
        "generate plain --like p.ped --population-map pg-cgan -o z.vcf", capsys
    )
    assert cli.main("generate plain --like p.ped --population-map 1000g -o z.vcf".split()) == 0  # the same labels


@pytest.mark.parametrize(
    ("given", "own"), [("0_a{}", "a{}"), ("a{0}_a{0}", "a{}"), ("a{}", "F_a{}"), ("0_S_a{}", "S_a{}")]
)
def test_names_that_look_like_fid_iid(file, capsys, given, own):
    named = people()
    names = [given.format(i) for i in range(20)]
    write(Genotypes(named.calls, named.variants, names), "x.vcf")
    file("p.tsv", "sample\tpop\n" + "".join(f"{own.format(i)}\tx\n" for i in range(20)))
    line = error_of("info x.vcf --panel p.tsv", capsys)
    assert "FID_IID" in line and names[0] in line and own.format(0) in line and "--intersect" not in line


def test_names_of_synthetic_people_are_one_word_for_plink():
    names = sample_names({"EUR": 1, "A_B": 1, "a/b c": 1})
    assert all(re.fullmatch(r"[A-Za-z0-9.-]+", name) for name in names) and len(set(names)) == 3


@pytest.mark.oracle("plink1.9")
def test_plink_1_9_takes_the_names_as_they_are(file):
    labels = {"super_pop": ["EUR", "A_B"] * 10}
    write(people(labels=labels), "x.vcf.gz")
    assert cli.main("train x.vcf.gz --panel x.panel.tsv --model independent -o m".split()) == 0
    assert cli.main("generate m -n EUR=2 -n A_B=2 -o s.vcf.gz".split()) == 0
    subprocess.run("plink1.9 --vcf s.vcf.gz --make-bed --out p".split(), check=True, capture_output=True)
    assert read("p.bed").samples.tolist() == read("s.vcf.gz").samples.tolist()


@pytest.mark.parametrize(
    ("name", "fact"),
    [
        ("x.ped", "--file x"),
        ("x.map", "--file x"),
        ("x.tped", "--tfile x"),
        ("x.bgen", "--bgen x.bgen"),
        ("x.bim", "x.bed"),
        ("x.psam", "x.pgen"),
        ("x.legend", "x.hap"),
        ("x.vcf.gz.tbi", "x.vcf.gz"),
    ],
)
def test_files_of_other_formats_name_the_way_out(file, capsys, name, fact):
    file(name, "a a 0 0 0 -9 A A\n")
    line = error_of(f"info {name}", capsys)
    assert fact in line
    assert all(suffix in line for suffix in (".vcf.gz", ".bcf", ".bed", ".pgen", ".hap.gz", ".vcz", ".trees", ".npz"))


# ---- the command line ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "fact"),
    [
        ("train x.vcf -o m", "train cohort.vcf.gz --panel cohort.panel.tsv"),
        ("generate m -n EUR 10 -o y.vcf", "-n EUR=10"),
        ("generate m -n EUR=10 AFR=5 -o y.vcf", "-n EUR=10 -n AFR=5"),
        ("generate m 10 -o y.vcf", "generate my.model --like cohort.panel.tsv"),
        ("evaluate x.vcf y.vcf", "--synthetic"),
    ],
)
def test_messages_show_the_right_form(capsys, command, fact):
    assert fact in error_of(command, capsys)


def test_a_count_without_a_number(file, capsys):
    write(people(), "x.vcf.gz")
    assert cli.main("train x.vcf.gz --panel x.panel.tsv --model independent -o m".split()) == 0
    assert "-n EUR=1000" in error_of("generate m -n EUR -o y.vcf", capsys)
    assert "-n EUR=1000" in error_of("generate m -n EUR:10 -o y.vcf", capsys)
