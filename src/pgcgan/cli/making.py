"""simulate, train and generate."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ..errors import DataError, GateFailed, UsageError, listed
from .app import FILE, OUTPUT, BaselineOptions, Reading, app
from .files import at_sites_of, divided, genotypes_free, load, names, output_free, read_options, read_train, write_text
from .processes import beside, number, several
from .progress import progress, say

if TYPE_CHECKING:
    from ..baselines import Baseline
    from ..genotypes import Genotypes

TRAIN_SHARE = 0.8  # of the people, in the splits that `simulate` and `demo` write


@app.command
def simulate(
    *,
    output: Annotated[str, OUTPUT],
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
        NAME.vcf.gz, .vcf, .bcf, .bed, .pgen, .hap.gz, .vcz or .npz; NAME.panel.tsv is written beside it. "-" writes VCF
        to standard output.
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
    from ..demo import simulate
    from ..io import write
    from ..provenance import command_line

    genotypes_free(output, force)
    if split is not None:
        output_free(split, force)
    genotypes = simulate(people, length=length, seed=seed, populations=populations, unphased=unphased)
    written = write(genotypes, output, force=force, command=command_line(), seed=seed)
    if split is not None:
        train = set(genotypes.split(TRAIN_SHARE, by="pop", seed=seed)[0].samples)
        rows = [f"{name}\t{'train' if name in train else 'test'}\n" for name in genotypes.samples]
        written.append(write_text(split, "sample\tsplit\n" + "".join(rows), force))
    say(f"{genotypes.n_samples} people at {genotypes.n_variants} sites: {names(written) or 'standard output'}")


@app.command
def train(
    vcf: Annotated[str, FILE],
    /,
    *,
    panel: str,
    output: Annotated[str, OUTPUT],
    label: list[str] | None = None,
    split: str | None = None,
    preset: str | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    device: str | None = None,
    resume: bool = False,
    windows: int | None = None,
    executor: str | None = None,
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
        VCF (plain, gzip, bgzip), BCF, NAME.bed, .pgen, .hap.gz, .vcz, .trees or .npz; "-" reads VCF or BCF from
        standard input, and an http or https address one from a server, with --region that part of it alone.
    panel
        Labels: a 1000 Genomes panel or .ped, or any table with a sample column; an address too.
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
        Go on from the checkpoint, or with the windows, in the model directory.
    windows
        Cut the genome into windows of about so many sites, fitted each by itself: for what is too large for one model.
    executor
        With --windows: where they are fitted. serial (the default), processes, processes:N or dask://HOST:PORT.
    settings
        NAME=VALUE, as often as needed: any setting of the network or of its training, such as loss=wgan-gp, epochs=20
        or run_carriers=5.
    baseline
        Fit a baseline in the place of the model: independent, li-stephens, pca-gaussian or smote.
    seed
        The same seed, data and versions give the same model on a CPU.
    force
        Replace a model that exists; it stays until the new one is whole.
    """
    if several() and (windows is not None or baseline is not None):
        raise UsageError(
            "torchrun trains one network in several processes; --windows has --executor for that, and a baseline is "
            "fitted by one process."
        )
    if windows is not None:
        from .genomes import train_windows

        unused = {"preset": preset, "minutes": minutes, "steps": steps, "device": device, "baseline": baseline}
        chosen: dict[str, Any] = {"label": label, "settings": settings, "reading": reading, "seed": seed}
        where = executor or "serial"
        train_windows(vcf, panel, split, output, windows, where, **chosen, resume=resume, force=force, idle=unused)
        return
    if executor is not None:
        raise UsageError("--executor goes with --windows.")
    kind = None
    if baseline is not None:
        given: dict[str, Any] = {"preset": preset, "minutes": minutes, "steps": steps, "device": device}
        given |= {"resume": resume or None, "set": settings}
        idle = [f"--{name}" for name, value in given.items() if value is not None]
        if idle:
            raise UsageError(f"{idle[0]} is for the model and has no meaning with --baseline {baseline}; leave it out.")
        kind = baseline_kind(baseline)
    elif baseline_options is not None:
        raise UsageError("The baseline options are for --baseline NAME; the model does not have them.")
    if not resume and number() == 0:
        output_free(output, force)
    options = _baseline_options(kind, baseline_options) if kind is not None else {}
    people = read_train(vcf, panel, split, reading or Reading())
    columns = label or ["super_pop"]
    if kind is not None:
        target = kind(columns, seed=seed, **options).fit(people).save(output, force=force)
        rows = "it holds the training people" if kind.holds_training_rows else "it holds no training people"
        say(f"{baseline} fitted to {people.n_samples} people at {people.n_variants} sites: {target} ({rows})")
        return
    from ..memory import available_bytes
    from ..model import PGcGAN

    options = {"preset": preset, "minutes": minutes, "steps": steps, "device": device, **named_values(settings or [])}
    model = PGcGAN(columns, seed=seed, **{k: v for k, v in options.items() if v is not None})
    estimate = model.estimate(people)
    available = available_bytes()
    estimate.check(None if available is None else available // beside())
    say(str(estimate))
    with progress("training") as on_event:
        try:
            model.fit(people, directory=output, resume=resume, force=force, on_event=on_event)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"training stopped; the same command with --resume goes on from {output}") from None
    model.save(output, force=True)  # over its own checkpoints: that nothing else was there is checked above
    say(f"trained on {people.n_samples} people at {people.n_variants} sites: {output}")


@app.command
def generate(
    model: str,
    /,
    *,
    output: Annotated[str, OUTPUT],
    counts: Annotated[list[str] | None, Parameter(name="-n", allow_leading_hyphen=True)] = None,
    like: str | None = None,
    split: str | None = None,
    balance: bool = False,
    stage: str = "final",
    min_distance: float | None = None,
    release: bool = False,
    real: Annotated[str | None, FILE] = None,
    panel: str | None = None,
    thresholds: Annotated[list[str] | None, Parameter(name="--threshold")] = None,
    reading: Reading | None = None,
    executor: str | None = None,
    seed: int = 0,
    start: int = 0,
    prefix: str = "SYN",
    force: bool = False,
) -> None:
    """Write artificial people: genotypes and a panel file.

    One of -n, --like and --balance says how many. With --release, or --min-distance, --real names the people that the
    model was trained on. --unphased also writes the people without phase, which a .bed cannot hold.

    Parameters
    ----------
    model
        A model directory.
    output
        NAME.vcf.gz, .vcf, .bcf, .bed, .pgen, .hap.gz, .vcz or .npz; NAME.panel.tsv is written beside it. "-" writes VCF
        to standard output.
    counts
        A number (shared out like the training people) or LABEL=COUNT, as often as needed; counts are exact.
    like
        As many of each label as in this panel file.
    split
        With --like: count only people with split = train in this table. With --real: they were trained on, the others
        held out.
    balance
        Fill every label up to the largest: as many as each lacks among the training people.
    stage
        final (the default), or what the model was before: likelihood (after the warm start of the network), prior
        (uncalibrated) or chain (without its longer contexts).
    min_distance
        Refuse people with a haplotype that differs from one of a training person at fewer sites than this (1 or more;
        1 refuses exact copies), or at a smaller share of the sites (below 1); others take their place.
    release
        Evaluate the people against --real, and write them only if the gate passes; else the exit status is 3.
    real
        The real genotypes, those trained on and those held out.
    panel
        With --release: their labels.
    thresholds
        With --release: METRIC=LIMIT, as often as needed, in the place of the gate's default (docs/evaluation.md).
    executor
        For a model in windows: where people are drawn. serial (the default), processes, processes:N or
        dask://HOST:PORT.
    seed
        The same seed gives the same people.
    start
        How many people come before these: -n 1000, then -n 9000 --start 1000, are the people of -n 10000. With counts
        by label, that many of each label.
    prefix
        People are named PREFIX_LABEL_000001, ….
    force
        Replace files that exist.
    """
    from ..cohort import plan_from
    from ..io import read, write
    from ..provenance import command_line
    from .genomes import in_windows, write_genome

    ways = [name for name, value in (("-n", counts), ("--like", like), ("--balance", balance)) if value]
    if len(ways) != 1:
        raise UsageError(
            "How many people is said by exactly one of -n, --like and --balance; "
            f"given: {' and '.join(ways) or 'none'}."
        )
    if split is not None and like is None and real is None:
        raise UsageError(
            "--split goes with --like, whose people it restricts to those for training, or with --real, which it "
            "divides into those trained on and those held out."
        )
    _check_release(min_distance, release, real, panel, split, thresholds, reading)
    if start and min_distance is not None:
        raise UsageError("--start has no meaning with --min-distance, where those refused are replaced; leave it out.")
    limits = parsed_thresholds(thresholds)
    genotypes_free(output, force)
    generator = load(model, stage)
    if counts:
        wanted = _counts(counts)
    elif like is not None:
        wanted = _composition(like, split, generator.label)
    else:
        most = max(generator.label_counts.values())
        wanted = {name: most - count for name, count in generator.label_counts.items()}
        if not any(wanted.values()):
            raise UsageError(f"--balance: every label has {most} training people already; there is nothing to fill up.")
    known = None
    if real is not None:
        known = read(real, panel, **read_options(reading or Reading()))
        known, unseen = (known, None) if split is None else divided(known, split, (reading or Reading()).intersect)
    unphased = reading is not None and reading.unphased
    keep: dict[str, Any] = {"force": force, "command": command_line(), "seed": seed, "unphased": unphased}
    if executor is not None and (not in_windows(generator) or min_distance is not None or release):
        raise UsageError(
            "--executor is for models in windows (train --windows), without --release and --min-distance, which look "
            "at people in memory."
        )
    if in_windows(generator) and min_distance is None and not release:
        write_genome(generator, wanted, output, executor or "serial", prefix=prefix, start=start, **keep)
        return
    if min_distance is None and not release:
        total = sum(plan_from(wanted, generator.label_counts, start)[0].values())
        with progress("generating") as on_event:
            made = generator.iter_samples(wanted, seed=seed, prefix=prefix, start=start)
            first = next(made)
            written = write(_counted(chain([first], made), total, on_event), output, on_event=on_event, **keep)
        say(f"{total} people at {first.n_variants} sites: {names(written) or 'standard output'}")
        return
    if min_distance is not None:
        from ..release import sample_apart

        assert known is not None
        with progress("generating") as on_event:
            people, refused = sample_apart(
                generator, wanted, known, min_distance, seed=seed, prefix=prefix, on_event=on_event
            )
        where = "sites" if min_distance >= 1 else "of the sites"
        say(f"{refused} people refused: a haplotype nearer than {min_distance:g} {where} to one of a training person")
    else:
        people = generator.sample(wanted, seed=seed, prefix=prefix, start=start)
    if release:
        assert known is not None and unseen is not None
        _stop_at_gate(known, unseen, people, generator.label, limits, seed)
    written = write(people, output, **keep)
    say(f"{people.n_samples} people at {people.n_variants} sites: {names(written) or 'standard output'}")


def _counted(parts: Iterable[Genotypes], total: int, on_event: Callable[[dict[str, Any]], None]) -> Iterator[Genotypes]:
    """Pass people on as they are made, and say how many there are."""
    done = size = 0
    for part in parts:
        done, size = done + part.n_samples, size + part.calls.size
        detail = f"{done:,} of {total:,} people, {size / 1e6:,.0f} MB of alleles"
        on_event({"stage": "generating", "fraction": done / total, "detail": detail})
        yield part


def _check_release(
    min_distance: float | None,
    release: bool,
    real: str | None,
    panel: str | None,
    split: str | None,
    thresholds: list[str] | None,
    reading: Reading | None,
) -> None:
    """Stop where an option has no meaning without another."""
    if release and (real is None or panel is None or split is None):
        raise UsageError("--release needs --real, --panel and --split: the people trained on and the held-out ones.")
    if min_distance is not None and real is None:
        raise UsageError("--min-distance needs --real: the people that the model was trained on.")
    if real is not None and not release and min_distance is None:
        raise UsageError("--real goes with --release or --min-distance; without them nothing real is looked at.")
    if reading not in (None, Reading(unphased=True)) and real is None:
        raise UsageError("The reading options are for the file of --real, which is not given.")
    for name, given in (("--panel", panel), ("--threshold", thresholds)):
        if given is not None and not release:
            raise UsageError(f"{name} goes with --release.")


def _stop_at_gate(
    train: Genotypes, holdout: Genotypes, made: Genotypes, label: Sequence[str], limits: dict[str, str], seed: int
) -> None:
    """Evaluate people who are about to be written; raise GateFailed if they may not be."""
    from ..metrics import evaluate
    from ..metrics.gate import judge

    train, holdout = at_sites_of(train, made), at_sites_of(holdout, made)
    with progress("evaluating") as on_event:
        verdict = judge(evaluate(train, made, holdout=holdout, label=label, seed=seed, on_event=on_event), limits)
    if not verdict.passed:
        raise GateFailed(f"{verdict}\n  nothing was written")
    say(str(verdict))


def parsed_thresholds(texts: Sequence[str] | None) -> dict[str, str]:
    """Return what --threshold says, checked before any work is done."""
    if not texts:
        return {}
    from ..metrics.gate import parse_thresholds

    return parse_thresholds(texts)


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

    from ..cohort import combination
    from ..io import read_panel, read_split

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


def baseline_kind(name: str) -> type[Baseline]:
    """Return the baseline of this name."""
    from ..baselines import BASELINES

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


def named_values(settings: Sequence[str]) -> dict[str, Any]:
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
