"""Forward: data melts into noise, in closed form and step by step."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import partial

import gradio as gr

from ddpm_ui.controls import QUIET, control
from ddpm_ui.i18n import i18n
from ddpm_ui.parts import Chart, Fields, Note, Stage
from ddpm_ui.recipe import OF_BETA, Forward
from ddpm_ui.tabs.exhibit import Exhibit, is_noise, source, stage_value, terminal_note


def fixed(recipe: Forward) -> Forward:
    """The nearest recipe that does end in noise: rescale beta, else DDPM's own range rescaled, else cosine."""
    rescaled = dataclasses.replace(recipe, rescale=True)
    classic = dataclasses.replace(rescaled, beta_min=Forward.beta_min, beta_max=Forward.beta_max)
    candidates = [rescaled, classic] if recipe.schedule in OF_BETA else []
    return next((c for c in candidates if is_noise(c)), dataclasses.replace(recipe, schedule="cosine"))


def show(recipe: Forward, view: Mapping[str, str]) -> list:
    return [
        terminal_note(recipe),
        gr.update(visible=not is_noise(recipe)),
        stage_value("forward", recipe, view, play=True if "opening" in view else None),
        gr.update(visible=recipe.beside != "nothing"),
        stage_value("chain", recipe, view) if recipe.beside != "nothing" else "",
        json.dumps({"src": source("figure/curves", recipe)}),
        json.dumps({"src": source("film/forward", recipe)}),
        json.dumps({"src": source("figure/why", recipe)}),
        json.dumps({"src": source("figure/forgetting", recipe)}),
        json.dumps({"src": source("drifts", recipe)}),
    ]


def build() -> Exhibit:
    with gr.Row(elem_classes="lab-row"):
        with gr.Column(elem_classes="lab-picture"):
            message = Note(name="forward", visible=False)
            fix = gr.Button(i18n("fix"), visible=False, size="sm", elem_id="forward-fix", elem_classes="lab-fix")
            with gr.Row(elem_classes="lab-pair"):
                stage = Stage(name="forward", clock="forward", elem_classes="lab-half")
                with gr.Column(visible=False, elem_classes="lab-half") as beside:
                    chain_stage = Stage(name="chain", clock="forward", bar=False)
            film = Chart(name="forward-film", height=190, elem_classes="lab-film")
            curves = Chart(name="forward-curves", clock="forward", height=340)
            gr.Markdown(i18n("section_why"), elem_classes="lab-section")
            why = Chart(name="forward-why", clock="forward", height=300)
            gr.Markdown(i18n("why_gaussian"))
            forgetting = Chart(name="forward-forgetting", clock="forward", height=260)
            gr.Markdown(i18n("section_ink"))
            ink = Fields(name="drifts", clock="forward", bar=False)
        with gr.Column(elem_classes="lab-controls"):
            controls = {
                name: control(Forward, name)
                for name in ("data", "schedule", "T", "beta_min", "beta_max", "rescale", "beside")
            }
            with gr.Accordion(i18n("more"), open=False, elem_id="forward-more"):
                controls |= {name: control(Forward, name) for name in ("n", "seed", "film")}
    ordered = [controls[f.name] for f in dataclasses.fields(Forward)]
    exhibit = Exhibit(
        "forward", ordered, message, [fix, stage, beside, chain_stage, curves, film, why, forgetting, ink], show
    )
    exhibit.listen()

    fix.click(partial(exhibit.replace, fixed), ordered, exhibit.everything, **QUIET)
    return exhibit
