"""The data sets that the benchmarks read: 1000 Genomes people, and the published synthetic haplotypes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pgcgan import Genotypes, read
from pgcgan.errors import DataError
from pgcgan.genotypes import Variants
from pgcgan.io import read_split

LABEL = "super_pop"


@dataclass(frozen=True)
class DataSet:
    """A data set in the data folder; `published` names files of synthetic haplotypes that others made of it."""

    name: str
    title: str
    vcf: str
    published: Mapping[str, str]


DATA_SETS = (
    DataSet("hla", "HLA region", "hla.vcf.gz", {}),
    DataSet(
        "snp805",
        "805 SNPs on 22 chromosomes",
        "snp805.vcf.gz",
        {"published GAN": "snp805_gan.npz", "published RBM": "snp805_rbm.npz"},
    ),
)


def read_parts(folder: Path, data: DataSet) -> tuple[Genotypes, Genotypes]:
    """Return the training people and the held-out people."""
    people = read(folder / data.vcf, folder / "panel.tsv")
    split = read_split(folder / "split.tsv")
    absent = [name for name in people.samples if name not in split]
    if absent:
        raise DataError(f"{len(absent)} people of {data.vcf} are not in split.tsv, the first is {absent[0]}.")
    train = np.array([split[name] == "train" for name in people.samples])
    return people.select(samples=train), people.select(samples=~train)


def read_published(path: Path, variants: Variants) -> Genotypes:
    """Return published haplotypes as people without labels: rows 2i and 2i+1 of the file are person i.

    Alleles are coded as in `variants`: where the file has REF and ALT the other way round, 0 and 1 change places.
    """
    with np.load(path, allow_pickle=False) as arrays:
        haplotypes, contig, position = arrays["haplotypes"], arrays["chrom"].astype(str), arrays["pos"]
        ref, alt = arrays["ref"].astype(str), arrays["alt"].astype(str)
    at = {key: i for i, key in enumerate(zip(contig.tolist(), position.tolist(), strict=True))}
    order = np.array([at.get(key, -1) for key in zip(variants.contig, variants.position.tolist(), strict=True)])
    if (order < 0).any():
        raise DataError(f"{path.name} has no site {variants.name(int(np.flatnonzero(order < 0)[0]))}.")
    ref, alt = ref[order], alt[order]
    same = (ref == variants.ref) & (alt == variants.alt)
    swapped = (ref == variants.alt) & (alt == variants.ref)
    other = np.flatnonzero(~(same | swapped))
    if len(other):
        raise DataError(f"{path.name} has other alleles than the VCF at {variants.name(int(other[0]))}.")
    even = haplotypes[: len(haplotypes) // 2 * 2, order].astype(np.int8)
    calls = np.where(swapped, 1 - even, even).T.reshape(len(variants), -1, 2)
    names = [f"{path.stem}_{i:06d}" for i in range(1, calls.shape[1] + 1)]
    return Genotypes(calls, variants, np.array(names), {}, phased=True)


def label_counts(people: Genotypes, label: str = LABEL) -> dict[str, int]:
    """Return the number of people of each label."""
    values, counts = np.unique(people.label(label).astype(str), return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))
