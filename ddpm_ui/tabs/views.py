"""Three views: one model as noise predictor, denoiser, score and velocity; and what each view lets one see."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping

import gradio as gr

from ddpm_ui.controls import control
from ddpm_ui.i18n import i18n
from ddpm_ui.parts import Chart, Fields, Note, Stage
from ddpm_ui.recipe import Forward, Noised, Views
from ddpm_ui.tabs.exhibit import Exhibit, source, terminal_note
from ddpm_ui.views import FIGURES

PARTICLES = [f.name for f in dataclasses.fields(Noised)]  # what decides where they are
HEIGHTS = {"errors": 240, "step": 420, "memory": 420}
SECTIONS: dict[str, list[tuple[str, ...]]] = {  # rows of figures
    "variational": [("chosen", "step"), ("coefficients", "bound")],
    "score": [("tweedie", "modes")],
    "flow": [("paths", "marginals"), ("coordinates",), ("likelihood",)],
    "perfect": [("recite",), ("memory",)],
}


def show(recipe: Views, view: Mapping[str, str]) -> list:
    t = view.get("t", "")
    fields = {"src": source("fields", recipe.seen), "link": recipe.link, "t": int(t) if t.isdecimal() else None}
    shared = {name: getattr(recipe, name) for name in PARTICLES}
    particles = Forward.of(shared | {"n": max(recipe.n, recipe.particle + 1)})  # the chosen one is among them
    chosen = {
        "src": source("forward", particles),
        "t": min(recipe.at, recipe.T),
        "play": False,
        "layers": [],
        "followed": recipe.particle,
    }
    seen = {"errors": recipe.seen}  # by the noise level alone, as the fields
    charts = [json.dumps({"src": source(f"figure/{name}", seen.get(name, recipe))}) for name in FIGURES]
    return [terminal_note(recipe), json.dumps(fields), json.dumps(chosen), *charts]


def build() -> Exhibit:
    charts = {}
    chosen = Stage(name="chosen", clock="chosen", bar=False, choose=True, elem_classes="lab-half", render=False)

    def chart(name: str, **settings) -> None:
        charts[name] = Chart(name=f"views-{name}", height=HEIGHTS.get(name, 300), **settings)

    with gr.Row(elem_classes="lab-row"):
        with gr.Column(elem_classes="lab-picture"):
            message = Note(name="views", visible=False)
            fields = Fields(name="views", clock="views")
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
    ordered = [controls[f.name] for f in dataclasses.fields(Views)]
    exhibit = Exhibit("views", ordered, message, [fields, chosen, *(charts[name] for name in FIGURES)], show)
    exhibit.listen()
    return exhibit
