"""generate: synthetic people of a model, checked by the release gate on request."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ..errors import DataError, GateFailed, UsageError, listed
from .app import app
from .files import at_sites_of, divided, genotypes_free, names, read_options
from .options import FILE, OUTPUT, Reading
from .progress import progress, say

if TYPE_CHECKING:
    from ..generators.generator import Generator
    from ..genotypes import Genotypes


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
    """Write synthetic people: genotypes and a panel file.

    Specify how many people with exactly one of -n, --like or --balance. With --release or --min-distance, --real names
    the people that the model was trained on. --unphased writes the people without phase, which a .bed cannot hold.

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
        With --release: METRIC=LIMIT, as often as needed, instead of the gate's default (docs/evaluation.md).
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
    from ..registry import load
    from .windows import in_windows, write_genome

    _check_options(counts, like, balance, split, real)
    _check_release(min_distance, release, real, panel, split, thresholds, reading)
    if start and min_distance is not None:
        raise UsageError(
            "--start has no meaning with --min-distance, which replaces people that it refuses; leave it out."
        )
    limits = parsed_thresholds(thresholds)
    genotypes_free(output, force)
    generator = load(model)
    wanted = _wanted(generator, counts, like, split)
    checked = min_distance is not None or release
    if executor is not None and (not in_windows(generator) or checked):
        raise UsageError(
            "--executor is for models in windows (train --windows), without --release and --min-distance, which keep "
            "all people in memory."
        )
    drawing = Drawing(generator, wanted, output, seed, start, prefix, force, reading is not None and reading.unphased)
    if checked:
        known, unseen = _real_people(real, panel, split, reading or Reading())
        people = drawing.apart_from(known, min_distance) if min_distance is not None else drawing.sample()
        if release:
            assert unseen is not None
            _stop_at_gate(known, unseen, people, generator.label, limits, seed)
        drawing.write(people)
    elif in_windows(generator):
        write_genome(generator, drawing, executor or "serial")
    else:
        drawing.stream()


@dataclass(frozen=True)
class Drawing:
    """The people to generate, and where they go."""

    generator: Generator
    wanted: int | dict[str, int]
    output: str
    seed: int
    start: int
    prefix: str
    force: bool
    unphased: bool

    @property
    def total(self) -> int:
        """The number of people."""
        from ..labels import plan_from

        return sum(plan_from(self.wanted, self.generator.label_counts_, self.start)[0].values())

    @property
    def writing(self) -> dict[str, Any]:
        """Options of `pgcgan.write`."""
        from ..provenance import command_line

        return {"force": self.force, "command": command_line(), "seed": self.seed, "unphased": self.unphased}

    def sample(self) -> Genotypes:
        """Return all people at once."""
        return self.generator.sample(self.wanted, seed=self.seed, prefix=self.prefix, start=self.start)

    def apart_from(self, known: Genotypes, min_distance: float) -> Genotypes:
        """Return people that are not near to known ones, and print how many were refused."""
        from ..release import sample_apart

        with progress("generating") as on_event:
            people, refused = sample_apart(
                self.generator, self.wanted, known, min_distance, seed=self.seed, prefix=self.prefix, on_event=on_event
            )
        where = "sites" if min_distance >= 1 else "of the sites"
        say(f"{refused} people refused: a haplotype nearer than {min_distance:g} {where} to one of a training person")
        return people

    def write(self, people: Genotypes) -> None:
        """Write people that are in memory."""
        from ..io import write

        written = write(people, self.output, **self.writing)
        self.report(people.n_samples, people.n_variants, written)

    def stream(self) -> None:
        """Write people as they are generated, in memory that does not grow with their number."""
        from ..io import write

        total = self.total
        with progress("generating") as on_event:
            parts = self.generator.iter_samples(self.wanted, seed=self.seed, prefix=self.prefix, start=self.start)
            first = next(parts)
            counted = _counted(chain([first], parts), total, on_event)
            written = write(counted, self.output, on_event=on_event, **self.writing)
        self.report(total, first.n_variants, written)

    def report(self, people: int, sites: int, written: Sequence[Path], more: str = "") -> None:
        """Print what was written."""
        say(f"{people} people at {sites} sites{more}: {names(written) or 'standard output'}")


def _check_options(
    counts: list[str] | None, like: str | None, balance: bool, split: str | None, real: str | None
) -> None:
    """Raise UsageError if it is not clear how many people to generate, or --split has no meaning."""
    ways = [name for name, value in (("-n", counts), ("--like", like), ("--balance", balance)) if value]
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


def _wanted(
    generator: Generator, counts: list[str] | None, like: str | None, split: str | None
) -> int | dict[str, int]:
    """Return how many people to generate: a number, or numbers by label."""
    if counts:
        return _counts(counts)
    if like is not None:
        return _composition(like, split, generator.label)
    most = max(generator.label_counts_.values())
    wanted = {name: most - count for name, count in generator.label_counts_.items()}
    if not any(wanted.values()):
        raise UsageError(f"--balance: every label has {most} training people already; there is nothing to fill up.")
    return wanted


def _real_people(
    real: str | None, panel: str | None, split: str | None, reading: Reading
) -> tuple[Genotypes, Genotypes | None]:
    """Return the people of --real that were trained on, and those held out, if there is a split."""
    from ..io import read

    assert real is not None
    people = read(real, panel, **read_options(reading))
    return (people, None) if split is None else divided(people, split, reading.intersect)


def _counted(parts: Iterable[Genotypes], total: int, on_event: Callable[[dict[str, Any]], None]) -> Iterator[Genotypes]:
    """Yield people as they are generated, and report how many there are."""
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
    """Raise UsageError if an option has no meaning without another."""
    if release and (real is None or panel is None or split is None):
        raise UsageError("--release needs --real, --panel and --split: the training people and the held-out people.")
    if min_distance is not None and real is None:
        raise UsageError("--min-distance needs --real: the people that the model was trained on.")
    if real is not None and not release and min_distance is None:
        raise UsageError("--real goes with --release or --min-distance; without them the real people are not used.")
    if reading not in (None, Reading(unphased=True)) and real is None:
        raise UsageError("The reading options are for the file of --real, which is not given.")
    for name, given in (("--panel", panel), ("--threshold", thresholds)):
        if given is not None and not release:
            raise UsageError(f"{name} goes with --release.")


def _stop_at_gate(
    train: Genotypes, holdout: Genotypes, people: Genotypes, label: Sequence[str], limits: dict[str, str], seed: int
) -> None:
    """Evaluate people before they are written; raise GateFailed if the gate does not pass."""
    from ..metrics import evaluate
    from ..metrics.gate import judge

    train, holdout = at_sites_of(train, people), at_sites_of(holdout, people)
    with progress("evaluating") as on_event:
        verdict = judge(evaluate(train, people, holdout=holdout, label=label, seed=seed, on_event=on_event), limits)
    if not verdict.passed:
        raise GateFailed(f"{verdict}\n  nothing was written")
    say(str(verdict))


def parsed_thresholds(texts: Sequence[str] | None) -> dict[str, str]:
    """Return the limits of --threshold, checked before any work is done."""
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

    from ..io import read_panel, read_split
    from ..labels import label_groups

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
    names, counts = np.unique(label_groups(labels, columns).astype(str), return_counts=True)
    return {str(name): int(count) for name, count in zip(names, counts, strict=True)}
