"""The Images tab: pictures form from noise while somebody watches, and every step of it stays there to be looked at."""

import io

import numpy as np
import pytest
from PIL import Image

from ddpm_core import ParticleNoise
from ddpm_core.data.images import to_pixels, to_unit
from ddpm_ui.exhibits.images import stream as pictures
from ddpm_ui.exhibits.images.recipe import Images
from tests.real import PHONE

QUICK = "?tab=images&n=10&nfe=4"
MELTING = QUICK + "&task=forward"


@pytest.fixture
def start(visit):
    def begin(query: str = QUICK, **settings):
        lab = visit(query, stage="images", ready="s.header?.done", **settings)
        lab.finished("images")
        return lab

    return begin


def seen(lab, layer="x", t=0, stage="images"):
    return lab.stage(stage, f"s.pictures('{layer}', {t})")


def at(lab, t):
    lab.page.locator("#images-gallery .lab-range").fill(str(t))
    lab.until("images", f"s.idle && s.clock.t === {t}")


def number(lab, name, stage="images"):
    return lab.page.locator(f"#{stage}-gallery [data-number={name}]").inner_text()


def test_nobody_pays_for_a_tab_that_is_not_opened(visit):
    lab = visit(fresh=True)
    assert not [url for url in lab.requests if "lab/images" in url]


def test_plotly_holds_up_nobody_who_looks_at_pictures(start):
    lab = start(fresh=True)
    lab.page.wait_for_timeout(2500)  # longer than the page would wait for points that move
    assert not [url for url in lab.requests if "plotly" in url]
    lab.page.get_by_role("tab", name="Forward").click()
    lab.drawn("forward-film")
    lab.until("forward", "s.painted > 1")


def test_pictures_form_from_noise_and_scrubbing_asks_nobody(start):
    lab = start()
    assert lab.page.locator("#images-gallery .lab-badge").inner_text() == "learned"
    assert lab.stage("images", "s.header.times") == [1000, 750, 500, 250, 0]
    asked = len(lab.requests)
    for t, shown, nfe in ((1000, 1000, 1), (750, 750, 2), (600, 750, 2), (500, 500, 3), (0, 0, 4)):
        at(lab, t)
        assert (lab.stage("images", "s.shown"), number(lab, "nfe")) == (shown, str(nfe))
        said = lab.page.locator("#images-gallery .lab-readout").inner_text()
        assert (f"computed at t = {shown}" in said) == (t != shown) and "clipped" in said
        alt = lab.page.locator("[data-layer=x0] canvas").get_attribute("aria-label")
        assert f"10 predicted clean images at t = {shown} of 1000, after {nfe} network evaluations" in alt
    assert len({tuple(seen(lab, layer, t)) for layer in ("x", "x0") for t in (1000, 500, 0)}) == 5  # the last two agree
    lab.page.keyboard.press("End")
    lab.until("images", "s.idle && s.shown === 1000")
    forward = lab.page.locator("#images-gallery [data-do=back]")  # towards data
    forward.click()
    lab.until("images", "s.idle && s.clock.t === 750")
    lab.page.keyboard.press(" ")
    lab.until("images", "s.clock.playing")
    lab.until("images", "s.idle && s.clock.t === 0 && !s.clock.playing")
    assert lab.requests[asked:] == []


CONTROLS = {
    "data": lambda lab: lab.choose("images-data", "Bag"),
    "sampler": lambda lab: lab.choose("images-sampler", "DPM-Solver++(2M)"),
    "nfe": lambda lab: lab.number("images-nfe", 6),
    "weight": lambda lab: lab.number("images-weight", 2),
    "T": lambda lab: (lab.more("images"), lab.number("images-T", 500)),
    "spacing": lambda lab: lab.choose("images-spacing", "uniform in λ"),
    "schedule": lambda lab: lab.choose("images-schedule", "Linear (DDPM)"),
    "beta_min": lambda lab: lab.number("images-beta_min", 0.001),
    "beta_max": lambda lab: lab.number("images-beta_max", 0.04),
    "rescale": lambda lab: lab.check("images-rescale"),
    "n": lambda lab: lab.number("images-n", 12),
    "seed": lambda lab: lab.number("images-seed", 7),
    "task": lambda lab: lab.choose("images-task", "Noise real images, then denoise"),
    "level": lambda lab: lab.number("images-level", 300),
    "told": lambda lab: lab.choose("images-told", "Sandal"),
}


def test_every_control_changes_the_pictures_and_the_link(start):
    lab = start()
    for control, act in CONTROLS.items():
        before = seen(lab)
        lab.changed("images", lambda act=act: act(lab))
        assert seen(lab) != before, control
        lab.page.wait_for_function("control => location.search.includes(`${control}=`)", arg=control)
    before = seen(lab)
    lab.changed("images", lambda: lab.page.locator("#images-run").click())
    assert seen(lab) != before and "seed=8" in lab.page.url


def test_every_task_has_its_own_controls(start):
    lab = start()
    tasks = {
        "back": "Noise real images, then denoise",
        "interpolate": "Interpolate between two noises",
        "inpaint": "Inpaint half of an image",
        "forward": "Add noise to real images",
        "generate": "Generate from noise",
    }
    lab.more("images")
    for task, option in tasks.items():
        lab.changed("images", lambda option=option: lab.choose("images-task", option))
        for field in Images.optional:
            state = "hidden" if field in Images(task=task).idle else "visible"
            lab.page.locator(f"#images-{field}").wait_for(state=state)
        if task == "inpaint":
            made, real = (np.array(seen(lab, layer)).reshape(10, 28, 28) for layer in ("x", "real"))
            assert (made[:, :14] == real[:, :14]).all() and (made[:, 14:] != real[:, 14:]).any()
            lab.changed("images", lambda: lab.choose("images-kept", "Left"))
            made = np.array(seen(lab)).reshape(10, 28, 28)
            assert (made[..., :14] == real[..., :14]).all() and (made[..., 14:] != real[..., 14:]).any()


def test_real_pictures_melt_in_the_browser(start):
    lab = start(MELTING, fresh=True)
    assert lab.page.locator("#images-gallery .lab-badge").inner_text() == "exact"
    assert seen(lab, t=0) == seen(lab, "real")
    asked = len(lab.requests)
    recipe = Images(n=10)
    x0, eps = pictures.real(recipe), ParticleNoise(recipe.seed, recipe.n, (1, 28, 28)).start()
    for t in (120, 500, 1000):
        at(lab, t)
        expected = to_pixels(recipe.full_schedule.jump(to_unit(x0), t, eps)).flatten().tolist()
        assert np.abs(np.subtract(seen(lab, t=t), expected)).max() <= 1
    assert lab.requests[asked:] == []
    lab.page.locator("[data-layer=x] canvas").click(position={"x": 5, "y": 5})
    lab.until("images", "s.idle && s.followed === 0")
    lab.changed("images", lambda: lab.choose("images-data", "Ankle boot"))
    assert lab.page.locator("#images-gallery [data-text=followed]").inner_text() == "Image 1 of 10: Ankle boot"


def test_a_click_follows_a_picture_and_is_a_link(start):
    lab = start(fresh=True)
    reel = lab.page.locator("#images-gallery .lab-reel")
    assert reel.is_hidden()
    canvas = lab.page.locator("[data-layer=x0] canvas")
    box = canvas.bounding_box()
    canvas.click(position={"x": box["width"] * 0.5, "y": box["height"] * 0.75})  # 5 by 2 pictures: the eighth
    lab.until("images", "s.idle && s.followed === 7")
    assert reel.locator("[data-text=followed]").inner_text() == "Image 8 of 10: Sneaker · classified as: Sneaker"
    film = reel.locator("canvas")
    before = film.evaluate("canvas => canvas.toDataURL()")
    width = film.bounding_box()["width"]
    film.click(position={"x": width * 0.7, "y": 10})  # five steps, data first: the fourth
    lab.until("images", "s.idle && s.clock.t === 750")
    assert film.evaluate("canvas => canvas.toDataURL()") != before
    lab.page.wait_for_url("**t=750&image=7**")
    again = start("?" + lab.page.url.partition("?")[2])
    assert again.stage("images", "[s.followed, s.clock.t]") == [7, 750]
    canvases = "[...s.element.querySelectorAll('canvas')].map(canvas => canvas.toDataURL())"
    assert again.stage("images", canvases) == lab.stage("images", canvases)
    reel.locator("[data-do=after]").click()
    lab.until("images", "s.idle && s.followed === 8")
    lab.page.locator("#images-gallery [data-do=follow]").click()
    reel.wait_for(state="hidden")


def test_two_from_the_same_noise_beside_each_other(start):
    lab = start(fresh=True)
    assert not lab.page.locator("#images-beside-gallery").is_visible()
    lab.choose("images-beside", "Another sampler")
    lab.until("images-beside", "s.header?.done")
    lab.choose("images-beside_sampler", "Heun")
    lab.until("images-beside", "s.header.done && s.header.title[1] === 'choice_heun'")
    at(lab, 1000)
    lab.until("images-beside", "s.idle && s.shown === 1000")
    assert seen(lab, t=1000) == seen(lab, t=1000, stage="images-beside")
    assert seen(lab) != seen(lab, stage="images-beside")
    lab.page.locator("#images-gallery [data-do=follow]").click()
    lab.until("images-beside", "s.idle && s.followed === 0")
    lab.choose("images-beside", "Another guidance weight")
    lab.until("images-beside", "s.header.done && s.header.title[2] === 'w = 3'")
    lab.number("images-beside_weight", 1)
    lab.until("images-beside", "s.header.done && s.header.title[2] === 'w = 1'")
    assert seen(lab) == seen(lab, stage="images-beside")
    lab.page.wait_for_url("**beside=weight**beside_weight=1.0**")


def as_file(pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


SLOW_SERVER = """() => {
  const {fetch} = window;
  window.fetch = async (url, ...options) => {
    if (`${url}`.includes("/run/predict")) await new Promise(done => setTimeout(done, 1000));
    return fetch(url, ...options);
  };
}"""


def test_an_own_picture_is_taken_or_named_and_is_a_link(start):
    lab = start(MELTING, fresh=True)
    lab.page.evaluate(SLOW_SERVER)  # a file that arrives while the one before is looked at is not lost
    lab.unfold("images-own")
    upload = lab.page.locator("#images-own input[type=file]")
    disc = np.where(np.hypot(*np.mgrid[-40:40, -40:40]) < 25, 20, 250)
    for content, words in (
        (b"nonsense", "not a PNG"),
        (as_file(disc)[:150], "not a PNG"),
        (as_file(0 * disc), "contrast"),
    ):
        upload.set_input_files({"name": "mine.png", "mimeType": "image/png", "buffer": content})
        lab.page.locator("#images-note").get_by_text(words).wait_for()
    upload_it = {"name": "mine.png", "mimeType": "image/png", "buffer": as_file(disc)}
    lab.changed("images", lambda: upload.set_input_files(upload_it))
    real = np.array(seen(lab, "real")).reshape(10, 28, 28)
    assert real[0, 14, 14] > 200 and real[0, 0].max() < 30 and (real == real[0]).all()
    lab.page.wait_for_url("**data=picture.**")
    again = start("?" + lab.page.url.partition("?")[2])
    assert seen(again, "real") == seen(lab, "real")
    again.choose("images-data", "Sneaker")
    again.page.locator("#images-note").get_by_text("remove one of the two").wait_for()
    again.changed("images", again.page.locator("#images-data .token-remove").first.click)
    assert again.stage("images", "new Set(s.header.labels).size") == 1 and seen(again, "real") != seen(lab, "real")


def test_classes_are_picked_one_after_the_other_and_none_of_them_is_all_ten(start):
    lab = start(MELTING)
    everything = seen(lab)
    lab.changed("images", lambda: lab.choose("images-data", "Bag"))
    lab.changed(
        "images", lambda: lab.page.get_by_role("option", name="Dress", exact=True).click()
    )  # the list stays open
    lab.page.wait_for_url("**data=bag,dress**")
    assert lab.stage("images", "s.header.labels") == ["choice_bag", "choice_dress"] * 5
    assert "Bag · Dress" in lab.page.locator("#images-gallery .lab-title").inner_text()
    all_ten = "new Set(s.header.labels).size === 10"
    lab.changed("images", lab.page.locator("#images-data .remove-all").click, all_ten)
    assert seen(lab) == everything
    lab.changed("images", lambda: lab.choose("images-data", "Coat"))
    lab.changed("images", lambda: lab.page.locator("#images-data input").press("Backspace"), all_ten)
    assert seen(lab) == everything


@pytest.mark.parametrize("query", ["sampler=adaptive", "data=picture.AA"])
def test_bad_links_name_the_field(visit, query):
    lab = visit(f"?tab=images&{query}", stage="images", ready="true")
    words = "An image in a link must be" if "picture" in query else f"{query.partition('=')[0]} must"
    lab.page.locator("#images-note").get_by_text(words).wait_for()


def test_stop_keeps_what_there_is(visit):
    lab = visit("?tab=images&n=64&nfe=200", stage="images")
    lab.until("images", "s.painted > 1")
    lab.page.locator("#images-gallery [data-do=stop]").click()
    lab.page.locator("#images-gallery .lab-message").get_by_text("Stopped").wait_for()
    assert not lab.stage("images", "s.header.done")
    assert len(seen(lab, t=1000)) == 64 * 784


@pytest.mark.parametrize("look", ["__theme=dark", "mode=projector"])
def test_looks_and_full_screen(start, look):
    lab = start(f"{MELTING}&{look}", fresh=True)
    lab.full_screen("images", "gallery")
    assert look in lab.page.url and "task=forward" in lab.page.url


@pytest.mark.parametrize("query", [MELTING + "&image=3", QUICK + "&task=back&beside=weight"])
def test_on_a_phone_nothing_scrolls_sideways(start, query):
    lab = start(query, **PHONE)
    assert lab.page.evaluate("document.documentElement.scrollWidth") <= 390
    size = lab.page.locator("#images-gallery [data-do=toggle]").bounding_box()
    assert min(size["width"], size["height"]) >= 40


def test_on_a_small_laptop_it_fits(start):
    lab = start(MELTING)
    for part in (".lab-panels", ".lab-range", ".lab-readout"):
        box = lab.page.locator(f"#images-gallery {part}").bounding_box()
        assert box["y"] + box["height"] <= 768


def test_in_chinese_every_word_is(start):
    lab = start(MELTING + "&image=2", locale="zh-CN")
    lab.more("images")
    words = lab.page.locator("body").inner_text()
    for key in ("choice_", "field_", "pictures_", "picture_of", "follow_title"):
        assert key not in words
    assert "带噪图像" in words and "套头衫" in words
