"""The recipe of Reverse."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from ddpm_core import SAMPLERS, SPACINGS, Schedule
from ddpm_core.samplers.registry import OPTIONS, TRAITS
from ddpm_ui.recipes import BETA_RANGE, DENOISERS, OWN_NETWORK, Noised, RecipeError, choice, number


def with_options(recipe: type) -> type:
    """The class with a field for each option that a sampler declares; the field is idle for other samplers."""
    for option in OPTIONS.values():
        if option.choices:
            field = choice(option.default, option.choices)
        else:
            step = 1 if isinstance(option.default, int) else option.low or (option.high - option.low) / 40
            field = number(option.default, option.low, option.high, step=step)
        recipe.__annotations__[option.name] = type(option.default).__name__
        setattr(recipe, option.name, field)
    return recipe


@dataclass(frozen=True)
@with_options
class Reverse(Noised):
    tab = "reverse"
    optional = (*BETA_RANGE, *OPTIONS)
    renamed = MappingProxyType({"stir": "churn"})

    denoiser: str = choice("network", DENOISERS, own=OWN_NETWORK)
    sampler: str = choice("ddpm", SAMPLERS)
    steps: int = number(1000, 1, 2000)  # at most; a schedule of T levels has no more
    spacing: str = choice("trailing", SPACINGS)

    def __post_init__(self):
        super().__post_init__()
        if self.denoiser != "exact" and self.options().get("variance") == "optimal":
            raise RecipeError("optimal_needs_exact")

    @property
    def idle(self) -> set[str]:
        return super().idle | (OPTIONS.keys() - self.options().keys())

    def options(self) -> dict:
        """The options of this sampler."""
        return {option.name: getattr(self, option.name) for option in TRAITS[self.sampler].options}

    def walked(self) -> Schedule:
        """The levels that the sampler visits: `steps` of the T."""
        return self.full_schedule.subsample(min(self.steps, self.T), self.spacing)
