"""The Train tab: a network learns while somebody watches."""

import contextlib
import io
from urllib.request import urlopen

import pytest
from PIL import Image, ImageDraw

from ddpm_core.data.own_data import MOST_POINTS
from ddpm_core.models.checkpoints import FOLDER
from ddpm_ui.server.lanes import MAX_COMPUTING

TINY = "?tab=train&data=two_moons&width=8&depth=2&batch=64"


@pytest.fixture
def teach(visit):
    """teach(changes) opens the tab with a tiny recipe and presses Train."""

    def begin(changes: str, **settings):
        lab = visit(f"{TINY}&{changes}", stage="train", ready="true", **settings)
        lab.changed("train", lab.page.locator("#train-start").click, done=False)
        return lab

    return begin


def scrub(lab, shot: str) -> None:
    """Drag training time to where an expression of its last position says."""
    lab.page.evaluate(f"""() => {{
        const range = document.querySelector("#train-stage .lab-shots input"), last = +range.max;
        range.value = {shot};
        range.dispatchEvent(new Event("input", {{bubbles: true}}));
    }}""")
    lab.until("train", "s.idle")


def test_training_time_and_diffusion_time_are_two_sliders(teach):
    lab = teach("steps=400")
    lab.until("train", "s.header.done && s.idle")
    assert lab.page.locator("#train-stage [data-number=shot]").inner_text() == "400"
    assert lab.page.locator("#train-stage .lab-metrics").inner_text().count("perfect") == 3
    lab.page.wait_for_function("lab.charts['train-loss'].gd.data[0].x.at(-1) === 400")
    asked = len(lab.requests)
    trained = lab.positions("train")
    scrub(lab, "0")
    untrained = lab.positions("train")
    assert untrained != trained
    lab.page.keyboard.press("End")
    lab.until("train", "s.clock.t === 24 && s.idle")
    noise = lab.positions("train")
    scrub(lab, "last")
    assert lab.stage("train", "s.clock.t") == 24
    assert lab.positions("train") == noise
    lab.page.keyboard.press("Home")
    lab.until("train", "s.clock.t === 0 && s.idle")
    assert lab.positions("train") == trained
    assert lab.requests[asked:] == []


def test_charts_that_are_made_after_the_training_show_it(visit):
    """Whoever is quick trains a little network before plotly.js has come: Images does without it."""
    lab, early = visit("?tab=images&n=10&nfe=4", stage="images", ready="s.header?.done", fresh=True), []

    def late(route):
        lab.until("train", "s.incoming?.header.done")
        early.append(lab.page.evaluate("Object.keys(lab.charts)"))
        route.continue_()

    lab.page.route("**/plotly-*", late)
    lab.follow(f"{TINY}&steps=20", "train", "true")
    lab.page.locator("#train-start").click()
    lab.page.wait_for_function("lab.charts['train-loss']?.gd.data[0].x.at(-1) === 20")
    lab.until("train", "s.header.done")
    assert early == [[]]


def test_every_control_changes_what_is_learned(visit):
    """Trained again after each change: another network each time, and the address says why."""
    lab = visit(f"{TINY}&steps=20", stage="train", ready="true", fresh=True)
    assert lab.page.locator("#train-stage").get_by_text("Press Train").is_visible()
    lab.more("train")
    changes = {
        "points": lambda: lab.number("train-points", 10),
        "seed": lambda: lab.number("train-seed", 7),
        "batch": lambda: lab.number("train-batch", 32),
        "lr": lambda: lab.number("train-lr", 0.02),
        "ema": lambda: lab.number("train-ema", 0.5),
        "width": lambda: lab.number("train-width", 12),
        "depth": lambda: lab.number("train-depth", 3),
        "target": lambda: lab.choose("train-target", "eps"),
        "weighting": lambda: lab.choose("train-weighting", "Simple (DDPM)"),
        "schedule": lambda: lab.choose("train-schedule", "Cosine"),
        "steps": lambda: lab.number("train-steps", 30),
    }
    learned = set()
    for field, change in {"as it is": lambda: None, **changes}.items():
        change()
        lab.changed("train", lab.page.locator("#train-start").click)
        learned.add(tuple(lab.positions("train", 0)))
        assert field == "as it is" or f"{field}=" in lab.page.url
    assert len(learned) == 1 + len(changes)


def test_two_people_train_different_networks_at_once(teach):
    lessons = [teach(f"steps=1000&seed={seed}") for seed in (1, 2)]
    for lab in lessons:
        lab.until("train", "s.header.done")
    one, other = (lab.positions("train", 0) for lab in lessons)
    lessons[0].changed("train", lessons[0].page.locator("#train-start").click)  # the same lesson, alone
    assert lessons[0].positions("train", 0) == one != other


def test_whoever_waits_sees_a_place_in_the_line(visit, server):
    """Though that page has shown nothing yet."""
    late = visit(f"{TINY}&steps=200", stage="train", ready="true")
    lesson = f"{server}/lab/train?steps=100000&width=4&depth=1&batch=8&data=two_moons"
    with contextlib.ExitStack() as open_now:
        busy = [open_now.enter_context(urlopen(f"{lesson}&run={k:016x}")) for k in range(MAX_COMPUTING)]
        assert all(b'"axis"' in other.read(100) for other in busy)
        late.page.locator("#train-start").click()
        late.page.get_by_text("waiting, 1 ahead").wait_for()
        busy[0].close()
        late.until("train", "s.header?.done")


def test_stop_is_heard_and_nothing_is_lost(teach):
    lab = teach("steps=30000", fresh=True)  # most of a minute; how soon Stop is heard is benchmarked
    lab.until("train", "s.shots > 3")
    lab.page.locator("#train-stage [data-do=stop]").click()
    lab.page.locator("#train-stage .lab-status").wait_for(state="hidden")
    before = int(lab.page.locator("#train-stage [data-number=shot]").inner_text())
    lab.changed("train", lab.page.locator("#train-go-on").click, "s.shots > 0", done=False)
    assert int(lab.page.locator("#train-stage [data-number=shot]").inner_text()) > before
    lab.page.locator("#train-stage [data-do=stop]").click()


def test_a_network_goes_on_only_as_what_it_is(teach):
    lab = teach("steps=20")
    lab.until("train", "s.header.done")
    lab.more("train")
    lab.number("train-width", 16)
    lab.page.locator("#train-go-on").click()
    lab.page.get_by_text("width differs from that of the trained network (8)").wait_for()


def test_a_network_can_be_used_downloaded_and_brought_back(teach, visit, tmp_path):
    lab = teach("steps=300")
    lab.until("train", "s.header.done && s.idle")
    with lab.page.expect_download() as download:
        lab.page.get_by_role("link", name="Download the network").click()
    path = tmp_path / "network.safetensors"
    download.value.save_as(path)

    shots = lab.stage("train", "s.shots")
    lab.changed("reverse", lab.page.get_by_role("link", name="Use it in Reverse").click)
    assert lab.stage("train", "s.shots") == shots  # the page was not loaded again: nothing is lost
    assert lab.page.locator("#reverse-denoiser input").input_value() == "Your own network"
    sample = lab.positions("reverse", 0)
    for tab, name, stage in (("views", "Three views", "views"), ("solvers", "Solvers", "race-0")):
        lab.page.get_by_role("tab", name="Train").click()
        lab.changed(stage, lab.page.get_by_role("link", name=f"Use it in {name}").click, "s.painted > 0", done=False)
        assert lab.page.locator(f"#{tab}-denoiser input").input_value() == "Your own network"

    other = visit("?tab=train", stage="train", ready="true")
    with other.page.expect_file_chooser() as chooser:
        other.page.locator("#train-upload").click()
    chooser.value.set_files(path)
    other.page.get_by_text("It was trained on: Two moons").wait_for()
    other.changed("reverse", other.page.get_by_role("link", name="Use it in Reverse").click)
    assert other.positions("reverse", 0) == sample

    other.page.get_by_role("tab", name="Train").click()
    assert other.page.locator("#train-data input").input_value() == "Two moons"
    other.number("train-steps", 50)
    go_on = other.page.locator("#train-go-on")
    other.changed("train", go_on.click)  # nobody knows its optimiser any more: it goes on from its weights
    lab.follow(f"{TINY}&steps=50", "train", "true")
    lab.changed("train", lab.page.locator("#train-start").click)
    assert other.page.locator("#train-note").is_hidden()  # what it said of the upload went when a control moved
    further, new = (page.stage("train", "s.header.metrics[0].value") for page in (other, lab))
    assert further < 0.75 * new


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"not a network at all", "This is not a Diffusion lab checkpoint"),
        ((FOLDER / "fashion_mnist.safetensors").read_bytes(), "for points with 784 coordinates"),
    ],
    ids=["no network", "of images"],
)
def test_a_file_that_is_no_network_of_points_is_said_to_be_none(visit, tmp_path, content, words):
    lab = visit(TINY, stage="train", ready="true")
    path = tmp_path / "foreign.safetensors"
    path.write_bytes(content)
    with lab.page.expect_file_chooser() as chooser:
        lab.page.locator("#train-upload").click()
    chooser.value.set_files(path)
    lab.page.get_by_text(words).wait_for()


def stroke(lab) -> None:
    box = lab.page.locator("#train-pad canvas").bounding_box()
    lab.page.mouse.move(box["x"] + 20, box["y"] + 20)
    lab.page.mouse.down()
    for k in range(1, 20):
        lab.page.mouse.move(box["x"] + 20 + 8 * k, box["y"] + 20 + 5 * k)
    lab.page.mouse.up()
    lab.page.locator("#train-pad [data-do=use]").click()


def typed(lab) -> None:
    field = lab.page.locator("#train-word textarea, #train-word input").first
    field.fill("扩散")
    field.press("Enter")


def dropped(name: str, content: bytes):
    def drop(lab) -> None:
        with lab.page.expect_file_chooser() as chooser:
            lab.page.locator("#train-file").click()
        chooser.value.set_files({"name": name, "mimeType": "application/octet-stream", "buffer": content})

    return drop


def picture() -> bytes:
    image, file = Image.new("L", (80, 80), 255), io.BytesIO()
    ImageDraw.Draw(image).ellipse((10, 20, 60, 50), fill=0)
    image.save(file, "PNG")
    return file.getvalue()


OWN = {
    "a drawing": stroke,
    "a word": typed,
    "a picture": dropped("ring.png", picture()),
    "a table": dropped("points.csv", b"x,y\n0,0\n1,0.5\n2,1\n0.5,3\n"),
    "a million points": dropped("many.csv", b"\n".join(b"%d,%d" % (k, k * k % 1009) for k in range(MOST_POINTS))),
}


@pytest.fixture
def give(visit):
    """give(way) opens the tab and gives it own data."""

    def begin(way: str):
        lab = visit(f"{TINY}&steps=100", stage="train", ready="true")
        lab.unfold("train-own")
        OWN[way](lab)
        lab.page.get_by_text("Your data are ready").wait_for()
        assert lab.page.locator("#train-data input").input_value() == "Your own data"
        return lab

    return begin


@pytest.mark.parametrize("way", OWN)
def test_own_data_are_a_link(give, visit, way):
    link = give(way).page.get_by_role("link", name="See it in Forward").get_attribute("href")
    forward = visit(f"?t=0&n=200&{link.partition('?')[2]}")
    assert forward.page.locator("#forward-data input").input_value() == "Your own data"
    assert "data=own." in forward.page.url


def test_own_data_become_a_network(give):
    lab = give("a word")
    lab.changed("train", lab.page.locator("#train-start").click)
    assert "data=own." in lab.page.url


def test_a_bad_table_is_named_by_its_line(visit):
    lab = visit(TINY, stage="train", ready="true")
    lab.unfold("train-own")
    dropped("points.csv", b"x,y\n0,0\n1,oops\n2,2\n")(lab)
    lab.page.locator("#train-note").get_by_text("line 3").wait_for()
