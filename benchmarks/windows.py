"""What seams do to a genome-wide model: linkage across them, far pairs, and one ancestry along the genome.

Simulates a genome of several contigs of the same people, fits it in windows to 75 % of them, generates as many and
compares them with the others. Writes benchmarks/results/windows.json.

    python benchmarks/windows.py [--people 800] [--length 1000000] [--contigs 2] [--size 500] [--executor serial]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from real_data import ROOT, machine, write_result
from sklearn.utils.extmath import randomized_svd

from pgcgan import Genotypes, concat, read, simulate, write
from pgcgan.executors import executor
from pgcgan.genotypes import Variants
from pgcgan.provenance import provenance
from pgcgan.windows import GenomeModel, Source, train

REACH = 50  # sites of either side of a seam
FAR = 4000  # pairs
AXES = 3
RESAMPLES = 500
COMMON = 0.05


def genome(people: int, length: int, contigs: int, seed: int = 1) -> Genotypes:
    """Simulate people with several contigs, at common sites.

    Contigs are simulated one by one, each with people of its own, and put together by population: what ancestry the
    contigs of a person share is that of the population. The label `group` hides it: AFR and EAS are A, the others B.
    """
    parts: list[Genotypes] = []
    lengths = {str(c): length for c in range(1, contigs + 1)}
    for contig in lengths:
        part = simulate(people, length=length, seed=100 * seed + int(contig)).select(min_maf=COMMON)
        v = part.variants
        named = Variants(np.full(len(v), contig, dtype=object), v.position, v.id, v.ref, v.alt, lengths)
        group = np.where(np.isin(part.label("super_pop"), ["AFR", "EAS"]), "A", "B")
        parts.append(replace(part, variants=named, labels={**part.labels, "group": group}))
    return concat(parts, axis="variants")


def seams_of(model: GenomeModel) -> tuple[list[int], list[int]]:
    """Return the sites after each seam, and in the middle of each window, counted along the genome."""
    seams, middles, site, contig = [], [], 0, ""
    for window in model.windows:
        own = window.sites - window.overlap
        if window.contig == contig:
            seams.append(site)
        contig = window.contig
        middles.append(site + own // 2)
        site += own
    return seams, middles


def linkage_error(real: Genotypes, made: Genotypes, cuts: Sequence[int], reach: int = REACH) -> float:
    """Return the RMSE of r² of pairs of sites on either side of cuts, at most `reach` sites apart."""
    errors = []
    for cut in cuts:
        low, high = max(cut - reach + 1, 0), min(cut + reach - 1, real.n_variants)
        a, b = (_correlation(people.calls[low:high]) ** 2 for people in (real, made))
        i, j = np.nonzero(np.subtract.outer(np.arange(high - low), np.arange(high - low)) > -reach)
        across = (i < cut - low) & (j >= cut - low)
        errors.append((a - b)[i[across], j[across]])
    return float(np.sqrt((np.concatenate(errors) ** 2).mean()))


def _correlation(calls: np.ndarray) -> np.ndarray:
    rows = calls.reshape(len(calls), -1).astype(np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    length = np.sqrt((rows**2).sum(axis=1, keepdims=True))
    rows /= np.where(length > 1e-6, length, np.inf)
    return rows @ rows.T


def far_pairs(real: Genotypes, made: Genotypes, same_contig: bool, seed: int = 0) -> float:
    """Return the correlation of signed r (of dosages) of random pairs of sites, on one contig or on two."""
    random = np.random.default_rng(seed)
    contig = np.unique(real.variants.contig, return_inverse=True)[1]
    i, j = random.integers(0, real.n_variants, (2, 20 * FAR))
    kept = np.flatnonzero(
        (contig[i] == contig[j]) & (np.abs(i - j) > 4 * REACH) if same_contig else contig[i] != contig[j]
    )[:FAR]
    found = []
    for people in (real, made):
        dosage = people.calls.sum(axis=2).astype(np.float32)
        dosage -= dosage.mean(axis=1, keepdims=True)
        dosage /= np.maximum(np.sqrt((dosage**2).sum(axis=1, keepdims=True)), 1e-6)
        found.append((dosage[i[kept]] * dosage[j[kept]]).sum(axis=1))
    return float(np.corrcoef(*found)[0, 1])


def scores(fitted: Genotypes, people: Genotypes, label: str, axes: int = AXES) -> np.ndarray:
    """Return people's scores on the axes of ancestry within labels, by contig: (contigs, people, axes).

    The axes are principal components of the dosages of the fitted people, less the means of their labels, over the
    whole genome; a contig's score is the part of it that its sites make. It is less the mean of the person's label.
    """
    dosage = _within(fitted, label)
    directions = randomized_svd(dosage.T, axes, n_iter=4, random_state=0)[2]
    own = _within(people, label)
    contigs = dict.fromkeys(people.variants.contig)
    return np.stack([own[s].T @ directions[:, s].T for s in (people.variants.contig == c for c in contigs)])


def _within(people: Genotypes, label: str) -> np.ndarray:
    dosage = people.calls.sum(axis=2).astype(np.float32)
    for value in np.unique(people.label(label)):
        mine = people.label(label) == value
        dosage[:, mine] -= dosage[:, mine].mean(axis=1, keepdims=True)
    return dosage


def agreement(of: np.ndarray, seed: int = 0) -> dict[str, list[float]]:
    """Return the correlation of people's scores between contigs on each axis, with a 95 % bootstrap interval.

    Parameters
    ----------
    of : array, shape (contigs, people, axes)
        From `scores`. The mean over pairs of contigs is taken.
    """

    def value(part: np.ndarray) -> np.ndarray:
        pairs = [(a, b) for a in range(len(part)) for b in range(a + 1, len(part))]
        return np.array(
            [np.mean([np.corrcoef(part[a, :, k], part[b, :, k])[0, 1] for a, b in pairs]) for k in range(part.shape[2])]
        )

    random = np.random.default_rng(seed)
    drawn = [value(of[:, random.integers(0, of.shape[1], of.shape[1])]) for _ in range(RESAMPLES)]
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return {"r": value(of).tolist(), "low": low.tolist(), "high": high.tolist()}


def measured(model: GenomeModel, fitted: Genotypes, unseen: Genotypes, made: Genotypes, label: str) -> dict[str, Any]:
    """Return what is measured of generated people, with the fitted ones' figure, the floor, beside each."""
    seams, middles = seams_of(model)

    def both(function: Callable[[Genotypes, Genotypes], float]) -> dict[str, float]:
        return {"made": round(function(unseen, made), 4), "floor": round(function(unseen, fitted), 4)}

    spread = {
        name: scores(fitted, people, label).sum(axis=0).var(axis=0)
        for name, people in (("unseen", unseen), ("made", made))
    }
    return {
        "linkage across seams, RMSE": both(lambda a, b: linkage_error(a, b, seams)),
        "linkage inside windows, RMSE": both(lambda a, b: linkage_error(a, b, middles)),
        "far pairs on a contig, r": both(lambda a, b: far_pairs(a, b, True)),
        "far pairs between contigs, r": both(lambda a, b: far_pairs(a, b, False)),
        "variance of ancestry, made / unseen": (spread["made"] / spread["unseen"]).round(3).tolist(),
        "ancestry between contigs, unseen": agreement(scores(fitted, unseen, label)),
        "ancestry between contigs, made": agreement(scores(fitted, made, label)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("people", 800), ("length", 1_000_000), ("contigs", 2), ("size", 500)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--label", default="group")
    parser.add_argument("--overlap", type=int)
    parser.add_argument("--executor", default="serial")
    parser.add_argument("--results", default=str(ROOT / "benchmarks" / "results"))
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    settings = {name: json.loads(value) for name, _, value in (text.partition("=") for text in options.set)}
    people = genome(options.people, options.length, options.contigs)
    fitted, unseen = people.split(0.75, by="pop", seed=1)
    with tempfile.TemporaryDirectory() as folder, executor(options.executor) as runs:
        name = Path(folder, "fitted.vcf.gz")
        write(fitted, name)
        began = time.monotonic()
        source = Source(str(name), str(Path(folder, "fitted.panel.tsv")))
        train(
            source,
            Path(folder, "model"),
            size=options.size,
            overlap=options.overlap,
            label=[options.label],
            seed=1,
            executor=runs,
            **settings,
        )
        fit_seconds, began = time.monotonic() - began, time.monotonic()
        model = GenomeModel.load(Path(folder, "model"))
        made_file = Path(folder, "made.npz")
        model.write(fitted.n_samples, made_file, seed=1, executor=runs)
        draw_seconds = time.monotonic() - began
        found = measured(model, fitted, unseen, read(made_file), options.label)
        facts = model.facts()
    result = {
        "name": "windows",
        "options": {name: value for name, value in vars(options).items() if name != "results"},
        "sites": facts["sites"],
        "windows": facts["windows"],
        "axes of ancestry": facts["axes of ancestry"],
        "fit, s": round(fit_seconds, 1),
        "generate, s": round(draw_seconds, 1),
        **found,
        "machine": machine(),
        "provenance": provenance(1),
    }
    write_result(result, Path(options.results))
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
