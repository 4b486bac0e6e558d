"""The Stage: moving points under a time bar. It fetches and draws by itself; Python only says what to show."""

import gradio as gr

from ddpm_ui.i18n import ASSETS

JS = (ASSETS / "stage.js").read_text(encoding="utf-8")


class Stage(gr.HTML):
    """Its value is "" or one JSON string: `{"src", "link", "t", "play", "layers"}`.

    Stages and Charts with the same `clock` move together. Without `bar` there is no time bar and no address to keep:
    for the second of two pictures that share one clock.
    """

    def __init__(self, value="", *, name: str, clock: str, bar: bool = True, **kwargs):
        super().__init__(
            value,
            html_template="",
            js_on_load=JS,
            elem_id=f"{name}-stage",
            apply_default_css=False,
            name=name,
            clock=clock,
            bar=bar,
            **kwargs,
        )
