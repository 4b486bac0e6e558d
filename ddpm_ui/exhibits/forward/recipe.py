"""The recipe of Forward."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from ddpm_ui.recipes import FILM_RULE, Noised, choice

BESIDE = ("nothing", "chain", "unshrunk", "constant")


@dataclass(frozen=True)
class Forward(Noised):
    tab = "forward"

    beside: str = choice("nothing", BESIDE)  # compared with the closed form: the chain, or a different process
    film: tuple = dataclasses.field(default=(), metadata=FILM_RULE)  # empty: FILM
