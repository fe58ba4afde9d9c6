"""info: summarise a genotype file or a model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ..errors import UsageError, listed
from ..runtime.progress import show
from ..text import visible, visible_json
from .app import FILE, Reading, app

if TYPE_CHECKING:
    from ..genotypes import Genotypes

_SHOWN = 40  # contigs or labels; --json has all


@app.command
def info(
    path: Annotated[str | None, FILE] = None,
    /,
    *,
    panel: str | None = None,
    json_output: Annotated[bool, Parameter(name="--json")] = False,
    reading: Reading | None = None,
) -> None:
    """Summarise a genotype file or a model; without a name, print the versions that run here, for bug reports.

    Parameters
    ----------
    path
        A VCF, BCF, .bed, .pgen, .hap.gz, .vcz, .trees or .npz ("-" reads VCF or BCF from standard input), or a model
        directory.
    panel
        Labels, for a genotype file.
    json_output
        Print JSON, with all contigs and labels; without it, the first 40 are shown.
    """
    from ..io import FORMATS, read

    if path is None:
        if panel is not None or reading is not None:
            raise UsageError("--panel and the reading options are for a genotype file; give its name.")
        facts = _facts_of_here()
    # a VCF Zarr is a folder too
    elif Path(path).is_dir() and not path.rstrip("/").endswith(tuple(s for several in FORMATS for s in several)):
        if panel is not None or reading is not None:
            raise UsageError(f"{path} is a model directory: --panel and the reading options are for genotype files.")
        from ..registry import load

        facts = load(path).facts()
    else:
        facts = _facts_of_genotypes(read(path, panel, **asdict(reading or Reading())))
    if json_output:
        print(visible_json(json.dumps(facts, indent=1, ensure_ascii=False)))
        return
    for name, value in facts.items():
        for line in _lines(name, value):
            show(visible(line))


def _lines(name: str, value: Any) -> Iterator[str]:
    """Yield a fact in words; what has parts of its own is a line of its own."""
    if not isinstance(value, Mapping):
        yield f"{name}: {_words(value)}"
        return
    between = ":" if name == "contigs" else " "
    parts = {key: part for key, part in value.items() if isinstance(part, Mapping)}
    yield f"{name}: {listed((f'{k}{between}{_words(v)}' for k, v in value.items() if k not in parts), _SHOWN)}"
    for key, part in parts.items():
        yield from _lines(key, part)


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return listed(value, _SHOWN) if isinstance(value, list) else str(value)


def _facts_of_here() -> dict[str, Any]:
    from ..provenance import environment

    try:
        from ..generators.gan.parallel import accelerators
    except ModuleNotFoundError:
        there = ["torch is not installed: pgcgan[gan]"]
    else:
        there = accelerators() or ["none"]
    return {"kind": "environment", **environment(), "accelerators": there}


def _facts_of_genotypes(genotypes: Genotypes) -> dict[str, Any]:
    import numpy as np

    from ..variants import contig_spans

    spans = {name: f"{first}-{last} ({n} sites)" for name, first, last, n in contig_spans(genotypes.variants)}
    frequency = genotypes.allele_frequency()
    minor = np.minimum(frequency, 1 - frequency)
    called = genotypes.calls >= 0
    counts = {}
    for column in genotypes.labels:
        names, people = np.unique(genotypes.label(column).astype(str), return_counts=True)
        counts[column] = dict(zip(names.tolist(), people.tolist(), strict=True))
    return {
        "kind": "genotypes",
        "people": genotypes.n_samples,
        "sites": genotypes.n_variants,
        "ploidy": genotypes.ploidy,
        "phased": genotypes.phased,
        "contigs": spans,
        "missing alleles": round(float(1 - called.mean()), 6) if called.size else 0.0,
        "monomorphic sites": int((minor == 0).sum()),
        "sites with minor allele frequency of at least 5 %": int((minor >= 0.05).sum()),
        **counts,
    }
