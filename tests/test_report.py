"""The HTML report: it stands alone, escapes names, says the verdict, and is written whole."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import xml.etree.ElementTree
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from pgcgan.errors import UsageError
from pgcgan.genotypes import Genotypes, Variants
from pgcgan.metrics import Evaluation, Row, evaluate
from pgcgan.metrics.privacy import interpolated
from pgcgan.report import findings, headline, render, tally, verdict_text, write_figures, write_report
from pgcgan.report.figures import figures
from pgcgan.report.finding import Finding, percent
from pgcgan.report.plots import DARK, HUES, LIGHT

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

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag that closes itself."""
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        """Check that the last open tag is closed."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note what is read as text."""
        self.texts.append(data)


def test_the_page_is_well_formed_and_asks_nothing_of_a_network(evaluation: Evaluation) -> None:
    text = render(evaluation)
    page = Page(text)
    assert page.open == []
    assert page.tags.count("script") == 2  # the values and what shows them
    assert not {"iframe", "object", "embed", "base", "form"} & set(page.tags)
    addresses = [v for k, v in page.attributes if k in ("href", "src", "xlink:href", "action", "srcset", "data")]
    inside = {f"#{v}" for k, v in page.attributes if k == "id"}
    assert all(v in inside or str(v).startswith(("data:image/png;base64,", "data:,")) for v in addresses)
    contents = ["#verdict", "#figures", "#rows", "#by-label", "#glossary", "#provenance"]
    assert [v for v in addresses if v in inside] == contents
    bare = re.sub(r"base64,[A-Za-z0-9+/=]+", "", text).replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//[a-z]|@import|url\(", bare)
    assert len(text.encode()) < 4_000_000


def test_the_only_script_that_may_run_is_the_one_of_the_page(evaluation: Evaluation) -> None:
    text = render(evaluation)
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in text


def test_names_are_escaped_everywhere(evaluation: Evaluation, tmp_path: Path) -> None:
    text = render(evaluation)
    assert NASTY not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 4  # key of the figure, tables, provenance
    assert "B&amp;B" in text
    assert "B&B" not in text
    values = json.loads(text.split('<script type="application/json" id="values">')[1].split("</script>")[0])
    assert {s["name"] for s in values["pca"][0]["series"]} == {NASTY, "B&B"}
    write_figures(evaluation, tmp_path)
    drawn = xml.etree.ElementTree.parse(tmp_path / "pca.svg").getroot()
    assert NASTY in [e.text for e in drawn.iter() if e.text]
    assert not [e for e in drawn.iter() if e.tag.endswith("script")]


FIGURES = [
    "at-a-glance", "pca", "allele-frequency", "ld", "ld-decay", "sfs", "nearest", "membership", "frontier",
]  # fmt: skip


def test_all_figures_and_all_rows_are_there(evaluation: Evaluation) -> None:
    text = render(evaluation)
    assert re.findall(r'<figure id="([^"]+)"', text) == FIGURES
    # three panels of rows, three clouds, frequencies of all people and of two labels, and one each
    assert text.count('<div class="plot"><svg viewBox="0 0 360') == 3 + 3 + 3 + 6
    for row in evaluation.rows:
        assert f"<td>{row.metric.replace('<', '&lt;')}</td>" in text
    assert f'<td class="note">{evaluation.get("far pairs r").note}</td>' in text


def test_what_an_evaluation_brings_besides_is_drawn(evaluation: Evaluation) -> None:
    brought = {
        "baselines": {"a & b": [asdict(r) for r in evaluation.rows]},
        "augmentation": {"label": "X", "score": "F1 of X", "kept": [10, 25], "curves": {"none": [0.2, None]}},
        "training": {"step": [1, 2, 3], "curves": {"loss (nats)": [3.0, None, 1.0], "gap": [None, None, None]}},
    }
    text = render(Evaluation(evaluation.rows, evaluation.figures | brought, evaluation.provenance))
    assert re.findall(r'<figure id="([^"]+)"', text) == [*FIGURES, "augmentation", "training"]
    values = json.loads(text.split('<script type="application/json" id="values">')[1].split("</script>")[0])
    frontier = {s["name"]: s for s in values["frontier"][0]["series"]}
    assert set(frontier) == {"real people", "this set", "a & b"}
    assert frontier["a & b"]["px"] == frontier["this set"]["px"]  # the same rows
    assert [s["y"] for s in values["augmentation"][0]["series"]] == [[0.2]]
    assert [(s["x"], s["y"]) for p in values["training"] for s in p["series"]] == [([1, 3], [3, 1])]


def test_the_values_to_hover_on_are_those_of_the_figure(evaluation: Evaluation) -> None:
    text = render(evaluation)
    values = json.loads(text.split('<script type="application/json" id="values">')[1].split("</script>")[0])
    decay = evaluation.figures["ld_decay"]
    shown = {s["name"]: s for s in values["ld-decay"][0]["series"]}
    assert shown["synthetic"]["y"] == pytest.approx(decay["synthetic"], rel=1e-3)
    assert shown["held-out"]["x"] == pytest.approx(decay["distance"], rel=1e-3)
    r2 = np.array(evaluation.figures["ld_matrix"]["reference"])
    above, _ = values["ld"][0]["percent"]
    assert above == np.rint(100 * r2[np.triu_indices(len(r2), 1)]).astype(int).tolist()
    spectrum = {s["name"]: s for s in values["sfs"][0]["series"]}["synthetic"]
    single = [(w, y) for w, y in zip(spectrum["words"], spectrum["y"], strict=True) if " to " not in w]
    whole = evaluation.figures["sfs"]["synthetic"]
    assert len(single) >= 3
    assert [y for _, y in single] == pytest.approx([whole[int(w.split()[0]) - 1] for w, _ in single], rel=1e-3)
    spans = [w.split() for w in spectrum["words"]]
    counts = [int(w[2]) - int(w[0]) + 1 if w[1] == "to" else 1 for w in spans]
    assert np.dot(counts, spectrum["y"]) == pytest.approx(1, rel=1e-3)  # shares per count, times counts


def test_an_evaluation_of_before_the_newer_figures_is_drawn(evaluation: Evaluation) -> None:
    old = json.loads(evaluation.to_json())
    del old["figures"]["sfs"], old["figures"]["allele_frequency"]["by_label"], old["figures"]["ld_matrix"]["contig"]
    text = render(Evaluation.from_json(json.dumps(old)))
    assert re.findall(r'<figure id="([^"]+)"', text) == [f for f in FIGURES if f != "sfs"]


def test_many_labels_are_summed_up(evaluation: Evaluation) -> None:
    points = evaluation.figures["pca"]
    many = {
        name: part | {"label": [f"L{i % 40:02d}" for i in range(len(part["label"]))]}
        for name, part in points.items()
        if name in ("train", "holdout", "synthetic")
    }
    frequencies = evaluation.figures["allele_frequency"]
    first = next(iter(frequencies["by_label"].values()))
    far = first | {"synthetic": [1 - v for v in first["reference"]]}
    by_label = {f"L{i:02d}": first for i in range(39)} | {"L39": far}
    drawn = {"pca": many, "allele_frequency": frequencies | {"by_label": by_label}}
    text = render(Evaluation(evaluation.rows, drawn, evaluation.provenance))
    assert "<span>17 other labels</span>" in text
    assert len(text.encode()) < 4_000_000
    assert text.count("<b>L") == 11 and "<b>L39</b>" in text  # the label that is farthest off is among those drawn


def contrast(a: str, b: str) -> float:
    """Return the contrast ratio of WCAG 2 of two colours, #rrggbb."""

    def luminance(colour: str) -> float:
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_can_be_seen_on_the_paper(palette: dict[str, str]) -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    for name in ("ink", "soft", "good", "fair", "poor"):
        assert contrast(palette[name], palette["paper"]) >= 4.5, name
    for name in ("train", "holdout", "synthetic", "guide", *(f"hue{k}" for k in range(HUES))):
        assert contrast(palette[name], palette["paper"]) >= 3, name


def test_figures_are_files_that_need_no_browser(evaluation: Evaluation, tmp_path: Path) -> None:
    written = write_figures(evaluation, tmp_path / "new" / "folder")
    assert [p.name for p in written] == [f"{name}.svg" for name in FIGURES]
    for path in written:
        root = xml.etree.ElementTree.parse(path).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "var(" not in path.read_text()  # drawing programs do not know them
        assert sum(e.tag.endswith(("path", "image")) for e in root.iter()) >= 2
    again = write_figures(Evaluation.from_json(evaluation.to_json()), tmp_path / "again")
    assert [p.read_bytes() for p in again] == [p.read_bytes() for p in written]
    written[3].unlink()
    with pytest.raises(UsageError, match=r"at-a-glance\.svg exists; force=True"):
        write_figures(evaluation, tmp_path / "new" / "folder")
    assert not written[3].exists()
    write_figures(evaluation, tmp_path / "new" / "folder", force=True)
    assert written[3].exists()


def test_a_folder_of_figures_that_is_a_file_is_named(evaluation: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UsageError, match="taken is not a folder and cannot be made one"):
        write_figures(evaluation, tmp_path / "taken")


def test_it_can_be_drawn_again_from_json(evaluation: Evaluation) -> None:
    assert render(Evaluation.from_json(evaluation.to_json())) == render(evaluation)


def test_it_is_drawn_without_held_out_people_without_figures_and_without_rows(evaluation: Evaluation) -> None:
    unheld = tuple(replace(r, floor=None) for r in evaluation.rows)
    figures = {k: v for k, v in evaluation.figures.items() if k != "membership_roc"}
    for rows, data in ((unheld, figures), (evaluation.rows, {}), ((), {})):
        assert Page(render(Evaluation(rows, data, evaluation.provenance))).open == []


def whole(part: Finding) -> str:
    """Return a part of the verdict as it is read: the text, then each statement with its rows."""
    return " ".join([part.text, *(f"{statement} {rows}" for statement, rows in part.items)])


def by_heading(*rows: Row, figures: dict | None = None) -> dict[str, Finding]:
    return {f.heading: f for f in findings(Evaluation(rows, figures or {}, {}))}


def test_the_verdict_names_what_is_good_what_is_off_and_on_whom() -> None:
    words = by_heading(
        Row("frequency", "AF RMSE", "all", 0.011, 0.010),
        Row("linkage", "far pairs r", "all", 0.20, 0.88, "higher"),
        Row("frequency", "AF RMSE", "EUR", 0.011, 0.010),
        Row("frequency", "AF RMSE", "AMR", 0.090, 0.010),
    )
    assert (words["Fidelity"].standing, words["Deviations"].standing) == ("good", "poor")
    assert words["Fidelity"].text.startswith("1 of 2 metrics") and words["Fidelity"].text.endswith(
        ": allele frequencies."
    )
    assert words["Deviations"].text.startswith("1 of 2 metrics")
    ((statement, rows),) = words["Deviations"].items
    assert "distant sites" in statement and rows == "far pairs r 0.200, real people 0.880"
    assert re.findall(r"\w+ \(\d of \d", words["By label"].text) == ["AMR (1 of 1", "EUR (0 of 1"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (Row("structure", "PCA variance ratio", "all", 0.66, 0.99, "1"), "haplotypes is only 66 %"),
        (
            Row("structure", "PCA variance ratio, people", "all", 1.5, 1.0, "1"),
            "people is 150 %",
        ),
        (
            Row("haplotypes", "longest shared tract", "all", 90, 20, "floor"),
            "longer than those of held-out people: copying",
        ),
        (Row("haplotypes", "longest shared tract", "all", 5, 20, "floor"), "too short"),
        (Row("utility", "label fidelity", "all", 0.95, 0.78, "floor"), "too typical of their label"),
        (Row("utility", "label fidelity", "all", 0.30, 0.78, "floor"), "harder to recognise"),
        (Row("frequency", "singleton share", "all", 0.01, 0.1, "floor"), "too few singletons"),
        (Row("linkage", "LD decay RMSE", "all", 0.1, 0.01), "too weak"),
        (Row("somewhere", "a new metric", "all", 0.1, 0.01), "a new metric is wrong."),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_the_verdict_says_in_which_way_a_row_is_off(row: Row, words: str) -> None:
    decay = {"ld_decay": {"distance": [1, 2], "train": [0.3, 0.2], "holdout": [0.3, 0.2], "synthetic": [0.1, 0.1]}}
    assert words in by_heading(row, figures=decay)["Deviations"].items[0][0]


def test_the_worst_comes_first_and_rows_of_one_fault_are_one_item() -> None:
    items = by_heading(
        Row("linkage", "LD RMSE", "all", 0.03, 0.01),
        Row("frequency", "AF RMSE", "all", 0.10, 0.01),
        Row("frequency", "AF max error", "all", 0.30, 0.10),
    )["Deviations"].items
    assert [rows for _, rows in items] == [
        "AF RMSE 0.100, real people 0.0100; AF max error 0.300, real people 0.100",
        "LD RMSE 0.0300, real people 0.0100",
    ]


def test_the_verdict_on_a_cloud_of_its_own() -> None:
    words = by_heading(
        Row("indistinguishable", "AA_truth", "all", 0.27, 0.49, "0.5"),
        Row("indistinguishable", "AA_syn", "all", 0.98, 0.45, "0.5"),
        Row("indistinguishable", "C2ST AUC, gradient boosting", "all", 0.97, 0.47, "0.5"),
    )["Two-sample tests"]
    assert words.standing == "poor"
    assert "easily distinguishes synthetic from real, AUC 0.970 (real people: 0.470)" in words.text
    assert "they repeat themselves" in words.text
    assert "Many real people are nearer to a synthetic person than to any real one" in words.text


ATTACK = Row("privacy", "membership AUC", "all", 0.52, 0.5, "0.5")
WEAK = "by nearest distance alone, a weak attack"
NOT_DETECTED = "training membership was not detected, but only weak attacks were tried:"


@pytest.mark.parametrize(
    ("value", "floor", "low", "line"),
    [
        (0.011, 0.010, 0.47, f"Like real people; {NOT_DETECTED} {WEAK} (AUC 0.520)"),
        (0.100, 0.010, 0.47, f"Unlike real people in most respects; {NOT_DETECTED} {WEAK} (AUC 0.520)"),
        (0.011, 0.010, 0.52, f"Like real people; training membership can be detected {WEAK} (AUC 0.550)"),
        (0.011, 0.010, 0.51, f"Like real people; training membership can be detected {WEAK} (AUC 0.520)"),
        (
            0.011,
            None,
            None,
            "Fidelity not judged, because there are no held-out people; what they give away was not measured",
        ),
    ],
)
def test_the_headline(value: float, floor: float | None, low: float | None, line: str) -> None:
    rows = [Row("frequency", "AF RMSE", "all", value, floor)]
    attack = None if low is None else 0.52 if low < 0.515 else 0.55
    rows.append(Row("privacy", "membership AUC", "all", attack, 0.5, "0.5", low, 0.6))
    assert headline(Evaluation(tuple(rows), {}, {})) == line


@pytest.mark.parametrize(
    ("low", "high", "sentence"),
    [
        (0.52, 0.6, ": training membership can be detected. AUC 0.520 [0.520, 0.600]; chance is .5"),
        (0.48, 0.6, ": not detected. AUC 0.520 [0.480, 0.600]; chance is .5"),
        (0.40, 0.45, ": not detected. AUC 0.520 [0.400, 0.450]; chance is .5"),
    ],
)
def test_the_verdict_on_privacy_goes_by_the_interval(low: float, high: float, sentence: str) -> None:
    privacy = by_heading(Row("privacy", "membership AUC", "all", 0.52, 0.5, "0.5", low, high))["Privacy"]
    assert sentence in whole(privacy)
    assert privacy.text.endswith("no attack proves privacy.")


def test_the_headline_names_the_attacker_who_finds_most() -> None:
    distance = Row("privacy", "membership AUC", "all", 0.52, 0.5, "0.5", 0.49, 0.54)
    pool = Row("privacy", "informed membership AUC, pool", "all", 0.873, 0.5, "0.5", 0.86, 0.89)
    panel = Row("privacy", "informed membership AUC, panel", "all", 0.639, 0.5, "0.5", 0.61, 0.66)
    rarest = replace(pool, metric="informed membership AUC, pool, rarest tenth", value=0.966)
    rate = Row("privacy", "informed membership TPR at 1 % FPR, pool", "all", 0.329, 0.01, "0.01")
    rows = (distance, panel, pool, rarest, rate)
    line = headline(Evaluation(rows, {}, {}))
    assert line.endswith("detected with the genotypes of all candidates (AUC 0.873)")
    text = whole(by_heading(*rows)["Privacy"])
    assert "rarest haplotypes. AUC 0.966" in text and "32.9 % of the training people" in text
    few = replace(rate, note=rate.note + interpolated(0.01, 60))
    assert "(interpolated: one of 60 is 1.7 % of the held-out people)" in whole(by_heading(pool, few)["Privacy"])
    assert interpolated(0.01, 100) == ""
    # where nothing was found, the attack that knew most is named
    calm = replace(pool, value=0.5, low=0.47, high=0.53)
    line = headline(Evaluation((distance, calm), {}, {}))
    assert (
        "not detected by these attacks, the strongest of them with the genotypes of all candidates (AUC 0.500)" in line
    )


def test_any_row_of_privacy_that_deviates_is_in_the_headline() -> None:
    """Not the AUC alone: a rate, or a distance, clearly off that of real people; and not what chance explains."""
    calm = Row("privacy", "informed membership AUC, pool", "all", 0.5, 0.5, "0.5", 0.47, 0.53)
    rate = Row("privacy", "informed membership TPR at 1 % FPR, pool", "all", 0.2, 0.01, "0.01", 0.1, 0.3)
    near = Row("privacy", "closest record, median", "all", 0.01, 0.05, "floor", 0.009, 0.012)
    for row, words in ((rate, "at 1 % FPR, pool 0.200"), (near, "closest record, median 0.0100 (real people: 0.0500)")):
        line = headline(Evaluation((calm, row), {}, {}))
        assert "training membership can be detected: " in line and words in line
    chance = replace(rate, value=0.05, low=0.0, high=0.3)
    few = replace(rate, metric="informed membership TPR at 0.1 % FPR, panel", value=0.03, low=0.02, aim="0.001")
    assert few.standing == "poor" and "was not detected" in headline(Evaluation((calm, few), {}, {}))
    assert "was not detected by these attacks" in headline(Evaluation((calm, chance), {}, {}))


def test_the_curves_have_a_logarithmic_axis_of_false_positives(evaluation: Evaluation) -> None:
    """Points of the drawn curve: at equal factors of the false positive rate they are equally far apart."""
    grid = [0.001, 0.01, 0.1, 1.0]
    data = {"informed_roc": {"fpr": grid, "curves": {"pool": [0.1, 0.3, 0.6, 1.0]}}}
    (drawn,) = [f for f in figures(Evaluation((), data, {})) if f.key == "membership"]
    (panel,) = drawn.values
    assert [s["name"] for s in panel["series"]] == ["pool"]
    (pool,) = panel["series"]
    assert np.diff(pool["px"]) == pytest.approx(np.diff(pool["px"])[0], abs=0.2)
    assert (pool["x"], pool["y"]) == (grid, [0.1, 0.3, 0.6, 1.0])
    (whole,) = [f for f in figures(evaluation) if f.key == "membership"]
    assert {"pool", "panel", "pool, copies", "nearest distance", "chance"} <= {s.name for s in whole.legend}


def test_copies_are_named_where_the_attacks_detect_nothing() -> None:
    rows = (
        Row("frequency", "AF RMSE", "all", 0.01, 0.01),
        Row("privacy", "membership AUC", "all", 0.51, 0.5, "0.5", 0.48, 0.54),
        Row("privacy", "exact copies", "all", 0.05, 0.0, "at most floor"),
    )
    line = headline(Evaluation(rows, {}, {}))
    assert "copies its training people: 5.0 % of the synthetic haplotypes" in line and "of held-out people 0 %" in line
    privacy = by_heading(*rows)["Privacy"]
    assert privacy.standing == "poor"
    assert "5.0 % of the synthetic haplotypes and 0 % of the held-out haplotypes equal a training haplotype." in whole(
        privacy
    )
    assert "Other deviations: exact copies 0.0500 (real people: 0)." in privacy.text


def test_renamed_training_people_get_another_headline_than_people_of_a_model(evaluation: Evaluation) -> None:
    copied = [Row("privacy", "copied people", "all", 1.0, 0.0, "at most floor", 1.0, 1.0)]
    attack = Row("privacy", "informed membership AUC, pool", "all", 0.99, 0.5, "0.5", 0.98, 1.0)
    line = headline(Evaluation((attack, *copied), {}, {}))
    assert "copies its training people: 100 % of the synthetic people" in line
    both = (attack, Row("privacy", "exact copies", "all", 1.0, 0.2, "at most floor"), *copied)
    assert headline(Evaluation(both, {}, {})) == line  # whole people say more than haplotypes
    alone = replace(copied[0], floor=None)
    assert "copies its training people: 100 %" in headline(Evaluation((alone,), {}, {}))
    assert "Copies: 100 %" in by_heading(alone)["Privacy"].text
    few = replace(alone, value=0.01)
    assert "not measured" in headline(Evaluation((few,), {}, {}))
    assert "copies" not in headline(evaluation)


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (1, "100 %"), (0.9996, "100 %"), (0.329, "32.9 %"), (0.05, "5.0 %"), (3e-5, "0.003 %")],
)
def test_shares_are_printed_without_exponents(share: float, text: str) -> None:
    assert percent(share) == text


def test_the_tally_counts_the_rows_on_all_people_that_are_judged() -> None:
    rows = (
        Row("frequency", "AF RMSE", "all", 0.01, 0.01),
        Row("frequency", "AF RMSE", "EUR", 0.09, 0.01),
        Row("frequency", "AF r", "all", None),
        Row("privacy", "privacy loss", "all", 0.5, 0.0, "0"),
    )
    text = tally(Evaluation(rows, {}, {}))
    assert text.startswith("1 like real, 0 near, 1 deviates, of the 2 metrics on all people")
    assert text.endswith("Deviations: 1 of privacy.")


def test_without_held_out_people_nothing_is_said_of_what_real_people_do(evaluation: Evaluation) -> None:
    people = {name: count for name, count in evaluation.provenance["people"].items() if name != "holdout"}
    rows = (
        Row("frequency", "sites lost", "all", 0.2, 0.01, "lower"),  # its floor is a bootstrap of the training people
        Row("structure", "PCA variance ratio", "all", 1.01, None, "1"),
        Row("structure", "PCA variance ratio, people", "all", 1.5, None, "1"),
    )
    alone = Evaluation(rows, {}, {"people": people})
    text = verdict_text(alone, 10_000)
    assert "against the training people alone, without a floor: 1 of 3 metrics are near their ideal" in text
    assert "--split" in text and "real people do" not in text and "real people –" not in text
    assert "because there are no held-out people" in headline(alone)


def test_unphased_people_are_people_in_the_verdict() -> None:
    row = Row("privacy", "exact copies", "all", 0.05, 0.0, "at most floor")
    assert "5.0 % of the synthetic people equal a training person" in headline(
        Evaluation((row,), {}, {"phased": False})
    )


@pytest.mark.parametrize(("low", "words"), [(0.02, "are nearer to"), (-0.01, "are not measurably nearer to")])
def test_a_privacy_loss_is_a_sentence(low: float, words: str) -> None:
    rows = Row("privacy", "privacy loss", "all", 0.05, 0.0, "0", low, 0.1), replace(ATTACK, value=0.5)
    assert f"Synthetic people {words} training people" in whole(by_heading(*rows)["Privacy"])


@pytest.mark.parametrize(
    ("value", "floor", "chance", "standing"),
    [
        (0.30, 0.33, 0.30, "poor"),  # always guessing the most frequent label
        (0.32, 0.33, 0.05, "good"),
        (0.23, 0.33, 0.05, "fair"),
        (0.31, 0.30, 0.31, None),  # real people teach nothing, either
        (0.90, 0.95, 0.30, "fair"),  # the gap alone decides
    ],
)
def test_a_classifier_is_judged_by_what_it_adds_to_guessing(
    value: float, floor: float, chance: float, standing: str | None
) -> None:
    row = Row("utility", "TSTR accuracy", "all", value, floor, "higher", chance=chance)
    assert row.standing == standing


def test_without_attacks_the_verdict_says_that_privacy_was_not_measured() -> None:
    assert by_heading(Row("privacy", "membership AUC", "all", None))["Privacy"].text.startswith("Not measured")


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
        # the interval holds the floor: no difference is shown, but for privacy and for a classifier that guesses
        (Row("frequency", "AF RMSE", "all", 0.030, 0.010, low=0.008, high=0.05), "fair"),
        (Row("frequency", "AF RMSE", "all", 0.030, 0.010, low=0.012, high=0.05), "poor"),
        (Row("frequency", "AF RMSE", "all", 0.014, 0.010, low=0.008, high=0.05), "good"),
        (Row("privacy", "membership AUC", "all", 0.7, 0.5, "0.5", 0.4, 0.9), "poor"),
        (Row("utility", "augmentation F1 of X, 10 kept", "all", 0.42, 0.47, "floor", 0.3, 0.5, chance=0.3), "fair"),
        (Row("utility", "augmentation F1 of X, 10 kept", "all", 0.30, 0.47, "floor", 0.2, 0.5, chance=0.3), "poor"),
    ],
)
def test_standing_of_a_row(row: Row, standing: str | None) -> None:
    assert row.standing == standing


def test_nothing_is_overwritten_without_force(evaluation: Evaluation, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    assert write_report(evaluation, target) == target
    with pytest.raises(UsageError, match=r"report\.html exists; force=True \(--force\) replaces it"):
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
    with pytest.raises(UsageError, match=r"report\.html cannot be written: no\."):
        write_report(evaluation, tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []
