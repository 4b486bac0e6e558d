"""`python -m ddpm_core train`: train a network on a data set, measure it and write its checkpoint."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from ddpm_core import device
from ddpm_core.data.datasets import DATASETS
from ddpm_core.data.images import fashion_mnist
from ddpm_core.data.mixtures import GaussianMixture
from ddpm_core.metrics.evaluation import measure
from ddpm_core.metrics.image_evaluation import ImageEvaluator, SamplingConfig, measure_images
from ddpm_core.models import checkpoints
from ddpm_core.models.denoisers import NetworkDenoiser
from ddpm_core.models.networks import LAM_RANGE, MLP, UNet
from ddpm_core.training.distillation import Teacher
from ddpm_core.training.loop import TrainConfig, train
from ddpm_core.training.run import Run, processes

IMAGES = "fashion_mnist"
SEEDS = {"cola_sprite_fanta": 1}  # seeds of the shipped checkpoints; 0 for all others, see docs/LOG.md
# Settings of the shipped image network, and further ones for distilling guidance.
FOR_IMAGES: dict[str, Any] = dict(
    steps=40_000, batch=32, lr=3e-3, warmup=500, weighting="flat", schedule="cosine", shared=1
)
FOR_GUIDANCE: dict[str, Any] = dict(steps=6000, lr=1e-3, warmup=200)


@dataclass(frozen=True)
class Options:
    """Options of a run, besides the training settings and the network sizes."""

    seed: int | None = None  # None: that of the shipped checkpoint
    samples: int = 10_000  # for the final measurement
    out: str | None = None  # None: checkpoints/<data set>.safetensors
    resume: bool = False  # continue the run that was stopped
    start: str | None = None  # a checkpoint with the initial weights
    weight: float = 1.0  # guidance of `start` to be distilled: see Teacher
    above: float = LAM_RANGE[0]
    weaker: str | None = None
    away: float = 0.0
    save_every: float = 300  # seconds
    log: Path | None = None
    data: Path | None = None  # folder of the images

    @property
    def guided(self) -> bool:
        return bool(self.weaker or self.away) or self.weight != 1


class Stopped(Exception):  # noqa: N818  # an order of the user, not an error
    """The run was stopped before its last step; str() is the message."""


def new_network(
    dataset: str, target: str, start: NetworkDenoiser | None, sizes: dict[str, int], generator: torch.Generator
) -> torch.nn.Module:
    """A network of these or the default sizes, or the one of `start`; a U-Net may become deeper.

    TypeError for a size that the network does not have, ValueError if `start` does not fit the data.
    """
    kind = UNet if dataset == IMAGES else MLP
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator.initial_seed())
        if start:
            if not isinstance(start.net, kind) or start.target != target:
                raise ValueError(f"--start needs a {kind.__name__} that predicts {target}")
            net = start.net
            if isinstance(net, UNet) and "depth" in sizes:
                net = net.deepened(sizes.pop("depth"))
            if sizes:
                raise ValueError("--start has sizes of its own; all that can grow is the depth of a U-Net")
            return net.train().requires_grad_()
        if unknown := sizes.keys() - inspect.signature(kind).parameters.keys():
            raise TypeError(f"a {kind.__name__} has no {', '.join(sorted(unknown))}")
        return MLP(**sizes).reset(generator) if kind is MLP else UNet(**sizes)


def teacher_of(start: NetworkDenoiser, weaker: NetworkDenoiser | None, options: Options) -> Teacher:
    """The network of `start` with guidance. ValueError if `weaker` cannot be compared with it."""
    if weaker and not (isinstance(weaker.net, UNet) and weaker.target == start.target):
        raise ValueError(f"--weaker needs a network of images that predicts {start.target}")
    net = copy.deepcopy(start.net).requires_grad_(False)
    return Teacher(net, options.weight, options.above, weaker.net if weaker else None, options.away)


def train_checkpoint(
    dataset: str, settings: dict[str, Any], sizes: dict[str, int], options: Options
) -> tuple[Path, dict] | None:
    """Train, measure and write a checkpoint; returns its path and metadata, or None in all processes but the first.

    settings: fields of TrainConfig that differ from its defaults; sizes: of the network. Raises Stopped after Ctrl-C
    when the state for --resume is written, ValueError for invalid combinations, OSError for missing files.
    """
    seed = SEEDS.get(dataset, 0) if options.seed is None else options.seed
    accelerator = processes()
    where = accelerator.device if accelerator else device.pick()
    data = fashion_mnist(folder=options.data) if dataset == IMAGES else DATASETS[dataset]()
    usual = (FOR_IMAGES if dataset == IMAGES else {}) | (FOR_GUIDANCE if options.guided else {})
    config = TrainConfig(**usual | settings)
    out = Path(options.out or checkpoints.FOLDER / f"{dataset}.safetensors")
    unfinished = out.with_suffix(".training")
    generator = torch.Generator().manual_seed(seed)
    start = checkpoints.load_checkpoint(options.start, where) if options.start else None
    if options.guided and not (start and isinstance(start.net, UNet)):
        raise ValueError("--weight and --weaker need --start with a network of images, which is to be guided")
    weaker = checkpoints.load_checkpoint(options.weaker, where) if options.weaker else None
    teacher = teacher_of(start, weaker, options) if start and options.guided else None
    net = new_network(dataset, config.target, start, sizes, generator).to(where)
    resume = safetensors.torch.load_file(unfinished) if options.resume else None

    started, run = time.monotonic(), Run(unfinished, options.log, options.save_every, accelerator)
    steps = train(net, data, config, generator=generator, resume=resume, accelerator=accelerator, teacher=teacher)
    step = run.follow(steps, config, int(resume["step"]) if resume else 0)
    if accelerator:
        accelerator.print(f"trained by {accelerator.num_processes} processes")
        accelerator.end_training()
    if step is None:
        raise ValueError("that run is finished already")
    if not run.leads:
        return None
    if step.step < config.steps:
        safetensors.torch.save_file(step.state(), unfinished)
        raise Stopped(f"stopped after {step.step} steps; go on with --resume")

    recipe = dataclasses.asdict(config) | {"seed": seed, "seconds": round(time.monotonic() - started, 1)}
    recipe |= {"start": start.metadata.get("training")} if start else {}
    recipe |= {name: getattr(options, name) for name in ("weight", "above", "away")} if teacher else {}
    recipe |= {"weaker": weaker.metadata.get("training")} if weaker else {}
    denoiser = NetworkDenoiser(step.ema.eval(), config.target)
    metadata: dict[str, Any] = {"dataset": dataset, "target": config.target, "training": recipe}
    if isinstance(data, GaussianMixture):
        metadata["metrics"] = measure(denoiser, data, options.samples)
    else:
        metadata["pixels"] = "-1 .. 1, of mean -0.43 and standard deviation 0.71"
        evaluator = ImageEvaluator(options.data)
        metadata["metrics"] = [*measure_images(denoiser, evaluator, [SamplingConfig()], options.samples, [0])]
    checkpoints.save_checkpoint(out, step.ema, metadata)
    unfinished.unlink(missing_ok=True)
    return out, metadata
