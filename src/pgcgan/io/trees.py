"""Reading tree sequences (tskit): the haplotypes of the sample nodes, person by person.

A tree sequence is not written: it holds a genealogy, which genotypes do not say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..errors import DataError, MissingFile
from ..genotypes import Genotypes
from ..regions import parse_region
from ..runtime.files import check_regular
from .records import ABSENT, Choose, Policies, Site, Table

TREES_SUFFIXES = (".trees",)
NOT_WRITTEN = (
    "a tree sequence holds a genealogy, which genotypes do not say; write a VCF Zarr (.vcz), from which tsinfer infers "
    "one"
)
_CONTIG = "1"  # a tree sequence does not name its contig; tskit writes this one into a VCF
_NAME_KEYS = ("name", "id", "sample", "sample_id", "individual_id", "vcf_id")


def read_trees(source: str, *, choose: Choose, region: str | None, policies: Policies) -> Genotypes:
    """Read a tree sequence of one contig, which is called 1: phased people, equal to the VCF of tskit's `write_vcf`.

    REF is the ancestral state, positions are those of the sites, isolated samples without mutations are missing. A
    person is an individual with its sample nodes, or a sample node alone (haploid) where there are no individuals. The
    name is that of the metadata of the individual (name, id, …) if all have one, and otherwise tsk_0, tsk_1, … The
    label `pop` is the name in the metadata of the population, if everybody has one.
    """
    import tskit

    unreadable = tskit.FileFormatError, tskit.VersionTooNewError, tskit.VersionTooOldError, tskit.LibraryError
    try:
        check_regular(source)
        ts = tskit.load(source)
    except FileNotFoundError:
        raise MissingFile(f"There is no file {source}.") from None
    except (OSError, EOFError, ValueError, *unreadable) as error:
        message = " ".join(str(error).split()).rstrip(".") or "it is empty"
        raise DataError(f"{source} is not a tree sequence, or is damaged: {message}.") from None
    people, nodes = _people(ts, source)
    names = _names(ts, people)
    samples = list(choose(names))
    row = {name: i for i, name in enumerate(names)}
    nodes = nodes[[row[s] for s in samples]]
    first, last = _span(ts, region)
    _check_positions(ts, source, first, last)
    table = Table(source, samples, policies, region, expected=last - first)
    if last > first:
        _fill(table, ts, nodes, first, last)
    populations = _populations(ts, nodes)
    labels = {} if populations is None else {"pop": np.array(populations, dtype=object)}
    return table.finish({_CONTIG: int(ts.sequence_length)}, None, labels)


def _people(ts: Any, source: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the people and their sample nodes, shape (people, 2); -1 where there is no second one."""
    samples = ts.samples()
    if not len(samples):
        raise DataError(f"{source} has no sample nodes; genotypes of people are needed.")
    owners = ts.nodes_individual[samples]
    if ts.num_individuals == 0:
        return np.arange(len(samples)), np.stack([samples, np.full(len(samples), -1)], axis=1)
    if (owners < 0).any():
        node = samples[int((owners < 0).argmax())]
        advice = "remove it with tskit's `simplify`, or give it an individual"
        raise DataError(f"{source}: the sample node {node} belongs to no individual, while others do; {advice}.")
    individuals, counts = np.unique(owners, return_counts=True)
    if counts.max() > 2:
        i = int(counts.argmax())
        fault = f"the individual {individuals[i]} has {counts[i]} sample nodes"
        raise DataError(f"{source}: {fault}; accepted: 1 (haploid) and 2.")
    # the order of the nodes of an individual is that of their numbers, as in tskit
    ordered = samples[np.lexsort((samples, owners))]
    ends = np.cumsum(counts) - 1
    return individuals, np.stack([ordered[ends - counts + 1], np.where(counts == 2, ordered[ends], -1)], axis=1)


def _names(ts: Any, people: np.ndarray) -> list[str]:
    metadata = [ts.individual(i).metadata for i in people.tolist()] if ts.num_individuals else []
    for key in _NAME_KEYS if metadata else ():
        names = _values(metadata, key)
        if names is not None and len(set(names)) == len(names):
            return names
    return [f"tsk_{i}" for i in people.tolist()]


def _values(metadata: Iterable[Any], key: str) -> list[str] | None:
    """Return what all metadata have under a key, as text; None if one has nothing there."""
    values = [row.get(key) if isinstance(row, Mapping) else None for row in metadata]
    words = [str(value) if isinstance(value, str | int) else "" for value in values]
    return words if all(words) else None


def _populations(ts: Any, nodes: np.ndarray) -> list[str] | None:
    """Return the population of each person by name, None if one has no name or is of two populations."""
    of_nodes = np.where(nodes < 0, nodes[:, :1], nodes)
    numbers = ts.nodes_population[of_nodes]
    if (numbers < 0).any() or (numbers[:, 0] != numbers[:, 1]).any():
        return None
    return _values((ts.population(int(i)).metadata for i in numbers[:, 0]), "name")


def _span(ts: Any, region: str | None) -> tuple[int, int]:
    """Return the numbers of the first site of the region and of that behind it."""
    if region is None:
        return 0, ts.num_sites
    contig, start, end = parse_region(region)
    if contig != _CONTIG:
        return 0, 0
    last = ts.num_sites if end is None else np.searchsorted(ts.sites_position, end, side="right")
    return int(np.searchsorted(ts.sites_position, start)), int(last)


def _check_positions(ts: Any, source: str, first: int, last: int) -> None:
    positions = ts.sites_position[first:last]
    off = positions != np.floor(positions)
    if off.any():
        site = int(off.argmax())
        fault = f"the site {first + site} is at {positions[site]}, which is no whole number"
        raise DataError(f"{source}: {fault}; simulate with a discrete genome, or round the positions with tskit.")
    if len(positions) and positions[0] < 1:
        advice = "move all by one with tskit's `ts.shift(1)`, or leave the site out with `ts.delete_sites([0])`"
        raise DataError(f"{source}: the site {first} is at the position 0, which a VCF does not have; {advice}.")


def _fill(table: Table, ts: Any, nodes: np.ndarray, first: int, last: int) -> None:
    wanted = np.unique(nodes[nodes >= 0])
    haploid = nodes[:, 1] < 0
    index = np.searchsorted(wanted, np.where(nodes < 0, nodes[:, :1], nodes))
    phased = np.ones(len(nodes), dtype=bool)
    positions = ts.sites_position
    right = ts.sequence_length if last == ts.num_sites else positions[last]
    for variant in ts.variants(samples=wanted, left=positions[first], right=right, copy=False):
        ref, *alts = [a for a in variant.alleles if a is not None]
        site = Site(_CONTIG, int(variant.site.position), ".", ref, tuple(alts))
        if not all((ref, *alts)):
            table.refuse(site, "has an allele without letters, which a VCF cannot hold.")
        if table.place(site) == "skip":
            continue
        if len(alts) == 1 and not variant.has_missing_data and not haploid.any():
            np.copyto(table.row(), variant.genotypes[index], casting="unsafe")
            table.add_complete(site, True)
        else:
            calls = variant.genotypes[index].astype(np.int32)
            calls[haploid, 1] = ABSENT
            table.add(site, calls, phased)
