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

from pgcgan import cli
from pgcgan.errors import UsageError
from pgcgan.generators.generator import Generator
from pgcgan.genotypes import Genotypes, concat
from pgcgan.labels import plan_counts, plan_from, sample_names
from pgcgan.registry import BASELINES, create


@pytest.fixture(scope="module", params=["haplotype", *BASELINES])
def fitted(request: pytest.FixtureRequest, cohort: Genotypes) -> Generator:
    quick = {"run_carriers": 4, "inverse_temperature": 1.0} if request.param == "haplotype" else {}
    return create(request.param, seed=3, **quick).fit(cohort.select(sites=slice(0, 30)))


def test_a_thousand_and_then_more_are_those_of_one_call(fitted: Generator) -> None:
    whole = fitted.sample({"EUR": 1400}, seed=7)
    # 512 and 64 people are drawn from one stream: cuts on, before and behind its ends
    for first, then in ((1000, 400), (512, 1), (511, 3), (64, 700), (1, 63), (0, 1400)):
        part = fitted.sample({"EUR": then}, seed=7, start=first)
        assert part.equals(whole.select(samples=np.arange(first, first + then)))
        assert part.samples[0] == f"SYN-EUR-{first + 1:06d}"


def test_a_start_counts_in_each_label_that_is_named(fitted: Generator) -> None:
    whole = fitted.sample({"AFR": 30, "SAS": 700}, seed=1)
    later = fitted.sample({"AFR": 10, "SAS": 680}, seed=1, start=20)
    assert later.equals(whole.select(samples=np.r_[20:30, 50:730]))


def test_a_number_goes_on_where_a_smaller_number_stopped(fitted: Generator) -> None:
    whole, first, rest = (fitted.sample(n, seed=5, start=s) for n, s in ((900, 0), (250, 0), (650, 250)))
    joined = concat([first, rest])
    assert sorted(joined.samples) == sorted(whole.samples)
    assert joined.select(samples=whole.samples).equals(whole)


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


def test_starts_that_cannot_be(fitted: Generator) -> None:
    with pytest.raises(UsageError, match="-1.* 0 or more"):
        fitted.sample(5, start=-1, seed=0)
    with pytest.raises(UsageError, match="'A_B'.* SYN-A-B-"):
        sample_names({"A/B": 2, "A_B": 1}, before={"A/B": 3, "A_B": 3})
    assert sample_names({"A_B": 2}, before={"A_B": 3}).tolist() == ["SYN-A-B-000004", "SYN-A-B-000005"]


def test_another_label_beside_them_changes_nobody(fitted: Generator) -> None:
    alone = fitted.sample({"EUR": 70}, seed=2)
    beside = fitted.sample({"AFR": 600, "EUR": 70, "SAS": 1}, seed=2)
    assert beside.select(samples=beside.label("super_pop") == "EUR").equals(alone)


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
    assert "--min-distance" in capsys.readouterr().err


# ---- threads --------------------------------------------------------------------------------------------------------

CHAIN = """
import sys
from pgcgan.cli import main
lines = ["simulate --people 60 --length 20000 --seed 3 -o c.vcf.gz"]
for name in ("haplotype", "pca-gaussian"):
    lines += [f"train c.vcf.gz --panel c.panel.tsv --min-maf 0.02 --seed 2 --model {name} -o {name}"]
    lines += [f"generate {name} -n 300 --seed 4 -o {name}.vcf.gz"]
sys.exit(any(main(line.split()) for line in lines))
"""


def test_one_thread_and_two_write_the_same_files(tmp_path: Path) -> None:
    contents = []
    for threads in ("1", "2"):
        folder = tmp_path / threads
        folder.mkdir()
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, threads), "SOURCE_DATE_EPOCH": "0"}
        run = subprocess.run([sys.executable, "-c", CHAIN], cwd=folder, env=environment, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        contents.append({str(path.relative_to(folder)): path.read_bytes() for path in files})
    one, two = contents
    assert one.keys() == two.keys()
    assert {"c.vcf.gz", "pca-gaussian.vcf.gz.tbi", "haplotype/arrays.safetensors", "haplotype/model.json"} < one.keys()
    assert [name for name in one if one[name] != two[name]] == []
