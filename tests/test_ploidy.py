"""X, Y and MT: who is haploid stays haploid, in every format, or is refused; nobody is doubled without being asked."""

from __future__ import annotations

import gzip
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pgcgan
from pgcgan import Genotypes, Variants, cli
from pgcgan.errors import DataError
from pgcgan.io import read, write
from pgcgan.io.ploidy import sites_of_x

SEXES = {"a": 1, "b": 2, "c": 2, "d": 1, "e": 1, "f": 2, "g": 1}
MEN, WOMEN = list("adeg"), list("bcf")
CODE = {"0": 0b11, "1": 0b10, "2": 0b00, ".": 0b01}  # count of A1, in a .bed


def bed(folder: Path, contig: str, rows: list[str], sexes: dict[str, int] = SEXES) -> Path:
    """Write a .bed as PLINK 1 has it; a row has the count of A1 of each person."""
    data = bytearray(b"\x6c\x1b\x01")
    for row in rows:
        for start in range(0, len(row), 4):
            data.append(sum(CODE[c] << 2 * i for i, c in enumerate(row[start : start + 4])))
    (folder / "x.bed").write_bytes(data)
    sites = "".join(f"{contig}\trs{i}\t0\t{5_000_000 + i}\tC\tA\n" for i in range(len(rows)))
    (folder / "x.bim").write_text(sites)
    (folder / "x.fam").write_text("".join(f"0 {name} 0 0 {sex} -9\n" for name, sex in sexes.items()))
    return folder / "x.bed"


# ---- PLINK 1 ------------------------------------------------------------------------------------------------------

X = ["2100022", "0120200", ".2.0.12"]  # no man is heterozygous
MIXED = "haploid='diploid' (--haploid diploid) takes haploid calls as homozygous ones, as they are in the file, or"


@pytest.mark.oracle("plink1.9", "plink2")
@pytest.mark.parametrize(
    ("contig", "rows", "options"),
    [
        ("X", X, {"haploid": "diploid"}),
        ("23", X, {"samples": MEN}),
        ("23", X, {"samples": WOMEN}),
        ("Y", ["2..000.", "0..2.2."], {"samples": MEN}),
        ("26", ["2002200", "0202020"], {}),
        ("25", X, {}),
        ("6", X, {}),
    ],
)
def test_calls_of_a_bed_are_those_that_plink_exports(tmp_path, contig, rows, options):
    path = bed(tmp_path, contig, rows)
    commands = {"plink2": ["--export", "vcf"], "plink1.9": ["--keep-allele-order", "--recode", "vcf-iid"]}
    if contig in ("Y", "26"):  # PLINK 1.9 exports them as diploid
        del commands["plink1.9"]
    got = read(path, **options)
    for program, command in commands.items():
        run = [program, "--bfile", "x", *command, "--out", "back"]
        subprocess.run(run, cwd=tmp_path, check=True, capture_output=True)
        expected = read(tmp_path / "back.vcf", **options)
        assert got.ploidy == expected.ploidy
        assert np.array_equal(got.calls, expected.calls)
    assert got.phased is (got.ploidy == 1)


@pytest.mark.parametrize("contig", ["X", "23", "chrX", "chr23"])
def test_men_beside_women_in_a_bed_are_refused(tmp_path, contig):
    path = bed(tmp_path, contig, X)
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value) == (
        f"{path}: sample a at {contig}:5000000 A>C is haploid, sample b at {contig}:5000000 A>C is diploid; {MIXED} "
        "select one ploidy by samples or region (X outside the pseudo-autosomal regions: women only, or men only)."
    )
    assert read(path, haploid="diploid").calls[0, 0].tolist() == [1, 1]
    assert read(path, samples=WOMEN).ploidy == 2
    men = read(path, samples=MEN)
    assert (men.ploidy, men.calls[0, :, 0].tolist()) == (1, [1, 0, 0, 1])


def test_a_man_who_is_heterozygous_on_x_is_refused_and_an_unknown_sex_is_not_guessed(tmp_path):
    path = bed(tmp_path, "X", ["2000002", "0001000"])
    with pytest.raises(DataError, match=r"sample a at X:5000000 A>C is haploid, sample d at X:5000001 A>C is diploid;"):
        read(path, samples=MEN)
    assert read(bed(tmp_path, "X", X, dict.fromkeys(SEXES, 0))).ploidy == 2


def test_autosomes_beside_x_are_not_mistaken(tmp_path):
    path = bed(tmp_path, "6", X)
    table = (tmp_path / "x.bim").read_text().splitlines(keepends=True)
    (tmp_path / "x.bim").write_text("".join([*table[:2], table[2].replace("6", "X", 1)]))
    with pytest.raises(DataError, match=r"sample d at X:5000002 A>C is haploid, sample a at 6:5000000 A>C is"):
        read(path, samples=["a", "b", "d"])
    assert read(path, samples=MEN, region="6").ploidy == 2
    assert read(path, samples=MEN, region="X").ploidy == 1


# ---- the other formats --------------------------------------------------------------------------------------------


def people(position: int = 5_000_000, length: int | None = 155_270_560, *, men_het: bool = False) -> Genotypes:
    """Return 40 men, homozygous at 30 sites of X unless `men_het`, and 40 women."""
    calls = np.random.default_rng(2).integers(0, 2, (30, 80, 2))
    calls[:, :40, 1] = calls[:, :40, 0]
    calls[7, 3] = [0, 1] if men_het else [1, 1]
    sites = Variants(["X"] * 30, range(position, position + 30), ["."] * 30, ["A"] * 30, ["C"] * 30, {"X": length})
    sexes = ["male"] * 40 + ["female"] * 40
    return Genotypes(calls, sites, [f"s{i}" for i in range(80)], {"pop": ["P"] * 80, "gender": sexes})


def warned(genotypes: Genotypes, path: Path, caplog: pytest.LogCaptureFixture, **options: object) -> bool:
    caplog.clear()
    write(genotypes, path, force=True, unphased=path.suffix == ".bed")
    if path.suffix == ".bed":  # without a sex PLINK knows no men
        fam = path.with_suffix(".fam")
        fam.write_text(re.sub(r"\t[12]\t-9", "\t0\t-9", fam.read_text()))
    read(path, str(path).partition(".")[0] + ".panel.tsv", **options)
    return any("haploid calls have been doubled in it" in r.message for r in caplog.records)


@pytest.mark.parametrize("suffix", ["vcf", "bcf", "npz", "hap", "bed"])
def test_men_doubled_by_somebody_else_are_noticed(tmp_path, caplog, suffix):
    path = tmp_path / f"x.{suffix}"
    assert warned(people(), path, caplog)
    (told,) = (r.message for r in caplog.records)
    assert told.startswith(f"{path}: no man of 40 is heterozygous on X, where ")
    # a single heterozygous man tells that nobody doubled
    assert not warned(people(men_het=True), path, caplog)
    assert not warned(people(), path, caplog, haploid="diploid")
    assert not warned(people().select(samples=[f"s{i}" for i in range(40, 80)]), path, caplog)
    # three men and one site: chance enough
    assert not warned(people().select(samples=["s0", "s1", "s2", "s70"], sites=[0]), path, caplog)


@pytest.mark.parametrize(
    ("position", "length", "inside"),
    [
        (60_001, 155_270_560, True),
        (2_699_491, 155_270_560, True),
        (2_699_492, 155_270_560, False),
        (2_700_000, 156_040_895, True),
        (154_931_044, 155_270_560, True),
        (154_931_044, 156_040_895, False),
        (155_701_383, 156_040_895, True),
        (154_931_044, None, True),
        (2_700_000, None, True),
        (3_000_000, None, False),
    ],
)
def test_in_the_pseudo_autosomal_regions_nobody_is_suspected(tmp_path, caplog, position, length, inside):
    made = people(position, length)
    assert (len(sites_of_x(made.variants)) == 0) == inside
    assert warned(made, tmp_path / "x.vcf", caplog) is not inside


@pytest.mark.parametrize("suffix", ["vcf.gz", "bcf", "npz", "hap.gz", "pgen"])
def test_haploid_men_stay_haploid_through_every_format_that_holds_them(tmp_path, suffix):
    both = people()
    men = Genotypes(both.calls[:, :40, :1], both.variants, both.samples[:40], {"gender": ["male"] * 40})
    write(men, tmp_path / f"m.{suffix}")
    assert read(tmp_path / f"m.{suffix}", tmp_path / "m.panel.tsv").equals(men)


@pytest.mark.parametrize("suffix", ["vcf", "vcf.gz", "hap"])
def test_haploid_men_beside_women_are_refused(tmp_path, suffix):
    rows = [f"X\t{5_000_000 + i}\t.\tA\tC\t.\t.\t.\tGT\t{i % 2}\t0|1\t1|0" for i in range(3)]
    head = "##fileformat=VCFv4.2\n##contig=<ID=X,length=155270560>\n"
    if suffix == "hap":
        (tmp_path / "x.hap").write_text("0 - 0 1 1 0\n1 - 0 1 1 0\n")
        (tmp_path / "x.legend").write_text("id position a0 a1\nX:5_A_C 5 A C\nX:6_A_C 6 A C\n")
        (tmp_path / "x.samples").write_text("sample population group sex\nm p g 1\nv p g 2\nw p g 2\n")
    else:
        columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tm\tv\tw\n"
        (tmp_path / f"x.{suffix}").write_text(head + columns + "\n".join(rows) + "\n")
    path = tmp_path / f"x.{suffix}"
    with pytest.raises(
        DataError, match=r"sample m at X:\d+ A>C is haploid, sample v at X:\d+ A>C is diploid; haploid="
    ):
        read(path)
    assert (read(path, samples=["m"]).ploidy, read(path, samples=["v", "w"]).ploidy) == (1, 2)


# ---- a model each -------------------------------------------------------------------------------------------------


@pytest.mark.oracle("bcftools")
def test_men_and_women_by_a_model_each_as_the_documentation_has_it(tmp_path, monkeypatch):
    text = (Path(__file__).parents[1] / "docs" / "formats.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    cohort = pgcgan.simulate(40, length=20_000, seed=3).select(min_maf=0.05)
    v, sexes = cohort.variants, cohort.labels["gender"]
    lines = ["##fileformat=VCFv4.2", "##contig=<ID=X,length=155270560>"]
    lines += ["#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t" + "\t".join(cohort.samples)]
    for i in range(len(v)):
        calls = [f"{a}|{b}" if s == "female" else f"{a}" for (a, b), s in zip(cohort.calls[i], sexes, strict=True)]
        site = ["X", str(v.position[i] + 5_000_000), ".", v.ref[i], v.alt[i], ".", ".", ".", "GT"]
        lines.append("\t".join([*site, *calls]))
    (tmp_path / "x.vcf.gz").write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))
    columns = [cohort.samples, *(cohort.labels[c] for c in ("pop", "super_pop", "gender"))]
    rows = ["sample\tpop\tsuper_pop\tgender", *("\t".join(row) for row in zip(*columns, strict=True))]
    (tmp_path / "x.panel.tsv").write_text("\n".join(rows) + "\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["pgcgan"])
    for line in block.splitlines():
        if line.startswith("pgcgan "):
            assert cli.main(shlex.split(line)[1:]) == 0, line
        else:
            run = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
            assert "warn" not in run.stderr.lower()
    calls = {}
    for name in ("men", "women", "both"):
        query = ["bcftools", "query", "-f", r"[%SAMPLE=%GT ]\n", f"{name}.vcf.gz"]
        said = subprocess.run(query, check=True, capture_output=True, text=True)
        assert said.stderr == ""
        calls[name] = [dict(word.split("=") for word in line.split()) for line in said.stdout.splitlines()]
    men, women = read("men.vcf.gz"), read("women.vcf.gz")
    assert (men.ploidy, women.ploidy, men.n_samples, women.n_samples) == (1, 2, 100, 100)
    for people, told in ((men, calls["men"]), (women, calls["women"])):
        mine = [["|".join(map(str, call)) for call in site] for site in people.calls.tolist()]
        assert [list(site.values()) for site in told] == mine
    assert all(
        len(call) == (1 if name.startswith("MAN") else 3) for site in calls["both"] for name, call in site.items()
    )
    assert {name for name in calls["both"][0]} == {*men.samples, *women.samples}
    # bcftools finds the men to have the ploidy of men already
    Path("sexes").write_text("".join(f"{name} M\n" for name in men.samples))
    fixed = subprocess.run(
        "bcftools +fixploidy men.vcf.gz -- -s sexes | bcftools view -H", shell=True, capture_output=True
    )
    plain = subprocess.run("bcftools view -H men.vcf.gz", shell=True, capture_output=True)
    assert fixed.stdout == plain.stdout != b""
