"""Genome-wide models: train --windows, generate from them, and windows plan, fit, finish and evaluate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, TypeGuard

from cyclopts import App, Parameter

from ..errors import UsageError
from ..runtime.progress import progress, say, show
from ..text import counted
from .app import FILE, OUTPUT, Label, PerLabel, Reading, ReplaceFiles, app, named_values
from .files import check_population_map, evaluation_free, names_of, panel_beside, say_written, train_names

if TYPE_CHECKING:
    from ..genome import GenomeModel, Source
    from ..genome.plan import Window

windows = App(
    name="windows", help="Fit a genome-wide model in a job array (plan, fit each window, finish), and evaluate it."
)
app.command(windows)


@windows.command
def plan(
    vcf: Annotated[str, FILE],
    /,
    *,
    panel: str,
    output: Annotated[str, OUTPUT],
    size: Annotated[int, Parameter(name="--windows")],
    label: Label = None,
    split: str | None = None,
    settings: Annotated[list[str] | None, Parameter(name="--set")] = None,
    reading: Reading | None = None,
    executor: str = "serial",
    seed: int = 0,
    force: bool = False,
) -> None:
    """Cut a genome into windows and infer the ancestry that they share; write the plan into a model directory.

    Parameters
    ----------
    vcf
        VCF (bgzip, with its index), BCF (with its index), or any other format that train reads.
    panel
        Labels, as for train.
    output
        The model directory. Until windows finish, it also names the training people.
    size
        Sites of a window, about.
    split
        A table with the columns sample and split: only people with split = train are used.
    settings
        NAME=VALUE, as for train: parameters of the haplotype model.
    executor
        What reads the genome: serial, processes, processes:N or dask://HOST:PORT. The plan is the same.
    seed
        The same seed, data and versions give the same model.
    force
        Replace a plan or a model that exists.
    """
    from ..genome import make_plan
    from ..runtime.executors import executor as executor_of

    source = genome_source(vcf, panel, split, reading or Reading())
    options: dict[str, Any] = {"label": label or ["super_pop"], "seed": seed, **named_values(settings or [])}
    with executor_of(executor) as runs, progress("planning") as on_event:
        planned = make_plan(source, output, size=size, force=force, executor=runs, on_event=on_event, **options)
    say(_described(planned.windows, sum(planned.label_counts.values()), planned.axes, output))


@windows.command
def fit(model: str, /, *, index: int) -> None:
    """Fit one window of a plan; one that is fitted already is left alone.

    Parameters
    ----------
    model
        A model directory with a plan.
    index
        Number of the window, from 1 on: in a Slurm array, $SLURM_ARRAY_TASK_ID.
    """
    from ..genome import fit_window

    done = fit_window(model, index)
    say(f"window {index} of {model}: {'fitted' if done else 'was fitted already'}")


@windows.command(name="evaluate")
def evaluate_genome(
    model: str,
    /,
    *,
    real: Annotated[str, FILE],
    panel: str,
    synthetic: Annotated[str, FILE],
    split: str | None = None,
    synthetic_panel: str | None = None,
    label: list[str] | None = None,
    output: Annotated[str | None, OUTPUT] = None,
    per_label: PerLabel = False,
    reading: Reading | None = None,
    seed: int = 0,
    force: ReplaceFiles = False,
) -> None:
    """Compare people of a genome-wide model with real people; print the table, each number beside its floor.

    Parameters
    ----------
    model
        The model directory, which holds the sites and the seams of windows.
    real
        The real genotypes, those trained on and those held out: VCF or BCF with an index, or any other format.
    panel
        Their labels.
    synthetic
        The synthetic genotypes.
    split
        A table with the columns sample and split: train was trained on, everybody else is held out.
    synthetic_panel
        Labels of the synthetic people; by default NAME.panel.tsv beside NAME.vcf.gz.
    label
        Label column; repeat it for several. Default: that of the model.
    output
        Also write the evaluation: NAME.html or NAME.json.
    seed
        Random seed.
    """
    from ..genome import GenomeModel, Source, evaluate
    from .evaluate import printed

    if output is not None:
        evaluation_free(output, force)
    how = reading or Reading()
    for name, value in (("--region", how.region), ("--min-maf", how.min_maf)):
        if value:
            raise UsageError(f"{name} has no meaning here: a genome-wide model is evaluated at its own sites.")
    options = {k: v for k, v in asdict(how).items() if k not in ("region", "min_maf")}
    generator = GenomeModel.load(model)
    check_population_map(generator, panel, how.population_map)
    generated = Source(synthetic, synthetic_panel or panel_beside(synthetic))
    people = Source(real, panel, options, None if split is None else names_of(split, how.intersect, panel))
    train = None if split is None else train_names(split, how.intersect, panel)
    with progress("evaluating") as on_event:
        evaluation = evaluate(generator, people, generated, train=train, label=label, seed=seed, on_event=on_event)
    show(printed(evaluation, per_label))
    if output is not None:
        say(f"written: {evaluation.report(output, force)}")


@windows.command
def finish(model: str, /) -> None:
    """Make a model of fitted windows, and remove the plan.

    Parameters
    ----------
    model
        A model directory whose windows are all fitted.
    """
    from ..genome import finish
    from ..registry import load

    done = finish(model)
    leak = load(done).expected_leak_
    say(f"finished: {done}" + (f"; {leak}" if leak is not None else ""))


def genome_source(vcf: str, panel: str, split: str | None, reading: Reading) -> Source:
    """Return the people of a genome to train on, who are read window by window."""
    from ..genome import Source

    if reading.region is not None:
        raise UsageError("--region has no meaning with --windows; leave it out, or train on the region alone.")
    options = {k: v for k, v in asdict(reading).items() if k != "region"}
    return Source(vcf, panel, options, None if split is None else train_names(split, reading.intersect, panel))


def train_windows(source: Source, output: str, executor_name: str, **options: Any) -> None:
    """Plan, fit and finish, as `pgcgan train --windows` does; the options are those of `pgcgan.genome.train`."""
    from ..genome import GenomeModel, train
    from ..runtime.executors import executor

    with executor(executor_name) as runs, progress("windows") as on_event:
        train(source, output, executor=runs, on_event=on_event, **options)
    model = GenomeModel.load(output)
    facts = model.facts()
    if model.expected_leak_ is not None:
        say(str(model.expected_leak_))
    described = _described(model.windows_, facts["people trained on"], facts["axes of ancestry"], output)
    say(f"trained in windows: {described}")


def in_windows(generator: object) -> TypeGuard[GenomeModel]:
    """True if a model is genome-wide."""
    return type(generator).__name__ == "GenomeModel"


def write_genome(
    generator: GenomeModel, wanted: int | dict[str, int], output: str, executor_name: str, **options: Any
) -> None:
    """Draw people of a genome-wide model and write them; the options are those of `GenomeModel.write`."""
    from ..labels import plan_from
    from ..runtime.executors import executor

    with executor(executor_name) as runs, progress("generating") as on_event:
        written = generator.write(wanted, output, executor=runs, on_event=on_event, **options)
    total = sum(plan_from(wanted, generator.label_counts_, options["start"])[0].values())
    contigs = options["contigs"]
    windows = [w for w in generator.windows_ if contigs is None or w.contig in contigs]
    sites = sum(w.sites - w.overlap for w in windows)
    say_written(total, sites, written, f" in {counted(len(windows), 'window')}")


def _described(windows: Sequence[Window], people: int, axes: int, output: str) -> str:
    contigs = len({window.contig for window in windows})
    sites = sum(window.sites - window.overlap for window in windows)
    return (
        f"{counted(sites, 'site')} of {counted(people, 'person', 'people')} on {counted(contigs, 'contig')} in "
        f"{counted(len(windows), 'window')}, {axes} axes of ancestry: {output}"
    )
