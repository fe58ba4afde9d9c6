"""Structure: what PLINK and scikit-allel measure in synthetic people, beside the same of real people.

Every cohort is compared with the training people; the row of the held-out people says how far other real people are.
People simulated by msprime from a history of the populations have other sites, so that what compares sites is left out.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from cohorts import LABEL
from downstream_association import HELD_OUT, TRAINING, write_cohort
from downstream_page import cell, measured, table
from downstream_people import Cohort
from downstream_tools import missing, run
from measuring import short

from pgcgan import Genotypes, simulate

NAME, TITLE = "structure", "Structure, diversity and linkage"
TOOLS = ("plink2", "plink1.9")
SIMULATED = "msprime"
COMPONENTS = 10
ROH = ("--homozyg", "--homozyg-kb", "500", "--homozyg-snp", "50")
WINDOW = 100  # sites of a window of haplotype homozygosity
REACH = 200_000  # base pairs to either side that count for an LD score
FIGURES = {
    "centre shift": "PCA: shift of the centre of a label, in its SD",
    "spread": "PCA: SD within labels, ratio",
    "fst": "Fst of pairs of labels, RMSE",
    "roh": "runs of homozygosity, kb a person",
    "h12": "H12 of windows, mean",
    "h12 r": "H12 of windows, r",
    "ld score": "LD score, mean",
    "ld score r": "LD score, r",
}


def find_components(folder: Path) -> None:
    """Find the principal components of the people in a folder, by `plink2 --pca`."""
    pca = ["--freq", "counts", "--pca", str(COMPONENTS), "allele-wts"]
    run(["plink2", "--bfile", "people", *pca, "--threads", "1", "--out", "pca"], folder)


def project(people: Path, axes: Path) -> np.ndarray:
    """Return people of one folder on the components of another: `plink2 --score`, shape (people, components)."""
    score = ["2", "5", "header-read", "no-mean-imputation", "variance-standardize", "cols=scoresums"]
    columns = ["--score-col-nums", f"6-{5 + COMPONENTS}", "--read-freq", str(axes / "pca.acount")]
    weights = ["--score", str(axes / "pca.eigenvec.allele"), *score]
    run(["plink2", "--bfile", "people", *weights, *columns, "--threads", "1", "--out", "projected"], people)
    lines = (people / "projected.sscore").read_text(encoding="utf-8").splitlines()
    return np.array([line.split()[-COMPONENTS:] for line in lines[1:]], dtype=float)


def runs_of_homozygosity(folder: Path) -> float:
    """Return the mean length (kb) of a person's runs of homozygosity in the region, by PLINK 1.9."""
    run(["plink1.9", "--bfile", "people", *ROH, "--threads", "1", "--out", "roh"], folder)
    lines = [line.split() for line in (folder / "roh.hom.indiv").read_text(encoding="utf-8").splitlines()]
    at_length = lines[0].index("KB")
    return float(np.mean([float(row[at_length]) for row in lines[1:]]))


def ld_scores(folder: Path, position: np.ndarray) -> np.ndarray:
    """Return for each site the sum of its r² with the sites near it, by PLINK 1.9; a site that does not vary has 0."""
    run(["plink1.9", "--bfile", "people", "--r2", "square", "bin4", "--threads", "1", "--out", "r2"], folder)
    r2 = np.nan_to_num(np.fromfile(folder / "r2.ld.bin", dtype=np.float32).reshape(len(position), -1))
    (folder / "r2.ld.bin").unlink()
    first, last = (
        np.searchsorted(position, position + step, side) for step, side in ((-REACH, "left"), (REACH, "right"))
    )
    return np.array([row[a:b].sum() for row, a, b in zip(r2, first, last, strict=True)], dtype=float)


def fst(people: Genotypes) -> dict[str, float]:
    """Return Hudson's Fst of each pair of labels, by scikit-allel."""
    import allel

    labels = people.label(LABEL).astype(str)
    counts = {
        label: allel.GenotypeArray(people.calls[:, labels == label]).count_alleles(max_allele=1)
        for label in np.unique(labels).tolist()
    }
    result = {}
    for a, b in itertools.combinations(counts, 2):
        shared, total = allel.hudson_fst(counts[a], counts[b])
        result[f"{a} {b}"] = float(np.nansum(shared) / np.nansum(total))
    return result


def h12(people: Genotypes) -> np.ndarray:
    """Return Garud's H12 of windows of sites, by scikit-allel."""
    import allel

    haplotypes = allel.HaplotypeArray(people.calls.reshape(len(people), -1))
    return np.asarray(allel.moving_garud_h(haplotypes, min(WINDOW, len(people)))[1])


class Reference:
    """The training people: their files, components, Fst, haplotype homozygosity and LD scores."""

    def __init__(self, train: Genotypes, folder: Path):
        self.labels, self.variants = train.label(LABEL).astype(str), train.variants
        write_cohort(train, folder, {})
        self.fst, self.h12 = fst(train), h12(train)
        self.scores = ld_scores(folder, train.variants.position)
        self.folder = folder
        find_components(folder)
        self.projected = project(folder, folder)


def compared(people: Genotypes, folder: Path, reference: Reference) -> dict[str, float | None]:
    """Return the figures of a cohort whose files are in `folder`, compared with the training people."""
    ours_fst, windows, scores = fst(people), h12(people), ld_scores(folder, people.variants.position)
    errors = [ours_fst[pair] - value for pair, value in reference.fst.items()]
    figures = {
        "fst": np.sqrt(np.mean(np.square(errors))),
        "roh": runs_of_homozygosity(folder),
        "h12": windows.mean(),
        "ld score": scores.mean(),
    }
    if people.variants.equals(reference.variants):
        figures |= {
            **_on_components(people, folder, reference),
            "h12 r": np.corrcoef(windows, reference.h12)[0, 1] if len(windows) > 1 else np.nan,
            "ld score r": np.corrcoef(scores, reference.scores)[0, 1],
        }
    return {name: short(float(value)) if np.isfinite(value) else None for name, value in figures.items()}


def _on_components(people: Genotypes, folder: Path, reference: Reference) -> dict[str, float]:
    labels, projected = people.label(LABEL).astype(str), project(folder, reference.folder)
    shifts, spreads = [], []
    for label in np.unique(labels):
        ours, theirs = projected[labels == label], reference.projected[reference.labels == label]
        shifts.append(np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) / theirs.std(axis=0))
        spreads.append(ours.std(axis=0) / theirs.std(axis=0))
    return {"centre shift": float(np.mean(shifts)), "spread": float(np.mean(spreads))}


def simulated(train: Genotypes, seed: int) -> Genotypes:
    """Return people that msprime simulates: as many, in a region as long, at most as many sites, with MAF >= 1 %."""
    length = int(train.variants.position[-1] - train.variants.position[0]) + 1
    people = simulate(train.n_samples, length=length, seed=seed).select(min_maf=0.01)
    sites = np.random.default_rng(seed).permutation(len(people))[: len(train)]
    return people.select(sites=np.sort(sites))


def measure(
    cohort: Cohort, seeds: Sequence[int], only: Sequence[str] | None, say: Callable[[str], None]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each cohort with its figures."""
    absent = missing(TOOLS)
    if find_spec("allel") is None:
        absent.append("scikit-allel is not installed (pip install scikit-allel).")
    for sentence in absent:
        say(sentence)
    if absent:
        return
    with tempfile.TemporaryDirectory() as temporary:
        reference = Reference(cohort.train, Path(temporary))
        for row in (TRAINING, HELD_OUT, *cohort.generators(), SIMULATED):
            if only is not None and row not in only:
                continue
            runs = {}
            for seed in seeds[:1] if row in (TRAINING, HELD_OUT) else seeds:
                runs[str(seed)] = _figures(row, cohort, seed, reference)
                say(f"  {row}, seed {seed}: {runs[str(seed)]}")
            yield row, {"runs": runs}


def _figures(row: str, cohort: Cohort, seed: int, reference: Reference) -> dict[str, Any]:
    others = {
        TRAINING: lambda: cohort.train,
        HELD_OUT: lambda: cohort.holdout,
        SIMULATED: lambda: simulated(cohort.train, seed),
    }
    people = others[row]() if row in others else cohort.synthetic(row, seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_cohort(people, folder, {})
        return compared(people, folder, reference)


# ---- the page -----------------------------------------------------------------------------------------------------


def as_markdown(result: Mapping[str, Any]) -> list[str]:
    """Return the section of docs/uses.md: a row a figure, a column a cohort."""
    digits = {"roh": 1, "ld score": 1, "fst": 4}
    rows = [
        [title, *(cell(row, name, digits=digits.get(name, 3)) for row in result["rows"].values())]
        for name, title in FIGURES.items()
    ]
    return [*table(["figure", *result["rows"]], rows), "", *measured(result)]
