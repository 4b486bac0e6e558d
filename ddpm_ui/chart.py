"""The Chart: a Plotly figure that keeps its zoom, and a cursor at the time of a clock."""
from pathlib import Path

import gradio as gr

JS = (Path(__file__).parents[1] / "assets" / "chart.js").read_text(encoding="utf-8")


class Chart(gr.HTML):
    """Its value is "" or a figure as JSON; colours may be CSS variables ("var(--lab-data)"), `layout.meta.alt` is read aloud.

    With a `clock` the x axis is t: the cursor follows the clock, a click or drag sets it.
    """

    def __init__(self, value="", *, name: str, clock: str | None = None, height: int = 260, **kwargs):
        super().__init__(value, html_template="", js_on_load=JS, apply_default_css=False, name=name, clock=clock, height=height, **kwargs)
