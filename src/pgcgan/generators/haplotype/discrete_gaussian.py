"""Noise for differential privacy: exact draws of the discrete Gaussian, from the randomness of the operating system.

Noise that comes from floating-point numbers can betray the count beneath it (Mironov 2012). Here every draw is an
integer computed from integers alone, by the rejection sampler of Canonne, Kamath and Steinke (2020, "The discrete
Gaussian for differential privacy", algorithms 1 to 3). It takes an unpredictable number of rounds: whoever can measure
the time of each draw is not defended against.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

LARGEST_SIGMA = 2**24  # keeps every product below 2⁶³
_AT_A_TIME = 2**20


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
