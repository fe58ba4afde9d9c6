"""Reports of the published synthetic haplotypes (GAN and RBM of Yelmen et al. 2021) at 805 SNPs.

Both were trained on all people, held-out ones too, so that their privacy rows prove nothing; they have no labels, and
their haplotypes are paired in file order. Writes one HTML report each and prints the verdicts.

    python benchmarks/published.py [--data DIR] [--out FOLDER] [--force]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cohorts import DATA_SETS, read_parts, read_published
from measuring import ROOT

from pgcgan import evaluate
from pgcgan.errors import PgcganError
from pgcgan.report import findings, headline, write_report

NAMES = ("gan", "rbm")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the real data")
    parser.add_argument("--out", type=Path, default=Path("build/published"), help="folder of the reports")
    parser.add_argument("--force", action="store_true", help="replace reports that are there")
    options = parser.parse_args(arguments)
    data = next(data for data in DATA_SETS if data.name == "snp805")
    if not (options.data / "snp805.vcf.gz").exists():
        print(f"{data.title}: no data in {options.data}; nothing done (--data DIR names another folder)")
        return 0
    train, holdout = read_parts(options.data, data)
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        for name in NAMES:
            people = read_published(options.data / f"snp805_{name}.npz", train.variants)
            evaluation = evaluate(train, people, holdout=holdout)
            written = write_report(evaluation, options.out / f"{name}.html", force=options.force)
            print(f"\npublished {name.upper()} ({written}): {headline(evaluation)}")
            for finding in findings(evaluation):
                print(f"- {finding.heading}: {finding.text}")
                for text, rows in finding.items:
                    print(f"  - {text} ({rows})")
    except PgcganError as error:
        print(f"published.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
