"""The result of an evaluation: a table, JSON, a data frame, a page in a notebook."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from ..errors import DataError, UsageError, listed
from .rows import Row

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The result: rows of the table, data of the figures, and how it was made.

    Parameters
    ----------
    rows : tuple of Row
        In a fixed order: by topic, overall rows before those of each label.
    figures : dict
        Plain lists, by figure name.
    provenance : dict
        Version, command, seed, people used, and remarks on what was matched or left out.
    """

    rows: tuple[Row, ...]
    figures: dict[str, Any]
    provenance: dict[str, Any]

    def get(self, metric: str, label: str = "all") -> Row:
        """Return one row.

        Raises
        ------
        UsageError
            If there is no such row; the message lists the metrics there are.
        """
        for row in self.rows:
            if row.metric == metric and row.label == label:
                return row
        names = dict.fromkeys(r.metric for r in self.rows if r.label == label)
        raise UsageError(
            f"There is no row {metric!r} for the label {label!r}; metrics for it: {listed(names, 40)}; "
            f"labels: {listed(dict.fromkeys(r.label for r in self.rows), 40)}."
        )

    def table(self, per_label: bool = False) -> str:
        """Return the table as aligned plain text.

        Parameters
        ----------
        per_label : bool
            Whether to add the rows of each label.
        """
        shown = [r for r in self.rows if per_label or r.label == "all"]
        head = ["topic", "metric", "value", "floor", "aim", "interval"]
        if per_label:
            head.insert(2, "label")
        lines = [head]
        notes: list[str] = [""]
        for row in shown:
            span = "" if row.low is None or row.high is None else f"{figure(row.low)} … {figure(row.high)}"
            line = [row.topic, row.metric, figure(row.value), figure(row.floor), row.aim, span]
            if per_label:
                line.insert(2, row.label)
            lines.append(line)
            notes.append(row.note if row.value is None else "")
        widths = [max(len(line[k]) for line in lines) for k in range(len(head))]
        numeric = {head.index("value"), head.index("floor")}
        text = []
        for line, note in zip(lines, notes, strict=True):
            columns = enumerate(zip(line, widths, strict=True))
            cells = [c.rjust(w) if k in numeric else c.ljust(w) for k, (c, w) in columns]
            text.append(("  ".join(cells) + (f"  {note}" if note else "")).rstrip())
        return "\n".join(text)

    def __str__(self) -> str:
        remarks = "".join(f"\n- {remark}" for remark in self.provenance.get("remarks", []))
        return self.table() + ("\n" + remarks if remarks else "")

    def _repr_html_(self) -> str:
        """Return the overall rows as a table for notebooks; names are escaped."""
        head = ("topic", "metric", "value", "floor", "aim", "interval", "standing", "note")
        lines = ["".join(f"<th>{name}</th>" for name in head)]
        for row in self.rows:
            if row.label == "all":
                span = "" if row.low is None or row.high is None else f"{figure(row.low)} … {figure(row.high)}"
                cells = (row.topic, row.metric, figure(row.value), figure(row.floor), row.aim, span, row.standing or "")
                lines.append("".join(f"<td>{html.escape(cell)}</td>" for cell in (*cells, row.note)))
        remarks = "".join(f"<li>{html.escape(str(text))}</li>" for text in self.provenance.get("remarks", []))
        body = "".join(f"<tr>{line}</tr>" for line in lines[1:])
        table = f"<table><thead><tr>{lines[0]}</tr></thead><tbody>{body}</tbody></table>"
        return table + (f"<ul>{remarks}</ul>" if remarks else "")

    def beside(self, others: Mapping[str, Evaluation]) -> Evaluation:
        """Return the same evaluation with others for the figure of fidelity and privacy, instead of those it had.

        Parameters
        ----------
        others : mapping of str to Evaluation
            Of other artificial people, best against the same real ones, by the name that the figure gives them.
        """
        rows = {str(name): [asdict(r) for r in other.rows if r.label == "all"] for name, other in others.items()}
        return replace(self, figures={**self.figures, "baselines": rows})

    def with_training(self, history: Sequence[Mapping[str, Any]]) -> Evaluation:
        """Return the same evaluation with the curves of a training, instead of those it had.

        Parameters
        ----------
        history : sequence of dict
            `PGcGAN.history`; with fewer than two reports there are no curves.
        """
        figures = {name: data for name, data in self.figures.items() if name != "training"}
        history = [report for report in history if "diverged_at" not in report["metrics"]]  # of what was undone
        if len(history) > 1:
            steps: list[int] = []
            before = 0  # the stages count anew, the figure counts on
            for at, report in enumerate(history):
                if at and report["stage"] != history[at - 1]["stage"]:
                    before = steps[-1]
                steps.append(before + int(report["step"]))
            numbers = [{"loss": report["loss"], **report["metrics"]} for report in history]
            names = dict.fromkeys(name for report in numbers for name in report)
            curves = {n.replace("_", " "): [report.get(n) for report in numbers] for n in names}
            figures["training"] = {"step": steps, "curves": curves}
        return replace(self, figures=figures)

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
            from ..errors import MissingExtra

            raise MissingExtra("pandas", "frame", "Evaluation.to_frame()") from None
        return pandas.DataFrame([asdict(r) for r in self.rows], columns=[f.name for f in fields(Row)])

    def to_json(self) -> str:
        """Return everything as one JSON object, from which `from_json` makes an equal evaluation.

        A value that cannot be computed is null. JSON has no word for a number that is not finite: such a number is
        written as {"float": "nan"}, "inf" or "-inf".
        """
        content = {"rows": [asdict(r) for r in self.rows], "figures": self.figures, "provenance": self.provenance}
        return json.dumps(_finite(content), allow_nan=False, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Evaluation:
        """Return the evaluation that `to_json` wrote.

        Raises
        ------
        DataError
            If the text is not such an object.
        """
        try:
            content = json.loads(text, object_hook=_number)
            rows = tuple(Row(**row) for row in content["rows"])
            figures, provenance = content["figures"], content["provenance"]
            if not isinstance(figures, dict) or not isinstance(provenance, dict):
                raise TypeError("figures and provenance must be objects")
            for at, row in enumerate(rows):
                texts, numbers = (
                    (row.topic, row.metric, row.label, row.aim, row.note),
                    (row.value, row.floor, row.low, row.high),
                )
                if not all(isinstance(t, str) for t in texts) or not all(n is None or _is_number(n) for n in numbers):
                    raise TypeError(f"row {at} has a value of another type")
            return cls(rows, figures, provenance)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(
                f"This is not an evaluation in JSON ({error}); accepted: what Evaluation.to_json() or "
                "`pgcgan evaluate` wrote."
            ) from None


def _finite(content: Any) -> Any:
    if isinstance(content, float) and not math.isfinite(content):
        return {"float": str(content)}
    if isinstance(content, dict):
        return {str(key): _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return content


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(content: dict[str, Any]) -> Any:
    return float(content["float"]) if content.keys() == {"float"} else content


def figure(number: float | None) -> str:
    """Return a number for the table: three significant digits at least, without exponent where that is short."""
    if number is None:
        return "–"
    if number == 0:
        return "0"
    if abs(number) >= 100 or (abs(number) >= 10 and number == round(number)):
        return f"{number:.0f}"
    if abs(number) >= 0.1:
        return f"{number:.3f}"
    return f"{number:.4f}" if abs(number) >= 0.0005 else f"{number:.2g}"
