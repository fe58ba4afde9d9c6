"""Reading people as the options say, and writing outputs whole or not at all."""

from __future__ import annotations

import itertools
import logging
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError, MissingFile, UsageError, listed
from ..runtime import files
from ..runtime.files import read_regular
from ..runtime.progress import say
from .app import Reading

if TYPE_CHECKING:
    from ..generators.generator import Generator
    from ..genotypes import Genotypes
    from ..metrics import Evaluation


def read_train(vcf: str, panel: str, split: str | None, reading: Reading, label: Sequence[str]) -> Genotypes:
    """Return the people to train on: those of the split, at the sites that are common among them."""
    from ..generators.store import MODEL
    from ..io import read

    if Path(vcf, MODEL).is_file():
        raise UsageError(f"{vcf} is a model directory; genotypes are needed here, such as a VCF.")
    # the others are not even read; frequencies are those of the people trained on
    samples = None if split is None else train_names(split, reading.intersect, panel)
    people = read(vcf, panel, samples=samples, **asdict(reading))
    if not people.n_variants:
        raise DataError(f"No site of {vcf} has a minor allele frequency of {reading.min_maf} (--min-maf) or more.")
    people = with_asked_labels(people, label)
    if tuple(label) == ("super_pop",) and people.labels and "super_pop" not in people.labels:
        options = listed(f"--label {name}" for name in people.labels)
        raise DataError(f"{panel} has no column super_pop, which is the default label; choose one: {options}.")
    return people


def asked_labels(labels: Mapping[str, Any], asked: Sequence[str]) -> dict[str, Any]:
    """Return label columns, and those asked for by the name that they have in a pedigree file (`Population`)."""
    from ..io.panel import PEDIGREE, plain

    own = {name: PEDIGREE.get(plain(name), "") for name in asked if name not in labels}
    return {**labels, **{name: labels[column] for name, column in own.items() if column in labels}}


def check_population_map(generator: Generator, panel: str, given: str | None) -> None:
    """Raise a UsageError if the map by which a model was trained gives people of a panel other labels than this."""
    from ..io import read_panel
    from ..io.panel import POPULATION_MAPS

    try:
        words = shlex.split(generator.facts()["provenance"].get("command", ""))
    except ValueError:
        return
    if "pgcgan" not in words[:3]:
        return
    maps = [after for word, after in itertools.pairwise(words) if word == "--population-map"]
    maps += [word.partition("=")[2] for word in words if word.startswith("--population-map=")]
    trained, now = maps[-1] if maps else "", Path(given or "").name
    if trained == now or "super_pop" not in generator.label:
        return
    known = trained in ("", *POPULATION_MAPS)  # a table need not be here
    if known and read_panel(panel, trained or None).get("super_pop") == read_panel(panel, given).get("super_pop"):
        return
    option, label = f"--population-map {trained}", next(iter(generator.label_counts_))
    raise UsageError(
        f"The model was trained {f'with {option}' if trained else 'without --population-map'}, and {panel} is read "
        f"{f'with --population-map {now}' if now else 'without it'}: labels such as {label} stand for other people "
        f"there; {f'give {option}' if trained else 'leave it out'}."
    )


def with_asked_labels(people: Genotypes, asked: Sequence[str]) -> Genotypes:
    """Return people with the labels of `asked_labels`."""
    labels = asked_labels(people.labels, asked)
    return people if len(labels) == len(people.labels) else people.with_labels(labels)


def train_names(split: str, intersect: bool, panel: str | None) -> Callable[[list[str]], list[str]]:
    """Return what chooses, of the people in a file, those for training."""
    noted = False

    def choose(present: list[str]) -> list[str]:
        nonlocal noted
        train, rest = _parts(present, split, intersect, panel)
        if panel is not None and not noted:
            noted = True
            note_relatives(panel, train, rest)
        return train

    return choose


def names_of(split: str, intersect: bool, panel: str | None) -> Callable[[list[str]], list[str]]:
    """Return what chooses, of the people in a file, those of the split."""
    return lambda present: [name for part in _parts(present, split, intersect, panel) for name in part]


def divided(
    people: Genotypes, split: str, intersect: bool, panel: str | None
) -> tuple[Genotypes, Genotypes, list[str]]:
    """Return those for training and everybody else, and remarks on relatives among them, if the panel says so."""
    import numpy as np

    train, rest = _parts(list(people.samples), split, intersect, panel)
    remarks = [] if panel is None else note_relatives(panel, train, rest)
    return people.select(samples=train), people.select(samples=np.array(rest, dtype=object)), remarks


def note_relatives(panel: str, train: Collection[str], held_out: Collection[str]) -> list[str]:
    """Print, and return, how many held-out people have relatives among the training people, if any have."""
    from ..families import relatives_remark
    from ..io import read_parents

    remark = relatives_remark(read_parents(panel), train, held_out) if len(held_out) else None
    if remark is None:
        return []
    logging.getLogger("pgcgan").warning("%s", remark)
    return [remark]


def split_of(split: str, panel: str | None) -> dict[str, str]:
    """Return the part of each person: of a table, or with "auto" of the panel, families together."""
    from ..io import read_split

    if split != "auto" or Path(split).exists():
        return read_split(split)
    if panel is None:
        raise UsageError("--split auto needs --panel, whose people it divides.")
    return automatic_split(panel)


def automatic_split(panel: str, share: float = 0.8, by: str | None = None, seed: int = 0) -> dict[str, str]:
    """Divide the people of a panel at random, in the same way each time; families stay together.

    The share is met in each value of the label column `by`; by default that is pop, super_pop or none.
    """
    import numpy as np

    from ..families import families, first_part
    from ..io import read_panel, read_parents

    if not 0 < share < 1:
        raise UsageError(f"The share of training people (--share) is {share}; accepted: between 0 and 1.")
    labels = read_panel(panel, labels_needed=False)
    column = by or next((name for name in ("pop", "super_pop") if name in labels), None)
    if column is not None and column not in labels:
        raise UsageError(f"{panel} has no label {column!r} (--by); its labels: {listed(labels)}.")
    family = families(read_parents(panel))
    strata = [""] * len(family) if column is None else [labels[column][name] for name in family]
    train = first_part(list(family.values()), strata, share, np.random.default_rng(seed))
    if train.all() or not train.any():
        raise DataError(f"Splitting the {len(family)} people of {panel} by {share} leaves one part empty.")
    return {name: "train" if chosen else "test" for name, chosen in zip(family, train, strict=True)}


def _parts(samples: Sequence[str], split: str, intersect: bool, panel: str | None) -> tuple[list[str], list[str]]:
    """Return the names of those for training and of everybody else in the split."""
    part = split_of(split, panel)
    absent = [name for name in samples if name not in part]
    if len(absent) == len(samples):
        raise DataError(
            f"None of the {len(samples)} samples is in {split} (it has {listed(part, 3)}); a split of these people is "
            "needed."
        )
    if absent and not intersect:
        are = "sample is" if len(absent) == 1 else "samples are"
        raise DataError(f"{len(absent)} {are} not in {split}: {listed(absent, 3)}; --intersect leaves them out.")
    train = [name for name in samples if part.get(name) == "train"]
    if not train:
        raise DataError(f"None of the {len(samples)} samples is 'train' in {split}.")
    return train, [name for name in samples if part.get(name, "train") != "train"]


def beside_genotypes(path: str, suffix: str) -> str:
    """Return the name of a file that lies beside a genotype file and has another suffix."""
    from ..io import FORMATS

    path = path.rstrip("/")  # of a folder
    suffixes = sorted((s for several in FORMATS for s in several if path.endswith(s)), key=len)
    return path.removesuffix(suffixes[-1] if suffixes else "") + suffix


def panel_beside(path: str) -> str:
    """Return the panel file that `write` put beside a genotype file."""
    beside = beside_genotypes(path, ".panel.tsv")
    if not Path(beside).is_file():
        raise UsageError(
            f"There is no panel file {beside} with the labels of the synthetic people; name one with --synthetic-panel."
        )
    return beside


def read_evaluation(path: str) -> Evaluation:
    """Return the evaluation of a JSON file."""
    from ..metrics import Evaluation

    if not Path(path).exists():
        raise MissingFile(f"There is no file {path}; pgcgan evaluate … -o {path} makes one.")
    try:
        return Evaluation.from_json(read_regular(path).decode())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    except DataError as error:
        if Path(path).suffix.lower() in (".html", ".htm"):
            raise DataError(f"{path} is not an evaluation; `pgcgan evaluate … -o NAME.json` writes one.") from None
        raise DataError(f"{path}: {error}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not a text file (UTF-8); accepted: what `pgcgan evaluate` wrote.") from None


def output_free(path: str, force: bool, *, standard_output: bool = False) -> None:
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


def model_free(path: str, force: bool) -> None:
    """Stop before the work where a model directory cannot be written."""
    if Path(path).is_file():
        raise UsageError(f"{path} is a file, and a model is a directory; choose another name.")
    output_free(path, force)


def genotypes_free(path: str, force: bool) -> None:
    """Stop before the work where genotypes cannot be written: the place, or a name that no format has."""
    from ..io import writer_of

    output_free(path, force, standard_output=True)
    writer_of(path)


def evaluation_free(path: str, force: bool) -> str:
    """Stop before the work where an evaluation cannot be written; return the format that the name says."""
    from ..metrics.evaluation import form_of

    output_free(path, force)
    return form_of(path)


def write_text(path: str, text: str, force: bool) -> Path:
    """Write a text file whole or not at all."""
    output_free(path, force)
    files.write_text(path, text)
    return Path(path)


def say_written(people: int, sites: int, written: Sequence[Path], where: str = "") -> None:
    """Print how many people at how many sites were written to which files."""
    say(f"{people_at_sites(people, sites)}{where}: {names(written) or 'standard output'}")


def people_at_sites(people: int, sites: int) -> str:
    """Return how many people at how many sites, for a message."""
    return f"{people} {'person' if people == 1 else 'people'} at {sites} {'site' if sites == 1 else 'sites'}"


def names(paths: Sequence[Path]) -> str:
    """Return file names for a message."""
    return ", ".join(map(str, paths))
