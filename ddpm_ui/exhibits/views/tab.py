"""The tab of Three views: the vector fields, and below them a section of figures for each view."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial

import gradio as gr
from gradio.components import Component

from ddpm_ui.exhibits.exhibit import Exhibit, Stream
from ddpm_ui.exhibits.particles import closed_form, network
from ddpm_ui.exhibits.tab import Tab, figure_value, source, terminal_note
from ddpm_ui.exhibits.views.figures import FIGURES, figure
from ddpm_ui.exhibits.views.recipe import Chosen, Views
from ddpm_ui.exhibits.views.stream import fields
from ddpm_ui.web.controls import control
from ddpm_ui.web.i18n import i18n
from ddpm_ui.web.parts import Chart, Fields, Note, Stage

HEIGHTS = {"errors": 240, "step": 420, "memory": 420}
SECTIONS: dict[str, list[tuple[str, ...]]] = {  # rows of figures
    "variational": [("chosen", "step"), ("coefficients", "bound")],
    "score": [("tweedie", "modes")],
    "flow": [("paths", "marginals"), ("coordinates",), ("likelihood",)],
    "perfect": [("recite",), ("memory",)],
}


def show(recipe: Views, view: Mapping[str, str]) -> dict:
    t = view.get("t", "")
    planes = {
        "src": source("fields", recipe.seen),
        "link": recipe.link,
        "t": int(t) if t.isdecimal() else None,
        "visit": view.get("visit"),
    }
    chosen = {
        "src": source("chosen", recipe.chosen),
        "t": min(recipe.at, recipe.T),
        "play": False,
        "layers": [],
        "followed": recipe.particle,
    }
    charts = {name: figure_value(name, recipe.only(*uses)) for name, (_, _, uses) in FIGURES.items()}
    return {"note": terminal_note(recipe), "fields": json.dumps(planes), "chosen": json.dumps(chosen), **charts}


def build() -> Tab:
    out: dict[str, Component] = {}
    out["chosen"] = chosen = Stage(
        name="chosen", clock="chosen", bar=False, choose=True, elem_classes="lab-half", render=False
    )

    def chart(name: str, **settings) -> None:
        out[name] = Chart(name=f"views-{name}", height=HEIGHTS.get(name, 300), **settings)

    with gr.Row(elem_classes="lab-row"):
        with gr.Column(elem_classes="lab-picture"):
            out["note"] = Note(name="views", visible=False)
            out["fields"] = Fields(name="views", clock="views")
            chart("errors", clock="views")
            for section, rows in SECTIONS.items():
                gr.Markdown(i18n(f"section_{section}"), elem_classes="lab-section")
                for names in rows:
                    with gr.Row(elem_classes="lab-pair"):
                        for name in names:
                            chosen.render() if name == "chosen" else chart(name, elem_classes="lab-half")
        with gr.Column(elem_classes="lab-controls"):
            few = ("data", "denoiser", "at", "particle", "churn", "T", "beta_max")
            controls = {name: control(Views, name) for name in few}
            with gr.Accordion(i18n("more"), open=False, elem_id="views-more"):
                controls |= {name: control(Views, name) for name in ("schedule", "beta_min", "rescale", "n", "seed")}
    return Tab(Views, controls, out, show)


EXHIBIT = Exhibit(
    recipe=Views,
    title="tab_views",
    order=4,
    build=build,
    streams={"fields": Stream(Views, fields), "chosen": Stream(Chosen, closed_form)},
    figures={name: partial(figure, name) for name in FIGURES},
    network=network,
)
