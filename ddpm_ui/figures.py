"""Arrays become Plotly figures. No Gradio here: a notebook can use every function of this file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import torch
from plotly.colors import sample_colorscale
from plotly.subplots import make_subplots
from torch import Tensor

from ddpm_core import Schedule, fitted_order
from ddpm_core.analysis.bound import Bound
from ddpm_core.metrics.registry import Measured, Metric
from ddpm_core.samplers.reverse_step import Estimate
from ddpm_ui.i18n import Message, name_of
from ddpm_ui.trajectories import VIEW, Trajectory

# One meaning, one colour, everywhere (Okabe & Ito 2008, safe for colour-blind eyes).
COLOURS = {"data": "#0072B2", "noise": "#767676", "learned": "#D55E00", "exact": "#009E73", "error": "#CC79A7"}
# Solvers that stand side by side (Tol 2021, muted), by place.
COLOURS |= {f"racer{k}": c for k, c in enumerate(("#1B1F24", "#882255", "#7D7D1C", "#332288", "#CC6677", "#2A7F9E"), 1)}
# Place in the data: 256 steps, both ends dark or light enough for a white and for a black wall.
PALETTE = sample_colorscale("Plasma", np.linspace(0.15, 0.86, 256), colortype="rgb")
PALETTE = ["#" + "".join(f"{int(v):02x}" for v in colour[4:-1].split(",")) for colour in PALETTE]


LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}
# Not down to a zero that is drawn as 1e-300: the axis would have hundreds of decades.
LOG = {"type": "log", "exponentformat": "power", "autorangeoptions": {"clipmin": 1e-12}}


def _line(meaning: str, dash: str = "solid", width: float = 2) -> dict:
    return {"color": COLOURS[meaning], "dash": dash, "width": width}


def _finished(figure: go.Figure, x: str, y: str, alt: Message, **layout) -> go.Figure:
    margin = {"l": 56, "r": 12, "t": 36, "b": 40}
    figure.update_xaxes(title=x).update_yaxes(title=y)
    return figure.update_layout(legend=LEGEND, margin=margin, meta={"alt": alt}, **layout)


def captioned(figure: go.Figure, name: str, badges: Sequence[str], **more) -> go.Figure:
    """With what its caption says in its meta: `title`, a key of the words on the page, `badges`, and more: `said`."""
    return figure.update_layout(meta=figure.layout.meta | {"title": f"chart_{name}", "badges": badges} | more)


def filmstrip(trajectory: Trajectory, times: Sequence[int], *, most: int | None = None) -> go.Figure:
    """The cloud at chosen times, data left and noise right, one scatter each; at most the first `most` particles."""
    T, n = trajectory.header["T"], min(trajectory.header["n"], most or trajectory.header["n"])
    figure = make_subplots(1, len(times), subplot_titles=[f"t = {t}" for t in times], horizontal_spacing=0.01)
    colour = [PALETTE[c] for c in trajectory.colours[:n]]
    for column, t in enumerate(times, start=1):
        x, y = trajectory.at(t)[:n].round(4).T.tolist()  # plain numbers: any client can read them
        marker = {"size": 3 if n > 300 else 5, "color": colour}
        figure.add_scatter(x=x, y=y, mode="markers", marker=marker, name=f"t = {t}", row=1, col=column)
    figure.update_xaxes(range=[-VIEW, VIEW], showticklabels=False, constrain="domain", zeroline=False)
    figure.update_yaxes(range=[-VIEW, VIEW], showticklabels=False, constrain="domain", zeroline=False)
    for column in range(1, len(times) + 1):
        figure.update_yaxes(scaleanchor=f"x{column if column > 1 else ''}", row=1, col=column)
    alt = Message("alt_film", {"n": n, "of": trajectory.header["n"], "times": ", ".join(map(str, times)), "T": T})
    return figure.update_layout(showlegend=False, margin={"l": 4, "r": 4, "t": 28, "b": 4}, meta={"alt": alt})


def schedule_curves(schedule: Schedule) -> go.Figure:
    """Signal, noise and step sizes over t, and the half-log-SNR below."""
    t = np.arange(schedule.T + 1)
    alpha_bar, betas = schedule.alpha_bar.numpy(), schedule.betas.numpy()
    lam = np.where(np.isfinite(schedule.lam.numpy()), schedule.lam.numpy(), np.nan)  # infinite at t = 0
    curves = [
        ("√ᾱ", t, np.sqrt(alpha_bar), COLOURS["data"], "solid", 1),
        ("√(1−ᾱ)", t, np.sqrt(1 - alpha_bar), COLOURS["noise"], "solid", 1),
        ("√β", t[1:], np.sqrt(betas), COLOURS["noise"], "dot", 1),
        ("√(1−β)", t[1:], np.sqrt(1 - betas), COLOURS["data"], "dot", 1),
        ("λ = ½ log SNR", t, lam, COLOURS["exact"], "solid", 2),
    ]
    figure = make_subplots(2, 1, shared_xaxes=True, row_heights=[0.6, 0.4], vertical_spacing=0.06)
    for name, x, y, colour, dash, row in curves:
        line = {"color": colour, "dash": dash, "width": 2}
        figure.add_scatter(x=x, y=y, name=name, mode="lines", line=line, row=row, col=1)
    figure.update_xaxes(range=[0, schedule.T])
    figure.update_xaxes(title="t", row=2, col=1)
    figure.update_yaxes(range=[-0.03, 1.03], row=1, col=1)
    figure.update_yaxes(title="λ", row=2, col=1)
    ends = {"signal": f"{np.sqrt(alpha_bar[-1]):.3g}", "lam": f"{lam[-1]:.3g}"}
    alt = Message("alt_schedule", {"T": schedule.T, **ends})
    return figure.update_layout(legend=LEGEND, margin={"l": 48, "r": 12, "t": 36, "b": 40}, meta={"alt": alt})


def training_charts() -> dict[str, go.Figure]:
    """What is drawn while a network learns, still without numbers: loss, loss at each noise level, distance."""

    def line(name: str, meaning: str, dash: str = "solid") -> go.Scatter:
        return go.Scatter(x=[], y=[], name=name, mode="lines", line=_line(meaning, dash))

    def chart(x: str, y: str, *traces: go.Scatter, alt: str) -> go.Figure:
        return _finished(go.Figure(list(traces)), x, y, Message(alt, {})).update_yaxes(LOG, nticks=4)

    return {
        "train-loss": chart(
            "step", "loss",
            line("loss", "learned"), line("floor", "exact"), line("excess", "error"),
            alt="alt_loss",
        ),
        "train-levels": chart(
            "λ", "loss",
            line("loss", "learned"), line("floor", "exact"), line("score error", "error"),
            alt="alt_levels",
        ),
        "train-distance": chart(
            "step", "distance",
            line("|excess NLL|", "learned"), line("its floor", "learned", "dot"),
            line("sliced W₂", "data"), line("its floor", "data", "dot"),
            alt="alt_distance",
        ),
    }  # fmt: skip


# ---- three views ----------------------------------------------------------------------------------------------------

NAMES = {"eps": "ε̂", "x0": "x̂₀", "score": "view_score", "v": "v̂"}


def view_errors(lam: Sequence[float], curves: Mapping[str, Sequence[float]]) -> go.Figure:
    """Relative error of each view, over the index of the noise level, so that a cursor can stand at it."""
    figure, dashes = go.Figure(), ("solid", "dot", "dash", "dashdot")
    for (view, curve), dash in zip(curves.items(), dashes, strict=True):
        figure.add_scatter(x=list(range(len(lam))), y=curve, name=NAMES[view], mode="lines", line=_line("error", dash))
    ticks = list(range(0, len(lam), 3))
    figure.update_xaxes(tickvals=ticks, ticktext=[f"{lam[k]:.1f}".replace("-", "−") for k in ticks]).update_yaxes(LOG)
    worst = max(curves["v"])
    return _finished(figure, "λ", "relative error", Message("alt_view_errors", {"worst": f"{100 * worst:.1f}"}))


def bound_terms(bounds: Mapping[str, Bound], entropy: float) -> go.Figure:
    """Left, L_T, the sum of the terms between, L_0, the total and what it bounds; right, the terms between, over t."""
    figure = make_subplots(1, 2, horizontal_spacing=0.16)
    names = ["L_T", "Σ L_t", "L_0", "total"]
    colours = {"beta": COLOURS["learned"], "beta_tilde": COLOURS["data"]}
    for variance, b in bounds.items():
        values = [b.L_T, b.L.sum().item(), b.L_0, b.total]
        errors = [0.0, b.L_error.square().sum().sqrt().item(), b.L_0_error, b.total_error]
        error, colour = {"array": errors, "color": COLOURS["noise"]}, {"color": colours[variance]}
        bar = {"name": f"choice_{variance}", "marker": colour | {"line": {"width": 0}}}
        figure.add_bar(x=names, y=values, error_y=error, **bar, row=1, col=1)
        t, y = list(range(2, len(b.L) + 2)), b.L.tolist()  # up to 2 x 2000 bars: their outline
        mode, line = "lines" if len(t) > 50 else "lines+markers", colour | {"shape": "hvh", "width": 1.5}
        figure.add_scatter(x=t, y=y, mode=mode, line=line, showlegend=False, row=1, col=2)
    figure.add_hline(y=entropy, line=_line("exact"), row=1, col=1)
    figure.add_scatter(x=[None], y=[None], mode="lines", name="entropy", line=_line("exact"), row=1, col=1)
    totals = {variance: f"{b.total:.3f}" for variance, b in bounds.items()}
    said = {"beta": "–", "beta_tilde": "–", **totals, "entropy": f"{entropy:.3f}"}
    finished = _finished(figure, "", "nats", Message("alt_bound", said), barmode="group", bargap=0.1)
    finished.update_xaxes(tickvals=names, ticktext=names, row=1, col=1).update_xaxes(title="t", row=1, col=2)
    return finished.update_yaxes(LOG, title="", row=1, col=2)


def posterior_weights(of_x0: Tensor, of_x: Tensor) -> go.Figure:
    """The weights of x0-hat and of x_t in the mean of x_{t-1}, over t."""
    t, figure = list(range(1, len(of_x0) + 1)), go.Figure()
    for name, weights, meaning in (("x̂₀", of_x0, "data"), ("xₜ", of_x, "noise")):
        figure.add_scatter(x=t, y=weights.tolist(), name=name, mode="lines", line=_line(meaning))
    return _finished(figure, "t", "weight in the mean", Message("alt_weights", {"T": len(t)}))


def reverse_law(
    s: Tensor, exact: Tensor, gaussians: Mapping[str, Tensor], t: int, humps: int, misfit: Mapping[str, Estimate]
) -> go.Figure:
    """p(x_{t-1} | x_t) along its widest direction, and the Gaussians that DDPM puts in its place."""
    figure = go.Figure()
    figure.add_scatter(x=s.tolist(), y=exact.tolist(), name="exact", mode="lines", line=_line("exact", width=3))
    for (variance, density), dash in zip(gaussians.items(), ("solid", "dot"), strict=False):
        kl = misfit[variance]
        name = f"choice_{variance} · KL {kl.value:.2g} ± {kl.error:.1g} nats".replace("-", "−")
        figure.add_scatter(x=s.tolist(), y=density.tolist(), name=name, mode="lines", line=_line("learned", dash))
    alt = Message("alt_reverse_law", {"t": t, "humps": humps})
    finished = _finished(figure, "xₜ₋₁ | xₜ", "density", alt)
    return finished.update_layout(meta=finished.layout.meta | {"said": {"t": [str(t)], "humps": [str(humps)]}})


def likelihoods(exact: Tensor, by_flow: Tensor) -> go.Figure:
    """log p by the flow against the exact one."""
    figure, ends = go.Figure(), [exact.min().item(), exact.max().item()]
    figure.add_scatter(x=ends, y=ends, mode="lines", name="exact", line=_line("exact"))
    marker = {"size": 4, "color": COLOURS["learned"]}
    figure.add_scatter(x=exact.tolist(), y=by_flow.tolist(), mode="markers", name="by the flow", marker=marker)
    gap = (by_flow.double() - exact).mean().item()
    alt = Message("alt_likelihoods", {"n": len(exact), "gap": f"{gap:+.3f}"})
    return _finished(figure, "exact log p, nats", "by the flow, nats", alt)


def memorisation(
    lam: Sequence[float], counts: Mapping[int, Sequence[float]], position: Mapping[int, Sequence[float]]
) -> go.Figure:
    """Above, how many training points matter; below, where the denoiser is: 0 the law, 1 the training points."""
    figure = make_subplots(2, 1, shared_xaxes=True, vertical_spacing=0.08)
    for (size, values), dash in zip(counts.items(), ("dot", "dash", "solid"), strict=True):
        figure.add_scatter(x=lam, y=values, name=f"n = {size}", mode="lines", line=_line("exact", dash), row=1, col=1)
        figure.add_scatter(
            x=lam, y=position[size], showlegend=False, mode="lines", line=_line("learned", dash), row=2, col=1
        )
    figure.update_yaxes(LOG, row=1, col=1).update_xaxes(range=[lam[0], lam[-1]])
    few, many = min(counts), max(counts)
    said = {"few": few, "many": many, "one": f"{counts[few][0]:.1f}", "other": f"{counts[many][0]:.1f}"}
    finished = _finished(figure, "λ", "", Message("alt_memory", said))
    return (
        finished.update_yaxes(title="points", row=1)
        .update_yaxes(title="0 law … 1 points", row=2)
        .update_xaxes(title="", row=1)
    )


def _square(figure: go.Figure) -> go.Figure:
    """Equal axes."""
    return figure.update_yaxes(scaleanchor="x", scaleratio=1)


def _lines(paths: Tensor) -> tuple[list, list]:
    """Paths [steps, n, 2] as the x and the y of one trace, with a gap after each."""
    gap = torch.full_like(paths[:1], math.nan)
    x, y = torch.cat([paths, gap]).transpose(0, 1).reshape(-1, 2).T.tolist()
    return tuple([None if math.isnan(c) else c for c in part] for part in (x, y))  # type: ignore[return-value]


def origins(x: Tensor, draws: Tensor, mean: Tensor, said: Tensor, t: int) -> go.Figure:
    """x_t [2], points that it may have come from [n, 2], their exact mean [2] and the denoiser's estimate [2]."""
    figure = go.Figure()
    a, b = _lines(torch.stack([x.expand_as(draws), draws]))
    figure.add_scatter(x=a, y=b, mode="lines", name="xₜ → x₀", line=_line("noise", width=1))
    for name, point, meaning, symbol in (
        ("xₜ", x, "noise", "circle"), ("mean of x₀", mean, "exact", "x"), ("x̂₀", said, "learned", "cross"),
    ):  # fmt: skip
        marker = {"color": COLOURS[meaning], "size": 11, "symbol": symbol}
        figure.add_scatter(x=[point[0].item()], y=[point[1].item()], mode="markers", name=name, marker=marker)
    off = (said.double() - mean).norm().item()
    return _square(_finished(figure, "", "", Message("alt_tweedie", {"n": len(draws), "t": t, "off": f"{off:.3f}"})))


def mode_shares(shares: Mapping[str, Sequence[float]], truth: float) -> go.Figure:
    """The share of particles in the larger mode over Langevin moves."""
    figure, meaning = go.Figure(), {"at one level": "error", "annealed": "learned"}
    for name, share in shares.items():
        figure.add_scatter(
            x=list(range(1, len(share) + 1)), y=share, mode="lines", name=name, line=_line(meaning[name])
        )
    figure.add_hline(y=truth, line=_line("exact"))
    figure.update_yaxes(range=[0.4, 1])
    ends = {name.split()[0]: f"{share[-1]:.2f}" for name, share in shares.items()}
    said = {"one": ends["at"], "annealed": ends["annealed"], "truth": f"{truth:.2f}"}
    return _finished(figure, "moves", "share of the larger mode", Message("alt_modes", said))


def _churned(eta: float) -> str:
    return {0.0: "ODE", 1.0: "SDE"}.get(eta, f"η = {eta:g}")


def marginal_distances(t: Sequence[int], distance: Mapping[float, Sequence[Measured]]) -> go.Figure:
    """Sliced W2 to the noised data at every t, for each share of fresh noise, with the floor."""
    figure = go.Figure()
    for (eta, measured), dash in zip(distance.items(), ("solid", "dash", "dot"), strict=False):
        line = _line("learned", dash)
        figure.add_scatter(x=t, y=[m.value for m in measured], mode="lines", name=_churned(eta), line=line)
    floor = [m.floor for m in next(iter(distance.values()))]
    figure.add_scatter(x=t, y=floor, mode="lines", name="floor", line=_line("exact", "dot"))
    figure.update_yaxes(rangemode="tozero")
    ends = {eta: f"{measured[-1].value:.3f}" for eta, measured in distance.items()}
    said = {"ode": ends[0.0], "sde": ends[1.0], "floor": f"{floor[-1]:.3f}"}
    return _finished(figure, "t", "sliced W₂", Message("alt_marginals", said))


def three_coordinates(preserving: Tensor, exploding: Tensor, flow: Tensor, eps: Tensor) -> go.Figure:
    """The same way, [T + 1, 2] each, in three coordinates; and the straight conditional path of the flow to eps [2]."""
    figure = make_subplots(1, 2, horizontal_spacing=0.12)
    for name, path, meaning, column in (
        ("variance preserving", preserving, "learned", 1),
        ("flow", flow, "data", 1),
        ("exploding", exploding, "noise", 2),
    ):
        x, y = path.T.tolist()
        figure.add_scatter(x=x, y=y, mode="lines", name=name, line=_line(meaning), row=1, col=column)
    ends = torch.stack([flow[-1], eps.double()])
    x, y = ends.T.tolist()
    figure.add_scatter(x=x, y=y, mode="lines", name="conditional", line=_line("exact", "dot"), row=1, col=1)
    apart = (preserving[-1] - flow[-1]).abs().max().item()
    figure.update_yaxes(scaleanchor="x", row=1, col=1).update_yaxes(scaleanchor="x2", row=1, col=2)
    return _finished(figure, "", "", Message("alt_coordinates", {"apart": f"{apart:.1e}"}))


def forward_reasons(
    preserved: Tensor,
    growing: Tensor,
    measured: Mapping[int, tuple[float, float]],
    entropy: Mapping[str, Sequence[float]],
) -> go.Figure:
    """Left, variance over t with and without the sqrt(1 - beta), lines exact and dots measured.

    Right, the entropy with the noise of the schedule, then with the same noise in every step, at the times measured.
    """
    figure, t = make_subplots(1, 2, horizontal_spacing=0.14), list(range(len(preserved)))
    for k, (name, exact, meaning) in enumerate(
        (("√(1−β) x + √β z", preserved, "exact"), ("x + √β z", growing, "error"))
    ):
        figure.add_scatter(x=t, y=exact.tolist(), mode="lines", name=name, line=_line(meaning), row=1, col=1)
        dots = [values[k] for values in measured.values()]
        marker = {"color": COLOURS[meaning], "size": 6}
        figure.add_scatter(x=list(measured), y=dots, mode="markers", showlegend=False, marker=marker, row=1, col=1)
    limit = math.log(2 * math.pi * math.e)
    for (name, values), dash in zip(entropy.items(), ("solid", "dot"), strict=True):
        line = _line("data", dash)
        figure.add_scatter(x=list(measured), y=values, mode="lines", name=name, line=line, row=1, col=2)
    figure.add_hline(y=limit, line=_line("noise", "dot"), row=1, col=2)
    said = {"grown": f"{growing[-1]:.2f}", "kept": f"{preserved[-1]:.2f}"}
    ours, even = entropy.values()
    said |= {"first": f"{ours[0]:.2f}", "last": f"{ours[-1]:.2f}", "limit": f"{limit:.2f}"}
    said |= {"half": f"{ours[len(ours) // 2]:.2f}", "even": f"{even[len(even) // 2]:.2f}"}
    finished = _finished(figure, "t", "variance", Message("alt_why", said))
    return finished.update_yaxes(title="entropy, nats", row=1, col=2)


def distances_to_noise(t: Sequence[int], kl: Mapping[str, Sequence[float]], alpha_bar: Tensor) -> go.Figure:
    """KL(x_t || N(0, I)) over t for several data sets, and alpha_bar, which goes to 0 with all of them."""
    figure = go.Figure()
    figure.add_scatter(x=t, y=alpha_bar.tolist(), mode="lines", name="ᾱ", line=_line("noise", "dot"))
    for (data, values), dash in zip(kl.items(), ("solid", "dash", "dashdot", "longdash"), strict=False):
        figure.add_scatter(x=t, y=values, mode="lines", name=name_of(data), line=_line("data", dash))
    ends = [values[-1] for values in kl.values()]
    said = {"n": len(kl), "least": f"{min(ends):.2g}", "most": f"{max(ends):.2g}", "alpha_bar": f"{alpha_bar[-1]:.2g}"}
    return _finished(figure, "t", "KL(xₜ ‖ N(0, I)), nats", Message("alt_forgetting", said))


def ways_back(paths: Mapping[float, Tensor]) -> go.Figure:
    """SamplingConfig from one noise, [steps, n, 2] each, for each share of fresh noise; where they end, as dots."""
    figure = go.Figure()
    for (eta, path), meaning in zip(
        reversed(list(paths.items())), ("noise", "error", "learned")[-len(paths) :], strict=True
    ):
        name = _churned(eta)
        x, y = _lines(path)
        figure.add_scatter(x=x, y=y, mode="lines", name=name, line=_line(meaning, width=3 if eta == 0 else 1))
        x, y = path[-1].T.tolist()
        marker = {"color": COLOURS[meaning], "size": 6}
        figure.add_scatter(x=x, y=y, mode="markers", name=name, showlegend=False, marker=marker)
    spread = {eta: f"{path[-1].double().std(0, correction=0).norm().item():.2f}" for eta, path in paths.items()}
    said = {"n": len(paths[0.0][0]), "ode": spread[0.0], "sde": spread[1.0]}
    return _square(_finished(figure, "", "", Message("alt_paths", said)))


def recitation(points: Tensor, perfect: Tensor, other: Tensor, distance: Sequence[Measured], badge: str) -> go.Figure:
    """Training points [N, 2] as rings; on them the samples of their perfect model, beside them those of another one.

    distance: of each model's samples to the nearest training point. badge: whether the other model is learned or exact.
    """
    figure = make_subplots(1, 2, horizontal_spacing=0.08)
    models = (("perfect model", perfect, "exact"), (badge, other, badge))
    for column, (name, cloud, meaning) in enumerate(models, start=1):
        x, y = points.T.tolist()
        ring = {"color": COLOURS["data"], "size": 9, "symbol": "circle-open"}
        shown = {"row": 1, "col": column}
        figure.add_scatter(
            x=x, y=y, mode="markers", name="training points", marker=ring, showlegend=column == 1, **shown
        )
        x, y = cloud.T.tolist()
        marker = {"color": COLOURS[meaning], "size": 4}
        figure.add_scatter(x=x, y=y, mode="markers", name=f"samples, {name}", marker=marker, **shown)
    figure.update_yaxes(scaleanchor="x", row=1, col=1).update_yaxes(scaleanchor="x2", row=1, col=2)
    said = {"points": len(points), "fresh": f"{distance[0].floor:.3f}"}
    said |= {model: f"{measured.value:.3g}" for model, measured in zip(("perfect", "other"), distance, strict=True)}
    return _finished(figure, "", "", Message("alt_recite", said))


# ---- solvers --------------------------------------------------------------------------------------------------------

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "star")
DASHES = {"learned": "solid", "exact": "dot"}
NEVER = 1.6  # times the largest nfe: where a solver stands that does not get there


def racer(place: int) -> str:
    """The colour of a solver, by its place among those that were chosen."""
    return COLOURS[f"racer{place + 1}"]


def _over_evaluations(
    figure: go.Figure, name: str, label: str, meaning: str, place: int, curve: Mapping[int, float], **more
) -> None:
    line = {"color": racer(place), "dash": DASHES[meaning], "width": 2 if meaning == "learned" else 1.5}
    figure.add_scatter(
        x=list(curve), y=list(curve.values()), name=label, legendgroup=name, line=line,
        mode="lines+markers", marker={"symbol": SYMBOLS[place], "size": 6 if meaning == "learned" else 4}, **more,
    )  # fmt: skip


def _key_to_dashes(figure: go.Figure, curves: Mapping[tuple[str, str], Any]) -> None:
    for meaning, dash in DASHES.items():
        if any(m == meaning for _, m in curves):
            line = _line("noise", dash)
            figure.add_scatter(x=[None], y=[None], mode="lines", name=f"{meaning}_denoiser", line=line)


def _leads(curves: Mapping[tuple[str, str], Any], name: str, meaning: str) -> bool:
    """Is this the curve of the solver that the legend names? The truth is, where no network stands beside it."""
    return meaning == "learned" or (name, "learned") not in curves


def _nfe_axis(figure: go.Figure) -> go.Figure:
    ticks = [1, 2, 5, 10, 20, 50, 100, 200, 500]
    return figure.update_xaxes(type="log", tickvals=ticks, ticktext=list(map(str, ticks)))


def strong_errors(
    curves: Mapping[tuple[str, str], Mapping[int, float]],
    orders: Mapping[str, int | None],
    last: float,
    solvers: Sequence[str],
) -> go.Figure:
    """Error over nfe, log-log: (solver, denoiser) -> {nfe: error}; the slope of the exact denoiser's finer half.

    orders: what theory promises of each solver; it stands in brackets. last: the error of the last step, which all
    share.
    """
    figure, slopes = go.Figure(), {}
    for (name, meaning), curve in curves.items():
        fine = dict(list(curve.items())[len(curve) // 2 :])
        if meaning == "exact":
            slopes[name] = fitted_order(list(fine), list(fine.values())) if len(fine) > 1 else math.nan
    for (name, meaning), curve in curves.items():
        promised = f"{slopes.get(name, math.nan):.1f} ({orders[name]})"
        main = _leads(curves, name, meaning)
        label = f"choice_{name} · {promised}"
        _over_evaluations(figure, name, label, meaning, solvers.index(name), curve, showlegend=main)
    _key_to_dashes(figure, curves)
    figure.add_hline(y=last, line=_line("noise", "dashdot", width=1))
    figure.add_scatter(x=[None], y=[None], mode="lines", name="the last step", line=_line("noise", "dashdot", width=1))
    figure.update_yaxes(LOG)
    listed = (f"{name} {slope:.1f} ({orders[name]})" for name, slope in slopes.items())
    said = {"last": f"{last:.2g}", "slopes": ", ".join(listed) or "–"}
    return _nfe_axis(_finished(figure, "nfe", "distance to the exact path", Message("alt_strong", said)))


def law_errors(
    curves: Mapping[tuple[str, str], Mapping[int, Sequence[float]]],
    band: tuple[float, float],
    metric: Metric,
    name_of_metric: str,
    solvers: Sequence[str],
) -> go.Figure:
    """A distance to the data over nfe: the mean over seeds with their range; shaded, what perfect samples show."""
    figure, best = go.Figure(), math.inf
    low, high = band
    figure.add_hrect(low, high, fillcolor=COLOURS["exact"], opacity=0.2, line_width=0)
    for (name, meaning), curve in curves.items():
        means = {nfe: sum(values) / len(values) for nfe, values in curve.items()}
        up = [max(values) - means[nfe] for nfe, values in curve.items()]
        down = [means[nfe] - min(values) for nfe, values in curve.items()]
        bars = {"array": up, "arrayminus": down, "thickness": 1} if any(up) else None
        main = _leads(curves, name, meaning)
        label, place = f"choice_{name}", solvers.index(name)
        _over_evaluations(figure, name, label, meaning, place, means, showlegend=main, error_y=bars)
        reached = [
            nfe
            for nfe, value in means.items()
            if abs(value - metric.best) <= max(abs(low - metric.best), abs(high - metric.best))
        ]
        best = min([best, *reached]) if main else best
    _key_to_dashes(figure, curves)
    square = {"color": COLOURS["exact"], "symbol": "square", "size": 12, "opacity": 0.3}
    figure.add_scatter(x=[None], y=[None], mode="markers", name="perfect samples", marker=square)
    if min([low, *(v for curve in curves.values() for values in curve.values() for v in values)]) > 0:
        figure.update_yaxes(LOG)
    said = {
        "metric": name_of_metric,
        "low": f"{low:.3g}",
        "high": f"{high:.3g}",
        "nfe": "–" if best == math.inf else best,
    }
    unit = f", {metric.unit}" if metric.unit else ""
    finished = _finished(figure, "nfe", f"{name_of_metric}{unit}", Message("alt_law", said))
    finished.update_layout(meta=finished.layout.meta | {"said": {"sees": metric.sees, "blind_to": metric.blind_to}})
    return _nfe_axis(finished)


def local_errors(rows: Mapping[str, tuple[Sequence[float], Sequence[float]]], solver: str, nfe: int) -> go.Figure:
    """Above, the local error of each step over the lam where it starts; below, the levels of each spacing as ticks.

    rows: spacing -> lam of the levels and error of the step from each, both from noise to data. A level without
    signal, lam = -inf, has no place on the axis.
    """
    figure = make_subplots(2, 1, shared_xaxes=True, row_heights=[0.65, 0.35], vertical_spacing=0.04)
    for place, (spacing, (lam, error)) in enumerate(rows.items()):
        at = [x if math.isfinite(x) else None for x in lam]
        label, colour = f"choice_{spacing}", racer(place)
        marker = {"symbol": SYMBOLS[place], "size": 6}
        figure.add_scatter(
            x=at, y=error, name=label, mode="lines+markers", line={"color": colour}, marker=marker, row=1, col=1
        )
        tick = {"symbol": "line-ns-open", "size": 12, "color": colour, "line": {"width": 2}}
        y = [place] * len(at)
        figure.add_scatter(x=at, y=y, name=label, mode="markers", marker=tick, showlegend=False, row=2, col=1)
    worst = {spacing: max(error) for spacing, (_, error) in rows.items()}
    gentlest = min(worst, key=lambda spacing: worst[spacing])
    said = {"solver": solver, "nfe": nfe, "spacing": gentlest, "worst": f"{worst[gentlest]:.3g}"}
    finished = _finished(figure, "λ", "", Message("alt_steps", said))
    names = [f"choice_{spacing}" for spacing in rows]
    finished.update_yaxes(LOG, title="local error", row=1, col=1).update_xaxes(
        title="", autorange="reversed", row=1, col=1
    )
    finished.update_xaxes(autorange="reversed", row=2, col=1)  # data left
    return finished.update_yaxes(
        tickvals=list(range(len(names))), ticktext=names, range=[-0.7, len(names) - 0.3], title="", row=2, col=1
    )


def enough(need: Mapping[str, Mapping[str, int | None]], nfes: Sequence[int], limit: float) -> go.Figure:
    """For each denoiser and solver the smallest nfe that is enough to stay below `limit`, or a ring where none is."""
    figure = go.Figure()
    first = next(iter(need.values()), {})
    never = nfes[-1] * NEVER
    names = sorted(first, key=lambda name: (-(first[name] or math.inf), name))
    for meaning, found in need.items():
        x = [found.get(name) or never for name in names]
        symbols = ["circle" if found.get(name) else "circle-open" for name in names]
        marker = {"color": COLOURS[meaning], "size": 10 if meaning == "learned" else 7, "symbol": symbols}
        figure.add_scatter(x=x, y=list(range(len(names))), mode="markers", name=f"{meaning}_denoiser", marker=marker)
    said = {"n": len(names), "solver": "–", "nfe": "–", "limit": f"{limit:.3g}"}
    if names and first[names[-1]]:
        said |= {"solver": names[-1], "nfe": first[names[-1]]}
    figure.update_yaxes(tickvals=list(range(len(names))), ticktext=[f"choice_{name}" for name in names])
    finished = _finished(figure, "nfe", "", Message("alt_enough" if names else "alt_no_table", said))
    ticks = {"tickvals": [*nfes, never], "ticktext": [*map(str, nfes), "never"]}
    return finished.update_xaxes(type="log", **ticks)


def solver_table(rows: Mapping[str, Sequence[float]], nfes: Sequence[int], limit: float) -> go.Figure:
    """solver x nfe: the distance as a multiple of `limit`, the most that perfect samples show 97.5 times in 100."""
    names = sorted(rows, key=lambda name: -sum(map(math.log, rows[name])))
    ratios = [[value / limit for value in rows[name]] for name in names]
    figure = go.Figure()
    if names:
        figure.add_heatmap(
            z=[[math.log10(ratio) for ratio in row] for row in ratios],
            text=[[f"{ratio:.1f}" for ratio in row] for row in ratios],
            texttemplate="%{text}", x=list(map(str, nfes)), y=list(range(len(names))), showscale=False,
            zmin=-0.3, zmax=1.5, colorscale=[[0, "#009E73"], [0.17, "#bfe3d6"], [0.4, "#f3d9c6"], [1, "#D55E00"]],
            textfont={"color": "#1b1f24"}, hovertemplate="%{text}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(type="category").update_yaxes(
        tickvals=list(range(len(names))), ticktext=[f"choice_{name}" for name in names]
    )
    reached = sum(ratio <= 1 for row in ratios for ratio in row)
    said = {"n": len(names), "m": len(nfes), "reached": reached}
    return _finished(figure, "nfe", "", Message("alt_whole" if names else "alt_no_table", said))
