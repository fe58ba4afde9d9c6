"""Tensors and JSON on disk: no pickle, nothing half-written.

Every file is written in a folder beside it and renamed. Tensors go into safetensors files, which hold numbers
and text and cannot execute anything.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ...errors import ModelError, UsageError
from ...runtime.files import workspace

FORMAT = 2


def _replace(path: Path, write: Any) -> None:
    try:
        with workspace(path.parent) as made:
            temporary = Path(made, path.name)
            write(temporary)
            os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        raise UsageError(f"{path} cannot be written: {_reason(error)}.") from None


def _reason(error: OSError | SafetensorError) -> str:
    """Return what the system says; safetensors puts it into a sentence of its own."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    number = re.search(r"\(os error (\d+)\)", str(error))
    return os.strerror(int(number[1])) if number else str(error)


def write_text(path: Path, text: str) -> None:
    """Write text, whole or not at all."""
    _replace(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, content: Any) -> None:
    """Write JSON, whole or not at all."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises
    ------
    ModelError
        If the file is absent or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except FileNotFoundError:
        raise ModelError(f"{path.parent} has no {path.name}: it is not a finished pgcgan model.") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is damaged ({str(error).partition(';')[0]}); train the model again.") from None


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def write_tensors(path: Path, tensors: dict[str, torch.Tensor], text: dict[str, str] | None = None) -> None:
    """Write named tensors and, beside them, some text."""
    plain = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    _replace(path, lambda temporary: save_file(plain, str(temporary), metadata=text))


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Read named tensors and the text beside them.

    Raises
    ------
    ModelError
        If the file is absent or damaged.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except FileNotFoundError:
        raise ModelError(f"{path.parent} has no {path.name}: the model is incomplete.") from None
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is damaged ({error}); train the model again.") from None


def taken_apart(state: Any) -> tuple[dict[str, torch.Tensor], str]:
    """Return the tensors of a nested state (dicts, lists, numbers, text, tensors) on the CPU, and the rest as JSON."""
    tensors: dict[str, torch.Tensor] = {}

    def strip(node: Any) -> Any:
        if isinstance(node, torch.Tensor):
            name = f"t{len(tensors)}"
            # clone: tensors that share memory cannot go into one file
            tensors[name] = node.detach().cpu().clone()
            return {"tensor": name}
        if isinstance(node, dict):
            return {"dict": [[key, strip(value)] for key, value in node.items()]}
        if isinstance(node, (list, tuple)):
            return {"list": [strip(value) for value in node]}
        return {"value": node}

    skeleton = strip(state)
    return tensors, json.dumps(skeleton)


def put_together(tensors: Mapping[str, torch.Tensor], skeleton: str) -> Any:
    """Return the state that `taken_apart` took apart."""

    def fill(node: Any) -> Any:
        kind, value = next(iter(node.items()))
        if kind == "tensor":
            return tensors[value]
        if kind == "dict":
            return {key: fill(child) for key, child in value}
        if kind == "list":
            return [fill(child) for child in value]
        return value

    return fill(json.loads(skeleton))


def write_state(path: Path, state: Any) -> None:
    """Write a nested state (dicts, lists, numbers, text, tensors), such as an optimiser's `state_dict()`."""
    tensors, skeleton = taken_apart(state)
    write_tensors(path, tensors, {"skeleton": skeleton})


def read_state(path: Path) -> Any:
    """Read what `write_state` wrote."""
    tensors, text = read_tensors(path)
    try:
        return put_together(tensors, text["skeleton"])
    except (KeyError, ValueError, TypeError, AttributeError, StopIteration, RecursionError) as error:
        raise ModelError(f"{path} is damaged ({error}); start the training again without --resume.") from None
