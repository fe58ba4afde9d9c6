"""The fields of header lines, `##KEY=<ID=…,Description="…">`, of VCF, BCF and .pvar files."""

from __future__ import annotations


def structured(line: str) -> dict[str, str]:
    """Return the fields of a header line `##KEY=<ID=…,Description="…">`, in time proportional to its length."""
    fields = {}
    text, at = line.partition("=<")[2].rpartition(">")[0], 0
    while (equals := text.find("=", at)) >= 0:
        key, at = text[at:equals].rpartition(",")[2], equals + 1
        if text[at : at + 1] == '"':
            fields[key], at = _quoted(text, at + 1)
        else:
            comma = text.find(",", at)
            end = len(text) if comma < 0 else comma
            fields[key], at = text[at:end], end
    return fields


def _quoted(text: str, at: int) -> tuple[str, int]:
    """Return a text in quotes that begins at a place, without its escapes, and the place behind it."""
    characters = []
    while at < len(text) and text[at] != '"':
        at += text[at] == "\\"
        characters.append(text[at : at + 1])
        at += 1
    return "".join(characters), at + 1
