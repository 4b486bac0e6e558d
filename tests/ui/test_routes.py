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
from functools import partial

import pytest
from starlette.applications import Starlette

from ddpm_core.data.own_data import encode
from ddpm_ui.exhibits.forward.recipe import Forward
from ddpm_ui.page import launch_options
from ddpm_ui.server import lanes
from ddpm_ui.server.assets import PLOTLY_VERSION
from ddpm_ui.server.broadcast import Broadcast
from ddpm_ui.server.lanes import MAX_COMPUTING, Lane
from ddpm_ui.server.routes import stream_route
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


def gated(*parts: bytes) -> tuple[Starlette, threading.Event, list[str]]:
    """An app whose only stream yields the first part, and the others once the gate is open; the recipes it computed."""
    gate, computed = threading.Event(), []

    def stream(recipe):
        computed.append(recipe.query)
        yield parts[0]
        assert gate.wait(10)
        yield from parts[1:]

    routes = [stream_route("gated", Forward, stream, lambda recipe: None)]
    return Starlette(routes=routes, middleware=launch_options()["app_kwargs"]["middleware"]), gate, computed


async def ask(app, query: str, heard) -> bytes:
    """What the app, in this process, answers to a browser; heard(body) is told whenever there is more of it."""
    body, requests = b"", [{"type": "http.request"}]

    async def receive():
        return requests.pop() if requests else await asyncio.Event().wait()

    async def send(message):
        nonlocal body
        body += message.get("body", b"")
        heard(body)

    scope = {"type": "http", "method": "GET", "path": "/lab/gated", "query_string": query.encode()}
    await app(scope | {"headers": [(b"accept-encoding", b"gzip"), (b"host", b"lab")]}, receive, send)
    return body


def test_a_hundred_students_cost_one_computation():
    """A class that opens the same link is one computation; the gate holds it until all of them read along."""
    app, gate, computed = gated(b"first", b"rest")
    reading = set()

    def heard(student, body):
        reading.update([student] if body else [])
        if len(reading) == 100:
            gate.set()

    async def students():
        return await asyncio.gather(*(ask(app, "seed=4242", partial(heard, student)) for student in range(100)))

    assert set(elsewhere(students())) == {b"firstrest"}
    assert len(computed) == 1


def test_frames_arrive_while_the_sampler_runs():
    """Through everything that the app puts before its routes: what packs or gathers a stream would wait for its end."""
    app, gate, _ = gated(b"first", b"rest")
    seen = []

    def heard(body):
        seen.append((body, gate.is_set()))
        if body == b"first":
            gate.set()

    assert elsewhere(ask(app, "seed=77", heard)) == b"firstrest"
    assert (b"first", False) in seen


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("forward?T=0", "T must be a whole number between 1 and 2000"),
        ("reverse?eta=2", "eta must be a number between 0.0 and 1.0"),
        ("film/reverse?n=nan", "n must be a whole number"),
        ("figure/curves?beta_min=0.1&beta_max=0.01", "beta_min must not exceed beta_max"),
        ("chain?data=../../etc/passwd", "data must be one of"),
        ("fields?denoiser=run.0000000000000000", "not on this server"),
        ("figure/step?at=0", "at must be a whole number"),
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


def test_trainings_wait_in_line_and_who_leaves_gives_way(server):
    """One more than there are cores learns its place, and gets the core of whoever goes, long before a TURN is over.

    A run without a proper name does not start.
    """
    address = f"{server}/lab/train?steps=100000&width=4&depth=1&batch=8&data=two_moons"
    for bad, words in (("run=mine", "run must be"), (f"run={'a' * 16}&after={'b' * 16}", "not on this server")):
        code, body = status(f"{address}&{bad}")
        assert code == 400
        assert words in body["error"]
    with contextlib.ExitStack() as open_now:
        busy = [open_now.enter_context(get(f"{address}&run={k:016x}")) for k in range(MAX_COMPUTING)]
        assert all(b'"axis"' in lesson.read(100) for lesson in busy)
        late = open_now.enter_context(get(f"{address}&run={99:016x}", timeout=30))
        said = late.read(20)
        assert b'{"queued":1}' in said
        busy[0].close()
        while b'"axis"' not in said:
            said += late.read(10)


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
