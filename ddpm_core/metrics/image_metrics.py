"""Quality of generated images, judged by a small classifier that was trained on real ones.

Distances are computed from its penultimate features, as FID does with Inception's, so they cannot be compared with FIDs
from elsewhere. Read them against the floor, the value of equally many other real images, and the ceiling, the value of
pure noise. They do not detect copies; for that, `nearest` finds the nearest training images.
"""

from __future__ import annotations

import math
from itertools import pairwise

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddpm_core.data.images import CLASSES, Images
from ddpm_core.files import shipped

SHIPPED = shipped("assets") / "fashion_mnist_classifier.safetensors"


class Classifier(nn.Module):
    """Images [n, 1, 28, 28] in -1 .. 1 -> logits [n, 10]; `features` gives the input of the last layer, [n, 128]."""

    def __init__(self, width: int = 24, features: int = 128):
        super().__init__()
        sizes = (1, width, 2 * width, 4 * width)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):  # 28 -> 14 -> 7 -> 3 pixels
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.MaxPool2d(2)]
            layers += [nn.BatchNorm2d(outputs), nn.ReLU()]  # after pooling, on a quarter of the pixels
        self.features = nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * width * 9, features), nn.ReLU())
        self.last = nn.Sequential(nn.Dropout(0.3), nn.Linear(features, len(CLASSES)))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.features(x))


def fit_classifier(data: Images, *, epochs: int = 12, batch: int = 128, lr: float = 4e-3, seed: int = 0) -> Classifier:
    """A Classifier trained on `data`, each image mirrored half of the time. Deterministic for a given seed."""
    with torch.random.fork_rng(devices=[]):  # weights and dropout use torch's global generator
        torch.manual_seed(seed)
        net = Classifier()
        steps = epochs * math.ceil(len(data) / batch)
        optimiser = torch.optim.AdamW(net.parameters(), lr=lr, weight_decay=0.05)
        rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=steps)
        for _ in range(epochs):
            for rows in torch.randperm(len(data)).split(batch):
                x0 = data[rows].x0
                mirrored = torch.rand(len(rows), 1, 1, 1) < 0.5
                loss = F.cross_entropy(net(torch.where(mirrored, x0.flip(-1), x0)), data.labels[rows])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                rate.step()
    return net.eval().requires_grad_(False)


def shipped_classifier() -> Classifier:
    """The Classifier behind all numbers of this project, trained on the first 40,000 training images."""
    net = Classifier()
    net.load_state_dict({name: value.float() for name, value in safetensors.torch.load_file(SHIPPED).items()})
    return net.eval().requires_grad_(False)


def in_parts(function, x: Tensor, size: int = 500) -> Tensor:
    """function(x) for x [n, ...], computed in parts of `size`."""
    with torch.no_grad():
        return torch.cat([function(part) for part in x.split(size)])


# ---- classes ---------------------------------------------------------------------------------------------------------


def label_accuracy(net: Classifier, x: Tensor, labels: Tensor) -> Tensor:
    """Share of the images x [n, 1, 28, 28] of each class that are classified correctly; [10], NaN if there are none."""
    right = (in_parts(net, x).argmax(1) == labels).double()
    return torch.stack([right[labels == label].mean() for label in range(len(CLASSES))])


# ---- distributions ---------------------------------------------------------------------------------------------------


def frechet(a: Tensor, b: Tensor) -> float:
    """Squared Frechet distance of two sets of features, [n, D] and [m, D], as if both were Gaussian.

    |mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)) with their covariances A, B (Heusel et al. 2017, eq. 6). Biased
    upwards for finite n, so compare only at equal n.
    """
    a, b = a.double(), b.double()
    root = _root(a.T.cov())
    mixed = torch.linalg.eigvalsh(root @ b.T.cov() @ root).clamp(min=0).sqrt().sum()  # the eigenvalues of (A B)^(1/2)
    return ((a.mean(0) - b.mean(0)).square().sum() + a.var(0).sum() + b.var(0).sum() - 2 * mixed).item()


def _root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T


def kernel_distance(a: Tensor, b: Tensor) -> float:
    """KID: the unbiased squared MMD of [n, D] and [m, D] under (x . y / D + 1)^3 (Binkowski et al. 2018, eq. 4).

    Zero on average for equal distributions at every n, so it can be negative.
    """

    def mean(x: Tensor, y: Tensor, without_self: bool) -> Tensor:
        """Mean of the kernel over pairs, with or without the pairs of a point with itself."""
        total = torch.stack([(part @ y.T / y.shape[1] + 1).pow(3).sum() for part in x.split(1000)]).sum()
        if not without_self:
            return total / (len(x) * len(y))
        return (total - (x.square().sum(1) / x.shape[1] + 1).pow(3).sum()) / (len(x) * (len(x) - 1))

    a, b = a.double(), b.double()
    return (mean(a, a, True) + mean(b, b, True) - 2 * mean(a, b, False)).item()


# ---- copies ----------------------------------------------------------------------------------------------------------


def nearest(x: Tensor, data: Images) -> tuple[Tensor, Tensor]:
    """For each of x [n, 1, 28, 28] the nearest image of `data`: root-mean-square distance per pixel and row, [n] each.

    Small distances alone prove nothing: compare with those of real images that the network was not trained on.
    """
    known, x = data.x0.flatten(1), x.flatten(1)
    least, row = in_parts(lambda part: torch.stack(torch.cdist(part, known).min(1), -1), x, 100).unbind(-1)
    return least / x.shape[1] ** 0.5, row.long()
