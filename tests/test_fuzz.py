"""Readers on damaged files (fuzzing.py) and on tables of any text: one sentence, or what the table says."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fuzzing import TARGETS, run
from hypothesis import given, settings
from hypothesis import strategies as st

from pgcgan.errors import PgcganError
from pgcgan.io import read_panel, read_split
from pgcgan.io.impute import _read_legend, _read_samples
from pgcgan.io.plink1 import _read_bim, _read_fam
from pgcgan.io.plink2 import read_psam, read_pvar

# `make torture` sets it to more
INPUTS = int(os.environ.get("PGCGAN_FUZZ_INPUTS", "15"))  # of each kind of file


def test_damaged_files_are_refused_in_a_sentence_or_read(valid: Path) -> None:
    counts, faults = run(list(TARGETS), 0, INPUTS, valid)
    assert faults == []
    assert all(count.total() == INPUTS for count in counts.values())
    # the damage reaches what it is aimed at: most is seen
    assert sum(count["refused"] for count in counts.values()) > INPUTS * len(TARGETS) / 2


# ---- tables ---------------------------------------------------------------------------------------------------------

READERS: dict[str, Callable[[str], Any]] = {
    "x.panel": read_panel,
    "x.split": read_split,
    "x.bim": _read_bim,
    "x.fam": _read_fam,
    "x.psam": read_psam,
    "x.pvar": lambda path: read_pvar(path, None),
    "x.legend": lambda path: list(_read_legend(path, None)),
    "x.samples": _read_samples,
}
HEADERS = (
    "sample\tpop\tsuper_pop\tgender", "sample split", "IID,pop", "#IID SEX", "#FID IID SEX POP", "id position a0 a1",
    "#CHROM\tPOS\tID\tREF\tALT", "##x", "sample population group sex", "ID_1 ID_2 missing", "0 0 0",
)  # fmt: skip
cells = st.one_of(
    st.sampled_from(
        ["a", "1", "-1", "0", "NA", ".", "", "train", "test", "10_A_C", "6:10_A_C", "1e3", "9" * 25, '"', "😀"]
    ),
    st.text(max_size=4),
)
lines = st.tuples(st.lists(cells, max_size=7), st.sampled_from(["\t", " ", ","])).map(lambda t: t[1].join(t[0]))
tables = st.tuples(st.sampled_from(["", *HEADERS]), st.lists(lines, max_size=6), st.sampled_from(["\n", "\r\n"])).map(
    lambda t: t[2].join([t[0], *t[1]]).encode("utf-8", "surrogatepass")
)


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=4 * INPUTS)
@given(content=st.one_of(tables, st.binary(max_size=60)))
def test_a_table_of_any_text_is_read_or_refused_in_a_sentence(
    name: str, content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(content)
    try:
        READERS[name](str(path))
    except PgcganError as error:
        assert str(path) in str(error)
        assert "\n" not in str(error)
        assert str(error).endswith(".")


words = st.text("abcXYZ019_-", min_size=1, max_size=6).filter(lambda w: w.lower() not in ("na", "nan", "none", "-9"))
people = st.lists(st.tuples(words, words), min_size=1, max_size=6, unique_by=lambda row: row[0])


@given(people=people, between=st.sampled_from("\t ,"), end=st.sampled_from(["\n", "\r\n"]))
def test_a_table_that_is_right_is_read_as_it_is(people, between: str, end: str, tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / "right"
    path.write_text(end.join(between.join(row) for row in [("sample", "pop"), *people]) + end, newline="")
    assert read_panel(path) == {"pop": dict(people)}
    path.write_text(end.join(between.join(row) for row in [("sample", "split"), *people, ("z_z", "train")]), newline="")
    assert read_split(path) == {**dict(people), "z_z": "train"}
    if between != ",":
        path.write_text("".join(between.join(("0", row[0], "0", "0", "1", "-9")) + end for row in people), newline="")
        assert list(_read_fam(str(path))) == [row[0] for row in people]
        path.write_text("".join(between.join(row) + end for row in [("#IID", "POP"), *people]), newline="")
        assert read_psam(str(path))[0] == [row[0] for row in people]
