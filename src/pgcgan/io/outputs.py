"""Check what is to be written, and write files whole or not at all, with the panel beside them: for every format."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..errors import DataError, UsageError
from ..genotypes import Variants
from ..runtime.files import check_free, whole_files
from ..text import counted, repeated, visible
from .panel import EMPTY, FATHER, MOTHER, PANEL_COLUMNS, plain
from .scratch import People


@contextmanager
def outputs(
    genotypes: People,
    target: str,
    suffix: str,
    others: Sequence[str] = (),
    *,
    force: bool,
    stale: Sequence[str] = (),
    folder_with: Sequence[str] = (),
) -> Iterator[tuple[str, list[Path]]]:
    """Yield a folder to write files in, and the places they get when the block ends without an error.

    The panel file of the labels is written here, as `NAME.panel.tsv`. One of the same content may be there already.

    Parameters
    ----------
    target, suffix : str
        The output that the user named, and its end by which the format is recognised. It comes to its place last, so
        that it is never there without the others.
    others : sequence of str
        Names of further files that the block writes.
    stale : sequence of str
        Files of earlier outputs that would be taken for ours: treated as outputs too, and removed.
    folder_with : sequence of str
        Where the output is itself a folder: files of which an earlier output has at least one. `force` replaces no
        other folder.
    """
    folder, name = Path(folder_of(target)), os.path.basename(target)
    panel = folder / f"{name.removesuffix(suffix)}.panel.tsv"
    table = "".join(_panel_lines(genotypes)).encode() if genotypes.labels else b""
    paths = [folder / each for each in (name, *others)] + ([panel] if genotypes.labels else [])
    old = [folder / each for each in stale]
    for path in (*paths, *old):
        unchanged = path == panel and path.is_file() and path.read_bytes() == table
        check_free(path, force or unchanged)
        if path.is_dir() and not (path == paths[0] and folder_with):
            raise UsageError(f"{path} cannot be written: Is a directory.")
        if path.is_dir() and not any((path / file).is_file() for file in folder_with):
            raise UsageError(
                f"{path} is a folder without {' or '.join(folder_with)}, which is not an earlier output; remove it, or "
                "choose another name."
            )
    with whole_files(paths, stale=old) as partial:
        yield str(partial[0].parent), paths
        if genotypes.labels:
            partial[-1].write_bytes(table)


def folder_of(target: str) -> str:
    """Return the folder of an output; raise a UsageError if it does not exist."""
    folder = os.path.dirname(target) or "."
    if not os.path.isdir(folder):
        raise UsageError(f"The folder {folder} of the output {target} does not exist.")
    return folder


def _panel_lines(genotypes: People) -> Iterator[str]:
    first = [c for c in PANEL_COLUMNS if c in genotypes.labels]
    columns = first + [c for c in genotypes.labels if c not in first]
    yield "\t".join(["sample", *columns]) + "\n"
    for i, sample in enumerate(genotypes.samples):
        yield "\t".join([sample, *(genotypes.labels[c][i] for c in columns)]) + "\n"


def check_writable(genotypes: People) -> None:
    """Check that the sites are in order, that alleles have names, and that names can be written."""
    variants = genotypes.variants
    if not genotypes.n_variants or not genotypes.n_samples:
        size = f"{counted(genotypes.n_samples, 'person', 'people')} at {counted(genotypes.n_variants, 'site')}"
        raise DataError(f"There is nothing to write: {size}.")
    changes = np.flatnonzero(variants.contig[1:] != variants.contig[:-1]) + 1
    runs = [variants.contig[i] for i in (0, *changes)]
    back = np.setdiff1d(np.flatnonzero(np.diff(variants.position) < 0) + 1, changes)
    if len(back):
        i = int(back[0])
        raise DataError(
            f"Variant {variants.name(i)} comes after {variants.name(i - 1)}: sort the variants before writing."
        )
    if len(set(runs)) < len(runs):
        contig = repeated(runs)[0]
        raise DataError(f"The variants of contig {contig} are not together: sort the variants before writing.")
    for i in np.flatnonzero(variants.alt == ".").tolist():
        if (genotypes.calls[i : i + 1] > 0).any():
            name = variants.name(i)
            raise DataError(f"Variant {name} has no ALT allele, but people carry one; give it a name before writing.")
    odd = next(
        (name for name in variants.contig_lengths if re.search(r'[\s,<>"\\]', name) or visible(name) != name), ""
    )
    if odd or visible(variants.assembly or "") != (variants.assembly or ""):
        what = f"contig {odd!r}" if odd else f"assembly {variants.assembly!r}"
        raise DataError(f"The {what} cannot be written: no header holds its blanks, line ends, quotes or brackets.")
    named: dict[str, Iterable[str]] = {
        **{"contig": runs, "id": variants.id, "ref": variants.ref, "alt": variants.alt},
        **{"sample name": genotypes.samples, "label": genotypes.labels},
        **{f"label {column!r}": values for column, values in genotypes.labels.items()},
    }
    _check_come_back(genotypes)
    for name, values in named.items():
        # Blanks are allowed in sample names and labels; elsewhere some readers split the line at them.
        bad = r"[\t\r\n]" if name.startswith(("sample", "label")) else r"[\s,]" if name in ("ref", "alt") else r"\s"
        values = list(values)
        if all(values) and not re.search(bad, "\0".join(values)):
            continue
        value = next(value for value in values if not value or re.search(bad, value))
        raise DataError(
            f"The {name} {value!r} cannot be written: it is empty, or has blanks, line ends or commas in it."
        )


def _check_come_back(genotypes: People) -> None:
    """Raise a DataError for a label or sample name that is not read back from a panel file as it is."""
    for column, values in {"": genotypes.samples, **genotypes.labels}.items():
        label = "sample name" if not column else f"label {column!r}"
        for value in dict.fromkeys([column, *values]):
            if value != value.strip():
                raise DataError(
                    f"The {label} {value!r} cannot be written: the blanks at its ends would be lost; rename it."
                )
        empty = next((value for value in values if value and value in EMPTY), None) if column else None
        if empty is not None:
            raise DataError(
                f"The {label} has the value {empty!r}, which tables have where nothing is known; rename it before "
                "writing."
            )
    taken = [name for name in genotypes.labels if name == "sample" or plain(name) in (*FATHER, *MOTHER)]
    if taken:
        raise DataError(f"A label cannot be called {taken[0]!r}: in a panel file that is no label; rename it.")


def check_positions(variants: Variants, target: str) -> None:
    """Raise a DataError if a position is 0, which PLINK takes for unknown."""
    if not variants.position.all():
        name = variants.name(int((variants.position == 0).argmax()))
        raise DataError(f"Variant {name} cannot be written to {target}: PLINK takes the position 0 for unknown.")
