"""Noise for differential privacy: how much each released table of counts gets, what all adds up to, and exact draws.

A Gaussian or discrete Gaussian mechanism with noise σ and L2 sensitivity Δ has the Rényi divergence α Δ² / (2 σ²) of
every order α, and the divergences of several add up, also where a later table depends on earlier ones. `dp_accounting`
turns the sum into (ε, δ). For noise on whole numbers this bound holds (Canonne, Kamath and Steinke 2020, "The discrete
Gaussian for differential privacy"); the tighter closed form of Balle and Wang (2018) is proven for continuous noise
only.

Noise that comes from floating-point numbers can betray the count beneath it (Mironov 2012). Here every draw is an
integer computed from integers alone, from the randomness of the operating system, by the rejection sampler of Canonne,
Kamath and Steinke (algorithms 1 to 3). It takes an unpredictable number of rounds: whoever can measure the time of each
draw is not defended against.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

import numpy as np
from scipy.stats import norm

from ...errors import MissingExtra, UsageError

LARGEST_SIGMA = 2**24  # keeps every product below 2⁶³
_THRESHOLD_SHARE = 0.1  # of δ, for patterns that one person alone carries
_AT_A_TIME = 2**20  # draws


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


# ---- draws ----------------------------------------------------------------------------------------------------------


def discrete_gaussian(
    sigma: int, shape: tuple[int, ...], random_bytes: Callable[[int], bytes] = os.urandom
) -> np.ndarray:
    """Return noise with P(x) ∝ exp(-x² / (2 σ²)) on the whole numbers, σ from 1 to `LARGEST_SIGMA`: int64.

    The source of randomness is cryptographically secure by default.
    """
    if not 1 <= sigma <= LARGEST_SIGMA:
        raise ValueError(f"sigma is {sigma}; accepted: 1 to {LARGEST_SIGMA}")
    noise = np.empty(int(np.prod(shape)), dtype=np.int64)
    missing = np.arange(len(noise))
    while len(missing):
        part, missing = missing[:_AT_A_TIME], missing[_AT_A_TIME:]
        proposal = _discrete_laplace(sigma, len(part), random_bytes)
        # a Laplace proposal of scale σ is kept with probability exp(-(|x| - σ)² / (2 σ²))
        keep = _bernoulli_exp((np.abs(proposal) - sigma) ** 2, 2 * sigma**2, random_bytes)
        noise[part[keep]] = proposal[keep]
        missing = np.concatenate([part[~keep], missing])
    return noise.reshape(shape)


def _discrete_laplace(scale: int, size: int, random_bytes: Callable[[int], bytes]) -> np.ndarray:
    """Return draws with P(x) ∝ exp(-|x| / scale)."""
    draws = np.empty(size, dtype=np.int64)
    missing = np.arange(size)
    while len(missing):
        low = _below(scale, len(missing), random_bytes)
        missing_low = _bernoulli_exp(low, scale, random_bytes)
        high = np.zeros(len(missing), dtype=np.int64)
        going = np.arange(len(missing))
        while len(going):
            going = going[_bernoulli_exp(np.ones(len(going), dtype=np.int64), 1, random_bytes)]
            high[going] += 1
        size_of = low + scale * high
        negative = _below(2, len(missing), random_bytes) == 1
        keep = missing_low & ~(negative & (size_of == 0))
        draws[missing[keep]] = np.where(negative, -size_of, size_of)[keep]
        missing = missing[~keep]
    return draws


def _bernoulli_exp(numerator: np.ndarray, denominator: int, random_bytes: Callable[[int], bytes]) -> np.ndarray:
    """Return True with probability exp(-numerator / denominator), for whole numbers: bool."""
    whole, rest = np.divmod(numerator, denominator)
    true = np.ones(len(numerator), dtype=bool)
    going = np.flatnonzero(whole > 0)
    while len(going):
        success = _bernoulli_exp_fraction(np.ones(len(going), dtype=np.int64), 1, random_bytes)
        true[going[~success]] = False
        whole[going] -= 1
        going = going[success & (whole[going] > 0)]
    left = np.flatnonzero(true)
    true[left] = _bernoulli_exp_fraction(rest[left], denominator, random_bytes)
    return true


def _bernoulli_exp_fraction(
    numerator: np.ndarray, denominator: int, random_bytes: Callable[[int], bytes]
) -> np.ndarray:
    """Return True with probability exp(-γ), γ = numerator / denominator ≤ 1.

    Events of probability γ / k, k = 1, 2, … follow each other until one does not happen; the number of the first that
    does not is odd with probability exp(-γ).
    """
    true = np.ones(len(numerator), dtype=bool)
    going, k = np.arange(len(numerator)), 1
    while len(going):
        going = going[_below(denominator * k, len(going), random_bytes) < numerator[going]]
        true[going] = ~true[going]
        k += 1
    return true


def _below(bound: int, size: int, random_bytes: Callable[[int], bytes]) -> np.ndarray:
    """Return uniform whole numbers from 0 to bound - 1: int64; 64 random bits each, the last uneven part refused."""
    values = np.empty(size, dtype=np.uint64)
    missing = np.arange(size)
    last = 2**64 - 2**64 % bound - 1
    while len(missing):
        bits = np.frombuffer(random_bytes(8 * len(missing)), dtype=np.uint64)
        keep = bits <= np.uint64(last)
        values[missing[keep]] = bits[keep] % np.uint64(bound)
        missing = missing[~keep]
    return values.astype(np.int64)
