"""Messages about a command line that cannot be read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from cyclopts import CycloptsError, MissingArgumentError, UnusedCliTokensError

from ..errors import listed


def reason(error: CycloptsError) -> str:
    """Return in a sentence why a command line cannot be read."""
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return f"Unexpected argument: {listed(map(repr, error.unused_tokens), 3)}"
    if isinstance(error, MissingArgumentError) and error.argument is not None and not error.tokens_so_far:
        name = error.keyword or error.argument.name
        if error.keyword is None and not error.argument.tokens:
            return f"{' '.join(['pgcgan', *(error.command_chain or ())])} needs {name}"
    message = " ".join(str(error).split()).rstrip(".")
    return re.sub(r'^(Unknown command .*Did you mean "[^"]*"\?).*', r"\1", message)  # without the list of some commands


def right_form(arguments: Sequence[str], examples: Mapping[str, str]) -> str:
    """Return what to write instead of these arguments, or nothing; `examples` are by command."""
    command = arguments[0] if arguments else ""
    if command == "generate" and "-n" in arguments:
        at = arguments.index("-n") + 1
        counts = [word for word in arguments[at : at + 2] if not word.startswith("-")]
        if len(counts) == 2 and "=" not in counts[0] and re.fullmatch("[0-9]+", counts[1]):
            return f"; a count by label is written -n {counts[0]}={counts[1]}"
        if counts and all("=" in word for word in counts):
            return f"; -n is repeated: {' '.join(f'-n {word}' for word in counts)}"
    return f"; for example: {examples[command]}" if command in examples else ""
