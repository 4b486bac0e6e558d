"""The tab of Forward."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import partial

import gradio as gr
from gradio.components import Component

from ddpm_ui.exhibits.exhibit import Exhibit, Stream
from ddpm_ui.exhibits.forward.figures import curves, forgetting, why
from ddpm_ui.exhibits.forward.recipe import Forward
from ddpm_ui.exhibits.forward.stream import chain, drifts
from ddpm_ui.exhibits.particles import closed_form
from ddpm_ui.exhibits.tab import Tab, figure_value, is_noise, source, stage_value, terminal_note
from ddpm_ui.recipes import OF_BETA, SCHEDULE
from ddpm_ui.web.controls import QUIET, control
from ddpm_ui.web.i18n import i18n
from ddpm_ui.web.parts import Chart, Fields, Note, Stage


def fixed(recipe: Forward) -> Forward:
    """The nearest recipe that ends in noise: beta rescaled, else DDPM's own range rescaled, else cosine."""
    rescaled = dataclasses.replace(recipe, rescale=True)
    classic = dataclasses.replace(rescaled, beta_min=Forward.beta_min, beta_max=Forward.beta_max)
    candidates = [rescaled, classic] if recipe.schedule in OF_BETA else []
    return next((c for c in candidates if is_noise(c)), dataclasses.replace(recipe, schedule="cosine"))


# Each figure, and the fields of the recipe that it depends on.
FIGURES = {
    "curves": (curves, SCHEDULE),
    "why": (why, ("data", *SCHEDULE, "seed")),
    "forgetting": (forgetting, ("data", *SCHEDULE)),
}


def show(recipe: Forward, view: Mapping[str, str]) -> dict:
    compared = recipe.beside != "nothing"
    return {
        "note": terminal_note(recipe),
        "fix": gr.update(visible=not is_noise(recipe)),
        "stage": stage_value("forward", recipe, view, play=True if "visit" in view else None),
        "beside": gr.update(visible=compared),
        "chain": stage_value("chain", recipe, view) if compared else "",
        "film": json.dumps({"src": source("film/forward", recipe)}),
        "drifts": json.dumps({"src": source("drifts", recipe.only("data", *SCHEDULE))}),
        **{name: figure_value(name, recipe.only(*uses)) for name, (_, uses) in FIGURES.items()},
    }


def build() -> Tab:
    out: dict[str, Component] = {}
    with gr.Row(elem_classes="lab-row"):
        with gr.Column(elem_classes="lab-picture"):
            out["note"] = Note(name="forward", visible=False)
            out["fix"] = fix = gr.Button(
                i18n("fix"), visible=False, size="sm", elem_id="forward-fix", elem_classes="lab-fix"
            )
            with gr.Row(elem_classes="lab-pair"):
                out["stage"] = Stage(name="forward", clock="forward", elem_classes="lab-half")
                with gr.Column(visible=False, elem_classes="lab-half") as out["beside"]:
                    out["chain"] = Stage(name="chain", clock="forward", bar=False)
            out["film"] = Chart(name="forward-film", height=190, elem_classes="lab-film")
            out["curves"] = Chart(name="forward-curves", clock="forward", height=340)
            gr.Markdown(i18n("section_why"), elem_classes="lab-section")
            out["why"] = Chart(name="forward-why", clock="forward", height=300)
            gr.Markdown(i18n("why_gaussian"))
            out["forgetting"] = Chart(name="forward-forgetting", clock="forward", height=260)
            gr.Markdown(i18n("section_ink"))
            out["drifts"] = Fields(name="drifts", clock="forward", bar=False)
        with gr.Column(elem_classes="lab-controls"):
            controls = {
                name: control(Forward, name)
                for name in ("data", "schedule", "T", "beta_min", "beta_max", "rescale", "beside")
            }
            with gr.Accordion(i18n("more"), open=False, elem_id="forward-more"):
                controls |= {name: control(Forward, name) for name in ("n", "seed", "film")}
    tab = Tab(Forward, controls, out, show)
    fix.click(partial(tab.replace, fixed), tab.inputs, tab.everything, **QUIET)
    return tab


EXHIBIT = Exhibit(
    recipe=Forward,
    title="tab_forward",
    order=1,
    build=build,
    streams={
        "forward": Stream(Forward, closed_form),
        "chain": Stream(Forward, chain),
        "drifts": Stream(Forward, drifts),
    },
    figures={name: draw for name, (draw, _) in FIGURES.items()},
    film="forward",
)
