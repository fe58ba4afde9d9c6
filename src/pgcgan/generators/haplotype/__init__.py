"""The haplotype model, in closed form and with numpy alone.

`blocks` cuts the sites into haplotype blocks and collects their codes, `code_model` is the distribution of rows of
codes given their label, `fitting` fits it, `drawing` draws codes and calibrates them, `model` puts them together.
`carriers` chooses how many people must carry what is kept, so that nobody is given away; `exclusive_sites` keeps sites
consistent that exclude each other.

`mixed_people` draws people of a mixture of labels. `private_model` is the model with differential privacy:
`private_counts` counts people and adds noise within a budget (`private_noise`), `private_estimates` turns noisy counts
into probabilities.
"""

from .model import HaplotypeModel
from .private_model import PrivateHaplotypeModel

__all__ = ["HaplotypeModel", "PrivateHaplotypeModel"]
