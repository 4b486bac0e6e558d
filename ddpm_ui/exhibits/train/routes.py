"""The routes of Train: a running training, and the trained network as a file."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ddpm_core import save_checkpoint
from ddpm_ui.exhibits.train.recipe import Train
from ddpm_ui.exhibits.train.stream import learning
from ddpm_ui.server import lanes, models
from ddpm_ui.server.broadcast import broadcast, streamed
from ddpm_ui.server.routes import guarded

UNCACHED = {"Cache-Control": "no-store"}


@guarded
async def lesson(request: Request) -> Response:
    """A training, which runs as long as somebody reads it. Only the page that made up its name knows it."""
    recipe, run = Train.of(request.query_params), models.run_name(request.query_params.get("run", ""))
    after = request.query_params.get("after", "")
    if after:
        models.find(after)  # RecipeError if it is not here
    return streamed(broadcast(("train", run), lambda: learning(recipe, run, after), lanes.trainings), UNCACHED)


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


ROUTES = (Route("/lab/train", lesson), Route("/lab/checkpoint/{run:str}", checkpoint))
