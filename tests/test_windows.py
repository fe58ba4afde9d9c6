"""Genome-wide models: one person through all windows, the same bytes whoever fits and draws them, nothing by halves."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from pgcgan import Genotypes, concat, evaluate, load, read, simulate, write
from pgcgan.cli import main
from pgcgan.errors import DataError, ModelError, PgcganError, UsageError
from pgcgan.genome import GenomeModel, Plan, Source, finish, fit_window, fit_windows, make_plan, train
from pgcgan.genome.plan import even_breakpoints, linkage_across
from pgcgan.genotypes import Variants
from pgcgan.metrics import Evaluation
from pgcgan.metrics.genome import agreement, ancestry_scores, far_pairs, linkage_error
from pgcgan.runtime.executors import executor

PEOPLE, SIZE = 240, 120
# what is chosen by trial otherwise, and takes most of the time of a fit as small as these
QUICK: dict[str, Any] = {"run_carriers": 4, "inverse_temperature": 1.0}


@pytest.fixture(scope="module")
def genome() -> Genotypes:
    """Return people with two contigs; within the only label there are two hidden populations."""
    parts: list[Genotypes] = []
    for contig in ("1", "2"):
        part = simulate(PEOPLE, length=160_000, seed=10 + int(contig), populations={"AFR": 1, "EAS": 1})
        part = part.select(min_maf=0.05)
        v = part.variants
        lengths = {"1": 160_000, "2": 160_000}
        named = Variants(np.full(len(v), contig, dtype=object), v.position, v.id, v.ref, v.alt, lengths)
        labels = {"hidden": part.label("super_pop"), "group": np.full(PEOPLE, "all", dtype=object)}
        parts.append(replace(part, variants=named, labels=labels))
    return concat(parts, axis="variants")


@pytest.fixture(scope="module")
def source(genome: Genotypes, tmp_path_factory: pytest.TempPathFactory) -> Source:
    folder = tmp_path_factory.mktemp("genome")
    write(genome, folder / "g.vcf.gz")
    return Source(str(folder / "g.vcf.gz"), str(folder / "g.panel.tsv"))


@pytest.fixture(scope="module")
def model(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(source, tmp_path_factory.mktemp("model") / "m", size=SIZE, label=["group"], seed=1, **QUICK)


def bytes_of(directory: Path) -> dict[str, bytes]:
    """Return the files of a model; when it was made, and by what command, is not compared."""
    files = {str(p.relative_to(directory)): p.read_bytes() for p in sorted(directory.rglob("*")) if p.is_file()}
    metadata = json.loads(files["model.json"])
    del metadata["provenance"]
    files["model.json"] = json.dumps(metadata).encode()
    return files


# ---- the plan -------------------------------------------------------------------------------------------------


def test_windows_cover_every_site_once_and_are_cut_where_linkage_is_low(
    genome: Genotypes, source: Source, tmp_path: Path
) -> None:
    plan = make_plan(source, tmp_path / "m", size=SIZE, label=["group"], **QUICK)
    own = np.zeros(genome.n_variants, dtype=int)
    seams = 0
    for window in plan.windows:
        inside = np.flatnonzero(
            (genome.variants.contig == window.contig)
            & (genome.variants.position >= window.first)
            & (genome.variants.position <= window.last)
        )
        assert len(inside) == window.sites
        own[inside[window.overlap :]] += 1
        if window.overlap:
            assert window.overlap == SIZE // 4
            here = genome.variants.contig == window.contig
            across = linkage_across(genome.calls[here].reshape(here.sum(), -1).T, SIZE // 5)
            cut = int(inside[window.overlap] - np.flatnonzero(here)[0])
            even = min(even_breakpoints(here.sum(), SIZE), key=lambda site: abs(site - cut))
            near = across[even - SIZE // 10 : even + SIZE // 10 + 1]
            assert across[cut] == pytest.approx(near.min())
            assert near.min() < near.max()
            seams += 1
    assert (own == 1).all()
    assert {w.contig for w in plan.windows} == {"1", "2"}
    assert seams >= 4
    # the hidden populations are found, from a few hundred sites
    population, _ = Plan.people(tmp_path / "m")
    assert adjusted_rand_score(genome.label("hidden").astype(str), population) > 0.7


def test_a_frequency_filter_is_that_of_the_whole_cohort(genome: Genotypes, source: Source, tmp_path: Path) -> None:
    common = replace(source, options={"min_maf": 0.2}, samples=genome.samples[:100].tolist())
    plan = make_plan(common, tmp_path / "m", size=SIZE, label=["group"], **QUICK)
    expected = genome.select(samples=np.arange(100), min_maf=0.2)
    assert sum(w.sites - w.overlap for w in plan.windows) == expected.n_variants
    assert plan.source.samples == expected.samples.tolist()
    assert plan.label_counts == {"all": 100}


@pytest.mark.parametrize("name", ["g.pgen", "g.vcz", "g.bcf"])
def test_a_genome_is_the_same_in_every_format(genome: Genotypes, source: Source, tmp_path: Path, name: str) -> None:
    write(genome, tmp_path / name)
    plans = [
        make_plan(replace(source, path=path), tmp_path / str(i), size=SIZE, label=["group"], **QUICK)
        for i, path in enumerate((source.path, str(tmp_path / name)))
    ]
    assert plans[0].windows == plans[1].windows
    assert plans[0].identity == plans[1].identity


# ---- the same bytes, whoever does it -----------------------------------------------------------------------------


def test_progress_is_reported_after_each_window(source: Source, tmp_path: Path) -> None:
    fitted: list[int] = []

    def count(event: dict[str, Any]) -> None:
        if event["stage"] == "windows":
            fitted.append(len(list((tmp_path / "m" / "windows").glob("[0-9]*"))))

    train(source, tmp_path / "m", size=SIZE, label=["group"], seed=1, on_event=count, **QUICK)
    assert fitted == list(range(1, len(fitted) + 1))
    assert len(fitted) >= 4


def test_serial_and_processes_give_the_same_bytes(source: Source, model: Path, tmp_path: Path) -> None:
    genome_wide = GenomeModel.load(model)
    genome_wide.write(600, tmp_path / "serial.npz", seed=3)
    with executor("processes:2") as runs:
        train(source, tmp_path / "m", size=SIZE, label=["group"], seed=1, executor=runs, **QUICK)
        GenomeModel.load(tmp_path / "m").write(600, tmp_path / "processes.npz", seed=3, executor=runs)
    assert bytes_of(tmp_path / "m") == bytes_of(model)
    serial, parallel = (read(tmp_path / f"{name}.npz") for name in ("serial", "processes"))
    assert serial.equals(parallel)
    # a person depends on seed, label and number alone
    assert genome_wide.sample(10, seed=3).equals(serial.select(samples=np.arange(10)))
    assert genome_wide.sample(80, seed=3, start=500).equals(serial.select(samples=np.arange(500, 580)))
    assert not genome_wide.sample(10, seed=4).equals(serial.select(samples=np.arange(10)))


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Yield the address of a Dask scheduler on loopback, and the processes: that of the scheduler, then the workers."""
    folder.mkdir()
    where, local = folder / "scheduler.json", ["--host", "127.0.0.1", "--no-dashboard"]
    with (folder / "log").open("wb") as log:

        def start(*arguments: object) -> subprocess.Popen[bytes]:
            command = [sys.executable, "-m", "dask", *map(str, arguments), "--scheduler-file", str(where), *local]
            return subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)

        started = [start("scheduler", "--port", 0)]
        try:
            started += [start("worker", "--nthreads", 1, "--no-nanny") for _ in range(workers)]
            while not where.exists() or not where.read_text().strip():
                assert started[0].poll() is None, (folder / "log").read_text()
                time.sleep(0.05)
            yield json.loads(where.read_text())["address"].removeprefix("tcp://"), started
        finally:
            for process in started:
                process.kill()
                process.wait()


@pytest.mark.torture
def test_dask_gives_the_same_bytes_when_the_scheduler_is_killed_and_then_a_worker(
    source: Source, model: Path, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {"size": SIZE, "label": ["group"], "seed": 1, **QUICK}
    with (
        cluster(tmp_path / "one", 1) as (address, processes),
        pytest.raises(PgcganError, match=f"The Dask scheduler at {address} was lost"),
        executor(f"dask://{address}") as runs,
    ):

        def at_first(event: dict[str, Any]) -> None:
            if event["stage"] == "windows":
                processes[0].kill()

        train(source, tmp_path / "m", executor=runs, on_event=at_first, **asked)
    with pytest.raises(ModelError, match="are not finished"):
        GenomeModel.load(tmp_path / "m")
    with cluster(tmp_path / "two", 2) as (address, processes), executor(f"dask://{address}") as runs:
        train(source, tmp_path / "m", executor=runs, resume=True, on_event=lambda _: processes[1].kill(), **asked)
        assert processes[1].wait() == -signal.SIGKILL
        GenomeModel.load(tmp_path / "m").write(600, tmp_path / "people.npz", seed=3, executor=runs)
    assert bytes_of(tmp_path / "m") == bytes_of(model)
    assert read(tmp_path / "people.npz").equals(GenomeModel.load(model).sample(600, seed=3))


def test_a_run_that_is_killed_goes_on_where_it_was(source: Source, model: Path, tmp_path: Path) -> None:
    code = f"""
import os, signal
from pgcgan import HaplotypeModel, genome
save = HaplotypeModel.save
def save_and_die(self, path, **options):
    save(self, path, **options)
    if "00003" in str(path):
        os.kill(os.getpid(), signal.SIGKILL)  # the window is written, and has not got its name
HaplotypeModel.save = save_and_die
source = genome.Source({source.path!r}, {source.panel!r})
genome.train(source, {str(tmp_path / "m")!r}, size={SIZE}, label=["group"], seed=1, **{QUICK!r})
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    windows = tmp_path / "m" / "windows"
    assert sorted(p.name for p in windows.iterdir() if not p.name.startswith(".")) == ["00001", "00002"]
    assert [p for p in windows.rglob("*") if "00003" in str(p)]
    for read_or_finish in (GenomeModel.load, finish):
        with pytest.raises(ModelError, match=r"not finished|not fitted: 3, 4"):
            read_or_finish(tmp_path / "m")
    before = (windows / "00001" / "model.json").stat().st_mtime_ns
    for other in ({"seed": 2}, {"seed": 1, "overlap": 5}, {"seed": 1, "run_carriers": 6}):
        with pytest.raises(ModelError, match="other parameters"):
            train(source, tmp_path / "m", size=SIZE, label=["group"], resume=True, **{**QUICK, **other})
    fewer = replace(source, samples=lambda present: present[1:])
    with pytest.raises(ModelError, match="other people"):
        train(fewer, tmp_path / "m", size=SIZE, label=["group"], seed=1, resume=True, **QUICK)
    train(source, tmp_path / "m", size=SIZE, label=["group"], seed=1, resume=True, **QUICK)
    assert (windows / "00001" / "model.json").stat().st_mtime_ns == before
    assert bytes_of(tmp_path / "m") == bytes_of(model)


def test_fitted_in_memory_saved_loaded_and_written_it_is_the_same_model(genome: Genotypes, tmp_path: Path) -> None:
    model = GenomeModel("group", seed=1, size=SIZE, of_windows=QUICK).fit(genome)
    saved = model.save(tmp_path / "m")
    copied = {str(p.relative_to(saved)): p.read_bytes() for p in saved.rglob("*") if p.is_file()}
    for name, content in copied.items():
        assert (model.directory_ / name).read_bytes() == content
    assert sorted(p.name for p in saved.iterdir()) == ["model.json", "windows"]
    with pytest.raises(UsageError, match="exists"):
        model.save(saved)
    assert model.save(saved, force=True) == saved
    people = model.sample({"all": 30}, seed=5)
    restored = load(saved)
    assert isinstance(restored, GenomeModel)
    assert restored.parameters() == model.parameters()
    restored.write(30, tmp_path / "x.npz", seed=5)
    assert read(tmp_path / "x.npz", tmp_path / "x.panel.tsv").equals(people)
    # the sites of all windows, each once
    assert np.array_equal(people.variants.position, genome.variants.position)
    assert restored.facts()["label_counts"] == {"all": PEOPLE}


def test_fitted_to_other_sites_it_has_those(genome: Genotypes) -> None:
    model = GenomeModel("group", seed=1, size=SIZE, of_windows=QUICK)
    first, second = (genome.select(sites=slice(0, sites)) for sites in (80, 50))
    assert len(model.fit(first).variants_) == 80
    assert model.fit(second).sample({"all": 3}, seed=1).variants.position.tolist() == second.variants.position.tolist()


# ---- one person inside -------------------------------------------------------------------------------------------


def root_mean_square(real: Genotypes, synthetic: Genotypes, cuts: list[int], reach: int) -> float:
    errors = []
    for cut in cuts:
        around = np.arange(max(0, cut - reach), min(cut + reach, real.n_variants))
        errors.append(linkage_error(real.select(sites=around), synthetic.select(sites=around), cut - around[0]))
    return float(np.sqrt((np.concatenate(errors) ** 2).mean()))


def test_linkage_across_seams_is_like_that_inside(
    genome: Genotypes, source: Source, model: Path, tmp_path: Path
) -> None:
    apart = train(source, tmp_path / "m", size=SIZE, label=["group"], seed=1, overlap=0, **QUICK)
    cuts, middles = GenomeModel.load(model).seams()
    own = [w.sites - w.overlap for w in GenomeModel.load(model).windows_]
    assert set(cuts) < set(np.cumsum(own))
    assert [w.last for w in GenomeModel.load(apart).windows_] == [w.last for w in GenomeModel.load(model).windows_]
    assert len(cuts) >= 4
    joined, separate = (GenomeModel.load(path).sample(600, seed=1) for path in (model, apart))
    inside = root_mean_square(genome, joined, middles, 20)
    assert root_mean_square(genome, joined, cuts, 20) < 1.5 * inside
    assert root_mean_square(genome, separate, cuts, 20) > 2 * inside


def test_a_person_has_one_ancestry_along_the_genome(genome: Genotypes, model: Path) -> None:
    people = GenomeModel.load(model).sample(600, seed=2)

    def agreed(people: Genotypes) -> tuple[float, float, float]:
        scores = ancestry_scores(genome, people, genome.label("group"), people.label("group"))
        r, low, high = agreement(scores)
        contig = [np.corrcoef(scores[0, :, 0], scores[1, :, 0])[0, 1]]
        assert r[0] == pytest.approx(contig[0])
        return float(r[0]), float(low[0]), float(high[0])

    real, synthetic = agreed(genome), agreed(people)
    assert real[0] > 0.5
    assert synthetic[2] > real[1]
    assert synthetic[0] > 0.6 * real[0]
    # contigs of different people do not agree
    half = people.variants.contig == "1"
    mixed = people.calls.copy()
    mixed[half] = mixed[half][:, ::-1]
    assert abs(agreed(replace(people, calls=mixed))[0]) < 0.15
    # what is far apart goes with the ancestry of the label, too
    assert far_pairs(genome, genome) == pytest.approx(1)
    assert far_pairs(genome, people) > far_pairs(genome, replace(people, calls=mixed)) + 0.2


def test_a_genome_is_evaluated_by_stretches(
    genome: Genotypes, source: Source, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unseen = concat([genome.select(samples=np.arange(0, PEOPLE, 3))])
    unseen = replace(unseen, samples=np.array([f"unseen{i}" for i in range(unseen.n_samples)], dtype=object))
    write(concat([genome, unseen]), tmp_path / "real.bcf")
    GenomeModel.load(model).write(PEOPLE, tmp_path / "people.vcf.gz", seed=3)
    (tmp_path / "split.tsv").write_text(
        "sample\tsplit\n" + "".join(f"{s}\t{'train' if s in set(genome.samples) else 'test'}\n"
                                   for s in [*genome.samples, *unseen.samples])
    )  # fmt: skip
    command = ["windows", "evaluate", str(model), "--real", str(tmp_path / "real.bcf")]
    command += ["--panel", str(tmp_path / "real.panel.tsv"), "--synthetic", str(tmp_path / "people.vcf.gz")]
    assert main([*command, "--split", str(tmp_path / "split.tsv"), "-o", str(tmp_path / "e.json")]) == 0
    table = capsys.readouterr().out
    evaluation = Evaluation.from_json((tmp_path / "e.json").read_text())
    people = read(tmp_path / "people.vcf.gz", tmp_path / "people.panel.tsv")
    # fewer sites than are taken of a genome: all that are common, as by evaluate
    sites = np.flatnonzero(np.minimum(genome.allele_frequency(), 1 - genome.allele_frequency()) >= 0.05)
    whole = evaluate(
        genome.select(sites=sites), people.select(sites=sites), holdout=unseen.select(sites=sites), label="group"
    )
    assert evaluation.rows[: len(whole.rows)] == whole.rows
    cuts, middles = GenomeModel.load(model).seams()
    for name, places in (("across seams", cuts), ("inside windows", middles)):
        row = evaluation.get(f"LD RMSE, {name}")
        assert row.value == pytest.approx(root_mean_square(unseen, people, places, 50), rel=0.02)
        assert row.floor == pytest.approx(root_mean_square(unseen, genome, places, 50), rel=0.02)
        assert row.low is not None and row.high is not None and row.value is not None
        assert row.low < row.value < row.high
    assert evaluation.get("far pairs r, between contigs").value == pytest.approx(far_pairs(unseen, people))
    assert "ancestry between contigs, axis 1" in table
    # everybody was trained on
    assert main([*command, "-o", str(tmp_path / "e.html")]) == 0
    assert "across seams" in capsys.readouterr().out and "across seams" in (tmp_path / "e.html").read_text()
    fewer = people.select(sites=np.delete(np.arange(people.n_variants), slice(5, 15)))
    write(fewer, tmp_path / "fewer.bcf")
    command[-1] = str(tmp_path / "fewer.bcf")
    assert main(command) == 2
    assert f"fewer.bcf: {people.variants.name(5)}, " in capsys.readouterr().err


# ---- what it says ------------------------------------------------------------------------------------------------


def test_a_finished_model_holds_no_person(genome: Genotypes, model: Path) -> None:
    assert sorted(p.name for p in model.iterdir()) == ["model.json", "windows"]
    text = b"".join(p.read_bytes() for p in model.rglob("*.json"))
    assert not [name for name in genome.samples if name.encode() in text]


def test_what_cannot_be_done_is_said(source: Source, model: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match=r"accepted: serial, processes, processes:N, dask://HOST:PORT"),
        executor("cluster"),
    ):
        pass
    with pytest.raises(UsageError, match="50 or more"):
        make_plan(source, tmp_path / "m", size=10, label=["group"])
    with pytest.raises(UsageError, match="'epochs'.*min_carriers"):
        make_plan(source, tmp_path / "m", size=SIZE, label=["group"], epochs=2.0)
    with pytest.raises(UsageError, match="min_carriers is 0"):
        make_plan(source, tmp_path / "m", size=SIZE, label=["group"], min_carriers=0)
    with pytest.raises(UsageError, match="model.json, windows"):
        make_plan(source, model, size=SIZE, label=["group"])
    with pytest.raises(ModelError, match="pgcgan windows plan"):
        fit_windows(tmp_path / "nothing")
    plain = tmp_path / "plain.vcf.gz"
    shutil.copy(source.path, plain)
    with pytest.raises(UsageError, match="has no index"):
        make_plan(replace(source, path=str(plain)), tmp_path / "m", size=SIZE, label=["group"])
    shutil.copy(source.path + ".tbi", str(plain) + ".tbi")
    copied = replace(source, path=str(plain))
    make_plan(copied, tmp_path / "m", size=SIZE, label=["group"], **QUICK)
    with pytest.raises(UsageError, match="windows 1 to"):
        fit_window(tmp_path / "m", 99)
    people = read(source.path, source.panel)
    changed = people.calls.copy()
    changed[5, 7] = 1 - changed[5, 7]
    write(replace(people, calls=changed), plain, force=True)
    with pytest.raises(DataError, match="window 1 .1:.* differs"):
        fit_window(tmp_path / "m", 1)
    assert not list((tmp_path / "m").glob("windows/*"))


def test_the_command_line_plans_fits_finishes_and_generates(
    source: Source, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    quick = ["--set", "run_carriers=4", "--set", "inverse_temperature=1.0"]
    given = [source.path, "--panel", str(source.panel), "--label", "group", "--seed", "1", "--windows", str(SIZE)]
    assert main(["windows", "plan", *given, *quick, "-o", "m"]) == 0
    count = len(Plan.load("m").windows)
    assert main(["windows", "finish", "m"]) == 2
    assert f"{count} of the {count} windows of m are not fitted" in capsys.readouterr().err
    for index in range(1, count + 1):
        assert main(["windows", "fit", "m", "--index", str(index)]) == 0
    assert main(["windows", "finish", "m"]) == 0
    assert bytes_of(Path("m")) == bytes_of(model)
    assert main(["generate", "m", "-n", "9", "--seed", "3", "-o", "x.bcf"]) == 0
    people = GenomeModel.load(model).sample(9, seed=3)
    assert read("x.bcf", "x.panel.tsv").equals(people)
    of_contig = ["generate", "m", "-n", "9", "--seed", "3", "--contig"]
    assert main([*of_contig, "2", "-o", "2.npz"]) == 0
    assert read("2.npz").equals(people.select(sites=people.variants.contig == "2"))
    assert main([*of_contig, "2", "--contig", "1", "-o", "both.npz"]) == 0
    assert read("both.npz").equals(people)
    capsys.readouterr()
    assert main([*of_contig, "chr2", "-o", "x.npz"]) == 2
    error = capsys.readouterr().err
    assert "'chr2'" in error and "1, 2" in error
    for contigs, part in (("12", "'12'"), ([], "1, 2")):  # a text is one name, not its characters
        with pytest.raises(UsageError, match=part):
            GenomeModel.load(model).write(9, "x.npz", contigs=contigs)
    assert not Path("x.npz").exists()
    assert main(["info", "m", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["model"], facts["sites"], facts["windows"]) == ("windows", people.n_variants, count)
    assert main(["train", *given, "-o", "m", "--resume"]) == 2
    assert "finished" in capsys.readouterr().err
    assert main(["train", *given, *quick, "-o", "m", "--force"]) == 0
    assert bytes_of(Path("m")) == bytes_of(model)
