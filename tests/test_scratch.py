"""People in blocks, sites in blocks: what is written in parts is what is written whole."""

from __future__ import annotations

import os
import re
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pgcgan import Genotypes, HaplotypeModel, read, write
from pgcgan.errors import DataError, UsageError
from pgcgan.genotypes import concat
from pgcgan.io import FORMATS
from pgcgan.io.records import Table
from pgcgan.io.scratch import StoredCalls, site_blocks

SUFFIXES = [suffix for several in FORMATS for suffix in several if suffix not in (".trees",)]
UNPHASED = (".bed",)


@given(st.data(), st.integers(1, 40), st.sampled_from([1, 2]), st.lists(st.integers(1, 30), min_size=1, max_size=5))
def test_calls_come_back(data, sites, ploidy, people):
    parts = [
        data.draw(arrays.arrays(np.int8, (sites, n, ploidy), elements=st.integers(data.draw(st.integers(-1, 0)), 1)))
        for n in people
    ]
    calls = StoredCalls()
    for part in parts:
        calls.append(part)
    whole = np.concatenate(parts, axis=1)
    assert calls.shape == whole.shape
    start = data.draw(st.integers(0, sites))
    stop = data.draw(st.integers(start, sites))
    assert np.array_equal(calls[start:stop], whole[start:stop])
    assert np.array_equal(calls[:], whole)


def test_a_bit_an_allele():
    calls = StoredCalls()
    calls.append(np.ones((7, 80, 2), dtype=np.int8))
    assert calls.bytes == 7 * 80 * 2 / 8


@pytest.fixture
def parts(cohort) -> list[Genotypes]:
    """Return 90 people of a cohort in three blocks; some calls are missing in one."""
    people = cohort.select(samples=np.arange(90), sites=slice(0, 70))
    calls = people.calls.copy()
    calls[5:20, 40:50] = -1
    whole = Genotypes(calls, people.variants, people.samples, people.labels)
    return [whole.select(samples=np.arange(a, b)) for a, b in ((0, 33), (33, 64), (64, 90))]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_bytes_in_parts(parts, suffix, tmp_path):
    if suffix in (".hap", ".hap.gz"):  # hold no missing calls
        parts = [part.select(sites=slice(20, 70)) for part in parts]
    for folder in ("whole", "parts"):
        (tmp_path / folder).mkdir()
    options = {"unphased": suffix in UNPHASED, "command": "c", "seed": 3}
    write(concat(parts), tmp_path / "whole" / f"x{suffix}", **options)
    written = write(iter(parts), tmp_path / "parts" / f"x{suffix}", **options)
    files = {str(f.relative_to(tmp_path / "whole")): f for f in (tmp_path / "whole").rglob("*") if f.is_file()}
    assert {str(f.relative_to(tmp_path / "parts")) for f in (tmp_path / "parts").rglob("*") if f.is_file()} == set(
        files
    )
    assert all((tmp_path / "parts" / name).read_bytes() == file.read_bytes() for name, file in files.items())
    assert tmp_path / "parts" / f"x{suffix}" in written


def test_progress_says_how_far_the_writing_is(parts, tmp_path):
    events = []
    write(parts, tmp_path / "x.vcf.gz", on_event=events.append)
    assert {e["stage"] for e in events} == {"writing"}
    fractions = [e["fraction"] for e in events]
    assert fractions == sorted(fractions) and fractions[-1] == 1


def test_blocks_of_sites_cover_them_once(parts):
    found = list(site_blocks(parts[0], 5 * 33 * 2))
    assert [start for start, _ in found] == list(range(0, 70, 5))
    assert np.array_equal(np.concatenate([block for _, block in found]), parts[0].calls)


def test_a_run_that_fails_leaves_nothing(parts, tmp_path):
    def broken():
        yield parts[0]
        assert os.listdir(tmp_path) == []  # no name while it waits, so that nothing is left by a kill
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write(broken(), tmp_path / "x.vcf.gz")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.select(sites=slice(1, 70)), "Part 1 has other variants than the first; select the common sites"),
        (lambda p: p.without_phase(), "Part 1 differs from the first in phase state or ploidy."),
        (lambda p: p.with_labels({"x": ["a"] * p.n_samples}), "Part 1 has the labels .*x.*, the first has "),
    ],
)
def test_parts_that_do_not_fit(parts, change, message, tmp_path):
    with pytest.raises(DataError, match=message):
        write([parts[0], change(parts[1])], tmp_path / "x.bcf")
    assert os.listdir(tmp_path) == []


def test_a_person_twice_and_nobody(parts, tmp_path):
    with pytest.raises(DataError, match=f"Sample names occur more than once: {parts[0].samples[0]}"):
        write([parts[0], parts[0]], tmp_path / "x.bcf")
    with pytest.raises(DataError, match=re.escape("There is nothing to write: no people.")):
        write([], tmp_path / "x.bcf")


def test_a_folder_that_is_not_there_is_told_before_anybody_is_made(parts, tmp_path):
    with pytest.raises(UsageError, match="The folder .*nowhere of the output .* does not exist"):
        write(iter(parts), tmp_path / "nowhere" / "x.bcf")


@pytest.fixture
def nothing_fits(monkeypatch):
    """Let no genotypes fit into memory."""
    monkeypatch.setattr("pgcgan.io.scratch.MEMORY_SHARE", 0.0)


@pytest.mark.parametrize("suffix", [".vcf.gz", ".bcf", ".bed", ".pgen", ".hap.gz"])
def test_what_is_larger_than_memory_is_read_as_what_is_not(cohort, suffix, tmp_path, monkeypatch):
    phased = suffix not in UNPHASED
    write(cohort, tmp_path / f"x{suffix}", unphased=not phased)
    options = {"panel": tmp_path / "x.panel.tsv", "samples": lambda names: names[::2]}
    for more in ({}, {"min_maf": 0.2}, {"unphased": True}):
        with monkeypatch.context() as patch:
            patch.setattr("pgcgan.io.scratch.MEMORY_SHARE", 0.0)
            on_disk = read(tmp_path / f"x{suffix}", **options, **more)
        assert isinstance(on_disk.calls.base, np.memmap) or isinstance(on_disk.calls.base.base, np.memmap)
        assert on_disk.equals(read(tmp_path / f"x{suffix}", **options, **more))


def test_a_table_moves_to_disk_when_it_has_grown(parts, tmp_path, monkeypatch):
    write(parts[0], tmp_path / "x.vcf")
    sizes = iter([False, False, True])  # at the start, and when it grows
    monkeypatch.setattr("pgcgan.io.records.too_large", lambda _: next(sizes, True))
    monkeypatch.setattr("pgcgan.io.scratch.too_large", lambda _: next(sizes, True))
    monkeypatch.setattr("pgcgan.io.vcf.Table", partial(Table, expected=8))
    assert read(tmp_path / "x.vcf", tmp_path / "x.panel.tsv").equals(parts[0])
    assert next(sizes, None) is None


def test_a_model_of_what_is_larger_than_memory(cohort, tmp_path, nothing_fits):
    cohort = cohort.select(sites=slice(0, 120))
    write(cohort, tmp_path / "x.bcf")
    on_disk = read(tmp_path / "x.bcf", tmp_path / "x.panel.tsv")
    model = HaplotypeModel(seed=1, run_carriers=4)
    from_disk, expected = (model.fit(people).sample(20, seed=1) for people in (on_disk, cohort))
    assert from_disk.equals(expected)


def test_no_room_on_the_disk_either(parts, tmp_path, nothing_fits, monkeypatch):
    write(parts[0], tmp_path / "x.bcf")
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=1, f_frsize=1))
    with pytest.raises(UsageError, match="more than memory has room for, and cannot be kept in .*: No space left"):
        read(tmp_path / "x.bcf")


def test_a_full_disk(parts, monkeypatch, tmp_path):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pgcgan.io.scratch.StoredCalls.append", full)
    with pytest.raises(UsageError, match=r"x\.bcf cannot be written: No space left on device\."):
        write(iter(parts), tmp_path / "x.bcf")
    assert os.listdir(tmp_path) == []
