"""Mixtures of labels, as in "AFR:0.8+EUR:0.2", and how people of a mixture get their ancestry.

The text of a mixture is a label like any other: it is in the names and the label column of its people. One mixture has
one text, whatever order or zeros it was asked for with.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import dataclass

from .errors import UsageError, listed
from .text import repeated

_NUMBER = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)(e-?[0-9]+)?", re.IGNORECASE)
_TOLERANCE = 1e-3  # of the sum of the shares
_DIGITS = 6


@dataclass(frozen=True)
class Mixing:
    """How the haplotypes of people of a mixture are put together.

    Parameters
    ----------
    generations : float
        Since the labels met: between two places d Morgans apart a new stretch begins with probability
        1 - exp(-generations * d), so that stretches are 1 / generations Morgans long on average.
    spread : float
        How much the proportions of people differ: they are Dirichlet(p (1 / spread - 1)), with the mean p of the
        mixture and the variance spread * p (1 - p). 0: every person has exactly the proportions p; near 1: nearly
        every person is of one label.
    genetic_map : path, optional
        A genetic map; without one, 1 cM is 1 Mb.

    Raises
    ------
    UsageError
        If a number is out of bounds.
    """

    generations: float = 8.0
    spread: float = 0.0
    genetic_map: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.generations < 1e9:
            raise UsageError(f"generations is {self.generations}; accepted: a number above 0 and below 1e9.")
        if not 0 <= self.spread < 1:
            raise UsageError(f"spread is {self.spread}; accepted: from 0 to less than 1.")


def mixture_of(text: str, labels: Collection[str]) -> dict[str, float]:
    """Return the share of each label of a mixture that has one above 0, in the order of the labels.

    Parameters
    ----------
    text : str
        LABEL:SHARE+LABEL:SHARE, …
    labels : collection of str
        The accepted labels.

    Raises
    ------
    UsageError
        If a label is unknown or repeated, a share is not a number from 0 to 1, or the shares do not sum to 1 within
        0.001.
    """
    pairs = _pairs(text)
    accepted = f"accepted: LABEL:SHARE+LABEL:SHARE with the labels {listed(labels, 30)}"
    for name, share in pairs:
        if name not in labels:
            raise UsageError(f"Unknown label {name!r} in the mixture {text!r}; {accepted}.")
        if share is None:
            raise UsageError(f"The mixture {text!r} has no share of {name!r}; {accepted}.")
        if not 0 <= share <= 1:
            raise UsageError(f"The share of {name!r} in the mixture {text!r} is {share:g}; accepted: 0 to 1.")
    twice = repeated([name for name, _ in pairs])
    if twice:
        raise UsageError(f"The mixture {text!r} names {twice[0]!r} twice; {accepted}, each once.")
    shares = {name: share for name, share in pairs if share}
    total = sum(shares.values())
    if abs(total - 1) > _TOLERANCE:
        raise UsageError(f"The shares of the mixture {text!r} sum to {total:g}; accepted: 1, within {_TOLERANCE}.")
    return {name: shares[name] for name in labels if name in shares}


def mixture_text(shares: dict[str, float]) -> str:
    """Return the text of a mixture; one that is all of a single label is that label."""
    if len(shares) == 1:
        return next(iter(shares))
    return "+".join(f"{name}:{share:.{_DIGITS}g}" for name, share in shares.items())


def mixture_columns(text: str, join: str) -> tuple[str, ...]:
    """Return the values of several label columns for people of a mixture: in each, the mixture of its values."""
    columns: list[dict[str, float]] = []
    for name, share in _pairs(text):
        values = name.split(join)
        columns = columns or [{} for _ in values]
        for column, value in zip(columns, values, strict=True):
            column[value] = column.get(value, 0.0) + (share or 0.0)
    return tuple(map(mixture_text, columns))


def _pairs(text: str) -> list[tuple[str, float | None]]:
    """Return the labels and shares of a mixture; the share is None where there is no number."""
    pairs: list[tuple[str, float | None]] = []
    waiting = ""
    for piece in text.split("+"):
        waiting += piece
        name, _, number = waiting.rpartition(":")
        if name and _NUMBER.fullmatch(number):
            pairs.append((name, float(f"{float(number):.{_DIGITS}g}")))
            waiting = ""
        else:
            waiting += "+"  # of a label that has a plus in it
    if waiting:
        name, _, _ = waiting[:-1].partition(":")
        pairs.append((name, None))
    return pairs
