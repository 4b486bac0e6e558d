import inspect
import math
from itertools import pairwise

import diffusers
import numpy as np
import pytest
import torch
from core_common import close, f64, last, normal, trig
from saboteurs import wider
from scipy import stats

from ddpm_core import (
    DATASETS,
    SAMPLERS,
    SCHEDULES,
    SPACINGS,
    EmpiricalDenoiser,
    GaussianMixture,
    MixtureDenoiser,
    ParticleNoise,
    Prediction,
)
from ddpm_core.samplers.exact_flow import exact_flow
from ddpm_core.samplers.registry import TRAITS, VARIANCES, Option

EIGHT = MixtureDenoiser(DATASETS["eight_gaussians"]())
ddpm, ddim, euler, euler_velocity = (SAMPLERS[name] for name in ("ddpm", "ddim", "euler", "euler_velocity"))


# ---- what every sampler does ----


@pytest.mark.parametrize("T", [1, 2, 7])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_walks_from_T_to_0_and_counts_every_evaluation(variant, schedule, T):
    """Solvers are compared by these counts."""
    (name, options), schedule, asked = variant, SCHEDULES[schedule](T), []

    def counting(x, alpha, sigma):
        asked.append((alpha, sigma))
        return EIGHT(x, alpha, sigma)

    start = schedule.scale[-1] * normal(5, 2)
    before = start.clone()
    walk = SAMPLERS[name](counting, schedule, start, noise=lambda t: normal(5, 2), **options)
    for t, step in zip(range(T, -1, -1), walk, strict=True):
        assert step.t == t and step.nfe == len(asked)
        assert step.x.shape == (5, 2) and step.x.dtype == f64 and step.x.isfinite().all()
    if name != "edm_stochastic":  # which stirs in more noise before it asks
        assert (schedule.alpha[-1], schedule.sigma[-1]) in asked
    assert step.prediction.x0 is step.x and torch.equal(start, before)


def test_the_last_step_is_what_the_denoiser_says(variant):
    """No noise is added on the way to t = 0 (Ho et al., algorithm 2)."""
    name, options = variant

    def noise(t):
        assert t > 1, "noise at the last step"
        return normal(5, 2)

    for T in (1, 20):
        *_, before, end = SAMPLERS[name](EIGHT, SCHEDULES["flow"](T), normal(5, 2), noise=noise, **options)
        if name != "adaptive":  # it goes on below the last level
            close(end.x, before.prediction.x0)


@pytest.mark.parametrize("shape", [(4, 1, 3, 3), (4, 5)])
def test_images_and_float32_stay_what_they_are(variant, shape):
    name, options = variant
    shrink = lambda x, alpha, sigma: Prediction.of(x, alpha, sigma, x0=alpha * x / (alpha**2 + sigma**2))  # noqa: E731
    noise = ParticleNoise(0, 4, shape[1:])
    x = last(SAMPLERS[name](shrink, SCHEDULES["cosine"](10), noise.start(), noise=noise, **options))
    assert x.shape == shape and x.dtype == torch.float32 and x.isfinite().all()


def test_particle_i_does_not_depend_on_how_many_there_are(variant):
    """Runs of different sizes are compared particle by particle."""
    (name, options), schedule = variant, SCHEDULES["linear"](30, rescale=True)
    denoiser = MixtureDenoiser(DATASETS["two_moons"]())
    noises = [ParticleNoise(3, n) for n in (4, 300)]
    few, many = (last(SAMPLERS[name](denoiser, schedule, z.start().double(), noise=z, **options)) for z in noises)
    close(few, many[:4], 1e-2 if name == "adaptive" else 1e-9)  # one step size serves all its particles


@pytest.mark.parametrize("name", SAMPLERS)
def test_unknown_options_are_refused(name):
    with pytest.raises(TypeError):
        SAMPLERS[name](None, SCHEDULES["flow"](2), torch.zeros(1, 2), noise=None, colour=1.0)


def test_impossible_options_are_refused_before_anything_runs():
    with pytest.raises(KeyError, match="beta, beta_tilde"):
        ddpm(None, SCHEDULES["flow"](2), torch.zeros(1, 2), noise=None, variance="large")
    for eta in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=r"eta.*0 \.\. 1"):
            ddim(None, SCHEDULES["flow"](2), torch.zeros(1, 2), noise=None, eta=eta)


DECLARED = [(name, option) for name, traits in TRAITS.items() for option in traits.options]


@pytest.mark.parametrize("name, option", DECLARED, ids=[f"{name} {option.name}" for name, option in DECLARED])
def test_a_declared_option_is_a_keyword_with_that_default_and_its_range_is_accepted(name, option):
    assert inspect.signature(SAMPLERS[name]).parameters[option.name].default == option.default
    option.check(option.default)
    assert type(option.low) is type(option.high) is type(option.default) or option.choices
    for value in option.choices or (option.low, option.high):
        option.check(value)
        start, schedule = normal(5, 2), SCHEDULES["cosine"](6)
        walk = SAMPLERS[name](EIGHT, schedule, start, noise=lambda t: normal(5, 2), **{option.name: value})
        assert last(walk).isfinite().all()


def test_an_option_refuses_what_lies_beyond_its_range():
    for value in (-0.1, 3.1, math.nan):
        with pytest.raises(ValueError, match=r"pace must lie in 0 \.\. 3"):
            Option("pace", 1.0, 0.0, 3.0).check(value)
    with pytest.raises(KeyError, match="unknown gait 'fly'; known: walk, run"):
        Option("gait", "walk", choices=("walk", "run")).check("fly")


# ---- one sampler against another ----


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("steps", [60, 20, 7, 1])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_ddim_with_eta_one_is_ddpm_with_beta_tilde_on_every_stride(schedule, steps, spacing):
    """Song et al. (2021), section 4.1: two derivations of one sampler."""
    schedule = SCHEDULES[schedule](60).subsample(steps, spacing)
    start, noise = schedule.scale[-1] * normal(9, 2), ParticleNoise(0, 9)
    walks = ddim(EIGHT, schedule, start, noise=noise, eta=1.0), ddpm(EIGHT, schedule, start, noise=noise)
    for a, b in zip(*walks, strict=True):
        close(a.x / schedule.scale[a.t], b.x / schedule.scale[a.t], 1e-11)


@pytest.mark.parametrize("path", SCHEDULES)
def test_euler_in_edm_coordinates_is_ddim_on_every_path(path):
    """Two names of one method, written twice here."""
    schedule = SCHEDULES[path](20)
    start = schedule.scale[-1] * normal(50, 2)
    close(*(last(sampler(EIGHT, schedule, start, noise=None)) for sampler in (euler, ddim)))


def test_euler_on_the_velocity_is_ddim_where_the_path_is_affine_and_only_there():
    """Which coordinates Euler's method takes matters, but on a straight path."""
    denoiser, start = MixtureDenoiser(DATASETS["two_moons"]()), normal(50, 2)
    flow, cosine = (
        [last(sampler(denoiser, SCHEDULES[path](50), start, noise=None)) for sampler in (euler_velocity, ddim)]
        for path in ("flow", "cosine")
    )
    close(*flow)
    assert (cosine[0] - cosine[1]).abs().max() > 1e-2


@pytest.mark.parametrize("spacing", SPACINGS)
def test_flow_matching_stays_euler_when_it_skips_levels(spacing):
    """x += dt v, written out, on uneven steps too: a step is as long as the path takes, not one from level to level."""
    schedule, x = SCHEDULES["flow"](50).subsample(7, spacing), normal(50, 2)
    found = last(euler_velocity(EIGHT, schedule, schedule.scale[-1] * x, noise=None))
    x = schedule.scale[-1] * x
    for (a, s), (_, s_next) in pairwise(reversed(schedule.levels)):
        guess = EIGHT(x, a, s)
        x = x + (s_next - s) * (guess.eps - guess.x0)
    close(found, x, 1e-12)


@pytest.mark.parametrize("path", ["cosine", "linear", "karras"])
def test_euler_on_the_velocity_converges_on_every_path(path):
    """To where the flow goes, with the first power of the steps, though it knows the slopes at chosen levels only."""
    full, errors = SCHEDULES[path](4000), []
    start = full.scale[-1] * normal(50, 2)
    end = exact_flow(EIGHT.mixture, start, full)
    for steps in (250, 1000):
        found = last(euler_velocity(EIGHT, full.subsample(steps), start, noise=None))
        errors.append((found - end).norm(dim=1).median().item())
    assert math.log(errors[0] / errors[1], 4) == pytest.approx(1, abs=0.25)


def test_a_step_of_euler_on_the_velocity_follows_the_velocity_where_it_starts():
    """On (cos, sin) of pi/2 t/T the velocity per step is pi/2T v; the slopes are of second order, so to (pi/2T)^2.

    Into data it takes the last stride of every sampler.
    """
    T = 200
    *steps, _ = euler_velocity(EIGHT, trig(T), normal(50, 2), noise=None)
    for here, there in pairwise(steps):
        close((here.x - there.x) / (torch.pi / 2 / T), here.prediction.v, 1e-3)


# ---- against diffusers ----


def in_diffusers(kind, steps, prediction_type, **options):
    """A scheduler on the 1000 linear betas, without clipping, its table in float64; and ours on the same levels."""
    options = dict(beta_schedule="linear", timestep_spacing="trailing", clip_sample=False, thresholding=False) | options
    theirs = kind(1000, prediction_type=prediction_type, **options)
    theirs.set_timesteps(steps)
    theirs.alphas_cumprod = (1 - theirs.betas.double()).cumprod(0)
    return theirs, SCHEDULES["linear"](1000).subsample(steps)


VIEW = {"sample": "x0", "epsilon": "eps", "v_prediction": "v"}  # their name: ours


@pytest.mark.parametrize(
    "steps, prediction_type", [(10, "sample"), (50, "epsilon"), (50, "v_prediction"), (1000, "sample")]
)
@pytest.mark.parametrize("eta", [0.0, 0.5])
def test_ddim_agrees_with_diffusers(eta, steps, prediction_type):
    """At every step, from the same point with the same noise. Steps divide T: theirs goes to t - T // steps always."""
    theirs, schedule = in_diffusers(diffusers.DDIMScheduler, steps, prediction_type, set_alpha_to_one=True)
    noise = ParticleNoise(0, 20)
    walk = list(ddim(EIGHT, schedule, noise.start(), noise=noise, eta=eta))
    for timestep, (here, there) in zip(theirs.timesteps, pairwise(walk), strict=True):
        output = getattr(here.prediction, VIEW[prediction_type])
        x = theirs.step(output, timestep.item(), here.x, eta=eta, variance_noise=noise(here.t)).prev_sample
        close(there.x, x, 1e-5)


@pytest.mark.parametrize(
    "steps, prediction_type", [(7, "sample"), (50, "epsilon"), (50, "v_prediction"), (1000, "sample")]
)
@pytest.mark.parametrize("variance, variance_type", [("beta", "fixed_large"), ("beta_tilde", "fixed_small")])
def test_ddpm_agrees_with_diffusers(variance, variance_type, steps, prediction_type, monkeypatch):
    """At every step, from the same point with the same noise, but for a slip of theirs at the last one.

    It asks for t > 0 instead of a next level before it adds noise: on strides that end above t = 0, fixed_large adds
    sqrt(beta) z to the finished sample. (Their floor of 1e-20 under the variance hides the same slip for fixed_small.)
    """
    theirs, schedule = in_diffusers(diffusers.DDPMScheduler, steps, prediction_type, variance_type=variance_type)
    noise = ParticleNoise(0, 20)
    walk = list(ddpm(EIGHT, schedule, noise.start(), noise=noise, variance=variance))
    for timestep, (here, there) in zip(theirs.timesteps.tolist(), pairwise(walk), strict=True):
        slip = there.t == 0 < timestep and variance == "beta"
        z = 0 * noise(0) if slip else noise(here.t)
        monkeypatch.setattr(diffusers.schedulers.scheduling_ddpm, "randn_tensor", lambda *args, z=z, **kwargs: z)
        output = getattr(here.prediction, VIEW[prediction_type])
        close(there.x, theirs.step(output, timestep, here.x).prev_sample, 1e-5)


def test_euler_on_the_flow_path_agrees_with_diffusers():
    """The sign of the velocity and the direction of time are easily swapped."""
    theirs, schedule = diffusers.FlowMatchEulerDiscreteScheduler(num_train_timesteps=50), SCHEDULES["flow"](50)
    theirs.set_timesteps(50)
    walk = list(euler(MixtureDenoiser(DATASETS["swiss_roll"]()), schedule, ParticleNoise(0, 20).start(), noise=None))
    for timestep, (here, there) in zip(theirs.timesteps, pairwise(walk), strict=True):
        close(there.x, theirs.step(here.prediction.velocity(-1.0, 1.0), timestep, here.x).prev_sample, 1e-5)


def test_ddim_on_the_karras_path_agrees_with_diffusers():
    """With alpha = 1 it is Euler's method in sigma (Karras et al., algorithm 1 without its correction)."""
    theirs, schedule = diffusers.EDMEulerScheduler(sigma_min=0.002, sigma_max=80.0), SCHEDULES["karras"](30)
    theirs.set_timesteps(30)
    start = schedule.sigma[-1].item() * ParticleNoise(0, 20).start()
    walk = list(ddim(MixtureDenoiser(DATASETS["swiss_roll"]()), schedule, start, noise=None))
    for timestep, (here, there) in zip(theirs.timesteps, pairwise(walk), strict=True):
        x = theirs.step(here.x, timestep, here.x, pred_original_sample=here.prediction.x0).prev_sample
        close(there.x, x, 1e-5)


# ---- exact answers ----


@pytest.mark.parametrize("steps", [1, 5, 64])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_one_point_is_found(variant, schedule, steps):
    """Data at one point: every sampler ends on it exactly, on every path and in any number of steps."""
    (name, options), s = variant, SCHEDULES[schedule](64).subsample(steps)
    point, start = torch.tensor([[2.0, -1.0]], dtype=f64), s.scale[-1] * normal(5, 2)
    found = last(SAMPLERS[name](EmpiricalDenoiser(point), s, start, noise=lambda t: normal(5, 2), **options))
    assert (found - point).norm(dim=1).max() < 1e-12


def response(name, options, schedule, m, S):
    """How the sample depends on the start and on each step's noise, for data N(m, S^2) in one dimension.

    The exact denoiser is affine there, so sampling is too, and T + 2 particles measure it completely: one from 0
    without noise (the offset), one from 1 (the gain), one for each step with unit noise at that step alone.
    """
    T = schedule.T
    start = torch.zeros(T + 2, 1, dtype=f64)
    start[1] = 1

    def noise(t):
        z = torch.zeros(T + 2, 1, dtype=f64)
        z[1 + t] = 1
        return z

    data = GaussianMixture(1.0, [[m]], S**2)
    offset, *rest = last(SAMPLERS[name](MixtureDenoiser(data), schedule, start, noise=noise, **options))[:, 0].tolist()
    gain, *weights = (r - offset for r in rest)
    return offset, gain, weights


def output_law(name, options, schedule, m, S):
    """Mean and standard deviation of the samples of a walk that starts from the true law of x_T."""
    offset, gain, weights = response(name, options, schedule, m, S)
    a, s = schedule.alpha[-1].item(), schedule.sigma[-1].item()
    return offset + gain * a * m, math.sqrt(gain**2 * (a**2 * S**2 + s**2) + sum(w**2 for w in weights))


def gaussian_chain(schedule, variance, m, S):
    """The same for DDPM, by conditioning the joint Gaussian of (x_0, x_{t-1}, x_t) at every step, in plain numpy."""
    a, s = schedule.alpha.numpy(), schedule.sigma.numpy()
    mean, var = a[-1] * m, a[-1] ** 2 * S**2 + s[-1] ** 2
    for t in range(schedule.T, 0, -1):
        ratio, std = schedule.transition(t - 1, t)
        root = np.array([[S, 0, 0], [a[t - 1] * S, s[t - 1], 0], [ratio * a[t - 1] * S, ratio * s[t - 1], std]])
        C, mu = root @ root.T, m * np.array([1, a[t - 1], a[t]])
        given = C[1, [0, 2]] @ np.linalg.inv(C[np.ix_([0, 2], [0, 2])])  # x_{t-1} from (x_0, x_t)
        slope = given @ [C[0, 2] / C[2, 2], 1]  # and x_0 from x_t
        fresh = {"beta_tilde": C[1, 1] - given @ C[[0, 2], 1], "beta": std**2}[variance]
        mean, var = mu[1] + slope * (mean - mu[2]), slope**2 * var + (fresh if t > 1 else 0)
    return mean, math.sqrt(var)


GAUSSIANS = [(0.0, 1.0), (2.0, 0.1), (-1.0, 3.0)]
PATHS = {
    "linear": SCHEDULES["linear"](50, rescale=True),
    "unscaled": SCHEDULES["linear"](50),
    "cosine": SCHEDULES["cosine"](40),
    "karras": SCHEDULES["karras"](20),
    "flow": SCHEDULES["flow"](30),
    "strides": SCHEDULES["cosine"](100).subsample(7),
}


@pytest.mark.parametrize("m, S", GAUSSIANS)
@pytest.mark.parametrize("variance", VARIANCES)
@pytest.mark.parametrize("path", PATHS)
def test_ddpm_on_a_gaussian_is_the_exact_recursion(path, variance, m, S):
    """There the law of the samples is known without a single sample."""
    expected = gaussian_chain(PATHS[path], variance, m, S)
    close(output_law("ddpm", {"variance": variance}, PATHS[path], m, S), expected, 1e-8)


@pytest.mark.parametrize("T", [2, 10, 50, 1000])
@pytest.mark.parametrize("schedule", ["linear", "cosine", "sigmoid"])
def test_beta_is_the_exact_reverse_variance_of_unit_variance_data(schedule, T):
    """So all that DDPM loses is the noise left out at the last step, 1 - alpha_bar_1."""
    schedule = SCHEDULES[schedule](T)
    mean, std = output_law("ddpm", {"variance": "beta"}, schedule, 0.0, 1.0)
    close((mean, std**2), (0.0, schedule.alpha_bar[1].item()), 1e-11)


@pytest.mark.parametrize("m, S", GAUSSIANS)
@pytest.mark.parametrize("path", PATHS)
def test_ddim_on_a_gaussian_loses_the_cosine_of_every_turn(path, m, S):
    """In the plane of (alpha S, sigma) the exact flow turns and stretches; a DDIM step falls cos(turn) short of it."""
    schedule = PATHS[path]
    turns = torch.atan2(schedule.sigma, S * schedule.alpha).diff()
    close(output_law("ddim", {}, schedule, m, S), (m, S * turns.cos().prod().item()), 1e-9)


def test_variances_enclose_the_truth_and_close_in_on_it():
    """Spread of samples of data narrower than 1: beta_tilde < DDIM < truth < beta; the gaps close almost like 1 / T."""
    kinds = [("ddpm", {"variance": "beta_tilde"}), ("ddim", {}), ("ddpm", {"variance": "beta"})]
    schedules = [SCHEDULES["linear"](T, rescale=True) for T in (50, 500, 1000)]
    error = np.array([[output_law(*kind, s, 0.0, 0.1)[1] / 0.1 - 1 for kind in kinds] for s in schedules])
    assert (error[:, 0] < error[:, 1]).all() and (error[:, 1] < 0).all() and (error[:, 2] > 0).all()
    assert error[1] / error[2] == pytest.approx(2, rel=0.15)


def test_a_start_that_ignores_the_terminal_signal_pulls_the_mean_to_zero():
    """A perfect model, started from N(0, 1) at T = 50, finds m but for the share of x_T's own mean in the exact flow.

    It is S / R with R^2 = alpha_T^2 S^2 + sigma_T^2: a quarter of m unscaled, nearly nothing rescaled (MATH.md 2.1).
    """
    m, S = 2.0, 0.05**0.5
    unscaled, rescaled = (SCHEDULES["linear"](50, rescale=rescale) for rescale in (False, True))
    a, s = unscaled.alpha[-1].item(), unscaled.sigma[-1].item()
    lost = m * a * S / math.hypot(a * S, s)
    assert lost > m / 4 and response("ddim", {}, unscaled, m, S)[0] == pytest.approx(m - lost, abs=0.02)
    assert response("ddim", {}, rescaled, m, S)[0] == pytest.approx(m, abs=0.01)


FLOWS = {
    "trig": trig,
    "flow": SCHEDULES["flow"],
    "karras": SCHEDULES["karras"],
    "linear": SCHEDULES["linear"](2560, 1e-4 / 2.56, 0.02 / 2.56).subsample,
    "cosine": SCHEDULES["cosine"](2560).subsample,
}


@pytest.mark.parametrize(
    "name, path, order",
    [("ddim", path, 1) for path in FLOWS] + [("euler", "trig", 1), ("euler", "flow", 1)],
)
def test_order_of_convergence(name, path, order, gaussian):
    """Against the closed-form flow map of a Gaussian, m + C^(1/2) (a^2 C + s^2 I)^(-1/2) (x - a m) (MATH.md 2.7)."""
    errors, counts = [], [40, 80, 160, 320]
    variances, axes = torch.linalg.eigh(gaussian.covariance)
    for N in counts:
        s = FLOWS[path](N)
        a_T, s_T, start = s.alpha[-1], s.sigma[-1], s.scale[-1] * normal(20, 2)
        stretch = (variances / (a_T**2 * variances + s_T**2)).sqrt()
        exact = gaussian.mean + (start - a_T * gaussian.mean) @ axes * stretch @ axes.T
        errors.append((last(SAMPLERS[name](MixtureDenoiser(gaussian), s, start, noise=None)) - exact).norm())
    slope = -np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert slope == pytest.approx(order, abs=0.1)


# ---- noise ----


def streams(seed, n):
    noise = ParticleNoise(seed, n)
    data = noise.data(GaussianMixture(1.0, torch.zeros(1, 1), 1.0))[0].float()  # one-dimensional: two numbers a row too
    return {"start": noise.start(), "data": data} | {f"step {t}": noise(t) for t in (1, 2, 3, 1000)}


def test_row_i_of_the_noise_is_the_same_for_any_number_of_rows():
    """Runs of different sizes are compared particle by particle."""
    few, many = streams(5, 7), streams(5, 1000)
    for name, z in few.items():
        assert torch.equal(z, many[name][:7]), name


def test_noise_is_the_same_in_any_order_and_on_repeat():
    """Samplers step in different orders, and must meet the same noise."""
    noise = ParticleNoise(5, 9, (3, 4))
    forwards = [noise(t) for t in range(5)]
    assert all(torch.equal(noise(t), forwards[t]) for t in (4, 2, 0, 2)) and torch.equal(noise.start(), noise.start())
    assert noise(1).shape == (9, 3, 4) and noise(1).dtype == torch.float32


def test_streams_are_normal_and_independent_of_one_another():
    """Start, data, steps and seeds: each passes Kolmogorov-Smirnov, no two correlate by more than 5 standard errors."""
    n = 40_000
    every = torch.cat([z for seed in (0, 1, 2**40) for z in streams(seed, n).values()], 1).T.double()  # [streams, n]
    assert min(stats.kstest(z, "norm").pvalue for z in every) > 1e-3
    off = lambda z: (z.var(1) - 1).abs() / (2 / n) ** 0.5  # noqa: E731
    assert off(every).max() < 4.5 < off(wider(every.T).T).min()  # to which Kolmogorov and Smirnov are blind
    assert (torch.corrcoef(every) - torch.eye(len(every))).abs().max() < 5 / n**0.5


@pytest.mark.parametrize("name", DATASETS)
def test_particles_start_in_the_data(name):
    """data() is a fair sample: the component's bead surrounds its point, and the mean of the points is the data's."""
    mixture, n = DATASETS[name](), 20_000
    x, k = ParticleNoise(0, n).data(mixture)
    assert (x.mean(0).abs() < 5 * x.std(0) / n**0.5).all()
    unit = (x - mixture.means[k]) / mixture.variances[k].sqrt()
    assert min(stats.kstest(u, "norm").pvalue for u in unit.T) > 1e-3
    off = lambda unit: (unit.square().mean() - 1).abs() * n**0.5  # noqa: E731
    assert off(unit) < 4 < off(wider(unit))
    assert stats.chisquare(k.bincount(minlength=mixture.K), n * mixture.weights).pvalue > 1e-3


@pytest.mark.parametrize("seed", [0, 2**63])
def test_any_seed_of_64_bits_will_do(seed):
    assert ParticleNoise(seed, 3)(1).isfinite().all()


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="seed"):
        ParticleNoise(-1, 3).start()
