"""The parts of the page that draw themselves: a module in assets/js/parts each. Python only says what they show."""

from __future__ import annotations

import json

import gradio as gr

from ddpm_ui.words import Message


class Part(gr.HTML):
    """A value that the module of this class draws; `props` are constants for it. Its element is `{name}-{class}`."""

    def __init__(self, value="", *, name: str, **props):
        kind = type(self).__name__.lower()
        super().__init__(
            value,
            html_template="",
            js_on_load=f'lab_config.mount("{kind}", element, props, {{watch, trigger}})',
            elem_id=f"{name}-{kind}",
            apply_default_css=False,
            name=name,
            **props,
        )


class Header(Part):
    """The line above the tabs: title, dark, projector, a link to what is on the screen."""


class Link(Part):
    """Hears when a link of the page to the tab `name` is followed: `submit`, and the value is its query string."""


class Stage(Part):
    """Moving points under a time bar. Its value is "" or `{"src", "link", "t", "play", "layers", "links", "ink"}`
    as JSON; `ink`, one of the COLOURS, underlines its title.

    Stages and Charts with the same `clock` move together. With `bar=False` there is no time bar and no address to keep:
    for the second of two pictures that share one clock. With `choose`, a click makes a particle the recipe's
    `particle`, and the value's `followed` says which it is. `shots`, an Axis as a dict, is the second axis of its
    streams and gets a second bar. `hint` is what an empty one says.
    """


class Fields(Part):
    """Vector fields over the plane, a panel each. Its value is "" or `{"src", "link", "t"}` as JSON.

    With `bar=False` it has no bar of its own and shows the level that is nearest to the time of its clock.
    """


class Gallery(Part):
    """Pictures in a grid under a time bar: x_t, x0-hat beside it, and the real ones where a walk starts from some.

    Its value is "" or `{"src", "link", "t", "play", "image"}` as JSON; `image` is the one that is followed through
    time, by all Galleries of a `clock`. With `bar=False` there is no time bar and no address to keep.
    """


class Chart(Part):
    """A Plotly figure that keeps its zoom, `height` pixels high. Its value is "", a figure as JSON, or `{"src"}`.

    Its colours that mean something (plots.coloured) follow the theme; `layout.meta.alt`, a Message, is its text
    alternative, `layout.meta.said` lists of keys under keys for its caption; names of traces and axes are said in the
    language of the page where that has words for them.
    With a `clock` the x axis is t: a cursor follows the clock, a click or drag sets it.
    """


class Note(Part):
    """A plain sentence of the server, in the language of the person who reads it: a Message as JSON, or ""."""


class Pad(Part):
    """A square to draw in. Its value is "" or the strokes as JSON, [[x, y], ...] each; `submit` when they are done."""


def note(message: Message | None) -> dict:
    """What an event returns to a Note: it is there only while it has something to say."""
    return gr.update(value=json.dumps(message) if message else "", visible=bool(message))
