import threading
import warnings

import pytest
import torch
from core_common import roused
from torch import nn

from ddpm_core import DATASETS, MLP, SAMPLERS, SCHEDULES, MixtureDenoiser, NetworkDenoiser, ParticleNoise, UNet, device
from ddpm_core.guidance.labels import guided
from ddpm_core.samplers.image_edits import Inpainting

SCHEDULE = SCHEDULES["linear"](20, rescale=True)
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def network(where="cpu"):
    torch.manual_seed(0)  # the same weights at every call
    net = MLP(width=16, depth=2)
    nn.init.normal_(net.out.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    return NetworkDenoiser(net.to(where))


def pictures(where="cpu"):
    """A network of images, guided towards five labels, which keeps the upper half of what it knows."""
    torch.manual_seed(0)
    denoiser = NetworkDenoiser(roused(UNet(fine=8, middle=16, coarse=32)).float().to(where))
    known, upper = torch.full((1, 28, 28), 0.5, device=where), torch.arange(28, device=where)[:, None] < 14
    return Inpainting(guided(denoiser, torch.arange(5), 2.0), known, upper.expand(1, 28, 28))


def exact(where="cpu"):
    return MixtureDenoiser(DATASETS["two_moons"]())


def walk(variant, denoiser, seed, where="cpu"):
    shape = (5, (1, 28, 28)) if isinstance(denoiser, Inpainting) else (50, (2,))
    (name, options), noise = variant, ParticleNoise(seed, *shape, device=where)
    return device.run_sampler(name, denoiser, SCHEDULE, noise.start(), noise=noise, **options)


def views(steps):
    """Everything that a reader of a Step may ask for, off the device before the next Step is asked for."""
    return [(s.t, s.nfe, s.x.cpu(), s.prediction.x0.cpu(), s.prediction.eps.cpu() if s.t else None) for s in steps]


def test_the_environment_chooses_the_device(monkeypatch):
    monkeypatch.setenv("DDPM_DEVICE", "meta")
    assert device.pick() == torch.device("meta")
    monkeypatch.delenv("DDPM_DEVICE")
    monkeypatch.setenv("SPACES_ZERO_GPU", "1")
    assert device.pick().type != "cuda"


def test_devices_are_described_for_people():
    assert device.describe(torch.device("cpu")) == "CPU" and device.describe(torch.device("mps")) == "MPS"


@pytest.mark.parametrize(
    ("where", "able", "precision"),
    [("cpu", {"avx512_bf16": True}, "bfloat16"), ("cpu", {"avx512_bf16": False}, "float32"), ("cpu", {}, "float32"),
     ("cuda", {"avx512_bf16": True}, "float32"), ("mps", {}, "float32")],
)  # fmt: skip
def test_images_are_in_bfloat16_where_the_processor_is_made_for_it(monkeypatch, where, able, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    assert device.precision(torch.device(where)) == precision


def test_a_torch_that_cannot_tell_what_the_processor_can_do_is_not_asked(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert device.precision(torch.device("cpu")) == "float32"


@pytest.mark.parametrize("make", [network, exact])
def test_a_walk_on_the_cpu_is_the_bare_sampler(variant, make):
    (name, options), noise, denoiser = variant, ParticleNoise(0, 50), make()
    bare = SAMPLERS[name](denoiser, SCHEDULE, noise.start(), noise=noise, **options)
    for here, there in zip(walk(variant, denoiser, seed=0), bare, strict=True):
        assert (here.t, here.nfe) == (there.t, there.nfe) and torch.equal(here.x, there.x)


def test_unknown_samplers_and_options_are_refused_before_anything_runs():
    with pytest.raises(KeyError, match=", ".join(SAMPLERS)):
        device.run_sampler("dpm", None, SCHEDULE, torch.zeros(1, 2), noise=None)
    with pytest.raises(TypeError):
        device.run_sampler("ddim", None, SCHEDULE, torch.zeros(1, 2), noise=None, variance="beta")


# ---- recorded graphs ----


@cuda
@pytest.mark.parametrize("make", [network, pictures, exact])
def test_a_recorded_walk_is_the_walk_of_the_cpu(variant, make, monkeypatch):
    """For the noise it was recorded with, for other noise, and for the first again; every view."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # convolutions would keep 10 bits
    gpu, cpu = make("cuda"), make()
    for seed in (0, 1, 0):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore" if make is exact else "error")  # a network must be captured
            replayed = views(walk(variant, gpu, seed, "cuda"))
        for here, there in zip(replayed, views(walk(variant, cpu, seed)), strict=True):
            assert here[:2] == there[:2]
            for a, b in zip(here[2:], there[2:], strict=True):
                assert a is b is None or torch.allclose(a, b, rtol=1e-3, atol=1e-3)


@cuda
def test_two_recorded_walks_can_be_read_side_by_side():
    """As a picture that compares two seeds does; in a thread, so that a deadlock fails instead of hanging."""
    denoiser, together = network("cuda"), []
    alone = [views(walk(("ddim", {}), denoiser, seed, "cuda")) for seed in (0, 1)]

    def read():
        pair = zip(*(walk(("ddim", {}), denoiser, seed, "cuda") for seed in (0, 1)), strict=True)
        together.extend((a.x.cpu(), b.x.cpu()) for a, b in pair)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(30)
    assert len(together) == len(alone[0]), "deadlock"
    assert all(torch.equal(a, x[2]) and torch.equal(b, y[2]) for (a, b), x, y in zip(together, *alone, strict=True))


@cuda
def test_a_recorded_walk_that_is_left_halfway_blocks_nobody():
    denoiser, done = network("cuda"), []
    left = walk(("ddim", {}), denoiser, 0, "cuda")
    next(left)
    thread = threading.Thread(target=lambda: done.extend(walk(("ddim", {}), denoiser, 1, "cuda")), daemon=True)
    thread.start()
    thread.join(30)
    assert done, "deadlock"
