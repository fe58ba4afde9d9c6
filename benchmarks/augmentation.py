"""The augmentation table: what a classifier of labels gains from artificial people of a label that has few.

Of one label only k train people are kept, the other labels whole. Generator and classifier see this reduced set alone;
people of the label are added until it has as many as in the whole train set; the held-out people are the test. Writes
benchmarks/results/augmentation.json, cell by cell, and the section of docs/benchmarks.md between the markers
`augmentation`. A later run adds its seeds to the cells that it measures and keeps the others, so that the table can be
filled over several runs. Every generator is fitted anew for each cell and seed.

    python benchmarks/augmentation.py [--data DIR] [--labels AMR,…] [--keep 10,…] [--generators none,…] [--seeds 1,2,3]
        [--minutes M] [--epochs E] [--model DIR]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from real_data import (
    DATA_SETS,
    DOCUMENT,
    LABEL,
    ROOT,
    machine,
    read_parts,
    write_result,
    write_section,
)
from sklearn.metrics import balanced_accuracy_score, f1_score

from pgcgan import Genotypes
from pgcgan.errors import DataError, ModelError, PgcganError, UsageError, listed
from pgcgan.generators.baselines import BASELINES
from pgcgan.metrics import figure
from pgcgan.metrics.comparison import Cohort
from pgcgan.metrics.utility import COMPONENTS, LabelClassifier
from pgcgan.provenance import provenance

NAME = "augmentation"
DATA = DATA_SETS[0]
KEEP = (10, 25, 50, 100)
SEEDS = (1, 2, 3)
# fitted on the reduced set, as the classifier is
GENERATORS = {
    "none": "no augmentation",
    "oversampling": "oversampling",
    "smote": "SMOTE",
    "independent": "independent",
    "pca-gaussian": "PCA-Gaussian",
    "li-stephens": "Li-Stephens",
    "pgcgan": "pgcgan",
}
# they know the train people who were taken out
REFERENCES = {
    "real": "real top-up",
    "pgcgan-all": "pgcgan, all train",
}
COLUMNS = {**GENERATORS, **REFERENCES}
SCORES = {"f1": "F1 of the label", "balanced_accuracy": "Balanced accuracy"}


# ---- the experiment -----------------------------------------------------------------------------------------------


def reduced_set(train: Genotypes, label: str, keep: int, seed: int) -> Genotypes:
    """Return the train people with only `keep` of one label, in the order of train.

    The people kept of one seed are nested: those of a small `keep` are among those of a larger one.
    """
    of_label = train.label(LABEL) == label
    order = np.random.default_rng([seed, zlib.crc32(label.encode())]).permutation(np.flatnonzero(of_label))
    chosen = ~of_label
    chosen[order[:keep]] = True
    return train.select(samples=chosen)


def composition(people: Genotypes) -> dict[str, int]:
    """Return the number of people of each label."""
    values, counts = np.unique(people.label(LABEL).astype(str), return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


class Experiment:
    """Train and held-out people, with what is fitted once for all cells.

    Parameters
    ----------
    train, holdout : Genotypes
    settings : mapping
        Of the model.
    model : path, optional
        A model trained on all train people, in the place of training one.
    seed : int
        Of what is fitted on all train people.
    """

    def __init__(
        self,
        train: Genotypes,
        holdout: Genotypes,
        *,
        settings: Mapping[str, Any] | None = None,
        model: Path | None = None,
        seed: int = 1,
    ):
        self.train, self.holdout = train, holdout
        self.settings, self.model, self.seed = dict(settings or {}), model, seed
        self.counts = composition(train)
        self._on_all: dict[str, tuple[Any, float | None]] = {}
        self._by_real: dict[int, np.ndarray] = {}

    def check(self, generators: Sequence[str]) -> None:
        """Raise now, and not after hours, if a setting does not exist or the model is one of other people or sites."""
        if any(generator not in ("none", "oversampling", "real", *BASELINES) for generator in generators):
            self._new("pgcgan", self.seed)
        if self.model is not None:
            self._on_all["pgcgan-all"] = self._loaded(self.model), None

    def cell(self, label: str, keep: int, generator: str, seeds: Sequence[int]) -> dict[str, Any]:
        """Return one cell: for each seed F1 of the label and balanced accuracy on the haplotypes of held-out people.

        The seed is that of the choice of the people kept, of the generator and its people, and of the classifier. Where
        the generator refuses, the cell has the reason as its note.
        """
        scores: dict[str, list[float]] = {score: [] for score in SCORES}
        seconds: list[float] = []
        cell: dict[str, Any] = {"label": label, "keep": keep, "generator": generator, "seeds": list(seeds)}
        truth = np.repeat(self.holdout.label(LABEL).astype(str), self._rows_of_a_person)
        for seed in seeds:
            try:
                predicted, took = self._predicted(label, keep, generator, seed)
            except (DataError, ModelError) as error:
                return {**cell, "note": str(error)}
            if took is not None:
                seconds.append(took)
            scores["f1"].append(_short(f1_score(truth == label, predicted == label, zero_division=0)))
            scores["balanced_accuracy"].append(_short(balanced_accuracy_score(truth, predicted)))
        once = generator == "pgcgan-all"
        cell |= scores | {"fits": 1 if once else len(seconds)}
        cell["fit_seconds"] = _short(statistics.fmean(seconds)) if seconds else None
        if generator in ("pgcgan", "pgcgan-all"):
            given = once and self.model is not None
            cell["settings"] = {"model": "trained beforehand"} if given else self.settings
        return cell

    @property
    def _rows_of_a_person(self) -> int:
        return self.holdout.ploidy if self.holdout.phased else 1

    def _predicted(self, label: str, keep: int, generator: str, seed: int) -> tuple[np.ndarray, float | None]:
        """Return the predicted label of each held-out row, and the seconds of the fit, if there was one."""
        if generator == "real":  # the people put back: the whole train set, whatever was taken out
            if seed not in self._by_real:
                self._by_real[seed] = self._classified(self.train, None, label, seed)
            return self._by_real[seed], None
        reduced = reduced_set(self.train, label, keep, seed)
        missing = self.counts[label] - keep
        if generator == "none":
            return self._classified(reduced, None, label, seed), None
        if generator == "oversampling":
            kept = np.flatnonzero(reduced.label(LABEL) == label)
            repeated = np.random.default_rng([seed, 1]).permutation(kept)
            return self._classified(reduced, reduced.calls[:, np.resize(repeated, missing)], label, seed), None
        fitted, seconds = self._fitted(generator, reduced, seed)
        made = fitted.sample({label: missing}, seed=seed)
        return self._classified(reduced, made.calls, label, seed), seconds

    def _fitted(self, generator: str, reduced: Genotypes, seed: int) -> tuple[Any, float | None]:
        if generator != "pgcgan-all":
            return _fit(self._new(generator, seed), reduced)
        if generator not in self._on_all:
            self._on_all[generator] = _fit(self._new(generator.removesuffix("-all"), self.seed), self.train)
        return self._on_all[generator]

    def _new(self, generator: str, seed: int) -> Any:
        if generator in BASELINES:
            return BASELINES[generator](LABEL, seed=seed)
        from pgcgan import PGcGAN

        return PGcGAN(LABEL, seed=seed, **self.settings)

    def _loaded(self, directory: Path) -> Any:
        from pgcgan import PGcGAN

        model = PGcGAN.load(directory)
        if model.label != (LABEL,) or model.label_counts != self.counts:
            raise ModelError(
                f"The model was trained on other people ({'/'.join(model.label)}: {_people(model.label_counts)}) than "
                f"the train people ({LABEL}: {_people(self.counts)}); give one that was trained on exactly these."
            )
        if not model.sample({next(iter(self.counts)): 1}).variants.equals(self.train.variants):
            raise ModelError("The model was trained on other sites than these data have; give one trained on these.")
        return model

    def _classified(self, people: Genotypes, added: np.ndarray | None, label: str, seed: int) -> np.ndarray:
        """Train the classifier on people and added ones of one label; return what it says of the held-out rows."""
        calls, labels = people.calls, people.label(LABEL).astype(str)
        if added is not None:
            calls = np.concatenate([calls, added], axis=1)
            labels = np.concatenate([labels, np.full(added.shape[1], label)])
        classifier = LabelClassifier(Cohort(calls, labels, people.phased), seed)
        predicted = np.full(self.holdout.n_samples * self._rows_of_a_person, "", dtype=object)
        for value in self.counts:
            everyone = Cohort(self.holdout.calls, np.full(self.holdout.n_samples, value), self.holdout.phased)
            predicted[classifier.right(everyone).ravel()] = value
        return predicted.astype(str)


def _fit(generator: Any, people: Genotypes) -> tuple[Any, float]:
    began = time.perf_counter()
    return generator.fit(people), time.perf_counter() - began


def _short(number: float) -> float:
    return float(f"{number:.5g}")


def _people(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{label} {count}" for label, count in counts.items())


# ---- results ------------------------------------------------------------------------------------------------------


def merged(before: dict[str, Any] | None, about: Mapping[str, Any], run: Mapping[str, Any], cells: list[dict]) -> dict:
    """Return the results with the cells of a run; those that were there keep their other seeds.

    Raises
    ------
    DataError
        If the older results are about other data.
    """
    old = before or {**about, "runs": {}, "cells": []}
    other = [name for name in about if old.get(name) != about[name]]
    if other:
        raise DataError(
            f"The results there are about other data: {other[0]} is {old.get(other[0])}, and here it is "
            f"{about[other[0]]}; give another folder (--out), or remove {NAME}.json."
        )
    number = str(1 + max((int(n) for n in old["runs"]), default=0))
    found = {_key(cell): cell for cell in old["cells"]}
    found |= {_key(cell): _with_other_seeds({**cell, "run": number}, found.get(_key(cell))) for cell in cells}
    columns = list(COLUMNS)
    kept = sorted(found.values(), key=lambda c: (c["label"], c["keep"], columns.index(c["generator"])))
    runs = {**old["runs"], number: dict(run)}
    used = {run for cell in kept for run in cell["run"].split(",")}
    return {**about, "runs": {n: r for n, r in runs.items() if n in used}, "cells": kept}


def _with_other_seeds(cell: dict[str, Any], old: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a cell with the seeds of an older one that it lacks, if that has the same settings."""
    if old is None or "note" in cell or "note" in old or cell.get("settings") != old.get("settings"):
        return cell
    others = [i for i, seed in enumerate(old["seeds"]) if seed not in cell["seeds"]]
    if not others:
        return cell
    order = sorted([(old["seeds"][i], old, i) for i in others] + [(s, cell, i) for i, s in enumerate(cell["seeds"])],
                   key=lambda of: of[0])  # fmt: skip
    joined = {name: [source[name][i] for _, source, i in order] for name in ("seeds", *SCORES)}
    joined["fits"] = cell["fits"] + old["fits"] * len(others) // len(old["seeds"])
    if cell["fit_seconds"] is not None and old["fit_seconds"] is not None:
        seconds = cell["fit_seconds"] * len(cell["seeds"]) + old["fit_seconds"] * len(others)
        joined["fit_seconds"] = round(seconds / len(order), 3)
    return {**cell, **joined, "run": f"{old['run']},{cell['run']}"}


def _key(cell: Mapping[str, Any]) -> tuple[str, int, str]:
    return cell["label"], cell["keep"], cell["generator"]


def measure(
    experiment: Experiment,
    labels: Sequence[str],
    keep: Sequence[int],
    generators: Sequence[str],
    seeds: Sequence[int],
    store: Callable[[list[dict[str, Any]]], Any],
) -> list[dict[str, Any]]:
    """Measure cells one after another; `store` gets all of them so far after each, so that an interruption loses one.

    Raises
    ------
    UsageError
        If a label is unknown, or has no more people than are to be kept.
    """
    for label in labels:
        if label not in experiment.counts:
            raise UsageError(f"There is no label {label!r} in train; accepted: {listed(experiment.counts)}.")
        if max(keep) >= experiment.counts[label]:
            raise UsageError(
                f"{max(keep)} people of {label} cannot be kept of {experiment.counts[label]}; accepted: fewer than "
                "that (--keep)."
            )
    experiment.check(generators)
    cells = []
    for label in labels:
        for k in keep:
            for generator in generators:
                cell = experiment.cell(label, k, generator, seeds)
                shown = cell.get("note") or ", ".join(f"{SCORES[s]} {_with_spread(cell[s])}" for s in SCORES)
                print(f"  {label}, {k} kept, {COLUMNS[generator]}: {shown}", flush=True)
                cells.append(cell)
                store(cells)
    return cells


# ---- the document -------------------------------------------------------------------------------------------------


def as_markdown(result: dict[str, Any]) -> str:
    """Return the section of docs/benchmarks.md."""
    lines = [
        f"### {result['title']}",
        "",
        f"{result['sites']:,} sites; {sum(result['train'].values()):,} train people ({_people(result['train'])}) and "
        f"{sum(result['holdout'].values()):,} held-out people. Classifier: logistic regression on {COMPONENTS} "
        f"principal components, {result['unit']}.",
    ]
    for score, title in SCORES.items():
        table = _table(result, score)
        lines += [
            "",
            f"#### {title}",
            "",
            "| " + " | ".join(table[0]) + " |",
            "|---|--:|" + "--:|" * (len(table[0]) - 2),
            *("| " + " | ".join(row) + " |" for row in table[1:]),
        ]
    return "\n".join([*lines, "", *_notes(result)])


def _columns(result: dict[str, Any]) -> list[str]:
    measured = {cell["generator"] for cell in result["cells"]}
    return [name for name in COLUMNS if name in measured]


def _table(result: dict[str, Any], score: str) -> list[list[str]]:
    """Return header and rows of one table as text cells: empty = not measured, – = no value, with a note."""
    columns = _columns(result)
    cells = {_key(cell): cell for cell in result["cells"]}
    rows = sorted({(cell["label"], cell["keep"]) for cell in result["cells"]})
    table = [["label", "kept", *(COLUMNS[c] if c in GENERATORS else f"*{COLUMNS[c]}*" for c in columns)]]
    for label, keep in rows:
        found = [cells.get((label, keep, c)) for c in columns]
        table.append([label, str(keep), *("" if c is None else _with_spread(c.get(score)) for c in found)])
    if len(rows) > 1:
        line = ["mean", ""]
        for c in columns:
            values = [cells.get((label, keep, c), {}).get(score) for label, keep in rows]
            # a mean over some rows cannot be held against a mean over others
            line.append(figure(statistics.fmean(statistics.fmean(v) for v in values)) if all(values) else "")
        table.append(line)
    return table


def _with_spread(values: Sequence[float] | None) -> str:
    if not values:
        return "–"
    mean = figure(statistics.fmean(values))
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.3f}"


def _notes(result: dict[str, Any]) -> list[str]:
    """Return how often each column was measured, how long its fit takes, what is missing, and by which runs."""
    lines = []
    times: dict[str, list[str]] = {}
    took, settings = [], []
    for column in _columns(result):
        own = [cell for cell in result["cells"] if cell["generator"] == column]
        counts = sorted({len(cell["seeds"]) for cell in own})
        times.setdefault(" or ".join(map(str, counts)), []).append(COLUMNS[column])
        seconds = [cell["fit_seconds"] for cell in own if cell.get("fit_seconds")]
        if seconds:
            took.append(f"{COLUMNS[column]} {statistics.fmean(seconds):.3g}")
        for cell in own:
            said = ", ".join(f"{name} {value}" for name, value in cell.get("settings", {}).items())
            if said and f"{COLUMNS[column]}: {said}" not in settings:
                settings.append(f"{COLUMNS[column]}: {said}")
    for count, columns in times.items():
        whose = "" if len(times) == 1 else f": {'; '.join(columns)}"
        lines.append(f"- {count} seed{'' if count == '1' else 's'}{whose}.")
    if took:
        lines.append(f"- Seconds of a fit, on average: {'; '.join(took)}.")
    if settings:
        lines.append(f"- Settings other than the defaults: {'; '.join(settings)}.")
    for cell in result["cells"]:
        if "note" in cell:
            where = f"{cell['label']}, {cell['keep']} kept, {COLUMNS[cell['generator']]}"
            lines.append(f"- No value (–): {where} — {cell['note']}")
    for run in result["runs"].values():
        where = run["machine"]
        lines.append(
            f"- Run of {run['date'][:10]}: `python {run['command']}`, pgcgan {run['pgcgan']}, {where['cores']} cores "
            f"({where['processor']}), load before it {where['load_before']:g}."
        )
    behind = _behind(result)
    if behind:
        lines += ["", "Where pgcgan is not the best in F1 (references left out):", "", *behind]
    return lines


def _behind(result: dict[str, Any]) -> list[str]:
    """Return, for each row in which another generator has a higher mean F1 than pgcgan, the one with the highest."""
    f1 = {_key(cell): statistics.fmean(cell["f1"]) for cell in result["cells"] if cell.get("f1")}
    lines = []
    for label, keep, column in f1:
        if column != "pgcgan":
            continue
        own = {c: f1[label, keep, c] for c in GENERATORS if (label, keep, c) in f1}
        best = max(own, key=lambda c: own[c])
        if figure(own[best]) != figure(own["pgcgan"]):
            lines.append(f"- {label}, {keep} kept: {figure(own['pgcgan'])}; {COLUMNS[best]} {figure(own[best])}.")
    return lines


# ---- command line -------------------------------------------------------------------------------------------------


def words(text: str) -> list[str]:
    return list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def whole_numbers(least: int) -> Callable[[str], list[int]]:
    def comma_joined(text: str) -> list[int]:
        numbers = [int(word) for word in words(text)]
        if not numbers or min(numbers) < least:
            raise ValueError
        return numbers

    return comma_joined


def number(text: str) -> float:
    return int(text) if text.isdigit() else float(text)


def _command(given: argparse.Namespace) -> str:
    # not the command line as it was typed: folders of one machine say nothing on another
    said = [f"benchmarks/{Path(__file__).name}"]
    for name, default in (("labels", None), ("keep", KEEP), ("generators", tuple(COLUMNS)), ("seeds", SEEDS)):
        value = getattr(given, name)
        if value is not None and tuple(value) != default:
            said.append(f"--{name} {','.join(map(str, value))}")
    said += [f"--{name} {getattr(given, name)}" for name in ("minutes", "epochs") if getattr(given, name) is not None]
    return " ".join(said) + (" --model DIR" if given.model else "")


def main(argv: Sequence[str] | None = None, settings: Mapping[str, Any] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the real data")
    parser.add_argument("--labels", type=words, help="labels to take people from, joined by ','; default all")
    parser.add_argument(
        "--keep", type=whole_numbers(1), default=list(KEEP), help="people kept of the label; default 10,…,100"
    )
    parser.add_argument(
        "--generators", type=words, default=list(COLUMNS), help=f"of {', '.join(COLUMNS)}; default all",
    )  # fmt: skip
    parser.add_argument("--seeds", type=whole_numbers(0), default=list(SEEDS), help="default 1,2,3")
    parser.add_argument("--minutes", type=number, help="of each training of pgcgan")
    parser.add_argument("--epochs", type=number, help="of each training of pgcgan")
    parser.add_argument("--model", type=Path, help="a model trained on all train people, for pgcgan-all")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results", help="folder of the JSON file")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    parser.add_argument(
        "--render", action="store_true", help="write the document again from the JSON file, run nothing"
    )
    given = parser.parse_args(argv)
    unknown = [name for name in given.generators if name not in COLUMNS]
    if unknown or not given.generators:
        parser.error(f"unknown generator {(unknown or [''])[0]!r}; accepted: {', '.join(COLUMNS)}")
    if given.model is not None and "pgcgan-all" not in given.generators:
        parser.error("--model goes with the generator pgcgan-all")
    path = given.out / f"{NAME}.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    try:
        if given.render:
            if before is None:
                sys.exit(f"error: there is no {path.name} in the folder of results (--out DIR).")
            write_section(given.document, NAME, as_markdown(before))
            return
        if not (given.data / DATA.vcf).exists():
            print(f"Augmentation: {DATA.vcf} is not in the data folder (--data DIR); nothing is measured.")
            return
        chosen = {name: getattr(given, name) for name in ("minutes", "epochs") if getattr(given, name) is not None}
        train, holdout = read_parts(given.data, DATA)
        experiment = Experiment(
            train, holdout, settings={**(settings or {}), **chosen}, model=given.model, seed=given.seeds[0]
        )
        about = {
            "name": NAME,
            "title": DATA.title,
            "sites": train.n_variants,
            "train": experiment.counts,
            "holdout": composition(holdout),
            "unit": "haplotypes" if train.phased else "people",
        }
        made = provenance(machine=machine(), command=_command(given))
        del made["seed"]  # the cells have theirs
        merged(before, about, made, [])  # other data are found now, not after hours
        people = f"{train.n_samples} train and {holdout.n_samples} held-out people"
        print(f"{DATA.title}: {people} at {train.n_variants} sites", flush=True)
        measure(
            experiment, given.labels or list(experiment.counts), given.keep, given.generators, given.seeds,
            lambda cells: write_result(merged(before, about, made, cells), given.out),
        )  # fmt: skip
        write_section(given.document, NAME, as_markdown(json.loads(path.read_text(encoding="utf-8"))))
        print(f"wrote {path.name}")
    except PgcganError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
