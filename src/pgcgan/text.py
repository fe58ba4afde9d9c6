"""Text from outside: the whole numbers and the JSON in it, and how it is shown to people.

What a file, a server or a model says may be too long, hold what a terminal obeys, or hold a key.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

MESSAGE = 480  # characters of a message at most
LARGEST = (1 << 63) - 1  # a whole number, where nothing smaller is said
_MOST_DIGITS = 40  # of a whole number in JSON: more than any seed has
_WORD = 100  # characters of a word that are left as they are in a message that is too long

# Control characters, line and paragraph separators, surrogates, and what turns the direction of text or is not seen.
# Two joiners that some scripts and emoji need are left.
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
# an address, in any text: its scheme, what is before the host, the host and the path, the query or fragment
_ADDRESS = re.compile(
    r"""(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]{0,30}:/+)(?P<user>[^\s?#'"<>]*@)?(?P<path>[^\s?#'"<>]*)(?P<query>[?#][^\s'"<>]*)?"""
)


def whole_number(text: str, most: int = LARGEST) -> int | None:
    """Return the whole number that a text says, or None if it is not one from 0 to `most`.

    Only the digits 0 to 9 count: `int` takes signs, blanks, underscores and the digits of all scripts besides, and
    fails at some thousand digits.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) + 20):
        return None
    number = int(text)
    return number if number <= most else None


def is_unicode(text: str) -> bool:
    """True if a text can be written as UTF-8; a file name whose bytes are something else cannot."""
    return not _SURROGATE.search(text)


def repeated(values: Iterable[Any]) -> list[Any]:
    """Return the values that occur more than once, in the order in which they first occur."""
    return [value for value, count in Counter(values).items() if count > 1]


def is_whole(value: Any, least: int, most: float = math.inf) -> bool:
    """True if this is a whole number within bounds."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def counted(count: int, one: str, several: str | None = None) -> str:
    """Return a count with its noun, in the singular for 1: "1 site", "1,200 sites", "1 person"."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def are_texts(values: Any) -> bool:
    """True if this is a list of texts."""
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


# ---- what is shown --------------------------------------------------------------------------------------------------


def visible(text: str) -> str:
    """Return text in which what a terminal obeys or does not show is written as an escape, as in a Python text."""
    return _HIDDEN.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    point = ord(match[0])
    if 0xDC80 <= point <= 0xDCFF:  # a byte of a file name that is not UTF-8
        point -= 0xDC00
    known = {9: "\\t", 10: "\\n", 13: "\\r"}
    return known.get(point) or (f"\\x{point:02x}" if point < 256 else f"\\u{point:04x}" if point < 1 << 16 else "\\?")


def visible_lines(text: str) -> str:
    """Return text of several lines, each as `visible` has it."""
    return "\n".join(map(visible, text.split("\n")))


def without_secrets(text: str) -> str:
    """Return text without the user names, passwords and queries (which hold signatures) of the addresses in it."""
    return _ADDRESS.sub(_plain_address, text) if ":/" in text else text


def _plain_address(match: re.Match[str]) -> str:
    query = match["query"] or ""
    behind = query[len(query.rstrip(".,;:)]")) :]  # the end of a sentence is not that of the address
    kept = f"{query[0]}…{behind}" if query else ""
    return f"{match['scheme']}{'…@' if match['user'] else ''}{match['path']}{kept}"


def sentence(text: str) -> str:
    """Return a message on one line, of `MESSAGE` characters at most, without secrets and without escapes."""
    shown = visible(without_secrets(text.strip()))
    if len(shown) > MESSAGE:
        shown = re.sub(rf"\S{{{_WORD},}}", lambda word: f"{word[0][:60]}…{word[0][-20:]}", shown)
    if len(shown) > MESSAGE:
        shown = f"{shown[: MESSAGE * 2 // 3]} … {shown[3 - MESSAGE // 3 :]}"
    return shown


# ---- JSON -----------------------------------------------------------------------------------------------------------


def json_content(text: str) -> Any:
    """Return the content of JSON whose numbers and texts can be used and written again.

    It is a ValueError if it is not JSON, a number is not finite or has too many digits, a text has half a character (a
    lone surrogate), or the nesting is too deep.
    """
    try:
        content = json.loads(text, parse_constant=_refuse_constant, parse_int=_integer, parse_float=_number)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if _SURROGATE.search(text) or "\\u" in text:
        _check_texts(content)
    return content


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"the number {digits[:8]}… has {len(digits)} digits")
    return int(digits)


def _number(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"the number {digits[:20]} is too large")
    return number


def _check_texts(content: Any) -> None:
    waiting = [content]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str) and not is_unicode(part):
            raise ValueError(f"the text '{visible(part[:40])}' holds half a character")
        if isinstance(part, Mapping):
            waiting += [*part.keys(), *part.values()]
        elif isinstance(part, list):
            waiting += part


def visible_json(text: str) -> str:
    """Return JSON that says the same, with an escape for whatever a terminal obeys or does not show; line ends stay."""
    return _HIDDEN.sub(lambda match: match[0] if match[0] == "\n" else json.dumps(match[0])[1:-1], text)
