"""Plain GET routes: streams and figures of the exhibits, film strips. Same recipe, same bytes."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Generator

import plotly.graph_objects as go
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ddpm_ui.recipes import Recipe, RecipeError
from ddpm_ui.server import lanes
from ddpm_ui.server.broadcast import FAILED, Broadcast, broadcast, streamed

log = logging.getLogger(__name__)

FRESH = {"Cache-Control": "public, max-age=600"}

Endpoint = Callable[[Request], Awaitable[Response]]


def guarded(endpoint: Endpoint) -> Endpoint:
    """Bad input is answered by 400 with a message that names the field, any other error by 500 without a traceback."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except RecipeError as error:
            return JSONResponse({"error": str(error), "message": error.message}, 400)
        except Exception:
            log.exception("%s failed", request.url.path)
            return JSONResponse({"error": str(FAILED), "message": FAILED}, 500)

    return answer


Check = Callable[[Recipe], object]  # RecipeError if a recipe names something that is not here


def running(name: str, recipe: Recipe, make: Callable[..., Generator[bytes, None, None]]) -> Broadcast:
    """The stream of a recipe, shared by everybody who asks for it."""
    return broadcast((name, recipe.query), lambda: make(recipe), lanes.walks)


def stream_route(
    name: str, kind: type[Recipe], make: Callable[..., Generator[bytes, None, None]], check: Check
) -> Route:
    """lab/{name}?{recipe}: bytes in the wire format, as they are computed."""

    @guarded
    async def stream(request: Request) -> Response:
        recipe = kind.of(request.query_params)
        check(recipe)
        return streamed(running(name, recipe, make), FRESH)

    return Route(f"/lab/{name}", stream)


def figure_route(name: str, kind: type[Recipe], draw: Callable[..., go.Figure], check: Check) -> Route:
    """lab/figure/{name}?{recipe}: a Plotly figure as JSON."""

    @guarded
    async def figure(request: Request) -> Response:
        recipe = kind.of(request.query_params)
        check(recipe)

        def drawn() -> Generator[bytes, None, None]:
            yield draw(recipe).to_json().encode()

        drawing = broadcast((f"figure/{name}", recipe.query), drawn, lanes.figures)
        async for _ in drawing.read():  # its place in the queue, if any
            pass
        if drawing.stale:
            return JSONResponse({"error": str(FAILED), "message": FAILED}, 500)
        return Response(b"".join(drawing.chunks), media_type="application/json", headers=FRESH)

    return Route(f"/lab/figure/{name}", figure)


def film_route(
    name: str, kind: type[Recipe], walked: Callable[..., Broadcast], draw: Callable[..., go.Figure], check: Check
) -> Route:
    """lab/film/{name}?{recipe}: the stages of a walk as a Plotly figure, draw(recipe, chunks)."""

    @guarded
    async def film(request: Request) -> Response:
        recipe = kind.of(request.query_params)
        check(recipe)
        chunks = [chunk async for chunk in walked(recipe).read()]
        drawn = await run_in_threadpool(lambda: draw(recipe, chunks).to_json())
        return Response(drawn, media_type="application/json", headers=FRESH)

    return Route(f"/lab/film/{name}", film)
