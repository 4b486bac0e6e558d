"""Solvers against the exact flow of one Gaussian, and against an independent implementation."""

import math
from functools import partial
from itertools import pairwise

import diffusers
import pytest
import torch
from core_common import close, f64, last, normal
from saboteurs import without_a_mode
from scipy import integrate

from ddpm_core import (
    DATASETS,
    SAMPLERS,
    SCHEDULES,
    GaussianMixture,
    MixtureDenoiser,
    ParticleNoise,
    Prediction,
    Schedule,
    fitted_order,
    permutation_band,
    schedules,
    sliced_w2,
)
from ddpm_core.metrics.registry import mode_coverage
from ddpm_core.samplers.exact_flow import exact_flow
from ddpm_core.samplers.parallel_in_time import picard_sweeps
from ddpm_core.samplers.registry import TRAITS, steps_for

# numpy's complaints about how diffusers makes and reads its tables
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation", "ignore:__array_wrap__ must accept")
MEAN, COVARIANCE = torch.tensor([0.6, -0.3], dtype=f64), torch.tensor([[0.5, 0.3], [0.3, 0.4]], dtype=f64)
GAUSSIAN = MixtureDenoiser(GaussianMixture(1.0, MEAN[None], COVARIANCE[None]))
ROLL = MixtureDenoiser(DATASETS["swiss_roll"]())
ONE_STEP = {name for name, traits in TRAITS.items() if traits.order and traits.per_step}


even_in_lam = partial(schedules.even_in_lam, lam_min=-5.0, lam_max=2.5)


def flow_map(x: torch.Tensor, schedule: Schedule, t: int) -> torch.Tensor:
    """a_t m + R_t R_T^-1 (x - a_T m) with R = (a^2 C + s^2 I)^(1/2): where the exact flow carries x_T."""
    values, axes = torch.linalg.eigh(COVARIANCE)

    def widths(k):
        return (schedule.alpha[k] ** 2 * values + schedule.sigma[k] ** 2).sqrt()

    turned = (x - schedule.alpha[-1] * MEAN) @ axes * (widths(t) / widths(-1))
    return turned @ axes.T + schedule.alpha[t] * MEAN


def largest_error(name: str, nfe: int) -> float:
    """Over the levels t >= 1, of the root mean square distance to the flow map (Hairer, Norsett & Wanner 1993, II.3).

    Not at t = 1 alone, where errors made on the way may cancel: an order is a promise for every level. Nor at t = 0:
    the stride into data is infinite in lam and of no order.
    """
    schedule, x_T = even_in_lam(steps_for(name, nfe)), normal(200, 2)
    walk = SAMPLERS[name](GAUSSIAN, schedule, x_T, noise=None)
    distances = ((step.x - flow_map(x_T, schedule, step.t)).square().mean().sqrt() for step in walk if step.t > 0)
    return max(distances).item()


@pytest.mark.parametrize("name", sorted(ONE_STEP - {"euler_velocity"}))
def test_order_on_a_gaussian(name):
    """The slope of log error over log nfe, fitted to 40 .. 320, is what the theory promises: to 0.1 up to order 3.

    Methods of order 4 come to it from above, so they are nearer at the fine end.
    """
    order, counts = TRAITS[name].order, [40, 80, 160, 320]
    errors = [largest_error(name, nfe) for nfe in counts]
    assert fitted_order(counts, errors) == pytest.approx(order, abs=0.1 if order <= 3 else 0.2)
    assert fitted_order(counts[-2:], errors[-2:]) == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize("name", ["heun", "dpm_solver_2", "dpmpp_2m", "adams_bashforth"])
def test_second_order_on_a_mixture(name):
    """Between nfe = 160 and 320, against 3,000 steps of the same method's most accurate relative."""
    x_T, denoiser = normal(60, 2), MixtureDenoiser(DATASETS["eight_gaussians"]())

    def end(sampler, T):
        (x,) = (s.x for s in SAMPLERS[sampler](denoiser, even_in_lam(T), x_T, noise=None) if s.t == 1)
        return x

    truth = end("rk4", 600)
    errors = [(end(name, steps_for(name, nfe)) - truth).square().mean().sqrt().item() for nfe in (160, 320)]
    assert math.log2(errors[0] / errors[1]) > 1.7


# ---- against diffusers ----


def betas_and_levels(kind, steps, *, into_data=True, **options):
    """One of their schedulers on the 1000 linear betas, and our schedule of the levels it visits; our float64 table.

    Those that cannot go into data end at the first level above it, and their last steps are told to keep their order.
    """
    if not into_data:
        options = options | {"lower_order_final": False}
    theirs = kind(1000, beta_schedule="linear", timestep_spacing="trailing", prediction_type="sample", **options)
    theirs.set_timesteps(steps)
    full = SCHEDULES["linear"](1000)
    keep = torch.cat([torch.arange(1 if into_data else 2), theirs.timesteps.flip(0) + 1])
    schedule = Schedule(full.alpha[keep], full.sigma[keep])
    theirs.sigmas = (schedule.sigma / schedule.alpha).flip(0)[: steps + 1]
    return theirs, schedule


def asked_points(name, schedule, x_T, **options):
    """The points at which a solver asks the exact denoiser of the roll, one after the other, and the sample."""
    points = []

    def recording(x, alpha, sigma):
        points.append(x)
        return ROLL(x, alpha, sigma)

    sample = last(SAMPLERS[name](recording, schedule, x_T, **options))
    return [*points, sample]


DPM, UNIPC, DEIS = (
    diffusers.DPMSolverMultistepScheduler,
    diffusers.UniPCMultistepScheduler,
    diffusers.DEISMultistepScheduler,
)


@pytest.mark.parametrize("steps", [10, 25])
@pytest.mark.parametrize(
    "name, options, kind, their_options",
    [
        ("dpmpp_2m", {}, DPM, {"algorithm_type": "dpmsolver++", "final_sigmas_type": "zero"}),
        ("dpmpp_2m_sde", {}, DPM, {"algorithm_type": "sde-dpmsolver++", "final_sigmas_type": "zero"}),
        ("unipc_2", {}, UNIPC, {"solver_order": 2, "final_sigmas_type": "zero"}),
        ("unipc_2", {}, UNIPC, {"solver_order": 2, "into_data": False}),
        ("unipc_3", {}, UNIPC, {"solver_order": 3, "into_data": False}),
        ("deis", {"order": 2}, DEIS, {"solver_order": 2, "into_data": False}),
        ("deis", {}, DEIS, {"solver_order": 3, "into_data": False}),
    ],
)
def test_agrees_with_diffusers(name, options, kind, their_options, steps):
    """The same points to 1e-5 with the same answers and the same noise, from noise to their last level."""
    theirs, schedule = betas_and_levels(kind, steps, **their_options)
    noise = ParticleNoise(0, 20)
    ours = asked_points(name, schedule, noise.start().double(), noise=noise, **options)
    x, t = ours[0], schedule.T
    for timestep, there in zip(theirs.timesteps, ours[1 : steps + 1], strict=True):
        extra = {"variance_noise": noise(t)} if "sde" in name else {}
        answer = ROLL(x, schedule.alpha[t].item(), schedule.sigma[t].item()).x0
        x, t = theirs.step(answer, timestep, x, **extra).prev_sample, t - 1
        close(there, x, 1e-5)


@pytest.mark.parametrize("power, share", [(0, 1.0), (1, 1.0), (2, 0.5)])
def test_dpmpp_3m_of_diffusers_has_half_the_parabola(power, share):
    """Where x0-hat is (lam - lam_s)^power it is known what a step from s must do: an integral. Ours does it.

    So does theirs for constants and straight lines, the parabola it counts half; the first two steps, which have no
    parabola yet, agree. Only the third is looked at, and only what x0-hat adds to it.
    """
    theirs, schedule = betas_and_levels(DPM, 3, into_data=False, solver_order=3, final_sigmas_type="sigma_min")
    lam, s = schedule.lam.tolist(), 2

    def answer(x, alpha, sigma):
        return Prediction.of(x, alpha, sigma, x0=torch.full_like(x, (math.log(alpha / sigma) - lam[s]) ** power))

    walk = list(SAMPLERS["dpmpp_3m"](answer, schedule, normal(9, 2), noise=None))
    for timestep, (here, there) in zip(theirs.timesteps, pairwise(walk), strict=False):
        x = theirs.step(here.prediction.x0, timestep, here.x).prev_sample
        if here.t != s:
            close(there.x, x, 1e-5)
            continue
        rest = schedule.sigma[1] / schedule.sigma[s] * here.x
        pull = lambda u: math.exp(u - lam[1]) * (u - lam[s]) ** power  # noqa: E731
        exact = schedule.alpha[1] * integrate.quad(pull, lam[s], lam[1])[0]
        close(there.x - rest, exact.expand(9, 2), 1e-9)
        close(x - rest, share * exact.expand(9, 2), 1e-5)


def test_dpmpp_3m_of_diffusers_is_of_order_two():
    """Which is what the half costs; on the Gaussian on which ours is of order three."""
    errors, x_T = [], normal(200, 2)
    for T in (160, 320):
        schedule, x = even_in_lam(T), x_T
        options = dict(solver_order=3, lower_order_final=False, final_sigmas_type="sigma_min")
        theirs = DPM(1000, prediction_type="sample", **options)
        theirs.set_timesteps(T - 1)
        theirs.sigmas = (schedule.sigma / schedule.alpha).flip(0)[:T]
        for t, timestep in zip(range(T, 1, -1), theirs.timesteps, strict=True):
            answer = GAUSSIAN(x, schedule.alpha[t].item(), schedule.sigma[t].item()).x0
            x = theirs.step(answer, timestep, x).prev_sample
        errors.append((x - flow_map(x_T, schedule, 1)).square().mean().sqrt().item())
    assert math.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.1)


def test_heun_agrees_with_diffusers():
    """On the Karras path, two of their calls a step."""
    steps = 12
    theirs = diffusers.HeunDiscreteScheduler(1000, beta_schedule="linear", prediction_type="sample")
    schedule = SCHEDULES["karras"](steps)
    theirs.set_timesteps(steps)
    sigmas = schedule.sigma.flip(0)
    theirs.sigmas = torch.cat([sigmas[:1], sigmas[1:-1].repeat_interleave(2), sigmas[-1:]])
    x = schedule.sigma[-1] * normal(20, 2)
    walk = list(SAMPLERS["heun"](ROLL, schedule, x, noise=None))
    for index, timestep in enumerate(theirs.timesteps):
        x = theirs.step(ROLL(x, 1.0, theirs.sigmas[index].item()).x0, timestep, x).prev_sample
    close(walk[-1].x, x, 1e-5)


def test_dpm_solver_2_agrees_with_diffusers():
    """On the Karras path, two of their calls a step, but one into data, whose middle is its end."""
    schedule = SCHEDULES["karras"](12)
    theirs = diffusers.KDPM2DiscreteScheduler(1000, beta_schedule="linear")
    theirs.set_timesteps(12)
    sigmas = schedule.sigma.flip(0)
    middles = sigmas[1:].log().lerp(sigmas[:-1].log(), 0.5).exp()
    theirs.sigmas = torch.cat([sigmas[:1], sigmas[1:].repeat_interleave(2)])
    theirs.sigmas_interpol = torch.cat([sigmas[:1], middles.repeat_interleave(2)])
    x_T = schedule.sigma[-1] * normal(20, 2)
    walk = list(SAMPLERS["dpm_solver_2"](ROLL, schedule, x_T, noise=None))
    x, calls = x_T, iter(theirs.timesteps)
    for i, (here, there) in enumerate(pairwise(walk)):
        for sigma in (schedule.sigma[here.t].item(), middles[i].item())[: min(here.t, 2)]:
            x = theirs.step(ROLL(x, 1.0, sigma).eps, next(calls), x).prev_sample
        close(there.x, x, 1e-5)


def draws(monkeypatch, module, z):
    """Let the scheduler in this module of theirs draw z."""
    monkeypatch.setattr(module, "randn_tensor", lambda *args, **kwargs: z)


def test_euler_ancestral_agrees_with_diffusers(monkeypatch):
    """On the Karras path, step by step with the same noise."""
    schedule, noise = SCHEDULES["karras"](12), ParticleNoise(0, 20)
    theirs = diffusers.EulerAncestralDiscreteScheduler(1000, beta_schedule="linear")
    theirs.set_timesteps(12)
    theirs.sigmas, theirs.is_scale_input_called = schedule.sigma.flip(0), True
    walk = list(SAMPLERS["euler_ancestral"](ROLL, schedule, schedule.sigma[-1] * normal(20, 2), noise=noise))
    for timestep, (here, there) in zip(theirs.timesteps, pairwise(walk), strict=True):
        draws(monkeypatch, diffusers.schedulers.scheduling_euler_ancestral_discrete, noise(here.t))
        close(there.x, theirs.step(here.prediction.eps, timestep, here.x).prev_sample, 1e-5)


def test_edm_stochastic_is_their_euler_with_churn_and_then_their_heun(monkeypatch):
    """They churn in Euler's method only. Ours asks a second time exactly where that one arrives; what follows is Heun.

    Heun's step is theirs too, from the churned point and level. They churn before the step into data as well, we never:
    here the lowest level lies below s_tmin.
    """
    schedule, noise = SCHEDULES["karras"](12), ParticleNoise(0, 20)
    start = schedule.sigma[-1].item() * noise.start()
    churn, low, high, inflation = 3.0, 0.05, 50.0, 1.01
    points = asked_points(
        "edm_stochastic", schedule, start,
        noise=noise, churn=churn, churn_min=low, churn_max=high, inflation=inflation,
    )  # fmt: skip
    euler = diffusers.EDMEulerScheduler(sigma_min=0.002, sigma_max=80.0)
    euler.set_timesteps(12)
    euler.sigmas, euler.is_scale_input_called = schedule.sigma.flip(0), True
    x, churned = start, 0
    for t, timestep in zip(range(12, 0, -1), euler.timesteps, strict=True):
        draws(monkeypatch, diffusers.schedulers.scheduling_edm_euler, noise(t))
        stirred, sigma, after = points.pop(0), schedule.sigma[t].item(), schedule.sigma[t - 1].item()
        if low <= sigma <= high:
            sigma, churned = sigma * (1 + churn / 12), churned + 1
        answer, options = ROLL(stirred, 1.0, sigma).x0, dict(s_churn=churn, s_tmin=low, s_tmax=high, s_noise=inflation)
        predicted = euler.step(x, timestep, x, pred_original_sample=answer, **options).prev_sample
        close(points[0], predicted, 1e-5)
        if t > 1:
            heun = diffusers.HeunDiscreteScheduler(1000, beta_schedule="linear", prediction_type="sample")
            heun.set_timesteps(2)
            heun.sigmas = torch.tensor([sigma, after, after, 0.0], dtype=f64)
            heun.step(answer, heun.timesteps[0], stirred)
            predicted = points.pop(0)
            x = heun.step(ROLL(predicted, 1.0, after).x0, heun.timesteps[1], predicted).prev_sample
    assert len(points) == 1 and 3 < churned < 11


# ---- what is special about one ----


def test_euler_ancestral_is_ddim_with_eta_one():
    """Two names of one method, written twice here."""
    schedule, noise = SCHEDULES["karras"](20), ParticleNoise(0, 9)
    start = schedule.scale[-1] * normal(9, 2)
    variants = (("euler_ancestral", {}), ("ddim", {"eta": 1.0}))
    walks = (SAMPLERS[name](ROLL, schedule, start, noise=noise, **options) for name, options in variants)
    for a, b in zip(*walks, strict=True):
        close(a.x, b.x, 1e-9)


@pytest.mark.parametrize("k", [1, 4, 9])
def test_k_sweeps_fix_the_first_k_nodes(k):
    """Why T sweeps are enough (Shih et al. 2023)."""
    schedule, x_T = SCHEDULES["cosine"](15), normal(30, 2)
    nodes = {step.t: step.x for step in SAMPLERS["euler"](ROLL, schedule, x_T, noise=None)}
    *_, sweep = picard_sweeps(ROLL, schedule, x_T, sweeps=k)
    for t in range(15, 14 - k, -1):
        close(sweep.x[t], nodes[t], 1e-12)
    assert k == 1 or sweep.moved > 0


def test_adaptive_keeps_its_tolerance_and_pays_for_it():
    """A step size control that does not control would still converge."""
    schedule, x_T = even_in_lam(40), normal(100, 2)
    errors, costs = [], []
    for tolerance in (1e-2, 1e-3, 1e-4):
        steps = {s.t: s for s in SAMPLERS["adaptive"](GAUSSIAN, schedule, x_T, noise=None, tolerance=tolerance)}
        errors.append((steps[1].x - flow_map(x_T, schedule, 1)).square().mean().sqrt().item())
        costs.append(steps[0].nfe)
    assert costs == sorted(set(costs))
    assert errors[0] > errors[1] > errors[2]
    assert all(error < 10 * tolerance for error, tolerance in zip(errors, (1e-2, 1e-3, 1e-4), strict=True))


@pytest.mark.parametrize("T", [1, 5, 100])
def test_adaptive_keeps_its_tolerance_from_the_first_level_to_data(T):
    """Whatever the schedule's own levels are. A last step as long as the schedule's was wrong by 0.3 with five."""
    mixture, schedule = DATASETS["swiss_roll"](), even_in_lam(T) if T > 1 else SCHEDULES["flow"](1)
    x_T, errors = schedule.scale[-1] * normal(100, 2), []
    exact = exact_flow(mixture, x_T, schedule)
    for tolerance in (1e-3, 1e-5):
        end = last(SAMPLERS["adaptive"](MixtureDenoiser(mixture), schedule, x_T, noise=None, tolerance=tolerance))
        errors.append((end - exact).norm(dim=1).median().item())
    assert errors[0] < 1e-2 and errors[1] < 1e-4


def test_the_optimal_variance_keeps_the_law_of_a_gaussian():
    """With the true variance of each step back, ten steps keep the variance of every level; the last adds no noise."""
    round_data = MixtureDenoiser(GaussianMixture(1.0, [[0.5, 0.0]], 0.3))
    schedule, noise = SCHEDULES["cosine"](10), ParticleNoise(0, 20_000)
    ends = {}
    for variance in ("beta_tilde", "optimal"):
        walk = SAMPLERS["ddpm"](round_data, schedule, noise.start().double(), noise=noise, variance=variance)
        (x,) = (step.x for step in walk if step.t == 1)
        expected = 0.3 * schedule.alpha[1].item() ** 2 + schedule.sigma[1].item() ** 2
        ends[variance] = abs(x.var(0).mean().item() / expected - 1)
    assert ends["optimal"] < 0.03 < ends["beta_tilde"]
    with pytest.raises(ValueError, match="exact denoiser"):
        last(SAMPLERS["ddpm"](lambda *a: None, schedule, normal(1, 2), noise=None, variance="optimal"))


@pytest.mark.parametrize("n, T", [(300, 60), pytest.param(5000, 400, marks=pytest.mark.slow)])
def test_every_sampler_makes_the_law_of_the_data(variant, n, T):
    """With the exact denoiser and many steps, by no distance that shuffling does not give as well.

    And each mode as often as it should be: a lost one costs more than two floors. What a sampler does to a variance is
    known exactly (tests of a Gaussian).
    """
    name, options = variant
    mixture, noise = DATASETS["eight_gaussians"](), ParticleNoise(0, n)
    data = mixture.sample(n, generator=torch.Generator().manual_seed(1))

    def makes_it(law):
        x = last(SAMPLERS[name](MixtureDenoiser(law), SCHEDULES["flow"](T), noise.start(), noise=noise, **options))
        coverage, generator = mode_coverage(x, mixture), torch.Generator().manual_seed(0)
        even = coverage.value < 1.8 * coverage.floor
        return even and permutation_band(sliced_w2, x, data, repeats=399, generator=generator).p > 0.01

    assert makes_it(mixture)
    assert not makes_it(without_a_mode(mixture))


@pytest.mark.parametrize("name", ["heun", "dpm_solver_2", "rk4", "edm_stochastic"])
def test_a_long_stride_from_almost_pure_noise_does_no_harm(name):
    """Cosine's first stride at 25 evaluations spans 8 in lam: what is drawn is still as wide as the data."""
    schedule = SCHEDULES["cosine"](1000).subsample(steps_for(name, 25))
    noise = ParticleNoise(0, 300, (2,))
    x = last(SAMPLERS[name](ROLL, schedule, noise.start().to(f64), noise=noise))
    close(x.std(0), torch.ones(2, dtype=f64), 0.15)


def test_churn_of_zero_is_heun():
    """Algorithm 2 of Karras et al. without noise is their algorithm 1."""
    schedule, x_T = SCHEDULES["flow"](12), normal(20, 2)
    variants = (("heun", {}), ("edm_stochastic", {"churn": 0.0}))
    close(*(last(SAMPLERS[name](ROLL, schedule, x_T, noise=None, **options)) for name, options in variants))
