"""The estimate before a training: against what trainings take, and how it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

import pgcgan
from pgcgan import cli
from pgcgan.errors import DataError
from pgcgan.generators.estimate import Estimate, ExpectedLeak
from pgcgan.generators.haplotype.blocks import find_blocks
from pgcgan.generators.haplotype.cost import estimate_leak
from pgcgan.genotypes import Genotypes
from pgcgan.numerics import roc_auc
from pgcgan.runtime.memory import available_bytes, resident_bytes

MEASURE = """
import json, resource, sys
import pgcgan
from pgcgan.runtime.memory import resident_bytes
people, sites = json.loads(sys.argv[1])
cohort = pgcgan.simulate(people, length=500 * sites, seed=1).select(min_maf=0.01).select(sites=slice(0, sites))
model = pgcgan.HaplotypeModel()
estimate, before = model.estimate(cohort), resident_bytes()
model.fit(cohort)
status = open("/proc/self/status").read() if sys.platform == "linux" else ""
lines = [line.split() for line in status.splitlines() if line.startswith("VmHWM:")]
peak = 1024 * int(lines[0][1]) if lines else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([cohort.n_variants, estimate.peak_bytes, peak, before]))
"""


def test_the_peak_is_within_a_factor_of_two() -> None:
    command = [sys.executable, "-c", MEASURE, json.dumps([300, 300])]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    fitted_sites, expected, peak, before = json.loads(run.stdout)
    assert fitted_sites == 300
    assert 0.5 < expected / peak < 2
    # what the fit itself adds
    assert 0.4 < (expected - before) / (peak - before) < 2.5


def test_more_sites_or_people_take_more() -> None:
    cohort = pgcgan.simulate(160, length=150_000, seed=2)

    model = pgcgan.HaplotypeModel()
    whole = model.estimate(cohort)
    half = model.estimate(cohort.select(sites=slice(0, cohort.n_variants // 2)))
    assert (whole.sites, whole.people, whole.haplotypes) == (cohort.n_variants, 160, 320)
    assert half.seconds < whole.seconds
    assert half.peak_bytes < whole.peak_bytes
    assert model.estimate(cohort.without_phase()).haplotypes == 0
    assert model.estimate(cohort.select(samples=np.arange(80))).seconds < whole.seconds
    # the baselines cost next to nothing
    assert pgcgan.LiStephens().estimate(cohort) is None


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (
            Estimate(5935, 2002, 4004, 1_070_000_000, 47.2),
            "5,935 sites, 2,002 people, 4,004 haplotypes: about 1.1 GB of memory at the peak and 47 seconds expected",
        ),
        (
            Estimate(64, 20, 0, 420_000_000, 0.2),
            "64 sites, 20 people, unphased: about 0.42 GB of memory at the peak and 1 second expected",
        ),
        (
            Estimate(1_000_000, 500_000, 1_000_000, 20_000_000_000_000, 3e6),
            "1,000,000 sites, 500,000 people, 1,000,000 haplotypes: about 20,000 GB of memory at the peak and "
            "35 days expected",
        ),
    ],
)
def test_an_estimate_as_text(estimate: Estimate, text: str) -> None:
    assert str(estimate) == text
    estimate.check(None)
    estimate.check(estimate.peak_bytes)
    with pytest.raises(DataError) as caught:
        estimate.check(400_000_000)
    for fact in (text, "0.4 GB", "--min-maf", "--region", "--split"):
        assert fact in str(caught.value)


def system(folder: Path, free: int, groups: dict[str, tuple[str, int, int]], line: str) -> tuple[Path, Path]:
    """Write the files of a system: free memory, and of control groups limit, use, and cache in that."""
    proc, cgroups = folder / "proc", folder / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text(f"MemTotal:  1 kB\nMemFree:  1 kB\nMemAvailable:  {free // 1024} kB\n")
    (proc / "self" / "cgroup").write_text(line)
    for path, (limit, used, cache) in groups.items():
        (cgroups / path).mkdir(parents=True, exist_ok=True)
        first = "memory" in path
        (cgroups / path / ("memory.limit_in_bytes" if first else "memory.max")).write_text(f"{limit}\n")
        (cgroups / path / ("memory.usage_in_bytes" if first else "memory.current")).write_text(f"{used}\n")
        name = "total_inactive_file" if first else "inactive_file"
        (cgroups / path / "memory.stat").write_text(f"anon 3\n{name} {cache}\n")
    return proc, cgroups


@pytest.mark.parametrize(
    ("groups", "line", "left"),
    [
        ({}, "", 8_000_000_000),
        ({"": ("max", 10, 0)}, "0::/\n", 8_000_000_000),
        ({"": ("5000000000", 2_000_000_000, 500_000_000)}, "0::/\n", 3_500_000_000),
        ({"a/b": ("max", 1, 0), "a": ("3000000000", 1_000_000_000, 0)}, "0::/a/b\n", 2_000_000_000),
        ({"memory/job": ("4000000000", 1_000_000_000, 0)}, "8:pids:/\n4:memory:/job\n", 3_000_000_000),
        ({"memory": ("4000000000", 5_000_000_000, 0)}, "4:cpu,memory:/somewhere/else\n", 0),
        ({"": ("90000000000", 2_000_000_000, 0)}, "0::/\n", 8_000_000_000),
    ],
)
def test_the_least_of_what_is_free_counts(
    tmp_path: Path, groups: dict[str, tuple[str, int, int]], line: str, left: int
) -> None:
    available = available_bytes(*system(tmp_path, 8_000_000_000, groups, line))
    assert available is not None
    assert available - resident_bytes() == pytest.approx(left, abs=20_000_000)


def test_what_does_not_fit_is_refused_before_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cohort: Genotypes
) -> None:
    monkeypatch.chdir(tmp_path)
    cohort = cohort.select(sites=slice(0, 60))
    pgcgan.write(cohort, "c.vcf.gz")
    line = ["train", "c.vcf.gz", "--panel", "c.panel.tsv", "-o", "m"]
    monkeypatch.setattr("pgcgan.runtime.memory.available_bytes", lambda: 100_000_000)
    assert cli.main(line) == 2
    message = capsys.readouterr().err
    for fact in (f"{cohort.n_variants} sites", "150 people", "300 haplotypes", "0.1 GB", "--min-maf", "--region"):
        assert fact in message
    assert not (tmp_path / "m").exists()
    monkeypatch.setattr("pgcgan.runtime.memory.available_bytes", lambda: None)
    assert cli.main(line) == 0
    first = capsys.readouterr().err.splitlines()[0]
    assert first.startswith(f"{cohort.n_variants} sites, 150 people, 300 haplotypes: about ")


# ---- the expected leak --------------------------------------------------------------------------------------------


def test_the_expected_leak_is_that_of_the_likelihood_ratio_attack() -> None:
    generator = np.random.default_rng(3)
    sites, people = 300, 200
    p = generator.uniform(0.2, 0.8, sites)
    aucs = []
    for _ in range(20):
        members, others = (generator.random((people, 2, sites)) < p for _ in range(2))
        released = members.mean(axis=(0, 1))
        weights = (released - p) / (p * (1 - p))
        aucs.append(roc_auc(*(((x - p) @ weights).sum(axis=1) for x in (members, others))))
    assert ExpectedLeak(sites, 2 * people).auc == pytest.approx(np.mean(aucs), abs=0.01)


def test_how_many_people_lower_the_expected_leak() -> None:
    leak = ExpectedLeak(5161, 4004)  # HLA
    assert leak.auc == pytest.approx(norm.cdf(np.sqrt(5161 / 4004)))
    for auc in (0.55, 0.6, 0.8):
        needed = leak.people_for(auc)
        assert needed == np.ceil(5161 / norm.ppf(auc) ** 2 / 2)
        assert ExpectedLeak(5161, 2 * needed).auc <= auc < ExpectedLeak(5161, 2 * needed - 2).auc
    assert f"{leak.people_for():,} people" in str(leak)
    assert "0.87 (5,161 free frequencies, 4,004 haplotypes" in str(leak)
    assert repr(leak) == "ExpectedLeak(AUC 0.872; 5,161 free frequencies, 4,004 haplotypes)"


def test_a_part_of_the_sites_foretells_the_free_frequencies(cohort: Genotypes, monkeypatch: pytest.MonkeyPatch) -> None:
    small = cohort.select(sites=slice(0, 100))
    model = pgcgan.HaplotypeModel(min_carriers=4, inverse_temperature=1.0, run_carriers=6).fit(small)
    assert estimate_leak(small, model.label, model.parameters()) == model.expected_leak_
    blocks = model.blocks_
    assert model.expected_leak_ == ExpectedLeak(sum(len(t) for t in blocks.templates) - len(blocks), 300)
    assert estimate_leak(small, ("super_pop",), pgcgan.LiStephens().parameters()) is None
    monkeypatch.setattr("pgcgan.generators.haplotype.cost._LEAK_WINDOWS", 4)
    monkeypatch.setattr("pgcgan.generators.haplotype.cost._MOST_SITES", 80)
    rows, person = cohort.haplotypes(), np.repeat(np.arange(150), 2)
    label = np.repeat(np.unique(cohort.label("super_pop").astype(str), return_inverse=True)[1], 2)
    exact = find_blocks(rows, person, min_carriers=4, label=label)
    guess = estimate_leak(cohort, model.label, model.parameters())
    assert cohort.n_variants > 400 and f"320 of {cohort.n_variants} sites" in str(guess)
    assert guess.free_frequencies == pytest.approx(sum(exact.sizes) - len(exact), rel=0.2)


def test_the_gan_has_no_estimate_of_time_and_says_how_long_it_trains(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cohort: Genotypes
) -> None:
    pgcgan.write(cohort.select(sites=slice(0, 60)), tmp_path / "c.vcf.gz")
    where = [f"{tmp_path}/c.vcf.gz", "--panel", f"{tmp_path}/c.panel.tsv"]
    assert cli.main(["estimate", *where, "--model", "gan", "--steps", "1234"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("expected leak") and "1,234 steps" in lines[1] and "--minutes" in lines[1]


def test_the_leak_is_printed_before_a_training_and_after_it_only_if_another_and_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cohort: Genotypes
) -> None:
    monkeypatch.chdir(tmp_path)
    pgcgan.write(cohort.select(sites=slice(0, 60)), "c.vcf.gz")
    assert cli.main(["estimate", "c.vcf.gz", "--panel", "c.panel.tsv"]) == 0
    first = capsys.readouterr().err.splitlines()
    assert cli.main(["train", "c.vcf.gz", "--panel", "c.panel.tsv", "-o", "m"]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("expected leak")]
    leak = pgcgan.load("m").expected_leak_
    assert lines == [str(leak)] and lines[0] == first[1]  # so few sites are all looked at
    stored = json.loads(Path("m/model.json").read_text())["expected_leak"]
    assert stored == pgcgan.load("m").facts()["expected leak"]
    assert stored["AUC"] == pytest.approx(norm.cdf(np.sqrt(leak.free_frequencies / 300)), abs=1e-4)
    monkeypatch.setattr("pgcgan.generators.haplotype.cost.estimate_leak", lambda *_: ExpectedLeak(9, 300))
    assert cli.main(["train", "c.vcf.gz", "--panel", "c.panel.tsv", "-o", "m", "--force"]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("expected leak")]
    assert lines == [str(ExpectedLeak(9, 300)), str(leak)]
    card = Path("m/MODEL_CARD.md").read_text()
    assert f"{stored['AUC']:.4g}, from {leak.free_frequencies} free frequencies of 300 haplotypes" in card
    assert cli.main(["train", "c.vcf.gz", "--panel", "c.panel.tsv", "-o", "w", "--windows", "50"]) == 0
    of_windows = pgcgan.load("w")
    parts = [json.loads(path.read_text()) for path in Path("w/windows").glob("*/model.json")]
    total = sum(part["expected_leak"]["free frequencies"] for part in parts)
    assert parts and of_windows.expected_leak_ == ExpectedLeak(total, 300)
    assert str(of_windows.expected_leak_) in capsys.readouterr().err
