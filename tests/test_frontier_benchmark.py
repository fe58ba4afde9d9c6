"""The frontier and the ablation: what they measure, add up, draw and write, on a tiny simulated cohort."""

from __future__ import annotations

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import pgcgan
from pgcgan.generators.baselines import IndependentSites
from pgcgan.genotypes import Genotypes
from pgcgan.registry import create

POOL, FOUND = "informed membership AUC, pool", "informed membership TPR at 1 % FPR, pool"
FOLDER = Path(__file__).parents[1] / "benchmarks"
DOCUMENT = FOLDER.parent / "docs" / "benchmarks.md"
MARKERS = ("frontier:hla", "frontier:simulated", "ablation")


@pytest.fixture(scope="module")
def frontier() -> Iterator[ModuleType]:
    sys.path.insert(0, str(FOLDER))
    import frontier

    yield frontier
    sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def figure_of(frontier: ModuleType) -> ModuleType:
    import frontier_figure

    return frontier_figure


@pytest.fixture(scope="module")
def ablation(frontier: ModuleType) -> ModuleType:
    import ablation

    return ablation


@pytest.fixture(scope="module")
def people(cohort: Genotypes) -> Genotypes:
    return cohort.select(sites=slice(0, 60))


@pytest.fixture(scope="module")
def folder(people: Genotypes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data folder like the real one."""
    data = tmp_path_factory.mktemp("data")
    pgcgan.write(people, data / "hla.vcf.gz")
    (data / "hla.panel.tsv").rename(data / "panel.tsv")
    train = set(people.split(0.7, by="super_pop", seed=1)[0].samples)
    rows = "".join(f"{s}\t{'train' if s in train else 'test'}\n" for s in people.samples)
    (data / "split.tsv").write_text("sample\tsplit\n" + rows)
    return data


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a folder with a document that has the markers."""
    text = "".join(f"before\n<!-- {m} -->\nold\n<!-- /{m} -->\n" for m in MARKERS)
    (tmp_path / "benchmarks.md").write_text(text + "after\n")
    return tmp_path


def where(data: Path, out: Path) -> list[str]:
    return ["--data", str(data), "--out", str(out), "--document", str(out / "benchmarks.md")]


def section(document: Path, marker: str) -> str:
    return document.read_text(encoding="utf-8").split(f"<!-- {marker} -->\n")[1].split(f"\n<!-- /{marker} -->")[0]


def rows_of(names: Iterable[str], attack: float, quality: float) -> dict[str, float]:
    """Return invented rows: all of `quality`, but the AUC of the attack, and a tenth of it found at 1 %."""
    return {**dict.fromkeys(names, quality), POOL: attack, FOUND: attack / 20}


def result_of(frontier: ModuleType, curves: dict[str, list[tuple[Any, float, float]]], seeds: int = 1) -> dict:
    """Return a result with invented points: curve -> (value, AUC of the attack, the other rows)."""
    result: dict[str, Any] = {
        "name": "frontier-hla", "title": "HLA region", "sites": 60, "train": {"AFR": 20}, "holdout": {"AFR": 10},
        "floors": {}, "points": [],
        "provenance": {"command": "benchmarks/frontier.py", "machine": {"cores": 2, "processor": "a & b"}},
    }  # fmt: skip
    for curve, points in curves.items():
        for value, attack, quality in points:
            for seed in range(1, seeds + 1):
                rows = rows_of(frontier.ROWS, attack + 0.01 * (seed - 1), quality)
                point = {"curve": curve, "value": value, "seed": seed, "rows": rows, "fit_seconds": 2.0}
                point |= {"settings": None, "pgcgan": "0.1.0", "date": f"2026-01-0{seed}T00:00:00"}
                frontier.add_point(result, point, {**rows_of(frontier.ROWS, 0.5, 0.5), "far pairs r": 0.9})
    return result


@pytest.fixture
def pretended(frontier: ModuleType, ablation: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """Replace the evaluation by invented rows; return what it was asked for: train, synthetic, holdout, seed."""
    asked: list[tuple] = []

    def measure(train: Genotypes, synthetic: Genotypes, holdout: Genotypes, seed: int) -> tuple[dict, dict]:
        asked.append((train, synthetic, holdout, seed))
        names = {*frontier.ROWS, *ablation.SHOWN}
        return rows_of(names, 0.6, 0.5 + len(asked) / 1000), rows_of(names, 0.5, 0.5)

    monkeypatch.setattr(frontier, "measure", measure)
    monkeypatch.setattr(ablation, "measure", measure)
    return asked


# ---- frontier: points ---------------------------------------------------------------------------------------------


def test_a_point_is_what_evaluate_gives(
    frontier: ModuleType, figure_of: ModuleType, folder: Path, people: Genotypes, place: Path
) -> None:
    frontier.main([*where(folder, place), "--only", "hla", "--curves", "independent", "--seeds", "2"])
    result = json.loads((place / "frontier-hla.json").read_text())
    train, holdout = people.split(0.7, by="super_pop", seed=1)
    synthetic = IndependentSites(seed=2).fit(train).sample(train.n_samples, seed=2)
    by_hand = pgcgan.evaluate(train, synthetic, holdout=holdout, label="super_pop", seed=2)
    (point,) = result["points"]
    assert (point["curve"], point["value"], point["seed"]) == ("independent", None, 2)
    assert point["rows"].keys() == result["floors"]["2"].keys() == set(frontier.ROWS)
    for name in frontier.ROWS:
        row = by_hand.get(name)
        for stored, value in ((point["rows"][name], row.value), (result["floors"]["2"][name], row.floor)):
            assert stored == (None if value is None else pytest.approx(value, rel=1e-4)), name
    shown = section(place / "benchmarks.md", "frontier:hla")
    assert shown == frontier.as_markdown(result).strip()
    auc, found = (by_hand.get(name).value for name in (POOL, FOUND))
    assert f"| independent |  |  | 1 | {pgcgan.metrics.figure(auc)} ({pgcgan.metrics.figure(found)}) | " in shown
    assert (place / "figures" / "frontier-hla.svg").read_text() == figure_of.as_svg(result)
    assert section(place / "benchmarks.md", "frontier:simulated") == "old"


def test_the_attack_judges_everybody(frontier: ModuleType, cohort: Genotypes, monkeypatch: pytest.MonkeyPatch) -> None:
    train, holdout = cohort.split(0.7, by="super_pop", seed=1)
    assert frontier.informed(train, train, holdout, 1)[POOL] > 0.9  # copies are found
    monkeypatch.setattr("pgcgan.metrics.preparation.MAX_PEOPLE", 10)
    monkeypatch.setattr("pgcgan.metrics.preparation.MAX_BYTES", 10)
    judged: list[int] = []
    attack = frontier.attack

    def counted(comparison: Any, attacker: str) -> Any:
        trials = attack(comparison, attacker)
        judged.append(len(trials[0].member))
        return trials

    monkeypatch.setattr(frontier, "attack", counted)
    frontier.measure(train, train, holdout, 1)
    assert judged[0] == judged[-1] == cohort.n_samples and len(judged) == 3


def test_the_simulated_cohort_has_fewer_points(
    frontier: ModuleType, place: Path, pretended: list[tuple], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frontier, "PEOPLE", 60)
    monkeypatch.setattr(frontier, "LENGTH", 20_000)
    frontier.main([*where(place / "nowhere", place), "--only", "simulated", "--curves", "li-stephens"])
    result = json.loads((place / "frontier-simulated.json").read_text())
    assert [p["value"] for p in result["points"]] == list(frontier.CURVES["li-stephens"].values[::2])
    train, _, holdout, _ = pretended[0]
    assert train.n_samples + holdout.n_samples == 60 and train.n_samples > 40
    shown = section(place / "benchmarks.md", "frontier:simulated")
    assert "bar" not in shown and shown.startswith("### Simulated cohort of ")
    assert 'class="bar"' not in (place / "figures" / "frontier-simulated.svg").read_text()


def test_a_later_run_adds_or_replaces_only_its_points(
    frontier: ModuleType, folder: Path, place: Path, pretended: list[tuple]
) -> None:
    def points() -> dict[tuple, float]:
        stored = json.loads((place / "frontier-hla.json").read_text())["points"]
        return {(p["curve"], p["value"], p["seed"]): p["rows"]["LD RMSE"] for p in stored}

    run = [*where(folder, place), "--only", "hla", "--curves"]
    frontier.main([*run, "smote,independent"])
    first = points()
    assert list(first) == [("independent", None, 1), ("smote", 5, 1)]
    frontier.main([*run, "li-stephens", "--values", "1e-7,1e-8", "--seeds", "2,1"])
    both = points()
    assert list(both)[1:5] == [("li-stephens", v, s) for v in (1e-8, 1e-7) for s in (1, 2)]
    assert len(both) == 6 and first.items() <= both.items()
    frontier.main([*run, "li-stephens", "--values", "1e-7", "--seeds", "1"])
    again = points()
    assert {k for k in again if again[k] != both[k]} == {("li-stephens", 1e-7, 1)} and list(again) == list(both)
    before = len(pretended)
    frontier.main([*run, "li-stephens", "--values", "1e-7,1e-6", "--seeds", "1", "--missing"])
    assert len(pretended) == before + 1 and len(points()) == 7
    text, figure = (place / "benchmarks.md").read_text(), (place / "figures" / "frontier-hla.svg").read_bytes()
    (place / "benchmarks.md").write_text(text.replace("Li-Stephens", ""))
    (place / "figures" / "frontier-hla.svg").unlink()
    frontier.main([*where(folder, place), "--render"])  # there is nothing of the simulated cohort to write
    assert (place / "benchmarks.md").read_text() == text
    assert (place / "figures" / "frontier-hla.svg").read_bytes() == figure
    assert len(pretended) == before + 1


def test_points_of_other_people_are_not_mixed(
    frontier: ModuleType, folder: Path, place: Path, pretended: list[tuple]
) -> None:
    run = [*where(folder, place), "--only", "hla", "--curves", "independent", "--seeds", "1"]
    frontier.main(run)
    path = place / "frontier-hla.json"
    path.write_text(path.read_text().replace('"sites": 60', '"sites": 61'))
    before = path.read_bytes()
    with pytest.raises(SystemExit, match="frontier-hla.json are of other people or sites; move it away"):
        frontier.main(run)
    assert path.read_bytes() == before


@pytest.mark.parametrize(("name", "options"), [("frontier", ["--only", "hla"]), ("ablation", [])])
def test_without_the_data_it_says_so(
    request: pytest.FixtureRequest, name: str, options: list[str], place: Path, capsys: pytest.CaptureFixture
) -> None:
    before = {p: p.read_bytes() for p in place.iterdir()}
    request.getfixturevalue(name).main([*where(place / "nowhere", place), *options])
    expected = "HLA region: hla.vcf.gz is not in the data folder (--data DIR); nothing is measured."
    assert capsys.readouterr().out.splitlines()[0] == expected
    assert {p: p.read_bytes() for p in place.iterdir()} == before


def test_every_curve_can_be_built_and_drawn(frontier: ModuleType, figure_of: ModuleType) -> None:
    assert set(figure_of.STYLES) == set(frontier.CURVES)
    for name, curve in frontier.CURVES.items():
        for value in curve.values or (None,):
            parameters = frontier.build(name, value, 4).parameters()
            assert value is None or all(parameters[o] == value for o in (curve.option, *curve.also)), name


def test_points_with_other_parameters_are_named(frontier: ModuleType) -> None:
    result = result_of(frontier, {"tied": [(1, 0.54, 0.5), (3, 0.53, 0.6)]})
    for point in result["points"]:
        point["settings"] = {"min_carriers": point["value"], "min_transitions": point["value"], "calibrate": True}
    assert "also differ" not in frontier.as_markdown(result)
    result["points"][0]["settings"]["calibrate"] = False
    assert (
        "- The points of haplotype, transitions too also differ in calibrate."
        in frontier.as_markdown(result).splitlines()
    )


# ---- frontier: table and figure -----------------------------------------------------------------------------------


def test_what_a_curve_reaches_within_a_level(frontier: ModuleType) -> None:
    curves = {
        "li-stephens": [(1e-9, 0.9, 0.5), (1e-8, 0.69, 0.6), (1e-7, 0.51, 0.65)],
        "smote": [(5, 0.95, 0.5)],
        "tied": [(3, 0.72, 0.5), (14, 0.6, 0.59), (20, 0.55, 0.6)],
    }
    result = result_of(frontier, curves)
    strict, loose = frontier.LEVELS
    assert (strict.attack, strict.found, loose.attack) == (0.6, 0.03, 0.7)

    def best(curve: str, level: Any) -> float | None:
        item = frontier.at_level(result, curve, level)
        return None if item is None else item[0]

    # all within a level miss equally many bars: the lowest C2ST counts
    assert [best(curve, loose) for curve in curves] == [1e-8, None, 14]
    assert [best(curve, strict) for curve in curves] == [1e-7, None, 14]
    result["points"][-2]["rows"][FOUND] = 0.031  # of tied 14
    assert best("tied", strict) == 20 and best("tied", loose) == 14
    result["points"][-1]["rows"]["far pairs r"] = 0.85  # one more bar, whatever the C2ST
    assert best("tied", loose) == 20
    lines = frontier.as_markdown(result).splitlines()
    row = "0.550 (0.0275) | 0.600 | 0.600 | 0.600 | **0.600** | **0.850** |"
    assert f"| haplotype, transitions too | min_carriers 20 | {row}" in lines
    assert lines.count("No setting measured is within it: SMOTE.") == 2


def test_bars_hold_for_the_mean_of_the_seeds(frontier: ModuleType) -> None:
    strict = frontier.LEVELS[0]
    bars = {bar.metric: bar for bar in strict.bars}
    points = result_of(frontier, {"tied": [(20, 0.55, 0.69)]}, seeds=2)["points"]
    reached = [metric for metric, bar in bars.items() if frontier.reached(points, bar)]
    assert reached == [*frontier.C2ST, "AA_truth", "far pairs r"]
    points[0]["rows"]["AA_truth"] = None
    assert frontier.reached(points, bars["AA_truth"])  # of the other seed
    points[1]["rows"]["AA_truth"] = None
    assert not frontier.reached(points, bars["AA_truth"])


def test_the_table_has_the_mean_of_the_seeds(frontier: ModuleType) -> None:
    lines = frontier.as_markdown(result_of(frontier, {"tied": [(3, 0.51, 0.7)]}, seeds=3)).splitlines()
    rest = "0.700 | 0.700 / 0.700 | 0.700 | 0.700 | 0.700 | 0.700 | 0.700 / 0.700 | 0.700 (0.700) | 0.700 | 2 |"
    assert f"| haplotype, transitions too | min_carriers 3 |  | 3 | 0.520 (0.0260) | {rest}" in lines
    assert any(line.startswith("| floor |  |  |  | 0.500 (0.0250) | 0.500 | ") for line in lines)
    assert any("2026-01-01 to 2026-01-03" in line for line in lines)


def marks(svg: str, title: str) -> dict[str, tuple[float, float]]:
    """Return where the marks of a panel are, by the words of their titles in front of the colon."""
    panel = next(p for p in svg.split('<g transform="translate(')[1:] if f">{title}" in p)
    found = re.findall(r'class="mark" transform="translate\((\S+) (\S+)\)" d="[^"]+">\n?<title>([^:]+):', panel)
    return {words: (float(x), float(y)) for x, y, words in found}


def test_up_and_left_is_better_in_every_panel(frontier: ModuleType, figure_of: ModuleType) -> None:
    curves = {"tied": [(1, 0.54, 0.6), (3, 0.51, 0.7)], "independent": [(None, 0.505, 0.95)]}
    svg = figure_of.as_svg(result_of(frontier, curves, seeds=2))
    for metric, title in figure_of.PANELS.items():
        at = marks(svg, title)
        assert len(at) == 3, metric
        one, three = (at[f"haplotype, transitions too, min_carriers {carriers}"] for carriers in (1, 3))
        apart = at["independent"]
        assert one[0] > three[0] > apart[0]
        heights = [one[1], three[1], apart[1]]  # in SVG y runs downwards
        assert heights == sorted(heights, reverse=metric == "far pairs r"), metric
        for x, y in at.values():
            assert 0 < x - figure_of._LEFT < figure_of._ACROSS and 0 < y - figure_of._TOP < figure_of._UP
    assert svg.count('class="span"') == 3 * len(figure_of.PANELS)
    assert svg.count('class="bar"') == svg.count('class="limit"') == 2 * len(figure_of.PANELS)


def test_the_figure_is_whole_quiet_and_the_same_again(frontier: ModuleType, figure_of: ModuleType) -> None:
    every = {
        n: [(v, 0.5 + 0.03 * k, 0.6) for k, v in enumerate(c.values or [None])] for n, c in frontier.CURVES.items()
    }
    result = result_of(frontier, every, seeds=3)
    svg = figure_of.as_svg(result)
    assert svg == figure_of.as_svg(json.loads(json.dumps(result)))
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg" and root.get("aria-label", "").endswith("HLA region")
    words = {e.text for e in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {curve.title for curve in frontier.CURVES.values()} <= words and "real people" in words
    assert "prefers-color-scheme:dark" in svg
    assert not re.search(r"<script|<image|href|url\(|nan|inf[^o]", svg)
    shapes = [shape for _, _, shape in figure_of.STYLES.values()]
    assert len(set(shapes)) == len(shapes)  # distinct without colour


def test_figures_of_one_point_and_of_missing_rows(frontier: ModuleType, figure_of: ModuleType) -> None:
    result = result_of(frontier, {"independent": [(None, 0.5, 0.5)]})
    result["points"][0]["rows"]["far pairs r"] = None
    svg = figure_of.as_svg(result)
    ElementTree.fromstring(svg)
    assert [len(marks(svg, title)) for title in figure_of.PANELS.values()] == [1, 1, 1, 0]
    assert "| independent |  | 0.500 (0.0250) | **0.500** | **0.500** | 0.500 | 0.500 | **0.500** | – |" in (
        frontier.as_markdown(result).splitlines()
    )


# ---- ablation -----------------------------------------------------------------------------------------------------


def test_the_inner_split_never_sees_the_held_out_people(ablation: ModuleType, folder: Path, people: Genotypes) -> None:
    train, holdout = people.split(0.7, by="super_pop", seed=1)
    fitted, against = ablation.parts(folder, ablation.DATA, True)
    assert {*fitted.samples, *against.samples} == set(train.samples)
    assert not set(fitted.samples) & set(against.samples) and not set(against.samples) & set(holdout.samples)
    assert fitted.n_samples + against.n_samples == train.n_samples  # people, not haplotypes
    for label in np.unique(train.label("super_pop")):
        share = np.sum(fitted.label("super_pop") == label) / np.sum(train.label("super_pop") == label)
        assert share == pytest.approx(0.75, abs=0.05)
    whole = ablation.parts(folder, ablation.DATA, False)
    assert [set(p.samples) for p in whole] == [set(train.samples), set(holdout.samples)]


def test_variants_add_up_by_people_minutes_and_seed(
    ablation: ModuleType, folder: Path, people: Genotypes, place: Path, pretended: list[tuple]
) -> None:
    def entries() -> dict[tuple, float]:
        stored = json.loads((place / "ablation.json").read_text())["entries"]
        return {(e["variant"], e["people"], e["minutes"], e["seed"]): e["rows"]["LD RMSE"] for e in stored}

    run = [*where(folder, place), "--variants", "haplotype without local ancestry"]
    ablation.main(run)
    first = entries()
    shown = section(place / "benchmarks.md", "ablation")
    assert "**Inner split**" in shown and "held-out people of the other tables are not touched" in shown
    assert "**Held-out people**" not in shown
    ablation.main([*run, "--no-inner", "--seeds", "2"])
    ablation.main([*where(folder, place), "--variants", "gan", "--minutes", "0.01"])
    assert list(entries()) == [
        ("haplotype without local ancestry", "inner", None, 1),
        ("gan", "inner", 0.01, 1),
        ("haplotype without local ancestry", "held-out", None, 2),
    ]
    assert first.items() <= entries().items()
    ablation.main(run)
    assert len(entries()) == 3
    assert (
        entries()["haplotype without local ancestry", "inner", None, 1]
        != first["haplotype without local ancestry", "inner", None, 1]
    )
    result = json.loads((place / "ablation.json").read_text())
    shown = section(place / "benchmarks.md", "ablation")
    assert shown == ablation.as_markdown(result).strip()
    assert (
        "Trained for 0.01 minutes." in shown
        and "| haplotype without local ancestry | `local_ancestry=False` | 1 |" in shown
    )
    held_out = set(people.split(0.7, by="super_pop", seed=1)[1].samples)
    seen = [held_out & {*train.samples, *holdout.samples} for train, _, holdout, _ in pretended]
    assert [bool(s) for s in seen] == [False, True, False, False]
    ablation.main([*run, "--sites", "40"])
    assert pretended[-1][0].variants.equals(people.variants.select(slice(10, 50)))
    assert ("haplotype without local ancestry", "inner, 40 sites", None, 1) in entries()
    assert "40 sites in the middle of the region" in section(place / "benchmarks.md", "ablation")


def test_every_variant_changes_the_model(ablation: ModuleType) -> None:
    for name, (family, changed) in ablation.VARIANTS.items():
        usual = create(family).parameters()
        parameters = create(family, **changed).parameters()
        assert {k for k in usual if parameters[k] != usual[k]} == set(changed), name
    assert [name for name, (_, changed) in ablation.VARIANTS.items() if not changed] == ["haplotype", "gan"]


def test_variants_measured_with_other_defaults_are_named(ablation: ModuleType) -> None:
    people = {"sites": 60, "train": {"AFR": 20}, "holdout": {"AFR": 10}}
    people["floors"] = {"1": rows_of(ablation.SHOWN, 0.5, 0.5)}
    result: dict[str, Any] = {"title": "HLA region", "people": {"inner": people}, "entries": []}
    result["provenance"] = {"command": "benchmarks/ablation.py", "machine": {"cores": 2, "processor": "x"}}
    for name in ("haplotype without local ancestry", "haplotype"):
        changed = ablation.VARIANTS[name][1]
        entry = {"variant": name, "people": "inner", "minutes": None, "seed": 1, "changed": changed}
        entry |= {
            "rows": rows_of(ablation.SHOWN, 0.5, 0.6),
            "pgcgan": "0.1.0",
            "date": "2026-01-01",
            "fit_seconds": 1.0,
        }
        ablation.add_entry(result, {**entry, "settings": {"coverage": 0.97, "max_sites": 128, **changed}})
    assert [e["variant"] for e in result["entries"]] == ["haplotype", "haplotype without local ancestry"]
    assert "other defaults" not in ablation.as_markdown(result)
    result["entries"][0]["settings"]["coverage"] = 0.9
    note = "- These variants also differ in coverage: they were measured with other defaults."
    assert note in ablation.as_markdown(result).splitlines()


# ---- the project's own document -----------------------------------------------------------------------------------


def test_the_document_shows_what_was_measured(
    frontier: ModuleType, figure_of: ModuleType, ablation: ModuleType
) -> None:
    sections: dict[str, tuple[str, Callable[[dict], str]]] = {"ablation": ("ablation", ablation.as_markdown)}
    sections |= {f"frontier:{d}": (f"frontier-{d}", frontier.as_markdown) for d in ("hla", "simulated")}
    for marker, (name, render) in sections.items():
        path = FOLDER / "results" / f"{name}.json"
        expected = render(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else "Not measured yet."
        assert section(DOCUMENT, marker) == expected.strip(), f"{marker}: run the script with --render"
        drawn = DOCUMENT.parent / "figures" / f"{name}.svg"
        assert drawn.exists() == (path.exists() and marker != "ablation")
        if drawn.exists():
            assert drawn.read_text(encoding="utf-8") == figure_of.as_svg(json.loads(path.read_text(encoding="utf-8")))
