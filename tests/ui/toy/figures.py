"""The figure of the toy exhibit: how far the points have drifted."""

from __future__ import annotations

import plotly.graph_objects as go

from ddpm_ui.exhibits.plots import labelled, stroke
from ddpm_ui.words import Message
from tests.ui.toy.recipe import Toy


def reach(recipe: Toy) -> go.Figure:
    line = go.Scatter(x=[0, 10], y=[0, recipe.speed], name="reach", mode="lines", **stroke("data"))
    return labelled(go.Figure(line), "model_time", "reach", Message("alt_reach", {"speed": f"{recipe.speed:g}"}))
