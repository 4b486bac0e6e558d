import gzip
import hashlib

import pytest
import torch
from core_common import close
from image_common import LABELS, PIXELS, idx, write
from PIL import Image

from ddpm_core.data import images
from ddpm_core.data.images import (
    CLASSES,
    ImageDataError,
    Images,
    examples,
    fashion_mnist,
    image_grid,
    read_folder,
    to_pixels,
)


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path)


# ---- reading ----


def test_packed_or_not_what_was_written_is_read(folder):
    data = read_folder(folder)
    assert torch.equal(data.pixels[:, 0], PIXELS) and torch.equal(data.labels, LABELS.long()) and len(data) == 60
    assert data.pixels.shape == (60, 1, 28, 28)


GOOD = idx(PIXELS)
BAD = {
    "empty": b"",
    "another magic": b"\x89PNG" + GOOD[4:],
    "labels": idx(LABELS),
    "floats": idx(PIXELS, kind=13),
    "half a header": GOOD[:9],
    "truncated": GOOD[:-1],
    "too long": GOOD + b"\0",
    "a huge header": idx(PIXELS, shape=(2**32 - 1, 2**32 - 1, 2**32 - 1)),
    "a truncated archive": gzip.compress(GOOD)[:1000],
    "a damaged archive": gzip.compress(GOOD)[:500] + bytes(200) + gzip.compress(GOOD)[700:],
    "another size": idx(PIXELS[:, :27]),
    "fewer images": idx(PIXELS[:49]),
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_what_is_no_such_file_is_refused(folder, content):
    (folder / "train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(ImageDataError, match=r"train-images-idx3-ubyte\.gz|pixels"):
        read_folder(folder)


def test_a_bomb_is_not_unpacked(folder, monkeypatch):
    """Nothing larger than the limit is ever held."""
    monkeypatch.setattr(images, "MOST_BYTES", 1000)
    with pytest.raises(ImageDataError, match="more than 1000"):
        read_folder(folder)


@pytest.mark.parametrize("labels", [LABELS[:0], LABELS[:49], LABELS + 1])
def test_labels_must_fit(folder, labels):
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(labels))
    with pytest.raises(ImageDataError, match="labels"):
        read_folder(folder)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="t10k-images-idx3-ubyte"):
        fashion_mnist("t10k", tmp_path)


# ---- over the network ----


@pytest.fixture
def mirror(folder, monkeypatch, tmp_path_factory):
    """A user without Debian's package, and a server that has the files; what it sends is what is expected."""
    cache = tmp_path_factory.mktemp("cache") / "fashion-mnist"
    monkeypatch.setattr(images, "DEBIAN", folder / "nowhere")
    monkeypatch.setattr(images, "CACHE", cache)
    monkeypatch.setattr(images.download, "__defaults__", (folder.as_uri() + "/",))
    sums = {}
    for stem in images.SHA256:
        content = idx(PIXELS if "images" in stem else LABELS)
        (folder / f"{stem}.gz").write_bytes(gzip.compress(content))
        sums[stem] = hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(images, "SHA256", sums)
    return folder, cache


def test_it_is_fetched_once(mirror):
    folder, cache = mirror
    assert len(fashion_mnist()) == 60
    for path in folder.iterdir():
        path.unlink()
    assert len(fashion_mnist("t10k")) == 60 and len(list(cache.iterdir())) == 4


def test_another_file_than_expected_is_not_kept(mirror):
    folder, cache = mirror
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(255 - PIXELS)))
    with pytest.raises(ImageDataError, match="checksum"):
        fashion_mnist()
    assert not list(cache.iterdir())


@pytest.mark.skipif(not images.DEBIAN.is_dir(), reason="needs Debian's package dataset-fashion-mnist")
def test_the_checksums_are_those_of_the_data():
    for stem, known in images.SHA256.items():
        assert hashlib.sha256(images.unpacked(images.DEBIAN / f"{stem}.gz")).hexdigest() == known


# ---- drawing ----


def test_they_are_drawn_like_points_of_a_mixture():
    data, generators = Images(PIXELS[:, None], LABELS.long()), (torch.Generator().manual_seed(1) for _ in range(2))
    x, labels = data.sample_labelled(400, generator=next(generators))
    assert (
        x.shape == (400, 1, 28, 28)
        and x.dtype == torch.float32
        and torch.equal(data.sample(400, generator=next(generators)), x)
    )
    rows = torch.cdist(x.flatten(1), data.x0.flatten(1)).argmin(1)
    assert torch.equal(x, data.x0[rows]) and torch.equal(labels, data.labels[rows]) and len(rows.unique()) > 45


def test_pixels_are_between_minus_one_and_one_and_come_back():
    data = Images(torch.arange(256, dtype=torch.uint8).view(-1, 1, 1, 1), torch.zeros(256, dtype=torch.long))
    assert data.x0[0] == -1 and data.x0[255] == 1
    close(data.x0.diff(dim=0), torch.full((255, 1, 1, 1), 2 / 255), 1e-6)
    assert torch.equal(to_pixels(data.x0), data.pixels)
    assert to_pixels(torch.tensor([-3.0, 3.0])).tolist() == [0, 255]


def test_those_of_one_class():
    data = Images(PIXELS[:, None], LABELS.long())
    assert torch.equal(data.given_label(3).pixels, data.pixels[3::10]) and (data.given_label(3).labels == 3).all()
    with pytest.raises(KeyError, match="11"):
        data.given_label(11)


def test_ten_real_images_of_each_class_come_along():
    data = examples()
    assert len(data) == 100 and torch.equal(data.labels, torch.arange(10).repeat_interleave(10)) and len(CLASSES) == 10
    if images.DEBIAN.is_dir():
        test = fashion_mnist("t10k")
        assert all(torch.equal(data.given_label(k).pixels, test.given_label(k).pixels[:10]) for k in range(10))
    with Image.open(images.EXAMPLES) as picture:
        assert "MIT" in picture.text["Copyright"]


def test_a_grid_shows_them_row_by_row():
    x = Images(PIXELS[:5, None], LABELS[:5].long()).x0
    picture = torch.tensor(list(image_grid(x, 3).tobytes()), dtype=torch.uint8).view(56, 84)
    assert torch.equal(picture[:28, 28:56], PIXELS[1]) and torch.equal(picture[28:, 28:56], PIXELS[4])
    assert (picture[28:, 56:] == 0).all()
