"""What people bring: every format, every refusal, and files broken in any way."""

import io
import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageDraw

from ddpm_core.data.own_data import ENGLISH, MOST_CENTRES, MOST_POINTS, OwnDataError, decode, encode
from ddpm_ui.server.uploads import (
    FONT,
    MOST_CHARACTERS,
    MOST_CSV_MB,
    MOST_LINES,
    MOST_PICTURE_MB,
    MOST_SCANS,
    MOST_STROKE_POINTS,
    MOST_STROKES,
    points_from_csv,
    points_from_picture,
    points_from_strokes,
    points_from_word,
)
from ddpm_ui.words import STRINGS, Message


def refusal(read, *arguments):
    """The key of the error, which must be one that both languages can say."""
    with pytest.raises(OwnDataError) as caught:
        read(*arguments)
    error = caught.value
    assert str(error) == str(Message(error.key, error.values))
    assert len(str(error)) < 300
    STRINGS["zh-CN"][error.key].format(**error.values)
    return error.key


def test_the_core_and_the_page_say_the_same():
    assert {key: STRINGS["en"][key] for key in ENGLISH} == ENGLISH


# ---- CSV -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"1,-2\n3.5,4e2",
        b"1, -2\n3.5, 4e2\n",
        b"1;-2\n3.5;4e2\n",
        b"1;-2\n3,5;4e2\n",
        b"1\t-2\n3,5\t4e2\n",
        b"1 -2\n3.5 4e2\n",
        b"  1   -2  \n  3.5   4e2  \n",
        b"1,-2\r\n3.5,4e2\r\n",
        b"1,-2\r3.5,4e2\r",
        b"x,y\n1,-2\n3.5,4e2\n",
        b"\xef\xbb\xbfx,y\n1,-2\n3.5,4e2\n",
        b"\xef\xbb\xbf1,-2\n3.5,4e2\n",
        b"sep=;\nx;y\n1;-2\n3.5;4e2\n",
        "Größe;Höhe\n1;-2\n3,5;4e2\n".encode("latin-1"),
        "长度,高度\n1,-2\n3.5,4e2\n".encode(),
        b"# a comment, 7\n\n1,-2\n\n# 5,6\n   \n3.5,4e2\n\n",
        b'"x","y"\n"1","-2"\n"3.5","4e2"\n',
        b"1,-2,\n3.5,4e2,\n",
        b"1;-2;\n3,5;4e2;\n",
    ],
)
def test_every_way_to_write_a_csv(data):
    assert points_from_csv(data).tolist() == [[1, -2], [3.5, 400]]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"1,2\n3,x\n", 2),
        (b"1,2\r\n\r\n# no\r\n3\r\n", 4),
        (b"1,2\n3,4,5\n", 2),
        (b"1,2\nx,y\n", 2),
        (b"x,y\n1,nan\n", 2),
        (b"x,y\n1,2\ninf,2\n", 3),
        (b"1,2\n1e999,2\n", 2),
        (b"nan,nan\n", 1),
        (b"x,3\n1,2\n", 1),
        (b"1,2\n3,\n", 2),
        (b"1,2\n,3\n", 2),
        (b"1,5,2,5\n", 1),
        (b"1.234,5;6\n", 1),
        (b"1,2\n" + b"1" * 10_000 + b",2\n", 2),
        (b"1,2\n\xff\x00\xfe,<b>\n", 2),
    ],
)
def test_the_line_that_is_wrong_is_named(data, line):
    with pytest.raises(OwnDataError, match=rf"^Line {line} must hold two finite numbers; got '"):
        points_from_csv(data)
    assert refusal(points_from_csv, data) == "bad_data_line"


@pytest.mark.parametrize("data", [b"", b"\n\n", b"x,y\n", b"# 1,2\n", b"Dear all,\nno data here.\n", b"\xef\xbb\xbf"])
def test_a_file_without_numbers(data):
    assert refusal(points_from_csv, data) == "bad_data_no_numbers"


def test_limits_of_a_csv(monkeypatch):
    assert refusal(points_from_csv, b" " * (MOST_CSV_MB * 1_000_000 + 1)) == "bad_data_file_size"
    assert refusal(points_from_csv, b"\n" * (MOST_LINES + 1)) == "bad_data_rows"
    monkeypatch.setattr("ddpm_ui.server.uploads.MOST_POINTS", 1000)
    assert len(points_from_csv(b"1,2\n" * 1000)) == 1000
    assert refusal(points_from_csv, b"1,2\n" * 1001) == "bad_data_rows"


def test_a_million_rows():
    points = points_from_csv(b"x,y\n" + b"1.25,-2.5\n3.75,4e2\n" * (MOST_POINTS // 2))
    assert points.shape == (MOST_POINTS, 2)
    assert points[-1].tolist() == [3.75, 400]


def test_csv_to_text_and_back():
    points = np.random.default_rng(0).normal(size=(50, 2))
    data = "\n".join(f"{x!r};{y!r}" for x, y in points.tolist()).encode()
    assert encode(points_from_csv(data)) == encode(points)


# ---- pictures ------------------------------------------------------------------------------------------------------

FORMATS = ("PNG", "JPEG", "WEBP")


def drawn(size=(120, 80), mode="RGB", paper="white", ink="black") -> Image.Image:
    """An L whose foot lies at the bottom right: no symmetry hides a flip or a turn."""
    picture = Image.new(mode, size, paper)
    pen = ImageDraw.Draw(picture)
    w, h = size
    pen.rectangle((w // 6, h // 8, w // 4, h - h // 8), ink)
    pen.rectangle((w // 6, h - h // 4, w - w // 6, h - h // 8), ink)
    return picture


def file_of(picture, kind="PNG", **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def middle(points):
    """Centre of mass in the box around the points, 0 to 1."""
    return (points.mean(0) - points.min(0)) / np.ptp(points, axis=0)


L = middle(points_from_picture(file_of(drawn())))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("size", [(30, 20), (120, 80), (900, 600)])
def test_dark_pixels_become_points_with_y_upwards(kind, size):
    points = points_from_picture(file_of(drawn(size), kind))
    assert middle(points) == pytest.approx(L, abs=0.05)
    assert L[0] < 0.45 and L[1] < 0.4  # heavier on the left and below
    width, height = np.ptp(points, axis=0)
    assert width / height == pytest.approx(80 / 60, abs=0.15)
    assert np.array_equal(points, points_from_picture(file_of(drawn(size), kind)))


@pytest.mark.parametrize(
    "picture",
    [
        drawn(mode="L"),
        drawn(mode="1", paper=1, ink=0),
        drawn().quantize(4),
        drawn(mode="LA", paper=(255, 255), ink=(0, 255)),
        drawn(mode="RGBA", paper=(0, 0, 0, 0), ink=(0, 0, 0, 255)),  # black on nothing
        drawn(paper="black", ink="white"),
        drawn(paper="#e8e4da", ink="#8a8a99"),  # a pencil on grey paper
        Image.fromarray(np.asarray(drawn(mode="L")).astype(np.uint16) * 257),  # 16 bits
    ],
    ids=["grey", "bits", "palette", "grey-alpha", "transparent", "inverted", "pencil", "16-bit"],
)
def test_every_kind_of_picture(picture):
    assert middle(points_from_picture(file_of(picture))) == pytest.approx(L, abs=0.02)


@pytest.mark.parametrize("picture", [drawn(paper="#300000").quantize(4), drawn(mode="L", paper=9), drawn(paper="#900")])
def test_one_color_that_is_transparent(picture):
    data = file_of(picture, transparency=picture.getpixel((0, 0)))
    assert middle(points_from_picture(data)) == pytest.approx(L, abs=0.02)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_turned_camera(kind):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned clockwise by a quarter
    turned = drawn().transpose(Image.Transpose.ROTATE_90)
    assert middle(points_from_picture(file_of(turned, kind, exif=exif))) == pytest.approx(L, abs=0.03)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_is_its_first_frame(kind):
    rest = [Image.new("RGB", (120, 80), color) for color in ("white", "black")]
    data = file_of(drawn(), kind, save_all=True, append_images=rest, lossless=True)
    assert middle(points_from_picture(data)) == pytest.approx(L, abs=0.02)


def test_darker_places_have_more_points():
    left, right = Image.new("L", (40, 40), 0), Image.new("L", (40, 40), 100)
    picture = Image.new("L", (200, 100), 255)
    picture.paste(left, (20, 30))
    picture.paste(right, (140, 30))
    x = points_from_picture(file_of(picture))[:, 0]
    assert (x < 100).sum() == 4 * 1600 and (x > 100).sum() == 3 * 1600


@pytest.mark.parametrize("color", ["white", "black", "grey"])
@pytest.mark.parametrize("kind", FORMATS)
def test_an_empty_picture(color, kind):
    assert refusal(points_from_picture, file_of(Image.new("RGB", (50, 50), color), kind)) == "bad_data_blank"


def bomb(width, height) -> bytes:
    """A tiny PNG that claims to be large."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(50_000, 50_000), (10_000, 10_000), (7_100, 7_100), (50_000_001, 1)])
def test_bombs_are_refused_by_their_header(size):
    assert refusal(points_from_picture, bomb(*size)) == "bad_data_pixels"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        file_of(drawn(), "GIF"),
        file_of(drawn(), "BMP"),
        file_of(drawn(), "TIFF"),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        bomb(300, 400),  # has fewer rows than it claims
        file_of(drawn(), "JPEG") + b"\xff\xda" * MOST_SCANS,
    ],
    ids=["empty", "text", "gif", "bmp", "tiff", "eps", "svg", "short", "scans"],
)
def test_anything_else_is_refused(data):
    assert refusal(points_from_picture, data) == "bad_data_picture"


def test_the_size_of_a_picture_file_is_limited():
    assert refusal(points_from_picture, bytes(MOST_PICTURE_MB * 1_000_000 + 1)) == "bad_data_file_size"


EXIF = Image.Exif()
EXIF[0x0112], EXIF[0x010E] = 8, "a drawing"
VICTIMS = {
    **{kind: file_of(drawn((60, 40)), kind, exif=EXIF) for kind in FORMATS},
    "progressive": file_of(drawn((60, 40)), "JPEG", progressive=True),
    "APNG": file_of(drawn((60, 40)), "PNG", save_all=True, append_images=[Image.new("RGB", (60, 40))]),
    "palette": file_of(drawn((60, 40)).quantize(4), transparency=0),
    "WEBP animation": file_of(drawn((60, 40)), "WEBP", save_all=True, append_images=[Image.new("RGB", (60, 40))]),
    "CSV": b"\xef\xbb\xbfx;y\r\n" + b"".join(b"%d,5;%d\r\n" % (i, i * i) for i in range(40)),
}


def repaired(data: bytes) -> bytes:
    """With the checksums of a PNG made right, so that what is broken gets past them."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    out, at = bytearray(data), 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        out[end : end + 4] = zlib.crc32(data[at + 4 : end]).to_bytes(4, "big") if end + 4 <= len(data) else out[end:]
        at = end + 4
    return bytes(out)


@pytest.mark.parametrize("name", VICTIMS)
def test_broken_files_give_points_or_a_refusal(name):
    whole, read = VICTIMS[name], points_from_csv if name == "CSV" else points_from_picture
    rng = np.random.default_rng(len(whole))
    for trial in range(250):
        data = bytearray(whole)
        if trial % 3 == 0:
            data = data[: rng.integers(len(data))]
        else:
            for at in rng.integers(min(len(data), (200, 10**9)[trial % 2]), size=rng.integers(1, 8)):
                data[at] ^= 1 << rng.integers(8)
        try:
            points = read(repaired(bytes(data)) if trial % 2 else bytes(data))
        except OwnDataError:
            continue
        assert points.ndim == 2 and points.shape[1] == 2 and np.isfinite(points).all()


# ---- words ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word", ["A", "DDPM", "扩散模型", "龍", "AI 扩散", "Größe", "ДЖ", "かな", "i", "W" * MOST_CHARACTERS]
)
def test_words_become_shapes(word):
    points = points_from_word(word)
    assert len(points) > 100
    assert np.array_equal(points, points_from_word(f"  {word}\n"))
    assert decode(encode(points)).K == MOST_CENTRES


def test_words_stand_upright_and_read_from_left_to_right():
    x, y = points_from_word("L.").T
    assert np.ptp(x) > 0.5 * np.ptp(y)
    assert middle(points_from_word("T"))[1] > 0.6 and middle(points_from_word("L"))[1] < 0.4
    assert middle(points_from_word("L"))[0] < 0.4


def test_composed_and_decomposed_are_the_same_word():
    assert np.array_equal(points_from_word("e\u0301"), points_from_word("é"))


@pytest.mark.parametrize("word", ["", "   ", "\n", "a\nb", "a\x00b", "\u200b", "\ud800", "W" * 13, "扩" * 10**6])
def test_what_is_no_word(word):
    assert refusal(points_from_word, word) == "bad_data_word"


def test_characters_that_the_font_lacks_are_named():
    with pytest.raises(OwnDataError, match=r"^The font has no glyph for 🙂 ☃$"):
        points_from_word("a🙂☃🙂")
    assert refusal(points_from_word, "🙂") == "bad_data_characters"


def test_the_font_comes_with_its_licence():
    assert FONT.stat().st_size < 10_000_000
    assert "Apache License" in (FONT.parent / "LICENSE").read_text()
    assert FONT.name in (FONT.parent / "README.md").read_text(encoding="utf-8")


# ---- drawings ------------------------------------------------------------------------------------------------------


def test_lines_are_cut_at_equal_distances_in_the_order_of_drawing():
    """However unevenly the mouse reported; nothing is drawn while the pen is up."""
    line = [[0.1, 0.9], [0.1, 0.9], [0.11, 0.9], [0.5, 0.9]]
    points = points_from_strokes([line, [[0.5, 0.1], [0.5, 0.5]]])
    assert points.shape == (MOST_CENTRES, 2)
    gaps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    assert (np.delete(gaps, 255) == pytest.approx(0.8 / 512)) and gaps[255] > 0.7
    assert (points[:256, 1] == -0.9).all() and (points[256:, 0] == 0.5).all()
    means = decode(encode(points, ordered=True)).means
    assert (means[:256].diff(dim=0)[:, 0] > 0).all() and (means[256:].diff(dim=0)[:, 1] < 0).all()


def test_taps_are_dots():
    points = points_from_strokes([[[0, 0]], [[1, 0], [1, 0]], [[0.5, 1]]])
    places, copies = np.unique(points, axis=0, return_counts=True)
    assert places.tolist() == [[0, 0], [0.5, -1], [1, 0]]
    assert copies.max() - copies.min() <= 1


@pytest.mark.parametrize(
    ("strokes", "key"),
    [
        ([], "bad_data_one_place"),
        ([[]], "bad_data_one_place"),
        ([[[0.5, 0.5]]], "bad_data_one_place"),
        ([[[0.5, 0.5]] * 9, [[0.5, 0.5]]], "bad_data_one_place"),
        ([[[0, 0], [1.01, 0]]], "bad_data_drawing"),
        ([[[0, 0], [-0.01, 0]]], "bad_data_drawing"),
        ([[[0, 0], [float("nan"), 0]]], "bad_data_drawing"),
        ([[[0, 0], [float("inf"), 0]]], "bad_data_drawing"),
        ([[[0, 0], [0, None]]], "bad_data_drawing"),
        ([[[0, 0], [0]]], "bad_data_drawing"),
        ([[[0, 0, 0]]], "bad_data_drawing"),
        ([[0, 1]], "bad_data_drawing"),
        ([0, 1], "bad_data_drawing"),
        (None, "bad_data_drawing"),
        (7, "bad_data_drawing"),
        ("strokes", "bad_data_drawing"),
        ({"x": 1}, "bad_data_drawing"),
        ([{"x": 0}], "bad_data_drawing"),
        ([[[10**400, 0]]], "bad_data_drawing"),
        ([[[[0, 0], [1, 1]]]], "bad_data_drawing"),
        ([[[0, 0]]] * (MOST_STROKES + 1), "bad_data_drawing_size"),
        ([[[0, 0]] * (MOST_STROKE_POINTS + 1)], "bad_data_drawing_size"),
    ],
)
def test_what_is_no_drawing(strokes, key):
    assert refusal(points_from_strokes, strokes) == key


def test_random_json_is_points_or_a_refusal():
    rng = np.random.default_rng(0)
    whole = json.dumps([[[0.25, 0.5], [0.75, 0.125]], [[1, 0], [0, 1], [0.5, 0.5]]])
    for _ in range(300):
        text = list(whole)
        for at in rng.integers(len(text), size=2):
            text[at] = str(rng.choice(list('0123456789.,[]{}"e-')))
        try:
            points = points_from_strokes(json.loads("".join(text)))
        except (json.JSONDecodeError, OwnDataError):
            continue
        assert points.shape == (MOST_CENTRES, 2) and np.isfinite(points).all()
