"""The texts of the page for Gradio, which picks the language of the browser."""

from __future__ import annotations

import gradio as gr

from ddpm_ui.words import STRINGS

i18n = gr.I18n(**STRINGS)
