"""Plain GET routes: trajectories as they are computed, figures, plotly.js. Same recipe, same bytes, computed once.

A Broadcast runs a trajectory in a worker thread and keeps what it yields; everybody who asks for the same recipe reads
along from the beginning. When the last reader leaves before the end, the computation stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
import os
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import plotly
import plotly.graph_objects as go
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ddpm_core import save_checkpoint
from ddpm_ui import figures, models, pictures, solvers, views
from ddpm_ui.i18n import Message
from ddpm_ui.learning import learning
from ddpm_ui.models import run_name
from ddpm_ui.recipe import (
    RECIPES,
    Forward,
    Images,
    Priced,
    Racer,
    Recipe,
    RecipeError,
    Reverse,
    Solvers,
    Train,
    Views,
    film_times,
)
from ddpm_ui.trajectories import PAUSE, TRAJECTORIES, Trajectory, denoiser_of, json_chunk

log = logging.getLogger(__name__)

MAX_CACHED_BYTES = 256_000_000
MAX_COMPUTING = os.cpu_count() or 1  # in each lane, a core each; the others wait and see their place
TURN = 60.0  # seconds
FILM_PARTICLES = 500
FRESH = {"Cache-Control": "public, max-age=600"}
UNCACHED = {"Cache-Control": "no-store"}
FAILED = Message("failed", {})
FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}


class Lane:
    """So many computations at once; the others wait in line, first come, first served, and know their place.

    Where others wait, nobody keeps a place for longer than a TURN: what is not done by then goes on after them.
    """

    def __init__(self, at_once: int):
        self.free, self.waiting = asyncio.Semaphore(at_once), list[Broadcast]()

    @contextlib.asynccontextmanager
    async def turn(self, who: Broadcast) -> AsyncIterator[Callable[[], bool]]:
        """Wait, then compute, until what is handed over says that it is somebody else's turn."""
        self.waiting.append(who)
        who.wake()
        try:
            await self.free.acquire()
        finally:
            self.waiting.remove(who)
        over = time.monotonic() + TURN
        try:
            yield lambda: bool(self.waiting) and time.monotonic() > over
        finally:
            self.free.release()


class Broadcast:
    """One computation, many readers."""

    def __init__(self, source: Generator[bytes, None, None], lane: Lane):
        self.source, self.lane = source, lane
        self.chunks: list[bytes] = []
        self.size = self.readers = 0
        self.done = False
        self.stale = False  # failed or given up: nobody may join any more
        self._grew = asyncio.Event()
        self.task = asyncio.create_task(self._compute())

    def wake(self):
        self._grew.set()
        self._grew = asyncio.Event()

    async def _turn(self) -> bool:
        """Compute for one turn; is there more to do?"""
        async with self.lane.turn(self) as over:
            self.wake()
            async for chunk in iterate_in_threadpool(self.source):
                if chunk:
                    self.chunks.append(chunk)
                    self.size += len(chunk)
                    self.wake()
                # only here: a generator can be left, or closed, when no thread is in it
                if self.stale or over() or (chunk == PAUSE and self.lane.waiting):
                    return not self.stale
        return False

    async def _compute(self):
        try:
            while await self._turn():
                pass
        except Exception:
            log.exception("a computation failed")
            self.stale = True
            self.chunks.append(json_chunk({"message": FAILED}))
        finally:
            await run_in_threadpool(self.source.close)
            self.done = True
            self.wake()

    async def read(self) -> AsyncIterator[bytes]:
        self.readers += 1
        waiting = self.lane.waiting
        try:
            sent, place = 0, 0
            while True:
                grew = self._grew
                while sent < len(self.chunks):
                    sent += 1
                    yield self.chunks[sent - 1]
                if self.done:
                    return
                before, place = place, waiting.index(self) + 1 if self in waiting else 0
                if place != before:
                    yield json_chunk({"queued": place})
                with anyio.move_on_after(1.0):  # the place in the queue may have changed
                    await grew.wait()
        finally:
            self.readers -= 1
            if self.readers == 0 and not self.done:
                self.stale = True
                if self in waiting:
                    self.task.cancel()


# Figures take seconds and cannot be left half-way: what moves must not wait until those of an older choice are drawn.
computing, drawing, training = (Lane(MAX_COMPUTING) for _ in range(3))
_broadcasts: OrderedDict[tuple[str, str], Broadcast] = OrderedDict()


def broadcast(key: tuple[str, str], make: Callable[[], Generator[bytes, None, None]], lane: Lane) -> Broadcast:
    """The running or finished computation of this name, or a new one."""
    found = _broadcasts.get(key)
    if found is None or found.stale:
        found = _broadcasts[key] = Broadcast(make(), lane)
    _broadcasts.move_to_end(key)
    total = sum(b.size for b in _broadcasts.values())
    for old in list(_broadcasts):
        if total <= MAX_CACHED_BYTES:
            break
        if _broadcasts[old].done and old != key:
            total -= _broadcasts.pop(old).size
    return found


def check_network(recipe: Recipe) -> None:
    """RecipeError where it names a network that is not here."""
    if isinstance(recipe, (Reverse, Views, Priced)):
        denoiser_of(recipe.denoiser, recipe.data)
    if isinstance(recipe, Images) and recipe.task != "forward":
        pictures.check_network()


def walk(kind: str, recipe: Recipe) -> Broadcast:
    """The trajectory of a recipe, which is the same for everybody. RecipeError where there is no such network."""
    check_network(recipe)
    return broadcast((kind, recipe.query), lambda: STREAMS[kind][1](recipe), computing)


STREAMS: dict[str, tuple[type[Recipe], Callable[..., Generator[bytes, None, None]]]] = {
    "forward": (Forward, TRAJECTORIES["forward"]),
    "chain": (Forward, TRAJECTORIES["chain"]),
    "reverse": (Reverse, TRAJECTORIES["reverse"]),
    "fields": (Views, views.fields),
    "drifts": (Forward, views.drifts),
    "race": (Racer, TRAJECTORIES["race"]),
    "sweeps": (Solvers, solvers.sweeps),
    "images": (Images, pictures.images),
}


def guarded(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Bad input answers 400 with a message that names the field; anything else 500 without a traceback."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except RecipeError as error:
            return JSONResponse({"error": str(error), "message": error.message}, 400)
        except Exception:
            log.exception("%s failed", request.url.path)
            return JSONResponse({"error": str(FAILED), "message": FAILED}, 500)

    return answer


def not_found() -> Response:
    return JSONResponse({"error": "There is no such page."}, 404)


@guarded
async def trajectory(request: Request) -> Response:
    kind = request.path_params["kind"]
    if kind not in STREAMS:
        return not_found()
    recipe = STREAMS[kind][0].of(request.query_params)
    return streamed(walk(kind, recipe), FRESH)


def streamed(stream: Broadcast, headers: dict[str, str]) -> Response:
    # an encoding of its own keeps the gzip middleware away: it would hold chunks back, and noise does not compress
    headers = headers | {"Content-Encoding": "identity"}
    return StreamingResponse(stream.read(), media_type="application/octet-stream", headers=headers)


@guarded
async def lesson(request: Request) -> Response:
    """A training, as long as somebody looks on. It belongs to the person who made up the name of its run."""
    recipe, run = Train.of(request.query_params), run_name(request.query_params.get("run", ""))
    after = request.query_params.get("after", "")
    if after:
        models.find(after)  # says so if it is not here
    return streamed(broadcast(("train", run), lambda: learning(recipe, run, after), training), UNCACHED)


@guarded
async def checkpoint(request: Request) -> Response:
    """The network of a run as a file."""
    model = models.find(request.path_params["run"])

    def written() -> bytes:
        with TemporaryDirectory() as folder:
            path = Path(folder, "network.safetensors")
            metadata = {"target": model.denoiser.target, **model.denoiser.metadata, "dataset": model.data}
            save_checkpoint(path, model.denoiser.net, metadata)
            return path.read_bytes()

    headers = UNCACHED | {"Content-Disposition": 'attachment; filename="network.safetensors"'}
    content = await run_in_threadpool(written)
    return Response(content, media_type="application/octet-stream", headers=headers)


@guarded
async def film(request: Request) -> Response:
    tab = request.path_params["tab"]
    if tab not in ("forward", "reverse"):
        return not_found()
    recipe = RECIPES[tab].of(request.query_params)
    chunks = [chunk async for chunk in walk(tab, recipe).read()]

    def draw() -> str:
        trajectory = Trajectory.decode(chunks)
        times = film_times(trajectory.header["T"], getattr(recipe, "film", ()))
        return figures.filmstrip(trajectory, times, most=FILM_PARTICLES).to_json()

    return Response(await run_in_threadpool(draw), media_type="application/json", headers=FRESH)


@guarded
async def figure(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in FIGURES:
        return not_found()
    recipe = FIGURES[name][0].of(request.query_params)
    check_network(recipe)

    def drawn() -> Generator[bytes, None, None]:
        yield FIGURES[name][1](recipe).to_json().encode()

    running = broadcast((f"figure/{name}", recipe.query), drawn, drawing)
    async for _ in running.read():  # its place in the queue, if any
        pass
    if running.stale:
        return JSONResponse({"error": str(FAILED), "message": FAILED}, 500)
    return Response(b"".join(running.chunks), media_type="application/json", headers=FRESH)


FIGURES: dict[str, tuple[type[Recipe], Callable[..., go.Figure]]] = {
    **{name: (Views, partial(views.figure, name)) for name in views.FIGURES},
    **{name: (Solvers, partial(solvers.figure, name)) for name in solvers.FIGURES},
    "curves": (Forward, lambda recipe: figures.schedule_curves(recipe.full_schedule)),
    "why": (Forward, views.why),
    "forgetting": (Forward, views.forgetting),
}


PLOTLY_VERSION = plotly.offline.get_plotlyjs_version()


@lru_cache(maxsize=1)
def _plotly_js() -> bytes:
    return gzip.compress((Path(plotly.__file__).parent / "package_data" / "plotly.min.js").read_bytes(), 6)


async def plotly_js(request: Request) -> Response:
    headers = FOREVER | {"Content-Encoding": "gzip"}
    return Response(await run_in_threadpool(_plotly_js), media_type="text/javascript", headers=headers)


ROUTES = [
    Route(f"/lab/plotly-{PLOTLY_VERSION}.min.js", plotly_js),
    Route("/lab/film/{tab:str}", film),
    Route("/lab/figure/{name:str}", figure),
    Route("/lab/train", lesson),
    Route("/lab/checkpoint/{run:str}", checkpoint),
    Route("/lab/{kind:str}", trajectory),
]
