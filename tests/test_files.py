"""Files and directories that are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pgcgan.errors import UsageError
from pgcgan.runtime.files import LOCK, held, whole_directory, whole_file, whole_files, write_text


def contents(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize(("umask", "expected"), [(0o022, 0o644), (0o077, 0o600)])
def test_the_mode_follows_the_umask_whatever_library_wrote_the_file(tmp_path, umask, expected):
    before = os.umask(umask)
    try:
        with whole_file(tmp_path / "a") as partial:
            os.close(os.open(partial, os.O_CREAT | os.O_WRONLY, 0o600))  # as safetensors does
        with whole_directory(tmp_path / "d", "marker") as folder:
            os.close(os.open(folder / "marker", os.O_CREAT | os.O_WRONLY, 0o600))
    finally:
        os.umask(before)
    assert (mode(tmp_path / "a"), mode(tmp_path / "d" / "marker")) == (expected, expected)


def test_a_file_is_replaced_at_the_end_or_stays(tmp_path):
    write_text(tmp_path / "a", "old")
    with whole_file(tmp_path / "a") as partial:
        partial.write_text("new")
        assert (tmp_path / "a").read_text() == "old"
    with pytest.raises(ZeroDivisionError), whole_file(tmp_path / "a") as partial:
        partial.write_text("half")
        raise ZeroDivisionError
    assert contents(tmp_path) == {"a": "new"}
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_files_of_two_folders_come_together_and_stale_ones_go(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "one" / "main.csi").write_text("stale")
    (tmp_path / "one" / "main").write_text("old")
    paths = [tmp_path / "one" / "main", tmp_path / "two" / "side"]
    with pytest.raises(UsageError, match="main cannot be written: No space left"), whole_files(paths) as partial:
        raise OSError(28, "No space left on device")
    assert contents(tmp_path) == {"one/main": "old", "one/main.csi": "stale"}
    with whole_files(paths, stale=[tmp_path / "one" / "main.csi"]) as partial:
        for path in partial:
            path.write_text("new")
    assert contents(tmp_path) == {"one/main": "new", "two/side": "new"}


def write_directory(path: Path, text: str, *names: str, **options: object) -> None:
    with whole_directory(path, "marker", others=("weights", "log", "state"), **options) as folder:
        for name in ("marker", *names):
            (folder / name).write_text(text)


def test_a_directory_holds_the_files_of_one_run(tmp_path):
    write_directory(tmp_path / "a" / "b", "old", "weights", "log")
    (tmp_path / "a" / "b" / "notes").write_text("of the user")
    with pytest.raises(UsageError, match=r"b exists; force=True"):
        write_directory(tmp_path / "a" / "b", "new", "weights")
    write_directory(tmp_path / "a" / "b", "new", "weights", force=True)
    assert contents(tmp_path) == {"a/b/marker": "new", "a/b/weights": "new", "a/b/notes": "of the user"}
    with (
        pytest.raises(ZeroDivisionError),
        whole_directory(tmp_path / "a" / "b", "marker", force=True) as folder,
    ):
        (folder / "marker").write_text("half")
        raise ZeroDivisionError
    assert contents(tmp_path) == {"a/b/marker": "new", "a/b/weights": "new", "a/b/notes": "of the user"}


def test_a_directory_of_something_else_is_not_replaced(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "thesis.txt").write_text("years")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"a exists and holds other files \(thesis.txt\)"):
        write_directory(tmp_path / "a", "new", force=True)
    with pytest.raises(UsageError, match="file is a file"):
        write_directory(tmp_path / "file", "new", force=True)
    assert contents(tmp_path) == {"a/thesis.txt": "years", "file": ""}


def test_an_unfinished_directory_is_finished_and_a_failed_one_is_not_left(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "state").write_text("checkpoint")
    write_directory(tmp_path / "a", "new", "weights")
    assert contents(tmp_path) == {"a/marker": "new", "a/weights": "new"}
    with pytest.raises(ZeroDivisionError), whole_directory(tmp_path / "b", "marker"):
        raise ZeroDivisionError
    assert not (tmp_path / "b").exists()


def test_a_lock_is_never_opened_through_a_link(tmp_path):
    (tmp_path / "precious").write_text("data")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / LOCK).symlink_to(tmp_path / "precious")
    with pytest.raises(OSError), held(tmp_path / "a"):
        pass
    with pytest.raises(UsageError, match="a cannot be written: "):
        write_directory(tmp_path / "a", "new")
    assert (tmp_path / "precious").read_text() == "data"
