"""Bgzip blocks and indexes that we write, as htslib reads them."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pysam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgcgan import Genotypes, Variants, read, write
from pgcgan.io.bgzf import opened, write_bgzip


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 200_000), st.booleans()), max_size=5), st.integers(1, 9), st.integers(0, 2**32)
)
def test_blocks_hold_what_was_written(sizes, level, seed):
    generator = np.random.default_rng(seed)
    parts = [generator.bytes(size) if odd else bytes([65]) * size for size, odd in sizes]
    with TemporaryDirectory() as folder:
        path = Path(folder, "x.gz")
        write_bgzip(str(path), iter(parts), level)
        assert gzip.decompress(path.read_bytes()) == b"".join(parts)
        with opened(str(path)) as stream:
            assert stream.read() == b"".join(parts)


@st.composite
def sites(draw):
    """Return sites in order on a few contigs: near each other and far, with long REF too."""
    near = st.integers(0, 400)
    longest = draw(st.sampled_from([2**27, 2**31 - 2]))
    columns = []
    for contig in draw(st.lists(st.sampled_from(["1", "6", "X", "chrUn_a"]), min_size=1, max_size=3, unique=True)):
        far = st.integers(1, longest)
        starts = draw(st.lists(far, min_size=1, max_size=4))
        places = sorted({min(longest, s + g) for s in starts for g in draw(st.lists(near, min_size=1, max_size=6))})
        for place in places:
            room = min(2**31 - 1 - place, draw(st.sampled_from([1, 1, 1, 3, 20_000, 40_000])))
            columns.append((contig, place, "A" * max(1, room)))
    return columns


@settings(deadline=None, max_examples=40)
@given(sites(), st.integers(1, 500), st.sampled_from([".vcf.gz", ".bcf"]), st.data())
def test_htslib_finds_by_our_index_what_reaches_into_a_region(columns, people, suffix, data):
    contig, position, ref = map(list, zip(*columns, strict=True))
    n = len(columns)
    calls = np.random.default_rng(n).integers(0, 2, (n, people, 2), dtype=np.int8)
    variants = Variants(contig=contig, position=position, id=list(map(str, range(n))), ref=ref, alt=["C"] * n)
    with TemporaryDirectory() as folder:
        path, index = write(Genotypes(calls, variants, [f"P{i}" for i in range(people)]), Path(folder, f"x{suffix}"))
        far = max(p + len(r) for p, r in zip(position, ref, strict=True)) > 2**29
        assert index.suffix == (".csi" if suffix == ".bcf" or far else ".tbi")
        with pysam.VariantFile(str(path)) as reference:
            assert [r.id for r in reference.fetch()] == list(map(str, range(n)))
            for _ in range(4):
                name, place, _ = data.draw(st.sampled_from(columns))
                first = min(2**31 - 3, max(0, place - 1 + data.draw(st.integers(-200_000, 200_000))))
                last = min(2**31 - 2, first + data.draw(st.sampled_from([1, 10, 20_000, 10_000_000])))
                wanted = [
                    str(i)
                    for i, (c, p, r) in enumerate(columns)
                    if c == name and p - 1 < last and p - 1 + len(r) > first
                ]
                assert [r.id for r in reference.fetch(name, first, last)] == wanted
        name, place, _ = data.draw(st.sampled_from(columns))
        inside = np.array([c == name and p >= place for c, p, _ in columns])
        assert np.array_equal(read(path, region=f"{name}:{place}-").calls, calls[inside])


@pytest.mark.oracle
@pytest.mark.parametrize("suffix", [".vcf.gz", ".bcf"])
@pytest.mark.parametrize("far", [0, 600_000_000])
def test_bcftools_counts_the_records_of_our_index(tmp_path, suffix, far):
    contigs = ["2"] * 3 + ["10"] * 5
    position = [5, 5000, 70_000, 1, 2, 3, 90_000, far + 100_000]
    n = len(contigs)
    variants = Variants(
        contig=contigs, position=position, id=["."] * n, ref=["A"] * n, alt=["C"] * n, contig_lengths={"1": 9}
    )
    path, _ = write(Genotypes(np.zeros((n, 2, 2), dtype=np.int8), variants, ["a", "b"]), tmp_path / f"x{suffix}")
    said = subprocess.run(["bcftools", "index", "--stats", path], capture_output=True, text=True, check=True)
    assert [line.split("\t")[::2] for line in said.stdout.splitlines()] == [["2", "3"], ["10", "5"]]
    assert not said.stderr
