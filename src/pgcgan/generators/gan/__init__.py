"""Conditional GANs: `PGcGAN`, which tilts a chain over haplotype blocks, and `PaperGAN`, the published networks.

The only package that needs torch. `trainer` is the loop, `tilt_training` a step of PGcGAN, `paper` everything of the
published GAN; `networks` and `losses` are what their names say.
"""

import os

# read when torch is imported: by default its threads wait for each other by spinning, and on a machine that has other
# work each of them then waits for the other's turn
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from .model import PGcGAN
from .paper import PaperGAN

__all__ = ["PGcGAN", "PaperGAN"]
