"""A user's own image, 28 x 28 grey pixels, as a text short enough for a link: "picture." and base64url of zlib."""

from __future__ import annotations

import base64
import re
import zlib

import torch
from torch import Tensor

from ddpm_core.data.images import SIZE
from ddpm_core.data.own_data import OwnDataError
from ddpm_ui.words import STRINGS

PREFIX = "picture."
LONGEST = 1100  # characters of base64url; 784 incompressible bytes take 1,060
TEXT = re.compile(rf"{re.escape(PREFIX)}[A-Za-z0-9_-]{{1,{LONGEST}}}")


def encode(pixels: Tensor) -> str:
    """The text for an image, uint8 [28, 28]."""
    packed = zlib.compress(pixels.numpy().tobytes(), 9)
    return PREFIX + base64.urlsafe_b64encode(packed).decode().rstrip("=")


def decode(text: str) -> Tensor:
    """The image in a text, uint8 [28, 28]. OwnDataError for any other text; never unpacks more than one image."""
    try:
        if not TEXT.fullmatch(text):
            raise ValueError
        unpacking, code = zlib.decompressobj(), text.removeprefix(PREFIX)
        pixels = unpacking.decompress(base64.urlsafe_b64decode(code + "=" * (-len(code) % 4)), SIZE * SIZE + 1)
        if len(pixels) != SIZE * SIZE or not unpacking.eof:
            raise ValueError
    except (ValueError, zlib.error):
        key = "bad_picture_text"
        raise OwnDataError(key, STRINGS["en"][key], got=repr(text[:40])) from None
    return torch.frombuffer(bytearray(pixels), dtype=torch.uint8).view(SIZE, SIZE)
