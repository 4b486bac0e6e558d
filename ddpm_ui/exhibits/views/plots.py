"""The figures of Three views as Plotly figures, from arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots
from torch import Tensor

from ddpm_core.analysis.bound import Bound
from ddpm_core.metrics.intervals import Measured
from ddpm_core.samplers.reverse_step import Estimate
from ddpm_ui.exhibits.plots import LOG, dots, labelled, rule, square, stroke
from ddpm_ui.words import Message

NAMES = {"eps": "ε̂", "x0": "x̂₀", "score": "view_score", "v": "v̂"}


def view_errors(lam: Sequence[float], curves: Mapping[str, Sequence[float]]) -> go.Figure:
    """Relative error of each view over the index of the noise level, so that the cursor can mark a level."""
    figure, dashes = go.Figure(), ("solid", "dot", "dash", "dashdot")
    for (view, curve), dash in zip(curves.items(), dashes, strict=True):
        figure.add_scatter(x=list(range(len(lam))), y=curve, name=NAMES[view], mode="lines", **stroke("error", dash))
    ticks = list(range(0, len(lam), 3))
    figure.update_xaxes(tickvals=ticks, ticktext=[f"{lam[k]:.1f}".replace("-", "−") for k in ticks]).update_yaxes(LOG)
    worst = max(curves["v"])
    return labelled(figure, "λ", "relative error", Message("alt_view_errors", {"worst": f"{100 * worst:.1f}"}))


def bound_terms(bounds: Mapping[str, Bound], entropy: float) -> go.Figure:
    """Left: L_T, the sum of the terms between, L_0, their total, and the entropy it bounds. Right: the terms over t."""
    figure = make_subplots(1, 2, horizontal_spacing=0.16)
    names = ["L_T", "Σ L_t", "L_0", "total"]
    meanings = {"beta": "learned", "beta_tilde": "data"}
    for variance, b in bounds.items():
        values = [b.L_T, b.L.sum().item(), b.L_0, b.total]
        errors = [0.0, b.L_error.square().sum().sqrt().item(), b.L_0_error, b.total_error]
        bar = {"name": f"choice_{variance}", "meta": meanings[variance], "marker": {"line": {"width": 0}}}
        figure.add_bar(x=names, y=values, error_y={"array": errors}, **bar, row=1, col=1)
        t, y = list(range(2, len(b.L) + 2)), b.L.tolist()  # drawn as an outline, because there are up to 2 x 2000 bars
        line = {"mode": "lines" if len(t) > 50 else "lines+markers", "line": {"shape": "hvh", "width": 1.5}}
        figure.add_scatter(x=t, y=y, meta=meanings[variance], **line, showlegend=False, row=1, col=2)
    figure.add_hline(y=entropy, **rule("exact"), row=1, col=1)
    figure.add_scatter(x=[None], y=[None], mode="lines", name="entropy", **stroke("exact"), row=1, col=1)
    totals = {variance: f"{b.total:.3f}" for variance, b in bounds.items()}
    said = {"beta": "–", "beta_tilde": "–", **totals, "entropy": f"{entropy:.3f}"}
    finished = labelled(figure, "", "nats", Message("alt_bound", said), barmode="group", bargap=0.1)
    finished.update_xaxes(tickvals=names, ticktext=names, row=1, col=1).update_xaxes(title="t", row=1, col=2)
    return finished.update_yaxes(LOG, title="", row=1, col=2)


def posterior_weights(of_x0: Tensor, of_x: Tensor) -> go.Figure:
    """The weights of x0-hat and of x_t in the mean of x_{t-1}, over t."""
    t, figure = list(range(1, len(of_x0) + 1)), go.Figure()
    for name, weights, meaning in (("x̂₀", of_x0, "data"), ("xₜ", of_x, "noise")):
        figure.add_scatter(x=t, y=weights.tolist(), name=name, mode="lines", **stroke(meaning))
    return labelled(figure, "t", "weight in the mean", Message("alt_weights", {"T": len(t)}))


def reverse_law(
    s: Tensor, exact: Tensor, gaussians: Mapping[str, Tensor], t: int, humps: int, misfit: Mapping[str, Estimate]
) -> go.Figure:
    """p(x_{t-1} | x_t) along its widest direction, and DDPM's Gaussian approximations."""
    figure = go.Figure()
    figure.add_scatter(x=s.tolist(), y=exact.tolist(), name="exact", mode="lines", **stroke("exact", width=3))
    for (variance, density), dash in zip(gaussians.items(), ("solid", "dot"), strict=False):
        kl = misfit[variance]
        name = f"choice_{variance} · KL {kl.value:.2g} ± {kl.error:.1g} nats".replace("-", "−")
        figure.add_scatter(x=s.tolist(), y=density.tolist(), name=name, mode="lines", **stroke("learned", dash))
    alt = Message("alt_reverse_law", {"t": t, "humps": humps})
    finished = labelled(figure, "xₜ₋₁ | xₜ", "density", alt)
    return finished.update_layout(meta=finished.layout.meta | {"said": {"t": [str(t)], "humps": [str(humps)]}})


def likelihoods(exact: Tensor, by_flow: Tensor) -> go.Figure:
    """log p by the probability-flow ODE against the exact value."""
    figure, ends = go.Figure(), [exact.min().item(), exact.max().item()]
    figure.add_scatter(x=ends, y=ends, mode="lines", name="exact", **stroke("exact"))
    points = {"mode": "markers", "name": "probability-flow ODE", **dots("learned", 4)}
    figure.add_scatter(x=exact.tolist(), y=by_flow.tolist(), **points)
    gap = (by_flow.double() - exact).mean().item()
    alt = Message("alt_likelihoods", {"n": len(exact), "gap": f"{gap:+.3f}"})
    return labelled(figure, "exact log p, nats", "log p by the ODE, nats", alt)


def memorisation(
    lam: Sequence[float], counts: Mapping[int, Sequence[float]], position: Mapping[int, Sequence[float]]
) -> go.Figure:
    """Above, the effective number of training points; below, the denoiser: 0 true score, 1 training points."""
    figure = make_subplots(2, 1, shared_xaxes=True, vertical_spacing=0.08)
    for (size, values), dash in zip(counts.items(), ("dot", "dash", "solid"), strict=True):
        figure.add_scatter(x=lam, y=values, name=f"n = {size}", mode="lines", **stroke("exact", dash), row=1, col=1)
        figure.add_scatter(
            x=lam, y=position[size], showlegend=False, mode="lines", **stroke("learned", dash), row=2, col=1
        )
    figure.update_yaxes(LOG, row=1, col=1).update_xaxes(range=[lam[0], lam[-1]])
    few, many = min(counts), max(counts)
    said = {"few": few, "many": many, "one": f"{counts[few][0]:.1f}", "other": f"{counts[many][0]:.1f}"}
    finished = labelled(figure, "λ", "", Message("alt_memory", said))
    return (
        finished.update_yaxes(title="points", row=1)
        .update_yaxes(title="0 = true, 1 = memorised", row=2)
        .update_xaxes(title="", row=1)
    )


def _lines(paths: Tensor) -> tuple[list, list]:
    """x and y of one trace for paths [steps, n, 2], with a gap after each path."""
    gap = torch.full_like(paths[:1], math.nan)
    x, y = torch.cat([paths, gap]).transpose(0, 1).reshape(-1, 2).T.tolist()
    return tuple([None if math.isnan(c) else c for c in part] for part in (x, y))  # type: ignore[return-value]


def origins(x: Tensor, draws: Tensor, mean: Tensor, said: Tensor, t: int) -> go.Figure:
    """x_t [2], samples of x0 given x_t [n, 2], their exact mean [2] and the denoiser's estimate [2]."""
    figure = go.Figure()
    a, b = _lines(torch.stack([x.expand_as(draws), draws]))
    figure.add_scatter(x=a, y=b, mode="lines", name="xₜ → x₀", **stroke("noise", width=1))
    for name, point, meaning, symbol in (
        ("xₜ", x, "noise", "circle"), ("mean of x₀", mean, "exact", "x"), ("x̂₀", said, "learned", "cross"),
    ):  # fmt: skip
        marker = dots(meaning, 11, symbol=symbol)
        figure.add_scatter(x=[point[0].item()], y=[point[1].item()], mode="markers", name=name, **marker)
    off = (said.double() - mean).norm().item()
    return square(labelled(figure, "", "", Message("alt_tweedie", {"n": len(draws), "t": t, "off": f"{off:.3f}"})))


def mode_shares(shares: Mapping[str, Sequence[float]], truth: float) -> go.Figure:
    """The share of particles in the larger mode over Langevin steps."""
    figure, meaning = go.Figure(), {"one noise level": "error", "annealed": "learned"}
    for name, share in shares.items():
        figure.add_scatter(x=list(range(1, len(share) + 1)), y=share, mode="lines", name=name, **stroke(meaning[name]))
    figure.add_hline(y=truth, **rule("exact"))
    figure.update_yaxes(range=[0.4, 1])
    ends = {name: f"{share[-1]:.2f}" for name, share in shares.items()}
    said = {"one": ends["one noise level"], "annealed": ends["annealed"], "truth": f"{truth:.2f}"}
    return labelled(figure, "Langevin steps", "share of the larger mode", Message("alt_modes", said))


def _churned(eta: float) -> str:
    return {0.0: "ODE", 1.0: "SDE"}.get(eta, f"η = {eta:g}")


def marginal_distances(t: Sequence[int], distance: Mapping[float, Sequence[Measured]]) -> go.Figure:
    """Sliced W2 to the noised data at every t, for each share of fresh noise, with the floor."""
    figure = go.Figure()
    for (eta, measured), dash in zip(distance.items(), ("solid", "dash", "dot"), strict=False):
        line = stroke("learned", dash)
        figure.add_scatter(x=t, y=[m.value for m in measured], mode="lines", name=_churned(eta), **line)
    floor = [m.floor for m in next(iter(distance.values()))]
    figure.add_scatter(x=t, y=floor, mode="lines", name="floor", **stroke("exact", "dot"))
    figure.update_yaxes(rangemode="tozero")
    ends = {eta: f"{measured[-1].value:.3f}" for eta, measured in distance.items()}
    said = {"ode": ends[0.0], "sde": ends[1.0], "floor": f"{floor[-1]:.3f}"}
    return labelled(figure, "t", "sliced W₂", Message("alt_marginals", said))


def three_coordinates(preserving: Tensor, exploding: Tensor, flow: Tensor, eps: Tensor) -> go.Figure:
    """The same path in three coordinates, [T + 1, 2] each; and the straight conditional path of the flow to eps [2]."""
    figure = make_subplots(1, 2, horizontal_spacing=0.12)
    for name, path, meaning, column in (
        ("variance preserving", preserving, "learned", 1),
        ("flow", flow, "data", 1),
        ("variance exploding", exploding, "noise", 2),
    ):
        x, y = path.T.tolist()
        figure.add_scatter(x=x, y=y, mode="lines", name=name, **stroke(meaning), row=1, col=column)
    ends = torch.stack([flow[-1], eps.double()])
    x, y = ends.T.tolist()
    figure.add_scatter(x=x, y=y, mode="lines", name="conditional path", **stroke("exact", "dot"), row=1, col=1)
    apart = (preserving[-1] - flow[-1]).abs().max().item()
    figure.update_yaxes(scaleanchor="x", row=1, col=1).update_yaxes(scaleanchor="x2", row=1, col=2)
    return labelled(figure, "", "", Message("alt_coordinates", {"apart": f"{apart:.1e}"}))


def ways_back(paths: Mapping[float, Tensor]) -> go.Figure:
    """Paths from the same noise, [steps, n, 2] for each share of fresh noise, with their ends as dots."""
    figure = go.Figure()
    for (eta, path), meaning in zip(
        reversed(list(paths.items())), ("noise", "error", "learned")[-len(paths) :], strict=True
    ):
        name = _churned(eta)
        x, y = _lines(path)
        figure.add_scatter(x=x, y=y, mode="lines", name=name, **stroke(meaning, width=3 if eta == 0 else 1))
        x, y = path[-1].T.tolist()
        figure.add_scatter(x=x, y=y, mode="markers", name=name, showlegend=False, **dots(meaning, 6))
    spread = {eta: f"{path[-1].double().std(0, correction=0).norm().item():.2f}" for eta, path in paths.items()}
    said = {"n": len(paths[0.0][0]), "ode": spread[0.0], "sde": spread[1.0]}
    return square(labelled(figure, "", "", Message("alt_paths", said)))


def recitation(points: Tensor, perfect: Tensor, other: Tensor, distance: Sequence[Measured], badge: str) -> go.Figure:
    """Training points [N, 2] as rings; left with samples of their optimal model, right with those of another model.

    distance: of each model's samples to the nearest training point. badge: whether the other model is learned or exact.
    """
    figure = make_subplots(1, 2, horizontal_spacing=0.08)
    models = (("optimal model", perfect, "exact"), (f"{badge} denoiser", other, badge))
    for column, (name, cloud, meaning) in enumerate(models, start=1):
        x, y = points.T.tolist()
        ring, shown = dots("data", 9, symbol="circle-open"), {"mode": "markers", "row": 1, "col": column}
        figure.add_scatter(x=x, y=y, name="training points", showlegend=column == 1, **ring, **shown)
        x, y = cloud.T.tolist()
        figure.add_scatter(x=x, y=y, name=f"samples, {name}", **dots(meaning, 4), **shown)
    figure.update_yaxes(scaleanchor="x", row=1, col=1).update_yaxes(scaleanchor="x2", row=1, col=2)
    said = {"points": len(points), "fresh": f"{distance[0].floor:.3f}"}
    said |= {model: f"{measured.value:.3g}" for model, measured in zip(("perfect", "other"), distance, strict=True)}
    return labelled(figure, "", "", Message("alt_recite", said))
