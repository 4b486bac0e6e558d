"""The recipe of Three views."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from ddpm_ui.recipes import DENOISERS, OWN_NETWORK, Noised, choice, number


@dataclass(frozen=True)
class Views(Noised):
    """One model in four views. The noise level on show is not a field, because all levels are sent."""

    tab = "views"

    denoiser: str = choice("network", DENOISERS, own=OWN_NETWORK)
    at: int = number(200, 1, 2000)  # the reverse step shown, x_at -> x_{at - 1}
    particle: int = number(0, 0, 9_999)  # the particle that takes it
    churn: float = number(0.5, 0.0, 1.0, step=0.05)  # share of fresh noise: 0 is the ODE, 1 the SDE

    @property
    def chosen(self) -> Chosen:
        """The particles, including the chosen one."""
        shared = {field.name: getattr(self, field.name) for field in dataclasses.fields(Noised)}
        return Chosen(**shared | {"n": max(self.n, self.particle + 1)})

    @property
    def seen(self) -> Views:
        """The part that the vector fields depend on. The schedule has no effect, because all levels are shown."""
        return self.only("data", "denoiser")


@dataclass(frozen=True)
class Chosen(Noised):
    """The particles of Views, independent of the denoiser."""

    tab = "views"
