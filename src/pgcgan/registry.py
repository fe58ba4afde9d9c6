"""The families of generators by name, and the one place that knows what a model directory holds."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .errors import MissingExtra, ModelError, UsageError
from .generators.parameters import check_names
from .generators.store import read_metadata

if TYPE_CHECKING:
    from .generators.generator import Generator

_HOMES = {
    "haplotype": ("generators.haplotype", "HaplotypeModel"),
    "private-haplotype": ("generators.haplotype", "PrivateHaplotypeModel"),
    "gan": ("generators.gan", "PGcGAN"),
    "paper": ("generators.gan", "PaperGAN"),
    "independent": ("generators.baselines", "IndependentSites"),
    "li-stephens": ("generators.baselines", "LiStephens"),
    "pca-gaussian": ("generators.baselines", "PCAGaussian"),
    "smote": ("generators.baselines", "SMOTE"),
    "windows": ("genome", "GenomeModel"),
}
MODELS = tuple(name for name in _HOMES if name != "windows")
BASELINES = ("independent", "li-stephens", "pca-gaussian", "smote")
NETWORKS = ("gan", "paper")


def family(name: str) -> type[Generator]:
    """Return the class of a family of generators, one of `MODELS`."""
    if name not in MODELS:
        raise UsageError(f"Unknown model {name!r}; accepted: {', '.join(MODELS)}.")
    return _class_of(name)


def create(name: str, label: str | Sequence[str] = "super_pop", *, seed: int = 0, **parameters: Any) -> Generator:
    """Return a generator that is not fitted yet, its parameters checked."""
    cls = family(name)
    check_names(parameters, cls.parameter_names(), f"The {name} model")
    generator = cls(label, seed=seed, **parameters)
    generator.check_parameters()
    return generator


def load(path: str | os.PathLike[str]) -> Generator:
    """Read a model directory, whatever family it holds.

    Parameters
    ----------
    path : path
        A directory that `save`, or `pgcgan train`, wrote.

    Returns
    -------
    Generator
        A `HaplotypeModel`, `PGcGAN`, `GenomeModel`, …

    Raises
    ------
    ModelError
        If it is not a finished model of this format, or is damaged.
    MissingExtra
        If the model needs torch, which is not installed.
    """
    name = read_metadata(path)["model"]
    if name not in _HOMES:
        raise ModelError(f"{os.fspath(path)} holds a model of the unknown kind {name!r}; update pgcgan.")
    return _class_of(name).load(path)


def _class_of(name: str) -> type[Generator]:
    module, class_name = _HOMES[name]
    try:
        return getattr(importlib.import_module(f".{module}", __package__), class_name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtra("torch", "gan", f"The {name} model") from None
