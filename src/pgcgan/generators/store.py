"""The model directory: JSON, arrays in a safetensors file, a model card; no sample name and no pickle.

A directory may be damaged, mixed up from two, or made to do harm. Nothing is believed: files are compared with their
digests, and names, types, shapes and bounds with the schema of the family, before anything is made of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ..errors import MissingModel, ModelError, PgcganError, UsageError
from ..genotypes import Variants
from ..labels import MOST_PEOPLE
from ..runtime.files import check_regular, open_regular, read_regular, whole_directory, whole_file, write_text
from ..text import LARGEST, are_texts, is_whole, json_content, visible
from ..variants import COLUMNS

FORMAT = 3
MODEL, SITES, ARRAYS, CARD = "model.json", "sites.json", "arrays.safetensors", "MODEL_CARD.md"
CHECKPOINT, RUN, LOG = "training.safetensors", "run.json", "log.jsonl"  # of a training that has not finished
_MADE_TEXTS = ("pgcgan", "python", "command", "date", "source", "window")  # of the provenance
RELEASES = "releases.json"  # people released of this model; written after it, so it has no digest
PLAN = "plan"  # of a genome whose windows are being fitted


class Array(NamedTuple):
    """What an array of a model must be."""

    dtype: str  # in memory; whole numbers are stored in the smallest type that holds them
    # a length by name must be the same wherever the name stands; "labels" and "sites" are those of the model, "gaps"
    # those between its sites, and "levels" the most alt alleles that a row has at a site
    shape: tuple[int | str, ...]
    least: float = -np.finfo(np.float64).max  # bounds of the values; numbers must be finite unless a bound is not
    most: float = np.finfo(np.float64).max


def write_model(
    path: str | os.PathLike[str],
    metadata: Mapping[str, Any],
    variants: Variants,
    arrays: Mapping[str, np.ndarray],
    card: str | None,
    force: bool = False,
) -> Path:
    """Write a model directory, whole or not at all; without a card if that is None."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise ModelError(f"The model holds values of {name} that are not numbers; it is not written.")
    unfinished = (SITES, ARRAYS, CARD, CHECKPOINT, RUN, LOG, RELEASES)
    with whole_directory(path, MODEL, others=unfinished, force=force) as folder:
        columns = {name: getattr(variants, name).tolist() for name in COLUMNS}
        contigs = {"contig_lengths": dict(variants.contig_lengths), "assembly": variants.assembly}
        write_json(folder / SITES, {**columns, **contigs})
        write_arrays(folder / ARRAYS, {name: _narrowed(array) for name, array in arrays.items()})
        if card is not None:
            write_text(folder / CARD, card)
        files = {name: _digest(folder / name) for name in (SITES, ARRAYS)}
        write_json(folder / MODEL, {"format": FORMAT, **metadata, "files": files})
    return Path(path)


def read_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read `model.json` of a model directory and check what all families have in it.

    Raises
    ------
    ModelError
        If the directory is not a finished model of this format, or is damaged.
    """
    directory = Path(path)
    if directory.is_file():
        raise ModelError(f"{directory} is a file, not a model directory.")
    if not directory.is_dir():
        raise ModelError(f"There is no model directory {directory}; pgcgan train … -o {directory} makes one.")
    if not (directory / MODEL).exists():
        if (directory / RUN).exists():
            raise ModelError(f"The training in {directory} has not finished; run the same command with --resume.")
        if (directory / PLAN).is_dir():
            raise ModelError(
                f"The windows in {directory} are not finished; run the same command with --resume, or pgcgan windows "
                f"fit and pgcgan windows finish {directory}."
            )
        if (directory / "baseline.json").exists() or (directory / "manifest.json").exists():
            raise ModelError(
                f"{directory} has a model format of pgcgan 0.1; this version reads {FORMAT}. Train it again."
            )
    metadata = read_json(directory / MODEL)
    if not isinstance(metadata, dict):
        raise ModelError(f"{directory / MODEL} is damaged (not a JSON object); train the model again.")
    if metadata.get("format") != FORMAT:
        raise ModelError(
            f"{directory} has the model format {metadata.get('format')!r}; this version reads {FORMAT}. Update "
            "pgcgan, or train the model again."
        )
    with naming_damage(directory):
        _check_metadata(metadata)
    return metadata


def read_content(
    directory: Path, metadata: Mapping[str, Any], schema: Mapping[str, Array]
) -> tuple[Variants, dict[str, np.ndarray]]:
    """Read the sites and the arrays of a model directory, whose files are those of its `model.json`."""
    for name in (SITES, ARRAYS):
        if metadata["files"].get(name) != _digest(directory / name):
            raise ValueError(f"{name} is not the file that was saved with {MODEL}")
    variants = read_variants(directory)
    arrays = _widened(read_arrays(directory / ARRAYS), schema)
    lengths = {"labels": len(metadata["label_counts"]), "sites": len(variants), "gaps": len(variants) - 1}
    check_arrays(arrays, schema, **lengths, levels=1 if metadata["phased"] else metadata["ploidy"])
    return variants, arrays


def _narrowed(array: np.ndarray) -> np.ndarray:
    """Return whole numbers in the smallest type that holds them, and other arrays as they are."""
    if array.dtype.kind not in "iu" or not array.size:
        return array
    smallest = np.promote_types(np.min_scalar_type(array.min()), np.min_scalar_type(array.max()))
    return array.astype(smallest) if smallest.itemsize < array.itemsize else array


def _widened(arrays: Mapping[str, np.ndarray], schema: Mapping[str, Array]) -> dict[str, np.ndarray]:
    """Return whole numbers in the types of the schema where those hold them, and other arrays as they are."""
    widened = {}
    for name, array in arrays.items():
        wanted = np.dtype(schema[name].dtype) if name in schema else array.dtype
        is_narrow = array.dtype.kind in "iu" and np.can_cast(array.dtype, wanted) and wanted.kind in "iu"
        widened[name] = array.astype(wanted) if is_narrow else array
    return widened


@contextlib.contextmanager
def naming_damage(directory: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what a damaged model directory makes of the code that reads it into a ModelError."""
    try:
        yield
    except ModelError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, OverflowError, PgcganError) as error:
        text = str(error).rstrip(".")
        raise ModelError(f"{os.fspath(directory)} is damaged ({text}); train the model again.") from None
    except OSError as error:
        name = error.filename or ""
        raise ModelError(f"{os.fspath(directory)} cannot be read: {name} {error.strerror}.") from None


def _check_metadata(metadata: Mapping[str, Any]) -> None:
    """Raise ValueError or KeyError if an entry that all families have is absent or of another type."""
    label, counts, leak = metadata["label"], metadata["label_counts"], metadata["expected_leak"]
    counted = isinstance(counts, dict) and all(is_whole(n, 1, MOST_PEOPLE) for n in counts.values())
    right = {
        "model": isinstance(metadata["model"], str),
        "label": are_texts(label) and len(label) > 0,
        "label_counts": counted and len(counts) > 0,
        "phased": isinstance(metadata["phased"], bool),
        "ploidy": is_whole(metadata["ploidy"], 1, 2),
        "seed": is_whole(metadata["seed"], 0),
        "parameters": isinstance(metadata["parameters"], dict),
        "details": isinstance(metadata["details"], dict),
        "expected_leak": leak is None
        or (isinstance(leak, dict) and is_whole(leak.get("free frequencies"), 0, LARGEST)),
        "provenance": _is_provenance(metadata["provenance"]),
        "files": isinstance(metadata["files"], dict),
    }
    for name, is_right in right.items():
        if not is_right:
            raise ValueError(f"{MODEL} has {name}: {_shortened(metadata[name])}")


def _is_provenance(content: Any) -> bool:
    """True if the provenance of a model has the types that its card and its facts show."""
    if not isinstance(content, dict) or not all(isinstance(content.get(name, ""), str) for name in _MADE_TEXTS):
        return False
    versions = content.get("libraries", {})
    return isinstance(versions, dict) and are_texts(list(versions.values()))


def read_variants(directory: Path) -> Variants:
    """Read the sites of a model directory, within `naming_damage`."""
    sites = read_json(directory / SITES)
    if not isinstance(sites, dict):
        raise ValueError(f"{SITES} is not a JSON object")
    position = sites["position"]
    if not (isinstance(position, list) and position and all(is_whole(p, 0, LARGEST) for p in position)):
        raise ValueError(f"{SITES} has positions that are not whole numbers")
    for name in ("contig", "id", "ref", "alt"):
        if not are_texts(sites[name]) or len(sites[name]) != len(position):
            raise ValueError(f"{SITES} does not have a text in {name} for each of {len(position)} positions")
    lengths = sites["contig_lengths"]
    if not isinstance(lengths, dict) or not all(n is None or is_whole(n, 0, LARGEST) for n in lengths.values()):
        raise ValueError(f"{SITES} has contig_lengths: {_shortened(lengths)}")
    if not (sites["assembly"] is None or isinstance(sites["assembly"], str)):
        raise ValueError(f"{SITES} has assembly: {_shortened(sites['assembly'])}")
    for name in ("contig", "ref", "alt"):
        sites[name] = list(map(sys.intern, sites[name]))  # one object for all equal texts, instead of one a site
    return Variants(**{name: sites[name] for name in (*COLUMNS, "contig_lengths", "assembly")})


def check_arrays(arrays: Mapping[str, np.ndarray], schema: Mapping[str, Array], **lengths: int) -> None:
    """Raise ValueError unless arrays have the names, types, shapes and bounds of a schema, and the known lengths."""
    if arrays.keys() != schema.keys():
        odd = min(arrays.keys() ^ schema.keys())
        raise ValueError(f"the array {odd} is {'missing' if odd in schema else 'not expected'}")
    for name, wanted in schema.items():
        array = arrays[name]
        if array.dtype != wanted.dtype or array.ndim != len(wanted.shape):
            raise ValueError(f"{name} has the shape {array.shape} and the type {array.dtype}")
        for axis, length in enumerate(wanted.shape):
            known = lengths.setdefault(length, array.shape[axis]) if isinstance(length, str) else length
            if array.shape[axis] != known:
                raise ValueError(f"{name} has the shape {array.shape}; axis {axis} must have the length {known}")
        # NaN is within no bounds
        if array.size and not bool(((array >= wanted.least) & (array <= wanted.most)).all()):
            raise ValueError(f"{name} has values beyond {wanted.least:g} to {wanted.most:g}")


def _shortened(value: Any) -> str:
    text = repr(value)
    return visible(text if len(text) <= 60 else f"{text[:60]}…")


def _digest(path: Path) -> str:
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_json(path: Path, content: Any) -> None:
    """Write JSON, whole or not at all."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON."""
    try:
        return json_content(read_regular(path).decode())
    except FileNotFoundError:
        raise MissingModel(f"{path.parent} has no {path.name}: it is not a finished pgcgan model.") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise ModelError(f"{path} is damaged ({str(error).partition(';')[0]}); train the model again.") from None


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], text: Mapping[str, str] | None = None) -> None:
    """Write named arrays, and some text beside them, to a safetensors file, whole or not at all."""
    contiguous = {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in arrays.items()}
    with whole_file(path) as partial:
        try:
            save_file(contiguous, partial, metadata=None if text is None else dict(text))
        except SafetensorError as error:  # says what the system says in a sentence of its own
            number = re.search(r"\(os error (\d+)\)", str(error))
            reason = os.strerror(int(number[1])) if number else str(error)
            raise UsageError(f"{path} cannot be written: {reason}.") from None


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of a safetensors file."""
    return read_arrays_and_text(path)[0]


def read_arrays_and_text(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read the arrays of a safetensors file and the text beside them; raises as `read_arrays`."""
    try:
        check_regular(path)
        with safe_open(str(path), framework="numpy") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})
    except FileNotFoundError:
        raise MissingModel(f"{path.parent} has no {path.name}: the model is incomplete.") from None
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is damaged ({error}); train the model again.") from None
