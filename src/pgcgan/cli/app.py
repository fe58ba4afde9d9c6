"""The application that commands are entered in, and the options that several of them have."""

from __future__ import annotations

from dataclasses import dataclass

from cyclopts import App, Group, Parameter


def _version() -> str:
    from ..provenance import VERSION

    return VERSION


app = App(
    name="pgcgan",
    help="Artificial people for any label, learnt from a VCF, with the evidence beside them.",
    version=_version,
    default_parameter=Parameter(negative="", negative_iterable=""),
    help_format="plaintext",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)

_READING = Group("Reading", help="What to do with what a file may hold; each error names the option that accepts it.")
_BASELINE = Group("Baseline options", help="For --baseline only; the defaults are the library's.")

# a file name may be "-" (standard input or output), which is not an option
FILE = Parameter(allow_leading_hyphen=True)
OUTPUT = Parameter(name=["--output", "-o"], allow_leading_hyphen=True)


@Parameter(name="*", group=_READING)
@dataclass(frozen=True)
class Reading:
    """How genotypes and labels are read; the fields are those of `pgcgan.read`."""

    region: str | None = None
    """contig, contig:start-end or contig:start- (1-based, both ends included)."""
    min_maf: float | None = None
    """Keep sites with at least this minor allele frequency among the people kept."""
    population_map: str | None = None
    """Population to super-population: 1000g, pg-cgan (ACB and ASW count as AMR), or a table of two columns."""
    intersect: bool = False
    """Go on with the samples that are in both the genotypes and the panel (or split)."""
    multiallelic: str = "error"
    """Records with several ALT alleles: error, split or drop."""
    half_calls: str = "error"
    """Calls such as 0/. : error or missing."""
    haploid: str = "error"
    """Haploid calls beside diploid ones: error or diploid."""
    duplicates: str = "error"
    """Records that repeat a site and its alleles: error or drop."""
    unphased: bool = False
    """Read every call as an unordered pair."""


@Parameter(name="*", group=_BASELINE)
@dataclass(frozen=True)
class BaselineOptions:
    """Options of the baselines; None leaves the default of the class."""

    recombination_rate: float | None = None
    """li-stephens: per base pair and generation, where there is no map."""
    effective_size: float | None = None
    """li-stephens: effective population size."""
    genetic_map: str | None = None
    """li-stephens: a genetic map (HapMap, SHAPEIT, IMPUTE2 or PLINK .map; plain or gzip)."""
    segment_length: float | None = None
    """li-stephens: mean length of a copied segment in base pairs, in the place of rate and map."""
    mutation: float | None = None
    """li-stephens: mutation probability per allele."""
    components: int | None = None
    """pca-gaussian: principal components."""
    neighbours: int | None = None
    """smote: nearest neighbours to choose from."""
