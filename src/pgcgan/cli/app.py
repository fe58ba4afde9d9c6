"""The application that the commands belong to, and the options that several of them share."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from cyclopts import App, Group, Parameter

from ..errors import UsageError


def _version() -> str:
    from ..provenance import VERSION

    return VERSION


app = App(
    name="pgcgan",
    help="Synthetic people for any label, learned from a VCF, with the evidence beside them.",
    help_epilogue="Every command takes -q (--quiet: results and errors alone) and -v (--verbose: each step, and the "
    "traceback of an error). pgcgan COMMAND --help has its options and an example.",
    version=_version,
    default_parameter=Parameter(negative="", negative_iterable=""),
    help_format="plaintext",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)


# a file name may be "-" (standard input or output), which is not an option
FILE = Parameter(allow_leading_hyphen=True)
OUTPUT = Parameter(name=["--output", "-o"], allow_leading_hyphen=True)
ReplaceFile = Annotated[bool, Parameter(help="Replace a file that exists.")]
ReplaceFiles = Annotated[bool, Parameter(help="Replace files that exist.")]
Label = Annotated[
    list[str] | None, Parameter(help="Label column of the panel, super_pop by default; repeat it for several.")
]
PerLabel = Annotated[bool, Parameter(help="Add the rows of each label.")]


@Parameter(
    name="*",
    group=Group("Reading", help="How a file is read; each error names the option that accepts what it refuses."),
)
@dataclass(frozen=True)
class Reading:
    """Options of `pgcgan.read`."""

    region: str | None = None
    """contig, contig:start-end or contig:start- (1-based, both ends included)."""
    min_maf: float | None = None
    """Keep sites with at least this minor allele frequency among the people kept."""
    population_map: str | None = None
    """Population to super-population: 1000g, pg-cgan (ACB and ASW count as AMR), or a table of two columns."""
    intersect: bool = False
    """Use the samples that are in both the genotypes and the panel (or split)."""
    multiallelic: Literal["error", "split", "drop"] = "error"
    """Records with several ALT alleles."""
    half_calls: Literal["error", "missing"] = "error"
    """Calls such as 0/. ."""
    haploid: Literal["error", "diploid"] = "error"
    """Haploid calls beside diploid ones."""
    duplicates: Literal["error", "drop"] = "error"
    """Records that repeat a site and its alleles."""
    unphased: bool = False
    """Read every call as an unordered pair."""


@Parameter(name="*", group=Group("Options of the networks", help="For --model gan and paper."))
@dataclass(frozen=True)
class NetworkOptions:
    """Parameters of the networks; None leaves the default."""

    minutes: float | None = None
    """Time budget of the training; the result then depends on the machine."""
    steps: int | None = None
    """Step budget of the training."""
    device: Literal["auto", "cpu", "cuda"] | None = None
    """auto, the default, is a GPU if there is one."""
    threads: int | None = None
    """Threads on the CPU; with 1 the same seed gives the same bytes on any number of cores. Other models use all cores
    for independent parts, with the same bytes on any number; windows of a genome have --executor."""


@Parameter(name="*", group=Group("Privacy", help="A haplotype model that gives less away of its training people."))
@dataclass(frozen=True)
class PrivacyOptions:
    """A target for an attack, or a guarantee."""

    private: float | None = None
    """Keep only what so many people carry that an informed attack on left-out training people finds members with this
    AUC at most: 0.6 gives away little, 0.7 is more faithful. Not a guarantee."""
    epsilon: float | None = None
    """A guarantee, (epsilon, delta)-differential privacy of each person: 1 is strong, 10 weak. Sites, names of labels
    and parameters count as public."""
    delta: float | None = None
    """1e-6 by default; far less than 1 / people."""
    public: str | None = None
    """Phased genotypes of people whose privacy need not be protected, with all sites of the cohort: far more faithful
    where the cohort is small."""


@Parameter(name="*", group=Group("Options of the baselines", help="For --model li-stephens, pca-gaussian and smote."))
@dataclass(frozen=True)
class BaselineOptions:
    """Parameters of the baselines; None leaves the default."""

    recombination_rate: float | None = None
    """li-stephens: per base pair and generation, where there is no map."""
    effective_size: float | None = None
    """li-stephens: effective population size."""
    genetic_map: str | None = None
    """li-stephens: a genetic map (HapMap, SHAPEIT, IMPUTE2 or PLINK .map; plain or gzip)."""
    segment_length: float | None = None
    """li-stephens: mean length of a copied segment in base pairs, instead of rate and map."""
    mutation: float | None = None
    """li-stephens: mutation probability per allele."""
    components: int | None = None
    """pca-gaussian: principal components."""
    neighbours: int | None = None
    """smote: nearest neighbours to choose from."""


@Parameter(
    name="*",
    group=Group("Mixtures", help="For -n LABEL:SHARE+LABEL:SHARE=COUNT, with a haplotype model of phased people."),
)
@dataclass(frozen=True)
class MixtureOptions:
    """How people of a mixture of labels are put together; None leaves the default."""

    generations: float | None = None
    """Since the labels met (8 by default): stretches of a label are 1 / generations Morgans long on average, and longer
    where the next one has the same label."""
    spread: float | None = None
    """How much the proportions of people differ: their variance is spread * p * (1 - p), by a Dirichlet distribution.
    0 (the default): all have the same; near 1: nearly everybody is of one label."""
    genetic_map: str | None = None
    """A genetic map (HapMap, SHAPEIT, IMPUTE2 or PLINK .map; plain or gzip); without one, 1 cM is 1 Mb."""


def named_values(settings: Sequence[str]) -> dict[str, Any]:
    """Return NAME=VALUE texts as a mapping; a value that is not a Python literal is text."""
    values: dict[str, Any] = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--set {text!r} cannot be read; accepted: NAME=VALUE, for example min_carriers=5.")
        try:
            values[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            values[name] = value
    return values


def parsed_thresholds(texts: Sequence[str] | None) -> dict[str, str]:
    """Return the limits of --threshold, checked before any work is done."""
    if not texts:
        return {}
    from ..metrics.gate import parse_thresholds

    return parse_thresholds(texts)
