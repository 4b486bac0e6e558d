"""Shared by the figures: colours by meaning, axes, captions, film strips. No gradio here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale
from plotly.subplots import make_subplots

from ddpm_ui.server.wire import VIEW, Trajectory
from ddpm_ui.words import Message

# One colour per meaning, everywhere (Okabe & Ito 2008, safe for colour-blind readers).
COLOURS = {"data": "#0072B2", "noise": "#767676", "learned": "#D55E00", "exact": "#009E73", "error": "#CC79A7"}
# Solvers in a comparison, by place (Tol 2021, muted).
COLOURS |= {f"racer{k}": c for k, c in enumerate(("#1B1F24", "#882255", "#7D7D1C", "#332288", "#CC6677", "#2A7F9E"), 1)}
# Position in the data: 256 steps, all of them visible on a white and on a black background.
PALETTE = sample_colorscale("Plasma", np.linspace(0.15, 0.86, 256), colortype="rgb")
PALETTE = ["#" + "".join(f"{int(v):02x}" for v in colour[4:-1].split(",")) for colour in PALETTE]
LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}
# Limited below, because a zero drawn as 1e-300 would give the axis hundreds of decades.
LOG = {"type": "log", "exponentformat": "power", "autorangeoptions": {"clipmin": 1e-12}}


def stroke(meaning: str, dash: str = "solid", width: float = 2) -> dict:
    return {"color": COLOURS[meaning], "dash": dash, "width": width}


def labelled(figure: go.Figure, x: str, y: str, alt: Message, **layout) -> go.Figure:
    margin = {"l": 56, "r": 12, "t": 36, "b": 40}
    figure.update_xaxes(title=x).update_yaxes(title=y)
    return figure.update_layout(legend=LEGEND, margin=margin, meta={"alt": alt}, **layout)


def captioned(figure: go.Figure, name: str, badges: Sequence[str], **more) -> go.Figure:
    """With its caption in meta: `title` (a key of the page's texts), `badges`, and optionally `said`."""
    return figure.update_layout(meta=figure.layout.meta | {"title": f"chart_{name}", "badges": badges} | more)


def filmstrip(trajectory: Trajectory, times: Sequence[int], *, most: int | None = None) -> go.Figure:
    """The first `most` particles at the given times, one panel each, data left and noise right."""
    T, n = trajectory.header["T"], min(trajectory.header["n"], most or trajectory.header["n"])
    figure = make_subplots(1, len(times), subplot_titles=[f"t = {t}" for t in times], horizontal_spacing=0.01)
    colour = [PALETTE[c] for c in trajectory.colours[:n]]
    for column, t in enumerate(times, start=1):
        x, y = trajectory.at(t)[:n].round(4).T.tolist()  # plain numbers, which any client can read
        marker = {"size": 3 if n > 300 else 5, "color": colour}
        figure.add_scatter(x=x, y=y, mode="markers", marker=marker, name=f"t = {t}", row=1, col=column)
    figure.update_xaxes(range=[-VIEW, VIEW], showticklabels=False, constrain="domain", zeroline=False)
    figure.update_yaxes(range=[-VIEW, VIEW], showticklabels=False, constrain="domain", zeroline=False)
    for column in range(1, len(times) + 1):
        figure.update_yaxes(scaleanchor=f"x{column if column > 1 else ''}", row=1, col=column)
    alt = Message("alt_film", {"n": n, "of": trajectory.header["n"], "times": ", ".join(map(str, times)), "T": T})
    return figure.update_layout(showlegend=False, margin={"l": 4, "r": 4, "t": 28, "b": 4}, meta={"alt": alt})


def square(figure: go.Figure) -> go.Figure:
    """Equal axes."""
    return figure.update_yaxes(scaleanchor="x", scaleratio=1)


def racer(place: int) -> str:
    """The colour of a solver, by its place among the chosen ones."""
    return COLOURS[f"racer{place + 1}"]
