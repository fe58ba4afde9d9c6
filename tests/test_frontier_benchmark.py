"""The frontier and the ablation: what they measure, add up, draw and write, on a tiny simulated cohort."""

from __future__ import annotations

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import pgcgan
from pgcgan.generators.baselines import IndependentSites
from pgcgan.genotypes import Genotypes
from pgcgan.registry import create

FOLDER = Path(__file__).parents[1] / "benchmarks"
DOCUMENT = FOLDER.parent / "docs" / "benchmarks.md"
MARKERS = ("frontier:hla", "frontier:snp805", "ablation")


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
    """Return a data folder like the real one; the published haplotypes are those of the people."""
    made = tmp_path_factory.mktemp("data")
    for name in ("snp805", "hla"):
        pgcgan.write(people, made / f"{name}.vcf.gz")
    (made / "snp805.panel.tsv").rename(made / "panel.tsv")
    train = set(people.split(0.7, by="super_pop", seed=1)[0].samples)
    rows = "".join(f"{s}\t{'train' if s in train else 'test'}\n" for s in people.samples)
    (made / "split.tsv").write_text("sample\tsplit\n" + rows)
    sites = people.variants
    for name in ("gan", "rbm"):
        np.savez(
            made / f"snp805_{name}.npz", haplotypes=people.haplotypes().astype(np.uint8),
            chrom=sites.contig.astype(str), pos=sites.position, ref=sites.ref.astype(str), alt=sites.alt.astype(str),
        )  # fmt: skip
    return made


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


def rows_of(frontier: ModuleType, attack: float, quality: float) -> dict[str, float]:
    """Return made-up rows: all of `quality`, and the membership AUC."""
    return {**dict.fromkeys(frontier.ROWS, quality), "membership AUC": attack}


def result_of(frontier: ModuleType, curves: dict[str, list[tuple[Any, float, float]]], seeds: int = 1) -> dict:
    """Return a result with made-up points: curve -> (value, membership AUC, the other rows)."""
    result: dict[str, Any] = {
        "name": "frontier-hla", "title": "HLA region", "sites": 60, "train": {"AFR": 20}, "holdout": {"AFR": 10},
        "floors": {}, "points": [],
        "provenance": {"command": "benchmarks/frontier.py", "machine": {"cores": 2, "processor": "a & b"}},
    }  # fmt: skip
    for curve, points in curves.items():
        for value, attack, quality in points:
            for seed in range(1, seeds + 1):
                rows = rows_of(frontier, attack + 0.01 * (seed - 1), quality)
                point = {"curve": curve, "value": value, "seed": seed, "rows": rows, "fit_seconds": None}
                point |= {"settings": None, "pgcgan": "0.1.0", "date": f"2026-01-0{seed}T00:00:00"}
                frontier.add_point(result, point, {**rows_of(frontier, 0.5, 0.5), "far pairs r": 0.9})
    return result


@pytest.fixture
def pretended(frontier: ModuleType, ablation: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """Put made-up rows in the place of the evaluation; return what it was asked for: train, made, holdout, seed."""
    asked: list[tuple] = []

    def measure(train: Genotypes, made: Genotypes, holdout: Genotypes, seed: int) -> tuple[dict, dict]:
        asked.append((train, made, holdout, seed))
        return rows_of(frontier, 0.6, 0.5 + len(asked) / 1000), rows_of(frontier, 0.5, 0.5)

    monkeypatch.setattr(frontier, "measure", measure)
    monkeypatch.setattr(ablation, "measure", measure)
    return asked


# ---- frontier: points ---------------------------------------------------------------------------------------------


def test_a_point_is_what_evaluate_gives(
    frontier: ModuleType,
    figure_of: ModuleType,
    folder: Path,
    people: Genotypes,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[tuple] = []

    def evaluate(train: Genotypes, made: Genotypes, **options: Any) -> pgcgan.Evaluation:
        calls.append((train, made, options, pgcgan.evaluate(train, made, **options)))
        return calls[-1][-1]

    monkeypatch.setattr(frontier, "evaluate", evaluate)
    frontier.main([*where(folder, place), "--only", "snp805", "--curves", "independent", "--seeds", "2"])
    result = json.loads((place / "frontier-snp805.json").read_text())
    ((given, given_made, options, by_hand),) = calls
    train, holdout = people.split(0.7, by="super_pop", seed=1)
    made = IndependentSites(seed=2).fit(train).sample(train.n_samples, seed=2)
    assert np.array_equal(given.calls, train.calls) and np.array_equal(given_made.calls, made.calls)
    assert np.array_equal(options["holdout"].calls, holdout.calls)
    assert (options["label"], options["seed"]) == ("super_pop", 2)
    (point,) = result["points"]
    assert (point["curve"], point["value"], point["seed"]) == ("independent", None, 2)
    assert point["rows"].keys() == set(frontier.ROWS) and set(frontier.AIMS) - {frontier.EXCESS} <= set(frontier.ROWS)
    for name in frontier.ROWS:
        row = by_hand.get(name)
        for shown, value in ((point["rows"][name], row.value), (result["floors"]["2"][name], row.floor)):
            assert shown == (None if value is None else pytest.approx(value, rel=1e-4)), name
    for name, aim in frontier.AIMS.items():
        assert name == frontier.EXCESS or by_hand.get(name).aim == aim
    excess = frontier.value_of(point["rows"], frontier.EXCESS)
    assert excess == pytest.approx(by_hand.get("AA_truth").value + by_hand.get("AA_syn").value - 1, rel=1e-3)
    shown = section(place / "benchmarks.md", "frontier:snp805")
    assert shown == frontier.as_markdown(result).strip()
    assert f"| independent |  | 1 | {by_hand.get('membership AUC').value:.3f} | " in shown
    assert (place / "figures" / "frontier-snp805.svg").read_text() == figure_of.as_svg(result)
    assert section(place / "benchmarks.md", "frontier:hla") == "old"


def test_a_later_run_adds_or_replaces_only_its_points(
    frontier: ModuleType, folder: Path, place: Path, pretended: list[tuple]
) -> None:
    def points() -> dict[tuple, float]:
        found = json.loads((place / "frontier-hla.json").read_text())["points"]
        return {(p["curve"], p["value"], p["seed"]): p["rows"]["LD RMSE"] for p in found}

    run = [*where(folder, place), "--only", "hla", "--curves"]
    frontier.main([*run, "smote,independent", "--seeds", "1"])
    first = points()
    assert list(first) == [("independent", None, 1), *(("smote", v, 1) for v in (1, 5, 25, 100))]
    frontier.main([*run, "li-stephens", "--values", "1e-7,1e-8", "--seeds", "2,1"])
    both = points()
    assert list(both)[1:5] == [("li-stephens", v, s) for v in (1e-8, 1e-7) for s in (1, 2)]
    assert len(both) == 9 and first.items() <= both.items()
    frontier.main([*run, "li-stephens", "--values", "1e-7", "--seeds", "1"])
    again = points()
    assert {k for k in again if again[k] != both[k]} == {("li-stephens", 1e-7, 1)} and list(again) == list(both)
    before = len(pretended)
    frontier.main([*run, "li-stephens", "--values", "1e-7,1e-6", "--seeds", "1", "--missing"])
    assert len(pretended) == before + 1 and len(points()) == 10
    text, figure = (place / "benchmarks.md").read_text(), (place / "figures" / "frontier-hla.svg").read_bytes()
    (place / "benchmarks.md").write_text(text.replace("Li-Stephens", ""))
    (place / "figures" / "frontier-hla.svg").unlink()
    frontier.main([*where(folder, place), "--render"])  # there is nothing of the 805 SNPs, and nothing is written
    assert (place / "benchmarks.md").read_text() == text
    assert (place / "figures" / "frontier-hla.svg").read_bytes() == figure
    assert len(pretended) == before + 1


def test_published_sets_are_points_of_the_805_snps_only(
    frontier: ModuleType, folder: Path, people: Genotypes, place: Path, pretended: list[tuple]
) -> None:
    frontier.main([*where(folder, place), "--curves", "published-gan,published-rbm", "--seeds", "3"])
    result = json.loads((place / "frontier-snp805.json").read_text())
    assert [(p["curve"], p["seed"]) for p in result["points"]] == [("published-gan", 3), ("published-rbm", 3)]
    assert not (place / "frontier-hla.json").exists() and section(place / "benchmarks.md", "frontier:hla") == "old"
    assert np.array_equal(pretended[0][1].calls, people.calls)
    assert "trained on all people, held-out ones too" in section(place / "benchmarks.md", "frontier:snp805")


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


@pytest.mark.parametrize("name", ["frontier", "ablation"])
def test_without_the_data_it_says_so(
    request: pytest.FixtureRequest, name: str, tmp_path: Path, place: Path, capsys: pytest.CaptureFixture
) -> None:
    before = {p: p.read_bytes() for p in place.iterdir()}
    request.getfixturevalue(name).main(where(place / "nowhere", place))
    said = "HLA region: hla.vcf.gz is not in the data folder (--data DIR); nothing is measured."
    assert capsys.readouterr().out.splitlines()[0] == said
    assert {p: p.read_bytes() for p in place.iterdir()} == before


def test_every_curve_can_be_built_and_drawn(frontier: ModuleType, figure_of: ModuleType) -> None:
    assert set(figure_of.STYLES) == set(frontier.CURVES)
    for name, curve in frontier.CURVES.items():
        if curve.generator == "published":
            continue
        for value in curve.values or (None,):
            parameters = frontier.build(name, value, 4).parameters()
            assert value is None or parameters[curve.option] == value, name


def test_points_with_other_parameters_are_named(frontier: ModuleType) -> None:
    result = result_of(frontier, {"haplotype": [(1, 0.54, 0.5), (3, 0.53, 0.6)]})
    for point in result["points"]:
        point["settings"] = {"min_carriers": point["value"], "run_carriers": point["value"], "calibrate": True}
    assert "also differ" not in frontier.as_markdown(result)
    result["points"][0]["settings"]["calibrate"] = False
    assert "- The points of haplotype also differ in calibrate." in frontier.as_markdown(result).splitlines()


# ---- frontier: table and figure -----------------------------------------------------------------------------------


def test_what_a_curve_reaches_at_the_limit(frontier: ModuleType) -> None:
    curves = {
        "li-stephens": [(1e-9, 0.65, 0.5), (1e-8, 0.55, 0.6), (1e-7, 0.51, 0.8)],  # .53 is halfway: .7
        "smote": [(1, 0.7, 0.55), (5, 0.6, 0.6)],
        "haplotype": [(1, 0.52, 0.66), (3, 0.51, 0.72)],
    }
    result = result_of(frontier, curves)
    reached = {name: frontier.at_the_limit(result, name, "AA_truth") for name in curves}
    assert reached == {"li-stephens": pytest.approx(0.7), "smote": None, "haplotype": 0.66}
    assert frontier.at_the_limit(result, "li-stephens", "far pairs r") == 0.8  # there higher is better
    lines = frontier.as_markdown(result).splitlines()
    assert "| Li-Stephens | 0.700 | 0.700 | 0.700 | **0.800** |" in lines
    assert "| haplotype | **0.660** | **0.660** | **0.660** | 0.720 |" in lines
    assert "- The membership AUC of SMOTE is above 0.53 in every setting (–)." in lines


def test_the_table_has_mean_and_span_of_the_seeds(frontier: ModuleType) -> None:
    lines = frontier.as_markdown(result_of(frontier, {"haplotype": [(3, 0.51, 0.7)]}, seeds=3)).splitlines()
    same = "| 0.700 | 0.700 | 0.700 | 0.400 | 0.700 | 0.700 | – |"
    assert f"| haplotype | min_carriers 3 | 3 | 0.520 (0.510 to 0.530) {same}" in lines
    assert any("2026-01-01 to 2026-01-03" in line for line in lines)


def marks(svg: str, title: str) -> dict[str, tuple[float, float]]:
    """Return where the marks of a panel are, by the words of their titles in front of the colon."""
    panel = next(p for p in svg.split('<g transform="translate(')[1:] if f">{title}" in p)
    found = re.findall(r'class="mark" transform="translate\((\S+) (\S+)\)" d="[^"]+">\n?<title>([^:]+):', panel)
    return {words: (float(x), float(y)) for x, y, words in found}


def test_up_and_left_is_better_in_every_panel(frontier: ModuleType, figure_of: ModuleType) -> None:
    curves = {"haplotype": [(1, 0.54, 0.6), (3, 0.51, 0.7)], "independent": [(None, 0.505, 0.95)]}
    svg = figure_of.as_svg(result_of(frontier, curves, seeds=2))
    for metric, title in figure_of.PANELS.items():
        at = marks(svg, title)
        assert len(at) == 3, metric
        one, three, apart = at["haplotype, min_carriers 1"], at["haplotype, min_carriers 3"], at["independent"]
        assert one[0] > three[0] > apart[0]
        heights = [one[1], three[1], apart[1]]  # in SVG y runs downwards
        assert heights == sorted(heights, reverse=frontier.AIMS[metric] == "higher"), metric
        for x, y in at.values():
            assert (
                figure_of._LEFT < x < figure_of._LEFT + figure_of._ACROSS and figure_of._TOP < y < figure_of._TOP + 216
            )
    assert svg.count('class="span"') == 3 * len(figure_of.PANELS)


def test_the_figure_is_whole_quiet_and_the_same_again(frontier: ModuleType, figure_of: ModuleType) -> None:
    every = {
        n: [(v, 0.5 + 0.03 * k, 0.6) for k, v in enumerate(c.values or [None])] for n, c in frontier.CURVES.items()
    }
    every["gan"] = []
    result = result_of(frontier, every, seeds=3)
    svg = figure_of.as_svg(result)
    assert svg == figure_of.as_svg(json.loads(json.dumps(result)))
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg" and root.get("aria-label", "").endswith("HLA region")
    words = {e.text for e in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {frontier.CURVES[n].title for n in every if every[n]} <= words and "real people" in words
    assert "prefers-color-scheme:dark" in svg
    assert not re.search(r"<script|<image|href|url\(|nan|inf", svg)
    shapes = [shape for name, (_, _, shape) in figure_of.STYLES.items() if name != "gan"]
    assert len(set(shapes)) == len(shapes)  # told apart without colour


def test_figures_of_one_point_and_of_missing_rows(frontier: ModuleType, figure_of: ModuleType) -> None:
    result = result_of(frontier, {"independent": [(None, 0.5, 0.5)]})
    result["points"][0]["rows"]["far pairs r"] = None
    svg = figure_of.as_svg(result)
    ElementTree.fromstring(svg)
    assert [len(marks(svg, title)) for title in figure_of.PANELS.values()] == [1, 1, 1, 0]
    assert "| independent | **0.500** | **0.500** | **0.500** | – |" in frontier.as_markdown(result)


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

    run = [*where(folder, place), "--variants", "no local ancestry"]
    ablation.main(run)
    first = entries()
    shown = section(place / "benchmarks.md", "ablation")
    assert "**Inner split**" in shown and "held-out people of the other tables are not touched" in shown
    assert "**Held-out people**" not in shown
    ablation.main([*run, "--no-inner", "--seeds", "2"])
    ablation.main([*where(folder, place), "--variants", "gan", "--minutes", "0.01"])
    assert list(entries()) == [
        ("no local ancestry", "inner", None, 1), ("gan", "inner", 0.01, 1), ("no local ancestry", "held-out", None, 2),
    ]  # fmt: skip
    assert first.items() <= entries().items()
    ablation.main(run)
    assert len(entries()) == 3
    assert entries()["no local ancestry", "inner", None, 1] != first["no local ancestry", "inner", None, 1]
    result = json.loads((place / "ablation.json").read_text())
    shown = section(place / "benchmarks.md", "ablation")
    assert shown == ablation.as_markdown(result).strip()
    assert "Trained for 0.01 minutes." in shown and "| no local ancestry | `local_ancestry=False` | 1 |" in shown
    held_out = set(people.split(0.7, by="super_pop", seed=1)[1].samples)
    seen = [held_out & {*train.samples, *holdout.samples} for train, _, holdout, _ in pretended]
    assert [bool(s) for s in seen] == [False, True, False, False]


def test_every_variant_changes_the_model(ablation: ModuleType) -> None:
    for name, (family, changed) in ablation.VARIANTS.items():
        usual = create(family).parameters()
        parameters = create(family, **changed).parameters()
        assert {k for k in usual if parameters[k] != usual[k]} == set(changed), name
    assert [name for name, (_, changed) in ablation.VARIANTS.items() if not changed] == ["default", "gan"]


def test_variants_measured_with_other_defaults_are_named(ablation: ModuleType, frontier: ModuleType) -> None:
    people = {"sites": 60, "train": {"AFR": 20}, "holdout": {"AFR": 10}, "floors": {"1": rows_of(frontier, 0.5, 0.5)}}
    result: dict[str, Any] = {"title": "HLA region", "people": {"inner": people}, "entries": []}
    result["provenance"] = {"command": "benchmarks/ablation.py", "machine": {"cores": 2, "processor": "x"}}
    for name in ("no local ancestry", "default"):
        changed = ablation.VARIANTS[name][1]
        entry = {"variant": name, "people": "inner", "minutes": None, "seed": 1, "changed": changed}
        entry |= {"rows": rows_of(frontier, 0.5, 0.6), "pgcgan": "0.1.0", "date": "2026-01-01", "fit_seconds": 1.0}
        ablation.add_entry(result, {**entry, "settings": {"coverage": 0.97, "max_sites": 128, **changed}})
    assert [e["variant"] for e in result["entries"]] == ["default", "no local ancestry"]
    assert "other defaults" not in ablation.as_markdown(result)
    result["entries"][0]["settings"]["coverage"] = 0.9
    note = "- These variants also differ in coverage: they were measured with other defaults."
    assert note in ablation.as_markdown(result).splitlines()


# ---- the project's own document -----------------------------------------------------------------------------------


def test_the_document_shows_what_was_measured(
    frontier: ModuleType, figure_of: ModuleType, ablation: ModuleType
) -> None:
    sections: dict[str, tuple[str, Callable[[dict], str]]] = {"ablation": ("ablation", ablation.as_markdown)}
    sections |= {f"frontier:{d}": (f"frontier-{d}", frontier.as_markdown) for d in ("hla", "snp805")}
    for marker, (name, render) in sections.items():
        path = FOLDER / "results" / f"{name}.json"
        expected = render(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else "Not measured yet."
        assert section(DOCUMENT, marker) == expected.strip(), f"{marker}: run the script with --render"
        drawn = DOCUMENT.parent / "figures" / f"{name}.svg"
        assert drawn.exists() == (path.exists() and marker != "ablation")
        if drawn.exists():
            assert drawn.read_text(encoding="utf-8") == figure_of.as_svg(json.loads(path.read_text(encoding="utf-8")))
