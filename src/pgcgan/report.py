"""One HTML file with the verdict, the figures, the table with its floors, and how it was made; it opens offline."""

from __future__ import annotations

import base64
import importlib.resources
import math
import os
import struct
import tempfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from .errors import UsageError
from .metrics import Evaluation, Row, figure

# Okabe and Ito's palette, told apart by colour-blind readers; the template has a lighter set for dark backgrounds.
HUES = 8
STANDING = {"good": "✓ like real", "fair": "~ near", "poor": "✗ off"}
_WIDTH, _HEIGHT = 460, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 14, 14, 46


def render(evaluation: Evaluation) -> str:
    """Return the report as one HTML document without any external address.

    Parameters
    ----------
    evaluation : Evaluation
        From `evaluate`, or read back from JSON.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(
        importlib.resources.files("pgcgan").joinpath("report.html.j2").read_text(encoding="utf-8")
    )
    rows = evaluation.rows
    made = evaluation.provenance
    labels = [v for v in made.get("people_by_label", {}).get("train", {}) if v != "all"]
    return template.render(
        verdict=verdict(evaluation),
        counts=_counts(rows),
        figures=_figures(evaluation),
        overall=_by_topic([r for r in rows if r.label == "all"]),
        per_label=_by_topic([r for r in rows if r.label != "all"]),
        matrix=_matrix(rows, labels),
        number=figure,
        standing=STANDING,
        people=made.get("people", {}),
        remarks=made.get("remarks", []),
        provenance=[(k, _plain(v)) for k, v in made.items() if k not in ("remarks", "people", "people_by_label")],
        composition=_composition(made.get("people_by_label", {})),
    )


def write_report(evaluation: Evaluation, path: str | os.PathLike[str], force: bool = False) -> Path:
    """Write the report to a file; it appears whole or not at all.

    Parameters
    ----------
    evaluation : Evaluation
    path : path
        The HTML file.
    force : bool
        Whether to replace a file that exists.

    Raises
    ------
    UsageError
        If the file exists and `force` is not given, or its folder does not exist.
    """
    target = Path(path)
    if target.exists() and not force:
        raise UsageError(f"{target} exists; choose another name or give force=True (--force).")
    if not target.parent.is_dir():
        raise UsageError(f"The folder {target.parent} does not exist; make it first.")
    text = render(evaluation)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, target)
    finally:
        Path(temporary).unlink(missing_ok=True)  # gone already where it was renamed
    return target


# ---- words --------------------------------------------------------------------------------------------------------


def verdict(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Return what the rows say, as (heading, sentence): fidelity, telling apart, privacy, labels.

    Parameters
    ----------
    evaluation : Evaluation
    """
    overall = {r.metric: r for r in evaluation.rows if r.label == "all"}
    said: list[tuple[str, str]] = []
    faithful = [r for r in overall.values() if r.topic not in ("privacy", "indistinguishable") and r.standing]
    if faithful:
        good = [r.metric for r in faithful if r.standing == "good"]
        poor = sorted((r for r in faithful if r.standing == "poor"), key=_shortfall, reverse=True)
        text = f"{len(good)} of {len(faithful)} rows are as near to unseen people as other real people are"
        text += f" ({'; '.join(good[:4])}{f'; and {len(good) - 4} more' if len(good) > 4 else ''})." if good else "."
        if poor:
            text += " Clearly farther off: " + "; ".join(_against_floor(r) for r in poor[:5])
            text += f"; and {len(poor) - 5} more." if len(poor) > 5 else "."
        else:
            text += " None is clearly farther off."
        said.append(("Fidelity", text))
    apart = []
    classifier = overall.get("C2ST AUC, gradient boosting")
    if classifier and classifier.value is not None:
        apart.append(f"A trained classifier tells synthetic from real rows with an AUC of {_with_floor(classifier)}.")
    truth, syn = overall.get("AA_truth"), overall.get("AA_syn")
    if truth and syn and truth.value is not None and syn.value is not None:
        text = f"Nearest neighbours: AA_truth {_with_floor(truth)}, AA_syn {_with_floor(syn)}; "
        text += "both are .5 for a perfect set."
        for row, above in (
            (truth, "Real people lie nearer to each other than to the synthetic ones: some real variety is missing."),
            (syn, "Synthetic people lie nearer to each other than to real ones: they form a cloud of their own."),
        ):
            assert row.value is not None
            usual = 0.5 if row.floor is None else row.floor
            if row.value > max(0.6, usual + 0.1):
                text += f" {above}"
            elif row.value < min(0.4, usual - 0.1):
                text += (
                    f" {row.metric} is far below that of real people: one set hugs the other, too typical or copied."
                )
        apart.append(text)
    if apart:
        said.append(("Told apart", " ".join(apart)))
    said.append(("Privacy", _privacy_verdict(overall)))
    by_label = _label_standings(evaluation.rows)
    if len(by_label) > 1:
        ranked = sorted(by_label.items(), key=lambda item: item[1][0] / item[1][1], reverse=True)
        name, (off, total) = ranked[0]
        best, (best_off, best_total) = ranked[-1]
        text = f"Least like the real people: {name} ({off} of {total} rows off)"
        text += f"; most: {best} ({best_off} of {best_total})." if best != name else "."
        said.append(("On whom", text))
    return said


def _privacy_verdict(overall: Mapping[str, Row]) -> str:
    attack = overall.get("membership AUC")
    if attack is None or attack.value is None:
        return "Not measured: the attacks need people that the generator has not seen (holdout=…, --holdout)."
    text = f"An attack by distance tells who was trained on with an AUC of {_with_interval(attack)}; .5 is guessing."
    if attack.low is not None and attack.low > 0.5:
        text += " The interval lies above .5: the synthetic people are measurably nearer to those trained on."
    else:
        text += " The interval holds .5: this attack finds no leak."
    loss, found = overall.get("privacy loss"), overall.get("membership TPR at 1 % FPR")
    if loss and loss.value is not None:
        text += f" Privacy loss {_with_interval(loss)}."
    if found and found.value is not None and found.low is not None and found.low > 0.01:
        text += f" At 1 % false alarms {100 * found.value:.1f} % of the training rows are found."
    copies = overall.get("exact copies")
    if copies and copies.value is not None and copies.floor is not None:
        text += f" {100 * copies.value:.2f} % of the synthetic rows equal a training row"
        text += f"; of unseen people {100 * copies.floor:.2f} %."
    return text + " Attacks can show a leak; finding none does not prove privacy."


def _with_floor(row: Row) -> str:
    return figure(row.value) + ("" if row.floor is None else f" (real people: {figure(row.floor)})")


def _with_interval(row: Row) -> str:
    span = "" if row.low is None or row.high is None else f" [{figure(row.low)}, {figure(row.high)}]"
    return figure(row.value) + span


def _against_floor(row: Row) -> str:
    return f"{row.metric} {figure(row.value)} (real people: {figure(row.floor)})"


def _shortfall(row: Row) -> float:
    assert row.value is not None
    if row.floor is None:
        return 0.0
    if row.aim == "lower":
        return math.log((row.value + 1e-6) / (abs(row.floor) + 1e-6))
    if row.aim == "higher":
        return math.log((1 - row.value + 1e-6) / (1 - row.floor + 1e-6))
    return abs(math.log((abs(row.value) + 1e-6) / (abs(row.floor) + 1e-6)))


def _label_standings(rows: Iterable[Row]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for row in rows:
        if row.label == "all" or row.metric == "Fst error" or row.standing is None:
            continue
        off, total = found.get(row.label, (0, 0))
        found[row.label] = off + (row.standing == "poor"), total + 1
    return found


def _counts(rows: Iterable[Row]) -> dict[str, int]:
    standings = [r.standing for r in rows if r.label == "all"]
    return {name: standings.count(name) for name in STANDING}


def _by_topic(rows: Iterable[Row]) -> dict[str, list[Row]]:
    topics: dict[str, list[Row]] = {}
    for row in rows:
        topics.setdefault(row.topic, []).append(row)
    return topics


def _matrix(rows: Sequence[Row], labels: Sequence[str]) -> dict[str, Any]:
    """Return the main rows by label: labels down, metrics across."""
    metrics = [
        "AF RMSE", "LD RMSE", "3-point r within labels", "PCA variance ratio", "AA_truth", "AA_syn",
        "membership AUC", "TSTR accuracy", "label fidelity",
    ]  # fmt: skip
    found = {(r.metric, r.label): r for r in rows}
    shown = [m for m in metrics if any((m, label) in found for label in labels)]
    return {"metrics": shown, "rows": [(label, [found.get((m, label)) for m in shown]) for label in labels]}


def _composition(people: Mapping[str, Mapping[str, int]]) -> list[tuple[str, list[tuple[str, int]]]]:
    labels = list(people.get("train", {}))
    return [(label, [(name, counts.get(label, 0)) for name, counts in people.items()]) for label in labels]


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)


# ---- figures ------------------------------------------------------------------------------------------------------


class _Axes:
    """One plot: maps data to pixels, collects SVG, closes with axes and ticks."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float], names: tuple[str, str], *, log_x: bool = False):
        self.x, self.y, self.names, self.log_x = x, y, names, log_x
        self.parts: list[Markup] = []

    def across(self, values: Any) -> np.ndarray:
        low, high = self.x
        values = np.asarray(values, dtype=float)
        if self.log_x:
            values, low, high = np.log10(values), math.log10(low), math.log10(high)
        return _LEFT + (values - low) / ((high - low) or 1) * (_WIDTH - _LEFT - _RIGHT)

    def up(self, values: Any) -> np.ndarray:
        low, high = self.y
        return (
            _HEIGHT
            - _BOTTOM
            - (np.asarray(values, dtype=float) - low) / ((high - low) or 1) * (_HEIGHT - _TOP - _BOTTOM)
        )

    def dots(self, x: Any, y: Any, style: str, title: str) -> None:
        points = "".join(f"M{a:.1f} {b:.1f}h0" for a, b in zip(self.across(x), self.up(y), strict=True))
        self.parts.append(Markup('<path class="dots {}" d="{}"><title>{}</title></path>').format(style, points, title))

    def line(self, x: Any, y: Any, style: str, title: str = "") -> None:
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(self.across(x), self.up(y), strict=True))
        self.parts.append(
            Markup('<polyline class="line {}" points="{}"><title>{}</title></polyline>').format(style, points, title)
        )

    def text(self, x: float, y: float, words: str, style: str = "") -> None:
        self.parts.append(
            Markup('<text class="mark {}" x="{:.1f}" y="{:.1f}">{}</text>').format(
                style, float(self.across(x)), float(self.up(y)), words
            )
        )

    def svg(self, description: str) -> Markup:
        out = [
            Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(_WIDTH, _HEIGHT, description),
        ]
        bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
        for tick in _log_ticks(*self.x) if self.log_x else _ticks(*self.x):
            a = float(self.across(tick))
            out.append(
                Markup('<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>').format(a, _TOP, bottom)
            )
            out.append(
                Markup('<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
                    a, bottom + 15, _short(tick)
                )
            )
        for tick in _ticks(*self.y):
            b = float(self.up(tick))
            out.append(
                Markup('<line class="grid" x1="{1}" x2="{2}" y1="{0:.1f}" y2="{0:.1f}"/>').format(b, _LEFT, right)
            )
            out.append(
                Markup('<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(
                    _LEFT - 6, b + 3.5, _short(tick)
                )
            )
        out += self.parts
        middle = (_TOP + bottom) / 2
        out.append(
            Markup('<text class="name" x="{}" y="{}" text-anchor="middle">{}</text>').format(
                (_LEFT + right) / 2, _HEIGHT - 10, self.names[0]
            )
        )
        out.append(
            Markup('<text class="name" transform="translate(13 {}) rotate(-90)" text-anchor="middle">{}</text>').format(
                middle, self.names[1]
            )
        )
        return Markup("").join([*out, Markup("</svg>")])


def _ticks(low: float, high: float) -> list[float]:
    if not high > low:
        return [low]
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step *= min((m for m in (1, 2, 2.5, 5, 10)), key=lambda m: abs((high - low) / (step * m) - 5))
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    return [10.0**k for k in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]


def _short(number: float) -> str:
    for unit, factor in (("M", 1e6), ("k", 1e3)):
        if abs(number) >= factor:
            return f"{number / factor:g}{unit}"
    return f"{number:g}"


_SET_NAMES = {"train": "trained on", "holdout": "held out", "synthetic": "synthetic"}


def _key(entries: Iterable[tuple[str, str]]) -> Markup:
    return Markup("").join(
        Markup('<span class="key"><i class="swatch {}"></i>{}</span>').format(style, name) for style, name in entries
    )


def _figures(evaluation: Evaluation) -> list[dict[str, Any]]:
    data = evaluation.figures
    drawn: list[dict[str, Any]] = []
    if "pca" in data:
        drawn.append(_pca(data["pca"]))
    if "allele_frequency" in data:
        drawn.append(_allele_frequency(data["allele_frequency"]))
    if data.get("ld_decay", {}).get("distance"):
        drawn.append(_ld_decay(data["ld_decay"]))
    if "ld_matrix" in data:
        drawn.append(_ld_matrix(data["ld_matrix"]))
    if "nearest" in data:
        drawn.append(_nearest(data["nearest"]))
    if "membership_roc" in data:
        drawn.append(_roc(data["membership_roc"]))
    return drawn


def _pca(data: Mapping[str, Mapping[str, list]]) -> dict[str, Any]:
    x = [v for part in data.values() for v in part["x"]]
    y = [v for part in data.values() for v in part["y"]]
    span_x, span_y = _padded(x), _padded(y)
    labels = sorted({label for part in data.values() for label in part["label"]})
    styles = {label: f"hue{k % HUES}" for k, label in enumerate(labels)}
    panels = []
    for name in ("train", "holdout", "synthetic"):
        if name not in data:
            continue
        part = data[name]
        axes = _Axes(span_x, span_y, ("component 1", "component 2"))
        for label in labels:
            chosen = [k for k, v in enumerate(part["label"]) if v == label]
            axes.dots([part["x"][k] for k in chosen], [part["y"][k] for k in chosen], styles[label], label)
        panels.append((_SET_NAMES[name], axes.svg(f"Principal components, {_SET_NAMES[name]}")))
    caption = "Components fitted on the people trained on; up to 600 rows of each set."
    if len(labels) > HUES:
        caption += f" {len(labels)} labels share {HUES} hues."
    return {
        "title": "Principal components",
        "panels": panels,
        "key": _key((styles[label], label) for label in labels) if labels != ["all"] else Markup(""),
        "caption": caption + " The three clouds should look alike, colour by colour.",
        "wide": True,
    }


def _allele_frequency(data: Mapping[str, Any]) -> dict[str, Any]:
    real = _SET_NAMES[data["reference_name"]]
    panels = []
    for name in ("synthetic", "train"):
        if data.get(name) is None or name == data["reference_name"]:
            continue
        axes = _Axes((0, 1), (0, 1), (f"frequency, {real}", f"frequency, {_SET_NAMES[name]}"))
        axes.line([0, 1], [0, 1], "guide")
        axes.dots(data["reference"], data[name], f"small {name}", f"{len(data[name])} sites")
        panels.append((_SET_NAMES[name], axes.svg(f"Allele frequencies, {_SET_NAMES[name]} against {real}")))
    caption = f"One dot a site (up to 1,500), against the {real} people."
    if len(panels) > 1:
        caption += " In grey the scatter between two groups of real people, which no generator can beat."
    return {"title": "Allele frequencies", "panels": panels, "key": Markup(""), "caption": caption, "wide": True}


def _ld_decay(data: Mapping[str, Any]) -> dict[str, Any]:
    names = [n for n in ("train", "holdout", "synthetic") if n in data]
    distance = data["distance"]
    top = max(max(data[n]) for n in names)
    low, high = min(distance), max(distance)
    span = low * 0.9, max(high * 1.1, low * 1.2)
    axes = _Axes(span, (0, top * 1.08 or 1), ("distance (bp)", "mean r²"), log_x=True)
    for name in names:
        axes.line(distance, data[name], name, _SET_NAMES[name])
    return {
        "title": "Decay of linkage disequilibrium",
        "panels": [("", axes.svg("Mean r² by distance"))],
        "key": _key((n, _SET_NAMES[n]) for n in names),
        "caption": "Sites with a minor allele frequency of at least 5 %, up to 500 sites apart.",
        "wide": False,
    }


def _ld_matrix(data: Mapping[str, Any]) -> dict[str, Any]:
    real, synthetic = (np.array(data[k], dtype=float) for k in ("reference", "synthetic"))
    both = np.where(np.tri(len(real), k=-1, dtype=bool), synthetic, real)
    np.fill_diagonal(both, 0)
    side = _HEIGHT - _TOP - _BOTTOM
    left = (_WIDTH - side) / 2
    name = _SET_NAMES[data["reference_name"]]
    svg = Markup(
        '<svg viewBox="0 0 {w} {h}" role="img" aria-label="r² of pairs of sites">'
        '<image href="{png}" x="{left}" y="{top}" width="{side}" height="{side}" class="pixels"/>'
        '<text class="name" x="{middle}" y="{under}" text-anchor="middle">{n} sites, first to last: '
        "above the diagonal {real}, below synthetic</text></svg>"
    ).format(
        w=_WIDTH,
        h=_HEIGHT,
        png=_png(both),
        left=left,
        top=_TOP,
        side=side,
        middle=_WIDTH / 2,
        under=_HEIGHT - 22,
        n=len(real),
        real=name,
    )
    return {
        "title": "Linkage disequilibrium",
        "panels": [("", svg)],
        "key": Markup('<span class="key">r² 0 <i class="ramp"></i> 1</span>'),
        "caption": "The two triangles should mirror each other; blocks that are missing below are correlations lost.",
        "wide": False,
    }


def _png(values: np.ndarray) -> str:
    """Return a data address of a picture of values between 0 and 1: pale to dark blue."""
    stops = np.array([[247, 251, 255], [158, 202, 225], [33, 113, 181], [8, 29, 88]], dtype=float)
    place = np.clip(np.sqrt(values), 0, 1) * (len(stops) - 1)  # the root shows weak correlations
    low = np.minimum(place.astype(int), len(stops) - 2)
    part = (place - low)[..., None]
    pixels = (stops[low] * (1 - part) + stops[low + 1] * part).round().astype(np.uint8)
    raw = b"".join(b"\0" + row.tobytes() for row in pixels)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 8, 2, 0, 0, 0)
    picture = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw, 9))
    picture += chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(picture).decode()


def _nearest(data: Mapping[str, Any]) -> dict[str, Any]:
    edges = data["edges"]
    names = [n for n in ("holdout", "synthetic") if n in data]
    top = max(max(data[n]) for n in names)
    axes = _Axes((edges[0], edges[-1]), (0, top * 1.08 or 1), ("share of sites that differ", "share of rows"))
    for name in names:
        axes.line(np.repeat(edges, 2)[1:-1], np.repeat(data[name], 2), name, _SET_NAMES[name])
    return {
        "title": "Distance to the nearest training row",
        "panels": [("", axes.svg("Histogram of distances to the nearest training row"))],
        "key": _key((n, _SET_NAMES[n]) for n in names),
        "caption": "Synthetic people farther to the left than held-out people would be copies of those trained on; "
        "farther to the right, unlike anybody.",
        "wide": False,
    }


def _roc(data: Mapping[str, Any]) -> dict[str, Any]:
    axes = _Axes((0, 1), (0, 1), ("false alarms", "training rows found"))
    axes.line([0, 1], [0, 1], "guide")
    axes.line(data["fpr"], data["tpr"], "synthetic", "membership attack")
    return {
        "title": "Membership attack",
        "panels": [("", axes.svg("ROC curve of the membership attack"))],
        "key": _key([("synthetic", "attack by distance"), ("guide", "guessing")]),
        "caption": "Who was trained on, by the distance to the nearest synthetic row. On the diagonal: no leak.",
        "wide": False,
    }


def _padded(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    pad = 0.05 * ((high - low) or 1.0)
    return low - pad, high + pad
