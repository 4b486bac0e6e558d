"""The recipe of Train."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from ddpm_core import SCHEDULES, TrainConfig
from ddpm_core.models.denoisers import TARGETS
from ddpm_core.training.weighting import WEIGHTINGS
from ddpm_ui.recipes import Recipe, choice, number


@dataclass(frozen=True)
class Train(Recipe):
    """How a network is trained. The defaults learn any of the data sets in less than a minute on two cores."""

    tab = "train"
    optional = ("schedule",)

    points: int = number(0, 0, 10_000, typed=True)  # size of the training set; 0 = unlimited fresh samples
    steps: int = number(8_000, 10, 100_000)
    width: int = number(40, 4, 256)
    depth: int = number(4, 1, 8)
    target: str = choice("v", TARGETS)
    weighting: str = choice("uniform", WEIGHTINGS)
    schedule: str = choice("linear", SCHEDULES)  # for the weightings that sample from a schedule
    batch: int = number(TrainConfig.batch, 1, 8192, typed=True)
    lr: float = number(TrainConfig.lr, 1e-6, 0.1, step=1e-5, typed=True)
    ema: float = number(TrainConfig.ema, 0.0, 0.9999, step=1e-4, typed=True)
    seed: int = number(0, 0, 2**32 - 1, typed=True)

    @property
    def idle(self) -> set[str]:
        return {"schedule"} if self.weighting == "uniform" else set()

    @property
    def config(self) -> TrainConfig:
        names = {field.name for field in dataclasses.fields(TrainConfig)}
        return TrainConfig(**{f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name in names})
