"""The state of a training on disk: round trips, damage, and nothing half-written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgcgan.errors import ModelError, UsageError
from pgcgan.generators import store
from pgcgan.generators.gan import checkpoint

TENSORS = st.sampled_from(
    [
        torch.arange(6, dtype=torch.float32).reshape(2, 3),
        torch.tensor(3.5),
        torch.tensor([], dtype=torch.float32),
        torch.tensor([[1, -2]], dtype=torch.int64),
        torch.tensor([True, False]),
        torch.tensor([float("nan"), float("inf"), -0.0]),
        torch.arange(8, dtype=torch.float32)[::2],
        torch.eye(3)[:, 1:],
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | TENSORS
STATES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return (
            isinstance(other, torch.Tensor)
            and one.dtype == other.dtype
            and one.shape == other.shape
            and one.contiguous().numpy().tobytes() == other.contiguous().numpy().tobytes()
        )
    if isinstance(one, dict):
        return isinstance(other, dict) and list(one) == list(other) and all(same(one[k], other[k]) for k in one)
    if isinstance(one, (list, tuple)):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STATES)
def test_nested_states_come_back(tmp_path: Path, state: Any) -> None:
    path = tmp_path / "state.safetensors"
    checkpoint.write_state(path, state)
    assert same(state, checkpoint.read_state(path))
    assert [p.name for p in tmp_path.iterdir()] == ["state.safetensors"]


def test_an_optimiser_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    def made() -> tuple[torch.nn.Linear, torch.optim.AdamW]:
        torch.manual_seed(0)
        layer = torch.nn.Linear(3, 2)
        return layer, torch.optim.AdamW(layer.parameters(), lr=0.1, betas=(0.9, 0.99))

    def step(layer: torch.nn.Linear, optimiser: torch.optim.AdamW, n: int) -> None:
        for i in range(n):
            optimiser.zero_grad()
            layer(torch.full((4, 3), i + 1.0)).square().sum().backward()
            optimiser.step()

    straight, optimiser = made()
    step(straight, optimiser, 3)
    state = {"layer": straight.state_dict(), "optimiser": optimiser.state_dict()}
    checkpoint.write_state(tmp_path / "s", state)
    step(straight, optimiser, 3)
    again, other = made()
    state = checkpoint.read_state(tmp_path / "s")
    again.load_state_dict(state["layer"])
    other.load_state_dict(state["optimiser"])
    step(again, other, 3)
    assert torch.equal(again.weight, straight.weight)


def test_tensors_that_share_memory(tmp_path: Path) -> None:
    whole = torch.arange(6.0)
    checkpoint.write_state(tmp_path / "s", {"a": whole, "b": whole[2:4], "c": whole})
    state = checkpoint.read_state(tmp_path / "s")
    assert state["b"].tolist() == [2, 3]
    state["a"][2] = 9
    assert state["c"][2] == 2


def test_an_absent_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        checkpoint.read_state(tmp_path / "training.safetensors")
    assert str(tmp_path) in str(caught.value) and "training.safetensors" in str(caught.value)


@pytest.mark.parametrize("damage", ["truncated", "empty", "header", "text"])
def test_damaged_tensors(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "weights.safetensors"
    checkpoint.write_state(path, {"a": torch.arange(100.0)})
    whole = path.read_bytes()
    path.write_bytes(
        {"truncated": whole[:-50], "empty": b"", "header": b"\xff" * 8 + whole[8:], "text": b"<html></html>"}[damage]
    )
    with pytest.raises(ModelError) as caught:
        checkpoint.read_state(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"a": np.ones(1, np.float32)}, {}),
        ({}, {"skeleton": json.dumps({"dict": [["a", {"tensor": "t0"}]]})}),
        ({}, {"skeleton": "{"}),
        ({}, {"skeleton": "[]"}),
    ],
)
def test_a_file_of_arrays_that_is_no_state(arrays: dict[str, np.ndarray], text: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "training.safetensors"
    store.write_arrays(path, arrays, text)
    with pytest.raises(ModelError) as caught:
        checkpoint.read_state(path)
    assert str(path) in str(caught.value)
    assert "--resume" in str(caught.value)


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state"
    checkpoint.write_state(path, {"a": torch.ones(2)})
    with pytest.raises(TypeError):
        checkpoint.write_state(path, {"a": object()})

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UsageError, match="No space left on device"):
        checkpoint.write_state(path, {"a": torch.zeros(2)})
    monkeypatch.undo()
    assert checkpoint.read_state(path)["a"].tolist() == [1, 1]
    assert [p.name for p in tmp_path.iterdir()] == ["state"]
