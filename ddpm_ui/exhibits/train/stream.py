"""The stream of Train: samples of the network at many steps of its training.

Every shot is a whole trajectory of the same particles from noise to data, so that training time and diffusion time can
be scrubbed independently. The numbers of the charts come with it.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Generator

import torch
from torch import Tensor

from ddpm_core import (
    MLP,
    SAMPLERS,
    SCHEDULES,
    EmpiricalDenoiser,
    GaussianMixture,
    MixtureDenoiser,
    NetworkDenoiser,
    ParticleNoise,
    Prediction,
    TrainStep,
    excess_nll,
    nearest_distance,
    outlier_share,
    sliced_w2,
    train,
)
from ddpm_core.models.networks import LAM_RANGE
from ddpm_core.schedules import levels_at
from ddpm_core.training.weighting import loss_floor, noise_levels
from ddpm_ui.exhibits.particles import CLOUD_SIZE, destination_colours, title
from ddpm_ui.exhibits.train.recipe import Train
from ddpm_ui.recipes import mixture_of
from ddpm_ui.server import models, wire
from ddpm_ui.server.wire import Axis, json_chunk

SHOTS = 60  # at most; closer together at the beginning, when the network learns fastest
SHARE = 0.04  # largest share of the time spent on them
TRAINING = Axis("step", 0, ("untrained", "trained"))  # its last step is the recipe's
PARTICLES = 1000
WALK = SCHEDULES["cosine"](24)
MEASURED, PROJECTIONS = 500, 32  # particles used for the distance, and its directions
LEAST = 1e-6  # smallest loss on a chart; for few points the floor near the data is 0 up to rounding, 1e-300
LEVELS, POINTS = 24, 128  # noise levels at which the network is evaluated, and noisy points at each


def training_set(recipe: Train, mixture: GaussianMixture) -> GaussianMixture:
    """The training data: the data set itself, or a finite sample, which is a mixture of point masses."""
    if recipe.points == 0:
        return mixture
    return EmpiricalDenoiser(
        mixture.sample(recipe.points, generator=torch.Generator().manual_seed(recipe.seed))
    ).mixture


class Examination:
    """The same noisy points at the same noise levels for every shot, with the exact denoiser's estimates."""

    def __init__(self, recipe: Train, data: GaussianMixture, mixture: GaussianMixture):
        generator, self.target = torch.Generator().manual_seed(0), recipe.target
        self.lam = torch.linspace(*LAM_RANGE, LEVELS)
        self.levels = levels_at(self.lam)
        self.floor = loss_floor(data, recipe.config, self.lam)  # [LEVELS]
        lam, weight = noise_levels(recipe.config, (torch.arange(200) + 0.5) / 200)  # levels that the training samples
        nearest = (lam[:, None] - self.lam).abs().argmin(1)
        self.share = torch.zeros(LEVELS).index_add(0, nearest, weight / len(weight)).double()
        x0, _ = ParticleNoise(1, POINTS).data(data)
        eps = torch.randn(LEVELS, POINTS, 2, generator=generator)
        self.x = [(a * x0 + s * z).float() for (a, s), z in zip(self.levels, eps, strict=True)]
        self.best = self._exact(data)
        self.truth = self.best if data is mixture else self._exact(mixture)

    def _exact(self, law: GaussianMixture) -> list[Prediction]:
        denoiser = MixtureDenoiser(law)
        return [denoiser(x.double(), *level) for x, level in zip(self.x, self.levels, strict=True)]

    def marks(self, denoiser: NetworkDenoiser) -> tuple[torch.Tensor, torch.Tensor]:
        """At each level, the target's squared error above the floor and the relative error of the score; [LEVELS]."""
        above, score = [], []
        for x, level, best, truth in zip(self.x, self.levels, self.best, self.truth, strict=True):
            said = denoiser(x, *level)
            above.append((getattr(said, self.target) - getattr(best, self.target)).square().mean())
            score.append((said.eps - truth.eps).norm() / truth.eps.norm())
        return torch.stack(above), torch.stack(score)


def learning(recipe: Train, run: str, after: str = "") -> Generator[bytes, None, None]:
    """Train from scratch, or from where the run `after` was stopped. However it ends, the network is kept."""
    mixture = mixture_of(recipe.data)
    data, config = training_set(recipe, mixture), recipe.config
    earlier = models.find(after) if after else None
    noise = ParticleNoise(recipe.seed, PARTICLES)
    truth = mixture.sample(CLOUD_SIZE, generator=torch.Generator().manual_seed(recipe.seed))
    yield wire.header(
        Axis("t", WALK.T), levels=WALK, shots=TRAINING._replace(last=config.steps), n=PARTICLES,
        mode="shots", direction="forward", badge="learned", layers=["x"], times=list(range(WALK.T + 1)),
        data=len(truth), title=title(recipe, "learning"),
    )  # fmt: skip
    yield destination_colours(recipe.data, recipe.seed, PARTICLES)
    yield wire.cloud(truth)
    exam = Examination(recipe, data, mixture)
    excess_nll(truth, mixture)  # computes the entropy and the floor once, so that the first shot does not pay for them
    sliced_w2.floor(mixture, MEASURED, projections=PROJECTIONS)
    yield b""

    generator, state = torch.Generator().manual_seed(recipe.seed), earlier.state if earlier else None
    if earlier:  # also an uploaded network, of which only the weights are known
        net = copy.deepcopy(earlier.denoiser.net).requires_grad_(True)
    else:
        net = MLP(width=recipe.width, depth=recipe.depth).reset(generator)
    first = int(state["step"]) if state else 0
    planned = [first + math.ceil((config.steps - first) * (k / SHOTS) ** 1.5) for k in range(1, SHOTS + 1)]
    step: TrainStep | None = None
    series: dict[str, list] = {name: [] for name in ("step", "loss", "above", "nll", "sliced")}
    started = spoke = time.monotonic()
    spent, losses = 0.0, list[float]()
    try:
        for step in train(net, data, config, generator=generator, resume=state):
            losses.append(step.loss)
            now = time.monotonic()
            if step.step == config.steps or (step.step >= planned[0] and spent <= SHARE * (now - started)):
                planned = [later for later in planned if later > step.step]
                denoiser = NetworkDenoiser(step.ema, config.target)
                walk = _path(denoiser, noise)
                x = walk[0]
                yield wire.shot(step.step, walk)
                series["nll"].append(excess_nll(x, mixture))
                yield b""  # Stop can take effect here
                series["sliced"].append(sliced_w2(x[:MEASURED], mixture, projections=PROJECTIONS))
                yield b""
                above, score = exam.marks(denoiser)
                series["step"].append(step.step)
                series["loss"].append(sum(losses) / len(losses))
                series["above"].append((exam.share @ above.double()).item())
                losses = []
                spent += time.monotonic() - now
                numbers = _numbers(step, config.steps, started, spent, series, exam, above, score)
                numbers["metrics"].append({"name": "outlier_share", "unit": "", **outlier_share(x, mixture)._asdict()})
                if recipe.points:
                    near = nearest_distance(x, data.means, truth)
                    numbers["metrics"].append({"name": "nearest_distance", "unit": "", **near._asdict()})
                yield json_chunk(numbers)
                spoke = time.monotonic()
            elif now - spoke > 0.1:
                yield json_chunk({"at": step.step, "left": _left(step, config.steps, now - started)})
                spoke = now
    finally:
        if step is not None:
            kept = NetworkDenoiser(copy.deepcopy(step.ema).eval(), config.target)
            models.keep(run, models.Model(kept, recipe.data, step.state()))
    yield json_chunk({"done": True})


def _path(denoiser: NetworkDenoiser, noise: ParticleNoise) -> Tensor:
    """The particles at every level, [T + 1, n, 2], data first."""
    steps = list(SAMPLERS["ddim"](denoiser, WALK, WALK.scale[-1].item() * noise.start(), noise=noise))
    return torch.stack([step.x / WALK.scale[step.t].item() for step in reversed(steps)])


def _left(step: TrainStep, steps: int, elapsed: float) -> float:
    """Seconds left at the pace so far."""
    return elapsed / (step.step - step.first) * (steps - step.step)


def _numbers(step: TrainStep, steps: int, started: float, spent: float, series: dict, exam, above, score) -> dict:
    """The current data of the charts, [x, y] for each trace, and the metrics below the stage."""
    steps_so_far, floor = series["step"], (exam.share @ exam.floor).item()
    lam, loss = exam.lam.tolist(), (exam.floor + above.double()).tolist()
    floors = [value if value > LEAST else None for value in exam.floor.tolist()]

    def over_steps(name: str, field: str) -> list:
        return [steps_so_far, [abs(getattr(measured, field)) for measured in series[name]]]

    elapsed = time.monotonic() - started
    return {
        "charts": {
            "train-loss": [
                [steps_so_far, series["loss"]],
                [[0, steps], [floor, floor]],
                [steps_so_far, series["above"]],
            ],
            "train-levels": [[lam, loss], [lam, floors], [lam, score.tolist()]],
            "train-distance": [over_steps(name, field) for name in ("nll", "sliced") for field in ("value", "floor")],
        },
        "metrics": [
            {"name": "excess_nll", "unit": "nats", **series["nll"][-1]._asdict()},
            {"name": "sliced_w2", "unit": "", **series["sliced"][-1]._asdict()},
        ],
        "at": step.step,
        "left": _left(step, steps, elapsed),
        "shown": spent / elapsed,
    }
