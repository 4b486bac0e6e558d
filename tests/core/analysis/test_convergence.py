import math

import pytest
from core_common import close, normal

from ddpm_core import DATASETS, SCHEDULES, GaussianMixture, MixtureDenoiser, ParticleNoise, strong_error
from ddpm_core.analysis.convergence import fitted_order, local_errors, schedule_for_nfe
from ddpm_core.device import sample
from ddpm_core.samplers.exact_flow import exact_flow, exact_flow_between
from ddpm_core.samplers.registry import TRAITS
from ddpm_core.samplers.stepping import Counted

ROLL = DATASETS["swiss_roll"]()
KARRAS = SCHEDULES["karras"](200, 0.02, 20)
FIXED = [name for name, traits in TRAITS.items() if traits.per_step]
DETERMINISTIC = [name for name in FIXED if not TRAITS[name].stochastic]


def test_two_ways_make_the_whole_way():
    """The flow has no memory; local errors start it anew at every step."""
    schedule, x_T = SCHEDULES["cosine"](10), normal(100, 2)
    level, middle = schedule.levels, exact_flow_between(ROLL, x_T, schedule.levels[10], schedule.levels[4], steps=48)
    close(exact_flow_between(ROLL, middle, level[4], level[0], steps=48), exact_flow(ROLL, x_T, schedule), 1e-5)


def test_the_way_back_is_the_way():
    """The flow of an ODE can be undone: what is lost both ways is the integrator's own error."""
    x, here, there = normal(100, 2), (0.9, 0.4), (0.5, 2.0)
    away = exact_flow_between(ROLL, x, here, there, steps=64)
    close(exact_flow_between(ROLL, away, there, here, steps=64), x, 1e-6)


@pytest.mark.parametrize("nfe", [1, 2, 7, 20])
@pytest.mark.parametrize("name", FIXED)
def test_nobody_spends_more_than_is_there_and_one_step_more_would(name, nfe):
    """Solvers are compared at equal cost, so none may have more."""
    ask = Counted(MixtureDenoiser(ROLL))
    noise = ParticleNoise(0, 3)
    step = sample(name, ask, schedule_for_nfe(name, KARRAS, nfe), noise)
    assert step.t == 0 and step.nfe == ask.nfe <= nfe < ask.nfe + TRAITS[name].per_step


def test_a_power_law_has_its_order():
    """The order in the figure is this fit."""
    nfe = [10, 20, 40, 80]
    assert fitted_order(nfe, [3 * n**-2.5 for n in nfe]) == pytest.approx(2.5)


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_the_local_error_of_a_single_step_is_its_strong_error(name):
    """Of one step the two errors are the same distance."""
    schedule, noise = SCHEDULES["cosine"](1), ParticleNoise(1, 50)
    x_T = schedule.scale[-1] * noise.start()
    end = sample(name, MixtureDenoiser(ROLL), schedule, noise).x
    close(local_errors(name, ROLL, schedule, noise)[0], strong_error(end, exact_flow(ROLL, x_T, schedule)).value, 1e-4)


@pytest.mark.parametrize("name, order", [("ddim", 1), ("heun", 2), ("dpmpp_2m", 2), ("rk4", 4)])
def test_a_local_error_is_one_order_smaller_than_the_error(name, order):
    """Of T local errors of order p + 1 comes a global one of order p."""
    gaussian, noise = GaussianMixture(1.0, [[0.3, -0.2]], [[[1.0, 0.3], [0.3, 0.5]]]), ParticleNoise(0, 50)

    def middle(steps):
        errors = local_errors(name, gaussian, SCHEDULES["karras"](steps, 0.1, 10.0), noise)
        return errors[steps // 3 : 2 * steps // 3].square().mean().sqrt().item()

    assert math.log2(middle(40) / middle(80)) == pytest.approx(order + 1, abs=0.3)


@pytest.mark.parametrize("name", [name for name, traits in TRAITS.items() if traits.stochastic])
def test_what_follows_no_flow_has_no_local_error(name):
    with pytest.raises(ValueError, match=name):
        local_errors(name, ROLL, SCHEDULES["cosine"](2), ParticleNoise(0, 3))
