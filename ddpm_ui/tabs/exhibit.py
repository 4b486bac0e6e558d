"""What the exhibits share: controls make a recipe, a recipe makes what the outputs show, a bad one makes a message."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import gradio as gr
from gradio.components import Component

from ddpm_ui.controls import on_input, shown
from ddpm_ui.i18n import Message
from ddpm_ui.parts import note
from ddpm_ui.recipe import RECIPES, Noised, Recipe, RecipeError

LAYERS = ("data", "x0", "trails")


def source(kind: str, recipe: Recipe) -> str:
    """The address of something that is computed from a recipe, relative to the page."""
    return f"lab/{kind}?{recipe.asked.query}"


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


@dataclasses.dataclass
class Exhibit:
    """One tab: its recipe class, its controls in the order of the recipe's fields, its outputs, and what they show."""

    tab: str
    controls: list[Component]
    note: Component
    outputs: list[Component]
    show: Callable[[Any, Mapping[str, str]], list]  # -> the note's value, then one for each output

    def listen(self) -> None:
        """When a control moves: note, outputs, and which of the controls say something now."""
        outputs = [self.note, *self.outputs, *(self.controls[self.names.index(name)] for name in self.kind.optional)]

        def update(*values) -> list:
            recipe = self.recipe(values)
            idle = recipe.idle
            return [*self.show(recipe, {}), *(gr.update(visible=name not in idle) for name in recipe.optional)]

        on_input(self.controls, self.guarded(update, outputs), outputs)

    def recipe(self, values: Iterable) -> Any:
        """What the controls say. RecipeError if they say nonsense."""
        return self.kind.of(dict(zip(self.names, values, strict=True)))

    def guarded(self, act: Callable[..., list], outputs: list[Component]) -> Callable[..., Any]:
        """`act` for an event with these outputs, the note first: where it raises a RecipeError, the note says so."""

        def answer(*values) -> Any:
            try:
                result = act(*values)
            except RecipeError as error:
                result = [note(error.message), *[gr.skip()] * (len(outputs) - 1)]
            return result if len(outputs) > 1 else result[0]  # for a single output Gradio takes a list as its value

        return answer

    def whole(self, recipe: Recipe, view: Mapping[str, str] | None = None) -> list:
        """A recipe that did not come from the controls: note, outputs and controls."""
        return [*self.show(recipe, view or {}), *shown(recipe)]

    def replace(self, change: Callable[[Any], Recipe], *values) -> list:
        """A button changed the recipe."""
        return self.guarded(lambda *values: self.whole(change(self.recipe(values))), self.everything)(*values)

    def open(self, query: Mapping[str, str]) -> list:
        """A link was followed. A bad one shows its message beside the default picture."""
        if query.get("tab", "forward") != self.tab:
            query = {}
        message = None
        try:
            recipe = self.kind.of(query)
        except RecipeError as error:
            recipe, message = self.kind(), note(error.message)
        first, *rest = self.whole(recipe, {"opening": "1", **query})
        return [message or first, *rest]

    @property
    def kind(self) -> type[Recipe]:
        return RECIPES[self.tab]

    @property
    def names(self) -> list[str]:
        return [f.name for f in dataclasses.fields(self.kind)]

    @property
    def everything(self) -> list[Component]:
        return [self.note, *self.outputs, *self.controls]
