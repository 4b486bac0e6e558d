"""The tab of Images."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import gradio as gr

from ddpm_core.data.own_data import OwnDataError
from ddpm_ui.exhibits.exhibit import Exhibit, Stream
from ddpm_ui.exhibits.images import own_picture
from ddpm_ui.exhibits.images.recipe import Images
from ddpm_ui.exhibits.images.stream import computed, images, network
from ddpm_ui.exhibits.tab import Shown, Tab, next_seed, stage_value, terminal_note
from ddpm_ui.recipes import RecipeError
from ddpm_ui.server.uploads import small_picture
from ddpm_ui.web.controls import LAST, QUIET, control
from ddpm_ui.web.i18n import i18n
from ddpm_ui.web.parts import Gallery, Note, note

PICTURES = [".png", ".jpg", ".jpeg", ".webp"]


def show(recipe: Images, view: Mapping[str, str]) -> dict:
    image, other = view.get("image", ""), recipe.other
    shared: dict[str, Any] = {
        "play": True if recipe.task != "forward" or "visit" in view else None,
        "link": recipe.link,
    }
    shared |= {"image": int(image)} if image.isdecimal() else {}
    return {
        "note": note(None) if recipe.task in ("forward", "back") else terminal_note(recipe),
        "gallery": stage_value("images", recipe.alone, view, **shared),
        "beside": gr.update(visible=other is not None),
        "other": stage_value("images", other, view, **shared) if other else "",
    }


def with_picture(recipe: Images, path: str) -> Images:
    """The recipe with the user's own image, and a task that can use it. RecipeError if the file is not an image."""
    try:
        data = own_picture.encode(small_picture(Path(path).read_bytes()))
    except OwnDataError as error:
        raise RecipeError(error.key, **error.values) from error
    task = "back" if recipe.task in ("generate", "interpolate") else recipe.task
    return dataclasses.replace(recipe, data=(data,), task=task)


def build() -> Tab:
    with gr.Row(elem_classes="lab-row"):
        with gr.Column(elem_classes="lab-picture"):
            message = Note(name="images", visible=False)
            with gr.Row(elem_classes="lab-pair"):
                gallery = Gallery(name="images", clock="images", elem_classes="lab-half")
                with gr.Column(visible=False, elem_classes="lab-half") as beside:
                    other = Gallery(name="images-beside", clock="images", bar=False)
        with gr.Column(elem_classes="lab-controls"):
            run = gr.Button(i18n("run"), variant="primary", elem_id="images-run")

            def controlled(*names: str) -> dict:
                return {name: control(Images, name) for name in names}

            controls = controlled("task", "data", "level", "kept", "told", "sampler", "nfe", "weight")
            with gr.Group():
                controls |= controlled("beside", "beside_sampler", "beside_weight")
            with gr.Accordion(i18n("more"), open=False, elem_id="images-more"):
                controls |= controlled("schedule", "T", "beta_min", "beta_max", "rescale", "spacing", "n", "seed")
            with gr.Accordion(i18n("own_picture"), open=False, elem_id="images-own"):
                gr.Markdown(i18n("own_picture_help"))
                upload = gr.UploadButton(
                    cast("str", i18n("upload_picture")), file_types=PICTURES, elem_id="images-upload"
                )
            gr.HTML(f'<p class="lab-device">{computed()}</p>', apply_default_css=False)
    tab = Tab(Images, controls, {"note": message, "gallery": gallery, "beside": beside, "other": other}, show)

    def take(path: str, *values) -> Shown:
        return tab.whole(with_picture(tab.recipe(values), path))

    run.click(partial(tab.replace, next_seed), tab.inputs, tab.everything, **QUIET)
    upload.upload(tab.guarded(take), [upload, *tab.inputs], tab.everything, **LAST)
    return tab


EXHIBIT = Exhibit(
    recipe=Images,
    title="tab_images",
    order=6,
    build=build,
    streams={"images": Stream(Images, images)},
    network=network,
    plotly=False,
)
