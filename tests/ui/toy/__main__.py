"""python -m tests.ui.toy: the lab with the toy exhibit in it. What would be a line in the registry stands here."""

from ddpm_ui.exhibits.exhibit import register
from ddpm_ui.words import STRINGS
from tests.ui.toy.tab import EXHIBIT

SENTENCES = {
    "tab_toy": "Toy",
    "toy_drift": "drift",
    "field_speed": "Speed",
    "model_time": "model time",
    "left": "left",
    "right": "right",
    "alt_reach": "Points drift by {speed}",
}
for words in STRINGS.values():
    words.update(SENTENCES)
register(EXHIBIT)

from ddpm_ui.page import build, launch_options  # noqa: E402  # the page is made of what is registered

if __name__ == "__main__":
    build().launch(**launch_options())
