"""What synthetic people are good for, shown with the tools of others on held-out people.

Parts, each of which runs alone: imputation (Beagle, Minimac4), association (PLINK), fairness, structure (PLINK,
scikit-allel), peers. A part says which of its tools is missing. Results are added to
benchmarks/results/uses-PART.json (a row that is measured again replaces the older one), and the section of docs/uses.md
between the markers `uses:PART` is written from it.

    python benchmarks/downstream.py [--data DIR] [--only PART] [--rows "real; haplotype"] [--seeds 1,2] [--gan DIR]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import downstream_association
import downstream_fairness
import downstream_imputation
import downstream_peers
import downstream_structure
from cohorts import DATA_SETS, label_counts, read_parts
from downstream_people import Cohort
from downstream_tools import ToolError, missing, version
from measuring import RESULTS, ROOT, machine, write_result, write_section

from pgcgan.errors import PgcganError
from pgcgan.provenance import provenance

PARTS: dict[str, ModuleType] = {
    part.NAME: part
    for part in (
        downstream_imputation,
        downstream_association,
        downstream_fairness,
        downstream_structure,
        downstream_peers,
    )
}

DATA = DATA_SETS[0]
PAGE = ROOT / "docs" / "uses.md"


def measure(part: ModuleType, cohort: Cohort, options: argparse.Namespace) -> None:
    """Measure a part; its result is written after each row, so that an interrupted run loses no row."""
    rows = [row.strip() for row in options.rows.split(";")] if options.rows else None
    seeds = [int(seed) for seed in options.seeds.split(",")]
    path = options.out / f"uses-{part.NAME}.json"
    command = f"benchmarks/downstream.py --only {part.NAME} --seeds {options.seeds}"
    tools = {name: version(name) for name in part.TOOLS if not missing([name])}
    for name, row in part.measure(cohort, seeds, rows, lambda text: print(text, flush=True)):
        earlier = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else {}
        how = provenance(seeds[0], machine=machine(), command=command, tools=tools)
        result = {
            "name": f"uses-{part.NAME}",
            "title": DATA.title,
            "sites": cohort.train.n_variants,
            "train": label_counts(cohort.train),
            "holdout": label_counts(cohort.holdout),
            "rows": {**earlier, name: {**row, "provenance": how}},
        }
        write_result(result, options.out)


def render(part: ModuleType, options: argparse.Namespace) -> None:
    """Write the section of a part from its JSON file, if there is one."""
    path = options.out / f"uses-{part.NAME}.json"
    if path.exists():
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        write_section(options.document, f"uses:{part.NAME}", "\n".join(part.as_markdown(result)))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the real data")
    parser.add_argument("--only", choices=list(PARTS), help="one part")
    parser.add_argument("--rows", help="only these rows of the part, joined by ';'")
    parser.add_argument("--seeds", default="1", help="joined by commas")
    parser.add_argument("--gan", type=Path, help="model directory of a conditional GAN trained on the training people")
    parser.add_argument("--models", type=Path, help="folder that keeps fitted models from one run to the next")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON files")
    parser.add_argument("--document", type=Path, default=PAGE)
    parser.add_argument("--render", action="store_true", help="write the page from the JSON files, run nothing")
    options = parser.parse_args(argv)
    parts = [PARTS[options.only]] if options.only else list(PARTS.values())
    if not options.render and not (options.data / DATA.vcf).exists():
        print(f"{DATA.title}: {DATA.vcf} is not in the data folder (--data DIR); nothing is measured.")
        return
    try:
        cohort = None if options.render else Cohort(*read_parts(options.data, DATA), options.gan, options.models)
        for part in parts:
            if cohort is not None:
                print(part.TITLE, flush=True)
                measure(part, cohort, options)
            render(part, options)
    except (PgcganError, ToolError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
