"""Relatives: who descends from whom, families that stay together in a split, relatives on both of its sides."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np

Parents = Mapping[str, Sequence[str]]  # the known parents of each person: none, one or two


def families(parents: Parents) -> dict[str, str]:
    """Return the family of each person, named after one of its members: people whom parents and children connect.

    Parents need not be people of the table themselves: children of the same one are siblings.
    """
    root: dict[str, str] = {}

    def find(name: str) -> str:
        root.setdefault(name, name)
        while root[name] != name:
            root[name] = root[root[name]]
            name = root[name]
        return name

    for child, known in parents.items():
        for parent in known:
            root[find(parent)] = find(child)
    return {name: find(name) for name in parents}


def related(parents: Parents, people: Iterable[str], others: Iterable[str]) -> list[str]:
    """Return those of some people who have an ancestor in common with one of the others, or one is the other's."""
    lines = {ancestor for name in others for ancestor in _ancestors(parents, name)}
    return [name for name in people if any(ancestor in lines for ancestor in _ancestors(parents, name))]


def _ancestors(parents: Parents, name: str) -> Iterator[str]:
    """Yield a person and all ancestors that are known, each once, whatever circles the table has."""
    waiting, seen = [name], {name}
    while waiting:
        person = waiting.pop()
        yield person
        for parent in parents.get(person, ()):
            if parent not in seen:
                seen.add(parent)
                waiting.append(parent)


def first_part(
    family: Sequence[str], strata: Sequence[str], fraction: float, random: np.random.Generator
) -> np.ndarray:
    """Choose a share of the people at random, families as a whole: bool, shape (people,).

    Parameters
    ----------
    family : sequence of str
        Of each person.
    strata : sequence of str
        Of each person: the share is met in each of these as nearly as families allow. A family counts with its first
        member's.
    fraction : float
    random : numpy Generator
    """
    members: dict[str, list[int]] = {}
    for i, name in enumerate(family):
        members.setdefault(name, []).append(i)
    by_stratum: dict[str, list[list[int]]] = {}
    for group in members.values():
        by_stratum.setdefault(str(strata[group[0]]), []).append(group)
    chosen = np.zeros(len(family), dtype=bool)
    left = 0  # what no family of a stratum could fill, the next one makes up for
    for stratum in sorted(by_stratum):
        groups = by_stratum[stratum]
        left += round(fraction * sum(map(len, groups)))
        for k in random.permutation(len(groups)):
            if len(groups[k]) <= left:
                chosen[groups[k]] = True
                left -= len(groups[k])
    return chosen


def relatives_remark(parents: Parents, train: Collection[str], held_out: Collection[str]) -> str | None:
    """Return a sentence that counts the held-out people with relatives among the training people, if there are any."""
    count = len(related(parents, held_out, train))
    if not count:
        return None
    return (
        f"{count} of the {len(held_out)} held-out people have relatives among the training people (by the parents in "
        "the panel): noise floors are too low and privacy looks better than it is; `pgcgan split`, or --split auto, "
        "keeps families together."
    )
