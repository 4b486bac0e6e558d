import os
import re
import signal
import subprocess
import sys
from statistics import mean, stdev

import numpy as np
import pytest
import safetensors.torch
import torch
from core_common import close
from image_common import write
from PIL import Image

from ddpm_core import SAMPLERS, SCHEDULES, device, load_checkpoint
from ddpm_core.__main__ import main
from ddpm_core.metrics.evaluation import EVALUATIONS
from ddpm_core.models.checkpoints import FOLDER
from ddpm_core.models.precision import PRECISIONS
from ddpm_core.samplers.registry import OPTIONS, TRAITS

TINY = ["--width", "8", "--depth", "2", "--batch", "32", "--warmup", "2", "--samples", "20"]


@pytest.fixture
def cli(monkeypatch, capsys):
    """Runs one command as the shell would; what it printed, and its exit message or status."""
    monkeypatch.setenv("DDPM_DEVICE", "cpu")

    def run(*args):
        monkeypatch.setattr(sys, "argv", ["ddpm_core", *map(str, args)])
        status = None
        try:
            main()
        except SystemExit as end:  # anything else would be a traceback, and fails the test that called
            status = end.code
        return status, capsys.readouterr()

    return run


@pytest.fixture
def measure_briefly(monkeypatch):
    monkeypatch.setattr("ddpm_core.metrics.evaluation.EVALUATIONS", [("euler", {}, "flow", 5)])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A checkpoint from `python -m ddpm_core train`, in a process of its own."""
    out = tmp_path_factory.mktemp("cli") / "moons.safetensors"
    command = [sys.executable, "-m", "ddpm_core", "train", "two_moons", "--steps", "5", *TINY, "--out", out]
    env = os.environ | {"DDPM_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=env, cwd=FOLDER.parent)
    assert done.returncode == 0, done.stderr
    assert "excess NLL" in done.stdout and str(out) in done.stdout
    return out


def test_train_writes_a_checkpoint_that_states_its_recipe_and_metrics(trained):
    metadata = load_checkpoint(trained).metadata
    assert metadata["dataset"] == "two_moons"
    assert (metadata["training"]["steps"], metadata["training"]["batch"], metadata["training"]["seed"]) == (5, 32, 0)
    assert [row["n"] for row in metadata["metrics"]] == [20] * len(EVALUATIONS)
    assert len({(row["sampler"], row["schedule"]) for row in metadata["metrics"]}) == len(EVALUATIONS)
    assert not list(trained.parent.glob("*.training"))


def test_evaluate_prints_a_row_for_each_sampler_with_its_floors(cli, trained, monkeypatch):
    evaluations = [("euler", {}, "flow", 5), ("ddpm", {"variance": "beta"}, "cosine", 5), ("heun", {}, "karras", 3)]
    monkeypatch.setattr("ddpm_core.metrics.evaluation.EVALUATIONS", evaluations)
    status, printed = cli("evaluate", trained, "--samples", 10)
    lines = printed.out.splitlines()
    assert status is None and len(lines) == len(evaluations) + 3
    assert all(line.count("(") == 3 for line in lines[1:-2]) and "n = 10" in lines[-2]
    assert all("*" in line for line in lines[1:-2]) and "* outside" in lines[-1]  # five steps of training are few


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_sample_writes_csv(cli, trained, tmp_path, sampler, schedule):
    out = tmp_path / "x.csv"
    command = ("sample", trained, "--sampler", sampler, "--schedule", schedule, "--T", 5, "--n", 7)
    assert cli(*command, "--out", out)[0] is None
    table = np.genfromtxt(out, delimiter=",", names=True)
    assert table.dtype.names == ("x", "y") and table.shape == (7,) and np.isfinite(table["x"]).all()


def test_sample_prints_the_same_points_for_the_same_seed(cli):
    command = ("sample", "swiss_roll", "--T", 5, "--n", 4)
    printed = [cli(*command, "--seed", seed)[1].out for seed in (1, 1, 2)]
    assert printed[0] == printed[1] != printed[2] and len(printed[0].splitlines()) == 5
    assert cli(*command, "--variance", "beta", "--seed", 1)[1].out != printed[0]


@pytest.mark.parametrize("option", [option for option in OPTIONS.values() if not option.choices], ids=lambda o: o.name)
def test_sample_takes_the_options_of_its_sampler_and_refuses_what_lies_beyond(cli, option):
    name = next(name for name, traits in TRAITS.items() if option in traits.options)
    command = ("sample", "swiss_roll", "--T", 5, "--n", 2, "--sampler", name, f"--{option.name}")
    assert cli(*command, option.low)[0] is cli(*command, option.high)[0] is None
    status, _ = cli(*command, 2 * option.high)
    assert status == f"error: {option.name} must lie in {option.low:g} .. {option.high:g}, got {2 * option.high}"


# ---- stop and resume ----


def interrupt(monkeypatch, forward):
    """Ctrl-C during the given forward pass of the network, in the middle of a training step."""
    calls, plain = [], torch.nn.Linear.forward

    def once(self, x):
        calls.append(self.out_features == 2 and self.in_features == 8)
        if sum(calls) == forward and calls[-1]:
            signal.raise_signal(signal.SIGINT)
        return plain(self, x)

    monkeypatch.setattr(torch.nn.Linear, "forward", once)


@pytest.mark.usefixtures("measure_briefly")
def test_a_stopped_run_goes_on_where_it_was(cli, tmp_path, monkeypatch):
    """Interrupted in the middle of its fourth step and resumed, it writes the weights of an uninterrupted run."""
    whole, stopped = tmp_path / "whole.safetensors", tmp_path / "stopped.safetensors"
    command = ("train", "two_moons", "--steps", 8, *TINY)
    assert cli(*command, "--out", whole)[0] is None
    with monkeypatch.context() as patch:
        interrupt(patch, 4)
        status, printed = cli(*command, "--out", stopped)
    assert status == 130 and "--resume" in printed.err and not stopped.exists()
    assert stopped.with_suffix(".training").exists()
    assert cli(*command, "--out", stopped, "--resume")[0] is None
    assert not stopped.with_suffix(".training").exists()
    a, b = (safetensors.torch.load_file(path) for path in (whole, stopped))
    assert all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.usefixtures("measure_briefly")
def test_a_training_can_start_from_a_checkpoint(cli, trained, tmp_path):
    """With a rate of almost nothing its weights stay what they were; a foreign target and sizes are refused."""
    out = tmp_path / "more.safetensors"
    command = ("train", "two_moons", "--steps", 2, "--samples", 50, "--out", out, "--start", trained)
    assert cli(*command, "--lr", 1e-12)[0] is None
    a, b = (safetensors.torch.load_file(path) for path in (trained, out))
    assert a.keys() == b.keys() and all(torch.allclose(a[key], b[key], atol=1e-9) for key in a)
    before, after = (load_checkpoint(path).metadata["training"] for path in (trained, out))
    assert after["start"] == before and after["steps"] == 2
    assert str(cli(*command, "--target", "eps")[0]) == "error: --start needs a MLP that predicts eps"
    for size in ("--width", "--depth"):
        assert str(cli(*command, size, 8)[0]).startswith("error: --start has sizes of its own")


def test_resume_without_a_stopped_run_says_so(cli, tmp_path):
    status, _ = cli("train", "two_moons", *TINY, "--out", tmp_path / "none.safetensors", "--resume")
    assert "none.training" in str(status)


def test_a_stopped_run_of_another_size_is_refused(cli, tmp_path, monkeypatch):
    out = tmp_path / "net.safetensors"
    with monkeypatch.context() as patch:
        interrupt(patch, 2)
        cli("train", "two_moons", "--steps", 8, *TINY, "--out", out)
    status, _ = cli("train", "two_moons", "--steps", 8, *TINY, "--width", 9, "--out", out, "--resume")
    assert str(status).startswith("error: ")


@pytest.mark.parametrize("content", [b"", b"nonsense" * 10], ids=["empty", "nonsense"])
def test_a_damaged_stopped_run_is_refused(cli, tmp_path, content):
    (tmp_path / "net.training").write_bytes(content)
    status, _ = cli("train", "two_moons", *TINY, "--out", tmp_path / "net.safetensors", "--resume")
    assert str(status).startswith("error: ")


# ---- images ----

SIZES = ["--fine", "8", "--middle", "8", "--coarse", "16"]
BRIEF = ["--steps", "3", "--batch", "8", "--warmup", "1", "--save-every", "0", "--samples", "20"]
TINY_IMAGES = ["train", "fashion_mnist", *SIZES, *BRIEF]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data set of random images, of sixty each to train and to test."""
    return write(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def portrait(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("images") / "net.safetensors"
    command = [*TINY_IMAGES, "--data", folder, "--out", out, "--log", out.parent / "log"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DDPM_DEVICE", "cpu")
        patch.setattr(sys, "argv", ["ddpm_core", *map(str, command)])
        main()
    return out


def test_a_training_on_images_leaves_a_checkpoint_and_a_log(portrait):
    metadata, log = load_checkpoint(portrait).metadata, portrait.parent / "log"
    assert metadata["dataset"] == "fashion_mnist" and metadata["training"]["weighting"] == "flat"
    (row,) = metadata["metrics"]
    assert (row["nfe"], row["weight"], row["n"]) == (25, 1.0, 20) and row["ceiling"]["fid"] > 0
    assert [line.split(",")[0] for line in (log / "loss.csv").read_text().splitlines()] == ["1", "2", "3"]
    assert load_checkpoint(log / "average.safetensors").metadata["training"]["done"] == 3
    with Image.open(log / "000003.png") as picture:
        assert picture.size == (280, 112)


def test_a_network_of_images_can_grow_and_learn_on(cli, portrait, folder, tmp_path):
    out = tmp_path / "deeper.safetensors"
    command = ("train", "fashion_mnist", *BRIEF, "--data", folder, "--out", out, "--start", portrait, "--depth", 2)
    assert cli(*command, "--lr", 1e-12)[0] is None
    a, b = (safetensors.torch.load_file(path) for path in (portrait, out))
    assert a.keys() < b.keys() and all(torch.allclose(a[key], b[key], atol=1e-9) for key in a)
    assert load_checkpoint(out).net.hyperparameters == load_checkpoint(portrait).net.hyperparameters | {"depth": 2}


@pytest.mark.usefixtures("measure_briefly")
def test_a_network_of_images_learns_what_guidance_makes_of_it(cli, portrait, folder, tmp_path):
    command = ["train", "fashion_mnist", *BRIEF, "--data", folder, "--start", portrait, "--out"]
    guidance = ["--weight", 3, "--above", -1, "--weaker", portrait, "--away", 0.5]
    assert cli(*command, tmp_path / "guided.safetensors", *guidance)[0] is None
    told = load_checkpoint(tmp_path / "guided.safetensors").metadata["training"]
    assert [told[name] for name in ("weight", "above", "away")] == [3, -1, 0.5]
    assert told["start"] == told["weaker"] == load_checkpoint(portrait).metadata["training"]


@pytest.mark.parametrize(
    ("guidance", "says"),
    [
        (["--away", 0.5], "needs both"),
        (["--weaker", "nothing"], "nothing"),
        (["--weaker", "swiss_roll", "--away", 1], "a network of images"),
        (["--weight", 0.5], "weight = 0.5"),
    ],
)
def test_guidance_that_cannot_be_learned(cli, portrait, folder, tmp_path, guidance, says):
    command = ["train", "fashion_mnist", *BRIEF, "--data", folder, "--out", tmp_path / "net.safetensors", *guidance]
    status, _ = cli(*command, "--start", portrait)
    assert str(status).startswith("error: ") and says in str(status)
    status, _ = cli(*command)
    assert str(status).startswith("error: ") and "need" in str(status)
    assert not list(tmp_path.iterdir())


def test_images_are_sampled_to_a_picture(cli, portrait, tmp_path):
    def drawn(*options):
        assert cli("sample", portrait, "--steps", 3, "--n", 6, "--out", tmp_path / "x.png", *options)[0] is None
        with Image.open(tmp_path / "x.png") as picture:
            return np.array(picture)

    assert drawn("--label", 1, 7, 3).shape == (56, 84) and drawn().shape == (28, 280)
    plain = drawn("--label", 3)
    assert (plain == drawn("--label", 3)).all() and (plain != drawn("--label", 3, "--weight", 100)).any()
    assert (plain != drawn("--label", 4)).any()


def test_images_are_evaluated_at_every_cost_and_weight(cli, portrait, folder, tmp_path):
    ways = ("--nfe", 4, 6, "--weight", 1, 2, "--seeds", 2, "--sampler", "ddim")
    command = ("evaluate", portrait, "--data", folder, "--samples", 12, *ways)
    status, printed = cli(*command, "--nearest", tmp_path / "near.png", "--score")
    rows = [line.split() for line in printed.out.splitlines() if line.startswith("ddim")]
    assert status is None and [row[1:3] for row in rows] == [["4", "1.0"], ["4", "2.0"], ["6", "1.0"], ["6", "2.0"]]
    assert "floor" in printed.out and "ceiling" in printed.out and "12 real images" in printed.out
    with Image.open(tmp_path / "near.png") as picture:
        assert picture.size == (840, 56)


@pytest.mark.parametrize("fastest", PRECISIONS)
def test_images_are_in_the_fastest_precision_unless_another_one_is_asked_for(
    cli, portrait, folder, monkeypatch, fastest
):
    monkeypatch.setattr(device, "precision", lambda _: fastest)
    for options, precision in ((), fastest), *((("--precision", name), name) for name in PRECISIONS):
        status, printed = cli("evaluate", portrait, "--data", folder, "--samples", 12, "--nfe", 4, *options)
        assert status is None and printed.out.endswith(f"in {precision}\n")


def test_the_images_that_were_measured_are_those_that_are_learned_from(cli, portrait, folder, monkeypatch):
    walks, walk = [], device.run_sampler
    monkeypatch.setattr(device, "run_sampler", lambda *args, **more: walks.append(args) or walk(*args, **more))
    status, _ = cli("evaluate", portrait, "--data", folder, "--samples", 12, "--nfe", 4, "--score")
    assert status is None and len(walks) == 1


def test_several_seeds_are_told_with_their_spread(cli, portrait, folder):
    def numbers(*seeds):
        command = ("evaluate", portrait, "--data", folder, "--samples", 12, "--nfe", 4, *seeds)
        row = next(line for line in cli(*command)[1].out.splitlines() if line.startswith("dpmpp_2m"))
        return [[float(value) for value in re.findall(r"-?[\d.]+", part)] for part in re.split(r"\s{2,}", row)[3::2]]

    alone = [numbers("--seed", seed) for seed in (0, 1)]
    for both, one, other in zip(numbers("--seeds", 2), *alone, strict=True):
        assert both == pytest.approx([mean(one + other), stdev(one + other)], abs=2e-3)


def two_processes(out, *arguments):
    """Train by `accelerate launch`, which counts any device; one of the two writes `out`, and a log beside it."""
    launch = "accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no"
    launch += " --dynamo_backend no --main_process_port 0 -m ddpm_core"
    command = [sys.executable, "-m", *launch.split(), *arguments, "--out", out, "--log", out.parent / "log"]
    env = os.environ | {"DDPM_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=env, cwd=FOLDER.parent)
    assert done.returncode == 0 and "2 processes" in done.stdout and done.stdout.count(str(out)) == 1, done.stderr


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(portrait, folder, tmp_path):
    """Each computes half of every batch."""
    out = tmp_path / "both" / "net.safetensors"
    two_processes(out, *TINY_IMAGES, "--data", folder)
    alone, both = (np.loadtxt(path.parent / "log" / "loss.csv", delimiter=",") for path in (portrait, out))
    close(both, alone, 1e-4)
    a, b = (safetensors.torch.load_file(path) for path in (portrait, out))
    assert all(torch.allclose(a[key], b[key], atol=1e-4) for key in a)


# ---- errors: one line, no traceback ----


@pytest.mark.usefixtures("measure_briefly")
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize(
    "command, says",
    [
        ("sample nothing", "swiss_roll"),
        ("evaluate nothing", "swiss_roll"),
        ("sample nothing.safetensors", "nothing.safetensors"),
        ("sample swiss_roll --sampler ddpm --eta 0.5", "eta"),
        ("sample swiss_roll --sampler ddim --eta 2", "eta"),
        ("sample swiss_roll --sampler euler --variance beta", "variance"),
        ("sample swiss_roll --T 0", "T"),
        ("sample swiss_roll --T -5", "T"),
        ("sample swiss_roll --T 5 --n -1", "n"),
        ("sample swiss_roll --T 5 --seed -1", "seed"),
        ("sample swiss_roll --T 2 --n 2 --out /nowhere/x.csv", "/nowhere/x.csv"),
        ("evaluate swiss_roll --samples 0", "samples"),
        ("sample swiss_roll --T 5 --label 1", "labels"),
        ("sample swiss_roll --T 5 --precision bfloat16", "MLP"),
        ("train fashion_mnist --data /nowhere", "/nowhere"),
        ("train two_moons --coarse 8", "coarse"),
        ("train two_moons --steps 0", "steps"),
        ("train two_moons --batch 0", "batch"),
        ("train two_moons --ema 1", "ema"),
        ("train two_moons --depth 0 --steps 1 --samples 5 --out {tmp}/net.safetensors", "depth"),
        ("train two_moons --width 0 --steps 1 --samples 5 --out {tmp}/net.safetensors", "width"),
        ("train two_moons --width -1 --steps 1 --samples 5 --out {tmp}/net.safetensors", "width"),
    ],
)
def test_mistakes_are_answered_in_one_line(cli, command, says, tmp_path):
    status, _ = cli(*command.format(tmp=tmp_path).split())
    assert isinstance(status, str) and status.startswith("error: ") and "\n" not in status
    assert re.search(rf"(?<!\w){re.escape(says)}\b", status)


def test_an_unknown_device_is_answered_in_one_line(cli, monkeypatch):
    monkeypatch.setenv("DDPM_DEVICE", "abacus")
    status, _ = cli("sample", "swiss_roll", "--T", 2, "--n", 2)
    assert str(status).startswith("error: ") and "abacus" in str(status).splitlines()[0]


@pytest.mark.parametrize("command", ["", "dance", "train", "train nothing", "sample", "train two_moons --target u"])
def test_wrong_usage_shows_the_usage(cli, command):
    status, printed = cli(*command.split())
    assert status == 2 and "usage: python -m ddpm_core" in printed.err
