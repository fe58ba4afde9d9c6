"""The figures of the report: what they show, on which scale, and how they are saved one by one."""

from __future__ import annotations

import re
import xml.etree.ElementTree
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA

from pgcgan.errors import UsageError
from pgcgan.genotypes import Genotypes
from pgcgan.metrics import MEASURES, Evaluation, Row, evaluate
from pgcgan.report import render
from pgcgan.report.figures import figures
from pgcgan.report.pictures import SHARES, areas
from pgcgan.report.plots import Plot


@pytest.fixture(scope="module")
def sets() -> list[Genotypes]:
    """Return training, synthetic and held-out people of two labels, whose frequencies differ."""
    random = np.random.default_rng(5)
    labels = np.array(["A", "B"] * 60)
    frequency = np.where(labels == "A", random.uniform(0.05, 0.5, (50, 1)), random.uniform(0.05, 0.5, (50, 1)))
    calls = random.random((50, 120, 2)) < frequency[..., None]
    people = Genotypes.from_numpy(calls.astype(np.int8), labels={"pop": labels.tolist()})
    return [people[:, start : start + 40] for start in (0, 40, 80)]


@pytest.fixture(scope="module")
def evaluation(sets: list[Genotypes]) -> Evaluation:
    return evaluate(sets[0], sets[1], holdout=sets[2])


# ---- principal components -----------------------------------------------------------------------------------------


def test_people_are_on_the_components_of_their_dosages(sets: list[Genotypes], evaluation: Evaluation) -> None:
    train, synthetic, _ = (people.calls.sum(axis=2).T.astype(float) for people in sets)
    oracle = PCA(2).fit(train)
    data = evaluation.figures["pca"]
    assert data["unit"] == "people" and len(data["train"]["x"]) == 40
    assert data["explained"] == pytest.approx(oracle.explained_variance_ratio_, abs=1e-3)
    expected = oracle.transform(synthetic)
    for k, axis in enumerate("xy"):
        assert np.abs(data["synthetic"][axis]) == pytest.approx(np.abs(expected[:, k]), abs=0.02)
    figure = evaluation.plot.pca()
    for panel in figure.panels:
        shown = [float(re.findall(r"[0-9.]+(?= %)", axis.name)[0]) for axis in (panel.x, panel.y)]
        assert shown == pytest.approx(100 * oracle.explained_variance_ratio_, abs=0.06)


def test_both_axes_have_one_scale_and_hold_every_point(evaluation: Evaluation) -> None:
    for figure in (evaluation.plot.pca(), evaluation.plot.allele_frequency()):
        for panel in figure.panels:
            assert isinstance(panel, Plot)
            units = float(panel.across(1) - panel.across(0)), float(panel.down(0) - panel.down(1))
            assert units[0] == pytest.approx(units[1], rel=0.02)
            for series in panel.series:
                assert np.all((panel.x.part(series.x) >= 0) & (panel.x.part(series.x) <= 1))
                assert np.all((panel.y.part(series.y) >= 0) & (panel.y.part(series.y) <= 1))


def test_the_real_people_are_shaded_under_the_synthetic_ones_alone(evaluation: Evaluation) -> None:
    *real, synthetic = evaluation.plot.pca().panels
    data = evaluation.figures["pca"]
    assert [s.kind for panel in real for s in panel.series] == ["dots"] * 4
    assert [s.kind for s in synthetic.series] == ["areas", "dots", "dots"]
    assert sorted(synthetic.series[0].x) == sorted(data["train"]["x"] + data["holdout"]["x"])


def test_an_area_holds_the_share_of_the_points_that_it_says() -> None:
    random = np.random.default_rng(3)
    clouds = random.normal([[0.25, 0.3], [0.7, 0.6]], 0.06, (1000, 2, 2)).reshape(-1, 2).clip(0.001, 0.999)
    inside = areas(clouds[:, 0], clouds[:, 1], 100, 80)
    at_points = inside[(clouds[:, 1] * 80).astype(int), (clouds[:, 0] * 100).astype(int)]
    for level, share in enumerate(SHARES, start=1):
        assert (at_points >= level).mean() == pytest.approx(share, abs=0.02)
    assert inside[40, 48] < inside[24, 25] == len(SHARES)  # between the clouds, and within one
    assert areas(np.array([0.5]), np.array([0.5]), 10, 10).max() == len(SHARES)


# ---- allele frequencies -------------------------------------------------------------------------------------------


def test_each_panel_of_frequencies_has_r_and_rmse_of_both_sets(sets: list[Genotypes], evaluation: Evaluation) -> None:
    panels = {panel.title: panel for panel in evaluation.plot.allele_frequency().panels}
    assert list(panels) == ["All people", "A", "B"]
    for title, panel in panels.items():
        chosen = [people[:, people.labels["pop"] == title] if title in "AB" else people for people in sets]
        train, synthetic, holdout = (people.calls.mean(axis=(1, 2)) for people in chosen)
        texts = [mark[2] for mark in panel.marks]
        for text, frequency in zip(texts, (synthetic, train), strict=True):
            r, rmse = (float(number) for number in re.findall(r"[0-9.]+", text))
            assert r == pytest.approx(np.corrcoef(frequency, holdout)[0, 1], abs=6e-4)
            assert rmse == pytest.approx(np.sqrt(np.mean((frequency - holdout) ** 2)), abs=6e-4)


def test_the_training_people_lie_hollow_on_the_synthetic_ones(evaluation: Evaluation) -> None:
    kinds = [s.kind for s in evaluation.plot.allele_frequency().panels[0].series]
    assert kinds == ["dots", "rings", "guide"]
    assert ".dots.rings.train { fill: none;" in evaluation.plot.allele_frequency().file()


# ---- one by one ---------------------------------------------------------------------------------------------------


def test_a_figure_shows_and_saves_itself(evaluation: Evaluation, tmp_path: Path) -> None:
    figure = evaluation.plot.ld_decay()
    assert len(repr(figure)) < 1000 and len(repr(evaluation.plot)) < 1000
    assert figure.save(tmp_path / "decay.svg") == tmp_path / "decay.svg"
    assert (tmp_path / "decay.svg").read_text(encoding="utf-8") == figure._repr_svg_()
    assert xml.etree.ElementTree.parse(tmp_path / "decay.svg").getroot().tag.endswith("svg")
    with pytest.raises(UsageError, match=r"decay\.svg exists"):
        figure.save(tmp_path / "decay.svg")
    with pytest.raises(UsageError, match=r"decay\.png.*NAME\.svg"):
        figure.save(tmp_path / "decay.png")
    with pytest.raises(UsageError, match="nowhere"):
        figure.save(tmp_path / "nowhere" / "decay.svg")


def test_every_figure_has_its_method_and_an_absent_one_is_named(evaluation: Evaluation) -> None:
    methods = {name for name in dir(evaluation.plot) if not name.startswith("_")} - {"evaluation"}
    assert {"overview" if f.key == "at-a-glance" else f.key.replace("-", "_") for f in figures(evaluation)} == {
        *methods - {"training", "augmentation"}
    }
    with pytest.raises(UsageError, match="'training'.*pca"):
        evaluation.plot.training()
    curves = [{"step": k, "loss": 1.0 / k, "metrics": {}} for k in (1, 2)]
    assert evaluation.with_training(curves).plot.training().key == "training"


# ---- words and names ----------------------------------------------------------------------------------------------


def test_the_glossary_has_a_word_of_every_metric(evaluation: Evaluation) -> None:
    glossary = render(evaluation).partition('<dl class="glossary">')[2].partition("</dl>")[0]
    words = [word for term in re.findall("<dt>(.+?)</dt>", glossary) for word in re.split(r"[,:] ", term)]
    metrics = [name for _, names, _, _ in MEASURES for name, _ in names]
    assert [m for m in metrics if not any(re.search(rf"\b{re.escape(word)}\b", m) for word in words)] == []


def test_title_and_first_lines_name_the_files(evaluation: Evaluation) -> None:
    files = {"synthetic": "s & t.vcf.gz", "real": "real.bcf", "panel": "p.tsv", "split": "split.tsv"}
    text = render(Evaluation(evaluation.rows, evaluation.figures, evaluation.provenance | {"files": files}))
    shown = "Evaluation of s &amp; t.vcf.gz against real.bcf"
    assert f"<title>{shown}" in text and f'<p class="over">{shown}</p>' in text
    assert "40 held-out people of real.bcf" in text and "divided by split.tsv" in text
    assert "<title>Evaluation of synthetic people" in render(evaluation)


def test_the_report_links_to_the_documentation_that_the_package_names(
    evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "The documentation of pgcgan" in render(evaluation) and "docs/" not in render(evaluation)
    monkeypatch.setattr("pgcgan.report.documentation", lambda: "https://docs.example.org")
    text = render(evaluation)
    assert re.findall(r'href="https://docs\.example\.org/(\w+)\.html"', text) == [
        "evaluation",
        "privacy",
        "giving_away",
    ]
    root = Path(__file__).parents[1] / "docs"
    assert all((root / f"{page}.md").is_file() for page in ("evaluation", "privacy", "giving_away"))


def test_files_of_another_type_are_refused(evaluation: Evaluation) -> None:
    for wrong in ([], {"real": 3}):
        broken = Evaluation((Row("a", "b", "all", 1.0),), {}, {"files": wrong})
        with pytest.raises(ValueError, match="files"):
            Evaluation.from_json(broken.to_json())
