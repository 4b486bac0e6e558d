"""python -m ddpm_core train|sample|evaluate: everything that a checkpoint goes through, from the shell."""

from __future__ import annotations

import argparse
import dataclasses
import signal
import sys
import threading
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

from . import checkpoints, device
from .datasets import DATASETS
from .denoisers import TARGETS, Denoiser, NetworkDenoiser
from .metrics import Measured, energy_distance, excess_nll, sliced_w2
from .mixtures import GaussianMixture
from .networks import MLP
from .samplers import SAMPLERS, VARIANCES, ParticleNoise, Step
from .schedules import SCHEDULES, Schedule
from .training import TrainConfig, train

# What `evaluate` measures: (sampler, its options, schedule, T).
EVALUATIONS = [
    ("ddpm", {"variance": "beta"}, "linear", 1000),
    ("ddpm", {"variance": "beta_tilde"}, "linear", 1000),
    ("ddpm", {"variance": "beta"}, "cosine", 1000),
    ("ddpm", {"variance": "beta_tilde"}, "cosine", 1000),
    ("euler", {}, "flow", 50),
]


def last_step(
    sampler: str, denoiser: Denoiser, schedule: Schedule, n: int, seed: int, options: dict, bar=False
) -> Step:
    where = device.pick()
    noise = ParticleNoise(seed, n, device=where)
    steps = device.walk(sampler, denoiser, schedule, schedule.scale[-1].item() * noise.start(), noise=noise, **options)
    return deque(tqdm(steps, total=schedule.T + 1, disable=not bar, leave=False), maxlen=1)[0]


REPEATS = 3  # a single distance moves by half a floor from one set of samples to the next


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


def train_one(dataset: str, args: argparse.Namespace) -> None:
    mixture = DATASETS[dataset]()
    torch.set_num_threads(args.threads)
    config = TrainConfig(**{f.name: getattr(args, f.name) for f in dataclasses.fields(TrainConfig)})
    out = Path(args.out or checkpoints.FOLDER / f"{dataset}.safetensors")
    unfinished = out.with_suffix(".training")  # a run that was stopped goes on from here
    generator = torch.Generator().manual_seed(args.seed)
    net = MLP(width=args.width, depth=args.depth).reset(generator).to(device.pick())
    resume = safetensors.torch.load_file(unfinished) if args.resume else None
    started, loss, step = time.monotonic(), None, None
    stop = threading.Event()  # Ctrl-C waits for the end of a step, where the state is whole
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        with tqdm(total=config.steps, initial=int(resume["step"]) if resume else 0, unit="step", smoothing=0.05) as bar:
            for step in train(net, mixture, config, generator=generator, resume=resume):
                loss = step.loss if loss is None else 0.99 * loss + 0.01 * step.loss
                bar.update()
                if step.step % 100 == 0:
                    bar.set_postfix(loss=f"{loss:.4f}", lr=f"{step.lr:.1e}")
                if stop.is_set():
                    break
    finally:
        signal.signal(signal.SIGINT, before)
    if step is not None and step.step < config.steps:
        safetensors.torch.save_file(step.state(), unfinished)
        print(f"stopped after {step.step} steps; go on with --resume", file=sys.stderr)
        raise SystemExit(130)
    if step is None:
        raise SystemExit("that run is finished already")
    seconds = time.monotonic() - started
    rows = measure(NetworkDenoiser(step.ema.eval(), config.target), mixture, args.samples)
    recipe = dataclasses.asdict(config) | {"seed": args.seed, "seconds": round(seconds, 1)}
    metadata = {"dataset": dataset, "target": config.target, "training": recipe, "metrics": rows}
    checkpoints.save_checkpoint(out, step.ema, metadata)
    unfinished.unlink(missing_ok=True)
    show(rows)
    print(f"{out} ({out.stat().st_size / 1000:.0f} kB, {seconds:.0f} s)")


def sample_command(args: argparse.Namespace) -> None:
    denoiser = checkpoints.load_checkpoint(args.checkpoint, device.pick())
    options = {k: getattr(args, k) for k in ("variance", "eta") if getattr(args, k) is not None}
    step = last_step(args.sampler, denoiser, SCHEDULES[args.schedule](args.T), args.n, args.seed, options, bar=True)
    np.savetxt(args.out or sys.stdout, step.x.cpu().numpy(), fmt="%.6f", delimiter=",", header="x,y", comments="")


def evaluate_command(args: argparse.Namespace) -> None:
    denoiser = checkpoints.load_checkpoint(args.checkpoint, device.pick())
    show(measure(denoiser, DATASETS[denoiser.metadata["dataset"]](), args.samples, args.seed))


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="python -m ddpm_core", description=__doc__)
    commands = root.add_subparsers(required=True, metavar="train|sample|evaluate")
    shared: dict[str, Any] = dict(formatter_class=argparse.ArgumentDefaultsHelpFormatter)

    p = commands.add_parser("train", help="train a network on a data set and write its checkpoint", **shared)
    p.set_defaults(run=train_command)
    p.add_argument("dataset", choices=[*DATASETS, "all"])
    for size in ("width", "depth"):
        p.add_argument(f"--{size}", type=int, default=MLP().hyperparameters[size])
    for field in dataclasses.fields(TrainConfig):
        known = TARGETS if field.name == "target" else None
        p.add_argument(
            f"--{field.name.replace('_', '-')}", type=type(field.default), default=field.default, choices=known
        )
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--threads", type=int, default=1, help="networks this small gain nothing from a second one")
    p.add_argument("--samples", type=int, default=10_000, help="how many samples the final measurement takes")
    p.add_argument("--out", help="default: checkpoints/<dataset>.safetensors")
    p.add_argument("--resume", action="store_true", help="go on with the run that was stopped")

    p = commands.add_parser("sample", help="write samples as CSV", **shared)
    p.set_defaults(run=sample_command)
    p.add_argument("checkpoint", help="a name or a .safetensors file")
    p.add_argument("--sampler", choices=SAMPLERS, default="ddpm")
    p.add_argument("--variance", choices=VARIANCES, help="for ddpm")
    p.add_argument("--eta", type=float, help="for ddim")
    p.add_argument("--schedule", choices=SCHEDULES, default="linear")
    p.add_argument("--T", type=int, default=1000)
    p.add_argument("--n", type=int, default=2000)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--out", help="default: standard output")

    p = commands.add_parser("evaluate", help="distances of a checkpoint's samples to the data", **shared)
    p.set_defaults(run=evaluate_command)
    p.add_argument("checkpoint", help="a name or a .safetensors file")
    p.add_argument("--samples", type=int, default=10_000)
    p.add_argument("--seed", type=int, default=0)
    return root


def main() -> None:
    args = parser().parse_args()
    try:
        args.run(args)
    except (KeyError, ValueError, TypeError, OSError, safetensors.SafetensorError) as error:
        raise SystemExit(f"error: {error.args[0] if isinstance(error, KeyError) else error}") from None


if __name__ == "__main__":
    main()
