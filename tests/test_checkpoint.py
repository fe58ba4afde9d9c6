"""States and JSON on disk: round trips, damage, and nothing half-written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgcgan.errors import ModelError, UsageError
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
        torch.tensor([1.5, 2.5], dtype=torch.bfloat16),
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
            and one.contiguous().flatten().view(torch.uint8).equal(other.contiguous().flatten().view(torch.uint8))
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


def test_tensors_and_text(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    checkpoint.write_tensors(path, {"a.b": torch.ones(2, 2).T}, {"note": "Grüße"})
    tensors, text = checkpoint.read_tensors(path)
    assert tensors["a.b"].tolist() == [[1, 1], [1, 1]]
    assert text == {"note": "Grüße"}


def test_json(tmp_path: Path) -> None:
    path = tmp_path / "sheet.json"
    checkpoint.write_json(path, {"pop": "Yorùbá", "n": [1, 2.5, None]})
    assert checkpoint.read_json(path) == {"pop": "Yorùbá", "n": [1, 2.5, None]}
    assert "Yorùbá" in path.read_text(encoding="utf-8")


def test_absent_files(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        checkpoint.read_json(tmp_path / "model.json")
    assert str(caught.value) == f"{tmp_path} has no model.json: it is not a finished pgcgan model."
    for read in (checkpoint.read_tensors, checkpoint.read_state):
        with pytest.raises(ModelError) as caught:
            read(tmp_path / "weights.safetensors")
        assert str(caught.value) == f"{tmp_path} has no weights.safetensors: the model is incomplete."


def test_damaged_json(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text('{"format": 1,')
    with pytest.raises(ModelError) as caught:
        checkpoint.read_json(path)
    assert str(caught.value) == (
        f"{path} is damaged (Expecting property name enclosed in double quotes: line 1 column 14 (char 13)); "
        "train the model again."
    )
    path.write_bytes(b"\xff\xfe{}")
    with pytest.raises(ModelError, match="is damaged .*; train the model again."):
        checkpoint.read_json(path)


@pytest.mark.parametrize("damage", ["truncated", "empty", "header", "text"])
def test_damaged_tensors(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "weights.safetensors"
    checkpoint.write_state(path, {"a": torch.arange(100.0)})
    whole = path.read_bytes()
    path.write_bytes(
        {"truncated": whole[:-50], "empty": b"", "header": b"\xff" * 8 + whole[8:], "text": b"<html></html>"}[damage]
    )
    for read in (checkpoint.read_tensors, checkpoint.read_state):
        with pytest.raises(ModelError) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path} is damaged (")
        assert str(caught.value).endswith("); train the model again.")


def test_a_file_of_tensors_that_is_no_state(tmp_path: Path) -> None:
    path = tmp_path / "training.safetensors"
    checkpoint.write_tensors(path, {"a": torch.ones(1)})
    with pytest.raises(ModelError) as caught:
        checkpoint.read_state(path)
    assert str(caught.value) == f"{path} is damaged ('skeleton'); start the training again without --resume."
    checkpoint.write_tensors(path, {}, {"skeleton": json.dumps({"dict": [["a", {"tensor": "t0"}]]})})
    with pytest.raises(ModelError) as caught:
        checkpoint.read_state(path)
    assert str(caught.value) == f"{path} is damaged ('t0'); start the training again without --resume."


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state, sheet = tmp_path / "state", tmp_path / "sheet.json"
    checkpoint.write_state(state, {"a": torch.ones(2)})
    checkpoint.write_json(sheet, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        checkpoint.write_json(sheet, {"a": float("nan")})
    with pytest.raises(TypeError):
        checkpoint.write_state(state, {"a": object()})

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UsageError, match="state cannot be written: No space left on device"):
        checkpoint.write_state(state, {"a": torch.zeros(2)})
    with pytest.raises(UsageError, match="sheet.json cannot be written: No space left on device"):
        checkpoint.write_json(sheet, {"a": 2})
    monkeypatch.undo()
    assert checkpoint.read_json(sheet) == {"a": 1}
    assert checkpoint.read_state(state)["a"].tolist() == [1, 1]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["sheet.json", "state"]
