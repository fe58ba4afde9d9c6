"""What a training will take, said before it starts: peak memory and time, from the size and the linkage of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .errors import DataError
from .generators.gan.networks import NetworkConfig
from .generators.haplotype import find_blocks
from .runtime.memory import resident_bytes

_WINDOWS, _WINDOW = 3, 200  # stretches of sites that are cut into blocks to learn how many there will be
# a site: weights, gradients, moments and activations of a batch of 64, measured; and the last good state
_PAPER_BYTES = 640_000 + 180_000
_PAPER_SECONDS = 0.007  # a site and step
_WARM_SECONDS = 3.5e-5  # a code that the network is trained on, measured


@dataclass(frozen=True)
class Estimate:
    """Expected cost of a training.

    Parameters
    ----------
    sites, people, haplotypes : int
        What is trained on; `haplotypes` counts rows of alleles, 0 for unphased people.
    peak_bytes : int
        Largest resident memory of the process, what it holds now included. Within a factor of 2 of what was measured
        for 400 to 32,000 sites and 200 to 20,000 people (docs/benchmarks.md).
    seconds : float
        On one idle core; an order of magnitude.
    """

    sites: int
    people: int
    haplotypes: int
    peak_bytes: int
    seconds: float

    def __str__(self) -> str:
        rows = f", {self.haplotypes:,} haplotypes" if self.haplotypes else ", unphased"
        return (
            f"{self.sites:,} sites, {self.people:,} people{rows}: about {_memory(self.peak_bytes)} of memory at the "
            f"peak and {_duration(self.seconds)} are expected"
        )

    def check(self, available: int | None) -> None:
        """Refuse what does not fit.

        Parameters
        ----------
        available : int or None
            Bytes that the process may have in all; None if that is not known.

        Raises
        ------
        DataError
            If more is expected than is available.
        """
        if available is not None and self.peak_bytes > available:
            raise DataError(
                f"{self}, and {_memory(available)} are available: train on fewer sites (--min-maf 0.05, or --region) "
                "or on fewer people (--split), or on a machine with more memory."
            )


def expected(
    states: np.ndarray,
    label: np.ndarray,
    rows_per_person: int,
    network: NetworkConfig,
    *,
    n_states: int = 2,
    breaks: Sequence[int] = (),
    epochs: float = 0.0,
    max_tokens: float = float("inf"),
    batch: int = 64,
    steps: int = 0,
    minutes: float | None = None,
) -> Estimate:
    """Estimate peak memory and time.

    The arrays that a fit of the `haplotype` family makes are known but for the number of blocks and of their codes,
    which depends on linkage: so some stretches of the data are cut into blocks.

    Parameters
    ----------
    states : array of int8, shape (rows, sites)
        As in `tasks.TrainingRows`.
    label : array of int, shape (people,)
    rows_per_person : int
    network : NetworkConfig
    n_states : int
    breaks : sequence of int
        First sites of contigs after the first.
    epochs, max_tokens, batch
        Of the network's warm start, as in `TrainConfig`; 0 epochs without one.
    steps : int
        Steps of the `paper` family.
    minutes : float, optional
        Time budget of the network.
    """
    rows, sites = states.shape
    people, haplotypes = len(label), rows if n_states == 2 else 0
    now = resident_bytes()
    if network.family == "paper":
        seconds = _PAPER_SECONDS * sites * steps if minutes is None else 60 * minutes
        return Estimate(sites, people, haplotypes, now + rows * sites + _PAPER_BYTES * sites, seconds)
    blocks, codes, pairs, most = _blocks(states, label, rows_per_person, network, n_states, breaks)
    n_labels = int(label.max()) + 1
    held = (
        (0 if n_states == 2 else rows * sites)  # dosages; haplotypes are a view of the calls
        + 28 * rows * blocks  # codes, and the runs of the contexts
        + 4 * (n_labels + 1) * pairs  # transition counts
        + (3200 + 8 * n_labels) * codes  # the network, twice
        + 400 * sites  # the critic
    )
    if epochs:
        at_once = min(batch * rows_per_person, rows)
        held += 4 * min(rows * codes, 100_000_000)  # the chain's word on all rows, looked up
        held += 0.4 * rows * codes  # chain and prior on the validation people
        held += at_once * (12_000 * blocks + 12 * codes) + 6400 * codes  # activations, gradients and their moments
        held += 6400 * codes  # the last good state, which a run that diverges goes back to
    told = min(8192, rows) * most  # the prior's word on the next code, for rows taken together
    drawn = min(16_384, max(20 * rows, 128 * n_labels))
    heaviest = max(
        8 * (n_labels + 1) * pairs
        + (8 * blocks + 1000) * rows
        + 48 * told
        + 8 * min(400_000, rows * blocks) * n_labels,
        min(4 * rows * sites, 4e9) + 1000 * (rows + sites),  # principal components
        min(4 * rows * codes, 4e9) + 48 * told,  # ancestry, if there is any
        60 * drawn * most + (16 * blocks + 1000) * drawn + 40 * 2000 * 2000,  # calibration
    )
    seconds = (
        3
        + 1.5e-7 * rows * sites
        + 7e-7 * min(rows * blocks, 100_000) * most
        + 8e-7 * rows * codes
        + 2e-7 * min(drawn, 20 * rows) * codes
        + 4e-5 * min(4 * rows, 6000) * min(blocks, 128)  # the attack that says how many carriers a run needs
    )
    if epochs:
        seconds += _WARM_SECONDS * min(epochs * rows * blocks, max_tokens) if minutes is None else 60 * minutes
    # training may go on beside the lists and dicts of the above, and free memory is not always given back
    return Estimate(sites, people, haplotypes, int(now + 1.1 * (held + heaviest)), seconds)


def _blocks(
    states: np.ndarray,
    label: np.ndarray,
    rows_per_person: int,
    network: NetworkConfig,
    n_states: int,
    breaks: Sequence[int],
) -> tuple[float, float, float, int]:
    """Return how many blocks and codes to expect, how many pairs of codes of neighbours, and the most of one block."""
    sites = states.shape[1]
    starts = np.unique(np.linspace(0, max(0, sites - _WINDOW), _WINDOWS).astype(int))
    covered, blocks, codes, pairs, most = 0, 0, 0, 0, 2
    for start in starts:
        part = states[:, start : start + _WINDOW]
        found = find_blocks(
            part,
            np.repeat(np.arange(len(label)), rows_per_person),
            breaks=[b - start for b in breaks if start < b < start + part.shape[1]],
            states=n_states,
            min_carriers=network.min_carriers,
            coverage=network.coverage,
            max_sites=network.max_sites,
            max_codes=network.max_codes,
            label=np.repeat(label, rows_per_person),
        )
        # the end of a stretch cuts its last block
        whole = max(1, len(found) - 1)
        sizes = np.array(found.sizes[:whole])
        covered += int(found.edges[whole])
        blocks += whole
        codes += int(sizes.sum())
        pairs += int((sizes**2).sum())
        most = max(most, int(sizes.max()))
    scale = sites / covered
    return blocks * scale, codes * scale, pairs * scale, most


def _memory(size: float) -> str:
    return f"{size / 1e9:.2g} GB" if size < 1e10 else f"{size / 1e9:,.0f} GB"


def _duration(seconds: float) -> str:
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count = round(seconds / size)
        if seconds >= size or unit == "second":
            count = max(1, count)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    raise AssertionError
