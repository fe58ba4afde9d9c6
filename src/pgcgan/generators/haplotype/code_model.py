"""What can be said about haplotypes in closed form, before any training: blocks, a chain over their codes, contexts.

The prior is the state from which the generator starts, and a generator in its own right. `blocks` cuts the sites and
collects the codes, `chain` predicts a code from the label and the code before, `contexts` refines that by longer runs
of codes that several people share, `sources` lets a label draw stretches from what is known of others, `walk` puts
these three together; `ancestry` adds what the two haplotypes of a person have in common. `disclosure` says how many
people must carry a run, so that nobody is given away; `markers` keeps sites together that are one thing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .ancestry import (
    PersonAncestry,
    KnownAncestry,
    fit_ancestry,
    fit_loadings,
    known_ancestry,
    no_ancestry,
    shared_components,
)
from .blocks import UNKNOWN, Blocks, find_blocks, unique_rows
from .chain import Chain, fit_chain
from .checking import check_prior
from .context_tree import ORDERS, POWERS, ContextTree, RunCounts, count_runs, empty_context_tree
from .exclusive_sites import ExclusiveSites
from .local_ancestry import AdmixtureHMM, fit_admixture, no_admixture
from .membership import choose_min_carriers, least_carriers
from .prediction import NextCodePredictor
from .shrinkage import fit_shrinkage

__all__ = [
    "UNKNOWN",
    "PersonAncestry",
    "Blocks",
    "Chain",
    "ContextTree",
    "KnownAncestry",
    "ExclusiveSites",
    "CodeModel",
    "RunCounts",
    "AdmixtureHMM",
    "NextCodePredictor",
    "choose_min_carriers",
    "find_blocks",
    "count_runs",
    "fit_ancestry",
    "fit_chain",
    "fit_code_model",
    "fit_admixture",
    "fit_shrinkage",
    "known_ancestry",
    "least_carriers",
    "no_ancestry",
    "no_admixture",
    "shared_components",
    "unique_rows",
]


@dataclass(frozen=True)
class CodeModel:
    """A distribution of rows of block codes given their label: chain, contexts, sources, and people's ancestry."""

    chain: Chain
    fallback: Chain  # the chain for where contexts fall silent: what they explain counts less
    contexts: ContextTree
    sources: AdmixtureHMM
    ancestry: PersonAncestry

    @property
    def sizes(self) -> list[int]:
        """Number of codes of each block."""
        return [singles.shape[1] for singles in self.chain.code_counts]

    def walk(self, label: np.ndarray) -> NextCodePredictor:
        """Start rows of these labels on their way through the blocks."""
        return NextCodePredictor(self.chain, self.fallback, self.contexts, self.sources, label)

    def chain_alone(self) -> CodeModel:
        """Return the prior without its contexts, sources and ancestry."""
        n_labels = len(self.sources.share)
        return CodeModel(
            self.chain,
            self.chain,
            empty_context_tree(len(self.sizes)),
            no_admixture(n_labels),
            no_ancestry(self.sizes, n_labels),
        )

    def with_ancestry(self, codes: np.ndarray, label: np.ndarray, scores: np.ndarray, seed: int = 0) -> CodeModel:
        """Return the prior with the ancestry of its training people.

        Parameters
        ----------
        codes : array of int, shape (people, rows a person, blocks)
        label : array of int, shape (people,)
        scores : array of float, shape (people, rows a person, components)
            Principal components of the rows; what counts as ancestry is found among them.
        seed : int
        """
        if codes.shape[1] != 2:
            return self
        kept = shared_components(scores, label)
        if not len(kept):
            return self
        most = max(1000, _ANCESTRY_BYTES // (8 * sum(self.sizes)))
        if len(codes) > most:
            some = np.sort(np.random.default_rng(seed).permutation(len(codes))[:most])
            codes, label, scores = codes[some], label[some], scores[some]
        rows, row_label = codes.reshape(-1, codes.shape[2]), np.repeat(label, 2)
        offset = np.empty((len(rows), sum(self.sizes)), dtype=np.float32)
        ends = np.cumsum([0, *self.sizes])
        for first in range(0, len(rows), _ROWS_AT_A_TIME):
            part = slice(first, first + _ROWS_AT_A_TIME)
            walk = self.walk(row_label[part])
            for b in range(rows.shape[1]):
                offset[part, ends[b] : ends[b + 1]] = walk.log_probs(rows[part, b])
                walk.step(rows[part, b])
        start = scores[:, :, kept].mean(axis=1)
        n_labels = len(self.sources.share)
        try:
            return replace(self, ancestry=fit_ancestry(codes, label, self.sizes, offset, start, n_labels, seed))
        except np.linalg.LinAlgError:  # people too few for the axes: the prior as it is
            return self

    def with_known_ancestry(self, codes: np.ndarray, label: np.ndarray, known: KnownAncestry) -> CodeModel:
        """Return the prior with weights for an ancestry of its training people that is known.

        Parameters
        ----------
        codes : array of int, shape (people, rows a person, blocks)
        label : array of int, shape (people,)
        known : KnownAncestry
        """
        per = codes.shape[1]
        rows, row_label = codes.reshape(-1, codes.shape[2]), np.repeat(label, per)
        z = np.repeat(known.z, per, axis=0)
        if not z.shape[1]:
            return replace(self, ancestry=no_ancestry(self.sizes, len(self.sources.share)))
        parts = [slice(first, first + _ROWS_AT_A_TIME) for first in range(0, len(rows), _ROWS_AT_A_TIME)]
        walks = [self.walk(row_label[part]) for part in parts]
        weights = []
        for b in range(rows.shape[1]):
            offset = [walk.log_probs(rows[part, b]) for walk, part in zip(walks, parts, strict=True)]
            weights.append(fit_loadings(np.concatenate(offset), rows[:, b], z))
            for walk, part in zip(walks, parts, strict=True):
                walk.step(rows[part, b])
        return replace(self, ancestry=PersonAncestry(weights, known.spread))

    def own_log_probs(self, codes: np.ndarray, label: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield, block by block, what the walk says to training rows, each row's own contribution left out.

        Parameters
        ----------
        codes : array of int, shape (rows, blocks)
        label : array of int, shape (rows,)

        Yields
        ------
        chain, prior : arrays of float32, shape (rows, codes of the block)
            See `NextCodePredictor`.
        """
        walk = self.walk(label)
        for b in range(codes.shape[1]):
            yield walk.chain_log_probs(codes[:, b]), walk.log_probs(codes[:, b])
            walk.step(codes[:, b])

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the prior as plain arrays, for a file; `from_arrays` takes them back."""
        counts = np.concatenate([pairs.ravel() for pairs in self.chain.transition_counts])
        used = np.flatnonzero(counts)
        fallen = np.concatenate([pairs.ravel() for pairs in self.fallback.transition_counts])
        table, columns = [], []
        for b, lengths in enumerate(self.contexts.runs):
            for order, runs in lengths.items():
                table.append((b, order, runs.others, len(runs.keys), len(runs.label_keys), len(runs.code)))
                columns.append((runs.keys, runs.label_keys, runs.first, runs.code, runs.count, runs.carriers))
        named = zip(_COLUMNS, zip(*columns, strict=True) if columns else [()] * len(_COLUMNS), strict=True)
        return {
            "chain.used": used,
            "chain.counts": counts[used],
            "chain.code_counts": np.concatenate([singles.ravel() for singles in self.chain.code_counts]),
            "chain.weights": _weights(self.chain),
            "fallback.counts": fallen[used],
            "fallback.weights": _weights(self.fallback),
            "ancestry.weights": np.concatenate(self.ancestry.weights),
            "ancestry.spread": self.ancestry.spread,
            "sources.share": self.sources.share,
            "sources.switch": self.sources.switch,
            "contexts.weights": np.array([self.contexts.weights[order] for order in ORDERS]),
            "contexts.min_carriers": np.array(self.contexts.min_carriers),
            "contexts.power": np.array(self.contexts.power),
            "contexts.table": np.array(table, dtype=np.int64).reshape(-1, 6),
            **{f"contexts.{name}": np.concatenate([*parts, np.empty(0, kind)], dtype=kind)
               for (name, kind), parts in named},
        }  # fmt: skip

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], sizes: Sequence[int], n_labels: int) -> CodeModel:
        """Return the prior whose `arrays` these are.

        Raises
        ------
        KeyError, ValueError
            If arrays are missing or do not fit together.
        """
        check_prior(arrays, sizes, n_labels)
        before = [1, *sizes[:-1]]
        shapes = [(n_labels, i, j) for i, j in zip(before, sizes, strict=True)]
        both = []
        for name in ("chain", "fallback"):
            counts = np.zeros(sum(a * b * c for a, b, c in shapes), dtype=np.float32)
            counts[arrays["chain.used"]] = arrays[f"{name}.counts"]
            parts = _parts(counts, [a * b * c for a, b, c in shapes])
            both.append([p.reshape(shape) for p, shape in zip(parts, shapes, strict=True)])
        singles = [p.reshape(n_labels, -1) for p in _parts(arrays["chain.code_counts"], [n_labels * k for k in sizes])]
        chain, fallback = (
            Chain(pairs, singles, *(float(w) for w in arrays[f"{name}.weights"]))
            for name, pairs in zip(("chain", "fallback"), both, strict=True)
        )
        table = arrays["contexts.table"]
        lengths = {"keys": table[:, 3], "label_keys": table[:, 4], "first": table[:, 4] + 1, "carriers": table[:, 4]}
        columns = [_parts(arrays[f"contexts.{name}"], lengths.get(name, table[:, 5])) for name, _ in _COLUMNS]
        runs: list[dict[int, RunCounts]] = [{} for _ in sizes]
        for (block, order, others, _, _, _), parts in zip(table.tolist(), zip(*columns, strict=True), strict=True):
            keys, label_keys, first, code, count, carriers = parts
            runs[block][order] = RunCounts(keys, others, label_keys, n_labels, first, code, count, carriers)
        weights = {
            order: (float(a), float(d)) for order, (a, d) in zip(ORDERS, arrays["contexts.weights"], strict=True)
        }
        contexts = ContextTree(runs, weights, int(arrays["contexts.min_carriers"]), float(arrays["contexts.power"]))
        sources = AdmixtureHMM(arrays["sources.share"], arrays["sources.switch"])
        ancestry = PersonAncestry(_parts(arrays["ancestry.weights"], sizes), arrays["ancestry.spread"])
        return cls(chain, fallback, contexts, sources, ancestry)


_SOURCES_FITTED_ON = 400_000  # codes of training rows
_ANCESTRY_BYTES = 4_000_000_000  # of what is said to the people that ancestry is fitted to
_ROWS_AT_A_TIME = 8192  # what is said to a row takes a hundred times the memory of its codes
_GAIN = 0.01  # of the nats of a row: what contexts must be worth, which make a walk longer
_COLUMNS = (
    ("keys", np.int64), ("label_keys", np.int64), ("first", np.int64),
    ("code", np.int32), ("count", np.float32), ("carriers", np.int32),
)  # fmt: skip


def _weights(chain: Chain) -> np.ndarray:
    return np.array([chain.label_weight, chain.pooled_weight, chain.frequency_weight])


def _parts(whole: np.ndarray, lengths: Sequence[int] | np.ndarray) -> list[np.ndarray]:
    """Cut an array into parts of these lengths."""
    if len(whole) != sum(lengths) or min(lengths, default=0) < 0:
        raise ValueError(f"{len(whole)} numbers where {sum(lengths)} should be")
    return np.split(whole, np.cumsum(lengths)[:-1]) if len(lengths) else []


def fit_code_model(
    codes: np.ndarray,
    label: np.ndarray,
    person: np.ndarray,
    sizes: Sequence[int],
    n_labels: int,
    min_carriers: int,
    *,
    contexts: bool = True,
    sources: bool = True,
) -> CodeModel:
    """Fit chain, contexts and sources to training rows; all their weights are chosen by leave-one-out likelihood.

    Parameters
    ----------
    codes : array of int, shape (rows, blocks)
        -1 is unknown.
    label, person : arrays of int, shape (rows,)
    sizes : sequence of int
        Codes per block.
    n_labels : int
    min_carriers : int
        People who must share a run of codes before it is followed.
    contexts, sources : bool
        Whether there are any: without them, the prior is the chain.
    """
    plain = fit_chain(codes, label, sizes, n_labels)
    chain, runs, nats = fit_shrinkage(plain, empty_context_tree(len(sizes)), codes, label, sizes)
    fallback, enough = chain, (1 - _GAIN) * nats
    for power in POWERS if contexts else ():
        found, share = count_runs(codes, label, person, sizes, n_labels, min_carriers, power)
        trial = fit_shrinkage(fit_chain(codes, label, sizes, n_labels, share), found, codes, label, sizes)
        if trial[2] < min(nats, enough):
            fallback, runs, nats = trial
    prior = CodeModel(chain, fallback, runs, no_admixture(n_labels), no_ancestry(sizes, n_labels))
    return replace(prior, sources=_sources(prior, codes, label)) if sources and n_labels > 1 else prior


def _sources(prior: CodeModel, codes: np.ndarray, label: np.ndarray) -> AdmixtureHMM:
    """Fit the sources to as many training rows as are needed to know them."""
    rows = np.unique(np.linspace(0, len(codes) - 1, max(1, min(len(codes), _SOURCES_FITTED_ON // codes.shape[1]))))
    codes, label = codes[rows.astype(int)], label[rows.astype(int)]
    n_labels = len(prior.sources.share)
    every = AdmixtureHMM(np.ones((n_labels, n_labels), np.float32), np.zeros(n_labels, np.float32))
    asked = replace(prior, sources=every)
    log_probs = np.empty((*codes.shape, n_labels), dtype=np.float32)
    at_a_time = max(1, _ROWS_AT_A_TIME // n_labels)
    for first in range(0, len(codes), at_a_time):
        part = slice(first, first + at_a_time)
        walk = asked.walk(label[part])
        for b in range(codes.shape[1]):
            log_probs[part, b] = walk.of_each_label(codes[part, b])
            walk.step(codes[part, b])
    return fit_admixture(log_probs, label)
