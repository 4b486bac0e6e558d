"""An exhibit: one registration with everything that page, routes, links, endpoints and tests need."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import plotly.graph_objects as go
from starlette.routing import Route

from ddpm_ui.exhibits.plots import filmstrip
from ddpm_ui.exhibits.tab import Tab
from ddpm_ui.recipes import Recipe, film_times
from ddpm_ui.server.routes import figure_route, film_route, running, stream_route
from ddpm_ui.server.wire import Trajectory

FILM_PARTICLES = 500  # of a film strip on the page


class Stream(NamedTuple):
    """An animation: bytes in the wire format, computed while they are read. Served at lab/{its name}?{the recipe}."""

    recipe: type[Recipe]
    make: Callable[[Any], Generator[bytes, None, None]]


@dataclass(frozen=True)
class Exhibit:
    """One tab of the page. Its name in links and in element ids is its recipe's `tab`."""

    recipe: type[Recipe]
    title: str  # a key of the page's texts
    order: int  # among the tabs; a link without a tab opens the first one
    build: Callable[[], Tab]  # called inside its gr.Tab
    streams: Mapping[str, Stream] = field(default_factory=dict)
    figures: Mapping[str, Callable[[Any], go.Figure]] = field(default_factory=dict)  # lab/figure/{name}?{the recipe}
    network: Callable[[Any], Any] | None = None  # finds the network of a recipe; RecipeError if it is not here
    film: str | None = None  # the stream that has a film strip, lab/film/{name}, and a named endpoint
    routes: tuple[Route, ...] = ()  # further routes
    plotly: bool = True  # whether anything in it is drawn by plotly.js

    @property
    def name(self) -> str:
        return self.recipe.tab

    def strip(self, chunks: Iterable[bytes], times: tuple[int, ...] = (), most: int | None = None) -> go.Figure:
        """The film strip of the stream `film` at these times or those of FILM, with the first `most` particles."""
        walk = Trajectory.decode(chunks)
        return filmstrip(walk, film_times(walk.header["axis"]["last"], times), most=most)

    def served(self) -> list[Route]:
        """The routes of an exhibit."""
        check = self.network or (lambda recipe: None)
        routes = [stream_route(name, kind, make, check) for name, (kind, make) in self.streams.items()]
        routes += [figure_route(name, self.recipe, draw, check) for name, draw in self.figures.items()]
        if self.film:
            name, make = self.film, self.streams[self.film].make

            def draw(recipe: Any, chunks: list[bytes]) -> go.Figure:
                return self.strip(chunks, getattr(recipe, "film", ()), FILM_PARTICLES)

            routes.append(film_route(self.name, self.recipe, lambda recipe: running(name, recipe, make), draw, check))
        return [*routes, *self.routes]

    @property
    def takes_networks(self) -> bool:
        """Whether it can use a network that was trained here."""
        return "denoiser" in self.recipe.__dataclass_fields__


EXHIBITS: dict[str, Exhibit] = {}  # by name, in the order of the tabs; filled by `registry`


def register(exhibit: Exhibit) -> None:
    """ValueError if a name is taken: streams and figures of all exhibits share their addresses."""
    if exhibit.name in EXHIBITS:
        raise ValueError(f"two exhibits are called {exhibit.name}")
    for kind in ("streams", "figures"):
        taken = {name for other in EXHIBITS.values() for name in getattr(other, kind)}
        if twice := taken & getattr(exhibit, kind).keys():
            raise ValueError(f"two exhibits have {kind} of the same name: {', '.join(sorted(twice))}")
    ordered = sorted([*EXHIBITS.values(), exhibit], key=lambda one: one.order)
    EXHIBITS.clear()
    EXHIBITS.update((one.name, one) for one in ordered)
