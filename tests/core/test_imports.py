import inspect
import re
import subprocess
import sys
import typing
from pathlib import Path

import ddpm_core


def test_the_core_loads_no_user_interface():
    code = (
        "import importlib, pkgutil, sys, ddpm_core\n"
        "for module in pkgutil.walk_packages(ddpm_core.__path__, 'ddpm_core.'): importlib.import_module(module.name)\n"
        "print(*sys.modules)"
    )
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert {"ddpm_core.samplers", "ddpm_core.__main__"} <= loaded
    assert not loaded & {"gradio", "plotly", "ddpm_ui", "diffusers", "matplotlib"}


REGISTRIES = (ddpm_core.SAMPLERS, ddpm_core.SCHEDULES, ddpm_core.DATASETS)


def test_every_public_name_says_what_it_is():
    """In words of its own: what a dataclass or a named tuple writes into an empty docstring is only its fields."""
    public = {name: getattr(ddpm_core, name) for name in ddpm_core.__all__}
    for name, said in {**public, **{key: row for rows in REGISTRIES for key, row in rows.items()}}.items():
        alias = typing.get_origin(said)  # inspect.isclass takes one for a class in Python 3.10
        if not alias and (inspect.isclass(said) or inspect.isfunction(said)):
            words = said.__doc__ or ""
            assert words and not words.startswith(f"{name}("), name


CHAPTERS = ("data", "models", "samplers", "guidance", "metrics", "training", "analysis")  # each may use those before it
ORDER = {"files": 0, "schedules": 0, "data": 0, "models": 1, "samplers": 2, "guidance": 3, "device": 3, "metrics": 4}
ORDER |= {"training": 5, "analysis": 6, "__init__": 7, "__main__": 8}


def test_arrows_point_down():
    """A chapter imports what stands before it, never what stands after it: no circle, and a reader knows the way."""
    core = Path(ddpm_core.__file__).parent
    for path in core.rglob("*.py"):
        chapter = path.relative_to(core).parts[0].removesuffix(".py")
        text = path.read_text(encoding="utf-8")
        used = set(re.findall(r"^\s*from ddpm_core\.(\w+)", text, re.MULTILINE))
        for names in re.findall(r"^from ddpm_core import (.*)$", text, re.MULTILINE):
            used |= set(names.split(", "))
        later = {name for name in used if ORDER[name] > ORDER[chapter]}
        assert not later, f"{path.relative_to(core)} imports {later}"


def test_every_chapter_says_what_it_is():
    core = Path(ddpm_core.__file__).parent
    folders = {path.parent.name for path in core.glob("*/__init__.py")}
    assert folders == set(CHAPTERS)
    for path in core.rglob("*.py"):
        assert path.read_text(encoding="utf-8").startswith('"""'), path
