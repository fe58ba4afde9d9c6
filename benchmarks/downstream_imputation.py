"""Imputation: how well Beagle and Minimac4 fill in the masked sites of held-out people from a synthetic panel.

Of the held-out people every tenth or every second site is left; the tool imputes the others from a panel. Each masked
site that varies among the held-out people has an r², the squared correlation of the imputed dosage with the true one
(0 where the imputed dosage is constant); figures are means over sites.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from cohorts import LABEL, label_counts
from downstream_page import at, cell, mean_of, measured, table
from downstream_people import GAN, POOL, Cohort, joined
from downstream_tools import missing, read_dosages, run
from measuring import short

from pgcgan import Genotypes, HaplotypeModel, write

NAME, TITLE = "imputation", "A reference panel for imputation"
TOOLS = ("beagle", "minimac4")
MASKS = {"nine of ten": 10, "one in two": 2}  # masked sites: one site in so many is left
RARE = "MAF < 1 %"
CLASSES = {RARE: (0.0, 0.01), "MAF 1 to 5 %": (0.01, 0.05), "MAF >= 5 %": (0.05, 0.51)}
THINNED, KEPT = "AFR", 25  # the label that has few people in some panels
NEAR = 100  # sites
TIMES = 4  # synthetic people a training person in the large panel
REAL = "real"
CODED = "real, coded"  # the training people as the templates of the haplotype model have them
BARS = {"all": 0.010, RARE: 0.08}  # how far below the real panel the default model may stay, nine of ten masked
GENERATORS = ("haplotype", "haplotype, rare variants kept", "haplotype, private", "Li-Stephens")
FEW = f"{THINNED} {KEPT}"
PANELS = (
    REAL, CODED, *GENERATORS, GAN, f"haplotype, {TIMES} times", "real + haplotype",
    f"{FEW}", f"{FEW} + haplotype", f"{FEW} + Li-Stephens",
)  # fmt: skip


def panel_people(panel: str, cohort: Cohort, seed: int) -> Genotypes:
    """Return the people of a panel."""
    if panel == REAL:
        return cohort.train
    if panel == CODED:
        return coded(cast(HaplotypeModel, cohort.model("haplotype", seed)), cohort.train, seed)
    if panel in (*GENERATORS, GAN):
        return cohort.synthetic(panel, seed)
    if panel.endswith(" times"):
        return cohort.synthetic("haplotype", seed, times=TIMES)
    if panel == "real + haplotype":
        return joined(cohort.train, cohort.synthetic("haplotype", seed))
    few = cohort.thinned({THINNED: KEPT}, seed)
    if panel == FEW:
        return few
    generator = panel.split(" + ")[1]
    absent = label_counts(cohort.train)[THINNED] - KEPT
    return joined(few, cohort.synthetic(generator, seed, people=few, counts={THINNED: absent}))


def coded(model: HaplotypeModel, people: Genotypes, seed: int) -> Genotypes:
    """Return people whose haplotypes are replaced, block by block, by what the model's template of each stands for.

    As a panel they lose what the templates lose; synthetic people lose what the order of the codes loses besides.
    """
    codes = model.blocks_.encode(people.haplotypes()).astype(np.int64)
    rows = model.blocks_.decode(codes, np.random.default_rng(seed))
    calls = rows.reshape(people.n_samples, 2, -1).transpose(2, 0, 1)
    return Genotypes(calls, people.variants, people.samples, people.labels, people.phased)


def holds_training_people(panel: str) -> bool:
    """True if a panel has training people in it, so that an attack on their membership is idle."""
    return panel in (REAL, CODED) or "real +" in panel or panel.startswith(FEW)


def write_panel(people: Genotypes, folder: Path) -> Path:
    """Write people as a reference panel, without labels; return the file."""
    plain = Genotypes(people.calls, people.variants, people.samples, {}, people.phased)
    return write(plain, folder / "panel.vcf.gz")[0]


def impute(tool: str, panel: Path, people: Genotypes, left: np.ndarray, seed: int) -> np.ndarray:
    """Return the dosages that a tool imputes of people of whom it sees the sites `left`: (variants, people).

    Where few sites are left Beagle gets the people unphased, as from an array, and phases them. Otherwise the tools get
    the phase of the file: to phase many sites takes Beagle minutes, and Minimac4 cannot.
    """
    unphased = tool == "beagle" and left.mean() < 1 / 4
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        seen = people.select(sites=left)
        plain = Genotypes(seen.calls, seen.variants, seen.samples, {}, seen.phased)
        write(plain, folder / "target.vcf.gz", unphased=unphased)
        if tool == "beagle":
            options = [f"ref={panel}", "gt=target.vcf.gz", "out=imputed", f"seed={seed}", "nthreads=1"]
            run(["beagle", *options], folder)
        else:
            run(["minimac4", "--compress-reference", str(panel)], folder, stdout=folder / "panel.msav")
            options = ["panel.msav", "target.vcf.gz", "-f", "DS", "-O", "vcf.gz", "-o", "imputed.vcf.gz"]
            run(["minimac4", *options], folder)
        return read_dosages(folder / "imputed.vcf.gz", people)


def r2_by_site(truth: np.ndarray, imputed: np.ndarray) -> np.ndarray:
    """Return for each site the squared correlation of two dosages, shape (variants,).

    NaN where the truth does not vary; 0 where it does and the imputed dosage does not.
    """
    x, y = (a - a.mean(axis=1, keepdims=True) for a in (truth.astype(float), imputed.astype(float)))
    of_truth, of_imputed = (x * x).sum(axis=1), (y * y).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = (x * y).sum(axis=1) ** 2 / (of_truth * of_imputed)
    r2[of_imputed < 1e-9] = 0.0
    r2[of_truth < 1e-9] = np.nan
    return r2


def accuracy(people: Genotypes, imputed: np.ndarray, masked: np.ndarray, frequency: np.ndarray) -> dict[str, Any]:
    """Return the mean r² of masked sites: of all, by class of minor allele frequency, and in each label.

    Parameters
    ----------
    people : Genotypes
        The truth.
    imputed : array, shape (variants, people)
    masked : array of bool, shape (variants,)
    frequency : array of float, shape (variants,)
        Minor allele frequency among the training people.
    """
    truth, labels = people.dosages().T, people.label(LABEL).astype(str)
    r2 = r2_by_site(truth, imputed)
    groups = {"all": masked, **{name: masked & (frequency >= a) & (frequency < b) for name, (a, b) in CLASSES.items()}}
    result: dict[str, Any] = {name: _mean(r2[sites]) for name, sites in groups.items()}
    for label in np.unique(labels):
        members = labels == label
        result[str(label)] = _mean(r2_by_site(truth[:, members], imputed[:, members])[masked])
    return result


def rare_alleles(panel: Genotypes, real: Genotypes, rare: np.ndarray) -> dict[str, Any]:
    """Return what became of rare alleles in a panel: how many are lost, and how well one other site still marks them.

    The mark of a rare allele is the site within `NEAR` sites that has the highest r² with it among real people. An
    allele that a model spreads over more haplotypes than carried it loses r² with its mark, and cannot be imputed.
    """
    ours, theirs = panel.calls.reshape(len(panel), -1), real.calls.reshape(len(real), -1)
    marks, lost = [], 0
    for site in np.flatnonzero(rare):
        near = np.arange(max(site - NEAR, 0), min(site + NEAR + 1, len(real)))
        near = near[near != site]
        r2 = np.nan_to_num(r2_by_site(theirs[near], np.broadcast_to(theirs[site], (len(near), theirs.shape[1]))))
        mark = near[np.argmax(r2)]
        copy = r2_by_site(ours[site][None], ours[mark][None])[0]
        lost += bool(np.isnan(copy))
        marks.append((float(r2.max()), float(np.nan_to_num(copy))))
    if not marks:
        return {"sites": 0, "lost": 0, "marked": None, "marked among real people": None}
    real_marked, marked = np.mean(marks, axis=0)
    return {"sites": len(marks), "lost": lost, "marked": short(marked), "marked among real people": short(real_marked)}


def _mean(r2: np.ndarray) -> dict[str, Any]:
    """Return mean, its standard error over sites, and the number of sites."""
    known = r2[np.isfinite(r2)]
    if not len(known):
        return {"r2": None, "error": None, "sites": 0}
    error = float(known.std(ddof=1) / np.sqrt(len(known))) if len(known) > 1 else None
    return {"r2": short(float(known.mean())), "error": short(error), "sites": len(known)}


def measure(
    cohort: Cohort, seeds: Sequence[int], only: Sequence[str] | None, say: Callable[[str], None]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each panel with its figures, as soon as it is measured: leak, people, and a cell a tool, mask and seed."""
    absent = missing(TOOLS)
    for sentence in absent:
        say(sentence)
    tools = [tool for tool in TOOLS if not any(s.startswith(f"{tool} ") for s in absent)]
    if not tools:
        return
    frequency = cohort.train.allele_frequency()
    frequency = np.minimum(frequency, 1 - frequency)
    for panel in PANELS:
        if (panel == GAN and cohort.gan is None) or (only is not None and panel not in only):
            continue
        runs = {}
        for seed in seeds if panel != REAL else seeds[:1]:
            people = panel_people(panel, cohort, seed)
            leak = None if holds_training_people(panel) else cohort.leak(people, seed)
            cells = _impute_all(people, cohort.holdout, tools, frequency, seed)
            rare = rare_alleles(people, cohort.train, frequency < CLASSES[RARE][1])
            runs[str(seed)] = {"people": label_counts(people), "leak": leak, "rare": rare, "cells": cells}
            say(f"  {panel}, seed {seed}: " + ", ".join(f"{n} {c['all']['r2']}" for n, c in cells.items()))
        yield panel, {"runs": runs}


def _impute_all(
    people: Genotypes, holdout: Genotypes, tools: Sequence[str], frequency: np.ndarray, seed: int
) -> dict[str, Any]:
    """Return the accuracy of each tool and mask from one panel, with the seconds that the tool took."""
    cells = {}
    with tempfile.TemporaryDirectory() as temporary:
        panel = write_panel(people, Path(temporary))
        for mask, every in MASKS.items():
            left = np.arange(people.n_variants) % every == 0
            for tool in tools:
                began = time.perf_counter()
                imputed = impute(tool, panel, holdout, left, seed)
                seconds = time.perf_counter() - began
                cells[f"{tool}, {mask}"] = {
                    **accuracy(holdout, imputed, ~left, frequency),
                    "seconds": round(seconds, 1),
                }
    return cells


# ---- the page -----------------------------------------------------------------------------------------------------


def as_markdown(result: Mapping[str, Any]) -> list[str]:
    """Return the section of docs/uses.md."""
    rows = {panel: result["rows"][panel] for panel in PANELS if panel in result["rows"]}
    labels = list(result["holdout"])
    first = f"{TOOLS[0]}, {next(iter(MASKS))}"
    columns = ["all", *CLASSES, *labels]
    counts = next((at(run, "cells", first) for row in rows.values() for run in row["runs"].values()), None)
    sites = [f" ({at(counts, c, 'sites')} sites)" if c in CLASSES else "" for c in columns]
    lines = ["Beagle, nine of ten sites masked, people unphased: mean r² of the masked sites.", ""]
    lines += table(
        [
            "panel",
            "people",
            POOL,
            *(f"{'mean r²' if c == 'all' else c}{n}" for c, n in zip(columns, sites, strict=True)),
        ],
        [
            [
                panel,
                f"{sum(next(iter(row['runs'].values()))['people'].values()):,}",
                "the people themselves" if holds_training_people(panel) else cell(row, "leak", POOL),
                *(cell(row, "cells", first, column, "r2") for column in columns),
            ]
            for panel, row in rows.items()
        ],
    )
    others = [f"{tool}, {mask}" for tool in TOOLS for mask in MASKS if f"{tool}, {mask}" != first]
    lines += ["", "The other masks and tools, people phased as in the file: mean r², and that of rare alleles.", ""]
    lines += table(
        ["panel", *(f"{name}{of}" for name in others for of in ("", f", {RARE}"))],
        [
            [panel, *(cell(row, "cells", name, column, "r2") for name in others for column in ("all", RARE))]
            for panel, row in rows.items()
        ],
    )
    return [*lines, "", *_bars(rows, first), *_rare(rows), "", *measured(result)]


def _bars(rows: Mapping[str, Any], cells: str) -> list[str]:
    """Return whether the default model reaches its bars."""
    lines = []
    for column, bar in BARS.items():
        real, ours = (mean_of(rows.get(panel), "cells", cells, column, "r2") for panel in (REAL, "haplotype"))
        if real is None or ours is None:
            continue
        name = "Mean r²" if column == "all" else f"Mean r², {column}"
        error = mean_of(rows["haplotype"], "cells", cells, column, "error")
        lines.append(
            f"- {name}: {real - ours:.3f} below the real panel; the bar is {bar:.3f}: "
            f"**{'holds' if real - ours <= bar else 'missed'}** (standard error over sites of the synthetic figure "
            f"{error or 0:.3f})."
        )
    return lines


def _rare(rows: Mapping[str, Any]) -> list[str]:
    """Return what became of rare alleles in each synthetic panel."""
    lines = []
    for panel in (CODED, *GENERATORS, GAN):
        row = rows.get(panel)
        marked, real = (mean_of(row, "rare", name) for name in ("marked", "marked among real people"))
        if marked is not None and real is not None:
            sites, lost = mean_of(row, "rare", "sites"), mean_of(row, "rare", "lost")
            lines.append(
                f"- Rare alleles of {panel}: of {sites:.0f} sites {lost:.0f} lost; the r² with the site that marks the "
                f"allele best among real people is {marked:.2f} in the mean (real people: {real:.2f})."
            )
    return lines
