"""python -m ddpm_core train|sample|evaluate: everything that a checkpoint goes through, from the shell."""

from __future__ import annotations

import argparse
import copy
import dataclasses
import inspect
import sys
import time
from collections import deque
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from tqdm import tqdm

from ddpm_core import device
from ddpm_core.data.datasets import DATASETS
from ddpm_core.data.images import fashion_mnist, grid
from ddpm_core.data.mixtures import GaussianMixture
from ddpm_core.guidance.labels import guided
from ddpm_core.metrics.image_evaluation import ImageEvaluator, SamplingConfig, draw, measure_images
from ddpm_core.metrics.registry import Measured, energy_distance, excess_nll, sliced_w2
from ddpm_core.models import checkpoints
from ddpm_core.models.denoisers import TARGETS, Denoiser, NetworkDenoiser
from ddpm_core.models.networks import LAM_RANGE, MLP, NETWORKS, UNet
from ddpm_core.models.precision import PRECISIONS, in_precision
from ddpm_core.samplers.registry import OPTIONS, SAMPLERS, TRAITS, ParticleNoise, Step
from ddpm_core.schedules import SCHEDULES, SPACINGS, Schedule
from ddpm_core.training.distillation import Teacher
from ddpm_core.training.loop import TrainConfig, train
from ddpm_core.training.run import Run, processes
from ddpm_core.training.weighting import WEIGHTINGS

IMAGES = "fashion_mnist"
SEEDS = {"cola_sprite_fanta": 1}  # of `train`, else 0: see docs/LOG.md
FOR_IMAGES: dict[str, dict] = {
    "train": dict(steps=40_000, batch=32, lr=3e-3, warmup=500, weighting="flat", schedule="cosine", shared=1),
    "sample": dict(
        sampler=SamplingConfig().sampler, schedule="cosine", steps=25, spacing=SamplingConfig().spacing, n=40
    ),
}
GUIDED = dict(steps=6000, lr=1e-3, warmup=200)  # for images, on top of the above: what guidance makes of a network
FOR_POINTS: dict[str, dict] = {
    "train": {},
    "sample": dict(sampler="ddpm", schedule="linear", steps=None, spacing="trailing", n=2000),
}

# What `evaluate` measures: (sampler, its options, schedule, T).
EVALUATIONS = [
    ("ddpm", {"variance": "beta"}, "linear", 1000),
    ("ddpm", {"variance": "beta_tilde"}, "linear", 1000),
    ("ddpm", {"variance": "beta"}, "cosine", 1000),
    ("ddpm", {"variance": "beta_tilde"}, "cosine", 1000),
    ("euler", {}, "flow", 50),
]


def last_step(
    sampler: str, denoiser: Denoiser, schedule: Schedule, n: int, seed: int, options: dict, shape=(2,), bar=False
) -> Step:
    where = device.pick()
    noise = ParticleNoise(seed, n, shape, device=where)
    steps = device.run_sampler(
        sampler, denoiser, schedule, schedule.scale[-1].item() * noise.start(), noise=noise, **options
    )
    return deque(tqdm(steps, total=schedule.T + 1, disable=not bar, leave=False), maxlen=1)[0]


REPEATS = 9  # a single distance moves by half a floor from one set of samples to the next


def measure(denoiser: Denoiser, mixture: GaussianMixture, n: int, seed: int = 0) -> list[dict]:
    """One row for each of EVALUATIONS: three distances to the data, each with its floor, medians over REPEATS seeds."""
    if n < 1:
        raise ValueError(f"need at least 1 of samples, got {n}")
    rows = []
    for sampler, options, schedule, T in EVALUATIONS:
        runs: dict[str, list[Measured]] = {"excess_nll": [], "sliced_w2": [], "energy_distance": []}
        for k in range(seed, seed + REPEATS):
            truth = mixture.sample(n, generator=torch.Generator().manual_seed(k + 1))
            x = last_step(sampler, denoiser, SCHEDULES[schedule](T), n, k, options).x.cpu()
            runs["excess_nll"].append(excess_nll(x, mixture))
            runs["sliced_w2"].append(sliced_w2(x, truth))
            runs["energy_distance"].append(energy_distance(x, truth))
        row: dict = {"sampler": " ".join([sampler, *options.values()]), "schedule": f"{schedule} T={T}", "n": n}
        for name, run in runs.items():
            row[name] = {field: median(getattr(m, field) for m in run) for field in ("value", "floor")}
        rows.append(row)
    return rows


def show(rows: list[dict]) -> None:
    print(f"{'sampler':<17} {'schedule':<14} {'excess NLL / nats':>20} {'sliced W2':>18} {'energy distance':>22}")
    for row in rows:
        cells = [
            f"{row[k]['value']:+.4f} ({row[k]['floor']:.4f})" for k in ("excess_nll", "sliced_w2", "energy_distance")
        ]
        print(f"{row['sampler']:<17} {row['schedule']:<14} {cells[0]:>20} {cells[1]:>18} {cells[2]:>22}")
    print(f"value (noise floor), n = {rows[0]['n']}, medians of {REPEATS}")


def train_command(args: argparse.Namespace) -> None:
    for dataset in DATASETS if args.dataset == "all" else [args.dataset]:
        train_one(dataset, args)


def given(args: argparse.Namespace, names, defaults: dict) -> dict:
    """Those of the options `names` that were given on the command line, and else the defaults, where there are any."""
    return defaults | {name: getattr(args, name) for name in names if hasattr(args, name)}


def new_network(
    dataset: str, target: str, start: NetworkDenoiser | None, sizes: dict[str, int], generator: torch.Generator
) -> torch.nn.Module:
    """Of the sizes that were given, or the default ones, or the one of `start`; a U-Net may have become deeper since.

    TypeError for a size that the network does not have, ValueError if `start` cannot learn this.
    """
    kind = UNet if dataset == IMAGES else MLP
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator.initial_seed())
        if start:
            if not isinstance(start.net, kind) or start.target != target:
                raise ValueError(f"--start needs a {kind.__name__} that predicts {target}")
            net = start.net
            if isinstance(net, UNet) and "depth" in sizes:
                net = net.deepened(sizes.pop("depth"))
            if sizes:
                raise ValueError("--start has sizes of its own; all that can grow is the depth of a U-Net")
            return net.train().requires_grad_()
        if unknown := sizes.keys() - inspect.signature(kind).parameters.keys():
            raise TypeError(f"a {kind.__name__} has no {', '.join(sorted(unknown))}")
        return MLP(**sizes).reset(generator) if kind is MLP else UNet(**sizes)


def teacher_of(start: NetworkDenoiser, weaker: NetworkDenoiser | None, args: argparse.Namespace) -> Teacher:
    """The network of `start`, guided as --weight, --above, --weaker and --away say."""
    if weaker and not (isinstance(weaker.net, UNet) and weaker.target == start.target):
        raise ValueError(f"--weaker needs a network of images that predicts {start.target}")
    net = copy.deepcopy(start.net).requires_grad_(False)
    return Teacher(net, args.weight, args.above, weaker.net if weaker else None, args.away)


def train_one(dataset: str, args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    seed = SEEDS.get(dataset, 0) if args.seed is None else args.seed
    accelerator = processes()
    where = accelerator.device if accelerator else device.pick()
    data = fashion_mnist(folder=args.data) if dataset == IMAGES else DATASETS[dataset]()
    fields = [field.name for field in dataclasses.fields(TrainConfig)]
    defaults = FOR_IMAGES["train"] if dataset == IMAGES else FOR_POINTS["train"]
    guides = bool(args.weaker or args.away) or args.weight != 1
    config = TrainConfig(**given(args, fields, defaults | (GUIDED if guides else {})))
    out = Path(args.out or checkpoints.FOLDER / f"{dataset}.safetensors")
    unfinished = out.with_suffix(".training")  # a run that was stopped goes on from here
    generator = torch.Generator().manual_seed(seed)
    start = checkpoints.load_checkpoint(args.start, where) if args.start else None
    if guides and not (start and isinstance(start.net, UNet)):
        raise ValueError("--weight and --weaker need --start with a network of images, which is to be guided")
    weaker = checkpoints.load_checkpoint(args.weaker, where) if args.weaker else None
    teacher = teacher_of(start, weaker, args) if start and guides else None
    net = new_network(dataset, config.target, start, given(args, SIZES, {}), generator).to(where)
    resume = safetensors.torch.load_file(unfinished) if args.resume else None
    started, run = time.monotonic(), Run(unfinished, args.log, args.save_every, accelerator)
    steps = train(net, data, config, generator=generator, resume=resume, accelerator=accelerator, teacher=teacher)
    step = run.follow(steps, config, int(resume["step"]) if resume else 0)
    if accelerator:
        accelerator.print(f"trained by {accelerator.num_processes} processes")
        accelerator.end_training()
    if step is None:
        raise SystemExit("that run is finished already")
    if not run.leads:
        return
    if step.step < config.steps:
        safetensors.torch.save_file(step.state(), unfinished)
        print(f"stopped after {step.step} steps; go on with --resume", file=sys.stderr)
        raise SystemExit(130)
    seconds = time.monotonic() - started
    recipe = dataclasses.asdict(config) | {"seed": seed, "seconds": round(seconds, 1)}
    recipe |= {"start": start.metadata.get("training")} if start else {}
    recipe |= {name: getattr(args, name) for name in ("weight", "above", "away")} if teacher else {}
    recipe |= {"weaker": weaker.metadata.get("training")} if weaker else {}
    denoiser = NetworkDenoiser(step.ema.eval(), config.target)
    metadata: dict[str, Any] = {"dataset": dataset, "target": config.target, "training": recipe}
    if isinstance(data, GaussianMixture):
        metadata["metrics"] = measure(denoiser, data, args.samples)
    else:
        metadata |= {"pixels": "-1 .. 1, of mean -0.43 and standard deviation 0.71"}
        metadata["metrics"] = measure_images(denoiser, ImageEvaluator(args.data), [SamplingConfig()], args.samples, [0])
    checkpoints.save_checkpoint(out, step.ema, metadata)
    unfinished.unlink(missing_ok=True)
    if isinstance(data, GaussianMixture):
        show(metadata["metrics"])
    print(f"{out} ({out.stat().st_size / 1000:.0f} kB, {seconds:.0f} s)")


def loaded(args: argparse.Namespace) -> NetworkDenoiser:
    """The checkpoint of a command, on the device and in the precision that were asked for, else the fastest there."""
    where = device.pick()
    denoiser = checkpoints.load_checkpoint(args.checkpoint, where)
    fastest = device.precision(where) if of_images(denoiser) else PRECISIONS[0]
    return in_precision(denoiser, getattr(args, "precision", fastest))


def of_images(denoiser: NetworkDenoiser) -> bool:
    return len(denoiser.net.shape) > 1


def sample_command(args: argparse.Namespace) -> None:
    denoiser = loaded(args)
    images = of_images(denoiser)
    for name, value in (FOR_IMAGES if images else FOR_POINTS)["sample"].items():
        if not hasattr(args, name):
            setattr(args, name, value)
    if images and not args.out:
        raise ValueError("images need a file to be written to: --out NAME.png")
    options = given(args, OPTIONS, {})
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
    x = last_step(args.sampler, asked, schedule, args.n, args.seed, options, denoiser.net.shape, bar=True).x.cpu()
    if images:
        grid(x, len(args.label) if args.label and len(args.label) > 1 else 10).save(args.out)
    else:
        np.savetxt(args.out or sys.stdout, x.numpy(), fmt="%.6f", delimiter=",", header="x,y", comments="")


def evaluate_command(args: argparse.Namespace) -> None:
    denoiser = loaded(args)
    if of_images(denoiser):
        evaluate_images(denoiser, args)
    else:
        show(measure(denoiser, DATASETS[denoiser.metadata["dataset"]](), args.samples, args.seed))


def evaluate_images(denoiser: NetworkDenoiser, args: argparse.Namespace) -> None:
    judge, n = ImageEvaluator(args.data), args.samples
    ways = [SamplingConfig(weight, nfe, args.sampler, args.spacing) for nfe in args.nfe for weight in args.weight]
    first = (ways[0], args.seed)
    drawn = {first: draw(denoiser, n, *first)} if args.score else {}
    measure_images(denoiser, judge, ways, n, range(args.seed, args.seed + args.seeds), drawn)
    if args.nearest:
        picture, near, usual = judge.neighbours(draw(denoiser, 30, ways[0], args.seed))
        picture.save(args.nearest)
        print(f"RMS of a pixel to the nearest training image, median: {near.median():.3f}; test: {usual.median():.3f}")
    if args.score:
        ours, real = drawn[first], judge.train[:n]
        print(f"test accuracy of a classifier fit to {n} of them: {judge.accuracy_score(ours):.3f}", flush=True)
        print(f"and of one fit to {n} real ones: {judge.accuracy_score(real):.3f}")


SIZES = ("width", "depth", "fine", "middle", "coarse")


def defaults_of(size: str) -> list[str]:
    """What it is in the networks that have it."""
    parameters = {name: inspect.signature(kind).parameters for name, kind in NETWORKS.items()}
    return [f"{name} {known[size].default}" for name, known in parameters.items() if size in known]


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="python -m ddpm_core", description=__doc__)
    commands = root.add_subparsers(required=True, metavar="train|sample|evaluate")
    shared: dict[str, Any] = dict(formatter_class=argparse.ArgumentDefaultsHelpFormatter)

    several = (
        "Several devices: accelerate launch --multi_gpu --num_processes N -m ddpm_core train ...; DDPM_DEVICE=cpu "
    )
    several += (
        "makes it N processes of the CPU. Each draws every batch and works on its share: the steps stay the same."
    )
    p = commands.add_parser(
        "train", help="train a network on a data set and write its checkpoint", epilog=several, **shared
    )
    p.set_defaults(run=train_command)
    p.add_argument("dataset", choices=[*DATASETS, IMAGES, "all"], help="all: every one of points")
    for name in SIZES:
        p.add_argument(f"--{name}", type=int, default=argparse.SUPPRESS, help=", ".join(defaults_of(name)))
    known = dict(target=TARGETS, weighting=WEIGHTINGS, schedule=SCHEDULES, precision=PRECISIONS)
    for field in dataclasses.fields(TrainConfig):
        default = [f"default: {field.default}"]
        if field.name in FOR_IMAGES["train"]:
            default.append(f"for images {FOR_IMAGES['train'][field.name]}")
        p.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=type(field.default),
            default=argparse.SUPPRESS,
            choices=known.get(field.name),
            help=", ".join(default),
        )
    p.add_argument("--seed", type=int, help="default: the one that the shipped checkpoint is of")
    p.add_argument("--threads", type=int, default=1, help="networks this small gain nothing from a second one")
    p.add_argument("--samples", type=int, default=10_000, help="how many samples the final measurement takes")
    p.add_argument("--out", help="default: checkpoints/<dataset>.safetensors")
    p.add_argument("--resume", action="store_true", help="go on with the run that was stopped")
    p.add_argument("--start", help="a checkpoint whose weights to begin with; for images --depth may add blocks to it")
    g = p.add_argument_group("what guidance makes of --start, to be learned")
    usual = ", ".join(f"{name} {value}" for name, value in GUIDED.items())
    g.add_argument("--weight", type=float, default=1.0, help=f"of guidance towards the label; {usual}")
    g.add_argument("--above", type=float, default=LAM_RANGE[0], help="from which half-log-SNR on")
    g.add_argument("--weaker", help="a checkpoint that has learned less of the same data")
    g.add_argument("--away", type=float, default=0.0, help="how far to go from what that one says")
    p.add_argument("--save-every", type=float, default=300, help="seconds between two states to go on from")
    p.add_argument("--log", type=Path, help="a folder for losses, averaged weights and images, as often")
    p.add_argument("--data", type=Path, help="a folder with the four IDX files of the images; default: where they are")

    p = commands.add_parser("sample", help="write samples, points as CSV, images as PNG", **shared)
    p.set_defaults(run=sample_command)
    p.add_argument("checkpoint", help="a name or a .safetensors file")
    here: dict[str, Any] = dict(default=argparse.SUPPRESS)
    p.add_argument("--sampler", choices=SAMPLERS, help="default: ddpm, for images dpmpp_2m", **here)
    for option in OPTIONS.values():
        owners = ", ".join(name for name, traits in TRAITS.items() if option in traits.options)
        bounds = "" if option.choices else f" in {option.low:g} .. {option.high:g},"
        text = f"of {owners},{bounds} default: {option.default}"
        p.add_argument(f"--{option.name}", type=type(option.default), choices=option.choices or None, help=text, **here)
    p.add_argument("--schedule", choices=SCHEDULES, help="default: linear, for images cosine", **here)
    p.add_argument("--T", type=int, default=1000)
    p.add_argument("--steps", type=int, help="levels of the T that are used; default: all, for images 25", **here)
    p.add_argument("--spacing", choices=SPACINGS, help="which ones; default: trailing", **here)
    p.add_argument("--label", type=int, nargs="+", help="classes, in turn; default: any")
    p.add_argument("--weight", type=float, default=1.0, help="of guidance towards the label")
    p.add_argument("--precision", choices=PRECISIONS, help="of images; default: the faster one here", **here)
    p.add_argument("--n", type=int, help="default: 2000, for images 40", **here)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--out", help="default: standard output")

    p = commands.add_parser("evaluate", help="distances of a checkpoint's samples to the data", **shared)
    p.set_defaults(run=evaluate_command)
    p.add_argument("checkpoint", help="a name or a .safetensors file")
    p.add_argument("--samples", type=int, default=10_000)
    p.add_argument("--seed", type=int, default=0)
    g = p.add_argument_group("of images")
    g.add_argument("--nfe", type=int, nargs="+", default=[25], help="network evaluations an image may cost")
    g.add_argument("--weight", type=float, nargs="+", default=[1.0], help="of guidance")
    g.add_argument("--precision", choices=PRECISIONS, help="default: the faster one here", **here)
    g.add_argument("--seeds", type=int, default=1, help="how many, from --seed on")
    g.add_argument("--sampler", choices=SAMPLERS, default=SamplingConfig().sampler)
    g.add_argument("--spacing", choices=SPACINGS, default=SamplingConfig().spacing)
    g.add_argument("--score", action="store_true", help="fit a classifier to the samples, and one to real images")
    g.add_argument("--nearest", help="a PNG file: 30 samples, each above the training image nearest to it")
    g.add_argument("--data", type=Path, help="a folder with the four IDX files")
    return root


def main() -> None:
    args = parser().parse_args()
    try:
        args.run(args)
    except (KeyError, ValueError, TypeError, OSError, safetensors.SafetensorError) as error:
        raise SystemExit(f"error: {error.args[0] if isinstance(error, KeyError) else error}") from None


if __name__ == "__main__":
    main()
