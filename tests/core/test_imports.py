import re
import subprocess
import sys
from pathlib import Path

import ddpm_core


def test_the_core_loads_no_user_interface():
    code = (
        "import importlib, pkgutil, sys, ddpm_core\n"
        "for module in pkgutil.iter_modules(ddpm_core.__path__, 'ddpm_core.'): importlib.import_module(module.name)\n"
        "print(*sys.modules)"
    )
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert {"ddpm_core.samplers", "ddpm_core.__main__"} <= loaded
    assert not loaded & {"gradio", "plotly", "ddpm_ui", "diffusers", "matplotlib"}


def test_every_public_name_exists():
    assert all(hasattr(ddpm_core, name) for name in ddpm_core.__all__)


def test_the_readme_names_every_module():
    """In the part that its folder begins, and none that is not there."""
    root = Path(__file__).parents[2]
    for part in re.split(r"\n\| \*\*", (root / "README.md").read_text(encoding="utf-8"))[1:]:
        folder = root / part[1:].partition("/")[0]
        if folder.name in {"ddpm_core", "ddpm_ui", "benchmarks"}:
            named = set(re.findall(r"\n\| `(\w+\.py)`", part))
            assert named ^ {path.name for path in folder.glob("*.py")} <= {"__init__.py"}
