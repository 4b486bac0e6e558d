"""The page: every exhibit of the registry becomes a tab, addresses and, if it has a film strip, a named endpoint."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable
from functools import partial
from urllib.parse import parse_qsl, quote

import gradio as gr
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

from ddpm_ui.colours import HEAT, PALETTE
from ddpm_ui.exhibits.exhibit import Exhibit
from ddpm_ui.exhibits.registry import EXHIBITS
from ddpm_ui.exhibits.tab import Shown, Tab
from ddpm_ui.recipes import RecipeError, times_of
from ddpm_ui.server import assets, uploads
from ddpm_ui.server.wire import KINDS
from ddpm_ui.web.controls import LAST, QUIET
from ddpm_ui.web.i18n import i18n
from ddpm_ui.web.parts import Header, Link
from ddpm_ui.words import ASSETS, STRINGS

QUEUE_PAUSE = 0.05  # s between looks into Gradio's queue, which only the API uses; its own 1 ms keep 8 % of a core busy


class Page(gr.Blocks):
    """Tells the browser nothing of what only the description of the API uses: a quarter of Gradio's page."""

    def get_config_file(self):
        config = super().get_config_file()
        described = {
            part._id for fn in self.fns.values() if fn.api_visibility == "public" for part in (*fn.inputs, *fn.outputs)
        }
        for component in config["components"]:
            component.pop("component_class_id", None)  # for components that bring a front end of their own
            if component["id"] not in described:
                for key in ("api_info", "api_info_as_input", "api_info_as_output", "example_inputs"):
                    component.pop(key, None)
        return config


def build() -> gr.Blocks:
    with Page(title="Diffusion lab", analytics_enabled=False) as page:
        Header(name="lab")
        built: dict[str, Tab] = {}
        with gr.Tabs(elem_id="tabs") as tabs:
            for name, exhibit in EXHIBITS.items():
                with gr.Tab(i18n(exhibit.title), id=name):
                    built[name] = exhibit.build()
        first = next(iter(built))

        def arrive(request: gr.Request) -> Shown:
            """Show what the address says in its tab, and the defaults in the other tabs."""
            query = request.query_params
            named = query.get("tab", first)
            shown: Shown = {tabs: gr.Tabs(selected=named if named in built else first)}
            for name, tab in built.items():
                shown |= tab.open(query if name == named else {})
            return shown

        def go(name: str, link: str) -> Shown:
            return {tabs: gr.Tabs(selected=name), **built[name].open(dict(parse_qsl(link)))}

        page.load(arrive, None, [tabs, *(part for tab in built.values() for part in tab.everything)], **QUIET)
        # One listener per tab, with only its own outputs: Gradio 6.31 loses the constants of a part in a tab that was
        # never shown when two events tell it to stay as it is.
        for name, tab in built.items():
            link = Link(name=name, first=name == first, elem_classes="lab-hidden")
            link.submit(partial(go, name), link, [tabs, *tab.everything], **LAST)
        for name, exhibit in EXHIBITS.items():
            if exhibit.film:
                gr.api(endpoint(exhibit), api_name=name)
    page._queue.sleep_when_free = QUEUE_PAUSE
    return page


def endpoint(exhibit: Exhibit) -> Callable[..., dict]:
    """A function of the recipe's fields and of `film`, which returns the film strip as a Plotly figure."""
    fields = {field.name: field.default for field in dataclasses.fields(exhibit.recipe)} | {"film": ""}

    def walk(*values) -> dict:
        asked = dict(zip(fields, values, strict=True))
        try:
            times = times_of(asked.pop("film"))
            chunks = exhibit.streams[exhibit.film or ""].make(exhibit.recipe.of(asked))
            return json.loads(exhibit.strip(chunks, times).to_json())
        except RecipeError as error:
            raise gr.Error(str(error), print_exception=False) from None

    either = inspect.Parameter.POSITIONAL_OR_KEYWORD
    walk.__annotations__ = {name: type(default) for name, default in fields.items()} | {"return": dict}
    walk.__doc__ = f"The walk of {exhibit.name}: one scatter for each time in `film`, six if it is empty, data first."
    parameters = [inspect.Parameter(n, either, default=d, annotation=type(d)) for n, d in fields.items()]
    walk.__signature__ = inspect.Signature(parameters, return_annotation=dict)  # type: ignore[attr-defined]
    return walk


def head() -> str:
    config = {
        "version": assets.VERSION,
        "modules": assets.MODULES,
        "languages": list(STRINGS),
        "plotly": assets.PLOTLY_VERSION,
        "without_plotly": [name for name, exhibit in EXHIBITS.items() if not exhibit.plotly],
        "palette": PALETTE,
        "heat": HEAT,
        "wire": KINDS,
    }
    # Inlined, because browsers request an icon again whenever the address changes, and here it changes with t.
    icon = quote((ASSETS / "icon.svg").read_text(encoding="utf-8"))
    return (
        f'<link rel="icon" href="data:image/svg+xml,{icon}">'
        f"<script>window.lab_config = {json.dumps(config)};\n{assets.HEAD}</script>"
    )


def launch_options() -> dict:
    """Keyword arguments of Blocks.launch that belong to the app rather than to one deployment."""
    served = [*assets.ROUTES, *(route for exhibit in EXHIBITS.values() for route in exhibit.served())]
    return dict(
        app_kwargs={"routes": served, "middleware": [Middleware(GZipMiddleware, compresslevel=5)]},
        head=head(),
        i18n=i18n,
        theme=gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        footer_links=["api"],
        run_history=False,
        ssr_mode=False,
        state_session_capacity=1000,
        max_file_size=f"{uploads.MOST_CSV_MB}mb",  # the largest limit; each kind of file has its own
    )
