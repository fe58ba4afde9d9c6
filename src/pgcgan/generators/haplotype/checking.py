"""Whether the arrays of a saved prior fit together: looked at before a prior is made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .context_tree import ORDERS

# dtype and number of axes
_KINDS: dict[str, tuple[type, int]] = {
    "chain.used": (np.int64, 1), "chain.counts": (np.float32, 1), "chain.code_counts": (np.float32, 1),
    "chain.weights": (np.float64, 1), "fallback.counts": (np.float32, 1), "fallback.weights": (np.float64, 1),
    "ancestry.weights": (np.float32, 2), "ancestry.spread": (np.float32, 3),
    "sources.share": (np.float32, 2), "sources.switch": (np.float32, 1),
    "contexts.weights": (np.float64, 2), "contexts.min_carriers": (np.int64, 0), "contexts.power": (np.float64, 0),
    "contexts.table": (np.int64, 2), "contexts.keys": (np.int64, 1), "contexts.label_keys": (np.int64, 1),
    "contexts.first": (np.int64, 1), "contexts.code": (np.int32, 1), "contexts.count": (np.float32, 1),
    "contexts.carriers": (np.int32, 1),
}  # fmt: skip


def check_prior(arrays: Mapping[str, np.ndarray], sizes: Sequence[int], n_labels: int) -> None:
    """Check names, types and shapes, that numbers are numbers, and that indices point inside.

    Raises
    ------
    KeyError, ValueError
        If something is absent or does not fit.
    """
    for name, (kind, axes) in _KINDS.items():
        array = arrays[name]
        if array.dtype != kind or array.ndim != axes:
            raise ValueError(f"{name} has the shape {array.shape} and the type {array.dtype}")
        if kind in (np.float32, np.float64) and not np.isfinite(array).all():
            raise ValueError(f"{name} holds what is not a number")
    shapes = {
        "chain.weights": (3,),
        "fallback.weights": (3,),
        "contexts.weights": (len(ORDERS), 2),
        "sources.share": (n_labels, n_labels),
        "sources.switch": (n_labels,),
        "contexts.table": (len(arrays["contexts.table"]), 6),
        "fallback.counts": arrays["chain.used"].shape,
        "chain.counts": arrays["chain.used"].shape,
        "ancestry.spread": (n_labels, *2 * arrays["ancestry.spread"].shape[-1:]),
        "ancestry.weights": (sum(sizes), arrays["ancestry.spread"].shape[-1]),
    }
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{name} has the shape {arrays[name].shape} in the place of {shape}")
    for name in ("chain.counts", "chain.code_counts", "fallback.counts", "sources.share", "contexts.count"):
        if arrays[name].size and arrays[name].min() < 0:
            raise ValueError(f"{name} has numbers below 0")
    used = arrays["chain.used"]
    pairs = n_labels * sum(a * b for a, b in zip([1, *sizes], sizes, strict=False))
    if len(used) and (used[0] < 0 or int(used[-1]) >= pairs or (np.diff(used) <= 0).any()):
        raise ValueError(f"chain.used does not point at {pairs} pairs of codes, one after the other")
    switch = arrays["sources.switch"]
    if switch.size and not 0 <= switch.min() <= switch.max() <= 1:
        raise ValueError("sources.switch holds what is no probability")
    _check_contexts(arrays, sizes)


def _check_contexts(arrays: Mapping[str, np.ndarray], sizes: Sequence[int]) -> None:
    entries = {"keys": 0, "label_keys": 0, "first": 0, "code": 0}
    seen: set[tuple[int, int]] = set()
    for block, order, _, keys, cases, codes in arrays["contexts.table"].tolist():
        if not 0 <= block < len(sizes) or min(keys, cases, codes) < 0 or (block, order) in seen:
            raise ValueError(f"contexts.table has a row for block {block} of {len(sizes)}")
        # runs of one length are found by those of half of it, here and that far back
        half = order // 2
        if order not in ORDERS or order > block or (half > 1 and not {(block, half), (block - half, half)} <= seen):
            raise ValueError(f"block {block} has contexts of {order} blocks")
        seen.add((block, order))
        first = arrays["contexts.first"][entries["first"] : entries["first"] + cases + 1]
        code = arrays["contexts.code"][entries["code"] : entries["code"] + codes]
        if len(first) != cases + 1 or first[0] != 0 or first[-1] != codes or (np.diff(first) < 0).any():
            raise ValueError(f"the contexts of block {block} do not fit together")
        if codes and not 0 <= code.min() <= code.max() < sizes[block]:
            raise ValueError(f"the contexts of block {block} are followed by codes that it does not have")
        for name, more in (("keys", keys), ("label_keys", cases), ("first", cases + 1), ("code", codes)):
            entries[name] += more
    for name, same in (("keys", ""), ("label_keys", "carriers"), ("first", ""), ("code", "count")):
        for each in filter(None, (name, same)):
            if len(arrays[f"contexts.{each}"]) != entries[name]:
                raise ValueError(f"contexts.{each} has {len(arrays[f'contexts.{each}'])} numbers, not {entries[name]}")
