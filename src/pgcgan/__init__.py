"""Synthetic people for any label, from phased or unphased genotypes, with the evidence beside them.

`HaplotypeModel` counts the haplotypes that several people share; it is not a GAN. `PGcGAN` is a conditional GAN,
`PaperGAN` the published one; the other models are baselines.

The names below are the whole public surface. They are imported on first use, so that `import pgcgan` costs nothing and
only the conditional GAN imports torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .generators.baselines import SMOTE, IndependentSites, LiStephens, PCAGaussian
    from .generators.gan import PaperGAN, PGcGAN
    from .generators.haplotype import HaplotypeModel, PrivateHaplotypeModel
    from .genome import GenomeModel
    from .genotypes import Genotypes, concat
    from .io import read, read_panel, read_parents, read_split, write
    from .metrics import Evaluation, evaluate
    from .metrics.compare import compare
    from .metrics.gate import judge
    from .provenance import VERSION as __version__
    from .registry import load
    from .simulation import simulate
    from .thousand_genomes import fetch
    from .variants import Variants

_MODULES = {
    "genotypes": "Genotypes concat",
    "variants": "Variants",
    "io": "read write read_panel read_parents read_split",
    "simulation": "simulate",
    "thousand_genomes": "fetch",
    "generators.haplotype": "HaplotypeModel PrivateHaplotypeModel",
    "generators.gan": "PGcGAN PaperGAN",
    "generators.baselines": "IndependentSites LiStephens PCAGaussian SMOTE",
    "genome": "GenomeModel",
    "registry": "load",
    "metrics": "evaluate Evaluation",
    "metrics.compare": "compare",
    "metrics.gate": "judge",
}
_HOME = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = [*sorted(_HOME), "__version__"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module(".provenance", __name__).VERSION
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module("." + _HOME[name], __name__), name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        from .errors import MissingExtra

        raise MissingExtra("torch", "gan", f"pgcgan.{name}") from None


def __dir__() -> list[str]:
    return __all__
