"""The tab of Solvers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import gradio as gr
from gradio.components import Component

from ddpm_ui.exhibits.exhibit import Exhibit, Stream
from ddpm_ui.exhibits.particles import network
from ddpm_ui.exhibits.solvers.figures import FIGURES, LEVELS, figure
from ddpm_ui.exhibits.solvers.recipe import MAX_RACERS, Racer, Solvers
from ddpm_ui.exhibits.solvers.stream import SWEEPS, race, sweeps
from ddpm_ui.exhibits.tab import Tab, figure_value, source, stage_value, terminal_note
from ddpm_ui.web.controls import control
from ddpm_ui.web.i18n import i18n
from ddpm_ui.web.parts import Chart, Note, Stage

HEIGHTS = {"strong": 420, "law": 420, "steps": 460, "enough": 460, "whole": 560}
SECTIONS = {"buys": ("strong", "law"), "steps": ("steps",), "enough": ("enough", "whole")}


def show(recipe: Solvers, view: Mapping[str, str]) -> dict:
    shown: dict = {"note": terminal_note(recipe)}
    racers = recipe.racers()
    for place in range(MAX_RACERS):
        racing = place < len(racers)
        shown[f"lane {place}"] = gr.update(visible=racing)
        more: dict[str, Any] = {"play": True, "link": recipe.link, "ink": f"racer{place + 1}"}
        shown[f"racer {place}"] = stage_value("race", racers[place], view, **more) if racing else ""
    shown["sweeps"] = json.dumps(
        {"src": source("sweeps", recipe.only("data", "denoiser", *LEVELS, "seed")), "t": 0, "play": False}
    )
    return shown | {name: figure_value(name, recipe.only(*uses)) for name, (_, _, uses) in FIGURES.items()}


def build() -> Tab:
    out: dict[str, Component] = {}

    def chart(name: str) -> None:
        film = "lab-film" if name == "whole" else None  # its numbers would be too small on a phone
        out[name] = Chart(name=f"solvers-{name}", height=HEIGHTS[name], elem_classes=film)

    with gr.Row(elem_classes="lab-row"):
        with gr.Column(elem_classes="lab-picture"):
            out["note"] = Note(name="solvers", visible=False)
            with gr.Row(elem_classes="lab-race"):
                for place in range(MAX_RACERS):
                    with gr.Column(min_width=0, visible=place < len(Solvers.solvers)) as lane:
                        racer = Stage(name=f"race-{place}", clock="race", bar=place == 0)
                    out |= {f"lane {place}": lane, f"racer {place}": racer}
            for section, names in SECTIONS.items():
                gr.Markdown(i18n(f"section_{section}"), elem_classes="lab-section")
                for name in names:
                    chart(name)
            gr.Markdown(i18n("section_parallel"), elem_classes="lab-section")
            out["sweeps"] = Stage(name="sweeps", clock="sweeps", shots=SWEEPS._asdict())
        with gr.Column(elem_classes="lab-controls"):
            few = ("data", "denoiser", "solvers", "nfe", "spacing", "metric", "stepper")
            controls = {name: control(Solvers, name) for name in few}
            with gr.Accordion(i18n("more"), open=False, elem_id="solvers-more"):
                rest = ("schedule", "sigma_min", "sigma_max", "T", "beta_min", "beta_max", "rescale", "n", "seed")
                controls |= {name: control(Solvers, name) for name in rest}
    return Tab(Solvers, controls, out, show)


EXHIBIT = Exhibit(
    recipe=Solvers,
    title="tab_solvers",
    order=5,
    build=build,
    streams={"race": Stream(Racer, race), "sweeps": Stream(Solvers, sweeps)},
    figures={name: partial(figure, name) for name in FIGURES},
    network=network,
)
