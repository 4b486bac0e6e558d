"""The tab of the toy exhibit."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import gradio as gr

from ddpm_ui.exhibits.exhibit import Exhibit, Stream
from ddpm_ui.exhibits.tab import Tab, figure_value, stage_value
from ddpm_ui.web.controls import control
from ddpm_ui.web.parts import Chart, Note, Stage, note
from tests.ui.toy.figures import reach
from tests.ui.toy.recipe import Toy
from tests.ui.toy.stream import drift


def show(recipe: Toy, view: Mapping[str, str]) -> dict:
    return {
        "note": note(None),
        "stage": stage_value("toy", recipe, view),
        "reach": figure_value("reach", recipe),
    }


def build() -> Tab:
    with gr.Row(elem_classes="lab-row"):
        with gr.Column(elem_classes="lab-picture"):
            outputs = {
                "note": Note(name="toy", visible=False),
                "stage": Stage(name="toy", clock="toy"),
                "reach": Chart(name="toy-reach", clock="toy", height=240),
            }
        with gr.Column(elem_classes="lab-controls"):
            controls = {field.name: control(Toy, field.name) for field in dataclasses.fields(Toy)}
    return Tab(Toy, controls, outputs, show)


EXHIBIT = Exhibit(
    recipe=Toy,
    title="tab_toy",
    order=99,
    build=build,
    streams={"toy": Stream(Toy, drift)},
    figures={"reach": reach},
    film="toy",
)
