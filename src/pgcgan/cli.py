"""The command line: each command parses, calls the library function of its name, and writes."""

from __future__ import annotations

import ast
import contextlib
import json
import logging
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, CycloptsError, Group, Parameter

from .errors import DataError, ModelError, PgcganError, UsageError, listed

if TYPE_CHECKING:
    from .baselines import Baseline
    from .genotypes import Genotypes
    from .model import PGcGAN

INTERRUPTED = 130  # 128 + SIGINT, as shells have it
SECONDS_BETWEEN_LINES = 10.0  # of progress, where standard error is not a terminal
DEMO_MINUTES = 1.75  # the whole demo then stays under four minutes on two cores
TRAIN_SHARE = 0.8  # of the people, in the splits that `simulate` and `demo` write


def _version() -> str:
    from .provenance import VERSION

    return VERSION


app = App(
    name="pgcgan",
    help="Artificial people for any label, learnt from a VCF, with the evidence beside them.",
    version=_version,
    default_parameter=Parameter(negative="", negative_iterable=""),
    help_format="plaintext",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)

_READING = Group("Reading", help="What to do with what a file may hold; each error names the option that accepts it.")
_BASELINE = Group("Baseline options", help="For --baseline only; the defaults are the library's.")
# a file name may be "-" (standard input or output), which is not an option
_FILE = Parameter(allow_leading_hyphen=True)
_OUTPUT = Parameter(name=["--output", "-o"], allow_leading_hyphen=True)


@Parameter(name="*", group=_READING)
@dataclass(frozen=True)
class Reading:
    """How genotypes and labels are read; the fields are those of `pgcgan.read`."""

    region: str | None = None
    """contig, contig:start-end or contig:start- (1-based, both ends included)."""
    min_maf: float | None = None
    """Keep sites with at least this minor allele frequency among the people kept."""
    population_map: str | None = None
    """Population to super-population: 1000g, pg-cgan (ACB and ASW count as AMR), or a table of two columns."""
    intersect: bool = False
    """Go on with the samples that are in both the genotypes and the panel (or split)."""
    multiallelic: str = "error"
    """Records with several ALT alleles: error, split or drop."""
    half_calls: str = "error"
    """Calls such as 0/. : error or missing."""
    haploid: str = "error"
    """Haploid calls beside diploid ones: error or diploid."""
    duplicates: str = "error"
    """Records that repeat a site and its alleles: error or drop."""
    unphased: bool = False
    """Read every call as an unordered pair."""


@Parameter(name="*", group=_BASELINE)
@dataclass(frozen=True)
class BaselineOptions:
    """Options of the baselines; None leaves the default of the class."""

    recombination_rate: float | None = None
    """li-stephens: per base pair and generation, where there is no map."""
    effective_size: float | None = None
    """li-stephens: effective population size."""
    genetic_map: str | None = None
    """li-stephens: a genetic map (HapMap, SHAPEIT, IMPUTE2 or PLINK .map; plain or gzip)."""
    segment_length: float | None = None
    """li-stephens: mean length of a copied segment in base pairs, in the place of rate and map."""
    mutation: float | None = None
    """li-stephens: mutation probability per allele."""
    components: int | None = None
    """pca-gaussian: principal components."""
    neighbours: int | None = None
    """smote: nearest neighbours to choose from."""


# ---- commands -----------------------------------------------------------------------------------------------------


@app.command
def simulate(
    *,
    output: Annotated[str, _OUTPUT],
    people: int = 1000,
    length: int = 1_000_000,
    populations: Annotated[list[str] | None, Parameter(name="--population")] = None,
    unphased: bool = False,
    split: str | None = None,
    seed: int = 1,
    force: bool = False,
) -> None:
    """Simulate a cohort of five super-populations: a VCF and a panel file, about no real person.

    Parameters
    ----------
    output
        NAME.vcf.gz, .vcf or .bcf; NAME.panel.tsv is written beside it. "-" writes VCF to standard output.
    people
        Number of people.
    length
        Length of the contig in base pairs.
    populations
        AFR, AMR, EAS, EUR or SAS; repeat it for several. Default: all five.
    unphased
        Drop the phase.
    split
        Also write this table of who is for training (80 %, stratified by population) and who is held out.
    seed
        The same seed gives the same cohort.
    force
        Replace files that exist.
    """
    from .demo import simulate
    from .io import write
    from .provenance import command_line

    _output_free(output, force, standard_output=True)
    if split is not None:
        _output_free(split, force)
    genotypes = simulate(people, length=length, seed=seed, populations=populations, unphased=unphased)
    written = write(genotypes, output, force=force, command=command_line(), seed=seed)
    if split is not None:
        train = set(genotypes.split(TRAIN_SHARE, by="pop", seed=seed)[0].samples)
        rows = [f"{name}\t{'train' if name in train else 'test'}\n" for name in genotypes.samples]
        written.append(_write_text(split, "sample\tsplit\n" + "".join(rows), force))
    _say(f"{genotypes.n_samples} people at {genotypes.n_variants} sites: {_names(written) or 'standard output'}")


@app.command
def train(
    vcf: Annotated[str, _FILE],
    /,
    *,
    panel: str,
    output: Annotated[str, _OUTPUT],
    label: list[str] | None = None,
    split: str | None = None,
    preset: str | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    device: str | None = None,
    resume: bool = False,
    settings: Annotated[list[str] | None, Parameter(name="--set")] = None,
    baseline: str | None = None,
    baseline_options: BaselineOptions | None = None,
    reading: Reading | None = None,
    seed: int = 0,
    force: bool = False,
) -> None:
    """Learn from labelled people; write a model directory.

    The model holds none of them; two of the baselines do, and say so.

    Parameters
    ----------
    vcf
        VCF (plain, gzip, bgzip) or BCF; "-" reads standard input.
    panel
        Labels: a 1000 Genomes panel or .ped, or any table with a sample column.
    output
        The model directory to write.
    label
        Label column of the panel, super_pop by default; repeat it for several.
    split
        A table with the columns sample and split: only people with split = train are used.
    preset
        haplotype (the default) or paper (the network of the PG-cGAN paper).
    minutes
        Add the network, and train it for so long. Without this, --steps or --set epochs=16, haplotype fits its prior
        alone, in seconds.
    steps
        Step budget of the training of the network.
    device
        auto (the default), cpu, cuda, …
    resume
        Go on from the checkpoint in the model directory.
    settings
        NAME=VALUE, as often as needed: any setting of the network or of its training, such as loss=wgan-gp, epochs=20
        or min_carriers=5.
    baseline
        Fit a baseline in the place of the model: independent, li-stephens, pca-gaussian or smote.
    seed
        The same seed, data and versions give the same model on a CPU.
    force
        Replace a model that exists.
    """
    kind = None
    if baseline is not None:
        given: dict[str, Any] = {"preset": preset, "minutes": minutes, "steps": steps, "device": device}
        given |= {"resume": resume or None, "set": settings}
        idle = [f"--{name}" for name, value in given.items() if value is not None]
        if idle:
            raise UsageError(f"{idle[0]} is for the model and has no meaning with --baseline {baseline}; leave it out.")
        kind = _baseline_kind(baseline)
    elif baseline_options is not None:
        raise UsageError("The baseline options are for --baseline NAME; the model does not have them.")
    if not resume:
        _output_free(output, force)
    options = _baseline_options(kind, baseline_options) if kind is not None else {}
    people = _read_train(vcf, panel, split, reading or Reading())
    columns = label or ["super_pop"]
    if kind is not None:
        target = kind(columns, seed=seed, **options).fit(people).save(output, force=force)
        rows = "it holds the training people" if kind.holds_training_rows else "it holds no training people"
        _say(f"{baseline} fitted to {people.n_samples} people at {people.n_variants} sites: {target} ({rows})")
        return
    from .model import PGcGAN

    options = {"preset": preset, "minutes": minutes, "steps": steps, "device": device, **_named_values(settings or [])}
    model = PGcGAN(columns, seed=seed, **{k: v for k, v in options.items() if v is not None})
    if force and not resume:
        (Path(output) / "model.json").unlink(missing_ok=True)  # without it a directory is not a model: it is replaced
    with _progress("training") as on_event:
        try:
            model.fit(people, directory=output, resume=resume, on_event=on_event)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"training stopped; the same command with --resume goes on from {output}") from None
    model.save(output, force=True)  # over its own checkpoints: that nothing else was there is checked above
    _say(f"trained on {people.n_samples} people at {people.n_variants} sites: {output}")


@app.command
def generate(
    model: str,
    /,
    *,
    output: Annotated[str, _OUTPUT],
    counts: Annotated[list[str] | None, Parameter(name="-n", allow_leading_hyphen=True)] = None,
    like: str | None = None,
    split: str | None = None,
    balance: bool = False,
    stage: str = "final",
    seed: int = 0,
    prefix: str = "SYN",
    force: bool = False,
) -> None:
    """Write artificial people: genotypes and a panel file.

    One of -n, --like and --balance says how many.

    Parameters
    ----------
    model
        A model directory.
    output
        NAME.vcf.gz, .vcf or .bcf; NAME.panel.tsv is written beside it. "-" writes VCF to standard output.
    counts
        A number (shared out like the training people) or LABEL=COUNT, as often as needed; counts are exact.
    like
        As many of each label as in this panel file.
    split
        With --like: count only people with split = train in this table.
    balance
        Fill every label up to the largest: as many as each lacks among the training people.
    stage
        final (the default), or what the model was before: likelihood (after the warm start of the network), prior
        (uncalibrated) or chain (without its longer contexts).
    seed
        The same seed gives the same people.
    prefix
        People are named PREFIX_LABEL_000001, ….
    force
        Replace files that exist.
    """
    from .cohort import plan_counts
    from .genotypes import concat
    from .io import write
    from .provenance import command_line

    ways = [name for name, value in (("-n", counts), ("--like", like), ("--balance", balance)) if value]
    if len(ways) != 1:
        raise UsageError(
            "How many people is said by exactly one of -n, --like and --balance; "
            f"given: {' and '.join(ways) or 'none'}."
        )
    if split is not None and like is None:
        raise UsageError("--split goes with --like, whose people it restricts to those for training.")
    _output_free(output, force, standard_output=True)
    generator = _load(model, stage)
    if counts:
        wanted = _counts(counts)
    elif like is not None:
        wanted = _composition(like, split, generator.label)
    else:
        most = max(generator.label_counts.values())
        wanted = {name: most - count for name, count in generator.label_counts.items()}
        if not any(wanted.values()):
            raise UsageError(f"--balance: every label has {most} training people already; there is nothing to fill up.")
    parts, total = [], sum(plan_counts(wanted, generator.label_counts).values())
    with _progress("generating") as on_event:
        for part in generator.iter_samples(wanted, seed=seed, prefix=prefix):
            parts.append(part)
            on_event({"stage": "generating", "fraction": sum(p.n_samples for p in parts) / total})
    people = concat(parts)
    written = write(people, output, force=force, command=command_line(), seed=seed)
    _say(f"{people.n_samples} people at {people.n_variants} sites: {_names(written) or 'standard output'}")


@app.command
def evaluate(
    *,
    real: Annotated[str, _FILE],
    panel: str,
    synthetic: Annotated[str, _FILE],
    split: str | None = None,
    synthetic_panel: str | None = None,
    label: list[str] | None = None,
    output: Annotated[str | None, _OUTPUT] = None,
    figures: str | None = None,
    json_output: Annotated[str | None, Parameter(name="--json", allow_leading_hyphen=True)] = None,
    per_label: bool = False,
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
        Also write an HTML report that opens without a network.
    figures
        Also write each figure of the report as SVG into this folder.
    json_output
        Also write everything as JSON; "-" prints it in the place of the table.
    per_label
        Add the rows of each label.
    seed
        Of everything drawn at random in the measures.
    force
        Replace files that exist.
    """
    from .io import read
    from .metrics import evaluate
    from .report import write_figures, write_report

    if output is not None:
        _output_free(output, force)
    if json_output is not None:
        _output_free(json_output, force, standard_output=True)
    if figures is not None and Path(figures).exists():
        if not Path(figures).is_dir():
            raise UsageError(f"--figures {figures} is a file; give a folder, which is made if it does not exist.")
        if any(Path(figures).glob("*.svg")) and not force:
            raise UsageError(f"{figures} holds SVG files already; --force replaces them, or choose another folder.")
    how = reading or Reading()
    labels = synthetic_panel or _panel_beside(synthetic)
    made = read(synthetic, labels)
    people = _at_sites_of(read(real, panel, **_read_options(how)), made)
    train, holdout = (people, None) if split is None else _parts(people, split, how.intersect)
    if holdout is not None and not holdout.n_samples:
        raise DataError(f"{split} holds out nobody: every sample is 'train'; leave --split out to go without floors.")
    with _progress("evaluating") as on_event:
        evaluation = evaluate(train, made, holdout=holdout, label=label, seed=seed, on_event=on_event)
    if json_output == "-":
        print(evaluation.to_json())
    else:
        remarks = "".join(f"\n- {remark}" for remark in evaluation.provenance.get("remarks", []))
        print(evaluation.table(per_label) + ("\n" + remarks if remarks else ""))
    written: list[Path] = []
    if json_output not in (None, "-"):
        written.append(_write_text(str(json_output), evaluation.to_json() + "\n", force))
    if output is not None:
        written.append(write_report(evaluation, output, force=force))
    if figures is not None:
        written += write_figures(evaluation, figures, force=force)
    if written:
        _say(f"written: {_names(written)}")


@app.command
def info(
    path: Annotated[str, _FILE],
    /,
    *,
    panel: str | None = None,
    json_output: Annotated[bool, Parameter(name="--json")] = False,
    reading: Reading | None = None,
) -> None:
    """Say what a genotype file or a model directory holds.

    Parameters
    ----------
    path
        A VCF or BCF ("-" reads standard input), or a model directory.
    panel
        Labels, for a genotype file.
    json_output
        Print JSON.
    """
    if Path(path).is_dir():
        if panel is not None or reading is not None:
            raise UsageError(f"{path} is a model directory: --panel and the reading options are for genotype files.")
        facts = _facts_of_model(path)
    else:
        from .io import read

        facts = _facts_of_genotypes(read(path, panel, **_read_options(reading or Reading())))
    if json_output:
        print(json.dumps(facts, indent=1, ensure_ascii=False))
        return
    for name, value in facts.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{k} {v}" for k, v in value.items())
        elif isinstance(value, list):
            value = ", ".join(map(str, value))
        print(f"{name}: {value}")


@app.command
def demo(
    *,
    output: Annotated[str, _OUTPUT] = "pgcgan-demo",
    people: int = 1000,
    length: int = 500_000,
    minutes: float | None = None,
    baseline: str | None = None,
    seed: int = 1,
    force: bool = False,
) -> None:
    """Show the whole way on a simulated cohort: simulate, train, generate, evaluate, report.

    Parameters
    ----------
    output
        Folder for everything that is written.
    people
        Number of people to simulate.
    length
        Length of the contig in base pairs.
    minutes
        Time budget of the training of the network; 1.75 by default.
    baseline
        Train a baseline in the place of the model.
    seed
        Of every step.
    force
        Replace what an earlier demo wrote.
    """
    folder = Path(output)
    cohort, panel, split = (str(folder / name) for name in ("cohort.vcf.gz", "cohort.panel.tsv", "split.tsv"))
    model, made, report = (str(folder / name) for name in ("model", "synthetic.vcf.gz", "report.html"))
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise UsageError(f"{folder} exists and is not empty; --force replaces what an earlier demo wrote there.")
    folder.mkdir(parents=True, exist_ok=True)
    again = " --force" if force else ""

    _say(f"$ pgcgan simulate --people {people} --length {length} --seed {seed} --split {split} -o {cohort}{again}")
    simulate(output=cohort, people=people, length=length, split=split, seed=seed, force=force)

    budget = None if baseline is not None else (DEMO_MINUTES if minutes is None else minutes)
    how = f"--baseline {baseline}" if baseline is not None else f"--minutes {budget:g}"
    _say(
        f"$ pgcgan train {cohort} --panel {panel} --split {split} --min-maf 0.01 {how} --seed {seed} -o {model}{again}"
    )
    rare = Reading(min_maf=0.01)
    train(
        cohort,
        panel=panel,
        split=split,
        minutes=budget,
        baseline=baseline,
        seed=seed,
        output=model,
        reading=rare,
        force=force,
    )

    _say(f"$ pgcgan generate {model} --like {panel} --split {split} --seed {seed} -o {made}{again}")
    generate(model, like=panel, split=split, seed=seed, output=made, force=force)

    what = f"--real {cohort} --panel {panel} --split {split} --synthetic {made}"
    _say(f"$ pgcgan evaluate {what} --seed {seed} -o {report}{again}")
    evaluate(real=cohort, panel=panel, split=split, synthetic=made, output=report, seed=seed, force=force)
    print(f"The report: {report}")


# ---- what the commands share --------------------------------------------------------------------------------------


def _read_options(reading: Reading) -> dict[str, Any]:
    return asdict(reading)


def _read_train(vcf: str, panel: str, split: str | None, reading: Reading) -> Genotypes:
    from .io import read

    # frequencies are those of the people trained on: the filter comes after the split
    options = _read_options(reading) | {"min_maf": None}
    people = read(vcf, panel, **options)
    if split is not None:
        people, _ = _parts(people, split, reading.intersect)
    if reading.min_maf is not None:
        people = people.select(min_maf=reading.min_maf)
        if not people.n_variants:
            raise DataError(f"No site of {vcf} has a minor allele frequency of {reading.min_maf} (--min-maf) or more.")
    return people


def _parts(people: Genotypes, split: str, intersect: bool) -> tuple[Genotypes, Genotypes]:
    """Return those for training and everybody else."""
    from .io import read_split

    part = read_split(split)
    absent = [name for name in people.samples if name not in part]
    if absent and not intersect:
        raise DataError(
            f"{len(absent)} samples are not in {split}: {listed(absent, 3)}; --intersect goes on without them."
        )
    train = [name for name in people.samples if part.get(name) == "train"]
    if not train:
        raise DataError(f"None of the {people.n_samples} samples is 'train' in {split}.")
    rest = [name for name in people.samples if part.get(name, "train") != "train"]
    import numpy as np

    return people.select(samples=train), people.select(samples=np.array(rest, dtype=object))


def _at_sites_of(real: Genotypes, made: Genotypes) -> Genotypes:
    """Return the real people at the sites of the artificial ones, which may be fewer (a region, a frequency filter)."""
    import numpy as np

    def keys(genotypes: Genotypes) -> list[tuple[Any, ...]]:
        v = genotypes.variants
        return list(zip(v.contig, v.position.tolist(), v.ref, v.alt, strict=True))

    wanted = set(keys(made))
    mask = np.array([key in wanted for key in keys(real)], dtype=bool)
    return real if mask.all() else real.select(sites=mask)


def _panel_beside(path: str) -> str:
    beside = re.sub(r"\.(vcf|vcf\.gz|vcf\.bgz|bcf)$", "", path) + ".panel.tsv"
    if not Path(beside).is_file():
        raise UsageError(
            f"The labels of the artificial people are looked for in {beside}, which is not there; name them by "
            "--synthetic-panel."
        )
    return beside


def _counts(given: Sequence[str]) -> int | dict[str, int]:
    if len(given) == 1 and "=" not in given[0]:
        return _whole(given[0], given[0])
    wanted: dict[str, int] = {}
    for item in given:
        name, equals, count = item.rpartition("=")
        if not equals or not name:
            raise UsageError(f"-n {item}: accepted are one number (-n 1000), or LABEL=COUNT as often as needed.")
        if name in wanted:
            raise UsageError(f"-n gives {name} twice: {wanted[name]} and {count}.")
        wanted[name] = _whole(count, item)
    return wanted


def _whole(text: str, item: str) -> int:
    if not re.fullmatch(r"[0-9]+", text):
        raise UsageError(f"-n {item}: {text!r} is not a whole number, 0 or more.")
    return int(text)


def _composition(panel: str, split: str | None, columns: Sequence[str]) -> dict[str, int]:
    import numpy as np

    from .cohort import combination
    from .io import read_panel, read_split

    table = read_panel(panel)
    samples = list(next(iter(table.values())))
    if split is not None:
        part = read_split(split)
        samples = [name for name in samples if part.get(name) == "train"]
        if not samples:
            raise DataError(f"Nobody in {panel} is 'train' in {split}.")
    absent = [column for column in columns if column not in table]
    if absent:
        raise DataError(
            f"{panel} has no column {absent[0]!r}, by which the model generates; its columns: {listed(table)}."
        )
    labels = {c: np.array([table[c][name] for name in samples], dtype=object) for c in columns}
    names, counts = np.unique(combination(labels, columns).astype(str), return_counts=True)
    return {str(name): int(count) for name, count in zip(names, counts, strict=True)}


def _baseline_kind(name: str) -> type[Baseline]:
    from .baselines import BASELINES

    if name not in BASELINES:
        raise UsageError(f"Unknown baseline {name!r}; accepted: {', '.join(BASELINES)}.")
    return BASELINES[name]


def _baseline_options(kind: type[Baseline], given: BaselineOptions | None) -> dict[str, Any]:
    options = {k: v for k, v in asdict(given or BaselineOptions()).items() if v is not None}
    foreign = [name for name in options if name not in kind.options]
    if foreign:
        own = ", ".join("--" + name.replace("_", "-") for name in kind.options)
        raise UsageError(
            f"--{foreign[0].replace('_', '-')} is not an option of the {kind.name} baseline; "
            f"its options: {own or 'none'}."
        )
    return options


def _named_values(settings: Sequence[str]) -> dict[str, Any]:
    """Return NAME=VALUE texts as a mapping; a value that is no Python literal is text."""
    found: dict[str, Any] = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--set {text!r} cannot be read; accepted: NAME=VALUE, for example epochs=20.")
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[name] = value
    return found


def _load(path: str, stage: str = "final") -> Baseline | PGcGAN:
    if not Path(path).is_dir():
        raise ModelError(f"There is no model directory {path}; pgcgan train … -o {path} makes one.")
    if (Path(path) / "baseline.json").is_file():
        from .baselines import Baseline

        if stage != "final":
            raise UsageError(f"--stage {stage} is for models; {path} is a baseline.")
        return Baseline.load(path)
    from .model import PGcGAN

    return PGcGAN.load(path, stage=stage)


def _facts_of_genotypes(genotypes: Genotypes) -> dict[str, Any]:
    import numpy as np

    position, contig = genotypes.variants.position, genotypes.variants.contig
    spans = {}
    for name in dict.fromkeys(contig):
        here = position[contig == name]
        spans[name] = f"{here.min()}-{here.max()} ({len(here)} sites)"
    frequency = genotypes.allele_frequency()
    minor = np.minimum(frequency, 1 - frequency)
    called = genotypes.calls >= 0
    facts: dict[str, Any] = {
        "kind": "genotypes",
        "people": genotypes.n_samples,
        "sites": genotypes.n_variants,
        "ploidy": genotypes.ploidy,
        "phased": genotypes.phased,
        "contigs": spans,
        "missing alleles": round(float(1 - called.mean()), 6) if called.size else 0.0,
        "monomorphic sites": int((minor == 0).sum()),
        "sites with minor allele frequency of at least 5 %": int((minor >= 0.05).sum()),
    }
    for column in genotypes.labels:
        names, counts = np.unique(genotypes.label(column).astype(str), return_counts=True)
        facts[column] = {str(n): int(c) for n, c in zip(names, counts, strict=True)}
    return facts


def _facts_of_model(path: str) -> dict[str, Any]:
    if (Path(path) / "baseline.json").is_file():
        from .baselines import read_sheet

        sheet = read_sheet(path)
        variants = sheet.pop("variants")
        made = sheet.pop("provenance")
        return {
            "kind": "baseline",
            **sheet,
            "people trained on": sum(sheet["label_counts"].values()),
            "sites": len(variants["position"]),
            "provenance": made,
        }
    from .model import PGcGAN

    return PGcGAN.load(path, device="cpu").facts()


def _output_free(path: str, force: bool, *, standard_output: bool = False) -> None:
    """Stop before the work, and not after it, where an output cannot be written."""
    if path == "-" and standard_output:
        return
    if path.startswith("-"):
        accepted = "a name, or - for standard output" if standard_output else "a name"
        raise UsageError(
            f"The output {path!r} looks like an option; accepted: {accepted} (./{path} if that is the name)."
        )
    if Path(path).exists() and not force:
        raise UsageError(f"{path} exists; --force replaces it, or choose another name.")
    if not Path(path).parent.is_dir():
        raise UsageError(f"The folder {Path(path).parent} of the output {path} does not exist.")


def _write_text(path: str, text: str, force: bool) -> Path:
    """Write a text file whole or not at all."""
    target = Path(path)
    _output_free(path, force)
    with tempfile.TemporaryDirectory(prefix=".pgcgan-", dir=target.parent) as workspace:
        partial = Path(workspace) / target.name
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, target)
    return target


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))


def _say(text: str) -> None:
    # standard output is for what was asked for (a table, JSON, a VCF)
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _progress(what: str) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yield a receiver of events: a live line on a terminal, else a plain line every few seconds."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(
            *columns, TextColumn("{task.fields[detail]}"), console=Console(stderr=True), transient=True
        ) as bar:
            task = bar.add_task(what, total=1.0, detail="")

            def live(event: dict[str, Any]) -> None:
                name, fraction, detail = _described(event)
                bar.update(task, completed=fraction, description=name or what, detail=detail)

            yield live
        return
    last = time.monotonic()

    def plain(event: dict[str, Any]) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            name, fraction, detail = _described(event)
            _say(f"{name or what}: {fraction:.0%}{'  ' + detail if detail else ''}")

    yield plain


def _described(event: Mapping[str, Any]) -> tuple[str, float, str]:
    """Return stage, fraction done and the rest of an event of training or of evaluation."""
    if "done" in event and event.get("total"):
        return str(event.get("topic", "")), event["done"] / event["total"], str(event.get("metric", ""))
    shown = {"step": event.get("step"), "loss": event.get("loss"), **(event.get("metrics") or {})}
    text = "  ".join(
        f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in shown.items() if isinstance(v, (int, float))
    )
    return str(event.get("stage", "")), float(event.get("fraction") or 0.0), text


# ---- entry --------------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name; by default those of the process.

    Returns
    -------
    int
        Exit status: 0, 2 for what the user can put right (one line on standard error), 130 after Ctrl-C. Anything else
        is a defect and keeps its traceback.
    """
    if arguments is not None:
        sys.argv = ["pgcgan", *arguments]  # provenance says what ran
    notes = logging.StreamHandler()  # what the library goes on with, but the user should know
    notes.setFormatter(logging.Formatter("pgcgan: note: %(message)s"))
    logging.getLogger("pgcgan").addHandler(notes)
    try:
        app(sys.argv[1:], exit_on_error=False, print_error=False)
        sys.stdout.flush()
        return 0
    except PgcganError as error:
        return _fail(str(error), error.exit_code)
    except CycloptsError as error:
        return _fail(f"{' '.join(str(error).split())} (pgcgan --help)", 2)
    except KeyboardInterrupt as stop:
        print(f"pgcgan: {stop if str(stop) else 'interrupted'}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # the reader of our output has gone (head); keep the interpreter from complaining at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.filename is None:
            raise
        return _fail(f"{error.filename}: {error.strerror}.", 2)
    finally:
        logging.getLogger("pgcgan").removeHandler(notes)


def _fail(message: str, status: int) -> int:
    print(f"pgcgan: error: {message}", file=sys.stderr)
    return status
