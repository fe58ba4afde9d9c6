"""generate: synthetic people of a model, checked by the release gate on request."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ..errors import DataError, GateFailed, UsageError, listed
from ..runtime.progress import progress, say
from ..text import whole_number
from . import files
from .app import FILE, OUTPUT, MixtureOptions, Reading, ReplaceFiles, app, parsed_thresholds

if TYPE_CHECKING:
    from ..generators.generator import Generator
    from ..genotypes import Genotypes


@Parameter(name="*")
@dataclass(frozen=True)
class Checks:
    """By what people are checked before they are written.

    Parameters
    ----------
    min_distance
        Refuse people with a haplotype that differs from one of a training person at fewer sites than this (1 or more;
        1 refuses exact copies), or at a smaller share of the sites (below 1); others take their place.
    release
        Attack and evaluate the people against --real, together with all that were released of this model before, and
        write them only if the gate passes; else the exit status is 3.
    real
        The real genotypes, those trained on and those held out.
    panel
        With --release: their labels.
    thresholds
        With --release: METRIC=LIMIT, as often as needed, instead of the gate's default (docs/evaluation.md).
    """

    min_distance: float | None = None
    release: bool = False
    real: Annotated[str | None, FILE] = None
    panel: str | None = None
    thresholds: Annotated[list[str] | None, Parameter(name="--threshold")] = None

    @property
    def asked(self) -> bool:
        """True if people are checked, for which all are kept in memory."""
        return self.release or self.min_distance is not None


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
    checks: Checks | None = None,
    reading: Reading | None = None,
    mixtures: MixtureOptions | None = None,
    executor: str | None = None,
    contigs: Annotated[list[str] | None, Parameter(name="--contig")] = None,
    seed: int = 0,
    start: int = 0,
    prefix: str = "SYN",
    force: ReplaceFiles = False,
) -> None:
    """Write synthetic people: genotypes and a panel file.

    Specify how many people with exactly one of -n, --like or --balance. With --release or --min-distance, --real names
    the people that the model was trained on. --unphased writes the people without phase, which a .bed cannot hold.

    A label may be a mixture, as in -n AFR:0.8+EUR:0.2=500: haplotypes are drawn in stretches of these labels, and
    NAME.bp has the true local ancestry, as haptools reads it.

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
        As many of each label as in this panel file; --population-map applies to it.
    split
        With --like: count only people with split = train in this table. With --real: they were trained on, the others
        held out.
    balance
        Fill every label up to the largest: as many as each lacks among the training people.
    executor
        For a model in windows: where people are drawn. serial (the default), processes, processes:N or
        dask://HOST:PORT.
    contigs
        For a model in windows: only the sites on this contig, as often as needed. The people are the same on all
        contigs, so that each contig can be a job and a file of its own.
    seed
        The same seed gives the same people.
    start
        How many people come before these: -n 1000, then -n 9000 --start 1000, are the people of -n 10000. With counts
        by label, that many of each label.
    prefix
        People are named PREFIX-LABEL-000001, ….
    """
    from ..provenance import command_line
    from ..registry import load
    from .windows import in_windows, write_genome

    reading, checks = reading or Reading(), checks or Checks()
    _check_options({"-n": counts, "--like": like, "--balance": balance}, split, checks, reading, start)
    limits = parsed_thresholds(checks.thresholds)
    files.genotypes_free(output, force)
    generator = load(model)
    wanted = _wanted(generator, counts, like, split, reading.population_map)
    if checks.panel is not None:
        files.check_population_map(generator, checks.panel, reading.population_map)
    mixing = _mixing(generator, wanted, mixtures, output, force, checks.asked)
    real = _real_people(checks, split, reading)
    keep: dict[str, Any] = {"force": force, "command": command_line(), "seed": seed, "unphased": reading.unphased}
    drawn: dict[str, Any] = {"seed": seed, "prefix": prefix, "start": start}
    for option, value in (("--executor", executor), ("--contig", contigs)):
        if value is not None and (checks.asked or not in_windows(generator)):
            raise UsageError(
                f"{option} is for models in windows (train --windows), without --release and --min-distance, which "
                "keep all people in memory."
            )
    if checks.asked:
        _write_checked(model, generator, wanted, checks, real, limits, output, drawn, keep)
    elif in_windows(generator):
        write_genome(generator, wanted, output, executor or "serial", contigs=contigs, **drawn | keep)
    else:
        _write_people(generator, wanted, output, drawn, mixing, keep)


def _check_options(
    amounts: Mapping[str, object], split: str | None, checks: Checks, reading: Reading, start: int
) -> None:
    """Raise UsageError unless one option says how many people, and each option has a meaning beside the others."""
    real, release, min_distance, like = checks.real, checks.release, checks.min_distance, amounts["--like"]
    ways = [name for name, value in amounts.items() if value]
    if len(ways) != 1:
        raise UsageError(
            "Specify how many people to generate with exactly one of -n, --like or --balance; "
            f"given: {' and '.join(ways) or 'none'}."
        )
    if split is not None and like is None and real is None:
        raise UsageError(
            "--split goes with --like, whose people it restricts to those for training, or with --real, which it "
            "divides into those trained on and those held out."
        )
    if release and (real is None or checks.panel is None or split is None):
        raise UsageError("--release needs --real, --panel and --split: the training people and the held-out people.")
    if min_distance is not None and real is None:
        raise UsageError("--min-distance needs --real: the people that the model was trained on.")
    if real is not None and not checks.asked:
        raise UsageError("--real goes with --release or --min-distance; without them the real people are not used.")
    if real is None and reading.population_map is not None and like is None:
        raise UsageError("--population-map goes with --like or --real, whose populations it maps.")
    if real is None and replace(reading, unphased=False, population_map=None) != Reading():
        raise UsageError("The reading options are for the file of --real, which is not given.")
    for name, given in (("--panel", checks.panel), ("--threshold", checks.thresholds)):
        if given is not None and not release:
            raise UsageError(f"{name} goes with --release.")
    if start and min_distance is not None:
        raise UsageError(
            "--start has no meaning with --min-distance, which replaces people that it refuses; leave it out."
        )


def _real_people(checks: Checks, split: str | None, reading: Reading) -> tuple[Genotypes | None, Genotypes | None]:
    """Return the people of --real, those trained on and those held out, or None."""
    from ..io import read

    if checks.real is None:
        return None, None
    people = read(checks.real, checks.panel, **asdict(reading))
    if split is None:
        return people, None
    train, holdout, _ = files.divided(people, split, reading.intersect, checks.panel)
    return train, holdout


def _wanted(
    generator: Generator, counts: list[str] | None, like: str | None, split: str | None, population_map: str | None
) -> int | dict[str, int]:
    """Return how many people to generate: by -n, by --like, or what --balance fills up."""
    if counts:
        return _counts(counts)
    if like is not None:
        files.check_population_map(generator, like, population_map)
        return _composition(like, split, generator.label, population_map)
    most = max(generator.label_counts_.values())
    wanted = {name: most - count for name, count in generator.label_counts_.items()}
    if not any(wanted.values()):
        raise UsageError(f"--balance: every label has {most} training people already; there is nothing to fill up.")
    return wanted


def _write_people(
    generator: Generator,
    wanted: int | dict[str, int],
    output: str,
    options: dict[str, Any],
    mixing: dict[str, Any] | None,
    keep: dict[str, Any],
) -> None:
    """Write people block by block as they are drawn; before them, where there is a mixture, their local ancestry."""
    from ..generators.haplotype import HaplotypeModel
    from ..io import write
    from ..labels import plan_from

    total = sum(plan_from(wanted, generator.label_counts_, options["start"])[0].values())
    options = options | (mixing or {})
    with progress("generating") as on_event:
        blocks = generator.iter_samples(wanted, **options)
        first = next(blocks)
        written = []
        if mixing is not None and isinstance(generator, HaplotypeModel) and not isinstance(wanted, int):
            breakpoints = files.beside_genotypes(output, ".bp")
            written = [generator.sample_ancestry(wanted, **options).write(breakpoints, force=keep["force"])]
        written = write(_counted(chain([first], blocks), total, on_event), output, on_event=on_event, **keep) + written
    files.say_written(total, first.n_variants, written)


def _mixing(
    generator: Generator,
    wanted: int | dict[str, int],
    options: MixtureOptions | None,
    output: str,
    force: bool,
    chosen: bool,
) -> dict[str, Any] | None:
    """Return how people of mixtures are put together, checked before any work; None if there is no mixture."""
    from ..labels import plan_counts

    given = {name: value for name, value in asdict(options or MixtureOptions()).items() if value is not None}
    plan = {} if isinstance(wanted, int) else plan_counts(wanted, generator.label_counts_)
    mixture = next((name for name in plan if name not in generator.label_counts_), None)
    if mixture is None:
        if given:
            option = next(iter(given)).replace("_", "-")
            raise UsageError(f"--{option} goes with a mixture of labels (-n AFR:0.8+EUR:0.2=500), and none is given.")
        return None
    if chosen:
        raise UsageError(
            f"--release and --min-distance are for people of the model's labels, not for a mixture ({mixture})."
        )
    if output == "-":
        raise UsageError(f"The local ancestry of {mixture} has no place on standard output; give a file name (-o).")
    files.output_free(files.beside_genotypes(output, ".bp"), force)
    return given


def _counted(parts: Iterable[Genotypes], total: int, on_event: Callable[[dict[str, Any]], None]) -> Iterator[Genotypes]:
    """Yield people as they are generated, and report how many there are."""
    done = size = 0
    for part in parts:
        done, size = done + part.n_samples, size + part.calls.size
        detail = f"{done:,} of {total:,} people, {size / 1e6:,.0f} MB of alleles"
        on_event({"stage": "generating", "fraction": done / total, "detail": detail})
        yield part


def _write_checked(
    model: str,
    generator: Generator,
    wanted: int | dict[str, int],
    checks: Checks,
    real: tuple[Genotypes | None, Genotypes | None],
    limits: dict[str, str],
    output: str,
    drawn: dict[str, Any],
    keep: dict[str, Any],
) -> None:
    """Write people who are not too near to a training person and, for a release, pass the gate; else raise GateFailed.

    The gate judges them together with all people released before.
    """
    from ..io import write
    from ..metrics import evaluate
    from ..metrics.gate import judge
    from ..release import Release, further_people, recorded, sample_apart

    known, unseen = real
    assert known is not None
    least, seed = checks.min_distance, drawn["seed"]
    if least is None:
        people = generator.sample(wanted, **drawn)
    else:
        with progress("generating") as on_event:
            people, refused = sample_apart(
                generator, wanted, known, least, seed=seed, prefix=drawn["prefix"], on_event=on_event
            )
        where = "sites" if least >= 1 else "of the sites"
        say(f"{refused} people refused: a haplotype nearer than {least:g} {where} to one of a training person")
    if not checks.release:
        files.say_written(people.n_samples, people.n_variants, write(people, output, **keep))
        return
    assert unseen is not None
    train, holdout = known.align(people), unseen.align(people)
    release = Release.of(generator, wanted, seed, drawn["start"])
    with recorded(model, release) as others:
        more = further_people(generator, others, release)
        with progress("evaluating") as on_event:
            options: dict[str, Any] = {"label": generator.label, "seed": seed, "on_event": on_event}
            verdict = judge(evaluate(train, people, holdout=holdout, more=more, **options), limits)
        if not verdict.passed:
            raise GateFailed(f"{verdict}\n  nothing was written")
        say(str(verdict))
        written = write(people, output, **keep)
    count = people.n_samples + (more.n_samples if more is not None else 0)
    say(f"released from {model} so far: {count:,} people in {len(others) + 1} sets; sets of one model add up")
    files.say_written(people.n_samples, people.n_variants, written)


def _counts(given: Sequence[str]) -> int | dict[str, int]:
    if len(given) == 1 and "=" not in given[0]:
        if re.fullmatch(r"[-+][0-9.]+", given[0]):
            raise UsageError(f"-n is {given[0]}; accepted: a whole number, 0 or more.")
        if not re.fullmatch(r"[0-9]+", given[0]):
            name = re.split(r"[:, ]", given[0])[0] or "EUR"
            raise UsageError(f"-n {given[0]}: accepted are one number (-n 1000), or LABEL=COUNT (-n {name}=1000).")
        return _whole(given[0], given[0])
    wanted: dict[str, int] = {}
    for item in given:
        if re.fullmatch(r"[^=,]+=[0-9]+(,[^=,]+=[0-9]+)+", item):
            raise UsageError(f"-n {item}: -n is repeated: -n {item.replace(',', ' -n ')}.")
        name, equals, count = item.rpartition("=")
        if not equals or not name:
            raise UsageError(f"-n {item}: accepted are one number (-n 1000), or LABEL=COUNT as often as needed.")
        if name in wanted:
            raise UsageError(f"-n gives {name} twice: {wanted[name]} and {count}.")
        wanted[name] = _whole(count, item)
    return wanted


def _whole(text: str, item: str) -> int:
    from ..labels import MOST_PEOPLE

    number = whole_number(text, MOST_PEOPLE)
    if number is None:
        raise UsageError(f"-n {item}: {text!r} is not a whole number from 0 to {MOST_PEOPLE}.")
    return number


def _composition(panel: str, split: str | None, columns: Sequence[str], population_map: str | None) -> dict[str, int]:
    import numpy as np

    from ..io import read_panel
    from ..labels import label_groups

    table = files.asked_labels(read_panel(panel, population_map), columns)
    samples = list(next(iter(table.values())))
    if split is not None:
        part = files.split_of(split, panel)
        samples = [name for name in samples if part.get(name) == "train"]
        if not samples:
            raise DataError(f"Nobody in {panel} is 'train' in {split}.")
    absent = [column for column in columns if column not in table]
    if absent:
        raise DataError(
            f"{panel} has no column {absent[0]!r}, by which the model generates; its columns: {listed(table)}."
        )
    labels = {c: np.array([table[c][name] for name in samples], dtype=object) for c in columns}
    names, counts = np.unique(label_groups(labels, columns).astype(str), return_counts=True)
    return {str(name): int(count) for name, count in zip(names, counts, strict=True)}
