"""The streams of Images: noising in closed form, and sampling with x_t and x0-hat step by step."""

from __future__ import annotations

from collections.abc import Generator
from functools import lru_cache

import torch
from torch import Tensor

from ddpm_core import Denoiser, NetworkDenoiser, ParticleNoise, Schedule, load_checkpoint, schedule_for_nfe
from ddpm_core import device as devices
from ddpm_core.data.images import SIZE, examples, to_pixels, to_unit
from ddpm_core.guidance.labels import guided
from ddpm_core.metrics.image_metrics import in_parts, shipped_classifier
from ddpm_core.models.checkpoints import names
from ddpm_core.models.precision import in_precision
from ddpm_core.samplers.image_edits import Inpainting, back_from, interpolated_noise
from ddpm_ui.exhibits.images import own_picture
from ddpm_ui.exhibits.images.recipe import GARMENTS, Images
from ddpm_ui.recipes import RecipeError
from ddpm_ui.server import wire
from ddpm_ui.server.wire import Axis, json_chunk
from ddpm_ui.words import name_of

NETWORK = "fashion_mnist"
SHAPE = (1, SIZE, SIZE)
NAMED = 3  # most classes that a title lists
STORED = 50  # largest number of steps that are sent
GIVEN = {"back", "inpaint"}  # tasks that start from real images


def network(recipe: Images) -> None:
    """RecipeError if a task other than noising needs the network and it is missing."""
    if recipe.task != "forward" and NETWORK not in names():
        raise RecipeError("no_image_network")


_examples = lru_cache(maxsize=1)(examples)


@lru_cache(maxsize=1)
def _network() -> NetworkDenoiser:
    where = devices.pick()
    return in_precision(load_checkpoint(NETWORK, where), devices.precision(where))


def computed() -> str:
    """The device and its precision."""
    where = devices.pick()
    return f"{devices.describe(where)}, {devices.precision(where)}"


def classes(recipe: Images) -> tuple[int, ...] | None:
    """The class of each image; None if unknown."""
    if recipe.picture is not None:
        return None
    chosen = [GARMENTS.index(name) for name in recipe.data or GARMENTS]
    return tuple(chosen[i % len(chosen)] for i in range(recipe.n))


def told(recipe: Images) -> tuple[int, ...] | None:
    """The class given to the network for each image; None for any class."""
    if recipe.task in GIVEN and recipe.told != "same":
        return (GARMENTS.index(recipe.told),) * recipe.n if recipe.told in GARMENTS else None
    return None if recipe.task == "interpolate" and len(recipe.data) != 1 else classes(recipe)


def real(recipe: Images) -> Tensor:
    """Real images of these classes, or n copies of the user's own, uint8 [n, 1, 28, 28]."""
    if recipe.picture is not None:
        return own_picture.decode(recipe.picture).expand(recipe.n, *SHAPE)
    labels, each = classes(recipe) or (), len(_examples()) // len(GARMENTS)
    turn = len(set(labels))
    return _examples().pixels[[label * each + i // turn % each for i, label in enumerate(labels)]]


def mask(kept: str) -> Tensor:
    """True where an image is kept, [1, 28, 28]."""
    row, column = torch.arange(SIZE).view(-1, 1), torch.arange(SIZE).view(1, -1)
    half = SIZE // 2
    first = {"upper": row < half, "lower": row >= half, "left": column < half, "right": column >= half}
    return first[kept].expand(SHAPE)


@lru_cache(maxsize=16)
def _asked(label: tuple[int, ...] | None, weight: float) -> Denoiser:
    """Cached, because a recorded CUDA graph belongs to one denoiser."""
    return guided(_network(), None if label is None else torch.tensor(label), weight)


def denoiser(recipe: Images) -> Denoiser:
    asked, device = _asked(told(recipe), recipe.weight), devices.pick()
    if recipe.task != "inpaint":
        return asked
    return Inpainting(asked, to_unit(real(recipe)).to(device), mask(recipe.kept).to(device))


def beginning(recipe: Images, noise: ParticleNoise) -> tuple[Schedule, Schedule, Tensor]:
    """The full schedule, the subsampled one that is used, and the images at its start, [n, 1, 28, 28]."""
    path, eps = recipe.full_schedule, noise.start()
    if recipe.task == "back":
        path, _ = back_from(eps, path, min(recipe.level, path.T), eps)
    if recipe.task == "interpolate":
        eps = interpolated_noise(eps[0], eps[1], torch.linspace(0, 1, recipe.n))
    price = 1 if told(recipe) is None or recipe.weight in (0, 1) else 2  # evaluations per call
    walked = schedule_for_nfe(recipe.sampler, path, recipe.nfe // price, recipe.spacing)
    if recipe.task == "back":
        return path, walked, walked.jump(to_unit(real(recipe)).to(eps), walked.T, eps)
    return path, walked, walked.scale[-1].item() * eps


def pixels(t: int, nfe: int, *layers: Tensor) -> bytes:
    """A chunk of x_t and x0-hat, [n, 1, 28, 28], in 256 greys from -1 to 1; values outside are clipped."""
    return wire.pixels(t, nfe, *map(to_pixels, layers))


def kinds(recipe: Images) -> list[str]:
    """The names of the classes, if they are few."""
    words = [name_of(part) for part in recipe.data or ["all"]]
    return words if len(words) <= NAMED else ["choice_several"]


def title(recipe: Images) -> list[str]:
    return [*kinds(recipe), f"choice_{recipe.sampler}", f"w = {recipe.weight:g}"]


def labels(known: tuple[int, ...] | None, n: int) -> list[str]:
    """The name of the class of every image."""
    return ["choice_anything"] * n if known is None else [f"choice_{GARMENTS[k]}" for k in known]


_classifier = lru_cache(maxsize=1)(shipped_classifier)


def said(recipe: Images, x: Tensor) -> dict:
    """Metrics of the final images [n, 1, 28, 28]: their distance from the real ones, and their classes according to the
    classifier."""
    taken, metrics = in_parts(_classifier(), x).argmax(1).tolist(), []
    if recipe.task == "back":
        change = (to_pixels(x).float() - real(recipe).float()).abs().mean().item()
        metrics.append({"name": "changed", "value": change, "unit": "/ 255"})
    kind = classes(recipe) if recipe.task == "back" else told(recipe)
    if kind is not None:
        right = sum(a == b for a, b in zip(taken, kind, strict=True))
        name = "recognised_back" if recipe.task == "back" else "recognised"
        metrics.append({"name": name, "value": right, "unit": f"/ {recipe.n}"})
    return {"metrics": metrics, "taken": labels(tuple(taken), recipe.n)}


def melting(recipe: Images) -> Generator[bytes, None, None]:
    """The closed form: the real images and the noise, from which every x_t is computed."""
    noise, pictures = ParticleNoise(recipe.seed, recipe.n, SHAPE), real(recipe)
    yield wire.header(
        Axis("t", recipe.T), levels=recipe.full_schedule, n=recipe.n, shape=SHAPE[1:], mode="mix", direction="forward",
        badge="exact", title=[*kinds(recipe), "closed_form"], labels=labels(classes(recipe), recipe.n),
    )  # fmt: skip
    yield wire.real(pictures)
    yield wire.pair(to_unit(pictures), noise.start())
    yield json_chunk({"done": True})


def walking(recipe: Images) -> Generator[bytes, None, None]:
    """A sampling run. The noise is sent before the network is loaded."""
    noise = ParticleNoise(recipe.seed, recipe.n, SHAPE, devices.pick())
    path, walked, x_T = beginning(recipe, noise)
    place = {pair: t for t, pair in enumerate(path.levels)}
    times = [place[pair] for pair in walked.levels]  # of the levels in use
    stored = {round(k * walked.T / min(STORED, walked.T)) for k in range(min(STORED, walked.T) + 1)}
    yield wire.header(
        Axis("t", path.T), levels=path, n=recipe.n, shape=SHAPE[1:], mode="pictures", direction="reverse",
        badge="learned", title=title(recipe), times=[times[k] for k in sorted(stored, reverse=True)],
        labels=labels(told(recipe), recipe.n), device=computed(),
    )  # fmt: skip
    if recipe.task in GIVEN:
        yield wire.real(real(recipe))
    yield pixels(times[-1], 0, x_T / walked.scale[-1].item())
    asked, here = denoiser(recipe), x_T
    for step in devices.run_sampler(recipe.sampler, asked, walked, x_T, noise=noise):
        here, x0 = step.x / walked.scale[step.t].item(), step.prediction.x0
        yield pixels(times[step.t], step.nfe, here, x0) if step.t in stored else b""  # Stop takes effect here
    yield json_chunk(said(recipe, here.cpu()) | {"done": True})


def images(recipe: Images) -> Generator[bytes, None, None]:
    yield from (melting if recipe.task == "forward" else walking)(recipe)
