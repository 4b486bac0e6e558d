"""Scripts, style and texts at addresses with a content hash, so that a browser fetches each version only once.

Modules import one another by relative paths, so a change in any of them changes the address of all.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from functools import lru_cache
from mimetypes import guess_type
from pathlib import Path

import plotly
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ddpm_core import __version__
from ddpm_ui.colours import COLOURS
from ddpm_ui.words import ASSETS, STRINGS

FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
PLOTLY_VERSION = plotly.offline.get_plotlyjs_version()
HEAD = (ASSETS / "js" / "head.js").read_text(encoding="utf-8")  # inline in the page


def _css() -> str:
    """The style, the version, and the colours with a meaning, which figures share; lab.css has their dark variants."""
    colours = "; ".join(f"--lab-{meaning}: {colour}" for meaning, colour in COLOURS.items())
    return f'body {{ {colours}; --lab-version: "{__version__}" }}\n' + (ASSETS / "lab.css").read_text(encoding="utf-8")


def _files() -> dict[str, bytes]:
    """Path -> content. Texts missing in a language fall back to English."""
    scripts = {path.relative_to(ASSETS).as_posix(): path.read_text(encoding="utf-8") for path in ASSETS.rglob("*.js")}
    words = {f"i18n/{name}.json": json.dumps(STRINGS["en"] | own, ensure_ascii=False) for name, own in STRINGS.items()}
    return {path: content.encode() for path, content in sorted((scripts | words | {"lab.css": _css()}).items())}


FILES = _files()
MODULES = [path for path in FILES if path.endswith(".js") and path != "js/head.js"]
VERSION = hashlib.sha256(b"".join(path.encode() + content for path, content in FILES.items())).hexdigest()[:12]
_zipped = {path: gzip.compress(content, 9, mtime=0) for path, content in FILES.items()}


async def asset(request: Request) -> Response:
    path = request.path_params["path"]
    if path not in FILES:
        return Response("There is no such file.", 404)
    zipped = "gzip" in request.headers.get("accept-encoding", "")
    headers = FOREVER | {"Vary": "Accept-Encoding"} | ({"Content-Encoding": "gzip"} if zipped else {})
    kind = "text/javascript" if path.endswith(".js") else guess_type(path)[0]  # guesses differ between machines
    return Response((_zipped if zipped else FILES)[path], headers=headers, media_type=kind)


@lru_cache(maxsize=1)
def _plotly_js() -> bytes:
    return gzip.compress((Path(plotly.__file__).parent / "package_data" / "plotly.min.js").read_bytes(), 6)


async def plotly_js(request: Request) -> Response:
    headers = FOREVER | {"Content-Encoding": "gzip"}
    return Response(await run_in_threadpool(_plotly_js), media_type="text/javascript", headers=headers)


ROUTES = [
    Route(f"/lab/assets-{VERSION}/{{path:path}}", asset),
    Route(f"/lab/plotly-{PLOTLY_VERSION}.min.js", plotly_js),
]
