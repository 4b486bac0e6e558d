"""The recipe of Forward."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from ddpm_ui.recipes import FILM_RULE, Noised, choice

BESIDE = ("nothing", "chain", "unshrunk", "constant")


@dataclass(frozen=True)
class Forward(Noised):
    tab = "forward"

    beside: str = choice("nothing", BESIDE)  # the closed form: the chain, or one that is made otherwise
    film: tuple = dataclasses.field(default=(), metadata=FILM_RULE)  # empty: FILM
