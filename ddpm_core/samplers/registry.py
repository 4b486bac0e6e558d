"""The registry of samplers: generators that walk a schedule from noise (t = T) to data (t = 0).

Every sampler has the signature

    sampler(denoiser, schedule, x_T, *, noise, <own options>) -> Iterator[Step]

and yields Step(t, x, prediction, nfe) for t = T .. 0; the last one has t == 0 and its x is the sample. `noise` is any
callable t -> z, the fresh unit noise [n, ...] for the step that leaves t. Start from x_T = schedule.scale[-1] * z.

Read `by_hand` first: DDPM, DDIM and Heun as their papers write them. A new sampler is a function and a row of TRAITS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from ddpm_core.samplers.adaptive import adaptive
from ddpm_core.samplers.multistep import adams_bashforth, deis, dpmpp_2m, dpmpp_2m_sde, dpmpp_3m, unipc_2, unipc_3
from ddpm_core.samplers.ode import dpm_solver_2, euler, euler_velocity, heun, rk4
from ddpm_core.samplers.parallel_in_time import paradigms
from ddpm_core.samplers.particle_noise import ParticleNoise
from ddpm_core.samplers.reverse_step import VARIANCES
from ddpm_core.samplers.sde import DDPM_VARIANCES, ddim, ddpm, edm_stochastic, euler_ancestral, langevin_pc
from ddpm_core.samplers.stepping import Noise, Step, in_range

__all__ = [
    "DDPM_VARIANCES",
    "OPTIONS",
    "SAMPLERS",
    "TRAITS",
    "VARIANCES",
    "Noise",
    "Option",
    "ParticleNoise",
    "Step",
    "Traits",
    "steps_for",
]


@dataclass(frozen=True)
class Option:
    """A keyword that a sampler takes and a user may set: a number in low .. high, or one of `choices`."""

    name: str
    default: Any  # a whole number if the option is one
    low: float = 0.0
    high: float = 0.0
    choices: tuple[str, ...] = ()

    def check(self, value: Any) -> None:
        """KeyError unless `value` is one of the choices, ValueError unless it lies in range."""
        if not self.choices:
            in_range(self.name, value, self.low, self.high)
        elif value not in self.choices:
            raise KeyError(f"unknown {self.name} {value!r}; known: {', '.join(self.choices)}")


class Traits(NamedTuple):
    """A row of the registry: what a sampler promises with its default options, and these options."""

    sampler: Callable[..., Iterator[Step]]
    order: int | None  # error against the exact flow of the same particle ~ nfe^-order; None: does not follow the flow
    per_step: int | None  # network evaluations a step, one at the last step; None: not a fixed number
    stochastic: bool = False  # fresh noise on the way
    options: tuple[Option, ...] = ()  # keywords that a user may set; others are for code only


TRAITS: dict[str, Traits] = {
    "ddpm": Traits(ddpm, None, 1, stochastic=True, options=(Option("variance", "beta_tilde", choices=DDPM_VARIANCES),)),
    "ddim": Traits(ddim, 1, 1, options=(Option("eta", 0.0, 0.0, 1.0),)),
    "euler": Traits(euler, 1, 1),
    "euler_velocity": Traits(euler_velocity, 1, 1),
    "heun": Traits(heun, 2, 2),
    "dpm_solver_2": Traits(dpm_solver_2, 2, 2),
    "rk4": Traits(rk4, 4, 4),
    "adams_bashforth": Traits(adams_bashforth, 2, 1),
    "deis": Traits(deis, 3, 1),
    "dpmpp_2m": Traits(dpmpp_2m, 2, 1),
    "dpmpp_3m": Traits(dpmpp_3m, 3, 1),
    "unipc_2": Traits(unipc_2, 3, 1),
    "unipc_3": Traits(unipc_3, 4, 1),
    "adaptive": Traits(adaptive, 3, None, options=(Option("tolerance", 1e-3, 1e-5, 0.1),)),
    "paradigms": Traits(paradigms, 1, None, options=(Option("sweeps", 10, 1, 200),)),
    "euler_ancestral": Traits(euler_ancestral, None, 1, stochastic=True),
    "dpmpp_2m_sde": Traits(dpmpp_2m_sde, None, 1, stochastic=True),
    "edm_stochastic": Traits(edm_stochastic, None, 2, stochastic=True, options=(Option("churn", 5.0, 0.0, 40.0),)),
    "langevin_pc": Traits(langevin_pc, None, 2, stochastic=True, options=(Option("correction", 0.1, 0.0, 2.0),)),
}
SAMPLERS: dict[str, Callable[..., Iterator[Step]]] = {name: traits.sampler for name, traits in TRAITS.items()}
OPTIONS: dict[str, Option] = {option.name: option for traits in TRAITS.values() for option in traits.options}
if any(option != OPTIONS[option.name] for traits in TRAITS.values() for option in traits.options):
    raise ValueError("options of the same name must be the same for every sampler that has them")


def steps_for(name: str, nfe: int) -> int:
    """The most steps of SAMPLERS[name] that `nfe` network evaluations pay for; ValueError if none, or not fixed."""
    per_step = TRAITS[name].per_step
    if per_step is None or nfe < 1:
        raise ValueError(f"no number of steps of {name} takes {nfe} evaluations")
    return (nfe - 1) // per_step + 1
