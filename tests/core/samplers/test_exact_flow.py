import math

import pytest
import torch
from core_common import close, f64, last, normal
from saboteurs import wider

from ddpm_core import DATASETS, SAMPLERS, SCHEDULES, GaussianMixture, MixtureDenoiser, Schedule, excess_nll
from ddpm_core.samplers.exact_flow import ACCURACY, exact_flow, exact_flow_between

ROLL = DATASETS["swiss_roll"]()
TO_NOISE = SCHEDULES["flow"](1)  # ends at alpha = 0

# Every way to end: no signal left, almost none, far too much, exploding variance, a path of no particular scale.
ENDS = pytest.mark.parametrize("alpha, sigma", [(0.0, 1.0), (0.006, 1.0), (0.8, 0.6), (1.0, 80.0), (0.3, 0.2)])


def ending_at(alpha, sigma):
    return Schedule(torch.tensor([1, alpha], dtype=f64), torch.tensor([0, sigma], dtype=f64))


def gaussian_map(gaussian, x, alpha, sigma):
    """m + R_0 R_T^{-1} (x - alpha m), where R_t is the root of alpha^2 C + sigma^2 I; in the eigenbasis, a division."""
    (m,), (C,) = gaussian.means, gaussian.covariances
    variances, axes = torch.linalg.eigh(C)
    return m + ((x - alpha * m) @ axes * (variances / (alpha**2 * variances + sigma**2)).sqrt()) @ axes.mT


def rms(x):
    return x.square().sum(-1).mean().sqrt().item()


@ENDS
def test_the_flow_of_a_gaussian_is_its_closed_form(gaussian, alpha, sigma):
    """The one law whose flow is known by hand."""
    schedule = ending_at(alpha, sigma)
    x_T = schedule.scale[-1] * normal(500, 2)
    close(exact_flow(gaussian, x_T, schedule), gaussian_map(gaussian, x_T, alpha, sigma), 1e-7)


def test_a_thin_gaussian_in_three_dimensions_has_no_worse_an_answer():
    axes = torch.linalg.qr(normal(3, 3)).Q
    thin = GaussianMixture(
        1.0, normal(1, 3), (axes @ torch.diag(torch.tensor([4, 0.1, 1e-4], dtype=f64)) @ axes.mT)[None]
    )
    x_T = normal(200, 3)
    close(exact_flow(thin, x_T, TO_NOISE), gaussian_map(thin, x_T, 0.0, 1.0), 1e-5)


def test_it_is_of_fourth_order():
    """As a Runge-Kutta method of order 4 must be; a slip in one stage costs an order."""
    x_T = normal(200, 2)
    reference = exact_flow(ROLL, x_T, TO_NOISE, steps=256)
    errors = [rms(exact_flow(ROLL, x_T, TO_NOISE, steps=steps) - reference) for steps in (32, 64)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(4, abs=0.4)


@pytest.mark.parametrize("name", DATASETS)
def test_it_is_as_accurate_as_it_says(name):
    """By step halving, of points enough to find each bend. The rest of the series, a fifteenth, is not worth a word."""
    mixture, x_T = DATASETS[name](), normal(80, 2)
    change = exact_flow(mixture, x_T, TO_NOISE) - exact_flow(mixture, x_T, TO_NOISE, steps=128)
    assert rms(change) < ACCURACY and change.norm(dim=-1).median() < ACCURACY / 100


def test_two_stretches_of_the_way_are_the_whole_way():
    """T -> t -> 0: the law at t is the data of a path of its own, which ends at T."""
    schedule = SCHEDULES["linear"](40, rescale=True)
    t, x_T = 15, schedule.scale[-1] * normal(200, 2)
    here = ROLL.noised(schedule.alpha[t].item(), schedule.sigma[t].item())
    x_t = exact_flow(here, x_T, ending_at(*schedule.transition(t, schedule.T)))
    whole = exact_flow(ROLL, x_T, schedule)
    assert rms(exact_flow(ROLL, x_t, Schedule(schedule.alpha[: t + 1], schedule.sigma[: t + 1])) - whole) < 3 * ACCURACY


def test_what_lies_between_the_ends_does_not_matter():
    """Two schedules that end at the same signal-to-noise ratio, one with alpha = 1, carry noise to the same points."""
    z = normal(200, 2)
    exploding = ending_at(1.0, 50.0)
    preserving = ending_at(*(v.item() for v in (exploding.alpha[-1] / exploding.scale[-1], 50 / exploding.scale[-1])))
    close(exact_flow(ROLL, exploding.scale[-1] * z, exploding), exact_flow(ROLL, z, preserving), 1e-9)


@pytest.mark.parametrize(
    "name, n", [("swiss_roll", 1000)] + [pytest.param(name, 10_000, marks=pytest.mark.slow) for name in DATASETS]
)
def test_noise_arrives_as_data(name, n):
    """Every other sampler is measured by it."""
    mixture = DATASETS[name]()
    x = exact_flow(mixture, normal(n, 2), TO_NOISE, steps=16)
    ours, twin = (excess_nll(samples, mixture) for samples in (x, wider(x)))
    assert abs(ours.value) < 3 * ours.floor and abs(twin.value) > 3 * twin.floor


def test_ddim_converges_to_it():
    """A first-order sampler: half the error with twice the steps."""
    mixture, z = DATASETS["eight_gaussians"](), normal(300, 2)
    errors = []
    for T in (100, 200):
        schedule = SCHEDULES["cosine"](T)
        x_T = schedule.scale[-1] * z
        sample = last(SAMPLERS["ddim"](MixtureDenoiser(mixture), schedule, x_T, noise=lambda t: 0 * z))
        errors.append(rms(sample - exact_flow(mixture, x_T, schedule)))
    assert errors[1] < 0.02 and errors[0] / errors[1] == pytest.approx(2, abs=0.4)


def test_float32_and_each_particle_alone_give_the_same():
    x_T = normal(50, 2).float()
    together = exact_flow(ROLL, x_T, TO_NOISE, steps=16)
    assert together.dtype == f64
    close(exact_flow(ROLL, x_T[7:9].double(), TO_NOISE, steps=16), together[7:9], 1e-9)


def test_the_flow_ends_at_point_masses():
    """Each particle at one of them; and as the limit of ever smaller bandwidths, whatever the other components are."""
    points, x_T = normal(40, 2), normal(200, 2, seed=1)
    end = exact_flow(GaussianMixture(1.0, points, 0.0), x_T, TO_NOISE)
    assert torch.cdist(end, points).amin(1).max() < 1e-6
    some = torch.where(torch.arange(40) % 2 == 0, 0.0, 0.01)
    ends = [exact_flow(GaussianMixture(1.0, points, some.clamp(min=h**2)), x_T, TO_NOISE) for h in (0, 1e-2, 1e-3)]
    pointed = torch.cdist(ends[0], points[::2]).amin(1) < 1e-6
    errors = [(ends[0] - other)[pointed].norm(dim=-1).median().item() for other in ends[1:]]
    assert errors[0] / errors[1] == pytest.approx(10, rel=0.1)


def test_no_flow_leaves_point_masses():
    with pytest.raises(ValueError, match="point masses"):
        exact_flow_between(GaussianMixture(1.0, normal(3, 2), [0.1, 0.0, 0.1]), normal(5, 2), (1.0, 0.0), (0.6, 0.8))
