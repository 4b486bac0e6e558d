"""The figures of Three views: variational, score and flow."""

from __future__ import annotations

from collections.abc import Callable

import plotly.graph_objects as go
import torch
from torch import Tensor

from ddpm_core import (
    SAMPLERS,
    SCHEDULES,
    EmpiricalDenoiser,
    GaussianMixture,
    MixtureDenoiser,
    ParticleNoise,
    Schedule,
    nearest_distance,
    sample,
    sliced_w2,
)
from ddpm_core.analysis.bound import variational_bound
from ddpm_core.analysis.likelihood import flow_log_prob
from ddpm_core.analysis.memorisation import perplexity, score_position
from ddpm_core.metrics.intervals import Measured
from ddpm_core.samplers.langevin import annealed, langevin
from ddpm_core.samplers.reverse_step import (
    count_modes,
    exact_reverse,
    gaussian_misfit,
    gaussian_reverse,
    posterior_coefficients,
    principal_marginal,
)
from ddpm_core.schedules import levels_at
from ddpm_ui.exhibits.particles import badge, denoiser_of
from ddpm_ui.exhibits.plots import captioned
from ddpm_ui.exhibits.views import plots
from ddpm_ui.exhibits.views.recipe import Views
from ddpm_ui.exhibits.views.stream import LAM, _errors
from ddpm_ui.recipes import SCHEDULE, mixture_of


def errors(recipe: Views) -> go.Figure:
    """The relative error of each view over the noise levels."""
    return plots.view_errors(LAM.tolist(), _errors(recipe.seen)[0])


def bound(recipe: Views) -> go.Figure:
    """The variational bound term by term, for both variances, and the entropy of the data."""
    mixture, schedule = mixture_of(recipe.data), recipe.full_schedule
    denoiser = denoiser_of(recipe.denoiser, recipe.data)
    bounds = {
        variance: variational_bound(
            denoiser, mixture, schedule, variance=variance, n=4, generator=torch.Generator().manual_seed(recipe.seed)
        )
        for variance in ("beta", "beta_tilde")
        if schedule.T > 1
    }
    entropy = mixture.entropy(20_000, generator=torch.Generator().manual_seed(0))
    return plots.bound_terms(bounds, entropy)


def coefficients(recipe: Views) -> go.Figure:
    """The weights of x0-hat and x_t in the posterior mean."""
    return plots.posterior_weights(*posterior_coefficients(recipe.full_schedule))


def _particle(recipe: Views) -> tuple[int, Tensor]:
    """The chosen time and the position of the chosen particle then, [2]."""
    schedule, noise = recipe.full_schedule, ParticleNoise(recipe.seed, recipe.particle + 1)
    t = min(recipe.at, schedule.T)
    return t, schedule.jump(noise.data(mixture_of(recipe.data))[0], t, noise.start())[recipe.particle]


def step(recipe: Views) -> go.Figure:
    """One step back from one particle: the exact distribution along its widest direction, and DDPM's Gaussians."""
    mixture, schedule = mixture_of(recipe.data), recipe.full_schedule
    t, x = _particle(recipe)
    law = exact_reverse(mixture, x, schedule, t)
    axis, marginal = principal_marginal(law)
    reach = 5 * marginal.covariance[0, 0].sqrt().clamp(min=1e-3)
    s = marginal.mean + torch.linspace(-1, 1, 401, dtype=torch.float64)[:, None] * reach
    gaussians, misfit = {}, {}
    for variance in ("beta", "beta_tilde"):
        mean, width = gaussian_reverse(MixtureDenoiser(mixture), x[None], schedule, t, variance)
        if width > 0:
            gaussians[variance] = torch.distributions.Normal(mean[0] @ axis, width**0.5).log_prob(s[:, 0]).exp()
            generator = torch.Generator().manual_seed(0)
            misfit[variance] = gaussian_misfit(law, mean[0], width, n=4000, generator=generator)
    return plots.reverse_law(s[:, 0], marginal.log_prob(s).exp(), gaussians, t, count_modes(law), misfit)


def likelihood(recipe: Views) -> go.Figure:
    """log p(x0) by the probability-flow ODE of this denoiser against the exact density, one dot per data point."""
    mixture = mixture_of(recipe.data)
    x0 = ParticleNoise(recipe.seed, 200).data(mixture)[0]
    by_flow = flow_log_prob(denoiser_of(recipe.denoiser, recipe.data), x0.float()).log_prob
    return plots.likelihoods(mixture.log_prob(x0), by_flow)


def tweedie(recipe: Views) -> go.Figure:
    """Where one x_t may have come from: samples of x0 given x_t, their exact mean, and the denoiser's estimate."""
    mixture, schedule = mixture_of(recipe.data), recipe.full_schedule
    t, x = _particle(recipe)
    alpha, sigma = schedule.alpha[t].item(), schedule.sigma[t].item()
    jump = Schedule(torch.tensor([1.0, alpha], dtype=torch.float64), torch.tensor([0.0, sigma], dtype=torch.float64))
    origins = exact_reverse(mixture, x, jump, 1)
    draws = origins.sample(60, generator=torch.Generator().manual_seed(recipe.seed))
    said = denoiser_of(recipe.denoiser, recipe.data)(x[None].float(), alpha, sigma).x0[0]
    return plots.origins(x, draws, mixture.denoise(x[None], alpha, sigma)[0], said, t)


UNEQUAL = GaussianMixture([0.8, 0.2], [[-2.0, 0.0], [2.0, 0.0]], 0.04)  # two distant modes


def modes(recipe: Views) -> go.Figure:
    """The share of the larger of two distant modes over Langevin steps, at one noise level and annealed."""
    noise, exact = ParticleNoise(recipe.seed, 500), MixtureDenoiser(UNEQUAL)
    ladder = SCHEDULES["karras"](10, sigma_min=0.05, sigma_max=8.0)
    each, level = 60, (1.0, ladder.sigma[1].item())
    walks = {
        "one noise level": langevin(exact, 3 * noise.start(), *level, steps=each * ladder.T, noise=noise),
        "annealed": annealed(exact, ladder, ladder.scale[-1] * noise.start(), steps_per_level=each, noise=noise),
    }
    shares = {name: [(move.x[:, 0] < 0).double().mean().item() for move in walk] for name, walk in walks.items()}
    return plots.mode_shares(shares, UNEQUAL.weights[0].item())


PATH = SCHEDULES["cosine"](50)


def marginals(recipe: Views) -> go.Figure:
    """Distance of the particles to the noised data at every t: ODE, the chosen share of fresh noise, and SDE."""
    denoiser, noise = denoiser_of(recipe.denoiser, recipe.data), ParticleNoise(recipe.seed, 1000)
    true = [mixture_of(recipe.data).noised(*level) for level in PATH.levels]
    distance: dict[float, list[Measured]] = {}
    for eta in sorted({0.0, recipe.churn, 1.0}):
        steps = SAMPLERS["ddim"](denoiser, PATH, noise.start().float(), noise=noise, eta=eta)
        distance[eta] = [sliced_w2(step.x, true[step.t], projections=24) for step in steps if step.t % 5 == 0]
    return plots.marginal_distances(list(range(PATH.T, -1, -5)), distance)


def paths(recipe: Views) -> go.Figure:
    """Several paths from the noise of the chosen particle: ODE, the chosen share of fresh noise, and SDE."""
    denoiser, n = denoiser_of(recipe.denoiser, recipe.data), 8
    start = ParticleNoise(recipe.seed, recipe.particle + 1).start()[recipe.particle].expand(n, 2)
    ways = {}
    for eta in sorted({0.0, recipe.churn, 1.0}):
        steps = SAMPLERS["ddim"](denoiser, PATH, start, noise=ParticleNoise(recipe.seed, n), eta=eta)
        ways[eta] = torch.stack([step.x for step in steps])
    return plots.ways_back(ways)


def coordinates(recipe: Views) -> go.Figure:
    """One particle's path in three coordinate systems, and its straight conditional path."""
    denoiser = denoiser_of(recipe.denoiser, recipe.data)
    noise = ParticleNoise(recipe.seed, recipe.particle + 1)
    steps = list(SAMPLERS["ddim"](denoiser, PATH, noise.start(), noise=noise))
    x = torch.stack([step.x[recipe.particle].double() for step in steps])  # [T + 1, 2], noise first
    alpha, sigma = (c[[step.t for step in steps]][:, None] for c in (PATH.alpha, PATH.sigma))
    keep = (sigma / alpha)[:, 0] < 20  # variance-exploding coordinates are infinite at alpha = 0
    return plots.three_coordinates(
        x[keep], (x / alpha)[keep], (x / (alpha + sigma))[keep], noise.start()[recipe.particle]
    )


SIZES = (50, 500, 5000)


def memory(recipe: Views) -> go.Figure:
    """Effective number of training points at each level, and the denoiser's position between both scores."""
    mixture, lam = mixture_of(recipe.data), torch.linspace(5.0, -3.0, 25, dtype=torch.float64)
    levels = levels_at(lam)
    denoiser, truth = denoiser_of(recipe.denoiser, recipe.data), MixtureDenoiser(mixture)
    counts, position = {}, {}
    for size in SIZES:
        points = mixture.sample(size, generator=torch.Generator().manual_seed(recipe.seed))
        empirical = EmpiricalDenoiser(points)
        noise = ParticleNoise(recipe.seed, 128)
        x0, eps = noise.data(empirical.mixture)[0], noise.start()
        noisy = [(alpha * x0 + sigma * eps).float() for alpha, sigma in levels]
        counts[size] = [
            perplexity(empirical.mixture, x, *level).log().mean().exp().item()
            for x, level in zip(noisy, levels, strict=True)
        ]
        position[size] = [
            score_position(denoiser, empirical, truth, x, *level).position
            for x, level in zip(noisy, levels, strict=True)
        ]
    return plots.memorisation(lam.tolist(), counts, position)


FEW = 50  # training points, few enough to be seen one by one


def recite(recipe: Views) -> go.Figure:
    """What the optimal model of a few training points generates, and what the denoiser does, from the same noise."""
    mixture, noise = mixture_of(recipe.data), ParticleNoise(recipe.seed, 200)
    points = mixture.sample(FEW, generator=torch.Generator().manual_seed(recipe.seed))
    fresh = mixture.sample(2000, generator=torch.Generator().manual_seed(recipe.seed + 1))
    models = (EmpiricalDenoiser(points), denoiser_of(recipe.denoiser, recipe.data))
    perfect, other = (sample("ddim", model, PATH, noise).x for model in models)
    distance = [nearest_distance(x, points, fresh) for x in (perfect, other)]
    return plots.recitation(points, perfect, other, distance, badge(recipe.denoiser))


# Each figure; whether it shows a network, the exact denoiser, or both; the fields of the recipe that it depends on.
FIGURES: dict[str, tuple[Callable[..., go.Figure], tuple[str, ...], tuple[str, ...]]] = {
    "errors": (errors, ("learned",), ("data", "denoiser")),
    "step": (step, ("exact",), ("data", *SCHEDULE, "seed", "particle", "at")),
    "bound": (bound, ("learned",), ("data", "denoiser", *SCHEDULE, "seed")),
    "coefficients": (coefficients, ("exact",), SCHEDULE),
    "tweedie": (tweedie, ("exact", "learned"), ("data", "denoiser", *SCHEDULE, "seed", "particle", "at")),
    "modes": (modes, ("exact",), ("seed",)),
    "paths": (paths, ("learned",), ("data", "denoiser", "seed", "particle", "churn")),
    "marginals": (marginals, ("learned",), ("data", "denoiser", "seed", "churn")),
    "coordinates": (coordinates, ("learned",), ("data", "denoiser", "seed", "particle")),
    "likelihood": (likelihood, ("learned",), ("data", "denoiser", "seed")),
    "recite": (recite, ("exact", "learned"), ("data", "denoiser", "seed")),
    "memory": (memory, ("exact", "learned"), ("data", "denoiser", "seed")),
}


def figure(name: str, recipe: Views) -> go.Figure:
    """One of FIGURES, with its caption."""
    draw, badges, _ = FIGURES[name]
    if recipe.denoiser == "exact":
        badges = ("exact",)
    return captioned(draw(recipe), name, badges)
