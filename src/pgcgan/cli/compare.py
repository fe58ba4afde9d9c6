"""compare: two evaluations, row by row."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..runtime.progress import say, show
from ..text import visible, visible_json
from .app import FILE, PerLabel, ReplaceFile, app
from .evaluate import with_remarks
from .files import output_free, read_evaluation, write_text


@app.command
def compare(
    first: Annotated[str, FILE],
    second: Annotated[str, FILE],
    /,
    *,
    json_output: Annotated[str | None, Parameter(name="--json", allow_leading_hyphen=True)] = None,
    per_label: PerLabel = False,
    force: ReplaceFile = False,
) -> None:
    """Compare two evaluations row by row: which is better, and whether the difference is significant.

    Parameters
    ----------
    first
        The JSON file that `pgcgan evaluate -o NAME.json` wrote.
    second
        Another one, best against the same real people.
    json_output
        Also write the comparison as JSON; "-" prints it instead of the table.
    """
    from ..metrics.compare import compare

    if json_output is not None:
        output_free(json_output, force, standard_output=True)
    names = visible(Path(first).stem), visible(Path(second).stem)
    if names[0] == names[1]:
        names = visible(first), visible(second)
    comparison = compare(read_evaluation(first), read_evaluation(second), names)
    if json_output == "-":
        print(visible_json(comparison.to_json()))
        return
    show(with_remarks(comparison.table(per_label), comparison.remarks))
    if json_output is not None:
        say(f"written: {write_text(json_output, comparison.to_json() + chr(10), force)}")
