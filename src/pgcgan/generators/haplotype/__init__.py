"""The haplotype model, in closed form and with numpy alone.

`blocks` cuts the sites into haplotype blocks and collects their codes, `code_model` is the distribution of rows of
codes given their label, `calibration` sets code frequencies and temperature after the fit, `model` puts them together.
`membership` chooses how many people must carry a run, so that nobody is given away; `exclusive_sites` keeps sites
consistent that exclude each other.

`mixed_people` draws people of a mixture of labels. `private_model` is the model with differential privacy:
`private_counts` counts people and adds noise (`discrete_gaussian`) within a `privacy_budget`, `private_estimates` turns
noisy counts into probabilities.
"""

from .blocks import UNKNOWN, Blocks, find_blocks
from .code_model import CodeModel
from .drawing import CodeSampler
from .exclusive_sites import ExclusiveSites
from .fitting import fit_code_model
from .model import HaplotypeModel
from .person_ancestry import KnownAncestry, known_ancestry, shared_components
from .private_model import PrivateHaplotypeModel

__all__ = [
    "UNKNOWN",
    "Blocks",
    "CodeModel",
    "CodeSampler",
    "ExclusiveSites",
    "HaplotypeModel",
    "KnownAncestry",
    "PrivateHaplotypeModel",
    "find_blocks",
    "fit_code_model",
    "known_ancestry",
    "shared_components",
]
