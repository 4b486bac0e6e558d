"""Shared by the figures: colours by meaning, axes, captions, film strips. No gradio here."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ddpm_ui.colours import COLOURS, HEAT, PALETTE
from ddpm_ui.server.wire import VIEW, Trajectory
from ddpm_ui.words import Message

LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}
# Limited below, because a zero drawn as 1e-300 would give the axis hundreds of decades.
LOG = {"type": "log", "exponentformat": "power", "autorangeoptions": {"clipmin": 1e-12}}


def stroke(meaning: str, dash: str = "solid", width: float = 2) -> dict:
    """Of a trace: a line whose colour has this meaning. A template says what colour that is."""
    return {"meta": meaning, "line": {"dash": dash, "width": width}}


def dots(meaning: str, size: float, **marker) -> dict:
    """Of a trace: markers whose colour has this meaning."""
    return {"meta": meaning, "marker": {"size": size, **marker}}


def rule(meaning: str, dash: str = "solid", width: float = 2) -> dict:
    """Of a straight line across the whole figure."""
    return {"templateitemname": meaning, "line": {"dash": dash, "width": width}}


def coloured(figure: go.Figure) -> go.Figure:
    """With a template that says what colours mean on a white page: the k-th trace of a type takes its k-th defaults.

    For its theme the page makes another one in the same way, in assets/js/pure/template.js.
    """
    traces: dict[str, list[dict]] = {}
    for trace in figure.data:
        colour = {"color": COLOURS.get(trace.meta)}
        scale = [[share, COLOURS.get(shade, shade)] for share, shade in HEAT]
        traces.setdefault(trace.type, []).append(
            {"colorscale": scale} if trace.type == "heatmap"
            else {"marker": colour, "error_y": {"color": COLOURS["noise"]}} if trace.type == "bar"
            else {"marker": colour, "line": colour}
        )  # fmt: skip
    names = dict.fromkeys(shape.templateitemname for shape in figure.layout.shapes if shape.templateitemname)
    shapes = [{"name": name, "fillcolor": COLOURS[name], "line": {"color": COLOURS[name]}} for name in names]
    title = {"title": {"standoff": 15}}
    layout = {"shapes": shapes, "autotypenumbers": "strict", "xaxis": title, "yaxis": title}
    figure.layout.template = {"data": traces, "layout": layout}  # an update would merge it into Plotly's own
    return figure


def labelled(figure: go.Figure, x: str, y: str, alt: Message, **layout) -> go.Figure:
    """Called when all is drawn: names of the axes, text alternative, colours."""
    margin = {"l": 56, "r": 12, "t": 36, "b": 40}
    figure.update_xaxes(title=x).update_yaxes(title=y)
    return coloured(figure).update_layout(legend=LEGEND, margin=margin, meta={"alt": alt}, **layout)


def captioned(figure: go.Figure, name: str, badges: Sequence[str], **more) -> go.Figure:
    """With its caption in meta: `title` (a key of the page's texts), `badges`, and optionally `said`."""
    return figure.update_layout(meta=figure.layout.meta | {"title": f"chart_{name}", "badges": badges} | more)


def filmstrip(trajectory: Trajectory, times: Sequence[int], *, most: int | None = None) -> go.Figure:
    """The first `most` particles at the given times, one panel each, data left and noise right."""
    T, n = trajectory.header["axis"]["last"], min(trajectory.header["n"], most or trajectory.header["n"])
    figure = make_subplots(1, len(times), subplot_titles=[f"t = {t}" for t in times], horizontal_spacing=0.01)
    colour = trajectory.colours[:n].tolist()  # numbers on an axis: each string would be parsed, which takes long
    for column, t in enumerate(times, start=1):
        x, y = trajectory.at(t)[:n].round(4).T.tolist()  # plain numbers, which any client can read
        marker = {"size": 3 if n > 300 else 5, "color": colour, "coloraxis": "coloraxis"}
        figure.add_scatter(x=x, y=y, mode="markers", marker=marker, name=f"t = {t}", row=1, col=column)
    figure.update_xaxes(range=[-VIEW, VIEW], showticklabels=False, constrain="domain", zeroline=False)
    figure.update_yaxes(range=[-VIEW, VIEW], showticklabels=False, constrain="domain", zeroline=False)
    for column in range(1, len(times) + 1):
        figure.update_yaxes(scaleanchor=f"x{column if column > 1 else ''}", row=1, col=column)
    alt = Message("alt_film", {"n": n, "of": trajectory.header["n"], "times": ", ".join(map(str, times)), "T": T})
    margin = {"l": 4, "r": 4, "t": 28, "b": 4}
    last = len(PALETTE) - 1
    scale = {"colorscale": [[k / last, c] for k, c in enumerate(PALETTE)], "cmin": 0, "cmax": last, "showscale": False}
    return coloured(figure).update_layout(showlegend=False, margin=margin, meta={"alt": alt}, coloraxis=scale)


def square(figure: go.Figure) -> go.Figure:
    """Equal axes."""
    return figure.update_yaxes(scaleanchor="x", scaleratio=1)


def racer(place: int) -> str:
    """The meaning of a solver's colour: its place among the chosen ones."""
    return f"racer{place + 1}"
