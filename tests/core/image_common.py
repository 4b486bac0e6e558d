"""A small network of images that is not trained, and data sets of random images, as files."""

import gzip

import torch
from core_common import roused
from torch import nn

from ddpm_core import UNet

SMALL = dict(fine=8, middle=16, coarse=32)


def stirred(**sizes) -> UNet:
    """With every layer that starts at zero made to matter; in float64."""
    net = roused(UNet(**SMALL | sizes))
    for parameter in net.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return net


def idx(data: torch.Tensor, kind=8, shape=None) -> bytes:
    """As IDX: 0, 0, type, dimensions; each size as four bytes; the bytes themselves."""
    sizes = shape or data.shape
    header = bytes((0, 0, kind, len(sizes))) + b"".join(size.to_bytes(4, "big") for size in sizes)
    return header + data.numpy().tobytes()


PIXELS = torch.randint(0, 256, (60, 28, 28), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
LABELS = torch.arange(60, dtype=torch.uint8) % 10


def write(folder):
    """Two splits of 60 images, packed, with their labels, not packed."""
    for split in ("train", "t10k"):
        (folder / f"{split}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(PIXELS)))
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(idx(LABELS))
    return folder
