"""Association: what PLINK finds in synthetic people whose traits follow a known model, and in real people.

A trait is the sum of the effects of causal sites and noise; the same effects and the same noise variance hold for
every cohort, chosen on the training people. Labels are covariates. The cohorts have the size and the labels of the
held-out people; a polygenic score is trained on as many people as there are training people, and tested on the
held-out ones.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from cohorts import LABEL, label_counts
from downstream_page import cell, measured, table
from downstream_people import Cohort
from downstream_tools import missing, run
from measuring import short

from pgcgan import Genotypes, write

NAME, TITLE = "association", "Association studies and polygenic scores"
TOOLS = ("plink2", "plink1.9")
# trait: causal sites, share of the variance that they explain, number of traits
TRAITS = {"one": (1, 0.04, 40), "ten": (10, 0.2, 10), "polygenic": (200, 0.4, 10), "null": (0, 0.0, 40)}
SCORED = ("ten", "polygenic")
COMMON = 0.05  # least minor allele frequency of a causal site among training people
SHIFT = 0.5  # standard deviation of the mean of a label in a trait without causal sites
CLUMP = ("--clump-p1", "0.001", "--clump-p2", "1", "--clump-r2", "0.1", "--clump-kb", "1000")
HELD_OUT, TRAINING = "real, held out", "real, training people"


@dataclass(frozen=True)
class Trait:
    """A trait: its causal sites with their effects, and for each label the mean that does not come from them."""

    name: str
    sites: np.ndarray
    effects: np.ndarray
    means: Mapping[str, float]
    noise: float
    seed: int

    def genetic(self, people: Genotypes) -> np.ndarray:
        """Return the part of the trait that comes from the causal sites."""
        return people.calls[self.sites].sum(axis=2).T.astype(float) @ self.effects

    def of(self, people: Genotypes) -> np.ndarray:
        """Return the trait of people; the noise depends on the trait and the names of the people alone."""
        random = np.random.default_rng([self.seed, people.n_samples, sum(map(ord, str(people.samples[0])))])
        shift = np.array([self.means.get(label, 0.0) for label in people.label(LABEL).astype(str)])
        return self.genetic(people) + shift + self.noise * random.standard_normal(people.n_samples)


def traits(train: Genotypes, seed: int) -> list[Trait]:
    """Return the traits of a seed, with effects scaled to the variance among the training people."""
    random = np.random.default_rng([seed, 7])
    common = np.flatnonzero(train.common(COMMON))
    labels = np.unique(train.label(LABEL).astype(str))
    result = []
    for kind, (count, share, replicates) in TRAITS.items():
        for k in range(replicates):
            sites = np.sort(random.choice(common, min(count, len(common)), replace=False))
            trait = Trait(
                f"{kind}_{k + 1}",
                sites,
                random.standard_normal(len(sites)) if len(sites) > 1 else np.ones(len(sites)),
                {}
                if len(sites)
                else dict(zip(labels.tolist(), SHIFT * random.standard_normal(len(labels)), strict=True)),
                float(np.sqrt(1 - share)),
                seed=1000 * seed + len(result),
            )
            if len(sites):
                scale = np.sqrt(share / residual(trait.genetic(train)[:, None], train).var())
                trait = replace(trait, effects=trait.effects * scale)
            result.append(trait)
    return result


def residual(values: np.ndarray, people: Genotypes) -> np.ndarray:
    """Return columns of numbers of people less the mean of their label."""
    labels, rest = people.label(LABEL).astype(str), values.astype(float)
    for label in np.unique(labels):
        rest[labels == label] -= rest[labels == label].mean(axis=0)
    return rest


def marginal_effects(trait: Trait, people: Genotypes) -> np.ndarray:
    """Return the effect that each site would show in endless people like these: its own, and that of its neighbours.

    The regression of the genetic part of the trait on the site within labels; NaN where a site does not vary.
    """
    x = residual(people.dosages(), people)
    variance = (x * x).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(
            variance > 1e-9, x.T @ residual(trait.genetic(people)[:, None], people)[:, 0] / variance, np.nan
        )


# ---- the tools ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scan:
    """What PLINK says of one trait: effect and p-value of each site; NaN where it gives none."""

    effect: np.ndarray
    p: np.ndarray


def write_cohort(people: Genotypes, folder: Path, columns: Mapping[str, np.ndarray]) -> None:
    """Write people as people.bed, with sites s0, s1, …; their traits; and their labels as covariates."""
    sites = people.variants
    names = np.array([f"s{k}" for k in range(len(sites))], dtype=object)
    write(
        Genotypes(people.calls, replace(sites, id=names), people.samples, {}, people.phased),
        folder / "people.bed",
        unphased=True,
    )
    labels = people.label(LABEL).astype(str)
    covariates = {f"is_{label}": (labels == label).astype(float) for label in np.unique(labels)[1:]}
    for name, table_columns in (("traits", columns), ("covariates", covariates)):
        header = "\t".join(["#IID", *table_columns])
        lines = zip(people.samples, *table_columns.values(), strict=True)
        text = "\n".join([header, *("\t".join([str(s), *(f"{v:.6g}" for v in row)]) for s, *row in lines)])
        (folder / f"{name}.txt").write_text(text + "\n", encoding="utf-8")


def scan(people: Genotypes, chosen: Sequence[Trait], folder: Path) -> dict[str, Scan]:
    """Return what `plink2 --glm` finds for each trait; its files stay in the folder."""
    write_cohort(people, folder, {trait.name: trait.of(people) for trait in chosen})
    options = ["--bfile", "people", "--pheno", "traits.txt", "--covar", "covariates.txt", "--threads", "1"]
    run(["plink2", *options, "--glm", "omit-ref", "hide-covar", "--out", "scan"], folder)
    return {trait.name: _read_scan(folder / f"scan.{trait.name}.glm.linear", people.n_variants) for trait in chosen}


def _read_scan(path: Path, sites: int) -> Scan:
    effect, p = np.full(sites, np.nan), np.full(sites, np.nan)
    with path.open(encoding="utf-8") as file:
        header = file.readline().lstrip("#").split()
        at_id, at_effect, at_p = (header.index(name) for name in ("ID", "BETA", "P"))
        for line in file:
            fields = line.split()
            if fields[at_p] != "NA":
                site = int(fields[at_id][1:])
                effect[site], p[site] = float(fields[at_effect]), float(fields[at_p])
    return Scan(effect, p)


def polygenic_score(trait: Trait, folder: Path, test: Path) -> np.ndarray | None:
    """Return a score of the people in `test` from a scan in `folder`: `--clump` of PLINK 1.9, `--score` of PLINK 2.

    None if no site passes the clumping.
    """
    results = f"scan.{trait.name}.glm.linear"
    options = ["--bfile", "people", "--clump", results, "--clump-snp-field", "ID", "--clump-field", "P"]
    run(["plink1.9", *options, *CLUMP, "--threads", "1", "--out", "clump"], folder)
    clumped = folder / "clump.clumped"
    if not clumped.exists():
        return None
    rows = [line.split() for line in clumped.read_text(encoding="utf-8").splitlines() if line.strip()]
    at_snp = rows[0].index("SNP")
    chosen = {row[at_snp] for row in rows[1:]}
    clumped.unlink()
    lines = (folder / results).read_text(encoding="utf-8").splitlines()
    header = lines[0].lstrip("#").split()
    wanted = [header.index(name) for name in ("ID", "A1", "BETA")]
    weights = [[fields[k] for k in wanted] for fields in map(str.split, lines[1:]) if fields[wanted[0]] in chosen]
    (folder / "weights.txt").write_text("\n".join("\t".join(row) for row in weights) + "\n", encoding="utf-8")
    run(
        ["plink2", "--bfile", str(test / "people"), "--score", str(folder / "weights.txt"), "1", "2", "3",
         "cols=scoresums", "--threads", "1", "--out", "score"],
        folder,
    )  # fmt: skip
    text = (folder / "score.sscore").read_text(encoding="utf-8").splitlines()
    return np.array([float(line.split()[-1]) for line in text[1:]])


# ---- what is measured ---------------------------------------------------------------------------------------------


def findings(people: Genotypes, scans: Mapping[str, Scan], chosen: Sequence[Trait], train: Genotypes) -> dict[str, Any]:
    """Return power, effects and false positives by kind of trait.

    Power is the share of causal sites with p < .05 / sites; `found near`, for one causal site, the share of traits
    whose most significant site has r² >= .8 with it among the training people. Effects of common sites are compared
    with the marginal effects among the training people: correlation, and slope of the estimates on them.
    """
    common, threshold = train.common(COMMON), 0.05 / people.n_variants
    result: dict[str, Any] = {}
    for kind in TRAITS:
        of_kind = [trait for trait in chosen if trait.name.split("_")[0] == kind]
        p = np.array([scans[trait.name].p for trait in of_kind])
        if kind == "null":
            known = p[:, common][np.isfinite(p[:, common])]
            result[kind] = {
                "p < .05": short(float((known < 0.05).mean())),
                "p < .001": short(float((known < 0.001).mean())),
            }
            continue
        found = np.concatenate([row[trait.sites] for row, trait in zip(p, of_kind, strict=True)]) < threshold
        truth = np.concatenate([marginal_effects(trait, train)[common] for trait in of_kind])
        ours = np.concatenate([scans[trait.name].effect[common] for trait in of_kind])
        known = np.isfinite(truth) & np.isfinite(ours)
        result[kind] = {
            "power": short(float(found.mean())),
            "effect r": short(float(np.corrcoef(truth[known], ours[known])[0, 1])),
            "effect slope": short(float(np.polyfit(truth[known], ours[known], 1)[0])),
        }
        if kind == "one":
            result[kind]["found near"] = short(_near(p, of_kind, train))
    return result


def _near(p: np.ndarray, of_kind: Sequence[Trait], train: Genotypes) -> float:
    """Return the share of traits whose most significant site is the causal one, or has r² >= .8 with it."""
    x = train.dosages()
    near = []
    for row, trait in zip(p, of_kind, strict=True):
        top, causal = int(np.nanargmin(row)), int(trait.sites[0])
        near.append(top == causal or np.corrcoef(x[:, top], x[:, causal])[0, 1] ** 2 >= 0.8)
    return float(np.mean(near))


def score_accuracy(
    people: Genotypes, chosen: Sequence[Trait], test: Genotypes, test_folder: Path
) -> dict[str, float | None]:
    """Return by kind of trait the mean r², within labels, of the trait of others and scores trained on people."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        of_kinds = [trait for trait in chosen if trait.name.split("_")[0] in SCORED]
        scan(people, of_kinds, folder)
        values: dict[str, list[float]] = {kind: [] for kind in SCORED}
        for trait in of_kinds:
            score = polygenic_score(trait, folder, test_folder)
            r2 = 0.0
            if score is not None and score.std() > 0:
                pair = residual(np.column_stack([score, trait.of(test)]), test)
                r2 = float(np.corrcoef(pair.T)[0, 1] ** 2)
            values[trait.name.split("_")[0]].append(r2)
    return {kind: short(float(np.mean(numbers))) for kind, numbers in values.items()}


def measure(
    cohort: Cohort, seeds: Sequence[int], only: Sequence[str] | None, say: Callable[[str], None]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each cohort with its figures: findings by kind of trait, and polygenic scores trained on it."""
    absent = missing(TOOLS)
    for sentence in absent:
        say(sentence)
    if absent:
        return
    for row in (HELD_OUT, TRAINING, *cohort.generators()):
        if only is not None and row not in only:
            continue
        runs = {}
        for seed in seeds:
            chosen = traits(cohort.train, seed)
            small, large = _people(row, cohort, seed)
            with tempfile.TemporaryDirectory() as temporary, tempfile.TemporaryDirectory() as test:
                result: dict[str, Any] = findings(small, scan(small, chosen, Path(temporary)), chosen, cohort.train)
                if large is not None:
                    write_cohort(cohort.holdout, Path(test), {})
                    result["score"] = score_accuracy(large, chosen, cohort.holdout, Path(test))
            runs[str(seed)] = result
            say(f"  {row}, seed {seed}: {result}")
        yield row, {"runs": runs}


def _people(row: str, cohort: Cohort, seed: int) -> tuple[Genotypes, Genotypes | None]:
    """Return the people of a row: as many as are held out, and, to train a score, as many as were trained on."""
    if row == HELD_OUT:
        return cohort.holdout, None
    if row == TRAINING:
        few = label_counts(cohort.holdout)
        return cohort.thinned(few, seed), cohort.train
    return cohort.synthetic(row, seed, counts=label_counts(cohort.holdout)), cohort.synthetic(row, seed)


# ---- the page -----------------------------------------------------------------------------------------------------


def as_markdown(result: Mapping[str, Any]) -> list[str]:
    """Return the section of docs/uses.md."""
    columns = {
        "power, one": ("one", "power"),
        "found near": ("one", "found near"),
        "power, ten": ("ten", "power"),
        "effect r, one": ("one", "effect r"),
        "effect slope, one": ("one", "effect slope"),
        "effect r, polygenic": ("polygenic", "effect r"),
        "null, p < .05": ("null", "p < .05"),
        "null, p < .001": ("null", "p < .001"),
        "score r², ten": ("score", "ten"),
        "score r², polygenic": ("score", "polygenic"),
    }
    rows = [
        [name, *(cell(row, *keys, digits=4 if ".001" in title else 3) for title, keys in columns.items())]
        for name, row in result["rows"].items()
    ]
    return [*table(["cohort", *columns], rows), "", *measured(result)]
