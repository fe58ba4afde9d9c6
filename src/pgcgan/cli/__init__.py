"""The command line: each command parses, calls the library function of its name, and writes."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

from cyclopts import CycloptsError

from ..errors import GateFailed, PgcganError
from . import converting, fetching, genomes, judging, making, showing  # entering their commands
from .app import app

__all__ = ["app", "converting", "fetching", "genomes", "judging", "main", "making", "showing"]

INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name; by default those of the process.

    Returns
    -------
    int
        Exit status: 0, 2 for what the user can put right (one line on standard error), 3 where a release gate failed,
        130 after Ctrl-C. Anything else is a defect and keeps its traceback.
    """
    if arguments is not None:
        sys.argv = ["pgcgan", *arguments]  # provenance says what ran
    notes = logging.StreamHandler()  # what the library goes on with, but the user should know
    notes.setFormatter(logging.Formatter("pgcgan: note: %(message)s"))
    logging.getLogger("pgcgan").addHandler(notes)
    try:
        app(sys.argv[1:], exit_on_error=False, print_error=False)
        sys.stdout.flush()
        return 0
    except GateFailed as failed:
        print(f"pgcgan: {failed}", file=sys.stderr)
        return failed.exit_code
    except PgcganError as error:
        return _fail(str(error), error.exit_code)
    except CycloptsError as error:
        return _fail(f"{' '.join(str(error).split())} (pgcgan --help)", 2)
    except KeyboardInterrupt as stop:
        print(f"pgcgan: {stop if str(stop) else 'interrupted'}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # the reader of our output has gone (head); keep the interpreter from complaining at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.filename is None:
            raise
        return _fail(f"{error.filename}: {error.strerror}.", 2)
    finally:
        logging.getLogger("pgcgan").removeHandler(notes)


def _fail(message: str, status: int) -> int:
    print(f"pgcgan: error: {message}", file=sys.stderr)
    return status
