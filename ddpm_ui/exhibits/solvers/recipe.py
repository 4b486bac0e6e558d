"""The recipes of Solvers: a run with given nfe, one racer, the whole race."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property

from ddpm_core import METRICS, SCHEDULES, SPACINGS, Schedule, schedule_for_nfe
from ddpm_ui.recipes import BETA_RANGE, DENOISERS, FLOW_RACERS, OWN_NETWORK, RACERS, Noised, choice, number, several

MAX_RACERS = 6
DISTANCES = tuple(name for name, metric in METRICS.items() if metric.against != "flow")


@dataclass(frozen=True)
class Priced(Noised):
    """A sampling run with a given number of network evaluations. The default Karras levels suit the toy data."""

    tab = "solvers"
    optional = (*BETA_RANGE, "sigma_min", "sigma_max")

    schedule: str = choice("karras", SCHEDULES)
    denoiser: str = choice("network", DENOISERS, own=OWN_NETWORK)
    nfe: int = number(12, 1, 200)
    spacing: str = choice("trailing", SPACINGS)
    sigma_min: float = number(0.02, 1e-4, 0.5, step=1e-3)
    sigma_max: float = number(20.0, 1.0, 200.0)

    @property
    def idle(self) -> set[str]:
        return super().idle | (set() if self.schedule == "karras" else {"sigma_min", "sigma_max"})

    @cached_property
    def full_schedule(self) -> Schedule:
        if self.schedule == "karras":
            return SCHEDULES["karras"](self.T, self.sigma_min, self.sigma_max)
        return super().full_schedule


@dataclass(frozen=True)
class Racer(Priced):
    """One of the solvers of a race."""

    sampler: str = choice("ddim", RACERS)

    def walked(self) -> Schedule:
        """As many levels as nfe allows."""
        return schedule_for_nfe(self.sampler, self.full_schedule, self.nfe, self.spacing)


@dataclass(frozen=True)
class Solvers(Priced):
    """Solvers at equal cost."""

    solvers: tuple = several(("ddpm", "ddim", "heun", "dpmpp_2m", "unipc_2", "deis"), RACERS, MAX_RACERS)
    stepper: str = choice("ddim", FLOW_RACERS)  # the solver of the step figure
    metric: str = choice("sliced_w2", DISTANCES)

    def racers(self) -> list[Racer]:
        shared = {field.name: getattr(self, field.name) for field in dataclasses.fields(Priced)}
        return [Racer(**shared, sampler=name) for name in self.solvers]
