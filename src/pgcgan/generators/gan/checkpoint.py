"""The state of a training on disk: tensors in safetensors, the rest as JSON; no pickle, nothing half-written."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ...errors import ModelError
from ...text import json_content
from .. import store


def split_state(state: Any) -> tuple[dict[str, torch.Tensor], str]:
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
        if isinstance(node, float) and not math.isfinite(node):
            return {"not finite": repr(node)}
        return {"value": node}

    skeleton = strip(state)
    return tensors, json.dumps(skeleton)


def join_state(tensors: Mapping[str, torch.Tensor], skeleton: str) -> Any:
    """Return the state that `split_state` split."""

    def fill(node: Any) -> Any:
        kind, value = next(iter(node.items()))
        if kind == "tensor":
            return tensors[value]
        if kind == "dict":
            return {key: fill(child) for key, child in value}
        if kind == "list":
            return [fill(child) for child in value]
        return float(value) if kind == "not finite" else value

    return fill(json_content(skeleton))


def write_state(path: Path, state: Any) -> None:
    """Write a nested state (dicts, lists, numbers, text, tensors), such as an optimiser's `state_dict()`.

    Raises
    ------
    UsageError
        If it cannot be written; the old file is then as it was.
    """
    tensors, skeleton = split_state(state)
    store.write_arrays(path, {name: t.numpy() for name, t in tensors.items()}, {"skeleton": skeleton})


def read_state(path: Path) -> Any:
    """Read what `write_state` wrote.

    Raises
    ------
    ModelError
        If the file is absent, damaged, or no such state.
    """
    arrays, text = store.read_arrays_and_text(path)
    try:
        return join_state({name: torch.from_numpy(a.copy()) for name, a in arrays.items()}, text["skeleton"])
    except (KeyError, ValueError, TypeError, AttributeError, StopIteration, RecursionError) as error:
        raise ModelError(f"{path} is damaged ({error}); start the training again without --resume.") from None
