"""The result of an evaluation: a table, JSON, a data frame, a page in a notebook."""

from __future__ import annotations

import difflib
import html
import importlib
import json
import math
import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError, MissingExtra, UsageError, listed
from ..runtime.files import check_free, write_text
from ..text import are_texts, is_whole, json_content, visible
from .rows import STANDINGS, Row

if TYPE_CHECKING:
    import pandas

AIMS = ("lower", "higher", "floor", "at most floor")  # or a number
_MOST_COUNT = (1 << 53) - 1
_LARGEST = 1e300  # of a number; sums of some are still finite
_ALL_ROWS = "All rows: print(evaluation.table(per_label=True))."


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The result of `evaluate`: rows of the table, data of the figures, and provenance.

    `evaluation["LD RMSE"]` and `evaluation["LD RMSE", "EUR"]` are rows, as of `get`; iteration is over all rows.

    Parameters
    ----------
    rows : tuple of Row
        In a fixed order: by topic, overall rows before those of each label.
    figures : dict
        Plain lists, by figure name.
    provenance : dict
        Version, command, seed, people used, and remarks on matching and on what was left out.
    """

    rows: tuple[Row, ...]
    figures: dict[str, Any]
    provenance: dict[str, Any]

    def get(self, metric: str, label: str = "all") -> Row:
        """Return one row.

        Raises
        ------
        UsageError
            If there is no such row; the message names those that are spelled alike, or the labels there are.
        """
        for row in self.rows:
            if row.metric == metric and row.label == label:
                return row
        names = {row.metric.casefold(): row.metric for row in self.rows if row.label == label}
        near = [names[each] for each in difflib.get_close_matches(str(metric).casefold(), names, cutoff=0.5)]
        hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
        if not names:
            hint = f"labels: {listed(dict.fromkeys(row.label for row in self.rows), 20)}. "
        raise UsageError(f"There is no row {metric!r} for the label {label!r}; {hint}{_ALL_ROWS}")

    def __getitem__(self, key: str | tuple[str, str]) -> Row:
        return self.get(key) if isinstance(key, str) else self.get(*key)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def table(self, per_label: bool = False) -> str:
        """Return the table as aligned plain text.

        Parameters
        ----------
        per_label : bool
            Whether to add the rows of each label.
        """
        label = ["label"] if per_label else []
        heads = ["topic", "metric", *label, "value", "floor", "standing", "aim", "interval", ""]
        rows = [_cells(row) for row in self.rows if per_label or row.label == "all"]
        return aligned([heads, *([cells[head] for head in heads] for cells in rows)], {"value", "floor"})

    def __repr__(self) -> str:
        people = ", ".join(f"{n['used']:,} {name}" for name, n in self.provenance.get("people", {}).items())
        standings = Counter(row.standing for row in self.rows if row.label == "all")
        counts = ", ".join(f"{words}: {standings[name]}" for name, words in STANDINGS.items())
        size = f"{people or 'people not recorded'}; {self.provenance.get('sites', 0):,} sites; {len(self.rows)} rows"
        return f"Evaluation({size}, of those on all people {counts}; print it, or write report('x.html'))"

    def __str__(self) -> str:
        remarks = "".join(f"\n- {visible(remark)}" for remark in self.provenance.get("remarks", []))
        return self.table() + ("\n" + remarks if remarks else "") + f"\n\n{self.verdict()}"

    def verdict(self) -> str:
        """Return the verdict as plain text: fidelity, two-sample tests and privacy in words."""
        # reports are a layer above, and found by name, as pandas finds what it plots with
        return str(importlib.import_module("pgcgan.report").verdict_text(self))

    def _repr_html_(self) -> str:
        """Return the overall rows as an HTML table for notebooks, with remarks and verdict."""
        heads = ("topic", "metric", "value", "floor", "aim", "interval", "standing", "note")
        head = "".join(f"<th>{name}</th>" for name in heads)
        rows = [_cells(row) for row in self.rows if row.label == "all"]
        lines = ["".join(f"<td>{html.escape(cells[name])}</td>" for name in heads) for cells in rows]
        body = "".join(f"<tr>{line}</tr>" for line in lines)
        remarks = "".join(f"<li>{html.escape(str(text))}</li>" for text in self.provenance.get("remarks", []))
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        verdict = f'<pre style="white-space: pre-wrap">{html.escape(self.verdict())}</pre>'
        return table + (f"<ul>{remarks}</ul>" if remarks else "") + verdict

    def beside(self, others: Mapping[str, Evaluation]) -> Evaluation:
        """Return a copy with other evaluations to show in the figure of fidelity and privacy.

        Parameters
        ----------
        others : mapping of str to Evaluation
            Evaluations of other synthetic people, preferably against the same real ones, by the name to show. They
            replace those that the figure had.
        """
        rows = {str(name): [asdict(r) for r in other.rows if r.label == "all"] for name, other in others.items()}
        return replace(self, figures={**self.figures, "baselines": rows})

    def with_training(self, history: Sequence[Mapping[str, Any]]) -> Evaluation:
        """Return a copy with training curves, which replace those it had.

        Parameters
        ----------
        history : sequence of dict
            `PGcGAN.history_`: reports with "step", "loss" and "metrics"; fewer than two give no curves.
        """
        figures = {name: data for name, data in self.figures.items() if name != "training"}
        if len(history) > 1:
            numbers = [{"loss": report["loss"], **report["metrics"]} for report in history]
            names = dict.fromkeys(name for report in numbers for name in report)
            curves = {n.replace("_", " "): [report.get(n) for report in numbers] for n in names}
            figures["training"] = {"step": [int(report["step"]) for report in history], "curves": curves}
        return replace(self, figures=figures)

    @property
    def plot(self) -> Any:
        """The figures of the report one by one: `plot.pca()`, `plot.allele_frequency()` and others (`Plotting`).

        A notebook shows a figure, and its `save("pca.svg")` writes it.
        """
        return importlib.import_module("pgcgan.report").Plotting(self)

    def report(self, path: str | os.PathLike[str], force: bool = False) -> Path:
        """Write the report, one HTML file that opens without a network, and return its path.

        Parameters
        ----------
        path : path
            NAME.html; NAME.json is what `to_json` writes.
        force : bool
            Replace a file that exists.

        Raises
        ------
        UsageError
            If the name has another ending, the file exists and `force` is not set, or it cannot be written.
        """
        if form_of(path) == "json":
            self.to_json(path, force)
            return Path(path)
        drawing = importlib.import_module("pgcgan.report")
        return Path(drawing.write_report(self, path, force=force))

    def to_frame(self) -> pandas.DataFrame:
        """Return the rows as a pandas DataFrame, one column a field of Row.

        Raises
        ------
        MissingExtra
            If pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise MissingExtra("pandas", "frame", "Evaluation.to_frame()") from None
        return pandas.DataFrame([asdict(r) for r in self.rows], columns=[f.name for f in fields(Row)])

    def to_json(self, path: str | os.PathLike[str] | None = None, force: bool = False) -> str:
        """Return everything as one JSON object, which `from_json` reads.

        A value that cannot be computed is null. JSON cannot represent numbers that are not finite: they are written as
        {"float": "nan"}, "inf" or "-inf".

        Parameters
        ----------
        path : path, optional
            Also write it to this file, whole or not at all.
        force : bool
            Replace a file that exists.

        Raises
        ------
        UsageError
            If the file exists and `force` is not set, or it cannot be written.
        """
        content = {"rows": [asdict(r) for r in self.rows], "figures": self.figures, "provenance": self.provenance}
        text = json.dumps(_finite(content), allow_nan=False, ensure_ascii=False)
        if path is not None:
            check_free(path, force)
            write_text(path, text + "\n")
        return text

    @classmethod
    def from_json(cls, text: str) -> Evaluation:
        """Return the evaluation that `to_json` wrote.

        Raises
        ------
        DataError
            If the text is not such an object.
        """
        try:
            content = _with_numbers(json_content(text))
            rows = tuple(Row(**row) for row in content["rows"])
            figures, provenance = content["figures"], content["provenance"]
            if not isinstance(figures, dict) or not isinstance(provenance, dict):
                raise TypeError("figures and provenance must be objects")
            _check_provenance(provenance)
            for at, row in enumerate(rows):
                _check_row(row, at)
            return cls(rows, figures, provenance)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(
                f"This is not an evaluation in JSON ({error}); accepted: what Evaluation.to_json() or "
                "`pgcgan evaluate` wrote."
            ) from None


def form_of(path: str | os.PathLike[str]) -> str:
    """Return `html` or `json`, by the name of an evaluation to write."""
    form = {".html": "html", ".htm": "html", ".json": "json"}.get(Path(path).suffix.lower())
    if form is None:
        raise UsageError(f"The format of {os.fspath(path)} is not known; accepted: names that end in .html or .json.")
    return form


def _finite(content: Any) -> Any:
    if isinstance(content, float) and not math.isfinite(content):
        return {"float": str(content)}
    if isinstance(content, dict):
        return {str(key): _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return content


def _with_numbers(content: Any) -> Any:
    """Return what `_finite` was given: numbers that are not finite instead of the objects that stand for them."""
    if isinstance(content, dict):
        if content.keys() == {"float"}:
            return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[content["float"]]
        return {key: _with_numbers(value) for key, value in content.items()}
    return [_with_numbers(value) for value in content] if isinstance(content, list) else content


# ---- what comes from a file ---------------------------------------------------------------------------------------


def _check_row(row: Row, at: int) -> None:
    """Raise ValueError unless names are texts, values are numbers or absent, and the aim is one that can be met."""
    texts = (row.topic, row.metric, row.label, row.aim, row.note)
    numbers = (row.value, row.floor, row.low, row.high, row.chance)
    if not all(isinstance(t, str) for t in texts) or not all(n is None or _is_number(n) for n in numbers):
        raise ValueError(f"row {at} has a value of another type")
    if row.aim not in AIMS and not re.fullmatch(r"-?[0-9]{1,9}(\.[0-9]{1,9})?", row.aim):
        raise ValueError(f"row {at} has the aim {row.aim[:40]!r}; accepted: {', '.join(AIMS)}, a number")
    try:
        _ = row.standing
    except (ValueError, TypeError, ArithmeticError):
        raise ValueError(f"row {at} cannot be judged by its aim {row.aim!r}") from None


def _check_provenance(provenance: Mapping[str, Any]) -> None:
    """Raise ValueError unless the entries that are shown or compared are of their types; others may be anything."""
    seed, files = provenance.get("seed"), provenance.get("files", {})
    people, by_label = provenance.get("people", {}), provenance.get("people_by_label", {})
    right = {
        "files": isinstance(files, dict) and are_texts(list(files.values())),
        "remarks": are_texts(provenance.get("remarks", [])),
        "label": are_texts(provenance.get("label") or []),
        "sites": is_whole(provenance.get("sites", 0), 0, _MOST_COUNT),
        "seed": seed is None or isinstance(seed, int),
        "people": isinstance(people, dict)
        and all(_are_counts(counts) and {"given", "used"} <= counts.keys() for counts in people.values()),
        "people_by_label": isinstance(by_label, dict) and all(map(_are_counts, by_label.values())),
    }
    for name, is_right in right.items():
        if not is_right:
            raise ValueError(f"the provenance has a value of another type for {name}")


def _is_number(value: Any) -> bool:
    """True if this is a number that a table and a figure can show; NaN and infinity are, as what is not known."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) < _LARGEST or (isinstance(value, float) and not math.isfinite(value))


def _are_counts(values: Any) -> bool:
    return isinstance(values, dict) and all(is_whole(n, 0, _MOST_COUNT) for n in values.values())


# ---- tables -------------------------------------------------------------------------------------------------------


def aligned(lines: Sequence[Sequence[str]], numeric: Collection[str]) -> str:
    """Return a head and lines of cells as a plain-text table; the columns with these heads are aligned to the right."""
    lines = [[visible(cell) for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    right = [head in numeric for head in lines[0]]
    rows = []
    for line in lines:
        cells = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True)]
        rows.append("  ".join(cells).rstrip())
    return "\n".join(rows)


def _cells(row: Row) -> dict[str, str]:
    """Return what a table shows of a row, by column; the one without a head says why there is no value."""
    texts = {"topic": row.topic, "metric": row.metric, "label": row.label, "aim": row.aim, "note": row.note}
    return {
        **texts,
        "value": figure(row.value),
        "floor": figure(row.floor),
        "standing": "" if row.standing is None else STANDINGS[row.standing],
        "interval": "" if row.low is None or row.high is None else f"{figure(row.low)} … {figure(row.high)}",
        "": row.note if row.value is None else "",
    }


def figure(number: float | None) -> str:
    """Return a number for the table, with three significant digits or more, without exponent where that is short."""
    if number is None:
        return "–"
    if number == 0:
        return "0"
    if abs(number) >= 100 or (abs(number) >= 10 and number == round(number)):
        return f"{number:.0f}"
    if abs(number) >= 0.1:
        return f"{number:.3f}"
    return f"{number:.4f}" if abs(number) >= 0.0005 else f"{number:.2g}"
