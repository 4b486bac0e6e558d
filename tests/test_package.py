"""The wheel: what is in it, and that core and app work from it alone, in a folder that is not the repository."""

import re
import subprocess
import sys
import urllib.request
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from ddpm_core import __version__
from ddpm_ui.server.assets import VERSION
from tests.real import ROOT, served


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with what `pip install .` installs, dependencies aside."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT], check=True)
    (wheel,) = folder.glob("diffusion_lab-*-py3-none-any.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", folder / "site", wheel], check=True)
    return folder / "site"


@pytest.fixture(scope="module")
def distribution(installed: Path) -> Distribution:
    (found,) = distributions(path=[str(installed)])
    return found


@pytest.fixture
def alone(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is installed comes first for every Python started from here, in an empty folder."""
    monkeypatch.setenv("PYTHONPATH", str(installed))
    monkeypatch.chdir(tmp_path)
    return installed


def test_wheel_holds_the_packages_and_their_licences_and_nothing_else(distribution):
    files = {str(path) for path in distribution.files}
    about = f"diffusion_lab-{__version__}.dist-info"
    assert {file.partition("/")[0] for file in files} - {".."} == {"ddpm_core", "ddpm_ui", about}
    licences = {f"{about}/licenses/{name}" for name in ("LICENSE", "assets/NOTICE", "assets/fonts/LICENSE")}
    assert licences | {"ddpm_core/py.typed", "ddpm_ui/py.typed"} <= files


def test_core_works_from_the_wheel(alone):
    code = """
import ddpm_core as core
print(core.__file__)
data, schedule = core.DATASETS["swiss_roll"](), core.SCHEDULES["linear"](T=10)
noise = core.ParticleNoise(seed=0, n=100)
step, *_ = core.SAMPLERS["ddpm"](core.load_checkpoint("swiss_roll"), schedule, noise.start(), noise=noise)
print(step.x.shape, core.excess_nll(step.x, data).value > 0)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [str(alone / "ddpm_core" / "__init__.py"), "torch.Size([100, 2]) True"]


def test_command_serves_the_page(alone, tmp_path):
    command = str(alone / "bin" / "diffusion-lab")
    version = subprocess.run([sys.executable, command, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.strip() == __version__
    with served(command, log=tmp_path / "log.txt") as address:
        for path in ("/", f"/lab/assets-{VERSION}/lab.css", "/lab/forward", "/lab/film/forward"):
            assert urllib.request.urlopen(address + path, timeout=60).status == 200


def requirements(lines: list[str]) -> dict[str, Requirement]:
    return {made.name.lower(): made for made in map(Requirement, lines)}


def lines(file: str) -> list[str]:
    return re.findall(r"^[^#\n]+$", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)


def test_requirements_txt_says_what_the_package_says(distribution):
    """Spaces install it before they have the rest of the repository, so it cannot point to pyproject.toml."""
    needed = [made for made in map(Requirement, distribution.requires) if "dev" not in str(made.marker)]
    assert {made.name: made.specifier for made in needed} == {
        name: made.specifier for name, made in requirements(lines("requirements.txt")).items()
    }


def test_constraints_pin_all_that_is_installed(distribution):
    """In versions that the package allows."""
    pinned = requirements(lines("constraints.txt"))
    for needed in map(Requirement, distribution.requires):
        if needed.name != distribution.name:
            (pin,) = pinned[needed.name.lower()].specifier
            assert pin.operator == "==" and pin.version in needed.specifier
