"""Against azula, written by others from the same papers: particle by particle, in float64, on its exact Gaussian.

Left out are those that differ by construction (docs/SOLVERS.md): azula integrates the straight line through two answers
where DPM-Solver++(2M) takes its middle (`dpmpp_2m`, and through its first steps `dpmpp_3m`), and its Langevin corrector
keeps the variance where ours follows the score. UniPC, the other Runge-Kutta methods and churn have no namesake there.
"""

import azula.denoise
import azula.noise
import azula.sample
import pytest
import torch
from azula.linalg.covariance import FullCovariance
from core_common import f64, normal

from ddpm_core import SAMPLERS, SCHEDULES, MixtureDenoiser, ParticleNoise, Schedule

DDPM, DDIM, EULER, HEUN, RHO_AB, TAB = (
    getattr(azula.sample, f"{name}Sampler") for name in ("DDPM", "DDIM", "Euler", "Heun", "zAB", "zEAB")
)
FLOW = SCHEDULES["flow"](20)
PATHS = {
    "linear": SCHEDULES["linear"](1000).subsample(20),
    "cosine": SCHEDULES["cosine"](30),
    "karras": SCHEDULES["karras"](20),
    "flow": Schedule(FLOW.alpha[:-1], FLOW.sigma[:-1]),  # it divides by alpha, which is 0 at the end
}
PAIRS = {  # its variance takes eta, ours eta^2 (Song et al., eq. 16)
    "ddpm": ("ddpm", {}, DDPM, {}),
    "ddim": ("ddim", {}, DDIM, {}),
    "ddim, half as noisy": ("ddim", {"eta": 0.5}, DDIM, {"eta": 0.25}),
    "ddim, all noise": ("ddim", {"eta": 1.0}, DDIM, {"eta": 1.0}),
    "euler": ("euler", {}, EULER, {}),
    "euler_ancestral": ("euler_ancestral", {}, DDPM, {}),
    "heun": ("heun", {}, HEUN, {}),
    "adams_bashforth": ("adams_bashforth", {}, RHO_AB, {"order": 2}),
    "deis": ("deis", {"order": 2}, TAB, {"order": 2}),
    "deis of order 3": ("deis", {"order": 3}, TAB, {"order": 3}),
}


class Levels(azula.noise.Schedule):
    """One of our schedules as one of theirs, whose time is our index."""

    def __init__(self, schedule):
        self.levels = schedule.alpha, schedule.sigma

    def __call__(self, t):
        return tuple(level[t.long()] for level in self.levels)


def difference(gaussian, path, pair, monkeypatch) -> float:
    """The largest one of 50 particles at the last level above data, where theirs end: they take log sigma."""
    (name, options, kind, their_options), schedule = PAIRS[pair], PATHS[path]
    noise = ParticleNoise(0, 50)
    fresh = lambda t: noise(t).double()  # noqa: E731
    (mean,), (covariance,) = gaussian.means, gaussian.covariances
    spread, axes = torch.linalg.eigh(covariance)
    exact = azula.denoise.GaussianDenoiser(mean, FullCovariance(axes, spread), Levels(schedule))
    walk = kind(exact, start=schedule.T, stop=1, steps=schedule.T - 1, silent=True, dtype=f64, **their_options)
    draws = map(fresh, range(schedule.T, 0, -1))
    monkeypatch.setattr(torch, "randn_like", lambda x: next(draws))
    start = schedule.scale[-1] * normal(50, 2)
    steps = SAMPLERS[name](MixtureDenoiser(gaussian), schedule, start, noise=fresh, **options)
    (ours,) = (step.x for step in steps if step.t == 1)
    return (ours - walk(start)).abs().max().item()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("pair", PAIRS)
def test_every_particle_ends_where_azula_puts_it(gaussian, pair, path, monkeypatch):
    """Two programs from the same papers rarely share a slip: this one knows nothing of ours."""
    assert difference(gaussian, path, pair, monkeypatch) < 1e-11


@pytest.mark.parametrize("pair", PAIRS)
def test_a_schedule_shifted_by_one_index_is_noticed(gaussian, pair, monkeypatch):
    """The usual slip with levels, on theirs: 9 orders of magnitude above the bound."""
    shifted = lambda self, t: tuple(level[(t.long() - 1).clamp(min=1)] for level in self.levels)  # noqa: E731
    monkeypatch.setattr(Levels, "__call__", shifted)
    assert difference(gaussian, "karras", pair, monkeypatch) > 1e-2
