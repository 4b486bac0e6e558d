"""The charts of Train, empty at first: the stream of a training fills them."""

from __future__ import annotations

import plotly.graph_objects as go

from ddpm_ui.exhibits.plots import LOG, labelled, stroke
from ddpm_ui.words import Message


def training_charts() -> dict[str, go.Figure]:
    """The empty charts: loss, loss at each noise level, distance."""

    def curve(name: str, meaning: str, dash: str = "solid") -> go.Scatter:
        return go.Scatter(x=[], y=[], name=name, mode="lines", **stroke(meaning, dash))

    def chart(x: str, y: str, *traces: go.Scatter, alt: str) -> go.Figure:
        return labelled(go.Figure(list(traces)), x, y, Message(alt, {})).update_yaxes(LOG, nticks=4)

    return {
        "train-loss": chart(
            "step", "loss",
            curve("loss", "learned"), curve("floor", "exact"), curve("excess", "error"),
            alt="alt_loss",
        ),
        "train-levels": chart(
            "λ", "loss",
            curve("loss", "learned"), curve("floor", "exact"), curve("relative error of the score", "error"),
            alt="alt_levels",
        ),
        "train-distance": chart(
            "step", "distance",
            curve("|excess NLL|", "learned"), curve("its floor", "learned", "dot"),
            curve("sliced W₂", "data"), curve("its floor", "data", "dot"),
            alt="alt_distance",
        ),
    }  # fmt: skip
