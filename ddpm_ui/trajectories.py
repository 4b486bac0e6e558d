"""A recipe becomes a trajectory: a stream of binary chunks that a Stage draws while it arrives, and the way back.

A chunk is [uint32 kind][uint32 length][payload, zero-padded to 4 bytes], little endian. Positions are fixed point,
int16 times RANGE / 32767, in variance-preserving coordinates, x / sqrt(alpha^2 + sigma^2): every path fits one picture.

    JSON     header first, then updates to it: metrics, done
    COLOURS  uint8 [n]             where in the data the particle belongs
    CLOUD    int16 [m, 2]          a sample of the data, for comparison
    PAIR     int16 [2, n, 2]       x0 and eps: any x_t is exactly alpha_t x0 + sigma_t eps, so one pair is all of them
    FRAME    int32 t, nfe; int16 [layers, n, 2]
    SHOT     int32 step, 0; int16 [T + 1, n, 2]   a walk of a network that is still learning, data first
    PIXELS   int32 t, nfe; uint8 [1 or 2, n, 28, 28]   pictures: x_t, and x0-hat as soon as the network was asked
    REAL     uint8 [n, 28, 28]     the real pictures that a walk starts from, for comparison

Of pictures a PAIR is int16 [2, n, 28, 28].
"""

from __future__ import annotations

import dataclasses
import json
import math
import struct
import time
from collections.abc import Callable, Generator, Iterable
from functools import lru_cache, partial

import numpy as np
import torch
from torch import Tensor

from ddpm_core import (
    DATASETS,
    SAMPLERS,
    SCHEDULES,
    Denoiser,
    GaussianMixture,
    MixtureDenoiser,
    ParticleNoise,
    Schedule,
    energy_distance,
    exact_flow_between,
    excess_nll,
    load_checkpoint,
    sliced_w2,
    strong_error,
)
from ddpm_core import device as devices
from ddpm_core.metrics.intervals import Measured
from ddpm_core.metrics.registry import moment_deviation
from ddpm_core.models.denoisers import NoiseLevel
from ddpm_core.samplers.registry import TRAITS
from ddpm_core.samplers.stepping import levels
from ddpm_core.schedules import constant, unshrunk
from ddpm_ui import models
from ddpm_ui.i18n import name_of
from ddpm_ui.recipe import Forward, Racer, Recipe, RecipeError, Reverse, film_times, mixture_of

JSON, COLOURS, CLOUD, PAIR, FRAME, SHOT, PIXELS, REAL = range(8)
RANGE = 8.0  # standard deviations of the data; farther out, points stick to the edge
VIEW = 3.3  # half the width of the picture
STORED = 64  # steps that are sent, of however many are walked: as many as the eye needs
CLOUD_SIZE = 2000
MEASURED_SIZE = 4000  # points that the distances between two clouds look at; their time grows faster than n


def chunk(kind: int, payload: bytes) -> bytes:
    return struct.pack("<II", kind, len(payload)) + payload + bytes(-len(payload) % 4)


def json_chunk(value: dict) -> bytes:
    return chunk(JSON, json.dumps(value, separators=(",", ":")).encode())


PAUSE = json_chunk({})  # says nothing; here those who wait go first


def fixed_point(x: Tensor) -> bytes:
    return np.rint(x.cpu().double().numpy() * (32767 / RANGE)).clip(-32767, 32767).astype("<i2").tobytes()


_shipped = lru_cache(maxsize=32)(load_checkpoint)


def denoiser_of(kind: str, data: str) -> Denoiser:
    """RecipeError if there is none: no network for people's own data, or a run that is no longer here."""
    if kind == "exact":
        return MixtureDenoiser(mixture_of(data))
    if kind.startswith("run."):
        return models.find(kind.removeprefix("run.")).denoiser
    if data not in DATASETS:
        raise RecipeError("no_network")
    return _shipped(data, devices.pick())


def badge(denoiser: str) -> str:
    return "exact" if denoiser == "exact" else "learned"


def title(recipe: Recipe, part: str) -> list[str]:
    """What the picture is called, as keys of the words on the page."""
    return [name_of(recipe.data), part]


def _colours(component: Tensor, mixture: GaussianMixture) -> bytes:
    return chunk(COLOURS, (component * 255 // max(mixture.K - 1, 1)).to(torch.uint8).numpy().tobytes())


@lru_cache(maxsize=64)
def destination_colours(data: str, seed: int, n: int) -> bytes:
    """Where the exact probability flow carries each particle's noise, whatever sampler is on the screen.

    So a particle has one colour everywhere, and stochastic samplers show how they stray from the flow.
    """
    mixture, start = mixture_of(data), ParticleNoise(seed, n).start()
    *_, last = SAMPLERS["ddim"](MixtureDenoiser(mixture), SCHEDULES["cosine"](24), start, noise=ParticleNoise(seed, n))
    return _colours(mixture.component_of(last.x), mixture)


def _stored(T: int, film: tuple[int, ...] = ()) -> list[int]:
    """The times that are sent: evenly spread, both ends among them, and those of the film strip; ascending."""
    even = np.linspace(0, T, min(T, STORED) + 1).round().astype(int)
    return sorted({*even.tolist(), *film_times(T, film)})


def header(n: int, schedule: Schedule, **more) -> bytes:
    def digits(c: Tensor) -> list[float]:
        return [float(f"{v:.8g}") + 0.0 for v in c.tolist()]  # no -0, by which the page would divide

    common = dict(n=n, T=schedule.T, alpha=digits(schedule.alpha), sigma=digits(schedule.sigma))
    return json_chunk(common | dict(range=RANGE, view=VIEW) | more)


def forward(recipe: Forward) -> Generator[bytes, None, None]:
    """The closed form: x0 and eps of every particle."""
    noise = ParticleNoise(recipe.seed, recipe.n)
    mixture = mixture_of(recipe.data)
    x0, component = noise.data(mixture)
    yield header(
        recipe.n, recipe.full_schedule, mode="mix", direction="forward", badge="exact", layers=["x"],
        title=title(recipe, "closed_form"),
    )  # fmt: skip
    yield _colours(component, mixture)
    yield chunk(PAIR, fixed_point(x0) + fixed_point(noise.start()))
    yield json_chunk({"done": True})


OTHERWISE = {"unshrunk": unshrunk, "constant": constant}


def _variance(x: Tensor, _: Tensor) -> float:
    return x.var(0, correction=0).mean().item()


def chain(recipe: Forward) -> Generator[bytes, None, None]:
    """A Markov chain, one noisy step after another, from the same x0; with a number that says how it fares.

    `recipe.beside` says which: the one of the schedule, against the closed form; one with the same noise but without
    the factor sqrt(1 - beta), as it is; or one with the same noise in every step, up to the same end.
    """
    noise, schedule = ParticleNoise(recipe.seed, recipe.n), recipe.full_schedule
    mixture = mixture_of(recipe.data)
    x0, component = noise.data(mixture)
    stored, as_it_is = _stored(schedule.T, recipe.film), recipe.beside == "unshrunk"
    schedule = OTHERWISE[recipe.beside](schedule) if recipe.beside in OTHERWISE else schedule
    scale = torch.ones_like(schedule.scale) if as_it_is else schedule.scale
    name, measure = ("variance", _variance) if recipe.beside in OTHERWISE else ("deviation", moment_deviation)
    yield header(
        recipe.n, schedule, mode="frames", direction="forward", badge="exact", layers=["x"], times=stored,
        title=title(recipe, f"choice_{recipe.beside}"), as_it_is=as_it_is,
    )  # fmt: skip
    yield _colours(component, mixture)
    x, eps, series, keep = x0, noise.start(), [], set(stored)
    for t in range(schedule.T + 1):
        if t > 0:
            x = schedule.step(x, t, noise(t))
        if t in keep:
            here = x / scale[t]
            series.append(measure(here, schedule.jump(x0, t, eps) / scale[t]))
            yield chunk(FRAME, struct.pack("<ii", t, 0) + fixed_point(here))
    yield json_chunk({"series": {"name": name, "value": series}, "done": True})


def _measured(measures: list[tuple[str, str, Callable[[], Measured]]]) -> Generator[bytes, None, None]:
    """What there is to say of a sample below its picture, a line more with every message."""
    metrics = []
    for name, unit, measure in measures:
        metrics.append({"name": name, "unit": unit, **measure()._asdict()})
        yield json_chunk({"metrics": metrics})


def reverse(recipe: Reverse) -> Generator[bytes, None, None]:
    """The sampler's walk from noise to data, as it happens; then how far the result is from the data."""
    schedule, mixture = recipe.walked(), mixture_of(recipe.data)
    denoiser = denoiser_of(recipe.denoiser, recipe.data)
    device = devices.pick() if recipe.denoiser == "network" else torch.device("cpu")
    noise = ParticleNoise(recipe.seed, recipe.n, device=device)
    truth = mixture.sample(recipe.n, generator=torch.Generator().manual_seed(recipe.seed))
    cloud = truth[:CLOUD_SIZE]
    stored = _stored(schedule.T)
    yield header(
        recipe.n, schedule, mode="frames", direction="reverse", badge=badge(recipe.denoiser), layers=["x", "x0"],
        times=stored[::-1], data=len(cloud), device=devices.describe(device),
        title=title(recipe, f"choice_{recipe.sampler}"),
    )  # fmt: skip
    yield destination_colours(recipe.data, recipe.seed, recipe.n)
    yield chunk(CLOUD, fixed_point(cloud))
    x_T, keep, spoke = schedule.scale[-1].item() * noise.start(), set(stored), time.monotonic()
    for step in devices.walk(recipe.sampler, denoiser, schedule, x_T, noise=noise, **recipe.options()):
        if step.t in keep:
            positions = fixed_point(step.x / schedule.scale[step.t].item()) + fixed_point(step.prediction.x0)
            yield chunk(FRAME, struct.pack("<ii", step.t, step.nfe) + positions)
            spoke = time.monotonic()
        elif time.monotonic() - spoke > 0.1:
            yield b""  # a place where Stop can take effect
            spoke = time.monotonic()
    sample = step.x.cpu()
    few, true = sample[:MEASURED_SIZE], truth[:MEASURED_SIZE]
    measures = [
        ("excess_nll", "nats", lambda: excess_nll(sample, mixture)),
        ("sliced_w2", "", lambda: sliced_w2(few, true)),
        ("energy_distance", "", lambda: energy_distance(few, true)),
    ]
    yield from _measured(measures)
    yield json_chunk({"done": True})


FOLLOWED = 300  # particles that are compared with the exact flow, which costs 256 exact evaluations of each
LIVE = 1000  # particles behind the distance at every step


@lru_cache(maxsize=128)
def exact_places(data: str, seed: int, n: int, here: NoiseLevel, there: NoiseLevel = (1.0, 0.0)) -> Tensor:
    """Where the exact flow carries the particles' noise from one level to another; [n, 2] float64."""
    start = math.hypot(*here) * ParticleNoise(seed, n).start()
    return exact_flow_between(mixture_of(data), start, here, there, steps=32)


def race(recipe: Racer) -> Generator[bytes, None, None]:
    """One solver's walk, on the clock that all solvers of a race share: network evaluations that are left."""
    schedule, mixture = recipe.walked(), mixture_of(recipe.data)
    denoiser, noise = denoiser_of(recipe.denoiser, recipe.data), ParticleNoise(recipe.seed, recipe.n)
    truth = mixture.sample(recipe.n, generator=torch.Generator().manual_seed(recipe.seed))
    price = TRAITS[recipe.sampler].per_step or 1
    times = [recipe.nfe - price * (schedule.T - t) for t in range(schedule.T, 0, -1)] + [0]  # from noise to data
    here = [sum(left >= k for left in times) - 1 for k in range(recipe.nfe + 1)]  # the step that is reached with k left
    level = torch.stack([schedule.alpha, schedule.sigma]).flip(1)[:, here].tolist()
    yield header(
        recipe.n, schedule, mode="frames", direction="reverse", layers=["x", "x0"], times=times,
        badge=badge(recipe.denoiser), data=min(recipe.n, CLOUD_SIZE),
        title=[f"choice_{recipe.sampler}"], T=recipe.nfe, alpha=level[0], sigma=level[1],
    )  # fmt: skip
    yield destination_colours(recipe.data, recipe.seed, recipe.n)
    yield chunk(CLOUD, fixed_point(truth[:CLOUD_SIZE]))
    x_T, visited = schedule.scale[-1].item() * noise.start(), []
    for left, step in zip(times, SAMPLERS[recipe.sampler](denoiser, schedule, x_T, noise=noise), strict=True):
        x = step.x / schedule.scale[step.t].item()
        visited.append(x)
        yield chunk(FRAME, struct.pack("<ii", left, step.nfe) + fixed_point(x) + fixed_point(step.prediction.x0))
    yield PAUSE  # first all run, then all are measured
    x0, eps = truth[:LIVE], ParticleNoise(recipe.seed + 1, min(LIVE, recipe.n)).start()
    distances = []
    for t, x in zip(range(schedule.T, -1, -1), visited, strict=True):
        true = schedule.jump(x0, t, eps) / schedule.scale[t]
        distances.append(sliced_w2.value(x[:LIVE], true, projections=24))
        yield b""  # a place where Stop can take effect
    yield json_chunk({"series": {"name": "distance_now", "value": distances}})
    measures = [
        ("excess_nll", "nats", lambda: excess_nll(x, mixture)),
        ("sliced_w2", "", lambda: sliced_w2(x[:MEASURED_SIZE], truth[:MEASURED_SIZE])),
    ]
    if not TRAITS[recipe.sampler].stochastic:
        few = min(recipe.n, FOLLOWED)
        ends = partial(exact_places, recipe.data, recipe.seed, few, levels(schedule)[-1])
        measures.append(("strong_error", "", lambda: strong_error(x[:few], ends())))
    yield from _measured(measures)
    yield json_chunk({"done": True})


TRAJECTORIES: dict[str, Callable[..., Generator[bytes, None, None]]] = {
    "forward": forward,
    "chain": chain,
    "reverse": reverse,
    "race": race,
}


def parts(chunks: Iterable[bytes]) -> Generator[tuple[int, bytes], None, None]:
    """The kinds and payloads in a stream of chunks."""
    data, at = b"".join(chunks), 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        yield kind, data[at + 8 : at + 8 + length]
        at += 8 + length + -length % 4


@dataclasses.dataclass
class Trajectory:
    """What a stream of chunks says, decoded again: the same numbers that a Stage draws."""

    header: dict
    colours: np.ndarray  # [n] uint8
    pair: np.ndarray | None  # [2, n, 2]
    frames: dict[int, np.ndarray]  # t -> [layers, n, 2]
    shots: dict[int, np.ndarray]  # training step -> [T + 1, n, 2]

    @classmethod
    def decode(cls, chunks: Iterable[bytes]) -> Trajectory:
        self = cls({}, np.zeros(0, np.uint8), None, {}, {})
        for kind, payload in parts(chunks):
            if kind == JSON:
                self.header |= json.loads(payload)
            elif kind == COLOURS:
                self.colours = np.frombuffer(payload, np.uint8)
            elif kind == PAIR:
                self.pair = self._points(payload, 2)
            elif kind == FRAME:
                self.frames[struct.unpack_from("<i", payload)[0]] = self._points(
                    payload[8:], len(self.header["layers"])
                )
            elif kind == SHOT:
                self.shots[struct.unpack_from("<i", payload)[0]] = self._points(payload[8:], self.header["T"] + 1)
        return self

    def _points(self, payload: bytes, layers: int) -> np.ndarray:
        return np.frombuffer(payload, "<i2").reshape(layers, self.header["n"], 2) * (RANGE / 32767)

    def at(self, t: int) -> np.ndarray:
        """The particles at time t, [n, 2]."""
        if self.pair is None:
            return self.frames[t][0]
        alpha, sigma = self.header["alpha"][t], self.header["sigma"][t]
        return (alpha * self.pair[0] + sigma * self.pair[1]) / np.hypot(alpha, sigma)
