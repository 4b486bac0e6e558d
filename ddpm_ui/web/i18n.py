"""The texts of the page for Gradio, which picks the language of the browser."""

from __future__ import annotations

import gradio as gr
from gradio.i18n import I18nData

from ddpm_ui.words import STRINGS


class Labels(gr.I18n):
    """Knows all words, and hands the page those that labels have asked for: the rest is for scripts, which fetch it."""

    def __init__(self, **translations: dict[str, str]):
        super().__init__(**translations)
        self.asked = {key for words in translations.values() for key in words if key.startswith("choice_")}

    def __call__(self, key: str) -> I18nData:
        self.asked.add(key)
        return super().__call__(key)

    @property
    def translations_dict(self) -> dict[str, dict[str, str]]:
        words = self.translations.items()
        return {lang: {key: said for key, said in own.items() if key in self.asked} for lang, own in words}


i18n = Labels(**STRINGS)
