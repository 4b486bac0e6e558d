import math

import numpy as np
import pytest
import torch
from core_common import close, normal
from scipy import linalg

from ddpm_core.data.images import DEBIAN, Images, examples, fashion_mnist
from ddpm_core.metrics.image_metrics import (
    Classifier,
    fit_classifier,
    frechet,
    kernel_distance,
    label_accuracy,
    nearest,
    shipped_classifier,
)

A, B = normal(300, 5, seed=1), normal(400, 5, seed=2) @ normal(5, 5, seed=3) + 1.0


def test_the_frechet_distance_is_that_of_two_gaussians():
    """By scipy's matrix square root, of the product itself."""
    (a, b), (p, q) = ((x.numpy().mean(0) for x in (A, B)), (np.cov(x.numpy().T) for x in (A, B)))
    close(frechet(A, B), ((a - b) ** 2).sum() + np.trace(p + q - 2 * linalg.sqrtm(p @ q).real), 1e-8)
    close(frechet(A, A), 0.0, 1e-10)
    close(frechet(B, A), frechet(A, B), 1e-9)
    close(frechet(A, A + 2), 20.0, 1e-9)


def test_it_bears_features_that_never_fire():
    dead = torch.zeros(300, 1, dtype=torch.float64)
    close(frechet(torch.cat([A, dead], 1), torch.cat([A + 2, dead], 1)), 20.0, 1e-6)


def test_the_kernel_distance_is_a_mean_over_pairs():
    a, b = A[:12], B[:9]

    def k(x, y):
        return (x @ y / 5 + 1) ** 3

    within = [[k(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j] for x in (a, b)]
    across = [k(x, y) for x in a for y in b]
    expected = sum(torch.stack(part).mean() for part in within) - 2 * torch.stack(across).mean()
    close(kernel_distance(a, b), expected, 1e-10)


def test_the_kernel_distance_is_zero_on_average_for_equal_laws():
    values = torch.tensor([kernel_distance(normal(60, 5, seed=i), normal(60, 5, seed=100 + i)) for i in range(40)])
    assert abs(values.mean()) < 3 * values.std() / 40**0.5 and values.min() < 0 < values.max()


def test_accuracy_is_counted_by_class():
    class Says(torch.nn.Module):
        def forward(self, x):
            return torch.nn.functional.one_hot(x[:, 0, 0, 0].long(), 10).float()

    x = torch.tensor([0.0, 0, 0, 1, 5, 5]).view(-1, 1, 1, 1).expand(-1, 1, 28, 28)
    found = label_accuracy(Says(), x, torch.tensor([0, 0, 1, 1, 5, 4]))
    assert found[:2].tolist() == [1.0, 0.5] and found[4:6].tolist() == [0.0, 1.0] and found[2:4].isnan().all()


def test_the_nearest_is_the_nearest():
    data = Images((normal(30, 1, 28, 28, seed=4) * 40 + 120).clamp(0, 255).to(torch.uint8), torch.arange(30))
    x = data.x0[[7, 3]] + torch.tensor([0.1, -0.2]).view(2, 1, 1, 1)
    distance, row = nearest(x, data)
    assert row.tolist() == [7, 3]
    close(distance, torch.tensor([0.1, 0.2]), 1e-3)


def test_a_classifier_learns_and_only_the_seed_decides():
    """A bright bar whose place is the class."""
    labels = torch.arange(200) % 10
    pixels = torch.zeros(200, 1, 28, 28, dtype=torch.uint8)
    for i, label in enumerate(labels.tolist()):
        pixels[i, :, 2 * label + 4 : 2 * label + 6, 4 + i % 7 :] = 200
    data, state = Images(pixels, labels), torch.get_rng_state()
    net, again = (fit_classifier(data, epochs=8, batch=20) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), again.parameters(), strict=True))
    assert label_accuracy(net, data.x0, labels).mean() > 0.9 and not net.training
    assert net.features(data.x0[:3]).shape == (3, 128) and math.isfinite(net(data.x0[:3]).sum())
    assert isinstance(net, Classifier)


def test_the_shipped_classifier_knows_the_real_images_that_come_along():
    data = examples()
    assert label_accuracy(shipped_classifier(), data.x0, data.labels).mean() >= 0.85


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="needs Debian's package dataset-fashion-mnist")
def test_the_shipped_classifier_is_right_on_the_test_set():
    data = fashion_mnist("t10k")
    assert label_accuracy(shipped_classifier(), data.x0, data.labels).mean() >= 0.92
