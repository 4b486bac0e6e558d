"""The words on the page, one file a language in assets/i18n, and sentences made of them. No gradio here."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from ddpm_core.files import shipped

ASSETS = shipped("assets")
STRINGS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((ASSETS / "i18n").glob("*.json"))}


def name_of(choice: str) -> str:
    """The key of what a choice is called. What people made stands under what it is: "run.0123" is a choice_run."""
    return f"choice_{choice.partition('.')[0]}"


class Message(NamedTuple):
    """A sentence with numbers, or other messages, in it. The page says it in its own language; str() is English."""

    key: str
    values: dict[str, Any]

    def __str__(self) -> str:
        return STRINGS["en"][self.key].format(**self.values)
