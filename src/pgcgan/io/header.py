"""Header lines of VCF, BCF and .pvar files: their fields, samples and contigs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..errors import DataError, listed
from ..regions import MAX_POSITION
from ..text import repeated, whole_number
from .records import COLUMNS

_MOST_NUMBER = 1 << 22  # of a contig or a key in a header
_FIELD = re.compile(r'([^=]*+)(?:=(?:"((?:[^"\\]++|\\.)*+)"?|([^,]*)))?', re.DOTALL)  # KEY="…" or KEY=…


def structured(line: str) -> dict[str, str]:
    """Return the fields of a header line `##KEY=<ID=…,Description="…">`, in time proportional to its length."""
    fields = {}
    for match in _FIELD.finditer(line.partition("=<")[2].rpartition(">")[0]):
        key, quoted, bare = match.groups()
        value = bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)
        if value is not None:
            fields[key.rpartition(",")[2]] = value
    return fields


def sample_columns(lines: Sequence[str], source: str) -> list[str]:
    """Return the samples in header lines, the last of which is the `#CHROM` line."""
    columns = lines[-1].split("\t")
    if columns[:8] != list(COLUMNS):
        raise DataError(
            f"{source} has no header line '#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT samples…' (tab-separated) "
            f"after its '##' lines, but {lines[-1][:40]!r}."
        )
    samples = columns[9:]
    if not samples:
        raise DataError(f"{source} has no samples: it lists sites only; genotypes of people are needed.")
    if "" in samples:
        raise DataError(f"{source} has an empty name for sample {samples.index('') + 1} in its header.")
    twice = repeated(samples)
    if twice:
        raise DataError(f"{source} names samples more than once in its header: {listed(twice)}.")
    return samples


def contig_table(lines: Sequence[str], source: str) -> tuple[dict[str, int | None], str | None]:
    """Return the contigs with their lengths, and the assembly, of the `##` lines of a VCF or .pvar."""
    lengths: dict[str, int | None] = {}
    assembly = reference = None
    for line in lines:
        if line.startswith("##contig=<"):
            fields = structured(line)
            if "ID" in fields:
                length = fields.get("length", "")
                lengths[fields["ID"]] = whole_number(length, MAX_POSITION)
                if lengths[fields["ID"]] is None and length.isdigit():
                    raise DataError(
                        f"{source}: the contig {fields['ID'][:40]} has the length {length[:40]!r}, which is not a "
                        f"whole number from 0 to {MAX_POSITION}."
                    )
                assembly = assembly or fields.get("assembly")
        elif line.startswith("##reference="):
            reference = line.partition("=")[2].strip('"') or None
    return lengths, assembly or reference


def numbered(lines: Sequence[str], source: str, *kinds: str) -> list[str]:
    """Return the IDs in header lines of some kinds by their number in the records: that of IDX, or else the next."""
    numbers = {} if kinds == ("contig",) else {"PASS": 0}
    starts = tuple(f"##{kind}=<" for kind in kinds)
    following = len(numbers)
    for line in lines:
        fields = structured(line) if line.startswith(starts) else {}
        if "ID" in fields and fields["ID"] not in numbers:
            number = whole_number(fields.get("IDX", ""), _MOST_NUMBER)
            if number is None and fields.get("IDX", "").isdecimal():
                raise DataError(f"{source} is damaged: its header cannot be read; fetch it again.")
            numbers[fields["ID"]] = following if number is None else number
            following = max(following, numbers[fields["ID"]] + 1)
    names = {number: name for name, number in numbers.items()}
    return [names.get(number, "") for number in range(following)]
