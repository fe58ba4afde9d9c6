"""What a model directory may say: types, sizes and digests of its files, checked before anything is made of them.

A directory may be damaged, mixed up from two, or made to do harm. So nothing is believed: every size is held against
the length of what is there, and what would be made of it against the memory there is, before it is made.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

_MOST_CODES = 32_767  # codes are int16
_TEXT_COLUMNS = ("contig", "id", "ref", "alt")


def digests(directory: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the SHA-256 of those of the files that exist, by name."""
    found = {}
    for name in names:
        path = directory / name
        if path.is_file():
            with path.open("rb") as stream:
                found[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def check_sheet(sheet: Mapping[str, Any]) -> None:
    """Check the types of what `model.json` says, and that labels, their table and their counts agree.

    Raises
    ------
    KeyError, ValueError
        If something is absent, or is not what it should be.
    """
    counts, table, sizes = sheet["label_counts"], sheet["label_table"], sheet["sizes"]
    what = {
        "label": _texts(sheet["label"]) and len(sheet["label"]) > 0,
        "label_counts": isinstance(counts, dict) and len(counts) > 0 and all(_whole(n, 1) for n in counts.values()),
        "phased": isinstance(sheet["phased"], bool),
        "ploidy": _whole(sheet["ploidy"], 1, 2),
        "seed": _whole(sheet["seed"], 0),
        "steps": sheet["steps"] is None or _whole(sheet["steps"], 0),
        "minutes": sheet["minutes"] is None or (_number(sheet["minutes"]) and sheet["minutes"] > 0),
        "sizes": sizes is None or (isinstance(sizes, list) and all(_whole(n, 1, _MOST_CODES) for n in sizes)),
        "history": isinstance(sheet["history"], list) and all(map(_report, sheet["history"])),
        "provenance": isinstance(sheet["provenance"], dict),
        "network": isinstance(sheet["network"], dict) and sheet["network"].get("family") in ("haplotype", "paper"),
        "training": isinstance(sheet["training"], dict),
    }
    for name, right in what.items():
        if not right:
            raise ValueError(f"{name} is not what it should be: {_shown(sheet[name])}")
    shape = [len(sheet["label"])] * len(counts)
    rows = table if isinstance(table, list) else []
    if [len(row) if isinstance(row, list) else -1 for row in rows] != shape or not all(
        _whole(value, 0, len(counts) - 1) for row in rows for value in row
    ):
        raise ValueError(f"label_table does not fit {len(counts)} labels: {_shown(table)}")


def _report(event: Any) -> bool:
    """Tell whether this is what training reports of a step."""
    return (
        isinstance(event, dict)
        and isinstance(event.get("stage"), str)
        and _whole(event.get("step"), 0)
        and _number(event.get("loss"))
        and isinstance(event.get("metrics"), dict)
        and all(map(_number, event["metrics"].values()))
    )


def _whole(value: Any, least: int, most: float = math.inf) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def check_sites(sites: Any) -> None:
    """Check the columns of `sites.json`.

    Raises
    ------
    KeyError, ValueError
        If one is absent, or of another type or length.
    """
    if not isinstance(sites, dict):
        raise ValueError("sites.json is not a JSON object")
    position = sites["position"]
    if not (isinstance(position, list) and position and all(_whole(p, 0, 2**63 - 1) for p in position)):
        raise ValueError("the positions of sites.json are not whole numbers")
    for name in _TEXT_COLUMNS:
        if not _texts(sites[name]) or len(sites[name]) != len(position):
            raise ValueError(f"sites.json has no {name} for each of {len(position)} positions")
    lengths = sites["contig_lengths"]
    if not isinstance(lengths, dict) or not all(n is None or _whole(n, 0) for n in lengths.values()):
        raise ValueError(f"the contig lengths of sites.json are {_shown(lengths)}")
    if not (sites["assembly"] is None or isinstance(sites["assembly"], str)):
        raise ValueError(f"the assembly of sites.json is {_shown(sites['assembly'])}")


def check_blocks(tensors: Mapping[str, torch.Tensor], sizes: Sequence[int], states: int, n_sites: int) -> None:
    """Check the blocks and their templates.

    Raises
    ------
    KeyError, ValueError
        If tensors are absent, of another type or length, or hold what cannot be.
    """
    edges, templates, emission = (tensors[name] for name in ("edges", "templates", "emission"))
    for name, tensor, kind in (
        ("edges", edges, torch.int64),
        ("templates", templates, torch.int8),
        ("emission", emission, torch.float32),
    ):
        if tensor.ndim != 1 or tensor.dtype != kind:
            raise ValueError(f"{name} has the shape {tuple(tensor.shape)} and the type {tensor.dtype}")
    ends = edges.tolist()
    if len(ends) != len(sizes) + 1 or ends[0] != 0 or ends[-1] != n_sites:
        raise ValueError(f"the edges of {len(sizes)} blocks at {n_sites} sites do not fit")
    lengths = [after - before for before, after in pairwise(ends)]
    if min(lengths) < 1:
        raise ValueError("the edges of the blocks go back")
    cells = sum(size * length for size, length in zip(sizes, lengths, strict=True))
    if len(templates) != cells or len(emission) != cells * states:
        raise ValueError(f"{len(templates)} states in templates and {len(emission)} in emission, where {cells} fit")
    if int(templates.min()) < 0 or int(templates.max()) >= states:
        raise ValueError(f"templates have states beyond 0 to {states - 1}")
    if not (torch.isfinite(emission).all() and float(emission.min()) >= 0 and float(emission.max()) <= 1 + 1e-4):
        raise ValueError("emission holds what is no probability")


def check_memory(sizes: Sequence[int], n_labels: int, available: int | None) -> None:
    """Check that there is memory for the counts of a chain over blocks of so many codes, and its fallback.

    Raises
    ------
    ValueError
        If there is not.
    """
    needed = 2 * 4 * n_labels * sum(a * b for a, b in zip([1, *sizes], sizes, strict=False))
    if available is not None and needed > available:
        raise ValueError(f"its blocks ask for {needed / 1e9:,.1f} GB of memory, and there are {available / 1e9:,.1f}")


def check_tensors(expected: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor]) -> None:
    """Check that tensors have the names, shapes and types expected, and hold numbers.

    Parameters
    ----------
    expected : mapping of str to tensor
        Tensors without memory (of the device "meta") will do.
    found : mapping of str to tensor

    Raises
    ------
    ValueError
        If not.
    """
    if expected.keys() != found.keys():
        odd = sorted(expected.keys() ^ found.keys())[0]
        raise ValueError(f"the tensor {odd} is {'missing' if odd in expected else 'not expected'}")
    for name, tensor in expected.items():
        here = found[name]
        if here.shape != tensor.shape or here.dtype != tensor.dtype:
            raise ValueError(
                f"the tensor {name} has the shape {tuple(here.shape)} of {here.dtype}, not {tuple(tensor.shape)} of "
                f"{tensor.dtype}"
            )
        if here.is_floating_point() and not torch.isfinite(here).all():
            raise ValueError(f"the tensor {name} holds what is not a number")
