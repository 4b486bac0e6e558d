"""Labelled images from IDX files, the format of MNIST; they can be sampled like a mixture.

The data are Fashion-MNIST (Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747; MIT licence): 60,000 + 10,000 grey images of
28 x 28 pixels in ten classes. Pixels 0 .. 255 become -1 .. 1, where they have mean -0.43 and standard deviation 0.71.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import urllib.request
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ddpm_core.files import shipped

CLASSES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
SIZE = 28
MOST_BYTES = 200_000_000  # largest size of an unpacked file
DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # installed by the package dataset-fashion-mnist
CACHE = Path.home() / ".cache" / "fashion-mnist"
SOURCE = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
# Checksums of the unpacked files: the compressed ones differ between distributors.
SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


class ImageDataError(ValueError):
    """Image data that cannot be used; the message names the file and the defect."""


@dataclass(frozen=True, eq=False)
class Images:
    """Labelled images that can be sampled, like a mixture."""

    pixels: Tensor  # uint8 [N, 1, 28, 28]
    labels: Tensor  # int64 [N]

    @classmethod
    def of(cls, x0: Tensor, labels: Tensor) -> Images:
        """From floats [N, 1, 28, 28], rounded to 256 greys; values outside -1 .. 1 are clipped."""
        return cls(to_pixels(x0), labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows) -> Images:
        return Images(self.pixels[rows], self.labels[rows])

    @property
    def x0(self) -> Tensor:
        """float32 [N, 1, 28, 28] in -1 .. 1."""
        return to_unit(self.pixels)

    def sample(self, n: int, *, generator: torch.Generator) -> Tensor:
        """float32 [n, 1, 28, 28] in -1 .. 1, drawn with replacement."""
        return self.sample_labelled(n, generator=generator)[0]

    def sample_labelled(self, n: int, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Images float32 [n, 1, 28, 28] in -1 .. 1 and their labels [n]."""
        rows = torch.randint(len(self), (n,), generator=generator, device=generator.device).cpu()
        return self[rows].x0, self.labels[rows]

    def given_label(self, label: int) -> Images:
        """The images of one class. KeyError lists the known labels."""
        rows = self.labels == label
        if not rows.any():
            raise KeyError(f"no image has label {label}; known: {self.labels.unique().tolist()}")
        return self[rows]


def to_unit(pixels: Tensor) -> Tensor:
    """uint8 0 .. 255 -> float32 -1 .. 1."""
    return pixels.float() / 127.5 - 1


def to_pixels(x: Tensor) -> Tensor:
    """float -1 .. 1 -> uint8 0 .. 255, rounded; values outside are clipped."""
    return ((x + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def unpacked(path: Path) -> bytes:
    """The bytes of a file, unpacked if it is gzip. ImageDataError if it is damaged or larger than MOST_BYTES."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ImageDataError(f"{path.name} cannot be read: {error}") from error
    if len(data) > MOST_BYTES:
        raise ImageDataError(f"{path.name} holds more than {MOST_BYTES} bytes")
    return data


def read_idx(path: Path, dimensions: int) -> Tensor:
    """The uint8 tensor in an IDX file, compressed by gzip or not.

    ImageDataError unless the header declares unsigned bytes in `dimensions` dimensions and exactly that many bytes
    follow. The size that the header declares is only compared, never allocated.
    """
    data, header = unpacked(path), 4 + 4 * dimensions
    if len(data) < header or data[:4] != bytes((0, 0, 8, dimensions)):
        wanted = f"unsigned bytes in {dimensions} dimensions"
        start = data[:4].hex(" ") or "nothing"
        raise ImageDataError(f"{path.name} is not an IDX file of {wanted}: it begins with {start}")
    shape = [int.from_bytes(data[i : i + 4], "big") for i in range(4, header, 4)]
    if math.prod(shape) != len(data) - header:
        announced = " x ".join(map(str, shape))
        raise ImageDataError(f"{path.name} declares {announced} bytes, but {len(data) - header} follow")
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=header).reshape(shape).copy())


def read_folder(folder: Path, split: str = "train") -> Images:
    """The images and labels of a split ("train" or "t10k") of a data set in the format of MNIST.

    FileNotFoundError names a missing file, ImageDataError a damaged one.
    """

    def find(stem: str) -> Path:
        for path in (folder / stem, folder / f"{stem}.gz"):
            if path.exists():
                return path
        raise FileNotFoundError(f"no {stem} or {stem}.gz in {folder}")

    pixels = read_idx(find(f"{split}-images-idx3-ubyte"), 3)
    labels = read_idx(find(f"{split}-labels-idx1-ubyte"), 1).long()
    if pixels.shape[1:] != (SIZE, SIZE) or len(pixels) != len(labels) or not len(labels):
        shapes = f"{tuple(pixels.shape)} pixels and {tuple(labels.shape)} labels"
        raise ImageDataError(f"need N x {SIZE} x {SIZE} pixels and N labels; {folder} has {shapes}")
    if labels.max() >= len(CLASSES):
        raise ImageDataError(f"labels must be 0 .. {len(CLASSES) - 1}; {folder} has {labels.max()}")
    return Images(pixels[:, None], labels)


def fashion_mnist(split: str = "train", folder: Path | None = None) -> Images:
    """Fashion-MNIST, "train" (60,000) or "t10k" (10,000), in the order of the files.

    Read from `folder` if given, else from Debian's package, else from this user's cache, which is downloaded at the
    first call. Raises FileNotFoundError, OSError (no network) or ImageDataError.
    """
    if folder is None and not DEBIAN.is_dir():
        for stem in SHA256:
            if not (CACHE / f"{stem}.gz").exists():
                download(stem, CACHE)
    return read_folder(folder or (DEBIAN if DEBIAN.is_dir() else CACHE), split)


def download(stem: str, folder: Path, source: str = SOURCE) -> None:
    """Download one file of SHA256 from `source` into `folder`; ImageDataError if its checksum differs."""
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{stem}.part"
    try:
        with urllib.request.urlopen(f"{source}{stem}.gz", timeout=60) as answer:
            unfinished.write_bytes(answer.read(MOST_BYTES))
        if hashlib.sha256(unpacked(unfinished)).hexdigest() != SHA256[stem]:
            raise ImageDataError(f"{source}{stem}.gz has an unexpected checksum")
        unfinished.rename(folder / f"{stem}.gz")
    finally:
        unfinished.unlink(missing_ok=True)


# ---- contact sheets -------------------------------------------------------------------------------------------------

EXAMPLES = shipped("assets") / "fashion_mnist.png"  # 10 of each class, one class per row


def image_grid(x: Tensor, columns: int) -> Image.Image:
    """Images [n, 1, h, w] in -1 .. 1 as one picture, row by row; the last row is filled up with black."""
    n, _, h, w = x.shape
    rows = -(-n // columns)
    cells = torch.zeros(rows * columns, h, w, dtype=torch.uint8)
    cells[:n] = to_pixels(x[:, 0])
    return Image.fromarray(cells.view(rows, columns, h, w).movedim(2, 1).reshape(rows * h, columns * w).numpy())


def examples() -> Images:
    """The 100 real images that come with the project: ten of each class, class by class, from the test set."""
    with Image.open(EXAMPLES) as picture:
        pixels = torch.from_numpy(np.array(picture.convert("L")))  # [10 * 28, 10 * 28]
    cells = pixels.view(len(CLASSES), SIZE, -1, SIZE).movedim(1, 2)  # [10, 10, 28, 28]
    return Images(cells.reshape(-1, 1, SIZE, SIZE), torch.arange(len(CLASSES)).repeat_interleave(cells.shape[1]))
