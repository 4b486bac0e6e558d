"""The recipe of the toy exhibit."""

from __future__ import annotations

from dataclasses import dataclass

from ddpm_ui.recipes import Recipe, number


@dataclass(frozen=True)
class Toy(Recipe):
    tab = "toy"

    n: int = number(50, 1, 500, typed=True)
    speed: float = number(1.0, 0.0, 4.0, step=0.1)
