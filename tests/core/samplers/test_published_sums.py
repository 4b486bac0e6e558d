"""Against the sums that diffusers publishes: what its own tests expect of a whole loop, from numbers 0 .. 1 in a row.

The "network" answers x t / (t + 1). Left out are its UniPC and DEIS, which end on a lower order (docs/SOLVERS.md),
and its Euler, Heun and DPM-Solver-2: their tests go on from the input as scaled for the network, not from the sample.
"""

import math

import pytest
import torch
from core_common import f64

from ddpm_core import SAMPLERS, SCHEDULES, Prediction, Schedule

SHAPE = (4, 3, 8, 8)
START = (torch.arange(768, dtype=f64).reshape(3, 8, 8, 4) / 768).permute(3, 0, 1, 2)
EVERY = range(1001)
LEADING = (0, *range(1, 1000, 100))
LINSPACE = (0, 1, *(1 + round(999 * k / 10) for k in range(1, 11)))  # and the lowest level, where theirs ends


def end(name, levels, view, *, beta_min=1e-4, at=0, shift=0):
    """Where our sampler brings START on these of the 1000 linear levels.

    at: the level at which theirs stops; shift: by how many indices the table of levels is off.
    """
    full = SCHEDULES["linear"](1000, beta_min)
    keep = torch.tensor(sorted({t and max(t - shift, 1) for t in levels}))
    schedule = Schedule(full.alpha[keep], full.sigma[keep])
    timestep = {alpha: t - 1 + shift for alpha, t in zip(schedule.alpha.tolist(), keep.tolist(), strict=True)}
    generator = torch.manual_seed(0)

    def answers(x, alpha, sigma):
        t = timestep[alpha]
        said = Prediction.of(x, alpha, sigma, **{view: x * t / (t + 1)})
        return Prediction.of(x, alpha, sigma, x0=said.x0.clamp(-1, 1)) if name == "ddpm" else said  # theirs are clipped

    noise = lambda t: torch.randn(SHAPE, generator=generator).double()  # noqa: E731
    (x,) = (step.x for step in SAMPLERS[name](answers, schedule, START, noise=noise) if step.t == at)
    return x.abs()


# The published number, how near it is (their own tests ask for 1e-2 of a sum, 1e-3 of a mean), and the loop.
SUMS = {
    "ddpm": (258.9606, 1e-2, ("ddpm", EVERY, "eps"), {}),
    "ddpm of v": (202.0296, 1e-2, ("ddpm", EVERY, "v"), {}),
    "ddim": (172.0067, 1e-2, ("ddim", LEADING, "eps"), {}),
    "ddim of v": (52.5302, 1e-2, ("ddim", LEADING, "v"), {}),
    "ddim from beta 0.01": (149.8295, 1e-2, ("ddim", LEADING, "eps"), {"beta_min": 0.01}),
    "dpmpp_2m": (0.3301 * 768, 1e-4 * 768, ("dpmpp_2m", LINSPACE, "eps"), {"at": 1}),
    "dpmpp_2m of v": (0.2251 * 768, 1e-4 * 768, ("dpmpp_2m", LINSPACE, "v"), {"at": 1}),
}


@pytest.mark.parametrize("case", SUMS)
def test_a_whole_loop_ends_on_the_published_number(case):
    """A library that many depend on has pinned these for years. Levels off by one index end elsewhere."""
    published, tolerance, walk, options = SUMS[case]
    assert end(*walk, **options).sum().item() == pytest.approx(published, abs=tolerance)
    assert end(*walk, **options, shift=1).sum().item() != pytest.approx(published, abs=tolerance)


def preconditioned(x, alpha, sigma):
    """Their network inside EDM's coefficients, of the time log(sigma) / 4 (Karras et al. 2022, table 1)."""
    data, t = 0.5, math.log(sigma) / 4
    total = sigma**2 + data**2
    said = x / math.sqrt(total) * t / (t + 1)
    return Prediction.of(x, alpha, sigma, x0=data**2 / total * x + sigma * data / math.sqrt(total) * said)


@pytest.mark.parametrize("name", ["ddim", "euler"])
def test_edm_with_its_coefficients_ends_on_the_published_number(name):
    """Ten steps of Euler's method on the Karras path, the network preconditioned as in the paper."""
    start = math.sqrt(80**2 + 1) * START
    *_, step = SAMPLERS[name](preconditioned, SCHEDULES["karras"](10), start, noise=None)
    assert step.x.abs().sum().item() == pytest.approx(34.1855, abs=1e-3)
