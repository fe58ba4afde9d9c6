"""The columns and the table of the augmentation benchmark."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from cohorts import DATA_SETS

from pgcgan.metrics import figure
from pgcgan.metrics.utility import COMPONENTS

NAME = "augmentation"
DATA = DATA_SETS[0]
KEEP = (10, 25, 50, 100)
SEEDS = (1, 2, 3)
# fitted on the reduced set, as the classifier is
GENERATORS = {
    "none": "no augmentation",
    "oversampling": "oversampling",
    "smote": "SMOTE",
    "independent": "independent",
    "pca-gaussian": "PCA-Gaussian",
    "li-stephens": "Li-Stephens",
    "haplotype": "haplotype",
    "gan": "gan",
}
# they know the train people who were taken out
REFERENCES = {
    "real": "real top-up",
    "haplotype-all": "haplotype, all train",
}
COLUMNS = {**GENERATORS, **REFERENCES}
SCORES = {"f1": "F1 of the label", "balanced_accuracy": "Balanced accuracy"}


def people_text(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{label} {count}" for label, count in counts.items())


def cell_key(cell: Mapping[str, Any]) -> tuple[str, int, str]:
    return cell["label"], cell["keep"], cell["generator"]


def as_markdown(result: dict[str, Any]) -> str:
    """Return the section of docs/benchmarks.md."""
    lines = [
        f"### {result['title']}",
        "",
        f"{result['sites']:,} sites; {sum(result['train'].values()):,} train people ({people_text(result['train'])}) "
        f"and {sum(result['holdout'].values()):,} held-out people. Classifier: logistic regression on {COMPONENTS} "
        f"principal components, {result['unit']}.",
    ]
    for score, title in SCORES.items():
        table = _table(result, score)
        lines += [
            "",
            f"#### {title}",
            "",
            "| " + " | ".join(table[0]) + " |",
            "|---|--:|" + "--:|" * (len(table[0]) - 2),
            *("| " + " | ".join(row) + " |" for row in table[1:]),
        ]
    return "\n".join([*lines, "", *_notes(result)])


def _columns(result: dict[str, Any]) -> list[str]:
    measured = {cell["generator"] for cell in result["cells"]}
    return [name for name in COLUMNS if name in measured]


def _table(result: dict[str, Any], score: str) -> list[list[str]]:
    """Return header and rows of one table as text cells: empty = not measured, – = no value, with a note."""
    columns = _columns(result)
    cells = {cell_key(cell): cell for cell in result["cells"]}
    rows = sorted({(cell["label"], cell["keep"]) for cell in result["cells"]})
    table = [["label", "kept", *(COLUMNS[c] if c in GENERATORS else f"*{COLUMNS[c]}*" for c in columns)]]
    for label, keep in rows:
        row = [cells.get((label, keep, c)) for c in columns]
        table.append([label, str(keep), *("" if c is None else with_spread(c.get(score)) for c in row)])
    if len(rows) > 1:
        line = ["mean", ""]
        for c in columns:
            values = [cells.get((label, keep, c), {}).get(score) for label, keep in rows]
            # a mean over some rows cannot be held against a mean over others
            line.append(figure(statistics.fmean(statistics.fmean(v) for v in values)) if all(values) else "")
        table.append(line)
    return table


def with_spread(values: Sequence[float] | None) -> str:
    if not values:
        return "–"
    mean = figure(statistics.fmean(values))
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.3f}"


def _notes(result: dict[str, Any]) -> list[str]:
    """Return how often each column was measured, how long its fit takes, what is missing, and by which runs."""
    lines = []
    times: dict[str, list[str]] = {}
    took, settings = [], []
    for column in _columns(result):
        own = [cell for cell in result["cells"] if cell["generator"] == column]
        counts = sorted({len(cell["seeds"]) for cell in own})
        times.setdefault(" or ".join(map(str, counts)), []).append(COLUMNS[column])
        seconds = [cell["fit_seconds"] for cell in own if cell.get("fit_seconds")]
        if seconds:
            took.append(f"{COLUMNS[column]} {statistics.fmean(seconds):.3g}")
        for cell in own:
            text = ", ".join(f"{name} {value}" for name, value in cell.get("settings", {}).items())
            if text and f"{COLUMNS[column]}: {text}" not in settings:
                settings.append(f"{COLUMNS[column]}: {text}")
    for count, columns in times.items():
        whose = "" if len(times) == 1 else f": {'; '.join(columns)}"
        lines.append(f"- {count} seed{'' if count == '1' else 's'}{whose}.")
    if took:
        lines.append(f"- Seconds of a fit, on average: {'; '.join(took)}.")
    if settings:
        lines.append(f"- Settings other than the defaults: {'; '.join(settings)}.")
    for cell in result["cells"]:
        if "note" in cell:
            where = f"{cell['label']}, {cell['keep']} kept, {COLUMNS[cell['generator']]}"
            lines.append(f"- No value (–): {where} — {cell['note']}")
    for run in result["runs"].values():
        where = run["machine"]
        lines.append(
            f"- Run of {run['date'][:10]}: `python {run['command']}`, pgcgan {run['pgcgan']}, {where['cores']} cores "
            f"({where['processor']}), load before it {where['load_before']:g}."
        )
    behind = _behind(result)
    if behind:
        lines += ["", "Where the haplotype model is not the best in F1 (references left out):", "", *behind]
    return lines


def _behind(result: dict[str, Any]) -> list[str]:
    """Return the generator with the highest mean F1 of each row in which it is not the haplotype model."""
    f1 = {cell_key(cell): statistics.fmean(cell["f1"]) for cell in result["cells"] if cell.get("f1")}
    lines = []
    for label, keep, column in f1:
        if column != "haplotype":
            continue
        own = {c: f1[label, keep, c] for c in GENERATORS if (label, keep, c) in f1}
        best = max(own, key=lambda c: own[c])
        if figure(own[best]) != figure(own["haplotype"]):
            lines.append(f"- {label}, {keep} kept: {figure(own['haplotype'])}; {COLUMNS[best]} {figure(own[best])}.")
    return lines
