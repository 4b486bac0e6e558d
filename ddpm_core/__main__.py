"""python -m ddpm_core train|sample|evaluate: train checkpoints, sample from them and evaluate them."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import sys
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from tqdm import tqdm

from ddpm_core import device
from ddpm_core.data.datasets import DATASETS
from ddpm_core.data.images import image_grid
from ddpm_core.guidance.labels import guided
from ddpm_core.metrics.evaluation import REPEATS, measure
from ddpm_core.metrics.image_evaluation import NUMBERS, ImageEvaluator, SamplingConfig, draw, measure_images
from ddpm_core.metrics.intervals import Measured
from ddpm_core.metrics.registry import PANEL
from ddpm_core.models import checkpoints
from ddpm_core.models.denoisers import TARGETS, NetworkDenoiser
from ddpm_core.models.networks import NETWORKS
from ddpm_core.models.precision import PRECISIONS, in_precision, precision_of
from ddpm_core.samplers.registry import OPTIONS, SAMPLERS, TRAITS, ParticleNoise
from ddpm_core.schedules import SCHEDULES, SPACINGS
from ddpm_core.training.checkpoint import FOR_GUIDANCE, FOR_IMAGES, IMAGES, Options, Stopped, train_checkpoint
from ddpm_core.training.loop import TrainConfig
from ddpm_core.training.weighting import WEIGHTINGS

USUAL = SamplingConfig()
SAMPLING_IMAGES: dict[str, Any] = dict(sampler=USUAL.sampler, schedule="cosine", steps=25, spacing=USUAL.spacing, n=40)
SAMPLING_POINTS: dict[str, Any] = dict(sampler="ddpm", schedule="linear", steps=None, spacing="trailing", n=2000)


def given(args: argparse.Namespace, names) -> dict:
    """The options among `names` that were given on the command line."""
    return {name: getattr(args, name) for name in names if hasattr(args, name)}


# ---- tables ----------------------------------------------------------------------------------------------------------


HEADS = {"excess_nll": "excess NLL / nats", "sliced_w2": "sliced W2", "outlier_share": "outlier share"}  # of PANEL


def show(rows: list[dict]) -> None:
    print(f"{'sampler':<17} {'schedule':<14}", *(f"{HEADS[name]:>19}" for name in PANEL))
    for row in rows:
        measured = (Measured(**row[name]) for name in PANEL)
        cells = (f"{m.value:+.4f} ({m.floor:.4f}){' ' if m.perfect else '*'}" for m in measured)
        print(f"{row['sampler']:<17} {row['schedule']:<14}", *(f"{cell:>19}" for cell in cells))
    print(f"value (noise floor), n = {rows[0]['n']}, medians of {REPEATS}")
    print("* outside the range of 95 % of perfect samples")


def show_images(rows: Iterable[dict], precision: str) -> None:
    """Print each row as soon as it is known; before the first one, the floor and the ceiling."""

    def show_row(name: str, values: dict, floor: dict) -> None:
        deviation = values.get("deviation", {})
        accuracy, fid, kid = (f"{values[k]:.3f}" + (f" ± {deviation[k]:.3f}" if deviation else "") for k in NUMBERS)
        ratio = values["fid"] / floor["fid"]
        print(f"{name:<22} {accuracy:>15} {min(values['by_class']):11.3f} {fid:>16} {ratio:8.2f} {kid:>16}", flush=True)

    print(f"sampler     nfe weight {'accuracy':>15} worst class {'FID':>16}  / floor {'KID':>16}")
    row: dict = {}
    for k, row in enumerate(rows):
        for name in ("floor", "ceiling") if k == 0 else ():
            show_row(name, row[name], row["floor"])
        show_row(f"{row['sampler']:<10} {row['nfe']:4} {row['weight']:6}", row, row["floor"])
    means = f"; means of {row['seeds']} seeds ± their standard deviation" if row["seeds"] > 1 else ""
    print(f"floor: {row['n']} real images, ceiling: noise; in {precision}{means}")


# ---- commands --------------------------------------------------------------------------------------------------------


def train_command(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    settings = given(args, [field.name for field in dataclasses.fields(TrainConfig)])
    options = Options(**given(args, [field.name for field in dataclasses.fields(Options)]))
    for dataset in DATASETS if args.dataset == "all" else [args.dataset]:
        if (written := train_checkpoint(dataset, settings, given(args, SIZES), options)) is None:
            continue
        out, metadata = written
        if dataset == IMAGES:
            show_images(metadata["metrics"], PRECISIONS[0])
        else:
            show(metadata["metrics"])
        print(f"{out} ({out.stat().st_size / 1000:.0f} kB, {metadata['training']['seconds']:.0f} s)")


def loaded(args: argparse.Namespace) -> NetworkDenoiser:
    """The checkpoint of a command, in the given precision or else the fastest one on this machine."""
    where = device.pick()
    denoiser = checkpoints.load_checkpoint(args.checkpoint, where)
    fastest = device.precision(where) if of_images(denoiser) else PRECISIONS[0]
    return in_precision(denoiser, getattr(args, "precision", fastest))


def of_images(denoiser: NetworkDenoiser) -> bool:
    return len(denoiser.net.shape) > 1


def sample_command(args: argparse.Namespace) -> None:
    denoiser = loaded(args)
    images = of_images(denoiser)
    for name, value in (SAMPLING_IMAGES if images else SAMPLING_POINTS).items():
        if not hasattr(args, name):
            setattr(args, name, value)
    if images and not args.out:
        raise ValueError("images need an output file: --out NAME.png")
    options = given(args, OPTIONS)
    if foreign := options.keys() - {option.name for option in TRAITS[args.sampler].options}:
        raise ValueError(f"{args.sampler} has no option {', '.join(sorted(foreign))}")
    for name, value in options.items():
        OPTIONS[name].check(value)
    schedule = SCHEDULES[args.schedule](args.T)
    if args.steps is not None:
        schedule = schedule.subsample(min(args.steps, schedule.T), args.spacing)
    label = None
    if args.label is not None:
        label = torch.tensor(args.label).repeat(-(-args.n // len(args.label)))[: args.n].to(device.pick())
    asked = guided(denoiser, label, args.weight)
    noise = ParticleNoise(args.seed, args.n, denoiser.net.shape, device.pick())
    x_T = schedule.scale[-1].item() * noise.start()
    steps = device.run_sampler(args.sampler, asked, schedule, x_T, noise=noise, **options)
    x = deque(tqdm(steps, total=schedule.T + 1, leave=False), maxlen=1)[0].x.cpu()
    if images:
        image_grid(x, len(args.label) if args.label and len(args.label) > 1 else 10).save(args.out)
    else:
        np.savetxt(args.out or sys.stdout, x.numpy(), fmt="%.6f", delimiter=",", header="x,y", comments="")


def evaluate_command(args: argparse.Namespace) -> None:
    denoiser = loaded(args)
    if of_images(denoiser):
        evaluate_images(denoiser, args)
    else:
        show(measure(denoiser, DATASETS[denoiser.metadata["dataset"]](), args.samples, args.seed))


def evaluate_images(denoiser: NetworkDenoiser, args: argparse.Namespace) -> None:
    evaluator, n = ImageEvaluator(args.data), args.samples
    configs = [SamplingConfig(weight, nfe, args.sampler, args.spacing) for nfe in args.nfe for weight in args.weight]
    first = (configs[0], args.seed)
    drawn = {first: draw(denoiser, n, *first)} if args.score else {}
    seeds = range(args.seed, args.seed + args.seeds)
    show_images(measure_images(denoiser, evaluator, configs, n, seeds, drawn), precision_of(denoiser))
    if args.nearest:
        picture, near, usual = evaluator.neighbours(draw(denoiser, 30, *first))
        picture.save(args.nearest)
        print(f"RMS per pixel to the nearest training image, median: {near.median():.3f}; test: {usual.median():.3f}")
    if args.score:
        ours, real = drawn[first], evaluator.train[:n]
        print(f"test accuracy of a classifier trained on {n} samples: {evaluator.accuracy_score(ours):.3f}", flush=True)
        print(f"and of one trained on {n} real images: {evaluator.accuracy_score(real):.3f}")


# ---- arguments -------------------------------------------------------------------------------------------------------

SIZES = ("width", "depth", "fine", "middle", "coarse")


def defaults_of(size: str) -> list[str]:
    """The default of a size in each network that has it."""
    parameters = {name: inspect.signature(kind).parameters for name, kind in NETWORKS.items()}
    return [f"{name} {known[size].default}" for name, known in parameters.items() if size in known]


SEVERAL = (
    "Several devices: accelerate launch --multi_gpu --num_processes N -m ddpm_core train ...; with DDPM_DEVICE=cpu, N "
    "processes on the CPU. Each draws every batch and computes its share, so the steps stay the same."
)


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="python -m ddpm_core", description=__doc__)
    commands = root.add_subparsers(required=True, metavar="train|sample|evaluate")
    shared: dict[str, Any] = dict(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    here: dict[str, Any] = dict(default=argparse.SUPPRESS)

    p = commands.add_parser(
        "train", help="train a network on a data set and write its checkpoint", epilog=SEVERAL, **shared
    )
    p.set_defaults(run=train_command)
    p.add_argument("dataset", choices=[*DATASETS, IMAGES, "all"], help="all: every data set of points")
    for name in SIZES:
        p.add_argument(f"--{name}", type=int, help=", ".join(defaults_of(name)), **here)
    known = dict(target=TARGETS, weighting=WEIGHTINGS, schedule=SCHEDULES, precision=PRECISIONS)
    for field in dataclasses.fields(TrainConfig):
        default = [f"default: {field.default}"]
        if field.name in FOR_IMAGES:
            default.append(f"for images {FOR_IMAGES[field.name]}")
        flag, kind = f"--{field.name.replace('_', '-')}", type(field.default)
        p.add_argument(flag, type=kind, choices=known.get(field.name), help=", ".join(default), **here)
    p.add_argument("--seed", type=int, help="default: that of the shipped checkpoint", **here)
    p.add_argument("--threads", type=int, default=1, help="networks this small gain nothing from a second thread")
    p.add_argument("--samples", type=int, default=Options.samples, help="number of samples for the final measurement")
    p.add_argument("--out", help="default: checkpoints/<dataset>.safetensors", **here)
    p.add_argument("--resume", action="store_true", help="continue the run that was stopped")
    p.add_argument("--start", help="a checkpoint with the initial weights; for images --depth may add blocks", **here)
    g = p.add_argument_group("guidance of --start to be distilled")
    usual = ", ".join(f"{name} {value}" for name, value in FOR_GUIDANCE.items())
    g.add_argument("--weight", type=float, default=Options.weight, help=f"guidance weight; {usual}")
    g.add_argument("--above", type=float, default=Options.above, help="guide only at this half-log-SNR or higher")
    g.add_argument("--weaker", help="a checkpoint with less training on the same data", **here)
    g.add_argument("--away", type=float, default=Options.away, help="strength of autoguidance away from it")
    p.add_argument("--save-every", type=float, default=Options.save_every, help="seconds between two saved states")
    p.add_argument("--log", type=Path, help="a folder for losses, averaged weights and images; as often", **here)
    p.add_argument("--data", type=Path, help="a folder with the four IDX files of the images", **here)

    p = commands.add_parser("sample", help="write samples, points as CSV, images as PNG", **shared)
    p.set_defaults(run=sample_command)
    p.add_argument("checkpoint", help="a name or a .safetensors file")
    p.add_argument("--sampler", choices=SAMPLERS, help="default: ddpm, for images dpmpp_2m", **here)
    for option in OPTIONS.values():
        owners = ", ".join(name for name, traits in TRAITS.items() if option in traits.options)
        bounds = "" if option.choices else f" in {option.low:g} .. {option.high:g},"
        text = f"of {owners},{bounds} default: {option.default}"
        p.add_argument(f"--{option.name}", type=type(option.default), choices=option.choices or None, help=text, **here)
    p.add_argument("--schedule", choices=SCHEDULES, help="default: linear, for images cosine", **here)
    p.add_argument("--T", type=int, default=1000)
    p.add_argument("--steps", type=int, help="how many of the T levels are used; default: all, for images 25", **here)
    p.add_argument("--spacing", choices=SPACINGS, help="which of the levels; default: trailing", **here)
    p.add_argument("--label", type=int, nargs="+", help="classes, used in turn; default: any class")
    p.add_argument("--weight", type=float, default=1.0, help="guidance weight")
    p.add_argument("--precision", choices=PRECISIONS, help="for images; default: the faster one here", **here)
    p.add_argument("--n", type=int, help="default: 2000, for images 40", **here)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--out", help="default: standard output")

    p = commands.add_parser("evaluate", help="distances of a checkpoint's samples to the data", **shared)
    p.set_defaults(run=evaluate_command)
    p.add_argument("checkpoint", help="a name or a .safetensors file")
    p.add_argument("--samples", type=int, default=10_000)
    p.add_argument("--seed", type=int, default=0)
    g = p.add_argument_group("of images")
    g.add_argument("--nfe", type=int, nargs="+", default=[25], help="network evaluations per image")
    g.add_argument("--weight", type=float, nargs="+", default=[1.0], help="guidance weight")
    g.add_argument("--precision", choices=PRECISIONS, help="default: the faster one on this machine", **here)
    g.add_argument("--seeds", type=int, default=1, help="number of seeds, starting with --seed")
    g.add_argument("--sampler", choices=SAMPLERS, default=USUAL.sampler)
    g.add_argument("--spacing", choices=SPACINGS, default=USUAL.spacing)
    g.add_argument("--score", action="store_true", help="train a classifier on the samples and one on real images")
    g.add_argument("--nearest", help="a PNG file: 30 samples, each above the training image nearest to it")
    g.add_argument("--data", type=Path, help="a folder with the four IDX files")
    return root


def main() -> None:
    args = parser().parse_args()
    try:
        args.run(args)
    except Stopped as stopped:
        print(stopped, file=sys.stderr)
        raise SystemExit(130) from None
    except (KeyError, ValueError, TypeError, OSError, safetensors.SafetensorError) as error:
        raise SystemExit(f"error: {error.args[0] if isinstance(error, KeyError) else error}") from None


if __name__ == "__main__":
    main()
