"""Evaluation of an image network: sample equally many images of each class and compare them with real ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from ddpm_core import device
from ddpm_core.data.images import Images, fashion_mnist, image_grid
from ddpm_core.guidance.labels import guided
from ddpm_core.metrics.image_metrics import (
    Classifier,
    fit_classifier,
    frechet,
    in_parts,
    kernel_distance,
    label_accuracy,
    nearest,
    shipped_classifier,
)
from ddpm_core.models.denoisers import NetworkDenoiser, evaluations
from ddpm_core.samplers.particle_noise import ParticleNoise
from ddpm_core.samplers.registry import steps_for
from ddpm_core.schedules import SCHEDULES

PART = 250  # images per batch
NUMBERS = ("accuracy", "fid", "kid")


def shares(data: Images) -> tuple[Images, Images, Images]:
    """Split images into two thirds and two sixths; of 60,000 into 40,000, 10,000 and 10,000.

    The classifier is trained on the first part. Generated images are compared with the second part; so is the third,
    which gives the value of real images.
    """
    n = len(data)
    return data[: n * 2 // 3], data[n * 2 // 3 : n * 5 // 6], data[n * 5 // 6 :]


class SamplingConfig(NamedTuple):
    """How images are sampled: along 1,000 levels of the cosine schedule, subsampled as `spacing` says."""

    weight: float = 1.0  # of guidance; 1 is the network as trained
    nfe: int = 25  # most network evaluations per image; with guidance each step takes two
    sampler: str = "dpmpp_2m"
    spacing: str = "trailing"


def draw(denoiser: NetworkDenoiser, n: int, config: SamplingConfig, seed: int) -> Images:
    """Sample n images [n, 1, 28, 28], of all classes in turn. ValueError if nfe is too small for one step."""
    where, parts = next(denoiser.net.parameters()).device, []
    labels = torch.arange(n) % denoiser.net.classes
    for k, label in enumerate(tqdm(labels.split(PART), unit_scale=PART, unit="image", leave=False, disable=None)):
        noise = ParticleNoise(seed * 1_000_003 + k, len(label), denoiser.net.shape, where)
        conditional = guided(denoiser, label.to(where), config.weight)
        steps = steps_for(config.sampler, config.nfe // evaluations(conditional))
        schedule = SCHEDULES["cosine"](1000).subsample(steps, config.spacing)
        parts.append(device.sample(config.sampler, conditional, schedule, noise).x.cpu())
    return Images.of(torch.cat(parts), labels)


def measure_images(
    denoiser: NetworkDenoiser,
    evaluator: ImageEvaluator,
    configs: Sequence[SamplingConfig],
    n: int,
    seeds: Sequence[int],
    drawn: Mapping[tuple[SamplingConfig, int], Images] | None = None,
) -> Iterator[dict]:
    """A row for each configuration: mean and standard deviation over the seeds, floor and ceiling.

    n: images per seed. drawn: images that exist already for some configurations and seeds; sampling takes minutes.
    ValueError if n < 2.
    """
    if n < 2:
        raise ValueError(f"need at least 2 samples, got {n}")
    bounds = evaluator.bounds(n)
    for config in configs:
        images = ((drawn or {}).get((config, seed)) or draw(denoiser, n, config, seed) for seed in seeds)
        runs = [evaluator.measure(part) for part in images]
        row: dict = {key: mean(run[key] for run in runs) for key in NUMBERS}
        if len(runs) > 1:
            row["deviation"] = {key: stdev(run[key] for run in runs) for key in NUMBERS}
        row["by_class"] = [mean(values) for values in zip(*(run["by_class"] for run in runs), strict=True)]
        yield config._asdict() | {"n": n, "seeds": len(seeds)} | row | bounds


class ImageEvaluator:
    """Compares generated images with real ones, by a classifier that was trained on a part of the real ones."""

    def __init__(self, folder: Path | None = None):
        self.classifier: Classifier = shipped_classifier()
        self.train, self.test = fashion_mnist("train", folder), fashion_mnist("t10k", folder)
        _, self.real, self.others = shares(self.train)

    def features(self, x: Tensor) -> Tensor:
        """[n, 1, 28, 28] -> [n, 128]."""
        return in_parts(self.classifier.features, x)

    @cached_property
    def reference(self) -> Tensor:
        return self.features(self.real.x0)

    def distances(self, x: Tensor) -> dict[str, float]:
        """Feature FID and KID to the 10,000 real images."""
        features = self.features(x)
        return {"fid": frechet(features, self.reference), "kid": kernel_distance(features, self.reference)}

    def bounds(self, n: int) -> dict[str, dict]:
        """The metrics of n other real images (floor) and of n images of pure noise, labelled in turn (ceiling)."""
        noise = ParticleNoise(0, n, (1, 28, 28)).start()
        return {"floor": self.measure(self.others[:n]), "ceiling": self.measure(Images.of(noise, torch.arange(n) % 10))}

    def measure(self, images: Images) -> dict:
        """Label accuracy, overall and by class, FID and KID."""
        by_class = label_accuracy(self.classifier, images.x0, images.labels)
        return {"accuracy": by_class.nanmean().item(), "by_class": by_class.tolist(), **self.distances(images.x0)}

    def accuracy_score(self, images: Images, epochs: int = 15) -> float:
        """Accuracy on the 10,000 test images of a classifier trained on `images` alone (Ravuri & Vinyals 2019)."""
        return label_accuracy(fit_classifier(images, epochs=epochs), self.test.x0, self.test.labels).mean().item()

    def neighbours(self, images: Images) -> tuple[Image.Image, Tensor, Tensor]:
        """A picture of each of n images above its nearest training image; the distances [n]; and, for comparison, those
        of equally many test images.
        """
        distance, row = nearest(images.x0, self.train)
        pairs = torch.stack([images.x0, self.train[row].x0]).flatten(0, 1)
        return image_grid(pairs, len(images)), distance, nearest(self.test[: len(images)].x0, self.train)[0]
