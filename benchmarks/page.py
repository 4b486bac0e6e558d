"""The page in a real browser: frames per second, time to the first moving particles, bytes on the wire.

The peer is what Gradio offers for the same purpose: a generator that streams figures into gr.Plot.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, Page

from benchmarks.row import Row
from tests.real import DESKTOP, SETTLED, chromium, served

N = 5_000
SECONDS = 4

PEER = f"""
import time, gradio as gr, numpy as np, plotly.graph_objects as go
def stream():
    rng = np.random.default_rng(0)
    for k in range(100_000):
        x = rng.normal(size=({N}, 2))
        yield go.Figure(go.Scatter(x=x[:, 0], y=x[:, 1], mode="markers"), dict(title=f"frame {{k}}"))
        time.sleep(0.5)  # with four figures a second the page cannot keep up and draws none
with gr.Blocks() as demo:
    plot = gr.Plot()
    demo.load(stream, None, plot, show_progress="hidden")
demo.launch(quiet=True)
"""

# The rate at which `count()` increases, in frames per second.
RATE = """async ([count, seconds, move]) => {
  const frame = () => new Promise(requestAnimationFrame), number = eval(count), act = eval(move);
  const start = performance.now(), first = number();
  for (let k = 0; performance.now() - start < 1000 * seconds; k++) { act(k); await frame(); }
  return (number() - first) / (performance.now() - start) * 1000;
}"""
PAINTED = "() => lab.stages.forward.painted"
SCRUB = """(range => k => {
  range.value = Math.round(500 + 400 * Math.sin(k / 20));
  range.dispatchEvent(new Event("input", {bubbles: true}));
})(document.querySelector("#forward-stage .lab-range"))"""
SCRUB_FIELDS = """(range => k => {
  range.value = k % 20;
  range.dispatchEvent(new Event("input", {bubbles: true}));
})(document.querySelector("#views-fields .lab-range"))"""

DIFFERENT_TITLES = """(all => () => {
  const title = document.querySelector(".js-plotly-plot .gtitle");
  if (title) all.add(title.textContent);
  return all.size;
})(new Set())"""


def _visit(browser: Browser, address: str) -> Page:
    page = browser.new_context(viewport=DESKTOP).new_page()
    page.goto(address)
    return page


# When the points first moved, in seconds since the page was requested, by the page's own clock.
MOVED = """(function look() {
  const stage = window.lab?.stages.forward;
  if (stage?.painted > 2 && stage.clock.t > 0) window.moved = performance.now() / 1000;
  else requestAnimationFrame(look);
})()"""


def _opening(browser: Browser, address: str) -> tuple[float, dict[str, float]]:
    """For a first visit: seconds until particles move, and megabytes by kind."""
    page = browser.new_context(viewport=DESKTOP).new_page()
    network, sizes, kinds = page.context.new_cdp_session(page), {}, {}
    network.send("Network.enable")
    network.on("Network.responseReceived", lambda e: kinds.update({e["requestId"]: e["response"]["url"]}))
    network.on("Network.loadingFinished", lambda e: sizes.update({e["requestId"]: e["encodedDataLength"]}))
    page.add_init_script(MOVED)
    page.goto(address)
    page.wait_for_function("window.moved")
    seconds = page.evaluate("moved")
    page.wait_for_load_state("networkidle")
    places = {"plotly.js": "/lab/plotly", "scripts": "/lab/assets", "trajectories and figures": "/lab/", "Gradio": ""}
    megabytes = dict.fromkeys(places, 0.0)
    for request, size in sizes.items():
        url = kinds.get(request, "")
        megabytes[next(kind for kind, place in places.items() if place in url)] += size / 1e6
    page.context.close()
    return seconds, megabytes


def _stage_rates(browser: Browser, address: str) -> tuple[float, float, int]:
    """Frames per second while playing and while scrubbing, and the number of requests during both."""
    page = _visit(browser, f"{address}/?n={N}")
    page.wait_for_function(SETTLED)
    page.wait_for_load_state("networkidle")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    playing = page.evaluate(RATE, [PAINTED, SECONDS, "k => k % 30 || lab.stages.forward.clock.play()"])
    scrubbing = page.evaluate(RATE, [PAINTED, SECONDS, SCRUB])
    page.context.close()
    return playing, scrubbing, len(requests)


def _fields_rate(browser: Browser, address: str) -> float:
    """Frames per second while the noise level of the fields is scrubbed, with another level in each frame."""
    page = _visit(browser, f"{address}/?tab=views")
    page.wait_for_function("window.lab?.stages.views?.ready")
    page.wait_for_function("['errors', 'step'].every(name => lab.charts[`views-${name}`]?.idle)")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1000)  # Plotly goes on drawing for a while after it has its data
    rate = page.evaluate(RATE, ["() => lab.stages.views.painted", SECONDS, SCRUB_FIELDS])
    page.context.close()
    return rate


# Seconds from pressing "Sample with new noise" until images of that run are painted.
PRESSED = """() => new Promise(done => {
  const stage = lab.stages.images, before = stage.header, start = performance.now();
  let painted = Infinity;
  document.querySelector("#images-run").click();
  (function look() {
    if (stage.painted > painted) return done((performance.now() - start) / 1000);
    if (stage.header !== before && painted === Infinity) painted = stage.painted;
    requestAnimationFrame(look);
  })();
})"""


def _first_pictures(browser: Browser, address: str) -> float:
    page = _visit(browser, f"{address}/?tab=images")
    page.wait_for_function("window.lab?.stages.images?.header?.done")
    seconds = page.evaluate(PRESSED)
    page.context.close()
    return seconds


def _peer_rate(browser: Browser, log: Path) -> float:
    with served("-c", PEER, log=log) as address:
        page = _visit(browser, address)
        page.wait_for_selector(".js-plotly-plot .gtitle", state="attached", timeout=120_000)
        rate = page.evaluate(RATE.replace("act(k);", "number();"), [DIFFERENT_TITLES, 2 * SECONDS, "k => k"])
        page.context.close()
    return rate


def rows(repeats: int = 3) -> Iterator[Row]:
    with (
        TemporaryDirectory() as folder,
        chromium() as browser,
        served("app.py", log=Path(folder, "app.txt")) as address,
    ):
        _opening(browser, address)  # the very first visit includes the warm-up of the server
        openings = [_opening(browser, address) for _ in range(repeats)]
        seconds, megabytes = median(o[0] for o in openings), openings[0][1]
        sizes = ", ".join(f"{kind} {size:.2f}" for kind, size in megabytes.items())
        yield Row("opening the page to moving particles", f"{seconds:.1f} s", "", "", "≤ 3 s", seconds <= 3)
        yield Row(
            "bytes on the wire, first visit", f"{sum(megabytes.values()):.2f} MB", f"of it, MB: {sizes}", "", "", None
        )
        rates = [_stage_rates(browser, address) for _ in range(repeats)]
        peer = median(_peer_rate(browser, Path(folder, "peer.txt")) for _ in range(repeats))
        for i, what in enumerate(("playing", "scrubbing")):
            rate = median(r[i] for r in rates)
            against, ratio = f"gr.Plot, offered 2 figures/s: {peer:.1f}", rate / peer
            name = f"Stage, {what} {N} points, no GPU"
            yield Row(
                name,
                f"{rate:.0f} frames/s",
                against,
                f"{ratio:.0f} x",
                "≥ 50 frames/s, ≥ 10 x",
                rate >= 50 and ratio >= 10,
            )
        rate = median(_fields_rate(browser, address) for _ in range(repeats))
        yield Row("fields, scrubbing 20 levels, 8 panels, no GPU", f"{rate:.0f} frames/s", "", "", "≥ 50", rate >= 50)
        first = median(_first_pictures(browser, address) for _ in range(repeats))
        what = "from the button to the first pictures of a walk on the screen"
        yield Row(what, f"{first:.2f} s", "", "", "≤ 0.5 s", first <= 0.5)
        asked = sum(r[2] for r in rates)
        yield Row("requests while playing and scrubbing", str(asked), "", "", "0", asked == 0)
