"""The parts of the page that draw themselves, each with a module in assets/js/parts. Python sets what they show."""

from __future__ import annotations

import json

import gradio as gr

from ddpm_ui.words import Message


class Part(gr.HTML):
    """A value that the module of this class draws; `props` are its constants. The element's id is `{name}-{class}`."""

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
    """The header: title, dark mode, projector mode, a link to what is on the screen."""


class Link(Part):
    """Fires `submit` when a link of the page to the tab `name` is followed; the value is its query string."""


class Stage(Part):
    """Moving points under a time bar. Its value is "" or `{"src", "link", "t", "play", "layers", "links", "ink"}`
    as JSON; `ink`, one of the COLOURS, underlines its title.

    Stages and Charts with the same `clock` move together. With `bar=False` it has no time bar and does not write the
    address, for the second of two stages on one clock. With `choose`, a click on a particle sets the recipe's
    `particle`; the value's `followed` is the current one. `shots`, an Axis as a dict, is the second axis of its
    streams and gets a second bar. `hint` is the text of an empty stage.
    """


class Fields(Part):
    """Vector fields over the plane, one panel each. Its value is "" or `{"src", "link", "t"}` as JSON.

    With `bar=False` it has no bar of its own and shows the level nearest to the time of its clock.
    """


class Gallery(Part):
    """Grids of images with a time bar: x_t, x0-hat, and the real images if the run starts from some.

    Its value is "" or `{"src", "link", "t", "play", "image"}` as JSON; `image` is the one that all Galleries of
    a `clock` follow through time. With `bar=False` it has no time bar and does not write the address.
    """


class Chart(Part):
    """A Plotly figure that keeps its zoom, `height` pixels high. Its value is "", a figure as JSON, or `{"src"}`.

    Colours with a meaning (plots.coloured) follow the theme. `layout.meta.alt`, a Message, is its text alternative;
    `layout.meta.said` has lists of keys by key for its caption. Names of traces and axes are translated if the page
    has texts for them. With a `clock` the x axis is t: a cursor follows the clock, and a click or drag sets it.
    """


class Note(Part):
    """A sentence from the server in the reader's language: a Message as JSON, or ""."""


class Pad(Part):
    """A square to draw in. Its value is "" or the strokes as JSON, [[x, y], ...] each; fires `submit` when done."""


def note(message: Message | None) -> dict:
    """The update of a Note, which is visible only while it has a message."""
    return gr.update(value=json.dumps(message) if message else "", visible=bool(message))
