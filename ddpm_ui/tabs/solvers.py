"""Solvers: a race at equal cost, and what every further evaluation buys."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping

import gradio as gr

from ddpm_ui.controls import control
from ddpm_ui.i18n import i18n
from ddpm_ui.parts import Chart, Note, Stage
from ddpm_ui.recipe import MAX_RACERS, Solvers
from ddpm_ui.solvers import FIGURES
from ddpm_ui.tabs.exhibit import Exhibit, source, stage_value, terminal_note

HEIGHTS = {"strong": 420, "law": 420, "steps": 460, "enough": 460, "whole": 560}
SECTIONS = {"buys": ("strong", "law"), "steps": ("steps",), "enough": ("enough", "whole")}
NOT_DATA = [f.name for f in dataclasses.fields(Solvers) if f.name != "data"]
# What a figure does not depend on has its default there, so that it is not computed again.
INDIFFERENT = {
    "strong": ("nfe", "stepper", "metric", "n"),
    "law": ("nfe", "stepper", "n"),
    "steps": ("solvers", "metric", "n", "denoiser"),
    "enough": NOT_DATA,
    "whole": NOT_DATA,
    "sweeps": ("solvers", "stepper", "metric", "nfe", "n"),
}


def needed(name: str, recipe: Solvers) -> Solvers:
    """The recipe without what `name` does not depend on."""
    return dataclasses.replace(recipe, **{field: getattr(Solvers, field) for field in INDIFFERENT[name]})


def show(recipe: Solvers, view: Mapping[str, str]) -> list:
    stages: list = [""] * (2 * MAX_RACERS)
    stages[::2] = [gr.update(visible=place < len(recipe.solvers)) for place in range(MAX_RACERS)]
    for place, racer in enumerate(recipe.racers()):
        ink = f"racer{place + 1}"
        stages[2 * place + 1] = stage_value("race", racer, view, play=True, link=recipe.link, ink=ink)
    swept = {"src": source("sweeps", needed("sweeps", recipe)), "t": 0, "play": False}
    charts = [json.dumps({"src": source(f"figure/{name}", needed(name, recipe))}) for name in FIGURES]
    return [terminal_note(recipe), *stages, json.dumps(swept), *charts]


def build() -> Exhibit:
    charts, stages = {}, []

    def chart(name: str) -> None:
        film = "lab-film" if name == "whole" else None  # its numbers cannot be read in a phone's width
        charts[name] = Chart(name=f"solvers-{name}", height=HEIGHTS[name], elem_classes=film)

    with gr.Row(elem_classes="lab-row"):
        with gr.Column(elem_classes="lab-picture"):
            message = Note(name="solvers", visible=False)
            with gr.Row(elem_classes="lab-race"):
                for place in range(MAX_RACERS):
                    with gr.Column(min_width=0, visible=place < len(Solvers.solvers)) as lane:
                        stage = Stage(name=f"race-{place}", clock="race", bar=place == 0, time="evaluations_left")
                    stages += [lane, stage]
            for section, names in SECTIONS.items():
                gr.Markdown(i18n(f"section_{section}"), elem_classes="lab-section")
                for name in names:
                    chart(name)
            gr.Markdown(i18n("section_parallel"), elem_classes="lab-section")
            swept = Stage(name="sweeps", clock="sweeps", shots=True, ends=["first_guess", "converged", "sweep"])
        with gr.Column(elem_classes="lab-controls"):
            few = ("data", "denoiser", "solvers", "nfe", "spacing", "metric", "stepper")
            controls = {name: control(Solvers, name) for name in few}
            with gr.Accordion(i18n("more"), open=False, elem_id="solvers-more"):
                rest = ("schedule", "sigma_min", "sigma_max", "T", "beta_min", "beta_max", "rescale", "n", "seed")
                controls |= {name: control(Solvers, name) for name in rest}
    ordered = [controls[f.name] for f in dataclasses.fields(Solvers)]
    exhibit = Exhibit("solvers", ordered, message, [*stages, swept, *(charts[name] for name in FIGURES)], show)
    exhibit.listen()
    return exhibit
