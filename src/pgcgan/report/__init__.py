"""The report: one HTML file with the verdict, figures, all rows and provenance, which opens offline."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from ..errors import UsageError
from ..metrics import Evaluation, Row, figure
from ..metrics.rows import STANDINGS
from ..provenance import VERSION, documentation
from .figures import Plotting, figures
from .panels import file_style, part, write_files
from .plots import DARK, LIGHT
from .verdict import compared, findings, headline, judged_text, tally, verdict_text

__all__ = ["Plotting", "findings", "headline", "render", "tally", "verdict_text", "write_figures", "write_report"]

STANDING = {name: (sign, STANDINGS[name]) for name, sign in (("good", "✓"), ("fair", "~"), ("poor", "✗"))}
LEFT_OUT = ("remarks", "people", "people_by_label")  # of the table of provenance: they are shown elsewhere
BY_LABEL = (
    "AF RMSE", "LD RMSE", "3-point r within labels", "PCA variance ratio", "AA_truth", "AA_syn",
    "informed membership AUC, pool", "TSTR accuracy", "label fidelity",
)  # fmt: skip


def render(evaluation: Evaluation) -> str:
    """Return the report as one HTML document without external resources.

    The same evaluation gives the same text. A content security policy blocks all addresses and foreign scripts.

    Parameters
    ----------
    evaluation : Evaluation
        From `evaluate` or `Evaluation.from_json`; figures without data are left out.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(part("page.html.j2"))
    rows, provenance = evaluation.rows, evaluation.provenance
    overall = [r for r in rows if r.label == "all"]
    by_key = {(r.metric, r.label): r for r in rows}
    labels = [v for v in provenance.get("people_by_label", {}).get("train", {}) if v != "all"]
    drawn = figures(evaluation)
    script = part("page.js")
    return template.render(
        script=Markup(script),
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=Markup(part("page.css")),
        plots=Markup(part("plots.css")),
        light=LIGHT,
        dark=DARK,
        file_style=Markup(file_style()),
        compared=compared(provenance),
        headline=headline(evaluation),
        findings=findings(evaluation),
        counts={name: sum(r.standing == name for r in overall) for name in STANDING},
        judged=judged_text(evaluation),
        figures=drawn,
        values=_embedded({f.key: f.values for f in drawn}),
        overall=_by_topic(overall),
        per_label=_by_topic([r for r in rows if r.label != "all"]),
        labels=labels,
        metrics=[m for m in BY_LABEL if any((m, label) in by_key for label in labels)],
        by_key=by_key,
        number=figure,
        standing=STANDING,
        remarks=provenance.get("remarks", []),
        provenance=[(k, _plain(v)) for k, v in provenance.items() if k not in LEFT_OUT],
        people=provenance.get("people_by_label", {}),
        documentation=documentation(),
        version=VERSION,
    )


def write_report(evaluation: Evaluation, path: str | os.PathLike[str], force: bool = False) -> Path:
    """Write the report to a file, whole or not at all.

    Parameters
    ----------
    evaluation : Evaluation
    path : path
        The HTML file.
    force : bool
        True to replace an existing file.

    Raises
    ------
    UsageError
        If the name is not that of an HTML file, the file exists and `force` is not given, or its folder does not exist.
    """
    target = Path(path)
    if target.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"The output {target} is not a report; accepted: a name that ends in .html.")
    write_files({target: render(evaluation)}, force)
    return target


def write_figures(evaluation: Evaluation, folder: str | os.PathLike[str], force: bool = False) -> list[Path]:
    """Write each figure of the report as an SVG file on white, and return the paths.

    SVG can be used in slides and papers as it is; Inkscape, `rsvg-convert` or a browser converts it to PNG.

    Parameters
    ----------
    evaluation : Evaluation
    folder : path
        Created if it does not exist.
    force : bool
        True to replace existing files.

    Raises
    ------
    UsageError
        If one of the files exists and `force` is not given, or the folder cannot be made.
    """
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{place} is not a folder and cannot be made one ({error.strerror}).") from None
    texts = {place / f"{f.key}.svg": f.file() for f in figures(evaluation)}
    write_files(texts, force)
    return list(texts)


def _embedded(values: Any) -> Markup:
    """Return JSON that is safe inside a script element, whatever names it contains."""
    text = json.dumps(values, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def _by_topic(rows: Sequence[Row]) -> dict[str, list[Row]]:
    return {topic: [r for r in rows if r.topic == topic] for topic in dict.fromkeys(r.topic for r in rows)}


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)
