"""Users' uploads (a CSV file, an image, a word, a drawing) as points [N, 2], y upwards, for own_data.encode; or
an image at 28 x 28 pixels, for own_picture.encode.

All input is untrusted: sizes are checked before any work, and every failure is an OwnDataError.
"""

from __future__ import annotations

import codecs
import io
import math
import unicodedata
from array import array
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor

from ddpm_core.data.images import SIZE
from ddpm_core.data.own_data import MOST_CENTRES, MOST_POINTS, OwnDataError
from ddpm_ui.words import ASSETS, STRINGS

FONT = ASSETS / "fonts" / "wqy-microhei.ttc"  # Latin, Greek, Cyrillic, kana, hangul and 20,902 Chinese characters
MB = 1_000_000

MOST_CSV_MB = 50
MOST_LINES = 2 * MOST_POINTS  # including header, comments and blank lines
LONGEST_LINE = 1000  # bytes

MOST_PICTURE_MB = 20
MOST_MEGAPIXELS = 50  # far below where Pillow warns of a decompression bomb
MOST_SCANS = 50  # of a JPEG: a progressive one has about 10, and each takes a pass over all pixels
SIDE = 256  # pixels of the longer side after reduction
LEAST_CONTRAST = 16  # of 255, between the darkest and the lightest pixel
COPIES = 4  # points for a black pixel; lighter ones have fewer

MOST_CHARACTERS = 12
FONT_SIZE = 96  # pixels

MOST_STROKES = 500
MOST_STROKE_POINTS = 50_000  # of all strokes together
TAP = 0.02  # a tap counts as a line of this length, in widths of the pad


def _refused(key: str, **values) -> OwnDataError:
    return OwnDataError(key, STRINGS["en"][key], **values)


def _check_size(data: bytes, most: int) -> None:
    if len(data) > most * MB:
        raise _refused("bad_data_file_size", most=most, got=math.ceil(len(data) / MB))


# ---- CSV -----------------------------------------------------------------------------------------------------------


def _cells(line: bytes) -> list[bytes]:
    """Split a line at the separator it uses; a comma next to a semicolon or a tab is a decimal comma."""
    if b";" in line or b"\t" in line:
        return line.replace(b",", b".").replace(b"\t", b";").split(b";")
    return line.split(b",") if b"," in line else line.split()


def _is_number(cell: bytes) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def points_from_csv(data: bytes) -> np.ndarray:
    """Points [N, 2] from a file with two numbers per line, separated by comma, semicolon, tab or spaces.

    Skips blank lines, lines that start with # and, before the first numbers, lines without any number (a header). Any
    other line must hold two finite numbers, or the OwnDataError names it. Works on bytes, because numbers are ASCII in
    UTF-8 and in Latin-1 alike and nothing else matters.
    """
    _check_size(data, MOST_CSV_MB)
    if max(data.count(b"\n"), data.count(b"\r")) > MOST_LINES:
        raise OwnDataError("bad_data_rows", most=MOST_POINTS)
    numbers = array("d")
    for row, line in enumerate(data.removeprefix(codecs.BOM_UTF8).replace(b'"', b"").splitlines(), 1):
        text = line.rstrip(b" \t,;").lstrip()  # some programs end a line with a separator
        if not text or text.startswith(b"#"):
            continue
        x = y = math.nan
        if len(text) <= LONGEST_LINE:
            cells = _cells(text)
            try:
                x, y = map(float, cells)
            except ValueError:
                if not numbers and not any(map(_is_number, cells)):
                    continue
        if not (math.isfinite(x) and math.isfinite(y)):
            raise _refused("bad_data_line", line=row, got=repr(text[:40].decode(errors="replace")))
        if len(numbers) == 2 * MOST_POINTS:
            raise OwnDataError("bad_data_rows", most=MOST_POINTS)
        numbers.append(x)
        numbers.append(y)
    if not numbers:
        raise _refused("bad_data_no_numbers")
    return np.frombuffer(numbers, dtype=np.float64).reshape(-1, 2)


# ---- pictures and words --------------------------------------------------------------------------------------------


def _points_of_ink(picture: Image.Image) -> np.ndarray:
    """The dark pixels of a grey image as points [N, 2]: 1 to COPIES of each, more for darker ones.

    Dark means below the threshold that separates the grey levels best (Otsu 1979), so the greys of paper and pencil do
    not matter. If more than half of the image is dark, the light pixels are taken instead.
    """
    grey = np.asarray(picture, dtype=np.int64)  # [h, w], 0 is black
    if np.ptp(grey) < LEAST_CONTRAST:
        raise _refused("bad_data_blank")
    count = np.bincount(grey.ravel(), minlength=256).astype(float)
    below, mass = count.cumsum()[:-1], (count * np.arange(256)).cumsum()  # pixels up to a level, their sum
    above = grey.size - below
    between = np.square(mass[-1] * below - grey.size * mass[:-1]) / np.maximum(below * above, 1)  # class variance
    ink = grey <= between.argmax()
    if ink.mean() > 0.5:
        ink, grey = ~ink, 255 - grey
    row, column = ink.nonzero()
    copies = 1 + (COPIES * (255 - grey[ink]) - 1).clip(0) // 256
    return np.stack([column, -row], -1).repeat(copies, axis=0).astype(float)


def _grey(picture: Image.Image) -> Image.Image:
    """The image in grey on white, upright, its longer side at most SIDE pixels."""
    picture.draft("L", (SIDE, SIDE))  # a JPEG is decoded at down to an eighth of its size if that is enough
    if picture.mode.startswith("I"):  # 16 bits a pixel
        picture = picture.point(lambda level: level / 256).convert("L")
    elif picture.mode not in ("L", "RGB", "RGBA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
    picture.thumbnail((SIDE, SIDE))
    picture = ImageOps.exif_transpose(picture)
    if picture.mode == "RGBA":
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("L")


def _opened(data: bytes) -> Image.Image:
    """A PNG, JPEG or WebP image in grey on white; the first frame of an animation.

    OwnDataError for anything else, and if the header declares too many pixels.
    """
    _check_size(data, MOST_PICTURE_MB)
    if data.startswith(b"\xff\xd8") and data.count(b"\xff\xda") > MOST_SCANS:
        raise _refused("bad_data_picture")
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as picture:
            megapixels = math.ceil(picture.width * picture.height / MB)
            grey = _grey(picture) if megapixels <= MOST_MEGAPIXELS else None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _refused("bad_data_pixels", most=MOST_MEGAPIXELS) from error
    except Exception as error:  # a broken file makes Pillow's decoders raise almost anything
        raise _refused("bad_data_picture") from error
    if grey is None:
        raise _refused("bad_data_pixels", most=MOST_MEGAPIXELS)
    return grey


def points_from_picture(data: bytes) -> np.ndarray:
    """The dark pixels of a PNG, JPEG or WebP image (the light ones of a mostly dark image), [N, 2], in pixels.

    Transparent pixels count as white. OwnDataError for anything else, and for an image without contrast.
    """
    return _points_of_ink(_opened(data))


def small_picture(data: bytes) -> Tensor:
    """A PNG, JPEG or WebP image as uint8 [28, 28] in the style of Fashion-MNIST: whole, centred, on black.

    An image on a light background, judged by the median of its border, is inverted. OwnDataError as above.
    """
    grey = _opened(data)
    levels = np.asarray(grey)
    if np.ptp(levels) < LEAST_CONTRAST:
        raise _refused("bad_data_blank")
    rim = np.concatenate([levels[0], levels[-1], levels[:, 0], levels[:, -1]])
    if np.median(rim) > 127:
        grey = ImageOps.invert(grey)
    return torch.from_numpy(np.array(ImageOps.pad(grey, (SIZE, SIZE))))


def points_from_word(text: str) -> np.ndarray:
    """The ink of up to MOST_CHARACTERS characters on one line, Latin or Chinese, [N, 2], in pixels.

    OwnDataError for none or too many, for unprintable characters, and for those that the font lacks.
    """
    word = unicodedata.normalize("NFC", text[: 10 * MOST_CHARACTERS]).strip()
    if not 1 <= len(word) <= MOST_CHARACTERS or not word.isprintable():
        raise _refused("bad_data_word", most=MOST_CHARACTERS, got=repr(text[:40]))
    font = ImageFont.truetype(FONT, FONT_SIZE, layout_engine=ImageFont.Layout.BASIC)
    shapes = {c: bytes(font.getmask(c)) for c in {*word, "\U0010fffe"}}  # the last one is not a character in any font
    lacking = [c for c in dict.fromkeys(word) if shapes[c] == shapes["\U0010fffe"]]
    if lacking:
        raise _refused("bad_data_characters", got=" ".join(lacking))
    left, top, right, bottom = map(int, font.getbbox(word))
    picture = Image.new("L", (right - left + 2 * FONT_SIZE, bottom - top + 2 * FONT_SIZE), "white")
    ImageDraw.Draw(picture).text((FONT_SIZE - left, FONT_SIZE - top), word, "black", font)
    return _points_of_ink(picture)


# ---- drawings ------------------------------------------------------------------------------------------------------


def points_from_strokes(strokes: Sequence[Sequence[Sequence[float]]]) -> np.ndarray:
    """Strokes of points (x, y) on a pad, 0 to 1, y downwards, as MOST_CENTRES points, equally spaced along the lines.

    They stay in the order of drawing: `encode(..., ordered=True)`. A stroke that does not move is a tap and becomes
    several equal points. OwnDataError if there is too much or nothing, and for anything but coordinates.
    """
    try:
        if len(strokes) > MOST_STROKES or sum(map(len, strokes)) > MOST_STROKE_POINTS:
            raise _refused("bad_data_drawing_size", strokes=MOST_STROKES, points=MOST_STROKE_POINTS)
        paths = [np.array(stroke, dtype=np.float64) for stroke in strokes if len(stroke)]
        if not all(path.shape[1:] == (2,) and (path >= 0).all() and (path <= 1).all() for path in paths):
            raise _refused("bad_data_drawing")
    except (TypeError, ValueError, OverflowError) as error:
        raise error if isinstance(error, OwnDataError) else _refused("bad_data_drawing") from error
    if not paths:
        raise OwnDataError("bad_data_one_place")
    starts, steps, lengths = [], [], []  # of the straight pieces between neighbouring points of a stroke
    for path in paths:
        step = np.diff(path, axis=0)
        length = np.hypot(*step.T)
        if not length.any():
            step, length = np.zeros((1, 2)), np.array([TAP])
        starts.append(path[: len(step)])
        steps.append(step)
        lengths.append(length)
    start, step, length = (np.concatenate(parts) for parts in (starts, steps, lengths))
    end = length.cumsum()  # length drawn up to the end of each piece
    drawn = (np.arange(MOST_CENTRES) + 0.5) / MOST_CENTRES * end[-1]
    piece = end.searchsorted(drawn, side="right")
    points = start[piece] + step[piece] * (1 - (end[piece] - drawn) / length[piece])[:, None]
    if not np.ptp(points, axis=0).any():
        raise OwnDataError("bad_data_one_place")
    return points * [1, -1]
