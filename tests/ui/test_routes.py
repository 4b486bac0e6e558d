"""The server's plain routes, asked as a browser would ask them."""

import asyncio
import concurrent.futures
import contextlib
import gzip
import json
import threading
import time
import urllib.error
import urllib.request

import pytest

from ddpm_core.data.own_data import encode
from ddpm_ui.server import lanes
from ddpm_ui.server.broadcast import Broadcast
from ddpm_ui.server.lanes import MAX_COMPUTING, Lane
from ddpm_ui.server.routes import PLOTLY_VERSION
from ddpm_ui.server.wire import PAUSE, Trajectory, json_chunk


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
        ("figure/curves?beta_min=0.1&beta_max=0.01", "beta_min must not exceed beta_max"),
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


def test_a_computation_that_nobody_watches_any_more_ends_in_order():
    """Though a thread is inside its generator when the last reader leaves: what it keeps at its end is kept."""
    kept = []

    def source():
        try:
            while True:
                time.sleep(0.05)
                yield b"part"
        finally:
            kept.append("everything")

    async def visit():
        running = Broadcast(source(), Lane(1))
        reader = asyncio.create_task(all_of(running.read()))
        await asyncio.sleep(0.18)
        reader.cancel()
        while not running.done:
            await asyncio.sleep(0.01)
        await running.task

    elsewhere(visit())
    assert kept == ["everything"]


def test_a_reader_who_leaves_as_something_comes_has_left():
    """asyncio.wait_for loses such a cancellation before Python 3.12, and the computation would go on for nobody."""
    gate = threading.Event()

    def source():
        while not gate.wait(0.01):
            yield b""  # alive, and nothing to read

    async def visit():
        running = Broadcast(source(), Lane(1))
        reader = asyncio.create_task(all_of(running.read()))
        await asyncio.sleep(0.05)
        running.wake()
        await asyncio.sleep(0)  # what waits for that has heard it, but the reader has not gone on yet
        reader.cancel()
        left, _ = await asyncio.wait([reader], timeout=0.5)
        gate.set()
        await running.task
        return left, running.stale

    left, stale = elsewhere(visit())
    assert left and stale


async def all_of(parts):
    return [part async for part in parts]


def elsewhere(work):
    """The result of a coroutine, in a thread of its own: a browser of other tests may run a loop in this one."""
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(asyncio.wait_for(work, 5))).result()


def test_where_others_wait_a_turn_ends(monkeypatch):
    """Two endless computations share the only place; neither starves, and each is told where it stands."""
    monkeypatch.setattr(lanes, "TURN", 0.05)

    def endless():
        while True:
            time.sleep(0.01)
            yield json_chunk({"work": True})

    async def follow(running, turns=0):
        """Until it has waited three times and worked again after each."""
        async for part in running.read():
            turns += b"queued" in part and b":0" not in part
            if turns == 3 and b"work" in part:
                return

    async def both():
        lane = Lane(1)
        await asyncio.gather(*(follow(Broadcast(endless(), lane)) for _ in range(2)))

    elsewhere(both())


def test_at_a_pause_those_who_wait_go_first():
    order = []

    def racer(name):
        for part in (b"walk", PAUSE, b"measure"):
            time.sleep(0.02)
            order.append((name, part))
            yield part

    async def three():
        lane = Lane(1)
        runs = [Broadcast(racer(name), lane) for name in "abc"]
        await asyncio.gather(*(run.task for run in runs))

    elsewhere(three())
    assert [part for _, part in order if part != PAUSE] == 3 * [b"walk"] + 3 * [b"measure"]


def test_a_walk_does_not_wait_for_figures(server):
    """As many figures as there are cores, each seconds of work; a walk that comes later is there before them."""
    with concurrent.futures.ThreadPoolExecutor(MAX_COMPUTING) as people:
        address = f"{server}/lab/figure/law?data=heart&seed="
        drawn = [people.submit(lambda k=k: get(f"{address}{900 + k}").read()) for k in range(MAX_COMPUTING)]
        time.sleep(0.5)
        with get(f"{server}/lab/race?data=heart&n=50&nfe=5&seed=900") as response:
            assert Trajectory.decode([response.read()]).header["done"]
        assert not any(figure.done() for figure in drawn)
        assert all(json.loads(figure.result())["data"] for figure in drawn)


def test_trainings_wait_in_line_and_bad_ones_are_named(server):
    """One more than there are cores learns its place; a run without a proper name does not start."""
    address = f"{server}/lab/train?steps=100000&width=4&depth=1&batch=8&data=two_moons"
    for bad, words in (("run=mine", "run must be"), (f"run={'a' * 16}&after={'b' * 16}", "not on this server")):
        code, body = status(f"{address}&{bad}")
        assert code == 400
        assert words in body["error"]
    with contextlib.ExitStack() as open_now:
        for k in range(MAX_COMPUTING):
            assert b'"axis"' in open_now.enter_context(get(f"{address}&run={k:016x}")).read(100)
        assert b'{"queued":1}' in open_now.enter_context(get(f"{address}&run={99:016x}")).read(20)


def test_own_data_are_in_the_link(server):
    data = encode([[0, 0], [1, 0.5], [2, 1], [0.5, 3]])
    with get(f"{server}/lab/forward?data={data}&n=50") as response:
        assert Trajectory.decode([response.read()]).header["title"][0] == "choice_own"
    with get(f"{server}/lab/reverse?data={data}&n=50&steps=5&denoiser=exact") as response:
        assert Trajectory.decode([response.read()]).header["done"]
    for query, words in (
        (data, "No network has been trained"),
        ("own.AAAA", "own.AAAA"),
        (f"{data}&denoiser=run.{'9' * 16}", "not on"),
    ):
        code, body = status(f"{server}/lab/reverse?data={query}")
        assert code == 400
        assert words in body["error"]
