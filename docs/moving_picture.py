"""Make the README's moving picture from the running app: python -m docs.moving_picture."""

from collections.abc import Iterable, Iterator
from io import BytesIO
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Browser

from tests.real import ROOT, chromium, served

PICTURE = ROOT / "docs" / "lab.gif"
WINDOW, SCALE = {"width": 1100, "height": 616}, 0.75  # CSS pixels; pixels of the picture per CSS pixel
FRAME, HOLD = 70, 1200  # milliseconds
T = 50
WALK = f"data=swiss_roll&schedule=flow&T={T}"  # on this path something happens at every t
LINKS = {"forward": f"?tab=forward&{WALK}", "reverse": f"?tab=reverse&{WALK}&sampler=euler&steps={T}"}


def frames(browser: Browser, address: str, tab: str, times: Iterable[int]) -> Iterator[Image.Image]:
    """The page at each of these times."""
    page = browser.new_page(viewport=WINDOW, device_scale_factor=SCALE)
    stage = f"lab.stages.{tab}"
    page.goto(f"{address}/{LINKS[tab]}")
    page.wait_for_function(f"window.lab?.stages.{tab}?.header?.done")
    page.evaluate(f"{stage}.clock.pause()")
    for t in times:
        page.evaluate(f"{stage}.clock.setT({t})")
        page.wait_for_function(f"{stage}.idle")
        yield Image.open(BytesIO(page.screenshot())).convert("RGB")
    page.close()


def main() -> None:
    with TemporaryDirectory() as folder, served("app.py", log=Path(folder, "log")) as address, chromium() as browser:
        melting = list(frames(browser, address, "forward", range(0, T + 1, 2)))
        forming = list(frames(browser, address, "reverse", range(T, -1, -1)))
    pictures = melting + forming
    # One palette for all, and no dithering: what does not move must not flicker, and costs nothing. Flat areas keep
    # their colour, the rest of the palette spans what is left.
    resting = melting[0], melting[-1], forming[-1]
    sample = Image.new("RGB", (melting[0].width, 3 * melting[0].height))
    for row, picture in enumerate(resting):
        sample.paste(picture, (0, row * picture.height))
    frequent = sorted(sample.getcolors(sample.width * sample.height), reverse=True)[:64]
    spread = sample.quantize(192, method=Image.Quantize.MAXCOVERAGE).getpalette()
    palette = Image.new("P", (1, 1))
    palette.putpalette([*chain.from_iterable(colour for _, colour in frequent), *spread[: 3 * 192]])
    first, *others = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    durations = [HOLD if picture in resting else FRAME for picture in pictures]
    first.save(PICTURE, save_all=True, append_images=others, duration=durations, loop=0, optimize=True)
    print(f"{PICTURE.relative_to(ROOT)}: {len(pictures)} frames, {PICTURE.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
