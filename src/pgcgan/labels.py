"""Who is to be made: counts per label, label columns and names of synthetic people.

A *label* is what people are counted by: the value of the label column, or with several columns their values
joined by "/" ("EUR/GBR"), or a mixture of labels ("AFR:0.8+EUR:0.2"). A *plan* maps labels to counts; its order is the
order of the people.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from .errors import DataError, UsageError, listed
from .mixtures import mixture_columns, mixture_of, mixture_text
from .runtime.memory import available_bytes

JOIN = "/"
MOST_PEOPLE = 1 << 40
_NAME_BYTES = 250  # that the name and the labels of a person take in memory


def label_names(label: object) -> tuple[str, ...]:
    """Return the label columns that are asked for, one by its name or several."""
    columns = (label,) if isinstance(label, str) else label
    if not isinstance(columns, Sequence) or not all(isinstance(column, str) for column in columns):
        raise UsageError(f"The label is {label!r}; accepted: the name of a label column, or a list of names.")
    if len(set(columns)) < len(columns):
        raise UsageError(f"A label column is repeated: {listed(columns)}; name each once.")
    return tuple(columns)


def label_groups(labels: Mapping[str, np.ndarray], columns: Sequence[str]) -> np.ndarray:
    """Return the label of every person: array of str, shape (samples,).

    Parameters
    ----------
    labels : mapping of str to array of str, shape (samples,)
        Label columns, as in `Genotypes.labels`.
    columns : sequence of str
        The columns that make up a label, in this order.
    """
    if not columns:
        raise UsageError(f"No label column is given; labels here: {listed(labels)}.")
    for column in columns:
        if column not in labels:
            raise DataError(
                f"There is no label {column!r}; labels here: {listed(labels)}. "
                "Labels come from the panel file (panel=…, --panel)."
            )
    if len(columns) == 1:
        return np.array([str(v) for v in labels[columns[0]]], dtype=object)
    for column in columns:
        with_join = [v for v in dict.fromkeys(labels[column]) if JOIN in v]
        if with_join:
            raise DataError(
                f"Label {column!r} has the value {with_join[0]!r}: {JOIN!r} joins the values of several label columns "
                "and cannot be part of one; rename it in the panel file."
            )
    return np.array([JOIN.join(map(str, row)) for row in zip(*(labels[c] for c in columns), strict=True)], dtype=object)


def plan_counts(n: int | Mapping[str, int], label_counts: Mapping[str, int]) -> dict[str, int]:
    """Return how many people of each label to make; the counts are exact.

    Parameters
    ----------
    n : int, or mapping of str to int
        An integer is shared out in proportion to `label_counts` by largest remainders (ties go to the larger
        label, then to the earlier one). A mapping is taken as it is.
    label_counts : mapping of str to int
        The training people by label.

    Returns
    -------
    dict of str to int
        Labels with at least one person, in the order of `label_counts`; then mixtures, in alphabetical order.

    Raises
    ------
    UsageError
        If a label is unknown (the message lists the known ones) or repeated, a count is not a whole number of 0 or
        more, or nobody is asked for.
    """
    if isinstance(n, Mapping):
        counts: dict[str, int] = {}
        for label, count in n.items():
            name = _known(label, label_counts)
            if name in counts:
                raise UsageError(f"{name!r} is asked for twice: {counts[name]} and {count}.")
            counts[name] = whole_count(count, f"The count for {label!r}")
        order = [*(label for label in label_counts if label in counts), *sorted(counts.keys() - label_counts.keys())]
        asked = {label: counts[label] for label in order}
    else:
        total = whole_count(n, "The number of people")
        trained = sum(label_counts.values())
        # whole-number arithmetic: remainders compare exactly, so that the result is the same everywhere
        asked = {label: total * count // trained for label, count in label_counts.items()}
        by_remainder = sorted(label_counts, key=lambda k: (-(total * label_counts[k] % trained), -label_counts[k]))
        for label in by_remainder[: total - sum(asked.values())]:
            asked[label] += 1
    return _with_people(asked)


def _with_people(asked: Mapping[str, int]) -> dict[str, int]:
    """Return the labels with at least one person."""
    plan = {label: count for label, count in asked.items() if count}
    if not plan:
        raise UsageError("Nobody is asked for; give at least one person, for example 1000 or EUR=500.")
    return plan


def plan_from(
    n: int | Mapping[str, int], label_counts: Mapping[str, int], start: int
) -> tuple[dict[str, int], dict[str, int]]:
    """Return how many people of each label to make, and how many of it come before them.

    Parameters
    ----------
    n, label_counts
        As for `plan_counts`.
    start : int
        People to pass over: of each label that `n` names, or in all, in proportion, if `n` is a number.

    Returns
    -------
    plan, before : dict of str to int
        People ``before[label] + 1`` to ``before[label] + plan[label]`` are those that `start` + `n` has and `start`
        has not.

    Raises
    ------
    UsageError
        As `plan_counts`, or if a number cannot be continued from there because the larger number has fewer people of
        one label (the paradox of largest remainders).
    """
    whole_count(start, "The start")
    if isinstance(n, Mapping) or not start:
        plan = plan_counts(n, label_counts)
        return plan, dict.fromkeys(plan, start) if start else {}
    whole = plan_counts(whole_count(n, "The number of people") + start, label_counts)
    before = plan_counts(start, label_counts)
    plan = {label: whole.get(label, 0) - before.get(label, 0) for label in label_counts}
    fewer = [label for label, count in plan.items() if count < 0]
    if fewer:
        raise UsageError(
            f"{n} people after the first {start} cannot be shared out: {start} have more of {fewer[0]} than "
            f"{start + n} have; give counts by label, for example {fewer[0]}={max(n, 1)}."
        )
    return _with_people(plan), before


def _known(label: object, label_counts: Mapping[str, int]) -> str:
    """Return a label that is asked for, a mixture by its one text; raise UsageError if it is unknown."""
    if label in label_counts:
        return str(label)
    if not isinstance(label, str) or ":" not in label:
        raise UsageError(f"Unknown label {label!r}; the model knows: {listed(label_counts, 30)}.")
    return mixture_text(mixture_of(label, label_counts))


def whole_count(value: object, what: str, most: int = MOST_PEOPLE) -> int:
    """Return a number that is asked for; raise UsageError if it is not a whole number from 0 to `most`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        raise UsageError(f"{what} is {value!r}; accepted: a whole number, 0 or more.")
    if value > most:
        raise UsageError(f"{what} is too large; accepted: a whole number up to {most}.")
    return int(value)


def sample_names(plan: Mapping[str, int], prefix: str = "SYN", before: Mapping[str, int] | None = None) -> np.ndarray:
    """Return `PREFIX-EUR-000001`, … in the order of the plan; numbers restart at each label, behind those before.

    Whatever is not a letter, digit, "-" or "." in a label becomes "-", because some formats take nothing else in a
    sample name, and PLINK 1.9 takes "_" for the end of a family ID. Labels that become equal by that share one
    numbering, so that names stay unique.

    Raises
    ------
    UsageError
        If the prefix is empty or holds other characters than these, or people come before those of labels that share
        a numbering.
    """
    if not re.fullmatch(r"[A-Za-z0-9._-]+", prefix):
        raise UsageError(f"The prefix is {prefix!r}; accepted: letters, digits, '-', '.' and '_', at least one.")
    needed, available = _NAME_BYTES * sum(plan.values()), available_bytes()
    if available is not None and needed > available:
        raise UsageError(
            f"The names of {sum(plan.values())} people alone take {needed / 1e9:.1f} GB, and memory has "
            f"{available / 1e9:.1f} GB; generate fewer at a time (--start)."
        )
    names: list[str] = []
    used: dict[str, int] = {}
    for label, count in plan.items():
        stem = re.sub(r"[^A-Za-z0-9.-]", "-", label)
        if before and stem in used:
            raise UsageError(
                f"People of {label!r} share the names {prefix}-{stem}-… with another label, so that their numbers "
                "depend on how many of the other are made; go on from a start with one of the two at a time."
            )
        start = used.get(stem, 0) + (before or {}).get(label, 0)
        names.extend(f"{prefix}-{stem}-{number:06d}" for number in range(start + 1, start + count + 1))
        used[stem] = start + count
    return np.array(names, dtype=object)


def label_columns(plan: Mapping[str, int], columns: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the label columns of the planned people: column to array of str, shape (people,).

    It undoes `label_groups`: for any labels, ``label_columns`` of the counted labels holds the same people, in
    the order of the plan. People of a mixture have the mixture of each column's values.
    """
    rows: list[Sequence[str]] = []
    for label in plan:
        values = [label] if len(columns) == 1 else label.split(JOIN)
        rows.append(values if len(values) == len(columns) else mixture_columns(label, JOIN))
    counts = list(plan.values())
    return {c: np.repeat(np.array([row[i] for row in rows], dtype=object), counts) for i, c in enumerate(columns)}


def streams_of(plan: Mapping[str, int], before: Mapping[str, int], size: int) -> Iterator[tuple[str, int, slice]]:
    """Yield the random streams that have the planned people, a label after the other, each stream of `size` people.

    Yields
    ------
    name, start, part : str, int, slice
        The label, the number of the stream's first person within it, and which people of the stream are planned.
    """
    for name, count in plan.items():
        first = before.get(name, 0)
        for start in range(first - first % size, first + count, size):
            yield name, start, slice(max(first - start, 0), min(first + count - start, size))
