"""The command that results keep: file names without the folders of whoever made them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pgcgan.provenance import command_line


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["/home/ada/.venv/bin/pgcgan", "train", "/data/secret/cohort.vcf.gz"], "pgcgan train cohort.vcf.gz"),
        (["pgcgan", "info", "in/cohort.vcf.gz", "-o", "../x/y.model/"], "pgcgan info cohort.vcf.gz -o y.model"),
        (["pgcgan", "info", "--output=in/a.json", "~ada/b"], "pgcgan info --output=a.json b"),
        (["pgcgan", "generate", "-n", "EUR/GBR=5", "--set", "x=1/2"], "pgcgan generate -n EUR/GBR=5 --set x=1/2"),
        (
            ["pgcgan", "info", "https://user:key@a.example/in/b.vcf.gz?sig=1"],
            "pgcgan info 'https://…@a.example/in/b.vcf.gz?…'",
        ),
        (["pgcgan", "info", "-", ""], "pgcgan info - ''"),
    ],
)
def test_a_command_keeps_file_names_and_no_folder(
    words: list[str], command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", words)
    assert command_line() == command
