"""pgcgan convert: the same genotypes through every pair of formats, and what the formats cannot hold."""

from __future__ import annotations

import shlex
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from pgcgan import Genotypes, cli, read, write
from pgcgan.io import FORMATS

SUFFIXES = [suffix for several, (_, writer) in FORMATS.items() if writer is not None for suffix in several]
OTHER_NAMES = [".vcf.bgz", ".zarr", ".zarr.zip", ".vcz.zip"]  # of formats that are paired already
WITHOUT_PHASE = [".bed"]
HAPLOTYPES = [".hap", ".hap.gz"]  # hold neither unphased nor missing calls


@pytest.fixture(scope="module")
def people(cohort) -> Genotypes:
    """Return 30 simulated people, phased, labelled, with missing calls."""
    part = cohort.select(samples=np.arange(0, 150, 5), sites=slice(0, 60))
    calls = part.calls.copy()
    calls[np.random.default_rng(2).random(calls.shape[:2]) < 0.05] = -1
    return Genotypes(calls, part.variants, part.samples, part.labels)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Return a function that runs one command line in an empty folder: status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["pgcgan"])

    def one(line: str) -> tuple[int, str, str]:
        status = cli.main(shlex.split(line))
        said = capsys.readouterr()
        return status, said.out, said.err

    return one


def test_every_pair_of_formats(run, people):
    unphased = people.without_phase()
    suffixes = [s for s in SUFFIXES if s not in HAPLOTYPES + OTHER_NAMES]
    for suffix in suffixes:
        write(unphased, f"in{suffix}", force=True)
    for a, b in permutations(suffixes, 2):
        status, out, err = run(f"convert in{a} out{b} --panel in.panel.tsv --force")
        assert (status, out) == (0, ""), err
        assert read(f"out{b}", "out.panel.tsv").equals(unphased), (a, b)


def test_every_pair_of_formats_that_hold_haplotypes(run, people):
    whole = people.select(sites=(people.calls >= 0).all(axis=(1, 2)))
    assert whole.n_variants > 5
    suffixes = [s for s in SUFFIXES if s not in WITHOUT_PHASE + OTHER_NAMES]
    for suffix in suffixes:
        write(whole, f"in{suffix}", force=True)
    for a, b in permutations(suffixes, 2):
        status, out, err = run(f"convert in{a} out{b} --panel in.panel.tsv --force")
        assert (status, out) == (0, ""), err
        assert read(f"out{b}", "out.panel.tsv").equals(whole), (a, b)


@pytest.mark.parametrize("suffix", [s for s in SUFFIXES if s not in WITHOUT_PHASE + HAPLOTYPES])
def test_phase_is_kept_where_it_can_be(run, people, suffix):
    write(people, "in.vcf")
    assert run(f"convert in.vcf out{suffix} --panel in.panel.tsv")[0] == 0
    got = read(f"out{suffix}", "out.panel.tsv")
    assert got.phased
    assert got.equals(people)


@pytest.mark.parametrize("options", ["", "--unphased"])
def test_haplotypes_are_phased_and_complete(run, people, options):
    write(people, "in.vcf")
    status, out, err = run(f"convert in.vcf out.hap.gz {options}")
    assert (status, out) == (2, "")
    assert "IMPUTE haplotypes cannot hold that; write a VCF, or phase and impute first." in err
    assert not list(Path().glob("out*"))


def test_a_bed_asks_for_leave_to_drop_phase(run, people):
    write(people, "in.npz")
    status, out, err = run("convert in.npz out.bed")
    assert (status, out) == (2, "")
    assert err == (
        "pgcgan: error: out.bed cannot hold phase, which the genotypes have; unphased=True (--unphased) writes them as "
        "unordered pairs.\n"
    )
    assert not list(Path().glob("out*"))
    assert run("convert in.npz out.bed --unphased") == (
        0,
        "",
        "30 people at 60 sites: out.bed, out.bim, out.fam, out.panel.tsv\n",
    )
    assert read("out.bed", "out.panel.tsv").equals(people.without_phase())


def test_haploid_calls_are_doubled_only_when_asked(run, people):
    haploid = Genotypes(people.calls[:, :, :1], people.variants, people.samples)
    write(haploid, "in.vcf")
    assert "haploid='diploid' (--haploid diploid), which doubles them" in run("convert in.vcf out.bed --unphased")[2]
    assert run("convert in.vcf out.bed --unphased --haploid diploid")[0] == 0
    assert np.array_equal(read("out.bed").calls, np.repeat(haploid.calls, 2, axis=2))


def test_the_reading_options(run, people):
    write(people, "in.vcf.gz")
    rows = Path("in.panel.tsv").read_text().splitlines()
    Path("some.tsv").write_text("\n".join([rows[0], *rows[3:9]]) + "\n")
    first, last = people.variants.position[[10, 40]]
    contig = people.variants.contig[0]
    line = f"convert in.vcf.gz out.bed --unphased --panel some.tsv --region {contig}:{first}-{last} --min-maf 0.1"
    assert "samples only in in.vcf.gz: 24" in run(line)[2]
    status, _, err = run(line + " --intersect")
    assert status == 0, err
    expected = people.select(samples=people.samples[2:8], sites=slice(10, 41), min_maf=0.1).without_phase()
    assert 0 < expected.n_variants < 31
    assert read("out.bed", "out.panel.tsv").equals(expected)


def test_nothing_is_overwritten_and_names_are_checked_before_reading(run, people):
    write(people, "in.npz")
    Path("out.fam").write_text("mine")
    status, _, err = run("convert in.npz out.bed --unphased")
    assert (status, Path("out.fam").read_text()) == (2, "mine")
    assert err == ("pgcgan: error: out.fam exists; force=True (--force) replaces it, or choose another name.\n")
    accepted = ", ".join(SUFFIXES)
    assert run("convert absent.vcf out.xls") == (
        2,
        "",
        f"pgcgan: error: The format of out.xls is not known; accepted: names that end in {accepted}, or -.\n",
    )
    assert run("convert absent.vcf nowhere/out.bed")[2] == (
        "pgcgan: error: The folder nowhere of the output nowhere/out.bed does not exist.\n"
    )
    assert run("convert absent.bed out.npz")[2] == (
        "pgcgan: error: There is no file absent.bed; a PLINK 1 file set is NAME.bed, NAME.bim and NAME.fam.\n"
    )


def test_a_file_is_replaced_by_a_part_of_itself(run, people):
    write(people, "in.npz")
    contig, last = people.variants.contig[0], people.variants.position[9]
    assert run(f"convert in.npz in.npz --region {contig}:1-{last} --force")[0] == 0
    assert read("in.npz").equals(people.select(sites=slice(0, 10)))


def test_standard_input_and_output(tmp_path, people):
    write(people, tmp_path / "in.bcf")
    program = [sys.executable, "-c", "import sys; from pgcgan.cli import main; sys.exit(main())", "convert", "-", "-"]
    made = subprocess.run(program, input=(tmp_path / "in.bcf").read_bytes(), capture_output=True)
    assert (made.returncode, made.stderr) == (0, b"30 people at 60 sites: standard output\n")
    (tmp_path / "out.vcf").write_bytes(made.stdout)
    assert read(tmp_path / "out.vcf", tmp_path / "in.panel.tsv").equals(people)


def test_generated_people_go_into_a_bed(run, people):
    write(people, "in.vcf")
    assert run("train in.vcf --panel in.panel.tsv --model independent -o m")[0] == 0
    assert "out.bed cannot hold phase" in run("generate m -n 8 -o out.bed")[2]
    status, _, err = run("generate m -n 8 -o out.bed --unphased")
    assert (status, err) == (0, "8 people at 60 sites: out.bed, out.bim, out.fam, out.panel.tsv\n")
    assert run("generate m -n 8 -o out.vcf --force")[0] == 0
    assert read("out.bed").equals(read("out.vcf", unphased=True))
    # the labels beside it are found
    assert run("convert in.vcf in.bed --unphased --panel in.panel.tsv")[0] == 0
    status, out, err = run("evaluate --real in.bed --panel in.panel.tsv --synthetic out.bed")
    assert status == 0, err
    assert "AF RMSE" in out


@pytest.mark.oracle("plink1.9", "plink2", "bcftools")
def test_what_other_programs_convert_is_the_same(run, people):
    write(people.without_phase(), "in.vcf.gz")
    commands = {
        "one.bed": "plink1.9 --vcf in.vcf.gz --double-id --keep-allele-order --make-bed --out one",
        "two.bed": "plink2 --vcf in.vcf.gz --make-bed --out two",
        "three.vcf": "bcftools view in.vcf.gz -o three.vcf",
    }
    expected = read("in.vcf.gz")
    for name, command in commands.items():
        subprocess.run(command.split(), check=True, capture_output=True)
        assert run(f"convert {name} again.npz --force")[0] == 0
        assert read("again.npz").equals(expected), name
