"""The recipe of Three views."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from ddpm_ui.recipes import DENOISERS, OWN_NETWORK, Noised, choice, number


@dataclass(frozen=True)
class Views(Noised):
    """One model, seen four ways; the noise level on show is no part of it, all of them are sent."""

    tab = "views"

    denoiser: str = choice("network", DENOISERS, own=OWN_NETWORK)
    at: int = number(200, 1, 2000)  # the step back that is looked at, x_at -> x_{at - 1}
    particle: int = number(0, 0, 9_999)  # and the particle that takes it
    churn: float = number(0.5, 0.0, 1.0, step=0.05)  # share of fresh noise on the way back: 0 the ODE, 1 the SDE

    @property
    def chosen(self) -> Chosen:
        """The particles, the chosen one among them."""
        shared = {field.name: getattr(self, field.name) for field in dataclasses.fields(Noised)}
        return Chosen(**shared | {"n": max(self.n, self.particle + 1)})

    @property
    def seen(self) -> Views:
        """What the fields depend on: schedules choose levels, and these are all levels."""
        return Views(data=self.data, denoiser=self.denoiser)


@dataclass(frozen=True)
class Chosen(Noised):
    """The particles of Views, whoever denoises them."""

    tab = "views"
