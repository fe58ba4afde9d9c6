"""Records on their way from a file to `Genotypes`: order, policies, phase and ploidy, the same for every format."""

from __future__ import annotations

import contextlib
import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, NoReturn

import numpy as np

from ..errors import DataError, UsageError, listed
from ..genotypes import MISSING, Genotypes, Variants
from ..regions import named_otherwise, parse_region
from ..runtime.memory import available_bytes
from ..text import without_secrets
from ..variants import is_another
from .scratch import MEMORY_SHARE, empty_calls, too_large

ABSENT = -2  # the second allele that a haploid call does not have

POLICIES = {
    "multiallelic": ("error", "split", "drop"),
    "half_calls": ("error", "missing"),
    "haploid": ("error", "diploid"),
    "duplicates": ("error", "drop"),
}

COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")  # of a VCF, before FORMAT and samples

_MOST_ALTS = 10_000  # of a record that is split
_MOST_CONTIGS = 1 << 22  # with records
_SITE_BYTES = 400  # of memory for a site, its characters aside
_UNCHECKED = 1 << 26  # bytes of sites that every process may hold
_SHOWN = 5  # names of records that are dropped

UNKNOWN_POSITION = (
    "the position 0, which PLINK writes for an unknown one; models need positions: set them (`plink1.9 --update-map`, "
    "`plink2 --update-map`), or leave such variants out by their IDs (--exclude)"
)

CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # no name of a site has such a character

Choose = Callable[[list[str]], Sequence[str]]  # of the people of a file, those wanted, in the order wanted

log = logging.getLogger("pgcgan.io")


def refuse_index(path: str, index: str, reason: str) -> NoReturn:
    """Raise a DataError for an index that is not that of the file as it is now."""
    file = without_secrets(path)
    raise DataError(
        f"The index {without_secrets(index)} is that of another file, or of {file} before it was changed: {reason}; "
        "delete it, or make it anew with `bcftools index -f` (VCF, BCF) or `tabix -f -p vcf` (VCF)."
    )


@dataclass(frozen=True)
class Policies:
    """How to treat records that are not biallelic, complete, diploid and unique: options of `pgcgan.read`."""

    multiallelic: str = "error"
    half_calls: str = "error"
    haploid: str = "error"
    duplicates: str = "error"
    unphased: bool = False

    def __post_init__(self) -> None:
        for option, accepted in POLICIES.items():
            if getattr(self, option) not in accepted:
                raise UsageError(f"{option} is {getattr(self, option)!r}; accepted: {', '.join(accepted)}.")


def _way_out(option: str) -> str:
    choices = [c for c in POLICIES[option] if c != "error"]
    return f"{option}={' or '.join(map(repr, choices))} (--{option.replace('_', '-')} {'|'.join(choices)})"


class Site(NamedTuple):
    """A record without its calls."""

    contig: str
    position: int
    id: str
    ref: str
    alts: tuple[str, ...]  # empty for ALT "."

    def __str__(self) -> str:
        return f"{self.contig}:{self.position} {self.ref}>{','.join(self.alts) or '.'}"


class Table:
    """Calls and sites of the samples kept, collected record by record, and what order, phase and ploidy have been.

    `source` is the name in messages, `expected` the number of records to make room for at first. `index` is that by
    which the region was found: the first record is then of its contig.
    """

    def __init__(
        self, source: str, samples: list[str], policies: Policies, region: str | None = None, expected: int = 256
    ):
        self.source = source
        self.samples = samples
        self.policies = policies
        self.region = region
        self._bounds = None if region is None else parse_region(region)
        self._calls = empty_calls((max(2, expected), len(samples), 2))
        self._sites: list[Site] = []
        self._last: Site | None = None
        self._contigs: set[str] = set()
        self._here: dict[tuple[str, str], set[str]] = {}  # IDs of the records at the present position by REF and ALT
        # Witnesses: the first heterozygous call with (True) and without phase, the first call of each ploidy.
        self._het: dict[bool, str] = {}
        self._ploidy: dict[int, str] = {}
        self._separators: set[bool] = set()
        self._dropped: dict[str, tuple[int, list[str]]] = {}  # how many by reason, and the names of the first
        self._site_bytes = 0
        self._checked_bytes = _UNCHECKED
        self.index: str | None = None

    def refuse(self, site: Site, reason: str) -> NoReturn:
        """Raise a DataError that names the file and the record."""
        raise DataError(f"{self.source}: record {site} {reason}")

    def place(self, site: Site) -> Literal["take", "skip", "end"]:
        """Check the order of a record, and return what to do with it: take its calls, skip it, or end."""
        last = self._last
        self._check_names(site)
        if last is not None and site.contig == last.contig:
            if site.position < last.position:
                self.refuse(site, f"comes after {last}: positions go back; sort the file with `bcftools sort`.")
        else:
            if site.contig in self._contigs:
                self.refuse(
                    site, f"comes after {last}, but contig {site.contig} began before it; sort with `bcftools sort`."
                )
            self._contigs.add(site.contig)
            if len(self._contigs) > _MOST_CONTIGS:
                raise DataError(
                    f"{self.source} has records on more than {_MOST_CONTIGS:,} contigs, the most that are read; keep "
                    "those you need with `bcftools view --regions`."
                )
        if last is None or (site.contig, site.position) != (last.contig, last.position):
            self._here.clear()
        elif site.position == 0:
            self.refuse(site, f"has, as the record before it, {UNKNOWN_POSITION}.")
        self._last = site
        if self._bounds is not None:
            contig, start, end = self._bounds
            if site.contig != contig:
                if self.index is not None and last is None:
                    refuse_index(self.source, self.index, f"{contig} begins where {site} is")
                return "end" if contig in self._contigs else "skip"
            if site.position < start:
                return "skip"
            if end is not None and site.position > end:
                return "end"
        if len(site.alts) > 1:
            if self.policies.multiallelic == "error":
                self.refuse(site, f"has {len(site.alts)} ALT alleles; {_way_out('multiallelic')} accepts it.")
            if len(site.alts) > _MOST_ALTS:  # each becomes a record of all samples
                self.refuse(site, f"has {len(site.alts)} ALT alleles; accepted: up to {_MOST_ALTS}.")
            if self.policies.multiallelic == "drop":
                self._drop("records with several ALT alleles", site)
                return "skip"
        return "take"

    def _check_names(self, site: Site) -> None:
        fields = site.contig, site.id, site.ref, *site.alts
        if not all(fields) or CONTROL.search("".join(fields)):
            shown = " ".join(map(ascii, (site.contig, site.position, site.id, site.ref, ",".join(site.alts))))
            raise DataError(
                f"{self.source}: the record {shown} (contig, position, ID, REF, ALT) has an empty name or a control "
                "character in it; '.' stands for an ID or ALT that is not there."
            )

    def row(self) -> np.ndarray:
        """Return the row that the next record will occupy: int8, shape (samples, 2), to be written in place."""
        return self.rows(1)[0]

    def rows(self, count: int) -> np.ndarray:
        """Return the rows that the next records will occupy: int8, shape (count, samples, 2); see `add_rows`."""
        end = len(self._sites) + count
        if end > len(self._calls):
            self._grow(end)
        return self._calls[len(self._sites) : end]

    def _grow(self, rows: int) -> None:
        shape = (max(rows, len(self._calls) * 3 // 2), *self._calls.shape[1:])
        if not isinstance(self._calls, np.memmap) and not too_large(math.prod(shape)):
            # realloc: the large array grows without a second copy beside it; nothing else refers to it here.
            with contextlib.suppress(MemoryError):
                self._calls.resize(shape, refcheck=False)
                return
        larger = empty_calls(shape)
        larger[: len(self._calls)] = self._calls
        self._calls = larger

    def add_complete(self, site: Site, phased: bool) -> None:
        """Add a record whose calls (0 and 1 only, diploid, all phased or all not) are in `row()` already."""
        row = self._calls[len(self._sites)]
        if len(site.alts) != 1:
            self.add(site, row.copy(), np.full(len(row), phased))
            return
        self._separators.add(phased)
        if 2 not in self._ploidy:
            self._see_ploidy(site, 2, np.ones(1, dtype=bool))
        if phased not in self._het:
            self._see_phase(site, row, np.full(len(row), phased))
        self._take(site, site.alts[0])

    def add_rows(self, sites: Sequence[Site], calls: np.ndarray, phased: bool) -> bool:
        """Place and add biallelic records whose calls are diploid, all phased or all not; False when reading can stop.

        Calls are integers of shape (sites, samples, 2), below 0 if missing; they may be `rows(len(sites))`, written in
        place with -1 for missing.
        """
        rows, chosen, where = self.rows(len(sites)), [], ""
        for i, site in enumerate(sites):
            where = self.place(site)
            if where == "end":
                break
            if where == "take" and self._take(site, site.alts[0]):
                chosen.append(i)
        if chosen:
            rows = rows[: len(chosen)]
            if len(chosen) < len(calls) or not np.may_share_memory(calls, rows):
                np.maximum(calls if len(chosen) == len(calls) else calls[chosen], MISSING, out=rows, casting="unsafe")
            self._separators.add(phased)
            every = np.full(rows.shape[1], phased)
            for i, row in zip(chosen, rows, strict=True):
                if 2 in self._ploidy and phased in self._het:
                    break
                if 2 not in self._ploidy and (row >= 0).any():
                    self._see_ploidy(sites[i], 2, (row >= 0).any(axis=1))
                self._see_phase(sites[i], row, every)
        return where != "end"

    def add(self, site: Site, calls: np.ndarray, phased: np.ndarray) -> None:
        """Add a record of any kind.

        Calls are allele numbers, int, shape (samples, 2), -1 missing, -2 no second allele (haploid), and are changed in
        place; `phased` says for each, bool, shape (samples,), whether its separator is a bar.
        """
        if calls.max() > len(site.alts):
            sample, side = np.argwhere(calls > len(site.alts))[0]
            self.refuse(
                site, f"has no allele {calls[sample, side]}, with which sample {self.samples[sample]} is called."
            )
        first, second = calls[:, 0], calls[:, 1]
        absent = second == ABSENT
        self._separators.update(kind for kind in (True, False) if (~absent & (phased == kind)).any())
        # A lone "." is written for missing calls of any ploidy, so that only calls with an allele tell the ploidy.
        haploid = absent & (first >= 0)
        diploid = ~absent & ((first >= 0) | (second >= 0))
        if haploid.any() and self.policies.haploid == "diploid":
            np.copyto(second, first, where=haploid)
        elif haploid.any():
            self._see_ploidy(site, 1, haploid)
        if diploid.any():
            self._see_ploidy(site, 2, diploid)
        calls[calls == ABSENT] = MISSING
        one = diploid & ((first < 0) | (second < 0))
        if one.any():
            if self.policies.half_calls == "error":
                sample = int(one.argmax())
                text = _call(calls[sample], bool(phased[sample]))
                self.refuse(
                    site,
                    f"has the half-call {text} of sample {self.samples[sample]}; {_way_out('half_calls')} accepts it.",
                )
            calls[one] = MISSING
        self._see_phase(site, calls, phased)
        for number, alt in enumerate(site.alts or (".",), start=1):
            row = self.row()
            np.equal(calls, number, out=row, casting="unsafe")
            row[calls < 0] = MISSING
            self._take(site, alt)

    def _take(self, site: Site, alt: str) -> bool:
        """Add a site, whose row is written, unless it is there already; the sites alone may not fill the memory."""
        if not is_another(site.id, self._here.setdefault((site.ref, alt), set())):
            if self.policies.duplicates == "error":
                self.refuse(
                    site,
                    f"occurs a second time (the same contig, position, REF and ALT {alt}, and the same ID or none); "
                    f"{_way_out('duplicates')} keeps the first, and IDs of their own keep both.",
                )
            self._drop("duplicate records", site)
            return False
        self._sites.append(site._replace(alts=(alt,)) if len(site.alts) > 1 else site)
        self._site_bytes += _SITE_BYTES + len(site.id) + len(site.ref) + len(alt)
        if self._site_bytes > self._checked_bytes:
            self._checked_bytes = self._site_bytes * 5 // 4
            available = available_bytes()
            if available is not None and self._site_bytes > MEMORY_SHARE * available:
                raise DataError(
                    f"{self.source} has more than {len(self._sites)} records, whose sites alone take "
                    f"{self._site_bytes / 1e9:.2f} GB, and this process may have {available / 1e9:.2f} GB; read a part "
                    "(--region), or cut the file up."
                )
        return True

    def _drop(self, reason: str, site: Site) -> None:
        count, names = self._dropped.get(reason, (0, []))
        self._dropped[reason] = count + 1, [*names, str(site)] if count < _SHOWN else names

    def _see_ploidy(self, site: Site, ploidy: int, people: np.ndarray) -> None:
        self._ploidy.setdefault(ploidy, f"{self.samples[people.argmax()]} at {site}")
        if len(self._ploidy) == 2:
            raise DataError(
                f"{self.source}: sample {self._ploidy[1]} is haploid, sample {self._ploidy[2]} is diploid; "
                f"{_way_out('haploid')} doubles haploid calls to homozygous ones, or select one ploidy by samples or "
                "region (X outside the pseudo-autosomal regions: women only)."
            )

    def _see_phase(self, site: Site, calls: np.ndarray, phased: np.ndarray) -> None:
        if self.policies.unphased:
            return
        het = (calls[:, 0] != calls[:, 1]) & (calls[:, 0] >= 0) & (calls[:, 1] >= 0)
        for kind in (True, False):
            people = het & (phased == kind)
            if kind not in self._het and people.any():
                sample = people.argmax()
                self._het[kind] = f"{_call(calls[sample], kind)} of sample {self.samples[sample]} at {site}"
        if len(self._het) == 2:
            raise DataError(
                f"{self.source}: phased and unphased calls are mixed, {self._het[True]} and {self._het[False]}; "
                "unphased=True (--unphased) reads all calls as unordered pairs."
            )

    def finish(
        self,
        contig_lengths: dict[str, int | None],
        assembly: str | None,
        labels: Mapping[str, np.ndarray] | None = None,
    ) -> Genotypes:
        """Return what was collected, with the labels of the samples."""
        for reason, (count, names) in self._dropped.items():
            more = f" and {count - len(names)} more" if count > len(names) else ""
            log.warning("%s: dropped %s: %d (%s%s)", self.source, reason, count, ", ".join(names), more)
        if not self._sites:
            where = "" if self.region is None else f" that starts in the region {self.region}"
            dropped = sum(count for count, _ in self._dropped.values())
            if dropped:
                where += f" that is kept ({dropped} dropped)"
            contigs = contig_lengths or sorted(self._contigs)
            advice = "" if self.region is None else named_otherwise(self.region, contigs)
            raise DataError(f"{self.source} holds no record{where}; its contigs: {listed(contigs)}{advice}.")
        if isinstance(self._calls, np.memmap):
            self._calls = self._calls[: len(self._sites)]
        else:
            self._calls.resize((len(self._sites), *self._calls.shape[1:]), refcheck=False)
        calls = self._calls
        if 1 in self._ploidy or not (self._ploidy or self._separators or self.policies.haploid == "diploid"):
            calls = np.ascontiguousarray(calls[:, :, :1])
        # A homozygous call says nothing of phase; without any heterozygous one the separators decide.
        phased = True in self._het if self._het else self._separators != {False}
        if self.policies.unphased:
            phased = False
            calls.sort(axis=2)
        columns: dict[str, Any] = {
            name: [getattr(site, name) for site in self._sites] for name in ("contig", "position", "id", "ref")
        }
        columns["alt"] = [site.alts[0] if site.alts else "." for site in self._sites]
        variants = Variants(**columns, contig_lengths=contig_lengths, assembly=assembly)
        return Genotypes(calls, variants, np.array(self.samples, dtype=object), labels or {}, phased)


def _call(alleles: np.ndarray, phased: bool) -> str:
    return ("|" if phased else "/").join("." if a < 0 else str(a) for a in alleles)
