"""What can be said about haplotypes in closed form, before any training: blocks, a chain over their codes, contexts.

The prior is the state from which the generator starts, and a generator in its own right. `blocks` cuts the sites and
collects the codes, `chain` predicts a code from the label and the code before, `contexts` refines that by longer runs
of codes that several people share, `ancestry` adds what the two haplotypes of a person have in common.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .ancestry import Ancestry, fit_ancestry, no_ancestry, shared_components
from .blocks import UNKNOWN, Blocks, find_blocks, unique_rows
from .chain import Chain, chain_likelihood, fit_chain
from .contexts import LEVELS, Contexts, Level, Runs, find_contexts, fit_contexts

__all__ = [
    "UNKNOWN",
    "Ancestry",
    "Blocks",
    "Chain",
    "Contexts",
    "Prior",
    "Runs",
    "Walk",
    "chain_likelihood",
    "find_blocks",
    "find_contexts",
    "fit_ancestry",
    "fit_chain",
    "fit_contexts",
    "fit_prior",
    "no_ancestry",
    "shared_components",
    "unique_rows",
]


@dataclass(frozen=True)
class Prior:
    """A distribution of rows of block codes given their label: a chain, refined by contexts, and people's ancestry."""

    chain: Chain
    contexts: Contexts
    ancestry: Ancestry

    @property
    def sizes(self) -> list[int]:
        """Number of codes of each block."""
        return [singles.shape[1] for singles in self.chain.singles]

    def walk(self, label: np.ndarray) -> Walk:
        """Start rows of these labels on their way through the blocks."""
        return Walk(self, label)

    def chain_alone(self) -> Prior:
        """Return the prior without its contexts and ancestry."""
        contexts = replace(self.contexts, runs=[{} for _ in self.sizes])
        return Prior(self.chain, contexts, no_ancestry(self.sizes, len(self.chain.singles[0])))

    def with_ancestry(self, codes: np.ndarray, label: np.ndarray, scores: np.ndarray, seed: int = 0) -> Prior:
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
        rows = codes.reshape(-1, codes.shape[2])
        offsets = [refined for _, refined in self.own_log_probs(rows, np.repeat(label, 2))]
        start = scores[:, :, kept].mean(axis=1)
        n_labels = len(self.chain.singles[0])
        try:
            return replace(self, ancestry=fit_ancestry(codes, label, offsets, start, n_labels, seed))
        except np.linalg.LinAlgError:  # people too few for the axes: the prior as it is
            return self

    def own_log_probs(self, codes: np.ndarray, label: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield, block by block, what the walk says to training rows, each row's own contribution left out.

        Parameters
        ----------
        codes : array of int, shape (rows, blocks)
        label : array of int, shape (rows,)

        Yields
        ------
        chain, prior : arrays of float32, shape (rows, codes of the block)
            See `Walk.log_probs`.
        """
        walk = self.walk(label)
        for b in range(codes.shape[1]):
            yield walk.log_probs(own=codes[:, b])
            walk.step(codes[:, b])

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the prior as plain arrays, for a file; `from_arrays` takes them back."""
        counts = np.concatenate([pairs.ravel() for pairs in self.chain.pairs])
        used = np.flatnonzero(counts)
        table, columns = [], []
        for b, levels in enumerate(self.contexts.runs):
            for level, runs in levels.items():
                table.append((b, LEVELS.index(level), runs.others, len(runs.keys), len(runs.code)))
                columns.append((runs.keys, runs.first, runs.code, runs.count, runs.carriers))
        named = zip(_COLUMNS, zip(*columns, strict=True) if columns else [()] * len(_COLUMNS), strict=True)
        return {
            "chain.used": used,
            "chain.counts": counts[used],
            "chain.singles": np.concatenate([singles.ravel() for singles in self.chain.singles]),
            "chain.weights": np.array([self.chain.label_weight, self.chain.pooled_weight, self.chain.frequency_weight]),
            "ancestry.weights": np.concatenate(self.ancestry.weights),
            "ancestry.spread": self.ancestry.spread,
            "contexts.weights": np.array([self.contexts.weights[level] for level in LEVELS]),
            "contexts.min_carriers": np.array(self.contexts.min_carriers),
            "contexts.table": np.array(table, dtype=np.int64).reshape(-1, 5),
            **{f"contexts.{name}": np.concatenate([*parts, np.empty(0, kind)], dtype=kind)
               for (name, kind), parts in named},
        }  # fmt: skip

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], sizes: Sequence[int], n_labels: int) -> Prior:
        """Return the prior whose `arrays` these are.

        Raises
        ------
        KeyError, ValueError, IndexError
            If arrays are missing or do not fit together.
        """
        before = [1, *sizes[:-1]]
        shapes = [(n_labels, i, j) for i, j in zip(before, sizes, strict=True)]
        counts = np.zeros(sum(a * b * c for a, b, c in shapes), dtype=np.float32)
        counts[arrays["chain.used"]] = arrays["chain.counts"]
        pairs = [p.reshape(s) for p, s in zip(_parts(counts, [a * b * c for a, b, c in shapes]), shapes, strict=True)]
        singles = [p.reshape(n_labels, -1) for p in _parts(arrays["chain.singles"], [n_labels * k for k in sizes])]
        chain_weights = [float(w) for w in arrays["chain.weights"]]
        table = arrays["contexts.table"]
        lengths = {"keys": table[:, 3], "first": table[:, 3] + 1, "carriers": table[:, 3]}
        columns = [_parts(arrays[f"contexts.{name}"], lengths.get(name, table[:, 4])) for name, _ in _COLUMNS]
        runs: list[dict[Level, Runs]] = [{} for _ in sizes]
        for (block, level, others, _, _), (keys, first, code, count, carriers) in zip(
            table.tolist(), zip(*columns, strict=True), strict=True
        ):
            if first[0] or first[-1] != len(code) or (len(code) and not 0 <= code.min() <= code.max() < sizes[block]):
                raise ValueError(f"the contexts of block {block} do not fit together")
            runs[block][LEVELS[level]] = Runs(keys, others, first, code, count, carriers)
        weights = {
            level: (float(a), float(d)) for level, (a, d) in zip(LEVELS, arrays["contexts.weights"], strict=True)
        }
        contexts = Contexts(runs, weights, int(arrays["contexts.min_carriers"]))
        spread = arrays["ancestry.spread"]
        if spread.shape != (n_labels, spread.shape[-1], spread.shape[-1]):
            raise ValueError(f"the ancestry has the shape {spread.shape}")
        ancestry = Ancestry(_parts(arrays["ancestry.weights"], sizes), spread)
        return cls(Chain(pairs, singles, *chain_weights), contexts, ancestry)


_COLUMNS = (("keys", np.int64), ("first", np.int64), ("code", np.int32), ("count", np.int32), ("carriers", np.int32))


def _parts(whole: np.ndarray, lengths: Sequence[int] | np.ndarray) -> list[np.ndarray]:
    """Cut an array into parts of these lengths."""
    if len(whole) != sum(lengths) or min(lengths, default=0) < 0:
        raise ValueError(f"{len(whole)} numbers where {sum(lengths)} should be")
    return np.split(whole, np.cumsum(lengths)[:-1]) if len(lengths) else []


class Walk:
    """Rows on their way through the blocks: the prior's word on the next code, given the codes so far.

    Parameters
    ----------
    prior : Prior
    label : array of int, shape (rows,)
    """

    def __init__(self, prior: Prior, label: np.ndarray):
        self.prior, self.label = prior, label
        self._last = np.zeros(len(label), dtype=np.int64)
        self._known: list[dict[Level, np.ndarray]] = []
        prior.contexts.follow(self._last, label, self._known)

    def log_probs(self, own: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return log P(·) for the next block, of the chain alone and refined by the contexts.

        Parameters
        ----------
        own : array of int, shape (rows,), optional
            See `Chain.log_probs`.

        Returns
        -------
        chain, prior : arrays of float32, shape (rows, codes of the block)
        """
        block, run, last, label = len(self._known) - 1, self._known[-1], self._last, self.label
        if own is None:  # rows with the same label and the same longest run are told the same
            longest = last + 1
            for i, (level, found) in enumerate(run.items()):
                if level[0] > 1 and not level[1]:
                    longest = np.where(found >= 0, (i + 1 << 40) + found, longest)
            _, first, same = np.unique(longest * (int(label.max()) + 1) + label, return_index=True, return_inverse=True)
            last, label, run = last[first], label[first], {level: found[first] for level, found in run.items()}
        chain = self.prior.chain.log_probs(block, last, label, own)
        refined = np.log(np.maximum(self.prior.contexts.refine(block, np.exp(chain), run, own), 1e-12))
        return (chain, refined) if own is not None else (chain[same], refined[same])

    def step(self, codes: np.ndarray) -> None:
        """Take the codes of the block, shape (rows,); -1 = unknown."""
        self._last = np.asarray(codes, dtype=np.int64)
        if len(self._known) < len(self.prior.contexts.runs):
            self.prior.contexts.follow(self._last, self.label, self._known)


def fit_prior(
    codes: np.ndarray, label: np.ndarray, person: np.ndarray, sizes: Sequence[int], n_labels: int, min_carriers: int
) -> Prior:
    """Fit chain and contexts to training rows; all their weights are chosen by leave-one-out likelihood.

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
    """
    chain = fit_chain(codes, label, sizes, n_labels)
    contexts = find_contexts(codes, label, person, sizes, n_labels, min_carriers)
    own = np.exp(np.stack([chain_likelihood(chain, codes, label, b) for b in range(len(sizes))], axis=1))
    return Prior(chain, fit_contexts(contexts, codes, label, sizes, own), no_ancestry(sizes, n_labels))
