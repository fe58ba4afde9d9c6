"""The augmentation table: what a classifier of labels gains from synthetic people of a label that has few.

Of one label only k train people are kept, the other labels whole. Generator and classifier see this reduced set alone;
people of the label are added until it has as many as in the whole train set; the held-out people are the test. Writes
benchmarks/results/augmentation.json, cell by cell, and the section of docs/benchmarks.md between the markers
`augmentation`. A later run adds its seeds to the cells that it measures and keeps the others, so that the table can be
filled over several runs. Every generator is fitted anew for each cell and seed.

    python benchmarks/augmentation.py [--data DIR] [--labels AMR,…] [--keep 10,…] [--generators none,…] [--seeds 1,2,3]
        [--minutes M] [--steps N] [--model DIR]
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
from augmentation_table import (
    COLUMNS,
    DATA,
    KEEP,
    NAME,
    SCORES,
    SEEDS,
    as_markdown,
    cell_key,
    people_text,
    with_spread,
)
from cohorts import LABEL, label_counts, read_parts
from measuring import DOCUMENT, RESULTS, ROOT, machine, short, write_result, write_section
from sklearn.metrics import balanced_accuracy_score, f1_score

from pgcgan import Genotypes, load
from pgcgan.errors import DataError, ModelError, PgcganError, UsageError, listed
from pgcgan.metrics.comparison import Cohort
from pgcgan.metrics.utility import LabelClassifier
from pgcgan.provenance import provenance
from pgcgan.registry import create

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
        self.counts = label_counts(train)
        self._on_all: dict[str, tuple[Any, float | None]] = {}
        self._by_real: dict[int, np.ndarray] = {}

    def check(self, generators: Sequence[str]) -> None:
        """Raise now, and not after hours, if a setting does not exist or the model is one of other people or sites."""
        for generator in set(generators) - {"none", "oversampling", "real"}:
            self._new(generator.removesuffix("-all"), self.seed)
        if self.model is not None:
            self._on_all["haplotype-all"] = self._loaded(self.model), None

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
            scores["f1"].append(short(f1_score(truth == label, predicted == label, zero_division=0)))
            scores["balanced_accuracy"].append(short(balanced_accuracy_score(truth, predicted)))
        once = generator == "haplotype-all"
        cell |= scores | {"fits": 1 if once else len(seconds)}
        cell["fit_seconds"] = short(statistics.fmean(seconds)) if seconds else None
        if generator in ("gan", "haplotype", "haplotype-all"):
            given = once and self.model is not None
            cell["settings"] = {"model": "trained beforehand"} if given else self._parameters(generator)
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
            of_label = np.flatnonzero(reduced.label(LABEL) == label)
            repeated = np.random.default_rng([seed, 1]).permutation(of_label)
            return self._classified(reduced, reduced.calls[:, np.resize(repeated, missing)], label, seed), None
        fitted, seconds = self._fitted(generator, reduced, seed)
        people = fitted.sample({label: missing}, seed=seed)
        return self._classified(reduced, people.calls, label, seed), seconds

    def _fitted(self, generator: str, reduced: Genotypes, seed: int) -> tuple[Any, float | None]:
        if generator != "haplotype-all":
            return _fit(self._new(generator, seed), reduced)
        if generator not in self._on_all:
            self._on_all[generator] = _fit(self._new(generator.removesuffix("-all"), self.seed), self.train)
        return self._on_all[generator]

    def _parameters(self, generator: str) -> dict[str, Any]:
        """Return the parameters of a model that differ from its defaults."""
        return self.settings if generator == "gan" else {}

    def _new(self, generator: str, seed: int) -> Any:
        return create(generator, LABEL, seed=seed, **self._parameters(generator))

    def _loaded(self, directory: Path) -> Any:
        model = load(directory)
        if model.label != (LABEL,) or model.label_counts_ != self.counts:
            raise ModelError(
                f"The model was trained on other people ({'/'.join(model.label)}: {people_text(model.label_counts_)}) "
                f"than the train people ({LABEL}: {people_text(self.counts)}); give one that was trained on exactly "
                "these."
            )
        if not model.sample({next(iter(self.counts)): 1}, seed=0).variants.equals(self.train.variants):
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
    joined = {cell_key(cell): cell for cell in old["cells"]}
    joined |= {cell_key(cell): _with_other_seeds({**cell, "run": number}, joined.get(cell_key(cell))) for cell in cells}
    columns = list(COLUMNS)
    ordered = sorted(joined.values(), key=lambda c: (c["label"], c["keep"], columns.index(c["generator"])))
    runs = {**old["runs"], number: dict(run)}
    used = {run for cell in ordered for run in cell["run"].split(",")}
    return {**about, "runs": {n: r for n, r in runs.items() if n in used}, "cells": ordered}


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
                shown = cell.get("note") or ", ".join(f"{SCORES[s]} {with_spread(cell[s])}" for s in SCORES)
                print(f"  {label}, {k} kept, {COLUMNS[generator]}: {shown}", flush=True)
                cells.append(cell)
                store(cells)
    return cells


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


def whole_number(text: str) -> int:
    return int(text)


def _command(given: argparse.Namespace) -> str:
    # not the command line as it was typed: folders of one machine say nothing on another
    said = [f"benchmarks/{Path(__file__).name}"]
    for name, default in (("labels", None), ("keep", KEEP), ("generators", tuple(COLUMNS)), ("seeds", SEEDS)):
        value = getattr(given, name)
        if value is not None and tuple(value) != default:
            said.append(f"--{name} {','.join(map(str, value))}")
    said += [f"--{name} {getattr(given, name)}" for name in ("minutes", "steps") if getattr(given, name) is not None]
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
    parser.add_argument("--minutes", type=float, help="of each training of the gan")
    parser.add_argument("--steps", type=whole_number, help="of each training of the gan")
    parser.add_argument("--model", type=Path, help="a model trained on all train people, for haplotype-all")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    parser.add_argument(
        "--render", action="store_true", help="write the document again from the JSON file, run nothing"
    )
    given = parser.parse_args(argv)
    unknown = [name for name in given.generators if name not in COLUMNS]
    if unknown or not given.generators:
        parser.error(f"unknown generator {(unknown or [''])[0]!r}; accepted: {', '.join(COLUMNS)}")
    if given.model is not None and "haplotype-all" not in given.generators:
        parser.error("--model goes with the generator haplotype-all")
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
        chosen = {name: getattr(given, name) for name in ("minutes", "steps") if getattr(given, name) is not None}
        train, holdout = read_parts(given.data, DATA)
        experiment = Experiment(
            train, holdout, settings={**(settings or {}), **chosen}, model=given.model, seed=given.seeds[0]
        )
        about = {
            "name": NAME,
            "title": DATA.title,
            "sites": train.n_variants,
            "train": experiment.counts,
            "holdout": label_counts(holdout),
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
