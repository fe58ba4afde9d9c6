"""The state of a training on disk: tensors in safetensors, the rest as JSON; no pickle, nothing half-written."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch

from ...errors import ModelError
from ...text import json_content
from .. import store


def write_state(path: Path, state: Any) -> None:
    """Write a nested state (dicts, lists, numbers, text, tensors), such as an optimiser's `state_dict()`.

    Raises
    ------
    UsageError
        If it cannot be written; the old file is then as it was.
    """
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

    skeleton = json.dumps(strip(state))
    store.write_arrays(path, {name: t.numpy() for name, t in tensors.items()}, {"skeleton": skeleton})


def read_state(path: Path) -> Any:
    """Read what `write_state` wrote, onto the CPU.

    Raises
    ------
    ModelError
        If the file is absent, damaged, or no such state.
    """
    arrays, text = store.read_arrays_and_text(path)

    def fill(node: Any) -> Any:
        kind, value = next(iter(node.items()))
        if kind == "tensor":
            return torch.from_numpy(arrays[value].copy())
        if kind == "dict":
            return {key: fill(child) for key, child in value}
        if kind == "list":
            return [fill(child) for child in value]
        return float(value) if kind == "not finite" else value

    try:
        return fill(json_content(text["skeleton"]))
    except (KeyError, ValueError, TypeError, AttributeError, StopIteration, RecursionError) as error:
        raise ModelError(f"{path} is damaged ({error}); start the training again without --resume.") from None
