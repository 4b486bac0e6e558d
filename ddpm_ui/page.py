"""The page: header, tabs, links, named endpoints, and what launch() needs to know."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from urllib.parse import parse_qsl, quote

import gradio as gr
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

from ddpm_ui import figures, routes, uploads
from ddpm_ui.controls import LAST, QUIET
from ddpm_ui.i18n import ASSETS, STRINGS, i18n
from ddpm_ui.parts import Header, Link
from ddpm_ui.recipe import Forward, Recipe, RecipeError, Reverse, film_times
from ddpm_ui.tabs import forward, images, reverse, solvers, train, views
from ddpm_ui.tabs.exhibit import Exhibit
from ddpm_ui.trajectories import TRAJECTORIES, Trajectory

TABS = {
    "forward": forward.build,
    "reverse": reverse.build,
    "train": train.build,
    "views": views.build,
    "solvers": solvers.build,
    "images": images.build,
}


def build() -> gr.Blocks:
    with gr.Blocks(title="Diffusion lab", analytics_enabled=False) as page:
        Header(name="lab")
        with gr.Tabs(elem_id="tabs") as tabs:
            exhibits = []
            for name, build_tab in TABS.items():
                with gr.Tab(i18n(f"tab_{name}"), id=name):
                    exhibits.append(build_tab())

        def arrive(request: gr.Request) -> list:
            """Show what the address says, and in the tabs that it does not name what they show without a word."""
            tab = request.query_params.get("tab")
            opened = (value for exhibit in exhibits for value in exhibit.open(request.query_params))
            return [gr.Tabs(selected=tab if tab in TABS else "forward"), *opened]

        def go(exhibit: Exhibit, link: str) -> list:
            return [gr.Tabs(selected=exhibit.tab), *exhibit.open(dict(parse_qsl(link)))]

        page.load(arrive, None, [tabs, *(part for exhibit in exhibits for part in exhibit.everything)], **QUIET)
        # One listener a tab, whose outputs are all its own: Gradio 6.31 loses the constants of a part in a tab that was
        # never shown when two events tell it to stay as it is.
        for exhibit in exhibits:
            link = Link(name=exhibit.tab, elem_classes="lab-hidden")
            link.submit(partial(go, exhibit), link, [tabs, *exhibit.everything], **LAST)
        gr.api(forward_api, api_name="forward")
        gr.api(reverse_api, api_name="reverse")
    return page


def _film(tab: str, recipe: Callable[[], Recipe], film: str) -> dict:
    try:
        made = recipe()
        chosen = Forward.of({"film": film}).film
        trajectory = Trajectory.decode(TRAJECTORIES[tab](made))
    except RecipeError as error:
        raise gr.Error(str(error), print_exception=False) from None
    return json.loads(figures.filmstrip(trajectory, film_times(trajectory.header["T"], chosen)).to_json())


def forward_api(
    data: str = Forward.data, schedule: str = Forward.schedule, T: int = Forward.T, beta_min: float = Forward.beta_min,
    beta_max: float = Forward.beta_max, rescale: bool = False, n: int = Forward.n, seed: int = Forward.seed,
    film: str = "",
) -> dict:  # fmt: skip
    """Forward noising as a Plotly figure: one scatter for each time in `film`, by default six of them."""
    return _film("forward", lambda: Forward(data, schedule, T, beta_min, beta_max, rescale, n, seed), film)


def reverse_api(
    data: str = Reverse.data, schedule: str = Reverse.schedule, T: int = Reverse.T, beta_min: float = Reverse.beta_min,
    beta_max: float = Reverse.beta_max, rescale: bool = False, n: int = Reverse.n, seed: int = Reverse.seed,
    denoiser: str = Reverse.denoiser, sampler: str = Reverse.sampler, variance: str = Reverse.variance,
    eta: float = Reverse.eta, steps: int = Reverse.steps, film: str = "", spacing: str = Reverse.spacing,
    stir: float = Reverse.stir, correction: float = Reverse.correction, tolerance: float = Reverse.tolerance,
    sweeps: int = Reverse.sweeps,
) -> dict:  # fmt: skip
    """The sampler's walk from noise to data as a Plotly figure: one scatter for each stage in `film`, data left."""
    fields = (data, schedule, T, beta_min, beta_max, rescale, n, seed, denoiser, sampler, variance, eta, steps)
    options = (spacing, stir, correction, tolerance, sweeps)
    return _film("reverse", lambda: Reverse(*fields, *options), film)


def css() -> str:
    colours = "; ".join(f"--lab-{meaning}: {colour}" for meaning, colour in figures.COLOURS.items())
    return f"body {{ {colours} }}\n" + (ASSETS / "lab.css").read_text(encoding="utf-8")


def head() -> str:
    meanings = {colour: meaning for meaning, colour in figures.COLOURS.items()}
    config = {"plotly": routes.PLOTLY_VERSION, "palette": figures.PALETTE, "colours": meanings, "strings": STRINGS}
    script = (ASSETS / "lab.js").read_text(encoding="utf-8")
    # In the page itself: browsers ask for an icon anew whenever the address changes, and here it changes with t.
    icon = quote((ASSETS / "icon.svg").read_text(encoding="utf-8"))
    return (
        f'<link rel="icon" href="data:image/svg+xml,{icon}">'
        f"<script>window.lab_config = {json.dumps(config, ensure_ascii=False)};</script><script>{script}</script>"
    )


def launch_options() -> dict:
    """Keyword arguments of Blocks.launch: everything that belongs to the app rather than to one deployment of it."""
    return dict(
        app_kwargs={"routes": routes.ROUTES, "middleware": [Middleware(GZipMiddleware, compresslevel=5)]},
        css=css(),
        head=head(),
        i18n=i18n,
        theme=gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        footer_links=["api"],
        run_history=False,
        ssr_mode=False,
        state_session_capacity=1000,
        max_file_size=f"{uploads.MOST_CSV_MB}mb",  # the most of any kind; each kind has its own limit
    )
