"""Parameters of generators: their types, as the constructor declares them, their bounds, and the seed."""

from __future__ import annotations

import math
import os
import types
import typing
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import UsageError
from ..labels import whole_count
from ..text import LARGEST, is_unicode

_KINDS = {int: "a whole number", float: "a number", str: "a name", bool: "True or False", type(None): "nothing"}
_LARGEST_SEED = (1 << 128) - 1


def check_type(name: str, value: Any, hint: Any) -> None:
    """Check that a parameter has the type of its annotation, and can be stored."""
    accepted = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    kinds = tuple(typing.get_origin(kind) or kind for kind in accepted)
    is_bool = isinstance(value, bool)
    fits = isinstance(value, kinds) or (float in kinds and isinstance(value, int))
    if not fits or (is_bool and bool not in kinds):
        described = " or ".join(_KINDS.get(kind, kind.__name__) for kind in kinds)
        raise UsageError(f"{name} is {value!r}; accepted: {described}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{name} is {value}; accepted: a finite number.")
    if isinstance(value, str) and not is_unicode(value):
        raise UsageError(f"{name} is {value!r}, which is not UTF-8 and cannot be kept in a model.")
    if isinstance(value, int) and abs(value) > LARGEST:
        raise UsageError(f"{name} has more than 18 digits; accepted: up to {LARGEST}.")


def check_names(names: Iterable[str], accepted: Sequence[str], what: str) -> None:
    """Raise UsageError if `what` does not have the parameters of these names."""
    for name in names:
        if name not in accepted:
            raise UsageError(f"{what} has no parameter {name!r}; accepted: {', '.join(accepted) or 'none'}.")


def plain_value(value: Any) -> Any:
    """Return a scalar of numpy as a Python number, and a path as text."""
    if isinstance(value, np.generic):
        return value.item()
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def check_bounds(name: str, value: Any, least: float, most: float) -> None:
    """Raise UsageError if a parameter is out of bounds; None is within all."""
    if value is not None and not least <= value <= most:
        accepted = f"{least:g} to {most:g}" if math.isfinite(most) else f"{least:g} or more"
        raise UsageError(f"{name} is {value}; accepted: {accepted}.")


def check_seed(seed: Any) -> None:
    """Raise UsageError if this is not a seed."""
    whole_count(seed, "The seed", _LARGEST_SEED)
