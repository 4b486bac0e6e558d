import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from core_common import close, f64, normal, roused

from ddpm_core import DATASETS, MLP, SCHEDULES, GaussianMixture, MixtureDenoiser, NetworkDenoiser, load_checkpoint
from ddpm_core.analysis.likelihood import LEVELS, denoise_with_divergence, flow_log_prob
from ddpm_core.models.denoisers import TARGETS

ROOT = normal(4, 2, 2)
FULL = GaussianMixture([0.4, 0.3, 0.2, 0.1], normal(4, 2), 0.2 * ROOT @ ROOT.mT + 0.02 * torch.eye(2))
LEVEL = pytest.mark.parametrize("alpha, sigma", [(0.8, 0.6), (1.0, 0.2), (0.05, 1.0), (1.0, 5.0), (0.5, 0.5)])


def small(target="v"):
    return NetworkDenoiser(roused(MLP(width=16, depth=2)), target)


# ---- divergence ----


def divergence(denoiser, x, alpha, sigma):
    return denoise_with_divergence(denoiser, x, alpha, sigma)[1]


@LEVEL
@pytest.mark.parametrize("mixture", [FULL, DATASETS["two_moons"]()], ids=["full", "round"])
def test_divergence_of_an_exact_denoiser_is_the_trace_of_its_jacobian(mixture, alpha, sigma):
    """By differentiation of the closed form, where the code has its variance."""
    x = alpha * mixture.means[:4] + sigma * normal(4, 2)
    slope = torch.autograd.functional.jacobian(lambda x: mixture.denoise(x, alpha, sigma).sum(0), x)  # [D, n, D]
    close(divergence(MixtureDenoiser(mixture), x, alpha, sigma), slope.diagonal(dim1=0, dim2=2).sum(-1), 1e-9)


@LEVEL
@pytest.mark.parametrize("target", TARGETS)
def test_divergence_of_a_network_is_what_finite_differences_find(target, alpha, sigma):
    """The log density is an integral of it."""
    denoiser, x, h = small(target), normal(9, 2), 1e-5
    moved = [(denoiser(x + d, alpha, sigma).x0 - denoiser(x - d, alpha, sigma).x0) / (2 * h) for d in h * torch.eye(2)]
    close(divergence(denoiser, x, alpha, sigma), moved[0][:, 0] + moved[1][:, 1], 1e-7)


def test_any_denoiser_will_do_in_any_number_of_dimensions():
    """An exact one that is not known to be exact has the same divergence as the closed form."""
    mixture = GaussianMixture(1.0, normal(3, 4), torch.diag_embed(0.1 + normal(3, 4) ** 2))
    exact, x = MixtureDenoiser(mixture), normal(5, 4)
    close(divergence(exact.__call__, x, 0.8, 0.6), divergence(exact, x, 0.8, 0.6), 1e-10)


# ---- likelihood ----


@pytest.mark.parametrize(
    "mixture", [FULL, DATASETS["swiss_roll"](), DATASETS["ink_drop"]()], ids=["full", "swiss roll", "ink drop"]
)
def test_the_flow_finds_the_exact_log_density(mixture, generator):
    """At data, beside them, and in the empty plane between two arms, where the flow divides: as near as it says."""
    x = mixture.sample(30, generator=generator)
    x = torch.cat([x, x + 1.5 * mixture.variances.min().sqrt() * normal(30, 2), normal(10, 2)])
    found = flow_log_prob(MixtureDenoiser(mixture), x)
    assert found.error.max() < 1e-2
    error = (found.log_prob - mixture.log_prob(x)).abs()
    assert error[:30].max() < 1e-3 and error[:60].max() < 0.05 and (error / mixture.log_prob(x).abs()).max() < 1e-3


def test_between_two_arms_it_says_how_wrong_it_may_be():
    """Steps that serve well at data were off by 18 nats at this point of the Swiss roll, and nobody was told."""
    roll, x = DATASETS["swiss_roll"](), torch.tensor([[-0.5, 0.25]], dtype=f64)
    coarse = flow_log_prob(MixtureDenoiser(roll), x, tolerance=math.inf)
    assert coarse.error > (coarse.log_prob - roll.log_prob(x)).abs() > 10
    found = flow_log_prob(MixtureDenoiser(roll), x)
    assert found.error < 1e-2 and (found.log_prob - roll.log_prob(x)).abs() < 1e-2


def flow_map(gaussian, x0, lam):
    """From data to each of lam for one Gaussian: a m + (a^2 C + s^2 I)^(1/2) C^(-1/2) (x0 - m) (MATH.md 2.7)."""
    variances, axes = torch.linalg.eigh(gaussian.covariance)
    a, s = ((c * lam).sigmoid().sqrt()[:, None, None] for c in (2, -2))
    stretch = ((a**2 * variances + s**2) / variances).sqrt()
    return a * gaussian.mean + (x0 - gaussian.mean) @ axes * stretch @ axes.T  # [L, n, D]


def test_the_path_is_the_closed_form_of_a_gaussian(gaussian):
    """The one case in which the whole path is known."""
    x0 = gaussian.mean + normal(20, 2)
    path = flow_log_prob(MixtureDenoiser(gaussian), x0).path
    close(path, flow_map(gaussian, x0, LEVELS), 2e-5)


def fitted_slope(x, errors):
    return np.polyfit(x, np.log(errors), 1)[0]


def test_it_converges_with_the_fourth_power_of_the_step(gaussian):
    """As a Runge-Kutta method of order 4 must; a slip in one stage costs an order."""
    x0 = gaussian.mean + normal(20, 2)

    def at(N):
        lam = torch.linspace(3, -4, N + 1, dtype=f64)
        found = flow_log_prob(MixtureDenoiser(gaussian), x0, lam, tolerance=math.inf)
        return found.log_prob, found.path[-1]

    counts, fine = [20, 40, 80], at(250)
    for errors in zip(*([(a - b).norm() for a, b in zip(at(N), fine, strict=True)] for N in counts), strict=True):
        assert fitted_slope(np.log(counts), errors) == pytest.approx(-4, abs=0.15)


def test_the_data_end_is_off_by_the_fourth_power_of_its_noise(gaussian):
    """sigma is exp(-lam) there; steps and noise end are fine enough not to matter."""
    x0, starts, errors = gaussian.mean + normal(20, 2), [2.5, 3.0, 3.5], []
    for start in starts:
        lam = torch.cat([torch.linspace(start, -5, 120), torch.linspace(-5.3, -14, 30)]).to(f64)
        errors.append((flow_log_prob(MixtureDenoiser(gaussian), x0, lam).log_prob - gaussian.log_prob(x0)).norm())
    assert fitted_slope(starts, errors) == pytest.approx(-4, abs=0.25)


def test_what_a_schedule_leaves_in_its_noise_is_part_of_the_model(gaussian):
    """N(0, I) is not the law of such an x_T, so the flow makes another Gaussian of it than the data."""
    schedule, x0 = SCHEDULES["linear"](300), normal(9, 2)
    assert schedule.terminal_snr > 0.04
    end = flow_map(gaussian, x0, schedule.lam[-1:])[0]
    standard = torch.distributions.Normal(0.0, 1.0).log_prob(end).sum(-1)
    variances = torch.linalg.eigvalsh(gaussian.covariance)
    volume = 0.5 * ((schedule.alpha_bar[-1] * variances + 1 - schedule.alpha_bar[-1]) / variances).log().sum()
    close(flow_log_prob(MixtureDenoiser(gaussian), x0, schedule.lam[1:]).log_prob, standard + volume, 1e-4)


def test_whatever_a_network_says_its_density_integrates_to_one():
    """The flow moves mass, it makes none: the trapezoidal rule over a square that holds all of it."""
    axis = torch.linspace(-6, 6, 41, dtype=f64)
    log_prob = flow_log_prob(small(), torch.cartesian_prod(axis, axis)).log_prob
    assert log_prob.std() > 1
    assert log_prob.exp().sum() * 0.3**2 == pytest.approx(1, abs=1e-4)


def test_a_trained_network_knows_the_density_nearly_and_single_precision_is_enough(generator):
    moons, learned = DATASETS["two_moons"](), load_checkpoint("two_moons")
    x = moons.sample(100, generator=generator)
    log_prob = flow_log_prob(learned, x.float()).log_prob
    assert 0 < (moons.log_prob(x) - log_prob).mean() + 0.05 < 0.15
    precise = NetworkDenoiser(learned.net.double(), learned.target)
    assert (log_prob - flow_log_prob(precise, x).log_prob).abs().max() < 2e-3


@pytest.mark.parametrize("lam", [[1.0, 2.0], [1.0, 1.0], [math.inf, 0.0], [1.0, -math.inf], [], [[1.0, 0.0]]])
def test_levels_must_fall_and_be_finite(lam):
    with pytest.raises(ValueError, match="finite half-log-SNRs that fall"):
        flow_log_prob(MixtureDenoiser(FULL), torch.zeros(1, 2), torch.tensor(lam))


def test_threads_may_ask_at_once():
    """The lab answers several people at a time; torch's forward mode, for one, would mix them up."""
    denoiser, x = load_checkpoint("two_moons"), torch.tensor([[0.3, -0.2], [1.0, 0.5]])
    alone = divergence(denoiser, x, 0.8, 0.6)
    with ThreadPoolExecutor(4) as people:
        together = list(people.map(lambda _: [divergence(denoiser, x, 0.8, 0.6) for _ in range(50)], range(4)))
    assert all(torch.equal(answer, alone) for answers in together for answer in answers)
