"""The figures of Solvers as Plotly figures, from arrays."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ddpm_core import fitted_order
from ddpm_core.metrics.registry import Metric
from ddpm_ui.exhibits.plots import LOG, dots, labelled, racer, rule, stroke
from ddpm_ui.words import Message, name_of

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "star")
DASHES = {"learned": "solid", "exact": "dot"}
NEVER = 1.6  # times the largest nfe: position of a solver that does not get there


def _over_evaluations(
    figure: go.Figure, name: str, label: str, meaning: str, place: int, curve: Mapping[int, float], **more
) -> None:
    line = stroke(racer(place), DASHES[meaning], 2 if meaning == "learned" else 1.5)
    figure.add_scatter(
        x=list(curve), y=list(curve.values()), name=label, legendgroup=name, **line,
        mode="lines+markers", marker={"symbol": SYMBOLS[place], "size": 6 if meaning == "learned" else 4}, **more,
    )  # fmt: skip


def _key_to_dashes(figure: go.Figure, curves: Mapping[tuple[str, str], Any]) -> None:
    for meaning, dash in DASHES.items():
        if any(m == meaning for _, m in curves):
            line = stroke("noise", dash)
            figure.add_scatter(x=[None], y=[None], mode="lines", name=f"{meaning}_denoiser", **line)


def _leads(curves: Mapping[tuple[str, str], Any], name: str, meaning: str) -> bool:
    """Whether the legend shows this curve: the network's, or the exact one if there is no other."""
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
    """Error over nfe, log-log: (solver, denoiser) -> {nfe: error}; with the slope of the exact denoiser's finer half.

    orders: theoretical order of each solver, shown in brackets. last: the error of the last step alone.
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
    figure.add_hline(y=last, **rule("noise", "dashdot", width=1))
    figure.add_scatter(x=[None], y=[None], mode="lines", name="the last step", **stroke("noise", "dashdot", width=1))
    figure.update_yaxes(LOG)
    listed = (f"{name} {slope:.1f} ({orders[name]})" for name, slope in slopes.items())
    said = {"last": f"{last:.2g}", "slopes": ", ".join(listed) or "–"}
    return _nfe_axis(labelled(figure, "nfe", "distance to the exact path", Message("alt_strong", said)))


def law_errors(
    curves: Mapping[tuple[str, str], Mapping[int, Sequence[float]]],
    band: tuple[float, float],
    metric: Metric,
    name_of_metric: str,
    solvers: Sequence[str],
) -> go.Figure:
    """A distance to the data over nfe: mean and range over seeds; the band of perfect samples is shaded."""
    figure, best = go.Figure(), math.inf
    low, high = band
    figure.add_hrect(low, high, templateitemname="exact", opacity=0.2, line_width=0)
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
    square = dots("exact", 12, symbol="square", opacity=0.3)
    figure.add_scatter(x=[None], y=[None], mode="markers", name="perfect samples", **square)
    if min([low, *(v for curve in curves.values() for values in curve.values() for v in values)]) > 0:
        figure.update_yaxes(LOG)
    said = {
        "metric": Message(name_of(name_of_metric), {}),
        "low": f"{low:.3g}",
        "high": f"{high:.3g}",
        "nfe": "–" if best == math.inf else best,
    }
    unit = f", {metric.unit}" if metric.unit else ""
    finished = labelled(figure, "nfe", f"{name_of_metric}{unit}", Message("alt_law", said))
    finished.update_layout(meta=finished.layout.meta | {"said": {"sees": metric.sees, "blind_to": metric.blind_to}})
    return _nfe_axis(finished)


def local_errors(rows: Mapping[str, tuple[Sequence[float], Sequence[float]]], solver: str, nfe: int) -> go.Figure:
    """Above, the local error of each step over the lam where it starts; below, the levels of each spacing as ticks.

    rows: spacing -> lam of the levels and error of the step from each, both from noise to data. A level without
    signal, lam = -inf, is not drawn.
    """
    figure = make_subplots(2, 1, shared_xaxes=True, row_heights=[0.65, 0.35], vertical_spacing=0.04)
    for place, (spacing, (lam, error)) in enumerate(rows.items()):
        at = [x if math.isfinite(x) else None for x in lam]
        label, point = f"choice_{spacing}", dots(racer(place), 6, symbol=SYMBOLS[place])
        figure.add_scatter(x=at, y=error, name=label, mode="lines+markers", **point, row=1, col=1)
        tick = dots(racer(place), 12, symbol="line-ns-open", line={"width": 2})
        y = [place] * len(at)
        figure.add_scatter(x=at, y=y, name=label, mode="markers", **tick, showlegend=False, row=2, col=1)
    worst = {spacing: max(error) for spacing, (_, error) in rows.items()}
    gentlest = min(worst, key=lambda spacing: worst[spacing])
    said = {"nfe": nfe, "worst": f"{worst[gentlest]:.3g}"}
    said |= {key: Message(name_of(name), {}) for key, name in (("solver", solver), ("spacing", gentlest))}
    finished = labelled(figure, "λ", "", Message("alt_steps", said))
    names = [f"choice_{spacing}" for spacing in rows]
    finished.update_yaxes(LOG, title="local error", row=1, col=1).update_xaxes(
        title="", autorange="reversed", row=1, col=1
    )
    finished.update_xaxes(autorange="reversed", row=2, col=1)  # data left
    return finished.update_yaxes(
        tickvals=list(range(len(names))), ticktext=names, range=[-0.7, len(names) - 0.3], title="", row=2, col=1
    )


def _solver_axis(figure: go.Figure, names: Sequence[str], computed: Collection[str]) -> go.Figure:
    """A row for each solver, marked if it was not computed."""
    said = [f"choice_{name}" + ("" if name in computed else " · not_computed") for name in names]
    figure.update_yaxes(tickvals=list(range(len(names))), ticktext=said)
    return figure.update_yaxes(range=[-0.7, len(names) - 0.3]) if len(computed) < len(names) else figure


Rows = Mapping[str, Sequence[float] | None]  # solver -> distance at each nfe; None: not computed


def enough(found: Mapping[str, Rows], nfes: Sequence[int], limit: float) -> go.Figure:
    """For each denoiser and solver the smallest nfe that stays below `limit`, or a ring if there is none.

    found: denoiser -> Rows. Solvers that were not computed are at the bottom, without a mark.
    """
    figure, never = go.Figure(), nfes[-1] * NEVER
    need = {
        meaning: {
            name: next((nfe for nfe, value in zip(nfes, values, strict=True) if value <= limit), None)
            for name, values in rows.items()
            if values is not None
        }
        for meaning, rows in found.items()
    }
    first = next(iter(need.values()), {})
    missing = sorted(next(iter(found.values()), {}).keys() - first.keys())
    names = [*missing, *sorted(first, key=lambda name: (-(first[name] or math.inf), name))]
    for meaning, smallest in need.items():
        drawn = [name for name in names if name in smallest]
        symbols = ["circle" if smallest[name] else "circle-open" for name in drawn]
        marker = dots(meaning, 10 if meaning == "learned" else 7, symbol=symbols)
        x, y = [smallest[name] or never for name in drawn], [names.index(name) for name in drawn]
        figure.add_scatter(x=x, y=y, mode="markers", name=f"{meaning}_denoiser", **marker)
    said = {"n": len(first), "solver": "–", "nfe": "–", "limit": f"{limit:.3g}"}
    if first and first[names[-1]]:
        said |= {"solver": Message(name_of(names[-1]), {}), "nfe": first[names[-1]]}
    finished = labelled(figure, "nfe", "", Message("alt_enough" if first else "alt_no_table", said))
    ticks = {"tickvals": [*nfes, never], "ticktext": [*map(str, nfes), "never"]}
    return _solver_axis(finished, names, first).update_xaxes(type="log", **ticks)


def solver_table(rows: Rows, nfes: Sequence[int], limit: float) -> go.Figure:
    """solver x nfe: the distance as a multiple of `limit`, the 97.5 % quantile of perfect samples."""
    ratios = {name: [value / limit for value in values] for name, values in rows.items() if values is not None}
    names = [*sorted(rows.keys() - ratios.keys()), *sorted(ratios, key=lambda name: -sum(map(math.log, ratios[name])))]
    figure = go.Figure()
    if ratios:
        every = [ratios.get(name, [None] * len(nfes)) for name in names]
        figure.add_heatmap(
            z=[[ratio and math.log10(ratio) for ratio in row] for row in every],
            text=[["" if ratio is None else f"{ratio:.1f}" for ratio in row] for row in every],
            texttemplate="%{text}", x=list(map(str, nfes)), y=list(range(len(names))), showscale=False,
            zmin=-0.3, zmax=1.5, textfont={"color": "#1b1f24"}, hovertemplate="%{text}<extra></extra>",
        )  # fmt: skip
    reached = sum(ratio <= 1 for row in ratios.values() for ratio in row)
    said = {"n": len(ratios), "m": len(nfes), "reached": reached}
    finished = labelled(figure, "nfe", "", Message("alt_whole" if ratios else "alt_no_table", said))
    return _solver_axis(finished, names, ratios).update_xaxes(type="category")
