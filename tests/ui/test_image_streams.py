"""Streams of pictures: what the sampler gives, the same every time; edits; and pictures that people bring."""

import concurrent.futures
import dataclasses
import io
import urllib.request
from functools import lru_cache

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm_core import ParticleNoise, device, sample
from ddpm_core.data.images import to_pixels
from ddpm_core.data.own_data import OwnDataError
from ddpm_core.models.precision import PRECISIONS
from ddpm_ui.exhibits.images import own_picture
from ddpm_ui.exhibits.images import stream as pictures
from ddpm_ui.exhibits.images.recipe import GARMENTS, TASKS, Images
from ddpm_ui.exhibits.images.tab import with_picture
from ddpm_ui.recipes import RecipeError
from ddpm_ui.server.uploads import MOST_PICTURE_MB, small_picture
from ddpm_ui.server.wire import Trajectory

FEW = Images(n=10, nfe=4)
WALKS = [task for task in TASKS if task != "forward"]


def film(**changes):
    return Trajectory.decode(pictures.images(dataclasses.replace(FEW, **changes)))


def sampled(label, weight=None, n=10, sampler="ddim"):
    """What the sampler gives, and nobody has streamed."""
    denoiser = pictures._network().given_label(label)
    schedule = FEW.full_schedule.subsample(4)
    return to_pixels(sample(sampler, denoiser, schedule, ParticleNoise(0, n, (1, 28, 28))).x)[:, 0].numpy()


# ---- melting: no network


def test_real_pictures_melt_by_the_closed_form():
    made, noise = film(task="forward", T=50, seed=3), ParticleNoise(3, 10, (1, 28, 28)).start()[:, 0]
    x0 = made.real / 127.5 - 1
    np.testing.assert_allclose(made.pair[0], x0, atol=1e-3)
    np.testing.assert_allclose(made.pair[1], noise, atol=1e-3)
    assert made.header["badge"] == "exact" and made.header["done"]
    assert made.header["labels"] == [f"choice_{name}" for name in GARMENTS]


@pytest.mark.parametrize("data", [(), *((name,) for name in GARMENTS), ("bag", "dress"), GARMENTS[::-1]])
def test_real_pictures_are_of_the_classes_that_were_asked(data):
    recipe = dataclasses.replace(FEW, data=data, n=64)
    real, examples = pictures.real(recipe), pictures._examples()
    assert [GARMENTS[label] for label in pictures.classes(recipe)] == [*(data or GARMENTS) * 64][:64]
    for i, label in enumerate(pictures.classes(recipe)):
        assert (real[i] == examples.pixels[examples.labels == label]).flatten(1).all(1).any()
    assert len(real.unique(dim=0)) == min(64, 10 * len(data or GARMENTS))


# ---- walks


@pytest.mark.parametrize("task", WALKS)
def test_same_recipe_same_bytes(task):
    first, second = (b"".join(pictures.images(dataclasses.replace(FEW, task=task))) for _ in range(2))
    assert first == second


def test_noise_is_there_before_the_network_is_asked():
    stream = pictures.images(FEW)
    made = Trajectory.decode([next(stream), next(stream)])
    (t, layers), noise = *made.pictures.items(), ParticleNoise(0, 10, (1, 28, 28)).start()
    assert (t, made.nfe[t], len(layers)) == (1000, 0, 1)
    assert (layers[0] == to_pixels(noise)[:, 0].numpy()).all()


@pytest.mark.parametrize("sampler", ["ddim", "dpmpp_2m", "ddpm"])
def test_the_stream_is_what_the_sampler_gives(sampler):
    made = film(sampler=sampler)
    assert list(made.pictures) == made.header["times"] == [1000, 750, 500, 250, 0]
    assert list(made.nfe.values()) == [1, 2, 3, 4, 4]
    assert (made.at(0) == sampled(torch.arange(10), sampler=sampler)).all()
    x, x0 = made.pictures[0]
    assert (x == x0).all() and made.header["done"] and made.header["badge"] == "learned"


def test_guidance_of_1_is_the_conditional_network_and_0_the_unconditional():
    assert (film(data=("bag",)).at(0) == sampled(8)).all()
    assert (film(data=("bag",), weight=0).at(0) == sampled(None)).all()
    strong = film(data=("bag",), weight=3, nfe=8)
    assert list(strong.nfe.values()) == [2, 4, 6, 8, 8]  # a step costs two
    assert (strong.at(0) != sampled(8)).any()


def test_samplers_start_from_the_same_noise_and_a_picture_does_not_change_when_others_join():
    one, two, more = film(), film(sampler="heun", nfe=7), film(n=20)
    assert (one.at(1000) == two.at(1000)).all() and list(one.pictures) == list(two.pictures)
    assert abs(one.at(0) - more.at(0)[:10]).max() <= 1  # rounding hangs on how many there are


@pytest.mark.parametrize("task", WALKS)
def test_a_link_shows_the_same_pictures_in_either_precision(monkeypatch, task):
    """A grey or so apart, of 256, on processors that are made for bfloat16 and on others; each says which it is."""
    made = []
    for precision in PRECISIONS:
        monkeypatch.setattr(device, "precision", lambda _, precision=precision: precision)
        monkeypatch.setattr(pictures, "_network", lru_cache(pictures._network.__wrapped__))
        monkeypatch.setattr(pictures, "_asked", lru_cache(pictures._asked.__wrapped__))
        made.append(film(task=task, nfe=8))
        assert made[-1].header["device"].endswith(precision)
    apart = abs(made[0].at(0) - made[1].at(0))
    assert 0 < apart.mean() < 1


@pytest.mark.parametrize("half", ["upper", "lower", "left", "right"])
@pytest.mark.parametrize("sampler", ["ddim", "euler_velocity", "dpmpp_2m_sde"])
def test_inpainting_keeps_what_is_known_bit_for_bit(half, sampler):
    made, kept = film(task="inpaint", kept=half, sampler=sampler), pictures.mask(half)[0].numpy()
    assert kept.sum() == 28 * 14
    assert (made.at(0)[:, kept] == made.real[:, kept]).all()
    assert abs(made.at(0) - made.real)[:, ~kept].mean() > 5


def test_the_way_back_keeps_what_little_noise_leaves():
    def moved(level):
        made = film(task="back", level=level, nfe=10)
        assert made.header["axis"]["last"] == level == made.header["times"][0]
        return abs(made.at(0) - made.real).mean()

    near, far = moved(100), moved(1000)
    assert near < 12 < 30 < far


def test_the_pictures_in_the_end_are_looked_at_by_a_classifier():
    made = film(task="back", told="bag", level=900, nfe=10)
    changed, still = made.header["metrics"]
    assert changed["value"] == pytest.approx(abs(made.at(0) - made.real).mean(), abs=0.01)
    own = [f"choice_{name}" for name in GARMENTS]
    assert still["value"] == sum(a == b for a, b in zip(made.header["taken"], own, strict=True)) < 5
    assert made.header["taken"].count("choice_bag") > 5
    (recognised,) = film(nfe=10).header["metrics"]
    assert recognised["unit"] == "/ 10" and recognised["value"] >= 7
    assert film(weight=0, task="interpolate").header["metrics"] == []


def test_the_way_back_may_be_told_another_class():
    assert set(film(task="back", told="bag").header["labels"]) == {"choice_bag"}
    assert set(film(task="back", told="anything").header["labels"]) == {"choice_anything"}
    assert film(task="back").header["labels"] == film().header["labels"]
    assert (film(task="back", told="bag").at(0) != film(task="back").at(0)).any()


def test_classes_that_were_chosen_come_in_turn_and_are_a_link():
    recipe = Images.of({"tab": "images", "data": "dress,bag", "n": "10"})
    assert recipe == Images(data=("dress", "bag"), n=10) and recipe.query == "data=dress,bag&n=10"
    assert (film(data=recipe.data).at(0) == sampled(torch.tensor([3, 8] * 5))).all()
    assert pictures.title(recipe)[:2] == ["choice_dress", "choice_bag"]
    assert pictures.title(Images())[0] == "choice_all"
    assert pictures.title(Images(data=GARMENTS[:4]))[0] == "choice_several"
    assert pictures.told(Images(task="interpolate", data=("dress", "bag"))) is None  # what lies between is of neither


def test_from_one_noise_to_another_pictures_change_little_by_little():
    made = film(task="interpolate", data=("dress",), n=16)
    ends = film(data=("dress",))
    assert abs(made.at(0)[[0, -1]] - ends.at(0)[:2]).max() <= 1
    steps = abs(np.diff(made.at(0), axis=0)).mean((1, 2))
    assert steps.max() < abs(made.at(0)[0] - made.at(0)[-1]).mean()


def test_interpolated_noise_needs_a_sampler_without_fresh_noise():
    for changes in ({"sampler": "ddpm"}, {"beside": "sampler", "beside_sampler": "ddpm"}):
        with pytest.raises(RecipeError, match=r"^sampler must add no fresh noise"):
            dataclasses.replace(FEW, task="interpolate", **changes)


def test_of_many_steps_some_are_sent(monkeypatch):
    monkeypatch.setattr(pictures, "STORED", 3)
    made = film(nfe=10)
    assert list(made.pictures) == made.header["times"] == [1000, 700, 300, 0]
    assert list(made.nfe.values()) == [1, 4, 8, 10]


def test_what_stands_beside_is_the_same_but_for_one_thing():
    recipe = Images(beside="weight", beside_weight=2, seed=4)
    assert recipe.alone == Images(seed=4) and recipe.other == Images(seed=4, weight=2)
    assert Images(beside="sampler").other == Images(sampler="ddpm")
    assert Images().other is None and Images(beside="weight", task="forward").other is None
    assert {field.name for field in dataclasses.fields(Images)} >= set(Images.optional)


def test_without_the_network_the_tab_says_so(monkeypatch):
    monkeypatch.setattr(pictures, "names", list)
    with pytest.raises(RecipeError, match=r"fashion_mnist\.safetensors"):
        pictures.network(Images())
    assert pictures.network(Images(task="forward")) is None  # melting needs none


def test_ten_people_at_once_all_get_theirs(server):
    def get(seed):
        with urllib.request.urlopen(f"{server}/lab/images?n=10&nfe=6&seed={seed}", timeout=120) as answer:
            return answer.read()

    with concurrent.futures.ThreadPoolExecutor(10) as people:
        bodies = list(people.map(get, range(10)))
    assert all(Trajectory.decode([body]).header["done"] for body in bodies) and len(set(bodies)) == 10
    assert any(b'"queued"' in body for body in bodies)


# ---- people's own pictures


def as_file(pixels, kind="PNG", **settings):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **settings)
    return file.getvalue()


DISC = np.hypot(*np.mgrid[-50:50, -50:50]) < 30  # [100, 100]
DARK_ON_LIGHT = np.where(DISC, 20, 250).astype(np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("negative", [False, True])
def test_a_picture_becomes_light_on_dark_28_by_28(kind, negative):
    small = small_picture(as_file(255 - DARK_ON_LIGHT if negative else DARK_ON_LIGHT, kind))
    assert small.shape == (28, 28) and small.dtype == torch.uint8
    assert small[14, 14] > 200 and small[0].max() < 30


def test_a_long_picture_stays_whole():
    small = small_picture(as_file(np.vstack([DARK_ON_LIGHT[20:80, 20:80]] * 4)))
    assert small[:, :9].max() == 0 and small[:, 12:16].float().mean() > 100


def test_a_picture_survives_its_link():
    for pixels in (torch.zeros(28, 28), torch.randint(256, (28, 28), generator=torch.Generator().manual_seed(0))):
        text = own_picture.encode(pixels.to(torch.uint8))
        assert (own_picture.decode(text) == pixels).all()
        assert len(text) < 1100 and Images.of({"data": text}).query.endswith(text)
    made = Trajectory.decode(pictures.images(dataclasses.replace(FEW, task="forward", data=(text,))))
    assert (made.real == pixels.numpy()).all() and len(made.real) == 10


def test_an_own_picture_stands_alone():
    text = own_picture.encode(torch.zeros(28, 28, dtype=torch.uint8))
    for both in (("bag", text), (text, "bag"), f"bag,{text}"):
        with pytest.raises(RecipeError, match="either your own image or some of the classes"):
            Images(data=both)


BOMB = own_picture.PREFIX + "eNrtwQEBAAAAgJD-r-4ICgAAAAAA"


@pytest.mark.parametrize("text", ["picture.", "picture.AAAA", "picture.A", BOMB, "picture." + "A" * 5000, "picture.é"])
def test_what_is_no_picture_is_refused(text):
    with pytest.raises(RecipeError, match=r"^(An image in a link must be|data must)"):
        Images(data=(text,))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a PNG"),
        (b"GIF89a" + bytes(100), "not a PNG"),
        (as_file(DARK_ON_LIGHT)[:200], "not a PNG"),
        (as_file(DARK_ON_LIGHT, "JPEG")[:300], "not a PNG"),
        (as_file(np.full((50, 50), 128, np.uint8)), "hardly any contrast"),
        (bytes(MOST_PICTURE_MB * 1_000_000 + 1), "at most 20 MB"),
        (as_file(np.zeros((7000, 8000), np.uint8)), "at most 50 million pixels"),
    ],
)
def test_bad_files_are_named(tmp_path, data, words):
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    with pytest.raises(OwnDataError, match=words):
        small_picture(data)
    with pytest.raises(RecipeError, match=words):
        with_picture(FEW, str(path))


def test_an_own_picture_goes_where_it_is_of_use(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(as_file(DARK_ON_LIGHT))
    for task in TASKS:
        used = with_picture(dataclasses.replace(FEW, task=task), str(path))
        assert used.picture is not None and used.data == (used.picture,)
        assert used.task == (task if task in ("forward", "inpaint") else "back")
