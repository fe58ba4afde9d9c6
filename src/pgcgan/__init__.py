"""pgcgan: artificial people for any label, from phased or unphased genotypes, with the evidence beside them.

The names below are the whole public surface. They are imported on first use, so that reading a VCF does not import
torch, and `import pgcgan` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .generators.model import PGcGAN
    from .genotypes import Genotypes, Variants, concat
    from .io import read, read_panel, read_split, write
    from .metrics import Evaluation, evaluate
    from .provenance import VERSION as __version__
    from .simulation import simulate
    from .thousand_genomes import fetch

_HOME = {
    "Genotypes": "genotypes",
    "Variants": "genotypes",
    "concat": "genotypes",
    "read": "io",
    "write": "io",
    "read_panel": "io",
    "read_split": "io",
    "simulate": "simulation",
    "fetch": "thousand_genomes",
    "PGcGAN": "generators.model",
    "evaluate": "metrics",
    "Evaluation": "metrics",
}

__all__ = [*sorted(_HOME), "__version__"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module(".provenance", __name__).VERSION
    if name in _HOME:
        return getattr(importlib.import_module("." + _HOME[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
