"""The model card: what a model was trained on, how, and what may not be claimed of it, for people who are given it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NAME = "MODEL_CARD.md"
# what the card says of an evaluation: fidelity and privacy, never one without the other
SHOWN = (
    "AF RMSE",
    "LD RMSE",
    "far pairs r",
    "PCA variance ratio",
    "AA_truth",
    "AA_syn",
    "C2ST AUC, gradient boosting",
    "TSTR accuracy",
    "label fidelity",
    "membership AUC",
    "membership TPR at 1 % FPR",
    "privacy loss",
    "exact copies",
    "near copies",
    "copied people",
)


def model_card(facts: Mapping[str, Any], measured: Sequence[tuple[str, float | None, float | None]] = ()) -> str:
    """Return the model card, in Markdown.

    The text depends on its arguments alone and holds no time: the same command, seed and data give the same card.

    Parameters
    ----------
    facts : mapping
        What `PGcGAN.facts` returns, or the same of a baseline.
    measured : sequence of (metric, value, floor)
        Overall rows of an evaluation of people that the model made; those named in `SHOWN` are printed.

    Returns
    -------
    str
        Headings: data, labels, how it was made, evaluation, limits. Names from the input are written as code.
    """
    if facts["kind"] == "baseline":
        title = f"pgcgan baseline: {facts['baseline']}"
    else:
        title = f"pgcgan model: preset {facts['preset']}"
    lines = [f"# {title}", "", "Written by pgcgan when the model was saved. It is for reading; pgcgan never reads it."]
    for heading, content in (
        ("Data", _data(facts)),
        ("Labels", _labels(facts)),
        ("How it was made", _making(facts)),
        ("Evaluation", _evaluation(measured)),
        ("Limits", _limits(facts)),
    ):
        lines += ["", f"## {heading}", "", *content]
    return "\n".join(lines) + "\n"


def _data(facts: Mapping[str, Any]) -> list[str]:
    spans = ", ".join(f"{_code(contig)} {span}" for contig, span in facts["contigs"].items())
    ploidy = {1: "haploid", 2: "diploid"}[facts["ploidy"]]
    held = (
        "**This directory holds the genotypes of the people it was fitted to. Treat it like their data.**"
        if facts.get("holds_training_rows")
        else "It holds no sample name and no training person, but what it learnt of them: see the limits."
    )
    return [
        f"- people trained on: {facts['people trained on']}",
        f"- sites: {facts['sites']}, at {spans}",
        f"- genotypes: {'phased' if facts['phased'] else 'unphased'}, {ploidy}",
        "",
        held,
    ]


def _labels(facts: Mapping[str, Any]) -> list[str]:
    columns = " / ".join(_code(name) for name in facts["label"])
    return [
        f"People are made by {columns}.",
        "",
        "| label | people trained on |",
        "|---|--:|",
        *(f"| {_code(name)} | {count} |" for name, count in facts["label_counts"].items()),
    ]


def _making(facts: Mapping[str, Any]) -> list[str]:
    made = facts["provenance"]
    lines = [
        f"- pgcgan {made['pgcgan']}, Python {made['python']}, "
        + ", ".join(f"{name} {version}" for name, version in made["libraries"].items()),
        f"- command: {_code(made['command'])}",
        f"- seed: {facts['seed']}",
    ]
    if facts["kind"] == "baseline":
        return [*lines, f"- options: {_pairs(facts['options']) or 'none'}"]
    return [
        *lines,
        f"- device: {_code(made.get('device'))}",
        f"- settings that differ from the preset: {_pairs(facts['changed']) or 'none'}",
        f"- chosen for these data: {_pairs(facts['chosen'] or {}) or 'nothing'}",
    ]


def _evaluation(measured: Sequence[tuple[str, float | None, float | None]]) -> list[str]:
    shown = [row for row in measured if row[0] in SHOWN]
    if not shown:
        return [
            "Not evaluated: nothing is known yet of how faithful or how private its people are.",
            "`pgcgan evaluate` compares them with people that the model has not seen.",
        ]
    return [
        "The floor is what real training people get in the place of artificial ones; an ideal model meets it.",
        "",
        "| metric | value | floor |",
        "|---|--:|--:|",
        *(f"| {metric} | {_figure(value)} | {_figure(floor)} |" for metric, value, floor in shown),
    ]


def _limits(facts: Mapping[str, Any]) -> list[str]:
    small = {name: count for name, count in facts["label_counts"].items() if count < 50}
    lines = [
        "- Artificial people are for methods, software, teaching and augmentation. A finding about biology or health "
        "needs real people.",
        "- The labels are those of the panel. They describe how people were sampled, not what people are.",
        "- What the training people lack, the model lacks: other populations, other sites"
        + (", alleles that only one or two people carry." if facts["kind"] == "model" else "."),
        "- Finding no leak proves no privacy, and nothing here is differential privacy: do not claim that the people "
        "are anonymous. Frequencies alone tell a little of who was trained on.",
        "- This directory tells more of who was trained on than people drawn from it do: it holds counts. Where that "
        "is private, give away people and keep the model.",
        "- Do not train or choose a model on people and evaluate it against the same people.",
    ]
    if small:
        lines.append(
            f"- Fewer than 50 people: {_pairs(small)}. Little is learnt of such a label, and attacks on it say little."
        )
    return lines


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{_code(name)} {_figure(value)}" for name, value in values.items())


def _code(text: Any) -> str:
    """Return text as code, so that a name from the input is no markup; a table cell must not hold a bar."""
    plain = " ".join(str(text).split()).replace("|", "¦")
    return f"`` {plain} ``" if "`" in plain else f"`{plain}`"


def _figure(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
