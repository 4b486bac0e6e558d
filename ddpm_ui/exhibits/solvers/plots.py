"""The figures of Solvers as Plotly figures, from arrays."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ddpm_core import fitted_order
from ddpm_core.metrics.intervals import Measured
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
    curves: Mapping[tuple[str, str], Mapping[int, Sequence[Measured]]],
    metric: Metric,
    name_of_metric: str,
    solvers: Sequence[str],
) -> go.Figure:
    """A metric over nfe: median and range over seeds; the range of perfect samples is shaded.

    A solver has reached that range where its median no longer leaves it.
    """
    figure, best = go.Figure(), math.inf
    perfect = next(measured for curve in curves.values() for several in curve.values() for measured in several)
    low, high = perfect.low, perfect.high
    figure.add_hrect(low, high, templateitemname="exact", opacity=0.2, line_width=0)
    for (name, meaning), curve in curves.items():
        values = {nfe: sorted(measured.value for measured in several) for nfe, several in curve.items()}
        middle = {nfe: several[len(several) // 2] for nfe, several in values.items()}
        up = [several[-1] - middle[nfe] for nfe, several in values.items()]
        down = [middle[nfe] - several[0] for nfe, several in values.items()]
        bars = {"array": up, "arrayminus": down, "thickness": 1} if any(up) else None
        main = _leads(curves, name, meaning)
        label, place = f"choice_{name}", solvers.index(name)
        _over_evaluations(figure, name, label, meaning, place, middle, showlegend=main, error_y=bars)
        reached = from_here_on(list(middle), [low <= value <= high for value in middle.values()])
        best = min(best, reached or math.inf) if main else best
    _key_to_dashes(figure, curves)
    square = dots("exact", 12, symbol="square", opacity=0.3)
    figure.add_scatter(x=[None], y=[None], mode="markers", name="perfect samples", **square)
    if min([low, *(m.value for curve in curves.values() for several in curve.values() for m in several)]) > 0:
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


Strains = Mapping[str, Mapping[str, Sequence[float]] | None]  # solver -> metric -> strain at each nfe; None: no numbers


def from_here_on(nfes: Sequence[int], good: Sequence[bool]) -> int | None:
    """The smallest nfe that is good, as all larger ones are; None if the largest is not."""
    bad = [place for place, well in enumerate(good) if not well]
    return nfes[0] if not bad else nfes[bad[-1] + 1] if bad[-1] + 1 < len(nfes) else None


class Verdict(NamedTuple):
    nfe: int | None  # from which on no metric leaves the range of perfect samples; None: one does to the end
    last: str  # the metric that is the last to stay


def verdict(strains: Mapping[str, Sequence[float]], nfes: Sequence[int]) -> Verdict:
    """How many evaluations are enough for a solver, from the strain of each metric at each nfe."""
    need = {metric: from_here_on(nfes, [strain <= 1 for strain in row]) for metric, row in strains.items()}

    def lateness(metric: str) -> tuple[float, float]:
        nfe = need[metric]
        before = nfes.index(nfe) - 1 if nfe else len(nfes) - 1
        return nfe or math.inf, strains[metric][max(before, 0)]

    last = max(need, key=lateness)
    return Verdict(need[last], last)


def enough(found: Mapping[str, Strains], nfes: Sequence[int]) -> go.Figure:
    """For each denoiser and solver the nfe from which on every metric is that of perfect samples.

    The symbol is the metric that was the last; an open one never is. Solvers that were not computed are at the bottom,
    without a mark.
    """
    figure, never = go.Figure(), nfes[-1] * NEVER
    verdicts = {
        meaning: {name: verdict(strains, nfes) for name, strains in solvers.items() if strains}
        for meaning, solvers in found.items()
    }
    first = next(iter(verdicts.values()), {})
    missing = sorted(next(iter(found.values()), {}).keys() - first.keys())
    best = lambda name: tuple(-(of[name].nfe or math.inf) for of in verdicts.values())  # noqa: E731
    names = [*missing, *sorted(first, key=lambda name: (best(name), name))]
    metrics = list(
        dict.fromkeys(metric for strains in found.values() for row in strains.values() for metric in row or ())
    )
    shape = dict(zip(metrics, SYMBOLS, strict=False))
    for meaning, of in verdicts.items():
        drawn = [name for name in names if name in of]
        symbols = [shape[of[name].last] + ("" if of[name].nfe else "-open") for name in drawn]
        marker = dots(meaning, 11 if meaning == "learned" else 8, symbol=symbols)
        x, y = [of[name].nfe or never for name in drawn], [names.index(name) for name in drawn]
        figure.add_scatter(x=x, y=y, mode="markers", name=f"{meaning}_denoiser", **marker)
    for metric in metrics:
        key = dots("noise", 9, symbol=shape[metric])
        figure.add_scatter(x=[None], y=[None], mode="markers", name=f"last in range · choice_{metric}", **key)
    said: dict[str, Any] = {"n": len(first)}
    for meaning, of in verdicts.items():
        enough_for = [found.nfe for found in of.values() if found.nfe]
        said[meaning] = len(enough_for)
        said[f"{meaning}_nfe"] = min(enough_for, default="–")
        said[f"{meaning}_last"] = Message(name_of(Counter(v.last for v in of.values()).most_common(1)[0][0]), {})
    finished = labelled(figure, "nfe", "", Message("alt_enough" if first else "alt_no_table", said))
    ticks = {"tickvals": [*nfes, never], "ticktext": [*map(str, nfes), "never"]}
    ends = [math.log10(nfe) for nfe in (nfes[0] / 1.2, never * 1.2)]
    return _solver_axis(finished, names, first).update_xaxes(type="log", range=ends, **ticks)


def solver_table(found: Strains, nfes: Sequence[int]) -> go.Figure:
    """solver x nfe: the largest strain of any metric; up to 1 all are those of perfect samples."""
    worst = {
        name: [max(at) for at in zip(*strains.values(), strict=True)] for name, strains in found.items() if strains
    }
    names = [*sorted(found.keys() - worst.keys()), *sorted(worst, key=lambda name: -sum(map(math.log, worst[name])))]
    figure = go.Figure()
    if worst:
        every = [worst.get(name, [None] * len(nfes)) for name in names]
        figure.add_heatmap(
            z=[[None if strain is None else math.log10(max(strain, 0.1)) for strain in row] for row in every],
            text=[["" if strain is None else f"{strain:.{int(strain < 10)}f}" for strain in row] for row in every],
            texttemplate="%{text}", x=list(map(str, nfes)), y=list(range(len(names))), showscale=False,
            zmin=-0.3, zmax=1.5, textfont={"color": "#1b1f24"}, hovertemplate="%{text}<extra></extra>",
        )  # fmt: skip
    reached = sum(strain <= 1 for row in worst.values() for strain in row)
    said = {"n": len(worst), "m": len(nfes), "reached": reached}
    finished = labelled(figure, "nfe", "", Message("alt_whole" if worst else "alt_no_table", said))
    return _solver_axis(finished, names, worst).update_xaxes(type="category")
