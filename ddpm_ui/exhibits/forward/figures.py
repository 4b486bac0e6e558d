"""The figures of Forward: the schedule, reasons for this process, and how the data are forgotten."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots
from torch import Tensor

from ddpm_core import ParticleNoise
from ddpm_core.schedules import constant
from ddpm_ui.exhibits.forward.recipe import Forward
from ddpm_ui.exhibits.plots import LEGEND, coloured, dots, labelled, rule, stroke
from ddpm_ui.recipes import mixture_of
from ddpm_ui.words import Message, name_of


def curves(recipe: Forward) -> go.Figure:
    """Signal, noise and step sizes over t, and the half-log-SNR below."""
    schedule = recipe.full_schedule
    t = np.arange(schedule.T + 1)
    alpha_bar, betas = schedule.alpha_bar.numpy(), schedule.betas.numpy()
    lam = np.where(np.isfinite(schedule.lam.numpy()), schedule.lam.numpy(), np.nan)  # infinite at t = 0
    lines = [
        ("√ᾱ", t, np.sqrt(alpha_bar), "data", "solid", 1),
        ("√(1−ᾱ)", t, np.sqrt(1 - alpha_bar), "noise", "solid", 1),
        ("√β", t[1:], np.sqrt(betas), "noise", "dot", 1),
        ("√(1−β)", t[1:], np.sqrt(1 - betas), "data", "dot", 1),
        ("λ = ½ log SNR", t, lam, "exact", "solid", 2),
    ]
    figure = make_subplots(2, 1, shared_xaxes=True, row_heights=[0.6, 0.4], vertical_spacing=0.06)
    for name, x, y, meaning, dash, row in lines:
        figure.add_scatter(x=x, y=y, name=name, mode="lines", **stroke(meaning, dash), row=row, col=1)
    figure.update_xaxes(range=[0, schedule.T])
    figure.update_xaxes(title="t", row=2, col=1)
    figure.update_yaxes(range=[-0.03, 1.03], row=1, col=1)
    figure.update_yaxes(title="λ", row=2, col=1)
    ends = {"signal": f"{np.sqrt(alpha_bar[-1]):.3g}", "lam": f"{lam[-1]:.3g}"}
    alt, margin = Message("alt_schedule", {"T": schedule.T, **ends}), {"l": 48, "r": 12, "t": 36, "b": 40}
    return coloured(figure).update_layout(legend=LEGEND, margin=margin, meta={"alt": alt})


def why(recipe: Forward) -> go.Figure:
    """Reasons for this process: variance with and without sqrt(1 - beta), measured and exact; and entropy."""
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
    return forward_reasons(preserved, start + total, measured, entropy)


def forward_reasons(
    preserved: Tensor,
    growing: Tensor,
    measured: Mapping[int, tuple[float, float]],
    entropy: Mapping[str, Sequence[float]],
) -> go.Figure:
    """Left, the variance over t with and without the factor sqrt(1 - beta); lines are exact, dots measured.

    Right, the entropy at the measured times, with the noise of the schedule and with the same noise in every step.
    """
    figure, t = make_subplots(1, 2, horizontal_spacing=0.14), list(range(len(preserved)))
    for k, (name, exact, meaning) in enumerate(
        (("√(1−β) x + √β z", preserved, "exact"), ("x + √β z", growing, "error"))
    ):
        figure.add_scatter(x=t, y=exact.tolist(), mode="lines", name=name, **stroke(meaning), row=1, col=1)
        points = [both[k] for both in measured.values()]
        shown = dots(meaning, 6) | {"showlegend": False, "row": 1, "col": 1}
        figure.add_scatter(x=list(measured), y=points, mode="markers", **shown)
    limit = math.log(2 * math.pi * math.e)
    for (name, values), dash in zip(entropy.items(), ("solid", "dot"), strict=True):
        figure.add_scatter(x=list(measured), y=values, mode="lines", name=name, **stroke("data", dash), row=1, col=2)
    figure.add_hline(y=limit, **rule("noise", "dot"), row=1, col=2)
    said = {"grown": f"{growing[-1]:.2f}", "kept": f"{preserved[-1]:.2f}"}
    ours, even = entropy.values()
    said |= {"first": f"{ours[0]:.2f}", "last": f"{ours[-1]:.2f}", "limit": f"{limit:.2f}"}
    said |= {"half": f"{ours[len(ours) // 2]:.2f}", "even": f"{even[len(even) // 2]:.2f}"}
    finished = labelled(figure, "t", "variance", Message("alt_why", said))
    return finished.update_yaxes(title="entropy, nats", row=1, col=2)


OTHERS = ("two_moons", "twenty_five_gaussians", "ink_drop")


def forgetting(recipe: Forward) -> go.Figure:
    """KL divergence of the noised distribution to pure noise over t, for these data and others: alpha_bar decides."""
    schedule = recipe.full_schedule
    times = sorted({round(k * schedule.T / 24) for k in range(25)})
    kl = {}
    for data in dict.fromkeys((recipe.data, *OTHERS)):
        levels = ((schedule.alpha_bar[t].sqrt().item(), (1 - schedule.alpha_bar[t]).sqrt().item()) for t in times)
        laws = (mixture_of(data).noised(*level) for level in levels)
        kl[data] = [law.kl_to_noise(1000, generator=torch.Generator().manual_seed(0)) for law in laws]
    return distances_to_noise(times, kl, schedule.alpha_bar[times])


def distances_to_noise(t: Sequence[int], kl: Mapping[str, Sequence[float]], alpha_bar: Tensor) -> go.Figure:
    """KL(x_t || N(0, I)) over t for several data sets, and alpha_bar; all go to 0 together."""
    figure = go.Figure()
    figure.add_scatter(x=t, y=alpha_bar.tolist(), mode="lines", name="ᾱ", **stroke("noise", "dot"))
    for (data, values), dash in zip(kl.items(), ("solid", "dash", "dashdot", "longdash"), strict=False):
        figure.add_scatter(x=t, y=values, mode="lines", name=name_of(data), **stroke("data", dash))
    ends = [values[-1] for values in kl.values()]
    said = {"n": len(kl), "least": f"{min(ends):.2g}", "most": f"{max(ends):.2g}", "alpha_bar": f"{alpha_bar[-1]:.2g}"}
    return labelled(figure, "t", "KL(xₜ ‖ N(0, I)), nats", Message("alt_forgetting", said))
