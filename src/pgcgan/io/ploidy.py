"""Who is haploid where: X outside the pseudo-autosomal regions in men, Y and MT in everybody."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from ..errors import DataError
from ..genotypes import Genotypes, Variants
from .records import log

SEX_LABELS = ("gender", "sex", "SEX", "Sex", "Gender")
SEXES = {"1": "male", "M": "male", "MALE": "male", "2": "female", "F": "female", "FEMALE": "female"}
# Length of X -> its pseudo-autosomal regions, 1-based, both ends included (Genome Reference Consortium).
_PSEUDO_AUTOSOMAL = {
    155_270_560: ((60_001, 2_699_520), (154_931_044, 155_260_560)),  # GRCh37
    156_040_895: ((10_001, 2_781_479), (155_701_383, 156_030_895)),  # GRCh38
}
_BLOCK = 1 << 24  # calls looked at at a time
_EXPECTED = 10.0  # heterozygous calls of men, expected by their allele frequencies, that chance does not make none of


def is_x(contig: str, human: bool = True) -> bool:
    """True if a contig is X: X, chrX, and 23 where contigs are numbered as PLINK does for humans."""
    name = _plain(contig)
    return name == "X" or (name == "23" and human)


def haploid_people(contig: str, human: bool, male: np.ndarray) -> np.ndarray | bool | None:
    """Return who is haploid on a contig (True: everybody), or None if nobody is.

    As PLINK 2 has it: men on X, everybody on Y and MT. The pseudo-autosomal regions are contigs of their own
    there (XY, 25, PAR1, PAR2).
    """
    if is_x(contig, human):
        return male if male.any() else None
    name = _plain(contig)
    return True if name in ("Y", "M", "MT") or (name in ("24", "26") and human) else None


def _plain(contig: str) -> str:
    return re.sub(r"^chr", "", contig, flags=re.IGNORECASE).upper().removeprefix("0")


def men_of(labels: Mapping[str, np.ndarray], n: int) -> np.ndarray:
    """Return who is male by the label of sex, bool, shape (samples,); nobody if there is none."""
    column = next((c for c in SEX_LABELS if c in labels), None)
    if column is None:
        return np.zeros(n, dtype=bool)
    return np.array([SEXES.get(str(value).upper()) == "male" for value in labels[column]], dtype=bool)


def sites_of_x(variants: Variants) -> np.ndarray:
    """Return the sites on X outside its pseudo-autosomal regions, as row numbers.

    The build is recognised by the length of X in the header; where it is not there, the regions of GRCh37 and GRCh38
    count together.
    """
    outside = np.zeros(len(variants), dtype=bool)
    for contig in filter(is_x, dict.fromkeys(variants.contig)):
        known = _PSEUDO_AUTOSOMAL.get(variants.contig_lengths.get(contig) or 0)
        here = variants.contig == contig
        for first, last in known or [region for both in _PSEUDO_AUTOSOMAL.values() for region in both]:
            here &= (variants.position < first) | (variants.position > last)
        outside |= here
    return np.flatnonzero(outside)


def warn_of_doubled_men(genotypes: Genotypes, source: str) -> None:
    """Warn where men have diploid calls on X that are all homozygous: somebody has doubled haploid ones."""
    men = np.flatnonzero(men_of(genotypes.labels, genotypes.n_samples))
    rows = sites_of_x(genotypes.variants)
    if genotypes.ploidy != 2 or not len(men) or not len(rows):
        return
    expected = 0.0
    for some in _blocks(rows, genotypes.n_samples):
        calls = genotypes.calls[some][:, men]
        called = (calls >= 0).all(axis=2)
        if (called & (calls[..., 0] != calls[..., 1])).any():
            return
        n = called.sum(axis=1)
        carriers = (called & (calls[..., 0] > 0)).sum(axis=1)
        expected += float((2 * carriers * (n - carriers) / np.maximum(n, 1)).sum())
    if expected > _EXPECTED:
        log.warning(
            "%s: no man of %d is heterozygous on X, where %.0f calls would be by chance: haploid calls have been "
            "doubled in it. Synthetic men may come out heterozygous then; make their calls haploid (`bcftools "
            "+fixploidy`) and train men and women apart, or say haploid='diploid' (--haploid diploid).",
            source,
            len(men),
            expected,
        )


def _blocks(rows: np.ndarray, n_samples: int) -> Iterator[np.ndarray]:
    """Yield rows in parts: the calls may be larger than memory."""
    step = max(1, _BLOCK // max(1, n_samples))
    return (rows[start : start + step] for start in range(0, len(rows), step))


def _rows_of(
    variants: Variants, contigs: Mapping[str, np.ndarray | bool | None], n_samples: int
) -> Iterator[tuple[np.ndarray, np.ndarray | bool | None]]:
    """Yield the rows of each contig in parts, and who is haploid there; in one pass, however many contigs there are."""
    changes = np.flatnonzero(variants.contig[1:] != variants.contig[:-1]) + 1
    for begin, end in pairwise([0, *changes.tolist(), len(variants)]):
        for some in _blocks(np.arange(begin, end), n_samples) if end > begin else ():
            yield some, contigs[variants.contig[begin]]


def as_men_are(
    calls: np.ndarray, variants: Variants, male: np.ndarray, samples: Sequence[str], source: str, accept: bool
) -> np.ndarray:
    """Return diploid calls of a format that doubles haploid ones, int8, with the ploidy that people have.

    The ploidy is 1 if all are haploid. Haploid beside diploid calls are an error unless `accept`, which leaves them
    doubled. `male` is bool, shape (samples,); `samples` and `source` are for the message.
    """
    contigs = {str(c): haploid_people(c, True, male) for c in dict.fromkeys(variants.contig)}
    if accept or all(who is None for who in contigs.values()):
        return calls
    seen: dict[int, str] = {}
    for some, who in _rows_of(variants, contigs, len(samples)):
        part = calls[some]
        called = (part >= 0).all(axis=2)
        single = np.zeros_like(called) if who is None else called & (part[..., 0] == part[..., 1]) & who
        for ploidy, people in ((1, single), (2, called & ~single)):
            if ploidy not in seen and people.any():
                v, s = np.argwhere(people)[0]
                seen[ploidy] = f"{samples[s]} at {variants.name(int(some[v]))}"
        if len(seen) == 2:
            break
    if len(seen) == 2:
        raise DataError(
            f"{source}: sample {seen[1]} is haploid, sample {seen[2]} is diploid; haploid='diploid' (--haploid "
            "diploid) "
            "takes haploid calls as homozygous ones, as they are in the file, or select one ploidy by samples or "
            "region (X outside the pseudo-autosomal regions: women only, or men only)."
        )
    return calls[..., :1] if set(seen) == {1} else calls
