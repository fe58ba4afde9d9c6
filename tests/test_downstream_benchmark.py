"""The benchmark of uses on a tiny simulated cohort: its figures against others, its page, and what is missing."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import pgcgan
from pgcgan.genotypes import Genotypes

FOLDER = Path(__file__).parents[1] / "benchmarks"
PAGE = FOLDER.parent / "docs" / "uses.md"
QUICK = {"independent": ("independent", {}), "haplotype": ("independent", {}), "Li-Stephens": ("li-stephens", {})}
Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def benchmark() -> Iterator[ModuleType]:
    sys.path.insert(0, str(FOLDER))
    import downstream

    yield downstream
    sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def sets(cohort: Genotypes) -> tuple[Genotypes, Genotypes]:
    return cohort.select(sites=slice(0, 150)).split(0.6, by="super_pop", seed=1)


@pytest.fixture
def run_part(
    benchmark: ModuleType,
    sets: tuple[Genotypes, Genotypes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Return a function that measures a part of the benchmark, and returns its result."""
    import downstream_people

    monkeypatch.setattr(benchmark, "read_parts", lambda folder, data: sets)
    monkeypatch.setattr(downstream_people, "GENERATORS", QUICK)
    (tmp_path / benchmark.DATA.vcf).touch()
    names = list(benchmark.PARTS)
    (tmp_path / "uses.md").write_text("".join(f"<!-- uses:{name} -->\n<!-- /uses:{name} -->\n" for name in names))

    def run(name: str, *options: str) -> dict[str, Any]:
        folders = ["--data", str(tmp_path), "--out", str(tmp_path), "--document", str(tmp_path / "uses.md")]
        benchmark.main([*folders, "--only", name, *options])
        path = tmp_path / f"uses-{name}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    return run


def test_models_are_kept_for_the_next_run(
    benchmark: ModuleType, sets: tuple[Genotypes, Genotypes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import downstream_people

    monkeypatch.setattr(downstream_people, "GENERATORS", QUICK)
    first = downstream_people.Cohort(*sets, models=tmp_path).synthetic("Li-Stephens", 2)
    monkeypatch.setattr(downstream_people, "GENERATORS", {})  # a second fit would fail
    again = downstream_people.Cohort(*sets, models=tmp_path).synthetic("Li-Stephens", 2)
    assert np.array_equal(first.calls, again.calls) and again.n_samples == sets[0].n_samples


def nearest_panel_haplotype(panel: np.ndarray, truth: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Return the dosages of people if each of their haplotypes were the panel's that is nearest at the sites left."""
    rows, own = panel.reshape(len(panel), -1).T, truth.reshape(len(truth), -1).T
    nearest = [rows[np.argmin((rows[:, left] != row[left]).sum(axis=1))] for row in own]
    return np.array(nearest).reshape(truth.shape[1], 2, -1).sum(axis=1).T.astype(float)


def test_r2_is_the_squared_correlation(benchmark: ModuleType) -> None:
    import downstream_imputation as imputation

    random = np.random.default_rng(1)
    truth, imputed = random.integers(0, 3, (4, 30)), random.random((4, 30))
    imputed[1], truth[2] = 0.5, 1
    r2 = imputation.r2_by_site(truth, imputed)
    for site in (0, 3):
        assert r2[site] == pytest.approx(np.corrcoef(truth[site], imputed[site])[0, 1] ** 2)
    assert r2[1] == 0 and np.isnan(r2[2])


def test_a_spread_rare_allele_loses_its_mark(benchmark: ModuleType) -> None:
    import downstream_imputation as imputation

    haplotypes = np.zeros((40, 3), dtype=np.int8)
    haplotypes[:20, 0] = 1  # common
    haplotypes[:2, 1] = haplotypes[:2, 2] = 1  # rare, on the same haplotypes
    real = Genotypes.from_numpy(haplotypes)
    rare = np.array([False, True, False])
    assert imputation.rare_alleles(real, real, rare) == {
        "sites": 1, "lost": 0, "marked": 1.0, "marked among real people": 1.0,
    }  # fmt: skip
    spread = haplotypes.copy()
    spread[:2, 1], spread[[0, 9], 1] = 0, 1  # one of the two copies moves
    r2 = np.corrcoef(spread[:, 1], spread[:, 2])[0, 1] ** 2
    assert imputation.rare_alleles(Genotypes.from_numpy(spread), real, rare)["marked"] == pytest.approx(r2, rel=1e-4)
    spread[:, 1] = 0
    assert imputation.rare_alleles(Genotypes.from_numpy(spread), real, rare)["lost"] == 1


def test_people_that_templates_cover_are_coded_as_they_are(
    benchmark: ModuleType, sets: tuple[Genotypes, Genotypes]
) -> None:
    import downstream_imputation as imputation

    two = np.random.default_rng(1).integers(0, 2, (2, 40))
    people = Genotypes.from_numpy(np.repeat(two, 20, axis=0), labels={"super_pop": ["X"] * 20})
    model = pgcgan.HaplotypeModel(seed=1, calibrate=False, inverse_temperature=1.0).fit(people)
    assert np.array_equal(imputation.coded(model, people, 1).calls, people.calls)


def test_imputation_from_each_panel(
    benchmark: ModuleType, sets: tuple[Genotypes, Genotypes], run_part: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    import downstream_imputation as imputation

    train, holdout = sets

    def impute(tool: str, panel: Path, people: Genotypes, left: np.ndarray, seed: int) -> np.ndarray:
        return nearest_panel_haplotype(pgcgan.read(panel).calls, people.calls, left)

    monkeypatch.setattr(imputation, "missing", lambda names: [])
    monkeypatch.setattr(benchmark, "missing", lambda names: names)
    monkeypatch.setattr(imputation, "impute", impute)
    monkeypatch.setattr(imputation, "KEPT", 5)
    panels = ["real", "haplotype", "real + haplotype", f"{imputation.FEW}", f"{imputation.FEW} + haplotype"]
    result = run_part("imputation", "--rows", "; ".join(panels))
    assert list(result["rows"]) == panels
    runs = {name: row["runs"]["1"] for name, row in result["rows"].items()}
    # the figure of the real panel by hand
    left = np.arange(150) % 10 == 0
    dosages, truth = nearest_panel_haplotype(train.calls, holdout.calls, left), holdout.dosages().T
    by_site = [
        np.corrcoef(truth[k], dosages[k])[0, 1] ** 2 if dosages[k].std() else 0.0
        for k in np.flatnonzero(~left)
        if truth[k].std()
    ]
    cell = runs["real"]["cells"]["beagle, nine of ten"]
    assert cell["all"]["r2"] == pytest.approx(np.mean(by_site), rel=1e-4) and cell["all"]["sites"] == len(by_site)
    assert sum(cell[name]["sites"] for name in imputation.CLASSES) == len(by_site)
    assert runs["haplotype"]["cells"]["beagle, nine of ten"]["all"]["r2"] < cell["all"]["r2"]
    counts = {name: run["people"] for name, run in runs.items()}
    assert counts["haplotype"] == result["train"] and counts[imputation.FEW]["AFR"] == 5
    assert counts[f"{imputation.FEW} + haplotype"] == result["train"]
    assert runs["haplotype"]["leak"].keys() == {imputation.POOL, "informed membership TPR at 1 % FPR, pool"}
    text = "\n".join(imputation.as_markdown(result))
    assert f"| real | {train.n_samples} | the people themselves | {cell['all']['r2']:.3f} |" in text
    gap = cell["all"]["r2"] - runs["haplotype"]["cells"]["beagle, nine of ten"]["all"]["r2"]
    assert f"{gap:.3f} below the real panel; the bar is 0.010: **{'holds' if gap <= 0.01 else 'missed'}**" in text


def test_missing_tools_are_named(
    benchmark: ModuleType, run_part: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    for name, tools in {"imputation": ("beagle", "minimac4"), "association": ("plink2", "plink1.9")}.items():
        assert run_part(name) == {}
        printed = capsys.readouterr().out
        assert all(f"{tool} is not installed (apt-get install {tool})." in printed for tool in tools)


@pytest.mark.oracle("plink2", "plink1.9")
def test_association_is_that_of_least_squares(
    benchmark: ModuleType, sets: tuple[Genotypes, Genotypes], tmp_path: Path
) -> None:
    import downstream_association as association

    train, _ = sets
    chosen = [t for t in association.traits(train, 1) if t.name in ("ten_1", "null_1")]
    scans = association.scan(train, chosen, tmp_path)
    labels = train.label("super_pop").astype(str)
    for trait in chosen:
        for site in (0, 70):
            columns = [train.dosages()[:, site], *(labels == value for value in np.unique(labels))]
            fit = np.linalg.lstsq(np.column_stack(columns).astype(float), trait.of(train), rcond=None)[0]
            assert scans[trait.name].effect[site] == pytest.approx(fit[0], abs=2e-4)
    genetic = association.residual(chosen[0].genetic(train)[:, None], train)
    assert genetic.var() == pytest.approx(association.TRAITS["ten"][1])


@pytest.mark.oracle("plink2", "plink1.9")
def test_association_and_fairness_in_small(
    benchmark: ModuleType, run_part: Run, sets: tuple[Genotypes, Genotypes], monkeypatch: pytest.MonkeyPatch
) -> None:
    import downstream_association as association
    import downstream_fairness as fairness

    few = {"one": (1, 0.5, 2), "ten": (10, 0.9, 1), "polygenic": (20, 0.9, 1), "null": (0, 0.0, 2)}
    monkeypatch.setattr(association, "TRAITS", few)
    monkeypatch.setattr(association, "CLUMP", ("--clump-p1", "1", "--clump-p2", "1", "--clump-r2", "0.5"))
    rows = run_part("association", "--rows", "real, held out; real, training people; Li-Stephens")["rows"]
    assert list(rows) == ["real, held out", "real, training people", "Li-Stephens"]
    runs = {name: row["runs"]["1"] for name, row in rows.items()}
    assert "score" not in runs["real, held out"] and 0.2 < runs["real, training people"]["score"]["ten"] <= 1
    for run in runs.values():
        assert 0.5 < run["one"]["effect r"] <= 1 and run["one"]["effect slope"] == pytest.approx(1, abs=0.5)
        assert 0 <= run["null"]["p < .05"] < 0.3

    monkeypatch.setattr(fairness, "KEPT", 4)
    monkeypatch.setattr(fairness, "missing", lambda names: ["beagle is away."] if "beagle" in names else [])
    rows = run_part("fairness", "--rows", "unbalanced; repeated people; Li-Stephens; real people")["rows"]
    largest = sets[0].label("super_pop").tolist().count(fairness.LARGEST)
    counts = {name: row["runs"]["1"]["people"] for name, row in rows.items()}
    assert counts["unbalanced"] == {"AFR": 4, "AMR": 4, "EAS": 4, "EUR": largest, "SAS": 4}
    assert set(counts["repeated people"].values()) == set(counts["Li-Stephens"].values()) == {largest}
    for row in rows.values():
        run = row["runs"]["1"]
        assert "imputation" not in run and run["ancestry"].keys() == run["score"].keys() == counts["unbalanced"].keys()
    table = "\n".join(fairness.as_markdown({"rows": rows, "holdout": counts["unbalanced"], **_facts()}))
    worst = min(rows["unbalanced"]["runs"]["1"]["ancestry"].values())
    assert f"| unbalanced | {worst:.3f} (" in table


@pytest.mark.oracle("plink2", "plink1.9")
def test_structure_of_the_training_people_is_their_own(
    benchmark: ModuleType, run_part: Run, sets: tuple[Genotypes, Genotypes], tmp_path: Path
) -> None:
    import downstream_structure as structure

    names = ("real, training people", "Li-Stephens", "independent", "msprime")
    rows = run_part("structure", "--rows", ";".join(names))["rows"]
    own, mosaic, independent, simulated = (rows[name]["runs"]["1"] for name in names)
    assert own["centre shift"] == pytest.approx(0, abs=1e-6) and own["spread"] == pytest.approx(1) and own["fst"] == 0
    assert own["h12 r"] is None and own["ld score r"] == pytest.approx(1)  # 150 sites are one window
    assert independent["ld score"] < mosaic["ld score"] and mosaic["centre shift"] > 0.01
    assert simulated["fst"] > 0 and "centre shift" not in simulated  # people simulated at other sites
    # LD scores by hand
    train = sets[0]
    structure.write_cohort(train, tmp_path, {})
    scores = structure.ld_scores(tmp_path, train.variants.position)
    r2 = np.nan_to_num(np.corrcoef(train.dosages().T) ** 2)
    far = np.abs(np.subtract.outer(train.variants.position, train.variants.position)) > structure.REACH
    assert scores == pytest.approx(np.where(far, 0, r2).sum(axis=1), rel=1e-3)
    # Hudson's Fst as a ratio of averages
    counts = [train.select(samples=train.label("super_pop") == name) for name in ("AFR", "EAS")]
    p, q = (people.allele_frequency() for people in counts)
    n, m = (2 * people.n_samples for people in counts)
    shared = (p - q) ** 2 - p * (1 - p) / (n - 1) - q * (1 - q) / (m - 1)
    expected = shared.sum() / (p * (1 - q) + q * (1 - p)).sum()
    assert structure.fst(train)["AFR EAS"] == pytest.approx(expected)


@pytest.mark.torture
def test_peers_are_measured_in_their_own_process(
    benchmark: ModuleType, run_part: Run, sets: tuple[Genotypes, Genotypes], monkeypatch: pytest.MonkeyPatch
) -> None:
    import downstream_peers as peers

    monkeypatch.setattr(peers, "COLUMNS", 30)
    result = run_part("peers", "--rows", f"Li-Stephens; {peers.FEW}independent")
    whole, few = (row["runs"]["1"] for row in result["rows"].values())
    assert (whole["sites"], few["sites"]) == (150, 30)
    assert 0.05e9 < whole["peak_bytes"] < 2e9 and whole["cpu_seconds"] > 0
    train, holdout = sets
    people = pgcgan.LiStephens(seed=1).fit(train).sample(result["train"], seed=1)
    by_hand = pgcgan.evaluate(train, people, holdout=holdout, label="super_pop", seed=1).get("LD RMSE")
    assert (whole["values"]["LD RMSE"], whole["floors"]["LD RMSE"]) == pytest.approx(
        (by_hand.value, by_hand.floor), rel=1e-4
    )


def _facts() -> dict[str, Any]:
    return {"title": "Simulated", "sites": 150, "train": {"AFR": 1}}


def test_the_page_shows_what_was_measured(benchmark: ModuleType) -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name, part in benchmark.PARTS.items():
        shown = text.split(f"<!-- uses:{name} -->")[1].split(f"<!-- /uses:{name} -->")[0].strip()
        path = FOLDER / "results" / f"uses-{name}.json"
        expected = "Not measured yet."
        if path.exists():
            expected = "\n".join(part.as_markdown(json.loads(path.read_text(encoding="utf-8"))))
        assert shown == expected.strip(), name
