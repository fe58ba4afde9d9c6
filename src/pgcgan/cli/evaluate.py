"""evaluate: compare synthetic people with real people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from ..errors import DataError, GateFailed, UsageError
from ..runtime.progress import progress, say, show
from ..text import visible, visible_json
from . import files
from .app import FILE, OUTPUT, PerLabel, Reading, ReplaceFiles, app, parsed_thresholds

if TYPE_CHECKING:
    from ..generators.generator import Generator
    from ..genotypes import Genotypes
    from ..metrics import Evaluation


@Parameter(name="*", group=Group("More models and attacks", help="What else is compared, and what else is attacked."))
@dataclass(frozen=True)
class More:
    """Other models beside these people, and other attacks.

    Parameters
    ----------
    beside
        Show another model beside these people in the figure of fidelity and privacy: independent, li-stephens,
        pca-gaussian or smote, which are fitted to the same training people, or a model directory. Repeat it for
        several; each takes an evaluation.
    augment
        A label value: also measure how much a classifier gains from its synthetic people where it has few real ones.
    model
        The model directory of these people: the report shows the training curves of a conditional GAN.
    shadow
        With --model and --split: fit so many such models to other random parts of the real people, and attack with what
        they teach.
    times
        With --model: also attack so many times the people, the others drawn from the model.
    """

    beside: list[str] | None = None
    augment: str | None = None
    model: str | None = None
    shadow: int = 0
    times: int = 1


@Parameter(name="*", group=Group("Release gate", help="Whether these people may be released."))
@dataclass(frozen=True)
class GateOptions:
    """The limits of a release.

    Parameters
    ----------
    gate
        Check the limits of a release; if one fails, the exit status is 3.
    thresholds
        With --gate: METRIC=LIMIT, as often as needed, instead of the default (docs/evaluation.md).
    """

    gate: bool = False
    thresholds: Annotated[list[str] | None, Parameter(name="--threshold")] = None


@app.command
def evaluate(
    *,
    real: Annotated[str, FILE],
    panel: str,
    synthetic: Annotated[str, FILE],
    split: str | None = None,
    synthetic_panel: str | None = None,
    label: list[str] | None = None,
    output: Annotated[str | None, OUTPUT] = None,
    figures: str | None = None,
    json_output: Annotated[str | None, Parameter(name="--json", allow_leading_hyphen=True)] = None,
    per_label: PerLabel = False,
    brief: bool = False,
    more: More | None = None,
    gate: GateOptions | None = None,
    reading: Reading | None = None,
    seed: int = 0,
    force: ReplaceFiles = False,
) -> None:
    """Compare synthetic people with real people; print each number beside its floor, and the verdict.

    Parameters
    ----------
    real
        The real genotypes, those trained on and those held out.
    panel
        Their labels.
    synthetic
        The synthetic genotypes.
    split
        A table with the columns sample and split: train was trained on, everybody else is held out; auto: as train
        --split auto divided the panel. Without it, noise floors and privacy metrics are not computed.
    synthetic_panel
        Labels of the synthetic people; by default NAME.panel.tsv beside NAME.vcf.gz.
    label
        Label column; repeat it for several. Default: super_pop if there is one.
    output
        Also write the evaluation: NAME.html, a report that opens without a network, or NAME.json, everything.
    figures
        Also write each figure of the report as SVG into this folder.
    json_output
        Also write everything as JSON; "-" prints it instead of the table.
    brief
        Print the verdict alone.
    seed
        Random seed.
    """
    from ..metrics import evaluate
    from ..metrics.gate import judge
    from ..provenance import file_names
    from ..registry import load

    reading, more, gate = reading or Reading(), more or More(), gate or GateOptions()
    _check_more(more, split)
    if gate.thresholds and not gate.gate:
        raise UsageError("--threshold goes with --gate.")
    limits = parsed_thresholds(gate.thresholds)
    others = {name: _other_model(name) for name in more.beside or ()}
    generator = load(more.model) if more.model is not None else None
    if generator is not None:
        files.check_population_map(generator, panel, reading.population_map)
    _check_outputs(output, json_output, figures, force)
    panels = panel, synthetic_panel or files.panel_beside(synthetic)
    train, holdout, generated, remarks = _sets(real, synthetic, panels, split, label or (), reading)
    if others and not generated.labels:
        raise UsageError("--beside draws people label by label; give the labels of these with --synthetic-panel.")
    attacks = {} if generator is None else _attacks(generator, more, train, holdout, generated, seed)
    with progress("evaluating") as on_event:
        options: dict[str, Any] = {"label": label, "augment": more.augment, "seed": seed, "on_event": on_event}
        evaluation = evaluate(train, generated, holdout=holdout, **attacks, **options)
    given = file_names(synthetic=synthetic, real=real, panel=panel, split=split, model=more.model)
    how = {**evaluation.provenance, "files": given, "remarks": [*remarks, *evaluation.provenance["remarks"]]}
    evaluation = replace(evaluation, provenance=how)
    if others:
        evaluation = _with_others(evaluation, others, train, holdout, generated, seed)
    if generator is not None:
        evaluation = evaluation.with_training(getattr(generator, "history_", []))
    if json_output == "-":
        print(visible_json(evaluation.to_json()))
    else:
        show(printed(evaluation, per_label, brief))
    _write(evaluation, output, json_output, figures, force)
    if gate.gate:
        verdict = judge(evaluation, limits)
        if not verdict.passed:
            raise GateFailed(str(verdict))
        say(str(verdict))


def _sets(
    real: str, synthetic: str, panels: tuple[str, str], split: str | None, label: Sequence[str], reading: Reading
) -> tuple[Genotypes, Genotypes | None, Genotypes, list[str]]:
    """Return the training, held-out and synthetic people, and remarks on them."""
    from ..io import read

    generated = read(synthetic, panels[1])
    everybody = read(real, panels[0], **asdict(reading))
    people = everybody.align(generated)
    people, generated = (files.with_asked_labels(each, label) for each in (people, generated))
    remarks = []
    if everybody.n_variants != people.n_variants:
        remarks = [
            f"The synthetic file has {people.n_variants:,} of the {everybody.n_variants:,} real sites; the others are "
            "not compared."
        ]
    if split is None:
        return people, None, generated, remarks
    train, holdout, relatives = files.divided(people, split, reading.intersect, panels[0])
    if not holdout.n_samples:
        raise DataError(f"{split} holds out nobody: every sample is 'train'; leave --split out to go without floors.")
    return train, holdout, generated, [*relatives, *remarks]


def _check_more(more: More, split: str | None) -> None:
    """Raise UsageError if an option of the attacks lacks another, or is out of bounds."""
    shadow, times = more.shadow, more.times
    if shadow < 0 or times < 1:
        raise UsageError(f"--shadow is {shadow} and --times is {times}; accepted: 0 or more, and 1 or more.")
    if ((shadow or times > 1) and more.model is None) or (shadow and split is None):
        raise UsageError("--shadow needs --model and --split, and --times needs --model.")


def _attacks(
    generator: Generator, more: More, train: Genotypes, holdout: Genotypes | None, generated: Genotypes, seed: int
) -> dict[str, Any]:
    """Return further people of the model, so that there are --times the people of a file, and shadow models."""
    from ..release import shadow_models

    options: dict[str, Any] = {}
    if more.times > 1:
        counts = {name: (more.times - 1) * n for name, n in _counts_of(generated, generator.label).items()}
        with progress("generating"):
            # unlike seeds that people choose, so that nobody is drawn twice
            drawn = generator.sample(counts, seed=1_000_003 + seed, prefix="FURTHER")
        options["more"] = drawn.align(generated)
    if holdout and more.shadow:
        with progress("shadow models") as on_event:
            options["shadows"] = shadow_models(generator, train, holdout, more.shadow, seed=seed, on_event=on_event)
    return options


def _check_outputs(output: str | None, json_output: str | None, figures: str | None, force: bool) -> None:
    """Raise UsageError if an output exists or has an unknown format, before any work is done."""
    if output is not None:
        files.evaluation_free(output, force)
    if json_output is not None:
        files.output_free(json_output, force, standard_output=True)
    if figures is not None and Path(figures).exists():
        if not Path(figures).is_dir():
            raise UsageError(f"--figures {figures} is a file; give a folder, which is made if it does not exist.")
        if any(Path(figures).glob("*.svg")) and not force:
            raise UsageError(f"{figures} holds SVG files already; --force replaces them, or choose another folder.")


def _with_others(
    evaluation: Evaluation,
    others: dict[str, str | Generator],
    train: Genotypes,
    holdout: Genotypes | None,
    generated: Genotypes,
    seed: int,
) -> Evaluation:
    """Return an evaluation with those of other models beside it; baselines are fitted to the training people."""
    from ..metrics import evaluate
    from ..registry import create

    columns: list[str] = evaluation.provenance["label"]
    evaluations = {}
    for name, other in others.items():
        generator = create(other, columns, seed=seed).fit(train) if isinstance(other, str) else other
        with progress(f"evaluating {name}") as on_event:
            drawn = generator.sample(_counts_of(train, columns), seed=seed).align(generated)
            options: dict[str, Any] = {"label": columns, "seed": seed, "on_event": on_event}
            evaluations[generator.name] = evaluate(train, drawn, holdout=holdout, **options)
    return evaluation.beside(evaluations)


def _write(
    evaluation: Evaluation, output: str | None, json_output: str | None, figures: str | None, force: bool
) -> None:
    """Write what is asked for."""
    written: list[Path] = []
    if json_output not in (None, "-"):
        written.append(files.write_text(str(json_output), evaluation.to_json() + "\n", force))
    if output is not None:
        written.append(evaluation.report(output, force))
    if figures is not None:
        from ..report import write_figures

        written += write_figures(evaluation, figures, force=force)
    if written:
        say(f"written: {files.names(written)}")


def _other_model(name: str) -> str | Generator:
    """Return the name of a baseline, or the model of a directory."""
    from ..registry import BASELINES, load

    if name in BASELINES:
        return name
    if not Path(name).is_dir():
        raise UsageError(f"--beside {name}: accepted are {', '.join(BASELINES)} and model directories.")
    return load(name)


def _counts_of(people: Genotypes, columns: Sequence[str]) -> dict[str, int]:
    """Return the number of people of each label."""
    from ..labels import label_groups

    return dict(Counter(label_groups(people.labels, columns).tolist()))


def printed(evaluation: Evaluation, per_label: bool, brief: bool = False) -> str:
    """Return the table of an evaluation with remarks and verdict, or the verdict alone, whose remarks are then said."""
    remarks = evaluation.provenance.get("remarks", [])
    if brief:
        for remark in remarks:
            say(f"note: {visible(remark)}")
        return evaluation.verdict()
    table = with_remarks(evaluation.table(per_label), remarks)
    return f"{table}\n\n{evaluation.verdict()}"


def with_remarks(table: str, remarks: Sequence[str]) -> str:
    """Return a table with the remarks on it."""
    return table + ("\n" + "".join(f"\n- {visible(remark)}" for remark in remarks) if remarks else "")
