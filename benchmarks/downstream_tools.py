"""Runs the tools of others that the benchmarks of uses need: which are installed, their versions, their failures."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from cyvcf2 import VCF

from pgcgan import Genotypes

# tool -> how to install it, and the options that make it print its version
TOOLS: dict[str, tuple[str, tuple[str, ...]]] = {
    "beagle": ("apt-get install beagle", ()),
    "minimac4": ("apt-get install minimac4", ("--version",)),
    "plink2": ("apt-get install plink2", ("--version",)),
    "plink1.9": ("apt-get install plink1.9", ("--version",)),
    "haptools": ("pip install haptools", ("--version",)),
}


class ToolError(Exception):
    """A tool is not installed, or failed; the message says which, and why."""


def missing(names: Sequence[str]) -> list[str]:
    """Return one sentence for each tool that is not installed."""
    return [f"{name} is not installed ({TOOLS[name][0]})." for name in names if shutil.which(name) is None]


def version(name: str) -> str:
    """Return the first line that a tool prints of its version."""
    run = subprocess.run([name, *TOOLS[name][1]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = [line.strip() for line in run.stdout.splitlines() if not line.startswith("Picked up ")]  # Java's options
    return next(line for line in lines if line)


def run(command: Sequence[str], folder: Path, stdout: Path | None = None) -> None:
    """Run a tool in a folder; what it prints goes to a file, if one is given, and is dropped otherwise.

    Raises
    ------
    ToolError
        If it fails; the message has the last line that it printed.
    """
    if stdout is None:
        result = subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    else:
        with stdout.open("wb") as file:
            result = subprocess.run(command, cwd=folder, stdout=file, stderr=subprocess.PIPE)
    if result.returncode:
        lines = result.stderr.decode(errors="replace").strip().splitlines() or ["it printed nothing"]
        raise ToolError(f"{command[0]} failed (exit status {result.returncode}): {lines[-1]}")


def read_dosages(path: Path, sites: Genotypes) -> np.ndarray:
    """Return the imputed dosages (DS) of a VCF at the sites of `sites`: float32, shape (variants, people).

    Raises
    ------
    ToolError
        If the file lacks a site, or has them in another order.
    """
    reader = VCF(str(path))
    dosages = np.full((sites.n_variants, len(reader.samples)), np.nan, dtype=np.float32)
    count = 0
    for record in reader:
        if count >= sites.n_variants or sites.variants.position[count] != record.POS:
            raise ToolError(f"{path.name} has an unexpected site, {record.CHROM}:{record.POS}.")
        dosages[count] = record.format("DS")[:, 0]
        count += 1
    if count < sites.n_variants:
        raise ToolError(f"{path.name} has {count} sites of {sites.n_variants}.")
    return dosages
