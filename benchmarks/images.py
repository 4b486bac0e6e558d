"""Images: seconds for sixteen of them, against diffusers' pipeline, and ten people who sample at the same time."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from diffusers import DDIMPipeline, DDIMScheduler, UNet2DModel

from benchmarks.row import Row, medians
from ddpm_core import NetworkDenoiser, ParticleNoise, device, load_checkpoint, sample
from ddpm_core.data.images import SIZE
from ddpm_core.models.precision import PRECISIONS, in_precision
from ddpm_core.schedules import SCHEDULES
from ddpm_ui.server.wire import Trajectory
from tests.real import served

N, NFE = 16, 25
PEOPLE = 10


def count(net: torch.nn.Module) -> int:
    """Number of weights."""
    return sum(p.numel() for p in net.parameters())


def peer(weights: int) -> DDIMPipeline:
    """Diffusers' pipeline with about as many weights, our channels at fine resolution, attention where we have it."""
    down = ("DownBlock2D", "DownBlock2D", "AttnDownBlock2D")
    up = ("AttnUpBlock2D", "UpBlock2D", "UpBlock2D")
    fixed = dict(layers_per_block=1, norm_num_groups=8, down_block_types=down, up_block_types=up)
    nets = (UNet2DModel(28, 1, 1, block_out_channels=(16, 32, coarse), **fixed) for coarse in range(40, 200, 8))
    net = min(nets, key=lambda net: abs(count(net) - weights))
    pipeline = DDIMPipeline(net.eval(), DDIMScheduler()).to(device.pick())
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _speed() -> Iterator[Row]:
    where = device.pick()
    denoiser = load_checkpoint("fashion_mnist", where).given_label(torch.arange(N) % 10)
    pipeline = peer(count(denoiser.net))
    schedule = SCHEDULES["cosine"](1000).subsample(NFE)

    def drawn(denoiser: NetworkDenoiser) -> float:
        return sample("ddim", denoiser, schedule, ParticleNoise(0, N, denoiser.net.shape, where)).x.mean().item()

    ways: dict[str, Callable[[], object]] = {name: partial(drawn, in_precision(denoiser, name)) for name in PRECISIONS}
    ways["theirs"] = lambda: pipeline(batch_size=N, num_inference_steps=NFE, output_type="np")
    seconds = medians(ways, 7)
    what = f"{N} pictures, {NFE} evaluations, {device.describe(where)}"
    ours, rounded, theirs = seconds["float32"], seconds["bfloat16"], seconds["theirs"]
    against = f"diffusers' DDIMPipeline, {count(pipeline.unet) / 1e3:.0f}k weights: {theirs:.2f} s"
    measured, ratio = f"{count(denoiser.net) / 1e3:.0f}k weights: {ours:.2f} s", theirs / ours
    yield Row(what, measured, against, f"{ratio:.1f} x", "≤ 3 s, ≥ 1.5 x", ours <= 3 and ratio >= 1.5)
    if where.type != "cpu":
        return
    chosen, faster = device.precision(where), ours / rounded
    against, met = f"float32: {ours:.2f} s; {chosen} is chosen", (faster > 1) == (chosen == "bfloat16")
    yield Row(f"{what}, bfloat16", f"{rounded:.2f} s", against, f"{faster:.1f} x", "the faster is chosen", met)


def _see(address: str, k: int) -> tuple[float, float, float]:
    """Seconds until person k receives the first byte, the noise, and all images."""
    start, seconds, heard = time.perf_counter(), [], b""
    with urllib.request.urlopen(f"{address}/lab/images?n={N}&nfe={NFE}&seed={k}", timeout=600) as stream:
        for size in (1, N * SIZE * SIZE, None):
            heard += stream.read(size)
            seconds.append(time.perf_counter() - start)
    assert Trajectory.decode([heard]).header["done"]
    return seconds[0], seconds[1], seconds[2]


def rows() -> Iterator[Row]:
    yield from _speed()
    with TemporaryDirectory() as folder, served("app.py", log=Path(folder, "app.log")) as address:
        cold = _see(address, 0)
        yield Row(
            "first picture of a walk, network not loaded yet", f"{cold[1]:.2f} s", "", "", "≤ 0.5 s", cold[1] <= 0.5
        )
        with ThreadPoolExecutor(PEOPLE) as people:
            futures = [people.submit(_see, address, k) for k in range(1, PEOPLE + 1)]
            failed = sum(future.exception() is not None for future in futures)
        what = f"{PEOPLE} people at once, {N} pictures each"
        yield Row(f"{what}: failed", str(failed), "", "", "0", failed == 0)
        late = zip(*(future.result() for future in futures if not future.exception()), strict=True)
        said = ", ".join(f"{max(seconds):.1f} s" for seconds in late)
        yield Row(f"{what}: the last hears, sees noise, is done", said, "", "", "", None)
