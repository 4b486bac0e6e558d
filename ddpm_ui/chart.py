"""The Chart: a Plotly figure that keeps its zoom, and a cursor at the time of a clock."""

import gradio as gr

from ddpm_ui.i18n import ASSETS

JS = (ASSETS / "chart.js").read_text(encoding="utf-8")


class Chart(gr.HTML):
    """Its value is "", a figure as JSON, or `{"src"}`, where to fetch one.

    Colours may be CSS variables ("var(--lab-data)"); `layout.meta.alt` is the text alternative.
    With a `clock` the x axis is t: the cursor follows the clock, a click or drag sets it.
    """

    def __init__(self, value="", *, name: str, clock: str | None = None, height: int = 260, **kwargs):
        super().__init__(
            value,
            html_template="",
            js_on_load=JS,
            elem_id=f"{name}-chart",
            apply_default_css=False,
            name=name,
            clock=clock,
            height=height,
            **kwargs,
        )
