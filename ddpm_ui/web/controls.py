"""A control for each field of a recipe. Limits and choices come from the recipe; only the appearance is set here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import gradio as gr
from gradio.components import Component
from gradio.i18n import I18nData

from ddpm_ui.recipes import FILM, Recipe
from ddpm_ui.web.i18n import i18n
from ddpm_ui.words import STRINGS, name_of


class Slider(gr.Slider):
    """A slider that passes any value on: the recipe checks the range, and its message names the field."""

    def preprocess(self, payload):
        return payload


def label(recipe: type[Recipe], name: str) -> I18nData:
    own = f"field_{recipe.tab}_{name}"
    return i18n(own if own in STRINGS["en"] else f"field_{name}")


def choices(known: Iterable[str]) -> list[tuple[I18nData, str]]:
    return [(i18n(name_of(value)), value) for value in known]


def control(recipe: type[Recipe], name: str) -> Component:
    field = next(f for f in dataclasses.fields(recipe) if f.name == name)
    rule = field.metadata
    common: dict[str, Any] = dict(label=label(recipe, name), value=field.default, elem_id=f"{recipe.tab}-{name}")
    common["visible"] = name not in recipe().idle
    if "known" in rule:
        default: Any = field.default
        several = isinstance(default, tuple)
        common |= dict(multiselect=True, max_choices=rule["most"], value=list(default)) if several else {}
        return gr.Dropdown(choices(rule["known"]), **common)
    if isinstance(field.default, bool):
        return gr.Checkbox(**common)
    if isinstance(field.default, tuple):
        return gr.Textbox(placeholder=", ".join(map(str, FILM)), **common | {"value": ""})
    if rule["typed"]:
        return gr.Number(step=rule["step"], **common)
    return Slider(rule["low"], rule["high"], step=rule["step"], **common)


def shown(recipe: Recipe) -> dict[str, Any]:
    """Updates of the controls for this recipe, by field; idle ones are hidden."""
    idle = recipe.idle

    def look(field: dataclasses.Field) -> dict:
        value, known = getattr(recipe, field.name), field.metadata.get("known")
        settings: dict[str, Any] = {}
        if known and (own := [part for part in (value if isinstance(value, tuple) else [value]) if part not in known]):
            settings["choices"] = choices([*known, *own])
        if isinstance(value, tuple):
            value = list(value) if known else ", ".join(map(str, value))
        if field.name in recipe.optional:
            settings["visible"] = field.name not in idle
        return gr.update(value=value, **settings)

    return {field.name: look(field) for field in dataclasses.fields(recipe)}


# The answers are strings, ready in a millisecond: no queue, no spinner, no endpoint.
QUIET: dict[str, Any] = dict(queue=False, show_progress="hidden", api_visibility="private")
LAST = QUIET | {"trigger_mode": "always_last"}  # the last event counts, even while another is being answered


def on_input(controls: list[Component], update: Callable, outputs: list[Component]) -> None:
    """Call `update` when somebody moves a control."""
    gr.on(
        [getattr(c, event) for c in controls for event in ("input", "submit") if hasattr(c, event)],
        update,
        controls,
        outputs,
        **LAST,
    )
