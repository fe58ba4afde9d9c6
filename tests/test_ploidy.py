"""X, Y and MT: who is haploid stays haploid, in every format, or is refused; nobody is doubled without being asked."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

import pgcgan
from pgcgan import Genotypes, Variants
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
    # of the thirty sites one at most is outside in the second case, which is too little to go by
    assert warned(made, tmp_path / "x.vcf", caplog) is (not inside and position != 2_699_492)


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
def test_men_and_women_by_a_model_each(tmp_path):
    """The way that docs/formats.md shows: read apart, fit apart, generate apart; men come out haploid."""
    cohort = pgcgan.simulate(60, length=30_000, seed=3).select(min_maf=0.05)
    v = cohort.variants
    sites = Variants(["X"] * len(v), v.position + 5_000_000, v.id, v.ref, v.alt, {"X": 155_270_560})
    sexes = cohort.labels["gender"]
    rows = []
    for i in range(len(v)):
        calls = [f"{a}|{b}" if s == "female" else str(a) for (a, b), s in zip(cohort.calls[i], sexes, strict=True)]
        rows.append(
            "\t".join(["X", str(sites.position[i]), ".", sites.ref[i], sites.alt[i], ".", ".", ".", "GT", *calls])
        )
    head = ["##fileformat=VCFv4.2", "##contig=<ID=X,length=155270560>"]
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t" + "\t".join(cohort.samples)
    (tmp_path / "x.vcf").write_text("\n".join([*head, columns, *rows]) + "\n")
    for sex, ploidy in (("male", 1), ("female", 2)):
        panel = tmp_path / f"{sex}.tsv"
        people = [
            f"{s}\t{g}\n" for s, g, x in zip(cohort.samples, cohort.labels["super_pop"], sexes, strict=True) if x == sex
        ]
        panel.write_text("sample\tsuper_pop\n" + "".join(people))
        train = read(tmp_path / "x.vcf", panel, intersect=True)
        assert train.ploidy == ploidy
        made = pgcgan.PGcGAN(seed=1).fit(train).sample({"AFR": 20, "EUR": 10}, seed=2)
        assert made.ploidy == ploidy
        write(made, tmp_path / f"{sex}.vcf.gz")
        command = ["bcftools", "query", "-f", r"[%GT ]\n", f"{sex}.vcf.gz"]
        said = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
        assert said.stderr == ""
        assert said.stdout.split() == ["|".join(map(str, call)) for row in made.calls.tolist() for call in row]
        # bcftools finds each call to have the ploidy of its sex already, so that it changes nothing
        if sex == "male":
            (tmp_path / "sexes").write_text("".join(f"{s} M\n" for s in made.samples))
            fixed = subprocess.run(
                ["bcftools", "+fixploidy", "male.vcf.gz", "--", "-s", "sexes"],
                cwd=tmp_path,
                check=True,
                capture_output=True,
            )
            before = subprocess.run(
                ["bcftools", "view", "-H", "male.vcf.gz"], cwd=tmp_path, check=True, capture_output=True
            )
            assert [x for x in fixed.stdout.splitlines() if not x.startswith(b"#")] == before.stdout.splitlines()
        assert read(tmp_path / f"{sex}.vcf.gz").calls.tolist() == made.calls.tolist()
