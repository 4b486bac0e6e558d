"""The tab of Train: training, own data, uploading and downloading networks."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import gradio as gr
import numpy as np

from ddpm_core import CheckpointError, load_checkpoint
from ddpm_core.data.own_data import OwnDataError, encode
from ddpm_ui.exhibits.exhibit import EXHIBITS, Exhibit
from ddpm_ui.exhibits.tab import Shown, Tab
from ddpm_ui.exhibits.train.figures import training_charts
from ddpm_ui.exhibits.train.recipe import Train
from ddpm_ui.exhibits.train.routes import ROUTES
from ddpm_ui.exhibits.train.stream import TRAINING
from ddpm_ui.recipes import RecipeError, mixture_of
from ddpm_ui.server import models
from ddpm_ui.server.uploads import points_from_csv, points_from_picture, points_from_strokes, points_from_word
from ddpm_ui.web.controls import LAST, QUIET, control
from ddpm_ui.web.i18n import i18n
from ddpm_ui.web.parts import Chart, Note, Pad, Stage, note
from ddpm_ui.words import Message, name_of

FEW = ("data", "points", "steps")
MORE = ("target", "weighting", "schedule", "width", "depth", "batch", "lr", "ema", "seed")
TABLES, PICTURES = [".csv", ".txt", ".tsv"], [".png", ".jpg", ".jpeg", ".webp"]
FILES = TABLES + PICTURES
STOPPING = 2.0  # seconds in which a stopped training must have ended
FIXED = ("width", "depth", "target")  # fields that cannot change once training has begun


def show(recipe: Train, view: Mapping[str, str]) -> dict:
    """Starts nothing: training is expensive, so it waits for the button."""
    return {"note": note(None)}


def lesson(recipe: Train, run: str, after: str = "") -> str:
    """The value of the Stage."""
    query = f"{recipe.query}&run={run}" + (f"&after={after}" if after else "")
    shown = {"src": f"lab/train?{query}", "link": recipe.link, "t": 0, "play": False}
    return json.dumps(shown | {"links": links(recipe.data, run)})


def links(data: str, run: str) -> list[tuple[str, str]]:
    """Links for a network whose training has ended."""
    users = [name for name, exhibit in EXHIBITS.items() if exhibit.takes_networks]
    elsewhere = [(f"use_in_{name}", f"?tab={name}&data={data}&denoiser=run.{run}") for name in users]
    return [*elsewhere, ("download_network", f"lab/checkpoint/{run}")]


def continued(recipe: Train, run: str) -> Train:
    """The recipe that continues `run` to its end, or by as many steps again. RecipeError if impossible."""
    if not run:
        raise RecipeError("nothing_to_go_on")
    model = models.find(run, STOPPING)
    learned = model.denoiser.net.hyperparameters | {"target": model.denoiser.target}
    for field in FIXED:
        if getattr(recipe, field) != learned[field]:
            raise RecipeError("other_network", field=field, was=learned[field])
    done = int(model.state["step"]) if model.state else 0
    return recipe if done < recipe.steps else dataclasses.replace(recipe, steps=done + recipe.steps)


def points_from_file(path: str) -> np.ndarray:
    read = points_from_csv if Path(path).suffix.lower() in TABLES else points_from_picture
    return read(Path(path).read_bytes())


def build() -> Tab:
    with gr.Row(elem_classes="lab-row"):
        with gr.Column(elem_classes="lab-picture"):
            message = Note(name="train", visible=False)
            stage = Stage(name="train", clock="train", shots=TRAINING._asdict(), hint="press_train")
            with gr.Row(elem_classes="lab-pair"):
                for name, figure in training_charts().items():
                    Chart(figure.to_json(), name=name, height=260, elem_classes="lab-half")
        with gr.Column(elem_classes="lab-controls"):
            start = gr.Button(i18n("train"), variant="primary", elem_id="train-start")
            go_on = gr.Button(i18n("go_on"), elem_id="train-go-on")
            controls = {name: control(Train, name) for name in FEW}
            with gr.Accordion(i18n("more"), open=False, elem_id="train-more"):
                controls |= {name: control(Train, name) for name in MORE}
            with gr.Accordion(i18n("own_data"), open=False, elem_id="train-own"):
                pad = Pad(name="train")
                word = gr.Textbox(label=i18n("word"), max_lines=1, elem_id="train-word")
                file = gr.UploadButton(cast("str", i18n("own_file")), file_types=FILES, elem_id="train-file")
            upload = gr.UploadButton(cast("str", i18n("upload")), file_types=[".safetensors"], elem_id="train-upload")
            # The name of the newest network. Not a gr.State, which would keep a connection open for each page.
            run = gr.Textbox(visible=False)
    tab = Tab(Train, controls, {"note": message}, show)

    def begin(*values) -> Shown:
        recipe, name = tab.recipe(values), secrets.token_hex(8)
        return {message: note(None), stage: lesson(recipe, name), run: name, **tab.shown(recipe)}

    def resume(after: str, *values) -> Shown:
        recipe, name = continued(tab.recipe(values), after), secrets.token_hex(8)
        return {message: note(None), stage: lesson(recipe, name, after), run: name, **tab.shown(recipe)}

    def take(path: str, *values) -> Shown:
        try:
            denoiser = load_checkpoint(path)
        except CheckpointError as error:
            raise RecipeError("bad_upload", why=str(error)) from error
        if (dim := math.prod(denoiser.net.shape)) != 2:  # a U-Net for images
            raise RecipeError("bad_dim", got=dim)
        what = {"data": denoiser.metadata.get("dataset", ""), "target": denoiser.target, **denoiser.net.hyperparameters}
        changed = {field: what[field] for field in ("data", *FIXED)}
        recipe = dataclasses.replace(tab.recipe(values), **changed)  # so that its training can be continued
        name = hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]
        models.keep(name, models.Model(denoiser, recipe.data))
        said = note(Message("uploaded", {"data": Message(name_of(recipe.data), {})}))
        return {message: said, stage: json.dumps({"links": links(recipe.data, name)}), run: name, **tab.shown(recipe)}

    def own(points_from, *, ordered: bool = False):
        """An event handler that puts the user's own data into the data control and the link."""

        def use(value: str, *values) -> Shown:
            try:
                data = encode(points_from(value), ordered=ordered)
            except OwnDataError as error:
                raise RecipeError(error.key, **error.values) from error
            recipe = dataclasses.replace(tab.recipe(values), data=data)
            ready = Message("own_data_ready", {"centres": mixture_of(data).K})
            places = [
                ("see_in_forward", f"?tab=forward&data={data}"),
                ("see_in_reverse", f"?tab=reverse&data={data}&denoiser=exact"),
            ]
            return {message: note(ready), stage: json.dumps({"links": places}), **tab.shown(recipe)}

        return tab.guarded(use)

    everything = [*tab.everything, stage, run]
    drawing = own(lambda value: points_from_strokes(json.loads(value or "[]")), ordered=True)
    pad.submit(drawing, [pad, *tab.inputs], everything, **LAST)
    word.submit(own(points_from_word), [word, *tab.inputs], everything, **LAST)
    file.upload(own(points_from_file), [file, *tab.inputs], everything, **LAST)
    start.click(tab.guarded(begin), tab.inputs, everything, **QUIET)
    go_on.click(tab.guarded(resume), [run, *tab.inputs], everything, **QUIET)
    upload.upload(tab.guarded(take), [upload, *tab.inputs], everything, **LAST)
    return tab


EXHIBIT = Exhibit(recipe=Train, title="tab_train", order=3, build=build, routes=ROUTES)
