"""The words on the page, in English and Simplified Chinese: one file a language in assets/i18n."""

import json
from pathlib import Path

import gradio as gr

ASSETS = Path(__file__).parents[1] / "assets"
STRINGS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((ASSETS / "i18n").glob("*.json"))}
i18n = gr.I18n(**STRINGS)
