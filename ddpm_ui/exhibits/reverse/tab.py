"""The tab of Reverse."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial

import gradio as gr

from ddpm_core import device
from ddpm_core.samplers.registry import OPTIONS
from ddpm_ui.exhibits.exhibit import Exhibit, Stream
from ddpm_ui.exhibits.particles import network
from ddpm_ui.exhibits.reverse.recipe import Reverse
from ddpm_ui.exhibits.reverse.stream import reverse
from ddpm_ui.exhibits.tab import Tab, next_seed, source, stage_value, terminal_note
from ddpm_ui.web.controls import QUIET, control
from ddpm_ui.web.i18n import i18n
from ddpm_ui.web.parts import Chart, Note, Stage


def show(recipe: Reverse, view: Mapping[str, str]) -> dict:
    return {
        "note": terminal_note(recipe),
        "stage": stage_value("reverse", recipe, view, play=True),
        "film": json.dumps({"src": source("film/reverse", recipe)}),
    }


def build() -> Tab:
    with gr.Row(elem_classes="lab-row"):
        with gr.Column(elem_classes="lab-picture"):
            note = Note(name="reverse", visible=False)
            stage = Stage(name="reverse", clock="reverse")
            film = Chart(name="reverse-film", height=190, elem_classes="lab-film")
        with gr.Column(elem_classes="lab-controls"):
            run = gr.Button(i18n("run"), variant="primary", elem_id="reverse-run")
            controls = {name: control(Reverse, name) for name in ("data", "denoiser", "sampler")}
            with gr.Group():
                controls |= {name: control(Reverse, name) for name in OPTIONS}
            controls["steps"] = control(Reverse, "steps")
            with gr.Accordion(i18n("more"), open=False, elem_id="reverse-more"):
                rest = ("schedule", "spacing", "T", "beta_min", "beta_max", "rescale", "n", "seed")
                controls |= {name: control(Reverse, name) for name in rest}
            gr.HTML(f'<p class="lab-device">{device.describe(device.pick())}</p>', apply_default_css=False)
    tab = Tab(Reverse, controls, {"note": note, "stage": stage, "film": film}, show)
    run.click(partial(tab.replace, next_seed), tab.inputs, tab.everything, **QUIET)
    return tab


EXHIBIT = Exhibit(
    recipe=Reverse,
    title="tab_reverse",
    order=2,
    build=build,
    streams={"reverse": Stream(Reverse, reverse)},
    network=network,
    film="reverse",
)
