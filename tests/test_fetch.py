"""pgcgan fetch: a region of a release, from a mirror on this machine that holds 2,504 and 3,202 invented people."""

from __future__ import annotations

import gzip
import os
import random
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pysam
import pytest
from web_server import WebServer

import pgcgan
from pgcgan import cli, fetch
from pgcgan.errors import DataError, UsageError
from pgcgan.io import read, read_panel

PHASE3 = "release/20130502"
HIGH = "data_collections/1000G_2504_high_coverage"
WORKING = "working/20220422_3202_phased_SNV_INDEL_SV"
POPULATIONS = {"YRI": "AFR", "PEL": "AMR", "JPT": "EAS", "TSI": "EUR", "GIH": "SAS"}
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT"


def vcf_lines(contig: str, samples: list[str], *, haploid: bool = False) -> list[str]:
    """Return header and records as a release might have them: several ALT alleles, INFO, symbolic alleles, no ID."""
    rng = random.Random(5)
    lines = [
        "##fileformat=VCFv4.1",
        '##FILTER=<ID=PASS,Description="All filters passed">',
        f"##contig=<ID={contig},assembly=b37,length=171115067>",
        '##ALT=<ID=CN0,Description="Copy number, none">',
        '##INFO=<ID=AF,Number=A,Type=Float,Description="Frequency">',
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
        "\t".join([COLUMNS, *samples]),
    ]
    for i in range(40):
        alt = ("C", "C,G", "<CN0>", "CT")[i % 4]
        calls = [str(rng.randrange(2)) if haploid else f"{rng.randrange(2)}|{rng.randrange(2)}" for _ in samples]
        info = "AF=0.50;VT=SNP" if i % 3 else "AF=5e-1,0.1"
        lines.append(
            "\t".join([contig, str(1000 + 500 * i), f"rs{i}" if i % 5 else ".", "A", alt, "100", "PASS", info, "GT"])
        )
        lines[-1] += "\t" + "\t".join(calls)
    return lines


def put(place: Path, lines: list[str]) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    text = place.with_suffix(".txt")
    text.write_text("".join(f"{line}\n" for line in lines))
    pysam.tabix_compress(str(text), str(place), force=True)
    text.unlink()
    pysam.tabix_index(str(place), preset="vcf", force=True)
    return place


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    """Return the folder of a mirror: phase 3 of chromosomes 6 and Y, high coverage of 6 and X."""
    folder = tmp_path_factory.mktemp("mirror")
    rows = [
        (f"HG{i:05}", p, POPULATIONS[p], "male" if i < 1233 else "female")
        for i, p in enumerate((list(POPULATIONS) * 501)[:2504])
    ]
    names = [r[0] for r in rows]
    put(
        folder / PHASE3 / "ALL.chr6.phase3_shapeit2_mvncall_integrated_v5b.20130502.genotypes.vcf.gz",
        vcf_lines("6", names),
    )
    put(
        folder / PHASE3 / "ALL.chrY.phase3_integrated_v2b.20130502.genotypes.vcf.gz",
        vcf_lines("Y", names[:1233], haploid=True),
    )
    # the published panel ends its header in two tabs
    panel = ["sample\tpop\tsuper_pop\tgender\t\t", *("\t".join(row) for row in rows)]
    (folder / PHASE3 / "integrated_call_samples_v3.20130502.ALL.panel").write_text("\n".join(panel) + "\n")
    more = [*names, *(f"NA{i:05}" for i in range(698))]
    stem = folder / HIGH / WORKING
    for name in ("chr6.filtered.SNV_INDEL_SV_phased_panel", "chrX.filtered.SNV_INDEL_SV_phased_panel.v2"):
        put(stem / f"1kGP_high_coverage_Illumina.{name}.vcf.gz", vcf_lines(name.split(".")[0], more))
    table = ["FamilyID SampleID FatherID MotherID Sex Population Superpopulation"]
    for i, s in enumerate(sorted(more, reverse=True)):
        father, mother = ("HG00001", "HG02000") if s.startswith("NA") else ("0", "0")
        p = list(POPULATIONS)[i % 5]
        table.append(f"F{i % 600} {s} {father} {mother} {1 + i % 2} {p} {POPULATIONS[p]}")
    (folder / HIGH / "20130606_g1k_3202_samples_ped_population.txt").write_text("\n".join(table) + "\n")
    return folder


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(web: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server(web: WebServer, mirror: Path) -> WebServer:
    web.folder = mirror
    return web


def error_of(**options: object) -> str:
    options = {"source": "1000g", "output": "a.vcf.gz", "region": "6:3000-9000"} | options
    with pytest.raises((DataError, UsageError)) as caught:
        fetch(**options)
    assert sorted(os.listdir()) == ["web"]
    return str(caught.value)


def text_of(path: str | Path) -> list[bytes]:
    return gzip.decompress(Path(path).read_bytes()).splitlines(keepends=True)


# ---- what comes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("release", "place", "contig"),
    [
        ("phase3", f"{PHASE3}/ALL.chr6.phase3_shapeit2_mvncall_integrated_v5b.20130502.genotypes.vcf.gz", "6"),
        (
            "high-coverage",
            f"{HIGH}/{WORKING}/1kGP_high_coverage_Illumina.chr6.filtered.SNV_INDEL_SV_phased_panel.vcf.gz",
            "chr6",
        ),
    ],
)
@pytest.mark.parametrize("spelt", ["6", "chr6"])
def test_the_records_of_the_region_as_they_are(server, mirror, monkeypatch, release, place, contig, spelt):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    written = fetch(
        "1000g", "a.vcf.gz", region=f"{spelt}:3000-9000", release=release, mirror=server.address + "/", command="me"
    )
    assert [str(p) for p in written] == ["a.vcf.gz", "a.vcf.gz.tbi", "a.panel.tsv"]
    assert sorted(os.listdir()) == ["a.panel.tsv", "a.vcf.gz", "a.vcf.gz.tbi", "web"]
    there, here = text_of(mirror / place), text_of("a.vcf.gz")
    kept = [line for line in there if not line.startswith(b"#") and 3000 <= int(line.split(b"\t", 2)[1]) <= 9000]
    assert len(kept) == 13
    assert [line for line in here if not line.startswith(b"#")] == kept
    added = [line.decode() for line in here if line.startswith(b"##pgcgan")]
    assert [line for line in here if line.startswith(b"#") and not line.startswith(b"##pgcgan")] == there[:7]
    assert here[6 + len(added)].startswith(b"#CHROM")
    build = "GRCh37" if release == "phase3" else "GRCh38"
    assert added == [
        f"##pgcganSource={server.address}/{place}\n",
        f"##pgcganSourceRelease=1000 Genomes {release}, {build}\n",
        f"##pgcganSourceSize={(mirror / place).stat().st_size}\n",
        '##pgcganSourceETag="0"\n',
        f"##pgcganSourceRegion={contig}:3000-9000\n",
        "##pgcganSourceDate=1970-01-01T00:00:00+00:00\n",
        f"##pgcganVersion={pgcgan.__version__}\n",
        "##pgcganCommand=me\n",
    ]
    people = read("a.vcf.gz", "a.panel.tsv", multiallelic="drop", region=f"{contig}:5000-6000")
    assert people.n_samples == (2504 if release == "phase3" else 3202)
    assert set(people.labels["super_pop"]) == set(POPULATIONS.values())


def test_the_panels_are_in_the_shape_that_read_panel_takes(server, mirror):
    fetch("1000g", "a.vcf.gz", region="6:3000-9000", mirror=server.address, panel_output="people.txt")
    published = mirror / PHASE3 / "integrated_call_samples_v3.20130502.ALL.panel"
    assert read_panel("people.txt") == read_panel(published)
    fetch("1000g", "b.vcf.gz", region="X", release="high-coverage", mirror=server.address)
    panel = read_panel("b.panel.tsv")
    assert list(panel) == ["pop", "super_pop", "gender", "family"]  # parents are no labels
    parents = pgcgan.read_parents("b.panel.tsv")
    for line in (mirror / HIGH / "20130606_g1k_3202_samples_ped_population.txt").read_text().splitlines()[1:]:
        family, sample, father, mother, sex, population, group = line.split()
        words = [population, group, {"1": "male", "2": "female"}[sex], family]
        assert [panel[column][sample] for column in panel] == words
        assert parents[sample] == [parent for parent in (father, mother) if parent != "0"]
    # in the order of the VCF
    assert list(panel["pop"]) == text_of("b.vcf.gz")[-41].decode().split()[9:]


@pytest.mark.oracle("tabix", "bcftools")
def test_tabix_and_bcftools_take_it(server, mirror):
    fetch("1000g", "a.vcf.gz", region="chr6:3,000-", mirror=server.address)
    place = mirror / PHASE3 / "ALL.chr6.phase3_shapeit2_mvncall_integrated_v5b.20130502.genotypes.vcf.gz"
    run = subprocess.run(["tabix", place, "6:3000-"], capture_output=True, check=True)
    assert b"".join(line for line in text_of("a.vcf.gz") if not line.startswith(b"#")) == run.stdout
    told = subprocess.run(["bcftools", "view", "-H", "-r", "6:4000", "a.vcf.gz"], capture_output=True, check=True)
    assert (told.stdout.count(b"\n"), told.stderr) == (1, b"")


def test_men_of_y(server):
    events = []
    fetch("1000g", "y.vcf.bgz", region="chrY:1000-3000", mirror=server.address, on_event=events.append)
    assert [e["step"] for e in events] == [1, 2, 3, 4, 5]
    assert events[2] == {"stage": "fetching", "fraction": pytest.approx(0.5, abs=0.01), "step": 3}
    people = read("y.vcf.bgz", "y.panel.tsv", multiallelic="drop")
    assert (people.ploidy, people.n_samples, set(people.labels["gender"])) == (1, 1233, {"male"})


@pytest.mark.parametrize("flat", [True, False])
def test_mirrors_of_another_layout(server, mirror, tmp_path, flat):
    """As at Amazon (the older name, no data_collections), or all files in one folder."""
    place = tmp_path / "other"
    place.mkdir()
    for old, new in (
        (f"{PHASE3}/ALL.chr6.phase3_shapeit2_mvncall_integrated_v5b.20130502.genotypes.vcf.gz", "v5a"),
        (f"{HIGH}/{WORKING}/1kGP_high_coverage_Illumina.chr6.filtered.SNV_INDEL_SV_phased_panel.vcf.gz", ""),
    ):
        name = old.replace("v5b", new or "v5b").removeprefix("data_collections/")
        for end in ("", ".tbi"):
            target = place / (Path(name).name + end if flat else name + end)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(mirror / (old + end))
    for old in (
        f"{PHASE3}/integrated_call_samples_v3.20130502.ALL.panel",
        f"{HIGH}/20130606_g1k_3202_samples_ped_population.txt",
    ):
        name = old.removeprefix("data_collections/")
        (place / (Path(name).name if flat else name)).symlink_to(mirror / old)
    server.folder = place
    for release, n in (("phase3", 2504), ("high-coverage", 3202)):
        fetch("1000g", f"{release}.vcf.gz", region="6:3000-9000", release=release, mirror=server.address)
        assert len(read_panel(f"{release}.panel.tsv")["pop"]) == n


def test_a_transfer_that_fails_once(server, caplog):
    server.fault = lambda path, before: 503 if before % 2 else None
    fetch("1000g", "a.vcf.gz", region="6:3000-9000", mirror=server.address)
    assert len(caplog.records) > 3
    assert all("503 Service Unavailable; trying again" in r.message for r in caplog.records)
    assert sum(not line.startswith(b"#") for line in text_of("a.vcf.gz")) == 13


def test_the_command(server, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["pgcgan"])

    def run(line: str) -> tuple[int, str]:
        return cli.main(shlex.split(line)), capsys.readouterr().err

    line = f"fetch 1000g --region chr6:3000-9000 -o a.vcf.gz --mirror {server.address}"
    assert run(line) == (0, "phase3, chr6:3000-9000: a.vcf.gz, a.vcf.gz.tbi, a.panel.tsv\n")
    assert f"##pgcganCommand=pgcgan {line}\n".encode() in text_of("a.vcf.gz")
    status, told = run(line)
    assert (status, told.partition(";")[0]) == (2, "pgcgan: error: a.vcf.gz exists")
    assert run(line + " --force --release high-coverage --panel-output b.tsv")[0] == 0
    assert len(read_panel("b.tsv")["pop"]) == 3202


# ---- what is refused ----------------------------------------------------------------------------------------------


def test_options_that_are_not_right():
    here = {"mirror": "http://127.0.0.1:1"}
    assert error_of(source="hapmap", **here) == "The source 'hapmap' is not known; accepted: 1000g."
    assert error_of(release="phase1", **here) == "The release 'phase1' is not known; accepted: phase3, high-coverage."
    assert error_of(region="chrMT", **here) == (
        "The release phase3 has no chromosome 'chrMT' (region chrMT); accepted: 1 to 22, X, Y, with or without chr."
    )
    assert error_of(region="Y", release="high-coverage", **here).endswith("accepted: 1 to 22, X, with or without chr.")
    assert error_of(region="6:9-5", **here).startswith("Region '6:9-5' cannot be read;")
    assert error_of(output="a.bcf", **here).startswith("The output a.bcf is not a NAME.vcf.gz or NAME.vcf.bgz:")
    assert error_of(output="none/a.vcf.gz", **here).startswith("The folder none of the output none/a.vcf.gz does not")
    assert error_of(mirror="/data").startswith("The mirror '/data' is not an http or https address, such as https://f")


def test_nothing_is_overwritten_without_force(server):
    for name in ("a.vcf.gz", "a.vcf.gz.tbi", "a.vcf.gz.csi", "a.panel.tsv"):
        Path(name).write_text("mine")
        with pytest.raises(UsageError, match=f"^{name} exists; force=True"):
            fetch("1000g", "a.vcf.gz", region="6", mirror=server.address)
        assert Path(name).read_text() == "mine"
        Path(name).unlink()
    assert server.asked == []
    Path("a.vcf.gz.csi").write_text("old")
    fetch("1000g", "a.vcf.gz", region="6:3000-9000", mirror=server.address, force=True)
    assert not Path("a.vcf.gz.csi").exists()


def test_without_a_network(web):
    web.stop()
    assert error_of(mirror=web.address).endswith("cannot be read: 127.0.0.1 refuses the connection; tried 3 times.")


def test_a_server_that_does_not_have_it(web):
    told = error_of(mirror=web.address)
    assert f"none of {web.address}/{PHASE3}/ALL.chr6.phase3_" in told and "--mirror" in told
    assert len(told) <= 500 and len(web.asked) >= 4


def test_a_region_without_records(server):
    assert error_of(region="6:900000-", mirror=server.address).endswith(
        "has no record of contig 6 that starts from 900000 to the end; is the region in the coordinates of the release?"
    )


@pytest.fixture
def spoilt(web, mirror):
    """Return a function that serves phase 3 with lines of the VCF and of the panel changed."""
    name = "ALL.chr6.phase3_shapeit2_mvncall_integrated_v5b.20130502.genotypes.vcf.gz"
    lines = [line.decode().rstrip("\n") for line in text_of(mirror / PHASE3 / name)]
    panel = (mirror / PHASE3 / "integrated_call_samples_v3.20130502.ALL.panel").read_text().splitlines()

    def serve(vcf=lambda lines: lines, people=lambda rows: rows):
        put(web.folder / name, vcf(list(lines)))
        (web.folder / "integrated_call_samples_v3.20130502.ALL.panel").write_text("\n".join(people(list(panel))) + "\n")
        return (
            error_of(mirror=web.address),
            f"{web.address}/{name}",
            f"{web.address}/integrated_call_samples_v3.20130502.ALL.panel",
        )

    return serve


def test_other_people_than_those_of_the_panel(spoilt):
    told, url, table = spoilt(people=lambda rows: [*rows[:-1], "HG99999\tYRI\tAFR\tmale"])
    assert told == (
        f"{url} and {table} do not fit: people only in the first: 1 (HG02503), only in the second: 1 (HG99999)."
    )
    told, url, table = spoilt(
        vcf=lambda lines: [*lines[:6], *(line.rpartition("\t")[0] for line in lines[6:])], people=lambda rows: rows[:-1]
    )
    assert told == f"{url} has 2503 people, the release 2504: it is another file."


def test_a_panel_that_is_none(spoilt):
    told, _, table = spoilt(people=lambda rows: ["<html>", "<body>"])
    assert told == f"{table} is not the table of people of the release: its columns are <html>."
    told, _, table = spoilt(people=lambda rows: [*rows, rows[-1]])
    assert told == f"{table} is damaged: 2505 lines of people make 2504 people."


def test_another_contig_and_damaged_lines(spoilt):
    told, url, _ = spoilt(vcf=lambda lines: [*lines[:7], *("chr" + line for line in lines[7:])])
    assert told.startswith(f"{url} has no record of contig 6 that starts from 3000 to 9000;")
    told, url, _ = spoilt(vcf=lambda lines: [*lines[:15], lines[15].rpartition("\t")[0], *lines[16:]])
    assert told.startswith(f"{url}: the line '6\\t5000\\t")
    assert told.endswith("… is not a record of 2504 people; the file or its index is damaged.")
    told, url, _ = spoilt(vcf=lambda lines: ["##fileformat=BED", *lines[1:]])
    assert told == f"{url} is not a VCF: it begins with '##fileformat=BED\\n'."


def test_a_transfer_that_fails_leaves_nothing(server):
    server.fault = lambda path, before: "cut" if path.endswith("vcf.gz") and before > 4 else None
    assert re.search(r"the transfer stops after \d+ of \d+ bytes; tried 3 times\.$", error_of(mirror=server.address))
