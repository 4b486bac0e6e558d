"""Arrays become Plotly figures. No Gradio here: a notebook can use every function of this file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale
from plotly.subplots import make_subplots

from ddpm_core import Schedule
from ddpm_ui.i18n import Message
from ddpm_ui.trajectories import VIEW, Trajectory

# One meaning, one colour, everywhere (Okabe & Ito 2008, safe for colour-blind eyes).
COLOURS = {"data": "#0072B2", "noise": "#767676", "learned": "#D55E00", "exact": "#009E73", "error": "#CC79A7"}
# Place in the data: 256 steps, both ends dark or light enough for a white and for a black wall.
PALETTE = sample_colorscale("Plasma", np.linspace(0.15, 0.86, 256), colortype="rgb")
PALETTE = ["#" + "".join(f"{int(v):02x}" for v in colour[4:-1].split(",")) for colour in PALETTE]


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
    legend = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}
    return figure.update_layout(legend=legend, margin={"l": 48, "r": 12, "t": 36, "b": 40}, meta={"alt": alt})


def training_charts() -> dict[str, go.Figure]:
    """What is drawn while a network learns, still without numbers: loss, loss at each noise level, distance."""

    def line(name: str, meaning: str, dash: str = "solid") -> go.Scatter:
        return go.Scatter(x=[], y=[], name=name, mode="lines", line=dict(color=COLOURS[meaning], dash=dash, width=2))

    def chart(x: str, y: str, *traces: go.Scatter, alt: str) -> go.Figure:
        legend = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}
        figure = go.Figure(list(traces)).update_yaxes(title=y, type="log", exponentformat="power", dtick=1)
        margin = {"l": 56, "r": 12, "t": 36, "b": 40}
        return figure.update_xaxes(title=x).update_layout(legend=legend, margin=margin, meta={"alt": Message(alt, {})})

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
            line("excess NLL", "learned"), line("its floor", "learned", "dot"),
            line("sliced W₂", "data"), line("its floor", "data", "dot"),
            alt="alt_distance",
        ),
    }  # fmt: skip
