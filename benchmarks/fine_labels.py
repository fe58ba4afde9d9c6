"""What synthetic people are worth to a classifier of fine labels: the African populations of 1000 Genomes, HLA region.

Generators are fitted to the training people of one super-population by `pop`. A neural network, a support vector
machine and the 5 nearest neighbours learn the population from 100 principal components of the dosages: of the real
people, of as many synthetic people as there are real ones, and of both together. They are tested on the held-out
people. Writes benchmarks/results/fine-labels.json and the section of docs/benchmarks.md between the markers
`fine-labels`.

    python benchmarks/fine_labels.py [--data DIR] [--super-pop AFR] [--seeds 1,2,3,4,5] [--generators …] [--render]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from cohorts import DATA_SETS, read_parts
from measuring import DOCUMENT, RESULTS, ROOT, machine, numbers, short, write_result, write_section
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from pgcgan import Genotypes, evaluate
from pgcgan.errors import PgcganError
from pgcgan.metrics import figure
from pgcgan.provenance import provenance
from pgcgan.registry import create

DATA, LABEL, COMPONENTS = DATA_SETS[0], "pop", 100
GENERATORS = {
    "oversampling": "oversampling",
    "smote": "SMOTE",
    "independent": "independent",
    "li-stephens": "Li-Stephens",
    "haplotype": "haplotype",
    "gan": "gan",
}
LEAKS = ("AA_truth", "AA_syn", "membership AUC")


def accuracy(learned_from: Sequence[Genotypes], test: Genotypes, seed: int) -> float:
    """Return the mean accuracy of the three classifiers on the test people."""
    dosages = np.concatenate([people.dosages() for people in learned_from]).astype(np.float32)
    labels = np.concatenate([people.label(LABEL) for people in learned_from]).astype(str)
    scores = []
    for classifier in (MLPClassifier((100,), max_iter=150, random_state=seed), SVC(), KNeighborsClassifier(5)):
        components = min(COMPONENTS, *(size - 1 for size in dosages.shape))
        model = make_pipeline(StandardScaler(), PCA(components, random_state=seed, whiten=False), _Scale(), classifier)
        model.fit(dosages, labels)
        scores.append(float((model.predict(test.dosages().astype(np.float32)) == test.label(LABEL).astype(str)).mean()))
    return mean(scores)


class _Scale:
    """Divides principal components by the standard deviation of the first, so that the classifiers' defaults suit."""

    def fit(self, scores: np.ndarray, labels: np.ndarray | None = None) -> _Scale:
        self.unit_ = float(scores[:, 0].std()) or 1.0
        return self

    def transform(self, scores: np.ndarray) -> np.ndarray:
        return scores / self.unit_


def synthetic_people(name: str, train: Genotypes, seed: int) -> Genotypes:
    """Return as many people of each population as there are, of a generator, or drawn with replacement."""
    if name == "oversampling":
        label, random = train.label(LABEL).astype(str), np.random.default_rng(seed)
        again = np.concatenate(
            [random.choice(np.flatnonzero(label == k), (label == k).sum()) for k in np.unique(label)]
        )
        names = np.array([f"AGAIN-{i}" for i in range(len(again))])
        return Genotypes(train.calls[:, again], train.variants, names, {LABEL: train.label(LABEL)[again]})
    model = create(name, LABEL, seed=seed).fit(train)
    return model.sample(model.label_counts_, seed=seed)


def measure(train: Genotypes, holdout: Genotypes, names: Sequence[str], seeds: Sequence[int]) -> dict[str, Any]:
    """Return the accuracies, a number a seed, of real people, and of each generator alone and added to them."""
    runs: dict[str, dict[str, list[float | None]]] = {"real": {"added": []}}
    for seed in seeds:
        runs["real"]["added"].append(short(accuracy([train], holdout, seed)))
        for name in names:
            people = synthetic_people(name, train, seed)
            cells = runs.setdefault(name, {"alone": [], "added": [], **{leak: [] for leak in LEAKS}})
            cells["alone"].append(short(accuracy([people], holdout, seed)))
            cells["added"].append(short(accuracy([train, people], holdout, seed)))
            if name != "oversampling":
                evaluation = evaluate(train, people, holdout=holdout, label=LABEL, seed=seed)
                for leak in LEAKS:
                    cells[leak].append(short(evaluation.get(leak).value))
            print(
                f"seed {seed}, {GENERATORS[name]}: " + ", ".join(f"{k} {figure(v[-1])}" for k, v in cells.items() if v)
            )
    return runs


def as_markdown(result: dict[str, Any]) -> str:
    """Return the section of docs/benchmarks.md."""
    made, runs, people = result["provenance"], result["runs"], result["people"]
    where = made["machine"]
    cores = f"{where['cores']} core" + ("" if where["cores"] == 1 else "s")
    lines = [
        f"### HLA region, populations of {result['super_pop']}",
        "",
        f"{result['sites']:,} sites; {sum(people.values())} training people of {len(people)} populations "
        f"({min(people.values())} to {max(people.values())} each), {result['holdout']} held-out people. Accuracy, the "
        f"mean of {result['seeds']} seeds and its standard error over them. The {result['holdout']} held-out people "
        f"are the same for all seeds, which adds an error of {result['error']:.3f} that all cells share. pgcgan "
        f"{made['pgcgan']}, {made['date'][:10]}, {cores} ({where['processor']}). Command: "
        f"`python {made['command']}`.",
        "",
        "| people | synthetic alone | added to the real ones | AA_truth / AA_syn | membership AUC, nearest distance |",
        "|---|--:|--:|--:|--:|",
        f"| real | – | {_spread(runs['real']['added'])} | | |",
    ]
    for name, title in GENERATORS.items():
        if name in runs:
            cells = runs[name]
            leaks = [figure(mean(cells[leak])) if cells[leak] else "–" for leak in LEAKS]
            alone, added = _spread(cells["alone"]), _spread(cells["added"])
            lines.append(f"| {title} | {alone} | {added} | {leaks[0]} / {leaks[1]} | {leaks[2]} |")
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    error = stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return f"{mean(values):.3f}" + ("" if math.isnan(error) else f" ± {error:.3f}")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the real data")
    parser.add_argument("--super-pop", default="AFR", help="whose populations are told apart")
    parser.add_argument("--seeds", type=numbers(int), default=[1, 2, 3, 4, 5], help="joined by commas")
    parser.add_argument(
        "--generators",
        default="oversampling,smote,independent,li-stephens,haplotype",
        help=f"of {','.join(GENERATORS)}",
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    parser.add_argument("--render", action="store_true", help="write the document from the JSON file, run nothing")
    given = parser.parse_args(argv)
    names = given.generators.split(",")
    unknown = [name for name in names if name not in GENERATORS]
    if unknown:
        parser.error(f"unknown generator {unknown[0]!r}; accepted: {', '.join(GENERATORS)}")
    if given.render:
        result = json.loads((given.out / "fine-labels.json").read_text(encoding="utf-8"))
    elif not (given.data / DATA.vcf).exists():
        print(f"{DATA.title}: {DATA.vcf} is not in the data folder (--data DIR); nothing is measured.")
        return
    else:
        before = machine()
        try:
            train, holdout = (
                people.select(samples=people.label("super_pop") == given.super_pop)
                for people in read_parts(given.data, DATA)
            )
            runs = measure(train, holdout, names, given.seeds)
        except PgcganError as error:
            sys.exit(f"error: {error}")
        labels, share = train.label(LABEL).astype(str).tolist(), mean(runs["real"]["added"])
        seeds = ",".join(map(str, given.seeds))
        command = f"benchmarks/fine_labels.py --super-pop {given.super_pop} --seeds {seeds}"
        result = {
            "name": "fine-labels",
            "super_pop": given.super_pop,
            "sites": train.n_variants,
            "people": {value: labels.count(value) for value in sorted(set(labels))},
            "holdout": holdout.n_samples,
            "seeds": len(given.seeds),
            "error": math.sqrt(share * (1 - share) / holdout.n_samples),
            "runs": runs,
            "provenance": provenance(given.seeds[0], machine=before, command=command),
        }
        print(f"wrote {write_result(result, given.out).name}")
    write_section(given.document, "fine-labels", as_markdown(result))


if __name__ == "__main__":
    main()
