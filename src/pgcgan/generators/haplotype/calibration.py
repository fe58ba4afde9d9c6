"""What is set after training: code frequencies in closed form, and how sharply to draw by a search of one number."""

from __future__ import annotations

import numpy as np
import torch

from ..gan.networks import SINGLE_SITE, HaplotypeGenerator
from ..gan.training import mixed_seed
from . import Blocks, CodeModel

RAKED_ROWS = 16_384
MOST_SHARPENING = 1.3
_COMPARED = 2000  # rows and sites that sharpening is chosen on


@torch.no_grad()
def rake(generator: HaplotypeGenerator, rows: int, seed: int) -> None:
    """Rake the code frequencies of each label to those of its training people (iterative proportional fitting).

    Parameters
    ----------
    generator : HaplotypeGenerator
        Its `label_bias` is set.
    rows : int
        Rows drawn at most, all labels together; small cohorts, whose frequencies are less well known, do with fewer.
    seed : int
    """
    assert isinstance(generator.prior, CodeModel)
    rows = min(rows, 20 * int(generator.prior.chain.pooled_code_counts[0].sum()))
    generator.eval()
    device, n_labels = generator.label_bias.device, len(generator.label_bias)
    label = torch.arange(n_labels).repeat_interleave(max(128, rows // n_labels)).to(device)
    chain = generator.prior.chain
    target = [torch.as_tensor(chain.label_frequency(b), device=device) for b in range(len(generator.sizes))]
    noise = torch.Generator().manual_seed(mixed_seed(seed, 5))
    generator.rows(label, generator.condition(label, None), noise, rake=target)


def balanced_sharpening(
    generator: HaplotypeGenerator,
    blocks: Blocks,
    states: np.ndarray,
    label: np.ndarray,
    axes: tuple[np.ndarray, np.ndarray],
    *,
    seed: int,
    calibrate: bool,
) -> float:
    """Return the least sharpening at which drawn people are not too diverse, between 1 and `MOST_SHARPENING`.

    Too diverse is: training rows find a drawn row nearer than another training row more seldom than drawn rows find a
    training row nearer than another drawn row (the two sides of adversarial accuracy, Yale et al. 2020). The variance
    along the leading principal components must not exceed that of the training rows by more than 3 %.

    Parameters
    ----------
    generator : HaplotypeGenerator
        Changed on the way.
    blocks : Blocks
    states : array of int8, shape (rows, sites)
        Training rows; the rows of a person follow one another.
    label : array of int, shape (rows,)
    axes : array (sites,), array (components, sites)
        Mean state and principal axes of the training rows.
    seed : int
    calibrate : bool
        Whether frequencies are raked at each sharpening that is tried.
    """
    per = generator.rows_per_person
    people = np.sort(np.random.default_rng([seed, 7]).permutation(len(states) // per)[: _COMPARED // per])
    real = np.maximum(states.T[:, (people[:, None] * per + np.arange(per)).ravel()].T, 0)
    sites = np.unique(np.linspace(0, states.shape[1] - 1, _COMPARED).astype(int))
    centre, components = axes
    device = generator.label_bias.device
    wanted = torch.as_tensor(label[people * per], device=device)

    def too_diverse(sharpening: float) -> bool:
        generator.sharpening.fill_(sharpening)
        if calibrate:
            rake(generator, RAKED_ROWS // 4, seed)
        generator.eval()
        with torch.no_grad():
            codes, _ = generator.people(wanted, torch.Generator().manual_seed(mixed_seed(seed, 8)))
        drawn = blocks.decode(codes.flatten(0, 1).cpu().numpy(), np.random.default_rng([seed, 9]))
        of_real, of_drawn = (((rows - centre) @ components.T).var(axis=0) for rows in (real, drawn))
        if (of_drawn / np.maximum(of_real, 1e-12)).mean() > 1.03:
            return False
        a, b = (rows[:, sites].astype(np.float32) for rows in (real, drawn))
        truth = (_nearest(a, b) > _nearest(a, a)).mean()
        synthetic = (_nearest(b, a) > _nearest(b, b)).mean()
        return bool(truth - max(synthetic, 0.5) > 0.02)

    low, high = 1.0, MOST_SHARPENING
    linked = np.mean([size > SINGLE_SITE for size in generator.sizes])
    if len(real) < 20 or linked < 0.5 or not too_diverse(low):
        return low
    for _ in range(4):
        middle = (low + high) / 2
        low, high = (middle, high) if too_diverse(middle) else (low, middle)
    return low


def _nearest(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the squared distance of each row of x to the nearest row of y (another one): differences, for 0/1."""
    found = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * x @ y.T
    if x is y:
        np.fill_diagonal(found, np.inf)
    return np.asarray(found.min(axis=1))
