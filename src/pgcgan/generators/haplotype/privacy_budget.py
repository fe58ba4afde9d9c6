"""The privacy budget: how much noise each released table of counts gets, and what all of them add up to.

A Gaussian or discrete Gaussian mechanism with noise σ and L2 sensitivity Δ has the Rényi divergence α Δ² / (2 σ²) of
every order α, and the divergences of several add up, also where a later table depends on earlier ones. `dp_accounting`
turns the sum into (ε, δ). For noise on whole numbers this bound holds (Canonne, Kamath and Steinke 2020); the tighter
closed form of Balle and Wang (2018) is proven for continuous noise only.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

from scipy.stats import norm

from ...errors import MissingExtra, UsageError
from .discrete_gaussian import LARGEST_SIGMA

_THRESHOLD_SHARE = 0.1  # of δ, for patterns that one person alone carries


@dataclass(frozen=True)
class Release:
    """One table of counts that was released with noise."""

    what: str
    squared_sensitivity: int  # Δ²: the largest squared distance between the tables of cohorts that differ in one person
    sigma: int  # standard deviation of the noise on each count


@dataclass
class PrivacyBudget:
    """What may be spent, and what has been: epsilon and delta of all releases together.

    With a threshold, patterns are searched for in the cohort, which takes a tenth of delta.
    """

    epsilon: float
    delta: float
    with_threshold: bool
    releases: list[Release] = field(default_factory=list)

    def __post_init__(self) -> None:
        # the part of delta that the noise uses
        self.gaussian_delta = self.delta * (1 - _THRESHOLD_SHARE) if self.with_threshold else self.delta
        self.noise_multiplier = noise_multiplier(self.epsilon, self.gaussian_delta)

    def spend(self, what: str, share: float, squared_sensitivity: int) -> int:
        """Record a release and return its σ: Δ z / √share, where σ = Δ z would spend everything; rounded up."""
        sigma = math.ceil(math.sqrt(squared_sensitivity / share) * self.noise_multiplier)
        if sigma > LARGEST_SIGMA:
            raise UsageError(
                f"epsilon is {self.epsilon:g}: the noise on {what} would have a standard deviation of {sigma:,}. "
                f"Accepted: up to {LARGEST_SIGMA:,}; give a larger epsilon or fewer sites."
            )
        self.releases.append(Release(what, squared_sensitivity, sigma))
        return sigma

    def threshold(self, sigma: int, cells: int) -> float:
        """Return the noisy count from which on a pattern may be released although it was searched for in the cohort.

        A person adds at most 2 to one of `cells` counts that would be absent without that person. If all of these stay
        below the threshold with probability 1 - δ', the release is (ε, δ_noise + e^ε δ')-private: δ' = δ / 10 e^ε. The
        tail of the discrete Gaussian from λ on is at most the normal tail from λ - 1 on (same reference, prop. 25).
        """
        return 3 + sigma * float(norm.isf(_THRESHOLD_SHARE * self.delta * math.exp(-self.epsilon) / cells))

    def spent(self) -> float:
        """Return the epsilon of all releases so far, from the accountant."""
        dp_event, rdp, _ = _accounting()
        events = [dp_event.GaussianDpEvent(r.sigma / math.sqrt(r.squared_sensitivity)) for r in self.releases]
        accountant = rdp.RdpAccountant().compose(dp_event.ComposedDpEvent(events))
        return float(accountant.get_epsilon(self.gaussian_delta))

    def statement(self) -> dict[str, Any]:
        """Return what the model directory says of the guarantee, with what each release has spent."""
        spent = self.spent()
        if spent > self.epsilon:
            raise RuntimeError(f"the releases add up to epsilon {spent}, more than {self.epsilon}")
        total = sum(r.squared_sensitivity / r.sigma**2 for r in self.releases)
        return {
            "epsilon": self.epsilon,
            "delta": self.delta,
            "unit": "one person with all haplotypes and the label, added or removed",
            "epsilon by the accountant": round(spent, 6),
            "releases": [
                {**asdict(r), "share": round(r.squared_sensitivity / r.sigma**2 / total, 4)} for r in self.releases
            ],
        }


@cache
def noise_multiplier(epsilon: float, delta: float) -> float:
    """Return the least σ / Δ at which one Gaussian release is (epsilon, delta)-private."""
    dp_event, rdp, calibration = _accounting()
    least = calibration.calibrate_dp_mechanism(rdp.RdpAccountant, dp_event.GaussianDpEvent, epsilon, delta, tol=1e-6)
    return float(least)


def _accounting() -> tuple[Any, Any, Any]:
    """Return the modules of dp_accounting that are used."""
    try:
        from dp_accounting import dp_event, mechanism_calibration
        from dp_accounting.rdp import rdp_privacy_accountant
    except ModuleNotFoundError:
        raise MissingExtra("dp-accounting", "private", "Differential privacy") from None
    return dp_event, rdp_privacy_accountant, mechanism_calibration
