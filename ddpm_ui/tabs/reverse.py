"""Reverse: the trained network walks noise back to data, live, beside the exact denoiser."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import partial

import gradio as gr

from ddpm_core import device
from ddpm_ui.controls import QUIET, control
from ddpm_ui.i18n import i18n
from ddpm_ui.parts import Chart, Note, Stage
from ddpm_ui.recipe import OPTIONS, Reverse
from ddpm_ui.tabs.exhibit import Exhibit, source, stage_value, terminal_note


def show(recipe: Reverse, view: Mapping[str, str]) -> list:
    return [
        terminal_note(recipe),
        stage_value("reverse", recipe, view, play=True),
        json.dumps({"src": source("film/reverse", recipe)}),
    ]


def next_seed(recipe: Reverse) -> Reverse:
    """The same walk from other noise."""
    return dataclasses.replace(recipe, seed=(recipe.seed + 1) % 2**32)


def build() -> Exhibit:
    with gr.Row(elem_classes="lab-row"):
        with gr.Column(elem_classes="lab-picture"):
            message = Note(name="reverse", visible=False)
            stage = Stage(name="reverse", clock="reverse")
            film = Chart(name="reverse-film", height=190, elem_classes="lab-film")
        with gr.Column(elem_classes="lab-controls"):
            run = gr.Button(i18n("run"), variant="primary", elem_id="reverse-run")
            controls = {name: control(Reverse, name) for name in ("data", "denoiser", "sampler")}
            with gr.Group():
                controls |= {name: control(Reverse, name) for fields in OPTIONS.values() for name in fields}
            controls["steps"] = control(Reverse, "steps")
            with gr.Accordion(i18n("more"), open=False, elem_id="reverse-more"):
                rest = ("schedule", "spacing", "T", "beta_min", "beta_max", "rescale", "n", "seed")
                controls |= {name: control(Reverse, name) for name in rest}
            gr.HTML(f'<p class="lab-device">{device.describe(device.pick())}</p>', apply_default_css=False)
    ordered = [controls[f.name] for f in dataclasses.fields(Reverse)]
    exhibit = Exhibit("reverse", ordered, message, [stage, film], show)
    exhibit.listen()

    run.click(partial(exhibit.replace, next_seed), ordered, exhibit.everything, **QUIET)
    return exhibit
