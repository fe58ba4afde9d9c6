"""How files are changed to see what a reader makes of them: functions that return what changes a folder."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from fuzzing import with_right_digests


def text(name: str, old: str, new: str, count: int = 1) -> Callable[[Path], None]:
    """Replace a pattern in a text file."""

    def change(folder: Path) -> None:
        content = (folder / name).read_text(encoding="utf-8")
        changed, times = re.subn(old, lambda match: match.expand(new), content, count=count, flags=re.MULTILINE)
        assert times, f"{name} has no {old}"
        (folder / name).write_text(changed, encoding="utf-8", newline="")

    return change


def cell(row: int, column: int, value: str, name: str = "x.vcf") -> Callable[[Path], None]:
    """Set a cell of a record: rows and columns from 0, samples from column 9."""

    def change(folder: Path) -> None:
        lines = (folder / name).read_text().splitlines()
        at = [i for i, line in enumerate(lines) if not line.startswith("#")][row]
        cells = lines[at].split("\t")
        cells[column] = value
        lines[at] = "\t".join(cells)
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")

    return change


def rows(function: Callable[[list[str]], list[str]], name: str = "x.vcf") -> Callable[[Path], None]:
    """Change the list of records (or of all lines, where there is no header)."""

    def change(folder: Path) -> None:
        lines = (folder / name).read_text().splitlines()
        head = [line for line in lines if line.startswith("#")]
        (folder / name).write_text("\n".join(head + function(lines[len(head) :])) + "\n")

    return change


def data(name: str, function: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Change the bytes of a file."""

    def change(folder: Path) -> None:
        path = folder / name
        path.write_bytes(function(path.read_bytes() if path.exists() else b""))

    return change


def gone(name: str) -> Callable[[Path], None]:
    """Remove a file."""
    return lambda folder: (folder / name).unlink()


def half(content: bytes) -> bytes:
    """Cut a file in the middle."""
    return content[: len(content) // 2]


def both(*changes: Callable[[Path], None]) -> Callable[[Path], None]:
    """Make several changes."""

    def change(folder: Path) -> None:
        for one in changes:
            one(folder)

    return change


def json_of(function: Callable[[dict], object], name: str = "haplotype.model/model.json") -> Callable[[Path], None]:
    """Change a JSON file."""

    def change(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        function(content)
        (folder / name).write_text(json.dumps(content))

    return change


def array(name: str, function: Callable[[np.ndarray], np.ndarray], model: str = "haplotype") -> Callable[[Path], None]:
    """Change an array of a model, and let model.json vouch for it."""

    def change(folder: Path) -> None:
        from safetensors.numpy import load_file, save_file

        path = folder / f"{model}.model" / "arrays.safetensors"
        stored = load_file(path)
        stored[name] = np.ascontiguousarray(function(stored[name]))
        save_file(stored, path)
        with_right_digests(path.parent)

    return change


def vouched(change_file: Callable[[Path], None], model: str = "haplotype") -> Callable[[Path], None]:
    """Change a file of a model, and let model.json vouch for it."""
    return both(change_file, lambda folder: with_right_digests(folder / f"{model}.model"))


def arrays(file: str, **changed: object) -> Callable[[Path], None]:
    """Change or (None) remove arrays of a .npz file."""

    def change(folder: Path) -> None:
        with np.load(folder / file) as stored:
            content = {name: stored[name] for name in stored} | changed
        np.savez_compressed(folder / file, **{k: v for k, v in content.items() if v is not None})

    return change


def large_header(file: str, member: str, shape: str) -> Callable[[Path], None]:
    """Let an array of a .npz file say that it has another shape."""

    def change(folder: Path) -> None:
        import zipfile

        with zipfile.ZipFile(folder / file) as old:
            contents = {name: old.read(name) for name in old.namelist()}
        head = re.sub(rb"'shape': \([^)]*\)", f"'shape': ({shape})".encode(), contents[member][:128]).rstrip()
        contents[member] = head.ljust(127)[:127] + b"\n" + contents[member][128:]
        with zipfile.ZipFile(folder / file, "w") as new:
            for name, content in contents.items():
                new.writestr(name, content)

    return change


def another_byte(folder: Path) -> None:
    """Change one byte of the arrays, so that all shapes are as they were."""
    path = folder / "haplotype.model" / "arrays.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


class Trap:
    """An object that makes a file when it is unpickled."""

    def __reduce__(self) -> tuple:
        return (open, ("sprung", "w"))


def relabelled(*values: str) -> Callable[[Path], None]:
    """Give people other labels, by turns."""

    def change(folder: Path) -> None:
        lines = (folder / "x.panel.tsv").read_text().splitlines()
        names = [line.split("\t")[0] for line in lines[1:]]
        table = [f"{name}\t{values[i % len(values)]}" for i, name in enumerate(names)]
        (folder / "x.panel.tsv").write_text("sample\tgroup\n" + "\n".join(table) + "\n", encoding="utf-8")

    return change


def first_alone(folder: Path) -> None:
    """Make one person the only one of their label."""
    lines = (folder / "x.panel.tsv").read_text().splitlines()
    table = [f"{line.split()[0]}\t{'MARS' if i == 0 else 'EARTH'}" for i, line in enumerate(lines[1:])]
    (folder / "x.panel.tsv").write_text("sample\tgroup\n" + "\n".join(table) + "\n")
