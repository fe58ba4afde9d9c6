"""A model directory is data: it holds nobody, and loading it executes nothing and believes no size."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from corpus import Trap
from fuzzing import with_right_digests, write_valid
from safetensors.torch import load_file, save_file

import pgcgan
from pgcgan.errors import ModelError
from pgcgan.generators import schema as sheet
from pgcgan.generators.baselines import BASELINES
from pgcgan.generators.haplotype.checking import check_prior
from pgcgan.genotypes import Genotypes

# ---- nobody is in it ------------------------------------------------------------------------------------------------

SMALL = {"hidden": 16, "embedding": 8, "critic_features": 4, "critic_components": 4, "run_carriers": 4}
NETWORK = {"steps": 4, "adversarial_steps": 2, "batch": 32}


@pytest.fixture(scope="module")
def few(cohort: Genotypes) -> Genotypes:
    """Return 60 people at 100 sites."""
    return cohort.select(samples=np.arange(0, 150, 5).tolist() + np.arange(1, 150, 5).tolist(), sites=slice(0, 100))


def forms(row: np.ndarray) -> dict[str, bytes]:
    """Return the ways in which a row of 0, 1 (and 2) could be written down."""
    words = [str(value) for value in row.tolist()]
    bits = (row > 0).astype(np.uint8)
    return {
        **{kind: row.astype(kind).tobytes() for kind in ("int8", "<i4", "<i8", "<f4")},
        # what follows the last site in its byte is not known
        "packed": np.packbits(bits[: len(bits) // 8 * 8]).tobytes(),
        "packed, low bit first": np.packbits(bits[: len(bits) // 8 * 8], bitorder="little").tobytes(),
        **{f"text, {between!r}": between.join(words).encode() for between in ("", " ", ",", "|")},
    }


def contents(directory: Path) -> dict[str, bytes]:
    """Return all there is to search: files as they are, arrays as they lie and turned, blanks of JSON left out."""
    found = {}
    for path in sorted(p for p in directory.rglob("*") if p.is_file()):
        found[path.name] = path.read_bytes()
        tensors = {}
        if path.suffix == ".safetensors":
            tensors = {name: t.numpy() for name, t in load_file(path).items()}
        elif path.suffix == ".npz":
            with np.load(path) as arrays:
                tensors = {name: arrays[name] for name in arrays}
        elif path.suffix in (".json", ".jsonl"):
            found[f"{path.name} without blanks"] = re.sub(rb"\s", b"", path.read_bytes())
        for name, array in tensors.items():
            if path.suffix == ".npz":  # compressed; in the other files the arrays lie as they are
                found[f"{path.name} {name}"] = array.tobytes()
            if array.ndim > 1:
                found[f"{path.name} {name}, turned"] = array.T.tobytes()
    return found


def scan(directory: Path, people: Genotypes) -> list[str]:
    """Return where sample names, and training rows over the whole region, are found by exact search."""
    everything = contents(directory)
    rows = np.unique(np.concatenate([people.haplotypes(), people.dosages()]), axis=0)
    # a row that says nothing (the reference everywhere) is a run of zeros, and is nobody's
    rows = rows[(rows > 0).sum(axis=1) >= 5]
    assert len(rows) >= people.n_samples
    found = []
    for where, content in everything.items():
        found += [f"{where}: {name}" for name in people.samples if str(name).encode() in content]
        for row in rows:
            found += [f"{where}: {form}" for form, pattern in forms(row).items() if pattern in content]
    return found


@pytest.mark.parametrize("settings", [{}, NETWORK], ids=["prior", "network"])
@pytest.mark.parametrize("phased", [True, False])
def test_exact_search_finds_nobody_in_a_model(settings: dict, phased: bool, few: Genotypes, tmp_path: Path) -> None:
    people = few if phased else few.without_phase()
    target = pgcgan.PGcGAN(seed=1, device="cpu", **SMALL, **settings).fit(people).save(tmp_path / "m")
    assert scan(target, people) == []
    # positive controls: one row, one name, in each place where they could be
    row = people.haplotypes()[17] if phased else people.dosages()[17]
    for form, pattern in forms(row).items():
        copy = shutil.copytree(target, tmp_path / "copy")
        weights = load_file(copy / "weights.safetensors")
        planted = np.frombuffer(b"\x05" + pattern + b"\x05", dtype=np.int8).copy()
        save_file(weights | {"planted": torch.from_numpy(planted)}, copy / "weights.safetensors")
        assert f"weights.safetensors: {form}" in scan_row(copy, row)
        shutil.rmtree(copy)
    turned = np.stack([1 - row, row, 1 - row]).T.astype(np.int8).copy()
    save_file({"planted": torch.from_numpy(turned)}, target / "more.safetensors")
    assert "more.safetensors planted, turned: int8" in scan_row(target, row)
    (target / "more.safetensors").unlink()
    (target / "more.json").write_text(json.dumps({"who": [str(people.samples[3])]}))
    assert f"more.json: {people.samples[3]}" in scan(target, people)


def scan_row(directory: Path, row: np.ndarray) -> list[str]:
    return [
        f"{where}: {form}"
        for where, content in contents(directory).items()
        for form, pattern in forms(row).items()
        if pattern in content
    ]


@pytest.mark.parametrize("name", BASELINES)
def test_exact_search_finds_rows_in_those_baselines_that_say_so(name: str, few: Genotypes, tmp_path: Path) -> None:
    # the packed rows of the two that hold them are a control of the search by an independent writer
    found = scan(BASELINES[name](seed=1).fit(few).save(tmp_path / "m"), few)
    assert bool(found) == BASELINES[name].holds_training_rows
    assert all(line.endswith(": packed") for line in found)


# ---- nothing is executed --------------------------------------------------------------------------------------------

WATCH = """
import os, sys, pickle
from pathlib import Path
import pgcgan
from pgcgan.generators.gan import checkpoint
from pgcgan.generators.baselines import Baseline
from pgcgan.errors import PgcganError

def load_all():
    refused = 0
    for path in sorted(Path(".").glob("*.model")):
        try:
            if (path / "baseline.json").exists():
                model = Baseline.load(path)
            else:
                model = pgcgan.PGcGAN.load(path, device="cpu")
            model.sample({next(iter(model.label_counts)): 2}, seed=1)
        except PgcganError:
            refused += 1
    checkpoint.read_state(Path("state.safetensors"))
    pgcgan.read("x.npz")
    return refused

load_all()  # what is imported late is imported now
FORBIDDEN = ("pickle.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.", "import",
             "ctypes.dlopen")
seen = []
on = [True]

def watch(event, arguments):
    if on[0] and event.startswith(FORBIDDEN):
        seen.append((event, arguments))
    if on[0] and event == "open" and arguments[1] and arguments[1] not in ("r", "rb"):
        seen.append((event, arguments))

sys.addaudithook(watch)
refused = load_all()
on[0] = False
print(refused, sorted({event for event, _ in seen}), flush=True)
on[0] = True
pickle.loads(pickle.dumps(os.getcwd))  # would be seen
on[0] = False
print(sorted({event for event, _ in seen}))
"""


def test_loading_executes_nothing(tmp_path: Path) -> None:
    write_valid(tmp_path)
    np.savez(tmp_path / "independent.model" / "arrays.npz", frequency=np.array([Trap()], dtype=object))
    torch.save({"weights": Trap()}, tmp_path / "paper.model" / "weights.safetensors")  # a pickle under that name
    (tmp_path / "net.model" / "weights.pt").write_bytes(b"\x80\x04c__main__\nboom\n.")
    run = subprocess.run([sys.executable, "-c", WATCH], cwd=tmp_path, capture_output=True, text=True)
    assert run.stdout == "2 []\n['pickle.find_class']\n", run.stderr
    assert not (tmp_path / "sprung").exists()


def test_no_module_of_pgcgan_unpickles() -> None:
    for path in Path(pgcgan.__file__).parent.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(
            r"(?:\bimport pickle|\btorch\.load|allow_pickle=True|\bjoblib|\bmarshal|(?<![.\w])eval\(|(?<![.\w])exec\()",
            text,
        ), path


# ---- no size is believed --------------------------------------------------------------------------------------------


def test_a_chain_that_memory_cannot_hold_is_refused_before_it_is_made() -> None:
    # two blocks of one site and 32,767 codes are 64 kB of templates, and 17 GB of pairs
    with pytest.raises(ValueError) as caught:
        sheet.check_memory([32_767, 32_767], 2, 8_000_000_000)
    assert str(caught.value) == "its blocks ask for 17.2 GB of memory, and there are 8.0"
    sheet.check_memory([32_767, 32_767], 2, 18_000_000_000)
    sheet.check_memory([32_767, 32_767], 2, None)


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("valid")
    write_valid(folder)
    return folder


def changed(valid: Path, tmp_path: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
    """Return a copy of a model with other tensors, for which its sheet vouches."""
    target = shutil.copytree(valid / "net.model", tmp_path / "m")
    tensors = load_file(target / "weights.safetensors")
    change(tensors)
    save_file(tensors, target / "weights.safetensors")
    with_right_digests(target)
    return target


def prior_names(valid: Path) -> list[str]:
    return [n for n in load_file(valid / "net.model" / "weights.safetensors") if n.startswith("prior.")]


@pytest.mark.parametrize("how", ["missing", "longer", "of another type", "of other axes"])
def test_every_array_of_the_prior_is_checked(how: str, valid: Path) -> None:
    tensors = load_file(valid / "net.model" / "weights.safetensors")
    arrays = {n.removeprefix("prior."): t.numpy() for n, t in tensors.items() if n.startswith("prior.")}
    sizes = json.loads((valid / "net.model" / "model.json").read_text())["sizes"]
    check_prior(arrays, sizes, 2)
    for name, array in arrays.items():
        other = {
            "missing": None,
            "longer": np.concatenate([array, array]) if array.ndim and array.size else None,
            "of another type": array.astype(np.int16),
            "of other axes": array[None],
        }[how]
        spoilt = {k: v for k, v in arrays.items() if k != name} | ({} if other is None else {name: other})
        # singles are cut by the sizes, where their length is seen
        if how == "longer" and name == "chain.singles":
            continue
        with pytest.raises((KeyError, ValueError)):
            check_prior(spoilt, sizes, 2)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("edges", lambda t: t + 1, "the edges of "),
        ("templates", lambda t: t + 2, "templates have states beyond 0 to 1"),
        ("emission", lambda t: t * 3, "emission holds what is no probability"),
        ("emission", lambda t: t.double(), "emission has the shape "),
        ("generator.bias", lambda t: t[:-1].clone(), "the tensor bias has the shape "),
        ("generator.bias", lambda t: t.double(), "the tensor bias has the shape "),
        ("generator.weight", lambda t: t * torch.inf, "the tensor weight holds what is not a number"),
        ("prior.chain.used", lambda t: t.flip(0).contiguous(), "chain.used does not point at "),
        ("prior.chain.used", lambda t: t + 10**6, "chain.used does not point at "),
        ("prior.chain.counts", lambda t: -t, "chain.counts has numbers below 0"),
        ("prior.sources.switch", lambda t: t + 2, "sources.switch holds what is no probability"),
        ("prior.contexts.table", lambda t: t + 10**6, "contexts.table has a row for block "),
        ("prior.contexts.first", lambda t: t + 1, "do not fit together"),
        ("generator.label.label_table", lambda t: 1 - t, "the labels of weights.safetensors are not those of "),
    ],
)
def test_tensors_that_do_not_fit_are_refused(name: str, change, said: str, valid: Path, tmp_path: Path) -> None:
    target = changed(valid, tmp_path, lambda tensors: tensors.update({name: change(tensors[name])}))
    with pytest.raises(ModelError) as caught:
        pgcgan.PGcGAN.load(target, device="cpu")
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{target} is not a whole model (")


def test_a_tensor_more_or_less_is_refused(valid: Path, tmp_path: Path) -> None:
    target = changed(valid, tmp_path, lambda tensors: tensors.update({"generator.more": torch.ones(1)}))
    with pytest.raises(ModelError, match="the tensor more is not expected"):
        pgcgan.PGcGAN.load(target, device="cpu")
    shutil.rmtree(target)
    target = changed(valid, tmp_path, lambda tensors: tensors.pop("generator.share"))
    with pytest.raises(ModelError, match="the tensor share is missing"):
        pgcgan.PGcGAN.load(target, device="cpu")
