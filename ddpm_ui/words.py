"""The texts of the page, one file per language in assets/i18n, and messages made from them. No gradio here."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from ddpm_core.files import shipped

ASSETS = shipped("assets")
STRINGS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((ASSETS / "i18n").glob("*.json"))}


def name_of(choice: str) -> str:
    """The key of the name of a choice. A user's own choices are named by their kind: "run.0123" is choice_run."""
    return f"choice_{choice.partition('.')[0]}"


class Message(NamedTuple):
    """A sentence with numbers or other messages in it. The page shows it in its language; str() is English."""

    key: str
    values: dict[str, Any]

    def __str__(self) -> str:
        return STRINGS["en"][self.key].format(**self.values)
