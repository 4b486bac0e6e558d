"""The wire format: a stream of chunks that the page draws while they arrive, and its decoder.

A chunk is [uint32 kind][uint32 length][payload, zero-padded to 4 bytes], little endian. The first one is a JSON header.
Whatever moves runs along the header's `axis`, which has a name (t, evaluations left, model time) and a last place,
noise. If the axis is that of a schedule, alpha and sigma give one number per place. Positions are fixed point, int16 in
multiples of `unit`, in variance-preserving coordinates, x / sqrt(alpha^2 + sigma^2), so that every path fits the plot.

    JSON     the header, then updates to it: metrics, done
    COLOURS  uint8 [n]                       where in the data each particle belongs
    CLOUD    int16 [m, 2]                    a sample of the data, for comparison
    PAIR     int16 [2, n, *shape]            x0 and eps: every x_t is alpha_t x0 + sigma_t eps
    FRAME    int32 place, nfe; int16 [layers, n, 2]
    SHOT     int32 step, 0; int16 [last + 1, n, 2]     a trajectory, data first, at one step of a second axis, `shots`
    PIXELS   int32 place, nfe; uint8 [1 or 2, n, *shape]   images: x_t, and x0-hat once the network was evaluated
    REAL     uint8 [n, *shape]               the real images that a run starts from, for comparison
    FIELD    int32 level; float32 [views] the largest coordinate of each; int16 [rows, views, side^2, 2] in `unit`s
             of that, where the header's `unit` is 1 / 32767; uint8 [side^2] density in units of its maximum / 255

`shape` is that of one image, from the header; [2] for points. The page receives KINDS and repeats none of its numbers.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Generator, Iterable
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ddpm_core import Schedule

Kind = IntEnum("Kind", "JSON COLOURS CLOUD PAIR FRAME SHOT PIXELS REAL FIELD", start=0)
KINDS = {kind.name: kind.value for kind in Kind}

LARGEST = 32767  # of an int16
RANGE = 8.0  # standard deviations of the data; points farther out are clipped
VIEW = 3.3  # half the width of the plot


def chunk(kind: Kind, *payload: bytes) -> bytes:
    content = b"".join(payload)
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 4)


def json_chunk(value: dict) -> bytes:
    return chunk(Kind.JSON, json.dumps(value, separators=(",", ":")).encode())


PAUSE = json_chunk({})  # empty; at this point waiting computations may go first


class Axis(NamedTuple):
    """What a stream runs along, from place 0 to the last. Its name and its ends are keys of the page's texts."""

    name: str
    last: int
    ends: tuple[str, str] = ("data", "noise")


def header(axis: Axis, *, levels: Schedule | None = None, shots: Axis | None = None, **more) -> bytes:
    """levels: of every place, if the axis is that of a schedule. shots: the second axis, of SHOTs."""

    def digits(c: Tensor) -> list[float]:
        return [float(f"{v:.8g}") + 0.0 for v in c.tolist()]  # no -0, because the page divides by it

    common: dict = dict(axis=axis._asdict(), unit=RANGE / LARGEST, view=VIEW)
    common |= {"alpha": digits(levels.alpha), "sigma": digits(levels.sigma)} if levels else {}
    common |= {"shots": shots._asdict()} if shots else {}
    return json_chunk(common | more)


def fixed_point(x: Tensor) -> bytes:
    return np.rint(x.cpu().double().numpy() * (LARGEST / RANGE)).clip(-LARGEST, LARGEST).astype("<i2").tobytes()


def grey(pictures: Tensor) -> bytes:
    """uint8 [n, ...]."""
    return pictures.cpu().numpy().tobytes()


def colours(component: Tensor, K: int) -> bytes:
    """component [n] in 0 .. K - 1: where in the data each particle belongs."""
    return chunk(Kind.COLOURS, grey((component * 255 // max(K - 1, 1)).to(torch.uint8)))


def cloud(points: Tensor) -> bytes:
    return chunk(Kind.CLOUD, fixed_point(points))


def pair(x0: Tensor, eps: Tensor) -> bytes:
    return chunk(Kind.PAIR, fixed_point(x0), fixed_point(eps))


def frame(place: int, nfe: int, *layers: Tensor) -> bytes:
    return chunk(Kind.FRAME, struct.pack("<ii", place, nfe), *map(fixed_point, layers))


def shot(step: int, walk: Tensor) -> bytes:
    """A whole trajectory [last + 1, n, 2], data first."""
    return chunk(Kind.SHOT, struct.pack("<ii", step, 0), fixed_point(walk))


def pixels(place: int, nfe: int, *layers: Tensor) -> bytes:
    return chunk(Kind.PIXELS, struct.pack("<ii", place, nfe), *map(grey, layers))


def real(pictures: Tensor) -> bytes:
    return chunk(Kind.REAL, grey(pictures))


def field(level: int, vectors: Tensor, log_density: Tensor) -> bytes:
    """vectors [rows, views, side^2, 2], and the log-density [side^2] of the noised data at the same points."""
    largest = vectors.abs().amax((0, 2, 3))  # [views]
    units = (vectors / largest[:, None, None] * LARGEST).round().numpy().astype("<i2")
    shade = (255 * (log_density - log_density.max()).exp()).round().to(torch.uint8)
    scale = largest.numpy().astype("<f4")
    return chunk(Kind.FIELD, struct.pack("<i", level), scale.tobytes(), units.tobytes(), grey(shade))


# ---- decoding -------------------------------------------------------------------------------------------------------


def parts(chunks: Iterable[bytes]) -> Generator[tuple[int, bytes], None, None]:
    """The kinds and payloads in a stream of chunks."""
    data, at = b"".join(chunks), 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        yield kind, data[at + 8 : at + 8 + length]
        at += 8 + length + -length % 4


@dataclasses.dataclass
class Trajectory:
    """A decoded stream: the numbers that the page draws."""

    header: dict = dataclasses.field(default_factory=dict)
    colours: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.uint8))  # [n]
    cloud: np.ndarray | None = None  # [m, 2]
    pair: np.ndarray | None = None  # [2, n, *shape]
    frames: dict[int, np.ndarray] = dataclasses.field(default_factory=dict)  # place -> [layers, n, 2]
    shots: dict[int, np.ndarray] = dataclasses.field(default_factory=dict)  # step -> [last + 1, n, 2]
    fields: dict[int, tuple[np.ndarray, np.ndarray]] = dataclasses.field(default_factory=dict)
    # level -> vectors [rows, views, side^2, 2], density [side^2] from 0 to 1
    pictures: dict[int, np.ndarray] = dataclasses.field(default_factory=dict)  # place -> uint8 [1 or 2, n, *shape]
    nfe: dict[int, int] = dataclasses.field(default_factory=dict)  # place -> evaluations, of FRAMEs and PIXELS
    real: np.ndarray | None = None  # uint8 [n, *shape]

    @classmethod
    def decode(cls, chunks: Iterable[bytes]) -> Trajectory:
        self = cls()
        for kind, payload in parts(chunks):
            self._take(kind, payload)
        return self

    def _take(self, kind: int, payload: bytes) -> None:
        if kind == Kind.JSON:
            self.header |= json.loads(payload)
        elif kind == Kind.COLOURS:
            self.colours = np.frombuffer(payload, np.uint8)
        elif kind == Kind.CLOUD:
            self.cloud = self._fixed(payload, 2)
        elif kind == Kind.PAIR:
            self.pair = self._fixed(payload, self.header["n"], *self.shape)
        elif kind == Kind.REAL:
            self.real = np.frombuffer(payload, np.uint8).reshape(-1, *self.shape)
        elif kind == Kind.FIELD:
            level, vectors, density = self._field(payload)
            self.fields[level] = vectors, density
        else:
            place, nfe = struct.unpack_from("<ii", payload)
            self.nfe[place] = nfe
            if kind == Kind.FRAME:
                self.frames[place] = self._fixed(payload[8:], self.header["n"], 2)
            elif kind == Kind.SHOT:
                self.shots[place] = self._fixed(payload[8:], self.header["n"], 2)
            elif kind == Kind.PIXELS:
                self.pictures[place] = np.frombuffer(payload, np.uint8, offset=8).reshape(
                    -1, self.header["n"], *self.shape
                )

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one particle."""
        return tuple(self.header.get("shape", (2,)))

    def _fixed(self, payload: bytes, *shape: int) -> np.ndarray:
        return np.frombuffer(payload, "<i2").reshape(-1, *shape) * self.header["unit"]

    def _field(self, payload: bytes) -> tuple[int, np.ndarray, np.ndarray]:
        rows, views, points = (len(self.header["rows"]), len(self.header["views"]), self.header["side"] ** 2)
        scale = np.frombuffer(payload, "<f4", views, 4)
        start = 4 + 4 * views
        units = np.frombuffer(payload, "<i2", rows * views * points * 2, start).reshape(rows, views, points, 2)
        density = np.frombuffer(payload, np.uint8, points, start + units.nbytes) / 255
        return struct.unpack_from("<i", payload)[0], units * (scale[:, None, None] * self.header["unit"]), density

    def at(self, t: int) -> np.ndarray:
        """The particles at place t, [n, *shape]; for images the grey levels, integers."""
        if self.pictures:
            return self.pictures[t][0].astype(int)
        if self.pair is None:
            return self.frames[t][0]
        alpha, sigma = self.header["alpha"][t], self.header["sigma"][t]
        return (alpha * self.pair[0] + sigma * self.pair[1]) / np.hypot(alpha, sigma)
