"""The house of exhibits: arrows point one way, nothing outside a folder names what is in it, and a new one is local."""

import ast
import dataclasses
import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from ddpm_ui.exhibits.exhibit import EXHIBITS as REGISTERED
from ddpm_ui.exhibits.exhibit import Exhibit, register
from ddpm_ui.exhibits.registry import EXHIBITS, FOLDERS
from ddpm_ui.words import STRINGS
from tests.real import ROOT

UI = ROOT / "ddpm_ui"
FLOORS = (
    "colours",
    "words",
    "recipes",
    "server",
    "web",
    "exhibits",
    "page",
    "__main__",
)  # each may use those before it


def imported(path: Path) -> set[str]:
    """The modules of ddpm_ui that a file imports at run time."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ddpm_ui"):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return {name.removeprefix("ddpm_ui.") for name in names}


@pytest.mark.parametrize("path", sorted(UI.rglob("*.py")), ids=lambda path: str(path.relative_to(UI)))
def test_arrows_point_one_way(path):
    """page -> exhibits -> server, web -> recipes; what two exhibits share moves up."""
    place = path.relative_to(UI).with_suffix("").parts
    for name in imported(path):
        if name.split(".")[0] in FLOORS:
            assert FLOORS.index(name.split(".")[0]) <= FLOORS.index(place[0]), f"{path} imports {name}"
    if place[0] == "exhibits" and place[1] in FOLDERS:
        others = {name.split(".")[1] for name in imported(path) if name.startswith("exhibits.")} & set(FOLDERS)
        assert others <= {place[1]}
    assert path.read_text(encoding="utf-8").startswith('"""') or not path.stat().st_size


@pytest.mark.parametrize("path", [UI / "page.py", *UI.glob("server/*.py"), *UI.glob("web/*.py"), UI / "recipes.py"])
def test_only_the_registry_names_exhibits(path):
    quoted = set(re.findall(r"[\"'](\w+)[\"']", path.read_text(encoding="utf-8")))
    assert not quoted & (EXHIBITS.keys() - {"images", "views"})  # these two are other things as well


def test_a_notebook_can_use_every_figure():
    """Figures and streams import no gradio, so that whoever has plotly can draw them."""
    files = [path for path in UI.glob("exhibits/*/*.py") if path.stem in ("figures", "plots", "stream", "recipe")]
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files]
    code = (
        f"import importlib, sys; [importlib.import_module(name) for name in {modules}]; print('gradio' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert len(modules) > 15 and run.stdout.strip() == "False"


def test_names_that_are_taken_are_refused():
    before = dict(REGISTERED)
    one = next(iter(EXHIBITS.values()))
    with pytest.raises(ValueError, match="two exhibits"):
        register(one)
    other = type("Other", (one.recipe,), {"tab": "other"})
    with pytest.raises(ValueError, match="streams of the same name: chain"):
        register(Exhibit(other, "tab_other", 9, one.build, streams={"chain": one.streams["chain"]}))
    assert before == REGISTERED


@pytest.mark.parametrize("exhibit", EXHIBITS.values(), ids=EXHIBITS)
def test_every_exhibit_has_its_words_and_its_line_in_the_readme(exhibit):
    assert all(exhibit.title in words for words in STRINGS.values())
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"| **{STRINGS['en'][exhibit.title]}** |" in readme
    if exhibit.takes_networks:
        assert all(f"use_in_{exhibit.name}" in words for words in STRINGS.values())


# Of every field a value that is not its default, and cheap; "schedule" is the other case.
MOVED = {
    "data": "eight_gaussians", "denoiser": "exact", "T": 12, "beta_min": 0.002, "beta_max": 0.03, "rescale": True,
    "n": 30, "seed": 3, "at": 5, "particle": 2, "churn": 0.25, "beside": "chain", "film": (0, 5), "nfe": 5,
    "spacing": "uniform_lam", "sigma_min": 0.03, "sigma_max": 15.0, "solvers": ("heun", "ddim"), "stepper": "heun",
    "metric": "excess_nll",
}  # fmt: skip
DRAWN = [(exhibit, name) for exhibit in EXHIBITS.values() for name in exhibit.figures]


@pytest.mark.parametrize("other", [{}, {"schedule": "cosine"}], ids=["ranges", "schedule"])
@pytest.mark.parametrize(("exhibit", "name"), DRAWN, ids=[name for _, name in DRAWN])
def test_the_address_of_a_figure_says_all_that_it_depends_on(exhibit, name, other):
    """Else it would stay as it is when a control moves that should change it."""
    kind = exhibit.recipe
    moved = {field.name: MOVED[field.name] for field in dataclasses.fields(kind) if field.name != "schedule"}
    recipe = kind(**moved, **other)
    assert all(getattr(recipe, name) != getattr(kind, name) for name in moved)
    shown = import_module(exhibit.build.__module__).show(recipe, {})
    address = json.loads(shown[name])["src"]
    said = kind.of(dict(parse_qsl(address.partition("?")[2])))
    assert said != recipe
    assert exhibit.figures[name](said).to_json() == exhibit.figures[name](recipe).to_json()
