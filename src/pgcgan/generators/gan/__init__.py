"""Conditional GANs: `PGcGAN`, which tilts a chain over haplotype blocks, and `PaperGAN`, the published networks.

The only package that needs torch. `trainer` is the loop, `tilt_training` a step of PGcGAN, `paper` everything of the
published GAN; `networks` and `losses` are what their names say.
"""

from .model import PGcGAN
from .paper import PaperGAN

__all__ = ["PGcGAN", "PaperGAN"]
