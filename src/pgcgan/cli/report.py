"""report: write the HTML report of an evaluation again."""

from __future__ import annotations

from typing import Annotated

from ..errors import DataError, PgcganError, UsageError
from ..runtime.progress import say
from .app import FILE, OUTPUT, ReplaceFile, app
from .files import evaluation_free, read_evaluation


@app.command
def report(evaluation: Annotated[str, FILE], /, *, output: Annotated[str, OUTPUT], force: ReplaceFile = False) -> None:
    """Write the HTML report of an evaluation again, from its JSON alone.

    Parameters
    ----------
    evaluation
        The JSON file that `pgcgan evaluate -o NAME.json` wrote.
    output
        NAME.html.
    """
    from ..report import write_report

    if evaluation_free(output, force) != "html":
        raise UsageError(f"The output {output} is not a report; accepted: a name that ends in .html.")
    figures = read_evaluation(evaluation)
    try:
        written = write_report(figures, output, force=force)
    except PgcganError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise DataError(
            f"{evaluation}: its figures cannot be drawn ({reason}); the file is damaged: evaluate again."
        ) from error
    say(f"written: {written}")
