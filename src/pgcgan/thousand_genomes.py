"""A region of the 1000 Genomes Project, copied from its server: VCF, index and panel, checked against each other."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pysam

from .errors import DataError, UsageError, listed
from .io import remote
from .io.bgzf import MAX_LINE, SAMPLE_BYTES, lines_of, opened
from .io.header import sample_columns
from .io.index import index_of, region_start
from .io.outputs import folder_of
from .io.panel import PANEL_COLUMNS
from .provenance import VERSION, command_line, now
from .regions import parse_region
from .runtime.files import check_free, whole_files
from .runtime.progress import OnEvent
from .text import visible, whole_number, without_secrets

MIRROR = "https://ftp.1000genomes.ebi.ac.uk/vol1/ftp"  # also: https://1000genomes.s3.amazonaws.com
_SUFFIXES = (".vcf.gz", ".vcf.bgz")
_MOST_HEADER = 1 << 26  # bytes
_SEXES = {"1": "male", "2": "female"}


@dataclass(frozen=True)
class Release:
    """Where the files of a release are below the base address, and what they should hold."""

    build: str
    prefix: str  # before the number of a chromosome in its name
    people: dict[str, int]  # chromosome -> people; "*" for the rest
    names: dict[str, tuple[str, ...]]  # chromosome -> names of its file, the first that is there is taken; "*" the rest
    panel: str  # the table of people
    folders: tuple[tuple[str, str], ...]  # where the VCFs and the table are, by kind of mirror


def _phase3(name: str, *versions: str) -> tuple[str, ...]:
    # the second version of each is what the public bucket at Amazon holds
    return tuple(f"ALL.chr{name}_{version}.20130502.genotypes.vcf.gz" for version in versions)


_HIGH = "1000G_2504_high_coverage/"
_2022 = "working/20220422_3202_phased_SNV_INDEL_SV/"
_PANEL = "1kGP_high_coverage_Illumina.chr{}.filtered.SNV_INDEL_SV_phased_panel"
RELEASES = {
    "phase3": Release(
        build="GRCh37",
        prefix="",
        people={"*": 2504, "Y": 1233},
        names={
            "*": _phase3("{}.phase3_shapeit2_mvncall_integrated", "v5b", "v5a"),
            "X": _phase3("X.phase3_shapeit2_mvncall_integrated", "v1c", "v1b"),
            "Y": _phase3("Y.phase3_integrated", "v2b", "v2a"),
        },
        panel="integrated_call_samples_v3.20130502.ALL.panel",
        folders=(("release/20130502/", "release/20130502/"), ("", "")),
    ),
    "high-coverage": Release(
        build="GRCh38",
        prefix="chr",
        people={"*": 3202},
        names={"*": (f"{_PANEL}.vcf.gz",), "X": (f"{_PANEL}.v2.vcf.gz", f"{_PANEL}.vcf.gz")},
        panel="20130606_g1k_3202_samples_ped_population.txt",
        folders=(
            (f"data_collections/{_HIGH}{_2022}", f"data_collections/{_HIGH}"),
            (f"{_HIGH}{_2022}", _HIGH),
            ("", ""),
        ),
    ),
}
_PHASE3_TABLE = ["sample", "pop", "super_pop", "gender"]
_HIGH_TABLE = ["FamilyID", "SampleID", "FatherID", "MotherID", "Sex", "Population", "Superpopulation"]


def fetch(
    source: str,
    output: str | os.PathLike[str],
    *,
    region: str,
    release: str = "phase3",
    panel_output: str | os.PathLike[str] | None = None,
    mirror: str = MIRROR,
    force: bool = False,
    command: str | None = None,
    on_event: OnEvent | None = None,
) -> list[Path]:
    """Copy a region of a public release: its VCF records as they are, an index, and the panel of its people.

    Parameters
    ----------
    source : {"1000g"}
        The 1000 Genomes Project.
    output : path
        NAME.vcf.gz or NAME.vcf.bgz; NAME.vcf.gz.tbi and the panel are written beside it.
    region : str
        `contig`, `contig:start-end`, `contig:start-` or `contig:position` (1-based, ends included), in the coordinates
        of the release; records that start inside. The contig may be written 6 or chr6, whatever the release has.
    release : {"phase3", "high-coverage"}
        phase3: 2,504 people, GRCh37, 2013; chromosomes 1 to 22, X and Y (1,233 men). high-coverage: 3,202 people,
        602 trios among them, GRCh38, phased in 2022; chromosomes 1 to 22 and X.
    panel_output : path, optional
        Instead of NAME.panel.tsv. Columns: sample, pop, super_pop, gender; of high-coverage also family, father
        and mother (0: not in the table).
    mirror : str
        Base address under which the release lies as on the project's server, or which holds the files themselves.
    force : bool
        Replace files that exist.
    command : str, optional
        Kept in the header as ##pgcganCommand, beside address, size, ETag, date and region; by default that which runs.
    on_event : callable, optional
        Called now and then with a dictionary: `stage`, `fraction` of the region done, `step` the records copied.

    Returns
    -------
    list of Path
        The VCF, its index, the panel.

    Raises
    ------
    UsageError
        If the source, the release, its chromosome or the output are not right.
    DataError
        If the server cannot be reached, or the file holds other people than the panel or the release, another contig,
        or no record in the region.
    """
    if source != "1000g":
        raise UsageError(f"The source {source!r} is not known; accepted: 1000g.")
    if release not in RELEASES:
        raise UsageError(f"The release {release!r} is not known; accepted: {', '.join(RELEASES)}.")
    wanted = RELEASES[release]
    chromosome, first, last = _chromosome(region, release)
    places = _places(os.fspath(output), panel_output, force)
    if not remote.is_address(mirror):
        raise UsageError(f"The mirror {mirror!r} is not an http or https address, such as {MIRROR}.")
    names = [name.format(chromosome) for name in wanted.names.get(chromosome, wanted.names["*"])]
    url, facts, table = _first(mirror.rstrip("/"), wanted, names)
    panel = _rows(remote.contents(table), table, chromosome)
    index = str(index_of(url))
    contig = f"{wanted.prefix}{chromosome}"
    span = contig if region.rpartition(":")[0] == "" else f"{contig}:{region.rpartition(':')[2]}"
    origin = {
        "Source": without_secrets(url),
        "SourceRelease": f"1000 Genomes {release}, {wanted.build}",
        "SourceSize": facts.size,
        "SourceETag": facts.etag,
        "SourceModified": facts.modified,
        "SourceRegion": span,
        "SourceDate": now(),
        "Version": VERSION,
        "Command": " ".join((command or command_line()).split()),
    }
    added = [f"##pgcgan{key}={visible(str(value))}\n" for key, value in origin.items() if value is not None]
    header = _header(url)
    samples = sample_columns([line.decode(errors="replace").rstrip("\r\n") for line in header], url)
    _compare(samples, panel, wanted.people.get(chromosome, wanted.people["*"]), url, table)
    columns = list(panel[samples[0]])
    rows = [["sample", *columns], *([s, *(panel[s][c] for c in columns)] for s in samples)]
    mode: Any = "wb"
    with whole_files(places, stale=[Path(f"{places[0]}.csi")]) as (vcf, _, people):
        people.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
        with pysam.BGZFile(str(vcf), mode, None) as out:
            out.write(b"".join([*header[:-1], "".join(added).encode(), header[-1]]))
            for line in _records(url, index, (contig, first, last), len(samples), on_event):
                out.write(line)
        pysam.tabix_index(str(vcf), preset="vcf")
    return places


def _chromosome(region: str, release: str) -> tuple[str, int, int | None]:
    """Return number or letter of the chromosome, first and last position."""
    contig, first, last = parse_region(region)
    name = re.sub(r"^chr", "", contig, flags=re.IGNORECASE).upper()
    known = [str(n) for n in range(1, 23)] + [c for c in RELEASES[release].names if c != "*"]
    if name not in known:
        accepted = f"1 to 22, {', '.join(known[22:])}, with or without chr"
        raise UsageError(f"The release {release} has no chromosome {contig!r} (region {region}); accepted: {accepted}.")
    return name, first, last


def _places(output: str, panel_output: str | os.PathLike[str] | None, force: bool) -> list[Path]:
    suffix = next((s for s in _SUFFIXES if output.endswith(s)), None)
    if suffix is None:
        reason = "records are copied as they are; `pgcgan convert` writes other formats"
        raise UsageError(f"The output {output} is not a NAME{' or NAME'.join(_SUFFIXES)}: {reason}.")
    panel = os.fspath(panel_output) if panel_output is not None else output.removesuffix(suffix) + ".panel.tsv"
    places = [Path(output), Path(output + ".tbi"), Path(panel)]
    if len(set(places)) < 3:
        raise UsageError(f"{panel} cannot be the panel and the genotypes at once; choose another name.")
    for place in (*places, Path(output + ".csi")):
        folder_of(str(place))
        if place.is_dir():
            raise UsageError(f"{place} cannot be written: Is a directory.")
        check_free(place, force)
    return places


def _first(base: str, wanted: Release, names: list[str]) -> tuple[str, remote.About, str]:
    """Return the first address that is there, what the server says of it, and the address of the table of people."""
    tried = [
        (f"{base}/{vcf}{name}", f"{base}/{table}{wanted.panel}") for vcf, table in wanted.folders for name in names
    ]
    for url, table in tried:
        try:
            return url, remote.about(url), table
        except remote.NotThere:
            continue
    advice = "mirror=… (--mirror) names another server, or the folder that the files have moved to"
    raise DataError(f"The server has none of {listed([url for url, _ in tried], len(tried))}; {advice}.")


def _rows(text: bytes, url: str, chromosome: str) -> dict[str, dict[str, str]]:
    """Return the columns of the people of a table who have the chromosome, by their names."""
    lines = [line.split() for line in text.decode("utf-8-sig", "replace").split("\n") if line.strip()]
    header, people = (lines[0], lines[1:]) if lines else ([], [])
    if header[:4] == _PHASE3_TABLE:
        rows = {f[0]: dict(zip(PANEL_COLUMNS, f[1:4], strict=True)) for f in people if len(f) >= 4}
    elif header[:7] == _HIGH_TABLE:
        rows = {}
        for family, sample, father, mother, sex, pop, super_pop, *_ in (f for f in people if len(f) >= 7):
            rows[sample] = {"pop": pop, "super_pop": super_pop, "gender": _SEXES.get(sex, "unknown"), "family": family}
            rows[sample] |= {"father": father, "mother": mother}
    else:
        raise DataError(f"{url} is not the table of people of the release: its columns are {listed(header, 8)}.")
    if len(rows) < len(people):
        raise DataError(f"{url} is damaged: {len(people)} lines of people make {len(rows)} people.")
    return {s: row for s, row in rows.items() if chromosome != "Y" or row["gender"] == "male"}


def _compare(samples: list[str], panel: dict[str, dict[str, str]], expected: int, url: str, table: str) -> None:
    known = set(samples)
    without, absent = [s for s in samples if s not in panel], [s for s in panel if s not in known]
    if without or absent:
        first, second = (f"{len(names)} ({listed(names, 3)})" for names in (without, absent))
        raise DataError(
            f"{url} and {table} do not fit: people only in the first: {first}, only in the second: {second}."
        )
    if len(samples) != expected:
        raise DataError(f"{url} has {len(samples)} people, the release {expected}: it is another file.")


def _header(url: str) -> list[bytes]:
    """Return the lines up to the names of the people."""
    lines: list[bytes] = []
    size = 0
    with opened(url) as stream:
        for line in lines_of(stream, url):
            if not lines and not line.startswith(b"##fileformat=VCF"):
                raise DataError(f"{url} is not a VCF: it begins with {line[:24].decode('latin-1')!r}.")
            lines.append(line)
            size += len(line)
            if not line.startswith(b"##"):
                return lines
            if size > _MOST_HEADER:
                raise DataError(f"{url} has more than {len(lines)} header lines, of {size} bytes: it is damaged.")
    if not lines:
        raise DataError(f"{url} is not a VCF: it is empty.")
    return lines


def _records(
    url: str, index: str, region: tuple[str, int, int | None], n_samples: int, on_event: OnEvent | None
) -> Iterator[bytes]:
    """Yield the lines of the records that start in a region, as they are."""
    contig, first, last = region
    n, at = 0, first
    offset = region_start(url, index, contig, first, last)
    with nullcontext() if offset is None else opened(url, offset) as stream:
        for line in () if stream is None else lines_of(stream, url, MAX_LINE + SAMPLE_BYTES * n_samples):
            fields = line.split(b"\t", 2)
            position = whole_number(fields[1].decode("latin-1")) if len(fields) == 3 else None
            if position is None or line.count(b"\t") != n_samples + 8 or not line.endswith(b"\n"):
                shown = line[:40].decode("latin-1")
                reason = f"is not a record of {n_samples} people; the file or its index is damaged"
                raise DataError(f"{url}: the line {shown!r}… {reason}.")
            here = fields[0] == contig.encode()
            if (n and not here) or (here and last is not None and position > last):
                break
            if not here or position < first:
                continue
            if position < at:
                raise DataError(f"{url}: the record at {contig}:{position} comes after one at {at}.")
            yield line
            n, at = n + 1, position
            if on_event is not None:
                done = 0.0 if last is None else (position - first) / (last - first + 1)
                on_event({"stage": "fetching", "fraction": done, "step": n})
    if not n:
        end = "the end" if last is None else last
        question = "is the region in the coordinates of the release?"
        raise DataError(f"{url} has no record of contig {contig} that starts from {first} to {end}; {question}")
