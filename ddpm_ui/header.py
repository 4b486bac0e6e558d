"""The line above the tabs: title, dark, projector, a link to what is on the screen."""

import gradio as gr

from ddpm_ui.i18n import ASSETS


class Header(gr.HTML):
    def __init__(self):
        js = (ASSETS / "header.js").read_text(encoding="utf-8")
        super().__init__("", html_template="", js_on_load=js, apply_default_css=False)
