"""Reading, writing and generating files, as ratios to the libraries and programs that do it alone.

Every measurement is a process of its own with one thread; ours and the peer's take turns, and the ratio is the median
over the turns. Seconds are processor seconds, of programs that are called too, so that they hardly depend on what else
runs. Simulated people; the model is that of the HLA region if the real data are there, else one of simulated people.
Writes benchmarks/results/io.json and the section of docs/benchmarks.md between the markers `io`.

    python benchmarks/io.py [--data DIR] [--only read,write,generate] [--repeat 3] [--counts 10000,100000] [--model DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from real_data import DATA_SETS, ROOT, in_own_process, machine, peak_memory, read_parts, write_result, write_section
from scaling import COHORTS, cohort_of, read_cohort

from pgcgan import Genotypes, HaplotypeModel, load, read, write
from pgcgan.provenance import provenance

READ_PEOPLE, READ_SITES = 2500, 20_000
WRITTEN_PEOPLE, WRITTEN_SITES = 100_000, 600
COUNTS, GENERATED = (10_000, 100_000), (".vcf.gz", ".pgen", ".zarr")
LEVEL = 4  # of our bgzip


def peer_cyvcf2(path: Path) -> None:
    from cyvcf2 import VCF

    for variant in VCF(str(path), threads=1):
        variant.genotype.array()


def peer_pgenlib(path: Path) -> None:
    from pgenlib import PgenReader

    reader = PgenReader(os.fsencode(path))
    n, total = reader.get_raw_sample_ct(), reader.get_variant_ct()
    codes = np.empty((total, 2 * n), dtype=np.int32)
    if reader.hardcall_phase_present():
        reader.read_alleles_and_phasepresent_range(0, total, codes, np.empty((total, n), dtype=bool))
    else:
        reader.read_alleles_range(0, total, codes)


def peer_bed_reader(path: Path) -> None:
    from bed_reader import open_bed

    with open_bed(path, num_threads=1) as bed:
        bed.read(dtype="int8")
        _ = bed.sid, bed.iid, bed.bp_position, bed.allele_1, bed.allele_2, bed.chromosome  # the tables too


def peer_zarr(path: Path) -> None:
    import zarr

    group = zarr.open_group(path, mode="r")
    _ = group["call_genotype"][:], group["call_genotype_phased"][:]


def peer_bcftools(people: Genotypes, folder: Path, level: str = "") -> Callable[[Path], None]:
    source = folder / "source.bcf"
    if not source.exists():
        subprocess.run(
            ["bcftools", "view", "-Ou", "-o", source, write(people, folder / "source.vcf", force=True)[0]], check=True
        )

    def run(path: Path) -> None:
        subprocess.run(["bcftools", "view", "--no-version", f"-Oz{level}", "-o", path, source], check=True)

    return run


def peer_pgen_writer(people: Genotypes, folder: Path) -> Callable[[Path], None]:
    from pgenlib import PgenWriter

    def run(path: Path) -> None:
        n = people.n_samples
        writer = PgenWriter(
            os.fsencode(path), n, variant_ct=people.n_variants, nonref_flags=False, hardcall_phase_present=True
        )
        for start in range(0, people.n_variants, 64):
            codes = people.calls[start : start + 64].astype(np.int32).reshape(-1, 2 * n)
            writer.append_alleles_batch(codes, all_phased=True)
        writer.close()

    return run


def peer_to_bed(people: Genotypes, folder: Path) -> Callable[[Path], None]:
    from bed_reader import to_bed

    def run(path: Path) -> None:
        to_bed(path, people.dosages(), num_threads=1)

    return run


# format -> the peer and what it is called
READERS: dict[str, tuple[str, Callable[[Path], None]]] = {
    ".vcf.gz": ("cyvcf2, genotype.array()", peer_cyvcf2),
    ".bcf": ("cyvcf2, genotype.array()", peer_cyvcf2),
    ".pgen": ("pgenlib, alleles and phase", peer_pgenlib),
    "unphased.pgen": ("pgenlib, alleles", peer_pgenlib),
    ".bed": ("bed-reader, with its tables", peer_bed_reader),
    ".zarr": ("zarr, calls and phase", peer_zarr),
}
WRITERS: dict[str, tuple[str, Callable[[Genotypes, Path], Callable[[Path], None]]]] = {
    ".vcf.gz": ("bcftools view -Oz, from uncompressed BCF", peer_bcftools),
    "same-level.vcf.gz": (f"bcftools view -Oz{LEVEL}, by libdeflate", partial(peer_bcftools, level=str(LEVEL))),
    ".pgen": ("pgenlib, .pgen alone", peer_pgen_writer),
    ".bed": ("bed-reader, with its tables", peer_to_bed),
}


def processor_seconds() -> float:
    """Return the processor seconds of this process and of those it waited for."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def measured(work: Callable[[], object]) -> dict[str, float]:
    """Do it; return its seconds and the peak memory of the process."""
    began, began_cpu = time.perf_counter(), processor_seconds()
    work()
    return {
        "cpu_seconds": processor_seconds() - began_cpu,
        "seconds": time.perf_counter() - began,
        "peak_bytes": peak_memory(),
    }


def read_job(folder: Path, suffix: str, ours: bool) -> dict[str, float]:
    """Read one of the files, with ours or the peer's."""
    path = folder / f"read{suffix if suffix.startswith('.') else '.' + suffix}"
    peer = READERS[suffix][1]
    read(folder / "tiny.vcf")  # what is imported on first use is not the reading
    return measured(lambda: read(path) if ours else peer(path))


def write_job(folder: Path, suffix: str, ours: bool) -> dict[str, float]:
    """Write one of the formats, with ours or the peer's."""
    people = wide_people(folder)
    if suffix == ".bed":
        people = people.without_phase()
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = Path(place) / f"out{suffix if suffix.startswith('.') else '.' + suffix}"
        peer = WRITERS[suffix][1](people, folder)
        found = measured(lambda: write(people, path) if ours else peer(path))
        return {**found, "bytes": path.stat().st_size}


def wide_people(folder: Path) -> Genotypes:
    """Return many people at few sites: those of the cohort for reading, again and again."""
    with np.load(folder / "wide.npz") as arrays:
        calls, count = arrays["calls"], int(arrays["people"])
    few = read_cohort(folder / "wide-sites.npz")
    names = np.array([f"p{i:06d}" for i in range(count)], dtype=object)
    repeated = np.take(calls, np.arange(count) % calls.shape[1], axis=1)
    return Genotypes(repeated, few.variants, names)


def generate_job(model: Path, folder: Path, suffix: str, count: int) -> dict[str, float]:
    """Generate people into a file; return how long the model and the writing took, and the peak memory."""
    generator = load(model)
    in_model = [0.0, 0.0]

    def timed() -> Iterator[Genotypes]:
        parts = generator.iter_samples(count, seed=1)
        while True:
            began, began_cpu = time.perf_counter(), processor_seconds()
            part = next(parts, None)
            in_model[0] += processor_seconds() - began_cpu
            in_model[1] += time.perf_counter() - began
            if part is None:
                return
            yield part

    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = Path(place) / f"out{suffix}"
        found = measured(lambda: write(timed(), path, unphased=suffix == ".bed"))
        size = sum(f.stat().st_size for f in Path(place).rglob("*") if f.is_file())
    return {
        **found,
        "model_cpu_seconds": in_model[0],
        "bytes": size,
        "sites": len(generator.sample(1, seed=0).variants),
    }


# ---- all of it ----------------------------------------------------------------------------------------------------


def prepare(folder: Path, people: int, sites: int, wide: tuple[int, int], vcf: Path | None = None) -> tuple[int, int]:
    """Write the files that are read, once, and what the wide people are made of; return the size of what is read."""
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / f"made-{people}-{sites}-{wide[0]}-{wide[1]}{'' if vcf is None else vcf.name}"
    if mark.exists():
        return tuple(json.loads(mark.read_text(encoding="utf-8")))
    cohort = read(vcf, multiallelic="drop", duplicates="drop") if vcf else read_cohort(cohort_of(people, sites, folder))
    sites = cohort.n_variants
    unphased = cohort.without_phase()
    for suffix in READERS:
        plain = suffix.startswith(".")
        given = unphased if suffix == ".bed" or not plain else cohort
        write(given, folder / f"read{suffix if plain else '.' + suffix}", force=True)
    write(cohort.select(samples=np.arange(2), sites=slice(0, 2)), folder / "tiny.vcf", force=True)
    few = cohort.select(sites=np.arange(sites)[:: max(1, sites // wide[1])][: wide[1]])
    np.savez(folder / "wide.npz", calls=few.calls, people=wide[0])
    label = few.label("super_pop").astype(str) if few.labels else np.full(few.n_samples, "all")
    np.savez(folder / "wide-sites.npz", calls=few.calls, position=few.variants.position, label=label)
    (folder / "source.bcf").unlink(missing_ok=True)
    mark.write_text(json.dumps([cohort.n_samples, sites]), encoding="utf-8")
    return cohort.n_samples, sites


def model_of(data: Path, folder: Path, given: Path | None) -> tuple[Path, str]:
    """Return a model and what it is of; train one if there is none."""
    if given is not None:
        return given, str(given.name)
    hla = DATA_SETS[0]
    real = (data / hla.vcf).exists()
    path, about = folder / ("hla.model" if real else "simulated.model"), hla.title if real else "simulated people"
    if not (path / "model.json").exists():
        people = read_parts(data, hla)[0] if real else read_cohort(cohort_of(1000, 2000, folder))
        HaplotypeModel("super_pop", seed=1).fit(people).save(path, force=True)
    return path, about


def compare(kind: str, table: dict[str, Any], folder: Path, repeat: int) -> list[dict[str, Any]]:
    """Measure ours and the peer's in turn, for every format."""
    rows = []
    for suffix, (peer, _) in table.items():
        runs: dict[bool, list[dict[str, float]]] = {True: [], False: []}
        for _ in range(repeat):
            for ours in (True, False):
                options = ["--job", kind, "--format", suffix, "--folder", str(folder)]
                runs[ours].append(in_own_process(__file__, options if ours else [*options, "--peer"]))
        ratios = [b["cpu_seconds"] / a["cpu_seconds"] for a, b in zip(runs[True], runs[False], strict=True)]
        row = {"kind": kind, "format": suffix, "peer": peer, "ratio": statistics.median(ratios)}
        for name, each in (("ours", runs[True]), ("theirs", runs[False])):
            row[name] = {key: statistics.median(run[key] for run in each) for key in each[0]}
        rows.append(row)
        print(f"{kind} {suffix}: {row['ratio']:.2f} times as fast as {peer}", file=sys.stderr)
    return rows


def as_markdown(result: dict[str, Any]) -> str:
    """Return the section of docs/benchmarks.md."""
    made = result["provenance"]
    where = made["machine"]
    lines = [
        "### Files",
        "",
        f"People of {result.get('people', 'a simulated cohort')}, one thread, a process for every measurement, median "
        f"of {result['repeat']} turns. pgcgan "
        f"{made['pgcgan']}, {made['date'][:10]}, {where['cores']} cores ({where['processor']}), load before the run "
        f"{where['load_before']:g}. Seconds are processor seconds. Command: `python {made['command']}`.",
        "",
        "| what | format | genotypes/s, millions | peer | its genotypes/s, millions | ours is faster by |",
        "|---|---|--:|---|--:|--:|",
    ]
    sizes = {"read": result["read"], "write": result["written"]}
    for row in result["rows"]:
        people, sites = sizes[row["kind"]]
        ours, theirs = (people * sites / row[who]["cpu_seconds"] / 1e6 for who in ("ours", "theirs"))
        lines.append(
            f"| {row['kind']} | `{row['format']}` | {ours:.1f} | {row['peer']} | {theirs:.1f} | {row['ratio']:.2f} |"
        )
    lines += [
        "",
        f"Read are {result['read'][0]:,} people at {result['read'][1]:,} sites, written {result['written'][0]:,} "
        f"people at {result['written'][1]:,} sites. Ours checks every call, order and duplicates, and makes "
        "an array of all genotypes; cyvcf2 hands out one record after the other and keeps none.",
        "",
        f"**Generating** from the model of {result['model']}, into a file:",
        "",
        "| people | sites | format | s | people/s | in the model | peak memory, GB | file, MB |",
        "|--:|--:|---|--:|--:|--:|--:|--:|",
    ]
    for run in result["generated"]:
        share = run["model_cpu_seconds"] / run["cpu_seconds"]
        lines.append(
            f"| {run['people']:,} | {run['sites']:,} | `{run['format']}` | {run['cpu_seconds']:.0f} | "
            f"{run['people'] / run['cpu_seconds']:.0f} | {share:.0%} | {run['peak_bytes'] / 1e9:.2f} | "
            f"{run['bytes'] / 1e6:,.0f} |"
        )
    return "\n".join(lines)


def whole_numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the real data")
    parser.add_argument("--only", default="read,write,generate", help="joined by commas; the rest stays as it was")
    parser.add_argument("--read", type=whole_numbers, default=[READ_PEOPLE, READ_SITES], help="PEOPLE,SITES")
    parser.add_argument("--vcf", type=Path, help="read and written are the people of this file, not simulated ones")
    parser.add_argument("--written", type=whole_numbers, default=[WRITTEN_PEOPLE, WRITTEN_SITES], help="PEOPLE,SITES")
    parser.add_argument("--counts", type=whole_numbers, default=list(COUNTS), help="people that are generated")
    parser.add_argument("--formats", default=",".join(GENERATED), help="that are generated")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--model", type=Path, help="in the place of training one")
    parser.add_argument("--folder", type=Path, default=COHORTS.with_name("pgcgan-io"), help="for files that are read")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results", help="folder of the JSON file")
    parser.add_argument("--document", type=Path, default=ROOT / "docs" / "benchmarks.md")
    parser.add_argument("--render", action="store_true", help="write the document again, run nothing")
    parser.add_argument("--job", choices=("read", "write", "generate"), help=argparse.SUPPRESS)
    parser.add_argument("--format", help=argparse.SUPPRESS)
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.job is not None:
        if given.job == "generate":
            found = generate_job(given.model, given.folder, given.format, given.count)
        else:
            found = (read_job if given.job == "read" else write_job)(given.folder, given.format, not given.peer)
        print(json.dumps(found))
        return
    place = given.out / "io.json"
    before = json.loads(place.read_text(encoding="utf-8")) if place.exists() else {}
    if not given.render:
        os.environ |= {"OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}  # of the processes that are started
        wanted, about = given.only.split(","), provenance(None, machine=machine())
        given.read = list(prepare(given.folder, *given.read, tuple(given.written), given.vcf))
        rows = []
        for kind, table in (("read", READERS), ("write", WRITERS)):
            if kind in wanted:
                rows += compare(kind, table, given.folder, given.repeat)
            else:
                rows += [row for row in before.get("rows", []) if row["kind"] == kind]
        generated, model = before.get("generated", []), before.get("model", "nothing")
        if "generate" in wanted:
            path, model = model_of(given.data, given.folder, given.model)
            generated = []
            for suffix in given.formats.split(","):
                for count in given.counts:
                    options = ["--job", "generate", "--model", str(path), "--folder", str(given.folder)]
                    found = in_own_process(__file__, [*options, "--format", suffix, "--count", str(count)])
                    generated.append({"people": count, "format": suffix, **found})
                    print(f"generated {count:,} people as {suffix}: {found['cpu_seconds']:.0f} s", file=sys.stderr)
        result = {
            "name": "io",
            "provenance": about,
            "repeat": given.repeat,
            "people": "a simulated cohort" if given.vcf is None else given.vcf.name,
            "read": given.read,
            "written": given.written,
            "rows": rows,
            "model": model,
            "generated": generated,
        }
        write_result(result, given.out)
        before = result
    write_section(given.document, "io", as_markdown(before))
    print(as_markdown(before))


if __name__ == "__main__":
    main()
