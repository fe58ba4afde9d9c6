"""What a family of generators must reach on the HLA region: bars for the mean of several seeds, and for the worst."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev


@dataclass(frozen=True)
class Bar:
    """Bounds of a metric, counted from its floor if `from_floor`; with `cores`, for runs on so many cores alone."""

    metric: str
    low: float = -math.inf
    high: float = math.inf
    from_floor: bool = False
    cores: int | None = None

    def __str__(self) -> str:
        low, high = (("floor " if self.from_floor else "") + _number(x, self.from_floor) for x in (self.low, self.high))
        if math.isinf(self.low):
            return f"at most {high}" + ("" if self.cores is None else f", on {self.cores} cores")
        return f"at least {low}" if math.isinf(self.high) else f"{low} to {high}"

    def miss(self, value: float, floor: float | None) -> float:
        """Return how far a value is out of bounds; 0 inside them."""
        offset = (floor or 0.0) if self.from_floor else 0.0
        return max(self.low + offset - value, value - self.high - offset, 0.0)

    def holds(self, values: Sequence[float], floors: Sequence[float | None]) -> bool:
        """True if the mean of the seeds is within the bounds, and no seed misses them by more than a standard error."""
        known = [floor for floor in floors if floor is not None]
        error = stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
        worst = max(self.miss(value, floor) for value, floor in zip(values, floors, strict=True))
        return self.miss(mean(values), mean(known) if known else None) == 0 and worst <= error


def _number(value: float, signed: bool) -> str:
    return f"{value:+g}" if signed else f"{value:g}"


_C2ST = ("C2ST AUC, gradient boosting", "C2ST AUC, logistic")
BARS: dict[str, tuple[Bar, ...]] = {
    "haplotype": (
        Bar("AF RMSE", high=0.0140),
        Bar("LD RMSE", high=0.0165),
        Bar("far pairs r", low=0.84),
        Bar("3-point r within labels", low=0.974),
        Bar("PCA variance ratio", 0.95, 1.05),
        Bar("sliced Wasserstein", high=0.033),
        Bar("AA_truth", 0.40, 0.61),
        Bar("AA_syn", 0.40, 0.61),
        *(Bar(metric, high=0.55) for metric in _C2ST),
        Bar("TSTR accuracy", low=-0.015, from_floor=True),
        Bar("label fidelity", -0.04, 0.04, from_floor=True),
        Bar("fit time, s of a core", high=60),
        Bar("sample time, s of a core", high=6),
    ),
    "gan": (
        Bar("AF RMSE", high=0.015),
        Bar("LD RMSE", high=0.019),
        Bar("far pairs r", low=0.83),
        Bar("PCA variance ratio", 0.94, 1.06),
        Bar("AA_truth", high=0.66),
        Bar("AA_syn", 0.40, 0.60),
        *(Bar(metric, high=0.58) for metric in _C2ST),
        Bar("label fidelity", -0.06, 0.06, from_floor=True),
        Bar("fit time, s", high=900, cores=2),
    ),
}
