"""The behaviour of a tab: controls give a recipe, the recipe gives the outputs, a bad one gives a message."""

from __future__ import annotations

import dataclasses
import json
import math
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import gradio as gr
from gradio.components import Component

from ddpm_ui.recipes import Noised, Recipe, RecipeError
from ddpm_ui.web.controls import on_input, shown
from ddpm_ui.web.parts import note
from ddpm_ui.words import Message

LAYERS = ("data", "x0", "trails")
Shown = dict[Component, Any]  # updates of an event; components that are not in it stay as they are


def source(kind: str, recipe: Recipe) -> str:
    """The address of a stream or figure of a recipe, relative to the page."""
    return f"lab/{kind}?{recipe.asked.query}"


def figure_value(name: str, recipe: Recipe) -> str:
    """The value of a Chart that shows the figure `name` of an exhibit."""
    return json.dumps({"src": source(f"figure/{name}", recipe)})


def stage_value(kind: str, recipe: Recipe, view: Mapping[str, str], *, play: bool | None = None, **more) -> str:
    """The value of a Stage. `view` holds the reader's own settings, such as t, from a link, and which visit it is."""
    t = view.get("t", "")
    layers = [layer for layer in view["layers"].split(",") if layer in LAYERS] if "layers" in view else None
    value = {"src": source(kind, recipe), "link": recipe.link, "layers": layers, "visit": view.get("visit")}
    return json.dumps(value | more | ({"t": int(t), "play": False} if t.isdecimal() else {"t": None, "play": play}))


ENOUGH_NOISE = 0.05  # x_T counts as noise if less than this share of its amplitude is data


def is_noise(recipe: Noised) -> bool:
    return math.sqrt(recipe.full_schedule.alpha_bar[-1]) <= ENOUGH_NOISE


def terminal_note(recipe: Noised) -> dict:
    """A note if x_T is not noise yet."""
    if is_noise(recipe):
        return note(None)
    alpha_bar, snr = recipe.full_schedule.alpha_bar[-1].item(), recipe.full_schedule.terminal_snr
    values = {"alpha_bar": f"{alpha_bar:.3g}", "snr": f"{snr:.3g}", "share": f"{100 * math.sqrt(alpha_bar):.0f}"}
    return note(Message("not_noise", values))


def next_seed(recipe: Any) -> Any:
    """The same recipe with other noise."""
    return dataclasses.replace(recipe, seed=(recipe.seed + 1) % 2**32)


class Tab:
    """Controls by field, outputs by name (one is `note`), and `show`, which gives the outputs for a recipe."""

    def __init__(
        self,
        recipe: type[Recipe],
        controls: Mapping[str, Component],
        outputs: Mapping[str, Component],
        show: Callable[[Any, Mapping[str, str]], dict[str, Any]],
    ):
        fields = [field.name for field in dataclasses.fields(recipe)]
        if controls.keys() != set(fields):
            raise KeyError(f"{recipe.tab} needs a control for each field: {sorted(controls.keys() ^ set(fields))}")
        self.kind, self.show, self.outputs = recipe, show, dict(outputs)
        self.controls = {name: controls[name] for name in fields}
        self.listen()

    @property
    def inputs(self) -> list[Component]:
        return list(self.controls.values())

    @property
    def everything(self) -> list[Component]:
        return [*self.outputs.values(), *self.inputs]

    def listen(self) -> None:
        """When a control moves, update the outputs and hide the idle controls."""

        def update(*values) -> Shown:
            recipe = self.recipe(values)
            idle = {self.controls[name]: gr.update(visible=name not in recipe.idle) for name in recipe.optional}
            return self.shows(recipe) | idle

        optional = [self.controls[name] for name in self.kind.optional]
        on_input(self.inputs, self.guarded(update), [*self.outputs.values(), *optional])

    def recipe(self, values: Iterable) -> Any:
        """The recipe of the controls. RecipeError if a value is outside its limits."""
        return self.kind.of(dict(zip(self.controls, values, strict=True)))

    def shows(self, recipe: Recipe, view: Mapping[str, str] | None = None) -> Shown:
        shown = self.show(recipe, view or {})
        if shown.keys() != self.outputs.keys():
            raise KeyError(f"{self.kind.tab} shows {sorted(shown)}, but its outputs are {sorted(self.outputs)}")
        return {self.outputs[name]: value for name, value in shown.items()}

    def guarded(self, act: Callable[..., Shown]) -> Callable[..., Shown]:
        """`act` as an event handler. On a RecipeError the note shows the message and nothing else changes."""

        def answer(*values) -> Shown:
            try:
                return act(*values)
            except RecipeError as error:
                return {self.outputs["note"]: note(error.message)}

        return answer

    def shown(self, recipe: Recipe) -> Shown:
        """Updates of the controls for a recipe that did not come from them."""
        return {self.controls[name]: look for name, look in shown(recipe).items()}

    def whole(self, recipe: Recipe, view: Mapping[str, str] | None = None) -> Shown:
        return self.shows(recipe, view) | self.shown(recipe)

    def replace(self, change: Callable[[Any], Recipe], *values) -> Shown:
        """Show the recipe after `change`, for a button."""
        return self.guarded(lambda *values: self.whole(change(self.recipe(values))))(*values)

    def open(self, query: Mapping[str, str]) -> Shown:
        """Show what a link says. A bad link shows its message and the default recipe.

        A value that stays the same is no news to the page; with the visit in it a link leads to its t once more.
        """
        message: Shown = {}
        try:
            recipe = self.kind.of(query)
        except RecipeError as error:
            recipe, message = self.kind(), {self.outputs["note"]: note(error.message)}
        return self.whole(recipe, {**query, "visit": secrets.token_hex(4)}) | message
