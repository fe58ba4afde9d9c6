"""evaluate, report and compare."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ..errors import DataError, GateFailed, UsageError
from .app import FILE, OUTPUT, Reading, app
from .files import at_sites_of, divided, names, output_free, panel_beside, read_options, write_text
from .generating import parsed_thresholds
from .progress import progress, say
from .training import baseline_kind

if TYPE_CHECKING:
    from ..metrics import Evaluation


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
    per_label: bool = False,
    baselines: Annotated[list[str] | None, Parameter(name="--baseline")] = None,
    augment: str | None = None,
    model: str | None = None,
    gate: bool = False,
    thresholds: Annotated[list[str] | None, Parameter(name="--threshold")] = None,
    reading: Reading | None = None,
    seed: int = 0,
    force: bool = False,
) -> None:
    """Compare artificial people with real ones; print the table, each number beside its floor.

    Parameters
    ----------
    real
        The real genotypes, those trained on and those held out.
    panel
        Their labels.
    synthetic
        The artificial genotypes.
    split
        A table with the columns sample and split: train was trained on, everybody else is held out. Without it there
        are no floors, and what needs unseen people cannot be said.
    synthetic_panel
        Labels of the artificial people; by default NAME.panel.tsv beside NAME.vcf.gz.
    label
        Label column; repeat it for several. Default: super_pop if there is one.
    output
        Also write the evaluation: NAME.html, a report that opens without a network, or NAME.json, everything.
    figures
        Also write each figure of the report as SVG into this folder.
    json_output
        Also write everything as JSON; "-" prints it in the place of the table.
    per_label
        Add the rows of each label.
    baselines
        Set the people of a baseline, fitted to the same training people, beside these in the figure of fidelity and
        privacy: independent, li-stephens, pca-gaussian or smote, as often as wanted. Each takes an evaluation.
    augment
        A label value: measure also what a classifier gains from its artificial people where it has few real ones.
    model
        The model that made them: the report shows its training.
    gate
        Compare with the limits of a release: say what failed, with the exit status 3.
    thresholds
        With --gate: METRIC=LIMIT, as often as needed, in the place of the default (docs/evaluation.md).
    seed
        Of everything drawn at random in the measures.
    force
        Replace files that exist.
    """
    from ..io import read
    from ..metrics import evaluate
    from ..metrics.gate import judge

    if thresholds and not gate:
        raise UsageError("--threshold goes with --gate.")
    limits = parsed_thresholds(thresholds)
    kinds = {name: baseline_kind(name) for name in baselines or ()}
    history = _history(model) if model is not None else None
    if output is not None:
        output_free(output, force)
        form_of(output)
    if json_output is not None:
        output_free(json_output, force, standard_output=True)
    if figures is not None and Path(figures).exists():
        if not Path(figures).is_dir():
            raise UsageError(f"--figures {figures} is a file; give a folder, which is made if it does not exist.")
        if any(Path(figures).glob("*.svg")) and not force:
            raise UsageError(f"{figures} holds SVG files already; --force replaces them, or choose another folder.")
    how = reading or Reading()
    labels = synthetic_panel or panel_beside(synthetic)
    made = read(synthetic, labels)
    if kinds and not made.labels:
        raise UsageError("--baseline draws people label by label; give the labels of these with --synthetic-panel.")
    people = at_sites_of(read(real, panel, **read_options(how)), made)
    train, holdout = (people, None) if split is None else divided(people, split, how.intersect)
    if holdout is not None and not holdout.n_samples:
        raise DataError(f"{split} holds out nobody: every sample is 'train'; leave --split out to go without floors.")
    with progress("evaluating") as on_event:
        evaluation = evaluate(train, made, holdout=holdout, label=label, augment=augment, seed=seed, on_event=on_event)
    if kinds:
        others = {}
        for name, kind in kinds.items():
            columns: list[str] = evaluation.provenance["label"]
            fitted = kind(columns, seed=seed).fit(train)
            with progress(f"evaluating {name}") as on_event:
                drawn = fitted.sample(fitted.label_counts, seed=seed)
                others[name] = evaluate(train, drawn, holdout=holdout, label=columns, seed=seed, on_event=on_event)
        evaluation = evaluation.beside(others)
    if history is not None:
        evaluation = evaluation.with_training(history)
    verdict = judge(evaluation, limits) if gate else None
    if json_output == "-":
        print(evaluation.to_json())
    else:
        print(printed(evaluation, per_label))
    written: list[Path] = []
    if json_output not in (None, "-"):
        written.append(write_text(str(json_output), evaluation.to_json() + "\n", force))
    if output is not None:
        written.append(write_evaluation(evaluation, output, force))
    if figures is not None:
        from ..report import write_figures

        written += write_figures(evaluation, figures, force=force)
    if written:
        say(f"written: {names(written)}")
    if verdict is not None:
        if not verdict.passed:
            raise GateFailed(str(verdict))
        say(str(verdict))


@app.command
def report(
    evaluation: Annotated[str, FILE],
    /,
    *,
    output: Annotated[str, OUTPUT],
    force: bool = False,
) -> None:
    """Draw the HTML report of an evaluation again from its JSON alone.

    Parameters
    ----------
    evaluation
        What `pgcgan evaluate -o NAME.json` wrote.
    output
        NAME.html.
    force
        Replace a file that exists.
    """
    from ..report import write_report

    output_free(output, force)
    if form_of(output) != "html":
        raise UsageError(f"The output {output} is not a report; accepted: a name that ends in .html.")
    found = read_evaluation(evaluation)
    try:
        written = write_report(found, output, force=force)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError) as error:
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise DataError(
            f"{evaluation}: its figures cannot be drawn ({said}); the file is damaged: evaluate again."
        ) from error
    say(f"written: {written}")


@app.command
def compare(
    first: Annotated[str, FILE],
    second: Annotated[str, FILE],
    /,
    *,
    json_output: Annotated[str | None, Parameter(name="--json", allow_leading_hyphen=True)] = None,
    per_label: bool = False,
    force: bool = False,
) -> None:
    """Set two evaluations side by side: floor, both values, which is nearer to its aim, and whether by chance.

    Parameters
    ----------
    first
        What `pgcgan evaluate -o NAME.json` wrote.
    second
        Another one, best against the same real people.
    json_output
        Also write the comparison as JSON; "-" prints it in the place of the table.
    per_label
        Add the rows of each label.
    force
        Replace a file that exists.
    """
    from ..metrics.compare import compare

    if json_output is not None:
        output_free(json_output, force, standard_output=True)
    called = Path(first).stem, Path(second).stem
    if called[0] == called[1]:
        called = first, second
    found = compare(read_evaluation(first), read_evaluation(second), called)
    if json_output == "-":
        print(found.to_json())
        return
    print(_with_remarks(found.table(per_label), found.remarks))
    if json_output is not None:
        say(f"written: {write_text(json_output, found.to_json() + chr(10), force)}")


def _history(model: str) -> list[dict[str, Any]]:
    """Return what a model reported while it was trained; nothing for a baseline."""
    if (Path(model) / "baseline.json").is_file():
        return []
    from ..generators.model import PGcGAN

    return PGcGAN.load(model, device="cpu").history


def printed(evaluation: Evaluation, per_label: bool) -> str:
    """Return the table of an evaluation, and what is to be known of it."""
    return _with_remarks(evaluation.table(per_label), evaluation.provenance.get("remarks", []))


def _with_remarks(table: str, remarks: Sequence[str]) -> str:
    return table + ("\n" + "".join(f"\n- {remark}" for remark in remarks) if remarks else "")


def form_of(output: str) -> str:
    """Return `html` or `json`, by the name of an evaluation to write."""
    form = {".html": "html", ".htm": "html", ".json": "json"}.get(Path(output).suffix.lower())
    if form is None:
        raise UsageError(f"The form of {output} is not known; accepted: names that end in .html or .json.")
    return form


def write_evaluation(evaluation: Evaluation, output: str, force: bool) -> Path:
    """Write an evaluation as a report or as JSON, by the name."""
    if form_of(output) == "json":
        return write_text(output, evaluation.to_json() + "\n", force)
    from ..report import write_report

    return write_report(evaluation, output, force=force)


def read_evaluation(path: str) -> Evaluation:
    """Return the evaluation of a JSON file."""
    from ..metrics import Evaluation

    if not Path(path).is_file():
        raise UsageError(f"There is no file {path}; pgcgan evaluate … -o {path} makes one.")
    try:
        return Evaluation.from_json(Path(path).read_text(encoding="utf-8"))
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not a text file (UTF-8); accepted: what `pgcgan evaluate` wrote.") from None
