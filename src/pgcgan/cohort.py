"""Who is to be made: counts per label, label columns and names of artificial people.

A *combination* is what people are counted by: the value of the label column, or with several columns their values
joined by "/" ("EUR/GBR"). A *plan* maps combinations to counts; its order is the order of the people.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from .errors import DataError, UsageError, listed
from .genotypes import Genotypes, Variants

JOIN = "/"


def combination(labels: Mapping[str, np.ndarray], columns: Sequence[str]) -> np.ndarray:
    """Return the combination of every person: array of str, shape (samples,).

    Parameters
    ----------
    labels : mapping of str to array of str, shape (samples,)
        Label columns, as in `Genotypes.labels`.
    columns : sequence of str
        The columns that make up a combination, in this order.

    Raises
    ------
    DataError
        If a column is absent, or a value holds "/" where several columns are joined by it.
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
    """Return how many people of each combination to make; the counts are exact.

    Parameters
    ----------
    n : int, or mapping of str to int
        An integer is shared out in proportion to `label_counts` by largest remainders (ties go to the larger
        combination, then to the earlier one). A mapping is taken as it is.
    label_counts : mapping of str to int
        The training people by combination.

    Returns
    -------
    dict of str to int
        Combinations with at least one person, in the order of `label_counts`.

    Raises
    ------
    UsageError
        If a combination is unknown (the message lists the known ones), a count is not a whole number of 0 or more, or
        nobody is asked for.
    """
    if isinstance(n, Mapping):
        unknown = [label for label in n if label not in label_counts]
        if unknown:
            raise UsageError(f"Unknown label {unknown[0]!r}; the model knows: {listed(label_counts, 30)}.")
        asked = {label: _count(n[label], f"The count for {label!r}") for label in label_counts if label in n}
    else:
        total = _count(n, "The number of people")
        trained = sum(label_counts.values())
        # whole-number arithmetic: remainders compare exactly, so that the result is the same everywhere
        asked = {label: total * count // trained for label, count in label_counts.items()}
        order = {label: i for i, label in enumerate(label_counts)}
        by_remainder = sorted(
            label_counts, key=lambda k: (-(total * label_counts[k] % trained), -label_counts[k], order[k])
        )
        for label in by_remainder[: total - sum(asked.values())]:
            asked[label] += 1
    plan = {label: count for label, count in asked.items() if count}
    if not plan:
        raise UsageError("Nobody is asked for; give at least one person, for example 1000 or EUR=500.")
    return plan


def _count(value: object, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        raise UsageError(f"{what} is {value!r}; accepted: a whole number, 0 or more.")
    return int(value)


def sample_names(plan: Mapping[str, int], prefix: str = "SYN") -> np.ndarray:
    """Return `PREFIX_EUR_000001`, … in the order of the plan; numbers restart at each label.

    Whatever is not a letter, digit, "-", "." or "_" in a combination becomes "_", because some formats take nothing
    else in a sample name. Combinations that become equal by that share one numbering, so that names stay unique.

    Raises
    ------
    UsageError
        If the prefix is empty or holds other characters than these.
    """
    if not re.fullmatch(r"[A-Za-z0-9._-]+", prefix):
        raise UsageError(f"The prefix is {prefix!r}; accepted: letters, digits, '-', '.' and '_', at least one.")
    names: list[str] = []
    used: dict[str, int] = {}
    for label, count in plan.items():
        stem = re.sub(r"[^A-Za-z0-9._-]", "_", label)
        start = used.get(stem, 0)
        names.extend(f"{prefix}_{stem}_{number:06d}" for number in range(start + 1, start + count + 1))
        used[stem] = start + count
    return np.array(names, dtype=object)


def label_columns(plan: Mapping[str, int], columns: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the label columns of the planned people: column to array of str, shape (people,).

    It undoes `combination`: for any labels, ``label_columns`` of the counted combinations holds the same people, in
    the order of the plan.
    """
    rows = [(label,) if len(columns) == 1 else tuple(label.split(JOIN)) for label in plan]
    counts = list(plan.values())
    return {
        column: np.repeat(np.array([row[i] for row in rows], dtype=object), counts) for i, column in enumerate(columns)
    }


def assemble(
    parts: Iterable[np.ndarray],
    plan: Mapping[str, int],
    columns: Sequence[str],
    variants: Variants,
    *,
    phased: bool,
    prefix: str,
    people_per_block: int,
) -> Iterator[Genotypes]:
    """Yield the planned people, named and labelled, in blocks of `people_per_block`; the last one may be smaller.

    Parameters
    ----------
    parts : iterable of arrays of int8, shape (variants, some people, ploidy)
        The calls in the order of the plan, cut anyhow.

    Raises
    ------
    UsageError
        If the block size is not 1 or more.
    """
    if people_per_block < 1:
        raise UsageError(f"people_per_block is {people_per_block}; accepted: 1 or more.")
    names, labels = sample_names(plan, prefix), label_columns(plan, columns)
    done, waiting, held = 0, list[np.ndarray](), 0
    for calls in parts:
        waiting.append(calls)
        held += calls.shape[1]
        last = done + held == len(names)
        while held >= people_per_block or (last and held):
            together = np.concatenate(waiting, axis=1)
            take = min(people_per_block, held)
            waiting, held = [together[:, take:]], held - take
            part = slice(done, done + take)
            done += take
            yield Genotypes(
                np.ascontiguousarray(together[:, :take]),
                variants,
                names[part],
                {column: values[part] for column, values in labels.items()},
                phased,
            )
