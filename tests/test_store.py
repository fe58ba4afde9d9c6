"""A model directory is data: it holds nobody, loading it executes nothing, and whatever is damaged is named."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpus import Trap
from fuzzing import with_right_digests
from safetensors.numpy import load_file, save_file

import pgcgan
from pgcgan.errors import ModelError, UsageError
from pgcgan.generators.store import (
    ARRAYS,
    MODEL,
    SITES,
    Array,
    check_arrays,
    read_content,
    read_metadata,
    write_model,
)
from pgcgan.genotypes import Genotypes
from pgcgan.registry import BASELINES, create, family

FAMILIES = ("haplotype", *BASELINES)


@pytest.fixture(scope="module")
def few(cohort: Genotypes) -> Genotypes:
    """Return 60 people at 100 sites."""
    return cohort.select(samples=np.arange(0, 150, 5).tolist() + np.arange(1, 150, 5).tolist(), sites=slice(0, 100))


def saved(name: str, people: Genotypes, folder: Path) -> Path:
    quick = {"run_carriers": 4, "inverse_temperature": 1.0} if name == "haplotype" else {}
    return create(name, seed=1, **quick).fit(people).save(folder / f"{name}.model")


@pytest.fixture(scope="module")
def valid(few: Genotypes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model of each family, NAME.model."""
    folder = tmp_path_factory.mktemp("valid")
    for name in FAMILIES:
        saved(name, few, folder)
    return folder


# ---- nobody is in it ----------------------------------------------------------------------------------------------


def forms(row: np.ndarray) -> dict[str, bytes]:
    """Return the ways in which a row of 0, 1 (and 2) could be written down."""
    words = [str(value) for value in row.tolist()]
    bits = (row > 0).astype(np.uint8)
    return {
        **{kind: row.astype(kind).tobytes() for kind in ("int8", "<i4", "<i8", "<f4", "<f8")},
        # what follows the last site in its byte is not known
        "packed": np.packbits(bits[: len(bits) // 8 * 8]).tobytes(),
        "packed, low bit first": np.packbits(bits[: len(bits) // 8 * 8], bitorder="little").tobytes(),
        **{f"text, {between!r}": between.join(words).encode() for between in ("", " ", ",", "|")},
    }


def contents(directory: Path) -> dict[str, bytes]:
    """Return all there is to search: files as they are, arrays turned, and JSON without its blanks."""
    places = {}
    for path in sorted(p for p in directory.rglob("*") if p.is_file()):
        places[path.name] = path.read_bytes()
        if path.suffix == ".safetensors":  # the arrays lie in the file as they are
            turned = {name: array.T.tobytes() for name, array in load_file(path).items() if array.ndim > 1}
            places |= {f"{path.name} {name}, turned": content for name, content in turned.items()}
        elif path.suffix == ".json":
            places[f"{path.name} without blanks"] = re.sub(rb"\s", b"", path.read_bytes())
    return places


def places_of_rows(directory: Path, rows: np.ndarray) -> list[str]:
    everything = contents(directory)
    return [
        f"{place}: {form}"
        for row in rows
        for form, pattern in forms(row).items()
        for place, content in everything.items()
        if pattern in content
    ]


def places_of_people(directory: Path, people: Genotypes) -> list[str]:
    """Return where sample names, and training rows over the whole region, are found by exact search."""
    rows = np.unique(np.concatenate([people.haplotypes(), people.dosages()]), axis=0)
    # a row that says nothing (the reference everywhere) is a run of zeros, and is nobody's
    rows = rows[(rows > 0).sum(axis=1) >= 5]
    assert len(rows) >= people.n_samples
    named = [
        f"{place}: {name}"
        for place, content in contents(directory).items()
        for name in people.samples
        if str(name).encode() in content
    ]
    return named + places_of_rows(directory, rows)


@pytest.mark.parametrize("phased", [True, False])
def test_exact_search_finds_nobody_in_a_haplotype_model(phased: bool, few: Genotypes, tmp_path: Path) -> None:
    people = few if phased else few.select(sites=slice(0, 50)).without_phase()
    target = saved("haplotype", people, tmp_path)
    assert places_of_people(target, people) == []
    # positive controls: one row, one name, in each place where they could be
    row = people.haplotypes()[17] if phased else people.dosages()[17]
    arrays = load_file(target / ARRAYS)
    for form, pattern in forms(row).items():
        planted = np.frombuffer(b"\x05" + pattern + b"\x05", dtype=np.int8)
        save_file(arrays | {"planted": planted}, target / ARRAYS)
        assert f"{ARRAYS}: {form}" in places_of_rows(target, row[None])
    save_file({"planted": np.stack([1 - row, row, 1 - row]).T.astype(np.int8).copy()}, target / "more.safetensors")
    assert "more.safetensors planted, turned: int8" in places_of_rows(target, row[None])
    (target / "more.safetensors").unlink()
    (target / "more.json").write_text(json.dumps({"who": [str(people.samples[3])]}))
    assert f"more.json: {people.samples[3]}" in places_of_people(target, people)


@pytest.mark.parametrize("name", BASELINES)
def test_exact_search_finds_rows_in_those_baselines_that_say_so(name: str, few: Genotypes, valid: Path) -> None:
    # the packed rows of the two that hold them are a control of the search by an independent writer
    places = places_of_people(valid / f"{name}.model", few)
    assert bool(places) == family(name).holds_training_rows
    assert all(place.endswith(": packed") for place in places)


@pytest.mark.parametrize("n", [6, 25])
def test_of_people_so_few_that_each_haplotype_is_somebodys_own_none_is_stored(n: int, tmp_path: Path) -> None:
    people = pgcgan.simulate(n, length=60_000, seed=2).select(min_maf=0.05).select(sites=slice(0, 60))
    target = create("haplotype", "gender").fit(people).save(tmp_path / "m")
    rows = np.unique(people.haplotypes(), axis=0)
    assert places_of_rows(target, rows[(rows > 0).sum(axis=1) >= 5]) == []


# ---- nothing is executed ------------------------------------------------------------------------------------------

WATCH = """
import os, sys, pickle
from pathlib import Path
import pgcgan
from pgcgan.errors import PgcganError

def load_all():
    refused = 0
    for path in sorted(Path(".").glob("*.model")):
        try:
            model = pgcgan.load(path)
            model.sample({next(iter(model.label_counts_)): 2}, seed=1)
        except PgcganError:
            refused += 1
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


def test_loading_executes_nothing(valid: Path, tmp_path: Path) -> None:
    for name in FAMILIES:
        shutil.copytree(valid / f"{name}.model", tmp_path / f"{name}.model")
    (tmp_path / "smote.model" / ARRAYS).write_bytes(pickle.dumps({"rows": Trap()}))  # a pickle under that name
    np.savez(tmp_path / "independent.model" / ARRAYS, frequency=np.array([Trap()], dtype=object))
    os.replace(tmp_path / "independent.model" / f"{ARRAYS}.npz", tmp_path / "independent.model" / ARRAYS)
    for name in ("smote", "independent"):
        with_right_digests(tmp_path / f"{name}.model")
    (tmp_path / "haplotype.model" / "weights.pt").write_bytes(b"\x80\x04c__main__\nboom\n.")
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


# ---- whatever is damaged is named ---------------------------------------------------------------------------------


def refusal(target: Path) -> str:
    """Load a damaged directory and return the message."""
    with pytest.raises(ModelError) as caught:
        pgcgan.load(target)
    message = str(caught.value)
    assert str(target) in message
    assert "\n" not in message
    return message


def wrong_arrays(array: np.ndarray, wanted: Array) -> Iterator[tuple[str, np.ndarray | None]]:
    """Yield an array damaged in each of the ways that the schema rules out."""
    yield "dropped", None
    yield "another type", np.zeros(array.shape, dtype=np.float16)
    yield "another axis", array[None]
    if array.ndim:
        longer = np.concatenate([array, array[-1:] if len(array) else np.zeros((1, *array.shape[1:]), array.dtype)])
        yield "longer", longer
    if array.size:
        limits = np.finfo(array.dtype) if array.dtype.kind == "f" else np.iinfo(array.dtype)
        bad = [np.nan, np.inf, -np.inf] if array.dtype.kind == "f" else []
        bad += [wanted.least - 1 if wanted.least > limits.min else None]
        bad += [wanted.most + 1 if wanted.most < limits.max else None]
        for value in bad:
            if value is not None and not wanted.least <= value <= wanted.most:
                changed = array.copy()
                changed.reshape(-1)[-1] = value
                yield f"{value:g}", changed


def named_with(name: str, schema: dict[str, Array]) -> set[str]:
    """Return an array's name and those of the arrays that must be as long."""
    lengths = {length for length in schema[name].shape if isinstance(length, str)}
    return {name} | {other for other, wanted in schema.items() if lengths & set(wanted.shape)}


@pytest.mark.parametrize(("family_name", "name"), [(f, name) for f in FAMILIES for name in family(f).schema])
def test_every_array_is_checked(family_name: str, name: str, valid: Path, tmp_path: Path) -> None:
    schema = dict(family(family_name).schema)
    target = shutil.copytree(valid / f"{family_name}.model", tmp_path / "m")
    arrays = load_file(target / ARRAYS)
    for damage, array in wrong_arrays(arrays[name], schema[name]):
        changed = {key: value for key, value in arrays.items() if key != name}
        save_file(changed if array is None else {**changed, name: array}, target / ARRAYS)
        with_right_digests(target)
        message = refusal(target)
        accepted = named_with(name, schema) if damage == "longer" else {name}
        assert any(other in message for other in accepted), (damage, message)


@pytest.mark.parametrize("kind", ["int8", "int32", "int64"])
@pytest.mark.parametrize("values", [[0, 1], [0, 100], [-3, 100], []])
def test_whole_numbers_come_back_in_the_type_of_the_schema(
    kind: str, values: list[int], few: Genotypes, tmp_path: Path
) -> None:
    array = np.array(values, dtype=kind)
    metadata = json.loads((saved("independent", few, tmp_path) / MODEL).read_text())
    target = write_model(tmp_path / "other", metadata, few.variants, {"numbers": array}, None)
    _, arrays = read_content(target, read_metadata(target), {"numbers": Array(kind, ("n",))})
    stored = arrays["numbers"]
    assert stored.dtype == array.dtype
    assert stored.tolist() == values


def test_an_array_more_is_refused(valid: Path, tmp_path: Path) -> None:
    target = shutil.copytree(valid / "independent.model", tmp_path / "m")
    save_file({**load_file(target / ARRAYS), "more": np.zeros(1)}, target / ARRAYS)
    with_right_digests(target)
    assert "more" in refusal(target)


def test_a_length_by_name_is_the_same_wherever_it_stands() -> None:
    schema = {"a": Array("float64", ("n", 3)), "b": Array("int8", ("n",), 0, 1)}
    check_arrays({"a": np.zeros((4, 3)), "b": np.zeros(4, np.int8)}, schema)
    check_arrays({"a": np.zeros((0, 3)), "b": np.zeros(0, np.int8)}, schema, n=0)
    for arrays, lengths, facts in (
        ({"a": np.zeros((4, 3)), "b": np.zeros(5, np.int8)}, {}, r"b .*\(5,\).* 4"),
        ({"a": np.zeros((4, 3)), "b": np.zeros(4, np.int8)}, {"n": 5}, r"a .*\(4, 3\).* 5"),
        ({"a": np.zeros((4, 2)), "b": np.zeros(4, np.int8)}, {}, r"a .*\(4, 2\).* 3"),
    ):
        with pytest.raises(ValueError, match=facts):
            check_arrays(arrays, schema, **lengths)


METADATA: dict[str, tuple[Any, ...]] = {
    "format": (2, "3", None),
    "model": (3, None, "another", ["haplotype"]),
    "label": ("super_pop", [], [1]),
    "label_counts": ([], {}, {"AFR": 0}, {"AFR": 1.5}, {"AFR": True}, {"AFR": 7}),
    "phased": (1, "yes", None),
    "ploidy": (0, 3, 2.0, True),
    "seed": (-1, 1.5, True),
    "parameters": ([], {"more": 1}, {}),
    "details": ([], None),
    "expected_leak": ([], {}, {"free frequencies": -1}, {"free frequencies": 1.5}),
    "provenance": ("pgcgan", None),
    "files": ([], {}),
}


@pytest.mark.parametrize("name", METADATA)
def test_every_entry_of_the_metadata_is_checked(name: str, valid: Path, tmp_path: Path) -> None:
    target = shutil.copytree(valid / "haplotype.model", tmp_path / "m")
    metadata = json.loads((target / MODEL).read_text())
    assert metadata.keys() == METADATA.keys()
    for value in (..., *METADATA[name]):
        changed = {key: entry for key, entry in metadata.items() if key != name or value is not ...}
        (target / MODEL).write_text(json.dumps(changed if value is ... else {**changed, name: value}))
        message = refusal(target)
        if name == "model" and value == "another":
            assert "'another'" in message
        elif name == "files" and value == {}:
            assert SITES in message
        elif value == {"AFR": 7}:  # arrays have other labels
            assert "axis 0 must have the length 1" in message
        else:
            assert name in message, message


@pytest.mark.parametrize("family_name", FAMILIES)
def test_every_parameter_in_the_metadata_is_checked(family_name: str, valid: Path, tmp_path: Path) -> None:
    target = shutil.copytree(valid / f"{family_name}.model", tmp_path / "m")
    metadata = json.loads((target / MODEL).read_text())
    parameters = metadata["parameters"]
    assert list(parameters) == family(family_name).parameter_names()
    for name in parameters:
        less = {key: value for key, value in parameters.items() if key != name}
        for changed in (less, {**less, name: []}, {**less, name: {}}):
            (target / MODEL).write_text(json.dumps({**metadata, "parameters": changed}))
            assert name in refusal(target)


SITES_ENTRIES: dict[str, Callable[[list[Any]], tuple[Any, ...]]] = {
    "contig": lambda v: (v[1:], "1", [1, *v[1:]], None),
    "position": lambda v: (v[1:], [*v[1:], -1], [1.5, *v[1:]], [True, *v[1:]], [2**63, *v[1:]], [], None),
    "id": lambda v: (v[1:], [None, *v[1:]], {}),
    "ref": lambda v: (v[1:], [0, *v[1:]]),
    "alt": lambda v: (v[1:], [["G"], *v[1:]]),
    "contig_lengths": lambda v: ([], {"1": "long"}, {"1": -5}, {"1": 1.5}),
    "assembly": lambda v: (37, ["GRCh37"]),
}


@pytest.mark.parametrize("name", SITES_ENTRIES)
def test_every_entry_of_the_sites_is_checked(name: str, valid: Path, tmp_path: Path) -> None:
    target = shutil.copytree(valid / "independent.model", tmp_path / "m")
    sites = json.loads((target / SITES).read_text())
    assert sites.keys() == SITES_ENTRIES.keys()
    for value in (..., *SITES_ENTRIES[name](sites[name])):
        less = {key: entry for key, entry in sites.items() if key != name}
        (target / SITES).write_text(json.dumps(less if value is ... else {**less, name: value}))
        with_right_digests(target)
        message = refusal(target)
        # a column of another length is one that does not go with the positions
        assert name in message or "position" in message, message


@pytest.mark.parametrize("name", [MODEL, SITES, ARRAYS])
@pytest.mark.parametrize("vouched", [False, True], ids=["", "with the right digest"])
def test_every_file_is_checked(name: str, vouched: bool, valid: Path, tmp_path: Path) -> None:
    target = shutil.copytree(valid / "pca-gaussian.model", tmp_path / "m")
    content = (target / name).read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"[]", b"\xff\xfe\x00", content[:-2] + b"NaN", None):
        (target / name).unlink(missing_ok=True)
        if damaged is not None:
            (target / name).write_bytes(damaged)
        if vouched and damaged is not None:
            with_right_digests(target)
        assert name in refusal(target)
        (target / name).write_bytes(content)
        with_right_digests(target)
    assert pgcgan.load(target).sample(2, seed=0).n_samples == 2


def test_files_of_two_models_are_not_one(valid: Path, few: Genotypes, tmp_path: Path) -> None:
    target = shutil.copytree(valid / "independent.model", tmp_path / "m")
    other = create("independent", seed=1).fit(few.select(samples=np.arange(50))).save(tmp_path / "other")
    shutil.copy(other / ARRAYS, target / ARRAYS)
    assert ARRAYS in refusal(target)


def test_directories_that_are_no_model(valid: Path, tmp_path: Path) -> None:
    target = tmp_path / "m"
    assert "There is no model directory" in refusal(target)
    target.mkdir()
    assert MODEL in refusal(target)
    (target / "run.json").write_text("{}")
    assert "--resume" in refusal(target)
    (target / "run.json").unlink()
    for old in ("baseline.json", "manifest.json"):
        (target / old).write_text("{}")
        assert "0.1" in refusal(target)
        (target / old).unlink()
    (target / "plan").mkdir()
    assert "windows" in refusal(target)
    (tmp_path / "notes.txt").write_text("text")
    assert "notes.txt is a file, not a model directory" in refusal(tmp_path / "notes.txt")


# ---- writing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("umask", "file", "folder"), [(0o022, 0o644, 0o755), (0o077, 0o600, 0o700), (0o002, 0o664, 0o775)]
)
def test_files_have_the_mode_that_the_umask_gives(
    umask: int, file: int, folder: int, valid: Path, tmp_path: Path
) -> None:
    model = pgcgan.load(valid / "independent.model")
    before = os.umask(umask)
    try:
        target = model.save(tmp_path / "m")
    finally:
        os.umask(before)
    assert target.stat().st_mode & 0o777 == folder
    assert {path.name: path.stat().st_mode & 0o777 for path in target.iterdir()} == dict.fromkeys(
        ("MODEL_CARD.md", MODEL, SITES, ARRAYS), file
    )


def test_nothing_is_replaced_without_force(valid: Path, few: Genotypes, tmp_path: Path) -> None:
    target = Path(shutil.copytree(valid / "smote.model", tmp_path / "m"))
    before = {path.name: path.read_bytes() for path in target.iterdir()}
    other = create("independent", "gender").fit(few)
    with pytest.raises(UsageError, match=f"{target} .*force"):
        other.save(target)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == before
    (target / "training.safetensors").write_bytes(b"of a training that did not finish")
    assert other.save(target, force=True) == target
    again = pgcgan.load(target)
    assert (again.name, again.label) == ("independent", ("gender",))
    assert sorted(path.name for path in target.iterdir()) == ["MODEL_CARD.md", ARRAYS, MODEL, SITES]


@pytest.mark.parametrize("force", [False, True])
def test_what_is_no_model_is_never_replaced(force: bool, valid: Path, tmp_path: Path) -> None:
    model = pgcgan.load(valid / "independent.model")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("text")
    (tmp_path / "notes.txt").write_text("text")
    for name in ("thesis", "notes.txt"):
        with pytest.raises(UsageError, match=str(tmp_path / name)):
            model.save(tmp_path / name, force=force)
    assert (tmp_path / "thesis" / "chapter1.tex").read_text() == "text"
    assert (tmp_path / "notes.txt").read_text() == "text"


def test_values_that_are_no_numbers_are_not_written(valid: Path, tmp_path: Path) -> None:
    model: Any = pgcgan.load(valid / "independent.model")
    model.frequency_ = model.frequency_ * np.nan
    with pytest.raises(ModelError, match="frequency"):
        model.save(tmp_path / "m")
    assert not (tmp_path / "m").exists()
