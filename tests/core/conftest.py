import pytest
import torch

from ddpm_core import SAMPLERS, GaussianMixture
from ddpm_core.samplers.registry import VARIANCES

torch.set_num_threads(1)  # small tensors: more threads cost more than they bring, above all under pytest -n

OPTIONS = {"ddpm": [{"variance": v} for v in VARIANCES], "ddim": [{"eta": eta} for eta in (0.0, 0.5, 1.0)]}
VARIANTS = [(name, options) for name in SAMPLERS for options in OPTIONS.get(name, [{}])]


def _id(variant) -> str:
    name, options = variant
    return " ".join([name, *map(str, options.values())])


@pytest.fixture(params=VARIANTS, ids=_id)
def variant(request) -> tuple[str, dict]:
    """Every sampler of the registry under each of its options: (name, options)."""
    return request.param


@pytest.fixture(autouse=True)
def same_weights():
    """A new network draws its weights from torch's global generator."""
    torch.manual_seed(0)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def gaussian() -> GaussianMixture:
    """One Gaussian that is neither centred nor round: nothing in it is invisible by symmetry."""
    return GaussianMixture(1.0, [[2.0, -1.0]], [[[0.5, 0.3], [0.3, 0.4]]])
