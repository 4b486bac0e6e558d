import copy

import pytest
import safetensors.torch
import torch
from core_common import close, last, normal
from image_common import SMALL, stirred
from torch import nn

from ddpm_core import MLP, SAMPLERS, SCHEDULES, NetworkDenoiser, ParticleNoise, TrainConfig, UNet, train
from ddpm_core.data.images import Images
from ddpm_core.guidance.labels import guided
from ddpm_core.models.checkpoints import load_checkpoint, save_checkpoint
from ddpm_core.models.precision import in_precision

LEVELS = [(0.8, 0.6), (1.0, 3.0), (0.0, 1.0), (1.0, 0.0)]


@pytest.fixture(scope="module")
def net() -> UNet:
    torch.manual_seed(0)
    return stirred().requires_grad_(False)


@pytest.fixture(scope="module")
def images() -> Images:
    """32 smooth blobs: the place says the class."""
    y, x = torch.meshgrid(torch.arange(28), torch.arange(28), indexing="ij")
    i = torch.arange(32)[:, None, None]
    label, size = i % 10, 4 * (2 + i // 10)
    blob = torch.exp(-((x - 4 - label % 5 * 5) ** 2 + (y - 8 - label // 5 * 12) ** 2) / size)
    return Images((255 * blob).to(torch.uint8)[:, None], label.flatten())


# ---- the network ----


def test_every_image_has_its_own_level_and_label(net):
    """Together, in any leading shape, and alone it says the same; images do not see each other."""
    x, lam, label = normal(2, 3, 1, 28, 28), normal(2, 1, seed=2), torch.tensor([[0, 3, 10], [9, 3, 1]])
    together = net(x, lam, label)
    assert together.shape == x.shape
    for i in range(2):
        for j in range(3):
            close(net(x[i, j][None], lam[i, 0], label[i, j])[0], together[i, j], 1e-9)


def test_no_label_is_the_null_class(net):
    x, lam = normal(4, 1, 28, 28), torch.tensor(0.5, dtype=torch.float64)
    assert torch.equal(net(x, lam), net(x, lam, torch.full((4,), net.classes)))


def test_every_label_and_the_level_change_what_it_says(net):
    x, lam = normal(1, 1, 28, 28), torch.tensor(0.5, dtype=torch.float64)
    said = net(x.expand(11, -1, -1, -1), lam, torch.arange(11))
    assert torch.cdist(said.flatten(1), said.flatten(1)).fill_diagonal_(1.0).min() > 1e-3
    assert (net(x, lam + 1) - net(x, lam)).abs().max() > 1e-3


def test_every_pixel_sees_all_others(net):
    """As at 7 x 7 pixels attention joins what convolutions cannot."""
    x = normal(1, 1, 28, 28).requires_grad_()
    net(x, torch.tensor(0.5, dtype=torch.float64))[0, 0, 0, 0].backward()
    assert (x.grad != 0).all()


def test_a_new_one_predicts_nothing_whatever_it_is_asked():
    assert (UNet(**SMALL)(torch.randn(2, 1, 28, 28), torch.tensor(0.0), 3) == 0).all()


def test_a_deeper_one_says_the_same_until_it_has_learnt_more(net):
    deeper, x, lam = net.deepened(3), normal(4, 1, 28, 28), torch.tensor(0.5, dtype=torch.float64)
    assert torch.equal(deeper(x, lam, torch.arange(4)), net(x, lam, torch.arange(4)))
    assert all(len(stage) == 3 for stage in (deeper.down, deeper.bottom, *deeper.up))
    with pytest.raises(ValueError, match="depth must be at least 3, got 2"):
        deeper.deepened(2)


@pytest.mark.parametrize("size", ["fine", "middle", "coarse", "depth", "classes"])
def test_sizes_are_at_least_one(size):
    with pytest.raises(ValueError, match=f"'{size}': 0"):
        UNet(**{size: 0})


def test_it_is_rebuilt_from_its_file(tmp_path):
    net = stirred(depth=2, classes=4).float()
    save_checkpoint(tmp_path / "net.safetensors", net, {"target": "v"})
    loaded, x = load_checkpoint(tmp_path / "net.safetensors"), normal(2, 1, 28, 28).float()
    with torch.no_grad():
        assert torch.equal(loaded.net(x, torch.tensor(1.0), 3), net(x, torch.tensor(1.0), 3))


# ---- labels ----


@pytest.mark.parametrize("alpha, sigma", LEVELS)
def test_a_label_is_what_the_network_is_told(net, alpha, sigma):
    """One for all or one for each; None is any class; what was asked before is not changed."""
    x, denoiser = normal(3, 1, 28, 28), NetworkDenoiser(net)
    any_class = denoiser(x, alpha, sigma).v
    each = denoiser.given_label(torch.tensor([1, 4, 10]))(x, alpha, sigma).v
    for label, row in ((1, 0), (4, 1), (None, 2)):
        close(denoiser.given_label(label)(x, alpha, sigma).v[row], each[row], 1e-9)
    assert torch.equal(denoiser(x, alpha, sigma).v, any_class)


def test_labels_that_nobody_knows_are_refused(net):
    for label in (-1, 11, torch.tensor([0, 12])):
        with pytest.raises(KeyError, match=r"0 \.\. 10"):
            NetworkDenoiser(net).given_label(label)
    with pytest.raises(KeyError, match="no labels"):
        NetworkDenoiser(nn.Identity()).given_label(1)


# ---- training ----

CONFIG = TrainConfig(steps=6, batch=8, warmup=2, lr=3e-3, weighting="flat", schedule="cosine", shared=1)


def losses(net, images, config, **options):
    return [step.loss for step in train(net, images, config, generator=torch.Generator().manual_seed(0), **options)]


def fresh(seed=0) -> UNet:
    torch.manual_seed(seed)
    return UNet(**SMALL)


def test_a_resumed_run_is_bit_for_bit_the_uninterrupted_one(images, tmp_path):
    """Also in channels-last memory, which files do not know."""
    net, whole = fresh(), []
    for step in train(net, images, CONFIG, generator=torch.Generator().manual_seed(0)):
        whole.append(step.loss)
        if step.step == 3:
            safetensors.torch.save_file(step.state(), tmp_path / "state.safetensors")
    again = fresh(seed=1)
    rest = losses(again, images, CONFIG, resume=safetensors.torch.load_file(tmp_path / "state.safetensors"))
    assert rest == whole[3:]
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize("parts", [2, 3, 8])
def test_in_parts_the_steps_are_the_same(images, parts):
    """Even where they are not equally large."""
    config = TrainConfig(**vars(CONFIG) | {"parts": parts})
    close(losses(fresh(), images, config), losses(fresh(), images, CONFIG), 1e-4)
    with pytest.raises(ValueError, match="9 parts"):
        losses(fresh(), images, TrainConfig(**vars(CONFIG) | {"parts": 9}))


def test_a_share_of_the_batch_is_not_told_its_label(images):
    asked = []

    class Spy(UNet):
        def forward(self, x, lam, label):
            asked.append(label.flatten())
            return super().forward(x, lam, label)

    net = Spy(**SMALL)
    losses(net, images, TrainConfig(**vars(CONFIG) | {"batch": 64, "unlabelled": 0.25}))
    labels = torch.cat(asked)
    share = (labels == net.classes).double().mean()
    assert abs(share - 0.25) < 4 * (0.25 * 0.75 / len(labels)) ** 0.5
    assert (labels < net.classes).any() and labels.max() == net.classes


def test_in_bfloat16_it_says_the_same_up_to_rounding(net):
    """Whatever it is asked, and in the type that it was asked in."""
    denoiser, x, label = NetworkDenoiser(copy.deepcopy(net).float()), normal(4, 1, 28, 28).float(), torch.arange(4)
    rounded = in_precision(denoiser, "bfloat16")
    for ask in (lambda d: d, lambda d: d.given_label(label), lambda d: guided(d, label, 2.0)):
        for alpha, sigma in LEVELS:
            exact, said = (ask(d)(x, alpha, sigma).value for d in (denoiser, rounded))
            assert said.dtype == torch.float32
            error = (said - exact).square().mean().sqrt() / exact.square().mean().sqrt()
            assert 2**-10 < error < 2**-5  # a rounding to 8 bits is 2^-9; some thirty of them follow each other
    assert not torch.is_autocast_enabled("cpu")
    assert in_precision(rounded, "float32").net is denoiser.net


def test_precisions_are_of_images_and_known(net):
    with pytest.raises(KeyError, match="unknown precision 'float8'; known: float32, bfloat16"):
        in_precision(NetworkDenoiser(net), "float8")
    with pytest.raises(ValueError, match="a MLP is computed in float32 only"):
        in_precision(NetworkDenoiser(MLP(8, 1)), "bfloat16")


def test_in_bfloat16_it_learns_the_same(images):
    a, b = (losses(fresh(), images, TrainConfig(**vars(CONFIG) | {"precision": p})) for p in ("float32", "bfloat16"))
    close(a, b, 0.02)
    assert a != b


@pytest.mark.slow
def test_it_learns_32_images_within_a_minute(images):
    """And which of them each label means: sampled, most are near one that has it."""
    config = TrainConfig(**vars(CONFIG) | dict(steps=400, batch=32, warmup=50, ema=0.98, lr=8e-3))
    *_, step = train(fresh(), images, config, generator=torch.Generator().manual_seed(0))
    assert step.loss < 0.05
    labels, noise = torch.arange(10).repeat(3), ParticleNoise(0, 30, (1, 28, 28))
    denoiser = NetworkDenoiser(step.ema).given_label(labels)
    x = last(SAMPLERS["ddim"](denoiser, SCHEDULES["cosine"](30), noise.start(), noise=noise))
    distance, row = torch.cdist(x.flatten(1), images.x0.flatten(1)).min(1)
    assert (images.labels[row] == labels).double().mean() > 0.8 and (distance / 28).median() < 0.1
