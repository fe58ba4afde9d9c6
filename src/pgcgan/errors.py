"""Errors that a user can act on.

Each message is one sentence or two: the value, the place, the accepted choices and the way out. The command line
prints it without a traceback and exits with `exit_code`. Messages are on one line, not longer than `text.MESSAGE`, and
hold neither what a terminal obeys nor the keys of an address, whatever names they are made of.
"""

from __future__ import annotations

from collections.abc import Iterable

from .text import sentence, visible_lines, without_secrets


class PgcganError(Exception):
    """Anything that the user can put right; everything else is a defect of ours and keeps its traceback."""

    exit_code = 2
    shown = staticmethod(sentence)  # how a message is shown

    def __init__(self, message: str):
        super().__init__(self.shown(message))


class DataError(PgcganError, ValueError):
    """The input holds something that cannot be used as it is (a record, a sample, a label, a shape)."""


class MissingFile(DataError, FileNotFoundError):
    """There is no file of this name."""


class UsageError(PgcganError, ValueError):
    """The call or its options are off (an unknown choice, a count that is not a number, an output that exists)."""


class ModelError(PgcganError, ValueError):
    """A model directory cannot be read, or does not fit what is asked of it."""


class MissingModel(ModelError, FileNotFoundError):
    """There is no model of this name."""


class GateFailed(PgcganError):
    """What is to be released does not hold what the gate asks for; the message names every check that failed."""

    exit_code = 3

    @staticmethod
    def shown(message: str) -> str:
        """Return a message of several lines, one for each check."""
        return visible_lines(without_secrets(message))


class MissingExtra(PgcganError, ImportError):
    """An optional dependency is not installed; the message names the command that installs it."""

    def __init__(self, package: str, extra: str, purpose: str):
        super().__init__(f"{purpose} needs {package!r}, which is not installed: pip install 'pgcgan[{extra}]'")


def listed(values: Iterable[object], limit: int = 5) -> str:
    """`a, b, c and 7 more`: the first few of a list, for a message."""
    shown = [str(v) for v in values]
    if len(shown) <= limit:
        return ", ".join(shown) if shown else "none"
    return f"{', '.join(shown[:limit])} and {len(shown) - limit} more"
