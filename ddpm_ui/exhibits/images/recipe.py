"""The recipe of Images."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

from ddpm_core import SCHEDULES, SPACINGS
from ddpm_core.data.images import CLASSES
from ddpm_core.data.own_data import OwnDataError
from ddpm_core.samplers.registry import TRAITS
from ddpm_ui.exhibits.images import own_picture
from ddpm_ui.recipes import BETA_RANGE, FLOW_RACERS, RACERS, Noised, RecipeError, choice, number, several

GARMENTS = tuple(re.sub(r"\W", "_", name.lower()) for name in CLASSES)  # the classes, in a link
TASKS = ("generate", "forward", "back", "interpolate", "inpaint")
HALVES = ("upper", "lower", "left", "right")
BESIDE_PICTURES = ("nothing", "sampler", "weight")
WALK = ("weight", "sampler", "nfe", "beside", "spacing")
# The fields of each task.
OWN_FIELDS = {
    "generate": WALK,
    "forward": (),
    "back": ("level", "told", *WALK),
    "interpolate": WALK,
    "inpaint": ("kept", "told", *WALK),
}


@dataclass(frozen=True)
class Images(Noised):
    """Images instead of points: of the chosen classes in turn, real or sampled."""

    tab = "images"
    optional = (*BETA_RANGE, "level", "kept", "told", *WALK, "beside_sampler", "beside_weight")

    data: tuple = several((), GARMENTS, len(GARMENTS), own=re.escape(own_picture.PREFIX))  # type: ignore[assignment]
    schedule: str = choice("cosine", SCHEDULES)
    n: int = number(20, 10, 64, typed=True)
    task: str = choice("generate", TASKS)
    told: str = choice("same", ("same", "anything", *GARMENTS))  # the class given to the network for a real image
    weight: float = number(1.0, 0.0, 5.0, step=0.1)  # of guidance
    sampler: str = choice("ddim", RACERS)
    nfe: int = number(25, 2, 200)  # per image; with guidance each step takes twice as many
    spacing: str = choice("trailing", SPACINGS)
    level: int = number(500, 1, 2000)  # t at which denoising starts
    kept: str = choice("upper", HALVES)
    beside: str = choice("nothing", BESIDE_PICTURES)  # a second run from the same noise that differs in one field
    beside_sampler: str = choice("ddpm", RACERS)
    beside_weight: float = number(3.0, 0.0, 5.0, step=0.1)

    def __post_init__(self):
        super().__post_init__()
        for recipe in (self, self.other):
            if self.task == "interpolate" and recipe and TRAITS[recipe.sampler].stochastic:
                raise RecipeError("needs_a_flow", known=", ".join(FLOW_RACERS), got=repr(recipe.sampler))

    def check_data(self) -> None:
        if self.picture is not None:
            if len(self.data) > 1:
                raise RecipeError("picture_or_classes")
            try:
                own_picture.decode(self.picture)
            except OwnDataError as error:
                raise RecipeError(error.key, **error.values) from None

    @property
    def picture(self) -> str | None:
        """The user's own image as a text, if there is one instead of classes."""
        return next((part for part in self.data if part not in GARMENTS), None)

    @property
    def idle(self) -> set[str]:
        compared = {f"beside_{self.beside}"} if self.other else set()
        return super().idle | (set(Images.optional) - {*BETA_RANGE, *OWN_FIELDS[self.task], *compared})

    @property
    def alone(self) -> Images:
        """The recipe without the second run."""
        return dataclasses.replace(
            self, **{f: getattr(Images, f) for f in ("beside", "beside_sampler", "beside_weight")}
        )

    @property
    def other(self) -> Images | None:
        """The recipe of the second run, if any."""
        if self.beside == "nothing" or self.task == "forward":
            return None
        return dataclasses.replace(self.alone, **{self.beside: getattr(self, f"beside_{self.beside}")})
