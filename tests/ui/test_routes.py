"""The server's plain routes, asked as a browser would ask them."""

import concurrent.futures
import gzip
import json
import time
import urllib.error
import urllib.request

import pytest

from ddpm_ui.routes import PLOTLY_VERSION
from ddpm_ui.trajectories import Trajectory


def get(address, timeout=120):
    return urllib.request.urlopen(address, timeout=timeout)


def status(address) -> tuple[int, dict]:
    try:
        with get(address) as response:
            return response.status, {}
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@pytest.mark.parametrize("kind", ["forward", "chain", "reverse"])
def test_a_trajectory_is_cacheable_and_the_same_for_everybody(server, kind):
    bodies = set()
    for _ in range(2):
        with get(f"{server}/lab/{kind}?T=60&rescale=1&n=100&steps=10") as response:
            assert response.headers["Cache-Control"].startswith("public")
            bodies.add(response.read())
    assert len(bodies) == 1
    assert Trajectory.decode(bodies).header["done"]


def test_a_hundred_students_cost_one_computation(server):
    """All readers of one recipe get the same bytes, in little more than the time of one."""
    address = f"{server}/lab/reverse?steps=300&n=1000&seed=4242"
    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(100) as people:
        bodies = set(people.map(lambda _: get(address).read(), range(100)))
    together = time.monotonic() - start
    start = time.monotonic()
    get(address.replace("4242", "4243")).read()
    alone = time.monotonic() - start
    assert len(bodies) == 1
    assert together < 20 * alone  # a hundred computations would take a hundred times as long


def test_frames_arrive_while_the_sampler_runs(server):
    with get(f"{server}/lab/reverse?steps=1000&n=2000&seed=77") as response:
        first, start = response.read(100_000), time.monotonic()
        rest = response.read()
    assert len(first) < len(rest)
    assert time.monotonic() - start > 0.05


def test_leaving_ends_the_computation(server):
    """A reader who goes away frees the core: afterwards a small recipe is answered at once."""
    with get(f"{server}/lab/reverse?denoiser=exact&n=10000&T=2000&steps=2000") as response:
        response.read(1000)
    start = time.monotonic()
    for seed in range(4):  # more than there are places, if the places were still taken
        get(f"{server}/lab/reverse?sampler=ddim&steps=5&n=50&seed={seed}").read()
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("forward?T=0", "T must be a whole number between 1 and 2000"),
        ("reverse?eta=2", "eta must be a number between 0.0 and 1.0"),
        ("film/reverse?n=nan", "n must be a whole number"),
        ("curves?beta_min=0.1&beta_max=0.01", "beta_min must not exceed beta_max"),
        ("chain?data=../../etc/passwd", "data must be one of"),
    ],
)
def test_bad_recipes_are_400_with_the_field_and_its_range(server, path, words):
    code, body = status(f"{server}/lab/{path}")
    assert code == 400
    assert words in body["error"]


def test_unknown_pages_are_404(server):
    assert status(f"{server}/lab/nothing")[0] == 404
    assert status(f"{server}/lab/film/nothing")[0] == 404


def test_plotly_comes_compressed_from_here_and_stays_cached(server):
    with get(f"{server}/lab/plotly-{PLOTLY_VERSION}.min.js") as response:
        body = response.read()
        assert "immutable" in response.headers["Cache-Control"]
        assert response.headers["Content-Encoding"] == "gzip"
    assert len(body) < 2_000_000
    assert PLOTLY_VERSION.encode() in gzip.decompress(body)[:2000]


def test_film_is_a_plotly_figure_of_the_stored_frames(server):
    with get(f"{server}/lab/film/reverse?steps=10&n=100&sampler=ddim") as response:
        figure = json.load(response)
    assert all(trace["type"] == "scatter" for trace in figure["data"])
    assert figure["layout"]["meta"]["alt"]
