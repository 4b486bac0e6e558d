"""A tab at work: controls make a recipe, a recipe makes what the outputs show, a bad one makes a message."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import gradio as gr
from gradio.components import Component

from ddpm_ui.recipes import Noised, Recipe, RecipeError
from ddpm_ui.web.controls import on_input, shown
from ddpm_ui.web.parts import note
from ddpm_ui.words import Message

LAYERS = ("data", "x0", "trails")
Shown = dict[Component, Any]  # what an event changes; a component that is not in it stays as it is


def source(kind: str, recipe: Recipe) -> str:
    """The address of something that is computed from a recipe, relative to the page."""
    return f"lab/{kind}?{recipe.asked.query}"


def figure_value(name: str, recipe: Recipe) -> str:
    """What a Chart is told that shows the figure `name` of an exhibit."""
    return json.dumps({"src": source(f"figure/{name}", recipe)})


def stage_value(kind: str, recipe: Recipe, view: Mapping[str, str], *, play: bool | None = None, **more) -> str:
    """What a Stage is told. `view`, how the person looks at it, comes from a link and is theirs from then on."""
    t = view.get("t", "")
    layers = [layer for layer in view["layers"].split(",") if layer in LAYERS] if "layers" in view else None
    value = {"src": source(kind, recipe), "link": recipe.link, "layers": layers}
    return json.dumps(value | more | ({"t": int(t), "play": False} if t.isdecimal() else {"t": None, "play": play}))


ENOUGH_NOISE = 0.05  # x_T counts as noise when less than this share of its amplitude is data


def is_noise(recipe: Noised) -> bool:
    return math.sqrt(recipe.full_schedule.alpha_bar[-1]) <= ENOUGH_NOISE


def terminal_note(recipe: Noised) -> dict:
    """That x_T is not noise yet, where it is not."""
    if is_noise(recipe):
        return note(None)
    alpha_bar, snr = recipe.full_schedule.alpha_bar[-1].item(), recipe.full_schedule.terminal_snr
    values = {"alpha_bar": f"{alpha_bar:.3g}", "snr": f"{snr:.3g}", "share": f"{100 * math.sqrt(alpha_bar):.0f}"}
    return note(Message("not_noise", values))


def next_seed(recipe: Any) -> Any:
    """The same recipe with other noise."""
    return dataclasses.replace(recipe, seed=(recipe.seed + 1) % 2**32)


class Tab:
    """Its controls by field, its outputs by name, `note` among them, and `show`, what each output shows of a recipe."""

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
        """When a control moves: the outputs, and which of the controls say something now."""

        def update(*values) -> Shown:
            recipe = self.recipe(values)
            idle = {self.controls[name]: gr.update(visible=name not in recipe.idle) for name in recipe.optional}
            return self.shows(recipe) | idle

        optional = [self.controls[name] for name in self.kind.optional]
        on_input(self.inputs, self.guarded(update), [*self.outputs.values(), *optional])

    def recipe(self, values: Iterable) -> Any:
        """What the controls say. RecipeError if they say nonsense."""
        return self.kind.of(dict(zip(self.controls, values, strict=True)))

    def shows(self, recipe: Recipe, view: Mapping[str, str] | None = None) -> Shown:
        shown = self.show(recipe, view or {})
        if shown.keys() != self.outputs.keys():
            raise KeyError(f"{self.kind.tab} shows {sorted(shown)}, but its outputs are {sorted(self.outputs)}")
        return {self.outputs[name]: value for name, value in shown.items()}

    def guarded(self, act: Callable[..., Shown]) -> Callable[..., Shown]:
        """`act` for an event: where it raises a RecipeError, the note says so, and nothing else changes."""

        def answer(*values) -> Shown:
            try:
                return act(*values)
            except RecipeError as error:
                return {self.outputs["note"]: note(error.message)}

        return answer

    def shown(self, recipe: Recipe) -> Shown:
        """The controls of a recipe that did not come from them."""
        return {self.controls[name]: look for name, look in shown(recipe).items()}

    def whole(self, recipe: Recipe, view: Mapping[str, str] | None = None) -> Shown:
        return self.shows(recipe, view) | self.shown(recipe)

    def replace(self, change: Callable[[Any], Recipe], *values) -> Shown:
        """A button changed the recipe."""
        return self.guarded(lambda *values: self.whole(change(self.recipe(values))))(*values)

    def open(self, query: Mapping[str, str]) -> Shown:
        """A link was followed. A bad one shows its message beside the default picture."""
        message: Shown = {}
        try:
            recipe = self.kind.of(query)
        except RecipeError as error:
            recipe, message = self.kind(), {self.outputs["note"]: note(error.message)}
        return self.whole(recipe, {"opening": "1", **query}) | message
