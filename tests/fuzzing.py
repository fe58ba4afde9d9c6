"""Random damage to valid files: every reader says one sentence, or reads what is there; nothing else may happen.

    python tests/fuzzing.py --inputs 1000 [--target bcf ...] [--first 0]

Input number i of a target is the same on every run. Inputs are read in a process of their own with bounded memory, so
that a reader that dies or asks for too much is seen, with the number of the input.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import hashlib
import io
import json
import logging
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import traceback
import zipfile
from collections import Counter
from pathlib import Path

MEMORY = 3 << 30  # more than any of these files needs, less than a hostile size would take
CPU_SECONDS = 1800  # of a whole process: a loop without end is found, slowness is not judged

MODELS = ("haplotype", "gan", "paper", "independent", "li-stephens", "pca-gaussian", "smote")

# target -> the files of which one is damaged, the first of them the one that is read
TARGETS: dict[str, tuple[str, ...]] = {
    "vcf": ("x.vcf",),
    "vcf.gz": ("x.vcf.gz",),
    "tbi": ("x.vcf.gz.tbi",),
    "bcf": ("x.bcf",),
    "csi": ("x.bcf.csi",),
    "plink1": ("y.bed", "y.bim", "y.fam"),
    "plink2": ("x.pgen", "x.pvar", "x.psam"),
    "impute": ("x.hap.gz", "x.legend", "x.samples"),
    "npz": ("x.npz",),
    "zarr": (
        "x.zarr/.zattrs",
        *(f"x.zarr/{name}/.zarray" for name in ("call_genotype", "variant_position", "variant_allele", "sample_id")),
        *(f"x.zarr/{name}" for name in ("call_genotype/0.0.0", "call_genotype_phased/0.0", "variant_contig/0")),
        *(f"x.zarr/{name}" for name in ("variant_allele/0.0", "contig_id/0", "sample_id/0", "region_index/0.0")),
    ),
    "zarr3": (
        *(f"z.zarr/{name}zarr.json" for name in ("", "call_genotype/", "sample_id/")),
        *(f"z.zarr/{name}" for name in ("call_genotype/c/0/0/0", "variant_position/c/0", "contig_id/c/0")),
    ),
    "panel": ("x.panel.tsv",),
    "split": ("split.tsv",),
    "evaluation": ("e.json",),
    "state": ("state.safetensors",),
    **{
        name: tuple(f"{name}.model/{file}" for file in ("model.json", "sites.json", "arrays.safetensors"))
        for name in MODELS
    },
    "windows": (
        "windows.model/model.json",
        *(f"windows.model/windows/00001/{file}" for file in ("model.json", "sites.json", "arrays.safetensors")),
    ),
}


def write_valid(folder: Path) -> None:
    """Write a valid file of every kind: 24 people at 30 sites, and models of them."""
    import torch

    import pgcgan
    from pgcgan.generators.gan import checkpoint
    from pgcgan.registry import create

    people = pgcgan.simulate(24, length=40_000, seed=3).select(min_maf=0.1).select(sites=slice(0, 30))
    for name in ("x.vcf", "x.vcf.gz", "x.bcf", "x.pgen", "x.hap.gz", "x.npz", "x.zarr"):
        pgcgan.write(people, folder / name, force=True)
    pgcgan.write(people, folder / "y.bed", unphased=True, force=True)
    for name in ("x.legend", "x.samples"):
        if not (folder / name).exists():
            (folder / name).write_bytes(gzip.decompress((folder / f"{name}.gz").read_bytes()))
            (folder / f"{name}.gz").unlink()
    _as_zarr_3(folder / "x.zarr", folder / "z.zarr")
    part = "".join(f"{name}\t{'test' if i % 4 == 0 else 'train'}\n" for i, name in enumerate(people.samples))
    (folder / "split.tsv").write_text("sample\tsplit\n" + part)
    network = {"steps": 2, "batch": 8, "threads": 1}
    quick = {"run_carriers": 4, "inverse_temperature": 1.0}
    settings = {
        "haplotype": quick,
        "gan": {**network, "width": 8, "critic_width": 16, "inverse_temperature": 1.0},
        "paper": {**network, "steps": 1},
    }
    for name in MODELS:
        some = people.select(sites=slice(0, 4)) if name == "paper" else people
        create(name, "gender", seed=1, **settings.get(name, {})).fit(some).save(folder / f"{name}.model")
    pgcgan.GenomeModel("gender", seed=1, size=50, of_windows=quick).fit(people).save(folder / "windows.model")
    model = pgcgan.load(folder / "haplotype.model")
    evaluation = pgcgan.evaluate(people, model.sample(24, seed=1), label="gender")
    history = [{"step": k, "loss": 1.0 / k, "metrics": {"AF RMSE": 0.1 / k}} for k in (1, 2, 3)]
    (folder / "e.json").write_text(evaluation.with_training(history).to_json())
    checkpoint.write_state(
        folder / "state.safetensors", {"step": 3, "task": [{"weight": torch.ones(3), "name": "a"}, None]}
    )


def _as_zarr_3(source: Path, target: Path) -> None:
    import zarr

    old, new = zarr.open_group(source, mode="r"), zarr.open_group(target, mode="w", zarr_format=3)
    new.attrs.update(dict(old.attrs))
    for name, array in old.arrays():
        if array.dtype.kind in "iub" or name in ("contig_id", "sample_id", "variant_allele", "variant_id"):
            new.create_array(name, data=array[...], chunks=array.chunks, config={"write_empty_chunks": True})


# ---- damage ---------------------------------------------------------------------------------------------------------

_NUMBERS = (b"0", b"-1", b"1e999", b"NaN", b"99999999999999999999", b"2147483648", b"1.5", b"null", b"[]", b'""', b"{}",
            "²".encode(), "٣".encode(), b"1_0", b"9" * 400, b"9" * 5000, b"%d" % (1 << 62))  # fmt: skip
_TEXTS = (
    b"\x00",
    b"\xff\xfe",
    "é\u2028".encode(),
    b"\t",
    b"\n",
    b"\r\n",
    b"'\"<script>",
    "😀".encode(),
    b",",
    b"./.|.",
    b"\\ud800",
    b"\x1b[31m",
    "\u202e\x9b".encode(),
    b"\xed\xa0\x80",
)
_VALUES = (
    None, True, -1, 0, 2**31, 2**63, 10**400, 0.5, 1e308, "", "\ud800", "\x1b[31m\n", "²", "../..", "a" * 3000,
    [], {}, [[]], {"float": "nan"},
)  # fmt: skip
_LONG_INTEGERS = (0, 1, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**48, 2**63 - 1, 2**63, 2**64 - 1)
_INTEGERS = (0, 1, 255, 127, 128, 2**15 - 1, 2**31 - 1, 2**31, 2**32 - 1)


def damaged(data: bytes, dice: random.Random) -> bytes:
    """Return bytes with one to four places changed."""
    out = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        at = dice.randrange(len(out) + 1)
        more = min(at + dice.choice((1, 2, 4, 16, 200)), len(out))
        kind = dice.randrange(10)
        if kind == 0 and at < len(out):
            out[at] ^= 1 << dice.randrange(8)
        elif kind == 1:
            out[at : at + 1] = bytes([dice.choice((0, 255, 127, 128, 9, 10, 48, 49, dice.randrange(256)))])
        elif kind == 2:
            out[at : at + 4] = dice.choice(_INTEGERS).to_bytes(4, "little")
        elif kind == 3:
            del out[at:more]
        elif kind == 4:
            out[at:at] = out[at:more]
        elif kind == 5:
            del out[at:]
        elif kind == 6:
            out[at:at] = dice.choice(_TEXTS)
        elif kind == 7:  # another number
            found = [m.span() for m in re.finditer(rb"-?\d+", bytes(out[at : at + 4000]))]
            if found:
                first, last = dice.choice(found)
                out[at + first : at + last] = dice.choice(_NUMBERS)
        elif kind == 8:  # lines change places, or one comes twice
            lines = bytes(out).split(b"\n")
            i, j = dice.randrange(len(lines)), dice.randrange(len(lines))
            lines[i], lines[j] = lines[j], lines[dice.choice((i, j))]
            out = bytearray(b"\n".join(lines))
        else:  # a cell is lost, or comes twice
            cells = re.split(rb"([\t ,])", bytes(out))
            i = dice.randrange(len(cells))
            cells[i : i + 1] = dice.choice(([], [cells[i], cells[i]], [b""]))
            out = bytearray(b"".join(cells))
    return bytes(out)


def damaged_json(data: bytes, dice: random.Random) -> bytes:
    """Return JSON that still is JSON, of which one to three values, or their names, are others."""
    content = json.loads(data)
    for _ in range(dice.choice((1, 1, 2, 3))):
        node = content
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                break
            key = dice.choice(keys)
            if isinstance(node[key], dict | list) and node[key] and dice.random() < 0.8:
                node = node[key]
                continue
            kind = dice.randrange(6)
            if kind == 0:
                del node[key]
            elif kind == 1 and isinstance(node, dict):
                node[dice.choice(("", "\ud800", "a\nb", "\x1b"))] = node.pop(key)
            elif kind == 2 and isinstance(node, list):
                node.append(node[key])
            else:
                node[key] = dice.choice(_VALUES)
            break
    return json.dumps(content).encode()


def damaged_index(data: bytes, dice: random.Random) -> bytes:
    """Return an index of which one to three of the numbers are others: counts, levels, bins, offsets."""
    out = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 3))):
        at, width = 4 * dice.randrange(1, len(out) // 4 - 1), dice.choice((4, 8))
        out[at : at + width] = dice.choice(_LONG_INTEGERS).to_bytes(8, "little")[:width]
    return bytes(out)


def damaged_file(name: str, data: bytes, dice: random.Random) -> bytes:
    """Damage a file as it is, or what is packed in it, with a right checksum around it."""
    if data[:1] == b"{" and dice.random() < 0.5:
        return damaged_json(data, dice)
    if name.endswith((".tbi", ".csi")) and dice.random() < 0.5:
        return gzip.compress(damaged_index(gzip.decompress(data), dice), compresslevel=1)
    packed = data[:2] == b"\x1f\x8b"
    if packed and dice.random() < 0.8:
        return gzip.compress(damaged(gzip.decompress(data), dice), compresslevel=1)
    if name.endswith(".npz") and dice.random() < 0.8:
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
            chosen = dice.choice(old.namelist())
            for member in old.namelist():
                content = old.read(member)
                head = dice.random() < 0.5
                if member == chosen:  # often the header, which says type and shape
                    content = damaged(content[:128], dice) + content[128:] if head else damaged(content, dice)
                new.writestr(member, content)
        return out.getvalue()
    if name.endswith(".safetensors") and dice.random() < 0.5:
        size = int.from_bytes(data[:8], "little")
        head = damaged(data[8 : 8 + size], dice)
        return len(head).to_bytes(8, "little") + head + data[8 + size :]
    return damaged(data, dice)


# ---- reading --------------------------------------------------------------------------------------------------------


def read_target(target: str, folder: Path, file: str, dice: random.Random) -> None:
    """Read a damaged file as a user would, and go on with what was read."""
    import pgcgan
    from pgcgan import cli
    from pgcgan.errors import DataError
    from pgcgan.generators.gan import checkpoint
    from pgcgan.io import read_split

    if target in ("tbi", "csi"):
        pgcgan.read(folder / ("x.vcf.gz" if target == "tbi" else "x.bcf"), region=f"1:{dice.randrange(1, 40_000)}-")
    elif target == "panel":
        pgcgan.read(folder / "x.vcf.gz", folder / file, intersect=dice.random() < 0.5)
    elif target == "split":
        read_split(folder / file)
    elif target == "evaluation":
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            status = cli.main(["report", str(folder / file), "-o", str(folder / "e.html"), "--force"])
        if status == 2:
            raise DataError(said.getvalue().rstrip("\n"))
    elif target == "state":
        checkpoint.read_state(folder / file)
    elif target == "windows" or target in MODELS:
        model = pgcgan.load(folder / f"{target}.model")
        model.sample({next(iter(model.label_counts_)): 2}, seed=1)
        model.facts()
    else:
        accepted = {"multiallelic": "split", "half_calls": "missing", "haploid": "diploid", "duplicates": "drop"}
        options = accepted | {"unphased": True} if dice.random() < 0.5 else {}
        found = pgcgan.read(
            folder / TARGETS[target][0].split("/")[0], region="1:5000-30000" if dice.random() < 0.2 else None, **options
        )
        out = folder / "again.vcf"
        try:
            pgcgan.write(found, out, force=True)
        finally:
            out.unlink(missing_ok=True)


def with_right_digests(directory: Path) -> None:
    """Let model.json name the digests of what is there: the damage is then not an accident."""
    path = directory / "model.json"
    try:
        metadata = json.loads(path.read_text())
        for name in metadata["files"]:
            metadata["files"][name] = hashlib.sha256((directory / name).read_bytes()).hexdigest()
        path.write_text(json.dumps(metadata))
    except (ValueError, KeyError, TypeError, OSError):
        return  # model.json itself is what was damaged


def one_input(target: str, number: int, folder: Path) -> str:
    """Damage a file, read it, put it back; return what happened: "read", "refused", or a fault."""
    from pgcgan.errors import PgcganError

    dice = random.Random(f"{target} {number}")
    file = dice.choice(TARGETS[target])
    path = folder / file
    valid = path.read_bytes()
    metadata = path.parent / "model.json"
    valid_metadata = metadata.read_bytes() if metadata.exists() else b""
    try:
        path.write_bytes(damaged_file(file, valid, dice))
        if valid_metadata and dice.random() < 0.7:
            with_right_digests(path.parent)
        try:
            read_target(target, folder, file, dice)
        except PgcganError as error:
            text = str(error)
            if "\n" in text or not text.endswith((".", ")")) or len(text) > 500 or set("\x1b\x9b\u202e") & set(text):
                return f"not one sentence: {text[:300]!r}"
            return "refused"
        except OSError as error:
            return "refused" if error.filename else "OSError: " + traceback.format_exc()
        except BaseException:
            return traceback.format_exc()
        return "read"
    finally:
        path.write_bytes(valid)
        if valid_metadata:
            metadata.write_bytes(valid_metadata)


def work(targets: list[str], first: int, last: int, skip: int, folder: Path) -> None:
    """Read the inputs of targets; a line for each: target and number before it is read, what happened behind."""
    logging.getLogger("pgcgan").setLevel(logging.ERROR)
    import torch

    import pgcgan.report

    torch.set_num_threads(1)
    pgcgan.read(folder / "y.bed")  # what a reader imports is there before memory is bounded
    pgcgan.read(folder / "x.pgen")
    pgcgan.read(folder / "z.zarr")
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, held + MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    for at, (target, number) in enumerate((target, number) for target in targets for number in range(first, last)):
        if at >= skip:
            print(f"{at}\t{target} {number}\t", end="", flush=True)
            print(json.dumps(one_input(target, number, folder)), flush=True)


def run(targets: list[str], first: int, last: int, valid: Path) -> tuple[dict[str, Counter[str]], list[str]]:
    """Read inputs in a process of their own; return how many were read and refused by target, and the faults."""
    counts: dict[str, Counter[str]] = {target: Counter() for target in targets}
    faults: list[str] = []
    done = 0
    while done < len(targets) * (last - first):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "valid"
            shutil.copytree(valid, folder)
            span = ["--first", str(first), "--inputs", str(last - first), "--skip", str(done)]
            chosen = [word for target in targets for word in ("--target", target)]
            command = [sys.executable, __file__, "--folder", str(folder), *span, *chosen]
            process = subprocess.run(command, capture_output=True, text=True)
        lines = [line.split("\t") for line in process.stdout.splitlines() if re.match(r"\d+\t", line)]
        for at, name, outcome in lines:
            done = int(at) + 1
            ended = f"the process ended with {process.returncode}\n{process.stderr[-2000:]}"  # before it could say
            said = json.loads(outcome) if outcome else ended
            if said in ("read", "refused"):
                counts[name.split()[0]][said] += 1
            else:
                faults.append(f"{name}: {said}")
        if not lines:
            raise RuntimeError(f"the process did not start: {process.stderr[-2000:]}")
    return counts, faults


def main(arguments: list[str] | None = None) -> int:
    """Read damaged files of every kind, and print how many of each there were."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=100, help="of each target")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--target", action="append", choices=TARGETS)
    parser.add_argument("--skip", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    targets, last = given.target or list(TARGETS), given.first + given.inputs
    if given.folder:
        work(targets, given.first, last, given.skip, given.folder)
        return 0
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    total = Counter[str]()
    with tempfile.TemporaryDirectory() as scratch:
        write_valid(Path(scratch))
        faults: list[str] = []
        for target in targets:
            counts, more = run([target], given.first, last, Path(scratch))
            print(
                f"{target}: {counts[target]['refused']} refused, {counts[target]['read']} read",
                *more,
                sep="\n",
                flush=True,
            )
            total += counts[target]
            faults += more
    print(f"{sum(total.values()) + len(faults)} inputs: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
