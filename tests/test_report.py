"""The HTML report: it stands alone, escapes names, says the verdict, and is written whole."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from pgcgan.errors import UsageError
from pgcgan.genotypes import Genotypes, Variants
from pgcgan.metrics import Evaluation, Row, evaluate
from pgcgan.report import render, verdict, write_report

NASTY = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """Return an evaluation of 120 people with a label that would be markup if it were not escaped."""
    generator = np.random.default_rng(0)
    frequency = generator.uniform(0.05, 0.5, 64)
    calls = (generator.random((64, 120, 2)) < frequency[:, None, None]).astype(np.int8)
    variants = Variants(["1"] * 64, np.arange(1, 65) * 1000, ["."] * 64, ["A"] * 64, ["G"] * 64)
    labels = {NASTY: [NASTY if i % 2 else "B&B" for i in range(120)]}
    whole = Genotypes(calls, variants, [f"P{i}" for i in range(120)], labels)
    index = np.arange(120)
    train, synthetic, holdout = (whole.select(samples=index // 40 == k) for k in range(3))
    return evaluate(train, synthetic, holdout=holdout)


class Page(HTMLParser):
    """Collects tags, attributes and whether every tag is closed."""

    VOID = frozenset({"meta", "line", "image", "br", "path", "polyline", "rect"})

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag that closes itself."""
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        """Check that the last open tag is closed."""
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_asks_nothing_of_a_network(evaluation: Evaluation) -> None:
    text = render(evaluation)
    page = Page(text)
    assert page.open == []
    assert "script" not in page.tags
    assert not {"link", "iframe", "object", "embed", "base"} & set(page.tags)
    addresses = [v for k, v in page.attributes if k in ("href", "src", "xlink:href", "action", "srcset", "data")]
    assert addresses and all(v is not None and v.startswith("data:image/png;base64,") for v in addresses)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", re.sub(r"base64,[A-Za-z0-9+/=]+", "", text))
    assert len(text) < 4_000_000


def test_names_are_escaped_everywhere(evaluation: Evaluation) -> None:
    text = render(evaluation)
    assert NASTY not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 4  # key of the figure, tables, provenance
    assert "B&amp;B" in text
    assert "B&B" not in text


def test_all_figures_and_all_rows_are_there(evaluation: Evaluation) -> None:
    text = render(evaluation)
    assert text.count("<figure") == 6
    assert text.count('<svg viewBox="0 0') == 9  # three clouds, two scatters, and one each
    for row in evaluation.rows:
        assert f"<td>{row.metric.replace('<', '&lt;')}</td>" in text
    assert f'<td class="note">{evaluation.get("far pairs r").note}</td>' in text


def test_it_can_be_drawn_again_from_json(evaluation: Evaluation) -> None:
    assert render(Evaluation.from_json(evaluation.to_json())) == render(evaluation)


def test_it_is_drawn_without_held_out_people_without_figures_and_without_rows(evaluation: Evaluation) -> None:
    unheld = tuple(replace(r, floor=None) for r in evaluation.rows)
    figures = {k: v for k, v in evaluation.figures.items() if k != "membership_roc"}
    for rows, data in ((unheld, figures), (evaluation.rows, {}), ((), {})):
        assert Page(render(Evaluation(rows, data, evaluation.provenance))).open == []


def said(*rows: Row) -> dict[str, str]:
    return dict(verdict(Evaluation(rows, {}, {})))


def test_the_verdict_names_what_is_off_and_on_whom() -> None:
    words = said(
        Row("frequency", "AF RMSE", "all", 0.011, 0.010),
        Row("linkage", "far pairs r", "all", 0.20, 0.88, "higher"),
        Row("frequency", "AF RMSE", "EUR", 0.011, 0.010),
        Row("frequency", "AF RMSE", "AMR", 0.090, 0.010),
    )
    assert words["Fidelity"].startswith("1 of 2 rows are as near to unseen people as other real people are (AF RMSE).")
    assert "Clearly farther off: far pairs r 0.200 (real people: 0.880)." in words["Fidelity"]
    assert words["On whom"] == "Least like the real people: AMR (1 of 1 rows off); most: EUR (0 of 1)."


@pytest.mark.parametrize(
    ("low", "sentence"),
    [
        (0.52, "The interval lies above .5: the synthetic people are measurably nearer to those trained on."),
        (0.48, "The interval holds .5: this attack finds no leak."),
    ],
)
def test_the_verdict_on_privacy_goes_by_the_interval(low: float, sentence: str) -> None:
    words = said(Row("privacy", "membership AUC", "all", 0.55, 0.5, "0.5", low, 0.6))
    assert sentence in words["Privacy"]
    assert words["Privacy"].endswith("finding none does not prove privacy.")


def test_without_attacks_the_verdict_says_that_privacy_was_not_measured() -> None:
    assert said(Row("privacy", "membership AUC", "all", None))["Privacy"].startswith("Not measured")


@pytest.mark.parametrize(
    ("row", "standing"),
    [
        (Row("linkage", "LD RMSE", "all", 0.014, 0.010), "good"),
        (Row("linkage", "LD RMSE", "all", 0.020, 0.010), "fair"),
        (Row("linkage", "LD RMSE", "all", 0.030, 0.010), "poor"),
        (Row("linkage", "LD r", "all", 0.99, 0.95, "higher"), "good"),
        (Row("linkage", "LD r", "all", 0.80, 0.95, "higher"), "poor"),
        (Row("indistinguishable", "AA_syn", "all", 0.53, 0.51, "0.5"), "good"),
        (Row("indistinguishable", "AA_syn", "all", 0.42, 0.50, "0.5"), "fair"),
        (Row("indistinguishable", "AA_syn", "all", 0.9, 0.50, "0.5"), "poor"),
        (Row("utility", "label fidelity", "all", 0.95, 0.78, "floor"), "poor"),
        (Row("privacy", "membership AUC", "all", 0.529, 0.5, "0.5"), "good"),
        (Row("privacy", "membership AUC", "all", 0.7, 0.5, "0.5"), "poor"),
        (Row("privacy", "exact copies", "all", 0.01, 0.04, "at most floor"), "good"),
        (Row("privacy", "exact copies", "all", 0.10, 0.04, "at most floor"), "poor"),
        (Row("privacy", "closest record, median", "all", 0.05, 0.08, "floor"), "poor"),
        (Row("linkage", "LD RMSE", "all", 0.014), None),
        (Row("linkage", "LD RMSE", "all", None, 0.010), None),
    ],
)
def test_standing_of_a_row(row: Row, standing: str | None) -> None:
    assert row.standing == standing


def test_nothing_is_overwritten_without_force(evaluation: Evaluation, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    assert write_report(evaluation, target) == target
    with pytest.raises(UsageError, match=r"report\.html exists; choose another name or give force=True \(--force\)\."):
        write_report(evaluation, target)
    target.write_text("old")
    write_report(evaluation, target, force=True)
    assert target.read_text().startswith("<!doctype html>")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_a_missing_folder_is_named(evaluation: Evaluation, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere does not exist; make it first"):
        write_report(evaluation, tmp_path / "nowhere" / "report.html")


def test_nothing_is_left_of_a_report_that_could_not_be_moved(
    evaluation: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(OSError, match="no"):
        write_report(evaluation, tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []
