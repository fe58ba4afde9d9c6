"""The command line: each command parses, calls the library function of its name, and writes."""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import TextIO

from cyclopts import CycloptsError, Group, MissingArgumentError, UnusedCliTokensError

from ..errors import GateFailed, PgcganError, listed
from ..runtime import progress
from ..runtime.memory import out_of_memory
from ..text import sentence
from .app import app

__all__ = ["ORDER", "app", "main"]

# the commands in the order of use, by group, each with an example
ORDER: dict[str, dict[str, str]] = {
    "Data": {
        "demo": "pgcgan demo",
        "simulate": "pgcgan simulate --split split.tsv -o cohort.vcf.gz",
        "fetch": "pgcgan fetch 1000g --region 6:28477797-33448354 -o hla.vcf.gz",
        "info": "pgcgan info cohort.vcf.gz",
        "convert": "pgcgan convert cohort.vcf.gz cohort.bcf --panel cohort.panel.tsv",
        "split": "pgcgan split cohort.panel.tsv -o split.tsv",
    },
    "Models": {
        "estimate": "pgcgan estimate cohort.vcf.gz --panel cohort.panel.tsv",
        "train": "pgcgan train cohort.vcf.gz --panel cohort.panel.tsv --split split.tsv --min-maf 0.01 -o my.model",
        "generate": "pgcgan generate my.model --like cohort.panel.tsv --split split.tsv -o synthetic.vcf.gz",
        "windows": "pgcgan windows plan cohort.vcf.gz --panel cohort.panel.tsv --windows 5000 -o genome.model",
        "card": "pgcgan card my.model",
    },
    "Evaluation": {
        "evaluate": "pgcgan evaluate --real cohort.vcf.gz --panel cohort.panel.tsv --split split.tsv "
        "--synthetic synthetic.vcf.gz -o report.html",
        "compare": "pgcgan compare first.json second.json",
        "report": "pgcgan report evaluation.json -o report.html",
    },
    "Shell": {"completion": "source <(pgcgan completion bash)"},
}
_EXAMPLES = {name: example for of_group in ORDER.values() for name, example in of_group.items()}
for _place, (_title, _examples) in enumerate(ORDER.items()):
    _group = Group(_title, sort_key=_place)
    for _number, (_name, _example) in enumerate(_examples.items()):
        importlib.import_module(f".{_name}", __name__)  # it registers the command
        app[_name].group = (_group,)
        app[_name].sort_key = _number
        app[_name].help_epilogue = f"Example:\n  {_example}"
QUIET, VERBOSE = ("-q", "--quiet"), ("-v", "--verbose")

# 128 + the signal, as shells have it
INTERRUPTED = 128 + signal.SIGINT
PIPE_CLOSED = 128 + signal.SIGPIPE
# what is wrong with a place, and not with what we did there
OF_THE_PLACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EBADF)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, with the arguments of the process if none are given, and return its exit status.

    It is 0, 2 for what the user can put right (one line on standard error), 3 where a release gate failed, 130 after
    Ctrl-C, and 141 where the reader of the output has gone. Anything else is a defect and keeps its traceback.
    """
    if arguments is not None:
        sys.argv = ["pgcgan", *arguments]  # provenance says what ran
    _prepare_streams()
    words = [word for word in sys.argv[1:] if word not in (*QUIET, *VERBOSE)]
    progress.set_verbosity(any(w in VERBOSE for w in sys.argv) - any(w in QUIET for w in sys.argv))
    notes = logging.StreamHandler()  # what the library goes on with, but the user should know
    notes.setFormatter(_Notes("pgcgan: note: %(message)s"))
    logging.getLogger("pgcgan").addHandler(notes)
    from .train import with_others  # not above: the order in which commands are imported is that of the completion

    try:
        with with_others(words):
            app(words, exit_on_error=False, print_error=False)
            sys.stdout.flush()
        return 0
    except GateFailed as failed:
        print(f"pgcgan: {failed}", file=sys.stderr)
        return failed.exit_code
    except PgcganError as error:
        if any(word in VERBOSE for word in sys.argv):
            traceback.print_exception(error)
        _release(error)
        return _fail(str(error), error.exit_code)
    except CycloptsError as error:
        return _fail(f"{_reason(error)}{_right_form(words)} (pgcgan --help)", 2)
    except KeyboardInterrupt as stop:
        print(f"pgcgan: {sentence(str(stop)) or 'interrupted'}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # the reader of our output has gone (head): nothing is wrong, and nobody is there to be told
        _let_go(sys.stdout, sys.stderr)
        return PIPE_CLOSED
    except MemoryError as error:
        _release(error)
        return _fail(out_of_memory(error), 2)
    except (RuntimeError, ImportError) as error:
        # neither torch nor the loader of libraries has a class for it
        if not any(words in str(error) for words in ("allocate memory", "failed to map segment")):
            raise
        return _fail(out_of_memory(error), 2)
    except OSError as error:
        if error.errno == errno.ENOMEM:
            return _fail(out_of_memory(error), 2)
        if error.errno not in OF_THE_PLACE and error.filename is None:
            raise
        _let_go(sys.stdout)
        return _fail(f"{error.filename or 'The output cannot be written'}: {error.strerror}.", 2)
    finally:
        logging.getLogger("pgcgan").removeHandler(notes)


def _fail(message: str, status: int) -> int:
    print(f"pgcgan: error: {sentence(message)}", file=sys.stderr)
    return status


def _reason(error: CycloptsError) -> str:
    """Return in a sentence why a command line cannot be read."""
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return f"Unexpected argument: {listed(map(repr, error.unused_tokens), 3)}"
    if isinstance(error, MissingArgumentError) and error.argument is not None and not error.tokens_so_far:
        name = error.keyword or error.argument.name
        if error.keyword is None and not error.argument.tokens:
            return f"{' '.join(['pgcgan', *(error.command_chain or ())])} needs {name}"
    message = " ".join(str(error).split()).rstrip(".")
    return re.sub(r'^(Unknown command .*Did you mean "[^"]*"\?).*', r"\1", message)  # without the list of some commands


def _right_form(arguments: Sequence[str]) -> str:
    """Return what to write instead of these arguments, or nothing."""
    command = arguments[0] if arguments else ""
    if command == "generate" and "-n" in arguments:
        at = arguments.index("-n") + 1
        counts = [word for word in arguments[at : at + 2] if not word.startswith("-")]
        if len(counts) == 2 and "=" not in counts[0] and re.fullmatch("[0-9]+", counts[1]):
            return f"; a count by label is written -n {counts[0]}={counts[1]}"
        if counts and all("=" in word for word in counts):
            return f"; -n is repeated: {' '.join(f'-n {word}' for word in counts)}"
    return f"; for example: {_EXAMPLES[command]}" if command in _EXAMPLES else ""


def _let_go(*streams: TextIO) -> None:
    """Drop what could not be written, which the interpreter would try, and complain about, at its exit."""
    for stream in streams:
        try:
            stream.flush()
        except OSError:
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _release(error: BaseException) -> None:
    """Drop what failed without another word: the destructor of a writer tries once more, and complains."""
    hooks = sys.unraisablehook, sys.excepthook  # Cython asks both
    sys.unraisablehook, sys.excepthook = (lambda _: None), (lambda *_: None)
    try:
        error.__context__ = error.__traceback__ = None
    finally:
        sys.unraisablehook, sys.excepthook = hooks


class _Notes(logging.Formatter):
    """Notes on one line, as errors are."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a note."""
        return sentence(super().format(record))


def _prepare_streams() -> None:
    """Let standard output and error take any character, and fail in a sentence where the shell has closed them.

    A file that is opened later would otherwise get the number of a closed stream, and what is printed would go there.
    """
    for number, mode in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_RDWR)):  # reading 0 and writing to 1 fail
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:
            raw = io.FileIO(number, "w", closefd=False)
            setattr(sys, name, io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", "backslashreplace"))
        elif isinstance(stream, io.TextIOWrapper):  # whatever the locale: the files that are written are UTF-8 too
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
