"""What several of the mathematics tests share."""

import torch
from torch import Tensor, nn

from ddpm_core import Schedule

f64 = torch.float64


def close(a, b, tolerance=1e-12):
    """Fails unless a and b (tensors, arrays or numbers) agree in float64, relatively or absolutely."""
    a, b = (torch.as_tensor(x, dtype=f64) for x in (a, b))
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def normal(*shape, seed=1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=f64)


def last(steps) -> Tensor:
    """The sample at the end of a walk."""
    *_, step = steps
    return step.x


def trig(T) -> Schedule:
    """A path that is smooth to both ends and curved: (cos, sin) of pi/2 t/T."""
    angle = torch.linspace(0, 1, T + 1, dtype=f64) * torch.pi / 2
    return Schedule(angle.cos(), angle.sin())


def roused(net: nn.Module) -> nn.Module:
    """With its last layer, which starts at zero, made to matter; in float64."""
    nn.init.normal_(net.out.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    return net.double()
