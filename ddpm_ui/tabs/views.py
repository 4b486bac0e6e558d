"""Three views: one model as noise predictor, denoiser, score and velocity; and what each view lets one see."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping

import gradio as gr

from ddpm_ui.controls import control
from ddpm_ui.i18n import i18n
from ddpm_ui.parts import Chart, Fields, Note
from ddpm_ui.recipe import Views
from ddpm_ui.tabs.exhibit import Exhibit, source, terminal_note
from ddpm_ui.views import FIGURES

HEIGHTS = {"errors": 240, "memory": 420}
SECTIONS: dict[str, list[tuple[str, ...]]] = {  # rows of figures
    "variational": [("step", "coefficients"), ("bound",)],
    "score": [("tweedie", "modes")],
    "flow": [("marginals", "likelihood"), ("coordinates",)],
    "perfect": [("memory",)],
}


def show(recipe: Views, view: Mapping[str, str]) -> list:
    t = view.get("t", "")
    fields = {"src": source("fields", recipe.seen), "link": recipe.link, "t": int(t) if t.isdecimal() else None}
    charts = [json.dumps({"src": source(f"figure/{name}", recipe)}) for name in FIGURES]
    return [terminal_note(recipe), json.dumps(fields), *charts]


def build() -> Exhibit:
    charts = {}

    def chart(name: str, **settings) -> None:
        charts[name] = Chart(name=f"views-{name}", height=HEIGHTS.get(name, 300), **settings)

    with gr.Row(elem_classes="lab-row"):
        with gr.Column(elem_classes="lab-picture"):
            message = Note(name="views", visible=False)
            fields = Fields(name="views", clock="views")
            chart("errors", clock="views")
            for section, rows in SECTIONS.items():
                gr.Markdown(i18n(f"section_{section}"))
                for names in rows:
                    with gr.Row(elem_classes="lab-pair"):
                        for name in names:
                            chart(name, elem_classes="lab-half")
        with gr.Column(elem_classes="lab-controls"):
            few = ("data", "denoiser", "at", "particle", "churn", "T", "beta_max")
            controls = {name: control(Views, name) for name in few}
            with gr.Accordion(i18n("more"), open=False, elem_id="views-more"):
                controls |= {name: control(Views, name) for name in ("schedule", "beta_min", "rescale", "n", "seed")}
    ordered = [controls[f.name] for f in dataclasses.fields(Views)]
    exhibit = Exhibit("views", ordered, message, [fields, *(charts[name] for name in FIGURES)], show)
    exhibit.listen()
    return exhibit
