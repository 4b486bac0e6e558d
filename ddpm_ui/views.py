"""A Views recipe becomes what its tab draws: fields over the plane as a stream, everything else as figures."""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator
from functools import lru_cache

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
    Prediction,
    Schedule,
    nearest_distance,
    sample,
    sliced_w2,
)
from ddpm_core.analysis.bound import variational_bound
from ddpm_core.analysis.fields import DriftFields, conversion_residual, drift_fields, grid
from ddpm_core.analysis.likelihood import flow_log_prob
from ddpm_core.analysis.memorisation import perplexity, score_position
from ddpm_core.metrics.registry import Measured
from ddpm_core.samplers.langevin import annealed, langevin
from ddpm_core.samplers.reverse_step import (
    count_modes,
    exact_reverse,
    gaussian_misfit,
    gaussian_reverse,
    posterior_coefficients,
    principal_marginal,
)
from ddpm_core.schedules import constant
from ddpm_core.training.loop import levels_at
from ddpm_ui import figures
from ddpm_ui.recipe import Forward, Views, mixture_of
from ddpm_ui.trajectories import VIEW, badge, chunk, denoiser_of, json_chunk, title

FIELD = 6
SIDE = 40
VIEWS = ("eps", "x0", "score", "v")
LEVELS = 20
LAM = torch.linspace(4.0, -3.0, LEVELS, dtype=torch.float64)  # data left, noise right
START = 10  # the level that is shown first
POINTS = 512  # of the noised law, behind each number of a curve


def _noised(recipe: Views, n: int, levels: list[tuple[float, float]]) -> list[Tensor]:
    """The same n particles at each level, [n, 2] each."""
    noise = ParticleNoise(recipe.seed, n)
    x0, eps = noise.data(mixture_of(recipe.data))[0], noise.start()
    return [alpha * x0 + sigma * eps for alpha, sigma in levels]


def _arrows(prediction: Prediction) -> Tensor:
    """The four views as vectors at their points, [4, n, 2]; x0-hat as the way there."""
    way = {"x0": prediction.x0 - prediction.x}
    return torch.stack([way.get(view, getattr(prediction, view)) for view in VIEWS])


@lru_cache(maxsize=64)
def _errors(recipe: Views) -> tuple[dict[str, list[float]], float]:
    """Relative error (root mean square) of each view at each level; and the largest residual of converting views."""
    levels = levels_at(LAM)
    denoiser, exact = denoiser_of(recipe.denoiser, recipe.data), MixtureDenoiser(mixture_of(recipe.data))
    error: dict[str, list[float]] = {view: [] for view in VIEWS}
    residual = 0.0
    for x, level in zip(_noised(recipe, POINTS, levels), levels, strict=True):
        said, true = denoiser(x.float(), *level), exact(x, *level)
        residual = max(residual, conversion_residual(said))
        for view in VIEWS:
            a, b = getattr(said, view).double(), getattr(true, view)
            error[view].append(((a - b).norm() / b.norm()).item())
    return error, residual


def _field(index: int, vectors: Tensor, log_density: Tensor) -> bytes:
    """The chunk of one level: vectors [rows, views, side^2, 2] and the log-density [side^2] of the noised data.

    FIELD   int32 level; float32 [views] the largest coordinate; int16 [rows, views, side^2, 2] in units of that
            / 32767; uint8 [side^2] density in units of its largest / 255
    """
    largest = vectors.abs().amax((0, 2, 3))
    units = (vectors / largest[:, None, None] * 32767).round().to(torch.int16)
    shade = (255 * (log_density - log_density.max()).exp()).round().to(torch.uint8)
    head = struct.pack("<i", index) + largest.numpy().astype("<f4").tobytes()
    return chunk(FIELD, head + units.numpy().astype("<i2").tobytes() + shade.numpy().tobytes())


def fields(recipe: Views) -> Generator[bytes, None, None]:
    """What the denoiser says over a grid at every level, and the exact one; then how far apart they are."""
    mixture, levels = mixture_of(recipe.data), levels_at(LAM)
    denoiser, exact = denoiser_of(recipe.denoiser, recipe.data), MixtureDenoiser(mixture)
    error, residual = _errors(recipe)
    alpha, sigma = (list(part) for part in zip(*levels, strict=True))
    yield json_chunk(
        dict(side=SIDE, view=VIEW, rows=(badge(recipe.denoiser), "exact"), views=VIEWS, alpha=alpha, sigma=sigma)
        | dict(start=START, title=title(recipe, "tab_views"), residual=residual, error=error)
    )
    points = grid(VIEW, SIDE)
    for index, level in enumerate(levels):
        both = torch.stack([_arrows(model(points.float(), *level)) for model in (denoiser, exact)]).double()
        yield _field(index, both, mixture.noised(*level).log_prob(points))
    yield json_chunk({"done": True})


def drifts(recipe: Forward) -> Generator[bytes, None, None]:
    """How the cloud moves as ink in water would, over a grid, at LEVELS times of the schedule."""
    mixture, schedule, points = mixture_of(recipe.data), recipe.full_schedule, grid(VIEW, SIDE)
    times = torch.linspace(1, schedule.T, min(LEVELS, schedule.T)).round().int().tolist()
    alpha, sigma = (c[times] / schedule.scale[times] for c in (schedule.alpha, schedule.sigma))
    yield json_chunk(
        dict(side=SIDE, view=VIEW, rows=("exact",), views=DriftFields._fields, times=times)
        | dict(alpha=alpha.tolist(), sigma=sigma.tolist(), title=title(recipe, "drifts"))
    )
    for index, t in enumerate(times):
        level = alpha[index].item(), sigma[index].item()
        moves = drift_fields(MixtureDenoiser(mixture)(points, *level), schedule.betas[t - 1].item())
        yield _field(index, torch.stack(moves)[None], mixture.noised(*level).log_prob(points))
    yield json_chunk({"done": True})


# ---- figures --------------------------------------------------------------------------------------------------------


def errors(recipe: Views) -> go.Figure:
    """The relative error of each view over the noise levels."""
    return figures.view_errors(LAM.tolist(), _errors(recipe)[0])


def bound(recipe: Views) -> go.Figure:
    """The variational bound term by term, for both variances, beside the entropy of the data."""
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
    return figures.bound_terms(bounds, entropy)


def coefficients(recipe: Views) -> go.Figure:
    """Which part of the posterior mean is x0-hat, which is x_t."""
    return figures.posterior_weights(*posterior_coefficients(recipe.full_schedule))


def _particle(recipe: Views) -> tuple[int, Tensor]:
    """The chosen time and the chosen particle then, [2]."""
    schedule, noise = recipe.full_schedule, ParticleNoise(recipe.seed, recipe.particle + 1)
    t = min(recipe.at, schedule.T)
    return t, schedule.jump(noise.data(mixture_of(recipe.data))[0], t, noise.start())[recipe.particle]


def step(recipe: Views) -> go.Figure:
    """One step back from one particle: the exact law along its widest direction, and DDPM's single Gaussians."""
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
    return figures.reverse_law(s[:, 0], marginal.log_prob(s).exp(), gaussians, t, count_modes(law), misfit)


def likelihood(recipe: Views) -> go.Figure:
    """log p(x0) by the flow of this denoiser against the exact density, a dot for each of some data points."""
    mixture = mixture_of(recipe.data)
    x0 = ParticleNoise(recipe.seed, 200).data(mixture)[0]
    by_flow = flow_log_prob(denoiser_of(recipe.denoiser, recipe.data), x0.float()).log_prob
    return figures.likelihoods(mixture.log_prob(x0), by_flow)


def tweedie(recipe: Views) -> go.Figure:
    """Where one x_t may have come from: draws of x0 given x_t, their mean, and what the denoiser says."""
    mixture, schedule = mixture_of(recipe.data), recipe.full_schedule
    t, x = _particle(recipe)
    alpha, sigma = schedule.alpha[t].item(), schedule.sigma[t].item()
    jump = Schedule(torch.tensor([1.0, alpha], dtype=torch.float64), torch.tensor([0.0, sigma], dtype=torch.float64))
    origins = exact_reverse(mixture, x, jump, 1)
    draws = origins.sample(60, generator=torch.Generator().manual_seed(recipe.seed))
    said = denoiser_of(recipe.denoiser, recipe.data)(x[None].float(), alpha, sigma).x0[0]
    return figures.origins(x, draws, mixture.denoise(x[None], alpha, sigma)[0], said, t)


UNEQUAL = GaussianMixture([0.8, 0.2], [[-2.0, 0.0], [2.0, 0.0]], 0.04)  # two far modes


def modes(recipe: Views) -> go.Figure:
    """The share of the larger of two far modes, over Langevin moves at one noise level and down a ladder of levels."""
    noise, exact = ParticleNoise(recipe.seed, 500), MixtureDenoiser(UNEQUAL)
    ladder = SCHEDULES["karras"](10, sigma_min=0.05, sigma_max=8.0)
    each, level = 60, (1.0, ladder.sigma[1].item())
    walks = {
        "at one level": langevin(exact, 3 * noise.start(), *level, steps=each * ladder.T, noise=noise),
        "annealed": annealed(exact, ladder, ladder.scale[-1] * noise.start(), steps_per_level=each, noise=noise),
    }
    shares = {name: [(move.x[:, 0] < 0).double().mean().item() for move in walk] for name, walk in walks.items()}
    return figures.mode_shares(shares, UNEQUAL.weights[0].item())


PATH = SCHEDULES["cosine"](50)


def marginals(recipe: Views) -> go.Figure:
    """Distance of the particles to the noised data at every t: with no fresh noise, the chosen share of it, and all."""
    mixture, n = mixture_of(recipe.data), 1000
    denoiser, noise = denoiser_of(recipe.denoiser, recipe.data), ParticleNoise(recipe.seed, n)
    other = ParticleNoise(recipe.seed + 1, n)
    x0, eps = other.data(mixture)[0], other.start()
    distance: dict[float, list[Measured]] = {}
    for eta in sorted({0.0, recipe.churn, 1.0}):
        steps = SAMPLERS["ddim"](denoiser, PATH, noise.start().float(), noise=noise, eta=eta)
        distance[eta] = [
            sliced_w2(step.x, PATH.jump(x0, step.t, eps), projections=24) for step in steps if step.t % 5 == 0
        ]
    return figures.marginal_distances(list(range(PATH.T, -1, -5)), distance)


def paths(recipe: Views) -> go.Figure:
    """Several ways from the noise of the chosen particle: with no fresh noise, the chosen share of it, and all."""
    denoiser, n = denoiser_of(recipe.denoiser, recipe.data), 8
    start = ParticleNoise(recipe.seed, recipe.particle + 1).start()[recipe.particle].expand(n, 2)
    ways = {}
    for eta in sorted({0.0, recipe.churn, 1.0}):
        steps = SAMPLERS["ddim"](denoiser, PATH, start, noise=ParticleNoise(recipe.seed, n), eta=eta)
        ways[eta] = torch.stack([step.x for step in steps])
    return figures.ways_back(ways)


def coordinates(recipe: Views) -> go.Figure:
    """One particle's way in three coordinates, and the straight line that it would go if its data point were known."""
    denoiser = denoiser_of(recipe.denoiser, recipe.data)
    noise = ParticleNoise(recipe.seed, recipe.particle + 1)
    steps = list(SAMPLERS["ddim"](denoiser, PATH, noise.start(), noise=noise))
    x = torch.stack([step.x[recipe.particle].double() for step in steps])  # [T + 1, 2], noise first
    alpha, sigma = (c[[step.t for step in steps]][:, None] for c in (PATH.alpha, PATH.sigma))
    keep = (sigma / alpha)[:, 0] < 20  # where alpha = 0 the exploding coordinates are infinite
    return figures.three_coordinates(
        x[keep], (x / alpha)[keep], (x / (alpha + sigma))[keep], noise.start()[recipe.particle]
    )


SIZES = (50, 500, 5000)


def memory(recipe: Views) -> go.Figure:
    """How many training points matter at each level, and where the denoiser lies between their score and the law's."""
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
    return figures.memorisation(lam.tolist(), counts, position)


FEW = 50  # training points, few enough to see each


def recite(recipe: Views) -> go.Figure:
    """What a perfect model of a few training points generates, and what the denoiser does, from the same noise."""
    mixture, noise = mixture_of(recipe.data), ParticleNoise(recipe.seed, 200)
    points = mixture.sample(FEW, generator=torch.Generator().manual_seed(recipe.seed))
    fresh = mixture.sample(2000, generator=torch.Generator().manual_seed(recipe.seed + 1))
    models = (EmpiricalDenoiser(points), denoiser_of(recipe.denoiser, recipe.data))
    perfect, other = (sample("ddim", model, PATH, noise).x for model in models)
    distance = [nearest_distance(x, points, fresh) for x in (perfect, other)]
    return figures.recitation(points, perfect, other, distance, badge(recipe.denoiser))


def why(recipe: Forward) -> go.Figure:
    """Why this forward process: variance with and without the sqrt(1 - beta), measured and exact; and the entropy."""
    mixture, schedule, noise = mixture_of(recipe.data), recipe.full_schedule, ParticleNoise(recipe.seed, 1000)
    betas, x0 = schedule.betas, noise.data(mixture)[0]
    shrinking, growing, keep = x0, x0, {round(k * schedule.T / 24) for k in range(25)}
    measured: dict[int, tuple[float, float]] = {}
    for t in range(schedule.T + 1):
        if t > 0:
            z, beta = noise(t), betas[t - 1]
            shrinking, growing = schedule.step(shrinking, t, z), growing + beta.sqrt() * z
        if t in keep:
            here = (shrinking / schedule.scale[t], growing)
            measured[t] = tuple(cloud.var(0).mean().item() for cloud in here)  # type: ignore[assignment]
    start = mixture.covariance.diagonal().mean()
    total = torch.cat([torch.zeros(1, dtype=torch.float64), betas.cumsum(0)])
    preserved = schedule.alpha_bar * start + 1 - schedule.alpha_bar
    entropy = {}
    for name, path in (("entropy", schedule), ("entropy, constant β", constant(schedule))):
        levels = ((path.alpha_bar[t].sqrt().item(), (1 - path.alpha_bar[t]).sqrt().item()) for t in measured)
        laws = (mixture.noised(*level) for level in levels)
        entropy[name] = [law.entropy(2000, generator=torch.Generator().manual_seed(0)) for law in laws]
    return figures.forward_reasons(preserved, start + total, measured, entropy)


OTHERS = ("two_moons", "twenty_five_gaussians", "ink_drop")


def forgetting(recipe: Forward) -> go.Figure:
    """How far the noised law of the data, and of others, is from pure noise over t: alpha_bar alone decides."""
    schedule = recipe.full_schedule
    times = sorted({round(k * schedule.T / 24) for k in range(25)})
    kl = {}
    for data in dict.fromkeys((recipe.data, *OTHERS)):
        levels = ((schedule.alpha_bar[t].sqrt().item(), (1 - schedule.alpha_bar[t]).sqrt().item()) for t in times)
        laws = (mixture_of(data).noised(*level) for level in levels)
        kl[data] = [law.kl_to_noise(1000, generator=torch.Generator().manual_seed(0)) for law in laws]
    return figures.distances_to_noise(times, kl, schedule.alpha_bar[times])


# What each shows, and whether a network, the exact denoiser, or both have made it.
FIGURES: dict[str, tuple[Callable[..., go.Figure], tuple[str, ...]]] = {
    "errors": (errors, ("learned",)),
    "step": (step, ("exact",)),
    "bound": (bound, ("learned",)),
    "coefficients": (coefficients, ("exact",)),
    "tweedie": (tweedie, ("exact", "learned")),
    "modes": (modes, ("exact",)),
    "paths": (paths, ("learned",)),
    "marginals": (marginals, ("learned",)),
    "coordinates": (coordinates, ("learned",)),
    "likelihood": (likelihood, ("learned",)),
    "recite": (recite, ("exact", "learned")),
    "memory": (memory, ("exact", "learned")),
}


def figure(name: str, recipe: Views) -> go.Figure:
    """One of FIGURES, with its caption."""
    draw, badges = FIGURES[name]
    if recipe.denoiser == "exact":
        badges = ("exact",)
    return figures.captioned(draw(recipe), name, badges)
