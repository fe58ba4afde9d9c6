"""The words of the report, in the order in which a reader meets them."""

from __future__ import annotations

GLOSSARY: tuple[tuple[str, str], ...] = (
    ("training people", "The real people that the generator was fitted to."),
    ("held-out people", "Real people that the generator has never seen. Synthetic people are compared with them."),
    ("floor", "The same metric for the training people instead of the synthetic ones. An ideal generator meets it."),
    ("standing", "How a value compares with its floor, or with its ideal: like real, near, or deviates."),
    ("haplotype, row", "One of the two copies of a person's genome. Without phase, a row is a person instead."),
    ("AF, MAF", "Frequency of the alternative allele of a site, and of the rarer of its two alleles."),
    ("RMSE, r", "Root mean square error, and Pearson's correlation, of two columns of numbers."),
    (
        "SFS, singleton",
        "Site-frequency spectrum: how many sites have 1, 2, 3 … copies of the rarer allele. A site with one copy is "
        "a singleton.",
    ),
    ("sites lost", "Sites that vary among the training people and not among the synthetic people."),
    ("LD, r²", "Linkage disequilibrium: how well the allele of one site predicts that of another, 0 to 1."),
    ("far pairs, 3-point", "Correlations of sites far apart, and of three sites: long haplotypes and ancestry."),
    (
        "PCA",
        "Principal components: the directions in which the training people differ most. A variance ratio below 1 "
        "means too little diversity.",
    ),
    ("sliced Wasserstein, W1", "Distance between two clouds of points, and between two distributions of numbers."),
    ("Fst", "How much allele frequencies differ between two labels."),
    ("heterozygosity, inbreeding", "Whether the two haplotypes of a person fit together as in real people."),
    ("pairwise distance", "Share of sites at which two haplotypes differ."),
    ("H1, H12", "How common the most common haplotypes of a window are."),
    ("longest shared tract", "Longest run of sites at which a haplotype equals one training haplotype."),
    (
        "AA_truth, AA_syn",
        "Share of real rows that are nearer to another real row than to a synthetic one, and of synthetic rows "
        "nearer to another synthetic one; .5 is ideal. Read both.",
    ),
    ("density, coverage", "Synthetic rows near real ones, and real rows that have a synthetic one near them."),
    (
        "C2ST",
        "Classifier two-sample test: a classifier learns to distinguish synthetic from real. An AUC of .5 means "
        "that it cannot.",
    ),
    ("AUC", "Chance that a test puts a case before another: .5 is guessing, 1 is certainty."),
    (
        "membership, TPR at 1 % FPR",
        "An attacker asks who was among the training people. The rate is the share of training people found when 1 "
        "% of the other people are wrongly accused.",
    ),
    (
        "informed: pool, panel, copies",
        "An attacker who compares haplotypes with a reference: the genotypes of all candidates (pool), of other "
        "people (panel), or the pool in search of copied people (copies).",
    ),
    ("rarest tenth", "The tenth of the people with the rarest haplotypes, who are easiest to find."),
    ("frequency attack", "A weak attacker, who has the allele frequencies of the synthetic people alone."),
    (
        "privacy loss",
        "How much nearer synthetic people are to the training people than to held-out people; 0 is ideal.",
    ),
    ("closest record", "Distance to the nearest training row."),
    (
        "exact copies, near copies, copied people",
        "Rows equal to a training row, rows nearly equal, and people nearly equal in both haplotypes.",
    ),
    ("TSTR", "Trained on synthetic, tested on real: accuracy of a classifier of labels."),
    ("label fidelity", "How often a classifier trained on real people recognises the label of a synthetic one."),
    ("augmentation", "What a classifier gains if synthetic people of a label with few real people are added."),
    (
        "seam, ancestry agreement",
        "Of whole genomes: where two windows meet, and whether ancestry agrees between contigs.",
    ),
)
