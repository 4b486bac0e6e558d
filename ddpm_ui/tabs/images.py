"""Images: the same mathematics on pictures of clothes, every step of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import gradio as gr

from ddpm_core.data.own_data import OwnDataError
from ddpm_ui import own_picture, pictures
from ddpm_ui.controls import LAST, QUIET, control
from ddpm_ui.i18n import i18n
from ddpm_ui.parts import Gallery, Note, note
from ddpm_ui.recipe import Images, RecipeError
from ddpm_ui.tabs.exhibit import Exhibit, stage_value, terminal_note
from ddpm_ui.tabs.reverse import next_seed
from ddpm_ui.uploads import small_picture

PICTURES = [".png", ".jpg", ".jpeg", ".webp"]


def show(recipe: Images, view: Mapping[str, str]) -> list:
    image, other = view.get("image", ""), recipe.other
    shared: dict[str, Any] = {
        "play": True if recipe.task != "forward" or "opening" in view else None,
        "link": recipe.link,
    }
    shared |= {"image": int(image)} if image.isdecimal() else {}
    return [
        note(None) if recipe.task in ("forward", "back") else terminal_note(recipe),
        stage_value("images", recipe.alone, view, **shared),
        gr.update(visible=other is not None),
        stage_value("images", other, view, **shared) if other else "",
    ]


def with_picture(recipe: Images, path: str) -> Images:
    """The recipe with a person's own picture, for a task that has a use for it. RecipeError if the file is none."""
    try:
        data = own_picture.encode(small_picture(Path(path).read_bytes()))
    except OwnDataError as error:
        raise RecipeError(error.key, **error.values) from error
    task = "back" if recipe.task in ("generate", "interpolate") else recipe.task
    return dataclasses.replace(recipe, data=(data,), task=task)


def build() -> Exhibit:
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
            gr.HTML(f'<p class="lab-device">{pictures.computed()}</p>', apply_default_css=False)
    ordered = [controls[f.name] for f in dataclasses.fields(Images)]
    exhibit = Exhibit("images", ordered, message, [gallery, beside, other], show)
    exhibit.listen()

    def take(path: str, *values) -> list:
        return exhibit.whole(with_picture(exhibit.recipe(values), path))

    run.click(partial(exhibit.replace, next_seed), ordered, exhibit.everything, **QUIET)
    upload.upload(exhibit.guarded(take, exhibit.everything), [upload, *ordered], exhibit.everything, **LAST)
    return exhibit
