"""The benchmark scripts, on a tiny simulated cohort, and the document that they write."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import pgcgan
from pgcgan.errors import DataError
from pgcgan.genotypes import Genotypes

FOLDER = Path(__file__).parents[1] / "benchmarks"
DOCUMENT = FOLDER.parent / "docs" / "benchmarks.md"


@pytest.fixture(scope="module")
def real_data() -> Iterator[ModuleType]:
    sys.path.insert(0, str(FOLDER))
    import real_data

    yield real_data
    sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def steps(real_data: ModuleType) -> ModuleType:
    import steps

    return steps


@pytest.fixture(scope="module")
def people(cohort: Genotypes) -> Genotypes:
    return cohort.select(sites=slice(0, 120))


@pytest.fixture(scope="module")
def folder(people: Genotypes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data folder like the real one, for 805 SNPs: published haplotypes are those of the people."""
    made = tmp_path_factory.mktemp("data")
    pgcgan.write(people, made / "snp805.vcf.gz")
    (made / "snp805.panel.tsv").rename(made / "panel.tsv")
    train = set(people.split(0.7, by="super_pop", seed=1)[0].samples)
    rows = "".join(f"{s}\t{'train' if s in train else 'test'}\n" for s in people.samples)
    (made / "split.tsv").write_text("sample\tsplit\n" + rows)
    for name in ("gan", "rbm"):
        save_published(made / f"snp805_{name}.npz", people, people.haplotypes())
    return made


def save_published(path: Path, people: Genotypes, haplotypes: np.ndarray, **other: np.ndarray) -> None:
    sites = people.variants
    columns = {
        "chrom": sites.contig.astype(str),
        "pos": sites.position,
        "ref": sites.ref.astype(str),
        "alt": sites.alt.astype(str),
    }
    np.savez(path, haplotypes=haplotypes.astype(np.uint8), **{**columns, **other})


@pytest.fixture(scope="module")
def written(
    real_data: ModuleType, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], str, str]:
    """Return the table (JSON), the document and the figure, made in this process by two runs."""
    out = tmp_path_factory.mktemp("results")
    document = out / "benchmarks.md"
    document.write_text("before\n<!-- real-data:snp805 -->\nold\n<!-- /real-data:snp805 -->\nafter\n")
    options = ["--data", str(folder), "--only", "snp805", "--out", str(out), "--document", str(document)]
    with pytest.MonkeyPatch.context() as patch:
        quick = {"calibrate": False, "inverse_temperature": 1.0, "run_carriers": 4}
        patch.setattr(real_data, "GENERATORS", {**real_data.GENERATORS, "haplotype": ("haplotype", quick)})
        real_data.main([*options, "--columns", "haplotype; published GAN"], isolate=False)
        real_data.main([*options, "--columns", "independent", "--seeds", "1,2"], isolate=False)
    figure = (out / "figures" / "pca-snp805.svg").read_text(encoding="utf-8")
    return json.loads((out / "snp805.json").read_text()), document.read_text(), figure


def test_the_table_has_every_generator_and_row(real_data: ModuleType, written: tuple[dict[str, Any], str, str]) -> None:
    result, text, figure = written
    assert list(result["generators"]) == ["independent", "haplotype", "published GAN"]
    assert {name: list(g["runs"]) for name, g in result["generators"].items()} == {
        "independent": ["1", "2"], "haplotype": ["1"], "published GAN": ["1"],
    }  # fmt: skip
    assert sum(result["train"].values()) + sum(result["holdout"].values()) == 150
    for name in ("independent", "haplotype"):
        for run in result["generators"][name]["runs"].values():
            assert run["sample_seconds"] > 0 and run["fit_seconds"] > 0, name
            assert run["values"].keys() == set(real_data.ROWS)
            assert run["values"]["TSTR accuracy"]["value"] is not None, name
    made = result["generators"]["haplotype"]["provenance"]
    assert made["machine"]["cores"] >= 1 and "--columns 'haplotype' --seeds 1" in made["command"]
    assert text.startswith("before\n<!-- real-data:snp805 -->\n### 805 SNPs") and text.endswith("-->\nafter\n")
    assert "old" not in text
    assert "Principal components" in figure
    assert text.count("\n| ") == 1 + len(real_data.ROWS) + len(real_data.COSTS)
    runs = {name: seeds for names, seeds in re.findall(r"^- (.*): seeds? ([0-9, ]+); ", text, re.MULTILINE)
            for name in names.split(", ")}  # fmt: skip
    assert runs == {"independent": "1, 2", "haplotype": "1", "published GAN": "1"}


def test_every_column_can_be_built(real_data: ModuleType) -> None:
    from pgcgan.registry import BASELINES, create

    families = {family for family, _ in real_data.GENERATORS.values()}
    assert families == {*BASELINES, "haplotype", "gan"}
    for family, parameters in real_data.GENERATORS.values():
        built = create(family, real_data.LABEL, **parameters).parameters()
        assert all(built[name] == value for name, value in parameters.items())


def test_bars_hold_for_the_mean_and_nearly_for_the_worst(real_data: ModuleType) -> None:
    from bars import Bar

    bar = Bar("LD RMSE", high=0.02)
    assert bar.holds([0.019, 0.018, 0.0205], [None] * 3)  # misses by less than a standard error, .00073
    assert not bar.holds([0.010, 0.010, 0.0300], [None] * 3)
    assert not bar.holds([0.021, 0.0205, 0.021], [None] * 3)
    near = Bar("TSTR accuracy", low=-0.015, from_floor=True)
    assert near.holds([0.766], [0.78]) and not near.holds([0.76], [0.78])
    assert str(bar) == "at most 0.02" and str(near) == "at least floor -0.015"
    assert str(Bar("AA_truth", 0.4, 0.61)) == "0.4 to 0.61"


def test_the_bars_are_shown_beside_what_was_reached(
    real_data: ModuleType, written: tuple[dict[str, Any], str, str]
) -> None:
    result, *_ = written
    assert len(real_data.bars_table(result)) == 1  # of HLA alone
    table = real_data.bars_table({**result, "name": "hla"})
    assert {row[0] for row in table[1:]} == {"haplotype"}
    shown = {row[1]: row for row in table[1:]}
    value = result["generators"]["haplotype"]["runs"]["1"]["values"]["AA_truth"]["value"]
    assert shown["AA_truth"][-1] == ("holds" if 0.40 <= value <= 0.61 else "missed")
    assert shown["fit time, s of a core"][-1] == "holds"


def test_a_bar_for_two_cores_is_judged_by_runs_on_two_cores(real_data: ModuleType) -> None:
    runs = {seed: {"values": {}, "fit_seconds": s, "cores": c} for seed, s, c in (("1", 800, 2), ("2", 1200, 1))}
    result = {"name": "hla", "generators": {"gan": {"runs": runs}}}

    def bar() -> list[str]:
        return next(row for row in real_data.bars_table(result) if row[1] == "fit time, s")

    assert bar()[2:] == ["at most 900, on 2 cores", "800", "800", "holds"]
    del runs["1"]
    assert bar()[-1] == "not measured"


def test_published_sets_say_that_they_have_no_labels(written: tuple[dict[str, Any], str, str]) -> None:
    result, text, _ = written
    values = result["generators"]["published GAN"]["runs"]["1"]["values"]
    cell = values["TSTR accuracy"]
    assert cell["value"] is None and cell["note"] == "needs labels"
    assert "TSTR accuracy, label fidelity — needs labels." in text
    # here the published haplotypes are the people themselves, so that they are at the floor
    assert values["AF r"]["value"] > 0.95


def test_a_number_in_the_table_is_that_of_an_evaluation_by_hand(
    folder: Path, people: Genotypes, written: tuple[dict[str, Any], str, str]
) -> None:
    from pgcgan.generators.baselines import IndependentSites

    train, holdout = people.split(0.7, by="super_pop", seed=1)
    rows = []
    for seed in (1, 2):
        synthetic = IndependentSites(seed=seed).fit(train).sample(train.n_samples, seed=seed)
        rows.append(pgcgan.evaluate(train, synthetic, holdout=holdout, seed=seed).get("LD RMSE"))
    result, text, _ = written
    for seed, row in zip("12", rows, strict=True):
        cell = result["generators"]["independent"]["runs"][seed]["values"]["LD RMSE"]
        assert (cell["value"], cell["floor"]) == pytest.approx((row.value, row.floor), rel=1e-4)
    mean, floor = (sum(numbers) / 2 for numbers in ([r.value for r in rows], [r.floor for r in rows]))
    assert f"| LD RMSE | lower | {pgcgan.metrics.figure(floor)} | {pgcgan.metrics.figure(mean)} |" in text


def test_a_generator_in_its_own_process(real_data: ModuleType, folder: Path, tmp_path: Path) -> None:
    job = json.dumps(["independent", 1, str(tmp_path / "calls.npy")])
    costs = real_data.in_own_process(
        str(FOLDER / "real_data.py"), ["--data", str(folder), "--only", "snp805", "--fit", job]
    )
    assert 0.05e9 < costs["peak_bytes"] < 2e9
    assert np.load(tmp_path / "calls.npy").shape == (120, len(costs["samples"]), 2)


def test_published_alleles_are_matched_to_the_file(real_data: ModuleType, people: Genotypes, tmp_path: Path) -> None:
    rows, sites = people.haplotypes(), people.variants
    ref, alt = sites.ref.astype(str), sites.alt.astype(str)
    odd = np.arange(len(sites)) % 2 == 1
    swapped = {"ref": np.where(odd, alt, ref), "alt": np.where(odd, ref, alt)}
    save_published(tmp_path / "a.npz", people, np.where(odd, 1 - rows, rows), **swapped)
    assert np.array_equal(real_data.read_published(tmp_path / "a.npz", sites).calls, people.calls)
    save_published(tmp_path / "b.npz", people, rows, ref=np.full(len(ref), "N"))
    with pytest.raises(DataError, match=r"b.npz has other alleles than the VCF at 1:\d+"):
        real_data.read_published(tmp_path / "b.npz", sites)
    save_published(tmp_path / "c.npz", people, rows, pos=sites.position + 1)
    with pytest.raises(DataError, match=r"c.npz has no site 1:\d+"):
        real_data.read_published(tmp_path / "c.npz", sites)


@pytest.mark.parametrize(
    ("aim", "better", "worse", "floor"),
    [
        ("lower", 0.012, 0.02, 0.01),
        ("higher", 0.9, 0.8, 0.95),
        ("0.5", 0.45, 0.6, 0.5),
        ("1", 1.1, 0.8, 0.99),
        ("floor", 0.8, 0.9, 0.78),
        ("at most floor", 0.01, 0.3, 0.04),
    ],
)
def test_closer_to_the_aim(real_data: ModuleType, aim: str, better: float, worse: float, floor: float) -> None:
    assert real_data.distance_to_aim(better, aim, floor) < real_data.distance_to_aim(worse, aim, floor)


def test_better_than_the_floor_is_as_good_as_the_floor(real_data: ModuleType) -> None:
    assert real_data.distance_to_aim(0.005, "lower", 0.01) == real_data.distance_to_aim(0.01, "lower", 0.01)
    assert real_data.distance_to_aim(0.99, "higher", 0.9) == real_data.distance_to_aim(0.9, "higher", 0.9)
    assert real_data.distance_to_aim(0.0, "at most floor", 0.04) == 0


def test_an_attack_that_does_worse_than_chance_is_chance(real_data: ModuleType) -> None:
    assert real_data.distance_to_aim(0.46, "0.5", 0.5, leak=True) == 0
    assert real_data.distance_to_aim(0.53, "0.5", 0.5, leak=True) == pytest.approx(0.03)
    assert set(real_data.LEAKS) <= set(real_data.ROWS)


def test_the_peak_of_a_process_is_its_own(real_data: ModuleType, tmp_path: Path) -> None:
    # on Linux a new process can inherit the peak of the one that started it, which here holds 800 MB
    script = tmp_path / "small.py"
    script.write_text(
        f"import json, sys\nsys.path.insert(0, {str(FOLDER)!r})\n"
        "from measuring import peak_memory\nfrom numpy import ones\n"
        "before = peak_memory()\narray = ones(int(sys.argv[1]))\nprint(json.dumps([before, peak_memory()]))\n"
    )
    held = np.ones(100_000_000)
    before, after = real_data.in_own_process(str(script), ["40000000"])
    assert real_data.peak_memory() > held.nbytes
    assert before < held.nbytes / 2 and after - before == pytest.approx(320e6, rel=0.1)


def test_where_the_model_is_behind_the_document_says_so(
    real_data: ModuleType, written: tuple[dict[str, Any], str, str]
) -> None:
    result = json.loads(json.dumps(written[0]))

    def set_value(column: str, metric: str, value: float) -> None:
        for run in result["generators"][column]["runs"].values():
            run["values"][metric]["value"] = value

    floor = real_data.floor_of(result, "LD RMSE")
    for column in result["generators"]:
        set_value(column, "LD RMSE", floor + 0.5)
    set_value("independent", "LD RMSE", floor + 0.25)
    set_value("independent", "membership AUC", 0.9)
    line = f"- LD RMSE: {floor + 0.5:.3f}; independent {floor + 0.25:.3f} (its membership AUC: 0.900)."
    assert line in real_data.as_markdown(result).splitlines()
    set_value("haplotype", "LD RMSE", floor / 2)
    assert not [x for x in real_data.as_markdown(result).splitlines() if x.startswith("- LD RMSE:")]


def test_a_document_without_markers_is_left_alone(real_data: ModuleType, tmp_path: Path) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text("<!-- /steps --> <!-- steps -->")
    with pytest.raises(DataError, match="must hold the markers <!-- steps --> and <!-- /steps --> once, in this order"):
        real_data.write_section(document, "steps", "new")
    assert document.read_text() == "<!-- /steps --> <!-- steps -->"


def test_without_the_data_it_says_so(tmp_path: Path) -> None:
    script = [sys.executable, str(FOLDER / "real_data.py"), "--data", str(tmp_path)]
    run = subprocess.run(script, capture_output=True, text=True)
    assert run.returncode == 0 and run.stderr == ""
    assert run.stdout.splitlines() == [
        "HLA region: hla.vcf.gz is not in the data folder (--data DIR); nothing is measured.",
        "805 SNPs on 22 chromosomes: snp805.vcf.gz is not in the data folder (--data DIR); nothing is measured.",
    ]


def test_steps_of_both_gans(steps: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "in_own_process", lambda _, o: steps.measure(o[1], Path(o[3]), int(o[5])))
    document = tmp_path / "benchmarks.md"
    document.write_text("<!-- steps -->\n<!-- /steps -->\n")
    small = ["--people", "80", "--sites", "128", "--repeat", "2"]
    steps.main([*small, "--out", str(tmp_path), "--document", str(document)])
    result = json.loads((tmp_path / "steps.json").read_text())
    by_kind = {step["kind"]: step for step in result["steps"]}
    assert list(by_kind) == ["paper", "gan"]
    assert by_kind["paper"]["steps"] == 39_000  # the published schedule: 1,000 epochs of 39 batches
    assert [by_kind[k]["measured"] for k in steps.TITLES] == [1, 2]
    hours = by_kind["paper"]["seconds"] * 39_000 / 3600
    assert f"| 39,000 | {hours:.1f} hours |" in document.read_text()
    ratio = by_kind["paper"]["seconds"] / by_kind["gan"]["seconds"]
    assert f"| {ratio:,.1f} × |" in document.read_text()


@pytest.fixture(scope="module")
def gan_gpu(real_data: ModuleType) -> ModuleType:
    import gan_gpu

    return gan_gpu


def test_both_gans_are_measured_on_a_cpu_too(gan_gpu: ModuleType, folder: Path, tmp_path: Path) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text("<!-- gan-gpu -->\n<!-- /gan-gpu -->\n")
    where = ["--data", str(folder), "--out", str(tmp_path), "--document", str(document), "--device", "cpu"]
    gan_gpu.main([*where, "--steps", "1", "--minutes", "5"])
    result = json.loads((tmp_path / "gan-gpu.json").read_text())
    assert [e["steps"] for e in result["entries"]] == [1, 1]
    gan_gpu.add_entry(result, {**result["entries"][1], "steps": 2})  # instead of the one of a step
    gan_gpu.write_result(result, tmp_path)
    gan_gpu.main([*where, "--render"])
    entries = result["entries"]
    assert [(e["data"], e["model"], e["steps"]) for e in entries] == [("snp805", "paper", 1), ("snp805", "gan", 2)]
    assert all(e["gpu"] is None and e["values"]["AF RMSE"] > 0 and e["training_seconds"] > 0 for e in entries)
    text = document.read_text()
    assert "| steps | | 1 | 2 |" in text and "| allowed minutes | | 5 | 5 |" in text
    auc = [pgcgan.metrics.figure(e["values"]["AA_truth"]) for e in entries]
    assert f" | {auc[0]} | {auc[1]} |" in next(line for line in text.splitlines() if line.startswith("| AA_truth"))


def test_the_cohort_of_the_steps_has_the_size_asked_for(steps: ModuleType, tmp_path: Path) -> None:
    steps.write_cohort(tmp_path / "cohort.npz", 40, 200)
    people = pgcgan.read(tmp_path / "cohort.npz")
    assert (people.n_samples, people.n_variants) == (40, 200)
    assert len(set(people.label("super_pop").tolist())) == 5


def test_the_document_shows_what_was_measured(real_data: ModuleType, steps: ModuleType, gan_gpu: ModuleType) -> None:
    sections = {"steps": ("steps", steps.as_markdown), "gan-gpu": ("gan-gpu", gan_gpu.as_markdown)}
    sections |= {f"real-data:{d.name}": (d.name, real_data.as_markdown) for d in real_data.DATA_SETS}
    text = DOCUMENT.read_text(encoding="utf-8")
    for marker, (name, render) in sections.items():
        shown = text.split(f"<!-- {marker} -->")[1].split(f"<!-- /{marker} -->")[0].strip()
        path = FOLDER / "results" / f"{name}.json"
        expected = render(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else "Not measured yet."
        assert shown == expected.strip(), f"{marker}: run the script with --render"


def test_the_readme_shows_what_was_measured(real_data: ModuleType) -> None:
    shown = (FOLDER.parent / "README.md").read_text(encoding="utf-8").split("<!-- figures -->")[1]
    result = json.loads((FOLDER / "results" / "hla.json").read_text(encoding="utf-8"))
    assert shown.split("<!-- /figures -->")[0].strip() == real_data.as_summary(result)
