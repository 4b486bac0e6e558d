"""What a first reader would write from the papers is what the registry does, step by step."""

import pytest
from core_common import close, normal

from ddpm_core import DATASETS, SAMPLERS, SCHEDULES, MixtureDenoiser
from ddpm_core.samplers.by_hand import ddim_by_hand, ddpm_by_hand, heun_by_hand

MOONS = MixtureDenoiser(DATASETS["two_moons"]())
VARIANCE_PRESERVING = ("linear", "scaled_linear", "cosine", "sigmoid")


def noise(t):
    return normal(20, 2, seed=t)


def hold_equal(by_hand, steps):
    """At every step, in float64, up to rounding."""
    for x, step in zip(by_hand, steps, strict=True):
        close(x, step.x)


@pytest.mark.parametrize("schedule", VARIANCE_PRESERVING)
def test_ddpm(schedule):
    schedule, x_T = SCHEDULES[schedule](50), normal(20, 2)
    hold_equal(ddpm_by_hand(MOONS, schedule, x_T, noise=noise), SAMPLERS["ddpm"](MOONS, schedule, x_T, noise=noise))


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("schedule", VARIANCE_PRESERVING)
def test_ddim(schedule, eta):
    schedule, x_T = SCHEDULES[schedule](50), normal(20, 2)
    hold_equal(
        ddim_by_hand(MOONS, schedule, x_T, noise=noise, eta=eta),
        SAMPLERS["ddim"](MOONS, schedule, x_T, noise=noise, eta=eta),
    )


@pytest.mark.parametrize("T", [12, 40])
def test_heun(T):
    schedule = SCHEDULES["karras"](T)
    x_T = schedule.sigma[-1].item() * normal(20, 2)
    hold_equal(heun_by_hand(MOONS, schedule, x_T), SAMPLERS["heun"](MOONS, schedule, x_T, noise=noise))
