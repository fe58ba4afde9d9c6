"""Conditional GANs: `PGcGAN`, which tilts a chain over haplotype blocks, and `PaperGAN`, the published networks.

The only package that needs torch. `trainer` is the loop, `tilt_training` a step of PGcGAN, `paper` everything of the
published GAN.
"""

import os

# read when torch is imported: its threads wait for each other by spinning, and on a machine that has other work each of
# them keeps the other from its turn; this many rounds are as quick on a quiet machine
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

from .model import PGcGAN
from .paper import PaperGAN

__all__ = ["PGcGAN", "PaperGAN"]
