"""Membership attacks on what is published: on the model directory itself (white box), and on people drawn from it.

Who was trained on? Each attack gives every person a score; the table says how well it tells the people that the model
was fitted to from held-out people of the same cohort: AUC (chance 0.5) and true positives at 1 % false positives
(chance 0.01). Writes benchmarks/results/attacks.json and the section of docs/benchmarks.md between the markers
`attacks`.

    python benchmarks/attacks.py [--data DIR] [--people 500] [--seed 1] [--render]

Without --data, on a simulated cohort; with it, on the HLA region. A cohort that is measured again takes the place of
its old figures, the other one's stay.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cohorts import DATA_SETS, read_parts
from measuring import DOCUMENT, RESULTS, machine, write_result, write_section

from pgcgan import Genotypes, HaplotypeModel, simulate
from pgcgan.errors import PgcganError
from pgcgan.labels import label_groups
from pgcgan.metrics import figure
from pgcgan.metrics.privacy import likelihood_ratio_scores, true_positive_rate
from pgcgan.metrics.rows import interval
from pgcgan.numerics import fill_missing, nearest_distances, roc_auc
from pgcgan.provenance import provenance

DATA = DATA_SETS[0]
TITLES = {"simulated": "Simulated cohort", "hla": "HLA region"}
LEAST = 1e-4  # probability of an allele that no training row with the code has
# name: (what is needed, what the attacker does)
ATTACKS = {
    "codes": ("model", "likelihood of a person's block codes under the code model"),
    "alleles": ("model", "the same, and the likelihood of the alleles given the codes"),
    "codes, calibrated": ("model", "codes, less their likelihood under a model of other people"),
    "alleles, calibrated": ("model", "alleles, less their likelihood under a model of other people"),
    "nearest": ("people", "distance to the nearest synthetic haplotype"),
    "frequencies": ("people", "likelihood ratio of their allele frequencies and those of other people"),
}


def likelihoods(model: HaplotypeModel, people: Genotypes) -> dict[str, np.ndarray]:
    """Return log-probabilities (nats) of people under all that a model directory holds: of codes, and of alleles.

    The codes of a row have the probability that the model draws them with (without calibration and ancestry, which say
    nothing of single people); the alleles given the codes that of the emissions. Each is summed over the rows of a
    person: shape (people,).
    """
    blocks, rows, per = model.blocks_, people.haplotypes(), people.ploidy
    names = list(model.label_counts_)
    label = np.repeat([names.index(str(name)) for name in label_groups(people.labels, model.label)], per)
    codes = blocks.encode(rows).astype(np.int64)
    predictor = model.code_model_.predictor(label)
    nats, alleles = np.zeros(len(rows)), np.zeros(len(rows))
    for b in range(codes.shape[1]):
        known = np.flatnonzero(codes[:, b] >= 0)
        nats[known] += predictor.log_probs()[known, codes[known, b]]
        predictor.observe(codes[:, b])
        part = rows[known, blocks.edges[b] : blocks.edges[b + 1]]
        emission = blocks.emission[b][codes[known, b]]
        probability = np.take_along_axis(emission, np.maximum(part, 0)[:, :, None], axis=2)[:, :, 0]
        alleles[known] += np.where(part >= 0, np.log(np.maximum(probability, LEAST)), 0).sum(axis=1)
    return {"codes": nats.reshape(-1, per).sum(axis=1), "alleles": (nats + alleles).reshape(-1, per).sum(axis=1)}


def attack(
    model: HaplotypeModel, train: Genotypes, holdout: Genotypes, seed: int
) -> dict[str, dict[str, list[float | None]]]:
    """Return for each attack its AUC and true positives at 1 % false positives, each with a 95 % interval.

    What an attacker knows of "other people" are half of the held-out ones; the other half are those to be told from the
    training people. Then the halves change places, and the figures are means.
    """
    order = np.random.default_rng(seed).permutation(holdout.n_samples)
    halves = [holdout.select(samples=np.sort(half)) for half in np.array_split(order, 2)]
    inside, outside = likelihoods(model, train), [likelihoods(model, half) for half in halves]
    trials: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in ATTACKS}
    for name in ("codes", "alleles"):
        trials[name].append((inside[name], np.concatenate([part[name] for part in outside])))
    once = model.sample(model.label_counts_, seed=seed)
    trials["nearest"].append((-nearest(train, once), -nearest(holdout, once)))
    frequency = smoothed(once)
    for other, half, scored in zip(halves, halves[::-1], outside[::-1], strict=True):
        known = HaplotypeModel(model.label, seed=seed, min_carriers=model.min_carriers).fit(other)
        ours, theirs = likelihoods(known, train), likelihoods(known, half)
        for name in ("codes", "alleles"):
            trials[f"{name}, calibrated"].append((inside[name] - ours[name], scored[name] - theirs[name]))
        scores = [likelihood_ratio_scores(p.dosages().T, frequency, smoothed(other)) for p in (train, half)]
        trials["frequencies"].append((scores[0], scores[1]))
    return {name: {"AUC": _mean(parts, roc_auc, seed), "TPR": _mean(parts, true_positive_rate, seed)}
            for name, parts in trials.items()}  # fmt: skip


def _mean(trials: list[tuple[np.ndarray, np.ndarray]], measure: Callable[..., float], seed: int) -> list[float | None]:
    values, spans = [], []
    for members, others in trials:
        values.append(measure(members, others))
        spans.append(interval(lambda i, j, m=members, o=others: measure(m[i], o[j]), (len(members), len(others)), seed))
    ends = [None if any(s[k] is None for s in spans) else float(np.mean([s[k] for s in spans])) for k in range(2)]
    return [None if x is None else round(x, 4) for x in (float(np.mean(values)), *ends)]


def nearest(people: Genotypes, others: Genotypes) -> np.ndarray:
    """Return each person's distance to the nearest synthetic haplotype, the nearer of the two: shape (people,)."""
    rows, synthetic = (fill_missing(g.haplotypes()) for g in (people, others))
    return nearest_distances(rows, synthetic).reshape(-1, people.ploidy).min(axis=1)


def smoothed(people: Genotypes) -> np.ndarray:
    """Return alt-allele frequencies that are neither 0 nor 1: shape (sites,)."""
    called = (people.calls >= 0).sum(axis=(1, 2))
    return ((people.calls > 0).sum(axis=(1, 2)) + 0.5) / (called + 1)


def measure(train: Genotypes, holdout: Genotypes, seed: int) -> dict[str, Any]:
    """Fit the default model, attack it, and attack one whose templates have 10 carriers."""
    runs = []
    for carriers in (3, 10):
        model = HaplotypeModel("super_pop", seed=seed, min_carriers=carriers).fit(train)
        runs.append({"min_carriers": carriers, "attacks": attack(model, train, holdout, seed)})
        for name, row in runs[-1]["attacks"].items():
            print(f"min_carriers {carriers}, {name}: AUC {row['AUC'][0]}, TPR at 1 % FPR {row['TPR'][0]}", flush=True)
    return {"sites": train.n_variants, "train": train.n_samples, "holdout": holdout.n_samples, "runs": runs}


def as_markdown(result: dict[str, Any]) -> str:
    """Return the section of docs/benchmarks.md."""
    lines = []
    for key, title in TITLES.items():
        if key not in result["sets"]:
            continue
        of_set = result["sets"][key]
        made = of_set["provenance"]
        where = made["machine"]
        head = " | ".join(f"AUC, {run['min_carriers']} carriers | TPR at 1 % FPR" for run in of_set["runs"])
        lines += [
            f"### {title}",
            "",
            f"{of_set['sites']:,} sites; {of_set['train']:,} train people, {of_set['holdout']:,} held-out people. Seed "
            f"{made['seed']}, pgcgan {made['pgcgan']}, {made['date'][:10]}, {where['cores']} cores "
            f"({where['processor']}). Command: `python {made['command']}`.",
            "",
            f"| attack | needs | {head} |",
            "|---|---|" + "--:|--:|" * len(of_set["runs"]),
        ]
        for name, (needs, what) in ATTACKS.items():
            cells = [cell(run["attacks"][name][m]) for run in of_set["runs"] for m in ("AUC", "TPR")]
            lines.append(f"| {name}: {what} | {needs} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines).strip()


def cell(values: Sequence[float | None]) -> str:
    value, low, high = values
    return figure(value) if low is None or high is None else f"{figure(value)} ({figure(low)} to {figure(high)})"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of the real data; without it, a cohort is simulated")
    parser.add_argument("--people", type=int, default=500, help="of the simulated cohort")
    parser.add_argument("--length", type=int, default=100_000, help="base pairs of the simulated cohort")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    parser.add_argument("--render", action="store_true", help="write the document from the JSON file, run nothing")
    given = parser.parse_args(argv)
    path = given.out / "attacks.json"
    result = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"name": "attacks", "sets": {}}
    if not given.render:
        if given.data is not None and not (given.data / DATA.vcf).exists():
            print(f"{DATA.title}: {DATA.vcf} is not in the data folder (--data DIR); nothing is measured.")
            return
        before = machine()
        command = "benchmarks/attacks.py" + (" --data DIR" if given.data is not None else "")
        try:
            if given.data is not None:
                train, holdout = read_parts(given.data, DATA)
            else:
                people = simulate(given.people, length=given.length, seed=given.seed)
                train, holdout = people.split(0.6, by="pop", seed=given.seed)
                common = train.select(min_maf=0.01)
                shared = np.isin(holdout.variants.position, common.variants.position)
                train, holdout = common, holdout.select(sites=shared)
            measured = measure(train, holdout, given.seed)
        except PgcganError as error:
            sys.exit(f"error: {error}")
        made = provenance(given.seed, machine=before, command=command)
        result["sets"]["simulated" if given.data is None else "hla"] = {**measured, "provenance": made}
        print(f"wrote {write_result(result, given.out).name}")
    write_section(given.document, "attacks", as_markdown(result))


if __name__ == "__main__":
    main()
