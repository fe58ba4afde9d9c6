"""fetch: a region of a public release."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from ..runtime.progress import progress, say
from .app import OUTPUT, ReplaceFiles, app
from .files import names


@app.command
def fetch(
    source: str,
    /,
    *,
    region: str,
    output: Annotated[str, OUTPUT],
    release: Literal["phase3", "high-coverage"] = "phase3",
    panel_output: str | None = None,
    mirror: str | None = None,
    force: ReplaceFiles = False,
) -> None:
    """Download a region of the 1000 Genomes Project: its records as they are, an index and the panel.

    Only the region is downloaded. People, contig and positions are checked against the release.

    Parameters
    ----------
    source
        1000g.
    region
        contig, contig:start-end or contig:start- (1-based, both ends included), in the coordinates of the release; 6
        and chr6 are the same.
    output
        NAME.vcf.gz or .vcf.bgz; NAME.panel.tsv is written beside it.
    release
        phase3 (2,504 people, GRCh37; chromosomes 1 to 22, X, Y) or high-coverage (3,202 people, 602 trios among them,
        GRCh38; 1 to 22, X).
    panel_output
        Name of the panel, instead of NAME.panel.tsv.
    mirror
        Another base address, such as https://1000genomes.s3.amazonaws.com; by default the project's server at EBI.
    """
    from ..provenance import command_line
    from ..thousand_genomes import MIRROR, fetch

    options: dict[str, Any] = {"panel_output": panel_output, "mirror": mirror or MIRROR, "command": command_line()}
    with progress("fetching") as on_event:
        written = fetch(source, output, region=region, release=release, force=force, on_event=on_event, **options)
    say(f"{release}, {region}: {names(written)}")
