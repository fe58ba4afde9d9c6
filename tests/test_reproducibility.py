"""The same people again: in parts, beside other labels, on another number of threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cyvcf2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pgcgan
from pgcgan import cli
from pgcgan.errors import UsageError
from pgcgan.generators.baselines import BASELINES
from pgcgan.genotypes import Genotypes, concat
from pgcgan.labels import plan_counts, plan_from, sample_names


@pytest.fixture(scope="module", params=["model", *BASELINES])
def fitted(request: pytest.FixtureRequest, cohort: Genotypes):
    kind = BASELINES.get(request.param, pgcgan.PGcGAN)
    return kind(seed=3).fit(cohort.select(sites=slice(0, 150)))


def same(one: Genotypes, other: Genotypes) -> bool:
    return one.equals(other)  # names, labels, sites and calls


def of(people: Genotypes, label: str) -> Genotypes:
    return people.select(samples=people.label("super_pop").astype(str) == label)


def test_a_thousand_and_then_more_are_those_of_one_call(fitted) -> None:
    whole = fitted.sample({"EUR": 1400}, seed=7)
    # 512 and 64 people are drawn from one stream: cuts on, before and behind its ends
    for first, then in ((1000, 400), (512, 1), (511, 3), (64, 700), (1, 63), (0, 1400)):
        part = fitted.sample({"EUR": then}, seed=7, start=first)
        assert same(part, whole.select(samples=np.arange(first, first + then)))
        assert part.samples[0] == f"SYN_EUR_{first + 1:06d}"


def test_a_start_counts_in_each_label_that_is_named(fitted) -> None:
    whole = fitted.sample({"AFR": 30, "SAS": 700}, seed=1)
    later = fitted.sample({"AFR": 10, "SAS": 680}, seed=1, start=20)
    kept = [*range(20, 30), *range(50, 730)]
    assert same(later, whole.select(samples=np.array(kept)))


def test_a_number_goes_on_where_a_smaller_number_stopped(fitted) -> None:
    whole, first, rest = (fitted.sample(n, seed=5, start=s) for n, s in ((900, 0), (250, 0), (650, 250)))
    joined = concat([first, rest])
    assert sorted(joined.samples) == sorted(whole.samples)
    assert same(joined.select(samples=whole.samples), whole)


@given(
    st.dictionaries(st.sampled_from("ABCDEFG"), st.integers(1, 60), min_size=1),
    st.integers(1, 400),
    st.integers(0, 400),
)
def test_the_plan_of_the_rest_and_the_plan_before_make_the_whole_plan(counts, n, start) -> None:
    whole = plan_counts(n + start, counts)
    try:
        plan, before = plan_from(n, counts, start)
    except UsageError as error:  # Alabama: a larger number may have fewer of a label
        first = plan_counts(start, counts)
        assert any(first[label] > whole.get(label, 0) for label in first)
        assert "give counts by label, for example" in str(error)
        return
    assert {k: plan.get(k, 0) + before.get(k, 0) for k in counts if k in plan or k in before} == whole
    assert sum(plan.values()) == n


def test_starts_that_cannot_be(fitted) -> None:
    with pytest.raises(UsageError) as caught:
        fitted.sample(5, start=-1)
    assert str(caught.value) == "The start is -1; accepted: a whole number, 0 or more."
    with pytest.raises(UsageError) as caught:
        sample_names({"A/B": 2, "A_B": 1}, before={"A/B": 3, "A_B": 3})
    assert str(caught.value) == (
        "People of 'A_B' share the names SYN_A_B_… with another label, so that their numbers depend on how many of "
        "the other are made; go on from a start with one of the two at a time."
    )
    assert sample_names({"A_B": 2}, before={"A_B": 3}).tolist() == ["SYN_A_B_000004", "SYN_A_B_000005"]


def test_another_label_beside_them_changes_nobody(fitted) -> None:
    alone = fitted.sample({"EUR": 70}, seed=2)
    beside = fitted.sample({"AFR": 600, "EUR": 70, "SAS": 1}, seed=2)
    assert same(of(beside, "EUR"), alone)


def test_start_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["pgcgan"])

    def run(line: str) -> None:
        assert cli.main(line.split()) == 0, capsys.readouterr().err

    run("simulate --people 60 --length 40000 -o c.vcf.gz")
    run("train c.vcf.gz --panel c.panel.tsv --min-maf 0.05 -o m")
    run("generate m -n EUR=1100 --seed 4 -o whole.vcf.gz")
    run("generate m -n EUR=1000 --seed 4 -o first.vcf.gz")
    run("generate m -n EUR=100 --start 1000 --seed 4 -o rest.vcf.gz")

    def columns(name: str) -> dict[str, list]:
        vcf = cyvcf2.VCF(name)
        calls = np.array([v.genotype.array() for v in vcf])
        return {sample: calls[:, i].tolist() for i, sample in enumerate(vcf.samples)}

    assert columns("first.vcf.gz") | columns("rest.vcf.gz") == columns("whole.vcf.gz")
    assert cli.main("generate m -n 3 --start 5 --min-distance 1 --real c.vcf.gz -o no.vcf".split()) == 2
    assert "--start has no meaning with --min-distance" in capsys.readouterr().err


# ---- threads --------------------------------------------------------------------------------------------------------

MODELS = {
    "defaults": "",
    "network": "--set threads=1 --steps 6 --set hidden=32 --set embedding=16 --set adversarial_steps=2",
}
CHAIN = """
import sys
from pgcgan.cli import main
models = {models!r}
lines = ["simulate --people 100 --length 40000 --seed 3 -o c.vcf.gz"]
for name, settings in models.items():
    lines += [f"train c.vcf.gz --panel c.panel.tsv --min-maf 0.02 --seed 2 {settings} -o {name}"]
    lines += [f"generate {name} -n 300 --seed 4 -o {name}.vcf.gz"]
sys.exit(any(main(line.split()) for line in lines))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return folders with models and people that were made with one thread and with two."""
    folders = {threads: tmp_path_factory.mktemp(f"threads{threads}") for threads in ("1", "2")}
    for threads, here in folders.items():
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, threads), "SOURCE_DATE_EPOCH": "0"}
        program = [sys.executable, "-c", CHAIN.replace("{models!r}", repr(MODELS))]
        run = subprocess.run(program, cwd=here, env=environment, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
    return folders


@pytest.mark.parametrize("kind", MODELS)
def test_one_thread_and_two_make_the_same_files(kind: str, made: dict[str, Path]) -> None:
    names = [f"{kind}.vcf.gz", f"{kind}.vcf.gz.tbi", f"{kind}.panel.tsv", f"{kind}/weights.safetensors"]
    names += [f"{kind}/sites.json", "c.vcf.gz"]
    assert [n for n in names if (made["1"] / n).read_bytes() != (made["2"] / n).read_bytes()] == []
