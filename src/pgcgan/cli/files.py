"""Reading people as the options say, and writing outputs whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError, UsageError, listed
from ..runtime import files as runtime_files
from ..runtime.inputs import read_regular
from .options import Reading

if TYPE_CHECKING:
    from ..genotypes import Genotypes
    from ..metrics import Evaluation


def read_options(reading: Reading) -> dict[str, Any]:
    """Return the options of `pgcgan.read`."""
    return asdict(reading)


def read_train(vcf: str, panel: str, split: str | None, reading: Reading) -> Genotypes:
    """Return the people to train on: those of the split, at the sites that are common among them."""
    from ..io import read

    # the others are not even read; frequencies are those of the people trained on
    options = read_options(reading)
    if split is not None:
        options["samples"] = train_names(split, reading.intersect)
    people = read(vcf, panel, **options)
    if not people.n_variants:
        raise DataError(f"No site of {vcf} has a minor allele frequency of {reading.min_maf} (--min-maf) or more.")
    return people


def train_names(split: str, intersect: bool) -> Callable[[list[str]], list[str]]:
    """Return what chooses, of the people in a file, those for training."""
    return lambda present: _parts(present, split, intersect)[0]


def names_of(split: str, intersect: bool) -> Callable[[list[str]], list[str]]:
    """Return what chooses, of the people in a file, those of the split."""
    return lambda present: [name for part in _parts(present, split, intersect) for name in part]


def divided(people: Genotypes, split: str, intersect: bool) -> tuple[Genotypes, Genotypes]:
    """Return those for training and everybody else."""
    import numpy as np

    train, rest = _parts(list(people.samples), split, intersect)
    return people.select(samples=train), people.select(samples=np.array(rest, dtype=object))


def _parts(samples: Sequence[str], split: str, intersect: bool) -> tuple[list[str], list[str]]:
    """Return the names of those for training and of everybody else in the split."""
    from ..io import read_split

    part = read_split(split)
    absent = [name for name in samples if name not in part]
    if absent and not intersect:
        raise DataError(f"{len(absent)} samples are not in {split}: {listed(absent, 3)}; --intersect leaves them out.")
    train = [name for name in samples if part.get(name) == "train"]
    if not train:
        raise DataError(f"None of the {len(samples)} samples is 'train' in {split}.")
    return train, [name for name in samples if part.get(name, "train") != "train"]


def at_sites_of(real: Genotypes, made: Genotypes) -> Genotypes:
    """Return the real people at the sites of the synthetic ones, which may be fewer (a region, a frequency filter)."""
    import numpy as np

    from ..io.sites import site_rows

    rows = site_rows(real.variants, made.variants)
    mask = np.zeros(real.n_variants, dtype=bool)
    mask[rows[rows >= 0]] = True
    return real if mask.all() else real.select(sites=mask)


def panel_beside(path: str) -> str:
    """Return the panel file that `write` put beside a genotype file."""
    from ..io import FORMATS

    path = path.rstrip("/")  # of a folder
    suffixes = sorted((s for several in FORMATS for s in several if path.endswith(s)), key=len)
    beside = path.removesuffix(suffixes[-1] if suffixes else "") + ".panel.tsv"
    if not Path(beside).is_file():
        raise UsageError(
            f"There is no panel file {beside} with the labels of the synthetic people; name one with --synthetic-panel."
        )
    return beside


def read_evaluation(path: str) -> Evaluation:
    """Return the evaluation of a JSON file."""
    from ..metrics import Evaluation

    if not Path(path).exists():
        raise UsageError(f"There is no file {path}; pgcgan evaluate … -o {path} makes one.")
    try:
        return Evaluation.from_json(read_regular(path).decode())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    except DataError as error:
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


def genotypes_free(path: str, force: bool) -> None:
    """Stop before the work where genotypes cannot be written: the place, or a name that no format has."""
    from ..io import writer_of

    output_free(path, force, standard_output=True)
    writer_of(path)


def write_text(path: str, text: str, force: bool) -> Path:
    """Write a text file whole or not at all."""
    target = Path(path)
    output_free(path, force)
    runtime_files.write_text(target, text)
    return target


def names(paths: Sequence[Path]) -> str:
    """Return file names for a message."""
    return ", ".join(map(str, paths))
